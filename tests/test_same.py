"""Modules that run again, `same label`: one set of weights, in both backends, against what is written by hand."""

from __future__ import annotations

import ast
from copy import copy
from pathlib import Path
from typing import Any

import interpreter
import metamorphic
import metamorphic_flax
import pytest
import torch
from conftest import import_torchvision
from interpreter import State, draw_state, state_shapes
from metamorphic import report, subjects_of
from netdsl_torch.run import by_name
from test_emitted import IGNORED, RULES, mypy, tool
from torch import Tensor, nn
from torch.nn import functional as F
from torch_oracles import assert_same, execute, perturb

from netdsl import verification
from netdsl.api import loads, read_text, recipes
from netdsl.backend import emit_family
from netdsl.diff import compare
from netdsl.ir.graph import Graph
from netdsl.network import Network

SIAMESE = """
block Encoder(c, act: op = relu):
    conv1: conv 3x3, c, /2, bias=false
    bn1: bn
    act
    conv2: conv 3x3, 2*c, bias=false, norm=bn, act=act

net Siamese(c = 8, classes = 3):
    input left: 3, 33x29
    input right: 3, 33x29
    a = from left -> Encoder c as encoder
    b = from right -> same encoder
    from a, b -> sub
    gap
    fc: fc classes
"""

RETINA = """
block Classes(classes, anchors, n = 4):
    conv: n * (conv 3x3, x.c -> relu)
    cls_logits: conv 3x3, anchors*classes
    tokens

block Boxes(anchors, n = 4):
    conv: n * (conv 3x3, x.c -> relu)
    bbox_reg: conv 3x3, 4*anchors
    tokens

block Head(classes, anchors, n = 4):
    fork:
        Classes classes, anchors, n as classification_head
        Boxes anchors, n as regression_head

net Retina(c = 8, classes = 5, anchors = 3, levels = 4):
    input 3, 65x47
    p0: conv 3x3, c, /2
    for i in range(1, levels):
        p{i}: conv 3x3, c, /2
    scores, boxes = from p0 -> Head classes, anchors as head
    for i in range(1, levels):
        s, b = from p{i} -> same head
        scores = from scores, s -> concat axis="n"
        boxes = from boxes, b -> concat axis="n"
    output boxes: from boxes
    from scores
"""

ALBERT = """
block Layer(heads, hidden):
    attended = add:
        from x
        from x -> ln as norm1 -> attention heads as attn
    add:
        from attended
        from attended -> ln as norm2 -> fc hidden as fc1 -> gelu -> fc x.c as fc2

net Albert(c = 16, heads = 2, depth = 4):
    input 3, 32x48
    patch: conv 16x16, c, /16, pad=0
    tokens
    more = depth - 1
    Layer heads, 4*c as layer -> more * same layer
    norm: ln
    mean "n"
    head: fc 10
"""

SPECS = {
    "siamese": SIAMESE,
    "retina": RETINA,
    "albert": ALBERT,
    "within blocks": """
block Inner(n):
    c: conv 3x3, x.c, norm=bn, act=relu
    n * same c

block Outer(n, k):
    i: Inner n
    y = from flow -> relu
    add:
        from y -> same i
        if k > 1:
            from x -> same i
        from x -> tanh

net N(n = 2):
    input 3, 9x7
    a: Outer n, 2
    b: Outer 1, 1
    same a
""",
    "joined over levels": """
block Head(c, outputs):
    conv: conv 3x3, c, norm=bn, act=relu
    logits: conv 3x3, outputs

net N(c = 4, depth = 3):
    input 3, 33x17
    p0: conv 3x3, c, /2
    for i in range(1, depth):
        p{i}: conv 3x3, c, /2
    first = from p0 -> Head c, 5 as head -> gap
    concat:
        from first
        for i in range(1, depth):
            from p{i} -> same head -> gap
""",
    "a layer read before and after": """
block Twice(c):
    a = from x -> conv 3x3, c as conv
    b = from a -> relu -> same conv
    d = from b -> same conv -> relu
    from a, b, d -> concat

net N(c = 3):
    input 3, 9x7
    t1: Twice c
    t2: Twice 9
    from t1 -> conv 3x3, 3 as back
    same t1
""",
    "a list that a block takes": """
block Down(c):
    fork:
        a: conv 3x3, c, /2
        b: conv 3x3, c, /4

block Heads(c):
    fork:
        from x[0] -> conv 3x3, c as conv
        for i in range(1, len(x)):
            from x[i] -> same conv

net N(c = 4):
    input 3, 33x29
    down: Down c
    heads: Heads 3
    (from heads[0] -> gap | from heads[1] -> gap) -> concat
""",
    "lists of modules": """
block Own(n):
    for i in range(n):
        heads.{i}: conv 3x3, x.c, norm=bn
        same heads.{i}

net N(n = 3):
    input 4, 9x7
    own: Own n
    for i in range(n):
        y{i} = from flow -> same own -> relu
    concat:
        for i in range(n):
            from y{i}
""",
    "an op that is an argument": """
block A(c):
    conv1: conv 3x3, c

block B(c):
    conv1: conv 1x1, c
    bn1: bn
    same conv1

block Twice(unit: op, c, n = 1):
    first: unit c
    n * same first
    relu
    from first -> same first

net N(unit: op = A):
    input 3, 8x9
    e: Twice unit, 3
    f: Twice B, 3, 2
    same e
""",
    "a gated update": """
block Update(c) from state, context:
    z = from state, context -> concat -> conv 3x3, c as convz -> sigmoid
    q = from state, context -> concat -> conv 3x3, c as convq -> tanh
    add:
        from state, z -> mul
        from q

net Raft(c = 4, steps = 3):
    input 3, 33x29
    context: conv 3x3, c, /2
    start = from context -> tanh
    state = from start, context -> Update c as update
    for i in range(1, steps):
        state = from state, context -> same update
    from state -> conv 3x3, 2 as head
""",
    "under conditions": """
block Unit(c, k = 1):
    c1: conv 3x3, c
    if k > 1:
        c2: conv 3x3, c
        relu
        same c2
    same c1
    same c2 when k > 1

block Gate(c):
    weight scale [c, 1, 1], init=constant(0.1)
    mul:
        identity
        from scale
    bn as b -> prelu as p -> same p

net N(k = 2):
    input 4, 9x7
    a: Unit 4, k
    b: Unit 4
    g: Gate 4
    for i in range(k):
        same a -> same g
    relu
    maxpool 3x3, /1, pad=1
    same g
""",
    "in training": """
block Head(c):
    conv: conv 3x3, c, norm=bn, act=relu
    gap

net N(c = 4):
    input 3, 9x7
    stem: conv 3x3, c
    body: conv 3x3, c
    from body -> Head 5 as head
    train output aux: from stem -> same head
""",
}


def nets(text: str) -> list[Network]:
    """Return the nets of a text."""
    return list(map(Network, recipes(read_text(text), "", {}, {})))


def emitted(text: str, backend: str) -> str:
    """Return the module of all nets of a text."""
    (found,) = emit_family(nets(text), backend).values()
    return found


def interpret(net: Network, state: State, x: list[Tensor], train: bool) -> dict[str, Tensor]:
    """Return the outputs by name, as of a net all of whose modules are their own, with the same tensors."""
    own, graph = copy(net), Graph()
    for node in net.graph:
        graph.add(node.replace(module=""))
    graph.inputs, graph.outputs, graph.tree = net.graph.inputs, net.graph.outputs, net.graph.tree
    own.elaborated = net.elaborated.replace(graph=graph)
    tied = {
        f"{node.name}{key.removeprefix(node.home)}": tensor
        for node in net.graph
        for key, tensor in state.items()
        if key == node.home or key.startswith(f"{node.home}.")
    }
    return interpreter.interpret(own, tied, x, train)


@pytest.fixture(autouse=True)
def interprets_modules_that_run_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what is called with other arguments be compared with such nets."""
    for module in (metamorphic, metamorphic_flax):
        monkeypatch.setattr(module, "interpret", interpret)


@pytest.mark.parametrize("backend", ["torch", "flax"])
def test_style_and_types(backend: str, tmp_path: Path) -> None:
    """The modules are as clean as the zoo's."""
    for number, text in enumerate(SPECS.values()):
        (tmp_path / f"net{number}.py").write_text(emitted(text, backend))
    assert mypy(tmp_path) == ""
    options = ("--isolated", "--no-cache", "--line-length", "100")
    rules = ("--target-version", "py311", "--select", RULES, "--ignore", IGNORED[backend])
    assert tool("ruff", "check", *options, *rules, tmp_path) == ""
    assert tool("ruff", "format", *options, "--diff", tmp_path) == ""


@pytest.mark.parametrize("case", SPECS)
def test_numbers(case: str) -> None:
    """The torch module is the net, op by op, in evaluation and training, running statistics too."""
    for net in nets(SPECS[case]):
        model, shapes = execute(net.emit("torch"))[net.name]().double(), state_shapes(net)
        assert list(model.state_dict()) == list(shapes)
        numbers = draw_state(shapes, 1)
        model.load_state_dict(numbers)
        x = [torch.randn(3, *shape, dtype=torch.float64) for shape in net.inputs.values()]
        for train in (False, True):
            with torch.no_grad():
                ours, theirs = by_name(model.train(train)(*x)), interpret(net, numbers, x, train)
            for name, expected in theirs.items():
                torch.testing.assert_close(ours[name], expected, rtol=1e-11, atol=1e-11)
        for key, value in model.state_dict().items():
            if not key.endswith("num_batches_tracked"):
                torch.testing.assert_close(value, numbers[key], rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("backend", ["torch", "flax"])
@pytest.mark.parametrize("case", SPECS)
def test_one_class(case: str, backend: str) -> None:
    """Every block is one class, which is the block for other arguments and sizes too."""
    text = emitted(SPECS[case], backend)
    lines = [line.replace("(", " ").replace(":", " ").split() for line in SPECS[case].splitlines()]
    declared = [words[1] for words in lines if words and words[0] in ("block", "net")]
    classes = [node.name for node in ast.parse(text).body if isinstance(node, ast.ClassDef)]
    assert sorted(name for name in classes if name.rstrip("0123456789") in declared) == sorted(declared)
    for subject in subjects_of(nets(SPECS[case])[0], backend, text).values():
        result = report(subject, backend, 8 if backend == "torch" else 2)
        assert result.legal or backend == "flax"
        assert not result.wrong
        assert not result.lax


# ---------------------------------------------------------------- by hand


class Encoder(nn.Module):
    """Two convolutions with norms."""

    def __init__(self, c: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, c, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(c)
        self.conv2 = nn.Conv2d(c, 2 * c, 3, padding=1, bias=False)
        self.conv2_norm = nn.BatchNorm2d(2 * c)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.conv2_norm(self.conv2(x)))


class Siamese(nn.Module):
    """One encoder for two images."""

    def __init__(self, c: int, classes: int) -> None:
        super().__init__()
        self.encoder = Encoder(c)
        self.fc = nn.Linear(2 * c, classes)

    def forward(self, left: Tensor, right: Tensor) -> Any:
        a = self.encoder(left)
        b = self.encoder(right)
        return self.fc((a - b).mean((2, 3)))


class Retina(nn.Module):
    """torchvision's heads over several levels."""

    def __init__(self, c: int, classes: int, anchors: int, levels: int) -> None:
        super().__init__()
        for i in range(levels):
            setattr(self, f"p{i}", nn.Conv2d(c if i else 3, c, 3, stride=2, padding=1))
        retinanet = import_torchvision().models.detection.retinanet
        self.head = retinanet.RetinaNetHead(c, anchors, classes)
        self.levels = levels

    def forward(self, x: Tensor) -> Any:
        maps = []
        for i in range(self.levels):
            x = getattr(self, f"p{i}")(x)
            maps.append(x)
        found = self.head(maps)
        scores, boxes = found["cls_logits"], found["bbox_regression"]
        anchors = self.head.classification_head.num_anchors
        pixels = scores.shape[1] // anchors
        return scores.reshape(len(x), pixels, -1), boxes.reshape(len(x), pixels, -1)


class Layer(nn.Module):
    """A layer of a transformer, the norms first."""

    def __init__(self, c: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(c)
        self.attn = nn.MultiheadAttention(c, heads, batch_first=True)
        self.norm2 = nn.LayerNorm(c)
        self.fc1 = nn.Linear(c, hidden)
        self.fc2 = nn.Linear(hidden, c)

    def forward(self, x: Tensor) -> Any:
        y = self.norm1(x)
        x = x + self.attn(y, y, y, need_weights=False)[0]
        return x + self.fc2(F.gelu(self.fc1(self.norm2(x))))


class Albert(nn.Module):
    """One layer, `depth` times."""

    def __init__(self, c: int, heads: int, depth: int) -> None:
        super().__init__()
        self.patch = nn.Conv2d(3, c, 16, stride=16)
        self.layer = Layer(c, heads, 4 * c)
        self.norm = nn.LayerNorm(c)
        self.head = nn.Linear(c, 10)
        self.depth = depth

    def forward(self, x: Tensor) -> Any:
        x = self.patch(x).flatten(2).transpose(1, 2)
        for _ in range(self.depth):
            x = self.layer(x)
        return self.head(self.norm(x).mean(1))


BY_HAND: tuple[tuple[str, Any, dict[str, int], tuple[tuple[int, ...], ...]], ...] = (
    (SIAMESE, Siamese, {"c": 8, "classes": 3}, ((3, 33, 29), (3, 33, 29))),
    (SIAMESE, Siamese, {"c": 5, "classes": 7}, ((3, 20, 31), (3, 20, 31))),
    (RETINA, Retina, {"c": 8, "classes": 5, "anchors": 3, "levels": 4}, ((3, 65, 47),)),
    (RETINA, Retina, {"c": 4, "classes": 2, "anchors": 1, "levels": 2}, ((3, 40, 23),)),
    (RETINA, Retina, {"c": 4, "classes": 3, "anchors": 2, "levels": 1}, ((3, 9, 14),)),
    (ALBERT, Albert, {"c": 16, "heads": 2, "depth": 4}, ((3, 32, 48),)),
    (ALBERT, Albert, {"c": 12, "heads": 3, "depth": 1}, ((3, 48, 16),)),
)


@pytest.mark.parametrize(("text", "by_hand", "arguments", "sizes"), BY_HAND)
def test_is_what_is_written_by_hand(
    text: str, by_hand: Any, arguments: dict[str, int], sizes: tuple[tuple[int, ...], ...]
) -> None:
    """Outputs, gradients and running statistics after two steps, bit for bit; the class is not made for a size."""
    (net,) = nets(text)
    ours = execute(net.emit("torch"))[net.name](**arguments)
    theirs = perturb(by_hand(**arguments))
    ours.load_state_dict(theirs.state_dict())
    assert list(ours.state_dict()) == list(theirs.state_dict())
    for seed, train in enumerate((True, True, False)):
        torch.manual_seed(seed)
        x = [torch.randn(3, *size) for size in sizes]
        assert_same(ours.train(train), theirs.train(train), x)


@pytest.mark.parametrize("case", SPECS)
def test_both_backends(case: str) -> None:
    """Counts, shapes of every call, numbers, statistics and gradients."""
    (net,) = nets(SPECS[case])
    found = verification.verify(net, ("torch", "flax"))
    assert [row.check for row in found.rows if not row.ok] == []


@pytest.mark.parametrize("case", SPECS)
def test_counts(case: str) -> None:
    """Weights and buffers count once, and keys are those of torch."""
    (net,) = nets(SPECS[case])
    model = execute(net.emit("torch"))[net.name]()
    learned = sum(p.numel() for p in model.parameters())
    kept = sum(b.numel() for b in model.buffers())
    assert (net.cost().params, net.cost().buffers) == (learned, kept)
    assert list(net.parameters) == [key for key, _ in model.named_parameters()]


def test_facts_are_those_of_modules_of_their_own() -> None:
    """But for params and buffers: work, shapes, receptive fields, and what is alive when."""
    two = loads(SIAMESE.replace("same encoder", "Encoder c as encoder_1"))
    one = loads(SIAMESE)
    assert one.cost() == two.cost().replace(params=one.cost().params, buffers=one.cost().buffers)
    assert two.cost().params - one.cost().params == one.cost_table("block")["encoder"].params
    assert one.cost_table("block")["encoder_1"].params == 0
    assert one.cost_table("block")["encoder_1"].what == "Encoder (same encoder)"
    assert (one.shapes, one.receptive, one.liveness()) == (two.shapes, two.receptive, two.liveness())
    changes = compare(two, one).changes
    assert {(field.name, field.before) for change in changes for field in change.fields} == {
        ("weights", "its own")
    }
    assert not compare(one, one).changes


LINT = {
    "of one call the norm takes no bias away": (
        "a = from x -> conv 3x3, 8 as c\nb = from x -> same c -> bn as b\nfrom a, b -> concat -> gap",
        [],
    ),
    "of all calls it does": (
        "a = from x -> conv 3x3, 8 as c -> bn as b1\nb = from x -> same c -> bn as b2\nfrom a, b -> concat -> gap",
        [("bias_before_norm", 8)],
    ),
    "of a dead call the weights are read by another": (
        "b = from x -> conv 3x3, 3 as c\nfrom x -> relu -> same c -> gap",
        [("dead_branch", 0)],
    ),
    "zeros that one call alone teaches": (
        "init conv weight=zeros\nb = from x -> conv 3x3, 3, bias=false as c\nd = from b -> same c\n"
        "from b, d -> concat -> gap",
        [],
    ),
    "zeros that hold themselves back": (
        "init conv weight=zeros\nfrom x -> conv 3x3, 3, bias=false as c -> same c -> gap",
        [("missing_activation", None), ("zero_start", None)],
    ),
}


@pytest.mark.parametrize("case", LINT)
def test_lint(case: str) -> None:
    body, expected = LINT[case]
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    found = loads(f"net N:\n    input 3, 32x32\n{lines}").lint()
    saved = [(one.name, one.nets[0].saving.params if one.nets[0].saving else None) for one in found]
    assert saved == expected

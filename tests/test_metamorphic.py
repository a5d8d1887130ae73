"""Every emitted class is the block of the spec, for other arguments than the file's own too.

What is proved once for a class is remembered by its text, by the texts of all that it uses, and by its spec; a few
draws are made again each time. `python tests/metamorphic.py NET CLASS` shows what is wrong with one.
"""

from __future__ import annotations

import hashlib
import re
from types import ModuleType

import interpreter
import metamorphic
import pytest
import spoiled
import torch
from interpreter import draw_state, interpret, state_shapes
from metamorphic import (
    BATCH,
    Drawer,
    Subject,
    Torch,
    drawn,
    report,
    subjects,
    subjects_of,
    text_of,
)
from netdsl_torch.run import by_name
from proved import closure, content, proving
from spoiled import judged, misjudged
from torch_oracles import FAMILIES, SEVERAL, spec_of

import netdsl
from netdsl.api import loads
from netdsl.elaborate.values import BlockDecl
from netdsl.ops import catalogue

DRAWS = {"torch": 40, "flax": 20}
"""For a proof; the first draws decide every condition that can be decided otherwise."""
AGAIN = {"torch": 5, "flax": 1}
"""Each time."""
NETS = ("lenet", "mobilenet_v2", "resnet18", "squeezenet1_1", "unet_same")
"""Nets whose own class is called too."""
DEEP = ("DilatedMobileNetV3", "DilatedResNet")
"""Blocks that are whole nets: in training on few pixels they amplify the last bit of a number beyond Flax's bound."""

_PROVED: set[str] = set()
"""Digests of what was proved in this process: classes of several nets are often the same."""


def check(name: str, backend: str) -> None:
    """Check the classes of a net, and raise an error that names what is wrong with each."""
    net = netdsl.load(spec_of(name))
    text = net.emit(backend)
    found = subjects_of(net, backend, text)
    blocks = {scope.block for scope in net.graph.tree.scopes() if scope.kind == "block"}
    missing = sorted(blocks - {subject.decl.name for subject in found.values()})
    wrong = [f"{block} has no class" for block in missing]
    for subject in found.values():
        if not isinstance(subject.decl, BlockDecl) and name not in NETS:
            continue
        if backend == "flax" and subject.decl.name in DEEP:
            continue
        basis = closure(text, subject.name), content(subject.decl.file.source.text)
        name_and_basis = (backend, subject.name, *basis)  # two classes in each other have one text
        digest = hashlib.sha256("\n".join(name_and_basis).encode()).hexdigest()
        if digest in _PROVED:
            continue
        faults = proof(f"{name}.{subject.name}.{backend}", subject, backend, basis)
        wrong += [f"{subject.name}{fault}" for fault in faults]
        if not faults:
            _PROVED.add(digest)
    assert not wrong, "\n".join(["", *dict.fromkeys(wrong)])


def proof(name: str, subject: Subject, backend: str, basis: tuple[str, ...]) -> list[str]:
    """Return what is wrong with a class; few draws are looked at where all were right before."""
    sources: list[ModuleType] = [metamorphic]
    if backend == "flax":
        import metamorphic_flax

        sources.append(metamorphic_flax)
    ops = {*re.findall(r"\w+", basis[-1]), *metamorphic.ACTIVATIONS, "bn"}  # what is drawn
    basis = *basis, interpreter.running(ops.union(node.op.name for node in subject.net.graph))
    found: list[str] = []
    try:
        with proving(f"{name}.called", "torch jax jaxlib flax numpy", sources, *basis) as known:
            draws = (AGAIN if known else DRAWS)[backend]
            if not isinstance(subject.decl, BlockDecl):
                draws = -(-draws // 4)  # a whole net takes longer
            found = report(subject, backend, draws, seed=known).faults
            if found:
                raise AssertionError  # it is not written down
    except AssertionError:
        pass
    return found


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Small tensors gain nothing from more."""
    torch.set_num_threads(1)


@pytest.mark.proof
@pytest.mark.parametrize("name", FAMILIES | SEVERAL)
def test_torch_classes_are_the_blocks_for_every_argument(name: str) -> None:
    check(name, "torch")


@pytest.mark.slow
@pytest.mark.proof
@pytest.mark.parametrize("name", FAMILIES | SEVERAL)
def test_flax_classes_are_the_blocks_for_every_argument(name: str) -> None:
    check(name, "flax")


@pytest.mark.parametrize("name", ["resnet18", "googlenet", "shufflenet_v2_x1_0", "hrnet_w18", "vit_b_16"])
def test_a_net_of_one_block_is_emitted_as_its_spec_says(name: str) -> None:
    """The nets that draws are held against, emitted: the classes of their modules have one instance each."""
    for subject in subjects(name).values():
        if not isinstance(subject.decl, BlockDecl):
            continue
        for draw, net in drawn(subject, 4).legal:
            module, shapes = net.build().double(), state_shapes(net)
            assert {key: tuple(t.shape) for key, t in module.state_dict().items()} == shapes, draw
            numbers = draw_state(shapes, seed=2)
            module.load_state_dict(numbers)
            x = [torch.ones(BATCH, *shape, dtype=torch.float64).cumsum(1) for shape in draw.shapes]
            with torch.no_grad():
                ours = by_name(module.eval()(*x))
                theirs = interpret(net, numbers, x, False)
            assert Torch().differ("evaluation", [ours[key] for key in theirs], [*theirs.values()]) == "", draw


@pytest.mark.proof
@pytest.mark.parametrize("name", FAMILIES | SEVERAL)
def test_a_constructor_refuses_what_the_spec_refuses_and_nothing_else(name: str) -> None:
    """What the spec says is asked each time; constructors that are as they were say what they did."""
    import metamorphic_flax

    net = netdsl.load(spec_of(name))
    texts = {backend: net.emit(backend) for backend in AGAIN}
    found = {backend: subjects_of(net, backend, text) for backend, text in texts.items()}
    assert found["torch"].keys() == found["flax"].keys()
    cases = {cls: judged(subject) for cls, subject in found["torch"].items()}
    sources = [spoiled, metamorphic, metamorphic_flax]
    basis = [*texts.values()]
    basis += [f"{cls} {case.name} {case.draw} {case.said}" for cls in cases for case in cases[cls]]
    with proving(f"{name}.refused", "torch jax jaxlib flax numpy", sources, *basis) as known:
        if not known or name in NETS:
            both = ((backend, cls) for backend in found for cls in cases)
            wrong = (misjudged(found[backend][cls], backend, cases[cls]) for backend, cls in both)
            assert [fault for faults in wrong for fault in faults] == []


GIVEN = {
    "bias: bool = true": "conv 3x3, 4, bias=bias",
    "bias: bool = true, groups = 1": "upconv 2x2, 4, /2, bias=bias, groups=groups",
    "momentum: float in [0.1, 0.3] = 0.1": "bn momentum=momentum",
    "affine: bool = true": "bn affine=affine as n1 -> gn 2, affine=affine as n2 -> instance_norm affine=affine as n3",
    "affine: bool = true, bias: bool = true": (
        "ln affine=affine, bias=bias as n1 -> conv 1x1, 4 as c -> rms_norm affine=affine as n2"
    ),
    "bias: bool = true, size = 3": "stdconv 3x3, 4, bias=bias as c -> blurpool size, /1 -> blurpool stride=size",
    "slope: float in [0.01, 0.3] = 0.01": "leaky_relu slope",
    "alpha: float in [0.3, 1.0] = 1.0": "celu alpha -> elu alpha",
    "beta: float in [0.3, 1.0] = 1.0": "softplus beta, threshold=2*beta -> hardtanh -beta, beta",
    "cut: float in [0.3, 0.5] = 0.5": "hardshrink cut -> softshrink cut -> threshold cut, -cut",
    "shared: bool = true": "prelu shared=shared as slope",
    'axis: str in ["c", "h", "w"] = "w"': "softmax axis=axis -> permute 1, 0, 2 -> log_softmax axis=axis",
    "counted: bool = true": "avgpool 3x3, /2, pad=1, count_include_pad=counted",
    "counted: bool = true, whole: bool = true": "avgpool 2x2, /2, ceil=whole, count_include_pad=counted",
    "whole: bool = true": "maxpool 2x2, /2, ceil=whole",
    "whole: bool = true, apart = 1": "maxpool 2x2, /2, dilation=apart, ceil=whole",
}
"""Parameters that are an op's own arguments, whose values decide how a framework writes it."""


@pytest.mark.parametrize("backend", ["torch", "flax"])
@pytest.mark.parametrize("parameters", GIVEN)
def test_an_ops_argument_is_followed(parameters: str, backend: str) -> None:
    others = {"bool": "false", "float": "0.3", "str": '"c"', "int": "0"}
    other = next((value for kind, value in others.items() if kind in parameters), "0")
    text = f"""
block Unit({parameters}):
    {GIVEN[parameters]}

net Small:
    input 4, 11x11
    a: Unit {other}
    b: Unit
"""
    found = report(subjects_of(loads(text, "small.net"), backend)["Unit"], backend, 5)
    assert found.faults == []
    assert found.legal > 1


@pytest.mark.parametrize("backend", ["torch", "flax"])
def test_a_block_as_an_argument_keeps_its_own(backend: str) -> None:
    text = """
block Inner(c, k: dims = 1x1):
    conv: conv k, c

block Outer(c, unit: op = Inner(k=3x3)) from given:
    body: unit c

net Small:
    input 4, 8x8
    a: Outer 4
    b: Outer 5, unit=Inner
"""
    found = report(subjects_of(loads(text, "small.net"), backend)["Outer"], backend, 5)
    assert found.faults == []
    assert found.legal > 1


SLOTS = {
    "an order of its own": """
block One(c, k):
    conv1: conv 3x3, c
    conv2: conv 1x1, k

block Two(k, c):
    conv1: conv 1x1, c
    conv2: conv 3x3, k

block Slot(unit: op, w, n = 2):
    a: unit c=w, k=n

net Small:
    input 4, 8x8
    a: Slot One, 4
    b: Slot Two, 5, 3
""",
    "names of its own": """
block Basic(planes, stride = 1):
    conv1: conv 3x3, planes, /stride
    conv2: conv 3x3, planes

block Bottle(c, stride = 1, wide = 2):
    conv1: conv 1x1, c, /stride
    conv2: conv 3x3, wide * c

block Plain(w, stride = 1, groups = 1):
    conv1: conv 3x3, w, /stride

block Slot(unit: op, w, n = 2):
    n * unit w, /2 first

net Small:
    input 4, 8x8
    a: Slot Basic, 4
    b: Slot Bottle, 5
    c: Slot Bottle(wide=3), 5, 1
    d: Slot Plain, 6, 1
""",
    "kinds that say which it is": """
block One(c, k: dims, r: float = 1.0):
    conv1: conv k, c
    conv2: conv 1x1, int(r * c)

block Two(d: dims, width, factor: float = 2.0):
    conv1: conv d, int(width * factor)

block Slot(unit: op, w, k: dims = 3x3):
    a: unit k, w
    b: unit 2*w, 1x1

net Small:
    input 4, 8x8
    a: Slot One, 4
    b: Slot Two, 5, 5x5
    c: Slot Two(factor=1.5), 5
""",
}
"""Blocks in one slot, whose parameters have other orders or names."""


@pytest.mark.parametrize("backend", ["torch", "flax"])
@pytest.mark.parametrize("name", SLOTS)
def test_a_slot_takes_blocks_with_parameters_of_their_own(name: str, backend: str) -> None:
    net = loads(SLOTS[name], "small.net")
    found = report(subjects_of(net, backend)["Slot"], backend, 12 if backend == "torch" else 4)
    assert found.faults == []
    assert found.legal > 1
    one_class = "class Slot2" not in net.emit(backend)
    assert one_class == (name != "kinds that say which it is")


CHOSEN = {
    "acts": """
block Unit(c, deep = true):
    act = gelu if deep else relu
    conv: conv 3x3, c, act=act
    act
    last: conv 1x1, c
    act

net N(deep = true, c = 4):
    input 4, 9x9
    a: Unit c, deep
    b: Unit 6
    c: Unit 6, false
""",
    "kinds, lists, defaults": """
block Plain(c):
    conv: conv 3x3, c -> bn

block Unit(c, deep = true, wide = false):
    act = gelu if deep else none
    norm = bn if wide else (gn(2) if deep else none)
    unit = Plain if wide else conv(kernel=3x3, act=act)
    widths = [c, 2*c] if deep else [c]
    if deep:
        default conv 1x1, act=act, norm=norm
    else:
        default conv 3x3, act=relu, norm=norm
    head: unit c
    for i, w in enumerate(widths):
        conv{i}: conv w
    pool = maxpool(3x3, stride=1) if deep else avgpool(3x3, stride=1)
    pool
    add:
        identity
        more: unit widths[0] if not deep else 2*c

net N(deep = true, wide = false, c = 4):
    input 4, 9x9
    unit = Plain if wide else conv(kernel=3x3, act=relu)
    default Unit deep=deep
    x0: unit 4
    a: Unit c
    b: Unit c, false
    c: Unit 6, wide=true
    if deep:
        default Unit wide=true
    d: Unit 6 when wide
    for i in range(3):
        e{i}: unit 4
    f: concat:
        f0: unit 3
        f1: 3 * unit 5
""",
    "maps and vectors": """
block Unit(c, pool = true, deep = true):
    gap when pool
    if deep:
        fc1: fc c when pool
        conv1: conv 1x1, c when not pool
    relu
    2 * (identity -> tanh)
    if not pool:
        gap
    fc2: fc c

block Other(c, pool = true, n = 2):
    if pool:
        gap
    else:
        body: conv 3x3, c
    n * relu
    if pool:
        ln: ln
    else:
        bn: bn -> gap
    add:
        identity
        fc: fc x.c -> fc c when not pool
    last: fc c when x.c == c or not pool

net N(pool = true, c = 4):
    input 4, 9x9
    train output a: Unit c, false, false
    train output b: Unit 5, pool
    train output d: Other 4, false
    train output e: Other 4, pool, 1
    conv: conv 3x3, c
    gap when pool
    flatten when not pool
    fc: fc 3
""",
    "paddings": """
block Unit(c, t = true):
    p = tf if t else same
    conv: conv 3x3, c, /2, pad=p
    k = 3x3 if t else 5x5
    conv2: conv k, c

net N(t = true):
    input 4, 9x9
    a: Unit 4, t
    b: Unit 4
""",
    "whole numbers for floats": """
block Unit(c, ratio: float = 1.0, drop = 0.0):
    conv: conv 3x3, int(c * ratio)
    dropout drop

net N(r = 2, deep = true):
    input 4, 9x9
    ratios = [1, r]
    for i, ratio in enumerate(ratios):
        a{i}: Unit 4, ratio
        b{i}: Unit 3, i + 1
    c: Unit 5, r
    d: Unit 5, 2*r
    e: Unit 5, (r if deep else 3)
    f: Unit 6, 0.5, drop=0.1
""",
    "turns": """
block Unit(c, n = 3):
    for i in range(n):
        act = relu if i == 0 else tanh
        conv{i}: conv 3x3, c, act=act
        act

net N(n = 2):
    input 4, 9x9
    a: Unit 4
    b: Unit 4, n=n
    for i in range(n):
        unit = Unit(n=1) if i == 0 else conv(kernel=3x3)
        c{i}: unit 6
""",
    "a first branch that may not be there": """
block Unit(c, stride = 1, n = 1):
    add:
        if stride == 1 and x.c == c:
            skip: bn
        for i in range(n):
            more{i}: conv 1x1, c, /stride
        conv: conv 3x3, c, /stride

net N(c = 4, n = 2):
    input 4, 9x9
    a: Unit c
    b: Unit 6, 2
    for i in range(n):
        c{i}: Unit 6, (2 if i == 0 else 1), n
""",
}
"""Conditions that decide between things that are no numbers, and numbers of another kind."""


@pytest.mark.parametrize("backend", ["torch", "flax"])
@pytest.mark.parametrize("name", CHOSEN)
def test_what_a_condition_chooses_is_written_both_ways(name: str, backend: str) -> None:
    for cls, subject in subjects_of(loads(CHOSEN[name], "n.net", "n"), backend).items():
        if cls in ("Unit", "N"):
            assert set(subject.params) <= set(subject.signature), cls
        found = report(subject, backend, 12 if backend == "torch" else 3)
        assert found.faults == [], cls
        assert found.legal > 1


# ---------------------------------------------------------------- the harness itself

SPEC = """\
block Unit(c, stride = 1, wide = false, act: op = relu):
    width = 2 * c if wide else c
    add:
        conv 3x3, width, /stride as conv1 -> bn as bn1 -> act -> conv 1x1, c as conv2
        downsample: conv 1x1, c, /stride when stride != 1 or x.c != c

net Small:
    input 8, 16x16
    a: Unit 8
    b: Unit 12, /2, wide=true
    c: Unit 12, act=tanh
"""

CLASS = """\
import torch
from collections.abc import Callable
from torch import Tensor, nn


class Unit(nn.Module):
    def __init__(
        self, in_channels: int, c: int, stride: int = 1, wide: bool = False, act: Callable[[], nn.Module] = nn.ReLU
    ) -> None:
        super().__init__()
        width = 2 * c if wide else c
        self.conv1 = nn.Conv2d(in_channels, width, 3, stride=stride, padding=1)
        self.bn1 = nn.BatchNorm2d(width)
        self.act = act()
        self.conv2 = nn.Conv2d(width, c, 1)
        self.downsample: nn.Module | None = None
        if stride != 1 or in_channels != c:
            self.downsample = nn.Conv2d(in_channels, c, 1, stride=stride)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv2(self.act(self.bn1(self.conv1(x))))
        return y + (self.downsample(x) if self.downsample is not None else x)
"""


def by_hand(text: str) -> Subject:
    """Return a class that somebody wrote for the block Unit."""
    net = loads(SPEC, "small.net")
    subject = subjects_of(net)["Unit"]
    names = {"__name__": "emitted"}
    exec(compile(text, "<by hand>", "exec"), names)
    found = Subject(net, names["Unit"], subject.decl, subject.instances)
    found.names = names
    return found


def test_a_class_that_is_the_block_has_no_fault() -> None:
    found = report(by_hand(CLASS), "torch", 40)
    assert found.faults == []
    assert found.legal == 40


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ("if stride != 1 or in_channels != c", "if stride != 1", "missing"),
        ("if stride != 1 or in_channels != c", "if in_channels != c", "missing"),
        ("1, stride=stride)", "1, stride=2)", "size of tensor"),
        (
            "stride=stride, padding=1",
            "stride=stride, padding=1, dilation=1, bias=not wide",
            "conv1.bias missing",
        ),
        ("width = 2 * c if wide else c", "width = 2 * in_channels if wide else c", "instead of"),
        ("nn.BatchNorm2d(width)", "nn.BatchNorm2d(width, eps=1e-3)", "differs by"),
        ("nn.BatchNorm2d(width)", "nn.BatchNorm2d(width, momentum=0.2)", "statistics differs"),
        ("self.act = act()", "self.act = nn.ReLU()", "differs by"),
        ("self.conv2 = nn.Conv2d(width, c, 1)", "self.conv2 = nn.Conv2d(width, c, 1).double()", "float64"),
        ("return y + (", "return y.detach() + (", "gradient"),
    ],
)
def test_a_fault_is_seen(right: str, wrong: str, said: str) -> None:
    assert CLASS.count(right) == 1
    found = report(by_hand(CLASS.replace(right, wrong)), "torch", 40)
    assert any(said in fault for fault in found.wrong), found.wrong


def test_a_class_that_takes_what_the_spec_refuses_is_seen() -> None:
    text = SPEC.replace("block Unit(c, stride = 1,", "block Unit(c, stride: int in [1, 2] = 1,")
    net = loads(text, "small.net")
    subject = by_hand(CLASS)
    subject.decl = subjects_of(net)["Unit"].decl
    found = report(subject, "torch", 40)
    assert found.wrong == []
    assert any("stride=3" in fault and "must be one of" in fault for fault in found.lax)


def test_draws_decide_every_condition_both_ways_and_are_the_same_each_time() -> None:
    subject = subjects("resnet18")["BasicBlock"]
    draws = [draw for draw, _ in drawn(subject, 20).legal]
    sides = {(d.values["stride"] != 1, d.shapes[0].c != d.values["planes"]) for d in draws}
    assert len(sides) == 4
    assert len(draws) == 20
    assert list(map(str, draws)) == [str(draw) for draw, _ in drawn(subject, 20).legal]
    assert {"3x5", "1x7"} <= {text_of(v) for v in Drawer(subjects("googlenet")["BasicConv2d"], 0).pools["k"]}


def test_every_op_can_be_interpreted() -> None:
    assert [name for name, op in catalogue().items() if not interpreter.known(op)] == []


@pytest.mark.parametrize("fault", ["", "gradient"])
def test_a_gradient_of_flax_is_seen(fault: str) -> None:
    net = loads(SPEC, "small.net")
    text = net.emit("flax")
    right = "y = self.conv2(y)"
    assert text.count(right) == 1
    if fault:
        text = text.replace(right, "y = jax.lax.stop_gradient(self.conv2(y))")
    found = report(subjects_of(net, "flax", text)["Unit"], "flax", 1)
    assert [fault in one for one in found.wrong] == [True] * bool(fault), found.wrong

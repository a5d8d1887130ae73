"""Blocks that contain themselves: with other arguments each time, in emitted modules too."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from interpreter import draw_state, interpret, state_shapes
from metamorphic import report, subjects_of
from netdsl_torch.run import by_name
from test_emitted import mypy
from torch_oracles import ENVIRONMENT, execute

from netdsl import Network
from netdsl.api import read_text, recipes
from netdsl.backend import emit_family

SPECS = {
    "a tree": """\
block Tree(levels: int in [0, 1, 2, 3], c, stride = 1):
    if levels > 1:
        tree1: Tree levels - 1, c, /stride
        tree2: Tree levels - 1, c
    else:
        conv1: conv 3x3, c, /stride
        relu
net N(levels = 3):
    input 3, 32x32
    tree: Tree levels, 8, /2
    gap
    fc: fc 10
variant n1 = N()
variant n2 = N(1)
""",
    "two blocks in each other": """\
block Tree(levels: int in [0, 1, 2, 3], c, stride = 1, root = false):
    maxpool 2x2, /stride when stride > 1
    bottom = from flow
    if levels > 1:
        tree1: from x -> Tree levels - 1, c, /stride
        concat:
            if root:
                from bottom
            from tree1
        tree2: from tree1, flow -> Second levels - 1, c
    else:
        project: conv 1x1, c -> bn when x.c != c
        bottom = from flow
        main: from x -> conv 3x3, c, /stride -> bn
        from main, bottom -> add -> relu
block Second(levels: int in [0, 1, 2, 3], c) from cur, kept:
    if levels > 1:
        tree1: from cur -> Tree levels - 1, c
        from kept, tree1 -> concat
        tree2: from tree1, flow -> Second levels - 1, c
    else:
        from cur, kept -> concat
        root: conv 1x1, c -> bn -> relu
net N(levels = 3, root = true):
    input 3, 16x16
    tree: Tree levels, 8, /2, root=root
    other: Tree levels - 1, 12
    gap
    fc: fc 10
variant n1 = N()
variant n2 = N(2, false)
""",
    "a unet": """\
block Unet(c, depth: int in [0, 1, 2, 3]):
    left: conv 3x3, c -> bn -> relu
    if depth > 1:
        inner: maxpool 2x2, /2 -> Unet 2*c, depth - 1 as unet -> conv 1x1, c as up -> resize like=left
        from left, inner -> concat
    right: conv 3x3, c -> bn -> relu
net N(depth = 3):
    input 3, 32x32
    unet: Unet 4, depth
    gap
    fc: fc 10
""",
    "as many channels as it is deep": """\
block Grow(g, depth: int in [1, 2, 3]):
    concat:
        identity
        conv: conv 3x3, g -> relu
    deeper: Grow g, depth - 1 when depth > 1
    relu
net N(depth = 3):
    input 3, 16x16
    grow: Grow 4, depth
    last: conv 1x1, 8
    gap
    fc: fc 10
variant n1 = N()
variant n2 = N(1)
""",
    "channels that double": """\
block Wide(c, depth: int in [0, 1, 2, 3]):
    if depth > 0:
        inner: Wide c, depth - 1
        conv: conv 3x3, 2 * inner.c
    else:
        conv: conv 3x3, c
    bn: bn
net N(depth = 2):
    input 3, 16x16
    wide: Wide 4, depth
    gap
    fc: fc 10
""",
    "in a loop": """\
block Star(n: int in [0, 1, 2, 3], c):
    concat:
        own: conv 3x3, c -> relu
        for i in range(n):
            arm{i}: Star i, c
    join: conv 1x1, c
net N(n = 3):
    input 3, 16x16
    star: Star n, 4
    gap
    fc: fc 10
variant n1 = N()
variant n2 = N(0)
""",
    "a list that gets shorter": """\
block Unet(cs: list):
    down: conv 3x3, cs[0] -> bn -> relu
    if len(cs) > 1:
        inner: Unet cs[1:]
        merge: conv 1x1, cs[0] -> bn
    add:
        from down
        identity
    relu
net N(cs = [4, 8, 12]):
    input 3, 32x32
    unet: Unet cs
    gap
    fc: fc 10
variant n1 = N()
variant n2 = N([8, 6])
""",
    "an op that is handed on": """\
block A(c, stride = 1):
    conv: conv 3x3, c, /stride -> bn -> relu
block B(c, stride = 1):
    conv: conv 1x1, c, /stride
block Tree(unit: op, depth: int in [1, 2, 3], c, stride = 1):
    if depth > 1:
        left: Tree unit, depth - 1, c, /stride
        right: Tree unit, depth - 1, c
    else:
        unit: unit c, /stride
net N(unit: op = A, depth = 2):
    input 3, 16x16
    tree: Tree unit, depth, 6, /2
    gap
    fc: fc 10
variant n1 = N()
variant n2 = N(B, 3)
""",
    "a fractal": """\
block Fractal(c, columns: int in [1, 2, 3]):
    if columns == 1:
        conv: conv 3x3, c -> bn -> relu
    else:
        add:
            one: conv 3x3, c -> bn -> relu
            two: Fractal c, columns - 1 -> Fractal c, columns - 1
net N(columns = 3):
    input 3, 16x16
    stage1: Fractal 4, columns -> maxpool 2x2, /2
    stage2: Fractal 8, columns
    gap
    fc: fc 10
""",
    "only itself": """\
block Deep(n: int in [1, 2, 3], c):
    conv: conv 3x3, c -> relu
    [Deep n - 1, c + 2 as deep when n > 1]
net N(n = 3):
    input 3, 16x16
    deep: Deep n, 4
    gap
    fc: fc 10
""",
    "inline": """\
inline block Down(n: int in [1, 2, 3], c):
    conv{n}: conv 3x3, c -> relu
    if n > 1:
        Down n - 1, c + 2
block Stage(n: int in [1, 2, 3], c):
    Down n, c
net N(n = 3):
    input 3, 16x16
    Down 2, 5
    stage: Stage n, 4
    other: Stage 1, 4
    gap
    fc: fc 10
""",
    "initial weights": """\
block Tree(depth: int in [0, 1, 2, 3], c):
    init conv weight=normal(0, 0.5)
    conv: conv 3x3, c -> bn -> relu
    if depth > 1:
        add:
            left: Tree depth - 1, c
            right: Tree depth - 1, c
    else:
        last: fc_like c
inline block fc_like(c):
    conv 1x1, c as last1
net N(depth = 3, std = 0.25):
    input 3, 16x16
    init bn weight=normal(1, std)
    tree: Tree depth, 4
    gap
    fc: fc 10
""",
    "stochastic depth": """\
block Tree(depth: int in [0, 1, 2, 3], c, rate = 0.0):
    add:
        identity when x.c == c
        conv: conv 3x3, c -> bn -> droppath rate
    if depth > 1:
        deeper: Tree depth - 1, c, rate / 2
net N(depth = 3):
    input 4, 16x16
    tree: Tree depth, 4, 0.0
    gap
    fc: fc 10
""",
    "three in a ring": """\
block A(n: int in [0, 1, 2, 3, 4], c):
    a: conv 3x3, c -> relu
    b: B n - 1, c + 1 when n > 0
block B(n: int in [0, 1, 2, 3, 4], c):
    b: conv 1x1, c -> relu
    c: C n - 1, c + 2 when n > 0
block C(n: int in [0, 1, 2, 3, 4], c):
    c: conv 3x3, c -> bn
    a: A n - 1, c + 3 when n > 0
net N(n = 4):
    input 3, 16x16
    b: B n, 3
    c: C n - 1, 3
    a: A n, 3
    gap
    last: fc 10
variant n1 = N()
variant n2 = N(1)
""",
    "a list that gets longer": """\
block Tree(depth: int in [1, 2, 3], c):
    conv: from x[-1] -> conv 3x3, c -> bn -> relu
    if depth > 1:
        from x, conv -> Tree depth - 1, c + 1 as deeper
    else:
        from conv, x -> concat
        root: conv 1x1, c
net N(depth = 3):
    input 3, 16x16
    first: conv 3x3, 4
    from x, first -> Tree depth, 4 as tree
    other: Tree depth, 5
    gap
    last: fc 10
variant n1 = N()
variant n2 = N(1)
""",
    "two values": """\
block T(n: int in [1, 2, 3], c) from a, b:
    one: from a -> conv 3x3, c
    two: from b -> conv 1x1, c -> relu
    if n > 1:
        from one, two -> T n - 1, c + 1 as t
    else:
        from two, one
net N(n = 3):
    input 3, 16x16
    from x, x -> T n, 4 as t -> add
    gap
    last: fc 10
""",
    "learned tensors, and halves": """\
block T(n: int in [0, 1, 2, 3], c):
    weight scale [c, 1, 1], init=constant(0.5)
    main: conv 3x3, c
    main2: from main, scale -> mul
    left, right = from main -> split 2
    if n > 0:
        concat:
            a: from left -> T n - 1, c
            b: from right -> T n // 2, c
    last: 2 * (conv 1x1, c -> relu)
net N(n = 3):
    input 3, 16x16
    t: T n, 4
    gap
    last: fc 10
""",
    "several conditions": """\
block T(n: int in [0, 1, 2, 3], c, deep = true):
    main: conv 3x3, c -> bn
    if n > 2 and deep:
        t1: T n - 1, c, false
    elif n > 0:
        t2: T n - 1, 2*c, deep=not deep
        back: conv 1x1, c
    relu
net N(n = 3):
    input 3, 16x16
    t: T n, 4
    gap
    last: fc 10
variant n1 = N()
variant n2 = N(0)
""",
    "made for each depth": """\
block Tree(depth: int in [1, 2, 3], c):
    conv: conv 3x3, c, /2 -> bn -> relu
    if depth > 1:
        deeper: Tree depth - 1, c
    else:
        flatten
        fc: fc c
net N(depth = 3):
    input 3, 16x16
    stem: conv 3x3, 4
    tree: Tree depth, 4
    last: fc 10
""",
    "blocks that are given each other": """\
block One(c, k: dims, r: float = 1.0):
    conv1: conv k, c
    conv2: conv 1x1, int(r * c)
    b: Slot Two, 5, 5x5

block Two(d: dims, width, factor: float = 2.0):
    conv1: conv d, int(width * factor)

block Slot(unit: op, w, k: dims = 3x3):
    a: unit k, w
    b: unit 1x1, 2*w

net N(w = 4):
    input 4, 8x8
    a: Slot One, w
    c: Slot Two(factor=1.5), w + 1
    gap
variant n1 = N()
variant n2 = N(6)
""",
}

BELOW = """\
block Wide(k = 2):
    f: Gate
    c: conv 1x1, k*x.c

block Gate(att: op = none):
    a: conv 3x3, 8
    att: att when att
    b: conv 3x3, 8

net N(att: op = none):
    input 4, 8x8
    w: Wide
    b: Gate Wide
    c: Gate att
    gap

variant n1 = N()
variant n2 = N(Wide)
"""
"""A class that takes one that contains it, and so stands below."""


def nets_of(name: str) -> tuple[Network, ...]:
    """Return the nets of a text."""
    return tuple(map(Network, recipes(read_text(SPECS[name]), "", {}, {})))


def module(name: str, backend: str) -> str:
    """Return the module of all nets of a text."""
    (text,) = emit_family(nets_of(name), backend).values()
    return text


@pytest.mark.parametrize("name", SPECS)
def test_all_nets_are_what_the_spec_says(name: str) -> None:
    made = execute(module(name, "torch"))
    for net in nets_of(name):
        model, shapes = made[net.name]().double(), state_shapes(net)
        numbers = draw_state(shapes, seed=3)
        assert list(model.state_dict()) == list(shapes)
        model.load_state_dict(numbers)
        x = [torch.randn(2, *shape, dtype=torch.float64) for shape in net.inputs.values()]
        for training in (False, True):
            with torch.no_grad():
                mine, theirs = by_name(model.train(training)(*x)), interpret(net, numbers, x, training)
            for key, value in theirs.items():
                torch.testing.assert_close(mine[key], value, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("backend", ["torch", pytest.param("flax", marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", SPECS)
def test_classes_are_right_for_other_arguments(name: str, backend: str) -> None:
    net, *_ = nets_of(name)
    for subject in subjects_of(net, backend, module(name, backend)).values():
        found = report(subject, backend, 6 if backend == "torch" else 2)
        assert found.legal
        assert not found.wrong


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("a tree", ["self.tree1 = Tree(in_channels, levels - 1, c, stride=stride)"]),
        ("two blocks in each other", ["self.tree2 = Second(c, kept_channels + c, levels - 1, c)"]),
        ("as many channels as it is deep", ["channels = self.deeper.out_channels"]),
        ("in a loop", ["self.join = nn.Conv2d(c + c * max(n, 0), c, 1)"]),
        ("a list that gets shorter", ["self.inner = Unet(cs[0], cs[1:])"]),
        ("a list that gets longer", ["self.deeper = Tree([*channels, c], depth - 1, c + 1)"]),
        ("an op that is handed on", ["self.right = Tree(channels, unit, depth - 1, c)"]),
    ],
)
def test_a_class_calls_itself(name: str, lines: list[str]) -> None:
    text = module(name, "torch")
    assert [line for line in lines if line not in text] == []


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["torch", "torch:features", "torch:low_memory", "flax"])
def test_a_type_checker_finds_nothing(backend: str, tmp_path: Path) -> None:
    for number, name in enumerate(SPECS):
        (tmp_path / f"net{number}.py").write_text(module(name, backend))
    assert mypy(tmp_path) == ""


def test_what_a_block_is_made_for_does_not_depend_on_how_names_are_hashed(tmp_path: Path) -> None:
    """A map that becomes one place is taken for what it is: more and more classes, in any order."""
    (tmp_path / "dla.net").write_text((Path(__file__).parents[1] / "specs/dla.net").read_text())
    call = "DlaTree unit=DlaBasic, levels=5, c=1, stride=3, level_root=false, shortcut=false"
    net = f"net N:\n    input 1, 3x3\n    tree: {call}\n"
    (tmp_path / "n.net").write_text(f'import DlaTree, DlaBasic from "dla.net"\n\n{net}')
    command = [sys.executable, "-m", "netdsl", "compile", "n.net", "--backend", "torch"]
    texts = set()
    for seed in ("1", "2", "5"):
        environment = {**ENVIRONMENT, "PYTHONHASHSEED": seed}
        done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        texts.add(done.stdout)
    assert len(texts) == 1


def test_a_class_may_take_one_that_stands_below() -> None:
    nets = tuple(map(Network, recipes(read_text(BELOW), "", {}, {})))
    (text,) = emit_family(nets, "torch").values()
    assert 'att: Callable[..., "Wide"] | None = None' in text
    for net in nets:
        state = {key: tuple(tensor.shape) for key, tensor in execute(text)[net.name]().state_dict().items()}
        assert state == {key: tuple(shape) for key, shape in state_shapes(net).items()}

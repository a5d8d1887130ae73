"""The class of a block says what the spec says, whatever numbers happen to be equal in the net it was emitted for.

Other channels and other depths change numbers in the calls of classes, and nothing else.
"""

from __future__ import annotations

import ast
import random
import re
from collections.abc import Mapping
from string import Template

import pytest
from metamorphic import blocks_of

from netdsl.api import loads

PRIMES = (11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61)
DEPTHS = (2, 3, 5, 7)
ASSIGNMENTS = 6

SPECS = {
    "residual": """\
default conv 3x3, bias=false

block Unit(c, stride = 1):
    add:
        conv c, /stride as conv1 -> bn as bn1 -> relu -> conv c as conv2 -> bn as bn2
        downsample: conv 1x1, c, /stride -> bn when stride != 1 or x.c != c
    relu

net Residual(classes = 10):
    input 3, 32x32
    stem: conv $a
    layer1: $n * Unit $b
    layer2: $m * Unit $c, /2 first
    layer3: Unit $d
    gap
    fc: fc classes
""",
    "inception": """\
default conv 3x3, act=relu

block Basic(k: dims, c):
    conv: conv k, c, bias=false, act=none
    norm: bn
    relu

block Mixed(c1, r, c3, p):
    concat:
        branch1: Basic 1x1, c1
        branch2: Basic 1x1, r -> Basic 3x3, c3
        branch3: maxpool 3x3, /1, pad=1 -> Basic 1x1, p

net Inception(classes = 10):
    input 3, 16x16
    stem: conv $a
    mixed1: Mixed $b, $c, $d, $e
    mixed2: Mixed $c, $b, $d, $a
    mixed3: Mixed $d, $d, $e, $e
    gap
    fc: fc classes
""",
    "squeeze": """\
default conv 1x1

block Gate(ratio = 4):
    mul:
        identity
        avgpool to=1x1 -> conv x.c//ratio as fc1 -> relu -> conv x.c as fc2 -> sigmoid

block Unit(c, ratio = 4, gated = true):
    add:
        conv 3x3, c as conv1 -> bn as bn1 -> relu -> [Gate ratio as gate when gated]
        skip: conv c when x.c != c

net Squeeze(classes = 10):
    input 3, 16x16
    stem: conv $a
    unit1: Unit $b
    unit2: Unit $c, ratio=2
    unit3: Unit $d, gated=false
    unit4: Unit $d
    gap
    fc: fc classes
""",
    "stages": """\
default conv 3x3, norm=bn, act=relu

block Stage(c, depth, stride = 1):
    down: conv c, /stride
    body: depth * conv c
    grow: conv 1x1, 2*c -> conv 1x1, c

net Stages(classes = 10):
    input 3, 32x32
    stage1: Stage $a, $n
    stage2: Stage $b, $m, /2
    stage3: Stage $c, $n, /2
    gap
    fc: fc classes
""",
    "transition": """\
default conv 3x3, bias=false

block Layer(growth, wide = 4):
    concat:
        identity
        bn as norm1 -> relu -> conv 1x1, wide*growth as conv1 -> bn as norm2 -> relu -> conv growth as conv2

block Transition:
    norm: bn
    relu
    conv: conv 1x1, x.c//2
    avgpool 2x2, /2

net Dense(classes = 10):
    input 3, 32x32
    stem: conv $a
    block1: $n * Layer $b
    transition1: Transition
    block2: $m * Layer $c, wide=2
    transition2: Transition
    block3: Layer $d
    gap
    fc: fc classes
""",
    "inverted": """\
default conv 1x1, bias=false, norm=bn, act=relu6

block Inverted(k: dims, c, stride = 1, expand = 6):
    hidden = expand * x.c
    residual = stride == 1 and x.c == c
    block:
        (conv hidden) when hidden != x.c
        (dwconv k, /stride)
        (conv c, act=none)
    if residual:
        add:
            from x
            from block

net Mobile(classes = 10):
    input 3, 32x32
    stem: conv 3x3, $a
    b1: Inverted 3x3, $b, expand=1
    b2: $n * Inverted 3x3, $c, /2 first
    b3: Inverted 5x5, $c
    b4: Inverted 5x5, $d, /2, expand=4
    b5: Inverted 3x3, $d, expand=1
    gap
    fc: fc classes
""",
}
"""Each is right for every number of channels and layers."""


def assignments(name: str) -> list[dict[str, int]]:
    """Return numbers for a spec: all different, all equal, some equal, and others."""
    r = random.Random(name)
    channels, depths = "abcde", "nm"
    found = [dict(zip(channels, r.sample(PRIMES, len(channels)), strict=True)) | {"n": 2, "m": 3}]
    found.append(dict.fromkeys(channels, 32) | {"n": 2, "m": 2})
    found.append(dict(zip(channels, (16, 32, 16, 64, 32), strict=True)) | {"n": 3, "m": 3})
    found.append(dict(zip(channels, (16, 8, 16, 32, 64), strict=True)) | {"n": 1, "m": 1})
    while len(found) < ASSIGNMENTS:
        numbers = dict(zip(channels, r.sample(PRIMES, len(channels)), strict=True))
        found.append(numbers | {key: r.choice(DEPTHS) for key in depths})
    return found


class Normal(ast.NodeTransformer):
    """Puts N for every number in the arguments of a call."""

    inside = False

    def visit_Call(self, node: ast.Call) -> ast.AST:
        node.func = self.visit(node.func)
        before, self.inside = self.inside, True
        node.args = [self.visit(arg) for arg in node.args]
        node.keywords = [self.visit(keyword) for keyword in node.keywords]
        self.inside = before
        return node

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        number = type(node.value) in (int, float)
        return ast.Name("N", ast.Load()) if self.inside and number else node


def classes(name: str, numbers: Mapping[str, int], backend: str) -> dict[str, str]:
    """Return the classes of a spec's blocks, without the numbers in their calls."""
    text = Template(SPECS[name]).substitute({key: str(number) for key, number in numbers.items()})
    net = loads(text, f"{name}.net")
    blocks = blocks_of(net.recipe.net.file)
    return {
        node.name: ast.unparse(Normal().visit(node))
        for node in ast.parse(net.emit(backend)).body
        if isinstance(node, ast.ClassDef) and re.sub(r"\d+$", "", node.name) in blocks
    }


@pytest.mark.parametrize("backend", ["torch", "flax"])
@pytest.mark.parametrize("name", SPECS)
def test_other_numbers_change_nothing_but_numbers_in_calls(name: str, backend: str) -> None:
    first, *others = assignments(name)
    expected = classes(name, first, backend)
    assert expected
    for numbers in others:
        assert classes(name, numbers, backend) == expected, numbers


@pytest.mark.parametrize("name", SPECS)
def test_each_block_has_one_class(name: str) -> None:
    for numbers in assignments(name):
        assert not [found for found in classes(name, numbers, "torch") if found[-1].isdigit()], numbers


def test_numbers_are_left_out_in_calls_only() -> None:
    body = "def f(self, n=3):\n    y = 2 if n != 1 else n\n    return C({}, k=({}, n), s=D({} * n))"
    text, said = body.format(4, 5, 2), body.format("N", "N", "N")
    assert ast.unparse(Normal().visit(ast.parse(text))) == said

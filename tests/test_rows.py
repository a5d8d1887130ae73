"""Lists whose items are of several kinds, in emitted modules: their types, and what reads them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from interpreter import draw_state, interpret, state_shapes
from netdsl_torch.run import by_name
from test_emitted import mypy
from torch_oracles import execute

from netdsl import Network
from netdsl.api import read_text, recipes
from netdsl.backend import emit_family

BACKENDS = ["torch", "flax"]

LISTS = {
    "rows": """\
net N(cfg: list):
    input 3, 16x16
    for k, c in cfg:
        conv k, c, pad=same
    gap

variant n1 = N([[5x5, 8], [3x3, 16]])
variant n2 = N([[3x3, 8], [3x3, 16], [1x1, 4]])
""",
    "a block in one cell, a number in another": """\
block SE(r):
    mul:
        identity
        avgpool to=1x1 -> conv 1x1, x.c // r as down -> relu -> conv 1x1, x.c as up -> sigmoid

block Up(r):
    conv: conv 1x1, 2*r

net N(cfg: list):
    input 16, 8x8
    for unit, n in cfg:
        n * unit 4
    gap

variant n1 = N([[SE, 1], [Up, 2]])
variant n2 = N([[SE, 1]])
""",
    "paddings": """\
net N(cfg: list = [[3x3, 8, same], [5x5, 4, same]]):
    input 3, 16x16
    for i, row in enumerate(cfg):
        k, c, p = row
        conv{i}: conv k, c, pad=p
    gap

variant n1 = N()
variant n2 = N([[3x3, 8, 1]])
""",
    "a flag and a text": """\
net N(cfg: list):
    input 3, 16x16
    for mode, deep, c in cfg:
        conv 3x3, c
        if deep:
            conv 1x1, c
        if mode == "relu":
            relu
        else:
            silu
    gap

variant n1 = N([["relu", true, 8], ["silu", false, 16]])
""",
    "rows of their own and as a default": """\
block Unit(k: dims, c, extra: list = [3x3, 8]):
    conv: conv k, c
    k2, c2 = extra
    extra: conv k2, c2

net N(cfg: list, begin: list = [4, true]):
    input 3, 16x16
    c0, deep = begin
    conv 3x3, c0
    if deep:
        conv 1x1, c0
    for k, c, e in cfg:
        Unit k, c, e
    Unit 3x3, 4
    gap

variant n1 = N([[5x5, 8, [3x3, 1]], [3x3, 16, [1x1, 2]]])
""",
    "ints and floats": """\
block Unit(row: list):
    c, r = row
    conv: conv 3x3, c
    less: conv 1x1, int(c * r)

net N(c, rows: list, ratios: list = [1, 0.5]):
    input 3, 16x16
    a: Unit [c, 0.5]
    b: Unit [2*c, 1]
    for i, row in enumerate(rows):
        u{i}: Unit row
    body:
        for r in ratios:
            conv 3x3, int(c * r)
            conv 3x3, int(c * ratios[-1])
        for i in range(len(ratios)):
            conv 3x3, int(c * ratios[i])
    gap

variant n0 = N(8, [[8, 1]], [2])
variant n1 = N(8, [[8, 1]])
variant n2 = N(8, [[8, 0.5], [16, 1]], [2, 1])
variant n3 = N(8, [[8, 0.5]], [2, 0.5, 1])
""",
    "rows in rows": """\
net N(stages: list):
    input 3, 16x16
    for k, rows in stages:
        for c, s in rows:
            conv k, c, /s, pad=same
    gap

variant n1 = N([[5x5, [[8, 1], [4, 2]]], [3x3, [[16, 1]]]])
""",
    "tables with rows": """\
block A(c):
    conv: conv 3x3, c

block B(c):
    conv: conv 1x1, c

table rows(u, cfg):
    A, [8, true]
    B, [4, false]

net N(rows: table):
    input 3, 16x16
    for u, cfg in rows:
        c, deep = cfg
        if deep:
            u c
        relu
    gap

variant n1 = N(rows)
""",
    "cells by a number": """\
table rows(a, b):
    4, 0.5
    8, 1.0

net N(rows: table, n = 2):
    input 3, 16x16
    for i, row in enumerate(rows):
        c{i}: conv 1x1, row[0]
        for j in range(n):
            d{i}_{j}: conv 1x1, int(8 * row[j])
    gap

variant n1 = N(rows)
""",
    "a list of the file": """\
cfg = [[5x5, 8, 0.5], [3x3, 16, 0]]

net N(drop = 0.2):
    input 3, 16x16
    for k, c, p in cfg:
        conv k, c -> dropout p
    dropout drop
    gap

variant n1 = N()
""",
    "a list that is not read": """\
net N(rows: list, deep = true):
    input 3, 16x16
    conv 3x3, 4
    if deep:
        for k, c in rows:
            conv k, c
    gap

variant n1 = N([[5x5, 8]])
variant n2 = N([[3x3, 8, 1]], deep=false)
""",
    "rows of several lengths": """\
net N(cfg: list):
    input 3, 16x16
    for i, row in enumerate(cfg):
        conv{i}: conv row[0], row[1], pad=same
        if len(row) > 2:
            drop{i}: dropout row[2]
    gap

variant n1 = N([[3x3, 8], [5x5, 16, 0.5]])
variant n2 = N([[3x3, 8, 0.25]])
""",
    "rows of several lengths in a container": """\
net N(cfg: list):
    input 3, 16x16
    for i, row in enumerate(cfg):
        stage{i}:
            conv: conv row[0], row[1], pad=same
            if len(row) > 2:
                more: conv 1x1, row[2]
    gap

variant n1 = N([[3x3, 8], [5x5, 16, 4]])
""",
    "rows of several lengths that are taken apart": """\
net N(cfg: list):
    input 3, 16x16
    for i, row in enumerate(cfg):
        if len(row) == 2:
            k, c = row
            conv{i}: conv k, c, pad=same
        else:
            k, c, s = row
            convs{i}: conv k, c, /s, pad=same
    gap

variant n1 = N([[3x3, 8], [5x5, 16, 2]])
variant n2 = N([[3x3, 8]])
""",
    "numbers in rows of several lengths": """\
net N(cfg: list):
    input 3, 16x16
    for i, row in enumerate(cfg):
        conv{i}: conv 3x3, row[0], pad=1
        if len(row) > 2:
            pool{i}: maxpool 2x2, /row[2]
    gap

variant n1 = N([[64, 3], [128, 3, 2]])
variant n2 = N([[8, 1, 1]])
""",
    "kinds that differ from turn to turn": """\
net N(cfg: list):
    input 3, 16x16
    for c in cfg:
        if c == "M":
            maxpool 2x2, /2
        else:
            conv 3x3, c
    gap

variant n1 = N([4, "M", 8])
variant n2 = N([4, "M", 8, 8, "M"])
""",
}


def nets_of(name: str) -> tuple[Network, ...]:
    """Return the nets of a text."""
    return tuple(map(Network, recipes(read_text(LISTS[name]), "", {}, {})))


def module(name: str, backend: str) -> str:
    """Return the module of all nets of a text."""
    (text,) = emit_family(nets_of(name), backend).values()
    return text


@pytest.mark.parametrize("name", LISTS)
def test_a_module_of_lists_makes_all_its_nets(name: str) -> None:
    made = execute(module(name, "torch"))
    for net in nets_of(name):
        model, shapes = made[net.name]().double().eval(), state_shapes(net)
        assert {key: tuple(tensor.shape) for key, tensor in model.state_dict().items()} == shapes
        numbers = draw_state(shapes, seed=2)
        model.load_state_dict(numbers)
        x = [torch.randn(2, *shape, dtype=torch.float64) for shape in net.inputs.values()]
        with torch.no_grad():
            mine, theirs = by_name(model(*x)), interpret(net, numbers, x, False)
        for key, value in theirs.items():
            torch.testing.assert_close(mine[key], value, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("rows", "cfg: list[tuple[tuple[int, int], int]]"),
        ("a flag and a text", "cfg: list[tuple[str, bool, int]]"),
        ("rows of their own and as a default", "extra: tuple[tuple[int, int], int] = ((3, 3), 8)"),
        ("rows of their own and as a default", "begin: tuple[int, bool] = (4, True)"),
        (
            "rows of several lengths",
            "cfg: list[tuple[tuple[int, int], int] | tuple[tuple[int, int], int, float]]",
        ),
        ("numbers in rows of several lengths", "cfg: list[list[int]]"),
        ("ints and floats", "rows: Sequence[tuple[int, float]],"),
        ("ints and floats", "ratios: Sequence[float] = (1, 0.5)"),
        ("ints and floats", "[(8, 0.5), (16, 1)]"),
    ],
)
def test_rows_are_tuples_and_have_a_type_a_column(name: str, said: str, backend: str) -> None:
    assert said in module(name, backend)


@pytest.mark.slow
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_type_checker_finds_nothing(backend: str, tmp_path: Path) -> None:
    for name in LISTS.keys() - {"a list that is not read"}:  # whose rows have no type in common
        (tmp_path / f"{name.replace(' ', '_').replace(',', '')}.py").write_text(module(name, backend))
    assert mypy(tmp_path) == ""

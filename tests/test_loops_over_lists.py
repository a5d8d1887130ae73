"""Loops that make the modules of a list: `forward` runs over the list, as TorchScript asks."""

from __future__ import annotations

import re
import runpy
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from interpreter import draw_state, interpret, state_shapes
from test_loops import assert_same, net_of

from netdsl import api

LISTS = {
    "a number of turns": (
        """\
net N(n = 3):
    input 3, 8x8
    for i in range(n):
        blocks.{i}: conv 3x3, 4 -> bn -> relu
    gap
""",
        ["for block in self.blocks:"],
        [{"n": 1}, {"n": 4}],
    ),
    "the rows of a table": (
        """\
table rows(c, n, s):
    4, 1, 1
    6, 2, 2
    8, 1, 1

net N(width = 1):
    input 3, 8x8
    for i, (c, n, s) in enumerate(rows):
        blocks.{i}: n * (conv 3x3, c*width, /s first -> bn)
    gap
""",
        ["for block in self.blocks:"],
        [{"width": 2}],
    ),
    "a list, of which the turns read the numbers": (
        """\
block B(ks: list):
    for i, k in enumerate(ks):
        blocks.{i}: conv 3x3, 4*k
        scale 1.0*k

net N(more = 3):
    input 3, 8x8
    b: B [1, 2, more]
    c: B [more]
    gap
""",
        ["for i, block in enumerate(self.blocks):", "k = self.ks[i]"],
        [{"more": 5}],
    ),
    "a list and the number of its turns": (
        """\
block B(ks: list):
    for i, k in enumerate(ks, 1):
        convs.{i-1}: conv 3x3, 4*k
        scale 1.0*k + i

net N(more = 3):
    input 3, 8x8
    b: B [1, 2, more]
    gap
""",
        ["for i, conv in enumerate(self.convs, 1):", "k = self.ks[i - 1]"],
        [{"more": 5}],
    ),
    "two lists of numbers": (
        """\
block B(ks: list, js: list):
    for i, (k, j) in enumerate(zip(ks, js)):
        blocks.{i}: conv 3x3, 4*k
        scale 1.0*j

net N(more = 3):
    input 3, 8x8
    b: B [1, 2, more], [more, 1, 2]
    gap
""",
        ["for i, block in enumerate(self.blocks):", "j = self.js[i]"],
        [{"more": 5}],
    ),
    "two modules in a turn": (
        """\
net N(n = 2, c = 4):
    input 3, 8x8
    for i in range(n):
        conv.{i}: conv 3x3, c + i
        bn.{i}: bn
        relu
    for i in range(1, n + 1):
        a.{i-1}: conv 3x3, c
        b.{i-1}: bn
        scale 1.0*i
    gap
""",
        [
            "for conv, bn in zip(self.conv, self.bn, strict=True):",
            "for i, (a, b) in enumerate(zip(self.a, self.b, strict=True), 1):",
        ],
        [{"n": 1}, {"n": 3, "c": 5}],
    ),
    "a module on either side of a condition": (
        """\
net N(n = 3, c = 4):
    input 3, 8x8
    for i in range(n):
        if i == 0:
            layers.{i}: conv 1x1, c
        else:
            layers.{i}: conv 3x3, c -> bn
    gap
""",
        ["for layer in self.layers:"],
        [{"n": 1}, {"n": 2}],
    ),
    "branches": (
        """\
net N(n = 3):
    input 3, 8x8
    concat:
        for i in range(n):
            branches.{i}: conv 3x3, 4 + i
    gap
""",
        ["[branch(x) for branch in self.branches]"],
        [{"n": 1}, {"n": 2}],
    ),
    "names that other values have": (
        """\
net N(n = 3):
    input 3, 8x8
    block: conv 1x1, 4
    for i in range(n):
        blocks.{i}: conv 3x3, 4
    add:
        identity
        from block
    for i in range(n):
        xs.{i}: conv 3x3, 4
    gap
""",
        ["in self.blocks:", "in self.xs:"],
        [{"n": 1}],
    ),
    "two loops, each over its own list": (
        """\
net N(n = 2):
    input 3, 8x8
    for i in range(n):
        downs.{i}: conv 3x3, 4
    for i in range(n):
        ups.{i}: conv 3x3, 4
    gap
""",
        ["for down in self.downs:", "for up in self.ups:"],
        [{"n": 1}],
    ),
    "a list that is there under a condition": (
        """\
block B(n, deep = true):
    conv 1x1, 4 as first
    if deep:
        for i in range(n):
            blocks.{i}: conv 3x3, 4

net N(n = 2):
    input 3, 8x8
    a: B n
    b: B n, false
    gap
""",
        ["for block in self.blocks:"],
        [{"n": 1}],
    ),
}
"""Nets, lines of their `forward`, and other arguments."""

OTHERWISE = {
    "a list that two loops fill": """\
net N(n = 2):
    input 3, 8x8
    for i in range(n):
        blocks.{i}: conv 3x3, 4
    for i in range(n):
        blocks.{n+i}: conv 1x1, 4
    gap
""",
    "a module on one side of a condition": """\
net N(n = 2):
    input 3, 8x8
    for i in range(n):
        if i > 0:
            blocks.{i-1}: conv 3x3, 3
        relu
    gap
""",
    "loops in a loop": """\
net N(n = 2):
    input 3, 8x8
    for i in range(n):
        for j in range(2):
            blocks.{2*i+j}: conv 3x3, 4
    gap
""",
    "two modules of one list in a turn": """\
net N(n = 2):
    input 3, 8x8
    for i in range(n):
        blocks.{2*i}: conv 3x3, 4
        blocks.{2*i+1}: bn
    gap
""",
    "numbers from the last to the first": """\
net N(n = 2):
    input 3, 8x8
    for i in range(n - 1, -1, -1):
        blocks.{n-1-i}: conv 3x3, 4
        scale 1.0*i + 1
    gap
""",
}
"""Nets whose loops are over numbers, since their lists hold more or less than a module a turn."""


def scripted(module: torch.nn.Module) -> Any:
    """Return a module in TorchScript."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return torch.jit.script(module)


@pytest.mark.parametrize("backend", ["torch", "flax"])
@pytest.mark.parametrize("name", LISTS)
def test_a_loop_runs_over_the_list_that_it_fills(name: str, backend: str) -> None:
    text, lines, _ = LISTS[name]
    net = net_of(text)
    emitted = net.emit(backend)
    assert [line for line in lines if line not in emitted] == []
    assert not re.search(r"self\.\w+\[i\]\(", emitted)
    assert_same(net, backend)


@pytest.mark.parametrize("name", LISTS)
def test_torchscript_takes_a_loop_over_a_list(name: str, tmp_path: Path) -> None:
    text, _, others = LISTS[name]
    file = tmp_path / "n.py"  # TorchScript reads a class's text
    file.write_text(net_of(text).emit("torch"))
    made = runpy.run_path(str(file))["N"]
    x = torch.randn(3, 3, 8, 8, dtype=torch.float64)
    for arguments in ({}, *others):
        given = ", ".join(f"{key}={value}" for key, value in arguments.items())
        net = api.loads(f"{text}\nvariant other = N({given})\n", "n.net", "other")
        module = made(**arguments).double()
        numbers = draw_state(state_shapes(net), seed=2)
        for training in (False, True):
            (expected,) = interpret(net, numbers, [x], training).values()
            for one in (module, scripted(module)):
                one.load_state_dict(numbers)
                with torch.no_grad():
                    torch.testing.assert_close(one.train(training)(x), expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("backend", ["torch", "flax"])
@pytest.mark.parametrize("name", OTHERWISE)
def test_a_loop_runs_over_no_list_that_holds_more_or_less(name: str, backend: str) -> None:
    net = net_of(OTHERWISE[name])
    assert " in self.blocks" not in net.emit(backend)
    assert_same(net, backend)

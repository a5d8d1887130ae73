"""What the spec refuses and frameworks do not, the constructor of an emitted class refuses, and says what it is."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from netdsl_flax.run import still
from torch_oracles import execute

import netdsl
from netdsl.api import loads

SPEC = """\
block Turns(n, m = 2, c = 4):
    n * conv 3x3, 4
    more = m - 1
    more * conv 1x1, c

block Deep(n, c, deep = false):
    a: (n * conv 3x3, 4) when deep
    gap
    f: fc c when deep
    g: fc 3

block Depth(depth):
    n = (depth - 2) // 6
    n * conv 3x3, 4

block Up(steps, c = 4):
    conv 1x1, c -> upsample 2**steps

net N(k = 3, hidden = 5, classes = 3):
    input 4, 8x8
    a: Turns 2
    b: Turns 3, m=1
    c: Up 1
    d: Depth 8
    train output one: from b -> Deep 1, 3
    train output two: from c -> Deep 2, 4, true
    k * relu
    gap
    f: fc hidden -> relu
    g: fc classes
"""
WRONG = [
    ("Turns", {"n": -1}, "n must be at least 0"),
    ("Turns", {"n": 2, "m": 0}, "a repetition needs a whole number from 0"),
    ("Depth", {"depth": 1}, "a repetition needs a whole number from 0"),
    ("Deep", {"n": -1, "c": 3, "deep": True}, "a repetition needs a whole number from 0"),
    ("Deep", {"n": 1, "c": 0, "deep": True}, "fc needs at least 1 channel, not 0"),
    ("Up", {"steps": -1}, "upsample needs a scale from 1, not 0.5"),
    ("N", {"k": -1}, "k must be at least 0, hidden and classes at least 1"),
    ("N", {"hidden": 0}, "k must be at least 0, hidden and classes at least 1"),
]


def make(names: dict[str, Any], name: str, given: dict[str, Any]) -> object:
    """Return a module of a class."""
    takes = inspect.signature(names[name].__init__).parameters
    return names[name](
        **({"in_channels": 4} if name != "N" else {}),
        **given,
        **({"rngs": still()} if "rngs" in takes else {}),
    )


@pytest.mark.parametrize("backend", ["torch", "flax"])
def test_what_the_spec_refuses_is_a_value_error(backend: str) -> None:
    names = execute(loads(SPEC).emit(backend))
    for name, given, said in WRONG:
        with pytest.raises(ValueError, match=f"^{said}$"):
            make(names, name, given)
    make(names, "Turns", {"n": 0, "m": 1})
    make(names, "Deep", {"n": -1, "c": 0})
    make(names, "N", {"k": 0, "hidden": 1})


@pytest.mark.parametrize("backend", ["torch", "flax"])
def test_nasnet_has_at_least_one_cell_of_each_size(backend: str) -> None:
    names = execute(netdsl.load("nasnet_a_mobile").emit(backend))
    with pytest.raises(ValueError, match=r"^stem, n and classes must be at least 1$"):
        names["NASNetA"](32, 44, 0, **({"rngs": still()} if backend == "flax" else {}))


def test_the_checks_of_a_chain_stand_before_it() -> None:
    text = """\
        if classes < 1:
            raise ValueError("classes must be at least 1")
        super().__init__(
"""
    assert text in netdsl.load("alexnet").emit()


LISTS = """\
net N(n: list, m: list, k: list, late = 1):
    input 4, 8x8
    n1, n2 = n
    a: n1 * conv 3x3, 4
    b: n2 * conv 3x3, 5
    for i in range(len(m)):
        times = m[i]
        c{i}: times * conv 1x1, 6
    for b, times in enumerate(k):
        d{b}: times * conv 1x1, 7
    gap

variant one = N([1, 2], [1], [0, 1])
variant two = N([0, 0], [], [])
"""


@pytest.mark.parametrize("backend", ["torch", "flax"])
def test_counts_in_lists_are_checked(backend: str) -> None:
    names = execute(loads(LISTS, net="one").emit(backend))
    for wrong in ({"n": [1, -1]}, {"n": [-1, 1]}, {"m": [0, -1]}, {"k": [-1]}):
        with pytest.raises(ValueError, match=r"^m, k and n must be at least 0$"):
            make(names, "N", {"n": [1, 1], "m": [1], "k": [1]} | wrong)
    with pytest.raises(ValueError, match="unpack"):
        make(names, "N", {"n": [1, 1, 1], "m": [1], "k": [1]})
    make(names, "N", {"n": [0, 0], "m": [], "k": []})


def test_a_message_names_what_the_constructor_has() -> None:
    text = """
block Grow(k):
    concat:
        identity
        f: conv 3x3, k

net N(k = 4, reduction = 0.5):
    input 3, 8x8
    conv1: conv 3x3, 2*k
    for b in range(2):
        block{b}:
            for i in range(2):
                layer{i}: Grow k
        if b < 1:
            trans{b}: conv 1x1, int(flow.c * reduction)
    gap
"""
    names = execute(loads(text).emit())
    with pytest.raises(ValueError, match=r"^conv needs at least 1 channel, not 0$"):
        names["N"](reduction=0.01)


@pytest.mark.parametrize("backend", ["torch", "flax"])
def test_a_count_from_0_may_have_to_be_more_on_a_side(backend: str) -> None:
    names = execute(
        loads(
            "block B(c, n = 2, deep = false):\n    if deep:\n        a: conv 3x3, n\n    body: n * conv 3x3, c\n"
            "net N(n = 2, deep = false):\n    input 3, 8x8\n    b: B 4, n, deep\n    gap\n"
        ).emit(backend)
    )
    given = {"c": 4, "n": 0}
    make(names, "B", given)
    with pytest.raises(ValueError, match=r"^n must be at least 1$"):
        make(names, "B", given | {"deep": True})

"""Tuples of any length as lists: one class for every number of values, and a net's loops as loops."""

from __future__ import annotations

import re

import pytest
import torch
from interpreter import draw_state, interpret, state_shapes
from metamorphic import Torch, report, subjects_of
from torch_oracles import load

from netdsl import Network, api

TWO = """\
block Two(c):
    fork:
        a: conv 3x3, c
        b: conv 3x3, 2*c

"""

LISTS = {
    "either": """\
block Fuse(c):
    add:
        if x[0].c == c:
            from x[0]
            "1": from x[1] -> conv 1x1, c
        else:
            "0": from x[0] -> conv 1x1, c
            from x[1]

net N:
    input 3, 8x8
    a: conv 3x3, 4
    b: conv 3x3, 8
    p: from a, b -> Fuse 4
    q: from a, b -> Fuse 8
    r: from p -> conv 1x1, 8
    from q, r -> add
""",
    "each": """\
block Each:
    fork:
        for i in range(len(x)):
            s{i}: from x[i] -> conv 1x1, x[i].c

net N:
    input 3, 8x8
    two: Two 4
    e1: Each
    e2: Each
    concat
""",
    "more": """\
block More(c):
    fork:
        for i in range(len(x)):
            from x[i]
        s{len(x)}: from x[len(x)-1] -> conv 3x3, c -> bn

net N:
    input 3, 8x8
    two: Two 4
    m1: More 3
    m2: More 5
    concat
""",
    "some": """\
block Mix(i):
    c = x[i].c
    add:
        for j in range(len(x)):
            if j == i:
                from x[j]
            else:
                s{j}: from x[j] -> conv 1x1, c
    relu

net N:
    input 3, 8x8
    two: Two 4
    m0: Mix 0
    m1: from two -> Mix 1
    concat:
        from m0
        from m1
""",
    "within": """\
block Cross:
    fork:
        for i in range(len(x)):
            s{i}: add:
                for j in range(len(x)):
                    t{i}_{j}: from x[j] -> conv 1x1, x[i].c

net N:
    input 3, 8x8
    two: Two 4
    c1: Cross
    c2: Cross
    concat
""",
    "under": """\
block Each:
    fork:
        for i in range(len(x)):
            s{i}: from x[i] -> conv 1x1, x[i].c

block Deep(n, last = false):
    for k in range(n):
        e{k}: Each
    last: Each when last

net N:
    input 3, 8x8
    two: Two 4
    d1: Deep 2
    d2: Deep 1, last=true
    concat
""",
}


def net_of(text: str) -> Network:
    """Return the net N of a text."""
    return api.loads(text, "n.net", "n")


def assert_same(net: Network) -> None:
    """Assert that the emitted module is the graph: its state, and what it gives."""
    shapes = state_shapes(net)
    module = net.build().double()
    assert {key: tuple(tensor.shape) for key, tensor in module.state_dict().items()} == shapes
    numbers = draw_state(shapes, seed=2)
    module.load_state_dict(numbers)
    x = [torch.randn(2, *shape, dtype=torch.float64) for shape in net.inputs.values()]
    with torch.no_grad():
        theirs = [*interpret(net, numbers, x, False).values()]
        assert Torch().differ("evaluation", [module.eval()(*x)], theirs) == ""


def classes(text: str) -> list[str]:
    """Return the names of a module's classes."""
    return re.findall(r"^class (\w+)", text, re.MULTILINE)


@pytest.mark.parametrize("name", LISTS)
def test_a_block_of_a_list_is_one_class_for_any_length(name: str) -> None:
    net = net_of(TWO + LISTS[name])
    text = net.emit("torch")
    assert not any(cls[-1].isdigit() and cls != "S0" for cls in classes(text))
    assert "xs: list[Tensor]" in text
    assert_same(net)
    for subject in subjects_of(net, "torch", text).values():
        assert report(subject, "torch", 8).faults == []


def test_a_concatenation_of_a_list_takes_lists_of_any_length() -> None:
    net = net_of(
        f"{TWO}block Join:\n    concat\n    c: conv 1x1, 4\n\n"
        "net N:\n    input 3, 8x8\n    two: Two 4\n    join: Join\n"
    )
    assert "xs: list[Tensor]" in net.emit("torch")
    assert_same(net)


def test_what_needs_the_length_takes_values_one_by_one() -> None:
    body = "    a, b = from x\n    concat:\n        from b -> conv 1x1, 2 as c\n        from a\n"
    net = net_of(f"{TWO}block Join:\n{body}\nnet N:\n    input 3, 8x8\n    two: Two 4\n    join: Join\n")
    assert "list[Tensor]" not in net.emit("torch")
    assert_same(net)


def test_hrnet_has_one_class_a_block() -> None:
    names = classes(load("hrnet_w18", 64).emit("torch"))
    assert {"Fuse", "HighResolutionModule", "Stage", "Transition", "Incre"} <= set(names)
    assert not any(re.fullmatch(r"(Fuse|HighResolutionModule|Stage|Transition)\d", name) for name in names)


def test_a_size_that_differs_in_the_first_turn_alone_is_said_of_the_turn() -> None:
    text = load("nasnet_a_mobile", 96).emit("torch")
    assert "for s in range(3):" in text
    assert "for i in range(n):" in text
    assert "NormalCell(channels0, channels1, i > 0, w)" in text
    assert "if min(stem, n, classes) < 1:" in text


PAIR = """\
block Pair(c, s = 1):
    a: from x[0] -> conv 3x3, c, /s
    b: from x[-1] -> conv 3x3, c, /s
    add:
        from a
        from b

"""
STAGE = """\
block Stage(c):
    u1: Pair c, 2
    u2: Pair c
    return u2, u1

"""
AFTER_PAIRS = {
    "one": "Pair 6 as p -> maxpool 3x3, /2",
    "smaller": "Pair 6, 3 as p",
    "two": "Stage 6 as s -> Pair 5 as p -> avgpool 2x3",
    "within": "(Stage 6 as s -> Pair 5 as p) as inner -> maxpool 2x2",
    "pooled": "Pair 6 as p -> gap",
}


@pytest.mark.parametrize("name", AFTER_PAIRS)
def test_what_needs_a_size_behind_a_block_of_several_values(name: str) -> None:
    """Its size is not said of the block's class, but what the net is given decides it."""
    flat = "" if name == "pooled" else "    flatten\n"
    body = "    input 3, 17x13\n    first: conv 3x3, 4\n    second: conv 3x3, 5\n"
    body += f"    from second, first -> {AFTER_PAIRS[name]}\n{flat}    fc1: fc 7\n"
    net = net_of(PAIR + STAGE.replace("u2: Pair", "u2: from u1, u1 -> Pair") + f"net N:\n{body}")
    assert_same(net)
    other = [torch.randn(1, 3, 33, 20, dtype=torch.float64)]
    module = net.build().double()
    if flat:
        with pytest.raises(AssertionError, match="fc1 takes"):
            module(*other)
    else:
        module(*other)
    assert net.emit("flax")

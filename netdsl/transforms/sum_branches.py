"""Sums of convolutions of one map as one convolution: (w x) + (v x) is (w + v) x.

So a block of RepVGG, which adds a 3x3, a 1x1 and its input, each with a norm, is one 3x3.
Ding et al., arXiv 2101.03697.
"""

from __future__ import annotations

from functools import reduce
from operator import add
from typing import TYPE_CHECKING, NamedTuple

from netdsl.ir.graph import Node, Value
from netdsl.ir.types import Dims
from netdsl.ops.conv import Conv, DwConv
from netdsl.ops.joint import Add
from netdsl.ops.norm import BatchNorm
from netdsl.ops.window import both
from netdsl.transforms.change import Change, Formula
from netdsl.transforms.fold_norms import of_norm

if TYPE_CHECKING:
    from netdsl.ops.base import Array


class Branch(NamedTuple):
    """One term of a sum, as a convolution."""

    value: Value
    """What the sum reads."""
    source: Value
    """What it is a convolution of."""
    kind: tuple[tuple[int, int], int, int]
    """Stride, groups and channels: terms of one kind can be one."""
    node: str
    """The layer, "" for the source itself."""
    kernel: tuple[int, int]


def sum_branches(change: Change) -> None:
    """Make one convolution of those that a sum adds, which take the middle of their windows at the same places."""
    for name in [node.name for node in change.ordered() if isinstance(node.op, Add)]:
        node = change.nodes[name]
        branches = [
            one for value in dict.fromkeys(node.inputs) if (one := _branch(change, value)) is not None
        ]
        if len(node.inputs) != len(set(node.inputs)):
            continue
        for first in branches:
            same = [one for one in branches if (one.source, one.kind) == (first.source, first.kind)]
            same += [one for one in _sources(change, node, first) if one.value not in [b.value for b in same]]
            if len(same) > 1 and not any(one.value not in change.nodes[name].inputs for one in same):
                _merge(change, name, same)
                break


def _branch(change: Change, value: Value) -> Branch | None:
    """Return a term as a convolution; None if it is none, or something else reads it or has its weights."""
    node = change.nodes[value.node]
    if (
        change.reader(node.name) is None
        or len(change.calls(node.home)) > 1
        or type(node.op) not in (Conv, DwConv)
    ):
        return None
    op, c = node.op, change.shape(node.name).c
    assert isinstance(op, Conv | DwConv)
    middle = tuple(size // 2 for size in op.kernel)
    odd = all(size % 2 for size in op.kernel) and both(op.dilation) == (1, 1)
    if not odd or op.pads_by_size or tuple(op.constant_padding) != middle:
        return None
    kind = both(op.stride), op.groups_of(c), op.channels_of(c)
    return Branch(value, node.inputs[0], kind, node.name, (op.kernel[0], op.kernel[1]))


def _sources(change: Change, joint: Node, first: Branch) -> list[Branch]:
    """Return the terms of a sum that are the map itself, or its norm."""
    stride, _, channels = first.kind
    if stride != (1, 1) or change.shape(first.node).c != channels:
        return []
    found = []
    for value in joint.inputs:
        node = change.nodes[value.node]
        if value == first.source:
            found.append(Branch(value, value, first.kind, "", (1, 1)))
        elif isinstance(node.op, BatchNorm) and node.inputs[0] == first.source:
            if change.reader(node.name) is not None and len(change.calls(node.home)) == 1:
                found.append(Branch(value, first.source, first.kind, node.name, (1, 1)))
    return found


def _merge(change: Change, joint: str, terms: list[Branch]) -> None:
    """Put the sum of some terms in the place of the one with the largest window, the first of these."""
    terms.sort(key=lambda one: (not one.node, -one.kernel[0] * one.kernel[1]))
    host = change.nodes[terms[0].node]
    c = change.shape(host.name).c
    op = host.op
    assert isinstance(op, Conv | DwConv)
    kernel = Dims(tuple(max(one.kernel[axis] for one in terms) for axis in (0, 1)))
    groups = op.groups_of(c)
    weights, biases = zip(*(_numbers(change, one, kernel, c, groups) for one in terms), strict=True)
    added = [one for one in biases if one is not None]
    change.state[f"{host.name}.weight"] = Formula.of(_sum, *weights)
    if added:
        change.state[f"{host.name}.bias"] = Formula.of(_sum, *added)
    pad = op.pad if op.pad.mode == "same" else op.pad.replace(size=tuple(size // 2 for size in kernel))
    change.replace(host.name, op.replace(kernel=kernel, pad=pad, bias=bool(added)))
    gone = {one.value for one in terms[1:]}
    change.reads(joint, [value for value in change.nodes[joint].inputs if value not in gone])
    for one in terms[1:]:
        if one.node:
            change.delete(one.node)
    if len(change.nodes[joint].inputs) == 1:
        change.remove(joint)


def _numbers(
    change: Change, term: Branch, kernel: Dims, c: int, groups: int
) -> tuple[Formula, Formula | None]:
    """Return weight and bias of a term as those of a convolution with a larger kernel."""
    node = change.nodes[term.node] if term.node else None
    bias: Formula | None = None
    if node is not None and isinstance(node.op, Conv | DwConv):
        weight = change.tensor(f"{node.name}.weight")
        bias = change.tensor(f"{node.name}.bias") if node.op.bias else None
    elif node is not None:
        scale, bias = of_norm(change, node.name)
        weight = Formula.of(lambda numbers: _diagonal(numbers, groups), scale)
    else:
        weight = Formula((), lambda read: _diagonal(_ones(c), groups))
    return Formula.of(lambda numbers: _in_the_middle(numbers, kernel), weight), bias


def _sum(*parts: Array) -> Array:
    return reduce(add, parts)


def _ones(c: int) -> Array:
    from numpy import ones

    return ones(c)


def _diagonal(numbers: Array, groups: int) -> Array:
    """Return the 1x1 convolution that multiplies each channel by a number."""
    from numpy import arange, zeros

    c = len(numbers)
    weight = zeros((c, c // groups, 1, 1))
    weight[arange(c), arange(c) % (c // groups), 0, 0] = numbers
    return weight


def _in_the_middle(weight: Array, kernel: Dims) -> Array:
    """Return a weight with zeros around it."""
    from numpy import pad

    around = [((size - own) // 2,) * 2 for size, own in zip(kernel, weight.shape[2:], strict=True)]
    return pad(weight, [(0, 0), (0, 0), *around])

"""Rule open_gate."""

from __future__ import annotations

from collections.abc import Iterator
from math import inf
from typing import ClassVar

from netdsl.diagnostics import Label
from netdsl.ir.graph import Node
from netdsl.lint.facts import Facts, averages, passes, rectifies
from netdsl.lint.rule import Hit, Rule
from netdsl.ops.base import Op
from netdsl.ops.conv import Convolution
from netdsl.ops.joint import Elementwise
from netdsl.ops.linear import Linear


class OpenGate(Rule):
    """A gate without a squashing function.

    ## What it does
    Finds a map that is multiplied, channel by channel, by what is computed of its averages, as in squeeze and
    excitation, where the last function before the product is a `relu`, or none behind the last layer.

    ## Why is this bad
    A gate says how much of a channel passes. What has no upper bound scales channels instead, the further the deeper,
    and with nothing or a `relu` at its end about half of all gates start at or below 0: a channel with a `relu` gate
    of 0 for every sample gets no gradient any more. In the paper's comparison a `relu` in place of the `sigmoid` was
    worse than no gate at all.

    ## Bad
        net N:
            input 3, 32x32
            stem: conv 3x3, 64 -> relu
            mul:
                identity
                gate: avgpool to=1x1 -> conv 1x1, 16 -> relu -> conv 1x1, 64 -> relu
            gap
            fc: fc 10

    ## Good
        net N:
            input 3, 32x32
            stem: conv 3x3, 64 -> relu
            mul:
                identity
                gate: avgpool to=1x1 -> conv 1x1, 16 -> relu -> conv 1x1, 64 -> sigmoid
            gap
            fc: fc 10

    ## Fix safety
    There is no automatic fix: it is another function.

    ## References
    Hu et al., Squeeze-and-Excitation Networks, arXiv 1709.01507, section 6.3
    """

    code: ClassVar[str] = "L125"

    def check(self, facts: Facts) -> Iterator[Hit]:
        """Look at what ends each gate."""
        for joint in facts.where(_multiplies):
            shapes = facts.inputs(joint)
            maps = [shape for shape in shapes if shape.axes == "chw" and shape.h * shape.w > 1]
            for position, shape in enumerate(shapes):
                if len(maps) != 1 or shape.elements != shape.c or shape.c == 1:
                    continue
                end = facts.source(joint, position)
                while passes(end.op):
                    end = facts.source(end)
                if not _open(end.op) or not _pooled(end, facts):
                    continue
                rectified = rectifies(end.op)
                yield self.hit(
                    end,
                    f"{facts.called(joint)} multiplies {maps[0]} by {facts.called(end)}, which "
                    f"{'is never below 0, but has no upper bound' if rectified else 'has no bounds'}",
                    labels=(Label(joint.span, "the product"),),
                    help=f"sigmoid instead of {end.op.name}"
                    if rectified
                    else f"sigmoid behind {facts.called(end)}",
                )


def _multiplies(op: Op) -> bool:
    return isinstance(op, Elementwise) and op.product


def _open(op: Op) -> bool:
    """Tell whether an op ends a gate without bounds, as one that was forgotten would."""
    return isinstance(op, Linear | Convolution) or (rectifies(op) and op.bounds[1] == inf)


def _pooled(end: Node, facts: Facts) -> bool:
    """Tell whether a gate is computed of the averages of a map."""
    node = end
    while len(node.inputs) == 1:
        shape = facts.input(node)
        if shape.axes == "chw" and shape.h * shape.w > 1:
            return averages(node.op) and node is not end
        node = facts.source(node)
    return False

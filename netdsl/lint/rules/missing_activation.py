"""Rule missing_activation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from netdsl.ir.graph import Node
from netdsl.lint.facts import Facts, groups, same
from netdsl.lint.rule import Hit, Rule
from netdsl.ops.base import Op
from netdsl.ops.conv import Convolution
from netdsl.ops.linear import Linear
from netdsl.ops.norm import Norm
from netdsl.ops.window import both


class MissingActivation(Rule):
    """Two layers in a row that are one linear map.

    ## What it does
    Finds a convolution or `fc` that reads another one with nothing between but normalisation or dropout. Both must be
    dense, and either larger than 1x1 or with a normalisation between: `linear_linear` finds what can be merged as it
    is. A narrow layer between wider ones is a factorisation, and left alone, as are 1xn and nx1.

    ## Why is this bad
    In evaluation the two are one convolution with a larger kernel: the second layer adds weights, MACs and depth, but
    no function that one layer could not compute. The paper's line mostly has an activation there.

    ## Bad
        net N:
            input 3, 32x32
            features:
                conv 3x3, 16, bias=false -> bn
                conv 3x3, 16, bias=false -> bn -> relu
            gap
            fc: fc 10

    ## Good
        net N:
            input 3, 32x32
            features:
                conv 3x3, 16, bias=false -> bn -> relu
                conv 3x3, 16, bias=false -> bn -> relu
            gap
            fc: fc 10

    ## Fix safety
    There is no automatic fix: another function.

    ## References
    Sandler et al., MobileNetV2, arXiv 1801.04381, section 3.2: where a linear layer is right, it is a narrow one
    """

    code: ClassVar[str] = "L304"

    def check(self, facts: Facts) -> Iterator[Hit]:
        """Look at what reads each dense layer."""
        layers = {node.name for node in facts.dense if node.op.linear}
        for node in facts.dense:
            after, normalised = facts.reader(node), False
            while after is not None and _between(after.op):
                normalised |= isinstance(after.op, Norm)
                after = facts.reader(after)
            if after is None or not {node.name, after.name} <= layers:
                continue
            if isinstance(node.op, Linear) != isinstance(after.op, Linear) or not _both_wide(
                node, after, facts
            ):
                continue
            small = 1 in (_pixels(node), _pixels(after))
            if _factors(node, after, facts) or (small and not normalised):
                continue
            yield self.hit(
                node,
                f"{facts.called(node)} and {facts.called(after)} are one linear map{_merged(node, after, facts)}",
                help="put an activation between",
            )


def _between(op: Op) -> bool:
    """Tell whether an op only scales and shifts the channels of each place, in evaluation."""
    return op.linear and (op.fuses_into or same(op))


def _pixels(node: Node) -> int:
    return node.op.kernel[0] * node.op.kernel[1] if isinstance(node.op, Convolution) else 1


def _both_wide(first: Node, second: Node, facts: Facts) -> bool:
    """Tell whether a convolution reads more channels than one in each group."""
    nodes = (first, second)
    return all(isinstance(node.op, Linear) or groups(node, facts) < facts.input(node).c for node in nodes)


def _factors(first: Node, second: Node, facts: Facts) -> bool:
    """Tell whether the two are the cheap factors of a larger map, on purpose."""
    middle = facts.output(first).c
    if middle < min(facts.input(first).c, facts.output(second).c):
        return True
    a, b = (getattr(node.op, "kernel", (1, 1)) for node in (first, second))
    return 1 in a and 1 in b and a != b and max(a) > 1 < max(b)


def _merged(first: Node, second: Node, facts: Facts) -> str:
    """Return what the one layer would be, where that is simple."""
    a: Any = first.op
    b: Any = second.op
    if isinstance(first.op, Linear) or max(groups(first, facts), groups(second, facts)) > 1:
        return ""
    size = [
        both(a.dilation)[i] * (a.kernel[i] - 1)
        + both(a.stride)[i] * both(b.dilation)[i] * (b.kernel[i] - 1)
        + 1
        for i in (0, 1)
    ]
    border = "" if size == [1, 1] else ", but for the border"
    channels = f"{facts.input(first).c} to {facts.output(second).c} channels"
    return f", a {size[0]}x{size[1]} convolution of {channels}{border}"

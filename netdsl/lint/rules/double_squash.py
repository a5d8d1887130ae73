"""Rule double_squash."""

from __future__ import annotations

from collections.abc import Iterator
from math import exp, isfinite, log
from typing import ClassVar

from netdsl.ir.types import Shape
from netdsl.lint.facts import Facts
from netdsl.lint.rule import Hit, Rule
from netdsl.ops.activation import HUGE, LogSoftmax, Saturating, Softmax
from netdsl.ops.base import Op

NEAR = 0.01
"""How near to its bounds an activation comes that is hardly held back."""


class DoubleSquash(Rule):
    """An activation with bounds, of what has bounds already.

    ## What it does
    Finds a `sigmoid`, `hsigmoid`, `tanh`, `softmax` or `log_softmax` that reads another activation with bounds, and a
    `sigmoid` or `hsigmoid` that reads a `relu`.

    ## Why is this bad
    Its inputs fill a small part of its domain, so its outputs fill a small part of its range: `sigmoid` of `relu` is
    never below 0.5, so a gate cannot close, and `softmax` of 10 sigmoids gives no class more than 23%, so the loss
    stays above 1.46. Mostly one of the two was forgotten in a head that was put together from parts.

    ## Bad
        net N:
            input 3, 32x32
            stem: conv 3x3, 64 -> relu
            mul:
                identity
                gate: avgpool to=1x1 -> conv 1x1, 64 -> relu -> sigmoid
            gap
            fc: fc 10

    ## Good
        net N:
            input 3, 32x32
            stem: conv 3x3, 64 -> relu
            mul:
                identity
                gate: avgpool to=1x1 -> conv 1x1, 64 -> sigmoid
            gap
            fc: fc 10

    ## Fix safety
    There is no automatic fix: which of the two is meant is not known.

    ## References
    sigmoid(0) = 1/2; max softmax = exp(b - a) / (exp(b - a) + K - 1) for K numbers between a and b; softmax of K
    numbers that sum to 1 lies between 1 / (e + K - 1) and e / (e + K - 1)
    """

    code: ClassVar[str] = "L110"

    def check(self, facts: Facts) -> Iterator[Hit]:
        """Look at what each activation reads."""
        for node in facts.where(_squashes):
            before = facts.origin(node)
            bounds = before.op.bounds
            half = bounds[0] == 0 and node.op.bounds[0] == 0 and not isinstance(node.op, Softmax)
            if not all(map(isfinite, bounds)) and not half:
                continue
            low, high = _image(node.op, before.op, facts.input(node))
            logarithm = isinstance(node.op, LogSoftmax)
            least, most = Softmax.bounds if logarithm else node.op.bounds
            if low - least < NEAR and most - high < NEAR:
                continue
            if logarithm:
                low, high = log(low), log(high)
            yield self.hit(
                node,
                f"{facts.called(node)} reads {facts.called(before)}, which lies between {bounds[0]:g} and "
                f"{bounds[1]:g}: all that it can give is {low:.2g} to {high:.2g}",
                help=f"leave {before.op.name} out"
                if logarithm or before.op.name == node.op.name
                else f"leave {before.op.name} or {node.op.name} out",
            )


def _squashes(op: Op) -> bool:
    return isinstance(op, Saturating | Softmax | LogSoftmax)


def _image(op: Op, before: Op, shape: Shape) -> tuple[float, float]:
    """Return what an activation gives for what another one makes; of `log_softmax` before the logarithm."""
    low, high = before.bounds
    if isinstance(op, Saturating):
        return op.value(low), op.value(high)
    assert isinstance(op, Softmax | LogSoftmax)
    count, ratio = shape.size(op.axis), exp(min(high - low, HUGE))
    summed = isinstance(before, Softmax) and before.axis == op.axis  # to 1: only one of them can be 1
    others = ratio + count - 2 if summed and count > 1 else (count - 1) * ratio
    return 1 / (1 + others), ratio / (ratio + count - 1)

"""Rule softmax_of_one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from netdsl.diagnostics import Severity
from netdsl.lint.facts import Facts
from netdsl.lint.rule import Hit, Rule
from netdsl.ops.activation import OverAxis


class SoftmaxOfOne(Rule):
    """A softmax over one number, which is always 1.

    ## What it does
    Finds a `softmax` or `log_softmax` along an axis of size 1.

    ## Why is this bad
    exp(x) / exp(x) is 1, whatever x is, and its gradient is 0: nothing before it learns. For two classes a net has
    either two logits and a softmax, or one and a sigmoid.

    ## Bad
        net N:
            input 3, 32x32
            features: conv 3x3, 16 -> relu
            gap
            head: fc 1 -> log_softmax

    ## Good
        net N:
            input 3, 32x32
            features: conv 3x3, 16 -> relu
            gap
            head: fc 1

    ## Fix safety
    There is no automatic fix: it is another function. One logit goes with a sigmoid, in the loss
    (BCEWithLogitsLoss).

    ## References
    exp(x) / exp(x) = 1
    """

    code: ClassVar[str] = "L119"
    severity: ClassVar[Severity] = "error"

    def check(self, facts: Facts) -> Iterator[Hit]:
        """Look at the axis of each softmax."""
        for node in facts.of(OverAxis):
            assert isinstance(node.op, OverAxis)
            x = facts.input(node)
            if x[x.axes.index(node.op.axis)] == 1:
                what = "channel" if node.op.axis == "c" else f"place along {node.op.axis}"
                yield self.hit(
                    node,
                    f"{facts.called(node)} is over 1 {what} of {x}: what it makes does not depend on it",
                    help="a sigmoid for one logit, or two logits",
                )

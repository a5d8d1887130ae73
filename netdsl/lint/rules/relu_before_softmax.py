"""Rule relu_before_softmax."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from netdsl.lint.facts import Facts, passes, rectifies, same
from netdsl.lint.rule import Hit, Rule
from netdsl.ops.activation import OverAxis


class ReluBeforeSoftmax(Rule):
    """A softmax of numbers that a relu has cut off.

    ## What it does
    Finds a `softmax` or `log_softmax` whose input is what a relu made, but for dropout and for another shape.

    ## Why is this bad
    A softmax tells numbers apart by their differences: behind a relu all that are below 0 are the same, so that a
    class can be made no less likely than by 0, and where it is cut off no gradient says so. The net still trains,
    to a worse loss.

    ## Bad
        net N:
            input 3, 32x32
            features: conv 3x3, 16 -> relu
            gap
            head: fc 10 -> relu -> log_softmax

    ## Good
        net N:
            input 3, 32x32
            features: conv 3x3, 16 -> relu
            gap
            head: fc 10 -> log_softmax

    ## Fix safety
    There is no automatic fix: it is another function. Leave the relu out.

    ## References
    torch.nn.CrossEntropyLoss: unnormalized logits, which may be any number
    """

    code: ClassVar[str] = "L116"

    def check(self, facts: Facts) -> Iterator[Hit]:
        """Look at what each softmax reads."""
        for node in facts.of(OverAxis):
            before = facts.origin(node, lambda op: passes(op) or same(op))
            if rectifies(before.op) and not isinstance(before.op, OverAxis):
                yield self.hit(
                    before,
                    f"{facts.called(before)} cuts off the numbers that {facts.called(node)} is to tell apart",
                    help=f"leave {before.op.name} out: a softmax reads any number",
                )

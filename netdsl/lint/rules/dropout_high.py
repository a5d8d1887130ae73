"""Rule dropout_high."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from netdsl.lint.facts import Facts
from netdsl.lint.rule import Hit, Rule, Threshold, cause
from netdsl.ops.dropout import Drop


class DropoutHigh(Rule):
    """Dropout that keeps little.

    ## What it does
    Finds a `dropout` or `droppath` of more than 0.7.

    ## Why is this bad
    Of 0.8 only every fifth number is left, multiplied by 5: the noise is larger than the signal, and training is
    slow or fails. In some libraries the number is what is *kept* (TensorFlow 1's keep_prob): 0.8 there is 0.2 here.

    ## Bad
        net N:
            input 3, 32x32
            features: conv 3x3, 16 -> relu -> dropout 0.8
            gap
            fc: fc 10

    ## Good
        net N:
            input 3, 32x32
            features: conv 3x3, 16 -> relu -> dropout 0.2
            gap
            fc: fc 10

    ## Fix safety
    There is no automatic fix: it is another function.

    ## References
    Srivastava et al., Dropout, JMLR 15, 2014, figure 9: the error rises where less than 0.4 is kept;
    tf.compat.v1.nn.dropout
    """

    code: ClassVar[str] = "L312"
    thresholds: ClassVar = {"p": Threshold(0.7, "part that may be dropped")}

    def check(self, facts: Facts) -> Iterator[Hit]:
        """Look at how much each drops."""
        for node in facts.of(Drop):
            assert isinstance(node.op, Drop)
            if node.op.p > self.limit("p"):
                kept = 1 - node.op.p
                yield self.hit(
                    node,
                    f"{facts.called(node)} drops {100 * node.op.p:g}%, and multiplies the rest by {1 / kept:.3g}"
                    if kept
                    else f"{facts.called(node)} drops all in training",
                    help=f"{node.op.name} {kept:.3g}, if that part was to be kept",
                    at=cause(node, "p"),
                )

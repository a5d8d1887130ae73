"""Rule dropout_twice."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from netdsl.lint.facts import Facts, passes
from netdsl.lint.rule import Hit, Rule
from netdsl.ops.dropout import Drop


class DropoutTwice(Rule):
    """Dropout of what dropout made.

    ## What it does
    Finds a `dropout`, or a `droppath`, that reads nothing but another of its kind.

    ## Why is this bad
    Two of p and q are one of p + q - pq: two of 0.5 keep a quarter, with what is left multiplied by 4. One of them
    mostly is left over from another version of the block.

    ## Bad
        net N:
            input 3, 32x32
            features: conv 3x3, 16 -> relu -> dropout 0.2 -> dropout 0.3
            gap
            fc: fc 10

    ## Good
        net N:
            input 3, 32x32
            features: conv 3x3, 16 -> relu -> dropout 0.44
            gap
            fc: fc 10

    ## Fix safety
    There is no automatic fix: which of them was meant is not known here.

    ## References
    Srivastava et al., Dropout, JMLR 15, 2014
    """

    code: ClassVar[str] = "L311"

    def check(self, facts: Facts) -> Iterator[Hit]:
        """Look at what each reads."""
        for node in facts.of(Drop):
            before = facts.origin(node, lambda op: passes(op) and not isinstance(op, Drop))
            one, other = before.op, node.op
            assert isinstance(other, Drop)
            if not isinstance(one, Drop) or type(one) is not type(other) or not one.p * other.p:
                continue
            both = one.p + other.p - one.p * other.p
            yield self.hit(
                node,
                f"{facts.called(before)} and {facts.called(node)} drop {100 * one.p:g}% and {100 * other.p:g}% "
                f"in a row, {100 * both:.3g}% together",
                help=f"one of them: {other.name} {both:.3g} is the same",
            )

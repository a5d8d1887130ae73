"""Rule leaky_slope."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from netdsl.lint.facts import Facts
from netdsl.lint.rule import Hit, Rule, cause
from netdsl.ops.activation import LeakyRelu


class LeakySlope(Rule):
    """A leaky relu that is steeper below 0 than above.

    ## What it does
    Finds a `leaky_relu` with a slope above 1.

    ## Why is this bad
    The slope is that of what is below 0, 0.01 by itself. Above 1 negative numbers are amplified, in every layer
    again: ten layers of slope 2 make up to 1024 times as much of them. Mostly a percentage (`leaky_relu 20`) or
    another argument was meant.

    ## Bad
        net N:
            input 3, 32x32
            features: conv 3x3, 16 -> leaky_relu 2.0
            gap
            fc: fc 10

    ## Good
        net N:
            input 3, 32x32
            features: conv 3x3, 16 -> leaky_relu 0.2
            gap
            fc: fc 10

    ## Fix safety
    There is no automatic fix: it is another function. Slopes in use are from 0.01 to 0.3.

    ## References
    Maas et al., Rectifier nonlinearities improve neural network acoustic models, 2013
    """

    code: ClassVar[str] = "L316"

    def check(self, facts: Facts) -> Iterator[Hit]:
        """Look at the slope of each."""
        for node in facts.of(LeakyRelu):
            assert isinstance(node.op, LeakyRelu)
            if node.op.slope > 1:
                yield self.hit(
                    node,
                    f"{facts.called(node)} multiplies what is below 0 by {node.op.slope:g}",
                    help="leaky_relu 0.01",
                    at=cause(node, "slope"),
                )

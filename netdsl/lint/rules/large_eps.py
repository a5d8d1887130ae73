"""Rule large_eps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from netdsl.lint.facts import Facts
from netdsl.lint.rule import Hit, Rule, Threshold, cause
from netdsl.ops.norm import Norm


class LargeEps(Rule):
    """A normalisation whose `eps` is as large as variances are.

    ## What it does
    Finds a normalisation with an `eps` of 0.1 or more.

    ## Why is this bad
    `eps` keeps the division from 0, and is meant to be nothing beside the variance: 1e-5 or 1e-3. With 1 a map of
    variance 1 leaves at 0.71 of the scale that it is to have, and a quieter one is left almost as it is, so that what
    the layer is there for does not happen. Mostly a number was meant for another argument, or a minus is missing:
    1e5.

    ## Bad
        net N:
            input 3, 32x32
            features: conv 3x3, 16, bias=false -> bn eps=2 -> relu
            gap
            fc: fc 10

    ## Good
        net N:
            input 3, 32x32
            features: conv 3x3, 16, bias=false -> bn eps=1e-3 -> relu
            gap
            fc: fc 10

    ## Fix safety
    There is no automatic fix: it is another function.

    ## References
    Ioffe and Szegedy, arXiv 1502.03167, algorithm 1: epsilon is there for numerical stability
    """

    code: ClassVar[str] = "L319"
    thresholds: ClassVar = {"eps": Threshold(0.1, "eps that is too large beside a variance of 1")}

    def check(self, facts: Facts) -> Iterator[Hit]:
        """Compare what each adds to variances with a variance of 1."""
        for node in facts.of(Norm):
            assert isinstance(node.op, Norm)
            eps = node.op.eps
            if eps >= self.limit("eps"):
                yield self.hit(
                    node,
                    f"{facts.called(node)} adds {eps:g} to every variance: of a variance of 1 it makes "
                    f"{1 / (1 + eps):.2g}",
                    help=f"eps={type(node.op).eps:g}",
                    at=cause(node, "eps"),
                )

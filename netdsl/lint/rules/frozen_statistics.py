"""Rule frozen_statistics."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from netdsl.lint.facts import Facts
from netdsl.lint.rule import Hit, Rule, cause
from netdsl.ops.norm import BatchNorm


class FrozenStatistics(Rule):
    """Running statistics that never move.

    ## What it does
    Finds a batch normalisation with `momentum=0`.

    ## Why is this bad
    Momentum is the part of the new batch. With 0 the running mean stays 0 and the running variance 1, as they begin:
    training normalises by its batches and looks fine, evaluation normalises by nothing.

    ## Bad
        net N:
            input 3, 32x32
            features: conv 3x3, 16, bias=false -> bn momentum=0 -> relu
            gap
            fc: fc 10

    ## Good
        net N:
            input 3, 32x32
            features: conv 3x3, 16, bias=false -> bn momentum=0.1 -> relu
            gap
            fc: fc 10

    ## Fix safety
    There is no automatic fix: it is another function. With weights that are loaded, and statistics among them, `0`
    keeps those: then `@allow(frozen_statistics, "...")` says so.

    ## References
    torch.nn.BatchNorm2d, note on momentum
    """

    code: ClassVar[str] = "L320"

    def check(self, facts: Facts) -> Iterator[Hit]:
        """Look at the momentum of each norm that tracks statistics."""
        for node in facts.of(BatchNorm):
            assert isinstance(node.op, BatchNorm)
            if node.op.momentum == 0:
                yield self.hit(
                    node,
                    f"the running statistics of {facts.called(node)} stay as they begin, mean 0 and variance 1: "
                    "evaluation does not normalise",
                    help=f"momentum={BatchNorm.momentum:g}",
                    at=cause(node, "momentum"),
                )

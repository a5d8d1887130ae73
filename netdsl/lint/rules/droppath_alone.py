"""Rule droppath_alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from netdsl.ir.graph import Node
from netdsl.lint.facts import Facts, sums
from netdsl.lint.rule import Hit, Rule
from netdsl.ops.dropout import DropPath
from netdsl.ops.norm import Norm


class DroppathAlone(Rule):
    """Stochastic depth that drops a whole sample.

    ## What it does
    Finds a `droppath` whose output reaches no sum before the next layer with weights, norm or output.

    ## Why is this bad
    `droppath` makes all of a sample's numbers zero at once. On a branch of a residual sum the sample goes the other
    way; elsewhere nothing is left of it, and the layers behind are trained on zeros.

    ## Bad
        net N:
            input 3, 32x32
            features: conv 3x3, 16 -> relu -> droppath 0.1
            body: conv 3x3, 16 -> relu
            gap
            fc: fc 10

    ## Good
        net N:
            input 3, 32x32
            features: conv 3x3, 16 -> relu
            add:
                identity
                branch: conv 3x3, 16 -> relu -> conv 3x3, 16 -> droppath 0.1
            gap
            fc: fc 10

    ## Fix safety
    There is no automatic fix: it is another function. It belongs at the end of the branch of an `add`; for single
    numbers there is `dropout`.

    ## References
    Huang et al., Deep networks with stochastic depth, arXiv 1603.09382
    """

    code: ClassVar[str] = "L317"

    def check(self, facts: Facts) -> Iterator[Hit]:
        """Follow what each makes as far as zeros stay zeros."""
        for node in facts.of(DropPath):
            assert isinstance(node.op, DropPath)
            after = facts.reader(node)
            while after is not None and _hands_on(after, facts):
                after = facts.reader(after)
            lost = after is not None and (after.op.fuses or isinstance(after.op, Norm))
            at_end = after is None and not facts.readers(node)
            if node.op.p and (lost or at_end):
                behind = facts.called(after) if after is not None else "the net's output"
                yield self.hit(
                    node,
                    f"{facts.called(node)} makes whole samples 0 for {behind}, and no sum has another way for them",
                    help="dropout, or droppath at the end of a branch of an add",
                )


def _hands_on(node: Node, facts: Facts) -> bool:
    """Tell whether an op without weights of its own makes zeros of zeros, and is no sum."""
    op = node.op
    return not sums(op) and (op.keeps_zero or op.product) and not op.fuses and not isinstance(op, Norm)

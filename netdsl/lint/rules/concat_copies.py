"""Rule concat_copies."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import ClassVar

from netdsl.cost.table import human
from netdsl.diagnostics import Severity
from netdsl.ir.graph import Node
from netdsl.lint.facts import Facts
from netdsl.lint.rule import Hit, Rule
from netdsl.ops.joint import Concat
from netdsl.transforms.rewrite import Rewrite


class ConcatCopies(Rule):
    """A concatenation that only another concatenation reads.

    ## What it does
    Finds a `concat` whose output is read by another `concat` along the same axis alone.

    ## Why is this bad
    Each of them copies its inputs, so the inner ones are copied twice, and for a moment both copies are alive. One
    concat of all branches in that order gives the same.

    ## Bad
        net N:
            input 3, 32x32
            default conv 3x3, act=relu
            stem: conv 16
            concat:
                a: conv 1x1, 16
                conv 16 as b -> (c: conv 1x3, 16 | d: conv 3x1, 16) -> concat
            gap
            fc: fc 10

    ## Good
        net N:
            input 3, 32x32
            default conv 3x3, act=relu
            stem: conv 16
            concat:
                a: conv 1x1, 16
                b: conv 16
            gap
            fc: fc 10

    ## Fix safety
    There is no automatic fix: the text needs names for the branches. The function stays the same, bit for bit.

    ## References
    concat(a, concat(b, c)) = concat(a, b, c)
    """

    code: ClassVar[str] = "L409"
    severity: ClassVar[Severity] = "info"

    def check(self, facts: Facts) -> Iterator[Hit]:
        """Look at the reader of each concat."""
        for node in facts.of(Concat):
            outer = facts.reader(node)
            if outer is None or not isinstance(outer.op, Concat) or node.train:
                continue
            assert isinstance(node.op, Concat)
            if node.op.axis != outer.op.axis or len(node.inputs) == 1:
                continue
            yield self.hit(
                node,
                f"{facts.called(node)} copies {human(facts.cost(node).activations)}B that "
                f"{facts.called(outer)} copies again",
                help=f"name its branches, and let {facts.called(outer)} read them all",
                change=partial(_join, inner=node, outer=outer.name),
            )


def _join(net: Rewrite, inner: Node, outer: str) -> None:
    """Let the outer concat read what the inner one reads."""
    reads = net.nodes[outer].inputs
    branches = [(value,) if value.node != inner.name else net.nodes[inner.name].inputs for value in reads]
    net.reads(outer, [value for branch in branches for value in branch])
    net.delete(inner.name)

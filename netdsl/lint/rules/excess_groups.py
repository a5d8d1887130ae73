"""Rule excess_groups."""

from __future__ import annotations

from collections.abc import Iterator
from math import sqrt
from typing import ClassVar

from netdsl.diagnostics import Severity
from netdsl.ir.graph import Node
from netdsl.lint.facts import Facts, groups
from netdsl.lint.rule import Hit, Rule, Threshold
from netdsl.ops.conv import Convolution
from netdsl.source import Span


class ExcessGroups(Rule):
    """Groups that save MACs and cost memory traffic.

    ## What it does
    Finds a 1x1 convolution with several groups that moves far more numbers than a dense one with the same MACs, which
    has sqrt(groups) times fewer channels.

    ## Why is this bad
    Groups divide the MACs but not the maps, so a layer with as many MACs is wider, and time is spent on reading and
    writing: with 8 groups such a net was less than half as fast on a GPU as with one, at the same MACs, and up to 30%
    slower on a phone's processor. The numbers moved are h w (c1 + c2) + c1 c2 / g.

    ## Bad
        net N:
            input 3, 32x32
            features:
                conv 3x3, 64 -> relu
                conv 1x1, 64, groups=8 -> relu
            gap
            fc: fc 10

    ## Good
        net N:
            input 3, 32x32
            features:
                conv 3x3, 24 -> relu
                conv 1x1, 24 -> relu
            gap
            fc: fc 10

    ## Fix safety
    There is no automatic fix: it is another function. Split the channels and leave one half as it is, as in
    ShuffleNet V2, or be narrower without groups.

    ## References
    Ma et al., ShuffleNet V2, arXiv 1807.11164, guideline G2 and table 2
    """

    code: ClassVar[str] = "L402"
    severity: ClassVar[Severity] = "info"
    thresholds: ClassVar = {
        "times": Threshold(1.3, "how many times the numbers of a dense layer may be moved")
    }

    def check(self, facts: Facts) -> Iterator[Hit]:
        """Count what each grouped convolution of pixels moves; those of a block are one finding."""
        found = [
            (node, times) for node in facts.convolutions if (times := self._times(node, facts)) is not None
        ]
        lines: dict[str, Span] = {}
        for node, _ in sorted(found, key=lambda item: item[0].span.start):
            lines.setdefault(_block(node, facts), node.span)
        for node, times in found:
            parts, first = groups(node, facts), lines[_block(node, facts)]
            moved = _maps(node, facts) + _weights(node, facts)
            yield self.hit(
                node,
                f"{facts.called(node)} with {parts} groups moves {moved:,} numbers, {times:.1f} times "
                f"what a dense one with the same MACs would",
                help=f"fewer groups, with {1 / sqrt(parts):.2f} times the channels for the same MACs without any",
                at=first if first != node.span else None,
            )

    def _times(self, node: Node, facts: Facts) -> float | None:
        """Return how many times the numbers of a dense layer a grouped one moves, if they are too many."""
        parts = groups(node, facts)
        assert isinstance(node.op, Convolution)
        if parts == 1 or tuple(node.op.kernel) != (1, 1) or node.train:
            return None
        maps, weights = _maps(node, facts), _weights(node, facts)
        times = (maps + weights) / (maps / sqrt(parts) + weights)
        return times if times > self.limit("times") else None


def _maps(node: Node, facts: Facts) -> int:
    return facts.input(node).elements + facts.output(node).elements


def _weights(node: Node, facts: Facts) -> int:
    return facts.input(node).c * facts.output(node).c // groups(node, facts)


def _block(node: Node, facts: Facts) -> str:
    """Return the block that a layer is of, or its own line in the net."""
    block = facts.block(node)
    return block.block if block.kind == "block" else f"{node.span.source.name}:{node.span.start}"

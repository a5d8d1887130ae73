"""Rule unequal_channels."""

from __future__ import annotations

from collections.abc import Iterator
from math import sqrt
from typing import ClassVar

from netdsl.diagnostics import Severity
from netdsl.lint.facts import Facts, groups
from netdsl.lint.rule import Hit, Rule, Threshold
from netdsl.ops.conv import Convolution


class UnequalChannels(Rule):
    """A 1x1 convolution with far more channels on one side than on the other.

    ## What it does
    Finds a dense 1x1 convolution of a map with six times as many channels on one side, or more, that moves far more
    numbers than one of equal widths with the same MACs, and some of what the net moves. What the net gives is left
    alone.

    ## Why is this bad
    For given MACs, h w c1 c2, the numbers moved are least where c1 = c2. On a GPU at the same MACs, nets of
    such layers did 41% fewer images a second with 1:6 than with 1:1, and 49% fewer with 1:12 (Ma et al., table 1).

    ## Bad
        net N:
            input 3, 96x96
            features:
                conv 3x3, 16 -> relu
                conv 1x1, 128 -> relu
            head: conv 1x1, 10

    ## Good
        net N:
            input 3, 96x96
            features:
                conv 3x3, 48 -> relu
                conv 1x1, 48 -> relu
            head: conv 1x1, 10

    ## Fix safety
    There is no automatic fix: it is another function. Expand less; a net as a whole may still be right to expand, as
    MobileNetV2's depthwise layers want many channels.

    ## References
    Ma et al., ShuffleNet V2, arXiv 1807.11164, guideline G1 and table 1
    """

    code: ClassVar[str] = "L403"
    severity: ClassVar[Severity] = "info"
    audit: ClassVar[bool] = True
    thresholds: ClassVar = {
        "ratio": Threshold(6, "how many times as many channels one side may not have"),
        "excess": Threshold(0.3, "part that may be moved above the least"),
        "share": Threshold(0.02, "part of what the net moves below which a layer does not matter"),
        "bytes": Threshold(1_000_000, "bytes a sample below which it does not matter either"),
    }

    def check(self, facts: Facts) -> Iterator[Hit]:
        """Compare what each convolution of pixels moves with the least."""
        for node in facts.convolutions:
            op = node.op
            assert isinstance(op, Convolution)
            read, made = facts.input(node).c, facts.output(node).c
            dense = groups(node, facts) == 1 and tuple(op.kernel) == (1, 1)
            if node.train or not dense or not facts.readers(node):
                continue
            if max(read, made) < self.limit("ratio") * min(read, made):
                continue
            least = self.limit("share") * sum(facts.traffic.values())
            if facts.traffic[node.name] <= max(self.limit("bytes"), least):
                continue
            pixels = facts.output(node).h * facts.output(node).w
            least = 2 * pixels * sqrt(read * made) + read * made
            excess = (pixels * (read + made) + read * made) / least - 1
            if excess <= self.limit("excess"):
                continue
            yield self.hit(
                node,
                f"{facts.called(node)} goes from {read} to {made} channels: it moves {100 * excess:.0f}% more than "
                f"{sqrt(read * made):.0f} to {sqrt(read * made):.0f} with the same MACs",
                help="bring the two widths closer together",
            )

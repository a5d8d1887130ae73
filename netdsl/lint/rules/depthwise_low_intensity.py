"""Rule depthwise_low_intensity."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from netdsl.cost.table import human
from netdsl.diagnostics import Severity
from netdsl.lint.facts import Facts, depthwise
from netdsl.lint.rule import Hit, Rule, Threshold


class DepthwiseLowIntensity(Rule):
    """Depthwise convolutions whose time no count of MACs shows.

    ## What it does
    Adds up the MACs and the bytes of all depthwise convolutions, and finds nets in which they move a large part of
    the bytes for a small part of the MACs.

    ## Why is this bad
    A depthwise 3x3 does 9 MACs for each number that it reads and one that it writes, about one a byte; a dense one
    does `channels` times that. Accelerators do tens of MACs in the time of a byte, so it runs at the speed of
    memory, and a net that looks ten times cheaper is not ten times faster.

    ## Bad
        net N:
            input 3, 96x96
            features:
                conv 3x3, 32 -> relu
                dwconv 3x3 -> relu
                conv 1x1, 32 -> relu
                dwconv 3x3 -> relu
                conv 1x1, 32 -> relu
            head: conv 1x1, 10

    ## Good
        net N:
            input 3, 96x96
            features:
                conv 3x3, 32 -> relu
                conv 3x3, 32 -> relu
            head: conv 1x1, 10

    ## Fix safety
    There is no automatic fix: it is another function. EfficientNetV2 has dense 3x3 in its early stages for this
    reason (Fused-MBConv). On processors without matrix units depthwise layers are often the right choice.

    ## References
    Tan and Le, EfficientNetV2, arXiv 2104.00298, section 3.2; Williams et al., Roofline, 2009
    """

    code: ClassVar[str] = "L410"
    severity: ClassVar[Severity] = "info"
    audit: ClassVar[bool] = True
    thresholds: ClassVar = {
        "share": Threshold(0.3, "part of the bytes that depthwise convolutions may move"),
        "times": Threshold(2, "how many times their part of the MACs that has to be"),
        "bytes": Threshold(5_000_000, "bytes a sample below which a net is small"),
    }

    def check(self, facts: Facts) -> Iterator[Hit]:
        """Compare their part of the bytes with their part of the MACs."""
        layers = [node for node in facts.convolutions if depthwise(node, facts) and not node.train]
        moved, whole = sum(facts.traffic[node.name] for node in layers), sum(facts.traffic.values())
        macs = sum(facts.cost(node).macs for node in layers)
        if whole <= self.limit("bytes") or moved <= self.limit("share") * whole:
            return
        if moved * facts.total.macs <= self.limit("times") * macs * whole:
            return
        others = (facts.total.macs - macs) / max(1, whole - moved)
        message = (
            f"{facts.name}: {len(layers)} depthwise convolutions do {100 * macs / facts.total.macs:.1f}% of the "
            f"MACs and move {100 * moved / whole:.0f}% of the bytes, {human(moved)}B: {macs / moved:.1f} MACs a "
            f"byte, {others:.1f} elsewhere"
        )
        yield Hit(
            message, facts.span, help="dense convolutions where there are few channels, as in EfficientNetV2"
        )

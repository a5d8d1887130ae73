"""Rule memory_spike."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median
from typing import ClassVar

from netdsl.cost.table import human
from netdsl.diagnostics import Severity
from netdsl.lint.facts import Facts
from netdsl.lint.rule import Hit, Rule, Threshold


class MemorySpike(Rule):
    """A few steps need many times the memory of all others.

    ## What it does
    Works out what is alive at each step of inference, and finds nets whose peak is many times what the step in the
    middle needs, and 1 MB or more. The weights do not count. A normalisation or an activation right behind a
    convolution, a sum or a product is run with it, as inference engines do, and is no step.

    ## Why is this bad
    Memory is given out for the worst moment, so a few steps decide whether a net runs on a small device, or how
    large a batch may be. In MobileNetV2 the first blocks need 8 times what the rest does: run patch by patch, they
    fit.

    ## Bad
        net N:
            input 3, 64x64
            features:
                conv 3x3, 16, /2 -> relu
                conv 3x3, 256 -> relu
                avgpool 4x4, /4
                4 * (conv 3x3, 32 -> relu)
            gap
            fc: fc 10

    ## Good
        net N:
            input 3, 64x64
            features:
                conv 3x3, 16, /2 -> relu
                conv 3x3, 32, /2 -> relu
                conv 3x3, 64 -> relu
            gap
            fc: fc 10

    ## Fix safety
    There is no automatic fix: fewer channels there, or a stride before it, are another function; computing that part
    in patches is the same function, with some pixels worked out twice.

    ## References
    Lin et al., MCUNetV2, arXiv 2110.15352, figure 1
    """

    code: ClassVar[str] = "L408"
    severity: ClassVar[Severity] = "info"
    thresholds: ClassVar = {
        "times": Threshold(8, "how many times the median step the peak may be"),
        "bytes": Threshold(1_000_000, "bytes a sample below which a peak does not matter"),
    }

    def check(self, facts: Facts) -> Iterator[Hit]:
        """Compare the peak with the median step."""
        live = facts.net.liveness(fused=True)
        middle = median(live.alive.values())
        if live.peak <= self.limit("bytes") or live.peak <= self.limit("times") * middle:
            return
        node = facts.node(live.at)
        high = sum(size > live.peak / 2 for size in live.alive.values())
        held = ", ".join(f"{name} {facts.output(facts.node(name))}" for name in live.holding)
        yield self.hit(
            node,
            f"{facts.called(node)} needs {human(live.peak)}B, {live.peak / middle:.0f} times the median step; "
            f"{high} of {len(live.alive)} steps need more than half of that",
            help="a stride before it, or fewer channels there; or run that part in patches",
            details=(f"alive: {held}",),
        )

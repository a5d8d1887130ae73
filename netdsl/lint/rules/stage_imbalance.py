"""Rule stage_imbalance."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from netdsl.diagnostics import Severity
from netdsl.ir.types import Shape
from netdsl.lint.facts import Facts
from netdsl.lint.rule import Hit, Rule, Threshold
from netdsl.ops.conv import Convolution


class StageImbalance(Rule):
    """Nearly all the work of a net is at one resolution.

    ## What it does
    Adds up the MACs at each size of the map, and finds convolutional nets with four sizes or more, of which one has
    more than three quarters.

    ## Why is this bad
    A convolution costs pixels x channels x channels, so doubling the channels wherever the map is halved keeps the
    cost of a layer the same: VGG's layers all do 1.85 GMACs from 224x224 down to 28x28. Nets that have proved
    themselves give most to the third stage, but none of the packaged ones has above 72% at one size. More than that
    is often a stage whose channels were not doubled, or a stride in the wrong place.

    ## Bad
        net N:
            input 3, 64x64
            features:
                conv 3x3, 16, /2 -> relu
                4 * (conv 3x3, 64 -> relu)
                conv 3x3, 64, /2 -> relu
                conv 3x3, 64, /2 -> relu
                conv 3x3, 64, /2 -> relu
            gap
            fc: fc 10

    ## Good
        net N:
            input 3, 64x64
            features:
                conv 3x3, 32, /2 -> relu
                conv 3x3, 32 -> relu
                conv 3x3, 64, /2 -> relu
                conv 3x3, 64 -> relu
                conv 3x3, 128, /2 -> relu
                conv 3x3, 128 -> relu
                conv 3x3, 256, /2 -> relu
            gap
            fc: fc 10

    ## Fix safety
    There is no automatic fix: it is another function. Move layers to other stages, or channels.

    ## References
    Simonyan and Zisserman, arXiv 1409.1556; He et al., arXiv 1512.03385, section 3.3; Radosavovic et al.,
    arXiv 2003.13678
    """

    code: ClassVar[str] = "L212"
    severity: ClassVar[Severity] = "info"
    audit: ClassVar[bool] = True
    thresholds: ClassVar = {
        "share": Threshold(0.75, "part of the MACs that one resolution may have"),
        "sizes": Threshold(4, "resolutions from which a net has stages"),
    }

    def check(self, facts: Facts) -> Iterator[Hit]:
        """Add up the MACs of convolutions by the size of what they make."""
        macs: dict[tuple[int, ...], int] = {}
        kernels = facts.where(lambda op: isinstance(op, Convolution))
        for node in sorted(kernels, key=lambda node: node.op.name):
            if not node.train:
                size = _size(facts.output(node))
                macs[size] = macs.get(size, 0) + facts.cost(node).macs
        if len(macs) < self.limit("sizes"):
            return
        top = max(macs, key=lambda size: macs[size])
        share = macs[top] / max(1, facts.total.macs)
        if share <= self.limit("share"):
            return
        others = ", ".join(
            f"{h}x{w} {100 * count / facts.total.macs:.0f}%"
            for (h, w), count in macs.items()
            if (h, w) != top
        )
        message = f"{facts.name}: {100 * share:.0f}% of the MACs are at {top[0]}x{top[1]}; {others}"
        yield Hit(
            message, facts.span, help="halve the channels of that stage, or give its layers to the others"
        )


def _size(shape: Shape) -> tuple[int, ...]:
    return shape.h, shape.w

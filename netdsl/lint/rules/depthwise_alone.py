"""Rule depthwise_alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from netdsl.ir.graph import Node, Value
from netdsl.lint.facts import Facts, depthwise
from netdsl.lint.rule import Hit, Rule


class DepthwiseAlone(Rule):
    """A depthwise convolution whose channels are not mixed before the next one.

    ## What it does
    Follows the output of each depthwise convolution. It is found if an activation and then another depthwise
    convolution come, or the end of the net, and no 1x1 or other dense convolution, `fc`, shuffle or joint between.
    Two in a row without an activation are one larger kernel in two parts, as in large kernel attention, and fine.

    ## Why is this bad
    A depthwise convolution is half of a separable one: it filters each channel by itself, and the 1x1 convolution
    behind it, with 95% of MobileNet's MACs, makes new features of them. Without that each channel stays a function
    of one channel.

    ## Bad
        net N:
            input 3, 32x32
            features:
                conv 3x3, 64 -> relu
                dwconv 3x3 -> relu
                dwconv 3x3 -> relu
            gap
            fc: fc 10

    ## Good
        net N:
            input 3, 32x32
            features:
                conv 3x3, 64 -> relu
                dwconv 3x3 -> relu
                conv 1x1, 64 -> relu
                dwconv 3x3 -> relu
            gap
            fc: fc 10

    ## Fix safety
    There is no automatic fix: a 1x1 convolution between is more work, and another function.

    ## References
    Howard et al., MobileNets, arXiv 1704.04861, section 3.1 and table 2; Chollet, arXiv 1610.02357
    """

    code: ClassVar[str] = "L106"

    def check(self, facts: Facts) -> Iterator[Hit]:
        """Follow each depthwise convolution to whatever mixes its channels."""
        for node in facts.convolutions:
            after = _unmixed(node, facts) if depthwise(node, facts) else ""
            if after:
                yield self.hit(
                    node,
                    f"{facts.called(node)} filters {facts.input(node).c} channels one by one, "
                    f"and nothing mixes them before {after}",
                    help=f"mix them behind it: conv 1x1, {facts.output(node).c}",
                )


def _unmixed(node: Node, facts: Facts) -> str:
    """Return what comes before anything mixes the channels; "" if something does."""
    activated = False
    at = node
    while True:
        after = facts.reader(at)
        if after is None:
            return "the end of the net" if Value(at.name) in facts.results and not facts.readers(at) else ""
        if depthwise(after, facts):
            return facts.called(after) if activated else ""
        if not after.op.channelwise:
            return ""
        activated |= not after.op.linear
        at = after

"""Rule stride2_1x1."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import ClassVar

from netdsl.lint.facts import Facts, phases
from netdsl.lint.rule import Hit, Rule, cause
from netdsl.ops.conv import Convolution
from netdsl.ops.window import both


class Stride2OneByOne(Rule):
    """A convolution that steps over pixels.

    ## What it does
    Finds a convolution whose stride is larger than its kernel, such as `conv 1x1, /2`, or has a divisor in common
    with its dilation. Where others read the same map, as beside a residual branch, it is only worth a note.

    ## Why is this bad
    Pixels between the windows are never read: with 1x1 and stride 2 three of four, which were computed for nothing
    if nobody else reads them. ResNet's first version does so: reading everything in the main path (ResNet-B) gave
    about 0.5% top-1 on ImageNet, and averaging first in the shortcuts (ResNet-D) another 0.3%, at almost no cost.

    ## Bad
        net N:
            input 3, 32x32
            features:
                conv 3x3, 64 -> relu
                conv 1x1, 128, /2 -> relu
            gap
            fc: fc 10

    ## Good
        net N:
            input 3, 32x32
            features:
                conv 3x3, 64 -> relu
                conv 3x3, 128, /2 -> relu
            gap
            fc: fc 10

    ## Fix safety
    There is no automatic fix: every remedy is another function. `avgpool 2x2, /2 -> conv 1x1, c` reads every pixel
    for the same MACs; or give the stride to a 3x3 convolution near by.

    ## References
    He et al., Bag of Tricks, arXiv 1812.01187, section 4.1 (ResNet-B and ResNet-D); He et al., arXiv 1512.03385
    """

    code: ClassVar[str] = "L501"

    def check(self, facts: Facts) -> Iterator[Hit]:
        """Compare the kernel and stride of each convolution."""
        for node in facts.convolutions:
            assert isinstance(node.op, Convolution)
            stride = both(node.op.stride)
            dilation = both(node.op.dilation)
            read = prod(phases(node.op.kernel[axis], stride[axis], dilation[axis]).share for axis in (0, 1))
            if read == 1 or facts.input(node).h * facts.input(node).w == 1:
                continue
            alone = len(facts.readers(facts.source(node), node.inputs[0].port)) == 1
            others = "" if alone else "; others read that map too"
            apart = f", dilation {max(dilation)}" if max(dilation) > 1 else ""
            yield self.hit(
                node,
                f"{facts.called(node)} reads {100 * read:.0f}% of its input {facts.input(node)}: "
                f"kernel {node.op.kernel}, stride {stride[0]}{apart}{others}",
                help=f"average first: avgpool {stride[0]}x{stride[1]}, /{stride[0]} -> "
                f"conv 1x1, {facts.output(node).c}; "
                "or give the stride to a larger kernel",
                severity="warning" if alone else "info",
                at=cause(node, "stride", "kernel"),
            )

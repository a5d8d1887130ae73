"""Rule upconv_checkerboard."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from netdsl.lint.facts import Facts, phases
from netdsl.lint.rule import Hit, Rule, cause
from netdsl.ops.conv import Convolution
from netdsl.ops.window import both


class UpconvCheckerboard(Rule):
    """A transposed convolution whose windows overlap unevenly.

    ## What it does
    Finds a transposed convolution whose kernel is no multiple of its stride: some of its outputs are sums of more
    weights than their neighbours. A kernel that is smaller than the stride leaves outputs that no input reaches.

    ## Why is this bad
    The pattern shows in what comes out, as a checkerboard: with 3x3 and stride 2 the outputs add up 1, 2, 2 or 4 of
    the kernel's 9 weights. Training has to work against it, and what it learns to hide it comes back in gradients.

    ## Bad
        net N:
            input 3, 32x32
            down: conv 3x3, 64, /2 -> relu
            up: upconv 3x3, 32, /2
            relu
            gap
            fc: fc 10

    ## Good
        net N:
            input 3, 32x32
            down: conv 3x3, 64, /2 -> relu
            up: upconv 4x4, 32, /2, pad=1
            relu
            gap
            fc: fc 10

    ## Fix safety
    There is no automatic fix: another kernel has other weights. `upsample 2 -> conv 3x3, c` has no such pattern.

    ## References
    Odena et al., Deconvolution and checkerboard artifacts, Distill 2016, doi 10.23915/distill.00003
    """

    code: ClassVar[str] = "L112"

    def check(self, facts: Facts) -> Iterator[Hit]:
        """Count the taps that fall on each output of a period."""
        for node in facts.of(Convolution):
            op = node.op
            if not isinstance(op, Convolution) or not op.enlarges:
                continue
            stride = both(op.stride)
            rows, columns = (
                phases(op.kernel[axis], stride[axis], both(op.dilation)[axis]) for axis in (0, 1)
            )
            least, most = rows.least * columns.least, rows.most * columns.most
            if least == most:
                continue
            empty = 1 - rows.share * columns.share
            yield self.hit(
                node,
                f"{facts.called(node)}, kernel {op.kernel} and stride {stride[0]}: its outputs are sums of "
                f"{least} to {most} of {op.kernel[0] * op.kernel[1]} weights, in turn"
                + (f", and {100 * empty:.0f}% see no input" if empty else ""),
                help=f"take a kernel that {stride[0]} divides, such as {2 * stride[0]}x{2 * stride[1]}, "
                f"or upsample {stride[0]} -> conv 3x3, {facts.output(node).c}",
                at=cause(node, "kernel", "stride"),
            )

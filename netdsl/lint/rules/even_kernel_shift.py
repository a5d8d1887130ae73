"""Rule even_kernel_shift."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from netdsl.lint.facts import Facts
from netdsl.lint.rule import Hit, Rule, cause
from netdsl.ops.conv import Convolution
from netdsl.ops.window import both


class EvenKernelShift(Rule):
    """An even kernel with padding, which moves the map by half a pixel.

    ## What it does
    Finds a convolution with stride 1 and padding whose kernel covers an even number of pixels.

    ## Why is this bad
    An even kernel has no middle. With the same padding on both sides the map shrinks or grows by one and its pixels
    lie half a pixel beside those of the input; with TensorFlow's uneven padding the size stays, the map moves by half
    a pixel, and PyTorch copies the map to pad it. The shifts of several layers add up, and what is joined with the
    input again does not fit. With stride 2 an even kernel is in the middle of its four pixels: that is fine.

    ## Bad
        net N:
            input 3, 32x32
            features:
                conv 3x3, 64 -> relu
                conv 4x4, 64, pad=tf -> relu
            gap
            fc: fc 10

    ## Good
        net N:
            input 3, 32x32
            features:
                conv 3x3, 64 -> relu
                conv 3x3, 64 -> relu
            gap
            fc: fc 10

    ## Fix safety
    There is no automatic fix: an odd kernel has other weights.

    ## References
    Wu et al., Convolution with even-sized kernels and symmetric padding, arXiv 1903.08385
    """

    code: ClassVar[str] = "L107"

    def check(self, facts: Facts) -> Iterator[Hit]:
        """Look along both axes of each convolution."""
        for node in facts.convolutions:
            op, x, out = node.op, facts.input(node), facts.output(node)
            assert isinstance(op, Convolution)
            for axis, (low, high) in enumerate(op.padding(x)):
                span = both(op.dilation)[axis] * (op.kernel[axis] - 1)
                if span % 2 == 0 or both(op.stride)[axis] != 1 or low + high == 0:
                    continue
                copied = op.scratch(4, x)
                grown = f"makes {out.h}x{out.w} of {x.h}x{x.w}" if low == high else f"pads {low} and {high}"
                cost = f", and torch copies {copied:,} bytes to pad it" if copied else ""
                yield self.hit(
                    node,
                    f"the kernel {op.kernel} of {facts.called(node)} covers {span + 1} pixels, an even number: "
                    f"it {grown} and moves the map by {abs(span / 2 - low):g} pixels{cost}",
                    help="take an odd kernel, no padding, or stride 2",
                    at=cause(node, "kernel", "pad", "stride", "dilation"),
                )
                break

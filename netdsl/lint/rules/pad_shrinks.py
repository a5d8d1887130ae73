"""Rule pad_shrinks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from netdsl.ir.types import Dims, Pad
from netdsl.lint.facts import Facts
from netdsl.lint.rule import Hit, Rule, cause
from netdsl.ops.conv import Convolution
from netdsl.ops.window import both


class PadShrinks(Rule):
    """Padding that is too little for the kernel.

    ## What it does
    Finds a convolution with stride 1 and an odd kernel that is padded, but by less than half of what it covers, so
    that the map becomes a little smaller: `conv 5x5, pad=1`. Without any padding it is meant.

    ## Why is this bad
    Each such layer takes rows and columns off the border, sums with what came before no longer fit, and sizes are
    odd where they should be halved next. Mostly the kernel or the dilation was changed, and the padding forgotten.

    ## Bad
        net N:
            input 3, 32x32
            features:
                conv 3x3, 64 -> relu
                conv 3x3, 64, dilation=2, pad=1 -> relu
            gap
            fc: fc 10

    ## Good
        net N:
            input 3, 32x32
            features:
                conv 3x3, 64 -> relu
                conv 3x3, 64, dilation=2, pad=2 -> relu
            gap
            fc: fc 10

    ## Fix safety
    There is no automatic fix: maps have another size then.

    ## References
    Dumoulin and Visin, A guide to convolution arithmetic, arXiv 1603.07285, section 2.3: half padding is
    (k - 1) / 2
    """

    code: ClassVar[str] = "L124"

    def check(self, facts: Facts) -> Iterator[Hit]:
        """Compare the padding of each convolution with what its kernel covers."""
        for node in facts.convolutions:
            op = node.op
            assert isinstance(op, Convolution)
            if op.pad.mode != "explicit" or both(op.stride) != (1, 1):
                continue
            covered = [d * (k - 1) for k, d in zip(op.kernel, both(op.dilation), strict=True)]
            short = [0 < 2 * p < n and n % 2 == 0 for p, n in zip(op.pad.size, covered, strict=True)]
            if not any(short):
                continue
            x, out = facts.input(node), facts.output(node)
            enough = Dims(n // 2 if one else p for n, p, one in zip(covered, op.pad.size, short, strict=True))
            apart = max(both(op.dilation))
            kernel = f"{op.kernel}{f' with dilation {apart}' if apart > 1 else ''}"
            yield self.hit(
                node,
                f"the padding of {facts.called(node)} is too little for its kernel {kernel}: it makes "
                f"{out.h}x{out.w} of {x.h}x{x.w}",
                help=f"pad={Pad('explicit', enough)} keeps the size, pad=0 is without any",
                at=cause(node, "pad", "kernel", "dilation"),
            )

"""Rule padded_1x1."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from netdsl.lint.facts import Facts
from netdsl.lint.rule import Hit, Rule, cause
from netdsl.ops.conv import Convolution


class Padded1x1(Rule):
    """A 1x1 convolution with padding.

    ## What it does
    Finds a convolution with a kernel of one pixel and `pad` above 0.

    ## Why is this bad
    It puts a frame around the map that no pixel has a say in: each of its values is the bias. The next layers learn
    from it, averages take it in, and it costs as much as real pixels. `pad=1` mostly is left over from a 3x3.

    ## Bad
        net N:
            input 3, 32x32
            features:
                conv 3x3, 16 -> relu
                conv 1x1, 32, pad=1 -> relu
            gap
            fc: fc 10

    ## Good
        net N:
            input 3, 32x32
            features:
                conv 3x3, 16 -> relu
                conv 1x1, 32 -> relu
            gap
            fc: fc 10

    ## Fix safety
    There is no automatic fix: it is another function. Leave `pad` out.

    ## References
    Dumoulin and Visin, arXiv 1603.07285, section 2.2
    """

    code: ClassVar[str] = "L122"

    def check(self, facts: Facts) -> Iterator[Hit]:
        """Look at the padding of each convolution of pixels."""
        for node in facts.convolutions:
            op, x = node.op, facts.input(node)
            assert isinstance(op, Convolution)
            if tuple(op.kernel) == (1, 1) and op.padding(x) != ((0, 0), (0, 0)):
                out = facts.output(node)
                yield self.hit(
                    node,
                    f"{facts.called(node)}, kernel 1x1, makes {out.h}x{out.w} of {x.h}x{x.w}: its frame is "
                    "the bias alone",
                    help="leave pad out",
                    at=cause(node, "kernel", "pad"),
                )

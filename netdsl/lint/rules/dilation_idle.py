"""Rule dilation_idle."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from netdsl.lint.facts import Facts
from netdsl.lint.rule import Hit, Rule, cause
from netdsl.ops.conv import Convolution


class DilationIdle(Rule):
    """A dilation of a 1x1 convolution.

    ## What it does
    Finds a convolution with a kernel of one pixel and `dilation` above 1.

    ## Why is this bad
    There is nothing to be spread between the taps of a single one: it sees what a plain 1x1 convolution sees. A 3x3
    was meant, or a `default` line gives the dilation to a layer that it was not for.

    ## Bad
        net N:
            input 3, 32x32
            features:
                conv 3x3, 16 -> relu
                conv 1x1, 32, dilation=2 -> relu
            gap
            fc: fc 10

    ## Good
        net N:
            input 3, 32x32
            features:
                conv 3x3, 16 -> relu
                conv 3x3, 32, dilation=2 -> relu
            gap
            fc: fc 10

    ## Fix safety
    There is no automatic fix: leaving it out is the same function, but hardly the one that was meant.

    ## References
    Yu and Koltun, arXiv 1511.07122, equation 1
    """

    code: ClassVar[str] = "L123"

    def check(self, facts: Facts) -> Iterator[Hit]:
        """Look at the dilation of each convolution of pixels."""
        for node in facts.where(lambda op: isinstance(op, Convolution)):
            slides = facts.window(node)
            if slides is not None and slides.kernel == (1, 1) and max(slides.dilation) > 1:
                yield self.hit(
                    node,
                    f"{facts.called(node)} has dilation {max(slides.dilation)} and a kernel of 1x1, "
                    "which has no gaps to widen",
                    help="conv 3x3 with that dilation, or none",
                    at=cause(node, "kernel", "dilation"),
                )

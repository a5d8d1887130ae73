"""Rule upsample_undone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from netdsl.lint.facts import Facts
from netdsl.lint.rule import Hit, Rule
from netdsl.ops.resize import Resampling


class UpsampleUndone(Rule):
    """A map that is made larger and at once smaller again.

    ## What it does
    Finds an `upsample`, or a `resize` that makes a map larger, which nothing reads but a convolution or pool with a
    stride.

    ## Why is this bad
    What upsampling adds is computed from what is there, and the stride drops as many places again: the same map comes
    out, at best, for the memory of the large one. Mostly the stride was copied with its line, or the `upsample` left
    over.

    ## Bad
        net N:
            input 3, 32x32
            features:
                conv 3x3, 64, /2 -> relu
                upsample 2
                conv 3x3, 64, /2 -> relu
            gap
            fc: fc 10

    ## Good
        net N:
            input 3, 32x32
            features:
                conv 3x3, 64, /2 -> relu
                conv 3x3, 64 -> relu
            gap
            fc: fc 10

    ## Fix safety
    There is no automatic fix: it is another function.

    ## References
    Odena et al., Deconvolution and checkerboard artifacts, Distill 2016: a resize adds no information
    """

    code: ClassVar[str] = "L223"

    def check(self, facts: Facts) -> Iterator[Hit]:
        """Look at the reader of each upsampling."""
        for node in facts.of(Resampling):
            small, large = facts.input(node), facts.output(node)
            after = facts.reader(node) if large.elements > small.elements else None
            slides = facts.window(after) if after is not None else None
            if after is None or slides is None or max(slides.stride) == 1:
                continue
            out = facts.output(after)
            yield self.hit(
                after,
                f"{facts.called(after)} makes {out.h}x{out.w} of {large.h}x{large.w}, "
                f"which {facts.called(node)} made of {small.h}x{small.w}",
                help=f"leave {node.op.name} out, and the stride with it",
            )

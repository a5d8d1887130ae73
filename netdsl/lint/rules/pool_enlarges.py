"""Rule pool_enlarges."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from netdsl.lint.facts import Facts
from netdsl.lint.rule import Hit, Rule, cause
from netdsl.ops.pool import Pool


class PoolEnlarges(Rule):
    """An adaptive pool that makes the map larger.

    ## What it does
    Finds a pool `to=` more rows or columns than there are.

    ## Why is this bad
    Its windows then overlap in the same pixels: numbers are repeated, and the fully connected layer behind is paid
    for them again and again. It mostly means that the input is smaller than the net was made for: VGG's `to=7x7`
    gets a single pixel of an image of 32x32.

    ## Bad
        net N:
            input 3, 32x32
            features:
                conv 3x3, 16, /2 -> relu
                conv 3x3, 32, /2 -> relu
                avgpool 8x8
            pool: avgpool to=3x3
            flatten
            fc: fc 10

    ## Good
        net N:
            input 3, 32x32
            features:
                conv 3x3, 16, /2 -> relu
                conv 3x3, 32, /2 -> relu
            pool: avgpool to=2x2
            flatten
            fc: fc 10

    ## Fix safety
    There is no automatic fix: it is another function. A size that the map has, or larger images.

    ## References
    torch.nn.AdaptiveAvgPool2d
    """

    code: ClassVar[str] = "L121"

    def check(self, facts: Facts) -> Iterator[Hit]:
        """Compare what each pool reads and makes."""
        for node in facts.pools:
            assert isinstance(node.op, Pool)
            x, out = facts.input(node), facts.output(node)
            if node.op.to is not None and (out.h > x.h or out.w > x.w):
                yield self.hit(
                    node,
                    f"{facts.called(node)} makes {out.h}x{out.w} of {x.h}x{x.w}: the same pixels, repeated",
                    help=f"to={x.h}x{x.w} or less, or larger inputs",
                    at=cause(node, "to"),
                )

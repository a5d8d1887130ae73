"""Rule stride_beyond_input."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from netdsl.lint.facts import Facts
from netdsl.lint.rule import Hit, Rule


class StrideBeyondInput(Rule):
    """More strides than the input has pixels for.

    ## What it does
    Finds nets in which three convolutions or more look around in maps of at most 2x2, and says what comes of an
    image of that size.

    ## Why is this bad
    A 3x3 window on a single pixel multiplies one ninth of its weights by that pixel, and the others by padding:
    those layers cost as a 3x3, see as a 1x1, and have nothing to tell places apart by. It comes of a net for
    224x224 that is given images of 32x32: the strides of its stem take what the later stages need.

    ## Bad
        net N:
            input 3, 32x32
            default conv bias=false
            stem: conv 7x7, 16, /2 -> bn -> relu -> avgpool 2x2
            features:
                conv 3x3, 32, /2 -> bn -> relu
                conv 3x3, 32, /2 -> bn -> relu
                3 * (conv 3x3, 32 -> bn -> relu)
            gap
            fc: fc 10

    ## Good
        net N:
            input 3, 32x32
            default conv bias=false
            stem: conv 3x3, 16 -> bn -> relu
            features:
                conv 3x3, 32, /2 -> bn -> relu
                conv 3x3, 32, /2 -> bn -> relu
                3 * (conv 3x3, 32 -> bn -> relu)
            gap
            fc: fc 10

    ## Fix safety
    There is no automatic fix: it is another function. A stem without strides (conv 3x3, no pool), as nets for CIFAR
    have it, or larger images.

    ## References
    He et al., arXiv 1512.03385, section 4.2: the nets for 32x32 have two strides, those for 224x224 five
    """

    code: ClassVar[str] = "L507"

    def check(self, facts: Facts) -> Iterator[Hit]:
        """Count the windows that lie on padding for the most part."""
        image = facts.node(next(iter(facts.graph.inputs.values())))
        found = list(facts.drowned.values())
        if not found or facts.output(image).axes != "chw":
            return
        size, left = facts.output(image), facts.input(found[0])
        share = sum(facts.cost(node).macs for node in found) / max(1, facts.total.macs)
        for node in found:
            yield self.hit(
                node,
                f"of {size.h}x{size.w} pixels {facts.called(found[0])} gets {left.h}x{left.w}: {len(found)} "
                f"convolutions, {100 * share:.0f}% of the MACs, look around where there is nothing",
                help="conv 3x3 without a stride as the stem, and no pool behind it; or larger inputs",
                at=image.span,
            )

"""Rule dilation_gridding."""

from __future__ import annotations

from collections.abc import Iterator
from math import gcd
from typing import ClassVar

from netdsl.ir.graph import Node
from netdsl.lint.facts import Facts, Window
from netdsl.lint.rule import Hit, Rule, cause
from netdsl.ops.conv import Convolution
from netdsl.ops.norm import Norm

WIDEST = 2**14
"""The longest side of a receptive field whose pixels are looked at one by one."""


class DilationGridding(Rule):
    """Dilated convolutions in a row that look at the same grid.

    ## What it does
    Follows chains of convolutions with stride 1, and works out which pixels of the map at the chain's start one place
    at its end sees. It finds chains with two or more dilations, all with a common divisor, that leave pixels within
    their receptive field out. An undilated convolution before or behind fills the gaps.

    ## Why is this bad
    With dilation 2 twice, every place sees one pixel of four, and its neighbour sees three others: what they know is
    not of the same pixels, and a pattern of a grid shows in dense outputs. The receptive field that the layers
    were written for is there on paper only.

    ## Bad
        net N:
            input 3, 32x32
            features:
                maxpool 2x2, /2
                conv 3x3, 64, dilation=2 -> relu
                conv 3x3, 64, dilation=2 -> relu
            gap
            fc: fc 10

    ## Good
        net N:
            input 3, 32x32
            features:
                maxpool 2x2, /2
                conv 3x3, 64 -> relu
                conv 3x3, 64, dilation=2 -> relu
                conv 3x3, 64, dilation=2 -> relu
            gap
            fc: fc 10

    ## Fix safety
    There is no automatic fix: dilations without a common divisor, such as 1, 2, 3, see every pixel.

    ## References
    Wang et al., Understanding convolution for semantic segmentation, arXiv 1702.08502, section 3.2; Yu et al.,
    Dilated residual networks, arXiv 1705.09914, section 4
    """

    code: ClassVar[str] = "L505"

    def check(self, facts: Facts) -> Iterator[Hit]:
        """Find each chain once, by its last layer."""
        if all(max(slides.dilation) == 1 for _, slides in _windows(facts)):
            return
        chains: dict[str, list[tuple[Node, Window]]] = {}
        for node, slides in _windows(facts):
            before = facts.source(node)
            while _between(before, facts):
                before = facts.source(before)
            alone = facts.reader(facts.source(node)) is node
            grown = chains.pop(before.name, []) if alone and slides.stride == (1, 1) else []
            chains[node.name] = [*grown, (node, slides)]
        for chain in chains.values():
            dilated = [(node, slides) for node, slides in chain if _step(slides) > 1]
            common = gcd(*(_step(slides) for _, slides in dilated))
            if len(dilated) < 2 or common == 1 or max(_field(chain, 0), _field(chain, 1)) > WIDEST:
                continue
            seen = _seen(chain, 0) * _seen(chain, 1)
            if seen == 1:
                continue
            last, _ = dilated[-1]
            steps = ", ".join(str(_step(slides)) for _, slides in dilated)
            yield self.hit(
                last,
                f"up to {facts.called(last)} the dilations are {steps}, all multiples of {common}: a place sees "
                f"{100 * seen:.0f}% of the pixels in its receptive field",
                help="take dilations without a common divisor, such as 1, 2, 3, or put a plain convolution before",
                at=cause(last, "dilation"),
            )


def _between(node: Node, facts: Facts) -> bool:
    """Tell whether an op leaves channels and places where they are, or all of them shifted; norms look around."""
    op = node.op
    if not op.channelwise or isinstance(op, Convolution):
        return False
    if op.passes_values or isinstance(op, Norm):
        return True
    (seen,) = op.reach(*facts.inputs(node))
    return seen is not None and all(axis.kernel == axis.stride == axis.up == 1 for axis in seen)


def _windows(facts: Facts) -> Iterator[tuple[Node, Window]]:
    for node in facts.convolutions:
        slides = facts.window(node)
        if slides is not None:
            yield node, slides


def _step(slides: Window) -> int:
    """Return the dilation of a kernel; 1 where there is nothing between its taps."""
    return max(d if k > 1 else 1 for d, k in zip(slides.dilation, slides.kernel, strict=True))


def _field(chain: list[tuple[Node, Window]], axis: int) -> int:
    """Return how far apart the first and the last pixel are that a place at the chain's end sees along an axis."""
    return sum(slides.dilation[axis] * (slides.kernel[axis] - 1) for _, slides in chain)


def _seen(chain: list[tuple[Node, Window]], axis: int) -> float:
    """Return how much of the chain's receptive field along an axis is seen; a bit is a pixel."""
    pixels = 1
    for _, slides in chain[::-1]:
        taps, apart = range(slides.kernel[axis]), slides.dilation[axis]
        grown, pixels = pixels, 0
        for tap in taps:
            pixels |= grown << (tap * apart)
    return pixels.bit_count() / pixels.bit_length()

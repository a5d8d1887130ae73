"""Rule window_gap."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from netdsl.ir.graph import Node
from netdsl.lint.facts import Facts, phases, read_share
from netdsl.lint.rule import Hit, Rule, cause
from netdsl.ops.joint import Identity
from netdsl.ops.move import Shift


class WindowGap(Rule):
    """A pool that steps over pixels.

    ## What it does
    Finds a pool whose windows leave pixels out: the stride is larger than the kernel. Convolutions are
    `stride2_1x1`'s, and what is left at the end of a map is `size_truncated`'s. Where others read the same map it is
    only worth a note.

    ## Why is this bad
    The pixels between the windows were computed and are dropped, without the choice that a maximum makes or the
    smoothing of an average, so that fine patterns alias. NASNet's factorized reduction takes two such grids, one
    pixel apart, and still leaves out half of the map.

    ## Bad
        net N:
            input 3, 32x32
            features:
                conv 3x3, 64 -> relu
                avgpool 1x1, /2
                conv 3x3, 64 -> relu
            gap
            fc: fc 10

    ## Good
        net N:
            input 3, 32x32
            features:
                conv 3x3, 64
                maxpool 2x2, /2
                relu
            gap
            fc: fc 10

    ## Fix safety
    There is no automatic fix: another window is another function.

    ## References
    Zhang, Making convolutional networks shift-invariant again, arXiv 1904.11486; Zoph et al., arXiv 1707.07012
    """

    code: ClassVar[str] = "L506"

    def check(self, facts: Facts) -> Iterator[Hit]:
        """Count the positions, modulo the stride, on which a tap of each pool falls."""
        for node in facts.pools:
            slides = facts.window(node)
            if slides is None:
                continue
            x, out = facts.input(node), facts.output(node)
            gaps = [
                (places > 1 or size > slides.kernel[i])
                and phases(slides.kernel[i], slides.stride[i], slides.dilation[i]).share < 1
                for i, (size, places) in enumerate(((x.h, out.h), (x.w, out.w)))
            ]
            if not any(gaps):
                continue
            alone = _alone(node, facts)
            kernel, stride = ("x".join(map(str, size)) for size in (slides.kernel, slides.stride))
            yield self.hit(
                node,
                f"{facts.called(node)} reads {100 * read_share(slides, x, out):.0f}% of its input {x}: "
                f"kernel {kernel}, stride {stride}{'' if alone else '; others read that map too'}",
                help=f"a window of at least {stride}",
                severity="warning" if alone else "info",
                at=cause(node, "stride", "kernel"),
            )


def _alone(node: Node, facts: Facts) -> bool:
    """Tell whether nobody else reads the map, as it is or shifted."""
    while True:
        before = facts.source(node)
        if len(facts.readers(before, node.inputs[0].port)) > 1:
            return False
        if not isinstance(before.op, Identity | Shift):
            return True
        node = before

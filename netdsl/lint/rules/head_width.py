"""Rule head_width."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from netdsl.diagnostics import Severity
from netdsl.lint.facts import Facts
from netdsl.lint.rule import Hit, Rule, Threshold, cause
from netdsl.ops.attention import Attend, Attention

WIDTHS = (32, 64, 48, 24, 16)
"""Those in use, the most common first."""


class HeadWidth(Rule):
    """Attention heads of a width that kernels do not like.

    ## What it does
    Finds an attention whose heads are less than 16 channels wide, or no multiple of 8.

    ## Why is this bad
    The scores of a head are products of as many numbers as it is wide: with few they are all of low rank, and tell
    tokens apart badly. Fused kernels take widths in multiples of 8, and fall back to a slower one, or pad, for
    others.

    ## Bad
        net N:
            input 3, 32x32
            stem: conv 8x8, 48, /8, pad=0
            tokens
            weight pos [16, 48], init=normal(0, 0.02)
            (identity | from pos) -> add
            add:
                identity
                branch: ln as norm -> attention 12 as attn
            mean "n"
            fc: fc 10

    ## Good
        net N:
            input 3, 32x32
            stem: conv 8x8, 48, /8, pad=0
            tokens
            weight pos [16, 48], init=normal(0, 0.02)
            (identity | from pos) -> add
            add:
                identity
                branch: ln as norm -> attention 3 as attn
            mean "n"
            fc: fc 10

    ## Fix safety
    There is no automatic fix: it is another function. 32 and 64 are the widths in use.

    ## References
    Bhojanapalli et al., Low-rank bottleneck in multi-head attention models, arXiv 2002.07028; torch's
    scaled_dot_product_attention, whose flash and memory-efficient kernels want multiples of 8
    """

    code: ClassVar[str] = "L412"
    severity: ClassVar[Severity] = "info"
    thresholds: ClassVar = {"width": Threshold(16, "channels that a head should have")}

    def check(self, facts: Facts) -> Iterator[Hit]:
        """Divide the channels of each attention by its heads."""
        for node in (*facts.of(Attention), *facts.of(Attend)):
            assert isinstance(node.op, Attention | Attend)
            channels, heads = facts.input(node).c, node.op.heads
            width = channels // heads
            least = self.limit("width")
            if width < least or width % 8:
                fit = next((n for n in WIDTHS if channels % n == 0), 0)
                yield self.hit(
                    node,
                    f"{facts.called(node)} has {heads} heads of {width} channels",
                    help=f"heads={channels // fit}, each {fit} channels wide"
                    if fit
                    else "32 channels for each head",
                    at=cause(node, "heads"),
                )

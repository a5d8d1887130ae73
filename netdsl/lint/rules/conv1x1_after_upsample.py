"""Rule conv1x1_after_upsample."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import ClassVar

from netdsl.cost.table import human
from netdsl.diagnostics import Severity
from netdsl.lint.facts import Facts, pointwise
from netdsl.lint.rule import Hit, Rule
from netdsl.ops.resize import Resampling
from netdsl.transforms.rewrite import Rewrite


class Conv1x1AfterUpsample(Rule):
    """A 1x1 convolution of pixels that were made by repeating others.

    ## What it does
    Finds a 1x1 convolution with stride 1 that alone reads the output of an `upsample`, or of a `resize` that makes
    the map larger.

    ## Why is this bad
    Upsampling mixes pixels within a channel, with weights that add up to one, and the convolution mixes channels
    within a pixel, so their order does not matter: the convolution first gives the same numbers for a quarter of
    its MACs at a scale of 2, a sixteenth at 4.

    ## Bad
        net N:
            input 3, 32x32
            features:
                conv 3x3, 64, /2 -> relu
                upsample 2
                conv 1x1, 16
                relu
            gap
            fc: fc 10

    ## Good
        net N:
            input 3, 32x32
            features:
                conv 3x3, 64, /2 -> relu
                conv 1x1, 16
                upsample 2
                relu
            gap
            fc: fc 10

    ## Fix safety
    Safe: the same function, for `bilinear` but for rounding, with the same weights. Unsafe where layers are named by
    their position, as in the example: the keys of the state_dict move.

    ## References
    Sun et al., HRNet, arXiv 1908.07919, whose exchange units convolve first
    """

    code: ClassVar[str] = "L215"
    severity: ClassVar[Severity] = "info"

    def check(self, facts: Facts) -> Iterator[Hit]:
        """Look at the reader of each upsampling."""
        for node in facts.of(Resampling):
            conv = facts.reader(node)
            if conv is None or not pointwise(conv, facts):
                continue
            small, large = facts.input(node), facts.output(node)
            if large.elements <= small.elements:
                continue
            macs = facts.cost(conv).macs
            yield self.hit(
                conv,
                f"{facts.called(conv)} does {human(macs)} MACs at {large.h}x{large.w} pixels, which "
                f"{facts.called(node)} made of {small.h}x{small.w}: the convolution first gives the same",
                help="let the two change places",
                change=partial(Rewrite.swap, first=node.name, second=conv.name),
                edits=facts.text.swap_steps(node.span, conv.span),
            )

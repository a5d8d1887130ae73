"""Rule channels_last."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from netdsl.lint.facts import Facts
from netdsl.lint.rule import Hit, Rule
from netdsl.ops.source import Input

_FEW = (3, 4)
"""The channels of an image: red, green and blue, and perhaps what is transparent."""
_MANY = 16
"""From how many on sizes are those of an image."""


class ChannelsLast(Rule):
    """An input whose columns are as many as an image has channels.

    ## What it does
    Finds an input of 16 channels and rows or more, and three or four columns: `input 64, 64, 3`, `--input 64x64x3`.

    ## Why is this bad
    The first size is the channels, as in PyTorch. So written, the net reads 64 channels of a map with 64 rows and
    three columns, and all that is said of its costs is about another net.

    ## Bad
        net N:
            input 64, 64x3
            stem: conv 1x1, 16, bias=false -> bn -> relu
            gap
            fc: fc 10

    ## Good
        net N:
            input 3, 64x64
            stem: conv 3x3, 16, /2, bias=false -> bn -> relu
            gap
            fc: fc 10

    ## Fix safety
    There is no automatic fix: it is another net.

    ## References
    Images as torch has them, N x C x H x W: https://docs.pytorch.org/docs/stable/generated/torch.nn.Conv2d.html
    """

    code: ClassVar[str] = "L130"

    def check(self, facts: Facts) -> Iterator[Hit]:
        """Look at each input that is a map."""
        for node in facts.of(Input):
            shape = facts.output(node)
            if shape.kind == "a map" and shape.w in _FEW and min(shape.c, shape.h) >= _MANY:
                yield self.hit(
                    node,
                    f"the input {shape} has {shape.c} channels, {shape.h} rows and {shape.w} columns: "
                    "channels stand first",
                    help=f"input {shape.w}, {shape.c}x{shape.h}",
                )

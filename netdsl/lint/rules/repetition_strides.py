"""Rule repetition_strides."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

from netdsl.ir.graph import Scope
from netdsl.ir.types import Shape
from netdsl.lint.edits import walk
from netdsl.lint.facts import Facts
from netdsl.lint.rule import Hit, Rule
from netdsl.syntax import tree


class RepetitionStrides(Rule):
    """Every copy of a repetition has a stride.

    ## What it does
    Finds `n * Block c, /2` without `first`, where each of the copies makes the map smaller and all have as many
    channels.

    ## Why is this bad
    In a stage of a net the first copy has the stride, and the others work at that size: `3 * Block 64, /2` is three
    stages. The map is an eighth as high and wide instead of half, all later layers work on next to nothing, and the
    net still trains.

    ## Bad
        block Residual(c, stride = 1):
            add:
                conv 3x3, c, /stride, bias=false as conv1 -> bn as bn1 -> relu
                -> conv 3x3, c, bias=false as conv2 -> bn as bn2
                conv 3x3, c, /stride, bias=false as short -> bn as short_bn
            relu

        net N:
            input 3, 32x32
            stem: conv 3x3, 16 -> relu
            features: 2 * Residual 32, /2
            gap
            fc: fc 10

    ## Good
        block Residual(c, stride = 1):
            add:
                conv 3x3, c, /stride, bias=false as conv1 -> bn as bn1 -> relu
                -> conv 3x3, c, bias=false as conv2 -> bn as bn2
                conv 3x3, c, /stride, bias=false as short -> bn as short_bn
            relu

        net N:
            input 3, 32x32
            stem: conv 3x3, 16 -> relu
            features: 2 * Residual 32, /2 first
            gap
            fc: fc 10

    ## Fix safety
    There is no automatic fix: it is another function. `/2 first` gives the stride to the first copy.

    ## References
    He et al., arXiv 1512.03385, table 1: the first block of a stage has the stride
    """

    code: ClassVar[str] = "L115"

    def check(self, facts: Facts) -> Iterator[Hit]:
        """Look at the copies of each block that is repeated with a stride."""
        for repeat in facts.text.repeats:
            for layer in walk(repeat.step):
                if not isinstance(layer, tree.Layer):
                    continue
                if not any(isinstance(arg, tree.Stride) and not arg.first for arg in layer.args):
                    continue
                for copies in facts.copies(facts.text.span(layer)):
                    sizes = [
                        (facts.shape(scope.inputs[0]), facts.shape(scope.outputs[0])) for scope in copies
                    ]
                    if len(sizes) < 2 or not all(out.axes == x.axes == "chw" for x, out in sizes):
                        continue
                    if not all(out.h < x.h or x.h == 1 for x, out in sizes) or sizes[1][0].h == 1:
                        continue
                    if len({out.c for _, out in sizes}) == 1:
                        yield self._strides(copies, sizes, facts)

    def _strides(self, copies: Sequence[Scope], sizes: Sequence[tuple[Shape, Shape]], facts: Facts) -> Hit:
        first, last = sizes[0][0], sizes[-1][1]
        return Hit(
            f"each of the {len(copies)} copies of {copies[0].block} makes the map smaller: {first.h}x{first.w} "
            f"becomes {last.h}x{last.w}",
            copies[0].span,
            next(copies[0].nodes()),
            help="/2 first: the others keep the size",
        )

"""Rule size_truncated."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from netdsl.ir.graph import Node
from netdsl.lint.facts import Facts
from netdsl.lint.rule import Hit, Rule, Threshold, at_input
from netdsl.ops.pool import Pool


class SizeTruncated(Rule):
    """Rows or columns at the end of a map that no window reaches.

    ## What it does
    Counts the rows and columns behind the last window of each convolution and pool: the size less the kernel is no
    multiple of the stride. Padding that is left over is not counted, and nor are pixels between windows, which
    `stride2_1x1` and `window_gap` find. Below the threshold, or where others read the map too, it is only a note.

    ## Why is this bad
    The pixels were computed and are dropped, always at the right and at the bottom: `maxpool 2x2` makes 7x7 of 15x15
    and loses 12.9% of it.

    ## Bad
        net N:
            input 3, 15x15
            features:
                conv 3x3, 64
                maxpool 2x2, /2
                relu
            gap
            fc: fc 10

    ## Good
        net N:
            input 3, 16x16
            features:
                conv 3x3, 64
                maxpool 2x2, /2
                relu
            gap
            fc: fc 10

    ## Fix safety
    There is no automatic fix: `ceil=true`, padding or another input size change the sizes of all that follows.

    ## References
    Dumoulin and Visin, arXiv 1603.07285, section 2.4: the floor in the size of the output
    """

    code: ClassVar[str] = "L108"
    thresholds: ClassVar = {"share": Threshold(0.05, "part of a map's pixels that a layer may leave out")}

    def check(self, facts: Facts) -> Iterator[Hit]:
        """Look at each layer."""
        yield from at_input(self._layers(facts), facts)

    def _layers(self, facts: Facts) -> Iterator[Hit]:
        """Find where the last window of each layer ends."""
        for node in (*facts.convolutions, *facts.pools):
            rows, columns = _dropped(node, facts)
            if not rows and not columns:
                continue
            x = facts.input(node)
            share = 1 - (x.h - rows) * (x.w - columns) / (x.h * x.w)
            alone = len(facts.readers(facts.source(node), node.inputs[0].port)) == 1
            yield self.hit(
                node,
                f"{facts.called(node)} makes {facts.output(node)} of {x} and never reads the last "
                f"{_said(rows, columns)}: {100 * share:.1f}% of the pixels",
                help="ceil=true" if isinstance(node.op, Pool) else "pad=1, or an input of another size",
                severity="warning" if alone and share > self.limit("share") else "info",
            )


def _said(rows: int, columns: int) -> str:
    parts = [(rows, "row"), (columns, "column")]
    return " and ".join(f"{count} {what}{'s' if count > 1 else ''}" for count, what in parts if count)


def _dropped(node: Node, facts: Facts) -> tuple[int, int]:
    """Return how many rows and columns of the input lie behind the last window."""
    slides = facts.window(node)
    if slides is None:
        return 0, 0
    x, out = facts.input(node), facts.output(node)
    (rows, columns), dropped = slides.padding(x), []
    for axis, size, places, low in ((0, x.h, out.h, rows[0]), (1, x.w, out.w, columns[0])):
        kernel, stride, dilation = slides.kernel[axis], slides.stride[axis], slides.dilation[axis]
        last = (places - 1) * stride + dilation * (kernel - 1) - low
        gaps = kernel < stride or dilation > 1
        dropped.append(0 if gaps else max(0, size - 1 - last))
    return dropped[0], dropped[1]

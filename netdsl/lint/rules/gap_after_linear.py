"""Rule gap_after_linear."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import ClassVar

from netdsl.cost.table import human
from netdsl.diagnostics import Severity
from netdsl.ir.graph import Node
from netdsl.lint.edits import Edit, Text
from netdsl.lint.facts import Facts, pointwise
from netdsl.lint.rule import Hit, Rule
from netdsl.ops.conv import Conv
from netdsl.ops.layout import Flatten
from netdsl.ops.linear import Linear
from netdsl.ops.pool import AvgPool, GlobalAvgPool
from netdsl.syntax import tree
from netdsl.transforms.rewrite import Rewrite


class GapAfterLinear(Rule):
    """A 1x1 convolution of pixels that are all averaged next.

    ## What it does
    Finds a 1x1 convolution with stride 1 whose output is read by `gap` alone.

    ## Why is this bad
    Both are linear, so averaging first gives the same numbers, and the convolution becomes an `fc` on one vector:
    on a map of 7x7 that is 2% of its MACs. One with groups, or with standardised weights, stays a convolution, of the
    one pixel of `avgpool to=1x1`.

    ## Bad
        net N:
            input 3, 32x32
            features:
                conv 3x3, 64 -> relu
                conv 1x1, 16
                gap

    ## Good
        net N:
            input 3, 32x32
            features:
                conv 3x3, 64 -> relu
                gap
                fc 16

    ## Fix safety
    Unsafe, since the weight is [out, in] instead of [out, in, 1, 1]: the same numbers, and the same function but for
    rounding.
    Where the map of scores itself is wanted, as for class activation maps, keep the convolution.

    ## References
    Zhou et al., arXiv 1512.04150: the class activation map is the fc put back onto the pixels
    """

    code: ClassVar[str] = "L211"
    severity: ClassVar[Severity] = "info"

    def check(self, facts: Facts) -> Iterator[Hit]:
        """Look at the reader of each pointwise convolution."""
        for node in facts.convolutions:
            gap = facts.reader(node) if pointwise(node, facts) else None
            shape = facts.input(node)
            if gap is None or not isinstance(gap.op, GlobalAvgPool) or shape.h * shape.w == 1:
                continue
            op, one, fc = node.op, AvgPool(to=1), _fc(node, facts)
            ops = [one, op, Flatten()] if fc is None else [gap.op, fc]
            macs = op.macs(one.infer(shape))
            yield self.hit(
                node,
                f"{facts.called(node)} does {human(facts.cost(node).macs)} MACs at {shape.h}x{shape.w} pixels that "
                f"{facts.called(gap)} averages: averaging first gives the same for {human(macs)}",
                help=f"avgpool to=1x1 -> {op.name} 1x1 -> flatten"
                if fc is None
                else f"gap -> fc {fc.channels}",
                change=partial(Rewrite.chain, names=[node.name, gap.name], ops=ops),
                edits=_edits(node, gap, facts.text) if fc is not None else None,
            )


def _fc(node: Node, facts: Facts) -> Linear | None:
    """Return the fc that multiplies one pixel by the weights of a convolution, if there is one."""
    op = node.op
    if not isinstance(op, Conv) or op.groups > 1 or op.plain(facts.input(node)) is not op:
        return None
    return Linear(channels=op.channels, bias=op.bias, inits=op.inits)


def _edits(node: Node, gap: Node, text: Text) -> tuple[Edit, ...] | None:
    """Return the edits: the two change places, and the convolution becomes an fc."""
    layer, swapped = text.layer(node.span), text.swap_steps(node.span, gap.span)
    if layer is None or swapped is None:
        return None
    given = [
        arg
        for arg in layer.args
        if not isinstance(arg, tree.DimsLiteral) and not (isinstance(arg, tree.Keyword) and arg.name in _LOST)
    ]
    named = f" as {text.written(layer.label)}" if layer.label is not None else ""
    fc = f"fc {', '.join(map(text.written, given))}{named}"
    earlier, later = swapped
    return earlier, Edit(later.span, later.text.replace(text.written(layer), fc))


_LOST = frozenset({"kernel", "stride", "pad", "dilation", "groups"})
"""Arguments of a convolution that an fc does not have."""

"""Rule linear_linear."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import ClassVar

from netdsl.cost.table import human
from netdsl.diagnostics import Label
from netdsl.ir.graph import Node
from netdsl.lint.facts import Facts
from netdsl.lint.rule import Hit, Rule
from netdsl.ops import Op
from netdsl.ops.conv import Conv
from netdsl.ops.dropout import Drop
from netdsl.ops.linear import Linear
from netdsl.ops.window import both
from netdsl.transforms.rewrite import Rewrite


class LinearLinear(Rule):
    """Two linear layers in a row that one cheaper layer could be.

    ## What it does
    Finds two `fc`, or two convolutions of which one is 1x1, with nothing but dropout between them, where the one
    layer that does the same has fewer MACs and no more params. A narrow middle is left alone: `fc 64 -> fc 1000`
    behind 1000 channels is a low rank on purpose, and cheaper than the product. Of standardised weights the product
    is none, so the one layer is a `conv`.

    ## Why is this bad
    The product of two matrices is a matrix: without an activation between them the second layer adds nothing that
    the first could not do, and each is stored, trained and run. Mostly the activation was forgotten.

    ## Bad
        net N:
            input 3, 32x32
            features:
                conv 3x3, 64 -> relu
                conv 1x1, 128
                conv 3x3, 64 -> relu
            gap
            fc: fc 10

    ## Good
        net N:
            input 3, 32x32
            features:
                conv 3x3, 64 -> relu
                conv 3x3, 64 -> relu
            gap
            fc: fc 10

    ## Fix safety
    There is no automatic fix: either an activation is missing, which is another function, or the weights have to be
    multiplied. Where the kernel after a 1x1 with a bias has padding, the product differs at the border.

    ## References
    W2 (W1 x + b1) + b2 = (W2 W1) x + (W2 b1 + b2); Arora et al., arXiv 1802.06509, on what such products change in
    training
    """

    code: ClassVar[str] = "L210"

    def check(self, facts: Facts) -> Iterator[Hit]:
        """Compare each pair with its product; of three in a row the first two are one finding."""
        taken: set[str] = set()
        for node in facts.dense:
            row = [node] if node.name not in taken else []
            after = facts.reader(node) if row else None
            while after is not None and isinstance(after.op, Drop):
                row.append(after)
                after = facts.reader(after)
            merged = _product(node, after, facts) if after is not None else None
            if after is None or merged is None:
                continue
            one = merged.cost(facts.input(node))
            two = facts.cost(node) + facts.cost(after)
            if one.macs >= two.macs or one.params > two.params:
                continue
            taken.add(after.name)
            what = "dropout alone" if len(row) > 1 else "nothing"
            yield self.hit(
                after,
                f"{what} is between {facts.called(node)} and {facts.called(after)}: one layer does the same for "
                f"{human(one.macs)} instead of {human(two.macs)} MACs",
                labels=(Label(node.span, "the first of the two"),) if node.span != after.span else (),
                help=f"write an activation between them, or leave {facts.called(node)} out",
                change=partial(Rewrite.chain, names=[one.name for one in (*row, after)], ops=[merged]),
            )


def _product(first: Node, second: Node, facts: Facts) -> Op | None:
    """Return the layer that two layers in a row are, if there is one: with their weights as they are used."""
    b = second.op.plain(*facts.inputs(second))
    a = first.op.plain(*facts.inputs(first)) if b is not None else None
    if isinstance(a, Linear) and isinstance(b, Linear):
        return b.replace(bias=a.bias or b.bias)
    if not isinstance(a, Conv) or not isinstance(b, Conv) or a.groups > 1 or b.groups > 1:
        return None
    if _pointwise(b):
        return a.replace(channels=b.channels, bias=a.bias or b.bias)
    if _pointwise(a):
        return b.replace(bias=a.bias or b.bias)
    return None


def _pointwise(op: Conv) -> bool:
    """Tell whether a convolution works within a pixel, at every pixel."""
    plain = tuple(op.kernel) == (1, 1) and both(op.stride) == (1, 1)
    return plain and (op.pad.mode != "explicit" or op.pad.size == (0, 0))

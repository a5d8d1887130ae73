"""Rule norm_norm."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import ClassVar

from netdsl.diagnostics import Label
from netdsl.ir.graph import Node
from netdsl.lint.facts import Facts
from netdsl.lint.rule import Hit, Rule
from netdsl.ops.base import Op
from netdsl.ops.norm import Norm
from netdsl.transforms.rewrite import Rewrite


class NormNorm(Rule):
    """A normalisation that reads nothing but another one.

    ## What it does
    Finds two normalisations in a row, where nobody else reads the first. Where the second is a batch or instance
    normalisation, which takes scale and shift of each channel away again, the first one's weights do nothing, and of
    a batch normalisation nothing is left. Other pairs, which are merely odd, are worth a note.

    ## Why is this bad
    Weights that the next layer divides out have a gradient of zero but for rounding, and the map is written once more
    for nothing. Mostly a block that begins with a norm follows one that ends with a norm.

    ## Bad
        net N:
            input 3, 32x32
            features:
                conv 3x3, 64, bias=false -> bn -> bn -> relu
            gap
            fc: fc 10

    ## Good
        net N:
            input 3, 32x32
            features:
                conv 3x3, 64, bias=false -> bn -> relu
            gap
            fc: fc 10

    ## Fix safety
    Unsafe: without the first one the function is the same but for eps, with new running statistics in the second.
    Trained weights need these.

    ## References
    Ioffe and Szegedy, arXiv 1502.03167, section 3: bn(a x + b) = bn(x)
    """

    code: ClassVar[str] = "L111"

    def check(self, facts: Facts) -> Iterator[Hit]:
        """Look at the reader of each normalisation."""
        for node in facts.where(_normalises):
            after = facts.reader(node)
            if after is None or not isinstance(after.op, Norm):
                continue
            params = facts.cost(node).params
            pair = f"{facts.called(node)} and {facts.called(after)} normalise one after the other"
            if not after.op.centres(facts.input(after)) or not (params or node.op.linear):
                first = (Label(node.span, "the first"),)
                yield self.hit(after, pair, labels=first, help="leave one of them out", severity="info")
            elif not node.op.linear:
                yield self.hit(
                    node,
                    f"{pair}: the second undoes the first one's weights, {params:,} params",
                    help=f"leave {node.op.name} out",
                )
            else:
                yield self.hit(
                    node,
                    f"{pair}: nothing is left of the first, {params:,} params",
                    help="leave one of them out",
                    change=partial(Rewrite.remove, name=node.name),
                    edits=facts.text.remove_step(node.span) if _written(node, facts) else None,
                    safe=False,
                )


def _normalises(op: Op) -> bool:
    return isinstance(op, Norm)


def _written(node: Node, facts: Facts) -> bool:
    """Tell whether the norm is a step of its own, and not the `norm=` of a layer."""
    layer = facts.text.layer(node.span)
    return layer is not None and layer.op.text == node.op.name

"""Rule no_positions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from netdsl.diagnostics import Label
from netdsl.ir.graph import Node
from netdsl.lint.facts import Facts, same
from netdsl.lint.rule import Hit, Rule
from netdsl.ops.attention import Attend, Attention
from netdsl.ops.norm import Norm
from netdsl.ops.source import Weight


class NoPositions(Rule):
    """Attention among places that it cannot tell apart.

    ## What it does
    Finds attention among the places of a map, where nothing tells it which place is where: no learned or fixed
    tensor is added to tokens or scores, and no window of a convolution, pool or shift reaches over the border of a
    patch.

    ## Why is this bad
    Attention treats tokens as a set: with the patches of every image in another order the net gives the same
    answer. It still trains, on bags of patches.

    ## Bad
        net N:
            input 3, 32x32
            stem: conv 8x8, 32, /8, pad=0
            tokens
            add:
                identity
                branch: ln as norm -> attention 2 as attn
            mean "n"
            fc: fc 10

    ## Good
        net N:
            input 3, 32x32
            stem: conv 8x8, 32, /8, pad=0
            tokens
            weight pos [16, 32], init=normal(0, 0.02)
            (identity | from pos) -> add
            add:
                identity
                branch: ln as norm -> attention 2 as attn
            mean "n"
            fc: fc 10

    ## Fix safety
    There is no automatic fix: it is another function. Add a learned tensor to the tokens, or a `relative_bias` to
    the scores.

    ## References
    Dosovitskiy et al., arXiv 2010.11929, table 8: 61.4% without positions, 64.2% with
    """

    code: ClassVar[str] = "L118"

    def check(self, facts: Facts) -> Iterator[Hit]:
        """Look for what tells places apart before the first attention."""
        first = next(
            (n for n in facts.nodes if isinstance(n.op, Attention | Attend) and facts.input(n).n > 1), None
        )
        if first is None:
            return
        if any(
            isinstance(node.op, Weight) and facts.output(node).axes != "c" and _many(node, facts)
            for node in facts.nodes
        ):
            return
        before = [facts.node(name) for name in facts.ancestors(first)]
        image = any(facts.output(one).axes == "chw" for one in before)
        if image and not any(_looks_around(one, facts) for one in facts.nodes if one.name != first.name):
            made = _made(first, before, facts)
            yield self.hit(
                first,
                f"{facts.called(first)} is among the {facts.input(first).n} places of a map, and nothing says "
                "which is where",
                help=f"weight pos [{facts.input(first).n}, {facts.input(first).c}], init=normal(0, 0.02) and, behind "
                f"{made.op.name if made is not None else 'tokens'}, (identity | from pos) -> add",
                labels=(Label(made.span, "behind this"),) if made is not None else (),
            )


def _made(attention: Node, before: list[Node], facts: Facts) -> Node | None:
    """Return what makes as many tokens as an attention reads, of a map or of fewer of them."""
    tokens = facts.input(attention)
    made = {one.name for one in before if facts.output(one) == tokens and tokens not in facts.inputs(one)}
    return next((one for one in reversed(facts.nodes) if one.name in made and one.inputs), None)


def _many(node: Node, facts: Facts) -> bool:
    """Tell whether a tensor of the net has numbers for several places."""
    shape = facts.output(node)
    return shape.elements > shape.c


def _looks_around(node: Node, facts: Facts) -> bool:
    """Tell whether an op sees the neighbours of a place, so that its border or their order is seen too."""
    op = node.op
    if not node.inputs or isinstance(op, Attention | Attend | Norm) or same(op):
        return False
    if facts.input(node).axes != "chw" or facts.output(node).axes != "chw":
        return bool(facts.cost(node).macs) and not op.tokenwise and facts.output(node).axes in ("nc", "bnc")
    return any(
        seen is not None
        and any(axis.kernel > max(axis.stride, axis.up) or axis.pad for axis in seen if axis.stride)
        for seen in op.reach(*facts.inputs(node))
    )

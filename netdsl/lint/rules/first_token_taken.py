"""Rule first_token_taken."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from netdsl.diagnostics import Label
from netdsl.ir.graph import Node
from netdsl.lint.facts import Facts, passes
from netdsl.lint.rule import Hit, Rule
from netdsl.ops.joint import Concat
from netdsl.ops.part import Token
from netdsl.ops.source import Weight


class FirstTokenTaken(Rule):
    """The first place of a map is taken as if it were a class token.

    ## What it does
    Finds `token 0` of tokens that come from a map, where no learned token was put before them, and any `token` that
    is a place of the map although a learned one was put somewhere among them.

    ## Why is this bad
    It then is the top left corner of the image: the answer depends on what attention brings there, and all other
    places are dropped. The `concat` with a learned `weight` is missing, or the mean of all tokens was meant.

    ## Bad
        net N:
            input 3, 32x32
            stem: conv 8x8, 32, /8, pad=0
            tokens
            weight pos [16, 32], init=normal(0, 0.02)
            (identity | from pos) -> add
            add:
                identity
                branch: ln as norm -> attention 2 as attn
            token 0
            fc: fc 10

    ## Good
        net N:
            input 3, 32x32
            weight cls [1, 32], batch=true, init=normal(0, 0.02)
            stem: conv 8x8, 32, /8, pad=0
            patches = from stem -> tokens
            from cls, patches -> concat axis="n"
            weight pos [17, 32], init=normal(0, 0.02)
            (identity | from pos) -> add
            add:
                identity
                branch: ln as norm -> attention 2 as attn
            token 0
            fc: fc 10

    ## Fix safety
    There is no automatic fix: it is another function. Put a learned token before the others, or average them.

    ## References
    Dosovitskiy et al., arXiv 2010.11929, section 3.1 and appendix D.3
    """

    code: ClassVar[str] = "L117"

    def check(self, facts: Facts) -> Iterator[Hit]:
        """Look for a learned token among all that a taken one depends on."""
        for node in facts.of(Token):
            assert isinstance(node.op, Token)
            before = [facts.node(name) for name in facts.ancestors(node)]
            joined = [one for one in before if isinstance(one.op, Concat) and facts.output(one).axes == "nc"]
            added = [one for one in joined if any(_learned(facts.node(v.node), facts) for v in one.inputs)]
            image = any(facts.output(one).axes == "chw" for one in before)
            rows = [
                one for one in joined if facts.output(one).n > facts.inputs(one)[0].n
            ]  # no places of a map
            if image and not added and not rows and node.op.index == 0:
                yield self.hit(
                    node,
                    f"{facts.called(node)} is the top left place of a map: no learned token stands before the "
                    f"{facts.input(node).n} of it",
                    help='from cls, patches -> concat axis="n" with weight cls, or the mean: mean "n"',
                )
            last = max(added, key=lambda one: facts.output(one).n, default=None)
            if image and last is not None and facts.output(last).n == facts.input(node).n:
                yield from self._misplaced(node, last, facts)

    def _misplaced(self, node: Node, joint: Node, facts: Facts) -> Iterator[Hit]:
        """Compare the index that is taken with those of the learned tokens of a concatenation."""
        assert isinstance(node.op, Token)
        index, tokens = node.op.index, _tokens(joint, facts)
        if not tokens[index]:
            learned = [place for place, one in enumerate(tokens) if one]
            more = ", ..." if len(learned) > 4 else ""
            yield self.hit(
                node,
                f"{facts.called(node)} takes token {index}, a place of the map: of the {len(tokens)} of "
                f"{facts.called(joint)}, {', '.join(map(str, learned[:4]))}{more} "
                f"{'are' if len(learned) > 1 else 'is'} learned",
                labels=(Label(joint.span, "joined here"),),
                help=f"token {learned[0]}, or the learned tokens before the others",
            )


def _tokens(node: Node, facts: Facts) -> list[bool]:
    """Return of each token that a node makes whether it is a learned one, looking through what keeps their order."""
    shape = facts.output(node)
    while not isinstance(node.op, Concat | Weight):
        sources = _sources(node, facts)
        alike = [one for one, read in zip(sources, facts.inputs(node), strict=True) if read == shape]
        if not alike:
            break
        node = next((one for one in alike if not _learned(one, facts)), alike[0])  # positions are added
    if isinstance(node.op, Concat) and shape.axes == "nc":
        return [token for one in _sources(node, facts) for token in _tokens(one, facts)]
    return [_learned(node, facts)] * (shape.n if shape.axes == "nc" else 1)


def _sources(node: Node, facts: Facts) -> list[Node]:
    return [facts.source(node, position) for position in range(len(node.inputs))]


def _learned(node: Node, facts: Facts) -> bool:
    """Tell whether a value is a learned tensor, in whatever shape."""
    while passes(node.op):
        node = facts.source(node)
    return isinstance(node.op, Weight)

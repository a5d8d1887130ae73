"""Rule first_token_taken."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from netdsl.ir.graph import Node
from netdsl.lint.facts import Facts, passes
from netdsl.lint.rule import Hit, Rule
from netdsl.ops.joint import Concat
from netdsl.ops.part import Token
from netdsl.ops.source import Weight


class FirstTokenTaken(Rule):
    """The first place of a map is taken as if it were a class token.

    ## What it does
    Finds `token 0` of tokens that come from a map, where no learned token was put before them.

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
            if node.op.index != 0:
                continue
            before = [facts.node(name) for name in facts.ancestors(node)]
            joined = [one for one in before if isinstance(one.op, Concat) and facts.output(one).axes == "nc"]
            added = any(_learned(facts.node(value.node), facts) for one in joined for value in one.inputs)
            image = any(facts.output(one).axes == "chw" for one in before)
            if image and not added:
                yield self.hit(
                    node,
                    f"{facts.called(node)} is the top left place of a map: no learned token stands before the "
                    f"{facts.input(node).n} of it",
                    help='from cls, patches -> concat axis="n" with weight cls, or the mean: mean "n"',
                )


def _learned(node: Node, facts: Facts) -> bool:
    """Tell whether a value is a learned tensor, in whatever shape."""
    while passes(node.op):
        node = facts.source(node)
    return isinstance(node.op, Weight)

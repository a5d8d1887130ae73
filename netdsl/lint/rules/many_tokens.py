"""Rule many_tokens."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from netdsl.cost.table import human
from netdsl.diagnostics import Severity
from netdsl.lint.facts import Facts
from netdsl.lint.rule import Hit, Rule, Threshold
from netdsl.ops.attention import Attend, Attention


class ManyTokens(Rule):
    """Attention among thousands of tokens.

    ## What it does
    Finds attention with more scores than 2048 tokens have with one another. The finding is where the net calls for
    it: a block knows nothing of the size of its map.

    ## Why is this bad
    Scores grow with the square of the tokens, which grow with the square of the map's side, so twice the resolution
    is 16 times the work and the memory. Nets that begin with large maps look within windows (Swin), at fewer keys
    (PVT), or stride first.

    ## Bad
        net N:
            input 3, 256x256
            stem: conv 3x3, 64, /2 -> relu -> conv 3x3, 64, /2
            tokens
            add:
                identity
                branch: ln as norm -> attention 2 as attn
            mean "n"
            fc: fc 10

    ## Good
        net N:
            input 3, 256x256
            stem: conv 16x16, 64, /16, pad=0
            tokens
            weight pos [256, 64], init=normal(0, 0.02)
            (identity | from pos) -> add
            add:
                identity
                branch: ln as norm -> attention 2 as attn
            mean "n"
            fc: fc 10

    ## Fix safety
    There is no automatic fix: it is another function.

    ## References
    Liu et al., Swin Transformer, arXiv 2103.14030, section 3.2; Wang et al., Pyramid Vision Transformer,
    arXiv 2102.12122
    """

    code: ClassVar[str] = "L222"
    severity: ClassVar[Severity] = "info"
    thresholds: ClassVar = {"tokens": Threshold(2048, "tokens that may all be compared with one another")}

    def check(self, facts: Facts) -> Iterator[Hit]:
        """Count the scores of each attention, within a window where there are any."""
        for node in (*facts.of(Attention), *facts.of(Attend)):
            assert isinstance(node.op, Attention | Attend)
            inputs = facts.inputs(node)
            queries, keys = inputs[0].n, inputs[min(1, len(inputs) - 1)].n
            if queries * keys <= self.limit("tokens") ** 2:
                continue
            scores = node.op.heads * queries * keys
            yield self.hit(
                node,
                f"{facts.called(node)} compares {queries} tokens with {keys}: {human(scores)} scores in "
                f"{node.op.heads} heads, {human(4 * scores)}B",
                help="stride first, or attention within windows",
                at=node.calls[-1].span if node.calls else None,
            )

"""Rule growing_concat."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from netdsl.cost.table import human
from netdsl.diagnostics import Severity
from netdsl.ir.graph import Node
from netdsl.lint.facts import Facts, same
from netdsl.lint.rule import Hit, Rule, Threshold
from netdsl.ops.joint import Concat


class GrowingConcat(Rule):
    """Concatenations of concatenations, each of which copies all that came before.

    ## What it does
    Finds chains of `concat` at one resolution in which each takes the one before and adds to it, and whose copies
    are many times what is added.

    ## Why is this bad
    With c new channels a layer, the n-th concat copies n c channels, so memory grows with the square of the depth
    where the numbers themselves grow with the depth. A DenseNet keeps all copies in training, and the outputs of the
    normalisations behind them too; its authors had to share storage by hand and recompute to train deeper ones.

    ## Bad
        block Layer:
            concat:
                identity
                conv: conv 3x3, 16 -> relu

        net N:
            input 3, 16x16
            features:
                conv 3x3, 16 -> relu
                8 * Layer
            gap
            fc: fc 10

    ## Good
        block Layer:
            add:
                identity
                conv: conv 3x3, 16
            relu

        net N:
            input 3, 16x16
            features:
                conv 3x3, 16 -> relu
                8 * Layer
            gap
            fc: fc 10

    ## Fix safety
    There is no automatic fix: it is another function. Shorter blocks with transitions between them, or one concat at
    the end of a block (VoVNet), keep the idea.

    ## References
    Pleiss et al., Memory-Efficient Implementation of DenseNets, arXiv 1707.06990; Lee et al., arXiv 1904.09730
    """

    code: ClassVar[str] = "L213"
    severity: ClassVar[Severity] = "info"
    audit: ClassVar[bool] = True
    thresholds: ClassVar = {"times": Threshold(4, "how many times their new channels concats may copy")}

    def check(self, facts: Facts) -> Iterator[Hit]:
        """Follow each chain of concats from the first to the last."""
        chains: dict[str, list[Node]] = {}
        last: dict[str, list[Node]] = {}
        for node in facts.of(Concat):
            if node.train:
                continue
            before = _earlier(facts, node)
            chain = chains.get(before.name, []) if before is not None else []
            if before is not None:
                last.pop(before.name, None)
            chains[node.name] = last[node.name] = chain
            chain.append(node)
        for chain in last.values():
            copied = sum(facts.cost(node).activations for node in chain)
            kept = facts.cost(chain[-1]).activations
            if copied <= self.limit("times") * kept:
                continue
            yield self.hit(
                chain[-1],
                f"{len(chain)} concats up to {facts.called(chain[-1])} copy {human(copied)}B to hold the "
                f"{human(kept)}B of the last one",
                help="make the block shorter, with a transition behind it, or concatenate once at its end",
            )


def _earlier(facts: Facts, node: Node) -> Node | None:
    """Return the concat that a concat takes over whole."""
    for position in range(len(node.inputs)):
        before = facts.source(node, position)
        while same(before.op):
            before = facts.source(before)
        if isinstance(before.op, Concat):
            return before
    return None

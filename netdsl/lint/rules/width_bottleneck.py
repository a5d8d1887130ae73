"""Rule width_bottleneck."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from netdsl.diagnostics import Severity
from netdsl.ir.graph import Node
from netdsl.lint.facts import Facts, dense
from netdsl.lint.rule import Hit, Rule, Threshold


class WidthBottleneck(Rule):
    """A layer of few channels through which everything must pass, in a wide net.

    ## What it does
    Finds a convolution or `fc` with at most a sixteenth of the channels of the layer before it and of the one behind
    it, if no other value passes it by: what a shortcut leads around it, or a concatenation, is not lost.

    ## Why is this bad
    What does not fit into those channels is gone, and no later width brings it back: behind it the features of a
    place lie on a surface of that many dimensions. Squeezed layers within residual blocks, or with little reduction,
    are another matter. In an autoencoder it is the purpose.

    ## Bad
        net N:
            input 3, 32x32
            features:
                conv 3x3, 64 -> relu
                conv 1x1, 4 -> relu
                conv 3x3, 64 -> relu
            gap
            fc: fc 10

    ## Good
        net N:
            input 3, 32x32
            features:
                conv 3x3, 64 -> relu
                conv 1x1, 16 -> relu
                conv 3x3, 64 -> relu
            gap
            fc: fc 10

    ## Fix safety
    There is no automatic fix: a wider layer costs more.

    ## References
    Szegedy et al., Rethinking the Inception architecture, arXiv 1512.00567, section 2, principle 1
    """

    code: ClassVar[str] = "L307"
    severity: ClassVar[Severity] = "info"
    thresholds: ClassVar = {
        "ratio": Threshold(16, "how many times narrower than its neighbours a layer may be")
    }

    def check(self, facts: Facts) -> Iterator[Hit]:
        """Sweep over the values that are still to be read: where there is one only, everything passes it."""
        waiting: dict[str, int] = {}
        for node in facts.nodes:
            for value in node.inputs:
                waiting[value.node] -= 1
                if not waiting[value.node]:
                    del waiting[value.node]
            readers = sum(len(facts.readers(node, port)) for port in range(len(facts.outputs(node))))
            if readers:
                waiting[node.name] = readers
            if len(waiting) == 1 and node.name in waiting and dense(node, facts):
                wide = self._wide(node, facts)
                if wide:
                    narrow, before = facts.output(node), facts.input(node).c
                    yield self.hit(
                        node,
                        f"all that {facts.name} knows passes the {narrow.c} channels of {facts.called(node)} "
                        f"{narrow}, between {before} and {wide}",
                        help="make it wider, or lead a shortcut around it",
                    )

    def _wide(self, node: Node, facts: Facts) -> int:
        """Return the channels of the next layer with weights, if the node is much narrower than both neighbours."""
        least = self.limit("ratio") * facts.output(node).c
        after = facts.reader(node)
        while after is not None and after.op.channelwise and not after.op.fuses:
            after = facts.reader(after)
        if after is None or not dense(after, facts) or facts.input(node).c < least:
            return 0
        return facts.output(after).c if facts.output(after).c >= least else 0

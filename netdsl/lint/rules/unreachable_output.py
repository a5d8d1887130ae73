"""Rule unreachable_output."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from netdsl.diagnostics import Severity
from netdsl.lint.facts import Facts
from netdsl.lint.rule import Hit, Rule
from netdsl.ops.source import Input


class UnreachableOutput(Rule):
    """An output that no input reaches, or an input that reaches no output.

    ## What it does
    Finds outputs of the net that depend on learned tensors only, and inputs on which no output depends. An input
    that only gives a `crop` its size does not reach anything by that.

    ## Why is this bad
    Such an output is the same for every sample, and the numbers given for such an input change nothing, yet both
    belong to the net's signature: the caller believes that they matter. Mostly a `from` names the wrong value.

    ## Bad
        net N:
            input image: 3, 32x32
            input depth: 1, 32x32
            from image -> conv 3x3, 64 as a
            relu
            gap
            fc: fc 10

    ## Good
        net N:
            input image: 3, 32x32
            input depth: 1, 32x32
            from image, depth -> concat
            a: conv 3x3, 64
            relu
            gap
            fc: fc 10

    ## Fix safety
    There is no automatic fix: the input belongs somewhere, or to no net at all.

    ## References
    What a compiler says of an unused parameter, and of a result that is constant
    """

    code: ClassVar[str] = "L103"
    severity: ClassVar[Severity] = "error"

    def check(self, facts: Facts) -> Iterator[Hit]:
        """Ask what each output sees, and whether anything that is live reads an input."""
        for node in facts.of(Input):
            if node.name not in facts.live:
                yield self.hit(
                    node,
                    f"no output of {facts.name} depends on the input {node.name} {facts.output(node)}",
                    help=f"read it: from {node.name}, or take it away",
                )
        for output in facts.graph.outputs:
            if output.value.node not in facts.net.receptive:
                node = facts.node(output.value.node)
                yield self.hit(
                    node,
                    f"the output {output.name} of {facts.name}, made by {facts.called(node)}, sees no input: "
                    "it is the same for every sample",
                    help="join it with what comes from an input",
                )

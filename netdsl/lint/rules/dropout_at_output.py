"""Rule dropout_at_output."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import ClassVar

from netdsl.ir.graph import Node
from netdsl.lint.facts import Facts, passes
from netdsl.lint.rule import Hit, Rule
from netdsl.ops.dropout import Drop
from netdsl.transforms.rewrite import Rewrite


class DropoutAtOutput(Rule):
    """Dropout behind the last layer.

    ## What it does
    Finds an output of the net that is made by `dropout` or `droppath`.

    ## Why is this bad
    In training some of the logits are set to 0, whatever the net says, and the loss punishes it for that: nothing
    behind can make up for them. Dropout is meant for what a layer reads, so that it cannot rely on single numbers.

    ## Bad
        net N:
            input 3, 32x32
            features:
                conv 3x3, 64 -> relu
            gap
            fc: fc 10
            dropout 0.5

    ## Good
        net N:
            input 3, 32x32
            features:
                conv 3x3, 64 -> relu
            gap
            fc: fc 10

    ## Fix safety
    Unsafe: in evaluation the function stays the same, in training it does not. Put it before the last layer if it is
    wanted there.

    ## References
    Srivastava et al., Dropout, JMLR 15 (2014), section 4
    """

    code: ClassVar[str] = "L109"

    def check(self, facts: Facts) -> Iterator[Hit]:
        """Look at what makes each output."""
        found: dict[str, Node] = {}
        for output in facts.graph.outputs:
            node = facts.node(output.value.node)
            while passes(node.op) and not isinstance(node.op, Drop):
                node = facts.source(node)
            found[node.name] = node
        for node in found.values():
            if isinstance(node.op, Drop) and node.op.p > 0:
                yield self.hit(
                    node,
                    f"{facts.called(node)} sets {100 * node.op.p:g}% of the net's own output {facts.output(node)} "
                    "to 0 in training",
                    help="put it before the last layer, or leave it out",
                    change=partial(Rewrite.remove, name=node.name),
                    edits=facts.text.remove_step(node.span),
                    safe=False,
                )

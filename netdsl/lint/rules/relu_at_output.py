"""Rule relu_at_output."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from netdsl.ir.graph import Node
from netdsl.lint.facts import Facts, averages, dense, passes, rectifies
from netdsl.lint.rule import Hit, Rule
from netdsl.ops.base import Op
from netdsl.ops.conv import Convolution


class ReluAtOutput(Rule):
    """Logits that cannot be negative.

    ## What it does
    Finds an output of the net that is a `relu` of the last `fc` or 1x1 convolution, or an average of it. A map of one
    channel is left alone: distances and densities are never negative.

    ## Why is this bad
    A class can only be ruled out by raising all others. Where the last layer gives less than 0, which at the start is
    every second number, the relu hands on no gradient, and a class that is below 0 for every sample never comes back.
    SqueezeNet does so and gets by, since it averages over 13x13 places before the loss.

    ## Bad
        net N:
            input 3, 32x32
            features:
                conv 3x3, 64 -> relu
            gap
            head: fc 10 -> relu

    ## Good
        net N:
            input 3, 32x32
            features:
                conv 3x3, 64 -> relu
            gap
            head: fc 10

    ## Fix safety
    There is no automatic fix: numbers that are never negative may be meant, as counts are.

    ## References
    Iandola et al., arXiv 1602.07360 (SqueezeNet's last conv10, with its ReLU)
    """

    code: ClassVar[str] = "L114"

    def check(self, facts: Facts) -> Iterator[Hit]:
        """Look back from each output that is a vector."""
        for value in dict.fromkeys(output.value for output in facts.graph.outputs):
            node = facts.node(value.node)
            shape = facts.output(node)
            if not (_averages(node.op) or rectifies(node.op)) or not (shape.axes == "c" or shape.c > 1):
                continue
            while _averages(node.op):
                node = facts.source(node)
            each = "" if shape.elements == shape.c else " at each place"
            if rectifies(node.op) and _classifies(facts.origin(node), facts):
                yield self.hit(
                    node,
                    f"{facts.called(node)} makes the net's {shape.c} outputs{each} at least 0: as logits "
                    "they can rule no class out, and get no gradient where they are cut off",
                    help="leave the relu of the last layer out",
                )


def _averages(op: Op) -> bool:
    return passes(op) or averages(op)


def _classifies(node: Node, facts: Facts) -> bool:
    """Tell whether a layer may make the numbers of classes: one that mixes the channels of a place."""
    return dense(node, facts) and not (isinstance(node.op, Convolution) and max(node.op.kernel) > 1)

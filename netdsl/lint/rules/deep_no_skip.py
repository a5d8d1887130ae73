"""Rule deep_no_skip."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from netdsl.ir.graph import Node
from netdsl.lint.facts import Facts, depthwise
from netdsl.lint.rule import Hit, Rule, Threshold
from netdsl.ops.source import Input

NOWHERE = -1
"""The depth of what sees no input."""


class DeepNoSkip(Rule):
    """Many layers with weights on the shortest path.

    ## What it does
    Counts the dense convolutions, fully connected layers and attentions on the shortest way from an input to an
    output, on which the gradient comes back; sums and concatenations take the shorter of their branches. A depthwise
    convolution is not counted: it is one layer with the 1x1 behind it. Nets with outputs that exist in training only
    are left alone.

    ## Why is this bad
    Past some depth plain nets become worse, in training too, so it is not overfitting: with batch normalisation the
    errors on CIFAR-10 grow from 20 to 32, 44 and 56 layers, and on ImageNet from 18 to 34 (27.9% to 28.5% top-1),
    where with shortcuts it falls from 27.9% to 25.0%.

    ## Bad
        net N:
            input 3, 96x96
            default conv norm=bn, bias=false
            features:
                conv 3x3, 16, /2 -> relu
                21 * (conv 3x3, 16 -> relu)
            gap
            fc: fc 10

    ## Good
        default conv bias=false

        block Residual(c):
            add:
                conv 3x3, c as conv1 -> bn as bn1 -> relu -> conv 3x3, c as conv2 -> bn as bn2
                identity
            relu

        net N:
            input 3, 96x96
            stem: conv 3x3, 8, /2 -> bn -> relu
            features: 10 * Residual 8
            gap
            fc: fc 10

    ## Fix safety
    There is no automatic fix: another function. `add:` with `identity` around every two convolutions is ResNet's.

    ## References
    He et al., Deep residual learning, arXiv 1512.03385, figures 1, 4 and 6, table 2
    """

    code: ClassVar[str] = "L302"
    thresholds: ClassVar = {"layers": Threshold(20, "layers with weights that the shortest path may have")}

    def check(self, facts: Facts) -> Iterator[Hit]:
        """Count along the shortest path to every node."""
        if any(output.train for output in facts.graph.outputs):
            return
        dense = {node.name for node in facts.nodes if facts.learns(node) and not depthwise(node, facts)}
        if len(dense) <= self.limit("layers"):
            return

        def step(node: Node, before: list[int]) -> int:
            known = [depth for depth in before if depth != NOWHERE]
            if not known:
                return 0 if isinstance(node.op, Input) else NOWHERE
            return min(known) + (node.name in dense)

        depths = facts.along(step)
        deepest = max(facts.graph.outputs, key=lambda output: depths[output.value.node])
        depth = depths[deepest.value.node]
        if depth > self.limit("layers"):
            message = f"{facts.name}: {depth} layers with weights or more on every path to {deepest.name}"
            yield Hit(message, facts.span, help="add what two or three layers read to what they make: add")

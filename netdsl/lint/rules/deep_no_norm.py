"""Rule deep_no_norm."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import ClassVar

from netdsl.ir.graph import Node
from netdsl.lint.facts import Facts
from netdsl.lint.rule import Hit, Rule, Threshold
from netdsl.ops.norm import Norm


class DeepNoNorm(Rule):
    """Many layers with weights in a row, and no normalisation between them.

    ## What it does
    Counts the convolutions and fully connected layers on every path since the last normalisation, and finds nets in
    which there are more than ten. Nets with outputs that exist in training only are left alone: these feed
    gradients into the middle.

    ## Why is this bad
    Each layer scales its signal and its gradient a little, and the factors multiply. VGG's authors began with
    11 layers, and started the deeper nets from its weights; batch normalisation made that unnecessary, and took 14
    times fewer steps to the same accuracy.

    ## Bad
        net N:
            input 3, 32x32
            features:
                conv 3x3, 16 -> relu
                10 * (conv 3x3, 16 -> relu)
            gap
            fc: fc 10

    ## Good
        net N:
            input 3, 32x32
            default conv norm=bn, bias=false
            features:
                conv 3x3, 16 -> relu
                10 * (conv 3x3, 16 -> relu)
            gap
            fc: fc 10

    ## Fix safety
    There is no automatic fix: it is another function. `default conv norm=bn, bias=false` puts a normalisation
    behind every convolution. Initial weights that are scaled for the depth (Fixup) do without.

    ## References
    Simonyan and Zisserman, arXiv 1409.1556, section 3.1; Ioffe and Szegedy, arXiv 1502.03167; Zhang et al., Fixup,
    arXiv 1901.09321
    """

    code: ClassVar[str] = "L301"
    thresholds: ClassVar = {"layers": Threshold(10, "layers with weights that may follow one another")}

    def check(self, facts: Facts) -> Iterator[Hit]:
        """Count along every path, beginning anew at each normalisation."""
        if any(output.train for output in facts.graph.outputs):
            return
        depths = facts.along(partial(_depth, facts))
        deepest = max(depths, key=depths.__getitem__)
        depth = depths[deepest]
        if depth > self.limit("layers"):
            message = (
                f"{facts.name}: {depth} layers with weights up to {deepest}, and no normalisation between"
            )
            help = "default conv norm=bn, bias=false"
            yield Hit(message, facts.span, help=help)


def _depth(facts: Facts, node: Node, before: list[int]) -> int:
    return 0 if isinstance(node.op, Norm) else max(before, default=0) + facts.learns(node)

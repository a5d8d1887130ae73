"""Rule fragmentation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from netdsl.cost.table import human
from netdsl.diagnostics import Severity
from netdsl.ir.graph import Node
from netdsl.lint.facts import Facts
from netdsl.lint.rule import Hit, Rule, Threshold
from netdsl.ops.pool import Pool


class Fragmentation(Rule):
    """Many small layers beside one another.

    ## What it does
    Counts the layers (convolutions, pools, fc, attention) of a net, and those that must follow one another on the
    longest path, and finds nets in which there are far more of the former.

    ## Why is this bad
    A GPU runs one kernel at a time unless told otherwise, and many small ones keep it waiting to start them and half
    empty while they run. At the same MACs, blocks of four small layers, side by side or in a row, were about three
    times slower on a GPU than blocks of one layer. A NASNet-A has 4.4 layers for each step of its longest path, a
    ResNet 1.1.

    ## Bad
        net N:
            input 3, 32x32
            default conv 3x3, act=relu
            stem: conv 16, /2
            concat:
                a: conv 16
                b: conv 16
                c: conv 16
                d: conv 16
                e: conv 16
                f: conv 16
            gap
            fc: fc 10

    ## Good
        net N:
            input 3, 32x32
            default conv 3x3, act=relu
            stem: conv 16, /2
            a: conv 96
            gap
            fc: fc 10

    ## Fix safety
    There is no automatic fix: it is another function. On a CPU with few cores, and in compilers that run branches
    together, it matters less.

    ## References
    Ma et al., ShuffleNet V2, arXiv 1807.11164, guideline G3 and table 3
    """

    code: ClassVar[str] = "L404"
    severity: ClassVar[Severity] = "info"
    thresholds: ClassVar = {"layers": Threshold(2.5, "layers for each step of the longest path")}

    def check(self, facts: Facts) -> Iterator[Hit]:
        """Count the layers, and the longest path."""
        layers = {node.name for node in facts.nodes if _layer(facts, node)}

        def step(node: Node, before: list[int]) -> int:
            return max(before, default=0) + (node.name in layers)

        count, longest = len(layers), max(facts.along(step).values())
        if count <= self.limit("layers") * max(1, longest):
            return
        message = (
            f"{facts.name}: {count} layers, of which only {longest} must follow one another: "
            f"{count / longest:.1f} side by side, of {human(facts.total.macs // count)} MACs each"
        )
        yield Hit(message, facts.span, help="fewer and larger layers in place of many small branches")


def _layer(facts: Facts, node: Node) -> bool:
    """Tell whether a node is a step that takes a launch of its own and computes with a window or weights."""
    return not node.train and (facts.learns(node) or isinstance(node.op, Pool))

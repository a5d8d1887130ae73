"""Rule saturating_deep."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from netdsl.ir.graph import Node
from netdsl.lint.facts import Facts
from netdsl.lint.rule import Hit, Rule, Threshold
from netdsl.ops.activation import Saturating
from netdsl.ops.base import Op
from netdsl.ops.norm import Norm


class SaturatingDeep(Rule):
    """Many sigmoids or tanhs in a row.

    ## What it does
    Counts the `sigmoid`, `hsigmoid` and `tanh` on each path since the last normalisation; where branches meet, on the
    one with the fewest, so that gates and shortcuts do not count.

    ## Why is this bad
    The slope of a sigmoid is at most 1/4, so n of them multiply the gradient by at most 4^-n: six of them by 0.0002.
    A tanh has slope 1 at 0 only. With sigmoids and four hidden layers the last one begins saturated and takes about
    100 epochs to leave that; with five it never did.

    ## Bad
        net N:
            input 3, 32x32
            features:
                5 * (conv 3x3, 16 -> sigmoid)
            gap
            fc: fc 10

    ## Good
        net N:
            input 3, 32x32
            features:
                5 * (conv 3x3, 16 -> relu)
            gap
            fc: fc 10

    ## Fix safety
    There is no automatic fix: another function. `relu`, or `bn` before each.

    ## References
    Glorot and Bengio, Understanding the difficulty of training deep feedforward neural networks, AISTATS 2010,
    section 3.1
    """

    code: ClassVar[str] = "L306"
    thresholds: ClassVar = {"layers": Threshold(4, "activations that saturate and may follow one another")}

    def check(self, facts: Facts) -> Iterator[Hit]:
        """Count along the best path to every node, beginning anew at each normalisation."""
        slopes = [node.op.steepest for node in facts.of(Saturating) if isinstance(node.op, Saturating)]
        if not slopes:
            return
        depths = facts.along(_depth)
        deepest = max(depths, key=depths.__getitem__)
        depth = depths[deepest]
        if depth > self.limit("layers"):
            first = _first(facts.node(deepest), facts)
            least = max(slopes) ** depth
            bound = f": the gradient is at most {least:.1g} of itself" if least < 1 else ""
            message = f"{facts.name}: {depth} activations that saturate in a row, up to {deepest}{bound}"
            yield self.hit(first, message, help="use relu, or a normalisation before each")


def _first(node: Node, facts: Facts) -> Node:
    """Return the first activation that saturates of those in a row up to a node."""
    first = node
    while node.inputs and not isinstance(node.op, Norm):
        first = node if _saturates(node.op) else first
        node = facts.source(node)
    return first


def _depth(node: Node, before: list[int]) -> int:
    return 0 if isinstance(node.op, Norm) else min(before, default=0) + _saturates(node.op)


def _saturates(op: Op) -> bool:
    return isinstance(op, Saturating)

"""Rule zero_start."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from netdsl.diagnostics import Severity
from netdsl.ir.graph import Node
from netdsl.ir.types import Init
from netdsl.lint.facts import Facts, rectifies
from netdsl.lint.rule import Hit, Rule
from netdsl.ops.base import Op
from netdsl.ops.norm import Norm
from netdsl.ops.source import Weight


class ZeroStart(Rule):
    """Weights that begin as zeros and never learn.

    ## What it does
    Works out which values are zero at the start, because of `init` lines, and which weights get a gradient in spite
    of that; again for what the first steps change, until nothing changes any more. It finds weights that begin as
    zeros and get no gradient, ever.

    ## Why is this bad
    One zero in a product is fine, and good style at the end of a residual branch: its own gradient is not zero, and
    after a step it is none any more. Two zeros in a row keep each other: the gradient of each is the other. A relu
    right behind a zero has slope 0 there, so nothing comes back. The layers stay what they are, and no error says so.

    ## Bad
        net N:
            input 3, 32x32
            stem: conv 3x3, 16 -> relu
            add:
                identity
                body: conv 3x3, 16, bias=false, init=zeros -> relu -> conv 3x3, 16, bias=false, init=zeros
            relu
            gap
            fc: fc 10

    ## Good
        net N:
            input 3, 32x32
            stem: conv 3x3, 16 -> relu
            add:
                identity
                body: conv 3x3, 16, bias=false -> relu -> conv 3x3, 16, bias=false, init=zeros
            relu
            gap
            fc: fc 10

    ## Fix safety
    There is no automatic fix: leave the zeros to the last layer of a branch.

    ## References
    Zhang et al., Fixup, arXiv 1901.09321, section 3.2; Goyal et al., arXiv 1706.02677, section 5.1 (the last bn at 0)
    """

    code: ClassVar[str] = "L309"
    severity: ClassVar[Severity] = "error"

    def check(self, facts: Facts) -> Iterator[Hit]:
        """Let the zeros learn until no more do."""
        start = _Start(facts)
        count = -1
        while start.weights and len(start.weights) + len(start.biases) != count:
            count = len(start.weights) + len(start.biases)
            start.learn()
        for node in facts.nodes:
            if node.name in start.weights:
                yield self.hit(
                    node,
                    f"the weights of {facts.called(node)}, {facts.cost(node).params:,} params, begin as zeros "
                    "and get no gradient, ever: another zero or a relu behind it holds it back",
                    help="let one layer of a branch begin as zeros, the last one",
                )


class _Start:
    """A net at its start: which weights and biases are zeros."""

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        self.weights: set[str] = set()
        self.biases: set[str] = set()
        scaling = [node for node in facts.nodes if _scales(node.op)]
        for node in facts.of(Weight):
            if _zero(node.op.inits.get("", Init("zeros"))):
                self.weights.add(node.home)
        for node in scaling:
            if _zero(node.op.inits.get("weight")) and self._has(node, "weight"):
                self.weights.add(node.home)
        for node in scaling if self.weights else ():
            start = node.op.inits.get("bias", Init("zeros") if isinstance(node.op, Norm) else None)
            if _zero(start) or not self._has(node, "bias"):
                self.biases.add(node.home)

    def _has(self, node: Node, weight: str) -> bool:
        return weight in node.op.weights(*self.facts.net.inputs_of(node.name))

    def learn(self) -> None:
        """Take one step: what gets a gradient is no zero any more."""
        zeros = self.facts.along(self._zero_value)
        alive = {output.value.node for output in self.facts.graph.outputs}
        for node in reversed(self.facts.nodes):
            if node.name not in alive:
                continue
            reads = [zeros[value.node] for value in node.inputs]
            stuck = node.home in self.weights
            if not reads or not reads[0]:
                self.weights.discard(node.home)
            if self._has(node, "bias"):
                self.biases.discard(node.home)
            if stuck or (rectifies(node.op) and reads[0]):
                continue
            for position, value in enumerate(node.inputs):
                others = reads[:position] + reads[position + 1 :]
                if not node.op.product or not any(others):
                    alive.add(value.node)

    def _zero_value(self, node: Node, before: list[int]) -> int:
        """Return 1 if all that a node makes is zero."""
        if isinstance(node.op, Weight):
            return node.home in self.weights
        if _scales(node.op):
            return (bool(before[0]) or node.home in self.weights) and node.home in self.biases
        if node.op.product:
            return any(before)
        return bool(before) and all(before) and node.op.keeps_zero


def _scales(op: Op) -> bool:
    """Tell whether an op makes zeros of zeros but for its bias, and where its weight, if it has one, is zeros."""
    return isinstance(op, Norm) or op.fuses


def _zero(init: Init | None) -> bool:
    return init is not None and (init.kind == "zeros" or (init.kind == "constant" and init.args == (0,)))

"""Rule blocked_identity."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from netdsl.diagnostics import Severity
from netdsl.ir.graph import Node
from netdsl.lint.facts import Facts, clips, sums
from netdsl.lint.rule import Hit, Rule, Threshold
from netdsl.ops.activation import Saturating
from netdsl.ops.base import Op
from netdsl.ops.dropout import Dropout, DropPath
from netdsl.ops.joint import Identity
from netdsl.ops.norm import Norm
from netdsl.ops.source import Weight

NOWHERE = -1


class BlockedIdentity(Rule):
    """A very deep residual net whose shortcuts are not identities.

    ## What it does
    Counts the sums that are followed by an activation, a normalisation or dropout on the way from input to output; at
    each `add` on the branch with the fewest. Found are nets with more than 48.

    ## Why is this bad
    Without anything behind the sums the gradient of every block reaches every earlier one unchanged. A relu behind
    each sum cuts that where it is 0. It hardly matters for tens of blocks, and does for hundreds: with norm and relu
    before the convolutions ResNet-152 goes from 21.3% to 21.1% top-1 error on ImageNet, ResNet-200 from 21.8% to
    20.7%, ResNet-1001 from 7.61% to 4.92% on CIFAR-10.

    ## Bad
        default conv bias=false

        block Residual(c):
            add:
                identity
                conv 1x1, c as conv1 -> bn as bn1 -> relu -> conv 1x1, c as conv2 -> bn as bn2
            relu

        net N:
            input 3, 32x32
            stem: conv 3x3, 16 -> bn -> relu
            features: 50 * Residual 16
            gap
            fc: fc 10

    ## Good
        default conv bias=false

        block Residual(c):
            add:
                identity
                bn as bn1 -> relu -> conv 1x1, c as conv1 -> bn as bn2 -> relu -> conv 1x1, c as conv2

        net N:
            input 3, 32x32
            stem: conv 3x3, 16 -> bn -> relu
            features: 50 * Residual 16
            norm: bn
            relu
            gap
            fc: fc 10

    ## Fix safety
    There is no automatic fix: another function, with other trained weights.

    ## References
    He et al., Identity mappings in deep residual networks, arXiv 1603.05027, tables 3 and 5
    """

    code: ClassVar[str] = "L308"
    severity: ClassVar[Severity] = "info"
    thresholds: ClassVar = {"blocks": Threshold(48, "sums in a row that may have something behind them")}

    def check(self, facts: Facts) -> Iterator[Hit]:
        """Count along the branch of each sum with the fewest."""
        if next(facts.where(sums), None) is None:
            return
        blocked = {node.name for node in facts.where(_blocks) if sums(facts.origin(node, _skips).op)}
        if len(blocked) <= self.limit("blocks"):
            return

        def step(node: Node, before: list[int]) -> int:
            counts = [count for count in before if count != NOWHERE]
            return (min(counts) if counts else _start(node)) + (node.name in blocked)

        counts = facts.along(step)
        last = max(facts.graph.outputs, key=lambda output: counts[output.value.node])
        count = counts[last.value.node]
        if count > self.limit("blocks"):
            message = (
                f"{facts.name}: {count} sums on every path to {last.name} have a relu or norm behind them"
            )
            yield Hit(message, facts.span, help="put norm and relu before the convolutions of a block")


def _blocks(op: Op) -> bool:
    """Tell whether an op cuts off or changes what comes along a shortcut."""
    return clips(op) or isinstance(op, Saturating | Norm | Dropout)


def _skips(op: Op) -> bool:
    """Tell whether an op may stand between a sum and what is behind it."""
    return isinstance(op, Identity | DropPath)


def _start(node: Node) -> int:
    return NOWHERE if isinstance(node.op, Weight) else 0

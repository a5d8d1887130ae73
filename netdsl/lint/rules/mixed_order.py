"""Rule mixed_order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from netdsl.ir.graph import Node
from netdsl.lint.facts import Facts
from netdsl.lint.rule import Hit, Rule, Threshold
from netdsl.ops.activation import Activation
from netdsl.ops.conv import Convolution
from netdsl.ops.norm import Norm


class MixedOrder(Rule):
    """One block in which norm and activation have changed places.

    ## What it does
    Counts how often a convolution is followed by norm, then activation, and how often by activation, then norm, and
    finds the few that are not as all others.

    ## Why is this bad
    Behind a relu a norm gets no negative numbers, and what it makes is centred again, so that the next convolution
    sees other statistics than everywhere else in the net. Either order is in use, but one in a net; one line the
    other way round is a slip of the pen.

    ## Bad
        net N:
            input 3, 32x32
            default conv bias=false
            features:
                conv 3x3, 16 -> bn -> relu
                conv 3x3, 16 -> bn -> relu
                conv 3x3, 16 -> relu -> bn
                conv 3x3, 16 -> bn -> relu
                conv 3x3, 16 -> bn -> relu
            gap
            fc: fc 10

    ## Good
        net N:
            input 3, 32x32
            default conv bias=false
            features:
                4 * (conv 3x3, 16 -> bn -> relu)
            gap
            fc: fc 10

    ## Fix safety
    There is no automatic fix: it is another function.

    ## References
    Ioffe and Szegedy, arXiv 1502.03167, section 3.2: the norm goes before the nonlinearity
    """

    code: ClassVar[str] = "L310"
    thresholds: ClassVar = {"times": Threshold(4, "how many times as often the other order has to be there")}

    def check(self, facts: Facts) -> Iterator[Hit]:
        """Sort the convolutions by what follows them."""
        orders: dict[bool, list[tuple[Node, Node]]] = {True: [], False: []}
        for node in facts.where(lambda op: isinstance(op, Convolution)):
            first = facts.reader(node)
            second = facts.reader(first) if first is not None else None
            if first is None or second is None:
                continue
            if isinstance(first.op, Norm) and isinstance(second.op, Activation):
                orders[True].append((first, second))
            elif isinstance(first.op, Activation) and isinstance(second.op, Norm):
                orders[False].append((first, second))
        few, many = sorted(orders.values(), key=len)
        if len(many) < self.limit("times") * len(few):
            return
        for first, second in few:
            yield self.hit(
                first,
                f"{facts.called(first)} comes before {facts.called(second)} here; {len(many)} times in {facts.name} "
                "it is the other way round",
                help=f"{second.op.name} -> {first.op.name}",
            )

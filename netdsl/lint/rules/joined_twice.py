"""Rule joined_twice."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from netdsl.ir.graph import Value
from netdsl.lint.facts import Facts
from netdsl.lint.rule import Hit, Rule
from netdsl.ops.base import Op
from netdsl.ops.joint import Concat, Elementwise, Identity
from netdsl.ops.source import Input


class JoinedTwice(Rule):
    """A value that is joined with itself.

    ## What it does
    Finds an `add`, `sub` or `concat` that reads the same value twice. The net's own input is left alone: a grey image
    is made one of three channels so.

    ## Why is this bad
    A sum of a value with itself is twice the value, a difference is 0, and a concatenation has every channel twice,
    of which the next layer adds the weights up. Mostly a branch reads the wrong name, or its layers were taken away.

    ## Bad
        net N:
            input 3, 32x32
            features: conv 3x3, 64 -> relu
            (identity | identity) -> add
            gap
            fc: fc 10

    ## Good
        net N:
            input 3, 32x32
            features: conv 3x3, 64 -> relu
            (identity | conv 3x3, 64 as more) -> add
            gap
            fc: fc 10

    ## Fix safety
    There is no automatic fix: which value was meant is not known.

    ## References
    x + x = 2x, x - x = 0; duplicate_branch (L214) is about what is computed twice
    """

    code: ClassVar[str] = "L127"

    def check(self, facts: Facts) -> Iterator[Hit]:
        """Compare the values that each joint reads, looking through identities."""
        for joint in facts.where(_joins):
            read: set[Value] = set()
            for value in joint.inputs:
                node = facts.node(value.node)
                while isinstance(node.op, Identity):
                    value = node.inputs[0]
                    node = facts.node(value.node)
                if value in read and not isinstance(node.op, Input):
                    yield self.hit(
                        joint,
                        f"{facts.called(joint)} reads {facts.called(node)} twice",
                        help="read another value in one of the branches, or leave it out",
                    )
                    break
                read.add(value)


def _joins(op: Op) -> bool:
    return isinstance(op, Concat) or (isinstance(op, Elementwise) and not op.product)

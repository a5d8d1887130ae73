"""Rule identity_op."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import ClassVar

from netdsl.diagnostics import Severity
from netdsl.ir.graph import Node
from netdsl.lint.facts import Facts, clips
from netdsl.lint.rule import Hit, Rule
from netdsl.ops.base import Op
from netdsl.ops.joint import Concat, Elementwise, Identity
from netdsl.syntax import tree
from netdsl.transforms.rewrite import Rewrite


class IdentityOp(Rule):
    """A step that hands on what it gets.

    ## What it does
    Finds a `relu` of what is never negative, a `flatten` of a vector, a pool of single pixels, `dropout 0`, `shuffle
    1`, `upsample 1`, `scale 1`, and an `identity` that is no branch of a joint. Steps whose arguments are parameters
    are left alone: another variant may need them.

    ## Why is this bad
    It changes no number, but takes a line to read, and often a map to write: a second `relu` costs as much memory
    traffic as the first one.

    ## Bad
        net N:
            input 3, 32x32
            features:
                conv 3x3, 64
                relu
                relu
            gap
            fc: fc 10

    ## Good
        net N:
            input 3, 32x32
            features:
                conv 3x3, 64
                relu
            gap
            fc: fc 10

    ## Fix safety
    Safe: the function stays the same, bit for bit. Unsafe where layers are named by their position: those behind it
    move up by one, and their keys in the state_dict with them.

    ## References
    relu(relu(x)) = relu(x)
    """

    code: ClassVar[str] = "L205"
    severity: ClassVar[Severity] = "info"

    def check(self, facts: Facts) -> Iterator[Hit]:
        """Look at each step by itself, and at what it reads."""
        for node in facts.nodes:
            why = _why(node, facts)
            if why:
                yield self.hit(
                    node,
                    f"{facts.called(node)} hands on what it gets: {why}",
                    help=f"leave {node.op.name} out",
                    change=partial(Rewrite.remove, name=node.name),
                    edits=facts.text.remove_step(node.span) if _alone(node, facts) else None,
                )


def _why(node: Node, facts: Facts) -> str:
    """Return why a step changes nothing; "" if it may."""
    op = node.op
    if clips(op):
        before = facts.origin(node, _keeps_range)
        low, high = before.op.bounds
        inside = op.bounds[0] <= low and high <= op.bounds[1]
        return f"{facts.called(before)} is never outside its range" if inside else ""
    why = op.idle(*facts.inputs(node))
    if why and not op.arguments():
        return why
    if isinstance(op, Identity) and not _branches(node, facts):
        why = "it is no branch of a joint"
    return why if why and facts.text.constant(node.span) and _alone(node, facts) else ""


def _keeps_range(op: Op) -> bool:
    """Tell whether what an op makes is among the numbers that it reads."""
    return op.selects


def _branches(node: Node, facts: Facts) -> bool:
    """Tell whether an identity is a branch of a joint, or an option of a choice."""
    statement = facts.text.statement(node.span)
    inside = statement is not None and isinstance(facts.text.parent(statement), tree.Merge)
    return inside or any(isinstance(reader.op, Elementwise | Concat) for reader in facts.readers(node))


def _alone(node: Node, facts: Facts) -> bool:
    """Tell whether the step is written by itself, and not as the `act=` of a layer."""
    layer = facts.text.layer(node.span)
    return layer is not None and layer.op.text == node.op.name

"""What a net does in evaluation: without outputs of training, dropout, and ops that hand on what they read."""

from __future__ import annotations

from netdsl.ops.dropout import Drop
from netdsl.ops.joint import Identity
from netdsl.ops.source import Input
from netdsl.transforms.change import Change


def in_evaluation(change: Change) -> None:
    """Leave out what only training has, and what does nothing in evaluation, whatever the size of the input."""
    change.outputs = tuple(output for output in change.outputs if not output.train)
    for node in change.ordered():
        if isinstance(node.op, Drop | Identity) or node.op.idle(*change.net.inputs_of(node.name)):
            change.remove(node.name)
    for node in reversed(change.ordered()):
        if not change.readers(node.name) and not isinstance(node.op, Input):
            change.delete(node.name)


def as_they_are(change: Change) -> None:
    """Leave out how layers start, since their weights come from elsewhere."""
    for node in change.ordered():
        if node.op.inits:
            change.replace(node.name, node.op.replace(inits={}))

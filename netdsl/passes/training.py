"""Training: what autograd keeps for the backward pass."""

from __future__ import annotations

from collections.abc import Mapping

from netdsl.ir.tape import Tape, Tensor
from netdsl.ir.types import DTYPES
from netdsl.passes.facts import Facts
from netdsl.passes.inplace import overwriting


def record(facts: Facts, batch: int, dtype: str) -> Tape:
    """Return the tape of a batch that ran through a net in training; the shapes must be known."""
    tape = Tape(batch, DTYPES[dtype])
    writing = overwriting(facts.graph)
    values: dict[str, tuple[Tensor, ...]] = {}
    for node in facts.graph:
        x = [values[value.node][value.port] for value in node.inputs]
        shapes = [tensor.sample for tensor in x]
        tape.layer = node.name
        tape.writes = node.name in writing and node.op.overwrites(*shapes)
        made = node.op.saved(tape, *x)
        outputs = (made,) if isinstance(made, Tensor) else made
        named = []
        for tensor, shape in zip(outputs, facts.shapes[node.name], strict=True):
            value = tape.view(tensor, tensor.sizes, tensor.strides)  # an alias has a shape of its own
            value.sample = shape
            named.append(value)
        values[node.name] = tuple(named)
    return tape


def saved_bytes(tape: Tape) -> Mapping[str, int]:
    """Return how many bytes each layer keeps that none before it did."""
    found: dict[str, int] = {}
    for storage, layer in tape.kept.items():
        found[layer] = found.get(layer, 0) + storage.nbytes
    return found

"""What the backward pass of a training step multiplies: each op is asked for its own.

A value needs a gradient if a learned tensor is behind it, so the image needs none, nor what is computed from it
before the first weights. The convention is that of netdsl.cost.model; a training step takes the MACs of its
forward pass and these. In a group of a convolution only its own channels are multiplied, which torch's
FlopCounterMode does not see: for weights it counts the groups times as many.
"""

from __future__ import annotations

from collections.abc import Mapping

from netdsl.collector import no_collection
from netdsl.passes.facts import Facts


def count_backward(facts: Facts) -> Mapping[str, int]:
    """Return the backward MACs of each node for one sample; the shapes must be known."""
    shapes = facts.shapes
    learns: set[str] = set()
    """The nodes whose outputs need a gradient."""
    counts: dict[str, int] = {}
    with no_collection():
        for node in facts.graph:
            op, x = node.op, [shapes[value.node][value.port] for value in node.inputs]
            wanted = [value.node in learns for value in node.inputs]
            if any(wanted):  # what only takes the size of an input hands no gradient to it
                reads = op.reach(*x)
                wanted = [need and field is not None for need, field in zip(wanted, reads, strict=True)]
            if any(wanted) or op.weights(*x):
                learns.add(node.name)
                counts[node.name] = op.backward_macs(wanted, *x)
            else:
                counts[node.name] = 0
    return counts

"""What the backward pass of a training step multiplies: each op is asked for its own.

A value needs a gradient if a learned tensor is behind it and a result before it, so the image needs none, nor what
is computed from it before the first weights, nor what nobody reads. The convention is that of netdsl.cost.model; a
training step takes the MACs of its forward pass and these. In a group of a convolution only its own channels are
multiplied, which torch's FlopCounterMode does not see: for weights it counts the groups times as many.
"""

from __future__ import annotations

from collections.abc import Mapping

from netdsl.collector import no_collection
from netdsl.passes.facts import Facts


def count_backward(facts: Facts) -> Mapping[str, int]:
    """Return the backward MACs of each node for one sample; the shapes must be known."""
    shapes = facts.shapes
    learns: dict[str, list[bool]] = {}
    """The nodes that learn or have what learns behind them, and which of their inputs do."""
    counts = dict.fromkeys((node.name for node in facts.graph), 0)
    with no_collection():
        for node in facts.graph:
            op, x = node.op, [shapes[value.node][value.port] for value in node.inputs]
            wanted = [value.node in learns for value in node.inputs]
            if any(wanted):  # what only takes the size of an input hands no gradient to it
                reads = op.reach(*x)
                wanted = [need and field is not None for need, field in zip(wanted, reads, strict=True)]
            if any(wanted) or op.weights(*x):
                learns[node.name] = wanted
        given = {output.value.node for output in facts.graph.outputs}
        """The nodes whose outputs get a gradient: what no result needs gets none."""
        for name in reversed(learns):
            if name in given:
                node, wanted = facts.graph[name], learns[name]
                given.update(value.node for value, need in zip(node.inputs, wanted, strict=True) if need)
                counts[name] = node.op.backward_macs(wanted, *[shapes[v.node][v.port] for v in node.inputs])
    return counts

"""Which ops engines run as part of the step before them: batch normalisations, in evaluation, and activations."""

from __future__ import annotations

from collections import Counter

from netdsl.ir.graph import Graph
from netdsl.ops.joint import Elementwise


def find_fused(graph: Graph, train: bool = False) -> dict[str, str]:
    """Return by op that is fused the step that it is part of; one step may have several.

    It works on what the step before it has in its registers: a convolution, fully connected layer, sum or product, or
    another such op, whose output nobody else reads. Behind a concat or pool it is a step by itself; so in training is
    what tracks the statistics of a batch, which have to be there before it makes its first number.
    """
    readers = Counter(value for node in graph for value in node.inputs)
    readers.update(output.value for output in graph.outputs)
    steps: dict[str, str] = {}
    for node in graph:
        if not node.op.fuses_into or not node.inputs or readers[node.inputs[0]] > 1:
            continue
        if train and node.op.tracks:
            continue
        before = graph[node.inputs[0].node]
        if before.op.fuses or before.op.fuses_into or isinstance(before.op, Elementwise):
            steps[node.name] = steps.get(before.name, before.name)
    return steps

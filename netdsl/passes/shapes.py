"""Shapes of a graph from its ops alone: what elaboration meets on its way, for graphs rewritten since."""

from __future__ import annotations

from netdsl.ir.types import Shape
from netdsl.ir.verify import GraphError
from netdsl.ops.base import OpError
from netdsl.passes.facts import Facts


def infer_shapes(facts: Facts) -> Facts:
    """Add the shapes of all outputs; raise GraphError where an op refuses its inputs."""
    shapes: dict[str, tuple[Shape, ...]] = {}
    for node in facts.graph:
        for value in node.inputs:
            if value.port >= len(shapes[value.node]):
                raise GraphError(f"{node.name} reads port {value.port} of {value.node}")
        try:
            shapes[node.name] = node.op.outputs(*(shapes[value.node][value.port] for value in node.inputs))
        except OpError as error:
            raise GraphError(f"{node.name}: {error.message}") from None
    return facts.replace(shapes=shapes)

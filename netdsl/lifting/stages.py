"""Stages of rows of layers without blocks around them: they begin where a map gets smaller."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from netdsl.elaborate.layers import has_state
from netdsl.ir.graph import Graph, Scope, Value
from netdsl.ir.types import Shape

LEAST = 3
"""How many stages there have to be."""


def staged(graph: Graph, shapes: Mapping[str, tuple[Shape, ...]]) -> None:
    """Give each container of the net that is a chain, called by positions, stages where its map gets smaller.

    What has weights begins a stage then, and what has none, such as a pool, ends the one that it is in. A row in
    which most stages would be one layer or block has them already.
    """
    for scope in _containers(graph.tree):
        begins = _begins(graph, scope, shapes)
        if not LEAST <= len(begins) <= len(scope.written) / 2:
            continue
        scope.stages = {at: str(number) for number, at in enumerate(begins, 1)}
        name = ""
        for at, item in enumerate(scope.written):
            name = scope.stages.get(at, name)
            for node in [item] if isinstance(item, str) else item.nodes():
                graph.nodes[node] = graph.nodes[node].replace(stage=name)


def _containers(scope: Scope) -> Iterator[Scope]:
    """Yield the containers of a scope that are in no block, and in no other container."""
    yield from (item for item in scope.written if isinstance(item, Scope) and item.kind == "container")


def _begins(graph: Graph, scope: Scope, shapes: Mapping[str, tuple[Shape, ...]]) -> list[int]:
    """Return where stages of a container begin, by index; none where it is no chain of layers and blocks."""
    flow, begins, ends = scope.inputs, [0], False
    for at, item in enumerate(scope.written):
        inner = isinstance(item, Scope)
        reads = item.inputs if isinstance(item, Scope) else graph[item].inputs
        makes = item.outputs if isinstance(item, Scope) else (Value(item),)
        row = len(flow) == len(makes) == 1 and reads == flow and scope.local(item) == str(at)
        if not row or (isinstance(item, Scope) and item.kind == "container"):
            return []
        before, after = (shapes[one.node][one.port] for one in (*flow, *makes))
        if ends:
            begins.append(at)
        ends = False
        if {before.axes, after.axes} == {"chw"} and after.h * after.w < before.h * before.w:
            ends = not inner and not has_state(graph[str(item)].op)
            if not ends and begins[-1] != at:
                begins.append(at)
        flow = makes
    return begins

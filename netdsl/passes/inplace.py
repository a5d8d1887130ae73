"""Which ops overwrite their first input in emitted code."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from netdsl.ir.graph import Graph, Node, Scope, Value

Home = tuple[Scope, int]
"""A class, and a turn of a loop in it: what is made elsewhere may be read there again."""


def overwriting(graph: Graph) -> frozenset[str]:
    """Return the nodes that write their output over their first input.

    The input was allocated in the same call of a class, and turn of a loop, or in a block that is called there, by an
    op that does not keep its output for backward, nor joins what a loop makes, which may be one value that others
    hold, and nobody else reads or outputs it. A class decides for all its
    instances: all this holds for what the same text makes in each of them, for all calls of one module, and no
    argument says which op it is.
    """
    homes: dict[str | Scope, Home] = {}
    modules: dict[str, str] = {}
    _enter(graph.tree, graph.tree, (graph.tree, 0), homes, modules)
    nodes = graph.nodes
    reads = Counter([value for node in nodes.values() for value in node.inputs])
    reads.update([output.value for output in graph.outputs])
    places: dict[str, tuple[object, ...]] = {}
    refused: set[object] = set()
    for name, node in nodes.items():
        if node.op.inplace:
            block, span = homes[name][0], node.span
            written = block.block, span.source, span.start, span.end, "" if node.given else node.op.name
            called = block.block, modules.get(name, name).removeprefix(f"{block.path}.")
            places[name] = (
                (written,) if node.op.wiring else (written, called)
            )  # wiring is counted, not called
            if node.given or not _may(nodes, node, reads, homes):
                refused.update(places[name])
    while (
        more := {place for own in places.values() if not refused.isdisjoint(own) for place in own} - refused
    ):
        refused |= more
    return frozenset(name for name, own in places.items() if refused.isdisjoint(own))


def _may(
    nodes: Mapping[str, Node], node: Node, reads: Counter[Value], homes: Mapping[str | Scope, Home]
) -> bool:
    value = node.inputs[0]
    if nodes[value.node].counted:
        return False
    source = nodes[value.node].op
    allocated = source.computes and not source.aliases and not source.saves_output
    if not allocated or reads[value] != 1:
        return False
    here, made = homes[node.name], homes[value.node]
    while made[0] is not here[0] and made[0] in homes:
        made = homes[made[0]]
    return made == here


def _enter(
    scope: Scope, owner: Scope, home: Home, homes: dict[str | Scope, Home], modules: dict[str, str]
) -> None:
    """Note where each node and block of a scope is, and which nodes are earlier modules again."""
    modules.update(scope.modules)
    own = [home] * len(scope.written)
    for turn in reversed(scope.turns):  # outer ones first
        for at in turn:
            own[at] = (owner, id(turn))
    for item, here in zip(scope.written, own, strict=True):
        if not isinstance(item, Scope):
            homes[item] = here
        elif item.kind == "block":
            homes[item] = here
            _enter(item, item, (item, 0), homes, modules)
        else:
            _enter(item, owner, here, homes, modules)

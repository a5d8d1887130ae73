"""Which ops may overwrite their first input."""

from __future__ import annotations

from collections import Counter, defaultdict

from netdsl.ir.graph import Graph, Node, Scope, Value


def overwriting(graph: Graph) -> frozenset[str]:
    """Return the nodes that may write their output over their first input.

    The input was allocated in this forward by an op that does not keep its output for backward, nobody else reads
    or outputs it, it did not come into the block from outside, and all this holds at the same place of every
    instance of the block.
    """
    reads = Counter(value for node in graph for value in node.inputs)
    reads.update(output.value for output in graph.outputs)
    candidates = {node.name for node in graph if node.op.inplace and _may(graph, node, reads)}
    places: defaultdict[tuple[str, str, str, int], list[str]] = defaultdict(list)
    _place(graph, graph.tree, "", "", places, candidates)
    return frozenset(
        name for names in places.values() if all(name in candidates for name in names) for name in names
    )


def _may(graph: Graph, node: Node, reads: Counter[Value]) -> bool:
    value = node.inputs[0]
    source = graph[value.node].op
    allocated = source.computes and not source.aliases and not source.saves_output and source.name != "input"
    return allocated and reads[value] == 1


def _place(
    graph: Graph,
    scope: Scope,
    owner: str,
    path: str,
    places: defaultdict[tuple[str, str, str, int], list[str]],
    candidates: set[str],
) -> None:
    """Group nodes by their place in their block: its name, the path within, op and producer, the number of those."""
    if scope.kind == "block":
        owner, path = scope.block, ""
        incoming = set(scope.inputs)
    else:
        incoming = set()
    counts: Counter[str] = Counter()
    for item in scope.items:
        if isinstance(item, Scope):
            _place(graph, item, owner, f"{path}.{item.name}", places, candidates)
            continue
        node = graph[item]
        if node.op.inplace:
            producer = "" if node.inputs[0] in incoming else graph[node.inputs[0].node].op.name
            kind = f"{node.op.name} of {producer}"
            places[owner, path, kind, counts[kind]].append(item)
            counts[kind] += 1
            if not producer:
                candidates.discard(item)

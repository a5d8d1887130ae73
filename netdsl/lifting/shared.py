"""Values that the same layers of several bodies read, though they come from elsewhere in each.

Where one block works on what comes in and another of its class on a projection of that, it is one value with several
makers, which a person would give a name: `left = from prev -> [ActConvBn c when project]`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from netdsl.elaborate.layers import has_state
from netdsl.ir.graph import Graph, Scope, Value

Shared = Mapping[str, Sequence[Value]]
"""By the path of a scope the values that get a name of their own, in one order for all scopes."""
READERS = 2
"""The fewest layers that read a value for which a name of its own is worth its line."""


def shared_values(graph: Graph, scopes: Sequence[Scope]) -> Shared:
    """Return the values of bodies of a class that the same layers read, by label, though others make them."""
    reads = [_readers(graph, scope) for scope in scopes]
    makers = [_makers(scope) for scope in scopes]
    rows = Counter(
        [tuple([own[key] for own in reads]) for key in reads[0] if all(key in own for own in reads)]
    )
    used = Counter([(at, value) for row in rows for at, value in enumerate(row)])
    found: dict[str, list[Value]] = {scope.path: [] for scope in scopes}
    for row, readers in rows.items():
        names = {own.get(value, "") for own, value in zip(makers, row, strict=True)}
        apart = all(used[at, value] == 1 for at, value in enumerate(row))
        if readers >= READERS and len(names) > 1 and "" not in names and apart:
            for scope, value in zip(scopes, row, strict=True):
                found[scope.path].append(value)
    return found if any(found.values()) else {}


def _readers(graph: Graph, scope: Scope) -> dict[str, Value]:
    """Return, by label, what each layer or block with weights reads that reads one value."""
    found: dict[str, Value] = {}
    for item in scope.written:
        inputs = item.inputs if isinstance(item, Scope) else graph[item].inputs
        key = scope.local(item)
        if len(inputs) == 1 and not key.isdigit() and (isinstance(item, Scope) or has_state(graph[item].op)):
            found[key] = inputs[0]
    return found


def _makers(scope: Scope) -> dict[Value, str]:
    """Return what makes each value of a body: a label, or the place among what comes in."""
    found = {value: str(at) for at, value in enumerate(scope.inputs)}
    for item in scope.written:
        for value in item.outputs if isinstance(item, Scope) else (Value(item),):
            found.setdefault(value, scope.local(item))
    return found

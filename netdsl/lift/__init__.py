"""A graph as the text of a spec."""

from __future__ import annotations

from collections.abc import Mapping

from netdsl.diagnostics import Diagnostic, NetError
from netdsl.elaborate.files import Files
from netdsl.elaborate.layers import has_state
from netdsl.elaborate.names import reserved_name
from netdsl.elaborate.values import NetDecl, VariantDecl
from netdsl.ir.graph import Graph, Scope, Value
from netdsl.ir.types import Shape
from netdsl.lift.file import File
from netdsl.source import Source
from netdsl.syntax.tokens import keywords


def declared(
    graph: Graph, shapes: Mapping[str, tuple[Shape, ...]], name: str
) -> tuple[NetDecl, VariantDecl | None]:
    """Return the net that a graph is, declared in a spec of its own, and its variant if it is called otherwise."""
    why = reserved_name(name) or ("is a word of the language" if name in keywords() else "")
    if why:
        raise NetError([Diagnostic("E219", f"`{name}` {why}", help="call the net otherwise")])
    file = Files(_no_imports).load(Source(f"{name}.net", File(graph, shapes).text(name)))
    (net,) = file.nets.values()
    return net, file.variants.get(name)


def _no_imports(name: str, importer: Source) -> Source:
    raise ValueError("the spec of a graph has none")


def difference(graph: Graph, other: Graph) -> str:
    """Return the first difference of two graphs, "" for none; ops without state may be called otherwise."""
    if len(graph) != len(other):
        return f"it has {len(graph)} ops, not {len(other)}"
    names = dict(zip(graph.nodes, other.nodes, strict=True))
    for node, twin in zip(graph, other, strict=True):
        reads = tuple(Value(names[value.node], value.port) for value in node.inputs)
        if node.op != twin.op or node.train != twin.train:
            return f"{node.name} is another {twin.op.name}"
        if reads != twin.inputs:
            return f"{node.name} reads other values"
        if names[node.home] != twin.home:
            return f"{node.name} has the weights of {node.home}, not of {twin.home}"
    ends = [(o.name, Value(names[o.value.node], o.value.port), o.train) for o in graph.outputs]
    if ends != [(o.name, o.value, o.train) for o in other.outputs] or graph.inputs != other.inputs:
        return "its inputs or outputs are others"
    one, two = (_modules(each) for each in (graph, other))
    return "" if one == two else next(f"{a} is no {b}" for a, b in zip(one, two, strict=False) if a != b)


def _modules(graph: Graph) -> list[str]:
    """Return what is registered, in order: scopes, and layers with state."""

    def registered(scope: Scope) -> list[str]:
        found: list[str] = []
        for item in scope.items:
            if isinstance(item, Scope):
                found += [item.path, *registered(item)]
            elif has_state(graph[item].op):
                found.append(item)
        return found

    return registered(graph.tree)

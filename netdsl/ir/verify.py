"""What must hold of any graph, whoever made it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from netdsl.ir.graph import Graph, Scope, Value
from netdsl.ir.types import Shape
from netdsl.ops.source import Input


class GraphError(AssertionError):
    """A graph that no spec describes: a fault of the pass that made it, never of a user."""


def verify(graph: Graph, shapes: Mapping[str, Sequence[Shape]] | None = None) -> None:
    """Raise GraphError at the first rule that the graph breaks; with shapes, ports are checked too."""
    for rule in RULES:
        for broken in rule(graph):
            raise GraphError(broken)
    for broken in _ports(graph, shapes or {}) if shapes is not None else ():
        raise GraphError(broken)


def _names(graph: Graph) -> Iterator[str]:
    """A node is stored under its own name, which is not empty."""
    for key, node in graph.nodes.items():
        if node.name != key or not key:
            yield f"the node {node.name!r} is stored under {key!r}"


def _order(graph: Graph) -> Iterator[str]:
    """Inputs exist and come first, so the order of insertion is topological and there is no cycle."""
    seen: set[str] = set()
    for node in graph:
        for value in node.inputs:
            if value.node not in graph:
                yield f"{node.name} reads {value.node}, which is not there"
            elif value.node not in seen:
                yield f"{node.name} reads {value.node}, which comes later"
            if value.port < 0:
                yield f"{node.name} reads port {value.port} of {value.node}"
        seen.add(node.name)


def _arities(graph: Graph) -> Iterator[str]:
    """Every op has as many inputs as it takes."""
    for node in graph:
        least, most = node.op.arity
        count = len(node.inputs)
        if count < least or (most is not None and count > most):
            yield f"{node.name}: {node.op.name} has {count} inputs"


def _ends(graph: Graph) -> Iterator[str]:
    """The net's inputs are its nodes with the op `input`; its outputs exist, the first being its result."""
    ops = [node.name for node in graph if isinstance(node.op, Input)]
    if sorted(ops) != sorted(graph.inputs.values()):
        yield f"the inputs are {sorted(graph.inputs.values())}, the nodes with the op input {sorted(ops)}"
    names = [output.name for output in graph.outputs]
    if not graph.outputs or graph.outputs[0].train:
        yield f"the first output is the net's result, got {', '.join(names) or 'none'}"
    if len(set(names)) < len(names):
        yield f"two outputs have one name: {', '.join(names)}"
    for output in graph.outputs:
        if output.value.node not in graph:
            yield f"the output {output.name} is of {output.value.node}, which is not there"


def _training(graph: Graph) -> Iterator[str]:
    """What exists in training only feeds nothing else."""
    for node in graph:
        for value in node.inputs:
            if graph[value.node].train and not node.train:
                yield f"{node.name} reads {value.node}, which is there in training only"
    for output in graph.outputs:
        if graph[output.value.node].train and not output.train:
            yield f"the output {output.name} reads {output.value.node}, which is there in training only"


def _again(graph: Graph) -> Iterator[str]:
    """What is a module again has the weights of one that has its own, and is the same op."""
    for node in graph:
        if node.module and (node.module not in graph or graph[node.module].module):
            yield f"{node.name} has the weights of {node.module}, which has none of its own"
        elif node.module and graph[node.module].op != node.op:
            yield f"{node.name} is {node.module} again, and another op"


def _tree(graph: Graph) -> Iterator[str]:
    """The module tree holds every node once, in order; a path is its scope's path and one name more."""
    for scope in graph.tree.scopes():
        if scope.order and sorted(scope.order) != list(range(len(scope.written))):
            yield f"the order of {scope.path or 'the net'} does not hold every item once"
    nodes = [node.name for node in graph]
    if list(graph.tree.nodes()) != nodes:
        yield "the module tree does not hold every node once and in order"
    if graph.tree.kind != "net" or graph.tree.path:
        yield f"the module tree begins with the {graph.tree.kind} {graph.tree.path!r}, not with the net"
    for scope in graph.tree.scopes():
        paths = [item.path if isinstance(item, Scope) else item for item in scope.items]
        for item, path in zip(scope.items, paths, strict=True):
            name = scope.local(item)
            if not name or path != (f"{scope.path}.{name}" if scope.path else name):
                yield f"{path!r} is no path in {scope.path!r}"
        if len(set(paths)) < len(paths):
            yield f"two modules in {scope.path!r} have one name"
        if any(not 0 <= index <= len(paths) for index in scope.stages):
            yield f"a stage of {scope.path!r} begins outside it"
        if scope is not graph.tree and scope.kind == "net":
            yield f"{scope.path} is a net in a net"


def _scopes(graph: Graph) -> Iterator[str]:
    """A scope's inputs and outputs are all that crosses its border, each once."""
    readers: dict[Value, set[str]] = {}
    for node in graph:
        for value in node.inputs:
            readers.setdefault(value, set()).add(node.name)
    leaving = {output.value for output in graph.outputs}
    for scope in graph.tree.scopes():
        inside = set(scope.nodes())
        inputs, outputs = set(scope.inputs), set(scope.outputs)
        where = scope.path or "the net"
        if len(inputs) < len(scope.inputs):
            yield f"an input of {where} comes twice"
        for value in inputs:
            if value.node not in graph or value.node in inside:
                yield f"{where}: the input {value.node} does not come from outside"
        for value in outputs - inputs:
            if value.node not in inside:
                yield f"{where}: the output {value.node} comes from outside, and is no input"
        read = {value for name in inside for value in graph[name].inputs}
        for value in read - inputs:
            if value.node not in inside:
                yield f"{where} reads {value.node}, which is none of its inputs"
        for value in (readers.keys() | leaving) - outputs:
            if value.node in inside and (value in leaving or readers.get(value, set()) - inside):
                yield f"{value.node} is read outside {where}, and is none of its outputs"
    if graph.tree.outputs != tuple(dict.fromkeys([output.value for output in graph.outputs])):
        yield "the outputs of the module tree are not the graph's"


def _ports(graph: Graph, shapes: Mapping[str, Sequence[Shape]]) -> Iterator[str]:
    """Every node has its shapes, and every port that is read exists."""
    nodes = {node.name for node in graph}
    if nodes != set(shapes):
        yield f"shapes and nodes differ: {', '.join(sorted(nodes ^ set(shapes))[:5])}"
    for reader, value in (
        *((node.name, value) for node in graph for value in node.inputs),
        *((f"the output {output.name}", output.value) for output in graph.outputs),
    ):
        if not 0 <= value.port < len(shapes[value.node]):
            yield f"{reader} reads port {value.port} of {value.node}, which has {len(shapes[value.node])}"


RULES: tuple[Callable[[Graph], Iterator[str]], ...] = (
    _names,
    _order,
    _arities,
    _ends,
    _training,
    _again,
    _tree,
    _scopes,
)
"""In this order: a rule may rely on those before it."""

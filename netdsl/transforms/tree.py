"""The module tree of a graph whose nodes are others than those that the tree was written for."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count, islice

from netdsl.ir.graph import Graph, Scope, Value
from netdsl.ir.types import Shape


def with_tree(
    nodes: Graph, tree: Scope, moved: Mapping[Value, Value] = {}, places: Mapping[str, str] = {}
) -> Graph:
    """Return a graph with the part of a module tree that its nodes are in. Keys of the state stay.

    Scopes in which nothing is left are gone. What comes into a scope, and what leaves it, is in the old order as far
    as it is there still; behind it stands what is read across the border since.

    Args:
        nodes: The nodes in order, inputs and outputs; it gets the tree.
        tree: The tree of the graph that they come from, which stays as it is.
        moved: By value that is gone, what is read in its place.
        places: By node that the tree lacks, the node or scope of the tree behind which it stands.
    """
    nodes.tree = _Rebuilt(nodes, moved, places).tree(tree)
    return nodes


def with_part(
    nodes: Graph, tree: Scope, moved: Mapping[Value, Value] = {}, places: Mapping[str, str] = {}
) -> Graph:
    """Return a graph that is a part of another likewise, whose tree refers to nothing that is in other parts.

    Where nothing is there in training only, items are in the order in which they are computed: only that is computed
    before what stands above it. A scope that is given several values, and was given another number, takes each by a
    name: it takes no list.
    """
    given = {scope.path: len(scope.inputs) for scope in tree.scopes()}
    with_tree(nodes, tree, moved, places)
    paths = {scope.path for scope in nodes.tree.scopes()}
    trains = any(node.train for node in nodes)
    for scope in nodes.tree.scopes():
        scope.module = scope.module if scope.module in paths else ""
        if scope is not nodes.tree:  # who reads what only goes through a block reads it where it is made
            inside = {*scope.nodes()}
            scope.outputs = tuple(value for value in scope.outputs if value.node in inside)
        scope.modules = {name: module for name, module in scope.modules.items() if module in nodes}
        if len(scope.inputs) > 1 and not scope.input_names and len(scope.inputs) != given[scope.path]:
            scope.input_names = _new_names(scope)
        if scope.order and not trains:
            scope.written, scope.order = scope.steps, ()
            scope.stages, scope.cuts, scope.turns = {}, set(), []
    return nodes


def _new_names(scope: Scope) -> tuple[str, ...]:
    """Return names for what a scope is given, none of which is a label in it."""
    labels = {part for one in scope.scopes() for item in one.written for part in one.local(item).split(".")}
    free = (name for number in count(1) if (name := f"v{number}") not in labels)
    return tuple(islice(free, len(scope.inputs)))


def input_axes(shape: Shape) -> str:
    """Return the order of axes that an input of such a shape has, "" if no input has its axes."""
    axes = "".join(sorted(shape.axes))
    return {"c": "c", "cn": "nc", "chw": "chw"}.get(axes, "")


class _Rebuilt:
    """One graph, and the tree that is made for it."""

    def __init__(self, graph: Graph, moved: Mapping[Value, Value], places: Mapping[str, str]) -> None:
        self.graph = graph
        self.moved = moved
        self.behind: dict[str, list[str]] = {}
        for name, place in places.items():
            self.behind.setdefault(place, []).append(name)
        self.readers: dict[Value, list[str]] = {}
        for node in graph:
            for value in node.inputs:
                self.readers.setdefault(value, []).append(node.name)
        self.results = {output.value for output in graph.outputs}
        self.read: dict[str, list[Value]] = {}
        """By node what somebody reads of it, or is an output, in the order of its ports."""
        for value in sorted(self.readers.keys() | self.results):
            self.read.setdefault(value.node, []).append(value)

    def tree(self, old: Scope) -> Scope:
        new = self.scope(old)
        assert new is not None, "a graph has nodes"
        new.inputs, new.input_names = (), ()  # what comes in are nodes
        new.outputs = tuple(dict.fromkeys(output.value for output in self.graph.outputs))
        return new

    def scope(self, old: Scope) -> Scope | None:
        """Return what is left of a scope; None if nothing is."""
        new = Scope(old.kind, old.path, old.span, old.block)
        new.name, new.module, new.args = old.name, old.module, dict(old.args)
        starts = []  # by index of what was written, the index at which it or what follows stands now
        for item in old.written:
            starts.append(len(new.written))
            if isinstance(item, Scope):
                left = self.scope(item)
                new.written += [left] if left is not None else []
            elif item in self.graph:
                new.written.append(item)
            new.written += self.behind.get(item.path if isinstance(item, Scope) else item, ())
        if not new.written:
            return None
        starts.append(len(new.written))
        self.indices(old, new, starts)
        self.borders(old, new)
        return new

    def indices(self, old: Scope, new: Scope, starts: list[int]) -> None:
        """Bring over what a scope says of its items by their index."""
        count = len(new.written)
        if old.order:
            new.order = tuple(at for index in old.order for at in range(starts[index], starts[index + 1]))
        new.stages = {starts[at]: name for at, name in old.stages.items() if starts[at] < count}
        new.cuts = {starts[at] for at in old.cuts if starts[at] < count}
        turns = [range(starts[one.start], starts[one.stop]) for one in old.turns]
        new.turns = [one for one in turns if one]
        here = {new.local(item) for item in new.written}
        lists = {name.partition(".")[0] for name in here}
        new.first = tuple(name for name in old.first if name in here or name in lists)

    def borders(self, old: Scope, new: Scope) -> None:
        """Say what comes in and leaves, and what values and modules are called."""
        inside = dict.fromkeys(new.nodes())
        leaving = [self.now(value) for value in old.outputs]
        read = dict.fromkeys(value for name in inside for value in self.graph[name].inputs)
        wanted = {
            value for value in (*read, *leaving) if value.node not in inside and value.node in self.graph
        }
        known = dict.fromkeys(map(self.now, old.inputs))
        new.inputs = tuple(
            dict.fromkeys((*(v for v in known if v in wanted), *(v for v in read if v in wanted)))
        )
        named = dict(zip(map(self.now, old.inputs), old.input_names, strict=False))
        if all(value in named for value in new.inputs):
            new.input_names = tuple(named[value] for value in new.inputs)
        made = [
            value
            for name in inside
            for value in self.read.get(name, ())
            if value in self.results or any(reader not in inside for reader in self.readers[value])
        ]
        kept = [value for value in leaving if value in made or value in new.inputs]
        new.outputs = tuple(dict.fromkeys((*kept, *made)))
        new.modules = {name: path for name, path in old.modules.items() if name in inside}
        for value, name in old.names.items():
            if self.now(value).node in self.graph:
                new.names.setdefault(self.now(value), name)

    def now(self, value: Value) -> Value:
        return now(self.moved, value)


def now(moved: Mapping[Value, Value], value: Value) -> Value:
    """Return what is read in the place of a value."""
    while value in moved:
        value = moved[value]
    return value

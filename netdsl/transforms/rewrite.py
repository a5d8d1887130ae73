"""A net that is being changed: a few edits of its graph, and what they save."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, cast

from netdsl.cost.model import Cost
from netdsl.ir.graph import Graph, Node, Output, Value
from netdsl.ir.types import Shape
from netdsl.net import Net
from netdsl.ops import Op
from netdsl.ops.source import Input
from netdsl.quantities import Amounts, amounts

if TYPE_CHECKING:
    from netdsl.quantities import Measured


class RewriteError(Exception):
    """A change that cannot be made: the node is not there, or others read what would be gone."""


class Rewrite:
    """A copy of a net's graph under change. Shapes and costs follow by asking the ops, as the passes do.

    Only what a change reaches is worked out anew, so that asking what a change saves is cheap.
    """

    def __init__(self, net: Net) -> None:
        """Start with the graph as it is."""
        self.net = net
        self.nodes: dict[str, Node] = {node.name: node for node in net.graph}
        self.outputs = net.graph.outputs
        self.moved: dict[Value, Value] = {}
        """By value that nobody reads any more, what is read instead of it."""
        self._touched: set[str] = set()
        self._places: list[list[str]] = [[name] for name in self.nodes]
        """The nodes in order, each after those that it reads: by place of the net, what stands there now."""
        self._place = {name: place for place, name in enumerate(self.nodes)}
        self._readers: dict[str, dict[str, None]] = {name: {} for name in self.nodes}
        for node in self.nodes.values():
            for value in node.inputs:
                self._readers[value.node][node.name] = None

    # ---------------------------------------------------------------- changes

    def replace(self, name: str, op: Op) -> None:
        """Put another op at a node; it reads the same values."""
        self._set(self._get(name).replace(op=op))

    def remove(self, name: str) -> None:
        """Take a node out: whoever reads it reads its first input instead."""
        value = self._get(name).inputs[0]
        self.redirect(Value(name), value)
        self.delete(name)

    def delete(self, *names: str) -> None:
        """Drop nodes that nobody else reads."""
        gone = set(names)
        for name in names:
            if any(reader not in gone for reader in self.readers(name)):
                raise RewriteError(f"{name} is still read")
        for name in names:
            for value in self._get(name).inputs:
                self._readers[value.node].pop(name, None)
        for name in names:
            del self.nodes[name], self._readers[name]
            self._places[self._place.pop(name)].remove(name)

    def swap(self, first: str, second: str) -> None:
        """Let two nodes of a chain change places: `second` alone reads `first`, and comes before it.

        What `first` reads beside its first input, as `like` of a resize, it still reads.
        """
        a, b = self._get(first), self._get(second)
        if self.readers(first) != [second] or len(b.inputs) != 1:
            raise RewriteError(f"{second} is not all that reads {first}")
        self.redirect(Value(second), Value(first))
        self._set(b.replace(inputs=a.inputs[:1]))
        self._set(a.replace(inputs=(Value(second), *a.inputs[1:])))
        (place, i), (other, j) = self._at(first), self._at(second)
        self._places[place][i], self._places[other][j] = second, first
        self._place[first], self._place[second] = other, place

    def insert(self, after: Value, op: Op, name: str) -> None:
        """Put an op behind a value: whoever read the value reads the op's output."""
        before = self._get(after.node)
        if name in self.nodes:
            raise RewriteError(f"{name} is there already")
        self._add(before.replace(name=name, op=op, inputs=(), module=""), after.node, 1)
        self.redirect(after, Value(name))
        self._set(self.nodes[name].replace(inputs=(after,)))

    def chain(self, names: Iterable[str], ops: Iterable[Op]) -> None:
        """Put a chain of ops in the place of a chain of nodes, each of which alone reads the one before."""
        old = list(names)
        for one, other in pairwise(old):
            if self.readers(one) != [other]:
                raise RewriteError(f"{other} is not all that reads {one}")
        last = self._get(old[-1])
        value = self._get(old[0]).inputs[0]
        for number, op in enumerate(ops):
            module = last.module and f"{last.module}~{number}"
            new = last.replace(name=f"{last.name}~{number}", op=op, inputs=(value,), module=module)
            self._add(new, last.name, 0)
            value = Value(new.name)
        self.redirect(Value(old[-1]), value)
        self.delete(*reversed(old))

    def read(self, name: str, position: int, value: Value) -> None:
        """Let a node read another value at one of its inputs."""
        node = self._get(name)
        inputs = list(node.inputs)
        inputs[position] = value
        self._set(node.replace(inputs=tuple(inputs)))

    def reads(self, name: str, values: Iterable[Value]) -> None:
        """Let a node read these values, and as many of them."""
        self._set(self._get(name).replace(inputs=tuple(values)))

    def merge(self, name: str, into: str) -> None:
        """Let who reads a node read an earlier one, which gives the same, and drop it."""
        if self._at(into) > self._at(name):
            raise RewriteError(f"{into} comes after {name}")
        self.redirect(Value(name), Value(into))
        self.delete(name)

    # ---------------------------------------------------------------- what comes of it

    def shapes(self) -> Mapping[str, tuple[Shape, ...]]:
        """Return the shapes of the changed nodes and of what they change; OpError if an op refuses them."""
        return self.work()[0]

    def saving(self) -> Amounts:
        """Return by quantity what the net has less of for one sample in float32; below 0 where it has more."""
        changed = Changed(self)
        before = [
            node for node in self.net.graph if node.name in changed.layer_costs or node.name not in self.nodes
        ]
        return amounts(self.net, before) - amounts(cast("Measured", changed), changed.nodes)

    def heirs(self) -> Iterator[Node]:
        """Yield the first of the nodes left that have the weights of one that is gone."""
        homes = set(self.nodes)
        for node in self.nodes.values():
            if node.home not in homes:
                homes.add(node.home)
                yield node

    def ordered(self) -> list[Node]:
        """Return the nodes in order: a node comes after what it reads."""
        return [self.nodes[name] for names in self._places for name in names]

    def graph(self) -> Graph:
        """Return the changed graph, for any pass; its module tree is the old one."""
        graph = Graph()
        for node in self.ordered():
            graph.add(node)
        graph.inputs, graph.outputs, graph.tree = (
            dict(self.net.graph.inputs),
            self.outputs,
            self.net.graph.tree,
        )
        return graph

    def work(self) -> tuple[dict[str, tuple[Shape, ...]], dict[str, Cost]]:
        """Work out shapes and costs of what has been touched and of all that it reaches."""
        known = self.net.elaborated.shapes
        shapes: dict[str, tuple[Shape, ...]] = {}
        costs: dict[str, Cost] = {}
        for node in self.ordered() if self._touched else ():
            name = node.name
            if name not in self._touched and not any(value.node in shapes for value in node.inputs):
                continue
            inputs = [(shapes.get(value.node) or known[value.node])[value.port] for value in node.inputs]
            costs[name] = node.cost(*inputs)
            outputs = node.op.outputs(*inputs)
            if known.get(name) != outputs:
                shapes[name] = outputs
        return shapes, costs

    def _get(self, name: str) -> Node:
        if name not in self.nodes:
            raise RewriteError(f"{name} is gone")
        return self.nodes[name]

    def _at(self, name: str) -> tuple[int, int]:
        """Return where a node stands: its place, and the index there."""
        place = self._place[name]
        return place, self._places[place].index(name)

    def _add(self, node: Node, beside: str, offset: int) -> None:
        """Put a node in front of another, or behind it."""
        if node.name in self.nodes:
            raise RewriteError(f"{node.name} is there already")
        self.nodes[node.name] = node
        self._readers[node.name] = {}
        place, at = self._at(beside)
        self._places[place].insert(at + offset, node.name)
        self._place[node.name] = place
        self._set(node)

    def _set(self, node: Node) -> None:
        for value in self.nodes[node.name].inputs:
            self._readers[value.node].pop(node.name, None)
        for value in node.inputs:
            self._readers[self._get(value.node).name][node.name] = None
        self.nodes[node.name] = node
        self._touched.add(node.name)

    def readers(self, name: str) -> list[str]:
        """Return who reads a node: nodes by name, and "" for an output of the net."""
        outputs = ["" for output in self.outputs if output.value.node == name]
        return [*self._readers[self._get(name).name], *outputs]

    def redirect(self, old: Value, new: Value) -> None:
        """Let who reads a value read another, which is there before."""
        self.moved[old] = new
        for reader in list(self._readers[old.node]):
            node = self.nodes[reader]
            if old in node.inputs:
                self._set(node.replace(inputs=tuple(new if value == old else value for value in node.inputs)))
        self.outputs = tuple(
            Output(o.name, new if o.value == old else o.value, o.train) for o in self.outputs
        )


class Changed:
    """What quantities are read off in the part of a net that a change reaches: its nodes, their costs and shapes."""

    def __init__(self, rewrite: Rewrite) -> None:
        """Work out what has been touched and all that it reaches."""
        self._rewrite = rewrite
        self._shapes, costs = rewrite.work()
        nodes = {name: rewrite.nodes[name] for name in costs}
        for node in rewrite.heirs():
            nodes[node.name] = heir = node.replace(module="")
            costs[node.name] = heir.cost(*self.inputs_of(node.name))
        self.nodes = list(nodes.values())
        self.layer_costs: Mapping[str, Cost] = costs

    @property
    def graph(self) -> Graph:
        """The whole changed graph; its module tree is the old one."""
        return self._rewrite.graph()

    def inputs_of(self, name: str) -> tuple[Shape, ...]:
        """Return the shapes of a node's inputs."""
        known = self._rewrite.net.elaborated.shapes
        reads = self._rewrite.nodes[name].inputs
        return tuple([(self._shapes.get(value.node) or known[value.node])[value.port] for value in reads])


def signature(nodes: Iterable[Node], outputs: Iterable[Output]) -> object:
    """Return what two graphs share if they are the same ops, wired in the same way; names do not matter."""
    known: dict[str, int] = {}
    counts: dict[int, int] = {}
    for node in nodes:
        fields = tuple((key, _plain(value)) for key, value in node.op.__dict__.items())
        name = node.name if isinstance(node.op, Input) else ""
        inputs = tuple((known[value.node], value.port) for value in node.inputs)
        known[node.name] = number = hash((node.op.name, name, fields, inputs, node.train))
        counts[number] = counts.get(number, 0) + 1
    return counts, [(o.name, known[o.value.node], o.value.port, o.train) for o in outputs]


def _plain(value: object) -> object:
    return (
        tuple(sorted((k, repr(v)) for k, v in value.items())) if isinstance(value, Mapping) else repr(value)
    )

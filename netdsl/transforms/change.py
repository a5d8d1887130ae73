"""A net under change, and what becomes of its weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from netdsl.ir.graph import Graph, Node, Value
from netdsl.ir.types import Shape
from netdsl.net import Net
from netdsl.record import Record
from netdsl.transforms.rewrite import Rewrite
from netdsl.transforms.tree import now, with_tree

if TYPE_CHECKING:
    from netdsl.ops.base import Array

Read = Callable[[str], "Array"]
"""Returns a tensor of the net's own state, in float64, by its key."""


class Formula(Record):
    """How a tensor of the changed net's state follows from those of the net that it was."""

    keys: tuple[str, ...]
    """What it follows from."""
    value: Callable[[Read], Array]

    @classmethod
    def of(cls, value: Callable[..., Array], *parts: Formula) -> Formula:
        """Return what a function makes of other tensors."""
        keys = dict.fromkeys(key for part in parts for key in part.keys)
        return cls(tuple(keys), lambda read: value(*(part.value(read) for part in parts)))


class Change(Rewrite):
    """A rewrite that leaves a module tree and says where the state of the new graph comes from."""

    def __init__(self, net: Net) -> None:
        """Start with the graph as it is."""
        super().__init__(net)
        self.state: dict[str, Formula] = {}
        """By key of the new state, what it is made of; others are what they were."""
        self.places: dict[str, str] = {}
        """By node that was not there, the node or scope of the module tree behind which it stands."""
        self.kept: tuple[Value, ...] = ()
        """What somebody reads beside the net's nodes and outputs: it stays what it is."""
        self._calls: dict[str, list[str]] = {}
        """By node those that have its weights, itself first."""
        for node in net.graph:
            self._calls.setdefault(node.home, []).append(node.name)

    def tensor(self, key: str) -> Formula:
        """Return what a tensor of the state is made of as things stand, whatever becomes of it later."""
        return self.state.get(key) or Formula((key,), lambda read: read(key))

    def shape(self, name: str, position: int = 0) -> Shape:
        """Return the shape of what a node of the net reads, before any change."""
        return self.net.inputs_of(name)[position]

    def calls(self, home: str) -> list[Node]:
        """Return the nodes that have the weights of one, itself first: a module that `same` runs again."""
        return [self.nodes[name] for name in self._calls[home] if name in self.nodes]

    def readers(self, name: str) -> list[str]:
        """Return who reads a node: nodes by name, and "" for an output of the net, and for what is kept."""
        kept = ["" for value in self.kept if self.now(value).node == name]
        return [*super().readers(name), *kept]

    def reader(self, name: str) -> Node | None:
        """Return the only node that reads a node; None if there are more, or it is an output of the net."""
        readers = self.readers(name)
        return self.nodes[readers[0]] if len(readers) == 1 and readers[0] else None

    def now(self, value: Value) -> Value:
        """Return what is read in the place of a value."""
        return now(self.moved, value)

    def graph(self) -> Graph:
        """Return the changed graph, with what is left of the module tree."""
        return with_tree(super().graph(), self.net.graph.tree, self.moved, self.places)

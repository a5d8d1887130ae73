"""The text of a graph: its blocks, inner ones first, and the net."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from typing import Any

from netdsl.elaborate.layers import has_state
from netdsl.elaborate.names import reserved_name
from netdsl.ir.graph import Graph, Node, Scope, Value
from netdsl.ir.types import DEFAULT_INIT, Init, Shape
from netdsl.lift.body import Body
from netdsl.lift.items import Column, Item, everything, skeleton
from netdsl.lift.layout import Layout, indented
from netdsl.lift.words import call_words, initialiser, op_values
from netdsl.ops import catalogue
from netdsl.ops.source import Weight
from netdsl.syntax.format import format

Shapes = Mapping[str, tuple[Shape, ...]]
Inits = dict[str, dict[str, Init]]


class File:
    """Writes one graph."""

    def __init__(self, graph: Graph, shapes: Shapes) -> None:
        self.graph = graph
        self.shapes = shapes
        self.blocks: dict[str, list[str]] = {}
        """Lines by name."""
        self.known: dict[tuple[Any, ...], str] = {}
        """Names of blocks by what the graph calls them, what comes in, and their statements."""
        self.states = {node.name: self._state(node) for node in graph}
        """By node the keys of its tensors, learned or not."""
        self.inits = self._common()
        self.calls: dict[str, tuple[str, dict[str, Column]]] = {}
        """By the path of a scope that is a block the name of that, and its arguments."""
        self.layout = Layout(self.call, lambda item: "")

    def text(self, name: str) -> str:
        """Return the whole of it."""
        tree = self.graph.tree
        net = self._free(tree.block or name, "Net")
        self.blocks[net] = []
        for scope in _inner_first(tree):
            self.block(scope)
        body = self.layout.lines(Body(self, tree).net())
        del self.blocks[net]
        inits = [
            f"init {op} {', '.join(f'{key}={initialiser(init)}' for key, init in keys.items())}"
            for op, keys in self.inits.items()
        ]
        lines = [line for block in self.blocks.values() for line in (*block, "")]
        lines += [f"net {net}:", *indented([*inits, *body])]
        if net.lower() != name:
            lines += ["", f"variant {name} = {net}()"]
        return format("\n".join([*lines, ""]))

    # ---------------------------------------------------------------- blocks

    def block(self, scope: Scope) -> None:
        """Write the block that a scope is."""
        parts = re.split("[_.-]", scope.name)
        wanted = scope.block or "".join(part[:1].upper() + part[1:] for part in parts)
        body = Body(self, scope)
        items = body.block(scope.inputs, scope.input_names, scope.outputs)
        self.calls[scope.path] = self._written("block", wanted, body.head, items, "x"), {}

    def block_of(self, scope: Scope) -> tuple[str, dict[str, Column]]:
        """Return the name of the block that a scope is, and the arguments that make it so."""
        return self.calls[scope.path]

    def aside(self, wanted: str, head: tuple[str, ...], items: Sequence[Item]) -> str:
        """Return the name of an inline block with these statements."""
        return self._written("inline block", wanted, head, items, "x")

    def _written(
        self, kind: str, wanted: str, head: tuple[str, ...], items: Sequence[Item], flows: str
    ) -> str:
        key = (kind, wanted, head, skeleton(items), *[tuple(one.values.items()) for one in everything(items)])
        if key not in self.known:
            self.known[key] = name = self._free(wanted, "Block")
            inputs = f" from {', '.join(head)}" if head else ""
            lines = self.layout.lines(items, 1, "flow" if head else flows)
            self.blocks[name] = [f"{kind} {name}{inputs}:", *indented(lines)]
        return self.known[key]

    def _free(self, wanted: str, kind: str) -> str:
        """Return a name that no op or block has yet."""
        stem = re.sub("[^A-Za-z0-9_]", "", wanted)
        stem = stem if stem[:1].isalpha() else kind + stem
        for number in count(1):
            name = stem if number == 1 else f"{stem}{number}"
            if name not in self.blocks and name not in catalogue() and not reserved_name(name):
                return name
        raise AssertionError

    # ---------------------------------------------------------------- layers

    def values(self, node: Node) -> dict[str, Column]:
        """Return the arguments of a layer that are not its defaults, the values among them as such."""
        x = [self.shapes[value.node][value.port] for value in node.inputs]
        found: dict[str, Column] = {key: (value,) for key, value in op_values(node.op).items()}
        found |= {name: (node.inputs[at],) for name, at in node.op.further(*x).items()}
        own = self.own_inits(node)
        if own.keys() == {"weight"}:
            found["init"] = (own["weight"],)
        return found

    def call(self, item: Item) -> str:
        """Return a layer or block with its arguments."""
        values = {key: column[0] for key, column in item.values.items()}
        words = call_words(catalogue()[item.name], values) if item.name in catalogue() else []
        return f"{item.name} {', '.join(words)}".rstrip()

    def plain(self, node: Node) -> tuple[Value, ...]:
        """Return the inputs of a node that are no arguments."""
        x = [self.shapes[value.node][value.port] for value in node.inputs]
        further = node.op.further(*x).values()
        return tuple(value for at, value in enumerate(node.inputs) if at not in further)

    def own_inits(self, node: Node) -> dict[str, Init]:
        """Return how the tensors of a node begin of which no line of the net says it."""
        common = {**self.inits.get(node.op.inherits, {}), **self.inits.get(node.op.name, {})}
        return {key: init for key, init in node.op.inits.items() if common.get(key) != init}

    # ---------------------------------------------------------------- what holds for all of the net

    def _state(self, node: Node) -> frozenset[str]:
        if not has_state(node.op):
            return frozenset()
        x = [self.shapes[value.node][value.port] for value in node.inputs]
        return frozenset((*node.op.weights(*x), *node.op.buffers(*x)))

    def _common(self) -> Inits:
        """Return the initialisers that all layers of an op have, and those that inherit them."""
        said: dict[tuple[str, str], set[Init]] = {}
        parents: dict[str, str] = {}
        for node in self.graph:
            parents[node.op.name] = node.op.inherits
            for key in self.states[node.name] if not isinstance(node.op, Weight) else ():
                said.setdefault((node.op.name, key), set()).add(node.op.inits.get(key, DEFAULT_INIT))
        one = {at: next(iter(inits)) for at, inits in said.items() if len(inits) == 1}
        found: Inits = {}
        for (op, key), init in one.items():
            heirs = [name for name, parent in parents.items() if parent == op and (name, key) in said]
            if init != DEFAULT_INIT and all(
                one.get((heir, key), DEFAULT_INIT) != DEFAULT_INIT for heir in heirs
            ):
                if one.get((parents[op], key)) != init or key not in found.get(parents[op], {}):
                    found.setdefault(op, {})[key] = init
        return found


def _inner_first(tree: Scope) -> Iterator[Scope]:
    """Yield the scopes that are blocks, those within before those around them."""
    for item in tree.written:
        if isinstance(item, Scope) and not item.module:
            yield from _inner_first(item)
            if item.kind == "block" or len(item.outputs) > 1:
                yield item

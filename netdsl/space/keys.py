"""When two points of a walk are one: what the text behind them can see, as a value that can be compared."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from netdsl.elaborate.draft import Draft
from netdsl.elaborate.layers import JOINTS
from netdsl.elaborate.values import (
    ArgumentOp,
    Choice,
    Data,
    Env,
    Function,
    Given,
    OpValue,
    Ramp,
    RowValue,
    TableValue,
    Wire,
)
from netdsl.elaborate.walk import guarded
from netdsl.ir.types import Shape
from netdsl.ops import catalogue
from netdsl.record import Record
from netdsl.syntax import tree


class Mentions(Record):
    """The names that a text may look up: plain ones, and those that have numbers in their braces."""

    names: frozenset[str]
    patterns: frozenset[str]

    def __contains__(self, name: str) -> bool:
        return name in self.names or any(re.fullmatch(one, name) for one in self.patterns)

    def __or__(self, other: Mentions) -> Mentions:
        return Mentions(self.names | other.names, self.patterns | other.patterns)


NOTHING = Mentions(frozenset(), frozenset())


def mentions(nodes: Iterable[tree.Tree]) -> Mentions:
    """Return what some text may look up."""
    names: set[str] = set()
    patterns: set[str] = set()
    for node in nodes:
        for one in tree.pieces(node):
            if isinstance(one, tree.Name):
                names.add(one.text)
            elif isinstance(one, tree.Template):
                parts = [re.escape(part) if isinstance(part, str) else "[0-9]+" for part in one.parts]
                patterns.add("".join(parts))
    return Mentions(frozenset(names), frozenset(patterns))


def lines(node: tree.Statement) -> tuple[tree.Statement, ...]:
    """Return a line for each step of a chain, if that is the same, and several steps may ask; else the statement."""
    whole = not isinstance(node, tree.Line) or node.label is not None or node.condition is not None
    if whole or sum(map(may_ask, node.chain.steps)) < 2:  # type: ignore[attr-defined]
        return (node,)
    assert isinstance(node, tree.Line)
    steps = node.chain.steps
    # what flows is another value between the steps; a joint is told what stands before it
    if "flow" in mentions(steps) or any(
        isinstance(one, tree.Layer) and one.op.text in JOINTS for one in steps
    ):
        return (node,)
    first, *others = steps
    begin = node.replace(end=first.end, chain=node.chain.replace(end=first.end, steps=(first,)))
    rest = [
        tree.Line(one.start, one.end, None, tree.Chain(one.start, one.end, (), (one,)), None)
        for one in others
    ]
    return begin, *rest


def may_ask(step: tree.Step) -> bool:
    """Tell whether a step may make a decision: it has one, or is a block."""
    return any(
        isinstance(one, tree.Choice) or (isinstance(one, tree.Layer) and one.op.text not in catalogue())
        for one in tree.pieces(step)
    )


class Texts:
    """What is known of pieces of text: they are asked about at each point of a walk."""

    def __init__(self) -> None:
        """Know nothing."""
        self._rest: dict[tuple[int, int], tuple[tree.Body, Mentions]] = {}
        """By a body's id, which it keeps, and the number of a statement."""
        self._values: dict[int, tuple[tree.Expr, Mentions]] = {}
        self._cut: dict[tuple[int, int], tuple[tree.Body, tree.Body]] = {}
        self._guarded: dict[tuple[int, int], tuple[tree.Body, tree.Statement, tree.Body]] = {}

    def rest(self, body: tree.Body, index: int) -> Mentions:
        """Return what the statements of a body from one on may look up."""
        key = id(body), index
        if key not in self._rest:
            self._rest[key] = body, mentions(body[index:])
        return self._rest[key][1]

    def value(self, value: tree.Expr) -> Mentions:
        """Return what an expression may look up."""
        if id(value) not in self._values:
            self._values[id(value)] = value, mentions((value,))
        return self._values[id(value)][1]

    def statement(self, body: tree.Body, index: int, in_net: bool) -> tuple[tree.Statement, bool]:
        """Return a statement of a body, and whether what follows has become part of it."""
        key = id(body), index
        if key not in self._guarded:
            self._guarded[key] = body, *guarded(body, index, in_net)
        _, statement, rest = self._guarded[key]
        return statement, bool(rest)

    def cut(self, body: tree.Body) -> tree.Body:
        """Return the statements of a body, with a line for each step of a chain that several steps may ask in."""
        if not body:
            return body
        key = id(body[0]), len(body)  # a body without its first statements is made anew each time
        if key not in self._cut:
            self._cut[key] = body, tuple([line for node in body for line in lines(node)])
        return self._cut[key][1]

    def seen(self, env: Env, mentioned: Mentions) -> Mentions:
        """Return what a text may look up with the functions of an environment that it calls."""
        todo = list(mentioned.names)
        found = mentioned
        while todo:
            value = env.find_name(todo.pop())
            if isinstance(value, Function) and value.value is not None:
                inner = self.value(value.value)
                todo += inner.names - found.names
                found |= inner
        return found


class Keys:
    """Values as keys. Types count, since 1 is not 1.0 nor true; values that flow are told apart by who made them.

    Numbers of wires mean nothing by themselves: they are called in the order in which they are met.
    """

    def __init__(self, drafts: list[Draft], envs: Iterable[Env]) -> None:
        """`envs` are the environments of the open scopes, outer ones first, in which functions may be."""
        self.drafts = drafts
        self.envs = list(envs)
        self.met: dict[Wire, int] = {}

    def wire(self, wire: Wire) -> Any:
        """Return a value that flows: which it is, its shape, and how it came to be where that counts."""
        draft = self.drafts[wire.draft]
        number = self.met.setdefault(wire, len(self.met))
        return number, shape_key(draft.shapes[wire.port]), draft.train, draft.shared

    def wires(self, wires: Iterable[Wire]) -> Any:
        """Return several."""
        return tuple([self.wire(wire) for wire in wires])

    def of(self, value: Any) -> Any:
        """Return a value's key."""
        kind = type(value)
        if kind in (int, float, bool, str, type(None)):
            return kind, value
        if kind is tuple:
            return kind, tuple([self.of(item) for item in value])
        if isinstance(value, Data):
            return Data, self.wires(value.wires)
        if isinstance(value, OpValue):
            parameter = value.parameter if isinstance(value, ArgumentOp) else None
            return value.target, parameter, self.arguments(value.args)
        if isinstance(value, Ramp):
            return Ramp, value.start, value.stop, value.endpoint
        if isinstance(value, RowValue):
            return RowValue, value.columns, self.of(value.cells)
        if isinstance(value, TableValue):
            return TableValue, value.columns, self.of(value.rows)
        if isinstance(value, Function):
            at = next((i for i, env in enumerate(self.envs) if env is value.env), None)
            return Function, value.name, id(value.value), at
        if isinstance(value, Choice):
            return Choice, id(value.node), self.of(value.options)
        if isinstance(value, Shape):
            return shape_key(value)
        if isinstance(value, tuple):  # dimensions
            return kind, tuple(value)
        if isinstance(value, Record):
            return kind, *[self.of(one) for one in value.__dict__.values()]
        return id(value)

    def arguments(self, args: Mapping[str, Given]) -> Any:
        """Return the key of what is given, wherever it was."""
        return tuple([(name, self.of(one.value)) for name, one in args.items()])

    def names(self, env: Env, mentioned: Mentions) -> Iterator[Any]:
        """Yield the keys of what a text can see of an environment."""
        for name in sorted(env.names):
            if name in mentioned:
                yield name, self.of(env.names[name])
        yield None
        for name in sorted(env.tensors):
            if name in mentioned:
                yield name, self.of(env.tensors[name])


def shape_key(shape: Shape) -> Any:
    """Return a shape's key: its sizes and what they are of."""
    return tuple(shape), shape.axes

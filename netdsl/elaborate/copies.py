"""Blocks that are given the same make the same: one of them is run, the others are copied.

What a block makes follows from its text, what that can see, and what it is given. Only names change from one to
another, by where they are, and the calls around it. A block is run where something else is done in it than to make
layers: where it decides something, counts a schedule, claims a budget, or is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import NoneType
from typing import TYPE_CHECKING, Any, NamedTuple

from netdsl.diagnostics import Frame
from netdsl.elaborate.draft import Call, Draft, DraftScope, Naming
from netdsl.elaborate.inits import Inits
from netdsl.elaborate.values import ArgumentOp, BlockDecl, Data, Given, OpValue, Wire
from netdsl.ir.types import Dims, Init, Pad

if TYPE_CHECKING:
    from netdsl.elaborate.build import Builder

Key = tuple[Any, ...]


class Unlike(Exception):
    """A value that is another in each call, or whose likeness nobody knows."""


class Original(NamedTuple):
    """What a block made."""

    call: Call
    result: Data
    begin: int
    drafts: tuple[Draft, ...]
    scopes: tuple[DraftScope, ...]
    """Its own, then those within, outer ones first."""
    namings: tuple[tuple[Naming, Wire, DraftScope, str], ...]
    """How values got names."""
    steps: int
    depth: int
    """How deep it was called; deeper ones may be too deep."""
    entered: frozenset[BlockDecl]
    """It and all blocks that it runs."""
    notes: tuple[Any, ...]
    inits: tuple[Inits, ...]
    """By whose ids it is known, which they keep."""


class Copies:
    """What blocks of one elaboration made."""

    def __init__(self) -> None:
        """Know nothing."""
        self.known: dict[Key, Original] = {}
        self.entered: list[BlockDecl] = []
        """The blocks that were run or copied, in their order."""
        self.made = 0
        """How many copies."""

    def inside(self, walker: Builder, call: Call, run: Callable[[Call], Data]) -> Data:
        """Return what a block makes: as another did, or by running its body."""
        self.entered.append(call.decl)
        key = None if call.scope is call.place.scope or walker.runs_again else key_of(walker, call)
        if key is None:
            return run(call)
        found = self.known.get(key)
        if found is not None and fits(walker, found):
            self.entered += found.entered
            self.made += 1
            return copied(walker, found, call)
        begin, inner, entered = len(walker.drafts), len(walker.scopes), len(self.entered)
        named, noted = len(walker.namings), len(walker.notes)
        evaluator, effects, steps = walker.evaluator, walker.effects(), walker.evaluator.steps
        result = run(call)
        if result.poisoned or walker.effects() != effects:
            return result
        self.known[key] = Original(
            call,
            result,
            begin,
            tuple(walker.drafts[begin:]),
            (call.scope, *walker.scopes[inner:]),
            tuple(walker.namings[named:]),
            steps - evaluator.steps,
            evaluator.depth,
            frozenset((call.decl, *self.entered[entered:])),
            tuple(walker.notes[noted:]),
            call.place.inits,
        )
        return result


def key_of(walker: Builder, call: Call) -> Key | None:
    """Return all that what a block makes follows from; None where that cannot be said."""
    place, data = call.place, call.data
    if data.poisoned:
        return None
    try:
        given = [(name, _alike(one.value)) for name, one in call.given.items()]
    except Unlike:
        return None
    coming = []
    for wire, shape in zip(data.wires, data.shapes, strict=True):
        draft = walker.drafts[wire.draft]
        first = data.wires.index(wire) if len(data.wires) > 1 else 0
        coming.append((shape, shape.axes, first, draft.shared, draft.train))
    inits = [id(table) for table in place.inits if table]
    return call.decl, place.stage, place.train, *inits, *coming, *given


def _alike(value: Any) -> Any:
    """Return what two values have in common that are the same to a block, in type and in text."""
    kind = type(value)
    if kind in (int, bool, str, Dims, Pad, NoneType):
        return kind, value
    if kind is float:
        return kind, repr(value)
    if kind is tuple:
        return kind, *map(_alike, value)
    if kind is Init:
        return kind, value.kind, *map(_alike, value.args)
    if kind in (OpValue, ArgumentOp):
        own = value.parameter if kind is ArgumentOp else None
        return kind, value.target, own, *[_written(name, one) for name, one in value.args.items()]
    raise Unlike


def _written(name: str, one: Given) -> Any:
    """Return an argument of an op that is a value; a layer says which text gave it."""
    span = one.span
    return name, _alike(one.value), None if span is None else (id(span.source), span.start, span.end)


def fits(walker: Builder, found: Original) -> bool:
    """Tell whether a copy can be made here: nothing becomes too much by it, and no block is within itself."""
    evaluator, most = walker.evaluator, walker.max_nodes
    return (
        not walker.hopeless
        and not evaluator.exhausted
        and evaluator.steps >= found.steps
        and evaluator.depth <= found.depth
        and len(walker.drafts) + len(found.drafts) <= most
        and len(walker.scopes) + len(found.scopes) <= most
        and found.entered.isdisjoint(walker.around())
    )


def copied(walker: Builder, found: Original, call: Call) -> Data:
    """Put down what a block made, for another call of it."""
    begin = len(walker.drafts)
    by = begin - found.begin
    wires = dict(zip(found.call.data.wires, call.data.wires, strict=True))
    calls = _Calls(found, call, walker.frame(call))
    scopes = {found.scopes[0]: call.scope}
    call.scope.take(found.scopes[0])
    for old in found.scopes[1:]:
        outer = scopes[old.outer]  # type: ignore[index]  # only the net's has none
        own = old.label
        scope = scopes[old] = DraftScope(
            old.kind,
            outer.join(old.name),
            old.span,
            old.block,
            outer.labels_of(own, old.labelled),
            old.labelled,
        )
        scope.put(outer, old.name, own)
        scope.take(old)
        scope.input_names, scope.calls = old.input_names, calls(old.calls)
        scope.begin, scope.end = old.begin + by, old.end + by
        walker.scopes.append(scope)
    for index, draft in enumerate(found.drafts, begin):
        inputs = tuple([wires[wire] for wire in draft.inputs])
        new = draft.copied(index, inputs, scopes[draft.scope], calls(draft.calls), by)
        wires.update(zip(draft.results, new.results, strict=True))
        walker.drafts.append(new)
    for old, scope in scopes.items():
        scope.drafts = [scopes[item] if isinstance(item, DraftScope) else item + by for item in old.drafts]
        if old is not found.scopes[0]:
            scope.entry, scope.exit = _moved(old.entry, wires), _moved(old.exit, wires)
    for how, wire, scope, name in found.namings:
        walker.name_value(how, wires[wire], scopes[scope], name)
    walker.notes += found.notes
    walker.evaluator.steps -= found.steps
    return Data(_moved(found.result.wires, wires), found.result.shapes)


def _moved(old: Sequence[Wire], wires: dict[Wire, Wire]) -> tuple[Wire, ...]:
    return tuple([wires[wire] for wire in old])


class _Calls:
    """The calls around what is in a block, as they are around what is in its copy."""

    def __init__(self, found: Original, call: Call, frame: Frame) -> None:
        """`frame` is that of the copy itself."""
        self.around = len(found.call.place.calls) + 1
        """How many of the calls are its own and those around it."""
        self.outer = (frame, *call.place.calls)
        self.old, self.new = found.call.scope.path, call.scope.path
        self.known: dict[int, tuple[Frame, ...]] = {}

    def __call__(self, calls: tuple[Frame, ...]) -> tuple[Frame, ...]:
        """Return the calls around a copy of what has these around it."""
        found = self.known.get(id(calls))
        if found is None:
            inner = calls[: len(calls) - self.around]
            found = self.known[id(calls)] = (*map(self.frame, inner), *self.outer)
        return found

    def frame(self, frame: Frame) -> Frame:
        """Return a call within: what it builds is elsewhere."""
        path = frame.path and self.new + frame.path.removeprefix(self.old)
        return frame.replace(path=path)

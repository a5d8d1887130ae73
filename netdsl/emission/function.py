"""What becomes a class of the module: a block, a net, or a container that is no plain chain."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from netdsl.elaborate.values import BlockDecl, OpValue, Wire
from netdsl.emission.code import Call, Const, Expr, Input, Lowered, mentions_self, transform
from netdsl.emission.concolic import SymDims, SymOp, SymPad, SymRow, SymText, mentioned
from netdsl.emission.items import (
    Check,
    Child,
    Collect,
    Container,
    If,
    Item,
    Joined,
    Layer,
    Let,
    Loop,
    Module,
    Pick,
    Side,
    Staged,
    Store,
    walk,
)
from netdsl.emission.sometimes import lacking
from netdsl.ir.types import Dims, Pad
from netdsl.ops import Op
from netdsl.symbolic import Atom, Poly, SymBool, SymFloat, SymInt, SymList, in_terms_of

Lower = Callable[[Layer, bool], Lowered]
"""Lowers a layer, in place or not."""


class Function:
    """A class: what comes in, what it does, what it returns."""

    def __init__(self, staged: Staged, items: list[Item], kind: str, name: str, label: str = "") -> None:
        """`staged` is the block or net that it is of; `label` is a container's."""
        self.staged = staged
        self.items = items
        self.kind = kind
        self.name = name
        self.label = label
        self.inputs: dict[Wire, str] = {}
        self.outputs: tuple[Wire, ...] = ()
        self.first = staged.first
        """The children, and lists of them, that are registered before all others."""
        self.counts = staged.counts
        """Whether the labels of its children are 0, 1, 2 and so on."""
        self.names: tuple[str, ...] = ()
        """A container's arguments: names of the block that it is in."""
        self.absent: frozenset[Wire] = frozenset()
        """What comes into a container and may not be there."""
        self.tells: dict[str, str] = {}
        """Local variables of a container that the block reads, and the attributes that hold them."""


def reading(function: Function) -> Counter[Wire]:
    """Return how often each value is read, by items and as a result."""
    counts: Counter[Wire] = Counter(function.outputs)
    _count(function.items, counts)
    return counts


def reading_of(item: Item) -> Counter[Wire]:
    """Return how often an item, with what is within it, reads each value."""
    counts: Counter[Wire] = Counter()
    _count([item], counts)
    return counts


def _count(items: list[Item], counts: Counter[Wire]) -> None:
    for item in items:
        if isinstance(item, (Layer, Child)):
            counts.update(item.inputs)
        elif isinstance(item, If):
            for phi in item.phis:
                counts.update((phi.then, phi.otherwise))
        elif isinstance(item, Loop):
            for carried in item.carried:
                counts.update((carried.begin, carried.end))
            counts.update(one.end for one in item.gathered)
        elif isinstance(item, (Pick, Collect, Joined, Store)):
            counts.update(item.reads())
        elif isinstance(item, Side):
            counts.update((item.wire,))
        for inner in item.inner():
            _count(inner, counts)


class Chains:
    """Which items are a chain of modules: each reads what the one before it made."""

    def __init__(self, lower: Lower) -> None:
        """Ask `lower` what is a module."""
        self.lower = lower

    def end(self, items: list[Item], wire: Wire) -> Wire | None:
        """Return what a chain that begins with a value ends with; None if it is none."""
        for item in items:
            found = self.after(item, wire)
            if found is None:
                return None
            wire = found
        return wire

    def after(self, item: Item, wire: Wire) -> Wire | None:
        """Return what one item makes of the value, if that is all that it does."""
        if isinstance(item, (Let, Check)):
            return wire
        if isinstance(item, Layer):
            return self.after_layer(item, wire)
        if isinstance(item, Child):
            alone = item.inputs == (wire,) and len(item.outputs) == 1 and not item.again
            return item.outputs[0] if alone else None
        if isinstance(item, Container):
            alone = set(item.reads()) == {wire} and len(item.exit) == 1
            return item.exit[0] if alone else None
        if isinstance(item, If):
            if item.only is not None:
                return self.end(item.only, wire)
            then, otherwise = self.end(item.then, wire), self.end(item.otherwise, wire)
            if then is None or otherwise is None:
                return None
            if then == otherwise:
                return then
            return next((p.wire for p in item.phis if (p.then, p.otherwise) == (then, otherwise)), None)
        if isinstance(item, Loop):
            if not item.carried or item.gathered:
                return None
            (one, *more) = item.carried
            if more or one.begin != wire or self.end(item.body, one.wire) != one.end:
                return None
            return one.after
        return None

    def after_layer(self, item: Layer, wire: Wire) -> Wire | None:
        """Return what a layer makes, if it can be a module."""
        if item.inputs != (wire,) or len(item.outputs) != 1 or item.again:
            return None
        lowered = self.lower(item, False)
        if isinstance(lowered.function, Input):
            return item.outputs[0]
        if lowered.module is None or mentions_self(lowered.function):
            return None
        return item.outputs[0]


class Outside:
    """How often a class reads its values and names, to tell of each container what is read outside it."""

    def __init__(self, staged: Staged) -> None:
        """Count all of it once."""
        self.read: Counter[Wire] = Counter([*staged.outputs, *(side.wire for side in staged.sides)])
        self.read.update(_values_read(staged.items))
        self.named = Counter(_names_read(staged.items))
        for shape in staged.out_terms if staged.told else ():
            self.named.update(name for size in shape for name in mentioned(size))
        self.bound = Counter(_first_bound(staged.items))
        self.around = {id(item): around for item, around in _containers(staged.items, ())}
        """By container, those that it is in."""
        loops = (item for item in walk(staged.items) if isinstance(item, Loop))
        self.turning = {id(item) for loop in loops for item in walk(loop.body)}
        """What stands in loops."""
        self.lacking = {id(item): absent for item, absent in lacking(staged.items)}
        """By container, what it reads that may not be there."""

    def values(self, container: Container) -> set[Wire]:
        """Return what a container makes that is read outside; what one around it ends with is so by that."""
        within = Counter(_values_read([container]))
        for outer in self.around[id(container)]:
            within.update(outer.exit)
        return {wire for wire in container.makes() if self.read[wire] > within[wire]}

    def names(self, container: Container) -> list[str]:
        """Return the local variables of a container that what is outside reads, or the container in its next turn."""
        within, bound = Counter(_names_read([container])), Counter(_first_bound([container]))
        changed = {item.name for item in walk(container.items) if isinstance(item, Let) and item.again}
        again = changed if id(container) in self.turning else set()
        return [
            name
            for name in dict.fromkeys(bound_names(container.items))
            if (self.named[name] > within[name] and (self.bound[name] == bound[name] or name in changed))
            or (name in again and self.bound[name] > bound[name])
        ]


def _values_read(items: list[Item]) -> Iterator[Wire]:
    """Yield the values that items read or end with, as often as they do."""
    for item in items:
        inner = item.inner()
        for part in inner:
            yield from _values_read(part)
        if isinstance(item, If):
            yield from (wire for phi in item.phis for wire in (phi.then, phi.otherwise))
        elif isinstance(item, Loop):
            yield from (wire for one in item.carried for wire in (one.begin, one.end))
            yield from (one.end for one in item.gathered)
        elif isinstance(item, Container):
            yield from item.exit
        elif not inner:
            yield from item.reads()


def _names_read(items: list[Item]) -> Iterator[str]:
    """Yield the names that expressions of items read."""
    for item in walk(items):
        for value in item.terms():
            yield from mentioned(value)
        if isinstance(item, Module) and item.name is not None:
            yield from mentioned(item.name)


def _first_bound(items: list[Item]) -> Iterator[str]:
    """Yield the local variables that items bind for the first time."""
    yield from (item.name for item in walk(items) if isinstance(item, Let) and not item.again)


def _containers(
    items: list[Item], around: tuple[Container, ...]
) -> Iterator[tuple[Container, tuple[Container, ...]]]:
    """Yield all containers, each with those that it is in."""
    for item in items:
        here = around
        if isinstance(item, Container):
            yield item, around
            here = (*around, item)
        for inner in item.inner():
            yield from _containers(inner, here)


def bound_names(items: list[Item], always: bool = False) -> Iterator[str]:
    """Yield the local variables that items bind; `always`: whatever holds."""
    for item in items:
        if isinstance(item, Let):
            yield item.name
        elif isinstance(item, Child):
            yield from item.asked
        for inner in () if always and isinstance(item, (If, Loop)) else item.inner():
            yield from bound_names(inner, always)


def is_nothing(item: Item, lower: Lower) -> bool:
    """Tell whether a layer is only its input."""
    return isinstance(item, Layer) and isinstance(lower(item, False).function, Input)


# ---------------------------------------------------------------- writing over


class Storage:
    """Which values are new memory that nobody else holds."""

    def __init__(self) -> None:
        """Remember what was found."""
        self.known: dict[int, tuple[bool, ...]] = {}

    def writing(self, function: Function, kept: Iterable[Wire] = ()) -> set[int]:
        """Return the layers, by id, that may write over their first input; values that are kept have more readers."""
        found: set[int] = set()
        counts = reading(function)
        counts.update(kept)
        self.look(function.items, dict(_makers(function.items)), counts, found)
        return found

    def look(
        self, items: list[Item], makers: Mapping[Wire, Item], counts: Counter[Wire], found: set[int]
    ) -> None:
        """Find what may write; in a loop, only over what was made in the same turn."""
        for item in items:
            if isinstance(item, Layer) and item.op.inplace and item.given is None and item.inputs:
                value = item.inputs[0]
                maker = makers.get(value)
                near = maker is not None and maker.turn == item.turn
                if near and counts[value] == 1 and self.fresh(value, makers, counts):
                    found.add(id(item))
            for side, inner in enumerate(item.inner()):
                other = self.of_other_side(item, side) if isinstance(item, If) else {}
                counts.subtract(other)
                self.look(inner, dict(_makers(inner)) if isinstance(item, Loop) else makers, counts, found)
                counts.update(other)

    @staticmethod
    def of_other_side(item: If, side: int) -> Counter[Wire]:
        """Return what is read only when a side of a condition does not run."""
        other = Counter((phi.otherwise, phi.then)[side] for phi in item.phis)
        _count(item.inner()[1 - side], other)
        return other

    def fresh(self, wire: Wire, makers: Mapping[Wire, Item], counts: Counter[Wire]) -> bool:
        """Tell whether a value was allocated within, by an op that does not keep it."""
        item = makers.get(wire)
        if isinstance(item, Layer):
            choices = item.given.choices if item.given is not None else (type(item.op),)
            return bool(choices) and not item.counted and all(map(allocates, choices))
        if isinstance(item, Child):
            return item.callee is None and self.of_class(item.cls)[item.outputs.index(wire)]
        if isinstance(item, If):
            phi = next(p for p in item.phis if p.wire == wire)
            return all(
                self.passes(w, item, side, counts) and self.fresh(w, makers, counts)
                for side, w in enumerate((phi.then, phi.otherwise))
            )
        return False

    @staticmethod
    def passes(wire: Wire, item: If, side: int, counts: Counter[Wire]) -> bool:
        """Tell whether a value that one side of a condition ends with is read by nobody else when that side runs."""
        within = reading_of(item)
        here = Counter((phi.then, phi.otherwise)[side] for phi in item.phis)
        _count(item.inner()[side], here)
        return here[wire] == 1 and within[wire] == counts[wire]

    def of_class(self, staged: Staged) -> tuple[bool, ...]:
        """Return of each result of a class whether it is fresh, and read by nobody else within."""
        if id(staged) not in self.known:
            function = Function(staged, staged.items, staged.kind, staged.name)
            function.outputs = staged.outputs
            counts, makers = reading(function), dict(_makers(staged.items))
            found, before = (True,) * len(staged.outputs), len(self.known)
            while self.known.get(id(staged)) != found:  # it is so of a class in itself, until that is refuted
                for other in list(self.known)[before:]:
                    del self.known[other]
                self.known[id(staged)] = found
                found = tuple(
                    counts[wire] == 1 and self.fresh(wire, makers, counts) for wire in staged.outputs
                )
        return self.known[id(staged)]


def allocates(choice: type[Op] | OpValue | None) -> bool:
    """Tell whether an op makes new memory that it does not keep; one that is not there hands on what it is given."""
    op = choice.target if isinstance(choice, OpValue) else choice
    if op is None or isinstance(op, BlockDecl):
        return op is None
    return op.computes and not op.aliases and not op.saves_output


def _makers(items: list[Item]) -> Iterator[tuple[Wire, Item]]:
    for item in items:
        if not isinstance(item, (Container, Side)):
            yield from ((wire, item) for wire in item.makes())
        for inner in item.inner():
            yield from _makers(inner)


# ---------------------------------------------------------------- names that are read


def names_read(item: Item, lower: Lower) -> set[str]:
    """Return the names of numbers that an item needs: most ops without weights are made without channels."""
    values = item.terms()
    found: set[str] = set()
    if isinstance(item, Layer) and item.given is None and not item.op.weights(*item.before):
        lowered = lower(item, False)
        found |= expr_names(lowered.module).keys() | expr_names(lowered.function).keys()
        values = iter(item.op.arguments().values())
    return found.union(*map(mentioned, values))


# ---------------------------------------------------------------- values with other names


def renamed(value: Any, env: Mapping[Any, Any]) -> Any:
    """Return a value whose expressions read other names, or numbers, in the place of some."""
    if isinstance(value, SymInt):
        poly = in_terms_of(value.poly, env)
        return poly.constant if poly.constant is not None else SymInt(int(value), poly)
    if isinstance(value, SymFloat):
        return SymFloat(float(value), in_terms_of(value.atom, env))
    if isinstance(value, SymBool):
        return SymBool(value.value, in_terms_of(value.test, env))
    if isinstance(value, (Atom, Poly)):
        return in_terms_of(value, env)
    if isinstance(value, SymDims):
        return SymDims((renamed(n, env) for n in value), in_terms_of(value.whole, env))
    if isinstance(value, Dims):
        return Dims(renamed(n, env) for n in value)
    if isinstance(value, SymText):
        return SymText(value, in_terms_of(value.whole, env))
    if isinstance(value, SymList):
        return SymList(value, in_terms_of(value.whole, env))
    if isinstance(value, SymOp):
        return value.replace(whole=in_terms_of(value.whole, env))
    if isinstance(value, SymRow):
        return value.replace(whole=in_terms_of(value.whole, env))
    if isinstance(value, OpValue):
        args = {k: given._replace(value=renamed(given.value, env)) for k, given in value.args.items()}
        return OpValue(value.target, args)
    if isinstance(value, SymPad):
        return value.replace(whole=in_terms_of(value.whole, env))
    if isinstance(value, Pad) and isinstance(value.size, SymDims):
        return value.replace(size=renamed(value.size, env))
    if isinstance(value, Pad):
        return value.replace(size=tuple(renamed(n, env) for n in value.size))
    if isinstance(value, tuple) and not hasattr(value, "axes"):
        return tuple(renamed(one, env) for one in value)
    return value


def renamed_expr(expr: Expr, env: Mapping[str, Any]) -> Expr:
    """Return an expression of code whose constants read other names."""

    def change(e: Expr) -> Expr | None:
        if isinstance(e, Const) and mentioned(e.value):
            return Const(renamed(e.value, env))
        if isinstance(e, Call) and isinstance(e.func, Const) and mentioned(e.func.value):
            parts = tuple(a.replace(value=transform(a.value, change)) for a in e.args)
            return e.replace(func=Const(renamed(e.func.value, env)), args=parts)
        return None

    return transform(expr, change)


def expr_names(expr: Expr | None) -> dict[str, None]:
    """Return the names that the constants of an expression read."""
    found: dict[str, None] = {}

    def note(e: Expr) -> None:
        if isinstance(e, Const):
            found.update(mentioned(e.value))
        elif isinstance(e, Call) and isinstance(e.func, Const):
            found.update(mentioned(e.func.value))

    if expr is not None:
        transform(expr, note)
    return found

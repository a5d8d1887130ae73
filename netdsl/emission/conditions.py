"""Conditions that are not the same for all arguments: both sides are walked, and what follows reads either."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from itertools import combinations, islice, product
from typing import Any

from netdsl.diagnostics import Diagnostic, NetError
from netdsl.elaborate.draft import DraftScope, Made, Place
from netdsl.elaborate.inits import joined
from netdsl.elaborate.values import (
    MISSING,
    POISON,
    Arguments,
    Data,
    Env,
    Given,
    Poisoned,
    SpecError,
    Wire,
    show,
    unknown,
)
from netdsl.elaborate.walk import read_names, short
from netdsl.emission.concolic import Fixed, Late, LateData, Past, SymStr, Undecided, free, opened
from netdsl.emission.function import renamed
from netdsl.emission.inits import expressions
from netdsl.emission.items import Check, Child, Container, If, Item, Let, Module, Phi, Side, walk
from netdsl.emission.lists import Lists
from netdsl.emission.state import Snapshot
from netdsl.emission.streams import Streams
from netdsl.emission.terms import with_hint
from netdsl.ir.types import Shape
from netdsl.ops import Op
from netdsl.source import Span
from netdsl.symbolic import (
    COMPARISONS,
    Atom,
    Poly,
    SymBool,
    SymFloat,
    SymInt,
    SymList,
    assuming,
    conjuncts,
    evaluate,
    in_terms_of,
    known,
    named,
    names,
    negated,
    select,
    term,
    text,
)
from netdsl.syntax import tree

_WHOLE, _RATES = (1, 2, 3, 4, 5, 8, 16, 64, 0, -1), (0.5, 0.25, 1.0, 2.0, 0.0, -1.0)
"""Arguments that are tried to come to a side of a condition."""

_TRIES = 1000
"""How many of them are tried."""

_LONG = 400
"""How long an expression of a size may be."""


class Conditions(Lists):
    """Runs what stands under a condition."""

    # ---------------------------------------------------------------- both sides

    def branch_on(
        self,
        test: SymBool,
        then: Callable[[], None],
        otherwise: Callable[[], None],
        place: Place,
        span: Span,
    ) -> None:
        """Run both sides, and go on with what comes from either; only one where a condition around says which."""
        for here, run in ((test.test, then), (negated(test.test), otherwise)):
            if here in self.path and names(here).keys().isdisjoint({*self.assigned, *self.turning}):
                run()
                return
        before = Snapshot(self, place)
        item = If(test.test, [], [], [])
        ends: list[tuple[Place, int, dict[str, Span], bool]] = []
        shared: list[dict[str, Any]] = []
        made: list[dict[str, Made]] = []
        hints: list[dict[str, Any]] = []
        meanings: list[dict[str, Any]] = []
        item.stage, self.pending = self.pending, ""
        hinted, meaning = self.hints, self.meaning
        for side, run, holds in ((item.then, then, True), (item.otherwise, otherwise, False)):
            before.begin_side(place)
            self.hints, self.meaning = dict(hinted), dict(meaning)
            condition = test.test if holds else negated(test.test)
            state, errors = Snapshot(self, place), len(self.errors)
            path = list(self.path)
            self.path.append(condition)
            self.dead += test.value != holds
            self.sided += 1
            failed, awaited = False, self.emitter.awaited
            try:
                with self.into(side), self.supposed(condition, test.value != holds, place):
                    run()
                if place.flow is not None and place.flow.poisoned:
                    raise Poisoned
            except (SpecError, Poisoned, NetError) as error:
                if isinstance(error, SpecError):
                    self.check_mixed(error.diagnostic)
                if test.value == holds and self.emitter.awaited == awaited:
                    raise
                failed = True
            if len(self.errors) > errors and test.value != holds:
                failed = True
            if self.emitter.awaited > awaited:  # the class calls itself here, and is walked again
                failed = True
                state.restore(self, place)
                side.clear()
            elif failed:  # no instance comes here, and with this one's sizes it cannot be built
                state.restore(self, place)
                self.staged.unmade.append(tuple(map(self.expanded, (*path, condition))))
                side[:] = [
                    Check(negated(condition), f"{self.staged.name} was not made for {text(condition)}")
                ]
            self.path = path
            self.dead -= test.value != holds
            self.sided -= 1
            ends.append((_copy(place), place.scope.position, dict(place.scope.taken), failed))
            shared.append(dict(place.scope.shared))
            made.append(dict(place.scope.made))
            hints.append(self.hints)
            meanings.append(self.meaning)
        self.hints = {**hints[test.value], **hints[not test.value]}
        self.meaning = {**meanings[test.value], **meanings[not test.value]}
        if not (ends[0][3] or ends[1][3]):
            self.meaning.update(self.either_meaning(test, meanings, hints))
        place.scope.taken = {**ends[0][2], **ends[1][2]}
        place.scope.made = {**made[0], **made[1]}
        place.scope.shared = {**shared[0], **shared[1]}
        for name in place.scope.shared:
            if any(name in one and one[name] != place.scope.shared[name] for one in shared):
                place.scope.shared[name] = Late(test, *(one.get(name) for one in shared))
        place.scope.position = max(ends[0][1], ends[1][1])
        if any(isinstance(one, Module) for one in walk([item])):
            self.not_handed_on(test.test)
        self.merge(test, item, before, ends[0], ends[1], meanings, place, span)

    @staticmethod
    def either_meaning(
        test: SymBool, meanings: Sequence[Mapping[str, Any]], hints: Sequence[Mapping[str, Any]]
    ) -> Iterator[tuple[str, Any]]:
        """Yield the numbers that either side binds anew, with what they are after it, if they are read as `Late`."""
        for name in meanings[0].keys() & meanings[1].keys():
            sides = [meaning[name] for meaning in meanings]
            if sides[0] != sides[1] and all(isinstance(side, Poly) for side in sides):
                numbers = (known(hint[name], side) for hint, side in zip(hints, sides, strict=True))
                yield name, term(select(test, *numbers))

    @contextmanager
    def supposed(self, condition: Atom, dead: bool, place: Place) -> Iterator[None]:
        """Walk a side with a turn, or arguments, that come there, where what stands for all does not."""
        env = place.env.names
        tried = dict(self.coming(condition, place)) if dead else {}
        if tried:
            tried.update(self.computed(tried, place))
        before = {own: (env.get(own, MISSING), self.hints[own]) for own in tried}
        made = {own: self.supposing(place.env.find_name(own), value, own) for own, value in tried.items()}
        env.update(made)
        try:
            yield
        finally:
            for own, (value, self.hints[own]) in before.items():
                if place.env.names.get(own) is not made[own]:
                    continue  # it has another value from here on
                place.env.names[own] = value
                if value is MISSING:  # it is bound around this container
                    del place.env.names[own]

    def supposing(self, known: Any, value: Any, name: str) -> Any:
        """Return another number, or list, under a name."""
        if not isinstance(value, tuple):
            return self.hinted(value, name)
        self.hints[name] = value
        return opened(value, Atom("name", (name,)), known.others)

    def computed(self, tried: Mapping[str, Any], place: Place) -> Iterator[tuple[str, Any]]:
        """Yield the local variables that other values of some names change, with what they are then."""
        for own, meaning in self.meaning.items():
            value = place.env.find_name(own)
            if (
                own in tried
                or set(tried).isdisjoint(names(meaning))
                or not isinstance(value, (int, float, SymBool))
            ):
                continue
            if term(value) == term(named(self.hints[own], own)):
                with suppress(ArithmeticError, LookupError, TypeError, ValueError):
                    yield own, evaluate(meaning, {**self.hints, **tried})

    def coming(self, condition: Atom, place: Place) -> Mapping[str, Any]:
        """Return values of as few of a condition's names as may be, for which it holds; none are found: nothing.

        With the conditions around it, if there are such values; else of their names too.
        """
        found: Mapping[str, Any] | None = None
        around = (name for test in self.path for name in names(test))
        for asked in (names(condition), dict.fromkeys((*names(condition), *around))):
            pools = dict(self.pools(asked, place))
            some = (chosen for count in range(1, len(pools) + 1) for chosen in combinations(pools, count))
            tried = (
                dict(zip(chosen, values, strict=True))
                for chosen in some
                for values in product(*map(pools.__getitem__, chosen))
            )
            for values in islice(tried, _TRIES):
                if self.holds(condition, values):
                    found = values if found is None else found
                    if all(self.holds(test, values) is not False for test in self.path):
                        return values
        return found or {}

    def pools(self, asked: Iterable[str], place: Place) -> Iterator[tuple[str, Iterable[Any]]]:
        """Yield names, and the values that each may have."""
        for own in asked:
            value = place.env.find_name(own)
            hint = self.hints.get(own)
            if isinstance(value, (SymInt, SymFloat, SymBool)) and term(value) == term(named(hint, own)):
                least = self.begins.get(own)
                whole = [n for n in _WHOLE if least is None or n >= least]
                kinds: Sequence[float] = whole if isinstance(value, SymInt) else _RATES
                yield own, self.ranges.get(own) or ([not hint] if isinstance(value, SymBool) else kinds)
            elif isinstance(value, SymList) and value.whole == Atom("name", (own,)):
                yield own, value.others

    def holds(self, test: Atom, values: Mapping[str, Any]) -> Any:
        """Return what a condition is with other values; None where that cannot be told."""
        try:
            return evaluate(test, {**self.hints, **values})
        except (ArithmeticError, LookupError, TypeError, ValueError):
            return None

    def merge(
        self,
        test: SymBool,
        item: If,
        before: Snapshot,
        a: Any,
        b: Any,
        meanings: Sequence[Mapping[str, Any]],
        place: Place,
        span: Span,
    ) -> None:
        """Put the item down, and make what follows read either side's values."""
        if a[3] and b[3]:
            raise Poisoned
        if a[3] or b[3]:
            good = b[0] if a[3] else a[0]
            _settle(place, good)
            if item.then or item.otherwise:
                # the values of the side that can be built go on as they are
                self.pass_on(item, good)
            return
        one, two = a[0], b[0]
        if one.returned != two.returned:
            raise Fixed("a return under a condition", test)
        place.returned, place.stage = one.returned, one.stage
        place.defaults = self.either_default(test, one.defaults, two.defaults)
        if expressions(joined(one.inits)) != expressions(joined(two.inits)):
            raise Fixed("an `init` line under a condition", test)
        place.inits = one.inits
        if (one.flow is None) != (two.flow is None):
            raise Fixed("a flow under a condition", test)
        flow = one.flow
        if one.flow is not None and two.flow is not None:
            same = one.flow is two.flow or alike(one.flow, two.flow)
            choose = self.either if same else self.late_flow
            flow = choose(test, one.flow, two.flow, item, place, span)
        bound = before.env["names"].held
        tensors = dict(before.env["tensors"].held)
        around = place.env.parent or Env()
        for name in {**one.env.tensors, **two.env.tensors}:
            x, y = (side.env.tensors.get(name) or around.find_tensor(name) for side in (one, two))
            if name == "flow" or x == y or any(side is not None and side.poisoned for side in (x, y)):
                if x is not None and x == y:
                    tensors[name] = x
                continue
            if x is not None and y is not None and alike(x, y):
                tensors[name] = self.either(test, x, y, item, place, span)
            elif name not in self.templates:
                tensors[name] = self.late(test, x, y, item, place, span)
        values = dict(bound)
        for name in {**one.env.names, **two.env.names}:
            outer = around.find_name(name)
            x, y = (side.env.names.get(name, outer) for side in (one, two))
            hides = outer is not MISSING and around is not self.staged.decl.file.env
            own = self.local(name) if hides else name  # the variable of a name around keeps its value
            values[name] = x if x is y else self.chosen_value(test, own, x, y, item, meanings)
        place.env.names, place.env.tensors, place.flow = values, tensors, flow
        if flow is not None:
            place.env.tensors["flow"] = flow
        if item.then or item.otherwise or item.phis:
            item.turn = self.unrolling
            self.items.append(item)

    @staticmethod
    def either_default(
        test: SymBool, one: Mapping[str, Arguments], two: Mapping[str, Arguments]
    ) -> Mapping[str, Arguments]:
        """Return what `default` lines say after a condition."""
        if one is two or one == two:
            return one
        found: dict[str, dict[str, Given]] = {}
        for op in {**one, **two}:
            sides = one.get(op, {}), two.get(op, {})
            found[op] = {}
            for name, given in {**sides[0], **sides[1]}.items():
                values = [side[name].value if name in side else MISSING for side in sides]
                same = all(name in side and side[name] == given for side in sides)
                found[op][name] = given if same else given._replace(value=Late(test, *values))
        return found

    def pass_on(self, item: If, good: Place) -> None:
        """Let the values of the only side that can be built go on."""
        for data in [good.flow, *good.env.tensors.values()]:
            for wire in data.wires if data is not None else ():
                if all(wire != phi.wire for phi in item.phis):
                    item.phis.append(Phi(wire, wire, wire))
        item.turn = self.unrolling
        self.items.append(item)

    def chosen_value(
        self, test: SymBool, name: str, x: Any, y: Any, item: If, meanings: Sequence[Mapping[str, Any]]
    ) -> Any:
        """Return a name's value after a condition, bound on both sides, which may use one variable."""
        if isinstance(x, (int, float, SymBool)) and isinstance(y, (int, float, SymBool)):
            one, two = (renamed(value, meaning) for value, meaning in zip((x, y), meanings, strict=True))
            if term(x) == term(y) and term(one) == term(two):
                return x
            name = self.local(name, own=True) if self.is_parameter(name) else name
            if name in names(select(test, one, two)):  # what turns hand on is bound anew at their end
                name = self.local(name)
            for side, value in ((item.then, x), (item.otherwise, y)):
                if term(value) != term(named(value, name)):
                    side.append(Let(name, value))
            self.meaning[name] = self.expanded(term(select(test, one, two)))
            return self.hinted(x if test.value else y, name)
        if x is not MISSING and y is not MISSING and show(x) == show(y) and not free(x) and not free(y):
            return x
        return Late(test, x, y)

    def late(self, test: SymBool, a: Data | None, b: Data | None, item: If, place: Place, span: Span) -> Data:
        """Return a value of which each side of a condition has another one, or only one side has any."""
        for one, other, here in ((a, b, test), (b, a, SymBool(not test.value, negated(test.test)))):
            some, data = sometimes(other)
            if one is not None and data is not None and alike(one, data):
                found = self.either(test, *((one, data) if one is a else (data, one)), item, place, span)
                for phi in item.phis:
                    phi.sometimes |= phi.wire in found.wires
                there = SymBool(bool(here) or bool(some), Atom("or", (here.test, some.test)))
                return LateData(found.wires, (), late=Late(there, found, MISSING))
        wires: list[Wire] = []
        for side, data in ((item.then, a), (item.otherwise, b)):
            made = {wire for one in side for wire in one.makes()}
            for wire in data.wires if data is not None else ():
                whole = self.unread[wire].whole if wire in self.unread else wire
                if whole in made and all(whole != phi.wire for phi in item.phis):
                    item.phis.append(Phi(whole, whole, whole))
                    item.phis[-1].sometimes = True
                wires.append(wire)
        sides = (MISSING if data is None else data for data in (a, b))
        return LateData(tuple(wires), (), late=Late(test, *sides))

    def late_flow(self, test: SymBool, a: Data, b: Data, item: If, place: Place, span: Span) -> Data:
        """Return what flows on, of which each side of a condition has another kind: in `forward` one variable."""
        if not (type(a) is type(b) is Data) or len(a.wires) != 1 or len(b.wires) != 1:
            return self.late(test, a, b, item, place, span)
        wires = self.wire(a.shapes, place, span, a.wires).wires
        item.phis.append(Phi(wires[0], a.wires[0], b.wires[0]))
        return LateData(wires, (), late=Late(test, *(side.replace(wires=wires) for side in (a, b))))

    def either(self, test: SymBool, a: Data, b: Data, item: If, place: Place, span: Span) -> Data:
        """Return values that come from either side."""
        if a.poisoned or b.poisoned:
            return POISON
        if len(a.wires) != len(b.wires):
            raise Fixed("tuples of different lengths", test)
        wires, shapes = [], []
        for x, y, left, right in zip(a.wires, b.wires, a.shapes, b.shapes, strict=True):
            if x == y:
                wires.append(x)
                shapes.append(left)
                continue
            known = next((phi for phi in item.phis if (phi.then, phi.otherwise) == (x, y)), None)
            demands = tuple(
                tuple(i.test for i in side if isinstance(i, Check)) for side in (item.then, item.otherwise)
            )
            if known is None:
                left, right = self.told(left, right, item.then, item.otherwise)
                right, left = self.told(right, left, item.otherwise, item.then)
            shape = self.either_shape(test, left, right, demands)
            if known is None:
                data = self.wire((shape,), place, span, (x,))
                known = Phi(data.wires[0], x, y)
                item.phis.append(known)
            wires.append(known.wire)
            shapes.append(shape)
        return self.like(Data(tuple(wires), tuple(shapes)), a, b)

    @staticmethod
    def told(here: Shape, there: Shape, side: list[Item], other: list[Item]) -> tuple[Shape, Shape]:
        """Return shapes of two sides; channels that a class says on one side are bound on the other, too."""
        name = here.c.poly.atom if "c" in here.axes and isinstance(here.c, SymInt) else None
        if name is None or term(here.c) == term(there.c):
            return here, there
        inner = [
            i for item in side for i in ([item] if not isinstance(item, Container) else walk(item.items))
        ]
        if not any(isinstance(i, Child) and name.args[0] in i.asked for i in inner):
            return here, there
        other.append(Let(name.args[0], there.c))
        return here, there.with_size("c", with_hint(here.c, int(there.c)))

    def either_shape(
        self, test: SymBool, a: Shape, b: Shape, demands: tuple[tuple[Atom, ...], ...] = ((), ())
    ) -> Shape:
        """Return the shape of what comes from either side, where what they demand holds."""
        if a.axes != b.axes:
            raise Fixed("values of different kinds", test)
        here = a if test.value else b
        sizes: list[int] = []
        for axis, x, y, hint in zip(a.axes, a, b, here, strict=True):
            if term(x) == term(y):
                sizes.append(with_hint(x, hint))
            elif self.equal(x, y, (negated(test.test), *demands[1])):
                sizes.append(with_hint(x, hint))
            elif self.equal(x, y, (test.test, *demands[0])):
                sizes.append(with_hint(y, hint))
            elif axis == "c" or len(text(x)) + len(text(y)) < _LONG:
                sizes.append(with_hint(select(test, x, y), hint))
            else:
                sizes.append(self.unknown_size(hint))
        return Shape(*sizes, axes=a.axes)

    # ---------------------------------------------------------------- values that are one of two things

    def settled(self, value: Any) -> Any:
        """Return what a value is here, if it is one of two things; raise Undecided where it may be either."""
        if isinstance(value, Past):
            raise Fixed("a name is what the last turn of a loop made it")
        late = value.late if isinstance(value, LateData) else value
        if not isinstance(late, Late):
            return value
        for here, side in ((late.test.test, late.then), (negated(late.test.test), late.otherwise)):
            if here in self.supposed_here or self.sure(here):
                return self.settled(side)
        raise Undecided(late.test)

    def settled_value(self, name: str, value: Any) -> Any:
        """Return what a name is here, as `settled` does; one that no earlier turn binds may be MISSING."""
        try:
            found = self.settled(value)
        except (Fixed, Undecided):
            self.unsettled(name, value)
            raise
        if found is MISSING:
            self.unsettled(name, value)
        return found

    def unsettled(self, name: str, value: Any) -> None:
        """Take note of a name that is read where it is one of two things, or nothing."""

    def as_settled(self, shape: Shape) -> Shape:
        """Return a shape with the channels that it has under the conditions that hold here."""
        c = shape.c if "c" in shape.axes else None
        if not isinstance(c, SymInt):
            return shape
        found = c.poly
        for test in (part for one in self.path for part in conjuncts(one)):
            found = assuming(found, test, True)
        return shape if found == c.poly else shape.with_size("c", known(int(c), found))

    def record(self, diagnostic: Diagnostic, place: Place) -> None:
        """Keep an error."""
        self.check_mixed(diagnostic)
        super().record(diagnostic, place)

    def check_mixed(self, diagnostic: Diagnostic) -> None:
        """Let each turn be written where no float may be, if what is a float in one of them is an int in another."""
        if diagnostic.code == "E203" and self.evaluator.mixed:
            raise Fixed("an int that is a float elsewhere in a list", *self.evaluator.mixed)

    def lacking(self, what: str, name: str, span: Span) -> Exception:
        """Return the error for a name that only the other side of a condition binds, or another turn."""
        return Fixed(f"{name} is of another turn") if self.loops else unknown("E200", what, name, [], span)

    def child(self, place: Place, label: tree.Label | str | None, span: Span, op: Op | None = None) -> str:
        """Return the name of a new child, which may be that of one that is there where a condition is otherwise."""
        if self.is_running(place.scope):
            return super().child(place, label, span, op)
        name = self.evaluator.text(label, place.env, place.source) if isinstance(label, tree.Tree) else label
        others = self.under.get((id(place.scope), name or ""), ())
        if name in place.scope.taken and others:
            if not any(all(map(self.sure, path)) for path in others):
                del place.scope.taken[name]
        found = super().child(place, label, span, op)
        here = id(place.scope), found
        self.under[here] = (*(self.under.get(here, ())), tuple(self.path))
        return found

    def sure(self, test: Atom) -> bool:
        """Tell whether a condition holds by those around it."""
        whole = self.expanded(test)
        changing = {name for name in names(whole) if self.turning.count(name) > 1}
        if changing or not self.assigned.isdisjoint(names(whole)):
            return False
        known = {part for one in self.path for part in conjuncts(self.expanded(one))}
        return self.follows(whole, known)

    def follows(self, test: Atom, known: Collection[Atom]) -> bool:
        """Tell whether a condition holds where others do: `n > 1` where `n == 2`, or `n > 3`."""
        if test in known:
            return True
        if test.op in ("and", "or"):
            sides = (self.follows(side, known) for side in test.args)
            return all(sides) if test.op == "and" else any(sides)
        if test.op not in COMPARISONS:
            return False
        for left, right in (pair for one in known for pair in self.equalities(one)):
            for name, other in ((left.atom, right), (right.atom, left)):
                if name is not None and name.op == "name":
                    found = in_terms_of(test, {name.args[0]: other})
                    if not names(found) and evaluate(found, {}) is True:
                        return True
        left, right = test.args
        if not isinstance(left, Poly) or not isinstance(right, Poly):
            return False
        if test.op == ">" and Atom("!=", test.args) in known and left.atom is not None:
            if left.atom.op == "name" and self.least.get(left.atom) == right.constant:
                return True
        more, less = left.plus(right, -1), right.plus(left, -1)
        ways = {">": [(more, 1)], ">=": [(more, 0)], "<": [(less, 1)], "<=": [(less, 0)]}
        ways["!="] = [(more, 1), (less, 1)]
        return any(self.assured(*way) for way in ways.get(test.op, ()))

    def ref(self, ref: tree.Ref, place: Place) -> Data:
        """Return one value by its name; of two, the one that it is here."""
        name = self.evaluator.text(ref.name, place.env, place.source)
        value = place.env.find_tensor(name)
        if not isinstance(value, LateData):
            data = super().ref(ref, place)
            return data.replace(shapes=tuple(map(self.as_settled, data.shapes))) if self.path else data
        outer, here = place.env, self.settled_value(name, value)
        if here is MISSING:
            raise self.lacking("value", name, place.span(ref))
        place.env = Env(outer)
        place.env.tensors[name] = here
        try:
            return super().ref(ref, place)
        finally:
            place.env = outer

    def decided(self, run: Callable[[], None], place: Place, span: Span) -> None:
        """Run something; where it depends on a value that is one of two things, run it for either.

        Only in a class that is known to have such values: everything has to be taken back for that.
        """
        if self.staged.decl not in self.emitter.divided:
            run()
            return
        before = Snapshot(self, place)
        try:
            run()
        except Undecided as undecided:
            before.restore(self, place)
            test = undecided.test

            def side(condition: Atom) -> None:
                self.supposed_here.append(condition)
                try:
                    self.decided(run, place, span)
                finally:
                    self.supposed_here.pop()

            self.branch_on(test, partial(side, test.test), partial(side, negated(test.test)), place, span)

    def either_way(self, run: Callable[[Data], Data], data: Data, place: Place, node: tree.Tree) -> Data:
        """Return what becomes of a value, for either of two things that decide it."""
        return self.flowing(lambda then: self.decided(then, place, place.span(node)), run, data, place)

    def statement(self, node: tree.Statement, place: Place) -> None:
        """Run one statement, with what flows here."""
        run = super().statement

        def with_flow() -> None:
            if isinstance(place.flow, LateData) and not isinstance(node, (tree.Assign, tree.Default)):
                place.flow = place.env.tensors["flow"] = self.settled(place.flow)
            run(node, place)

        self.decided(with_flow, place, place.span(node))

    def need(self, data: Data | None, node: tree.Tree, place: Place) -> Data:
        """Return a flow that must be there."""
        of_one_kind(data)
        return super().need(data, node, place)

    @staticmethod
    def single(data: Data | None, span: Span) -> Data:
        """Return a branch's one value."""
        of_one_kind(data)
        return Lists.single(data, span)

    def close(self, scope: DraftScope, result: Data | None) -> None:
        """End a container."""
        of_one_kind(result)
        super().close(scope, result)

    # ---------------------------------------------------------------- lines

    def check_start(self, node: tree.Line | tree.Branch, condition: tree.Expr, place: Place) -> None:
        """Refuse nothing: the instance has been found right, and what flows may be one of two values here."""

    def conditional(self, condition: tree.Expr | None, run: Callable[[], None], place: Place) -> None:
        """Run something under a condition; where it is false, nothing happens."""
        holds: Any = True
        if condition is not None:
            holds = self.evaluator.truth(condition, place.env, place.source)
        if isinstance(holds, SymBool):
            span = place.span(condition) if condition is not None else place.scope.span
            self.branch_on(holds, run, lambda: None, place, span)
        elif holds:
            run()

    def init(self, node: tree.InitLine, place: Place) -> None:
        """`init conv weight=...`: the loop over all layers of a net has no conditions."""
        if place.in_net and self.conditions:
            raise Fixed("an `init` line under a condition", *self.conditions)
        super().init(node, place)

    def output(self, node: tree.Output, place: Place) -> None:
        """`train output aux: chain`."""
        begin = len(self.items)
        super().output(node, place)
        for item in self.items[begin:]:
            item.early = node.train and node.chain.source is not None

    def name_results(self, results: tuple[tree.Result, ...], place: Place) -> None:
        """Note the names of results, which are the class's."""
        if self.conditions:
            raise Fixed("a return under a condition", *self.conditions)
        super().name_results(results, place)

    def demand(self, claim: tree.Expr, place: Place) -> None:
        """Demand a condition of the class's arguments. Only plain characters reach its message."""
        holds: Any = self.evaluator.truth(claim, place.env, place.source)
        if not isinstance(holds, SymBool):
            super().demand(claim, place)
            return
        said = " ".join(place.span(claim).text.split())
        if not said.isascii() or not said.isprintable() or not {*"{}\\'"}.isdisjoint(said):
            said = f"what {self.staged.decl.name} requires of its arguments"
        own = {param.name for param in self.staged.params}
        params = [name for name in read_names(claim) if name in own]
        given = f", not {{{params[0]}}}" if len(params) == 1 else ""
        self.checked(holds.test, f"{said} is required{given}")

    def put_output(self, node: tree.Output, place: Place) -> None:
        """Put what an output needs into an item of its own."""
        if isinstance(self.evaluator.text(node.label, place.env, place.source), SymStr):
            raise Fixed("an output of every turn")
        if place.container and self.conditions:
            raise Fixed("an output of a container under a condition", *self.conditions)
        if place.container and node.train:
            what = f"a training-only output inside {place.scope.path} cannot be written as a module"
            raise NetError([Diagnostic("E508", what, place.span(node), help=outside(node, place))])
        if isinstance(node.label, tree.Name) and node.label.text == self.own:
            super().put_output(node, place)
            return
        items: list[Item] = []
        stage, self.pending = self.pending, ""
        with self.into(items):
            super().put_output(node, place)
        name, wire, train = self.outputs[-1]
        item = Side(name, items, wire, train)
        item.stage = stage
        self.items.append(item)
        self.sides.append(item)

    def cases(self, node: tree.If, run: Callable[[tree.Body], None], place: Place, at: int = 0) -> None:
        """Run the case that holds, or all that may."""
        if at == len(node.cases):
            run(node.otherwise)
            return
        case = node.cases[at]
        holds = self.evaluator.truth(case.condition, place.env, place.source)
        if isinstance(holds, SymBool):
            self.branch_on(
                holds,
                lambda: run(case.body),
                lambda: self.cases(node, run, place, at + 1),
                place,
                place.span(case.condition),
            )
        elif holds:
            run(case.body)
        else:
            self.cases(node, run, place, at + 1)

    # ---------------------------------------------------------------- steps

    def within(
        self, condition: tree.Expr | None, data: Data, run: Callable[[Data], Data], place: Place
    ) -> Data:
        """Return what becomes of a value that flows, under a condition."""
        return self.flowing(lambda then: self.conditional(condition, then, place), run, data, place)

    def flowing(
        self,
        under: Callable[[Callable[[], None]], None],
        run: Callable[[Data], Data],
        data: Data,
        place: Place,
    ) -> Data:
        """Return what becomes of a value that flows, under a condition."""
        outer, place.flow = place.flow, data

        def then() -> None:
            place.flow = run(data)

        under(then)
        result, place.flow = place.flow, outer
        return self.known(result)

    def branches(self, node: tree.Group, data: Data, place: Place) -> Data:
        """Run the branches of a group."""
        if len(node.branches) > 1 and any(branch.condition is not None for branch in node.branches):
            for branch in node.branches:
                if branch.condition is not None:
                    holds = self.evaluator.truth(branch.condition, place.env, place.source)
                    if isinstance(holds, SymBool):
                        raise Fixed("a branch of a fork under a condition", holds)
        return super().branches(node, data, place)


def outside(node: tree.Output, place: Place) -> str:
    """Return where the line of an output in a container is written in the net's own body."""
    line, body, name = short(place.span(node).text), place.scope.body or (), place.scope.path
    read = {place.span(ref.name).text for ref in node.chain.source}
    if "." not in name and read and read.isdisjoint(place.env.tensors):
        where = f"behind {name}: {line}"
    elif "." not in name and not read and body and body[-1] is node:
        where = f"behind {name}: {line}"
    elif "." not in name and not read and body and body[0] is node:
        where = f"in front of {name}: {line}"
    else:
        name = name.partition(".")[0]
        where = f"behind {name}, which ends where this line stands; what follows it has a label of its own"
    return f"write it in the net's own body, {where}"


def of_one_kind(data: Data | None) -> None:
    """Demand that what flows is of one kind, where what reads it, or returns it, is not written for either."""
    if isinstance(data, LateData):
        raise Fixed("values of different kinds", data.late.test)


def sometimes(value: Data | None) -> tuple[SymBool, Data | None]:
    """Return where a value is there, if that is not everywhere and there is no other, and what it is."""
    late = value.late if isinstance(value, LateData) else LateData((), ()).late
    if late.then is MISSING:
        late = Late(SymBool(not late.test.value, negated(late.test.test)), late.otherwise, late.then)
    return late.test, late.then if late.otherwise is MISSING and late.then is not MISSING else None


def alike(a: Data, b: Data) -> bool:
    """Tell whether one value may come from either of two."""
    if isinstance(a, LateData) or isinstance(b, LateData):
        return False
    if isinstance(a, Streams) and isinstance(b, Streams):
        return term(a.elements.channels) == term(b.elements.channels)
    return type(a) is type(b) and [shape.axes for shape in a.shapes] == [shape.axes for shape in b.shapes]


def _copy(place: Place) -> Place:
    """Return what a side left."""
    copy = Place(Env(), place.flow, place.scope, place.source, place.defaults, place.in_net)
    copy.env.names, copy.env.tensors = dict(place.env.names), dict(place.env.tensors)
    copy.broken, copy.inits, copy.returned, copy.stage = (
        place.broken,
        place.inits,
        place.returned,
        place.stage,
    )
    return copy


def _settle(place: Place, other: Place) -> None:
    place.env.names, place.env.tensors = dict(other.env.names), dict(other.env.tensors)
    place.flow, place.defaults, place.inits = other.flow, other.defaults, other.inits
    place.returned, place.stage = other.returned, other.stage

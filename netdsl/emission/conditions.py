"""Conditions that are not the same for all arguments: both sides are walked, and what follows reads either."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import combinations, islice, product
from typing import Any

from netdsl.diagnostics import NetError
from netdsl.elaborate.draft import Place
from netdsl.elaborate.values import MISSING, POISON, Arguments, Data, Env, Given, Poisoned, SpecError, show
from netdsl.emission.concolic import Fixed, Late, Past, SymStr, Undecided, free
from netdsl.emission.function import renamed
from netdsl.emission.items import Check, Child, Container, If, Item, Let, Phi, Side, walk
from netdsl.emission.lists import Lists
from netdsl.emission.state import Snapshot
from netdsl.emission.terms import with_hint
from netdsl.ir.types import Shape
from netdsl.source import Span
from netdsl.symbolic import (
    Atom,
    SymBool,
    SymFloat,
    SymInt,
    evaluate,
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
        for known, run in ((test.test, then), (negated(test.test), otherwise)):
            if known in self.path and names(known).keys().isdisjoint({*self.assigned, *self.turning}):
                run()
                return
        before = Snapshot(self, place)
        item = If(test.test, [], [], [])
        ends: list[tuple[Place, int, dict[str, Span], bool]] = []
        shared: list[dict[str, Any]] = []
        hints: list[dict[str, Any]] = []
        meanings: list[dict[str, Any]] = []
        item.stage, self.pending = self.pending, ""
        for side, run, holds in ((item.then, then, True), (item.otherwise, otherwise, False)):
            before.begin_side(place)
            condition = test.test if holds else negated(test.test)
            state, errors = Snapshot(self, place), len(self.errors)
            path = list(self.path)
            self.path.append(condition)
            self.dead += test.value != holds
            self.sided += 1
            failed = False
            try:
                with self.into(side), self.supposed(condition, test.value != holds, place):
                    run()
                if place.flow is not None and place.flow.poisoned:
                    raise Poisoned
            except (SpecError, Poisoned, NetError):
                if test.value == holds:
                    raise
                failed = True
            if len(self.errors) > errors and test.value != holds:
                failed = True
            if failed:  # no instance comes here, and with this one's sizes it cannot be built
                state.restore(self, place)
                self.staged.unmade.append(self.expanded(condition))
                side[:] = [
                    Check(negated(condition), f"{self.staged.name} was not made for {text(condition)}")
                ]
            self.path = path
            self.dead -= test.value != holds
            self.sided -= 1
            ends.append((_copy(place), place.scope.position, dict(place.scope.taken), failed))
            shared.append(dict(place.scope.shared))
            hints.append(dict(self.hints))
            meanings.append(dict(self.meaning))
        self.hints = {**hints[test.value], **hints[not test.value]}
        place.scope.taken = {**ends[0][2], **ends[1][2]}
        place.scope.shared = {**shared[0], **shared[1]}
        for name in place.scope.shared:
            if any(name in one and one[name] != place.scope.shared[name] for one in shared):
                place.scope.shared[name] = Late(test, *(one.get(name) for one in shared))
        place.scope.position = max(ends[0][1], ends[1][1])
        self.merge(test, item, before, ends[0], ends[1], meanings, place, span)

    @contextmanager
    def supposed(self, condition: Atom, dead: bool, place: Place) -> Iterator[None]:
        """Walk a side with a turn, or arguments, that come there, where what stands for all does not."""
        env = place.env.names
        tried = self.coming(condition, place) if dead else {}
        before = {own: (env.get(own, MISSING), self.hints[own]) for own in tried}
        for own, value in tried.items():
            env[own] = self.hinted(value, own)
        try:
            yield
        finally:
            for own, (value, self.hints[own]) in before.items():
                place.env.names[own] = value
                if value is MISSING:  # it is bound around this container
                    del place.env.names[own]

    def coming(self, condition: Atom, place: Place) -> Mapping[str, Any]:
        """Return values of as few of a condition's names as may be, for which it holds; none are found: nothing."""
        pools: dict[str, Iterable[Any]] = {}
        for own in names(condition):
            value = place.env.find_name(own)
            hint = self.hints.get(own)
            if isinstance(value, (SymInt, SymFloat, SymBool)) and term(value) == term(named(hint, own)):
                kinds = _WHOLE if isinstance(value, SymInt) else _RATES
                pools[own] = self.ranges.get(own) or ([not hint] if isinstance(value, SymBool) else kinds)
        some = (chosen for count in range(1, len(pools) + 1) for chosen in combinations(pools, count))
        tried = (
            dict(zip(chosen, values, strict=True))
            for chosen in some
            for values in product(*map(pools.__getitem__, chosen))
        )
        for values in islice(tried, _TRIES):
            try:
                holds = evaluate(condition, {**self.hints, **values})
            except (ArithmeticError, LookupError, TypeError, ValueError):
                continue
            if holds is True:
                return values
        return {}

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
        place.inits = one.inits
        if (one.flow is None) != (two.flow is None):
            raise Fixed("a flow under a condition", test)
        flow = one.flow
        if one.flow is not None and two.flow is not None:
            flow = self.either(test, one.flow, two.flow, item, place, span)
        bound = before.env["names"].held
        tensors = dict(before.env["tensors"].held)
        for name in {**one.env.tensors, **two.env.tensors}:
            x, y = one.env.tensors.get(name), two.env.tensors.get(name)
            if name == "flow" or x == y or x is None or y is None or x.poisoned or y.poisoned:
                if x is not None and x == y:
                    tensors[name] = x
                continue
            if len(x.wires) != len(y.wires):
                continue
            tensors[name] = self.either(test, x, y, item, place, span)
        values = dict(bound)
        for name in {**one.env.names, **two.env.names}:
            x, y = one.env.names.get(name, MISSING), two.env.names.get(name, MISSING)
            if x is MISSING or y is MISSING or x is y:
                if x is y and x is not MISSING:
                    values[name] = x
                elif name in bound or x is MISSING or y is MISSING:
                    values.pop(name, None)
                continue
            values[name] = self.chosen_value(test, name, x, y, item, meanings)
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
            for side, value in ((item.then, x), (item.otherwise, y)):
                if term(value) != term(named(value, name)):
                    side.append(Let(name, value))
            self.meaning[name] = self.expanded(term(select(test, one, two)))
            return self.hinted(x if test.value else y, name)
        if show(x) == show(y) and not free(x) and not free(y):
            return x
        return Late(test, x, y)

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
        if not any(isinstance(i, Child) and name == Atom("name", (i.result,)) for i in inner):
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
        if not isinstance(value, Late):
            return value
        for known, side in ((value.test.test, value.then), (negated(value.test.test), value.otherwise)):
            if known in self.supposed_here:
                return self.settled(side)
        raise Undecided(value.test)

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
        """Run one statement."""
        self.decided(partial(super().statement, node, place), place, place.span(node))

    # ---------------------------------------------------------------- lines

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
        if place.in_net and self.path:
            raise Fixed("an `init` line under a condition", *self.path)
        super().init(node, place)

    def output(self, node: tree.Output, place: Place) -> None:
        """`train output aux: chain`."""
        begin = len(self.items)
        super().output(node, place)
        for item in self.items[begin:]:
            item.early = node.train and node.chain.source is not None

    def name_results(self, results: tuple[tree.Result, ...], place: Place) -> None:
        """Note the names of results, which are the class's."""
        if self.path:
            raise Fixed("a return under a condition", *self.path)
        super().name_results(results, place)

    def put_output(self, node: tree.Output, place: Place) -> None:
        """Put what an output needs into an item of its own."""
        if isinstance(self.evaluator.text(node.label, place.env, place.source), SymStr):
            raise Fixed("an output of every turn")
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

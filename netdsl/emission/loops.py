"""Loops: one turn that stands for all, and what goes from turn to turn; turn by turn where that cannot be said."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from functools import partial
from typing import Any

from netdsl.diagnostics import NetError
from netdsl.elaborate.draft import Place
from netdsl.elaborate.names import readable
from netdsl.elaborate.values import (
    MISSING,
    Choice,
    Data,
    Env,
    Poisoned,
    RowValue,
    SpecError,
    TableValue,
    is_whole,
)
from netdsl.elaborate.walk import Walker
from netdsl.emission.concolic import (
    Demanded,
    Fixed,
    LateData,
    Past,
    SymDims,
    SymStr,
    concrete,
    free,
    mentioned,
)
from netdsl.emission.earlier import Earlier
from netdsl.emission.items import Carried, Child, Let, Loop, Module, walk
from netdsl.emission.numbered import Pattern, Writer
from netdsl.emission.rehearsal import after_loop
from netdsl.emission.state import Snapshot, Turns
from netdsl.emission.streams import Parts, Streams
from netdsl.emission.terms import SIZES, replaced, with_hint, written
from netdsl.ir.types import Dims, Shape
from netdsl.source import Source, Span
from netdsl.symbolic import (
    NUMBER,
    Atom,
    Poly,
    SymBool,
    SymInt,
    SymList,
    Term,
    compare,
    constant,
    each,
    evaluate,
    length,
    named,
    names,
    parted,
    select,
    single,
    symbolic,
    term,
)
from netdsl.symbolic import item as item_of
from netdsl.syntax import tree
from netdsl.syntax.tree import pieces

LOST = object()
"""Stands for what changes its kind in a loop: nobody reads it from then on."""


class Over:
    """What a loop runs over, and its items here; one that stands for them where there are none."""

    def __init__(
        self, atom: Any, items: list[Any], first: Any, others: Sequence[Any] = (), known: bool = False
    ) -> None:
        """All are concrete; `others` are items that it may have for other arguments, `known`: it has none."""
        self.atom, self.items, self.first, self.others, self.known = atom, items, first, others, known


class Loops(Earlier):
    """Runs loops and repetitions."""

    # ---------------------------------------------------------------- lines

    def for_line(self, node: tree.For, place: Place) -> None:
        """`for`: one turn that stands for all, or turn by turn where that cannot be."""
        over = self.iterable(node, place)
        if over is None:
            super().for_line(node, place)
            return
        self.observe_numbers(lambda walker, there: after_loop(walker, node, there), place)
        before = Snapshot(self, place)
        variables = self.variables(node)
        run = partial(self.loop, over, node.names, variables, lambda: self.body(node.body, place), place)
        outermost = self.staged.kind == "net" and not self.loops
        try:
            with self.counting(node, over):
                try:
                    run(place.span(node))
                except Fixed as fixed:
                    if not outermost or isinstance(fixed, Demanded):
                        raise
                    before.restore(self, place)
                    self.observed = self.observe(node, place)
                    run(place.span(node))
                    for count in self.by_count:
                        self.at_least(count, 1, f"{self.staged.name} needs at least 1 turn")
        except Demanded:
            raise
        except Fixed as fixed:
            before.restore(self, place)
            unseen = self.staged.kind == "net" and self.observed is None and not outermost
            if outermost:
                self.observed, self.by_count = None, []  # a loop within is now one of its own
            if unseen or not self.unrolled(node, place, fixed):
                raise
        finally:
            if outermost:
                self.observed, self.by_count = None, []
        if self.hidden and not self.loops:
            self.as_here(lambda walker, there: after_loop(walker, node, there), before, place)

    def variables(self, node: tree.For) -> tuple[str, ...]:
        """Return what the variables of a loop are called, each other than what is bound before it."""
        return tuple(self.local(readable(name.text), own=True) for name in node.names)

    @contextmanager
    def counting(self, node: tree.For, over: Over) -> Iterator[None]:
        """Be in a loop, whose variable is a number that counts its turns, or none does."""
        plain = over.atom.op == "call" and over.atom.args[0] == "range" and len(over.atom.args) == 2
        variable = self.variables(node)[0]
        self.counts.append(variable if plain else "")
        outer = dict(self.ranges)
        if plain and self.staged.kind == "net":
            self.ranges[variable] = range(len(over.items))
            if self.observed and mentioned(over.atom):
                self.unsure.append(over.atom.args[1])
        try:
            yield
        finally:
            self.counts.pop()
            self.ranges = outer

    def unrolled(self, node: tree.For, place: Place, fixed: Fixed) -> bool:
        """Run the turns one by one, if they are known."""
        try:
            self.evaluator.iterate(node.iterable, place.env, place.source)
        except Fixed as inner:
            own = {name.text for name in node.names}
            fixed.names = {n: None for n in (*fixed.names, *inner.names) if n not in own}
            return False
        super().for_line(node, place)
        return True

    def iterable(self, node: tree.For, place: Place) -> Over | None:
        """Return what a loop runs over; None where it is run turn by turn."""
        if self.staged.decl in self.emitter.unrolled or any(isinstance(p, tree.Choice) for p in pieces(node)):
            return None
        if not is_grouped_by_number(node):
            return None
        return self.over_what(node.iterable, place.env, place.source)

    def over_what(self, node: tree.Expr, env: Env, source: Source) -> Over | None:
        """Return an iterable expression, and the first of its items."""
        evaluator = self.evaluator
        if isinstance(node, tree.CallExpr) and isinstance(node.function, tree.Name):
            name = node.function.text
            given = [a for a in node.args if isinstance(a, tree.Expr)]
            if name == "range" and len(given) == len(node.args):
                numbers = [evaluator.eval(a, env, source) for a in given]
                if all(map(is_whole, numbers)) and 1 <= len(numbers) <= 3:
                    items: list[Any] = list(range(*map(int, numbers)))
                    if not items and not free(tuple(numbers)):
                        return None
                    first = max(int(numbers[0]), 0) if len(numbers) > 1 else 0
                    return Over(Atom("call", ("range", *map(term, numbers))), items, first)
            if name == "zip" and len(given) == len(node.args) > 0:
                return self.over_all([self.over_what(one, env, source) for one in given])
            if name == "enumerate" and given:
                inner = self.over_what(given[0], env, source)
                if inner is None:
                    return None
                rest = [a if isinstance(a, tree.Expr) else a.value for a in node.args[1:]]
                start = evaluator.eval(rest[0], env, source) if rest else 0
                args = (inner.atom, term(start)) if rest else (inner.atom,)
                items = list(enumerate(inner.items, int(start)))
                others = [(0, other) for other in inner.others]
                called = Atom("call", ("enumerate", *args))
                return Over(called, items, (int(start), inner.first), others, inner.known)
        value = evaluator.eval(node, env, source)
        atom: Atom | None = getattr(value, "whole", None)
        if isinstance(value, TableValue):
            if not value.rows:
                return None
            atom = atom or self.rows_of(node, value, env, source)
            if atom is None:
                return None
            rows = [RowValue(value.columns, tuple(map(concrete, row))) for row in value.rows]
            more = [RowValue(value.columns, row) for row in getattr(value, "others", ())]
            return Over(atom, rows, rows[0], more)
        if isinstance(value, SymDims) or not isinstance(value, tuple) or isinstance(value, Dims):
            return None
        if not value:
            other = self.emitter.given_elsewhere(self.staged.decl, atom)
            return Over(atom, [], other[0]) if other else None
        known = atom is None
        atom = atom or self.emitter.constant(node, value)
        if atom is None:
            return None
        others = [one for other in getattr(value, "others", ()) for one in other]
        return Over(atom, [concrete(one) for one in value], value[0], others, known)

    def rows_of(self, node: tree.Expr, value: TableValue, env: Env, source: Source) -> Atom | None:
        """Return the expression of a table that is known: of the file, or some rows of such a one."""
        if not isinstance(node, tree.Slice):
            return self.emitter.constant(node, value)
        whole, *ends = (
            one if one is None else self.evaluator.eval(one, env, source)
            for one in (node.value, node.begin, node.stop)
        )
        atom = self.emitter.constant(node.value, whole) if not any(map(symbolic, (whole, *ends))) else None
        bounds = (one if one is None else term(one) for one in (*ends, None))
        return Atom("part", (atom, *bounds)) if atom is not None else None

    @staticmethod
    def over_all(lists: Sequence[Over | None]) -> Over | None:
        """Return what a loop over several lists at once runs over; None where all are known, or one is nothing."""
        found = [one for one in lists if one is not None]
        if len(found) < len(lists) or not any(mentioned(one.atom) for one in found):
            return None
        first = tuple(one.first for one in found)
        others = [
            (*first[:at], other, *first[at + 1 :])
            for at, one in enumerate(found)
            for other in (*one.items, *one.others)
        ]
        items = list(zip(*(one.items for one in found), strict=True))
        called = Atom("call", ("zip", *(one.atom for one in found)))
        return Over(called, items, first, others, all(one.known for one in found))

    def bind_targets(
        self,
        over: Over,
        targets: tuple[tree.Name, ...],
        variables: tuple[str, ...],
        hint: Any,
        env: Env,
        source: Source,
    ) -> None:
        """Give the loop's names the values of one turn, which are not known."""
        if not targets:  # a repetition: the text has no name for its turn
            self.hints[variables[0]] = hint
            return
        found: dict[str, list[Any]] = {target.text: [] for target in targets}
        for one in (hint, *over.items, *over.others):
            try:
                self.evaluator.unpack(targets, one, env, source)
            except SpecError:
                if one is hint:
                    raise
                continue  # of another list, which is not read here
            for target in targets:
                found[target.text].append(env.names[target.text])
        for target, variable in zip(targets, variables, strict=True):
            self.hints[variable] = concrete(found[target.text][0])
            env.names[target.text] = self.evaluator.any_of(found[target.text], Atom("name", (variable,)))
            self.meaning.pop(variable, None)
            self.drawn[variable] = tuple(names(over.atom))

    def comprehended(self, node: tree.Comprehension, env: Env, source: Source) -> SymList | None:
        """Return a list of ints over what is not known; None where it is known."""
        over = self.over_what(node.iterable, env, source) if is_grouped_by_number(node) else None
        if over is None or not mentioned(over.atom) or not over.items:
            return None
        if over.known and self.staged.decl in self.emitter.unrolled:
            return None
        if node.condition is not None:
            raise Fixed("which items a list has is not known", over.atom)
        variables = tuple(name.text for name in node.names)
        variable, count, known = counted_by(over, variables)
        if _is_zip(over.atom):
            self.equally_long(over.atom.args[1:], over)
        hints, meaning = dict(self.hints), dict(self.meaning)
        inner = Env(env)
        self.bind_targets(over, node.names, variables, over.first, inner, source)
        if len(variables) == 1 and over.atom.op == "name":
            self.of_each(variables[0], over.atom)
        outer, self.comprehending = self.comprehending, {*self.comprehending, *variables}
        value = self.evaluator.eval(node.value, inner, source)
        self.comprehending = outer
        if not isinstance(value, int):
            return None
        whole = each(replaced(term(value), known), variable, count)
        self.hints, self.meaning = hints, meaning
        return SymList(self.here(self.expanded(whole)), whole)

    # ---------------------------------------------------------------- one turn that stands for all

    def loop(
        self,
        over: Over,
        targets: tuple[tree.Name, ...],
        variables: tuple[str, ...],
        run: Callable[[], Any],
        place: Place,
        span: Span,
    ) -> None:
        """Run one turn that stands for all: what goes from turn to turn is carried.

        If there is no turn here, and none can be built, the class is made for that.
        """
        errors, taken = len(self.errors), set(place.scope.taken)
        try:
            self.turns_alike(over, targets, variables, run, place, span)
        except (SpecError, Poisoned, NetError) as error:
            if not over.items:
                raise Fixed("a loop whose turns cannot be built here", over.atom) from error
            raise
        if not over.items and len(self.errors) > errors:
            raise Fixed("a loop whose turns cannot be built here", over.atom)
        scope = place.scope
        for name in scope.taken.keys() - taken if not over.items else ():
            if name not in scope.shared:  # here no turn makes it, and what follows may be called so
                del scope.taken[name]

    def turns_alike(
        self,
        over: Over,
        targets: tuple[tree.Name, ...],
        variables: tuple[str, ...],
        run: Callable[[], Any],
        place: Place,
        span: Span,
    ) -> None:
        """Run turns until one stands for all."""
        before = Snapshot(self, place)
        varying: dict[str, Any] = {}
        for _ in range(6):
            before.restore(self, place)
            self.unknown_turns += bool(mentioned(over.atom))
            found = self.turn(over, targets, variables, varying, run, place, span)
            self.unknown_turns -= bool(mentioned(over.atom))
            if found is None and (self.loops or self.as_foreseen(before)):
                return
            varying |= found or {}
        raise Fixed("what goes from turn to turn does not settle", over.atom)

    def as_foreseen(self, before: Snapshot) -> bool:
        """Tell whether the values with numbers that a loop reads had the channels with which it was walked."""
        known: Mapping[Pattern, tuple[Writer, ...]] = before.walk["writers"].held
        written = {
            pattern: self.writers.get(pattern, ())[len(known.get(pattern, ())) :]
            for pattern in self.looked_up
        }
        for pattern, own in written.items():
            if any(writer.channels is None for writer in own):
                self.keep_channels(pattern)
        right = all(own == self.foreseen.get(pattern) for pattern, own in written.items())
        self.foreseen, self.looked_up = {} if right else written, set()
        return right

    def turn(
        self,
        over: Over,
        targets: tuple[tree.Name, ...],
        variables: tuple[str, ...],
        varying: dict[str, Any],
        run: Callable[[], Any],
        place: Place,
        span: Span,
    ) -> dict[str, Any] | None:
        """Run the turn; return what is found to vary besides, or None if all is right.

        `varying` are by name the values that change from turn to turn: "flow", tensors as ":name", and numbers.
        """
        loop = Loop(variables, over.atom, [])
        loop.stage, self.pending = self.pending, ""
        known, start = frozenset(self.hints), targets[0].start if targets else -1
        earlier = self.begin_with(start, place, varying)
        entry_flow, entry_tensors, entry_names = place.flow, dict(place.env.tensors), dict(place.env.names)
        carried: dict[str, tuple[Data, Data, list[tuple[str, Any]]]] = {}
        for key, number in varying.items():
            if key == "flow" or key.startswith(":"):
                if number is LOST:
                    self.lost, place.flow = True, None
                    place.env.tensors.pop("flow", None)
                    continue
                data = entry_flow if key == "flow" else entry_tensors[key[1:]]
                assert data is not None
                inside, lets = self.carry(data, number, place, span)
                carried[key] = (data, inside, lets)
                for name, value in lets:
                    self.put(Let(name, value))
                if key == "flow":
                    place.flow = place.env.tensors["flow"] = inside
                else:
                    place.env.tensors[key[1:]] = inside
                    if key[1:] in earlier:
                        place.scope.named.setdefault(inside.wires[0], key[1:])
            else:
                if self.is_parameter(key):
                    raise Fixed("an argument that changes from turn to turn", Atom("name", (key,)))
                entry_names.setdefault(key, place.env.find_name(key))
                if term(entry_names[key]) != term(named(entry_names[key], key)):
                    self.put(Let(key, entry_names[key]))
                self.meaning.pop(key, None)
                place.env.names[key] = self.hinted(entry_names[key], key)
        hint = over.first
        self.turning += variables
        whole = (
            over.atom.args[1] if over.atom.op == "call" and over.atom.args[0] == "enumerate" else over.atom
        )
        together = whole.args[1:] if _is_zip(whole) else (whole,)
        self.equally_long(together, over)
        self.count_from(variables[0], over)
        self.note_columns(variables, over)
        if len(variables) == len(together) + (whole is not over.atom):
            for variable, one in zip(variables[-len(together) :], together, strict=True):
                self.of_each(variable, one)
        for variable in variables:
            note = [known.get(variable) for known in (self.each_of, self.each_in, self.limits)]
            if self.noted.setdefault(variable, note) != note:
                self.reused.add(variable)
        self.bind_targets(over, targets, variables, hint, place.env, place.source)
        self.loops += 1
        path, meaning = list(self.path), dict(self.meaning)
        some = loop.some = self.some_turns(over)
        for variable in variables:
            self.some_turn.pop(variable, None)
        if some is not None:
            self.path.append(some)
            self.some_turn.update(dict.fromkeys(variables, some))
        handed = {name for _, _, lets in carried.values() for name, _ in lets}
        handed |= {key for key in varying if key != "flow" and not key.startswith(":")}
        entry = {name: self.expanded(term(value)) for _, _, lets in carried.values() for name, value in lets}
        entry |= {name: self.expanded(term(entry_names[name])) for name in handed - entry.keys()}
        if whole is not over.atom and len(variables) == 2 and not _is_zip(whole):
            entry[variables[1]] = replaced(item_of(whole, constant(0)), {})
        turns = Turns(
            *(loop, frozenset(handed), self.items, self.sided, start),
            *(first_of(over), entry, known, frozenset(path)),
        )
        self.rounds.append(turns)
        self.begun[variables[0]] = turns
        bound = {t.text for t in targets}
        start_names = dict(place.env.names)
        with self.into(loop.body):
            run()
        self.loops -= 1
        self.rounds.pop()
        del self.turning[len(self.turning) - len(variables) :]
        self.path = path
        if place.flow is not None and place.flow.poisoned:
            raise Poisoned
        self.seen(turns, earlier, place)
        found = self.varied(
            entry_flow, entry_tensors, entry_names, start_names, bound, varying, carried, place
        )
        if found:
            return found
        self.items.append(loop)
        self.end_turn(loop, over, carried, varying, entry_tensors, entry_names, start_names, place, span)
        joints = {name: data for name, data in entry_tensors.items() if isinstance(data, Parts)}
        for name in joints.keys() - {key[1:] for key in carried}:  # what no turn changes
            place.env.tensors[name] = joints[name]
        self.meaning = {**meaning, **{k: v for k, v in self.meaning.items() if k in meaning}}
        self.as_begun(earlier.keys() - varying.keys(), turns)
        for name in varying:  # after the turns they are what only the constructor knows
            self.meaning.pop(name, None)
        for name in bound:
            place.env.names[name] = Past(place.env.names[name])
        if earlier:
            self.some_turn_makes(earlier, turns)
        return None

    def equally_long(self, lists: Sequence[Atom], over: Over) -> None:
        """Demand that lists through which a loop runs at once are as long as one that is known, or as the first."""
        sizes = [self.size_of(one, over) for one in lists]
        known = next((size.constant for size in sizes if size.constant is not None), None)
        for one, size in zip(lists, sizes, strict=True):
            if size.constant is None and known is not None:
                self.as_long(one, known)
            elif known is None:
                self.as_long_as(sizes[0], size)

    def size_of(self, whole: Atom, over: Over) -> Poly:
        """Return how many values a list has that a loop runs through."""
        constants = self.emitter.constants.keys() & names(whole).keys()
        known = constants or written(self.expanded(whole)) is not None
        return constant(len(over.items)) if known else length(whole)

    def some_turns(self, over: Over) -> Atom | None:
        """Return the condition that a loop has a turn; None where it always has one."""
        called: tuple[Any, ...] = over.atom.args if over.atom.op == "call" else ("",)
        if called[0] == "range":
            begin, stop = called[1:3] if len(called) > 2 else (constant(0), called[1])
            step = called[3].constant if len(called) > 3 else 1
            if step is not None and step < 0:  # down to 0: `n > 0` for `n - 1 > -1`
                down = begin.plus(stop, -1)
                begin = constant(-down.number)
                stop = down.plus(begin)
            if step is None or self.expanded(stop.plus(begin, -1)).constant is not None:
                return None
        else:
            whole = called[1] if called[0] == "enumerate" else over.atom
            begin, stop = constant(0), self.size_of(whole.args[1] if _is_zip(whole) else whole, over)
        low = self.lowest(self.expanded(stop.plus(begin, -1)))
        return Atom(">", (stop, begin)) if low is None or low < 1 else None

    def count_from(self, variable: str, over: Over) -> None:
        """Note where the variable of a loop begins and ends, if it counts, up or down."""
        called: tuple[Any, ...] = over.atom.args if over.atom.op == "call" else ("",)
        begin, stop, limit, step = None, None, None, 1
        if called[0] == "range" and len(called) > 3:
            step = called[3].constant or 0
            if step:
                begin, limit = called[1:3] if step > 0 else [end.plus(constant(1)) for end in called[2:0:-1]]
        elif called[0] == "range":
            begin, stop = (called[1], called[2]) if len(called) == 3 else (constant(0), called[1])
        elif called[0] == "enumerate":
            begin = called[2] if len(called) == 3 else constant(0)
            whole = called[1]
            first = whole.args[1] if _is_zip(whole) else whole
            stop = self.size_of(first, over).plus(begin)
        first_one = begin.constant if begin is not None else None
        least = self.begins.get(variable, first_one)
        self.begins[variable] = min(least, first_one) if least is not None and first_one is not None else None
        for known, end in ((self.stops, stop), (self.limits, stop or limit)):
            known.pop(variable, None)
            if end is not None:
                known[variable] = self.expanded(end)
        self.spans.pop(variable, None)
        if begin is not None and abs(step) == 1:
            self.spans[variable] = self.expanded(begin), self.limits[variable]

    def note_columns(self, variables: tuple[str, ...], over: Over) -> None:
        """Note what is the least in each column of a table of the file."""
        counted = over.atom.op == "call" and over.atom.args[0] == "enumerate"
        whole = parted(over.atom.args[1] if counted else over.atom)
        if whole.op != "name" or whole.args[0] not in self.emitter.constants:
            return
        items = [item[1] for item in over.items] if counted else over.items
        rows = [row.cells for row in items if isinstance(row, RowValue)]
        variables = variables[counted:]
        for variable, *column in zip(variables, *rows, strict=False):
            if all(type(cell) is int for cell in column):
                self.begins[variable] = min(column, default=None)

    def of_each(self, variable: str, whole: Atom) -> None:
        """Note of which list a loop's variable is every item."""
        self.each_of.pop(variable, None)
        self.each_in[variable] = written(self.expanded(whole)) or self.of_file(whole)
        if whole.op == "name" and not self.each_in[variable]:
            self.each_of[variable] = Atom("star", (whole,))

    def of_file(self, whole: Atom) -> tuple[Term, ...]:
        """Return the ints of a list of the file; nothing of another."""
        held = self.emitter.constants.get(whole.args[0]) if whole.op == "name" else None
        ints = isinstance(held, tuple) and all(type(item) is int for item in held)
        return tuple(map(constant, held)) if held is not None and ints else ()

    def carry(self, data: Data, number: Any, place: Place, span: Span) -> tuple[Data, list[tuple[str, Any]]]:
        """Return a value as a turn sees it; where its channels change they are a variable."""
        shapes: list[Shape] = []
        lets: list[tuple[str, Any]] = []
        for port, shape in enumerate(data.shapes):
            changed = number.get(port, ())
            sizes: list[int] = []
            for axis, size in zip(shape.axes, shape, strict=True):
                if axis not in changed:
                    sizes.append(size)
                elif self.carries(axis):
                    what = SIZES[axis]
                    name = self.carrying(what if len(data.shapes) == 1 else f"{what}{port}", axis)
                    lets.append((name, size))
                    self.staged.sized |= {name} if axis != "c" else set()
                    sizes.append(self.hinted(size, name))
                else:
                    sizes.append(self.unknown_size(size))
            shapes.append(Shape(*sizes, axes=shape.axes))
        return self.like(self.wire(tuple(shapes), place, span), data), lets

    def carrying(self, wanted: str, axis: str) -> str:
        """Return what a variable is called that turns change; a size, which `forward` may read, as no loop's."""
        name = self.local(wanted)
        if axis != "c":
            bound = {
                name for item in walk(self.staged.items) if isinstance(item, Loop) for name in item.targets
            }
            while name in bound:
                wanted += "_"
                name = self.local(wanted)
        return name

    def carries(self, axis: str) -> bool:
        """Tell whether a variable of the constructor says the size of what turns change."""
        return axis == "c" or self.staged.decl in self.emitter.sized

    def varied(
        self,
        flow: Data | None,
        tensors: Mapping[str, Data],
        values: Mapping[str, Any],
        start: Mapping[str, Any],
        bound: set[str],
        varying: Mapping[str, Any],
        carried: Mapping[str, tuple[Data, Data, list[tuple[str, Any]]]],
        place: Place,
    ) -> dict[str, Any]:
        """Return what the turn changed that is not yet known to change."""
        found: dict[str, Any] = {}
        for key in ("flow", *(f":{name}" for name in tensors if name != "flow")):
            begin = flow if key == "flow" else tensors[key[1:]]
            end = place.flow if key == "flow" else place.env.tensors.get(key[1:], begin)
            now = carried[key][1] if key in carried else begin
            if end is None or (now and now.wires == end.wires) or varying.get(key) is LOST:
                continue
            if key == "flow" and (now is None or kinds(now) != kinds(end)):
                found[key] = LOST
                continue
            assert now is not None
            if isinstance(now, LateData) or isinstance(end, LateData):
                raise Fixed("a value that is not always there, and changes from turn to turn")
            if end.poisoned or len(end.wires) != len(now.wires):
                raise Fixed("a tuple that changes its length")
            self.like(now, now, end)
            changes: dict[int, tuple[str, ...]] = dict(varying.get(key, {}))
            new = key not in varying
            for port, (a, b) in enumerate(zip(now.shapes, end.shapes, strict=True)):
                if a.axes != b.axes:
                    raise Fixed("a value that changes its kind")
                axes = {x for x, m, n in zip(a.axes, a, b, strict=True) if not self.equal(m, n)}
                axes -= {x for x in axes if x != "c" and x in changes.get(port, ())}
                axes -= {"c"} if "c" in changes.get(port, ()) else set()
                if axes:
                    changes[port] = (*changes.get(port, ()), *sorted(axes))
                    new = True
            if new:
                found[key] = changes
        outer = Env() if place.env.parent is None else place.env.parent
        around = {name: outer.find_name(name) for name in place.env.names if name not in values}
        numbers = {name: value for name, value in around.items() if isinstance(value, (int, float, SymBool))}
        for name, value in {**numbers, **values}.items():
            now_value = place.env.names.get(name, MISSING)
            if name in bound or now_value is start.get(name) or name in varying or isinstance(value, Past):
                continue
            if isinstance(value, (int, float, SymBool)) and isinstance(now_value, (int, float, SymBool)):
                if term(now_value) != term(start.get(name)):
                    found[name] = True
            elif now_value is not value:
                raise Fixed(f"{name} changes from turn to turn")
        return found

    # ---------------------------------------------------------------- what is there after it

    def end_turn(
        self,
        loop: Loop,
        over: Over,
        carried: Mapping[str, tuple[Data, Data, list[tuple[str, Any]]]],
        varying: Mapping[str, Any],
        entry_tensors: Mapping[str, Data | None],
        entry_names: Mapping[str, Any],
        start_names: Mapping[str, Any],
        place: Place,
        span: Span,
    ) -> None:
        """Say what the next turn begins with, and what is there after the last."""
        updates: list[tuple[str, Any]] = []
        numbers = entry_names.keys() & varying.keys()
        lasting: list[tuple[Data, Data, Data]] = []
        for key, (begin, inside, lets) in carried.items():
            end = place.flow if key == "flow" else place.env.tensors[key[1:]]
            assert end is not None
            variables = iter(lets)
            for port, last in enumerate(end.shapes):
                axes = varying[key].get(port, ())
                for axis, size in zip(last.axes, last, strict=True):
                    if axis in axes and self.carries(axis):
                        name, begins = next(variables)
                        if axis != "c" and any(n.startswith("?") for n in names(self.expanded(term(size)))):
                            raise Fixed("a size that is not known", size)
                        updates.append((name, size))
                        self.note_after(name, begins, size, numbers, over, loop)
            after = self.wire(self.lasting(inside, end, numbers, over, loop), place, span, begin.wires[:1])
            after = self.like(after, inside)
            lasting.append((inside, end, after))
            for wires in zip(inside.wires, begin.wires, end.wires, after.wires, strict=True):
                loop.carried.append(Carried(*wires))
            if key == "flow":
                place.flow = after
            else:
                place.env.tensors[key[1:]] = after
        if varying.get("flow") is LOST:
            self.lost, place.flow = True, None
            place.env.tensors.pop("flow", None)
        for name, value in entry_names.items():
            if name in varying:
                now = place.env.names[name]
                if term(now) != term(named(now, name)):
                    updates.append((name, now))
                place.env.names[name] = named(value, name)
            elif place.env.names.get(name) is not start_names.get(name):
                place.env.names[name] = value
        for name in [n for n in place.env.names if n not in entry_names]:
            place.env.names[name] = Past(place.env.names[name])  # of one turn only
        for name in [n for n in place.env.tensors if n != "flow" and f":{n}" not in carried]:
            if place.env.tensors[name] not in (None, entry_tensors.get(name)):
                self.keep(name, place)
        changed = [(name, value) for name, value in updates if term(value) != term(named(value, name))]
        rest = list(changed)
        while rest:  # a variable is bound anew when no other one reads what it was in the turn
            free_now = (
                one for one in rest if not any(one[0] in mentioned(v) for n, v in rest if n != one[0])
            )
            first = next(free_now, None)
            if first is None:
                raise Fixed("values that turns exchange", over.atom)
            rest.remove(first)
            loop.body.append(Let(*first, again=True))
        self.last_turn(loop, over, lasting, changed, place)
        if place.flow is not None:
            place.env.tensors["flow"] = place.flow

    def note_after(self, name: str, first: int, last: int, numbers: Set[str], over: Over, loop: Loop) -> None:
        """Note what a variable is after a loop of whose turns each gives it the same value."""
        try:
            count = self.expanded(counted_by(over, loop.targets)[1])
        except Fixed:
            return
        value = replaced(self.expanded(term(last)), {})
        own = {*loop.targets, name, *numbers}
        own |= {item.name for item in walk(loop.body) if isinstance(item, Let)}
        some = compare(">", SymInt(1, count), 0)
        if own.isdisjoint(names(value)) and isinstance(some, SymBool):
            first = SymInt(int(first), replaced(self.expanded(term(first)), {}))
            self.after[name] = term(select(some, SymInt(int(last), value), first))

    def lasting(
        self, inside: Data, end: Data, numbers: Set[str], over: Over, loop: Loop
    ) -> tuple[Shape, ...]:
        """Return what is there after a loop: what every turn ends with, if there is a turn for all arguments.

        What reads `numbers`, which each turn changes, is another value after it.
        """
        if not over.items or mentioned(over.atom):
            return inside.shapes
        own = {*loop.targets, *numbers, *(item.name for item in walk(loop.body) if isinstance(item, Let))}
        own |= {name for item in walk(loop.body) if isinstance(item, Child) for name in item.asked}
        own |= {name for shape in inside.shapes for n in shape for name in mentioned(n)}
        shapes: list[Shape] = []
        for a, b in zip(inside.shapes, end.shapes, strict=True):
            sizes = [
                n if term(m) != term(n) and not own & set(mentioned(n)) else m
                for m, n in zip(a, b, strict=True)
            ]
            shapes.append(Shape(*sizes, axes=a.axes))
        return tuple(shapes)

    def last_turn(
        self,
        loop: Loop,
        over: Over,
        lasting: list[tuple[Data, Data, Data]],
        changed: list[tuple[str, Any]],
        place: Place,
    ) -> None:
        """Give what comes out of a loop the concrete sizes that it has after all turns of this instance."""
        updates = {name: value for name, value in changed}
        for inside, end, _ in lasting:
            for a, b in zip(inside.shapes, end.shapes, strict=True):
                for m, n in zip(a, b, strict=True):
                    atom = m.poly.atom if isinstance(m, SymInt) else None
                    if atom is not None and atom.op == "name" and term(m) != term(n):
                        updates[atom.args[0]] = n
        env = dict(self.hints)
        for one in over.items if updates else ():
            cells = Env()
            targets = tuple(tree.Name(0, 0, name) for name in loop.targets)
            self.evaluator.unpack(targets, one, cells, place.source)
            env.update(cells.names)
            new: dict[str, Any] = {}
            for name, value in updates.items():
                try:
                    new[name] = concrete(evaluate(self.expanded(term(value)), env))
                except KeyError:
                    new[name] = concrete(value)
            env.update(new)
        for name, value in updates.items():
            self.hints[name] = env[name]
            self.hidden |= any(read.startswith("?") and read not in updates for read in mentioned(value))
        for _, _, after in lasting:
            for port, wire in enumerate(after.wires):
                shapes = list(self.drafts[wire.draft].shapes)
                shapes[port] = self.at_hints(shapes[port])
                self.drafts[wire.draft].shapes = tuple(shapes)
        settled = {
            after.wires: after.replace(shapes=tuple(map(self.at_hints, after.shapes)))
            for _, _, after in lasting
        }
        if place.flow is not None:
            place.flow = settled.get(place.flow.wires, place.flow)
        for key, data in place.env.tensors.items():
            place.env.tensors[key] = settled.get(data.wires, data)
        for name in updates:
            if name in place.env.names and isinstance(place.env.names[name], (int, float)):
                place.env.names[name] = named(self.hints[name], name)

    def as_here(self, run: Callable[[Walker, Place], Data], before: Snapshot, place: Place) -> None:
        """Give values the concrete sizes that they have after a loop, where what is in its turns hides them."""
        self.hidden = False
        now = place.env.names, place.env.tensors, place.flow
        names, tensors = (dict(before.env[kind].held) for kind in ("names", "tensors"))
        place.env.names, place.env.tensors, place.flow = names, tensors, before.place["flow"].value
        ends: list[Place] = []

        def noted(walker: Walker, there: Place) -> Data:
            ends.append(there)
            return run(walker, there)

        try:
            shapes = self.rehearsed(noted, place)
        except (SpecError, Poisoned, NetError):
            return
        finally:
            place.env.names, place.env.tensors, place.flow = now
        tensors = place.env.tensors
        for name, data in tensors.items():
            end = ends[0].env.tensors.get(name) if name != "flow" else None
            if end is not None:
                tensors[name] = self.sized_as(data, end.shapes)
        if place.flow is not None:
            place.flow = tensors["flow"] = self.sized_as(place.flow, shapes)

    def sized_as(self, data: Data, shapes: tuple[Shape, ...]) -> Data:
        """Return values with the concrete sizes of others."""
        if [s.axes for s in data.shapes] != [s.axes for s in shapes]:
            return data
        for own, real in zip(data.shapes, shapes, strict=True):
            for n, m in zip(own, real, strict=True):
                atom = n.poly.atom if isinstance(n, SymInt) else None
                if atom is not None and atom.op == "name" and atom.args[0].startswith("?"):
                    self.hints[atom.args[0]] = int(m)
        found = tuple(
            Shape(*(with_hint(n, m) for n, m in zip(own, real, strict=True)), axes=own.axes)
            for own, real in zip(data.shapes, shapes, strict=True)
        )
        for wire, shape in zip(data.wires, found, strict=True):
            known = list(self.drafts[wire.draft].shapes)
            known[wire.port] = shape
            self.drafts[wire.draft].shapes = tuple(known)
        return data.replace(shapes=found)

    def at_hints(self, shape: Shape) -> Shape:
        """Return a shape with the concrete sizes that its names have now."""
        sizes: list[int] = []
        for n in shape:
            atom = n.poly.atom if isinstance(n, SymInt) else None
            if isinstance(n, SymInt) and atom is not None and atom.op == "name":
                n = SymInt(self.hints.get(atom.args[0], n), n.poly)
            sizes.append(n)
        return Shape(*sizes, axes=shape.axes)

    def keep(self, name: str, place: Place) -> None:
        """Forget a value of one turn that later items cannot read."""
        data = place.env.tensors[name]
        made = {wire for item in self.items[:-1] for wire in item.makes()}
        made |= {incoming.wire for incoming in self.staged.inputs}
        if not all(wire in made or wire in self.items[-1].makes() for wire in data.wires):
            self.dropped[name] = place.env.tensors.pop(name)

    lost = False
    """Whether there is no flow after a loop: what comes into it is of another kind than what its turns make."""

    def scope_body(self, body: tree.Body, place: Place) -> Data | None:
        """Run the statements of a scope; return the flow after them, which is of one kind."""
        result = super().scope_body(body, place)
        if result is None and self.lost:
            raise Fixed("what flows is one of two kinds")
        return result

    def need(self, data: Data | None, node: tree.Tree, place: Place) -> Data:
        """Return a flow that must be there."""
        if data is None and self.lost:
            raise Fixed("what flows is one of two kinds")
        return super().need(data, node, place)

    def no_value(self, name: str, span: Span, place: Place) -> Exception:
        """Return the error for a value that is not there: of another turn, perhaps."""
        if name == "flow" and self.lost:
            return Fixed("what flows is one of two kinds")
        error = super().no_value(name, span, place)
        if self.loops or isinstance(name, SymStr):
            return Fixed(f"{name} is a value of another turn")
        if place.env.find_tensor(name) is None and name != "flow":
            return Fixed(f"{name} is not always there")
        return error

    # ---------------------------------------------------------------- repetitions

    def repeat(self, node: tree.Repeat, data: Data, place: Place) -> Data:
        """`n * step`."""
        count = self.evaluator.eval(node.count, place.env, place.source)
        if self.dead and isinstance(count, SymInt) and count < 0:
            count = SymInt(1, count.poly)
        if isinstance(count, Choice) or not is_whole(count) or count < 0:
            return super().repeat(node, data, place)
        if any(isinstance(part, tree.Choice) for part in pieces(node)) or (not symbolic(count) and count < 2):
            return super().repeat(node, data, place)
        if not symbolic(count) and self.staged.decl in self.emitter.unrolled:
            return super().repeat(node, data, place)
        if not symbolic(count):
            return self.repeat_known(node, int(count), data, place)
        return self.repeat_loop(node, term(count), int(count), data, place)

    def repeat_known(self, node: tree.Repeat, count: int, data: Data, place: Place) -> Data:
        """`3 * step`: a loop where every turn makes one equal module, the first by itself if it alone differs."""
        before = Snapshot(self, place)
        for first in (0, 1):
            start = self.items
            copy, place.copy = place.copy, 0
            flow = data
            try:
                for _ in range(first):
                    flow = self.step(node.step, flow, place)
                place.copy = copy
                if count - first > 1:
                    result = self.repeat_loop(
                        node, constant(count - first), count - first, flow, place, first
                    )
                    loop = next(i for i in reversed(start) if isinstance(i, Loop))
                    if one_module(loop):
                        return result
            except Fixed:
                pass
            finally:
                place.copy = copy
            before.restore(self, place)
        return super().repeat(node, data, place)

    def repeat_loop(
        self, node: tree.Repeat, count: Any, number: int, data: Data, place: Place, later: int = 0
    ) -> Data:
        """Write a repetition as a loop; `later`: its first turn is not the first copy."""
        before = Snapshot(self, place)
        outer, copy = place.flow, place.copy
        others = self.emitter.variables(self.staged.decl) - self.emitter.turning(self.staged.decl)
        taken = {*self.turning, *self.taken_locals, *others}
        variable = next((name for name in "ijkmn" if name not in taken), "") or self.local("turn")
        place.flow = data

        def run() -> None:
            place.copy = 1 if later else named(0, variable)
            place.flow = self.step(node.step, place.flow, place)

        over = Over(Atom("call", ("range", count)), list(range(number)), 0)
        self.at_least(count, 0, "a repetition needs a whole number from 0")
        try:
            self.loop(over, (), (variable,), run, place, place.span(node.count))
        except Fixed as fixed:
            before.restore(self, place)
            fixed.names = {**fixed.names, **names(count)}
            raise
        finally:
            place.copy = copy
        if self.hidden and not self.loops:
            plain = node.replace(count=tree.Number(node.count.start, node.count.end, number))
            self.as_here(
                lambda walker, there: walker.repeat(plain, walker.known(there.flow), there), before, place
            )
        result = self.known(place.flow)
        place.flow = outer
        return result


def is_grouped_by_number(node: tree.For | tree.Comprehension) -> bool:
    """Tell whether names in brackets are those that follow the number of a turn, if there are any."""
    call = node.iterable.function if isinstance(node.iterable, tree.CallExpr) else None
    numbers = isinstance(call, tree.Name) and call.text == "enumerate"
    return not node.groups or (numbers and len(node.groups) == 2 and node.groups[0] == 0)


def one_module(loop: Loop) -> bool:
    """Tell whether all that a turn does is to make a module, and to ask it for its channels."""
    first, *rest = loop.body
    asked = first.asked if isinstance(first, Child) else ()
    return isinstance(first, Module) and all(
        isinstance(i, Let) and {*asked} & {*mentioned(i.value)} for i in rest
    )


def kinds(data: Data) -> tuple[bool, list[str]]:
    """Return whether values are a list, and which axes each has."""
    return isinstance(data, Streams), [shape.axes for shape in data.shapes]


def _is_zip(whole: Atom) -> bool:
    """Tell whether a loop runs over several lists at once."""
    return whole.op == "call" and whole.args[0] == "zip"


def counted_by(over: Over, variables: tuple[str, ...]) -> tuple[str, Poly, Mapping[str, Any]]:
    """Return the variable that counts a loop's turns from 0, how many there are, and what its others are by it."""
    atom = over.atom
    if atom.op == "call" and atom.args[0] == "range" and len(variables) == 1:
        _, *args = atom.args
        start, stop = (args[0], args[1]) if len(args) > 1 else (constant(0), args[0])
        step = args[2].constant if len(args) > 2 else 1
        turn = single(Atom("name", variables))
        if step == 1:
            return variables[0], stop.plus(start, -1), {variables[0]: start.plus(turn)}
        if step == -1:
            return variables[0], start.plus(stop, -1), {variables[0]: start.plus(turn, -1)}
        raise Fixed("a loop of branches whose steps are not 1", atom)
    counts = atom.op == "call" and atom.args[0] == "enumerate" and len(atom.args) == 2
    whole = atom.args[1] if counts else atom
    if _is_zip(whole) and len(variables) == len(whole.args) - 1 + counts:
        own = variables[-len(whole.args) + 1 :]
        variable = variables[0] if counts else f"{own[0]}{NUMBER}"
        turn = single(Atom("name", (variable,)))
        count = constant(len(over.items)) if over.known else length(whole.args[1])
        return (
            variable,
            count,
            {name: item_of(one, turn) for name, one in zip(own, whole.args[1:], strict=True)},
        )
    if whole.op == "call" or len(variables) != (2 if counts else 1):
        raise Fixed("a loop of branches that nothing counts", whole)
    variable = variables[0] if counts else f"{variables[0]}{NUMBER}"
    value = item_of(whole, single(Atom("name", (variable,))))
    count = constant(len(over.items)) if over.known else length(whole)
    return variable, count, {variables[-1]: value}


def first_of(over: Over) -> int | None:
    """Return what the variable of a loop is in its first turn, if that is known and less than in the others."""
    function, *args = over.atom.args if over.atom.op == "call" else ("",)
    begin = constant(0)
    if function == "enumerate":
        begin = args[1] if len(args) > 1 else begin
    elif function != "range" or len(args) > 2:
        return None
    elif len(args) == 2:
        begin = args[0]
    number: int | None = begin.constant
    return number

"""Blocks to classes: a body is walked once with arguments that remember their names, conditions taken both ways.

The walker is that of elaboration. What differs is what a condition, a loop and a call do: a condition that is not
the same for all arguments becomes an `If` with both sides, a loop a `Loop` with one turn that stands for all, and a
block a call of its own class. Where something can be said only for given values (`Fixed`), the class is made for
these: it has no such argument then, so it can never be another block in silence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from netdsl.diagnostics import NetError
from netdsl.elaborate.arguments import merge
from netdsl.elaborate.draft import Draft, DraftScope, Place
from netdsl.elaborate.evaluate import is_number
from netdsl.elaborate.layers import JOINTS, has_state
from netdsl.elaborate.names import readable
from netdsl.elaborate.values import (
    MISSING,
    POISON,
    Arguments,
    BlockDecl,
    Choice,
    Data,
    Env,
    Given,
    OpValue,
    Poisoned,
    Ramp,
    RowValue,
    SpecError,
    TableValue,
    Wire,
    fail,
    is_whole,
    show,
)
from netdsl.elaborate.walk import Walker, has_loop
from netdsl.emission.concolic import (
    Constants,
    Demanded,
    Fixed,
    Late,
    SymbolicEvaluator,
    SymDims,
    SymOp,
    SymPad,
    SymStr,
    Undecided,
    concrete,
    free,
    mentioned,
    opened,
    ops,
)
from netdsl.emission.items import (
    Carried,
    Check,
    Child,
    Collect,
    Container,
    Gathered,
    If,
    Incoming,
    Item,
    Joined,
    Layer,
    Let,
    Loop,
    Module,
    Numbered,
    Parameter,
    Phi,
    Pick,
    Side,
    Staged,
    Store,
    walk,
)
from netdsl.emission.numbered import Again, Pattern, Writer, channels_at, mapping, parted
from netdsl.emission.streams import LIST, Elements, Parts, Streams, listed
from netdsl.ir.types import DEFAULT_INIT, Dims, Init, Pad, Shape
from netdsl.ops import Op, catalogue
from netdsl.ops.activation import Activation, Softmax
from netdsl.ops.linear import Linear
from netdsl.ops.norm import Norm
from netdsl.ops.source import Weight
from netdsl.ops.wiring import Identity, Split
from netdsl.source import Source, Span
from netdsl.symbolic import (
    NUMBER,
    Atom,
    Poly,
    SymBool,
    SymFloat,
    SymInt,
    SymList,
    Term,
    arithmetic,
    compare,
    constant,
    each,
    equalities,
    evaluate,
    joined,
    length,
    list_of,
    named,
    names,
    negated,
    position,
    select,
    single,
    symbolic,
    term,
    text,
    total,
)
from netdsl.symbolic import (
    item as item_of,
)
from netdsl.syntax import tree

if TYPE_CHECKING:
    from netdsl.emission.family import Family

SIZES = {"c": "channels", "h": "height", "w": "width", "n": "tokens"}
"""What the sizes of what comes in are called, after its name."""

_LONG = 400
"""How long an expression of a size may be."""

Seen = tuple[tuple[int, ...], tuple[Shape, ...]]
"""The turns of the loops around a call, and the shapes that it gets."""

OPEN_KINDS = ("int", "float", "bool", "dims", "op", "list", "table", "pad")
"""Types of parameters that are arguments of a class; of others the class is made for their values."""


class Snapshot:
    """What a turn or a side changes, so that it can be taken back."""

    def __init__(self, stager: Stager, place: Place) -> None:
        """Take note."""
        self.state = stager.snapshot()
        scope = place.scope
        self.names, self.tensors = dict(place.env.names), dict(place.env.tensors)
        self.place = (place.flow, place.defaults, place.broken, place.inits, place.returned, place.stage)
        self.scope = (
            scope.position,
            dict(scope.taken),
            list(scope.drafts),
            dict(scope.named),
            dict(scope.stages),
            dict(scope.args),
            dict(scope.shared),
        )

    def restore(self, stager: Stager, place: Place) -> None:
        """Take everything back."""
        stager.restore(self.state)
        scope = place.scope
        scope.position, scope.taken, scope.drafts = self.scope[0], dict(self.scope[1]), list(self.scope[2])
        scope.named, scope.stages, scope.args = dict(self.scope[3]), dict(self.scope[4]), dict(self.scope[5])
        scope.shared = dict(self.scope[6])
        self.rewind(place)

    def rewind(self, place: Place) -> None:
        """Take back what the statements after it can see, but keep what was built."""
        place.env.names, place.env.tensors = dict(self.names), dict(self.tensors)
        place.flow, place.defaults, place.broken, place.inits, place.returned, place.stage = self.place


class Stager(Walker):
    """Walks the body of one block or net."""

    evaluator: SymbolicEvaluator
    root: Env | None = None
    """The names of the body."""

    def __init__(self, emitter: Family, staged: Staged, settings: Mapping[str, Any], max_nodes: int) -> None:
        """`settings` are the net's, for its decisions."""
        super().__init__(settings, {}, max_nodes)
        self.emitter = emitter
        self.staged = staged
        self.evaluator = SymbolicEvaluator(10 * max_nodes, self.decide)
        self.evaluator.ramped = self.ramped
        self.evaluator.sized = self.measured
        self.evaluator.picked = self.picked
        self.evaluator.settled = self.settled
        self.evaluator.comprehended = self.comprehended
        self.items: list[Item] = staged.items
        self.path: list[Atom] = []
        """The conditions that hold here."""
        self.demanded: set[Atom] = set()
        """Those of them that hold for every class, since its constructor checks them."""
        self.least: dict[str, int] = {}
        """Arguments, and items of lists, and what they have to be at least, whatever the conditions."""
        self.each_of: dict[str, str] = {}
        """By variable of a loop over a list that is an argument, all of that list."""
        self.features: dict[str, list[Wire]] = {}
        """The results of linear layers, by the expression of their features."""
        self.meaning: dict[str, Any] = {}
        """What names of local variables stand for, over the class's arguments."""
        self.loops = 0
        """How many loops this is in, whose turns are not known."""
        self.pending = ""
        """The stage that begins with the next item."""
        self.sides: list[Side] = staged.sides
        self.opaque = 0
        self.hints: dict[str, Any] = {}
        """What names are in the instance that is walked."""
        self.templates: dict[str, Atom] = {}
        """Labels with numbers that are not known: what they are here, and their expressions."""
        self.evaluator.templates = self.templates
        self.turning: list[str] = []
        """The variables of the repetitions that this is in."""
        self.schedules: list[Schedule] = []
        self.counted: list[Schedule] = []
        """The depth schedules that the next item goes on in."""
        self.counts: list[str] = []
        """The variables of the loops that this is in, "" for one that does not count its turns."""
        self.observed: Mapping[int, list[Seen]] | None = None
        """By call, the shapes that it gets in every turn of the loops around it, once that is asked for."""
        self.unsure: list[Poly] = []
        """How often loops in an outermost one run, where that is an argument."""
        self.by_count: list[Poly] = []
        """Those of them that must run, since what is said of sizes is what was seen in their turns."""
        self.site: tree.Layer | None = None
        """The call that is being written."""
        self.ranges: dict[str, range] = {}
        """What the variables of loops over lists are in this instance, turn by turn."""
        self.picks: dict[Wire, Pick] = {}
        """Values of lists."""
        self.supposed_here: list[Atom] = []
        """The conditions that decide which of two things values are."""
        self.unread: dict[Wire, Pick] = {}
        """Those that nothing reads yet: they are no items."""
        self.numbered = emitter.numbered.setdefault(staged.decl, [])
        self.items += [Numbered(before, mapping(at)) for at, (before, _) in enumerate(self.numbered)]
        self.writers: dict[Pattern, tuple[Writer, ...]] = {}
        """What gives values their numbers."""
        self.foreseen: dict[Pattern, tuple[Writer, ...]] = {}
        """What will do so in the turn that is walked."""
        self.looked_up: set[Pattern] = set()
        self.numbers: dict[Pattern, dict[int, Shape]] = {}
        """The shapes of such values in this instance."""
        self.after: dict[str, Term] = {}
        """What variables that loops change are after them, where that is known."""
        self.unknown_turns = 0
        """How many loops this is in whose turns are an argument."""
        self.results: dict[Wire, tuple[Term, Mapping[str, Any]]] = {}
        """Lists that calls return: their channels over the class's names, and what these are."""

    # ---------------------------------------------------------------- state

    def snapshot(self) -> tuple[Any, ...]:
        """Return the lengths and copies of what grows."""
        return (
            len(self.drafts),
            len(self.scopes),
            list(self.outputs),
            self.items,
            list(self.items),
            list(self.path),
            dict(self.meaning),
            list(self.sides),
            self.pending,
            {k: dict(v) for k, v in self.inits.items()},
            dict(self.early),
            self.loops,
            list(self.errors),
            set(self._seen),
            self.evaluator.depth,
            dict(self.decisions),
            dict(self._owners),
            (dict(self.staged.asks), dict(self.staged.measured), dict(self.least)),
            list(self.staged.params),
            list(self.turning),
            dict(self.hints),
            dict(self.templates),
            (self.dead, self.sided),
            dict(self.staged.ramps),
            [dict(table) for table in self.tables],
        )

    @property
    def tables(self) -> tuple[dict[Any, Any], ...]:
        """What is known of lists."""
        return self.picks, self.unread, self.results, self.staged.lists, self.writers

    def restore(self, state: tuple[Any, ...]) -> None:
        """Go back."""
        del self.drafts[state[0] :]
        del self.scopes[state[1] :]
        self.outputs[:] = state[2]
        self.items = state[3]
        self.items[:] = state[4]
        self.path = list(state[5])
        self.meaning = dict(state[6])
        self.sides[:] = state[7]
        self.pending = state[8]
        self.inits = {k: dict(v) for k, v in state[9].items()}
        self.early = dict(state[10])
        self.loops = state[11]
        self.errors[:] = state[12]
        self._seen = set(state[13])
        self.evaluator.depth = state[14]
        self.decisions = dict(state[15])
        self._owners = dict(state[16])
        self.staged.asks, self.staged.measured, self.least = map(dict, state[17])
        self.staged.params[:] = state[18]
        self.turning[:] = state[19]
        self.hints = dict(state[20])
        self.templates.clear()
        self.templates.update(state[21])
        self.dead, self.sided = state[22]
        self.staged.ramps = dict(state[23])
        for table, before in zip(self.tables, state[24], strict=True):
            table.clear()
            table.update(before)

    @contextmanager
    def into(self, items: list[Item]) -> Iterator[list[Item]]:
        """Put items into another list."""
        before, self.items = self.items, items
        try:
            yield items
        finally:
            self.items = before

    @contextmanager
    def apart(self, place: Place, turn: bool = False) -> Iterator[None]:
        """Note in which turn of a loop what is made meanwhile is."""
        outer = self.unrolling
        if turn:
            self.unrolling = (*outer, object())
        with super().apart(place, turn):
            yield
        self.unrolling = outer

    unrolling: tuple[object, ...] = ()
    """The turn of each loop that is walked turn by turn."""

    def put(self, item: Item) -> None:
        """Add an item."""
        item.stage, self.pending = self.pending, ""
        item.turn = self.unrolling
        self.items.append(item)
        for schedule in self.counted:
            self.items.append(Let(schedule.variable, named(0, schedule.variable) + 1, again=True))
        self.counted.clear()

    def wire(
        self, shapes: tuple[Shape, ...], place: Place, span: Span, inputs: tuple[Wire, ...] = ()
    ) -> Data:
        """Return new values of these shapes."""
        index = len(self.drafts)
        self.drafts.append(Draft(catalogue()["identity"](), inputs, shapes, span, place, "", False, {}))
        return Data(tuple(Wire(index, port) for port in range(len(shapes))), shapes)

    def unknown_size(self, hint: int) -> SymInt:
        """Return a size that nothing is known of."""
        self.opaque += 1
        size: SymInt = self.hinted(hint, f"?{self.opaque}")
        return size

    def hinted(self, value: Any, name: str) -> Any:
        """Return a number under a name, and remember what it is here."""
        self.hints[name] = concrete(value)
        return named(self.hints[name], name)

    def here(self, value: Term) -> Any:
        """Return what an expression is in this instance."""
        return evaluate(value, {**self.emitter.constants, **self.hints})

    # ---------------------------------------------------------------- truths

    def measured(self, value: Any) -> Any:
        """Return a comparison of the text; one of sizes is noted, since other sizes may make another net."""
        result = self.sized(value)
        if isinstance(value, SymBool) and result is not value:
            turning = {*self.turning, *self.templates}
            path = [self.expanded(test) for test in self.path if test not in self.demanded]
            path = [test for test in path if turning.isdisjoint(names(test))]
            test = self.expanded(value.test)
            if test in self.staged.measured and self.staged.measured[test][1] != tuple(path):
                path = []  # it is asked in two places
            self.staged.measured[test] = result, tuple(path)
        return result

    def sized(self, value: Any) -> Any:
        """Return a comparison; one of sizes is an argument of its own, which the caller knows."""
        if not isinstance(value, SymBool):
            return value
        test = self.expanded(value.test)
        read = names(test)
        if any(name.startswith("?") for name in read):
            raise Fixed("it depends on a size that is not known", value)
        if not any(name in self.emitter.sizes for name in read):
            return value
        if self.staged.kind == "net":
            return value.value
        known = next((name for name, other in self.staged.asks.items() if other == test), "")
        if not known:
            known = self.local(
                "same_size" if test.op == "==" else "large" if test.op in (">", ">=") else "small"
            )
            self.staged.params.insert(len(self.staged.asks), Parameter(known, "bool", value.value, MISSING))
            self.staged.asks[known] = test
            self.hints[known] = value.value
        return SymBool(value.value, Atom("name", (known,)))

    def expanded(self, value: Any) -> Any:
        """Return an expression over the class's arguments alone."""
        if not any(name in self.meaning for name in names(value)):
            return value
        env = {name: self.meaning.get(name, Name(name)) for name in names(value)}
        return over(value, env)

    def equal(self, a: Any, b: Any, more: tuple[Atom, ...] = ()) -> bool:
        """Tell whether two ints are the same under the conditions that hold here, and more."""
        x, y = self.expanded(term(a)), self.expanded(term(b))
        if x == y:
            return True
        for test in (*self.path, *more):
            for left, right in equalities(self.expanded(test)):
                for name, other in ((left.atom, right), (right.atom, left)):
                    if name is None or name.op != "name":
                        continue
                    known = {name.args[0]: other}
                    if over(x, known) == over(y, known):
                        return True
        return False

    # ---------------------------------------------------------------- conditions

    def branch_on(
        self,
        test: SymBool,
        then: Callable[[], None],
        otherwise: Callable[[], None],
        place: Place,
        span: Span,
    ) -> None:
        """Run both sides, and go on with what comes from either; only one where a condition around says which."""
        if self.assigned.isdisjoint(names(test.test)) and not set(self.turning).intersection(
            names(test.test)
        ):
            for known, run in ((test.test, then), (negated(test.test), otherwise)):
                if known in self.path:
                    run()
                    return
        before = Snapshot(self, place)
        item = If(test.test, [], [], [])
        ends: list[tuple[Place, int, dict[str, Span], bool]] = []
        shared: list[dict[str, Any]] = []
        hints: list[dict[str, Any]] = []
        item.stage, self.pending = self.pending, ""
        for side, run, holds in ((item.then, then, True), (item.otherwise, otherwise, False)):
            before.rewind(place)
            place.scope.position, place.scope.taken = before.scope[0], dict(before.scope[1])
            place.scope.shared = dict(before.scope[6])
            condition = test.test if holds else negated(test.test)
            state = Snapshot(self, place)
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
            if len(self.errors) > len(state.state[12]) and test.value != holds:
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
            shared.append(place.scope.shared)
            hints.append(dict(self.hints))
        self.hints = {**hints[test.value], **hints[not test.value]}
        place.scope.taken = {**ends[0][2], **ends[1][2]}
        place.scope.shared = {**shared[0], **shared[1]}
        for name in place.scope.shared:
            if any(name in one and one[name] != place.scope.shared[name] for one in shared):
                place.scope.shared[name] = Late(test, *(one.get(name) for one in shared))
        place.scope.position = max(ends[0][1], ends[1][1])
        self.merge(test, item, before, ends[0], ends[1], place, span)

    @contextmanager
    def supposed(self, condition: Atom, dead: bool, place: Place) -> Iterator[None]:
        """Walk a side with a turn, or an argument, that comes there, where the one that stands for all does not."""
        own, turn = next(self.coming(condition, place), ("", None)) if dead else ("", None)
        if turn is None:
            yield
            return
        before, hint = place.env.names[own], self.hints[own]
        place.env.names[own] = self.hinted(turn, own)
        try:
            yield
        finally:
            place.env.names[own], self.hints[own] = before, hint

    def coming(self, condition: Atom, place: Place) -> Iterator[tuple[str, Any]]:
        """Yield names of a condition with values for which it holds, the first of each."""
        for own in names(condition):
            value = place.env.names.get(own)
            hint = self.hints.get(own)
            if not isinstance(value, (SymInt, SymFloat)) or term(value) != term(named(hint, own)):
                continue
            tried = self.ranges.get(own) or (_WHOLE if isinstance(hint, int) else _RATES)
            for one in tried:
                try:
                    holds = evaluate(condition, {**self.hints, own: one})
                except (ArithmeticError, LookupError, TypeError, ValueError):
                    continue
                if holds is True:
                    yield own, one
                    break

    def merge(
        self, test: SymBool, item: If, before: Snapshot, a: Any, b: Any, place: Place, span: Span
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
        tensors = dict(before.tensors)
        for name in {**one.env.tensors, **two.env.tensors}:
            x, y = one.env.tensors.get(name), two.env.tensors.get(name)
            if name == "flow" or x == y or x is None or y is None or x.poisoned or y.poisoned:
                if x is not None and x == y:
                    tensors[name] = x
                continue
            if len(x.wires) != len(y.wires):
                continue
            tensors[name] = self.either(test, x, y, item, place, span)
        values = dict(before.names)
        for name in {**one.env.names, **two.env.names}:
            x, y = one.env.names.get(name, MISSING), two.env.names.get(name, MISSING)
            if x is MISSING or y is MISSING or x is y:
                if x is y and x is not MISSING:
                    values[name] = x
                elif name in before.names or x is MISSING or y is MISSING:
                    values.pop(name, None)
                continue
            values[name] = self.chosen_value(test, name, x, y, item)
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

    def chosen_value(self, test: SymBool, name: str, x: Any, y: Any, item: If) -> Any:
        """Return a name's value after a condition, bound on both sides."""
        if isinstance(x, (int, float, SymBool)) and isinstance(y, (int, float, SymBool)):
            if term(x) == term(y):
                return x
            for side, value in ((item.then, x), (item.otherwise, y)):
                if not any(isinstance(i, Let) and i.name == name for i in side) or term(value) != term(
                    named(value, name)
                ):
                    side.append(Let(name, value))
            self.meaning[name] = self.expanded(term(select(test, x, y)))
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
        return here, there.with_size("c", _hinted(here.c, int(there.c)))

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
                sizes.append(_hinted(x, hint))
            elif self.equal(x, y, (negated(test.test), *demands[1])):
                sizes.append(_hinted(x, hint))
            elif self.equal(x, y, (test.test, *demands[0])):
                sizes.append(_hinted(y, hint))
            elif axis == "c" or len(text(x)) + len(text(y)) < _LONG:
                sizes.append(_hinted(select(test, x, y), hint))
            else:
                sizes.append(self.unknown_size(hint))
        return Shape(*sizes, axes=a.axes)

    def settled(self, value: Any) -> Any:
        """Return what a value is here, if it is one of two things; raise Undecided where it may be either."""
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

    def statement(self, node: tree.Statement, place: Place) -> None:
        """Run one statement."""
        self.decided(partial(super().statement, node, place), place, place.span(node))

    def conditional(self, node: tree.Expr | None, run: Callable[[], None], place: Place) -> None:
        """Run something under a condition; where it is false, nothing happens."""
        holds: Any = True
        if node is not None:
            holds = self.evaluator.truth(node, place.env, place.source)
        if isinstance(holds, SymBool):
            self.branch_on(holds, run, lambda: None, place, place.span(node) if node else place.scope.span)
        elif holds:
            run()

    def init(self, node: tree.InitLine, place: Place) -> None:
        """`init conv weight=...`: the loop over all layers of a net has no conditions."""
        if place.in_net and self.path:
            raise Fixed("an `init` line under a condition", *self.path)
        super().init(node, place)

    def line(self, node: tree.Line, place: Place) -> None:
        """`label: chain when condition`."""
        self.conditional(node.condition, lambda: self.flow_on(node, place), place)

    def flow_on(self, node: tree.Line, place: Place) -> None:
        """Run a line's chain."""
        place.flow = self.labelled(node.label, node.chain, place)

    def bind_line(self, node: tree.Bind, place: Place) -> None:
        """`a, b = from x -> split 2`."""
        plain = node.replace(condition=None)
        self.conditional(node.condition, lambda: super(Stager, self).bind_line(plain, place), place)

    def output(self, node: tree.Output, place: Place) -> None:
        """`train output aux: chain`."""
        plain = node.replace(condition=None)
        begin = len(self.items)
        self.conditional(node.condition, lambda: self.side(plain, place), place)
        for item in self.items[begin:]:
            item.early = node.train and node.chain.source is not None

    def name_results(self, results: tuple[tree.Result, ...], place: Place) -> None:
        """Note the names of results, which are the class's."""
        if self.path:
            raise Fixed("a return under a condition", *self.path)
        super().name_results(results, place)

    def side(self, node: tree.Output, place: Place) -> None:
        """Put what an output needs into an item of its own."""
        if isinstance(self.evaluator.text(node.label, place.env, place.source), SymStr):
            raise Fixed("an output of every turn")
        items: list[Item] = []
        stage, self.pending = self.pending, ""
        with self.into(items):
            super().output(node, place)
        name, wire, train = self.outputs[-1]
        item = Side(name, items, wire, train)
        item.stage = stage
        self.items.append(item)
        self.sides.append(item)

    def if_line(self, node: tree.If, place: Place) -> None:
        """`if`, `elif`, `else`: transparent."""
        self.cases(node, 0, lambda body: self.body(body, place), place)

    def cases(self, node: tree.If, at: int, run: Callable[[tree.Body], Any], place: Place) -> None:
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
                lambda: self.cases(node, at + 1, run, place),
                place,
                place.span(case.condition),
            )
        elif holds:
            run(case.body)
        else:
            self.cases(node, at + 1, run, place)

    def step(self, node: tree.Step, data: Data | None, place: Place) -> Data:
        """Run one step; an optional one under its condition."""
        if not isinstance(node, tree.Optional):
            return super().step(node, data, place)
        return self.within(
            node.condition, data, lambda flow: self.steps(node.steps, flow, place), place, node
        )

    def within(
        self,
        condition: tree.Expr | None,
        data: Data | None,
        run: Callable[[Data], Data],
        place: Place,
        node: tree.Tree,
    ) -> Data:
        """Return what becomes of a value under a condition."""
        data = self.need(data, node, place)
        return self.flowing(lambda then: self.conditional(condition, then, place), run, data, place)

    def either_way(self, run: Callable[[Data], Data], data: Data, place: Place, node: tree.Tree) -> Data:
        """Return what becomes of a value, for either of two things that decide it."""
        return self.flowing(lambda then: self.decided(then, place, place.span(node)), run, data, place)

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

    def group(self, node: tree.Group, data: Data, place: Place) -> Data:
        """`( a )`, `( a | b )`."""
        if len(node.branches) > 1:
            return super().group(node, data, place)
        (branch,) = node.branches
        plain = node.replace(branches=(branch.replace(condition=None),))
        base = super().group
        return self.within(branch.condition, data, lambda flow: base(plain, flow, place), place, node)

    def branches(self, node: tree.Group, data: Data, place: Place) -> Data:
        """Run the branches of a group."""
        if len(node.branches) > 1 and any(branch.condition is not None for branch in node.branches):
            for branch in node.branches:
                if branch.condition is not None:
                    holds = self.evaluator.truth(branch.condition, place.env, place.source)
                    if isinstance(holds, SymBool):
                        raise Fixed("a branch of a fork under a condition", holds)
        return super().branches(node, data, place)

    # ---------------------------------------------------------------- joints

    def merged(self, node: tree.Merge, place: Place) -> Data:
        """Return what a joint makes of its branches."""
        outer = self.joint, self.gathering
        self.joint, self.gathering = (node, place.flow), False
        try:
            if node.joint.text in ("add", "concat") and self.uncounted(node.body, place):
                return self.joined_list(node, place)
            if any(self.of_list(statement, place) for statement in node.body):
                return self.merged_list(node, place)
            result = super().merged(node, place)
            item = self.items[-1] if self.items else None
            if isinstance(item, Layer) and item.outputs == result.wires and self.drafts[-1].counted:
                item.counted = True
            return result
        finally:
            self.joint, self.gathering = outer

    joint: tuple[tree.Merge, Data | None] | None = None

    gathering = False
    """Whether the lines are those of a loop whose turns are a branch each."""

    def branch(
        self, node: tree.Statement, place: Place, flow: Data | None, branches: list[tuple[str, Data]]
    ) -> bool:
        """Run one line of a joint; a branch under a condition joins those before it."""
        if isinstance(node, tree.Annotated):
            self.allow(node, place)
            node = node.statement
        if isinstance(node, tree.For):
            return self.branches_in_turn(node, place, flow, branches)
        if not isinstance(node, tree.If):
            return super().branch(node, place, flow, branches)
        if self.gathering:
            return self.either_branch(node, place, flow, branches)
        good = [True]

        def run(body: tree.Body) -> None:
            good[0] &= self.fork(body, place, flow, branches)

        holds = self.evaluator.truth(node.cases[0].condition, place.env, place.source)
        if not isinstance(holds, SymBool):
            self.cases(node, 0, run, place)
            return good[0]
        assert self.joint is not None
        joint = self.joint[0].joint
        if joint.text not in ("add", "mul") or not branches:
            if not all(len(body) == 1 for body in (*[case.body for case in node.cases], node.otherwise)):
                raise Fixed("a branch under a condition", holds)
            return self.either_branch(node, place, flow, branches)
        begin = len(self.drafts)
        sofar = self.join(joint, [b for _, b in branches], [n for n, _ in branches], place, begin)
        place.flow = flow

        def some(body: tree.Body) -> None:
            mine: list[tuple[str, Data]] = [("", sofar)]
            if not self.fork(body, place, flow, mine):
                raise Poisoned
            place.flow = self.join(joint, [b for _, b in mine], [n for n, _ in mine], place, begin)

        self.cases(node, 0, some, place)
        branches[:] = [("", self.known(place.flow))]
        place.flow = flow
        return True

    def either_branch(
        self, node: tree.If, place: Place, flow: Data | None, branches: list[tuple[str, Data]]
    ) -> bool:
        """Run a condition of which every side makes one branch."""
        self.cases(node, 0, lambda body: self.one_branch(body, place, flow), place)
        branches.append(("", self.known(place.flow)))
        place.flow = flow
        return True

    def branches_in_turn(
        self, node: tree.For, place: Place, flow: Data | None, branches: list[tuple[str, Data]]
    ) -> bool:
        """Run a loop of branches, whose number must be known."""
        return all([self.fork(node.body, place, flow, branches) for _ in self.turns(node, place)])

    # ---------------------------------------------------------------- lists

    def of_list(self, node: tree.Tree, place: Place) -> bool:
        """Tell whether a line of a joint is a loop whose number of turns is an argument."""
        if not isinstance(node, tree.For):
            return False
        over = self.iterable(node, place)
        return over is not None and not over.known and bool(mentioned(over.atom))

    def uncounted(self, body: tree.Body, place: Place) -> bool:
        """Tell whether lines of a joint have a loop whose turns are not known, or are others in every turn around."""
        for node in body:
            if isinstance(node, tree.Annotated):
                node = node.statement
            if isinstance(node, tree.If) and has_loop((node,)):
                return self.staged.decl not in self.emitter.unrolled
            if isinstance(node, tree.For):
                over = self.iterable(node, place)
                if over is not None and (mentioned(over.atom) or (self.loops and not one_branch(node.body))):
                    return True
        return False

    def merged_list(self, node: tree.Merge, place: Place) -> Data:
        """Return the list that a fork with such a loop makes of its branches."""
        kind, flow = node.joint.text, place.flow
        if kind != "fork":
            raise Fixed(f"a loop of branches of {kind}")
        real = self.rehearsed(lambda walker, there: walker.merged(node, there), place)
        parts: list[Data] = []
        for statement in node.body:
            place.flow = flow
            if self.of_list(statement, place):
                assert isinstance(statement, tree.For)
                parts.append(self.gathered(statement, place, flow))
                continue
            branches: list[tuple[str, Data]] = []
            if not self.branch(statement, place, flow, branches):
                raise Poisoned
            parts += [data for _, data in branches]
        place.flow = flow
        if len(parts) == 1:
            self.some(parts[0].shapes[0][0], f"{kind} has no branches")
        return self.collected(parts, Elements(real, tuple(s.c for s in real)), place, place.span(node))

    def some(self, number: int, message: str) -> None:
        """Demand that a list is not empty; one that comes in is not."""
        count = self.expanded(term(number))
        if (count.constant or 0) < 1 and not self.is_full(count):
            self.positive(number, message)

    def gathered(self, node: tree.For, place: Place, flow: Data | None) -> Streams:
        """Return the list of what a loop's turns make; its only element is that of the one turn walked."""
        over = self.iterable(node, place)
        assert over is not None
        variables = tuple(readable(name.text) for name in node.names)
        variable, count, known = counted_by(over, variables)
        ends: list[tuple[Data, Any]] = []

        def run() -> None:
            self.gathering = True
            self.one_branch(node.body, place, flow)
            self.gathering = False
            data = self.known(place.flow)
            c = term(data.shapes[0].size("c"))
            ends[:] = [(data, replaced(c if self.joining else self.expanded(c), known))]
            place.flow = flow

        outer, self.ranges = self.ranges, {**self.ranges, variable: range(len(over.items))}
        try:
            self.loop(over, node.names, variables, run, place, place.span(node))
        finally:
            self.ranges = outer
        loop = self.items[-1]
        assert isinstance(loop, Loop)
        ((data, channels),) = ends
        count = count if self.joining else self.expanded(count)
        if over.atom.args[:1] == ("range",) and len(over.atom.args) > 2:
            self.some(SymInt(1, count.plus(constant(1))), "a loop of branches needs a number of turns from 0")
        unknown = any(name.startswith("?") or name in self.emitter.sizes for name in names(channels))
        if unknown and not self.guessing:
            raise Fixed("channels that are not known", channels)
        own = {item.name for item in walk(loop.body) if isinstance(item, Let)}
        if not own.union(variables).difference({variable}).isdisjoint(names(channels)):
            raise Fixed("channels that are known in a turn alone", channels)
        whole = each(channels, variable, count)
        elements = Elements(data.shapes, SymList((int(data.shapes[0].c),), whole))
        only = loop.body[0] if len(loop.body) == 1 else None
        if isinstance(only, Pick) and only.wire == data.wires[0] and only.index == term(named(0, variable)):
            begins = over.atom.op != "call" or len(over.atom.args) == 2
            if begins and self.staged.lists.get(only.whole) == count:  # a list's own values
                self.items.pop()
                return Streams((only.whole,), (self.of_length(count, len(over.items)),), False, elements)
        result = self.list_wire(count, len(over.items), place, place.span(node))
        loop.gathered.append(Gathered(data.wires[0], result.wires[0]))
        return Streams(result.wires, result.shapes, False, elements)

    def joined_list(self, node: tree.Merge, place: Place) -> Data:
        """Return what a joint makes of branches whose number is not known: of a list, which its lines fill."""
        kind, span, begin = node.joint.text, place.span(node), len(self.drafts)
        if place.defaults.get(kind) or kind in place.broken:
            raise Fixed(f"a loop of branches of {kind}")
        self.observe_numbers(lambda walker, there: walker.merged(node, there), place)
        outer, flow = self.joining, place.flow
        joining = self.joining = Joining(kind, f"{outer.key if outer else ''}+")
        try:
            self.join_lines(node.body, place, flow)
        finally:
            self.joining = outer
        place.flow = flow
        filled = place.env.tensors.pop(joining.key, None)
        if joining.begun and not isinstance(filled, Parts):
            raise Fixed("a joint of branches in loops of loops")
        if filled is None and not any(isinstance(part, Streams) for part in joining.parts):
            return self.join(node.joint, joining.parts, [""] * len(joining.parts), place, begin)
        if len(joining.parts) == 1 and filled is None:
            self.some(joining.parts[0].shapes[0][0], f"{kind} has no branches")
        shape = filled.shapes[0] if filled is not None else self.of_joint(kind, joining.parts)
        whole = filled or self.collect(joining.parts, shape, place, span)
        result = self.wire((shape,), place, span, whole.wires)
        self.put(Joined(catalogue()[kind](), shape, whole.wires[0], result.wires[0]))
        return result

    joining: Joining | None = None

    def join_lines(self, body: tree.Body, place: Place, flow: Data | None) -> None:
        """Run lines of a joint, whose branches go into a list."""
        assert self.joining is not None

        def run(body: tree.Body) -> None:
            self.join_lines(body, place, flow)

        for node in body:
            place.flow = flow
            if isinstance(node, tree.Annotated):
                self.allow(node, place)
                node = node.statement
            if isinstance(node, tree.If):
                self.join_either(node, run, place)
            elif isinstance(node, tree.For):
                self.join_turns(node, run, place, flow)
            else:
                branches: list[tuple[str, Data]] = []
                if not super().branch(node, place, flow, branches):
                    raise Poisoned
                for _, data in branches:
                    self.join_one(data, place, place.span(node))
        place.flow = flow

    def join_either(self, node: tree.If, run: Callable[[tree.Body], None], place: Place) -> None:
        """Run a condition of a joint."""
        for at, case in enumerate(node.cases):
            holds = self.evaluator.truth(case.condition, place.env, place.source)
            if isinstance(holds, SymBool):
                self.fill(partial(self.cases, node, at, run, place), place, place.span(node))
                return
            if holds:
                run(case.body)
                return
        run(node.otherwise)

    def join_turns(
        self, node: tree.For, run: Callable[[tree.Body], None], place: Place, flow: Data | None
    ) -> None:
        """Run a loop of a joint."""
        joining, over = self.joining, self.iterable(node, place)
        assert joining is not None
        if over is None or not (mentioned(over.atom) or self.loops):
            for _ in self.turns(node, place):
                run(node.body)
            return
        before = Snapshot(self, place)
        if one_branch(node.body) and not joining.probing:
            try:
                self.join_one(self.gathered(node, place, flow), place, place.span(node))
                return
            except Demanded:
                raise
            except Fixed:
                self.gathering = False
                before.restore(self, place)
        variables = tuple(name.text for name in node.names)
        span = place.span(node)
        turn = partial(self.loop, over, node.names, variables, lambda: run(node.body), place, span)
        self.fill(turn, place, span)

    def fill(self, run: Callable[[], None], place: Place, span: Span) -> None:
        """Run what puts branches into a joint's list under conditions, or in turns."""
        joining = self.joining
        assert joining is not None
        if joining.key not in place.env.tensors and not joining.probing:
            if joining.parts:
                shape = self.of_joint(joining.kind, joining.parts)
            else:
                shape = self.probed(run, place)
            place.env.tensors[joining.key] = self.collect(joining.parts, shape, place, span)
            joining.begun = True
        run()

    def probed(self, run: Callable[[], None], place: Place) -> Shape:
        """Return the shape of a joint that has no branches yet, of whose first one nothing else is made here."""
        joining, before, unrolling = self.joining, Snapshot(self, place), self.unrolling
        assert joining is not None
        joining.probing = True
        try:
            run()
            raise Fixed(f"{joining.kind} has no branches")
        except Probed as probed:
            shape = probed.shape
        finally:
            joining.probing, self.unrolling = False, unrolling
            before.restore(self, place)
        sizes = [
            n if axis == "c" else self.unknown_size(int(n)) for axis, n in zip(shape.axes, shape, strict=True)
        ]
        shape = Shape(*sizes, axes=shape.axes)
        if joining.kind == "concat":
            return shape.with_size("c", 0)
        if not set(mentioned(shape.c)) <= {*self.hints} and not self.guessing:
            raise Fixed("channels that are known in a turn alone", shape.c)
        return shape

    def join_one(self, data: Data, place: Place, span: Span) -> None:
        """Put a branch, or all of a list, into a joint's list."""
        joining = self.joining
        assert joining is not None
        if not isinstance(data, Streams):
            data = self.single(data, span)
        if "c" not in data.shapes[0].axes and not isinstance(data, Streams):
            raise Fixed("a joint of what has no channels")
        if joining.probing:
            raise Probed(self.of_joint(joining.kind, [data]))
        if isinstance(self.drafts[data.wires[0].draft].op, Weight):
            raise Fixed("a learned tensor among branches that are not known")
        self.reading(data)
        filled = place.env.find_tensor(joining.key)
        if joining.begun and not isinstance(filled, Parts):
            raise Fixed("a joint of branches in loops of loops")
        if filled is None:
            joining.parts.append(data)
            return
        shape = self.of_joint(joining.kind, [filled, data])
        place.env.tensors[joining.key] = self.collect([filled, data], shape, place, span, grows=True)

    def collect(
        self, parts: Sequence[Data], shape: Shape, place: Place, span: Span, grows: bool = False
    ) -> Data:
        """Return the list of a joint's branches: that of a loop that made it, or a new one."""
        made = [one.after for loop in self.items if isinstance(loop, Loop) for one in loop.gathered]
        if len(parts) == 1 and parts[0].wires[0] in made:
            return Parts(parts[0].wires, (shape,))
        result = self.wire((shape,), place, span)
        self.items.append(Collect(tuple(part.wires[0] for part in parts), result.wires[0], grows))
        return self.like(Parts(result.wires, result.shapes))

    def of_joint(self, kind: str, parts: Sequence[Data]) -> Shape:
        """Return the shape of what a joint makes of values, and of all values of lists."""
        shapes: list[Shape] = []
        for part in parts:
            shape = part.shapes[0]
            if isinstance(part, Streams):
                shape = part.elements[0]
                whole: Atom = part.elements.channels.whole  # type: ignore[attr-defined]
                if kind == "concat":
                    c = total(whole)
                elif whole.op == "each" and whole.args[1] not in names(whole.args[0]):
                    c = whole.args[0]
                elif whole.op == "name":
                    c = replaced(item_of(whole, constant(0)), {})
                    others = Atom("call", ("len", Atom("call", ("set", whole))))
                    what = f"{{{text(whole)}}} channels cannot be joined"
                    self.checked(Atom("==", (single(others), constant(1))), what)
                else:
                    raise Fixed("a sum of values with other channels in every turn", whole)
                shape = shape.with_size("c", SymInt(int(self.here(c)), c))
            shapes.append(shape)
        if len({shape.axes for shape in shapes}) > 1:
            raise Fixed("a joint of values of several kinds")
        if kind == "add":
            counts = [length(p.elements.channels.whole) if isinstance(p, Streams) else None for p in parts]  # type: ignore[attr-defined]
            self.must_agree(shapes, [c if c is not None and c.constant is None else None for c in counts])
            return max(shapes, key=lambda shape: shape.elements)
        return shapes[-1].with_size("c", sum(shape.c for shape in shapes))

    def one_branch(self, body: tree.Body, place: Place, flow: Data | None) -> None:
        """Run lines that make one branch of a joint, which then flows."""
        mine: list[tuple[str, Data]] = []
        if not self.fork(body, place, flow, mine):
            raise Poisoned
        if len(mine) != 1:
            raise Fixed(f"{len(mine)} branches in a turn")
        place.flow = mine[0][1]

    def collected(self, parts: list[Data], elements: Elements, place: Place, span: Span) -> Streams:
        """Return the list of values and of all values of lists."""
        if len(parts) == 1 and isinstance(parts[0], Streams):
            whole = parts[0].elements.channels.whole  # type: ignore[attr-defined]
            return parts[0].replace(elements=Elements(elements, SymList(elements.channels, whole)))
        terms: list[Any] = []
        for part in parts:
            if isinstance(part, Streams):
                terms.append(Atom("star", (part.elements.channels.whole,)))  # type: ignore[attr-defined]
            else:
                terms.append(self.expanded(term(self.single(part, span).shapes[0].size("c"))))
        whole = Atom("list", tuple(terms))
        result = self.list_wire(length(whole), len(elements), place, span)
        self.items.append(Collect(tuple(part.wires[0] for part in parts), result.wires[0]))
        return Streams(
            result.wires, result.shapes, False, Elements(elements, SymList(elements.channels, whole))
        )

    def of_length(self, count: Any, hint: int) -> Shape:
        """Return the shape of a list."""
        return Shape(SymInt(hint, count), axes=LIST)

    def list_wire(self, count: Any, hint: int, place: Place, span: Span) -> Data:
        """Return a new list."""
        result = self.wire((self.of_length(count, hint),), place, span)
        self.staged.lists[result.wires[0]] = count
        return result

    def like(self, data: Data, *others: Data) -> Data:
        """Return values as a list where they are one like others."""
        if any(isinstance(one, Parts) for one in (data, *others)):
            self.opaque += 1  # how many values there are is not known
            self.staged.lists[data.wires[0]] = single(Atom("name", (f"?{self.opaque}",)))
            return Parts(data.wires, data.shapes)
        if not any(isinstance(other, Streams) for other in others):
            return data
        first = others[0]
        if not isinstance(first, Streams):
            raise Fixed("a list in the place of a value")
        whole: Atom = first.elements.channels.whole  # type: ignore[attr-defined]
        for other in others[1:]:
            if not isinstance(other, Streams) or term(other.elements.channels) != whole:
                raise Fixed("lists of other channels")
        self.staged.lists[data.wires[0]] = length(whole)
        return Streams(data.wires, data.shapes, False, first.elements)

    def picked(self, value: Data, index: int) -> Data:
        """Return one value of a list, which is an item when something reads it, and not its channels alone."""
        at = term(index)
        if isinstance(value, Streams):
            whole, elements = value.wires[0], value.elements
            at = position(elements.channels.whole, at)  # type: ignore[attr-defined, arg-type]
            channels = item_of(elements.channels.whole, at)  # type: ignore[attr-defined]
        else:
            whole, (general, env) = self.whole_of(value, index)
            elements = Elements(value.shapes, ())
            own = {**env, "?index": index}
            channels = term(evaluate(item_of(general, single(Atom("name", ("?index",)))), own))
        if not -len(elements) <= int(index) < len(elements):
            raise Fixed("a list that is shorter", index)
        shape = elements[int(index)]
        sizes: list[int] = []
        for axis, size in zip(shape.axes, shape, strict=True):
            known = channels if isinstance(channels, Poly) else single(channels)
            sizes.append(SymInt(int(size), known) if axis == "c" else self.unknown_size(int(size)))
        place = self._deciding[1]
        data = self.wire((Shape(*sizes, axes=shape.axes),), place, place.scope.span)
        self.picks[data.wires[0]] = self.unread[data.wires[0]] = Pick(whole, at, data.wires[0])
        return data

    def whole_of(self, value: Data, index: int) -> tuple[Wire, Any]:
        """Return the list that a tuple is all of, and its channels."""
        picks = [self.picks.get(wire) for wire in value.wires]
        whole = picks[0].whole if picks[0] is not None else None
        every = [
            pick is not None and pick.whole == whole and pick.index == constant(n)
            for n, pick in enumerate(picks)
        ]
        if whole is None or whole not in self.results or not all(every):
            raise Fixed("which value it is is not known", index)
        if self.staged.lists[whole] != constant(len(picks)):
            raise Fixed("which value it is is not known", index)
        return whole, self.results[whole]

    def reading(self, data: Data) -> None:
        """Put down the values of lists that something is about to read."""
        for wire in data.wires:
            if wire in self.unread:
                self.items.append(self.unread.pop(wire))

    @staticmethod
    def single(data: Data | None, span: Span) -> Data:
        """Return a branch's one value."""
        if isinstance(data, Streams):
            raise Fixed("a branch that is a list")
        return Walker.single(data, span)

    def refs(self, refs: tuple[tree.Ref, ...], place: Place) -> Data:
        """Return the values that `from` names."""
        data = super().refs(refs, place)
        if len(refs) > 1 and any(map(listed, data.shapes)):
            raise Fixed("a list among other values")
        return data

    def rehearsed(
        self, run: Callable[[Walker, Place], Data], place: Place, walker: Walker | None = None
    ) -> tuple[Shape, ...]:
        """Return the shapes of what something gives in this instance, for which all values are known."""
        walker = walker or Walker(self.settings, {}, self.max_nodes)
        env, scope = self.plain(place.env, walker, place), DraftScope("block", "", place.scope.span)
        there = Place(env, None, scope, place.source, {}, place.in_net)
        there.container = place.container
        there.defaults = {
            op: {name: one._replace(value=concrete(one.value)) for name, one in given.items()}
            for op, given in place.defaults.items()
        }
        if place.flow is not None:
            there.flow = there.env.tensors["flow"] = drafted(walker, place.flow, place)
        walker.at(there)
        result = run(walker, there)
        if walker.errors or walker.decisions or result.poisoned:
            raise Poisoned
        return result.shapes

    def plain(self, env: Env, walker: Walker, place: Place) -> Env:
        """Return the names of a scope with values that remember nothing."""
        if env.parent is None or env is self.staged.decl.file.env:
            return env
        found = Env(self.plain(env.parent, walker, place))
        found.names = {name: concrete(value) for name, value in env.names.items()}
        found.tensors = {name: drafted(walker, data, place) for name, data in env.tensors.items()}
        if env is self.root:
            for (before, after), shapes in self.numbers.items():
                for number, shape in shapes.items():
                    own = Data((Wire(0, 0),), (shape,))
                    found.tensors[f"{before}{number}{after}"] = drafted(walker, own, place)
        return found

    # ---------------------------------------------------------------- joints of layers

    def join(self, joint: tree.Name, values: list[Data], names: list[str], place: Place, begin: int) -> Data:
        """Return the joint of branches; their channels must be the same for all arguments."""
        result = super().join(joint, values, names, place, begin)
        if len(values) > 1 and joint.text in ("add", "mul"):
            self.must_agree([v.shapes[0] for v in values])
        return result

    def layer(self, node: tree.Layer, data: Data, place: Place, label: tree.Label | None) -> Data:
        """Run `op args`."""
        if isinstance(data, Streams) and node.op.text in ("add", "concat") and not node.args:
            return self.joint_of_list(node.op.text, data, place, place.span(node))
        if isinstance(data, Streams) and node.op.text in JOINTS:
            raise Fixed(f"{node.op.text} of a list", data.elements.channels, data.shapes[0][0])
        one = super().layer
        result = self.either_way(lambda flow: one(node, flow, place, label), data, place, node)
        if node.op.text in ("add", "mul") and len(data.wires) > 1:
            self.must_agree(list(data.shapes))
        return result

    def must_agree(self, shapes: list[Shape], counts: Sequence[Poly | None] = ()) -> None:
        """Demand that values have the same channels where they are not known to, if there are any of them."""
        first = shapes[0].c if "c" in shapes[0].axes else None
        for at, shape in enumerate(shapes[1:], 1):
            if first is None or "c" not in shape.axes or 1 in (first, shape.c):
                continue
            if not self.equal(first, shape.c):
                test = compare("==", *((first, shape.c) if symbolic(first) else (shape.c, first)))
                if isinstance(test, SymBool):
                    what = f"{_braced(first)} and {_braced(shape.c)} channels cannot be joined"
                    own = [n for n in (counts[0], counts[at]) if n is not None] if counts else []
                    none = tuple(Atom("<", (count, constant(1))) for count in own if not self.is_full(count))
                    self.check(Atom("or", (*none, test.test)) if none else test.test, what)

    def is_full(self, count: Poly) -> bool:
        """Tell whether a list that comes in has as many values, which is not empty."""
        return any(self.staged.lists[i.wire] == self.expanded(count) for i in self.staged.inputs if i.many)

    def check(self, test: Atom, message: str) -> None:
        """Demand something of the arguments."""
        read = names(self.expanded(test))
        if any(name.startswith("?") or name in self.emitter.sizes for name in read):
            return
        items = self.items
        for container, outer in reversed(self.opened_scopes):
            counted = {inner.name for inner in walk(container.items) if isinstance(inner, Let)}
            if items is container.items and counted.isdisjoint(read):  # a chain is built of modules alone
                items = outer
        item = Check(test, message)
        items.insert(len(items) - (items is not self.items), item)
        self.path.append(test)
        self.demanded.add(test)

    # ---------------------------------------------------------------- loops

    def for_line(self, node: tree.For, place: Place) -> None:
        """`for`: one turn that stands for all, or turn by turn where that cannot be."""
        over = self.iterable(node, place)
        if over is None:
            super().for_line(node, place)
            return
        self.observe_numbers(lambda walker, there: _after(walker, node, there), place)
        before = Snapshot(self, place)
        variables = tuple(readable(name.text) for name in node.names)
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
                        what = f"{self.staged.name} needs at least 1 turn, not {{{text(count)}}}"
                        if any(parameter.name == text(count) for parameter in self.staged.params):
                            self.at_least(count, 1, what)
                        else:
                            self.positive(SymInt(1, count), what)
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

    @contextmanager
    def counting(self, node: tree.For, over: Over) -> Iterator[None]:
        """Be in a loop, whose variable is a number that counts its turns, or none does."""
        plain = over.atom.op == "call" and over.atom.args[0] == "range" and len(over.atom.args) == 2
        variable = readable(node.names[0].text)
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

    def observe(self, node: tree.For, place: Place) -> Mapping[int, list[Seen]]:
        """Return the shapes that the calls of blocks in a loop get, turn by turn.

        Of calls that this instance does not make, they are what an option gives them that is taken otherwise.
        """
        found: dict[int, list[Seen]] = {}
        plain = dict(place.env.names)
        read = {part.text for part in pieces(node) if isinstance(part, tree.Name)}
        options = [p.name for p in self.staged.params if p.kind == "bool" and p.name in read]
        for option in ("", *options):
            if option:
                place.env.names[option] = not concrete(place.env.find_name(option))
            observer = Observer(self.settings, {}, self.max_nodes)
            try:
                self.rehearsed(lambda walker, there: _after(walker, node, there), place, observer)
            except (SpecError, Poisoned):
                continue
            finally:
                place.env.names = dict(plain)
            found = {**observer.calls, **found}
        return found

    def answer(self, staged: Staged, test: Atom, values: Mapping[str, Any], env: Mapping[str, Any]) -> Any:
        """Return what a call says of the sizes that it gives, in terms of the turns around it if it must."""
        seen = (self.observed or {}).get(id(self.site))
        if seen is None:
            return self.sized(evaluate(test, env))
        self.for_size()
        self.by_count = self.unsure
        plain = {name: concrete(value) for name, value in values.items()}
        turns: dict[tuple[int, ...], bool] = {}
        for turn, shapes in seen:
            turns[turn] = bool(evaluate(test, self.emitter.environment(staged, plain, shapes)))
        return self.by_turn(turns)

    def for_size(self) -> None:
        """Demand that the sizes of the net's inputs are known."""
        sizes = [
            n
            for i in self.staged.inputs
            for axis, n in zip(i.shape.axes, i.shape, strict=True)
            if axis != "c"
        ]
        unknown = [n for n in sizes if not all(name in self.emitter.sizes for name in mentioned(n))]
        if unknown:
            raise Demanded("what changes from turn to turn is known for a size", *unknown)

    def by_turn(self, turns: Mapping[tuple[int, ...], bool]) -> Any:
        """Return a truth of every turn as an expression: always so, or in the first turn of a loop alone."""
        if len(set(turns.values())) == 1:
            return next(iter(turns.values()))
        for at, variable in reversed(list(enumerate(self.counts))):
            for op in (">", "==") if variable else ():
                if all(truth == compare(op, turn[at], 0) for turn, truth in turns.items()):
                    return compare(op, named(int(self.hints[variable]), variable), 0)
        raise Fixed("sizes that change from turn to turn")

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
            atom = atom or self.emitter.constant(node, value)
            if atom is None:
                return None
            rows = [RowValue(value.columns, tuple(map(concrete, row))) for row in value.rows]
            more = [RowValue(value.columns, row) for row in getattr(value, "others", ())]
            return Over(atom, rows, rows[0], more)
        if isinstance(value, SymDims) or not isinstance(value, tuple) or isinstance(value, Dims) or not value:
            return None
        known = atom is None
        atom = atom or self.emitter.constant(node, value)
        if atom is None:
            return None
        return Over(atom, [concrete(one) for one in value], value[0], (), known)

    def loop(
        self,
        over: Over,
        targets: tuple[tree.Name, ...],
        variables: tuple[str, ...],
        run: Callable[[], Any],
        place: Place,
        span: Span,
    ) -> None:
        """Run one turn that stands for all: what goes from turn to turn is carried."""
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
        known: Mapping[Pattern, tuple[Writer, ...]] = before.state[-1][-1]
        written = {
            pattern: self.writers.get(pattern, ())[len(known.get(pattern, ())) :]
            for pattern in self.looked_up
        }
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
        entry_flow, entry_tensors, entry_names = place.flow, dict(place.env.tensors), dict(place.env.names)
        carried: dict[str, tuple[Data, Data, list[tuple[str, Any]]]] = {}
        for key, number in varying.items():
            if key == "flow" or key.startswith(":"):
                if number is LOST:
                    place.flow = None
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
            else:
                self.put(Let(key, entry_names[key]))
                place.env.names[key] = self.hinted(entry_names[key], key)
        hint = over.first
        self.turning += variables
        whole = (
            over.atom.args[1] if over.atom.op == "call" and over.atom.args[0] == "enumerate" else over.atom
        )
        if whole.op == "name" and len(variables) == 1 + (whole is not over.atom):
            self.each_of[variables[-1]] = f"*{whole.args[0]}"
        self.bind_targets(over, targets, variables, hint, place.env, place.source)
        self.loops += 1
        path, meaning = list(self.path), dict(self.meaning)
        bound = {t.text for t in targets}
        start_names = dict(place.env.names)
        with self.into(loop.body):
            run()
        self.loops -= 1
        del self.turning[len(self.turning) - len(variables) :]
        self.path = path
        if place.flow is not None and place.flow.poisoned:
            raise Poisoned
        found = self.varied(
            entry_flow, entry_tensors, entry_names, start_names, bound, varying, carried, place
        )
        if found:
            return found
        self.tell_turns_apart(loop)
        self.items.append(loop)
        self.end_turn(loop, over, carried, varying, entry_names, start_names, place, span)
        joints = {name: data for name, data in entry_tensors.items() if isinstance(data, Parts)}
        for name in joints.keys() - {key[1:] for key in carried}:  # what no turn changes
            place.env.tensors[name] = joints[name]
        self.meaning = {**meaning, **{k: v for k, v in self.meaning.items() if k in meaning}}
        for name in bound:
            place.env.names.pop(name, None)
        return None

    def tell_turns_apart(self, loop: Loop) -> None:
        """Demand that modules without labels, which another turn makes otherwise, can be called after the turn."""
        if loop.counter is not None or self.opened_scopes:
            return
        if not any(
            isinstance(p, tree.Merge) or getattr(p, "label", None) for p in pieces(self.staged.decl.node)
        ):
            return  # all are elements of one chain
        if any(isinstance(item, Layer) and item.varies([loop]) for item in loop.modules()):
            raise Fixed("a layer that is another one in every turn", *self.loop_terms())

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
                elif axis == "c":
                    name = self.local("channels" if len(data.shapes) == 1 else f"channels{port}")
                    lets.append((name, size))
                    sizes.append(self.hinted(size, name))
                else:
                    sizes.append(self.unknown_size(size))
            shapes.append(Shape(*sizes, axes=shape.axes))
        return self.like(self.wire(tuple(shapes), place, span), data), lets

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
            if now is None or end is None or now.wires == end.wires or varying.get(key) is LOST:
                continue
            if key == "flow" and isinstance(now, Streams) != isinstance(end, Streams):
                found[key] = LOST
                continue
            if end.poisoned or len(end.wires) != len(now.wires):
                raise Fixed("a tuple that changes its length", *self.loop_terms())
            self.like(now, now, end)
            changes: dict[int, tuple[str, ...]] = dict(varying.get(key, {}))
            new = key not in varying
            for port, (a, b) in enumerate(zip(now.shapes, end.shapes, strict=True)):
                if a.axes != b.axes:
                    raise Fixed("a value that changes its kind", *self.loop_terms())
                axes = {x for x, m, n in zip(a.axes, a, b, strict=True) if not self.equal(m, n)}
                axes -= {x for x in axes if x != "c" and x in changes.get(port, ())}
                axes -= {"c"} if "c" in changes.get(port, ()) else set()
                if axes:
                    changes[port] = (*changes.get(port, ()), *sorted(axes))
                    new = True
            if new:
                found[key] = changes
        for name, value in values.items():
            now_value = place.env.names.get(name, MISSING)
            if name in bound or now_value is start.get(name) or name in varying:
                continue
            if isinstance(value, (int, float, SymBool)) and isinstance(now_value, (int, float, SymBool)):
                if term(now_value) != term(start.get(name)):
                    found[name] = True
            elif now_value is not value:
                raise Fixed(f"{name} changes from turn to turn", *self.loop_terms())
        return found

    def loop_terms(self) -> tuple[Any, ...]:
        """Return what a loop's turns depend on, for an error."""
        return ()

    def end_turn(
        self,
        loop: Loop,
        over: Over,
        carried: Mapping[str, tuple[Data, Data, list[tuple[str, Any]]]],
        varying: Mapping[str, Any],
        entry_names: Mapping[str, Any],
        start_names: Mapping[str, Any],
        place: Place,
        span: Span,
    ) -> None:
        """Say what the next turn begins with, and what is there after the last."""
        updates: list[tuple[str, Any]] = []
        lasting: list[tuple[Data, Data, Data]] = []
        for key, (begin, inside, lets) in carried.items():
            end = place.flow if key == "flow" else place.env.tensors[key[1:]]
            assert end is not None
            variables = iter(lets)
            for port, last in enumerate(end.shapes):
                if "c" in varying[key].get(port, ()):
                    name, first = next(variables)
                    updates.append((name, last.c))
                    self.note_after(name, first, last.c, over, loop)
            after = self.wire(
                self.lasting(inside, end, varying[key], over, loop), place, span, begin.wires[:1]
            )
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
            del place.env.names[name]  # of one turn only
        for name in [n for n in place.env.tensors if n not in start_names and f":{n}" not in carried]:
            if name != "flow" and place.env.tensors[name] is not None:
                self.keep(name, place)
        changed = [
            (name, value)
            for name, value in updates
            if term(value)
            != term(
                named(int(value), name) if isinstance(value, int) and not isinstance(value, bool) else value
            )
        ]
        for name, value in changed:
            loop.body.append(Let(name, value, again=True))
        self.last_turn(loop, over, lasting, changed, place)
        if place.flow is not None:
            place.env.tensors["flow"] = place.flow

    def note_after(self, name: str, first: int, last: int, over: Over, loop: Loop) -> None:
        """Note what a variable is after a loop of whose turns each gives it the same value."""
        try:
            count = self.expanded(counted_by(over, loop.targets)[1])
        except Fixed:
            return
        value = replaced(self.expanded(term(last)), {})
        own = {*loop.targets, name, *(item.name for item in walk(loop.body) if isinstance(item, Let))}
        some = compare(">", SymInt(1, count), 0)
        if own.isdisjoint(names(value)) and isinstance(some, SymBool):
            first = SymInt(int(first), replaced(self.expanded(term(first)), {}))
            self.after[name] = term(select(some, SymInt(int(last), value), first))

    def lasting(
        self, inside: Data, end: Data, changed: Mapping[int, Any], over: Over, loop: Loop
    ) -> tuple[Shape, ...]:
        """Return what is there after a loop: what every turn ends with, if there is a turn for all arguments."""
        if not over.items or mentioned(over.atom):
            return inside.shapes
        own = {*loop.targets, *(item.name for item in loop.body if isinstance(item, Let))}
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
        for name in updates:
            self.hints[name] = env[name]
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
            del place.env.tensors[name]

    def comprehended(self, node: tree.Comprehension, env: Env, source: Source) -> SymList | None:
        """Return a list of ints over what is not known; None where it is known."""
        over = self.over_what(node.iterable, env, source)
        if over is None or not mentioned(over.atom) or not over.items:
            return None
        variables = tuple(name.text for name in node.names)
        variable, count, known = counted_by(over, variables)
        hints, meaning = dict(self.hints), dict(self.meaning)
        inner = Env(env)
        self.bind_targets(over, node.names, variables, over.first, inner, source)
        value = self.evaluator.eval(node.value, inner, source)
        if not isinstance(value, int):
            return None
        whole = each(replaced(term(value), known), variable, count)
        self.hints, self.meaning = hints, meaning
        return SymList(self.here(self.expanded(whole)), whole)

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
        for one in (*over.items, *over.others):
            self.evaluator.unpack(targets, one, env, source)
            for target in targets:
                found[target.text].append(env.names[target.text])
        self.evaluator.unpack(targets, hint, env, source)
        for target, variable in zip(targets, variables, strict=True):
            self.hints[variable] = concrete(env.names[target.text])
            others = found[target.text]
            rows = tuple(getattr(one, "cells", one) for one in others if isinstance(one, (RowValue, tuple)))
            env.names[target.text] = opened(
                env.names[target.text], Atom("name", (variable,)), rows or ops(others)
            )
            self.meaning.pop(variable, None)

    def turns(self, node: tree.For, place: Place) -> Iterator[None]:
        """Bind the loop's names for each turn, where all are known."""
        return super().turns(node, place)

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
            start, number = self.items, len(self.items)
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
                    if len(loop.body) == 1 and isinstance(loop.body[0], Module):
                        return result
            except Fixed:
                pass
            finally:
                place.copy = copy
            before.restore(self, place)
            del number
        return super().repeat(node, data, place)

    def repeat_loop(
        self, node: tree.Repeat, count: Any, number: int, data: Data, place: Place, later: int = 0
    ) -> Data:
        """Write a repetition as a loop; `later`: its first turn is not the first copy."""
        before = Snapshot(self, place)
        outer, copy = place.flow, place.copy
        variable = next(name for name in "ijkmn" if name not in self.turning and self.unused(name))
        place.flow = data

        def run() -> None:
            place.copy = 1 if later else named(0, variable)
            place.flow = self.step(node.step, place.flow, place)

        over = Over(Atom("call", ("range", count)), list(range(number)), 0)
        self.at_least(count, 0, "a repetition needs a whole number from 0")
        try:
            self.loop(over, (), (variable,), run, place, place.span(node.count))
            result = self.known(place.flow)
        except Fixed as fixed:
            before.restore(self, place)
            fixed.names = {**fixed.names, **names(count)}
            raise
        finally:
            place.copy = copy
        place.flow = outer
        return result

    def unused(self, name: str) -> bool:
        """Tell whether neither the text nor an argument has a name."""
        return name not in self.emitter.words(self.staged.decl)

    def local(self, wanted: str, more: str = "") -> str:
        """Return a name for a local variable that nothing here has."""
        taken = {parameter.name for parameter in self.staged.params} | self.emitter.reserved
        taken |= {own for incoming in self.staged.inputs for own in incoming.sizes.values()}
        taken |= self.taken_locals
        candidates = [wanted, *more] if more else [wanted]
        number = 2
        for name in candidates:
            if name not in taken:
                break
        else:
            while f"{wanted}{number}" in taken:
                number += 1
            name = f"{wanted}{number}"
        return name

    @property
    def taken_locals(self) -> set[str]:
        """The names that are bound here."""
        return {*self.meaning, *self.assigned, *self.emitter.words(self.staged.decl)}

    @property
    def assigned(self) -> set[str]:
        """The names of local variables so far."""
        found: set[str] = set()
        stack = [self.staged.items, self.items]
        while stack:
            for item in stack.pop():
                if isinstance(item, Let):
                    found.add(item.name)
                elif isinstance(item, Child) and item.result:
                    found.add(item.result)
                stack += item.inner()
        return found

    # ---------------------------------------------------------------- numbers

    def assign(self, node: tree.Assign, place: Place) -> None:
        """`w = 4*c`: a local variable, if it is not the same for all."""
        super().assign(node, place)
        made: list[Let] = []
        for target in node.targets:
            name = self.evaluator.text(target, place.env, place.source)
            value = place.env.names[name]
            own = readable(name)
            if type(value) is tuple and len(value) > 1 and all(map(is_number, value)):
                variable = self.local(own)
                self.put(Let(variable, value))
                self.hints[variable], self.meaning[variable] = value, term(value)
                place.env.names[name] = Constants(value, Atom("name", (variable,)))
                continue
            if own in self.assigned:  # of another turn
                continue
            if isinstance(value, SymList) and value.whole.op == "each":
                self.put(Let(own, value))
                self.hints[own], self.meaning[own] = tuple(value), self.expanded(value.whole)
                place.env.names[name] = SymList(value, Atom("name", (own,)))
                continue
            if not isinstance(value, (int, float, SymBool)) or not symbolic(value) or not self.worth(value):
                continue
            variable = own if own.isidentifier() else self.local("value")
            made.append(Let(variable, value))
            self.put(made[-1])
            self.meaning[variable] = self.expanded(term(value))
            place.env.names[name] = self.hinted(value, variable)
        lists = {list_of(let.value) for let in made}
        if len(made) == len(node.targets) > 1 and len(lists) == 1 and None not in lists:
            for let in made:
                let.unpacked = tuple(made) if let is made[0] else ()

    def worth(self, value: Any) -> bool:
        """Tell whether a value gets a local variable: it can be computed here, and is no name already."""
        read = names(self.expanded(term(value)))
        if any(n.startswith("?") or n in self.emitter.sizes for n in read):
            return False
        whole = term(value)
        atom = whole.atom if isinstance(whole, Poly) else whole
        if atom is not None and atom.op == "not":
            atom = atom.args[0]
        return atom is None or atom.op != "name"

    def ramped(self, node: tree.CallExpr, values: Mapping[str, Any]) -> Any:
        """Return a depth schedule's number here: what it rises to, times the turn, through the turns."""
        if self.staged.kind != "net":
            return self.asked_ramp(node, values)
        known = next((s for s in self.schedules if s.node is node), None)
        if known is None:
            number = "" if not self.schedules else str(len(self.schedules) + 1)
            known = Schedule(node, f"step{number}", f"steps{number}", bool(values["endpoint"]))
            self.schedules.append(known)
        self.counted.append(known)
        start, stop = values["start"], values["stop"]
        height = arithmetic("-", stop, start) if symbolic(start) or start else stop
        rise = arithmetic("*", float(height) if not symbolic(height) else height, named(0, known.variable))
        value = arithmetic("/", rise, named(1, known.total))
        if symbolic(start) or start:
            value = arithmetic("+", start, value)
        return SymFloat(float(start), value.atom)

    def input(self, node: tree.Input, place: Place) -> None:
        """`input 3, 224x224`: sizes that no argument gives are those of the net that was compiled."""
        super().input(node, place)
        name = next(reversed(self.inputs))
        data = place.env.tensors[name]
        prefix = "in" if name == "x" else name
        sizes: list[int] = []
        for axis, size in zip(data.shapes[0].axes, data.shapes[0], strict=True):
            own = f"{prefix}_{SIZES[axis]}"
            if axis == "c" or isinstance(size, SymInt):
                sizes.append(size)
                continue
            self.emitter.sizes.add(own)
            self.staged.bound[own] = int(size)
            sizes.append(self.hinted(size, own))
        shape = Shape(*sizes, axes=data.shapes[0].axes)
        self.drafts[self.inputs[name]].shapes = (shape,)
        known = Data(data.wires, (shape,))
        place.env.tensors[name] = known
        flow = place.flow
        assert flow is not None
        place.flow = Data(flow.wires, (*flow.shapes[:-1], shape))
        self.staged.inputs.append(Incoming(name, data.wires[0], shape, {}))

    def asked_ramp(self, node: tree.CallExpr, values: Mapping[str, Any]) -> Any:
        """Return a depth schedule's number in a block: an argument, which the net's class counts for."""
        if self.loops or self.sided:
            raise Fixed("a ramp under a condition or in a loop of a block")
        name = self.local("rate")
        self.staged.params.append(Parameter(name, "float", float(values["start"]), MISSING))
        self.staged.ramps[name] = (node, {key: self.expanded_value(value) for key, value in values.items()})
        return self.hinted(float(values["start"]), name)

    def expanded_value(self, value: Any) -> Any:
        """Return a number over the class's arguments alone."""
        return SymFloat(float(value), self.expanded(value.atom)) if isinstance(value, SymFloat) else value

    # ---------------------------------------------------------------- layers and scopes

    def stage(self, node: tree.Stage, place: Place) -> None:
        """`stage 4: ...`: transparent."""
        name, begin = self.evaluator.text(node.name, place.env, place.source), len(self.items)
        self.pending = "" if isinstance(name, SymStr) else name
        super().stage(node, place)
        for item in reversed(self.items[begin:]):
            if isinstance(item, (Module, If, Loop)):
                item.ends = name
                break

    def open(
        self,
        kind: Any,
        label: tree.Label | None,
        span: Span,
        entry: tuple[Wire, ...],
        place: Place,
        block: str = "",
    ) -> DraftScope:
        """Begin a container."""
        scope = super().open(kind, label, span, entry, place, block)
        name = label if isinstance(label, SymStr) else None
        if label is not None and not isinstance(label, str):
            shown = self.evaluator.text(label, place.env, place.source)
            name = shown if isinstance(shown, SymStr) else None
        item = Container(scope.name, name.whole if name is not None else None, label is not None, span, entry)
        self.put(item)
        self.opened_scopes.append((item, self.items))
        self.items = item.items
        return scope

    def close(self, scope: DraftScope, result: Data | None) -> None:
        """End a container."""
        super().close(scope, result)
        item, self.items = self.opened_scopes.pop()
        item.exit = result.wires if result is not None else ()

    @property
    def opened_scopes(self) -> list[tuple[Container, list[Item]]]:
        """The containers that this is in, with the lists they stand in."""
        found: list[tuple[Container, list[Item]]] = self.__dict__.setdefault("_opened", [])
        return found

    def add(
        self,
        op: Op,
        data: Data,
        place: Place,
        node: tree.Tree,
        label: tree.Label | str | None,
        given: Mapping[str, Given],
        ramps: Mapping[str, Ramp],
    ) -> Data:
        """Add a layer."""
        if any(map(listed, data.shapes)):
            raise Fixed(
                "a layer of a list",
                *(self.staged.lists[wire] for wire in data.wires if wire in self.staged.lists),
            )
        self.reading(data)
        data = Data(data.wires, self.aligned(op, data.shapes))
        op = self.padded(op)
        result = super().add(op, data, place, node, label, given, ramps)
        draft = self.drafts[-1]
        if op.name == "input":
            return result
        name = self.dynamic(label, place)
        item = Layer(draft.module or draft.key, name, label is not None, draft.span, data.wires)
        item.again = draft.module not in ("", draft.key)
        item.outputs, item.before, item.after = result.wires, data.shapes, result.shapes
        item.calls, item.train = draft.calls, draft.train
        item.batched = tuple(not isinstance(self.drafts[w.draft].op, Weight) for w in data.wires)
        item.own_label = label is not None and not isinstance(label, str)
        item.op, item.own = self.initialised(op, data.shapes, draft)
        item.given, self.callee = self.callee, None
        if item.given is not None:
            self.fits(item.given, data.shapes, given, place)
        self.sound(item)
        self.put(item)
        unknown = {name for value in item.terms() for name in mentioned(value) if name.startswith("?")}
        if unknown - {"?"} or (unknown and not self.guessing):
            raise Fixed(f"{op.name} needs a size that is not known")
        return self.parts(op, item, result, place) if isinstance(op, Split) and symbolic(op.parts) else result

    def parts(self, op: Split, item: Layer, result: Data, place: Place) -> Data:
        """Return the list that a split into a number of parts that is not known makes."""
        channels, count = item.before[0].c, term(op.parts)
        assert isinstance(count, Poly)
        rest = compare("==", channels % op.parts, 0)
        if isinstance(rest, SymBool):
            self.items.remove(item)
            what = f"{_braced(channels)} channels cannot be divided into {_braced(op.parts)} parts"
            self.checked(rest.test, what)
            self.items.append(item)
        shapes = tuple(self.opaque_sizes(shape) for shape in result.shapes)
        each_one = each(replaced(term(shapes[0].c), {}), "i", count)
        listing = self.list_wire(count, len(shapes), place, item.span)
        item.outputs = listing.wires
        elements = Elements(shapes, SymList((int(shape.c) for shape in shapes), each_one))
        return Streams(listing.wires, listing.shapes, False, elements)

    def joint_of_list(self, kind: str, data: Streams, place: Place, span: Span) -> Data:
        """Return the sum or concatenation of a list."""
        if place.defaults.get(kind) or kind in place.broken:
            raise Fixed("a layer of a list", self.staged.lists[data.wires[0]])
        shape = self.of_joint(kind, [data])
        result = self.wire((shape,), place, span, data.wires)
        self.put(Joined(catalogue()[kind](), shape, data.wires[0], result.wires[0]))
        return result

    @staticmethod
    def fits(callee: SymOp, shapes: tuple[Shape, ...], given: Mapping[str, Given], place: Place) -> None:
        """Demand that every op that an argument may be is made by the same call, whatever it is."""
        targets = [choice.target for choice in callee.choices if choice is not None]
        normal = [t for t in targets if not isinstance(t, BlockDecl) and issubclass(t, Norm)]
        plain = [
            t
            for t in targets
            if not isinstance(t, BlockDecl) and (issubclass(t, Activation) or t is Identity)
        ]
        if len(targets) not in (len(normal), len(plain)):
            raise Demanded("an argument that is one of several kinds of ops", callee)
        if shapes[0].axes != "chw" and (normal or Softmax in plain):
            raise Demanded("an argument that is an op of what is no map", callee)
        for choice in callee.choices:
            if choice is None or isinstance(choice.target, BlockDecl):
                continue
            more = dict(place.defaults.get(choice.target.name, {}))
            more.update(place.defaults.get(choice.target.inherits, {}))
            if choice.target is callee.target:  # and what the op itself says, as it is here, is not said here
                more.update((name, one) for name, one in given.items() if callee.args.get(name) is not one)
            if any(
                name not in choice.args or show(one.value) != show(choice.args[name].value)
                for name, one in more.items()
            ):
                raise Demanded("an op that is an argument and has arguments of its own here", callee)

    def is_again(self, scope: DraftScope, name: str, op: Op) -> bool:
        """Tell whether an op is the module that has its label already, for all arguments."""
        known, own = scope.shared.get(name), self.identity_of(op)
        if known is None or has_state(op):
            return False
        if isinstance(known, Late):
            raise Fixed(f"{name} is one of two modules", known.test)
        if known[:2] == own[:2] and known != own:
            read = mentioned((known[2:], own[2:]))
            raise Fixed(f"{name} is not always one module", *(Atom("name", (one,)) for one in read))
        return bool(known == own)

    def identity_of(self, op: Op) -> Any:
        """Return what two ops have in common that are one module: here, and for all arguments."""
        args = tuple(op.arguments().values())
        return op.name, concrete(args), expressed(args), self.callee and self.callee.whole

    def padded(self, op: Op) -> Op:
        """Return an op whose padding, if it is an argument, is rows and columns."""
        pad = getattr(op, "pad", None)
        kernel = getattr(op, "kernel", None)
        if not isinstance(pad, SymPad) or not isinstance(kernel, Dims):
            return op
        apart = _both(getattr(op, "dilation", 1))
        covered = tuple(d * (k - 1) + 1 for d, k in zip(apart, kernel, strict=True))
        if pad.optional:
            self.odd(op, covered, (Atom("is not none", (pad.whole,)),))
        return op.replace(pad=pad.resolved((covered[0], covered[1])))

    def odd(self, op: Op, covered: tuple[int, ...], unless: tuple[Atom, ...] = ()) -> None:
        """Demand that windows have a middle."""
        odd: Any = True
        for size in dict.fromkeys(map(term, covered)):
            own = compare("==", SymInt(1, size) % 2, 1) if isinstance(size, Poly) else True
            odd = joined("and", odd, _always(own))
        if isinstance(odd, SymBool):
            shown = text(op.kernel)  # type: ignore[attr-defined]
            demand = Atom("or", (*unless, odd.test)) if unless else odd.test
            self.checked(demand, f"pad=same needs odd kernels, not {{{shown}}}")

    def aligned(self, op: Op, shapes: tuple[Shape, ...]) -> tuple[Shape, ...]:
        """Return shapes of joined values with the same concrete sizes where they are the same here.

        On a side where this instance does not come they are what they have to be.
        """
        if len(shapes) < 2 or op.name not in ("add", "mul", "concat"):
            return shapes
        first = shapes[0]
        result = [first]
        for shape in shapes[1:]:
            if shape.axes != first.axes:
                if not self.dead or op.name == "concat" or "c" not in first.axes or "c" not in shape.axes:
                    return shapes
                result.append(shape.with_size("c", _hinted(shape.c, int(first.c))))
                continue
            sizes = list(shape)
            for at, (axis, a, b) in enumerate(zip(shape.axes, first, shape, strict=True)):
                if int(a) == int(b) or (op.name == "concat" and axis == "c"):
                    continue
                if self.dead or self.equal(a, b):
                    sizes[at] = _hinted(b, int(a)) if isinstance(b, SymInt) else b
            result.append(Shape(*sizes, axes=shape.axes))
        return tuple(result)

    sided = 0
    """How many conditions this is under that are not known."""

    dead = 0
    """How many conditions this is under that do not hold in this instance."""

    callee: SymOp | None = None
    """The argument that says which op the next layer is."""

    def dynamic(self, label: tree.Label | str | None, place: Place) -> Atom | None:
        """Return a label's expression, if it is not the same in every turn."""
        if isinstance(label, tree.Tree):
            label = self.evaluator.text(label, place.env, place.source)
        return label.whole if isinstance(label, SymStr) else None

    def initialised(self, op: Op, shapes: tuple[Shape, ...], draft: Draft) -> tuple[Op, Mapping[str, Init]]:
        """Return an op with how its weights start, and what of that the layer or its block says itself."""
        weights = op.weights(*shapes)
        own: dict[str, Init] = {}
        for kind in (op.inherits, op.name):
            own.update((k, v) for k, v in draft.inits.get(kind, {}).items() if k in weights)
        own.update((k, v) for k, v in op.inits.items() if k in weights)
        inits: dict[str, Init] = {}
        for table in self.emitter.inits:
            for kind in (op.inherits, op.name):
                inits.update((k, v) for k, v in table.get(kind, {}).items() if k in weights)
        inits.update(own)
        return op.replace(inits={k: v for k, v in inits.items() if v != DEFAULT_INIT}), own

    def sound(self, item: Layer) -> None:
        """Demand of the arguments what frameworks do not, which make and call a linear layer without features."""
        op = item.op
        kernel, pad = getattr(op, "kernel", None), getattr(op, "pad", None)
        if isinstance(kernel, Dims) and isinstance(pad, Pad) and pad.mode == "same":
            apart = _both(getattr(op, "dilation", 1))
            self.odd(op, tuple(d * (k - 1) + 1 for d, k in zip(apart, kernel, strict=True)))
        channels = getattr(op, "channels", None)
        lists = {name for incoming in self.staged.inputs if incoming.many for name in incoming.sizes.values()}
        if symbolic(channels):
            what = f"{op.name} needs at least 1 channel, not {{{text(channels)}}}"
            if _may_vanish(self.expanded(term(channels)), lists):
                self.positive(channels, what)
            elif isinstance(op, Linear) and not any(
                channels is size for shape in item.before for size in shape
            ):
                self.at_least(term(channels), 1, what)
                self.features.setdefault(text(channels), []).extend(item.outputs)
        scale = getattr(op, "scale", None)
        if isinstance(scale, SymInt) and any(
            a.op == "**" for _, atoms in scale.poly.parts.values() for a in atoms
        ):
            self.positive(scale, f"{op.name} needs a scale from 1, not {{{text(scale)}}}")

    def at_least(self, value: Any, least: int, message: str) -> None:
        """Demand that an int is at least 0 or 1; an argument at once, if no condition matters."""
        whole = self.expanded(value)
        name = whole.atom.args[0] if whole.atom is not None and whole.atom.op == "name" else ""
        kinds = {parameter.name: parameter.kind for parameter in self.staged.params}
        given = kinds.get(name) == "int"
        item = self.item_of_list(whole)
        if item and kinds.get(item.partition("[")[0].removeprefix("*")) == "list":
            given, name = True, item
        if given and self.demanded.issuperset(self.path):
            self.least[name] = max(least, self.least.get(name, least))
        elif given or self.may_be_less(whole, least):
            self.checked(Atom(">=", (value, constant(least))), message)

    def item_of_list(self, value: Poly) -> str:
        """Return which item of a named list a number is: `n[0]`, or `*n` where it is each in turn."""
        atom = value.atom
        if atom is None:
            return ""
        if atom.op == "name":
            return self.each_of.get(atom.args[0], "")
        whole = list_of(value)
        if whole is None or whole.op != "name":
            return ""
        index = atom.args[1].constant
        return f"*{whole.args[0]}" if index is None else f"{whole.args[0]}[{index}]"

    def may_be_less(self, value: Poly, least: int) -> bool:
        """Tell whether a difference may be less than a number under the conditions that hold here."""
        if all(number > 0 for number, _ in value.parts.values()):
            return False
        for test in map(self.expanded, self.path):
            if test.op in ("<", ">", "<=", ">=") and all(isinstance(side, Poly) for side in test.args):
                large, small = test.args if test.op in (">", ">=") else test.args[::-1]
                more = value.plus(large.plus(small, -1), -1).constant
                if more is not None and more + (test.op in ("<", ">")) >= least:
                    return False
        return True

    def positive(self, value: Any, message: str) -> None:
        """Demand that an int is at least 1, where no condition says so."""
        own = term(value)
        if any(t.op == ">" and t.args[0] == own and (t.args[1].constant or 0) >= 0 for t in self.path):
            return
        self.checked(Atom(">=", (term(value), constant(1))), message)

    def checked(self, test: Atom, message: str) -> None:
        """Demand something once."""
        if test not in self.path:
            self.check(test, message)

    # ---------------------------------------------------------------- calls

    def apply(
        self,
        value: OpValue,
        node: tree.Layer,
        data: Data,
        place: Place,
        label: tree.Label | str | None,
        own_arguments: bool = True,
    ) -> Data:
        """Apply an op or block."""
        if isinstance(value, SymOp) and not isinstance(value.target, BlockDecl):
            op = value.target
            if op.fuses or op.references:
                raise Fixed("an argument that is a layer of several ops", value)
            self.callee = value
        if isinstance(value, SymOp) and value.optional:
            there = Atom("is not none", (value.whole,))
            if not any(there in _conjuncts(test) for test in self.path):
                self.check(there, f"{self.staged.name} needs {text(value.whole)}")
        outer = place.defaults
        for kind in (value.target.name, getattr(value.target, "inherits", "")):
            known = outer.get(kind, {})
            if any(isinstance(one.value, Late) for one in known.values()):
                own = {name: one._replace(value=self.settled(one.value)) for name, one in known.items()}
                own = {name: one for name, one in own.items() if one.value is not MISSING}
                place.defaults = {**place.defaults, kind: own}
        try:
            return super().apply(value, node, data, place, label, own_arguments)
        finally:
            place.defaults = outer

    def op(self, name: tree.Name, place: Place, node: tree.Tree) -> OpValue:
        """Return the op or block of a name."""
        with self.named_as_settled(name, place):
            return super().op(name, place, node)

    def default(self, node: tree.Default, place: Place) -> None:
        """`default conv 3x3, norm=bn`: for the rest of the block or net."""
        with self.named_as_settled(node.op, place):
            super().default(node, place)

    @contextmanager
    def named_as_settled(self, name: tree.Name, place: Place) -> Iterator[None]:
        """Give a name the value that it has here, if it is one of two things."""
        value = place.env.find_name(name.text)
        if not isinstance(value, Late):
            yield
            return
        outer, place.env = place.env, Env(place.env)
        try:
            place.env.names[name.text] = self.settled(value)
            yield
        finally:
            place.env = outer

    def primitive(
        self,
        target: type[Op],
        value: OpValue,
        node: tree.Layer,
        given: Mapping[str, Given],
        data: Data,
        place: Place,
        label: tree.Label | str | None,
        text: str,
    ) -> Data:
        """Apply a primitive op; what follows it is called after its label, with the numbers in it."""
        outer, self.leading = self.leading, text
        try:
            return super().primitive(target, value, node, given, data, place, label, text)
        finally:
            self.leading = outer

    leading = ""
    """The label of the layer whose norm and activation follow."""

    def follow(self, follower: Any, node: tree.Layer, data: Data, place: Place, label: str | None) -> Data:
        """Apply a layer's norm or activation, if there is one."""
        if isinstance(follower, Late):
            return self.either_way(
                lambda flow: self.follow(self.settled(follower), node, flow, place, label), data, place, node
            )
        if label is not None and isinstance(self.leading, SymStr):
            rest = label.removeprefix(self.leading)
            label = SymStr(label, Atom("format", (*self.leading.whole.args, rest)))
        if not isinstance(follower, SymOp) or not follower.optional:
            return super().follow(follower, node, data, place, label)
        test = SymBool(True, Atom("is not none", (follower.whole,)))
        outer = place.flow
        place.flow = data
        base = super().follow
        sure = follower.replace(choices=tuple(c for c in follower.choices if c is not None))

        def then() -> None:
            place.flow = base(sure, node, data, place, label)

        self.branch_on(test, then, lambda: None, place, place.span(node))
        result, place.flow = place.flow, outer
        return self.known(result)

    def block(
        self,
        decl: BlockDecl,
        value: OpValue,
        node: tree.Layer,
        own: Mapping[str, Given],
        data: Data,
        place: Place,
        label: tree.Label | None,
    ) -> Data:
        """Call a block's class; an inline block is walked here."""
        if decl.node.inline:
            return super().block(decl, value, node, own, data, place, label)
        span = place.span(node)
        if decl in self.emitter.active:
            raise fail("E211", f"block {decl.name} contains itself: there is no recursion", span)
        given = merge(place.defaults.get(decl.name, {}), value.args, own)
        inputs = [name.text for name in decl.node.inputs]
        if inputs and len(inputs) != len(data.wires):
            raise fail("E303", f"{decl.name} takes {len(inputs)} values, here flow {len(data.wires)}", span)
        data = self.distinct(data, place, node) if not isinstance(data, Streams) else data
        if isinstance(value, SymOp):
            for choice in value.choices:
                if choice is None or not isinstance(choice.target, BlockDecl):
                    continue
                if place.defaults.get(choice.target.name) or not own.keys().isdisjoint(choice.args):
                    raise Demanded("a block that is an argument and has these of its own here", value)
        key = self.child(place, label, span)
        dynamic = self.dynamic(label, place)
        callee = value if isinstance(value, SymOp) else None
        before = data.elements if isinstance(data, Streams) else data.shapes
        self.site = node
        cls, args, shapes = self.emitter.call(self, decl, given, before, callee, place, span)
        data = self.sized_by_turn(cls, node, data)
        if cls.many or cls.channels is not None:
            if callee is not None:
                raise Fixed("an argument that is a block of a list", callee)
            return self.block_of_list(
                decl, Child(key, dynamic, label is not None, span, ()), cls, args, shapes, data, given, place
            )
        item = Child(key, dynamic, label is not None, span, data.wires)
        item.cls, item.args, item.callee, item.shapes = cls, args, callee, data.shapes
        item.train = place.train
        if callee is not None:
            self.emitter.others(self, cls, callee, given, data.shapes, place, span)
        if callee is not None or any(self.is_unknown(shape) for shape in shapes):
            cls.told = True
            shapes, item.result = self.asked(shapes)
        item.after = shapes
        result = self.wire(shapes, place, span, data.wires)
        item.outputs = result.wires
        self.put(item)
        return result

    def sized_by_turn(self, cls: Staged, node: tree.Layer, data: Data) -> Data:
        """Return what a call is given with the sizes that its class has to know, the same in all turns."""
        names_read = cls.names()
        shapes: list[Shape] = []
        for port, (incoming, shape) in enumerate(zip(cls.inputs, data.shapes, strict=False)):
            for axis, name in incoming.sizes.items():
                if (
                    axis == "c"
                    or name not in names_read
                    or not any(n.startswith("?") for n in mentioned(shape.size(axis)))
                ):
                    continue
                seen = {int(given[port].size(axis)) for _, given in (self.observed or {}).get(id(node), ())}
                self.for_size()
                if len(seen) != 1:
                    raise Fixed("a size that is not known")
                shape = shape.with_size(axis, seen.pop())
            shapes.append(shape)
        return data.replace(shapes=tuple(shapes)) if len(shapes) == len(data.shapes) else data

    def block_of_list(
        self,
        decl: BlockDecl,
        item: Child,
        cls: Staged,
        args: Mapping[str, Any],
        shapes: tuple[Shape, ...],
        data: Data,
        given: Mapping[str, Given],
        place: Place,
    ) -> Data:
        """Call a class that takes a list, or returns one."""
        before: Any = data.shapes
        if cls.many:
            channels_in = tuple(shape.c for shape in data.shapes if "c" in shape.axes)
            before = data.elements if isinstance(data, Streams) else Elements(data.shapes, channels_in)
        plain = {name: one._replace(value=concrete(one.value)) for name, one in given.items()}
        node = tree.Layer(item.span.start, item.span.end, decl.node.name, (), None)
        own = OpValue(decl, {})
        real = self.rehearsed(
            lambda walker, there: walker.block(
                decl, own, node, plain, drafted(walker, data, there), there, None
            ),
            place,
        )
        item.cls, item.args, item.train = cls, args, place.train
        item.shapes = (before,) if cls.many else before
        item.inputs = self.as_list(data, place, item.span) if cls.many else data.wires
        env = self.emitter.environment(cls, {name: one.value for name, one in given.items()}, before)
        if cls.channels is None:
            sizes = [
                Shape(
                    *(
                        SymInt(int(hint), n.poly) if isinstance(n, SymInt) else n
                        for n, hint in zip(shape, own, strict=True)
                    ),
                    axes=shape.axes,
                )
                for shape, own in zip(shapes, real, strict=True)
            ]
            result = self.wire(tuple(map(self.opaque_sizes, sizes)), place, item.span)
            item.outputs = result.wires
            self.put(item)
            return result
        channels = evaluate(cls.channels, env)
        count = length(channels.whole) if symbolic(channels) else constant(len(channels))
        result = self.list_wire(count, len(real), place, item.span)
        item.outputs = result.wires
        self.put(item)
        if symbolic(channels):
            return Streams(
                result.wires,
                result.shapes,
                False,
                Elements(real, SymList((s.c for s in real), channels.whole)),
            )
        self.results[result.wires[0]] = cls.channels, env
        values = []
        for number, (shape, c) in enumerate(zip(real, channels, strict=True)):
            sized = self.opaque_sizes(shape.with_size("c", c))
            one = self.wire((sized,), place, item.span)
            pick = self.picks[one.wires[0]] = Pick(result.wires[0], constant(number), one.wires[0])
            self.items.append(pick)
            values.append(one)
        return Data(tuple(one.wires[0] for one in values), tuple(one.shapes[0] for one in values))

    def opaque_sizes(self, shape: Shape) -> Shape:
        """Return a shape whose channels alone are known."""
        sizes = [
            n if axis == "c" else self.unknown_size(int(n)) for axis, n in zip(shape.axes, shape, strict=True)
        ]
        return Shape(*sizes, axes=shape.axes)

    def as_list(self, data: Data, place: Place, span: Span) -> tuple[Wire, ...]:
        """Return values as one list: that of which they are all."""
        if isinstance(data, Streams):
            return data.wires
        try:
            return (self.whole_of(data, 0)[0],)
        except Fixed:
            result = self.list_wire(constant(len(data.wires)), len(data.wires), place, span)
            self.items.append(Collect(data.wires, result.wires[0]))
            return result.wires

    @staticmethod
    def is_unknown(shape: Shape) -> bool:
        """Tell whether only a called class knows the channels of what it returns."""
        return "c" in shape.axes and any(name == "?" for name in mentioned(shape.c))

    def asked(self, shapes: tuple[Shape, ...]) -> tuple[tuple[Shape, ...], str]:
        """Return shapes whose channels only the called class knows, and the variable that holds them."""
        if len(shapes) != 1 or "c" not in shapes[0].axes:
            raise Fixed("an argument that is a block of several values")
        name = self.local("channels")
        self.meaning.pop(name, None)
        shape = shapes[0]
        sizes = [
            self.hinted(n, name) if axis == "c" else self.unknown_size(n)
            for axis, n in zip(shape.axes, shape, strict=True)
        ]
        return (Shape(*sizes, axes=shape.axes),), name

    def define(self, label: tree.Label, value: Data, place: Place) -> None:
        """Bind a label to the value that it names."""
        super().define(label, value, place)
        name = self.evaluator.text(label, place.env, place.source)
        self.stored(label, value, place)
        if isinstance(name, SymStr):
            self.templates[str(name)] = name.whole
            found = parted(name)
            if found is not None and (self.unknown_turns or symbolic_number(found[1], self.turning)):
                self.templated.append(found[0])
        else:
            self.templates.pop(name, None)

    def ref(self, ref: tree.Ref, place: Place) -> Data:
        """Return one value by its name, which must be of this turn if it has an unknown number."""
        name = self.evaluator.text(ref.name, place.env, place.source)
        there = name == "flow" or place.env.find_tensor(name) is not None
        if not there or (name.whole if isinstance(name, SymStr) else None) != self.templates.get(name):
            found = self.by_number(name, place)
            if found is not None and ref.index is None:
                self.reading(found)
                return found
        self.evaluator.same_turn(name)
        data = super().ref(ref, place)
        self.reading(data)
        return data

    def stored(self, label: tree.Label, value: Data, place: Place) -> None:
        """Give a value its number, if it is one of those that are read by it."""
        name = self.evaluator.text(label, place.env, place.source)
        found = parted(name, self.numbered)
        if found is None or found[0] not in self.numbered:
            return
        pattern, index = found
        if (
            self.opened_scopes
            or len(value.wires) != 1
            or isinstance(value, Streams)
            or "c" not in value.shapes[0].axes
        ):
            raise Fixed(f"{name} is one of several values", index)
        self.reading(value)
        held = [data for data in place.env.tensors.values() if not any(map(listed, data.shapes))]
        whole = mapping(self.numbered.index(pattern))
        if any(
            self.picks[w].whole == whole
            for data in held
            for w in data.wires
            if w in self.picks and w != value.wires[0]
        ):
            raise Fixed(f"{name} may be given again what is still read", index)
        channels = replaced(self.expanded(term(value.shapes[0].c)), {})
        known = {p.name for p in self.staged.params} | set(self.turning)
        known |= {own for incoming in self.staged.inputs for own in incoming.sizes.values()}
        sure = set(names(channels)) <= known
        at = replaced(self.expanded(index), {})
        writer = Writer(at, channels if sure else None, value.shapes[0].axes, tuple(self.turning))
        self.writers[pattern] = (*self.writers.get(pattern, ()), writer)
        self.items.append(Store(whole, index, value.wires[0]))

    def by_number(self, name: str, place: Place) -> Data | None:
        """Return the value of another turn, or of another loop, that a label with a number names."""
        found = parted(name, (*self.numbered, *self.templated))
        if found is None or not (self.unknown_turns or found[0] in self.templated):
            return None
        pattern, index = found
        if pattern not in self.numbered:
            self.numbered.append(pattern)
            raise Again
        self.looked_up.add(pattern)
        seen = self.numbers.get(pattern, {})
        if self.opened_scopes or not seen:
            return None
        hint = int(self.here(self.expanded(index)))
        shape = seen.get(hint) or next(iter(seen.values()))
        writers = (*self.writers.get(pattern, ()), *self.foreseen.get(pattern, ()))
        if self.guessing:
            writers = tuple(writer for writer in writers if writer.channels is not None)
        channels = channels_at(writers, replaced(self.expanded(index), {}), self.turning)
        if self.guessing:
            channels = channels or single(Atom("name", ("?",)))
        elif channels is None or (hint in seen and self.here(channels) != shape.c):
            raise Fixed(f"the channels of {name} are not known", index)
        sizes: list[int] = []
        for axis, n in zip(shape.axes, shape, strict=True):
            sizes.append(SymInt(int(n), channels) if axis == "c" else self.unknown_size(int(n)))
        data = self.wire((Shape(*sizes, axes=shape.axes),), place, place.scope.span)
        whole = mapping(self.numbered.index(pattern))
        self.picks[data.wires[0]] = self.unread[data.wires[0]] = Pick(whole, index, data.wires[0])
        return data

    def observe_numbers(self, run: Callable[[Walker, Place], Data], place: Place) -> None:
        """Note the shapes of values with numbers that lines of this instance make."""
        if not self.numbered:
            return
        seen: list[Place] = []

        def noted(walker: Walker, there: Place) -> Data:
            seen.append(there)
            return run(walker, there)

        try:
            self.rehearsed(noted, place)
        except (SpecError, Poisoned):
            pass
        for name, data in seen[0].env.tensors.items() if seen else ():
            found = parted(str(name), self.numbered)
            if found is not None and len(data.shapes) == 1:
                self.numbers.setdefault(found[0], {})[int(found[1].constant)] = data.shapes[0]  # type: ignore[union-attr, arg-type]

    @property
    def guessing(self) -> bool:
        """Whether the loop is walked for the first time, and values are read that it may give their numbers later."""
        known = {
            pattern
            for pattern, writers in self.foreseen.items()
            if all(w.channels is not None for w in writers)
        }
        return bool(self.loops and self.looked_up - known)

    @property
    def templated(self) -> list[Pattern]:
        """The patterns of the labels that loops have defined so far."""
        found: list[Pattern] = self.__dict__.setdefault("_templated", [])
        return found

    lost = False
    """Whether there is no flow after a loop that a list came into, and of which a value comes."""

    def need(self, data: Data | None, node: tree.Tree, place: Place) -> Data:
        """Return a flow that must be there."""
        if data is None and self.lost:
            raise Fixed("what flows is a list, or one value")
        return super().need(data, node, place)

    def no_value(self, name: str, span: Span, place: Place) -> Exception:
        """Return the error for a value that is not there: of another turn, perhaps."""
        if name == "flow" and self.lost:
            return Fixed("what flows is a list, or one value")
        if self.loops or isinstance(name, SymStr):
            return Fixed(f"{name} is a value of another turn")
        if place.env.find_tensor(name) is None and name != "flow":
            return Fixed(f"{name} is not always there")
        return super().no_value(name, span, place)


_RUN: dict[type, Callable[[Any, Any, Place], None]] = {
    tree.Line: Stager.line,
    tree.Bind: Stager.bind_line,
    tree.Output: Stager.output,
    tree.If: Stager.if_line,
    tree.InitLine: Stager.init,
    tree.For: Stager.for_line,
    tree.Assign: Stager.assign,
    tree.Stage: Stager.stage,
    tree.Input: Stager.input,
}
Stager._run = {**Walker._run, **_RUN}


class Schedule:
    """A depth schedule of a net: a count of what has been made, and of all that is."""

    def __init__(self, node: tree.CallExpr, variable: str, total: str, endpoint: bool) -> None:
        """`variable` and `total` are local variables."""
        self.node, self.variable, self.total, self.endpoint = node, variable, total, endpoint


class Joining:
    """A joint of branches whose number is not known."""

    def __init__(self, kind: str, key: str) -> None:
        """`key` is what the list of its branches is called among the values."""
        self.kind, self.key = kind, key
        self.parts: list[Data] = []
        """Its branches, until there is a condition or loop of some."""
        self.begun = False
        """Whether they are in that list."""
        self.probing = False
        """Whether only the shape of its first branch is looked for."""


class Probed(Exception):
    """The first branch of a joint is there."""

    def __init__(self, shape: Shape) -> None:
        """`shape` is that of a joint of this branch alone."""
        super().__init__()
        self.shape = shape


class Observer(Walker):
    """Notes the shapes that calls of blocks get."""

    def __init__(self, settings: Mapping[str, Any], inputs: Mapping[str, Shape], max_nodes: int) -> None:
        """Start with none."""
        super().__init__(settings, inputs, max_nodes)
        self.calls: dict[int, list[Seen]] = {}

    def block(
        self,
        decl: BlockDecl,
        value: OpValue,
        node: tree.Layer,
        own: Mapping[str, Given],
        data: Data,
        place: Place,
        label: tree.Label | None,
    ) -> Data:
        """Call a block."""
        self.calls.setdefault(id(node), []).append((place.turns, data.shapes))
        return super().block(decl, value, node, own, data, place, label)


def _after(walker: Walker, node: tree.For, place: Place) -> Data:
    """Return what flows after a loop."""
    walker.for_line(node, place)
    return walker.known(place.flow)


class Over:
    """What a loop runs over, and its items here; one that stands for them where there are none."""

    def __init__(
        self, atom: Any, items: list[Any], first: Any, others: Sequence[Any] = (), known: bool = False
    ) -> None:
        """All are concrete; `others` are items that it may have for other arguments, `known`: it has none."""
        self.atom, self.items, self.first, self.others, self.known = atom, items, first, others, known


LOST = object()
"""Stands for what changes its kind in a loop: nobody reads it from then on."""


class Name:
    """A name as it is: what `evaluate` leaves alone."""

    def __init__(self, name: str) -> None:
        """Hold it."""
        self.name = name


def over(value: Any, env: Mapping[str, Any]) -> Any:
    """Return an expression with some names replaced by expressions."""
    if isinstance(value, Poly):
        total = constant(0)
        for coefficient, atoms in value.parts.values():
            product = constant(coefficient)
            for atom in atoms:
                inner = over(atom, env)
                product = product.times(inner if isinstance(inner, Poly) else single(inner))
            total = total.plus(product)
        return total
    if not isinstance(value, Atom):
        return value
    if value.op == "name":
        found = env.get(value.args[0])
        return found if isinstance(found, (Poly, Atom)) else value
    if value.op == "const":
        return value
    if value.op in ("call", "if") and value in env:
        return env[value]  # type: ignore[index]
    if value.op in ("each", "sum"):
        env = {name: other for name, other in env.items() if name not in value.args[1].split(", ")}
    args = tuple(over(arg, env) if isinstance(arg, (Poly, Atom)) else arg for arg in value.args)
    if value.op == "not":
        return negated(args[0])
    if value.op == "group" and len(args[0].parts) < 2:
        return args[0]
    if value.op == "item" and args[0] != value.args[0] and args[0].op in ("each", "list"):
        return item_of(*args)
    if value.op == "call" and args[0] == "len" and args[1] != value.args[1]:
        return length(args[1])
    if value.op in ("//", "%", "**") and all(isinstance(arg, Poly) for arg in args):
        from netdsl.symbolic import _whole

        return _whole(value.op, *args)
    return Atom(value.op, args)


def symbolic_number(number: Any, turning: Sequence[str]) -> bool:
    """Tell whether the number of a label depends on more than the turns of loops."""
    return not set(names(number)) <= set(turning)


def replaced(value: Any, known: Mapping[str, Any]) -> Poly:
    """Return the expression of an int with some names replaced."""
    found = over(value, known)
    return found if isinstance(found, Poly) else single(found)


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
    counts = atom.op == "call" and atom.args[0] == "enumerate" and len(atom.args) == 2 and len(variables) == 2
    whole = atom.args[1] if counts else atom
    if whole.op == "call" or len(variables) != (2 if counts else 1):
        raise Fixed("a loop of branches that nothing counts", whole)
    variable = variables[0] if counts else f"{variables[0]}{NUMBER}"
    value = item_of(whole, single(Atom("name", (variable,))))
    count = constant(len(over.items)) if over.known else length(whole)
    return variable, count, {variables[-1]: value}


def one_branch(body: tree.Body) -> bool:
    """Tell whether lines of a joint make one branch, whatever holds."""
    found = 0
    for node in body:
        if isinstance(node, tree.Annotated):
            node = node.statement
        if isinstance(node, tree.If):
            if not all(map(one_branch, (*[case.body for case in node.cases], node.otherwise))):
                return False
        elif isinstance(node, tree.For):
            return False
        found += isinstance(node, (tree.If, tree.Line, tree.Container, tree.Merge))
    return found == 1


def expressed(value: Any) -> Any:
    """Return a value with expressions in the place of what remembers one, to compare for all arguments."""
    if symbolic(value):
        return term(value)
    if isinstance(value, Pad):
        return value.mode, expressed(value.size)
    return tuple(map(expressed, value)) if isinstance(value, tuple) else value


def drafted(walker: Walker, data: Data, place: Place) -> Data:
    """Return new values of the same shapes that remember nothing, a list as all of its values."""
    shapes = data.elements if isinstance(data, Streams) else data.shapes
    plain = tuple(Shape(*map(int, shape), axes=shape.axes) for shape in shapes)
    walker.drafts.append(Draft(catalogue()["identity"](), (), plain, place.scope.span, place, "", False, {}))
    return Data(tuple(Wire(len(walker.drafts) - 1, port) for port in range(len(plain))), plain, data.poisoned)


def _conjuncts(test: Atom) -> tuple[Atom, ...]:
    """Return what holds where a test does."""
    return tuple(one for part in test.args for one in _conjuncts(part)) if test.op == "and" else (test,)


def _may_vanish(value: Any, positive: set[str]) -> bool:
    """Tell whether an expression of positive numbers may be 0 or less: it divides or takes away.

    `positive` are the lists that hold such numbers.
    """
    if isinstance(value, Poly):
        parts = value.parts.values()
        return any(
            number < 0 or any(_may_vanish(atom, positive) for atom in atoms) for number, atoms in parts
        )
    if not isinstance(value, Atom) or value.op in ("const", "name"):
        return False
    if value.op == "item" and set(names(value.args[0])) <= positive:
        return False
    if value.op in ("//", "%", "-"):
        return True
    if value.op == "item":
        return _may_vanish(value.args[0], positive)
    rest = value.args[1:] if value.op in ("if", "call") else value.args
    return value.args[:1] != ("make_divisible",) and any(_may_vanish(one, positive) for one in rest)


def _hinted(size: Any, hint: int) -> int:
    """Return a size with another concrete value."""
    return SymInt(int(hint), size.poly) if isinstance(size, SymInt) else size


def _braced(value: Any) -> str:
    """Return an expression as a part of an f-string."""
    return f"{{{text(value)}}}" if symbolic(value) else text(value)


def _always(truth: bool | SymBool) -> Callable[[], bool | SymBool]:
    """Return a function that returns it."""
    return lambda: truth


def _both(size: Any) -> tuple[Any, Any]:
    return (size, size) if isinstance(size, int) else (size[0], size[1])


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


def pieces(node: tree.Tree) -> Iterator[tree.Tree]:
    """Yield a node and all within."""
    yield node
    for value in node.__dict__.values():
        for one in value if isinstance(value, tuple) else (value,):
            if isinstance(one, tree.Tree):
                yield from pieces(one)


_WHOLE, _RATES = (1, 2, 3, 4, 5, 8, 16, 64, 0, -1), (0.5, 0.25, 1.0, 2.0, 0.0, -1.0)
"""Arguments that are tried to come to a side of a condition."""

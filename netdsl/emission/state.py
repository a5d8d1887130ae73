"""What a walk of a body knows and has put down, and how to take it back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from netdsl.elaborate.draft import Draft, Place
from netdsl.elaborate.values import Data, Env, Wire
from netdsl.elaborate.walk import Walker
from netdsl.emission.concolic import SymbolicEvaluator
from netdsl.emission.items import Container, Item, Let, Numbered, Pick, Side, Staged
from netdsl.emission.numbered import Pattern, Writer, mapping
from netdsl.ir.types import Shape
from netdsl.ops import catalogue
from netdsl.source import Span
from netdsl.symbolic import Atom, Poly, Term, named
from netdsl.syntax import tree

if TYPE_CHECKING:
    from netdsl.emission.family import Family

Seen = tuple[tuple[int, ...], tuple[Shape, ...]]
"""The turns of the loops around a call, and the shapes that it gets."""


class Schedule:
    """A depth schedule of a net: a count of what has been made, and of all that is."""

    def __init__(self, node: tree.CallExpr, variable: str, total: str, endpoint: bool) -> None:
        """`variable` and `total` are local variables."""
        self.node, self.variable, self.total, self.endpoint = node, variable, total, endpoint


class Snapshot:
    """What a turn or a side changes, so that it can be taken back."""

    def __init__(self, stager: State, place: Place) -> None:
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

    def restore(self, stager: State, place: Place) -> None:
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


class State(Walker):
    """What one walk knows and has put down; each class on top of it adds what is done about one kind of thing."""

    evaluator: SymbolicEvaluator

    root: Env | None = None
    """The names of the body."""

    dead = 0
    """How many conditions this is under that do not hold in this instance."""

    sided = 0
    """How many conditions this is under that are not known."""

    def __init__(self, emitter: Family, staged: Staged, settings: Mapping[str, Any], max_nodes: int) -> None:
        """`settings` are the net's, for its decisions."""
        super().__init__(settings, {}, max_nodes)
        self.emitter = emitter
        self.staged = staged
        self.evaluator = SymbolicEvaluator(10 * max_nodes, self.decide)
        self.items: list[Item] = staged.items
        self.path: list[Atom] = []
        """The conditions that hold here."""
        self.demanded: set[Atom] = set()
        """Those of them that hold for every class, since its constructor checks them."""
        self.least: dict[str, int] = {}
        """Arguments, and items of lists, and what they have to be at least, whatever the conditions."""
        self.each_of: dict[str, str] = {}
        """By variable of a loop over a list that is an argument, all of that list."""
        self.any_length: set[str] = set()
        """Lists that are arguments and have as many items as a loop has turns."""
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
        """How many sizes and numbers nothing is known of."""
        self.opened_scopes: list[tuple[Container, list[Item]]] = []
        """The containers that this is in, with the lists they stand in."""
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
        self.templated: list[Pattern] = []
        """The patterns of the labels that loops have defined so far."""
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

    # ---------------------------------------------------------------- taking back

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

    # ---------------------------------------------------------------- putting down

    unrolling: tuple[object, ...] = ()
    """The turn of each loop that is walked turn by turn."""

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

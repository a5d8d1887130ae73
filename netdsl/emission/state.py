"""What a walk of a body knows and has put down, and how to take it back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from netdsl.elaborate.draft import Draft, Place
from netdsl.elaborate.values import Data, Env, Wire
from netdsl.elaborate.walk import Walker
from netdsl.emission.concolic import SymbolicEvaluator
from netdsl.emission.items import Container, Item, Let, Loop, Numbered, Pick, Side, Staged
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


class Turns(NamedTuple):
    """A loop whose turn is walked."""

    loop: Loop
    carried: frozenset[str]
    """The variables that a turn hands to the next."""
    outer: list[Item]
    """The items that it will be one of."""
    sided: int
    """How many conditions that are not known it is under."""
    start: int
    """Where its variable stands in the text."""
    first: int | None
    """What its variable is in the first turn, if that is known and less than in the others."""
    entry: Mapping[str, Any]
    """What the variables that a turn hands to the next are before all."""
    known: frozenset[str]
    """The names that are known before it."""
    path: frozenset[Atom]
    """The conditions that hold before it."""


class Kept(NamedTuple):
    """An attribute as it was: the object, and if that is a list, dict or set, what it held."""

    value: Any
    held: Any

    @classmethod
    def of(cls, owner: object, names: Iterable[str]) -> dict[str, Self]:
        """Return some attributes of an object by name."""
        values = {name: getattr(owner, name) for name in names}
        return {
            name: cls(value, value.copy() if isinstance(value, (list, dict, set)) else value)
            for name, value in values.items()
        }


def put_back(owner: object, kept: Mapping[str, Kept]) -> None:
    """Let attributes of an object be what they were, and hold what they held."""
    for name, (value, held) in kept.items():
        setattr(owner, name, value)
        if isinstance(value, list):
            value[:] = held
        elif isinstance(value, (dict, set)):
            value.clear()
            value.update(held)


class Snapshot:
    """What a turn or a side changes, so that it can be taken back."""

    WALK = (
        *("drafts", "scopes", "opened_scopes", "items", "outputs", "sides", "early", "inits", "errors"),
        *("_seen", "origins"),
        *("path", "dead", "sided", "loops", "rounds", "turning", "pending", "decisions", "_owners"),
        *(
            "meaning",
            "hints",
            "least",
            "rates",
            "needs",
            "taken_apart",
            "as_many",
            "templates",
            "picks",
            "unread",
            "results",
            "one_size",
            "writers",
            "under",
        ),
    )
    """Of the walk: what it has put down, where it is, and what it knows of names and values."""
    STAGED = ("params", "asks", "measured", "ramps", "lists")
    """Of the class: what callers give it, and which of its values are lists."""
    PLACE = ("flow", "defaults", "broken", "inits", "returned", "stage")
    """Of the place: what the statements after it see."""
    SCOPE = ("position", "taken", "lists", "shared", "made", "drafts", "named", "stages", "args")
    """Of the scope: the names of its children, and these."""

    def __init__(self, stager: State, place: Place) -> None:
        """Take note."""
        self.walk = Kept.of(stager, self.WALK)
        self.depth = stager.evaluator.depth
        self.staged = Kept.of(stager.staged, self.STAGED)
        self.place = Kept.of(place, self.PLACE)
        self.env = Kept.of(place.env, ("names", "tensors"))
        self.scope = Kept.of(place.scope, self.SCOPE)
        around = *(outer for _, outer in stager.opened_scopes), *(turns.outer for turns in stager.rounds)
        self.around = tuple((items, list(items)) for items in around)
        """Where what is demanded may stand."""

    def restore(self, stager: State, place: Place) -> None:
        """Take everything back."""
        put_back(stager, self.walk)
        for items, held in self.around:
            items[:] = held
        stager.evaluator.depth = self.depth
        put_back(stager.staged, self.staged)
        put_back(place.scope, self.scope)
        self.rewind(place)

    def rewind(self, place: Place) -> None:
        """Take back what the statements after it can see, but keep what was built."""
        put_back(place, self.place)
        put_back(place.env, self.env)

    def begin_side(self, place: Place) -> None:
        """Let a side of a condition begin: its children may be called as those of the other one."""
        self.rewind(place)
        put_back(place.scope, {name: self.scope[name] for name in ("position", "taken", "shared", "made")})


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
        """`settings` are what was decided, by decision."""
        super().__init__(settings, {}, max_nodes)
        self.emitter = emitter
        self.staged = staged
        self.evaluator = SymbolicEvaluator(10 * max_nodes, self.decide)
        self.items: list[Item] = staged.items
        self.around: list[list[Item]] = []
        """The lists that will have an item with this one in it, outermost first."""
        self.path: list[Atom] = []
        """The conditions that hold here."""
        self.demanded: set[Atom] = set()
        """Those of them that hold for every class, since its constructor checks them."""
        self.least: dict[Atom, int] = {}
        """Arguments, and items of lists, and what they have to be at least, whatever the conditions."""
        self.rates: dict[Atom, tuple[Atom, ...]] = {}
        """What probabilities have to be that are arguments, and the conditions under which."""
        self.needs: dict[tuple[Poly, Poly], None] = {}
        """How many values lists have, and how many they have to have at least, whatever the conditions."""
        self.taken_apart: dict[Atom, int] = {}
        """Lists that have to have so many values, whatever the conditions."""
        self.as_many: dict[tuple[Poly, Poly], None] = {}
        """How many values lists have that have to be the same number, whatever the conditions."""
        self.each_of: dict[str, Atom] = {}
        """By variable of a loop over a list that is an argument, all of that list."""
        self.each_in: dict[str, tuple[Term, ...]] = {}
        """By variable of a loop over a list that is written out, the items of it."""
        self.drawn: dict[str, tuple[str, ...]] = {}
        """By variable of a loop, the names of what it runs over."""
        self.stops: dict[str, Poly] = {}
        """By variable of a loop that counts its turns, the number before which it ends."""
        self.spans: dict[str, tuple[Poly, Poly]] = {}
        """By variable of a loop that takes every number, where it begins and before which number it ends."""
        self.limits: dict[str, Poly] = {}
        """By variable of a loop, a number that it is less than."""
        self.noted: dict[str, Any] = {}
        """By variable of a loop, all that is noted of it."""
        self.reused: set[str] = set()
        """Variables of several loops that are not over the same."""
        self.comprehending: set[str] = set()
        """The variables of the comprehensions that this is in."""
        self.begins: dict[str, int | None] = {}
        """By variable of a loop, what it is at least, if that is known."""
        self.rounds: list[Turns] = []
        """The loops that this is in."""
        self.begun: dict[str, Turns] = {}
        """By variable, the loops that were begun."""
        self.wanted: set[tuple[int, str]] = set()
        """Names that later turns of a loop read, which nothing has bound."""
        self.dropped: dict[str, Data] = {}
        """Values of one turn that are not there after their loop."""
        self.some_turn: dict[str, Atom] = {}
        """By variable of a loop that may have no turn, the condition that it has one."""
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
        self.own_sizes: dict[str, Term] = {}
        """What some sizes that nothing is known of are at the net's own sizes, as an expression over these."""
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
        self.called = ""
        """The labels of the call that is being written."""
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
        if staged.decl in emitter.unrolled:  # every label is known then
            self.numbered = []
        self.widths: dict[str, Term] = {}
        """Variables for the channels of a value with a number, and what they are."""
        self.kept = emitter.kept.setdefault(staged.decl, {})
        self.items += [
            Numbered(pattern, mapping(at), self.kept.get(pattern, ""))
            for at, pattern in enumerate(self.numbered)
        ]
        self.templated: list[Pattern] = []
        """The patterns of the labels that loops have defined so far."""
        self.writers: dict[Pattern, tuple[Writer, ...]] = {}
        """What gives values their numbers."""
        self.foreseen: dict[Pattern, tuple[Writer, ...]] = {}
        """What will do so in the turn that is walked."""
        self.looked_up: set[Pattern] = set()
        self.under: dict[tuple[int, str], tuple[tuple[Atom, ...], ...]] = {}
        """The conditions under which each child of a scope is made, by the scope's id and the child's name."""
        self.homes: dict[Pattern, tuple[set[tuple[int, ...]], set[tuple[int, ...]]]] = {}
        """The containers in which values get numbers, and are read by them, by where they stand in the text."""
        self.numbers: dict[Pattern, dict[tuple[int, ...], Shape]] = {}
        """The shapes of such values in this instance."""
        self.after: dict[str, Term] = {}
        """What variables that loops change are after them, where that is known."""
        self.hidden = False
        """Whether what is said of sizes after a loop may be those after its first turn."""
        self.unknown_turns = 0
        """How many loops this is in whose turns are an argument."""
        self.results: dict[Wire, tuple[Term, Mapping[str, Any]]] = {}
        """Lists that calls return: their channels over the class's names, and what these are."""
        self.one_size: dict[Wire, tuple[int, ...]] = {}
        """Lists all of whose values are known to have one size, and that size."""

    # ---------------------------------------------------------------- putting down

    unrolling: tuple[object, ...] = ()
    """The turn of each loop that is walked turn by turn."""

    @contextmanager
    def into(self, items: list[Item]) -> Iterator[list[Item]]:
        """Put items into another list."""
        self.around.append(self.items)
        self.items = items
        try:
            yield items
        finally:
            self.items = self.around.pop()

    @contextmanager
    def apart(self, place: Place, turn: bool = False) -> Iterator[None]:
        """Note in which turn of a loop what is made meanwhile is."""
        outer = self.unrolling
        if turn:
            self.unrolling = (*outer, object())
        try:
            with super().apart(place, turn):
                yield
        finally:
            self.unrolling = outer

    def put(self, item: Item) -> None:
        """Add an item."""
        item.stage, self.pending = self.pending, ""
        item.turn = self.unrolling
        self.items.append(item)
        for schedule, steps in Counter(self.counted).items():
            self.items.append(Let(schedule.variable, named(0, schedule.variable) + steps, again=True))
        self.counted.clear()

    def wire(
        self, shapes: tuple[Shape, ...], place: Place, span: Span, inputs: tuple[Wire, ...] = ()
    ) -> Data:
        """Return new values of these shapes."""
        draft = Draft(len(self.drafts), catalogue()["identity"](), inputs, shapes, span, place, "", False, {})
        self.drafts.append(draft)
        if inputs and not any(map(self.batched, inputs)):
            draft.shared = True
        return Data(draft.results, shapes)

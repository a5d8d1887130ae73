"""A search space: its points and what leads from one to another, made when they are asked for, or all at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from operator import add
from typing import Any, NamedTuple

from netdsl.collector import no_collection
from netdsl.diagnostics import Diagnostic, NetError
from netdsl.elaborate.build import Recipe
from netdsl.elaborate.result import Budget, Decision
from netdsl.elaborate.values import SpecError
from netdsl.space.budgets import Bound, NotSummed, Summed, Total
from netdsl.space.lattice import Edge, Lattice
from netdsl.space.walk import Common, Point, flat

MAX_POINTS = 50_000
"""The most points of a space that is looked at as a whole."""
MAX_ANSWERS = 5_000
"""The most sets of answers of one statement."""

COLUMNS = ("params", "buffers", "macs", "ops", "activations")
"""What is counted along the way, in the order of `Cost`; activations in elements."""


WIDTH = 72
"""How many bits of one number a count has, where the counts of a net are summed as one."""


class Way(NamedTuple):
    """What a statement makes under some answers: the way to the next vertex."""

    answers: tuple[tuple[str, int], ...]
    costs: tuple[int, ...]
    """By `COLUMNS` of what always is there, and then of what is there in training alone."""
    packed: int
    """The same as one number, with the ops behind them."""
    end: int
    """-1 where an error ends it."""
    nodes: int
    """How many ops are put down."""
    parts: Mapping[tuple[str, str], tuple[int, ...]] = {}
    """The same as `costs` by module and stage, where something is required of such."""
    errors: tuple[Diagnostic, ...] = ()


class Question:
    """A decision that a statement asks, and what follows from its answers."""

    __slots__ = ("after", "name", "options")

    def __init__(self, name: str, options: tuple[str, ...]) -> None:
        """Know no answer. `options` are texts; one decision may have others elsewhere, such as `choose(c, 2*c)`."""
        self.name = name
        self.options = options
        self.after: dict[int, Question | Way] = {}


class Vertex:
    """A point of the space, with what is known of the ways that leave it."""

    def __init__(self, point: Point | None) -> None:
        """The first vertex is before any point."""
        self.point = point
        self.ways: dict[tuple[tuple[str, int], ...], Way] = {}
        self.whole = False
        """Whether all of its ways are known."""
        self.first: Question | Way | None = None
        """What is asked first, or the only way; None where that is not known."""

    def add(self, way: Way, asked: list[Decision]) -> None:
        """Take note of a way, on which some decisions are asked."""
        self.ways[way.answers] = way
        if not way.answers:
            self.first = way
            return
        if self.first is None:
            self.first = Question(asked[0].name, asked[0].options)
        question = self.first
        for place, (_, index) in enumerate(way.answers, 1):
            assert isinstance(question, Question)
            if place == len(way.answers):
                question.after[index] = way
            else:
                following = Question(asked[place].name, asked[place].options)
                question = question.after.setdefault(index, following)


class Space:
    """All nets of a recipe whose decisions are open."""

    def __init__(self, recipe: Recipe) -> None:
        """Look at nothing yet."""
        self.recipe = recipe
        self.common = Common(recipe)
        self.decisions: dict[str, Decision] = {}
        """Every decision met so far, with its options."""
        self.restart()

    @property
    def name(self) -> str:
        """The variant's name, or the net's."""
        return self.recipe.variant.name if self.recipe.variant is not None else self.recipe.net.name

    @property
    def spec(self) -> str:
        """The file's name, without its folder."""
        return self.file.replace("\\", "/").rpartition("/")[2]

    @property
    def file(self) -> str:
        """The file as it was named when it was read, with its folder."""
        return (self.recipe.variant or self.recipe.net).file.source.name

    def restart(self) -> None:
        """Forget the graph."""
        self.common.stale = False
        self.common.owners.clear()
        self.vertices = [Vertex(None)]
        self.known: dict[Any, int] = {}
        self.decisions.clear()

    # ---------------------------------------------------------------- ways

    def go(self, at: int, answers: tuple[tuple[str, int], ...]) -> tuple[Way, list[Decision]]:
        """Return the way from a vertex that begins with some answers, and the decisions that were asked.

        A decision behind them takes its first option.
        """
        vertex = self.vertices[at]
        if vertex.point is None:
            point = Point.begin(self.common, dict(answers))
            before, begin = {}, 0
        else:
            point = vertex.point.step(dict(answers))
            before, begin = vertex.point.walker.decisions, len(vertex.point.walker.drafts)
        walker = point.walker
        asked = [
            one
            for name, one in walker.decisions.items()
            if name not in before and name not in self.recipe.answers
        ]
        for one in asked:
            self.decisions.setdefault(one.name, one.replace(chosen=None))
        taken = tuple([(one.name, one.chosen or 0) for one in asked])
        if walker.errors:
            return Way(taken, (), 0, -1, 0, errors=tuple(walker.errors)), asked
        costs = flat(walker.spent(range(begin, len(walker.drafts))))
        key = point.key()
        end = self.known.get(key)
        if end is None:
            end = self.known[key] = len(self.vertices)
            self.vertices.append(Vertex(point))
        nodes = walker.nodes(begin)
        packed = sum([n << WIDTH * i for i, n in enumerate((*costs, nodes))])
        parts = walker.parts(begin) if self.common.claimed else {}
        return Way(taken, costs, packed, end, nodes, parts), asked

    def expand(self, at: int) -> None:
        """Find all ways from a vertex."""
        vertex = self.vertices[at]
        todo: list[tuple[tuple[str, int], ...]] = [()]
        while todo:
            prefix = todo.pop()
            way, asked = self.go(at, prefix)
            vertex.add(way, asked)
            for place in range(len(prefix), len(asked)):
                first: dict[str, int] = {}
                for index, option in enumerate(asked[place].options):
                    if first.setdefault(option, index) == index > 0:
                        todo.append((*way.answers[:place], (asked[place].name, index)))
            if len(vertex.ways) + len(todo) > MAX_ANSWERS:
                what = f"a statement has more than {MAX_ANSWERS:,} sets of answers"
                help = "write what is decided in statements of their own, such as a line for each block"
                raise NetError([Diagnostic("E213", what, asked[0].span, help=help)])
        vertex.whole = True

    def explore(self) -> None:
        """Find all vertices and ways."""
        with no_collection():
            while self.common.stale or not self.vertices[0].whole:
                if self.common.stale:
                    self.restart()
                at = 0
                while at < len(self.vertices):
                    if not self.vertices[at].whole and not self.ended(at):
                        self.expand(at)
                    if len(self.vertices) > MAX_POINTS:
                        what = f"the space has more than {MAX_POINTS:,} points: too much follows from its decisions"
                        help = "make some with --set or `decide`; what later text does not read is forgotten"
                        raise NetError([Diagnostic("E213", what, self.span, help=help)])
                    at += 1

    # ---------------------------------------------------------------- one net

    def indices(self, net: Mapping[str, str]) -> dict[str, int]:
        """Return which option each decision takes, by their texts.

        Raises:
            NetError: There is no such net, or a decision is left open.
        """
        found: dict[str, int] = {}
        at = 0
        while not self.ended(at):
            way: Any = self.vertices[at].first
            while type(way) is Question:
                if net.get(way.name) not in way.options:
                    raise self.refused(net)
                found[way.name] = way.options.index(net[way.name])
                way = way.after[found[way.name]]
            at = way.end
            if at < 0:
                raise NetError(way.errors)
        if len(found) < len(net):
            raise self.refused(net)
        return found

    def refused(self, net: Mapping[str, str]) -> NetError:
        """Return the error of elaboration for a net that is none."""
        try:
            self.recipe.given(net).elaborate()
        except NetError as error:
            return error
        raise AssertionError("elaboration takes what the space refuses")

    def texts(self, answers: Mapping[str, int]) -> dict[str, str]:
        """Return the text of the option that each decision takes which a net asks, as `--set` has it."""
        found = {}
        for question in self.questions(answers):
            found[question.name] = question.options[answers[question.name]]
        return found

    def questions(self, answers: Mapping[str, int]) -> Iterator[Question]:
        """Yield what a net asks; raise NetError if there is no such net, or a decision is left open."""
        self.costs(answers)
        at = 0
        while not self.ended(at):
            way: Any = self.vertices[at].first
            while type(way) is Question:
                yield way
                way = way.after[answers[way.name]]
            at = way.end

    def costs(self, answers: Mapping[str, int]) -> tuple[int, ...]:
        """Return what a net costs, by `COLUMNS` of what always is there, then of what is there in training alone.

        Args:
            answers: The index of the option that each decision takes; those that the net does not ask are not read.

        Raises:
            NetError: There is no such net, or a decision is left open.
        """
        total = at = 0
        vertices = self.vertices
        while True:
            vertex = vertices[at]
            way: Any = vertex.first
            try:
                while type(way) is Question:
                    way = way.after[answers[way.name]]
            except KeyError:
                way = None
            if way is None:
                point = vertex.point
                if point is not None and point.ended:
                    break
                way = self.way(at, answers)
                if self.common.stale:
                    self.restart()
                    vertices = self.vertices
                    total = at = 0
                    continue
            total += way.packed
            at = way.end
            if at < 0:
                raise NetError(way.errors)
        *costs, nodes = [total >> WIDTH * i & (1 << WIDTH) - 1 for i in range(2 * len(COLUMNS) + 1)]
        if nodes > self.recipe.max_nodes:
            raise NetError([self.too_large()])
        return tuple(costs)

    def too_large(self) -> Diagnostic:
        """Return the error for nets of more ops than may be."""
        what = f"the net has more than {self.recipe.max_nodes:,} ops"
        help = "--max-nodes raises the limit, in Python max_nodes="
        return Diagnostic("E213", what, self.span, help=help)

    def way(self, at: int, answers: Mapping[str, int]) -> Way:
        """Return the way that some answers take from a vertex, found now."""
        prefix: tuple[tuple[str, int], ...] = ()
        while True:
            way, asked = self.go(at, prefix)
            wrong = next((i for i, (name, n) in enumerate(way.answers) if answers.get(name) != n), None)
            if wrong is None:
                self.vertices[at].add(way, asked)
                return way
            name = way.answers[wrong][0]
            if name not in answers:
                raise NetError([Diagnostic("E217", f"{name} is left open", asked[wrong].span)])
            prefix = (*way.answers[:wrong], (name, answers[name]))

    def before(self, at: int) -> dict[str, int]:
        """Return answers that lead to a vertex."""
        leading: dict[int, tuple[int, Way]] = {}
        for number, vertex in enumerate(self.vertices):
            for way in vertex.ways.values():
                leading.setdefault(way.end, (number, way))
        found: dict[str, int] = {}
        while at:
            at, way = leading[at]
            found = {**dict(way.answers), **found}
        return found

    def partly(self, answers: Mapping[str, int]) -> dict[str, str]:
        """Return the texts of some answers, as far as a net asks for them."""
        found: dict[str, str] = {}
        at = 0
        while at >= 0 and not self.ended(at):
            way: Any = self.vertices[at].first
            while type(way) is Question:
                if way.name not in answers:
                    return found
                found[way.name] = way.options[answers[way.name]]
                way = way.after[answers[way.name]]
            at = way.end
        return found

    # ---------------------------------------------------------------- all nets

    def budgets(self) -> tuple[dict[int, list[Bound]], dict[int, list[Budget]]]:
        """Return by end what nets that end there have to keep: sums of counters, and claims about something else.

        Raises:
            NetError: A claim means nothing.
        """
        bounds: dict[int, list[Bound]] = {}
        others: dict[int, list[Budget]] = {}
        for at, vertex in enumerate(self.vertices):
            if vertex.point is None or not vertex.point.ended:
                continue
            bounds[at], others[at] = [], []
            for budget in vertex.point.walker.budgets:
                try:
                    bounds[at] += Summed(budget).bounds()
                except NotSummed:
                    others[at].append(budget)
                except SpecError as error:
                    raise NetError([error.diagnostic]) from None
        return bounds, others

    def lattice(self, columns: Mapping[str, Total], beyond: Mapping[int, Sequence[int]] = {}) -> Lattice:
        """Return all valid nets as a graph, with what they cost; it has no edges if there is none.

        Args:
            columns: What to count.
            beyond: What is added to a net's sums by where it ends.
        """
        order = self.ordered()
        number = {at: i for i, at in enumerate(order)}
        end = len(order)
        totals = list(columns.values())
        packed: dict[Any, tuple[int, ...]] = {}
        edges: list[tuple[Edge, ...]] = []
        for at in order:
            leaving = []
            for way in self.vertices[at].ways.values():
                goal = end if way.end >= 0 and self.ended(way.end) else number.get(way.end)
                if goal is None:
                    continue
                key = way.costs, *way.parts.items()
                if key not in packed:
                    packed[key] = tuple([self.sum(total, way) for total in totals])
                sums = packed[key]
                if goal == end and way.end in beyond:
                    sums = tuple(map(add, sums, beyond[way.end]))
                leaving.append(Edge(way.answers, sums, goal))
            edges.append(tuple(leaving))
        return Lattice(tuple(columns), (*edges, ()))

    @staticmethod
    def sum(total: Total, way: Way) -> int:
        """Return what a way adds to a total."""
        if total.whole:
            return total.of(way.costs)
        return sum([total.of(costs) for part, costs in way.parts.items() if total.has(*part)])

    def check_sizes(self) -> None:
        """Raise NetError if some net has more ops than may be."""
        most: dict[int, int] = {}
        for at in reversed(self.ordered()):
            ways = self.vertices[at].ways.values()
            most[at] = max([way.nodes + most.get(way.end, 0) for way in ways if way.end >= 0])
        if most and most[0] > self.recipe.max_nodes:
            raise NetError([self.too_large()])

    def ordered(self) -> list[int]:
        """Return the vertices from which a net can be reached, each before those that it leads to."""
        alive: dict[int, bool] = {}
        order: list[int] = []
        stack: list[tuple[int, bool]] = [(0, False)]
        while stack:
            at, done = stack.pop()
            goals = {way.end for way in self.vertices[at].ways.values() if way.end >= 0}
            if done:
                alive[at] = any(self.ended(goal) or alive.get(goal, False) for goal in goals)
                if alive[at]:
                    order.append(at)
            elif at not in alive:
                alive[at] = False
                stack.append((at, True))
                stack += [(goal, False) for goal in goals if goal not in alive and not self.ended(goal)]
        return order[::-1]

    def ended(self, at: int) -> bool:
        """Tell whether a vertex is the end of a net."""
        point = self.vertices[at].point
        return point is not None and point.ended

    @property
    def span(self) -> Any:
        """The net's text."""
        from netdsl.source import Span

        net = self.recipe.net
        return Span(net.file.source, net.node.start, net.node.end)

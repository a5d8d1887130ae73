"""What there is to know of a space without training anything: how many nets, what they cost, what no net can have."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from html import escape
from itertools import chain, islice
from typing import Any

from netdsl.cost.budget import check
from netdsl.cost.model import Cost
from netdsl.diagnostics import Diagnostic, NetError, did_you_mean
from netdsl.elaborate.build import Recipe
from netdsl.elaborate.layers import OF_VALUES
from netdsl.elaborate.result import Budget
from netdsl.net import Net
from netdsl.quantities import Options as Asked
from netdsl.quantities import Quantity, catalogue
from netdsl.record import Record
from netdsl.source import Span
from netdsl.space.budgets import Total, weights_of
from netdsl.space.counts import Bracket, count, size
from netdsl.space.limits import limited
from netdsl.space.ranges import Range, options, ranges
from netdsl.space.reduced import NoNet
from netdsl.space.space import Space
from netdsl.space.walk import Common
from netdsl.syntax import tree

WHOLE = 30
"""So many nets are elaborated at most, to see whether whole nets are right."""
MAX_WRONG = 5
"""How many errors that nets run into are shown."""


class Required(Record):
    """A budget."""

    text: str
    """What the spec says, on one line."""
    some: bool
    """Whether only some nets have to keep it, or parts of nets."""
    span: Span

    @property
    def said(self) -> str:
        """What people are shown."""
        return f"{self.text} where required" if self.some else self.text


def required(budgets: Sequence[Iterable[Budget]]) -> tuple[Required, ...]:
    """Return what nets have to keep, given what those of each end have to."""
    ends = [{" ".join(one.span.text.split()): one for one in row} for row in budgets]
    every = {text: one for end in ends for text, one in end.items()}
    found = []
    for text, one in every.items():
        part = bool(one.scope or one.stage)
        found.append(Required(text, part or not all(text in end for end in ends), one.span))
    return tuple(found)


class Choice(Record):
    """A decision, and what of it nets take."""

    name: str
    options: tuple[str, ...]
    span: Span
    unused: tuple[str, ...]
    """The options that no net takes."""
    beyond: tuple[str, ...]
    """Those that some net takes, but none within the budgets."""


class Overview(Record):
    """A space as a whole."""

    name: str
    spec: str
    file: str
    choices: tuple[Choice, ...]
    nets: int
    """How many there are, whatever they cost."""
    bounds: tuple[Required, ...]
    """The budgets that are bounds of sums."""
    others: tuple[Required, ...]
    """Those that are not, which no count knows of."""
    within: Bracket
    """How many nets keep the bounds."""
    ranges: Mapping[str, Range]
    """By quantity, over all nets."""
    kept: Mapping[str, Range]
    """The same over those within the bounds; empty if there is none."""
    wrong: tuple[Diagnostic, ...]
    """Some errors that sets of answers run into."""
    errors: int
    """In how many places of the space there are such."""


def counted() -> dict[str, Quantity]:
    """Return the quantities that are sums of what layers cost, as people are shown them."""
    return {name: quantity for name, quantity in catalogue().items() if quantity.costed and quantity.shown}


def summed(name: str, others: str) -> Quantity:
    """Return a quantity of a front; `others` are what else there is, beside quantities.

    Raises:
        NetError: There is no such quantity, or it is no sum of what layers cost.
    """
    known = counted()
    if name not in known:
        help = did_you_mean(name, list(known)) or f"there are {', '.join(known)}, {others}"
        raise NetError([Diagnostic("E500", f"--front: `{name}` is no quantity that adds up", help=help)])
    return known[name]


def says_of_whole(recipe: Recipe) -> bool:
    """Tell whether a net's text has what only whole nets show errors of: `init` lines, ramps."""
    file = recipe.net.file
    nodes = [recipe.net.node, *[block.node for block in Common.blocks_of(file)]]
    every = chain.from_iterable(map(tree.pieces, nodes))
    return bool(file.inits) or any(
        isinstance(one, tree.InitLine) or (isinstance(one, tree.Name) and one.text == "ramp") for one in every
    )


class Explored:
    """A search space whose nets are all known: how many there are, what they cost, which keep the budgets.

    Nets are mappings from decisions to the texts of their options, which `load` takes in `set`.
    """

    def __init__(self, space: Space) -> None:
        """Look at all of it; raise NetError if it has no net, or leaves nothing open."""
        space.explore()
        space.check_sizes()
        self.space = space
        bounds, others = space.budgets()
        self.bounds = required([[bound.budget for bound in row] for row in bounds.values()])
        """The budgets that are bounds of sums."""
        self.others = required([*others.values()])
        """Those that are not."""
        columns = {name: Total(weights_of(quantity, Asked())) for name, quantity in counted().items()}
        found = limited(space, columns, bounds)
        self.lattice, self.most, self.least = found.lattice, found.most, found.least
        if not self.lattice.edges[0]:
            raise NetError(mistakes(space) or wrong(space, MAX_WRONG))
        if not space.decisions:
            what = f"{space.name} leaves nothing open: it is one net, and no search space"
            raise NetError([Diagnostic("E217", what, space.span, help=f"netdsl cost {space.spec}")])
        self._elaborate_some()

    def _elaborate_some(self) -> None:
        """Hold nets against elaboration, which says what only a whole net shows, such as of an `init` line.

        One is enough, unless there is an `init` line or a ramp: then each option is taken by one, up to a number.

        Raises:
            NetError: One is no net.
        """
        for answers in islice(self._covering(), WHOLE if says_of_whole(self.space.recipe) else 1):
            cost = Net(self.space.recipe.given(self.space.texts(answers))).cost()
            costs = self.space.costs(answers)
            if (cost.params, cost.macs) != (costs[0] + costs[5], costs[2]):
                raise AssertionError(
                    f"{self.space.name}: a net costs something else than its way through the space"
                )

    def _covering(self) -> Iterator[dict[str, int]]:
        """Yield nets until each option is taken that some net takes."""
        edges, end = self.lattice.edges, len(self.lattice.edges) - 1
        before: dict[int, dict[str, int]] = {0: {}}
        taken: set[tuple[str, int]] = set()
        for at, row in enumerate(edges[:-1]):
            for edge in row:
                answers = {**before[at], **dict(edge.answers)}
                before.setdefault(edge.end, answers)
                if at and taken.issuperset(edge.answers):
                    continue
                goal = edge.end
                while goal != end:
                    answers = {**answers, **dict(edges[goal][0].answers)}
                    goal = edges[goal][0].end
                taken.update(answers.items())
                yield answers

    def __repr__(self) -> str:
        """Return how many nets there are and keep the budgets, what they cost, and what no net takes."""
        from netdsl.space import report

        return report.render_short(self.overview)

    def _repr_html_(self) -> str:
        """Return the same for notebooks."""
        return f"<pre>{escape(repr(self))}</pre>"

    @property
    def decisions(self) -> dict[str, tuple[str, ...]]:
        """The options of each decision, as texts."""
        return {name: one.options for name, one in self.space.decisions.items()}

    @cached_property
    def overview(self) -> Overview:
        """What there is to know of the space."""
        return overview(self)

    def cost(self, net: Mapping[str, str]) -> Cost:
        """Return what a net costs for one sample, activations in elements, what is of training only too.

        Raises:
            NetError: There is no such net, or a decision is left open.
        """
        costs = self.space.costs(self.space.indices(net))
        return Cost(*[a + b for a, b in zip(costs[:5], costs[5:], strict=True)])

    def sums(self, answers: Mapping[str, int]) -> tuple[int, ...]:
        """Return what a net costs, by the lattice's columns."""
        sums = [0] * len(self.lattice.columns)
        at, end = 0, len(self.lattice.edges) - 1
        while at != end:
            way = next(w for w in self.lattice.edges[at] if all(answers.get(n) == i for n, i in w.answers))
            sums = [a + b for a, b in zip(sums, way.costs, strict=True)]
            at = way.end
        return tuple(sums)

    def within(self, sums: Sequence[int]) -> bool:
        """Tell whether a net that costs so much keeps the budgets that are sums."""
        above = any(sums[at] > most for at, most in self.most.items())
        return not above and all(sums[at] >= least for at, least in self.least.items())

    def draw(self, seed: int = 0) -> Iterator[dict[str, str]]:
        """Yield nets that keep the budgets for ever, each as likely as any other.

        Raises:
            NetError: No net keeps them, or hardly one does of those that keep the budgets which are sums.
        """
        tried = found = 0
        for answers in self._drawn(seed):
            tried += 1
            net = self.space.texts(answers)
            if not self.others or self.keeps(net):
                found += 1
                yield net
            elif tried > 1000 * (found + 1):
                what = f"of {tried:,} nets drawn only {found:,} keep the budgets that are no sums"
                raise NetError([Diagnostic("E401", what, self.others[0].span)])

    def sample(self, draws: int, seed: int = 0) -> int:
        """Return how many keep all budgets, of some nets drawn uniformly from those that keep what is a sum."""
        nets = islice(self._drawn(seed), draws)
        return sum([self.keeps(self.space.texts(answers)) for answers in nets])

    def _drawn(self, seed: int) -> Iterator[dict[str, int]]:
        """Yield nets that keep the budgets which are sums."""
        import random

        from netdsl.space.draws import draws

        try:
            yield from draws(self.lattice, self.most, self.least, random=random.Random(seed))
        except NoNet:
            raise self.nothing() from None

    def keeps(self, net: Mapping[str, str]) -> bool:
        """Tell whether a net keeps all budgets, those too that are no sums."""
        return not check(Net(self.space.recipe.given(net)))

    def front(self, goals: Sequence[tuple[str, bool]]) -> list[tuple[tuple[int, ...], dict[str, str]]]:
        """Return the nets within the budgets that no other is as good as: what they cost, and what is decided.

        Args:
            goals: Quantities, each with whether more of it is better.

        Raises:
            NetError: No net keeps the budgets.
        """
        from netdsl.space.fronts import Goal, front

        try:
            asked = [Goal(self.place(name), more) for name, more in goals]
            found = front(self.lattice, asked, self.most, self.least)
        except NoNet:
            raise self.nothing() from None
        texts = [self.space.texts(found.answers(at)) for at in range(len(found))]
        return list(zip(found.sums, texts, strict=True))  # type: ignore[arg-type]

    def nothing(self) -> NetError:
        """Return the error for a space none of whose nets keeps the budgets."""
        budgets = [*self.bounds, *self.others]
        what = f"no net of {self.space.name} keeps its budgets: {', '.join(one.said for one in budgets)}"
        return NetError([Diagnostic("E401", what, budgets[0].span)])

    def place(self, quantity: str) -> int:
        """Return which column is a quantity's."""
        return self.lattice.columns.index(quantity)


def overview(explored: Explored) -> Overview:
    """Return what there is to know of a space."""
    space, lattice = explored.space, explored.lattice
    most, least = explored.most, explored.least
    there = options(lattice).taken
    within = count(lattice, most, least)
    bounded = bool(most or least)
    kept: Sequence[Range] = ()
    found = options(lattice, most, least) if bounded else None
    if bounded:
        try:
            kept = ranges(lattice, most, least)
        except NoNet:
            kept = ()
    choices = []
    for name, decision in space.decisions.items():
        distinct = dict.fromkeys(decision.options)
        index = {text: decision.options.index(text) for text in distinct}
        unused = [text for text in distinct if (name, index[text]) not in there]
        beyond = []
        if found is not None:
            possible = found.taken | found.open
            beyond = [t for t in distinct if t not in unused and (name, index[t]) not in possible]
        choices.append(Choice(name, tuple(distinct), decision.span, tuple(unused), tuple(beyond)))
    names = list(counted())
    return Overview(
        space.name,
        space.spec,
        space.file,
        tuple(choices),
        size(lattice),
        explored.bounds,
        explored.others,
        within,
        dict(zip(names, ranges(lattice), strict=False)),
        dict(zip(names, kept, strict=False)),
        tuple(wrong(space, MAX_WRONG)),
        sum(way.end < 0 for vertex in space.vertices for way in vertex.ways.values()),
    )


def mistakes(space: Space) -> list[Diagnostic]:
    """Return some errors that are of the text, and not of what shapes and numbers some answers make."""
    return wrong(space, MAX_WRONG, lambda code: code not in OF_VALUES and not code.startswith("E3"))


def wrong(space: Space, most: int, count: Callable[[str], bool] = bool) -> list[Diagnostic]:
    """Return some errors that sets of answers run into, each as one net that has it says it.

    Args:
        space: A space that is explored.
        most: How many to return.
        count: Tells of a code whether errors of it count.
    """
    known: dict[Any, Diagnostic] = {}
    for at, vertex in enumerate(space.vertices):
        for way in vertex.ways.values():
            if way.end >= 0:
                continue
            first = way.errors[0]
            key = first.code, first.message, first.span
            if key not in known and len(known) < most and count(first.code):
                known[key] = said(space, {**space.before(at), **dict(way.answers)}, first)
    return list(known.values())


def said(space: Space, answers: Mapping[str, int], otherwise: Diagnostic) -> Diagnostic:
    """Return the first error of nets that begin with some answers, as elaboration says it."""
    try:
        space.recipe.given(space.partly(answers)).elaborate()
    except NetError as error:
        return next((one for one in error.diagnostics if one.code != "E217"), otherwise)
    return otherwise

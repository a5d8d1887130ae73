"""What there is to know of a space without training anything: how many nets, what they cost, what no net can have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from netdsl.diagnostics import Diagnostic, NetError
from netdsl.elaborate.result import Budget
from netdsl.quantities import Options as Asked
from netdsl.quantities import Quantity, catalogue
from netdsl.record import Record
from netdsl.source import Span
from netdsl.space.budgets import Bound, weights_of
from netdsl.space.counts import Bracket, count, size
from netdsl.space.lattice import Lattice
from netdsl.space.ranges import Range, options, ranges
from netdsl.space.reduced import NoNet
from netdsl.space.space import Space

MAX_WRONG = 5
"""How many errors that nets run into are shown."""


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
    choices: tuple[Choice, ...]
    nets: int
    """How many there are, whatever they cost."""
    bounds: tuple[Bound, ...]
    """The budgets that are bounds of sums."""
    others: tuple[Budget, ...]
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
    return {
        name: quantity
        for name, quantity in catalogue().items()
        if getattr(quantity, "costed", False) and quantity.shown
    }


class Explored:
    """A space whose nets are all known, with its budgets as bounds of columns."""

    def __init__(self, space: Space) -> None:
        """Look at all of it; raise NetError if it has no net."""
        space.explore()
        self.space = space
        self.bounds, self.others = space.budgets()
        columns = {name: weights_of(quantity, Asked()) for name, quantity in counted().items()}
        places = {weights: place for place, weights in enumerate(columns.values())}
        self.most: dict[int, int] = {}
        self.least: dict[int, int] = {}
        for bound in self.bounds:
            negative = tuple([-weight for weight in bound.weights])
            if negative in places:
                at = places[negative]
                self.least[at] = max(-bound.most, self.least.get(at, -bound.most))
                continue
            if bound.weights not in places:
                places[bound.weights] = len(columns)
                columns[f"budget {len(columns)}"] = bound.weights
            at = places[bound.weights]
            self.most[at] = min(bound.most, self.most.get(at, bound.most))
        self.lattice: Lattice = space.lattice(columns)
        if not self.lattice.edges[0]:
            raise NetError(wrong(space, 1))

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
        tuple(choices),
        size(lattice),
        tuple(explored.bounds),
        tuple(explored.others),
        within,
        dict(zip(names, ranges(lattice), strict=False)),
        dict(zip(names, kept, strict=False)),
        tuple(wrong(space, MAX_WRONG)),
        sum(way.end < 0 for vertex in space.vertices for way in vertex.ways.values()),
    )


def wrong(space: Space, most: int) -> list[Diagnostic]:
    """Return some errors that sets of answers run into, each as one net that has it says it."""
    known: dict[Any, Diagnostic] = {}
    for at, vertex in enumerate(space.vertices):
        for way in vertex.ways.values():
            if way.end >= 0:
                continue
            first = way.errors[0]
            key = first.code, first.message, first.span
            if key not in known and len(known) < most:
                known[key] = said(space, {**space.before(at), **dict(way.answers)}, first)
    return list(known.values())


def said(space: Space, answers: Mapping[str, int], otherwise: Diagnostic) -> Diagnostic:
    """Return the first error of nets that begin with some answers, as elaboration says it."""
    recipe = space.recipe.replace(settings={**space.recipe.settings, **space.partly(answers)})
    try:
        recipe.elaborate()
    except NetError as error:
        return next((one for one in error.diagnostics if one.code != "E217"), otherwise)
    return otherwise

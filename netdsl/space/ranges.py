"""What nets within bounds cost at least and at most, and which options they take."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Mapping, Sequence

from netdsl.record import Record
from netdsl.space.counts import Bracket, meet
from netdsl.space.grids import Table
from netdsl.space.labels import LABELS, labels
from netdsl.space.lattice import Lattice
from netdsl.space.reduced import NO_BOUNDS, NoNet, Reduced, Sum, bounds, column, merge, reduce


class Range(Record):
    """What nets cost in one column."""

    least: Bracket
    """The least, or between which numbers it is."""
    most: Bracket


def ranges(
    lattice: Lattice,
    most: Mapping[int, int] = NO_BOUNDS,
    least: Mapping[int, int] = NO_BOUNDS,
    *,
    effort: int = LABELS,
) -> tuple[Range, ...]:
    """Return by column what nets within bounds cost, in the column's unit.

    Args:
        lattice: The space.
        most: By column, the greatest sum that is allowed.
        least: By column, the least.
        effort: How many sums of partial nets may be kept at each vertex. The end of a range that needs more is a
            bracket, whose inner end a net has, unless none was found.

    Raises:
        NoNet: If no net is within the bounds.
    """
    lattice = merge(lattice, range(len(lattice.columns)))
    return tuple(
        Range(
            _extreme(lattice, c, True, most, least, effort), _extreme(lattice, c, False, most, least, effort)
        )
        for c in range(len(lattice.columns))
    )


def _extreme(
    lattice: Lattice, index: int, low: bool, most: Mapping[int, int], least: Mapping[int, int], effort: int
) -> Bracket:
    """Return the least of a column if `low`, else the most."""
    sums = [Sum(column(index), low), *bounds(most, least)]
    against = least if low else most
    if index in against:
        # where nets exceed it, the best ones are those nearest to it
        bound = Sum(column(index), not low, against[index])
        if reduce(lattice, [bound]).fields:
            rest = {c: limit for c, limit in against.items() if c != index}
            others = bounds(most, rest) if low else bounds(rest, least)
            return _near(lattice, reduce(lattice, [bound, *others], keep=1), sums, low, effort)
    reduced = reduce(lattice, sums, keep=1)
    inner, exact = _found(reduced, effort)
    if exact:
        return Bracket(inner, inner)
    relaxed, _ = labels(reduced, goals=1, most=effort, relaxed=True)
    if not relaxed[-1]:
        raise NoNet("no net is within the bounds")
    outer = reduced.fields[0].value(min(relaxed[-1]) - reduced.begin)
    return Bracket(outer, inner) if low else Bracket(inner, outer)


def _found(reduced: Reduced, effort: int) -> tuple[int, bool]:
    """Return the best value of the first field that was found, or the worst if none was; and whether it is exact."""
    field = reduced.fields[0]
    found, exact = labels(reduced, goals=1, most=effort)
    if found[-1]:
        return field.value(min(found[-1]) - reduced.begin), exact
    if exact:
        raise NoNet("no net is within the bounds")
    return field.value(field.limit << field.shift), False


def _near(lattice: Lattice, reduced: Reduced, sums: Sequence[Sum], low: bool, effort: int) -> Bracket:
    """Return which sum is nearest to its own bound, the first field's limit, from within.

    All partial sums are as good as each other there, so tables of them meet in the middle, if they are not too large.
    """
    field = reduced.fields[0]
    if len(reduced.fields) <= 2:
        met = meet(reduced, effort * 200)
        if not met.between:
            nearest = max((_greatest(reduced, *pair) for pair in met.pairs), default=-1)
            if nearest < 0:
                raise NoNet("no net is within the bounds")
            value = field.value((nearest << field.shift) - (reduced.begin & field.whole))
            return Bracket(value, value)
        effort = -(-effort // 8)  # all that is sought now is one that is near
    inner, exact = _found(reduce(lattice, sums, keep=1), effort)
    if exact:
        return Bracket(inner, inner)
    outer = field.value(field.limit << field.shift)
    return Bracket(outer, inner) if low else Bracket(inner, outer)


def _greatest(reduced: Reduced, fore: Table, aft: Table) -> int:
    """Return the greatest first field of a sum from the begin and one to the end within the limits, or -1."""
    first, *others = reduced.fields
    full = first.mask
    # by the second field: what there is room for grows, and with it the sums among which the next below is looked for
    shift, low = first.shift, (1 << first.shift) - 1
    room = sum(f.mask << f.shift for f in others)
    rests = sorted((key & low, key >> shift) for key in aft)
    known: list[int] = []
    greatest, at = -1, 0
    for space, head in sorted((room - (key & low), key >> shift) for key in fore):
        while at < len(rests) and rests[at][0] <= space:
            insort(known, rests[at][1])
            at += 1
        i = bisect_right(known, full - head)
        if i and head + known[i - 1] > greatest:
            greatest = head + known[i - 1]
            if greatest == full:
                break
    return greatest


class Options(Record):
    """Decisions with the index of what they take."""

    taken: frozenset[tuple[str, int]]
    """Those of which some net within the bounds is known."""
    open: frozenset[tuple[str, int]]
    """Those of which it is not known whether there is one; empty if the effort was enough."""


def options(
    lattice: Lattice,
    most: Mapping[int, int] = NO_BOUNDS,
    least: Mapping[int, int] = NO_BOUNDS,
    *,
    effort: int = LABELS,
) -> Options:
    """Return which options nets within bounds take; all others are in none.

    Args:
        lattice: The space.
        most: By column, the greatest sum that is allowed.
        least: By column, the least.
        effort: How many sums of partial nets may be kept at each vertex.
    """
    try:
        reduced = reduce(lattice, bounds(most, least))
    except NoNet:
        return Options(frozenset(), frozenset())
    if len(reduced.fields) < 2:
        # an edge that is too dear with the least before and after it has been left out
        answers = {
            answer
            for edges, steps in zip(lattice.edges, reduced.steps, strict=True)
            for step in steps
            for answer in edges[step.place].answers
        }
        return Options(frozenset(answers), frozenset())
    taken, exact = _options(lattice, reduced, effort, relaxed=False)
    if exact:
        return Options(taken, frozenset())
    possible, _ = _options(lattice, reduced, effort, relaxed=True)
    return Options(taken, possible - taken)


def _options(
    lattice: Lattice, reduced: Reduced, effort: int, *, relaxed: bool
) -> tuple[frozenset[tuple[str, int]], bool]:
    """Return the options of edges that lie between two labels within the limits, and whether these are exact."""
    fore, exact = labels(reduced, most=effort, relaxed=relaxed)
    aft, same = labels(reduced, back=True, most=effort, relaxed=relaxed)
    taken: set[tuple[str, int]] = set()
    for vertex, steps in enumerate(reduced.steps):
        for step in steps:
            answers = lattice.edges[vertex][step.place].answers
            if not taken.issuperset(answers):
                moved = [total for key in fore[vertex] if not (total := key + step.cost) & reduced.guard]
                if _meet(reduced, moved, aft[step.end]):
                    taken.update(answers)
    return frozenset(taken), exact and same


def _meet(reduced: Reduced, fore: Sequence[int], aft: Sequence[int]) -> bool:
    """Return whether some sum from the begin and some sum to the end are within the limits together."""
    guard = reduced.guard
    if len(reduced.fields) > 2:
        return any(not (a + b) & guard for a in fore for b in aft)
    shift = reduced.fields[0].shift
    full = guard >> shift
    for key in fore:
        head = key >> shift
        if head < full:
            # of those that the first field has room for the last has the least in the second
            i = bisect_right(aft, (full - head << shift) - 1)
            if i and not (key + aft[i - 1]) & guard:
                return True
    return False

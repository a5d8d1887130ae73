"""What the budgets of a space demand, as limits of sums along its paths.

Not all nets need have the same budgets: a `require` may stand under a condition, or read what is decided. What it
bounds then has a column of its own, to which the end of a net adds what its limit is below the loosest one. So one
limit holds for all; where none is said, it is loose enough for every net.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from netdsl.record import Record
from netdsl.space.budgets import Bound, Total
from netdsl.space.lattice import Lattice
from netdsl.space.reduced import extreme
from netdsl.space.space import Space


class Limited(Record):
    """All valid nets of a space as a graph, and what nets have to keep."""

    lattice: Lattice
    """It has no edges if there is no net."""
    most: Mapping[int, int]
    """By column, the greatest sum that is allowed."""
    least: Mapping[int, int]


def limited(space: Space, columns: Mapping[str, Total], bounds: Mapping[int, Sequence[Bound]]) -> Limited:
    """Return the nets of a space, whose columns are those that are given and what else is bounded.

    Args:
        space: A space that is explored.
        columns: What to count.
        bounds: By end, what nets that end there have to keep.
    """
    every = {**columns}
    places = {total: place for place, total in enumerate(columns.values())}
    most: dict[int, int] = {}
    least: dict[int, int] = {}
    own: dict[int, dict[int, int]] = {}
    for total, by_end in tightest(bounds).items():
        limit = max(by_end.values())
        if len(by_end) == len(bounds) and {*by_end.values()} == {limit}:
            if (negative := total.times(-1)) in places:
                least[places[negative]] = -limit
                continue
            place = places.get(total, len(every))
        else:
            place = len(every)
            own[place] = by_end
        most[place] = limit
        if place == len(every):
            every[f"budget {place}"] = total
    lattice = space.lattice(every)
    if not own or not lattice.edges[0]:
        return Limited(lattice, most, least)
    for place, limits in own.items():
        longest = extreme(lattice, [[edge.costs[place] for edge in row] for row in lattice.edges], max)[0]
        if longest <= min(limits.values()):
            del most[place]  # all nets keep it
        elif len(limits) < len(bounds):
            most[place] = max(most[place], longest)
    beyond = {end: [0] * len(every) for end in bounds}
    for place, limits in own.items():
        for end, limit in limits.items():
            beyond[end][place] = most.get(place, limit) - limit
    return Limited(space.lattice(every, beyond), most, least)


def tightest(bounds: Mapping[int, Sequence[Bound]]) -> dict[Total, dict[int, int]]:
    """Return by what is bounded the least of the limits of each end that has one."""
    found: dict[Total, dict[int, int]] = {}
    for end, row in bounds.items():
        for bound in row:
            limits = found.setdefault(bound.total, {})
            limits[end] = min(bound.most, limits.get(end, bound.most))
    return found

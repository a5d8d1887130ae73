"""How many nets a space has, and how many of them are within bounds.

Tables of partial sums, equal ones merged, grow from the begin and from the end; of all vertices whose table is
complete the cheapest is next, until each vertex is on one side. Each path crosses from one side to the other once, so
the number of nets is the number of pairs of partial sums, one from either side, that are within the limits together.

Where that would be too many sums, what lies between the two sides is crossed on a grid: a table of counts by rounded
sum is one big integer, an edge a shift and an addition. What rounding leaves over is known to be between two bounds,
so the count is too. A grid as fine as the costs themselves is exact.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from heapq import heapify, heappop, heappush
from itertools import accumulate

from netdsl.record import Record
from netdsl.space.grids import Grid, Part, Table
from netdsl.space.lattice import Lattice
from netdsl.space.reduced import NO_BOUNDS, Field, NoNet, Reduced, bounds, merge, reduce

SUMS = 800_000
"""So many additions to tables of sums are made before a grid is used: up to 1 s."""
CELLS = 300_000_000
"""So many cells are added up on grids: about 2 s."""
GRID = 1 << 21
"""The most cells of one grid: 16 MB."""


class Bracket(Record):
    """A number that is known to be in a range; both ends belong to it."""

    least: int
    most: int

    @property
    def exact(self) -> bool:
        """Whether the number is known."""
        return self.least == self.most


def size(lattice: Lattice) -> int:
    """Return the number of nets."""
    return ways(lattice)[0]


def ways(lattice: Lattice) -> list[int]:
    """Return by vertex the number of paths from there to the end."""
    ahead = [1] * len(lattice.edges)
    for vertex in range(len(ahead) - 2, -1, -1):
        ahead[vertex] = sum(ahead[edge.end] for edge in lattice.edges[vertex])
    return ahead


def count(
    lattice: Lattice,
    most: Mapping[int, int] = NO_BOUNDS,
    least: Mapping[int, int] = NO_BOUNDS,
    *,
    sums: int = SUMS,
    cells: int = CELLS,
) -> Bracket:
    """Return the number of nets within bounds, exactly if that takes no more than `sums` and `cells` additions.

    Args:
        lattice: The space.
        most: By column, the greatest sum that is allowed, in the column's unit.
        least: By column, the least.
        sums: How many additions to tables of sums may be made before a grid is used.
        cells: About how many cells may be added up on grids.
    """
    columns = sorted({*most, *least})
    most, least = ({columns.index(c): limit for c, limit in side.items()} for side in (most, least))
    lattice = merge(lattice, columns)
    try:
        reduced = reduce(lattice, bounds(most, least))
    except NoNet:
        return Bracket(0, 0)
    if not reduced.fields:
        exact = size(lattice)
        return Bracket(exact, exact)
    met = meet(reduced, sums)
    nets = sum(_pairs(reduced, fore, aft) for fore, aft in met.pairs)
    crossing = _cross(reduced, met, cells) if met.between else Bracket(0, 0)
    return Bracket(nets + crossing.least, nets + crossing.most)


class Met(Record):
    """How far tables of sums have grown from both ends."""

    pairs: Sequence[tuple[Table, Table]]
    """Sums from the begin to a vertex, and from there to the end: each net that does not pass `between` is in one."""
    fore: Sequence[Table]
    """By vertex, sums from the begin, without those that were passed on."""
    aft: Sequence[Table]
    """By vertex, sums to the end."""
    between: Sequence[int]
    """The vertices that are on neither side."""


def meet(reduced: Reduced, sums: int) -> Met:
    """Let tables grow from both ends by at most `sums` additions."""
    back = reduced.back()
    ahead = [[(s.cost, s.end) for s in steps] for steps in reduced.steps]
    tables: tuple[list[Table], list[Table]] = ([{} for _ in back], [{} for _ in back])
    tables[0][0][reduced.begin] = 1
    tables[1][-1][0] = 1
    # what is known of the other part: nothing before the end's side, as costs are reduced
    rest = ([0] * len(back), reduced.least)
    edges, waits = (ahead, back), ([len(row) for row in back], [len(row) for row in ahead])
    side: list[int | None] = [None] * len(back)
    ready = [(0, vertex, way) for way in (0, 1) for vertex in range(len(back)) if not waits[way][vertex]]
    heapify(ready)
    pairs: list[tuple[Table, Table]] = []
    spent = 0
    while ready:
        price, vertex, way = heappop(ready)
        if side[vertex] is not None:
            continue
        spent += price
        if spent > sums:
            break
        side[vertex] = way
        if tables[0][vertex] and tables[1][vertex]:
            pairs.append((tables[0][vertex], tables[1][vertex]))
        for cost, end in edges[way][vertex]:
            if side[end] is None:
                _push(tables[way][vertex], cost, tables[way][end], rest[way][end], reduced.guard)
                waits[way][end] -= 1
                if not waits[way][end]:
                    heappush(ready, (len(tables[way][end]) * len(edges[way][end]), end, way))
        tables[0][vertex] = tables[1][vertex] = {}
    return Met(pairs, *tables, [v for v in range(len(back)) if side[v] is None])


def _push(table: Table, cost: int, into: Table, rest: int, guard: int) -> None:
    """Add the sums of a table, and a cost, to another table, unless they exceed a limit together with the rest."""
    get = into.get
    for key, number in table.items():
        key += cost
        if not (key + rest) & guard:
            into[key] = get(key, 0) + number


def _pairs(reduced: Reduced, fore: Table, aft: Table) -> int:
    """Return the number of pairs of a path to a vertex and one from there that are within the limits together."""
    # what a path to here leaves over; no field borrows from the next, as all of them are within the limits
    full = sum(f.mask << f.shift for f in reduced.fields)
    rooms = sorted((full - key, number) for key, number in fore.items())
    return _below(rooms, sorted(aft.items()), reduced.fields)


Points = Sequence[tuple[int, int]]
"""Packed sums in order, with a number each."""


def _below(rooms: Points, sums: Points, fields: Sequence[Field]) -> int:
    """Return the number of pairs of a room and a sum that is no greater than it in any of the fields."""
    if not rooms or not sums:
        return 0
    if len(fields) == 1:
        numbers = list(accumulate((number for _, number in sums), initial=0))
        keys = [key for key, _ in sums]
        return sum(number * numbers[bisect_right(keys, room)] for room, number in rooms)
    if len(fields) == 2:
        return _dominated(rooms, sums, fields[0].shift)
    # divide by the first field: a sum from the lower half is below each room of the upper half there
    shift = fields[0].shift
    heads = sorted({key >> shift for key, _ in rooms} | {key >> shift for key, _ in sums})
    middle = heads[len(heads) // 2] << shift
    rest = (1 << shift) - 1
    i, j = (bisect_right(points, (middle, -1)) for points in (rooms, sums))
    if len(heads) == 1:
        return _below(_without(rooms, rest), _without(sums, rest), fields[1:])
    return (
        _below(rooms[:i], sums[:j], fields)
        + _below(rooms[i:], sums[j:], fields)
        + _below(_without(rooms[i:], rest), _without(sums[:j], rest), fields[1:])
    )


def _without(points: Points, mask: int) -> Points:
    """Return the points without their first field."""
    return sorted((key & mask, number) for key, number in points)


def _dominated(rooms: Points, sums: Points, shift: int) -> int:
    """Return the number of pairs of a room and a sum that is no greater than it in either of two fields.

    Rooms are met in the order of the first field, and sums are put into a Fenwick tree by rank of the second.
    """
    low = (1 << shift) - 1
    ranks = sorted({key & low for key, _ in sums})
    rank = {key: i for i, key in enumerate(ranks, 1)}
    size = len(ranks) + 1
    tree = [0] * size
    total = j = 0
    for room, number in rooms:
        head = room >> shift
        while j < len(sums) and sums[j][0] >> shift <= head:
            i = rank[sums[j][0] & low]
            n = sums[j][1]
            while i < size:
                tree[i] += n
                i += i & -i
            j += 1
        i = bisect_right(ranks, room & low)
        below = 0
        while i:
            below += tree[i]
            i &= i - 1
        total += number * below
    return total


def _parts(reduced: Reduced, met: Met) -> list[Part]:
    """Return what lies between the sides. Decisions for the whole net, such as its width, keep vertices apart."""
    between = set(met.between)
    edges = {v: [(s.cost, s.end) for s in reduced.steps[v] if s.end in between] for v in met.between}
    first = {v: v for v in met.between}

    def find(vertex: int) -> int:
        while first[vertex] != vertex:
            first[vertex] = vertex = first[first[vertex]]
        return vertex

    for vertex, row in edges.items():
        for _, end in row:
            first[find(end)] = find(vertex)
    parts: dict[int, list[int]] = {}
    for vertex in met.between:
        parts.setdefault(find(vertex), []).append(vertex)
    return [
        Part({v: met.fore[v] for v in part}, {v: met.aft[v] for v in part}, {v: edges[v] for v in part})
        for part in parts.values()
    ]


def _cross(reduced: Reduced, met: Met, cells: int) -> Bracket:
    """Return the number of nets within the limits that pass between the sides, by adding about so many cells."""
    parts = _parts(reduced, met)
    work = [sum(map(len, part.edges.values())) + 1 for part in parts]
    if len(parts) == 1:
        return _crossed(reduced, parts[0], cells // work[0])
    # a tenth of the effort shows where the rest is worth most
    brackets = [_crossed(reduced, part, cells // (10 * sum(work))) for part in parts]
    gaps = [math.isqrt(b.most - b.least) for b in brackets]
    for i, bracket in enumerate(brackets):
        if gaps[i]:
            finer = _crossed(reduced, parts[i], cells * 9 // 10 * gaps[i] // sum(gaps) // work[i])
            brackets[i] = Bracket(max(bracket.least, finer.least), min(bracket.most, finer.most))
    return Bracket(sum(b.least for b in brackets), sum(b.most for b in brackets))


def _crossed(reduced: Reduced, part: Part, cells: int) -> Bracket:
    """Return the number of nets within the limits that pass through a part, by a grid of about so many cells."""
    return Bracket(*Grid(reduced.fields, part, min(cells, GRID)).paths())

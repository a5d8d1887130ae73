"""How many nets a space has, and how many of them are within bounds.

Tables of partial sums, equal ones merged, grow from the begin and from the end; of all vertices whose table is
complete the cheapest is next, until each vertex is on one side. Each path crosses from one side to the other once, so
the number of nets is the number of pairs of partial sums, one from either side, that are within the limits together.

Where that would be too many sums, what lies between the two sides is crossed on a grid: a table of counts by rounded
sum is one big integer, an edge a shift and an addition. With costs rounded down too many nets seem to be within the
limits, with costs rounded up too few. A grid as fine as the costs themselves is exact.
"""

from __future__ import annotations

import math
import sys
from array import array
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from heapq import heapify, heappop, heappush
from itertools import accumulate
from operator import add, mul
from typing import NamedTuple

from netdsl.record import Record
from netdsl.space.lattice import Lattice
from netdsl.space.reduced import NO_BOUNDS, Field, NoNet, Reduced, bounds, reduce

Table = dict[int, int]
"""Numbers of partial paths by packed sum."""

SUMS = 400_000
"""So many additions to tables of sums are made before a grid is used: up to 1 s."""
CELLS = 150_000_000
"""So many cells are added up on grids: about 1 s."""
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


class Part(NamedTuple):
    """Vertices between the sides that hang together."""

    fore: dict[int, Table]
    """By vertex, in order, the sums from the begin."""
    aft: dict[int, Table]
    edges: dict[int, list[tuple[int, int]]]
    """By vertex, packed costs and where they lead to."""


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
    parts: dict[int, Part] = {}
    for vertex in met.between:
        part = parts.setdefault(find(vertex), Part({}, {}, {}))
        part.fore[vertex], part.edges[vertex] = met.fore[vertex], edges[vertex]
    wholes = [f.whole for f in reduced.fields]
    for part in parts.values():
        sums = [key for table in part.fore.values() for key in table]
        least = sum(min((key & whole for key in sums), default=0) for whole in wholes)
        for vertex in part.edges:
            rests = met.aft[vertex].items()
            part.aft[vertex] = {key: number for key, number in rests if not (key + least) & reduced.guard}
    return list(parts.values())


def _cross(reduced: Reduced, met: Met, cells: int) -> Bracket:
    """Return the number of nets within the limits that pass between the sides, by adding about so many cells."""
    parts = _parts(reduced, met)
    work = [2 * sum(map(len, part.edges.values())) + 1 for part in parts]
    if len(parts) == 1:
        return _crossed(reduced, parts[0], cells // work[0])
    # a tenth of the effort shows where the rest is worth most
    brackets = [_crossed(reduced, part, cells // (10 * sum(work))) for part in parts]
    gap = sum(b.most - b.least for b in brackets)
    for i, bracket in enumerate(brackets):
        if not bracket.exact:
            share = cells * 9 // 10 * (bracket.most - bracket.least) // gap
            if share > cells // 10:
                finer = _crossed(reduced, parts[i], share // work[i])
                brackets[i] = Bracket(max(bracket.least, finer.least), min(bracket.most, finer.most))
    return Bracket(sum(b.least for b in brackets), sum(b.most for b in brackets))


def _crossed(reduced: Reduced, part: Part, cells: int) -> Bracket:
    """Return the number of nets within the limits that pass through a part, by a grid of about so many cells."""
    grid = Grid(reduced.fields, part, min(cells, GRID))
    if not all(axis.cells for axis in grid.axes):
        return Bracket(0, 0)
    most = grid.paths(part, up=False)
    return Bracket(most if grid.fine else grid.paths(part, up=True), most)


class Axis(NamedTuple):
    """How one field is rounded."""

    shift: int
    mask: int
    origin: int
    """What a sum from the begin is at least, in the part."""
    room: int
    """What may be added to that."""
    unit: int
    """How long a cell is."""
    cells: int
    """How many of them may be within the limit."""
    fine: bool
    """Whether nothing is rounded."""


class Grid:
    """How sums are rounded to cells, and tables of numbers by cell are one integer: a slot each, row by row."""

    def __init__(self, fields: Sequence[Field], part: Part, cells: int) -> None:
        """Lay a grid of about so many cells."""
        costs = [cost for row in part.edges.values() for cost, _ in row]
        keys = [[key for table in side.values() for key in table] for side in (part.fore, part.aft)]
        flow = {vertex: sum(table.values()) for vertex, table in part.fore.items()}
        for vertex, row in part.edges.items():
            for _, end in row:
                flow[end] += flow[vertex]
        self.width = 8 * -(-max(flow.values()).bit_length() // 64)
        """Bytes of a slot; a number is one of paths from the begin."""
        self.axes: list[Axis] = []
        left = len(fields)
        for f in sorted(fields, key=lambda f: f.limit):
            full = f.mask << 1 | 1
            sums, rests = ([key >> f.shift & full for key in side] for side in keys)
            origin = min(sums, default=0)
            room = f.mask - origin
            step = math.gcd(*(s - origin for s in sums), *(cost >> f.shift & full for cost in costs))
            longest = min(room - min(rests, default=0), self._longest(part, f, origin))
            steps = longest // step if step else 0
            length = -(-(steps + 1) // max(2, math.floor(cells ** (1 / left))))
            unit = length * step or 1
            self.axes.insert(0, Axis(f.shift, full, origin, room, unit, longest // unit + 1, length <= 1))
            cells = max(1, cells // max(1, self.axes[0].cells))
            left -= 1
        self.strides = [1] * len(self.axes)
        """By axis, how many slots are from one cell to the next."""
        mask = b"\xff" * (self.width * self.axes[-1].cells)
        for i in range(len(fields) - 1, 0, -1):
            # what is above the limit has its place too until the mask takes it away, lest it be in the next row
            axis = self.axes[i]
            spare = max((-(-(cost >> axis.shift & axis.mask) // axis.unit) for cost in costs), default=0)
            self.strides[i - 1] = self.strides[i] * (axis.cells + max(1, min(spare, axis.cells)))
            mask = (mask + bytes(self.width * self.strides[i - 1] - len(mask))) * self.axes[i - 1].cells
        self.mask = int.from_bytes(mask, "little")
        """Ones where sums are within the limits."""

    @property
    def fine(self) -> bool:
        """Whether nothing is rounded."""
        return all(axis.fine for axis in self.axes)

    @staticmethod
    def _longest(part: Part, field: Field, origin: int) -> int:
        """Return the greatest sum from the begin, above the origin."""
        full = field.mask << 1 | 1
        longest = {
            vertex: max((key >> field.shift & full for key in table), default=origin) - origin
            for vertex, table in part.fore.items()
        }
        for vertex, row in part.edges.items():
            for cost, end in row:
                longest[end] = max(longest[end], longest[vertex] + (cost >> field.shift & full))
        return max(longest.values())

    def paths(self, part: Part, *, up: bool) -> int:
        """Return the number of paths through a part that are within the limits with costs rounded up or down."""
        total = 0
        tables = dict.fromkeys(part.edges, 0)
        for vertex, row in part.edges.items():
            table = (tables.pop(vertex) + self.table(part.fore[vertex], up=up)) & self.mask
            if not table:
                continue
            rests = part.aft[vertex]
            if rests:
                below = self.below(table)
                total += sum(map(mul, rests.values(), map(below.__getitem__, self.rooms(rests))))
            places = self.places([cost for cost, _ in row], up=up)
            for (place, end), times in Counter(zip(places, (end for _, end in row), strict=True)).items():
                moved = table << 8 * self.width * place
                tables[end] += moved if times == 1 else moved * times
        return total

    def places(self, sums: Iterable[int], *, up: bool, begin: bool = False) -> list[int]:
        """Return the slots of packed sums; of those from the `begin`, or of costs."""
        keys = list(sums)
        places = [0] * len(keys)
        for (shift, mask, origin, _, unit, cells, _), stride in zip(self.axes, self.strides, strict=True):
            more = (unit - 1 if up else 0) - (origin if begin else 0)
            axis = [((key >> shift & mask) + more) // unit for key in keys]
            if max(axis, default=0) > cells:
                axis = [min(cell, cells) for cell in axis]
            places = [place + cell * stride for place, cell in zip(places, axis, strict=True)]
        return places

    def rooms(self, sums: Iterable[int]) -> list[int]:
        """Return the last slots whose sums are within the limits together with packed sums to the end."""
        keys = list(sums)
        places = [0] * len(keys)
        for (shift, mask, _, room, unit, cells, _), stride in zip(self.axes, self.strides, strict=True):
            axis = [(room - (key >> shift & mask)) // unit for key in keys]
            if max(axis, default=0) >= cells:
                axis = [min(cell, cells - 1) for cell in axis]
            places = [place + cell * stride for place, cell in zip(places, axis, strict=True)]
        return places

    def table(self, sums: Table, *, up: bool) -> int:
        """Return the numbers of sums from the begin in their slots."""
        if not sums:
            return 0
        numbers: Table = defaultdict(int)
        for place, number in zip(self.places(sums, up=up, begin=True), sums.values(), strict=True):
            numbers[place] += number
        width = self.width
        slots = bytearray(width * (max(numbers) + 1))
        for place, number in numbers.items():
            slots[place * width : (place + 1) * width] = number.to_bytes(width, "little")
        return int.from_bytes(slots, "little")

    def below(self, table: int) -> list[int]:
        """Return by slot the sum of the numbers that are in no later cell, on any of the axes."""
        total = outer = self.strides[0] * self.axes[0].cells
        numbers = self.numbers(table, total)
        for axis, stride in zip(self.axes, self.strides, strict=True):
            for base in range(0, total, outer):
                if stride == 1:
                    numbers[base : base + axis.cells] = accumulate(numbers[base : base + axis.cells])
                    continue
                for at in range(base + stride, base + axis.cells * stride, stride):
                    numbers[at : at + stride] = map(add, numbers[at - stride : at], numbers[at : at + stride])
            outer = stride
        return numbers

    def numbers(self, table: int, count: int) -> list[int]:
        """Return what the first slots of a table hold."""
        words = array("Q", table.to_bytes(self.width * count, "little"))
        if sys.byteorder == "big":
            words.byteswap()
        parts = self.width // 8
        numbers = words[::parts].tolist()
        for i in range(1, parts):
            numbers = [low | high << 64 * i for low, high in zip(numbers, words[i::parts], strict=True)]
        return numbers

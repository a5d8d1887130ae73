"""Tables of numbers of paths by rounded sum, each of them one integer.

A cost is so many cells, and what is left over. All that is left over along a path has to be between two bounds, at
each vertex, and these are kept together: it is free which paths are a cell further, so the cells of a vertex begin
where what is left over of the ways to it is nearest to each other. Where it is the same, nothing is rounded.
"""

from __future__ import annotations

import math
import sys
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from operator import add, mul
from typing import NamedTuple

from netdsl.space.reduced import Field

Table = dict[int, int]
"""Numbers of partial paths by packed sum."""

MANY = 100
"""What is left over of more sums than this is taken to be anything."""


class Part(NamedTuple):
    """Some vertices of a lattice in order, with what is known of paths to them and from them."""

    fore: Mapping[int, Table]
    """By vertex, numbers of paths from the begin that are counted to reach it without those within the part."""
    aft: Mapping[int, Table]
    """By vertex, numbers of paths to the end that leave the part there."""
    edges: Mapping[int, Sequence[tuple[int, int]]]
    """By vertex, packed costs and where they lead to."""


class Axis(NamedTuple):
    """How the sums of one field are rounded."""

    shift: int
    mask: int
    """The field's bits, shifted to the lowest."""
    origin: int
    """What a path from the begin has at least; sums are counted from here."""
    room: int
    """The most that they may be."""
    unit: int
    """How long a cell is."""
    cells: int
    """How many cells may be within the limit."""
    moves: Mapping[int, Sequence[int]]
    """By vertex, how many cells each edge is long."""
    low: Mapping[int, int]
    """By vertex, the least that is left over; the cells of sums from the begin are counted from here."""
    high: Mapping[int, int]
    """By vertex, the most."""


def lay(part: Part, field: Field, cells: int) -> Axis:
    """Return how to round sums, so that there are about so many cells, and as little as possible is left open."""
    mask = field.mask << 1 | 1
    costs = {v: [(cost >> field.shift & mask, end) for cost, end in row] for v, row in part.edges.items()}
    sums = {v: [key >> field.shift & mask for key in table] for v, table in part.fore.items()}
    origin = min((s for row in sums.values() for s in row), default=0)
    sums = {v: [s - origin for s in row] for v, row in sums.items()}
    room = field.mask - origin
    longest = {v: max(row, default=0) for v, row in sums.items()}
    for vertex, edges in costs.items():
        for cost, end in edges:
            longest[end] = max(longest[end], longest[vertex] + cost)
    after = min((key >> field.shift & mask for table in part.aft.values() for key in table), default=0)
    span = max(0, min(room - after, max(longest.values())))
    step = math.gcd(
        *(s for row in sums.values() for s in row), *(c for row in costs.values() for c, _ in row)
    )
    unit = span // max(1, cells) + 1
    if step >= unit or not step:
        unit = step = step or 1
        units = [unit]
    else:
        # what is a multiple of the costs somewhere leaves nothing over there
        steps = {math.gcd(*(c for c, _ in row)) for row in costs.values()} - {0}
        near = {-(-unit // s) * s for s in steps} | {unit + unit * i // 50 for i in range(10)}
        units = sorted(u for u in near if u <= unit * 5 // 4)
    best = min((_Rounding(costs, sums, u, step) for u in units), key=lambda rounding: rounding.width)
    cells = (span - min(best.low.values())) // best.unit + 1
    return Axis(field.shift, mask, origin, room, best.unit, cells, best.moves, best.low, best.high)


class _Rounding:
    """What is left over at each vertex with cells of some length."""

    def __init__(
        self,
        costs: Mapping[int, Sequence[tuple[int, int]]],
        sums: Mapping[int, Sequence[int]],
        unit: int,
        step: int,
    ) -> None:
        """Go through the vertices in order; all costs and sums are multiples of `step`."""
        self.unit = unit
        self.low: dict[int, int] = {}
        self.high: dict[int, int] = {}
        self.moves = {vertex: [0] * len(row) for vertex, row in costs.items()}
        arriving: dict[int, list[tuple[int, int, int, int]]] = {vertex: [] for vertex in costs}
        for vertex, row in costs.items():
            ways = arriving.pop(vertex)
            sure = sums[vertex] if len(sums[vertex]) <= MANY else []
            ends = sorted([(a % unit, open) for a, open, *_ in ways] + [(s % unit, 0) for s in sure])
            start, width = self._narrowest(ends)
            if len(sure) < len(sums[vertex]):
                width = max(width, unit - step)
            first = min([a for a, *_ in ways] + list(sums[vertex]), default=0)
            low = first - (first - start) % unit
            self.low[vertex], self.high[vertex] = low, low + width
            for a, _, before, i in ways:
                self.moves[before][i] = (a - low) // unit
            if ways or sums[vertex]:
                for i, (cost, end) in enumerate(row):
                    arriving[end].append((low + cost, width, vertex, i))
        self.width = max(self.high[vertex] - self.low[vertex] for vertex in costs)

    def _narrowest(self, ends: Sequence[tuple[int, int]]) -> tuple[int, int]:
        """Return where on the circle of what is left over all ends are nearest behind, and how far they go."""
        before = list(accumulate((at + open for at, open in ends), max, initial=0))
        best = (0, self.unit) if ends else (0, 0)
        after = 0
        for i in range(len(ends) - 1, -1, -1):
            at, open = ends[i]
            after = max(after, at + open)
            width = max(after, before[i] + self.unit if i else 0) - at
            if width < best[1] or i == len(ends) - 1:
                best = at, width
        return best


class Grid:
    """Where sums have their slots: cell by cell along the last axis, row by row."""

    def __init__(self, fields: Sequence[Field], part: Part, cells: int) -> None:
        """Lay a grid of about so many cells."""
        self.part = part
        flow = {vertex: sum(table.values()) for vertex, table in part.fore.items()}
        for vertex, row in part.edges.items():
            for _, end in row:
                flow[end] += flow[vertex]
        self.width = 8 * -(-max(1, *flow.values()).bit_length() // 64)
        """Bytes of a slot; a number is one of paths from the begin."""
        self.axes: list[Axis] = []
        for i, f in enumerate(sorted(fields, key=lambda f: f.limit)):
            self.axes.insert(0, lay(part, f, max(2, math.floor(cells ** (1 / (len(fields) - i))))))
            cells = max(1, cells // self.axes[0].cells)
        self.strides = [1] * len(self.axes)
        """By axis, how many slots are from one cell to the next."""
        mask = b"\xff" * (self.width * self.axes[-1].cells)
        for i in range(len(self.axes) - 1, 0, -1):
            # what is above the limit has its place too until the mask takes it away, lest it be in the next row
            axis = self.axes[i]
            spare = max((move for row in axis.moves.values() for move in row), default=0)
            self.strides[i - 1] = self.strides[i] * (axis.cells + max(1, min(spare, axis.cells)))
            mask = (mask + bytes(self.width * self.strides[i - 1] - len(mask))) * self.axes[i - 1].cells
        self.mask = int.from_bytes(mask, "little")
        """Ones where sums may be within the limits."""
        self.size = self.strides[0] * self.axes[0].cells
        """How many slots there are."""

    def paths(self) -> tuple[int, int]:
        """Return between which numbers that of the paths through the part within the limits is."""
        least = most = 0
        tables = dict.fromkeys(self.part.edges, 0)
        for vertex, row in self.part.edges.items():
            table = (tables.pop(vertex) + self.table(vertex)) & self.mask
            if not table:
                continue
            rests = self.part.aft[vertex]
            if rests:
                below = self.below(table)
                numbers = list(rests.values())
                low, high = self.rooms(vertex, rests)
                most += sum(map(mul, numbers, map(below.__getitem__, low)))
                least += sum(map(mul, numbers, map(below.__getitem__, high)))
            ends = (end for _, end in row)
            for (place, end), times in Counter(zip(self.moves(vertex), ends, strict=True)).items():
                moved = table << 8 * self.width * place
                tables[end] += moved if times == 1 else moved * times
        return least, most

    def moves(self, vertex: int) -> list[int]:
        """Return by how many slots each edge of a vertex leads on."""
        places = [0] * len(self.part.edges[vertex])
        for axis, stride in zip(self.axes, self.strides, strict=True):
            cells = axis.moves[vertex]
            places = [at + min(cell, axis.cells) * stride for at, cell in zip(places, cells, strict=True)]
        return places

    def rooms(self, vertex: int, sums: Iterable[int]) -> tuple[list[int], list[int]]:
        """Return the last slots that may be within the limits with packed sums to the end, and those that are.

        A slot behind the last one is where there is no room.
        """
        keys = list(sums)
        found = []
        for high in (False, True):
            places = [0] * len(keys)
            for axis, stride in zip(self.axes, self.strides, strict=True):
                shift, mask, unit, last = axis.shift, axis.mask, axis.unit, axis.cells - 1
                room = axis.room - (axis.high if high else axis.low)[vertex]
                cells = [(room - (key >> shift & mask)) // unit for key in keys]
                if min(cells, default=0) < 0 or max(cells, default=0) > last:
                    cells = [min(cell, last) if cell >= 0 else self.size for cell in cells]
                places = [place + cell * stride for place, cell in zip(places, cells, strict=True)]
            if max(places, default=0) > self.size:
                places = [min(place, self.size) for place in places]
            found.append(places)
        return found[0], found[1]

    def table(self, vertex: int) -> int:
        """Return the numbers of paths from the begin to a vertex without edges of the part."""
        sums = self.part.fore[vertex]
        if not sums:
            return 0
        places = [0] * len(sums)
        for axis, stride in zip(self.axes, self.strides, strict=True):
            shift, mask, unit, last = axis.shift, axis.mask, axis.unit, axis.cells
            begin = axis.origin + axis.low[vertex]
            cells = [((key >> shift & mask) - begin) // unit for key in sums]
            if max(cells) > last:
                cells = [min(cell, last) for cell in cells]
            places = [place + cell * stride for place, cell in zip(places, cells, strict=True)]
        numbers: Table = defaultdict(int)
        for place, number in zip(places, sums.values(), strict=True):
            numbers[place] += number
        width = self.width
        slots = bytearray(width * (max(numbers) + 1))
        for place, number in numbers.items():
            slots[place * width : (place + 1) * width] = number.to_bytes(width, "little")
        return int.from_bytes(slots, "little")

    def below(self, table: int) -> list[int]:
        """Return by slot the sum of the numbers that are in no later cell, on any of the axes; then a 0."""
        outer = self.size
        numbers = self.numbers(table)
        for axis, stride in zip(self.axes, self.strides, strict=True):
            for base in range(0, self.size, outer):
                if stride == 1:
                    numbers[base : base + axis.cells] = accumulate(numbers[base : base + axis.cells])
                    continue
                for at in range(base + stride, base + axis.cells * stride, stride):
                    numbers[at : at + stride] = map(add, numbers[at - stride : at], numbers[at : at + stride])
            outer = stride
        numbers.append(0)
        return numbers

    def numbers(self, table: int) -> list[int]:
        """Return what the slots of a table hold."""
        words = array("Q", table.to_bytes(self.width * self.size, "little"))
        if sys.byteorder == "big":
            words.byteswap()
        parts = self.width // 8
        numbers = words[::parts].tolist()
        for i in range(1, parts):
            numbers = [low | high << 64 * i for low, high in zip(numbers, words[i::parts], strict=True)]
        return numbers

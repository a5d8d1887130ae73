"""A lattice with a few sums along its paths that are to be small, each in a field of one integer.

Sums that are to be large, or are bounded from below, are turned over; so everything below asks for one thing: sums of
costs that are at least 0, each no more than its limit. Costs are reduced by what the cheapest way on costs, as in
Johnson's algorithm: the sum up to a vertex is then what the net can no longer avoid, and compared with the limit at
once. The top bit of each field is a guard: it is set where a sum is above its limit, in all fields by one `&`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from operator import sub
from typing import NamedTuple

from netdsl.record import Record
from netdsl.space.lattice import Edge, Lattice

NO_BOUNDS: Mapping[int, int] = {}


class NoNet(ValueError):
    """No net of the space is within the bounds."""


class Sum(NamedTuple):
    """A quantity of a net: the sum of what its edges have."""

    of: Callable[[Edge], int]
    most: bool = True
    """Whether less is better, and the limit the most that is allowed; else more is, and it is the least."""
    limit: int | None = None


def column(index: int) -> Callable[[Edge], int]:
    """Return what an edge has of one column."""
    return lambda edge: edge.costs[index]


def bounds(most: Mapping[int, int], least: Mapping[int, int]) -> list[Sum]:
    """Return the sums that have to be within bounds, given by column."""
    return [Sum(column(c), True, most[c]) for c in most] + [Sum(column(c), False, least[c]) for c in least]


class Field(Record):
    """Where a sum stands in the packed integer."""

    shift: int
    """Its lowest bit."""
    limit: int
    """The most that it may be, in steps above the best value; from here on it is what no net can exceed."""
    step: int
    """What all costs are multiples of."""
    best: int
    """The best value that a net has, in the sum's own unit."""
    most: bool

    @property
    def mask(self) -> int:
        """All ones, without the guard: as many as the limit has."""
        return (1 << self.limit.bit_length()) - 1

    @property
    def whole(self) -> int:
        """Its bits in the packed integer, with the guard."""
        return (self.mask << 1 | 1) << self.shift

    def steps(self, packed: int) -> int:
        """Return this sum of a packed one that began at 0, in steps."""
        return (packed & self.whole) >> self.shift

    def value(self, packed: int) -> int:
        """Return this sum of a packed one that began at 0, in its own unit."""
        steps = self.step * self.steps(packed)
        return self.best + steps if self.most else self.best - steps


class Step(NamedTuple):
    """An edge with its packed costs."""

    cost: int
    end: int
    place: int
    """Its place among the edges of its vertex in the lattice."""


class Reduced(Record):
    """The edges that may lie on a net within all limits, with packed costs."""

    fields: tuple[Field, ...]
    """The first has the highest bits: packed sums are ordered by it, then by the next."""
    steps: tuple[tuple[Step, ...], ...]
    """By vertex, the edges that leave it."""
    begin: int
    """The packed sum of no edges. It is not 0: the limits are counted in, for the guards."""
    guard: int
    """The bits that are set where a limit is exceeded."""
    least: tuple[int, ...]
    """By vertex, the least of each sum that a net has there, packed, from `begin` on."""

    def back(self) -> list[list[tuple[int, int]]]:
        """Return by vertex the edges that enter it: costs, and where they come from."""
        back: list[list[tuple[int, int]]] = [[] for _ in self.steps]
        for vertex, steps in enumerate(self.steps):
            for step in steps:
                back[step.end].append((step.cost, vertex))
        return back


def merge(lattice: Lattice, columns: Sequence[int]) -> Lattice:
    """Return a smaller lattice with as many nets of each cost in some columns, but without what they decide.

    Vertices are one if the same costs lead to them from the same vertices, but for a sum that all ways share, which
    is then paid behind them. So a depth that is decided first is as if it were decided where blocks are left out.
    """
    known: dict[tuple[tuple[int, tuple[int, ...]], ...], int] = {}
    edges: list[list[Edge]] = []
    ways: list[list[tuple[int, tuple[int, ...]]]] = [[] for _ in lattice.edges]
    ways[0] = [(-1, (0,) * len(columns))]
    vertex, shared = 0, ways[0][0][1]
    for arriving, leaving in zip(ways, lattice.edges, strict=True):
        if not arriving:
            continue
        shared = tuple(map(min, zip(*(sums for _, sums in arriving), strict=True)))
        sources = [(v, tuple(map(sub, sums, shared))) for v, sums in arriving]
        vertex = known.setdefault(tuple(sorted(sources)), len(edges))
        if vertex == len(edges):
            edges.append([])
            for before, sums in sources:
                if before >= 0:
                    edges[before].append(Edge((), sums, vertex))
        for edge in leaving:
            ways[edge.end].append(
                (vertex, tuple(s + edge.costs[c] for s, c in zip(shared, columns, strict=True)))
            )
    edges[vertex].append(Edge((), shared, len(edges)))
    return Lattice(tuple(lattice.columns[c] for c in columns), (*map(tuple, edges), ()))


def reduce(lattice: Lattice, sums: Sequence[Sum], *, keep: int = 0) -> Reduced:
    """Return a lattice for a few sums: the first `keep`, and those of the others whose limit some net exceeds.

    Raises:
        NoNet: If a limit is exceeded by every net.
    """
    potentials = [_potential(lattice, s) for s in sums]
    chosen = potentials[:keep] + [p for p in potentials[keep:] if p.limit < p.longest]
    fields: list[Field] = []
    shift = 0
    for p in reversed(chosen):
        fields.insert(0, Field(shift, p.limit, p.step, p.best, p.most))
        shift += p.limit.bit_length() + 1
    # what is too dear in one sum alone, and what then leads nowhere
    steps: list[list[Step]] = []
    for vertex, edges in enumerate(lattice.edges):
        row: list[Step] = []
        steps.append(row)
        for i, edge in enumerate(edges):
            costs = [p.costs[vertex][i] for p in chosen]
            if all(p.here[vertex] + c <= p.limit for p, c in zip(chosen, costs, strict=True)):
                packed = sum(c << f.shift for c, f in zip(costs, fields, strict=True))
                row.append(Step(packed, edge.end, i))
    end = len(steps) - 1
    alive = [False] * len(steps)
    alive[end] = True
    for vertex in range(end - 1, -1, -1):
        steps[vertex] = [s for s in steps[vertex] if alive[s.end]]
        alive[vertex] = bool(steps[vertex])
    if not alive[0]:
        raise NoNet("no net is within the bounds")
    reached = {0}
    for vertex in range(end):
        if vertex in reached:
            reached.update(s.end for s in steps[vertex])
        else:
            steps[vertex] = []
    begin = sum((f.mask - f.limit) << f.shift for f in fields)
    least = [begin] * len(steps)
    for vertex in reached:
        least[vertex] += sum(p.here[vertex] << f.shift for p, f in zip(chosen, fields, strict=True))
    return Reduced(
        tuple(fields),
        tuple(map(tuple, steps)),
        begin,
        sum((f.mask + 1) << f.shift for f in fields),
        tuple(least),
    )


class _Potential(NamedTuple):
    """A sum whose costs are reduced, and divided by what they are all multiples of."""

    costs: list[list[int]]
    here: list[int]
    """By vertex, the least that has to be paid up to it."""
    longest: int
    limit: int
    step: int
    best: int
    most: bool


def _potential(lattice: Lattice, of: Sum) -> _Potential:
    """Return a sum with reduced costs; raise NoNet if no net is within its limit."""
    sign = 1 if of.most else -1
    costs = [[sign * of.of(edge) for edge in edges] for edges in lattice.edges]
    ahead = extreme(lattice, costs, min)
    for vertex, edges in enumerate(lattice.edges):
        row, base = costs[vertex], ahead[vertex]
        for i, edge in enumerate(edges):
            row[i] += ahead[edge.end] - base
    step = math.gcd(*(c for row in costs for c in row)) or 1
    costs = [[c // step for c in row] for row in costs]
    longest = extreme(lattice, costs, max)[0]
    limit = longest if of.limit is None else min((sign * of.limit - ahead[0]) // step, longest)
    if limit < 0:
        raise NoNet("no net is within the bounds")
    here = [longest] * len(costs)
    here[0] = 0
    for vertex, edges in enumerate(lattice.edges):
        for cost, edge in zip(costs[vertex], edges, strict=True):
            here[edge.end] = min(here[edge.end], here[vertex] + cost)
    return _Potential(costs, here, longest, limit, step, sign * ahead[0], of.most)


def extreme(lattice: Lattice, costs: Sequence[Sequence[int]], choose: Callable[..., int]) -> list[int]:
    """Return by vertex the least (`min`) or greatest (`max`) sum of costs from there to the end."""
    ahead = [0] * len(costs)
    for vertex in range(len(costs) - 2, -1, -1):
        ends = (edge.end for edge in lattice.edges[vertex])
        ahead[vertex] = choose(c + ahead[end] for c, end in zip(costs[vertex], ends, strict=True))
    return ahead

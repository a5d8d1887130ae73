"""Nets within bounds, drawn uniformly.

Nets are numbered, and a number is drawn; which net it is, counts of paths say vertex by vertex. Either all nets are
numbered, or those that may be within the bounds as costs are rounded on a grid, by tables of counts by what room is
left. Both hold each net within the bounds once, so what is left of them when others are rejected is drawn uniformly.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from itertools import accumulate
from random import Random

from netdsl.space.grids import Grid, Part
from netdsl.space.labels import LABELS, labels
from netdsl.space.lattice import Lattice
from netdsl.space.reduced import NO_BOUNDS, NoNet, Reduced, bounds, reduce

TRIALS = 200
"""So many nets are drawn without tables first, to see how many of them are within the bounds."""
SHARE = 0.2
"""If it is less than this, tables are worth it."""
BYTES = 40_000_000
"""About what the tables take."""
PATIENCE = 1_000_000
"""So often in a row nets beyond a limit may be drawn before it is given up: half a minute."""

Drawn = tuple[int, list[tuple[int, int]]]
"""The packed sum of a net, and its edges: vertices and places in the lattice; or of its first part beyond a limit."""


def draws(
    lattice: Lattice,
    most: Mapping[int, int] = NO_BOUNDS,
    least: Mapping[int, int] = NO_BOUNDS,
    *,
    random: Random,
) -> Iterator[dict[str, int]]:
    """Return nets within bounds for ever, each one of them as often as the others: decisions and what they take.

    Args:
        lattice: The space.
        most: By column, the greatest sum that is allowed.
        least: By column, the least.
        random: Where the numbers come from; the same seed draws the same nets.

    Raises:
        NoNet: If no net is within the bounds; or, while drawing, if they are too rare for one to be found.
    """
    reduced = reduce(lattice, bounds(most, least))
    draw = _any(reduced, random)
    guard = reduced.guard
    if guard and sum(not draw()[0] & guard for _ in range(TRIALS)) < SHARE * TRIALS:
        _check(reduced)
        draw = _roomy(reduced, random)
    return _decided(lattice, draw, guard)


def _decided(lattice: Lattice, draw: Callable[[], Drawn], guard: int) -> Iterator[dict[str, int]]:
    """Yield what is decided in nets that are drawn, without those beyond a limit."""
    answers = [[edge.answers for edge in edges] for edges in lattice.edges]
    misses = 0
    while misses < PATIENCE:
        total, path = draw()
        if total & guard:
            misses += 1
            continue
        misses = 0
        net: dict[str, int] = {}
        for vertex, place in path:
            net.update(answers[vertex][place])
        yield net
    raise NoNet(f"none of {misses:,} nets in a row that were drawn is within the bounds")


def _check(reduced: Reduced) -> None:
    """Raise NoNet if it is known that no net is within the limits."""
    found, exact = labels(reduced, goals=0, most=LABELS)
    if not found[-1] and (exact or not labels(reduced, goals=0, most=LABELS, relaxed=True)[0][-1]):
        raise NoNet("no net is within the bounds")


def _any(reduced: Reduced, random: Random) -> Callable[[], Drawn]:
    """Return what draws from all nets that are not beyond a limit by a single edge."""
    steps = reduced.steps
    ahead = [0] * len(steps)
    ahead[-1] = 1
    first: list[list[int]] = [[] for _ in steps]
    for vertex in range(len(steps) - 2, -1, -1):
        *first[vertex], ahead[vertex] = accumulate((ahead[s.end] for s in steps[vertex]), initial=0)
    nets, end, begin, guard = ahead[0], len(steps) - 1, reduced.begin, reduced.guard

    def draw() -> Drawn:
        number, vertex, total = random.randrange(nets), 0, begin
        path: list[tuple[int, int]] = []
        while vertex != end and not total & guard:
            numbers = first[vertex]
            i = bisect_right(numbers, number) - 1
            number -= numbers[i]
            cost, after, place = steps[vertex][i]
            path.append((vertex, place))
            total += cost
            vertex = after
        return total, path

    return draw


def _roomy(reduced: Reduced, random: Random) -> Callable[[], Drawn]:
    """Return what draws from the nets that are within the limits with what costs may come to at least."""
    steps = reduced.steps
    end = len(steps) - 1
    part = Part(
        {v: {reduced.begin: 1} if v == 0 else {} for v in range(end + 1)},
        {v: {0: 1} if v == end else {} for v in range(end + 1)},
        {v: [(s.cost, s.end) for s in row] for v, row in enumerate(steps)},
    )
    grid = Grid(reduced.fields, part, BYTES // (16 * len(steps)))
    bits, width = 8 * grid.width, grid.width
    tables = [0] * end + [grid.mask // ((1 << bits) - 1)]
    moves: list[list[tuple[int, int, int, int]]] = [[] for _ in steps]
    for vertex in range(end - 1, -1, -1):
        moves[vertex] = [(move, *step) for move, step in zip(grid.moves(vertex), steps[vertex], strict=True)]
        for move, _, after, _ in moves[vertex]:
            tables[vertex] += tables[after] << bits * move
        tables[vertex] &= grid.mask
    slots = [table.to_bytes(grid.size * width, "little") for table in tables]
    (whole,), _ = grid.rooms(end, [0])
    nets = int.from_bytes(slots[0][whole * width : (whole + 1) * width], "little")
    if not nets:
        raise NoNet("no net is within the bounds")
    begin, guard, number_of = reduced.begin, reduced.guard, int.from_bytes

    def draw() -> Drawn:
        number, vertex, total, room = random.randrange(nets), 0, begin, whole
        path: list[tuple[int, int]] = []
        while vertex != end and not total & guard:
            # what there is no room for is before the first slot, or between rows, where there is no net
            for less, cost, after, place in moves[vertex]:
                at = (room - less) * width
                if at >= 0:
                    ways = number_of(slots[after][at : at + width], "little")
                    if number < ways:
                        path.append((vertex, place))
                        total += cost
                        room -= less
                        vertex = after
                        break
                    number -= ways
        return total, path

    return draw

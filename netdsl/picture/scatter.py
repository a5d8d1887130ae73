"""The nets of a search space in one picture: MACs against params, with budgets and the exact front."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, floor, log10
from typing import TYPE_CHECKING

from netdsl.cost.table import human
from netdsl.diagnostics.render import printable
from netdsl.picture.svg import Svg, fitted, number, width
from netdsl.record import Record
from netdsl.space.counts import size
from netdsl.space.fronts import Goal, front
from netdsl.space.overview import counted
from netdsl.space.report import number as nets_said
from netdsl.space.samples import samples

if TYPE_CHECKING:
    from netdsl.space.overview import Explored

DRAWS = 1500
"""The most nets that are points."""
SEED = 0
ACROSS, UP = "macs", "params"
"""The quantities of the axes, of which little is good and much is."""
_EDGE = 20.0
_WIDE, _HIGH = 600.0, 400.0
"""Within the axes."""
_LETTERS = 11.0
_ROW = 15.0
"""Between the base lines of two texts, one below the other."""
_BESIDE = 6.0
"""Between a line and its text."""
_RADIUS = 2.5
_RATIO = 10
"""An axis whose ends differ by more than this factor is logarithmic."""
_MARKS = 7
"""The most marks of a linear axis."""
_DECADES = 5
"""From so many on only powers of ten are marks."""


class Axis(Record):
    """What numbers of an axis lie where."""

    title: str
    low: float
    """At its begin, as its logarithm if it is logarithmic."""
    high: float
    logarithmic: bool
    marks: tuple[float, ...]

    def share(self, value: float) -> float:
        """Return how far along a number is, from 0 to 1 on the axis; at the begin where it has no logarithm."""
        if not self.logarithmic:
            return (value - self.low) / (self.high - self.low)
        return (log10(value) - self.low) / (self.high - self.low) if value > 0 else 0.0


def axis(title: str, values: Sequence[int]) -> Axis:
    """Return an axis on which some numbers lie, none of them negative."""
    least, most = min(values), max(values)
    if least > 0 and most > _RATIO * least:
        margin = 0.04 * log10(most / least)
        low, high = log10(least) - margin, log10(most) + margin
        powers = range(floor(low), floor(high) + 1)
        factors = (1, 2, 5) if high - low < _DECADES else (1,)
        marks = [factor * 10.0**power for power in powers for factor in factors]
        marks = [mark for mark in marks if low <= log10(mark) <= high]
        return Axis(title, low, high, True, tuple(marks))
    margin = 0.04 * (most - least) or max(1.0, 0.04 * most)
    low, high = max(0.0, least - margin), most + margin
    step = _step((high - low) / _MARKS)
    marks = [step * index for index in range(ceil(low / step), floor(high / step) + 1)]
    return Axis(title, low, high, False, tuple(marks))


def _step(least: float) -> float:
    """Return the next round number."""
    power: float = 10.0 ** floor(log10(least))
    return next(step for times in (1, 2, 2.5, 5, 10) if (step := times * power) >= least * (1 - 1e-9))


def draw(explored: Explored) -> Svg:
    """Return the picture of a space.

    Nets are points, all of them if there are at most `DRAWS`, else so many drawn uniformly, always the same; those
    beyond a budget that is a sum are faint. A budget of MACs or of params is a line, and so is the front of all nets
    that have few MACs and many params.
    """
    drawn = samples(explored, (ACROSS, UP), DRAWS, SEED)
    places = [explored.place(name) for name in (ACROSS, UP)]
    found = front(explored.lattice, [Goal(places[0], False), Goal(places[1], True)])
    best = sorted((int(macs), int(params)) for macs, params in found.sums)
    points = [*(one.costs for one in drawn), *best]
    limits = [_limits(explored, place) for place in places]
    across, up = (
        axis(
            counted()[name].title, _seen([point[at] for point in points], [value for _, value in limits[at]])
        )
        for at, name in enumerate((ACROSS, UP))
    )
    bounds = [
        [(f"{axis.title} {sign} {human(value)}", axis.share(value)) for sign, value in one]
        for axis, one in zip((across, up), limits, strict=True)
    ]
    columns, rows = ([bound for bound in one if 0 <= bound[1] <= 1] for one in bounds)

    left, top = _EDGE + 70, 100.0 + _ROW * len(columns)
    right, bottom = left + _WIDE, top + _HIGH
    beyond = [_BESIDE + width(text, _LETTERS) - (1 - share) * _WIDE for text, share in columns]
    beyond += [_BESIDE + width(text, _LETTERS) for text, _ in rows]
    title = f"{printable(explored.space.name)}: {up.title} against {across.title}"
    nets = size(explored.lattice)
    picked = (
        f"all {nets} nets" if nets <= DRAWS else f"{len(drawn):,} of {nets_said(nets)} nets, drawn uniformly"
    )
    said = f"{picked}{'; faint: beyond a budget' * (not all(one.kept for one in drawn))}"
    if explored.others:
        asked = ", ".join(printable(one.said) for one in explored.others)
        said += f"; not looked at: {asked}"
    line = f"the line is exact: no net has more {up.title} at so few {across.title}"
    svg = Svg(right + _EDGE + max([0.0, *beyond]), bottom + 52, f"{title}; {said}; {line}")
    svg.text(_EDGE, 28, fitted(title, right - _EDGE, 17), "strong", size=17)
    svg.text(_EDGE, 48, fitted(said, svg.wide - 2 * _EDGE), "faint")
    svg.text(_EDGE, 64, line, "faint")

    for mark in across.marks:
        x = left + across.share(mark) * _WIDE
        svg.line(x, top, x, bottom)
        svg.text(x, bottom + 17, human(mark), "faint", "middle", _LETTERS)
    for mark in up.marks:
        y = bottom - up.share(mark) * _HIGH
        svg.line(left, y, right, y)
        svg.text(left - 6, y + 4, human(mark), "faint", "end", _LETTERS)
    svg.text((left + right) / 2, bottom + 38, _named(across), "ink", "middle")
    svg.text(left - 6, top - 10, _named(up), "ink", "end")

    at = [(left + across.share(macs) * _WIDE, bottom - up.share(params) * _HIGH) for macs, params in points]
    dots: dict[tuple[str, str], tuple[float, float, bool, str]] = {}
    for one, (x, y) in zip(drawn, at, strict=False):
        # of those that would hide each other one is enough
        tip = f"{one.costs[0]:,} {across.title}, {one.costs[1]:,} {up.title}"
        if (place := (number(x), number(y))) not in dots or one.kept:
            dots[place] = (x, y, one.kept, tip)
    for x, y, kept, tip in sorted(dots.values(), key=lambda dot: dot[2]):  # the faint ones lie below
        svg.circle(x, y, _RADIUS, "bubble" if kept else "leader", tip)
    svg.path(_stairs(at[len(drawn) :], right), "edge")
    for row, (text, share) in enumerate(sorted(columns, key=lambda bound: bound[1])):
        x, y = left + share * _WIDE, 92 + _ROW * row  # the texts below it are to its right
        svg.line(x, y - 9, x, bottom, "plate")
        svg.text(x + _BESIDE, y, text, "ink", size=_LETTERS)
    below = -1.0  # how far down the last text is
    for text, share in sorted(rows, key=lambda bound: -bound[1]):
        y = bottom - share * _HIGH
        below = max(y + 4, below + _ROW)
        svg.line(left, y, right, y, "plate")
        svg.text(right + _BESIDE, below, text, "ink", size=_LETTERS)
    return svg


def _named(axis: Axis) -> str:
    return f"{axis.title}{' (log)' * axis.logarithmic}"


def _limits(explored: Explored, place: int) -> list[tuple[str, int]]:
    """Return the budgets that are bounds of one column, each with its sign."""
    signs = (("<=", explored.most), (">=", explored.least))
    return [(sign, bounds[place]) for sign, bounds in signs if place in bounds]


def _seen(values: Sequence[int], limits: Sequence[int]) -> list[int]:
    """Return numbers with those limits that lie near enough to be on the same axis."""
    least, most = min(values), max(values)
    near = [limit for limit in limits if max(0, 2 * least - most) <= limit <= 2 * most - least]
    return [*values, *near]


def _stairs(points: Sequence[tuple[float, float]], right: float) -> str:
    """Return the path below which all nets lie, from the first point to the right; a step where one can be seen."""
    (x, y), *others = points
    steps = [f"M{number(x)} {number(y)}"]
    for to_x, to_y in others:
        if to_x - x >= 1 or y - to_y >= 1:
            steps.append(f"H{number(to_x)}V{number(to_y)}")
            x, y = to_x, to_y
    return "".join([*steps, f"H{number(right)}"])

"""What a search has found in one picture: scores against a cost with the front, and how they came about."""

from __future__ import annotations

from collections.abc import Sequence
from math import floor, log10

from netdsl.cost.table import human
from netdsl.picture.svg import Svg, fitted, number, width
from netdsl.record import Record

_EDGE, _LEFT, _TOP = 20.0, 76.0, 86.0
_WIDE, _HIGH, _LOW = 680.0, 400.0, 120.0
"""How wide both parts are within their axes, how high the first is, and the second."""
_LARGEST = 22.0
"""The radius of the bubble of the largest net."""
_LETTERS = 11.0


class Point(Record):
    """A net that was scored."""

    name: str
    cost: int
    """What the axis shows; from 0."""
    size: int
    """What its area is in proportion to; 0 where nothing is."""
    score: float
    front: bool = False
    """Whether it is on the front, for which it may be better in what is not shown."""
    chosen: bool = False


def draw(points: Sequence[Point], title: str, cost: str, size: str = "") -> Svg:
    """Return the picture of nets in the order in which they were scored, at least one.

    Args:
        points: The nets; one of them is chosen, and named.
        title: What they are nets of.
        cost: What the axis shows, such as MACs; it is logarithmic.
        size: What areas show, such as params; "" if they show nothing.
    """
    right, bottom = _LEFT + _WIDE, _TOP + _HIGH
    said = f"each net that was scored; those on the front are filled{f', areas are {size}' if size else ''}"
    svg = Svg(
        right + _EDGE, bottom + 64 + _LOW + 52, f"{title}; score against {cost}, and score by trial; {said}"
    )
    svg.text(_EDGE, 28, fitted(title, right - _EDGE, 17), "strong", size=17)
    svg.text(_EDGE, 48, said, "faint")

    low, high = _range([log10(max(1, point.cost)) for point in points])
    least, most = _range([point.score for point in points])
    for mark in _powers(low, high):
        x = _LEFT + (log10(mark) - low) / (high - low) * _WIDE
        svg.line(x, _TOP, x, bottom)
        svg.text(x, bottom + 18, human(mark), "faint", "middle", _LETTERS)
    _scores(svg, least, most, _TOP, _HIGH)
    svg.text(_LEFT + _WIDE / 2, bottom + 40, f"{cost}, logarithmic", "ink", "middle")
    svg.text(_LEFT - 6, _TOP - 10, "score", "ink", "middle")

    def place(point: Point) -> tuple[float, float]:
        x = _LEFT + (log10(max(1, point.cost)) - low) / (high - low) * _WIDE
        return x, bottom - (point.score - least) / (most - least) * _HIGH

    largest = max(point.size for point in points)
    for point in sorted(
        points, key=lambda one: (one.chosen, one.front, -one.size)
    ):  # small ones lie on large ones
        radius = max(3.0, _LARGEST * (point.size / largest) ** 0.5) if largest else 4.0
        costs = [f"{point.cost:,} {cost}", *([f"{point.size:,} {size}"] if size else [])]
        kind = "chosen" if point.chosen else "bubble" if point.front else "ring"
        svg.circle(*place(point), radius, kind, f"{point.name}: {point.score:g}, {', '.join(costs)}")
    chosen = next((point for point in points if point.chosen), None)
    if chosen is not None:
        x, y = place(chosen)
        radius = max(3.0, _LARGEST * (chosen.size / largest) ** 0.5) if largest else 4.0
        text = fitted(f"{chosen.name}: {chosen.score:.4g}", _WIDE / 2, _LETTERS)
        after = x + radius + 6 + width(text, _LETTERS) < right
        svg.text(
            x + (radius + 6) * (1 if after else -1),
            y + 4,
            text,
            "strong",
            "start" if after else "end",
            _LETTERS,
        )
    _history(svg, points, bottom + 64, least, most)
    return svg


def _history(svg: Svg, points: Sequence[Point], top: float, least: float, most: float) -> None:
    """Draw scores in the order of trials, and the best so far."""
    bottom = top + _LOW
    _scores(svg, least, most, top, _LOW)
    for share in (0, 0.5, 1):
        at = round(share * (len(points) - 1))
        x = _LEFT + (at + 0.5) / len(points) * _WIDE
        svg.text(x, bottom + 18, str(at + 1), "faint", "middle", _LETTERS)
    svg.text(_LEFT + _WIDE / 2, bottom + 40, "nets scored, and the best score so far", "ink", "middle")
    best, steps = None, ""
    for at, point in enumerate(points):
        x = _LEFT + (at + 0.5) / len(points) * _WIDE
        y = bottom - (point.score - least) / (most - least) * _LOW
        svg.circle(x, y, 2.5, "chosen" if point.chosen else "bubble")
        best = y if best is None else min(best, y)
        steps += f"M{number(x)} {number(best)}" if not steps else f"H{number(x)}V{number(best)}"
    svg.path(f"{steps}H{number(_LEFT + _WIDE)}", "edge")


def _scores(svg: Svg, least: float, most: float, top: float, high: float) -> None:
    """Draw an axis of scores."""
    step = 10.0 ** floor(log10(most - least))
    step = next(
        step * part for part in (0.1, 0.2, 0.5, 1, 2, 5) if (most - least) / (step * part) <= high / 32
    )
    for index in range(floor(least / step) + 1, floor(most / step) + 1):
        y = top + high - (index * step - least) / (most - least) * high
        svg.line(_LEFT, y, _LEFT + _WIDE, y)
        svg.text(_LEFT - 6, y + 4, f"{index * step:.6g}", "faint", "end", _LETTERS)


def _range(values: Sequence[float]) -> tuple[float, float]:
    """Return the ends of an axis, a part of its length beyond the values."""
    low, high = min(values), max(values)
    margin = 0.06 * (high - low) or 0.05 * abs(high) or 0.5
    return low - margin, high + margin


def _powers(low: float, high: float) -> list[int]:
    """Return 1, 2 and 5 times the powers of ten between two exponents, or the powers alone where those are many."""
    factors = (1, 2, 5) if high - low < 4 else (1,)
    marks = [factor * 10**power for power in range(max(0, floor(low)), floor(high) + 1) for factor in factors]
    return [mark for mark in marks if low <= log10(mark) <= high]

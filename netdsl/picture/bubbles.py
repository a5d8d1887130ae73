"""Nets in one picture: accuracy against MACs, params as the size of a bubble."""

from __future__ import annotations

from collections.abc import Sequence
from math import cos, hypot, log10, pi, sin

from netdsl.cost.table import human
from netdsl.picture.svg import Svg, fitted, width
from netdsl.record import Record

_EDGE = 20.0
_LETTERS = 10.0
_LARGEST = 28.0
"""The radius of the bubble with the most params."""
_STEPS = 24
"""How many directions a label is tried in."""
_ROOM = ((100, 1480.0, 1100.0), (13, 1120.0, 820.0), (0, 760.0, 440.0))
"""From how many nets on the picture is how wide and high within its axes."""
_GAP = 4.0
"""Between two names side by side."""
_FAR = 400
"""How far from a bubble a label may stand."""


class Bubble(Record):
    """A net: its published accuracy on ImageNet in percent, MACs of a sample, and params."""

    name: str
    top1: float
    macs: int
    params: int


class _Rect(Record):
    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: _Rect) -> bool:
        return (
            self.left < other.right
            and other.left < self.right
            and self.top < other.bottom
            and other.top < self.bottom
        )

    def distance(self, x: float, y: float) -> float:
        """Return how far a place is from it."""
        return hypot(max(self.left - x, 0, x - self.right), max(self.top - y, 0, y - self.bottom))

    def crosses(self, x: float, y: float, radius: float) -> bool:
        """Return whether the outline of a circle goes through it."""
        farthest = hypot(max(x - self.left, self.right - x), max(y - self.top, self.bottom - y))
        return self.distance(x, y) < radius < farthest


def draw(nets: Sequence[Bubble]) -> Svg:
    """Return the picture of nets, at least one; each needs MACs of at least 1.

    The axis of MACs is logarithmic, and the area of a bubble is in proportion to the params.
    """
    inner_wide, inner_high = next((wide, high) for least, wide, high in _ROOM if len(nets) >= least)
    left, top = _EDGE + 52, 86.0
    right, bottom = left + inner_wide, top + inner_high
    title = "Accuracy against MACs"
    said = "top-1 on ImageNet as published, in percent; MACs of a sample; areas are params"
    svg = Svg(right + _EDGE, bottom + 64, f"{title}; {said}")
    svg.text(_EDGE, 28, title, "strong", size=17)
    svg.text(_EDGE, 48, said, "faint")

    low, high = _range([log10(net.macs) for net in nets], 0.15)
    least, most = _range([net.top1 for net in nets], 1.5)
    for mark in _decades(low, high):
        x = left + (log10(mark) - low) / (high - low) * inner_wide
        svg.line(x, top, x, bottom)
        svg.text(x, bottom + 18, human(mark), "faint", "middle", 11)
    for percent in _steps(least, most):
        y = bottom - (percent - least) / (most - least) * inner_high
        svg.line(left, y, right, y)
        svg.text(left - 6, y + 4, f"{percent:g}", "faint", "end", 11)
    svg.text((left + right) / 2, bottom + 40, "MACs, logarithmic", "ink", "middle")
    svg.text(left - 6, top - 10, "top-1, %", "ink", "middle")

    largest = max(net.params for net in nets)
    placed = []
    for net in sorted(nets, key=lambda net: (-net.params, net.name)):  # small ones lie on large ones
        x = left + (log10(net.macs) - low) / (high - low) * inner_wide
        y = bottom - (net.top1 - least) / (most - least) * inner_high
        radius = max(3.0, _LARGEST * (net.params / largest) ** 0.5) if largest else 3.0
        tip = f"{net.name}: {net.top1:g} %, {net.macs:,} MACs, {net.params:,} params"
        svg.circle(x, y, radius, "bubble", tip)
        placed.append((net, x, y, radius))
    _label(svg, placed, _Rect(left + 2, top + 2, right - 2, bottom - 2))
    _key(svg, largest, right)
    return svg


def _range(values: Sequence[float], margin: float) -> tuple[float, float]:
    """Return the ends of an axis, a part of its length beyond the values."""
    low, high = min(values), max(values)
    margin = max(margin, 0.06 * (high - low))
    return low - margin, high + margin


def _decades(low: float, high: float) -> list[int]:
    """Return 1, 2 and 5 times the powers of ten between two exponents, or the powers alone where those are many."""
    factors = (1, 2, 5) if high - low < 4 else (1,)
    marks = [factor * 10**power for power in range(max(0, int(low) - 1), int(high) + 1) for factor in factors]
    return [mark for mark in marks if low <= log10(mark) <= high]


def _steps(least: float, most: float) -> list[float]:
    step = next(step for step in (0.5, 1, 2, 5, 10, 20, 50) if (most - least) / step <= 12)
    return [step * index for index in range(int(least // step) + 1, int(most // step) + 1)]


def _label(svg: Svg, placed: Sequence[tuple[Bubble, float, float, float]], room: _Rect) -> None:
    """Write the names, each beside its bubble or as near as there is room, with a line to it then."""
    texts: list[_Rect] = []
    dots = [(x, y, radius) for _, x, y, radius in placed]
    crowd = {net: sum(hypot(x - other[0], y - other[1]) < 60 for other in dots) for net, x, y, _ in placed}
    # those with the fewest neighbours go last, since they find room anywhere
    for net, x, y, radius in sorted(placed, key=lambda one: (-crowd[one[0]], one[0].name)):
        name = fitted(net.name, 220, _LETTERS)
        spot = _spot(x, y, radius, width(name, _LETTERS) + _GAP, room, texts, dots)
        if spot is None:  # no place is left without another's text: the tip of the bubble still says it
            continue
        texts.append(spot)
        nearest_x = min(max(x, spot.left), spot.right)
        nearest_y = min(max(y, spot.top + 2), spot.bottom - 2)
        distance = hypot(nearest_x - x, nearest_y - y)
        nearest = min(dots, key=lambda dot: spot.distance(dot[0], dot[1]))
        if distance > radius + 5 or nearest[:2] != (x, y):
            svg.line(x, y, nearest_x, nearest_y, "leader")
        svg.text(spot.left + _GAP / 2, spot.bottom - 3, name, size=_LETTERS)


def _spot(
    x: float,
    y: float,
    radius: float,
    wide: float,
    room: _Rect,
    texts: Sequence[_Rect],
    dots: Sequence[tuple[float, float, float]],
) -> _Rect | None:
    """Return where a name stands: near its bubble, on no other text, and on few middles and outlines of bubbles."""
    best, least = None, float("inf")
    distance = (radius + 3) % 5  # within a large bubble, at 3 beside it, and farther
    while distance - radius < min(_FAR, least):
        for turn in range(_STEPS):
            across, down = cos(2 * pi * turn / _STEPS), sin(2 * pi * turn / _STEPS)
            middle_x = x + across * (distance + wide / 2 * abs(across))
            middle_y = y + down * (distance + 6)
            spot = _Rect(middle_x - wide / 2, middle_y - 6.5, middle_x + wide / 2, middle_y + 6.5)
            inside = spot.left >= room.left and spot.right <= room.right
            if not inside or spot.top < room.top or spot.bottom > room.bottom:
                continue
            if any(spot.meets(text) for text in texts):
                continue
            hidden = sum(spot.distance(dot_x, dot_y) < min(dot, 6.0) for dot_x, dot_y, dot in dots)
            cut = sum(spot.crosses(dot_x, dot_y, dot - 1) for dot_x, dot_y, dot in dots)
            own = spot.crosses(x, y, radius - 1)
            cost = max(distance - radius, 0) + 14 * hidden + 4 * cut + 20 * own + 0.01 * turn
            if cost < least:
                best, least = spot, cost
        distance += 5
    return best


def _key(svg: Svg, largest: int, right: float) -> None:
    """Draw at the top right what a bubble's size means."""
    x = right
    for share in (1, 4, 16):
        params = largest // share
        if not params:
            break
        label = human(params)
        radius = max(3.0, _LARGEST * share**-0.5)
        x -= width(label, 11) + 2
        svg.text(x, 46, label, "faint", size=11)
        x -= radius + 4
        svg.circle(x, 42, radius, "bubble", f"{params:,} params")
        x -= radius + 10

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
_ROUNDS = 2
"""How often each label looks for a place."""

_Line = tuple[float, float, float, float]
"""Where it begins, x and y, and where it ends."""
_Dot = tuple[float, float, float]
"""The middle of a bubble, x and y, and its radius."""


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

    def struck(self, line: _Line) -> bool:
        """Return whether a straight line goes through it."""
        x, y, to_x, to_y = line
        enters, leaves = 0.0, 1.0  # as parts of the line's length
        for start, end, low, high in ((x, to_x, self.left, self.right), (y, to_y, self.top, self.bottom)):
            if start == end:
                if not low < start < high:
                    return False
                continue
            one, other = (low - start) / (end - start), (high - start) / (end - start)
            enters, leaves = max(enters, min(one, other)), min(leaves, max(one, other))
        return enters < leaves

    def crosses(self, x: float, y: float, radius: float) -> bool:
        """Return whether the outline of a circle goes through it."""
        farthest = hypot(max(x - self.left, self.right - x), max(y - self.top, self.bottom - y))
        return self.distance(x, y) < radius < farthest


class _Label(Record):
    """Where a name stands, and the line from its bubble to it."""

    text: _Rect
    leader: _Line | None


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
    dots = [(x, y, radius) for _, x, y, radius in placed]
    crowd = {net: sum(hypot(x - other[0], y - other[1]) < 60 for other in dots) for net, x, y, _ in placed}
    labels: dict[Bubble, _Label] = {}
    # those with the fewest neighbours go last, since they find room anywhere; the first ones then look once more,
    # because they could not know which lines would come
    order = sorted(placed, key=lambda one: (-crowd[one[0]], one[0].name))
    for net, x, y, radius in order * _ROUNDS:
        labels.pop(net, None)
        wide = width(fitted(net.name, 220, _LETTERS), _LETTERS) + _GAP
        label = _spot(x, y, radius, wide, room, list(labels.values()), dots)
        if (
            label is not None
        ):  # else no place is left without another's text: the tip of the bubble still says it
            labels[net] = label
    for label in labels.values():
        if label.leader is not None:
            svg.line(*label.leader, "leader")
    for net, label in labels.items():
        name, at = fitted(net.name, 220, _LETTERS), label.text
        svg.rect(at.left, at.top + 1, at.right - at.left, at.bottom - at.top - 2, "veil")
        svg.text(at.left + _GAP / 2, at.bottom - 3, name, size=_LETTERS)


def _leader(x: float, y: float, radius: float, text: _Rect, dots: Sequence[_Dot]) -> _Line | None:
    """Return the line from a bubble to its name, if the name is not clearly beside it."""
    to_x = min(max(x, text.left), text.right)
    to_y = min(max(y, text.top + 2), text.bottom - 2)
    nearest = min(dots, key=lambda dot: text.distance(dot[0], dot[1]))
    beside = hypot(to_x - x, to_y - y) <= radius + 5 and nearest[:2] == (x, y)
    return None if beside else (x, y, to_x, to_y)


def _around(line: _Line) -> _Rect:
    x, y, to_x, to_y = line
    return _Rect(min(x, to_x), min(y, to_y), max(x, to_x), max(y, to_y))


def _spot(
    x: float,
    y: float,
    radius: float,
    wide: float,
    room: _Rect,
    labels: Sequence[_Label],
    dots: Sequence[_Dot],
) -> _Label | None:
    """Return where a name stands: near its bubble, on no other text, and on few lines and outlines of bubbles."""
    best, least = None, float("inf")
    texts = [(label.text.distance(x, y), label.text) for label in labels]
    leaders = [(_around(label.leader).distance(x, y), label.leader) for label in labels if label.leader]
    circles = [(hypot(x - dot_x, y - dot_y) - dot, (dot_x, dot_y, dot)) for dot_x, dot_y, dot in dots]
    distance = (radius + 3) % 5  # within a large bubble, at 3 beside it, and farther
    while distance - radius < min(_FAR, least):
        reach = distance + wide + 2 * _LETTERS
        near_texts = [text for far, text in texts if far < reach]
        near_leaders = [line for far, line in leaders if far < reach]
        near_dots = [dot for far, dot in circles if far < reach]
        for turn in range(_STEPS):
            across, down = cos(2 * pi * turn / _STEPS), sin(2 * pi * turn / _STEPS)
            middle_x = x + across * (distance + wide / 2 * abs(across))
            middle_y = y + down * (distance + 6)
            spot = _Rect(middle_x - wide / 2, middle_y - 6.5, middle_x + wide / 2, middle_y + 6.5)
            inside = spot.left >= room.left and spot.right <= room.right
            if not inside or spot.top < room.top or spot.bottom > room.bottom:
                continue
            if any(spot.meets(text) for text in near_texts):
                continue
            hidden = sum(spot.distance(dot_x, dot_y) < min(dot, 6.0) for dot_x, dot_y, dot in near_dots)
            cut = sum(spot.crosses(dot_x, dot_y, dot - 1) for dot_x, dot_y, dot in near_dots)
            own = spot.crosses(x, y, radius - 1)
            leader = _leader(x, y, radius, spot, near_dots)
            struck = sum(spot.struck(line) for line in near_leaders)
            struck += sum(text.struck(leader) for text in near_texts) if leader is not None else 0
            cost = max(distance - radius, 0) + 14 * hidden + 8 * cut + 20 * own + 40 * struck + 0.01 * turn
            if cost < least:
                best, least = _Label(spot, leader), cost
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

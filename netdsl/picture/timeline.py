"""How much memory inference holds, step by step."""

from __future__ import annotations

from collections import Counter
from itertools import groupby
from typing import TYPE_CHECKING

from netdsl.cost.table import human
from netdsl.picture.svg import Svg, fitted, polyline, ticks, width

if TYPE_CHECKING:
    from netdsl.network import Network

_EDGE = 20.0
_WIDE, _HIGH = 860.0, 300.0
"""Of the field of the curve."""


def draw(net: Network, batch: int = 1, dtype: str = "float32") -> Svg:
    """Return the bytes that are alive at each step of inference beside the weights, with the peak marked.

    Raises:
        NetError: An option has no meaning.
    """
    live = net.liveness(batch, dtype)
    names, values = list(live.alive), list(live.alive.values())
    marks = ticks(live.peak, 5)
    left = _EDGE + max(width(f"{human(int(mark))}B", 11) for mark in marks) + 6
    top, step = 96.0, _WIDE / len(values)
    bottom, right = top + _HIGH, left + _WIDE
    scale = _HIGH / live.peak if live.peak else 0.0
    title = f"{net.name}: memory of inference"
    shapes = ", ".join(map(str, net.inputs.values()))
    said = f"bytes alive beside the weights at each of {len(values)} steps; input {shapes}, batch {batch}, {dtype}"
    wide = max(right + _EDGE, width(said) + 2 * _EDGE)
    svg = Svg(wide, bottom + 58, f"{title}; {said}")
    svg.text(_EDGE, 28, fitted(title, wide - 2 * _EDGE, 17), "strong", size=17)
    svg.text(_EDGE, 48, said, "faint")
    for mark in marks:
        y = bottom - mark * scale
        svg.line(left, y, right, y)
        svg.text(left - 6, y + 4, f"{human(int(mark))}B" if mark else "0", "faint", "end", 11)
    _parts(svg, names, left, step, bottom)
    points = [(left, bottom)]
    for at, value in enumerate(values):
        y = bottom - value * scale
        points += [(left + at * step, y), (left + (at + 1) * step, y)]
    svg.path(polyline([*points, (right, bottom)]) + "Z", "area")
    x = left + (names.index(live.at) + 0.5) * step
    label = fitted(f"peak {human(live.peak)}B, at {live.at}", _WIDE, 12)
    middle = min(max(x, left + width(label) / 2), right - width(label) / 2)
    svg.circle(x, top, 4, "mark", f"{live.peak:,} bytes at {live.at}")
    svg.text(middle, top - 12, label, "strong", "middle")
    return svg


def _parts(svg: Svg, names: list[str], left: float, step: float, bottom: float) -> None:
    """Write below the curve what stands directly in the net, where there is room for it."""
    counts = Counter(name.partition(".")[0] for name in names)
    at = 0
    for name, steps in groupby(names, key=lambda name: _part(name, counts)):
        count = len(list(steps))
        room, x = count * step, left + at * step
        at += count
        if room >= width(name, 11) + 4:
            svg.line(x, bottom, x, bottom + 8)
            svg.line(x + room, bottom, x + room, bottom + 8)
            svg.text(x + room / 2, bottom + 19, fitted(name, room, 11), "faint", "middle", 11)
    svg.text(left + _WIDE / 2, bottom + 44, "layers in the order in which they are computed", "ink", "middle")


def _part(name: str, counts: Counter[str]) -> str:
    """Return what a layer is in: a child of the net, or of a child that has more than half of all layers."""
    child, _, rest = name.partition(".")
    return f"{child}.{rest.partition('.')[0]}" if rest and 2 * counts[child] > counts.total() else child

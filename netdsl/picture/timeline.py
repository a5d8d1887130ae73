"""How much memory inference or training holds, step by step."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from netdsl.cost.table import human
from netdsl.picture.svg import Svg, fitted, number, ticks, width

if TYPE_CHECKING:
    from netdsl.net import Net

_EDGE = 20.0
_WIDE, _HIGH = 860.0, 300.0
"""Of the field of the curve."""
_ORDER = (
    "layers in the order in which they are computed",
    "layers as they are computed, then as gradients go back",
)


def draw(net: Net, batch: int = 1, dtype: str = "float32", optimizer: str = "") -> Svg:
    """Return the bytes that are alive at each step of inference beside the weights, with the peak marked.

    With an optimizer it is those of a step of training, with the weights: forward, then back.

    Raises:
        NetError: An option has no meaning.
    """
    turn = 0
    if optimizer:
        forward, back = net.training_trace(batch, dtype, optimizer)
        names = [layer for layer, _ in (*forward, *back)]
        values = [alive for _, alive in (*forward, *back)]
        turn = len(forward)
        what = f"a step of training with {optimizer}"
    else:
        live = net.liveness(batch, dtype)
        names, values = list(live.alive), list(live.alive.values())
        what = "inference"
    peak = max(values, default=0)
    highest = values.index(peak) if values else 0
    marks = ticks(peak, 5)
    left = _EDGE + max(width(f"{human(int(mark))}B", 11) for mark in marks) + 6
    top, step = 96.0, _WIDE / len(values)
    bottom, right = top + _HIGH, left + _WIDE
    scale = _HIGH / peak if peak else 0.0
    title = f"{net.name}: memory of {what}"
    shapes = ", ".join(map(str, net.inputs.values()))
    beside = "with weights and optimizer" if optimizer else "beside the weights"
    said = f"bytes alive {beside} at each of {len(values)} steps; input {shapes}, batch {batch}, {dtype}"
    wide = max(right + _EDGE, width(said) + 2 * _EDGE)
    svg = Svg(wide, bottom + 58, f"{title}; {said}")
    svg.text(_EDGE, 28, fitted(title, wide - 2 * _EDGE, 17), "strong", size=17)
    svg.text(_EDGE, 48, said, "faint")
    for mark in marks:
        y = bottom - mark * scale
        svg.line(left, y, right, y)
        svg.text(left - 6, y + 4, f"{human(int(mark))}B" if mark else "0", "faint", "end", 11)
    _parts(svg, names[:turn] or names, left, step, bottom)
    svg.text(left + _WIDE / 2, bottom + 44, _ORDER[bool(turn)], "ink", "middle")
    if turn:
        _parts(svg, names[turn:], left + turn * step, step, bottom)
        svg.line(left + turn * step, top, left + turn * step, bottom)
    stairs = [f"M{number(left)} {number(bottom)}"]
    for value, steps in groupby(enumerate(values), key=lambda step: step[1]):
        *_, (at, _) = steps
        stairs.append(f"V{number(bottom - value * scale)}H{number(left + (at + 1) * step)}")
    svg.path("".join([*stairs, f"V{number(bottom)}Z"]), "area")
    if turn:
        svg.text(left + turn * step + 4, bottom - 6, "back", size=11)
    x = left + (highest + 0.5) * step
    label = fitted(
        f"peak {human(peak)}B, at {names[highest]} ({net.graph[names[highest]].op.name})", _WIDE, 12
    )
    middle = min(max(x, left + width(label) / 2), right - width(label) / 2)
    svg.circle(x, top, 4, "mark", f"{peak:,} bytes at {names[highest]}")
    svg.text(middle, top - 12, label, "strong", "middle")
    return svg


def _parts(svg: Svg, names: list[str], left: float, step: float, bottom: float) -> None:
    """Write below the curve what stands directly in the net, where there is room for it.

    Of a child that has more than half of all layers it is the child's parts, if most of it is named so.
    """
    at = 0
    for child, steps in groupby(names, key=lambda name: name.partition(".")[0]):
        layers = list(steps)
        shown = [(child, len(layers))]
        if 2 * len(layers) > len(names):
            parts = [(part, len(list(within))) for part, within in groupby(layers, key=_part)]
            named = sum(count for name, count in parts if _fits(name, count * step))
            shown = parts if 2 * named > len(layers) else shown
        for name, count in shown:
            room, x = count * step, left + at * step
            at += count
            if _fits(name, room):
                svg.line(x, bottom, x, bottom + 8)
                svg.line(x + room, bottom, x + room, bottom + 8)
                svg.text(x + room / 2, bottom + 19, fitted(name, room, 11), "faint", "middle", 11)


def _part(name: str) -> str:
    """Return the first two of a layer's names: what it is in within a child of the net."""
    return ".".join(name.split(".")[:2])


def _fits(name: str, room: float) -> bool:
    return room >= width(name, 11) + 4

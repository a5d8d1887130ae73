"""A pipeline over time: what each part does for which micro-batch, where it waits, and what it sends on."""

from __future__ import annotations

from netdsl.cost.table import human
from netdsl.hardware.report import duration
from netdsl.picture.svg import Svg, fitted, ticks, width
from netdsl.split.parts import SCHEDULES, Part, Split

_EDGE = 20.0
_NAMES = 210.0
"""The room for what is said of a part."""
_WIDE = 860.0
_HIGH, _GAP = 40.0, 34.0
"""Of a part's row, and between two, where the cut is said."""


def draw(split: Split) -> Svg:
    """Return a row for each part, from the first micro-batch's way forward to the last one's way back."""
    options, net, slots = split.options, split.net, split.slots
    end = max((slot.end for slot in slots), default=0.0)
    scale = _WIDE / end if end else 0.0
    left, top = _EDGE + _NAMES, 82.0
    high = top + len(split.parts) * (_HIGH + _GAP)
    title = f"{net.name} in {len(split.parts)} parts: {SCHEDULES[options.schedule]}"
    runs = f"training with {options.optimizer}" if options.train else "evaluation"
    said = (
        f"{options.micro_batches} micro-batches of {options.micro_batch}, {options.dtype}, {runs}; balance "
        f"{100 * split.balance:.1f} %; parts wait {100 * split.waiting:.1f} % of the time"
    )
    svg = Svg(left + _WIDE + _EDGE, high + 44, f"{title}; {said}")
    svg.text(_EDGE, 28, fitted(title, left + _WIDE - _EDGE, 17), "strong", size=17)
    svg.text(_EDGE, 48, fitted(said, left + _WIDE - _EDGE), "faint")
    if options.train:
        svg.rect(_EDGE, 58, 12, 12, "works")
        svg.text(_EDGE + 18, 68, "forward", "faint", size=11)
        svg.rect(_EDGE + 84, 58, 12, 12, "joins")
        svg.text(_EDGE + 102, 68, "back", "faint", size=11)
    for mark in ticks(end, 6):
        x = left + mark * scale
        svg.line(x, top, x, high - _GAP + 8)
        text = duration(mark) if options.device else f"{human(int(mark))} MACs"
        svg.text(x, high - _GAP + 24, text if mark else "0", "faint", "middle" if mark else "start", 11)
    for part in split.parts:
        y = top + part.rank * (_HIGH + _GAP)
        _about(svg, split, part, y)
        svg.rect(left, y, _WIDE, _HIGH, "panel")
        for slot in slots:
            if slot.rank != part.rank or slot.end == slot.start:
                continue
            x, long = left + slot.start * scale, (slot.end - slot.start) * scale
            way = "back" if slot.back else "forward"
            svg.rect(
                x, y, long, _HIGH, "joins" if slot.back else "works", f"micro-batch {slot.micro_batch}, {way}"
            )
            number = str(slot.micro_batch)
            if width(number, 11) + 2 <= long:
                svg.text(x + long / 2, y + _HIGH / 2 + 4, number, "ink", "middle", 11)
        if part.sent:
            carries = ", ".join(f"{one.value.node} {one.shape}" for one in part.sent)
            text = f"{human(part.carried)}B a micro-batch: {carries}"
            svg.path(f"M{left + 8:.1f} {y + _HIGH + 4:.1f}v{_GAP - 14:.1f}", "edge")
            svg.path(f"M{left + 4:.1f} {y + _HIGH + _GAP - 13:.1f}l4 8l4 -8Z", "tip")
            svg.text(left + 20, y + _HIGH + _GAP / 2 + 4, fitted(text, _WIDE - 24, 11), "faint", size=11)
    return svg


def _about(svg: Svg, split: Split, part: Part, y: float) -> None:
    """Say what a part is."""
    whole = sum(split.work)
    share = f", {100 * split.work[part.rank] / whole:.1f} %" if whole else ""
    first, last = part.layers[part.inputs], part.layers[-1]
    svg.text(_EDGE, y + 12, f"part {part.rank}{share}", "strong")
    svg.text(_EDGE, y + 26, fitted(f"{first} … {last}", _NAMES - 12, 11), "ink", size=11)
    text = f"{human(part.params)} params, {human(part.memory)}B"
    svg.text(_EDGE, y + 39, fitted(text, _NAMES - 12, 11), "faint", size=11)

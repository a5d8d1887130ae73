"""What each part of a net costs, as bars: a group for a layer, block or stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from netdsl.cost.table import Row
from netdsl.cost.view import amount
from netdsl.picture.svg import Svg, fitted, ticks, width
from netdsl.quantities import Options, Quantity, drawn
from netdsl.record import Record

if TYPE_CHECKING:
    from netdsl.net import Net

ROWS = 60
"""The most groups of bars where nobody says what a group is."""
_FEW = 6
"""Fewer rows than these say too little of a net that has more layers than can be shown."""

_ROW, _BAR = 17.0, 11.0
_EDGE = 20.0
_LONGEST = 180.0
"""How long the longest bar is."""
_VALUE = 72.0
"""The room for the number behind a bar."""
_NAMES, _KINDS = 230.0, 120.0
"""The most room for names, and for what they are."""


def heading(quantity: Quantity) -> str:
    """Return what stands over numbers of a quantity."""
    return f"{quantity.title}, {quantity.unit}" if quantity.unit else quantity.title


class Group(Record):
    """What has one group of bars: a row of the cost table, or many in a row."""

    name: str
    what: str
    """Its op or block."""
    about: str
    amounts: Mapping[str, int]
    """By quantity."""


def grouped(net: Net, by: str, batch: int, dtype: str) -> tuple[str, list[Group]]:
    """Return what the groups are, and their costs.

    `by` is a grouping of the cost table, or "" for what is readable: the finest that has at most `ROWS` rows, unless
    it lumps nearly all together. Where there is none, neighbours of the next finer one share a group.
    """
    if by:
        return by, [_group([row]) for row in net.cost_table(by, batch, dtype).rows]
    finer: tuple[Row, ...] = ()
    what = ""
    for grouping in ("layer", "block", "stage"):
        rows = net.cost_table(grouping, batch, dtype).rows
        if len(rows) <= ROWS and (len(rows) >= _FEW or not finer):
            return grouping, [_group([row]) for row in rows]
        if not finer or ROWS < len(rows) < len(finer):
            finer, what = rows, grouping
    size = -(-len(finer) // ROWS)
    return f"{size} {what}s", [_group(finer[at : at + size]) for at in range(0, len(finer), size)]


def _group(rows: Sequence[Row]) -> Group:
    first, last = rows[0], rows[-1]
    name = first.name if len(rows) == 1 else f"{first.name} … {last.name}"
    about = f"{first.name} ({first.what})" if first.what else first.name
    about = about if len(rows) == 1 else f"{len(rows)} rows, {name}"
    what = first.what if len({row.what for row in rows}) == 1 else ""
    amounts = {one.name: sum([getattr(row, one.name) for row in rows]) for one in drawn()}
    return Group(name, what, about, amounts)


def draw(net: Net, by: str = "", batch: int = 1, dtype: str = "float32") -> Svg:
    """Return the bars of a net: bytes of activations, params and MACs of each group.

    Args:
        net: The net.
        by: layer, block, stage or op; "" for what is readable at the net's size.
        batch: How many samples; activations and MACs are of all.
        dtype: Of activations.

    Raises:
        NetError: An option has no meaning.
    """
    what, groups = grouped(net, by, batch, dtype)
    options = Options(batch, dtype)
    names = [fitted(group.name, _NAMES, 11) for group in groups]
    kinds = [fitted(group.what, _KINDS, 11) for group in groups]
    middle = _EDGE + max([width(name, 11) for name in names], default=0)
    kind_room = max([width(kind, 11) for kind in kinds], default=0)
    first = middle + (8 + kind_room if kind_room else 0) + 10
    column = _LONGEST + _VALUE
    top = 92.0
    bottom = top + _ROW * len(groups)
    title = f"{net.name}: what each {what} costs" if what[0].isalpha() else f"{net.name}: costs by {what}"
    shapes = ", ".join(map(str, net.inputs.values()))
    said = f"input {shapes}, batch {batch}, {dtype}"
    wide = max(first + len(drawn()) * column + _EDGE, width(said, 12) + 2 * _EDGE)
    svg = Svg(wide, bottom + 44, f"{title}; {said}")
    svg.text(_EDGE, 28, fitted(title, wide - 2 * _EDGE, 17), "strong", size=17)
    svg.text(_EDGE, 48, said, "faint")
    for at, quantity in enumerate(drawn()):
        left = first + at * column
        over = heading(quantity)
        svg.text(left, top - 24, over, "strong")
        total = f"total {amount(quantity, quantity.of(net, list(net.graph), options))}"
        svg.text(left + width(over) * 1.06 + 6, top - 24, total, "faint", size=11)
        values = [int(group.amounts[quantity.name]) for group in groups]
        _column(svg, left, top, bottom, values, [group.about for group in groups], quantity)
    for at, (name, kind) in enumerate(zip(names, kinds, strict=True)):
        svg.text(middle, top + at * _ROW + 12, name, anchor="end", size=11)
        if kind:
            svg.text(middle + 8, top + at * _ROW + 12, kind, "faint", size=11)
    return svg


def _column(
    svg: Svg,
    left: float,
    top: float,
    bottom: float,
    values: Sequence[int],
    about: Sequence[str],
    quantity: Quantity,
) -> None:
    """Draw the bars of one quantity, with its axis above and below."""
    largest = max(values, default=0)
    scale = _LONGEST / largest if largest else 0.0
    marks = [(tick, left + tick * scale) for tick in ticks(largest)]
    for tick, x in marks:
        svg.line(x, top - 4, x, bottom + 4)
        label = amount(quantity, int(tick)) if tick else "0"
        svg.text(x, top - 8, label, "faint", "middle", 10)
        svg.text(x, bottom + 17, label, "faint", "middle", 10)
    for at, (value, name) in enumerate(zip(values, about, strict=True)):
        if value:
            y = top + at * _ROW + (_ROW - _BAR) / 2
            unit = f"{quantity.unit} of {quantity.title}" if quantity.unit else quantity.title
            tip = f"{name}: {value:,} {unit}"
            svg.rect(left, y, max(value * scale, 0.7), _BAR, quantity.name, tip)
            said, behind = amount(quantity, value), left + value * scale + 4
            if any(behind - 1 < x < behind + width(said, 10) for _, x in marks):  # no line through a number
                svg.rect(behind - 1, y - 1, width(said, 10), _BAR + 2, "page")
            svg.text(behind, y + 9.5, said, "faint", size=10)

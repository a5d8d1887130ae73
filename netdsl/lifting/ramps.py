"""Depth schedules of a net: numbers of its blocks, in a row, that grow by the same amount."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from netdsl.elaborate.values import MISSING
from netdsl.ir.types import Scheduled
from netdsl.lifting.items import Item, Word, everything
from netdsl.lifting.words import written
from netdsl.ops.dropout import DropPath

LEAST = 3
"""How many numbers have to be known for a schedule."""


def scheduled(items: list[Item], classes: Mapping[str, Any], named: Callable[[str], str]) -> list[Item]:
    """Return the statements of a net with a name in the place of the numbers of a schedule."""
    rows: dict[str, list[tuple[Item, str]]] = {}
    for item in everything(items):
        solved = classes.get(item.name) if item.kind == "call" else None
        for one in solved.chosen if solved is not None else ():
            if one.kind == "float":
                rows.setdefault(one.name, []).append((item, one.name))
        if item.kind == "call" and item.name == DropPath.name and "p" in item.values:
            rows.setdefault("p", []).append((item, "p"))
    lines: list[Item] = []
    for row in rows.values():
        ramp = _ramp([item.values[key][0] for item, key in row])
        if ramp:
            name = named("path" if not lines else f"path{len(lines) + 1}")
            lines.append(Item("raw", f"{name} = {ramp}"))
            for item, key in row:
                item.values[key] = (Word(name),)
    at = next((at for at, item in enumerate(items) if item.kind not in ("raw", "input")), 0)
    return [*items[:at], *lines, *items[at:]]


def _ramp(values: Sequence[Any]) -> str:
    """Return the schedule that numbers are, "" for none."""
    known = [(at, float(value)) for at, value in enumerate(values) if value is not MISSING]
    if len(known) < LEAST or len({value for _, value in known}) < LEAST:
        return ""
    (i, a), (j, b) = known[0], known[-1]
    step = (b - a) / (j - i)
    for steps, end in ((len(values) - 1, ""), (len(values), ", endpoint=false")):
        start, stop = round(a - i * step, 6), round(a - i * step + steps * step, 6)
        if all(Scheduled(start, stop, at, steps) == value for at, value in known):
            return f"ramp({_short(start)}, {_short(stop)}{end})"
    return ""


def _short(number: float) -> str:
    return str(int(number)) if number == int(number) else written(number)

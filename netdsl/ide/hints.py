"""The costs of each line, as an editor shows them behind it: the shape, and what all of its copies take together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from netdsl.cost.table import human
from netdsl.ide.analysis import Analysis, Line

KINDS = ("shape", "params", "macs")
MOST_SHAPES = 2
"""How many shapes of one line are shown; of more, the first and the last."""


class Hint(NamedTuple):
    """What stands behind a piece of text."""

    offset: int
    text: str
    tooltip: str


def hints(
    analysis: Analysis, kinds: Sequence[str] = KINDS, start: int = 0, end: int | None = None
) -> list[Hint]:
    """Return what stands behind the lines of a text between two offsets.

    A statement on several lines has its costs line by line, those of the steps that end there.
    """
    text = analysis.source.text
    end = len(text) if end is None else end
    found: list[Hint] = []
    for row in rows(analysis.lines, text):
        offset = code_end(text, row[-1].end)
        if start <= offset <= end:
            shown = _text(row, analysis.net, kinds)
            if shown:
                found.append(Hint(offset, shown, tooltip(row, analysis.net)))
    return found


def code_end(text: str, offset: int) -> int:
    """Return where the line of an offset ends, without a comment and the spaces before it."""
    begin = text.rfind("\n", 0, offset) + 1
    line = text[begin:].partition("\n")[0]
    quoted = False
    for at, char in enumerate(line):
        quoted ^= char == '"'
        if char == "#" and not quoted:
            line = line[:at]
            break
    return begin + len(line.rstrip())


def rows(lines: Iterable[Line], text: str) -> list[list[Line]]:
    """Return the pieces on each line of the text, in order; what is within a piece of the line is its part."""
    rows: dict[int, list[Line]] = {}
    at, row, reach = 0, 0, -1
    for line in sorted(lines, key=lambda line: (line.start, -line.end)):
        row += text.count("\n", at, line.start)
        at = line.start
        if line.end <= reach or "\n" in text[line.start : line.end]:
            continue  # it is part of another, or the steps in it have lines of their own
        reach = line.end
        if text[line.end : line.end + 1] == ":":  # a body, which may be on the same line
            end = text.find("\n", line.end)
            reach = len(text) if end < 0 else end
        rows.setdefault(row, []).append(line)
    return list(rows.values())


def costs(row: Sequence[Line]) -> tuple[int, int]:
    """Return the params and MACs of the pieces of a line together."""
    return sum(line.params for line in row), sum(line.macs for line in row)


def _text(row: list[Line], net: str, kinds: Sequence[str]) -> str:
    """Return the costs of a line in short."""
    parts = []
    if "shape" in kinds and row[-1].shapes:
        parts.append(shapes(row[-1]))
    params, macs = costs(row)
    if "params" in kinds and params:
        parts.append(f"{human(params)} params")
    if "macs" in kinds and macs:
        parts.append(f"{human(macs)} MACs")
    if not parts:
        return ""
    other = row[-1].net
    return " · ".join([*parts, *([f"in {other}"] if other != net else [])])


def shapes(line: Line) -> str:
    """Return what a line makes, in short: `64x56x56`, `3 values of 64x7x7`, `256x56x56 … 2048x7x7`."""
    texts = [str(shape) for shape in line.shapes]
    if len(texts) > max(MOST_SHAPES, line.values):
        return f"{texts[0]} … {texts[-1]}"
    if line.values > len(texts):
        return f"{line.values} values of {', '.join(texts)}"
    return ", ".join(texts)


def tooltip(row: Sequence[Line], net: str) -> str:
    """Return the costs of a line in full."""
    last = row[-1]
    lines = [f"makes {', '.join(map(str, last.shapes))}"] if last.shapes else []
    params, macs = costs(row)
    lines.append(f"{params:,} params, {macs:,} MACs for one sample")
    if last.copies > 1:
        lines.append(f"of {last.copies} copies together")
    lines.append(f"in {last.net}" + (f", as {net} does not reach it" if last.net != net else ""))
    return "\n".join(lines)


def totals(params: int | None, macs: int | None) -> str:
    """Return a net's totals in short."""
    return "" if params is None or macs is None else f"{human(params)} params · {human(macs)} MACs"

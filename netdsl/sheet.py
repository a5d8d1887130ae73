"""Tables as lines of text: aligned, as Markdown, as CSV. Cells are texts."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

from netdsl.diagnostics.render import printable
from netdsl.record import Record

Line = Sequence[str]


class Sheet(Record):
    """A table as people read it, and what stands around it."""

    header: Line
    rows: Sequence[Line]
    totals: Sequence[Line] = ()
    """What stands below the rows."""
    left: Collection[int] = (0,)
    """The columns that are flush left: those that hold texts."""
    caption: str = ""
    notes: Sequence[str] = ()

    def text(self) -> str:
        """Return it with aligned columns, and no newline at the end."""
        body = aligned([self.header, *self.rows, *self.totals], self.left, 1 + len(self.totals))
        return self._around(body, "\n")

    def markdown(self) -> str:
        """Return it as Markdown, the first of the totals bold, and no newline at the end."""
        bold = [[f"**{cell}**" if cell else "" for cell in line] for line in self.totals[:1]]
        body = markdown([self.header, *self.rows, *bold, *self.totals[1:]], self.left)
        return self._around(body, "  \n")

    def _around(self, body: Iterable[str], end: str) -> str:
        """Return what stands above and below, its lines told apart by `end`, with the table between."""
        return "\n\n".join(part for part in (self.caption, "\n".join(body), end.join(self.notes)) if part)


def aligned(lines: Sequence[Line], left: Collection[int] = (0,), ruled: int = 0) -> list[str]:
    """Return lines with columns as wide as their widest cell, those of `left` flush with it.

    With `ruled` the first line is a header between which and the rest stands a rule, and another one before the
    last `ruled - 1` lines.
    """
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]

    def line(cells: Line) -> str:
        columns = enumerate(zip(cells, widths, strict=True))
        return "  ".join(c.ljust(w) if n in left else c.rjust(w) for n, (c, w) in columns).rstrip()

    found = [*map(line, lines)]
    if ruled:
        rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
        found.insert(len(found) - (ruled - 1), rule)
        found.insert(1, rule)
    return found


def markdown(
    lines: Iterable[Line], left: Collection[int] = (0,), escape: Callable[[str], str] | None = None
) -> Iterator[str]:
    """Yield the lines of a table, of which the first is the header."""
    for number, cells in enumerate(lines):
        yield f"| {' | '.join(map(escape or _escape, cells))} |"
        if not number:
            yield f"| {' | '.join(':---' if n in left else '---:' for n in range(len(cells)))} |"


def csv(lines: Iterable[Line]) -> str:
    """Return CSV (RFC 4180, but lines end as in text), and no newline at the end."""
    return "\n".join(",".join(map(csv_cell, line)) for line in lines)


def csv_cell(text: str) -> str:
    """Return a cell that no spreadsheet takes for a formula."""
    text = printable(text)
    if text[:1] in ("=", "+", "-", "@"):
        text = f"'{text}"
    return '"' + text.replace('"', '""') + '"' if any(c in text for c in ',"') else text


def _escape(text: str) -> str:
    return text.replace("|", "\\|")

"""Tables as lines of text: aligned, as Markdown, as CSV. Cells are texts."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import groupby

from netdsl.diagnostics.render import printable
from netdsl.record import Record

Line = Sequence[str]

WIDTH = 100
"""Columns of a text where nobody says how many there are: in a file, a pipe, or a string of Python."""
_LEAST = 12
"""Columns that a text keeps, however narrow the table has to be."""
_PROSE = 24
"""Those of a text that goes on below."""
_BAR = 6
"""Columns of a bar that means all."""
_HEAD, _FAINT, _DRAWN = "1", "2", "36"


class Look(Record):
    """What texts are printed on."""

    width: int = 0
    """Columns; 0: any number."""
    color: bool = False
    blocks: bool = False
    """Whether it has the characters of which bars are drawn, and not only those of ASCII."""

    def paint(self, text: str, style: str) -> str:
        """Return a text in the style of an SGR sequence, where there is colour; "" for none."""
        return f"\x1b[{style}m{text}\x1b[0m" if self.color and text and style else text

    def bar(self, part: float) -> str:
        """Return a bar for a part of a whole, from 0 to 1; none for less than half of its least step."""
        if not self.blocks:
            return "#" * round(_BAR * part)
        eighths = round(8 * _BAR * part)
        rest: str = ("", *"\u258f\u258e\u258d\u258c\u258b\u258a\u2589")[eighths % 8]
        return "\u2588" * (eighths // 8) + rest

    def wrapped(self, text: str) -> str:
        """Return a text in lines that fit; a word that does not is left as it is."""
        if not self.width or len(text) <= self.width:
            return text
        return _filled(text, self.width)

    def fitted(self, page: str) -> str:
        """Return a page of prose in lines that fit.

        A paragraph of which a line does not fit is filled anew; lines that are indented are as `hung` has them.
        """
        found: list[str] = []
        for indented, group in groupby(page.split("\n"), lambda line: line[:1] in ("", " ")):
            lines = [*group]
            if not self.width or max(map(len, lines)) <= self.width:
                found += lines
            elif indented:
                found += [self.hung(line) for line in lines]
            else:
                found.append(_filled(" ".join(lines), self.width))
        return "\n".join(found)

    def hung(self, line: str) -> str:
        """Return a line in lines that fit, those after the first below its last column, or a little further in."""
        if not self.width or len(line) <= self.width:
            return line
        last = max((gap.end() for gap in re.finditer(r"(?<=\S)  +", line)), default=0)
        margin = len(line) - len(line.lstrip()) + 2
        return _filled(line, self.width, last if 0 < last <= self.width - _PROSE else margin)


def _filled(text: str, width: int, margin: int = 0) -> str:
    """Return a text in lines of so many columns, but for longer words; with a margin from the second on."""
    from textwrap import fill  # most texts are short

    return fill(text, width, subsequent_indent=" " * margin, break_long_words=False, break_on_hyphens=False)


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
    bars: Collection[int] = ()
    """The columns that are drawn."""
    spare: Sequence[Sequence[int]] = ()
    """The columns that are left out where there is no room, first what is missed least; some go together."""
    prose: Collection[int] = ()
    """The columns of texts that go on in lines below where there is no room, instead of being shortened."""

    def text(self, look: Look | None = None, ruled: bool = True) -> str:
        """Return it with aligned columns, and no newline at the end; with rules below header and above totals.

        Where it is wider than `look` allows, columns that are spare are left out, which a note says, then prose goes
        on below, and then texts are shortened to a dozen characters. Numbers are never cut, so that a narrow look may
        be exceeded.
        """
        look = look or Look()
        lines = [self.header, *self.rows, *self.totals]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        out = self._left_out(widths, look)
        kept = [n for n in range(len(widths)) if n not in out]
        texts = [n for n in kept if n in self.left and n not in self.bars]
        over = sum(widths[n] for n in kept) + 2 * (len(kept) - 1) - look.width if look.width else 0
        for n in sorted(texts, key=lambda n: (n not in self.prose, -widths[n])):
            less = max(0, min(over, widths[n] - (_PROSE if n in self.prose else _LEAST)))
            widths[n] -= less
            over -= less
        shown = [
            [cells[n] for n in kept]
            for line in lines
            for cells in self._lines(
                [
                    shortened(cell, widths[n]) if n in texts and n not in self.prose else cell
                    for n, cell in enumerate(line)
                ],
                widths,
            )
        ]
        left = [place for place, n in enumerate(kept) if n in self.left]
        body = aligned(shown, left, 1 + len(self.totals) if ruled else 0)
        notes = [*self.notes]
        said = dict.fromkeys(self.header[n] for n in sorted(out) if self.header[n] not in ("", "%"))
        if said:
            notes.insert(0, f"no room in {look.width} columns for {', '.join(said)}")
        if look.color and not ruled:
            body[0] = look.paint(body[0], _HEAD)
        elif look.color:
            drawn = [place for place, n in enumerate(kept) if n in self.bars]
            body = _painted(body, shown, drawn, 1 + len(self.totals), look)
        notes = [look.paint(line, _FAINT) for note in notes for line in look.wrapped(note).split("\n")]
        caption = look.paint(look.wrapped(self.caption), _HEAD)
        return "\n\n".join(part for part in (caption, "\n".join(body), "\n".join(notes)) if part)

    def _left_out(self, widths: Sequence[int], look: Look) -> set[int]:
        """Return the columns for which there is no room."""
        out: set[int] = set()
        least = [min(w, _PROSE) if n in self.prose else w for n, w in enumerate(widths)]
        for group in self.spare:
            if not look.width or sum(w + 2 for n, w in enumerate(least) if n not in out) - 2 <= look.width:
                break
            out.update(group)
        return out

    def _lines(self, line: Line, widths: Sequence[int]) -> Iterator[Line]:
        """Yield a line, and those on which its prose goes on."""
        if not any(len(line[n]) > widths[n] for n in self.prose):
            yield line
            return
        from textwrap import wrap  # most texts are short

        parts = [
            wrap(cell, widths[n], break_on_hyphens=False) if n in self.prose else [cell]
            for n, cell in enumerate(line)
        ]
        for row in range(max(map(len, parts))):
            yield [part[row] if row < len(part) else "" for part in parts]

    def markdown(self) -> str:
        """Return it as Markdown, the first of the totals bold, and no newline at the end."""
        bold = [[f"**{cell}**" if cell else "" for cell in line] for line in self.totals[:1]]
        body = markdown([self.header, *self.rows, *bold, *self.totals[1:]], self.left)
        return "\n\n".join(part for part in (self.caption, "\n".join(body), "  \n".join(self.notes)) if part)


def _painted(
    body: Sequence[str], shown: Sequence[Line], drawn: Collection[int], ruled: int, look: Look
) -> list[str]:
    """Return the lines of a table in colour: its head and its totals bold, its rules faint, its bars coloured."""
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    starts = [sum(widths[:n]) + 2 * n for n in range(len(widths))]

    def row(line: str) -> str:
        for n in sorted(drawn, reverse=True):
            start, end = starts[n], starts[n] + widths[n]
            line = line[:start] + look.paint(line[start:end], _DRAWN) + line[end:]
        return line

    last = len(body) - (ruled - 1)
    return [
        look.paint(line, _HEAD)
        if not n or n >= last
        else look.paint(line, _FAINT)
        if n == 1 or n == last - 1 < len(body) - 1
        else row(line)
        for n, line in enumerate(body)
    ]


def shortened(text: str, width: int) -> str:
    """Return a text in so many characters, with `...` for what is missing in its middle."""
    if len(text) <= width:
        return text
    end = (width - 3) // 2
    return f"{text[: width - 3 - end]}...{text[len(text) - end :]}"


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
        if ruled > 1:
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

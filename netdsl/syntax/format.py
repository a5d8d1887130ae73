"""The canonical text of a spec: the same tokens and comments, laid out as everybody lays them out.

Nothing but white space changes, and a comma before a closing bracket goes; so the tree stays the same. Lines end as
the first one does.
grammar/README.md describes the style.
"""

from __future__ import annotations

from itertools import dropwhile
from typing import NamedTuple

from netdsl.collector import no_collection
from netdsl.source import Source
from netdsl.syntax.columns import Line, align
from netdsl.syntax.layout import INDENT, LIMIT, Layout, Words
from netdsl.syntax.parse import parse_lines
from netdsl.syntax.spacing import Spacing
from netdsl.syntax.tokens import LogicalLine

_DECLARATIONS = ("BLOCK", "INLINE", "NET", "TABLE")
"""What has blank lines around it."""
_OPENING = (*_DECLARATIONS, "AT")


class Above(NamedTuple):
    """A line between two statements: a comment, or "" for a blank line."""

    level: int
    comment: str


def format(text: str, name: str = "<string>") -> str:
    """Return the canonical text of a spec; NetError if it has syntax errors, which calls it `name`."""
    return format_text(Source(name, text.removeprefix("\ufeff")))


def format_text(source: Source) -> str:
    """Return the canonical text of a source, which has to parse and nothing else."""
    with no_collection():
        file, lines = parse_lines(source)
        return _Formatter(source.text, Spacing(source.text, file, lines)).run(lines)


class _Formatter:
    """One file, written statement by statement."""

    def __init__(self, text: str, spacing: Spacing) -> None:
        self.text = text
        self.spacing = spacing
        self.written: list[Line | str] = []
        self.columns = [0]
        """Where the lines of the open bodies begin in the text."""
        self.paragraphs: list[list[Line]] = [[]]
        """For each open body, its lines since the last blank one."""
        self.before = ""
        """The first token of the statement before, "" after none."""
        self.declared = False
        """Whether the statement before at the top was a declaration with blank lines around it."""

    def run(self, lines: list[LogicalLine]) -> str:
        """Write all lines; return the text."""
        lines = [LogicalLine(level, [t for t in tokens if t.type != "_NL"]) for level, tokens in lines]
        ends = [line.tokens[-1].end for line in lines]
        starts = [line.tokens[0].start for line in lines]
        above = self._between(0, starts[0] if starts else len(self.text))
        for line, end, following in zip(lines, ends, [*starts, len(self.text)][1:], strict=True):
            self._above(above, line)
            behind, *above = self._between(end, following)
            self._statement(line, behind)
        self._write(self._levels(above, 0))
        self._close(0)
        while self.written and not self.written[-1]:
            self.written.pop()
        newline = "\r\n" if self.text.partition("\n")[0].endswith("\r") else "\n"
        return "".join(f"{line}{newline}" for line in self.written)

    def _between(self, start: int, end: int) -> list[str]:
        """Return the rest of a line and the lines up to the next statement, whose indentation is left out."""
        lines = self.text[start:end].split("\n")
        return lines[:-1] if end < len(self.text) else lines

    def _levels(self, above: list[str], level: int) -> list[Above]:
        """Return how deep each line is: a comment that ends a body stays in it, others go with what is below."""
        result = []
        for line in above:
            comment = line.strip(" \t\r")
            column = len(line[: line.find("#")].expandtabs(4))
            deeper = [at for at in range(level + 1, len(self.columns)) if self.columns[at] <= column]
            result.append(Above(deeper[-1] if comment and deeper else level, comment))
        return result

    def _above(self, above: list[str], line: LogicalLine) -> None:
        """Write what stands above a statement, with one blank line or none where there may be some."""
        level, first = line.level, line.tokens[0]
        lines = self._levels(above, level)
        cut = max((at for at, item in enumerate(lines, 1) if item.level > level), default=0)
        self._write(lines[:cut])
        lines = lines[cut:]
        blank = any(not item.comment for item in lines)
        if level == len(self.columns):
            lines = list(dropwhile(lambda item: not item.comment, lines))
        elif self.before == "AT" or first.type in ("ELIF", "ELSE"):
            lines = [item for item in lines if item.comment]
        elif not (level or blank) and self.before and (self.declared or first.type in _OPENING):
            lines.insert(0, Above(0, ""))
            blank = True
        self._write(lines)
        self._close(level if blank and first.start not in self.spacing.rows else level + 1)
        self.paragraphs += [[] for _ in range(len(self.paragraphs), level + 1)]
        self.columns[level:] = [first.start - self.text.rfind("\n", 0, first.start) - 1]

    def _write(self, lines: list[Above]) -> None:
        for level, comment in lines:
            if comment:
                self.written.append(" " * level * INDENT + comment)
            elif self.written and self.written[-1]:
                self.written.append("")

    def _statement(self, line: LogicalLine, behind: str) -> None:
        """Write a statement and the comment behind it."""
        first = line.tokens[0].type
        self.before = first
        if not line.level and first != "AT":
            self.declared = first in _DECLARATIONS
        comment = behind.strip(" \t\r")
        words = Words(line.tokens, self.text, self.spacing)
        indent = line.level * INDENT
        if words.broken or indent + words.ends[-1] > LIMIT:
            laid = Layout(words, self.spacing, indent).lines
            if len(laid) > 1:
                laid[-1] += f"  {comment}" if comment else ""
                self.written += laid
                return
        written = Line(words, indent, comment, behind.find("#"))
        self.written.append(written)
        self.paragraphs[line.level].append(written)

    def _close(self, level: int) -> None:
        """Align the paragraphs from a level on, which nothing follows."""
        for lines in self.paragraphs[level:]:
            align(lines, self.spacing)
        del self.paragraphs[level:]

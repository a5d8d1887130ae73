"""Source text and places in it. Only offsets are kept; line and column are computed when shown."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from functools import cached_property
from os.path import realpath
from pathlib import Path

from netdsl.record import Record


class Source:
    """One text: a file's, or standard input's. Compared by identity."""

    def __init__(self, name: str, text: str, path: Path | None = None) -> None:
        """Take a text as it is.

        Args:
            name: What diagnostics show; emitted files only ever show its last part.
            text: Without a byte order mark.
            path: The user's file that it is; None for standard input, and for what is packaged.
        """
        self.name = name
        self.text = text
        self.path = path

    def __repr__(self) -> str:
        return f"Source({self.name!r})"

    @cached_property
    def key(self) -> str:
        """What is the same for all sources of one file: a packaged one may be called as one of the user's is."""
        return self.name if self.path is None else realpath(self.path)

    @cached_property
    def _starts(self) -> array[int]:
        starts, at = array("Q", [0]), self.text.find("\n")
        while at >= 0:
            starts.append(at + 1)
            at = self.text.find("\n", at + 1)
        return starts

    def position(self, offset: int) -> tuple[int, int]:
        """Return (line, column) of an offset, both from 1."""
        line = bisect_right(self._starts, offset)
        return line, offset - self._starts[line - 1] + 1

    def line(self, number: int) -> str:
        """Return the text of a line (from 1), without its end."""
        start = self._starts[number - 1]
        end = self._starts[number] - 1 if number < len(self._starts) else len(self.text)
        return self.text[start:end].rstrip("\r")


class Span(Record):
    """The characters from `start` up to, not including, `end` of a source."""

    source: Source
    start: int
    end: int

    def __init__(self, source: Source, start: int, end: int) -> None:
        """Take the three: twice as fast as any record does, and of these most are made."""
        fields = self.__dict__
        fields["source"], fields["start"], fields["end"] = source, start, end

    @property
    def line(self) -> int:
        """Line of the first character, from 1."""
        return self.source.position(self.start)[0]

    @property
    def column(self) -> int:
        """Column of the first character, from 1."""
        return self.source.position(self.start)[1]

    @property
    def text(self) -> str:
        """The characters themselves."""
        return self.source.text[self.start : self.end]

    def covers(self, other: Span) -> bool:
        """Tell whether another text is within this one."""
        return self.source is other.source and self.start <= other.start and other.end <= self.end

    def __str__(self) -> str:
        return f"{self.source.name}:{self.line}:{self.column}"

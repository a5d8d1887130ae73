"""A text as an editor has it: positions in code units, changes, and what a source is for it."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from lsprotocol import types
from pygls.uris import to_fs_path

from netdsl.source import Source

_END = re.compile(r"\r\n|\n|\r")
_UNITS = {"utf-8": lambda text: len(text.encode("utf-8", "surrogatepass")), "utf-32": len}


def units(text: str, encoding: str) -> int:
    """Return how many code units a text has."""
    if encoding == "utf-16":
        return len(text) + sum(char > "\uffff" for char in text)
    return _UNITS[encoding](text)


def difference(old: str, new: str) -> tuple[int, int, int]:
    """Return where two texts begin to differ, and where each ends to."""
    most = min(len(old), len(new))
    begin = 0
    while begin < most and old[begin] == new[begin]:
        begin += 1
    tail = 0
    while tail < most - begin and old[-1 - tail] == new[-1 - tail]:
        tail += 1
    return begin, len(old) - tail, len(new) - tail


class Text:
    """A text with its lines, which never changes."""

    def __init__(self, text: str, encoding: str = "utf-16") -> None:
        """`encoding` is what positions count."""
        self.text = text
        self.encoding = encoding
        self.mark = int(text.startswith("\ufeff"))
        """1 if a byte order mark stands before all, which is no part of a spec."""

    @cached_property
    def _starts(self) -> list[int]:
        return [0, *[found.end() for found in _END.finditer(self.text)]]

    @cached_property
    def _plain(self) -> bool:
        """Whether each character is one unit."""
        return self.encoding == "utf-32" or units(self.text, self.encoding) == len(self.text)

    def line(self, number: int) -> tuple[int, int]:
        """Return where a line begins and ends, from 0 on, without its end."""
        start = self._starts[number]
        end = self._starts[number + 1] if number + 1 < len(self._starts) else len(self.text)
        return start, start + len(self.text[start:end].rstrip("\r\n"))

    @property
    def lines(self) -> int:
        """How many lines there are."""
        return len(self._starts)

    def offset(self, position: types.Position) -> int:
        """Return the offset of a position in the spec; of one beyond the end of a line, that end."""
        return max(0, self._raw(position) - self.mark)

    def _raw(self, position: types.Position) -> int:
        if position.line >= len(self._starts):
            return len(self.text)
        start, end = self.line(max(0, position.line))
        if self._plain:
            return min(start + max(0, position.character), end)
        left = position.character
        for at in range(start, end):
            if left <= 0:
                return at
            left -= units(self.text[at], self.encoding)
        return end

    def position(self, offset: int) -> types.Position:
        """Return the position of an offset in the spec."""
        offset = min(max(0, offset) + self.mark, len(self.text))
        line = bisect_right(self._starts, offset) - 1
        start = self._starts[line]
        column = offset - start if self._plain else units(self.text[start:offset], self.encoding)
        return types.Position(line=line, character=column)

    def range(self, start: int, end: int) -> types.Range:
        """Return the range of two offsets in the spec."""
        return types.Range(start=self.position(start), end=self.position(end))

    def changed(self, changes: Sequence[types.TextDocumentContentChangeEvent]) -> Text:
        """Return the text after changes, each of which is of the text after those before it."""
        text = self
        for change in changes:
            if isinstance(change, types.TextDocumentContentChangePartial):
                start, end = text._raw(change.range.start), text._raw(change.range.end)
                start, end = min(start, end), max(start, end)
                text = Text(text.text[:start] + change.text + text.text[end:], self.encoding)
            else:
                text = Text(change.text, self.encoding)
        return text


class Document:
    """A file that is open, in one version; a change makes another."""

    def __init__(self, uri: str, version: int, text: Text) -> None:
        """Take a text."""
        self.uri = uri
        self.version = version
        self.text = text
        path = to_fs_path(uri) if uri.startswith("file:") else None
        self.path = Path(path) if path else None
        name = str(self.path) if self.path is not None else uri
        self.source = Source(name, text.text[text.mark :], self.path)

    def changed(self, version: int, changes: Sequence[types.TextDocumentContentChangeEvent]) -> Document:
        """Return the document after changes."""
        return Document(self.uri, version, self.text.changed(changes))

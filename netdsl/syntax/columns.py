"""What stands below each other: tables, variants, and the columns that an author made with spaces."""

from __future__ import annotations

from collections.abc import Iterator
from operator import itemgetter
from typing import NamedTuple

from netdsl.syntax.layout import LIMIT, Words
from netdsl.syntax.spacing import Spacing, whole_digits
from netdsl.syntax.tokens import OPENING

_BEHIND = 2
"""The spaces before a comment behind a line."""
_VARIANT_EQUALS = 2
"""The `=` among the tokens of a variant."""

Key = tuple[int, int, int, str]
"""A column: those that tables and variants have come first, the others from left to right."""


class Place(NamedTuple):
    """A token that may stand in a column."""

    column: Key
    token: int
    digits: int | None
    """How many of its characters stand left of the column; None if it is no number."""
    makes: bool
    """Whether it makes the tokens of the column stand below each other."""


class Line:
    """A statement on one line, and the spaces that are added to it."""

    def __init__(self, words: Words, indent: int, comment: str, gap: int) -> None:
        """Take the words, which fit from a column on; `gap` is what the text has between them and the comment."""
        self.words = words
        self.indent = indent
        self.comment = comment
        self.gap = gap
        self.pads: list[tuple[int, int]] = []
        """Tokens and the spaces before them; behind the last token is the comment."""
        self.shift = 0
        """All spaces that are added."""

    def __str__(self) -> str:
        flat, done, parts = self.words.flat, 0, [" " * self.indent]
        for index, spaces in self.pads:
            start = self.start(index)
            parts += [flat[done:start], " " * spaces]
            done = start
        parts.append(flat[done:])
        if self.comment:
            parts += [" " * _BEHIND, self.comment]
        return "".join(parts)

    def start(self, index: int) -> int:
        """Return where a token or the comment begins without added spaces."""
        starts = self.words.starts
        return starts[index] if index < len(starts) else self.words.ends[-1] + _BEHIND

    @property
    def is_variant(self) -> bool:
        """Whether it declares a variant, and does not use the word as a name."""
        first, *others = self.words.tokens
        return first.type == "VARIANT" and others[0].type == "NAME"

    def may_make_columns(self, spacing: Spacing) -> bool:
        """Tell quickly whether it is of a table or variant, or the text has more spaces in it than are needed."""
        first = self.words.tokens[0]
        padded = self.words.padded or self.gap > _BEHIND
        return padded or self.is_variant or first.start in spacing.rows

    def pad(self, index: int, spaces: int) -> None:
        """Add spaces before a token, left of which everything is done."""
        if spaces:
            self.pads.append((index, spaces))
            self.shift += spaces

    def places(self, spacing: Spacing) -> Iterator[Place]:
        """Yield what may stand in a column."""
        tokens = self.words.tokens
        begin = tokens[0].start
        if begin in spacing.rows:
            at = {token.start: index for index, token in enumerate(tokens)}
            for number, (start, digits) in enumerate(spacing.rows[begin]):
                # the first cell stays at the indentation
                yield Place((0, number, 0, "CELL"), at[start], digits if number else None, True)
        elif self.is_variant:
            yield Place((0, 0, 0, "VARIANT"), _VARIANT_EQUALS, 0, True)
        if not self.words.broken:
            yield from self._written(spacing)

    def _written(self, spacing: Spacing) -> Iterator[Place]:
        """Yield what stands somewhere in the text: arrows, numbers, the `=` of a statement, the comment."""
        words, depth = self.words, 0
        tokens = words.tokens
        begin = tokens[0].start
        done = len(tokens) if begin in spacing.rows else 3 if self.is_variant else 1
        for index, token in enumerate(tokens[done:], done):
            kind = token.type
            if kind in OPENING:
                depth += 1
            elif kind in ("RPAR", "RSQB"):
                depth -= 1
            elif kind in ("ARROW", "EQUAL", "NUMBER"):
                padded = token.start > tokens[index - 1].end + 1
                column = token.start - begin
                if kind == "NUMBER" and words.starts[index] > words.ends[index - 1]:
                    digits = whole_digits(token.text)
                    yield Place((1, column + digits, 0, kind), index, digits, padded)
                elif kind == "ARROW" or (kind == "EQUAL" and not depth and token.start not in spacing.close):
                    yield Place((1, column, 1, kind), index, 0, padded)
        if self.comment:
            yield Place(
                (1, tokens[-1].end - begin + self.gap, 1, "COMMENT"), len(tokens), 0, self.gap > _BEHIND
            )


def align(lines: list[Line], spacing: Spacing) -> None:
    """Add spaces to the lines of a paragraph: numbers by their points, everything else by where it begins."""
    if len(lines) < 2 or not any(line.may_make_columns(spacing) for line in lines):
        return
    columns: dict[Key, list[tuple[Line, Place]]] = {}
    for line in lines:
        for place in line.places(spacing):
            columns.setdefault(place.column, []).append((line, place))
    for _, members in sorted(columns.items(), key=itemgetter(0)):
        if any(place.makes for _, place in members):
            _align(members)
    if any(line.shift and _width(line) > LIMIT for line in lines):
        for line in lines:
            line.pads, line.shift = [], 0


def _align(members: list[tuple[Line, Place]]) -> None:
    numbers = all(place.digits is not None for _, place in members)
    points = [line.start(place.token) + line.shift + (place.digits or 0) * numbers for line, place in members]
    column = max(points)
    for (line, place), point in zip(members, points, strict=True):
        line.pad(place.token, column - point)


def _width(line: Line) -> int:
    """Return the columns of a line without its comment."""
    words = line.words
    return line.indent + words.ends[-1] + sum(spaces for at, spaces in line.pads if at < len(words.tokens))

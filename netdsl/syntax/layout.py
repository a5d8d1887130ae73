"""One logical line of a spec as lines of the file: where it breaks, and where its comments go."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator

from netdsl.syntax.spacing import Spacing
from netdsl.syntax.tokens import OPENING, TEMPLATES, Token

LIMIT = 110
"""The columns of a line, wherever it can be broken."""
INDENT = 4

_CLOSING = ("RPAR", "RSQB")


class Words:
    """The tokens of a logical line, the comments between them, and the one line on which they would all stand."""

    def __init__(self, tokens: list[Token], text: str, spacing: Spacing) -> None:
        """Read from the text what stands between the tokens. A comma before a closing bracket is left out."""
        self.tokens: list[Token] = []
        self.before: dict[int, list[str]] = {}
        """The comments on lines of their own above a token, by its index."""
        self.after: dict[int, str] = {}
        """The comment behind a token."""
        self.broken: set[int] = set()
        """The tokens that begin a line in the text."""
        self.padded = False
        """Whether there is more than one space somewhere in the text."""
        self._read(tokens, text)
        self._lay(spacing)

    def _read(self, tokens: list[Token], text: str) -> None:
        above: list[str] = []
        end = tokens[0].start
        for at, token in enumerate(tokens):
            index = len(self.tokens)
            gap = text[end : token.start]
            if len(gap) > 1 and "\n" not in gap:
                self.padded = True
            elif "\n" in gap:
                behind, own = split(gap)
                self.broken.add(index)
                if behind and (above or index - 1 in self.after):
                    above.append(behind)
                elif behind:
                    self.after[index - 1] = behind
                above += own
            end = token.end
            if token.type == "COMMA":
                if tokens[at + 1].type in _CLOSING:
                    continue
                if index - 1 in self.after:  # it stays behind the element
                    self.after[index] = self.after.pop(index - 1)
            if above:
                self.before[index] = above
                above = []
            self.tokens.append(token)
        self._commented = sorted([*(2 * i for i in self.before), *(2 * i + 1 for i in self.after)])

    def _lay(self, spacing: Spacing) -> None:
        self.starts: list[int] = []
        """Where each token begins on the one line."""
        self.ends: list[int] = []
        self.closing: dict[int, int] = {}
        """The closing bracket of each opening one."""
        parts: list[str] = []
        opened: list[int] = []
        width = 0
        before: Token | None = None
        for index, token in enumerate(self.tokens):
            kind = token.type
            if before is not None and spacing.spaced(before, token):
                parts.append(" ")
                width += 1
            shown = spacing.text(token) if kind in TEMPLATES else token.text
            parts.append(shown)
            self.starts.append(width)
            width += len(shown)
            self.ends.append(width)
            if kind in OPENING:
                opened.append(index)
            elif kind in _CLOSING:
                self.closing[opened.pop()] = index
            before = token
        self.flat = "".join(parts)

    def commented(self, first: int, last: int) -> bool:
        """Tell whether there are comments between the first of some tokens and the last."""
        found = bisect_left(self._commented, 2 * first + 1)
        return found < len(self._commented) and self._commented[found] <= 2 * last

    def outer(self, first: int, last: int) -> Iterator[int]:
        """Yield some tokens without those in brackets of theirs."""
        at = first
        while at <= last:
            yield at
            at = self.closing.get(at, at) + 1

    def elements(self, opening: int, branches: bool) -> Iterator[tuple[int, int]]:
        """Yield the first and last token of each line that brackets hold when they are broken."""
        tokens, first, last = self.tokens, opening + 1, self.closing[opening] - 1
        within = list(self.outer(first, last))
        kinds = {tokens[at].type for at in within}
        before = "VBAR" if branches else "FOR" if "FOR" in kinds else ""
        for at in within:
            if before and tokens[at].type == before:
                yield first, at - 1
                first = at
            elif not branches and not before and tokens[at].type == "COMMA":
                yield first, at
                first = at + 1
        if first <= last:
            yield first, last


def split(gap: str) -> tuple[str, list[str]]:
    """Return the comment behind a token, "" for none, and those on lines of their own before the next."""
    behind, *lines = gap.split("\n")
    own = [line.strip(" \t\r") for line in lines]
    return behind.strip(" \t\r"), [comment for comment in own if comment]


class Layout:
    """The lines that a logical line becomes."""

    def __init__(self, words: Words, spacing: Spacing, indent: int) -> None:
        """Lay the words out, from a column on."""
        self.lines: list[str] = []
        self._words = words
        self._spacing = spacing
        self._indent = indent
        self._line = ""
        self._comment = ""
        self._chain(0, len(words.tokens) - 1, whole=True)
        self.lines.append(" " * self._indent + self._line)

    def _fits(self, first: int, last: int) -> bool:
        """Tell whether some tokens can follow on the line."""
        words = self._words
        start = words.ends[first - 1] if self._line else words.starts[first]
        return self._indent + len(self._line) + words.ends[last] - start <= LIMIT

    def _break(self, indent: int) -> None:
        behind = f"  {self._comment}" if self._comment else ""
        self.lines.append(" " * self._indent + self._line + behind)
        self._indent, self._line, self._comment = indent, "", ""

    def _add(self, first: int, last: int) -> None:
        """Add tokens to the line. Comments that would be within it go above it."""
        words = self._words
        above = words.before.get(first, [])
        if self._comment:
            above = [self._comment, *above]
        if above:
            begins = self._line[0] if self._line else words.tokens[first].text
            indent = self._indent + (INDENT if begins in (")", "]") else 0)
            self.lines += [" " * indent + comment for comment in above]
        if self._line and words.starts[first] > words.ends[first - 1]:
            self._line += " "
        self._line += words.flat[words.starts[first] : words.ends[last]]
        self._comment = words.after.get(last, "")

    def _chain(self, first: int, last: int, whole: bool) -> None:
        """Add steps, on further lines what does not fit; a whole logical line keeps its breaks."""
        words, indent = self._words, self._indent + INDENT
        arrows = [at for at in words.outer(first, last) if at > first and words.tokens[at].type == "ARROW"]
        starts = [first, *arrows]
        for start, following in zip(starts, [*arrows, last + 1], strict=True):
            if start > first and (
                (whole and start in words.broken)
                or self._comment
                or start in words.before
                or not self._fits(start, following - 1)
            ):
                self._break(indent)
            self._step(start, following - 1)

    def _step(self, first: int, last: int) -> None:
        """Add tokens that break nowhere but in brackets: in those that hold comments, and those that do not fit."""
        words = self._words
        if not words.commented(first, last) and self._fits(first, last):
            self._add(first, last)
            return
        at = first
        while at <= last:
            self._add(at, at)
            close = words.closing.get(at)
            if close is not None:
                self._brackets(at, close, last)
                at = close
            at += 1

    def _brackets(self, opening: int, close: int, last: int) -> None:
        """Add what brackets hold: one element a line if there are comments, or if it and what follows do not fit."""
        words = self._words
        following = close + 1
        while following < last and following not in words.closing:
            following += 1
        commented = words.commented(opening, close)
        if not commented and (close == opening + 1 or self._fits(opening + 1, min(following, last))):
            self._add(opening + 1, close)
            return
        indent = self._indent
        branches = words.tokens[opening].start in self._spacing.steps
        for first, end in words.elements(opening, branches):
            self._break(indent + INDENT)
            self._chain(first, end, whole=False)
        self._break(indent)
        self._add(close, close)

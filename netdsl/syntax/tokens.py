"""Text to tokens, and tokens to logical lines with the depth of their indentation."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator
from functools import cache
from typing import NamedTuple

from netdsl.syntax.tables import load

MAX_DEPTH = 64
"""How deep bodies, brackets and expressions may nest."""
MAX_ERRORS = 20
MAX_INT = 2**63 - 1
MAX_FLOAT = 2.0**128 - 2.0**104
"""The largest number that a float32 holds."""
OPENING = frozenset({"LPAR", "LSQB", "COUNT_LPAR"})
TEMPLATES = frozenset({"TEMPLATE", "COUNTED", "STRING"})
"""Tokens that may have expressions in braces; a string has them as a label only."""


class Fault(Exception):
    """One syntax error, at offsets."""

    def __init__(
        self, code: str, start: int, end: int, message: str, help: str = "", opener: int = -1
    ) -> None:
        """`opener` is the offset of the bracket that an error is about."""
        super().__init__(message)
        self.code, self.start, self.end, self.message, self.help = code, start, end, message, help
        self.opener = opener
        self.colon = False
        """Whether only a `:` is missing there."""


class Token:
    """A terminal of the grammar: its type, its text and its place."""

    __slots__ = ("end", "start", "text", "type")

    def __init__(self, type: str, text: str, start: int, end: int) -> None:
        """Take the offsets as they are: indentation has a place but no text."""
        self.type = type
        self.text = text
        self.start = start
        self.end = end


class LogicalLine(NamedTuple):
    """The tokens of one logical line and the depth of its indentation."""

    level: int
    tokens: list[Token]


class Gap(Token):
    """What stands for lines that cannot be read."""

    __slots__ = ("lines",)

    def __init__(self, lines: list[LogicalLine]) -> None:
        """Take the lines, in their order."""
        last = lines[-1].tokens[-1]
        end = last.start if last.type == "_NL" else last.end
        super().__init__("BROKEN", "", lines[0].tokens[0].start, end)
        self.lines = lines


@cache
def _scanner() -> tuple[re.Pattern[str], dict[str, str], frozenset[str]]:
    tables = load()
    pattern = "|".join(f"(?P<{name}>{regex})" for name, regex in tables["terminals"])
    return re.compile(pattern), tables["keywords"], frozenset(tables["ignored"])


def keywords() -> frozenset[str]:
    """Return the words that mean something by themselves."""
    return frozenset(_scanner()[1])


def lex(text: str, faults: list[Fault], start: int = 0, stop: int | None = None) -> Iterator[Token]:
    """Yield the tokens. What begins none is a fault, and is skipped."""
    pattern, keywords, ignored = _scanner()
    match = pattern.match
    at, stop = start, len(text) if stop is None else stop
    while at < stop:
        found = match(text, at, stop)
        if found is None:
            faults.append(_bad_character(text, at, stop))
            if len(faults) >= MAX_ERRORS:
                return
            at = max(at + 1, faults[-1].end)
            continue
        kind = found.lastgroup or ""
        end = found.end()
        if kind not in ignored:
            word = found.group()
            yield Token(keywords.get(word, kind) if kind == "NAME" else kind, word, at, end)
        at = end


_MEANT = {
    "{": "bodies are indented lines after a `:`; braces belong in a name, as in block{i}",
    "}": "bodies are indented lines after a `:`; braces belong in a name, as in block{i}",
    ";": "one statement a line",
    "→": "arrows are written ->",
    "–": "arrows are written ->",  # noqa: RUF001 - what word processors make of them
    "—": "arrows are written ->",
    "×": "sizes are written 3x3, repetitions 3 * conv 64",  # noqa: RUF001
    "!": "write `not`, or `!=` to compare",
    "&": "write `and`",
    "'": 'strings are written "..."',
    "‘": 'strings are written "..."',  # noqa: RUF001
    "“": 'strings are written "..."',
    "^": "powers are written 2**3",
    ".": "a number starts with a digit: 0.5",
    "\ufeff": "a byte order mark stands at the beginning of a file: take it out",
}


_NUMBERS = (
    (re.compile(r"([0-9]+)[xX*]([0-9]+)"), r"dimensions are written \1x\2"),
    (re.compile(r"([0-9]+)x([A-Za-z_]\w*)"), r"dimensions that are computed: dims(\1, \2)"),
    (re.compile(r"([0-9]+)[xX]"), r"a repetition stands in front: \1 *"),
    (re.compile(r"([0-9.]+)k"), r"a thousand: \1K"),
    (re.compile(r"([0-9.]+)m"), r"a million: \1M"),
    (re.compile(r"([0-9.]+)(?:g|b|B)"), r"a thousand million: \1G"),
)
"""What begins with a digit and is neither a number nor a name, and what it may be."""


def _bad_character(text: str, at: int, stop: int) -> Fault:
    char = text[at]
    if char == '"':
        line_end = text.find("\n", at, stop)
        line_end = stop if line_end < 0 else line_end
        help = 'end it with `"`'
        if text[max(at - 2, 0) : at] == '""':
            help = f"a comment begins with #: # {text[at + 1 : line_end].strip()}"
        return Fault("E102", at, line_end, 'a string has no closing `"` on its line', help)
    word = re.compile(r"[0-9][A-Za-z0-9_.]*").match(text, at, stop)
    if word:
        shown = word[0] if len(word[0]) < 50 else word[0][:50] + "..."
        help = next((m.expand(how) for looks, how in _NUMBERS if (m := looks.fullmatch(word[0]))), "")
        help = help or "a name starts with a letter"
        return Fault("E101", at, word.end(), f"`{shown}` is neither a number nor a name", help)
    single = re.compile(r"'[^'\"\n]*'").match(text, at, stop)
    if single:
        what = f"`{single[0]}`: strings have double quotes"
        return Fault("E101", at, single.end(), what, f'"{single[0][1:-1]}"')
    shown = char if char.isprintable() else f"U+{ord(char):04X}"
    return Fault("E101", at, at + 1, f"`{shown}` has no meaning here", _MEANT.get(char, ""))


_DECLARES = re.compile(r"(?<=\n)(?:inline block|block|net|table|variant|def|import) [A-Za-z_]")
"""What begins a declaration, and stands in no bracket."""


def logical_lines(text: str, faults: list[Fault]) -> list[LogicalLine]:
    """Return the logical lines; newlines count only outside brackets; none if brackets nest too deep.

    Where a bracket is never closed, each that is open ends where the next declaration begins. The one that is not
    closed before ends with its line, if the next one is not indented more than the line that it began in.
    """
    known = len(faults)
    never: set[int] = set()
    lines, unclosed = _lines(text, faults, None)
    while not unclosed <= never and len(never) < MAX_ERRORS:
        del faults[known:]
        never |= unclosed
        lines, unclosed = _lines(text, faults, never)
    return lines


def _lines(
    text: str, faults: list[Fault], never: Container[int] | None
) -> tuple[list[LogicalLine], set[int]]:
    """Return the logical lines, and the offsets of the outermost brackets that are never closed.

    `never` are those that are known to be so; None if all are taken to be closed.
    """
    unclosed: set[int] = set()
    lines: list[LogicalLine] = []
    indents = [0]
    brackets: list[Token] = []
    current: list[Token] = []
    level = 0
    start = len(text) - len(text.lstrip(" \t"))
    begin = (0, start)
    for token in lex(text, faults):
        if token.type == "_NL":
            if brackets:
                if never is None or not (
                    _DECLARES.match(text, token.end)
                    or (brackets[0].start in never and _ends(text, token, text[begin[0] : begin[1]]))
                ):
                    continue
                faults.append(_unclosed(brackets[-1]))
                unclosed.add(brackets[0].start)
                brackets = []
            if current:
                _count(current)
                current.append(token)
                lines.append(LogicalLine(level, current))
                current = []
            begin = (token.start + token.text.rfind("\n") + 1, token.end)
            continue
        if not current:
            level = _level(text[begin[0] : begin[1]], begin[0], indents, faults)
        if token.type in ("LPAR", "LSQB"):
            brackets.append(token)
            if len(brackets) > MAX_DEPTH:
                what = f"brackets nest deeper than {MAX_DEPTH}"
                faults.append(Fault("E110", token.start, token.end, what))
                return [], set()
        elif token.type in ("RPAR", "RSQB") and brackets:
            brackets.pop()  # a wrong pair is the parser's to report
        current.append(token)
    if brackets:
        faults.append(_unclosed(brackets[-1]))
        unclosed.add(brackets[0].start)
    if current:
        _count(current)
        lines.append(LogicalLine(level, current))
    return lines, unclosed


def _ends(text: str, newline: Token, indentation: str) -> bool:
    """Tell whether a statement ends at a newline by what follows: no closing bracket, and not indented more."""
    further = newline.text[newline.text.rfind("\n") + 1 :]
    less = len(further.expandtabs(4)) <= len(indentation.expandtabs(4))
    return less and text[newline.end : newline.end + 1] not in (")", "]")


def _unclosed(opener: Token) -> Fault:
    what = f"`{opener.text}` is never closed"
    return Fault("E103", opener.start, opener.end, what, "close it, or take it out")


_COUNTS = frozenset(
    "LPAR NAME BLOCK NET TABLE STAGE OUTPUT DEFAULT INIT META ORDER DECIDE FIRST INLINE VARIANT SAME".split()
)
"""Where what counts a repetition may begin: words that may be numbers."""
_TAKES_VALUES = frozenset("REQUIRE INPUT WEIGHT".split())
"""Words that a value may follow: they count where nothing is between them and their index or attribute."""
_BEFORE_STEP = frozenset({"ARROW", "COLON", "VBAR", "STAR"}) | OPENING
_IN_GROUP = frozenset({"ARROW", "COMMA", "VBAR", "COLON", "AS"})


def _count(tokens: list[Token]) -> None:
    """Tell what is multiplied where a step may begin from ops and groups: `n[i] * conv`, `(n - 1) * conv`.

    A parser that looks one token ahead takes `n` for an op, as in `weight [8, 1, 1]`, and `(` for a group's.
    """
    for at, token in enumerate(tokens):
        if token.type not in _COUNTS | _TAKES_VALUES or (at and tokens[at - 1].type not in _BEFORE_STEP):
            continue
        end = at + 1
        if token.type == "LPAR":
            end = _closing(tokens, at) + 1
            if any(one.type in _IN_GROUP for one in _outer(tokens[at + 1 : end - 1])):
                continue
        if token.type in _TAKES_VALUES and (end == len(tokens) or tokens[end].start > token.end):
            continue
        while end < len(tokens) and tokens[end].type in ("DOT", "LSQB"):
            end = end + 2 if tokens[end].type == "DOT" else _closing(tokens, end) + 1
        if at + 1 < end < len(tokens) and tokens[end].type == "STAR":
            token.type = "COUNT_LPAR" if token.type == "LPAR" else "COUNT"


def _outer(tokens: list[Token]) -> Iterator[Token]:
    """Yield tokens without those in brackets of theirs."""
    depth = 0
    for token in tokens:
        depth -= token.type in ("RPAR", "RSQB")
        if depth == 0:
            yield token
        depth += token.type in OPENING


def _closing(tokens: list[Token], opening: int) -> int:
    """Return where the bracket is closed that some token opens, or the end."""
    depth = 0
    for at in range(opening, len(tokens)):
        kind = tokens[at].type
        depth += (kind in OPENING) - (kind in ("RPAR", "RSQB"))
        if depth == 0:
            return at
    return len(tokens)


def _level(text: str, start: int, indents: list[int], faults: list[Fault]) -> int:
    """Return the depth of a line from its indentation, keeping the stack of open depths."""
    if "\t" in text:
        help = "use spaces, four a level"
        faults.append(Fault("E104", start, start + len(text), "indentation contains a tab", help))
    width = len(text.expandtabs(4))
    deepest = indents[-1]
    while indents[-1] > width:
        indents.pop()
    if indents[-1] < width < deepest:
        help = f"indent it by {indents[-1]} or by {deepest} spaces"
        what = "the indentation matches no line above"
        faults.append(Fault("E115", start, start + len(text), what, help))
    if indents[-1] < width:
        if len(indents) > MAX_DEPTH:
            faults.append(Fault("E110", start, start + len(text), f"bodies nest deeper than {MAX_DEPTH}"))
        else:
            indents.append(width)
    return len(indents) - 1

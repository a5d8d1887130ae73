"""Text to tree: tokens and indentation through the automaton, line after line, going on after an error."""

from __future__ import annotations

from bisect import bisect
from functools import cache, lru_cache
from itertools import pairwise

from netdsl.collector import no_collection
from netdsl.diagnostics import Diagnostic, Label, NetError
from netdsl.source import Source, Span
from netdsl.syntax import tree
from netdsl.syntax.automaton import Automaton, Grammar, Unexpected
from netdsl.syntax.builder import Builder
from netdsl.syntax.explain import Place, called, explain
from netdsl.syntax.tokens import MAX_ERRORS, Fault, Gap, LogicalLine, Token, logical_lines

_LARGE = 200_000
"""Recovery parses anew for each error, so a file of more tokens stops at the first."""
_CHARACTER, _STRING, _UNCLOSED, _BODY, _NESTING, _RESERVED = "E101", "E102", "E103", "E108", "E110", "E114"
_TAB = "E104"
_DECLARES = frozenset("AT BLOCK DEF DEFAULT IMPORT INIT INLINE NET TABLE VARIANT".split())


class Unreadable(NetError):
    """The syntax errors of a source, with the tree of all that has none."""

    def __init__(self, diagnostics: list[Diagnostic], rest: tree.File | None) -> None:
        """`rest` has `Broken` where lines cannot be read; it is None if nobody knows what the others say."""
        super().__init__(diagnostics)
        self.rest = rest


@cache
def _grammar() -> Grammar:
    return Builder().grammar


@lru_cache(4)
def parse(source: Source) -> tree.File:
    """Return the tree of a source, or raise Unreadable with every syntax error that could be told apart.

    The linter asks for the tree of what has just been loaded.
    """
    return parse_lines(source)[0]


def parse_lines(source: Source) -> tuple[tree.File, list[LogicalLine]]:
    """Return the tree of a source and the logical lines that it was made of; Unreadable as for `parse`."""
    with no_collection():
        return _parse(source)


def _parse(source: Source) -> tuple[tree.File, list[LogicalLine]]:
    faults: list[Fault] = []
    written = logical_lines(source.text, faults)
    lines = _readable(written, source.text, faults)
    large = sum(len(line.tokens) for line in lines) > _LARGE
    file = None
    while file is None and (lines or not faults):
        try:
            file = _feed(lines)
        except Fault as fault:
            at = _line_of(fault, lines)
            if isinstance(lines[at].tokens[0], Gap) and fault.start <= lines[at].tokens[0].end:
                lines = _elsewhere(lines, at)
                continue
            faults.append(fault if fault.message else called(source.text, fault))
            lines = _with(fault, lines) or _without(lines, at, fault.code == _BODY)
            if large or len(faults) >= MAX_ERRORS or fault.code == _NESTING:
                break
    if file is not None and not faults:
        return file, lines
    diagnostics = _diagnostics(source, faults)
    if file is None or any(fault.code == _NESTING for fault in faults):
        raise Unreadable(diagnostics, None)
    raise Unreadable(diagnostics, _readable_part(file, written, faults))


def _line_of(fault: Fault, lines: list[LogicalLine]) -> int:
    """Return which line a fault is in."""
    return max((i for i, line in enumerate(lines) if line.tokens[0].start <= fault.start), default=0)


def _readable_part(file: tree.File, lines: list[LogicalLine], faults: list[Fault]) -> tree.File:
    """Return a tree in which declarations are broken, too, that have a fault which no `Broken` is about.

    What begins no declaration belongs to the one above it. A fault between two may be of either. A tab is read as the
    four spaces that it looks like, so that nothing is unknown by it.
    """
    gaps = [piece for piece in tree.pieces(file) if isinstance(piece, tree.Broken)]
    said = [
        one
        for one in faults
        if one.colon or one.code == _TAB or any(gap.start <= one.start <= gap.end for gap in gaps)
    ]
    if len(said) == len(faults):
        return file
    starts = [0]
    for before, line in zip([None, *lines], lines, strict=False):
        first = line.tokens[0]
        annotated = before is not None and before.tokens[0].type == "AT"
        if line.level == 0 and first.type in _DECLARES and not annotated:
            starts.append(first.start)
    broken = {bisect(starts, fault.start) for fault in faults if fault not in said}
    kept: dict[int, tree.Statement] = {
        i.start: i for i in file.items if bisect(starts, i.start) not in broken
    }
    for number in broken:
        inside = [line for line in lines if bisect(starts, line.tokens[0].start) == number]
        if inside:
            gap = Gap(inside)
            kept[gap.start] = Builder.broken(gap.start, gap.end, [gap])
    return file.replace(items=tuple([kept[start] for start in sorted(kept)]))


def _diagnostics(source: Source, faults: list[Fault]) -> list[Diagnostic]:
    # what is nested too deep is not looked into, so that anything else may follow from it
    faults = [f for f in faults if f.code == _NESTING][:1] or faults
    # the first of a line: the others may follow from it
    first = {source.text.count("\n", 0, f.start): f for f in sorted(faults, key=lambda f: -f.start)}
    diagnostics = []
    words: set[str] = set()
    for _, fault in sorted(first.items()):
        if fault.code == _RESERVED:  # once a word: whoever calls something so does it wherever it is used
            word = source.text[fault.start : fault.end]
            if word in words:
                continue
            words.add(word)
        labels: tuple[Label, ...] = ()
        if fault.opener >= 0:
            labels = (Label(Span(source, fault.opener, fault.opener + 1), "opened here"),)
        span = Span(source, fault.start, fault.end)
        diagnostics.append(Diagnostic(fault.code, fault.message, span, help=fault.help, labels=labels))
    return diagnostics


def _feed(lines: list[LogicalLine]) -> tree.File:
    """Run the automaton over the lines, with indentation as tokens."""
    automaton = Automaton(_grammar(), "start")
    level = end = at = 0
    try:
        for at, line in enumerate(lines):  # noqa: B007 - the error's line
            level = _indent(automaton, level, line.level, line.tokens[0].start)
            for token in line.tokens:
                automaton.feed(token)
            end = token.end
            if token.type != "_NL":
                automaton.feed(Token("_NL", "", end, end))
        at = len(lines)
        _indent(automaton, level, 0, end)
        file: tree.File = automaton.finish(end)
        return file
    except Unexpected as error:
        tokens = lines[at].tokens if at < len(lines) else []
        index = tokens.index(error.token) if error.token in tokens else len(tokens)
        if error.token.type in ("_INDENT", "_DEDENT", "$END"):
            index = -1
        header = lines[at - 1].tokens if at else []
        raise explain(Place(error.token, tokens, index, header, automaton.accepts())) from None


def _indent(automaton: Automaton, level: int, to: int, at: int) -> int:
    """Go to another depth of indentation."""
    for _ in range(level, to):
        automaton.feed(Token("_INDENT", "", at, at))
    for _ in range(to, level):
        automaton.feed(Token("_DEDENT", "", at, at))
    return to


def _readable(lines: list[LogicalLine], text: str, faults: list[Fault]) -> list[LogicalLine]:
    """Return the lines without those that hold what has no meaning, or no end: they would only fail again."""
    for fault in faults:
        if fault.code in (_CHARACTER, _STRING, _UNCLOSED):
            begin, end = text.rfind("\n", 0, fault.start) + 1, text.find("\n", fault.start)
            end = len(text) if end < 0 else end
            at = [i for i, line in enumerate(lines) if _touches(line, begin, end)]
            lines = _without(lines, at[-1]) if at else lines
    return lines


def _touches(line: LogicalLine, begin: int, end: int) -> bool:
    return line.tokens[0].start < end and line.tokens[-1].end > begin and line.tokens[-1].start >= begin


def _with(fault: Fault, lines: list[LogicalLine]) -> list[LogicalLine]:
    """Return the lines with the `:` that one of them lacks, the body being there; none if nothing is so mended."""
    for at, (line, below) in enumerate(pairwise(lines)):
        if fault.colon and line.tokens[-1].start == fault.start and line.level < below.level:
            colon = Token("COLON", "", fault.start, fault.start)
            mended = LogicalLine(line.level, [*line.tokens[:-1], colon, line.tokens[-1]])
            return [*lines[:at], mended, *lines[at + 1 :]]
    fault.colon = False
    return []


def _without(lines: list[LogicalLine], at: int, declares: bool = False) -> list[LogicalLine]:
    """Return the lines with a gap in the place of one of them and its body.

    What `elif` and `else` follow an `if` go with it. The body of what `declares` at the top goes on to the next
    declaration, if nothing is indented.
    """
    first = lines[at]
    flat = declares and first.level == 0
    more = {"ELIF", "ELSE"} if first.tokens[0].type == "IF" else set()
    end = at + 1
    while end < len(lines) and (
        lines[end].level > first.level
        or (flat and lines[end].tokens[0].type not in _DECLARES)
        or (lines[end].level == first.level and lines[end].tokens[0].type in more)
    ):
        end += 1
    return [*lines[:at], _gap(first.level, lines[at:end]), *lines[end:]]


def _gap(level: int, lines: list[LogicalLine]) -> LogicalLine:
    """Return what stands for lines, of which some may be gaps."""
    flat: list[LogicalLine] = []
    for line in lines:
        first = line.tokens[0]
        flat += first.lines if isinstance(first, Gap) else [line]
    return LogicalLine(level, [Gap(flat)])


def _elsewhere(lines: list[LogicalLine], at: int) -> list[LogicalLine]:
    """Return the lines with a gap that cannot stand where it does further out, or joined to the line above it."""
    line = lines[at]
    if not at:
        return lines[1:]
    above = lines[at - 1]
    if above.level < line.level:
        end = next((i for i in range(at, len(lines)) if lines[i].level < line.level), len(lines))
        return [*lines[:at], _gap(above.level, lines[at:end]), *lines[end:]]
    return [*lines[: at - 1], _gap(above.level, [above, line]), *lines[at + 1 :]]

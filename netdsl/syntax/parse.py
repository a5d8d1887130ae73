"""Text to tree: tokens and indentation through the automaton, line after line, going on after an error."""

from __future__ import annotations

from functools import cache, lru_cache

from netdsl.collector import no_collection
from netdsl.diagnostics import Diagnostic, Label, NetError
from netdsl.source import Source, Span
from netdsl.syntax import tree
from netdsl.syntax.automaton import Automaton, Grammar, Unexpected
from netdsl.syntax.builder import Builder
from netdsl.syntax.explain import Place, called, explain
from netdsl.syntax.tokens import MAX_ERRORS, Fault, LogicalLine, Token, logical_lines

_LARGE = 200_000
"""Recovery parses anew for each error, so a file of more tokens stops at the first."""
_CHARACTER, _STRING, _NESTING, _RESERVED = "E101", "E102", "E110", "E114"


@cache
def _grammar() -> Grammar:
    return Builder().grammar


@lru_cache(4)
def parse(source: Source) -> tree.File:
    """Return the tree of a source, or raise NetError with every syntax error that could be told apart.

    The linter asks for the tree of what has just been loaded.
    """
    return parse_lines(source)[0]


def parse_lines(source: Source) -> tuple[tree.File, list[LogicalLine]]:
    """Return the tree of a source and the logical lines that it was made of; NetError as for `parse`."""
    with no_collection():
        return _parse(source)


def _parse(source: Source) -> tuple[tree.File, list[LogicalLine]]:
    faults: list[Fault] = []
    lines = _readable(logical_lines(source.text, faults), source.text, faults)
    large = sum(len(line.tokens) for line in lines) > _LARGE
    while lines or not faults:
        try:
            file = _feed(lines)
        except Fault as fault:
            faults.append(fault if fault.message else called(source.text, fault))
            lines = _without(lines, fault.start)
            if large or len(faults) >= MAX_ERRORS or fault.code == _NESTING:
                break
        else:
            if not faults:
                return file, lines
            break
    raise _error(source, faults)


def _error(source: Source, faults: list[Fault]) -> NetError:
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
    return NetError(diagnostics)


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
    """Return the lines without those that hold a character of no meaning: they would only fail again."""
    for fault in faults:
        if fault.code in (_CHARACTER, _STRING):
            begin, end = text.rfind("\n", 0, fault.start) + 1, text.find("\n", fault.start)
            end = len(text) if end < 0 else end
            at = [line.tokens[0].start for line in lines if _touches(line, begin, end)]
            lines = _without(lines, at[-1]) if at else lines
    return lines


def _touches(line: LogicalLine, begin: int, end: int) -> bool:
    return line.tokens[0].start < end and line.tokens[-1].end > begin and line.tokens[-1].start >= begin


def _without(lines: list[LogicalLine], at: int) -> list[LogicalLine]:
    """Return the lines without the one at an offset, its body, and a header that is left with none."""
    index = max((i for i, line in enumerate(lines) if line.tokens[0].start <= at), default=0)
    end = index + 1
    while end < len(lines) and lines[end].level > lines[index].level:
        end += 1
    while (
        index
        and lines[index - 1].level < lines[index].level
        and (end == len(lines) or lines[end].level <= lines[index - 1].level)
    ):
        index -= 1
    return lines[:index] + lines[end:]

"""What can be done at a place: mending what is wrong where that is a replacement, and what the linter found."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from netdsl.diagnostics import Diagnostic
from netdsl.ide.findings import Change, Found
from netdsl.ide.hints import code_end
from netdsl.ide.outline import reach
from netdsl.source import Source
from netdsl.syntax import tree

MOST = 6
"""How many texts are tried for one error."""
_MEANT = re.compile(r"did you mean `([^`\n]+)`\?")
_TICKED = re.compile(r"`([^`\n]+)`")
_ALLOWS = (
    tree.Block,
    tree.Net,
    tree.Variant,
    tree.Line,
    tree.Container,
    tree.Merge,
    tree.Stage,
    tree.Output,
)
"""What an `@allow` may stand above."""

Check = Callable[[Source], Sequence[Diagnostic]]
"""What is wrong with a text."""


class Action(NamedTuple):
    """Edits of the text that was looked at, and what to call them."""

    title: str
    changes: tuple[Change, ...]
    about: str
    """The code of what it mends."""
    preferred: bool = False
    """Whether it is most likely what is wanted."""
    moved: str = ""
    """What it breaks, "" for nothing."""


def apply(text: str, changes: Sequence[Change]) -> str:
    """Return the text with changes that do not overlap."""
    for start, end, new in sorted(changes, reverse=True):
        text = text[:start] + new + text[end:]
    return text


# ---------------------------------------------------------------- errors


def mend(source: Source, diagnostic: Diagnostic, before: Sequence[Diagnostic], check: Check) -> list[Action]:
    """Return what mends an error of a text by what its help says: what was tried, and leaves an error less."""
    span = diagnostic.span
    if span is None or span.source is not source or not diagnostic.help:
        return []
    text = source.text
    known = {_what(one) for one in before}
    actions: list[Action] = []
    for change in list(dict.fromkeys(_candidates(text, diagnostic)))[:MOST]:
        if text[change.start : change.end] == change.text:
            continue
        after = check(Source(source.name, apply(text, [change]), source.path))
        left = [one for one in after if one.code == diagnostic.code and one.message == diagnostic.message]
        was = [one for one in before if one.code == diagnostic.code and one.message == diagnostic.message]
        new = [one for one in after if _what(one) not in known]
        if len(left) < len(was) and not new:
            actions.append(Action(_title(text, change), (change,), diagnostic.code, not actions))
    return actions[:2]


def _what(diagnostic: Diagnostic) -> tuple[str, str]:
    return diagnostic.code, diagnostic.message


def _title(text: str, change: Change) -> str:
    old, new = text[change.start : change.end], change.text
    if not new.strip():
        return f"take out `{old.strip()}`"
    return f"replace `{old}` by `{new}`" if old else f"insert `{new.strip()}`"


def _candidates(text: str, diagnostic: Diagnostic) -> Iterator[Change]:
    """Yield what a help may mean: another word, or another text for what is marked, or for its line."""
    span = diagnostic.span
    assert span is not None
    help = diagnostic.help
    marked = text[span.start : span.end]
    meant = _MEANT.search(help)
    if meant:
        for word in (*_TICKED.findall(diagnostic.message), marked):
            at = re.search(rf"(?<![\w.]){re.escape(word)}(?!\w)", marked)
            if at:
                yield Change(span.start + at.start(), span.start + at.end(), meant[1])
        return
    if help == 'end it with `"`':
        yield Change(span.end, span.end, '"')
        return
    if diagnostic.code == "E103":  # a bracket that is never closed
        code = text[span.start : code_end(text, span.start)]
        close = span.start + len(code.removesuffix(":").rstrip())
        yield Change(close, close, ")" if marked == "(" else "]")
    begin = text.rfind("\n", 0, span.start) + 1
    line = text[begin : code_end(text, span.start)]
    indent = len(line) - len(line.lstrip(" "))
    for said in _said(help):
        if marked.strip():
            yield Change(span.start, span.end, said)
        yield Change(begin + indent, begin + len(line), said)
    for word in _TICKED.findall(help):
        yield Change(span.start, span.end, word)


def _said(help: str) -> Iterator[str]:
    """Yield the texts that a help may have in it: all of it, what follows a colon, each of several."""
    for part in (help, *help.split("; "), *help.split(", or ")):
        _, colon, behind = part.partition(": ")
        yield behind.strip("`") if colon else part.strip("`")
        yield part.partition(" are written ")[2] or part
    yield help


# ---------------------------------------------------------------- the linter


def of_finding(source: Source, file: tree.File, found: Found) -> list[Action]:
    """Return what can be done about a finding: its fix, and to say that it is meant."""
    actions = []
    if found.fix:
        moved = f"checkpoints no longer load, such as {found.moved[0]}" if found.moved else ""
        unsafe = "" if found.safe else f" ({moved or 'another function'})"
        actions.append(Action(f"{found.rule}: mend it{unsafe}", found.fix, found.code, found.safe, moved))
    change = allow(source, file, found)
    if change is not None:
        actions.append(Action(f"{found.rule}: allow it here", (change,), found.code))
    return actions


def allow(source: Source, file: tree.File, found: Found) -> Change | None:
    """Return the line that silences a finding, above the innermost statement that can have one; None for none."""
    text = source.text
    best: tree.Tree | None = None
    for node in tree.pieces(file):
        if isinstance(node, _ALLOWS) and node.start <= found.start and found.end <= reach(node):
            line = text.rfind("\n", 0, node.start) + 1
            before = text[line : node.start]
            if not before.strip() or before.strip() == "inline":
                best = node if best is None or node.start >= best.start else best
    if best is None:
        return None
    line = text.rfind("\n", 0, best.start) + 1
    head = text[line : best.start]
    indent = head[: len(head) - len(head.lstrip())]
    newline = "\r\n" if "\r\n" in text else "\n"
    return Change(line, line, f'{indent}@allow({found.rule}, "why"){newline}')

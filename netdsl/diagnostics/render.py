"""Diagnostics as people and programs read them: text with carets, and JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from unicodedata import category, east_asian_width

from netdsl.diagnostics.model import Diagnostic, Label, Severity
from netdsl.source import Source, Span

_ROOM = 100
"""Columns for the text of a line; what is longer is cut around the span."""
_WIDTH = 120
"""A note that would end beyond this column goes below its carets."""
_CALLS = 5
"""How many of the innermost calls of a long stack are shown, and as many of the outermost ones."""

_COLORS: dict[Severity, str] = {"error": "1;31", "warning": "1;33", "info": "1;36"}
_FRAME = "1;34"
_BOLD = "1"


def printable(text: str) -> str:
    r"""Return the text with what a terminal would obey or hide written out, as in `\x1b` and `\u202e`."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def render_text(diagnostic: Diagnostic, color: bool = False, width: int = 0) -> str:
    """Return the diagnostic with its places, its call stack and its help, without a newline at the end.

    Lines take at most `width` columns, but for words and code between backquotes that are longer; 0: sentences are
    lines.
    """

    def paint(text: str, style: str) -> str:
        return f"\x1b[{style}m{text}\x1b[0m" if color else text

    style = _COLORS[diagnostic.severity]
    main = None if diagnostic.span is None else Label(diagnostic.span, diagnostic.note)
    places = [*([main] if main else []), *_sorted(diagnostic)]
    margin = max((len(str(place.span.line)) for place in places), default=1)
    columns = min(_ROOM, max(20, width - margin - 9)) if width else _ROOM
    bar = f"{'':{margin}} {paint('|', _FRAME)}"

    code = f"[{diagnostic.code}]" if diagnostic.code else ""
    head = diagnostic.severity + code
    first, *more = _wrapped(f"{head}: {printable(diagnostic.message)}", width, "  ")
    lines = [paint(head, style) + paint(first[len(head) :], _BOLD), *(paint(line, _BOLD) for line in more)]
    for place in places:
        arrow = paint("-->" if place is main else ":::", _FRAME)
        lines.append(f"{'':{margin}}{arrow} {printable(str(place.span))}")
        if place is main:
            lines.append(bar)
        text, before, carets = _excerpt(place.span, columns)
        number = paint(f"{place.span.line:>{margin}} |", _FRAME)
        lines.append(f"{number} {text}" if text else number)
        room = (width or _WIDTH) - margin - 3
        lines += [
            f"{bar} {'':{column}}{paint(mark, style if place is main else _FRAME)}"
            for column, mark in _marks(before, carets, printable(place.message), room)
        ]
    for word, fact in _facts(diagnostic, columns):
        said = f"{word}: {fact}" if word else fact
        first, *more = _wrapped(said, width and max(20, width - margin - 3), "  ")
        first = paint(word, _BOLD) + first[len(word) :]
        lines.append(f"{'':{margin}} {paint('=', _FRAME)} {first}")
        lines += [f"{'':{margin}}   {line}" for line in more]
    return "\n".join(lines)


def _wrapped(text: str, width: int, indent: str) -> list[str]:
    """Return a text as lines of so many columns, if there is a limit; code between backquotes stays in one piece."""
    if not width or len(text) <= width:
        return [text]
    import re  # most texts are short
    from textwrap import wrap

    whole = re.sub("`[^`]*`", lambda code: code[0].replace(" ", "\xa0"), text)
    lines = wrap(whole, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
    return [line.replace("\xa0", " ") for line in lines]


def render_json(diagnostics: Iterable[Diagnostic]) -> dict[str, object]:
    """Return the diagnostics as an object for `json.dumps`; text of a spec is in it as it stands."""
    return {"version": 1, "diagnostics": [_json(d) for d in diagnostics]}


def summary(diagnostics: Iterable[Diagnostic]) -> str:
    """Return how many there are of each severity, as in "2 errors, 1 warning"."""
    counts = Counter(d.severity for d in diagnostics)
    said = [f"{counts[s]} {s}{'s' if counts[s] > 1 and s != 'info' else ''}" for s in _COLORS if counts[s]]
    return ", ".join(said) or "no errors"


def _json(diagnostic: Diagnostic) -> dict[str, object]:
    return {
        "code": diagnostic.code,
        "severity": diagnostic.severity,
        "message": diagnostic.message,
        **_place(diagnostic.span),
        "note": diagnostic.note,
        "help": diagnostic.help,
        "details": list(diagnostic.details),
        "labels": [{"message": label.message, **_place(label.span)} for label in diagnostic.labels],
        "calls": [
            {
                "what": frame.what,
                **_place(frame.span),
                "text": frame.span.source.line(frame.span.line).strip(),
            }
            for frame in diagnostic.calls
        ],
    }


def _place(span: Span | None) -> dict[str, object]:
    """Return where a span is; its end is exclusive."""
    if span is None:
        return dict.fromkeys(("file", "line", "column", "end_line", "end_column"))
    end_line, end_column = span.source.position(span.end)
    return {
        "file": span.source.name,
        "line": span.line,
        "column": span.column,
        "end_line": end_line,
        "end_column": end_column,
    }


def _sorted(diagnostic: Diagnostic) -> list[Label]:
    """Return the labels by file, the diagnostic's own first, and by place in it."""
    files: list[Source] = [] if diagnostic.span is None else [diagnostic.span.source]
    files += [label.span.source for label in diagnostic.labels]
    return sorted(diagnostic.labels, key=lambda label: (files.index(label.span.source), label.span.start))


def _facts(diagnostic: Diagnostic, columns: int) -> Iterator[tuple[str, str]]:
    """Yield what stands below the places: the call stack, the details, the help; a word, if any, and what it says."""
    calls = diagnostic.calls
    left_out = range(_CALLS, len(calls) - _CALLS)
    for at, frame in enumerate(calls):
        if at not in left_out:
            text, _, _ = _excerpt(frame.span, columns, strip=True)
            yield "", f"in {printable(frame.what)}, from {printable(str(frame.span))}: {text}"
        elif at == left_out.start:
            yield "", f"in {len(left_out):,} more calls"
    yield from (("", printable(detail)) for detail in diagnostic.details)
    if diagnostic.help:
        yield "help", printable(diagnostic.help)


def _marks(before: int, carets: int, note: str, room: int) -> list[tuple[int, str]]:
    """Return what stands under a line, with its column: the carets, and the note beside or below them."""
    mark = "^" * carets
    if not note:
        return [(before, mark)]
    width = sum(map(_columns, note))
    if before + carets + 1 + width <= room:
        return [(before, f"{mark} {note}")]
    return [(before, mark), (max(0, min(before, room - width)), note)]


def _excerpt(span: Span, room: int, strip: bool = False) -> tuple[str, int, int]:
    """Return a span's first line, the columns before the span in it, and the columns of the span.

    The line is cut around the span if it has more than `room` columns, and then has `...` where something is missing.
    """
    line = span.source.line(span.line)
    start = min(span.column - 1, len(line))
    end = min(start + span.end - span.start, len(line.rstrip()))
    first = len(line) - len(line.lstrip()) if strip else 0
    last = len(line.rstrip())
    # a character takes a column at least, counting combining ones too, so that no line is too long to print
    low = high = max(start, first)
    while high < end and room > 0:
        room -= max(1, _columns(line[high]))
        high += 1
    while room > 0 and (low > first or high < last):
        if low > first:
            low -= 1
            room -= max(1, _columns(line[low]))
        if high < last:
            room -= max(1, _columns(line[high]))
            high += 1
    left = "..." if low > first else ""
    right = "..." if high < last else ""
    text = left + "".join(map(_shown, line[low:high])) + right
    before = len(left) + sum(map(_columns, line[low:start]))
    return text, before, max(1, sum(map(_columns, line[start : min(end, high)])))


def _shown(char: str) -> str:
    """Return a character as it is printed within a line of a spec."""
    return "    " if char == "\t" else printable(char)


def _columns(char: str) -> int:
    """Return how many columns a character of a spec takes when it is printed."""
    if not char.isprintable():
        return len(_shown(char))
    if category(char) in ("Mn", "Me"):
        return 0
    return 2 if east_asian_width(char) in "WF" else 1

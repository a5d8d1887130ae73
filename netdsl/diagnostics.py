"""What can be said about a spec: a code, a sentence, the place, the way out."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Literal

from netdsl.record import Record
from netdsl.source import Span

Severity = Literal["error", "warning", "info"]


class Label(Record):
    """A second place that explains the first, with what to say there."""

    span: Span
    message: str


class Frame(Record):
    """One step of the call stack through blocks: what was being built, and the text that asked for it."""

    what: str
    span: Span


class Diagnostic(Record):
    """One finding. `message` is lower case, names the layer and the numbers, and has no full stop."""

    code: str
    message: str
    span: Span | None = None
    note: str = ""
    """What to write right of the carets."""
    severity: Severity = "error"
    labels: tuple[Label, ...] = ()
    calls: tuple[Frame, ...] = ()
    """The innermost frame first."""
    help: str = ""
    details: tuple[str, ...] = ()
    """Further lines of facts, such as who spends a budget."""


class NetError(Exception):
    """The only exception users see: it carries what is wrong with a spec, or with how it was asked for."""

    def __init__(self, diagnostics: Sequence[Diagnostic]) -> None:
        """Carry one diagnostic or more."""
        self.diagnostics = tuple(diagnostics)
        super().__init__(self.diagnostics)

    def __str__(self) -> str:
        from netdsl.render import render_text  # only when shown

        return "\n".join(render_text(d) for d in self.diagnostics)


def did_you_mean(word: str, known: Sequence[str]) -> str:
    """Return "did you mean `conv`?" for a misspelt word, or an empty string."""
    close = get_close_matches(word, list(known), n=1, cutoff=0.6)
    if not close:
        lower = {k.lower(): k for k in known}
        close = [lower[word.lower()]] if word.lower() in lower else []
    return f"did you mean `{close[0]}`?" if close else ""

"""What a diagnostic is."""

from __future__ import annotations

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

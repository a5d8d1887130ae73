"""What a diagnostic is."""

from __future__ import annotations

import re
from typing import Any, Literal

from netdsl.record import Record
from netdsl.source import Span

Severity = Literal["error", "warning", "info"]


MAX_RUN = 160
"""The most characters of a name, number or path that a message shows."""
MAX_TEXT = 1500
"""The most characters of a message."""
MAX_DETAILS = 100
"""The most lines of facts."""
_LONG = re.compile(rf"\S{{{MAX_RUN + 1},}}")


def shortened(text: str) -> str:
    """Return a text in which long names, numbers and lists are cut in the middle: `aaaa...aaaa`."""
    if len(text) <= MAX_RUN:
        return text
    text = _LONG.sub(lambda found: _cut(found[0], MAX_RUN), text)
    return _cut(text, MAX_TEXT)


def _cut(text: str, most: int) -> str:
    if len(text) <= most:
        return text
    end = most // 4
    return f"{text[: most - end - 3]}...{text[-end:]}"


class Label(Record):
    """A second place that explains the first, with what to say there."""

    span: Span
    message: str


class Argument(Record):
    """What a block was given: the name, the value as it is shown, and the text that gave it, where there is one."""

    name: str
    value: str
    span: Span | None = None

    def __str__(self) -> str:
        """Return it as a call has it."""
        return f"{self.name}={self.value}"


class Frame(Record):
    """One step of the call stack through blocks: what was being built, and the text that asked for it."""

    call: str
    span: Span
    arguments: tuple[Argument, ...] = ()
    values: tuple[Argument, ...] = ()
    """What flows into a block that has names for it, with the shapes."""
    path: str = ""
    """That of the module that is built, if it is one."""

    @property
    def what(self) -> str:
        """What is being built, and where."""
        return f"{self.call}, {self.path}" if self.path else self.call


class Diagnostic(Record):
    """One finding. `message` is lower case, names the layer and the numbers, and has no full stop.

    What is long in its texts is cut when it is made, so that no reader of it gets more.
    """

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

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Take the fields by position or by name."""
        super().__init__(*args, **kwargs)
        fields = self.__dict__
        for name in ("message", "note", "help"):
            fields[name] = shortened(fields[name])
        details = fields["details"]
        if len(details) > MAX_DETAILS:
            details = (*details[:MAX_DETAILS], f"and {len(details) - MAX_DETAILS:,} more")
        fields["details"] = tuple(map(shortened, details))

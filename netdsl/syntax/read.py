"""A file to a source."""

from __future__ import annotations

from pathlib import Path

from netdsl import reading
from netdsl.diagnostics import Diagnostic, NetError
from netdsl.source import Source


def read(file: Path) -> Source:
    """Return what a file of the user's holds; NetError if it is no text, or too long."""
    try:
        return Source(str(file), reading.text(file), file)
    except reading.Unreadable as error:
        raise NetError([Diagnostic("E501", f"cannot read {file}: {error}")]) from None

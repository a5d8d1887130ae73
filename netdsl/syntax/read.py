"""A file to a source."""

from __future__ import annotations

from pathlib import Path

from netdsl.diagnostics import Diagnostic, NetError
from netdsl.source import Source

MAX_BYTES = 64 * 1024 * 1024
"""The largest file that is read."""


def read(file: Path) -> Source:
    """Return what a file of the user's holds; NetError if it is no text, or too long."""
    try:
        if file.stat().st_size > MAX_BYTES:
            raise _unreadable(f"{file} is larger than {MAX_BYTES:,} bytes")
        return Source(str(file), file.read_bytes().decode("utf-8"))
    except OSError as error:
        raise _unreadable(f"cannot read {file}: {(error.strerror or str(error)).lower()}") from None
    except UnicodeDecodeError as error:  # a ValueError too, so it comes first
        byte = error.object[error.start]
        raise _unreadable(f"{file} is not UTF-8 text: byte {error.start} is 0x{byte:02x}") from None
    except ValueError:
        raise _unreadable(f"cannot read {file}: a path has no NUL character") from None


def _unreadable(message: str) -> NetError:
    return NetError([Diagnostic("E501", message)])

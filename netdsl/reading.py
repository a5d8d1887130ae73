"""What is read from outside: regular files and standard input, and never more of them than a limit.

A device gives bytes for ever, and a pipe may never give any: neither is a spec, a configuration or weights.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

MAX_TEXT = 64 * 1024 * 1024
"""Bytes of the longest text that is taken."""
MAX_SETTINGS = 1024 * 1024
"""Bytes of the longest TOML file that is taken."""
_PIECE = 1024 * 1024
_MAX_DOTS = 100
"""Dots of a line of TOML, outside comments: the time to read a dotted key grows with their square."""


class Unreadable(Exception):
    """Why something cannot be read, as the end of a message: `it is a pipe, and no file`."""


def reason(error: OSError) -> str:
    """Return what the system says, as the end of a message."""
    return (error.strerror or str(error)).lower()


Stamp = tuple[int, int, int]
_noted: list[dict[str, Stamp | None]] = []


def stamp(file: str | Path) -> Stamp | None:
    """Return what tells a file from what it becomes when it is written: time, size, inode; None if there is none."""
    try:
        found = os.stat(file)
    except (OSError, ValueError):
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


@contextmanager
def noted() -> Iterator[dict[str, Stamp | None]]:
    """Note which files are read or looked for within, and what they were when that was first tried."""
    files: dict[str, Stamp | None] = {}
    _noted.append(files)
    try:
        yield files
    finally:
        _noted.pop()


def _note(file: str | Path) -> None:
    for files in _noted:
        files.setdefault(str(file), stamp(file))


def exists(file: str | Path) -> bool:
    """Tell whether there is a file, which is noted: what is read would be another if it came, or went."""
    _note(file)
    return os.path.exists(file)


def open_input(file: Path) -> BinaryIO:
    """Return a regular file, opened; Unreadable if it is none, or cannot be opened."""
    _note(file)
    try:
        _check(os.stat(file).st_mode)  # opening a device may do something already
        stream = open(file, "rb", opener=_open)
        try:
            _check(os.fstat(stream.fileno()).st_mode)
        except BaseException:
            stream.close()
            raise
    except OSError as error:
        raise Unreadable(reason(error)) from None
    except ValueError:
        raise Unreadable("a path has no NUL character") from None
    return stream


def _open(file: str, flags: int) -> int:
    """Open without waiting: the path may have become a pipe's."""
    return os.open(file, flags | getattr(os, "O_NONBLOCK", 0))


def _check(mode: int) -> None:
    kinds = {
        stat.S_IFIFO: "a pipe",
        stat.S_IFSOCK: "a socket",
        stat.S_IFCHR: "a device",
        stat.S_IFBLK: "a device",
    }
    kind = stat.S_IFMT(mode)
    if kind == stat.S_IFDIR:
        raise Unreadable("is a directory")
    if kind != stat.S_IFREG:
        raise Unreadable(f"it is {kinds.get(kind, 'something else')}, and no file")


def text(file: Path, limit: int = MAX_TEXT) -> str:
    """Return what a file of UTF-8 holds, without a byte order mark; Unreadable if it is another, or too long."""
    with open_input(file) as stream:
        return _text(stream, limit)


def standard_input(limit: int = MAX_TEXT) -> str:
    """Return what standard input holds, as `text` does."""
    if sys.stdin is None:
        raise Unreadable("it is closed")
    return _text(sys.stdin.buffer, limit)


def _text(stream: BinaryIO, limit: int) -> str:
    try:
        data = bytearray()
        while piece := stream.read(_PIECE):
            data += piece
            if len(data) > limit:
                raise Unreadable(f"it is larger than {limit:,} bytes")
        return data.decode("utf-8-sig")
    except OSError as error:
        raise Unreadable(reason(error)) from None
    except UnicodeDecodeError as error:
        byte = error.object[error.start]
        raise Unreadable(f"it is not UTF-8 text: byte {error.start} is 0x{byte:02x}") from None


def toml(text: str) -> dict[str, Any]:
    """Return what a TOML text holds; Unreadable if it is none."""
    import tomllib

    for number, line in enumerate(text.split("\n"), 1):
        if line.count(".") > _MAX_DOTS and not line.lstrip().startswith("#"):
            raise Unreadable(f"it is not TOML: line {number} has more than {_MAX_DOTS} dots")
    try:
        return tomllib.loads(text)
    except ValueError as error:  # TOML's own error, or that of a number with thousands of digits
        said = str(error).partition(";")[0]
        raise Unreadable(f"it is not TOML: {said[:1].lower()}{said[1:]}") from None
    except RecursionError:
        raise Unreadable("it is not TOML: its brackets are too deep") from None

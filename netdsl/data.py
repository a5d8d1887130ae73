"""Where grammar/ and specs/ are: in the package when it is installed, beside it in a checkout."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

_PACKAGE = Path(__file__).parent


def folder(name: str) -> Path:
    """Return the folder on disk; in a zipped wheel there is none, and only `read` and `names` work."""
    installed = _PACKAGE / name
    return installed if installed.is_dir() else _PACKAGE.parent / name


def read(where: str, name: str) -> str:
    """Return the text of a file of a folder."""
    return (_open(where) / name).read_text(encoding="utf-8")


def names(where: str, suffix: str) -> list[str]:
    """Return the names of a folder's files that end with `suffix`, sorted."""
    return sorted(entry.name for entry in _open(where).iterdir() if entry.name.endswith(suffix))


def _open(name: str) -> Traversable:
    place = folder(name)
    if place.is_dir():
        return place
    from importlib.resources import files  # slow to import, and only a zipped wheel needs it

    return files("netdsl") / name

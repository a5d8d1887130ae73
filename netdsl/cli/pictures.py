"""What the commands share that write pictures: which form a file's name asks for, and where it may be written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from netdsl import reading
from netdsl.cli.common import misuse, read_for, replacing

if TYPE_CHECKING:
    from netdsl.network import Network
    from netdsl.space.space import Space

Forms = Mapping[str, Callable[[], str]]
"""By the end of a file's name, what gives its text."""


def check_output(output: str, known: Iterable[str]) -> str:
    """Return the end of a file's name, which says its form; refuse what is none."""
    known = list(known)
    suffix = Path(output).suffix.lower()
    if suffix not in known:
        misuse(
            "E550",
            f"{output} ends in none of {', '.join(known)}",
            "the end of the name says which form it has",
        )
    return suffix


def write_picture(output: str, suffix: str, forms: Forms, nets: Iterable[Network | Space]) -> None:
    """Write a picture in the form of its name, as a whole or not at all; `.png` is drawn from `.svg`."""
    data = _png(forms[".svg"]()) if suffix == ".png" else forms[suffix]().encode()
    try:
        with replacing(Path(output), read_for(nets)) as stream:
            stream.write(data)
    except OSError as error:
        misuse("E510", f"cannot write {output}: {reading.reason(error)}")


def _png(svg: str) -> bytes:
    """Return a picture as PNG, at twice its size, so that it is sharp on fine screens."""
    try:
        cairosvg = import_module("cairosvg")
    except (ImportError, OSError):  # OSError: the package is there, and the library that it loads is not
        misuse("E551", "PNG needs the package cairosvg", "pip install 'netdsl[png]', or write .svg")
    data: bytes = cairosvg.svg2png(bytestring=svg.encode(), scale=2)
    return data

"""What the commands share that write pictures: which form a file's name asks for, and where it may be written."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from pathlib import Path

from netdsl.cli.common import misuse, reason, replacing

Forms = Mapping[str, Callable[[], str]]
"""By the end of a file's name, what gives its text."""


def check_output(output: str, known: Iterable[str], specs: Iterable[str]) -> str:
    """Return the end of a file's name, which says its form; refuse what is none, and the spec itself."""
    known = list(known)
    suffix = Path(output).suffix.lower()
    if suffix not in known:
        misuse(
            "E550",
            f"{output} ends in none of {', '.join(known)}",
            "the end of the name says which form it has",
        )
    for spec in specs:
        file = spec if os.path.isfile(spec) else spec.rpartition(":")[0]
        if os.path.exists(output) and os.path.isfile(file) and os.path.samefile(file, output):
            misuse("E550", f"{output} is the spec, which would be lost", "give another file with -o")
    return suffix


def write_picture(output: str, suffix: str, forms: Forms) -> None:
    """Write a file in the form that its name asks for, as a whole or not at all; `.png` is drawn from `.svg`."""
    data = _png(forms[".svg"]()) if suffix == ".png" else forms[suffix]().encode()
    try:
        with replacing(Path(output)) as stream:
            stream.write(data)
    except OSError as error:
        misuse("E510", f"cannot write {output}: {reason(error)}")


def _png(svg: str) -> bytes:
    """Return a picture as PNG, at twice its size, so that it is sharp on fine screens."""
    try:
        cairosvg = import_module("cairosvg")
    except (ImportError, OSError):  # OSError: the package is there, and the library that it loads is not
        misuse("E551", "PNG needs the package cairosvg", "pip install 'netdsl[png]', or write .svg")
    data: bytes = cairosvg.svg2png(bytestring=svg.encode(), scale=2)
    return data

"""Nets of papers and of forms that the zoo has not, which no rule was made for: tests/data/strangers."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import netdsl
from netdsl import Network, api

FOLDER = Path(__file__).parent / "data" / "strangers"
NAMES = [
    f"{file.stem}:{name}" for file in sorted(FOLDER.glob("*.net")) for name in api.instances(api.read(file))
]
"""By file and net."""


@cache
def stranger(name: str) -> Network:
    """Return one of them."""
    file, _, net = name.partition(":")
    return netdsl.load(f"{FOLDER / file}.net:{net}")

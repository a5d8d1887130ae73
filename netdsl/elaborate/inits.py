"""What `init` lines say of how weights begin: tables, of which the last that knows a parameter counts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from netdsl.ir.types import Init
from netdsl.ops import Op

Inits = Mapping[str, Mapping[str, Init]]
"""Initialisers by op and parameter."""


def deeper(tables: tuple[Inits, ...]) -> tuple[Inits, ...]:
    """Return the tables of a scope in another, whose own is empty yet."""
    return (*filter(None, tables), {})


def joined(tables: Iterable[Inits]) -> dict[str, dict[str, Init]]:
    """Return what several tables say, the later ones first."""
    found: dict[str, dict[str, Init]] = {}
    for table in tables:
        for name, inits in table.items():
            found.setdefault(name, {}).update(inits)
    return found


def initialisers(op: Op | type[Op], tables: Iterable[Inits]) -> dict[str, Init]:
    """Return what tables say of an op's parameters: the innermost first, and it before its kind."""
    found: dict[str, Init] = {}
    for table in tables:
        for kind in (op.inherits, op.name):
            found.update(table.get(kind, {}))
    return found

"""What `init` lines say where a class is made: to compare, and as it is in this instance."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from netdsl.elaborate.inits import Inits, initialisers
from netdsl.emission.concolic import concrete
from netdsl.ir.types import Init
from netdsl.ops import Op
from netdsl.symbolic import term


def expressions(rules: Inits) -> Any:
    """Return what rules say, to compare for all arguments."""
    return {op: {key: _expression(init) for key, init in inits.items()} for op, inits in rules.items()}


def starts_of(op: type[Op], tables: Iterable[Inits]) -> dict[str, Any]:
    """Return what tables say of an op, to compare for all arguments."""
    return {key: _expression(init) for key, init in initialisers(op, tables).items()}


def as_here(rules: Inits) -> Inits:
    """Return rules with the numbers of this instance."""
    return {
        op: {key: Init(init.kind, tuple(map(concrete, init.args))) for key, init in inits.items()}
        for op, inits in rules.items()
    }


def _expression(init: Init) -> Any:
    return init.kind, tuple(map(term, init.args))

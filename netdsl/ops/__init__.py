"""The primitive ops: every module of this package is found, and every op in it that has a name."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from netdsl.ops.base import Example, Op, OpError

__all__ = ["Example", "Op", "OpError", "catalogue"]


def _subclasses(cls: type[Op]) -> list[type[Op]]:
    return [d for c in cls.__subclasses__() for d in (c, *_subclasses(c))]


@cache
def catalogue() -> dict[str, type[Op]]:
    """Return every op by its name in a spec."""
    for module in iter_modules(__path__):
        import_module(f"{__name__}.{module.name}")
    return {op.name: op for op in _subclasses(Op) if op.name}  # type: ignore[type-abstract]

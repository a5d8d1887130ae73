"""The primitive ops: every module of this package is found, and every op in it that has a name.

Ops of other distributions are found through entry points; README.md says how.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from netdsl.ops.base import Example, Op, OpError

__all__ = ["Example", "Op", "OpError", "called", "catalogue", "find", "installed", "points"]

GROUP = "netdsl.ops"
"""The entry point under which distributions register ops: the op's name, and its class."""


def _subclasses(cls: type[Op]) -> list[type[Op]]:
    return [d for c in cls.__subclasses__() for d in (c, *_subclasses(c))]


@cache
def catalogue() -> dict[str, type[Op]]:
    """Return every op of the language by its name in a spec."""
    for module in iter_modules(__path__):
        import_module(f"{__name__}.{module.name}")
    own = (op for op in _subclasses(Op) if op.__module__.startswith(f"{__name__}."))  # type: ignore[type-abstract]
    return {op.name: op for op in own if op.name}


@cache
def points(group: str) -> Mapping[str, Any]:
    """Return the entry points of a group by name; of two with one name the first distribution's by its name."""
    from importlib.metadata import entry_points  # slow to import, and few specs need it

    found: dict[str, Any] = {}
    for point in sorted(entry_points(group=group), key=lambda p: (p.name, p.dist.name if p.dist else "")):
        found.setdefault(point.name, point)
    return found


def installed() -> list[str]:
    """Return the names of ops of other distributions, which are not looked into."""
    return [name for name in points(GROUP) if name not in catalogue()]


@cache
def find(name: str) -> type[Op] | None:
    """Return the op of a name: the language's, else that of another distribution; None if there is none.

    Raises:
        OpError: The distribution cannot be imported, or has no such op.
    """
    if name in catalogue():
        return catalogue()[name]
    point = points(GROUP).get(name)
    if point is None:
        return None
    of = f"`{name}` of {point.dist.name if point.dist else point.value}"
    try:
        op = point.load()
    except Exception as error:
        raise OpError("", f"the op {of} cannot be imported: {type(error).__name__}: {error}") from None
    if not (isinstance(op, type) and issubclass(op, Op) and op.name == name):
        raise OpError("", f"the op {of} is {point.value}, which is no op of that name")
    return op


def called(name: str) -> list[type[Op]]:
    """Return the ops of the language that another framework calls so: `nn.Conv2d`, `dense`, `layer_norm`."""
    return list(_by_foreign_name().get(_plain(name.rpartition(".")[2]), ()))


@cache
def _by_foreign_name() -> dict[str, list[type[Op]]]:
    found: dict[str, list[type[Op]]] = {}
    for op in catalogue().values():
        names = [_plain(one) for one in op.elsewhere.names()]
        for name in dict.fromkeys((*names, *(one.removesuffix("2d") for one in names))):
            found.setdefault(name, []).append(op)
    return found


def _plain(name: str) -> str:
    return name.lower().replace("_", "")

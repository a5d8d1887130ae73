"""What can be known of a net in numbers: a module each, found and not listed.

A quantity is a column of the cost table, of its CSV and JSON, a word in `require`, a line of `netdsl diff`, and
one of those by which the linter weighs a change, if it says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from netdsl.ir.graph import Node
from netdsl.quantities.base import Amounts, Measured, Options, Quantity, Summed

__all__ = ["Amounts", "Measured", "Options", "Quantity", "Summed", "amounts", "catalogue", "weighed"]


@cache
def catalogue() -> dict[str, Quantity]:
    """Return every quantity by its name, in the order of the columns."""
    found: list[Quantity] = []
    for module in iter_modules(__path__):
        if module.name != "base":
            found += [
                value()
                for value in vars(import_module(f"{__name__}.{module.name}")).values()
                if isinstance(value, type)
                and issubclass(value, Quantity)
                and value.__module__ == f"{__name__}.{module.name}"
            ]
    return {quantity.name: quantity for quantity in sorted(found, key=lambda q: (q.rank, q.name))}


@cache
def weighed() -> tuple[Quantity, ...]:
    """Return those by which a change is weighed."""
    return tuple([quantity for quantity in catalogue().values() if quantity.saving])


def amounts(net: Measured, nodes: Sequence[Node]) -> Amounts:
    """Return what some nodes have of them, for one sample in float32."""
    one = Options()
    return Amounts({quantity.name: quantity.of(net, nodes, one) for quantity in weighed()})

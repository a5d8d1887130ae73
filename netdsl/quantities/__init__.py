"""What can be known of a net in numbers: a module each, found and not listed.

A quantity is a column of the cost table, of its CSV and JSON, a word in `require`, and a line of `netdsl diff`; if it
says so, also a bar of plots and reports, a column of `netdsl compare`, and what the linter weighs a change by.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from netdsl.diagnostics import did_you_mean
from netdsl.ir.graph import Node
from netdsl.quantities.base import Amounts, Measured, Options, Quantity, Summed

__all__ = [
    "Amounts",
    "Measured",
    "Options",
    "Quantity",
    "Summed",
    "amounts",
    "catalogue",
    "compared",
    "drawn",
    "meant",
    "weighed",
]


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


@cache
def drawn() -> tuple[Quantity, ...]:
    """Return those that pictures show, in their order."""
    return tuple(sorted([one for one in catalogue().values() if one.drawn], key=lambda one: one.drawn))


@cache
def compared() -> tuple[Quantity, ...]:
    """Return those that nets are compared by, in their order."""
    return tuple(sorted([one for one in catalogue().values() if one.compared], key=lambda one: one.compared))


def meant(word: str, known: Sequence[str]) -> str:
    """Return what an unknown word for one of these quantities may have meant, or which there are."""
    if "flop" in word.lower() and "macs" in known:
        return "FLOPs are `macs` here, of a multiply and an add each, and `ops` what else is computed"
    return did_you_mean(word, known) or f"there are {', '.join(known)}"


def amounts(net: Measured, nodes: Sequence[Node]) -> Amounts:
    """Return what some nodes have of them, for one sample in float32."""
    one = Options()
    return Amounts({quantity.name: quantity.of(net, nodes, one) for quantity in weighed()})

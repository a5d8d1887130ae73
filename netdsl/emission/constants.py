"""Which parameters of a net stay arguments of the emitted class."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from netdsl.diagnostics import NetError
from netdsl.emission.code import Const, Expr, Lowered, fill, sites, skeleton
from netdsl.network import Network

LowerAll = Callable[[Network], dict[str, Lowered]]
InitAll = Callable[[Network], dict[str, tuple[Expr, ...]]]


def mark(net: Network, lower: LowerAll, inits: InitAll) -> tuple[dict[str, Lowered], dict[str, Any]]:
    """Return the lowered nodes, and the net's parameters that stay arguments, with their values.

    A parameter with an int or float value, given neither by the variant nor by the caller, stays an argument iff
    elaborating with another value gives the same tree in which only constants equal to it differ; those constants
    then carry its name.
    """
    lowered = lower(net)
    arguments: dict[str, Any] = {}
    for name, value in net.elaborated.params.items():
        if name in net.elaborated.given or isinstance(value, bool) or not isinstance(value, (int, float)):
            continue
        if name not in {p.name.text for p in net.recipe.net.node.params}:
            continue
        others = (
            (value + 1, 2 * value + 3) if isinstance(value, int) else (value / 2 + 0.125, value / 4 + 0.0625)
        )
        try:
            changed = [net.vary(name, other) for other in others]
        except NetError:
            continue
        if not all(_same_wiring(net, other) and inits(net) == inits(other) for other in changed):
            continue
        marked = _mark(lowered, list(zip(others, map(lower, changed), strict=True)), name, value)
        if marked is not None:
            lowered, arguments[name] = marked, value
    return lowered, arguments


def _same_wiring(net: Network, other: Network) -> bool:
    """Tell whether two nets are the same but for the arguments of their ops."""
    return (
        len(net.graph) == len(other.graph)
        and all(n.name in other.graph and n.inputs == other.graph[n.name].inputs for n in net.graph)
        and net.elaborated.inits == other.elaborated.inits
    )


def _mark(
    lowered: Mapping[str, Lowered], trees: list[tuple[Any, dict[str, Lowered]]], name: str, value: Any
) -> dict[str, Lowered] | None:
    """Return the nodes with the constants marked that follow the parameter; None if anything else changes too."""
    result: dict[str, Lowered] = {}
    found = False
    for node, own in lowered.items():
        parts: list[Expr | None] = []
        for expr, others in (
            (own.module, [t[node].module for _, t in trees]),
            (own.function, [t[node].function for _, t in trees]),
        ):
            if any(skeleton(other) != skeleton(expr) for other in others):
                return None
            if expr is None:
                parts.append(None)
                continue
            columns = zip(sites(expr), *(sites(other) for other in others), strict=True)
            new: list[Const] = []
            for site, *changed in columns:
                now = [c.constant.value for c in changed]
                old = site.constant
                if all(v == old.value for v in now):
                    new.append(old)
                elif old.value == value and now == [v for v, _ in trees] and not old.source:
                    new.append(old.replace(source=name))
                    found = True
                else:
                    return None
            parts.append(fill(expr, _iterate(new)))
        result[node] = Lowered(parts[0], parts[1])
    return result if found else None


def _iterate(values: list[Const]) -> Iterator[Expr]:
    yield from values

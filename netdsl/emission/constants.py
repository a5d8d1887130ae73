"""Which parameters of a net stay arguments of the emitted class."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from netdsl.diagnostics import NetError
from netdsl.emission.code import Const, Context, Expr, Lowered, Site, fill, sites, skeleton
from netdsl.network import Network
from netdsl.ops import Op
from netdsl.ops.source import Weight

Known = tuple[Network, Mapping[str, Lowered]]
LowerAll = Callable[[Network, Known | None], dict[str, Lowered]]
InitAll = Callable[[Network], dict[str, tuple[Expr, ...]]]


def lower_all(
    net: Network,
    lowerings: Mapping[type[Op], Callable[[Any, Context], Lowered]],
    writing: frozenset[str] = frozenset(),
    known: Known | None = None,
) -> dict[str, Lowered]:
    """Return what each node is in a framework; `writing` are those that overwrite their first input.

    `known` is a net of the same wiring with what its nodes are: an equal node is not lowered again.
    """
    lowered = {}
    for node in net.graph:
        if known is not None and _same_node(net, known[0], node.name):
            lowered[node.name] = known[1][node.name]
            continue
        batched = tuple(not isinstance(net.graph[value.node].op, Weight) for value in node.inputs)
        context = Context(
            net.inputs_of(node.name), net.outputs_of(node.name), node.name in writing, batched or (True,)
        )
        lowered[node.name] = lowerings[type(node.op)](node.op, context)
    return lowered


def mark(net: Network, lower: LowerAll, inits: InitAll) -> tuple[dict[str, Lowered], dict[str, Any]]:
    """Return the lowered nodes, and the net's parameters that stay arguments, with their values.

    A parameter with an int or float value, given neither by the variant nor by the caller, stays an argument iff
    elaborating with another value gives the same tree in which only constants equal to it differ; those constants
    then carry its name.
    """
    plain, own_inits = lower(net, None), inits(net)
    lowered = plain
    declared = {param.name.text for param in net.recipe.net.node.params}
    arguments: dict[str, Any] = {}
    for name, value in net.elaborated.params.items():
        open_ = name in declared and name not in net.elaborated.given
        if not open_ or isinstance(value, bool) or not isinstance(value, (int, float)):
            continue
        others = (
            (value + 1, 2 * value + 3) if isinstance(value, int) else (value / 2 + 0.125, value / 4 + 0.0625)
        )
        try:
            changed = [net.vary(name, other) for other in others]
        except NetError:
            continue
        if not all(_same_wiring(net, other) and own_inits == inits(other) for other in changed):
            continue
        trees = [(v, lower(other, (net, plain))) for v, other in zip(others, changed, strict=True)]
        marked = _mark(lowered, plain, trees, name, value)
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


def _same_node(net: Network, other: Network, name: str) -> bool:
    """Tell whether nothing differs that a node is lowered from."""
    return (
        net.graph[name].op == other.graph[name].op
        and net.inputs_of(name) == other.inputs_of(name)
        and net.outputs_of(name) == other.outputs_of(name)
    )


def _mark(
    lowered: Mapping[str, Lowered],
    plain: Mapping[str, Lowered],
    trees: list[tuple[Any, dict[str, Lowered]]],
    name: str,
    value: Any,
) -> dict[str, Lowered] | None:
    """Return the nodes with the constants marked that follow the parameter; None if anything else changes too.

    `plain` are the nodes without any marks.
    """
    result: dict[str, Lowered] = {}
    values = [v for v, _ in trees]
    for node, own in lowered.items():
        if all(tree[node] is plain[node] for _, tree in trees):
            result[node] = own
            continue
        parts: list[Expr | None] = []
        for expr, others in (
            (own.module, [t[node].module for _, t in trees]),
            (own.function, [t[node].function for _, t in trees]),
        ):
            shape = skeleton(expr)
            if any(skeleton(other) != shape for other in others):
                return None
            columns = zip(sites(expr), *map(sites, others), strict=True)
            marked = [_marked(site, changed, name, value, values) for site, *changed in columns]
            kept = [constant for constant in marked if constant is not None]
            if len(kept) < len(marked):
                return None
            parts.append(None if expr is None else fill(expr, iter(kept)))
        result[node] = Lowered(parts[0], parts[1])
    return None if result == lowered else result


def _marked(site: Site, changed: list[Site], name: str, value: Any, values: list[Any]) -> Const | None:
    """Return a constant, with the parameter's name if it follows it; None if it follows in another way."""
    old, now = site.constant, [c.constant.value for c in changed]
    if all(v == old.value for v in now):
        return old
    return old.replace(source=name) if old.value == value and now == values and not old.source else None

"""Costs of a graph's nodes: each op is asked for its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from netdsl.collector import no_collection
from netdsl.cost.model import Cost
from netdsl.elaborate.shared import Shared
from netdsl.ir.graph import call_cost
from netdsl.ir.types import Shape
from netdsl.ops import Op
from netdsl.passes.facts import Facts


def count_costs(facts: Facts, shared: Shared | None = None) -> Facts:
    """Add the cost of each node for one sample; the shapes must be known.

    Equal layers have one op and are asked once; `shared` is what was found of other nets with the same ops.
    """
    shapes = facts.shapes
    costs: dict[str, Cost] = {}
    known = (shared or Shared()).costs
    with no_collection():
        for node in facts.graph:
            x = [shapes[name][port] for name, port in node.inputs]
            costs[node.name] = cost_of(node.op, bool(node.module), x, known)
    return facts.replace(costs=costs)


def cost_of(op: Op, again: bool, x: Sequence[Shape], known: dict[tuple[Any, ...], tuple[Cost, Op]]) -> Cost:
    """Return the cost of a call for one sample, as it is known or as it will be."""
    key = (id(op), again, *x, *[shape.axes for shape in x])
    found = known.get(key)
    if found is None:
        found = known[key] = call_cost(op, again, *x), op  # whose id stays its own
    return found[0]

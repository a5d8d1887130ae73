"""Costs of a graph's nodes: each op is asked for its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from netdsl.collector import no_collection
from netdsl.cost.model import Cost
from netdsl.elaborate.shared import Shared
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
    """Return the cost of an op for one sample, as it is known or as it will be.

    Where a module is called `again`, its params and buffers have been counted.
    """
    key = (id(op), again, *x, *[shape.axes for shape in x])
    found = known.get(key)
    if found is None:
        cost = op.cost(*x)
        found = known[key] = (
            cost.replace(params=0, buffers=0) if again else cost,
            op,
        )  # whose id stays its own
    return found[0]

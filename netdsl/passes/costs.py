"""Costs of a graph's nodes: each op is asked for its own."""

from __future__ import annotations

from netdsl.collector import no_collection
from netdsl.cost.model import Cost
from netdsl.elaborate.shared import Shared
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
            op, x = node.op, [shapes[name][port] for name, port in node.inputs]
            key = (id(op), bool(node.module), *x, *[shape.axes for shape in x])
            found = known.get(key)
            if found is None:
                found = known[key] = node.cost(*x), op  # whose id stays its own
            costs[node.name] = found[0]
    return facts.replace(costs=costs)

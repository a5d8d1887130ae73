"""Costs of a graph's nodes: each op is asked for its own."""

from __future__ import annotations

from netdsl.collector import no_collection
from netdsl.cost.model import Cost
from netdsl.passes.facts import Facts


def count_costs(facts: Facts) -> Facts:
    """Add the cost of each node for one sample; the shapes must be known. Equal layers are asked once."""
    shapes = facts.shapes
    costs: dict[str, Cost] = {}
    known: dict[tuple[object, ...], Cost] = {}
    with no_collection():
        for node in facts.graph:
            op, x = node.op, [shapes[value.node][value.port] for value in node.inputs]
            key = (id(op), bool(node.module), *x, *[shape.axes for shape in x])  # equal layers have one op
            cost = known.get(key)
            if cost is None:
                cost = known[key] = node.cost(*x)
            costs[node.name] = cost
    return facts.replace(costs=costs)

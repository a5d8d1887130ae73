"""Costs of a graph's nodes: each op is asked for its own."""

from __future__ import annotations

from netdsl.collector import no_collection
from netdsl.passes.facts import Facts


def count_costs(facts: Facts) -> Facts:
    """Add the cost of each node for one sample; the shapes must be known."""
    shapes = facts.shapes
    with no_collection():
        costs = {
            node.name: node.op.cost(*[shapes[value.node][value.port] for value in node.inputs])
            for node in facts.graph
        }
    return facts.replace(costs=costs)

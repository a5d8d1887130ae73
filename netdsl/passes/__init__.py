"""Facts from a graph. A pass takes the facts known so far and returns them with one more table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netdsl.ir.graph import Graph
from netdsl.passes.costs import count_costs
from netdsl.passes.facts import (
    Costs,
    Extent,
    Facts,
    Lifetime,
    Lifetimes,
    Liveness,
    Receptive,
    Receptives,
    Shapes,
)
from netdsl.passes.liveness import find_lifetimes, measure_liveness
from netdsl.passes.receptive import find_receptive_fields
from netdsl.passes.shapes import infer_shapes
from netdsl.passes.verify import verify_graph

if TYPE_CHECKING:
    from netdsl.passes.facts import Pass

__all__ = [
    "PIPELINE",
    "Costs",
    "Extent",
    "Facts",
    "Lifetime",
    "Lifetimes",
    "Liveness",
    "Receptive",
    "Receptives",
    "Shapes",
    "count_costs",
    "find_lifetimes",
    "find_receptive_fields",
    "infer_shapes",
    "know",
    "measure_liveness",
    "verify_graph",
]

PIPELINE: tuple[Pass, ...] = (
    verify_graph,
    infer_shapes,
    count_costs,
    find_receptive_fields,
    find_lifetimes,
)
"""The order is meaning: each pass relies on those before it."""


def know(graph: Graph) -> Facts:
    """Return all facts about a graph, by running the pipeline."""
    facts = Facts(graph)
    for step in PIPELINE:
        facts = step(facts)
    return facts

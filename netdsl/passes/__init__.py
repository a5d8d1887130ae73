"""Facts from a graph. A pass takes the facts known so far and returns them with one more table."""

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

__all__ = [
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
    "measure_liveness",
    "verify_graph",
]

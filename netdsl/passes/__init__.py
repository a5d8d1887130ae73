"""Facts from a graph. A pass takes the facts known so far and returns them with one more table."""

from netdsl.passes.backward import count_backward
from netdsl.passes.costs import count_costs
from netdsl.passes.facts import (
    Costs,
    Extent,
    Facts,
    Holds,
    Lifetime,
    Lifetimes,
    Liveness,
    Receptive,
    Receptives,
    Shapes,
)
from netdsl.passes.fusion import find_fused
from netdsl.passes.liveness import find_holds, find_lifetimes, measure_liveness
from netdsl.passes.receptive import find_receptive_fields
from netdsl.passes.shapes import infer_shapes
from netdsl.passes.verify import verify_graph

__all__ = [
    "Costs",
    "Extent",
    "Facts",
    "Holds",
    "Lifetime",
    "Lifetimes",
    "Liveness",
    "Receptive",
    "Receptives",
    "Shapes",
    "count_backward",
    "count_costs",
    "find_fused",
    "find_holds",
    "find_lifetimes",
    "find_receptive_fields",
    "infer_shapes",
    "measure_liveness",
    "verify_graph",
]

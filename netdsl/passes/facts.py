"""What is known about a graph. A fact is a table beside the graph; nothing is written into a node."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from netdsl.cost.model import Cost
from netdsl.ir.graph import Graph
from netdsl.ir.types import Shape
from netdsl.record import Record

if TYPE_CHECKING:
    from collections.abc import Callable

    Pass = Callable[["Facts"], "Facts"]

Shapes = Mapping[str, tuple[Shape, ...]]
"""The shapes of a node's outputs for one sample, by the node's name."""
Costs = Mapping[str, Cost]
"""The cost of a node for one sample, activations in elements, by the node's name."""


_NOTHING: Mapping[str, Any] = MappingProxyType({})


class Facts(Record):
    """A graph and the tables that passes have added so far."""

    graph: Graph
    shapes: Shapes = _NOTHING
    costs: Costs = _NOTHING

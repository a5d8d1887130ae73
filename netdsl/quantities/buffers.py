"""Buffers: elements of tensors in the state that are not learned."""

from __future__ import annotations

from types import MappingProxyType

from netdsl.ir.graph import Node
from netdsl.quantities.base import Measured, Options, Summed


class Buffers(Summed):
    """Elements of tensors in the state that are not learned, such as running statistics."""

    name, title, rank = "buffers", "buffers", 30
    costed = True
    shown = True
    spare = 1
    saving = "buffers"
    among = MappingProxyType({"params": 1, "buffers": 1})

    def layer(self, net: Measured, node: Node, options: Options) -> int:
        """Return those of one layer."""
        return net.layer_costs[node.name].buffers

"""What training takes beside the forward pass."""

from __future__ import annotations

from netdsl.ir.graph import Node
from netdsl.quantities.base import Measured, Options, Summed


class BackwardMacs(Summed):
    """Multiply-accumulates of the backward pass."""

    name, title, rank = "backward_macs", "backward MACs", 45
    shown = training = True
    spare = 8.5

    def layer(self, net: Measured, node: Node, options: Options) -> int:
        """Return those of one layer for the batch."""
        return net.layer_backward_macs[node.name] * options.batch


class Saved(Summed):
    """Bytes that autograd keeps for the backward pass and that are neither params nor buffers."""

    name, title, unit, rank = "saved", "saved", "bytes", 65
    shown = training = True
    spare = 8.5

    def layer(self, net: Measured, node: Node, options: Options) -> int:
        """Return those that a layer keeps and none before it."""
        return net.saved(options.batch, options.dtype).get(node.name, 0)

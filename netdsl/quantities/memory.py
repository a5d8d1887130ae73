"""Memory: of tensors that are alive at once, with the weights or without."""

from __future__ import annotations

from collections.abc import Sequence

from netdsl.ir.graph import Node
from netdsl.quantities.base import Measured, Options, Quantity


class Peak(Quantity):
    """The most bytes of tensors that are alive at once beside the weights while some layers run in inference."""

    name, title, unit, rank = "peak", "peak", "bytes", 70
    compared = 4
    options = ("batch", "dtype")

    def of(self, net: Measured, nodes: Sequence[Node], options: Options) -> int:
        """Return the largest of the layers' own."""
        live = net.liveness(options.batch, options.dtype)
        if len(nodes) == len(net.graph):
            return live.peak
        return max((live.alive[node.name] for node in nodes if node.name in live.alive), default=0)


class Memory(Quantity):
    """The bytes that inference or a step of training needs at most: of weights, buffers and all beside them."""

    name, title, unit, rank = "memory", "memory", "bytes", 71
    options = ("batch", "dtype", "train", "optimizer")
    whole = True

    def of(self, net: Measured, nodes: Sequence[Node], options: Options) -> int:
        """Return those of a whole net."""
        return net.memory(options.batch, options.dtype, options.train, options.optimizer).peak

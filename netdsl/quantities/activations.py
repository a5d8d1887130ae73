"""Activations: bytes of what all layers compute."""

from __future__ import annotations

from netdsl.ir.graph import Node
from netdsl.ir.types import DTYPES
from netdsl.quantities.base import Measured, Options, Summed


class Activations(Summed):
    """Bytes of the outputs of all ops that compute values, whether or not a backend writes them in place."""

    name, title, unit, rank = "activations", "activations", "bytes", 60
    costed = True
    shown = brief = True
    spare = 8
    drawn, compared = 1, 3
    saving = "bytes of activations"

    def layer(self, net: Measured, node: Node, options: Options) -> int:
        """Return those of one layer for the batch."""
        if node.train and not options.train:
            return 0
        return net.layer_costs[node.name].activations * options.batch * DTYPES[options.dtype]

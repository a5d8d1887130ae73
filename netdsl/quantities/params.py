"""Params: elements of learned tensors."""

from __future__ import annotations

from netdsl.ir.graph import Node
from netdsl.quantities.base import Measured, Options, Summed


class Params(Summed):
    """Elements of learned tensors, those of training alone too."""

    name, title, rank = "params", "params", 20
    costed = True
    shown = share = brief = True
    spare = 9
    drawn, compared = 2, 1
    saving = "params"

    def layer(self, net: Measured, node: Node, options: Options) -> int:
        """Return those of one layer."""
        return net.layer_costs[node.name].params


class TrainingParams(Summed):
    """Those of `params` that exist in training only."""

    name, title, rank = "training_params", "of which training only", 21
    costed = True

    def layer(self, net: Measured, node: Node, options: Options) -> int:
        """Return those of one layer."""
        return net.layer_costs[node.name].params if node.train else 0

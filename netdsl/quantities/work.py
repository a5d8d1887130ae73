"""Work: MACs and other operations, by the conventions of netdsl/cost/model.py."""

from __future__ import annotations

from types import MappingProxyType

from netdsl.ir.graph import Node
from netdsl.quantities.base import Measured, Options, Summed

WORK = MappingProxyType({"macs": 2, "ops": 1})
"""All that is computed, in operations."""


class Macs(Summed):
    """Multiplications with an addition, of convolutions, fully connected layers and attention's products."""

    name, title, rank = "macs", "MACs", 40
    costed = True
    shown = share = brief = True
    spare = 10
    drawn, compared = 3, 2
    saving = "MACs"
    among = WORK

    def layer(self, net: Measured, node: Node, options: Options) -> int:
        """Return those of one layer for the batch."""
        return 0 if node.train and not options.train else net.layer_costs[node.name].macs * options.batch


class Ops(Summed):
    """All other operations."""

    name, title, rank = "ops", "ops", 50
    costed = True
    shown = True
    spare = 3
    saving = "ops"
    among = WORK

    def layer(self, net: Measured, node: Node, options: Options) -> int:
        """Return those of one layer for the batch."""
        return 0 if node.train and not options.train else net.layer_costs[node.name].ops * options.batch

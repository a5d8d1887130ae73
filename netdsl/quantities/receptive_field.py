"""The receptive field, on the longest path."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from netdsl.ir.graph import Node
from netdsl.passes import Receptive
from netdsl.quantities.base import Measured, Options, Quantity


class ReceptiveField(Quantity):
    """What a place of the output sees of the input: of the last of some layers that sees one at all."""

    name, title, unit, rank = "receptive_field", "receptive field", "pixels", 10
    series = shown = True
    spare = 2
    compared = 5

    def of(self, net: Measured, nodes: Sequence[Node], options: Options) -> Receptive | None:
        """Return that of what leaves the layers in evaluation."""
        last = next((node for node in reversed(nodes) if not node.train), nodes[-1] if nodes else None)
        return net.receptive.get(last.name) if last is not None else None

    def number(self, value: Receptive | None) -> int:
        """Return the smaller side, whole pixels; of an input of one row, as a signal's, that along its columns."""
        if value is None:
            return 0
        sides = [axis.largest for axis in (value.rows, value.columns) if axis.size > 1]
        return int(min(sides, default=1))

    def text(self, value: Receptive | None) -> str:
        """Return "212", or "9x5" if rows and columns differ."""
        return "" if value is None else str(value)

    def plain(self, value: Receptive | None) -> Any:
        """Return lengths of rows and columns."""
        if value is None:
            return None
        return {
            name: [
                number if isinstance(number, int) else float(number)
                for number in (getattr(axis, name) for axis in (value.rows, value.columns))
            ]
            for name in ("largest", "smallest", "jump")
        }

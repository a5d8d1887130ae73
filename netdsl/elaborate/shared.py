"""What is found once for all nets of a file."""

from __future__ import annotations

from typing import Any

from netdsl.cost.model import Cost
from netdsl.ir.types import Shape
from netdsl.ops import Op


class Shared:
    """What the nets of a file share: layers with the same arguments are one op, which is asked once for all of them.

    An answer that is found by an op's id holds the op, so that no other one gets that id.
    """

    LIMIT = 100_000
    """How many answers are kept before all are forgotten: a search goes through many nets of one file."""

    def __init__(self) -> None:
        """Know nothing."""
        self.ops: dict[tuple[Any, ...], Op] = {}
        """By class and arguments."""
        self.begun: dict[tuple[Any, ...], tuple[Op, Op]] = {}
        """An op with initialisers, by the id of the one without, which comes second, and by what is said."""
        self.outputs: dict[tuple[Any, ...], tuple[tuple[Shape, ...], Op]] = {}
        """What an op makes of its inputs, by its id, their shapes and axes."""
        self.costs: dict[tuple[Any, ...], tuple[Cost, Op]] = {}
        """What an op costs, by its id, whether it has another's weights, shapes and axes."""

    def forget(self) -> None:
        """Forget all if it is too much."""
        tables: tuple[dict[tuple[Any, ...], Any], ...] = (self.ops, self.begun, self.outputs, self.costs)
        if sum(map(len, tables)) > self.LIMIT:
            for table in tables:
                table.clear()

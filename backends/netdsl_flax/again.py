"""A built net some of whose modules run again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from netdsl.ir.graph import Node, Scope
from netdsl_flax.run import Runner

if TYPE_CHECKING:
    from netdsl.backend import Array


class FirstCalls(Runner):
    """A module under measurement, of which each part is what it was in its first call."""

    def shapes(self, inputs: Mapping[str, Array]) -> Mapping[str, tuple[tuple[int, ...], ...]]:
        """Return what every module returned when it was called first in training, by the net's path."""
        self.first: dict[str, tuple[tuple[int, ...], ...]] = {}
        return super().shapes(inputs)

    def logical(self, place: Node | Scope, output: Any) -> tuple[tuple[int, ...], ...]:
        """Return the shapes of what a module returned first, in the net's order and without the batch."""
        name = place.path if isinstance(place, Scope) else place.name
        return self.first.setdefault(name, super().logical(place, output))

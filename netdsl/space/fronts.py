"""The nets that no other is as good as in every goal: the exact Pareto front, by label setting."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from netdsl.space.labels import labels
from netdsl.space.lattice import Edge, Lattice
from netdsl.space.reduced import NO_BOUNDS, Field, NoNet, Reduced, Sum, bounds, column, reduce


class Goal(NamedTuple):
    """A sum that is to be small, or large."""

    of: int | Mapping[tuple[str, int], float]
    """A column, or what each decision adds by the option that it takes; those that are not named add nothing."""
    more: bool = False
    """Whether more is better."""


class Front:
    """Nets that are better than each other net in some goal; of nets that are equal in all goals one.

    They are in the order of the first goal, from the best on.
    """

    def __init__(
        self, lattice: Lattice, reduced: Reduced, units: Sequence[int], found: list[list[int]]
    ) -> None:
        """Take the labels of all vertices; the first fields are the goals, in units of one by so many."""
        self._lattice = lattice
        self._reduced = reduced
        self._found: list[list[int] | frozenset[int]] = [*found]
        self._keys = found[-1]
        goals = list(zip(reduced.fields, units, strict=False))
        self.sums = [tuple(self._value(key, *goal) for goal in goals) for key in self._keys]
        """By net, what its goals are: of a column an int, of decisions a float, rounded once."""
        self._back: list[list[tuple[int, int, int]]] = [[] for _ in found]
        for vertex, steps in enumerate(reduced.steps):
            for step in steps:
                self._back[step.end].append((step.cost, vertex, step.place))

    def __len__(self) -> int:
        """Return the number of nets."""
        return len(self._keys)

    def answers(self, net: int) -> dict[str, int]:
        """Return which option each decision of a net takes, by its place in the front."""
        key, vertex = self._keys[net], len(self._found) - 1
        edges: list[Edge] = []
        while vertex:
            for cost, before, place in self._back[vertex]:
                known = self._found[before]
                if not isinstance(known, frozenset):
                    known = self._found[before] = frozenset(known)
                if key - cost in known:
                    key, vertex = key - cost, before
                    edges.append(self._lattice.edges[before][place])
                    break
        return {name: option for edge in reversed(edges) for name, option in edge.answers}

    def _value(self, key: int, field: Field, unit: int) -> float:
        """Return a sum in its own unit."""
        value = field.value(key - self._reduced.begin)
        return value / unit if unit else value


def front(
    lattice: Lattice,
    goals: Sequence[Goal],
    most: Mapping[int, int] = NO_BOUNDS,
    least: Mapping[int, int] = NO_BOUNDS,
) -> Front:
    """Return the exact front of the goals among the nets within bounds.

    Args:
        lattice: The space.
        goals: At least one; a column is added up exactly, and so are the floats.
        most: By column, the greatest sum that is allowed.
        least: By column, the least.

    Raises:
        NoNet: If no net is within the bounds.
        ValueError: If there is no goal, or a float is not finite.
    """
    if not goals:
        raise ValueError("a front needs a goal")
    most, least = dict(most), dict(least)
    sums: list[Sum] = []
    units: list[int] = []
    for goal in goals:
        if isinstance(goal.of, int):
            # what the goal is bounded by in its own direction needs no field of its own
            limit = (least if goal.more else most).pop(goal.of, None)
            sums.append(Sum(column(goal.of), not goal.more, limit))
            units.append(0)
        else:
            added, unit = _whole(goal.of)
            sums.append(Sum(_scores(added), not goal.more))
            units.append(unit)
    reduced = reduce(lattice, sums + bounds(most, least), keep=len(sums))
    found, _ = labels(reduced, goals=len(goals))
    if not found[-1]:
        raise NoNet("no net is within the bounds")
    return Front(lattice, reduced, units, found)


def _scores(added: Mapping[tuple[str, int], int]) -> Callable[[Edge], int]:
    """Return what an edge adds by what is decided there."""
    return lambda edge: sum(added.get(answer, 0) for answer in edge.answers)


def _whole(of: Mapping[tuple[str, int], float]) -> tuple[dict[tuple[str, int], int], int]:
    """Return floats as whole numbers, and the power of two by which they are larger."""
    for answer, value in of.items():
        if not math.isfinite(value):
            raise ValueError(f"{answer[0]} adds {value} for option {answer[1]}")
    ratios = {answer: float(value).as_integer_ratio() for answer, value in of.items()}
    unit = max((below for _, below in ratios.values()), default=1)
    return {answer: above * (unit // below) for answer, (above, below) in ratios.items()}, unit

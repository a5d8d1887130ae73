"""Nets of a space with what they cost, whatever its budgets: all if they are few, else some drawn uniformly."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from random import Random
from typing import NamedTuple

from netdsl.space.counts import size
from netdsl.space.draws import draws
from netdsl.space.lattice import Lattice
from netdsl.space.overview import Explored


class Sample(NamedTuple):
    """What a net costs in some quantities, and whether it keeps the budgets that are sums."""

    costs: tuple[int, ...]
    kept: bool


def samples(explored: Explored, quantities: Sequence[str], most: int, seed: int = 0) -> list[Sample]:
    """Return what nets cost: all nets of a space that has at most `most`, else so many drawn uniformly."""
    places = [explored.place(name) for name in quantities]
    lattice = explored.lattice
    nets = every(lattice) if size(lattice) <= most else islice(draws(lattice, random=Random(seed)), most)
    found = []
    for answers in nets:
        sums = explored.sums(answers)
        found.append(Sample(tuple([sums[place] for place in places]), explored.within(sums)))
    return found


def every(lattice: Lattice) -> Iterator[dict[str, int]]:
    """Yield what is decided in each net."""
    end = len(lattice.edges) - 1
    todo: list[tuple[int, dict[str, int]]] = [(0, {})]
    while todo:
        vertex, answers = todo.pop()
        if vertex == end:
            yield answers
            continue
        todo += [(edge.end, {**answers, **dict(edge.answers)}) for edge in reversed(lattice.edges[vertex])]

"""A space as a graph: each path from its begin to its end is one net."""

from __future__ import annotations

from typing import NamedTuple

from netdsl.record import Record


class Edge(NamedTuple):
    """A statement run under one set of answers."""

    answers: tuple[tuple[str, int], ...]
    """What is decided here: decisions by name with the index of what each takes, in the order they are met."""
    costs: tuple[int, ...]
    """What is put down here costs so much, by the lattice's columns."""
    end: int
    """The vertex that it leads to."""


class Lattice(Record):
    """All valid nets of a space: a path has the sum of its edges' costs, and no two paths have the same answers.

    Vertex 0 is the begin, the last vertex the end; edges lead to vertices that come later, and from each vertex some
    path leads to the end. Two vertices may have several edges between them.
    """

    columns: tuple[str, ...]
    """What costs are of, such as params and macs."""
    edges: tuple[tuple[Edge, ...], ...]
    """The edges that leave each vertex; none leave the last."""

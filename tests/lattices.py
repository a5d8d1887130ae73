"""Lattices without a spec, and all of their nets by following every path."""

from random import Random
from typing import NamedTuple

from netdsl.space.lattice import Edge, Lattice


class Path(NamedTuple):
    """A net: what it costs, and what was decided."""

    costs: tuple[int, ...]
    answers: dict[str, int]


def paths(lattice: Lattice) -> list[Path]:
    """Return all nets of a lattice."""
    found: list[Path] = []
    stack = [(0, (0,) * len(lattice.columns), ())]
    while stack:
        vertex, costs, answers = stack.pop()
        if vertex == len(lattice.edges) - 1:
            assert len(dict(answers)) == len(answers)
            found.append(Path(costs, dict(answers)))
        for edge in lattice.edges[vertex]:
            total = tuple(a + b for a, b in zip(costs, edge.costs, strict=True))
            stack.append((edge.end, total, answers + edge.answers))
    return found


def random_lattice(rng: Random) -> Lattice:
    """Return a lattice of up to some thousand nets, with parallel edges, edges that skip vertices, and zeros."""
    size = rng.randint(1, 9)
    columns = rng.randint(1, 4)
    top = rng.choice((1, 9, 1000, 10**9))
    unit = rng.choice((1, 1, 7))
    edges: list[tuple[Edge, ...]] = []
    for vertex in range(size - 1):
        ends = [vertex + 1]
        ends += [min(size - 1, vertex + rng.randint(1, 3)) for _ in range(rng.choice((0, 1, 1, 2, 3)))]
        row = []
        for i, end in enumerate(ends):
            costs = tuple(unit * rng.choice((0, rng.randint(0, top))) for _ in range(columns))
            row.append(Edge(((f"d{vertex}", i),) if len(ends) > 1 else (), costs, end))
        edges.append(tuple(row))
    return Lattice(tuple(f"column{i}" for i in range(columns)), (*edges, ()))


def product(
    rng: Random, stages: int, options: int, top: int, columns: int = 2, *, same: bool = False
) -> Lattice:
    """Return a lattice whose nets take one of some options at each stage; if `same`, all stages cost the same."""
    edges: list[tuple[Edge, ...]] = []
    costs: list[tuple[int, ...]] = []
    for stage in range(stages):
        if not (same and costs):
            costs = [tuple(rng.randint(0, top) for _ in range(columns)) for _ in range(options)]
        edges.append(tuple(Edge(((f"stage{stage}", i),), cost, stage + 1) for i, cost in enumerate(costs)))
    return Lattice(tuple(f"column{i}" for i in range(columns)), (*edges, ()))


def depths(rng: Random, stages: int, most: int, options: int) -> Lattice:
    """Return a lattice whose stages decide first how many blocks they have, then each block; two columns."""
    edges: list[list[Edge]] = [[]]
    begin = 0
    for stage in range(stages):
        blocks = [[(rng.randint(0, 99), rng.randint(0, 99)) for _ in range(options)] for _ in range(most)]
        after = begin + 1 + most * (most + 1) // 2
        edges += [[] for _ in range(after - begin)]
        vertex = begin
        for depth in range(1, most + 1):
            edges[begin].append(Edge(((f"depth{stage}", depth),), (depth, 0), vertex + 1))
            for block in range(depth):
                vertex += 1
                end = after if block == depth - 1 else vertex + 1
                for i, costs in enumerate(blocks[block]):
                    edges[vertex].append(Edge(((f"block{stage}.{block}", i),), costs, end))
        begin = after
    return Lattice(("column0", "column1"), tuple(map(tuple, edges)))

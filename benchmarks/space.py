"""What a search space answers, and how long that takes: `search.net`, and `blocks.net` with more than 1e19 nets.

Budgets are the parameters and MACs that a share of all nets keeps, found by drawing. The score, a goal of fronts, is
what each option adds, drawn at random. Seconds are those of the process. Counts are the nets within the budgets; if
they are not exact, the least and the most, with their ratio.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from itertools import islice
from pathlib import Path
from random import Random
from time import process_time
from typing import TypeVar

from netdsl import api
from netdsl.space.counts import Bracket, count, size
from netdsl.space.draws import draws
from netdsl.space.fronts import Goal, front
from netdsl.space.lattice import Lattice
from netdsl.space.ranges import options, ranges

SPECS = "search", Path(__file__).parent / "blocks.net"
SAMPLE = 20_000
SHARES = 0.01, 0.5
T = TypeVar("T")


def timed(call: Callable[[], T]) -> tuple[T, float]:
    """Return what a call returns, and its seconds."""
    start = process_time()
    result = call()
    return result, process_time() - start


def sample(lattice: Lattice, columns: tuple[int, ...], random: Random) -> list[tuple[int, ...]]:
    """Return what nets cost that are drawn from all."""
    found = []
    for net in islice(draws(lattice, random=random), SAMPLE):
        vertex = 0
        sums = [0] * len(columns)
        while lattice.edges[vertex]:
            edge = next(e for e in lattice.edges[vertex] if all(net[name] == i for name, i in e.answers))
            sums = [total + edge.costs[c] for total, c in zip(sums, columns, strict=True)]
            vertex = edge.end
        found.append(tuple(sums))
    return found


def limits(costs: list[tuple[int, ...]], share: float) -> tuple[int, ...]:
    """Return limits that the share of nets keeps, each of which as many nets keep as the others."""
    ordered = [sorted(column) for column in zip(*costs, strict=True)]
    low, high = 0, len(costs) - 1
    while low < high:
        middle = (low + high) // 2
        found = tuple(column[middle] for column in ordered)
        kept = sum(all(c <= most for c, most in zip(net, found, strict=True)) for net in costs)
        low, high = (low, middle) if kept >= share * len(costs) else (middle + 1, high)
    return tuple(column[low] for column in ordered)


def said(bracket: Bracket) -> str:
    """Return a count as it is shown."""
    if bracket.exact:
        return f"{bracket.least:,}"
    return f"{bracket.least:.4g} to {bracket.most:.4g}, ratio {bracket.most / max(1, bracket.least):.6f}"


def row(what: str, seconds: float, answer: str) -> None:
    """Print a line of the table."""
    print(f"| {what} | {seconds:.3f} s | {answer} |", flush=True)


def answer(
    name: str, lattice: Lattice, most: Mapping[int, int], score: Mapping[tuple[str, int], float]
) -> None:
    """Print what is answered with these budgets."""
    bracket, seconds = timed(lambda: count(lattice, most))
    row(f"{name}: count", seconds, said(bracket))
    found, seconds = timed(lambda: ranges(lattice, most))
    exact = sum(bracket.exact for one in found for bracket in (one.least, one.most))
    row(f"{name}: ranges", seconds, f"{exact} of {2 * len(found)} ends exact")
    taken, seconds = timed(lambda: options(lattice, most))
    row(f"{name}: options", seconds, f"{len(taken.taken)} taken, {len(taken.open)} not settled")
    nets, seconds = timed(lambda: draws(lattice, most, random=Random(1)))
    row(f"{name}: tables to draw from", seconds, "")
    drawn, seconds = timed(lambda: sum(1 for _ in islice(nets, 5000)))
    row(f"{name}: {drawn} draws", seconds, f"{drawn / seconds:,.0f} a second")
    columns = [lattice.columns.index(column) for column in ("macs", "params")]
    best, seconds = timed(lambda: front(lattice, [*map(Goal, columns), Goal(score, more=True)], most))
    row(f"{name}: front of macs, params, score", seconds, f"{len(best):,} nets")
    best, seconds = timed(lambda: front(lattice, [Goal(columns[0]), Goal(score, more=True)], most))
    row(f"{name}: front of macs, score", seconds, f"{len(best):,} nets")


def main() -> None:
    """Print a table for each space."""
    for spec in SPECS:
        random = Random(1)
        explored, seconds = timed(partial(api.explore, spec))
        lattice = explored.lattice
        edges = sum(map(len, lattice.edges))
        print(
            f"\n{explored.space.name}: {size(lattice):,} nets, {len(lattice.edges)} vertices, {edges} edges\n"
        )
        print("| what | time | answer |\n|---|---:|---|")
        row("explored", seconds, "")
        answers = sorted({a for row in lattice.edges for edge in row for a in edge.answers})
        score = {a: random.gauss(0.004 * a[1], 0.003) for a in answers}
        columns = tuple(lattice.columns.index(column) for column in ("params", "macs"))
        costs = sample(lattice, columns, random)
        if explored.most:
            answer("its own budgets", lattice, explored.most, score)
        for share in SHARES:
            answer(
                f"{share:.0%} keep params",
                lattice,
                {columns[0]: limits([c[:1] for c in costs], share)[0]},
                score,
            )
            both = dict(zip(columns, limits(costs, share), strict=True))
            answer(f"{share:.0%} keep params and macs", lattice, both, score)


if __name__ == "__main__":
    main()

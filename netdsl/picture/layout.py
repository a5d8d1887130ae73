"""Places for boxes in layers from top to bottom, with few crossings and long edges that are straight.

Layers are those of the longest path, as far as there is room; an edge that passes layers has a place of its own in
each; layers are ordered by the means of neighbours, and places within a layer are the nearest to the means that keep
the order (least squares).
Sugiyama, Tagawa and Toda, IEEE Trans. SMC 11 (1981).
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Sequence
from itertools import pairwise

from netdsl.record import Record

_SWEEPS = 12
_LANE = 14.0
"""The width of a place for an edge that passes a layer."""
_BETWEEN = 18.0
"""The least distance of boxes in a layer."""
_WIDEST = 800.0
"""The most width of a layer of several boxes; what finds no room in it stands in the next."""


class Size(Record):
    """What a box takes: its own width and height, and the room for what is written below it."""

    wide: float
    high: float
    below: float = 0.0
    """Height of what is written below."""
    beside: float = 0.0
    """Width of what is written below, right of the middle."""
    mirrored: bool = False
    """Whether it is written left of the middle instead."""

    @property
    def left(self) -> float:
        """The room that it needs left of its middle."""
        return max(self.wide / 2, self.beside if self.mirrored else 0.0)

    @property
    def right(self) -> float:
        """The room that it needs right of its middle."""
        return max(self.wide / 2, 0.0 if self.mirrored else self.beside)


class Layout(Record):
    """Where boxes are (middle, top), and through which places each edge goes, the top left corner being 0, 0."""

    wide: float
    high: float
    places: tuple[tuple[float, float], ...]
    routes: tuple[tuple[tuple[float, float], ...], ...]


def arrange(sizes: Sequence[Size], edges: Sequence[tuple[int, int]], gap: float = 30.0) -> Layout:
    """Return the layout of boxes; every edge goes from a box to a later one.

    Args:
        sizes: Of the boxes.
        edges: Pairs of indices, each of them once.
        gap: The least distance between layers.
    """
    depth = _depths(sizes, edges)
    layers: list[list[int]] = [[] for _ in range(max(depth, default=-1) + 1)]
    for box, at in enumerate(depth):
        layers[at].append(box)
    above: list[list[int]] = [[] for _ in sizes]
    below: list[list[int]] = [[] for _ in sizes]
    chains = []
    all_sizes = list(sizes)
    for tail, head in edges:
        chain = [tail]
        for at in range(depth[tail] + 1, depth[head]):
            chain.append(len(all_sizes))
            layers[at].append(len(all_sizes))
            all_sizes.append(Size(_LANE, 0.0))
            above.append([])
            below.append([])
        chain.append(head)
        chains.append(chain)
        for one, other in pairwise(chain):
            below[one].append(other)
            above[other].append(one)
    _order(layers, above, below)
    x = _spread(layers, above, below, all_sizes, len(sizes))
    return _finish(layers, chains, x, all_sizes, len(sizes), gap)


def _depths(sizes: Sequence[Size], edges: Sequence[tuple[int, int]]) -> list[int]:
    """Return the layer of each box: the first below all that it reads that has room.

    Of those for which a layer has no room for all, those stay from which the longest ways lead on.
    """
    above: list[list[int]] = [[] for _ in sizes]
    below: list[list[int]] = [[] for _ in sizes]
    for tail, head in edges:
        above[head].append(tail)
        below[tail].append(head)
    ways = [0] * len(sizes)
    for box in reversed(range(len(sizes))):
        ways[box] = max((ways[head] + 1 for head in below[box]), default=0)
    depth = [0] * len(sizes)
    unread = [len(froms) for froms in above]
    ready = [box for box, count in enumerate(unread) if not count]
    at = 0
    while ready:
        ready.sort(key=lambda box: (-ways[box], box))
        used, later = 0.0, []
        for box in ready:
            used += sizes[box].left + sizes[box].right + _BETWEEN
            if used > _WIDEST and box != ready[0]:
                later.append(box)
                continue
            depth[box] = at
            for head in below[box]:
                unread[head] -= 1
                later += [head] if not unread[head] else []
        ready = later
        at += 1
    return depth


def _order(layers: list[list[int]], above: list[list[int]], below: list[list[int]]) -> None:
    """Sort the layers so that few edges cross, and keep the best order that was seen."""
    best, fewest = [list(layer) for layer in layers], _crossings(layers, below)
    for sweep in range(_SWEEPS):
        if not fewest:
            break
        down = sweep % 2 == 0
        near = above if down else below
        rank: dict[int, float] = {}
        for layer in layers if down else reversed(layers):
            for at, box in enumerate(layer):
                rank[box] = at
            means = {box: _mean([rank[n] for n in near[box]], rank[box]) for box in layer}
            layer.sort(key=means.__getitem__)
            rank.update((box, at) for at, box in enumerate(layer))
        crossings = _crossings(layers, below)
        if crossings < fewest:
            best, fewest = [list(layer) for layer in layers], crossings
    layers[:] = best


def _crossings(layers: list[list[int]], below: list[list[int]]) -> int:
    """Count the pairs of edges that cross between neighbouring layers."""
    count = 0
    for upper, lower in pairwise(layers):
        rank = {box: at for at, box in enumerate(lower)}
        heads: list[int] = []
        for box in upper:
            own = sorted(rank[n] for n in below[box])
            count += sum(len(heads) - bisect_right(heads, head) for head in own)
            for head in own:
                insort(heads, head)
    return count


def _mean(values: Sequence[float], default: float) -> float:
    return sum(values) / len(values) if values else default


def _spread(
    layers: list[list[int]],
    above: list[list[int]],
    below: list[list[int]],
    sizes: Sequence[Size],
    boxes: int,
) -> list[float]:
    """Return the middle of each place, near to those it is joined with."""
    x = [0.0] * len(sizes)
    for layer in layers:
        at = 0.0
        for box in layer:
            x[box] = at + sizes[box].wide / 2
            at += sizes[box].wide + _BETWEEN
    for sweep in range(4 * _SWEEPS):
        down, both = sweep % 2 == 0, sweep >= 2 * _SWEEPS  # at last between both sides
        for layer in layers if down else reversed(layers):
            wanted, weights = [], []
            for box in layer:
                near = [*above[box], *below[box]] if both else above[box] if down else below[box]
                pulls = [_pull(box >= boxes, other >= boxes) for other in near]
                total = sum(pulls)
                middle = sum(pull * x[other] for pull, other in zip(pulls, near, strict=True))
                wanted.append(middle / total if total else x[box])
                weights.append(total or 0.1)
            gaps = [_distance(sizes[a], sizes[b]) for a, b in pairwise(layer)]
            for box, place in zip(layer, _nearest(wanted, weights, gaps), strict=True):
                x[box] = place
    return x


def _pull(passing: bool, other: bool) -> float:
    """Return how much an edge wants to be straight, by whether it passes layers at its ends."""
    return 8.0 if passing and other else 2.0 if passing or other else 1.0


def _distance(left: Size, right: Size) -> float:
    """Return how far the middles of neighbours have to be apart; what is written beside an edge needs room, too."""
    between = _BETWEEN if left.high and right.high else _BETWEEN / 2
    return left.right + between + right.left


def _nearest(wanted: Sequence[float], weights: Sequence[float], gaps: Sequence[float]) -> list[float]:
    """Return the places nearest to those wanted, by weighted squares, that are so far apart: isotonic regression."""
    shift, shifts = 0.0, []
    for gap in [0.0, *gaps]:
        shift += gap
        shifts.append(shift)
    pools: list[tuple[float, float, int]] = []  # mean, weight, count
    for want, weight, moved in zip(wanted, weights, shifts, strict=True):
        pool = (want - moved, weight, 1)
        while pools and pools[-1][0] > pool[0]:
            mean, total, count = pools.pop()
            both = total + pool[1]
            pool = ((mean * total + pool[0] * pool[1]) / both, both, count + pool[2])
        pools.append(pool)
    means = [mean for mean, _, count in pools for _ in range(count)]
    return [mean + moved for mean, moved in zip(means, shifts, strict=True)]


def _finish(
    layers: list[list[int]],
    chains: list[list[int]],
    x: list[float],
    sizes: Sequence[Size],
    boxes: int,
    gap: float,
) -> Layout:
    """Move all to the top left corner, and give layers their heights."""
    left = min((x[box] - sizes[box].left for layer in layers for box in layer), default=0.0)
    right = max((x[box] + sizes[box].right for layer in layers for box in layer), default=0.0)
    top, y, bottom = 0.0, [0.0] * len(sizes), [0.0] * len(sizes)
    high = 0.0
    for layer in layers:
        tallest = max(sizes[box].high for box in layer)
        for box in layer:
            y[box] = top
            bottom[box] = top + (sizes[box].high if box < boxes else tallest)
        high = top + tallest
        top = high + max(gap, max(sizes[box].below for box in layer) + 12)
    x = [place - left for place in x]
    routes = []
    for chain in chains:
        points = [(x[chain[0]], bottom[chain[0]])]
        for place in chain[1:-1]:
            points += [(x[place], y[place]), (x[place], bottom[place])]
        routes.append((*points, (x[chain[-1]], y[chain[-1]])))
    places = tuple((x[box], y[box]) for box in range(boxes))
    return Layout(right - left, high, places, tuple(routes))

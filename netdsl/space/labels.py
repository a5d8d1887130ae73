"""By vertex, the sums of partial paths that no other path's sums are as good as, in all fields."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from netdsl.space.reduced import Field, Reduced

LABELS = 2_000
"""So many sums a vertex may have, where fewer than all are enough for an answer that is not quite exact."""


def labels(
    reduced: Reduced,
    *,
    back: bool = False,
    goals: int | None = None,
    most: int | None = None,
    relaxed: bool = False,
) -> tuple[list[list[int]], bool]:
    """Return by vertex the packed sums of the nondominated partial paths, in order.

    Args:
        reduced: The lattice, with the fields that are compared.
        back: Whether paths go from a vertex to the end, and their sums begin at 0; else they go from the begin.
        goals: How many fields, from the first on, are to be small; the others have to be within their limits only. To
            be given for paths from the begin. If not, all are compared.
        most: How many sums a vertex may have. If there are more, sums are left out, or changed if `relaxed`.
        relaxed: Whether sums that are too many are put together, each sum the least of a few: then no net is better
            than what is found. Else some are left out: then each that is found is a net's.

    Returns:
        The sums, and whether nothing was left out or changed.
    """
    size = len(reduced.steps)
    edges = reduced.back() if back else [[(s.cost, s.end) for s in steps] for steps in reduced.steps]
    rest = reduced.least if back else (0,) * size
    guard = reduced.guard
    found: list[list[int]] = [[] for _ in edges]
    found[-1 if back else 0] = [0 if back else reduced.begin]
    exact = True
    enough = [] if goals is None else _enough(reduced, goals)
    for vertex in range(size - 1, -1, -1) if back else range(size):
        keys = found[vertex]
        if enough and enough[vertex]:
            # less than what is enough is no better
            raised = {}
            for key in keys:
                up = key
                for whole, value in enough[vertex]:
                    up += max(0, value - (up & whole))
                raised[up] = key
            keys = sorted(raised[key] for key in nondominated(reduced, list(raised)))
        else:
            keys = nondominated(reduced, keys)
        if most is not None and len(keys) > most:
            exact = False
            keys = _fewer(reduced, keys, most, relaxed=relaxed)
        found[vertex] = keys
        for cost, end in edges[vertex]:
            if rest[end]:
                more = cost + rest[end]
                found[end] += [key + cost for key in keys if not (key + more) & guard]
            else:
                found[end] += [total for key in keys if not (total := key + cost) & guard]
    return found, exact


def _enough(reduced: Reduced, goals: int) -> list[list[tuple[int, int]]]:
    """Return by vertex the fields that are no goals, and up to which value no path to the end exceeds the limit."""
    enough: list[list[tuple[int, int]]] = [[] for _ in reduced.steps]
    for f in reduced.fields[goals:]:
        longest = [0] * len(reduced.steps)
        for vertex in range(len(longest) - 1, -1, -1):
            ahead = (f.steps(step.cost) + longest[step.end] for step in reduced.steps[vertex])
            longest[vertex] = max(ahead, default=0)
            value = (f.mask - longest[vertex]) << f.shift
            if value > reduced.least[vertex] & f.whole:
                enough[vertex].append((f.whole, value))
    return enough


def nondominated(reduced: Reduced, keys: list[int]) -> list[int]:
    """Return, in order, the packed sums that no other is as small as in all fields; of equal ones one."""
    fields = reduced.fields
    if len(keys) < 2:
        return keys
    if len(fields) < 2:
        return [min(keys)]
    keys = sorted(keys)  # what comes from one edge is in order already, which sorting makes use of
    kept: list[int] = []
    if len(fields) == 2:
        low = (1 << fields[0].shift) - 1
        least = low + 1
        for key in keys:
            if key & low < least:
                least = key & low
                kept.append(key)
        return kept
    if len(fields) == 3:
        # the second and third fields of what was kept, without what is dominated there: the third goes down
        low, third = (1 << fields[0].shift) - 1, (1 << fields[1].shift) - 1
        stairs: list[int] = [-1 << fields[0].shift | third]
        for key in keys:
            pair = key & low
            i = bisect_right(stairs, pair)
            last = pair & third
            if stairs[i - 1] & third > last or i == 1:
                kept.append(key)
                j = i
                while j < len(stairs) and stairs[j] & third >= last:
                    j += 1
                stairs[i:j] = [pair]
        return kept
    return _halved(reduced, sorted(set(keys)))


FEW = 32
"""So many sums are compared each with each."""


def _halved(reduced: Reduced, keys: list[int]) -> list[int]:
    """Return the nondominated of different sums, which are in order: none is dominated by a later one."""
    if len(keys) <= FEW:
        guard = reduced.guard
        kept: list[int] = []
        for key in keys:
            # with the guards set no field borrows from the next, and a guard is taken where the other is greater
            high = key | guard
            if not any((high - other) & guard == guard for other in kept):
                kept.append(key)
        return kept
    middle = len(keys) // 2
    first = _halved(reduced, keys[:middle])
    return first + _beyond(_halved(reduced, keys[middle:]), first, reduced.fields[1:])


def _beyond(keys: list[int], others: list[int], fields: Sequence[Field]) -> list[int]:
    """Return, in order, the sums that none of the others is as small as in all of these last three or more fields."""
    if not keys or not others:
        return keys
    head = fields[0]
    low, shift = head.whole | (1 << head.shift) - 1, head.shift
    if len(fields) == 3:
        rest, third = (1 << shift) - 1, (1 << fields[1].shift) - 1
        stairs: list[int] = [-1 << shift | third]
        kept = []
        ways = sorted(other & low for other in others)
        at = 0
        for key in sorted(keys, key=low.__and__):
            tail = key & low
            while at < len(ways) and ways[at] >> shift <= tail >> shift:
                pair = ways[at] & rest
                at += 1
                i = bisect_right(stairs, pair)
                if i == 1 or stairs[i - 1] & third > pair & third:
                    j = i
                    while j < len(stairs) and stairs[j] & third >= pair & third:
                        j += 1
                    stairs[i:j] = [pair]
            i = bisect_right(stairs, tail & rest)
            if i == 1 or stairs[i - 1] & third > tail & third:
                kept.append(key)
        return sorted(kept)
    heads = sorted({(key & low) >> shift for key in (*keys, *others)})
    if len(heads) == 1:
        return _beyond(keys, others, fields[1:])
    middle = heads[(len(heads) - 1) // 2]
    parts: dict[tuple[bool, bool], list[int]] = {(of, up): [] for of in (False, True) for up in (False, True)}
    for of, row in ((False, keys), (True, others)):
        for key in row:
            parts[of, (key & low) >> shift > middle].append(key)
    near = _beyond(parts[False, False], parts[True, False], fields)
    far = _beyond(parts[False, True], parts[True, False], fields[1:])
    return sorted(near + _beyond(far, parts[True, True], fields))


def _fewer(reduced: Reduced, keys: list[int], most: int, *, relaxed: bool) -> list[int]:
    """Return about so many sums at most for these."""
    every = -(-len(keys) // most)
    if not relaxed:
        wholes = [f.whole for f in reduced.fields]
        best = {min(keys, key=whole.__and__) for whole in wholes}
        return sorted({*keys[::every], *best})
    wholes = [f.whole for f in reduced.fields]
    groups = [keys[i : i + every] for i in range(0, len(keys), every)]
    return nondominated(
        reduced, [sum(min(key & whole for key in group) for whole in wholes) for group in groups]
    )

"""Where to cut a row of steps into parts, so that the slowest part is as fast as it can be: exact, and pure numbers.

A part goes from one place to a later one. What it does is a difference of two prefix sums; so is what it holds, but
for what is saved, which is asked for: of a part it is no sum, as two layers may save one tensor. It is only taken for
granted that a part which goes on saves no less.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any, Protocol

from netdsl.record import Record

SLACK = (1.0, 1.02, 1.1, 1.5, 2.0)
"""By how much the slowest part of a plan within a limit may be slower than without one, tried one after the other."""


class Saved(Protocol):
    """What a part saves for the backward pass."""

    def __call__(self, begin: int, end: int) -> int:
        """Return the bytes for one micro-batch of the part between two places."""


class Row(Record):
    """What is to be cut: by place, from 0 for the begin to the end."""

    work: Sequence[int]
    """What is done before the place."""
    across: Sequence[int]
    """The bytes that a cut there carries."""
    held: Sequence[int]
    """The bytes that are held for what is before the place, however many micro-batches there are."""
    saved: Saved


class TooLittle(Exception):
    """No plan fits; `least` bytes would do."""

    def __init__(self, least: int, places: tuple[int, ...]) -> None:
        """Say how many bytes the largest part of the smallest plan takes, and which plan that is."""
        super().__init__(least)
        self.least, self.places = least, places


def choose(row: Row, flights: Sequence[int], limit: int | None = None) -> tuple[int, ...]:
    """Return the places of a plan: its begin, its cuts, its end.

    Of all plans that fit it is one whose slowest part does least, of these one that carries the fewest bytes, and of
    these one whose parts are most alike.

    Args:
        row: What is to be cut; it must have a step for each part.
        flights: How many micro-batches each part holds at once.
        limit: The most bytes that a part may take.

    Raises:
        TooLittle: No plan fits.
    """
    least = _least_work(row.work, len(flights))
    if limit is None:
        found = _search(row, flights, least, None, _carried)
        assert found is not None  # without a limit there is one
        return found[1]
    for slack in SLACK:
        if plan := _search(row, flights, round(least * slack), limit, _slowest):
            break
    else:
        plan = _search(row, flights, row.work[-1], limit, _slowest)
    if plan is None:
        raise TooLittle(*_least_memory(row, flights, least))
    found = _search(row, flights, plan[0], limit, _carried)
    assert found is not None
    return found[1]


def memory_of(row: Row, begin: int, end: int, flights: int) -> int:
    """Return the bytes of a part that holds so many micro-batches."""
    return row.held[end] - row.held[begin] + flights * row.saved(begin, end)


def _least_work(work: Sequence[int], parts: int) -> int:
    """Return the least that the slowest of so many parts can do, if only that matters."""
    largest = max(after - before for before, after in pairwise(work))
    low, high = max(largest, -(-work[-1] // parts)), work[-1]
    while low < high:
        middle = (low + high) // 2
        if _parts_needed(work, middle) <= parts:
            high = middle
        else:
            low = middle + 1
    return low


def _parts_needed(work: Sequence[int], most: int) -> int:
    """Return how many parts there are if each does as much as it may; no step does more than that."""
    at = count = 0
    while at < len(work) - 1:
        at = bisect_left(work, work[at] + most + 1) - 1
        count += 1
    return count


Key = Callable[[Any, Row, Sequence[int], int, int, int], Any]
"""What is made least: of what is known of the parts before, and the row, flights, rank, begin and end of one more."""


def _slowest(before: int, row: Row, flights: Sequence[int], rank: int, begin: int, end: int) -> int:
    return max(before, row.work[end] - row.work[begin])


def _largest(before: int, row: Row, flights: Sequence[int], rank: int, begin: int, end: int) -> int:
    return max(before, memory_of(row, begin, end, flights[rank]))


def _carried(
    before: int | tuple[int, int], row: Row, flights: Sequence[int], rank: int, begin: int, end: int
) -> tuple[int, int]:
    carried, squares = before or (0, 0)  # type: ignore[misc]
    work = row.work[end] - row.work[begin]
    return carried + (row.across[end] if rank < len(flights) - 1 else 0), squares + work * work


def _search(
    row: Row, flights: Sequence[int], most: int, limit: int | None, key: Key
) -> tuple[Any, tuple[int, ...]] | None:
    """Return the least of a key and its places, of all plans whose parts do at most so much and fit, if any."""
    end, work, parts = len(row.work) - 1, row.work, len(flights)
    best: dict[int, Any] = {0: 0}
    came: list[dict[int, int]] = []
    for rank in range(parts):
        left = parts - 1 - rank
        first = end if not left else bisect_left(work, work[end] - left * most)
        new: dict[int, Any] = {}
        source: dict[int, int] = {}
        for begin, before in best.items():
            for stop in _ends(row, flights[rank], begin, max(first, begin + 1), end - left, most, limit):
                value = key(before, row, flights, rank, begin, stop)
                if stop not in new or value < new[stop]:
                    new[stop], source[stop] = value, begin
        best = dict(sorted(new.items()))
        came.append(source)
    if end not in best:
        return None
    places = [end]
    for source in reversed(came):
        places.append(source[places[-1]])
    return best[end], tuple(reversed(places))


def _ends(
    row: Row, flight: int, begin: int, first: int, last: int, most: int, limit: int | None
) -> Iterator[int]:
    """Yield the places from `first` to `last` at which a part may end that begins at a place."""
    for stop in range(first, last + 1):
        if row.work[stop] - row.work[begin] > most:
            return
        if limit is not None and memory_of(row, begin, stop, flight) > limit:
            return
        yield stop


def _least_memory(row: Row, flights: Sequence[int], least: int) -> tuple[int, tuple[int, ...]]:
    """Return how many bytes the largest part takes of the plan where that is least, and the plan."""
    balanced = _search(row, flights, least, None, _largest)
    assert balanced is not None
    return _search(row, flights, row.work[-1], balanced[0], _largest) or balanced

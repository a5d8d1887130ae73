"""Names that count up: `layer3.1`, `layer3.2` and `layer3.3`, of equal things, are `layer3.1-3`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from netdsl.record import Record


class Run(Record):
    """Equal things that are one."""

    name: str
    """With what counts up in its place: `layer3.1-3.conv1`."""
    members: Sequence[int]
    """Which they are, in their order."""


def runs(names: Sequence[str], keys: Sequence[Any]) -> list[Run]:
    """Return things in their order, those that repeat as one.

    What repeats are neighbours whose names count up by one, or parts of a net, such as `layer3.1.conv1` and all else
    in `layer3.1`, that are there again as a whole under the next number. `keys` are what equal things have in common.
    """
    items = [
        _Item([at], parts, parts) for at, parts in ((at, name.split(".")) for at, name in enumerate(names))
    ]
    return [Run(".".join(item.shown), item.members) for item in _folded(items, keys, 0)]


class _Item(Record):
    members: Sequence[int]
    parts: Sequence[str]
    """Of the first one's name."""
    shown: Sequence[str]
    """Those, with what counts up in its place."""


def _folded(items: Sequence[_Item], keys: Sequence[Any], depth: int) -> list[_Item]:
    """Return the items, of which all names begin with the same `depth` parts, with repeated ones as one."""
    found: list[_Item] = []
    at = 0
    while at < len(items):
        size = _length(items, at, depth)
        end, times = at + size, 1
        while _follows(items, keys, at, end, size, depth, times):
            end, times = end + size, times + 1
        merged = [*items[at : at + size]]
        if times > 1:
            merged = [_merged(items[n:end:size], depth) for n in range(at, at + size)]
        found += _folded(merged, keys, depth + 1) if len(merged) > 1 else merged
        at = end
    return found


def _length(items: Sequence[_Item], at: int, depth: int) -> int:
    """Return how many items from `at` on are in one part of the net: go deeper, from the same name at `depth`."""
    parts = items[at].parts
    if len(parts) <= depth + 1:
        return 1
    end = at + 1
    while end < len(items) and len(items[end].parts) > depth + 1 and items[end].parts[depth] == parts[depth]:
        end += 1
    return end - at


def _follows(
    items: Sequence[_Item], keys: Sequence[Any], at: int, end: int, size: int, depth: int, times: int
) -> bool:
    """Tell whether the items from `end` are those from `at` once more, called so, and no others are with them."""
    if end + size > len(items) or _length(items, end, depth) != size:
        return False
    return all(
        _counted(items[at + n].parts, items[end + n].parts, depth, times)
        and keys[items[at + n].members[0]] == keys[items[end + n].members[0]]
        for n in range(size)
    )


def _counted(before: Sequence[str], after: Sequence[str], depth: int, times: int) -> bool:
    """Tell whether two names differ in the number at the end of one part only, by so much."""
    if before[:depth] != after[:depth] or before[depth + 1 :] != after[depth + 1 :]:
        return False
    (one, first), (other, last) = _number(before[depth]), _number(after[depth])
    return one == other and first is not None and last == first + times


def _number(part: str) -> tuple[str, int | None]:
    digits = re.search(r"\d{1,9}$", part)
    return (part[: digits.start()], int(digits[0])) if digits else (part, None)


def _merged(items: Sequence[_Item], depth: int) -> _Item:
    first, last = items[0], items[-1]
    shown = [*first.shown]
    shown[depth] = f"{shown[depth]}-{_number(last.parts[depth])[1]}"
    return _Item([at for item in items for at in item.members], first.parts, shown)

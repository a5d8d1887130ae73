"""The rows of columns where loops over lists turn: one for each turn of each instance of a body."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from netdsl.elaborate.values import MISSING
from netdsl.lifting.items import Column, Item
from netdsl.lifting.roll import VARIABLES

T = TypeVar("T")
PLACED: tuple[Callable[[int, int], bool], ...] = (operator.ne, operator.eq, operator.lt, operator.gt)
"""How the turns in which something is there are told from the one that it is about."""


class Unsolvable(Exception):
    """A column has numbers that no parameter takes, or rows that are no turns."""


def loops_in(item: Item) -> Iterator[Item]:
    """Yield the loops over lists within an item that are in no other one."""
    if item.kind == "turns":
        yield item
        return
    for kid in item.kids:
        yield from loops_in(kid)


class Rows(NamedTuple):
    """The rows that columns have, once what is outside of loops has one for each of their turns."""

    instances: tuple[int, ...]
    """By row the instance."""
    turns: Mapping[str, Column]
    """By variable the number of a row's turn."""

    @property
    def first(self) -> list[int]:
        """By instance its first row."""
        found: dict[int, int] = {}
        for at, one in enumerate(self.instances):
            found.setdefault(one, at)
        return [found[one] for one in range(len(found))]

    def whole(self, column: Column) -> Column | None:
        """Return a column with the one value of each instance in all its rows; None where one has several."""
        if not self.turns:
            return column
        values: dict[int, Any] = {}
        for one, value in zip(self.instances, column, strict=True):
            if value is not MISSING and values.setdefault(one, value) != value:
                return None
        return tuple([values.get(one, MISSING) for one in self.instances])

    def indices(self, conditions: Sequence[Column]) -> Iterator[tuple[Column, str]]:
        """Yield places in a list that conditions are about, one in each instance, and what they are called.

        There is something in all turns but one, in all before it, or in all behind it.
        """
        if len(self.turns) != 1:
            return
        ((variable, turns),) = self.turns.items()
        seen: set[Column] = set()
        count = len(self.first)
        for condition in conditions:
            for holds in PLACED:
                found: list[int] = []
                for one in range(count):
                    own = [
                        (turn, value)
                        for at, turn, value in zip(self.instances, turns, condition, strict=True)
                        if at == one and value is not MISSING
                    ]
                    found += [p for p in range(len(own)) if all(holds(t, p) == v for t, v in own)][:1]
                if len(found) == count:
                    column = self.column(tuple(found))
                    if column not in seen and len(set(found)) > 1:
                        seen.add(column)
                        yield column, "index" if variable == "i" else "i"

    def column(self, column: tuple[T, ...]) -> tuple[T, ...]:
        """Return a column of the instances as one of the rows."""
        return tuple([column[one] for one in self.instances]) if column else ()


def spread(items: Sequence[Item], number: int) -> tuple[list[Item], Rows]:
    """Return statements of so many instances with the same rows in all columns, and these.

    Raises:
        Unsolvable: Loops of an instance have different numbers of turns.
    """
    found, rows = _spread(items, [(one,) for one in range(number)])
    depth = max(map(len, rows), default=1)
    turns = {VARIABLES[at - 1]: tuple([row[at] for row in rows]) for at in range(1, depth)}
    return found, Rows(tuple([row[0] for row in rows]), turns)


def _spread(
    items: Sequence[Item], rows: Sequence[tuple[int, ...]]
) -> tuple[list[Item], list[tuple[int, ...]]]:
    """Return statements of rows with a row for each turn of the loops within, and these rows."""
    loops = [loop for item in items for loop in loops_in(item)]
    if not loops:
        return [*items], [*rows]
    counts = loops[0].turns
    if any(loop.turns != counts for loop in loops) or 0 in counts:
        raise Unsolvable("turns")
    inner = [(*row, turn) for row, count in zip(rows, counts, strict=True) for turn in range(count)]
    made = [_spread(loop.kids, inner) for loop in loops]
    finest = max((own for _, own in made), key=lambda own: len(own[0]))
    if any(own not in (inner, finest) for _, own in made):
        raise Unsolvable("turns")
    kids = {
        id(loop): each if own == finest else stretched(each, own, finest)
        for loop, (each, own) in zip(loops, made, strict=True)
    }
    return [_stretched(item, rows, finest, kids) for item in items], finest


def stretched(
    items: Sequence[Item], rows: Sequence[tuple[int, ...]], finer: Sequence[tuple[int, ...]]
) -> list[Item]:
    """Return statements of rows with the columns of finer ones."""
    return [_stretched(item, rows, finer, {}) for item in items]


def _stretched(
    item: Item,
    rows: Sequence[tuple[int, ...]],
    finer: Sequence[tuple[int, ...]],
    loops: Mapping[int, list[Item]],
) -> Item:
    place = {row: at for at, row in enumerate(rows)}
    depth = len(rows[0])

    def column(own: Column) -> Column:
        return tuple([own[place[row[:depth]]] for row in finer]) if own else ()

    return item.copy(
        values={key: column(own) for key, own in item.values.items()},
        present=column(item.present),
        wide=column(item.wide),
        turns=(),
        kids=loops[id(item)]
        if id(item) in loops
        else [_stretched(kid, rows, finer, loops) for kid in item.kids],
    )

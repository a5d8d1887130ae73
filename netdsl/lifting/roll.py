"""Steps that are the same again and again, as a count, and numbered ones as a loop."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from netdsl.elaborate.values import MISSING
from netdsl.lifting.items import Column, Item, Named, Word, everything, op_word, skeleton
from netdsl.lifting.words import call_words, numbered, written
from netdsl.ops import catalogue
from netdsl.ops.activation import Activation
from netdsl.ops.norm import BatchNorm

PERIODS = range(1, 6)
VARIABLES = ("i", "j", "k")
LOOPED = ("call", "box", "joint", "same")
"""What a loop may hold."""
DONE = ("repeat", "turns")
"""What has been counted already."""
LEAST_TURNS = 3
"""How often a loop with lists has to turn."""
LEAST_LINES = 3
"""How many lines its body has to save in each."""


def rolled(items: Sequence[Item], loops: bool = True, lines: bool = True) -> list[Item]:
    """Return statements with counts and, if `loops` and these have `lines` of their own, loops; all within, too."""
    found: list[Item] = []
    for item in items:
        kids = rolled(item.kids, loops, item.kind in ("box", "stage")) if item.kind not in DONE else []
        found.append(item.copy(kids=kids) if kids else item)
    return counted(looped(fused(found)) if loops and lines else fused(found))


def fused(items: Sequence[Item]) -> list[Item]:
    """Return statements in which what follows a convolution, without a label, is its `norm=` and `act=`."""
    found: list[Item] = []
    for item in items:
        last = found[-1] if found else None
        if last is not None and _follows(last, item):
            op = catalogue()[item.name]
            key = "act" if issubclass(op, Activation) else "norm"
            text = f"{item.name}({', '.join(call_words(op, _plain(item)))})".removesuffix("()")
            last.values[key] = (op_word(item.name, _plain(item), text),)
        else:
            found.append(item.copy() if item.kind == "call" else item)
    return found


def _plain(item: Item) -> dict[str, Any]:
    return {key: column[0] for key, column in item.values.items()}


def _follows(one: Item, two: Item) -> bool:
    """Tell whether a layer can be the norm or activation of the one before."""
    if any(item.kind != "call" or item.label or item.name not in catalogue() for item in (one, two)):
        return False
    op, follower = catalogue()[one.name], catalogue()[two.name]
    if (
        not op.fuses
        or two.source is not None
        or any(isinstance(value, Word) for value in _plain(two).values())
    ):
        return False
    if issubclass(follower, Activation):
        return follower.fuses_into and "act" not in one.values
    return issubclass(follower, BatchNorm) and not {"norm", "act"} & one.values.keys()


# ---------------------------------------------------------------- counts


def counted(items: Sequence[Item]) -> list[Item]:
    """Return statements in which equal steps in a row are one with a count."""
    found: list[Item] = []
    at = 0
    while at < len(items):
        end, step = _run(items, at)
        if end - at > 1:
            first = items[at]
            values: dict[str, Any] = {"count": (end - at,)}
            if first.kind == "call" and "stride" in step.values:
                values["first"] = first.values["stride"]
            made = Item("repeat", values=values, kids=[step.copy(source=None)], source=first.source)
            made.shape, made.shrinks = items[end - 1].shape, any(one.shrinks for one in items[at:end])
            found.append(made)
        else:
            found.append(items[at])
        at = end
    return found


def _run(items: Sequence[Item], begin: int) -> tuple[int, Item]:
    """Return where a run of equal steps ends, and the step that it is a number of."""
    first = items[begin]
    if first.kind not in ("call", "box") or first.label or first.binds:
        return begin + 1, first
    step, end = first, begin + 1
    while end < len(items):
        item = items[end]
        if item.source is not None or item.label or item.kind != first.kind:
            break
        if end == begin + 1 and first.values.get("stride") not in (None, (1,)):
            if item.values.get("stride") == (1,):  # `/2 first`
                trial = first.copy(source=None)
                trial.values["stride"] = (1,)
                both = same(trial, item)
                if both is not None:
                    step, end = both, end + 1
                    continue
        both = same(step.copy(source=None), item)
        if both is None:
            break
        step, end = both, end + 1
    return end, step


def same(one: Item, two: Item) -> Item | None:
    """Return what two items are if they are the same, but for numbers that do not matter."""
    if one.skeleton() != two.skeleton() or one.values.keys() != two.values.keys():
        return None
    values: dict[str, Column] = {}
    for key, column in one.values.items():
        other = two.values[key]
        if len(column) > 1 or len(other) > 1:  # of turns
            if column != other:
                return None
            values[key] = column
            continue
        (a,), (b,) = column, other
        if a is MISSING or b is MISSING:
            values[key] = (b if a is MISSING else a,)
        elif a == b and type(a) is type(b):
            values[key] = (a,)
        else:
            return None
    kids = [same(a, b) for a, b in zip(one.kids, two.kids, strict=True)]
    if any(kid is None for kid in kids):
        return None
    return one.copy(values=values, kids=kids, shape=one.shape if one.shape == two.shape else "")


# ---------------------------------------------------------------- loops


def looped(items: Sequence[Item]) -> list[Item]:
    """Return statements in which numbered ones of a period are a loop."""
    found: list[Item] = []
    at = 0
    while at < len(items):
        best: tuple[int, Item] | None = None
        for period in PERIODS:
            loop = _loop(items, at, period)
            if loop is not None and (best is None or loop[0] > best[0]):
                best = loop
        for period in PERIODS if best is None else ():
            loop = _varied(items, at, period)
            if loop is not None and (best is None or loop[0] > best[0]):
                best = loop
        if best is not None:
            found.append(best[1])
            at = best[0]
        else:
            found.append(items[at])
            at += 1
    return found


def _loop(items: Sequence[Item], begin: int, period: int) -> tuple[int, Item] | None:
    """Return where a loop ends that begins here, and it."""
    variable = _variable(items[begin : begin + period])
    turns, names = _turns(items, begin, period, variable)
    body = turns[0] if turns else []
    number = 1
    for turn in turns[1:]:
        both = [same(a, b) for a, b in zip(body, turn, strict=True)]
        if any(one is None for one in both):
            break
        body = [one for one in both if one is not None]
        number += 1
    if number < 2 or (number == 2 and period == 1 and body[0].kind != "joint"):
        return None
    values: dict[str, Any] = {"begin": (names.start,), "count": (number,), "variable": (variable,)}
    return begin + number * period, Item("loop", values=values, kids=body, source=items[begin].source)


class _Names:
    """How the names of a loop follow from the number of its turn."""

    def __init__(self, variable: str) -> None:
        self.variable = variable
        self.start = -1
        """The number of the first turn, which is that of the first name that differs."""

    def of_two(self, one: str, two: str) -> str:
        """Return what two names of the first and the second turn are, "" where they differ otherwise."""
        parts, others = re.split(r"(\d+)", one), re.split(r"(\d+)", two)
        unlike = [at for at, pair in enumerate(zip(parts, others, strict=False)) if pair[0] != pair[1]]
        if not unlike:
            return one if one == two else ""
        at = unlike[0]
        plain = len(unlike) == 1 and len(parts) == len(others) and at % 2 == 1
        if not plain or int(others[at]) != int(parts[at]) + 1 or str(int(parts[at])) != parts[at]:
            return ""
        self.start = int(parts[at]) if self.start < 0 else self.start
        further = int(parts[at]) - self.start
        parts[at] = f"{{{self.variable}{f'{further:+}' if further else ''}}}"
        made = "".join(parts)
        return made if made.startswith('"') or not made.startswith("{") else f'"{made}"'

    def at(self, name: str, turn: int) -> str:
        """Return a name in a turn."""
        number = self.start + turn
        found = re.sub(rf"{{{self.variable}([+-]\d+)?}}", lambda m: str(number + int(m[1] or 0)), name)
        return found


def _turns(items: Sequence[Item], begin: int, period: int, variable: str) -> tuple[list[list[Item]], _Names]:
    """Return the turns of a loop that begins here, whose names are the same with a variable for their numbers."""
    names = _Names(variable)
    first, second = (list(items[at : at + period]) for at in (begin, begin + period))
    if not variable or len(second) < period or any(item.kind not in LOOPED for item in first):
        return [], names
    start = first[0].copy(source=None)
    body = [_named(a, b, names.of_two) for a, b in zip([start, *first[1:]], second, strict=True)]
    if names.start < 0 or any(item is None for item in body):
        return [], names
    turns: list[list[Item]] = []
    while True:
        at, number = begin + len(turns) * period, len(turns)
        turn = [*items[at : at + period]]
        if turn and not turns:
            turn[0] = turn[0].copy(source=None)
        if len(turn) < period:
            return turns, names

        def follows(name: str, own: str, number: int = number) -> str:
            return name if names.at(name, number) == own else ""

        made = [_named(a, b, follows) for a, b in zip(body, turn, strict=True) if a is not None]
        if any(item is None for item in made):
            return turns, names
        turns.append([item for item in made if item is not None])


def _named(one: Item, two: Item, name: Callable[[str, str], str]) -> Item | None:
    """Return the second of two items with other names, None where they have no names in common."""
    if one.kind != two.kind or one.name != two.name or len(one.kids) != len(two.kids):
        return None
    if (one.source is None) != (two.source is None) or len(one.binds) != len(two.binds):
        return None
    sources = list(zip(one.source or (), two.source or (), strict=False))
    texts = [(one.label, two.label), *sources, *zip(one.binds, two.binds, strict=True)]
    if len(one.source or ()) != len(two.source or ()) or any(type(a) is not str for a, _ in texts):
        return None
    found = [a if a == b else name(a, b) for a, b in texts]
    kids = [_named(a, b, name) for a, b in zip(one.kids, two.kids, strict=True)]
    if any(text == "" != a for text, (a, _) in zip(found, texts, strict=True)) or None in kids:
        return None
    label, *others = found
    source = None if two.source is None else tuple(others[: len(sources)])
    return two.copy(label=label, source=source, binds=tuple(others[len(sources) :]), kids=kids)


def _varied(items: Sequence[Item], begin: int, period: int) -> tuple[int, Item] | None:
    """Return where a loop ends that begins here and gives a few numbers another value in each turn, and it."""
    first = items[begin : begin + period]
    variable = _variable(first)
    if len(first) < period or not all(item.kind in ("call", "box") for item in first) or not variable:
        return None
    number = re.search(r"\d+", first[0].label)
    bare = period > 1 and all(item.kind == "box" and not item.label for item in first)
    if not bare and (number is None or sum(map(_lines, first)) < LEAST_LINES):
        return None
    start = int(number[0]) if number is not None else 0
    names = [numbered(item.label, 0, start, variable) for item in first]
    turns: list[list[Item]] = []
    while (bare or _all_numbered(first, names)) and begin + (len(turns) + 1) * period <= len(items):
        at = begin + len(turns) * period
        turn = items[at : at + period]
        labels = [numbered(item.label, 0, start + len(turns), variable) for item in turn]
        if labels != names or (bare and any(item.label for item in turn)):
            break
        plain = [item.copy(label=name) for item, name in zip(turn, names, strict=True)]
        if any(item.source is not None for item in turn) or skeleton(plain) != skeleton(
            turns[0] if turns else plain
        ):
            break
        turns.append(plain)
    if len(turns) < LEAST_TURNS:
        return None
    columns = _columns(turns)
    if columns is None:
        return None
    lists: dict[tuple[Any, ...], str] = {}
    for key, column in columns:
        if len(set(column)) > 1 and column not in lists:
            name = {"count": "n", "channels": "c"}.get(key, key)
            if name in catalogue() or name in lists.values() or name in (*VARIABLES, "stride"):
                return None
            lists[column] = name
    if not 0 < len(lists) <= 2:
        return None
    numbers = iter(columns)

    def replaced(item: Item) -> Item:
        values = {}
        for key, own in item.values.items():
            _, column = next(numbers)
            values[key] = (Named(own[0], lists[column]),) if column in lists else own
        return item.copy(values=values, kids=[replaced(kid) for kid in item.kids], shape="")

    shown = [f"[{', '.join(map(written, column))}]" for column in lists]
    taken = ", ".join(lists.values())
    many = len(lists) > 1
    over = f"zip({', '.join(shown)})" if many else shown[0]
    begins = f", {start}" if start else ""
    head = f"{variable}, {f'({taken})' if many else taken} in enumerate({over}{begins})"
    loop = Item(
        "loop",
        f"{taken} in {over}" if bare else head,
        values={"variable": (variable,)},
        kids=[replaced(item) for item in turns[0]],
    )
    return begin + len(turns) * period, loop


def _variable(items: Iterable[Item]) -> str:
    """Return a name for the number of a turn that no loop within has, "" if all have been given."""
    used = {one.values["variable"][0] for one in everything(items) if one.kind == "loop"}
    return next((name for name in VARIABLES if name not in used), "")


def _columns(turns: Sequence[Sequence[Item]]) -> list[tuple[str, tuple[Any, ...]]] | None:
    """Return all numbers of the turns of a loop, None if some do not matter or are no plain ones."""
    found: list[tuple[str, tuple[Any, ...]]] = []
    for row in zip(*map(list, map(everything, turns)), strict=True):
        if any(item.values.keys() != row[0].values.keys() for item in row):
            return None
        for key in row[0].values:
            column = tuple([item.values[key][0] for item in row])
            varies = any(value != column[0] for value in column)
            if any(value is MISSING for value in column) or (
                varies and any(type(v) is not int for v in column)
            ):
                return None
            found.append((key, column))
    return found


def _lines(item: Item) -> int:
    """Return about how many lines an item takes."""
    inner = sum(map(_lines, item.kids))
    return (
        1 + inner
        if item.kind == "loop" or (item.kind == "box" and any(k.kind == "loop" for k in item.kids))
        else 1
    )


def _all_numbered(items: Sequence[Item], names: Sequence[str]) -> bool:
    """Tell whether each that has a label has one with the number of a turn."""
    return all(name or not item.label for item, name in zip(items, names, strict=True))


def filled(items: Sequence[Item], defaults: Any) -> None:
    """Give the numbers that do not matter a value: the default, or none."""
    for item in items:
        for key, column in list(item.values.items()):
            if column[0] is MISSING:
                value = defaults(item, key)
                if value is MISSING:
                    del item.values[key]
                else:
                    item.values[key] = (value,)
        filled(item.kids, defaults)

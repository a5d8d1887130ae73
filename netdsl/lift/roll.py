"""Steps that are the same again and again, as a count, and numbered ones as a loop."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from netdsl.elaborate.values import MISSING
from netdsl.lift.items import Item, OpWord, Word
from netdsl.lift.words import call_words
from netdsl.ops import catalogue
from netdsl.ops.activation import Activation
from netdsl.ops.norm import BatchNorm

PERIODS = range(1, 6)


def rolled(items: Sequence[Item]) -> list[Item]:
    """Return statements with counts and loops, those within included."""
    found: list[Item] = []
    for item in items:
        item = item.copy(kids=rolled(item.kids)) if item.kids and item.kind != "repeat" else item
        found.append(item)
    return counted(looped(fused(found)))


def fused(items: Sequence[Item]) -> list[Item]:
    """Return statements in which what follows a convolution, without a label, is its `norm=` and `act=`."""
    found: list[Item] = []
    for item in items:
        last = found[-1] if found else None
        if last is not None and _follows(last, item):
            op = catalogue()[item.name]
            key = "act" if issubclass(op, Activation) else "norm"
            word = OpWord(f"{item.name}({', '.join(call_words(op, _plain(item)))})".removesuffix("()"))
            word.op, word.values = item.name, _plain(item)
            last.values[key] = (word,)
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
    if not op.fuses or two.source is not None or any(isinstance(value, Word) for value in _plain(two).values()):
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
            found.append(
                Item("repeat", values=values, kids=[step.copy(source=None)], source=first.source)
            )
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
    values = {}
    for key, (a,) in one.values.items():
        (b,) = two.values[key]
        if a is MISSING or b is MISSING:
            values[key] = (b if a is MISSING else a,)
        elif a == b and type(a) is type(b):
            values[key] = (a,)
        else:
            return None
    kids = [same(a, b) for a, b in zip(one.kids, two.kids, strict=True)]
    if any(kid is None for kid in kids):
        return None
    return one.copy(values=values, kids=kids)


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
        if best is not None:
            found.append(best[1])
            at = best[0]
        else:
            found.append(items[at])
            at += 1
    return found


def _loop(items: Sequence[Item], begin: int, period: int) -> tuple[int, Item] | None:
    """Return where a loop ends that begins here, and it."""
    first = items[begin : begin + period]
    numbers = re.findall(r"\d+", first[0].label) if len(first) == period else []
    if not numbers or not all(item.kind in ("call", "box") for item in first):
        return None
    for place in range(len(numbers) - 1, -1, -1):
        start = int(numbers[place])
        names = [_numbered(item.label, place, start) for item in first]
        if not all(names):
            continue
        body = [item.copy(label=name, source=None) for item, name in zip(first, names, strict=True)]
        body[0].source = None
        if any(item.source is not None for item in first[1:]):
            return None
        turns, end = 1, begin + period
        while end + period <= len(items):
            turn = items[end : end + period]
            labels = [_numbered(item.label, place, start + turns) for item in turn]
            if labels != names or any(item.source is not None for item in turn):
                break
            plain = [item.copy(label=name) for item, name in zip(turn, names, strict=True)]
            both = [same(a, b) for a, b in zip(body, plain, strict=True)]
            if any(one is None for one in both):
                break
            body = [one for one in both if one is not None]
            turns, end = turns + 1, end + period
        if turns > 1 and (turns > 2 or period > 1):
            values: dict[str, Any] = {"begin": (start,), "count": (turns,)}
            return end, Item("loop", values=values, kids=body, source=first[0].source)
    return None


def _numbered(label: str, place: int, number: int) -> str:
    """Return a label with `{i}` for one of its numbers, "" if that is another."""
    parts = re.split(r"(\d+)", label)
    if len(parts) <= 2 * place + 1 or parts[2 * place + 1] != str(number):
        return ""
    parts[2 * place + 1] = "{i}"
    made = "".join(parts)
    return made if made.startswith('"') or not made.startswith("{") else f'"{made}"'


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

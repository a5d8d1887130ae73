"""Bodies of one class laid over each other: what some lack is there under a condition, numbers become columns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import combinations
from typing import Any

from netdsl.elaborate.values import MISSING
from netdsl.lifting.items import Column, Item, Word, padded
from netdsl.lifting.words import numbered
from netdsl.ops import catalogue
from netdsl.ops.activation import Activation
from netdsl.ops.conv import Conv, DwConv

OPTIONAL = ("call", "box", "joint", "branch", "repeat", "same", "given")
"""What may be there in some instances only."""
LEAST_FIT = {"bind": -8.0, "joint": -4.0, "branch": -4.0}
"""How badly what two items hold may fit, by their kind."""
OP = "op"
"""The column of a call that says which activation it is."""


def stacked(bodies: Sequence[Sequence[Item]]) -> list[Item]:
    """Return bodies of one skeleton as one, with a row of each in every column."""
    return [_stacked(row) for row in zip(*bodies, strict=True)]


def _stacked(row: Sequence[Item]) -> Item:
    first = row[0]
    keys = dict.fromkeys(key for item in row for key in item.values)
    return first.copy(
        values={key: _joined(key, row) for key in keys},
        present=tuple([flag for item in row for flag in item.present]),
        wide=tuple([value for item in row for value in item.wide]),
        kids=[_stacked(kids) for kids in zip(*[item.kids for item in row], strict=True)],
    )


def _joined(key: str, items: Sequence[Item]) -> Column:
    return tuple([value for item in items for value in _column(item, key)])


def _column(item: Item, key: str) -> Column:
    """Return a column of an item, with the op's default where it is not given."""
    if key in item.values:
        return item.values[key]
    if key == OP:
        return tuple([item.name if flag else MISSING for flag in item.present])
    op = catalogue().get(item.name)
    default = op._defaults.get(key) if op is not None else None
    return tuple([default if flag else MISSING for flag in item.present])


def settled(items: Sequence[Item]) -> list[Item] | None:
    """Return statements in which all turns of a loop lie over each other; None where they cannot.

    They need not have much in common. All turns of all instances are taken one by one, so that what some of them do
    has one place.
    """
    found: list[Item] = []
    for item in items:
        kids = item.kids
        if item.kind == "turns":
            kids = item.kids[0].kids
            for turn in item.kids[1:]:
                pair = _aligned(kids, turn.kids, loose=True)
                if pair is None or len(pair[1]) > 1:
                    return None
                kids = pair[1]
        inner = settled(kids)
        if inner is None:
            return None
        found.append(item.copy(kids=inner))
    return found


def overlaid(one: Sequence[Item], two: Sequence[Item]) -> list[Item] | None:
    """Return two bodies as one, None where they have too little in common."""
    best = _aligned(one, two)
    for a, b, turned in ((one, two, False), (two, one, True)):
        names = [item.name for item in b if item.kind == "joint"]
        for at, item in enumerate(a):
            if item.kind == "joint" and item.name not in names and len(b) >= len(a) - 1:
                end = len(b) - (len(a) - at - 1)
                if end <= at:
                    continue
                flags = (True,) * len(b[0].present)
                branch = Item("branch", kids=b[at:end], present=flags)
                whole = [*b[:at], Item("joint", item.name, kids=[branch], present=flags), *b[end:]]
                found = _aligned(whole, a) if turned else _aligned(a, whole)
                if found is not None and (best is None or found[0] > best[0]):
                    best = found
    return best[1] if best is not None else None


def _weight(item: Item) -> float:
    return 1 + len(item.values) / 4 + sum(map(_weight, item.kids)) + 2 * bool(item.label)


def _aligned(
    one: Sequence[Item], two: Sequence[Item], loose: bool = False
) -> tuple[float, list[Item]] | None:
    """Return how well two sequences fit each other, and the one that they make; any fit is enough if `loose`."""
    n = len(one[0].present) if one else 0
    m = len(two[0].present) if two else 0
    if not one and not two:
        return 0.0, []
    if len(one) * len(two) > 40_000:
        return None
    unlike = -1e9
    scores = [[0.0] * (len(two) + 1) for _ in range(len(one) + 1)]
    pairs: dict[tuple[int, int], tuple[float, Item]] = {}
    losses = [[-_weight(item) if item.kind in OPTIONAL else unlike for item in items] for items in (one, two)]
    for i in range(len(one), -1, -1):
        for j in range(len(two), -1, -1):
            options = []
            if i < len(one):
                options.append(losses[0][i] + scores[i + 1][j])
            if j < len(two):
                options.append(losses[1][j] + scores[i][j + 1])
            if i < len(one) and j < len(two):
                pair = _paired(one[i], two[j], loose)
                if pair is not None:
                    pairs[i, j] = pair
                    options.append(pair[0] + scores[i + 1][j + 1])
            scores[i][j] = max(options, default=0.0)
    if scores[0][0] < unlike / 2:
        return None
    found: list[Item] = []
    i = j = 0
    while i < len(one) or j < len(two):
        if (i, j) in pairs and scores[i][j] == pairs[i, j][0] + scores[i + 1][j + 1]:
            found.append(pairs[i, j][1])
            i, j = i + 1, j + 1
        elif i < len(one) and scores[i][j] == losses[0][i] + scores[i + 1][j]:
            found.append(padded(one[i], 0, m))
            i += 1
        else:
            found.append(padded(two[j], n, 0))
            j += 1
    twice = Counter(
        (item.kind, item.name, item.label) for item in found if item.label and not all(item.present)
    )
    if any(number > 1 for number in twice.values()):  # the same module, read from elsewhere
        return None
    if not _all_given(found, (True,) * (n + m)):
        return None
    return scores[0][0], found


def _alike(one: Item, two: Item) -> bool:
    """Tell whether two steps are the same but for the numbers in them, which are of the same arguments."""
    if one.skeleton() != two.skeleton() or one.values.keys() != two.values.keys():
        return False
    return one.kind == "turns" or all(_alike(a, b) for a, b in zip(one.kids, two.kids, strict=True))


def _all_given(items: Sequence[Item], every: Column) -> bool:
    """Tell whether each name that statements give a shared value is given one in every instance."""
    given: dict[tuple[Any, ...], Column] = {}
    for item in items:
        if item.kind == "given":
            flags = given.get(item.binds, item.present)
            given[item.binds] = tuple([a or b for a, b in zip(flags, item.present, strict=True)])
    return all(flags == every for flags in given.values())


def _paired(one: Item, two: Item, loose: bool = False) -> tuple[float, Item] | None:
    """Return how well two items fit each other, and the one that they make."""
    if "repeat" in (one.kind, two.kind) and one.kind != two.kind:
        one, two = _repeated(one), _repeated(two)
    one, two = (_looped(item, other) for item, other in ((one, two), (two, one)))
    if one.name != two.name:
        one, two = (_grouped(item, other.name) for item, other in ((one, two), (two, one)))
    if one.kind != two.kind or one.label != two.label or one.binds != two.binds:
        return None
    if loose and not one.label and one.kind not in ("branch", "joint", "turns") and not _alike(one, two):
        return None
    activations = one.kind == "call" and all(_is_activation(item) for item in (one, two))
    if (one.name != two.name and not activations) or one.source != two.source:
        return None
    if one.kind == "call" and one.values.keys() != two.values.keys() and one.name not in catalogue():
        return None
    if one.kind == "turns":
        rows = {"present": (*one.present, *two.present), "turns": (*one.turns, *two.turns)}
        return 1.0, one.copy(kids=[*one.kids, *two.kids], **rows)
    kids: list[Item] = []
    score = 1 + 2.0 * bool(one.label)
    if one.kind == "box" and one.kids and two.kids:
        one, two = [item.copy(kids=[]) if _is_empty(item) else item for item in (one, two)]
    if one.kids or two.kids:
        flags = [item.kids[0].present if item.kids else item.present for item in (one, two)]
        if not one.kids or not two.kids:
            if one.kind not in ("branch", "box", "given"):
                return None
            kids = [
                padded(kid, len(flags[0]) * (not one.kids), len(flags[1]) * (not two.kids))
                for kid in (one.kids or two.kids)
            ]
            if not all(kid.kind in OPTIONAL and kid.source is None for kid in kids):
                return None
            score -= sum(map(_weight, kids)) / 2
        else:
            found = _aligned(one.kids, two.kids, loose)
            least = LEAST_FIT.get(one.kind, -2.0 * bool(one.label))
            if found is None or (found[0] < least and not loose):
                return None
            score, kids = score + (max(found[0], 0) if loose else found[0]), found[1]
    keys = dict.fromkeys((*one.values, *two.values))
    if one.name != two.name or OP in keys:
        keys[OP] = None
    values = {key: (*_column(one, key), *_column(two, key)) for key in keys}
    for column in values.values():
        words = {value for value in column if isinstance(value, Word)}
        if (words and {value for value in column if value is not MISSING} != words) or len(words) > 1:
            return None
    score += sum(
        0.5 if len({repr(value) for value in column if value is not MISSING}) < 2 else 0.1
        for column in values.values()
    )
    wide = (*one.wide, *two.wide)
    pairs = [_equal(item) for item in (one, two)]
    score += len(pairs[0] & pairs[1]) - len(pairs[0] ^ pairs[1])
    return score, one.copy(values=values, present=(*one.present, *two.present), kids=kids, wide=wide)


def _equal(item: Item) -> set[tuple[str, str]]:
    """Return the pairs of arguments that are one number in each instance: channels and groups, for example."""
    columns = {
        key: column
        for key, column in item.values.items()
        if all((type(value) is int and value > 1) or value is MISSING for value in column)
    }
    return {pair for pair in combinations(sorted(columns), 2) if columns[pair[0]] == columns[pair[1]]}


def _grouped(item: Item, name: str) -> Item:
    """Return a depthwise convolution as one in groups where another instance has such a one."""
    if item.name != DwConv.name or name != Conv.name:
        return item
    multipliers = _column(item, "multiplier")
    pairs = zip(item.wide, multipliers, strict=True)
    channels = [MISSING if MISSING in pair else pair[0] * pair[1] for pair in pairs]
    values = {key: column for key, column in item.values.items() if key != "multiplier"}
    return item.copy(name=name, values={**values, "channels": tuple(channels), "groups": item.wide}, wide=())


def _is_empty(item: Item) -> bool:
    """Tell whether a container has nothing in it: what comes in leaves."""
    return len(item.kids) == 1 and item.kids[0].kind == "from" and item.kids[0].source == ("flow",)


def _is_activation(item: Item) -> bool:
    op: Any = catalogue().get(item.name)
    plain = not item.values or set(item.values) == {OP}
    return op is not None and issubclass(op, Activation) and op.fuses_into and plain


def _looped(item: Item, loop: Item) -> Item:
    """Return a step with the first number of a loop's turns as a loop that turns once, where that has such a one."""
    if loop.kind != "loop" or item.kind == "loop" or len(loop.kids) > 1 or "count" not in loop.values:
        return item
    variable = next(value for value in loop.values["variable"] if value is not MISSING)
    begin = next(value for value in loop.values["begin"] if value is not MISSING)
    if numbered(item.label, 0, begin, variable) != loop.kids[0].label:
        return item
    values = {"begin": begin, "count": 1, "variable": variable}
    return Item(
        "loop",
        loop.name,
        values={
            key: tuple([value if flag else MISSING for flag in item.present]) for key, value in values.items()
        },
        kids=[item.copy(label=loop.kids[0].label, source=None)],
        source=item.source,
        present=item.present,
    )


def _repeated(item: Item) -> Item:
    """Return a step as the one copy of a repetition."""
    if item.kind not in ("call", "box"):
        return item
    values: dict[str, Column] = {"count": tuple([1 if flag else MISSING for flag in item.present])}
    step = item.copy(source=None)
    if "stride" in item.values:
        values["first"] = item.values["stride"]
        step.values["stride"] = tuple([1 if flag else MISSING for flag in item.present])
    return Item("repeat", values=values, kids=[step], present=item.present, source=item.source)

"""Blocks that are given a list of maps and do the same with each: loops over `x[i]`, in forks and joints.

HRNet's modules are such: branches of one form, and for each of them the sum of all, brought to its size. What turns
do is laid over each other as bodies of a class are (`overlay.py`), so a column has a row for each turn of each
instance (`rows.py`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from netdsl.ir.graph import Scope, Value
from netdsl.lifting.body import Body
from netdsl.lifting.items import Item
from netdsl.lifting.roll import VARIABLES, rolled
from netdsl.lifting.rows import loops_in
from netdsl.lifting.words import numbered

if TYPE_CHECKING:
    from netdsl.lifting.file import File

Values = tuple[Value, ...]
Turn = list[Item]
"""The statements of one turn."""


def over_lists(file: File, scope: Scope) -> list[Item] | None:
    """Return the statements of a block that is given a list of maps, with loops over it; None if there are none."""
    if len(scope.inputs) < 2 or scope.input_names:
        return None
    flow, items = scope.inputs, [*scope.written]
    found: list[Item] = []

    def body(own: Sequence[str | Scope], made: Values) -> list[Item]:
        """Return the statements of some of the items, in which the maps are `x[0]`, `x[1]` and so on."""
        inner = Body(file, scope, own)
        inner.idle = True
        name = "x" if flow == scope.inputs else "flow"
        inner.naming.names.update({value: f"{name}[{at}]" for at, value in enumerate(flow)})
        return inner.block(flow, (), made)

    while len(items) >= len(flow) and (made := _mapped(file, items[: len(flow)], flow)):
        loop = _forked([body([item], (value,)) for item, value in zip(items, made, strict=False)], 0)
        if loop is None:
            return None
        found.append(loop)
        flow, items = made, items[len(flow) :]
    outputs = scope.outputs
    if not items:
        return found if flow == outputs else None
    if outputs[:-1] == flow == scope.inputs:  # one more
        return _extended(body(items, outputs[-1:]), len(flow))
    if len(outputs) == 1 and not found:
        made_ = _joined(body(items, outputs), len(flow), 0)
        return made_ if any(item.kind == "joint" and loops_in(item) for item in made_) else None
    groups = _groups(file, items, flow, outputs) if len(outputs) == len(flow) else None
    if groups is None:
        return None
    turns = [_joined(body(own, (value,)), len(flow), 1) for own, value in zip(groups, outputs, strict=True)]
    loop = _forked(turns, 0)
    return None if loop is None else [*found, loop]


def _mapped(file: File, items: Sequence[str | Scope], flow: Values) -> Values:
    """Return what items make of which each reads one value of a list, in its order; () if they do not."""
    reads = [item.inputs if isinstance(item, Scope) else file.graph[item].inputs for item in items]
    makes = [item.outputs if isinstance(item, Scope) else (Value(item),) for item in items]
    if reads != [(value,) for value in flow] or any(len(made) != 1 for made in makes):
        return ()
    return tuple([made for (made,) in makes])


def _groups(
    file: File, items: Sequence[str | Scope], flow: Values, outputs: Values
) -> list[list[str | Scope]] | None:
    """Return the items of which each output is made, which are in a row for each; None if they are not."""
    at, found = 0, list[list[str | Scope]]()
    for value in outputs:
        own: list[str | Scope] = []
        known = set(flow)
        while at < len(items) and value not in known:
            item = items[at]
            reads = item.inputs if isinstance(item, Scope) else file.graph[item].inputs
            if not known.issuperset(reads):
                return None
            known.update(item.outputs if isinstance(item, Scope) else (Value(item),))
            own.append(item)
            at += 1
        if value not in known or not own:
            return None
        found.append(own)
    return found if at == len(items) else None


# ---------------------------------------------------------------- loops


def _extended(items: list[Item], number: int) -> list[Item] | None:
    """Return the statements of a block that adds a map to a list, whose label is how many there were."""
    first = items[0]
    if first.label != f'"{number}"' or first.source != (f"x[{number - 1}]",) or len(items) > 1:
        return None
    items = [first.copy(label='"{len(x)}"', source=("x[-1]",))]
    return [*items, Item("return", source=("x", "flow"), binds=(None, None))]


def _joined(items: Sequence[Item], number: int, level: int) -> list[Item]:
    """Return statements in which joints with a branch for each map of a list are loops over it."""
    found: list[Item] = []
    for item in items:
        if item.kind == "joint" and len(item.kids) == number:
            variable = VARIABLES[level]
            turns = [_branch(kid, at, variable) for at, kid in enumerate(item.kids)]
            loop = _loop([turn for turn in turns if turn is not None], number, variable)
            item = item.copy(kids=[loop]) if loop is not None else item
        found.append(item)
    return found


def _branch(item: Item, at: int, variable: str) -> Turn | None:
    """Return a branch that reads the map of a turn as one of a loop, None if it reads another."""
    source = item.kids[0].source if item.kids and item.kids[0].source is not None else item.source
    if source not in ((f"x[{at}]",), (f"flow[{at}]",)):
        return None
    kids = [kid.copy(source=None) if place == 0 else kid for place, kid in enumerate(item.kids)]
    own = item.copy(source=(source[0].replace(str(at), variable),), kids=rolled(kids, False, False))
    made = _renamed([own], lambda label: numbered(label, len(re.findall(r"\d+", label)) - 1, at, variable))
    return None if made is None or _fixed(made) else made


def _forked(turns: Sequence[list[Item]], level: int) -> Item | None:
    """Return a fork whose branches are the turns of a loop, None if they are not."""
    variable = VARIABLES[level]
    found: list[Turn] = []
    for at, items in enumerate(turns):
        own = _renamed(
            _reading(items, at, variable), partial(numbered, place=0, number=at, variable=variable)
        )
        if own is None or _fixed(own):
            return None
        kids = rolled(own, False, False)
        if len(kids) > 1:
            kids = [Item("box", kids=kids)]
        found.append([Item("branch", kids=kids)])
    loop = _loop(found, len(turns), variable)
    return None if loop is None else Item("joint", "fork", kids=[loop])


def _loop(turns: Sequence[Turn], number: int, variable: str) -> Item | None:
    """Return turns as a loop, None if some are missing."""
    if len(turns) < number:
        return None
    loop = Item("turns", f"{variable} in range(len(x))", kids=[Item("turn", kids=turn) for turn in turns])
    loop.turns = (number,)
    return loop


def _reading(items: Sequence[Item], at: int, variable: str) -> list[Item]:
    """Return statements of a turn with a variable where they read the map of its number."""
    found: list[Item] = []
    for item in items:
        texts = [
            re.sub(rf"^(x|flow)\[{at}\]$", rf"\1[{variable}]", text) if isinstance(text, str) else text
            for text in item.source or ()
        ]
        source = None if item.source is None else tuple(texts)
        kids = item.kids if item.kind == "turns" else _reading(item.kids, at, variable)
        found.append(item.copy(source=source, kids=kids))
    return found


def _fixed(items: Sequence[Item]) -> bool:
    """Tell whether statements of a turn read maps by numbers of their own."""
    texts = [text for item in items for one in item.all() for text in one.source or ()]
    return any(isinstance(text, str) and re.fullmatch(r"(x|flow)\[-?\d+\]", text) for text in texts)


def _renamed(items: Sequence[Item], name: Callable[[str], str]) -> list[Item] | None:
    """Return statements with other labels, but for those within containers; None if a label has no other."""
    found: list[Item] = []
    for item in items:
        label = name(item.label) if item.label else ""
        kids = item.kids if item.kind == "box" and item.label else _renamed(item.kids, name)
        if kids is None or (item.label and not label):
            return None
        found.append(item.copy(label=label, kids=kids))
    return found

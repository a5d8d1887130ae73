"""Joints of many values, however a model writes them: sums as one, and what grows by a value at a time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from netdsl.ir.graph import Value
from netdsl.ir.types import Shape
from netdsl.ops.joint import Add, Concat

if TYPE_CHECKING:
    from netdsl_from_torch.tape import Frame
    from netdsl_from_torch.translate import Made


def joined(
    made: Sequence[Made], alive: Sequence[int], shapes: Sequence[tuple[Shape, ...]], outputs: Iterable[Value]
) -> list[Made]:
    """Return what is made, with other joints of the same numbers.

    `a + b + c` is one sum, if nothing else reads the first two's. Where lists of values are joined that get longer,
    `[a, b]` and then `[a, b, c]`, each joint goes on from the one before, and stands where the list is.
    """
    found = list(made)
    readers: dict[Value, list[int]] = {value: [-1] for value in outputs}
    for at in alive:
        for value in made[at].inputs:
            readers.setdefault(value, []).append(at)
    for at in alive:
        one = found[at]
        first = int(one.inputs[0].node) if one.inputs else at
        before = found[first]
        if type(one.op) is Add and type(before.op) is Add and before.frame is one.frame:
            alike = all(_shape(value, shapes) == shapes[at][0] for value in (*one.inputs, *before.inputs))
            if alike and readers[one.inputs[0]] == [at]:
                found[at] = one.replace(inputs=(*before.inputs, *one.inputs[1:]))
    lists: dict[tuple[str, tuple[Value, ...]], int] = {}
    longer: dict[int, int] = {}
    for at in alive:
        op, inputs = found[at].op, found[at].inputs
        if isinstance(op, Concat):
            ends = (end for end in range(len(inputs) - 1, 1, -1) if (op.axis, inputs[:end]) in lists)
            end = next(ends, 0)
            if end:
                longer[at] = lists[op.axis, inputs[:end]]
            lists.setdefault((op.axis, inputs), at)
    families: dict[int, list[int]] = {}
    for at, begin in longer.items():
        while begin in longer:
            begin = longer[begin]
        families.setdefault(begin, [begin]).append(at)
    for family in families.values():
        stacks = [found[at].frame.stack() for at in family]
        home = [row[0] for row in zip(*stacks, strict=False) if all(one is row[0] for one in row)][-1]
        if all(_can_leave(at, home, found, readers) for at in family):
            for at in reversed(family):
                inputs = found[at].inputs
                if at in longer:
                    begin = longer[at]
                    inputs = (Value(str(begin)), *inputs[len(found[begin].inputs) :])
                found[at] = found[at].replace(inputs=inputs, frame=home)
    return found


def _shape(value: Value, shapes: Sequence[tuple[Shape, ...]]) -> Shape:
    return shapes[int(value.node)][value.port]


def _can_leave(at: int, home: Frame, made: Sequence[Made], readers: dict[Value, list[int]]) -> bool:
    """Tell whether a joint can stand in a call around its own, in which nothing else reads what it joins."""
    stack = made[at].frame.stack()
    if stack[-1] is home:
        return True
    inner = stack[next(place for place, frame in enumerate(stack) if frame is home) + 1]

    def inside(one: int) -> bool:
        return any(frame is inner for frame in made[one].frame.stack())

    return not any(
        inside(int(value.node)) or any(one not in (-1, at) and inside(one) for one in readers[value])
        for value in made[at].inputs
    )

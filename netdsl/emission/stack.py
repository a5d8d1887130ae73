"""Equal blocks in a row as one with stacked weights, which is compiled once and run in a loop."""

from __future__ import annotations

from itertools import count

from netdsl.elaborate.layers import has_state
from netdsl.elaborate.values import Wire
from netdsl.emission.concolic import mentioned
from netdsl.emission.items import Child, If, Item, Layer, Let, Loop, Phi, Staged, walk
from netdsl.symbolic import Atom, Poly, SymFloat, SymInt, assuming, constant, known, single

_NUMBERS = count(1)


class Stack(Child):
    """So many equal blocks in a row."""

    number: Poly


def stack(staged: Staged) -> None:
    """Stack the repetitions of a class; the first turn stands by itself where it alone differs."""
    staged.changed()
    staged.items[:] = _stacked(staged.items)


def _stacked(items: list[Item]) -> list[Item]:
    result: list[Item] = []
    for item in items:
        for inner in item.inner():
            inner[:] = _stacked(inner)
        result += _of_loop(item) if isinstance(item, Loop) else [item]
    return result


def _of_loop(loop: Loop) -> list[Item]:
    """Return what stands for a loop: itself, if its turns are not equal."""
    child = _only_child(loop)
    if (
        child is None
        or not isinstance(loop.over, Atom)
        or loop.over.args[0] != "range"
        or len(loop.over.args) != 2
    ):
        return [loop]
    (carried,), (variable,) = loop.carried, loop.targets
    number: Poly = loop.over.args[1]
    first = Atom("==", (single(Atom("name", (variable,))), constant(0)))
    later = _turn(child, first, False, Stack)
    lets = [item for item in loop.body if isinstance(item, Let)]
    if variable in _read(later) or any(_own(item, first, variable) for item in lets):
        return [loop]
    if not lets and not {variable, *child.asked} & _read(child):
        return _some(number, 0, later, number, carried.begin, carried.after)
    start = _turn(child, first, True, Child)
    if variable in _read(start):
        return [loop]
    middle = carried.after if number.constant == 1 else _wire()
    begun = [start, *(Let(item.name, assumed(item.value, first, True), again=True) for item in lets)]
    found = _some(number, 0, begun, constant(1), carried.begin, middle)
    rest = number.plus(constant(1), -1)
    return [*found, *(_some(number, 1, later, rest, middle, carried.after) if number.constant != 1 else [])]


def _some(
    number: Poly, least: int, made: Child | list[Item], count: Poly, begin: Wire, after: Wire
) -> list[Item]:
    """Return blocks under the condition that there are more than `least` in all."""
    items: list[Item] = made if isinstance(made, list) else [made]
    child = items[0]
    assert isinstance(child, Child)
    known_number = number.constant is not None
    child.inputs, child.outputs = (begin,), (after if known_number else _wire(),)
    if isinstance(child, Stack):
        child.number = count
    if known_number:
        return items
    test = Atom(">", (number, constant(least)))
    return [If(test, items, [], [Phi(after, child.outputs[0], begin)])]


def _only_child(loop: Loop) -> Child | None:
    """Return the block that is all that a turn makes."""
    modules = [item for item in loop.body if not isinstance(item, Let)]
    if len(modules) != 1 or len(loop.carried) != 1 or len(loop.targets) != 1:
        return None
    child = modules[0]
    if not isinstance(child, Child) or child.again or child.name is not None or len(child.outputs) != 1:
        return None
    if any(isinstance(item, Stack) for item in walk(child.cls.items)) or not _has_state(child):
        return None
    return None if any(isinstance(item, Let) and not item.again for item in loop.body) else child


def _has_state(item: Item, around: tuple[Staged, ...] = ()) -> bool:
    """Tell whether an item, or anything in it, has weights or statistics; `around` are the classes that it is in."""
    if isinstance(item, Layer):
        return has_state(item.op)
    if not isinstance(item, Child):
        return any(_has_state(one, around) for items in item.inner() for one in items)
    within = item.cls.items if item.cls not in around else ()
    return any(_has_state(one, (*around, item.cls)) for one in within)


def _turn(child: Child, first: Atom, holds: bool, kind: type[Child]) -> Child:
    """Return the block of the first turn, or of the others."""
    turn = kind(child.key, None, child.labelled, child.span, child.inputs)
    turn.__dict__.update({k: v for k, v in child.__dict__.items() if k not in ("inputs", "outputs")})
    turn.args = {name: assumed(value, first, holds) for name, value in child.args.items()}
    if not holds:
        turn.results = ()
    return turn


def assumed(value: object, test: Atom, holds: bool) -> object:
    """Return a value where a test is known to hold, or not to."""
    if isinstance(value, SymInt):
        poly = assuming(value.poly, test, holds)
        return known(int(value), poly) if poly.constant is None else poly.constant
    if isinstance(value, SymFloat):
        return SymFloat(value, assuming(value.atom, test, holds))
    return value


def _own(item: Let, first: Atom, variable: str) -> bool:
    """Tell whether a variable changes in later turns, too."""
    read = mentioned(assumed(item.value, first, False))
    return item.name in read or variable in read


def _read(child: Child) -> set[str]:
    return {name for value in child.terms() for name in mentioned(value)}


def _wire() -> Wire:
    return Wire(-next(_NUMBERS))

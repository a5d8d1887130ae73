"""Definite assignment: what one side of a condition binds, or one turn of a loop, is bound wherever it is read.

The spec may say `w = 2*c` under `if deep:` and read `w` under another such line. It is bound whenever it is read, but
neither a reader nor a type checker sees that, and `forward` reads it from an attribute, which is always stored.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from netdsl.emission.concolic import mentioned
from netdsl.emission.function import bound_names, renamed
from netdsl.emission.items import (
    Check,
    Child,
    Container,
    If,
    Item,
    Layer,
    Let,
    Loop,
    Module,
    Pick,
    Side,
    Staged,
    Store,
    walk,
)
from netdsl.symbolic import (
    COMPARISONS,
    Atom,
    Poly,
    SymBool,
    SymFloat,
    conjuncts,
    constant,
    length,
    negated,
    select,
    single,
    term,
)
from netdsl.symbolic import item as item_of

Trail = list[tuple[list[Item], int]]
"""Where an item stands: a list and a position in it, each within what stands at the one before."""

_SAFE = {*COMPARISONS, "+", "-", "*", "and", "or", "not", "if", "group", "is", "is none", "is not none"}
"""Operations that fail for no numbers."""

_SAFE_CALLS = {"max", "min", "int", "round", "abs"}
"""Functions that fail for no numbers."""


def assign(staged: Staged) -> None:
    """Bind before a condition or loop what may not be bound where it is read: as it is there, or to 0 at first."""
    for name in unsure(staged):
        if name in unsure(staged):
            join(staged, name)
            _ = hoisted(staged, name) or guarded(staged, name) or begun(staged, name)
            staged.changed()


# ---------------------------------------------------------------- what may not be bound


def unsure(staged: Staged) -> list[str]:
    """Return the variables that the constructor, or an attribute, reads where they may not be bound."""
    own = needed(staged).intersection(bound_names(staged.items))
    found: dict[str, None] = {}
    after = _visit(staged.items, set(), own, found) if own else set()
    _stored(staged.items, after, own, found)
    for shape in staged.out_terms if staged.told else ():
        found.update(dict.fromkeys(name for size in shape for name in mentioned(size) if name in own - after))
    return list(found)


def needed(staged: Staged) -> set[str]:
    """Return the names that anything reads but variables that nobody needs."""
    found = {name for item in walk(staged.items) if not isinstance(item, Let) for name in _read(item)}
    found.update(name for shape in staged.out_terms for size in shape for name in mentioned(size))
    lets = [item for item in walk(staged.items) if isinstance(item, Let)]
    while True:
        more = {name for let in lets if let.name in found for name in mentioned(let.value)} - found
        if not more:
            return found
        found |= more


def _read(item: Item, forward: bool = True) -> Iterator[str]:
    """Yield the names that an item reads, in `forward` too or in the constructor alone."""
    for value in item.terms():
        yield from mentioned(value)
    if isinstance(item, Module) and item.name is not None:
        yield from mentioned(item.name)
    if isinstance(item, Store) or (isinstance(item, Pick) and forward):
        yield from mentioned(item.index)


def _visit(items: list[Item], sure: set[str], own: set[str], found: dict[str, None]) -> set[str]:
    """Note which of the variables items read that are not `sure` there; return those that are after them."""
    sure = set(sure)
    for item in items:
        if not isinstance(item, Let) or item.name in own:
            found.update(dict.fromkeys(name for name in _read(item, forward=False) if name in own - sure))
        if isinstance(item, Let):
            sure.add(item.name)
        elif isinstance(item, Child):
            sure.update(item.asked)
        elif isinstance(item, If):
            sides = item.inner() if item.only is None else (item.only,)
            sure |= set.intersection(*(_visit(side, sure, own, found) for side in sides))
        elif isinstance(item, Loop):
            _visit(item.body, sure.union(item.targets), own, found)
        elif isinstance(item, (Container, Side)):
            if isinstance(item, Container):  # a class of its own is given what it reads
                given = own.difference(sure, bound_names(item.items))
                inner = (name for one in walk(item.items) for name in _read(one) if name in given)
                found.update(dict.fromkeys(inner))
            sure = _visit(item.items, sure, own, found)
            if isinstance(item, Container):
                _stored(item.items, sure, own, found)
    return sure


def _stored(items: list[Item], sure: set[str], own: set[str], found: dict[str, None]) -> None:
    """Note what the `forward` of a class reads, from attributes that are set at the end of the constructor."""
    loops = [item for item in walk(items) if isinstance(item, Loop)]
    of_turns = {name for loop in loops for name in bound_names(loop.body)}  # which attributes cannot hold
    asked = own.intersection(bound_names(items)) - sure - of_turns
    for item in walk(items) if asked else ():
        if isinstance(item, Layer) and not item.op.weights(*item.before):
            read = mentioned((*item.op.arguments().values(), *(item.before if item.op.wiring else ())))
        elif isinstance(item, (If, Loop, Pick, Store)):
            read = dict.fromkeys(_read(item))
        else:
            continue
        found.update(dict.fromkeys(name for name in read if name in asked))


# ---------------------------------------------------------------- where it is bound


def _trails(items: list[Item], name: str, around: Trail | None = None) -> Iterator[Trail]:
    """Yield where a name is bound."""
    for index, item in enumerate(items):
        here = [*(around or []), (items, index)]
        if (isinstance(item, Let) and item.name == name) or (isinstance(item, Child) and name in item.asked):
            yield here
        for inner in item.inner():
            yield from _trails(inner, name, here)


def join(staged: Staged, name: str) -> None:
    """Bind a variable once, before a condition both of whose sides only bind it to a number."""
    for trail in reversed(list(_trails(staged.items, name))):
        outer, index = trail[-2] if len(trail) > 1 else trail[-1]
        item = outer[index]
        if not isinstance(item, If) or len(list(_trails([item], name))) != 2:
            continue
        lets = [one for side in item.inner() for one in side if isinstance(one, Let) and one.name == name]
        values = tuple(let.value for let in lets)
        if [let in side for let, side in zip(lets, item.inner(), strict=False)] != [True, True]:
            continue
        kinds = {type(_nothing(value)) for value in values}
        again = any(let.again or let.unpacked != (let,) for let in lets)
        if len(kinds) > 1 or kinds == {type(None)} or again:
            continue
        if mentioned(values).keys().isdisjoint(bound_names([item])):
            for let, side in zip(lets, item.inner(), strict=True):
                side.remove(let)
            outer.insert(index, Let(name, select(SymBool(True, item.test), *values)))


def hoisted(staged: Staged, name: str) -> bool:
    """Bind a variable before the condition or loop in which it is bound, if that can fail for no arguments."""
    (trail, *others) = _trails(staged.items, name)
    items, at = trail.pop()
    let = items[at]
    if others or not isinstance(let, Let) or let.again or let.unpacked != (let,):
        return False
    value = let.value
    for level in range(len(trail) - 1, -1, -1):
        (outer, index), inside = trail[level], [*trail[level + 1 :], (items, at)]
        item = outer[index]
        if isinstance(item, Loop):
            value = renamed(value, _of_first_turn(item, inside))
        if not _bound([item], let).isdisjoint(mentioned(value)) or not _safe(term(value), staged):
            return False
        if isinstance(item, (Container, Side)) or _lasts(trail[level:], trail[:level]):
            continue
        del items[at]
        moved = Let(name, value)
        moved.told = let.told
        outer.insert(index, moved)
        if name not in unsure(staged):
            return True
        del outer[index]
        items.insert(at, let)
    return False


def _lasts(inside: Trail, around: Trail) -> bool:
    """Tell whether what conditions bind lasts to turns of a loop around in which they do not hold."""
    loops = [item for items, at in around for item in [items[at]] if isinstance(item, Loop)]
    changing = {name for loop in loops for name in loop.changing()}
    tests = [item.test for items, at in inside for item in [items[at]] if isinstance(item, If)]
    return not changing.isdisjoint(mentioned(tuple(tests)))


def _bound(items: list[Item], let: Let) -> set[str]:
    """Return the names that items bind, but for those that they bind anew once a variable is bound."""
    inner = list(walk(items))
    found = {name for item in inner if isinstance(item, Loop) for name in item.targets}
    before = inner[: next(at for at, item in enumerate(inner) if item is let)]
    found |= {
        item.name for item in inner if isinstance(item, Let) and not (item.again and item not in before)
    }
    return found | {name for item in inner if isinstance(item, Child) for name in item.asked}


def _of_first_turn(loop: Loop, inside: Trail) -> dict[str, Any]:
    """Return what the variables of a loop are in its first turn, if conditions say that what is inside is in that."""
    over = loop.over
    if loop.counter is None or not isinstance(over, Atom):
        return {}
    whole, *more = over.args[1:]
    begin = constant(0)
    if over.args[0] == "enumerate":
        begin = more[0] if more else begin
    elif more:
        begin = whole
    turn, first = single(Atom("name", (loop.counter,))), begin.constant
    tests = [
        part
        for items, at in inside
        for item in [items[at]]
        if isinstance(item, If)
        for part in conjuncts(item.test if _holds(item, inside) else negated(item.test))
    ]
    if first is None or Atom("==", (turn, constant(first))) not in tests:
        return {}
    found: dict[str, Any] = {loop.counter: constant(first)}
    if over.args[0] == "enumerate":
        together = whole.args[1:] if whole.op == "call" and whole.args[0] == "zip" else (whole,)
        if len(together) == len(loop.targets) - 1:
            found.update(zip(loop.targets[1:], map(_first_item, together), strict=True))
    return found


def _first_item(whole: Atom) -> Any:
    """Return the first item of a list."""
    if whole.op == "const" and isinstance(whole.args[0], tuple):
        return term(whole.args[0][0])
    return whole.args[0] if whole.op == "tuple" else item_of(whole, constant(0))


def _holds(item: If, inside: Trail) -> bool:
    """Tell on which side of a condition the rest of a trail is."""
    return any(items is item.then for items, _ in inside)


def _safe(value: Any, staged: Staged) -> bool:
    """Tell whether an expression fails for no arguments with which the constructor begins."""
    if isinstance(value, Poly):
        return all(_safe(atom, staged) for _, atoms in value.parts.values() for atom in atoms)
    if not isinstance(value, Atom) or value.op in ("name", "const"):
        return True
    if value.op in ("//", "%", "/"):
        divisor = value.args[1].constant if isinstance(value.args[1], Poly) else None
        return bool(divisor) and _safe(value.args[0], staged)
    if value.op == "item":
        whole, index = value.args
        at = index.constant if isinstance(index, Poly) else None
        if at is None or whole.op != "name":
            return False
        enough = [
            test for check in staged.items if isinstance(check, Check) for test in conjuncts(check.test)
        ]
        return any(
            test.op in (">=", "==")
            and test.args[0] == length(whole)
            and (test.args[1].constant or 0) >= (at + 1 if at >= 0 else -at)
            for test in enough
        )
    if value.op == "call":
        return value.args[0] in _SAFE_CALLS and all(_safe(arg, staged) for arg in value.args[1:])
    return value.op in _SAFE and all(_safe(arg, staged) for arg in value.args)


def begun(staged: Staged, name: str) -> bool:
    """Let a variable be nothing before the conditions or loops in which it is bound."""
    trails = list(_trails(staged.items, name))
    binding = [items[at] for trail in trails for items, at in trail[-1:]]
    lets = [item for item in binding if isinstance(item, Let)]
    nothing = {_nothing(let.value) for let in lets} or {0}
    if len(nothing) != 1 or None in nothing or any(let.unpacked != (let,) for let in lets):
        return False
    for level in range(min(map(len, trails)) - 2, -1, -1):
        outer, index = trails[0][level]
        inside = [place for trail in trails for place in trail[level:-1]]
        if any(trail[level][0] is not outer for trail in trails):
            continue
        if isinstance(outer[index], (Container, Side)) or _lasts(inside, trails[0][:level]):
            continue
        outer.insert(index, Let(name, *nothing))
        if name not in unsure(staged):
            for let in lets:
                let.again = True
            return True
        del outer[index]
    return False


def guarded(staged: Staged, name: str) -> bool:
    """Let a condition that alone binds a variable refuse its other side, which is refused where that is read."""
    for trail in _trails(staged.items, name):
        for items, at in trail:
            item = items[at]
            if not isinstance(item, If) or all(item.inner()):
                continue
            holds = item.test if item.then else negated(item.test)
            for end in range(at + 1, len(items)):
                refused = next(_refused(items[end], holds), None)
                if refused is None or not mentioned(holds).keys().isdisjoint(bound_names(items[at:end])):
                    continue
                side = item.otherwise if item.then else item.then
                side.append(refused)
                if name not in unsure(staged):
                    return True
                side.clear()
    return False


def _refused(item: Item, holds: Atom) -> Iterator[Check]:
    """Yield what refuses that a condition does not hold, where a class was not made for that."""
    if isinstance(item, If) and item.only is not None:
        checks = (side[0] for side in item.inner() if len(side) == 1)
        yield from (one for one in checks if isinstance(one, Check) and one.test == holds)


def _nothing(value: Any) -> Any:
    """Return what a variable is that has no value yet; None: that depends."""
    if isinstance(value, (bool, SymBool)):
        return False
    if isinstance(value, (float, SymFloat)):
        return 0.0
    return 0 if isinstance(value, int) else None

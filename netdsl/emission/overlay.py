"""Bodies laid over each other: which steps they share, and which of them only some have."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from difflib import SequenceMatcher
from typing import NamedTuple, TypeVar

from netdsl.emission.code import (
    Call,
    Expr,
    skeleton,
)
from netdsl.emission.plan import Body, Ref, Step

T = TypeVar("T", bound=Hashable)


class Overlay(NamedTuple):
    """Bodies laid over each other: the common steps and outputs, and where the steps of each body are."""

    steps: tuple[Step, ...]
    outputs: tuple[Ref, ...]
    members: tuple[tuple[Body, list[int]], ...]


def overlay(bodies: list[Body]) -> Overlay | None:
    """Lay bodies over each other; None if they are different programs.

    Steps that some bodies lack are optional: they must be modules with one input and one output.
    """
    keys: list[tuple[str, str]] = []
    for body in bodies:
        keys_of = [step.key for step in body.steps]
        union = _union(keys, keys_of) if keys else keys_of
        if union is None:
            return None
        keys = union
    places = [_places(keys, [step.key for step in body.steps]) for body in bodies]
    if any(p is None for p in places):
        return None
    members = [(body, p) for body, p in zip(bodies, places, strict=True) if p is not None]
    steps: list[Step] = []
    for index in range(len(keys)):
        own = [(body, p, body.steps[p.index(index)]) for body, p in members if index in p]
        first = own[0][2]
        optional = len(own) < len(members)
        if optional and not first.may_lack:
            return None
        inputs = _agree([(p, step.inputs) for _, p, step in own], steps)
        if inputs is None:
            return None
        functions = {skeleton(step.function) for _, _, step in own}
        modules = {(skeleton(step.module), *map(skeleton, step.inits)) for _, _, step in own}
        if len(functions) > 1 or len({(step.outputs, step.train) for _, _, step in own}) > 1:
            return None
        flat = first.key[0] == "s"
        among = [step.module for _, _, step in own]
        chain = len(modules) > 1 and not optional and not flat and align(among) is not None
        argument = (optional and not flat) or (len(modules) > 1 and not chain)
        if (argument and flat) or ((argument or optional) and first.inits):
            return None
        steps.append(first.replace(inputs=inputs, optional=optional, argument=argument, chain=chain))
    if any(step.inits and step.key[0] == "s" for step in steps) and any(step.optional for step in steps):
        return None  # what follows an element that may lack has no one place
    if any(step.argument and not step.optional for step in steps) and any(step.optional for step in steps):
        return None  # they differ in what there is and in what it is: different programs
    outputs = _agree([(p, b.outputs) for b, p in members], steps)
    if outputs is None or len({len(b.scope.inputs) for b, _ in members}) > 1:
        return None
    for number, step in enumerate(steps):
        if step.optional and step.key[0] == "f":
            if step.otherwise not in step.inputs:
                return None
            steps[number] = step.replace(attribute=_shortcut(steps))
    return Overlay(tuple(steps), outputs, tuple(members))


def _shortcut(steps: Iterable[Step]) -> str:
    """Return a name for the module argument that says whether a joint is there."""
    taken = {step.attribute for step in steps}
    return next(name for name in ("shortcut", *(f"shortcut{n}" for n in range(2, 1000))) if name not in taken)


def elements(module: Expr | None) -> tuple[Expr, ...]:
    """Return the elements of a Sequential whose names are their positions, or nothing."""
    if not isinstance(module, Call) or not all(arg.role.isdigit() for arg in module.args):
        return ()
    return tuple(arg.value for arg in module.args)


def align(modules: Sequence[Expr | None]) -> tuple[list[object], list[list[int]]] | None:
    """Lay Sequentials over each other: the common elements, and where those of each are; None if they cross."""
    keys: list[object] = []
    columns = [[skeleton(element) for element in elements(module)] for module in modules]
    if not all(columns) or len({m.func for m in modules if isinstance(m, Call)}) > 1:
        return None
    for column in columns:
        union = _union(keys, column, crossing=True) if keys else column
        if union is None:
            return None
        keys = union
    places = [_places(keys, column) for column in columns]
    found = [p for p in places if p is not None]
    return (keys, found) if len(found) == len(places) else None


def _union(a: list[T], b: list[T], crossing: bool = False) -> list[T] | None:
    """Return a common order of two lists of keys; None if they cross, or hardly meet where they may cross."""
    if a == b:
        return a
    result: list[T] = []
    shared = 0
    for tag, i1, i2, j1, j2 in SequenceMatcher(None, a, b, autojunk=False).get_opcodes():
        if tag == "equal":
            shared += i2 - i1
            result += a[i1:i2]
        elif tag == "replace" and not crossing:
            return None
        else:
            result += a[i1:i2] + b[j1:j2]
    return result if 2 * shared >= min(len(a), len(b)) or len(result) == max(len(a), len(b)) else None


def _places(keys: list[T], own: list[T]) -> list[int] | None:
    """Return where the steps of one body are in the common order."""
    if keys == own:
        return list(range(len(keys)))
    places: list[int] = []
    for tag, i1, i2, _, _ in SequenceMatcher(None, keys, own, autojunk=False).get_opcodes():
        if tag == "equal":
            places += range(i1, i2)
        elif tag != "delete":  # matched piece by piece it does not fit: take the first places that do
            return _first_places(keys, own)
    return places


def _first_places(keys: list[T], own: list[T]) -> list[int] | None:
    """Return the first places where one list's elements are in the other's order."""
    places: list[int] = []
    for key in own:
        start = places[-1] + 1 if places else 0
        if key not in keys[start:]:
            return None
        places.append(keys.index(key, start))
    return places


def _agree(views: list[tuple[list[int], tuple[Ref, ...]]], steps: list[Step]) -> tuple[Ref, ...] | None:
    """Return the references that all bodies agree on, or None.

    A body that lacks an optional step reads something else in its place, and always the same; `steps` learns what.
    """
    if len({len(refs) for _, refs in views}) > 1:
        return None
    mapped = [
        (places, tuple(r if r.step < 0 else Ref(places[r.step], r.port) for r in refs))
        for places, refs in views
    ]
    merged = tuple(max(refs) for refs in zip(*(refs for _, refs in mapped), strict=True))
    for places, refs in mapped:
        if not all(_stands_for(common, ref, places, steps) for ref, common in zip(refs, merged, strict=True)):
            return None
    return merged


def _stands_for(common: Ref, own: Ref, places: list[int], steps: list[Step]) -> bool:
    """Tell whether a body that has the steps `places` reads `own` where all read `common`; `steps` learns why."""
    if common == own:
        return True
    if common.step < 0 or common.step in places:
        return False
    step = steps[common.step]
    if step.otherwise is not None:
        return _stands_for(step.otherwise, own, places, steps)
    if step.key[0] == "f":  # where a joint is lacking, one of its inputs goes on
        found = next((ref for ref in step.inputs if _stands_for(ref, own, places, steps)), None)
    else:
        found = own if own.step < common.step else None
    if found is None:
        return False
    steps[common.step] = step.replace(otherwise=found)
    return True

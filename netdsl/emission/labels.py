"""Labels with numbers that other arguments may make those of two modules, which a constructor then refuses."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, takewhile
from math import inf
from typing import Any, NamedTuple, TypeGuard

from netdsl.diagnostics import Diagnostic, NetError
from netdsl.elaborate.layers import has_state
from netdsl.emission.concolic import mentioned
from netdsl.emission.dotted import Lists
from netdsl.emission.items import Child, Container, If, Item, Layer, Let, Loop, Module, Staged, walk
from netdsl.emission.layers import expressed
from netdsl.symbolic import (
    Atom,
    Poly,
    constant,
    equalities,
    evaluate,
    in_terms_of,
    length,
    names,
    negated,
    single,
    term,
)

Label = tuple[str | Poly, ...]
"""The characters and the numbers of a label, one by one."""


Turns = Mapping[str, tuple[Poly, Poly] | None]
"""Variables that are another number in every turn of a loop: the least and what is beyond the most, if known."""


class Labelled(NamedTuple):
    """A module with a label, and what stands around it within its scope."""

    item: Module
    label: Label
    loops: tuple[Loop, ...]
    sides: Mapping[If, int]

    @property
    def numbers(self) -> list[Poly]:
        """The numbers of its label."""
        return [part for part in self.label if isinstance(part, Poly)]


class Labels:
    """The labels of a class."""

    def __init__(self, staged: Staged, constants: Mapping[str, Any]) -> None:
        """`constants` are the lists of the file, by their names."""
        self.constants = constants
        lets = [item for item in walk(staged.items) if isinstance(item, Let)]
        counts = Counter(let.name for let in lets)
        self.computed: dict[str, Any] = {}
        for let in lets:
            if counts[let.name] == 1:
                self.computed[let.name] = in_terms_of(term(let.value), self.computed)
        self.changing: set[str] = set()
        """The variables that the loops of a scope change."""
        containers = (item for item in walk(staged.items) if isinstance(item, Container))
        scopes: Iterator[Staged | Container] = chain([staged], containers)
        for scope in scopes:
            self.mark(scope.items)
            lists = Lists(scope.items, scope.first, self.computed, self.turns)
            lists.mark(self.rivalled(scope.items))
            scope.counts = not scope.first and lists.counts("")

    def mark(self, items: list[Item]) -> None:
        """Mark the modules of a scope whose label may be that of one before, or their own in another turn."""
        found = list(self.labelled(items, (), {}))
        loops = {loop for one in found for loop in one.loops}
        inner = [item for loop in loops for item in walk(loop.body)]
        self.changing = {name for loop in loops for name in loop.changing()} - self.computed.keys()
        self.changing.update(name for item in inner if isinstance(item, Child) for name in item.asked)
        begun, beyond = defaultdict[str, list[Labelled]](list), defaultdict[str, list[Labelled]](list)
        for one in found:
            begin = _begin(one.label)
            cuts = [begin[:at] for at, character in enumerate(begin) if character.isdigit()]
            near = [other for text in (begin, *cuts) for other in begun[text]]
            near += beyond[begin] if one.numbers else []
            rivals = [other.item for other in near if self.coincide(one, other)]
            one.item.doubtful = one.item.contested = self.recurs(one) or bool(rivals)
            for rival in rivals:
                rival.contested = True
            begun[begin].append(one)
            for text in cuts:  # where a number of another label may stand for its digits
                beyond[text].append(one)

    def rivalled(self, items: list[Item]) -> set[str]:
        """Mark the modules of a scope whose label may be what a list is called; return these lists, "" for some."""
        found = list(self.labelled(items, (), {}))
        heads: dict[Label, Module] = {}
        for one in found:
            if "." in one.label:
                heads.setdefault(one.label[: one.label.index(".")], one.item)
        rivals: set[str] = set()
        for one in found if heads else ():
            for head, item in heads.items():
                if "." in one.label or not alike(one.label, head):
                    continue
                one.item.doubtful = one.item.contested = True
                rivals.add(Lists.of(item) or "")
                if one.label == head:
                    message = (
                        f"`{one.item.key}` is a module for some arguments, and a list of modules for others"
                    )
                    raise NetError([Diagnostic("E508", message, one.item.span, help="give them two labels")])
        return rivals

    def labelled(
        self, items: list[Item], loops: tuple[Loop, ...], sides: Mapping[If, int]
    ) -> Iterator[Labelled]:
        """Yield the modules of a scope that have a label, and are not what has it already."""
        for item in items:
            if isinstance(item, Module):
                named = item.key and not item.by_position
                if named and not item.again:
                    yield Labelled(item, self.label(item), loops, sides)
                continue
            around = (*loops, item) if isinstance(item, Loop) else loops
            for at, inner in enumerate(item.inner()):
                yield from self.labelled(
                    inner, around, {**sides, item: at} if isinstance(item, If) else sides
                )

    def label(self, item: Module) -> Label:
        """Return the label of a module; where it has numbers, digits that stand by themselves are one, too."""
        if item.name is None:
            return tuple(item.key)
        found: list[str | Poly] = []
        parts = item.name.args
        for at, part in enumerate(parts):
            if not isinstance(part, str):
                number = in_terms_of(part, self.computed)
                found.append(single(number) if isinstance(number, Atom) else number)
                continue
            pieces = re.split(r"(\d+)", part)
            for place, piece in enumerate(pieces):
                beside = (place == 1 and not pieces[0] and at) or (
                    place == len(pieces) - 2 and not pieces[-1] and at + 1 < len(parts)
                )
                found += [constant(int(piece))] if place % 2 and not beside else piece
        return tuple(found)

    # ---------------------------------------------------------------- loops

    def steps(self, number: Poly) -> Mapping[str, Poly]:
        """Return by how much each variable of a loop moves a number; none where a step is not like the others."""
        found: dict[str, Poly] = {}
        for coefficient, atoms in number.parts.values():
            moving = [atom for atom in atoms if not self.changing.isdisjoint(names(atom))]
            if len(moving) > 1 or any(atom.op != "name" for atom in moving):
                return {}
            for atom in moving:
                step = constant(coefficient)
                for other in atoms:
                    step = step.times(single(other)) if other is not atom else step
                found[atom.args[0]] = found.get(atom.args[0], constant(0)).plus(step)
        return found

    def recurs(self, one: Labelled) -> bool:
        """Tell whether two turns of the loops around it may give a module one label, and make it another."""
        turns = self.turns_around(one)
        told = {name for number in one.numbers for name in self.told_by(number, turns)}
        told.update(name for test, side in one.sides.items() for name in self.told_if(test, side))
        apart = all(self.turns(loop.over, loop.targets).keys() & told for loop in one.loops)
        moved = [number for number in one.numbers if not self.changing.isdisjoint(names(number))]
        if apart and (len(moved) < 2 or not touching(one.label)):
            return False
        return not (is_plain(one.item) and self.changing.intersection(self.read_by(one.item)) <= told)

    def told_by(self, number: Poly, turns: Turns) -> set[str]:
        """Return the variables of loops that a number tells, each of which counts one of its digits, so to say."""
        steps, unit = dict(self.steps(number)), constant(0)
        told: set[str] = set()
        while steps:
            known = {name: abs(step.constant) for name, step in steps.items() if step.constant is not None}
            low = min(known, key=lambda name: known[name], default=None)
            name = next((name for name, step in steps.items() if step == unit), None) if told else low
            if name is None:
                return set()
            told.add(name)
            unit, ends = steps.pop(name), turns.get(name)
            if steps and ends is None:
                return set()
            unit = unit.times(ends[1].plus(ends[0], -1)) if ends is not None else unit
        return told

    def told_if(self, test: If, side: int) -> Iterator[str]:
        """Yield the variables of loops that are one number where a side of a condition is run."""
        holds = negated(test.test) if side else test.test
        for pair in equalities(in_terms_of(holds, self.computed)):
            for one, other in (pair, pair[::-1]):
                if one.atom is not None and one.atom.op == "name" and self.changing.isdisjoint(names(other)):
                    yield one.atom.args[0]

    def read_by(self, item: Layer) -> Iterator[str]:
        """Yield what the arguments of a layer read."""
        for value in (*item.op.arguments().values(), item.given):
            for name in mentioned(value):
                yield from names(self.computed.get(name, Atom("name", (name,))))

    def turns_around(self, one: Labelled) -> Turns:
        """Return the variables of the loops around a module that are another number in every turn."""
        found: dict[str, tuple[Poly, Poly] | None] = {}
        for loop in one.loops:
            found.update(self.turns(loop.over, loop.targets))
        return found

    def turns(self, over: Any, targets: tuple[str, ...]) -> Turns:
        """Return the variables that are another number in every turn, with the least and what is beyond the last."""
        listed = self.listed(over)
        if listed is not None:
            rows = [getattr(row, "cells", row) if len(targets) > 1 else (row,) for row in listed]
            return {
                name: (constant(min(column)), constant(max(column) + 1))
                for name, *column in zip(targets, *rows, strict=False)
                if all(type(cell) is int for cell in column) and 0 < len(column) == len({*column})
            }
        called, *args = over.args if over.op == "call" else ("",)
        if called == "range":
            begin, stop = (constant(0), *args) if len(args) == 1 else args[:2]
            ends = in_terms_of(begin, self.computed), in_terms_of(stop, self.computed)
            return {targets[0]: ends if len(args) < 3 else None}
        if called == "enumerate":
            begin = in_terms_of(args[1], self.computed) if len(args) > 1 else constant(0)
            known = self.listed(args[0])
            count = constant(len(known)) if known is not None else in_terms_of(length(args[0]), self.computed)
            stop = begin.plus(count)
            return {targets[0]: (begin, stop), **self.turns(args[0], targets[1:])}
        found: dict[str, tuple[Poly, Poly] | None] = {}
        for one, target in zip(args, targets, strict=False) if called == "zip" else ():
            found.update(self.turns(one, (target,)))
        return found

    def listed(self, over: Any) -> Sequence[Any] | None:
        """Return the items of a list of the file, or a part of one; None of another."""
        if over.op == "part":
            return evaluate(over, self.constants) if names(over).keys() <= self.constants.keys() else None
        known = over.args[0] if over.op == "const" else None
        known = self.constants.get(over.args[0]) if over.op == "name" else known
        return getattr(known, "rows", known)

    # ---------------------------------------------------------------- two modules

    def coincide(self, one: Labelled, other: Labelled) -> bool:
        """Tell whether two modules may have one label, and not be the same."""
        if not alike(one.label, other.label):
            return False
        if self.same(one.item, other.item):
            return False
        if any(other.sides.get(test, side) != side for test, side in one.sides.items()):
            shared = any(loop in other.loops for loop in one.loops)
            if not shared or (one.label == other.label and not self.recurs(one)):
                return False
        pairs = zip(numbers_in(one, other), numbers_in(other, one), strict=True)
        return not any(self.apart(one, number, other, number2) for number, number2 in pairs)

    def same(self, one: Module, other: Module) -> bool:
        """Tell whether two layers are one module where they have one label."""
        if not (is_plain(one) and is_plain(other)) or not self.changing.isdisjoint(self.read_by(one)):
            return False
        first, second = (expressed((o.op.name, *o.op.arguments().values())) for o in (one, other))
        return bool(first == second)

    def apart(self, one: Labelled, number: Poly, other: Labelled, number2: Poly) -> bool:
        """Tell whether the numbers of two labels are never the same, in any turns."""
        ends, ends2 = self.ends(one, number), self.ends(other, number2)
        if ends is not None and ends2 is not None:
            gaps = map(least, (ends[0].plus(ends2[1], -1), ends2[0].plus(ends[1], -1)))
            if any(gap >= 0 for gap in gaps):
                return True
        steps = [step for own in (number, number2) for step in self.steps(own).values()]
        nothing = dict.fromkeys(self.changing, constant(0))
        starts = [in_terms_of(own, nothing) if self.steps(own) else own for own in (number, number2)]
        gap, units = starts[0].plus(starts[1], -1).constant, {abs(step.constant or 1) for step in steps}
        return gap is not None and len(units) == 1 and gap % units.pop() != 0

    def ends(self, one: Labelled, number: Poly) -> tuple[Poly, Poly] | None:
        """Return the least that a number of a label is, and what is beyond the most; None where that is not known."""
        steps = self.steps(number)
        if self.changing.isdisjoint(names(number)):
            return number, number.plus(constant(1))
        ((variable, step),) = steps.items() if len(steps) == 1 else (("", constant(0)),)
        turns = self.turns_around(one).get(variable)
        if (
            not step.constant
            or turns is None
            or not self.changing.isdisjoint({*names(turns[0]), *names(turns[1])})
        ):
            return None
        ends = [in_terms_of(number, {variable: end}) for end in (turns[0], turns[1].plus(constant(-1)))]
        low, high = ends if step.constant > 0 else reversed(ends)
        return low, high.plus(constant(1))


def is_plain(item: Module) -> TypeGuard[Layer]:
    """Tell whether a module has no state, so that two equal ones of one label are one."""
    return isinstance(item, Layer) and not has_state(item.op)


def alike(one: Label, other: Label) -> bool:
    """Tell whether two labels are the same for some numbers."""
    if not one or not other:
        return one == other
    first, first2 = one[0], other[0]
    if isinstance(first, str) and isinstance(first2, str):
        return first == first2 and alike(one[1:], other[1:])
    if not all(part.isdigit() for part in (first, first2) if isinstance(part, str)):
        return False
    return (
        alike(one[1:], other[1:])
        or (isinstance(first, Poly) and alike(one, other[1:]))
        or (isinstance(first2, Poly) and alike(one[1:], other))
    )


def least(number: Poly) -> float:
    """Return the least that a number may be: no list has less than 0 items."""
    lengths = all(
        coefficient > 0 and all(atom.op == "call" and atom.args[0] == "len" for atom in atoms)
        for coefficient, atoms in number.parts.values()
        if atoms
    )
    return number.number if lengths else -inf


def touching(label: Label) -> bool:
    """Tell whether the numbers of a label cannot be told from each other, or from digits between them."""
    return re.search("#[0-9]*#", _pattern(label, "#")) is not None


def numbers_in(one: Labelled, other: Labelled) -> list[Poly]:
    """Return the numbers of a label in the places of those of another; none where they are not in such places."""
    shape, shape2 = (_pattern(label.label, "#") for label in (one, other))
    if shape == shape2:
        return one.numbers
    if touching(one.label) or touching(other.label) or (one.numbers and other.numbers):
        return []
    if one.numbers:
        return one.numbers
    found = re.fullmatch(_pattern(other.label, "([0-9]+)"), _pattern(one.label, ""))
    return [constant(int(number)) for number in found.groups()] if found is not None else []


def _begin(label: Label) -> str:
    """Return a label up to its first number that arguments or turns change."""
    parts = takewhile(lambda part: isinstance(part, str) or part.constant is not None, label)
    return "".join(part if isinstance(part, str) else str(part.constant) for part in parts)


def _pattern(label: Label, number: str) -> str:
    """Return a label with a text in the place of its numbers; labels have none that means anything to `re`."""
    return "".join(part if isinstance(part, str) else number for part in label)

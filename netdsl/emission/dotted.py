"""Children of lists, whose labels have dots: `convs.0`, `convs.{i}`. How a class holds them, and since where.

A class whose children all have numbers for labels that count is such a list itself.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from netdsl.elaborate.layers import has_state
from netdsl.emission.items import If, Item, Layer, Loop, Module
from netdsl.symbolic import Atom, Poly, constant, in_terms_of, names, single

LIST, MAPPING, PATH, OWN = "list", "mapping", "path", "own"
"""How: in a list, by numbers that count; in a mapping, by names; in mappings made when something comes in.

The last is in the class itself, by numbers that count.
"""

Part = tuple[Any, ...]
"""What stands between two dots of a label: texts and numbers."""


class Entry(NamedTuple):
    """A child of a list."""

    list: str
    """What the list is called; "" if that depends on numbers, or it is the class itself."""
    parts: tuple[Part, ...]
    """What stands behind each dot, or in the class itself."""

    @property
    def number(self) -> Poly | None:
        """The number that is all that stands behind the only dot."""
        if len(self.parts) != 1 or len(self.parts[0]) != 1:
            return None
        (part,) = self.parts[0]
        if isinstance(part, str):
            return constant(int(part)) if part.isdigit() and str(int(part)) == part else None
        return part if isinstance(part, Poly) else single(part)


def entry(item: Item) -> Entry | None:
    """Return where a child is in a list; None of what is in no list."""
    if not isinstance(item, Module) or "." not in item.key or not item.labelled:
        return None
    parts: list[Part] = [()]
    for part in item.name.args if item.name is not None else (item.key,):
        texts: list[Any] = part.split(".") if isinstance(part, str) else [part]
        parts[-1] += tuple(one for one in texts[:1] if one != "")
        parts += [(one,) if one != "" else () for one in texts[1:]]
    first, *others = parts
    return Entry(first[0] if len(first) == 1 and isinstance(first[0], str) else "", tuple(others))


def in_itself(item: Module) -> Entry:
    """Return where a child is in a class that is a list."""
    return Entry("", (tuple(item.name.args) if item.name is not None else (item.key,),))


def children(items: Sequence[Item]) -> Iterator[Module]:
    """Yield the children that items make, with those under conditions and in loops."""
    for item in items:
        if isinstance(item, Module):
            yield item
        else:
            for inner in item.inner():
                yield from children(inner)


class Late(Exception):
    """A list would begin before what is registered before it."""


class Unlike(Exception):
    """What is put in is not numbered as it is counted."""


class Lists:
    """The lists of a scope."""

    def __init__(
        self, items: list[Item], first: Sequence[str], computed: Mapping[str, Any], turns: Any
    ) -> None:
        """`first` is what is registered first, `turns` tells what a loop's variables are."""
        self.items, self.first, self.computed, self.turns = items, first, computed, turns

    def mark(self, rivalled: Collection[str]) -> None:
        """Say of each child of a list how it is held, and before which item a list begins.

        A module may be called as one that is `rivalled`, for some arguments.
        """
        groups = defaultdict[str, list[tuple[Module, Entry]]](list)
        for item in children(self.items):
            one = entry(item)
            if one is not None:
                item.home = PATH
                groups[one.list].append((item, one))
        groups.pop("", None)
        plain = [
            name
            for name, group in groups.items()
            if name.isidentifier() and name not in rivalled and all(len(one.parts) == 1 for _, one in group)
        ]
        begun: list[str] = []
        early = {name.partition(".")[0] for name in self.first}
        for name in plain:
            at = next(at for at, item in enumerate(self.items) if self.makes(item, name))
            if name not in early and not self.begins_at(at, name, begun):
                continue
            begun.append(name)
            home = LIST if self.counts(name) else MAPPING
            if name in early and name not in self.first:
                numbered = [f"{name}.{number}" for number in range(len(groups[name]))]
                home = (
                    LIST if [one for one in self.first if one.startswith(f"{name}.")] == numbered else MAPPING
                )
            for item, _ in groups[name]:
                item.home = home
            if name not in early:
                self.items[at].begins += ((name, home),)

    @staticmethod
    def of(item: Module) -> str | None:
        """Return what the list of a child is called; None of a child that has no label."""
        one = entry(item)
        return one.list if one is not None else "" if item.labelled else None

    def makes(self, item: Item, name: str) -> bool:
        """Tell whether an item makes a child of a list."""
        return any(self.of(child) == name for child in children([item]))

    # ---------------------------------------------------------------- where a list begins

    def begins_at(self, at: int, name: str, before: Collection[str]) -> bool:
        """Tell whether a list that begins with an item has a child before any other child comes, if it has any.

        Then it is registered where it is first named, on whatever side of a condition, in whatever turn of a loop
        that is; `before` are lists that begin before it.
        """
        try:
            self.pass_by(self.items[at:], frozenset([False]), name, before)
        except Late:
            return False
        return True

    def pass_by(
        self, items: Sequence[Item], others: frozenset[bool], name: str, before: Collection[str]
    ) -> frozenset[bool]:
        """Return whether other children may have come, on ways on which the list has no child yet."""
        for item in items:
            if isinstance(item, Loop):
                more = others
                while (turned := more | self.pass_by(item.body, more, name, before)) != more:
                    more = turned
                others = more
            elif isinstance(item, If):
                sides = [self.pass_by(side, others, name, before) for side in item.inner()]
                others = sides[0] | sides[1]
            elif not isinstance(item, Module):
                for inner in item.inner():
                    others = self.pass_by(inner, others, name, before)
            elif self.of(item) == name:
                if True in others:
                    raise Late
                others = frozenset()
            elif not ({self.of(item), item.key} & {*before, *self.first} or is_stateless(item)):
                others = frozenset([True]) if others else others
        return others

    # ---------------------------------------------------------------- whether its numbers count

    def counts(self, name: str) -> bool:
        """Tell whether what is put into a list is 0, 1, 2 and so on, for all arguments for which no two are one.

        That called "" is the class itself.
        """
        self.closed = False
        try:
            self.count(self.items, name, constant(0))
        except Unlike:
            return False
        return True

    def count(self, items: Sequence[Item], name: str, number: Poly) -> Poly:
        """Return the number behind those that items put in, which begin with one."""
        for item in items:
            if isinstance(item, Module):
                if self.of(item) == name and not item.again:
                    number = self.next(item, number)
            elif isinstance(item, If):
                ends = [self.count(side, name, number) for side in item.inner()]
                if ends[0] != ends[1]:  # only the last may be missing
                    self.closed = True
                number = ends[0]
            elif isinstance(item, Loop):
                number = self.after(item, name, number)
            else:
                for inner in item.inner():
                    number = self.count(inner, name, number)
        return number

    def next(self, item: Module, number: Poly) -> Poly:
        """Return the number behind that of a child."""
        own = (entry(item) or in_itself(item)).number
        own = in_terms_of(own, self.computed) if own is not None else None
        if isinstance(own, Atom):
            own = single(own)
        if self.closed or own != number:
            raise Unlike
        return number.plus(constant(1))

    def after(self, item: Loop, name: str, number: Poly) -> Poly:
        """Return the number behind what the turns of a loop put in."""
        if all(self.of(child) != name for child in children(item.body)):
            return number
        each = self.size(item.body, name)
        counters = [(v, ends) for v, ends in self.turns(item.over, item.targets).items() if ends is not None]
        changing = item.changing()
        if each is None or not changing.isdisjoint(names(each)):
            raise Unlike
        for variable, (begin, stop) in counters:
            if not changing.isdisjoint({*names(begin), *names(stop)}):
                continue
            turn = single(Atom("name", (variable,))).plus(begin, -1)
            start = number.plus(turn.times(each))
            with_closed = self.closed
            try:
                end = self.count(item.body, name, start)
            except Unlike:
                self.closed = with_closed
                continue
            if end == start.plus(each) and self.closed == with_closed:
                return number.plus(stop.plus(begin, -1).times(each))
        raise Unlike

    def size(self, items: Sequence[Item], name: str) -> Poly | None:
        """Return how many children items put into a list, if that is one number."""
        total = constant(0)
        for item in items:
            own: Poly | None = constant(0)
            if isinstance(item, Module):
                own = constant(int(self.of(item) == name and not item.again))
            elif isinstance(item, If):
                sides = [self.size(side, name) for side in item.inner()]
                own = sides[0] if sides[0] == sides[1] else None
            elif isinstance(item, Loop):
                own = self.size(item.body, name)
                if own is not None and own != constant(0):
                    ends = next(
                        (e for e in self.turns(item.over, item.targets).values() if e is not None), None
                    )
                    own = own.times(ends[1].plus(ends[0], -1)) if ends is not None else None
            else:
                for inner in item.inner():
                    more = self.size(inner, name)
                    own = own.plus(more) if own is not None and more is not None else None
            if own is None:
                return None
            total = total.plus(own)
        return total


def is_stateless(item: Module) -> bool:
    """Tell whether a child holds nothing that has a key."""
    return isinstance(item, Layer) and not has_state(item.op)

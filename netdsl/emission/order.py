"""The constructor of a scope that says in which order its children are registered (`order downsample, norm1`)."""

from __future__ import annotations

from collections.abc import Iterable

from netdsl.diagnostics import Diagnostic, NetError
from netdsl.emission.concolic import mentioned
from netdsl.emission.dotted import children, entry
from netdsl.emission.function import Function
from netdsl.emission.items import Child, If, Item, Let, Module, walk
from netdsl.emission.members import Members


class Order:
    """Moves what makes the children that come first before all others, and what is computed for them with it."""

    def __init__(self, function: Function, members: Members) -> None:
        """`members` say what the children are called."""
        self.function, self.members = function, members

    def items(self) -> list[Item]:
        """Return the items of the class as its constructor has them."""
        found: list[Item] = []
        rest = list(self.function.items)
        homes = {one.list: child.home for child in children(rest) if (one := entry(child)) is not None}
        begun: set[str] = set()
        for name in self.function.first:
            several = name.partition(".")[0]
            if several in homes and several not in begun:
                begin = Item()
                begin.begins = ((several, homes[several]),)
                found.append(begin)
                begun.add(several)
            if name in homes:
                continue
            places = [at for at, item in enumerate(rest) if self.wanted(item, name)]
            if not places:
                continue
            early, late = self.parted(rest[: places[-1] + 1], name)
            self.check(early, late, name)
            found += early
            rest = late + rest[places[-1] + 1 :]
        return found + rest

    def wanted(self, item: Item, name: str) -> list[Module]:
        """Return the children of a name that an item makes."""
        return [child for child in self.members.children([item]) if child.key == name and child.name is None]

    def parted(self, items: Iterable[Item], name: str) -> tuple[list[Item], list[Item]]:
        """Return what makes the children of a name, or none, and what makes others."""
        early: list[Item] = []
        late: list[Item] = []
        for item in items:
            wanted, every = self.wanted(item, name), list(self.members.children([item]))
            if len(wanted) == len(every):
                early.append(item)
            elif isinstance(item, If):
                self.part(item, name, early, late)
            elif not wanted:
                late.append(item)
            else:
                self.fail(wanted[0], f"`order` names {name}, which is made in turn with others")
        return early, late

    def part(self, item: If, name: str, early: list[Item], late: list[Item]) -> None:
        """Put down a condition twice, if either part has something of it."""
        sides = [self.parted(side, name) for side in item.inner()]
        ours, others = zip(*sides, strict=True)
        if not any(ours):
            late.append(item)
            return
        attribute = self.members.optional.get(id(item))
        for part, place in ((ours, early), (others, late)):
            one = If(item.test, part[0], part[1], [])
            held = {self.members.attributes[id(child)] for child in self.members.children([one])}
            if attribute is not None and attribute in held:
                self.members.optional[id(one)] = attribute
            place.append(one)
        late[-1].stage, late[-1].begins = item.stage, item.begins

    def check(self, early: list[Item], late: list[Item], name: str) -> None:
        """Refuse what reads what only the children say that come later."""
        told = {one.name for one in walk(late) if isinstance(one, Let)}
        told |= {asked for one in walk(late) if isinstance(one, Child) for asked in one.asked}
        for item in walk(early):
            values = [
                *item.terms(),
                *([item.name] if isinstance(item, Module) and item.name is not None else []),
            ]
            if not told.isdisjoint(one for value in values for one in mentioned(value)):
                wanted = next(child for one in early for child in self.wanted(one, name))
                self.fail(wanted, f"`order` puts {name} before what says how many channels it has")

    @staticmethod
    def fail(item: Module, message: str) -> None:
        """Refuse an order."""
        raise NetError(
            [Diagnostic("E508", message, item.span, help="take it out of the line, or name both there")]
        )

"""Where a net has its maps for another net on top: what each stage ends with, or the last map of each size.

A net whose text has `stage` lines says so itself; one that hands on lists of maps has the last of these, such as
HRNet's streams. Of any other net counts what its own text makes, one value after the other; of a chain whose modules
give maps of several sizes, such as MobileNet's, each module counts. Sizes are compared as expressions: a map is
marked where one of another size may follow for some arguments, and `note_map` sees whether it does. The head is what
follows the last map that has more than one pixel and a size that follows its input's.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from netdsl.diagnostics import Diagnostic, NetError
from netdsl.elaborate.values import Wire
from netdsl.emission.items import Child, Container, If, Item, Layer, Loop, Module, Pick, Side, walk
from netdsl.emission.streams import Elements
from netdsl.ir.types import Shape
from netdsl.source import Span
from netdsl.symbolic import Atom, Poly, assuming, constant, names, single, term

if TYPE_CHECKING:
    from netdsl.emission.members import Members

KEPT = ("features", "layer", "length")
"""What the function that returns the maps calls its own."""
Size = tuple[Any, ...]
"""Height and width as expressions, or the value itself where they are not known."""


class Features:
    """The points of one net's function."""

    def __init__(self, items: list[Item], members: Members) -> None:
        """Find them, at the size that the net was compiled for."""
        self.members = members
        self.shapes, self.unsure = _shapes(items)
        staged = members.function.staged
        sizes = {name for incoming in staged.inputs for side in incoming.shape[1:] for name in names(side)}
        self.arguments = {parameter.name for parameter in staged.params} - sizes
        """Those that are no size of an input."""
        self.items: list[Item] = []
        """What computes the maps."""
        self.marks: dict[int, Wire] = {}
        """The map that is there after an item, by its id."""
        self.entered: set[int] = set()
        """The chains, by id, whose modules give maps of several sizes."""
        self.headed: set[int] = set()
        """Those of them that end with the head."""
        self.stages = any(item.ends for item in walk(items))
        """Whether they are what stages end with."""
        self.streams: Wire | None = None
        """The last list of maps, if the net hands on such."""
        self.last: tuple[Item | None, Wire, Size | None] | None = None
        """The map before the item at hand; None for an item that has marked it."""
        own: list[Item] = []
        read: set[Wire] = set(members.function.outputs)
        for item in reversed(items):
            aside = isinstance(item, (If, Side)) and any(isinstance(one, Side) for one in walk([item]))
            if not aside or not read.isdisjoint(item.makes()):  # it is read on the way
                own.insert(0, item)
                read.update(item.reads())
        if self.stages:
            self.items = self.find_stages(own)
        elif not self.find_streams(own):
            self.find(own)
            self.mark()
            self.enter_headed(own)
            marked = self.marks.keys() | self.entered
            ends = [i for i, item in enumerate(own, 1) if any(id(one) in marked for one in walk([item]))]
            self.items = own[: max(ends, default=0)]
            if not ends:
                node, staged = members.function.staged.decl.node, members.function.staged
                span = Span(staged.decl.file.source, node.start, node.end)
                message = f"`features` are maps, and {staged.name} has none of its input's size"
                raise NetError([Diagnostic("E508", message, span)])

    def find_streams(self, items: list[Item]) -> bool:
        """Find the last list that a net hands on; tell whether there is one."""
        lists = self.members.function.staged.lists
        for index, item in enumerate(items):
            for wire in self.results(item):
                if wire in lists:
                    self.streams, self.items = wire, items[: index + 1]
        return self.streams is not None

    def find_stages(self, items: list[Item]) -> list[Item]:
        """Go through items, and return those up to the end of the last stage that ends with a map."""
        end = 0
        for index, item in enumerate(items):
            before = len(self.marks) + len(self.entered)
            if isinstance(item, Container) and any(one.ends for one in walk(item.items)):
                self.enter(item)
            elif item.ends and self.ends_with_map(item):
                self.marks[id(item)] = self.results(item)[-1]
            elif isinstance(item, (If, Loop)):
                for inner in item.inner():
                    self.find_stages(inner)
            if len(self.marks) + len(self.entered) > before:
                end = index + 1
        return items[:end]

    def ends_with_map(self, item: Item) -> bool:
        """Tell whether an item makes a map."""
        wires = self.results(item)
        return bool(wires) and self.size(wires[-1]) is not None

    def enter(self, item: Container) -> None:
        """Take a chain that has stages; each of them ends with a map."""
        self.entered.add(id(item))
        for one in walk(item.items):
            if one.ends and not self.ends_with_map(one):
                self.fail(f"`features` are maps, and stage {one.ends} ends without one", item)
        if item.name is not None or not self.members.is_chain(item):
            self.fail("`features` are maps of the net or of a chain in it, and stages stand elsewhere", item)
        if any(
            isinstance(one, Container) and any(i.ends for i in walk(one.items)) for one in walk(item.items)
        ):
            self.fail("`features` are maps of the net or of a chain in it, and stages stand deeper", item)

    @staticmethod
    def fail(message: str, item: Container) -> None:
        """Raise an error at a container."""
        raise NetError([Diagnostic("E508", message, item.span)])

    def find(self, items: list[Item]) -> None:
        """Go through items, and mark each map after which one of another size may come."""
        for item in items:
            if is_side(item) or self.is_pool(item):
                continue
            maps = [wire for wire in self.results(item) if self.size(wire) is not None]
            if isinstance(item, If):
                self.either(item)
            elif isinstance(item, Loop):
                before = self.last
                self.find(item.body)
                if self.last is before or self.last is None:
                    continue
                maps += [one.after for one in item.carried if one.end == self.last[1]]  # rather the newest
                if self.turns_vary(item):
                    self.mark()
                    wire = maps[-1] if maps else self.last[1]
                    self.last = None, wire, self.size(wire)
                    continue
            if not maps:
                continue
            chain = isinstance(item, Container) and self.members.is_chain(item)
            if chain and self.varies(item.inner()[0], later=True):
                self.mark()
                self.entered.add(id(item))
                self.last = None, maps[-1], self.size(maps[-1])
            else:
                self.follow(item, maps[-1])

    def enter_headed(self, items: list[Item]) -> None:
        """Take the chain behind the last map, if its modules give maps of several sizes before the head begins."""
        for item in reversed(items):
            if any(self.size(wire) is not None for wire in self.results(item)):
                return
            if not (isinstance(item, Container) and self.members.is_chain(item)):
                continue
            maps = any(self.size(wire) is not None for one in walk(item.items) for wire in self.results(one))
            if maps and self.varies(item.items, later=True):
                self.entered.add(id(item))
                self.headed.add(id(item))
                return

    def either(self, item: If) -> None:
        """Go through both sides of a condition."""
        before = self.last
        for inner in item.inner():
            self.last = before
            self.find(inner)
            if self.last is not before and not self.results(item):
                self.mark()
        self.last = before

    def follow(self, item: Item, wire: Wire) -> None:
        """Go on with a map, and mark the one before it if that may have another size."""
        size = self.size(wire)
        if self.last is not None and self.last[2] != size:
            self.mark()
        self.last = item, wire, size

    def mark(self) -> None:
        """Mark the map before the item at hand."""
        if self.last is not None and self.last[0] is not None:
            self.marks[id(self.last[0])] = self.last[1]

    def varies(self, items: list[Item], later: bool = False) -> bool:
        """Tell whether items may make maps of several sizes; `later`: but for what first turns of loops change."""
        sizes = {self.size(wire) for item in items for wire in self.results(item)} - {None}
        return len(sizes) > 1 or any(
            self.turns_vary(item, later) if isinstance(item, Loop) else any(map(self.varies, item.inner()))
            for item in items
            if isinstance(item, (If, Loop))
        )

    def turns_vary(self, loop: Loop, later: bool = False) -> bool:
        """Tell whether turns of a loop may change the size of a map; `later`: those after the first."""
        if self.varies(loop.body):
            return True
        first = Atom("==", (single(Atom("name", (loop.counter or "",))), constant(0)))
        changes: list[bool] = []
        for one in loop.carried:
            begin, end = self.size(one.wire), self.size(one.end)
            if begin is not None and end is not None:
                if later:
                    end = tuple(
                        assuming(n, first, holds=False) if isinstance(n, (Atom, Poly)) else n for n in end
                    )
                changes.append(begin != end)
        return any(changes) or not changes

    def results(self, item: Item) -> tuple[Wire, ...]:
        """Return what an item makes for those after it."""
        if isinstance(item, Pick):
            return ()
        if isinstance(item, Module):
            return self.members.results(item)
        if isinstance(item, If) and not any(isinstance(one, Module) for one in walk([item])):
            return ()  # it only chooses among what is there
        return item.makes()

    def size(self, wire: Wire) -> Size | None:
        """Return the size of a map; None for what is none, has one pixel, or a size of its own."""
        shape = self.shapes.get(wire)
        size = _size(shape)
        if size is None or not isinstance(shape, Shape) or (int(shape.h), int(shape.w)) == (1, 1):
            return None
        if wire in self.unsure:
            return (wire,)
        return size if any(names(side).keys() - self.arguments for side in size) else None

    @staticmethod
    def is_pool(item: Item) -> bool:
        """Tell whether an item makes maps of one size, whatever comes in."""
        return isinstance(item, Layer) and getattr(item.op, "to", None) is not None


def _shapes(items: list[Item]) -> tuple[dict[Wire, Shape | Elements], set[Wire]]:
    """Return the shapes of values, and those that may have another size than this."""
    found: dict[Wire, Shape | Elements] = {}
    read: dict[Wire, Shape | Elements] = {}
    for item in walk(items):
        if isinstance(item, (Layer, Child)):
            before, after = (item.before, item.after) if isinstance(item, Layer) else (item.shapes, item.told)
            if len(item.outputs) == len(after):  # a list of streams has no one size
                found.update(zip(item.outputs, after, strict=True))
            if len(item.inputs) == len(before):
                read.update(zip(item.inputs, before, strict=True))
    known = ChainMap(found, read)
    unsure: set[Wire] = set()
    for item in _inside_out(items):
        if isinstance(item, Loop):
            for one in item.carried:
                if (
                    one.end in known
                    and one.begin in known
                    and _size(known[one.end]) == _size(known.get(one.wire))
                ):
                    found[one.after] = known[one.begin]
                elif one.after not in known and one.end in known:
                    found[one.after] = known[one.end]
                    unsure.add(one.after)
        elif isinstance(item, If):
            for phi in item.phis:
                sides = [known[wire] for wire in (phi.then, phi.otherwise) if wire in known]
                if phi.wire not in known and sides:
                    found[phi.wire] = sides[0]
                    if (
                        len(sides) < 2
                        or _size(sides[0]) != _size(sides[1])
                        or not unsure.isdisjoint((phi.then, phi.otherwise))
                    ):
                        unsure.add(phi.wire)
    return {**read, **found}, unsure


def _inside_out(items: list[Item]) -> Iterator[Item]:
    """Yield items, those within another before it."""
    for item in items:
        for inner in item.inner():
            yield from _inside_out(inner)
        yield item


def _size(shape: Shape | Elements | None) -> Size | None:
    """Return the size of a map, None for another value."""
    return (term(shape.h), term(shape.w)) if isinstance(shape, Shape) and "h" in shape.axes else None


def entering(name: str) -> str:
    """Return what an input is called in the function that returns the maps."""
    return f"{name}_" if name in KEPT else name


def is_side(item: Item) -> bool:
    """Tell whether an item is an output besides the flow, and no more."""
    if isinstance(item, If):
        return bool(item.then) and not item.otherwise and all(map(is_side, item.then))
    return isinstance(item, Side)

"""Where a net has its maps for another net on top: what each stage ends with, or the last map of each size.

A net whose text has `stage` lines says so itself; one that hands on lists of maps has the last of these, such as
HRNet's streams. Of any other net counts what its own text makes, one value after the other; of a chain whose modules
give maps of several sizes, such as MobileNet's, each module counts. The head begins with what is no map, has one
pixel, or has a size that does not follow its input's.
"""

from __future__ import annotations

from netdsl.diagnostics import Diagnostic, NetError
from netdsl.elaborate.values import Wire
from netdsl.emission.items import Child, Container, If, Item, Layer, Loop, Module, Side, walk
from netdsl.emission.members import Members
from netdsl.emission.streams import Elements
from netdsl.ir.types import Shape

Size = tuple[int, int]


class Features:
    """The points of one net's function."""

    def __init__(self, items: list[Item], members: Members) -> None:
        """Find them, at the size that the net was compiled for."""
        self.members = members
        self.shapes = _shapes(items)
        self.items: list[Item] = []
        """What computes the maps."""
        self.marks: dict[int, Wire] = {}
        """The map that is there after an item, by its id."""
        self.entered: set[int] = set()
        """The chains, by id, whose modules give maps of several sizes."""
        self.stages = any(item.ends for item in walk(items))
        """Whether they are what stages end with."""
        self.streams: Wire | None = None
        """The last list of maps, if the net hands on such."""
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
        if not (self.members.is_chain(item) and isinstance(self.members.attributes[id(item)], str)):
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
        """Go through a net's items up to its head."""
        before: tuple[Item, Wire, Size] | None = None
        for index, item in enumerate(items):
            made = self.results(item)
            if not made or is_side(item):
                continue
            size = self.size(made[-1])
            if size is None or self.is_pool(item):
                if before is not None:
                    break
                continue
            if before is not None and before[2] != size:
                self.marks[id(before[0])] = before[1]
            self.within(item, size)
            before = item, made[-1], size
            self.items = items[: index + 1]
        if before is not None and id(before[0]) not in self.entered:
            self.marks[id(before[0])] = before[1]

    def results(self, item: Item) -> tuple[Wire, ...]:
        """Return what an item makes for those after it."""
        if isinstance(item, Module):
            return self.members.results(item)
        if isinstance(item, If) and not any(isinstance(one, Module) for one in walk([item])):
            return ()  # it only chooses among what is there
        return item.makes()

    def size(self, wire: Wire) -> Size | None:
        """Return the size of a map; None for what is none, or has one pixel."""
        shape = self.shapes.get(wire)
        if not isinstance(shape, Shape) or "h" not in shape.axes:
            return None
        size = int(shape.h), int(shape.w)
        return None if size == (1, 1) else size

    @staticmethod
    def is_pool(item: Item) -> bool:
        """Tell whether an item makes maps of one size, whatever comes in."""
        return isinstance(item, Layer) and getattr(item.op, "to", None) is not None

    def within(self, item: Item, size: Size) -> None:
        """Note what is within an item whose parts give maps of several sizes."""
        if isinstance(item, Container):
            sizes = {self.size(wire) for inner in walk(item.items) for wire in inner.makes()} - {None}
            if (len(sizes | {size}) > 1 or _varies(item.items)) and self.members.is_chain(item):
                self.entered.add(id(item))
        elif isinstance(item, Loop) and item.carried:
            carried = item.carried[-1]
            sizes = {self.size(wire) for inner in walk(item.body) for wire in inner.makes()} - {None}
            last = next((one for one in item.body if carried.end in self.results(one)), None)
            if last is not None and len(sizes | {self.size(carried.begin)}) > 1:
                self.marks[id(last)] = carried.end
                self.within(last, size)


def _varies(items: list[Item]) -> bool:
    """Tell whether a loop's turns are more than one block repeated."""
    return any(
        isinstance(item, Loop)
        and (getattr(item.over, "op", "") != "call" or any(isinstance(one, Loop) for one in walk(item.body)))
        for item in walk(items)
    )


def _shapes(items: list[Item]) -> dict[Wire, Shape | Elements]:
    """Return the shapes of values; after a loop they are those of its first turn."""
    found: dict[Wire, Shape | Elements] = {}
    for item in walk(items):
        if isinstance(item, (Layer, Child)):
            before: tuple[Shape | Elements, ...] = item.before if isinstance(item, Layer) else item.shapes
            for wires, shapes in ((item.inputs, before), (item.outputs, item.after)):
                if len(wires) == len(shapes):  # a list of streams has no one size
                    found.update(zip(wires, shapes, strict=True))
    for item in reversed(list(walk(items))):  # what is within a loop or condition is known before it
        if isinstance(item, Loop):
            pairs = [(one.after, one.end) for one in item.carried]
        else:
            pairs = [(phi.wire, phi.then) for phi in item.phis] if isinstance(item, If) else []
            pairs += [(phi.wire, phi.otherwise) for phi in item.phis] if isinstance(item, If) else []
        for wire, same in pairs:
            if same in found:
                found.setdefault(wire, found[same])
    return found


def is_side(item: Item) -> bool:
    """Tell whether an item is an output besides the flow, and no more."""
    if isinstance(item, If):
        return bool(item.then) and not item.otherwise and all(map(is_side, item.then))
    return isinstance(item, Side)

"""A net with its blocks folded: what is to be drawn, and where equal things are drawn once.

A *part* is the net itself, or a block; in it are boxes, and edges from one to another. A box is a layer with the
layers that only rework its output where it stands (a norm, an activation), or a block, which is a part of its own
unless it is no more than one box; a container that is repeated is as good as a block. Blocks of one structure are one
part, whatever their sizes: it shows the first, and says what differs in the others. Equal boxes in a row are one box,
which says how often it is repeated. A sequence of boxes that is repeated in a row is on a *plate*, which says it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from netdsl.cost.model import Cost
from netdsl.elaborate.values import show
from netdsl.ir.graph import Node, Scope, Value
from netdsl.ir.types import Dims, Scheduled
from netdsl.quantities import Options, drawn
from netdsl.record import Record

if TYPE_CHECKING:
    from netdsl.net import Net

_PERIOD = 8
"""The most boxes that a repeated sequence has; a longer one is not seen as one."""

Kind = Literal["end", "works", "joins", "block", "plain"]
"""Where values come in or leave; a layer with MACs; one that reads several values; a block; any other layer."""


class Line(Record):
    """What a layer is, or the shape that leaves a box; `varies` if another block of the part has another."""

    text: str
    varies: bool = False


class Box(Record):
    """A vertex of a part."""

    kind: Kind
    title: str
    """A block's name, with a number where several structures have it; what an end is; "" for layers."""
    lines: tuple[Line, ...] = ()
    """The layers; of a block that else looks as another in the part, one in which they differ."""
    place: str = ""
    """The path within the part of the first layer or block, and that of the last if it is repeated."""
    layers: tuple[str, ...] = ()
    """The nodes that it stands for."""
    repeats: int = 1
    """How often it is there in a row; on a plate, in each turn."""
    part: int = 0
    """Which of the parts a block is; 0, the net, for what is no block."""
    shapes: tuple[Line, ...] = ()
    """What leaves it."""
    cost: Cost = Cost()
    """Of all that it stands for, for one sample, activations in elements."""
    amounts: Mapping[str, int] = {}
    """Of the same, what pictures show, by quantity."""


class Plate(Record):
    """Boxes from one index to before another that are repeated as a whole, each turn reading the one before."""

    start: int
    stop: int
    repeats: int

    def __contains__(self, box: int) -> bool:
        return self.start <= box < self.stop


class Part(Record):
    """The net or a block: boxes in the order in which they are computed, and edges as pairs of their indices."""

    title: str
    count: int
    """How many blocks of the net have this structure."""
    place: str
    """The path of the block whose sizes are shown; "" for the net."""
    boxes: tuple[Box, ...]
    edges: tuple[tuple[int, int], ...]
    plates: tuple[Plate, ...] = ()

    @property
    def varies(self) -> bool:
        """Whether anything differs in another block of the structure."""
        return any(line.varies for box in self.boxes for line in (*box.lines, *box.shapes))


def fold(net: Net) -> list[Part]:
    """Return the parts of a net: itself, then its blocks in the order in which they are met."""
    return _Folder(net).parts()


def label(node: Node) -> str:
    """Return a layer as a picture says it: the op, what is said by position, and its other sizes."""
    op, words = node.op, [node.op.name]
    values = op.arguments()
    words += [_short(values[name]) for name in op.positional if name in values and values[name] is not None]
    for name, value in values.items():
        plain = isinstance(value, (int, Dims)) and not isinstance(value, bool)
        if name not in op.positional and plain and value != op._defaults.get(name):
            words.append(f"/{value}" if name == "stride" else f"{name}={value}")
    return " ".join(words) + (f" (same {node.module})" if node.module else "")


def _short(value: Any) -> str:
    text = show(value)
    return text if len(text) <= 24 else f"{text[:23]}…"


class _Unit:
    """A box while it is made: the nodes of each of those that are repeated, and the blocks that they are."""

    def __init__(self, nodes: list[Node], scope: Scope | None = None) -> None:
        self.copies = [nodes]
        self.scopes = [] if scope is None else [scope]
        self.turns = 1
        """How often the plate is repeated on which it is."""
        self.plate = 1
        """How many boxes the plate has that it begins; 0 within one."""

    @property
    def nodes(self) -> Iterator[Node]:
        return (node for nodes in self.copies for node in nodes)

    def reads(self) -> set[str]:
        """Return the nodes outside it that it reads."""
        own = {node.name for node in self.nodes}
        return {value.node for node in self.nodes for value in node.inputs} - own


class _Stand(Record):
    """How a box stands in a scope."""

    form: object
    """What boxes share that are at one place of a repeated sequence: what they are, and how far above they read."""
    above: int
    """How far above it the farthest is that it reads."""
    end: int
    """The place of its last node in the net."""
    lowest: int
    """The place of the last node that reads it."""


class _Folder:
    """Finds the boxes of every scope, and which blocks have one structure."""

    def __init__(self, net: Net) -> None:
        self.net = net
        self.nodes = {node.name: node for node in net.graph}
        self.order = {name: at for at, name in enumerate(self.nodes)}
        self.users: dict[str, list[str]] = {name: [] for name in self.nodes}
        for node in net.graph:
            for value in node.inputs:
                self.users[value.node].append(node.name)
        self.results = {output.value for output in net.graph.outputs}
        self.given = {node: name for name, node in net.graph.inputs.items()}
        self.costs = net.layer_costs
        self.blocks: dict[object, list[Scope]] = {}
        """By structure."""
        self.made: dict[str, list[_Unit]] = {}
        self.forms: dict[str, object] = {}

    def parts(self) -> list[Part]:
        tree = self.net.graph.tree
        self.visit(tree)
        named: dict[str, list[object]] = {}
        for form, scopes in self.blocks.items():
            named.setdefault(_title(scopes[0]), []).append(form)
        titles = {
            form: f"{name} ({at})" if len(forms) > 1 else name
            for name, forms in named.items()
            for at, form in enumerate(forms, 1)
        }
        self.known = {form: (at, titles[form]) for at, form in enumerate(self.blocks, 1)}
        blocks = [self.part(scopes[0], titles[form], scopes) for form, scopes in self.blocks.items()]
        return [self.part(tree, self.net.name, [tree]), *blocks]

    def visit(self, scope: Scope) -> None:
        """Find the structures of the blocks that are boxes in a scope, and in those."""
        for unit in self.units(scope):
            for block in unit.scopes:
                self.blocks.setdefault(self.form(block), []).append(block)
                self.visit(block)

    # ------------------------------------------------------------ boxes of a scope

    def units(self, scope: Scope) -> list[_Unit]:
        """Return the boxes of a scope; containers are no boxes."""
        if scope.path not in self.made:
            self.made[scope.path] = self._units(scope)
        return self.made[scope.path]

    def _units(self, scope: Scope) -> list[_Unit]:
        units: list[_Unit] = []
        ends: dict[str, _Unit] = {}
        """By its last node, a box on which further layers may stand."""
        for item in self.items(scope):
            if isinstance(item, Scope):
                inner = self.units(item)
                unit = inner[0] if len(inner) == 1 else _Unit([self.nodes[n] for n in item.nodes()], item)
                units.append(_copy(unit))
                if not unit.scopes and len(unit.copies) == 1:
                    ends[unit.copies[0][-1].name] = units[-1]
                continue
            node = self.nodes[item]
            below = ends.pop(node.inputs[0].node, None) if self.stands_on(node) else None
            if below is not None:
                below.copies[0].append(node)
            else:
                below = _Unit([node])
                units.append(below)
            if item not in self.given:
                ends[item] = below
        return self.on_plates(self.repeated(units))

    def items(self, scope: Scope) -> Iterator[str | Scope]:
        """Yield the nodes and blocks of a scope; a container that is repeated in a row is as good as a block."""
        steps = scope.steps
        for at, item in enumerate(steps):
            if isinstance(item, str) or item.kind != "container":
                yield item
            elif self.follows(item, steps[at - 1 : at]) or self.follows(
                item, steps[at + 1 : at + 2], before=True
            ):
                yield item
            else:
                yield from self.items(item)

    def follows(self, container: Scope, beside: list[str | Scope], before: bool = False) -> bool:
        """Tell whether a container of several boxes is equal to the one beside it, and one reads the other."""
        other = beside[0] if beside else ""
        if isinstance(other, str) or other.kind != "container" or len(self.units(container)) < 2:
            return False
        one, two = (_Unit([self.nodes[n] for n in each.nodes()], each) for each in (container, other))
        first, second = (one, two) if before else (two, one)
        return self.exact(one) == self.exact(two) and bool(second.reads() & {n.name for n in first.nodes})

    def stands_on(self, node: Node) -> bool:
        """Tell whether a layer only reworks what nobody else reads."""
        if len(node.inputs) != 1 or self.costs[node.name].macs:
            return False
        (value,) = node.inputs
        sizes = [shape.elements for shape in self.net.outputs_of(node.name)]
        alone = self.users[value.node] == [node.name] and value not in self.results
        return alone and sizes == [self.net.inputs_of(node.name)[0].elements]

    def repeated(self, units: Iterable[_Unit]) -> list[_Unit]:
        """Make equal boxes one of which reads the other one box."""
        folded: list[_Unit] = []
        keys: list[object] = []
        for unit in units:
            key = self.exact(unit)
            if folded and keys[-1] == key and len(unit.copies) == 1:
                last = folded[-1]
                within = {node.name for node in last.nodes}
                reads = unit.reads()
                if reads & {node.name for node in last.copies[-1]} and reads <= within | last.reads():
                    last.copies += unit.copies
                    last.scopes += unit.scopes
                    continue
            folded.append(unit)
            keys.append(key)
        return [part for unit in folded for part in self.apart(unit)]

    def apart(self, unit: _Unit) -> Iterator[_Unit]:
        """Yield a box in pieces, of each of which others read the last copy, or as many as a copy itself does."""
        copy = {node.name: at for at, nodes in enumerate(unit.copies) for node in nodes}
        above = [copy[node.name] - copy[v.node] for node in unit.nodes for v in node.inputs if v.node in copy]
        last = max([1, *above])
        lowest = [self.lowest(nodes) for nodes in unit.copies]
        ends = [self.order[nodes[-1].name] for nodes in unit.copies]
        start = 0
        while start < len(ends):
            stop = len(ends)
            while any(place > ends[stop - 1] for place in lowest[start : max(start, stop - last)]):
                stop -= 1
            piece = _Unit([])
            piece.copies, piece.scopes = unit.copies[start:stop], unit.scopes[start:stop]
            yield piece
            start = stop

    def lowest(self, nodes: list[Node]) -> int:
        """Return the place of the last node that reads any of those; that behind the last for a result of the net."""
        if any(value.node == node.name for node in nodes for value in self.results):
            return len(self.order)
        return max((self.order[user] for node in nodes for user in self.users[node.name]), default=0)

    def on_plates(self, units: list[_Unit]) -> list[_Unit]:
        """Put each sequence of boxes that is repeated in a row on one plate."""
        row = self.row(units)
        put: list[_Unit] = []
        at = 0
        while at < len(units):
            size, turns = _period(row, at)
            for index, unit in enumerate(units[at : at + size]):
                for later in units[at + index + size : at + size * turns : size]:
                    unit.copies += later.copies
                    unit.scopes += later.scopes
                unit.turns, unit.plate = turns, 0 if index else size
                put.append(unit)
            at += size * turns
        return put

    def row(self, units: list[_Unit]) -> list[_Stand]:
        """Return how the boxes of a scope stand; what is outside it stands above the first, in its order."""
        owner = {node.name: at for at, unit in enumerate(units) for node in unit.nodes}
        reads = [unit.reads() for unit in units]
        outside = sorted(set().union(*reads) - set(owner), key=self.order.__getitem__)
        owner |= {name: at - len(outside) for at, name in enumerate(outside)}
        row = []
        for at, unit in enumerate(units):
            above = frozenset(at - owner[name] for name in reads[at])
            form = (len(unit.copies), self.exact(unit), above)
            nodes = list(unit.nodes)
            row.append(_Stand(form, max(above, default=0), self.order[nodes[-1].name], self.lowest(nodes)))
        return row

    def exact(self, unit: _Unit) -> object:
        """Return what equal boxes share: structure, arguments, and the extent of what leaves them.

        What follows from the place in the row may differ: channels grow from one to the next in a dense block, and so
        does what is split off; a depth schedule goes on.
        """
        form = self.form(unit.scopes[0]) if unit.scopes else len(unit.copies[0])
        shapes = [self.net.outputs_of(value.node)[value.port] for value in self.leaving(unit.copies[0])]
        ops = [self.arguments(node) for node in unit.copies[0]]
        return form, ops, [(shape.axes, shape.extent) for shape in shapes]

    def arguments(self, node: Node) -> tuple[object, ...]:
        """Return a layer's op and arguments, but not the sizes into which one splits its input."""
        splits = node.op.wiring and len(self.net.outputs_of(node.name)) > 1
        return type(node.op), *(() if splits else map(_settled, node.op.arguments().values()))

    def leaving(self, nodes: list[Node]) -> list[Value]:
        """Return the values of nodes that others read, or the net returns; the last one if there are none."""
        own = {node.name for node in nodes}
        values = [
            Value(node.name, port)
            for node in nodes
            for port in range(len(self.net.outputs_of(node.name)))
            if Value(node.name, port) in self.results
            or any(
                Value(node.name, port) in self.nodes[user].inputs
                for user in self.users[node.name]
                if user not in own
            )
        ]
        return values or [Value(nodes[-1].name)]

    def shape(self, value: Value) -> str:
        return str(self.net.outputs_of(value.node)[value.port])

    def form(self, scope: Scope) -> object:
        """Return the structure of a block: its ops, blocks in it, and who reads what."""
        if scope.path not in self.forms:
            numbers: dict[str, int] = {}
            self.forms[scope.path] = (scope.block, *self._form(scope, numbers))
        return self.forms[scope.path]

    def _form(self, scope: Scope, numbers: dict[str, int]) -> Iterator[object]:
        for item in _items(scope):
            if isinstance(item, Scope):
                yield item.block, *self._form(item, numbers)
            else:
                node = self.nodes[item]
                read = [(numbers.setdefault(v.node, -len(numbers) - 1), v.port) for v in node.inputs]
                numbers[item] = len(numbers)
                yield node.op.name, tuple(read)

    # ------------------------------------------------------------ parts

    def part(self, scope: Scope, title: str, scopes: list[Scope]) -> Part:
        """Return a scope as a part; `scopes` are all of its structure, itself first."""
        units = self.units(scope)
        others = [list(other.nodes()) for other in scopes[1:]]
        same: dict[str, list[str]] = {
            name: list(names) for name, *names in zip(scope.nodes(), *others, strict=True)
        }
        boxes, edges, plates = self.sources(scope, units), [], []
        owner = {layer: at for at, box in enumerate(boxes) for layer in box.layers}
        for unit in units:
            for node in unit.nodes:
                owner[node.name] = len(boxes)
            if unit.plate > 1:
                plates.append(Plate(len(boxes), len(boxes) + unit.plate, unit.turns))
            boxes.append(self.box(unit, same, scope.path))
        boxes[-len(units) :] = self.told_apart(units, boxes[-len(units) :], same)
        for unit in units:
            at = owner[unit.copies[0][0].name]
            tails = [owner[value.node] for node in unit.nodes for value in node.inputs]
            edges += [(tail, at) for tail in tails if tail < at]  # others are of later turns
        boxes = [box.replace(layers=()) if box.kind == "end" and scope.path else box for box in boxes]
        for result, froms in self.sinks(scope):
            edges += [(at, len(boxes)) for at in sorted({owner[name] for name in froms})]
            boxes.append(Box("end", result))
        place = scope.path
        return Part(title, len(scopes), place, tuple(boxes), tuple(dict.fromkeys(edges)), tuple(plates))

    def told_apart(
        self, units: Sequence[_Unit], boxes: Sequence[Box], same: Mapping[str, list[str]]
    ) -> list[Box]:
        """Return the boxes of a scope, of which blocks that else look equal say the first layer that differs most."""
        alike: dict[object, list[int]] = {}
        for at, box in enumerate(boxes):
            if box.part:
                alike.setdefault((box.part, box.shapes), []).append(at)
        told = list(boxes)
        for group in alike.values():
            first, most = 0, 1
            for index, row in enumerate(zip(*(units[at].copies[0] for at in group), strict=True)):
                differ = len({self.arguments(node) for node in row}) > 1  # more than a schedule does
                texts = len({label(node) for node in row}) if differ else 1
                first, most = (index, texts) if texts > most else (first, most)
            for at in group if most > 1 else ():
                told[at] = boxes[at].replace(lines=(self.line(units[at], first, same),))
        return told

    def line(self, unit: _Unit, at: int, same: Mapping[str, list[str]]) -> Line:
        """Return what a layer of a box is, and whether it differs where the box or the block is repeated."""
        first, *copies = (nodes[at] for nodes in unit.copies)
        others = [*copies, *(self.nodes[name] for name in same.get(first.name, ()))]
        return Line(label(first), any(label(other) != label(first) for other in others))

    def sources(self, scope: Scope, units: list[_Unit]) -> list[Box]:
        """Return the ends at which values come into a block; those of the net are nodes of their own."""
        own = set(scope.nodes())
        reads = dict.fromkeys(v for unit in units for node in unit.nodes for v in node.inputs)
        outside: dict[str, list[Value]] = {}
        for value in reads:
            if value.node not in own:
                outside.setdefault(value.node, []).append(value)
        names = dict(zip([value.node for value in scope.inputs], scope.input_names, strict=False))
        boxes = []
        for at, (name, values) in enumerate(outside.items(), 1):
            said = names.get(name) or ("in" if len(outside) == 1 else f"in {at}")
            boxes.append(Box("end", said, layers=(name,), shapes=self.shapes(values, {})))
        return boxes

    def sinks(self, scope: Scope) -> Iterator[tuple[str, list[str]]]:
        """Yield the ends at which values leave, with the nodes that they come from."""
        if scope.path:
            nodes = [self.nodes[name] for name in scope.nodes()]
            yield "out", [value.node for value in self.leaving(nodes)]
            return
        for output in self.net.graph.outputs:
            yield output.name + (" (training)" if output.train else ""), [output.value.node]

    def box(self, unit: _Unit, same: Mapping[str, list[str]], inside: str) -> Box:
        """Return a box of the scope at a path; `same` are the nodes of other blocks that stand where a node does."""
        first, last, nodes = unit.copies[0], unit.copies[-1], list(unit.nodes)
        box = Box(
            "plain",
            "",
            layers=tuple(node.name for node in nodes),
            repeats=len(unit.copies) // unit.turns,
            shapes=self.shapes(self.leaving(last), same),
            cost=sum((self.costs[node.name] for node in nodes), Cost()),
            amounts={one.name: one.of(self.net, nodes, Options()) for one in drawn()},
        )
        if unit.scopes:
            part, title = self.known[self.form(unit.scopes[0])]
            place = _span(inside, unit.scopes[0].path, unit.scopes[-1].path)
            return box.replace(kind="block", title=title, place=place, part=part)
        if first[0].name in self.given:
            return box.replace(kind="end", title=f"input {self.given[first[0].name]}")
        lines = tuple(self.line(unit, at, same) for at in range(len(first)))
        kind: Kind = "joins" if len(first[0].inputs) > 1 else "plain"
        if any(self.costs[node.name].macs for node in first):
            kind = "works"
        return box.replace(kind=kind, lines=lines, place=_span(inside, first[0].name, last[0].name))

    def shapes(self, values: Iterable[Value], same: Mapping[str, list[str]]) -> tuple[Line, ...]:
        """Return the shapes of values, each once."""
        shapes: dict[str, bool] = {}
        for value in values:
            shape = self.shape(value)
            others = (self.shape(value._replace(node=other)) for other in same.get(value.node, ()))
            shapes[shape] = shapes.get(shape, False) or any(other != shape for other in others)
        return tuple(Line(shape, varies) for shape, varies in shapes.items())


def _settled(value: object) -> object:
    """Return an argument, but one thing for all numbers of depth schedules, which differ from layer to layer."""
    return Scheduled if isinstance(value, Scheduled) else value


def _title(scope: Scope) -> str:
    """Return a block's name; a container has that of the list or container that it is in."""
    return scope.block or f"{scope.path.rpartition('.')[0] or scope.path}.*"


def _items(scope: Scope) -> Iterator[str | Scope]:
    """Yield the nodes and blocks of a scope, and those of its containers, in the order of computing."""
    for item in scope.steps:
        if isinstance(item, Scope) and item.kind == "container":
            yield from _items(item)
        else:
            yield item


def _copy(unit: _Unit) -> _Unit:
    """Return a box of its own, which may grow where it is put."""
    copy = _Unit([])
    copy.copies, copy.scopes = [list(nodes) for nodes in unit.copies], list(unit.scopes)
    return copy


def _period(row: Sequence[_Stand], at: int) -> tuple[int, int]:
    """Return the size of the sequence repeated from a place on that takes in most, and how often; 1, 1 for none."""
    best = (1, 1)
    for size in range(2, min(_PERIOD, (len(row) - at) // 2) + 1):
        stop = at + size
        while stop < len(row) and row[stop].form == row[stop - size].form:
            stop += 1
        turns = (stop - at) // size
        while turns > 1 and any(
            one.lowest > row[at + size * turns - 1].end for one in row[at : at + size * (turns - 1)]
        ):
            turns -= 1  # only what the last turn computes is read below
        follows = any(one.above > index for index, one in enumerate(row[at : at + size]))
        if turns > 1 and follows and size * turns > best[0] * best[1]:
            best = (size, turns)
    return best


def _span(inside: str, first: str, last: str) -> str:
    """Return the paths within a scope of the first and the last of what is repeated."""
    first, last = (path.removeprefix(f"{inside}.") for path in (first, last))
    if first == last:
        return first
    start = first.rpartition(".")[0]
    return f"{first} … {last.removeprefix(f'{start}.') if start else last}"

"""What a class does, in the order and with the conditions and loops of the spec: staged, then printed."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import count
from typing import Any

from netdsl.diagnostics import Frame
from netdsl.elaborate.inits import Inits
from netdsl.elaborate.names import readable
from netdsl.elaborate.values import BlockDecl, NetDecl, Wire
from netdsl.emission.concolic import SymOp, mentioned
from netdsl.emission.streams import Elements, listed
from netdsl.ir.types import Init, Shape
from netdsl.ops import Op, catalogue
from netdsl.ops.linear import Linear
from netdsl.source import Span
from netdsl.symbolic import Atom, Poly, SymBool, Term, negated

LISTS = ("xs", "ys", "zs")
"""Names of lists that say nothing."""


class Item:
    """One step of a class. Wires are values that flow; each is made by one item."""

    stage: str = ""
    """The stage that begins here."""
    ends: str = ""
    """The stage that ends here."""
    begins: tuple[tuple[str, str], ...] = ()
    """The lists of children that begin before it, and how each is held."""
    train: bool = False
    """Whether it runs in training only."""
    early: bool = False
    """Whether it is computed as soon as what it reads is there, wherever it is registered."""
    turn: tuple[object, ...] = ()
    """The turn of each loop around it that is written turn by turn."""

    def reads(self) -> Iterator[Wire]:
        """Yield the values that it, or anything within, reads and does not make."""
        return iter(())

    def makes(self) -> tuple[Wire, ...]:
        """Return the values that it makes for those after it."""
        return ()

    def terms(self) -> Iterator[Any]:
        """Yield the values and terms of its constructor, not of what is within."""
        return iter(())

    def inner(self) -> tuple[list[Item], ...]:
        """Return the lists of items within."""
        return ()


class Module(Item):
    """What may have a name in the state: a layer, a block, a container."""

    doubtful = False
    """Whether one before it may have the same label for some arguments."""
    home = ""
    """How a list holds it, if it is in one."""
    again = False
    """Whether it is an earlier module with its label."""
    contested = False
    """Whether it or another is doubtful for its label: nothing stands under it where the module is not made."""

    def __init__(
        self, key: str, name: Atom | None, labelled: bool, span: Span, inputs: tuple[Wire, ...]
    ) -> None:
        """`key` is its name where it is known; `name` gives one that is not."""
        self.key = key
        self.name = name
        self.labelled = labelled
        self.span = span
        self.inputs = inputs
        self.outputs: tuple[Wire, ...] = ()

    @property
    def by_position(self) -> bool:
        """Whether it is called by its position in a chain."""
        return self.name is None and not self.labelled and self.key.isdigit()

    def reads(self) -> Iterator[Wire]:
        """Yield its inputs."""
        return iter(self.inputs)

    def makes(self) -> tuple[Wire, ...]:
        """Return its outputs."""
        return self.outputs


class Layer(Module):
    """An op at its place."""

    op: Op
    before: tuple[Shape, ...]
    after: tuple[Shape, ...]
    given: SymOp | None = None
    """The argument that says which op it is."""
    made: bool = False
    """Whether that is what makes any op for so many channels."""
    calls: tuple[Frame, ...] = ()
    batched: tuple[bool, ...] = ()
    """Whether each input has a batch axis."""
    own_label: bool = False
    """Whether the label is its own, and not that of the layer that it follows."""
    counted: bool = False
    """Whether it joins what a loop makes, which may be one value in another instance."""
    own: Mapping[str, Init] = {}
    """How its weights start, where the spec says so at the layer or in its block."""
    compared: Mapping[int, tuple[Term, ...]] = {}
    """Of a joint that frameworks may make though sizes differ: an input of each size, and that size."""

    def terms(self) -> Iterator[Any]:
        """Yield its arguments and its inputs' channels, and what it is linear in."""
        yield from self.op.arguments().values()
        for shape in self.before:
            if "c" in shape.axes:
                yield shape.c
        if isinstance(self.op, Linear):
            yield self.before[0][-1]
        for init in self.op.inits.values():
            yield from init.args
        if self.given is not None:
            yield self.given


class Child(Module):
    """A call of another class."""

    cls: Staged
    shapes: tuple[Shape | Elements, ...]
    """The shapes of what it is called with."""
    after: tuple[Shape, ...] = ()
    """The shapes of what it returns."""
    told: tuple[Shape, ...] = ()
    """The same, as the class at hand says where another may be called."""
    args: Mapping[str, Any]
    callee: SymOp | None = None
    """The argument that says which class it is."""
    recursive = False
    """Whether it is of a class that it is in itself, by whatever way: one such child is in every cycle of classes."""

    @property
    def may_be_op(self) -> bool:
        """Whether it may be a primitive op, which has as many channels as it is given and does not say so."""
        choices = self.callee.choices if self.callee is not None else ()
        return any(choice is not None and not isinstance(choice.target, BlockDecl) for choice in choices)

    names: Mapping[Any, Mapping[str, str]] = {}
    """By other block that it may be, what that calls the arguments."""

    results: tuple[str, ...] = ()
    """The local variables for the channels of what it returns, by value; `_` where they are known without it."""

    @property
    def channels(self) -> int:
        """The channels of the only map that it is called with."""
        (shape,) = self.shapes
        assert isinstance(shape, Shape)
        return shape.c

    @property
    def asked(self) -> tuple[str, ...]:
        """The local variables for channels that only the class knows."""
        return tuple(name for name in self.results if name != "_")

    def terms(self) -> Iterator[Any]:
        """Yield its arguments."""
        if self.again:
            return
        all_channels = self.callee is not None or self.recursive
        read = self.cls.sizes_read | (set() if self.recursive else self.cls.names().keys())
        for incoming, shape in zip(self.cls.inputs, self.shapes, strict=True):
            for axis, name in incoming.sizes.items():
                if name in read or (axis == "c" and all_channels and axis in shape.axes):
                    yield shape.size(axis)
        if self.callee is not None:
            yield self.callee
            yield from self.args.values()
            return
        known = {parameter.name for parameter in self.cls.params}
        yield from (value for name, value in self.args.items() if name in known)


class Container(Module):
    """Items under a name of their own."""

    def __init__(
        self, key: str, name: Atom | None, labelled: bool, span: Span, inputs: tuple[Wire, ...]
    ) -> None:
        """Start empty."""
        super().__init__(key, name, labelled, span, inputs)
        self.items: list[Item] = []
        self.first: tuple[str, ...] = ()
        """The children, and lists of them, that are registered before all others."""
        self.counts = False
        """Whether the labels of its children are 0, 1, 2 and so on."""
        self.exit: tuple[Wire, ...] = ()
        """What flows on from it."""

    def reads(self) -> Iterator[Wire]:
        """Yield what is read within, and what passes through."""
        yield from outside(self.items)
        made = {wire for item in self.items for wire in item.makes()}
        yield from (wire for wire in self.exit if wire not in made)

    def makes(self) -> tuple[Wire, ...]:
        """Return everything that is made within."""
        return tuple(wire for item in self.items for wire in item.makes())

    def inner(self) -> tuple[list[Item], ...]:
        """Return its items."""
        return (self.items,)


class Phi:
    """A value that comes from one of two places; one that a side alone makes is itself."""

    def __init__(self, wire: Wire, then: Wire, otherwise: Wire) -> None:
        """`wire` is what it is called after both."""
        self.wire, self.then, self.otherwise = wire, then, otherwise
        self.sometimes = False
        """Whether there may be no value, for some arguments."""


class If(Item):
    """A condition."""

    def __init__(self, test: Atom, then: list[Item], otherwise: list[Item], phis: list[Phi]) -> None:
        """`phis` are what later items may read."""
        self.test, self.then, self.otherwise, self.phis = test, then, otherwise, phis

    def reads(self) -> Iterator[Wire]:
        """Yield what either side reads."""
        yield from outside(self.then)
        yield from outside(self.otherwise)
        made = {wire for item in (*self.then, *self.otherwise) for wire in item.makes()}
        for phi in self.phis:
            yield from (wire for wire in (phi.then, phi.otherwise) if wire not in made)

    def makes(self) -> tuple[Wire, ...]:
        """Return what comes from either side."""
        return tuple(phi.wire for phi in self.phis)

    def terms(self) -> Iterator[Any]:
        """Yield the condition."""
        yield self.test

    def inner(self) -> tuple[list[Item], ...]:
        """Return both sides."""
        return self.then, self.otherwise

    @property
    def only(self) -> list[Item] | None:
        """The side that there is, where the class was not made for the other one."""
        for test, side, other in (
            (self.test, self.then, self.otherwise),
            (negated(self.test), self.otherwise, self.then),
        ):
            if len(side) == 1 and isinstance(side[0], Check) and side[0].test == negated(test):
                return other
        return None


class Carried:
    """A value that goes from turn to turn of a loop."""

    def __init__(self, wire: Wire, begin: Wire, end: Wire, after: Wire) -> None:
        """Within a turn it is `wire`, before all `begin`, at a turn's end `end`, and `after` all."""
        self.wire, self.begin, self.end, self.after = wire, begin, end, after


class Gathered:
    """A list of what every turn of a loop ends with."""

    def __init__(self, end: Wire, after: Wire) -> None:
        """`end` is the value of one turn, `after` the list of all."""
        self.end, self.after = end, after


class Loop(Item):
    """A `for`, or a repetition."""

    def __init__(self, targets: tuple[str, ...], over: Term | Any, body: list[Item]) -> None:
        """`over` is the expression that is iterated over."""
        self.targets, self.over, self.body = targets, over, body
        self.carried: list[Carried] = []
        self.gathered: list[Gathered] = []
        self.some: Atom | None = None
        """The condition that it has a turn at all; None where it always has."""

    @property
    def counter(self) -> str | None:
        """The variable that is another number in every turn, if there is one."""
        over = self.over
        counts = isinstance(over, Atom) and over.op == "call" and over.args[0] in ("range", "enumerate")
        return self.targets[0] if counts else None

    def shown(self, names: Sequence[str]) -> str:
        """Return its variables, by what they are called here, as `for` has them: the cells of a row in brackets."""
        over = self.over
        if isinstance(over, Atom) and over.op == "call" and over.args[0] == "enumerate" and len(names) > 2:
            first, *cells = names
            return f"{first}, ({', '.join(cells)})" if set(cells) != {"_"} else f"{first}, _"
        return ", ".join(names)

    def comprehended(self, used: Collection[str]) -> tuple[str, Any]:
        """Return its variables where some of them are read, and what it runs over: `enumerate` if the number is."""
        targets, over = self.targets, self.over
        if isinstance(over, Atom) and over.args[0] == "enumerate" and targets[0] not in used:
            return ", ".join(t if t in used else "_" for t in targets[1:]), over.args[1]
        return self.shown([t if t in used else "_" for t in targets]), over

    def count_turns(self, name: str) -> None:
        """Give the number of a turn a name, where no variable is another number in every turn."""
        self.targets, self.over = (name, *self.targets), Atom("call", ("enumerate", self.over))

    def changing(self) -> set[str]:
        """Return the names that are other values in other turns."""
        return {*self.targets, *(item.name for item in walk(self.body) if isinstance(item, Let))}

    def varying(self) -> set[str]:
        """Return the names that may be other values in other turns, but for those that read none of these."""
        found = {
            *self.targets,
            *(item.name for item in walk(self.body) if isinstance(item, Let) and item.again),
        }

        def spread(items: list[Item], under: bool) -> None:
            for item in items:
                varies = under or not found.isdisjoint(
                    name for value in item.terms() for name in mentioned(value)
                )
                if varies and isinstance(item, Let):
                    found.add(item.name)
                elif varies and isinstance(item, Child):
                    found.update(item.asked)
                elif varies and isinstance(item, Loop):
                    found.update(item.targets[item.counter is not None :])
                for inner in item.inner():
                    spread(inner, varies if isinstance(item, If) else under)

        known = 0
        while known != len(found):
            known = len(found)
            spread(self.body, False)
        return found

    def modules(self) -> Iterator[Module]:
        """Yield the modules that a turn makes, but not what is within them."""
        stack = list(self.body)
        while stack:
            item = stack.pop(0)
            if isinstance(item, Module):
                yield item
            else:
                stack[:0] = [inner for items in item.inner() for inner in items]

    def reads(self) -> Iterator[Wire]:
        """Yield what the body reads from outside, and what each turn only hands on."""
        own = {carried.wire for carried in self.carried}
        yield from (carried.begin for carried in self.carried)
        yield from (wire for wire in outside(self.body) if wire not in own)
        own |= {wire for item in self.body for wire in item.makes()}
        ends = *(one.end for one in self.carried), *(one.end for one in self.gathered)
        yield from (wire for wire in ends if wire not in own)

    def makes(self) -> tuple[Wire, ...]:
        """Return what is there after all turns."""
        return (*(one.after for one in self.carried), *(one.after for one in self.gathered))

    def terms(self) -> Iterator[Any]:
        """Yield what is iterated over."""
        yield self.over

    def inner(self) -> tuple[list[Item], ...]:
        """Return the body."""
        return (self.body,)


class Pick(Item):
    """One value of a list."""

    def __init__(self, whole: Wire, index: Term, wire: Wire) -> None:
        """`index` may count from the end."""
        self.whole, self.index, self.wire = whole, index, wire

    def reads(self) -> Iterator[Wire]:
        """Yield the list."""
        yield self.whole

    def makes(self) -> tuple[Wire, ...]:
        """Return the value."""
        return (self.wire,)


class Collect(Item):
    """A list of values, and of all values of other lists."""

    def __init__(self, parts: tuple[Wire, ...], wire: Wire, grows: bool = False) -> None:
        """`wire` is the list; where it `grows`, the first part is a list that nothing else reads."""
        self.parts, self.wire, self.grows = parts, wire, grows

    def reads(self) -> Iterator[Wire]:
        """Yield the parts."""
        return iter(self.parts)

    def makes(self) -> tuple[Wire, ...]:
        """Return the list."""
        return (self.wire,)


class Joined(Item):
    """What a joint makes of a list's values, in their order; of one, that value."""

    def __init__(self, op: Op, shape: Shape, whole: Wire, wire: Wire, compared: bool) -> None:
        """`shape` is that of what it makes, which is `wire`; `compared`: as of a layer, all of the list."""
        self.op, self.shape, self.whole, self.wire, self.compared = op, shape, whole, wire, compared

    def reads(self) -> Iterator[Wire]:
        """Yield the list."""
        yield self.whole

    def makes(self) -> tuple[Wire, ...]:
        """Return the joint."""
        return (self.wire,)


class Numbered(Item):
    """Values by their numbers: what loops call `p{i}`."""

    def __init__(self, pattern: tuple[str, ...], wire: Wire, keeps: str) -> None:
        """`pattern` is what stands around the numbers, `wire` all of them; `keeps`: a variable for their channels."""
        self.pattern, self.wire, self.keeps = pattern, wire, keeps

    def type_of(self, value: str) -> str:
        """Return the type of a mapping of such values."""
        numbers = ", ".join(["int"] * (len(self.pattern) - 1))
        return f"dict[{f'tuple[{numbers}]' if ',' in numbers else numbers}, {value}]"

    @property
    def called(self) -> Iterator[str]:
        """The names that their mapping may have, the best first."""
        own = readable(self.pattern[0].strip("_"))
        yield from (own, f"{own}s") if own else ()
        yield from LISTS
        yield from (f"{own or 'xs'}{number}" for number in count(2))

    def makes(self) -> tuple[Wire, ...]:
        """Return the mapping."""
        return (self.wire,)


class Store(Item):
    """A value gets its number."""

    def __init__(self, whole: Wire, index: Term, value: Wire, keeps: str, channels: int) -> None:
        """`whole` are the values by their numbers, `keeps` is a variable for their channels, if there is one."""
        self.whole, self.index, self.value = whole, index, value
        self.keeps, self.channels = keeps, channels

    def reads(self) -> Iterator[Wire]:
        """Yield the value, and the others."""
        yield from (self.whole, self.value)

    def terms(self) -> Iterator[Any]:
        """Yield the channels, if they are kept."""
        if self.keeps:
            yield self.channels


class Slot(Module):
    """A child that returns its input: in the place of one that other turns of a loop make."""


class Let(Item):
    """A number under a name; `again` if the name has had another."""

    def __init__(self, name: str, value: Any, again: bool = False) -> None:
        """`value` may be symbolic."""
        self.name, self.value, self.again = name, value, again
        self.told = False
        """Whether it is a line of the spec."""
        self.unpacked: tuple[Let, ...] = (self,)
        """The variables that one statement binds to the items of a list; none at those after the first."""

    def terms(self) -> Iterator[Any]:
        """Yield the value."""
        yield self.value


class Check(Item):
    """What must hold of the arguments; ValueError where it does not."""

    def __init__(self, test: Atom, message: str) -> None:
        """`message` is an f-string's text."""
        self.test, self.message = test, message

    def terms(self) -> Iterator[Any]:
        """Yield the condition."""
        yield self.test


class Side(Item):
    """An output besides the flow."""

    def __init__(self, name: str, items: list[Item], wire: Wire, train: bool) -> None:
        """`wire` is what it gives."""
        self.name, self.items, self.wire, self.train = name, items, wire, train

    def reads(self) -> Iterator[Wire]:
        """Yield what it reads."""
        yield from outside(self.items)
        if self.wire not in {wire for item in self.items for wire in item.makes()}:
            yield self.wire

    def makes(self) -> tuple[Wire, ...]:
        """Return everything that it makes."""
        return tuple(wire for item in self.items for wire in item.makes())

    def inner(self) -> tuple[list[Item], ...]:
        """Return its items."""
        return (self.items,)


def outside(items: list[Item]) -> Iterator[Wire]:
    """Yield the values that items read and none of them makes."""
    made: set[Wire] = set()
    for item in items:
        for wire in item.reads():
            if wire not in made:
                yield wire
        made.update(item.makes())


def folds(joint: str) -> bool:
    """Tell whether a joint of the language joins one branch after the other, which then have one shape."""
    op = catalogue().get(joint)
    return op is not None and op.folds


def walk(items: list[Item]) -> Iterator[Item]:
    """Yield items and all within."""
    for item in items:
        yield item
        for inner in item.inner():
            yield from walk(inner)


def ordered(items: list[Item]) -> list[Item]:
    """Return items in the order of computing: an early one follows what it reads."""
    if not any(item.early for item in items):
        return items
    result = [item for item in items if not item.early]
    for item in (item for item in items if item.early):
        need = set(item.reads())
        at = 0
        for index, other in enumerate(result):
            stores = {one.whole for one in walk([other]) if isinstance(one, Store)}
            if need & {*other.makes(), *stores}:
                at = index + 1
        while at < len(result) and result[at].early:
            at += 1
        result.insert(at, item)
    return result


def has_stages(items: list[Item]) -> bool:
    """Tell whether a stage ends among the items of one chain or function."""
    return any(
        item.ends or (isinstance(item, (If, Loop)) and any(map(has_stages, item.inner()))) for item in items
    )


class Parameter:
    """An argument of a class's constructor."""

    def __init__(self, name: str, kind: str, value: Any, default: Any) -> None:
        """`value` is one that it has; `default` is MISSING where there is none."""
        self.name, self.kind, self.value, self.default = name, kind, value, default
        self.unpacked = False
        """Whether it is a list with a variable for each of its items."""


class Incoming:
    """A value that comes into a class: its name, wire and shape, and the names of its sizes by axis."""

    def __init__(self, name: str, wire: Wire, shape: Shape, sizes: Mapping[str, str]) -> None:
        """`sizes` are names of constructor arguments; of a list, one is that of its channels."""
        self.name, self.wire, self.shape, self.sizes = name, wire, shape, sizes

    @property
    def many(self) -> bool:
        """Whether it is a list."""
        return listed(self.shape)


class Staged:
    """A block or net as a class."""

    def __init__(self, decl: BlockDecl | NetDecl, kind: str) -> None:
        """Start empty."""
        self.decl = decl
        self.kind = kind
        self.name = decl.name
        self.params: list[Parameter] = []
        self.inputs: list[Incoming] = []
        self.items: list[Item] = []
        self.outputs: tuple[Wire, ...] = ()
        self.shapes: tuple[Shape, ...] = ()
        self.fixed: dict[str, Any] = {}
        """Parameters, and sizes of what comes in, that the class is made for."""
        self.decided: Mapping[str, int | None] = {}
        """What is decided in its text and the blocks in it, for which the class is made."""
        self.asks: dict[str, Atom] = {}
        """Arguments that say something of the sizes of what comes in."""
        self.measured: dict[Atom, tuple[Any, tuple[Atom, ...]]] = {}
        """Conditions on sizes of what comes in: their truth here, and the conditions under which they are asked."""
        self.ramps: dict[str, tuple[Any, Mapping[str, Any]]] = {}
        """Arguments that are numbers of a depth schedule: its call, and what that is given."""
        self.bound: dict[str, int] = {}
        """Sizes that stand as numbers in the net's own class."""
        self.vague: dict[str, Any] = {}
        """Names of sizes that only a called block knows, and that block."""
        self.unmade: list[tuple[Atom, ...]] = []
        """Conditions, over its arguments, for which it could not be made: those around a side, and its own last."""
        self.sides: list[Side] = []
        """The outputs of a net besides its own result, in the order of its record."""
        self.result = "out"
        """What a net calls its own result."""
        self.defaults: dict[str, Any] = {}
        """The defaults of its parameters."""
        self.out_terms: tuple[Shape, ...] = ()
        """The shapes of what it returns, over its local variables too."""
        self.kinds: set[str] = set()
        """The ops of a block and of the blocks in it, also those whose `init` lines they follow."""
        self.around: tuple[Inits, ...] = ()
        """What `init` lines say of the scopes that it is called in."""
        self.inits: tuple[Inits, ...] = ()
        """What `init` lines of the net say in whose walk it was made."""
        self.rules: Mapping[str, Mapping[str, Init]] = {}
        """What `init` lines say, by op: of a net all, of a block what it has to know."""
        self.hints: dict[str, Any] = {}
        """What its names are in the instance that was walked."""
        self.labels: dict[Wire, str] = {}
        """What the spec calls its values."""
        self.sized: set[str] = set()
        """The variables of its constructor that are sizes which loops change."""
        self.sizes_read: set[str] = set()
        """The sizes of what comes in that its constructor takes."""
        self.lists: dict[Wire, Poly] = {}
        """The values that are lists, and how long they are."""
        self.axes = ""
        """The axes of a list's values that comes in."""
        self.channels: Term | None = None
        """The channels of what it returns, if that is a list."""
        self.first: tuple[str, ...] = ()
        """The children, and lists of them, that are registered before all others."""
        self.counts = False
        """Whether the labels of its children are 0, 1, 2 and so on."""
        self.recursive = False
        """Whether it calls itself, by whatever way."""
        self.tidied = False
        self.known_names: Mapping[str, None] | None = None
        self.known_lets: set[str] | None = None
        self.told = False
        """Whether its callers ask it for the channels of what it returns."""

    @property
    def many(self) -> bool:
        """Whether it takes a list."""
        return any(incoming.many for incoming in self.inputs)

    @property
    def optional(self) -> list[Side]:
        """The outputs that are not always there: those of training, or under a condition."""
        conditions = (item for item in walk(self.items) if isinstance(item, If))
        asked = {id(one) for item in conditions for one in (*item.then, *item.otherwise)}
        return [side for side in self.sides if side.train or id(side) in asked]

    def names(self) -> Mapping[str, None]:
        """Return the names that its constructor's terms read, found once until `changed`."""
        if self.known_names is None:
            found: dict[str, None] = {}
            for item in walk(self.items):
                for value in (*item.terms(), item.name if isinstance(item, Module) else None):
                    found.update(mentioned(value))
            self.known_names = found
        return self.known_names

    def changed(self) -> None:
        """Forget what was found of its items, which are about to be others."""
        self.known_names = self.known_lets = None

    def lets(self) -> set[str]:
        """Return the local variables of its constructor."""
        if self.known_lets is None:
            self.known_lets = {item.name for item in walk(self.items) if isinstance(item, Let)}
        return self.known_lets


def is_decided(op: Op, weight: str) -> bool:
    """Tell whether an argument decides if an op has a weight: its bias, or all that is affine."""
    given = op.arguments()
    return any(isinstance(given.get(field), SymBool) for field in ("affine", weight))


def weights_of(op: Op, shapes: tuple[Shape, ...]) -> set[str]:
    """Return the weights that an op has for some arguments, and a tensor that stands for itself, learned or not."""
    decided = {field: True for field, value in op.arguments().items() if isinstance(value, SymBool)}
    bare = {""}.intersection(op.buffers(*shapes))
    return {*bare, *op.weights(*shapes), *(op.replace(**decided).weights(*shapes) if decided else ())}

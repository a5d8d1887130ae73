"""Sizes that weights fix: where a value's size follows from the input's, and only one fits what was made.

Other sizes of the input may give the same (LeNet takes 33x33), so what is held against a weight is the value itself,
right before it meets the weight.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from functools import reduce
from typing import TYPE_CHECKING, Any, NamedTuple

from netdsl.elaborate.values import Wire
from netdsl.emission.code import Arg, Call, Const, Expr, Name
from netdsl.emission.concolic import mentioned
from netdsl.emission.function import renamed
from netdsl.emission.items import Check, Child, Container, Item, Layer, Let, Loop, Module, Pick, walk
from netdsl.emission.prose import LETTERS
from netdsl.emission.streams import Elements
from netdsl.ir.types import Pad, Shape
from netdsl.ops.base import Op
from netdsl.ops.joint import Elementwise
from netdsl.ops.linear import Linear
from netdsl.ops.source import Weight
from netdsl.symbolic import Atom, Poly, SymBool, SymInt, Term, names, single, symbolic, term, text

if TYPE_CHECKING:
    from netdsl.emission.members import Members

SIZES = {"c": "channels", "h": "rows", "w": "columns", "n": "tokens", "b": "windows"}
"""What a learned tensor has, by axis."""


_LONG = 60
"""How long a condition is at most that a message says in full."""


class Demand(NamedTuple):
    """What must hold of a value: that an axis, counted with the batch, has the size that a layer was made for."""

    wire: Wire
    axis: int
    size: Expr
    place: str
    """Where the layer, or the learned tensor, is in the class."""
    what: str
    """What its sizes are: `features`."""


class Demands:
    """What one class demands of values whose size follows from the input's."""

    def __init__(self, members: Members) -> None:
        """Find the names that sizes of inputs have here, and the learned tensors."""
        self.members = members
        staged = members.function.staged
        self.sizes = members.text.family.sizes | staged.sized
        if staged.kind == "net":
            for incoming in staged.inputs:
                for axis, size in zip(incoming.shape.axes, incoming.shape, strict=True):
                    self.sizes.update(mentioned(size) if axis != "c" else ())
        self.learned: Mapping[Wire, Layer] = {
            item.outputs[0]: item
            for item in walk(members.function.items)
            if isinstance(item, Layer) and isinstance(item.op, Weight)
        }

    def follows(self, size: Any) -> bool:
        """Tell whether a number follows from the size of the input."""
        return not self.sizes.isdisjoint(mentioned(size))

    def of(self, item: Item) -> Iterator[Demand]:
        """Yield what an item demands of what it reads."""
        if isinstance(item, Layer) and isinstance(item.op, Elementwise):
            yield from self.of_joint(item)
        elif isinstance(item, Module):
            yield from self.of_features(item)

    def of_joint(self, item: Layer) -> Iterator[Demand]:
        """Yield what a learned tensor demands of the value that it meets."""
        values = [wire for wire in item.inputs if wire not in self.learned]
        for wire in item.inputs if len(values) == 1 else ():
            tensor = self.learned.get(wire)
            if tensor is None or not isinstance(place := self.members.called(tensor), str):
                continue
            assert isinstance(tensor.op, Weight)
            shape = tensor.after[0]
            sized = any(map(self.follows, shape.extent))
            for axis, size in zip(shape.axes, shape, strict=True):
                if self.follows(size) or (sized and axis != "c"):
                    at = self.members.dialect.axis(shape.axes, axis)
                    own = Name(f"{place}.shape[{at - 1 + tensor.op.batch}]")
                    yield Demand(values[0], at, own, place, SIZES[axis])

    def of_features(self, item: Module) -> Iterator[Demand]:
        """Yield what the weights of a layer, or the first of a chain or block, demand of a vector."""
        shape = entering(item)
        if type(shape) is not Shape or shape.axes != "c" or not self.follows(shape.c):
            return
        place = self.members.called(item)
        if not isinstance(place, str):
            return
        keys = self.first(item)
        if keys is not None:
            # a type checker knows no more of a chain's element, or of one of two, than that it is a module
            is_linear = not keys and item in self.members.function.items
            size = Name(f"{place}.in_features") if is_linear else Const(self.members.read(shape.c))
            place += "".join(f"[{key}]" if key.isdigit() else f".{key}" for key in keys)
            yield Demand(item.inputs[0], 1, size, place, "features")
        elif isinstance(item, Child) and item.cls.inputs[0].sizes["c"] in item.cls.sizes_read:
            yield Demand(item.inputs[0], 1, Const(self.members.read(shape.c)), place, "features")

    def entry(self, inputs: Mapping[Wire, str]) -> Iterator[Expr]:
        """Yield the checks of what comes in, under these names: what the constructor was told of its sizes."""
        staged, dialect = self.members.function.staged, self.members.dialect
        sizes: dict[str, Atom] = {}
        letters: dict[str, str] = {}
        whole: dict[str, tuple[int, str, str]] = {}
        for incoming in staged.inputs if not staged.many else ():
            for axis, size in zip(incoming.shape.axes, incoming.shape, strict=True):
                name = next(iter(mentioned(size)), incoming.sizes.get(axis, ""))
                if axis == "c" or name not in {*self.sizes, *staged.fixed}:
                    continue
                shown = f"{inputs[incoming.wire]}.shape[{dialect.axis(incoming.shape.axes, axis)}]"
                sizes[name] = Atom("name", (shown,))
                letters[name] = LETTERS[axis] + (f"_{incoming.name}" if len(staged.inputs) > 1 else "")
                whole[shown] = size, name, axis
        parts = self.size_parts(sizes.keys())
        plain = {name for size, name, _ in whole.values() if term(size) == single(Atom("name", (name,)))}
        exact = {name for part in parts for name in names(part) if single(Atom("name", (name,))) in parts}
        exact.update(name for part in parts for name in names(part) if name not in plain)
        for shown, (size, name, axis) in whole.items():
            if name in exact or name in staged.fixed:
                takes = Const(staged.fixed.get(name) or self.members.read(size))
                yield checking("check_size", Name(shown), takes, Const(staged.name), Const(SIZES[axis]))
        for part in parts:
            if exact.isdisjoint(names(part)):
                own, takes = SymInt(0, renamed(part, sizes)), Const(self.members.read(SymInt(0, part)))
                said = Const(f"for {text(part, letters)}")
                yield checking("check_size", Const(own), takes, Const(staged.name), said)
        params = {parameter.name for parameter in staged.params}
        for test, (truth, path) in staged.measured.items():
            if isinstance(truth, SymBool) and not params.issuperset(mentioned(truth)):
                continue  # nothing is made with it
            env = {name: sizes.get(name) or self.members.kept(name) for name in mentioned(test)}
            have, takes = renamed(test, env), self.members.read(term(truth))
            what = text(renamed(test, sizes))
            if isinstance(truth, SymBool) and (staged.kind == "block" or len(what) > _LONG):
                what = text(truth)  # an argument's name, or what is left where sizes are numbers
            if path:
                asked = self.members.read(reduce(lambda a, b: Atom("and", (a, b)), path))
                have = Atom("if", (asked, have, takes))
            holds, told = Const(SymBool(True, have)), Const(self.members.symbol(takes))
            yield checking("check_condition", holds, told, Const(f"{staged.name}: {what}"))

    def size_parts(self, sizes: Collection[str]) -> list[Poly]:
        """Return what of the sizes of inputs decides how children are made, but by what `of` demands or they ask for.

        That is what follows from sizes alone, such as `height // 2`; what follows from another one is left out.
        """
        bound: dict[str, list[Any]] = {}
        waiting: list[Any] = []
        for item in walk(self.members.function.staged.items):
            if isinstance(item, Let):
                bound.setdefault(item.name, []).append(item.value)
            elif isinstance(item, (Loop, Pick)):
                waiting += item.terms()
            elif isinstance(item, Layer) and not isinstance(item.op, Weight):
                waiting += item.op.arguments().values()
            elif isinstance(item, Child):
                waiting += (value for name, value in item.args.items() if name not in item.cls.asks)
        found: dict[Poly, None] = {}
        while waiting:
            value = waiting.pop()
            waiting += (one for name in mentioned(value) for one in bound.pop(name, ()))
            if isinstance(value, (tuple, Pad)):
                waiting += value.size if isinstance(value, Pad) else value
            elif isinstance(value, (Atom, Poly)) or symbolic(value):
                read = value if isinstance(value, (Atom, Poly)) else term(value)
                found.update(dict.fromkeys(parts_of(read, sizes)))
            else:
                waiting += (Atom("name", (name,)) for name in mentioned(value))
        kept: list[Poly] = []
        for part in sorted(found, key=lambda part: (len(text(part)), text(part))):
            if not given_by(kept, part, sizes):
                kept.append(part)
        return kept

    def first(self, item: Module) -> tuple[str, ...] | None:
        """Return the path of the linear layer that a value meets before any other with weights."""
        if isinstance(item, Layer):
            return () if isinstance(item.op, Linear) else None
        text, chain = self.members.text, list[Item]()
        if isinstance(item, Container):
            is_chain = text.of_container(item, self.members.function.staged).kind == "chain"
            chain = item.items if is_chain else []
        elif isinstance(item, Child) and item.callee is None:
            chain = item.cls.items if text.is_sequential(text.function(item.cls)) else []
        position = 0
        for inner in chain:
            if isinstance(inner, (Let, Check)) or self.members.is_nothing(inner):
                continue
            if not isinstance(inner, Module) or inner.name is not None:
                return None
            path = self.first(inner)
            if path is not None:
                return (str(position) if inner.by_position else inner.key, *path)
            if not isinstance(inner, Layer) or type(inner.op).weights is not Op.weights:
                return None
            position += 1
        return None


def parts_of(value: Term, sizes: Collection[str]) -> Iterator[Poly]:
    """Yield the parts of an expression that read sizes alone, the largest of them."""
    read = names(value).keys()
    if read.isdisjoint(sizes):
        return
    alone = read <= set(sizes)
    if isinstance(value, Poly):
        products = [(number, atoms) for number, atoms in value.parts.values() if atoms]
        multiple = len(products) == 1 and (products[0][0] != 1 or products[0][1][0].op == "name")
        if alone and not multiple:
            yield value
            return
        for _, atoms in products:
            for one in atoms:
                yield from parts_of(one, sizes)
    elif value.op == "name" or (alone and value.op in ("//", "%")):
        yield single(value)
    else:
        for one in value.args:
            if isinstance(one, (Atom, Poly)):
                yield from parts_of(one, sizes)


def given_by(known: Collection[Poly], value: Term, sizes: Collection[str]) -> bool:
    """Tell whether a number follows from others that are known, and from what reads no size."""
    if names(value).keys().isdisjoint(sizes):
        return True
    whole = value if isinstance(value, Poly) else single(value)
    if any(whole.plus(one, -1).constant is not None for one in known):
        return True
    if isinstance(value, Poly):
        return all(given_by(known, one, sizes) for _, atoms in value.parts.values() for one in atoms)
    inner = [one for one in value.args if isinstance(one, (Atom, Poly))]
    return value.op != "name" and all(given_by(known, one, sizes) for one in inner)


def checking(function: str, *args: Expr) -> Expr:
    """Return a call of a function that raises an error where its arguments do not fit."""
    return Call(function, tuple(Arg("", arg, keyword=False) for arg in args))


def entering(item: Module) -> Shape | Elements | None:
    """Return the shape of what comes into an item first."""
    if isinstance(item, Layer):
        return item.before[0] if item.before else None
    if isinstance(item, Child):
        return item.shapes[0]
    inner = next((one for inner in item.inner() for one in inner if isinstance(one, Module)), None)
    return entering(inner) if inner is not None else None

"""Sizes that weights fix: where a value's size follows from the input's, and only one fits what was made.

Other sizes of the input may give the same (LeNet takes 33x33), so what is held against a weight is the value itself,
right before it meets the weight.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from netdsl.elaborate.values import Wire
from netdsl.emission.code import Const, Expr, Name
from netdsl.emission.concolic import mentioned
from netdsl.emission.items import Check, Child, Container, If, Item, Layer, Let, Module, walk
from netdsl.emission.streams import Elements
from netdsl.emission.writer import flat
from netdsl.ir.types import Shape
from netdsl.ops.base import Op
from netdsl.ops.linear import Linear
from netdsl.ops.source import Weight

if TYPE_CHECKING:
    from netdsl.emission.members import Members

SIZES = {"c": "channels", "h": "rows", "w": "columns", "n": "tokens"}
"""What a learned tensor has, by axis."""


class Demand(NamedTuple):
    """What must hold of a value: that an axis, counted with the batch, has a size."""

    wire: Wire
    axis: int
    size: Expr
    message: Expr


class Demands:
    """What one class demands of values whose size follows from the input's."""

    def __init__(self, members: Members) -> None:
        """Find the names that sizes of inputs have here, and the learned tensors."""
        self.members = members
        staged = members.function.staged
        self.sizes = set(members.text.family.sizes)
        conditions = [item for item in walk(members.function.items) if isinstance(item, If)]
        self.unsure = {id(inner) for item in conditions for inner in walk([*item.then, *item.otherwise])}
        """What may not be there: a type checker knows less of it."""
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
        if isinstance(item, Layer) and item.op.name in ("add", "mul"):
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
            for index, (axis, size) in enumerate(zip(shape.axes, shape, strict=True)):
                if self.follows(size):
                    own = f"{place}.shape[{index + tensor.op.batch}]"
                    yield Demand(values[0], index + 1, Name(own), self.message(place, own, SIZES[axis]))

    def of_features(self, item: Module) -> Iterator[Demand]:
        """Yield what the weights of a layer, or the first of a chain or block, demand of a vector."""
        place, shape = self.members.called(item), entering(item)
        if (
            not isinstance(place, str)
            or type(shape) is not Shape
            or shape.axes != "c"
            or not self.follows(shape.c)
        ):
            return
        keys = self.first(item)
        if keys is not None:
            path = "".join(f"[{key}]" if key.isdigit() else f".{key}" for key in keys)
            plain = not keys or (path == f"[{keys[0]}]" and id(item) not in self.unsure)
            own = f"{place}{path}" if plain else f'{place}.get_submodule("{".".join(keys)}")'
            own += ".in_features"
        elif isinstance(item, Child) and item.cls.inputs[0].sizes["c"] in item.cls.sizes_read:
            path, own = "", flat(Const(self.members.read(shape.c)))
        else:
            return
        yield Demand(item.inputs[0], 1, Name(own), self.message(place + path, own, "features"))

    @staticmethod
    def message(place: str, size: str, what: str) -> Expr:
        """Return what is said where a size differs."""
        shown = size.replace('"', "'")  # in a string
        return Name(f'f"{place.removeprefix("self.")} takes {{{shown}}} {what}: resize the input"')

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
                return (str(position) if inner.key.isdigit() else inner.key, *path)
            if not isinstance(inner, Layer) or type(inner.op).weights is not Op.weights:
                return None
            position += 1
        return None


def entering(item: Module) -> Shape | Elements | None:
    """Return the shape of what comes into an item first."""
    if isinstance(item, Layer):
        return item.before[0] if item.before else None
    if isinstance(item, Child):
        return item.shapes[0]
    inner = next((one for inner in item.inner() for one in inner if isinstance(one, Module)), None)
    return entering(inner) if inner is not None else None

"""A tape as ops: what each call is, which value each tensor looks at, and every call that no op says."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from inspect import signature
from math import prod
from typing import Any

from torch import Tensor, nn

from netdsl.against import flat
from netdsl.ir.graph import Value
from netdsl.ir.types import Dims, Shape
from netdsl.ops.base import Op, OpError
from netdsl.ops.dropout import DropPath
from netdsl.ops.joint import Concat, Elementwise, Scale
from netdsl.ops.layout import Expand, Flatten, Map, Permute, PixelShuffle, PixelUnshuffle, Tokens, Unflatten
from netdsl.ops.move import Shuffle
from netdsl.ops.part import Slice, Split
from netdsl.ops.pool import AvgPool, GlobalAvgPool
from netdsl.ops.reduce import Reduction
from netdsl.ops.source import Input, Weight
from netdsl.record import Record
from netdsl_from_torch.emitted import PLAIN
from netdsl_from_torch.layout import (
    BATCH,
    Apart,
    Atom,
    Dim,
    Drawn,
    Follows,
    Layout,
    Places,
    Scores,
    Unfit,
    Unknown,
    own_dims,
    whole,
)
from netdsl_from_torch.ops import DRAWING, FUNCTIONS
from netdsl_from_torch.tape import BATCH as SAMPLES
from netdsl_from_torch.tape import Call, Enter, Frame, Leave, Tape
from netdsl_from_torch.whole import translated

LEARNED = "#"
"""What the values of parameters begin with that are no layers'."""
HELD: dict[type[Apart], str] = {
    Scores: "scores of attention",
    Drawn: "numbers that are drawn",
    Places: "places of the largest numbers",
}
"""What tensors hold that no value of a net does."""
_RAW = "pqrstuvw"
"""Axes of parameters, whose meaning only their use says."""


class Cause(Record):
    """A call that no op says, and where it is."""

    what: str
    why: str
    path: str
    place: str
    of: str = ""
    """What tells it from others of its line."""


_signature = cache(signature)


class Made(Record):
    """An op and what it reads, not yet in a graph."""

    op: Op
    inputs: tuple[Value, ...]
    home: str
    """The path of its weights, "" without any."""
    frame: Frame
    event: int


class Translation:
    """The ops that a tape is."""

    near = 1e-9
    """How far off a number may be, of itself, that is taken for the one which an op has of its own."""

    def __init__(
        self, tape: Tape, inputs: Sequence[Sequence[int]], train: bool, batch: int = SAMPLES
    ) -> None:
        """Translate all of it; `batch` is how many samples it was run with."""
        self.tape = tape
        self.train = train
        self.batch = batch
        self.made: list[Made] = []
        self.shapes: list[tuple[Shape, ...]] = []
        """By what is made the shapes of its outputs."""
        self.samples: list[int | None] = []
        """By what is made for how many samples that is: all, or one or none where it is made of parameters alone."""
        self.tensors: dict[int, Layout] = {}
        self.apart: dict[int, Apart] = {}
        """By tensor what it holds that is no value of a net."""
        self.causes: list[Cause] = []
        self.seen: dict[object, Layout] = {}
        self.entered: dict[int, tuple[Value, ...]] = {}
        """By id of a frame the values of its arguments."""
        self.left: dict[int, tuple[Value, ...]] = {}
        """And of what it returns."""
        calls = [event for event in tape.events if isinstance(event, Call)]
        self.dropping = {type(call.frame.module) for call in calls if call.name in DRAWING}
        """Classes of stochastic depth; what they return as it is they drop with probability 0."""
        self.guessed: set[str] = set()
        """What stands for results without an op, and what ops without weights make of it."""
        self.event = 0
        self.frame = tape.root
        self.name = ""
        self.result: Any = None
        self.dtype: Any = None
        self.sources: list[Layout] = []
        for tensor, shape in zip(flat(tape.root.args), inputs, strict=True):
            self.dtype = tensor.dtype
            self.tensors[id(tensor)] = x = self.put(Input(shape=tuple(shape)))
            self.sources.append(x)
        for self.event, event in enumerate(tape.events):
            self.frame = event.frame
            if isinstance(event, Call):
                self.call(event)
            elif isinstance(event, Leave):
                self.leave(event.frame)
            elif isinstance(event, Enter):
                self.entered[id(event.frame)] = self.values(event.frame.args, event.frame.kwargs)
        self.event += 1
        self.frame = tape.root
        self.outputs: list[Layout] = []
        for tensor in flat(tape.result):
            try:
                self.outputs.append(self.settled(tensor))
            except Unknown as unknown:
                if not isinstance(unknown, Follows):
                    self.causes.append(Cause("output", str(unknown), "", ""))

    # ---------------------------------------------------------------- events

    def call(self, call: Call) -> None:
        """Translate a call, or note why it has no op."""
        self.name, self.result = call.name, call.result
        reads = [tensor for tensor in flat((list(call.args), dict(call.kwargs))) if self.known(tensor)]
        if not any(id(t) in self.tensors or id(t) in self.apart for t in reads):
            if call.name not in DRAWING and not any(self.key(t) and t.is_floating_point() for t in reads):
                return  # of numbers alone, such as a counter
        begun = len(self.made)
        try:
            found = self.translated(call)
            self.give(call.result, found)
        except Unknown as unknown:
            del self.made[begun:], self.shapes[begun:], self.samples[begun:]
            self.seen = {key: x for key, x in self.seen.items() if int(x.value.node) < begun}
            layouts = [self.tensors[id(tensor)] for tensor in reads if id(tensor) in self.tensors]
            follows = isinstance(unknown, Unfit) and any(x.value.node in self.guessed for x in layouts)
            if not follows and not isinstance(unknown, Follows):
                self.causes.append(Cause(call.name.strip("_"), str(unknown), call.frame.path, call.place))
            self.stand_in(call)

    def translated(self, call: Call) -> Any:
        """Return the layouts of a call's results."""
        if call.module is not None:
            return translated(self, call.module, *call.args, **call.kwargs)
        name = call.name if call.name in FUNCTIONS else call.name.rstrip("_")
        function = PLAIN.get(call.name) if call.plain else FUNCTIONS.get(call.name) or FUNCTIONS.get(name)
        if function is None:
            raise Unknown("")
        kwargs = dict(call.kwargs)
        if not call.plain:
            kwargs = {"input" if key in ("x", "self") else key: value for key, value in kwargs.items()}
        try:
            bound = _signature(function).bind(self, *call.args, **kwargs)
        except TypeError as error:
            raise Unknown(str(error)) from None
        try:
            return function(*bound.args, **bound.kwargs)
        except OpError as error:
            raise Unknown(error.message) from None

    def give(self, result: Any, found: Any) -> None:
        """Note what a call's results are."""
        tensors = [result] if isinstance(result, Tensor) else [one for one in result if one is not None]
        layouts = [found] if isinstance(found, Layout | Apart) else list(found)
        if len(tensors) != len(layouts):
            raise Unknown(f"it returns {len(tensors)} tensors, not {len(layouts)}")
        for tensor, layout in zip(tensors, layouts, strict=True):
            if isinstance(layout, Apart):
                self.apart[id(tensor)] = layout
                self.tensors.pop(id(tensor), None)
                continue
            if tuple(tensor.shape) != layout.sizes and not self.stored(layout):
                sizes = "x".join(map(str, tensor.shape))
                raise Unknown(f"it makes {sizes}, where the op makes {'x'.join(map(str, layout.sizes))}")
            self.tensors[id(tensor)] = layout.replace(made=self.event)

    def stand_in(self, call: Call) -> None:
        """Go on behind a call without an op with what stands for its results."""
        for tensor in flat(call.result):
            sizes = tuple(tensor.shape)[1:] if tensor.ndim and tensor.shape[0] == self.batch else ()
            if 1 <= len(sizes) <= 3:
                value = Value(str(len(self.made)))
                shape = Shape(*sizes, axes=self._guessed(call, sizes))
                self.samples.append(self.batch)
                self.guessed.add(value.node)
                self.made.append(Made(Input(shape=tuple(sizes)), (), "", self.frame, self.event))
                self.shapes.append((shape,))
                self.tensors[id(tensor)] = whole(value, shape, self.batch)
            else:
                self.tensors[id(tensor)] = Layout(Value("?"), Shape(1), ())

    def _guessed(self, call: Call, sizes: Sequence[int]) -> str:
        """Return the axes that what stands for a result most likely has: those of what went in, "" for the usual."""
        given = [self.tensors[id(t)] for t in flat(list(call.args)) if id(t) in self.tensors]
        shapes = [
            x.shape for x in given if len(x.shape) == len(sizes) and x.dims == own_dims(x.shape, self.batch)
        ]
        same = [shape.axes for shape in shapes if tuple(shape) == tuple(sizes)]
        if len(sizes) == 3:
            last = [shape.c for x in given for shape in [x.shape] if "c" in shape.axes]
            if not same and sizes[2] in last and sizes[0] not in last:
                return "hwc"
        return same[0] if same else ""

    def leave(self, frame: Frame) -> None:
        """Note what a module's call returns; what stands at a position is made there."""
        before, y = self.tape.events[self.event - 1], frame.result
        idle = type(before) is Enter and before.frame is frame and frame.args and y is frame.args[0]
        if idle and type(frame.module) in self.dropping and id(y) in self.tensors:
            with suppress(Unknown):
                self.tensors[id(y)] = self.pointwise(DropPath(p=0.0), y)
        if (
            positioned(frame)
            and not has_state(frame.module)
            and frame.outer
            and has_state(frame.outer.module)
        ):
            for tensor in flat(frame.result):
                if id(tensor) in self.tensors:
                    x = self.tensors[id(tensor)]
                    try:
                        y = self.settled(x.replace(made=self.event))
                    except Unknown:
                        continue
                    self.tensors[id(tensor)] = y.replace(made=self.event)
        self.left[id(frame)] = self.values(frame.result)

    def values(self, *tensors: Any) -> tuple[Value, ...]:
        """Return the values that tensors look at."""
        found = (self.tensors[id(t)].value for t in flat(list(tensors)) if id(t) in self.tensors)
        return tuple(dict.fromkeys(found))

    # ---------------------------------------------------------------- tensors

    def known(self, tensor: Tensor) -> bool:
        """Tell whether a tensor follows from the inputs or the model's own."""
        return id(tensor) in self.tensors or id(tensor) in self.apart or id(tensor) in self.tape.keys

    def scores(self, tensor: Any) -> Scores | None:
        """Return the scores of attention that a tensor holds, None for others."""
        found = self.apart.get(id(tensor))
        return found if isinstance(found, Scores) else None

    def drawn(self, tensor: Any) -> Drawn | None:
        """Return what is drawn for each sample, None for another tensor."""
        found = self.apart.get(id(tensor))
        return found if isinstance(found, Drawn) else None

    def scaled(self, x: Layout) -> tuple[Layout, float]:
        """Return what a value is the product of with a number, and that number."""
        made = self.made[int(x.value.node)]
        if isinstance(made.op, Scale):
            return self.whole(made.inputs[0]), made.op.factor
        return x, 1.0

    def key(self, tensor: Tensor) -> str:
        """Return the key of the model's state that a tensor is, "" for others."""
        return self.tape.keys.get(id(tensor), "") if id(tensor) not in self.tensors else ""

    def layout(self, tensor: Any) -> Layout:
        """Return what a tensor looks at."""
        if isinstance(tensor, Layout):
            return tensor
        if not isinstance(tensor, Tensor):
            raise Unknown(f"it takes a {type(tensor).__name__}")
        found = self.tensors.get(id(tensor))
        if found is not None:
            if found.value.node == "?":
                raise Follows
            return found
        if id(tensor) in self.apart:
            raise Unknown(f"it takes {HELD[type(self.apart[id(tensor)])]}")
        key = self.key(tensor)
        if not key:
            raise Unknown("it takes a tensor that the model makes of numbers")
        sizes = tuple(tensor.shape)
        raw = Shape(*sizes, axes=_RAW[: len(sizes)])
        return whole(Value(f"{LEARNED}{key}"), raw, None)

    def is_map(self, x: Layout) -> bool:
        """Tell whether a tensor is a map, as it is."""
        return x.shape.axes == "chw" and x.dims == own_dims(x.shape, self.batch)

    def map(self, tensor: Any) -> Layout:
        """Return a tensor as a map c x h x w."""
        x = self.settled(self.layout(tensor))
        if x.shape.axes != "chw":
            raise Unfit(f"it takes {x.shape.kind} {x.shape}, and no map")
        return x

    def as_large(self, size: tuple[int, int], other: Layout) -> Layout | None:
        """Return a map of a size that a module was given within whose call it is, the innermost first; not `other`.

        Sizes that models compute are those of such maps; that a number which they hold is the same is a rare chance.
        """
        for frame in reversed(self.frame.stack()):
            for tensor in flat((list(frame.args), dict(frame.kwargs))):
                x = self.tensors.get(id(tensor))
                if x is None or not self.is_map(x) or x.value == other.value:
                    continue
                if (x.shape.h, x.shape.w) == size:
                    return x
        return None

    def settled(self, tensor: Any) -> Layout:
        """Return a tensor as a value of its own: ops are made for views.

        Raises:
            Unknown: No op makes such a value.
        """
        x = self.layout(tensor)
        if self.stored(x):
            return self.learned(x, len(x.dims) - 1 if x.dims[0] and x.dims[0][0].axis == "=" else len(x.dims))
        if x.dims in [
            own_dims(x.shape, size) for size in (self.batch, None, self.samples[int(x.value.node)])
        ]:
            return x
        frame = self.tape.events[x.made].frame if 0 <= x.made < len(self.tape.events) else self.frame
        key = (x.value, x.dims, id(frame))
        if key not in self.seen:
            now = self.frame, self.event
            self.frame, self.event = frame, x.made if x.made >= 0 else self.event
            try:
                self.seen[key] = self._made(x)
            finally:
                self.frame, self.event = now
        return self.seen[key]

    def _made(self, x: Layout) -> Layout:
        """Make what a view is."""
        base = whole(x.value, x.shape, self.batch)
        if not x.dims or x.dims[0] != base.dims[0]:
            raise Unfit(f"{_sizes(x)} mixes samples with what they hold")
        dims = x.dims[1:]
        source = self.made[int(x.value.node)]
        if base.shape.axes == "c" and len(dims) == 3 and dims[1:] == ((), ()):
            if isinstance(source.op, GlobalAvgPool):
                return self.put(AvgPool(to=Dims((1, 1))), self.whole(source.inputs[0]))
            if isinstance(source.op, Reduction):
                return self.put(source.op.replace(keep=True), self.whole(source.inputs[0]))
        vector = Shape(base.shape.c)
        if base.shape.axes == "chw" and base.shape.c == base.shape.elements and _blocks(vector, dims):
            base = self.put(Flatten(), base)
        order = _blocks(base.shape, dims)
        if order:
            parts = self.put_all(Split(parts=len(order)), base)
            return self.put(Concat(), *(parts[at] for at in order))
        squares = _squares(base.shape, dims)
        if squares:
            return self.put(Concat(), *(self.put(part, base) for part in squares))
        steps = _steps(base.shape, dims)
        if steps is None:
            raise Unfit(f"no op makes {_sizes(x)} so of {base.shape.kind} {base.shape}")
        first = steps[0] if steps else None
        pooled = isinstance(source.op, AvgPool) and source.op.to == (1, 1)
        if isinstance(first, Flatten) and pooled and not positioned(source.frame):
            return self.put(GlobalAvgPool(), self.whole(source.inputs[0]))
        y = base
        for op in steps:
            y = self.put(op, y)
        return y

    def stored(self, x: Layout) -> bool:
        """Tell whether numbers are those of a parameter or a buffer, moved about."""
        return x.value.node.startswith(LEARNED)

    def whole(self, value: Value) -> Layout:
        """Return a value that was made."""
        return whole(value, self.shapes[int(value.node)][value.port], self.samples[int(value.node)])

    def joined_in(self, value: Value) -> list[Layout]:
        """Return the values whose channels one is made of, [] where nothing joins them."""
        made = self.made[int(value.node)] if not value.node.startswith(LEARNED) else None
        joined = made is not None and isinstance(made.op, Concat) and made.op.axis == "c"
        return [*map(self.whole, made.inputs)] if made is not None and joined else []

    # ---------------------------------------------------------------- ops

    def put(self, op: Op, *inputs: Layout, home: str = "") -> Layout:
        """Add an op with one output; return that."""
        (made,) = self.put_all(op, *inputs, home=home)
        return made

    def put_all(self, op: Op, *inputs: Layout, home: str = "") -> tuple[Layout, ...]:
        """Add an op; return its outputs."""
        reads = tuple(x.value for x in inputs)
        if any(value.node.startswith(LEARNED) for value in reads):
            raise Unknown("it takes a parameter of the model")
        try:
            shapes = op.outputs(*(x.shape for x in inputs))
        except OpError as error:
            raise Unfit(error.message) from None
        node = str(len(self.made))
        many = [size for value in reads if (size := self.samples[int(value.node)]) is not None]
        if isinstance(op, Weight):
            many = [1] * op.batch
        elif not reads:
            many = [self.batch]
        self.samples.append(max(many, default=None))
        self.made.append(Made(op, reads, home, self.frame, self.event))
        self.shapes.append(shapes)
        if self.guessed and any(value.node in self.guessed for value in reads) and not home:
            self.guessed.add(node)
        batch = None if isinstance(op, Weight) else self.samples[-1]
        return tuple(whole(Value(node, port), shape, batch) for port, shape in enumerate(shapes))

    def pointwise(self, op: Op, tensor: Any) -> Layout:
        """Apply an op that does the same with every number, wherever it is in the tensor."""
        x = self.layout(tensor)
        if self.stored(x):
            return self.put(op, self.learned(x, len(x.dims)))
        if len(x.dims) <= len(x.shape):  # flattened, which is said where it is
            return self.put(op, self.settled(x))
        return self.put(op, self.whole(x.value)).replace(dims=x.dims)

    def joined(self, op: type[Elementwise], a: Any, b: Any) -> Layout:
        """Join two tensors, place by place."""
        one, two = self.layout(a), self.layout(b)
        pair = [one.beside(two), two.beside(one)]
        learned = [self.stored(x) for x in pair]
        if all(learned):
            raise Unknown("it joins two parameters of the model")
        if any(learned):
            return self._with_learned(op, pair, learned.index(True))
        one, two = pair
        if one.dims == two.dims and one.shape == two.shape and one.shape.axes == two.shape.axes:
            bases = [whole(x.value, x.shape, self.batch) for x in pair]
            return self.put(op(), *bases).replace(dims=one.dims)
        for gate, x in ((one, two), (two, one)):
            if self._is_gate(gate, x):
                bases = [whole(each.value, each.shape, self.batch) for each in pair]
                return self.put(op(), *bases).replace(dims=x.dims)
        one, two = self.settled(one), self.settled(two)
        most = max(one.shape.c, two.shape.c)
        both_maps = one.shape.axes == two.shape.axes and len(one.shape) > 1
        if both_maps and one.shape.extent == two.shape.extent and one.shape.c != two.shape.c:
            one, two = (self.put(Expand(channels=most), x) if x.shape.c == 1 else x for x in (one, two))
        return self.put(op(), one, two)

    def _is_gate(self, gate: Layout, x: Layout) -> bool:
        """Tell whether a tensor is a vector that stands where the other has its channels."""
        if gate.shape.axes != "c" or "c" not in x.shape.axes or gate.shape.c != x.shape.c:
            return False
        channels = [dim for dim in x.dims if dim and {atom.axis for atom in dim} == {"c"}]
        wanted = [dim if dim in channels or (dim and dim[0].axis == BATCH) else () for dim in x.dims]
        whole_axis = prod(atom.size for dim in channels for atom in dim) == x.shape.c
        return list(gate.dims) == wanted and whole_axis and len(x.shape) > 1

    def _with_learned(self, op: type[Elementwise], pair: list[Layout], at: int) -> Layout:
        """Join a tensor with a parameter of the model."""
        parameter, x = pair[at], pair[1 - at]
        places = [index - len(parameter.dims) for index, dim in enumerate(parameter.dims) if dim]
        if len(parameter.shape) == 1 and len(places) == 1:
            dim = x.dims[places[0]] if -places[0] <= len(x.dims) else ()
            if "c" in x.shape.axes and dim == (Atom("c", 1, x.shape.c),):
                w = self.weight(parameter, (x.shape.c,), False, "")
                base = whole(x.value, x.shape, self.batch)
                ordered = [w, base] if at == 0 else [base, w]
                return self.put(op(), *ordered).replace(dims=x.dims)
        x = self.settled(x)
        if tuple(parameter.shape) == (1,) and not any(parameter.dims) and x.shape.c > 1:  # one number for all
            w = self.put(Expand(channels=x.shape.c), self.weight(parameter, (1,), False, ""))
            return self.put(op(), *([w, x] if at == 0 else [x, w]))
        w = self.learned(parameter, len(x.dims) - 1, x.shape.axes)
        return self.put(op(), *([w, x] if at == 0 else [x, w]))

    def learned(self, x: Layout, rank: int, axes: str = "") -> Layout:
        """Return a parameter as a value of some axes."""
        raw = own_dims(x.shape, None)
        if (
            len(x.dims) == len(raw) + 1 and not x.dims[0]
        ):  # an axis of one for the samples, which is not stored
            x = x.replace(dims=x.dims[1:])
        sizes = x.sizes
        batch = len(x.dims) == rank + 1
        if batch and x.dims[0] and x.dims[0][0].axis == "=":
            if x.shape[0] != 1:
                raise Unknown("a parameter is repeated")
        elif batch and sizes[0] != 1:
            raise Unknown("a parameter has other numbers for each sample")
        if x.dims[batch:] != raw[batch:] or len(x.dims) != len(raw):
            raise Unknown(f"a parameter {'x'.join(map(str, x.shape))} is looked at as {_sizes(x)}")
        shape = tuple(x.shape[batch:])
        if len(shape) > 3 or not shape:
            raise Unknown(f"a parameter of {len(shape)} axes")
        usual = Shape(*shape).axes
        return self.weight(x, shape, batch, axes if axes != usual and len(axes) == len(shape) else "")

    def weight(self, x: Layout, shape: tuple[int, ...], batch: bool, axes: str) -> Layout:
        """Return a parameter of the model as a value, made where it is first used."""
        key = x.value.node.removeprefix(LEARNED)
        op = Weight(shape=shape, batch=batch, axes=axes or None)
        if key not in self.seen:
            self.seen[key] = self.put(op, home=key)
        made = self.seen[key]
        if self.made[int(made.value.node)].op != op:
            raise Unknown(f"`{key}` is used in two ways")
        return made


def has_state(module: nn.Module) -> bool:
    """Tell whether a module, or one in it, has a parameter or buffer."""
    return next(module.parameters(), None) is not None or next(module.buffers(), None) is not None


def positioned(frame: Frame) -> bool:
    """Tell whether a call is of what stands at a position of a Sequential."""
    outer = frame.outer
    if outer is None or not isinstance(outer.module, nn.Sequential):
        return False
    return any(module is frame.module for module in outer.module.children())


def _sizes(x: Layout) -> str:
    return "x".join(map(str, x.sizes))


def _steps(shape: Shape, dims: Sequence[Dim]) -> list[Op] | None:
    """Return the ops that make dimensions of a value, None if there are none."""
    if shape.axes == "chw":
        found = _of_map(shape, dims)
        if found is not None:
            return found
    elif len(shape.axes) == 3 and set(shape.axes) == set("chw"):
        back = [Permute(axes=tuple(shape.axes.index(axis) for axis in "chw"))]
        order = _order(shape, dims)
        if order is not None:
            return [Permute(axes=order)]
        steps = _of_map(Shape(shape.c, shape.h, shape.w), dims)
        return None if steps is None else [*back, *steps]
    elif shape.axes == "c" and len(dims) == 2 and all(len(dim) == 1 for dim in dims):
        (outer,), (inner,) = dims
        if inner == Atom("c", 1, outer.stride) and outer.stride * outer.size == shape.c:
            return [Unflatten(parts=outer.size)]
    elif shape.axes == "nc":
        order = _order(shape, dims)
        if order is not None:
            return [Permute(axes=order)]
        if len(dims) == 1 and dims[0] == (Atom("n", 1, shape.n), Atom("c", 1, shape.c)):
            return [Flatten()]
        rows = [dim for dim in dims if dim and dim[0].axis == "n"]
        if len(dims) == 3 and len(rows) == 2 and all(len(dim) == 1 for dim in rows):
            h, w = sorted((dim[0] for dim in rows), key=lambda atom: -atom.stride)
            letters = {(h,): "h", (w,): "w", (Atom("c", 1, shape.c),): "c"}
            order = tuple("chw".index(letters[dim]) for dim in dims if dim in letters)
            if len(order) == 3 and h.stride == w.size and w.stride == 1:
                made = Map(to=h.size if h.size == w.size else Dims((h.size, w.size)))
                return [made] if order == (0, 1, 2) else [made, Permute(axes=order)]
    order = _order(shape, dims)
    if order is not None:
        return [] if order == tuple(range(len(shape))) else [Permute(axes=order)]
    return None


def _order(shape: Shape, dims: Sequence[Dim]) -> tuple[int, ...] | None:
    """Return which axis each dimension is, None if one is none."""
    if len(dims) != len(shape):
        return None
    left = {axis: Atom(axis, 1, shape.size(axis)) for axis in shape.axes}
    letters: list[str] = []
    for dim in dims:
        letter = next((axis for axis, atom in left.items() if dim == (atom,)), "")
        left.pop(letter, None)
        letters.append(letter)
    ones = iter([axis for axis, atom in left.items() if atom.size == 1])
    filled = [letter or next(ones, "") for letter in letters]
    if "" in filled or len({*filled}) != len(filled):
        return None
    if any(not letter and dim for letter, dim in zip(letters, dims, strict=True)):
        return None
    return tuple(shape.axes.index(letter) for letter in filled)


def _blocks(shape: Shape, dims: Sequence[Dim]) -> list[int]:
    """Return in which order equal parts of the channels are joined, [] where that is no other one."""
    own = own_dims(shape, None)
    if shape.axes[0] != "c" or not dims or list(dims[1:]) != list(own[1:]) or len(dims[0]) < 2:
        return []
    *outer, inner = dims[0]
    if any(atom.axis != "c" for atom in dims[0]) or inner.stride != 1 or inner.size == 1:
        return []
    order = [0]
    for atom in outer:
        order = [at + place * atom.stride // inner.size for at in order for place in range(atom.size)]
    return order if sorted(order) == list(range(shape.c // inner.size)) else []


def _squares(shape: Shape, dims: Sequence[Dim]) -> list[Op]:
    """Return the parts of a map that are joined where pixels of r x r squares become channels, pixel by pixel."""
    if shape.axes != "chw" or len(dims) != 3 or len(dims[0]) != 3:
        return []
    r = dims[0][0].size
    rows, columns = Atom("h", 1, r), Atom("w", 1, r)
    far = [(Atom(axis, r, shape.size(axis) // r),) if shape.size(axis) > r else () for axis in "hw"]
    if dims[0] not in ((rows, columns, Atom("c", 1, shape.c)), (columns, rows, Atom("c", 1, shape.c))):
        return []
    if list(dims[1:]) != far:
        return []
    across = dims[0][0] == columns
    places = [(i, j) for i in range(r) for j in range(r)]
    return [Slice(begin=Dims((j, i) if across else (i, j)), stride=r) for i, j in places]


def _of_map(shape: Shape, dims: Sequence[Dim]) -> list[Op] | None:
    """Return the ops that make dimensions of a map c x h x w."""
    c, h, w = (Atom(axis, 1, shape.size(axis)) for axis in "chw")
    order = _order(shape, dims)
    if order is not None:
        return [] if order == (0, 1, 2) else [Permute(axes=order)]

    def dim(*atoms: Atom) -> Dim:
        return tuple(atom for atom in atoms if atom.size > 1)

    if list(dims) == [dim(c, h, w)]:
        return [Flatten()]
    if list(dims) == [dim(h, w), dim(c)]:
        return [Tokens()]
    if list(dims) == [dim(c), dim(h, w)]:
        return [Tokens(), Permute(axes=(1, 0))]
    if list(dims) == [dim(h, w, c)]:
        return [Tokens(), Flatten()]
    if len(dims) != 3:
        return None
    first = dims[0]
    if list(dims[1:]) == [dim(h), dim(w)] and len(first) == 2 and all(atom.axis == "c" for atom in first):
        inner, outer = first
        if inner.stride == 1 and outer.stride == inner.size and inner.size * outer.size == shape.c:
            return [Shuffle(groups=outer.size)]
    second, third = dims[1:]
    if len(second) == len(third) == 2 and (second[0], third[0]) == (h, w) and len(first) <= 1:
        rows, columns = second[1], third[1]
        r = rows.size
        if rows == Atom("c", r, r) and columns == Atom("c", 1, r):
            return [PixelShuffle(factor=r)]
    if len(first) == 3 and len(second) <= 1 and len(third) <= 1 and first[0] == c:
        r = first[1].size
        if first[1:] == (Atom("h", 1, r), Atom("w", 1, r)) and shape.h % r == shape.w % r == 0:
            if second == dim(Atom("h", r, shape.h // r)) and third == dim(Atom("w", r, shape.w // r)):
                return [PixelUnshuffle(factor=r)]
    return None

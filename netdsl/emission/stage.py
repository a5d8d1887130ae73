"""Blocks to classes: a body is walked once with arguments that remember their names, conditions taken both ways.

The walker is that of elaboration. What differs is what a condition, a loop and a call do: a condition that is not
the same for all arguments becomes an `If` with both sides, a loop a `Loop` with one turn that stands for all, and a
block a call of its own class. Where something can be said only for given values (`Fixed`), the class is made for
these: it has no such argument then, so it can never be another block in silence.

What is done about one kind of thing is a class of its own, on top of those that it needs: `State`, `Terms` (numbers),
`Rehearsal` (what the instance at hand does), `Lists`, `Conditions`, `Layers`, `Loops`, `Joints`, and here the calls.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from netdsl.diagnostics import Diagnostic, NetError
from netdsl.elaborate.arguments import as_bound, merge, parameters
from netdsl.elaborate.draft import Place
from netdsl.elaborate.values import (
    MISSING,
    BlockDecl,
    Data,
    Env,
    Given,
    OpValue,
    Poisoned,
    SpecError,
    fail,
    holds_ramp,
    show,
)
from netdsl.elaborate.walk import Walker
from netdsl.emission.concolic import Demanded, Fixed, Late, SymOp, SymStr, concrete, free, mentioned
from netdsl.emission.items import Child, Pick, Staged
from netdsl.emission.joints import Joints
from netdsl.emission.rehearsal import drafted
from netdsl.emission.streams import Elements, Streams
from netdsl.emission.terms import untold
from netdsl.ir.types import Init, Shape
from netdsl.ops import Op
from netdsl.ops.norm import Norm
from netdsl.source import Span
from netdsl.symbolic import (
    Atom,
    SymBool,
    SymInt,
    SymList,
    conjuncts,
    constant,
    evaluate,
    length,
    named,
    symbolic,
    term,
    text,
)
from netdsl.syntax import tree

if TYPE_CHECKING:
    from netdsl.emission.family import Family


class Stager(Joints):
    """Walks the body of one block or net."""

    def __init__(self, emitter: Family, staged: Staged, settings: Mapping[str, Any], max_nodes: int) -> None:
        """`settings` are what was decided, by decision."""
        super().__init__(emitter, staged, settings, max_nodes)
        self.evaluator.ramped = self.ramped
        self.evaluator.sized = self.measured
        self.evaluator.picked = self.picked
        self.evaluator.elsewhere = self.elsewhere
        self.evaluator.settled = self.settled
        self.evaluator.settled_value = self.settled_value
        self.evaluator.unsettled = self.unsettled
        self.evaluator.lacking = self.lacking
        self.evaluator.comprehended = self.comprehended
        self.evaluator.constant = emitter.constant
        self.evaluator.compared = self.compared
        self.evaluator.divides = self.not_zero
        self.evaluator.indexes = self.indexed
        self.evaluator.measures = staged.measured
        self.evaluator.in_arguments = self.expanded

    # ---------------------------------------------------------------- ops

    def apply(
        self,
        value: OpValue,
        node: tree.Layer,
        data: Data,
        place: Place,
        label: tree.Label | str | None,
        own_arguments: bool = True,
    ) -> Data:
        """Apply an op or block."""
        if isinstance(value, SymOp):
            value = self.narrowed(value)
        if isinstance(value, SymOp) and not isinstance(value.target, BlockDecl):
            op = value.target
            if op.fuses or op.references:
                raise Fixed("an argument that is a layer of several ops", value)
            block = next((c for c in value.choices if c and isinstance(c.target, BlockDecl)), None)
            if block is not None:
                value, self.op_here = value.replace(target=block.target, args=block.args), value
            else:
                self.callee = value
        if isinstance(value, SymOp) and value.optional:
            there = Atom("is not none", (value.whole,))
            if not any(there in conjuncts(test) for test in self.path):
                self.check(there, f"{self.staged.name} needs {text(value.whole)}")
        outer = place.defaults
        for kind in (value.target.name, getattr(value.target, "inherits", "")):
            known = outer.get(kind, {})
            if any(isinstance(one.value, Late) for one in known.values()):
                own = {name: one._replace(value=self.settled(one.value)) for name, one in known.items()}
                own = {name: one for name, one in own.items() if one.value is not MISSING}
                place.defaults = {**place.defaults, kind: own}
        try:
            return super().apply(value, node, data, place, label, own_arguments)
        finally:
            place.defaults = outer
            self.op_here = None

    op_here: SymOp | None = None
    """The primitive op that an argument is in this instance, which may as well be a block; what is walked is that."""

    def compared(self, argument: SymOp, other: Any) -> bool | SymBool:
        """Return whether an argument that is an op is another value."""
        if not isinstance(other, OpValue):
            return False
        if free(other):
            read = (Atom("name", (name,)) for name in mentioned(other))
            raise Fixed("a comparison with an op that is not known", argument, *read)
        known = self.narrowed(argument)
        reference = self.emitter.reference(known, other, self.is_maker(argument))
        if reference is None or not isinstance(known, SymOp):
            return reference is not None and bool(reference.stands_for(known))
        test = reference.test(known)
        return SymBool(bool(self.here(test)), test)

    def narrowed(self, value: SymOp) -> OpValue:
        """Return an argument that is an op as conditions leave it that say which it is, or is not."""
        tests = [part for test in self.path for part in conjuncts(test) if part.op in ("is", "is not")]
        tests = [test for test in tests if test.args[0] == value.whole]
        references = [test.args[1].args[0] for test in tests]
        for test, reference in zip(tests, references, strict=True):
            if test.op == "is":
                op: OpValue = reference.op
                return op
        choices = tuple(c for c in value.choices if not any(other.stands_for(c) for other in references))
        left = [choice for choice in choices if choice is not None]
        if not left or len(choices) == len(value.choices):
            return value
        here = next((choice for choice in left if show(choice) == show(concrete(value))), left[0])
        return value.replace(target=here.target, args=here.args, choices=choices)

    def op(self, name: tree.Name, place: Place, node: tree.Tree) -> OpValue:
        """Return the op or block of a name."""
        with self.named_as_settled(name, place):
            return super().op(name, place, node)

    def init_line(self, node: tree.InitLine, place: Place) -> tuple[str, dict[str, Init]]:
        """Return what an `init` line says, whose numbers are over the class's arguments: variables may change."""
        name, inits = super().init_line(node, place)
        return name, {
            key: Init(init.kind, tuple(map(self.expanded_value, init.args))) for key, init in inits.items()
        }

    def default(self, node: tree.Default, place: Place) -> None:
        """`default conv 3x3, norm=bn`: for the rest of the block or net."""
        with self.named_as_settled(node.op, place):
            super().default(node, place)

    @contextmanager
    def named_as_settled(self, name: tree.Name, place: Place) -> Iterator[None]:
        """Give a name the value that it has here, if it is one of two things."""
        value = place.env.find_name(name.text)
        if not isinstance(value, Late):
            yield
            return
        outer, place.env = place.env, Env(place.env)
        try:
            place.env.names[name.text] = self.settled_value(name.text, value)
            if place.env.names[name.text] is MISSING:
                raise self.lacking("op", name.text, place.span(name))
            yield
        finally:
            place.env = outer

    def primitive(
        self,
        target: type[Op],
        value: OpValue,
        node: tree.Layer,
        given: Mapping[str, Given],
        data: Data,
        place: Place,
        label: tree.Label | str | None,
        text: str,
    ) -> Data:
        """Apply a primitive op; what follows it is called after its label, with the numbers in it."""
        outer, self.leading = self.leading, text
        try:
            return super().primitive(target, value, node, given, data, place, label, text)
        finally:
            self.leading = outer

    leading = ""
    """The label of the layer whose norm and activation follow."""

    def follow(self, follower: Any, node: tree.Layer, data: Data, place: Place, label: str | None) -> Data:
        """Apply a layer's norm or activation, if there is one."""
        if isinstance(follower, Late):
            return self.either_way(
                lambda flow: self.follow(self.settled(follower), node, flow, place, label), data, place, node
            )
        if label is not None and isinstance(self.leading, SymStr):
            rest = label.removeprefix(self.leading)
            label = SymStr(label, Atom("format", (*self.leading.whole.args, rest)))
        if not isinstance(follower, SymOp) or not follower.optional:
            return super().follow(follower, node, data, place, label)
        follower = self.by_name(
            follower,
            "norm" if isinstance(follower.target, type) and issubclass(follower.target, Norm) else "act",
        )
        test = SymBool(True, Atom("is not none", (follower.whole,)))
        outer = place.flow
        place.flow = data
        base = super().follow
        sure = follower.replace(choices=tuple(c for c in follower.choices if c is not None))

        def then() -> None:
            place.flow = base(sure, node, data, place, label)

        self.branch_on(test, then, lambda: None, place, place.span(node))
        result, place.flow = place.flow, outer
        return self.known(result)

    # ---------------------------------------------------------------- decisions

    def labels_of_call(self, decl: BlockDecl, label: tree.Label | None, place: Place) -> str:
        """Return the labels of a call of a block, by which decisions in it are called; "" where there are none."""
        if decl.name not in self.emitter.deciding:
            return ""
        self.check_turn()
        outer = place.scope.labels
        own = "" if label is None else str(self.evaluator.text(label, place.env, place.source))
        return f"{outer}.{own}" if outer and own else own or outer

    def check_turn(self) -> None:
        """Refuse a decision in a loop that is written once for all of its turns: each has one of its own."""
        if self.counts:
            raise Fixed("a decision in a loop")

    def decision(
        self, name: str, options: tuple[str, ...], node: tree.Tree, span: Span, values: tuple[Any, ...] = ()
    ) -> int:
        """Return the index of the option that a decision takes; one that nobody made has a class for what holds."""
        self.check_turn()
        prefix, _ = self._deciding
        made = self.settings.get(f"{prefix}.{name}" if prefix else name)
        if self.dead and (made is None or made.options != options):
            raise Fixed("a decision that was not made", *self.path)
        return super().decision(name, options, node, span, values)

    # ---------------------------------------------------------------- classes

    def block(
        self,
        decl: BlockDecl,
        value: OpValue,
        node: tree.Layer,
        own: Mapping[str, Given],
        data: Data,
        place: Place,
        label: tree.Label | None,
    ) -> Data:
        """Call a block's class; an inline block is walked here."""
        if decl.node.inline:
            if any(active is decl for active, *_ in self._active):  # which has no class that calls itself
                numbers = [Atom("name", (n,)) for one in own.values() for n in mentioned(one.value)]
                if numbers:
                    raise Fixed("an inline block in itself", *numbers)
            return super().block(decl, value, node, own, data, place, label)
        span = place.span(node)
        given = self.scheduled(merge(place.defaults.get(decl.name, {}), value.args, own))
        for name, one in given.items():
            if holds_ramp(one.value):
                raise self.no_schedule(decl, name, one.span or span)
        own = {name: given[name] for name in own}
        inputs = [name.text for name in decl.node.inputs]
        if inputs and len(inputs) != len(data.wires):
            raise fail("E303", f"{decl.name} takes {len(inputs)} values, here flow {len(data.wires)}", span)
        data = self.distinct(data, place, node) if not isinstance(data, Streams) else data
        names: dict[BlockDecl, Mapping[str, str]] = {}
        if isinstance(value, SymOp):
            for choice in value.choices:
                if choice is None:
                    continue
                if not isinstance(choice.target, BlockDecl):
                    self.fits_as_block(choice, own, data.shapes, place, value)
                    continue
                if any(place.inits):
                    raise Demanded("a block that is an argument and whose layers start as said here", value)
                theirs = as_bound(parameters(choice), node.args, own)
                if theirs is None:
                    raise Fixed("blocks that are called with other arguments", value)
                if place.defaults.get(choice.target.name) or not choice.args.keys().isdisjoint(
                    theirs.values()
                ):
                    raise Demanded("a block that is an argument and has these of its own here", value)
                names[choice.target] = theirs
        key = self.child(place, label, span)
        first = self._again.parts[-1] if self._again is not None and self.is_running(place.scope) else None
        dynamic = self.dynamic(label, place)
        callee = value if isinstance(value, SymOp) else None
        before = data.elements if isinstance(data, Streams) else data.shapes
        self.site = node
        self.called = self.labels_of_call(decl, label, place)
        counted = list(self.counted)
        cls, args, shapes = self.emitter.call(self, decl, given, before, place, span)
        recursive = cls in self.emitter.active
        if recursive:
            shapes = self.foretold(cls, shapes, lambda: self.returned(decl, given, data, place, span))
        else:
            data = self.sized_by_turn(cls, node, data)
        if cls.many or cls.channels is not None:
            if callee is not None:
                raise Fixed("an argument that is a block of a list", callee)
            if first is not None:
                message = (
                    f"`{first.key}` takes or gives a list of values, and such a class is not called again yet"
                )
                raise NetError([Diagnostic("E508", message, place.calls[0].span)])
            item = Child(key, dynamic, label is not None, span, ())
            item.recursive = recursive
            return self.block_of_list(decl, item, cls, args, shapes, data, given, place)
        item = Child(key, dynamic, label is not None, span, data.wires)
        item.cls, item.args, item.callee, item.shapes = cls, args, callee, data.shapes
        item.train, item.told, item.names, item.recursive = place.train, shapes, names, recursive
        if first is not None:
            item.key, item.again, self.counted = first.key, True, counted
        if callee is not None:
            self.emitter.others(self, item, own, place)
            if self.op_here is not None:
                shapes = made_op(self.op_here).outputs(*data.shapes)
        shapes = tuple(self.sized_by(decl, shape) for shape in shapes)
        if first is not None and first.results:
            known = zip(shapes, first.after, strict=True)
            shapes = tuple(s.with_size("c", one.c) if "c" in s.axes else s for s, one in known)
        elif callee is not None or any(self.is_unknown(shape) for shape in shapes):
            cls.told = True
            shapes, item.results = self.asked(shapes, callee)
        self.decide_sizes(shapes, data, given)
        result = self.wire(shapes, place, span, data.wires)
        vague = any(name.startswith("?") for shape in shapes for n in shape for name in mentioned(n))
        if vague and self.op_here is None:
            with suppress(SpecError, Poisoned, NetError):  # where no instance comes
                result = self.sized_as(result, self.returned(decl, given, data, place, span))
        item.after = result.shapes
        item.outputs = result.wires
        self.put(item)
        return result

    def foretold(
        self, cls: Staged, shapes: tuple[Shape, ...], observed: Callable[[], tuple[Shape, ...]]
    ) -> tuple[Shape, ...]:
        """Return the shapes of what a class returns that is still walked, as it calls itself.

        What is foretold is what it returned when it was walked before; at first that is what the sides of its
        conditions return on which it does not call itself.
        """
        cls.recursive = True
        if not self.emitter.is_foretold(cls):
            self.emitter.awaited += 1
            raise Poisoned
        return shapes or tuple(Shape(*map(untold, shape), axes=shape.axes) for shape in observed())

    def fits_as_block(
        self, op: OpValue, own: Mapping[str, Given], shapes: tuple[Shape, ...], place: Place, callee: SymOp
    ) -> None:
        """Demand that a primitive op is made by the call of a block: for the channels, and nothing else."""
        target = op.target
        assert not isinstance(target, BlockDecl)
        plain = target.weights is Op.weights or issubclass(target, Norm)
        single = target.arity == (1, 1) and not target.references and not target.fuses
        started = isinstance(op.target, type) and self.emitter.starts.get(self.emitter.net)
        if (
            own
            or started
            or len(shapes) != 1
            or shapes[0].axes != "chw"
            or not (plain and single)
            or free(op)
        ):
            raise Demanded("an argument that is a block, or an op with arguments of its own here", callee)
        defaults = (place.defaults.get(kind, {}) for kind in (target.name, target.inherits))
        if any(name not in op.args for given in defaults for name in given):
            raise Demanded("an op that is an argument and has arguments of its own here", callee)

    def returned(
        self, decl: BlockDecl, given: Mapping[str, Given], data: Data, place: Place, span: Span
    ) -> tuple[Shape, ...]:
        """Return the shapes of what a call returns in this instance."""
        plain = {name: one._replace(value=concrete(one.value)) for name, one in given.items()}
        node, own = tree.Layer(span.start, span.end, decl.node.name, (), None), OpValue(decl, {})

        def call(walker: Walker, there: Place) -> Data:
            return walker.block(decl, own, node, plain, drafted(walker, data, there), there, None)

        return self.rehearsed(call, place)

    def sized_by(self, decl: BlockDecl, shape: Shape) -> Shape:
        """Return the shape of what a block returns; of sizes that only it knows it is noted who does."""
        sizes: list[int] = []
        for axis, size in zip(shape.axes, shape, strict=True):
            if axis != "c" and "?" in mentioned(size):
                size = self.unknown_size(int(size))
                self.staged.vague.update(dict.fromkeys(mentioned(size), decl))
            sizes.append(size)
        return Shape(*sizes, axes=shape.axes)

    def sized_by_turn(self, cls: Staged, node: tree.Layer, data: Data) -> Data:
        """Return what a call is given with the sizes that its class has to know, the same in all turns."""
        names_read = cls.names()
        shapes: list[Shape] = []
        for port, (incoming, shape) in enumerate(zip(cls.inputs, data.shapes, strict=False)):
            for axis, name in incoming.sizes.items():
                if (
                    axis == "c"
                    or name not in names_read
                    or not any(n.startswith("?") for n in mentioned(shape.size(axis)))
                ):
                    continue
                here, all_nets = (self.observed or {}, self.emitter.seen_elsewhere(self.staged))
                seen = {
                    int(given[port].size(axis))
                    for _, given in (*here.get(id(node), ()), *all_nets.get(id(node), ()))
                }
                self.for_size()
                if len(seen) != 1:
                    self.emitter.carry_sizes(self.staged.decl)
                    raise Fixed("a size that is not known", shape.size(axis))
                shape = shape.with_size(axis, seen.pop())
            shapes.append(shape)
        return data.replace(shapes=tuple(shapes)) if len(shapes) == len(data.shapes) else data

    def block_of_list(
        self,
        decl: BlockDecl,
        item: Child,
        cls: Staged,
        args: Mapping[str, Any],
        shapes: tuple[Shape, ...],
        data: Data,
        given: Mapping[str, Given],
        place: Place,
    ) -> Data:
        """Call a class that takes a list, or returns one."""
        before: Any = data.shapes
        if cls.many:
            channels_in = tuple(shape.c for shape in data.shapes if "c" in shape.axes)
            before = data.elements if isinstance(data, Streams) else Elements(data.shapes, channels_in)
        real = self.returned(decl, given, data, place, item.span)
        item.cls, item.args, item.train = cls, args, place.train
        item.shapes = (before,) if cls.many else before
        item.inputs = self.as_list(data, place, item.span) if cls.many else data.wires
        env = self.emitter.environment(cls, {name: one.value for name, one in given.items()}, before)
        if cls.channels is None:
            sizes = [
                Shape(
                    *(
                        SymInt(int(hint), n.poly) if isinstance(n, SymInt) else n
                        for n, hint in zip(shape, own, strict=True)
                    ),
                    axes=shape.axes,
                )
                for shape, own in zip(shapes, real, strict=True)
            ]
            known = tuple(map(self.opaque_sizes, sizes))
            if any(map(self.is_unknown, known)):
                cls.told = True
                known, item.results = self.asked(known, None)
            self.decide_sizes(known, data, given)
            result = self.wire(known, place, item.span)
            item.outputs = result.wires
            self.put(item)
            return result
        channels = evaluate(cls.channels, env)
        count = length(channels.whole) if symbolic(channels) else constant(len(channels))
        result = self.list_wire(count, len(real), place, item.span)
        item.outputs = result.wires
        self.put(item)
        if symbolic(channels):
            return Streams(
                result.wires,
                result.shapes,
                False,
                Elements(real, SymList((s.c for s in real), channels.whole)),
            )
        self.results[result.wires[0]] = cls.channels, env
        values = []
        for number, (shape, c) in enumerate(zip(real, channels, strict=True)):
            sized = self.opaque_sizes(shape.with_size("c", c))
            self.decide_sizes((sized,), data, given)
            one = self.wire((sized,), place, item.span)
            pick = self.picks[one.wires[0]] = Pick(result.wires[0], constant(number), one.wires[0])
            self.items.append(pick)
            values.append(one)
        return Data(tuple(one.wires[0] for one in values), tuple(one.shapes[0] for one in values))

    def decide_sizes(self, shapes: Iterable[Shape], data: Data, given: Mapping[str, Given]) -> None:
        """Note what sizes are that a call returns and nothing is known of, if the net's own alone decide them."""
        sizes = [size for shape in data.shapes for size in shape.extent]
        read = {
            name for value in (*sizes, *(one.value for one in given.values())) for name in mentioned(value)
        }
        bound = self.staged.bound
        if self.staged.kind != "net" or self.turning or not read <= {*self.emitter.sizes, *self.own_sizes}:
            return
        for axis, size in ((axis, n) for shape in shapes for axis, n in zip(shape.axes, shape, strict=True)):
            for name in mentioned(size) if axis != "c" and bound else ():
                if name.startswith("?"):
                    base = [*bound][-1 if axis == "w" else 0]
                    self.own_sizes[name] = term(named(bound[base], base) + (self.hints[name] - bound[base]))

    @staticmethod
    def is_unknown(shape: Shape) -> bool:
        """Tell whether only a called class knows the channels of what it returns."""
        return "c" in shape.axes and any(name == "?" for name in mentioned(shape.c))

    def asked(
        self, shapes: tuple[Shape, ...], callee: SymOp | None
    ) -> tuple[tuple[Shape, ...], tuple[str, ...]]:
        """Return shapes whose channels only the called class knows, and the variables that hold them."""
        if any("c" not in shape.axes for shape in shapes):
            raise Fixed("a block that may return another number of channels, and a value that has none")
        choices = [c for c in callee.choices if c is not None] if callee is not None else []
        if len(shapes) != 1 and not all(isinstance(choice.target, BlockDecl) for choice in choices):
            raise Fixed("an argument that is a block of several values, or an op", callee)
        found: list[Shape] = []
        results: list[str] = []
        for shape in shapes:
            if callee is not None:
                shape = Shape(*map(self.unknown_size, shape), axes=shape.axes)
            if callee is None and not self.is_unknown(shape):
                results.append("_")
            else:
                name = self.local("channels", also=results)
                self.meaning.pop(name, None)
                shape = shape.with_size("c", self.hinted(shape.c, name))
                results.append(name)
            found.append(shape)
        return tuple(found), tuple(results)


def made_op(value: OpValue) -> Op:
    """Return a primitive op with what it is given."""
    assert not isinstance(value.target, BlockDecl)
    return value.target(**{name: given.value for name, given in value.args.items()})

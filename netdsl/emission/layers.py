"""Layers, joints of them and containers as items, and what their arguments have to be."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import combinations
from math import prod
from typing import Any

from netdsl.elaborate.draft import Draft, DraftScope, Made, Place
from netdsl.elaborate.inits import initialisers
from netdsl.elaborate.layers import JOINTS, has_state
from netdsl.elaborate.values import BlockDecl, Data, Given, OpValue, Ramp, Wire, fail, show
from netdsl.emission.concolic import (
    Demanded,
    Fixed,
    Late,
    SymDims,
    SymOp,
    SymPad,
    SymStr,
    SymText,
    concrete,
    mentioned,
)
from netdsl.emission.conditions import Conditions
from netdsl.emission.items import Child, Container, If, Item, Joined, Layer, Loop, Module, folds, weights_of
from netdsl.emission.streams import Elements, Streams, listed
from netdsl.emission.terms import replaced, unbounded, with_hint
from netdsl.ir.types import Dims, Init, Pad, Shape
from netdsl.ops import Op, catalogue
from netdsl.ops.activation import Activation, Glu, OverAxis
from netdsl.ops.conv import Conv, UpConv
from netdsl.ops.dropout import Drop
from netdsl.ops.joint import Concat, Elementwise, Identity, Sub
from netdsl.ops.norm import Norm
from netdsl.ops.part import Split
from netdsl.ops.pool import Pool
from netdsl.ops.source import Input
from netdsl.source import Span
from netdsl.symbolic import (
    Atom,
    Poly,
    SymBool,
    SymFloat,
    SymInt,
    SymList,
    Term,
    compare,
    constant,
    each,
    evaluate,
    joined,
    length,
    names,
    single,
    symbolic,
    term,
    text,
    total,
)
from netdsl.symbolic import item as item_of
from netdsl.syntax import tree

_FROM_ONE = (
    *("channels", "kernel", "stride", "dilation", "groups", "multiplier"),
    *("heads", "parts", "size", "scale", "to"),
)
"""What ops need at least 1 of."""


_WIDE = 76
"""How long a message is at most, so that a line holds it."""


class Layers(Conditions):
    """Puts down layers, containers, and joints of values that are there."""

    # ---------------------------------------------------------------- containers

    def stage(self, node: tree.Stage, place: Place) -> None:
        """`stage 4: ...`: transparent."""
        name, begin = self.evaluator.text(node.name, place.env, place.source), len(self.items)
        self.pending = "" if isinstance(name, SymStr) else name
        super().stage(node, place)
        for item in reversed(self.items[begin:]):
            if isinstance(item, (Module, If, Loop)):
                item.ends = name
                break

    def open(
        self,
        kind: Any,
        label: tree.Label | None,
        span: Span,
        entry: tuple[Wire, ...],
        place: Place,
        block: str = "",
    ) -> DraftScope:
        """Begin a container."""
        scope = super().open(kind, label, span, entry, place, block)
        name = label if isinstance(label, SymStr) else None
        if label is not None and not isinstance(label, str):
            shown = self.evaluator.text(label, place.env, place.source)
            name = shown if isinstance(shown, SymStr) else None
        item = Container(scope.name, name.whole if name is not None else None, label is not None, span, entry)
        self.put(item)
        self.opened_scopes.append((item, self.items))
        self.items = item.items
        return scope

    def close(self, scope: DraftScope, result: Data | None) -> None:
        """End a container."""
        super().close(scope, result)
        item, self.items = self.opened_scopes.pop()
        item.exit = result.wires if result is not None else ()
        item.first = scope.first

    # ---------------------------------------------------------------- layers

    def layer(self, node: tree.Layer, data: Data, place: Place, label: tree.Label | None) -> Data:
        """Run `op args`."""
        if isinstance(data, Streams) and node.op.text in JOINTS and not node.args:
            return self.joint_of_list(node.op.text, data, place, place.span(node))
        if isinstance(data, Streams) and node.op.text in JOINTS:
            raise Fixed(f"{node.op.text} of a list", data.elements.channels, data.shapes[0][0])
        one = super().layer
        result = self.either_way(lambda flow: one(node, flow, place, label), data, place, node)
        if folds(node.op.text) and len(data.wires) > 1:
            self.must_agree(list(data.shapes))
        return result

    def add(
        self,
        op: Op,
        data: Data,
        place: Place,
        node: tree.Tree,
        label: tree.Label | str | None,
        given: Mapping[str, Given],
        ramps: Mapping[str, Ramp],
    ) -> Data:
        """Add a layer."""
        if any(map(listed, data.shapes)):
            raise Fixed(
                "a layer of a list",
                *(self.staged.lists[wire] for wire in data.wires if wire in self.staged.lists),
            )
        self.reading(data)
        compared = self.compared_in(data.shapes) if isinstance(op, Elementwise) else {}
        data = Data(data.wires, self.aligned(op, tuple(map(self.at_size, data.shapes))))
        for field in op.settled:
            if symbolic(value := getattr(op, field)):
                raise Fixed(f"{field} of {op.name} decides what is written", term(value))
        op = self.padded(op)
        op = self.spelled(op)
        result = super().add(op, data, place, node, label, given, ramps)
        draft = self.drafts[-1]
        if isinstance(op, Input):
            return result
        name = self.dynamic(label, place)
        item = Layer(draft.module or draft.key, name, label is not None, draft.span, data.wires)
        item.again = bool(draft.module)
        item.outputs, item.before, item.after = result.wires, data.shapes, result.shapes
        item.calls, item.train, item.compared = draft.calls, draft.train, compared
        item.batched = tuple(map(self.batched, data.wires))
        item.own_label = label is not None and not isinstance(label, str)
        item.op, item.own = self.initialised(op, data.shapes, draft)
        item.given, self.callee = self.callee, None
        if item.given is not None:
            item.made = self.is_maker(item.given)
            self.fits(item.given, data.shapes, given, place, item.made)
            self.starts_as_made(item.given, draft)
            result = self.of_any_size(item, result)
        self.sound(item)
        if isinstance(op, Sub) or (isinstance(op, Concat) and op.axis != "c"):
            self.must_agree(list(data.shapes))
        self.put(item)
        unknown = {name for value in item.terms() for name in mentioned(value) if name.startswith("?")}
        if unknown - {"?"} or (unknown and not self.guessing):
            self.emitter.carry_sizes(self.staged.decl)
            read = (Atom("name", (name,)) for name in unknown)
            raise Fixed(f"{op.name} needs a size that is not known", *read)
        return self.parts(op, item, result, place) if isinstance(op, Split) and symbolic(op.parts) else result

    callee: SymOp | None = None
    """The argument that says which op the next layer is."""

    def of_any_size(self, item: Layer, result: Data) -> Data:
        """Return a result whose size is not known, where another op that an argument may be makes another one."""
        assert item.given is not None
        if not any(choice is not None and _is_pool(choice) for choice in item.given.choices):
            return result
        (shape,) = result.shapes
        sizes = (
            n if axis == "c" else self.unknown_size(int(n)) for axis, n in zip("chw", shape, strict=True)
        )
        item.after = self.drafts[-1].shapes = (Shape(*sizes),)
        return result.replace(shapes=item.after)

    def parts(self, op: Split, item: Layer, result: Data, place: Place) -> Data:
        """Return the list that a split into a number of parts that is not known makes."""
        sizes = term(op.parts)
        count = length(sizes) if isinstance(sizes, Atom) else sizes
        shapes = tuple(self.opaque_sizes(shape) for shape in result.shapes)
        each_one = sizes if isinstance(sizes, Atom) else each(replaced(term(shapes[0].c), {}), "i", count)
        listing = self.list_wire(count, len(shapes), place, item.span)
        item.outputs = listing.wires
        self.one_size[listing.wires[0]] = item.before[0].extent
        elements = Elements(shapes, SymList((int(shape.c) for shape in shapes), each_one))
        return Streams(listing.wires, listing.shapes, False, elements)

    def dynamic(self, label: tree.Label | str | None, place: Place) -> Atom | None:
        """Return a label's expression, if it is not the same in every turn."""
        if isinstance(label, tree.Tree):
            label = self.evaluator.text(label, place.env, place.source)
        if not isinstance(label, SymStr):
            return None
        self.not_handed_on(label.whole)
        for part in label.whole.args:
            counts = isinstance(part, Poly) and any(self.begins.get(name) is not None for name in names(part))
            if isinstance(part, Poly) and not counts:
                self.at_least(part, 0, "a name needs a whole number from 0")
        return label.whole

    def initialised(self, op: Op, shapes: tuple[Shape, ...], draft: Draft) -> tuple[Op, Mapping[str, Init]]:
        """Return an op with how its weights start, and what of that the layer or its block says itself."""
        weights = weights_of(op, shapes)
        said = {**initialisers(op, draft.inits), **op.inits}
        own = {key: init for key, init in said.items() if key in weights}
        return self.emitter.initialised(op, shapes, own), own

    def aligned(self, op: Op, shapes: tuple[Shape, ...]) -> tuple[Shape, ...]:
        """Return shapes of joined values with the same concrete sizes where they are the same here.

        On a side where this instance does not come they are what they have to be.
        """
        if len(shapes) < 2 or not isinstance(op, (Elementwise, Concat)):
            return shapes
        first = shapes[0]
        result = [first]
        for shape in shapes[1:]:
            if shape.axes != first.axes:
                if not self.dead or isinstance(op, Concat) or "c" not in first.axes or "c" not in shape.axes:
                    return shapes
                result.append(shape.with_size("c", with_hint(shape.c, int(first.c))))
                continue
            sizes = list(shape)
            for at, (axis, a, b) in enumerate(zip(shape.axes, first, shape, strict=True)):
                if int(a) == int(b) or (isinstance(op, Concat) and axis == op.axis):
                    continue
                if self.dead or self.equal(a, b):
                    sizes[at] = with_hint(b, int(a)) if isinstance(b, SymInt) else b
            result.append(Shape(*sizes, axes=shape.axes))
        maps = [shape for shape in result if shape.axes == first.axes]
        for at, axis in enumerate(first.axes):
            if axis != "c" and symbolic(first[at]):  # what comes out has the size that is said the shortest
                same = (
                    shape[at] for shape in maps if symbolic(shape[at]) and int(shape[at]) == int(first[at])
                )
                result[0] = result[0].with_size(axis, min(same, key=lambda size: len(text(size))))
        return tuple(result)

    def compared_in(self, shapes: Sequence[Shape]) -> Mapping[int, tuple[Term, ...]]:
        """Return which values of a joint have to be compared when it is made: one of each size, and that size.

        None where all have one size, whatever that of the input is, or where frameworks refuse others themselves.
        Vectors and maps of a pixel are used at every place.
        """
        rank, found = max(map(len, shapes)), dict[int, tuple[int, ...]]()
        for at, shape in enumerate(shapes):
            size = shape.extent
            if len(shape) < rank or (size == (1, 1) and not any(map(symbolic, size))):
                continue
            if not any(all(map(self.equal, size, other)) for other in found.values()):
                found[at] = size
        for one, other in combinations(found.values(), 2):
            if any(map(self.may_stretch, one, other)):
                return {at: tuple(map(term, size)) for at, size in found.items()}
        return {}

    def padded(self, op: Op) -> Op:
        """Return an op whose padding, if it is an argument, is rows and columns."""
        pad = getattr(op, "pad", None)
        kernel = getattr(op, "kernel", None)
        if not isinstance(pad, SymPad) or not isinstance(kernel, Dims):
            return op
        apart = _both(getattr(op, "dilation", 1))
        covered = tuple(d * (k - 1) + 1 for d, k in zip(apart, kernel, strict=True))
        if pad.optional:
            self.odd(op, covered, (Atom("is not none", (pad.whole,)),))
            least = Atom(">=", (single(Atom("call", ("min", pad.whole))), constant(0)))
            what = f"{text(pad.whole)} must be at least 0"
            self.checked(Atom("or", (Atom("is none", (pad.whole,)), least)), what)
        else:
            for axis in (0, 1):
                size = replaced(item_of(pad.whole, constant(axis)), {})
                self.at_least(size, 0, "pad must be at least 0")
        return op.replace(pad=pad.resolved((covered[0], covered[1])))

    def spelled(self, op: Op) -> Op:
        """Demand that texts are what their fields may be; where this instance does not come, they are."""
        for field, known in op.texts.items():
            value = getattr(op, field)
            if isinstance(value, SymText):
                either = " or ".join(f"'{one}'" for one in known)
                what = f"{text(value)} must be {either}, not {{{text(value)}}}"
                if not any(self.is_one_of(value, known, test) for test in self.path):
                    self.checked(Atom("in", (value.whole, Atom("const", (known,)))), what)
                if self.dead and value not in known:
                    op = op.replace(**{field: SymText(known[0], value.whole)})
        return op

    @staticmethod
    def is_one_of(value: SymText, known: tuple[str, ...], test: Atom) -> bool:
        """Tell whether a text is one of some where a condition holds."""
        if test.op == "in":
            (found,) = test.args[1].args
        elif test.op == "==":
            found = test.args[1].args
        else:
            return False
        return bool(test.args[0] == value.whole) and set(found) <= set(known)

    def odd(self, op: Op, covered: tuple[int, ...], unless: tuple[Atom, ...] = ()) -> None:
        """Demand that windows have a middle."""
        odd: Any = True
        for size in dict.fromkeys(map(term, covered)):
            own = compare("==", SymInt(1, size) % 2, 1) if isinstance(size, Poly) else True
            odd = joined("and", odd, _always(own))
        if isinstance(odd, SymBool):
            shown = text(op.kernel)  # type: ignore[attr-defined]
            demand = Atom("or", (*unless, odd.test)) if unless else odd.test
            self.checked(demand, f"pad=same needs odd kernels, not {{{shown}}}")

    def sound(self, item: Layer) -> None:
        """Demand of the arguments what frameworks do not, which make and call a linear layer without features."""
        op = item.op
        kernel, pad = getattr(op, "kernel", None), getattr(op, "pad", None)
        if isinstance(kernel, Dims) and isinstance(pad, Pad) and pad.mode == "same":
            apart = _both(getattr(op, "dilation", 1))
            self.odd(op, tuple(d * (k - 1) + 1 for d, k in zip(apart, kernel, strict=True)))
        for field in _FROM_ONE:
            sizes = getattr(op, field, None) if (op.name, field) != ("attention", "heads") else None
            what = (
                f"{op.name} needs at least 1 channel"
                if field == "channels"
                else f"{field} must be at least 1"
            )
            for size in sizes if isinstance(sizes, Dims) else (sizes,):
                if isinstance(size, SymInt):
                    self.at_least(size.poly, 1, what)
        if (
            isinstance(op, Pool)
            and isinstance(kernel, Dims)
            and isinstance(pad, Pad)
            and pad.mode == "explicit"
        ):
            for side, most in zip(pad.size, kernel, strict=True):
                for one in self.either_number(replaced(term(side), {})):
                    fits = compare("<=", SymInt(int(side), one), most // 2)
                    if isinstance(fits, SymBool):
                        what = (
                            f"pad must be at most half of the kernel, not {{{text(one)}}} of {_braced(most)}"
                        )
                        self.checked(fits.test, what)
        self.divisible(op, item.before)
        self.satisfied(op, item.before)
        self.probable(op)
        for size in pad.size if isinstance(pad, Pad) and not isinstance(pad.size, SymDims) else ():
            if isinstance(size, SymInt):
                self.at_least(size.poly, 0, "pad must be at least 0")

    def satisfied(self, op: Op, shapes: tuple[Shape, ...]) -> None:
        """Demand what an op needs of its arguments and channels."""
        for need in op.needs(*shapes):
            holds = compare(need.operator, need.left, need.right)
            if not isinstance(holds, SymBool):
                continue
            if (
                need.operator == ">="
                and isinstance(need.left, SymInt)
                and term(need.right) in (constant(0), constant(1))
            ):
                self.at_least(need.left.poly, int(need.right), f"{need.rule}{need.right}")
            else:
                self.checked(holds.test, f"{need.rule}{_braced(need.right)}, not {_braced(need.left)}")

    def probable(self, op: Op) -> None:
        """Demand of a probability that it is from 0 to 1, but of a schedule's whose ends are known."""
        rate = op.p if isinstance(op, Drop) and self.emitter.lenient else getattr(op, "dropout", 0.0)
        counting = {name for schedule in self.schedules for name in (schedule.variable, schedule.total)}
        if not isinstance(rate, SymFloat) or counting.issuperset(names(rate)):
            return
        own, tests = self.expanded(rate.atom), list[Atom]()
        conditions = [self.expanded(test) for test in self.supposed_path if test not in self.demanded]
        mine = [test for test in conditions if own.op == "name" and set(names(test)) == {*own.args}]
        for test, beyond in ((Atom(">=", (own, constant(0))), -1.0), (Atom("<=", (own, constant(1))), 2.0)):
            if all(evaluate(condition, {own.args[0]: beyond}) for condition in mine) and not self.implied(
                test
            ):
                tests.append(test)
        if not tests:
            return
        test = tests[0] if len(tests) == 1 else Atom("and", tuple(tests))
        others = [condition for condition in conditions if condition not in mine]
        if own.op != "name" or not all(map(self.known_at_once, (own, *others))):
            self.checked(test, f"a probability is from 0 to 1, not {{{text(own)}}}")
        elif not others or test not in self.rates:
            self.rates[test] = tuple(others)

    def divisible(self, op: Op, shapes: Sequence[Shape]) -> None:
        """Demand that channels can be divided into groups of as many."""
        field = next((field for field in ("groups", "heads", "parts") if hasattr(op, field)), "")
        count, convolves = getattr(op, field, 1), isinstance(op, (Conv, UpConv))
        if isinstance(op, Glu):
            field, count = "parts", 2
        if convolves and not self.emitter.lenient:
            return  # whose layers say so themselves
        if not isinstance(count, int) or (
            not convolves and not (field and (symbolic(count) or isinstance(op, (Split, Glu))))
        ):
            return  # elsewhere what has a number of groups cannot be made, or called, with others
        for channels in (shapes[0].c, op.channels) if isinstance(op, (Conv, UpConv)) else (shapes[0].c,):
            whole, parts = (SymInt(int(n), replaced(self.expanded(term(n)), {})) for n in (channels, count))
            rest = compare("==", channels % count, 0)
            if isinstance(rest, SymBool) and isinstance(whole % parts, SymInt):
                what = f"{_braced(channels)} channels cannot be divided into {_braced(count)} {field}"
                if len(what) > _WIDE:  # a line holds no more
                    what = f"channels cannot be divided into {field}"
                test = rest.test
                if field == "heads" and symbolic(count):  # there must be one before one divides by them
                    test = Atom("and", (Atom(">=", (term(count), constant(1))), test))
                self.checked(test, what)

    @staticmethod
    def fits(
        callee: SymOp, shapes: tuple[Shape, ...], given: Mapping[str, Given], place: Place, made: bool
    ) -> None:
        """Demand that every op that an argument may be is made by the same call, whatever it is."""
        targets = [choice.target for choice in callee.choices if choice is not None]
        normal = [t for t in targets if not isinstance(t, BlockDecl) and issubclass(t, Norm)]
        plain = [
            t
            for t in targets
            if not isinstance(t, BlockDecl)
            and (issubclass(t, (Activation, Pool)) or t is Identity)
            and t.weights is Op.weights
            and not t.module
        ]
        if len(normal) + len(plain) != len(targets) or (normal and plain and not made):
            raise Demanded("an argument that is one of several kinds of ops", callee)
        if shapes[0].axes != "chw" and (normal or any(issubclass(t, (OverAxis, Pool)) for t in plain)):
            raise Demanded("an argument that is an op of what is no map", callee)
        for choice in callee.choices:
            if choice is None or isinstance(choice.target, BlockDecl):
                continue
            more = dict(place.defaults.get(choice.target.name, {}))
            more.update(place.defaults.get(choice.target.inherits, {}))
            if choice.target is callee.target:  # and what the op itself says, as it is here, is not said here
                more.update((name, one) for name, one in given.items() if callee.args.get(name) is not one)
            if any(
                name not in choice.args or show(one.value) != show(choice.args[name].value)
                for name, one in more.items()
            ):
                raise Demanded("an op that is an argument and has arguments of its own here", callee)

    def starts_as_made(self, callee: SymOp, draft: Draft) -> None:
        """Demand that nothing says of an op that an argument may be how its weights start, if only its maker knows.

        Those are its own `init`, and in Flax the `init` lines of the net, of the block and of the file.
        """
        tables = (*draft.inits, *self.emitter.inits) if self.emitter.own_inits else ()
        for target, args in ((choice.target, choice.args) for choice in callee.choices if choice is not None):
            kinds = (target.name, target.inherits) if not isinstance(target, BlockDecl) else ()
            if "init" in args or any(table.get(kind) for table in tables for kind in kinds):
                raise Demanded("an op that is an argument and whose weights start as the spec says", callee)

    def is_again(self, scope: DraftScope, name: str, op: Op) -> bool:
        """Tell whether an op is the module that has its label already, for all arguments."""
        known, own = scope.shared.get(name), self.identity_of(op)
        if known is None or has_state(op):
            return False
        if isinstance(known, Late):
            raise Fixed(f"{name} is one of two modules", known.test)
        if known[:2] == own[:2] and known != own:
            read = mentioned((known[2:], own[2:]))
            raise Fixed(f"{name} is not always one module", *(Atom("name", (one,)) for one in read))
        return bool(known == own)

    def elements(self, shape: Iterable[int]) -> int:
        """Return how many numbers a tensor of a shape holds here; nobody asks for the expression."""
        return prod(map(int, shape))

    def identity_of(self, op: Op) -> Any:
        """Return what two ops have in common that are one module: here, and for all arguments."""
        args = tuple(op.arguments().values())
        return op.name, concrete(args), expressed(args), self.callee and self.callee.whole

    # ---------------------------------------------------------------- modules that run again

    def again(self, node: tree.Same, data: Data, place: Place) -> Data:
        """`same label`."""
        name = self.evaluator.text(node.name, place.env, place.source)
        made = place.scope.made.get(name)
        labels = [one.label.text for one in ([made] if made is not None else place.scope.made.values())]
        for label in (name, *labels):
            if isinstance(label, SymStr):
                raise Fixed("which module runs again is not known", label.whole)
        if made is not None:
            path, loops = made.under
            missing = [test for test in path if test not in self.path]
            if missing or loops != tuple(turns.loop for turns in self.rounds[: len(loops)]):
                raise Fixed(f"{name} is not always there", *missing, *(loop.over for loop in loops))
        one = super().again
        return self.either_way(lambda flow: one(node, flow, place), data, place, node)

    def under_what(self) -> tuple[tuple[Atom, ...], tuple[Loop, ...]]:
        """Return the conditions and loops that what is put down now stands under."""
        return tuple(self.path), tuple(turns.loop for turns in self.rounds)

    def mark(self) -> int:
        """Return how much has been put down."""
        return len(self.items)

    def put_since(self, mark: int, place: Place) -> list[Module]:
        """Return the modules that were put down for a layer or block."""
        return list(modules(self.items[mark:]))

    def agree(self, made: Made, parts: list[Module], name: str, place: Place, span: Span) -> None:
        """Demand that a module that ran again is the one that it was, for all arguments."""
        ours, theirs = ([one for one in some if one.key] for some in (parts, made.parts))
        if [one.key for one in ours] != [one.key for one in theirs]:
            raise Fixed(f"{name} is not always one module")
        for first, item in zip(theirs, ours, strict=True):
            pairs: list[tuple[Any, Any]] = []
            if isinstance(first, Layer) and isinstance(item, Layer):
                kept = (
                    {**one.op.weights(*one.before), **one.op.buffers(*one.before)} for one in (first, item)
                )
                for had, has in zip(*(tensors.values() for tensors in kept), strict=True):
                    pairs += zip(had, has, strict=True)
            elif isinstance(first, Child) and isinstance(item, Child):
                cls = first.cls
                if item.cls is not cls:
                    raise Fixed(f"{name} is not always one class")
                read = cls.sizes_read | cls.names().keys()
                for incoming, one, other in zip(cls.inputs, first.shapes, item.shapes, strict=True):
                    pairs += (
                        (one.size(axis), other.size(axis)) for axis, n in incoming.sizes.items() if n in read
                    )
                item.args = first.args  # what they say of sizes, `forward` asks each time
            for one, other in pairs:
                self.must_be(one, other, name, span)

    def must_be(self, first: Any, other: Any, name: str, span: Span) -> None:
        """Demand that a size by which a module is made is the same where it runs again."""
        if term(first) == term(other) or self.equal(first, other):
            return
        if any(one.startswith("?") for one in mentioned((first, other))):
            raise Fixed(f"a size that {name} is made for is not known", first, other)
        test = compare("==", *((first, other) if symbolic(first) else (other, first)))
        if not isinstance(test, SymBool):
            raise fail("E226", f"`{name}` would be another module here", span)
        what = f"{name} is made for {_braced(first)}, not {_braced(other)}"
        self.check(test.test, what if len(what) <= _WIDE else f"{name} is made for another input")

    # ---------------------------------------------------------------- joints

    def join(self, joint: tree.Name, values: list[Data], names: list[str], place: Place, begin: int) -> Data:
        """Return the joint of branches; their channels must be the same for all arguments."""
        result = super().join(joint, values, names, place, begin)
        if len(values) > 1 and folds(joint.text):
            self.must_agree([v.shapes[0] for v in values])
        return result

    def joint_of_list(self, kind: str, data: Streams, place: Place, span: Span) -> Data:
        """Return the sum, product or concatenation of a list."""
        if place.defaults.get(kind) or kind in place.broken:
            raise Fixed("a layer of a list", self.staged.lists[data.wires[0]])
        shape = self.of_joint(kind, [data])
        result = self.wire((shape,), place, span, data.wires)
        self.put_joined(kind, shape, data.wires[0], result.wires[0])
        return result

    def put_joined(self, kind: str, shape: Shape, whole: Wire, wire: Wire) -> None:
        """Put down what a joint makes of a list, whose values have to be compared if they may differ in size."""
        compared = kind != "concat" and len(shape) > 1 and whole not in self.one_size
        if compared and shape.axes != "chw":
            raise Fixed("a joint of a list of what is no map", self.staged.lists[whole])
        self.put(Joined(catalogue()[kind](), shape, whole, wire, compared))

    def of_joint(self, kind: str, parts: Sequence[Data]) -> Shape:
        """Return the shape of what a joint makes of values, and of all values of lists."""
        shapes: list[Shape] = []
        for part in parts:
            shape = part.shapes[0]
            if isinstance(part, Streams):
                shape = part.elements[0]
                whole: Atom = part.elements.channels.whole  # type: ignore[attr-defined]
                if kind == "concat":
                    c = total(whole)
                elif whole.op == "each" and whole.args[1] not in names(whole.args[0]):
                    c = whole.args[0]
                elif whole.op == "name":
                    c = replaced(item_of(whole, constant(0)), {})
                    others = Atom("call", ("len", Atom("call", ("set", whole))))
                    what = f"{{{text(whole)}}} channels cannot be joined"
                    self.checked(Atom("==", (single(others), constant(1))), what)
                else:
                    raise Fixed(f"{kind} of values with other channels in every turn", whole)
                known = "?" not in names(c)  # else channels that another pass knows
                shape = shape.with_size("c", SymInt(int(self.here(c)) if known else int(shape.c), c))
            shapes.append(shape)
        if len({shape.axes for shape in shapes}) > 1:
            raise Fixed("a joint of values of several kinds")
        if kind != "concat":
            counts = [length(p.elements.channels.whole) if isinstance(p, Streams) else None for p in parts]  # type: ignore[attr-defined]
            self.must_agree(shapes, [c if c is not None and c.constant is None else None for c in counts])
            return max(shapes, key=lambda shape: shape.elements)
        return shapes[-1].with_size("c", sum(shape.c for shape in shapes))

    def must_agree(self, shapes: list[Shape], counts: Sequence[Poly | None] = ()) -> None:
        """Demand that values have the same channels where they are not known to, if there are any of them."""
        first = shapes[0].c if "c" in shapes[0].axes else None
        for at, shape in enumerate(shapes[1:], 1):
            if first is None or "c" not in shape.axes:
                continue
            if not self.equal(first, shape.c):
                test = compare("==", *((first, shape.c) if symbolic(first) else (shape.c, first)))
                if isinstance(test, SymBool):
                    what = f"{_braced(first)} and {_braced(shape.c)} channels cannot be joined"
                    if len(what) > _WIDE:
                        what = "branches with other channels cannot be joined"
                    own = [n for n in (counts[0], counts[at]) if n is not None] if counts else []
                    none = tuple(Atom("<", (unbounded(n), constant(1))) for n in own if not self.is_full(n))
                    self.check(Atom("or", (*none, test.test)) if none else test.test, what)


def modules(items: Iterable[Item]) -> Iterator[Module]:
    """Yield the modules among items, on either side of a condition."""
    for item in items:
        if isinstance(item, Module):
            yield item
        else:
            for inner in item.inner():
                yield from modules(inner)


def expressed(value: Any) -> Any:
    """Return a value with expressions in the place of what remembers one, to compare for all arguments."""
    if symbolic(value):
        return term(value)
    if isinstance(value, Pad):
        return value.mode, expressed(value.size)
    return tuple(map(expressed, value)) if isinstance(value, tuple) else value


def _braced(value: Any) -> str:
    """Return an expression as a part of an f-string."""
    return f"{{{text(value)}}}" if symbolic(value) else text(value)


def _always(truth: bool | SymBool) -> Callable[[], bool | SymBool]:
    """Return a function that returns it."""
    return lambda: truth


def _both(size: Any) -> tuple[Any, Any]:
    return (size, size) if isinstance(size, int) else (size[0], size[1])


def _is_pool(op: OpValue) -> bool:
    return isinstance(op.target, type) and issubclass(op.target, Pool)

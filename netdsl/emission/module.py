"""The text of an emitted file: header, imports, constants, classes and factories, in the words of a dialect."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import takewhile, zip_longest
from textwrap import wrap
from typing import Any

from netdsl import __version__
from netdsl.diagnostics import Diagnostic, NetError
from netdsl.elaborate.names import class_name, readable, reserved_attribute, reserved_name
from netdsl.elaborate.values import MISSING, BlockDecl, OpValue, RowValue, TableValue, Wire, show
from netdsl.emission import dotted, prose
from netdsl.emission.code import Arg, Call, Const, Context, Expr, Listed, Lowered, Name, Param, children
from netdsl.emission.concolic import (
    Maker,
    SymOp,
    SymPad,
    SymRow,
    SymTable,
    is_part,
    made,
    mentioned,
    reads_whole,
)
from netdsl.emission.construct import Constructor
from netdsl.emission.demands import Demands
from netdsl.emission.dialect import Dialect
from netdsl.emission.family import Called, Family, Variant, by_position, within
from netdsl.emission.flow import Flow
from netdsl.emission.function import Chains, Function, Outside, Storage, bound_names, is_nothing, names_read
from netdsl.emission.items import (
    Check,
    Child,
    Container,
    Item,
    Layer,
    Let,
    Loop,
    Module,
    Numbered,
    Parameter,
    Pick,
    Staged,
    Store,
    has_stages,
    walk,
)
from netdsl.emission.members import Members, place_of
from netdsl.emission.numbered import is_mapping
from netdsl.emission.order import Order
from netdsl.emission.stack import Stack
from netdsl.emission.tidy import tidy
from netdsl.emission.writer import INDENT, WIDTH, constant, flat, layout, signature
from netdsl.ir.types import Dims, Pad, Shape
from netdsl.net import Net
from netdsl.ops import Op
from netdsl.passes.bindings import GENERIC
from netdsl.symbolic import Atom, Poly, SymBool, SymInt, names, single, symbolic, text
from netdsl.symbolic import constant as number

_NOTHING = {"float": "0.0", "bool": "False"}
"""By type, what a variable is before it has a value."""

_OPEN = "?"
"""Stands for the channels of an op that is an argument."""

MAKE_DIVISIBLE = '''\
def make_divisible(value: float, divisor: int) -> int:
    """Return the nearest multiple of a divisor, never more than 10 % below the value."""
    rounded = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * value else rounded
'''

MAKES_SAME = '''\
def makes_same(one: object, other: object) -> bool:
    """Tell whether two makers are the same class or function, with the same arguments."""
    parts = [
        (make.func, make.args, make.keywords) if isinstance(make, partial) else (make, (), {})
        for make in (one, other)
    ]
    return parts[0] == parts[1]
'''


def checked(net: Net) -> None:
    """Refuse a net that no module can be written for."""
    for scope in net.graph.tree.scopes() if net.name in net.elaborated.blocks else ():
        if scope.block == net.name:
            help = "name nets and blocks in CamelCase, instances in lower case"
            message = f"a {scope.kind} and the instance are both called `{net.name}`"
            raise NetError([Diagnostic("E219", message, scope.span, help=help)])


_SHAPES = "Shapes: "
"""What the paragraph of a class's shapes begins with."""


class ModuleText(ABC):
    """The text of one module. A backend adds what only its framework has."""

    dialect: Dialect
    lowerings: Mapping[type[Op], Callable[[Any, Context], Lowered]]

    def __init__(
        self,
        family: Family,
        inplace: bool = True,
        form: str = "",
        features: bool = False,
        remat: bool = False,
        low_memory: bool = False,
    ) -> None:
        """Take the classes of a family; `form` is the backend with its options, as the command takes it."""
        self.family = family
        self.inplace = inplace
        self.form = form
        self.features = features
        self.remat = remat
        self.low_memory = low_memory
        self.constants = family.constants
        self.kinds: dict[str, str] = {}
        """The types of those of them that are arguments."""
        self.storage = Storage()
        self.chains = Chains(self.lower)
        self.containers: dict[int, Function] = {}
        self.outsides: dict[int, Outside] = {}
        self.made: dict[tuple[str, ...], str] = {}
        """Texts of containers' classes, and what they are called."""
        self.blocks: dict[tuple[str, ...], tuple[Staged, list[str]]] = {}
        """The classes of blocks by their texts without shapes, and their lines."""
        self.names = {staged.name for staged in family.classes} | {net.name for net in family.nets}
        self.taken = set(family.taken) | set(self.dialect.names)
        self.lowered: dict[tuple[int, bool], Lowered] = {}
        self.own_helpers: dict[str, str] = {}
        """What ops of other distributions need at the top of the file, by name."""
        self.makers: dict[tuple[Any, str], tuple[str, Maker]] = {}
        """Ops that are made by functions of the module, and the names of these."""
        self.context: Staged | None = None
        """The class, or that of the net, whose text is being written."""
        self.arguments: set[str] = set()
        """The names of ops that are arguments."""
        for staged in family.classes:
            tidy(staged, self.constants)

    @cached_property
    def enlarging(self) -> set[tuple[str, int, int]]:
        """Where a joint stands whose first branch is smaller than the others in some net, as 1x1 beside a map."""
        return {
            place_of(node.span)
            for net in self.family.nets
            for node in net.graph
            if len(node.inputs) > 1
            and node.op.inplace
            and net.inputs_of(node.name)[0] != net.outputs_of(node.name)[0]
        }

    # ---------------------------------------------------------------- lowering

    def lower(self, item: Layer, inplace: bool) -> Lowered:
        """Return what a layer is in the framework."""
        key = id(item), inplace
        if key not in self.lowered:
            context = Context(item.before, item.after, inplace, item.batched or (True,))
            lowered = self.lowered_op(item.op, context)
            if item.given is not None:  # always a module, whatever the op is here
                lowered = Lowered(self.dialect.identity if lowered.module is None else lowered.module)
            self.lowered[key] = lowered
        return self.lowered[key]

    def lowered_op(self, op: Op, context: Context) -> Lowered:
        """Return what an op is in the framework, and note what it needs."""
        lowered: Lowered = self.lowerings[type(op)](op, context)
        for name, source in lowered.helpers.items():
            if name in self.names | self.taken or self.own_helpers.setdefault(name, source) != source:
                help = f"call what has that name in {self.family.nets[0].spec} otherwise"
                raise NetError(
                    [Diagnostic("E219", f"`{name}` is a name that the op {op.name} needs", help=help)]
                )
        return lowered

    def example(self, value: OpValue) -> Expr:
        """Return what constructs an op that is an argument, for a map whose channels are not known."""
        assert not isinstance(value.target, BlockDecl)
        fields = {k: g.value for k, g in value.args.items() if k in value.target._fields}
        shapes = (Shape(SymInt(1, single(Atom("name", (_OPEN,)))), 1, 1),)
        lowered = self.lowered_op(value.target(**fields), Context(shapes, shapes))
        return self.dialect.identity if lowered.module is None else lowered.module

    @staticmethod
    def is_open(arg: Arg) -> bool:
        """Tell whether an argument of an example is the channels, which the call gives."""
        return isinstance(arg.value, Const) and _OPEN in mentioned(arg.value.value)

    @staticmethod
    def channels_of(item: Layer) -> tuple[Arg, ...]:
        """Return what a call of an argument gives the op: the channels, if it may have weights."""
        if not item.made and type(item.op).weights is Op.weights:
            return ()
        return (Arg("channels", Const(item.before[0].c), keyword=False),)

    def construction(self, item: Layer, lowered: Lowered) -> Expr:
        """Return what constructs a layer; one that an argument says is made by that."""
        assert lowered.module is not None
        if item.given is None:
            return lowered.module
        return self.constructed(item, lowered)

    @abstractmethod
    def constructed(self, item: Layer, lowered: Lowered) -> Expr:
        """Return the call of an argument that makes a layer."""

    @abstractmethod
    def argument(self, value: OpValue) -> Expr:
        """Return a primitive op as an argument."""

    @abstractmethod
    def initial(self, item: Layer) -> Iterator[tuple[Param, Expr, bool]]:
        """Yield how a layer's weights start, where nothing else says so: the statements, and which may be None."""

    def annotation(self, targets: Iterable[OpValue | None]) -> str:
        """Return the type of an argument that is an op: of what makes a module, with the classes that it may make."""
        made: dict[str, None] = {}
        targets = list(targets)
        lacking = " | None" if None in targets else ""
        if any(isinstance(value, Maker) for value in targets):
            taken = "..." if self.dialect.parameters else "[int]"
            return f"Callable[{taken}, {self.dialect.layer}]{lacking}"
        known = True
        """Whether all of the classes stand above the one that takes the argument."""
        above = {*takewhile(lambda staged: staged is not self.context, self.family.classes)}
        for value in targets:
            if value is not None and isinstance(value.target, BlockDecl):
                classes = self.family.classes_of(value, self.context)
                made.update(dict.fromkeys(s.name for s in classes))
                known = known and above.issuperset(classes)
            elif value is not None:
                made[self.dialect.layer] = None
        several = " | ".join(made) or self.dialect.layer
        taken = several if known else f'"{several}"'
        return f"Callable[..., {taken}]{lacking}"

    def is_nothing(self, item: Item) -> bool:
        """Tell whether a layer is only its input."""
        return is_nothing(item, self.lower)

    def is_named(self, items: list[Item]) -> bool:
        """Tell whether any module of a chain has a label."""
        for item in items:
            if isinstance(item, Module):
                if item.labelled and not Constructor.follower(item) and not self.is_nothing(item):
                    return True
            elif any(map(self.is_named, item.inner())):
                return True
        return False

    # ---------------------------------------------------------------- values

    def expression(self, value: Any, others: Iterable[Any] = (), apart: bool = False) -> Expr:
        """Return a value of the spec as code, in a place that has the `others` too; `apart` is for `is_row`."""
        if isinstance(value, Poly):
            value = SymInt(0, value) if value.constant is None else value.constant
        if isinstance(value, Atom):
            value = SymBool(True, value)
        if isinstance(value, SymOp):
            return Const(SymBool(True, value.whole))
        if isinstance(value, OpValue):
            if isinstance(value.target, BlockDecl):
                return self.block_argument(value)
            if isinstance(value, Maker) and value.target.weights is Op.weights:
                return Name(self.maker(value))
            if not value.complete:
                return Const(None)  # whoever calls it gives the rest, and has a class that says which op
            return self.argument(value)
        if isinstance(value, TableValue) and not isinstance(value, SymTable):
            rows = [row for one in (value, *others) for row in one.rows]
            return Listed(tuple(self.row(row, rows) for row in value.rows), "[]")
        if isinstance(value, RowValue) and not isinstance(value, SymRow):
            return self.row(value.cells, [value.cells, *(one.cells for one in others)])
        if isinstance(value, Pad):
            if isinstance(value, SymPad):
                return Const(SymBool(True, value.whole))
            if value.mode == "same":
                return Const(None)
            return Const(tuple(value.size))
        if isinstance(value, Dims):
            return Const(value if symbolic(value) else tuple(value))
        if isinstance(value, tuple) and not symbolic(value):
            lists = [value, *others]
            if is_row(lists, apart):
                return self.row(value, lists)
            items = [item for one in lists for item in one]
            return Listed(tuple(self.expression(item, items, apart=True) for item in value), "[]")
        return Const(value)

    def maker(self, value: Maker) -> str:
        """Return the name of the function that makes an op for any number of channels."""
        key = value.target, show(value)
        if key not in self.makers:
            name, number = value.name, 1
            while name in self.taken or name in self.names:
                number += 1
                name = f"{value.name}{number}"
            self.names.add(name)
            self.makers[key] = name, value
        return self.makers[key][0]

    def maker_lines(self, name: str, value: Maker) -> list[str]:
        """Return that function."""
        takes, result = ["channels: int", *self.dialect.parameters], self.dialect.layer
        lines = signature(name, takes, result, "")
        lines.append(f'{INDENT}"""Return {show(value)} for a map of any number of channels."""')
        return [*lines, *layout("return ", self.alone(value), "", INDENT)]

    def alone(self, value: OpValue) -> Expr:
        """Return the construction of an op as a module."""
        return self.example(value)

    def row(self, cells: Iterable[Any], rows: Iterable[tuple[Any, ...]]) -> Expr:
        """Return a row as code, one of several."""
        own = tuple(cells)
        columns = zip(own, zip(*(row for row in rows if len(row) == len(own)), strict=True), strict=True)
        return Listed(tuple(self.expression(cell, column, apart=True) for cell, column in columns), "()")

    def given(self, parameter: Parameter, staged: Staged, value: Any) -> Expr:
        """Return what a parameter of a class is given as code."""
        lists = self.family.lists_of(staged.decl, parameter.name, parameter.default)
        return self.expression(value, lists, self.apart(parameter, staged))

    def apart(self, parameter: Parameter, staged: Staged) -> bool:
        """Tell whether the place of an item says what it is: it has a variable, or is read by its number."""
        if parameter.unpacked or parameter.kind != "list":
            return parameter.unpacked
        lists = [parameter.value, *self.family.lists_of(staged.decl, parameter.name, parameter.default)]
        return len(set(map(len, lists))) == 1 and self.by_place(staged, parameter.name)

    def by_place(self, staged: Staged, name: str) -> bool:
        """Tell whether a class reads items of a list by constants alone, or hands it on to one that does."""
        for item in walk(staged.items):
            handed: list[Any] = []
            if isinstance(item, Child) and item.callee is None and not item.recursive:
                given = [(one, item.args[one.name]) for one in item.cls.params if one.name in item.args]
                handed = [value for one, value in given if is_part(value, name) and self.apart(one, item.cls)]
            for value in item.terms():
                if reads_whole(value, name) and not any(value is one for one in handed):
                    return False
        return True

    def block_argument(self, value: OpValue) -> Expr:
        """Return a block as an argument: its class, with what it is given already."""
        cls = self.family.class_of(value, self.context)
        known = {p.name: p for p in cls.params}
        args = tuple(
            Arg(name, self.given(known[name], cls, self.family.as_given(cls.decl, name, given.value)))
            for name, given in value.args.items()
            if name in known
        )
        if not args:
            return Name(cls.name)
        return Call("partial", (Arg("", Name(cls.name), keyword=False), *args))

    def call(self, item: Child) -> Expr:
        """Return the construction of a block."""
        cls = item.cls
        callee = text(item.callee.whole) if item.callee is not None else cls.name
        partial = set(item.callee.args) if item.callee is not None else set()
        args: list[Arg] = []
        if isinstance(item, Stack):
            return self.stacked(item)
        for incoming, shape in zip(cls.inputs, item.shapes, strict=True):
            for axis, name in incoming.sizes.items():
                if name in cls.sizes_read or (axis == "c" and item.callee is not None and axis in shape.axes):
                    args.append(Arg(name, self.expression(shape.size(axis)), keyword=False))
        positional, places = True, self.places(item)
        for parameter in self.ordered(cls):
            if parameter.name in partial or (parameter.name not in item.args and self.has_default(parameter)):
                positional = False
                continue
            value = item.args.get(parameter.name, parameter.default)
            positional = positional and (places is None or parameter.name in places)
            if not self.has_default(parameter):
                args.append(Arg(parameter.name, self.given(parameter, cls, value), keyword=not positional))
                continue
            # of an argument that says which class it is, the default may be another
            default = self.given(parameter, cls, parameter.default) if item.callee is None else None
            args.append(Arg(parameter.name, self.given(parameter, cls, value), default))
        return Call(callee, (*args, *self.dialect.options))

    def places(self, item: Child) -> set[str] | None:
        """Return the arguments that all blocks that a child may be take in the same places; None of one block."""
        if len(item.names) < 2 or item.callee is None:
            return None
        calls = [
            Called(item.names[choice.target], self.family.class_of(choice, self.context), choice.args)
            for choice in item.callee.choices
            if choice is not None and isinstance(choice.target, BlockDecl)
        ]
        found = by_position(calls, self.has_default)
        if found is None:
            message = (
                f"{calls[0].staged.name} and {calls[1].staged.name} are called with other arguments here"
            )
            raise NetError([Diagnostic("E508", message, item.span)])
        return found

    def stacked(self, item: Stack) -> Expr:
        """Return the construction of equal blocks as one with stacked weights."""
        one = Child(item.key, None, item.labelled, item.span, item.inputs)
        one.__dict__.update(item.__dict__)
        call = self.call(one)
        assert isinstance(call, Call)
        own = tuple(arg for arg in call.args if arg not in self.dialect.options)
        make = Call("partial", (Arg("function", Name(str(call.func)), keyword=False), *own))
        number = Arg("count", self.expression(item.number), keyword=False)
        maker = Arg("make", make, keyword=False)
        return Call(self.dialect.stacked, (number, maker, *self.dialect.options))

    def ordered(self, staged: Staged) -> list[Parameter]:
        """Return the arguments of a class in its order: those without a default first, as Python wants it."""
        return sorted(staged.params, key=self.has_default)

    def has_default(self, parameter: Parameter) -> bool:
        """Tell whether an argument has a default: none that is the result of a call, or holds one."""
        return parameter.default is not MISSING and not has_call(self.expression(parameter.default))

    @cached_property
    def sequences(self) -> bool:
        """Whether lists may be any sequences: some argument has one as its default, which nothing may change."""
        return any(
            parameter.kind in ("list", "table") and self.has_default(parameter)
            for staged in self.family.classes
            for parameter in staged.params
        )

    def taken_as(self, kind: str) -> str:
        """Return the type of an argument that takes what has a type."""
        return (
            f"Sequence[{kind.removeprefix('list[')}" if self.sequences and kind.startswith("list[") else kind
        )

    def default(self, parameter: Parameter, staged: Staged) -> Expr:
        """Return the default of an argument; of a list a tuple."""
        expr = self.given(parameter, staged, parameter.default)
        if isinstance(expr, Listed) and expr.brackets == "[]":
            return expr.replace(brackets="()")
        return expr

    def applied(self, function: Function, this: str, operands: tuple[Arg, ...]) -> Expr:
        """Return a call of a block in `forward`."""
        return Call(this, operands)

    def step(self, function: Function, items: list[Item], x: str) -> Expr:
        """Return the call of one module of a chain of these items, which is called `layer`."""
        return Call("layer", (Arg("input", Name(x), keyword=False),))

    def head(self, items: list[Item]) -> tuple[str, str]:
        """Return when the head of a chain has begun: tests of a module, and of what it makes, "" for none."""
        return "", ""

    def chain(self, function: Function, item: Container, expr: Expr) -> Expr:
        """Return the construction of a chain, as a backend has it."""
        return expr

    def bound(self, function: Function) -> Mapping[str, Any]:
        """Return the sizes that stand as numbers in a class."""
        return {name: number(size) for name, size in function.staged.bound.items()}

    # ---------------------------------------------------------------- classes

    def functions(self) -> Iterator[Function]:
        """Yield the classes of blocks and nets, inner ones first."""
        yield from map(self.function, self.family.classes)

    @staticmethod
    def function(staged: Staged) -> Function:
        """Return the class of a block or net."""
        function = Function(staged, staged.items, staged.kind, staged.name)
        function.inputs = {incoming.wire: incoming.name for incoming in staged.inputs}
        function.outputs = staged.outputs
        return function

    def of_container(self, item: Container, staged: Staged) -> Function:
        """Return a container as a class; a chain is none, and has the kind "chain"."""
        if id(item) not in self.containers:
            self.containers[id(item)] = self.make_container(item, staged)
        return self.containers[id(item)]

    def outside(self, staged: Staged) -> Outside:
        """Return what tells of a class's containers what is read outside them."""
        if id(staged) not in self.outsides:
            self.outsides[id(staged)] = Outside(staged)
        return self.outsides[id(staged)]

    def make_container(self, item: Container, staged: Staged) -> Function:
        """Return what a container is."""
        key = item.key if not item.by_position else ""
        if item.name is not None:  # a label with numbers
            key = "".join(part for part in item.name.args if isinstance(part, str))
        function = Function(staged, item.items, "chain", class_name(key) or "Steps", item.key)
        function.first, function.counts = item.first, item.counts
        read = list(dict.fromkeys(item.reads()))
        outside = self.outside(staged)
        outer = outside.values(item)
        outputs = [*dict.fromkeys(item.exit), *(w for w in item.makes() if w in outer and w not in item.exit)]
        function.outputs = tuple(outputs)
        if len(read) == 1:
            function.inputs = {read[0]: "xs" if read[0] in staged.lists else "x"}
            plain = not item.first and all(dotted.entry(one) is None for one in dotted.children(item.items))
            if plain and item.exit == (self.chains.end(item.items, read[0]),) == tuple(outputs):
                return function
        function.kind = "container"
        function.inputs = self.input_names(read, staged)
        function.absent = outside.lacking[id(item)]
        bound = {i.name for i in walk(item.items) if isinstance(i, Let) and not i.again}
        bound |= {t for i in walk(item.items) if isinstance(i, Loop) for t in i.targets}
        bound |= {name for i in walk(item.items) if isinstance(i, Child) for name in i.asked}
        bound |= {i.keeps for i in walk(item.items) if isinstance(i, Numbered)}
        names: dict[str, None] = {}
        needed: set[str] = set()
        for inner in walk(item.items):
            values = [*inner.terms()]
            needed |= names_read(inner, self.lower)
            if isinstance(inner, Module) and inner.name is not None:
                values.append(inner.name)
                needed.update(mentioned(inner.name))
            if isinstance(inner, (Pick, Store)):
                values.append(inner.index)
                needed.update(mentioned(inner.index))
            names.update(dict.fromkeys(name for value in values for name in mentioned(value)))
        known = set(staged.bound) | set(self.constants)
        function.names = tuple(n for n in names if n in needed and n not in bound and n not in known)
        function.name = self.class_name(function.name, staged)
        children = {inner.key for inner in walk(item.items) if isinstance(inner, Module)}
        for name in outside.names(item):
            attribute = name
            while attribute in children or reserved_attribute(attribute):
                attribute += "_"
            function.tells[name] = attribute
        return function

    def class_name(self, label: str, staged: Staged) -> str:
        """Return a new name of a container's class."""
        name, number = label, 1
        if name in self.taken or reserved_name(name):
            name = label = f"{staged.name}{label}"
        while name in self.taken:
            number += 1
            name = f"{label}{number}"
        self.taken.add(name)
        return name

    @staticmethod
    def input_names(wires: list[Wire], staged: Staged) -> dict[Wire, str]:
        """Return what a container's forward function calls what it reads."""
        if len(wires) == 1 and not is_mapping(wires[0]):
            return {wires[0]: "xs" if wires[0] in staged.lists else "x"}
        found: dict[Wire, str] = {}
        names = {incoming.wire: incoming.name for incoming in staged.inputs} | staged.labels
        numbered = [item for item in walk(staged.items) if isinstance(item, Numbered) and item.wire in wires]
        names |= {item.wire: next(one for one in item.called if one not in GENERIC) for item in numbered}
        for index, wire in enumerate(wires):
            name = readable(names.get(wire, f"x{index}"))
            found[wire] = name if name not in found.values() else f"x{index}"
        return found

    # ---------------------------------------------------------------- text

    def lines(self) -> Iterator[str]:
        """Yield the file line by line."""
        body = list(self.body())
        whole = "\n".join(body)
        yield from self.header()
        yield from self.imports(whole)
        yield ""
        if body and body[0].startswith(("class ", "def ", "@")):  # a constant follows one empty line
            yield ""
        yield from body

    def header(self) -> Iterator[str]:
        """Yield the docstring."""
        nets = self.family.nets
        net = nets[0]
        what = f"{net.name}: {net.class_name}" if len(nets) == 1 else "The nets"
        yield f'"""{what} of {constant(net.spec)[1:-1]}, compiled by netdsl {__version__}.'
        yield ""
        about = [prose.title(net.recipe.net.file.source), prose.paper(net) if len(nets) == 1 else ""]
        if any(about):
            yield from prose.paragraph(prose.sentence(about), WIDTH)
            yield ""
        if len(nets) == 1:
            params, macs = prose.counts(net)
            inputs, outputs = (prose.sizes(s, self.dialect.last) for s in (net.inputs, net.outputs))
            facts = f"Input {inputs}, output {outputs}; {params:,} parameters, {macs:,} MACs a sample."
            yield from wrap(facts, WIDTH, break_long_words=False, break_on_hyphens=False)
        else:
            yield from prose.table(nets, self.dialect.last)
        if self.form:
            yield ""
            yield from prose.paragraph(prose.command(nets, self.form), WIDTH, INDENT)
        yield '"""'
        yield ""

    @abstractmethod
    def imports(self, text: str) -> Iterator[str]:
        """Yield the imports that the text needs."""

    @abstractmethod
    def helpers(self, text: str) -> list[str]:
        """Return the definitions that the text needs and the framework has not."""

    def settled(self, function: Function, members: Members) -> Iterator[str]:
        """Yield the last statements of a class's constructor."""
        return iter(())

    def body(self) -> Iterator[str]:
        """Yield helpers, constants, outputs, classes and factories, two empty lines between."""
        classes: list[list[str]] = []
        for reference in self.family.references.values():
            reference.code = flat(self.expression(made(reference.op) if reference.maker else reference.op))
        for function in self.functions():
            for inner in self.inner_classes(function.items, function.staged):
                classes.append(inner)
            lines = list(self.one_class(function))
            if not self.is_again(function, lines, classes):
                classes.append(lines)
        factories = [list(self.factory(variant)) for variant in self.family.variants]
        self.context = None
        text = "\n".join(line for lines in (*classes, *factories) for line in lines)
        constants: list[str] = []
        of_classes: list[str] = []
        """Those that hold classes, which stand above them."""
        for name, value in self.constants.items():
            if re.search(rf"\b{name}\b", text):
                blocks = any(isinstance(getattr(one, "target", None), BlockDecl) for one in within([value]))
                (of_classes if blocks else constants).extend(self.constant_lines(name, value))
        makers = [self.maker_lines(name, value) for name, value in self.makers.values()]
        text = "\n".join([*(line for lines in makers for line in lines), *constants, *of_classes, text])
        parts = [source.rstrip("\n").split("\n") for source in self.helpers(text)]
        for call, source in (("make_divisible(", MAKE_DIVISIBLE), ("makes_same(", MAKES_SAME)):
            if call in text:
                parts.insert(0, source.rstrip("\n").split("\n"))
        parts += makers
        if constants:
            parts.append(constants)
        for staged in self.family.classes:
            if staged.kind == "net" and staged.sides:
                parts.append(list(self.outputs(staged)))
        parts += [*classes, *([of_classes] if of_classes else []), *factories]
        for at, part in enumerate(parts):
            if at:
                yield ""
                yield ""
            yield from part

    def inner_classes(self, items: list[Item], staged: Staged) -> Iterator[list[str]]:
        """Yield the classes of containers, each text once."""
        for item in items:
            for inner in item.inner():
                yield from self.inner_classes(inner, staged)
            if isinstance(item, Container):
                function = self.of_container(item, staged)
                if function.kind != "container":
                    continue
                lines = list(self.one_class(function))
                key = tuple(line for number, line in enumerate(lines) if number > 1)
                if key in self.made:
                    function.name = self.made[key]
                    continue
                self.made[key] = function.name
                yield lines

    def is_again(self, function: Function, lines: list[str], classes: list[list[str]]) -> bool:
        """Tell whether a block's class is one of those above but for the axes of what it is given.

        Then it is that class, which has both shapes in its docstring. What is named already stays as it is, and what
        is made where `init` lines say how it begins.
        """
        staged = function.staged
        if any((staged.rules, *staged.inits, *staged.around)):
            return False
        alike = sum(one.decl is staged.decl for one in self.family.classes)
        if function.kind != "block" or alike < 2 or staged.decl in self.family.given_blocks():
            return False
        name = re.compile(rf"\b{staged.name}\b")
        code = [reference.code for reference in self.family.references.values()]
        if any(name.search(line) for above in (*classes, code) for line in above):
            return False
        begin, end = _shapes(lines)
        rest = [*lines[:begin], *lines[end:]]
        key = tuple(name.sub(staged.decl.name, line) for line in rest)
        if key not in self.blocks:
            self.blocks[key] = staged, lines
            return False
        first, above = self.blocks[key]
        staged.name = first.name
        top, bottom = _shapes(above)
        known, more = (" ".join(map(str.strip, one)) for one in (above[top:bottom], lines[begin:end]))
        if more != known:
            both = f"{known.rstrip('.')}, or {more.removeprefix(_SHAPES)}"
            written = prose.paragraph(both, WIDTH - len(INDENT))
            above[top:bottom] = [f"{INDENT}{line}" for line in written]
        return True

    def told(self, function: Function, members: Members) -> Mapping[str, str]:
        """Return what else of a class its net reads: arguments, and the attributes that hold them."""
        return {}

    def constant_lines(self, name: str, value: Any) -> list[str]:
        """Return the assignment of a table or list.

        Of several blocks, or ops with arguments and without, no type checker knows what they share.
        """
        given = [one for one in within([value]) if isinstance(one, OpValue)]
        blocks = {one.target for one in given if isinstance(one.target, BlockDecl)}
        value = self.family.as_given(None, name, value)
        mixed = blocks and len({type(one) for one in within([value]) if isinstance(one, OpValue)}) > 1
        mixed = mixed or len({bool(one.args) for one in given}) > 1
        kind = self.kinds.get(name, self.type_name(value) if len(blocks) > 1 or mixed else "")
        own = f"{name}: {kind}" if kind else name
        return layout(f"{own} = ", self.expression(value), "", "", explode=isinstance(value, TableValue))

    def outputs(self, staged: Staged) -> Iterator[str]:
        """Yield the NamedTuple of several outputs."""
        yield f"class {staged.name}Outputs(NamedTuple):"
        array = self.dialect.array
        train = [side for side in staged.sides if side.train]
        when = " in training; in evaluation it is the first alone" if len(train) == len(staged.sides) else ""
        yield f'{INDENT}"""What {staged.name} returns{when}."""'
        yield ""
        optional = staged.optional
        alone = len(optional) == len(staged.sides) == 1 and not self.dialect.compiled
        yield f"{INDENT}{staged.result}: {array}"
        for side in staged.sides:
            lacks = side in optional and not alone
            yield f"{INDENT}{side.name}: {array}{' | None' if lacks else ''}"

    def one_class(self, function: Function) -> Iterator[str]:
        """Yield a class."""
        self.context = function.staged
        members = Members(function, self)
        members.stored.update(function.tells)
        members.stored.update(self.told(function, members))
        chain = self.is_sequential(function)
        chained = chain and not any(self.held(function, members)) and not self.is_outermost(function)
        forward = [] if chained else list(self.forward(function, members))
        base = self.base(function, chain, members.table)
        init = list(self.constructor(function, members, chain))
        yield f"class {function.name}({base}):"
        yield from self.doc(function, members)
        yield ""
        if members.fixed and self.dialect.final:
            yield from (f"{INDENT}{name}: {self.dialect.final}" for name in members.fixed)
            yield ""
        yield from self.facts(function)
        yield from init
        if forward:
            if init:
                yield ""
            yield from forward
        if self.features and function.kind == "net":
            yield from self.maps(function, members, chain)

    def held(self, function: Function, members: Members) -> Iterator[str]:
        """Yield the checks of what comes into a chain."""
        for call in Demands(members).entry(dict.fromkeys(function.inputs, self.entering)):
            yield from layout("", call, "", 2 * INDENT)

    entering = "args[0]"
    """What comes into the `forward` of a chain."""

    def of_chain(self, function: Function) -> tuple[list[str], str, list[str]]:
        """Return the parameters of a chain's `forward`, what it returns, and its last lines."""
        lines = [f"{2 * INDENT}return super().{self.dialect.call}(*args, **kwargs)"]
        return ["self", "*args: Any", "**kwargs: Any"], "Any", lines

    def is_outermost(self, function: Function) -> bool:
        """Tell whether a class is a block that a net calls, which keeps only its inputs for gradients if so asked."""
        if not (self.remat and self.dialect.remat and function.kind == "block"):
            return False
        nets = (variant.staged for variant in self.family.variants)
        called = [item for net in nets for item in walk(net.items) if isinstance(item, Child)]
        choices = [choice for item in called if item.callee is not None for choice in item.callee.choices]
        decls = {id(item.cls.decl) for item in called} | {id(c.target) for c in choices if c is not None}
        return id(function.staged.decl) in decls

    def maps(self, function: Function, members: Members, chain: bool) -> Iterator[str]:
        """Yield the function of a net that returns its maps."""
        return iter(())

    def facts(self, function: Function) -> Iterator[str]:
        """Yield what a class says of itself, and an empty line."""
        return iter(())

    def base(self, function: Function, chain: bool, table: str) -> str:
        """Return the base classes of a class: a chain's, that of a `table` of its children, or a module's."""
        return self.dialect.sequential if chain else table or self.dialect.module

    def is_sequential(self, function: Function) -> bool:
        """Tell whether a class is one chain of modules without labels."""
        if function.kind == "container" or len(function.inputs) != 1 or len(function.outputs) != 1:
            return False
        if function.first:
            return False
        if any(
            isinstance(i, Module) and i.labelled and not Constructor.follower(i) for i in _top(function.items)
        ):
            return False
        (wire,) = function.inputs
        return bool(function.items) and self.chains.end(function.items, wire) == function.outputs[0]

    def doc(self, function: Function, members: Members) -> Iterator[str]:
        """Yield a class's docstring."""
        what = {"net": "Net", "block": "Block", "container": "Container"}[function.kind]
        name = function.label or function.staged.decl.name
        spec = function.staged.decl.file.source.name.replace("\\", "/").rpartition("/")[2]
        first = f'{INDENT}"""{what} {name} of {constant(spec)[1:-1]}.'
        more = [] if function.kind == "container" else list(self.more(function.staged, members.demanding))
        if not more:
            yield f'{first}"""'
            return
        yield first
        yield from (f"{INDENT}{line}".rstrip() for line in more)
        yield f'{INDENT}"""'

    def more(self, staged: Staged, fixed: bool) -> Iterator[str]:
        """Yield what the spec's comments say of a class, where a net comes from, shapes; `fixed` are a net's own."""
        parts = [prose.about(staged.decl)]
        if staged.kind == "net":
            parts[0] = parts[0] or prose.title(staged.decl.file.source)
            papers = dict.fromkeys(prose.paper(v.net) for v in self.family.variants if v.staged is staged)
            parts += papers
        text, width = prose.sentence(parts), WIDTH - len(INDENT)
        if text:
            yield ""
            yield from prose.paragraph(text, width)
        shapes = prose.shapes(staged, staged.bound if fixed else {}, self.dialect.last)
        if shapes:
            yield ""
            yield from prose.paragraph(shapes, width)
        known = {parameter.name for parameter in staged.params}
        lines = [f"{name}: {said}" for name, said in prose.arguments(staged.decl).items() if name in known]
        if lines:
            yield from ("", "Args:")
        for line in lines:
            yield from prose.paragraph(line, width, INDENT)

    def constructor(self, function: Function, members: Members, chain: bool) -> Iterator[str]:
        """Yield `__init__`."""
        writer = Constructor(function, members, self)
        parameters = ["self", *self.parameters(function)]
        lines = writer.lines
        flags, stored = dict(members.flags), dict(members.stored)
        if chain:
            self.chained(function, writer)
        else:
            if self.dialect.initialised:
                writer.line("super().__init__()")
            sure = {*function.names, *bound_names(function.items, always=True)}
            for name in function.tells:
                if name not in sure:
                    kind = self.type_of(name, function.staged)
                    writer.line(f"{name} = {_NOTHING.get(kind, '0')}")
            writer.attributes(Order(function, members).items() if function.first else function.items)
        for name, test in flags.items():
            writer.put(f"self.{name} = ", writer.constant(test))
        for name, attribute in stored.items():
            writer.line(f"self.{attribute} = {name}")
        if function.staged.told and function.kind == "block":
            channels = [writer.constant(shape.c) for shape in function.staged.out_terms]
            told = channels[0] if len(channels) == 1 else Listed(tuple(channels), "()")
            kind = "int" if len(channels) == 1 else f"tuple[{', '.join(['int'] * len(channels))}]"
            said = f": {kind}" if function.staged.recursive else ""  # which its own constructor may read
            writer.put(f"self.out_channels{said} = ", told)
        lines += self.settled(function, members)
        if self.dialect.parameters and all(line.lstrip().startswith("#") for line in lines):
            lines[:] = []  # a stage that makes no child
            lines.append(f'{2 * INDENT}"""Make it; it has no layers."""')
        if len(lines) > self.dialect.initialised or chain or len(parameters) > 1:
            yield from signature("__init__", [*parameters, *self.dialect.parameters], "None", INDENT)
            yield from lines

    def chained(self, function: Function, writer: Constructor) -> None:
        """Write the constructor of a class that is one chain."""
        given = {p.name for p in function.staged.params} | function.staged.sizes_read
        checks = [
            item for item in function.items if isinstance(item, Check) and given.issuperset(names(item.test))
        ]
        for check in checks:  # of arguments alone, so that the rest may be one expression
            writer.check(check)
        items = [item for item in function.items if item not in checks]
        entries = writer.entries(items)
        if entries is not None:
            writer.put("", Call("super().__init__", tuple(entries)), explode=len(entries) > 1)
            return
        name = writer.gather(items)
        writer.line(f"super().__init__(*{name})")
        if self.features and has_stages(function.items):
            writer.line(f"self._ends = {writer.ends}")

    def parameters(self, function: Function) -> Iterator[str]:
        """Yield the parameters of a constructor."""
        staged = function.staged
        if function.kind == "container":
            for name in function.names:
                yield f"{name}: {self.type_of(name, staged)}"
            return
        for incoming in staged.inputs:
            for name in incoming.sizes.values():
                if name in staged.sizes_read:
                    yield f"{name}: {self.taken_as('list[int]') if incoming.many else 'int'}"
        for parameter in self.ordered(staged):
            kind = self.parameter_type(parameter, staged)
            default = ""
            if self.has_default(parameter):
                default = f" = {flat(self.default(parameter, staged))}"
            line = f"{parameter.name}: {kind}{default}"
            if default and len(line) + 1 > WIDTH - 2 * len(INDENT):
                head = f"{parameter.name}: {kind} = "
                lines = layout(head, self.default(parameter, staged), "", 2 * INDENT)
                line = "\n".join(lines).strip()
            yield line

    def parameter_type(self, parameter: Parameter, staged: Staged) -> str:
        """Return a parameter's type."""
        if parameter.kind == "op":
            targets = dict(self.family.targets.get((staged.decl, parameter.name), {}))
            if parameter.default is not MISSING:
                targets.setdefault(show(parameter.default), parameter.default)
            given = (self.family.as_given(staged.decl, parameter.name, one) for one in targets.values())
            return self.annotation(given)
        if parameter.kind == "pad":
            pads = self.family.pads(staged.decl, parameter.name, parameter.default)
            lacking = " | None" if any(pad.mode == "same" for pad in pads) else ""
            return f"tuple[int, int]{lacking}"
        if isinstance(parameter.value, TableValue):
            rows = self.family.as_given(
                staged.decl,
                parameter.name,
                tuple(self.family.rows.get((staged.decl, parameter.name), {}).values()),
            )
            return self.taken_as(f"list[{self.row_type([*parameter.value.rows, *rows])}]")
        lists = self.family.lists_of(staged.decl, parameter.name, parameter.default)
        return self.taken_as(self.shared_type([parameter.value, *lists], self.apart(parameter, staged)))

    def type_of(self, name: str, staged: Staged) -> str:
        """Return the type of a name of a class's frame."""
        for parameter in staged.params:
            if parameter.name == name:
                return self.parameter_type(parameter, staged)
        return self.taken_as(self.shared_type([staged.hints.get(name, 0)], apart=True))

    def type_name(self, value: Any) -> str:
        """Return a value's type."""
        return self.shared_type([value])

    def shared_type(self, values: Sequence[Any], apart: bool = False) -> str:
        """Return the type of a place that has any of some values; `apart` is for `is_row`."""
        kinds: dict[str, list[Any]] = {}
        for value in values:
            kinds.setdefault(kind_of(value), []).append(value)
        if "float" in kinds:
            kinds.pop("int", None)  # which is a float, too
        types = [self.type_of_kind(kind, alike, apart) for kind, alike in kinds.items()]
        return " | ".join(sorted(types, key="None".__eq__))

    def type_of_kind(self, kind: str, values: list[Any], apart: bool) -> str:
        """Return the type of a place that has any of some values of one kind."""
        if kind == "op":
            return self.annotation(values)
        if kind == "table":
            return f"list[{self.row_type([row for value in values for row in value.rows])}]"
        if kind == "row":
            return self.row_type([value.cells for value in values])
        if kind != "list":
            return kind
        if is_row(values, apart):
            return self.row_type(values)
        items = [item for value in values for item in value]
        return f"list[{self.shared_type(items, apart=True) if items else 'int'}]"

    def row_type(self, rows: Iterable[tuple[Any, ...]]) -> str:
        """Return the type of rows, by column; of rows of several lengths there are several."""
        found: dict[int, list[tuple[Any, ...]]] = {}
        for row in rows:
            found.setdefault(len(row), []).append(row)
        return " | ".join(self.columns_type(found[length]) for length in sorted(found))

    def columns_type(self, rows: Iterable[tuple[Any, ...]]) -> str:
        """Return the type of rows of one length."""
        columns = [self.shared_type(cells, apart=True) for cells in zip(*rows, strict=True)]
        return f"tuple[{', '.join(columns)}]"

    def forward(self, function: Function, members: Members) -> Iterator[str]:
        """Yield `forward`."""
        array = self.dialect.array
        lists = function.staged.lists
        kinds = [f"list[{array}]" if wire in lists else array for wire in function.outputs]
        result = kinds[0] if len(kinds) == 1 else f"tuple[{', '.join(kinds)}]"
        sides = function.staged.sides if function.kind == "net" else []
        if sides:
            record = f"{function.name}Outputs"
            result = record if len(function.staged.optional) < len(sides) else f"{array} | {record}"
        parameters = ["self"]
        mappings = {
            item.wire: item.type_of(array)
            for item in (walk(function.staged.items) if any(map(is_mapping, function.inputs)) else ())
            if isinstance(item, Numbered)
        }
        for wire, name in function.inputs.items():
            kind = mappings.get(wire) or (f"list[{array}]" if wire in lists else array)
            parameters.append(f"{name}: {kind}{' | None' if wire in function.absent else ''}")
        if self.is_sequential(function):
            parameters, result, last = self.of_chain(function)
            lines = [*self.held(function, members), *last]
        else:
            lines = Flow(function, members, self.dialect, self.low_memory).text()
        if self.is_outermost(function):
            yield f"{INDENT}{self.dialect.remat}"
        yield from signature(self.dialect.call, parameters, result, INDENT)
        yield from lines

    def factory(self, variant: Variant) -> Iterator[str]:
        """Yield the function named as the variant."""
        net, staged = variant.net, variant.staged
        self.context = staged
        parameters: list[str] = []
        args: list[Arg] = []
        for parameter in self.ordered(staged):
            value = variant.args[parameter.name]
            if parameter.name in variant.free:
                kind = self.parameter_type(parameter, staged)
                parameters.append(f"{parameter.name}: {kind} = {flat(self.expression(value))}")
                keyword = (bool(args) and args[-1].keyword) or self.has_default(parameter)
                args.append(Arg(parameter.name, Name(parameter.name), keyword=keyword))
                continue
            if self.has_default(parameter) and show(value) == show(parameter.default):
                continue
            given = self.table(variant, parameter) or self.given(parameter, staged, value)
            args.append(Arg(parameter.name, given, keyword=self.has_default(parameter)))
        parameters += self.dialect.parameters
        yield from signature(net.name, parameters, staged.name, "")
        yield f'{INDENT}"""Return a new {net.name}, with random weights."""'
        yield from layout("return ", Call(staged.name, (*args, *self.dialect.options)), "", INDENT)

    def table(self, variant: Variant, parameter: Parameter) -> Expr | None:
        """Return an argument of a net's class by its name, if it is a table of the file, whose type fits a line."""
        value, file = variant.args[parameter.name], variant.net.recipe.net.file
        own = next((name for name, one in file.env.names.items() if one is value), "")
        if not own or not isinstance(value, TableValue):
            return None
        name, kind = self.family.constant_name(own), self.parameter_type(parameter, variant.staged)
        if len(f"{name}: {kind} = [") > WIDTH or self.constants.setdefault(name, value) is not value:
            return None
        self.kinds[name] = kind
        return Name(name)


def _shapes(lines: list[str]) -> tuple[int, int]:
    """Return where the shapes of a class begin and end in its docstring."""
    begin = next((at for at, line in enumerate(lines) if line.strip().startswith(_SHAPES)), 0)
    end = begin
    while begin and lines[end].strip() not in ("", '"""'):
        end += 1
    return begin, end


def has_call(expr: Expr) -> bool:
    """Tell whether an expression calls anything."""
    return isinstance(expr, Call) or any(map(has_call, children(expr)))


def _top(items: list[Item]) -> Iterator[Item]:
    """Yield items that are children of a class itself."""
    for item in items:
        if isinstance(item, Module):
            yield item
        else:
            for inner in item.inner():
                yield from _top(inner)


def unused(name: str, taken: Iterable[str]) -> str:
    """Return a name for a local variable that is no argument."""
    while name in taken:
        name += "_"
    return name


def kind_of(value: Any) -> str:
    """Return a value's type; of one whose type others in its place decide too, what it is."""
    if isinstance(value, (bool, SymBool)):
        return "bool"
    if isinstance(value, int):
        return "int"
    if isinstance(value, float):
        return "float"
    if isinstance(value, Dims):
        return f"tuple[{', '.join(['int'] * len(value))}]"
    if isinstance(value, Pad):
        return "None" if value.mode == "same" else "tuple[int, int]"
    if isinstance(value, OpValue) or value is None:
        return "op"
    for cls, name in ((TableValue, "table"), (RowValue, "row"), (tuple, "list")):
        if isinstance(value, cls):
            return name
    return "str"


def is_row(lists: Sequence[tuple[Any, ...]], apart: bool) -> bool:
    """Tell whether lists are rows: as many items in all, of several kinds.

    Lists that are `apart` may lack last items, if all items of a place are of one kind; an int and a float are two.
    """
    if len({len(one) for one in lists}) > 1:
        places = zip_longest(*lists, fillvalue=MISSING)
        kinds = [{kind_of(item) for item in place if item is not MISSING} for place in places]
        if not apart or not all(lists) or any(len(own) > 1 for own in kinds):
            return False
    kinds = [{kind_of(item) for item in one} for one in lists]
    return any(len(own) > 1 and (apart or own != {"int", "float"}) for own in kinds)

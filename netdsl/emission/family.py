"""The classes of a file: which there are, what they are called with, and what they are made for."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import reduce
from itertools import takewhile
from typing import Any, NamedTuple

from netdsl.collector import no_collection
from netdsl.diagnostics import Diagnostic, Frame, NetError
from netdsl.elaborate.arguments import Param, bind, coerce, declared_parameters, parameters, takes
from netdsl.elaborate.draft import DraftScope, Place
from netdsl.elaborate.evaluate import Evaluator, deep_recursion
from netdsl.elaborate.inits import Inits, deeper, initialisers, joined
from netdsl.elaborate.layers import MAX_RECURSION
from netdsl.elaborate.names import GLOBALS, readable
from netdsl.elaborate.values import (
    MISSING,
    BlockDecl,
    Choice,
    Data,
    Env,
    Given,
    NetDecl,
    OpValue,
    Poisoned,
    Ramp,
    RowValue,
    SpecError,
    TableValue,
    VariantDecl,
    Wire,
    show,
)
from netdsl.emission.concolic import (
    Constants,
    Demanded,
    Fixed,
    Reference,
    SymOp,
    SymPad,
    SymStr,
    Undecided,
    concrete,
    form,
    free,
    holds_ops,
    is_plain,
    made,
    mentioned,
    opened,
)
from netdsl.emission.concolic import item as item_of
from netdsl.emission.conditions import of_one_kind
from netdsl.emission.inits import as_here, expressions, starts_of
from netdsl.emission.items import (
    Check,
    Child,
    If,
    Incoming,
    Item,
    Layer,
    Let,
    Loop,
    Parameter,
    Staged,
    walk,
    weights_of,
)
from netdsl.emission.numbered import Again, Pattern, parted
from netdsl.emission.rehearsal import observed_turns
from netdsl.emission.stage import Stager
from netdsl.emission.state import Schedule, Seen
from netdsl.emission.streams import Elements, Streams
from netdsl.emission.terms import SIZES, exactly, long_enough, of_one_length, untold
from netdsl.emission.tidy import item_lists
from netdsl.ir.types import DEFAULT_INIT, Dims, Init, Pad, Shape
from netdsl.net import Net
from netdsl.ops import Op, find
from netdsl.source import Span
from netdsl.symbolic import (
    Atom,
    Poly,
    SymInt,
    SymList,
    Term,
    constant,
    evaluate,
    in_terms_of,
    length,
    named,
    names,
    negated,
    single,
    symbolic,
    term,
    text,
)
from netdsl.syntax import tree
from netdsl.syntax.tree import pieces

OPEN_KINDS = ("int", "float", "bool", "dims", "op", "list", "table", "pad", "str")
"""Types of parameters that are arguments of a class; of others the class is made for their values."""

ONE_BY_ONE = "[]"
"""Stands for a list among what a class is made for: it takes the values of this list as so many."""


_MORE = 3
"""How many turns more are looked at than a net has, to learn what those of another net do."""

_WIDE = 69
"""How long a message is at most that stands on one line."""


class Afresh(Exception):
    """All classes are to be staged again, now that more is known of what is asked of them."""


class Variant:
    """A net with its arguments: what a factory makes."""

    def __init__(self, net: Net, staged: Staged, args: Mapping[str, Any], free: tuple[str, ...]) -> None:
        """`args` are given to the class, `free` stay the factory's own."""
        self.net, self.staged, self.args, self.free = net, staged, args, free


class Family:
    """All classes of some nets of one file."""

    def __init__(self, nets: Iterable[Net], own_inits: bool = False, lenient: bool = False) -> None:
        """Stage them, again until every class has the arguments that it is called with.

        `own_inits`: layers are made with their initial weights, so that a class has what the net's `init` lines say.
        `lenient`: convolutions are made with channels that their groups do not divide.
        """
        self.nets = tuple(nets)
        self.own_inits, self.lenient = own_inits, lenient
        self.deciding = {name for net in self.nets for name, _ in net.elaborated.deciding}
        """Names of blocks with decisions in them."""
        self.given: dict[Any, set[str]] = {}
        """By declaration, the parameters that some call gives."""
        self.preferred: dict[Any, tuple[Mapping[str, Any], tuple[Shape, ...]]] = {}
        """By declaration, the arguments and shapes of the call that its class is made from, if not of the first."""
        self.reserved = set(GLOBALS)
        self.bound_names: dict[Any, tuple[set[str], set[str]]] = {}
        """By declaration, the names that loops of its text bind, and all that it binds."""
        self.varied: dict[Any, set[str]] = {}
        """By net, the parameters that its variants give."""
        self.targets: dict[tuple[Any, str], dict[Any, OpValue]] = {}
        """By declaration and parameter, the ops that are given for it."""
        self.rows: dict[tuple[Any, str], dict[tuple[str, ...], tuple[Any, ...]]] = {}
        """By parameter, the rows of the tables that it is given."""
        self.lists: dict[tuple[Any, str], dict[str, tuple[Any, ...]]] = {}
        """By parameter, the lists that it is given."""
        self.numbered: dict[Any, list[Pattern]] = {}
        """By declaration, the labels with numbers whose values other turns or loops read."""
        self.earlier: dict[Any, dict[tuple[int, str], Any]] = {}
        """By declaration, what loops begin with, since later turns, or what is after them, read what one binds."""
        self.kept: dict[Any, dict[Pattern, str]] = {}
        """Those of them whose channels a variable of the constructor keeps, and what it is called."""
        self.mixed: set[tuple[Any, str]] = set()
        """Parameters that are given lists with ops or strings in them."""
        self.makers: set[tuple[Any, str]] = set()
        """Parameters, and constants of the file, whose ops are given as what makes them for so many channels."""
        self.references: dict[tuple[Any, str, bool], Reference] = {}
        """Ops and blocks that arguments are compared with."""
        self.present: set[Any] = set()
        """Those blocks that have a class, though no argument in hand is one of them."""
        self.starts: dict[Any, dict[str, Any]] = {}
        """By net, what its `init` lines say in terms of its arguments, by the argument of blocks that is given it."""
        self.elsewhere: dict[Any, Mapping[int, list[Seen]]] = {}
        """By net, size and what is decided, the shapes that calls of blocks get, as `seen_elsewhere` has them."""
        self.foretold: dict[Any, tuple[Shape, ...]] = {}
        """By block that calls itself, and what its class is made for, what it returns; () if that is not known."""
        self.awaited = 0
        """How often the walk at hand met a class that calls itself where nothing is foretold of it yet."""
        self.measured: set[Any] = set()
        """Blocks whose loops are written turn by turn, since a caller has to know the size of what they return."""
        with deep_recursion(), no_collection():
            self.foresee()
            for _ in range(100):
                self.begin()
                try:
                    self.variants = [self.variant(net) for net in self.nets]
                except Afresh:
                    continue
                self.visit()
                self.stale |= self.met()
                if not self.stale:
                    break
            else:
                raise AssertionError("the arguments of the classes do not settle")
        self.drop_unreached()
        self.tell()
        self.name_classes()

    def foresee(self) -> None:
        """Note what the nets give their blocks, which staging would find too, one net after the other."""
        self.classes: list[Staged] = []
        """Inner ones first."""
        self.active: list[Staged] = []
        """Those of blocks that are being walked, each called by the one before."""
        for decl in dict.fromkeys(net.recipe.net for net in self.nets):
            lines = [self.of_variant(line) for line in decl.file.variants.values() if line.net is decl]
            self.varied[decl] = {name for args in lines for name in args}
            self.varied[decl] |= {
                name for line in decl.file.variants.values() if line.net is decl for name in line.decided
            }
            for args in lines:
                self.note(decl, args)
        for net in self.nets:
            for called, name in net.elaborated.calls:
                self.given.setdefault(called, set()).add(name)
            self.note(net.recipe.net, net.elaborated.params)
            for value in net.elaborated.params.values():
                if isinstance(value, OpValue) and isinstance(value.target, BlockDecl):
                    self.note(value.target, value.args)

    def drop_unreached(self) -> None:
        """Forget the classes of sides that turned out to be none."""
        nets = {id(variant.staged): variant.staged for variant in self.variants}
        needed = {id(cls) for net in nets.values() for cls in self.reached(net)}
        self.classes = [cls for cls in self.classes if id(cls) in needed]

    def begin(self) -> None:
        """Forget all classes."""
        self.classes = []
        self.stale = False
        """Whether some class was staged without an argument that a later call gives."""
        self.active = []
        self.unrolled = set(self.measured)
        """Declarations whose loops are written turn by turn."""
        self.sized: set[Any] = set()
        """Declarations whose loops carry the sizes of values, too."""
        self.divided: set[Any] = set()
        """Declarations with values that are one of two things."""
        self.fixes: dict[Any, set[str]] = {}
        """By declaration, the parameters that its classes are made for."""
        self.inits: tuple[Inits, ...] = ()
        self.around: tuple[Inits, ...] = ()
        """What `init` lines of the scopes say that the class in hand is called in, in this instance."""
        """What `init` lines of the net in hand say."""
        self.net: Any = None
        """The declaration of the net in hand."""
        self.net_in_hand: Net
        self.sizes: set[str] = set()
        self.lacking: set[Any] = set()
        """Blocks that no argument is, as long as they have no class."""
        self.called: set[tuple[frozenset[str], str]] = set()
        """How arguments that are blocks are called: which parameters are given, and the axes of what comes in."""
        self.constants: dict[str, Any] = {}
        """Tables and lists of the file by their name in the module."""

    # ---------------------------------------------------------------- names

    def name_classes(self) -> None:
        """Give every class a name of its own."""
        taken = {net.name for net in self.nets}
        taken |= {parameter.name for staged in self.classes for parameter in staged.params}
        ordered = sorted(self.classes, key=lambda staged: staged.kind != "net")
        for staged in ordered:
            name, number = staged.decl.name, 1
            while not taken.isdisjoint(self.words_of(staged, name)):
                number += 1
                name = f"{staged.decl.name}{number}"
            taken.update(self.words_of(staged, name))
            staged.name = name
        self.taken = taken

    @staticmethod
    def words_of(staged: Staged, name: str) -> tuple[str, ...]:
        """Return what stands at the top of the file for a class of that name."""
        return (name, f"{name}Outputs") if staged.kind == "net" else (name,)

    def constant(self, node: tree.Expr, value: Any) -> Atom | None:
        """Return the expression of a list or table that is known; None of ops without a name of their own."""
        rows = tuple(value.rows) if isinstance(value, TableValue) else value
        if isinstance(node, tree.Name) and not free(rows):  # no items that are arguments or local variables
            name = self.constant_name(node.text)
            if self.constants.setdefault(name, value) is value:
                return Atom("name", (name,))
        whole = term(rows)
        return whole if isinstance(whole, Atom) and not holds_ops(rows) else None

    def constant_name(self, own: str) -> str:
        """Return what a constant is called: as nothing else is in the text, the file or its imports."""
        name = own.upper()
        while name != own and (
            name in self.reserved
            or any(re.search(rf"\b{name}\b", net.recipe.net.file.source.text) for net in self.nets)
        ):
            name += "_"
        return name

    def words(self, decl: Any) -> set[str]:
        """Return the names that a declaration's text gives to what is no local variable."""
        return {parameter.name.text for parameter in decl.node.params}

    def turning(self, decl: Any) -> set[str]:
        """Return the variables of the loops of a declaration's text."""
        return self.bound(decl)[0]

    def variables(self, decl: Any) -> set[str]:
        """Return the names that a declaration's text gives to numbers, its parameters and the variables of loops."""
        return self.bound(decl)[1]

    def bound(self, decl: Any) -> tuple[set[str], set[str]]:
        """Return the variables of loops of a declaration's text, and all names of numbers."""
        if decl not in self.bound_names:
            loops: set[str] = set()
            others = self.words(decl)
            for piece in pieces(decl.node):
                if isinstance(piece, (tree.For, tree.Comprehension)):
                    own = loops if isinstance(piece, tree.For) else others
                    own.update(readable(name.text) for name in piece.names)
                elif isinstance(piece, tree.Assign):
                    others.update(readable(t.text) for t in piece.targets if isinstance(t, tree.Name))
            self.bound_names[decl] = loops, loops | others
        return self.bound_names[decl]

    def size_name(self, decl: Any, prefix: str, axis: str) -> str:
        """Return what a size of what comes in is called, as nothing else in any text."""
        name = f"{prefix}_{SIZES[axis]}"
        while any(name in self.variables(other) for other in {decl, *self.given, *self.varied}):
            name += "_"
        return name

    # ---------------------------------------------------------------- comparisons

    def reference(self, argument: OpValue, op: OpValue, maker: bool) -> Reference | None:
        """Return an op that an argument is compared with; None of what cannot be given: a block without a class."""
        known = [choice for choice in getattr(argument, "choices", (argument,)) if choice is not None]
        if all(choice.target is not op.target for choice in known):
            if isinstance(op.target, BlockDecl) and op.target not in self.present:
                self.lacking.add(op.target)
                return None
            if not isinstance(op.target, BlockDecl) and lacks(op):
                return None
        for choice in known:
            if lacks(choice):
                raise Fixed("an argument that is an op without what it needs", argument)
            if choice.target is op.target and show(choice) != show(op) and said(choice) == said(op):
                raise Fixed("a comparison with an op that is given its defaults", argument)
        return self.references.setdefault((op.target, show(op), maker), Reference(op, maker))

    def connect(self, stager: Stager, decl: BlockDecl, given: Mapping[str, Given]) -> None:
        """Let an argument that is handed on be a maker if what it is given for is one, and the other way round."""
        for name, one in given.items():
            known = {(decl, name), *stager.sources(one.value)}
            if self.makers.intersection(known) and not known <= self.makers:
                self.makers |= known
                self.stale = True

    def as_given(self, decl: Any, name: str, value: Any) -> Any:
        """Return a value as a parameter is given it."""
        return made(value) if (decl, name) in self.makers else value

    def met(self) -> bool:
        """Tell whether a block has a class that was taken to have none, and note it."""
        new = {staged.decl for staged in self.classes} & self.lacking
        self.present |= new
        return bool(new)

    # ---------------------------------------------------------------- calls

    def call(
        self,
        stager: Stager,
        decl: BlockDecl,
        given: Mapping[str, Given],
        shapes: tuple[Shape, ...],
        place: Place,
        span: Span,
    ) -> tuple[Staged, dict[str, Any], tuple[Shape, ...]]:
        """Return the class for a call, its arguments, and the shapes of what it returns."""
        self.note(decl, given)
        self.connect(stager, decl, given)
        values = {name: one.value for name, one in given.items()} | self.started(stager)
        outer, self.around = self.around, tuple(map(as_here, filter(None, place.inits)))
        try:
            staged = self.class_for(stager, decl, values, shapes, place, span)
        finally:
            self.around = outer
        if staged in self.active:
            staged.shapes = self.foretold.get(foretelling(staged), ())
        env = self.environment(staged, values, shapes)
        for name, test in tuple(staged.asks.items()):
            env[name] = values[name] = stager.answer(staged, test, values, env)
        self.prefer(staged, values, env, shapes)
        for name, (node, given_values) in staged.ramps.items():
            known = {key: evaluate(term(v), env) if symbolic(v) else v for key, v in given_values.items()}
            values[name] = stager.ramped(node, known)
        args = {
            p.name: self.as_given(decl, p.name, values[p.name]) for p in staged.params if p.name in values
        }
        return staged, args, self.results(staged, values, shapes)

    def class_for(
        self,
        stager: Stager,
        decl: BlockDecl,
        values: Mapping[str, Any],
        shapes: tuple[Shape, ...],
        place: Place,
        span: Span,
    ) -> Staged:
        """Return the class for a call, a new one if there is none yet."""
        for staged in (*self.classes, *self.active):
            if (
                staged.decl is decl
                and staged.decided == self.decided(decl, stager)
                and self.accepts(staged, values, shapes)
                and not self.refuses(staged, values, shapes)
            ):
                break
        else:
            self.check_recursion(decl, values, stager, span)
            staged = self.stage_like(stager, decl, values, shapes, place, span)
        for table in place.inits:
            for name in table if staged in self.active else sorted(table.keys() & staged.kinds):
                args = [arg for init in table[name].values() for arg in init.args]
                if any(map(free, args)):
                    what = f"{decl.name} is called where an `init` line reads what it is not given"
                    raise Fixed(what, *args)
        return staged

    def decided(self, decl: BlockDecl, stager: Stager) -> Mapping[str, int | None]:
        """Return what is decided in a block where it is called."""
        return self.net_in_hand.elaborated.deciding.get((decl.name, stager.called), {})

    def check_recursion(self, decl: BlockDecl, values: Mapping[str, Any], stager: Stager, span: Span) -> None:
        """Refuse a class within another one of a block that is not made for other values, or too many of them."""
        around = [staged for staged in self.active if staged.decl is decl]
        if any(
            one.decided == self.decided(decl, stager)
            and all(_same(values.get(name), own) for name, own in one.fixed.items())
            and self.begins_as(one)
            for one in around
        ):
            read = (Atom("name", (name,)) for value in values.values() for name in mentioned(value))
            raise Fixed(f"{decl.name} is called within itself with values of other kinds", *read)
        if len(around) > MAX_RECURSION:
            what = f"block {decl.name} is in itself more than {MAX_RECURSION} deep"
            raise SpecError(Diagnostic("E213", what, span))

    def stage_like(
        self,
        stager: Stager,
        decl: BlockDecl,
        values: Mapping[str, Any],
        shapes: tuple[Shape, ...],
        place: Place,
        span: Span,
    ) -> Staged:
        """Return a new class of a block, from another call than this one if that comes where this one cannot."""
        if decl in self.preferred:
            staged = self.stage_block(stager, decl, *self.preferred[decl], place, span)
            if self.accepts(staged, values, shapes) and not self.refuses(staged, values, shapes):
                return staged
        return self.stage_block(stager, decl, values, shapes, place, span)

    def prefer(
        self, staged: Staged, values: Mapping[str, Any], env: Mapping[str, Any], shapes: tuple[Shape, ...]
    ) -> None:
        """Note a call that comes to a side for which its class was not made: the class is to be made from it."""
        if staged.many or staged.decl in self.preferred:
            return
        if self.comes(staged, {**env, **values}):
            plain = tuple(Shape(*map(int, shape), axes=shape.axes) for shape in shapes)
            self.preferred[staged.decl] = {n: concrete(v) for n, v in values.items()}, plain
            self.stale = True

    def refuses(self, staged: Staged, values: Mapping[str, Any], shapes: tuple[Shape, ...]) -> bool:
        """Tell whether a call needs a class of its own: this one was not made for it, and no call suits all sides."""
        if staged.many or not staged.unmade or staged.decl not in self.preferred or staged in self.active:
            return False
        return self.comes(staged, {**self.environment(staged, values, shapes), **values})

    @staticmethod
    def comes(staged: Staged, known: Mapping[str, Any]) -> bool:
        """Tell whether a call comes to a side for which its class was not made."""
        for path in staged.unmade:
            asked = [test for test in path if set(names(test)) <= known.keys()]
            try:
                if path[-1] in asked and all(concrete(evaluate(test, known)) for test in asked):
                    return True
            except KeyError:  # what only a class knows decides it
                pass
        return False

    def visit(self) -> None:
        """Note where a net's own blocks come to a side for which their class was not made, as one for all nets."""
        unmade = [
            staged for staged in self.classes if staged.unmade and staged.kind == "block" and not staged.many
        ]
        for net in self.nets if unmade else ():
            sizes = net.elaborated.shapes
            for scope in net.graph.tree.scopes():
                for staged in (one for one in unmade if one.decl.name == scope.block):
                    shapes = tuple(sizes[value.node][value.port] for value in scope.inputs)
                    values = {
                        name: value.stop if isinstance(value, Ramp) else value
                        for name, value in scope.args.items()
                        if name in self.given[staged.decl]
                    }
                    if self.accepts(staged, values, shapes):
                        self.prefer(staged, values, self.environment(staged, values, shapes), shapes)

    def note(self, decl: Any, given: Mapping[str, Any]) -> None:
        """Note which parameters are given, and which ops for them; a class that was staged without is none."""
        known = self.given.setdefault(decl, set())
        new = set(given) - known
        known |= new
        changed = bool(new)
        for name, one in given.items():
            value = getattr(one, "value", one)
            if isinstance(value, (OpValue, Pad)) or value is None:
                known_ops = self.targets.setdefault((decl, name), {})
                choices: tuple[Any, ...] = value.choices if isinstance(value, SymOp) else (value,)
                if isinstance(value, SymPad) and value.optional:
                    choices = (value, Pad("same"))
                before = len(known_ops)
                for choice in choices:
                    known_ops.setdefault(show(choice), concrete(choice))
                changed = changed or len(known_ops) > before
            if isinstance(value, tuple) and (decl, name) not in self.mixed and any(closed_in(value)):
                self.mixed.add((decl, name))
                changed = True
            if isinstance(value, tuple) and not isinstance(value, Dims):
                lists = self.lists.setdefault((decl, name), {})
                own = concrete(value)
                changed = changed or form(own) not in map(form, lists.values())
                lists.setdefault(repr(own), own)
            if isinstance(value, TableValue):
                rows = self.rows.setdefault((decl, name), {})
                before = len(rows)
                for row in getattr(value, "others", value.rows):
                    rows.setdefault(tuple(map(show, row)), tuple(map(concrete, row)))
                changed = changed or len(rows) > before
        if changed and any(staged.decl is decl for staged in (*self.classes, *self.active)):
            self.stale = True  # this pass goes on, to find what else is given
            self.classes = [staged for staged in self.classes if staged.decl is not decl]

    def accepts(self, staged: Staged, values: Mapping[str, Any], shapes: tuple[Shape, ...]) -> bool:
        """Tell whether a class is made for these arguments."""
        if staged.many:
            return {shape.axes for shape in shapes} == {staged.axes} and self.listed(staged.decl, shapes)
        if isinstance(shapes, Elements) or tuple(i.shape.axes for i in staged.inputs) != tuple(
            s.axes for s in shapes
        ):
            return False
        if staged not in self.active and expressions(staged.rules) != expressions(self.rules(staged)):
            return False
        if not self.begins_as(staged):
            return False
        env = self.environment(staged, values, shapes)
        for name, value in staged.fixed.items():
            own = env.get(name, MISSING)
            if free(own):
                raise Fixed(f"{staged.decl.name} is made for values of {name}", *_terms(own))
            if not _same(own, value):
                return False
        return True

    def begins_as(self, staged: Staged) -> bool:
        """Tell whether a class has been made where `init` lines of scopes around it said the same as here."""
        said = {name for table in (*staged.around, *self.around) for name in table}
        kinds = said if staged in self.active else staged.kinds
        ops = (op for op in map(find, sorted(kinds)) if op is not None and said & {op.name, op.inherits})
        return all(starts_of(op, staged.around) == starts_of(op, self.around) for op in ops)

    def environment(
        self, staged: Staged, values: Mapping[str, Any], shapes: tuple[Shape, ...]
    ) -> dict[str, Any]:
        """Return what the names of a class's terms are at a call."""
        env: dict[str, Any] = {
            name: Constants(getattr(value, "rows", value), Atom("name", (name,)))
            for name, value in self.constants.items()
        }
        if staged.many:
            whole = shapes.channels if isinstance(shapes, Elements) else tuple(shape.c for shape in shapes)
            env.update(dict.fromkeys(staged.inputs[0].sizes.values(), whole))
        for incoming, shape in zip(staged.inputs, shapes, strict=True) if not staged.many else ():
            for axis, name in incoming.sizes.items():
                env[name] = shape.size(axis)
        env.update(staged.defaults)
        for parameter in staged.params:
            if parameter.name in values:
                env[parameter.name] = values[parameter.name]
        for name in staged.fixed:
            if name in values:
                env[name] = values[name]
        return env

    def results(
        self, staged: Staged, values: Mapping[str, Any], shapes: tuple[Shape, ...]
    ) -> tuple[Shape, ...]:
        """Return the shapes of what a call returns; Asks for channels that only the class knows."""
        env = self.environment(staged, values, shapes)
        found: list[Shape] = []
        for shape in staged.shapes:
            sizes: list[Any] = []
            for size in shape:
                try:
                    sizes.append(evaluate(term(size), env))
                except LookupError:
                    sizes.append(untold(size))
            found.append(Shape(*sizes, axes=shape.axes))
        return tuple(found)

    def classes_of(self, value: OpValue, context: Staged | None) -> list[Staged]:
        """Return the classes of a block that is given as an argument in a class: for the net that this is of."""
        classes = [staged for staged in self.classes if staged.decl is value.target]
        if context is None:
            return classes
        return [
            s
            for s in classes
            if expressions(s.rules) == expressions(self.rules(s, context.inits)) and self.begins_as(s)
        ]

    def class_of(self, value: OpValue, context: Staged | None) -> Staged:
        """Return the class of a block that is given as an argument in a class."""
        classes = self.classes_of(value, context)
        for staged in classes:
            own = {**staged.defaults, **{name: given.value for name, given in value.args.items()}}
            if all(_same(own[name], fixed) for name, fixed in staged.fixed.items() if name in own):
                return staged
        raise AssertionError(f"{show(value)} has no class")

    # ---------------------------------------------------------------- staging

    def stage_block(
        self,
        stager: Stager,
        decl: BlockDecl,
        values: Mapping[str, Any],
        shapes: tuple[Shape, ...],
        place: Place,
        span: Span,
    ) -> Staged:
        """Return a new class of a block."""
        plain = {name: concrete(value) for name, value in values.items()}
        wanted = self.fixes.setdefault(decl, set())
        before, depth, awaited = len(self.classes), len(self.active), self.awaited
        try:
            staged: Staged | None = None
            while True:
                del self.active[depth:]
                if staged is not None and staged.recursive:
                    del self.classes[before:]  # some call it, which is no more
                self.awaited = awaited
                many = self.listed(decl, shapes)
                if isinstance(shapes, Elements) and not many:
                    raise Fixed(f"{decl.name} takes values one by one", *_terms(shapes.channels))
                left = [name for name in sorted(wanted) if name in values and free(values[name])]
                if left:
                    read = (test for name in left for test in _terms(values[name]))
                    raise Fixed(f"{decl.name} is made for values of {' and '.join(left)}", *read)
                held = frozenset(wanted)  # it may grow in what is called, if the block is in itself
                staged = Staged(decl, "block")
                staged.around = self.around
                staged.decided = self.decided(decl, stager)
                self.active.append(staged)
                try:
                    self.stage(staged, plain, shapes, stager, wanted, place.calls)
                    if self.is_as_foretold(staged):
                        break
                    continue
                except Again:
                    continue
                except (NetError, SpecError, Poisoned) as error:
                    if isinstance(error, Poisoned) and staged.recursive and not self.is_foretold(staged):
                        self.foretold[foretelling(staged)] = ()
                        continue
                    if not many:
                        raise
                    wanted.add(ONE_BY_ONE)
                except (Fixed, Undecided) as error:
                    if self.divides(decl, error):
                        continue
                    fixed = error if isinstance(error, Fixed) else Fixed(str(error), error.test)
                    self.measure(staged, fixed)
                    named = set(fixed.names) & set(self.names_of(staged)) - held
                    if many and (not named or any(named & set(i.sizes.values()) for i in staged.inputs)):
                        wanted.add(ONE_BY_ONE)
                        continue
                    own = {n for n in fixed.names if n in self.names_of(staged)} - held
                    if not own and decl not in self.unrolled:
                        self.unrolled.add(decl)
                        continue
                    own = own or set(self.names_of(staged)) - held
                    if not own:
                        raise NetError(
                            [Diagnostic("E508", f"{decl.name} cannot be written as a class: {fixed}", span)]
                        ) from None
                    wanted |= own
        finally:
            del self.active[depth:]
        assert depth or self.awaited == awaited, "a class lacks what it does where it calls itself"
        staged.inits = self.inits
        self.classes.append(staged)
        for cls in self.reached(staged) if staged.recursive else (staged,):
            self.note_kinds(cls)
        return staged

    def note_kinds(self, staged: Staged) -> None:
        """Note which ops a class and those in it have, and what `init` lines say of them."""
        staged.kinds = {
            kind
            for cls in (staged, *self.reached(staged))
            for item in walk(cls.items)
            if isinstance(item, Layer)
            for kind in (item.op.name, item.op.inherits)
        }
        staged.rules = self.rules(staged)

    def is_foretold(self, staged: Staged) -> bool:
        """Tell whether it is known what a class returns that is being walked, or that this cannot be foretold."""
        return foretelling(staged) in self.foretold

    def is_as_foretold(self, staged: Staged) -> bool:
        """Tell whether a class returns what was foretold where it calls itself; if not, foretell what it does."""
        if not staged.recursive:
            return True
        if staged.asks:
            span = Span(staged.decl.file.source, staged.decl.node.start, staged.decl.node.end)
            what = f"{staged.decl.name} contains itself, and a condition in it reads a size, which no class is told"
            raise NetError([Diagnostic("E508", what, span, help="let a number say so that is given")])
        sizes = {name for i in staged.inputs for axis, name in i.sizes.items() if axis != "c"}
        staged.changed()
        if staged.ramps or staged.channels or sizes & staged.names().keys():
            own = (Atom("name", (parameter.name,)) for parameter in staged.params)
            raise Fixed("a block that calls itself, and has to know sizes, or returns a list", *own)
        key, known = foretelling(staged), {*self.names_of(staged)}
        before = self.foretold.get(key)
        found = tuple(
            Shape(
                *(n if known.issuperset(mentioned(n)) else untold(n) for n in shape),
                axes=shape.axes,
            )
            for shape in staged.shapes
        )
        self.foretold[key] = agreed(before, found) if before else found
        return terms_of(before or ()) == terms_of(self.foretold[key])

    def listed(self, decl: BlockDecl | NetDecl, shapes: tuple[Shape, ...]) -> bool:
        """Tell whether a block is called with a list: several values, or one that it takes as such."""
        if (
            not isinstance(decl, BlockDecl)
            or decl.node.inputs
            or ONE_BY_ONE in self.fixes.get(decl, ())
            or len({shape.axes for shape in shapes}) != 1
        ):
            return False
        several = isinstance(shapes, Elements) or len(shapes) > 1
        return "c" in shapes[0].axes and (several or any(map(_indexes, pieces(decl.node))))

    @staticmethod
    def names_of(staged: Staged) -> dict[str, None]:
        """Return what a class may be made for: its parameters, and the channels of what comes in."""
        found = {p.name: None for p in staged.params}
        for incoming in staged.inputs:
            found.update(dict.fromkeys(incoming.sizes.values()))
        return found

    def stage(
        self,
        staged: Staged,
        values: Mapping[str, Any],
        shapes: tuple[Shape, ...],
        outer: Stager,
        wanted: set[str],
        calls: tuple[Frame, ...],
    ) -> None:
        """Walk a block's body."""
        decl = staged.decl
        assert isinstance(decl, BlockDecl)
        stager = Stager(self, staged, outer.settings, outer.max_nodes)
        span = Span(decl.file.source, decl.node.start, decl.node.end)
        root = DraftScope("block", "", span, decl.name, outer.called)
        stager.scopes.append(root)
        place = Place(Env(decl.file.env), None, root, decl.file.source, decl.defaults, False)
        stager.at(place)
        place.calls = (Frame(f"{decl.name}()", span), *calls)
        place.inits = deeper(self.around)
        named_inputs = [name.text for name in decl.node.inputs]
        data = self.incoming(stager, staged, named_inputs, shapes, wanted, place, span)
        place.flow = data
        for incoming in staged.inputs if named_inputs else ():
            place.env.tensors[incoming.name] = Data((incoming.wire,), (incoming.shape,))
        if not named_inputs:
            place.env.tensors["x"] = data
        place.env.tensors["flow"] = data
        self.parameters(stager, staged, values, wanted, place, span)
        for name, start in self.starts.get(self.net, {}).items():
            staged.params.append(Parameter(name, "float", float(start), float(start)))
            stager.hints[name] = float(start)
        stager.root = place.env
        result = stager.scope_body(decl.node.body, place)
        staged.first = root.first
        if stager.errors:
            raise NetError(stager.errors)
        if result is None or result.poisoned:
            raise Poisoned
        self.finish(stager, staged, result)

    def incoming(
        self,
        stager: Stager,
        staged: Staged,
        inputs: list[str],
        shapes: tuple[Shape, ...],
        wanted: set[str],
        place: Place,
        span: Span,
    ) -> Data:
        """Return what comes in, with sizes that remember their names."""
        if not inputs and self.listed(staged.decl, shapes):
            return self.incoming_list(stager, staged, shapes, place, span)
        wires: list[Wire] = []
        seen: list[Shape] = []
        for port, shape in enumerate(shapes):
            name = inputs[port] if inputs else "x" if len(shapes) == 1 else f"x{port}"
            prefix = inputs[port] if inputs else "in" if len(shapes) == 1 else f"in{port}"
            sizes: list[int] = []
            by_axis: dict[str, str] = {}
            for axis, size in zip(shape.axes, shape, strict=True):
                own = self.size_name(staged.decl, prefix, axis)
                by_axis[axis] = own
                if axis != "c":
                    self.sizes.add(own)
                if own in wanted:
                    staged.fixed[own] = int(size)
                    sizes.append(int(size))
                else:
                    sizes.append(stager.hinted(size, own))
            known = Shape(*sizes, axes=shape.axes)
            wire = stager.wire((known,), place, span).wires[0]
            staged.inputs.append(Incoming(name, wire, known, by_axis))
            wires.append(wire)
            seen.append(known)
        return Data(tuple(wires), tuple(seen))

    def incoming_list(
        self, stager: Stager, staged: Staged, shapes: tuple[Shape, ...], place: Place, span: Span
    ) -> Data:
        """Return a list that comes in, whose length and channels are known by their names."""
        name = stager.local("channels")
        whole = SymList((int(shape.c) for shape in shapes), Atom("name", (name,)))
        stager.hints[name] = tuple(whole)
        data = stager.list_wire(length(whole.whole), len(shapes), place, span)
        staged.inputs.append(Incoming("xs", data.wires[0], data.shapes[0], {"c": name}))
        staged.axes = shapes[0].axes
        return Streams(data.wires, data.shapes, False, Elements(shapes, whole))

    def parameters(
        self,
        stager: Stager,
        staged: Staged,
        values: Mapping[str, Any],
        wanted: set[str],
        place: Place,
        span: Span,
    ) -> None:
        """Bind a class's parameters: those that are given anywhere are its arguments."""
        decl = staged.decl
        given = self.given.get(decl, set())
        for name, param in declared_parameters(decl).items():
            default = self.default(stager, param, place)
            value = values.get(name, default)
            if default is not MISSING:
                staged.defaults[name] = default
            if value is MISSING:
                raise SpecError(Diagnostic("E204", f"{decl.name} needs `{name}`", span))
            is_open = name in given and name not in wanted
            if is_open and not self.opens(param, default, decl):
                wanted.add(name)
                is_open = False
            if not is_open:
                if name in given:
                    staged.fixed[name] = value
                place.env.names[name] = value
            else:
                self.argument(stager, staged, param, value, default, place)
            self.allowed(stager, param, place.env.names[name], place)
            place.scope.args[name] = place.env.names[name]

    def argument(
        self, stager: Stager, staged: Staged, param: Param, value: Any, default: Any, place: Place
    ) -> None:
        """Make a parameter an argument of the class."""
        choices: dict[Any, Any] = {}
        if "op" in param.types:
            choices = self.choices(staged.decl, param.name, default)
        if "pad" in param.types and all(
            v.mode == "explicit" for v in self.pads(staged.decl, param.name, default)
        ):
            choices = {"": "explicit"}
        if isinstance(value, TableValue):
            rows = [*value.rows, *(default.rows if isinstance(default, TableValue) else ())]
            rows += self.rows.get((staged.decl, param.name), {}).values()
            choices = {str(number): row for number, row in enumerate(rows)}
        if type(value) is tuple:
            choices = dict(enumerate(self.lists_of(staged.decl, param.name, default)))
        if (
            isinstance(default, OpValue)
            and isinstance(default.target, BlockDecl)
            and show(default) not in choices
        ):
            default = MISSING  # of no net that is in the file
        given = (self.as_given(staged.decl, param.name, one) for one in (value, default))
        staged.params.append(Parameter(param.name, param.types[0], *given))
        stager.hints[param.name] = Dims(value.size) if isinstance(value, Pad) else value
        place.env.names[param.name] = opened(value, Atom("name", (param.name,)), tuple(choices.values()))

    def choices(self, decl: Any, name: str, default: Any) -> dict[Any, Any]:
        """Return the ops, and none, that a parameter is given."""
        found: dict[Any, Any] = dict(self.targets.get((decl, name), {}))
        if default is not MISSING:
            found.setdefault(show(default), default)
        if not isinstance(decl, NetDecl):
            return found
        # the blocks of variants that are not of this family are not in the file
        own = {show(n.elaborated.params[name]) for n in self.nets if n.recipe.net is decl}
        return {
            k: v for k, v in found.items() if k in own or v is None or not isinstance(v.target, BlockDecl)
        }

    def pads(self, decl: Any, name: str, default: Any) -> list[Pad]:
        """Return the paddings that a parameter is given."""
        found = [v for v in self.targets.get((decl, name), {}).values() if isinstance(v, Pad)]
        return [*found, *([default] if isinstance(default, Pad) else [])]

    def lists_of(self, decl: Any, name: str, default: Any) -> list[Any]:
        """Return the lists that a parameter is given."""
        found = self.lists.get((decl, name), {}).values()
        return [*found, *([concrete(default)] if type(default) is tuple else [])]

    def others(self, stager: Stager, item: Child, given: Mapping[str, Given], place: Place) -> None:
        """Stage the other blocks that an argument may be, or the same with other arguments, called in this way."""
        cls, callee = item.cls, item.callee
        assert callee is not None
        shapes = tuple(shape for shape in item.shapes if isinstance(shape, Shape))
        cls.told = True
        self.called.update((frozenset(given), shape.axes) for shape in shapes[: len(shapes) == 1])
        told, calls = {self.tells(cls)}, [Called({name: name for name in given}, cls, callee.args)]
        done = set() if cls.fixed else {cls.decl}
        for choice in callee.choices:
            if choice is None or not isinstance(choice.target, BlockDecl):
                continue
            self.note(choice.target, choice.args)
            if choice.target in done:
                continue
            names, params = item.names[choice.target], parameters(choice)
            own = {
                names[name]: one._replace(value=coerce(one.value, params[names[name]].types))
                for name, one in given.items()
            }
            self.called.update((frozenset(own), shape.axes) for shape in shapes[: len(shapes) == 1])
            own = {**choice.args, **own}
            self.note(choice.target, own)
            other = self.general(choice.target, shapes)
            if other is None:
                other, *_ = self.call(stager, choice.target, own, shapes, place, item.span)
            other.told = True
            told.add(self.tells(other))
            calls.append(Called(names, other, choice.args))
            if not other.fixed:
                done.add(choice.target)
        if len(told) > 1:
            raise Demanded("blocks that are told other things of what comes in", callee)
        if any(i.sizes.get("c") in one.staged.fixed for one in calls for i in one.staged.inputs):
            raise Demanded("a block that is made for the channels of what comes in", callee)
        if len({tuple(shape.axes for shape in one.staged.out_terms) for one in calls}) > 1:
            raise Fixed("blocks that return other values", callee)
        if by_position(calls, lambda parameter: parameter.default is not MISSING) is None:
            raise Fixed("blocks that are called with other arguments", callee)

    @staticmethod
    def tells(staged: Staged) -> tuple[Any, ...]:
        """Return what a caller tells a class, besides channels, that is no parameter of the text."""
        read = staged.names()
        sizes = tuple(
            (port, axis)
            for port, incoming in enumerate(staged.inputs)
            for axis, name in incoming.sizes.items()
            if axis != "c" and name in read
        )
        return sizes, tuple(staged.asks.items()), tuple(staged.ramps)

    def general(self, decl: BlockDecl, shapes: tuple[Shape, ...]) -> Staged | None:
        """Return a class of a block that is one for all arguments and sizes, if there is one already."""
        for staged in self.classes:
            if staged.decl is decl and not (staged.fixed or staged.asks or staged.ramps):
                if self.accepts(staged, {}, shapes):
                    return staged
        return None

    def tell(self) -> None:
        """Let every block that can be called as one that is an argument say what its callers ask for."""
        for staged in self.classes:
            if staged.kind != "block" or len(staged.inputs) != 1 or staged.many or len(staged.out_terms) != 1:
                continue
            (shape,), (incoming,) = staged.out_terms, staged.inputs
            if "c" not in shape.axes or any(name.startswith("?") for name in mentioned(shape.c)):
                continue
            taken = {p.name for p in staged.params}
            needed = {p.name for p in staged.params if p.default is MISSING}
            staged.told = staged.told or any(
                needed <= given <= taken and axes == incoming.shape.axes for given, axes in self.called
            )

    def opens(self, param: Param, default: Any, decl: Any) -> bool:
        """Tell whether a parameter can be an argument: an op that is always the same stands in its place."""
        if param.types[0] not in OPEN_KINDS or (decl, param.name) in self.mixed or any(closed_in(default)):
            return False
        if param.types[0] == "str" and isinstance(default, str) and not is_plain(default):
            return False
        if param.types[0] == "pad":
            return all(pad.mode != "tf" for pad in self.pads(decl, param.name, default))
        if param.types[0] == "op":
            given = dict(self.targets.get((decl, param.name), {}))
            if default is not MISSING:
                given.setdefault(show(default), default)
            targets = {value.target for value in given.values() if value is not None}
            if any(isinstance(t, BlockDecl) and t.name in self.deciding for t in targets):
                return False
            here = self.choices(decl, param.name, default).values()
            if len(given) < 2 or all(value is None for value in here):
                return False
            kinds = {BlockDecl if isinstance(t, BlockDecl) else t.weights is Op.weights for t in targets}
            if len(kinds) > 1:
                self.makers.add((decl, param.name))
        return True

    def default(self, stager: Stager, param: Param, place: Place) -> Any:
        """Return a parameter's default, or MISSING."""
        if param.default is MISSING:
            return MISSING
        try:
            value = stager.evaluator.eval(param.default, place.env, place.source)
        except SpecError as error:  # of a default in whose place every net has another value
            raise NetError([error.diagnostic]) from None
        if isinstance(value, Choice):
            stager.at(place)
            value = stager.decide(value, param.name)
        return coerce(value, param.types) if takes(param.types, value) else value

    def allowed(self, stager: Stager, param: Param, value: Any, place: Place) -> None:
        """Check the values that a parameter allows, in the class too."""
        if param.allowed is None or param.file is None or not symbolic(value):
            return
        items = stager.evaluator.items(
            stager.evaluator.eval(param.allowed, param.file.env, param.file.source), place.scope.span
        )
        test = Atom("in", (term(value), Atom("const", (tuple(items),))))
        message = f"{param.name} must be one of {show(tuple(items))}, not {{{param.name}}}"
        stager.items.append(Check(test, message))
        stager.path.append(test)
        stager.demanded.add(test)

    def finish(self, stager: Stager, staged: Staged, result: Data) -> None:
        """Note what a class returns, over its arguments alone; its first check is of their least values."""
        of_one_kind(result)
        for wire in result.wires:
            if not stager.batched(wire):
                message = f"{staged.decl.name} returns what is made of learned tensors alone, for no sample"
                span, calls = stager.drafts[wire.draft].span, stager.drafts[wire.draft].calls
                raise NetError([Diagnostic("E508", message, span, calls=calls)])
        given = [n for i in staged.inputs for n in i.shape if isinstance(n, SymInt) and staged.kind == "net"]
        for size in given:
            read = {
                name for item in walk(staged.items) for value in item.terms() for name in mentioned(value)
            }
            if not set(names(size)).isdisjoint(read):  # else it has no such argument
                stager.at_least(size.poly, 1, "an input needs sizes from 1")
        stager.forget_turns()
        for items in item_lists(staged.items):
            items[:] = [one for one in items if not (isinstance(one, Check) and stager.implied(one.test))]
        order = [parameter.name for parameter in staged.params]
        least = dict(sorted(stager.least.items(), key=lambda one: order.index(next(iter(names(one[0]))))))
        for name, held in stager.hints.items():
            own = Atom("name", (name,))
            every = [item_of(own, n) for n in range(len(held))] if isinstance(held, tuple) else []
            fixed = isinstance(held, Dims) or own in stager.taken_apart
            if fixed and every and all(one in least for one in every):
                least[Atom("star", (own,))] = max(least.pop(one) for one in every)
        least = of_whole_lists(least)
        for parameter in staged.params:
            parameter.unpacked = Atom("name", (parameter.name,)) in stager.taken_apart
        checks = [Check(*exactly(whole, count)) for whole, count in stager.taken_apart.items()]
        checks += length_checks(stager.needs, stager.taken_apart)
        always = [test for test, path in stager.rates.items() if not path]
        if least or always:
            numbers = least_check(least, stager.may_be_empty, always)
            checks = [*checks[:-1], *together(checks[-1], numbers)] if checks else [numbers]
        checks += [Check(*of_one_length(*sizes)) for sizes in stager.as_many]
        for test, path in stager.rates.items():
            if path:
                said = said_of_rate(test)
                holds = reduce(lambda test, more: Atom("or", (negated(more), test)), reversed(path), test)
                checks.append(Check(holds, f"{said[0]} must be {said[1]}"))
        staged.items[:0] = checks
        staged.outputs = result.wires
        staged.hints = stager.hints
        for scope in reversed(stager.scopes):
            staged.labels.update(
                (wire, called(label, stager.numbered)) for wire, label in scope.named.items()
            )
        shapes = []
        for shape in result.shapes:
            sizes = [SymInt(int(n), stager.expanded(term(n))) if isinstance(n, SymInt) else n for n in shape]
            shapes.append(Shape(*sizes, axes=shape.axes))
        staged.shapes = tuple(shapes)
        if isinstance(result, Streams):
            staged.channels = in_terms_of(stager.expanded(term(result.elements.channels)), stager.after)
            known = {p.name for p in staged.params} | {n for i in staged.inputs for n in i.sizes.values()}
            if not known.issuperset(names(staged.channels)):
                raise Fixed("channels of a list that are not known", staged.channels)
        staged.out_terms = tuple(result.shapes)

    # ---------------------------------------------------------------- nets

    def variant(self, net: Net) -> Variant:
        """Return a net's class and what it is called with."""
        recipe = net.recipe
        decl = recipe.net
        values = {name: value for name, value in net.elaborated.params.items()}
        for staged in self.classes:
            if staged.decl is decl and staged.decided == decided(net) and self.accepts_net(staged, values):
                break
        else:
            staged = self.stage_net(net, values)
        chosen = {p.name: self.as_given(decl, p.name, values[p.name]) for p in staged.params}
        varied = self.varied[decl]
        stay = tuple(
            p.name for p in staged.params if p.kind in ("int", "float", "bool") and p.name not in varied
        )
        return Variant(net, staged, chosen, stay)

    def of_variant(self, variant: VariantDecl) -> dict[str, Any]:
        """Return the arguments that a variant's line gives; none of a line that is wrong, which no net is of."""
        file = variant.file
        params = declared_parameters(variant.net)
        try:
            args = bind(Evaluator(100_000), params, variant.node.args, file.env, file.source, variant.name)
        except (SpecError, Poisoned):
            return {}
        return {name: given.value for name, given in args.items()}

    def accepts_net(self, staged: Staged, values: Mapping[str, Any]) -> bool:
        """Tell whether a net's class is made for a variant."""
        return all(_same(values[name], value) for name, value in staged.fixed.items() if name in values)

    def stage_net(self, net: Net, values: Mapping[str, Any]) -> Staged:
        """Return a new class of a net."""
        decl = net.recipe.net
        wanted = self.fixes.setdefault(decl, set())
        while True:
            staged = Staged(decl, "net")
            staged.decided = decided(net)
            before = len(self.classes)
            try:
                self.walk_net(staged, net, values, wanted)
                break
            except Again:
                del self.classes[before:]
            except (Fixed, Undecided) as error:
                del self.classes[before:]
                if self.divides(decl, error):
                    continue
                fixed = error if isinstance(error, Fixed) else Fixed(str(error), error.test)
                self.measure(staged, fixed)
                own = {n for n in fixed.names if any(p.name == n for p in staged.params)} - wanted
                if not own and decl not in self.unrolled:
                    self.unrolled.add(decl)
                    continue
                own = own or {p.name for p in staged.params} - wanted
                if not own:
                    span = Span(decl.file.source, decl.node.start, decl.node.end)
                    message = f"{decl.name} cannot be written as a class: {fixed}"
                    raise NetError([Diagnostic("E508", message, span)]) from None
                wanted |= own
        self.classes.append(staged)
        return staged

    def measure(self, staged: Staged, fixed: Fixed) -> None:
        """Begin afresh where a class needs the size of what a block returns, and a loop in that hides it."""
        blocks = {staged.vague[name] for name in fixed.names if name in staged.vague} - self.measured
        if blocks:
            self.measured |= blocks
            raise Afresh

    def given_elsewhere(self, decl: Any, whole: Atom | None) -> tuple[Any, ...]:
        """Return a list that another net of the file gives a parameter, which is empty here; () if there is none."""
        name = whole.args[0] if whole is not None and whole.op == "name" else ""
        given = (net.elaborated.params.get(name) for net in self.nets if net.recipe.net is decl)
        return next((one for one in given if isinstance(one, tuple) and one), ())

    def seen_elsewhere(self, staged: Staged) -> Mapping[int, list[Seen]]:
        """Return the shapes that calls of blocks get, turn by turn, in all nets of a size, and with more turns.

        What a map of one pixel does is left out: it is not made smaller any more.
        """
        decl, size = staged.decl, tuple(tuple(map(int, one.shape)) for one in staged.inputs)
        key = decl, size, tuple(staged.decided.items())
        if key in self.elsewhere:
            return self.elsewhere[key]
        found: dict[int, list[Seen]] = {}
        for net in self.nets:
            if net.recipe.net is not decl or tuple(map(tuple, net.inputs.values())) != size:
                continue
            if decided(net) != staged.decided:
                continue
            recipe = net.recipe
            longer: dict[str, Any] = {}
            for name, value in net.elaborated.params.items():
                if type(value) is int:
                    longer[name] = value + _MORE
                elif isinstance(value, tuple) and not isinstance(value, Dims):
                    longer[name] = (*value, *value[-1:] * _MORE)
            more = (recipe.given({name: value}) for name, value in longer.items())
            for one in (recipe, *more):
                for site, seen in observed_turns(one).items():
                    found.setdefault(site, []).extend(
                        (turn, shapes)
                        for turn, shapes in seen
                        if one is recipe or all(1 not in shape[1:] for shape in shapes)
                    )
        self.elsewhere[key] = found
        return found

    def carry_sizes(self, decl: BlockDecl | NetDecl) -> None:
        """Walk a declaration again, if that is new, with the sizes that its loops change as variables."""
        if decl not in self.sized:
            self.sized.add(decl)
            raise Again

    def divides(self, decl: BlockDecl | NetDecl, error: Exception) -> bool:
        """Tell whether a class can be walked once more, with both sides of values that are one of two things."""
        new = isinstance(error, Undecided) and decl not in self.divided
        self.divided.add(decl) if new else None
        return new

    def walk_net(self, staged: Staged, net: Net, values: Mapping[str, Any], wanted: set[str]) -> None:
        """Walk a net's body."""
        recipe = net.recipe
        self.net = decl = recipe.net
        self.net_in_hand = net
        decisions = {decision.name: decision for decision in net.elaborated.decisions}
        stager = Stager(self, staged, decisions, recipe.max_nodes)
        stager.input_shapes = recipe.inputs
        self.inits = (decl.file.inits, stager.inits)
        span = Span(decl.file.source, decl.node.start, decl.node.end)
        root = DraftScope("net", "", span, decl.name)
        stager.scopes.append(root)
        place = Place(Env(decl.file.env), None, root, decl.file.source, decl.defaults, True)
        stager.at(place)
        self.parameters(stager, staged, values, wanted, place, span)
        self.inits = (self.in_blocks(net.elaborated.inits, self.starts.get(decl, {})),)
        staged.inits = self.inits
        stager.root = place.env
        result = stager.net_body(decl.node.body, place)
        staged.first = root.first
        if stager.errors:
            raise NetError(stager.errors)
        if result is None or result.poisoned:
            raise Poisoned
        staged.items[:0] = [
            item for schedule in stager.schedules for item in schedule_lets(schedule, staged.items)
        ]
        self.finish(stager, staged, result)
        staged.sides.sort(key=lambda side: stager.field(side.name)[0])
        for side in staged.sides:
            side.name = stager.field(side.name)[1]
        staged.result = stager.field("out")[1]
        staged.rules = joined((decl.file.inits, stager.inits))
        for init in (init for inits in staged.rules.values() for init in inits.values()):
            own = {name for arg in init.args for name in mentioned(arg)} - {p.name for p in staged.params}
            if own:
                raise Fixed("an `init` line that reads more than the net's arguments", *init.args)
        if self.own_inits:
            self.settle_inits(staged, stager)

    def rules(
        self, staged: Staged, inits: tuple[Mapping[str, Mapping[str, Init]], ...] | None = None
    ) -> Mapping[str, Mapping[str, Init]]:
        """Return what `init` lines of the net say that a class has to know: of ops that it, or a block in it, has.

        `inits` are those lines, if they are not those of the net in hand. Where a loop over all layers gives them
        their initial weights, that is only what it cannot do: ops that follow another op's line.
        """
        rules = joined(self.inits if inits is None else inits)
        if self.own_inits:
            return {name: inits for name, inits in rules.items() if name in staged.kinds}
        return {
            name: inits for name, inits in rules.items() if (op := find(name)) is not None and op.inherits
        }

    def initialised(self, op: Op, shapes: tuple[Shape, ...], own: Mapping[str, Init]) -> Op:
        """Return an op with how its weights start: as its own line or block says, else as the net's lines do."""
        weights = weights_of(op, shapes)
        said = initialisers(op, self.inits)
        inits = {**{key: init for key, init in said.items() if key in weights}, **own}
        return op.replace(inits={k: v for k, v in inits.items() if v != DEFAULT_INIT})

    def settle_inits(self, staged: Staged, stager: Stager) -> None:
        """Give a net's layers what its `init` lines say in terms of its arguments, which its blocks do not know."""
        self.inits = (staged.decl.file.inits, stager.inits)
        for item in walk(staged.items):
            if isinstance(item, Layer):
                item.op = self.initialised(item.op, item.before, item.own)
        staged.changed()
        found: dict[str, Any] = {}
        for name, inits in staged.rules.items():
            starts = {own: arg for own, _, arg in self.start_arguments(name, inits) if symbolic(arg)}
            layers = (
                i for cls in self.reached(staged) for i in walk(cls.items) if starts and isinstance(i, Layer)
            )
            if any(name in (item.op.name, item.op.inherits) for item in layers):
                found |= starts
        if found.keys() - self.starts.get(staged.decl, {}).keys():
            self.starts[staged.decl] = found
            raise Again
        self.starts.get(staged.decl, {}).update(found)

    def started(self, stager: Stager) -> dict[str, Any]:
        """Return what a block is given that `init` lines of the net say in terms of its arguments."""
        known = self.starts.get(self.net, {})
        return known if stager.staged.kind == "net" else {n: named(float(v), n) for n, v in known.items()}

    def start_arguments(self, op: str, inits: Mapping[str, Init]) -> Iterator[tuple[str, int, Any]]:
        """Yield the numbers of an op's initialisers: what an argument is called that is one, which it is, itself."""
        for key, init in inits.items():
            part = "" if key == "weight" else f"{key}_"
            for number, (role, value) in enumerate(zip(init.roles, init.args, strict=True)):
                own = f"{op}_{part}{role}"
                while any(own in self.variables(decl) for decl in {*self.given, *self.varied}):
                    own += "_"
                yield own, number, value

    def in_blocks(
        self, rules: Mapping[str, Mapping[str, Init]], starts: Mapping[str, Any]
    ) -> Mapping[str, Mapping[str, Init]]:
        """Return what `init` lines say in blocks, which are given the numbers that follow from a net's arguments."""
        found: dict[str, dict[str, Init]] = {}
        for op, inits in rules.items():
            found[op] = {}
            for key, init in inits.items():
                args = list(init.args)
                for own, number, _ in self.start_arguments(op, {key: init}):
                    if own in starts:
                        args[number] = named(float(starts[own]), own)
                found[op][key] = Init(init.kind, tuple(args))
        return found

    def reached(self, net: Staged) -> list[Staged]:
        """Return the classes of a net: its own, and those that it, or one of them, makes."""
        found = {id(net)}
        stack = [net]
        while stack:
            for cls in self.made_by(stack.pop()):
                if id(cls) not in found:
                    found.add(id(cls))
                    stack.append(cls)
        return [cls for cls in self.classes if id(cls) in found]

    def made_by(self, staged: Staged) -> Iterator[Staged]:
        """Yield the classes that a class makes, or is given to make."""
        values: list[Any] = [parameter.default for parameter in staged.params]
        values += self.targets_of(staged)
        for parameter in staged.params:
            values += self.rows.get((staged.decl, parameter.name), {}).values()
        values += (self.constants[name] for name in staged.names() if name in self.constants)
        for item in walk(staged.items):
            if isinstance(item, Child):
                yield item.cls
                values += item.args.values()
        for value in within(values):
            target = getattr(value, "target", None)
            yield from (cls for cls in self.classes if cls.decl is target)

    def given_blocks(self) -> set[BlockDecl]:
        """Return the blocks that are arguments, or in lists and tables of the file."""
        targets = [value.target for value in within(self.passed()) if isinstance(value, OpValue)]
        return {target for target in targets if isinstance(target, BlockDecl)}

    def given_ops(self) -> Iterator[OpValue]:
        """Yield the ops that are arguments, or in lists and tables of the file, and need no more to be made."""
        for value in within(self.passed()):
            if isinstance(value, OpValue) and value.complete:
                yield value

    def passed(self) -> list[Any]:
        """Return the values that are arguments, or hold ops of lists and tables of the file."""
        values: list[Any] = [one.op for one in self.references.values()]
        for staged in self.classes:
            values += (self.constants[name] for name in staged.names() if name in self.constants)
            for parameter in staged.params:
                values += self.targets.get((staged.decl, parameter.name), {}).values()
                values += self.rows.get((staged.decl, parameter.name), {}).values()
                values += (parameter.default, parameter.value)
            for item in walk(staged.items):
                if isinstance(item, Child):
                    values += item.args.values()
        for variant in self.variants:
            values += (variant.args[parameter.name] for parameter in variant.staged.params)
        return values

    def targets_of(self, staged: Staged) -> Iterator[OpValue]:
        """Yield the ops that are given for arguments of a class."""
        for parameter in staged.params:
            yield from self.targets.get((staged.decl, parameter.name), {}).values()


def decided(net: Net) -> Mapping[str, int | None]:
    """Return what is decided in a net, but for its parameters, which are arguments of its class."""
    params = declared_parameters(net.recipe.net)
    return {one.name: one.chosen for one in net.elaborated.decisions if one.name not in params}


class Called(NamedTuple):
    """A block as one that an argument may be is called."""

    names: Mapping[str, str]
    """What it calls the arguments, by what the block at hand does."""
    staged: Staged
    known: Collection[str]
    """The parameters that it is given already."""

    def places(self, has_default: Callable[[Parameter], bool]) -> list[str | None]:
        """Return the arguments that it takes by position, in its order."""
        own = {theirs: name for name, theirs in self.names.items()}
        required = [p.name for p in self.staged.params if not has_default(p)]
        return [own.get(name) for name in takewhile(lambda name: name not in self.known, required)]


def foretelling(staged: Staged) -> tuple[Any, ...]:
    """Return what a class that calls itself is told from others of its block by."""
    made_for = tuple((name, show(value)) for name, value in sorted(staged.fixed.items()))
    made_for += tuple((name, str(option)) for name, option in staged.decided.items())
    return staged.decl, made_for, tuple(incoming.shape.axes for incoming in staged.inputs)


def terms_of(shapes: tuple[Shape, ...]) -> tuple[Any, ...]:
    """Return shapes as expressions."""
    return tuple((shape.axes, *map(term, shape)) for shape in shapes)


def agreed(before: tuple[Shape, ...], after: tuple[Shape, ...]) -> tuple[Shape, ...]:
    """Return shapes with what was foretold of them and holds; nothing is known of the other sizes."""
    if tuple(one.axes for one in before) != tuple(one.axes for one in after):
        raise Fixed("a block that calls itself, and returns values of several kinds")
    return tuple(
        Shape(
            *(n if term(n) == term(was) else untold(n) for was, n in zip(*both, strict=True)),
            axes=both[1].axes,
        )
        for both in zip(before, after, strict=True)
    )


def by_position(calls: Sequence[Called], has_default: Callable[[Parameter], bool]) -> set[str] | None:
    """Return the arguments that all blocks of a call take in the same places; None: others have other names, too."""
    found: set[str] = set()
    for first, *others in zip(*(call.places(has_default) for call in calls), strict=False):
        if first is None or any(other != first for other in others):
            break
        found.add(first)
    by_name = (name == theirs or name in found for call in calls for name, theirs in call.names.items())
    return found if all(by_name) else None


def lacks(op: OpValue) -> bool:
    """Tell whether a primitive op is to be given more than it is."""
    params = {} if isinstance(op.target, BlockDecl) else parameters(op)
    return any(param.default is MISSING and name not in op.args for name, param in params.items())


def said(op: OpValue) -> dict[str, str]:
    """Return what an op is given that is not its own default anyway."""
    params = parameters(op)
    return {
        name: show(one.value)
        for name, one in op.args.items()
        if isinstance(op.target, BlockDecl) or show(one.value) != show(params[name].default)
    }


def within(values: Iterable[Any]) -> Iterator[Any]:
    """Yield values that are no lists or tables, those in lists and tables, and what blocks among them are given."""
    queue = list(values)
    while queue:
        value = queue.pop(0)
        if isinstance(value, TableValue):
            queue += value.rows
        elif isinstance(value, RowValue):
            queue += value.cells
        elif isinstance(value, tuple):
            queue += value
        else:
            yield value
            if isinstance(value, OpValue) and isinstance(value.target, BlockDecl):
                queue += (given.value for given in value.args.values())


def schedule_lets(schedule: Schedule, items: list[Item]) -> list[Item]:
    """Return the statements that begin a depth schedule: how many steps there are, and that none is done."""
    steps = counted(items, schedule.variable)
    total: Term = steps
    if schedule.endpoint:
        known = steps.constant
        less = steps.plus(constant(1), -1)
        total = Atom("call", ("max", less, constant(1))) if known is None else constant(max(known - 1, 1))
    return [Let(schedule.total, wrap(total)), Let(schedule.variable, 0)]


def wrap(value: Any) -> Any:
    """Return an expression as a value."""
    return SymInt(1, value if isinstance(value, Poly) else single(value))


def counted(items: list[Item], variable: str, meaning: Mapping[str, Any] | None = None) -> Poly:
    """Return how often items raise a variable, as an expression."""
    total = constant(0)
    known = dict(meaning or {})
    for item in items:
        if isinstance(item, Let) and item.name == variable and item.again:
            total = total.plus(in_terms_of(term(item.value), {variable: constant(0)}))
        elif isinstance(item, Let) and not item.again:
            known[item.name] = in_terms_of(term(item.value), known)
        elif isinstance(item, Loop):
            inner = counted(item.body, variable, known)
            if inner.constant == 0:
                continue
            source = item.over
            if isinstance(source, Atom) and source.op == "call" and source.args[:-1] == ("range",):
                if not set(item.targets) & set(names(inner)):
                    count = in_terms_of(source.args[1], known)
                    total = total.plus(inner.times(count))
                    continue
            shown, source = item.comprehended(names(inner))
            total = total.plus(single(Atom("sum", (inner, shown, in_terms_of(source, known)))))
        elif isinstance(item, If):
            one, two = (counted(side, variable, known) for side in (item.then, item.otherwise))
            if one == two:
                total = total.plus(one)
            else:
                total = total.plus(single(Atom("if", (in_terms_of(item.test, known), one, two))))
        else:
            for inner_items in item.inner():
                total = total.plus(counted(inner_items, variable, known))
    return total


def length_checks(needs: Iterable[tuple[Poly, Poly]], exact: Mapping[Atom, int]) -> Iterator[Check]:
    """Yield checks that lists are as long as they have to be at least, where no other one says how long."""
    known = {length(whole): count for whole, count in exact.items()}
    for size, need in needs:
        if need.constant is None:
            yield Check(*long_enough(size, need))
        else:
            known[size] = max(need.constant, known.get(size, 0))
    for size, count in known.items():
        if (size, constant(count)) in needs:
            yield Check(*long_enough(size, constant(count)))


def said_of_rate(test: Atom) -> tuple[str, str]:
    """Return which argument a probability is, and what it has to be."""
    bounds = test.args if test.op == "and" else (test,)
    words = "from 0 to 1" if len(bounds) > 1 else "at least 0" if test.op == ">=" else "at most 1"
    return text(bounds[0].args[0]), words


def of_whole_lists(least: Mapping[Atom, int]) -> dict[Atom, int]:
    """Say of a list what is said of all but its last value and of that; and of no value what is said of its list."""
    found: dict[Atom, int] = {}
    for atom, number in least.items():
        part = atom.args[0] if atom.op == "star" else atom
        if part.op == "slice":
            whole, stop = part.args
            if stop == length(whole).plus(constant(1), -1) and least.get(item_of(whole, -1)) == number:
                atom = Atom("star", (whole,))
        found[atom] = max(number, found.get(atom, number))
    values = {atom for atom in found if atom.op == "item"}
    said = {atom for atom in values if found.get(Atom("star", (atom.args[0],)), 0) >= max(found[atom], 1)}
    return {atom: number for atom, number in found.items() if atom not in said}


def least_check(
    least: Mapping[Atom, int], empty: Callable[[Atom], bool], rates: Sequence[Atom] = ()
) -> Check:
    """Return one check of all arguments that have to be at least 0 or 1, and of probabilities.

    `empty` tells which lists may be so.
    """
    tests: list[Atom] = []
    said: list[str] = []
    for bound in sorted(set(least.values())):
        own = [atom for atom, number in least.items() if number == bound]
        values: list[Any] = [atom if atom.op == "star" else single(atom) for atom in own]
        sure = [atom for atom in own if not (atom.op == "star" and empty(atom.args[0]))]
        if len(sure) < 2 and len(sure) < len(own):  # `min` takes several numbers, or a list of at least one
            values = [Atom("list", (*([] if sure else [constant(bound)]), *values))]
        if len(values) == 1:  # a list by itself
            values = [one.args[0] if isinstance(one, Atom) and one.op == "star" else one for one in values]
        alone = len(values) == 1 and isinstance(values[0], Poly)
        whole = values[0] if alone else single(Atom("call", ("min", *values)))
        tests.append(Atom(">=", (whole, constant(bound))))
        names = [text(atom.args[0] if atom.op == "star" else atom) for atom in own]
        listed = " and ".join([", ".join(names[:-1]), names[-1]] if names[1:] else names)
        said.append(f"{listed} {'' if said else 'must be '}at least {bound}")
    for test in rates:
        tests += test.args if test.op == "and" else (test,)
        name, words = said_of_rate(test)
        said.append(f"{name} {'' if said else 'must be '}{words}")
    return Check(tests[0] if len(tests) == 1 else Atom("and", tuple(tests)), ", ".join(said))


def together(size: Check, least: Check) -> list[Check]:
    """Return one check of how long a list is and of what is at least 0 or 1; both, if no line holds what it says."""
    (own, bound), words = size.test.args, {"==": "", ">=": "at least ", "<=": "at most "}
    what = f"{text(own)} must be {words[size.test.op]}{text(bound)}, "
    what += least.message.replace(" must be", "", 1)
    if len(what) > _WIDE or getattr(bound, "constant", None) is None:
        return [size, least]
    tests = least.test.args if least.test.op == "and" else (least.test,)
    return [Check(Atom("and", (size.test, *tests)), what)]


def called(label: str, numbered: list[Pattern]) -> str:
    """Return what a value is called: of a label with numbers, what stands before them, if all are not called so."""
    if not isinstance(label, SymStr):
        return label
    found, before = parted(label, numbered), label.whole.args[0]
    if not isinstance(before, str) or (found is not None and found[0] in numbered):
        return ""
    return before.strip("_")


def _indexes(node: tree.Tree) -> bool:
    """Tell whether a part of a block's text takes what comes in as several values: `x[i]`, `len(x)`."""
    if isinstance(node, tree.Ref):
        return node.index is not None and isinstance(node.name, tree.Name) and node.name.text == "x"
    if isinstance(node, tree.Index):
        return isinstance(node.value, tree.Name) and node.value.text == "x"
    if not isinstance(node, tree.CallExpr) or not isinstance(node.function, tree.Name):
        return False
    return node.function.text == "len" and any(isinstance(a, tree.Name) and a.text == "x" for a in node.args)


def _terms(value: Any) -> tuple[Any, ...]:
    return tuple(Atom("name", (name,)) for name in mentioned(value))


def _same(a: Any, b: Any) -> bool:
    """Tell whether two concrete values are the same argument."""
    if isinstance(a, OpValue) and isinstance(b, OpValue):
        return a.target is b.target and show(a) == show(b)
    if isinstance(a, TableValue) and isinstance(b, TableValue):
        return a is b or (a.columns == b.columns and repr(a.rows) == repr(b.rows))
    return type(a) is type(b) and bool(a == b)


def closed_in(value: Any) -> Iterator[bool]:
    """Yield for every item of a list, and of lists in it, whether it is an op, none or a text with odd characters."""
    for one in value if isinstance(value, tuple) else ():
        yield one is None or isinstance(one, OpValue) or (isinstance(one, str) and not is_plain(one))
        yield from closed_in(one)

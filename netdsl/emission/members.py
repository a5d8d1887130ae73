"""What a class has: its children and what they are called, and what its forward function reads of it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import count
from typing import TYPE_CHECKING, Any

from netdsl.diagnostics import Diagnostic, Label, NetError
from netdsl.elaborate.names import reserved_attribute
from netdsl.elaborate.values import Wire
from netdsl.emission.code import Const, Expr, Input, Lowered, Name, mentions_self
from netdsl.emission.concolic import mentioned
from netdsl.emission.dotted import LIST, OWN, PATH, children, entry, in_itself
from netdsl.emission.features import Features
from netdsl.emission.function import Function, expr_names, renamed, renamed_expr
from netdsl.emission.items import (
    Check,
    Child,
    Container,
    If,
    Item,
    Layer,
    Let,
    Loop,
    Module,
    Side,
    Staged,
    ordered,
    walk,
)
from netdsl.emission.sometimes import one_sided
from netdsl.emission.tidy import Mentioned
from netdsl.source import Span
from netdsl.symbolic import Atom, SymBool, names, negated, single, term, text

if TYPE_CHECKING:
    from netdsl.emission.module import ModuleText


class Members:
    """The children of one class, and the attributes that hold what `forward` needs."""

    def __init__(self, function: Function, module: ModuleText) -> None:
        """Name all children."""
        self.function = function
        self.text = module
        self.dialect = module.dialect
        self.maps: Features | None = None
        """Where the maps are that a net returns for another on top."""
        if module.features and function.kind == "net" and not module.is_sequential(function):
            self.maps = Features(ordered(function.items), self)
        kept = [
            wire for item in walk(function.items) if item.ends and module.features for wire in item.makes()
        ]
        kept += self.maps.marks.values() if self.maps else ()
        self.writing = module.storage.writing(function, kept) if module.inplace else set()
        self.writing -= {id(item) for item in walk(function.items) if self.enlarges(item)}
        """The layers, by id, that write over their input."""
        for uses in shared(function.items):
            if not all(id(item) in self.writing for item in uses):  # one module is all of them
                self.writing -= {id(item) for item in uses}
        self.globals = module.names
        self.attributes: dict[int, str | Atom] = {}
        self.stored: dict[str, str] = {}
        """Arguments and local variables that `forward` reads, and the attributes that hold them."""
        self.flags: dict[str, Atom] = {}
        """Attributes that say whether something is there."""
        self.fixed: dict[str, None] = {}
        """Attributes that say whether children, or values that are not always there, are; they never change."""
        self.sometimes = {wire for item in walk(function.items) for wire in one_sided(item)}
        self.optional: dict[int, str] = {}
        """By condition, the child that is None where its side is not."""
        self.defined: dict[str, Any] = {}
        """Local variables of one turn, by name."""
        self.turning: set[str] = set()
        """The variables of all loops."""
        self.unsettled: dict[Item, set[str]] = {
            loop: set(changed_by(loop)) for loop in within_class(function.items) if isinstance(loop, Loop)
        }
        """What only the constructor knows: what loops change that `forward` has not left, and conditions ahead."""
        self.unsettled.update(bound_anew(function.items, set()))
        self.demanding = False
        """Whether `forward` checks sizes of what a layer of it reads."""
        self.own: dict[int, Lowered] = {}
        self.in_turn: dict[int, str] = {}
        """The children that are the variable of a loop over their list, and what it is called."""
        self.lengths: dict[Any, Atom] = {}
        """The lengths of lists that come in, as `forward` knows them."""
        for incoming in function.staged.inputs if function.kind != "container" else ():
            if incoming.many:
                own = Atom("name", (function.inputs[incoming.wire],))
                (channels,) = incoming.sizes.values()
                self.lengths[length_of(channels)] = Atom("call", ("len", own))
        self.name_children(module)
        self.table = self.own_table()
        """The class of which it is one, if it holds its children by their names: a list or mapping of modules."""

    # ---------------------------------------------------------------- children

    def name_children(self, module: ModuleText) -> None:
        """Choose an attribute for every child that `forward` calls."""
        taken = {
            item.key
            for item in self.children(self.function.items)
            if item.name is None and not item.by_position and item.key
        }
        taken |= {one.list for one in map(entry, self.children(self.function.items)) if one is not None}
        chain = module.is_sequential(self.function)
        unnamed: list[Module] = []
        for item in self.children(self.function.items):
            if item.name is not None:
                self.attributes[id(item)] = item.name
            elif item.key and not item.by_position:
                plain = item.key.isidentifier()
                self.attributes[id(item)] = item.key if plain else Atom("format", (item.key,))
            else:
                self.attributes[id(item)] = _unique(self.kind(item), taken)
                unnamed.append(item)
                if not chain:
                    self.must_be_free(item)
        if not chain:
            self.name_by_turn(unnamed)
        for loop in walk(self.function.items):
            if isinstance(loop, Loop):
                self.turning.update(loop.targets)
                lets = [inner for inner in walk(loop.body) if isinstance(inner, Let)]
                changed = {let.name for let in lets if let.again}
                for name in dict.fromkeys(let.name for let in lets if not let.again):
                    if name not in changed:
                        self.defined.setdefault(name, value_in(loop.body, name))
                    elif loop in self.unsettled:  # by the turns of a loop within
                        self.unsettled[loop].add(name)

    def name_by_turn(self, items: list[Module]) -> None:
        """Name children without a label after the turns of loops that make them other ones."""
        turns: dict[Module, list[Loop]] = {}
        for item in items:
            read, outer = self.made_from(item), around(self.function.items, item)
            turns[item] = [loop for loop in outer if not read.isdisjoint(loop.varying())]
        others = [item.key for item in self.children(self.function.items)]
        others += [str(self.attributes[id(item)]) for item in items if not turns[item]]
        for item, loops in turns.items():
            if not loops:
                continue
            name = str(self.attributes[id(item)])
            name += "x" * name[-1].isdigit()
            numbers = [single(Atom("name", (self.counter(loop),))) for loop in loops]
            between = [part for number in numbers for part in ("_", number)][1:]
            attribute = Atom("format", (name, *between))
            while any(may_be(attribute, other) for other in others):
                name += "x"
                attribute = Atom("format", (name, *between))
            self.attributes[id(item)] = attribute

    def made_from(self, item: Item) -> set[str]:
        """Return the names that the constructor reads to make a child, or what is within it."""
        if isinstance(item, Layer):
            read: set[str] = {*expr_names(self.lowered(item).module), *mentioned(item.given)}
            shapes = item.before if item.given is not None else ()  # an argument is given the channels
            return read.union(mentioned(tuple(shape.c for shape in shapes if "c" in shape.axes)))
        if isinstance(item, Container):
            function = self.text.of_container(item, self.function.staged)
            if function.kind == "container":
                return set(function.names)
        read = {name for value in item.terms() for name in mentioned(value)}
        within = [] if isinstance(item, Child) else item.inner()
        return read.union(*(self.made_from(one) for items in within for one in items))

    def counter(self, loop: Loop) -> str:
        """Return the variable that is another number in every turn of a loop."""
        if loop.counter is None:
            staged, family = self.function.staged, self.text.family
            inner = [one for one in walk([loop]) if isinstance(one, Loop)]
            taken = {name for one in (*around(staged.items, loop), *inner) for name in one.targets}
            taken |= family.variables(staged.decl) - family.turning(staged.decl)
            taken |= {*staged.lets(), *self.text.constants, *(one.name for one in staged.params)}
            taken |= {*staged.labels.values(), *(one.name for one in staged.inputs)}  # in `forward`
            taken |= {one.key for one in walk(staged.items) if isinstance(one, Module)}
            loop.count_turns(next(name for name in turn_names() if name not in taken))
        counter = loop.counter
        assert counter is not None
        return counter

    def must_be_free(self, item: Module) -> None:
        """Refuse what has weights and is called by its position where it is no element of a Sequential."""
        if has_weights(item):
            name = item.op.name if isinstance(item, Layer) else item.span.text.split()[0].strip("():")
            name = name or "part"
            message = f"{name} needs a label here, where it is no plain element of a Sequential"
            help = f"{name.lower()}1: {item.span.text}"
            calls = item.calls if isinstance(item, Layer) else ()
            layers = [one for one in walk(self.function.items) if isinstance(one, Layer)]
            why = "is written as a function here: its op lacks `sequential = False`"
            functions = [one for one in layers if self.lowered(one).module is None and not one.op.wiring]
            labels = tuple([Label(one.span, f"{one.op.name} {why}") for one in functions[:1]])
            raise NetError([Diagnostic("E221", message, item.span, labels=labels, calls=calls, help=help)])

    def own_table(self) -> str:
        """Return what the class is if it holds its children by their names, none of which is an attribute.

        Those that count make it a list, if it is no net; with other numbers it is a mapping, if it takes a list.
        """
        own = list(self.children(self.function.items))
        names = [self.attributes[id(item)] for item in own]
        if not (self.dialect.table and names) or any(isinstance(n, str) or "." in text(n) for n in names):
            return ""
        labelled = [item for item in children(self.function.items) if item.labelled]
        counts = self.function.counts and all(item.labelled for item in own)
        if counts and self.function.kind != "net" and all(map(self.is_module, labelled)):
            for item in own:
                item.home = OWN
            return self.dialect.lists[LIST]
        return self.dialect.table if self.lengths else ""

    def children(self, items: list[Item]) -> Iterator[Module]:
        """Yield the modules that are children of this class itself."""
        for item in items:
            if isinstance(item, Module):
                if self.is_module(item):
                    yield item
            else:
                for inner in item.inner():
                    yield from self.children(inner)

    @staticmethod
    def kind(item: Module) -> str:
        """Return what a child without a label is called."""
        if isinstance(item, Layer):
            if item.given is not None:
                return text(item.given.whole).rpartition(".")[2].rpartition("]")[0] or text(item.given.whole)
            return item.op.name
        return item.cls.decl.name.lower() if isinstance(item, Child) else "seq"

    def is_module(self, item: Item) -> bool:
        """Tell whether something is a child: it has state or draws random numbers, or the spec gives it a name."""
        if not isinstance(item, Layer):
            return isinstance(item, Module)
        lowered = self.lowered(item)
        if lowered.module is None:
            return False
        if lowered.function is None or mentions_self(lowered.function) or item.op.module:
            return True
        return item.given is not None or (
            self.dialect.labels and item.labelled and not item.op.wiring and item.own_label
        )

    def is_nothing(self, item: Item) -> bool:
        """Tell whether something is only its input."""
        return isinstance(item, Layer) and isinstance(self.lowered(item).function, Input)

    def enlarges(self, item: Item) -> bool:
        """Tell whether a layer is a joint whose first branch is smaller than the others in some net of the file."""
        return isinstance(item, Layer) and len(item.inputs) > 1 and place_of(item.span) in self.text.enlarging

    def overwrites(self, item: Layer) -> bool:
        """Tell whether a layer writes its output over its first input."""
        return id(item) in self.writing and item.op.overwrites(*item.before)

    def lowered(self, item: Layer) -> Lowered:
        """Return what a layer is in the framework."""
        if id(item) not in self.own:
            self.own[id(item)] = self.text.lower(item, id(item) in self.writing)
        return self.own[id(item)]

    def results(self, item: Module) -> tuple[Wire, ...]:
        """Return what a child's call returns."""
        if isinstance(item, Container):
            return self.text.of_container(item, self.function.staged).outputs
        return item.outputs

    def is_chain(self, item: Container) -> bool:
        """Tell whether a container is a chain of modules, and no class."""
        return self.text.of_container(item, self.function.staged).kind == "chain"

    def arguments(self, item: Module) -> tuple[Wire, ...]:
        """Return what a child is called with."""
        if isinstance(item, Container):
            return tuple(self.text.of_container(item, self.function.staged).inputs)
        return item.inputs

    def called(self, item: Module) -> str | Expr:
        """Return a child as `forward` calls it."""
        if not self.is_module(item):
            return ""
        if id(item) in self.in_turn:
            return self.in_turn[id(item)]
        attribute = self.attributes[id(item)]
        if isinstance(attribute, str):
            return f"self.{attribute}"
        if item.home:
            return Name(self.in_list(item, self.read))
        name = text(self.read(attribute))
        return Name(f"self[{name}]" if self.table else f"getattr(self, {name})")

    def in_list(self, item: Module, read: Callable[[Any], Any]) -> str:
        """Return a child of a list, with its numbers as they are read here."""
        attribute = self.attributes[id(item)]
        assert isinstance(attribute, Atom)
        if item.home == PATH:
            return self.dialect.lists[PATH].format(text(read(attribute)))
        return f"{self.list_of(item)}[{self.key_in_list(item, read)}]"

    @staticmethod
    def list_of(item: Module) -> str:
        """Return the list that holds a child."""
        one = entry(item)
        return f"self.{one.list}" if one is not None else "self"

    def one_each(self, loop: Loop) -> dict[str, list[Module]]:
        """Return the lists that hold the child of each turn of a loop, and nothing else, with what is put in."""
        own = [item for item in self.children(loop.body) if item.home in (LIST, OWN)]
        found: dict[str, list[Module]] = {}
        for item in own:
            found.setdefault(self.list_of(item), []).append(item)
        every = Counter(self.list_of(item) for item in self.children(self.function.items) if item.home)
        return {
            name: items
            for name, items in found.items()
            if len(items) == every[name]
            and not any(item.again or is_learned(item) for item in items)
            and all(list(around(self.function.items, item)) == [loop] for item in items)
            and put_in(loop.body, items) == 1
        }

    @staticmethod
    def key_in_list(item: Module, read: Callable[[Any], Any]) -> str:
        """Return the number or name of a child in its list."""
        one = entry(item) or in_itself(item)
        key = one.number if item.home in (LIST, OWN) else Atom("format", one.parts[-1])
        return text(read(key))

    def ends(self, item: Module) -> str | Atom:
        """Return the attribute that holds where the stages of a chain end."""
        attribute = self.attributes[id(item)]
        parts = (attribute,) if isinstance(attribute, str) else attribute.args
        own = Atom("format", ("_", *parts, "_ends"))
        known = "".join(own.args) if all(isinstance(part, str) for part in parts) else ""
        return known if known.isidentifier() else own

    # ---------------------------------------------------------------- what forward reads

    def read(self, value: Any) -> Any:
        """Return a value as `forward` reads it: from attributes."""
        value = renamed(value, self.lengths) if self.lengths else value
        env: dict[str, Any] = {}
        for name in mentioned(value):
            env[name] = self.kept(name)
        return renamed(value, env)

    def kept(self, name: str) -> Any:
        """Return an expression of a name in `forward`, and store what it reads."""
        bound = self.text.bound(self.function)
        if name in bound:
            return bound[name]
        if (
            name in self.turning
            or name in self.text.constants
            or any(name in names(n) for n in self.lengths.values())
        ):
            return Atom("name", (name,))
        self.must_be_settled(name)
        if name in self.defined:
            return self.read(self.defined[name])
        attribute = self.stored.setdefault(name, self.free_attribute(name))
        return Atom("name", (f"self.{attribute}",))

    def must_be_settled(self, name: str) -> None:
        """Refuse a variable that is bound anew later, or in other turns: an attribute holds what it is in the end."""
        item = next((item for item, names in self.unsettled.items() if name in names), None)
        if item is None:
            return
        when, help = "changes from turn to turn of a loop", "compute it from what the loop runs over"
        if isinstance(item, If):
            when, help = "is bound anew under a condition", "give what it is then another name"
        decl = self.function.staged.decl
        message = f"`{name}` {when}, and `forward` knows only what it is in the end"
        span = Span(decl.file.source, decl.node.start, decl.node.end)
        raise NetError([Diagnostic("E508", message, span, help=help)])

    def settle(self, items: list[Item]) -> None:
        """Note that `forward` has left loops and conditions."""
        for item in within_class(items):
            self.unsettled.pop(item, None)

    def begin(self, item: If) -> None:
        """Note that `forward` comes to a condition: what it binds anew is read behind that from now on."""
        read: set[str] = set()
        for inner in walk([item]):
            if isinstance(inner, Let) and inner.name in read:
                return  # or before it
            if not isinstance(inner, (Let, Check)):
                read |= Mentioned()[inner]
        self.unsettled.pop(item, None)

    def free_attribute(self, name: str) -> str:
        """Return an attribute for a name that no child has."""
        taken = {a for a in self.attributes.values() if isinstance(a, str)} | set(self.flags)
        taken |= {one.list for one in map(entry, self.children(self.function.items)) if one is not None}
        numbered = [one for one in self.attributes.values() if isinstance(one, Atom)]
        while name in taken or reserved_attribute(name) or any(may_be(one, name) for one in numbered):
            name += "_"
        return name

    def in_forward(self, expr: Expr) -> Expr:
        """Return an expression of code with what it reads from attributes."""
        env = {name: self.kept(name) for name in expr_names(expr)}
        return renamed_expr(expr, env) if env else expr

    def iterated(self, item: Loop) -> Expr:
        """Return what a loop runs over, as `forward` reads it."""
        return Const(self.symbol(self.read(item.over)))

    @staticmethod
    def symbol(value: Any) -> Any:
        """Return an expression as a constant of code."""
        return SymBool(True, value) if isinstance(value, Atom) else value

    # ---------------------------------------------------------------- conditions

    def guard(self, item: If, negated: bool = False) -> Expr:
        """Return what `forward` asks where the constructor asked for arguments."""
        if self.turns(item.test):
            test = self.read(item.test)
            return Const(SymBool(True, _not(test) if negated else test))
        for side, items in ((True, item.then), (False, item.otherwise)):
            attribute = next(self.only_here(items), None)
            if attribute is not None:
                self.optional[id(item)] = attribute
                there = side != negated
                return Name(f"self.{attribute} is {'not ' if there else ''}None")
        for attribute, other in self.learned_under(item):
            self.optional[id(other)] = attribute
            there = (other.test == item.test) != negated
            return Name(f"self.{attribute} is {'not ' if there else ''}None")
        return self.flagged(item, negated)

    def turns(self, test: Atom) -> bool:
        """Tell whether a condition may be another one in other turns of a loop."""
        asked = [*mentioned(test)]
        for name in asked:
            if name in self.turning:
                return True
            if any(name in changed for item, changed in self.unsettled.items() if isinstance(item, Loop)):
                return True
            asked += [one for one in mentioned(self.defined.get(name)) if one not in asked]
        return False

    def asks_child(self, item: If) -> bool:
        """Tell whether a guard asks for a child, which a type checker only then knows to be there."""
        if self.turns(item.test):
            return False
        return any(True for side in item.inner() for _ in self.only_here(side)) or any(
            self.learned_under(item)
        )

    def learned_under(self, item: If) -> Iterator[tuple[str, If]]:
        """Yield the learned tensors that are read under a condition, and that under which each is there."""
        read = set(item.reads())
        for other in walk(self.function.items):
            if isinstance(other, If) and other.test in (item.test, _not(item.test)):
                attribute = next(self.only_here(other.then), "")
                made = [one for one in other.then if self.attributes.get(id(one)) == attribute]
                if any(is_learned(one) and not read.isdisjoint(one.makes()) for one in made):
                    yield attribute, other

    def only_here(self, items: list[Item]) -> Iterator[str]:
        """Yield the children that are there on one side of a condition, under no other, and nowhere else."""
        own = [item for item in items if isinstance(item, Module)]
        own += [
            inner
            for item in items
            if isinstance(item, Side)
            for inner in item.items
            if isinstance(inner, Module)
        ]
        everywhere = list(self.attributes.values())
        for item in own:
            attribute = self.attributes.get(id(item))
            if isinstance(attribute, str) and everywhere.count(attribute) == 1 and not item.contested:
                yield attribute

    def flagged(self, item: If, negated: bool) -> Expr:
        """Return an attribute that holds a condition."""
        test = item.test
        inner: Atom = test.args[0] if test.op == "not" else test
        if inner.op in ("is none", "is not none"):
            inner = Atom(inner.op, inner.args)
        if inner.op == "name":
            shown = self.read(inner)
            self.fix(item, self.stored.get(inner.args[0]))
            turned = (test.op == "not") != negated
            return Const(SymBool(True, _not(shown) if turned else shown))
        known = next((name for name, other in self.flags.items() if test in (other, _not(other))), "")
        for own in mentioned(test):
            self.must_be_settled(own)
        name = known or self.free_attribute(self.flag_name(item))
        turned = self.flags.setdefault(name, test) != test
        self.fix(item, name)
        flag = Atom("name", (f"self.{name}",))
        return Const(SymBool(True, _not(flag) if turned != negated else flag))

    def fix(self, item: If, attribute: str | None) -> None:
        """Note that something is there or not as an attribute says, so that compilers look at one side only."""
        if attribute is None:
            return
        asked = {*one_sided(item), *item.reads()}
        children = any(True for items in item.inner() for _ in self.children(items))
        if children or not self.sometimes.isdisjoint(asked):
            self.fixed[attribute] = None

    def flag_name(self, item: If) -> str:
        """Return what to call an attribute that says whether something is there: as no argument that it is not."""
        others = {p.name for p in self.function.staged.params}.difference(mentioned(item.test))
        for inner in walk([*item.then, *item.otherwise]):
            if isinstance(inner, Layer) and not self.is_nothing(inner):
                plain = f"with_{inner.op.name}"
                name = plain
                if inner.op.folds:
                    name = "scaled" if inner.op.product else "residual"
                return plain if name in others else name
        return "other"


def is_learned(item: Item) -> bool:
    """Tell whether an item is a learned tensor."""
    return isinstance(item, Layer) and not item.inputs


def has_weights(item: Item, around: tuple[Staged, ...] = ()) -> bool:
    """Tell whether an item, or anything in it, has learned weights; `around` are the classes that it is in."""
    if isinstance(item, Layer):
        return bool(item.op.weights(*item.before))
    if not isinstance(item, Child):
        return any(has_weights(one, around) for items in item.inner() for one in items)
    within = item.cls.items if item.cls not in around else ()
    return any(has_weights(one, (*around, item.cls)) for one in within)


def length_of(channels: str) -> Atom:
    """Return the length of a list that comes in."""
    return Atom("call", ("len", Atom("name", (channels,))))


def put_in(items: list[Item], wanted: list[Module]) -> int | None:
    """Return how many of some modules are made, if that is one number on all sides of conditions."""
    total = 0
    for item in items:
        numbers = [int(item in wanted)]
        if not isinstance(item, Module):
            sides = [put_in(side, wanted) for side in item.inner()]
            numbers = [one for one in sides if one is not None]
            if len(numbers) < len(sides):
                return None
            if isinstance(item, If):
                if numbers[0] != numbers[1]:
                    return None
                numbers.pop()
        total += sum(numbers)
    return total


def around(items: list[Item], wanted: Item) -> Iterator[Loop]:
    """Yield the loops around an item, the outermost first."""
    for item in items:
        if item is not wanted and any(one is wanted for one in walk([item])):
            if isinstance(item, Loop):
                yield item
            for inner in item.inner():
                yield from around(inner, wanted)


def shared(items: list[Item]) -> Iterator[list[Layer]]:
    """Yield the layers that are one module, by module."""
    uses: dict[str, list[Layer]] = {}

    def visit(items: list[Item]) -> Iterator[list[Layer]]:
        for item in items:
            if isinstance(item, Layer) and item.own_label:
                uses.setdefault(item.key, []).append(item)
            for inner in item.inner():
                yield from shared(inner) if isinstance(item, Container) else visit(inner)

    yield from visit(items)
    yield from uses.values()


def _not(test: Atom) -> Atom:
    return negated(test)


def may_be(attribute: Atom, name: str) -> bool:
    """Tell whether an attribute with numbers in it is a name for some numbers."""
    parts = (re.escape(part) if isinstance(part, str) else "[0-9]+" for part in attribute.args)
    return re.fullmatch("".join(parts), name) is not None


def turn_names() -> Iterator[str]:
    """Yield names for the number of a turn, the best first."""
    yield from (*"ijkmn", "turn")
    yield from (f"turn{number}" for number in count(2))


def place_of(span: Span) -> tuple[str, int, int]:
    """Return what tells a place of a text from all others."""
    return span.source.name, span.start, span.end


def within_class(items: list[Item]) -> Iterator[Item]:
    """Yield items and all within that are not within a module."""
    for item in items:
        yield item
        for inner in item.inner() if not isinstance(item, Module) else ():
            yield from within_class(inner)


def bound_anew(items: list[Item], bound: set[str]) -> Iterator[tuple[If, set[str]]]:
    """Yield the conditions under which variables that are `bound` before them are bound anew, with these."""
    for item in items:
        names = {inner.name for inner in walk([item]) if isinstance(inner, Let)}
        if isinstance(item, If) and not bound.isdisjoint(names):
            yield item, bound.intersection(names)
        for inner in item.inner() if not isinstance(item, Module) else ():
            yield from bound_anew(inner, set(bound))
        bound |= names


def value_in(items: list[Item], name: str, value: Any = None) -> Any:
    """Return what a variable is after items that may bind it, as they may one that has a value already."""
    for item in items:
        if isinstance(item, Let) and item.name == name:
            value = renamed(term(item.value), {} if value is None else {name: value})
        elif isinstance(item, If):
            then, otherwise = (value_in(side, name, value) for side in item.inner())
            if then is None or otherwise is None:  # it is read on the other side alone
                value = otherwise if then is None else then
            elif then != otherwise:
                value = Atom("if", (item.test, then, otherwise))
        else:
            for inner in item.inner():
                value = value_in(inner, name, value)
    return value


def changed_by(loop: Loop) -> Iterator[str]:
    """Yield the variables that turns of a loop hand on, and those that its children are asked for."""
    for item in within_class(loop.body):
        if isinstance(item, Let) and item.again:
            yield item.name
        elif isinstance(item, Child):
            yield from item.asked


def _unique(name: str, taken: set[str]) -> str:
    """Return a name that no other child has, and take it."""
    candidate, number = name, 1
    while candidate in taken or reserved_attribute(candidate):
        number += 1
        candidate = f"{name}{number}"
    taken.add(candidate)
    return candidate

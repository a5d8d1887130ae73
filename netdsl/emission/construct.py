"""The constructor of a class: its children, made with the arguments, conditions and loops of the spec."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, count, islice
from typing import TYPE_CHECKING, Any, TypeGuard

from netdsl.emission.code import Arg, Call, Comment, Expr, Listed, Name, Param, transform
from netdsl.emission.concolic import mentioned
from netdsl.emission.dotted import LIST, MAPPING, OWN, PATH, entry
from netdsl.emission.function import Function, names_read, renamed, renamed_expr
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
    Numbered,
    Side,
    Slot,
    Store,
    has_stages,
    walk,
)
from netdsl.emission.members import Members, within_class
from netdsl.emission.numbered import apart, is_mapping
from netdsl.emission.writer import INDENT, WIDTH, Each, Either, flat, layout
from netdsl.ops.source import Weight
from netdsl.symbolic import Atom, Poly, SymBool, SymInt, list_of, negated, single, term, text

if TYPE_CHECKING:
    from netdsl.emission.module import ModuleText

_LISTS = ("layers", "block", "inner", "part")
"""What lists of layers are called, the outermost first."""
_MAPPINGS = ("named", "members", "parts", "pieces")
"""What mappings of layers by their names are called."""


class Constructor:
    """Writes one constructor."""

    def __init__(self, function: Function, members: Members, module: ModuleText) -> None:
        """`members` say what is stored for the forward function."""
        self.function = function
        self.members = members
        self.module = module
        self.dialect = module.dialect
        self.lines: list[str] = []
        self.depth = 2
        self.nesting = 0
        self.ends = "ends"
        """What a list of the lengths of a chain at the end of each stage is called."""
        self.declared: set[str] = set()
        """Children whose types are written."""
        self.annotated: dict[str, str] = {}
        self.locals: dict[str, str] = {}
        """What tells modules of one class from others, by the variable that holds them until they are in a list."""
        self.begun: set[str] = set()
        self.bound = module.bound(function)
        self.made: set[str | Atom] = set()
        """The children that are certainly there where the next line stands."""
        self.written: set[int] = set()
        """The children that are there before the condition under which they stand."""
        self.said: set[int] = set()
        """The checks that stand before the condition under which they are."""
        self.used = self.read_names()
        self.taken = {p.name for p in function.staged.params}
        self.taken |= function.staged.lets()
        self.taken |= module.family.variables(function.staged.decl)

    def read_names(self) -> set[str]:
        """Return the names that constructors read, so that a local variable is worth a line."""
        found: set[str] = set()
        stack = list(self.function.items)
        sequential = self.module.is_sequential(self.function)
        beyond = set() if sequential else {id(item) for item in self.beyond(stack)}
        for item in walk(stack):
            if isinstance(item, (Let, Store)) or id(item) in beyond:
                continue
            found.update(names_read(item, self.module.lower))
            if isinstance(item, Container):
                found.update(self.module.of_container(item, self.function.staged).names)
            if isinstance(item, Module) and self.numbered_by(item):
                found.update(mentioned(item.name))
        if self.function.staged.told and self.function.kind != "container":
            for shape in self.function.staged.out_terms:
                if "c" in shape.axes:
                    found.update(mentioned(shape.c))
        found.update(name for name in self.members.stored)
        for test in self.members.flags.values():
            found.update(mentioned(test))
        reads = [(item.name, item.value) for item in walk(stack) if isinstance(item, Let)]
        reads += [
            (item.keeps, value)
            for item in walk(stack)
            if isinstance(item, Store)
            for value in (*item.terms(), item.index)
        ]
        while True:  # what a needed variable reads is needed
            more = {
                name for own, value in reads if own in found for name in mentioned(value) if name not in found
            }
            if not more:
                return found
            found |= more

    def beyond(self, items: list[Item]) -> Iterator[Item]:
        """Yield the layers, conditions and loops of which only `forward` has lines."""
        for item in within_class(items):
            lines = any(
                isinstance(inner, (Check, Let, Numbered, Store)) or self.members.is_module(inner)
                for inner in walk([item])
            )
            if isinstance(item, (Layer, If, Loop)) and not lines:
                yield item

    # ---------------------------------------------------------------- text

    @property
    def indent(self) -> str:
        """What a line begins with here."""
        return INDENT * self.depth

    def line(self, text: str) -> None:
        """Add a line."""
        self.lines.append(f"{self.indent}{text}")

    def put(self, head: str, expr: Expr, tail: str = "", explode: bool = False) -> None:
        """Add an expression, on as many lines as it takes."""
        self.lines += layout(head, expr, tail, self.indent, explode)

    def value(self, value: Any) -> str:
        """Return a value or term as text."""
        return flat(self.constant(value))

    def constant(self, value: Any) -> Expr:
        """Return a value or term as code."""
        if isinstance(value, Atom):
            value = SymBool(True, value)
        return self.module.expression(renamed(value, self.bound))

    def settled(self, expr: Expr) -> Expr:
        """Return code with the sizes that stand as numbers here."""
        return renamed_expr(expr, self.bound) if self.bound else expr

    # ---------------------------------------------------------------- children as attributes

    def attributes(self, items: list[Item]) -> None:
        """Write what makes the children."""
        for at, item in enumerate(items):
            if item.stage and not isinstance(item, (Let, Check)):
                self.line(f"# stage {item.stage}")
            for name, home in item.begins:
                self.begin_list(name, home, items[at:])
            if isinstance(item, Let):
                self.let(item)
            elif isinstance(item, Check):
                self.check(item)
            elif isinstance(item, Numbered) and item.keeps in self.used:
                self.line(f"{item.keeps}: {item.type_of('int')} = {{}}")
            elif isinstance(item, Store) and item.keeps in self.used:
                index = ", ".join(map(self.value, apart(item.index)))
                self.put(f"{item.keeps}[{index}] = ", self.constant(item.channels))
            elif isinstance(item, If):
                self.condition(item, self.attributes, self.holds)
            elif isinstance(item, Loop):
                self.loop(item, self.attributes, self.holds)
            elif isinstance(item, Side):
                self.attributes(item.items)
            elif self.makes(item):
                self.attribute(item)

    def makes(self, item: Item) -> TypeGuard[Module]:
        """Tell whether an item is a child that is not there yet."""
        if not isinstance(item, Module) or not self.members.is_module(item) or id(item) in self.written:
            return False
        return not item.again or self.members.attributes[id(item)] not in self.made

    def holds(self, items: list[Item]) -> bool:
        """Tell whether items make any child, or check anything."""
        return any(
            (isinstance(i, Check) and id(i) not in self.said)
            or (isinstance(i, Let) and self.binds(i))
            or (isinstance(i, (Numbered, Store)) and i.keeps in self.used)
            or self.makes(i)
            or any(map(self.holds, i.inner() if not isinstance(i, Module) else ()))
            for i in items
        )

    def binds(self, item: Let) -> bool:
        """Tell whether a statement stands here for a local variable, since something reads it."""
        return any(one.name in self.used for one in item.unpacked)

    def let(self, item: Let) -> None:
        """Write a local variable, if anything reads it."""
        if len(item.unpacked) > 1 and self.binds(item):
            names = (one.name if one.name in self.used else "_" for one in item.unpacked)
            self.put(f"{', '.join(names)} = ", self.constant(list_of(item.value)))
        elif self.binds(item):
            operator, value = step(item) if item.again else ("", item.value)
            self.put(f"{item.name} {operator}= ", self.constant(value))

    def check(self, item: Check) -> None:
        """Write what must hold of the arguments."""
        test = renamed(negated(item.test), self.bound)
        self.put("if ", self.constant(test), ":")
        message = item.message.replace('"', "'")
        room = WIDTH - len(self.indent) - 2 * len(INDENT) - len('f"",')
        if len(message) > room:
            message = message.partition(", not {")[0]
        if len(message) <= room:
            self.fail(Name(quoted(message)))
            return
        # no formatter breaks a string
        parts = [""]
        for word in re.findall(r"(?:{[^}]*}|[^\s{])+\s?", message):
            parts += [""] if len(f"{parts[-1]}{word}") > room else []
            parts[-1] += word
        self.depth += 1
        self.line("raise ValueError(")
        for part in parts:
            self.line(f"{INDENT}{quoted(part)}")
        self.line(")")
        self.depth -= 1

    def fail(self, message: Expr) -> None:
        """Write what is raised where a condition holds."""
        self.depth += 1
        self.put("raise ", Call("ValueError", (Arg("", message, keyword=False),)))
        self.depth -= 1

    def once(self, item: Module, key: str, held: str) -> None:
        """Write that a label that others may have is not there yet: its code, and that of the condition."""
        if item.doubtful and id(item) not in self.said:
            self.said.add(id(item))
            self.line(f"if {held}:")
            shown = key.strip("f").strip('"')
            self.fail(Name(f'{"f" * ("{" in shown)}"two modules are called {shown}"'))

    def condition(self, item: If, inner: Any, holds: Any, first: bool = True) -> None:
        """Write an `if`; one that is not the `first` stands behind an `else`."""
        for side, other, test in (
            (item.then, item.otherwise, item.test),
            (item.otherwise, item.then, negated(item.test)),
        ):
            if len(side) == 1 and isinstance(side[0], Check) and side[0].test == negated(test):
                self.check(side[0])
                if first:
                    inner(other)
                elif holds(other):
                    self.line("else:")
                    self.deeper(inner, other)
                return
            held = [one for one in side if holds([one])]
            only = held[0] if first and len(held) == 1 and holds(other) else None
            if isinstance(only, Check):  # all that a side has
                self.check(Check(negated(Atom("and", (test, negated(only.test)))), only.message))
                self.said.add(id(only))
        attribute = self.members.optional.get(id(item))
        if attribute is not None and inner == self.attributes:
            if self.either(item, attribute):
                return
            if not (self.dialect.conditional and self.function_or_none(item, attribute)):
                for one in alternatives([item]):
                    if self.members.attributes.get(id(one)) == attribute:
                        assert isinstance(one, Module)
                        self.refuse(one, attribute)
                self.line(f"self.{attribute}: {self.kind(item, attribute)} | None = {self.dialect.nothing}")
        test, then, otherwise = item.test, item.then, item.otherwise
        if not holds(then):
            if not holds(otherwise):
                return
            test, then, otherwise = negated(test), otherwise, []
        then = [one for one in then if holds([one])]
        while len(then) == 1 and isinstance(then[0], If) and not holds(otherwise):  # one condition for both
            nested = then[0]
            asked, side, rest = nested.test, nested.then, nested.otherwise
            if not holds(side):
                asked, side, rest = negated(asked), rest, []
            if id(nested) in self.members.optional or holds(rest) or not holds(side):
                break
            then = [one for one in side if holds([one])]
            if not (isinstance(then[0], Check) and then[0].test == negated(asked)):
                test = Atom("and", (test, asked))
        only = then[0] if len(then) == 1 and not holds(otherwise) else None
        if isinstance(only, Check):  # one condition for both
            joined = Atom("and", (test, negated(only.test)))
            self.check(Check(negated(joined) if test != negated(only.test) else only.test, only.message))
            return
        more = [one for one in otherwise if holds([one])]
        while len(more) == 1 and isinstance(more[0], If):
            if id(more[0]) in self.members.optional:  # its child is None beforehand
                break
            if not self.alike(then, [one for one in more[0].then if holds([one])]):
                break
            test = Atom("or", (test, more[0].test))
            more = otherwise = [one for one in more[0].otherwise if holds([one])]
        chosen = self.chosen(test, then, more) if first else []
        if chosen:
            self.lines += chosen
            return
        if inner == self.attributes:
            self.declare(then, otherwise)
        self.put("if ", self.constant(test), ":")
        self.deeper(inner, then)
        if not more:
            return
        begin, only = len(self.lines), more[0] if len(more) == 1 else None
        if isinstance(only, Check) or (isinstance(only, If) and not self.members.optional.get(id(only))):
            if isinstance(only, Check):
                self.check(only)
            else:
                self.condition(only, inner, holds, first=False)
            self.lines[begin] = f"{self.indent}el{self.lines[begin].lstrip()}"
            return
        self.line("else:")
        self.deeper(inner, otherwise)

    def alike(self, one: list[Item], other: list[Item]) -> bool:
        """Tell whether two sides are the same children, made in one expression each."""

        def written(item: Item) -> tuple[Any, list[str]] | None:
            expr = self.expression(item) if isinstance(item, Module) else None
            return (
                (self.members.attributes.get(id(item)), layout("", expr, "", ""))
                if expr is not None
                else None
            )

        ours = list(map(written, one))
        return None not in ours and ours == list(map(written, other))

    def chosen(self, test: Atom, then: list[Item], otherwise: list[Item]) -> list[str]:
        """Return one line for a variable that is one number or another, if that is all that a condition decides."""
        if len(then) != 1 or len(otherwise) != 1:
            return []
        one, two = then[0], otherwise[0]
        if not (isinstance(one, Let) and isinstance(two, Let)) or one.name != two.name:
            return []
        if len(one.unpacked) != 1 or len(two.unpacked) != 1:
            return []
        either = Atom("if", (test, term(one.value), term(two.value)))
        lines = layout(f"{one.name} = ", self.constant(either), "", self.indent)
        return lines if len(lines) == 1 else []

    def declare(self, *sides: list[Item]) -> None:
        """Write the types of children on sides of a condition that are modules of several kinds, here or later."""
        attributes = self.members.attributes
        here = {attributes.get(id(item)) for side in sides for item in alternatives(side)}
        kinds: dict[str, dict[str, Module]] = {}
        for item in walk(self.function.items):
            name = attributes.get(id(item))
            if isinstance(name, str) and name in here and isinstance(item, Module) and self.makes(item):
                kinds.setdefault(name, {})[self.kind_of(item)] = item
        for name, found in kinds.items():
            if len(found) > 1 and name not in self.declared and name not in self.made:
                self.declared.add(name)
                plain = not self.dialect.several or all(map(self.is_plain, found.values()))
                any_way = self.dialect.several.format(self.dialect.array)
                self.line(f"self.{name}: {self.dialect.layer if plain else any_way}")

    def is_plain(self, item: Module) -> bool:
        """Tell whether a child takes one value and returns one, as layers do, and neither is a list."""
        if isinstance(item, Layer):
            return True
        arguments, results = self.members.arguments(item), self.members.results(item)
        lists = self.function.staged.lists
        plain = not any(wire in lists or is_mapping(wire) for wire in (*arguments, *results))
        return plain and len(arguments) == len(results) == 1

    def kind_of(self, item: Module) -> str:
        """Return what tells modules of one class from those of another."""
        if isinstance(item, Child):
            return item.cls.name if item.callee is None else text(item.callee.whole)
        if isinstance(item, Container):
            function = self.module.of_container(item, self.function.staged)
            return function.name if function.kind == "container" else self.dialect.sequential
        return item.op.name if isinstance(item, Layer) else ""

    def either(self, item: If, attribute: str) -> bool:
        """Write a child that may not be there as one expression, if that is all that a condition makes.

        Where the dialect leaves the choice, it is one that a line holds.
        """
        then, otherwise = ([inner for one in side for inner in within(one)] for side in item.inner())
        held = [one for one in (*then, *otherwise) if self.holds([one])]
        if len(held) != 1 or not self.makes(held[0]) or self.members.attributes[id(held[0])] != attribute:
            return False
        expr = self.entry(held[0])
        if expr is None:
            return False
        lines = self.or_none(attribute, item.test if held[0] in then else negated(item.test), expr)
        if len(lines) > 1 and not self.dialect.conditional:
            return False
        self.made.add(attribute)
        self.lines += lines
        return True

    def kind(self, item: If, attribute: str) -> str:
        """Return the type of a child that may not be there: a layer's, or its class where calls are no layer's."""
        for one in alternatives([item]):
            if isinstance(one, Layer) and self.members.attributes.get(id(one)) == attribute:
                return self.dialect.learned if isinstance(one.op, Weight) else self.dialect.layer
        lists, array = self.function.staged.lists, self.dialect.array
        for one in (*item.then, *item.otherwise) if self.dialect.several else ():
            if isinstance(one, (Child, Container)) and self.members.attributes.get(id(one)) == attribute:
                if self.is_plain(one):
                    break
                results = self.members.results(one)
                expr = self.expression(one)
                if isinstance(expr, Call) and getattr(one, "callee", None) is None:
                    return str(expr.func)
                many = f"tuple[{array}, ...]" if len(results) > 1 else f"list[{array}]"
                one_array = len(results) == 1 and results[0] not in lists
                return self.dialect.several.format(array if one_array else many)
        return self.dialect.layer

    def or_none(self, attribute: str, test: Atom, expr: Expr) -> list[str]:
        """Return the lines of a child that is None where a condition is false."""
        shown = self.value(test)
        if not isinstance(expr, Name) or shown != f"{expr.text} is not None":  # else it says so itself
            expr = Either(self.constant(test), expr, Name("None"))
        return layout(f"self.{attribute} = ", expr, "", self.indent)

    def function_or_none(self, item: If, attribute: str) -> bool:
        """Write an argument that may not be there and is no module, whose attribute may not change its kind."""
        for side, test in ((item.then, item.test), (item.otherwise, negated(item.test))):
            for one in side:
                if isinstance(one, Layer) and self.members.attributes.get(id(one)) == attribute:
                    expr = self.expression(one)
                    if not isinstance(expr, Name):
                        return False
                    self.lines += self.or_none(attribute, test, expr)
                    self.written.add(id(one))
                    return True
        return False

    def loop(self, item: Loop, inner: Any, holds: Any) -> None:
        """Write a `for`."""
        if not holds(item.body):
            return
        targets, over = self.turns(item, holds)
        self.line(f"for {targets} in {over}:")
        self.deeper(inner, item.body)

    def turns(self, item: Loop, holds: Any = None) -> tuple[str, str]:
        """Return a loop's variables, those that nobody reads as underscores, and what it runs over.

        `holds` tells which conditions within are written at all.
        """
        read: set[str] = set()
        for inner in walk(item.body):
            if isinstance(inner, If) and holds is not None and not holds([inner]):
                continue
            if not isinstance(inner, Let) or inner.name in self.used:
                for value in inner.terms():
                    read.update(mentioned(value))
            if isinstance(inner, Store) and inner.keeps in self.used:
                read.update(mentioned(inner.index))
            if isinstance(inner, Module) and inner.name is not None:
                read.update(mentioned(inner.name) if self.numbered_by(inner) else ())
            elif isinstance(inner, Module) and isinstance(self.members.attributes.get(id(inner)), Atom):
                read.update(mentioned(self.members.attributes[id(inner)]))
        targets, over = item.comprehended(read)
        return targets, self.value(over)

    def deeper(self, inner: Any, items: list[Item]) -> None:
        """Write items one level in."""
        self.depth += 1
        before, made = len(self.lines), set(self.made)
        inner(items)
        if len(self.lines) == before:
            self.line("pass")
        self.depth -= 1
        self.made = made

    def attribute(self, item: Module) -> None:
        """Write a child."""
        name = self.members.attributes[id(item)]
        self.made.add(name)
        if item.home:
            self.put_in(item)
            return
        self.refuse(item, name)
        expr = self.expression(item)
        at_once = expr is None  # what takes statements is initialised by them
        if expr is None:
            assert isinstance(item, Container)
            expr = self.gathered(item)
        if self.module.features and isinstance(item, Container) and has_stages(item.items):
            kept = self.members.ends(item)
            if isinstance(kept, str):
                self.line(f"self.{kept} = {self.ends}")
            else:
                self.put("", Call("setattr", _positional("self", self.value(kept), self.ends)))
        if isinstance(name, str):
            explode = isinstance(expr, Call) and expr.func == self.dialect.sequential and len(expr.args) > 3
            self.put(f"self.{name} = ", expr, explode=explode)
            place = f"self.{name}"
        elif self.members.table:
            place = f"self[{self.value(name)}]"
            self.put(f"{place} = ", expr)
        else:
            self.put("", self.dialect.register(Name(self.value(name)), expr))
            place = f"getattr(self, {self.value(name)})"
        if not at_once:
            self.initialise(item, place)
        if isinstance(item, Child) and self.asks(item):
            self.line(self.answer(item, place))
        for line in self.asked(item, place):
            self.line(line)

    def refuse(self, item: Module, name: str | Atom) -> None:
        """Write that no other child has a name, where one may."""
        key = f'"{name}"' if isinstance(name, str) else self.value(name)
        self.once(item, key, f"{key} in self" if self.members.table else f"hasattr(self, {key})")

    def asks(self, item: Child) -> bool:
        """Tell whether a called class is asked for channels that are read here."""
        return not self.used.isdisjoint(item.asked)

    def answer(self, item: Child, place: str) -> str:
        """Return the statement that asks a called class for the channels of what it returns."""
        names = (name if name in self.used else "_" for name in item.results)
        if item.may_be_op:
            return f'{", ".join(names)} = getattr({place}, "out_channels", {self.value(item.channels)})'
        return f"{', '.join(names)} = {place}.out_channels"

    def asked(self, item: Module, place: str) -> Iterator[str]:
        """Yield the statements that ask a container for its local variables that are read here."""
        if isinstance(item, Container):
            tells = self.module.of_container(item, self.function.staged).tells
            yield from (f"{name} = {place}.{own}" for name, own in tells.items() if name in self.used)

    # ---------------------------------------------------------------- expressions

    def expression(self, item: Module) -> Expr | None:
        """Return what constructs a child; None where it takes statements."""
        if isinstance(item, Layer):
            module = self.module.construction(item, self.members.lowered(item))
            return self.settled(module)
        if isinstance(item, Child):
            return self.settled(self.module.call(item))
        if isinstance(item, Slot):
            return self.dialect.identity
        assert isinstance(item, Container)
        function = self.module.of_container(item, self.function.staged)
        if function.kind == "container":
            names = tuple(Arg("", self.constant(self.local(name)), keyword=False) for name in function.names)
            return Call(function.name, (*names, *self.dialect.options))
        entries = self.entries(item.items)
        if entries is None:
            return None
        return self.module.chain(self.function, item, self.sequential(entries))

    @staticmethod
    def local(name: str) -> Atom:
        """Return a name as a term."""
        return Atom("name", (name,))

    def sequential(self, entries: list[Arg]) -> Expr:
        """Return a chain of modules under their names."""
        if all(not arg.role or arg.role == "#" for arg in entries):
            return Call(self.dialect.sequential, tuple(entries))
        pairs: list[Expr] = []
        for arg in entries:
            if arg.role == "#":
                pairs.append(arg.value)
            elif isinstance(arg.value, Each):
                each = arg.value
                pairs.append(each.replace(value=Listed((Name(arg.role), each.value), "()")))
            else:
                pairs.append(Listed((Name(arg.role), arg.value), "()"))
        listed: Expr = Listed(tuple(pairs), "[]")
        if len(pairs) == 1 and isinstance(pairs[0], Each):
            listed = pairs[0].replace(star=False)
        for call in reversed(self.dialect.named):
            listed = Call(call, (Arg("layers", listed, keyword=False),))
        return listed

    @staticmethod
    def follower(item: Module) -> bool:
        """Tell whether a module is called after its position."""
        return item.by_position

    def entries(self, items: list[Item]) -> list[Arg] | None:
        """Return the modules of a chain as arguments, their role the text of a name; None: it takes statements."""
        if self.module.features and has_stages(items):
            return None
        found: list[Arg] = []
        is_named = self.module.is_named(items)
        fixed = True
        for item in items:
            if isinstance(item, Let) and not self.binds(item):
                continue
            if isinstance(item, (If, Let, Check, Side)):
                return None
            if item.stage:
                found.append(Arg("#", Comment(f"stage {item.stage}"), keyword=False))
            if isinstance(item, Loop):
                body = [i for i in item.body if not isinstance(i, Let) or self.binds(i)]
                body = [i for i in body if not self.members.is_nothing(i)]
                if len(body) != 1 or not isinstance(body[0], Module):
                    return None
                one = body[0]
                value = self.entry(one)
                if value is None or (is_named and one.name is None):
                    return None
                targets, over = self.turns(item)
                each = Each(value, targets, Name(over))
                found.append(Arg(self.value(one.name) if is_named else "", each, keyword=False))
                fixed = False
                continue
            assert isinstance(item, Module)
            if self.members.is_nothing(item):
                continue
            value = self.entry(item)
            if value is None or (is_named and self.follower(item) and not fixed):
                return None
            found.append(Arg(self.key(item) if is_named else "", value, keyword=False))
        while found and isinstance(found[-1].value, Comment):
            found.pop()  # of a stage that makes nothing
        return found

    def key(self, item: Module) -> str:
        """Return the text of a module's name in a chain."""
        return self.value(item.name) if item.name is not None else f'"{item.key}"'

    def entry(self, item: Module) -> Expr | None:
        """Return what constructs a module of a chain, if an expression does, and nothing is to be done after it."""
        if item.doubtful or (isinstance(item, Child) and self.asks(item)):
            return None
        if any(True for _ in (*self.statements(item, "x"), *self.asked(item, "x"))):
            return None
        return self.expression(item)

    # ---------------------------------------------------------------- lists of children

    def begin_list(self, name: str, home: str, items: Sequence[Item]) -> None:
        """Write a list of children; what begins with these items and one expression makes is in it already."""
        held: list[Expr] = []
        for item in items if home == LIST else ():
            if not self.holds([item]):
                continue
            inner = [one for one in item.body if self.holds([one])] if isinstance(item, Loop) else [item]
            one = inner[0] if len(inner) == 1 else None
            own = entry(one) if one is not None else None
            if own is None or own.list != name or not isinstance(one, Module):
                break
            expr = self.entry(one)
            if expr is None or self.numbered_by(one) or (one.stage and one is not items[0]):
                break
            if isinstance(item, Loop):
                targets, over = self.turns(item)
                expr = Each(expr, targets, Name(over))
            held.append(expr)
            self.written.add(id(one))
            self.made.add(self.members.attributes[id(one)])
        kind = self.dialect.lists[home if home == LIST else MAPPING]
        args: tuple[Arg, ...] = ()
        if len(held) == 1 and isinstance(held[0], Each):
            args = (Arg("", held[0].replace(star=False), keyword=False),)
        elif held:
            args = (Arg("", Listed(tuple(held), "[]"), keyword=False),)
        typed = f": {kind}{self.dialect.of_any}" if self.dialect.of_any else ""
        if name.isidentifier():
            self.put(f"self.{name}{typed} = ", Call(kind, args))
        else:
            self.put("", self.dialect.register(Name(f'"{name}"'), Call(kind, args)))

    def put_in(self, item: Module) -> None:
        """Write what puts a child into its list."""
        name, place = self.members.attributes[id(item)], self.members.in_list(item, lambda value: value)
        assert isinstance(name, Atom)
        held, counts = self.members.list_of(item), item.home in (LIST, OWN)
        if item.home != PATH and item.doubtful:
            key, path = self.members.key_in_list(item, lambda value: value), self.value(name)
            self.once(item, path, f"{key} != len({held})" if counts else f"{key} in {held}")
        expr = self.finished(item)
        if self.module.features and isinstance(item, Container) and has_stages(item.items):
            self.put("", Call("setattr", _positional("self", self.value(self.members.ends(item)), self.ends)))
        if counts:
            self.put("", Call(f"{held}.append", (Arg("", expr, keyword=False),)))
        elif item.home == PATH:
            where = Arg("", Name("self"), keyword=False), Arg("", Name(self.value(name)), keyword=False)
            self.put("", Call("add_child", (*where, Arg("", expr, keyword=False))))
        else:
            self.put(f"{place} = ", expr)
        for line in self.after:
            self.line(line)
        self.after.clear()

    @staticmethod
    def numbered_by(item: Module) -> bool:
        """Tell whether the constructor reads the numbers of a child's label."""
        return item.name is not None and (item.home not in (LIST, OWN) or item.doubtful)

    # ---------------------------------------------------------------- lists of layers

    def gathered(self, item: Container) -> Expr:
        """Write statements that build a list of layers; return the chain of it."""
        name = self.gather(item.items)
        return self.module.chain(self.function, item, self.chain_of(name, self.module.is_named(item.items)))

    def chain_of(self, name: str, is_named: bool) -> Expr:
        """Return a chain of the layers in a list."""
        if not is_named:
            return Call(self.dialect.sequential, (Arg("", Name(f"*{name}"), keyword=False),))
        return self.dialect.chain_of(Name(name))

    def gather(self, items: list[Item]) -> str:
        """Write statements that build a list of layers; return its name."""
        is_named = self.module.is_named(items)
        if self.module.features and has_stages(items):
            while self.ends in self.taken:
                self.ends += "_"
            self.line(f"{self.ends}{self.typed(self.ends, ': list[int]')} = []")
        words = _MAPPINGS if is_named else _LISTS
        kind = self.dialect.mapping if is_named else f"list[{self.dialect.layer}]"
        known = chain(words, (f"{words[0]}{n}" for n in count(2)))
        free = (name for name in known if name not in self.taken and self.locals.get(name, kind) == kind)
        name = next(islice(free, self.nesting, None))
        self.locals[name] = kind
        head, rest = ([], items) if is_named else self.first(items)
        begin = f"{name}{self.typed(name, f': {kind}')} = "
        if head:
            self.put(begin, Listed(tuple(head), "[]"))
        else:
            self.line(f"{begin}{self.dialect.empty if is_named else '[]'}")
        self.nesting += 1
        self.append(rest, name, is_named, True)
        self.nesting -= 1
        return name

    def typed(self, name: str, annotation: str) -> str:
        """Return the annotation of a local variable, once."""
        if self.annotated.setdefault(name, annotation) == annotation and name not in self.begun:
            self.begun.add(name)
            return annotation
        return ""

    def first(self, items: list[Item]) -> tuple[list[Expr], list[Item]]:
        """Return the first modules of a chain that one statement holds, and the items after those.

        The very first may be a layer that takes statements of its own, which are written.
        """
        layer = items[0] if items else None
        if (
            not isinstance(layer, Layer)
            or self.members.is_nothing(layer)
            or (layer.ends and self.module.features)
        ):
            return self.expressed(items)
        variable = self.variable(layer)
        inits = list(self.statements(layer, variable))
        if not inits:
            return self.expressed(items)
        expr = self.expression(layer)
        assert expr is not None
        if layer.stage:
            self.line(f"# stage {layer.stage}")
        self.put(f"{variable} = ", expr)
        self.run(inits)
        more, rest = self.expressed(items[1:])
        return [Name(variable), *more], rest

    def variable(self, item: Layer) -> str:
        """Return a local name for a layer: its op's, so that what has one name has one type."""
        name = item.op.name if item.given is None else "layer"
        while name in self.taken or name in self.members.globals:
            name += "_"
        return name

    def expressed(self, items: list[Item]) -> tuple[list[Expr], list[Item]]:
        """Return the first modules of a chain, as far as expressions make them, and the items after those."""
        found: list[Expr] = []
        for number, item in enumerate(items):
            entries = self.entries([item])
            if entries is None:
                return found, items[number:]
            found += [entry.value for entry in entries]
        return found, []

    def append(self, items: list[Item], name: str, is_named: bool, fixed: bool) -> bool:
        """Write statements that put modules into a list; tell whether their positions are still known."""
        while items:
            several, rest = ([], items) if is_named else self.first(items)
            if several:
                self.extend(several, name)
                items = rest
                continue
            item, *items = items
            if item.stage and not isinstance(item, (Let, Check)):
                self.line(f"# stage {item.stage}")
            if isinstance(item, Let):
                self.let(item)
            elif isinstance(item, Check):
                self.check(item)
            elif isinstance(item, If):
                known = fixed
                self.condition(
                    item, lambda inner, known=known: self.append(inner, name, is_named, known), self.fills
                )
                fixed = False
            elif isinstance(item, Loop):
                self.loop(item, lambda inner: self.append(inner, name, is_named, False), self.fills)
                fixed = False
            elif isinstance(item, Module) and not self.members.is_nothing(item):
                self.append_one(item, name, is_named, fixed)
            if item.ends and self.module.features:
                self.line(f"{self.ends}.append(len({name}))")
        return fixed

    def extend(self, several: list[Expr], name: str) -> None:
        """Write what puts modules into a list: one statement, or one for each if that is as short."""
        lines = layout(f"{name} += ", Listed(tuple(several), "[]"), "", self.indent)
        singly: list[str] = []
        for one in several:
            if isinstance(one, Comment):
                singly += layout("", one, "", self.indent)
            else:
                many = isinstance(one, Each)
                arg = Arg("", one.replace(star=False) if many else one, keyword=False)
                singly += layout(
                    "", Call(f"{name}.{'extend' if many else 'append'}", (arg,)), "", self.indent
                )
        self.lines += lines if len(lines) < len(singly) else singly

    def fills(self, items: list[Item]) -> bool:
        """Tell whether items put anything into a list, or check anything."""
        return any(
            (isinstance(i, Check) and id(i) not in self.said)
            or (isinstance(i, Let) and self.binds(i))
            or (isinstance(i, Module) and not self.members.is_nothing(i))
            or any(map(self.fills, i.inner() if not isinstance(i, Module) else ()))
            for i in items
        )

    def append_one(self, item: Module, name: str, is_named: bool, fixed: bool) -> None:
        """Write a statement that puts one module into a list."""
        if is_named:
            self.once(item, self.key(item), f"{self.key(item)} in {name}")
        expr = self.finished(item, name)
        if not is_named:
            self.put("", Call(f"{name}.append", (Arg("", expr, keyword=False),)))
        else:
            key = self.key(item) if not self.follower(item) or fixed else f"str(len({name}))"
            self.put(f"{name}[{key}] = ", expr)
        for line in self.after:
            self.line(line)
        self.after.clear()

    def finished(self, item: Module, beside: str = "") -> Expr:
        """Return a module that is put into a list, made by statements if it takes some: no name that is `beside`."""
        expr = self.expression(item)
        inits = list(self.statements(item, "layer")) if expr is not None else []
        if expr is None:
            assert isinstance(item, Container)
            expr = self.gathered(item)
        asked = isinstance(item, Child) and self.asks(item)
        if not (inits or asked or any(True for _ in self.asked(item, ""))):
            return expr
        if isinstance(item, Layer):
            variable = self.variable(item)
        else:
            first = "block" if beside != "block" else "unit"
            kind = self.kind_of(item)
            words = chain([first, f"{first}_"], (f"{first}{n}" for n in count(2)))
            free = (name for name in words if name not in self.taken)
            variable = next(name for name in free if self.locals.setdefault(name, kind) == kind)
        self.put(f"{variable} = ", expr)
        self.run(self.statements(item, variable) if inits else ())
        if isinstance(item, Child) and asked:
            self.after.append(self.answer(item, variable))
        self.after.extend(self.asked(item, variable))
        return Name(variable)

    @property
    def after(self) -> list[str]:
        """Lines that follow the next one."""
        found: list[str] = self.__dict__.setdefault("_after", [])
        return found

    # ---------------------------------------------------------------- initial weights

    def initialise(self, item: Module, place: str) -> None:
        """Write how the weights of a child start, where its class does not say so."""
        self.run(self.statements(item, place))

    def run(self, statements: Iterable[tuple[str, Expr]]) -> None:
        """Write statements, each under a condition if there is one."""
        for test, statement in statements:
            if test:
                self.line(f"if {test}:")
            self.depth += bool(test)
            self.put("", statement)
            self.depth -= bool(test)

    def statements(self, item: Module, place: str) -> Iterator[tuple[str, Expr]]:
        """Yield the statements that initialise what a child holds, and what must hold for each."""
        if isinstance(item, Layer):
            for weight, statement, lacks in self.module.initial(item):
                test = f"{flat(located(weight, place))} is not None" if lacks else ""
                yield test, self.settled(located(statement, place))
        elif isinstance(item, Container):
            function = self.module.of_container(item, self.function.staged)
            if function.kind == "container":
                return
            position = 0
            for inner in item.items:
                if isinstance(inner, Module) and not self.members.is_nothing(inner):
                    named = inner.key.isidentifier()
                    own = f"{place}.{inner.key}" if named else f"{place}[{position}]"
                    if inner.name is None:
                        yield from self.statements(inner, own)
                    position += 1


def _positional(*args: str) -> tuple[Arg, ...]:
    """Return what a call is given."""
    return tuple(Arg("", Name(arg), keyword=False) for arg in args)


def alternatives(items: list[Item]) -> Iterator[Item]:
    """Yield items, and those on the sides of conditions among them."""
    for item in items:
        if isinstance(item, If):
            yield from alternatives([*item.then, *item.otherwise])
        else:
            yield item


def within(item: Item) -> list[Item]:
    """Return what an output beside the flow holds; anything else is itself."""
    return item.items if isinstance(item, Side) else [item]


def step(item: Let) -> tuple[str, Any]:
    """Return the operator with which a variable's next value follows from its own, and what it takes; "": none."""
    value, own = term(item.value), Atom("name", (item.name,))
    atom = value.atom if isinstance(value, Poly) else value
    if atom is not None and atom.op in ("+", "//") and atom.args[0] in (own, single(own)):
        more = atom.args[1]
        return atom.op, SymInt(1, more) if isinstance(more, Poly) else more
    if isinstance(value, Poly) and text(value).startswith(f"{item.name} + ") and len(value.parts) > 1:
        return "+", SymInt(1, value.plus(single(own), -1))
    return "", item.value


def quoted(message: str) -> str:
    """Return a message as a string of code, which fills in what stands in braces."""
    return f"""{"f" * ("{" in message)}"{message}\""""


def located(statement: Expr, place: str) -> Expr:
    """Return an initialising statement about a child at its place."""

    def change(expr: Expr) -> Expr | None:
        if isinstance(expr, Param):
            return Name(f"{place}.{expr.path}" if expr.path else place)
        return None

    return transform(statement, change)

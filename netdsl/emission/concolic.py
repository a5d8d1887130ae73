"""Values of a spec that remember their expressions, and an evaluator that computes with them.

Every value has a concrete one, from an instance that there is; what is decided by it alone would hold for that
instance only, so whatever asks a symbolic truth gets a `SymBool` and takes both sides. What cannot be said for all
values raises `Fixed`: the class is then made for the values of some parameters.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, Self

from netdsl.elaborate.evaluate import Evaluator, is_number
from netdsl.elaborate.values import (
    MISSING,
    Data,
    Env,
    OpValue,
    Ramp,
    RowValue,
    SpecError,
    TableValue,
    is_whole,
    kind_of,
    show,
)
from netdsl.emission.streams import Streams
from netdsl.ir.types import Dims, Pad
from netdsl.record import Record
from netdsl.source import Source, Span
from netdsl.symbolic import (
    Atom,
    Poly,
    SymBool,
    SymFloat,
    SymInt,
    SymList,
    absent,
    arithmetic,
    call,
    compare,
    constant,
    joined,
    make_divisible,
    names,
    negated,
    opposite,
    select,
    single,
    symbolic,
    term,
    total,
    under,
)
from netdsl.symbolic import (
    item as item_of,
)
from netdsl.syntax import tree
from netdsl.syntax.tree import pieces


class Fixed(Exception):
    """Something can be written only for given values of what these names stand for; none: of everything."""

    def __init__(self, reason: str, *terms: Any) -> None:
        """`terms` are the values that it depends on."""
        super().__init__(reason)
        self.names: dict[str, None] = {}
        for item in terms:
            self.names.update(names(item))


class Demanded(Fixed):
    """What no other way of writing, turn by turn, would do without."""


class Undecided(Exception):
    """A condition decides which of two things stands here that are no numbers; both are written."""

    def __init__(self, test: SymBool) -> None:
        """`test` says which."""
        super().__init__("one of two things that are no numbers")
        self.test = test


class Late:
    """One of two things that are no numbers, or of which one is MISSING."""

    def __init__(self, test: SymBool, then: Any, otherwise: Any) -> None:
        """`test` says which."""
        self.test, self.then, self.otherwise = test, then, otherwise


class LateData(Data):
    """One of two values that flow and are not alike, or one that only a side of a condition has; all their wires."""

    late: Late = Late(SymBool(False, Atom("const", (False,))), MISSING, MISSING)
    """The values; MISSING where there is none."""

    def __init__(self, *args: Any, **fields: Any) -> None:
        """Take the fields as records do: it has one more than other values."""
        Record.__init__(self, *args, **fields)


class Past:
    """What a name is after the loop that bound it: its value in the last turn, which only the turns tell."""

    def __init__(self, value: Any) -> None:
        """`value` is the one that it has in the turn that was walked."""
        self.value = value


class SymDims(Dims):
    """Sizes and the expression of the pair."""

    whole: Atom

    def __new__(cls, sizes: Iterable[int], whole: Atom) -> SymDims:
        """Make it from its sizes."""
        dims = super().__new__(cls, sizes)
        dims.whole = whole
        return dims


class _Text(str):
    """A text and the expression that gave it."""

    whole: Atom

    def __new__(cls, text: str, whole: Atom) -> Self:
        """Make it from what it is here."""
        made = super().__new__(cls, text)
        made.whole = whole
        return made


class SymStr(_Text):
    """A name with numbers in it that are not known."""


class SymText(_Text):
    """A text that is an argument."""


class Constants(tuple[Any, ...]):
    """A list of known numbers under a name, by which one is taken where the index is not known."""

    name: Atom

    def __new__(cls, items: Iterable[Any], name: Atom) -> Constants:
        """Make it from its items."""
        made = super().__new__(cls, items)
        made.name = name
        return made


class SymTable(TableValue):
    """A table and its expression."""

    whole: Atom
    others: tuple[tuple[Any, ...], ...] = ()
    """Rows of every table that it may be."""


class SymRow(RowValue):
    """A row and its expression."""

    whole: Atom


class SymPad(Pad):
    """A padding that is an argument: none for `same`, else rows and columns."""

    whole: Atom = Atom("const", (None,))
    optional: bool = True
    """Whether it may be `same`."""

    def resolved(self, covered: tuple[int, int]) -> Pad:
        """Return it as rows and columns, for windows that cover so much."""
        rows = [under(int(n), item(self.whole, axis)) for axis, n in enumerate(self.size)]
        if not self.optional:
            return Pad("explicit", SymDims(rows, self.whole))
        test = SymBool(self.mode == "same", Atom("is none", (self.whole,)))
        halves = [n // 2 for n in covered]
        sizes = [select(test, half, own) for half, own in zip(halves, rows, strict=True)]
        middle = term(tuple(halves) if term(halves[0]) != term(halves[1]) else halves[0])
        return Pad("explicit", SymDims(sizes, Atom("if", (test.test, middle, self.whole))))


class SymOp(OpValue):
    """An op or block that is an argument; `optional` if it may be none."""

    whole: Atom
    choices: tuple[OpValue | None, ...] = ()
    """What it may be; none among them: it is not always there."""

    @property
    def optional(self) -> bool:
        """Whether it may be none."""
        return None in self.choices


class Maker(OpValue):
    """A primitive op as what makes it for so many channels, as an argument that may be a block is made."""


def made(value: Any) -> Any:
    """Return a value with makers for the primitive ops in it."""
    if isinstance(value, OpValue) and isinstance(value.target, type) and not isinstance(value, SymOp):
        return Maker(value.target, value.args)
    if isinstance(value, RowValue) and not isinstance(value, SymRow):
        return RowValue(value.columns, tuple(map(made, value.cells)))
    if isinstance(value, TableValue) and not isinstance(value, SymTable):
        return TableValue(value.columns, tuple(tuple(map(made, row)) for row in value.rows))
    if isinstance(value, tuple) and not symbolic(value) and not isinstance(value, Dims):
        return tuple(map(made, value))
    return value


class Reference:
    """An op or block that arguments are compared with."""

    def __init__(self, op: OpValue, maker: bool = False) -> None:
        """It is called as in the spec until it has a name in the module; `maker`: the arguments are such."""
        self.op: OpValue = concrete(op)
        self.maker = maker
        self.code = show(op)

    def text(self, argument: str) -> str:
        """Return the condition that an argument is this op: of one with arguments a call."""
        called = self.code.endswith(")")
        return f"makes_same({argument}, {self.code})" if called else f"{argument} is {self.code}"

    def stands_for(self, value: Any) -> bool | SymBool:
        """Return whether a value is this op; of an argument only its class knows."""
        same = isinstance(value, OpValue) and value.target is self.op.target
        same = same and show(concrete(value)) == show(self.op)
        return SymBool(same, self.test(value)) if isinstance(value, SymOp) else same

    def test(self, argument: SymOp) -> Atom:
        """Return the condition that an argument is this op."""
        return Atom("is", (argument.whole, Atom("const", (self,))))


def opened(value: Any, atom: Atom, choices: tuple[Any, ...] = ()) -> Any:
    """Return a value as what an atom gives, with all that is in it; Fixed where it can be no argument.

    `choices` are the ops that it may be; for a row or list, rows or lists that it may be.
    """
    if choices and value is None:
        value = next((choice for choice in choices if choice is not None), None)
    if isinstance(value, (bool, int, float, SymBool)):
        return under(bool(value) if isinstance(value, SymBool) else value, atom)
    if isinstance(value, Dims):
        return SymDims([under(int(n), item(atom, i)) for i, n in enumerate(value)], atom)
    if isinstance(value, RowValue):
        return SymRow(value.columns, tuple(cells(value.cells, atom, choices)), atom)
    if isinstance(value, tuple):
        found = SymList(cells(value, atom, choices), atom)
        found.others = choices
        return found
    if isinstance(value, TableValue):
        return SymTable(value.columns, value.rows, atom, choices or value.rows)
    if isinstance(value, str) and is_plain(value):
        return SymText(value, atom)
    if isinstance(value, Pad) and value.mode != "tf":
        return SymPad(value.mode, value.size, atom, choices != ("explicit",))
    if isinstance(value, OpValue):
        return SymOp(value.target, value.args, atom, choices or (value,))
    raise Fixed(f"{show(value)} can be no argument")


def is_plain(value: str) -> bool:
    """Tell whether a text can stand in messages and f-strings as it is."""
    return value.isascii() and value.isprintable() and set(value).isdisjoint("\"'\\{}")


def cells(values: tuple[Any, ...], atom: Atom, others: tuple[Any, ...]) -> Iterator[Any]:
    """Yield the items of what an atom gives, which may be a row or list among others."""
    for index, value in enumerate(values):
        column = [other[index] for other in others if len(other) > index]
        yield one_of([value, *column], item(atom, index))


def one_of(values: Sequence[Any], atom: Atom) -> Any:
    """Return the first of some values as what an atom gives, which may be any of them; Fixed of several kinds."""
    first, choices = values[0], ops(values)
    kinds = {kind_of(concrete(value)) for value in values if not (choices and value is None)}
    if kinds == {kind_of(1), kind_of(1.0)}:
        return opened(float(first), atom)
    if len(kinds) > 1:
        raise Fixed(f"{show(first)} may be of another kind", atom)
    rows = tuple(getattr(one, "cells", one) for one in values if isinstance(one, (RowValue, tuple)))
    return opened(first, atom, rows or choices)


def form(value: Any) -> Any:
    """Return the kind of a value; of a list those of its items, one where they are all of one."""
    if type(value) is not tuple:
        return kind_of(value)
    forms = [*map(form, value)]
    return forms[:1] if all(one == forms[0] for one in forms) else forms


def ops(values: Iterable[Any]) -> tuple[OpValue | None, ...]:
    """Return the ops, and none, that are among values, each once; nothing where there is no op."""
    found = {show(v): concrete(v) for v in values if v is None or isinstance(v, OpValue)}
    return tuple(found.values()) if any(v is not None for v in found.values()) else ()


def holds_ops(value: Any) -> bool:
    """Tell whether an op or none is in a list, or in a list or row in it."""
    cells = value.cells if isinstance(value, RowValue) else value
    if isinstance(cells, tuple):
        return any(map(holds_ops, cells))
    return value is None or isinstance(value, OpValue)


def item(atom: Atom, index: int) -> Atom:
    """Return one item of what an atom gives."""
    return Atom("item", (atom, term(index)))


def free(value: Any) -> bool:
    """Tell whether a value, or anything in it, remembers an expression."""
    if symbolic(value):
        return True
    if isinstance(value, RowValue):
        return any(map(free, value.cells))
    if isinstance(value, tuple):
        return any(map(free, value))
    if isinstance(value, OpValue):
        return any(free(given.value) for given in value.args.values())
    return False


_PLAIN = frozenset((int, float, bool, str, type(None)))
"""Types of values that read nothing: most of what layers are given."""


def mentioned(value: Any) -> dict[str, None]:
    """Return the names that a value, or anything in it, reads."""
    if type(value) in _PLAIN:
        return {}
    if isinstance(value, (Atom, Poly)) or symbolic(value):
        return names(value)
    return {name: None for item in _parts(value) for name in mentioned(item)}


def _parts(value: Any) -> Iterable[Any]:
    """Return the values that a value holds."""
    if isinstance(value, RowValue):
        return value.cells
    if isinstance(value, tuple):
        return value
    if isinstance(value, Pad):
        return value.size
    if isinstance(value, OpValue):
        return (given.value for given in value.args.values())
    if isinstance(value, Ramp):
        return (value.start, value.stop)
    return ()


def is_part(value: Any, name: str) -> bool:
    """Tell whether a value is a list that has a name, or some items of it by constants."""
    whole = value if isinstance(value, (Atom, Poly)) else term(value)
    if not isinstance(whole, Atom) or whole.op != "part":
        return whole == Atom("name", (name,))
    return all(bound is None or bound.constant is not None for bound in whole.args[1:]) and is_part(
        whole.args[0], name
    )


def reads_whole(value: Any, name: str) -> bool:
    """Tell whether a value, or anything in it, reads more of a list than its length and items by constants."""
    if name not in mentioned(value):
        return False
    if not (isinstance(value, (Atom, Poly)) or symbolic(value)):
        return any(reads_whole(item, name) for item in _parts(value))
    whole = value if isinstance(value, (Atom, Poly)) else term(value)
    if isinstance(whole, Poly):
        return any(reads_whole(atom, name) for _, atoms in whole.parts.values() for atom in atoms)
    if whole.op == "item" and is_part(whole.args[0], name):
        return whole.args[1].constant is None
    if whole.op == "call" and whole.args[0] == "len" and is_part(whole.args[1], name):
        return False
    return whole.op == "name" or any(
        reads_whole(arg, name) for arg in whole.args if isinstance(arg, (Atom, Poly))
    )


class SymbolicEvaluator(Evaluator):
    """Evaluates expressions over values that remember theirs."""

    lacking: Callable[[str, str, Span], Exception]
    """The error for a name or value that only the other side of a condition gives one."""

    measures: dict[Atom, tuple[Any, tuple[Atom, ...]]]
    """The comparisons of sizes that were met: their truth, and the conditions under which they matter."""

    indexes: Callable[[Any, Any], None]
    """Takes note of a list, or table, and the number of the item that is read."""

    divides: Callable[..., None]
    """Takes note of what is divided by, and what it has to be at least, if it has to."""

    unread = 0
    """How many conditions this is under, in an expression, that do not hold in this instance."""

    def __init__(self, max_steps: int, decide: Callable[..., Any]) -> None:
        """Start with a full budget."""
        super().__init__(max_steps, decide)
        self.supposed: list[Atom] = []
        """The conditions, in an expression, under which this is read."""
        self.mixed: list[Atom] = []
        """What gives a float that is an int in other turns, or by other numbers of a list."""

    settled: Callable[[Any], Any]
    """What a value is here, if it is one of two things; raises Undecided where it may be either."""

    settled_value: Callable[[str, Any], Any]
    """The same of a name's value."""

    unsettled: Callable[[str, Any], None]
    """Takes note of a name that is read where it is one of two things, or nothing."""

    def name(self, node: tree.Name, env: Env, source: Source) -> Any:
        """Return a name's value."""
        try:
            found = super().name(node, env, source)
        except SpecError:
            self.unsettled(node.text, MISSING)
            raise
        value = self.settled_value(node.text, found)
        if value is MISSING:
            raise self.lacking("name", node.text, Span(source, node.start, node.end))
        return value

    def truth(self, node: tree.Expr, env: Env, source: Source) -> Any:
        """Return a condition's value; a `SymBool` where it is not the same for all."""
        value = self.eval(node, env, source)
        if isinstance(value, SymBool):
            return value
        if value is None or isinstance(value, OpValue):
            return opposite(absent(value))
        return super().truth(node, env, source)

    def text(self, node: tree.Label, env: Env, source: Source) -> str:
        """Return a label's text; one with unknown numbers remembers them."""
        if isinstance(node, tree.Name):
            return node.text
        parts: list[Any] = []
        for part in node.parts:
            value = part if isinstance(part, str) else self.eval(part, env, source)
            parts.append(term(value) if symbolic(value) else str(value))
        hint = super().text(node, env, source)
        if all(isinstance(part, str) for part in parts):
            return hint
        return SymStr(hint, Atom("format", tuple(parts)))

    def first(self, value: Any, copy: int) -> Any:
        """Return a stride that only the first copy has."""
        test = compare("==", copy, 0)
        if not isinstance(test, SymBool):
            return super().first(value, copy)
        if not isinstance(value, int):
            raise Fixed("a stride for the first copy only that is no number", test)
        return select(test, value, 1)

    templates: dict[str, Atom]
    """Labels with unknown numbers, by what they are in the turn that is walked."""

    def same_turn(self, name: str) -> None:
        """Demand that a label with unknown numbers is one of this turn."""
        known = self.templates.get(name)
        if (name.whole if isinstance(name, SymStr) else None) != known:
            raise Fixed(f"{name} is a value of another turn", *((name,) if isinstance(name, SymStr) else ()))

    elsewhere: Callable[[str], Data | None]
    """What a label with a number names in another turn, or another loop."""

    def _named(self, node: tree.Template, env: Env, source: Source) -> Any:
        name = self.text(node, env, source)
        found = self.elsewhere(name)
        if found is not None:
            return found
        self.same_turn(name)
        return self._template(node, env, source)

    def iterate(self, node: tree.Expr, env: Env, source: Source) -> list[Any]:
        """Return what a known expression yields."""
        value = self.eval(node, env, source)
        if symbolic(value):
            raise Fixed("its items are not known", value)
        return super().iterate(node, env, source)

    def pick(self, value: Data, index: int, span: Span) -> Data:
        """Return one value of a tuple that flows; of a list, or by an unknown index, it is a step of its own."""
        if isinstance(value, Streams) or symbolic(index):
            return self.picked(value, index)
        return super().pick(value, index, span)

    @staticmethod
    def items(value: Any, span: Span) -> list[Any]:
        """Return the items of a list; those of one that is computed remember it."""
        found = Evaluator.items(value, span)
        if not isinstance(value, SymList):
            return found
        wholes = (single(Atom("item", (value.whole, constant(index)))) for index in range(len(found)))
        return [SymInt(one, own) if type(one) is int else one for one, own in zip(found, wholes, strict=True)]

    compared: Callable[[SymOp, Any], bool | SymBool]
    """Whether an argument that is an op is another value."""

    constant: Callable[[tree.Expr, Any], Atom | None]
    """What a list or table that is known is called, if it can be."""

    picked: Callable[[Data, int], Data]
    """What one value of a list is, by its index."""

    comprehended: Callable[[tree.Comprehension, Env, Source], SymList | None]
    """What a comprehension is whose turns are not known."""

    ramped: Callable[[tree.CallExpr, dict[str, Any]], Any]
    """What a depth schedule is, by its call and arguments."""

    sized: Callable[[Any], Any]
    """What a comparison is, which may be one of sizes."""

    def numbered(self, schedule: Ramp) -> Any:
        """Return the number of the next layer or block that is given a schedule."""
        values = {name: getattr(schedule, name) for name in ("start", "stop", "endpoint")}
        return self.ramped(self.schedules[schedule.key], values)

    def _either(self, node: tree.Ternary, env: Env, source: Source) -> Any:
        test = self.truth(node.condition, env, source)
        if not isinstance(test, SymBool):
            return self.eval(node.then if test else node.otherwise, env, source)
        with self.supposing(test, True):
            then = self.eval(node.then, env, source)
        with self.supposing(test, False):
            otherwise = self.eval(node.otherwise, env, source)
        if isinstance(then, (int, float, SymBool)) and isinstance(otherwise, (int, float, SymBool)):
            return select(test, then, otherwise)
        if type(then) is type(otherwise) and not free(then) and not free(otherwise) and then == otherwise:
            return then
        if isinstance(then, Dims) and isinstance(otherwise, Dims) and len(then) == len(otherwise):
            sizes = [select(test, a, b) for a, b in zip(then, otherwise, strict=True)]
            return SymDims(sizes, Atom("if", (test.test, term(then), term(otherwise))))
        return self.settled(Late(test, then, otherwise))

    def _signed(self, node: tree.Unary, env: Env, source: Source) -> Any:
        if node.operator == "not":
            return opposite(self.truth(node.operand, env, source))
        return self._unary(node, env, source)

    def _operation(self, node: tree.Binary, env: Env, source: Source) -> Any:
        op = node.operator
        if op in ("and", "or"):
            known = set(self.measures)
            left = self.truth(node.left, env, source)
            of_sizes = self.measures.keys() - known
            found: list[Any] = []

            def right() -> Any:
                if isinstance(left, SymBool):
                    with self.supposing(left, op == "and"):
                        found.append(self.truth(node.right, env, source))
                else:
                    found.append(self.truth(node.right, env, source))
                return found[0]

            result = joined(op, left, right)
            if of_sizes and all(isinstance(part, _HARMLESS) for part in pieces(node.right)):
                self.matters(of_sizes, op, found[0] if found else right())
            return result
        if op in ("in", "not in"):
            return self.member(node, env, source)
        if op not in ("==", "!=", "<", "<=", ">", ">="):
            return self._binary(node, env, source)
        a, b = self.eval(node.left, env, source), self.eval(node.right, env, source)
        if not (symbolic(a) or symbolic(b)):
            return self._binary(node, env, source)
        if is_number(a) and is_number(b):
            return self.sized(compare(op, a, b))
        if op not in ("==", "!="):
            raise Fixed("a comparison of what is no number", a, b)
        if (isinstance(a, OpValue) and b is None) or (a is None and isinstance(b, OpValue)):
            lacks = absent(b if a is None else a)
            return lacks if op == "==" else opposite(lacks)
        if isinstance(a, SymOp) or isinstance(b, SymOp):
            same = self.compared(a, b) if isinstance(a, SymOp) else self.compared(b, a)
            return same if op == "==" else opposite(same)
        texts = isinstance(a, str) and isinstance(b, str) and is_plain(a) and is_plain(b)
        truths = isinstance(a, (bool, SymBool)) and isinstance(b, (bool, SymBool))
        if not texts and not truths and not (isinstance(a, Dims) and isinstance(b, Dims)):
            raise Fixed("a comparison of what is no number", a, b)
        return self.sized(compare(op, a, b))

    def member(self, node: tree.Binary, env: Env, source: Source) -> Any:
        """Return whether a number or text is among those of a list."""
        a, b = self.eval(node.left, env, source), self.eval(node.right, env, source)
        found = self._binary(node, env, source)
        if not free(a) and not free(b):
            return found
        numbers = is_number(a) and type(concrete(b)) is tuple and all(map(is_number, b))
        texts = isinstance(a, str) and type(concrete(b)) is tuple
        if not numbers and not (texts and all(isinstance(one, str) and is_plain(one) for one in (a, *b))):
            raise Fixed("whether a list has it is not known", a, b)
        whole = term(b) if symbolic(b) or not free(b) else Atom("tuple", tuple(map(term, b)))
        return self.sized(SymBool(bool(found), Atom(node.operator, (term(a), whole))))

    def keeps(self, condition: tree.Expr, env: Env, source: Source) -> bool:
        """Tell whether a comprehension has an item."""
        holds = self.truth(condition, env, source)
        if isinstance(holds, SymBool):
            raise Fixed("which items a list has is not known", holds)
        return bool(holds)

    def part(self, value: Any, bounds: slice, node: tree.Tree, source: Source) -> Any:
        """Return some items of a list or table; of one that is not known, what remembers it."""
        given = (bounds.start, bounds.stop, bounds.step)
        if not symbolic(value) and not any(map(symbolic, given)):
            return super().part(value, bounds, node, source)
        known = slice(*(bound if bound is None else int(bound) for bound in given))
        plain = super().part(concrete(value), known, node, source)
        if not isinstance(value, SymList):
            raise Fixed("which items these are is not known", value, *given)
        others = tuple(other[known] for other in value.others)
        if any(map(symbolic, given)):  # any of its items, which have to be of one kind
            if not all(is_number(one) for items in (value, *value.others) for one in items):
                raise Fixed("which items these are is not known", value, *given)
            others = value.others
        terms = (bound if bound is None else term(bound) for bound in given)
        return opened(plain, Atom("part", (value.whole, *terms)), others)

    def matters(self, tests: Iterable[Atom], op: str, other: Any) -> None:
        """Note that comparisons of sizes matter only where the other side of an `and` holds, of an `or` does not."""
        if not isinstance(other, SymBool):
            return
        condition = self.in_arguments(other.test if op == "and" else negated(other.test))
        for test in tests:
            truth, path = self.measures[test]
            self.measures[test] = truth, (*path, condition)

    in_arguments: Callable[[Atom], Atom]
    """What a condition is over the arguments alone."""

    @contextmanager
    def supposing(self, test: SymBool, holds: bool) -> Iterator[None]:
        """Evaluate what is read only where a condition holds, or does not."""
        self.supposed.append(test.test if holds else negated(test.test))
        self.unread += test.value != holds
        try:
            yield
        finally:
            self.supposed.pop()
            self.unread -= test.value != holds

    def _arithmetic(self, op: str, a: Any, b: Any, node: tree.Binary, source: Source) -> Any:
        if op in ("/", "//", "%") and symbolic(b):
            if b == 0 and self.unread:  # nobody divides here: as if it were another number
                b = SymInt(1, b.poly) if isinstance(b, SymInt) else SymFloat(1.0, b.atom)
            self.divides(b)
        plain = super()._arithmetic(op, concrete_number(a), concrete_number(b), node, source)
        return arithmetic(op, a, b) if symbolic(a) or symbolic(b) else plain

    def _at(self, node: tree.Index, env: Env, source: Source) -> Any:
        value, index = self.eval(node.value, env, source), self.eval(node.index, env, source)
        if isinstance(value, Data):
            return self._index(node, env, source)
        found = self._index(node, env, source)
        if symbolic(index) or isinstance(value, (SymTable, SymList)):
            self.indexes(value, index)
        if isinstance(value, TableValue):
            found = RowValue(found.columns, found.cells)
        if symbolic(index) or isinstance(value, (SymTable, SymList)):
            column = [found]
            if isinstance(value, TableValue):
                rows = getattr(value, "others", value.rows)
                column += (RowValue(value.columns, row) for row in rows)
            lists = (value, *getattr(value, "others", ())) if isinstance(value, tuple) else ()
            for items in (value.cells,) if isinstance(value, RowValue) else lists:
                column += items[slice(None) if symbolic(index) else slice(index, index + 1 or None)]
            if isinstance(value, SymList) and all(map(is_whole, column)):
                chosen = item_of(value.whole, term(index))  # type: ignore[arg-type]
                return SymInt(int(found), chosen if isinstance(chosen, Poly) else single(chosen))
            whole: Any = value.name if isinstance(value, Constants) else None
            if whole is None and not symbolic(value):
                whole = self.constant(node.value, value)
                if whole is None:
                    raise Fixed("which of these it is is not known", index)
            return self.any_of(column, Atom("item", (whole or term(value), term(index))))
        return found

    def any_of(self, values: Sequence[Any], atom: Atom) -> Any:
        """Return what `one_of` does, and take note of a float that may be an int."""
        value = one_of(values, atom)
        if isinstance(value, float) and any(map(is_whole, values)):
            self.mixed.append(atom)
        return value

    def _size_of(self, node: tree.Attribute, env: Env, source: Source) -> Any:
        if isinstance(self.eval(node.value, env, source), Streams):
            raise Fixed("the size of a list that may have one value")
        return self._attribute(node, env, source)

    def _comprehended(self, node: tree.Comprehension, env: Env, source: Source) -> Any:
        found = self.comprehended(node, env, source)
        return self._comprehension(node, env, source) if found is None else found

    def _apply(self, name: str, args: list[Any], span: Span) -> Any:
        if name == "len" and isinstance(args[0], Streams):
            return args[0].shapes[0][0]
        if name == "len" and isinstance(args[0], (SymList, SymTable)):
            size = len(args[0].rows) if isinstance(args[0], SymTable) else len(args[0])
            return call("len", size, args[0])
        if not any(map(free, args)):
            return super()._apply(name, args, span)
        if name == "dims":
            super()._apply(name, [*map(concrete, args)], span)  # its errors
            return SymDims(args, Atom("tuple", tuple(map(term, args))))
        if name == "make_divisible":
            self.divides(args[1], 1)
        if name in _CALLS:
            function, compute = _CALLS[name]
            if name == "int" and isinstance(args[0], int):
                return args[0]
            if name in ("ceil", "floor", "round") and isinstance(args[0], int):
                return args[0]
            given = args
            if len(args) == 1 and isinstance(args[0], tuple):
                if isinstance(args[0], SymList):
                    return call(function, compute([*map(concrete_number, args[0])]), args[0])
                args = list(args[0])
            super()._apply(name, given, span)  # its errors
            if len(args) == 1 and name in ("max", "min"):
                return args[0]
            return call(function, compute(*map(concrete_number, args)), *args)
        if name == "sum" and isinstance(args[0], SymList) and all(isinstance(one, int) for one in args[0]):
            return SymInt(sum(map(int, args[0])), total(args[0].whole))
        if name == "sum" and not isinstance(args[0], SymList):
            return super()._apply(name, args, span)
        raise Fixed(f"{name} of what is not known", *args)

    _forms: ClassVar[dict[type, Callable[..., Any]]] = {
        **Evaluator._forms,
        tree.Ternary: _either,
        tree.Template: _named,
        tree.Unary: _signed,
        tree.Binary: _operation,
        tree.Index: _at,
        tree.Attribute: _size_of,
        tree.Comprehension: _comprehended,
    }


_HARMLESS = (tree.Name, tree.Constant, tree.Unary)
"""What a flag is written with, or its opposite."""


def concrete(value: Any) -> Any:
    """Return a value without its expressions."""
    if isinstance(value, SymBool):
        return value.value
    if isinstance(value, Past):
        return concrete(value.value)
    if isinstance(value, SymFloat):
        return float(value)
    if isinstance(value, SymInt):
        return int(value)
    if isinstance(value, SymText):
        return str(value)
    if isinstance(value, Dims):
        return Dims(map(concrete, value))
    if isinstance(value, RowValue):
        return RowValue(value.columns, tuple(map(concrete, value.cells)))
    if isinstance(value, TableValue):
        return TableValue(value.columns, tuple(tuple(map(concrete, row)) for row in value.rows))
    if isinstance(value, tuple):
        return tuple(map(concrete, value))
    if isinstance(value, OpValue):
        args = {name: given._replace(value=concrete(given.value)) for name, given in value.args.items()}
        return OpValue(value.target, args)
    if isinstance(value, Ramp):
        return value.replace(start=concrete(value.start), stop=concrete(value.stop))
    return value


def concrete_number(value: Any) -> Any:
    """Return the concrete number."""
    return float(value) if isinstance(value, float) else int(value)


_CALLS: dict[str, tuple[str, Callable[..., Any]]] = {
    "ceil": ("math.ceil", math.ceil),
    "floor": ("math.floor", math.floor),
    "round": ("round", round),
    "int": ("int", int),
    "max": ("max", max),
    "min": ("min", min),
    "make_divisible": ("make_divisible", make_divisible),
    "abs": ("abs", abs),
    "log": ("math.log", math.log),
    "log2": ("math.log2", math.log2),
}

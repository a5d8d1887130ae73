"""Numbers and truths that remember how they were computed: a concrete value beside the expression that gave it.

`SymInt` and `SymFloat` are an int and a float, so that everything that computes with numbers takes them; what is
computed from them remembers more. Equality and hash are those of the concrete value. A truth cannot be a bool's
subclass: it is a `SymBool`, and whoever decides by one asks for its `test`. Ints are kept as polynomials over atoms
(names, `//`, `%`, calls, conditional values), so that `4 * c // 4` is `c` and equal sums compare equal.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache, reduce
from typing import Any

from netdsl.ir.types import Pad, Truth
from netdsl.record import Record

Number = int | float
Names = Mapping[str, str]
"""What names are called where an expression is printed, where that is not their own name."""


class Atom(Record):
    """An expression that is no sum and no product of ints.

    `op` is "name" (one text), "const", an operator, "if" (test, then, otherwise), "call" (a function's text, then its
    arguments), "item" (value, index), "attr" (value, a text), "is none", "is" (value, an op), or a list: "list"
    (items, "star" of a list for all of its items), "slice" (value, stop), "tuple" (items) and "each" (item, a
    variable's text, count). "sum" and "any" (value, the variables' text, what they run over) are of all turns.
    Arguments are atoms and polynomials.
    """

    op: str
    args: tuple[Any, ...]

    def __hash__(self) -> int:
        found = self.__dict__.get("hashed")
        if found is None:
            found = self.__dict__["hashed"] = hash((self.op, self.args))
        return int(found)

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return (
            isinstance(other, Atom)
            and hash(self) == hash(other)
            and self.op == other.op
            and self.args == other.args
        )


class Poly:
    """A sum of products of atoms with whole coefficients. Its parts stand in the order in which they came."""

    __slots__ = ("_hash", "parts", "read")

    def __init__(self, parts: Mapping[frozenset[tuple[Atom, int]], tuple[int, tuple[Atom, ...]]]) -> None:
        """By which atoms how often: the coefficient, and the atoms in the order in which they are shown."""
        self.parts = {key: part for key, part in parts.items() if part[0]}
        self._hash = 0
        self.read: Mapping[str, None] | None = None
        """The names that it reads, once they are asked for."""

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Poly):
            return NotImplemented
        return self.parts.keys() == other.parts.keys() and all(
            self.parts[key][0] == other.parts[key][0] for key in self.parts
        )

    def __hash__(self) -> int:
        if not self._hash:
            self._hash = hash(frozenset((key, part[0]) for key, part in self.parts.items()))
        return self._hash

    @property
    def constant(self) -> int | None:
        """The number, if it is one."""
        if not self.parts:
            return 0
        if len(self.parts) == 1 and _NO_ATOMS in self.parts:
            return self.parts[_NO_ATOMS][0]
        return None

    @property
    def number(self) -> int:
        """The number that is added to all else."""
        return self.parts.get(_NO_ATOMS, (0, ()))[0]

    @property
    def atom(self) -> Atom | None:
        """The only atom, if it is one."""
        if len(self.parts) != 1:
            return None
        ((coefficient, atoms),) = self.parts.values()
        return atoms[0] if coefficient == 1 and len(atoms) == 1 else None

    def plus(self, other: Poly, sign: int = 1) -> Poly:
        """Return the sum, or the difference."""
        parts = dict(self.parts)
        for key, (coefficient, atoms) in other.parts.items():
            before, shown = parts.get(key, (0, atoms))
            parts[key] = before + sign * coefficient, shown
        return Poly(parts)

    def times(self, other: Poly) -> Poly:
        """Return the product; of two sums it is written as such."""
        for poly, number in ((self, other.constant), (other, self.constant)):
            if number is not None:
                return poly if number == 1 else poly.scaled(number)
        if len(self.parts) > 1 and len(other.parts) > 1:
            return single(Atom("group", (self,))).times(single(Atom("group", (other,))))
        if len(other.parts) > 1:
            return other.times(self)
        ((_, atoms),) = other.parts.values() if other.parts else ((0, ()),)
        if len(self.parts) > 1 and any(atom.op == "group" for atom in atoms):
            return single(Atom("group", (self,))).times(other)
        result = Poly({})
        for one, shown in self.parts.values():
            for two, more in other.parts.values():
                result = result.plus(_product(one * two, (*shown, *more)))
        return result

    def scaled(self, number: int) -> Poly:
        """Return a multiple."""
        return Poly({key: (number * coefficient, shown) for key, (coefficient, shown) in self.parts.items()})

    @property
    def negative(self) -> bool:
        """Whether all that is added is taken away."""
        return all(coefficient < 0 for coefficient, _ in self.parts.values())

    def mapped(self, change: Callable[[Atom], Term]) -> Poly:
        """Return the sum of the same products of what atoms become."""
        total = constant(0)
        for coefficient, atoms in self.parts.values():
            product = constant(coefficient)
            for atom in atoms:
                inner = change(atom)
                product = product.times(inner if isinstance(inner, Poly) else single(inner))
            total = total.plus(product)
        return total

    def divided(self, other: Poly) -> Poly | None:
        """Return the quotient where it is exact whatever the atoms are; None elsewhere."""
        if len(other.parts) != 1:
            return constant(1) if self == other else None
        ((divisor, atoms),) = other.parts.values()
        result = Poly({})
        for coefficient, shown in self.parts.values():
            rest = list(shown)
            for atom in atoms:
                if atom not in rest:
                    return None
                rest.remove(atom)
            if divisor == 0 or coefficient % divisor:
                return None
            result = result.plus(_product(coefficient // divisor, tuple(rest)))
        return result

    def parted(self, other: Poly) -> tuple[Poly, Poly]:
        """Return the quotient of the summands that are multiples whatever the atoms are, and the other summands."""
        whole, rest = constant(0), constant(0)
        for key, part in self.parts.items():
            one = Poly({key: part})
            exact = one.divided(other)
            whole, rest = (whole, rest.plus(one)) if exact is None else (whole.plus(exact), rest)
        return whole, rest


_NO_ATOMS: frozenset[tuple[Atom, int]] = frozenset()


def _product(coefficient: int, atoms: tuple[Atom, ...]) -> Poly:
    counts: dict[Atom, int] = {}
    for atom in atoms:
        counts[atom] = counts.get(atom, 0) + 1
    return Poly({frozenset(counts.items()): (coefficient, atoms)})


@lru_cache(maxsize=1024, typed=True)
def constant(value: int) -> Poly:
    """Return a number as a polynomial."""
    return Poly({_NO_ATOMS: (value, ())})


def single(atom: Atom) -> Poly:
    """Return an atom as a polynomial."""
    return _product(1, (atom,))


Term = Atom | Poly


# ---------------------------------------------------------------- values


class SymInt(int):
    """An int and the polynomial that gave it."""

    poly: Poly

    def __new__(cls, value: int, poly: Poly) -> SymInt:
        """`value` is what the polynomial is here."""
        number = super().__new__(cls, value)
        number.poly = poly
        return number

    def __add__(self, other: Any) -> Any:
        return arithmetic("+", self, other)

    def __radd__(self, other: Any) -> Any:
        return arithmetic("+", other, self)

    def __sub__(self, other: Any) -> Any:
        return arithmetic("-", self, other)

    def __rsub__(self, other: Any) -> Any:
        return arithmetic("-", other, self)

    def __mul__(self, other: Any) -> Any:
        return arithmetic("*", self, other)

    def __rmul__(self, other: Any) -> Any:
        return arithmetic("*", other, self)

    def __floordiv__(self, other: Any) -> Any:
        return arithmetic("//", self, other)

    def __rfloordiv__(self, other: Any) -> Any:
        return arithmetic("//", other, self)

    def __mod__(self, other: Any) -> Any:
        return arithmetic("%", self, other)

    def __rmod__(self, other: Any) -> Any:
        return arithmetic("%", other, self)

    def __pow__(self, other: Any, modulo: int | None = None) -> Any:
        return arithmetic("**", self, other)

    def __rpow__(self, other: Any, modulo: int | None = None) -> Any:
        return arithmetic("**", other, self)

    def __truediv__(self, other: Any) -> Any:
        return arithmetic("/", self, other)

    def __rtruediv__(self, other: Any) -> Any:
        return arithmetic("/", other, self)

    def __neg__(self) -> Any:
        return arithmetic("*", -1, self)

    def __pos__(self) -> Any:
        return self

    def __getnewargs__(self) -> Any:
        return int(self), self.poly


class SymFloat(float):
    """A float and the expression that gave it."""

    atom: Atom

    def __new__(cls, value: float, atom: Atom) -> SymFloat:
        """`value` is what the expression is here."""
        number = super().__new__(cls, value)
        number.atom = atom
        return number

    __add__ = SymInt.__add__
    __radd__ = SymInt.__radd__
    __sub__ = SymInt.__sub__
    __rsub__ = SymInt.__rsub__
    __mul__ = SymInt.__mul__
    __rmul__ = SymInt.__rmul__
    __floordiv__ = SymInt.__floordiv__
    __rfloordiv__ = SymInt.__rfloordiv__
    __mod__ = SymInt.__mod__
    __rmod__ = SymInt.__rmod__
    __pow__ = SymInt.__pow__
    __rpow__ = SymInt.__rpow__
    __truediv__ = SymInt.__truediv__
    __rtruediv__ = SymInt.__rtruediv__
    __neg__ = SymInt.__neg__
    __pos__ = SymInt.__pos__


class SymBool(Truth):
    """A truth and the expression that gave it."""

    __slots__ = ("test", "value")

    def __init__(self, value: bool, test: Atom) -> None:
        """`value` is what the expression is here."""
        self.value = value
        self.test = test

    def __bool__(self) -> bool:
        return self.value

    def __eq__(self, other: object) -> bool:
        return bool(self) == other if isinstance(other, bool) else self is other

    def __hash__(self) -> int:
        return hash(self.value)


class SymList(tuple[Any, ...]):
    """A list and its expression."""

    whole: Atom
    others: tuple[tuple[Any, ...], ...] = ()
    """Lists that it may be, where they are known."""

    def __new__(cls, items: Iterable[Any], whole: Atom) -> SymList:
        """Make it from its items."""
        made = super().__new__(cls, items)
        made.whole = whole
        return made


def symbolic(value: object) -> bool:
    """Tell whether a value remembers an expression."""
    return isinstance(value, (SymInt, SymFloat, SymBool)) or hasattr(value, "whole")


def term(value: Any) -> Term:
    """Return the expression of a value; a concrete one is itself."""
    if isinstance(value, SymInt):
        return value.poly
    if isinstance(value, SymFloat):
        return value.atom
    if isinstance(value, SymBool):
        return value.test
    if isinstance(value, int) and not isinstance(value, bool):
        return constant(value)
    whole = getattr(value, "whole", None)
    if isinstance(whole, Atom):
        return whole
    if isinstance(value, tuple) and _holds_symbolic(value):
        return Atom("tuple", tuple(map(term, value)))
    return Atom("const", (value,))


def _holds_symbolic(value: object) -> bool:
    """Tell whether a value is symbolic, or a list with one that is."""
    return symbolic(value) or (isinstance(value, tuple) and any(map(_holds_symbolic, value)))


def known(value: int, poly: Poly) -> int:
    """Return an int with its polynomial, or plain where that is a number."""
    return value if poly.constant is not None else SymInt(value, poly)


_CONCRETE: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
    "**": operator.pow,
}


def _plain(value: Any) -> Any:
    """Return the concrete number."""
    if isinstance(value, SymInt):
        return int(value)
    return float(value) if isinstance(value, SymFloat) else value


def arithmetic(op: str, a: Any, b: Any) -> Any:
    """Return what an operator makes of two numbers. A plain float forgets the other's expression: not so here."""
    if not isinstance(a, (int, float)) or not isinstance(b, (int, float)):
        return NotImplemented
    value = _CONCRETE[op](_plain(a), _plain(b))
    if isinstance(value, complex) or not (symbolic(a) or symbolic(b)):
        return value
    if isinstance(value, float):
        return SymFloat(value, Atom(op, (term(a), term(b))))
    x, y = term(a), term(b)
    assert isinstance(x, Poly)
    assert isinstance(y, Poly)
    return known(value, _whole(op, x, y))


def _whole(op: str, a: Poly, b: Poly) -> Poly:
    """Return what an operator makes of two polynomials."""
    if op in ("+", "-"):
        return a.plus(b, 1 if op == "+" else -1)
    if op == "*":
        return a.times(b)
    x, y = a.constant, b.constant
    if x is not None and y is not None:
        return constant(_CONCRETE[op](x, y))
    if op == "**":
        if y is not None and 0 <= y <= 4:
            result = constant(1)
            for _ in range(y):
                result = result.times(a)
            return result
        return single(Atom("**", (a, b)))
    if y is not None and a.atom is not None and a.atom.op == "if":
        test, then, otherwise = a.atom.args
        if isinstance(then, Poly) and isinstance(otherwise, Poly) and y:
            x1, x2 = _whole(op, then, b), _whole(op, otherwise, b)
            return x1 if x1 == x2 else single(Atom("if", (test, x1, x2)))
    if op == "//" and b.atom is not None and b.atom.op == "if":
        test, then, otherwise = b.atom.args
        if (
            isinstance(then, Poly)
            and isinstance(otherwise, Poly)
            and 0 not in (then.constant, otherwise.constant)
        ):
            return single(Atom("if", (test, _whole(op, a, then), _whole(op, a, otherwise))))
    exact = a.divided(b)
    if exact is not None:
        return exact if op == "//" else constant(0)
    if op == "//" and y == 1:
        return a
    whole, rest = a.parted(b)  # (a * b + r) // b = a + r // b
    if whole.parts:
        left = _whole(op, rest, b)
        return whole.plus(left) if op == "//" else left
    return single(Atom(op, (a, b)))


def named(value: Any, name: str) -> Any:
    """Return the same concrete value under a name: a number, a truth, or anything that takes a `whole`."""
    atom = Atom("name", (name,))
    return under(value, atom)


def under(value: Any, atom: Atom) -> Any:
    """Return the same concrete number or truth as what an atom gives."""
    if isinstance(value, (bool, SymBool)):
        return SymBool(bool(value), atom)
    if isinstance(value, int):
        return SymInt(int(value), single(atom))
    if isinstance(value, float):
        return SymFloat(float(value), atom)
    raise TypeError(value)


# ---------------------------------------------------------------- tests

_NUMBERS = frozenset({int, float})
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
COMPARISONS = frozenset(_COMPARE)
_TURNED = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}
_OPPOSITE = {
    "in": "not in",
    "not in": "in",
    "is": "is not",
    "is not": "is",
    "==": "!=",
    "!=": "==",
    "<": ">=",
    ">=": "<",
    ">": "<=",
    "<=": ">",
}


def compare(op: str, a: Any, b: Any) -> bool | SymBool:
    """Return the truth of a comparison; one that holds whatever the atoms are is plain, a known side is the right."""
    if type(a) in _NUMBERS and type(b) in _NUMBERS:  # nearly all are
        return _COMPARE[op](a, b)
    if symbolic(b) and not symbolic(a):
        a, b, op = b, a, _TURNED.get(op, op)
    if isinstance(a, (bool, SymBool)) and isinstance(b, (bool, SymBool)):
        return _alike(op == "==", a, b)
    value = _COMPARE[op](_plain(a), _plain(b)) if isinstance(a, (int, float)) else _COMPARE[op](a, b)
    if not (symbolic(a) or symbolic(b)):
        return bool(value)
    x, y = term(a), term(b)
    if isinstance(x, Poly) and isinstance(y, Poly):
        difference = x.plus(y, -1).constant
        if difference is not None:
            return bool(_COMPARE[op](difference, 0))
        settled = _of_either(op, x, y, bool(value))
        if settled is not None:
            return settled
    return SymBool(bool(value), Atom(op, (x, y)))


def known_right(test: Atom) -> Atom:
    """Return a comparison whose left side may have become a number with that on the right, as `compare` has it."""
    left, right = test.args
    if isinstance(left, Poly) and left.constant is not None:
        return Atom(_TURNED.get(test.op, test.op), (right, left))
    return test


def _alike(same: bool, a: bool | SymBool, b: bool | SymBool) -> bool | SymBool:
    """Return whether two truths are the same, or are not."""
    if not isinstance(a, SymBool):
        return bool(a == b) == same
    if not isinstance(b, SymBool):
        return a if b == same else opposite(a)
    if b.test in (a.test, negated(a.test)):
        return (b.test == a.test) == same
    return SymBool((a.value == b.value) == same, Atom("==" if same else "!=", (a.test, b.test)))


def _of_either(op: str, x: Poly, y: Poly, value: bool) -> bool | SymBool | None:
    """Return the comparison of one of two known numbers with another as the condition that says which."""
    atom, number = (x.atom, y.constant) if y.constant is not None else (y.atom, x.constant)
    if atom is None or number is None or atom.op != "if":
        return None
    test, then, otherwise = atom.args
    swapped = x.atom is not atom
    sides: list[bool | Atom] = []
    for side in (then, otherwise):
        if not isinstance(side, Poly):
            return None
        pair = (constant(number), side) if swapped else (side, constant(number))
        if side.constant is not None:
            sides.append(bool(_COMPARE[op](pair[0].constant, pair[1].constant)))
        else:
            sides.append(Atom(op, pair))
    one, two = sides
    if isinstance(one, bool) and isinstance(two, bool):
        return one if one == two else SymBool(value, test if one else negated(test))
    if isinstance(one, bool):
        return SymBool(value, Atom("or", (test, two)) if one else Atom("and", (negated(test), two)))
    if isinstance(two, bool):
        return SymBool(value, Atom("or", (negated(test), one)) if two else Atom("and", (test, one)))
    return None


def negated(test: Atom) -> Atom:
    """Return the opposite of a test."""
    if test.op in _OPPOSITE:
        return Atom(_OPPOSITE[test.op], test.args)
    if test.op == "not":
        inner: Atom = test.args[0]
        return inner
    if test.op == "is none":
        return Atom("is not none", test.args)
    if test.op == "is not none":
        return Atom("is none", test.args)
    if test.op in ("and", "or"):
        return Atom("or" if test.op == "and" else "and", tuple(map(negated, test.args)))
    return Atom("not", (test,))


def either(tests: Iterable[Atom]) -> Atom:
    """Return that at least one of some tests holds."""
    return reduce(lambda a, b: Atom("or", (a, b)), tests)


def opposite(value: bool | SymBool) -> bool | SymBool:
    """Return `not value`."""
    return SymBool(not value.value, negated(value.test)) if isinstance(value, SymBool) else not value


def joined(op: str, a: bool | SymBool, b: Callable[[], bool | SymBool]) -> bool | SymBool:
    """Return `a and b`, `a or b`; the second is asked only where the first leaves it open."""
    if not isinstance(a, SymBool):
        return b() if a == (op == "and") else a
    other = b()
    if not isinstance(other, SymBool):
        return a if other == (op == "and") else other
    if other.test in (a.test, negated(a.test)):
        return a if other.test == a.test else op == "or"
    value = (a.value and other.value) if op == "and" else (a.value or other.value)
    return SymBool(value, Atom(op, (a.test, other.test)))


def conjuncts(test: Atom) -> tuple[Atom, ...]:
    """Return the tests that hold where one does."""
    return tuple(one for part in test.args for one in conjuncts(part)) if test.op == "and" else (test,)


def equalities(test: Atom) -> Iterator[tuple[Poly, Poly]]:
    """Yield the pairs of ints that are equal where a test holds."""
    if test.op == "==" and all(isinstance(arg, Poly) for arg in test.args):
        yield test.args
    elif test.op == "and":
        for arg in test.args:
            yield from equalities(arg)


def select(test: bool | SymBool, then: Any, otherwise: Any) -> Any:
    """Return `then if test else otherwise` of two numbers or truths."""
    if not isinstance(test, SymBool):
        return then if test else otherwise
    if test.test.op == "not":
        test, then, otherwise = SymBool(not test.value, test.test.args[0]), otherwise, then
    x, y = assuming(term(then), test.test, True), assuming(term(otherwise), test.test, False)
    if x == y and type(x) is type(y):
        return then if x == term(then) else _as_term(then if test.value else otherwise, x)
    if isinstance(x, Poly) and isinstance(y, Poly):
        found = int(then if test.value else otherwise)
        if _vanishes(x.plus(y, -1), negated(test.test)):  # `a if a != b else b`
            return known(found, x)
        if _vanishes(x.plus(y, -1), test.test):
            return known(found, y)
    atom = Atom("if", _less(test.test, x, y))
    value = then if test.value else otherwise
    if isinstance(then, float) != isinstance(otherwise, float):
        value = float(value)
    return under(_plain(value) if not isinstance(value, SymBool) else value.value, atom)


def _as_term(value: Any, whole: Term) -> Any:
    """Return a number or truth with another expression for it."""
    if isinstance(whole, Poly):
        return known(int(value), whole)
    return whole.args[0] if whole.op == "const" else under(_plain(value), whole)


def _less(test: Atom, then: Term, otherwise: Term) -> tuple[Atom, Term, Term]:
    """Return the parts of a conditional value, one condition where two decide between the same two values."""
    inner = otherwise.atom if isinstance(otherwise, Poly) else otherwise
    if inner is None or inner.op != "if":
        return test, then, otherwise
    more, one, two = inner.args
    if then == one:
        return _less(Atom("or", (test, more)), then, two)
    if then == two:
        return _less(_also(negated(test), more), one, two)
    return test, then, otherwise


def _also(test: Atom, more: Atom) -> Atom:
    """Return that two tests hold, without what the second says too: `n == 2` that `n != 1`."""
    equal = [(a, b.constant) for a, b in equalities(more) if b.constant is not None]
    rest = []
    for part in test.args if test.op == "and" else (test,):
        one, two = part.args if part.op == "!=" else (None, None)
        number = two.constant if isinstance(two, Poly) else None
        if number is None or not any(one == a and number != n for a, n in equal):
            rest.append(part)
    return Atom("and", (*rest, more)) if rest else more


def _vanishes(difference: Poly, test: Atom) -> bool:
    """Tell whether a difference is a multiple of that of two numbers which a test says to be equal."""
    for a, b in equalities(test):
        other = a.plus(b, -1)
        if difference.parts.keys() == other.parts.keys():
            pairs = [(difference.parts[key][0], other.parts[key][0]) for key in other.parts]
            if all(n * pairs[0][1] == m * pairs[0][0] for n, m in pairs):
                return True
    return False


def assuming(value: Any, test: Atom, holds: bool) -> Any:
    """Return an expression where a test is known to hold, or not to."""
    if isinstance(value, Poly):
        return value.mapped(lambda atom: assuming(atom, test, holds))
    if not isinstance(value, Atom) or value.op in ("name", "const"):
        return value
    if value.op == "if":
        asked, then, otherwise = value.args
        if asked in (test, negated(test)):
            return assuming(then if (asked == test) == holds else otherwise, test, holds)
    args = tuple(assuming(arg, test, holds) if isinstance(arg, (Atom, Poly)) else arg for arg in value.args)
    if value.op == "group" and len(args[0].parts) < 2:
        return args[0]
    return value if args == value.args else Atom(value.op, args)


def real(value: int) -> float:
    """Return an int as a float that remembers its expression."""
    if not isinstance(value, SymInt):
        return float(value)
    return SymFloat(float(value), value.poly.atom or Atom("call", ("float", value.poly)))


def call(function: str, value: Any, *args: Any) -> Any:
    """Return a number as what a function gives of others."""
    return under(value, Atom("call", (function, *map(term, args))))


# ---------------------------------------------------------------- lists


def length(whole: Atom) -> Poly:
    """Return how many items a list has."""
    if whole.op == "each":
        count: Poly = whole.args[2]
        return count
    if whole.op == "list":
        total = constant(0)
        for part in whole.args:
            more = length(part.args[0]) if isinstance(part, Atom) and part.op == "star" else constant(1)
            total = total.plus(more)
        return total
    if whole.op == "part" and whole.args[1:3] == (None, None):  # backwards
        return length(whole.args[0])
    return single(Atom("call", ("len", whole)))


def total(whole: Atom) -> Poly:
    """Return the sum of a list of ints."""
    if whole.op == "each":
        value, variable, count = whole.args
        if variable not in names(value):
            product: Poly = value.times(count)
            return product
        return single(Atom("sum", (value, variable, Atom("call", ("range", count)))))
    if whole.op == "list":
        found = constant(0)
        for part in whole.args:
            star = isinstance(part, Atom) and part.op == "star"
            found = found.plus(total(part.args[0]) if star else _poly(part))
        return found
    return single(Atom("call", ("sum", whole)))


def sum_of(values: tuple[int, ...]) -> int:
    """Return the sum of ints, of which it may not be known how many there are."""
    return SymInt(sum(map(int, values)), total(values.whole)) if isinstance(values, SymList) else sum(values)


def least_of(values: tuple[int, ...]) -> int:
    """Return the least of some ints likewise."""
    least = min(map(int, values), default=1)
    return call("min", least, values) if isinstance(values, SymList) else least


def largest_of(a: int, b: int) -> int:
    """Return the larger of two ints from 1."""
    if not (symbolic(a) or symbolic(b)):
        return max(a, b)
    for one, other in ((a, b), (b, a)):
        if not symbolic(one) and one == 1:
            return other
    larger: int = call("max", max(int(a), int(b)), a, b)
    return larger


def position(whole: Atom, index: Poly) -> Poly:
    """Return an index of a list, from its end if that makes it a number.

    A list that comes as a whole may be shorter: `w[len(w) - 2]` of one value is that value, and `w[-2]` an error.
    """
    from_end = index.plus(length(whole), -1)
    if index.constant is not None or from_end.constant is None:
        return index
    return from_end if from_end.constant == -1 or whole.op in ("each", "list") else index


def item(whole: Atom, index: Poly) -> Term:
    """Return the item of a list at an index."""
    index = position(whole, index)
    at = index.constant
    if whole.op == "each":
        turn = index if at is None or at >= 0 else whole.args[2].plus(index)
        found: Term = substituted(whole.args[0], whole.args[1], turn)
        return found
    if whole.op == "list" and at is not None:
        for number in range(len(whole.args)) if at >= 0 else range(-1, -len(whole.args) - 1, -1):
            part: Term = whole.args[number]
            if isinstance(part, Atom) and part.op == "star":
                break
            if number == at:
                return part
    return Atom("item", (whole, index))


def list_of(value: Any) -> Atom | None:
    """Return the list of which a value, or what an expression gives, is an item; None of what is none."""
    whole = value if isinstance(value, (Atom, Poly)) else term(value)
    atom = whole.atom if isinstance(whole, Poly) else whole
    return atom.args[0] if atom is not None and atom.op == "item" else None


def each(value: Poly, variable: str, count: Poly) -> Atom:
    """Return the list of what a value is for a variable from 0 to a count; of a list's items, that list."""
    atom = value.atom
    if atom is not None and atom.op == "item" and atom.args[1] == single(Atom("name", (variable,))):
        whole: Atom = atom.args[0]
        if length(whole) == count and variable not in names(whole):
            return whole
    return Atom("each", (value, variable, count))


def substituted(value: Any, name: str, other: Poly) -> Any:
    """Return an expression with a name replaced."""
    if isinstance(value, Poly):
        return value.mapped(lambda atom: substituted(atom, name, other))
    if not isinstance(value, Atom) or name not in names(value):
        return value
    return (
        other
        if value.op == "name"
        else Atom(value.op, tuple(substituted(a, name, other) for a in value.args))
    )


def _targets(text: str) -> list[str]:
    """Return the variables of a comprehension."""
    return text.replace("(", "").replace(")", "").split(", ")


def in_terms_of(value: Any, env: Mapping[str, Any]) -> Any:
    """Return an expression with some names replaced by expressions."""
    if isinstance(value, Poly):
        return value.mapped(lambda atom: in_terms_of(atom, env))
    if not isinstance(value, Atom):
        return value
    if value.op == "name":
        found = env.get(value.args[0])
        return found if isinstance(found, (Poly, Atom)) else value
    if value.op == "const":
        return value
    if value.op in ("call", "if") and value in env:
        return env[value]  # type: ignore[index]
    if value.op in ("each", "sum", "any"):
        env = {name: other for name, other in env.items() if name not in _targets(value.args[1])}
    args = tuple(in_terms_of(arg, env) if isinstance(arg, (Poly, Atom)) else arg for arg in value.args)
    if value.op == "not":
        return negated(args[0])
    if value.op in ("item", "attr") and isinstance(args[0], Poly) and args[0].atom is not None:
        args = (args[0].atom, *args[1:])  # a row, whatever stands for it
    if value.op == "group" and len(args[0].parts) < 2:
        return args[0]
    if value.op == "if" and args[1] == args[2]:
        return args[1]
    if value.op == "item" and args[0] != value.args[0] and args[0].op in ("each", "list"):
        return item(*args)
    if value.op == "call" and args[0] == "len" and args[1] != value.args[1]:
        return length(args[1])
    if value.op in ("//", "%", "**") and all(isinstance(arg, Poly) for arg in args):
        return _whole(value.op, *args)
    return Atom(value.op, args)


# ---------------------------------------------------------------- reading terms

Env = Mapping[str, Any]


def names(value: Term | Any) -> dict[str, None]:
    """Return the names that an expression reads, in order."""
    return dict.fromkeys(_names(value if isinstance(value, (Atom, Poly)) else term(value)))


def _names(value: Any) -> Collection[str]:
    """Return the names that a term reads, which it remembers."""
    if isinstance(value, Poly):
        if value.read is None:
            value.read = dict.fromkeys(
                name for _, atoms in value.parts.values() for atom in atoms for name in _names(atom)
            )
        return value.read
    if not isinstance(value, Atom):
        return ()
    found: dict[str, None] | None = value.__dict__.get("read")
    if found is None:
        if value.op == "name":
            found = {value.args[0]: None}
        elif value.op in ("each", "sum", "any"):
            own = set(_targets(value.args[1]))
            found = dict.fromkeys(name for name in _names(value.args[0]) if name not in own)
            found.update(dict.fromkeys(_names(value.args[2])))
        else:
            found = dict.fromkeys(name for arg in value.args for name in _names(arg))
        value.__dict__["read"] = found
    return found


def evaluate(value: Any, env: Env) -> Any:
    """Return what an expression is where its names have other values, which may be symbolic again; KeyError."""
    if isinstance(value, Poly):
        total: Any = None
        for coefficient, atoms in value.parts.values():
            factors = [evaluate(atom, env) for atom in atoms]
            if coefficient != 1 or not factors:
                factors.insert(0, coefficient)
            product = reduce(operator.mul, factors)
            total = product if total is None else total + product
        return 0 if total is None else total
    if not isinstance(value, Atom):
        return value
    return _EVALUATE.get(value.op, _operation)(value, env)


def _operation(atom: Atom, env: Env) -> Any:
    a, b = (evaluate(arg, env) for arg in atom.args)
    return arithmetic(atom.op, a, b)


def _comparison(atom: Atom, env: Env) -> Any:
    a, b = (evaluate(arg, env) for arg in atom.args)
    return compare(atom.op, a, b)


def _junction(atom: Atom, env: Env) -> Any:
    first, *others = atom.args
    return reduce(
        lambda known, other: joined(atom.op, known, lambda: evaluate(other, env)),
        others,
        evaluate(first, env),
    )


def _conditional(atom: Atom, env: Env) -> Any:
    test, then, otherwise = atom.args
    holds = evaluate(test, env)
    if not isinstance(holds, SymBool):
        return evaluate(then if holds else otherwise, env)
    return select(holds, evaluate(then, env), evaluate(otherwise, env))


def _called(atom: Atom, env: Env) -> Any:
    function, *args = atom.args
    values = [evaluate(arg, env) for arg in args]
    if function == "sum" and isinstance(values[0], SymList) and parted(values[0].whole).op != "name":
        raise KeyError(function)  # only who has the list knows it
    result = FUNCTIONS[function](*map(_plain, values))
    if function == "len" and symbolic(values[0]):
        return SymInt(result, length(values[0].whole))
    return call(function, result, *values) if any(map(symbolic, values)) else result


def parted(whole: Atom) -> Atom:
    """Return the list that a list is a part of, or is."""
    return parted(whole.args[0]) if whole.op == "part" else whole


def _item(atom: Atom, env: Env) -> Any:
    value, index = (evaluate(arg, env) for arg in atom.args)
    items = getattr(value, "cells", getattr(value, "rows", value))  # of a row, a table or a list
    items = value.size if isinstance(value, Pad) else items
    found = items[index if isinstance(items, dict) else int(index)]
    from_end = symbolic(value) and int(index) < 0  # in a list that may be longer
    if not (symbolic(index) or symbolic(value)) or (symbolic(found) and not symbolic(index) and not from_end):
        return found
    whole = getattr(value, "name", None) or (
        term(value)
        if symbolic(value) or not any(map(symbolic, items))
        else Atom("list", tuple(map(term, items)))
    )
    chosen = item(whole, term(index))  # type: ignore[arg-type]
    if isinstance(found, (int, float, SymBool)):
        return (
            SymInt(int(_plain(found)), chosen) if isinstance(chosen, Poly) else under(_plain(found), chosen)
        )
    if not isinstance(found, tuple):
        raise KeyError(atom.op)  # an op, which only the class knows
    return SymList(found, chosen)  # type: ignore[arg-type]


def _part(atom: Atom, env: Env) -> Any:
    """Return some items of a list."""
    value = evaluate(atom.args[0], env)
    bounds = [arg if arg is None else evaluate(arg, env) for arg in atom.args[1:]]
    known = slice(*(bound if bound is None else int(bound) for bound in bounds))
    if not symbolic(value) and not any(map(symbolic, bounds)):
        return getattr(value, "rows", value)[known]
    terms = (bound if bound is None else term(bound) for bound in bounds)
    found = SymList(map(_plain, value[known]), Atom("part", (term(value), *terms)))
    found.others = tuple(other[known] for other in getattr(value, "others", ()))
    return found


def _membership(atom: Atom, env: Env) -> Any:
    """Return whether a list has a number or text."""
    a, b = (evaluate(arg, env) for arg in atom.args)
    found = (_plain(a) in tuple(map(_plain, b))) == (atom.op == "in")
    if symbolic(a) or symbolic(b):
        return SymBool(found, Atom(atom.op, (term(a), term(b))))
    return found


def _listed(atom: Atom, env: Env) -> Any:
    """Return a list of parts; a tuple if its length is known."""
    values: list[Any] = []
    terms: list[Term] = []
    unknown = False
    for part in atom.args:
        if isinstance(part, Atom) and part.op == "star":
            inner = evaluate(part.args[0], env)
            unknown |= symbolic(inner)
            values += inner
            terms += [Atom("star", (term(inner),))] if symbolic(inner) else map(term, inner)
        else:
            values.append(evaluate(part, env))
            terms.append(term(values[-1]))
    return SymList(map(_plain, values), Atom("list", tuple(terms))) if unknown else tuple(values)


def _each(atom: Atom, env: Env) -> Any:
    """Return what a value is for every turn; a tuple if their number is known."""
    value, variable, number = atom.args
    count = evaluate(number, env)
    values = tuple(evaluate(value, {**env, variable: turn}) for turn in range(int(count)))
    if not symbolic(count):
        return values
    taken = {name for other in env.values() for name in names(other)}
    fresh = next(name for name in (variable, *"ijkmnpqrs") if name not in taken)
    general = evaluate(value, {**env, variable: named(0, fresh)})
    return SymList(map(_plain, values), each(_poly(general), fresh, term(count)))  # type: ignore[arg-type]


def _poly(value: Any) -> Poly:
    """Return the expression of an int."""
    whole = value if isinstance(value, (Atom, Poly)) else term(value)
    return whole if isinstance(whole, Poly) else single(whole)


def _summed(atom: Atom, env: Env) -> Any:
    """Return the sum of what a value is for every turn; KeyError where it is not known how many there are."""
    value, variable, source = atom.args
    if source.op != "call" or source.args[:-1] != ("range",):
        raise KeyError(atom.op)
    found = _each(Atom("each", (value, variable, source.args[1])), env)
    if symbolic(found):
        raise KeyError(atom.op)
    return sum(found)


def _unknown(atom: Atom, env: Env) -> Any:
    raise KeyError(atom.op)


_EVALUATE: dict[str, Callable[[Atom, Env], Any]] = {
    **dict.fromkeys(("format", "attr", "any"), _unknown),
    **dict.fromkeys(("in", "not in"), _membership),
    "part": _part,
    "sum": _summed,
    "name": lambda atom, env: env[atom.args[0]],
    "const": lambda atom, env: atom.args[0],
    "if": _conditional,
    "group": lambda atom, env: evaluate(atom.args[0], env),
    "call": _called,
    "item": _item,
    "list": _listed,
    "tuple": lambda atom, env: tuple(evaluate(arg, env) for arg in atom.args),
    "each": _each,
    "and": _junction,
    "or": _junction,
    "not": lambda atom, env: opposite(evaluate(atom.args[0], env)),
    "is": lambda atom, env: atom.args[1].args[0].stands_for(evaluate(atom.args[0], env)),
    "is not": lambda atom, env: opposite(evaluate(negated(atom), env)),
    "is none": lambda atom, env: absent(evaluate(atom.args[0], env)),
    "is not none": lambda atom, env: opposite(absent(evaluate(atom.args[0], env))),
    **dict.fromkeys(_COMPARE, _comparison),
}


def absent(value: Any) -> bool | SymBool:
    """Return whether a value is none; what remembers that it may be says so."""
    whole = getattr(value, "whole", None)
    missing = isinstance(value, Pad) and value.mode == "same"
    if isinstance(whole, Atom) and getattr(value, "optional", False):
        return SymBool(missing, Atom("is none", (whole,)))
    return missing or value is None


def make_divisible(value: Number, divisor: int) -> int:
    """Return the nearest multiple of a divisor, never more than 10 % down: torchvision's rule."""
    rounded = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * value else rounded


def _count(value: Any) -> int:
    """Return how many items a list has, or rows a table."""
    return len(getattr(value, "rows", value))


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "make_divisible": make_divisible,
    "max": max,
    "min": min,
    "sum": sum,
    "len": _count,
    "round": round,
    "int": int,
    "float": float,
    "math.ceil": math.ceil,
    "math.floor": math.floor,
    "math.log": math.log,
    "math.log2": math.log2,
    "abs": abs,
}
"""Functions of the language as Python calls them."""

# ---------------------------------------------------------------- text

BINDING = {
    "if": 0,
    "or": 1,
    "and": 2,
    "not": 3,
    "+": 5,
    "-": 5,
    "*": 6,
    "/": 6,
    "//": 6,
    "%": 6,
    "@": 6,
    "**": 8,
}
"""How tightly operators bind."""
COMPARING = 4
"""And all comparisons."""
_LOOSE, _TIGHT = 0, 9


def text(value: Any, rename: Names | None = None, binding: int = _LOOSE) -> str:
    """Return an expression as Python writes it, in parentheses if it binds less tightly than `binding`."""
    rename = rename or {}
    item = value if isinstance(value, (Atom, Poly)) else term(value)
    shown, own = _poly_text(item, rename) if isinstance(item, Poly) else _atom_text(item, rename)
    return f"({shown})" if own < binding else shown


def tightness(value: Any) -> int:
    """Return how tightly the last operator of an expression binds, as `text` counts; a name binds tightest."""
    item = value if isinstance(value, (Atom, Poly)) else term(value)
    return (_poly_text(item, {}) if isinstance(item, Poly) else _atom_text(item, {}))[1]


def _poly_text(poly: Poly, rename: Names) -> tuple[str, int]:
    if not poly.parts:
        return "0", _TIGHT
    shown = ""
    own = _TIGHT
    parts = sorted(poly.parts.values(), key=lambda part: part[0] < 0)  # what is taken away stands last
    for coefficient, atoms in parts:
        factors, bound = _factors(abs(coefficient), atoms, rename)
        if len(parts) > 1 and bound < 5:
            factors, bound = f"({factors})", _TIGHT
        if not shown:
            taken = f"-({factors})" if bound < 7 else f"-{factors}"  # `-a // b` would be `(-a) // b`
            shown, own = (taken, 7) if coefficient < 0 else (factors, bound)
        else:
            shown, own = f"{shown} {'-' if coefficient < 0 else '+'} {factors}", 5
    return shown, own


def _factors(coefficient: int, atoms: Sequence[Atom], rename: Names) -> tuple[str, int]:
    """Return a product; powers of one atom as such, and what all terms of a sum are multiplied by before it."""
    counts: dict[Atom, int] = {}
    for atom in atoms:
        if atom.op == "group":
            common = math.gcd(*(part for part, _ in atom.args[0].parts.values()))
            coefficient *= common
            atom = Atom("group", (atom.args[0].divided(constant(common)),))
        counts[atom] = counts.get(atom, 0) + 1
    if not counts:
        return str(coefficient), _TIGHT
    if len(atoms) == 1 and coefficient == 1 and atoms[0].op != "group":
        return _atom_text(atoms[0], rename)
    shown = [str(coefficient)] if coefficient != 1 else []
    for atom, power in counts.items():
        if power > 1:
            shown.append(_power(text(atom, rename, 9), str(power)))
        else:  # a quotient may begin a product: `a // b * c`
            shown.append(text(atom, rename, 6 if not shown else 7))
    if len(shown) == 1:
        ((atom, power),) = counts.items()
        own = 8 if power > 1 else (_TIGHT if atom.op not in BINDING else BINDING[atom.op])
        own = _TIGHT if atom.op == "group" and power == 1 else own
        return shown[0], own
    return " * ".join(shown), 6


def _part_text(bounds: Sequence[Any], rename: Names) -> str:
    """Return the bounds of a part, with spaces around the colon where ruff has them."""
    begin, stop, step = ("" if bound is None else text(bound, rename) for bound in bounds)
    simple = (bound.removeprefix("-").replace("_", "").isalnum() for bound in (begin, stop) if bound)
    gap = "" if all(simple) else " "
    return f"{begin}{gap * bool(begin)}:{gap * bool(stop)}{stop}" + f":{step}" * bool(step)


def _power(base: str, exponent: str) -> str:
    simple = all(_simple(part) for part in (base, exponent))
    return f"{base}**{exponent}" if simple else f"{base} ** {exponent}"


def _simple(part: str) -> bool:
    """Tell whether ruff leaves no spaces around `**` beside an operand: names, numbers and attributes."""
    return part.removeprefix("-").replace(".", "").replace("_", "").isalnum()


def _atom_text(atom: Atom, rename: Names) -> tuple[str, int]:
    op, args = atom.op, atom.args
    if op == "name":
        return rename.get(args[0], args[0]), _TIGHT
    if op == "const":
        return _constant(args[0]), _TIGHT if not isinstance(args[0], float) or args[0] >= 0 else 7
    if op == "call":
        inner = ", ".join(text(arg, rename) for arg in args[1:])
        return f"{args[0]}({inner}{', strict=True' if args[0] == 'zip' else ''})", _TIGHT
    if op == "item":
        several = isinstance(args[1], Atom) and args[1].op == "tuple"
        index = ", ".join(text(one, rename) for one in (args[1].args if several else args[1:]))
        return f"{text(args[0], rename, 9)}[{index}]", _TIGHT
    if op == "attr":
        return f"{text(args[0], rename, 9)}.{args[1]}", _TIGHT
    if op == "tuple":
        inner = ", ".join(text(arg, rename) for arg in args)
        return f"({inner},)" if len(args) == 1 else f"({inner})", _TIGHT
    if op == "list":
        return f"[{', '.join(text(arg, rename) for arg in args)}]", _TIGHT
    if op == "star":
        return f"*{text(args[0], rename, 9)}", _TIGHT
    if op == "slice":
        stop = text(args[1], rename)
        gap = "" if stop.isidentifier() or stop.isdigit() else " "
        return f"{text(args[0], rename, 9)}[:{gap}{stop}]", _TIGHT
    if op == "part":
        return f"{text(args[0], rename, 9)}[{_part_text(args[1:], rename)}]", _TIGHT
    if op == "each":
        value, variable, count = args
        return f"[{_turns_text(value, variable, Atom('call', ('range', count)), rename)}]", _TIGHT
    if op == "if":
        test, then, otherwise = args
        return f"{text(then, rename, 1)} if {text(test, rename, 1)} else {text(otherwise, rename, 0)}", 0
    if op == "not":
        return f"not {text(args[0], rename, 3)}", 3
    if op in ("is none", "is not none"):
        return f"{text(args[0], rename, 5)} {op.replace('none', 'None')}", COMPARING
    if op == "group":
        return _poly_text(args[0], rename)
    if op in ("sum", "any"):
        value, variable, source = args
        return f"{op}({_turns_text(value, variable, source, rename)})", _TIGHT
    if op == "format":
        parts = (part if isinstance(part, str) else f"{{{text(part, rename)}}}" for part in args)
        filled = any(not isinstance(part, str) for part in args)
        return f'{"f" * filled}"{"".join(parts)}"', _TIGHT
    if op in ("is", "is not"):
        shown = args[1].args[0].text(text(args[0], rename, 5))
        if shown.endswith(")"):
            return (shown, _TIGHT) if op == "is" else (f"not {shown}", BINDING["not"])
        return shown.replace(" is ", f" {op} "), COMPARING
    if op in _COMPARE or op in ("in", "not in"):
        return f"{text(args[0], rename, 5)} {op} {text(args[1], rename, 5)}", COMPARING
    if op == "**":
        base, exponent = text(args[0], rename, 9), text(args[1], rename, 7)
        return _power(base, exponent), 8
    if op == "or":  # `and` binds tighter, which few know by heart
        return " or ".join(text(arg, rename, 3 if _is_and(arg) else 1) for arg in args), BINDING[op]
    own = BINDING[op]
    right = own if op == "+" or (op in ("and", "or")) else own + 1
    if op == "//" and isinstance(args[0], Poly) and len(args[0].parts) > 1 and args[0].negative:
        return f"-({text(args[0].scaled(-1), rename)}) // {text(args[1], rename, right)}", own
    return f"{text(args[0], rename, own)} {op} {text(args[1], rename, right)}", own


NUMBER = "_number"
"""What ends the name of a variable that counts the items of a list, which are called what stands before it."""


def _turns_text(value: Any, variable: str, source: Atom, rename: Names) -> str:
    """Return what a value is for every turn; of a list whose items alone are read, for every item."""
    counted: Poly | None = source.args[1] if source.args[:-1] == ("range",) else None
    length = counted.atom if counted is not None else None
    if variable.endswith(NUMBER) and length is not None and length.args[0] == "len":
        whole, name = length.args[1], variable.removesuffix(NUMBER)
        own = item(whole, single(Atom("name", (variable,))))
        swapped = _swapped(value, own, Atom("name", (name,)))
        if variable not in names(swapped):
            return f"{text(swapped, rename)} for {name} in {text(whole, rename, _TIGHT)}"
        turn = next(one for one in "ijkmnpqrs" if one not in {**names(value), **names(source)})
        value, variable = substituted(value, variable, single(Atom("name", (turn,)))), turn
    return f"{text(value, rename)} for {variable} in {text(source, rename)}"


def _swapped(value: Any, old: Any, new: Atom) -> Any:
    """Return an expression with one part of it replaced."""
    if value == old:
        return new
    if isinstance(value, Poly):
        return value.mapped(lambda atom: _swapped(atom, old, new))
    if not isinstance(value, Atom):
        return value
    return Atom(value.op, tuple(_swapped(arg, old, new) for arg in value.args))


def _is_and(value: Any) -> bool:
    return isinstance(value, Atom) and value.op == "and"


def _constant(value: Any) -> str:
    if isinstance(value, tuple):
        inner = ", ".join(map(text, value))
        return f"({inner},)" if len(value) == 1 else f"({inner})"
    return quoted(value) if isinstance(value, str) else repr(value)


def quoted(value: str) -> str:
    """Return a text as Python writes it, in double quotes."""
    inner = repr('"' + value)[2:-1]  # in single quotes, since it holds a double one
    return '"' + inner.replace("\\'", "'").replace('"', '\\"') + '"'

"""Code as lines of at most 100 columns, laid out as `ruff format` would leave it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from netdsl.emission.code import (
    Arg,
    Binary,
    Call,
    Comment,
    Const,
    Expr,
    Input,
    Item,
    Listed,
    Name,
    Self,
    Word,
)
from netdsl.ir.types import Scheduled
from netdsl.symbolic import (
    BINDING,
    COMPARING,
    COMPARISONS,
    Poly,
    SymBool,
    SymInt,
    Term,
    names,
    quoted,
    symbolic,
    term,
    text,
    tightness,
)

WIDTH = 100
INDENT = "    "


class Each(Expr):
    """`*(value for targets in over if test)`; without the star it is the only argument of a call."""

    value: Expr
    targets: str
    over: Expr
    star: bool = True
    test: Expr | None = None


class Either(Expr):
    """`then if test else otherwise`."""

    test: Expr
    then: Expr
    otherwise: Expr


class Group(Expr):
    """An expression in parentheses."""

    inner: Expr


def flat(expr: Expr) -> str:
    """Return an expression on one line."""
    if isinstance(expr, Const):
        return constant(expr.value)
    if isinstance(expr, Name):
        return expr.text
    if isinstance(expr, Group):
        return f"({flat(expr.inner)})"
    if isinstance(expr, Either):
        test, other = bracketed(expr.test, binding(expr.test) < 1), flat(expr.otherwise)
        return f"{bracketed(expr.then, binding(expr.then) < 1)} if {test} else {other}"
    if isinstance(expr, Each):
        inner = f"{flat(expr.value)} for {expr.targets} in {flat(expr.over)}"
        inner += f" if {flat(expr.test)}" if expr.test is not None else ""
        return f"*({inner})" if expr.star else inner
    if isinstance(expr, Call):
        return f"{called(expr)}({', '.join(map(argument, shown(expr.args)))})"
    if isinstance(expr, Binary):
        return f"{flat(_left(expr))} {expr.operator} {flat(_right(expr))}"
    if isinstance(expr, Item):
        index = expr.index if isinstance(expr.index, str) else ", ".join(map(flat, expr.index))
        return f"{operand(expr.value)}[{index}]"
    if isinstance(expr, Listed):
        inner = ", ".join(map(flat, expr.items))
        comma = "," if expr.brackets == "()" and len(expr.items) == 1 else ""
        return f"{expr.brackets[0]}{inner}{comma}{expr.brackets[1]}"
    assert not isinstance(expr, (Input, Self)), "an unbound expression"
    raise TypeError(expr)


def scheduled(value: Scheduled, index: Expr) -> Expr:
    """Return the number at an index of a depth schedule, as it was computed, to the last bit."""
    rise = Binary("/", Binary("*", Const(value.stop - value.start), index), Const(value.steps))
    return Binary("+", Const(value.start), rise) if value.start else rise


def bracketed(expr: Expr, needed: bool) -> str:
    """Return an expression, in parentheses if they are needed."""
    return f"({flat(expr)})" if needed else flat(expr)


def binding(expr: Expr) -> int:
    """Return how tightly an operator binds, as `tightness` counts; what is no operation binds tightest."""
    if isinstance(expr, Either):
        return 0
    if isinstance(expr, Const):
        return tightness(expr.value) if symbolic(expr.value) else 9
    if not isinstance(expr, Binary):
        return 9
    return BINDING.get(expr.operator, COMPARING)


def _left(expr: Binary) -> Expr:
    """Return the left operand, in parentheses if need be, and if it is an `and` within an `or`."""
    tight = binding(expr)
    return Group(expr.left) if tight == 1 and binding(expr.left) == 2 else _within(expr.left, tight)


def _right(expr: Binary) -> Expr:
    """Return the right operand likewise."""
    if expr.operator in ("and", "or"):
        return _left(Binary(expr.operator, expr.right, expr.left))
    return _within(expr.right, binding(expr) + 1)


def called(call: Call) -> str:
    """Return what stands before the parenthesis of a call."""
    func = flat(call.func) if isinstance(call.func, (Const, Name)) else str(call.func)
    return func if call.receiver is None else f"{operand(call.receiver)}.{func}"


def operand(expr: Expr | None) -> str:
    """Return what stands before a dot or bracket."""
    assert expr is not None
    return bracketed(expr, isinstance(expr, Binary))


def constant(value: object) -> str:
    """Return a constant as Python writes it, with underscores in no number and double quotes around text."""
    if isinstance(value, Word):
        return str(value)
    if symbolic(value):
        return text(value)
    if isinstance(value, Scheduled) and value.index:
        return flat(scheduled(value, Const(value.index)))
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, tuple):
        inner = ", ".join(map(constant, value))
        return f"({inner},)" if len(value) == 1 else f"({inner})"
    return repr(value)


def shown(args: Sequence[Arg]) -> list[Arg]:
    """Return the arguments that are written: those that differ from the called function's default."""
    return [a for a in args if a.default is None or not equal(a.value, a.default)]


def equal(a: Expr, b: Expr) -> bool:
    """Tell whether two expressions are the same constant; 1 and True are not."""
    if isinstance(a, Const) and isinstance(b, Const):
        if names(a.value) or names(b.value):
            return False
        return a.value == b.value and isinstance(a.value, bool) == isinstance(b.value, bool)
    return a == b


def argument(arg: Arg) -> str:
    """Return an argument on one line."""
    return f"{arg.role}={flat(arg.value)}" if arg.keyword else flat(arg.value)


def has_comment(expr: Expr) -> bool:
    """Tell whether an expression holds a comment, so that it cannot be on one line."""
    if isinstance(expr, Comment):
        return True
    if isinstance(expr, Call):
        return any(has_comment(arg.value) for arg in expr.args)
    if isinstance(expr, Listed):
        return any(map(has_comment, expr.items))
    if isinstance(expr, Either):
        return has_comment(expr.then)
    if isinstance(expr, Group):
        return has_comment(expr.inner)
    return False


def layout(head: str, expr: Expr, tail: str, indent: str, explode: bool = False) -> list[str]:
    """Return `head expr tail` as lines: on one if it fits.

    Else the arguments are on one, if they fit and no layer is among several, or each on one with its comma, which one
    that is alone has not.
    """
    if isinstance(expr, Comment):
        return [f"{indent}# {expr.text}"]
    if not explode and not has_comment(expr):
        line = f"{indent}{head}{flat(expr)}{tail}"
        if len(line) <= WIDTH:
            return [line]
    inner = indent + INDENT
    if isinstance(expr, Const) and isinstance(expr.value, tuple) and not symbolic(expr.value):
        expr = Listed(tuple(map(Const, expr.value)), "()")
    if isinstance(expr, Const) and symbolic(expr.value):
        expr = _called(expr)
    if isinstance(expr, Call) and expr.args:
        lines = [f"{indent}{head}{called(expr)}("]
        if isinstance(expr.args[0].value, Each) and not expr.args[0].value.star:
            return [*lines, *layout("", expr.args[0].value, "", inner), f"{indent}){tail}"]
        args = shown(expr.args)
        alone = len(args) == 1
        nested = not alone and any(isinstance(arg.value, (Call, Listed)) for arg in args)
        plain = not (explode or nested or has_comment(expr))
        if plain and len(line := f"{inner}{', '.join(map(argument, args))}") <= WIDTH:
            return [*lines, line, f"{indent}){tail}"]
        for arg in args:
            lines += layout(f"{arg.role}=" if arg.keyword else "", arg.value, "" if alone else ",", inner)
        return [*lines, f"{indent}){tail}"]
    if isinstance(expr, Listed) and expr.items:
        lines = [f"{indent}{head}{expr.brackets[0]}"]
        for item in expr.items:
            lines += layout("", item, ",", inner)
        return [*lines, f"{indent}{expr.brackets[1]}{tail}"]
    if isinstance(expr, Group):  # which no line holds
        return [f"{indent}{head}(", *stacked("", expr.inner, "", inner), f"{indent}){tail}"]
    parts = operands(expr)
    if len(parts) > 1 and not head.endswith(("= ", "return ", "raise ", "if ")):  # an argument
        return [line for one in _each_on_its_own(parts, head, tail, indent) for line in one]
    if len(parts) == 2:  # brackets that are there anyway hold the lines
        (_, left), (operator, right) = parts
        rest, lead = f"{indent}) {operator}{flat(right)}{tail}", f"{head}{flat(left)} {operator}"
        if isinstance(left, Group) and len(rest) <= WIDTH:
            return [f"{indent}{head}(", *stacked("", left.inner, "", inner), rest]
        brackets = isinstance(right, Group) or (isinstance(right, Call) and shown(right.args))
        if brackets and len(f"{indent}{lead}{called(right) if isinstance(right, Call) else ''}(") <= WIDTH:
            return layout(lead, right, tail, indent, explode=True)
    if len(parts) > 1:
        return [f"{indent}{head}(", *stacked("", expr, "", inner), f"{indent}){tail}"]
    if isinstance(expr, Each):
        at = inner if expr.star else indent
        lines = [*layout("", expr.value, "", at), f"{at}for {expr.targets} in {flat(expr.over)}"]
        if expr.test is not None:
            lines += stacked("if ", expr.test, "", at)
        return [f"{indent}{head}*(", *lines, f"{indent}){tail}"] if expr.star else lines
    return [f"{indent}{head}{flat(expr)}{tail}"]


def stacked(head: str, expr: Expr, tail: str, indent: str) -> list[str]:
    """Return an operation as lines within parentheses: on one if it fits, else an operand a line."""
    if not has_comment(expr) and len(f"{indent}{head}{flat(expr)}{tail}") <= WIDTH:
        return [f"{indent}{head}{flat(expr)}{tail}"]
    parts = operands(expr)
    if len(parts) == 1:
        return layout(head, expr, tail, indent)
    return [line for one in _each_on_its_own(parts, head, tail, indent) for line in one]


def _each_on_its_own(
    parts: Sequence[tuple[str, Expr]], head: str, tail: str, indent: str
) -> Iterator[list[str]]:
    for number, (operator, part) in enumerate(parts, 1):
        yield stacked(head + operator, part, tail if number == len(parts) else "", indent)
        head = ""


def operands(expr: Expr) -> list[tuple[str, Expr]]:
    """Return the operands of an operation, each behind its operator; what is no operation is one."""
    if isinstance(expr, Either):
        then, test = _within(expr.then, 1), _within(expr.test, 1)
        return _ternary(("", then), ("if ", test), operands(expr.otherwise), expr.otherwise)
    if isinstance(expr, Binary):
        chained = isinstance(expr.left, Binary) and binding(expr.left) == binding(expr)
        left = operands(expr.left) if chained else [("", _left(expr))]
        return [*left, (f"{expr.operator} ", _right(expr))]
    if not isinstance(expr, Const) or not symbolic(expr.value):
        return [("", expr)]
    whole = term(expr.value)
    if isinstance(whole, Poly):
        if whole.atom is None:
            (sign, first), *more = _summands(whole) if len(whole.parts) > 1 else _factors(whole)
            return [("", first), *more] if not sign.startswith("-") else [("", expr)]
        whole = whole.atom
    if whole.op == "if":
        test, then, otherwise = whole.args
        last = _term(otherwise, 0)
        return _ternary(("", _term(then, 1)), ("if ", _term(test, 1)), operands(last), last)
    if whole.op in ("and", "or"):
        tight = 3 if whole.op == "or" else 2
        sides: list[tuple[str, Expr]] = []
        for arg in whole.args:
            same = getattr(arg, "op", "") == whole.op
            parts = operands(Const(SymBool(True, arg))) if same else [("", _term(arg, tight))]
            sides += [(operator or f"{whole.op} ", part) for operator, part in parts]
        return [("", sides[0][1]), *sides[1:]]
    if whole.op in COMPARISONS:
        one, two = whole.args
        return [("", _term(one, 5)), (f"{whole.op} ", _term(two, 5))]
    return [("", expr)]


def _called(expr: Const) -> Expr:
    """Return a number as a call, where a function gives it."""
    whole = term(expr.value)
    atom = whole.atom if isinstance(whole, Poly) else whole
    if atom is None or atom.op != "call":
        return expr
    function, *args = atom.args
    return Call(function, tuple(Arg("", _term(arg, 0), keyword=False) for arg in args))


def _ternary(
    then: tuple[str, Expr], test: tuple[str, Expr], parts: list[tuple[str, Expr]], last: Expr
) -> list[tuple[str, Expr]]:
    """Return the parts of a conditional expression; those of one after its `else` go on."""
    (_, first), *more = parts if parts[1:] and parts[1][0] == "if " else [("", last)]
    return [then, test, ("else ", first), *more]


def _within(expr: Expr, tight: int) -> Expr:
    """Return an operand, in parentheses if it binds less tightly."""
    return Group(expr) if binding(expr) < tight else expr


def _term(value: Term, tight: int) -> Expr:
    """Return an expression within another as code, in parentheses if it binds less tightly."""
    whole = Const(SymInt(0, value) if isinstance(value, Poly) else SymBool(True, value))
    return Group(whole) if tightness(value) < tight else whole


def _factors(whole: Poly) -> Iterator[tuple[str, Expr]]:
    """Yield what a product multiplies, each with its operator."""
    ((coefficient, atoms),) = whole.parts.values() or [(0, ())]
    if coefficient < 0 or len(set(atoms)) < len(atoms):  # a power
        yield "", Const(SymInt(0, whole))
        return
    factors: list[Term] = [term(coefficient)] if coefficient != 1 or not atoms else []
    factors += [atom.args[0] if atom.op == "group" else atom for atom in atoms]
    for number, factor in enumerate(factors):
        yield "* ", _term(factor, 7 if number else 6)


def _summands(whole: Poly) -> Iterator[tuple[str, Expr]]:
    """Yield what a sum adds, each with its operator; what it takes away stands last."""
    for key, (coefficient, atoms) in sorted(whole.parts.items(), key=lambda part: part[1][0] < 0):
        one = _term(Poly({key: (abs(coefficient), atoms)}), 5)
        yield "- " if coefficient < 0 else "+ ", one


def signature(name: str, parameters: Sequence[str], result: str, indent: str) -> list[str]:
    """Return the line, or lines, that begin a function."""
    line = f"{indent}def {name}({', '.join(parameters)}) -> {result}:"
    if len(line) <= WIDTH:
        return [line]
    inner = [f"{indent}{INDENT}{', '.join(parameters)}"]
    if len(inner[0]) > WIDTH:
        inner = [line for parameter in parameters for line in _annotated(parameter, ",", indent + INDENT)]
    return [f"{indent}def {name}(", *inner, f"{indent}) -> {result}:"]


def _annotated(text: str, tail: str, indent: str) -> list[str]:
    """Return a parameter, or a part of its type, on as many lines as it takes."""
    first, broken, _ = text.partition("\n")  # a default may have lines of its own
    tail_here = "" if broken else tail
    if len(f"{indent}{first}{tail_here}") <= WIDTH or not text.partition(" = ")[0].endswith("]"):
        return [f"{indent}{text}{tail}"]
    annotation, assigned, default = text.partition(" = ")
    head, _, rest = annotation.partition("[")
    items, depth, begin = [], 0, 0
    for at, character in enumerate(rest):
        depth += {"[": 1, "]": -1}.get(character, 0)
        if (character == "," and depth == 0) or depth < 0:
            items.append(rest[begin:at].strip())
            begin = at + 1
        if depth < 0:
            break
    if begin < len(rest):  # more than these brackets
        return [f"{indent}{text}{tail}"]
    inner = [
        line for item in items for line in _annotated(item, "," if len(items) > 1 else "", indent + INDENT)
    ]
    return [f"{indent}{head}[", *inner, f"{indent}]{assigned}{default}{tail}"]

"""Code as lines of at most 100 columns, laid out as `ruff format` would leave it."""

from __future__ import annotations

from collections.abc import Sequence

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
from netdsl.symbolic import SymInt, names, summands, symbolic, text, tightness

WIDTH = 100
INDENT = "    "


class Each(Expr):
    """`*(value for targets in over)`; without the star it is the only argument of a call."""

    value: Expr
    targets: str
    over: Expr
    star: bool = True


class Either(Expr):
    """`then if test else otherwise`."""

    test: Expr
    then: Expr
    otherwise: Expr


def flat(expr: Expr) -> str:
    """Return an expression on one line."""
    if isinstance(expr, Const):
        return constant(expr.value)
    if isinstance(expr, Name):
        return expr.text
    if isinstance(expr, Either):
        test, other = bracketed(expr.test, binding(expr.test) < 1), flat(expr.otherwise)
        return f"{bracketed(expr.then, binding(expr.then) < 1)} if {test} else {other}"
    if isinstance(expr, Each):
        inner = f"{flat(expr.value)} for {expr.targets} in {flat(expr.over)}"
        return f"*({inner})" if expr.star else inner
    if isinstance(expr, Call):
        return f"{called(expr)}({', '.join(map(argument, shown(expr.args)))})"
    if isinstance(expr, Binary):
        left, right = binding(expr.left) < binding(expr), binding(expr.right) <= binding(expr)
        return f"{bracketed(expr.left, left)} {expr.operator} {bracketed(expr.right, right)}"
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
    """Return how tightly an operator binds; what is no operation binds tightest."""
    if isinstance(expr, Either):
        return 0
    if isinstance(expr, Const):
        return tightness(expr.value) if symbolic(expr.value) else 9
    if not isinstance(expr, Binary):
        return 9
    return {"or": 0, "and": 1, "==": 2, "!=": 2, "+": 3, "-": 3}.get(expr.operator, 4)


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
        quoted = repr('"' + value)[2:-1]  # in single quotes, since it holds a double one
        return '"' + quoted.replace("\\'", "'").replace('"', '\\"') + '"'
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
    return False


def layout(head: str, expr: Expr, tail: str, indent: str, explode: bool = False) -> list[str]:
    """Return `head expr tail` as lines: on one if it fits, else an argument a line, each with its comma."""
    if isinstance(expr, Comment):
        return [f"{indent}# {expr.text}"]
    if not explode and not has_comment(expr):
        line = f"{indent}{head}{flat(expr)}{tail}"
        if len(line) <= WIDTH:
            return [line]
    inner = indent + INDENT
    if isinstance(expr, Const) and isinstance(expr.value, SymInt) and tail == "," and not head:
        first, *more = summands(expr.value)
        return (
            [f"{indent}{first}", *(f"{indent}{part}" for part in more[:-1]), f"{indent}{more[-1]}{tail}"]
            if more
            else [f"{indent}{first}{tail}"]
        )
    if isinstance(expr, Const) and isinstance(expr.value, tuple) and not symbolic(expr.value):
        expr = Listed(tuple(map(Const, expr.value)), "()")
    if isinstance(expr, Call) and expr.args:
        lines = [f"{indent}{head}{called(expr)}("]
        if isinstance(expr.args[0].value, Each) and not expr.args[0].value.star:
            return [*lines, *layout("", expr.args[0].value, "", inner), f"{indent}){tail}"]
        for arg in shown(expr.args):
            lines += layout(f"{arg.role}=" if arg.keyword else "", arg.value, ",", inner)
        return [*lines, f"{indent}){tail}"]
    if isinstance(expr, Listed) and expr.items:
        lines = [f"{indent}{head}{expr.brackets[0]}"]
        for item in expr.items:
            lines += layout("", item, ",", inner)
        return [*lines, f"{indent}{expr.brackets[1]}{tail}"]
    if isinstance(expr, Either) and head.endswith(" = "):
        if len(inner + flat(expr)) <= WIDTH and not has_comment(expr):
            return [f"{indent}{head}(", f"{inner}{flat(expr)}", f"{indent}){tail}"]
        parts = [*layout("", expr.then, "", inner), *layout("if ", expr.test, "", inner)]
        return [f"{indent}{head}(", *parts, *layout("else ", expr.otherwise, "", inner), f"{indent}){tail}"]
    if isinstance(expr, Each):
        loop = f"for {expr.targets} in {flat(expr.over)}"
        if not expr.star:
            return [*layout("", expr.value, "", indent), f"{indent}{loop}"]
        return [f"{indent}{head}*(", *layout("", expr.value, "", inner), f"{inner}{loop}", f"{indent}){tail}"]
    return [f"{indent}{head}{flat(expr)}{tail}"]


def signature(name: str, parameters: Sequence[str], result: str, indent: str) -> list[str]:
    """Return the line, or lines, that begin a function."""
    line = f"{indent}def {name}({', '.join(parameters)}) -> {result}:"
    if len(line) <= WIDTH:
        return [line]
    inner = [f"{indent}{INDENT}{parameter}," for parameter in parameters]
    return [f"{indent}def {name}(", *inner, f"{indent}) -> {result}:"]

"""Code as lines of at most 100 columns, laid out as `ruff format` would leave it."""

from __future__ import annotations

import re
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
    children,
    fill,
    sites,
    skeleton,
)
from netdsl.ir.types import Scheduled
from netdsl.symbolic import SymInt, names, summands, symbolic, text, tightness

WIDTH = 100
INDENT = "    "


class Repeat(Expr):
    """`*(value for variable in range(count))`: a run of equal arguments, or of an arithmetic progression.

    Without the star it is the only argument of a call.
    """

    value: Expr
    variable: str
    count: int
    star: bool = True
    start: int = 0

    @property
    def loop(self) -> str:
        """The loop: `for i in range(4)`."""
        bounds = f"{self.start}, {self.start + self.count}" if self.start else str(self.count)
        return f"for {self.variable} in range({bounds})"


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
    if isinstance(expr, Repeat):
        text = f"{flat(expr.value)} {expr.loop}"
        return f"*({text})" if expr.star else text
    assert not isinstance(expr, (Input, Self)), "an unbound expression"
    raise TypeError(expr)


def fold(args: Sequence[Arg]) -> list[Arg]:
    """Return arguments with runs of equal ones, and of arithmetic progressions, as a `Repeat` each."""
    result: list[Arg] = []
    index = 0
    while index < len(args):
        length, repeated = run(args, index)
        result.append(Arg("*", repeated, keyword=False) if repeated is not None else args[index])
        index += length
    return result


def run(args: Sequence[Arg], start: int) -> tuple[int, Expr | None]:
    """Return the length of the longest run from there, and what stands for it; (1, None) if there is none."""
    first = args[start].value
    if isinstance(first, Comment):
        return 1, None
    shape, base = skeleton(first), [s.constant for s in sites(first)]
    steps: list[int] | None = None
    stop = start + 1
    while stop < len(args) and skeleton(args[stop].value) == shape:
        now = [s.constant for s in sites(args[stop].value)]
        found = progress(base, now, stop - start)
        if found is None or (steps is not None and found != steps):
            break
        steps, stop = found, stop + 1
    length = stop - start
    if steps is None or length < 2 + any(steps):
        return 1, None
    variable = next(name for name in ("i", "j", "k", "index") if not uses(first, name))
    growing = [c.value for c, step in zip(base, steps, strict=True) if step]
    starts = {value.index if isinstance(value, Scheduled) else 0 for value in growing}
    begin = starts.pop() if len(starts) == 1 and set(steps) <= {0, 1} else 0
    values = (term(c, step, variable, begin) for c, step in zip(base, steps, strict=True))
    return length, Repeat(fill(first, values), variable if any(steps) else "_", length, start=begin)


def progress(base: list[Const], now: list[Const], count: int) -> list[int] | None:
    """Return how much each constant grows a turn, if `now` is `count` turns after `base`."""
    steps = []
    for a, b in zip(base, now, strict=True):
        if type(a.value) is not type(b.value) or a.source != b.source:
            return None
        if a.value == b.value:
            steps.append(0)
        elif isinstance(a.value, Scheduled) and isinstance(b.value, Scheduled):
            one, other = a.value, b.value
            turns, rest = divmod(other.index - one.index, count)
            if rest or (one.start, one.stop, one.steps) != (other.start, other.stop, other.steps):
                return None
            steps.append(turns)
        elif (
            type(a.value) is int
            and type(b.value) is int
            and not a.source
            and (b.value - a.value) % count == 0
        ):
            steps.append((b.value - a.value) // count)
        elif isinstance(a.value, str) and isinstance(b.value, str) and numbered(a.value, count) == b.value:
            steps.append(1)
        else:
            return None
    return steps


def numbered(name: str, by: int) -> str:
    """Return a name with its number raised: denselayer1 to denselayer3."""
    head, number, tail = _NUMBER.match(name).groups()  # type: ignore[union-attr]
    return f"{head}{int(number) + by}{tail}" if number and str(int(number)) == number else ""


_NUMBER = re.compile(r"(.*?)(\d*)(\D*)$")


def term(constant: Const, step: int, variable: str, begin: int = 0) -> Expr:
    """Return a constant that grows: `64 + 32 * i`, or f"denselayer{i + 1}"; `variable` counts from `begin`."""
    if not step:
        return constant
    if isinstance(constant.value, Scheduled):
        return scheduled(constant.value, term(Const(constant.value.index - begin), step, variable))
    if isinstance(constant.value, str):
        head, number, tail = _NUMBER.match(constant.value).groups()  # type: ignore[union-attr]
        index = variable if number == "0" else f"{variable} + {number}"
        return Name(f'f"{head}{{{index}}}{tail}"')
    grown: Expr = Name(variable) if step == 1 else Binary("*", Const(step), Name(variable))
    return Binary("+", constant, grown) if constant.value else grown


def scheduled(value: Scheduled, index: Expr) -> Expr:
    """Return the number at an index of a depth schedule, as it was computed, to the last bit."""
    rise = Binary("/", Binary("*", Const(value.stop - value.start), index), Const(value.steps))
    return Binary("+", Const(value.start), rise) if value.start else rise


def uses(expr: Expr, variable: str) -> bool:
    """Tell whether an expression reads a name, or a loop within binds it."""
    if isinstance(expr, Name):
        return expr.text == variable
    if isinstance(expr, Repeat):
        return expr.variable == variable or uses(expr.value, variable)
    return any(uses(part, variable) for part in children(expr))


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
        return a.value == b.value and isinstance(a.value, bool) == isinstance(b.value, bool) and not a.source
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
        if isinstance(expr.args[0].value, (Repeat, Each)) and not expr.args[0].value.star:
            return [*lines, *layout("", expr.args[0].value, "", inner), f"{indent}){tail}"]
        for arg in shown(expr.args):
            lines += layout(f"{arg.role}=" if arg.keyword else "", arg.value, ",", inner)
        return [*lines, f"{indent}){tail}"]
    if isinstance(expr, Listed) and expr.items:
        lines = [f"{indent}{head}{expr.brackets[0]}"]
        for item in expr.items:
            lines += layout("", item, ",", inner)
        return [*lines, f"{indent}{expr.brackets[1]}{tail}"]
    if isinstance(expr, Each):
        loop = f"for {expr.targets} in {flat(expr.over)}"
        if not expr.star:
            return [*layout("", expr.value, "", indent), f"{indent}{loop}"]
        return [f"{indent}{head}*(", *layout("", expr.value, "", inner), f"{inner}{loop}", f"{indent}){tail}"]
    if isinstance(expr, Repeat):
        if not expr.star:
            return [
                *layout("", expr.value, "", indent),
                f"{indent}{expr.loop}",
            ]
        lines = [f"{indent}{head}*(", *layout("", expr.value, "", inner)]
        return [*lines, f"{inner}{expr.loop}", f"{indent}){tail}"]
    return [f"{indent}{head}{flat(expr)}{tail}"]


def signature(name: str, parameters: Sequence[str], result: str, indent: str) -> list[str]:
    """Return the line, or lines, that begin a function."""
    line = f"{indent}def {name}({', '.join(parameters)}) -> {result}:"
    if len(line) <= WIDTH:
        return [line]
    inner = [f"{indent}{INDENT}{parameter}," for parameter in parameters]
    return [f"{indent}def {name}(", *inner, f"{indent}) -> {result}:"]

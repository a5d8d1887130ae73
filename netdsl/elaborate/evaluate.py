"""Expressions to values. Operators check their bounds before they compute; every evaluation costs a step."""

from __future__ import annotations

import math
import operator
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

from netdsl.elaborate.arguments import bind, parameters
from netdsl.elaborate.functions import FUNCTIONS
from netdsl.elaborate.names import reserved_variable
from netdsl.elaborate.values import (
    MISSING,
    Choice,
    Data,
    Env,
    Function,
    InitFunction,
    NetDecl,
    OpValue,
    Poisoned,
    Ramp,
    RowValue,
    SpecError,
    TableValue,
    fail,
    is_whole,
    kind_of,
    op_elsewhere,
    show,
    size,
    unknown,
)
from netdsl.ir.types import Dims, Init, Pad, Scheduled
from netdsl.ops import catalogue
from netdsl.ops.activation import LeakyRelu
from netdsl.source import Source, Span
from netdsl.syntax import tree
from netdsl.syntax.tokens import MAX_DEPTH as MAX_NESTING
from netdsl.syntax.tokens import MAX_FLOAT, MAX_INT

MAX_LENGTH = 1_000_000
MAX_DEPTH = 200
"""How deep definitions and blocks may nest when they are evaluated."""
CALL = 8
"""How many steps a call of a file's own function takes beside those of its expression."""

_ROUND: dict[str, Callable[[float], int]] = {
    "ceil": math.ceil,
    "floor": math.floor,
    "round": round,
    "int": int,
}
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
    "**": operator.pow,
}


def builtins() -> Env:
    """Return the names that every file can see: ops, functions, paddings, initialisers."""
    env = Env()
    env.names.update({name: OpValue(op, {}) for name, op in catalogue().items()})
    env.names.update({name: Function(name, one.params) for name, one in FUNCTIONS.items()})
    env.names.update({"same": Pad("same"), "tf": Pad("tf"), "fan_in": "fan_in", "fan_out": "fan_out"})
    env.names.update({name: InitFunction(name) for name in Init.KINDS})
    return env


def is_number(value: Any) -> bool:
    """Tell whether a value is an int or a float; true and false are not."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _same(a: Any, b: Any) -> bool:
    """Tell whether two values are equal; ops are by what they are given, not by where."""
    if isinstance(a, OpValue) and isinstance(b, OpValue):
        return a.target is b.target and show(a) == show(b)
    return bool(a == b) if type(a) is type(b) or (is_number(a) and is_number(b)) else False


def check_variables(names: tuple[tree.Expr, ...], source: Source) -> None:
    """Raise an error for the name of a number that emitted code needs for itself."""
    for name in names:
        if isinstance(name, tree.Name) and (why := reserved_variable(name.text)):
            span = Span(source, name.start, name.end)
            raise fail("E219", f"`{name.text}` {why}", span, "choose another name")


def _calculated(op: str, a: Any, b: Any) -> tuple[Any, str]:
    """Return what an operator makes of two numbers, and why that cannot be used; "" if it can."""
    if op in ("/", "//", "%") and b == 0:
        return None, f"{a} {op} 0: division by zero"
    if op == "**" and isinstance(a, int) and isinstance(b, int):
        if abs(a) > 1 and b > 63:
            return None, f"{a}**{b} is more than 2^63 - 1"
        if b < 0 and a == 0:
            return None, "0 to a negative power: division by zero"
    try:
        result = _ARITHMETIC[op](a, b)
    except (OverflowError, ZeroDivisionError):
        return None, f"{a} {op} {b} is not a number that can be used"
    if isinstance(result, complex) or (isinstance(result, float) and not abs(result) <= MAX_FLOAT):
        return None, f"{a} {op} {b} is not a number that can be used"
    if isinstance(result, int) and abs(result) > MAX_INT:
        return None, f"{a} {op} {b} is more than 2^63 - 1"
    return result, ""


def _cells(value: Any) -> tuple[Any, ...] | None:
    """Return what a row or list holds; None for anything else."""
    if isinstance(value, RowValue):
        return value.cells
    return value if isinstance(value, tuple) and not isinstance(value, Dims) else None


def _gain(activation: Any) -> tuple[Any, ...]:
    """Return the name of an activation that has a gain, and the slope of one that leaks; nothing for another."""
    if not isinstance(activation, OpValue) or activation.name not in Init.GAINS:
        return ()
    if activation.target is LeakyRelu:
        slope = activation.args.get("slope")
        return activation.name, LeakyRelu().slope if slope is None else slope.value
    return () if activation.args else (activation.name,)


def _no_decision(choice: Choice, name: str) -> Any:
    raise fail("E217", "a decision belongs to a net", choice.span)


@contextmanager
def deep_recursion() -> Iterator[None]:
    """Let Python nest as deep as the limits here allow, which are counted and have a span."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(max(limit, 10_000))
    try:
        yield
    finally:
        sys.setrecursionlimit(limit)


def _joined(node: tree.Binary, source: Source) -> str:
    """Return the help for an operator between what is no number: lists, or sizes and their stride; "" for others."""
    left, right = (source.text[one.start : one.end] for one in (node.left, node.right))
    if isinstance(node.left, tree.DimsLiteral) and node.operator == "/":
        return f"a stride follows a comma: {left}, /{right}"
    if (
        isinstance(node.left, tree.ListExpr)
        and isinstance(node.right, tree.ListExpr)
        and node.operator == "+"
    ):
        items = ", ".join(filter(None, (one[1:-1].strip(" ,") for one in (left, right))))
        return f"lists are not added, one is written out: [{items}]"
    return ""


class Evaluator:
    """Evaluates expressions of one elaboration: it holds the step budget, the ramps and the decisions."""

    def __init__(self, max_steps: int, decide: Callable[[Choice, str], Any] | None = None) -> None:
        """Start with a full budget. `decide` returns what a decision takes; a file has no decisions."""
        self.steps = max_steps
        self.max_steps = max_steps
        self.exhausted = False
        self.depth = 0
        self.ramps: dict[int, int] = {}
        self.in_net = decide is not None
        self.decide = decide or _no_decision
        self.schedules: dict[int, tree.CallExpr] = {}
        """The calls that are schedules by their ids, which they keep from being given anew."""
        self._active: set[int] = set()

    def spend(self, steps: int, node: tree.Tree, source: Source) -> None:
        """Spend steps of the budget; when it is gone, whatever is evaluated next fails too, silently."""
        if self.exhausted:
            raise Poisoned
        self.steps -= steps
        if self.steps < 0:
            self.exhausted = True
            what = f"evaluating this takes more than {self.max_steps:,} steps"
            raise fail("E213", what, Span(source, node.start, node.end))

    def enter(self, node: tree.Tree, source: Source, levels: int = 1) -> None:
        """Go deeper; `depth` is taken back by who called."""
        if self.depth + levels > MAX_DEPTH:
            what = f"blocks, bodies and definitions nest deeper than {MAX_DEPTH}"
            raise fail("E213", what, Span(source, node.start, node.end))
        self.depth += levels

    def first(self, value: Any, copy: int) -> Any:
        """Return a stride that only the first copy has."""
        return value if copy == 0 else 1

    # -- expressions

    def eval(self, node: tree.Expr, env: Env, source: Source) -> Any:
        """Return an expression's value."""
        self.steps -= 1
        if self.steps < 0:
            self.spend(0, node, source)
        if isinstance(node, (tree.Number, tree.Constant)):
            return node.value
        if isinstance(node, tree.Name):
            return self.name(node, env, source)
        return self._forms[type(node)](self, node, env, source)

    def name(self, node: tree.Name, env: Env, source: Source) -> Any:
        """Return a name's value."""
        value = env.find(node.text)
        if value is MISSING:
            span = Span(source, node.start, node.end)
            value = op_elsewhere(node.text, span)
            if value is not None:
                return value
            if env.partial or env.unlabelled:
                raise Poisoned
            raise self._unknown(node.text, env, span)
        if type(value) is Data and value.poisoned:
            raise Poisoned
        return value

    def flowing(self, node: tree.Expr, env: Env, source: Source) -> Any:
        """Return a value where nothing but what flows can stand: there a label hides what the language calls so."""
        if isinstance(node, tree.Name) and isinstance(env.find_name(node.text), (OpValue, Pad, Function)):
            value = env.find_tensor(node.text)
            if value is not None and value.poisoned:
                raise Poisoned
            if value is not None:
                return value
        return self.eval(node, env, source)

    @staticmethod
    def _unknown(word: str, env: Env, span: Span) -> SpecError:
        from netdsl.elaborate import elsewhere  # only errors need it

        help = elsewhere.word(word, env.known())
        if help:
            return fail("E200", f"unknown name `{word}`", span, help)
        values = [name for name in env.known() if not isinstance(env.find(name), NetDecl)]
        return unknown("E200", "name", word, [*values, *elsewhere.VALUES.values()], span)

    @staticmethod
    def _elsewhere(error: SpecError, node: tree.Expr, span: Span) -> SpecError:
        """Return the error for what is called, where that is what another framework calls an op: `nn.ReLU()`."""
        unknown = error.diagnostic.span
        begins = unknown is not None and unknown.source is span.source and unknown.start == node.start
        if error.diagnostic.code != "E200" or not begins:
            return error
        from netdsl.elaborate.elsewhere import said  # only errors need it

        name = span.source.text[node.start : node.end]
        help = said(name, span.text)
        return fail("E200", f"unknown name `{name}`", span, help) if help else error

    def text(self, node: tree.Label, env: Env, source: Source) -> str:
        """Return a label's text, a template's braces filled in."""
        if isinstance(node, tree.Name):
            return node.text
        parts = []
        for part in node.parts:
            if isinstance(part, str):
                parts.append(part)
                continue
            value = self.eval(part, env, source)
            if not is_whole(value) or value < 0:
                span = Span(source, part.start, part.end)
                raise fail(
                    "E203", f"a name needs whole numbers from 0 in its braces, got {show(value)}", span
                )
            parts.append(str(value))
        return "".join(parts)

    def truth(self, node: tree.Expr, env: Env, source: Source) -> bool:
        """Return a condition's value: true, false, or whether an op is there."""
        value = self.eval(node, env, source)
        if isinstance(value, bool):
            return value
        if value is None or isinstance(value, OpValue):
            return value is not None
        span = Span(source, node.start, node.end)
        if isinstance(value, (Ramp, Choice)):
            raise self._type("", node, value, source)
        text = f"({span.text})" if isinstance(node, tree.Ternary) else span.text
        help = f"{text} > 0"
        if isinstance(value, (list, tuple)) and not isinstance(value, Dims):
            help = f"len({span.text}) > 0"
        elif not isinstance(value, (int, float)):
            help = f"{text} == {show(value)}" if isinstance(value, (str, Dims)) else ""
        raise fail("E207", f"a condition must be true or false, got {show(value)}", span, help)

    def _dims(self, node: tree.DimsLiteral, env: Env, source: Source) -> Dims:
        return Dims(node.sizes)

    def _string(self, node: tree.String, env: Env, source: Source) -> str:
        return node.text

    def _template(self, node: tree.Template, env: Env, source: Source) -> Any:
        name = self.text(node, env, source)
        return self.name(tree.Name(node.start, node.end, name), env, source)

    def _ternary(self, node: tree.Ternary, env: Env, source: Source) -> Any:
        chosen = node.then if self.truth(node.condition, env, source) else node.otherwise
        return self.eval(chosen, env, source)

    def _list(self, node: tree.ListExpr, env: Env, source: Source) -> tuple[Any, ...]:
        return self._sized([self.eval(item, env, source) for item in node.items], node, source)

    def _sized(self, items: list[Any], node: tree.Tree, source: Source) -> tuple[Any, ...]:
        """Return a list as a value; lists in lists count with all that they hold."""
        value = tuple(items)
        count = size(value, MAX_LENGTH)
        self.spend(count, node, source)
        if count > MAX_LENGTH:
            span = Span(source, node.start, node.end)
            what = f"a list holds more than {MAX_LENGTH:,} values, or nests deeper than {MAX_NESTING}"
            raise fail("E213", what, span)
        return value

    def _choice(self, node: tree.Choice, env: Env, source: Source) -> Choice:
        options = tuple(self.eval(option, env, source) for option in node.options)
        return Choice(node, options, Span(source, node.start, node.end))

    def _comprehension(self, node: tree.Comprehension, env: Env, source: Source) -> tuple[Any, ...]:
        check_variables(node.names, source)
        inner = Env(env)
        result = []
        for item in self.iterate(node.iterable, env, source):
            self.unpack(node.names, item, inner, source, node.groups)
            if node.condition is None or self.keeps(node.condition, inner, source):
                result.append(self.eval(node.value, inner, source))
        return self._sized(result, node, source)

    def keeps(self, condition: tree.Expr, env: Env, source: Source) -> bool:
        """Tell whether a comprehension has an item."""
        return self.truth(condition, env, source)

    def _unary(self, node: tree.Unary, env: Env, source: Source) -> Any:
        if node.operator == "not":
            return not self.truth(node.operand, env, source)
        value = self.eval(node.operand, env, source)
        if not is_number(value):
            raise self._type(f"`{node.operator}` needs a number, got {show(value)}", node, value, source)
        return -value if node.operator == "-" else value

    def _binary(self, node: tree.Binary, env: Env, source: Source) -> Any:
        op = node.operator
        if op in ("and", "or"):
            left = self.truth(node.left, env, source)
            return self.truth(node.right, env, source) if left == (op == "and") else left
        a, b = self.eval(node.left, env, source), self.eval(node.right, env, source)
        for value in (a, b):
            if isinstance(value, (Ramp, Choice)):
                raise self._type("", node, value, source)
        if op in ("==", "!="):
            return _same(a, b) == (op == "==")
        if op in ("in", "not in"):
            items = self.items(b, Span(source, node.right.start, node.right.end))
            self.spend(len(items), node, source)
            return any(_same(a, item) for item in items) == (op == "in")
        if not (is_number(a) and is_number(b)):
            bad = b if is_number(a) or isinstance(b, OpValue) else a
            raise self._type(
                f"`{op}` needs numbers, got {show(bad)}", node, bad, source, _joined(node, source)
            )
        if op in _COMPARE:
            return _COMPARE[op](a, b)
        return self._arithmetic(op, a, b, node, source)

    def _type(self, message: str, node: tree.Expr, value: Any, source: Source, help: str = "") -> SpecError:
        span = Span(source, node.start, node.end)
        if isinstance(value, Ramp):
            return fail("E216", "a ramp has no value yet: only an op's argument may take it", span)
        if isinstance(value, Choice):
            return fail("E217", "a decision needs a name", span, "depth = choose(2, 3), then use depth")
        if isinstance(value, OpValue) and isinstance(node, tree.Binary) and node.operator == "-":
            arrows = span.text.replace(" - ", " -> ")
            return fail("E113", "`-` between layers", span, f"arrows: ... {arrows}")
        if isinstance(value, Data):
            from netdsl.syntax.habits import JOINTS as BY_OPERATOR  # only errors need it

            help = "tensors are joined by lines: add: and one branch a line"
            if isinstance(node, tree.Binary) and node.operator in BY_OPERATOR:
                sides = [source.text[one.start : one.end] for one in (node.left, node.right)]
                if isinstance(node.left, tree.Name) and isinstance(node.right, tree.Name):
                    help = f"values are joined by a joint: from {', '.join(sides)} -> {BY_OPERATOR[node.operator]}"
            return fail("E210", message, span, help)
        return fail("E203", message, span, help)

    def _arithmetic(self, op: str, a: Any, b: Any, node: tree.Binary, source: Source) -> Any:
        result, why = _calculated(op, a, b)
        if why:
            raise fail("E212", why, Span(source, node.start, node.end))
        return result

    def _attribute(self, node: tree.Attribute, env: Env, source: Source) -> Any:
        try:
            value = self.flowing(node.value, env, source)
        except SpecError as error:
            if not isinstance(node.value, tree.Name):
                raise
            raise self._elsewhere(error, node, Span(source, node.start, node.end)) from None
        if isinstance(value, RowValue) and node.name in value.columns:
            return value.cells[value.columns.index(node.name)]
        span = Span(source, node.start, node.end)
        if isinstance(value, RowValue):
            raise unknown("E208", "column", node.name, list(value.columns), span)
        if isinstance(value, Data):
            if len(value.shapes) != 1:
                help = "take one: x[0], or count them: len(x)"
                raise fail("E210", f"a tuple of {len(value.shapes)} values has no `.{node.name}`", span, help)
            shape = value.shapes[0]
            if node.name in ("c", "h", "w", "n") and node.name in shape.axes:
                return shape.size(node.name)
            has = ", ".join(f".{axis}" for axis in shape.axes)
            from netdsl.elaborate.elsewhere import instead, said  # only errors need it

            help = said(span.text) or instead(span.text) or f"it has {has}"
            raise fail("E208", f"{shape.kind} {shape} has no `.{node.name}`", span, help)
        raise fail("E208", f"{kind_of(value)} has no `.{node.name}`", span)

    def _index(self, node: tree.Index, env: Env, source: Source) -> Any:
        value = self.eval(node.value, env, source)
        index = self.eval(node.index, env, source)
        span = Span(source, node.start, node.end)
        if not is_whole(index):
            raise fail(
                "E203",
                f"an index must be an int, got {show(index)}",
                Span(source, node.index.start, node.index.end),
            )
        if isinstance(value, Data):
            return self.pick(value, index, span)
        if isinstance(value, TableValue):
            items: tuple[Any, ...] = tuple(RowValue(value.columns, row) for row in value.rows)
        elif isinstance(value, RowValue):
            items = value.cells
        elif isinstance(value, tuple):
            items = value
        else:
            raise fail("E208", f"{kind_of(value)} cannot be indexed", span)
        if not -len(items) <= index < len(items):
            raise fail("E208", f"index {index} of {len(items)} items", span)
        return items[index]

    def _slice(self, node: tree.Slice, env: Env, source: Source) -> Any:
        value = self.eval(node.value, env, source)
        bounds: list[int | None] = []
        for bound in (node.begin, node.stop):
            bounds.append(None if bound is None else self.eval(bound, env, source))
            if bound is not None and not is_whole(bounds[-1]):
                span = Span(source, bound.start, bound.end)
                raise fail("E203", f"an index must be an int, got {show(bounds[-1])}", span)
        return self.part(value, slice(*bounds), node, source)

    def part(self, value: Any, bounds: slice, node: tree.Tree, source: Source) -> Any:
        """Return some items of a list or table, in a row or backwards."""
        if isinstance(value, TableValue):
            return value.replace(rows=value.rows[bounds])
        cells = _cells(value)
        if cells is None:
            span = Span(source, node.start, node.end)
            raise fail("E208", f"{kind_of(value)} has no parts", span, "a list has, or a table: cs[1:]")
        return self._sized(list(cells[bounds]), node, source)

    def pick(self, value: Data, index: int, span: Span) -> Data:
        """Return one value of a tuple that flows."""
        if value.poisoned:
            raise Poisoned
        if not -len(value.wires) <= index < len(value.wires):
            raise fail("E208", f"index {index} of a tuple of {len(value.wires)} values", span)
        return Data((value.wires[index],), (value.shapes[index],))

    # -- iteration

    def iterate(self, node: tree.Expr, env: Env, source: Source) -> list[Any]:
        """Return what an expression yields, one step an item."""
        items = self.items(self.eval(node, env, source), Span(source, node.start, node.end))
        self.spend(len(items), node, source)
        return items

    @staticmethod
    def items(value: Any, span: Span) -> list[Any]:
        """Return the items of a list, table or range."""
        if isinstance(value, TableValue):
            return [RowValue(value.columns, row) for row in value.rows]
        if isinstance(value, RowValue):
            return list(value.cells)
        if isinstance(value, tuple) and not isinstance(value, Dims):
            return list(value)
        raise fail(
            "E203",
            f"{kind_of(value)} cannot be iterated over",
            span,
            "iterate over a list, a table or range(n)",
        )

    def unpack(
        self,
        names: tuple[tree.Name, ...],
        item: Any,
        env: Env,
        source: Source,
        groups: tuple[int, ...] = (),
    ) -> None:
        """Bind one name, or several to the cells of a row or list; a row in it may count cell by cell.

        `groups` say which are in brackets, as in `tree.For`.
        """
        if len(names) == 1:
            env.names[names[0].text] = item
            return
        cells = _cells(item)
        if groups and cells is not None:
            inner = [_cells(cell) if group else None for cell, group in zip(cells, groups, strict=False)]
            counts = [len(one) if one is not None else 0 for one in inner]
            if len(cells) != len(groups) or tuple(counts) != groups:
                has = ", ".join(f"({n} values)" if n else "one" for n in counts)
                what = f"the names are grouped otherwise than {len(cells)} values: {has}"
                raise fail("E209", what, Span(source, names[0].start, names[-1].end))
            cells = tuple(part for cell, own in zip(cells, inner, strict=True) for part in own or (cell,))
        elif cells is not None and len(cells) != len(names):
            cells = tuple(one for cell in cells for one in (_cells(cell) or (cell,)))
        if cells is None or len(cells) != len(names):
            what = kind_of(item) if cells is None else f"{len(cells)} values"
            help = f"it has {', '.join(item.columns)}" if isinstance(item, RowValue) else ""
            span = Span(source, names[0].start, names[-1].end)
            raise fail("E209", f"{len(names)} names for {what}", span, help)
        for name, cell in zip(names, cells, strict=True):
            env.names[name.text] = cell

    # -- calls

    def _call(self, node: tree.CallExpr, env: Env, source: Source) -> Any:
        span = Span(source, node.start, node.end)
        try:
            target = self.eval(node.function, env, source)
        except SpecError as error:
            raise self._elsewhere(error, node.function, span) from None
        if isinstance(target, OpValue):
            given = bind(self, parameters(target), node.args, env, source, target.name)
            result = target.replace(args={**target.args, **given})
            if size(result, MAX_LENGTH) > MAX_LENGTH:
                raise fail("E213", f"{target.name} holds more than {MAX_LENGTH:,} values", span)
            return result
        args: list[Any] = []
        keywords: dict[str, Any] = {}
        for arg in node.args:
            if isinstance(arg, tree.Keyword):
                keywords[arg.name] = self.eval(arg.value, env, source)
            elif isinstance(arg, tree.Stride):
                raise fail(
                    "E205",
                    "`/` here is no division: a stride belongs to a layer",
                    Span(source, arg.start, arg.end),
                )
            else:
                args.append(self.eval(arg, env, source))
        if isinstance(target, InitFunction):
            return self._init(target.kind, args, keywords, span)
        if not isinstance(target, Function):
            name = node.function.text if isinstance(node.function, tree.Name) else ""
            hides = any(isinstance(one.names.get(name), Function) for one in env.outwards())
            help = f"call one of them otherwise: `{name}` is a function, too" if hides else ""
            raise fail("E208", f"{kind_of(target)} cannot be called", span, help)
        if target.params == ("*",):
            if keywords:
                raise fail("E202", f"{target.name} takes no `{next(iter(keywords))}=`", span)
            return self._builtin(target.name, args, node, source)
        names = target.params
        if len(args) > len(names):
            texts = [source.text[arg.start : arg.end] for arg in node.args[: len(names)]]
            help = f"{target.name}({', '.join(texts)})" if len(names) > 1 else ""  # len(1, 2) is no len(1)
            raise fail("E205", f"{target.name} takes {len(names)} arguments, got {len(args)}", span, help)
        values = dict(zip(names, args, strict=False))
        for key, value in keywords.items():
            if key not in names:
                raise unknown("E202", f"argument of {target.name}:", key, list(names), span)
            if key in values:
                raise fail("E205", f"{target.name} got `{key}` twice", span)
            values[key] = value
        if target.value is None:
            values = {**FUNCTIONS[target.name].optional, **values}
        missing = [name for name in names if name not in values]
        if missing:
            from netdsl.elaborate.arguments import EXAMPLES  # only errors need it

            texts = [source.text[arg.start : arg.end] for arg in node.args]
            texts += [f"{name}={EXAMPLES[name]}" for name in missing if name in EXAMPLES]
            help = f"{target.name}({', '.join(texts)})" if set(missing) <= set(EXAMPLES) else ""
            raise fail("E204", f"{target.name} needs `{missing[0]}`", span, help)
        if target.name == "ramp" and target.value is None:
            return self._ramp(node, values, span)
        if target.value is None:
            return self._builtin(target.name, [values[name] for name in names], node, source)
        return self._defined(target, values, node, source)

    def _defined(self, target: Function, values: dict[str, Any], node: tree.CallExpr, source: Source) -> Any:
        if id(target) in self._active:
            span = Span(source, node.start, node.end)
            raise fail("E211", f"`{target.name}` calls itself: there is no recursion", span)
        assert target.value is not None
        assert target.source is not None
        env = Env(target.env)
        env.names.update(values)
        levels = 1 + target.value.depth
        self.spend(CALL, node, source)
        self.enter(node, source, levels)
        self._active.add(id(target))
        try:
            return self.eval(target.value, env, target.source)
        finally:
            self._active.remove(id(target))
            self.depth -= levels

    @staticmethod
    def _init(kind: str, args: list[Any], keywords: dict[str, Any], span: Span) -> Init:
        spec = Init.KINDS[kind]
        names = [name for name, _ in spec]
        if len(args) > len(spec):
            raise fail("E205", f"{kind} takes {len(spec)} arguments, got {len(args)}", span)
        values = dict(zip(names, args, strict=False))
        for key, value in keywords.items():
            if key not in names:
                raise unknown("E202", f"argument of {kind}:", key, names, span)
            values[key] = value
        result: list[float | str] = []
        for name, default in spec:
            value = values.get(name, default)
            if name == "mode":
                if value not in ("fan_in", "fan_out"):
                    raise fail("E203", f"{kind} takes fan_in or fan_out, got {show(value)}", span)
            elif name == "gain" and (isinstance(value, OpValue) or isinstance(default, str)):
                gain = _gain(value) if name in values else (value,)
                if not gain:
                    known = ", ".join(Init.GAINS)
                    raise fail("E203", f"{kind} takes the gain of {known}; got {show(value)}", span)
                if isinstance(default, str):
                    result += gain
                    continue
                above, below = Init.gain(*gain)
                value = (above / below) ** 0.5
            elif not is_number(value):
                what = (
                    f"{kind} needs `{name}`"
                    if value is None
                    else f"{kind}: {name} must be a number, got {show(value)}"
                )
                raise fail("E204" if value is None else "E203", what, span)
            result.append(value)
        if "std" in names and float(values.get("std", 1.0)) < 0:
            raise fail("E203", f"{kind}: std must not be negative", span)
        return Init(kind, tuple(result))

    def _ramp(self, node: tree.CallExpr, values: dict[str, Any], span: Span) -> Ramp:
        if not self.in_net:
            raise fail("E216", "a ramp belongs to a net: it counts the layers of one", span)
        if (
            not is_number(values["start"])
            or not is_number(values["stop"])
            or not isinstance(values["endpoint"], bool)
        ):
            raise fail("E203", "ramp takes two numbers, and endpoint=true or false", span)
        self.schedules[id(node)] = node
        return Ramp(id(node), None, values["start"], values["stop"], values["endpoint"])

    def numbered(self, schedule: Ramp) -> Any:
        """Return the number of the next layer or block that is given a schedule."""
        index = self.ramps.get(schedule.key, 0)
        self.ramps[schedule.key] = index + 1
        return schedule.replace(index=index)

    def resolve(self, ramp: Ramp) -> float:
        """Return a ramp's number, when all evaluations are known."""
        count = self.ramps[ramp.key]
        steps = count - 1 if ramp.endpoint else count
        start, stop = float(ramp.start), float(ramp.stop)
        return Scheduled(start, stop, ramp.index or 0, steps) if steps else start

    def _builtin(self, name: str, args: list[Any], node: tree.CallExpr, source: Source) -> Any:
        for value in args:
            if isinstance(value, (Ramp, Choice)):
                raise self._type("", node, value, source)
        span = Span(source, node.start, node.end)
        if name == "reversed":
            return self.part(args[0], slice(None, None, -1), node, source)
        try:
            result = self._apply(name, args, span)
        except (TypeError, ValueError, OverflowError):
            shown = ", ".join(map(show, args))
            raise fail("E203", f"{name} cannot be applied to ({shown})", span) from None
        return self._sized(result, node, source) if isinstance(result, list) else result

    def _apply(self, name: str, args: list[Any], span: Span) -> Any:
        if name in ("ceil", "floor", "round", "int"):
            (x,) = self._numbers(args)
            return self._bounded(_ROUND[name](x), span)
        if name in ("max", "min"):
            values = self._numbers(self.items(args[0], span) if len(args) == 1 else args)
            return max(values) if name == "max" else min(values)
        if name == "sum":
            values = self.items(args[0], span)
            return self._bounded(sum(self._numbers(values)) if values else 0, span)
        if name == "abs":
            (x,) = self._numbers(args)
            return abs(x)
        if name in ("log", "log2"):
            (x,) = self._numbers(args)
            return math.log(x) if name == "log" else math.log2(x)
        if name == "dims":
            if len(args) < 2 or not all(is_whole(size) and size >= 0 for size in args):
                raise TypeError
            return Dims(args)
        if name == "len":
            if isinstance(args[0], Data):
                return len(args[0].wires)
            return len(args[0]) if isinstance(args[0], Dims) else len(self.items(args[0], span))
        if name == "range":
            if not 1 <= len(args) <= 3 or not all(map(is_whole, args)):
                raise TypeError
            numbers = range(*args)
            if len(numbers) > MAX_LENGTH:
                raise fail("E213", f"a range of {len(numbers):,} items is more than {MAX_LENGTH:,}", span)
            return list(numbers)
        if name == "enumerate":
            if not is_whole(args[1]):
                raise TypeError
            items = self.items(args[0], span)
            return list(enumerate(items, args[1]))
        if name == "zip":
            columns = [self.items(value, span) for value in args]
            if len({len(column) for column in columns}) > 1:
                lengths = ", ".join(str(len(column)) for column in columns)
                raise fail("E209", f"zip needs lists of one length, got {lengths}", span)
            return list(zip(*columns, strict=True))
        value, divisor = self._numbers(args)
        if not is_whole(divisor) or divisor < 1:
            raise TypeError
        # torchvision's rule: to the nearest multiple, never more than 10 % down
        rounded = max(divisor, int(value + divisor / 2) // divisor * divisor)
        return self._bounded(rounded + divisor if rounded < 0.9 * value else rounded, span)

    @staticmethod
    def _numbers(values: list[Any]) -> list[Any]:
        if not values or not all(is_number(value) for value in values):
            raise TypeError
        return values

    @staticmethod
    def _bounded(value: Any, span: Span) -> Any:
        if abs(value) > MAX_INT:
            raise fail("E212", f"{value} is more than 2^63 - 1", span)
        return value

    _forms: ClassVar[dict[type, Callable[..., Any]]] = {
        tree.DimsLiteral: _dims,
        tree.String: _string,
        tree.Template: _template,
        tree.Unary: _unary,
        tree.Binary: _binary,
        tree.Ternary: _ternary,
        tree.Attribute: _attribute,
        tree.Index: _index,
        tree.Slice: _slice,
        tree.CallExpr: _call,
        tree.ListExpr: _list,
        tree.Comprehension: _comprehension,
        tree.Choice: _choice,
    }

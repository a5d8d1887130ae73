"""Arguments to parameters: by name, by type, as a stride, and from `default` lines."""

from __future__ import annotations

from collections.abc import Container, Mapping
from functools import cache
from inspect import get_annotations
from typing import TYPE_CHECKING, Any

from netdsl.diagnostics import did_you_mean
from netdsl.elaborate.values import (
    MISSING,
    Arguments,
    BlockDecl,
    Choice,
    Data,
    Env,
    FileScope,
    Function,
    Given,
    InitFunction,
    NetDecl,
    OpValue,
    Poisoned,
    Ramp,
    SpecError,
    TableValue,
    fail,
    is_whole,
    kind_of,
    show,
)
from netdsl.ir.types import Dims, Init, Pad, Truth
from netdsl.ops import Op, catalogue, installed
from netdsl.record import Record
from netdsl.source import Source, Span
from netdsl.symbolic import real
from netdsl.syntax import tree

if TYPE_CHECKING:
    from netdsl.elaborate.evaluate import Evaluator

TYPES = {
    "int": "an int",
    "float": "a number",
    "bool": "true or false",
    "str": "a string",
    "dims": "dimensions such as 3x3",
    "op": "an op",
    "list": "a list",
    "int list": "a list of ints",
    "table": "a table",
    "pad": "a padding",
    "init": "an initialiser",
    "value": "a tensor",
}
_FIELD_TYPES = {"Dims": "dims", "Pad": "pad", "tuple[int, ...]": "ints"}


class Param(Record):
    """A parameter of an op, block or net."""

    name: str
    types: tuple[str, ...]
    default: Any = MISSING
    """A field's value for ops; the expression of a `tree.Param` for blocks and nets."""
    positional: bool = True
    allowed: tree.Expr | None = None
    file: FileScope | None = None
    """Where a block's or net's parameter is declared."""
    texts: tuple[str, ...] = ()
    """What an op's may be, if only some texts."""

    def describe(self) -> str:
        """Return its types in words."""
        if self.texts:
            return " or ".join(f'"{text}"' for text in self.texts)
        return " or ".join(TYPES[t] for t in self.types if t in TYPES)


@cache
def op_parameters(op: type[Op]) -> dict[str, Param]:
    """Return an op's parameters: its fields, and `norm`, `act` and `init` where it takes them."""
    params = {}
    for cls in reversed(op.__mro__):
        for name, annotation in get_annotations(cls).items():
            if name in op._fields and name != "inits":
                types = tuple(_FIELD_TYPES.get(t, t) for t in str(annotation).split(" | ") if t != "None")
                if len(types) > 1:  # beside others it is one argument
                    types = tuple("int list" if t == "ints" else t for t in types)
                default = op._defaults.get(name, MISSING)
                texts = op.texts.get(name, ())
                params[name] = Param(name, types, default, name in op.positional, texts=texts)
    ordered = {name: params[name] for name in (*op.positional, *params) if name in params}
    least, most = op.arity
    for name in op.references:
        ordered[name] = Param(name, ("value",), MISSING if least == most else None, False)
    if op.fuses:
        ordered["norm"] = Param("norm", ("op",), None, False)
        ordered["act"] = Param("act", ("op",), None, False)
    if op.weights is not Op.weights:
        ordered["init"] = Param("init", ("init",), None, False)
    return ordered


@cache
def required(op: type[Op]) -> tuple[str, ...]:
    """Return the fields of an op that have to be given."""
    return tuple(
        name for name, one in op_parameters(op).items() if one.default is MISSING and name in op._fields
    )


def parameters(target: OpValue) -> Mapping[str, Param]:
    """Return what an op or block takes."""
    if isinstance(target.target, BlockDecl):
        return declared_parameters(target.target)
    return op_parameters(target.target)


@cache
def declared_parameters(declared: BlockDecl | NetDecl) -> dict[str, Param]:
    """Return the parameters of a block or net; a type that is not written is the default's, else int."""
    file = declared.file
    return {
        p.name.text: Param(
            p.name.text,
            (p.type.text if p.type else _type_of(p.default, file.env),),
            MISSING if p.default is None else p.default,
            True,
            p.allowed,
            file,
        )
        for p in declared.node.params
    }


def _type_of(node: tree.Expr | None, env: Env) -> str:
    if isinstance(node, tree.Number):
        return "int" if isinstance(node.value, int) else "float"
    if isinstance(node, tree.Name):
        return type_name(env.find(node.text)) or ("op" if _is_elsewhere(node.text, env) else "int")
    if isinstance(node, tree.Choice):
        return _type_of(node.options[0], env)
    if isinstance(node, tree.Unary):
        return "bool" if node.operator == "not" else _type_of(node.operand, env)
    if isinstance(node, tree.Binary) and node.operator == "/":
        return "float"
    if isinstance(node, tree.Binary):
        types = {_type_of(node.left, env), _type_of(node.right, env)}
        return "float" if "float" in types else "int"
    if isinstance(node, tree.CallExpr) and isinstance(node.function, tree.Name):
        value = env.find(node.function.text)
        if isinstance(value, OpValue) or _is_elsewhere(node.function.text, env):
            return "op"
        return "init" if node.function.text in Init.KINDS else "int"
    kinds: dict[type, str] = {tree.DimsLiteral: "dims", tree.String: "str", tree.ListExpr: "list"}
    if isinstance(node, tree.Constant):
        return "bool" if isinstance(node.value, bool) else "op"
    return kinds.get(type(node), "int")


def _is_elsewhere(name: str, env: Env) -> bool:
    """Tell whether a name is that of an op of another distribution."""
    return env.find(name) is MISSING and name in installed()


_TYPE_NAMES: dict[type, str] = {
    bool: "bool",
    Truth: "bool",
    int: "int",
    float: "float",
    str: "str",
    Dims: "dims",
    Pad: "pad",
    Init: "init",
    OpValue: "op",
    TableValue: "table",
    tuple: "list",
}
"""By type the name in the language; a subclass has that of the first type here that it is of."""


def type_name(value: Any) -> str:
    """Return the name of a value's type in the language, or an empty string."""
    name = _TYPE_NAMES.get(type(value))
    if name is not None:
        return name
    for cls, name in _TYPE_NAMES.items():
        if isinstance(value, cls):
            return name
    whole = isinstance(value, InitFunction) and all(d is not None for _, d in Init.KINDS[value.kind])
    return "init" if whole else ""


def takes(types: tuple[str, ...], value: Any) -> bool:
    """Tell whether a parameter of these types takes a value."""
    name = type_name(value)
    if name in types:
        return True
    if isinstance(value, Choice):
        return takes(types, value.options[0])
    for kind in types:
        if kind == "float" and (name == "int" or isinstance(value, Ramp)):
            return True
        if kind == "pad" and (name == "int" or (name == "dims" and len(value) == 2)):
            return True
        if kind == "op" and value is None:
            return True
        if kind == "ints" and name == "int":
            return True
        if kind == "int list" and name == "list" and all(type_name(one) == "int" for one in value):
            return True
        if kind == "value" and isinstance(value, Data):
            return True
    return False


def coerce(value: Any, types: tuple[str, ...]) -> Any:
    """Return a value as a parameter of these types holds it; `takes` must be true."""
    name = type_name(value)
    if "init" in types and name == "init" and not isinstance(value, Init):
        spec = Init.KINDS[value.kind]
        return Init(value.kind, tuple(d for _, d in spec if d is not None))
    if name in types:
        return value
    if name == "int" and "float" in types:
        return real(value)
    if name == "int" and "pad" in types:
        return Pad("explicit", (value, value))
    if name == "dims" and "pad" in types:
        return Pad("explicit", (value[0], value[1]))
    return value


def bind(
    evaluator: Evaluator,
    params: Mapping[str, Param],
    args: tuple[tree.Argument, ...],
    env: Env,
    source: Source,
    what: str,
    copy: int | None = None,
) -> dict[str, Given]:
    """Return what the arguments give, by parameter. `copy` is the turn of the repetition, for `first`."""
    try:
        return _bound(evaluator, params, args, env, source, what, copy)
    except Poisoned:  # one of them is unknown, and the others are right or wrong
        for arg in args:
            if isinstance(arg, tree.Keyword) and arg.name not in params:
                raise _no_argument(params, arg, source, what) from None
        raise


def _no_argument(params: Mapping[str, Param], arg: tree.Keyword, source: Source, what: str) -> SpecError:
    from netdsl.elaborate.elsewhere import argument  # only errors need it

    known = list(params)
    text = source.text[arg.value.start : arg.value.end]
    help = argument(params, arg.name, text) or did_you_mean(arg.name, known)
    help = help or (f"{what} takes {', '.join(known)}" if known else "")
    return fail("E202", f"{what} has no argument `{arg.name}`", Span(source, arg.start, arg.end), help)


def _bound(
    evaluator: Evaluator,
    params: Mapping[str, Param],
    args: tuple[tree.Argument, ...],
    env: Env,
    source: Source,
    what: str,
    copy: int | None,
) -> dict[str, Given]:
    given: dict[str, Given] = {}
    named = {name for arg in args if (name := _keyword(arg))}
    for arg in args:
        span, fits = Span(source, arg.start, arg.end), False
        if isinstance(arg, tree.Keyword):
            if arg.name not in params:
                raise _no_argument(params, arg, source, what)
            name, node = arg.name, arg.value
            evaluate = evaluator.flowing if params[name].types == ("value",) else evaluator.eval
            try:
                value = evaluate(node, env, source)
            except SpecError as error:
                if (
                    isinstance(node, tree.Name)
                    and "str" in params[name].types
                    and error.diagnostic.code == "E200"
                ):
                    help = f'a text has quotes: {name}="{node.text}"'
                    raise SpecError(error.diagnostic.replace(help=help)) from None
                raise
        elif isinstance(arg, tree.Stride):
            name, node = "stride", arg.value
            if name not in params:
                raise fail("E202", f"{what} takes no stride", span)
            value = evaluator.eval(node, env, source)
            if arg.first:
                if copy is None:
                    raise fail(
                        "E215",
                        "`first` outside a repetition",
                        span,
                        "write it in a repeated step: 3 * conv 64, /2 first",
                    )
                value = evaluator.first(value, copy)
        else:
            node = arg
            value = evaluator.eval(node, env, source)
            name = position(params, named, given, value)
            if not name:
                as_int = _as_int(evaluator, node, env, source) if isinstance(value, float) else ""
                raise _no_place(params, named, given, value, node, span, what, args, as_int)
            fits = True
        param = params[name]
        several = param.types == ("ints",)
        if name in given and not several:
            raise fail("E205", f"{what}: `{name}` is given twice", span)
        if isinstance(value, Choice):
            value, fits = evaluator.decide(value, name), False
        if not fits and not takes(param.types, value):
            as_int = _as_int(evaluator, node, env, source) if isinstance(value, float) else ""
            raise _mismatch(f"{what}: {name}", param, value, node, Span(source, node.start, node.end), as_int)
        value = coerce(value, param.types)
        if several:
            value = (*(given[name].value if name in given else ()), value)
        given[name] = Given(value, span, node)
        check_allowed(evaluator, param, given[name], what)
    return given


def as_bound(
    params: Mapping[str, Param], args: tuple[tree.Argument, ...], given: Mapping[str, Given]
) -> dict[str, str] | None:
    """Return what another block calls the arguments that `bind` gave for one; None where it does not take them.

    Nothing is evaluated again. What follows a layer has none of that layer's arguments.
    """
    by_node = {id(one.node): (name, one.value) for name, one in given.items()}
    named = {name for arg in args if (name := _keyword(arg))}
    found: dict[str, str] = {}
    for arg in args if given else ():
        node = arg.value if isinstance(arg, (tree.Keyword, tree.Stride)) else arg
        own, value = by_node[id(node)]
        name = _keyword(arg) or position(params, named, found.values(), value)
        if name not in params or not takes(params[name].types, value) or name in found.values():
            return None
        found[own] = name
    return found


def _keyword(arg: tree.Argument) -> str:
    """Return the parameter that an argument names."""
    return arg.name if isinstance(arg, tree.Keyword) else "stride" if isinstance(arg, tree.Stride) else ""


def check_allowed(evaluator: Evaluator, param: Param, given: Given, what: str) -> None:
    """Raise an error unless the value is one of those that the parameter allows."""
    if param.allowed is None or param.file is None:
        return
    node, source = param.allowed, param.file.source
    allowed = evaluator.items(
        evaluator.eval(node, param.file.env, source), Span(source, node.start, node.end)
    )
    if given.value not in allowed:
        shown = show(tuple(allowed))
        raise fail(
            "E206", f"{what}: {param.name} must be one of {shown}, got {show(given.value)}", given.span
        )


def position(params: Mapping[str, Param], named: set[str], given: Container[str], value: Any) -> str:
    """Return the parameter that an argument without a name fills: the first free one that takes it; "" for none."""
    for name, param in params.items():
        free = name not in named and (name not in given or param.types == ("ints",))
        if free and param.positional and takes(param.types, value):
            return name
    return ""


def _no_place(
    params: Mapping[str, Param],
    named: set[str],
    given: Mapping[str, Given],
    value: Any,
    node: tree.Expr,
    span: Span,
    what: str,
    args: tuple[tree.Argument, ...],
    as_int: str,
) -> Exception:
    free = [p for name, p in params.items() if p.positional and name not in given and name not in named]
    twice = [n for n in named if n in params and params[n].positional and takes(params[n].types, value)]
    wants = next((p for p in free if "int" in p.types), None)
    if as_int and isinstance(node, tree.Binary) and (wants or node.operator == "/"):
        name = wants.name if wants else "the argument"
        between = span.source.text[node.left.end : node.right.start]
        numbers = isinstance(node.left, tree.Number) and isinstance(node.right, tree.Number)
        stride = numbers or (between[0].isspace() and not between[-1].isspace())  # `64 /2`, and not `x.c / 2`
        if stride and node.operator == "/" and "stride" in params and not {"stride"} & {*given, *named}:
            as_int = "a stride follows a comma: {}, /{}".format(*_sides(node, span.source))
        got = f"`{span.text}` divides" if node.operator == "/" else f"got {show(value)}"
        return fail("E203", f"{what}: {name} must be an int, {got}", span, as_int)
    if isinstance(value, (OpValue, Function)) and isinstance(node, tree.Binary):
        return fail("E113", "`-` between layers", span, "arrows: a -> b")
    if isinstance(value, Data):
        return fail(
            "E210",
            f"{what} takes no tensor as an argument",
            span,
            "tensors flow along arrows: from value -> ...",
        )
    if twice and not any(takes(p.types, value) for p in free):
        return fail("E205", f"{what}: `{twice[0]}` is given twice", span)
    derives = what in catalogue() and catalogue()[what].weights is not Op.weights and "channels" not in params
    if derives and is_whole(value):  # `bn 64`: no stride or eps is meant
        help = f"channels are not written, they follow from what comes in: {_without(args, node, what, span.source)}"
        return fail("E205", f"{what} takes no further int `{span.text}`", span, help)
    names = (n for n, p in params.items() if not p.positional and takes(p.types, value))
    by_name = next((n for n in names if n != "eps" or value < 0.1), "")
    help = f"by name: {by_name}={span.text}" if by_name else ""
    if not free:
        taken = [n for n, p in params.items() if p.positional and n in given and takes(p.types, value)]
        if taken:
            help = f"{taken[0]} is already {show(given[taken[0]].value)}"
            if "stride" in params and not {"stride"} & {*given, *named} and is_whole(value):
                help += f"; a stride is written with a slash: /{span.text}"
        kind = kind_of(value).partition(" ")[2] or "argument"
        return fail("E205", f"{what} takes no further {kind} `{span.text}`", span, help)
    wanted = free[0]
    if "dims" in wanted.types and is_whole(value):
        first = given.get("channels")
        if first is not None and first.span is not None:  # `conv 3, 64`: the 3 was taken for the channels
            value, span = first.value, first.span
            node = first.node if isinstance(first.node, tree.Expr) else node
        help = _with_sizes(params, args, what, span.source) or _as_dims(node, span.source)
        return fail("E203", f"{what}: {wanted.name} must be {wanted.describe()}, got {value}", span, help)
    if "dims" in wanted.types and isinstance(node, tree.ListExpr):
        help = _as_dims(node, span.source)
    help = "" if wanted.types == ("int",) else help
    return fail("E203", f"{what}: {wanted.name} must be {wanted.describe()}, got {show(value)}", span, help)


def _as_dims(node: tree.Expr, source: Source) -> str:
    """Return the help for sizes that are written as a number of a name, a product or a list; "" for others."""
    sides: tuple[tree.Expr, ...] = ()
    if isinstance(node, tree.Name):
        sides = (node, node)
    elif isinstance(node, tree.Binary) and node.operator == "*":
        sides = (node.left, node.right)
    elif isinstance(node, tree.ListExpr) and len(node.items) == 2:
        sides = node.items
    texts = [source.text[one.start : one.end] for one in sides]
    if texts and all(text.isdigit() for text in texts):
        return f"sizes are written {'x'.join(texts)}"
    return f"dimensions that are computed: dims({', '.join(texts)})" if texts else ""


def _without(args: tuple[tree.Argument, ...], node: tree.Expr, what: str, source: Source) -> str:
    """Return a layer without one of its arguments."""
    words = [source.text[arg.start : arg.end] for arg in args if arg is not node]
    return f"{what} {', '.join(words)}".strip()


def _with_sizes(
    params: Mapping[str, Param], args: tuple[tree.Argument, ...], what: str, source: Source
) -> str:
    """Return a layer whose size is written as one number, as `maxpool 3x3, /2`; "" if it is no number.

    Of `conv 64, 3` and `conv 3, 64` the smaller number is the size, and a number behind both is the stride.
    """
    numbers = [a for a in args if isinstance(a, tree.Number) and isinstance(a.value, int)]
    counts = sum(param.positional and param.types == ("int",) for param in params.values())
    if not numbers or len(numbers) != sum(not _keyword(arg) for arg in args):
        return ""
    by_size = sorted(numbers[: 1 + counts], key=lambda one: one.value)
    if len(numbers) == 3 and numbers[0].value == numbers[1].value < numbers[2].value and counts == 1:
        by_size = [numbers[0], numbers[2]]  # rows and columns
        numbers = by_size
    size, *others = [source.text[one.start : one.end] for one in (*by_size, *numbers[1 + counts :])]
    words = [f"{size}x{size}", *others[:counts]]
    if len(others) > counts and "stride" in params and "stride" not in map(_keyword, args):
        words.append(f"/{others[counts]}")
    words += [source.text[arg.start : arg.end] for arg in args if _keyword(arg)]
    return f"{what} {', '.join(words)}"


def completed(params: Mapping[str, Param], args: tuple[tree.Argument, ...], what: str, source: Source) -> str:
    """Return a call of an op or block with an example of each argument that it still has to be given."""
    words = [source.text[arg.start : arg.end] for arg in args]
    named = {_keyword(arg) for arg in args}
    unnamed = len([arg for arg in args if not _keyword(arg)])
    for at, (name, param) in enumerate(params.items()):
        if param.default is not MISSING or name in named or "value" in param.types:
            continue
        example = EXAMPLES.get(name) or next((EXAMPLES[t] for t in param.types if t in EXAMPLES), "")
        fits = [arg for arg in args if _may_be(arg, param.types)]
        if not example or (fits and at < len(params)):
            continue
        if param.positional and unnamed == len(args):
            words.insert(0 if "dims" in param.types and len(param.types) == 1 else len(words), example)
        else:
            words.append(f"{name}={example}")
    return f"{what} {', '.join(words)}"


EXAMPLES = {
    "channels": "64",
    "divisor": "8",
    "factor": "2",
    "groups": "8",
    "int": "1",
    "float": "0.1",
    "bool": "true",
    "str": '"text"',
    "dims": "3x3",
    "op": "relu",
    "list": "[1, 2]",
    "int list": "[1, 2]",
    "ints": "1",
}
"""Values for an example, by parameter and by type."""


def _may_be(arg: tree.Argument, types: tuple[str, ...]) -> bool:
    """Tell whether an argument without a name may be what a parameter of these types was given."""
    if isinstance(arg, tree.DimsLiteral):
        return "dims" in types
    if isinstance(arg, tree.Number):
        return bool({"int", "ints", "float"} & {*types})
    return False


def _as_int(evaluator: Evaluator, node: tree.Expr, env: Env, source: Source) -> str:
    """Return what to write where an int is wanted for an expression whose value is a float; "" for a number."""
    if not isinstance(node, tree.Binary):
        return ""
    if node.operator == "/" and all(
        is_whole(evaluator.eval(n, env, source)) for n in (node.left, node.right)
    ):
        return "// divides whole numbers: {}//{}".format(*_sides(node, source))
    text = source.text[node.start : node.end]
    return f"to a multiple of 8, or down: make_divisible({text}, 8) or int({text})"


def _sides(node: tree.Binary, source: Source) -> tuple[str, str]:
    """Return the texts of what an operator joins."""
    return source.text[node.left.start : node.left.end], source.text[node.right.start : node.right.end]


def _mismatch(
    what: str, param: Param, value: Any, node: tree.Expr, span: Span, as_int: str = ""
) -> Exception:
    if as_int and isinstance(node, tree.Binary) and "int" in param.types:
        got = f"`{span.text}` divides" if node.operator == "/" else f"got {show(value)}"
        return fail("E203", f"{what} must be {param.describe()}, {got}", span, as_int)
    if isinstance(value, Ramp):
        return fail("E216", f"{what} must be {param.describe()}: only a float argument may take a ramp", span)
    if isinstance(value, InitFunction) and "init" in param.types:
        missing = next(name for name, default in Init.KINDS[value.kind] if default is None)
        return fail("E204", f"{what}: {value.kind} needs `{missing}`", span, f"{value.kind}(0.1)")
    from netdsl.elaborate.elsewhere import argument  # only errors need it

    known = argument({param.name: param}, param.name, span.text) if isinstance(value, (str, int)) else ""
    help = known if f"={span.text}`" not in known and "=" in known else ""
    return fail("E203", f"{what} must be {param.describe()}, got {show(value)}", span, help)


def merge(*layers: Arguments) -> dict[str, Given]:
    """Return arguments from several places, the later ones winning."""
    result: dict[str, Given] = {}
    for layer in layers:
        result.update(layer)
    return result

"""Lines that stand in files and in bodies alike: `def`, `default`, `init`, `@allow`, and `decide` in neither."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from netdsl.diagnostics import did_you_mean
from netdsl.elaborate.arguments import TYPES, bind, coerce, parameters, takes
from netdsl.elaborate.evaluate import Evaluator
from netdsl.elaborate.names import reserved_name
from netdsl.elaborate.result import Allow
from netdsl.elaborate.values import (
    Arguments,
    BlockDecl,
    Data,
    Env,
    Function,
    OpValue,
    Poisoned,
    SpecError,
    fail,
    op_elsewhere,
    show,
    unknown,
)
from netdsl.ir.types import Init
from netdsl.ops import Op, catalogue, installed
from netdsl.source import Source, Span
from netdsl.syntax import tree


def define(item: tree.Def, env: Env, source: Source) -> None:
    """`def ch(c) = make_divisible(c*width, 8)`."""
    check_declared(item.name, env, source)
    names = [name.text for name in item.params]
    if len(set(names)) < len(names):
        span = Span(source, item.params[0].start, item.params[-1].end)
        raise fail("E214", f"{item.name.text}: two parameters have one name", span)
    env.names[item.name.text] = Function(item.name.text, tuple(names), item.value, env, source)


def default_line(
    evaluator: Evaluator, node: tree.Default, env: Env, source: Source, known: Mapping[str, Arguments]
) -> Mapping[str, Arguments]:
    """Return the defaults with those of a line added."""
    value = op_or_block(node.op, env, source)
    given = bind(evaluator, parameters(value), node.args, env, source, f"default {value.name}")
    return {**known, value.name: {**known.get(value.name, {}), **given}}


def init_line(
    evaluator: Evaluator, node: tree.InitLine, env: Env, source: Source
) -> tuple[str, dict[str, Init]]:
    """Return the op of an `init` line, and its initialisers by parameter."""
    value = op_or_block(node.op, env, source)
    if isinstance(value.target, BlockDecl) or value.target.weights is Op.weights:
        what = f"{value.name} has no weights of its own to initialise"
        raise fail("E225", what, Span(source, node.start, node.end))
    names = _weight_names(value.target)
    inits: dict[str, Init] = {}
    for arg in node.args:
        at = Span(source, arg.start, arg.end)
        if not isinstance(arg, tree.Keyword):
            help = f"init {value.name} {names[0]}=kaiming_normal(fan_out)"
            raise fail("E202", "init takes name=initialiser", at, help)
        if arg.name not in names:
            raise fail(
                "E202", f"{value.name} has no parameter `{arg.name}`", at, f"it has {', '.join(names)}"
            )
        init = evaluator.eval(arg.value, env, source)
        if not takes(("init",), init):
            raise fail("E203", f"{arg.name} must be an initialiser, got {show(init)}", at)
        inits[arg.name] = coerce(init, ("init",))
    return value.name, inits


@cache
def _weight_names(op: type[Op]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for e in op.examples() for name in e.op.weights(*e.inputs)))


def op_or_block(name: tree.Name, env: Env, source: Source) -> OpValue:
    """Return the op or block that a `default` or `init` line is about."""
    value = env.find_name(name.text)
    if isinstance(value, OpValue):
        return value
    span = Span(source, name.start, name.end)
    other = op_elsewhere(name.text, span)
    if other is not None:
        return other
    if isinstance(value, Data) or env.partial:
        raise Poisoned
    from netdsl.elaborate.elsewhere import instead, said  # only errors need it

    help = said(name.text) or instead(name.text)
    if help:
        raise fail("E201", f"unknown op `{name.text}`", span, help)
    known = [n for n in env.known() if isinstance(env.find(n), OpValue)]
    raise unknown("E201", "op", name.text, [*known, *installed()], span)


def allowances(node: tree.Annotated, source: Source) -> list[Allow]:
    """Return the `@allow` annotations of a statement; another annotation is an error."""
    result = []
    about = Span(source, node.start, node.end)
    for annotation in node.annotations:
        span = Span(source, annotation.start, annotation.end)
        if annotation.name.text != "allow":
            raise fail(
                "E224", f"unknown annotation `@{annotation.name.text}`", span, '@allow(rule, "reason")'
            )
        match annotation.args:
            case (tree.Name() as rule, tree.String() as reason) if reason.text.strip():
                result.append(Allow(rule.text, reason.text, about, span))
            case _:
                help = '@allow(huge_fc, "as in the paper")'
                raise fail("E224", "@allow needs a rule and a reason", span, help)
    return result


def decides_nothing(node: tree.Decide, source: Source, net: str) -> SpecError:
    """Return the error for a `decide` that stands in no variant's body."""
    first = node.decisions[0]
    what = "`decide` belongs to a variant's body, which says what the decisions of its net take"
    help = f"variant small = {net}(): / decide {source.text[first.start : first.end]}"
    return fail("E225", what, Span(source, node.start, node.end), help)


def check_declared(name: tree.Name, env: Env, source: Source) -> None:
    """Raise an error for a name that is taken, or that emitted code needs."""
    check_name(name, source)
    span = Span(source, name.start, name.end)
    if name.text in catalogue():
        raise fail("E214", f"`{name.text}` is an op of the language", span)
    if name.text in env.names:
        raise fail("E214", f"`{name.text}` is declared twice", span)


def check_name(name: tree.Name, source: Source) -> None:
    """Raise an error for a name that emitted code needs for itself."""
    why = reserved_name(name.text)
    if why:
        raise fail("E219", f"`{name.text}` {why}", Span(source, name.start, name.end), "choose another name")


def check_params(params: tuple[tree.Param, ...], source: Source) -> None:
    """Raise an error for parameters that repeat a name or have an unknown type."""
    seen: set[str] = set()
    for param in params:
        check_name(param.name, source)
        if param.name.text in seen:
            span = Span(source, param.start, param.end)
            raise fail("E214", f"two parameters are called `{param.name.text}`", span)
        seen.add(param.name.text)
        if param.type is not None and (param.type.text not in TYPES or param.type.text == "value"):
            known = [kind for kind in TYPES if kind != "value"]
            at = Span(source, param.type.start, param.type.end)
            help = did_you_mean(param.type.text, known) or f"types are {', '.join(known)}"
            raise fail("E203", f"unknown type `{param.type.text}`", at, help)

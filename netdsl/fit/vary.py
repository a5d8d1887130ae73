"""What is varied: a number among a net's parameters, or the sizes of its inputs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, TypeVar

from netdsl.diagnostics import did_you_mean
from netdsl.diagnostics.render import printable
from netdsl.elaborate.arguments import Param, declared_parameters, parameters, type_name
from netdsl.elaborate.evaluate import Evaluator
from netdsl.elaborate.values import MISSING, Given, OpValue, Poisoned, SpecError, show
from netdsl.fit.target import wrong
from netdsl.ir.types import Dims, Shape
from netdsl.net import Net
from netdsl.record import Record
from netdsl.syntax import tree

MAX_STEPS = 10_000
"""What evaluating one default may take."""
INPUT = "input"
"""What is varied of inputs: alone height and width of all maps, `input.h` one of them, `input.left.c` that of one."""

N = TypeVar("N", bound=Net)


class Varied(Record):
    """A parameter that is varied: its path, what it is, and in which range."""

    path: tuple[str, ...]
    kind: str
    """int, float or dims; dims keep their proportions, and are told by the first of them."""
    value: Any
    """What it is now; None if the net does not say."""
    low: Decimal | None
    high: Decimal | None
    step: Decimal | None

    @property
    def name(self) -> str:
        """The path as it is written."""
        return ".".join(self.path)

    def stepped(self, number: Decimal) -> Decimal:
        """Return the number of its steps that is nearest; without steps one with four digits."""
        if self.step is None or self.low is None:
            return four(number)
        return self.low + self.step * ((number - self.low) / self.step).quantize(1)

    def made(self, number: Decimal) -> Any:
        """Return the value that stands nearest to a number."""
        if self.kind == "float":
            return float(number)
        whole = int((number + Decimal("0.5")) // 1)
        if self.kind == "int":
            return whole
        first = self.value[0]
        return Dims(max(1, _nearest(size * whole, first)) for size in self.value)


_VARY = re.compile(r"([^\W\d]\w*(?:\.\w+)*)(?:=([^=./]+(?:\.\d+)?)\.\.([^=/]+?)(?:/([^=/]+))?)?", re.ASCII)


def read_vary(net: Net, text: str) -> list[Varied]:
    """Return the parameters of a text, with their ranges; raise NetError."""
    varied = [_varied(net, part) for part in text.split(",")]
    _check_apart(net, varied)
    return varied


def _varied(net: Net, text: str) -> Varied:
    """Return one of them."""
    found = _VARY.fullmatch(text.strip())
    form = "for example width, width=0.25..2, or dim=64..1024/64"
    if found is None:
        raise wrong("E560", f"what is varied is a parameter with or without a range, got `{text}`", form)
    path = tuple(found[1].split("."))
    kind, value = _find(net, path)
    try:
        low, high, step = (None if part is None else Decimal(part.strip()) for part in found.groups()[1:])
        ends = [number for number in (low, high, step) if number is not None]
        if not all(abs(number) < Decimal(2**53) for number in ends):
            raise InvalidOperation
    except InvalidOperation:
        raise wrong("E560", f"`{text}`: a range has numbers, below 2^53", form) from None
    if kind != "float" and any(number != int(number) for number in ends):
        raise wrong("E560", f"`{text}`: {found[1]} is whole, and so is its range", form)
    if (low is not None and high is not None and low > high) or (step is not None and step <= 0):
        raise wrong("E560", f"`{text}`: a range goes up, in steps above 0", form)
    return Varied(path, kind, value, low, high, step)


def _find(net: Net, path: tuple[str, ...]) -> tuple[str, Any]:
    """Return what a path leads to: its kind, and its value if it is known."""
    if _is_input(net, path):
        names, axes = _inputs(net, path)
        if not names:
            there = f"there are {', '.join(_numbers_of_inputs(net))}"
            raise wrong("E561", f"{net.class_name} has no `{'.'.join(path)}`", there)
        now = [net.inputs[names[0]].size(axis) for axis in axes]
        return ("int", now[0]) if len(now) == 1 else ("dims", Dims(now))
    declared = declared_parameters(net.recipe.net).get(path[0])
    if declared is not None and isinstance(declared.default, tree.Choice):
        what = f"{path[0]} is a decision of a search space, and takes one of its options only"
        raise wrong("E561", what, f"netdsl space {net.spec} --front macs,max:params")
    value: Any = net.elaborated.params
    types: tuple[str, ...] = ()
    for depth, key in enumerate(path):
        inner = dict(_parts(net, value))
        if key not in inner:
            known = [*_numeric(net, net.elaborated.params), *_numbers_of_inputs(net)]
            help = did_you_mean(".".join(path), known) or did_you_mean(".".join(path[: depth + 1]), known)
            listed = f"there are {', '.join(known)}" if known else "nothing in it is a number"
            where = ".".join(path[:depth]) or net.class_name
            raise wrong("E561", f"{where} has no `{key}`", help or listed)
        types, value = inner[key]
    for kind in ("float", "int", "dims"):
        if kind in types and (kind != "dims" or isinstance(value, Dims)):
            return kind, value
    name = ".".join(path)
    below = [f"{name}.{one}" for one in _numeric(net, value)]
    known = below or list(_numeric(net, net.elaborated.params))
    listed = f"there are {', '.join(known)}" if known else "nothing in it is a number"
    raise wrong("E561", f"{name} is no number: it is {printable(show(value))}", listed)


def _parts(net: Net, value: Any) -> Iterator[tuple[str, tuple[tuple[str, ...], Any]]]:
    """Yield what a value consists of by name: its types, and the value if it is known."""
    if value is net.elaborated.params:
        for name, param in declared_parameters(net.recipe.net).items():
            yield name, (param.types, value.get(name))
    elif isinstance(value, OpValue):
        for name, param in parameters(value).items():
            yield name, (param.types, value.args[name].value if name in value.args else _default(param))
    elif isinstance(value, tuple) and not isinstance(value, Dims):
        for index, one in enumerate(value):
            yield str(index), ((type_name(one),), one)


def _default(param: Param) -> Any:
    """Return a parameter's default; None if it has none, or one that depends on others."""
    if param.file is None:  # an op's
        return None if param.default is MISSING else param.default
    if param.default is MISSING:
        return None
    try:
        return Evaluator(MAX_STEPS).eval(param.default, param.file.env, param.file.source)
    except (SpecError, Poisoned):
        return None


def _numeric(net: Net, value: Any, depth: int = 2) -> Iterator[str]:
    """Yield the paths of numbers in a value."""
    for name, (types, inner) in _parts(net, value):
        if {"int", "float"} & {*types} or isinstance(inner, Dims):
            yield name
        elif depth:
            yield from (f"{name}.{rest}" for rest in _numeric(net, inner, depth - 1))


def _is_input(net: Net, path: Sequence[str]) -> bool:
    """Tell whether a path leads to sizes of inputs: no parameter has that name."""
    return path[0] == INPUT and INPUT not in declared_parameters(net.recipe.net)


def _inputs(net: Net, path: Sequence[str]) -> tuple[list[str], str]:
    """Return the inputs that a path is about, none where there are none such, and which of their axes."""
    rest, names = path[1:], list(net.inputs)
    if rest and rest[0] in names:
        names, rest = [rest[0]], rest[1:]
    axes = "".join(rest) or "hw"
    if len(rest) > 1 or len(axes) > 2 or (rest and len(axes) > 1):
        return [], axes
    return [name for name in names if set(axes) <= set(net.inputs[name].axes)], axes


def _check_apart(net: Net, varied: Sequence[Varied]) -> None:
    """Refuse two that are the same number."""
    seen: dict[tuple[str, ...], str] = {}
    for one in varied:
        places = [one.path]
        if _is_input(net, one.path):
            names, axes = _inputs(net, one.path)
            places = [(INPUT, name, axis) for name in names for axis in axes]
        for place in places:
            if place in seen:
                both = one.name if seen[place] == one.name else f"{seen[place]} and {one.name}"
                raise wrong("E560", f"{both} would be varied twice", "give each once")
            seen[place] = one.name


def _numbers_of_inputs(net: Net) -> Iterator[str]:
    """Yield what can be varied of inputs: of all together, and of each where there are several."""
    for name in ("", *(net.inputs if len(net.inputs) > 1 else ())):
        head = f"{INPUT}.{name}" if name else INPUT
        for axes in ("", "c", "h", "w", "n"):
            path = f"{head}.{axes}" if axes else head
            if _inputs(net, path.split("."))[0]:
                yield path


def settings(net: Net, varied: Sequence[Varied], values: tuple[Any, ...]) -> dict[str, Any]:
    """Return the net's parameters in which the values stand, by name."""
    found: dict[str, Any] = {}
    for one, value in zip(varied, values, strict=True):
        if not _is_input(net, one.path):
            name, *rest = one.path
            found[name] = _put(found.get(name, net.elaborated.params.get(name)), rest, value)
    return found


def shapes(net: Net, varied: Sequence[Varied], values: tuple[Any, ...]) -> dict[str, Shape]:
    """Return the shapes of inputs with the values, by name, "" for the only one; several keep their proportions."""
    found: dict[str, Shape] = {}
    for one, value in zip(varied, values, strict=True):
        if _is_input(net, one.path):
            names, axes = _inputs(net, one.path)
            first = net.inputs[names[0]]
            for name in names:
                shape = found.get(name, net.inputs[name])
                for axis, new in zip(axes, value if isinstance(value, Dims) else (value,), strict=True):
                    own = net.inputs[name].size(axis)
                    shape = shape.with_size(axis, max(1, _nearest(own * new, first.size(axis))))
                found[name] = shape
    return found if len(net.inputs) > 1 else dict(zip(("",), found.values(), strict=False))


def _nearest(number: int, by: int) -> int:
    """Return the whole number that is nearest to a quotient."""
    return (2 * number + by) // (2 * by)


def made(net: N, varied: Sequence[Varied], values: tuple[Any, ...]) -> N:
    """Return the net with the values; raise NetError if none can be made."""
    recipe, sizes = net.recipe, shapes(net, varied, values)
    given = {**recipe.settings, **settings(net, varied, values)}
    inputs = sizes if "" in sizes else {**recipe.inputs, **sizes}
    return type(net)(recipe.replace(settings=given, inputs=inputs))


def _put(value: Any, path: Sequence[str], new: Any) -> Any:
    """Return a value with another one in it."""
    if not path:
        return new
    key, *rest = path
    if isinstance(value, OpValue):
        inner = value.args[key].value if key in value.args else _default(parameters(value)[key])
        return OpValue(value.target, {**value.args, key: Given(_put(inner, rest, new), None)})
    return tuple(_put(one, rest, new) if str(at) == key else one for at, one in enumerate(value))


def four(number: Decimal) -> Decimal:
    """Return a number with four digits: finer than that, values that go together mean nothing."""
    return Decimal(f"{number:.4g}")

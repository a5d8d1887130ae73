"""Constants in which the instances of a class differ, as arguments of its constructor."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from netdsl.emission.code import (
    Binary,
    Const,
    Constant,
    Expr,
    Name,
    Site,
    fill,
    sites,
    transform,
)
from netdsl.emission.overlay import align, elements
from netdsl.emission.plan import Argument, Chain, Step
from netdsl.ir.graph import Scope
from netdsl.ir.types import Dims
from netdsl.network import Network

MAX_MULTIPLE = 16
"""The largest factor in an expression such as `4 * planes`."""

_NAMES = {"in_channels": "channels", "num_features": "channels", "normalized_shape": "channels", "p": "drop"}
"""What arguments are called after the role of the place they fill, where that is not its own name."""


class Namer:
    """Names the constants in which the instances of a class differ."""

    def __init__(self, is_net: bool, scopes: list[Scope], net: Network, steps: Iterable[Step]) -> None:
        """Take the block's own parameters and scalars as the first names to try."""
        self.attributes = {step.attribute for step in steps}
        self.is_net = is_net
        self.found: dict[tuple[Const, ...], Argument] = {}
        self.products: dict[tuple[Const, ...], Expr] = {}
        self.stored: dict[str, str] = {}
        """Arguments that `forward` needs, and the attributes that hold them."""
        self.used: set[str] = {step.attribute for step in steps if step.argument}
        self.candidates: dict[str, tuple[Constant, ...]] = {}
        self.count = len(scopes)
        shared = set.intersection(*(set(scope.args) for scope in scopes)) if scopes else set()
        for name in scopes[0].args:
            if name in shared:
                values = tuple(_constant(scope.args[name]) for scope in scopes)
                if all(v is not None for v in values):
                    self.candidates[name] = values
        if not is_net:
            channels = [net.outputs_of(s.inputs[0].node)[s.inputs[0].port] for s in scopes if s.inputs]
            if len(channels) == len(scopes) and all("c" in shape.axes for shape in channels):
                self.candidates.setdefault("in_channels", tuple(shape.c for shape in channels))

    def merge(self, expressions: list[Expr | None], stored: bool = False) -> Expr | None:
        """Return one expression for all instances, arguments in the places where they differ."""
        first = expressions[0]
        if first is None:
            return None
        assert all(e is not None for e in expressions)
        columns = zip(*(list(sites(e)) for e in expressions), strict=True)
        filled = (self.site(column, stored) for column in columns)
        return fill(first, filled)

    def site(self, column: tuple[Site, ...], stored: bool) -> Expr:
        """Return what stands at one place: the constant, or an expression of arguments."""
        constants = tuple(site.constant for site in column)
        first = constants[0]
        if column[0].role == "inplace" and len(set(constants)) > 1:
            return Const(False)  # in every instance, or in none
        if all(same(c, first) for c in constants):
            if not first.source:
                return first
            if self.is_net:
                return self.keep(Name(first.source), first.source, stored)
        expr, name = self.argument(constants, column[0], stored)
        return self.keep(expr, name, stored)

    def chain(self, modules: list[Expr | None]) -> Expr:
        """Return a Sequential of which some instances lack elements."""
        aligned = align(modules)
        assert aligned is not None
        keys, places = aligned
        columns = [
            [
                (n, elements(module)[p.index(i)])
                for n, (module, p) in enumerate(zip(modules, places, strict=True))
                if i in p
            ]
            for i in range(len(keys))
        ]
        merged: list[Expr | None] = [None] * len(keys)
        conditions: list[Expr | None] = [None] * len(keys)
        for index, column in enumerate(columns):
            if len(column) == self.count:
                merged[index] = self.merge([e for _, e in column])
        for index, column in enumerate(columns):
            if len(column) < self.count:  # the others have named most of it
                numbers = [n for n, _ in column]
                merged[index] = self.partial(numbers, [e for _, e in column])
                conditions[index] = self.condition(numbers)
        return Chain(tuple(e for e in merged if e is not None), tuple(conditions))

    def partial(self, numbers: list[int], expressions: Sequence[Expr | None]) -> Expr:
        """Return one expression for those instances that have it."""
        assert expressions[0] is not None
        columns = zip(*(list(sites(e)) for e in expressions), strict=True)
        return fill(expressions[0], (self.partial_site(numbers, column) for column in columns))

    def partial_site(self, numbers: list[int], column: tuple[Site, ...]) -> Expr:
        """Return what stands at one place that only some instances have."""
        constants = tuple(site.constant for site in column)
        if all(same(c, constants[0]) for c in constants) and not constants[0].source:
            return constants[0]
        values = tuple(c.value for c in constants)
        channels = self.candidates.get("in_channels")
        if column[0].role == "in_channels" and channels is not None and self.is_own("in_channels"):
            if tuple(channels[n] for n in numbers) == values:
                return self.offer("in_channels")
        for whole, product in self.products.items():
            if all(map(same, (whole[n] for n in numbers), constants)):
                return product
        for argument in self.found.values():
            own = tuple(argument.values[n] for n in numbers)
            if all(map(same, own, constants)):
                return Name(argument.name)
            ints = all(type(v) is int for v in values)
            expr = multiple(values, argument.replace(values=own), column[0].role) if ints else None
            if expr is not None:
                return expr
        for name, known in self.candidates.items():
            if name not in self.used and tuple(known[n] for n in numbers) == values:
                return self.new(name, tuple(Const(v) for v in known), column[0])[0]
        filled = [constants[0]] * self.count  # a value that the others do not read
        for number, constant in zip(numbers, constants, strict=True):
            filled[number] = constant
        return self.argument(tuple(filled), column[0])[0]

    def condition(self, numbers: list[int]) -> Expr:
        """Return the condition under which the instances of these numbers are: of arguments if that can be."""
        there = [number in numbers for number in range(self.count)]
        known = {
            a.name: tuple(c.value for c in a.values) for a in self.found.values() if not a.values[0].source
        }
        ints = {name: values for name, values in known.items() if all(type(v) is int for v in values)}
        others = {
            name: values for name, values in self.candidates.items() if self.is_own(name) and name not in ints
        }
        for name, values in ints.items():
            if name in self.candidates and [v != 1 for v in values] == there:
                return Binary("!=", Name(name), Const(1))
        for a, left in ints.items():
            for b, right in ints.items():
                if a < b and [x != y for x, y in zip(left, right, strict=True)] == there:
                    return Binary("!=", Name(a), Name(b))
        for name, values in others.items():
            if all(type(v) is bool for v in values) and list(values) == there:
                return self.offer(name)
            if all(type(v) is int for v in values) and [v != 1 for v in values] == there:
                return Binary("!=", self.offer(name), Const(1))
        return self.argument(tuple(Const(t) for t in there), Site("enabled", None, Const(True)))[0]

    def offer(self, name: str) -> Expr:
        """Return an argument by its name, made of the block's own parameter if it is none yet."""
        if name in self.used:
            return Name(name)
        constants = tuple(Const(value) for value in self.candidates[name])
        return self.new(name, constants, Site(name, None, constants[0]))[0]

    def keep(self, expr: Expr, name: str, stored: bool) -> Expr:
        """Return the expression as `forward` reads it, where it is stored on the module."""
        if not stored:
            return expr
        attribute = self.stored.setdefault(name, f"{name}_" if name in self.attributes else name)
        return transform(expr, lambda e: Name(f"self.{attribute}") if e == Name(name) else None)

    def argument(self, constants: tuple[Const, ...], site: Site, stored: bool = False) -> tuple[Expr, str]:
        """Return an expression for a column of constants, and the argument it reads."""
        known = self.found.get(constants)
        if known is not None:
            if known.default is not None and known.default != site.default:
                self.found[constants] = known.replace(default=None)
            return Name(known.name), known.name
        if constants in self.products:
            return self.products[constants], ""
        values = tuple(c.value for c in constants)
        plain = not any(c.source for c in constants)
        for name, own in self.candidates.items():
            if (
                name not in self.used
                and own == values
                and [type(v) for v in own] == [type(v) for v in values]
            ):
                return self.new(name, constants, site)
        if plain and all(type(v) is int for v in values):
            for argument in self.found.values():
                expr = multiple(values, argument, site.role)
                if expr is not None:
                    return expr, argument.name
            product = self.product(values)
            if product is not None and not stored:
                self.products[constants] = product
                return product, ""
        return self.new(_NAMES.get(site.role, site.role) or "value", constants, site)

    def product(self, values: tuple[Constant, ...]) -> Expr | None:
        """Return `expand * in_channels` if the values are a parameter of the block times its input channels."""
        channels = self.candidates.get("in_channels")
        if channels is None or not self.is_own("in_channels"):
            return None
        for name, own in self.candidates.items():
            pairs = list(zip(own, channels, values, strict=True))
            if name == "in_channels" or not self.is_own(name) or len(set(own)) == 1:
                continue
            if all(type(k) is int and k * c == v for k, c, v in pairs):  # type: ignore[operator]
                return Binary("*", self.offer(name), self.offer("in_channels"))
        return None

    def is_own(self, name: str) -> bool:
        """Tell whether the argument of that name is the block's own parameter, or could become it."""
        own = self.candidates.get(name)
        return name not in self.used or any(
            a.name == name and tuple(c.value for c in a.values) == own for a in self.found.values()
        )

    def new(self, name: str, constants: tuple[Const, ...], site: Site) -> tuple[Expr, str]:
        """Make a new argument. Its default is the framework's own for the place it fills."""
        known = self.found.get(constants)
        if known is not None:
            return Name(known.name), known.name
        unique, number = name, 1
        while unique in self.used:
            number += 1
            unique = f"{name}{number}"
        self.used.add(unique)
        default = site.default if isinstance(site.default, Const) else None
        if default is not None and default.value not in [c.value for c in constants]:
            default = None
        self.found[constants] = Argument(unique, constants, default)
        return Name(unique), unique

    def arguments(self, modules: list[Argument]) -> tuple[Argument, ...]:
        """Return all arguments: the required first, then those with defaults, then the modules."""
        scalars = list(self.found.values())
        required = [a for a in scalars if a.default is None] + [m for m in modules if not m.optional]
        required.sort(key=lambda a: not a.values or a.name != "in_channels")  # it comes first, as everywhere
        return (
            *required,
            *(a for a in scalars if a.default is not None),
            *(m for m in modules if m.optional),
        )


def _constant(value: object) -> Constant:
    """Return a block's argument as code writes it, a square size as one number; None for what is no constant."""
    if isinstance(value, Dims):
        return value[0] if len(set(value)) == 1 else tuple(value)
    return value if isinstance(value, (int, float)) else None


def same(a: Const, b: Const) -> bool:
    """Tell whether two constants are equal in value, type and source."""
    return a == b and type(a.value) is type(b.value)


def multiple(values: tuple[Constant, ...], argument: Argument, role: str) -> Expr | None:
    """Return `k * argument` or `argument // k` if that is what the values are."""
    own = [c.value for c in argument.values]
    if any(c.source for c in argument.values) or not all(type(v) is int and v > 0 for v in own):
        return None
    pairs = list(zip(values, own, strict=True))
    value, unit = pairs[0]
    if role == "padding":  # half of what an odd kernel covers
        halves = all(v == u // 2 and u % 2 for v, u in pairs)  # type: ignore[operator]
        return Binary("//", Name(argument.name), Const(2)) if halves else None
    assert isinstance(value, int)
    assert isinstance(unit, int)
    if value > 0 and value % unit == 0:
        k = value // unit
        if 1 < k <= MAX_MULTIPLE and all(v == k * u for v, u in pairs):  # type: ignore[operator]
            return Binary("*", Const(k), Name(argument.name))
    if value > 0 and unit % value == 0:
        k = unit // value
        if 1 < k <= MAX_MULTIPLE and all(v == u // k for v, u in pairs):  # type: ignore[operator]
            return Binary("//", Name(argument.name), Const(k))
    return None

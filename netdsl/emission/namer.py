"""Constants in which the instances of a class differ, as arguments of its constructor."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from itertools import chain, count

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
from netdsl.emission.writer import flat
from netdsl.ir.graph import Scope
from netdsl.ir.types import Dims
from netdsl.network import Network

STRIDES = ("stride", "strides")
"""What the frameworks call it."""

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
        self.found: dict[tuple[tuple[type, Const], ...], Argument] = {}
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
                own = [e for _, e in column]
                merged[index] = self.partial(numbers, own)
                conditions[index] = self.condition(numbers, own)
        return Chain(tuple(e for e in merged if e is not None), tuple(conditions))

    def partial(self, numbers: Sequence[int], expressions: Sequence[Expr | None]) -> Expr:
        """Return one expression for those instances that have it."""
        assert expressions[0] is not None
        columns = zip(*(list(sites(e)) for e in expressions), strict=True)
        return fill(expressions[0], (self.partial_site(numbers, column) for column in columns))

    def partial_site(self, numbers: Sequence[int], column: tuple[Site, ...]) -> Expr:
        """Return what stands at one place that only some instances have."""
        constants = tuple(site.constant for site in column)
        if all(same(c, constants[0]) for c in constants) and not constants[0].source:
            return constants[0]
        values = tuple(c.value for c in constants)
        channels = self.candidates.get("in_channels")
        if column[0].role == "in_channels" and channels is not None and self.is_own("in_channels"):
            if tuple(channels[n] for n in numbers) == values:
                return self.offer("in_channels")
        for every, product in self.products.items():
            if all(map(same, (every[n] for n in numbers), constants)):
                return product
        known = [a.replace(values=tuple(a.values[n] for n in numbers)) for a in self.found.values()]
        for argument in known:
            if all(map(same, argument.values, constants)):
                return Name(argument.name)
        for argument in known if all(type(v) is int for v in values) else ():
            expr = multiple(values, argument, column[0].role)
            if expr is not None:
                return expr
        for name, whole in self.candidates.items():
            if name not in self.used and tuple(whole[n] for n in numbers) == values:
                return self.new(name, tuple(Const(v) for v in whole), column[0])[0]
        filled = [constants[0]] * self.count  # a value that the others do not read
        site = column[0]
        if all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values):
            nothing = Const(0.0 if isinstance(values[0], float) else 0)
            filled, site = [nothing] * self.count, site._replace(default=nothing)
        for number, constant in zip(numbers, constants, strict=True):
            filled[number] = constant
        return self.argument(tuple(filled), site)[0]

    def condition(self, numbers: Sequence[int], *modules: Sequence[Expr | None]) -> Expr:
        """Return the condition under which the instances of these numbers have these: of arguments if that can be."""
        expressed = self.expressed(numbers, *modules)
        if expressed is not None:
            return expressed
        there = [number in numbers for number in range(self.count)]
        return self.argument(tuple(Const(t) for t in there), Site("enabled", None, Const(True)))[0]

    def expressed(
        self, numbers: Sequence[int], *modules: Sequence[Expr | None], joint: bool = False
    ) -> Expr | None:
        """Return that condition in the block's own parameters and the arguments that there are, or None.

        `modules` are what these instances have; `joint`: they are joined with what comes in. Where a stride varies
        or there is a joint, a stride and a change of width count alike, as for all shortcuts.
        """
        columns = [column for own in modules for column in zip(*map(sites, own), strict=True)]
        sizes = {tuple(site.constant.value for site in column) for column in columns}
        shape = joint or any(
            column[0].role in STRIDES and len({site.constant.value for site in column}) > 1
            for column in columns
        )
        there = [number in numbers for number in range(self.count)]
        absent = [not t for t in there]
        ints = {
            a.name: tuple(c.value for c in a.values)
            for a in self.found.values()
            if all(type(c.value) is int and not c.source for c in a.values)
        }
        own = {name: values for name, values in self.candidates.items() if self.is_own(name)}
        ints |= {n: v for n, v in own.items() if n not in ints and all(type(x) is int for x in v)}
        strided = [value != 1 for value in ints["stride"]] if "stride" in ints else []
        if strided in (there, absent) and not shape:
            return Binary("!=" if strided == there else "==", self.offer("stride"), Const(1))
        told = None if shape else self.told(own, there)
        if told is not None:
            return told
        for name, k, changes in self.widths(ints) if "in_channels" in ints else ():
            either = [a or b for a, b in zip(strided, changes, strict=True)] if strided else changes
            found = either if shape else changes
            if found not in (there, absent):
                continue
            same = found == absent
            if not ((joint and k == 1) or (not same and self.maps(numbers, ints[name], k, sizes))):
                continue
            operator = "==" if same else "!="
            width, given = self.offer(name), self.offer("in_channels")
            width = Binary(operator, given, width if k == 1 else Binary("*", Const(k), width))
            if not shape or not strided:
                return width
            stride = Binary(operator, self.offer("stride"), Const(1))
            return Binary("and" if same else "or", stride, width)
        told = self.told(own, there) if shape else None
        if told is not None:
            return told
        for name, values in ints.items():
            unit = [value != 1 for value in values]
            if name in self.candidates and unit in (there, absent):
                return Binary("!=" if unit == there else "==", self.offer(name), Const(1))
        return None

    def told(self, own: Mapping[str, tuple[Constant, ...]], there: list[bool]) -> Expr | None:
        """Return the parameter of the block that is true where something is there, or only there false; or None."""
        for name, values in own.items():
            if type(values[0]) is bool and list(values) in (there, [not t for t in there]):
                flag = self.offer(name)
                return flag if list(values) == there else Name(f"not {flat(flag)}")
        return None

    def maps(
        self, numbers: Sequence[int], values: Sequence[Constant], k: int, sizes: Container[object]
    ) -> bool:
        """Tell whether what these instances have is of the block's input channels, and of so many others."""
        channels = self.candidates["in_channels"]
        others = tuple(k * values[n] for n in numbers)  # type: ignore[operator]
        return tuple(channels[n] for n in numbers) in sizes and others in sizes

    def widths(self, ints: Mapping[str, tuple[Constant, ...]]) -> Iterator[tuple[str, int, list[bool]]]:
        """Yield a number and a factor, and for each instance whether its input has another number of channels."""
        for name, values in ints.items():
            for k in (1, 2, 3, 4, 6, 8) if name not in ("stride", "in_channels") else ():
                yield name, k, [a != k * b for a, b in zip(ints["in_channels"], values, strict=True)]  # type: ignore[operator]

    def flag(self, numbers: Sequence[int], steps: Sequence[Step]) -> str:
        """Return a name for the attribute that says whether an instance has these steps."""
        there = tuple(number in numbers for number in range(self.count))
        named = [name for name, own in self.candidates.items() if own == there and type(own[0]) is bool]
        joints = {"add": "residual", "mul": "scaled"}
        wanted = next((joints[s.key[1]] for s in steps if s.key[0] == "f"), f"with_{steps[0].attribute}")
        taken = {*self.attributes, *self.stored.values()}
        more = (f"{wanted}{number}" for number in count(2))
        return next(name for name in chain(named, (wanted,), more) if name not in taken)

    def offer(self, name: str) -> Expr:
        """Return an argument by its name, made of the block's own parameter if it is none yet."""
        if name in self.used or name not in self.candidates:
            return Name(name)
        constants = tuple(Const(value) for value in self.candidates[name])
        default = Const(1) if name == "stride" else None
        if type(constants[0].value) is bool:
            default = max(constants, key=constants.count)
        return self.new(name, constants, Site(name, default, constants[0]))[0]

    def keep(self, expr: Expr, name: str, stored: bool) -> Expr:
        """Return the expression as `forward` reads it, where it is stored on the module."""
        if not stored:
            return expr
        attribute = self.stored.setdefault(name, f"{name}_" if name in self.attributes else name)
        return transform(expr, lambda e: Name(f"self.{attribute}") if e == Name(name) else None)

    def argument(self, constants: tuple[Const, ...], site: Site, stored: bool = False) -> tuple[Expr, str]:
        """Return an expression for a column of constants, and the argument it reads."""
        known = self.found.get(typed(constants))
        if known is not None:
            if known.default is not None and known.default != site.default:
                self.found[typed(constants)] = known.replace(default=None)
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
        known = self.found.get(typed(constants))
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
        self.found[typed(constants)] = Argument(unique, constants, default)
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


def typed(constants: tuple[Const, ...]) -> tuple[tuple[type, Const], ...]:
    """Return a column as a key: 1 and True are not the same."""
    return tuple((type(constant.value), constant) for constant in constants)


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

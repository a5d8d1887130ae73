"""Which value of a parameter meets a target, such as the width that a net has at 150M MACs.

Cost is a staircase: channels are whole, and often rounded to eights. So no formula is solved; nets are made and
counted, as few as bisection needs, and what is said is true of the net as it is built. Both steps beside a target are
given, with the values over which each extends.

Several parameters go together along a line: multiplied by one factor, or in equal ratios from one end of their ranges
to the other, which is the compound scaling of EfficientNet (1905.11946): width 1.1**phi, depth 1.2**phi.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from functools import cached_property
from itertools import pairwise
from typing import Any, Generic, TypeVar

from netdsl.cost.budget import Claim
from netdsl.diagnostics import Diagnostic, NetError, did_you_mean
from netdsl.diagnostics.render import printable
from netdsl.elaborate.arguments import Param, declared_parameters, parameters, type_name
from netdsl.elaborate.evaluate import Evaluator, builtins, is_number
from netdsl.elaborate.result import Budget
from netdsl.elaborate.values import MISSING, Env, Given, OpValue, Poisoned, SpecError, show
from netdsl.ir.types import Dims, Shape
from netdsl.net import Net, Recipe
from netdsl.record import Record
from netdsl.source import Source, Span
from netdsl.syntax import tree
from netdsl.syntax.parse import parse

VERSION = 1
"""Of the JSON form, docs/schema/fit.json."""
MAX_STEPS = 10_000
"""What evaluating one default may take."""
MAX_LAYERS = 20_000
"""A range without an end goes no further than nets of so many ops."""
FINE = 1000
"""Into how many steps a factor of 1, or a range of several parameters, is divided."""
COARSE = 8
"""In how many pieces a range is looked at, beside doubling steps, before one of them is divided further."""
NEAR = 64
"""How far a value is looked for of which a net can be made."""
ALL = 200
"""A range of at most so many values is tried as a whole where cost goes up and down over it."""
GROWTH = (16, 12, 10, 24, 32)
"""By how many eighths an open range grows at once; the later ones where of the earlier ones no net can be made."""
IDLE = 4
"""How often an open range is doubled while cost comes no nearer to its target."""
INPUT = "input"
"""What is varied of inputs: alone height and width of all maps, `input.h` one of them, `input.left.c` that of one."""

N = TypeVar("N", bound=Net)


class Target(Record):
    """One side of what is asked for: a quantity, how it compares, and with what."""

    text: str
    """The quantity, as it was written."""
    relation: str
    """`==` is met as closely as possible; the others have to hold."""
    claim: tree.Binary
    source: Source

    @property
    def asked(self) -> str:
        """The whole of it, as it was written but for spaces."""
        right = self.source.text[self.claim.right.start : self.claim.right.end]
        return f"{self.text} {'=' if self.relation == '==' else self.relation} {right}"

    def sides(self, net: Net) -> tuple[float, float]:
        """Return the quantity's number for a net, and what it is held against; raise NetError."""
        span = Span(self.source, self.claim.start, self.claim.end)
        env = Env(builtins())
        claim = Claim(net, Budget(self.claim, self.source, env, "", "", span))
        try:
            left, right = (claim.eval(side, env, self.source) for side in (self.claim.left, self.claim.right))
        except SpecError as error:
            said = error.diagnostic
            raise _wrong("E560", f"{self.asked}: {said.message}", said.help) from None
        if not is_number(left) or not is_number(right):
            raise _wrong("E560", f"a target compares numbers, got {self.asked}", _FORM)
        return left, right

    def holds(self, left: float, right: float) -> bool:
        """Tell whether numbers compare as they should."""
        return {
            "==": left == right,
            "<=": left <= right,
            "<": left < right,
            ">=": left >= right,
            ">": left > right,
        }[self.relation]


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
            return _four(number)
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


class Line(Record):
    """The values that are tried, by index from 0."""

    varied: tuple[Varied, ...]
    numbers: Callable[[int], tuple[Decimal, ...]]
    count: int | None
    """How many there are; None if no end is given."""
    start: int
    """The index that is nearest to what the net has now."""
    label: str
    """What the index stands for, where it is not the only parameter."""
    origin: int
    """What the index is counted from, in the steps in which a plain number is wanted; -1 if none is."""

    def at(self, index: int) -> tuple[Any, ...]:
        """Return the value of each parameter."""
        pairs = zip(self.varied, self.numbers(index), strict=True)
        return tuple(one.made(number) for one, number in pairs)

    def plainest(self, low: int, high: int) -> int:
        """Return the index of the number with the fewest digits between two, the one in the middle of several."""
        unit: int = 10 ** len(str(self.origin + high))
        while True:
            for step in (unit, unit // 2):
                first = -(-(self.origin + low) // step)
                last = (self.origin + high) // step
                if first <= last:
                    return (first + last) // 2 * step - self.origin
            unit //= 10


class Step(Record):
    """A step of the staircase: values, what is counted there, and how far it extends."""

    values: Mapping[str, Any]
    """By parameter."""
    first: Mapping[str, Any]
    last: Mapping[str, Any]
    """The ends of what counts the same."""
    amounts: tuple[float, ...]
    """The quantity of each target."""
    limits: tuple[float, ...]
    """What each is held against."""


class Fit(Record, Generic[N]):
    """The steps beside a target, and the one that meets it."""

    origin: N
    targets: tuple[Target, ...]
    line: Line
    steps: tuple[Step, ...]
    """In the order of the line."""
    best: int
    """Which of them."""
    made: int
    """How many nets were made."""
    monotone: bool
    """Whether each quantity went one way only, as far as nets were made."""
    complete: bool
    """Whether every value of the range was tried."""

    @property
    def step(self) -> Step:
        """The step that meets the target best."""
        return self.steps[self.best]

    @property
    def values(self) -> Mapping[str, Any]:
        """Its value by parameter: `{"unit.base": 13}`."""
        return self.step.values

    @property
    def settings(self) -> dict[str, Any]:
        """The net's parameters with those values, as `load` takes them in `set`."""
        return settings(self.origin, self.line.varied, tuple(self.values.values()))

    @property
    def inputs(self) -> dict[str, Shape]:
        """The shapes of inputs with those values, as `load` takes them in `inputs`; none where no input is varied."""
        return shapes(self.origin, self.line.varied, tuple(self.values.values()))

    @cached_property
    def net(self) -> N:
        """The net that meets the target best."""
        return made(self.origin, self.line.varied, tuple(self.values.values()))


def fit(net: N, vary: str, target: str) -> Fit[N]:
    """Return what a net's parameters have to be for a target.

    Args:
        net: The net; what is not varied stays as it is.
        vary: A parameter, `width`, with or without a range, `width=0.25..2` or `dim=64..1024/64` for every 64th;
            `unit.base` is an argument of a parameter that is an op, and `n.2` a number in a list. `input` is the
            height and width of the image, `input.h` and `input.c` are sizes of it, `input.left` is one of several.
            Several, `width,depth,input`, go together.
        target: A quantity of `require` and its number, `macs=4.1G`, to be met as closely as possible; or bounds,
            `memory(train, batch=128, optimizer=momentum)<=3GB, params<=5M`, within which the largest net is wanted.

    Raises:
        NetError: One of the two cannot be read (E560), nothing of that name can be varied (E561), or no value meets
            the target (E562).
    """
    targets = read_target(target)
    varied = [_varied(net, text) for text in vary.split(",")]
    _check_apart(net, varied)
    line = make_line(varied)
    return Search(net, line, targets).run()


# -------------------------------------------------------------------- what is asked for

_FORM = "for example macs=4.1G, or params<=25M"


def read_target(text: str) -> tuple[Target, ...]:
    """Return the targets of a text: the claims of a `require` line, in which `=` is `==`; raise NetError."""
    depth, written = 0, ""
    for at, char in enumerate(text):
        depth += (char in "([") - (char in ")]")
        alone = char == "=" and not depth and text[at - 1 : at] not in ("<", ">", "=", "!")
        written += "==" if alone and text[at + 1 : at + 2] != "=" else char
    source = Source("<target>", f"net N:\n    require {written}\n")
    wrong = _wrong("E560", f"a target is a quantity and its number, got `{printable(text)}`", _FORM)
    if not text.isprintable():
        raise wrong
    try:
        (net,) = parse(source).items
    except NetError as error:
        said = error.diagnostics[0].message
        raise _wrong("E560", f"cannot read the target `{text}`: {said}", _FORM) from None
    claims = [claim for line in getattr(net, "body", ()) for claim in getattr(line, "claims", ())]
    found = []
    for claim in claims:
        if not isinstance(claim, tree.Binary) or claim.operator not in ("==", "<=", "<", ">=", ">"):
            raise wrong
        quantity = source.text[claim.left.start : claim.left.end]
        found.append(Target(quantity, claim.operator, claim, source))
    return tuple(found)


_VARY = re.compile(r"([^\W\d]\w*(?:\.\w+)*)(?:=([^=./]+(?:\.\d+)?)\.\.([^=/]+?)(?:/([^=/]+))?)?", re.ASCII)


def _varied(net: Net, text: str) -> Varied:
    """Return one parameter of `--vary`, with its range."""
    found = _VARY.fullmatch(text.strip())
    form = "for example width, width=0.25..2, or dim=64..1024/64"
    if found is None:
        raise _wrong("E560", f"what is varied is a parameter with or without a range, got `{text}`", form)
    path = tuple(found[1].split("."))
    kind, value = _find(net, path)
    try:
        low, high, step = (None if part is None else Decimal(part.strip()) for part in found.groups()[1:])
        ends = [number for number in (low, high, step) if number is not None]
        if not all(abs(number) < Decimal(2**53) for number in ends):
            raise InvalidOperation
    except InvalidOperation:
        raise _wrong("E560", f"`{text}`: a range has numbers, below 2^53", form) from None
    if kind != "float" and any(number != int(number) for number in ends):
        raise _wrong("E560", f"`{text}`: {found[1]} is whole, and so is its range", form)
    if (low is not None and high is not None and low > high) or (step is not None and step <= 0):
        raise _wrong("E560", f"`{text}`: a range goes up, in steps above 0", form)
    return Varied(path, kind, value, low, high, step)


def _find(net: Net, path: tuple[str, ...]) -> tuple[str, Any]:
    """Return what a path leads to: its kind, and its value if it is known."""
    if _is_input(net, path):
        names, axes = _inputs(net, path)
        if not names:
            there = f"there are {', '.join(_numbers_of_inputs(net))}"
            raise _wrong("E561", f"{net.class_name} has no `{'.'.join(path)}`", there)
        now = [net.inputs[names[0]].size(axis) for axis in axes]
        return ("int", now[0]) if len(now) == 1 else ("dims", Dims(now))
    value: Any = net.elaborated.params
    types: tuple[str, ...] = ()
    for depth, key in enumerate(path):
        inner = dict(_parts(net, value))
        if key not in inner:
            known = [*_numeric(net, net.elaborated.params), *_numbers_of_inputs(net)]
            help = did_you_mean(".".join(path), known) or did_you_mean(".".join(path[: depth + 1]), known)
            listed = f"there are {', '.join(known)}" if known else "nothing in it is a number"
            where = ".".join(path[:depth]) or net.class_name
            raise _wrong("E561", f"{where} has no `{key}`", help or listed)
        types, value = inner[key]
    for kind in ("float", "int", "dims"):
        if kind in types and (kind != "dims" or isinstance(value, Dims)):
            return kind, value
    name = ".".join(path)
    below = [f"{name}.{one}" for one in _numeric(net, value)]
    known = below or list(_numeric(net, net.elaborated.params))
    listed = f"there are {', '.join(known)}" if known else "nothing in it is a number"
    raise _wrong("E561", f"{name} is no number: it is {printable(show(value))}", listed)


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
                raise _wrong("E560", f"{both} would be varied twice", "give each once")
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
    return type(net)(Recipe(recipe.net, recipe.variant, given, inputs, recipe.max_nodes))


def _put(value: Any, path: Sequence[str], new: Any) -> Any:
    """Return a value with another one in it."""
    if not path:
        return new
    key, *rest = path
    if isinstance(value, OpValue):
        inner = value.args[key].value if key in value.args else _default(parameters(value)[key])
        return OpValue(value.target, {**value.args, key: Given(_put(inner, rest, new), None)})
    return tuple(_put(one, rest, new) if str(at) == key else one for at, one in enumerate(value))


# -------------------------------------------------------------------- the values that are tried


def make_line(varied: Sequence[Varied]) -> Line:
    """Return the line along which parameters go; raise NetError where they cannot go together."""
    if len(varied) > 1:
        return _ray(varied) if varied[0].low is None else _between(varied)
    (one,) = varied
    now = None if one.value is None else Decimal(str(one.value[0] if one.kind == "dims" else one.value))
    step = one.step
    if step is None and one.kind == "float":
        scale = one.high or now
        if not scale:
            raise _wrong("E560", f"{one.name} needs a range", f"for example {one.name}=0.1..1")
        step = Decimal(1).scaleb(min(0, scale.adjusted()) - 3)  # thousandths, of what is small finer ones
    step = step or Decimal(1)
    low = one.low if one.low is not None else step if now is None else min(step, now)
    by = step
    count = None if one.high is None else int((one.high - low) // by) + 1
    start = 0 if now is None else max(0, int((now - low) // by))
    start = start if count is None else min(start, count - 1)
    whole = low % by == 0 and low >= 0 and one.kind == "float"
    return Line((one,), lambda index: (low + index * by,), count, start, "", int(low / by) if whole else -1)


def _ray(varied: Sequence[Varied]) -> Line:
    """Return what one factor makes of the values of today."""
    now = []
    for one in varied:
        if one.low is not None or one.value is None:
            what = "several parameters have all a range, or go by one factor from what they are"
            raise _wrong("E560", what, f"for example {','.join(f'{v.name}=1..2' for v in varied)}")
        now.append(Decimal(str(one.value[0] if one.kind == "dims" else one.value)))
    if not all(number > 0 for number in now):
        raise _wrong("E560", "what goes by a factor is above 0", "give ranges, or vary one parameter")
    # the least factor that makes no whole number 0
    least = max(
        [1, *(-int(-FINE / (2 * n) // 1) for one, n in zip(varied, now, strict=True) if one.kind != "float")]
    )

    def numbers(index: int) -> tuple[Decimal, ...]:
        return tuple(_four(number * (least + index) / FINE) for number in now)

    return Line(tuple(varied), numbers, None, max(0, FINE - least), "factor", least)


def _between(varied: Sequence[Varied]) -> Line:
    """Return the way from the lower ends of ranges to the upper ones, in equal ratios."""
    ends = [(one.low, one.high) for one in varied if one.low is not None and one.high is not None]
    if len(ends) < len(varied):
        help = ",".join(f"{one.name}=1..2" for one in varied)
        raise _wrong("E560", "several parameters have all a range, or none", help)
    if not all(low > 0 for low, _ in ends):
        raise _wrong("E560", "ranges that are gone through together begin above 0", "")

    def numbers(index: int) -> tuple[Decimal, ...]:
        along = (low * (high / low) ** (Decimal(index) / FINE) for low, high in ends)
        return tuple(one.stepped(number) for one, number in zip(varied, along, strict=True))

    return Line(tuple(varied), numbers, FINE + 1, 0, "along", 0)


def _four(number: Decimal) -> Decimal:
    """Return a number with four digits: finer than that, values that go together mean nothing."""
    return Decimal(f"{number:.4g}")


# -------------------------------------------------------------------- the search


class Trial(Record):
    """A net that was made: each target's two sides, and how many ops it has."""

    sides: tuple[tuple[float, float], ...]
    size: int

    def above(self, target: int) -> bool:
        """Tell whether a quantity is more than what it is held against."""
        left, right = self.sides[target]
        return left > right

    def off(self, target: int) -> float:
        """Return how far it is from it."""
        left, right = self.sides[target]
        return abs(left - right)

    @property
    def amounts(self) -> tuple[float, ...]:
        """The quantities."""
        return tuple(left for left, _ in self.sides)


class Search(Generic[N]):
    """Bisection over the nets of a line, each made once."""

    def __init__(self, net: N, line: Line, targets: tuple[Target, ...]) -> None:
        """Count the net as it is, so that a target that means nothing is an error."""
        self.net = net
        self.line = line
        self.targets = targets
        self.trials: dict[int, Trial | None] = {}
        """By index; None where no net can be made."""
        self.error: NetError | None = None
        self.complete = False
        for target in targets:
            target.sides(net)

    def run(self) -> Fit[N]:
        """Return the steps beside the targets; raise NetError."""
        last = self.grown() if self.line.count is None else self.end(self.line.count - 1)
        self.look(last)
        if not self.monotone and last < ALL:
            for index in range(last + 1):
                self.trial(index)
            self.complete = True
        for target in range(len(self.targets)):
            for low, high in self.crossings(target):
                self.bisect(target, low, high)
        found = self.candidates()
        best = self.choose(found)
        steps = {index: self.step(index) for index in found}
        # two indices may be ends of the same step
        distinct: list[Step] = []
        for step in steps.values():
            distinct += [step] if step not in distinct else []
        return Fit(
            self.net,
            self.targets,
            self.line,
            tuple(distinct),
            distinct.index(steps[best]),
            sum(trial is not None for trial in self.trials.values()),
            self.monotone,
            self.complete or len(self.trials) == last + 1,
        )

    # ---------------------------------------------------------------- nets

    def trial(self, index: int) -> Trial | None:
        """Return what is counted at an index; None where no net can be made."""
        if index not in self.trials:
            self.trials[index] = None
            try:
                net = made(self.net, self.line.varied, self.line.at(index))
                sides = tuple(target.sides(net) for target in self.targets)
                self.trials[index] = Trial(sides, len(net.graph))
            except NetError as error:
                self.error = error
        return self.trials[index]

    def near(self, index: int, low: int, high: int) -> int | None:
        """Return the index next to another of which a net can be made, between two; None if there is none."""
        for distance in range(NEAR):
            for one in (index + distance, index - distance):
                if low <= one <= high and self.trial(one) is not None:
                    return one
        return None

    @property
    def known(self) -> list[tuple[int, Trial]]:
        """What was counted, by index."""
        return sorted(
            ((i, trial) for i, trial in self.trials.items() if trial is not None), key=lambda pair: pair[0]
        )

    @property
    def monotone(self) -> bool:
        """Whether every quantity goes one way only, as far as is known."""
        for target in range(len(self.targets)):
            amounts = [trial.sides[target][0] for _, trial in self.known]
            pairs = list(pairwise(amounts))
            if any(a < b for a, b in pairs) and any(a > b for a, b in pairs):
                return False
        return True

    def end(self, last: int) -> int:
        """Return how far a range goes with nets that can be made, to a fiftieth where that is not to its end."""
        if self.near(last, 0, last) is not None:
            return last
        low, high = 0, last
        while high - low > 1 + low // 50:
            middle = (low + high) // 2
            low, high = (middle, high) if self.near(middle, low, high) is not None else (low, middle)
        return low

    def grown(self) -> int:
        """Return how far an open range goes: until every target is passed, or comes no nearer."""
        start = self.near(self.line.start, 0, self.line.start + NEAR)
        if start is None:
            assert self.error is not None
            raise self.error
        self.near(0, 0, start)
        last, idle = start, 0
        nearest = [self.trials_off(target) for target in range(len(self.targets))]
        while idle < IDLE and not all(self.crossings(target) for target in range(len(self.targets))):
            places = (last * eighths // 8 + 1 for eighths in GROWTH)
            tried = (self.near(place, last + 1, place + NEAR) for place in places)
            following = next((index for index in tried if index is not None), None)
            if following is None:
                break
            last = following
            trial = self.trials[last]
            assert trial is not None
            if trial.size > MAX_LAYERS:
                break
            off = [self.trials_off(target) for target in range(len(self.targets))]
            idle = 0 if any(a < b for a, b in zip(off, nearest, strict=True)) else idle + 1
            nearest = off
        return last

    def trials_off(self, target: int) -> float:
        """Return how near a target was come to."""
        return min(trial.off(target) for _, trial in self.known)

    def look(self, last: int) -> None:
        """Count some nets of the whole range, in equal steps and in doubling ones."""
        equal = (piece * last // COARSE for piece in range(COARSE + 1))
        doubling = (2**power - 1 for power in range(last.bit_length()))
        for index in (*equal, *doubling):
            self.near(index, 0, last)
        if not self.known:
            assert self.error is not None
            raise self.error

    def crossings(self, target: int) -> list[tuple[int, int]]:
        """Return the neighbours among what is known between which a target is passed."""
        known = self.known
        return [
            (low, high)
            for (low, before), (high, after) in pairwise(known)
            if before.above(target) != after.above(target)
        ]

    def bisect(self, target: int, low: int, high: int) -> None:
        """Count nets until a target is passed from one value to the next."""
        first = self.trials[low]
        assert first is not None
        above = first.above(target)
        while True:
            middle = self.near((low + high) // 2, low + 1, high - 1)
            if middle is None:
                return
            trial = self.trials[middle]
            assert trial is not None
            low, high = (middle, high) if trial.above(target) == above else (low, middle)

    # ---------------------------------------------------------------- results

    def candidates(self) -> list[int]:
        """Return the indices beside each target; raise NetError where one is out of reach."""
        found: set[int] = set()
        for at, target in enumerate(self.targets):
            known = self.known
            crossings = self.crossings(at)
            found.update(index for pair in crossings for index in pair)
            exact = [i for i, trial in known if trial.off(at) == 0]
            if target.relation == "==":
                found.update(exact[:1] + exact[-1:])
                if not crossings and not exact:
                    raise self.out_of_reach(at)
            elif not any(target.holds(*trial.sides[at]) for _, trial in known):
                raise self.out_of_reach(at)
            elif not crossings:
                by = {i: trial.sides[at][0] for i, trial in known}
                found.add(
                    max(by, key=by.__getitem__) if target.relation[0] == "<" else min(by, key=by.__getitem__)
                )
        return sorted(found)

    def choose(self, found: Sequence[int]) -> int:
        """Return the index that holds all bounds and is nearest to the targets, or else within them the largest."""
        fine = []
        for index in found:
            trial = self.trials[index]
            assert trial is not None
            bounds = zip(self.targets, trial.sides, strict=True)
            if all(target.relation == "==" or target.holds(*sides) for target, sides in bounds):
                fine.append((index, trial))
        if not fine:
            raise _wrong(
                "E562", f"{self.net.name}: no value holds all bounds", "loosen one", self.reached(found)
            )
        equal = [at for at, target in enumerate(self.targets) if target.relation == "=="]
        if equal:
            return min(
                fine,
                key=lambda pair: max(pair[1].off(at) / (abs(pair[1].sides[at][1]) or 1) for at in equal),
            )[0]
        upper = [at for at, target in enumerate(self.targets) if target.relation[0] == "<"]
        if upper:
            return max(fine, key=lambda pair: pair[1].sides[upper[0]][0])[0]
        return min(fine, key=lambda pair: pair[1].sides[0][0])[0]

    def out_of_reach(self, at: int) -> NetError:
        """Return the error for a target that no value meets, with the least and the most."""
        known = sorted(self.known, key=lambda pair: pair[1].sides[at][0])
        target, name = self.targets[at], self.net.name
        (least, first), (most, last) = known[0], known[-1]
        low, high = first.sides[at][0], last.sides[at][0]
        names = " and ".join(one.name for one in self.line.varied)
        if low == high:
            what = f"{name}: {target.text} is {_number(low)} whatever {names} is"
            return _wrong("E562", what, "vary another parameter")
        return _wrong(
            "E562",
            f"{name}: {target.asked} is out of reach of {names}",
            "a wider range, or another parameter",
            (*self.reached((least, most)), *self.failed),
        )

    @property
    def failed(self) -> tuple[str, ...]:
        """How many values make no net, and why one of them does not, as a line."""
        count = sum(trial is None for trial in self.trials.values())
        if self.error is None:
            return ()
        why = self.error.diagnostics[0].message
        return (f"{count} other value{'s make' if count > 1 else ' makes'} no net: {why}",)

    def reached(self, found: Sequence[int]) -> tuple[str, ...]:
        """Return what was counted at some indices, as lines."""
        lines = []
        for index in found:
            trial = self.trials[index]
            assert trial is not None
            values = ", ".join(f"{k}={show(v)}" for k, v in self.values(index).items())
            counted = zip(self.targets, trial.amounts, strict=True)
            lines.append(f"{values}: {', '.join(f'{t.text} {_number(amount)}' for t, amount in counted)}")
        return tuple(lines)

    def values(self, index: int) -> dict[str, Any]:
        """Return the value of each parameter, by name."""
        pairs = zip(self.line.varied, self.line.at(index), strict=True)
        return {one.name: value for one, value in pairs}

    def step(self, index: int) -> Step:
        """Return the step that an index is on, told by the plainest number on it where numbers have digits."""
        trial = self.trials[index]
        assert trial is not None
        low, high = self.edge(index, -1), self.edge(index, 1)
        shown = index
        if self.line.origin >= 0:
            plain = self.line.plainest(low, high)
            other = self.trial(plain)
            shown = plain if other is not None and other.sides == trial.sides else index
        limits = tuple(right for _, right in trial.sides)
        return Step(self.values(shown), self.values(low), self.values(high), trial.amounts, limits)

    def edge(self, index: int, way: int) -> int:
        """Return the last index that counts the same, upwards or downwards, within what is known."""
        trial = self.trials[index]
        assert trial is not None
        beyond = [i for i, other in self.known if (i - index) * way > 0 and other.sides != trial.sides]
        same = [i for i, other in self.known if (i - index) * way >= 0 and other.sides == trial.sides]
        end = min(beyond, key=lambda i: abs(i - index)) if beyond else None
        same = [i for i in same if end is None or (end - i) * way > 0]
        inner = max(same, key=lambda i: abs(i - index))
        while end is not None and abs(end - inner) > 1:
            middle = (inner + end) // 2
            other = self.trial(middle)
            if other is not None and other.sides == trial.sides:
                inner = middle
            else:
                end = middle
        return inner


# -------------------------------------------------------------------- how it is shown


def render_text(found: Fit[Any]) -> str:
    """Return the steps as a table, and no newline at the end."""
    net, line = found.origin, found.line
    asked = ", ".join(target.asked for target in found.targets)
    names = [one.name for one in line.varied]
    caption = f"{printable(net.name)} ({printable(net.spec)}): {' and '.join(names)} for {asked}"
    spread = any(step.first != step.last for step in found.steps)
    header = [*names, *(["the same for"] if spread else [])]
    for target in found.targets:
        header += [target.text, "off"]
    rows = []
    for at, step in enumerate(found.steps):
        cells = [show(value) for value in step.values.values()]
        cells += [_extent(step)] if spread else []
        for amount, limit in zip(step.amounts, step.limits, strict=True):
            cells += [_number(amount), _percent(amount, limit)]
        rows.append([*cells, _mark(found) if at == found.best else ""])
    table = [[*header, ""], *rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = [
        "  ".join([*(c.rjust(w) for c, w in zip(row[:-1], widths[:-1], strict=True)), row[-1]]).rstrip()
        for row in table
    ]
    lines.insert(1, "-" * max(map(len, lines)))
    options = [f"--set {_quoted(f'{k}={show(v)}')}" for k, v in found.settings.items()]
    options += [
        f"--input {_quoted(f'{k}={shape}' if k else str(shape))}" for k, shape in found.inputs.items()
    ]
    given = " ".join(options)
    below = [f"{found.made} nets made"]
    if not found.monotone:
        tried = "every value of the range was tried" if found.complete else "another value may come nearer"
        below.append(f"note: not every quantity goes one way only over these values: {tried}")
    if "..." not in given:  # a list that is too long to be shown
        below.append(given)
    return "\n".join([caption, "", *lines, "", *below])


def _mark(found: Fit[Any]) -> str:
    relations = {target.relation[0] for target in found.targets}
    return "nearest" if "=" in relations else "largest that holds" if "<" in relations else "least that holds"


def _extent(step: Step) -> str:
    """Return from where to where a step extends, told by the first parameter that changes over it."""
    for name, value in step.first.items():
        if value != step.last[name]:
            return f"{show(value)} to {show(step.last[name])}"
    return ""


def _number(amount: float) -> str:
    return f"{amount:,}" if isinstance(amount, int) else f"{amount:,.6g}"


def _percent(amount: float, limit: float) -> str:
    if not limit:
        return ""
    percent = 100 * (amount - limit) / limit
    return "exact" if amount == limit else f"{percent:+.2f}%"


def _quoted(text: str) -> str:
    from shlex import quote

    return quote(text)


def render_json(found: Fit[Any]) -> dict[str, Any]:
    """Return the steps as an object for `json.dumps`; its fields are those of docs/schema/fit.json."""

    def values(some: Mapping[str, Any]) -> dict[str, Any]:
        return {name: value if is_number(value) else show(value) for name, value in some.items()}

    return {
        "version": VERSION,
        "net": found.origin.name,
        "spec": found.origin.spec,
        "vary": [one.name for one in found.line.varied],
        "targets": [
            {"quantity": t.text, "relation": t.relation, "number": limit}
            for t, limit in zip(found.targets, found.step.limits, strict=True)
        ],
        "steps": [
            {
                "values": values(step.values),
                "first": values(step.first),
                "last": values(step.last),
                "amounts": dict(zip((t.text for t in found.targets), step.amounts, strict=True)),
            }
            for step in found.steps
        ],
        "best": found.best,
        "settings": {name: show(value) for name, value in found.settings.items()},
        "inputs": {name: list(shape) for name, shape in found.inputs.items()},
        "made": found.made,
        "monotone": found.monotone,
        "complete": found.complete,
    }


def _wrong(code: str, message: str, help: str = "", details: tuple[str, ...] = ()) -> NetError:
    return NetError([Diagnostic(code, message, help=help, details=details)])

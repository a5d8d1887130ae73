"""The search: nets along a line are made and counted, as few as bisection needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import pairwise
from typing import Any, Generic

from netdsl.diagnostics import NetError
from netdsl.elaborate.values import show
from netdsl.fit.line import Line
from netdsl.fit.target import Target, wrong
from netdsl.fit.vary import N, made, settings, shapes
from netdsl.ir.types import Shape
from netdsl.record import Record

MAX_LAYERS = 20_000
"""A range without an end goes no further than nets of so many ops."""
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
        self.trials: dict[int, Trial] = {}
        """By index."""
        self.errors: dict[int, NetError] = {}
        """Why no net can be made, by index."""
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
            len(self.trials),
            self.monotone,
            self.complete or len(self.trials) + len(self.errors) == last + 1,
        )

    # ---------------------------------------------------------------- nets

    def trial(self, index: int) -> Trial | None:
        """Return what is counted at an index; None where no net can be made."""
        if index not in self.trials and index not in self.errors:
            try:
                net = made(self.net, self.line.varied, self.line.at(index))
                sides = tuple(target.sides(net) for target in self.targets)
                self.trials[index] = Trial(sides, len(net.graph))
            except NetError as error:
                self.errors[index] = error
        return self.trials.get(index)

    def near(self, index: int, low: int, high: int) -> int | None:
        """Return the index next to another of which a net can be made, between two; None if there is none."""
        for distance in range(NEAR):
            for one in (index + distance, index - distance):
                if low <= one <= high and self.trial(one) is not None:
                    return one
        return None

    @property
    def last_error(self) -> NetError:
        """Why the last of those could not be made."""
        return next(reversed(self.errors.values()))

    @property
    def known(self) -> list[tuple[int, Trial]]:
        """What was counted, by index."""
        return sorted(self.trials.items(), key=lambda pair: pair[0])

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
            raise self.last_error
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
            if self.trials[last].size > MAX_LAYERS:
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
            raise self.last_error

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
        above = self.trials[low].above(target)
        while True:
            middle = self.near((low + high) // 2, low + 1, high - 1)
            if middle is None:
                return
            same = self.trials[middle].above(target) == above
            low, high = (middle, high) if same else (low, middle)

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
            bounds = zip(self.targets, trial.sides, strict=True)
            if all(target.relation == "==" or target.holds(*sides) for target, sides in bounds):
                fine.append((index, trial))
        if not fine:
            raise wrong(
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
            what = f"{name}: {target.text} is {number(low)} whatever {names} is"
            return wrong("E562", what, "vary another parameter")
        return wrong(
            "E562",
            f"{name}: {target.asked} is out of reach of {names}",
            "a wider range, or another parameter",
            (*self.reached((least, most)), *self.failed),
        )

    @property
    def failed(self) -> tuple[str, ...]:
        """How many values make no net, and why one of them does not, as a line."""
        count = len(self.errors)
        if not count:
            return ()
        why = self.last_error.diagnostics[0].message
        return (f"{count} other value{'s make' if count > 1 else ' makes'} no net: {why}",)

    def reached(self, found: Sequence[int]) -> tuple[str, ...]:
        """Return what was counted at some indices, as lines."""
        lines = []
        for index in found:
            trial = self.trials[index]
            values = ", ".join(f"{k}={show(v)}" for k, v in self.values(index).items())
            counted = zip(self.targets, trial.amounts, strict=True)
            lines.append(f"{values}: {', '.join(f'{t.text} {number(amount)}' for t, amount in counted)}")
        return tuple(lines)

    def values(self, index: int) -> dict[str, Any]:
        """Return the value of each parameter, by name."""
        pairs = zip(self.line.varied, self.line.at(index), strict=True)
        return {one.name: value for one, value in pairs}

    def step(self, index: int) -> Step:
        """Return the step that an index is on, told by the plainest number on it where numbers have digits."""
        trial = self.trials[index]
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


def number(amount: float) -> str:
    """Return a quantity as people read it."""
    return f"{amount:,}" if isinstance(amount, int) else f"{amount:,.6g}"

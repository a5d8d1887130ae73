"""The values that are tried, one after the other: the line along which parameters go."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

from netdsl.fit.target import wrong
from netdsl.fit.vary import Varied, four
from netdsl.record import Record

FINE = 1000
"""Into how many steps a factor of 1, or a range of several parameters, is divided."""


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
            raise wrong("E560", f"{one.name} needs a range", f"for example {one.name}=0.1..1")
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
            raise wrong("E560", what, f"for example {','.join(f'{v.name}=1..2' for v in varied)}")
        now.append(Decimal(str(one.value[0] if one.kind == "dims" else one.value)))
    if not all(number > 0 for number in now):
        raise wrong("E560", "what goes by a factor is above 0", "give ranges, or vary one parameter")
    # the least factor that makes no whole number 0
    least = max(
        [1, *(-int(-FINE / (2 * n) // 1) for one, n in zip(varied, now, strict=True) if one.kind != "float")]
    )

    def numbers(index: int) -> tuple[Decimal, ...]:
        return tuple(four(number * (least + index) / FINE) for number in now)

    return Line(tuple(varied), numbers, None, max(0, FINE - least), "factor", least)


def _between(varied: Sequence[Varied]) -> Line:
    """Return the way from the lower ends of ranges to the upper ones, in equal ratios."""
    ends = [(one.low, one.high) for one in varied if one.low is not None and one.high is not None]
    if len(ends) < len(varied):
        help = ",".join(f"{one.name}=1..2" for one in varied)
        raise wrong("E560", "several parameters have all a range, or none", help)
    if not all(low > 0 for low, _ in ends):
        raise wrong("E560", "ranges that are gone through together begin above 0", "")

    def numbers(index: int) -> tuple[Decimal, ...]:
        along = (low * (high / low) ** (Decimal(index) / FINE) for low, high in ends)
        return tuple(one.stepped(number) for one, number in zip(varied, along, strict=True))

    return Line(tuple(varied), numbers, FINE + 1, 0, "along", 0)

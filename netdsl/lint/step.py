"""A step of training, as far as rules, and the parts of a pipeline, have to know it."""

from __future__ import annotations

from math import isqrt
from typing import Any

from netdsl.diagnostics import Diagnostic, NetError
from netdsl.record import Record


class Step(Record):
    """How many samples a step of training has, and into how many micro-batches of one size they are divided."""

    batch: int
    micro_batches: int = 1

    @property
    def micro_batch(self) -> int:
        """How many samples go through at once."""
        return self.batch // self.micro_batches

    def most(self, samples: int) -> int:
        """Return the most micro-batches that have so many samples each, 0 if the batch has fewer."""
        return next((n for n in divisors(self.batch)[::-1] if self.batch // n >= samples), 0)


def divisors(number: int) -> list[int]:
    """Return what divides a number, the least first."""
    small = [n for n in range(1, isqrt(number) + 1) if number % n == 0]
    return [*small, *[number // n for n in reversed(small) if n * n != number]]


def misfit(batch: Any, micro_batches: Any) -> tuple[str, str]:
    """Return what is wrong with a step, and what would do; "" and "" if nothing is."""
    for name, value in (("batch", batch), ("micro_batches", micro_batches)):
        if type(value) is not int or value < 1:
            return f"{name} must be an int from 1, got {value!r}", ""
    if batch % micro_batches == 0:
        return "", ""
    fits = divisors(batch)
    help = f"as many as {', '.join(map(str, fits[:12]))}{', ...' if len(fits) > 12 else ''}"
    return f"{micro_batches} micro-batches of one size do not make a batch of {batch}", help


def checked(batch: Any, micro_batches: Any) -> Step:
    """Return a step; raise NetError for one that cannot be."""
    message, help = misfit(batch, micro_batches)
    if message:
        raise NetError([Diagnostic("E503", message, help=help)])
    return Step(batch, micro_batches)

"""The functions of the language: what each takes, and what it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from netdsl.record import Record


class Builtin(Record):
    """One function: its arguments, those that may be left out with what they are then, and its text."""

    params: tuple[str, ...]
    """Their names; `*` is any number of them."""
    about: str
    optional: Mapping[str, Any] = {}


FUNCTIONS = {
    "ceil": Builtin(("x",), "The least whole number that is not less than x."),
    "floor": Builtin(("x",), "The greatest whole number that is not more than x."),
    "round": Builtin(("x",), "The nearest whole number; the even one of two, as in Python."),
    "int": Builtin(("x",), "The whole number that x is without its fraction."),
    "abs": Builtin(("x",), "The number without its sign."),
    "log": Builtin(("x",), "The natural logarithm of a number above 0."),
    "log2": Builtin(("x",), "The logarithm to base 2 of a number above 0."),
    "max": Builtin(("*",), "The greatest of some numbers, or of a list's."),
    "min": Builtin(("*",), "The least of some numbers, or of a list's."),
    "sum": Builtin(("list",), "What the numbers of a list make together; 0 of none."),
    "dims": Builtin(("*",), "Dimensions of two or more whole numbers: dims(k, 1) is 3x1 where k is 3."),
    "len": Builtin(("x",), "How many items a list, table or row has, how many values a tuple that flows."),
    "reversed": Builtin(("list",), "The items of a list or table, the last one first."),
    "range": Builtin(
        ("*",), "The whole numbers below n, from a to below b, or those by steps: range(a, b, step)."
    ),
    "enumerate": Builtin(("list", "start"), "The items of a list or table with their numbers.", {"start": 0}),
    "zip": Builtin(("*",), "The items of lists of one length, side by side."),
    "make_divisible": Builtin(
        ("value", "divisor"),
        "The nearest multiple of a divisor, never more than 10 % below the value (torchvision).",
    ),
    "ramp": Builtin(
        ("start", "stop", "endpoint"),
        """A depth schedule: the k-th of n layers and blocks that are given it has
start + (stop - start) * k / (n - 1).

One `ramp(...)` of the text is one schedule, in a loop or repetition, in a `default` line, and under a name:
lines that share a schedule give its name. It counts all layers and blocks of the net that are given it as an
argument, from 0 and in the order of the text. A block has one number, which is the same wherever the block
hands it on, as in both paths of a transformer's layer; a layer that is given a schedule twice has one, too. Of
one layer alone the number is `start`. With endpoint=false n stands in the place of n - 1 and `stop` is never
reached, as in torchvision's EfficientNet; its ConvNeXt and Swin, and timm's linspace(0, rate, sum(depths)),
reach it with the last block. Huang et al., arXiv 1603.09382.

    r = ramp(0, 0.2)
    layer1: 3 * Block 64, drop=r
    layer2: 4 * Block 128, drop=r""",
        {"endpoint": True},
    ),
}

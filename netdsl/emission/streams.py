"""Tuples of any length: a list of values, which a class takes and returns as one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from netdsl.elaborate.values import Data
from netdsl.ir.types import Shape
from netdsl.record import Record

LIST = "l"
"""The axis of a list's shape, which has no other: how many values it holds."""


class Elements(tuple[Shape, ...]):
    """The shapes of a list's values, and their channels: a tuple, or what remembers its expression."""

    channels: tuple[int, ...]
    axes = "c"

    def __new__(cls, shapes: Iterable[Shape], channels: tuple[int, ...]) -> Elements:
        """Where the length is not known, the shapes are those of the instance that is walked."""
        made = super().__new__(cls, shapes)
        made.channels = channels
        return made

    def size(self, axis: str) -> Any:
        """Return the channels, as a shape does."""
        assert axis == self.axes
        return self.channels


class Streams(Data):
    """A list of values, as one wire whose shape has the length alone."""

    elements: Elements = Elements((), ())

    def __init__(self, *args: Any, **fields: Any) -> None:
        """Take the fields as records do: it has one more than other values."""
        Record.__init__(self, *args, **fields)


class Parts(Data):
    """A list of a joint's branches, as one wire whose shape is that of what the joint makes of them."""


def listed(shape: Shape) -> bool:
    """Tell whether a shape is that of a list."""
    return shape.axes == LIST

"""What ops along an axis share: a spec names it by its letter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from netdsl.ir.types import Shape
from netdsl.ops.base import Op, OpError

LETTERS = ("c", "h", "w", "n")
"""What axes are called: channels, rows, columns, tokens."""


class AlongAxis(Op):
    """An op along one axis of the sample, `axis`, a letter of c, h, w and n: the channels unless given."""

    settled: ClassVar[tuple[str, ...]] = ("axis",)
    texts: ClassVar[Mapping[str, tuple[str, ...]]] = {"axis": LETTERS}

    axis: str = "c"

    def axis_of(self, x: Shape) -> int:
        """Return where the axis is in a value of that shape."""
        return x.axis(self.axis)

    def check_axis(self, x: Shape) -> None:
        """Raise OpError where a value of that shape has no such axis."""
        self.check_texts()
        if self.axis not in x.axes:
            own = " or ".join(f'axis="{axis}"' for axis in x.axes)
            raise OpError("axis", f"{x.kind} {x} has no axis {self.axis}", own)

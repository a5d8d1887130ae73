"""The same numbers under other axes. They have no weights and cost nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from netdsl.ir.types import Shape
from netdsl.ops.base import EVERYWHERE, Example, Field, Op, OpError
from netdsl.ops.window import need_map


class Permute(Op):
    """The axes of the sample in another order, as a view: output axis i is input axis axes[i]."""

    name: ClassVar[str] = "permute"
    passes_values: ClassVar[bool] = True
    linear: ClassVar[bool] = True
    keeps_zero: ClassVar[bool] = True
    positional: ClassVar[tuple[str, ...]] = ("axes",)
    computes: ClassVar[bool] = False
    aliases: ClassVar[bool] = True

    axes: tuple[int, ...]

    def infer(self, *x: Shape) -> Shape:
        """Return the sizes and their letters in the new order."""
        if sorted(self.axes) != list(range(len(x[0]))):
            every, got = ", ".join(map(str, range(len(x[0])))), ", ".join(map(str, self.axes))
            raise OpError("axes", f"axes must be {every} in some order for {x[0]}, got {got}")
        return Shape(*(x[0][i] for i in self.axes), axes="".join(x[0].axes[i] for i in self.axes))

    @classmethod
    def examples(cls) -> Iterator[Example]:
        """Yield channels last and back, tokens."""
        yield Example(cls(axes=(1, 2, 0)), (Shape(2, 3, 4),))
        yield Example(cls(axes=(2, 0, 1)), (Shape(3, 4, 2, axes="hwc"),))
        yield Example(cls(axes=(1, 0)), (Shape(3, 4),))


class Flatten(Op):
    """All numbers of a sample as one vector, in the order c, h, w (or n, c); a view."""

    name: ClassVar[str] = "flatten"
    passes_values: ClassVar[bool] = True
    linear: ClassVar[bool] = True
    keeps_zero: ClassVar[bool] = True
    computes: ClassVar[bool] = False
    aliases: ClassVar[bool] = True

    def infer(self, *x: Shape) -> Shape:
        """Return a vector of all elements."""
        if x[0].axes not in ("chw", "nc", "c"):
            help = "permute the axes back first"
            raise OpError("", f"flatten needs the order c, h, w, got axes {x[0].axes}", help)
        return Shape(x[0].elements)

    def reach(self, *x: Shape) -> tuple[Field | None, ...]:
        """Return every place: a vector has one."""
        return (EVERYWHERE,)

    @classmethod
    def examples(cls) -> Iterator[Example]:
        """Yield a map, tokens, a vector."""
        yield Example(cls(), (Shape(3, 4, 5),))
        yield Example(cls(), (Shape(4, 5),))
        yield Example(cls(), (Shape(5),))


class Tokens(Op):
    """The places of a map as tokens, row by row, as a view: c x h x w to (h w) x c. arXiv 2010.11929."""

    name: ClassVar[str] = "tokens"
    passes_values: ClassVar[bool] = True
    linear: ClassVar[bool] = True
    keeps_zero: ClassVar[bool] = True
    computes: ClassVar[bool] = False
    aliases: ClassVar[bool] = True

    def infer(self, *x: Shape) -> Shape:
        """Return (h w) x c."""
        c, h, w = need_map(self.name, x[0])
        return Shape(h * w, c)

    @classmethod
    def examples(cls) -> Iterator[Example]:
        """Yield a map."""
        yield Example(cls(), (Shape(3, 4, 5),))

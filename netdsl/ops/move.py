"""What moves values about within a map. They have no weights and cost no MACs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from netdsl.ir.types import Dims, Shape
from netdsl.ops.base import Example, Field, Op, OpError, Reach
from netdsl.ops.window import groups_of, need_map


class Shuffle(Op):
    """Channel shuffle: channel i c/g + j goes to j g + i, so that the next groups see all groups.

    View as g x c/g x h x w, transpose, flatten. Map, shape unchanged; ops: 0. Zhang et al., arXiv 1707.01083.
    With one group, or one channel in each, there is nothing to copy and the output may be the input.
    """

    name: ClassVar[str] = "shuffle"
    linear: ClassVar[bool] = True
    keeps_zero: ClassVar[bool] = True
    positional: ClassVar[tuple[str, ...]] = ("groups",)
    wiring: ClassVar[bool] = True
    aliases: ClassVar[bool] = True

    groups: int

    def infer(self, *x: Shape) -> Shape:
        """Check the groups; return the input's shape."""
        groups_of("groups", self.groups, need_map(self.name, x[0])[0])
        return x[0]

    @classmethod
    def examples(cls) -> Iterator[Example]:
        """Yield groups, and the two cases in which nothing moves."""
        for groups in (1, 2, 3, 6):
            yield Example(cls(groups=groups), (Shape(6, 2, 3),))


class Shift(Op):
    """The map moved up and to the left by `by` pixels, zeros coming in below and at the right.

    Map, shape unchanged; ops: 0. The second path of NASNet's factorized reduction, arXiv 1707.07012.
    """

    name: ClassVar[str] = "shift"
    channelwise: ClassVar[bool] = True
    linear: ClassVar[bool] = True
    keeps_zero: ClassVar[bool] = True
    positional: ClassVar[tuple[str, ...]] = ("by",)
    wiring: ClassVar[bool] = True

    by: Dims

    def infer(self, *x: Shape) -> Shape:
        """Check that something of the map is left; return the input's shape."""
        _, *size = need_map(self.name, x[0])
        if len(self.by) != 2:
            raise OpError("by", f"by needs two sizes, got {self.by}")
        for step, n in zip(self.by, size, strict=True):
            if not 0 <= step < n:
                raise OpError("by", f"a shift by {self.by} must be from 0 to less than the map, {x[0]}")
        return x[0]

    def reach(self, *x: Shape) -> tuple[Field | None, ...]:
        """Return the place `by` further on."""
        rows, columns = self.by
        return ((Reach(pad=-rows), Reach(pad=-columns)),)

    @classmethod
    def examples(cls) -> Iterator[Example]:
        """Yield both axes, one, none."""
        for by in ((1, 1), (0, 2), (0, 0)):
            yield Example(cls(by=Dims(by)), (Shape(2, 4, 5),))

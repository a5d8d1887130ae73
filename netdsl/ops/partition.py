"""Maps in windows and back, and which places of a window may see each other. Liu et al., arXiv 2103.14030."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from netdsl.ir.types import Dims, Shape
from netdsl.ops.base import EVERYWHERE, HERE, Elsewhere, Example, Field, Need, Op, OpError, Reach
from netdsl.ops.window import both, check_size

if TYPE_CHECKING:
    from netdsl.ir.tape import Tape, Tensor


class Partition(Op):
    """What the ops of windows share: windows of `size`, of a map that is moved up and to the left by `shift` first.

    What leaves comes in on the other side; along an axis that one window covers, nothing is moved. A map that is no
    whole number of windows gets zeros below and at the right.
    """

    positional: ClassVar[tuple[str, ...]] = ("size",)
    wiring: ClassVar[bool] = True
    linear: ClassVar[bool] = True
    keeps_zero: ClassVar[bool] = True

    size: Dims | int
    shift: Dims | int = 0

    def places(self, x: Shape) -> int:
        """Return how many places a window of a map has."""
        rows, columns = both(self.size)
        return rows * columns

    def windows(self, x: Shape) -> int:
        """Return how many windows a map has."""
        self.check(x)
        rows, columns = both(self.size)
        return -(-x.h // rows) * -(-x.w // columns)

    def check(self, x: Shape) -> None:
        """Raise OpError for what is no map, and sizes that are none."""
        if x.axes not in ("chw", "hwc"):
            raise OpError("", f"{self.name} needs a map, got {x.kind} {x}")
        check_size("size", self.size)
        if isinstance(self.shift, Dims) and len(self.shift) != 2:
            raise OpError("shift", f"shift needs two sizes, got {self.shift}")
        self.check_needs()

    def scratch(self, itemsize: int, *x: Shape) -> int:
        """Return the map with what is added to it, and once more if it is moved."""
        like = x[-1]
        copies = 1 + any(map(bool, both(self.shift)))
        return itemsize * self.windows(like) * self.places(like) * x[0].c * copies

    def needs(self, *x: Shape) -> Iterator[Need]:
        """Yield that there are places, and a shift is within a window."""
        for size, shift in zip(both(self.size), both(self.shift), strict=True):
            yield Need("size", "size", size, ">=", 1)
            yield Need("shift", "shift", shift, ">=", 0)
            yield Need("shift", "shift", shift, "<=", size, "a shift is less than a window")


class Grids(Partition):
    """What windows and their inverse share: windows whose places do not lie side by side.

    With `spread=true` they lie as far from each other as there are windows, so that each sees the whole map: the
    grids of Tu et al., arXiv 2204.01697. With `apart=true` `size` says how far: those that are alike in every patch,
    Mehta and Rastegari, arXiv 2110.02178.
    """

    spread: bool = False
    apart: bool = False

    def places(self, x: Shape) -> int:
        """Return how many places a window of a map has."""
        return super().windows(x) if self.apart else super().places(x)

    def windows(self, x: Shape) -> int:
        """Return how many windows a map has."""
        return super().places(x) if self.apart else super().windows(x)

    def check(self, x: Shape) -> None:
        """Raise OpError for what is no map, sizes that are none, and both ways of grids."""
        super().check(x)
        if self.spread and self.apart:
            raise OpError("apart", "windows are spread or their places apart, not both")


class Windows(Grids):
    """A map in windows, each a sequence of its places, row by row: `windows 7x7`, `windows 7x7, shift=3x3`.

    c x h x w or h x w x c to (h/rows w/columns) x (rows columns) x c. ops: 0; its output is new values.
    `spread=true` and `apart=true` are for windows whose places lie all over the map.
    """

    name: ClassVar[str] = "windows"
    elsewhere: ClassVar[Elsewhere] = Elsewhere(torch="timm.models.swin_transformer.window_partition")

    def infer(self, *x: Shape) -> Shape:
        """Return windows x places x c."""
        self.check(x[0])
        return Shape(self.windows(x[0]), self.places(x[0]), x[0].c, axes="bnc")

    def reach(self, *x: Shape) -> tuple[Field | None, ...]:
        """Return what lies in a window with a place, wherever in it that is; all, if windows are spread."""
        if self.spread or self.apart:
            return (EVERYWHERE,)
        rows, columns = both(self.size)
        return ((Reach(2 * rows - 1, pad=rows - 1), Reach(2 * columns - 1, pad=columns - 1)),)

    def saved(self, tape: Tape, *x: Tensor) -> Tensor:
        """Keep nothing."""
        value = x[0] if x[0].sample.axes == "chw" else tape.permuted(x[0], 0, 3, 1, 2)
        n, c = value.sizes[:2]
        (rows, columns), like = both(self.size), x[0].sample
        down, across = -(-like.h // rows), -(-like.w // columns)
        value = tape.padded(value, (n, c, down * rows, across * columns))
        if any(both(self.shift)):
            places = tape.permuted(value, 0, 2, 3, 1)
            rolled = tape.made(places.sizes, places, back=tape.filled)
            value = tape.permuted(rolled, 0, 3, 1, 2)
        if self.apart:
            rows, columns, down, across = down, across, rows, columns
        if self.spread or self.apart:
            value = tape.permuted(tape.reshaped(value, n, c, rows, down, columns, across), 0, 3, 5, 2, 4, 1)
        else:
            value = tape.permuted(tape.reshaped(value, n, c, down, rows, across, columns), 0, 2, 4, 3, 5, 1)
        return tape.reshaped(value, n, down * across, rows * columns, c)

    @classmethod
    def examples(cls) -> Iterator[Example]:
        """Yield whole windows, others, shifted and spread ones, of maps of either order."""
        x = Shape(3, 6, 4)
        yield Example(cls(size=2), (x,))
        yield Example(cls(size=Dims((3, 2)), shift=Dims((1, 1))), (x,))
        yield Example(cls(size=Dims((3, 2)), spread=True), (x,))
        yield Example(cls(size=Dims((3, 2)), apart=True), (Shape(2, 5, 4),))
        yield Example(cls(size=Dims((4, 3)), shift=Dims((2, 0))), (Shape(2, 5, 7),))
        yield Example(cls(size=3, shift=1), (Shape(5, 2, 4, axes="hwc"),))


class Unwindows(Grids):
    """Windows as the map that they are of; the inverse of `windows`: `unwindows 7x7, like=x`.

    windows x places x c to a map as high and wide as `like`, and with its order of axes. ops: 0.
    """

    name: ClassVar[str] = "unwindows"
    elsewhere: ClassVar[Elsewhere] = Elsewhere(torch="timm.models.swin_transformer.window_reverse")
    selects: ClassVar[bool] = True
    arity: ClassVar[tuple[int, int | None]] = (2, 2)
    references: ClassVar[tuple[str, ...]] = ("like",)

    def infer(self, *x: Shape) -> Shape:
        """Return the map."""
        held, like = x
        if held.axes != "bnc":
            raise OpError("", f"unwindows needs windows x places x c, got {held.kind} {held}", "windows 7x7")
        self.check(like)
        expected = self.windows(like), self.places(like)
        if (held.size("b"), held.n) != expected:
            number, places = expected
            message = f"a map of {like.h}x{like.w} has {number} windows of {places} places, got {held}"
            raise OpError("size", message)
        return like.with_size("c", held.c)

    def reach(self, *x: Shape) -> tuple[Field | None, ...]:
        """Return the same place; what only gives the size is not seen."""
        return HERE, None

    def saved(self, tape: Tape, *x: Tensor) -> Tensor:
        """Keep nothing."""
        out = self.infer(*[value.sample for value in x])
        value, n = x[0], x[0].sizes[0]
        rows, columns = both(self.size)
        down, across = -(-out.h // rows), -(-out.w // columns)
        if self.apart:
            rows, columns, down, across = down, across, rows, columns
        value = tape.reshaped(value, n, down, across, rows, columns, out.c)
        axes = (0, 5, 3, 1, 4, 2) if self.spread or self.apart else (0, 5, 1, 3, 2, 4)
        value = tape.reshaped(tape.permuted(value, *axes), n, out.c, down * rows, across * columns)
        if any(both(self.shift)):
            value = tape.made(value.sizes, value)
        value = tape.narrowed(tape.narrowed(value, 2, out.h), 3, out.w)
        return tape.in_order(value if out.axes == "chw" else tape.permuted(value, 0, 2, 3, 1))

    @classmethod
    def examples(cls) -> Iterator[Example]:
        """Yield whole windows, others, shifted and spread ones, of maps of either order."""
        yield Example(cls(size=2), (Shape(6, 4, 3, axes="bnc"), Shape(5, 6, 4)))
        yield Example(cls(size=Dims((3, 2)), spread=True), (Shape(4, 6, 2, axes="bnc"), Shape(3, 6, 4)))
        yield Example(cls(size=Dims((3, 2)), apart=True), (Shape(6, 4, 2, axes="bnc"), Shape(3, 5, 4)))
        shifted = cls(size=Dims((4, 3)), shift=Dims((2, 1)))
        yield Example(shifted, (Shape(6, 12, 2, axes="bnc"), Shape(1, 5, 7)))
        yield Example(shifted, (Shape(6, 12, 2, axes="bnc"), Shape(5, 7, 3, axes="hwc")))


class WindowMask(Partition):
    """What a shift brings together in a window from opposite sides of the map, to keep it from seeing each other.

    Of a map, windows x places x places: 0 where two places of a window lie on the same side of the cut, -100 where
    they do not, as `mask=` of `attend`. ops: 0.
    """

    name: ClassVar[str] = "window_mask"
    elsewhere: ClassVar[Elsewhere] = Elsewhere(
        torch="timm.models.swin_transformer.SwinTransformerBlock, of it"
    )
    keeps_zero: ClassVar[bool] = False

    def infer(self, *x: Shape) -> Shape:
        """Return windows x places x places, the last as channels."""
        return Shape(self.windows(x[0]), self.places(x[0]), self.places(x[0]), axes="bnc")

    @property
    def bounds(self) -> tuple[float, float]:
        """From -100 to 0."""
        return -100.0, 0.0

    def reach(self, *x: Shape) -> tuple[Field | None, ...]:
        """Return that only the size is seen."""
        return (None,)

    def saved(self, tape: Tape, *x: Tensor) -> Tensor:
        """Keep nothing, and need no gradient."""
        out = self.infer(x[0].sample)
        return tape.expanded(tape.new((1, *out)), tape.sized(out))

    @classmethod
    def examples(cls) -> Iterator[Example]:
        """Yield both axes, one, none, one that a window covers."""
        for shift in ((1, 1), (0, 2), (0, 0)):
            yield Example(cls(size=3, shift=Dims(shift)), (Shape(2, 4, 6),))
        yield Example(cls(size=Dims((4, 3)), shift=1), (Shape(2, 4, 7),))
        yield Example(cls(size=Dims((2, 3)), shift=1), (Shape(5, 6, 2, axes="hwc"),))

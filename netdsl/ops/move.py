"""What moves values about within a map, or puts others around them. They have no weights and cost no MACs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, ClassVar

from netdsl.ir.types import Dims, Shape
from netdsl.ops.base import Elsewhere, Example, Field, Need, Op, OpError, Reach
from netdsl.ops.window import both, check_size, groups_of, need_map
from netdsl.symbolic import symbolic

if TYPE_CHECKING:
    from netdsl.ir.tape import Tape, Tensor


class Shuffle(Op):
    """Channel shuffle: channel i c/g + j goes to j g + i, so that the next groups see all groups.

    View as g x c/g x h x w, transpose, flatten. Map, shape unchanged; ops: 0. Zhang et al., arXiv 1707.01083.
    With one group, or one channel in each, there is nothing to copy and the output may be the input.
    """

    name: ClassVar[str] = "shuffle"
    elsewhere: ClassVar[Elsewhere] = Elsewhere(torch="nn.ChannelShuffle, F.channel_shuffle")
    selects: ClassVar[bool] = True
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

    def idle(self, *x: Shape) -> str:
        """Tell whether there is nothing to mix."""
        return "there is one group" if self.groups == 1 else ""

    def saved(self, tape: Tape, *x: Tensor) -> Tensor:
        """Keep nothing."""
        n, c, h, w = x[0].sizes
        parts = tape.reshaped(x[0], n, self.groups, c // self.groups, h, w)
        return tape.reshaped(tape.transposed(parts, 1, 2), n, c, h, w)

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
    elsewhere: ClassVar[Elsewhere] = Elsewhere(torch="F.pad, x[..., 1:, 1:]")
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

    def needs(self, *x: Shape) -> Iterator[Need]:
        """Yield that it moves one way."""
        yield from (Need("by", "by", size, ">=", 0) for size in self.by)

    def reach(self, *x: Shape) -> tuple[Field | None, ...]:
        """Return the place `by` further on."""
        rows, columns = self.by
        return ((Reach(pad=-rows), Reach(pad=-columns)),)

    def idle(self, *x: Shape) -> str:
        """Tell whether nothing moves."""
        return "it moves nothing" if tuple(self.by) == (0, 0) else ""

    def saved(self, tape: Tape, *x: Tensor) -> Tensor:
        """Keep nothing."""
        return self.fresh(tape, *x, back=tape.laid_as_given) if any(self.by) else tape.pointwise(x[0])

    @classmethod
    def examples(cls) -> Iterator[Example]:
        """Yield both axes, one, none."""
        for by in ((1, 1), (0, 2), (0, 0)):
            yield Example(cls(by=Dims(by)), (Shape(2, 4, 5),))


class Roll(Op):
    """The map moved up and to the left by `by` pixels, or `back`; what leaves comes in on the other side.

    Map, shape unchanged; ops: 0. Swin's shifted windows, Liu et al., arXiv 2103.14030.
    """

    name: ClassVar[str] = "roll"
    elsewhere: ClassVar[Elsewhere] = Elsewhere(torch="torch.roll", keras="ops.roll", jax="jnp.roll")
    passes_values: ClassVar[bool] = True
    channelwise: ClassVar[bool] = True
    linear: ClassVar[bool] = True
    keeps_zero: ClassVar[bool] = True
    positional: ClassVar[tuple[str, ...]] = ("by",)
    settled: ClassVar[tuple[str, ...]] = ("back",)
    wiring: ClassVar[bool] = True

    by: Dims
    back: bool = False

    @property
    def down(self) -> tuple[int, int]:
        """How many rows down, and columns to the right."""
        rows, columns = self.by
        return (rows, columns) if self.back else (-rows, -columns)

    def infer(self, *x: Shape) -> Shape:
        """Return the input's shape."""
        need_map(self.name, x[0])
        if len(self.by) != 2 or min(self.by) < 0:
            raise OpError("by", f"by needs two sizes from 0, got {self.by}")
        return x[0]

    def needs(self, *x: Shape) -> Iterator[Need]:
        """Yield that it moves one way."""
        for size in self.by:
            yield Need("by", "by", size, ">=", 0)

    def reach(self, *x: Shape) -> tuple[Field | None, ...]:
        """Return the place `by` further on; what comes in on the other side is not followed."""
        rows, columns = self.down
        return ((Reach(pad=rows), Reach(pad=columns)),)

    def idle(self, *x: Shape) -> str:
        """Tell whether nothing moves."""
        return "it moves nothing" if tuple(self.by) == (0, 0) else ""

    def saved(self, tape: Tape, *x: Tensor) -> Tensor:
        """Keep nothing."""
        moved = all(step % size for step, size in zip(self.by, x[0].sizes[2:], strict=True))
        if not moved:
            return tape.made(x[0].sizes, *x, back=tape.filled)
        return self.fresh(tape, *x, back=tape.laid_as_given)

    @classmethod
    def examples(cls) -> Iterator[Example]:
        """Yield both axes, one, none, further than the map."""
        for by in ((1, 1), (0, 2), (0, 0), (5, 7)):
            yield Example(cls(by=Dims(by)), (Shape(2, 4, 5),))
            yield Example(cls(by=Dims(by), back=True), (Shape(2, 4, 5),))


class Padding(Op):
    """More rows, columns or channels around a value: `pad 1`, `pad 1x2`, `pad right=1, bottom=1`, `pad after=16`.

    `by` is on all sides, rows x columns; `top`, `bottom`, `left` and `right` say it for one. They are zeros, what
    lies inside (`reflect`, of less than the map), the pixel at the edge (`replicate`), or what lies at the other
    side (`circular`). `before` and `after` are channels of zeros, of any shape. ops: 0.
    He et al., arXiv 1512.03385, option A (`after`); Zhu et al., arXiv 1703.10593 (`reflect`).
    """

    name: ClassVar[str] = "pad"
    elsewhere: ClassVar[Elsewhere] = Elsewhere(
        torch="F.pad, nn.ZeroPad2d, nn.ReflectionPad2d, nn.ReplicationPad2d",
        keras="layers.ZeroPadding2D, ops.pad",
        jax="jnp.pad",
    )
    linear: ClassVar[bool] = True
    keeps_zero: ClassVar[bool] = True
    positional: ClassVar[tuple[str, ...]] = ("by",)
    settled: ClassVar[tuple[str, ...]] = ("mode",)
    texts: ClassVar[Mapping[str, tuple[str, ...]]] = {"mode": ("zeros", "reflect", "replicate", "circular")}

    by: Dims | int = 0
    top: int | None = None
    bottom: int | None = None
    left: int | None = None
    right: int | None = None
    before: int = 0
    after: int = 0
    mode: str = "zeros"

    @property
    def rows(self) -> tuple[int, int]:
        """How many above and below."""
        size, _ = both(self.by)
        return size if self.top is None else self.top, size if self.bottom is None else self.bottom

    @property
    def columns(self) -> tuple[int, int]:
        """How many at the left and at the right."""
        _, size = both(self.by)
        return size if self.left is None else self.left, size if self.right is None else self.right

    @property
    def around(self) -> bool:
        """Whether it pads rows and columns."""
        return any(map(symbolic, (*self.rows, *self.columns))) or any((*self.rows, *self.columns))

    @property
    def channels(self) -> bool:
        """Whether it pads channels."""
        return symbolic(self.before) or symbolic(self.after) or bool(self.before or self.after)

    def infer(self, *x: Shape) -> Shape:
        """Return the shape with what is added."""
        self.check_texts()
        if isinstance(self.by, Dims) and len(self.by) != 2:
            raise OpError("by", f"by needs two sizes, got {self.by}")
        self.check_needs(*x)
        if self.channels and self.mode != "zeros":
            raise OpError("mode", f"channels are padded with zeros, so mode={self.mode} has no meaning")
        out = x[0].with_size("c", x[0].c + self.before + self.after)
        if not self.around:
            if not self.channels and self.mode != "zeros":
                need_map(self.name, x[0])
            return out
        _, *sizes = need_map(self.name, x[0])
        most = {"reflect": "less than", "circular": "at most"}.get(self.mode, "")
        for size, sides in zip(sizes, (self.rows, self.columns), strict=True):
            if most and (max(sides) > size or (self.mode == "reflect" and max(sides) == size)):
                message = f"mode={self.mode} adds {most} the map has, {x[0].h}x{x[0].w}, got {max(sides)}"
                raise OpError("mode", message)
        return Shape(out.c, out.h + sum(self.rows), out.w + sum(self.columns))

    def needs(self, *x: Shape) -> Iterator[Need]:
        """Yield that nothing is taken away."""
        for size in both(self.by):
            yield Need("by", "by", size, ">=", 0, "slice takes away")
        for field in ("top", "bottom", "left", "right", "before", "after"):
            size = getattr(self, field)
            if size is not None:
                yield Need(field, field, size, ">=", 0, "slice takes away")

    def reach(self, *x: Shape) -> tuple[Field | None, ...]:
        """Return the place as far from the first; what lies around the map is nothing of it here."""
        return ((Reach(pad=self.rows[0]), Reach(pad=self.columns[0])),)

    def saved(self, tape: Tape, *x: Tensor) -> Tensor:
        """Keep the input where what lies around is of it, at the edge."""
        if self.mode == "zeros":
            return tape.padded(x[0], tape.sized(self.infer(x[0].sample)))
        if self.mode == "circular":
            return self._around(tape, x[0])
        return self.fresh(tape, *x, keep=x)

    def _around(self, tape: Tape, x: Tensor) -> Tensor:
        """Copy the map into a new one, and then each side from the opposite one, corners twice."""
        y = tape.new(tape.sized(self.infer(x.sample)))
        tape.note(x, y)
        inner = x
        for axis in (3, 2):
            inner = tape.narrowed(inner, axis, x.sizes[axis])
        y = tape.written(y, inner)
        for axis, sides in ((3, self.columns), (2, self.rows)):
            for size in filter(None, sides):
                y = tape.written(y, tape.narrowed(y, axis, size))
        return y

    @classmethod
    def examples(cls) -> Iterator[Example]:
        """Yield one size, two, single sides, channels, the modes."""
        x = Shape(3, 4, 5)
        for mode in ("zeros", "reflect", "replicate", "circular"):
            yield Example(cls(by=1, mode=mode), (x,))
            yield Example(cls(by=Dims((2, 1)), left=3, bottom=0, mode=mode), (x,))
        yield Example(cls(right=1, bottom=1), (x,))
        yield Example(cls(after=2), (x,))
        yield Example(cls(before=1, after=2), (Shape(2, 3),))
        yield Example(cls(before=2), (Shape(4),))
        yield Example(cls(by=1, before=1, after=3), (x,))
        yield Example(cls(after=2), (Shape(4, 5, 3, axes="hwc"),))
        yield Example(cls(), (x,))


class PadTo(Op):
    """Zeros below a map and at its right, to the next whole multiple of a size: `pad_to 2x2`.

    Map c x h x w to c x ceil(h / rows) rows x ceil(w / columns) columns; ops: 0. Liu et al., arXiv 2103.14030.
    """

    name: ClassVar[str] = "pad_to"
    elsewhere: ClassVar[Elsewhere] = Elsewhere(torch="F.pad", keras="ops.pad", jax="jnp.pad")
    channelwise: ClassVar[bool] = True
    linear: ClassVar[bool] = True
    keeps_zero: ClassVar[bool] = True
    positional: ClassVar[tuple[str, ...]] = ("size",)
    wiring: ClassVar[bool] = True

    size: Dims | int

    def infer(self, *x: Shape) -> Shape:
        """Return the shape with what is added."""
        c, h, w = need_map(self.name, x[0])
        check_size("size", self.size)
        self.check_needs(*x)
        rows, columns = both(self.size)
        return Shape(c, -(-h // rows) * rows, -(-w // columns) * columns)

    def needs(self, *x: Shape) -> Iterator[Need]:
        """Yield that it is a size."""
        for size in both(self.size):
            yield Need("size", "size", size, ">=", 1)

    def saved(self, tape: Tape, *x: Tensor) -> Tensor:
        """Keep nothing."""
        return tape.padded(x[0], tape.sized(self.infer(x[0].sample)))

    @classmethod
    def examples(cls) -> Iterator[Example]:
        """Yield one size, two, one that fits."""
        yield Example(cls(size=3), (Shape(2, 4, 6),))
        yield Example(cls(size=Dims((2, 4))), (Shape(2, 5, 6),))
        yield Example(cls(size=2), (Shape(2, 4, 6),))

"""What takes parts of a value. They have no weights and cost nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from netdsl.ir.types import Dims, Shape
from netdsl.ops.axis import AlongAxis
from netdsl.ops.base import EVERYWHERE, HERE, Elsewhere, Example, Field, Need, Op, OpError, Reach
from netdsl.ops.window import both, check_size, groups_of, need_map
from netdsl.symbolic import least_of, sum_of, symbolic

if TYPE_CHECKING:
    from netdsl.ir.tape import Tape, Tensor

MAX_PARTS = 10_000
"""The most outputs of a split: each is a value of the graph."""


class Split(Op):
    """The channels in parts, as views: c to `parts` times c/parts, or to parts of the sizes in a list.

    Any shape; `split 2`, `split [64, x.c - 64]`. ops: 0. Chen et al., arXiv 1707.01629, for unequal parts.
    """

    name: ClassVar[str] = "split"
    elsewhere: ClassVar[Elsewhere] = Elsewhere(
        torch="torch.split, torch.chunk", keras="ops.split", jax="jnp.split"
    )
    several: ClassVar[bool] = True
    selects: ClassVar[bool] = True
    linear: ClassVar[bool] = True
    keeps_zero: ClassVar[bool] = True
    positional: ClassVar[tuple[str, ...]] = ("parts",)
    wiring: ClassVar[bool] = True
    computes: ClassVar[bool] = False
    aliases: ClassVar[bool] = True

    parts: int | tuple[int, ...]

    def infer(self, *x: Shape) -> tuple[Shape, ...]:
        """Return the shapes of the parts."""
        number = self.parts if isinstance(self.parts, int) else len(self.parts)
        if number > MAX_PARTS:
            raise OpError("parts", f"a split has at most {MAX_PARTS} parts, got {number}")
        if isinstance(self.parts, int):
            return (x[0].with_size("c", groups_of("parts", self.parts, x[0].c)),) * self.parts
        self.check_needs(*x)
        return tuple([x[0].with_size("c", part) for part in self.parts])

    def needs(self, *x: Shape) -> Iterator[Need]:
        """Yield that the parts listed are some, and all of the channels."""
        if not isinstance(self.parts, int):
            for part in (least_of(self.parts),) if symbolic(self.parts) else self.parts:
                yield Need("parts", "a part", part, ">=", 1)
            yield Need("parts", "the sum of the parts", sum_of(self.parts), "==", x[0].c)

    @property
    def whole(self) -> bool:
        """Whether it has one part."""
        return (
            not symbolic(self.parts) and (self.parts if isinstance(self.parts, int) else len(self.parts)) == 1
        )

    def saved(self, tape: Tape, *x: Tensor) -> tuple[Tensor, ...]:
        """Keep nothing."""
        parts = [shape.c for shape in self.infer(x[0].sample)]
        return tape.split(x[0], x[0].dim("c"), parts)

    @classmethod
    def examples(cls) -> Iterator[Example]:
        """Yield a map, tokens, one part, parts of other sizes."""
        yield Example(cls(parts=2), (Shape(6, 3, 5),))
        yield Example(cls(parts=3), (Shape(2, 6),))
        yield Example(cls(parts=1), (Shape(6),))
        yield Example(cls(parts=(1, 3, 2)), (Shape(6, 3, 5),))
        yield Example(cls(parts=(4, 1)), (Shape(2, 5),))
        yield Example(cls(parts=(3,)), (Shape(3, 1, 2),))


class Slice(AlongAxis):
    """What lies from `begin` to before `end`, or to the end, and of that every `stride`-th; a view.

    Ints are channels, as those of `conv`, or places along `axis`, a letter of c, h, w and n: `slice 0, 32` is
    x[:, 0:32], `slice 1, axis="n"` drops the first token. Dims are rows and columns: `slice 1x0, /2` is
    x[:, :, 1::2, 0::2]. Counted from 0; size along the axis to ceil((end - begin) / stride), any shape. ops: 0.
    """

    name: ClassVar[str] = "slice"
    elsewhere: ClassVar[Elsewhere] = Elsewhere(
        torch="torch.narrow, x[:, a:b]", keras="ops.slice", jax="jax.lax.slice, x[..., a:b]"
    )
    selects: ClassVar[bool] = True
    linear: ClassVar[bool] = True
    keeps_zero: ClassVar[bool] = True
    positional: ClassVar[tuple[str, ...]] = ("begin", "end")
    wiring: ClassVar[bool] = True
    computes: ClassVar[bool] = False
    aliases: ClassVar[bool] = True

    begin: Dims | int
    end: Dims | int | None = None
    stride: Dims | int = 1

    @property
    def of_map(self) -> bool:
        """Whether it is of rows and columns."""
        return not isinstance(self.begin, int)

    def along(self) -> Iterator[tuple[str, int, int | None, int]]:
        """Yield axis, begin, end and stride; for a map of its rows, then of its columns."""
        if isinstance(self.begin, int):
            assert self.end is None or isinstance(self.end, int)
            yield self.axis, self.begin, self.end, both(self.stride)[0]
            return
        for at, axis in enumerate("hw"):
            end = None if self.end is None else both(self.end)[at]
            yield axis, self.begin[at], end, both(self.stride)[at]

    def infer(self, *x: Shape) -> Shape:
        """Return the shape with the size along the axis, or with height and width, of what is left."""
        out = x[0]
        for field in ("begin", "end", "stride"):
            value = getattr(self, field)
            if isinstance(value, Dims) and len(value) != 2:
                raise OpError(field, f"{field} needs two sizes, got {value}")
            if isinstance(value, int if self.of_map else Dims) and field != "stride":
                raise OpError(field, f"begin and end must both be ints or both be sizes, got {value}")
        check_size("stride", self.stride)
        if self.of_map:
            need_map(self.name, out)
            if self.axis != "c":
                raise OpError("axis", f"begin is of rows and columns, so axis={self.axis} has no meaning")
        elif not isinstance(self.stride, int):
            raise OpError("stride", f"stride must be an int along one axis, got {self.stride}")
        self.check_axis(out)
        self.check_needs(*x)
        for axis, begin, end, step in self.along():
            size = out.size(axis)
            if end is None and begin >= size:
                raise OpError("begin", f"begin must be less than {size}, got {begin}")
            if end is not None and end > size:
                raise OpError("end", f"end must be at most {size}, got {end}")
            out = out.with_size(axis, ((size if end is None else end) - begin - 1) // step + 1)
        return out

    def needs(self, *x: Shape) -> Iterator[Need]:
        """Yield that something is taken, and of channels nothing that is not there."""
        for axis, begin, end, _ in self.along():
            yield Need("begin", "begin", begin, ">=", 0, "count from the end with x.c: slice x.c - 4")
            if end is not None:
                yield Need("end", "end", end, ">=", begin + 1)
            if axis == "c":
                c = x[0].c
                yield (
                    Need("begin", "begin", begin, "<", c) if end is None else Need("end", "end", end, "<=", c)
                )

    def reach(self, *x: Shape) -> tuple[Field | None, ...]:
        """Return the place `begin` further on, and `stride` times as far."""
        seen = {axis: Reach(stride=step, pad=-begin) for axis, begin, _, step in self.along()}
        here, _ = HERE
        return ((seen.get("h", here), seen.get("w", here)),)

    def saved(self, tape: Tape, *x: Tensor) -> Tensor:
        """Keep nothing."""
        y = x[0]
        shape = y.sample
        for axis, begin, end, step in self.along():
            at, size = x[0].dim(axis) % len(y.sizes), (shape.size(axis) if end is None else end) - begin
            y = tape.narrowed(y, at, size)
            if step > 1:
                y = tape.narrowed(tape.moved(y, at, 0), 0, (size - 1) // step + 1, step)
                y = tape.moved(y, 0, at)
        return y

    @classmethod
    def examples(cls) -> Iterator[Example]:
        """Yield channels, tokens, rows, columns and both."""
        x, tokens, hwc = Shape(6, 5, 7), Shape(5, 6), Shape(5, 7, 6, axes="hwc")
        yield Example(cls(begin=2), (x,))
        yield Example(cls(begin=0, end=4), (tokens,))
        yield Example(cls(begin=1, end=6, stride=2), (hwc,))
        yield Example(cls(begin=1, end=6, stride=2), (Shape(6),))
        yield Example(cls(begin=1, axis="n"), (tokens,))
        yield Example(cls(begin=1, end=4, axis="h"), (x,))
        yield Example(cls(begin=0, stride=3, axis="w"), (hwc,))
        for begin in ((0, 0), (1, 0), (0, 1), (1, 1)):
            yield Example(cls(begin=Dims(begin), stride=2), (x,))
        yield Example(cls(begin=Dims((1, 2)), end=Dims((4, 7))), (x,))
        yield Example(cls(begin=Dims((2, 0)), end=Dims((5, 6)), stride=Dims((1, 3))), (x,))


class Crop(Op):
    """The middle of the first map, as high and wide as the second; a view.

    c x h x w and c' x h' x w' to c x h' x w', from row floor((h - h')/2) and likewise. ops: 0.
    Ronneberger et al., arXiv 1505.04597.
    """

    name: ClassVar[str] = "crop"
    elsewhere: ClassVar[Elsewhere] = Elsewhere(
        torch="torchvision.transforms.functional.center_crop", keras="layers.CenterCrop"
    )
    selects: ClassVar[bool] = True
    linear: ClassVar[bool] = True
    keeps_zero: ClassVar[bool] = True
    arity: ClassVar[tuple[int, int | None]] = (2, 2)
    references: ClassVar[tuple[str, ...]] = ("like",)
    wiring: ClassVar[bool] = True
    computes: ClassVar[bool] = False
    aliases: ClassVar[bool] = True

    def infer(self, *x: Shape) -> Shape:
        """Return c of the first map with height and width of the second."""
        c, h, w = need_map(self.name, x[0])
        _, rows, columns = need_map(self.name, x[1])
        if rows > h or columns > w:
            raise OpError("", f"crop cannot make {h}x{w} as large as {rows}x{columns}")
        return Shape(c, rows, columns)

    def reach(self, *x: Shape) -> tuple[Field | None, ...]:
        """Return the place as far from the middle; the second map only gives its size."""
        rows, columns = (x[0].h - x[1].h) // 2, (x[0].w - x[1].w) // 2
        return (Reach(pad=-rows), Reach(pad=-columns)), None

    def saved(self, tape: Tape, *x: Tensor) -> Tensor:
        """Keep nothing."""
        return tape.narrowed(tape.narrowed(x[0], 2, x[1].sizes[2]), 3, x[1].sizes[3])

    @classmethod
    def examples(cls) -> Iterator[Example]:
        """Yield even and odd differences, one axis, none."""
        for like in (Shape(2, 5, 4), Shape(2, 6, 5), Shape(3, 9, 6), Shape(3, 7, 8), Shape(3, 9, 8)):
            yield Example(cls(), (Shape(3, 9, 8), like))


class Token(Op):
    """One of the tokens, counted from 0, as a view: n x c to vector c."""

    name: ClassVar[str] = "token"
    elsewhere: ClassVar[Elsewhere] = Elsewhere(
        torch="torch.select, x[:, i]", keras="ops.take, x[:, i]", jax="jnp.take, x[:, i]"
    )
    passes_values: ClassVar[bool] = True
    linear: ClassVar[bool] = True
    keeps_zero: ClassVar[bool] = True
    positional: ClassVar[tuple[str, ...]] = ("index",)
    computes: ClassVar[bool] = False
    aliases: ClassVar[bool] = True

    index: int

    def infer(self, *x: Shape) -> Shape:
        """Return the vector c."""
        if x[0].axes != "nc":
            raise OpError("", f"token needs tokens n x c, got {x[0].kind} {x[0]}")
        if not 0 <= self.index < x[0].n:
            raise OpError("index", f"index must be from 0 to {x[0].n - 1}, got {self.index}")
        return Shape(x[0].c)

    def reach(self, *x: Shape) -> tuple[Field | None, ...]:
        """Return every place: which one a token comes from is not followed."""
        return (EVERYWHERE,)

    def saved(self, tape: Tape, *x: Tensor) -> Tensor:
        """Keep nothing."""
        return tape.view(x[0], (x[0].sizes[0], x[0].sizes[2]), (x[0].strides[0], x[0].strides[2]))

    @classmethod
    def examples(cls) -> Iterator[Example]:
        """Yield the first and the last."""
        yield Example(cls(index=0), (Shape(4, 5),))
        yield Example(cls(index=3), (Shape(4, 5),))

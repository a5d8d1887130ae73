"""What moves values about: joints, splits, views, resizing. They have no weights and cost no MACs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import accumulate
from typing import ClassVar

from netdsl.ir.types import Dims, Shape
from netdsl.ops.base import EVERYWHERE, HERE, Example, Field, Op, OpError, Reach
from netdsl.ops.window import need_map

MAX_PARTS = 10_000
"""The most outputs of a split: each is a value of the graph."""


def differ(name: str, x: tuple[Shape, ...]) -> str:
    """Return the message for branches that do not fit: "add: the branches differ: 2x3x3 and 4x3x3"."""
    shapes = [f"{s} ({s.axes})" if s.kind == "a permuted map" else str(s) for s in x]
    return f"{name}: the branches differ: {', '.join(shapes[:-1])} and {shapes[-1]}"


def groups_of(field: str, groups: int, c: int) -> int:
    """Return c / groups, or say that it is not whole."""
    if groups < 1:
        raise OpError(field, f"{field} must be at least 1, got {groups}")
    if c % groups:
        raise OpError(field, f"{c} channels cannot be divided into {groups} {field}")
    return c // groups


class Identity(Op):
    """Its input, any shape."""

    name: ClassVar[str] = "identity"
    passes_values: ClassVar[bool] = True
    channelwise: ClassVar[bool] = True
    tokenwise: ClassVar[bool] = True
    linear: ClassVar[bool] = True
    keeps_zero: ClassVar[bool] = True
    wiring: ClassVar[bool] = True
    computes: ClassVar[bool] = False
    aliases: ClassVar[bool] = True

    def infer(self, *x: Shape) -> Shape:
        """Return the input's shape."""
        return x[0]

    @classmethod
    def examples(cls) -> Iterator[Example]:
        """Yield a map, a vector."""
        yield Example(cls(), (Shape(3, 4, 5),))
        yield Example(cls(), (Shape(5),))


class Elementwise(Op):
    """What `add` and `mul` share: equal shapes, or c x 1 x 1 or a vector c that is used at every place.

    The output has the largest shape. ops: 1 per output element and joint, that is branches - 1.
    """

    wiring: ClassVar[bool] = True
    arity: ClassVar[tuple[int, int | None]] = (1, None)

    def infer(self, *x: Shape) -> Shape:
        """Return the largest of the shapes."""
        if all([s == x[0] and s.axes == x[0].axes for s in x]):
            return x[0]
        out = max(x, key=lambda s: (len(s), s.elements))
        for s in x:
            same = s.axes == out.axes
            every_place = s.c == out.c and (s.axes == "c" or (same and len(s) == 3 and s.h == s.w == 1))
            if not every_place and not (same and s == out):
                raise OpError("", differ(self.name, x))
        return out

    def ops(self, *x: Shape) -> int:
        """Return (branches - 1) per output element."""
        return self.infer(*x).elements * (len(x) - 1)

    def reach(self, *x: Shape) -> tuple[Field | None, ...]:
        """Return the same place, or the only one of a branch that is used at every place."""
        out = self.infer(*x)
        only = Reach(stride=0), Reach(stride=0)
        return tuple(HERE if s == out else only for s in x)

    @classmethod
    def examples(cls) -> Iterator[Example]:
        """Yield two and more branches, broadcasts in any position."""
        chw, one, c, nc = Shape(4, 3, 5), Shape(4, 1, 1), Shape(4), Shape(3, 4)
        hwc = Shape(3, 5, 4, axes="hwc")
        for x in ((chw, chw), (chw, chw, chw), (chw,), (nc, nc), (c, c), (chw, one), (one, chw), (chw, c)):
            yield Example(cls(), x)
        for x in ((c, chw), (c, one, chw), (nc, c), (c, nc), (hwc, c), (c, one)):
            yield Example(cls(), x)


class Add(Elementwise):
    """The sum of the branches. He et al., arXiv 1512.03385.

    In place it needs a first branch of the output's shape; a backend adds out of place otherwise.
    """

    name: ClassVar[str] = "add"
    tokenwise: ClassVar[bool] = True
    linear: ClassVar[bool] = True
    keeps_zero: ClassVar[bool] = True
    inplace: ClassVar[bool] = True

    def overwrites(self, *x: Shape) -> bool:
        """Tell whether the first branch is as large as the output; one of c x 1 x 1 may be so at this size only."""
        return x[0] == self.infer(*x) and not (len(x[0]) == 3 and x[0].h == x[0].w == 1)


class Mul(Elementwise):
    """The product of the branches, such as a map and its channels' gates. Hu et al., arXiv 1709.01507."""

    name: ClassVar[str] = "mul"
    tokenwise: ClassVar[bool] = True


class Concat(Op):
    """The branches one after the other along an axis of the sample, the channels unless given.

    Shapes are equal but for that axis. ops: 0; its output is new values.
    """

    name: ClassVar[str] = "concat"
    linear: ClassVar[bool] = True
    keeps_zero: ClassVar[bool] = True
    wiring: ClassVar[bool] = True
    arity: ClassVar[tuple[int, int | None]] = (1, None)

    axis: int | None = None

    def axis_of(self, x: Shape) -> int:
        """Return the axis for branches of that rank."""
        return x.axis("c") if self.axis is None else self.axis

    def infer(self, *x: Shape) -> Shape:
        """Return the shape with the sizes along the axis added."""
        first, axis = x[0], self.axis_of(x[0])
        if not 0 <= axis < len(first):
            raise OpError("axis", f"axis must be from 0 to {len(first) - 1} for {first}, got {axis}")
        name = first.axes[axis]
        if any(s.axes != first.axes or s.with_size(name, 1) != first.with_size(name, 1) for s in x):
            raise OpError("", differ(self.name, x), f"they must be equal but for axis {axis}")
        return first.with_size(name, sum(s[axis] for s in x))

    def reach(self, *x: Shape) -> tuple[Field | None, ...]:
        """Return the same place, behind the branches before it if they are joined along rows or columns."""
        axis = self.axis_of(x[0])
        here, _ = HERE
        behind = [Reach(pad=pad) for pad in accumulate((s[axis] for s in x[:-1]), initial=0)]
        if x[0].axes[axis] == "h":
            return tuple((reach, here) for reach in behind)
        if x[0].axes[axis] == "w":
            return tuple((here, reach) for reach in behind)
        return (HERE,) * len(x)

    @classmethod
    def examples(cls) -> Iterator[Example]:
        """Yield channels, another axis, other ranks."""
        yield Example(cls(), (Shape(2, 3, 5), Shape(4, 3, 5)))
        yield Example(cls(), (Shape(2, 3, 5), Shape(1, 3, 5), Shape(4, 3, 5)))
        yield Example(cls(), (Shape(2, 3, 5),))
        yield Example(cls(axis=2), (Shape(2, 3, 5), Shape(2, 3, 4)))
        yield Example(cls(axis=0), (Shape(1, 6), Shape(4, 6)))
        yield Example(cls(), (Shape(4, 2), Shape(4, 6)))
        yield Example(cls(), (Shape(2), Shape(6)))
        yield Example(cls(), (Shape(3, 5, 2, axes="hwc"), Shape(3, 5, 4, axes="hwc")))


class Split(Op):
    """Equal parts of the channels, as views: c to `parts` times c/parts, any shape. ops: 0."""

    name: ClassVar[str] = "split"
    linear: ClassVar[bool] = True
    keeps_zero: ClassVar[bool] = True
    positional: ClassVar[tuple[str, ...]] = ("parts",)
    wiring: ClassVar[bool] = True
    computes: ClassVar[bool] = False
    aliases: ClassVar[bool] = True

    parts: int

    def infer(self, *x: Shape) -> tuple[Shape, ...]:
        """Return the shapes of the parts."""
        each = groups_of("parts", self.parts, x[0].c)
        if self.parts > MAX_PARTS:
            raise OpError("parts", f"a split has at most {MAX_PARTS} parts, got {self.parts}")
        return (x[0].with_size("c", each),) * self.parts

    @classmethod
    def examples(cls) -> Iterator[Example]:
        """Yield a map, tokens, one part."""
        yield Example(cls(parts=2), (Shape(6, 3, 5),))
        yield Example(cls(parts=3), (Shape(2, 6),))
        yield Example(cls(parts=1), (Shape(6),))


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


class Crop(Op):
    """The middle of the first map, as high and wide as the second; a view.

    c x h x w and c' x h' x w' to c x h' x w', from row floor((h - h')/2) and likewise. ops: 0.
    Ronneberger et al., arXiv 1505.04597.
    """

    name: ClassVar[str] = "crop"
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

    @classmethod
    def examples(cls) -> Iterator[Example]:
        """Yield even and odd differences, one axis, none."""
        for like in (Shape(2, 5, 4), Shape(2, 6, 5), Shape(3, 9, 6), Shape(3, 7, 8), Shape(3, 9, 8)):
            yield Example(cls(), (Shape(3, 9, 8), like))


class Upsample(Op):
    """A map `scale` times as high and wide: each pixel repeated, or `bilinear` between pixel centres.

    c x h x w to c x (h scale) x (w scale); corners are not aligned. ops: 0.
    """

    name: ClassVar[str] = "upsample"
    channelwise: ClassVar[bool] = True
    linear: ClassVar[bool] = True
    keeps_zero: ClassVar[bool] = True
    positional: ClassVar[tuple[str, ...]] = ("scale",)
    texts: ClassVar[Mapping[str, tuple[str, ...]]] = {"mode": ("nearest", "bilinear")}

    scale: int
    mode: str = "nearest"

    def infer(self, *x: Shape) -> Shape:
        """Return c x (h scale) x (w scale)."""
        c, h, w = need_map(self.name, x[0])
        if self.scale < 1:
            raise OpError("scale", f"scale must be at least 1, got {self.scale}")
        self.check_texts()
        return Shape(c, h * self.scale, w * self.scale)

    def reach(self, *x: Shape) -> tuple[Field | None, ...]:
        """Return the pixel that is repeated, or those less than one pixel away from the place's middle."""
        n = self.scale
        nearest, bilinear = Reach(n, pad=n - 1, up=n), Reach(2 * n - n % 2, pad=(3 * n - 2) // 2, up=n)
        reach = nearest if self.mode == "nearest" else bilinear
        return ((reach, reach),)

    @classmethod
    def examples(cls) -> Iterator[Example]:
        """Yield both modes."""
        for scale in (1, 2, 3):
            yield Example(cls(scale=scale), (Shape(2, 3, 4),))
            yield Example(cls(scale=scale, mode="bilinear"), (Shape(2, 3, 4),))


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


class Token(Op):
    """One of the tokens, counted from 0, as a view: n x c to vector c."""

    name: ClassVar[str] = "token"
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

    @classmethod
    def examples(cls) -> Iterator[Example]:
        """Yield the first and the last."""
        yield Example(cls(index=0), (Shape(4, 5),))
        yield Example(cls(index=3), (Shape(4, 5),))

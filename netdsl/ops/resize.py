"""Maps drawn at another size. They have no weights and cost no MACs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import gcd
from typing import TYPE_CHECKING, ClassVar

from netdsl.ir.types import Dims, Shape
from netdsl.ops.base import Elsewhere, Example, Field, Op, OpError, Reach
from netdsl.ops.window import need_map, size_of

if TYPE_CHECKING:
    from netdsl.ir.tape import Tape, Tensor


class Resampling(Op):
    """What draws maps anew: `nearest` repeats pixels, `bilinear` and `bicubic` go between their centres.

    Place i of m sees the input at (i + 1/2) n/m - 1/2, or with `align_corners` at i (n - 1)/(m - 1), clamped to the
    edge; `nearest` takes pixel floor(i n/m). Cubics are those of Keys 1981 with a = -3/4, as in torch. ops: 0.
    """

    linear: ClassVar[bool] = True
    keeps_zero: ClassVar[bool] = True
    settled: ClassVar[tuple[str, ...]] = ("align_corners",)
    texts: ClassVar[Mapping[str, tuple[str, ...]]] = {"mode": ("nearest", "bilinear", "bicubic")}

    mode: str = "nearest"
    align_corners: bool = False

    @property
    def selects(self) -> bool:
        """Whether pixels are repeated."""
        return self.mode == "nearest"

    def counted_as(self, *x: Shape) -> str:
        """Return the layer and its mode."""
        return f"Upsample {self.mode}"

    def check_mode(self) -> None:
        """Reject a mode that is none, and aligned corners where none are."""
        self.check_texts()
        if self.align_corners and self.mode == "nearest":
            raise OpError("align_corners", "nearest has no corners to align", 'mode="bilinear"')

    def reach(self, *x: Shape) -> tuple[Field | None, ...]:
        """Return the pixels between whose centres a place lies; what only gives its size is not seen."""
        out = self.outputs(*x)[0]
        rows, columns = (self.along(n, m) for n, m in ((x[0].h, out.h), (x[0].w, out.w)))
        return (rows, columns), *[None] * (len(x) - 1)

    def along(self, n: int, m: int) -> Reach:
        """Return what place i of m sees of n pixels, which lie `up` apart, where places lie `stride` apart."""
        if self.align_corners:
            if min(n, m) == 1:
                return Reach(stride=0)
            n, m, late = n - 1, m - 1, 0
        else:
            late = n - m  # twice how far the first place lies behind the first pixel
        common = gcd(n, m)
        stride, up = n // common, m // common
        if self.mode == "nearest":
            return Reach(up, stride, up - 1, up=up)
        far = 2 * up * (1 if self.mode == "bilinear" else 2)  # twice how far a pixel is seen, and no further
        first, last = (late // common - far) // 2 + 1, -((-late // common - far) // 2) - 1
        return Reach(last - first + 1, stride, -first, up=up)

    def saved(self, tape: Tape, *x: Tensor) -> Tensor:
        """Keep nothing."""
        back = tape.filled if self.mode == "bicubic" else tape.laid_as_given
        return self.fresh(tape, x[0], of=x, back=back)


class Upsample(Resampling):
    """A map `scale` times as high and wide: pixels are repeated, or it is drawn anew between them.

    c x h x w to c x (h scale) x (w scale), as `Resampling` says. ops: 0.
    """

    name: ClassVar[str] = "upsample"
    elsewhere: ClassVar[Elsewhere] = Elsewhere(
        torch="nn.Upsample, F.interpolate",
        keras="layers.UpSampling2D",
        jax="jax.image.resize",
        calls={"Upsample": "to, scale, mode"},
    )
    enlarges: ClassVar[bool] = True
    channelwise: ClassVar[bool] = True
    positional: ClassVar[tuple[str, ...]] = ("scale",)

    scale: int

    def infer(self, *x: Shape) -> Shape:
        """Return c x (h scale) x (w scale)."""
        c, h, w = need_map(self.name, x[0])
        if self.scale < 1:
            raise OpError("scale", f"scale must be at least 1, got {self.scale}")
        self.check_mode()
        return Shape(c, h * self.scale, w * self.scale)

    def idle(self, *x: Shape) -> str:
        """Tell whether it stays as large as it is."""
        return "its scale is 1" if self.scale == 1 else ""

    @classmethod
    def examples(cls) -> Iterator[Example]:
        """Yield the modes."""
        for scale in (1, 2, 3):
            yield Example(cls(scale=scale), (Shape(2, 3, 4),))
            yield Example(cls(scale=scale, mode="bilinear"), (Shape(2, 3, 4),))
            yield Example(cls(scale=scale, mode="bicubic"), (Shape(2, 3, 4),))
            yield Example(cls(scale=scale, mode="bilinear", align_corners=True), (Shape(2, 3, 4),))


class Resize(Resampling):
    """A map drawn at a size: `to`, or that of another map: `resize 32x32`, `resize like=image`.

    c x h x w to c x h' x w', larger or smaller; each pixel of what is smaller sees a few of its neighbours, no mean.
    Long et al., arXiv 1411.4038; Chen et al., arXiv 1706.05587, end so. ops: 0.
    """

    name: ClassVar[str] = "resize"
    elsewhere: ClassVar[Elsewhere] = Elsewhere(
        torch="F.interpolate", keras="layers.Resizing, ops.image.resize", jax="jax.image.resize"
    )
    positional: ClassVar[tuple[str, ...]] = ("to",)
    arity: ClassVar[tuple[int, int | None]] = (1, 2)
    references: ClassVar[tuple[str, ...]] = ("like",)

    to: Dims | int | None = None

    def counted_as(self, *x: Shape) -> str:
        """Return the layer and its mode, or the function to the size of another map."""
        layer = super().counted_as(*x)
        return f"F.{layer}" if self.to is None else layer

    def infer(self, *x: Shape) -> Shape:
        """Return c of the map with the height and width that are given."""
        c, *_ = need_map(self.name, x[0])
        self.check_mode()
        return Shape(c, *size_of(self.name, self.to, *x[1:]))

    @classmethod
    def examples(cls) -> Iterator[Example]:
        """Yield the modes, larger and smaller, another map's size."""
        x = Shape(2, 5, 6)
        for to in ((7, 4), (10, 18), (5, 6), (1, 2)):
            yield Example(cls(to=Dims(to)), (x,))
            for mode in ("bilinear", "bicubic"):
                yield Example(cls(to=Dims(to), mode=mode), (x,))
                yield Example(cls(to=Dims(to), mode=mode, align_corners=True), (x,))
        yield Example(cls(to=4, mode="bilinear"), (Shape(2, 1, 3),))
        yield Example(cls(mode="bilinear"), (x, Shape(3, 9, 8)))
        yield Example(cls(), (x, Shape(1, 3, 11)))

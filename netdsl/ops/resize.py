"""Maps drawn larger. They have no weights and cost no MACs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar

from netdsl.ir.types import Shape
from netdsl.ops.base import Example, Field, Op, OpError, Reach
from netdsl.ops.window import need_map


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

"""Pooling: windows, adaptive windows, the whole map."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from math import gcd
from typing import TYPE_CHECKING, ClassVar

from netdsl.cost.model import Term
from netdsl.ir.types import MAX_ELEMENTS, Dims, Pad, Shape
from netdsl.ops.base import EVERYWHERE, Elsewhere, Example, Field, Op, OpError, Reach, sizes
from netdsl.ops.window import (
    SAME,
    VALID,
    both,
    check_size,
    constant_padding,
    need_map,
    padding,
    sliding,
    varies,
    window_size,
    window_steps,
)
from netdsl.symbolic import symbolic

if TYPE_CHECKING:
    from netdsl.ir.tape import Tape, Tensor


def adaptive_elements(size: int, out: int) -> int:
    """Return how many elements the m windows [floor(i n/m), ceil((i+1) n/m)) of n elements cover in all.

    Neighbours overlap in one element unless a window ends at a whole number, which gcd(n, m) of them do.
    """
    return size + out - gcd(size, out)


def adaptive_reach(size: int, out: int) -> Reach:
    """Return the windows [floor(i n/m), ceil((i+1) n/m)) of n elements: a plain window if m divides n.

    Place j is in window i if i n - m < j m < (i+1) n.
    """
    if out == 1:
        return EVERYWHERE[0]
    if size % out == 0:
        return Reach(size // out, size // out)
    return Reach(size + out - 1, size, out - 1, up=out)


class Pool(Op):
    """What the pools share: a kernel that slides, or the size that shall come out (`to`).

    Map c x h x w to map c x h' x w', h' = floor((h + 2p - d(k-1) - 1)/s) + 1. The stride is the kernel's size
    unless given. With `to`, window i of m covers [floor(i n/m), ceil((i+1) n/m)), as torch's adaptive pools.
    """

    positional: ClassVar[tuple[str, ...]] = ("kernel",)

    kernel: Dims | None = None
    stride: Dims | int | None = None
    pad: Pad = VALID
    ceil: bool = False
    to: Dims | int | None = None

    @property
    @abstractmethod
    def spread(self) -> Dims | int:
        """The dilation."""

    @property
    def window(self) -> tuple[Dims, Dims | int]:
        """Kernel and stride of a pool that slides."""
        assert self.kernel is not None
        return self.kernel, self.kernel if self.stride is None else self.stride

    def counted_as(self, *x: Shape) -> str:
        """Return the layer; where the padding may be uneven, its function on a padded map."""
        if self.to is not None:
            return f"Adaptive{self.counted}"
        return f"F.{self.counted}Same" if self.pads_by_size else self.counted

    def infer(self, *x: Shape) -> Shape:
        """Check the window or the output size; return c x h' x w'."""
        c, h, w = need_map(self.name, x[0])
        if self.to is not None:
            if self.kernel is not None:
                raise OpError("to", f"{self.name} takes a kernel or to=, not both")
            if self.stride is not None or self.pad != VALID:
                field = "pad" if self.stride is None else "stride"
                raise OpError(field, f"to={self.to} settles the windows, so {field} has no meaning")
            check_size("to", self.to, MAX_ELEMENTS)
            return Shape(c, *both(self.to))
        if self.kernel is None:
            help = f"{self.name} 2x2, or {self.name} to=1x1"
            raise OpError("kernel", f"{self.name} needs a kernel or to=", help)
        kernel, stride = self.window
        out = Shape(c, *window_size((h, w), kernel, stride, self.pad, self.spread, self.ceil))
        for axis, (lo, _) in enumerate(self.padding(x[0])):
            if lo > kernel[axis] // 2:
                raise OpError("pad", f"pad must be at most half of the kernel, got {self.pad}")
        return out

    def single(self, x: Shape) -> str:
        """Return that each window is one pixel, of which a maximum or mean is the pixel itself; "" if it is not."""
        if self.to is not None:
            return ""
        kernel, stride = self.window
        alone = both(kernel) == both(stride) == (1, 1) and self.infer(x) == x
        return "its window is one pixel" if alone else ""

    def size_steps(self, *x: Shape) -> tuple[str, ...]:
        """Return how the window's steps make height and width; nothing where they are given."""
        if self.to is not None:
            return ()
        out = self.outputs(*x)[0]
        return window_steps((x[0].h, x[0].w), (out.h, out.w), *self.window, self.pad, self.spread, self.ceil)

    def padding(self, x: Shape) -> tuple[tuple[int, int], tuple[int, int]]:
        """Return ((top, bottom), (left, right)) for an input of that shape."""
        return padding((x.h, x.w), *self.window, self.pad, self.spread)

    @property
    def pads_by_size(self) -> bool:
        """Whether the padding follows from the map's size."""
        return self.to is None and varies(*self.window, self.pad, self.spread)

    @property
    def constant_padding(self) -> Dims | tuple[int, int]:
        """What is added at both ends of either axis, unless it follows from the size."""
        return constant_padding(self.window[0], self.pad, self.spread)

    def scratch(self, itemsize: int, *x: Shape) -> int:
        """Return the padded map where the padding may be uneven."""
        if not self.pads_by_size:
            return 0
        (top, bottom), (left, right) = self.padding(x[0])
        return itemsize * x[0].c * (x[0].h + top + bottom) * (x[0].w + left + right)

    def op_terms(self, *x: Shape) -> tuple[Term, ...]:
        """Return the windows' sizes: full size if they slide, summed exactly if they adapt."""
        if self.to is None:
            kernel, _ = self.window
            return (Term((*sizes(self.infer(*x), "_out"), ("kh", kernel[0]), ("kw", kernel[1]))),)
        rows, columns = (
            adaptive_elements(size, to) for size, to in zip((x[0].h, x[0].w), both(self.to), strict=True)
        )
        return (Term((("c", x[0].c), ("rows of all windows", rows), ("columns of all windows", columns))),)

    def reach(self, *x: Shape) -> tuple[Field | None, ...]:
        """Return the window, or the windows that adapt."""
        if self.to is None:
            return (sliding(*self.window, self.padding(x[0]), self.spread),)
        rows, columns = both(self.to)
        return ((adaptive_reach(x[0].h, rows), adaptive_reach(x[0].w, columns)),)

    def padded(self, tape: Tape, x: Tensor) -> Tensor:
        """Return what the window slides over: a new map where the padding may be uneven."""
        if not self.pads_by_size:
            return x
        (top, bottom), (left, right) = self.padding(x.sample)
        return tape.padded(x, (*x.sizes[:2], x.sizes[2] + top + bottom, x.sizes[3] + left + right))


class MaxPool(Pool):
    """The largest value of each window; padding never wins.

    Map to map as in Pool; ops: kh x kw per output element. LeCun et al. 1998; Krizhevsky et al. 2012.
    """

    name: ClassVar[str] = "maxpool"
    elsewhere: ClassVar[Elsewhere] = Elsewhere(
        torch="nn.MaxPool2d, F.max_pool2d",
        keras="layers.MaxPooling2D",
        jax="nnx.max_pool",
        calls={
            "MaxPool2d": "kernel, stride, pad, dilation, _, ceil",
            "MaxPooling2D": "kernel=2x2, stride, pad",
        },
    )
    counted: ClassVar[str] = "MaxPool2d"
    channelwise: ClassVar[bool] = True
    selects: ClassVar[bool] = True
    keeps_zero: ClassVar[bool] = True

    dilation: Dims | int = 1

    @property
    def spread(self) -> Dims | int:
        """The dilation."""
        return self.dilation

    def idle(self, *x: Shape) -> str:
        """Tell whether a window is one pixel."""
        return self.single(x[0])

    def scratch(self, itemsize: int, *x: Shape) -> int:
        """Return 8 per output element, where each maximum stands, and what padding takes."""
        return 8 * self.infer(*x).elements + super().scratch(itemsize, *x)

    def infer(self, *x: Shape) -> Shape:
        """Check the window or the output size; return c x h' x w'."""
        if self.to is not None and self.dilation != 1:
            raise OpError("dilation", f"to={self.to} settles the windows, so dilation has no meaning")
        return super().infer(*x)

    def saved(self, tape: Tape, *x: Tensor) -> Tensor:
        """Keep the input, or the padded map, and where each maximum stands."""
        indices = (*tape.sized(self.infer(x[0].sample)), 8)
        maps = self.padded(tape, x[0])
        return self.fresh(tape, maps, keep=(maps,), extra=indices, of=x)

    @classmethod
    def examples(cls) -> Iterator[Example]:
        """Yield stride, padding (TensorFlow's too), ceil mode, dilation, adaptive."""
        k2, k3, x = Dims((2, 2)), Dims((3, 3)), Shape(2, 7, 8)
        yield Example(cls(kernel=k2), (x,))
        yield Example(cls(kernel=k3, stride=2, pad=Pad("explicit", (1, 1))), (x,))
        yield Example(cls(kernel=k3, stride=2, ceil=True), (x,))
        yield Example(cls(kernel=k2, stride=2, pad=Pad("explicit", (1, 1)), ceil=True), (x,))
        yield Example(cls(kernel=k3, stride=1, pad=SAME), (x,))
        yield Example(cls(kernel=Dims((3, 2)), stride=Dims((1, 2)), dilation=Dims((2, 1))), (x,))
        yield Example(cls(kernel=k3, stride=2, pad=Pad("tf")), (x,))
        yield Example(cls(kernel=Dims((4, 5)), stride=2, pad=Pad("tf")), (x,))
        yield Example(cls(kernel=k2, stride=1, pad=Pad("tf")), (x,))
        yield Example(cls(to=Dims((3, 5))), (x,))


class AvgPool(Pool):
    """The mean of each window; `count_include_pad` says whether padding counts as zeros or not at all.

    Map to map as in Pool; ops: kh x kw per output element, or the real windows with `to`. LeCun et al. 1998.
    """

    name: ClassVar[str] = "avgpool"
    elsewhere: ClassVar[Elsewhere] = Elsewhere(
        torch="nn.AvgPool2d, nn.AdaptiveAvgPool2d, F.avg_pool2d",
        keras="layers.AveragePooling2D",
        jax="nnx.avg_pool",
        calls={
            "AvgPool2d": "kernel, stride, pad, ceil, count_include_pad",
            "AdaptiveAvgPool2d": "to",
            "AveragePooling2D": "kernel=2x2, stride, pad",
        },
    )
    counted: ClassVar[str] = "AvgPool2d"
    channelwise: ClassVar[bool] = True
    linear: ClassVar[bool] = True
    keeps_zero: ClassVar[bool] = True

    count_include_pad: bool = True

    @property
    def spread(self) -> Dims | int:
        """An average has no dilation."""
        return 1

    def idle(self, *x: Shape) -> str:
        """Tell whether a window is one pixel."""
        return self.single(x[0])

    @property
    def unpadded(self) -> bool:
        """Whether no window reaches over the edge, whatever the arguments are."""
        sizes = (self.pad.size, *self.pad.size)
        return self.pad == VALID and self.ceil is False and not any(map(symbolic, sizes))

    def saved(self, tape: Tape, *x: Tensor) -> Tensor:
        """Keep the input, or the padded map; nothing for the mean of all."""
        if self.to is not None and both(self.to) == (1, 1):
            y = self.fresh(tape, *x, back=tape.filled)
            return tape.stepped(y.alone(), (y,)) if x[0].channels_last else y  # whose strides torch sets anew
        maps = self.padded(tape, x[0])
        y = self.fresh(tape, maps, keep=(maps,), of=x)
        if not self.pads_by_size or self.unpadded or self.count_include_pad:
            return y
        with tape.holding(maps, y):  # it counts which places of a window are of the map
            ones = tape.padded(tape.new((1, 1, *x[0].sizes[2:])), (1, 1, *maps.sizes[2:]))
            with tape.holding(ones):
                return tape.divided(y, tape.made((1, 1, *y.sizes[2:]), ones))

    @classmethod
    def examples(cls) -> Iterator[Example]:
        """Yield stride, padding counted or not (TensorFlow's too, and none), ceil mode, adaptive."""
        k2, k3, x = Dims((2, 2)), Dims((3, 3)), Shape(2, 7, 8)
        yield Example(cls(kernel=k2), (x,))
        for counted in (True, False):
            padded = cls(kernel=k3, pad=Pad("explicit", (1, 1)), count_include_pad=counted)
            yield Example(padded.replace(stride=1), (x,))
            yield Example(padded.replace(stride=2, ceil=True), (x,))
            yield Example(padded.replace(stride=2, pad=Pad("tf")), (x,))
            yield Example(padded.replace(stride=1, pad=Pad("tf"), kernel=Dims((2, 4))), (x,))
        yield Example(cls(kernel=Dims((3, 2)), stride=Dims((1, 2)), count_include_pad=False), (x,))
        yield Example(cls(kernel=k3, stride=2, ceil=True, count_include_pad=False), (Shape(2, 8, 8),))
        yield Example(cls(to=1), (x,))
        yield Example(cls(to=Dims((3, 10))), (x,))


class BlurPool(Op):
    """A binomial filter that slides over the map, reflected at its edges: pooling that does not alias.

    Map c x h x w to map c x h' x w', h' = floor((h + 2p - size)/s) + 1 with p = floor((s + size)/2) - 1, less than
    the map. The filter is the outer product of the binomial coefficients of size - 1, over their sum; it is
    not learned. MACs: c x h' x w' x size^2. Zhang, arXiv 1904.11486.
    """

    name: ClassVar[str] = "blurpool"
    elsewhere: ClassVar[Elsewhere] = Elsewhere(torch="timm.layers.BlurPool2d")
    counted: ClassVar[str] = "F.BlurPool2d"
    positional: ClassVar[tuple[str, ...]] = ("size",)
    module: ClassVar[bool] = True
    channelwise: ClassVar[bool] = True
    linear: ClassVar[bool] = True
    keeps_zero: ClassVar[bool] = True

    size: int = 3
    stride: int = 2

    @property
    def border(self) -> int:
        """How many places are reflected at each edge."""
        return (self.stride + self.size) // 2 - 1

    def infer(self, *x: Shape) -> Shape:
        """Check the filter; return c x h' x w'."""
        c, *sides = need_map(self.name, x[0])
        check_size("size", self.size)
        check_size("stride", self.stride)
        if min(sides) <= self.border:
            raise OpError("", f"{self.name} reflects {self.border} pixels at each edge, got a map {x[0]}")
        if min(sides) + 2 * self.border < self.size:
            raise OpError("size", f"the filter covers {self.size}, more than the map {x[0]}")
        h, w = ((side + 2 * self.border - self.size) // self.stride + 1 for side in sides)
        return Shape(c, h, w)

    def mac_terms(self, *x: Shape) -> tuple[Term, ...]:
        """Return output elements x size^2."""
        return (Term((*sizes(self.infer(*x), "_out"), ("size", self.size), ("size", self.size))),)

    def scratch(self, itemsize: int, *x: Shape) -> int:
        """Return the reflected map."""
        return itemsize * x[0].c * (x[0].h + 2 * self.border) * (x[0].w + 2 * self.border)

    def reach(self, *x: Shape) -> tuple[Field | None, ...]:
        """Return the window; of places beyond an edge their images are seen, which mostly lie in it too."""
        return (sliding(Dims((self.size, self.size)), self.stride, ((self.border, self.border),) * 2),)

    def constants(self, *x: Shape) -> Mapping[str, tuple[int, ...]]:
        """Return the filter."""
        return {"filt": (self.size, self.size)}

    def saved(self, tape: Tape, *x: Tensor) -> Tensor:
        """Keep the map, and once more as it is reflected."""
        n, c, h, w = x[0].sizes
        sizes = (n, c, h + 2 * self.border, w + 2 * self.border)
        reflected = tape.made(sizes, *x, keep=x, strides=tape.strides_of(x[0], sizes))
        return self.fresh(tape, reflected, keep=(reflected,), of=x)

    @classmethod
    def examples(cls) -> Iterator[Example]:
        """Yield timm's filters, an even one, other strides."""
        x = Shape(2, 7, 8)
        yield Example(cls(), (x,))
        yield Example(cls(size=5), (x,))
        yield Example(cls(size=4), (x,))
        yield Example(cls(stride=1), (x,))
        yield Example(cls(stride=3), (x,))


class GlobalAvgPool(Op):
    """The mean of each channel over the whole map: map c x h x w to vector c.

    ops: h x w per channel. Lin et al., arXiv 1312.4400.
    """

    name: ClassVar[str] = "gap"
    elsewhere: ClassVar[Elsewhere] = Elsewhere(
        torch="nn.AdaptiveAvgPool2d", keras="layers.GlobalAveragePooling2D", jax="jnp.mean"
    )
    channelwise: ClassVar[bool] = True
    linear: ClassVar[bool] = True
    keeps_zero: ClassVar[bool] = True

    def infer(self, *x: Shape) -> Shape:
        """Return the vector c."""
        return Shape(need_map(self.name, x[0])[0])

    def op_terms(self, *x: Shape) -> tuple[Term, ...]:
        """Return h x w per channel."""
        return (Term(sizes(x[0])),)

    def reach(self, *x: Shape) -> tuple[Field | None, ...]:
        """Return the whole map."""
        return (EVERYWHERE,)

    def saved(self, tape: Tape, *x: Tensor) -> Tensor:
        """Keep nothing."""
        return self.fresh(tape, *x, back=tape.filled)

    @classmethod
    def examples(cls) -> Iterator[Example]:
        """Yield a map."""
        yield Example(cls(), (Shape(4, 3, 5),))

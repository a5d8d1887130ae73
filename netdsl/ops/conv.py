"""Convolutions: dense, grouped, depthwise, transposed."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from math import prod
from typing import TYPE_CHECKING, ClassVar

from netdsl.cost.model import Term
from netdsl.ir.types import Dims, Pad, Shape
from netdsl.ops.base import Elsewhere, Example, Field, Need, Op, OpError, Reach, positive, sizes
from netdsl.ops.window import (
    SAME,
    VALID,
    both,
    check_window,
    constant_padding,
    need_map,
    padding,
    sliding,
    varies,
    window_size,
    window_steps,
)
from netdsl.symbolic import largest_of

if TYPE_CHECKING:
    from netdsl.ir.tape import Tape, Tensor
    from netdsl.ops.base import Array


class Convolution(Op):
    """What the convolutions share: out elements x in/groups x kh x kw MACs, torch's weight layout.

    The window multiplies by the same numbers at every place. Padding is zeros.
    """

    fuses: ClassVar[bool] = True
    linear: ClassVar[bool] = True
    counted: ClassVar[str] = "Conv2d"
    weight_axes: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "weight": ("c_out", "c_in/groups", "kh", "kw"),
        "bias": ("c_out",),
    }

    kernel: Dims
    stride: Dims | int = 1
    pad: Pad = SAME
    dilation: Dims | int = 1
    bias: bool = True

    @abstractmethod
    def channels_of(self, c: int) -> int:
        """Return the number of output channels for c input channels."""

    @abstractmethod
    def groups_of(self, c: int) -> int:
        """Return the number of groups for c input channels."""

    def check_channels(self, c: int) -> int:
        """Check channels and groups for c input channels; return the number of output channels."""
        out, groups = self.channels_of(c), self.groups_of(c)
        if out < 1:
            raise OpError("channels", f"channels must be at least 1, got {out}")
        if groups < 1:
            raise OpError("groups", f"groups must be at least 1, got {groups}")
        for what, n in (("input", c), ("output", out)):
            if n % groups:
                raise OpError("groups", f"{n} {what} channels cannot be divided into {groups} groups")
        return out

    def infer(self, *x: Shape) -> Shape:
        """Check groups and window; return channels x h' x w'."""
        instead = ""
        if x[0].axes == "c":  # as in squeeze-and-excitation, where a map of one pixel is meant
            alike = tuple(self.kernel) == (1, 1) and self.groups_of(x[0].c) == 1
            instead = f"fc {self.channels_of(x[0].c)}, or " * alike + "avgpool to=1 in the place of gap"
        c, h, w = need_map(self.name, x[0], instead)
        out = self.check_channels(c)
        return Shape(out, *window_size((h, w), self.kernel, self.stride, self.pad, self.dilation))

    def counted_as(self, *x: Shape) -> str:
        """Return the layer; where the padding follows from the map's size, its function on a padded map."""
        return f"F.{self.counted.removeprefix('F.')}" if self.pads_by_size else self.counted

    def size_steps(self, *x: Shape) -> tuple[str, ...]:
        """Return how the window's steps make height and width."""
        out = self.outputs(*x)[0]
        return window_steps(
            (x[0].h, x[0].w), (out.h, out.w), self.kernel, self.stride, self.pad, self.dilation
        )

    def padding(self, x: Shape) -> tuple[tuple[int, int], tuple[int, int]]:
        """Return ((top, bottom), (left, right)) for an input of that shape."""
        return padding((x.h, x.w), self.kernel, self.stride, self.pad, self.dilation)

    @property
    def pads_by_size(self) -> bool:
        """Whether the padding follows from the map's size, at any stride."""
        return self.pad.mode == "tf" and max(self.kernel) > 1

    @property
    def constant_padding(self) -> Dims | tuple[int, int]:
        """What is added at both ends of either axis, unless it follows from the size."""
        return constant_padding(self.kernel, self.pad, self.dilation)

    def weights(self, *x: Shape) -> Mapping[str, tuple[int, ...]]:
        """Return weight [out, in/groups, kh, kw], bias [out]."""
        c = x[0].c
        out = self.channels_of(c)
        weight = (out, c // self.groups_of(c), *self.kernel)
        return {"weight": weight, "bias": (out,)} if self.bias else {"weight": weight}

    def mac_terms(self, *x: Shape) -> tuple[Term, ...]:
        """Return output elements x in/groups x kh x kw."""
        inner = ("c_in/groups", x[0].c // self.groups_of(x[0].c))
        return (Term((*sizes(self.infer(*x), "_out"), inner, *self.taps)),)

    @property
    def taps(self) -> tuple[tuple[str, int], tuple[str, int]]:
        """The kernel's sizes as factors."""
        return ("kh", self.kernel[0]), ("kw", self.kernel[1])

    def macs_inside(self, *x: Shape) -> int:
        """Return in / groups x out x the windows' places that lie on the map."""
        pads = self.padding(x[0])
        (_, *size), (_, *out) = x[0], self.outputs(*x)[0]
        taps = prod(self.inside(axis, size[axis], pads[axis][0], out[axis]) for axis in (0, 1))
        return x[0].c // self.groups_of(x[0].c) * self.channels_of(x[0].c) * taps

    def inside(self, axis: int, size: int, pad: int, out: int) -> int:
        """Return along one axis how many pairs of output and tap read the map itself."""
        ways = (self.kernel[axis], both(self.dilation)[axis]), (out, both(self.stride)[axis])
        (few, step), (many, apart) = sorted(ways)
        starts = (at * step - pad for at in range(few))
        return sum(
            max(min(many - 1, (size - 1 - start) // apart) - max(0, -(start // apart)) + 1, 0)
            for start in starts
        )

    def runs_as(self, *x: Shape) -> str:
        """Return the name with what sets kernels of convolutions apart: groups, one place, few channels."""
        c = x[0].c
        groups = self.groups_of(c)
        if groups > 1:
            return f"{self.name} depthwise" if groups == c else f"{self.name} grouped"
        if c < 8:
            return f"{self.name} of an image"
        return f"{self.name} 1x1" if max(self.kernel) == 1 else self.name

    def op_terms(self, *x: Shape) -> tuple[Term, ...]:
        """Return one addition per output element if there is a bias."""
        return (Term(sizes(self.infer(*x), "_out"), "bias"),) if self.bias else ()

    def scratch(self, itemsize: int, *x: Shape) -> int:
        """Return the padded map where the padding may be uneven, as TensorFlow's at most strides."""
        if not varies(self.kernel, self.stride, self.pad, self.dilation):
            return 0
        (top, bottom), (left, right) = self.padding(x[0])
        return itemsize * x[0].c * (x[0].h + top + bottom) * (x[0].w + left + right)

    def reach(self, *x: Shape) -> tuple[Field | None, ...]:
        """Return the window."""
        return (sliding(self.kernel, self.stride, self.padding(x[0]), self.dilation),)

    def saved(self, tape: Tape, *x: Tensor) -> Tensor:
        """Keep the input, or the padded map."""
        maps = self.padded(tape, x[0])
        return self.fresh(tape, maps, keep=(maps,), learns=tape.parameters, of=x)

    def padded(self, tape: Tape, x: Tensor) -> Tensor:
        """Return what the window slides over: a new map where the padding may be uneven."""
        if not varies(self.kernel, self.stride, self.pad, self.dilation):
            return x
        (top, bottom), (left, right) = self.padding(x.sample)
        return tape.padded(x, (*x.sizes[:2], x.sizes[2] + top + bottom, x.sizes[3] + left + right))


class Conv(Convolution):
    """A two-dimensional convolution.

    Map c x h x w to map channels x h' x w', h' = floor((h + 2p - d(k-1) - 1)/s) + 1.
    MACs: channels x h' x w' x c/groups x kh x kw. Dumoulin and Visin, arXiv 1603.07285.
    """

    name: ClassVar[str] = "conv"
    elsewhere: ClassVar[Elsewhere] = Elsewhere(
        torch="nn.Conv2d, F.conv2d",
        keras="layers.Conv2D",
        jax="nnx.Conv",
        calls={
            "Conv2d": "_, channels, kernel, stride, pad=0, dilation, groups, bias",
            "Conv2D": "channels, kernel, stride, pad=0, _, dilation, groups, act, bias",
            "Conv": "_, channels, kernel, stride, pad=tf",
        },
    )
    positional: ClassVar[tuple[str, ...]] = ("kernel", "channels")

    channels: int
    groups: int = 1

    def channels_of(self, c: int) -> int:
        """Return `channels`."""
        return self.channels

    def groups_of(self, c: int) -> int:
        """Return `groups`."""
        return self.groups

    def plain(self, *x: Shape) -> Op | None:
        """Return itself."""
        return self if type(self) is Conv else None

    def share(self, devices: int, own: Sequence[bool], *x: Shape) -> Op | None:
        """Return the convolution with its share of the filters, and of the groups if they can be divided."""
        return _share(self, devices, own)

    @classmethod
    def examples(cls) -> Iterator[Example]:
        """Yield strides, padding, groups, dilation, no bias."""
        k3, x = Dims((3, 3)), Shape(4, 9, 8)
        yield Example(cls(channels=6, kernel=k3), (x,))
        yield Example(cls(channels=6, kernel=Dims((1, 1)), bias=False), (x,))
        yield Example(cls(channels=6, kernel=k3, stride=2, groups=2), (x,))
        wide = cls(channels=6, kernel=Dims((1, 5)), stride=Dims((2, 1)), dilation=Dims((1, 2)))
        yield Example(wide, (Shape(4, 9, 12),))
        yield Example(cls(channels=6, kernel=Dims((4, 4)), stride=4, pad=VALID), (x,))
        yield Example(cls(channels=6, kernel=k3, stride=2, pad=Pad("tf")), (x,))


class StdConv(Conv):
    """A convolution with standardised weights: those of an output channel have mean 0 and variance 1 when used.

    w' = (w - mean) / sqrt(var + eps) over the c/groups x kh x kw numbers of a channel, which must be more than one.
    Otherwise it is `conv`, whose defaults it takes too. Qiao et al., arXiv 1903.10520; with gn in place of bn
    Kolesnikov et al., arXiv 1912.11370.
    """

    name: ClassVar[str] = "stdconv"
    elsewhere: ClassVar[Elsewhere] = Elsewhere(torch="timm.layers.StdConv2d")
    counted: ClassVar[str] = "F.StdConv2d"
    inherits: ClassVar[str] = "conv"

    eps: float = 1e-6

    def infer(self, *x: Shape) -> Shape:
        """Check eps and how many weights a channel has; return channels x h' x w'."""
        out = super().infer(*x)
        self.check_needs(*x)
        if prod(self.weights(*x)["weight"][1:]) == 1:
            message = f"{self.name}: an output channel has one weight, which has no variance"
            raise OpError("kernel", message, "write conv or dwconv, or a larger kernel")
        return out

    def plain(self, *x: Shape) -> Op | None:
        """Return the convolution by the standardised weights."""
        if type(self) is not StdConv:
            return None
        return Conv(
            kernel=self.kernel,
            channels=self.channels,
            stride=self.stride,
            pad=self.pad,
            dilation=self.dilation,
            groups=self.groups,
            bias=self.bias,
        )

    def needs(self, *x: Shape) -> Iterator[Need]:
        """Yield what eps must be."""
        return positive(self, "eps")

    def saved(self, tape: Tape, *x: Tensor) -> Tensor:
        """Keep the standardised weight too, and mean and deviation of each channel."""
        weight = self.weights(x[0].sample)["weight"]
        standard = tape.made(weight, extra=(2, weight[0], tape.statistics), learns=tape.parameters[:1])
        maps = self.padded(tape, x[0])
        return self.fresh(tape, maps, keep=(maps, standard), learns=(standard, *tape.parameters[1:]), of=x)

    @classmethod
    def examples(cls) -> Iterator[Example]:
        """Yield strides, padding, groups, no bias, another eps."""
        k3, x = Dims((3, 3)), Shape(4, 9, 8)
        yield Example(cls(channels=6, kernel=k3), (x,))
        yield Example(cls(channels=6, kernel=Dims((1, 1)), bias=False), (x,))
        yield Example(cls(channels=6, kernel=k3, stride=2, groups=2, eps=1e-3), (x,))
        yield Example(cls(channels=6, kernel=Dims((1, 5)), dilation=Dims((1, 2))), (Shape(4, 9, 12),))
        yield Example(cls(channels=6, kernel=k3, stride=2, pad=Pad("tf")), (x,))
        yield Example(cls(channels=6, kernel=Dims((2, 2)), pad=Pad("tf")), (x,))


class DwConv(Convolution):
    """A depthwise convolution: one filter a channel, groups = c; it takes `conv`'s defaults too.

    Chollet, arXiv 1610.02357; Howard et al., arXiv 1704.04861.
    """

    name: ClassVar[str] = "dwconv"
    elsewhere: ClassVar[Elsewhere] = Elsewhere(
        torch="nn.Conv2d with groups",
        keras="layers.DepthwiseConv2D",
        jax="nnx.Conv with feature_group_count",
        calls={"DepthwiseConv2D": "kernel, stride, pad=0, multiplier"},
    )
    channelwise: ClassVar[bool] = True
    positional: ClassVar[tuple[str, ...]] = ("kernel",)
    inherits: ClassVar[str] = "conv"

    multiplier: int = 1

    def infer(self, *x: Shape) -> Shape:
        """Check the multiplier and the window; return c multiplier x h' x w'."""
        if self.multiplier < 1:
            raise OpError("multiplier", f"multiplier must be at least 1, got {self.multiplier}")
        return super().infer(*x)

    def channels_of(self, c: int) -> int:
        """Return c x multiplier."""
        return c * self.multiplier

    def groups_of(self, c: int) -> int:
        """Return c."""
        return c

    def plain(self, *x: Shape) -> Op | None:
        """Return itself."""
        return self if type(self) is DwConv else None

    @classmethod
    def examples(cls) -> Iterator[Example]:
        """Yield strides, a multiplier, no bias."""
        k3, x = Dims((3, 3)), Shape(4, 9, 8)
        yield Example(cls(kernel=k3), (x,))
        yield Example(cls(kernel=Dims((5, 5)), stride=2, bias=False), (x,))
        yield Example(cls(kernel=k3, multiplier=2), (x,))


class UpConv(Convolution):
    """A transposed convolution, the gradient of `conv` by its input; U-Net's way up.

    Map c x h x w to map channels x h' x w', h' = (h - 1)s - 2p + d(k-1) + 1 + o; pad is 0 if not given.
    `output_pad`, o, are rows below and columns at the right, less than s or d: that of `conv` /2 of an even map is 1.
    MACs: c x h x w x channels/groups x kh x kw. Weight [c, channels/groups, kh, kw].
    Dumoulin and Visin, arXiv 1603.07285; Ronneberger et al., arXiv 1505.04597.
    """

    name: ClassVar[str] = "upconv"
    elsewhere: ClassVar[Elsewhere] = Elsewhere(
        torch="nn.ConvTranspose2d, F.conv_transpose2d",
        keras="layers.Conv2DTranspose",
        jax="nnx.ConvTranspose",
        calls={"ConvTranspose2d": "_, channels, kernel, stride, pad, output_pad, groups, bias, dilation"},
    )
    enlarges: ClassVar[bool] = True
    counted: ClassVar[str] = "ConvTranspose2d"
    weight_axes: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "weight": ("c_in", "c_out/groups", "kh", "kw"),
        "bias": ("c_out",),
    }
    positional: ClassVar[tuple[str, ...]] = ("kernel", "channels")

    channels: int
    groups: int = 1
    pad: Pad = VALID
    output_pad: Dims | int = 0

    def channels_of(self, c: int) -> int:
        """Return `channels`."""
        return self.channels

    def groups_of(self, c: int) -> int:
        """Return `groups`."""
        return self.groups

    def plain(self, *x: Shape) -> Op | None:
        """Return itself."""
        return self if type(self) is UpConv else None

    def share(self, devices: int, own: Sequence[bool], *x: Shape) -> Op | None:
        """Return the convolution with its share of the filters, and of the groups if they can be divided."""
        return _share(self, devices, own)

    def infer(self, *x: Shape) -> Shape:
        """Check groups and window; return channels x h' x w'."""
        c, *size = need_map(self.name, x[0])
        out = self.check_channels(c)
        check_window(self.kernel, self.stride, self.pad, self.dilation)
        if self.pad.mode == "tf":
            raise OpError("pad", "pad=tf is not defined for upconv", "give the padding: pad=0")
        if isinstance(self.output_pad, Dims) and len(self.output_pad) != 2:
            raise OpError("output_pad", f"output_pad needs two sizes, got {self.output_pad}")
        self.check_needs(*x)
        pads, grown = self.padding(x[0]), []
        for axis in (0, 1):
            covered = both(self.dilation)[axis] * (self.kernel[axis] - 1) + 1
            n = (size[axis] - 1) * both(self.stride)[axis] - sum(pads[axis]) + covered
            n += both(self.output_pad)[axis]
            if n < 1:
                raise OpError("pad", f"pad={self.pad} leaves nothing of the {('height', 'width')[axis]}")
            grown.append(n)
        return Shape(out, *grown)

    def size_steps(self, *x: Shape) -> tuple[str, ...]:
        """Return how the windows, one for each place of the input, cover height and width."""
        steps, out = [], self.outputs(*x)[0]
        for axis, name in enumerate("hw"):
            s, d, o = (both(size)[axis] for size in (self.stride, self.dilation, self.output_pad))
            n, k, (lo, hi) = x[0].size(name), self.kernel[axis], self.padding(x[0])[axis]
            formula = f"({name}_in - 1) * s - p - p + d * (k{name} - 1) + 1 + output_pad"
            filled = f"({n} - 1) * {s} - {lo} - {hi} + {d} * ({k} - 1) + 1 + {o}"
            steps.append(f"{name}_out = {formula} = {filled} = {out.size(name)}")
        return tuple(steps)

    def needs(self, *x: Shape) -> Iterator[Need]:
        """Yield that of what is added below and at the right each row and column is some window's."""
        for own, stride, dilation in zip(
            *map(both, (self.output_pad, self.stride, self.dilation)), strict=True
        ):
            yield Need("output_pad", "output_pad", own, ">=", 0)
            yield Need("output_pad", "output_pad", own, "<", largest_of(stride, dilation))

    def weights(self, *x: Shape) -> Mapping[str, tuple[int, ...]]:
        """Return weight [in, out/groups, kh, kw], bias [out]."""
        weight = (x[0].c, self.channels // self.groups, *self.kernel)
        return {"weight": weight, "bias": (self.channels,)} if self.bias else {"weight": weight}

    def scaled(self, weight: Array, scale: Array) -> Array:
        """Return the weight with other numbers along its second axis, group by group."""
        parts = weight.reshape(self.groups, -1, *weight.shape[1:])
        return (parts * scale.reshape(self.groups, 1, -1, 1, 1)).reshape(weight.shape)

    def mac_terms(self, *x: Shape) -> tuple[Term, ...]:
        """Return input elements x out/groups x kh x kw."""
        return (Term((*sizes(x[0], "_in"), ("c_out/groups", self.channels // self.groups), *self.taps)),)

    def reach(self, *x: Shape) -> tuple[Field | None, ...]:
        """Return the window of the same kernel that slides over the input with stride - 1 gaps between places."""
        rows, columns = (
            Reach(self.kernel[axis], 1, d * (self.kernel[axis] - 1) - pad[0], d, both(self.stride)[axis])
            for axis, (pad, d) in enumerate(zip(self.padding(x[0]), both(self.dilation), strict=True))
        )
        return ((rows, columns),)

    def inside(self, axis: int, size: int, pad: int, out: int) -> int:
        """Return along one axis how many pairs of input and tap reach the output."""
        return super().inside(axis, out, pad, size)

    @classmethod
    def examples(cls) -> Iterator[Example]:
        """Yield U-Net's 2x2, padding, groups, dilation, no bias."""
        x = Shape(4, 5, 6)
        yield Example(cls(channels=6, kernel=Dims((2, 2)), stride=2), (x,))
        yield Example(cls(channels=6, kernel=Dims((3, 3)), groups=2, pad=SAME, bias=False), (x,))
        wide = cls(
            channels=2,
            kernel=Dims((3, 2)),
            stride=Dims((2, 1)),
            dilation=Dims((1, 2)),
            pad=Pad("explicit", (1, 0)),
        )
        yield Example(wide, (x,))
        yield Example(wide.replace(output_pad=Dims((1, 0))), (x,))
        back = cls(channels=4, kernel=Dims((3, 3)), stride=2, pad=SAME, output_pad=1)
        yield Example(back, (x,))
        yield Example(back.replace(stride=3, pad=VALID, output_pad=2, groups=2), (x,))


def _share(op: Conv | UpConv, devices: int, own: Sequence[bool]) -> Op | None:
    """Return a device's share of a convolution: of groups that read its own channels alone, or of all filters."""
    divided = op.groups % devices == 0 if own[0] else op.groups == 1
    if not divided or op.channels % devices:
        return None
    return op.replace(channels=op.channels // devices, groups=op.groups // devices if own[0] else 1)

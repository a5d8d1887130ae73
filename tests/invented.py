"""Ops that netdsl does not have: two convolutions, an activation, a layer that works on each channel by itself.

Each is a class, a function for each backend, and a reference in numpy, as a distribution would bring them. One of the
convolutions is derived from `conv`, the other one from nothing that has a window. A pool and a norm are for the
linter alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import inf
from typing import Any, ClassVar

import numpy as np
from reference_ops import Array, conv

from netdsl.cost.model import Term
from netdsl.emission.code import Arg, Call, Const, Context, Input, Lowered, Name
from netdsl.ir.tape import Tape, Tensor
from netdsl.ir.types import Dims, Init, Shape
from netdsl.ops import Example, Op, OpError
from netdsl.ops.activation import Activation
from netdsl.ops.base import EVERYWHERE, Field, sizes
from netdsl.ops.conv import Conv
from netdsl.ops.norm import Norm
from netdsl.ops.pool import Pool
from netdsl.ops.window import SAME, groups_of, need_map, padding, sliding

# ---------------------------------------------------------------- a convolution


class UnitConv(Conv):
    """A convolution whose filters have length 1 when they are used: w / |w| for each output channel.

    Otherwise it is `conv`, whose defaults it takes too. Luo et al., arXiv 1702.05870, with the input's length left.
    """

    name: ClassVar[str] = "unitconv"
    inherits: ClassVar[str] = "conv"

    def infer(self, *x: Shape) -> Shape:
        """Refuse TensorFlow's padding; return channels x h' x w'."""
        if self.pad.mode == "tf":
            raise OpError("pad", "pad=tf is not defined for unitconv")
        return super().infer(*x)

    def plain(self, *x: Shape) -> Op | None:
        """Return the convolution by the filters of length 1."""
        return Conv(**self.arguments())

    def saved(self, tape: Tape, *x: Tensor) -> Tensor:
        """Keep the filters as they are used too, and their lengths, bounded and not."""
        weight = self.weights(x[0].sample)["weight"]
        unit = tape.made(weight, extra=(2, weight[0], tape.itemsize), learns=tape.parameters[:1])
        return self.fresh(tape, *x, keep=(*x, unit), learns=(unit, *tape.parameters[1:]))

    @classmethod
    def examples(cls) -> Iterator[Example]:
        """Yield strides, groups, dilation, no bias."""
        k3, x = Dims((3, 3)), Shape(4, 9, 8)
        yield Example(cls(channels=6, kernel=k3), (x,))
        yield Example(cls(channels=6, kernel=Dims((1, 1)), bias=False), (x,))
        yield Example(cls(channels=6, kernel=k3, stride=2, groups=2), (x,))
        yield Example(cls(channels=6, kernel=Dims((1, 5)), dilation=Dims((1, 2))), (Shape(4, 9, 12),))


UNIT_CONV = '''\
class UnitConv2d(nn.Conv2d):
    """A convolution whose filters have length 1."""

    def forward(self, input: Tensor) -> Tensor:
        unit = F.normalize(self.weight.flatten(1)).view_as(self.weight)
        y: Tensor = self._conv_forward(input, unit, self.bias)
        return y
'''

UNIT_CONV_IN_FLAX = '''\
def unit_conv(x: Array, kernel: Array, *args: Any, **options: Any) -> Array:
    """Convolve with filters of length 1."""
    length = jnp.sqrt((kernel**2).sum((0, 1, 2)))
    return lax.conv_general_dilated(x, kernel / jnp.maximum(length, 1e-12), *args, **options)
'''


def unit_conv_in_torch(op: UnitConv, context: Context) -> Lowered:
    """Return PyTorch's convolution, but for the filters."""
    from netdsl_torch.lowering import LOWERINGS

    plain: Any = LOWERINGS[Conv](op, context).module
    return Lowered(plain.replace(func="UnitConv2d"), helpers={"UnitConv2d": UNIT_CONV})


def unit_conv_in_flax(op: UnitConv, context: Context) -> Lowered:
    """Return Flax's convolution, with a function of ours."""
    from netdsl_flax.lowering import LOWERINGS, OPTIONS

    plain: Any = LOWERINGS[Conv](op, context).module
    args = (*plain.args[: -len(OPTIONS)], Arg("conv_general_dilated", Name("unit_conv")), *OPTIONS)
    return Lowered(plain.replace(args=args), helpers={"unit_conv": UNIT_CONV_IN_FLAX})


# ---------------------------------------------------------------- a convolution of its own kind


class PartialConv(Op):
    """A convolution of the first part of the channels alone; the others go on as they are.

    Map c x h x w, shape unchanged; `part` divides c. Weight [c/part, c/part, kh, kw], no bias; the kernel is odd.
    MACs: h x w x (c/part)^2 x kh x kw. Chen et al., arXiv 2303.03667.
    """

    name: ClassVar[str] = "pconv"
    fuses: ClassVar[bool] = True
    linear: ClassVar[bool] = True
    keeps_zero: ClassVar[bool] = True
    positional: ClassVar[tuple[str, ...]] = ("kernel",)

    kernel: Dims
    part: int = 4

    def infer(self, *x: Shape) -> Shape:
        """Check the parts and the kernel; return the input's shape."""
        c, _, _ = need_map(self.name, x[0])
        groups_of("part", self.part, c)
        self.padding()
        return x[0]

    def padding(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """Return how many zeros are around the map."""
        return padding((1, 1), self.kernel, 1, SAME)

    def weights(self, *x: Shape) -> Mapping[str, tuple[int, ...]]:
        """Return weight [c/part, c/part, kh, kw]."""
        mixed = x[0].c // self.part
        return {"weight": (mixed, mixed, *self.kernel)}

    def mac_terms(self, *x: Shape) -> tuple[Term, ...]:
        """Return the map's places x the part's channels, twice, x kh x kw."""
        mixed = x[0].c // self.part
        both = ("c_in", mixed), ("c_out", mixed)
        return (Term((("h", x[0].h), ("w", x[0].w), *both, ("kh", self.kernel[0]), ("kw", self.kernel[1]))),)

    def macs_inside(self, *x: Shape) -> int:
        """Return those of a plain convolution of the part."""
        mixed = x[0].c // self.part
        return Conv(kernel=self.kernel, channels=mixed).macs_inside(Shape(mixed, x[0].h, x[0].w))

    def reach(self, *x: Shape) -> tuple[Field | None, ...]:
        """Return the window."""
        return (sliding(self.kernel, 1, self.padding()),)

    def saved(self, tape: Tape, *x: Tensor) -> Tensor:
        """Keep the part of the input, which is a view of it."""
        mixed = tape.narrowed(x[0], 1, x[0].sample.c // self.part)
        made = tape.made(mixed.sizes, mixed, keep=(mixed,), learns=tape.parameters)
        return tape.made(x[0].sizes, made, x[0])

    @classmethod
    def examples(cls) -> Iterator[Example]:
        """Yield parts, and a kernel that is no square."""
        x = Shape(8, 5, 6)
        yield Example(cls(kernel=Dims((3, 3))), (x,))
        yield Example(cls(kernel=Dims((1, 3)), part=2), (x,))


PCONV = '''\
class PConv(nn.Module):
    """A convolution of the first part of the channels."""

    def __init__(self, channels: int, kernel_size: tuple[int, int], part: int = 4) -> None:
        super().__init__()
        self.mixed = channels // part
        self.padding = kernel_size[0] // 2, kernel_size[1] // 2
        self.weight = nn.Parameter(torch.empty(self.mixed, self.mixed, *kernel_size))
        nn.init.kaiming_uniform_(self.weight, a=5**0.5)

    def forward(self, x: Tensor) -> Tensor:
        made = F.conv2d(x[:, : self.mixed], self.weight, padding=self.padding)
        return torch.cat((made, x[:, self.mixed :]), 1)
'''

PCONV_IN_FLAX = '''\
class PConv(nnx.Module):
    """A convolution of the first part of the channels."""

    def __init__(
        self,
        channels: int,
        kernel_size: tuple[int, int],
        part: int = 4,
        *,
        kernel_init: nnx.Initializer = nnx.initializers.lecun_normal(),
        rngs: nnx.Rngs,
        **options: Unpack[LayerOptions],
    ) -> None:
        self.mixed = channels // part
        sizes = *kernel_size, self.mixed, self.mixed
        dtype = options.get("param_dtype", jnp.float32)
        self.kernel = nnx.Param(kernel_init(rngs.params(), sizes, dtype))

    def __call__(self, x: Array) -> Array:
        axes = ("NHWC", "HWIO", "NHWC")
        kernel = self.kernel.astype(x.dtype)
        made = lax.conv_general_dilated(
            x[..., : self.mixed], kernel, (1, 1), "SAME", dimension_numbers=axes
        )
        return jnp.concatenate((made, x[..., self.mixed :]), axis=-1)
'''


def pconv_in_torch(op: PartialConv, context: Context) -> Lowered:
    """Return the module."""
    return Lowered(Call("PConv", _sizes_of(op, context)), helpers={"PConv": PCONV})


def pconv_in_flax(op: PartialConv, context: Context) -> Lowered:
    """Return the module, whose kernel has the channels last."""
    from netdsl_flax.lowering import OPTIONS, initializer

    start = Arg("kernel_init", initializer(op.inits.get("weight", Init("default"))))
    layout = {"weight": ("kernel", (2, 3, 1, 0))}
    args = (*_sizes_of(op, context), start, *OPTIONS)
    return Lowered(Call("PConv", args), helpers={"PConv": PCONV_IN_FLAX}, layout=layout)


def _sizes_of(op: PartialConv, context: Context) -> tuple[Arg, ...]:
    channels = Arg("channels", Const(context.inputs[0].c), keyword=False)
    kernel = Arg("kernel_size", Const(tuple(op.kernel)), keyword=False)
    return channels, kernel, Arg("part", Const(op.part), Const(4))


# ---------------------------------------------------------------- an activation


class Relu1(Activation):
    """A relu that saturates at 1: min(max(x, 0), 1)."""

    name: ClassVar[str] = "relu1"
    monotonic: ClassVar[bool] = True
    clips: ClassVar[bool] = True
    keeps_zero: ClassVar[bool] = True
    bounds: ClassVar[tuple[float, float]] = (0, 1)


RELU1 = '''\
class Relu1(nn.Module):
    """Between 0 and 1."""

    def forward(self, x: Tensor) -> Tensor:
        return x.clamp(0, 1)
'''

RELU1_IN_FLAX = '''\
def relu1(x: Array) -> Array:
    """Return what lies between 0 and 1."""
    return jnp.clip(x, 0, 1)
'''


def relu1_in_torch(op: Relu1, context: Context) -> Lowered:
    """Return the module."""
    return Lowered(Call("Relu1"), helpers={"Relu1": RELU1})


def relu1_in_flax(op: Relu1, context: Context) -> Lowered:
    """Return the function."""
    called = Call("relu1", (Arg("x", Input(), keyword=False),))
    return Lowered(Name("relu1"), called, helpers={"relu1": RELU1_IN_FLAX})


# ---------------------------------------------------------------- a layer of each channel


class Affine(Op):
    """A scale and a shift of each channel: y = a x + b. A map or a vector; shape unchanged.

    Weights scale [c] and shift [c], ones and zeros at first. ops: 1 per element. Touvron et al., arXiv 2105.03404.
    """

    name: ClassVar[str] = "affine"
    follows: ClassVar[bool] = True
    linear: ClassVar[bool] = True
    channelwise: ClassVar[bool] = True
    fuses_into: ClassVar[bool] = True

    def infer(self, *x: Shape) -> Shape:
        """Return the input's shape."""
        if x[0].axes not in ("chw", "c"):
            raise OpError("", f"affine needs a map c x h x w or a vector, got {x[0].kind} {x[0]}")
        return x[0]

    def weights(self, *x: Shape) -> Mapping[str, tuple[int, ...]]:
        """Return scale [c], shift [c]."""
        return {"scale": (x[0].c,), "shift": (x[0].c,)}

    def op_terms(self, *x: Shape) -> tuple[Term, ...]:
        """Return one per element."""
        return (Term(sizes(x[0])),)

    def saved(self, tape: Tape, *x: Tensor) -> Tensor:
        """Keep the input."""
        scaled = tape.pointwise(x[0], keep=x, learns=tape.parameters[:1])
        return tape.pointwise(scaled, learns=tape.parameters[1:])

    @classmethod
    def examples(cls) -> Iterator[Example]:
        """Yield a map and a vector."""
        yield Example(cls(), (Shape(4, 3, 5),))
        yield Example(cls(), (Shape(6),))


AFFINE = '''\
class Affine(nn.Module):
    """A scale and a shift of each channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(channels))
        self.shift = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        places = [1] * (x.dim() - 2)
        return self.scale.view(-1, *places) * x + self.shift.view(-1, *places)
'''

AFFINE_IN_FLAX = '''\
class Affine(nnx.Module):
    """A scale and a shift of each channel."""

    def __init__(
        self,
        channels: int,
        *,
        scale_init: nnx.Initializer = nnx.initializers.ones,
        shift_init: nnx.Initializer = nnx.initializers.zeros,
        rngs: nnx.Rngs,
        **options: Unpack[LayerOptions],
    ) -> None:
        dtype = options.get("param_dtype", jnp.float32)
        self.scale = nnx.Param(scale_init(rngs.params(), (channels,), dtype))
        self.shift = nnx.Param(shift_init(rngs.params(), (channels,), dtype))

    def __call__(self, x: Array) -> Array:
        return self.scale.astype(x.dtype) * x + self.shift.astype(x.dtype)
'''


def affine_in_torch(op: Affine, context: Context) -> Lowered:
    """Return the module."""
    channels = Arg("channels", Const(context.inputs[0].c), keyword=False)
    return Lowered(Call("Affine", (channels,)), helpers={"Affine": AFFINE})


def affine_in_flax(op: Affine, context: Context) -> Lowered:
    """Return the module."""
    from netdsl_flax.lowering import OPTIONS, initializer

    channels = Arg("channels", Const(context.inputs[0].c), keyword=False)
    starts = []
    for name, usual in (("scale", Init("ones")), ("shift", Init("zeros"))):
        starts.append(Arg(f"{name}_init", initializer(op.inits.get(name, usual), usual), initializer(usual)))
    return Lowered(Call("Affine", (channels, *starts, *OPTIONS)), helpers={"Affine": AFFINE_IN_FLAX})


# ---------------------------------------------------------------- for the linter alone: a pool and a norm


class LengthPool(Pool):
    """The length of each window's numbers, sqrt(sum of x^2). Gulcehre et al., arXiv 1311.1780."""

    name: ClassVar[str] = "lengthpool"
    channelwise: ClassVar[bool] = True
    keeps_zero: ClassVar[bool] = True
    bounds: ClassVar[tuple[float, float]] = (0, inf)

    @property
    def spread(self) -> Dims | int:
        """It has no dilation."""
        return 1

    @classmethod
    def examples(cls) -> Iterator[Example]:
        """Yield windows, one of a pixel."""
        yield Example(cls(kernel=Dims((2, 2))), (Shape(3, 4, 6),))
        yield Example(cls(kernel=Dims((1, 1))), (Shape(3, 4, 6),))


class FilterNorm(Norm):
    """Filter response normalisation: x / sqrt(mean of x^2 over the map + eps), for each channel of each sample.

    A map; shape unchanged. Singh and Krishnan, arXiv 1911.09737.
    """

    name: ClassVar[str] = "frn"

    def infer(self, *x: Shape) -> Shape:
        """Return the input's shape."""
        need_map(self.name, x[0])
        return x[0]

    def reach(self, *x: Shape) -> tuple[Field | None, ...]:
        """Return the whole map, over which the mean is taken."""
        return (EVERYWHERE,)

    @classmethod
    def examples(cls) -> Iterator[Example]:
        """Yield maps."""
        yield Example(cls(), (Shape(3, 4, 6),))
        yield Example(cls(affine=False), (Shape(3, 4, 6),))


# ---------------------------------------------------------------- what they compute


def expected(example: Example, inputs: list[Array], state: dict[str, Array]) -> list[Array]:
    """Return what one of them makes, in numpy."""
    op, (x,) = example.op, inputs
    if isinstance(op, UnitConv):
        rows = state["weight"].reshape(len(state["weight"]), -1)
        unit = rows / np.sqrt((rows**2).sum(1, keepdims=True))
        return [np.asarray(conv(op, [x], {**state, "weight": unit.reshape(state["weight"].shape)}))]
    if isinstance(op, PartialConv):
        mixed = len(state["weight"])
        plain = Conv(kernel=op.kernel, channels=mixed, bias=False)
        return [np.concatenate((np.asarray(conv(plain, [x[:, :mixed]], state)), x[:, mixed:]), axis=1)]
    if isinstance(op, LengthPool):
        (h, w), (n, c, rows, columns) = op.window[0], x.shape
        parts = x.reshape(n, c, rows // h, h, columns // w, w)
        return [np.sqrt((parts**2).sum((3, 5)))]
    if isinstance(op, FilterNorm):
        y = x / np.sqrt((x**2).mean((2, 3), keepdims=True) + op.eps)
        if not op.affine:
            return [y]
        return [y * state["weight"].reshape(-1, 1, 1) + state["bias"].reshape(-1, 1, 1)]
    if isinstance(op, Relu1):
        return [np.minimum(np.maximum(x, 0), 1)]
    scale, shift = (state[name].reshape(-1, *[1] * (x.ndim - 2)) for name in ("scale", "shift"))
    return [scale * x + shift]


LINTED = {"lengthpool": LengthPool, "frn": FilterNorm}
OPS = {"unitconv": UnitConv, "pconv": PartialConv, "relu1": Relu1, "affine": Affine}
ENTRY_POINTS = {
    "netdsl.ops": {name: f"invented:{op.__name__}" for name, op in {**OPS, **LINTED}.items()},
    "netdsl.lowerings": {
        f"{backend}.{name}": f"invented:{function}_in_{backend}"
        for backend in ("torch", "flax")
        for name, function in (
            ("unitconv", "unit_conv"),
            ("pconv", "pconv"),
            ("relu1", "relu1"),
            ("affine", "affine"),
        )
    },
}
"""As the pyproject.toml of their distribution would say it."""

"""What each op is in Flax: one function per op, found by its class in `LOWERINGS`. Imports no jax.

Maps are N x H x W x C. Any other order that `permute` makes is kept, but channels come last: see `laid_out`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from itertools import accumulate
from typing import Any, TypeVar

from netdsl.backend import Lowerings
from netdsl.emission.code import (
    Arg,
    Binary,
    Call,
    Const,
    Constant,
    Context,
    Expr,
    Input,
    Item,
    Listed,
    Lowered,
    Name,
    Self,
    Word,
    transform,
)
from netdsl.emission.writer import shown
from netdsl.ir.types import Dims, Init, Shape
from netdsl.ops.activation import (
    Activation,
    Celu,
    Elu,
    Exp,
    Gelu,
    Glu,
    HardShrink,
    HardTanh,
    HSigmoid,
    HSwish,
    LeakyRelu,
    LogSigmoid,
    LogSoftmax,
    Mish,
    OverAxis,
    PRelu,
    Relu,
    Relu6,
    RRelu,
    Selu,
    Sigmoid,
    Silu,
    Softmax,
    Softplus,
    SoftShrink,
    Softsign,
    Tanh,
    TanhShrink,
    Threshold,
)
from netdsl.ops.attention import Attend, Attention, MatMul, Qkv, RelativeBias
from netdsl.ops.base import Op
from netdsl.ops.conv import Conv, Convolution, DwConv, StdConv, UpConv
from netdsl.ops.dropout import Dropout, DropPath
from netdsl.ops.joint import Add, Concat, Elementwise, Identity, Mul, Offset, Scale, Sub
from netdsl.ops.layout import Expand, Flatten, Map, Permute, PixelShuffle, PixelUnshuffle, Tokens, Unflatten
from netdsl.ops.linear import Linear
from netdsl.ops.move import Padding, PadTo, Roll, Shift, Shuffle
from netdsl.ops.norm import BatchNorm, GroupNorm, InstanceNorm, LayerNorm, LocalResponseNorm, Norm, RmsNorm
from netdsl.ops.part import Crop, Slice, Split, Token
from netdsl.ops.partition import Grids, Partition, Unwindows, WindowMask, Windows
from netdsl.ops.pool import AvgPool, BlurPool, GlobalAvgPool, MaxPool, Pool
from netdsl.ops.reduce import Amax, Mean, Reduction
from netdsl.ops.resize import Resampling, Resize, Upsample
from netdsl.ops.source import Input as InputOp
from netdsl.ops.source import Weight
from netdsl.ops.window import both
from netdsl.symbolic import SymBool, compare, joined, symbolic, term

Lowering = Callable[[Any, Context], Lowered]
L = TypeVar("L", bound=Lowering)

LOWERINGS: Lowerings[Lowering] = Lowerings("flax")

_RNGS = Arg("rngs", Name("rngs"))

OPTIONS = (_RNGS, Arg("options", Name("**options"), keyword=False))
"""What every constructor passes on to its layers: random numbers, dtypes, precision."""

TORCH_WEIGHT = Init("fan_uniform", ("fan_in",))
"""How torch starts the weights of convolutions and linear layers."""


class FanIn(Expr):
    """How torch starts their biases: uniform within a bound that only the layer's own sizes give."""

    fan_in: int


def lowers(*ops: type[Op]) -> Callable[[L], L]:
    """Register the function that lowers these ops."""

    def register(function: L) -> L:
        LOWERINGS.update(dict.fromkeys(ops, function))
        return function

    return register


def laid_out(axes: str) -> str:
    """Return in which order a value with these axes lies in memory: channels last."""
    return axes.replace("c", "") + "c"


def _axis(x: Shape, axis: str) -> int:
    """Return where an axis of a sample lies in memory, from the last one on."""
    return laid_out(x.axes).index(axis) - len(x)


def _first(role: str, value: Constant) -> Arg:
    """Make an argument that everyone writes by its position."""
    return Arg(role, Const(value), keyword=False)


def _option(role: str, value: Constant, default: Constant) -> Arg:
    """Make an argument that is written by its name, unless it is the default."""
    return Arg(role, Const(value), Const(default))


def _apply(function: str, *args: Arg, to: Expr | None = None) -> Call:
    """Make `function(x, args)`, where x is the op's first input if not given."""
    return Call(function, (Arg("x", to or Input(), keyword=False), *args))


def _method(name: str, *args: Arg, of: Expr | None = None) -> Call:
    """Make `x.name(args)`, where x is the op's first input if not given."""
    return Call(name, args, receiver=of or Input())


def _bound(function: str, *args: Arg) -> Expr:
    """Make a function a layer of a Sequential: with its options bound, if it has any that are written."""
    if not shown(args):
        return Name(function)
    named = tuple(arg.replace(keyword=True) for arg in args)
    return Call("partial", (Arg("function", Name(function), keyword=False), *named))


def _function(function: str, *args: Arg) -> Lowered:
    """Lower an op to a function of its input, which may also be a layer of a Sequential."""
    return Lowered(module=_bound(function, *args), function=_apply(function, *args))


def _size(size: Dims | tuple[int, int] | int) -> int | tuple[int, ...]:
    """Return a size for both axes: an int where they are equal."""
    if symbolic(size):
        return size
    rows, columns = both(size)
    return rows if term(rows) == term(columns) else (rows, columns)


def _pair(size: Dims | int) -> tuple[int, ...]:
    """Return a size as that of rows and of columns."""
    return size if symbolic(size) and not isinstance(size, int) else tuple(both(size))


def _padding(op: Convolution, x: Shape) -> Constant:
    """Return a convolution's padding: TensorFlow's, which follows from the map's size, or as much on both sides."""
    if op.pad.mode == "tf":
        return 0 if _are_one(*op.kernel) else "SAME"
    if op.pad.mode == "explicit":
        return _size(op.pad.size)
    (top, _), (left, _) = op.padding(x)
    return _size(Dims((top, left)))


def _are_one(*numbers: int) -> bool:
    """Tell whether an op is what it is without these numbers, for which another function or class is needed."""
    return all(number == 1 and not symbolic(number) for number in numbers)


def _batched(context: Context, index: int) -> bool:
    return index >= len(context.batched) or context.batched[index]


# Layers with weights


@lowers(Conv, DwConv, StdConv)
def conv(op: Convolution, context: Context) -> Lowered:
    """nnx.Conv, which takes any padding."""
    x = context.inputs[0]
    fan_in = op.kernel[0] * op.kernel[1] * x.c // op.groups_of(x.c)
    groups = Const(op.groups_of(x.c))  # which a depthwise convolution always says
    return _layer(
        "Conv" if _covers(op, x) else "FittedConv",
        _first("in_channels", x.c),
        _first("out_channels", op.channels_of(x.c)),
        _first("kernel_size", _pair(op.kernel)),
        _option("strides", _size(op.stride), 1),
        _option("padding", _padding(op, x), 0),
        _option("kernel_dilation", _size(op.dilation), 1),
        Arg("feature_group_count", groups, None if isinstance(op, DwConv) else Const(1)),
        *([_standardized(op)] if isinstance(op, StdConv) else []),
        *_biased(op, fan_in),
    )


def _standardized(op: StdConv) -> Arg:
    """Return our function that convolves with a kernel that it standardizes."""
    return Arg("conv_general_dilated", _bound("standardized_conv", _option("eps", op.eps, 1e-6)))


def _covers(op: Convolution, x: Shape) -> bool:
    """Tell whether a convolution has a place on every map, however small."""
    if op.pad.mode != "explicit":
        return True
    sizes = zip(op.kernel, both(op.dilation), both(op.pad.size), strict=True)
    return all(not any(map(symbolic, size)) and size[1] * (size[0] - 1) <= 2 * size[2] for size in sizes)


@lowers(UpConv)
def upconv(op: UpConv, context: Context) -> Lowered:
    """nnx.ConvTranspose, or our GroupedTranspose; padding here is of the input with its zeros in between."""
    x = context.inputs[0]
    covered = tuple(d * (k - 1) for d, k in zip(both(op.dilation), op.kernel, strict=True))
    pads = tuple(
        (n - lo, n - hi + more)
        for n, (lo, hi), more in zip(covered, op.padding(x), both(op.output_pad), strict=True)
    )
    fan_in = op.kernel[0] * op.kernel[1] * op.channels // op.groups
    alone = _are_one(op.groups)
    return _layer(
        "ConvTranspose" if alone else "GroupedConvTranspose",
        _first("in_channels", x.c),
        _first("out_channels", op.channels),
        _first("kernel_size", _pair(op.kernel)),
        Arg("strides", Const(_pair(op.stride))),
        Arg("padding", Const(pads)),
        Arg("kernel_dilation", Const(_pair(op.dilation)), Const((1, 1))),
        *([] if alone else [Arg("groups", Const(op.groups))]),
        *_biased(op, fan_in),
    )


@lowers(Linear)
def fc(op: Linear, context: Context) -> Lowered:
    """nnx.Linear; of permuted tokens, which lie here as others do, our MixingLinear."""
    x = context.inputs[0]
    name = "Linear" if x.axes[-1] == "c" else "TokenLinear"
    return _layer(
        name, _first("in_features", x[-1]), _first("out_features", op.channels), *_biased(op, x[-1])
    )


@lowers(BatchNorm)
def bn(op: BatchNorm, context: Context) -> Lowered:
    """Our BatchNorm; nnx's momentum is how much stays."""
    kept = 1 - op.momentum
    stays = Arg("momentum", Const(kept if symbolic(kept) else round(kept, 12)))
    return _layer("BatchNorm", _first("num_features", context.inputs[0].c), stays, *_scaled(op))


@lowers(LayerNorm)
def ln(op: LayerNorm, context: Context) -> Lowered:
    """nnx.LayerNorm over the channels, which are last."""
    return _layer("LayerNorm", _first("num_features", context.inputs[0].c), *_scaled(op))


@lowers(RmsNorm)
def rms_norm(op: RmsNorm, context: Context) -> Lowered:
    """nnx.RMSNorm over the channels, which are last."""
    return _layer("RMSNorm", _first("num_features", context.inputs[0].c), *_scaled(op))


@lowers(GroupNorm)
def gn(op: GroupNorm, context: Context) -> Lowered:
    """nnx.GroupNorm."""
    sizes = _first("num_features", context.inputs[0].c), Arg("num_groups", Const(op.groups))
    return _layer("GroupNorm", *sizes, *_scaled(op))


@lowers(InstanceNorm)
def instance_norm(op: InstanceNorm, context: Context) -> Lowered:
    """Our InstanceNorm, which says so where there is one number a channel."""
    return _layer("InstanceNorm", _first("num_features", context.inputs[0].c), *_scaled(op))


@lowers(Attention)
def attention(op: Attention, context: Context) -> Lowered:
    """nnx.MultiHeadAttention of the tokens with themselves."""
    c = context.inputs[0].c
    rate = _option("dropout_rate", op.dropout, 0.0)
    inits = {
        "kernel_init": _third(op.inits.get("in_proj_weight", Init("default"))),
        "out_kernel_init": initializer(op.inits.get("out_proj.weight", Init("default"))),
        "bias_init": initializer(op.inits.get("in_proj_bias", Init("zeros"))),
        "out_bias_init": initializer(op.inits.get("out_proj.bias", Init("zeros"))),
    }
    sizes = _first("num_heads", op.heads), _first("in_features", c)
    return _layer("MultiHeadAttention", *sizes, rate, *(Arg(role, init) for role, init in inits.items()))


@lowers(Qkv)
def qkv(op: Qkv, context: Context) -> Lowered:
    """nnx.Linear, or our KeysWithoutBias."""
    c = context.inputs[0].c
    name = "Linear" if op.key_bias or not op.bias else "UnbiasedKeys"
    return _layer(name, _first("in_features", c), _first("out_features", 3 * c), *_biased(op, c))


@lowers(MatMul)
def matmul(op: MatMul, context: Context) -> Lowered:
    """`a @ b`; permuted tokens lie here as others do."""
    swap = _first("axis1", -1), _first("axis2", -2)
    a, b = (
        _method("swapaxes", *swap, of=Input(i)) if x.axes == "cn" else Input(i)
        for i, x in enumerate(context.inputs)
    )
    return Lowered(function=Binary("@", a, b))


@lowers(Attend)
def attend(op: Attend, context: Context) -> Lowered:
    """Our attend_by_heads."""
    further = op.further(*context.inputs)
    tensors = (
        Arg(name, Input(at) if name == "mask" else _per_window(at, context)) for name, at in further.items()
    )
    values = (Arg(name, Input(at), keyword=False) for at, name in enumerate("qkv"))
    numbers = _first("heads", op.heads), _option("scale", op.scale, None)
    return Lowered(function=Call("attend_by_heads", (*values, *numbers, *tensors)))


def _per_window(index: int, context: Context) -> Expr:
    """Give a batch of biases an axis of one for windows."""
    windows = context.inputs[0].axes == "bnc" and _batched(context, index)
    return Item(Input(index), ":, None") if windows else Input(index)


@lowers(RelativeBias)
def relative_bias(op: RelativeBias, context: Context) -> Lowered:
    """Our relative_bias."""
    each = _batched(context, 1)
    index = Arg("index", Call("flatten_samples", (Arg("x", Input(1), keyword=False),)), keyword=False)
    if not each:
        index = Arg("index", _method("reshape", _first("shape", -1), of=Input(1)), keyword=False)
    places = _first("places", op.places)
    mapped = _option("mapped", context.inputs[0].axes == "hwc", False)
    return Lowered(function=_apply("relative_bias", index, places, mapped))


_WINDOWS: dict[type[Op], str] = {
    Windows: "to_windows",
    Unwindows: "from_windows",
    WindowMask: "window_mask",
}
"""By op our function."""


@lowers(*_WINDOWS)
def windows(op: Partition, context: Context) -> Lowered:
    """Our to_windows, from_windows and window_mask."""
    maps = (Arg("like", Input(1), keyword=False),) if isinstance(op, Unwindows) else ()
    sizes = _first("size", _pair(op.size)), _option("shift", _pair(op.shift), (0, 0))
    ways = (
        [_option(way, getattr(op, way), False) for way in ("spread", "apart")]
        if isinstance(op, Grids)
        else []
    )
    return Lowered(function=_apply(_WINDOWS[type(op)], *maps, *sizes, *ways))


def _third(init: Init) -> Expr:
    """Return the initializer of q, k and v, which torch holds and starts as one matrix of three times the rows."""
    if init.kind in ("default", "xavier_uniform", "xavier_normal"):
        gain: Any = init.args[0] if init.args else 1
        distribution = "normal" if init.kind == "xavier_normal" else "uniform"
        return _scaling(Const(0.5 * gain * gain), "fan_avg", distribution)
    method, _, distribution = init.kind.partition("_")
    if method in ("kaiming", "fan") and init.args[0] == "fan_out":
        above, below = _over_fan(init)
        return _scaling(Const(above / (3 * below)), "fan_out", distribution)
    return initializer(init)


def _layer(name: str, *args: Arg) -> Lowered:
    return Lowered(module=Call(name, (*args, *OPTIONS)))


def _biased(op: Convolution | Linear | Qkv, fan_in: int) -> list[Arg]:
    """Return use_bias and the initializers of kernel and bias."""
    kernel = Arg("kernel_init", initializer(op.inits.get("weight", Init("default"))))
    use = Arg("use_bias", Const(op.bias))
    if not op.bias and not symbolic(op.bias):
        return [use, kernel]
    bias = op.inits.get("bias", Init("default"))
    value = FanIn(fan_in) if bias.kind == "default" else initializer(bias)
    return [use, kernel, Arg("bias_init", value)]


def _scaled(op: Norm) -> list[Arg]:
    """Return epsilon, which of scale and bias there are, and their initializers."""
    args = [Arg("epsilon", Const(op.eps))]
    known: dict[str, bool | SymBool] = {"weight": op.affine}
    if not isinstance(op, RmsNorm):
        bias = op.bias if isinstance(op, LayerNorm) else True
        known["bias"] = joined("and", op.affine, lambda: bias)
    for (name, has), role in zip(known.items(), ("scale", "bias"), strict=False):
        usual = Init("ones" if name == "weight" else "zeros")
        args.append(Arg(f"use_{role}", Const(has)))
        if has or symbolic(has):
            args.append(Arg(f"{role}_init", initializer(op.inits.get(name, usual), usual)))
    return args


# Initial weights


def initializer(init: Init, default: Init | None = None) -> Expr:
    """Return an initializer; `default` is what the layer's own is in torch."""
    if init.kind == "default":
        return initializer(default or TORCH_WEIGHT)
    numbers: dict[str, Any] = dict(zip(init.roles, init.args, strict=True))
    if init.kind in ("zeros", "ones"):
        return Name(f"nnx.initializers.{init.kind}")
    if init.kind == "relative_coords":
        return Name("relative_coords")
    if init.kind == "relative_positions":
        window = _first("rows", numbers["rows"]), _first("columns", numbers["columns"])
        return _initializer_call("relative_positions", *window)
    if init.kind == "constant":
        return _initializer_call("nnx.initializers.constant", _first("value", numbers["value"]))
    if init.kind == "normal":
        deviation = _first("stddev", numbers["std"])
        if numbers["mean"] or symbolic(numbers["mean"]):
            return _initializer_call("normal_around", _first("mean", numbers["mean"]), deviation)
        return _initializer_call("nnx.initializers.normal", deviation)
    if init.kind == "uniform":
        low, high = _first("low", numbers["low"]), _first("high", numbers["high"])
        return _initializer_call("uniform_between", low, high)
    if init.kind == "trunc_normal":  # cut at two units, as torch's; jax counts in standard deviations
        std = numbers["std"]
        if symbolic(std):
            return _initializer_call("normal_cut_at_two", _first("stddev", std))
        if 2 / std > 6:  # no float32 lies as far out, but jax would set one number in millions to the cut
            return _initializer_call("nnx.initializers.normal", _first("stddev", std))
        cuts = Arg("lower", Const(-2 / std)), Arg("upper", Const(2 / std))
        return _initializer_call("nnx.initializers.truncated_normal", _first("stddev", std), *cuts)
    method, distribution = init.kind.split("_")
    if method == "xavier":
        return _scaling(Const(numbers["gain"] * numbers["gain"]), "fan_avg", distribution)
    above, below = _over_fan(init)
    scale = Const(float(above)) if below == 1 else Binary("/", Const(above), Const(below))
    return _scaling(scale, numbers["mode"], distribution)


def _over_fan(init: Init) -> tuple[Any, Any]:
    """Return the variance over 1 / fan, as numerator and denominator."""
    _, *gain = init.args
    return Init.gain(*gain) if gain else (1, 3)  # type: ignore[arg-type]


def _initializer_call(function: str, *args: Arg) -> Call:
    return Call(function, args)


def _scaling(scale: Expr, mode: Constant, distribution: str) -> Call:
    values = Arg("scale", scale, keyword=False), _first("mode", mode), _first("distribution", distribution)
    return _initializer_call("nnx.initializers.variance_scaling", *values)


# Pools


@lowers(MaxPool, AvgPool)
def pool(op: Pool, context: Context) -> Lowered:
    """Pools of nnx, whose windows must fit, or ours: to a size, in ceil mode, dilated."""
    kind = "max" if isinstance(op, MaxPool) else "avg"
    if op.to is not None and _are_one(*both(op.to)):
        kept = Arg("keepdims", Const(True))
        if kind == "avg":
            return _function("global_avg_pool2d", kept)
        return _function("max_along", _first("axis", (1, 2)), kept)
    if op.to is not None:
        reduce_ = Arg("reduce", Name("max_along" if kind == "max" else "jnp.mean"), keyword=False)
        return _function("adaptive_pool2d", _first("size", _pair(op.to)), reduce_)
    kernel, stride = op.window
    tf = op.pad.mode == "tf"  # which ceil mode adds no window to
    args: tuple[Arg, ...] = (
        _first("window_shape", _pair(kernel)),
        _option("strides", _pair(stride), (1, 1)),
        _option("padding", "SAME" if tf else op.padding(context.inputs[0]), ((0, 0), (0, 0))),
    )
    ceil = Arg("ceil_mode", Const(not tf and op.ceil), Const(False))
    if isinstance(op, MaxPool) and not _are_one(*both(op.dilation)):
        apart = _option("dilation", _pair(op.dilation), (1, 1))
        return _function("dilated_max_pool2d", *args, apart, ceil)
    if isinstance(op, AvgPool):
        args = (*args, _option("count_include_pad", op.unpadded or op.count_include_pad, True))
    if symbolic(op.ceil) and not tf:
        return _function(f"{kind}_pool2d_by_mode", *args, ceil)
    return _function(f"ceil_{kind}_pool2d" if shown([ceil]) else f"{kind}_pool2d", *args)


@lowers(BlurPool)
def blurpool(op: BlurPool, context: Context) -> Lowered:
    """Our blur_pool2d."""
    return _function("blur_pool2d", _option("size", op.size, 3), _option("stride", op.stride, 2))


@lowers(GlobalAvgPool)
def gap(op: GlobalAvgPool, context: Context) -> Lowered:
    """Our global_avg_pool2d."""
    return _function("global_avg_pool2d")


@lowers(Mean, Amax)
def reduction(op: Reduction, context: Context) -> Lowered:
    """Our mean_along, amax_along."""
    x = context.inputs[0]
    places = op.along(laid_out(x.axes))
    if not _batched(context, 0):  # of a learned tensor only its own op knows if it has a batch
        places = tuple(axis - 1 - len(x) for axis in places)
    axes = _first("axis", places)
    return _function(f"{op.name}_along", axes, _option("keepdims", op.keep, False))


# Normalisation without weights, activations, dropout


@lowers(LocalResponseNorm)
def lrn(op: LocalResponseNorm, context: Context) -> Lowered:
    """Our local_response_norm, or grouped_local_response_norm."""
    numbers = _option("alpha", op.alpha, 1e-4), _option("beta", op.beta, 0.75), _option("k", op.k, 1.0)
    if not _are_one(op.groups):
        args = _first("size", op.size), _first("groups", op.groups), *numbers
        return _function("grouped_local_response_norm", *args)
    return _function("local_response_norm", _first("size", op.size), *numbers)


_ACTIVATIONS = {
    Relu: "nnx.relu",
    Relu6: "nnx.relu6",
    Selu: "nnx.selu",
    HSwish: "nnx.hard_swish",
    HSigmoid: "nnx.hard_sigmoid",
    Silu: "nnx.silu",
    Mish: "jax.nn.mish",
    Exp: "jnp.exp",
    Sigmoid: "nnx.sigmoid",
    Tanh: "nnx.tanh",
    Softsign: "nnx.soft_sign",
    LogSigmoid: "nnx.log_sigmoid",
    TanhShrink: "tanh_shrink",
}


@lowers(*_ACTIVATIONS)
def activation(op: Activation, context: Context) -> Lowered:
    """nnx.relu and so on."""
    function = _ACTIVATIONS[type(op)]
    return Lowered(module=Const(Word(function, "Callable[[Array], Array]")), function=_apply(function))


@lowers(Softmax, LogSoftmax)
def softmax(op: OverAxis, context: Context) -> Lowered:
    """nnx.softmax or nnx.log_softmax over an axis; the channels are last."""
    axis = _axis(context.inputs[0], op.axis)
    return _function(
        "nnx.log_softmax" if isinstance(op, LogSoftmax) else "nnx.softmax", _option("axis", axis, -1)
    )


@lowers(Glu)
def glu(op: Glu, context: Context) -> Lowered:
    """nnx.glu over the channels, which are last."""
    return _function("nnx.glu")


@lowers(LeakyRelu)
def leaky_relu(op: LeakyRelu, context: Context) -> Lowered:
    """nnx.leaky_relu."""
    return _function("nnx.leaky_relu", _option("negative_slope", op.slope, 0.01))


@lowers(Elu, Celu)
def elu(op: Elu | Celu, context: Context) -> Lowered:
    """nnx.elu or nnx.celu."""
    return _function("nnx.elu" if isinstance(op, Elu) else "nnx.celu", _option("alpha", op.alpha, 1.0))


@lowers(RRelu)
def rrelu(op: RRelu, context: Context) -> Lowered:
    """Our RandomLeakyRelu."""
    bounds = _option("lower", op.lower, 1 / 8), _option("upper", op.upper, 1 / 3)
    return Lowered(module=Call("RandomLeakyRelu", (*bounds, _RNGS)))


@lowers(PRelu)
def prelu(op: PRelu, context: Context) -> Lowered:
    """Our LearnedRelu: nnx's PReLU has one slope for all channels."""
    (number,) = op.weights(*context.inputs)["weight"]
    start = initializer(op.inits.get("weight", Init("default")), Init("constant", (0.25,)))
    args = Arg("init", start, keyword=False), Arg("number", Const(number), Const(1), False)
    return Lowered(module=Call("LearnedRelu", (*args, *OPTIONS)))


@lowers(HardTanh)
def hardtanh(op: HardTanh, context: Context) -> Lowered:
    """Our hard_tanh: nnx's is between -1 and 1, where its slope is 1."""
    return _function("hard_tanh", _option("low", op.min, -1.0), _option("high", op.max, 1.0))


@lowers(Threshold)
def threshold(op: Threshold, context: Context) -> Lowered:
    """Our replace_below."""
    return _function("replace_below", Arg("limit", Const(op.threshold)), Arg("value", Const(op.value)))


@lowers(Softplus)
def softplus(op: Softplus, context: Context) -> Lowered:
    """Our linear_softplus: nnx's has no threshold."""
    return _function("linear_softplus", _option("beta", op.beta, 1.0), _option("limit", op.threshold, 20.0))


@lowers(HardShrink, SoftShrink)
def shrink(op: HardShrink | SoftShrink, context: Context) -> Lowered:
    """Our hard_shrink or soft_shrink."""
    function = "hard_shrink" if isinstance(op, HardShrink) else "soft_shrink"
    return _function(function, _option("limit", op.threshold, 0.5))


@lowers(Gelu)
def gelu(op: Gelu, context: Context) -> Lowered:
    """nnx.gelu, which approximates unless told not to."""
    return _function("nnx.gelu", _option("approximate", compare("==", op.approximate, "tanh"), True))


@lowers(Dropout)
def dropout(op: Dropout, context: Context) -> Lowered:
    """nnx.Dropout."""
    return Lowered(module=Call("nnx.Dropout", (_first("p", op.p), _RNGS)))


@lowers(DropPath)
def droppath(op: DropPath, context: Context) -> Lowered:
    """nnx.Dropout of whole samples."""
    axes = Arg("broadcast_dims", Const(tuple(range(1, len(context.inputs[0]) + 1))))
    return Lowered(module=Call("nnx.Dropout", (_first("p", op.p), axes, _RNGS)))


# Wiring


@lowers(InputOp)
def input_(op: InputOp, context: Context) -> Lowered:
    """Nothing: it is an argument of `__call__`."""
    return Lowered()


@lowers(Weight)
def weight(op: Weight, context: Context) -> Lowered:
    """Our `learned` or `kept_tensor`, an nnx.Param or not, whose array stands for it in the dtype to compute in."""
    init = initializer(op.start)
    sizes = (
        *op.stored[: len(op.stored) - len(op.shape)],
        *(op.infer().size(axis) for axis in laid_out(op.infer().axes)),
    )
    names = ["batch"] * op.batch + [_AXES[axis] for axis in laid_out(op.infer().axes)]
    args = (_first(name, size) for name, size in zip(names, sizes, strict=True))
    module = Call(
        "learned" if op.learned else "kept_tensor", (Arg("init", init, keyword=False), *args, *OPTIONS)
    )
    read = "value_of" if op.learned else "kept_value"
    return Lowered(module=module, function=Call(read, (Arg("", Self(), keyword=False),)))


_AXES = {"c": "channels", "h": "height", "w": "width", "n": "tokens"}


@lowers(Identity)
def identity(op: Identity, context: Context) -> Lowered:
    """Nothing but the input."""
    return Lowered(function=Input())


@lowers(Add, Sub, Mul)
def joint(op: Elementwise, context: Context) -> Lowered:
    """`a + b`, `a - b`, `a * b`."""
    first, *others = (_aligned(i, context) for i in range(len(context.inputs)))
    operator = {Add: "+", Sub: "-", Mul: "*"}[type(op)]
    return Lowered(function=reduce(lambda x, y: Binary(operator, x, y), others, first))


@lowers(Scale)
def scale(op: Scale, context: Context) -> Lowered:
    """The product with a number: `x * 0.1`."""
    return Lowered(function=Binary("*", Input(), Const(op.factor)))


@lowers(Offset)
def offset(op: Offset, context: Context) -> Lowered:
    """The sum with a number: `x + 1.0`."""
    return Lowered(function=Binary("+", Input(), Const(op.term)))


def _aligned(index: int, context: Context) -> Expr:
    """Give a batch of vectors axes of one between samples and channels, so that the channels meet."""
    missing = len(context.outputs[0]) - len(context.inputs[index])
    if not missing or not _batched(context, index):
        return Input(index)
    return Item(Input(index), ", ".join([":", *["None"] * missing]))


@lowers(Concat)
def concat(op: Concat, context: Context) -> Lowered:
    """jnp.concatenate; a learned tensor is repeated for every sample of the batch."""
    every, out = range(len(context.inputs)), context.outputs[0]
    sample = next((i for i in every if _batched(context, i)), None)
    axis = _axis(out, op.axis)
    tensors = tuple(
        Input(i) if sample is None or _batched(context, i) else _repeated(i, sample) for i in every
    )
    joined = Arg("arrays", Listed(tensors, "()"), keyword=False)
    return Lowered(function=Call("jnp.concatenate", (joined, Arg("axis", Const(axis), Const(0)))))


def _repeated(index: int, sample: int) -> Expr:
    """Return a learned tensor once for every sample of another input."""
    tensors = tuple(Arg(role, Input(i), keyword=False) for role, i in (("x", index), ("batch", sample)))
    return Call("repeat_for_batch", tensors)


@lowers(Split)
def split(op: Split, context: Context) -> Lowered:
    """jnp.split of the channels, into so many parts or at the places where one ends."""
    if op.whole:
        return Lowered(function=Input())
    axis = Arg("axis", Const(-1))
    if isinstance(op.parts, int):
        return Lowered(function=_apply("jnp.split", _first("sections", op.parts), axis))
    if symbolic(op.parts):
        return Lowered(function=_apply("split_by_sizes", _first("sizes", op.parts)))
    ends = Listed(tuple(map(Const, accumulate(op.parts[:-1]))))
    return Lowered(function=_apply("jnp.split", Arg("indices", ends, keyword=False), axis))


@lowers(Slice)
def slice_(op: Slice, context: Context) -> Lowered:
    """Our slice2d of a map, else our slice_along."""
    if op.of_map:
        to = _option("end", None if op.end is None else _pair(op.end), None)
        return Lowered(
            function=_apply(
                "slice2d", _first("begin", _pair(op.begin)), to, _option("stride", _pair(op.stride), (1, 1))
            )
        )
    ((name, begin, end, step),) = op.along()
    axis = _first("axis", _axis(context.inputs[0], name))
    args = axis, _first("begin", begin), _option("end", end, None), _option("step", step, 1)
    return Lowered(function=_apply("slice_along", *args))


@lowers(Shuffle)
def shuffle(op: Shuffle, context: Context) -> Lowered:
    """Our channel_shuffle."""
    return Lowered(function=_apply("channel_shuffle", _first("groups", op.groups)))


@lowers(Shift)
def shift(op: Shift, context: Context) -> Lowered:
    """Our shift2d."""
    return Lowered(function=_apply("shift2d", _first("by", tuple(op.by))))


@lowers(Roll)
def roll(op: Roll, context: Context) -> Lowered:
    """jnp.roll of rows and columns."""
    return Lowered(function=_apply("jnp.roll", _first("shift", op.down), _first("axis", (1, 2))))


@lowers(PadTo)
def pad_to(op: PadTo, context: Context) -> Lowered:
    """Our pad_to_multiple."""
    return Lowered(function=_apply("pad_to_multiple", _first("size", _pair(op.size))))


@lowers(Padding)
def pad(op: Padding, context: Context) -> Lowered:
    """Our pad2d, or pad_channels of what has no rows or needs none."""
    channels = _first("channels", (op.before, op.after))
    if context.inputs[0].axes != "chw" or (op.channels and not op.around):
        return _function("pad_channels", channels)
    rows, columns = _first("rows", op.rows), _first("columns", op.columns)
    mode = _option("mode", _MODES[op.mode], "constant")
    more = [channels.replace(keyword=True)] if op.channels else []
    return _function("pad2d", rows, columns, *more, mode)


_MODES = {"zeros": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}
"""What jnp.pad calls them."""


@lowers(Crop)
def crop(op: Crop, context: Context) -> Lowered:
    """Our crop_like, which finds the middle when it runs."""
    return Lowered(function=_apply("crop_like", Arg("like", Input(1), keyword=False)))


@lowers(Upsample)
def upsample(op: Upsample, context: Context) -> Lowered:
    """Our upsample2d, which repeats; our enlarge2d, which draws anew, or where an argument says which."""
    scale = _first("scale", op.scale)
    if op.mode == "nearest" and not symbolic(op.mode):
        return _function("upsample2d", scale)
    return _function("enlarge2d", scale, *_modes(op))


@lowers(Resize)
def resize(op: Resize, context: Context) -> Lowered:
    """Our resize2d, or resize_like for the size of another map."""
    if op.to is None:
        return Lowered(function=_apply("resize_like", Arg("like", Input(1), keyword=False), *_modes(op)))
    return _function("resize2d", _first("size", _pair(op.to)), *_modes(op))


def _modes(op: Resampling) -> tuple[Arg, ...]:
    """Return how a map is drawn anew."""
    return _option("mode", op.mode, "nearest"), _option("align_corners", op.align_corners, False)


@lowers(Expand)
def expand(op: Expand, context: Context) -> Lowered:
    """Our expand_channels."""
    return Lowered(function=_apply("expand_channels", _first("channels", op.channels)))


@lowers(Map)
def map_(op: Map, context: Context) -> Lowered:
    """Our map_of_tokens; map_like for the size of another map."""
    if op.to is None:
        return Lowered(function=_apply("map_like", Arg("like", Input(1), keyword=False)))
    return _function("map_of_tokens", _first("size", _pair(op.to)))


@lowers(PixelShuffle, PixelUnshuffle)
def pixel_shuffle(op: PixelShuffle | PixelUnshuffle, context: Context) -> Lowered:
    """Our depth_to_space, space_to_depth."""
    name = "depth_to_space" if isinstance(op, PixelShuffle) else "space_to_depth"
    return _function(name, _first("factor", op.factor))


@lowers(Permute)
def permute(op: Permute, context: Context) -> Lowered:
    """x.transpose(0, 2, 1, 3), or x where the order that it asks for is how values lie here anyway."""
    before, after = (laid_out(shape.axes) for shape in (context.inputs[0], context.outputs[0]))
    if before == after:
        return Lowered(module=Name("nnx.identity"), function=Input())
    axes = (0, *(before.index(axis) + 1 for axis in after))
    module = Call(
        "partial", (Arg("function", Name("jnp.transpose"), keyword=False), Arg("axes", Const(axes)))
    )
    return Lowered(module=module, function=_method("transpose", *(_first("axes", axis) for axis in axes)))


@lowers(Flatten)
def flatten(op: Flatten, context: Context) -> Lowered:
    """Our flatten_chw of a map; tokens lie in order."""
    name = "flatten_chw" if context.inputs[0].axes == "chw" else "flatten_samples"
    return _function(name)


@lowers(Unflatten)
def unflatten(op: Unflatten, context: Context) -> Lowered:
    """Our unflatten_samples."""
    return _function("unflatten_samples", _first("parts", op.parts))


@lowers(Tokens)
def tokens(op: Tokens, context: Context) -> Lowered:
    """Our tokens_of_map."""
    return _function("tokens_of_map")


@lowers(Token)
def token(op: Token, context: Context) -> Lowered:
    """x[:, index], or our take_token as a layer."""
    module = _bound("take_token", _first("index", op.index))
    return Lowered(module=module, function=Item(Input(), (Name(":"), Const(op.index))))


# What Flax's own examples would write


LECUN = Call("nnx.initializers.lecun_normal", ())
"""How Flax starts kernels."""


def _idiomatic(lowering: Lowering) -> Lowering:
    """Return a lowering without what is there to equal torch: its initial weights."""

    def lower(op: Any, context: Context) -> Lowered:
        found = lowering(op, context)
        module, function = (
            None if expr is None else transform(expr, _plain) for expr in (found.module, found.function)
        )
        return found.replace(module=module, function=function)

    return lower


def _plain(expr: Expr) -> Expr | None:
    """Return what stands for a part of an op, if another does."""
    if not isinstance(expr, Call):
        return None
    return expr.replace(args=tuple(map(_started, expr.args))) if any(map(_of_torch, expr.args)) else None


def _of_torch(arg: Arg) -> bool:
    """Tell whether an initializer is torch's, which the spec does not ask for."""
    return isinstance(arg.value, FanIn) or arg.value in (
        initializer(Init("default")),
        _third(Init("default")),
    )


def _started(arg: Arg) -> Arg:
    """Return an initializer as Flax's, where it is torch's."""
    zeros = Name("nnx.initializers.zeros")
    return arg.replace(value=zeros if isinstance(arg.value, FanIn) else LECUN) if _of_torch(arg) else arg


IDIOMATIC: Lowerings[Lowering] = Lowerings("flax", _idiomatic)
IDIOMATIC.update({op: _idiomatic(lowering) for op, lowering in LOWERINGS.items()})

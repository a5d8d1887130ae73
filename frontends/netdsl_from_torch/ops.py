"""What functions of torch are as ops: one function for each, under torch's own names and with its own arguments.

An argument that the op cannot say is a reason, never dropped: what a function here does not name it does not take.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from netdsl.ir.graph import Value
from netdsl.ir.types import Dims, Init, Pad
from netdsl.ops import catalogue
from netdsl.ops.activation import (
    Activation,
    Celu,
    Elu,
    Gelu,
    Glu,
    HardShrink,
    HardTanh,
    HSigmoid,
    HSwish,
    LeakyRelu,
    LogSoftmax,
    PRelu,
    Relu,
    Relu6,
    RRelu,
    Softmax,
    Softplus,
    SoftShrink,
    Threshold,
)
from netdsl.ops.attention import Attend, MatMul
from netdsl.ops.base import Op
from netdsl.ops.conv import Conv, Convolution, DwConv, UpConv
from netdsl.ops.dropout import Dropout, DropPath
from netdsl.ops.joint import Add, Concat, Mul, Offset, Scale, Sub
from netdsl.ops.layout import Flatten, PixelShuffle, PixelUnshuffle, Unflatten
from netdsl.ops.linear import Linear
from netdsl.ops.move import Padding, Roll, Shift, Shuffle
from netdsl.ops.norm import (
    BatchNorm,
    GroupNorm,
    InstanceNorm,
    LayerNorm,
    LocalResponseNorm,
    Norm,
    RmsNorm,
)
from netdsl.ops.part import Slice, Split, Token
from netdsl.ops.pool import AvgPool, GlobalAvgPool, MaxPool
from netdsl.ops.reduce import Amax, Mean, Reduction
from netdsl.ops.resize import Resize, Upsample
from netdsl.ops.source import Weight
from netdsl.ops.window import SAME, VALID
from netdsl_from_torch.common import dims_of, pair_of, size_of, stride_of
from netdsl_from_torch.layout import BATCH, Atom, Drawn, Layout, Places, Scores, Unfit, Unknown, whole

if TYPE_CHECKING:
    from torch import Tensor

    from netdsl_from_torch.translate import Translation

Translate = Callable[..., Any]
FUNCTIONS: dict[str, Translate] = {}
"""By torch's name of a function, or of a method without its underscore, what it is: layouts, or numbers."""
DRAWING = ("bernoulli_",)
"""Functions that draw numbers, whatever they are given."""


def translates(*names: str) -> Callable[[Translate], Translate]:
    """Register what some functions of torch are."""

    def register(function: Translate) -> Translate:
        FUNCTIONS.update(dict.fromkeys(names, function))
        return function

    return register


def _need(holds: object, message: str) -> None:
    """Raise Unknown where an argument has a value that no op can say."""
    if not holds:
        raise Unknown(message)


def _axis(x: Layout, dim: int) -> str:
    """Return the letter of the axis that is all of a dimension."""
    atoms = x.dims[dim]
    if len(atoms) == 1 and atoms[0].axis in x.shape.axes:
        (atom,) = atoms
        if atom.size == x.shape.size(atom.axis):
            return atom.axis
    raise Unfit(f"dimension {dim} of {x.sizes} is no axis of a value")


def _letter(at: Translation, x: Layout, dim: int) -> tuple[Layout, str]:
    """Return a tensor as a value as it is, and the letter of one of its dimensions."""
    y = at.settled(x)
    return y, y.shape.axes[dim % len(x.dims) - 1]


# ---------------------------------------------------------------- layers with weights


def _home(at: Translation, parts: dict[str, Any]) -> str:
    """Return the path of the layer whose tensors these are, by the names that they have there."""
    homes = set()
    for name, tensor in parts.items():
        if tensor is None:
            continue
        key = at.key(tensor)
        _need(key, f"its {name} is no parameter of the model, but computed")
        path, _, last = key.rpartition(".")
        _need(last == name, f"its {name} is called `{key}` in the model's state")
        homes.add(path)
    _need(len(homes) == 1, f"its tensors belong to several modules: {', '.join(sorted(homes))}")
    return homes.pop()


def _windows(kernel: Sequence[int], stride: Any, dilation: Any) -> dict[str, Any]:
    return {"kernel": dims_of(kernel), "stride": size_of(stride), "dilation": size_of(dilation)}


def _padding(padding: Any, kernel: Sequence[int], dilation: Any, usual: Pad = SAME) -> Pad:
    """Return padding as an op has it: `same` where it is half of what an odd kernel covers."""
    covered = [d * (k - 1) + 1 for d, k in zip(pair_of(dilation), kernel, strict=True)]
    if padding == "same":
        _need(all(n % 2 for n in covered), "padding='same' of an even kernel")
        return SAME
    if padding == "valid":
        padding = 0
    sides = pair_of(padding)
    if usual == SAME and all(n % 2 for n in covered) and sides == tuple(n // 2 for n in covered):
        return SAME
    return VALID if sides == (0, 0) else Pad("explicit", sides)


@translates("conv2d")
def conv2d(
    at: Translation,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Layout:
    """conv, or dwconv where each channel has its own filters."""
    home = _home(at, {"weight": weight, "bias": bias})
    x = at.map(input)
    return at.put(convolution(x.shape.c, weight, bias, stride, padding, dilation, groups), x, home=home)


def convolution(
    c: int, weight: Tensor, bias: Any, stride: Any, padding: Any, dilation: Any, groups: int
) -> Convolution:
    """Return the op of a convolution's arguments."""
    out, _, *kernel = weight.shape
    args = _windows(kernel, stride, dilation)
    args |= {"pad": _padding(padding, kernel, dilation), "bias": bias is not None}
    if groups == c and groups > 1:
        return DwConv(multiplier=out // c, **args)
    return Conv(channels=out, groups=groups, **args)


@translates("conv_transpose2d")
def conv_transpose2d(
    at: Translation,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Layout:
    """Upconv."""
    home = _home(at, {"weight": weight, "bias": bias})
    _, out, *kernel = weight.shape
    op = UpConv(
        channels=out * groups,
        groups=groups,
        pad=_padding(padding, kernel, dilation, VALID),
        output_pad=size_of(output_padding),
        bias=bias is not None,
        **_windows(kernel, stride, dilation),
    )
    return at.put(op, at.map(input), home=home)


@translates("linear")
def linear(at: Translation, input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Layout:
    """Fc."""
    home = _home(at, {"weight": weight, "bias": bias})
    return of_rows(at, Linear(channels=weight.shape[0], bias=bias is not None), input, home)


def of_rows(at: Translation, op: Op, input: Tensor, home: str) -> Layout:
    """Put an op of each token's channels; tokens of all samples may come in any order, such as in one dimension."""
    x = at.layout(input)
    if key := at.key(input):
        return at.put(op, _steps_between(at, x, key) or at.settled(x), home=home)
    if at.stored(x):  # as a part of it, or for each sample
        return at.put(op, at.settled(x), home=home)
    base = at.whole(x.value)
    if (
        x.shape.axes[-1] != "c" and x.dims[0] != base.dims[0] and base.dims[0] in x.dims
    ):  # samples are not first
        order = sorted(range(len(x.dims)), key=lambda dim: dim != x.dims.index(base.dims[0]))
        z = at.put(op, at.settled(x.permuted(order)), home=home)
        return z.permuted([order.index(dim) for dim in range(len(order))])
    channels = (Atom("c", 1, x.shape.c),)
    rows = [atom for dim in x.dims[:-1] for atom in dim]
    own = [atom for dim in base.dims[:-1] for atom in dim]
    if x.dims[0] == base.dims[0] or x.shape.axes[-1] != "c" or x.dims[-1] != channels or {*rows} != {*own}:
        return at.put(op, at.settled(x), home=home)
    y = at.put(op, base, home=home)
    return y.replace(dims=(*x.dims[:-1], y.dims[-1]))


def _steps_between(at: Translation, x: Layout, key: str) -> Layout | None:
    """Return a buffer of how far the places of windows are apart, in both directions; None if it is another."""
    shape = tuple(x.shape)
    if len(shape) != 4 or (shape[0], shape[-1]) != (1, 2) or not shape[1] % 2 == shape[2] % 2 == 1:
        return None
    coords = {"": Init("relative_coords")}
    return at.put(Weight(shape=shape[1:], axes="hwc", batch=True, learned=False, inits=coords), home=key)


@translates("batch_norm")
def batch_norm(
    at: Translation,
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
    cudnn_enabled: bool = True,
) -> Layout:
    """Bn."""
    _need(running_mean is not None and running_var is not None, "it keeps no running statistics")
    _need(training or not at.train, "it does not learn from batches in training")
    _need((weight is None) == (bias is None), "it has a weight and no bias")
    tensors = {"running_mean": running_mean, "running_var": running_var, "weight": weight, "bias": bias}
    home = _home(at, tensors)
    op = BatchNorm(eps=eps, momentum=momentum, affine=weight is not None)
    return at.put(op, at.settled(input), home=home)


def _affine(at: Translation, weight: Tensor | None, bias: Tensor | None) -> str:
    return _home(at, {"weight": weight, "bias": bias}) if weight is not None else ""


@translates("layer_norm")
def layer_norm(
    at: Translation,
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
    cudnn_enable: bool = True,
) -> Layout:
    """ln, over the channels."""
    _need(weight is not None or bias is None, "it has a bias and no weight")
    op = LayerNorm(eps=eps, affine=weight is not None, bias=bias is not None or weight is None)
    return _over_channels(at, op, input, normalized_shape, _affine(at, weight, bias))


@translates("rms_norm")
def rms_norm(
    at: Translation,
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    eps: float | None = None,
) -> Layout:
    """rms_norm, over the channels."""
    if eps is None:
        raise Unknown("its eps is that of the dtype")
    op = RmsNorm(eps=eps, affine=weight is not None)
    return _over_channels(at, op, input, normalized_shape, _affine(at, weight, None))


def _over_channels(
    at: Translation, op: Norm, input: Tensor, normalized_shape: Sequence[int], home: str
) -> Layout:
    """Normalise the last dimension, which has to be the channels, wherever they are in the value."""
    x = at.layout(input)
    if len(normalized_shape) == 1 and x.dims[-1] == (Atom("c", 1, x.shape.c),) and x.shape.axes == "chw":
        if set(x.dims) == set(whole(x.value, x.shape, at.batch).dims):
            return at.put(op, whole(x.value, x.shape, at.batch), home=home).replace(dims=x.dims)
    y, axis = _letter(at, x, -1)
    if len(normalized_shape) != 1 or axis != "c":
        raise Unfit("it normalises more than the channels")
    return at.put(op, y, home=home)


@translates("group_norm")
def group_norm(
    at: Translation,
    input: Tensor,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
    cudnn_enabled: bool = True,
) -> Layout:
    """Gn."""
    _need((weight is None) == (bias is None), "it has a weight and no bias")
    op = GroupNorm(groups=num_groups, eps=eps, affine=weight is not None)
    return at.put(op, at.settled(input), home=_affine(at, weight, bias))


@translates("instance_norm")
def instance_norm(
    at: Translation,
    input: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
    cudnn_enabled: bool = True,
) -> Layout:
    """instance_norm, which keeps no running statistics."""
    _need(running_mean is None and use_input_stats, "it keeps running statistics")
    op = InstanceNorm(eps=eps, affine=weight is not None)
    return at.put(op, at.map(input), home=_affine(at, weight, bias))


@translates("local_response_norm")
def local_response_norm(
    at: Translation, input: Tensor, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Layout:
    """Lrn."""
    return at.put(LocalResponseNorm(size=size, alpha=alpha, beta=beta, k=k), at.map(input))


@translates("prelu")
def prelu(at: Translation, input: Tensor, weight: Tensor) -> Layout:
    """prelu, with one slope or one for each channel."""
    return at.put(PRelu(shared=weight.numel() == 1), at.settled(input), home=_home(at, {"weight": weight}))


# ---------------------------------------------------------------- activations


def _plain() -> dict[str, type[Op]]:
    """Return by the name of torch's function the activations that take no numbers."""
    found: dict[str, type[Op]] = {}
    for op in catalogue().values():
        if issubclass(op, Activation) and not op._fields[len(Activation._fields) :]:
            found |= {
                name: op
                for text in op.elsewhere.torch.split(", ")
                if text.startswith(("F.", "torch."))
                for name in [text.rpartition(".")[2]]
            }
    return found


def _plainly(op: type[Op]) -> Translate:
    def function(at: Translation, input: Tensor, inplace: bool = False) -> Layout:
        return at.pointwise(op(), input)

    return function


FUNCTIONS.update({name: _plainly(op) for name, op in _plain().items()})


@translates("leaky_relu")
def leaky_relu(at: Translation, input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Layout:
    """leaky_relu."""
    return at.pointwise(LeakyRelu(slope=negative_slope), input)


@translates("elu")
def elu(at: Translation, input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Layout:
    """Elu."""
    return at.pointwise(Elu(alpha=alpha), input)


@translates("celu")
def celu(at: Translation, input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Layout:
    """Celu."""
    return at.pointwise(Celu(alpha=alpha), input)


@translates("hardtanh")
def hardtanh(
    at: Translation, input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False
) -> Layout:
    """Hardtanh, or relu6, as torch's own class for that calls it."""
    return at.pointwise(_between(min_val, max_val), input)


def _between(least: float, most: float) -> Activation:
    return Relu6() if (least, most) == (0, 6) else HardTanh(min=float(least), max=float(most))


@translates("clamp", "clip")
def clamp(at: Translation, input: Tensor, min: float | None = None, max: float | None = None) -> Layout:
    """hardtanh, relu or relu6."""
    if min == 0 and max is None:
        return at.pointwise(Relu(), input)
    if not isinstance(min, int | float) or not isinstance(max, int | float):
        raise Unknown("it clamps on one side, or by a tensor")
    return at.pointwise(_between(min, max), input)


@translates("threshold")
def threshold(
    at: Translation, input: Tensor, threshold: float, value: float, inplace: bool = False
) -> Layout:
    """Threshold."""
    return at.pointwise(Threshold(threshold=float(threshold), value=float(value)), input)


@translates("softplus")
def softplus(at: Translation, input: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Layout:
    """Softplus."""
    return at.pointwise(Softplus(beta=float(beta), threshold=float(threshold)), input)


@translates("hardshrink")
def hardshrink(at: Translation, input: Tensor, lambd: float = 0.5) -> Layout:
    """Hardshrink."""
    return at.pointwise(HardShrink(threshold=float(lambd)), input)


@translates("softshrink")
def softshrink(at: Translation, input: Tensor, lambd: float = 0.5) -> Layout:
    """Softshrink."""
    return at.pointwise(SoftShrink(threshold=float(lambd)), input)


@translates("gelu")
def gelu(at: Translation, input: Tensor, approximate: str = "none") -> Layout:
    """Gelu."""
    return at.pointwise(Gelu(approximate=approximate), input)


@translates("rrelu")
def rrelu(
    at: Translation,
    input: Tensor,
    lower: float = 1 / 8,
    upper: float = 1 / 3,
    training: bool = False,
    inplace: bool = False,
) -> Layout:
    """Rrelu."""
    _need(training or not at.train, "it draws nothing in training")
    return at.pointwise(RRelu(lower=lower, upper=upper), input)


@translates("softmax", "_softmax")
def softmax(
    at: Translation, input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None
) -> Layout | Scores:
    """Softmax over an axis."""
    return _softmax(at, Softmax, input, dim, dtype)


@translates("log_softmax")
def log_softmax(
    at: Translation, input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None
) -> Layout | Scores:
    """log_softmax over an axis."""
    return _softmax(at, LogSoftmax, input, dim, dtype)


def _softmax(at: Translation, op: type[Any], input: Tensor, dim: int | None, dtype: Any) -> Layout | Scores:
    _need(dtype is None or dtype == input.dtype, "it changes the dtype")
    _need(dim is not None, "it does not say along which dimension")
    assert dim is not None
    scores = at.scores(input)
    if scores is not None:
        _need(
            op is Softmax and dim in (-1, input.ndim - 1) and not scores.shares,
            "scores are compared otherwise",
        )
        return scores.replace(shares=True)
    x = at.layout(input)
    if op is Softmax and _of_channels(x, dim):
        return _among_parts(at, x, dim % len(x.dims))
    x, axis = _letter(at, x, dim)
    return at.put(op(axis=axis), x)


def _of_channels(x: Layout, dim: int) -> bool:
    """Tell whether a dimension is some of the channels, and not all, of what has no other axes."""
    return "c" in x.shape.axes and x.shape.c == x.shape.elements and 1 < x.sizes[dim] < x.shape.c


def _among_parts(at: Translation, x: Layout, dim: int) -> Layout:
    """Compare equal parts of the channels, which are made tokens."""
    order = [0, dim, *(other for other in range(1, len(x.dims)) if other != dim)]
    moved = x.permuted(order)
    rows = at.put(Unflatten(parts=moved.sizes[1]), at.settled(moved.flattened()))
    y = at.put(Flatten(), at.put(Softmax(axis="n"), rows)).reshaped(moved.sizes)
    return y.permuted([order.index(to) for to in range(len(order))])


@translates("glu")
def glu(at: Translation, input: Tensor, dim: int = -1) -> Layout:
    """glu, of the channels."""
    x, axis = _letter(at, at.layout(input), dim)
    _need(axis == "c", "it halves what are no channels")
    return at.put(Glu(), x)


@translates("dropout")
def dropout(
    at: Translation, input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Layout | Scores:
    """dropout, or nothing where it does not train."""
    scores = at.scores(input)
    if scores is not None:
        _need(not training or p == 0, f"it drops scores, p={p}")
        return scores
    if not training:
        return at.layout(input)
    _need(at.train, "it drops in evaluation")
    return at.pointwise(Dropout(p=float(p)), input)


@translates("new_empty")
def new_empty(at: Translation, input: Tensor, *_: Any, **__: Any) -> Drawn:
    """Room for what is drawn, which holds nothing yet."""
    return Drawn(keep=1.0, factor=0.0)


@translates("bernoulli_")
def bernoulli(at: Translation, input: Tensor, p: float = 0.5, generator: Any = None) -> Drawn:
    """Which samples a branch keeps, as `droppath` draws them."""
    _need(
        isinstance(p, int | float) and generator is None, "it draws with other probabilities, or generators"
    )
    _need(tuple(input.shape) == (at.batch, *[1] * (input.ndim - 1)), "it draws more than a number a sample")
    _need(at.train, "it draws in evaluation")
    return Drawn(keep=float(p))


def _dropped(at: Translation, x: Tensor, drawn: Drawn) -> Layout:
    """Return droppath, with its probability as the module around has it."""
    keep = drawn.keep
    _need(keep == 0 or abs(drawn.factor * keep - 1) < 1e-12, "what is kept is not divided by its probability")
    held = [value for value in vars(at.frame.module).values() if type(value) is float and 1 - value == keep]
    short = (round(1 - keep, digits) for digits in range(17))
    return at.pointwise(DropPath(p=next((p for p in (*held, *short) if 1 - p == keep), 1 - keep)), x)


# ---------------------------------------------------------------- pools, sizes


@translates("max_pool2d")
def max_pool2d(
    at: Translation,
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Layout:
    """Maxpool."""
    _need(not return_indices, "it returns where the largest are")
    op = MaxPool(
        kernel=dims_of(kernel_size),
        stride=stride_of(kernel_size, stride),
        pad=_padding(padding, pair_of(kernel_size), 1, VALID),
        dilation=size_of(dilation),
        ceil=ceil_mode,
    )
    return at.put(op, at.map(input))


@translates("max_pool2d_with_indices", "adaptive_max_pool2d_with_indices")
def with_indices(at: Translation, input: Tensor, *_: Any, **__: Any) -> Layout:
    """Nothing: no op has two results of a pool."""
    raise Unknown("it returns where the largest are")


@translates("avg_pool2d")
def avg_pool2d(
    at: Translation,
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Layout:
    """Avgpool."""
    _need(divisor_override is None, "it divides by another number than the window's size")
    pad = _padding(padding, pair_of(kernel_size), 1, VALID)
    op = AvgPool(
        kernel=dims_of(kernel_size),
        stride=stride_of(kernel_size, stride),
        pad=pad,
        ceil=ceil_mode,
        count_include_pad=count_include_pad or (pad == VALID and not ceil_mode),
    )
    return at.put(op, at.map(input))


@translates("adaptive_avg_pool2d")
def adaptive_avg_pool2d(at: Translation, input: Tensor, output_size: Any) -> Layout:
    """Avgpool to=."""
    return at.put(AvgPool(to=_to(input, output_size)), at.map(input))


@translates("adaptive_max_pool2d")
def adaptive_max_pool2d(
    at: Translation, input: Tensor, output_size: Any, return_indices: bool = False
) -> Layout:
    """Maxpool to=."""
    _need(not return_indices, "it returns where the largest are")
    return at.put(MaxPool(to=_to(input, output_size)), at.map(input))


def _to(input: Tensor, size: Any) -> Dims:
    sizes = (size, size) if isinstance(size, int) or size is None else tuple(size)
    _need(None not in sizes, "an axis keeps its size, whatever that is")
    return Dims(map(int, sizes))


@translates("interpolate")
def interpolate(
    at: Translation,
    input: Tensor,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Layout:
    """Upsample by a whole number, resize to a size, or to that of an input."""
    _need(not antialias, "antialias=True")
    _need(mode in ("nearest", "bilinear", "bicubic"), f"mode='{mode}'")
    args: dict[str, Any] = {"mode": mode, "align_corners": bool(align_corners)}
    x = at.map(input)
    if size is None:
        scales = (scale_factor,) * 2 if isinstance(scale_factor, int | float) else tuple(scale_factor)
        whole_number = len({*scales}) == 1 and float(scales[0]).is_integer() and scales[0] >= 1
        _need(whole_number, f"scale_factor={scale_factor} is no whole number")
        return at.put(Upsample(scale=int(scales[0]), **args), x)
    to = pair_of(size)
    like = at.as_large(to, x)
    if like is not None:
        return at.put(Resize(**args), x, like)
    return at.put(Resize(to=dims_of(size), **args), x)


@translates("pad")
def pad(
    at: Translation, input: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None
) -> Layout:
    """pad, of rows, columns and channels; or shift, where zeros come in at one side for what leaves at the other."""
    _need(not value or mode != "constant", f"it pads with {value}")
    x = at.settled(input)
    sides = {"c": (0, 0), "h": (0, 0), "w": (0, 0)}
    for index in range(len(pad) // 2):
        axis = (BATCH + x.shape.axes)[len(x.dims) - 1 - index]
        both_sides = int(pad[2 * index]), int(pad[2 * index + 1])
        if both_sides == (0, 0):
            continue
        _need(axis in sides, f"it pads axis {axis}")
        sides[axis] = both_sides
    (top, bottom), (left, right) = sides["h"], sides["w"]
    moved = top + bottom == left + right == 0 and min(bottom, right) >= 0 < max(bottom, right)
    if moved and mode == "constant" and sides["c"] == (0, 0):
        return at.put(Shift(by=Dims((bottom, right))), x)
    _need(min(*sides["c"], *sides["h"], *sides["w"]) >= 0, "it pads by less than nothing")
    names = {"constant": "zeros"}
    args: dict[str, Any] = {"before": sides["c"][0], "after": sides["c"][1], "mode": names.get(mode, mode)}
    if top == bottom and left == right:
        args["by"] = size_of((top, left))
    else:
        each = {"top": top, "bottom": bottom, "left": left, "right": right}
        args |= {side: size for side, size in each.items() if size}
    if not any((*sides["h"], *sides["w"], *sides["c"])):
        return x
    return at.put(Padding(**args), x)


@translates("pixel_shuffle")
def pixel_shuffle(at: Translation, input: Tensor, upscale_factor: int) -> Layout:
    """pixel_shuffle."""
    return at.put(PixelShuffle(factor=upscale_factor), at.map(input))


@translates("pixel_unshuffle")
def pixel_unshuffle(at: Translation, input: Tensor, downscale_factor: int) -> Layout:
    """pixel_unshuffle."""
    return at.put(PixelUnshuffle(factor=downscale_factor), at.map(input))


@translates("channel_shuffle", "native_channel_shuffle")
def channel_shuffle(at: Translation, input: Tensor, groups: int) -> Layout:
    """Shuffle."""
    return at.put(Shuffle(groups=groups), at.map(input))


@translates("roll")
def roll(at: Translation, input: Tensor, shifts: Any, dims: Any = None) -> Layout:
    """roll, of rows and columns, wherever they are in the tensor."""
    x = at.layout(input)
    by = {"h": 0, "w": 0}
    steps = (shifts,) if isinstance(shifts, int) else tuple(shifts)
    for step, dim in zip(steps, (dims,) if isinstance(dims, int) else dims or (), strict=True):
        axis = _axis(x, dim)
        _need(axis in by, f"it rolls axis {axis}")
        by[axis] += step
    rows, columns = by["h"], by["w"]
    _need(rows * columns >= 0 and x.shape.axes == "chw", "it rolls rows and columns in opposite directions")
    op = Roll(by=Dims((abs(rows), abs(columns))), back=min(rows, columns) >= 0 < max(rows, columns))
    return at.put(op, whole(x.value, x.shape, at.batch)).replace(dims=x.dims)


# ---------------------------------------------------------------- joints, products, means


@translates("add", "__add__", "__radd__", "__iadd__", "add_")
def add(at: Translation, input: Any, other: Any, alpha: float = 1) -> Layout:
    """add, or offset by a number."""
    _need(alpha == 1, f"alpha={alpha}")
    number = other if isinstance(other, int | float) else input
    if isinstance(number, int | float):
        return _offset(at, input if number is other else other, number)
    return at.joined(Add, input, other)


def _offset(at: Translation, x: Any, number: float) -> Layout:
    return at.pointwise(Offset(term=float(number)), x) if number else at.layout(x)


@translates("sub", "__sub__", "__isub__", "subtract")
def sub(at: Translation, input: Any, other: Any, alpha: float = 1) -> Layout:
    """sub, or offset by a number."""
    _need(alpha == 1, f"alpha={alpha}")
    if isinstance(other, int | float):
        return _offset(at, input, -other)
    return rsub(at, other, input) if isinstance(input, int | float) else at.joined(Sub, input, other)


@translates("rsub", "__rsub__")
def rsub(at: Translation, input: Any, other: Any, alpha: float = 1) -> Layout:
    """The other way about, such as `1 - x`."""
    _need(alpha == 1, f"alpha={alpha}")
    return _offset(at, neg(at, input), other) if isinstance(other, int | float) else sub(at, other, input)


@translates("neg", "negative", "__neg__")
def neg(at: Translation, input: Tensor) -> Layout:
    """`scale -1`."""
    return at.pointwise(Scale(factor=-1.0), input)


@translates("mul", "__mul__", "__rmul__", "__imul__", "multiply")
def mul(at: Translation, input: Any, other: Any) -> Layout | Scores:
    """mul, or scale by a number, or droppath."""
    for x, drawn in ((input, at.drawn(other)), (other, at.drawn(input))):
        if drawn is not None:
            return _dropped(at, x, drawn)
    if isinstance(other, int | float):
        scores = at.scores(input)
        if scores is not None:
            _need(not scores.shares, "shares are multiplied by a number")
            return scores.replace(scale=scores.scale * other)
        return at.pointwise(Scale(factor=float(other)), input) if other != 1 else at.layout(input)
    if isinstance(input, int | float):
        swapped: Layout | Scores = mul(at, other, input)
        return swapped
    return at.joined(Mul, input, other)


@translates("div", "__truediv__", "__itruediv__", "true_divide", "divide")
def div(at: Translation, input: Any, other: Any, rounding_mode: str | None = None) -> Layout | Drawn:
    """scale, by the inverse of a number; hsigmoid and hswish by hand: relu6(x + 3) / 6, x * relu6(x + 3) / 6."""
    _need(rounding_mode is None, f"rounding_mode='{rounding_mode}'")
    _need(isinstance(other, int | float), "it divides by a tensor")
    drawn = at.drawn(input)
    if drawn is not None and other:
        return drawn.replace(factor=drawn.factor / other)
    _need(other, "it divides by 0")
    x = at.layout(input)
    by_hand = _hard(at, x.value) if other == 6 and not at.key(input) else None
    if by_hand is not None:
        op, value = by_hand
        return at.put(op, at.whole(value)).replace(dims=x.dims)
    return at.pointwise(Scale(factor=1 / other), x)


def _hard(at: Translation, value: Value) -> tuple[Activation, Value] | None:
    """Return the activation of which a value is six times what it makes, and its input; None for others."""
    made = at.made[int(value.node)]
    if isinstance(made.op, Relu6):
        (moved,) = (at.made[int(one.node)] for one in made.inputs)
        return (HSigmoid(), moved.inputs[0]) if moved.op == Offset(term=3.0) else None
    if isinstance(made.op, Mul):
        for x, gate in (made.inputs, made.inputs[::-1]) if len(made.inputs) == 2 else ():
            if isinstance(at.made[int(gate.node)].op, Relu6) and _hard(at, gate) == (HSigmoid(), x):
                return HSwish(), x
    return None


@translates("stack")
def stack(at: Translation, tensors: Sequence[Tensor], dim: int = 0) -> Layout:
    """concat, whose parts are a dimension of their own."""
    parts = [at.settled(tensor) for tensor in tensors]
    first = parts[0]
    dim %= len(first.dims) + 1
    _need(dim == 1 and first.shape.axes[0] == "c", "it stacks otherwise than before the channels")
    y = at.put(Concat(), *parts) if len(parts) > 1 else first
    return y.reshaped((at.batch, len(parts), *first.sizes[1:]))


@translates("cat", "concat", "concatenate")
def cat(at: Translation, tensors: Sequence[Tensor], dim: int = 0, axis: int | None = None) -> Layout:
    """concat, along an axis."""
    parts = [at.settled(tensor) for tensor in tensors if tensor.numel()]
    _need(parts, "it joins nothing")
    dim = (dim if axis is None else axis) % len(parts[0].dims)
    _need(dim > 0, "it joins samples")
    if len(parts) == 1:
        return parts[0]
    letter = next((part.shape.axes[dim - 1] for part in parts if len(part.dims) > len(part.shape)), "c")
    return at.put(Concat(axis=letter), *parts)


@translates("sum")
def sum_(at: Translation, input: Tensor, dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Layout:
    """add, of parts of the channels that were made a dimension of their own."""
    _need(dtype is None or dtype == input.dtype, "it changes the dtype")
    dims = (dim,) if isinstance(dim, int) else tuple(dim or ())
    _need(len(dims) == 1, "it sums along several dimensions")
    x, at_ = at.layout(input), dims[0] % input.ndim
    atoms = x.dims[at_]
    _need(
        len(atoms) == 1 and atoms[0].axis == "c" and atoms[0].stride > 1, "it sums along an axis of a value"
    )
    parts: tuple[Layout, ...] = unbind(at, x, at_)
    first = parts[0]
    for other in parts[1:]:
        first = at.joined(Add, first, other)
    return first.replace(dims=(*first.dims[:at_], (), *first.dims[at_:])) if keepdim else first


@translates("mean")
def mean(at: Translation, input: Tensor, dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Layout:
    """Gap of rows and columns, or mean."""
    _need(dtype is None or dtype == input.dtype, "it changes the dtype")
    return _reduced(at, Mean, input, dim, keepdim)


@translates("max")
def max_(at: Translation, input: Tensor, dim: Any = None, keepdim: bool = False) -> tuple[Layout, Places]:
    """amax, and where the largest are, which no op says."""
    _need(isinstance(dim, int), "it has no dimension, or is of two tensors")
    return amax(at, input, dim, keepdim), Places()


@translates("amax")
def amax(at: Translation, input: Tensor, dim: Any = (), keepdim: bool = False) -> Layout:
    """Amax."""
    return _reduced(at, Amax, input, dim, keepdim)


def _reduced(at: Translation, op: type[Reduction], input: Tensor, dim: Any, keepdim: bool) -> Layout:
    _need(dim is not None and dim != (), "it reduces over the samples too")
    x = at.settled(input)
    dims = [one % len(x.dims) for one in ((dim,) if isinstance(dim, int) else dim)]
    _need(0 not in dims, "it reduces over the samples too")
    axes = "".join(x.shape.axes[at_] for at_ in sorted(one - 1 for one in dims))
    if op is Mean and axes == "hw" and x.shape.axes == "chw" and not keepdim:
        return at.put(GlobalAvgPool(), x)
    return at.put(op(axes=axes, keep=keepdim), x)


# ---------------------------------------------------------------- attention


@translates("scaled_dot_product_attention")
def scaled_dot_product_attention(
    at: Translation,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Layout:
    """Attend."""
    _need(attn_mask is None and not is_causal, "it has a mask")
    _need(dropout_p == 0, f"it drops scores, dropout_p={dropout_p}")
    _need(not enable_gqa, "enable_gqa=True")
    (q, heads), (k, other) = _by_heads(at, at.layout(query)), _by_heads(at, at.layout(key))
    _need(heads == other, "queries and keys have other heads")
    return _attended(at, q, k, value, heads, scale)


def _by_heads(at: Translation, x: Layout) -> tuple[Layout, int]:
    """Return the tokens of which a tensor is the heads, samples x heads x n x c/heads, and how many there are."""
    _need(len(x.dims) == 4, f"it takes {len(x.dims)} dimensions")
    samples, heads, rows, inner = x.dims
    tokens = at.settled(x.with_dims((samples, rows, heads + inner)))
    _need(tokens.shape.axes == "nc", "it takes what are no tokens")
    return tokens, x.sizes[1]


def _attended(
    at: Translation, q: Layout, k: Layout, value: Tensor, heads: int, scale: float | None
) -> Layout:
    v, own = _by_heads(at, _apart(at, value))
    _need(own == heads, "keys and values have other heads")
    usual = (q.shape.c // heads) ** -0.5
    given = None if scale is None or abs(scale - usual) < at.near * usual else float(scale)
    made = at.put(Attend(heads=heads, scale=given), q, k, v)
    n, c = made.shape
    y = made.reshaped((at.batch, n, heads, c // heads)).permuted((0, 2, 1, 3))
    return y if value.ndim == 4 else y.reshaped((at.batch * heads, n, c // heads))


def _apart(at: Translation, tensor: Tensor) -> Layout:
    """Return heads as a dimension of their own, which torch's attention makes one with the samples."""
    x = at.layout(tensor)
    if len(x.dims) != 3 or x.sizes[0] <= at.batch:
        return x
    return x.reshaped((at.batch, x.sizes[0] // at.batch, *x.sizes[1:]))


@translates("matmul", "__matmul__", "bmm")
def matmul(at: Translation, input: Tensor, other: Tensor) -> Layout | Scores:
    """Matmul of tokens, or a step of attention: scores, or the sums of values by them."""
    scores = at.scores(input)
    if scores is not None:
        _need(scores.shares, "values are summed by scores without softmax")
        return _attended(at, scores.q, scores.k, other, scores.heads, scores.scale)
    a, b = _apart(at, input), _apart(at, other)
    if len(a.dims) == len(b.dims) == 4:
        q, heads = _by_heads(at, a)
        k, others = _by_heads(at, b.permuted((0, 1, 3, 2)))
        _need(heads == others and q.shape.c == k.shape.c, "queries and keys have other heads")
        (queries, of_q), (keys, of_k) = at.scaled(q), at.scaled(k)
        return Scores(queries, keys, heads, of_q * of_k)
    return at.put(MatMul(), at.settled(a), at.settled(b))


# ---------------------------------------------------------------- parts


@translates("chunk", "tensor_split")
def chunk(at: Translation, input: Tensor, chunks: int, dim: int = 0) -> tuple[Layout, ...]:
    """split, of the channels."""
    size = input.shape[dim]
    whole_parts = -(-size // chunks)
    _need(isinstance(chunks, int), "it cuts at places")
    sizes = [whole_parts] * (size // whole_parts) + ([size % whole_parts] if size % whole_parts else [])
    return parted(at, at.layout(input), sizes, dim)


@translates("split", "split_with_sizes")
def split(
    at: Translation,
    tensor: Tensor,
    split_size_or_sections: Any = None,
    dim: int = 0,
    split_size: Any = None,
    split_sizes: Any = None,
) -> tuple[Layout, ...]:
    """split, of the channels."""
    given = next(one for one in (split_size_or_sections, split_size, split_sizes) if one is not None)
    size = tensor.shape[dim]
    if isinstance(given, int):
        given = [given] * (size // given) + ([size % given] if size % given else [])
    return parted(at, at.layout(tensor), [int(one) for one in given], dim)


@translates("unbind")
def unbind(at: Translation, input: Tensor, dim: int = 0) -> tuple[Layout, ...]:
    """split, of channels that were made a dimension of their own."""
    x = at.layout(input)
    dim %= len(x.dims)
    return tuple(
        part.replace(dims=(*part.dims[:dim], *part.dims[dim + 1 :]))
        for part in parted(at, x, [1] * x.sizes[dim], dim)
    )


def parted(at: Translation, x: Layout, sizes: Sequence[int], dim: int) -> tuple[Layout, ...]:
    """Return parts of a dimension: of the channels, or of what is the outermost of them."""
    dim %= len(x.dims)
    if len(sizes) == 1:
        return (x,)
    atoms = x.dims[dim]
    outer = len(atoms) == 1 and atoms[0].axis == "c" and atoms[0].stride * atoms[0].size == x.shape.c
    if not outer:
        y, axis = _letter(at, x, dim)
        if axis != "c":
            begins = [sum(sizes[:index]) for index in range(len(sizes))]
            return tuple(
                sliced(at, y, dim, begin, begin + size) for begin, size in zip(begins, sizes, strict=True)
            )
        x, atoms = y, y.dims[dim]
    (atom,) = atoms
    channels = tuple(size * atom.stride for size in sizes)
    made = at.joined_in(x.value)
    if tuple(part.shape.c for part in made) != channels:  # else it is cut where it was joined
        op = Split(parts=len(sizes) if len({*channels}) == 1 else channels)
        key = (x.value, channels, id(at.frame))
        if key not in at.seen:  # parts that are taken one by one are of one split
            at.seen[key] = at.put_all(op, whole(x.value, x.shape, at.batch))[0]
        made = [at.whole(Value(at.seen[key].value.node, port)) for port in range(len(sizes))]
    return tuple(
        part.replace(
            dims=tuple(
                ((Atom("c", atom.stride, size),) if size > 1 else ()) if index == dim else own
                for index, own in enumerate(x.dims)
            )
        )
        for part, size in zip(made, sizes, strict=True)
    )


def sliced(at: Translation, x: Layout, dim: int, begin: int, end: int, step: int = 1) -> Layout:
    """Return a part of a dimension."""
    size = x.sizes[dim]
    if (begin, end, step) == (0, size, 1):
        return x
    _need(dim > 0, "it takes some of the samples")
    _need(end > begin, "it takes nothing")
    last = None if end >= size else end
    atoms = x.dims[dim]
    outer = len(atoms) == 1 and atoms[0].axis == "c" and atoms[0].stride * atoms[0].size == x.shape.c
    if outer and atoms[0].stride > 1 and step == 1:  # of channels that were made a dimension of their own
        stride = atoms[0].stride
        op = Slice(begin=begin * stride, end=None if last is None else last * stride)
        part = at.put(op, whole(x.value, x.shape, at.batch))
        own = (Atom("c", stride, end - begin),) if end - begin > 1 else ()
        return part.replace(dims=(*x.dims[:dim], own, *x.dims[dim + 1 :]))
    y, axis = _letter(at, x, dim)
    return at.put(Slice(begin=begin, end=last, stride=step, axis=axis), y)


@translates("narrow")
def narrow(at: Translation, input: Tensor, dim: int, start: int, length: int) -> Layout:
    """Slice."""
    x = at.layout(input)
    dim %= len(x.dims)
    start %= x.sizes[dim]
    return sliced(at, x, dim, start, start + length)


@translates("select")
def select(at: Translation, input: Tensor, dim: int, index: int) -> Layout:
    """token, or one of channels that were made a dimension of their own."""
    x = at.layout(input)
    dim %= len(x.dims)
    index %= x.sizes[dim]
    atoms = x.dims[dim]
    if not atoms and len(x.dims) > len(x.shape) + 1:  # a dimension of one that is no axis of the value
        part = x
    elif len(atoms) == 1 and atoms[0].axis == "c" and atoms[0].stride > 1:
        part = parted(at, x, [1] * x.sizes[dim], dim)[index]
    else:
        y, axis = _letter(at, x, dim)
        if y.shape.axes == "nc" and axis == "n":
            return at.put(Token(index=index), y)
        part = sliced(at, y, dim, index, index + 1)
    return part.replace(dims=(*part.dims[:dim], *part.dims[dim + 1 :]))


@translates("__getitem__")
def getitem(at: Translation, input: Tensor, index: Any) -> Layout:
    """Slices, tokens and axes of one, in order."""
    x = at.layout(input)
    steps = index if isinstance(index, tuple) else (index,)
    _need(
        all(one is None or one is ... or isinstance(one, int | slice) for one in steps), "an index by tensors"
    )
    missing = len(x.dims) - sum(one is not None and one is not ... for one in steps)
    dim = 0
    slices = []
    for one in (*steps, ...):
        if one is ...:
            dim += missing
            missing = 0
        elif one is None:
            x = x.replace(dims=(*x.dims[:dim], (), *x.dims[dim:]))
            dim += 1
        elif isinstance(one, int):
            x = select(at, x, dim, one)
        else:
            begin, end, step = one.indices(x.sizes[dim])
            if (begin, end, step) != (0, x.sizes[dim], 1):
                slices.append((dim, begin, end, step))
            dim += 1
    if len(slices) == 2 and at.is_map(x) and [one[0] for one in slices] == [2, 3]:
        (_, top, bottom, down), (_, left, right, across) = slices
        y = at.settled(x)
        end = None if (bottom, right) == (y.shape.h, y.shape.w) else Dims((bottom, right))
        return at.put(Slice(begin=Dims((top, left)), end=end, stride=size_of((down, across))), y)
    for dim, begin, end_, step in slices:
        x = sliced(at, x, dim, begin, end_, step)
    return x


# ---------------------------------------------------------------- views


@translates("view", "reshape", "_unsafe_view", "unflatten", "flatten", "ravel", "view_as", "reshape_as")
def view(at: Translation, input: Tensor, *_: Any, **__: Any) -> Layout:
    """The same numbers, in dimensions of the sizes that torch found."""
    x = at.layout(input)
    _need(not isinstance(_[0] if _ else None, type(at.dtype)), "it changes the dtype")
    return x.reshaped(at.result.shape)


@translates("squeeze", "unsqueeze", "squeeze_", "unsqueeze_")
def squeeze(at: Translation, input: Tensor, *_: Any, **__: Any) -> Layout:
    """The same, with dimensions of one more or less."""
    return at.layout(input).reshaped(at.result.shape)


@translates("permute")
def permute(at: Translation, input: Tensor, *dims: Any) -> Layout:
    """The dimensions in another order."""
    order = dims[0] if len(dims) == 1 and not isinstance(dims[0], int) else dims
    x = at.layout(input)
    return x.permuted([int(dim) % len(x.dims) for dim in order])


@translates("transpose", "swapaxes", "swapdims")
def transpose(at: Translation, input: Tensor, dim0: int, dim1: int) -> Layout:
    """Two dimensions swapped."""
    x = at.layout(input)
    order = list(range(len(x.dims)))
    order[dim0], order[dim1] = order[dim1], order[dim0]
    return x.permuted(order)


@translates("t", "T", "mT")
def transposed(at: Translation, input: Tensor) -> Layout:
    """The last two dimensions swapped."""
    _need(at.name == "mT" or input.ndim <= 2, f"`.{at.name}` of {input.ndim} dimensions")
    swapped: Layout = transpose(at, input, -2, -1)
    return swapped


@translates("movedim", "moveaxis")
def movedim(at: Translation, input: Tensor, source: Any, destination: Any) -> Layout:
    """Dimensions at other places."""
    x = at.layout(input)
    rank = len(x.dims)
    froms = [one % rank for one in ((source,) if isinstance(source, int) else source)]
    tos = [one % rank for one in ((destination,) if isinstance(destination, int) else destination)]
    rest = iter([one for one in range(rank) if one not in froms])
    moved = dict(zip(tos, froms, strict=True))
    return x.permuted([moved[place] if place in moved else next(rest) for place in range(rank)])


@translates("expand", "expand_as", "broadcast_to")
def expand(at: Translation, input: Tensor, *_: Any, **__: Any) -> Layout:
    """Dimensions of one as many that are all the same."""
    return at.layout(input).expanded(at.result.shape)


@translates("repeat", "tile")
def repeat(at: Translation, input: Tensor, *_: Any, **__: Any) -> Layout:
    """Dimensions of one again and again, which is what `expand` makes of them."""
    sizes = (1,) * (len(at.result.shape) - input.ndim) + tuple(input.shape)
    alike = all(own in (1, size) for own, size in zip(sizes, at.result.shape, strict=True))
    _need(alike, "it repeats what differs")
    return at.layout(input).expanded(at.result.shape)


@translates(
    "contiguous", "clone", "detach", "to", "float", "type_as", "requires_grad_", "alias", "type", "data"
)
def same(at: Translation, input: Tensor, *_: Any, **__: Any) -> Layout | Scores:
    """The same numbers."""
    scores = at.scores(input)
    if scores is not None and at.result.dtype == input.dtype:
        return scores
    _need(at.result.dtype == input.dtype, "it changes the dtype")
    return at.layout(input)

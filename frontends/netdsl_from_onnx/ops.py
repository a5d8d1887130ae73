"""What operators of ONNX are in torch's words: one function for each, which calls what torch's module would.

An attribute that torch's function cannot say is a reason, never dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy
from netdsl_from_torch.common import dims_of, size_of, stride_of
from netdsl_from_torch.layout import REPEAT, Atom, Layout, Unknown
from netdsl_from_torch.ops import FUNCTIONS, convolution, of_rows
from torch import Tensor

from netdsl.ir.graph import Value
from netdsl.ir.types import Pad
from netdsl.ops.attention import Attend, Attention, Qkv
from netdsl.ops.pool import AvgPool, MaxPool
from netdsl_from_onnx.file import plain

if TYPE_CHECKING:
    from netdsl_from_torch.translate import Translation

    from netdsl_from_onnx.run import Constant, Run, Step

Operator = Callable[["Run", "Step"], Any]
OPERATORS: dict[str, Operator] = {}
"""By operator what makes its results: tensors of torch's, whose calls are on the tape."""


def operator(*names: str) -> Callable[[Operator], Operator]:
    """Register what some operators are."""

    def register(function: Operator) -> Operator:
        OPERATORS.update(dict.fromkeys(names, function))
        return function

    return register


def need(holds: object, message: str) -> None:
    """Raise Unknown where an attribute has a value that nothing can say."""
    if not holds:
        raise Unknown(message)


# ---------------------------------------------------------------- windows


def _plane(step: Step, x: Tensor, kernel: Sequence[int]) -> None:
    need(x.ndim == 4 and len(kernel) == 2, f"it is over {len(kernel)} axes, not rows and columns")


def _pads(
    step: Step, x: Tensor, kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int]
) -> tuple[list[int], bool]:
    """Return padding above, left, below and right, and whether it is TensorFlow's."""
    auto = step.attributes.get("auto_pad", "NOTSET")
    if auto == "VALID":
        return [0, 0, 0, 0], False
    given = [int(one) for one in step.attributes.get("pads", [0, 0, 0, 0])] if auto == "NOTSET" else []
    if given:
        need(len(given) == 4, f"pads={given}")
        need(min(given) >= 0, f"pads={given} are negative")
    before, after = [], []
    for size, k, s, d in zip(x.shape[2:], kernel, stride, dilation, strict=True):
        total = max((-(-size // s) - 1) * s + d * (k - 1) + 1 - size, 0)
        before.append(total // 2)
        after.append(total - total // 2)
    same = [*before, *after]
    if auto == "SAME_UPPER":
        return same, True
    if auto == "SAME_LOWER":
        return [*after, *before], False
    need(auto == "NOTSET", f"auto_pad={auto}")
    return given, given == same and given[:2] != given[2:]


def _ints(step: Step, name: str, default: Sequence[int]) -> list[int]:
    found = [int(one) for one in step.attributes.get(name, default)]
    need(len(found) == len(default), f"{name}={found}")
    return found


@operator("Conv")
def conv(at: Run, step: Step) -> Any:
    """conv2d; of a linear layer's tensors where it reads no rows and columns."""
    x, weight, bias = step.tensor(0), step.constant(1), step.maybe(2)
    if step.further:
        bias = step.added().shaped(weight.array.shape[:1])
    kernel = weight.array.shape[2:]
    _plane(step, x, kernel)
    stride, dilation = _ints(step, "strides", [1, 1]), _ints(step, "dilations", [1, 1])
    groups = int(step.attributes.get("group", 1))
    pads, tf = _pads(step, x, kernel, stride, dilation)
    w, b = at.layer("conv", step, weight=weight, bias=_none_of_zeros(bias))
    if tf and step.attributes.get("auto_pad") == "SAME_UPPER":
        y = at.torch("conv2d", at.torch("pad", x, _torch_pads(pads)), w, b, stride, 0, dilation, groups)
        return at.put("conv_tf", y, x, w, b, stride, dilation, groups)
    if pads[:2] != pads[2:]:
        x, pads = at.call("pad", x, _torch_pads(pads)), [0, 0]
    return at.call("conv2d", x, w, b, _short(stride), _short(pads[:2]), _short(dilation), groups)


def _none_of_zeros(bias: Constant | None) -> Constant | None:
    """Return a bias, None for one of zeros that is none of the model's, which exporters write for no bias."""
    return None if bias is not None and bias.made_up and not bias.array.any() else bias


def _torch_pads(pads: Sequence[int]) -> list[int]:
    top, left, bottom, right = pads
    return [left, right, top, bottom]


def _short(pair: Sequence[int]) -> Any:
    return pair[0] if len({*pair}) == 1 else tuple(pair)


@operator("ConvTranspose")
def conv_transpose(at: Run, step: Step) -> Any:
    """conv_transpose2d."""
    x, weight, bias = step.tensor(0), step.constant(1), step.maybe(2)
    kernel = weight.array.shape[2:]
    _plane(step, x, kernel)
    need("output_shape" not in step.attributes, "output_shape")
    need(step.attributes.get("auto_pad", "NOTSET") in ("NOTSET", "VALID"), "auto_pad")
    stride, dilation = _ints(step, "strides", [1, 1]), _ints(step, "dilations", [1, 1])
    pads, more = _ints(step, "pads", [0, 0, 0, 0]), _ints(step, "output_padding", [0, 0])
    extra = [end - begin for begin, end in zip(pads[:2], pads[2:], strict=True)]
    if any(extra):  # less at the end is more of output
        more = [own - less for own, less in zip(more, extra, strict=True)]
    need(min(more) >= 0, f"pads={pads}")
    w, b = at.layer("upconv", step, weight=weight, bias=_none_of_zeros(bias))
    groups = int(step.attributes.get("group", 1))
    return at.call(
        "conv_transpose2d", x, w, b, _short(stride), _short(pads[:2]), _short(more), groups, _short(dilation)
    )


@operator("MaxPool")
def max_pool(at: Run, step: Step) -> Any:
    """max_pool2d."""
    x = step.tensor(0)
    kernel = [int(one) for one in step.attributes.get("kernel_shape", ())]
    _plane(step, x, kernel)
    need(len(step.node.output) == 1, "it returns where the largest are")
    stride, dilation = _ints(step, "strides", [1, 1]), _ints(step, "dilations", [1, 1])
    ceil = bool(step.attributes.get("ceil_mode", 0))
    pads, tf = _pads(step, x, kernel, stride, dilation)
    if tf and not ceil:
        padded = at.torch("pad", x, _torch_pads(pads))
        y = at.torch("max_pool2d", padded, kernel, stride, 0, dilation)
        return at.put("max_pool_tf", y, x, kernel, stride, dilation)
    need(pads[:2] == pads[2:], f"pads={pads} differ at the two sides")
    return at.call("max_pool2d", x, _short(kernel), _short(stride), _short(pads[:2]), _short(dilation), ceil)


@operator("AveragePool")
def average_pool(at: Run, step: Step) -> Any:
    """avg_pool2d."""
    x = step.tensor(0)
    kernel = [int(one) for one in step.attributes.get("kernel_shape", ())]
    _plane(step, x, kernel)
    stride, dilation = _ints(step, "strides", [1, 1]), _ints(step, "dilations", [1, 1])
    need(dilation == [1, 1], f"dilations={dilation}")
    ceil = bool(step.attributes.get("ceil_mode", 0))
    pads, tf = _pads(step, x, kernel, stride, dilation)
    counts = bool(step.attributes.get("count_include_pad", 0)) or not (any(pads) or ceil)
    if tf and not ceil:
        y = at.torch("avg_pool2d", at.torch("pad", x, _torch_pads(pads)), kernel, stride)
        return at.put("avg_pool_tf", y, x, kernel, stride, counts)
    if pads[:2] != pads[2:] and counts and not ceil:
        x, pads = at.call("pad", x, _torch_pads(pads)), [0, 0, 0, 0]
    need(pads[:2] == pads[2:], f"pads={pads} differ at the two sides")
    return at.call("avg_pool2d", x, _short(kernel), _short(stride), _short(pads[:2]), ceil, counts)


def conv_tf(at: Translation, x: Tensor, w: Tensor, b: Any, stride: Any, dilation: Any, groups: int) -> Layout:
    """Conv with TensorFlow's padding."""
    y = at.map(x)
    op = convolution(y.shape.c, w, b, stride, 0, dilation, groups)
    return at.put(op.replace(pad=Pad("tf")), y, home=at.key(w).rpartition(".")[0])


def max_pool_tf(at: Translation, x: Tensor, kernel: Any, stride: Any, dilation: Any) -> Layout:
    """Maxpool with TensorFlow's padding."""
    op = MaxPool(
        kernel=dims_of(kernel), stride=stride_of(kernel, stride), pad=Pad("tf"), dilation=size_of(dilation)
    )
    return at.put(op, at.map(x))


def avg_pool_tf(at: Translation, x: Tensor, kernel: Any, stride: Any, counts: bool) -> Layout:
    """Avgpool with TensorFlow's padding."""
    op = AvgPool(
        kernel=dims_of(kernel), stride=stride_of(kernel, stride), pad=Pad("tf"), count_include_pad=counts
    )
    return at.put(op, at.map(x))


def shared(at: Translation, parameter: Tensor) -> Layout:
    """A parameter that is the same for each sample."""
    x = at.layout(parameter)
    return x.replace(dims=((Atom(REPEAT, 0, at.batch),), *x.dims[1:]))


def in_proj(at: Translation, x: Tensor, w: Tensor, b: Tensor) -> Layout:
    """Queries, keys and values of torch's attention, in one; an op only with what follows."""
    return of_rows(at, Qkv(), x, at.key(w).rpartition(".")[0])


def linear_or_attention(at: Translation, input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Layout:
    """Fc; or attention, of which it is the last layer."""
    x = at.layout(input)
    path = at.key(weight).removesuffix(".out_proj.weight")
    attend = at.made[int(x.value.node)] if x.value.node.isdigit() else None
    if bias is not None and path != at.key(weight) and attend is not None and isinstance(attend.op, Attend):
        one = Attend(heads=attend.op.heads)
        first = attend.inputs[0].node
        qkv = at.made[int(at.made[int(first)].inputs[0].node)]
        if qkv.home == path and (attend.op, attend.inputs) == (one, tuple(Value(first, i) for i in range(3))):
            made = at.put(Attention(heads=one.heads), at.whole(qkv.inputs[0]), home=path)
            return made.replace(dims=x.dims)
    return FUNCTIONS["linear"](at, input, weight, bias)  # type: ignore[no-any-return]


OWN: dict[str, Callable[..., Layout]] = {
    "shared": shared,
    "in_proj": in_proj,
    "linear": linear_or_attention,
    "conv_tf": conv_tf,
    "max_pool_tf": max_pool_tf,
    "avg_pool_tf": avg_pool_tf,
}
"""Calls that no function of torch is, or that may be part of more, as ops."""


@operator("GlobalAveragePool")
def global_average_pool(at: Run, step: Step) -> Any:
    """adaptive_avg_pool2d to one place."""
    x = step.tensor(0)
    need(x.ndim == 4, "it is not over rows and columns")
    return at.call("adaptive_avg_pool2d", x, 1)


@operator("GlobalMaxPool")
def global_max_pool(at: Run, step: Step) -> Any:
    """adaptive_max_pool2d to one place."""
    x = step.tensor(0)
    need(x.ndim == 4, "it is not over rows and columns")
    return at.call("adaptive_max_pool2d", x, 1)


@operator("ReduceMean", "ReduceMax")
def reduced(at: Run, step: Step) -> Any:
    """mean, amax, or a pool to one place where the file says so, or a vector is made of it; or a norm's begin."""
    if step.further:
        return _normed(at, step)
    x, given = step.tensor(0), step.maybe(1)
    axes = given.ints() if given is not None else [int(one) for one in step.attributes.get("axes", ())]
    keep = bool(step.attributes.get("keepdims", 1))
    need(axes, "it reduces over the samples too")
    axes = sorted(axis % x.ndim for axis in axes)
    if step.op == "ReduceMax":
        return at.call("amax", x, tuple(axes), keep)
    pool = step.inner.startswith("AdaptiveAvgPool") or at.only_reshaped(step)
    if keep and axes == [2, 3] and x.ndim == 4 and pool:
        return at.call("adaptive_avg_pool2d", x, 1)
    return at.call("mean", x, tuple(axes), keep)


@operator("Resize", "Upsample")
def resize(at: Run, step: Step) -> Any:
    """Interpolate."""
    x, a = step.tensor(0), step.attributes
    need(x.ndim == 4, "it is not over rows and columns")
    old = step.op == "Upsample"
    scales = step.maybe(1 if old or at.file.opset < 11 else 2)
    sizes = None if old else step.maybe(3)
    mode = a.get("mode", "nearest")
    old = at.file.opset < 11
    where = a.get("coordinate_transformation_mode", "asymmetric" if old else "half_pixel")
    need(mode in ("nearest", "linear", "cubic"), f"mode={mode}")
    rounded = "floor" if old else a.get("nearest_mode", "round_prefer_floor")
    if mode != "nearest":
        usual = ("half_pixel", "pytorch_half_pixel", "align_corners")
        need(where in usual, f"coordinate_transformation_mode={where}")
    need(mode != "cubic" or a.get("cubic_coeff_a", -0.75) == -0.75, "another cubic_coeff_a")
    need(not a.get("antialias") and not a.get("exclude_outside"), "antialias or exclude_outside")
    axes = [int(axis) % 4 for axis in a.get("axes", range(4))]
    need({2, 3} <= {*axes} and len({*axes}) == len(axes), f"axes={axes}")
    need(a.get("keep_aspect_ratio_policy", "stretch") == "stretch", "it keeps the aspect ratio")
    named = {"nearest": "nearest", "linear": "bilinear", "cubic": "bicubic"}[mode]
    corners = None if mode == "nearest" else where == "align_corners"
    if scales is not None and scales.array.size:
        factors = [plain(one) for one in scales.array.reshape(-1).tolist()]
        need(len(factors) == len(axes), f"scales={factors}")
        factors = [dict(zip(axes, factors, strict=True)).get(axis, 1.0) for axis in range(4)]
        need(factors[:2] == [1, 1], f"scales={factors}")
        whole = factors[2] == factors[3] and factors[2].is_integer()
        to = [int(size * factor) for size, factor in zip(x.shape[2:], factors[2:], strict=True)]
    else:
        need(sizes is not None, "it has no size")
        given = sizes.ints() if sizes is not None else []
        need(len(given) == len(axes), f"sizes={given}")
        to = [dict(zip(axes, given, strict=True))[axis] for axis in (2, 3)]
        whole, factors = False, []
    if mode == "nearest":  # of a whole number of places each, all of these take the same
        same = ("asymmetric floor", "tf_half_pixel_for_nn floor", "half_pixel round_prefer_floor")
        times = all(size % own == 0 for size, own in zip(to, x.shape[2:], strict=True))
        need(
            f"{where} {rounded}" in same[: 3 if times else 1],
            f"it takes the nearest by {where} and {rounded}",
        )
    if whole:
        return at.call("interpolate", x, None, factors[2], named, corners)
    return at.call("interpolate", x, tuple(to), None, named, corners)


# ---------------------------------------------------------------- layers


@operator("Gemm")
def gemm(at: Run, step: Step) -> Any:
    """Linear."""
    a = step.attributes
    need(
        a.get("alpha", 1.0) == 1 and a.get("beta", 1.0) == 1 and not a.get("transA"), "alpha, beta or transA"
    )
    weight = step.constant(1)
    return linear(at, step, step.tensor(0), weight if a.get("transB") else weight.turned(), step.maybe(2))


def linear(at: Run, step: Step, x: Tensor, weight: Constant, bias: Constant | None) -> Any:
    """Return a linear layer's call; the weight has its outputs first."""
    need(weight.array.ndim == 2, f"its weight has {weight.array.ndim} axes")
    outer = weight.origin.removesuffix(".out_proj.weight")
    if bias is None and outer != weight.origin and f"{outer}.in_proj_bias" in at.state:
        zeros = numpy.zeros(len(weight.array), weight.array.dtype)  # which optimisers leave out
        bias = at.made(zeros, f"{outer}.out_proj.bias")
    if bias is not None:
        bias = bias.spread(len(weight.array))
        home, _, name = bias.origin.rpartition(".")
        home = step.stack[-1][0] if step.stack and at.is_shared(bias) else home
        if name == "in_proj_bias" and home and weight.origin in ("", f"{home}.in_proj_weight"):
            w, b = at.under(home, in_proj_weight=weight, in_proj_bias=bias)
            return at.put("in_proj", at.torch("linear", x, w, b), x, w, b)
    w, b = at.layer("fc", step, weight=weight, bias=bias)
    return at.call("linear", x, w, b)


@operator("MatMul")
def matmul(at: Run, step: Step) -> Any:
    """linear, with the bias that is added to it; or matmul of what layers make."""
    if len(step.values) == 2 and all(isinstance(value, Tensor) for value in step.values):
        return at.call("matmul", *step.values)
    bias = step.added() if step.further else None
    return linear(at, step, step.tensor(0), step.constant(1).turned(), bias)


@operator("BatchNormalization")
def batch_norm(at: Run, step: Step) -> Any:
    """batch_norm, whose momentum is the other's share."""
    x = step.tensor(0)
    weight, bias, mean, var = (step.constant(index) for index in range(1, 5))
    need(step.attributes.get("spatial", 1) == 1, "spatial=0")
    plainly = not weight.origin and not bias.origin and weight.is_all(1) and bias.is_all(0)
    w, b, m, v = at.layer(
        "bn",
        step,
        weight=None if plainly else weight,
        bias=None if plainly else bias,
        running_mean=mean,
        running_var=var,
    )
    momentum = float(f"{1 - step.attributes.get('momentum', 0.9):.6g}")
    return at.call("batch_norm", x, m, v, w, b, True, momentum, step.attributes.get("epsilon", 1e-5))


@operator("LayerNormalization")
def layer_norm(at: Run, step: Step) -> Any:
    """layer_norm."""
    x, weight, bias = step.tensor(0), step.constant(1), step.maybe(2)
    axis = int(step.attributes.get("axis", -1)) % x.ndim
    plainly = not weight.origin and weight.is_all(1) and (bias is None or bias.is_all(0))
    w, b = at.layer("ln", step, weight=None if plainly else weight, bias=None if plainly else bias)
    return at.call("layer_norm", x, list(x.shape[axis:]), w, b, step.attributes.get("epsilon", 1e-5))


def _normed(at: Run, step: Step) -> Any:
    """layer_norm, which is written out."""
    given: Any = (*step.further, None, None)
    x, eps, weight, bias = given[:4]
    need(isinstance(x, Tensor) and x.ndim > 1, "it is of numbers of the file")
    sizes = [int(x.shape[-1])]
    weight, bias = (None if one is None else one.shaped(sizes) for one in (weight, bias))
    w, b = at.layer("ln", step, weight=weight, bias=bias)
    return at.call("layer_norm", x, sizes, w, b, eps.number())


@operator("GroupNormalization")
def group_norm(at: Run, step: Step) -> Any:
    """group_norm."""
    x, weight, bias = step.tensor(0), step.constant(1), step.constant(2)
    groups = int(step.attributes.get("num_groups", 0))
    need(groups > 0 and weight.array.shape == (x.shape[1],), "it has a weight for each group, not channel")
    w, b = at.layer("gn", step, weight=weight, bias=bias)
    return at.call("group_norm", x, groups, w, b, step.attributes.get("epsilon", 1e-5))


@operator("InstanceNormalization")
def instance_norm(at: Run, step: Step) -> Any:
    """instance_norm; or group_norm, which is written with it."""
    x, weight, bias = step.tensor(0), step.constant(1), step.constant(2)
    eps = step.attributes.get("epsilon", 1e-5)
    plainly = weight.is_all(1) and bias.is_all(0)
    if step.further:
        given: Any = step.further
        x, weight, bias = given
        need(plainly and isinstance(x, Tensor) and x.ndim >= 2, "a norm of groups with other numbers")
        groups = step.tensor(0).shape[1]
        size = (x.shape[1],)
        w, b = at.layer("gn", step, weight=weight.shaped(size), bias=bias.shaped(size))
        return at.call("group_norm", x, groups, w, b, eps)
    plainly = plainly and weight.made_up and bias.made_up
    w, b = at.layer("instance_norm", step, weight=None if plainly else weight, bias=None if plainly else bias)
    return at.call("instance_norm", x, None, None, w, b, True, 0.1, eps)


@operator("LRN")
def local_response_norm(at: Run, step: Step) -> Any:
    """local_response_norm."""
    a = step.attributes
    numbers = a.get("alpha", 1e-4), a.get("beta", 0.75), a.get("bias", 1.0)
    return at.call("local_response_norm", step.tensor(0), int(a["size"]), *numbers)


@operator("Dropout")
def dropout(at: Run, step: Step) -> Any:
    """dropout, which a file of training has."""
    given = step.maybe(1)
    rate = step.attributes.get("ratio", 0.5) if given is None else given.number()
    need(len(step.node.output) == 1 or not step.node.output[1], "it returns what it drops")
    return at.call("dropout", step.tensor(0), plain(rate), True)


# ---------------------------------------------------------------- activations

_PLAIN = {
    "Relu": "relu",
    "Sigmoid": "sigmoid",
    "Tanh": "tanh",
    "Selu": "selu",
    "HardSwish": "hardswish",
    "Mish": "mish",
    "Softplus": "softplus",
    "Softsign": "softsign",
    "Exp": "exp",
}


def _plainly(name: str) -> Operator:
    return lambda at, step: at.call(name, step.tensor(0))


OPERATORS.update({name: _plainly(function) for name, function in _PLAIN.items()})


@operator("HardSigmoid")
def hardsigmoid(at: Run, step: Step) -> Any:
    """Hardsigmoid."""
    alpha, beta = step.attributes.get("alpha", 0.2), step.attributes.get("beta", 0.5)
    need(abs(alpha - 1 / 6) < 1e-6 and beta == 0.5, f"alpha={alpha}, beta={beta}")
    return at.call("hardsigmoid", step.tensor(0))


@operator("LeakyRelu")
def leaky_relu(at: Run, step: Step) -> Any:
    """leaky_relu."""
    return at.call("leaky_relu", step.tensor(0), step.attributes.get("alpha", 0.01))


@operator("Elu")
def elu(at: Run, step: Step) -> Any:
    """Elu."""
    return at.call("elu", step.tensor(0), step.attributes.get("alpha", 1.0))


@operator("Celu")
def celu(at: Run, step: Step) -> Any:
    """Celu."""
    return at.call("celu", step.tensor(0), step.attributes.get("alpha", 1.0))


@operator("ThresholdedRelu")
def thresholded_relu(at: Run, step: Step) -> Any:
    """Threshold."""
    return at.call("threshold", step.tensor(0), step.attributes.get("alpha", 1.0), 0.0)


@operator("Gelu")
def gelu(at: Run, step: Step) -> Any:
    """Gelu."""
    return at.call("gelu", step.tensor(0), approximate=step.attributes.get("approximate", "none"))


@operator("PRelu")
def prelu(at: Run, step: Step) -> Any:
    """Prelu."""
    slope = step.constant(1)
    (w,) = at.layer("prelu", step, weight=slope.shaped((slope.array.size,)))
    return at.call("prelu", step.tensor(0), w)


@operator("Clip")
def clip(at: Run, step: Step) -> Any:
    """relu6, or hardtanh."""
    least, most = (step.maybe(index) for index in (1, 2))
    low = least.number() if least is not None else step.attributes.get("min")
    high = most.number() if most is not None else step.attributes.get("max")
    x = step.tensor(0)
    if (low, high) == (0, 6):
        return at.call("relu6", x)
    if low is None and high is None:
        return x
    return at.call("clamp", x, low, high)


@operator("Softmax", "LogSoftmax")
def softmax(at: Run, step: Step) -> Any:
    """Softmax."""
    x, old = step.tensor(0), at.file.opset < 13
    axis = int(step.attributes.get("axis", 1 if old else -1)) % x.ndim
    need(not old or axis == x.ndim - 1, "it is over several axes")
    return at.call("softmax" if step.op == "Softmax" else "log_softmax", x, axis)


# ---------------------------------------------------------------- joints


def pair_of(at: Run, step: Step) -> tuple[Any, Any, bool]:
    """Return the two operands, a constant as a number or a parameter, and whether one is a number."""
    found: list[Any] = []
    for index, value in enumerate(step.values[:2]):
        if isinstance(value, Tensor):
            found.append(value)
        else:
            constant = step.constant(index)
            found.append(constant.number() if at.is_number(constant) else at.parameter(step, constant))
    return found[0], found[1], any(isinstance(one, float) for one in found)


@operator("Add", "Sum")
def add(at: Run, step: Step) -> Any:
    """Add."""
    if step.op == "Sum" and len(step.values) != 2:
        total = step.tensor(0)
        for index in range(1, len(step.values)):
            total = at.call("add", total, step.tensor(index))
        return total
    a, b, _ = pair_of(at, step)
    return at.call("add", a, b)


@operator("Sub")
def sub(at: Run, step: Step) -> Any:
    """Sub."""
    a, b, _ = pair_of(at, step)
    return at.call("rsub", b, a) if isinstance(a, float) else at.call("sub", a, b)


@operator("Mul")
def mul(at: Run, step: Step) -> Any:
    """Mul."""
    a, b, _ = pair_of(at, step)
    return at.call("mul", a, b)


@operator("Div")
def div(at: Run, step: Step) -> Any:
    """Div, by a number."""
    a, b, _ = pair_of(at, step)
    need(isinstance(a, Tensor) and isinstance(b, float), "it divides by what is no number")
    need(b != 0, "it divides by 0")
    return at.call("div", a, b)


@operator("Neg")
def neg(at: Run, step: Step) -> Any:
    """Mul by -1."""
    return at.call("mul", step.tensor(0), -1.0)


@operator("Concat")
def concat(at: Run, step: Step) -> Any:
    """Cat, of parameters too, which all samples share."""
    parts = [
        step.tensor(index) if isinstance(value, Tensor) else _shared(at, step, step.constant(index))
        for index, value in enumerate(step.values)
    ]
    return at.call("cat", parts, int(step.attributes["axis"]) % parts[0].ndim)


def _shared(at: Run, step: Step, constant: Constant) -> Tensor:
    """Return a parameter that stands beside what samples make: the same for each of them."""
    sizes = constant.array.shape
    need(len(sizes) > 1 and sizes[0] in (1, at.batch), f"it joins numbers of the file of sizes {list(sizes)}")
    parameter = at.parameter(step, constant.first())
    shared: Tensor = at.put("shared", parameter.expand(at.batch, *sizes[1:]), parameter)
    return shared


# ---------------------------------------------------------------- parts and views


@operator("Split")
def split(at: Run, step: Step) -> Any:
    """Split."""
    x, given = step.tensor(0), step.maybe(1)
    axis = int(step.attributes.get("axis", 0)) % x.ndim
    count = int(step.attributes.get("num_outputs", len(step.node.output)))
    need(count == len(step.node.output), f"num_outputs={count}")
    size = x.shape[axis]
    if given is not None:
        sizes = given.ints()
    elif "split" in step.attributes:
        sizes = [int(one) for one in step.attributes["split"]]
    else:
        whole = -(-size // count)
        sizes = [min(whole, size - begin) for begin in range(0, size, whole)]
    need(len(sizes) == count and min(sizes) > 0, f"it makes parts {sizes}")
    return at.call("split", x, sizes, axis)


class Parts:
    """A list of tensors as one value."""

    def __init__(self, parts: Sequence[Tensor]) -> None:
        """Hold them."""
        self.parts = parts


@operator("SplitToSequence")
def split_to_sequence(at: Run, step: Step) -> Any:
    """Split, into a list."""
    x, given = step.tensor(0), step.maybe(1)
    axis = int(step.attributes.get("axis", 0)) % x.ndim
    need(given is not None and step.attributes.get("keepdims", 1), "it takes single places")
    sizes = given.ints() if given is not None else []
    need(sizes and min(sizes) > 0, f"it makes parts {sizes}")
    if given is not None and given.array.ndim == 0:
        size = x.shape[axis]
        sizes = [min(sizes[0], size - begin) for begin in range(0, size, sizes[0])]
    return Parts(at.call("split", x, sizes, axis))


@operator("SequenceAt")
def sequence_at(at: Run, step: Step) -> Any:
    """One of a list."""
    (value, *_) = step.values
    if not isinstance(value, Parts):
        raise Unknown("it takes no list")
    return value.parts[step.constant(1).ints()[0]]


@operator("Slice")
def slice_(at: Run, step: Step) -> Any:
    """Slices."""
    x = step.tensor(0)
    if at.file.opset < 10:
        starts, ends = ([int(one) for one in step.attributes[name]] for name in ("starts", "ends"))
        axes = [int(one) for one in step.attributes.get("axes", range(len(starts)))]
        steps = [1] * len(starts)
    else:
        starts, ends = step.constant(1).ints(), step.constant(2).ints()
        given, strides = step.maybe(3), step.maybe(4)
        axes = given.ints() if given is not None else list(range(len(starts)))
        steps = strides.ints() if strides is not None else [1] * len(starts)
    need(min(steps, default=1) > 0, "it goes backwards")
    if (
        axes == [0] and 0 <= starts[0] == ends[0] - 1 and x.shape[0] > 1
    ):  # a part that was made an axis of its own
        return at.call("unsqueeze", at.call("select", x, 0, starts[0]), 0)
    index = [slice(None)] * x.ndim
    for axis, begin, end, stride in zip(axes, starts, ends, steps, strict=True):
        index[axis % x.ndim] = slice(begin, end, stride)
    return at.call("__getitem__", x, tuple(index))


@operator("Gather")
def gather(at: Run, step: Step) -> Any:
    """One place of an axis; or all in their order, which exporters write for a view."""
    x, which = step.tensor(0), step.constant(1)
    axis = int(step.attributes.get("axis", 0)) % x.ndim
    size, sizes = x.shape[axis], which.array.shape
    if which.array.size == size and (which.array.reshape(-1) == numpy.arange(size)).all():
        if sizes or size > 1:
            return at.call("reshape", x, [*x.shape[:axis], *sizes, *x.shape[axis + 1 :]])
    if sizes == (1,) and axis > 0:
        (place,) = which.ints()
        place %= size
        return at.call("__getitem__", x, (slice(None),) * axis + (slice(place, place + 1),))
    need(not sizes, "it takes several places, in any order")
    need(axis > 0 or size > 1, "it takes one of the samples")
    return at.call("select", x, axis, which.ints()[0])


@operator("Flatten")
def flatten(at: Run, step: Step) -> Any:
    """Flatten."""
    x, axis = step.tensor(0), int(step.attributes.get("axis", 1))
    need(axis % x.ndim == 1, f"axis={axis}")
    return at.call("flatten", x, 1)


@operator("Reshape")
def reshape(at: Run, step: Step) -> Any:
    """Reshape."""
    x = step.tensor(0)
    sizes = step.constant(1).ints()
    if not step.attributes.get("allowzero"):
        need(all(size or index < x.ndim for index, size in enumerate(sizes)), f"a shape {sizes}")
        sizes = [size or x.shape[index] for index, size in enumerate(sizes)]
    return at.call("reshape", x, sizes)


@operator("Squeeze", "Unsqueeze")
def squeeze(at: Run, step: Step) -> Any:
    """Reshape."""
    x, given = step.tensor(0), step.maybe(1)
    axes = given.ints() if given is not None else [int(one) for one in step.attributes.get("axes", ())]
    if not axes and step.op == "Squeeze" and x.shape[0] > 1:
        axes = [axis for axis, size in enumerate(x.shape) if size == 1]
    need(axes or x.shape[0] > 1, "it does not say which axes")
    sizes = list(x.shape)
    if step.op == "Squeeze":
        gone = {axis % x.ndim for axis in axes}
        need(all(sizes[axis] == 1 for axis in gone), f"axes {axes} are not of one place")
        sizes = [size for axis, size in enumerate(sizes) if axis not in gone]
    else:
        rank = x.ndim + len(axes)
        for axis in sorted(axis % rank for axis in axes):
            sizes.insert(axis, 1)
    return at.call("reshape", x, sizes)


@operator("Transpose")
def transpose(at: Run, step: Step) -> Any:
    """Permute."""
    x = step.tensor(0)
    order = [int(one) for one in step.attributes.get("perm", range(x.ndim)[::-1])]
    return at.call("permute", x, order)


@operator("Expand")
def expand(at: Run, step: Step) -> Any:
    """Expand."""
    x = step.tensor(0)
    sizes = step.constant(1).ints()
    shape = list(numpy.broadcast_shapes(tuple(x.shape), tuple(sizes)))
    return x if shape == list(x.shape) else at.call("expand", x, shape)


@operator("Identity", "Cast", "CastLike")
def same(at: Run, step: Step) -> Any:
    """Nothing, where numbers stay numbers; or a dropout in evaluation, whose rate is lost."""
    if step.op == "Cast":
        need(step.attributes.get("to") in (1, 10, 11), "it makes other numbers")
    if step.op == "Identity" and step.inner == "Dropout":
        return at.call("dropout", step.tensor(0), 0.0, True)
    return step.tensor(0)


@operator("Pad")
def pad(at: Run, step: Step) -> Any:
    """Pad."""
    x, given, value, axes = step.tensor(0), step.maybe(1), step.maybe(2), step.maybe(3)
    sizes = given.ints() if given is not None else [int(one) for one in step.attributes.get("pads", ())]
    number = value.number() if value is not None else step.attributes.get("value", 0.0)
    if axes is not None:
        named_axes, given_sizes = [axis % x.ndim for axis in axes.ints()], sizes
        need(len(sizes) == 2 * len(named_axes), f"pads={sizes}")
        sizes = [0] * (2 * x.ndim)
        for index, axis in enumerate(named_axes):
            sizes[axis], sizes[axis + x.ndim] = given_sizes[index], given_sizes[index + len(named_axes)]
    need(len(sizes) == 2 * x.ndim, f"pads={sizes}")
    mode = step.attributes.get("mode", "constant")
    named = {"constant": "constant", "reflect": "reflect", "edge": "replicate", "wrap": "circular"}.get(mode)
    need(named, f"mode={mode}")
    need(min(sizes) >= 0, f"pads={sizes} are negative")
    pairs = [(sizes[axis], sizes[axis + x.ndim]) for axis in range(x.ndim)]
    if not any(map(any, pairs)):
        return x
    while pairs and not any(pairs[0]):
        pairs.pop(0)
    need(len(pairs) < x.ndim, "it pads samples")
    if named != "constant":  # torch takes both axes then
        pairs = [(0, 0)] * (2 - len(pairs)) + pairs
    flat = [size for pair in reversed(pairs) for size in pair]
    return at.call("pad", x, flat, named, number if mode == "constant" else None)


@operator("DepthToSpace")
def depth_to_space(at: Run, step: Step) -> Any:
    """pixel_shuffle."""
    need(step.attributes.get("mode", "DCR") == "CRD", "mode=DCR")
    return at.call("pixel_shuffle", step.tensor(0), int(step.attributes["blocksize"]))

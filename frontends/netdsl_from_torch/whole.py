"""Modules that are taken as one, since what they compute is one op, however they write it."""

from __future__ import annotations

from collections.abc import Callable
from math import log
from typing import TYPE_CHECKING, Any

from torch import nn

from netdsl.ir.types import Dims, Init, Pad
from netdsl.ops.activation import Exp, HardTanh, Relu, Sigmoid
from netdsl.ops.attention import Attend, Attention, Qkv, RelativeBias
from netdsl.ops.base import OpError
from netdsl.ops.conv import StdConv
from netdsl.ops.dropout import Dropout, DropPath
from netdsl.ops.joint import Scale
from netdsl.ops.linear import Linear
from netdsl.ops.norm import RmsNorm
from netdsl.ops.part import Split
from netdsl.ops.partition import Unwindows, WindowMask, Windows
from netdsl.ops.pool import AvgPool, BlurPool, MaxPool
from netdsl.ops.source import Weight
from netdsl_from_torch.common import dims_of, size_of, stride_of
from netdsl_from_torch.layout import Layout, Unknown
from netdsl_from_torch.ops import convolution, of_rows

if TYPE_CHECKING:
    from torch import Tensor

    from netdsl_from_torch.translate import Translation

Whole = Callable[..., Any]
MODULES: dict[str, Whole] = {}
"""By library and class what a module is: layouts."""


WRITTEN: dict[str, type[nn.Module]] = {"Conv2dSame": nn.Conv2d, "UnbiasedKeys": nn.Linear}
"""Classes that the torch backend writes into modules, with their bases; that they are these, the proof shows."""


def module(*names: str) -> Callable[[Whole], Whole]:
    """Register what some classes are."""

    def register(function: Whole) -> Whole:
        MODULES.update(dict.fromkeys(names, function))
        return function

    return register


def _name(one: nn.Module) -> str:
    """Return the library and class of a module; no library for what the torch backend writes into files."""
    name = type(one).__name__
    written = any(type(one).__name__ == cls and isinstance(one, base) for cls, base in WRITTEN.items())
    library = type(one).__module__.partition(".")[0]
    return f".{name}" if written and f"{library}.{name}" not in MODULES else f"{library}.{name}"


def is_whole(one: nn.Module) -> bool:
    """Tell whether a module is taken as one."""
    return _name(one) in MODULES


def translated(at: Translation, one: nn.Module, *args: Any, **kwargs: Any) -> Any:
    """Return the layouts of what a module returns."""
    try:
        return MODULES[_name(one)](at, one, *args, **kwargs)
    except OpError as error:
        raise Unknown(error.message) from None
    except TypeError as error:
        raise Unknown(str(error)) from None


@module("torchvision.StochasticDepth")
def stochastic_depth(at: Translation, one: Any, x: Tensor) -> Layout:
    """droppath, of whole samples."""
    if one.mode != "row":
        raise Unknown(f"mode='{one.mode}'")
    return at.pointwise(DropPath(p=float(one.p)), x)


@module("timm.DropPath")
def drop_path(at: Translation, one: Any, x: Tensor) -> Layout:
    """Droppath."""
    if not one.scale_by_keep:
        raise Unknown("scale_by_keep=False")
    return at.pointwise(DropPath(p=float(one.drop_prob or 0)), x)


@module("timm.Conv2dSame", ".Conv2dSame")
def conv2d_same(at: Translation, one: Any, x: Tensor) -> Layout:
    """Conv or dwconv with TensorFlow's padding."""
    y = at.map(x)
    op = convolution(y.shape.c, one.weight, one.bias, one.stride, 0, one.dilation, one.groups)
    return at.put(op.replace(pad=Pad("tf")), y, home=at.frame.path)


@module(".UnbiasedKeys")
def unbiased_keys(at: Translation, one: Any, x: Tensor) -> Layout:
    """qkv, whose keys have no bias."""
    return of_rows(at, Qkv(key_bias=False), x, at.frame.path)


@module("timm.StdConv2d", "timm.StdConv2dSame")
def std_conv2d(at: Translation, one: Any, x: Tensor) -> Layout:
    """Stdconv."""
    y = at.map(x)
    same = getattr(one, "same_pad", False)
    plain = convolution(y.shape.c, one.weight, one.bias, one.stride, one.padding, one.dilation, 1)
    args = {name: getattr(plain, name) for name in ("kernel", "stride", "pad", "dilation", "bias")}
    args |= {"pad": Pad("tf")} if same else {}
    op = StdConv(channels=one.out_channels, groups=one.groups, eps=one.eps, **args)
    return at.put(op, y, home=at.frame.path)


@module("timm.MaxPool2dSame")
def max_pool2d_same(at: Translation, one: Any, x: Tensor) -> Layout:
    """Maxpool with TensorFlow's padding."""
    if one.ceil_mode:
        raise Unknown("ceil_mode=True")
    op = MaxPool(
        kernel=dims_of(one.kernel_size),
        stride=stride_of(one.kernel_size, one.stride),
        pad=Pad("tf"),
        dilation=size_of(one.dilation),
    )
    return at.put(op, at.map(x))


@module("timm.AvgPool2dSame")
def avg_pool2d_same(at: Translation, one: Any, x: Tensor) -> Layout:
    """Avgpool with TensorFlow's padding, which counts, whatever the pool says of its own: it has none."""
    if one.ceil_mode:
        raise Unknown("ceil_mode=True")
    op = AvgPool(
        kernel=dims_of(one.kernel_size),
        stride=stride_of(one.kernel_size, one.stride),
        pad=Pad("tf"),
    )
    return at.put(op, at.map(x))


@module("timm.BlurPool2d")
def blur_pool2d(at: Translation, one: Any, x: Tensor) -> Layout:
    """Blurpool."""
    if getattr(one, "pad_mode", "reflect") != "reflect":
        raise Unknown(f"pad_mode='{one.pad_mode}'")
    return at.put(BlurPool(size=one.filt_size, stride=one.stride), at.map(x))


@module("timm.RmsNorm", "timm.RmsNorm2d")
def rms_norm(at: Translation, one: Any, x: Tensor) -> Layout:
    """rms_norm, over the channels."""
    y = at.settled(x)
    return at.put(RmsNorm(eps=one.eps, affine=one.weight is not None), y, home=at.frame.path)


@module("torchvision.ShiftedWindowAttention", "torchvision.ShiftedWindowAttentionV2")
def shifted_window_attention(at: Translation, one: Any, x: Tensor) -> Layout:
    """Attention within windows of a map with its channels last: windows, qkv, attend, fc, unwindows."""
    if one.attention_dropout:
        raise Unknown(f"attention_dropout={one.attention_dropout}")
    y, path = at.settled(x), at.frame.path
    cosine = hasattr(one, "logit_scale")
    window, shift = Dims(one.window_size), Dims(one.shift_size)
    steps = tuple(2 * size - 1 for size in window)
    if cosine:
        first, _, last = one.cpb_mlp
        coords = Weight(
            shape=(*steps, 2), axes="hwc", batch=True, learned=False, inits={"": Init("relative_coords")}
        )
        table = at.put(coords, home=f"{path}.relative_coords_table")
        for name, layer in (("0", first), ("2", last)):
            op = Linear(channels=layer.out_features, bias=layer.bias is not None)
            table = at.put(op, table, home=f"{path}.cpb_mlp.{name}")
            table = at.put(Relu(), table) if name == "0" else table
    else:
        shape = steps[0] * steps[1], one.num_heads
        table = at.put(Weight(shape=shape), home=f"{path}.relative_position_bias_table")
    index = at.put(
        Weight(
            shape=((window[0] * window[1]) ** 2,),
            learned=False,
            inits={"": Init("relative_positions", tuple(window))},
        ),
        home=f"{path}.relative_position_index",
    )
    bias = at.put(RelativeBias(size=window), table, index)
    parts = at.put(Windows(size=window, shift=shift), y)
    parts = at.put(Qkv(bias=one.qkv.bias is not None, key_bias=not cosine), parts, home=f"{path}.qkv")
    further = [bias]
    if cosine:
        bias = at.put(Scale(factor=16.0), at.put(Sigmoid(), bias))
        scale = at.put(Weight(shape=(one.num_heads, 1, 1)), home=f"{path}.logit_scale")
        scale = at.put(HardTanh(min=-1000.0, max=log(100.0)), scale)  # which only bounds it above
        further = [at.put(Exp(), scale), bias]
    if any(shift):
        further.append(at.put(WindowMask(size=window, shift=shift), y))
    attended = at.put(
        Attend(heads=one.num_heads, cosine=cosine), *at.put_all(Split(parts=3), parts), *further
    )
    out = at.put(
        Linear(channels=one.proj.out_features, bias=one.proj.bias is not None), attended, home=f"{path}.proj"
    )
    if one.dropout:
        out = at.put(Dropout(p=float(one.dropout)), out)
    return at.put(Unwindows(size=window, shift=shift), out, y)


@module("torch.MultiheadAttention")
def attention(
    at: Translation,
    one: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    key_padding_mask: Any = None,
    need_weights: bool = True,
    attn_mask: Any = None,
    average_attn_weights: bool = True,
    is_causal: bool = False,
) -> Any:
    """Attention of tokens with themselves."""
    if query is not key or key is not value:
        raise Unknown("its query, key and value are not the same")
    if key_padding_mask is not None or attn_mask is not None or is_causal:
        raise Unknown("it has a mask")
    if not one.batch_first:
        raise Unknown("batch_first=False")
    if one.in_proj_bias is None or one.bias_k is not None or one.add_zero_attn or one.in_proj_weight is None:
        raise Unknown("it has another bias, or other sizes, than the op")
    x = at.settled(query)
    made = at.put(Attention(heads=one.num_heads, dropout=float(one.dropout)), x, home=at.frame.path)
    if at.result[1] is None:
        return (made,)
    raise Unknown("it returns the scores too: need_weights=False returns none")

"""Modules that are taken as one, since what they compute is one op, however they write it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from netdsl.ir.types import Pad
from netdsl.ops.attention import Attention
from netdsl.ops.base import OpError
from netdsl.ops.conv import StdConv
from netdsl.ops.dropout import DropPath
from netdsl.ops.norm import RmsNorm
from netdsl.ops.pool import AvgPool, BlurPool, MaxPool
from netdsl_from_torch.layout import Layout, Unknown
from netdsl_from_torch.ops import _dims, _size, _stride, convolution

if TYPE_CHECKING:
    from torch import Tensor, nn

    from netdsl_from_torch.translate import Translation

Whole = Callable[..., Any]
MODULES: dict[str, Whole] = {}
"""By library and class what a module is: layouts."""


def module(*names: str) -> Callable[[Whole], Whole]:
    """Register what some classes are."""

    def register(function: Whole) -> Whole:
        MODULES.update(dict.fromkeys(names, function))
        return function

    return register


def _name(one: nn.Module) -> str:
    return f"{type(one).__module__.partition('.')[0]}.{type(one).__name__}"


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


@module("timm.Conv2dSame")
def conv2d_same(at: Translation, one: Any, x: Tensor) -> Layout:
    """Conv or dwconv with TensorFlow's padding."""
    y = at.map(x)
    op = convolution(y.shape.c, one.weight, one.bias, one.stride, 0, one.dilation, one.groups)
    return at.put(op.replace(pad=Pad("tf")), y, home=at.frame.path)


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
        kernel=_dims(one.kernel_size),
        stride=_stride(one.kernel_size, one.stride),
        pad=Pad("tf"),
        dilation=_size(one.dilation),
    )
    return at.put(op, at.map(x))


@module("timm.AvgPool2dSame")
def avg_pool2d_same(at: Translation, one: Any, x: Tensor) -> Layout:
    """Avgpool with TensorFlow's padding."""
    if one.ceil_mode:
        raise Unknown("ceil_mode=True")
    op = AvgPool(
        kernel=_dims(one.kernel_size),
        stride=_stride(one.kernel_size, one.stride),
        pad=Pad("tf"),
        count_include_pad=one.count_include_pad,
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

"""What each op is in PyTorch: one function per op, found by its class in `LOWERINGS`. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
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
)
from netdsl.ir.types import Dims, Init
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
from netdsl.symbolic import real, symbolic, term

Lowering = Callable[[Any, Context], Lowered]
L = TypeVar("L", bound=Lowering)

LOWERINGS: Lowerings[Lowering] = Lowerings("torch")

HELPERS = {
    "add_child": '''\
def add_child(module: nn.Module, path: str, child: nn.Module) -> None:
    """Add a child of children by its path, and what mappings on the way there are not yet."""
    *parts, last = path.split(".")
    for part in parts:
        if part not in dict(module.named_children()):
            module.add_module(part, nn.ModuleDict())
        module = module.get_submodule(part)
        if type(module) is not nn.ModuleDict:
            raise ValueError(f"{part} of {path} is a module already")
    if last in dict(module.named_children()):
        raise ValueError(f"two modules are called {path}")
    module.add_module(last, child)
''',
    "check_size": '''\
def check_size(size: int, takes: int, name: str, what: str) -> None:
    """Raise an error where a size does not fit, in a form that tracers take."""
    message = f"{name} takes {takes} {what}: resize the input"
    torch._assert(size == takes, message)  # type: ignore[no-untyped-call]
''',
    "check_condition": '''\
def check_condition(holds: bool, takes: bool, what: str) -> None:
    """Raise an error where sizes would make another net, in a form that tracers take."""
    message = f"{what} is {takes} here: resize the input"
    torch._assert(holds == takes, message)  # type: ignore[no-untyped-call]
''',
    "check_same_size": '''\
def check_same_size(maps: list[Tensor]) -> None:
    """Raise an error where joined maps differ in size, but for 1x1, in a form that tracers take."""
    for i, x in enumerate(maps):
        for y in maps[:i]:
            h, w, rows, columns = y.shape[2], y.shape[3], x.shape[2], x.shape[3]
            fits = ((h == rows) & (w == columns)) | (h * w == 1) | (rows * columns == 1)
            message = f"maps of {h}x{w} and {rows}x{columns} cannot be joined: resize the input"
            torch._assert(fits, message)  # type: ignore[no-untyped-call]
''',
    "of_same_size": '''\
def of_same_size(x: Tensor, like: Tensor) -> Tensor:
    """Return a map that is joined with another, whose size it must have."""
    check_same_size([like, x])
    return x
''',
    "size_2d": '''\
def size_2d(size: int | tuple[int, int]) -> tuple[int, int]:
    """Return a size for height and width."""
    return (size, size) if isinstance(size, int) else size
''',
    "pad_same": '''\
def pad_same(
    x: Tensor, window: tuple[int, int], stride: tuple[int, int], value: float = 0.0
) -> Tensor:
    """Pad a map as TensorFlow does, of any size: an odd pixel is added below and at the right."""
    pad: list[int] = []
    for axis in (1, 0):  # F.pad takes the last one first
        total = window[axis] - 1 - (x.shape[2 + axis] - 1) % stride[axis]
        total = (total + abs(total)) // 2  # at least 0, without a comparison for tracers to fix
        pad.extend((total // 2, total - total // 2))
    return F.pad(x, pad, value=value)
''',
    "Conv2dSame": '''\
class Conv2dSame(nn.Conv2d):
    """A convolution with TensorFlow's padding: an odd pixel is added below and at the right."""

    def forward(self, input: Tensor) -> Tensor:
        (h, w), (rows, columns), (down, across) = self.kernel_size, self.dilation, self.stride
        h, w = rows * (h - 1) + 1, columns * (w - 1) + 1
        if max(down, across) == 1 and h % 2 == w % 2 == 1:  # the same on all sides, at any size
            pad = h // 2, w // 2
        else:
            input, pad = pad_same(input, (h, w), (down, across)), (0, 0)
        args = self.weight, self.bias, self.stride, pad, self.dilation, self.groups
        return F.conv2d(input, *args)
''',
    "StdConv2d": '''\
class StdConv2d(nn.Conv2d):
    """A convolution whose weight is standardized for each output channel when it is used."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] = 0,
        dilation: int | tuple[int, int] = 1,
        groups: int = 1,
        bias: bool = True,
        eps: float = 1e-6,
    ) -> None:
        sizes = kernel_size, stride, padding, dilation
        super().__init__(in_channels, out_channels, *sizes, groups=groups, bias=bias)
        self.eps = eps

    def standardized(self) -> Tensor:
        """Return the weight with mean 0 and variance 1 for each output channel."""
        rows = self.weight.reshape(1, self.out_channels, -1)
        rows = F.batch_norm(rows, None, None, training=True, momentum=0.0, eps=self.eps)
        return rows.reshape_as(self.weight)

    def forward(self, input: Tensor) -> Tensor:
        y: Tensor = self._conv_forward(input, self.standardized(), self.bias)
        return y
''',
    "StdConv2dSame": '''\
class StdConv2dSame(StdConv2d):
    """A convolution with standardized weights and TensorFlow's padding."""

    def forward(self, input: Tensor) -> Tensor:
        (h, w), (rows, columns), (down, across) = self.kernel_size, self.dilation, self.stride
        h, w = rows * (h - 1) + 1, columns * (w - 1) + 1
        if max(down, across) == 1 and h % 2 == w % 2 == 1:  # the same on all sides, at any size
            pad = h // 2, w // 2
        else:
            input, pad = pad_same(input, (h, w), (down, across)), (0, 0)
        args = self.bias, self.stride, pad, self.dilation, self.groups
        return F.conv2d(input, self.standardized(), *args)
''',
    "UnbiasedKeys": '''\
class UnbiasedKeys(nn.Linear):
    """Queries, keys and values by one linear layer; the keys' bias counts as zero."""

    def forward(self, input: Tensor) -> Tensor:
        q, k, v = self.bias.chunk(3)
        return F.linear(input, self.weight, torch.cat((q, torch.zeros_like(k), v)))
''',
    "BlurPool2d": '''\
class BlurPool2d(nn.Module):
    """A binomial filter that slides over the map, reflected at its edges."""

    filt: Tensor

    def __init__(self, filt_size: int = 3, stride: int = 2) -> None:
        super().__init__()
        self.stride = stride
        self.pad = (stride + filt_size) // 2 - 1
        total = 2 ** (filt_size - 1)
        row = torch.tensor([math.comb(filt_size - 1, i) / total for i in range(filt_size)])
        self.register_buffer("filt", row[:, None] * row, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        x = F.pad(x, [self.pad] * 4, mode="reflect")
        filt = self.filt.expand(x.shape[1], 1, -1, -1)
        return F.conv2d(x, filt, stride=self.stride, groups=x.shape[1])
''',
    "DropPath": '''\
class DropPath(nn.Dropout):
    """Stochastic depth: in training, a sample is zero with probability p, else divided by 1 - p."""

    def forward(self, input: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return input
        keep = 1 - self.p
        mask = input.new_empty([input.shape[0]] + [1] * (input.ndim - 1)).bernoulli_(keep)
        return input * (mask / keep if keep > 0 else mask)
''',
    "LayerNorm2d": '''\
class LayerNorm2d(nn.LayerNorm):
    """Layer normalization over the channels of a map, at every place by itself."""

    def forward(self, input: Tensor) -> Tensor:
        x = input.permute(0, 2, 3, 1)
        x = F.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)
        return x.permute(0, 3, 1, 2)
''',
    "RMSNorm2d": '''\
class RMSNorm2d(nn.RMSNorm):
    """Root mean square normalization over the channels of a map, at every place by itself."""

    def forward(self, x: Tensor) -> Tensor:
        x = x.permute(0, 2, 3, 1)
        x = F.rms_norm(x, self.normalized_shape, self.weight, self.eps)
        return x.permute(0, 3, 1, 2)
''',
    "grouped_local_response_norm": '''\
def grouped_local_response_norm(
    x: Tensor, size: int, groups: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Tensor:
    """Divide every value by a power of the mean square of neighbouring channels of its group."""
    n, c, h, w = x.shape
    maps = x.reshape(n * groups, c // groups, h, w)
    return F.local_response_norm(maps, size, alpha, beta, k).reshape(n, c, h, w)
''',
    "GroupedLocalResponseNorm": '''\
class GroupedLocalResponseNorm(nn.LocalResponseNorm):
    """Local response normalization of each group of channels by itself."""

    def __init__(
        self, size: int, groups: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
    ) -> None:
        super().__init__(size, alpha, beta, k)
        self.groups = groups

    def forward(self, x: Tensor) -> Tensor:
        numbers = self.alpha, self.beta, self.k
        return grouped_local_response_norm(x, self.size, self.groups, *numbers)
''',
    "Permute": '''\
class Permute(nn.Module):
    """The axes in another order."""

    def __init__(self, *dims: int) -> None:
        super().__init__()
        self.dims = dims

    def forward(self, x: Tensor) -> Tensor:
        return x.permute(self.dims)
''',
    "Exp": '''\
class Exp(nn.Module):
    """The exponential function."""

    def forward(self, x: Tensor) -> Tensor:
        return x.exp()
''',
    "GlobalAvgPool2d": '''\
class GlobalAvgPool2d(nn.Module):
    """The mean of every channel."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3))
''',
    "MeanAlong": '''\
class MeanAlong(nn.Module):
    """The mean along some axes."""

    def __init__(self, dim: int | tuple[int, ...], keepdim: bool = False) -> None:
        super().__init__()
        self.dim = (dim,) if isinstance(dim, int) else dim
        self.keepdim = keepdim

    def forward(self, x: Tensor) -> Tensor:
        return x.mean(self.dim, keepdim=self.keepdim)
''',
    "AmaxAlong": '''\
class AmaxAlong(nn.Module):
    """The largest along some axes."""

    def __init__(self, dim: int | tuple[int, ...], keepdim: bool = False) -> None:
        super().__init__()
        self.dim = (dim,) if isinstance(dim, int) else dim
        self.keepdim = keepdim

    def forward(self, x: Tensor) -> Tensor:
        return x.amax(self.dim, keepdim=self.keepdim)
''',
    "Tokens": '''\
class Tokens(nn.Module):
    """The places of a map as a sequence, row by row."""

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(2).transpose(1, 2)
''',
    "map_of_tokens": '''\
def map_of_tokens(x: Tensor, size: tuple[int, int]) -> Tensor:
    """A sequence as the places of a map, row by row."""
    return x.transpose(1, 2).reshape(x.shape[0], x.shape[2], size[0], size[1])
''',
    "map_like": '''\
def map_like(x: Tensor, like: Tensor) -> Tensor:
    """A sequence as the places of a map as high and wide as another."""
    return map_of_tokens(x, (like.shape[2], like.shape[3]))
''',
    "MapOfTokens": '''\
class MapOfTokens(nn.Module):
    """A sequence as the places of a map, row by row."""

    def __init__(self, size: tuple[int, int]) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        return map_of_tokens(x, self.size)
''',
    "Token": '''\
class Token(nn.Module):
    """One token of a sequence."""

    def __init__(self, index: int) -> None:
        super().__init__()
        self.index = index

    def forward(self, x: Tensor) -> Tensor:
        return x[:, self.index]
''',
    "max_pool2d_same": '''\
def max_pool2d_same(
    x: Tensor,
    kernel_size: int | tuple[int, int],
    stride: int | tuple[int, int],
    dilation: int | tuple[int, int] = 1,
) -> Tensor:
    """The largest value of each window, with TensorFlow's padding."""
    kernel, step, apart = size_2d(kernel_size), size_2d(stride), size_2d(dilation)
    window = apart[0] * (kernel[0] - 1) + 1, apart[1] * (kernel[1] - 1) + 1
    return F.max_pool2d(pad_same(x, window, step, -torch.inf), kernel, step, dilation=apart)
''',
    "avg_pool2d_same": '''\
def avg_pool2d_same(
    x: Tensor,
    kernel_size: int | tuple[int, int],
    stride: int | tuple[int, int],
    count_include_pad: bool = True,
) -> Tensor:
    """The mean of each window, with TensorFlow's padding, which counts as zeros or not at all."""
    kernel, step = size_2d(kernel_size), size_2d(stride)
    mean = F.avg_pool2d(pad_same(x, kernel, step), kernel, step)
    if count_include_pad:
        return mean
    inside = pad_same(x.new_ones([1, 1, x.shape[2], x.shape[3]]), kernel, step)
    return mean / F.avg_pool2d(inside, kernel, step)
''',
    "MaxPool2dSame": '''\
class MaxPool2dSame(nn.MaxPool2d):
    """Max pooling with TensorFlow's padding."""

    def forward(self, input: Tensor) -> Tensor:
        return max_pool2d_same(input, self.kernel_size, self.stride, self.dilation)
''',
    "AvgPool2dSame": '''\
class AvgPool2dSame(nn.AvgPool2d):
    """Average pooling with TensorFlow's padding."""

    def forward(self, input: Tensor) -> Tensor:
        return avg_pool2d_same(input, self.kernel_size, self.stride, self.count_include_pad)
''',
    "center_crop": '''\
def center_crop(x: Tensor, like: Tensor) -> Tensor:
    """The middle of a map, as high and wide as another."""
    h, w = like.shape[2], like.shape[3]
    top, left = (x.shape[2] - h) // 2, (x.shape[3] - w) // 2
    return x.narrow(2, top, h).narrow(3, left, w)  # which refuses a map that is smaller
''',
    "slice_along": '''\
def slice_along(x: Tensor, dim: int, begin: int, end: int | None = None, step: int = 1) -> Tensor:
    """What lies from one place of an axis on, to another or the end, or every so many of it."""
    stop = x.shape[dim] if end is None else end
    torch._assert(begin < stop, "nothing is left of what is sliced")  # type: ignore[no-untyped-call]
    part = x.narrow(dim, begin, stop - begin)  # which refuses what is smaller
    return part if step == 1 else part.movedim(dim, 0)[::step].movedim(0, dim)
''',
    "slice2d": '''\
def slice2d(
    x: Tensor,
    begin: tuple[int, int],
    end: tuple[int, int] | None = None,
    stride: int | tuple[int, int] = 1,
) -> Tensor:
    """The pixels of a map from one on, to another or the end, or every so many of them."""
    down, across = size_2d(stride)
    x = slice_along(x, -2, begin[0], None if end is None else end[0], down)
    return slice_along(x, -1, begin[1], None if end is None else end[1], across)
''',
    "split_equally": '''\
def split_equally(x: Tensor, number: int, dim: int) -> list[Tensor]:
    """The equal parts of a tensor as a list, which a tracer cannot count by itself."""
    parts = x.chunk(number, dim)
    return [parts[i] for i in range(number)]
''',
    "split_by_sizes": '''\
def split_by_sizes(x: Tensor, sizes: Sequence[int], dim: int) -> list[Tensor]:
    """The parts of a tensor as a list, which a tracer cannot count by itself."""
    parts = torch.split(x, list(sizes), dim)
    return [parts[i] for i in range(len(sizes))]
''',
    "upsample2d": '''\
def upsample2d(x: Tensor, scale: int, mode: str = "nearest") -> Tensor:
    """A map that many times as high and wide."""
    return F.interpolate(x, scale_factor=float(scale), mode=mode)  # TorchScript takes no int
''',
    "resize_like": '''\
def resize_like(
    x: Tensor, like: Tensor, mode: str = "nearest", align_corners: bool | None = None
) -> Tensor:
    """A map drawn as high and wide as another."""
    size = [like.shape[2], like.shape[3]]
    return F.interpolate(x, size, mode=mode, align_corners=align_corners)
''',
    "pad_to_multiple": '''\
def pad_to_multiple(x: Tensor, size: tuple[int, int]) -> Tensor:
    """A map with zeros below and at the right to whole multiples of a size."""
    h, w = x.shape[2], x.shape[3]
    return F.pad(x, (0, (size[1] - w % size[1]) % size[1], 0, (size[0] - h % size[0]) % size[0]))
''',
    "shift_within": '''\
def shift_within(x: Tensor, size: tuple[int, int], shift: tuple[int, int]) -> tuple[int, int]:
    """How far whole windows are moved along each axis: not at all where one covers it."""
    down, across = x.shape[2] - size[0], x.shape[3] - size[1]
    down = shift[0] + down - abs(shift[0] - down)  # twice the least, without a comparison to fix
    return down // 2, (shift[1] + across - abs(shift[1] - across)) // 2
''',
    "to_windows": '''\
def to_windows(
    x: Tensor,
    size: tuple[int, int],
    shift: tuple[int, int] = (0, 0),
    spread: bool = False,
    apart: bool = False,
) -> Tensor:
    """A map in windows of its places, which may lie spread over the map, or so far apart."""
    x = pad_to_multiple(x, size)
    if shift[0] + shift[1] > 0:
        down, across = shift_within(x, size, shift)
        x = torch.roll(x.permute(0, 2, 3, 1), (-down, -across), (1, 2)).permute(0, 3, 1, 2)
    (rows, columns), n, c = size, x.shape[0], x.shape[1]
    down, across = x.shape[2] // rows, x.shape[3] // columns
    if apart:
        rows, columns, down, across = down, across, rows, columns
    if spread or apart:
        x = x.reshape(n, c, rows, down, columns, across).permute(0, 3, 5, 2, 4, 1)
    else:
        x = x.reshape(n, c, down, rows, across, columns).permute(0, 2, 4, 3, 5, 1)
    return x.reshape(n, down * across, rows * columns, c)
''',
    "from_windows": '''\
def from_windows(
    x: Tensor,
    like: Tensor,
    size: tuple[int, int],
    shift: tuple[int, int] = (0, 0),
    spread: bool = False,
    apart: bool = False,
) -> Tensor:
    """Windows as the map that they are of, which is as high and wide as another."""
    (rows, columns), n, c, h, w = size, x.shape[0], x.shape[3], like.shape[2], like.shape[3]
    down, across = (h + rows - 1) // rows, (w + columns - 1) // columns
    if apart:
        rows, columns, down, across = down, across, rows, columns
    x = x.reshape(n, down, across, rows, columns, c)
    x = x.permute(0, 5, 3, 1, 4, 2) if spread or apart else x.permute(0, 5, 1, 3, 2, 4)
    x = x.reshape(n, c, down * rows, across * columns)
    if shift[0] + shift[1] > 0:
        down, across = shift_within(x, size, shift)
        x = torch.roll(x, (down, across), (2, 3))
    return x.narrow(2, 0, h).narrow(3, 0, w)
''',
    "from_windows_last": '''\
def from_windows_last(
    x: Tensor,
    like: Tensor,
    size: tuple[int, int],
    shift: tuple[int, int] = (0, 0),
    spread: bool = False,
    apart: bool = False,
) -> Tensor:
    """Windows as the map that they are of, with its channels last."""
    x = from_windows(x, like.permute(0, 3, 1, 2), size, shift, spread, apart)
    return x.permute(0, 2, 3, 1).contiguous()
''',
    "window_mask": '''\
def window_mask(x: Tensor, size: tuple[int, int], shift: tuple[int, int] = (0, 0)) -> Tensor:
    """What is added to the score of two places: -100 where a shift brought them together."""
    x = pad_to_multiple(x[:, :1], size)
    h, w = x.shape[2], x.shape[3]
    down, across = shift_within(x, size, shift)
    below = torch.arange(h, device=x.device) >= h - down
    right = torch.arange(w, device=x.device) >= w - across
    side = 2 * below[:, None].to(x.dtype) + right.to(x.dtype)
    side = to_windows(side[None, None], size)[..., 0]
    mask = (side[..., None] != side[..., None, :]).to(x.dtype) * -100
    return mask.expand(x.shape[0], -1, -1, -1)
''',
    "attend_by_heads": '''\
def attend_by_heads(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    heads: int,
    scale: float | None = None,
    by: Tensor | None = None,
    bias: Tensor | None = None,
    mask: Tensor | None = None,
) -> Tensor:
    """Scaled dot-product attention by heads; of cosines, where they are multiplied `by` numbers."""
    q, k, v = [
        torch.unflatten(x, -1, (heads, x.shape[-1] // heads)).transpose(-3, -2) for x in (q, k, v)
    ]
    if by is None:
        q = q * (q.shape[-1] ** -0.5 if scale is None else scale)
        scores = q @ k.transpose(-2, -1)
    else:
        scores = F.normalize(q, dim=-1) @ F.normalize(k, dim=-1).transpose(-2, -1) * by
    if bias is not None:
        scores = scores + bias
    if mask is not None:
        scores = scores + mask.unsqueeze(-3)
    return (scores.softmax(-1) @ v).transpose(-3, -2).flatten(-2)
''',
    "relative_positions": '''\
def relative_positions(rows: int, columns: int, shape: tuple[int, ...]) -> Tensor:
    """For each pair of places, which row of a table is the step from the second to the first."""
    i, j = torch.arange(rows), torch.arange(columns)
    down, across = i[:, None] - i + rows - 1, j[:, None] - j + columns - 1
    index = down[:, None, :, None] * (2 * columns - 1) + across[:, None, :]
    return index.reshape(shape)
''',
    "relative_coords": '''\
def relative_coords(*shape: int) -> Tensor:
    """How far places lie from the middle, down and across, from -8 to 8 and on a log scale."""
    reach = [(size - 1) // 2 for size in shape[-3:-1]]
    axes = [torch.arange(-n, n + 1, dtype=torch.float32) / max(n, 1) * 8 for n in reach]
    steps = torch.stack(torch.meshgrid(axes, indexing="ij"), -1)
    return (steps.sign() * torch.log2(steps.abs() + 1.0) / 3.0).reshape(shape)
''',
    "relative_bias": '''\
def relative_bias(table: Tensor, index: Tensor, places: int) -> Tensor:
    """What each head adds to the score of two places, by a table with a row for each step."""
    if index.ndim == 1:
        rows = table.index_select(-2, index.long())
    else:  # another of each sample
        table = table if table.ndim > 2 else table.unsqueeze(0)
        rows = torch.take_along_dim(table, index.long().unsqueeze(-1), -2)
    return torch.unflatten(rows, -2, (places, places)).movedim(-1, -3).contiguous()
''',
    "channel_shuffle": '''\
def channel_shuffle(x: Tensor, groups: int) -> Tensor:
    """Interleave the channels of the groups, so that the next groups see all of them."""
    n, c, h, w = x.shape
    return x.view(n, groups, c // groups, h, w).transpose(1, 2).reshape(n, c, h, w)
''',
}
"""Classes and functions that torch has not, by name, for the top of a file that uses them.

What follows from a map's size they find when they are called. One may use those above it.
"""


def lowers(*ops: type[Op]) -> Callable[[L], L]:
    """Register the function that lowers these ops."""

    def register(function: L) -> L:
        LOWERINGS.update(dict.fromkeys(ops, function))
        return function

    return register


def _first(role: str, value: Constant) -> Arg:
    """Make an argument that everyone writes by its position."""
    return Arg(role, Const(value), keyword=False)


def _option(role: str, value: Constant, default: Constant) -> Arg:
    """Make an argument that is written by its name, unless it is torch's default."""
    return Arg(role, Const(value), Const(default))


def _given(value: Expr) -> Arg:
    """Make an argument of a tensor."""
    return Arg("input", value, keyword=False)


def _apply(function: str, *args: Arg, to: Expr | None = None) -> Call:
    """Make `function(x, args)`, where x is the op's first input if not given."""
    return Call(function, (_given(to or Input()), *args))


def _method(name: str, *args: Arg, of: Expr | None = None) -> Call:
    """Make `x.name(args)`, where x is the op's first input if not given."""
    return Call(name, args, receiver=of or Input())


def _size(size: Dims | tuple[int, int] | int) -> int | tuple[int, ...]:
    """Return a size for both axes as torch takes it: an int where they are equal."""
    if isinstance(size, int) or symbolic(size):
        return size
    return size[0] if term(size[0]) == term(size[1]) else tuple(size)


def _pair(size: Dims | int) -> tuple[int, ...]:
    """Return a size as that of rows and of columns."""
    return size if symbolic(size) and not isinstance(size, int) else tuple(both(size))


def _is_one(number: int) -> bool:
    """Tell whether a number is 1 for all arguments."""
    return number == 1 and not symbolic(number)


def _dim(context: Context, axis: str) -> int:
    """Return where an axis of the first input is; of a learned tensor only its own op knows if it has a batch."""
    x = context.inputs[0]
    return x.axis(axis) + 1 if _batched(context, 0) else x.axis(axis) - len(x)


def _batched(context: Context, index: int) -> bool:
    return index >= len(context.batched) or context.batched[index]


# Layers with weights


@lowers(Conv, DwConv, UpConv, StdConv)
def conv(op: Convolution, context: Context) -> Lowered:
    """nn.Conv2d or nn.ConvTranspose2d, or our Conv2dSame for padding that follows from the map's size."""
    x = context.inputs[0]
    plain, same = ("StdConv2d", "StdConv2dSame") if isinstance(op, StdConv) else ("nn.Conv2d", "Conv2dSame")
    layer = Call(
        "nn.ConvTranspose2d" if isinstance(op, UpConv) else same if op.pads_by_size else plain,
        (
            _first("in_channels", x.c),
            _first("out_channels", op.channels_of(x.c)),
            _first("kernel_size", _size(op.kernel)),
            _option("stride", _size(op.stride), 1),
            _option("padding", 0 if op.pads_by_size else _size(op.constant_padding), 0),
            *([_option("output_padding", _size(op.output_pad), 0)] if isinstance(op, UpConv) else []),
            _option("dilation", _size(op.dilation), 1),
            _groups(op, x.c),
            _option("bias", op.bias, True),
            *([_option("eps", op.eps, 1e-6)] if isinstance(op, StdConv) else []),
        ),
    )
    return Lowered(module=layer)


def _groups(op: Convolution, channels: int) -> Arg:
    """Return the argument of the groups, which a depthwise convolution always says."""
    groups = Const(op.groups_of(channels))
    return Arg("groups", groups, None if isinstance(op, DwConv) else Const(1))


@lowers(Linear)
def fc(op: Linear, context: Context) -> Lowered:
    """nn.Linear."""
    features = _first("in_features", context.inputs[0][-1]), _first("out_features", op.channels)
    return Lowered(module=Call("nn.Linear", (*features, _option("bias", op.bias, True))))


@lowers(BatchNorm)
def bn(op: BatchNorm, context: Context) -> Lowered:
    """nn.BatchNorm2d of a map, nn.BatchNorm1d of a vector."""
    x = context.inputs[0]
    numbers = _option("eps", op.eps, 1e-5), _option("momentum", op.momentum, 0.1)
    name = "nn.BatchNorm2d" if x.axes == "chw" else "nn.BatchNorm1d"
    return Lowered(module=Call(name, (_first("num_features", x.c), *numbers, _affine(op))))


@lowers(LayerNorm)
def ln(op: LayerNorm, context: Context) -> Lowered:
    """nn.LayerNorm where the channels are last, which is the only place it knows."""
    x = context.inputs[0]
    name = "nn.LayerNorm" if x.axes[-1] == "c" else "LayerNorm2d"
    options = _option("eps", op.eps, 1e-5), _affine(op, "elementwise_affine"), _option("bias", op.bias, True)
    return Lowered(module=Call(name, (_first("normalized_shape", x.c), *options)))


@lowers(RmsNorm)
def rms_norm(op: RmsNorm, context: Context) -> Lowered:
    """nn.RMSNorm where the channels are last, which is the only place it knows; its own eps is the dtype's."""
    x = context.inputs[0]
    name = "nn.RMSNorm" if x.axes[-1] == "c" else "RMSNorm2d"
    options = Arg("eps", Const(op.eps)), _affine(op, "elementwise_affine")
    return Lowered(module=Call(name, (_first("normalized_shape", x.c), *options)))


@lowers(GroupNorm)
def gn(op: GroupNorm, context: Context) -> Lowered:
    """nn.GroupNorm."""
    sizes = _first("num_groups", op.groups), _first("num_channels", context.inputs[0].c)
    return Lowered(module=Call("nn.GroupNorm", (*sizes, _option("eps", op.eps, 1e-5), _affine(op))))


@lowers(InstanceNorm)
def instance_norm(op: InstanceNorm, context: Context) -> Lowered:
    """nn.InstanceNorm2d."""
    options = _option("eps", op.eps, 1e-5), _affine(op, usual=False)
    return Lowered(module=Call("nn.InstanceNorm2d", (_first("num_features", context.inputs[0].c), *options)))


def _affine(op: Norm, role: str = "affine", usual: bool = True) -> Arg:
    """Return the argument that decides whether a norm has weights."""
    return _option(role, op.affine, usual)


@lowers(Attention)
def attention(op: Attention, context: Context) -> Lowered:
    """nn.MultiheadAttention of the tokens with themselves; not asked for the scores, it fuses."""
    sizes = _first("embed_dim", context.inputs[0].c), _first("num_heads", op.heads)
    options = _option("dropout", op.dropout, 0.0), _option("batch_first", True, False)
    qkv = tuple(Arg(role, Input(), keyword=False) for role in ("query", "key", "value"))
    attended = Call(Self(), (*qkv, _option("need_weights", False, True)))
    return Lowered(module=Call("nn.MultiheadAttention", (*sizes, *options)), function=Item(attended, "0"))


@lowers(Qkv)
def qkv(op: Qkv, context: Context) -> Lowered:
    """nn.Linear, or our UnbiasedKeys."""
    c = context.inputs[0].c
    name = "nn.Linear" if op.key_bias or not op.bias else "UnbiasedKeys"
    features = _first("in_features", c), _first("out_features", 3 * c)
    return Lowered(module=Call(name, (*features, _option("bias", op.bias, True))))


@lowers(MatMul)
def matmul(op: MatMul, context: Context) -> Lowered:
    """`a @ b`."""
    return Lowered(function=Binary("@", Input(), Input(1)))


@lowers(Attend)
def attend(op: Attend, context: Context) -> Lowered:
    """Our attend_by_heads."""
    further = op.further(*context.inputs)
    tensors = {
        name: _per_window(at, context) if name != "mask" else Input(at) for name, at in further.items()
    }
    function = Call(
        "attend_by_heads",
        (
            *(_given(Input(at)) for at in range(3)),
            _first("heads", op.heads),
            _option("scale", op.scale, None),
            *(Arg(name, tensor) for name, tensor in tensors.items()),
        ),
    )
    return Lowered(function=function)


def _per_window(index: int, context: Context) -> Expr:
    """Give a batch of biases an axis of one for windows."""
    windows = context.inputs[0].axes == "bnc" and _batched(context, index)
    return Item(Input(index), ":, None") if windows else Input(index)


@lowers(RelativeBias)
def relative_bias(op: RelativeBias, context: Context) -> Lowered:
    """Our relative_bias."""
    table: Expr = Input()
    if context.inputs[0].axes == "hwc":
        table = _method("flatten", _first("start_dim", -3), _first("end_dim", -2))
    begin = [_first("start_dim", 1)] if _batched(context, 1) else []
    index = Input(1) if context.inputs[1].axes == "c" else _method("flatten", *begin, of=Input(1))
    places = _first("places", op.places)
    return Lowered(function=_apply("relative_bias", _given(index), places, to=table))


# Windows


_WINDOWS: dict[type[Op], str] = {
    Windows: "to_windows",
    WindowMask: "window_mask",
}
"""By op our function."""


@lowers(Unwindows, *_WINDOWS)
def windows(op: Partition, context: Context) -> Lowered:
    """Our to_windows and window_mask of a map with its channels first, from_windows or from_windows_last."""
    sizes = _first("size", _pair(op.size)), _option("shift", _pair(op.shift), (0, 0))
    ways = (
        [_option(way, getattr(op, way), False) for way in ("spread", "apart")]
        if isinstance(op, Grids)
        else []
    )
    if isinstance(op, Unwindows):
        last = context.inputs[1].axes == "hwc"
        maps = _given(Input()), _given(Input(1))
        made = Call("from_windows_last" if last else "from_windows", (*maps, *sizes, *ways))
        return Lowered(function=made if last else _method("contiguous", of=made))  # as other maps lie
    to_first = [_first("dims", axis) for axis in (0, 3, 1, 2)]
    x = _method("permute", *to_first) if context.inputs[0].axes == "hwc" else Input()
    return Lowered(function=Call(_WINDOWS[type(op)], (_given(x), *sizes, *ways)))


# Pools


@lowers(MaxPool, AvgPool)
def pool(op: Pool, context: Context) -> Lowered:
    """nn.MaxPool2d, nn.AvgPool2d, their adaptive forms, or ours for padding that follows from the map's size."""
    kind = "Max" if isinstance(op, MaxPool) else "Avg"
    if op.to is not None:
        size = _first("output_size", _size(op.to))
        function = _apply(f"F.adaptive_{kind.lower()}_pool2d", size)
        return Lowered(module=Call(f"nn.Adaptive{kind}Pool2d", (size,)), function=function)
    kernel, stride = map(_size, op.window)
    size, special = _first("kernel_size", kernel), _special(op)
    if op.pads_by_size:
        same = size, Arg("stride", Const(stride)), special
        function = _apply(f"{kind.lower()}_pool2d_same", *same)
        return Lowered(module=Call(f"{kind}Pool2dSame", same), function=function)
    padding, ceil = _option("padding", _size(op.constant_padding), 0), _option("ceil_mode", op.ceil, False)
    step = _option("stride", stride, kernel)
    args = (size, step, padding, *((special, ceil) if kind == "Max" else (ceil, special)))
    return Lowered(module=Call(f"nn.{kind}Pool2d", args), function=_apply(f"F.{kind.lower()}_pool2d", *args))


def _special(op: Pool) -> Arg:
    """Return the argument that only this kind of pool has."""
    if isinstance(op, AvgPool):
        return _option("count_include_pad", op.unpadded or op.count_include_pad, True)
    return _option("dilation", _size(op.spread), 1)


@lowers(BlurPool)
def blurpool(op: BlurPool, context: Context) -> Lowered:
    """Our BlurPool2d, timm's."""
    size = Arg("filt_size", Const(op.size), Const(3), False)
    return Lowered(module=Call("BlurPool2d", (size, _option("stride", op.stride, 2))))


@lowers(GlobalAvgPool)
def gap(op: GlobalAvgPool, context: Context) -> Lowered:
    """x.mean((2, 3)), or our GlobalAvgPool2d as a module."""
    return Lowered(module=Call("GlobalAvgPool2d"), function=_method("mean", _first("dim", (2, 3))))


@lowers(Mean, Amax)
def reduction(op: Reduction, context: Context) -> Lowered:
    """x.mean(1), x.amax((2, 3)), or our MeanAlong, AmaxAlong as modules."""
    x = context.inputs[0]
    axes = op.along(x.axes)
    if not _batched(context, 0):  # of a learned tensor only its own op knows if it has a batch
        axes = tuple(axis - 1 - len(x) for axis in axes)
    dim = _first("dim", axes if len(axes) > 1 else axes[0])
    keep = _option("keepdim", op.keep, False)
    return Lowered(
        module=Call(f"{op.name.capitalize()}Along", (dim, keep)), function=_method(op.name, dim, keep)
    )


# Normalisation without weights, activations, dropout


@lowers(LocalResponseNorm)
def lrn(op: LocalResponseNorm, context: Context) -> Lowered:
    """nn.LocalResponseNorm, or ours in groups."""
    numbers = _option("alpha", op.alpha, 1e-4), _option("beta", op.beta, 0.75), _option("k", op.k, 1.0)
    if not _is_one(op.groups):
        grouped = _first("size", op.size), _first("groups", op.groups), *numbers
        function = _apply("grouped_local_response_norm", *grouped)
        return Lowered(module=Call("GroupedLocalResponseNorm", grouped), function=function)
    args = _first("size", op.size), *numbers
    return Lowered(module=Call("nn.LocalResponseNorm", args), function=_apply("F.local_response_norm", *args))


_ACTIVATIONS: dict[type[Op], tuple[str, str]] = {
    Relu: ("ReLU", "F.relu"),
    Relu6: ("ReLU6", "F.relu6"),
    LeakyRelu: ("LeakyReLU", "F.leaky_relu"),
    Elu: ("ELU", "F.elu"),
    Celu: ("CELU", "F.celu"),
    Selu: ("SELU", "F.selu"),
    HardTanh: ("Hardtanh", "F.hardtanh"),
    Threshold: ("Threshold", "F.threshold"),
    HSwish: ("Hardswish", "F.hardswish"),
    HSigmoid: ("Hardsigmoid", "F.hardsigmoid"),
    Silu: ("SiLU", "F.silu"),
    Mish: ("Mish", "F.mish"),
    Sigmoid: ("Sigmoid", "torch.sigmoid"),
    Tanh: ("Tanh", "torch.tanh"),
    Softplus: ("Softplus", "F.softplus"),
    Softsign: ("Softsign", "F.softsign"),
    LogSigmoid: ("LogSigmoid", "F.logsigmoid"),
    TanhShrink: ("Tanhshrink", "F.tanhshrink"),
    HardShrink: ("Hardshrink", "F.hardshrink"),
    SoftShrink: ("Softshrink", "F.softshrink"),
}
"""By op its module and function in torch."""

_NUMBERS: dict[type[Op], Callable[[Any], tuple[Arg, ...]]] = {
    LeakyRelu: lambda op: (Arg("negative_slope", Const(op.slope), Const(0.01), False),),
    Elu: lambda op: (Arg("alpha", Const(op.alpha), Const(1.0), False),),
    Celu: lambda op: (Arg("alpha", Const(op.alpha), Const(1.0), False),),
    HardTanh: lambda op: (_option("min_val", op.min, -1.0), _option("max_val", op.max, 1.0)),
    Threshold: lambda op: (_first("threshold", op.threshold), _first("value", op.value)),
    Softplus: lambda op: (_option("beta", op.beta, 1.0), _option("threshold", op.threshold, 20.0)),
    HardShrink: lambda op: (Arg("lambd", Const(op.threshold), Const(0.5), False),),
    SoftShrink: lambda op: (Arg("lambd", Const(op.threshold), Const(0.5), False),),
}


@lowers(*_ACTIVATIONS)
def activation(op: Activation, context: Context) -> Lowered:
    """nn.ReLU and F.relu, and so on; in place where torch can write so."""
    module, function = _ACTIVATIONS[type(op)]
    args = _NUMBERS.get(type(op), lambda op: ())(op)
    if op.inplace:
        args = (*args, _option("inplace", context.inplace, False))
    layer = Const(Word(f"nn.{module}", "type[nn.Module]"))
    return Lowered(module=Call(layer, args), function=_apply(function, *args))


@lowers(RRelu)
def rrelu(op: RRelu, context: Context) -> Lowered:
    """nn.RReLU, which draws in training alone."""
    bounds = _option("lower", op.lower, 1 / 8), _option("upper", op.upper, 1 / 3)
    return Lowered(module=Call("nn.RReLU", bounds))


@lowers(Exp)
def exp(op: Exp, context: Context) -> Lowered:
    """x.exp(), or our Exp as a module."""
    return Lowered(module=Call("Exp"), function=_method("exp"))


@lowers(PRelu)
def prelu(op: PRelu, context: Context) -> Lowered:
    """nn.PReLU."""
    (number,) = op.weights(*context.inputs)["weight"]
    return Lowered(module=Call("nn.PReLU", (Arg("num_parameters", Const(number), Const(1), False),)))


@lowers(Gelu)
def gelu(op: Gelu, context: Context) -> Lowered:
    """nn.GELU."""
    approximate = _option("approximate", op.approximate, "none")
    return Lowered(module=Call("nn.GELU", (approximate,)), function=_apply("F.gelu", approximate))


@lowers(Softmax, LogSoftmax)
def softmax(op: OverAxis, context: Context) -> Lowered:
    """nn.Softmax or nn.LogSoftmax over an axis."""
    dim = Arg("dim", Const(_dim(context, op.axis)))
    log = isinstance(op, LogSoftmax)
    function = _apply("F.log_softmax" if log else "F.softmax", dim)
    return Lowered(module=Call("nn.LogSoftmax" if log else "nn.Softmax", (dim,)), function=function)


@lowers(Glu)
def glu(op: Glu, context: Context) -> Lowered:
    """nn.GLU over the channels."""
    dim = Arg("dim", Const(context.inputs[0].axis("c") + 1), Const(-1))
    return Lowered(module=Call("nn.GLU", (dim,)), function=_apply("F.glu", dim))


@lowers(Dropout)
def dropout(op: Dropout, context: Context) -> Lowered:
    """nn.Dropout."""
    return Lowered(module=Call("nn.Dropout", (_first("p", op.p),)))


@lowers(DropPath)
def droppath(op: DropPath, context: Context) -> Lowered:
    """Our DropPath, torchvision's StochasticDepth by row."""
    return Lowered(module=Call("DropPath", (_first("p", op.p),)))


# Wiring


@lowers(InputOp)
def input_(op: InputOp, context: Context) -> Lowered:
    """Nothing: it is an argument of `forward`."""
    return Lowered()


MADE_AT_ONCE = ("zeros", "ones", "constant", "relative_coords", "relative_positions")
"""How bare tensors start that are made so, and not filled."""


@lowers(Weight)
def weight(op: Weight, context: Context) -> Lowered:
    """nn.Parameter or nn.Buffer, which stands for itself. Random numbers are the emitter's to draw."""
    start = op.start
    sizes = tuple(_first(role, n) for role, n in zip(_roles(op), op.stored, strict=True))
    if start.kind == "constant":
        shape = Listed(tuple(arg.value for arg in sizes), "()")
        fill = start.args[0]
        value = Arg("fill_value", Const(fill if symbolic(fill) else float(fill)), keyword=False)
        tensor = Call("torch.full", (Arg("size", shape, keyword=False), value))
    elif start.kind == "relative_coords":
        tensor = Call("relative_coords", sizes)
    elif start.kind == "relative_positions":
        window = tuple(_first(role, n) for role, n in zip(("rows", "columns"), start.args, strict=True))
        shape = Listed(tuple(arg.value for arg in sizes), "()")
        tensor = Call("relative_positions", (*window, Arg("shape", shape, keyword=False)))
    else:
        tensor = Call(f"torch.{start.kind if start.kind in ('zeros', 'ones') else 'empty'}", sizes)
    kind = "nn.Parameter" if op.learned else "nn.Buffer"
    return Lowered(module=Call(kind, (Arg("data", tensor, keyword=False),)), function=Self())


def _roles(op: Weight) -> list[str]:
    names = {"c": "channels", "h": "height", "w": "width", "n": "tokens"}
    return ["batch"] * op.batch + [names[axis] for axis in op.infer().axes]


@lowers(Identity)
def identity(op: Identity, context: Context) -> Lowered:
    """Nothing but the input."""
    return Lowered(function=Input())


@lowers(Add, Sub, Mul)
def joint(op: Elementwise, context: Context) -> Lowered:
    """`a + b`, `a - b`, `a * b`; a sum in place, a.add_(b) if the first branch always has the output's shape."""
    first, *others = (_aligned(i, context) for i in range(len(context.inputs)))
    if context.inplace and _batched(context, 0) and op.overwrites(*context.inputs):
        others_added = (Arg("other", y, keyword=False) for y in others)
        return Lowered(function=reduce(lambda x, y: _method("add_", y, of=x), others_added, first))
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
    """Give an input axes of one where it is a vector and the output is not, so that the channels meet."""
    x, out = context.inputs[index], context.outputs[0]
    if len(x) == len(out):
        return Input(index)
    before, after = out.axis("c"), len(out) - out.axis("c") - 1
    if not _batched(context, index):
        return Item(Input(index), ", ".join(["...", *["None"] * after])) if after else Input(index)
    return Item(Input(index), ", ".join([":", *["None"] * before, ":", *["None"] * after]))


@lowers(Concat)
def concat(op: Concat, context: Context) -> Lowered:
    """torch.cat; a learned tensor is repeated for every sample of the batch."""
    every, rank = range(len(context.inputs)), len(context.outputs[0])
    sample = next((i for i in every if _batched(context, i)), None)
    axis = op.axis_of(context.inputs[0])
    if sample is None:
        tensors: tuple[Expr, ...] = tuple(Input(i) for i in every)
        dim = axis - rank  # whether a learned tensor has an axis for the batch, only its own op knows
    else:
        batch = _method("size", _first("dim", 0), of=Input(sample))
        sizes = batch, *[Const(-1)] * rank
        shape = tuple(Arg("size", size, keyword=False) for size in sizes)
        tensors = tuple(
            Input(i) if _batched(context, i) else _method("expand", *shape, of=Input(i)) for i in every
        )
        dim = axis + 1
    joined = Arg("tensors", Listed(tensors, "()"), keyword=False)
    return Lowered(function=Call("torch.cat", (joined, Arg("dim", Const(dim), Const(0), keyword=False))))


@lowers(Split)
def split(op: Split, context: Context) -> Lowered:
    """x.chunk(parts, 1), torch.split(x, [a, b], 1), or ours where it is not known how many parts there are."""
    if op.whole:
        return Lowered(function=Input())
    dim = _first("dim", _dim(context, "c"))
    if isinstance(op.parts, int):
        args = _first("number", op.parts), dim
        return Lowered(
            function=_apply("split_equally", *args) if symbolic(op.parts) else _method("chunk", *args)
        )
    if symbolic(op.parts):
        return Lowered(function=_apply("split_by_sizes", _first("sizes", op.parts), dim))
    sizes = Arg("split_size_or_sections", Listed(tuple(map(Const, op.parts))), keyword=False)
    return Lowered(function=_apply("torch.split", sizes, dim))


@lowers(Slice)
def slice_(op: Slice, context: Context) -> Lowered:
    """x.narrow(1, 0, 32) of channels, our slice2d of a map, else our slice_along."""
    if op.of_map:
        to = _option("end", None if op.end is None else _pair(op.end), None)
        return Lowered(
            function=_apply(
                "slice2d", _first("begin", _pair(op.begin)), to, _option("stride", _size(op.stride), 1)
            )
        )
    ((axis, begin, end, step),) = op.along()
    dim = _first("dim", _dim(context, axis))
    if axis == "c" and _is_one(step):
        last = context.inputs[0].c if end is None else end
        return Lowered(
            function=_method("narrow", dim, _first("start", begin), _first("length", last - begin))
        )
    args = dim, _first("begin", begin), _option("end", end, None), _option("step", step, 1)
    return Lowered(function=_apply("slice_along", *args))


@lowers(Shuffle)
def shuffle(op: Shuffle, context: Context) -> Lowered:
    """Our channel_shuffle, torchvision's."""
    return Lowered(function=_apply("channel_shuffle", _first("groups", op.groups)))


@lowers(Shift)
def shift(op: Shift, context: Context) -> Lowered:
    """F.pad by less than nothing above and at the left, which drops rows and columns."""
    rows, columns = op.by
    pad = _first("pad", (-columns, columns, -rows, rows))  # the last axis first
    return Lowered(function=_apply("F.pad", pad))


@lowers(Roll)
def roll(op: Roll, context: Context) -> Lowered:
    """torch.roll of rows and columns."""
    return Lowered(function=_apply("torch.roll", _first("shifts", op.down), _first("dims", (2, 3))))


@lowers(PadTo)
def pad_to(op: PadTo, context: Context) -> Lowered:
    """Our pad_to_multiple."""
    return Lowered(function=_apply("pad_to_multiple", _first("size", _pair(op.size))))


_PADS = {"reflect": "nn.ReflectionPad2d", "replicate": "nn.ReplicationPad2d", "circular": "nn.CircularPad2d"}


@lowers(Padding)
def pad(op: Padding, context: Context) -> Lowered:
    """F.pad, or the module of that mode; of channels nn.ConstantPad3d, of which a batch's first axis is no part."""
    x = context.inputs[0]
    around = (*op.columns, *op.rows) if x.axes == "chw" else (0, 0) * (len(x) - 1 - x.axis("c"))
    sides = (*around, op.before, op.after) if op.channels else around  # the last axis first
    function = _apply(
        "F.pad", _first("pad", sides), _option("mode", _TORCHS.get(op.mode, op.mode), "constant")
    )
    if op.channels:
        value = _first("value", 0.0)
        return Lowered(Call(f"nn.ConstantPad{len(sides) // 2}d", (_first("padding", sides), value)), function)
    alike = len({*map(term, sides)}) == 1
    layer = _PADS.get(op.mode, "nn.ZeroPad2d")
    return Lowered(Call(layer, (_first("padding", sides[0] if alike else sides),)), function)


_TORCHS = {"zeros": "constant"}
"""What torch's function calls a mode, where it is not called as its convolutions have it."""


@lowers(Crop)
def crop(op: Crop, context: Context) -> Lowered:
    """Our center_crop."""
    return Lowered(function=Call("center_crop", (_given(Input()), _given(Input(1)))))


@lowers(Upsample)
def upsample(op: Upsample, context: Context) -> Lowered:
    """nn.Upsample, or our upsample2d as a function, and F.interpolate where corners are aligned."""
    mode, layer = _modes(op), Call("nn.Upsample", (Arg("scale_factor", Const(op.scale)), *_modes(op)))
    if op.align_corners:
        return Lowered(
            module=layer, function=_apply("F.interpolate", Arg("scale_factor", Const(real(op.scale))), *mode)
        )
    return Lowered(module=layer, function=_apply("upsample2d", _first("scale", op.scale), *mode))


@lowers(Resize)
def resize(op: Resize, context: Context) -> Lowered:
    """nn.Upsample to a size, F.interpolate as a function; our resize_like for that of another map."""
    if op.to is None:
        return Lowered(function=_apply("resize_like", _given(Input(1)), *_modes(op)))
    size = _size(op.to)
    layer = Call("nn.Upsample", (Arg("size", Const(size)), *_modes(op)))
    return Lowered(module=layer, function=_apply("F.interpolate", _first("size", size), *_modes(op)))


def _modes(op: Resampling) -> tuple[Arg, ...]:
    """Return how a map is drawn anew; torch takes no align_corners for pixels that are repeated."""
    return _option("mode", op.mode, "nearest"), _option("align_corners", op.align_corners, False)


@lowers(Expand)
def expand(op: Expand, context: Context) -> Lowered:
    """x.expand(-1, channels, -1, -1), of a learned tensor, which gets an axis for the batch: x.expand(1, ...)."""
    sizes = [_first("size", op.channels if axis == "c" else -1) for axis in context.inputs[0].axes]
    batch = _first("size", -1 if _batched(context, 0) else 1)
    return Lowered(function=_method("expand", batch, *sizes))


@lowers(Map)
def map_(op: Map, context: Context) -> Lowered:
    """Our map_of_tokens, MapOfTokens as a module; map_like for the size of another map."""
    if op.to is None:
        return Lowered(function=_apply("map_like", _given(Input(1))))
    size = _first("size", _pair(op.to))
    return Lowered(module=Call("MapOfTokens", (size,)), function=_apply("map_of_tokens", size))


@lowers(PixelShuffle, PixelUnshuffle)
def pixel_shuffle(op: PixelShuffle | PixelUnshuffle, context: Context) -> Lowered:
    """nn.PixelShuffle, nn.PixelUnshuffle, and the functions."""
    factor = _first("factor", op.factor)
    name = "PixelShuffle" if isinstance(op, PixelShuffle) else "PixelUnshuffle"
    return Lowered(module=Call(f"nn.{name}", (factor,)), function=_apply(f"F.{op.name}", factor))


@lowers(Permute)
def permute(op: Permute, context: Context) -> Lowered:
    """x.permute(0, 2, 3, 1), or our Permute as a module."""
    dims = tuple(_first("dims", axis) for axis in (0, *(axis + 1 for axis in op.axes)))
    return Lowered(module=Call("Permute", dims), function=_method("permute", *dims))


@lowers(Flatten)
def flatten(op: Flatten, context: Context) -> Lowered:
    """x.flatten(1)."""
    return Lowered(module=Call("nn.Flatten"), function=_method("flatten", _first("start_dim", 1)))


@lowers(Unflatten)
def unflatten(op: Unflatten, context: Context) -> Lowered:
    """x.unflatten(1, (2, -1))."""
    args = _first("dim", 1), _first("sizes", (op.parts, -1))
    return Lowered(module=Call("nn.Unflatten", args), function=_method("unflatten", *args))


@lowers(Tokens)
def tokens(op: Tokens, context: Context) -> Lowered:
    """x.flatten(2).transpose(1, 2), or our Tokens as a module."""
    rows = _method("flatten", _first("start_dim", 2))
    return Lowered(
        module=Call("Tokens"), function=_method("transpose", _first("dim0", 1), _first("dim1", 2), of=rows)
    )


@lowers(Token)
def token(op: Token, context: Context) -> Lowered:
    """x[:, index], or our Token as a module."""
    index = _first("index", op.index)
    return Lowered(module=Call("Token", (index,)), function=Item(Input(), (Name(":"), Const(op.index))))


# Initial weights

_INITS: dict[str, tuple[tuple[str, Constant], ...]] = {
    "zeros": (),
    "ones": (),
    "constant": (("val", None),),
    "normal": (("mean", 0.0), ("std", 1.0)),
    "uniform": (("a", 0.0), ("b", 1.0)),
    "trunc_normal": (("std", 1.0),),
    "kaiming_normal": (("mode", "fan_in"), ("nonlinearity", None)),
    "kaiming_uniform": (("mode", "fan_in"), ("nonlinearity", None)),
    "xavier_normal": (("gain", 1.0),),
    "xavier_uniform": (("gain", 1.0),),
    "fan_uniform": (("mode", "fan_in"),),
}
"""Init's kinds with torch's names and the defaults of their arguments. Its trunc_normal_ cuts at 2 too."""


def usual_inits(op: Op) -> dict[str, Init]:
    """Return how torch itself starts weight and bias, where that has a name."""
    if isinstance(op, Convolution | Linear | Qkv):
        return {"weight": Init("fan_uniform", ("fan_in",))}
    return {"weight": Init("ones"), "bias": Init("zeros")} if isinstance(op, Norm) else {}


def init_call(init: Init, target: Expr) -> Call:
    """Return the call that fills a tensor: `nn.init.normal_(target, std=0.01)`; KeyError for `default`."""
    known = _INITS[init.kind]
    args = [Arg("tensor", target, keyword=False)]
    for (role, default), value in zip(known, init.args, strict=False):
        value = "linear" if value == "identity" else value
        args.append(Arg(role, Const(value), None if default is None else Const(default), role != "val"))
    if init.roles[-1:] == ("slope",):
        args.insert(1, Arg("a", Const(init.args[-1]), Const(0.0)))
    if init.kind == "fan_uniform":  # as nn.Linear's own
        return Call("nn.init.kaiming_uniform_", (args[0], Arg("a", Name("5**0.5")), *args[1:]))
    return Call(f"nn.init.{init.kind}_", tuple(args))

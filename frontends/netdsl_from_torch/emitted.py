"""Functions that the torch backend writes into modules, and what each is as ops: by its name and its arguments.

A plain function leaves no trace of its own in a run. One of a model's file that is called so and takes these
arguments is taken as a whole; that it is what it is called, the proof shows.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from math import isqrt
from typing import TYPE_CHECKING, Any

from netdsl.ir.types import Dims, Init, Pad
from netdsl.ops.attention import Attend, Qkv, RelativeBias
from netdsl.ops.linear import Linear
from netdsl.ops.move import PadTo
from netdsl.ops.norm import LocalResponseNorm
from netdsl.ops.part import Slice, Split
from netdsl.ops.partition import Partition, Unwindows, WindowMask, Windows
from netdsl.ops.pool import AvgPool, MaxPool
from netdsl.ops.source import Weight
from netdsl_from_torch.common import dims_of, size_of, stride_of
from netdsl_from_torch.layout import Layout, Unknown, whole
from netdsl_from_torch.ops import sliced

if TYPE_CHECKING:
    from torch import Tensor

    from netdsl_from_torch.translate import Translation

Size = Sequence[int]
PLAIN: dict[str, Callable[..., Layout]] = {}
"""By name of a function what it is."""
ARGUMENTS: dict[str, tuple[str, ...]] = {}
"""And what it takes."""


def _plain(function: Callable[..., Layout]) -> Callable[..., Layout]:
    """Register what a function is, which has its name and, but for the first, its arguments."""
    PLAIN[function.__name__] = function
    ARGUMENTS[function.__name__] = tuple(inspect.signature(function).parameters)[1:]
    return function


def _any_order(at: Translation, x: Tensor) -> Layout:
    """Return the value of which a tensor is all axes, in whatever order: ops of windows take any."""
    y = at.layout(x)
    base = whole(y.value, y.shape, at.batch)
    return base if y.shape.axes != "chw" and set(y.dims) == set(base.dims) else at.settled(y)


@_plain
def to_windows(
    at: Translation, x: Tensor, size: Size, shift: Size = (0, 0), spread: bool = False, apart: bool = False
) -> Layout:
    """Windows."""
    return at.put(_of_size(Windows, size, shift, spread=spread, apart=apart), _any_order(at, x))


@_plain
def window_mask(at: Translation, x: Tensor, size: Size, shift: Size = (0, 0)) -> Layout:
    """window_mask."""
    return at.put(_of_size(WindowMask, size, shift), _any_order(at, x))


@_plain
def from_windows(
    at: Translation,
    x: Tensor,
    like: Tensor,
    size: Size,
    shift: Size = (0, 0),
    spread: bool = False,
    apart: bool = False,
) -> Layout:
    """Unwindows."""
    op = _of_size(Unwindows, size, shift, spread=spread, apart=apart)
    return at.put(op, at.settled(x), at.settled(like))


@_plain
def from_windows_last(
    at: Translation,
    x: Tensor,
    like: Tensor,
    size: Size,
    shift: Size = (0, 0),
    spread: bool = False,
    apart: bool = False,
) -> Layout:
    """Unwindows, to a map with its channels last."""
    return from_windows(at, x, like, size, shift, spread, apart)


@_plain
def relative_bias(at: Translation, table: Tensor, index: Tensor, places: int) -> Layout:
    """relative_bias, of windows as high as wide."""
    side, key = isqrt(places), at.key(index)
    if side**2 != places or table.shape[-2] != (2 * side - 1) ** 2 or tuple(index.shape) != (places**2,):
        raise Unknown("its windows are not square")
    if not key:
        raise Unknown("its index is no buffer of the model")
    size = Dims((side, side))
    rows = at.layout(table)
    if not at.key(table) and rows.shape.axes == "hwc":  # the op takes a map of rows
        base = at.whole(rows.value)
        *_, h, w, c = base.dims
        rows = base if rows.dims[-2:] == ((*h, *w), c) else rows
    if at.key(table):
        rows = at.weight(rows, tuple(table.shape), False, "")
    inits = {"": Init("relative_positions", tuple(size))}
    steps = at.put(Weight(shape=tuple(index.shape), learned=False, inits=inits), home=key)
    return at.put(RelativeBias(size=size), at.settled(rows), steps)


@_plain
def attend_by_heads(
    at: Translation,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    heads: int,
    scale: float | None = None,
    by: Tensor | None = None,
    bias: Tensor | None = None,
    mask: Tensor | None = None,
) -> Layout:
    """Attend; one layer whose thirds it takes makes queries, keys and values."""
    further = [at.settled(one) for one in (by, bias, mask) if one is not None]
    given = [at.settled(one) for one in (q, k, v)]
    made = at.put(Attend(heads=heads, scale=scale, cosine=by is not None), *given, *further)
    split = at.made[int(given[0].value.node)]
    parts = [(one.value.node, one.value.port) for one in given]
    if isinstance(split.op, Split) and parts == [(parts[0][0], port) for port in range(3)]:
        fused = int(split.inputs[0].node)
        op, (x, *_) = at.made[fused].op, (*at.made[fused].inputs, split.inputs[0])
        if type(op) is Linear and split.op.parts == 3 and op.channels == 3 * at.whole(x).shape.c:
            at.made[fused] = at.made[fused].replace(op=Qkv(bias=op.bias))
    return made


@_plain
def pad_to_multiple(at: Translation, x: Tensor, size: Size) -> Layout:
    """pad_to."""
    return at.put(PadTo(size=Dims(size)), at.settled(x))


@_plain
def max_pool2d_same(
    at: Translation, x: Tensor, kernel_size: int | Size, stride: int | Size, dilation: int | Size = 1
) -> Layout:
    """Maxpool, with TensorFlow's padding."""
    steps = stride_of(kernel_size, stride)
    op = MaxPool(kernel=dims_of(kernel_size), stride=steps, pad=Pad("tf"), dilation=size_of(dilation))
    return at.put(op, at.map(x))


@_plain
def avg_pool2d_same(
    at: Translation, x: Tensor, kernel_size: int | Size, stride: int | Size, count_include_pad: bool = True
) -> Layout:
    """Avgpool, with TensorFlow's padding."""
    steps, kernel = stride_of(kernel_size, stride), dims_of(kernel_size)
    op = AvgPool(kernel=kernel, stride=steps, pad=Pad("tf"), count_include_pad=count_include_pad)
    return at.put(op, at.map(x))


@_plain
def grouped_local_response_norm(
    at: Translation,
    x: Tensor,
    size: int,
    groups: int,
    alpha: float = 1e-4,
    beta: float = 0.75,
    k: float = 1.0,
) -> Layout:
    """Lrn, of groups."""
    return at.put(LocalResponseNorm(size=size, alpha=alpha, beta=beta, k=k, groups=groups), at.map(x))


@_plain
def slice2d(
    at: Translation, x: Tensor, begin: Size, end: Size | None = None, stride: int | Size = 1
) -> Layout:
    """Slice, of a map."""
    last = None if end is None else Dims(end)
    return at.put(Slice(begin=Dims(begin), end=last, stride=size_of(stride)), at.settled(x))


@_plain
def slice_along(
    at: Translation, x: Tensor, dim: int, begin: int, end: int | None = None, step: int = 1
) -> Layout:
    """Slice, of an axis."""
    y = at.layout(x)
    dim %= len(y.dims)
    return sliced(at, y, dim, begin, y.sizes[dim] if end is None else end, step)


def _of_size(op: type[Partition], size: Size, shift: Size, **args: Any) -> Partition:
    """Return an op of windows, which are moved by `shift`."""
    return op(size=Dims(size), shift=Dims(shift), **args)

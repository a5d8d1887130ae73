"""nasnet_a_mobile: NASNetA of nasnet.net, compiled by netdsl 0.2.0.

Learning Transferable Architectures for Scalable Image Recognition (NASNet-A, timm's names). Every
cell reads the two values before it (prev, cur) and hands on (cur, itself); arXiv 1707.07012, 2017.

Input 224x224x3, output 1000, aux_head 1000; 7,701,218 parameters, 563,638,816 MACs a sample.

    netdsl compile nasnet.net:nasnet_a_mobile --backend flax
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, NamedTuple, TypedDict, Unpack

import jax
import jax.numpy as jnp
from flax import nnx
from flax.typing import PrecisionLike
from jax import Array
from jax.typing import DTypeLike


def check_size(size: int, takes: int, name: str, what: str) -> None:
    """Raise an error where a size does not fit."""
    if size != takes:
        raise ValueError(f"{name} takes {takes} {what}: resize the input")


def check_condition(holds: bool, takes: bool, what: str) -> None:
    """Raise an error where sizes would make another net."""
    if holds != takes:
        raise ValueError(f"{what} is {takes} here: resize the input")


def check_same_size(maps: Sequence[Array]) -> None:
    """Raise an error where joined maps differ in size, but for 1x1."""
    for i, x in enumerate(maps):
        for y in maps[:i]:
            (h, w), (rows, columns) = y.shape[1:3], x.shape[1:3]
            if (h, w) != (rows, columns) and 1 not in (h * w, rows * columns):
                sizes = f"{h}x{w} and {rows}x{columns}"
                raise ValueError(f"maps of {sizes} cannot be joined: resize the input")


def of_same_size(x: Array, like: Array) -> Array:
    """Return a map that is joined with another, whose size it must have."""
    check_same_size([like, x])
    return x


class LayerOptions(TypedDict, total=False):
    """What layers take: the dtypes to compute and to store in, the precision of products."""

    dtype: DTypeLike | None
    param_dtype: DTypeLike
    precision: PrecisionLike


def make_norm(
    make: Callable[..., Callable[[Array], Array]],
    *sizes: int,
    precision: PrecisionLike = None,
    **options: Any,
) -> Callable[[Array], Array]:
    """Return a norm: it has no products, and takes no precision."""
    return make(*sizes, **options)


def uniform_between(low: float, high: float) -> nnx.Initializer:
    """Return an initializer that draws uniformly from low to high."""

    def init(key: Array, shape: Sequence[int], dtype: DTypeLike = jnp.float32) -> Array:
        return jax.random.uniform(key, shape, dtype, low, high)

    return init


class UnbiasedBatchNorm(nnx.BatchNorm):
    """Batch normalization that keeps the unbiased running variance, as torch does."""

    def __call__(self, x: Array, use_running_average: bool | None = None, **kwargs: Any) -> Array:
        if use_running_average is None:
            use_running_average = self.use_running_average
        kept = self.momentum * self.var[...]
        y: Array = super().__call__(x, use_running_average, **kwargs)
        if not use_running_average:
            n = x.size // x.shape[-1]
            if n == 1:
                raise ValueError("a batch norm in training needs more than one value a channel")
            self.var[...] = kept + (self.var[...] - kept) * (n / (n - 1))
        return y


class ConvThatFits(nnx.Conv):
    """A convolution that says so where its kernel is larger than the map."""

    def __call__(self, inputs: Array, out_sharding: Any = None) -> Array:
        y: Array = super().__call__(inputs, out_sharding)
        if 0 in y.shape[1:3]:
            raise ValueError(f"no {self.kernel_size} kernel fits into a map of {inputs.shape[1:3]}")
        return y


class NamedSequential(nnx.Module):
    """Layers one after the other, each under its name."""

    def __init__(self, layers: Iterable[tuple[str, Callable[[Array], Array]]]) -> None:
        named = dict(layers)
        self._order = tuple(named)
        for name, layer in named.items():
            setattr(self, name, layer)

    def __call__(self, x: Array) -> Array:
        for name in self._order:
            x = getattr(self, name)(x)
        return x


def max_pool2d(
    x: Array,
    window_shape: tuple[int, int],
    strides: tuple[int, int] = (1, 1),
    padding: str | Sequence[tuple[int, int]] = ((0, 0), (0, 0)),
) -> Array:
    """Return the largest value in every window of a map; there must be one."""
    pool: Callable[..., Array] = nnx.max_pool  # which has no types
    y = pool(x, window_shape, strides, padding)
    if 0 in y.shape[1:3]:
        raise ValueError(f"no window of {window_shape} fits into a map of {x.shape[1:3]}")
    return y


def avg_pool2d(
    x: Array,
    window_shape: tuple[int, int],
    strides: tuple[int, int] = (1, 1),
    padding: str | Sequence[tuple[int, int]] = ((0, 0), (0, 0)),
    count_include_pad: bool = True,
) -> Array:
    """Return the mean of every window of a map; there must be one."""
    pool: Callable[..., Array] = nnx.avg_pool  # which has no types
    y = pool(x, window_shape, strides, padding, count_include_pad)
    if 0 in y.shape[1:3]:
        raise ValueError(f"no window of {window_shape} fits into a map of {x.shape[1:3]}")
    return y.astype(x.dtype)  # which division by counts loses


def global_avg_pool2d(x: Array, keepdims: bool = False) -> Array:
    """Return the mean of every channel of a map; it must have a pixel."""
    if 0 in x.shape[1:3]:
        raise ValueError("the input is too small: no pixel of it is left")
    return x.mean((1, 2), keepdims=keepdims)


def shift2d(x: Array, by: tuple[int, int]) -> Array:
    """Move a map up and to the left, zeros coming in below and at the right."""
    rows, columns = by
    return jnp.pad(x[:, rows:, columns:], ((0, 0), (0, rows), (0, columns), (0, 0)))


def flatten_chw(x: Array) -> Array:
    """Return maps as vectors in torch's order: channels, rows, columns."""
    return x.transpose(0, 3, 1, 2).reshape(x.shape[0], -1)


Conv = partial(
    nnx.Conv,
    padding=0,
    use_bias=False,
    kernel_init=nnx.initializers.variance_scaling(1 / 3, "fan_in", "uniform"),
)
FittedConv = partial(
    ConvThatFits,
    padding=0,
    use_bias=False,
    kernel_init=nnx.initializers.variance_scaling(1 / 3, "fan_in", "uniform"),
)
BatchNorm = partial(
    make_norm, UnbiasedBatchNorm, use_fast_variance=False, momentum=0.9, epsilon=0.001
)


class Linear(nnx.Linear):
    """nnx.Linear with torch's initial bias: uniform within 1 / sqrt(fan_in)."""

    def __init__(self, in_features: int, out_features: int, **options: Any) -> None:
        bound = in_features**-0.5
        defaults: dict[str, Any] = {
            "kernel_init": nnx.initializers.variance_scaling(1 / 3, "fan_in", "uniform"),
            "bias_init": uniform_between(-bound, bound),
        }
        super().__init__(in_features, out_features, **(defaults | options))


class NASNetAOutputs(NamedTuple):
    """What NASNetA returns in training; in evaluation it is the first alone."""

    out: Array
    aux_head: Array


class ActConvBn(nnx.Module):
    """Block ActConvBn of nasnet.net.

    Shapes: (N, H, W, in_channels) -> (N, H, W, c).
    """

    def __init__(
        self, in_channels: int, c: int, *, rngs: nnx.Rngs, **options: Unpack[LayerOptions]
    ) -> None:
        if c < 1:
            raise ValueError("c must be at least 1")
        self.conv = Conv(in_channels, c, (1, 1), rngs=rngs, **options)
        self.bn = BatchNorm(c, rngs=rngs, **options)

    def __call__(self, x: Array) -> Array:
        x = nnx.relu(x)
        x = self.conv(x)
        x = self.bn(x)
        return x


class SeparableConv2d(nnx.Module):
    """Block SeparableConv2d of nasnet.net.

    Shapes: (N, H, W, in_channels) -> (N, -(-H // stride), -(-W // stride), c).
    """

    def __init__(
        self,
        in_channels: int,
        k: tuple[int, int],
        c: int,
        stride: int = 1,
        *,
        rngs: nnx.Rngs,
        **options: Unpack[LayerOptions],
    ) -> None:
        if min(c, stride, *k) < 1:
            raise ValueError("c, stride and k must be at least 1")
        self.depthwise_conv2d = Conv(
            in_channels,
            in_channels,
            k,
            strides=stride,
            padding="SAME",
            feature_group_count=in_channels,
            rngs=rngs,
            **options,
        )
        self.pointwise_conv2d = Conv(in_channels, c, (1, 1), rngs=rngs, **options)

    def __call__(self, x: Array) -> Array:
        x = self.depthwise_conv2d(x)
        x = self.pointwise_conv2d(x)
        return x


class BranchSeparables(nnx.Module):
    """Block BranchSeparables of nasnet.net.

    Shapes: (N, H, W, in_channels) -> (N, -(-H // stride), -(-W // stride), c).
    """

    def __init__(
        self,
        in_channels: int,
        k: tuple[int, int],
        c: int,
        stride: int = 1,
        *,
        rngs: nnx.Rngs,
        **options: Unpack[LayerOptions],
    ) -> None:
        self.separable_1 = SeparableConv2d(in_channels, k, c, stride=stride, rngs=rngs, **options)
        self.bn_sep_1 = BatchNorm(c, rngs=rngs, **options)
        self.separable_2 = SeparableConv2d(c, k, c, rngs=rngs, **options)
        self.bn_sep_2 = BatchNorm(c, rngs=rngs, **options)

    def __call__(self, x: Array) -> Array:
        x = nnx.relu(x)
        x = self.separable_1(x)
        x = nnx.relu(self.bn_sep_1(x))
        x = self.separable_2(x)
        x = self.bn_sep_2(x)
        return x


class Path2(nnx.Module):
    """Container path_2 of nasnet.net."""

    def __init__(
        self, prev_channels: int, c: int, *, rngs: nnx.Rngs, **options: Unpack[LayerOptions]
    ) -> None:
        self.conv = Conv(prev_channels, c // 2, (1, 1), rngs=rngs, **options)

    def __call__(self, x: Array) -> Array:
        x = shift2d(x, (1, 1))
        x = avg_pool2d(x, (1, 1), strides=(2, 2))
        x = self.conv(x)
        return x


class ReductionCell(nnx.Module):
    """Block ReductionCell of nasnet.net.

    border: timm's average counts the padding.

    Shapes: prev (N, H_prev, W_prev, prev_channels), cur (N, H_cur, W_cur, cur_channels) -> (N,
    H_cur, W_cur, cur_channels), (N, -(-H_cur // 2), -(-W_cur // 2), 4 * c).
    """

    def __init__(
        self,
        prev_channels: int,
        cur_channels: int,
        same_size: bool,
        c: int,
        raw: bool = False,
        border: bool = False,
        *,
        rngs: nnx.Rngs,
        **options: Unpack[LayerOptions],
    ) -> None:
        project = same_size and not raw
        halve = not same_size and not raw
        self.conv_prev_1x1 = ActConvBn(prev_channels, c, rngs=rngs, **options) if project else None
        self.conv_1x1 = ActConvBn(cur_channels, c, rngs=rngs, **options)
        self.path_1: Callable[[Array], Array] | None = nnx.data(None)
        if halve:
            if c // 2 < 1:
                raise ValueError(f"conv needs at least 1 channel, not {c // 2}")
            self.path_1 = NamedSequential(
                [
                    ("0", partial(avg_pool2d, window_shape=(1, 1), strides=(2, 2))),
                    ("conv", Conv(prev_channels, c // 2, (1, 1), rngs=rngs, **options)),
                ]
            )
            self.path_2 = Path2(prev_channels, c, rngs=rngs, **options)
            self.final_path_bn = BatchNorm(2 * (c // 2), rngs=rngs, **options)
        left_channels = 2 * (c // 2) if halve else c if project else prev_channels
        self.comb_iter_0_left = BranchSeparables(c, (5, 5), c, stride=2, rngs=rngs, **options)
        self.comb_iter_0_right = BranchSeparables(
            left_channels, (7, 7), c, stride=2, rngs=rngs, **options
        )
        self.comb_iter_1_right = BranchSeparables(
            left_channels, (7, 7), c, stride=2, rngs=rngs, **options
        )
        self.comb_iter_2_right = BranchSeparables(
            left_channels, (5, 5), c, stride=2, rngs=rngs, **options
        )
        self.comb_iter_4_left = BranchSeparables(c, (3, 3), c, rngs=rngs, **options)
        self.same_size = same_size
        self.border = border

    def __call__(self, prev: Array, cur: Array) -> tuple[Array, Array]:
        check_condition(prev.shape[1] == cur.shape[1], self.same_size, "ReductionCell: same_size")
        left = self.conv_prev_1x1(prev) if self.conv_prev_1x1 is not None else prev
        right = self.conv_1x1(cur)
        if self.path_1 is not None:
            x = nnx.relu(prev)
            x = jnp.concatenate((self.path_1(x), self.path_2(x)), axis=-1)
            left = self.final_path_bn(x)
        y0 = self.comb_iter_0_left(right)
        y0 = y0 + of_same_size(self.comb_iter_0_right(left), y0)
        y1 = max_pool2d(right, (3, 3), strides=(2, 2), padding="SAME")
        y1 = y1 + self.comb_iter_1_right(left)
        y2 = avg_pool2d(
            right, (3, 3), strides=(2, 2), padding="SAME", count_include_pad=self.border
        )
        y2 = y2 + self.comb_iter_2_right(left)
        y3 = avg_pool2d(y0, (3, 3), padding="SAME", count_include_pad=False)
        y3 = y3 + y1
        y4 = self.comb_iter_4_left(y0)
        y4 = y4 + max_pool2d(right, (3, 3), strides=(2, 2), padding="SAME")
        y = jnp.concatenate((y1, y2, y3, y4), axis=-1)
        return cur, y


class NormalCell(nnx.Module):
    """Block NormalCell of nasnet.net.

    Shapes: prev (N, H_prev, W_prev, prev_channels), cur (N, H_cur, W_cur, cur_channels) -> (N,
    H_cur, W_cur, cur_channels), (N, H_cur, W_cur, C').
    """

    def __init__(
        self,
        prev_channels: int,
        cur_channels: int,
        same_size: bool,
        c: int,
        *,
        rngs: nnx.Rngs,
        **options: Unpack[LayerOptions],
    ) -> None:
        self.conv_prev_1x1 = (
            ActConvBn(prev_channels, c, rngs=rngs, **options) if same_size else None
        )
        self.conv_1x1 = ActConvBn(cur_channels, c, rngs=rngs, **options)
        self.path_1: Callable[[Array], Array] | None = nnx.data(None)
        if not same_size:
            if c // 2 < 1:
                raise ValueError(f"conv needs at least 1 channel, not {c // 2}")
            self.path_1 = NamedSequential(
                [
                    ("0", partial(avg_pool2d, window_shape=(1, 1), strides=(2, 2))),
                    ("conv", Conv(prev_channels, c // 2, (1, 1), rngs=rngs, **options)),
                ]
            )
            self.path_2 = Path2(prev_channels, c, rngs=rngs, **options)
            self.final_path_bn = BatchNorm(2 * (c // 2), rngs=rngs, **options)
        left_channels = c if same_size else 2 * (c // 2)
        if c != left_channels:
            raise ValueError(f"{c} and {left_channels} channels cannot be joined")
        self.comb_iter_0_left = BranchSeparables(c, (5, 5), c, rngs=rngs, **options)
        self.comb_iter_0_right = BranchSeparables(left_channels, (3, 3), c, rngs=rngs, **options)
        self.comb_iter_1_left = BranchSeparables(left_channels, (5, 5), c, rngs=rngs, **options)
        self.comb_iter_1_right = BranchSeparables(left_channels, (3, 3), c, rngs=rngs, **options)
        self.comb_iter_4_left = BranchSeparables(c, (3, 3), c, rngs=rngs, **options)
        self.same_size = same_size

    def __call__(self, prev: Array, cur: Array) -> tuple[Array, Array]:
        check_condition(prev.shape[1] == cur.shape[1], self.same_size, "NormalCell: same_size")
        left = self.conv_prev_1x1(prev) if self.conv_prev_1x1 is not None else prev
        right = self.conv_1x1(cur)
        if self.path_1 is not None:
            x = nnx.relu(prev)
            x = jnp.concatenate((self.path_1(x), self.path_2(x)), axis=-1)
            left = self.final_path_bn(x)
        y0 = self.comb_iter_0_left(right)
        check_same_size([y0, left])
        y0 = y0 + self.comb_iter_0_right(left)
        y1 = self.comb_iter_1_left(left)
        y1 = y1 + self.comb_iter_1_right(left)
        y2 = avg_pool2d(right, (3, 3), padding="SAME", count_include_pad=False)
        y2 = y2 + left
        y3 = avg_pool2d(left, (3, 3), padding="SAME", count_include_pad=False)
        y3 = y3 + avg_pool2d(left, (3, 3), padding="SAME", count_include_pad=False)
        y4 = self.comb_iter_4_left(right)
        y4 = y4 + right
        y = jnp.concatenate((left, y0, y1, y2, y3, y4), axis=-1)
        return cur, y


class AuxHead(nnx.Module):
    """Block AuxHead of nasnet.net.

    Shapes: (N, in_height, in_width, in_channels) -> (N, classes).
    """

    def __init__(
        self,
        in_channels: int,
        in_height: int,
        in_width: int,
        classes: int,
        *,
        rngs: nnx.Rngs,
        **options: Unpack[LayerOptions],
    ) -> None:
        if classes < 1:
            raise ValueError("classes must be at least 1")
        self.conv = nnx.Sequential(
            Conv(in_channels, 128, (1, 1), rngs=rngs, **options),
            BatchNorm(128, rngs=rngs, **options),
            nnx.relu,
        )
        self.full = nnx.Sequential(
            Linear(
                128 * ((in_height - 5) // 3 + 1) * ((in_width - 5) // 3 + 1),
                768,
                use_bias=False,
                rngs=rngs,
                **options,
            ),
            BatchNorm(768, rngs=rngs, **options),
            nnx.relu,
        )
        self.fc = Linear(768, classes, rngs=rngs, **options)
        self.in_height = in_height
        self.in_width = in_width

    def __call__(self, x: Array) -> Array:
        x = nnx.relu(x)
        x = avg_pool2d(x, (5, 5), strides=(3, 3))
        x = self.conv(x)
        x = flatten_chw(x)
        check_size(
            x.shape[1],
            128 * ((self.in_height - 5) // 3 + 1) * ((self.in_width - 5) // 3 + 1),
            "full[0]",
            "features",
        )
        x = self.full(x)
        x = self.fc(x)
        return x


class NASNetA(nnx.Module):
    """Net NASNetA of nasnet.net.

    Learning Transferable Architectures for Scalable Image Recognition (NASNet-A, timm's names).
    Every cell reads the two values before it (prev, cur) and hands on (cur, itself); arXiv
    1707.07012, 2017.

    Shapes: (N, size[0], size[1], 3) -> (N, classes).
    """

    def __init__(
        self,
        stem: int,
        c: int,
        n: int,
        size: tuple[int, int],
        skip: bool = False,
        border: bool = False,
        aux: bool = False,
        drop: float = 0.5,
        classes: int = 1000,
        *,
        rngs: nnx.Rngs,
        **options: Unpack[LayerOptions],
    ) -> None:
        if min(stem, classes, *size) < 1 or drop < 0 or drop > 1:
            raise ValueError("stem, classes and size must be at least 1, drop from 0 to 1")
        self.conv0 = NamedSequential(
            [
                ("conv", FittedConv(3, stem, (3, 3), strides=2, rngs=rngs, **options)),
                ("bn", BatchNorm(stem, rngs=rngs, **options)),
            ]
        )
        self.cell_stem_0 = ReductionCell(
            stem, stem, True, c // 4, raw=True, border=border, rngs=rngs, **options
        )
        self.cell_stem_1 = ReductionCell(
            stem,
            4 * (c // 4),
            (size[0] - 3) // 2 + 1 == -(-((size[0] - 3) // 2 + 1) // 2),
            c // 2,
            border=border,
            rngs=rngs,
            **options,
        )
        channels0 = 4 * (c // 4)
        height0 = -(-((size[0] - 3) // 2 + 1) // 2)
        channels1 = 4 * (c // 2)
        height1 = -(-((size[0] - 3) // 2 + 1) // 2 // 2)
        width1 = -(-((size[1] - 3) // 2 + 1) // 2 // 2)
        for s in range(3):
            w = c * 2**s
            if s > 0:
                setattr(
                    self,
                    f"reduction_cell_{s - 1}",
                    ReductionCell(
                        channels0,
                        channels1,
                        height0 == height1,
                        w,
                        border=border,
                        rngs=rngs,
                        **options,
                    ),
                )
                if not skip:
                    channels0 = channels1
                    height0 = height1
                channels1 = 4 * w
                height1 = -(-height1 // 2)
                width1 = -(-width1 // 2)
            for i in range(n):
                setattr(
                    self,
                    f"cell_{s * n + i}",
                    NormalCell(channels0, channels1, height0 == height1, w, rngs=rngs, **options),
                )
                channels0 = channels1
                channels1 = 2 * (w if height0 == height1 else 2 * (w // 2)) + 4 * w
                height0 = height1
            if aux and s == 1:
                self.aux_head = AuxHead(channels1, height1, width1, classes, rngs=rngs, **options)
        self.dropout = nnx.Dropout(drop, rngs=rngs)
        self.last_linear = Linear(channels1, classes, rngs=rngs, **options)
        self.skip = skip
        self.n = n
        self.aux = aux
        self.deterministic = False

    def __call__(self, x: Array) -> Array | NASNetAOutputs:
        aux_head: Array | None = None
        x = self.conv0(x)
        x, y = self.cell_stem_0(x, x)
        x, y = self.cell_stem_1(x, y)
        for s in range(3):
            if s > 0:
                y, out = getattr(self, f"reduction_cell_{s - 1}")(x, y)
                if not self.skip:
                    x = y
                y = out
            for i in range(self.n):
                x, y = getattr(self, f"cell_{s * self.n + i}")(x, y)
            if self.aux and s == 1 and not self.deterministic:
                aux_head = self.aux_head(y)
        y = nnx.relu(y)
        y = global_avg_pool2d(y)
        x = self.last_linear(self.dropout(y))
        if aux_head is not None:
            return NASNetAOutputs(x, aux_head)
        return x


def nasnet_a_mobile(
    drop: float = 0.5, classes: int = 1000, *, rngs: nnx.Rngs, **options: Unpack[LayerOptions]
) -> NASNetA:
    """Return a new nasnet_a_mobile, with random weights."""
    return NASNetA(
        32, 44, 4, (224, 224), aux=True, drop=drop, classes=classes, rngs=rngs, **options
    )

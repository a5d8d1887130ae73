"""nasnet_a_mobile: NASNetA of nasnet.net, compiled by netdsl 0.1.0.

Input 3x224x224, output 1000, aux_head 1000; 7,701,218 parameters, 563,638,816 MACs a sample. Shapes
are channels first, the arrays channels last.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, NamedTuple, Required, TypedDict, Unpack

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array
from jax.typing import DTypeLike


class LayerOptions(TypedDict, total=False):
    """What every layer takes: the dtypes to compute and to store in, and random numbers."""

    dtype: DTypeLike | None
    param_dtype: DTypeLike
    rngs: Required[nnx.Rngs]


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
            self.var[...] = kept + (self.var[...] - kept) * (n / (n - 1))
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


max_pool2d: Callable[..., Array] = nnx.max_pool  # which has no types


avg_pool2d: Callable[..., Array] = nnx.avg_pool  # which has no types


def avg_pool2d_inside(
    x: Array,
    window_shape: tuple[int, int],
    strides: tuple[int, int] = (1, 1),
    padding: str | Sequence[tuple[int, int]] = ((0, 0), (0, 0)),
) -> Array:
    """Return the mean of the values in every window of a map, without the padding."""
    y = avg_pool2d(x, window_shape, strides, padding, count_include_pad=False)
    return y.astype(x.dtype)  # which was lost to the counts


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
BatchNorm = partial(UnbiasedBatchNorm, use_fast_variance=False, momentum=0.9, epsilon=0.001)


class Linear(nnx.Linear):
    """nnx.Linear with torch's initial bias: uniform within 1 / sqrt(fan_in)."""

    def __init__(self, in_features: int, out_features: int, **options: Any) -> None:
        fan_in = in_features
        bound = fan_in**-0.5
        defaults: dict[str, Any] = {
            "kernel_init": nnx.initializers.variance_scaling(1 / 3, "fan_in", "uniform"),
            "bias_init": uniform_between(-bound, bound),
        }
        super().__init__(in_features, out_features, **(defaults | options))


class NASNetAOutputs(NamedTuple):
    """What NASNetA returns."""

    out: Array
    aux_head: Array


class ActConvBn(nnx.Module):
    """Block ActConvBn of nasnet.net."""

    def __init__(self, in_channels: int, c: int, **options: Unpack[LayerOptions]) -> None:
        self.conv = Conv(in_channels, c, (1, 1), padding="SAME", **options)
        self.bn = BatchNorm(c, **options)

    def __call__(self, x: Array) -> Array:
        x = nnx.relu(x)
        x = self.bn(self.conv(x))
        return x


class SeparableConv2d(nnx.Module):
    """Block SeparableConv2d of nasnet.net."""

    def __init__(
        self,
        in_channels: int,
        k: int,
        c: int,
        stride: int = 1,
        **options: Unpack[LayerOptions],
    ) -> None:
        self.depthwise_conv2d = Conv(
            in_channels,
            in_channels,
            (k, k),
            strides=stride,
            padding="SAME",
            feature_group_count=in_channels,
            **options,
        )
        self.pointwise_conv2d = Conv(in_channels, c, (1, 1), padding="SAME", **options)

    def __call__(self, x: Array) -> Array:
        x = self.depthwise_conv2d(x)
        x = self.pointwise_conv2d(x)
        return x


class BranchSeparables(nnx.Module):
    """Block BranchSeparables of nasnet.net."""

    def __init__(
        self,
        in_channels: int,
        k: int,
        c: int,
        stride: int = 1,
        **options: Unpack[LayerOptions],
    ) -> None:
        self.separable_1 = SeparableConv2d(in_channels, k, c, stride=stride, **options)
        self.bn_sep_1 = BatchNorm(c, **options)
        self.separable_2 = SeparableConv2d(c, k, c, **options)
        self.bn_sep_2 = BatchNorm(c, **options)

    def __call__(self, x: Array) -> Array:
        x = nnx.relu(x)
        x = nnx.relu(self.bn_sep_1(self.separable_1(x)))
        x = self.bn_sep_2(self.separable_2(x))
        return x


class Path2(nnx.Module):
    """Container path_2 of nasnet.net."""

    def __init__(self, **options: Unpack[LayerOptions]) -> None:
        self.conv = Conv(32, 11, (1, 1), padding="SAME", **options)

    def __call__(self, x: Array) -> Array:
        x = shift2d(x, (1, 1))
        x = avg_pool2d_inside(x, (1, 1), strides=(2, 2))
        x = self.conv(x)
        return x


class ReductionCell(nnx.Module):
    """Block ReductionCell of nasnet.net."""

    def __init__(
        self,
        in_channels: int,
        c: int,
        channels: int,
        raw: bool = False,
        **options: Unpack[LayerOptions],
    ) -> None:
        self.conv_prev_1x1: Callable[[Array], Array] | None = nnx.data(None)
        if not raw:
            self.conv_prev_1x1 = ActConvBn(in_channels, c, **options)
        self.conv_1x1 = ActConvBn(in_channels, c, **options)
        self.comb_iter_0_left = BranchSeparables(c, 5, c, stride=2, **options)
        self.comb_iter_0_right = BranchSeparables(channels, 7, c, stride=2, **options)
        self.comb_iter_1_right = BranchSeparables(channels, 7, c, stride=2, **options)
        self.comb_iter_2_right = BranchSeparables(channels, 5, c, stride=2, **options)
        self.comb_iter_4_left = BranchSeparables(c, 3, c, **options)

    def __call__(self, prev: Array, cur: Array) -> tuple[Array, Array]:
        if self.conv_prev_1x1 is not None:
            prev = self.conv_prev_1x1(prev)
        right = self.conv_1x1(cur)
        comb_iter_0_left = self.comb_iter_0_left(right)
        comb_iter_0_right = self.comb_iter_0_right(prev)
        comb_iter_0_left = comb_iter_0_left + comb_iter_0_right
        y = max_pool2d(right, (3, 3), strides=(2, 2), padding="SAME")
        comb_iter_1_right = self.comb_iter_1_right(prev)
        y = y + comb_iter_1_right
        z = avg_pool2d_inside(right, (3, 3), strides=(2, 2), padding="SAME")
        prev = self.comb_iter_2_right(prev)
        z = z + prev
        w = avg_pool2d_inside(comb_iter_0_left, (3, 3), padding="SAME")
        w = w + y
        comb_iter_0_left = self.comb_iter_4_left(comb_iter_0_left)
        right = max_pool2d(right, (3, 3), strides=(2, 2), padding="SAME")
        comb_iter_0_left = comb_iter_0_left + right
        y = jnp.concatenate((y, z, w, comb_iter_0_left), axis=-1)
        return cur, y


class ReductionCell2(nnx.Module):
    """Block ReductionCell of nasnet.net."""

    def __init__(self, **options: Unpack[LayerOptions]) -> None:
        self.conv_1x1 = ActConvBn(44, 22, **options)
        self.path_1 = NamedSequential(
            [
                ("0", partial(avg_pool2d_inside, window_shape=(1, 1), strides=(2, 2))),
                ("conv", Conv(32, 11, (1, 1), padding="SAME", **options)),
            ],
        )
        self.path_2 = Path2(**options)
        self.final_path_bn = BatchNorm(22, **options)
        self.comb_iter_0_left = BranchSeparables(22, 5, 22, stride=2, **options)
        self.comb_iter_0_right = BranchSeparables(22, 7, 22, stride=2, **options)
        self.comb_iter_1_right = BranchSeparables(22, 7, 22, stride=2, **options)
        self.comb_iter_2_right = BranchSeparables(22, 5, 22, stride=2, **options)
        self.comb_iter_4_left = BranchSeparables(22, 3, 22, **options)

    def __call__(self, prev: Array, cur: Array) -> tuple[Array, Array]:
        right = self.conv_1x1(cur)
        prev = nnx.relu(prev)
        path_1 = self.path_1(prev)
        prev = self.path_2(prev)
        path_1 = self.final_path_bn(jnp.concatenate((path_1, prev), axis=-1))
        comb_iter_0_left = self.comb_iter_0_left(right)
        comb_iter_0_right = self.comb_iter_0_right(path_1)
        comb_iter_0_left = comb_iter_0_left + comb_iter_0_right
        y = max_pool2d(right, (3, 3), strides=(2, 2), padding="SAME")
        comb_iter_1_right = self.comb_iter_1_right(path_1)
        y = y + comb_iter_1_right
        z = avg_pool2d_inside(right, (3, 3), strides=(2, 2), padding="SAME")
        path_1 = self.comb_iter_2_right(path_1)
        z = z + path_1
        w = avg_pool2d_inside(comb_iter_0_left, (3, 3), padding="SAME")
        w = w + y
        comb_iter_0_left = self.comb_iter_4_left(comb_iter_0_left)
        right = max_pool2d(right, (3, 3), strides=(2, 2), padding="SAME")
        comb_iter_0_left = comb_iter_0_left + right
        y = jnp.concatenate((y, z, w, comb_iter_0_left), axis=-1)
        return cur, y


class NormalCellPath2(nnx.Module):
    """Container path_2 of nasnet.net."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        **options: Unpack[LayerOptions],
    ) -> None:
        self.conv = Conv(in_channels, out_channels, (1, 1), padding="SAME", **options)

    def __call__(self, x: Array) -> Array:
        x = shift2d(x, (1, 1))
        x = avg_pool2d_inside(x, (1, 1), strides=(2, 2))
        x = self.conv(x)
        return x


class NormalCell(nnx.Module):
    """Block NormalCell of nasnet.net."""

    def __init__(
        self,
        in_channels: int,
        channels: int,
        c: int,
        **options: Unpack[LayerOptions],
    ) -> None:
        self.conv_1x1 = ActConvBn(channels, c, **options)
        self.path_1 = NamedSequential(
            [
                ("0", partial(avg_pool2d_inside, window_shape=(1, 1), strides=(2, 2))),
                ("conv", Conv(in_channels, c // 2, (1, 1), padding="SAME", **options)),
            ],
        )
        self.path_2 = NormalCellPath2(in_channels, c // 2, **options)
        self.final_path_bn = BatchNorm(c, **options)
        self.comb_iter_0_left = BranchSeparables(c, 5, c, **options)
        self.comb_iter_0_right = BranchSeparables(c, 3, c, **options)
        self.comb_iter_1_left = BranchSeparables(c, 5, c, **options)
        self.comb_iter_1_right = BranchSeparables(c, 3, c, **options)
        self.comb_iter_4_left = BranchSeparables(c, 3, c, **options)

    def __call__(self, prev: Array, cur: Array) -> tuple[Array, Array]:
        right = self.conv_1x1(cur)
        prev = nnx.relu(prev)
        path_1 = self.path_1(prev)
        prev = self.path_2(prev)
        path_1 = self.final_path_bn(jnp.concatenate((path_1, prev), axis=-1))
        comb_iter_0_left = self.comb_iter_0_left(right)
        comb_iter_0_right = self.comb_iter_0_right(path_1)
        comb_iter_0_left = comb_iter_0_left + comb_iter_0_right
        comb_iter_1_left = self.comb_iter_1_left(path_1)
        comb_iter_1_right = self.comb_iter_1_right(path_1)
        comb_iter_1_left = comb_iter_1_left + comb_iter_1_right
        y = avg_pool2d_inside(right, (3, 3), padding="SAME")
        y = y + path_1
        z = avg_pool2d_inside(path_1, (3, 3), padding="SAME")
        w = avg_pool2d_inside(path_1, (3, 3), padding="SAME")
        z = z + w
        comb_iter_4_left = self.comb_iter_4_left(right)
        comb_iter_4_left = comb_iter_4_left + right
        path_1 = jnp.concatenate(
            (path_1, comb_iter_0_left, comb_iter_1_left, y, z, comb_iter_4_left),
            axis=-1,
        )
        return cur, path_1


class NormalCell2(nnx.Module):
    """Block NormalCell of nasnet.net."""

    def __init__(self, in_channels: int, c: int, **options: Unpack[LayerOptions]) -> None:
        self.conv_prev_1x1 = ActConvBn(in_channels, c, **options)
        self.conv_1x1 = ActConvBn(6 * c, c, **options)
        self.comb_iter_0_left = BranchSeparables(c, 5, c, **options)
        self.comb_iter_0_right = BranchSeparables(c, 3, c, **options)
        self.comb_iter_1_left = BranchSeparables(c, 5, c, **options)
        self.comb_iter_1_right = BranchSeparables(c, 3, c, **options)
        self.comb_iter_4_left = BranchSeparables(c, 3, c, **options)

    def __call__(self, prev: Array, cur: Array) -> tuple[Array, Array]:
        prev = self.conv_prev_1x1(prev)
        right = self.conv_1x1(cur)
        comb_iter_0_left = self.comb_iter_0_left(right)
        comb_iter_0_right = self.comb_iter_0_right(prev)
        comb_iter_0_left = comb_iter_0_left + comb_iter_0_right
        comb_iter_1_left = self.comb_iter_1_left(prev)
        comb_iter_1_right = self.comb_iter_1_right(prev)
        comb_iter_1_left = comb_iter_1_left + comb_iter_1_right
        y = avg_pool2d_inside(right, (3, 3), padding="SAME")
        y = y + prev
        z = avg_pool2d_inside(prev, (3, 3), padding="SAME")
        w = avg_pool2d_inside(prev, (3, 3), padding="SAME")
        z = z + w
        comb_iter_4_left = self.comb_iter_4_left(right)
        comb_iter_4_left = comb_iter_4_left + right
        prev = jnp.concatenate(
            (prev, comb_iter_0_left, comb_iter_1_left, y, z, comb_iter_4_left),
            axis=-1,
        )
        return cur, prev


class AuxHead(nnx.Module):
    """Block AuxHead of nasnet.net."""

    def __init__(self, classes: int, **options: Unpack[LayerOptions]) -> None:
        self.conv = nnx.Sequential(
            Conv(528, 128, (1, 1), padding="SAME", **options),
            BatchNorm(128, **options),
            nnx.relu,
        )
        self.full = nnx.Sequential(
            Linear(2048, 768, use_bias=False, **options),
            BatchNorm(768, **options),
            nnx.relu,
        )
        self.fc = Linear(768, classes, **options)

    def __call__(self, x: Array) -> Array:
        x = nnx.relu(x)
        x = avg_pool2d_inside(x, (5, 5), strides=(3, 3))
        x = self.conv(x)
        x = self.full(flatten_chw(x))
        x = self.fc(x)
        return x


class NASNetA(nnx.Module):
    """Net NASNetA of nasnet.net."""

    def __init__(
        self,
        drop: float = 0.5,
        classes: int = 1000,
        **options: Unpack[LayerOptions],
    ) -> None:
        self.conv0 = NamedSequential(
            [("conv", Conv(3, 32, (3, 3), strides=2, **options)), ("bn", BatchNorm(32, **options))],
        )
        self.cell_stem_0 = ReductionCell(32, 11, 32, raw=True, **options)
        self.cell_stem_1 = ReductionCell2(**options)
        self.cell_0 = NormalCell(44, 88, 44, **options)
        self.cell_1 = NormalCell2(88, 44, **options)
        self.cell_2 = NormalCell2(264, 44, **options)
        self.cell_3 = NormalCell2(264, 44, **options)
        self.reduction_cell_0 = ReductionCell(264, 88, 88, **options)
        self.cell_4 = NormalCell(264, 352, 88, **options)
        self.cell_5 = NormalCell2(352, 88, **options)
        self.cell_6 = NormalCell2(528, 88, **options)
        self.cell_7 = NormalCell2(528, 88, **options)
        self.aux_head = AuxHead(classes, **options)
        self.reduction_cell_1 = ReductionCell(528, 176, 176, **options)
        self.cell_8 = NormalCell(528, 704, 176, **options)
        self.cell_9 = NormalCell2(704, 176, **options)
        self.cell_10 = NormalCell2(1056, 176, **options)
        self.cell_11 = NormalCell2(1056, 176, **options)
        self.dropout = nnx.Dropout(drop, rngs=options["rngs"])
        self.last_linear = Linear(1056, classes, **options)
        self.deterministic = False

    def __call__(self, x: Array) -> Array | NASNetAOutputs:
        x = self.conv0(x)
        x, y = self.cell_stem_0(x, x)
        x, y = self.cell_stem_1(x, y)
        x, y = self.cell_0(x, y)
        x, y = self.cell_1(x, y)
        x, y = self.cell_2(x, y)
        x, y = self.cell_3(x, y)
        x, y = self.reduction_cell_0(x, y)
        x, y = self.cell_4(x, y)
        x, y = self.cell_5(x, y)
        x, y = self.cell_6(x, y)
        x, y = self.cell_7(x, y)
        if not self.deterministic:
            aux_head = self.aux_head(y)
        x, y = self.reduction_cell_1(x, y)
        x, y = self.cell_8(x, y)
        x, y = self.cell_9(x, y)
        x, y = self.cell_10(x, y)
        _, x = self.cell_11(x, y)
        x = nnx.relu(x)
        x = x.mean((1, 2))
        x = self.dropout(x)
        x = self.last_linear(x)
        if not self.deterministic:
            return NASNetAOutputs(x, aux_head)
        return x


def nasnet_a_mobile(
    drop: float = 0.5,
    classes: int = 1000,
    **options: Unpack[LayerOptions],
) -> NASNetA:
    """Return a new nasnet_a_mobile, with random weights."""
    return NASNetA(drop, classes, **options)

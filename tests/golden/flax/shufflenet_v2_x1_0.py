"""shufflenet_v2_x1_0: ShuffleNetV2 of shufflenet_v2.net, compiled by netdsl 0.2.0.

ShuffleNet V2: Practical Guidelines for Efficient CNN Architecture Design; arXiv 1807.11164, 2018.

Input 224x224x3, output 1000; 2,278,604 parameters, 144,907,992 MACs a sample.

    netdsl compile shufflenet_v2.net:shufflenet_v2_x1_0 --backend flax
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypedDict, Unpack

import jax
import jax.numpy as jnp
from flax import nnx
from flax.typing import PrecisionLike
from jax import Array
from jax.typing import DTypeLike


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


def global_avg_pool2d(x: Array, keepdims: bool = False) -> Array:
    """Return the mean of every channel of a map; it must have a pixel."""
    if 0 in x.shape[1:3]:
        raise ValueError("the input is too small: no pixel of it is left")
    return x.mean((1, 2), keepdims=keepdims)


def channel_shuffle(x: Array, groups: int) -> Array:
    """Interleave the channels of the groups, so that the next groups see all of them."""
    return x.reshape(*x.shape[:-1], groups, -1).swapaxes(-1, -2).reshape(x.shape)


Conv = partial(
    nnx.Conv,
    padding=0,
    use_bias=False,
    kernel_init=nnx.initializers.variance_scaling(1 / 3, "fan_in", "uniform"),
)
BatchNorm = partial(make_norm, UnbiasedBatchNorm, use_fast_variance=False, momentum=0.9)


class Linear(nnx.Linear):
    """nnx.Linear with torch's initial bias: uniform within 1 / sqrt(fan_in)."""

    def __init__(self, in_features: int, out_features: int, **options: Any) -> None:
        bound = in_features**-0.5
        defaults: dict[str, Any] = {
            "kernel_init": nnx.initializers.variance_scaling(1 / 3, "fan_in", "uniform"),
            "bias_init": uniform_between(-bound, bound),
        }
        super().__init__(in_features, out_features, **(defaults | options))


class InvertedResidual(nnx.Module):
    """Block InvertedResidual of shufflenet_v2.net.

    Shapes: (N, H, W, in_channels) -> (N, (H - 1) // stride + 1, (W - 1) // stride + 1, C').
    """

    def __init__(
        self,
        in_channels: int,
        c: int,
        stride: int = 1,
        *,
        rngs: nnx.Rngs,
        **options: Unpack[LayerOptions],
    ) -> None:
        if stride < 1 or c < 2:
            raise ValueError("stride must be at least 1, c at least 2")
        half = c // 2
        if stride == 1 and in_channels % 2 != 0:
            raise ValueError(f"{in_channels} channels cannot be divided into 2 parts")
        self.branch1 = (
            nnx.Sequential(
                Conv(
                    in_channels,
                    in_channels,
                    (3, 3),
                    strides=stride,
                    padding=1,
                    feature_group_count=in_channels,
                    rngs=rngs,
                    **options,
                ),
                BatchNorm(in_channels, rngs=rngs, **options),
                Conv(in_channels, half, (1, 1), rngs=rngs, **options),
                BatchNorm(half, rngs=rngs, **options),
                nnx.relu,
            )
            if stride != 1
            else None
        )
        self.branch2 = nnx.Sequential(
            Conv(
                in_channels // 2 if stride == 1 else in_channels, half, (1, 1), rngs=rngs, **options
            ),
            BatchNorm(half, rngs=rngs, **options),
            nnx.relu,
            Conv(
                half,
                half,
                (3, 3),
                strides=stride,
                padding=1,
                feature_group_count=half,
                rngs=rngs,
                **options,
            ),
            BatchNorm(half, rngs=rngs, **options),
            Conv(half, half, (1, 1), rngs=rngs, **options),
            BatchNorm(half, rngs=rngs, **options),
            nnx.relu,
        )

    def __call__(self, x: Array) -> Array:
        if self.branch1 is None:
            left, right = jnp.split(x, 2, axis=-1)
        else:
            left = self.branch1(x)
            right = x
        x = jnp.concatenate((left, self.branch2(right)), axis=-1)
        return channel_shuffle(x, 2)


class ShuffleNetV2(nnx.Module):
    """Net ShuffleNetV2 of shufflenet_v2.net.

    ShuffleNet V2: Practical Guidelines for Efficient CNN Architecture Design; arXiv 1807.11164,
    2018.

    Shapes: (N, H, W, 3) -> (N, classes).
    """

    def __init__(
        self,
        c: int,
        last: int = 1024,
        classes: int = 1000,
        *,
        rngs: nnx.Rngs,
        **options: Unpack[LayerOptions],
    ) -> None:
        if min(last, classes) < 1:
            raise ValueError("last and classes must be at least 1")
        self.conv1 = nnx.Sequential(
            Conv(3, 24, (3, 3), strides=2, padding=1, rngs=rngs, **options),
            BatchNorm(24, rngs=rngs, **options),
            nnx.relu,
        )
        self.stage2 = nnx.Sequential(
            InvertedResidual(24, c, stride=2, rngs=rngs, **options),
            *(InvertedResidual(2 * (c // 2), c, rngs=rngs, **options) for _ in range(3)),
        )
        self.stage3 = nnx.Sequential(
            InvertedResidual(2 * (c // 2), 2 * c, stride=2, rngs=rngs, **options),
            *(InvertedResidual(2 * c, 2 * c, rngs=rngs, **options) for _ in range(7)),
        )
        self.stage4 = nnx.Sequential(
            InvertedResidual(2 * c, 4 * c, stride=2, rngs=rngs, **options),
            *(InvertedResidual(4 * c, 4 * c, rngs=rngs, **options) for _ in range(3)),
        )
        self.conv5 = nnx.Sequential(
            Conv(4 * c, last, (1, 1), rngs=rngs, **options),
            BatchNorm(last, rngs=rngs, **options),
            nnx.relu,
        )
        self.fc = Linear(last, classes, rngs=rngs, **options)

    def __call__(self, x: Array) -> Array:
        x = self.conv1(x)
        x = max_pool2d(x, (3, 3), strides=(2, 2), padding=((1, 1), (1, 1)))
        x = self.stage2(x)
        x = self.stage3(x)
        x = self.stage4(x)
        x = self.conv5(x)
        x = global_avg_pool2d(x)
        x = self.fc(x)
        return x


def shufflenet_v2_x1_0(
    classes: int = 1000, *, rngs: nnx.Rngs, **options: Unpack[LayerOptions]
) -> ShuffleNetV2:
    """Return a new shufflenet_v2_x1_0, with random weights."""
    return ShuffleNetV2(116, classes=classes, rngs=rngs, **options)

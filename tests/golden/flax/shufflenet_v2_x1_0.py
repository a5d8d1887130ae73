"""shufflenet_v2_x1_0: ShuffleNetV2 of shufflenet_v2.net, compiled by netdsl 0.1.0.

Input 3x224x224, output 1000; 2,278,604 parameters, 144,907,992 MACs a sample. Shapes are channels
first, the arrays channels last.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Required, TypedDict, Unpack

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


max_pool2d: Callable[..., Array] = nnx.max_pool  # which has no types


def channel_shuffle(x: Array, groups: int) -> Array:
    """Interleave the channels of the groups, so that the next groups see all of them."""
    return x.reshape(*x.shape[:-1], groups, -1).swapaxes(-1, -2).reshape(x.shape)


Conv = partial(
    nnx.Conv,
    padding=0,
    use_bias=False,
    kernel_init=nnx.initializers.variance_scaling(1 / 3, "fan_in", "uniform"),
)
BatchNorm = partial(UnbiasedBatchNorm, use_fast_variance=False, momentum=0.9)


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


class InvertedResidual(nnx.Module):
    """Block InvertedResidual of shufflenet_v2.net."""

    def __init__(self, in_channels: int, half: int, **options: Unpack[LayerOptions]) -> None:
        self.branch1 = nnx.Sequential(
            Conv(
                in_channels,
                in_channels,
                (3, 3),
                strides=2,
                padding=1,
                feature_group_count=in_channels,
                **options,
            ),
            BatchNorm(in_channels, **options),
            Conv(in_channels, half, (1, 1), **options),
            BatchNorm(half, **options),
            nnx.relu,
        )
        self.branch2 = nnx.Sequential(
            Conv(in_channels, half, (1, 1), **options),
            BatchNorm(half, **options),
            nnx.relu,
            Conv(half, half, (3, 3), strides=2, padding=1, feature_group_count=half, **options),
            BatchNorm(half, **options),
            Conv(half, half, (1, 1), **options),
            BatchNorm(half, **options),
            nnx.relu,
        )

    def __call__(self, x: Array) -> Array:
        left = self.branch1(x)
        x = self.branch2(x)
        left = jnp.concatenate((left, x), axis=-1)
        return channel_shuffle(left, 2)


class InvertedResidual2(nnx.Module):
    """Block InvertedResidual of shufflenet_v2.net."""

    def __init__(self, half: int, **options: Unpack[LayerOptions]) -> None:
        self.branch2 = nnx.Sequential(
            Conv(half, half, (1, 1), **options),
            BatchNorm(half, **options),
            nnx.relu,
            Conv(half, half, (3, 3), padding=1, feature_group_count=half, **options),
            BatchNorm(half, **options),
            Conv(half, half, (1, 1), **options),
            BatchNorm(half, **options),
            nnx.relu,
        )

    def __call__(self, x: Array) -> Array:
        left, right = jnp.split(x, 2, axis=-1)
        right = self.branch2(right)
        left = jnp.concatenate((left, right), axis=-1)
        return channel_shuffle(left, 2)


class ShuffleNetV2(nnx.Module):
    """Net ShuffleNetV2 of shufflenet_v2.net."""

    def __init__(self, classes: int = 1000, **options: Unpack[LayerOptions]) -> None:
        self.conv1 = nnx.Sequential(
            Conv(3, 24, (3, 3), strides=2, padding=1, **options),
            BatchNorm(24, **options),
            nnx.relu,
        )
        self.stage2 = nnx.Sequential(
            InvertedResidual(24, 58, **options),
            *(InvertedResidual2(58, **options) for _ in range(3)),
        )
        self.stage3 = nnx.Sequential(
            InvertedResidual(116, 116, **options),
            *(InvertedResidual2(116, **options) for _ in range(7)),
        )
        self.stage4 = nnx.Sequential(
            InvertedResidual(232, 232, **options),
            *(InvertedResidual2(232, **options) for _ in range(3)),
        )
        self.conv5 = nnx.Sequential(
            Conv(464, 1024, (1, 1), **options),
            BatchNorm(1024, **options),
            nnx.relu,
        )
        self.fc = Linear(1024, classes, **options)

    def __call__(self, x: Array) -> Array:
        x = self.conv1(x)
        x = max_pool2d(x, (3, 3), strides=(2, 2), padding=((1, 1), (1, 1)))
        x = self.stage2(x)
        x = self.stage3(x)
        x = self.stage4(x)
        x = self.conv5(x)
        x = x.mean((1, 2))
        x = self.fc(x)
        return x


def shufflenet_v2_x1_0(classes: int = 1000, **options: Unpack[LayerOptions]) -> ShuffleNetV2:
    """Return a new shufflenet_v2_x1_0, with random weights."""
    return ShuffleNetV2(classes, **options)

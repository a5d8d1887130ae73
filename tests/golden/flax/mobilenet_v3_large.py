"""mobilenet_v3_large: MobileNetV3 of mobilenet_v3.net, compiled by netdsl 0.1.0.

Input 3x224x224, output 1000; 5,483,032 parameters, 216,589,760 MACs a sample. Shapes are channels
first, the arrays channels last.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, Required, TypedDict, Unpack

import jax.numpy as jnp
from flax import nnx
from jax import Array, lax
from jax.typing import DTypeLike


class LayerOptions(TypedDict, total=False):
    """What every layer takes: the dtypes to compute and to store in, and random numbers."""

    dtype: DTypeLike | None
    param_dtype: DTypeLike
    rngs: Required[nnx.Rngs]


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


def adaptive_pool2d(x: Array, size: tuple[int, int], reduce: Callable[..., Array]) -> Array:
    """Reduce a map to a size; window i of m covers floor(i n / m) to ceil((i + 1) n / m)."""
    for axis, m in zip((1, 2), size, strict=True):
        n = x.shape[axis]
        bounds = [(i * n // m, -((i + 1) * n // -m)) for i in range(m)]
        windows = [lax.slice_in_dim(x, start, stop, axis=axis) for start, stop in bounds]
        x = jnp.concatenate([reduce(y, axis=axis, keepdims=True) for y in windows], axis=axis)
    return x


Conv = partial(
    nnx.Conv,
    padding=0,
    use_bias=False,
    kernel_init=nnx.initializers.variance_scaling(2.0, "fan_out", "normal"),
)
Linear = partial(nnx.Linear, kernel_init=nnx.initializers.normal(0.01))
BatchNorm = partial(UnbiasedBatchNorm, use_fast_variance=False, momentum=0.99, epsilon=0.001)


class SqueezeExcitation(nnx.Module):
    """Block SqueezeExcitation of mobilenet_v3.net."""

    def __init__(self, in_channels: int, squeeze: int, **options: Unpack[LayerOptions]) -> None:
        self.fc1 = Conv(in_channels, squeeze, (1, 1), use_bias=True, **options)
        self.fc2 = Conv(squeeze, in_channels, (1, 1), use_bias=True, **options)

    def __call__(self, x: Array) -> Array:
        y = adaptive_pool2d(x, (1, 1), jnp.mean)
        y = nnx.relu(self.fc1(y))
        y = nnx.hard_sigmoid(self.fc2(y))
        x = x * y
        return x


class InvertedResidual(nnx.Module):
    """Block InvertedResidual of mobilenet_v3.net."""

    def __init__(
        self,
        in_channels: int,
        hidden: int,
        k: int,
        activation: Callable[[Array], Array],
        c: int,
        stride: int = 1,
        squeeze: int = 0,
        se: bool = True,
        **options: Unpack[LayerOptions],
    ) -> None:
        self.residual = stride == 1 and in_channels == c
        layers: list[Callable[[Array], Array]] = []
        if in_channels != hidden:
            layers.append(
                nnx.Sequential(
                    Conv(in_channels, hidden, (1, 1), **options),
                    BatchNorm(hidden, **options),
                    activation,
                ),
            )
        layers.append(
            nnx.Sequential(
                Conv(
                    hidden,
                    hidden,
                    (k, k),
                    strides=stride,
                    padding=k // 2,
                    feature_group_count=hidden,
                    **options,
                ),
                BatchNorm(hidden, **options),
                activation,
            ),
        )
        if se:
            layers.append(SqueezeExcitation(hidden, squeeze, **options))
        layers.append(nnx.Sequential(Conv(hidden, c, (1, 1), **options), BatchNorm(c, **options)))
        self.block = nnx.Sequential(*layers)

    def __call__(self, x: Array) -> Array:
        block: Array = self.block(x)
        if self.residual:
            block = block + x
        return block


class MobileNetV3(nnx.Module):
    """Net MobileNetV3 of mobilenet_v3.net."""

    def __init__(
        self,
        drop: float = 0.2,
        classes: int = 1000,
        **options: Unpack[LayerOptions],
    ) -> None:
        self.features = nnx.Sequential(
            nnx.Sequential(
                Conv(3, 16, (3, 3), strides=2, padding=1, **options),
                BatchNorm(16, **options),
                nnx.hard_swish,
            ),
            InvertedResidual(16, 16, 3, nnx.relu, 16, se=False, **options),
            InvertedResidual(16, 64, 3, nnx.relu, 24, stride=2, se=False, **options),
            InvertedResidual(24, 72, 3, nnx.relu, 24, se=False, **options),
            InvertedResidual(24, 72, 5, nnx.relu, 40, stride=2, squeeze=24, **options),
            *(InvertedResidual(40, 120, 5, nnx.relu, 40, squeeze=32, **options) for _ in range(2)),
            InvertedResidual(40, 240, 3, nnx.hard_swish, 80, stride=2, se=False, **options),
            InvertedResidual(80, 200, 3, nnx.hard_swish, 80, se=False, **options),
            *(
                InvertedResidual(80, 184, 3, nnx.hard_swish, 80, se=False, **options)
                for _ in range(2)
            ),
            InvertedResidual(80, 480, 3, nnx.hard_swish, 112, squeeze=120, **options),
            InvertedResidual(112, 672, 3, nnx.hard_swish, 112, squeeze=168, **options),
            InvertedResidual(112, 672, 5, nnx.hard_swish, 160, stride=2, squeeze=168, **options),
            *(
                InvertedResidual(160, 960, 5, nnx.hard_swish, 160, squeeze=240, **options)
                for _ in range(2)
            ),
            nnx.Sequential(
                Conv(160, 960, (1, 1), **options),
                BatchNorm(960, **options),
                nnx.hard_swish,
            ),
        )
        self.classifier = nnx.Sequential(
            Linear(960, 1280, **options),
            nnx.hard_swish,
            nnx.Dropout(drop, rngs=options["rngs"]),
            Linear(1280, classes, **options),
        )

    def __call__(self, x: Array) -> Array:
        x = self.features(x)
        x = x.mean((1, 2))
        x = self.classifier(x)
        return x


def mobilenet_v3_large(
    drop: float = 0.2,
    classes: int = 1000,
    **options: Unpack[LayerOptions],
) -> MobileNetV3:
    """Return a new mobilenet_v3_large, with random weights."""
    return MobileNetV3(drop, classes, **options)

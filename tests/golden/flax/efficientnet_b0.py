"""efficientnet_b0: EfficientNet of efficientnet.net, compiled by netdsl 0.1.0.

Input 3x224x224, output 1000; 5,288,548 parameters, 385,814,752 MACs a sample. Shapes are channels
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
Linear = partial(
    nnx.Linear,
    kernel_init=nnx.initializers.variance_scaling(1 / 3, "fan_out", "uniform"),
)
BatchNorm = partial(UnbiasedBatchNorm, use_fast_variance=False, momentum=0.9)


class SqueezeExcitation(nnx.Module):
    """Block SqueezeExcitation of efficientnet.net."""

    def __init__(self, in_channels: int, squeeze: int, **options: Unpack[LayerOptions]) -> None:
        self.fc1 = Conv(in_channels, squeeze, (1, 1), use_bias=True, **options)
        self.fc2 = Conv(squeeze, in_channels, (1, 1), use_bias=True, **options)

    def __call__(self, x: Array) -> Array:
        y = adaptive_pool2d(x, (1, 1), jnp.mean)
        y = nnx.silu(self.fc1(y))
        y = nnx.sigmoid(self.fc2(y))
        x = x * y
        return x


class MBConv(nnx.Module):
    """Block MBConv of efficientnet.net."""

    def __init__(
        self,
        in_channels: int,
        hidden: int,
        k: int,
        squeeze: int,
        c: int,
        stride: int = 1,
        drop: float = 0.0,
        **options: Unpack[LayerOptions],
    ) -> None:
        self.residual = stride == 1 and in_channels == c
        layers: list[Callable[[Array], Array]] = []
        if in_channels != hidden:
            layers.append(
                nnx.Sequential(
                    Conv(in_channels, hidden, (1, 1), **options),
                    BatchNorm(hidden, **options),
                    nnx.silu,
                ),
            )
        layers += [
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
                nnx.silu,
            ),
            SqueezeExcitation(hidden, squeeze, **options),
            nnx.Sequential(Conv(hidden, c, (1, 1), **options), BatchNorm(c, **options)),
        ]
        self.block = nnx.Sequential(*layers)
        if self.residual:
            self.droppath = nnx.Dropout(drop, broadcast_dims=(1, 2, 3), rngs=options["rngs"])

    def __call__(self, x: Array) -> Array:
        block: Array = self.block(x)
        if self.residual:
            block = self.droppath(block)
            block = x + block
        return block


class EfficientNet(nnx.Module):
    """Net EfficientNet of efficientnet.net."""

    def __init__(self, classes: int = 1000, **options: Unpack[LayerOptions]) -> None:
        self.features = nnx.Sequential(
            nnx.Sequential(
                Conv(3, 32, (3, 3), strides=2, padding=1, **options),
                BatchNorm(32, **options),
                nnx.silu,
            ),
            nnx.Sequential(MBConv(32, 32, 3, 8, 16, **options)),
            nnx.Sequential(
                MBConv(16, 96, 3, 4, 24, stride=2, **options),
                MBConv(24, 144, 3, 6, 24, drop=0.2 * 2 / 16, **options),
            ),
            nnx.Sequential(
                MBConv(24, 144, 5, 6, 40, stride=2, **options),
                MBConv(40, 240, 5, 10, 40, drop=0.2 * 4 / 16, **options),
            ),
            nnx.Sequential(
                MBConv(40, 240, 3, 10, 80, stride=2, **options),
                MBConv(80, 480, 3, 20, 80, drop=0.2 * 6 / 16, **options),
                MBConv(80, 480, 3, 20, 80, drop=0.2 * 7 / 16, **options),
            ),
            nnx.Sequential(
                MBConv(80, 480, 5, 20, 112, **options),
                MBConv(112, 672, 5, 28, 112, drop=0.2 * 9 / 16, **options),
                MBConv(112, 672, 5, 28, 112, drop=0.2 * 10 / 16, **options),
            ),
            nnx.Sequential(
                MBConv(112, 672, 5, 28, 192, stride=2, **options),
                *(
                    MBConv(192, 1152, 5, 48, 192, drop=0.2 * i / 16, **options)
                    for i in range(12, 15)
                ),
            ),
            nnx.Sequential(MBConv(192, 1152, 3, 48, 320, **options)),
            nnx.Sequential(
                Conv(320, 1280, (1, 1), **options),
                BatchNorm(1280, **options),
                nnx.silu,
            ),
        )
        self.classifier = nnx.Sequential(
            nnx.Dropout(0.2, rngs=options["rngs"]),
            Linear(1280, classes, **options),
        )

    def __call__(self, x: Array) -> Array:
        x = self.features(x)
        x = x.mean((1, 2))
        x = self.classifier(x)
        return x


def efficientnet_b0(classes: int = 1000, **options: Unpack[LayerOptions]) -> EfficientNet:
    """Return a new efficientnet_b0, with random weights."""
    return EfficientNet(classes, **options)

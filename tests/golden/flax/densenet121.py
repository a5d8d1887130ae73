"""densenet121: DenseNet of densenet.net, compiled by netdsl 0.1.0.

Input 3x224x224, output 1000; 7,978,856 parameters, 2,834,161,664 MACs a sample. Shapes are channels
first, the arrays channels last.
"""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Required, TypedDict, Unpack

import jax.numpy as jnp
from flax import nnx
from jax import Array
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


Conv = partial(
    nnx.Conv,
    padding=0,
    use_bias=False,
    kernel_init=nnx.initializers.variance_scaling(2.0, "fan_in", "normal"),
)
Linear = partial(
    nnx.Linear,
    kernel_init=nnx.initializers.variance_scaling(1 / 3, "fan_in", "uniform"),
)
BatchNorm = partial(UnbiasedBatchNorm, use_fast_variance=False, momentum=0.9)


class DenseLayer(nnx.Module):
    """Block DenseLayer of densenet.net."""

    def __init__(self, in_channels: int, **options: Unpack[LayerOptions]) -> None:
        self.norm1 = BatchNorm(in_channels, **options)
        self.conv1 = Conv(in_channels, 128, (1, 1), **options)
        self.norm2 = BatchNorm(128, **options)
        self.conv2 = Conv(128, 32, (3, 3), padding=1, **options)

    def __call__(self, x: Array) -> Array:
        y = nnx.relu(self.norm1(x))
        y = nnx.relu(self.norm2(self.conv1(y)))
        y = self.conv2(y)
        return jnp.concatenate((x, y), axis=-1)


class Transition(nnx.Module):
    """Block Transition of densenet.net."""

    def __init__(self, in_channels: int, **options: Unpack[LayerOptions]) -> None:
        self.norm = BatchNorm(in_channels, **options)
        self.conv = Conv(in_channels, in_channels // 2, (1, 1), **options)

    def __call__(self, x: Array) -> Array:
        x = nnx.relu(self.norm(x))
        x = self.conv(x)
        return avg_pool2d(x, (2, 2), strides=(2, 2))


class DenseNet(nnx.Module):
    """Net DenseNet of densenet.net."""

    def __init__(self, classes: int = 1000, **options: Unpack[LayerOptions]) -> None:
        self.features = NamedSequential(
            [
                ("conv0", Conv(3, 64, (7, 7), strides=2, padding=3, **options)),
                ("norm0", BatchNorm(64, **options)),
                ("relu0", nnx.relu),
                (
                    "pool0",
                    partial(
                        max_pool2d,
                        window_shape=(3, 3),
                        strides=(2, 2),
                        padding=((1, 1), (1, 1)),
                    ),
                ),
                (
                    "denseblock1",
                    NamedSequential(
                        (f"denselayer{i + 1}", DenseLayer(64 + 32 * i, **options)) for i in range(6)
                    ),
                ),
                ("transition1", Transition(256, **options)),
                (
                    "denseblock2",
                    NamedSequential(
                        (f"denselayer{i + 1}", DenseLayer(128 + 32 * i, **options))
                        for i in range(12)
                    ),
                ),
                ("transition2", Transition(512, **options)),
                (
                    "denseblock3",
                    NamedSequential(
                        (f"denselayer{i + 1}", DenseLayer(256 + 32 * i, **options))
                        for i in range(24)
                    ),
                ),
                ("transition3", Transition(1024, **options)),
                (
                    "denseblock4",
                    NamedSequential(
                        (f"denselayer{i + 1}", DenseLayer(512 + 32 * i, **options))
                        for i in range(16)
                    ),
                ),
                ("norm5", BatchNorm(1024, **options)),
            ],
        )
        self.classifier = Linear(1024, classes, **options)

    def __call__(self, x: Array) -> Array:
        x = nnx.relu(self.features(x))
        x = x.mean((1, 2))
        x = self.classifier(x)
        return x


def densenet121(classes: int = 1000, **options: Unpack[LayerOptions]) -> DenseNet:
    """Return a new densenet121, with random weights."""
    return DenseNet(classes, **options)

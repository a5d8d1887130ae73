"""preact_resnet50: ResNet of resnet.net, compiled by netdsl 0.1.0.

Input 3x224x224, output 1000; 25,549,352 parameters, 4,089,184,256 MACs a sample. Shapes are
channels first, the arrays channels last.
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


Conv = partial(
    nnx.Conv,
    padding=0,
    use_bias=False,
    kernel_init=nnx.initializers.variance_scaling(2.0, "fan_out", "normal"),
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


class PreActBottleneck(nnx.Module):
    """Block PreActBottleneck of resnet.net."""

    def __init__(
        self,
        in_channels: int,
        planes: int,
        stride: int = 1,
        **options: Unpack[LayerOptions],
    ) -> None:
        self.bn1 = BatchNorm(in_channels, **options)
        self.conv1 = Conv(in_channels, planes, (1, 1), **options)
        self.bn2 = BatchNorm(planes, **options)
        self.conv2 = Conv(planes, planes, (3, 3), strides=stride, padding=1, **options)
        self.bn3 = BatchNorm(planes, **options)
        self.conv3 = Conv(planes, 4 * planes, (1, 1), **options)
        self.downsample: Callable[[Array], Array] | None = nnx.data(None)
        if stride != 1 or in_channels != 4 * planes:
            self.downsample = Conv(in_channels, 4 * planes, (1, 1), strides=stride, **options)

    def __call__(self, x: Array) -> Array:
        y = nnx.relu(self.bn1(x))
        z: Array = nnx.relu(self.bn2(self.conv1(y)))
        z = nnx.relu(self.bn3(self.conv2(z)))
        z = self.conv3(z)
        if self.downsample is not None:
            x = self.downsample(y)
        z = z + x
        return z


class ResNet(nnx.Module):
    """Net ResNet of resnet.net."""

    def __init__(self, classes: int = 1000, **options: Unpack[LayerOptions]) -> None:
        self.conv1 = Conv(3, 64, (7, 7), strides=2, padding=3, **options)
        self.layer1 = nnx.Sequential(
            PreActBottleneck(64, 64, **options),
            *(PreActBottleneck(256, 64, **options) for _ in range(2)),
        )
        self.layer2 = nnx.Sequential(
            PreActBottleneck(256, 128, stride=2, **options),
            *(PreActBottleneck(512, 128, **options) for _ in range(3)),
        )
        self.layer3 = nnx.Sequential(
            PreActBottleneck(512, 256, stride=2, **options),
            *(PreActBottleneck(1024, 256, **options) for _ in range(5)),
        )
        self.layer4 = nnx.Sequential(
            PreActBottleneck(1024, 512, stride=2, **options),
            *(PreActBottleneck(2048, 512, **options) for _ in range(2)),
        )
        self.norm = BatchNorm(2048, **options)
        self.fc = Linear(2048, classes, **options)

    def __call__(self, x: Array) -> Array:
        x = self.conv1(x)
        x = max_pool2d(x, (3, 3), strides=(2, 2), padding=((1, 1), (1, 1)))
        x = self.layer1(x)
        x = self.layer2(x)
        x = self.layer3(x)
        x = nnx.relu(self.norm(self.layer4(x)))
        x = x.mean((1, 2))
        x = self.fc(x)
        return x


def preact_resnet50(classes: int = 1000, **options: Unpack[LayerOptions]) -> ResNet:
    """Return a new preact_resnet50, with random weights."""
    return ResNet(classes, **options)

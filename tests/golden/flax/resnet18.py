"""resnet18: ResNet of resnet.net, compiled by netdsl 0.1.0.

Input 3x224x224, output 1000; 11,689,512 parameters, 1,814,073,344 MACs a sample. Shapes are
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


class BasicBlock(nnx.Module):
    """Block BasicBlock of resnet.net."""

    def __init__(
        self,
        in_channels: int,
        planes: int,
        stride: int = 1,
        **options: Unpack[LayerOptions],
    ) -> None:
        self.conv1 = Conv(in_channels, planes, (3, 3), strides=stride, padding=1, **options)
        self.bn1 = BatchNorm(planes, **options)
        self.conv2 = Conv(planes, planes, (3, 3), padding=1, **options)
        self.bn2 = BatchNorm(planes, **options)
        self.downsample: Callable[[Array], Array] | None = nnx.data(None)
        if stride != 1:
            self.downsample = nnx.Sequential(
                Conv(in_channels, planes, (1, 1), strides=2, **options),
                BatchNorm(planes, **options),
            )

    def __call__(self, x: Array) -> Array:
        y = nnx.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        if self.downsample is not None:
            x = self.downsample(x)
        return nnx.relu(y + x)


class ResNet(nnx.Module):
    """Net ResNet of resnet.net."""

    def __init__(self, classes: int = 1000, **options: Unpack[LayerOptions]) -> None:
        self.conv1 = Conv(3, 64, (7, 7), strides=2, padding=3, **options)
        self.bn1 = BatchNorm(64, **options)
        self.layer1 = nnx.Sequential(*(BasicBlock(64, 64, **options) for _ in range(2)))
        self.layer2 = nnx.Sequential(
            BasicBlock(64, 128, stride=2, **options),
            BasicBlock(128, 128, **options),
        )
        self.layer3 = nnx.Sequential(
            BasicBlock(128, 256, stride=2, **options),
            BasicBlock(256, 256, **options),
        )
        self.layer4 = nnx.Sequential(
            BasicBlock(256, 512, stride=2, **options),
            BasicBlock(512, 512, **options),
        )
        self.fc = Linear(512, classes, **options)

    def __call__(self, x: Array) -> Array:
        x = nnx.relu(self.bn1(self.conv1(x)))
        x = max_pool2d(x, (3, 3), strides=(2, 2), padding=((1, 1), (1, 1)))
        x = self.layer1(x)
        x = self.layer2(x)
        x = self.layer3(x)
        x = self.layer4(x)
        x = x.mean((1, 2))
        x = self.fc(x)
        return x


def resnet18(classes: int = 1000, **options: Unpack[LayerOptions]) -> ResNet:
    """Return a new resnet18, with random weights."""
    return ResNet(classes, **options)

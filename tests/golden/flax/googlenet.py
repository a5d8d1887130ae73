"""googlenet: GoogLeNet of googlenet.net, compiled by netdsl 0.1.0.

Input 3x224x224, output 1000, aux1 1000, aux2 1000; 13,004,888 parameters, 1,498,376,192 MACs a
sample. Shapes are channels first, the arrays channels last.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple, Required, TypedDict, Unpack

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array, lax
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


def ceil_padding(
    x: Array,
    window_shape: Sequence[int],
    strides: Sequence[int],
    padding: Sequence[tuple[int, int]],
) -> list[tuple[int, int]]:
    """Return the padding with the last windows whole, which start before the padding there."""
    reaching = []
    for n, k, s, (lo, hi) in zip(x.shape[1:3], window_shape, strides, padding, strict=True):
        steps = min(-((n + lo + hi - k) // -s), (n + lo - 1) // s)
        reaching.append((lo, max(hi, steps * s + k - n - lo)))
    return reaching


def ceil_max_pool2d(
    x: Array,
    window_shape: tuple[int, int],
    strides: tuple[int, int] = (1, 1),
    padding: Sequence[tuple[int, int]] = ((0, 0), (0, 0)),
) -> Array:
    """Return the largest value in every window of a map; the last may reach over the edge."""
    reaching = ceil_padding(x, window_shape, strides, padding)
    return max_pool2d(x, window_shape, strides, reaching)


def adaptive_pool2d(x: Array, size: tuple[int, int], reduce: Callable[..., Array]) -> Array:
    """Reduce a map to a size; window i of m covers floor(i n / m) to ceil((i + 1) n / m)."""
    for axis, m in zip((1, 2), size, strict=True):
        n = x.shape[axis]
        bounds = [(i * n // m, -((i + 1) * n // -m)) for i in range(m)]
        windows = [lax.slice_in_dim(x, start, stop, axis=axis) for start, stop in bounds]
        x = jnp.concatenate([reduce(y, axis=axis, keepdims=True) for y in windows], axis=axis)
    return x


def flatten_chw(x: Array) -> Array:
    """Return maps as vectors in torch's order: channels, rows, columns."""
    return x.transpose(0, 3, 1, 2).reshape(x.shape[0], -1)


Conv = partial(nnx.Conv, padding=0, use_bias=False, kernel_init=nnx.initializers.normal(0.01))
BatchNorm = partial(UnbiasedBatchNorm, use_fast_variance=False, momentum=0.9, epsilon=0.001)


class Linear(nnx.Linear):
    """nnx.Linear with torch's initial bias: uniform within 1 / sqrt(fan_in)."""

    def __init__(self, in_features: int, out_features: int, **options: Any) -> None:
        fan_in = in_features
        bound = fan_in**-0.5
        defaults: dict[str, Any] = {
            "kernel_init": nnx.initializers.normal(0.01),
            "bias_init": uniform_between(-bound, bound),
        }
        super().__init__(in_features, out_features, **(defaults | options))


class GoogLeNetOutputs(NamedTuple):
    """What GoogLeNet returns."""

    out: Array
    aux1: Array
    aux2: Array


class BasicConv2d(nnx.Module):
    """Block BasicConv2d of googlenet.net."""

    def __init__(
        self,
        in_channels: int,
        c: int,
        k: int,
        stride: int = 1,
        **options: Unpack[LayerOptions],
    ) -> None:
        self.conv = Conv(in_channels, c, (k, k), strides=stride, padding=k // 2, **options)
        self.bn = BatchNorm(c, **options)

    def __call__(self, x: Array) -> Array:
        return nnx.relu(self.bn(self.conv(x)))


class Inception(nnx.Module):
    """Block Inception of googlenet.net."""

    def __init__(
        self,
        in_channels: int,
        c1: int,
        c3r: int,
        c3: int,
        c5r: int,
        c5: int,
        cp: int,
        **options: Unpack[LayerOptions],
    ) -> None:
        self.branch1 = BasicConv2d(in_channels, c1, 1, **options)
        self.branch2 = nnx.Sequential(
            BasicConv2d(in_channels, c3r, 1, **options),
            BasicConv2d(c3r, c3, 3, **options),
        )
        self.branch3 = nnx.Sequential(
            BasicConv2d(in_channels, c5r, 1, **options),
            BasicConv2d(c5r, c5, 3, **options),
        )
        self.branch4 = nnx.Sequential(
            partial(ceil_max_pool2d, window_shape=(3, 3), padding=((1, 1), (1, 1))),
            BasicConv2d(in_channels, cp, 1, **options),
        )

    def __call__(self, x: Array) -> Array:
        branch1 = self.branch1(x)
        branch2 = self.branch2(x)
        branch3 = self.branch3(x)
        x = self.branch4(x)
        return jnp.concatenate((branch1, branch2, branch3, x), axis=-1)


class InceptionAux(nnx.Module):
    """Block InceptionAux of googlenet.net."""

    def __init__(self, in_channels: int, classes: int, **options: Unpack[LayerOptions]) -> None:
        self.conv = BasicConv2d(in_channels, 128, 1, **options)
        self.fc1 = Linear(2048, 1024, **options)
        self.dropout = nnx.Dropout(0.7, rngs=options["rngs"])
        self.fc2 = Linear(1024, classes, **options)

    def __call__(self, x: Array) -> Array:
        x = adaptive_pool2d(x, (4, 4), jnp.mean)
        x = self.conv(x)
        x = nnx.relu(self.fc1(flatten_chw(x)))
        x = self.dropout(x)
        x = self.fc2(x)
        return x


class GoogLeNet(nnx.Module):
    """Net GoogLeNet of googlenet.net."""

    def __init__(
        self,
        drop: float = 0.2,
        classes: int = 1000,
        **options: Unpack[LayerOptions],
    ) -> None:
        self.conv1 = BasicConv2d(3, 64, 7, stride=2, **options)
        self.conv2 = BasicConv2d(64, 64, 1, **options)
        self.conv3 = BasicConv2d(64, 192, 3, **options)
        self.inception3a = Inception(192, 64, 96, 128, 16, 32, 32, **options)
        self.inception3b = Inception(256, 128, 128, 192, 32, 96, 64, **options)
        self.inception4a = Inception(480, 192, 96, 208, 16, 48, 64, **options)
        self.inception4b = Inception(512, 160, 112, 224, 24, 64, 64, **options)
        self.inception4c = Inception(512, 128, 128, 256, 24, 64, 64, **options)
        self.inception4d = Inception(512, 112, 144, 288, 32, 64, 64, **options)
        self.inception4e = Inception(528, 256, 160, 320, 32, 128, 128, **options)
        self.inception5a = Inception(832, 256, 160, 320, 32, 128, 128, **options)
        self.inception5b = Inception(832, 384, 192, 384, 48, 128, 128, **options)
        self.aux1 = InceptionAux(512, classes, **options)
        self.aux2 = InceptionAux(528, classes, **options)
        self.dropout = nnx.Dropout(drop, rngs=options["rngs"])
        self.fc = Linear(1024, classes, **options)
        self.deterministic = False

    def __call__(self, x: Array) -> Array | GoogLeNetOutputs:
        x = self.conv1(x)
        x = ceil_max_pool2d(x, (3, 3), strides=(2, 2))
        x = self.conv2(x)
        x = self.conv3(x)
        x = ceil_max_pool2d(x, (3, 3), strides=(2, 2))
        x = self.inception3a(x)
        x = self.inception3b(x)
        x = ceil_max_pool2d(x, (3, 3), strides=(2, 2))
        x = self.inception4a(x)
        if not self.deterministic:
            aux1 = self.aux1(x)
        x = self.inception4b(x)
        x = self.inception4c(x)
        x = self.inception4d(x)
        if not self.deterministic:
            aux2 = self.aux2(x)
        x = self.inception4e(x)
        x = ceil_max_pool2d(x, (2, 2), strides=(2, 2))
        x = self.inception5a(x)
        x = self.inception5b(x)
        x = x.mean((1, 2))
        x = self.dropout(x)
        x = self.fc(x)
        if not self.deterministic:
            return GoogLeNetOutputs(x, aux1, aux2)
        return x


def googlenet(drop: float = 0.2, classes: int = 1000, **options: Unpack[LayerOptions]) -> GoogLeNet:
    """Return a new googlenet, with random weights."""
    return GoogLeNet(drop, classes, **options)

"""se_resnet50: SENet of senet.net, compiled by netdsl 0.2.0.

Squeeze-and-Excitation Networks; arXiv 1709.01507, 2017.

Input 224x224x3, output 1000; 28,088,024 parameters, 3,860,488,192 MACs a sample.

    netdsl compile senet.net:se_resnet50 --backend flax
"""

import math
from collections.abc import Callable, Iterable, Sequence
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


def global_avg_pool2d(x: Array, keepdims: bool = False) -> Array:
    """Return the mean of every channel of a map; it must have a pixel."""
    if 0 in x.shape[1:3]:
        raise ValueError("the input is too small: no pixel of it is left")
    return x.mean((1, 2), keepdims=keepdims)


BatchNorm = partial(make_norm, UnbiasedBatchNorm, use_fast_variance=False, momentum=0.9)


class Conv(nnx.Conv):
    """nnx.Conv with torch's initial bias: uniform within 1 / sqrt(fan_in)."""

    def __init__(
        self, in_features: int, out_features: int, kernel_size: tuple[int, int], **options: Any
    ) -> None:
        fan_in = math.prod(kernel_size) * in_features // options.get("feature_group_count", 1)
        bound = fan_in**-0.5
        defaults: dict[str, Any] = {
            "padding": 0,
            "use_bias": False,
            "kernel_init": nnx.initializers.variance_scaling(2.0, "fan_out", "normal"),
            "bias_init": uniform_between(-bound, bound),
        }
        super().__init__(in_features, out_features, kernel_size, **(defaults | options))


class Linear(nnx.Linear):
    """nnx.Linear with torch's initial bias: uniform within 1 / sqrt(fan_in)."""

    def __init__(self, in_features: int, out_features: int, **options: Any) -> None:
        bound = in_features**-0.5
        defaults: dict[str, Any] = {
            "kernel_init": nnx.initializers.variance_scaling(1 / 3, "fan_in", "uniform"),
            "bias_init": uniform_between(-bound, bound),
        }
        super().__init__(in_features, out_features, **(defaults | options))


class SE(nnx.Module):
    """Block SE of senet.net.

    Shapes: (N, H, W, in_channels) -> (N, H, W, in_channels).
    """

    def __init__(
        self, in_channels: int, *, rngs: nnx.Rngs, **options: Unpack[LayerOptions]
    ) -> None:
        if in_channels // 16 < 1:
            raise ValueError(f"conv needs at least 1 channel, not {in_channels // 16}")
        self.fc1 = Conv(in_channels, in_channels // 16, (1, 1), use_bias=True, rngs=rngs, **options)
        self.fc2 = Conv(in_channels // 16, in_channels, (1, 1), use_bias=True, rngs=rngs, **options)

    def __call__(self, x: Array) -> Array:
        y: Array = global_avg_pool2d(x, keepdims=True)
        y = nnx.relu(self.fc1(y))
        y = self.fc2(y)
        y = x * nnx.sigmoid(y)
        return y


class Bottleneck(nnx.Module):
    """Block Bottleneck of senet.net.

    `a` and `b` times as wide as planes; SE-ResNet has its stride in the first 1x1, the others in
    the 3x3.

    Shapes: (N, H, W, in_channels) -> (N, (H - 1) // stride + 1, (W - 1) // stride + 1, 4 * planes).
    """

    def __init__(
        self,
        in_channels: int,
        planes: int,
        stride: int = 1,
        v1: bool = False,
        *,
        rngs: nnx.Rngs,
        **options: Unpack[LayerOptions],
    ) -> None:
        if min(planes, stride) < 1:
            raise ValueError("planes and stride must be at least 1")
        early = stride if v1 else 1
        self.conv1 = Conv(in_channels, planes, (1, 1), strides=early, rngs=rngs, **options)
        self.bn1 = BatchNorm(planes, rngs=rngs, **options)
        self.conv2 = Conv(
            planes, planes, (3, 3), strides=stride // early, padding=1, rngs=rngs, **options
        )
        self.bn2 = BatchNorm(planes, rngs=rngs, **options)
        self.conv3 = Conv(planes, 4 * planes, (1, 1), rngs=rngs, **options)
        self.bn3 = BatchNorm(4 * planes, rngs=rngs, **options)
        self.se_module = SE(4 * planes, rngs=rngs, **options)
        self.downsample = (
            nnx.Sequential(
                Conv(in_channels, 4 * planes, (1, 1), strides=stride, rngs=rngs, **options),
                BatchNorm(4 * planes, rngs=rngs, **options),
            )
            if stride > 1 or in_channels != 4 * planes
            else None
        )
        self.out_channels = 4 * planes

    def __call__(self, x: Array) -> Array:
        y = self.conv1(x)
        y = nnx.relu(self.bn1(y))
        y = self.conv2(y)
        y = nnx.relu(self.bn2(y))
        y = self.conv3(y)
        y = self.bn3(y)
        y = self.se_module(y)
        if self.downsample is not None:
            x = self.downsample(x)
        y = y + x
        return nnx.relu(y)


class SENet(nnx.Module):
    """Net SENet of senet.net.

    Squeeze-and-Excitation Networks; arXiv 1709.01507, 2017.

    Shapes: (N, H, W, 3) -> (N, classes).
    """

    def __init__(
        self,
        unit: Callable[..., Bottleneck],
        n: list[int],
        deep: bool = False,
        drop: float = 0.0,
        classes: int = 1000,
        *,
        rngs: nnx.Rngs,
        **options: Unpack[LayerOptions],
    ) -> None:
        if len(n) != 4 or min(n) < 0 or classes < 1 or drop > 1:
            raise ValueError("len(n) must be 4, n at least 0, classes at least 1, drop at most 1")
        n1, n2, n3, n4 = n
        named: dict[str, Callable[[Array], Array]] = {}
        if deep:
            named["conv1"] = Conv(3, 64, (3, 3), strides=2, padding=1, rngs=rngs, **options)
            named["bn1"] = BatchNorm(64, rngs=rngs, **options)
            named["2"] = nnx.relu
            named["conv2"] = Conv(64, 64, (3, 3), padding=1, rngs=rngs, **options)
            named["bn2"] = BatchNorm(64, rngs=rngs, **options)
            named["5"] = nnx.relu
            named["conv3"] = Conv(64, 128, (3, 3), padding=1, rngs=rngs, **options)
            named["bn3"] = BatchNorm(128, rngs=rngs, **options)
            named["8"] = nnx.relu
        else:
            named["conv1"] = Conv(3, 64, (7, 7), strides=2, padding=3, rngs=rngs, **options)
            named["bn1"] = BatchNorm(64, rngs=rngs, **options)
            named["2"] = nnx.relu
        self.layer0 = NamedSequential(named.items())
        layers: list[Callable[[Array], Array]] = []
        channels = 128 if deep else 64
        for _ in range(n1):
            block = unit(channels, 64, rngs=rngs, **options)
            layers.append(block)
            channels = block.out_channels
        self.layer1 = nnx.Sequential(*layers)
        layers = []
        for i in range(n2):
            block = unit(channels, 128, stride=2 if i == 0 else 1, rngs=rngs, **options)
            layers.append(block)
            channels = block.out_channels
        self.layer2 = nnx.Sequential(*layers)
        layers = []
        for i in range(n3):
            block = unit(channels, 256, stride=2 if i == 0 else 1, rngs=rngs, **options)
            layers.append(block)
            channels = block.out_channels
        self.layer3 = nnx.Sequential(*layers)
        layers = []
        for i in range(n4):
            block = unit(channels, 512, stride=2 if i == 0 else 1, rngs=rngs, **options)
            layers.append(block)
            channels = block.out_channels
        self.layer4 = nnx.Sequential(*layers)
        self.dropout = nnx.Dropout(drop, rngs=rngs) if drop > 0 else None
        self.last_linear = Linear(channels, classes, rngs=rngs, **options)

    def __call__(self, x: Array) -> Array:
        x = self.layer0(x)
        x = ceil_max_pool2d(x, (3, 3), strides=(2, 2))
        x = self.layer1(x)
        x = self.layer2(x)
        x = self.layer3(x)
        x = self.layer4(x)
        x = global_avg_pool2d(x)
        if self.dropout is not None:
            x = self.dropout(x)
        x = self.last_linear(x)
        return x


def se_resnet50(classes: int = 1000, *, rngs: nnx.Rngs, **options: Unpack[LayerOptions]) -> SENet:
    """Return a new se_resnet50, with random weights."""
    return SENet(partial(Bottleneck, v1=True), [3, 4, 6, 3], classes=classes, rngs=rngs, **options)

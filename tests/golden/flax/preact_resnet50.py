"""preact_resnet50: PreActResNet of resnet.net, compiled by netdsl 0.2.0.

Deep Residual Learning (1512.03385), ResNeXt (1611.05431), Wide ResNet (1605.07146) and
pre-activation (1603.05027) in one file; arXiv 1603.05027, 2016.

Input 224x224x3, output 1000; 25,549,352 parameters, 4,089,184,256 MACs a sample.

    netdsl compile resnet.net:preact_resnet50 --backend flax
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


def flatten_chw(x: Array) -> Array:
    """Return maps as vectors in torch's order: channels, rows, columns."""
    return x.transpose(0, 3, 1, 2).reshape(x.shape[0], -1)


Conv = partial(
    nnx.Conv,
    padding=0,
    use_bias=False,
    kernel_init=nnx.initializers.variance_scaling(2.0, "fan_out", "normal"),
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


class PreActBottleneck(nnx.Module):
    """Block PreActBottleneck of resnet.net.

    Shapes: (N, H, W, in_channels) -> (N, (H - 1) // stride + 1, (W - 1) // stride + 1, 4 * planes).
    """

    def __init__(
        self,
        in_channels: int,
        planes: int,
        stride: int = 1,
        *,
        rngs: nnx.Rngs,
        **options: Unpack[LayerOptions],
    ) -> None:
        if min(planes, stride) < 1:
            raise ValueError("planes and stride must be at least 1")
        self.bn1 = BatchNorm(in_channels, rngs=rngs, **options)
        self.conv1 = Conv(in_channels, planes, (1, 1), rngs=rngs, **options)
        self.bn2 = BatchNorm(planes, rngs=rngs, **options)
        self.conv2 = Conv(planes, planes, (3, 3), strides=stride, padding=1, rngs=rngs, **options)
        self.bn3 = BatchNorm(planes, rngs=rngs, **options)
        self.conv3 = Conv(planes, 4 * planes, (1, 1), rngs=rngs, **options)
        self.downsample = (
            Conv(in_channels, 4 * planes, (1, 1), strides=stride, rngs=rngs, **options)
            if stride != 1 or in_channels != 4 * planes
            else None
        )

    def __call__(self, x: Array) -> Array:
        preact = nnx.relu(self.bn1(x))
        y: Array = self.conv1(preact)
        y = nnx.relu(self.bn2(y))
        y = self.conv2(y)
        y = nnx.relu(self.bn3(y))
        y = self.conv3(y)
        if self.downsample is not None:
            x = self.downsample(preact)
        y = y + x
        return y


class PreActResNet(nnx.Module):
    """Net PreActResNet of resnet.net.

    The stem has no activation, and the last block's is behind all of them; arXiv 1603.05027, 2016.

    Shapes: (N, H, W, 3) -> (N, classes).
    """

    def __init__(
        self, n: list[int], classes: int = 1000, *, rngs: nnx.Rngs, **options: Unpack[LayerOptions]
    ) -> None:
        if len(n) != 4 or min(n) < 0 or classes < 1:
            raise ValueError("len(n) must be 4, n at least 0, classes at least 1")
        n1, n2, n3, n4 = n
        self.conv1 = Conv(3, 64, (7, 7), strides=2, padding=3, rngs=rngs, **options)
        layers: list[Callable[[Array], Array]] = []
        channels = 64
        for _ in range(n1):
            layers.append(PreActBottleneck(channels, 64, rngs=rngs, **options))
            channels = 256
        self.layer1 = nnx.Sequential(*layers)
        layers = []
        for i in range(n2):
            layers.append(
                PreActBottleneck(channels, 128, stride=2 if i == 0 else 1, rngs=rngs, **options)
            )
            channels = 512
        self.layer2 = nnx.Sequential(*layers)
        layers = []
        for i in range(n3):
            layers.append(
                PreActBottleneck(channels, 256, stride=2 if i == 0 else 1, rngs=rngs, **options)
            )
            channels = 1024
        self.layer3 = nnx.Sequential(*layers)
        layers = []
        for i in range(n4):
            layers.append(
                PreActBottleneck(channels, 512, stride=2 if i == 0 else 1, rngs=rngs, **options)
            )
            channels = 2048
        self.layer4 = nnx.Sequential(*layers)
        self.norm = BatchNorm(channels, rngs=rngs, **options)
        self.fc = Linear(channels, classes, rngs=rngs, **options)

    def __call__(self, x: Array) -> Array:
        x = self.conv1(x)
        x = max_pool2d(x, (3, 3), strides=(2, 2), padding=((1, 1), (1, 1)))
        x = self.layer1(x)
        x = self.layer2(x)
        x = self.layer3(x)
        x = self.layer4(x)
        x = nnx.relu(self.norm(x))
        x = global_avg_pool2d(x, keepdims=True)
        x = self.fc(flatten_chw(x))
        return x


def preact_resnet50(
    classes: int = 1000, *, rngs: nnx.Rngs, **options: Unpack[LayerOptions]
) -> PreActResNet:
    """Return a new preact_resnet50, with random weights."""
    return PreActResNet([3, 4, 6, 3], classes=classes, rngs=rngs, **options)

"""densenet121: DenseNet of densenet.net, compiled by netdsl 0.2.0.

Densely Connected Convolutional Networks; arXiv 1608.06993, 2016.

Input 224x224x3, output 1000; 7,978,856 parameters, 2,834,161,664 MACs a sample.

    netdsl compile densenet.net:densenet121 --backend flax
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, TypedDict, Unpack

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


def avg_pool2d(
    x: Array,
    window_shape: tuple[int, int],
    strides: tuple[int, int] = (1, 1),
    padding: str | Sequence[tuple[int, int]] = ((0, 0), (0, 0)),
    count_include_pad: bool = True,
) -> Array:
    """Return the mean of every window of a map; there must be one."""
    pool: Callable[..., Array] = nnx.avg_pool  # which has no types
    y = pool(x, window_shape, strides, padding, count_include_pad)
    if 0 in y.shape[1:3]:
        raise ValueError(f"no window of {window_shape} fits into a map of {x.shape[1:3]}")
    return y.astype(x.dtype)  # which division by counts loses


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
    kernel_init=nnx.initializers.variance_scaling(2.0, "fan_in", "normal"),
)
Linear = partial(
    nnx.Linear,
    kernel_init=nnx.initializers.variance_scaling(1 / 3, "fan_in", "uniform"),
)
BatchNorm = partial(make_norm, UnbiasedBatchNorm, use_fast_variance=False, momentum=0.9)


class DenseLayer(nnx.Module):
    """Block DenseLayer of densenet.net.

    Shapes: (N, H, W, in_channels) -> (N, H, W, in_channels + growth).
    """

    def __init__(
        self,
        in_channels: int,
        growth: int,
        drop: float = 0.0,
        *,
        rngs: nnx.Rngs,
        **options: Unpack[LayerOptions],
    ) -> None:
        if growth < 1 or drop > 1:
            raise ValueError("growth must be at least 1, drop at most 1")
        self.norm1 = BatchNorm(in_channels, rngs=rngs, **options)
        self.conv1 = Conv(in_channels, 4 * growth, (1, 1), rngs=rngs, **options)
        self.norm2 = BatchNorm(4 * growth, rngs=rngs, **options)
        self.conv2 = Conv(4 * growth, growth, (3, 3), padding=1, rngs=rngs, **options)
        self.dropout = nnx.Dropout(drop, rngs=rngs) if drop > 0 else None

    def __call__(self, x: Array) -> Array:
        y = nnx.relu(self.norm1(x))
        y = self.conv1(y)
        y = nnx.relu(self.norm2(y))
        y = self.conv2(y)
        if self.dropout is not None:
            y = self.dropout(y)
        return jnp.concatenate((x, y), axis=-1)


class Transition(nnx.Module):
    """Block Transition of densenet.net.

    Shapes: (N, H, W, in_channels) -> (N, H // 2, W // 2, in_channels // 2).
    """

    def __init__(
        self, in_channels: int, *, rngs: nnx.Rngs, **options: Unpack[LayerOptions]
    ) -> None:
        if in_channels // 2 < 1:
            raise ValueError(f"conv needs at least 1 channel, not {in_channels // 2}")
        self.norm = BatchNorm(in_channels, rngs=rngs, **options)
        self.conv = Conv(in_channels, in_channels // 2, (1, 1), rngs=rngs, **options)

    def __call__(self, x: Array) -> Array:
        x = nnx.relu(self.norm(x))
        x = self.conv(x)
        return avg_pool2d(x, (2, 2), strides=(2, 2))


class DenseNet(nnx.Module):
    """Net DenseNet of densenet.net.

    Densely Connected Convolutional Networks; arXiv 1608.06993, 2016.

    Shapes: (N, H, W, 3) -> (N, classes).
    """

    def __init__(
        self,
        growth: int,
        stem: int,
        layers: list[int],
        drop: float = 0.0,
        classes: int = 1000,
        *,
        rngs: nnx.Rngs,
        **options: Unpack[LayerOptions],
    ) -> None:
        if min(stem, classes) < 1:
            raise ValueError("stem and classes must be at least 1")
        named: dict[str, Callable[[Array], Array]] = {}
        named["conv0"] = Conv(3, stem, (7, 7), strides=2, padding=3, rngs=rngs, **options)
        named["norm0"] = BatchNorm(stem, rngs=rngs, **options)
        named["relu0"] = nnx.relu
        named["pool0"] = partial(
            max_pool2d, window_shape=(3, 3), strides=(2, 2), padding=((1, 1), (1, 1))
        )
        channels = stem
        for b, n in enumerate(layers, 1):
            members: dict[str, Callable[[Array], Array]] = {}
            for i in range(n):
                members[f"denselayer{i + 1}"] = DenseLayer(
                    channels, growth, drop=drop, rngs=rngs, **options
                )
                channels += growth
            named[f"denseblock{b}"] = NamedSequential(members.items())
            if b < len(layers):
                named[f"transition{b}"] = Transition(channels, rngs=rngs, **options)
                channels //= 2
        named["norm5"] = BatchNorm(channels, rngs=rngs, **options)
        self.features = NamedSequential(named.items())
        self.classifier = Linear(channels, classes, rngs=rngs, **options)

    def __call__(self, x: Array) -> Array:
        x = nnx.relu(self.features(x))
        x = global_avg_pool2d(x, keepdims=True)
        x = self.classifier(flatten_chw(x))
        return x


def densenet121(
    drop: float = 0.0, classes: int = 1000, *, rngs: nnx.Rngs, **options: Unpack[LayerOptions]
) -> DenseNet:
    """Return a new densenet121, with random weights."""
    return DenseNet(32, 64, [6, 12, 24, 16], drop=drop, classes=classes, rngs=rngs, **options)

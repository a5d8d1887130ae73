"""googlenet: GoogLeNet of googlenet.net, compiled by netdsl 0.2.0.

Going Deeper with Convolutions; arXiv 1409.4842, 2014.

Input 224x224x3, output logits 1000, aux_logits2 1000, aux_logits1 1000; 13,004,888 parameters,
1,498,376,192 MACs a sample.

    netdsl compile googlenet.net:googlenet --backend flax
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple, TypedDict, Unpack

import jax
import jax.numpy as jnp
from flax import nnx
from flax.typing import PrecisionLike
from jax import Array, lax
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


def global_avg_pool2d(x: Array, keepdims: bool = False) -> Array:
    """Return the mean of every channel of a map; it must have a pixel."""
    if 0 in x.shape[1:3]:
        raise ValueError("the input is too small: no pixel of it is left")
    return x.mean((1, 2), keepdims=keepdims)


def flatten_chw(x: Array) -> Array:
    """Return maps as vectors in torch's order: channels, rows, columns."""
    return x.transpose(0, 3, 1, 2).reshape(x.shape[0], -1)


Conv = partial(nnx.Conv, padding=0, use_bias=False, kernel_init=nnx.initializers.normal(0.01))
BatchNorm = partial(
    make_norm, UnbiasedBatchNorm, use_fast_variance=False, momentum=0.9, epsilon=0.001
)


class Linear(nnx.Linear):
    """nnx.Linear with torch's initial bias: uniform within 1 / sqrt(fan_in)."""

    def __init__(self, in_features: int, out_features: int, **options: Any) -> None:
        bound = in_features**-0.5
        defaults: dict[str, Any] = {
            "kernel_init": nnx.initializers.normal(0.01),
            "bias_init": uniform_between(-bound, bound),
        }
        super().__init__(in_features, out_features, **(defaults | options))


class GoogLeNetOutputs(NamedTuple):
    """What GoogLeNet returns in training; in evaluation it is the first alone."""

    logits: Array
    aux_logits2: Array | None
    aux_logits1: Array | None


class BasicConv2d(nnx.Module):
    """Block BasicConv2d of googlenet.net.

    Shapes: (N, H, W, in_channels) -> (N, (H - 1) // stride + 1, (W - 1) // stride + 1, c).
    """

    def __init__(
        self,
        in_channels: int,
        k: tuple[int, int],
        c: int,
        stride: int = 1,
        *,
        rngs: nnx.Rngs,
        **options: Unpack[LayerOptions],
    ) -> None:
        if min(c, stride, *k) < 1:
            raise ValueError("c, stride and k must be at least 1")
        if k[0] % 2 != 1 or k[1] % 2 != 1:
            raise ValueError(f"pad=same needs odd kernels, not {k}")
        self.conv = Conv(
            in_channels, c, k, strides=stride, padding=(k[0] // 2, k[1] // 2), rngs=rngs, **options
        )
        self.bn = BatchNorm(c, rngs=rngs, **options)

    def __call__(self, x: Array) -> Array:
        x = self.conv(x)
        return nnx.relu(self.bn(x))


class Inception(nnx.Module):
    """Block Inception of googlenet.net.

    Shapes: (N, H, W, in_channels) -> (N, H, W, c1 + c3 + c5 + cp).
    """

    def __init__(
        self,
        in_channels: int,
        c1: int,
        c3r: int,
        c3: int,
        c5r: int,
        c5: int,
        cp: int,
        *,
        rngs: nnx.Rngs,
        **options: Unpack[LayerOptions],
    ) -> None:
        self.branch1 = BasicConv2d(in_channels, (1, 1), c1, rngs=rngs, **options)
        self.branch2 = nnx.Sequential(
            BasicConv2d(in_channels, (1, 1), c3r, rngs=rngs, **options),
            BasicConv2d(c3r, (3, 3), c3, rngs=rngs, **options),
        )
        self.branch3 = nnx.Sequential(
            BasicConv2d(in_channels, (1, 1), c5r, rngs=rngs, **options),
            BasicConv2d(c5r, (3, 3), c5, rngs=rngs, **options),
        )
        self.branch4 = nnx.Sequential(
            partial(ceil_max_pool2d, window_shape=(3, 3), padding=((1, 1), (1, 1))),
            BasicConv2d(in_channels, (1, 1), cp, rngs=rngs, **options),
        )

    def __call__(self, x: Array) -> Array:
        return jnp.concatenate(
            (self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)),
            axis=-1,
        )


class InceptionAux(nnx.Module):
    """Block InceptionAux of googlenet.net.

    Shapes: (N, H, W, in_channels) -> (N, classes).
    """

    def __init__(
        self, in_channels: int, classes: int, *, rngs: nnx.Rngs, **options: Unpack[LayerOptions]
    ) -> None:
        if classes < 1:
            raise ValueError("classes must be at least 1")
        self.conv = BasicConv2d(in_channels, (1, 1), 128, rngs=rngs, **options)
        self.fc1 = Linear(2048, 1024, rngs=rngs, **options)
        self.dropout = nnx.Dropout(0.7, rngs=rngs)
        self.fc2 = Linear(1024, classes, rngs=rngs, **options)

    def __call__(self, x: Array) -> Array:
        x = adaptive_pool2d(x, (4, 4), jnp.mean)
        x = self.conv(x)
        x = nnx.relu(self.fc1(flatten_chw(x)))
        x = self.fc2(self.dropout(x))
        return x


class GoogLeNet(nnx.Module):
    """Net GoogLeNet of googlenet.net.

    torchvision's: it has batch norm, and 3x3 where the paper has 5x5 (googlenet_2014.net). Its
    published weights take images that are normalised with mean 0.5 and deviation 0.5 in every
    channel, which there transform_input=True does; arXiv 1409.4842, 2014.

    Shapes: (N, H, W, 3) -> (N, classes).
    """

    def __init__(
        self,
        aux: bool = True,
        drop: float = 0.2,
        classes: int = 1000,
        *,
        rngs: nnx.Rngs,
        **options: Unpack[LayerOptions],
    ) -> None:
        if classes < 1 or drop < 0 or drop > 1:
            raise ValueError("classes must be at least 1, drop from 0 to 1")
        self.conv1 = BasicConv2d(3, (7, 7), 64, stride=2, rngs=rngs, **options)
        self.conv2 = BasicConv2d(64, (1, 1), 64, rngs=rngs, **options)
        self.conv3 = BasicConv2d(64, (3, 3), 192, rngs=rngs, **options)
        self.inception3a = Inception(192, 64, 96, 128, 16, 32, 32, rngs=rngs, **options)
        self.inception3b = Inception(256, 128, 128, 192, 32, 96, 64, rngs=rngs, **options)
        self.inception4a = Inception(480, 192, 96, 208, 16, 48, 64, rngs=rngs, **options)
        self.inception4b = Inception(512, 160, 112, 224, 24, 64, 64, rngs=rngs, **options)
        self.inception4c = Inception(512, 128, 128, 256, 24, 64, 64, rngs=rngs, **options)
        self.inception4d = Inception(512, 112, 144, 288, 32, 64, 64, rngs=rngs, **options)
        self.inception4e = Inception(528, 256, 160, 320, 32, 128, 128, rngs=rngs, **options)
        self.inception5a = Inception(832, 256, 160, 320, 32, 128, 128, rngs=rngs, **options)
        self.inception5b = Inception(832, 384, 192, 384, 48, 128, 128, rngs=rngs, **options)
        self.aux1 = InceptionAux(512, classes, rngs=rngs, **options) if aux else None
        self.aux2 = InceptionAux(528, classes, rngs=rngs, **options) if aux else None
        self.dropout = nnx.Dropout(drop, rngs=rngs)
        self.fc = Linear(1024, classes, rngs=rngs, **options)
        self.deterministic = False

    def __call__(self, x: Array) -> Array | GoogLeNetOutputs:
        aux_logits1: Array | None = None
        aux_logits2: Array | None = None
        x = self.conv1(x)
        x = ceil_max_pool2d(x, (3, 3), strides=(2, 2))
        x = self.conv2(x)
        x = self.conv3(x)
        x = ceil_max_pool2d(x, (3, 3), strides=(2, 2))
        x = self.inception3a(x)
        x = self.inception3b(x)
        x = ceil_max_pool2d(x, (3, 3), strides=(2, 2))
        x = self.inception4a(x)
        if self.aux1 is not None and not self.deterministic:
            aux_logits1 = self.aux1(x)
        x = self.inception4b(x)
        x = self.inception4c(x)
        x = self.inception4d(x)
        if self.aux2 is not None and not self.deterministic:
            aux_logits2 = self.aux2(x)
        x = self.inception4e(x)
        x = ceil_max_pool2d(x, (2, 2), strides=(2, 2))
        x = self.inception5a(x)
        x = self.inception5b(x)
        x = global_avg_pool2d(x, keepdims=True)
        x = self.fc(self.dropout(flatten_chw(x)))
        if aux_logits1 is not None or aux_logits2 is not None:
            return GoogLeNetOutputs(x, aux_logits2, aux_logits1)
        return x


def googlenet(
    aux: bool = True,
    drop: float = 0.2,
    classes: int = 1000,
    *,
    rngs: nnx.Rngs,
    **options: Unpack[LayerOptions],
) -> GoogLeNet:
    """Return a new googlenet, with random weights."""
    return GoogLeNet(aux=aux, drop=drop, classes=classes, rngs=rngs, **options)

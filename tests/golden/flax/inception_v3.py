"""inception_v3: InceptionV3 of inception_v3.net, compiled by netdsl 0.2.0.

Rethinking the Inception Architecture for Computer Vision; arXiv 1512.00567, 2015.

Input 299x299x3, output logits 1000, aux_logits 1000; 27,161,264 parameters, 5,713,216,096 MACs a
sample.

    netdsl compile inception_v3.net:inception_v3 --backend flax
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple, TypedDict, Unpack

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


class ConvThatFits(nnx.Conv):
    """A convolution that says so where its kernel is larger than the map."""

    def __call__(self, inputs: Array, out_sharding: Any = None) -> Array:
        y: Array = super().__call__(inputs, out_sharding)
        if 0 in y.shape[1:3]:
            raise ValueError(f"no {self.kernel_size} kernel fits into a map of {inputs.shape[1:3]}")
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


FittedConv = partial(
    ConvThatFits,
    padding=0,
    use_bias=False,
    kernel_init=nnx.initializers.normal(0.1),
)
BatchNorm = partial(
    make_norm, UnbiasedBatchNorm, use_fast_variance=False, momentum=0.9, epsilon=0.001
)


class Linear(nnx.Linear):
    """nnx.Linear with torch's initial bias: uniform within 1 / sqrt(fan_in)."""

    def __init__(self, in_features: int, out_features: int, **options: Any) -> None:
        bound = in_features**-0.5
        defaults: dict[str, Any] = {
            "kernel_init": nnx.initializers.normal(0.001),
            "bias_init": uniform_between(-bound, bound),
        }
        super().__init__(in_features, out_features, **(defaults | options))


class InceptionV3Outputs(NamedTuple):
    """What InceptionV3 returns in training; in evaluation it is the first alone."""

    logits: Array
    aux_logits: Array


class BasicConv2d(nnx.Module):
    """Block BasicConv2d of inception_v3.net.

    Shapes: (N, H, W, in_channels) -> (N, H', W', c).
    """

    def __init__(
        self,
        in_channels: int,
        k: tuple[int, int],
        c: int,
        stride: int = 1,
        pad: tuple[int, int] | None = None,
        *,
        rngs: nnx.Rngs,
        **options: Unpack[LayerOptions],
    ) -> None:
        if min(c, stride, *k) < 1:
            raise ValueError("c, stride and k must be at least 1")
        if pad is None and (k[0] % 2 != 1 or k[1] % 2 != 1):
            raise ValueError(f"pad=same needs odd kernels, not {k}")
        if pad is not None and min(pad) < 0:
            raise ValueError("pad must be at least 0")
        self.conv = FittedConv(
            in_channels,
            c,
            k,
            strides=stride,
            padding=(k[0] // 2, k[1] // 2) if pad is None else pad,
            rngs=rngs,
            **options,
        )
        self.bn = BatchNorm(c, rngs=rngs, **options)

    def __call__(self, x: Array) -> Array:
        x = self.conv(x)
        return nnx.relu(self.bn(x))


class InceptionA(nnx.Module):
    """Block InceptionA of inception_v3.net.

    Shapes: (N, H, W, in_channels) -> (N, H, W, 224 + pool).
    """

    def __init__(
        self, in_channels: int, pool: int, *, rngs: nnx.Rngs, **options: Unpack[LayerOptions]
    ) -> None:
        self.branch1x1 = BasicConv2d(in_channels, (1, 1), 64, rngs=rngs, **options)
        self.branch5x5_1 = BasicConv2d(in_channels, (1, 1), 48, rngs=rngs, **options)
        self.branch5x5_2 = BasicConv2d(48, (5, 5), 64, rngs=rngs, **options)
        self.branch3x3dbl_1 = BasicConv2d(in_channels, (1, 1), 64, rngs=rngs, **options)
        self.branch3x3dbl_2 = BasicConv2d(64, (3, 3), 96, rngs=rngs, **options)
        self.branch3x3dbl_3 = BasicConv2d(96, (3, 3), 96, rngs=rngs, **options)
        self.branch_pool = BasicConv2d(in_channels, (1, 1), pool, rngs=rngs, **options)

    def __call__(self, x: Array) -> Array:
        branch1x1 = self.branch1x1(x)
        y = self.branch5x5_1(x)
        branch5x5_2 = self.branch5x5_2(y)
        y = self.branch3x3dbl_1(x)
        y = self.branch3x3dbl_2(y)
        branch3x3dbl_3 = self.branch3x3dbl_3(y)
        x = avg_pool2d(x, (3, 3), padding=((1, 1), (1, 1)))
        return jnp.concatenate(
            (branch1x1, branch5x5_2, branch3x3dbl_3, self.branch_pool(x)),
            axis=-1,
        )


class InceptionB(nnx.Module):
    """Block InceptionB of inception_v3.net.

    35x35 -> 17x17.

    Shapes: (N, H, W, in_channels) -> (N, (H - 3) // 2 + 1, (W - 3) // 2 + 1, 480 + in_channels).
    """

    def __init__(
        self, in_channels: int, *, rngs: nnx.Rngs, **options: Unpack[LayerOptions]
    ) -> None:
        self.branch3x3 = BasicConv2d(
            in_channels, (3, 3), 384, stride=2, pad=(0, 0), rngs=rngs, **options
        )
        self.branch3x3dbl_1 = BasicConv2d(in_channels, (1, 1), 64, rngs=rngs, **options)
        self.branch3x3dbl_2 = BasicConv2d(64, (3, 3), 96, rngs=rngs, **options)
        self.branch3x3dbl_3 = BasicConv2d(
            96, (3, 3), 96, stride=2, pad=(0, 0), rngs=rngs, **options
        )

    def __call__(self, x: Array) -> Array:
        branch3x3 = self.branch3x3(x)
        y = self.branch3x3dbl_1(x)
        y = self.branch3x3dbl_2(y)
        return jnp.concatenate(
            (branch3x3, self.branch3x3dbl_3(y), max_pool2d(x, (3, 3), strides=(2, 2))),
            axis=-1,
        )


class InceptionC(nnx.Module):
    """Block InceptionC of inception_v3.net.

    nxn as 1xn, nx1.

    Shapes: (N, H, W, in_channels) -> (N, H, W, 768).
    """

    def __init__(
        self, in_channels: int, c: int, *, rngs: nnx.Rngs, **options: Unpack[LayerOptions]
    ) -> None:
        self.branch1x1 = BasicConv2d(in_channels, (1, 1), 192, rngs=rngs, **options)
        self.branch7x7_1 = BasicConv2d(in_channels, (1, 1), c, rngs=rngs, **options)
        self.branch7x7_2 = BasicConv2d(c, (1, 7), c, rngs=rngs, **options)
        self.branch7x7_3 = BasicConv2d(c, (7, 1), 192, rngs=rngs, **options)
        self.branch7x7dbl_1 = BasicConv2d(in_channels, (1, 1), c, rngs=rngs, **options)
        self.branch7x7dbl_2 = BasicConv2d(c, (7, 1), c, rngs=rngs, **options)
        self.branch7x7dbl_3 = BasicConv2d(c, (1, 7), c, rngs=rngs, **options)
        self.branch7x7dbl_4 = BasicConv2d(c, (7, 1), c, rngs=rngs, **options)
        self.branch7x7dbl_5 = BasicConv2d(c, (1, 7), 192, rngs=rngs, **options)
        self.branch_pool = BasicConv2d(in_channels, (1, 1), 192, rngs=rngs, **options)

    def __call__(self, x: Array) -> Array:
        branch1x1 = self.branch1x1(x)
        y = self.branch7x7_1(x)
        y = self.branch7x7_2(y)
        branch7x7_3 = self.branch7x7_3(y)
        y = self.branch7x7dbl_1(x)
        y = self.branch7x7dbl_2(y)
        y = self.branch7x7dbl_3(y)
        y = self.branch7x7dbl_4(y)
        branch7x7dbl_5 = self.branch7x7dbl_5(y)
        x = avg_pool2d(x, (3, 3), padding=((1, 1), (1, 1)))
        return jnp.concatenate(
            (branch1x1, branch7x7_3, branch7x7dbl_5, self.branch_pool(x)),
            axis=-1,
        )


class InceptionAux(nnx.Module):
    """Block InceptionAux of inception_v3.net.

    Shapes: (N, H, W, in_channels) -> (N, classes).
    """

    def __init__(
        self, in_channels: int, classes: int, *, rngs: nnx.Rngs, **options: Unpack[LayerOptions]
    ) -> None:
        if classes < 1:
            raise ValueError("classes must be at least 1")
        self.conv0 = BasicConv2d(in_channels, (1, 1), 128, rngs=rngs, **options)
        self.conv1 = BasicConv2d(128, (5, 5), 768, pad=(0, 0), rngs=rngs, **options)
        self.fc = Linear(768, classes, rngs=rngs, **options)

    def __call__(self, x: Array) -> Array:
        x = avg_pool2d(x, (5, 5), strides=(3, 3))
        x = self.conv0(x)
        x = self.conv1(x)
        x = global_avg_pool2d(x)
        x = self.fc(x)
        return x


class InceptionD(nnx.Module):
    """Block InceptionD of inception_v3.net.

    17x17 -> 8x8.

    Shapes: (N, H, W, in_channels) -> (N, (H - 3) // 2 + 1, (W - 3) // 2 + 1, 512 + in_channels).
    """

    def __init__(
        self, in_channels: int, *, rngs: nnx.Rngs, **options: Unpack[LayerOptions]
    ) -> None:
        self.branch3x3_1 = BasicConv2d(in_channels, (1, 1), 192, rngs=rngs, **options)
        self.branch3x3_2 = BasicConv2d(192, (3, 3), 320, stride=2, pad=(0, 0), rngs=rngs, **options)
        self.branch7x7x3_1 = BasicConv2d(in_channels, (1, 1), 192, rngs=rngs, **options)
        self.branch7x7x3_2 = BasicConv2d(192, (1, 7), 192, rngs=rngs, **options)
        self.branch7x7x3_3 = BasicConv2d(192, (7, 1), 192, rngs=rngs, **options)
        self.branch7x7x3_4 = BasicConv2d(
            192, (3, 3), 192, stride=2, pad=(0, 0), rngs=rngs, **options
        )

    def __call__(self, x: Array) -> Array:
        y = self.branch3x3_1(x)
        branch3x3_2 = self.branch3x3_2(y)
        y = self.branch7x7x3_1(x)
        y = self.branch7x7x3_2(y)
        y = self.branch7x7x3_3(y)
        return jnp.concatenate(
            (branch3x3_2, self.branch7x7x3_4(y), max_pool2d(x, (3, 3), strides=(2, 2))),
            axis=-1,
        )


class InceptionE(nnx.Module):
    """Block InceptionE of inception_v3.net.

    The widest: its branches fork again.

    Shapes: (N, H, W, in_channels) -> (N, H, W, 2048).
    """

    def __init__(
        self, in_channels: int, *, rngs: nnx.Rngs, **options: Unpack[LayerOptions]
    ) -> None:
        self.branch1x1 = BasicConv2d(in_channels, (1, 1), 320, rngs=rngs, **options)
        self.branch3x3_1 = BasicConv2d(in_channels, (1, 1), 384, rngs=rngs, **options)
        self.branch3x3_2a = BasicConv2d(384, (1, 3), 384, rngs=rngs, **options)
        self.branch3x3_2b = BasicConv2d(384, (3, 1), 384, rngs=rngs, **options)
        self.branch3x3dbl_1 = BasicConv2d(in_channels, (1, 1), 448, rngs=rngs, **options)
        self.branch3x3dbl_2 = BasicConv2d(448, (3, 3), 384, rngs=rngs, **options)
        self.branch3x3dbl_3a = BasicConv2d(384, (1, 3), 384, rngs=rngs, **options)
        self.branch3x3dbl_3b = BasicConv2d(384, (3, 1), 384, rngs=rngs, **options)
        self.branch_pool = BasicConv2d(in_channels, (1, 1), 192, rngs=rngs, **options)

    def __call__(self, x: Array) -> Array:
        branch1x1 = self.branch1x1(x)
        y = self.branch3x3_1(x)
        y = jnp.concatenate((self.branch3x3_2a(y), self.branch3x3_2b(y)), axis=-1)
        out = self.branch3x3dbl_1(x)
        out = self.branch3x3dbl_2(out)
        out = jnp.concatenate((self.branch3x3dbl_3a(out), self.branch3x3dbl_3b(out)), axis=-1)
        x = avg_pool2d(x, (3, 3), padding=((1, 1), (1, 1)))
        return jnp.concatenate((branch1x1, y, out, self.branch_pool(x)), axis=-1)


class InceptionV3(nnx.Module):
    """Net InceptionV3 of inception_v3.net.

    torchvision's published weights take images that are normalised with mean 0.5 and deviation 0.5
    in every channel, which there transform_input=True does; arXiv 1512.00567, 2015.

    Shapes: (N, H, W, 3) -> (N, classes).
    """

    def __init__(
        self,
        aux: bool = True,
        drop: float = 0.5,
        classes: int = 1000,
        *,
        rngs: nnx.Rngs,
        **options: Unpack[LayerOptions],
    ) -> None:
        if classes < 1 or drop < 0 or drop > 1:
            raise ValueError("classes must be at least 1, drop from 0 to 1")
        self.Conv2d_1a_3x3 = BasicConv2d(3, (3, 3), 32, stride=2, pad=(0, 0), rngs=rngs, **options)
        self.Conv2d_2a_3x3 = BasicConv2d(32, (3, 3), 32, pad=(0, 0), rngs=rngs, **options)
        self.Conv2d_2b_3x3 = BasicConv2d(32, (3, 3), 64, rngs=rngs, **options)
        self.Conv2d_3b_1x1 = BasicConv2d(64, (1, 1), 80, rngs=rngs, **options)
        self.Conv2d_4a_3x3 = BasicConv2d(80, (3, 3), 192, pad=(0, 0), rngs=rngs, **options)
        self.Mixed_5b = InceptionA(192, 32, rngs=rngs, **options)
        self.Mixed_5c = InceptionA(256, 64, rngs=rngs, **options)
        self.Mixed_5d = InceptionA(288, 64, rngs=rngs, **options)
        self.Mixed_6a = InceptionB(288, rngs=rngs, **options)
        self.Mixed_6b = InceptionC(768, 128, rngs=rngs, **options)
        self.Mixed_6c = InceptionC(768, 160, rngs=rngs, **options)
        self.Mixed_6d = InceptionC(768, 160, rngs=rngs, **options)
        self.Mixed_6e = InceptionC(768, 192, rngs=rngs, **options)
        self.AuxLogits = InceptionAux(768, classes, rngs=rngs, **options) if aux else None
        self.Mixed_7a = InceptionD(768, rngs=rngs, **options)
        self.Mixed_7b = InceptionE(1280, rngs=rngs, **options)
        self.Mixed_7c = InceptionE(2048, rngs=rngs, **options)
        self.dropout = nnx.Dropout(drop, rngs=rngs)
        self.fc = Linear(
            2048,
            classes,
            kernel_init=nnx.initializers.normal(0.1),
            rngs=rngs,
            **options,
        )
        self.deterministic = False

    def __call__(self, x: Array) -> Array | InceptionV3Outputs:
        aux_logits: Array | None = None
        x = self.Conv2d_1a_3x3(x)
        x = self.Conv2d_2a_3x3(x)
        x = self.Conv2d_2b_3x3(x)
        x = max_pool2d(x, (3, 3), strides=(2, 2))
        x = self.Conv2d_3b_1x1(x)
        x = self.Conv2d_4a_3x3(x)
        x = max_pool2d(x, (3, 3), strides=(2, 2))
        x = self.Mixed_5b(x)
        x = self.Mixed_5c(x)
        x = self.Mixed_5d(x)
        x = self.Mixed_6a(x)
        x = self.Mixed_6b(x)
        x = self.Mixed_6c(x)
        x = self.Mixed_6d(x)
        x = self.Mixed_6e(x)
        if self.AuxLogits is not None and not self.deterministic:
            aux_logits = self.AuxLogits(x)
        x = self.Mixed_7a(x)
        x = self.Mixed_7b(x)
        x = self.Mixed_7c(x)
        x = global_avg_pool2d(x, keepdims=True)
        x = self.dropout(x)
        x = self.fc(flatten_chw(x))
        if aux_logits is not None:
            return InceptionV3Outputs(x, aux_logits)
        return x


def inception_v3(
    aux: bool = True,
    drop: float = 0.5,
    classes: int = 1000,
    *,
    rngs: nnx.Rngs,
    **options: Unpack[LayerOptions],
) -> InceptionV3:
    """Return a new inception_v3, with random weights."""
    return InceptionV3(aux=aux, drop=drop, classes=classes, rngs=rngs, **options)

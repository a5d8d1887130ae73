"""efficientnet_b0: EfficientNet of efficientnet.net, compiled by netdsl 0.2.0.

EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks; arXiv 1905.11946, 2019.

Input 224x224x3, output 1000; 5,288,548 parameters, 385,814,752 MACs a sample.

    netdsl compile efficientnet.net:efficientnet_b0 --backend flax
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, TypedDict, Unpack

from flax import nnx
from flax.typing import PrecisionLike
from jax import Array
from jax.typing import DTypeLike


def make_divisible(value: float, divisor: int) -> int:
    """Return the nearest multiple of a divisor, never more than 10 % below the value."""
    rounded = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * value else rounded


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
Linear = partial(
    nnx.Linear,
    kernel_init=nnx.initializers.variance_scaling(1 / 3, "fan_out", "uniform"),
)
BatchNorm = partial(make_norm, UnbiasedBatchNorm, use_fast_variance=False, momentum=0.9)


STAGES = [
    (1, (3, 3), 1, 16, 1),
    (6, (3, 3), 2, 24, 2),
    (6, (5, 5), 2, 40, 2),
    (6, (3, 3), 2, 80, 3),
    (6, (5, 5), 1, 112, 3),
    (6, (5, 5), 2, 192, 4),
    (6, (3, 3), 1, 320, 1),
]


class SqueezeExcitation(nnx.Module):
    """Block SqueezeExcitation of mobilenet_v3.net.

    Shapes: (N, H, W, in_channels) -> (N, H, W, in_channels).
    """

    def __init__(
        self,
        in_channels: int,
        squeeze: int,
        act: Callable[[Array], Array] = nnx.relu,
        *,
        rngs: nnx.Rngs,
        **options: Unpack[LayerOptions],
    ) -> None:
        if squeeze < 1:
            raise ValueError("squeeze must be at least 1")
        self.fc1 = Conv(in_channels, squeeze, (1, 1), use_bias=True, rngs=rngs, **options)
        self.activation = act
        self.fc2 = Conv(squeeze, in_channels, (1, 1), use_bias=True, rngs=rngs, **options)

    def __call__(self, x: Array) -> Array:
        y: Array = global_avg_pool2d(x, keepdims=True)
        y = self.fc1(y)
        y = self.activation(y)
        y = self.fc2(y)
        y = x * nnx.sigmoid(y)
        return y


class MBConv(nnx.Module):
    """Block MBConv of efficientnet.net.

    Shapes: (N, H, W, in_channels) -> (N, (H - 1) // stride + 1, (W - 1) // stride + 1, c).
    """

    def __init__(
        self,
        in_channels: int,
        k: tuple[int, int],
        c: int,
        stride: int = 1,
        expand: int = 6,
        drop: float = 0.0,
        norm: Callable[..., Callable[[Array], Array]] = BatchNorm,
        *,
        rngs: nnx.Rngs,
        **options: Unpack[LayerOptions],
    ) -> None:
        if min(c, stride, *k) < 1:
            raise ValueError("c, stride and k must be at least 1")
        if stride == 1 and in_channels == c and (drop < 0 or drop > 1):
            raise ValueError("drop must be from 0 to 1")
        hidden = make_divisible(expand * in_channels, 8)
        if k[0] % 2 != 1 or k[1] % 2 != 1:
            raise ValueError(f"pad=same needs odd kernels, not {k}")
        layers: list[Callable[[Array], Array]] = []
        if hidden != in_channels:
            layers.append(
                nnx.Sequential(
                    Conv(in_channels, hidden, (1, 1), rngs=rngs, **options),
                    norm(hidden, rngs=rngs, **options),
                    nnx.silu,
                )
            )
        layers += [
            nnx.Sequential(
                Conv(
                    hidden,
                    hidden,
                    k,
                    strides=stride,
                    padding=(k[0] // 2, k[1] // 2),
                    feature_group_count=hidden,
                    rngs=rngs,
                    **options,
                ),
                norm(hidden, rngs=rngs, **options),
                nnx.silu,
            ),
            SqueezeExcitation(hidden, max(1, in_channels // 4), act=nnx.silu, rngs=rngs, **options),
            nnx.Sequential(
                Conv(hidden, c, (1, 1), rngs=rngs, **options),
                norm(c, rngs=rngs, **options),
            ),
        ]
        self.block = nnx.Sequential(*layers)
        self.stochastic_depth = (
            nnx.Dropout(drop, broadcast_dims=(1, 2, 3), rngs=rngs)
            if stride == 1 and in_channels == c
            else None
        )

    def __call__(self, x: Array) -> Array:
        y: Array = self.block(x)
        if self.stochastic_depth is not None:
            y = x + self.stochastic_depth(y)
        return y


class EfficientNet(nnx.Module):
    """Net EfficientNet of efficientnet.net.

    EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks; arXiv 1905.11946,
    2019.

    Shapes: (N, H, W, 3) -> (N, classes).
    """

    def __init__(
        self,
        width: float,
        depth: float,
        drop: float,
        norm: Callable[..., Callable[[Array], Array]] = BatchNorm,
        classes: int = 1000,
        *,
        rngs: nnx.Rngs,
        **options: Unpack[LayerOptions],
    ) -> None:
        if classes < 1 or drop < 0 or drop > 1:
            raise ValueError("classes must be at least 1, drop from 0 to 1")
        steps = sum(math.ceil(n * depth) for _, _, _, _, n in STAGES)
        step = 0
        stem = make_divisible(32 * width, 8)
        last = 4 * make_divisible(320 * width, 8)
        layers: list[Callable[[Array], Array]] = [
            nnx.Sequential(
                Conv(3, stem, (3, 3), strides=2, padding=1, rngs=rngs, **options),
                norm(stem, rngs=rngs, **options),
                nnx.silu,
            ),
        ]
        channels = stem
        for t, k, s, c, n in STAGES:
            blocks = math.ceil(n * depth)
            if blocks < 0:
                raise ValueError(f"a repetition needs a whole number from 0, not {blocks}")
            block: list[Callable[[Array], Array]] = []
            for i in range(blocks):
                block.append(
                    MBConv(
                        channels,
                        k,
                        make_divisible(c * width, 8),
                        stride=s if i == 0 else 1,
                        expand=t,
                        drop=0.2 * step / steps,
                        norm=norm,
                        rngs=rngs,
                        **options,
                    )
                )
                step += 1
                channels = make_divisible(c * width, 8)
            layers.append(nnx.Sequential(*block))
        layers.append(
            nnx.Sequential(
                Conv(channels, last, (1, 1), rngs=rngs, **options),
                norm(last, rngs=rngs, **options),
                nnx.silu,
            )
        )
        self.features = nnx.Sequential(*layers)
        self.classifier = nnx.Sequential(
            nnx.Dropout(drop, rngs=rngs),
            Linear(last, classes, rngs=rngs, **options),
        )

    def __call__(self, x: Array) -> Array:
        x = self.features(x)
        x = global_avg_pool2d(x, keepdims=True)
        x = self.classifier(flatten_chw(x))
        return x


def efficientnet_b0(
    classes: int = 1000, *, rngs: nnx.Rngs, **options: Unpack[LayerOptions]
) -> EfficientNet:
    """Return a new efficientnet_b0, with random weights."""
    return EfficientNet(1.0, 1.0, 0.2, classes=classes, rngs=rngs, **options)

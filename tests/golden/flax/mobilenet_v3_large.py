"""mobilenet_v3_large: MobileNetV3 of mobilenet_v3.net, compiled by netdsl 0.2.0.

Searching for MobileNetV3; arXiv 1905.02244, 2019.

Input 224x224x3, output 1000; 5,483,032 parameters, 216,589,760 MACs a sample.

    netdsl compile mobilenet_v3.net:mobilenet_v3_large --backend flax
"""

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
Linear = partial(nnx.Linear, kernel_init=nnx.initializers.normal(0.01))
BatchNorm = partial(
    make_norm, UnbiasedBatchNorm, use_fast_variance=False, momentum=0.99, epsilon=0.001
)


LARGE: list[tuple[tuple[int, int], int, int, bool, Callable[[Array], Array], int]] = [
    ((3, 3), 16, 16, False, nnx.relu, 1),
    ((3, 3), 64, 24, False, nnx.relu, 2),
    ((3, 3), 72, 24, False, nnx.relu, 1),
    ((5, 5), 72, 40, True, nnx.relu, 2),
    ((5, 5), 120, 40, True, nnx.relu, 1),
    ((5, 5), 120, 40, True, nnx.relu, 1),
    ((3, 3), 240, 80, False, nnx.hard_swish, 2),
    ((3, 3), 200, 80, False, nnx.hard_swish, 1),
    ((3, 3), 184, 80, False, nnx.hard_swish, 1),
    ((3, 3), 184, 80, False, nnx.hard_swish, 1),
    ((3, 3), 480, 112, True, nnx.hard_swish, 1),
    ((3, 3), 672, 112, True, nnx.hard_swish, 1),
    ((5, 5), 672, 160, True, nnx.hard_swish, 2),
    ((5, 5), 960, 160, True, nnx.hard_swish, 1),
    ((5, 5), 960, 160, True, nnx.hard_swish, 1),
]


class SqueezeExcitation(nnx.Module):
    """Block SqueezeExcitation of mobilenet_v3.net.

    Shapes: (N, H, W, in_channels) -> (N, H, W, in_channels).
    """

    def __init__(
        self,
        in_channels: int,
        squeeze: int,
        gate: Callable[[Array], Array] = nnx.sigmoid,
        *,
        rngs: nnx.Rngs,
        **options: Unpack[LayerOptions],
    ) -> None:
        if squeeze < 1:
            raise ValueError("squeeze must be at least 1")
        self.fc1 = Conv(in_channels, squeeze, (1, 1), use_bias=True, rngs=rngs, **options)
        self.fc2 = Conv(squeeze, in_channels, (1, 1), use_bias=True, rngs=rngs, **options)
        self.scale_activation = gate

    def __call__(self, x: Array) -> Array:
        y: Array = global_avg_pool2d(x, keepdims=True)
        y = nnx.relu(self.fc1(y))
        y = self.fc2(y)
        y = x * self.scale_activation(y)
        return y


class InvertedResidual(nnx.Module):
    """Block InvertedResidual of mobilenet_v3.net.

    Shapes: (N, H, W, in_channels) -> (N, (H - 1) // stride + 1, (W - 1) // stride + 1, c).
    """

    def __init__(
        self,
        in_channels: int,
        k: tuple[int, int],
        hidden: int,
        c: int,
        se: bool,
        act: Callable[[Array], Array],
        stride: int = 1,
        *,
        rngs: nnx.Rngs,
        **options: Unpack[LayerOptions],
    ) -> None:
        if min(hidden, c, stride, *k) < 1:
            raise ValueError("hidden, c, stride and k must be at least 1")
        if k[0] % 2 != 1 or k[1] % 2 != 1:
            raise ValueError(f"pad=same needs odd kernels, not {k}")
        layers: list[Callable[[Array], Array]] = []
        if hidden != in_channels:
            layers.append(
                nnx.Sequential(
                    Conv(in_channels, hidden, (1, 1), rngs=rngs, **options),
                    BatchNorm(hidden, rngs=rngs, **options),
                    act,
                )
            )
        layers.append(
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
                BatchNorm(hidden, rngs=rngs, **options),
                act,
            )
        )
        if se:
            layers.append(
                SqueezeExcitation(
                    hidden,
                    make_divisible(hidden // 4, 8),
                    gate=nnx.hard_sigmoid,
                    rngs=rngs,
                    **options,
                )
            )
        layers.append(
            nnx.Sequential(
                Conv(hidden, c, (1, 1), rngs=rngs, **options),
                BatchNorm(c, rngs=rngs, **options),
            )
        )
        self.block = nnx.Sequential(*layers)
        self.residual = stride == 1 and in_channels == c

    def __call__(self, x: Array) -> Array:
        y: Array = self.block(x)
        if self.residual:
            y = y + x
        return y


class MobileNetV3(nnx.Module):
    """Net MobileNetV3 of mobilenet_v3.net.

    Searching for MobileNetV3; arXiv 1905.02244, 2019.

    Shapes: (N, H, W, 3) -> (N, classes).
    """

    def __init__(
        self,
        rows: list[tuple[tuple[int, int], int, int, bool, Callable[[Array], Array], int]],
        head: int,
        width: float = 1.0,
        drop: float = 0.2,
        classes: int = 1000,
        *,
        rngs: nnx.Rngs,
        **options: Unpack[LayerOptions],
    ) -> None:
        if len(rows) < 1 or classes < 1 or drop < 0 or drop > 1:
            raise ValueError("len(rows) must be at least 1, classes at least 1, drop from 0 to 1")
        layers: list[Callable[[Array], Array]] = [
            nnx.Sequential(
                Conv(
                    3,
                    make_divisible(16 * width, 8),
                    (3, 3),
                    strides=2,
                    padding=1,
                    rngs=rngs,
                    **options,
                ),
                BatchNorm(make_divisible(16 * width, 8), rngs=rngs, **options),
                nnx.hard_swish,
            ),
        ]
        channels = make_divisible(16 * width, 8)
        for k, e, c, se, act, s in rows:
            layers.append(
                InvertedResidual(
                    channels,
                    k,
                    make_divisible(e * width, 8),
                    make_divisible(c * width, 8),
                    se,
                    act,
                    stride=s,
                    rngs=rngs,
                    **options,
                )
            )
            channels = make_divisible(c * width, 8)
        last = 6 * make_divisible(rows[-1][2] * width, 8)
        layers.append(
            nnx.Sequential(
                Conv(channels, last, (1, 1), rngs=rngs, **options),
                BatchNorm(last, rngs=rngs, **options),
                nnx.hard_swish,
            )
        )
        self.features = nnx.Sequential(*layers)
        self.classifier = nnx.Sequential(
            Linear(last, make_divisible(head * width, 8), rngs=rngs, **options),
            nnx.hard_swish,
            nnx.Dropout(drop, rngs=rngs),
            Linear(make_divisible(head * width, 8), classes, rngs=rngs, **options),
        )

    def __call__(self, x: Array) -> Array:
        x = self.features(x)
        x = global_avg_pool2d(x, keepdims=True)
        x = self.classifier(flatten_chw(x))
        return x


def mobilenet_v3_large(
    drop: float = 0.2, classes: int = 1000, *, rngs: nnx.Rngs, **options: Unpack[LayerOptions]
) -> MobileNetV3:
    """Return a new mobilenet_v3_large, with random weights."""
    return MobileNetV3(LARGE, 1280, drop=drop, classes=classes, rngs=rngs, **options)

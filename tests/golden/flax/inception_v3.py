"""inception_v3: InceptionV3 of inception_v3.net, compiled by netdsl 0.1.0.

Input 3x299x299, output 1000, AuxLogits 1000; 27,161,264 parameters, 5,713,216,096 MACs a sample.
Shapes are channels first, the arrays channels last.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple, Required, TypedDict, Unpack

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


avg_pool2d: Callable[..., Array] = nnx.avg_pool  # which has no types


Conv = partial(nnx.Conv, padding=0, use_bias=False, kernel_init=nnx.initializers.normal(0.1))
BatchNorm = partial(UnbiasedBatchNorm, use_fast_variance=False, momentum=0.9, epsilon=0.001)


class Linear(nnx.Linear):
    """nnx.Linear with torch's initial bias: uniform within 1 / sqrt(fan_in)."""

    def __init__(self, in_features: int, out_features: int, **options: Any) -> None:
        fan_in = in_features
        bound = fan_in**-0.5
        defaults: dict[str, Any] = {
            "kernel_init": nnx.initializers.normal(0.001),
            "bias_init": uniform_between(-bound, bound),
        }
        super().__init__(in_features, out_features, **(defaults | options))


class InceptionV3Outputs(NamedTuple):
    """What InceptionV3 returns."""

    out: Array
    AuxLogits: Array


class BasicConv2d(nnx.Module):
    """Block BasicConv2d of inception_v3.net."""

    def __init__(
        self,
        in_channels: int,
        c: int,
        kernel_size: int,
        kernel_size2: int,
        stride: int = 1,
        padding: int | tuple[int, int] = 0,
        **options: Unpack[LayerOptions],
    ) -> None:
        self.conv = Conv(
            in_channels,
            c,
            (kernel_size, kernel_size2),
            strides=stride,
            padding=padding,
            **options,
        )
        self.bn = BatchNorm(c, **options)

    def __call__(self, x: Array) -> Array:
        return nnx.relu(self.bn(self.conv(x)))


class InceptionA(nnx.Module):
    """Block InceptionA of inception_v3.net."""

    def __init__(self, in_channels: int, pool: int, **options: Unpack[LayerOptions]) -> None:
        self.branch1x1 = BasicConv2d(in_channels, 64, 1, 1, **options)
        self.branch5x5_1 = BasicConv2d(in_channels, 48, 1, 1, **options)
        self.branch5x5_2 = BasicConv2d(48, 64, 5, 5, padding=2, **options)
        self.branch3x3dbl_1 = BasicConv2d(in_channels, 64, 1, 1, **options)
        self.branch3x3dbl_2 = BasicConv2d(64, 96, 3, 3, padding=1, **options)
        self.branch3x3dbl_3 = BasicConv2d(96, 96, 3, 3, padding=1, **options)
        self.branch_pool = BasicConv2d(in_channels, pool, 1, 1, **options)

    def __call__(self, x: Array) -> Array:
        branch1x1 = self.branch1x1(x)
        branch5x5_1 = self.branch5x5_1(x)
        branch5x5_1 = self.branch5x5_2(branch5x5_1)
        branch3x3dbl_1 = self.branch3x3dbl_1(x)
        branch3x3dbl_1 = self.branch3x3dbl_2(branch3x3dbl_1)
        branch3x3dbl_1 = self.branch3x3dbl_3(branch3x3dbl_1)
        x = avg_pool2d(x, (3, 3), padding=((1, 1), (1, 1)))
        x = self.branch_pool(x)
        return jnp.concatenate((branch1x1, branch5x5_1, branch3x3dbl_1, x), axis=-1)


class InceptionB(nnx.Module):
    """Block InceptionB of inception_v3.net."""

    def __init__(self, **options: Unpack[LayerOptions]) -> None:
        self.branch3x3 = BasicConv2d(288, 384, 3, 3, stride=2, **options)
        self.branch3x3dbl_1 = BasicConv2d(288, 64, 1, 1, **options)
        self.branch3x3dbl_2 = BasicConv2d(64, 96, 3, 3, padding=1, **options)
        self.branch3x3dbl_3 = BasicConv2d(96, 96, 3, 3, stride=2, **options)

    def __call__(self, x: Array) -> Array:
        branch3x3 = self.branch3x3(x)
        branch3x3dbl_1 = self.branch3x3dbl_1(x)
        branch3x3dbl_1 = self.branch3x3dbl_2(branch3x3dbl_1)
        branch3x3dbl_1 = self.branch3x3dbl_3(branch3x3dbl_1)
        x = max_pool2d(x, (3, 3), strides=(2, 2))
        return jnp.concatenate((branch3x3, branch3x3dbl_1, x), axis=-1)


class InceptionC(nnx.Module):
    """Block InceptionC of inception_v3.net."""

    def __init__(self, c: int, **options: Unpack[LayerOptions]) -> None:
        self.branch1x1 = BasicConv2d(768, 192, 1, 1, **options)
        self.branch7x7_1 = BasicConv2d(768, c, 1, 1, **options)
        self.branch7x7_2 = BasicConv2d(c, c, 1, 7, padding=(0, 3), **options)
        self.branch7x7_3 = BasicConv2d(c, 192, 7, 1, padding=(3, 0), **options)
        self.branch7x7dbl_1 = BasicConv2d(768, c, 1, 1, **options)
        self.branch7x7dbl_2 = BasicConv2d(c, c, 7, 1, padding=(3, 0), **options)
        self.branch7x7dbl_3 = BasicConv2d(c, c, 1, 7, padding=(0, 3), **options)
        self.branch7x7dbl_4 = BasicConv2d(c, c, 7, 1, padding=(3, 0), **options)
        self.branch7x7dbl_5 = BasicConv2d(c, 192, 1, 7, padding=(0, 3), **options)
        self.branch_pool = BasicConv2d(768, 192, 1, 1, **options)

    def __call__(self, x: Array) -> Array:
        branch1x1 = self.branch1x1(x)
        branch7x7_1 = self.branch7x7_1(x)
        branch7x7_1 = self.branch7x7_2(branch7x7_1)
        branch7x7_1 = self.branch7x7_3(branch7x7_1)
        branch7x7dbl_1 = self.branch7x7dbl_1(x)
        branch7x7dbl_1 = self.branch7x7dbl_2(branch7x7dbl_1)
        branch7x7dbl_1 = self.branch7x7dbl_3(branch7x7dbl_1)
        branch7x7dbl_1 = self.branch7x7dbl_4(branch7x7dbl_1)
        branch7x7dbl_1 = self.branch7x7dbl_5(branch7x7dbl_1)
        x = avg_pool2d(x, (3, 3), padding=((1, 1), (1, 1)))
        x = self.branch_pool(x)
        return jnp.concatenate((branch1x1, branch7x7_1, branch7x7dbl_1, x), axis=-1)


class InceptionAux(nnx.Module):
    """Block InceptionAux of inception_v3.net."""

    def __init__(self, classes: int, **options: Unpack[LayerOptions]) -> None:
        self.conv0 = BasicConv2d(768, 128, 1, 1, **options)
        self.conv1 = BasicConv2d(128, 768, 5, 5, **options)
        self.fc = Linear(768, classes, **options)

    def __call__(self, x: Array) -> Array:
        x = avg_pool2d(x, (5, 5), strides=(3, 3))
        x = self.conv0(x)
        x = self.conv1(x)
        x = x.mean((1, 2))
        x = self.fc(x)
        return x


class InceptionD(nnx.Module):
    """Block InceptionD of inception_v3.net."""

    def __init__(self, **options: Unpack[LayerOptions]) -> None:
        self.branch3x3_1 = BasicConv2d(768, 192, 1, 1, **options)
        self.branch3x3_2 = BasicConv2d(192, 320, 3, 3, stride=2, **options)
        self.branch7x7x3_1 = BasicConv2d(768, 192, 1, 1, **options)
        self.branch7x7x3_2 = BasicConv2d(192, 192, 1, 7, padding=(0, 3), **options)
        self.branch7x7x3_3 = BasicConv2d(192, 192, 7, 1, padding=(3, 0), **options)
        self.branch7x7x3_4 = BasicConv2d(192, 192, 3, 3, stride=2, **options)

    def __call__(self, x: Array) -> Array:
        branch3x3_1 = self.branch3x3_1(x)
        branch3x3_1 = self.branch3x3_2(branch3x3_1)
        branch7x7x3_1 = self.branch7x7x3_1(x)
        branch7x7x3_1 = self.branch7x7x3_2(branch7x7x3_1)
        branch7x7x3_1 = self.branch7x7x3_3(branch7x7x3_1)
        branch7x7x3_1 = self.branch7x7x3_4(branch7x7x3_1)
        x = max_pool2d(x, (3, 3), strides=(2, 2))
        return jnp.concatenate((branch3x3_1, branch7x7x3_1, x), axis=-1)


class InceptionE(nnx.Module):
    """Block InceptionE of inception_v3.net."""

    def __init__(self, in_channels: int, **options: Unpack[LayerOptions]) -> None:
        self.branch1x1 = BasicConv2d(in_channels, 320, 1, 1, **options)
        self.branch3x3_1 = BasicConv2d(in_channels, 384, 1, 1, **options)
        self.branch3x3_2a = BasicConv2d(384, 384, 1, 3, padding=(0, 1), **options)
        self.branch3x3_2b = BasicConv2d(384, 384, 3, 1, padding=(1, 0), **options)
        self.branch3x3dbl_1 = BasicConv2d(in_channels, 448, 1, 1, **options)
        self.branch3x3dbl_2 = BasicConv2d(448, 384, 3, 3, padding=1, **options)
        self.branch3x3dbl_3a = BasicConv2d(384, 384, 1, 3, padding=(0, 1), **options)
        self.branch3x3dbl_3b = BasicConv2d(384, 384, 3, 1, padding=(1, 0), **options)
        self.branch_pool = BasicConv2d(in_channels, 192, 1, 1, **options)

    def __call__(self, x: Array) -> Array:
        branch1x1 = self.branch1x1(x)
        branch3x3_1 = self.branch3x3_1(x)
        branch3x3_2a = self.branch3x3_2a(branch3x3_1)
        branch3x3_1 = self.branch3x3_2b(branch3x3_1)
        branch3x3_2a = jnp.concatenate((branch3x3_2a, branch3x3_1), axis=-1)
        branch3x3dbl_1 = self.branch3x3dbl_1(x)
        branch3x3dbl_1 = self.branch3x3dbl_2(branch3x3dbl_1)
        branch3x3dbl_3a = self.branch3x3dbl_3a(branch3x3dbl_1)
        branch3x3dbl_1 = self.branch3x3dbl_3b(branch3x3dbl_1)
        branch3x3dbl_3a = jnp.concatenate((branch3x3dbl_3a, branch3x3dbl_1), axis=-1)
        x = avg_pool2d(x, (3, 3), padding=((1, 1), (1, 1)))
        x = self.branch_pool(x)
        return jnp.concatenate((branch1x1, branch3x3_2a, branch3x3dbl_3a, x), axis=-1)


class InceptionV3(nnx.Module):
    """Net InceptionV3 of inception_v3.net."""

    def __init__(
        self,
        drop: float = 0.5,
        classes: int = 1000,
        **options: Unpack[LayerOptions],
    ) -> None:
        self.Conv2d_1a_3x3 = BasicConv2d(3, 32, 3, 3, stride=2, **options)
        self.Conv2d_2a_3x3 = BasicConv2d(32, 32, 3, 3, **options)
        self.Conv2d_2b_3x3 = BasicConv2d(32, 64, 3, 3, padding=1, **options)
        self.Conv2d_3b_1x1 = BasicConv2d(64, 80, 1, 1, **options)
        self.Conv2d_4a_3x3 = BasicConv2d(80, 192, 3, 3, **options)
        self.Mixed_5b = InceptionA(192, 32, **options)
        self.Mixed_5c = InceptionA(256, 64, **options)
        self.Mixed_5d = InceptionA(288, 64, **options)
        self.Mixed_6a = InceptionB(**options)
        self.Mixed_6b = InceptionC(128, **options)
        self.Mixed_6c = InceptionC(160, **options)
        self.Mixed_6d = InceptionC(160, **options)
        self.Mixed_6e = InceptionC(192, **options)
        self.AuxLogits = InceptionAux(classes, **options)
        self.Mixed_7a = InceptionD(**options)
        self.Mixed_7b = InceptionE(1280, **options)
        self.Mixed_7c = InceptionE(2048, **options)
        self.dropout = nnx.Dropout(drop, rngs=options["rngs"])
        self.fc = Linear(2048, classes, kernel_init=nnx.initializers.normal(0.1), **options)
        self.deterministic = False

    def __call__(self, x: Array) -> Array | InceptionV3Outputs:
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
        if not self.deterministic:
            AuxLogits = self.AuxLogits(x)
        x = self.Mixed_7a(x)
        x = self.Mixed_7b(x)
        x = self.Mixed_7c(x)
        x = x.mean((1, 2))
        x = self.dropout(x)
        x = self.fc(x)
        if not self.deterministic:
            return InceptionV3Outputs(x, AuxLogits)
        return x


def inception_v3(
    drop: float = 0.5,
    classes: int = 1000,
    **options: Unpack[LayerOptions],
) -> InceptionV3:
    """Return a new inception_v3, with random weights."""
    return InceptionV3(drop, classes, **options)

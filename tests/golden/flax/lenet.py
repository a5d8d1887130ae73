"""lenet: LeNet of lenet.net, compiled by netdsl 0.2.0.

Gradient-Based Learning Applied to Document Recognition (LeNet-5); 1998.

Input 32x32x1, output 10; 61,706 parameters, 416,520 MACs a sample.

    netdsl compile lenet.net:lenet --backend flax
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, TypedDict, Unpack

import jax
import jax.numpy as jnp
from flax import nnx
from flax.typing import PrecisionLike
from jax import Array
from jax.typing import DTypeLike


def check_size(size: int, takes: int, name: str, what: str) -> None:
    """Raise an error where a size does not fit."""
    if size != takes:
        raise ValueError(f"{name} takes {takes} {what}: resize the input")


class LayerOptions(TypedDict, total=False):
    """What layers take: the dtypes to compute and to store in, the precision of products."""

    dtype: DTypeLike | None
    param_dtype: DTypeLike
    precision: PrecisionLike


def uniform_between(low: float, high: float) -> nnx.Initializer:
    """Return an initializer that draws uniformly from low to high."""

    def init(key: Array, shape: Sequence[int], dtype: DTypeLike = jnp.float32) -> Array:
        return jax.random.uniform(key, shape, dtype, low, high)

    return init


class ConvThatFits(nnx.Conv):
    """A convolution that says so where its kernel is larger than the map."""

    def __call__(self, inputs: Array, out_sharding: Any = None) -> Array:
        y: Array = super().__call__(inputs, out_sharding)
        if 0 in y.shape[1:3]:
            raise ValueError(f"no {self.kernel_size} kernel fits into a map of {inputs.shape[1:3]}")
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


def flatten_chw(x: Array) -> Array:
    """Return maps as vectors in torch's order: channels, rows, columns."""
    return x.transpose(0, 3, 1, 2).reshape(x.shape[0], -1)


class FittedConv(ConvThatFits):
    """ConvThatFits with torch's initial bias: uniform within 1 / sqrt(fan_in)."""

    def __init__(
        self, in_features: int, out_features: int, kernel_size: tuple[int, int], **options: Any
    ) -> None:
        fan_in = math.prod(kernel_size) * in_features // options.get("feature_group_count", 1)
        bound = fan_in**-0.5
        defaults: dict[str, Any] = {
            "padding": 0,
            "kernel_init": nnx.initializers.variance_scaling(1 / 3, "fan_in", "uniform"),
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


class LeNet(nnx.Module):
    """Net LeNet of lenet.net.

    Gradient-Based Learning Applied to Document Recognition (LeNet-5); 1998.

    Shapes: (N, 32, 32, 1) -> (N, classes).
    """

    def __init__(
        self, classes: int = 10, *, rngs: nnx.Rngs, **options: Unpack[LayerOptions]
    ) -> None:
        if classes < 1:
            raise ValueError("classes must be at least 1")
        self.conv1 = FittedConv(1, 6, (5, 5), rngs=rngs, **options)
        self.conv2 = FittedConv(6, 16, (5, 5), rngs=rngs, **options)
        self.fc1 = Linear(400, 120, rngs=rngs, **options)
        self.fc2 = Linear(120, 84, rngs=rngs, **options)
        self.fc3 = Linear(84, classes, rngs=rngs, **options)

    def __call__(self, x: Array) -> Array:
        x = self.conv1(x)
        x = nnx.tanh(x)
        x = avg_pool2d(x, (2, 2), strides=(2, 2))
        x = self.conv2(x)
        x = nnx.tanh(x)
        x = avg_pool2d(x, (2, 2), strides=(2, 2))
        x = flatten_chw(x)
        check_size(x.shape[1], self.fc1.in_features, "fc1", "features")
        x = self.fc1(x)
        x = nnx.tanh(x)
        x = self.fc2(x)
        x = nnx.tanh(x)
        x = self.fc3(x)
        return x


def lenet(classes: int = 10, *, rngs: nnx.Rngs, **options: Unpack[LayerOptions]) -> LeNet:
    """Return a new lenet, with random weights."""
    return LeNet(classes=classes, rngs=rngs, **options)

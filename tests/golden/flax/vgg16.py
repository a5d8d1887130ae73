"""vgg16: VGG of vgg16.net, compiled by netdsl 0.2.0.

VGG-16: Very Deep Convolutional Networks for Large-Scale Image Recognition (arXiv 1409.1556); 2014.

Input 224x224x3, output 1000; 138,357,544 parameters, 15,470,264,320 MACs a sample.

    netdsl compile vgg16.net:vgg16 --backend flax
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypedDict, Unpack

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


Conv = partial(
    nnx.Conv,
    padding=0,
    kernel_init=nnx.initializers.variance_scaling(2.0, "fan_out", "normal"),
)
Linear = partial(nnx.Linear, kernel_init=nnx.initializers.normal(0.01))


class VGG(nnx.Module):
    """Net VGG of vgg16.net.

    VGG-16: Very Deep Convolutional Networks for Large-Scale Image Recognition (arXiv 1409.1556);
    2014.

    Shapes: (N, H, W, 3) -> (N, classes).
    """

    def __init__(
        self, classes: int = 1000, *, rngs: nnx.Rngs, **options: Unpack[LayerOptions]
    ) -> None:
        if classes < 1:
            raise ValueError("classes must be at least 1")
        self.features = nnx.Sequential(
            # stage 1
            Conv(3, 64, (3, 3), padding=1, rngs=rngs, **options),
            nnx.relu,
            Conv(64, 64, (3, 3), padding=1, rngs=rngs, **options),
            nnx.relu,
            partial(max_pool2d, window_shape=(2, 2), strides=(2, 2)),
            # stage 2
            Conv(64, 128, (3, 3), padding=1, rngs=rngs, **options),
            nnx.relu,
            Conv(128, 128, (3, 3), padding=1, rngs=rngs, **options),
            nnx.relu,
            partial(max_pool2d, window_shape=(2, 2), strides=(2, 2)),
            # stage 3
            Conv(128, 256, (3, 3), padding=1, rngs=rngs, **options),
            nnx.relu,
            Conv(256, 256, (3, 3), padding=1, rngs=rngs, **options),
            nnx.relu,
            Conv(256, 256, (3, 3), padding=1, rngs=rngs, **options),
            nnx.relu,
            partial(max_pool2d, window_shape=(2, 2), strides=(2, 2)),
            # stage 4
            Conv(256, 512, (3, 3), padding=1, rngs=rngs, **options),
            nnx.relu,
            Conv(512, 512, (3, 3), padding=1, rngs=rngs, **options),
            nnx.relu,
            Conv(512, 512, (3, 3), padding=1, rngs=rngs, **options),
            nnx.relu,
            partial(max_pool2d, window_shape=(2, 2), strides=(2, 2)),
            # stage 5
            Conv(512, 512, (3, 3), padding=1, rngs=rngs, **options),
            nnx.relu,
            Conv(512, 512, (3, 3), padding=1, rngs=rngs, **options),
            nnx.relu,
            Conv(512, 512, (3, 3), padding=1, rngs=rngs, **options),
            nnx.relu,
            partial(max_pool2d, window_shape=(2, 2), strides=(2, 2)),
        )
        self.classifier = nnx.Sequential(
            Linear(25088, 4096, rngs=rngs, **options),
            nnx.relu,
            nnx.Dropout(0.5, rngs=rngs),
            Linear(4096, 4096, rngs=rngs, **options),
            nnx.relu,
            nnx.Dropout(0.5, rngs=rngs),
            Linear(4096, classes, rngs=rngs, **options),
        )

    def __call__(self, x: Array) -> Array:
        x = self.features(x)
        x = adaptive_pool2d(x, (7, 7), jnp.mean)
        x = self.classifier(flatten_chw(x))
        return x


def vgg16(classes: int = 1000, *, rngs: nnx.Rngs, **options: Unpack[LayerOptions]) -> VGG:
    """Return a new vgg16, with random weights."""
    return VGG(classes=classes, rngs=rngs, **options)

"""convnext_tiny: ConvNeXt of convnext.net, compiled by netdsl 0.2.0.

A ConvNet for the 2020s; arXiv 2201.03545, 2022.

Input 224x224x3, output 1000; 28,589,128 parameters, 4,455,531,264 MACs a sample.

    netdsl compile convnext.net:convnext_tiny --backend flax
"""

from collections.abc import Callable
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


def learned(
    init: nnx.Initializer, *shape: int, rngs: nnx.Rngs, **options: Unpack[LayerOptions]
) -> nnx.Param[Array]:
    """Return a learned tensor, which remembers the dtype to compute in."""
    value = init(rngs.params(), shape, options.get("param_dtype", jnp.float32))
    return nnx.Param(value, compute_dtype=options.get("dtype"))


def value_of(tensor: nnx.Param[Array]) -> Array:
    """Return a learned tensor in the dtype to compute in."""
    dtype: DTypeLike | None = tensor.compute_dtype
    return tensor[...] if dtype is None else tensor[...].astype(dtype)


class ConvThatFits(nnx.Conv):
    """A convolution that says so where its kernel is larger than the map."""

    def __call__(self, inputs: Array, out_sharding: Any = None) -> Array:
        y: Array = super().__call__(inputs, out_sharding)
        if 0 in y.shape[1:3]:
            raise ValueError(f"no {self.kernel_size} kernel fits into a map of {inputs.shape[1:3]}")
        return y


def global_avg_pool2d(x: Array, keepdims: bool = False) -> Array:
    """Return the mean of every channel of a map; it must have a pixel."""
    if 0 in x.shape[1:3]:
        raise ValueError("the input is too small: no pixel of it is left")
    return x.mean((1, 2), keepdims=keepdims)


def flatten_chw(x: Array) -> Array:
    """Return maps as vectors in torch's order: channels, rows, columns."""
    return x.transpose(0, 3, 1, 2).reshape(x.shape[0], -1)


Conv = partial(nnx.Conv, padding=0, kernel_init=nnx.initializers.normal(0.02))
FittedConv = partial(ConvThatFits, padding=0, kernel_init=nnx.initializers.normal(0.02))
Linear = partial(nnx.Linear, kernel_init=nnx.initializers.normal(0.02))
LayerNorm = partial(make_norm, nnx.LayerNorm, use_fast_variance=False)


class CNBlock(nnx.Module):
    """Block CNBlock of convnext.net.

    Shapes: (N, H, W, in_channels) -> (N, H, W, in_channels).
    """

    def __init__(
        self, in_channels: int, drop: float, *, rngs: nnx.Rngs, **options: Unpack[LayerOptions]
    ) -> None:
        if drop < 0 or drop > 1:
            raise ValueError("drop must be from 0 to 1")
        self.layer_scale = learned(
            nnx.initializers.constant(1e-06),
            1,
            1,
            in_channels,
            rngs=rngs,
            **options,
        )
        self.block = nnx.Sequential(
            Conv(
                in_channels,
                in_channels,
                (7, 7),
                padding=3,
                feature_group_count=in_channels,
                rngs=rngs,
                **options,
            ),
            LayerNorm(in_channels, rngs=rngs, **options),
            Linear(in_channels, 4 * in_channels, rngs=rngs, **options),
            partial(nnx.gelu, approximate=False),
            Linear(4 * in_channels, in_channels, rngs=rngs, **options),
        )
        self.stochastic_depth = nnx.Dropout(drop, broadcast_dims=(1, 2, 3), rngs=rngs)

    def __call__(self, x: Array) -> Array:
        y: Array = value_of(self.layer_scale) * self.block(x)
        y = x + self.stochastic_depth(y)
        return y


class ConvNeXt(nnx.Module):
    """Net ConvNeXt of convnext.net.

    A ConvNet for the 2020s; arXiv 2201.03545, 2022.

    Shapes: (N, H, W, 3) -> (N, classes).
    """

    def __init__(
        self,
        c: list[int],
        n: list[int],
        drop: float,
        classes: int = 1000,
        *,
        rngs: nnx.Rngs,
        **options: Unpack[LayerOptions],
    ) -> None:
        if len(c) < 1 or min([0, *n]) < 0 or min(c[0], classes) < 1:
            raise ValueError("len(c) must be at least 1, n at least 0, c[0] and classes at least 1")
        if len(n) != len(c):
            raise ValueError(f"n has {len(n)} values and c {len(c)}")
        steps = max(sum(depth for _, depth in zip(c, n, strict=True)) - 1, 1)
        step = 0
        layers: list[Callable[[Array], Array]] = [
            nnx.Sequential(
                FittedConv(3, c[0], (4, 4), strides=4, rngs=rngs, **options),
                LayerNorm(c[0], rngs=rngs, **options),
            ),
        ]
        channels = c[0]
        for i, (w, depth) in enumerate(zip(c, n, strict=True)):
            if i > 0:
                if w < 1:
                    raise ValueError(f"conv needs at least 1 channel, not {w}")
                layers.append(
                    nnx.Sequential(
                        LayerNorm(channels, rngs=rngs, **options),
                        FittedConv(channels, w, (2, 2), strides=2, rngs=rngs, **options),
                    )
                )
                channels = w
            block: list[Callable[[Array], Array]] = []
            for _ in range(depth):
                block.append(CNBlock(channels, drop * step / steps, rngs=rngs, **options))
                step += 1
            layers.append(nnx.Sequential(*block))
        self.features = nnx.Sequential(*layers)
        self.classifier = nnx.Sequential(
            LayerNorm(channels, rngs=rngs, **options),
            flatten_chw,
            Linear(channels, classes, rngs=rngs, **options),
        )

    def __call__(self, x: Array) -> Array:
        x = self.features(x)
        x = global_avg_pool2d(x, keepdims=True)
        x = self.classifier(x)
        return x


def convnext_tiny(
    classes: int = 1000, *, rngs: nnx.Rngs, **options: Unpack[LayerOptions]
) -> ConvNeXt:
    """Return a new convnext_tiny, with random weights."""
    return ConvNeXt([96, 192, 384, 768], [3, 3, 9, 3], 0.1, classes=classes, rngs=rngs, **options)

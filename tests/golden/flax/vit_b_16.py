"""vit_b_16: ViT of vit.net, compiled by netdsl 0.2.0.

An Image is Worth 16x16 Words; arXiv 2010.11929, 2020.

Input 224x224x3, output 1000; 86,567,656 parameters, 17,563,828,224 MACs a sample.

    netdsl compile vit.net:vit_b_16 --backend flax
"""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, TypedDict, Unpack

import jax.numpy as jnp
from flax import nnx
from flax.nnx.nn.attention import dot_product_attention_weights
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


def make_norm(
    make: Callable[..., Callable[[Array], Array]],
    *sizes: int,
    precision: PrecisionLike = None,
    **options: Any,
) -> Callable[[Array], Array]:
    """Return a norm: it has no products, and takes no precision."""
    return make(*sizes, **options)


def normal_cut_at_two(stddev: float) -> nnx.Initializer:
    """Return torch's initializer of normal numbers from -2 to 2."""
    cut = min(2 / stddev, 6.0)  # in deviations, beyond six of which no float32 is drawn
    return nnx.initializers.truncated_normal(stddev, lower=-cut, upper=cut)


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


def attend(
    query: Array, key: Array, value: Array, precision: PrecisionLike = None, **kwargs: Any
) -> Array:
    """Attend in the dtype of the values, where nnx's own function goes through float32."""
    weights = dot_product_attention_weights(query, key, precision=precision, **kwargs)
    return jnp.einsum("...hqk,...khd->...qhd", weights, value, precision=precision)


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


def repeat_for_batch(x: Array, batch: Array) -> Array:
    """Return a learned tensor once for every sample of a batch."""
    return jnp.broadcast_to(x, (batch.shape[0], *x.shape[1 - batch.ndim :]))


def tokens_of_map(x: Array) -> Array:
    """Return the places of a map as a sequence, row by row; there must be one."""
    if 0 in x.shape[1:3]:
        raise ValueError("the input is too small: no pixel of it is left")
    return x.reshape(x.shape[0], -1, x.shape[-1])


FittedConv = partial(ConvThatFits, padding=0)
Linear = partial(
    nnx.Linear,
    kernel_init=nnx.initializers.variance_scaling(1.0, "fan_avg", "uniform"),
    bias_init=nnx.initializers.normal(1e-06),
)
LayerNorm = partial(make_norm, nnx.LayerNorm, use_fast_variance=False)
MultiHeadAttention = partial(
    nnx.MultiHeadAttention,
    broadcast_dropout=False,
    decode=False,
    deterministic=False,
    attention_fn=attend,
    kernel_init=nnx.initializers.variance_scaling(0.5, "fan_avg", "uniform"),
    out_kernel_init=nnx.initializers.variance_scaling(1 / 3, "fan_in", "uniform"),
)


class MLPBlock(nnx.Sequential):
    """Block MLPBlock of vit.net.

    Shapes: (N, T, in_channels) -> (N, T, in_channels).
    """

    def __init__(
        self,
        in_channels: int,
        hidden: int,
        drop: float,
        *,
        rngs: nnx.Rngs,
        **options: Unpack[LayerOptions],
    ) -> None:
        if hidden < 1 or drop < 0 or drop > 1:
            raise ValueError("hidden must be at least 1, drop from 0 to 1")
        super().__init__(
            Linear(in_channels, hidden, rngs=rngs, **options),
            partial(nnx.gelu, approximate=False),
            nnx.Dropout(drop, rngs=rngs),
            Linear(hidden, in_channels, rngs=rngs, **options),
            nnx.Dropout(drop, rngs=rngs),
        )


class EncoderBlock(nnx.Module):
    """Block EncoderBlock of vit.net.

    Shapes: (N, T, in_channels) -> (N, T, in_channels).
    """

    def __init__(
        self,
        in_channels: int,
        heads: int,
        hidden: int,
        drop: float,
        *,
        rngs: nnx.Rngs,
        **options: Unpack[LayerOptions],
    ) -> None:
        if drop < 0 or drop > 1:
            raise ValueError("drop must be from 0 to 1")
        if heads < 1 or in_channels % heads != 0:
            raise ValueError(f"{in_channels} channels cannot be divided into {heads} heads")
        self.ln_1 = LayerNorm(in_channels, rngs=rngs, **options)
        self.self_attention = MultiHeadAttention(heads, in_channels, rngs=rngs, **options)
        self.dropout = nnx.Dropout(drop, rngs=rngs)
        self.ln_2 = LayerNorm(in_channels, rngs=rngs, **options)
        self.mlp = MLPBlock(in_channels, hidden, drop, rngs=rngs, **options)

    def __call__(self, x: Array) -> Array:
        y = self.ln_1(x)
        y = self.self_attention(y)
        attended = x + self.dropout(y)
        x = self.ln_2(attended)
        x = attended + self.mlp(x)
        return x


class Head(nnx.Module):
    """Block Head of vit.net.

    Shapes: (N, in_channels) -> (N, classes).
    """

    def __init__(
        self, in_channels: int, classes: int, *, rngs: nnx.Rngs, **options: Unpack[LayerOptions]
    ) -> None:
        if classes < 1:
            raise ValueError("classes must be at least 1")
        self.head = Linear(
            in_channels,
            classes,
            kernel_init=nnx.initializers.zeros,
            bias_init=nnx.initializers.zeros,
            rngs=rngs,
            **options,
        )

    def __call__(self, x: Array) -> Array:
        x = self.head(x)
        return x


class Encoder(nnx.Module):
    """Container encoder of vit.net."""

    def __init__(
        self,
        size: tuple[int, int],
        patch: tuple[int, int],
        dim: int,
        drop: float,
        depth: int,
        heads: int,
        hidden: int,
        *,
        rngs: nnx.Rngs,
        **options: Unpack[LayerOptions],
    ) -> None:
        self.pos_embedding = learned(
            nnx.initializers.normal(0.02),
            1,
            size[0] // patch[0] * (size[1] // patch[1]) + 1,
            dim,
            rngs=rngs,
            **options,
        )
        self.dropout = nnx.Dropout(drop, rngs=rngs)
        self.layers = NamedSequential(
            (f"encoder_layer_{i}", EncoderBlock(dim, heads, hidden, drop, rngs=rngs, **options))
            for i in range(depth)
        )
        self.ln = LayerNorm(dim, rngs=rngs, **options)

    def __call__(self, x: Array) -> Array:
        check_size(x.shape[1], self.pos_embedding.shape[1], "pos_embedding", "tokens")
        x = x + value_of(self.pos_embedding)
        x = self.dropout(x)
        x = self.layers(x)
        x = self.ln(x)
        return x


class ViT(nnx.Module):
    """Net ViT of vit.net.

    An Image is Worth 16x16 Words; arXiv 2010.11929, 2020.

    Shapes: (N, size[0], size[1], 3) -> (N, classes).
    """

    def __init__(
        self,
        patch: tuple[int, int],
        depth: int,
        heads: int,
        dim: int,
        hidden: int,
        size: tuple[int, int] = (224, 224),
        drop: float = 0.0,
        classes: int = 1000,
        *,
        rngs: nnx.Rngs,
        **options: Unpack[LayerOptions],
    ) -> None:
        if min(dim, *patch, *size) < 1 or drop < 0 or drop > 1:
            raise ValueError("dim, patch and size must be at least 1, drop from 0 to 1")
        self.class_token = learned(nnx.initializers.zeros, 1, 1, dim, rngs=rngs, **options)
        self.conv_proj = FittedConv(
            3,
            dim,
            patch,
            strides=patch,
            kernel_init=normal_cut_at_two(1 / (3 * patch[0] * patch[1]) ** 0.5),
            rngs=rngs,
            **options,
        )
        self.encoder = Encoder(size, patch, dim, drop, depth, heads, hidden, rngs=rngs, **options)
        self.heads = Head(dim, classes, rngs=rngs, **options)

    def __call__(self, x: Array) -> Array:
        x = self.conv_proj(x)
        patches = tokens_of_map(x)
        x = jnp.concatenate(
            (repeat_for_batch(value_of(self.class_token), patches), patches),
            axis=-2,
        )
        x = self.encoder(x)
        x = self.heads(x[:, 0])
        return x


def vit_b_16(
    drop: float = 0.0, classes: int = 1000, *, rngs: nnx.Rngs, **options: Unpack[LayerOptions]
) -> ViT:
    """Return a new vit_b_16, with random weights."""
    return ViT((16, 16), 12, 12, 768, 3072, drop=drop, classes=classes, rngs=rngs, **options)

"""What the flax tests share: emitted modules of both forms, their weights, and runs under jit."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from netdsl_flax.run import load as load_state
from netdsl_flax.run import still, variables, without_dropout
from zoo import net as zoo_net

from netdsl import Network
from netdsl.api import loads

FORMS = ("flax", "flax:scan")
IMPORTS = """\
import math
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, NamedTuple, TypedDict, Unpack

import jax
import jax.numpy as jnp
from flax import nnx
from flax.nnx.nn.attention import dot_product_attention_weights
from flax.typing import PrecisionLike
from jax import Array, lax
from jax.typing import DTypeLike
"""
"""All that emitted files may import."""


def spec(text: str, **params: Any) -> Network:
    """Return the net of a text."""
    return loads(text, "small.net", **params)


@cache
def emitted(name: str, form: str = "flax") -> str:
    """Return the source of a net of the zoo."""
    return zoo_net(name).emit(form)


def execute(text: str) -> dict[str, Any]:
    """Run an emitted module and return its names."""
    names: dict[str, Any] = {"__name__": "emitted"}
    exec(compile(text, "<emitted>", "exec", dont_inherit=True), names)
    return names


def factory(net: Network, form: str = "flax") -> Callable[..., Any]:
    """Return the function that an emitted file is for."""
    made: Callable[..., Any] = execute(net.emit(form))[net.name]
    return made


def unfilled(make: Callable[..., Any], **options: Any) -> Any:
    """Return a module that draws nothing, without numbers: XLA compiles the drawing of every shape."""
    return nnx.eval_shape(lambda: without_dropout(make(rngs=still(), **options)))


def state_of(model: nnx.Module) -> dict[str, np.ndarray[Any, Any]]:
    """Return copies of the learned tensors and statistics by key."""
    return {key: np.array(variable.get_value()) for key, variable in variables(model).items()}


def randomise(model: nnx.Module, seed: int = 3) -> nnx.Module:
    """Give a model random weights and statistics, so that no norm is the identity and no bias is zero."""
    generator = np.random.default_rng(seed)
    state = {}
    for key, value in state_of(model).items():
        kind = key.rpartition(".")[2]
        if kind == "var":
            state[key] = generator.uniform(0.5, 1.5, value.shape)
        elif kind == "scale":
            state[key] = generator.uniform(0.5, 1.0, value.shape)
        else:
            state[key] = generator.normal(0, 0.2, value.shape)
    load_state(model, state)
    return model


def images(net: Network, batch: int = 4, seed: int = 7) -> list[jax.Array]:
    """Return random inputs of a net, channels last."""
    generator = np.random.default_rng(seed)
    return [
        jnp.asarray(generator.standard_normal((batch, *shape[1:], shape[0])), jnp.float32)
        for shape in net.inputs.values()
    ]


def run(model: nnx.Module, *x: jax.Array) -> Any:
    """Return what a model computes under jit; training moves its statistics."""
    return nnx.jit(lambda model, *x: model(*x))(model, *x)


def close(a: Any, b: Any, rtol: float = 2e-5, atol: float = 2e-5) -> None:
    """Assert that two trees of arrays are close."""
    flat, others = jax.tree.leaves(a), jax.tree.leaves(b)
    assert len(flat) == len(others) > 0
    for mine, theirs in zip(flat, others, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=rtol, atol=atol)

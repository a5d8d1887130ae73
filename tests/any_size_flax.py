"""How `test_any_size` runs the modules of Flax."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch
from flax import nnx
from interpreter import draw_state, interpret, state_shapes
from netdsl_flax.run import (
    abstract,
    channels_first,
    channels_last,
    factory,
    still,
    variables,
    without_dropout,
)

from netdsl.network import Network
from netdsl.weights.convert import convert_weights

BATCH = 2
CLOSE = 1e-9
ADDRESS = re.compile(r" at 0x[0-9a-f]+")


def make(net: Network) -> Any:
    """Return a net's module without numbers and without dropout."""
    build = factory(net.emit("flax"), net)
    return nnx.eval_shape(lambda: without_dropout(build(rngs=still())))


@lru_cache(maxsize=2)
def traceable(net: Network) -> Any:
    """Return a net's module, which nobody gives numbers: one for both modes and all sizes."""
    return make(net)


def sized(net: Network) -> list[Any]:
    """Return the shapes of a net's inputs."""
    return [
        abstract([(BATCH, *shape)[axis] for axis in channels_last(shape)], "float32")
        for shape in net.inputs.values()
    ]


def call(net: Network, base: Network, train: bool = False) -> None:
    """Call the module that was emitted for one size with inputs of another; nothing is computed."""
    module = make(base)
    module.train() if train else module.eval()
    graph, state = nnx.split(module)
    jax.eval_shape(lambda state, x: nnx.merge(graph, state)(*x), state, sized(net))


def check_numbers(net: Network, base: Network, where: str) -> None:
    """Compare the outputs in evaluation with those of the spec."""
    numbers = draw_state(state_shapes(net), seed=1)
    generator = torch.Generator().manual_seed(7)
    x = [torch.randn(BATCH, *s, generator=generator, dtype=torch.float64) for s in net.inputs.values()]
    with torch.no_grad():
        theirs = interpret(net, numbers, x, False)
    arrays = convert_weights(net, numbers, "torch", "flax")
    with jax.enable_x64(True):
        module = make(base)
        found = variables(module)
        assert {k: tuple(v.shape) for k, v in found.items()} == {k: a.shape for k, a in arrays.items()}, where
        state = nnx.state(module, nnx.Any(nnx.Param, nnx.BatchStat))
        for path, variable in nnx.to_flat_state(state):
            variable.set_value(jnp.asarray(arrays[".".join(map(str, path))], jnp.float64))
        nnx.update(module, state)
        graph, state = nnx.split(module.eval() or module)
        given = [
            jnp.asarray(t.numpy().transpose(channels_last(s)))
            for t, s in zip(x, net.inputs.values(), strict=True)
        ]
        out = jax.jit(lambda state, x: nnx.merge(graph, state)(*x))(state, given)
    outputs = out if isinstance(out, tuple) else (out,)
    kept = [array for array in outputs if array is not None]
    for (name, other), array in zip(theirs.items(), kept, strict=True):
        mine = np.asarray(array).transpose(channels_first(net.outputs[name]))
        assert mine.shape == tuple(other.shape), f"{where}: {name}"
        assert other.std() > 1e-6, f"{where}: nothing reaches {name}"
        error = np.abs(mine - other.numpy()).max() / float(other.abs().max())
        assert error <= CLOSE, f"{where}: {name} differs by {error:.1e}"
    call(net, base, train=True)


def check_traces(net: Network, base: Network, where: str) -> None:
    """Compare what the module computes with what the one for that size computes, without numbers."""
    for train in (False, True):
        traces = []
        for one in (base, net):
            module = traceable(one)
            module.train() if train else module.eval()
            graph, state = nnx.split(module)
            traced = jax.make_jaxpr(lambda state, x, graph=graph: nnx.merge(graph, state)(*x))(
                state, sized(net)
            )
            traces.append(ADDRESS.sub("", str(traced)))
        assert traces[0] == traces[1], f"{where}, training is {train}"

"""Time that XLA needs for resnet152 in Flax, unrolled against scanned (`flax:scan`), and how equal they are.

Both are the same training step (loss, gradients, running statistics) with the same weights and images. Its first call
traces and compiles. Later calls take turns, and their medians are shown. Seconds are those of the clock, and in
brackets those of the process, summed over its threads, which other processes disturb less.

Errors are the largest difference of a tensor over its largest value, the worst of all tensors. They are rounding: in
float64 they have to be far smaller than in float32.
"""

from __future__ import annotations

from collections.abc import Callable
from statistics import median
from time import perf_counter, process_time
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from reference import interleaved

import netdsl

NAME, BATCH, SIDE, ROUNDS = "resnet152", 4, 64, 7
FORMS = {"unrolled": "flax", "scanned": "flax:scan"}


class Step(NamedTuple):
    """A compiled step, what its first call took, and what it gave by the names of the unrolled form."""

    again: Callable[[], object]
    clock: float
    process: float
    outputs: dict[str, np.ndarray]


def prepare(net: netdsl.Network, weights: dict[str, Any], form: str, dtype: str) -> Step:
    """Build a form with these weights, which are the unrolled form's, and make its first step."""
    backend = FORMS[form]
    model = net.build(backend, weights=netdsl.convert_weights(net, weights, "flax", backend))
    model.train()
    graph, learned, rest = nnx.split(model, nnx.Param, ...)
    learned, rest = jax.tree.map(lambda a: a.astype(dtype), (learned, rest))
    random = np.random.default_rng(0)
    images = jnp.asarray(random.standard_normal((BATCH, SIDE, SIDE, 3)), dtype)
    labels = jnp.asarray(random.integers(0, 1000, BATCH))

    def loss(learned: Any, rest: Any, images: jax.Array) -> tuple[jax.Array, tuple[jax.Array, Any]]:
        module: Any = nnx.merge(graph, learned, rest, copy=True)
        logits = module(images)
        chosen = jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], axis=1)
        return -chosen.mean(), (logits, nnx.state(module, nnx.BatchStat))

    step = jax.jit(jax.value_and_grad(loss, has_aux=True))
    clock, process = perf_counter(), process_time()
    (_, (logits, statistics)), gradients = jax.block_until_ready(step(learned, rest, images))
    clock, process = perf_counter() - clock, process_time() - process

    found = netdsl.convert_weights(net, flat(gradients) | flat(statistics), backend, "flax")
    outputs = {"output": np.asarray(logits), **found}
    return Step(lambda: jax.block_until_ready(step(learned, rest, images)), clock, process, outputs)


def flat(state: Any) -> dict[str, Any]:
    """Return a state's arrays by name."""
    return {".".join(map(str, path)): leaf.get_value() for path, leaf in nnx.to_flat_state(state)}


def error(a: np.ndarray, b: np.ndarray) -> float:
    """Return the largest difference over the largest value."""
    return float(abs(a - b).max() / abs(a).max())


def measure(net: netdsl.Network, weights: dict[str, Any], dtype: str) -> None:
    """Print a table for a dtype."""
    jax.block_until_ready(jax.jit(jnp.sin)(jnp.ones(4)))  # the compiler itself has started
    made = {}
    for form in FORMS:
        jax.clear_caches()
        made[form] = prepare(net, weights, form, dtype)
    calls = [step.again for step in made.values()]
    clocks, processes = interleaved(calls, ROUNDS), interleaved(calls, ROUNDS, process_time)

    print(f"{NAME}, batch {BATCH} of 3x{SIDE}x{SIDE}, {dtype}")
    print(f"{'form':10} {'first call':>17} {'later calls':>17}")
    for (form, step), clock, process in zip(made.items(), clocks, processes, strict=True):
        first = f"{step.clock:.1f} s ({step.process:.1f} s)"
        print(f"{form:10} {first:>17} {f'{clock:.2f} s ({process:.2f} s)':>17}", flush=True)
    unrolled, scanned = (step.outputs for step in made.values())
    errors = {name: error(value, scanned[name]) for name, value in unrolled.items()}
    worst = max(errors, key=errors.__getitem__)
    typical = median(errors.values())
    print(f"error: output {errors['output']:.1e}, median {typical:.1e}, worst {errors[worst]:.1e}, {worst}\n")


def main() -> None:
    """Print a table for each dtype."""
    jax.config.update("jax_enable_x64", True)
    net = netdsl.load(NAME, inputs={"": (3, SIDE, SIDE)})
    weights = flat(nnx.state(net.build("flax"), nnx.Any(nnx.Param, nnx.BatchStat)))
    for dtype in ("float32", "float64"):
        measure(net, weights, dtype)


if __name__ == "__main__":
    main()

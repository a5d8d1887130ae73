"""Train a Flax net on two devices: each has half of the batch, or half of the channels of every layer.

    python examples/sharded_jax.py [SPEC]

takes two devices that XLA makes of the CPU. `--backend flax:sharding` writes beside the net (lenet, if no SPEC is
given) a table of rules, which array is cut along which axis; its `shard` lays a model over a mesh of devices. What
they exchange XLA finds itself. The gradients are those of one device.
"""

from __future__ import annotations

import os
import sys

os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=2"

import jax
import numpy as np
import optax
from flax import nnx
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

import netdsl

BATCH, SIDE = 2, 64
"""Images are no larger than that."""


def mesh_of(data: int, model: int) -> Mesh:
    """Return a mesh of devices, over which XLA spreads what it computes as it likes: explicit axes Flax refuses."""
    axes = ("data", "model")
    return jax.make_mesh((data, model), axes, axis_types=(AxisType.Auto, AxisType.Auto))


@nnx.jit
def gradients(model: nnx.Module, images: jax.Array, labels: jax.Array) -> nnx.State:
    """Return the gradients of the mean loss."""

    def loss(model: nnx.Module) -> jax.Array:
        return optax.softmax_cross_entropy_with_integer_labels(model(images), labels).mean()

    return nnx.grad(loss)(model)


def flat(state: nnx.State) -> dict[str, np.ndarray]:
    """Return arrays by their paths."""
    return {".".join(map(str, path)): np.asarray(x.get_value()) for path, x in nnx.to_flat_state(state)}


def main(spec: str = "lenet") -> None:
    """Print for two meshes what a device holds, and how far the gradients are from those of one device."""
    (shape,) = netdsl.load(spec).inputs.values()
    net = netdsl.load(spec, inputs={"": (shape.c, min(shape.h, SIDE), min(shape.w, SIDE))})
    emitted: dict[str, object] = {}
    exec(compile(net.emit("flax:sharding"), net.name, "exec"), emitted)  # as a file that is imported
    rng = np.random.default_rng(0)
    (shape,) = net.inputs.values()
    images = rng.standard_normal((BATCH, shape.h, shape.w, shape.c), np.float32)
    labels = rng.integers(net.outputs["out"].c, size=BATCH)

    def made() -> nnx.Module:
        model = emitted[net.name](rngs=nnx.Rngs(0))
        model.eval()  # each device would drop other numbers
        return model

    right = flat(gradients(made(), images, labels))
    for data, parts in ((2, 1), (1, 2)):
        mesh = mesh_of(data, parts)
        model = made()
        emitted["shard"](model, mesh)
        batch = NamedSharding(mesh, PartitionSpec("data"))
        found = flat(gradients(model, jax.device_put(images, batch), jax.device_put(labels, batch)))
        apart = max(np.abs(found[key] - wanted).max() / np.abs(wanted).max() for key, wanted in right.items())
        arrays = jax.tree.leaves(nnx.state(model, nnx.Param))
        held = sum(x.addressable_shards[0].data.size for x in arrays)
        print(
            f"{net.name}, {data} parts of the batch, {parts} of the channels: a device holds {held:,} of "
            f"{net.cost().params:,} parameters, gradients are {apart:.1e} from those of one device"
        )


if __name__ == "__main__":
    main(*sys.argv[1:])

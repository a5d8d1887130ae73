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
"""Images are no larger than that where the net takes such."""


def mesh_of(data: int, model: int) -> Mesh:
    """Return a mesh of devices, over which XLA spreads what it computes as it likes: explicit axes Flax refuses."""
    axes = ("data", "model")
    return jax.make_mesh((data, model), axes, axis_types=(AxisType.Auto, AxisType.Auto))


@nnx.jit
def gradients(model: nnx.Module, images: list[jax.Array], labels: jax.Array) -> nnx.State:
    """Return the gradients of the mean loss of a net's own result, the first of several."""

    def loss(model: nnx.Module) -> jax.Array:
        output = model(*images)
        scores = output[0] if isinstance(output, tuple) else output
        if scores.shape[-1] == 1:  # how sure it is of yes
            return optax.sigmoid_binary_cross_entropy(scores[..., 0], labels).mean()
        return optax.softmax_cross_entropy_with_integer_labels(scores, labels).mean()

    return nnx.grad(loss)(model)


def flat(state: nnx.State) -> dict[str, np.ndarray]:
    """Return arrays by their paths."""
    return {".".join(map(str, path)): np.asarray(x.get_value()) for path, x in nnx.to_flat_state(state)}


def load(spec: str) -> netdsl.Network:
    """Return the net for small images, or as it was made where it takes no smaller ones."""
    net = netdsl.load(spec)
    small = {
        name: (shape.c, min(shape.h, SIDE), min(shape.w, SIDE)) if shape.axes == "chw" else tuple(shape)
        for name, shape in net.inputs.items()
    }
    try:
        return netdsl.load(spec, inputs=small)
    except netdsl.NetError:
        return net


def channels_last(shape: netdsl.Shape) -> list[int]:
    """Return the sizes of a value as Flax has it."""
    sizes = dict(zip(shape.axes, shape, strict=True))
    return [size for axis, size in sizes.items() if axis != "c"] + [shape.c]


def main(spec: str = "lenet") -> None:
    """Print for two meshes what a device holds, and how far the gradients are from those of one device."""
    net = load(spec)
    emitted: dict[str, object] = {}
    exec(compile(net.emit("flax:sharding"), net.name, "exec"), emitted)  # as a file that is imported
    rng = np.random.default_rng(0)
    images = [
        rng.standard_normal((BATCH, *channels_last(shape)), np.float32) for shape in net.inputs.values()
    ]
    *places, classes = channels_last(next(iter(net.outputs.values())))
    labels = rng.integers(max(classes, 2), size=(BATCH, *places))

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
        apart = max(
            np.abs(found[key] - wanted).max() / (np.abs(wanted).max() or 1) for key, wanted in right.items()
        )
        arrays = jax.tree.leaves(nnx.state(model, nnx.Param))
        held = sum(x.addressable_shards[0].data.size for x in arrays)
        print(
            f"{net.name}, {data} parts of the batch, {parts} of the channels: a device holds {held:,} of "
            f"{net.cost().params:,} parameters, gradients are {apart:.1e} from those of one device"
        )


if __name__ == "__main__":
    main(*sys.argv[1:])

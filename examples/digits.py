"""Train LeNet and a small residual network on scikit-learn's digits, in PyTorch and in Flax, and hold them together.

Both frameworks begin with the same weights, see the same batches in the same order, and make the same updates, so the
curves of their losses have to agree. They train in float64: in float32 a rounding turns a relu on or off now and
then, and the curve is another one from there (torch with two threads leaves torch with one thread as fast).

Then the trained weights change places, in float32: each framework has to give the other's answers, digit by digit.

    pip install "netdsl[torch,flax]" optax scikit-learn
    python examples/digits.py --epochs 12
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import torch
from flax import nnx
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch.nn import functional as F

import netdsl

RATE, MOMENTUM, BATCH = 0.05, 0.9, 32
GOAL = 0.97
"""What share of digits that it never saw a net has to find."""
APART = 1e-11
"""How far the mean losses of an epoch may be from each other."""


class Data(NamedTuple):
    """Images as arrays of the net's input shape, channels first, from 0 to 1; and what they show."""

    images: np.ndarray
    labels: np.ndarray
    unseen: np.ndarray
    answers: np.ndarray


class Trained(NamedTuple):
    """Weights by name, and the mean loss of each epoch."""

    weights: dict[str, Any]
    losses: list[float]


def digits(side: int) -> Data:
    """Return the digits, which are 8x8, with each pixel repeated up to that side; a fifth is kept unseen."""
    found = load_digits()
    images = (found.images / 16).astype(np.float32)[:, None]
    images = images.repeat(side // 8, axis=2).repeat(side // 8, axis=3)
    parts = train_test_split(images, found.target, test_size=0.2, random_state=0, stratify=found.target)
    return Data(parts[0], parts[2], parts[1], parts[3])


def batches(data: Data, epoch: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield an epoch's images and labels, in an order that its number decides; the last few are left out."""
    order = np.random.default_rng(epoch).permutation(len(data.labels))
    for start in range(0, len(order) - BATCH + 1, BATCH):
        chosen = order[start : start + BATCH]
        yield data.images[chosen], data.labels[chosen]


def train_torch(net: netdsl.Network, weights: dict[str, Any], data: Data, epochs: int) -> Trained:
    """Train the net in PyTorch, from these weights."""
    model = net.build("torch", weights=weights).double().train()
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE, momentum=MOMENTUM)
    losses = []
    for epoch in range(epochs):
        steps = []
        for images, labels in batches(data, epoch):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(torch.from_numpy(images).double()), torch.from_numpy(labels))
            loss.backward()
            optimizer.step()
            steps.append(loss.item())
        losses.append(float(np.mean(steps)))
    return Trained(model.state_dict(), losses)


def guess_torch(net: netdsl.Network, weights: dict[str, Any], data: Data) -> np.ndarray:
    """Return what the net takes the unseen images for, in PyTorch with these weights."""
    model = net.build("torch", weights=weights).eval()
    with torch.inference_mode():
        guesses: np.ndarray = model(torch.from_numpy(data.unseen)).argmax(1).numpy()
    return guesses


def train_flax(net: netdsl.Network, weights: dict[str, Any], data: Data, epochs: int) -> Trained:
    """Train the net in Flax, from these weights."""
    model = net.build("flax", weights=weights)
    model.train()
    nnx.update(model, jax.tree.map(lambda array: array.astype("float64"), nnx.state(model)))
    optimizer = nnx.Optimizer(model, optax.sgd(RATE, momentum=MOMENTUM), wrt=nnx.Param)

    @nnx.jit
    def step(model: nnx.Module, optimizer: nnx.Optimizer, images: jax.Array, labels: jax.Array) -> jax.Array:
        def loss(model: Any) -> jax.Array:
            return optax.softmax_cross_entropy_with_integer_labels(model(images), labels).mean()

        value, gradients = nnx.value_and_grad(loss)(model)
        optimizer.update(model, gradients)
        return value

    losses = []
    for epoch in range(epochs):
        steps = [
            step(model, optimizer, channels_last(images).astype("float64"), jnp.asarray(labels))
            for images, labels in batches(data, epoch)
        ]
        losses.append(float(np.mean(steps)))
    return Trained(flat(model), losses)


def guess_flax(net: netdsl.Network, weights: dict[str, Any], data: Data) -> np.ndarray:
    """Return what the net takes the unseen images for, in Flax with these weights."""
    model = net.build("flax", weights=weights)
    model.eval()
    return np.asarray(model(channels_last(data.unseen)).argmax(1))


def channels_last(images: np.ndarray) -> jax.Array:
    """Return images as Flax has them."""
    return jnp.asarray(images.transpose(0, 2, 3, 1))


def flat(model: nnx.Module) -> dict[str, Any]:
    """Return the weights and statistics of a Flax module by name, as torch's `state_dict` does."""
    state = nnx.state(model, nnx.Any(nnx.Param, nnx.BatchStat))
    return {".".join(map(str, path)): leaf.get_value() for path, leaf in nnx.to_flat_state(state)}


def compare(net: netdsl.Network, epochs: int) -> bool:
    """Train a net in both frameworks, print how they agree, and tell whether all is as it has to be."""
    (shape,) = net.inputs.values()
    data = digits(shape.h)
    torch.manual_seed(0)
    weights = net.build("torch").state_dict()
    ours = train_torch(net, weights, data, epochs)
    theirs = train_flax(net, netdsl.convert_weights(net, weights, "torch", "flax"), data, epochs)

    print(f"\n{net.name}, {shape}, {net.cost().params:,} parameters")
    print(f"{'epoch':>5} {'torch':>9} {'flax':>9} {'apart':>8}")
    apart = [abs(a - b) for a, b in zip(ours.losses, theirs.losses, strict=True)]
    for epoch, (a, b, difference) in enumerate(zip(ours.losses, theirs.losses, apart, strict=True), 1):
        print(f"{epoch:5} {a:9.6f} {b:9.6f} {difference:8.1e}")

    to_flax = netdsl.convert_weights(net, ours.weights, "torch", "flax")
    to_torch = netdsl.convert_weights(net, theirs.weights, "flax", "torch")
    in_torch = guess_torch(net, ours.weights, data), guess_torch(net, to_torch, data)
    in_flax = guess_flax(net, to_flax, data), guess_flax(net, theirs.weights, data)
    good = max(apart) < APART
    for trained, one, other in zip(("torch", "flax"), in_torch, in_flax, strict=True):
        right, same = int((one == data.answers).sum()), int((one == other).sum())
        print(
            f"weights of {trained}: {right} of {len(one)} right in torch, "
            f"{int((other == data.answers).sum())} in flax, {same} answers the same"
        )
        good = good and same == len(one) and right > GOAL * len(one)
    return good


def main() -> int:
    """Compare both nets; return 0 if all is as it has to be."""
    parser = ArgumentParser(description="Train on digits in PyTorch and in Flax.")
    parser.add_argument("--epochs", type=int, default=12)
    jax.config.update("jax_enable_x64", True)
    torch.set_num_threads(1)  # the nets are small: more threads would wait for each other
    epochs = parser.parse_args().epochs
    nets = [netdsl.load("lenet"), netdsl.load(str(Path(__file__).with_name("digits.net")))]
    return 0 if all([compare(net, epochs) for net in nets]) else 1


if __name__ == "__main__":
    sys.exit(main())

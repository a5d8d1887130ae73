"""Models that nobody here wrote, under the names of the nets that are promised to equal them."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from conftest import import_torchvision
from torch import Tensor, nn


class Reference(NamedTuple):
    """A model of another library, and how near a net comes to it."""

    library: str
    """torchvision or timm."""
    name: str
    side: int = 64
    """The side of a small input that it takes, for outputs and gradients."""
    arguments: Mapping[str, Any] = {}
    """What the model is made with to take an input of that side, and in the form that the spec has."""
    params: Mapping[str, Any] = {}
    """Arguments of the net that mean the same."""
    same_keys: bool = True
    """Whether the keys of the state are equal; else their order and shapes are."""
    bound: float = 0.0
    """The largest relative error in float64; 0: bit-equal in float32."""
    reason: str = ""
    """Why it is not bit-equal, or its keys have other names."""


def _torchvision(*names: str, side: int = 64, **rest: Any) -> dict[str, Reference]:
    return {name: Reference("torchvision", name, side, **rest) for name in names}


def _timm(side: int = 64, /, **names: str) -> dict[str, Reference]:
    return {name: Reference("timm", theirs, side) for name, theirs in names.items()}


REFERENCES: dict[str, Reference] = {
    **_torchvision("alexnet"),
    **_torchvision(*(f"vgg{depth}{bn}" for depth in (11, 13, 16, 19) for bn in ("", "_bn")), side=32),
    **_torchvision(*(f"resnet{depth}" for depth in (18, 34, 50, 101, 152)), side=32),
    **_torchvision("resnext50_32x4d", "resnext101_32x8d", "resnext101_64x4d", side=32),
    **_torchvision("wide_resnet50_2", "wide_resnet101_2", side=32),
}
"""By net."""


def make(reference: Reference, device: str = "cpu", **arguments: Any) -> nn.Module:
    """Return a reference's model; on the CPU with random numbers in every tensor of its state."""
    arguments = {**reference.arguments, **arguments}
    with warnings.catch_warnings(), torch.device("meta"):
        warnings.simplefilter("ignore", FutureWarning)  # googlenet's, on its slow initialisation
        torchvision = import_torchvision()  # timm imports it
        if reference.library == "torchvision":
            model: nn.Module = getattr(torchvision.models, reference.name)(weights=None, **arguments)
        else:
            import timm

            model = timm.create_model(reference.name, **arguments)
    return model if device == "meta" else randomised(model)


def randomised(model: nn.Module, seed: int = 0) -> nn.Module:
    """Put numbers into a model without any, so that no norm is the identity and no output vanishes or overflows.

    A library's own initialisation may take minutes, and leaves statistics at 0 and 1.
    """
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(1 << 20, generator=generator)
    model.to_empty(device="cpu")
    with torch.no_grad():
        for number, (name, tensor) in enumerate(model.state_dict().items()):
            if not tensor.is_floating_point():
                tensor.zero_()
                continue
            repeats = -(-tensor.numel() // noise.numel())
            own = noise.roll(number * 7919).repeat(repeats)[: tensor.numel()].view(tensor.shape)
            tensor.copy_(_scaled(name, own))
    return model


def _scaled(name: str, noise: Tensor) -> Tensor:
    """Return numbers of the size that a tensor of that name and shape usually has."""
    if name.endswith("running_var"):
        return 1 + 0.4 * noise.tanh()
    if noise.dim() < 2:
        return 1 + 0.4 * noise.tanh() if name.endswith("weight") else 0.2 * noise
    fan_in = noise[0].numel()
    return noise / fan_in**0.5

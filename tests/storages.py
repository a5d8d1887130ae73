"""What is alive while torch runs, in bytes of storages: forward, kept for backward, in a step of training.

Tests and benchmarks share it.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

OPTIMIZERS: dict[str, Callable[[list[nn.Parameter]], torch.optim.Optimizer]] = {
    "sgd": lambda parameters: torch.optim.SGD(parameters, 0.01),
    "momentum": lambda parameters: torch.optim.SGD(parameters, 0.01, momentum=0.9),
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
}
"""Torch's, by the names that netdsl has for them."""


def held_by(module: nn.Module) -> list[Tensor]:
    """Return what a module itself holds: its parameters and buffers."""
    return [*module.parameters(), *module.buffers()]


class Tracker(TorchDispatchMode):
    """The storages that are alive, and the most bytes that ever were."""

    def __init__(self, counted: Iterable[Tensor] = (), own: Iterable[Tensor] = ()) -> None:
        """Begin with some tensors, and never count others."""
        super().__init__()
        self.own = {tensor.untyped_storage()._cdata for tensor in own}
        self.sizes: dict[int, int] = {}
        self.bytes = self.peak = 0
        for tensor in counted:
            self.add(tensor)

    def add(self, tensor: Tensor) -> None:
        """Count a tensor's storage, until it is gone."""
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key not in self.sizes and key not in self.own:
            self.sizes[key] = storage.nbytes()
            self.bytes += storage.nbytes()
            self.peak = max(self.peak, self.bytes)
            weakref.finalize(storage, self.drop, key)

    def drop(self, key: int) -> None:
        """Count a storage no more."""
        self.bytes -= self.sizes.pop(key)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for tensor in tree_flatten(out)[0]:
            if isinstance(tensor, Tensor):
                self.add(tensor)
        return out


class _Saved:
    """What autograd keeps in the place of a tensor."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor.detach()  # which does not hold what made it


def kept(module: nn.Module, *x: Tensor) -> tuple[int, Any]:
    """Return the bytes of all storages that autograd keeps and that are no module's, and the output."""
    own = {tensor.untyped_storage()._cdata for tensor in held_by(module)}
    saved: weakref.WeakSet[_Saved] = weakref.WeakSet()

    def pack(tensor: Tensor) -> _Saved:
        one = _Saved(tensor)
        saved.add(one)
        return one

    with saved_tensors_hooks(pack, lambda one: one.tensor):
        out = module(*x)
    found = {one.tensor.untyped_storage()._cdata: one.tensor.untyped_storage() for one in saved}
    return sum(storage.nbytes() for key, storage in found.items() if key not in own), out


def step_peaks(
    model: nn.Module, x: Sequence[Tensor], optimizer: str, steps: int = 2
) -> tuple[list[int], int]:
    """Return the peaks of steps of training, and what the optimizer holds after them.

    The loss is the sum of all that the model returns.
    """
    made = OPTIMIZERS[optimizer](list(model.parameters()))
    tracker, peaks = Tracker([*held_by(model), *x]), []
    for _ in range(steps):
        with tracker:
            made.zero_grad(set_to_none=True)
            tracker.peak = tracker.bytes
            out = model(*x)
            loss = sum(y.sum() for y in ((out,) if isinstance(out, Tensor) else out) if y is not None)
            del out
            assert isinstance(loss, Tensor)
            loss.backward()  # type: ignore[no-untyped-call]
            made.step()
            del loss
        peaks.append(tracker.peak)
    state = [t for each in made.state.values() for t in each.values() if isinstance(t, Tensor)]
    return peaks, sum(tensor.untyped_storage().nbytes() for tensor in state)

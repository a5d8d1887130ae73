"""Memory of emitted modules against torchvision's, in bytes: peak in evaluation, and what training keeps.

Both count storages, once each, without the weights, buffers and input: the peak is the largest sum alive at any time
while a sample of 3x224x224 goes through (batch 1); what is kept is the sum over `saved_tensors_hooks` in
training (batch 2, 3x64x64). Sizes do not depend on the machine.
"""

from __future__ import annotations

import weakref
from typing import Any

import torch
from reference import NETS, emitted_model, torchvision_model
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten


class Tracker(TorchDispatchMode):
    """The storages that are alive, and the most that ever were."""

    def __init__(self, model: nn.Module) -> None:
        """Leave out what the model itself holds."""
        super().__init__()
        self.own = {t.untyped_storage()._cdata for t in (*model.parameters(), *model.buffers())}
        self.sizes: dict[int, int] = {}
        self.peak = 0

    def add(self, tensor: Tensor) -> None:
        """Count a tensor's storage, until it is gone."""
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key not in self.sizes and key not in self.own:
            self.sizes[key] = storage.nbytes()
            weakref.finalize(storage, self.sizes.pop, key, None)
            self.peak = max(self.peak, sum(self.sizes.values()))

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for tensor in tree_flatten(out)[0]:
            if isinstance(tensor, Tensor):
                self.add(tensor)
        return out


def peak(model: nn.Module, side: int = 224) -> int:
    """Return the peak in evaluation."""
    tracker = Tracker(model)
    model.eval()
    with torch.no_grad(), tracker:
        model(torch.empty(1, 3, side, side, device="meta"))
    return tracker.peak


def kept(model: nn.Module, side: int = 64) -> int:
    """Return what a training step keeps for backward."""
    own = {t.untyped_storage()._cdata for t in (*model.parameters(), *model.buffers())}
    found: dict[int, tuple[int, Tensor]] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in own:
            found[storage._cdata] = storage.nbytes(), tensor
        return tensor

    model.train()
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        out = model(torch.empty(2, 3, side, side, device="meta"))
    total = sum(size for size, _ in found.values())
    del out
    return total


def measure(name: str) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return peak and what is kept, each emitted and torchvision's."""
    with torch.device("meta"):
        ours, theirs = emitted_model(name), torchvision_model(name)
    return (peak(ours), peak(theirs)), (kept(ours), kept(theirs))


def main() -> None:
    """Print a table."""
    print(f"{'net':18} {'peak':>12} {'torchvision':>12} {'kept':>12} {'torchvision':>12}")
    for name in NETS:
        peaks, saved = measure(name)
        print(f"{name:18} {peaks[0]:12,} {peaks[1]:12,} {saved[0]:12,} {saved[1]:12,}", flush=True)


if __name__ == "__main__":
    main()

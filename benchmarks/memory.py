"""Memory of emitted modules against torchvision's, in bytes: peak in evaluation, and what training keeps.

Both count storages, once each, without the weights, buffers and input: the peak is the largest sum alive at any time
while a sample of 3x224x224 goes through (batch 1); what is kept is the sum over `saved_tensors_hooks` in
training (batch 2, 3x64x64). Sizes do not depend on the machine.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from reference import NETS, emitted_model, torchvision_model
from torch import nn

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import storages
from storages import Tracker, held_by


def peak(model: nn.Module, side: int = 224) -> int:
    """Return the peak in evaluation."""
    tracker = Tracker(own=held_by(model))
    model.eval()
    with torch.no_grad(), tracker:
        model(torch.empty(1, 3, side, side, device="meta"))
    return tracker.peak


def kept(model: nn.Module, side: int = 64) -> int:
    """Return what a training step keeps for backward."""
    return storages.kept(model.train(), torch.empty(2, 3, side, side, device="meta"))[0]


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

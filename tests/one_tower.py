"""What one process does in tests/test_towers.py: a step of training of its tower.

Arguments: a folder, a net, and "draws" where only outputs are wanted, with dropout.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from storages import kept, step_peaks
from torch import Tensor, nn


@contextmanager
def counted() -> Iterator[list[int]]:
    """Count the bytes that others send to this process."""
    received: list[int] = []
    gather, scatter, reduce = dist.all_gather, dist.reduce_scatter, dist.all_reduce
    others = dist.get_world_size() - 1

    def all_gather(shares: list[Tensor], share: Tensor) -> None:
        received.append(sum(one.nbytes for one in shares) - share.nbytes)
        gather(shares, share)

    def reduce_scatter(summed: Tensor, shares: list[Tensor]) -> None:
        received.append(others * summed.nbytes)
        scatter(summed, shares)

    def all_reduce(summed: Tensor) -> None:
        around = summed.numel() - summed.numel() // dist.get_world_size()
        received.append(
            2 * around * summed.itemsize
        )  # parts of the sum around the ring, and then the parts of all
        reduce(summed)

    dist.all_gather, dist.reduce_scatter, dist.all_reduce = all_gather, reduce_scatter, all_reduce
    yield received
    dist.all_gather, dist.reduce_scatter, dist.all_reduce = gather, scatter, reduce


def main(folder: Path, name: str, draws: bool) -> None:
    """Take a step, and write the gradients, buffers and outputs of this device; or only outputs with dropout."""
    dist.init_process_group("gloo", timeout=timedelta(seconds=60))
    given: dict[str, Any] = torch.load(folder / "given.pt")
    sys.path.insert(0, str(folder))
    module = import_module(f"{name}_towers")
    model: Any = getattr(module, given["class"])().double()
    model.load_share(given["state"])
    if draws:
        torch.manual_seed(dist.get_rank())
        torch.save(model.train()(*given["inputs"]), folder / f"drawn{dist.get_rank()}.pt")
        dist.destroy_process_group()
        return
    peaks, _ = step_peaks(deepcopy(model), given["inputs"], "sgd", 3)
    keeps, _ = kept(deepcopy(model), *given["inputs"])
    for layer in model.modules():
        if isinstance(layer, nn.Dropout):
            layer.p = 0.0
        if isinstance(layer, nn.MultiheadAttention):
            layer.dropout = 0.0
    with torch.no_grad():
        evaluated = model.eval()(*given["inputs"])
    model.train()
    with counted() as received:
        outputs = model(*given["inputs"])
        outputs = [outputs] if isinstance(outputs, Tensor) else list(outputs)
        loss = torch.stack([(y * w).sum() for y, w in zip(outputs, given["weights"], strict=True)]).sum()
        loss.backward()
    print(json.dumps({"received": sum(received), "kept": keeps, "peak": min(peaks)}))
    gradients = {key: x.grad for stage in model.children() for key, x in stage.named_parameters()}
    evaluated = [evaluated] if isinstance(evaluated, Tensor) else list(evaluated)
    found = {
        "outputs": outputs,
        "evaluated": evaluated,
        "gradients": gradients,
        "state": model.share(),
        "whole": model.whole_state(),
    }
    torch.save(found, folder / f"found{dist.get_rank()}.pt")
    dist.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], draws="draws" in sys.argv[3:])

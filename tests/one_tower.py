"""What one process does in tests/test_towers.py: a step of training of its tower. Arguments: a folder, a net."""

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
from storages import kept
from torch import Tensor, nn


@contextmanager
def counted() -> Iterator[list[int]]:
    """Count the bytes that others send to this process."""
    received: list[int] = []
    gather, scatter, others = dist.all_gather, dist.reduce_scatter, dist.get_world_size() - 1

    def all_gather(shares: list[Tensor], share: Tensor) -> None:
        received.append(sum(one.nbytes for one in shares) - share.nbytes)
        gather(shares, share)

    def reduce_scatter(summed: Tensor, shares: list[Tensor]) -> None:
        received.append(others * summed.nbytes)
        scatter(summed, shares)

    dist.all_gather, dist.reduce_scatter = all_gather, reduce_scatter
    yield received
    dist.all_gather, dist.reduce_scatter = gather, scatter


def main(folder: Path, name: str) -> None:
    """Take a step, and write the gradients, buffers and outputs of this device."""
    dist.init_process_group("gloo", timeout=timedelta(seconds=60))
    given: dict[str, Any] = torch.load(folder / "given.pt")
    sys.path.insert(0, str(folder))
    module = import_module(f"{name}_towers")
    model: Any = getattr(module, given["class"])().double()
    model.load_share(given["state"])
    keeps, _ = kept(deepcopy(model), *given["inputs"])
    for layer in model.modules():
        if isinstance(layer, nn.Dropout):
            layer.p = 0.0
    with counted() as received:
        outputs = model(*given["inputs"])
        outputs = [outputs] if isinstance(outputs, Tensor) else list(outputs)
        loss = torch.stack([(y * w).sum() for y, w in zip(outputs, given["weights"], strict=True)]).sum()
        loss.backward()
    print(json.dumps({"received": sum(received), "kept": keeps}))
    gradients = {key: x.grad for stage in model.children() for key, x in stage.named_parameters()}
    found = {"outputs": outputs, "gradients": gradients, "state": model.share()}
    torch.save(found, folder / f"found{dist.get_rank()}.pt")
    dist.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])

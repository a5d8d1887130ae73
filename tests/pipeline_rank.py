"""One process of a pipeline under test: runs its part of each net, and writes down what it made, moved and kept.

`python pipeline_rank.py FOLDER RANK`: the folder holds a folder for each run, with the files of `netdsl split` and
`run.pt`: the name of the net, its state, a batch. What is found is written there as `found{RANK}.pt`.
"""

from __future__ import annotations

import sys
import weakref
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from netdsl_torch.run import without_dropout
from storages import held_by
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

TIMEOUT = timedelta(seconds=90)


def loss_of(output: Tensor | tuple[Tensor, ...], target: Tensor) -> Tensor:
    """Return a loss of all that a net returns."""
    outputs = (output,) if isinstance(output, Tensor) else output
    return sum((number * value.square().mean() for number, value in enumerate(outputs, 1)), target.sum())


class Saved:
    """What autograd keeps in the place of a tensor."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor.detach()


class Kept:
    """The bytes that autograd keeps of the forward passes of a part: the most that ever were."""

    def __init__(self, part: nn.Module, batch: Tensor) -> None:
        """Look at each forward pass; `batch` is what micro-batches are views of, each of which counts as its own."""
        self.batch = batch.untyped_storage()._cdata
        self.own = {tensor.untyped_storage()._cdata for tensor in held_by(part)}
        self.alive: weakref.WeakSet[Saved] = weakref.WeakSet()
        self.peak = 0
        self.hooks = saved_tensors_hooks(self.pack, lambda one: one.tensor)
        self.handles = (
            part.register_forward_pre_hook(lambda *_: self.hooks.__enter__()),
            part.register_forward_hook(self.measure),
        )

    def pack(self, tensor: Tensor) -> Saved:
        """Take note of a tensor."""
        one = Saved(tensor)
        self.alive.add(one)
        return one

    def measure(self, *_: object) -> None:
        """Count what is alive."""
        self.hooks.__exit__(None, None, None)
        sizes: dict[int, int] = {}
        for one in self.alive:
            storage = one.tensor.untyped_storage()
            if storage._cdata == self.batch:
                sizes[one.tensor.data_ptr()] = one.tensor.nbytes
            elif storage._cdata not in self.own:
                sizes[storage._cdata] = storage.nbytes()
        self.peak = max(self.peak, sum(sizes.values()))

    def stop(self) -> None:
        """Look no more."""
        for handle in self.handles:
            handle.remove()


def run(folder: Path, rank: int) -> dict[str, Any]:
    """Run one part of one net; return what came of it."""
    given = torch.load(folder / "run.pt", mmap=True)
    sys.path.insert(0, str(folder))
    program = import_module(f"{given['name']}_pipeline")
    sys.path.pop(0)
    part, x = program.PARTS[rank](), given["x"]
    last = rank == len(program.PARTS) - 1
    kept = Kept(part, x)
    device = torch.device("cpu")
    schedule = getattr(program, given["schedule"])(
        program.stage_of(part, rank, device), program.MICRO_BATCHES, loss_of
    )

    def step() -> Any:
        part.zero_grad()
        return schedule.step(*([x] if rank == 0 else []), **({"target": torch.zeros(len(x))} if last else {}))

    step()  # with dropout as it is, which keeps something
    kept.stop()
    without_dropout(part)
    program.load_part(part, given["state"])
    outputs: Any = None
    for _ in range(given["steps"]):
        outputs = step()
    return {
        "state": part.state_dict(),
        "gradients": {name: parameter.grad for name, parameter in part.named_parameters()},
        "outputs": None if outputs is None else (outputs,) if isinstance(outputs, Tensor) else tuple(outputs),
        "saved": kept.peak,
    }


def main(folder: Path, rank: int) -> None:
    """Run all that is asked for."""
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2, timeout=TIMEOUT
    )
    for one in sorted(path for path in folder.iterdir() if path.is_dir()):
        torch.save(run(one, rank), one / f"found{rank}.pt")
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))

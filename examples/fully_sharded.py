"""Train a net whose weights are spread over two processes, block by block: fully_shard, known as FSDP2.

    python examples/fully_sharded.py [SPEC]

starts both with torchrun. Each keeps half of every weight, gradient and state of the optimizer, and gathers a block
(resnet18's, if no SPEC is given) when it is computed. The blocks are those of the spec: a class each in the emitted
module. The gradients are those of a process that sees the whole batch.
"""

from __future__ import annotations

import os
import sys
from copy import deepcopy

import torch
import torch.distributed as dist
from data_parallel import PROCESSES, TIMEOUT, apart, load, loss_of, made, own_part, start
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard


def blocks(model: nn.Module) -> list[nn.Module]:
    """Return the blocks of a net that hold weights, inner ones first: their classes are in the net's own module."""
    home = type(model).__module__
    inner = [layer for layer in model.modules() if type(layer).__module__ == home and layer is not model]
    return [layer for layer in reversed(inner) if any(True for _ in layer.parameters())]


def main(spec: str = "resnet18") -> None:
    """Take a step, and print what a process holds, and how far the gradients are from those of one process."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", timeout=TIMEOUT)
    net = load(spec)
    model, images, labels = made(net)
    alone = deepcopy(model)

    mesh = init_device_mesh("cpu", (PROCESSES,))
    units = blocks(model)
    for block in units:
        fully_shard(block, mesh=mesh)
    fully_shard(model, mesh=mesh)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    loss_of(model(*map(own_part, images)), own_part(labels)).backward()
    gradients = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    found: dict[str, Tensor] = {name: gradient.full_tensor() for name, gradient in gradients.items()}
    optimizer.step()

    if dist.get_rank() == 0:
        own = sum(p.to_local().numel() for p in model.parameters())
        print(f"{net.name}: {len(units)} blocks; a process holds {own:,} of {net.cost().params:,} parameters")
        print(f"gradients are {apart(found, alone, images, labels):.1e} from those of one process")
    dist.barrier()  # or one ends while the other still speaks to it
    dist.destroy_process_group()


if __name__ == "__main__":
    if "RANK" not in os.environ:
        sys.exit(start(__file__))
    main(*sys.argv[1:])

"""Train a net on two processes, each of which sees half of each batch: DistributedDataParallel.

    python examples/data_parallel.py [SPEC]

starts both with torchrun. Each holds the whole net (vgg16 if no SPEC is given), whose gradients are exchanged: what
that sends is counted, and held against the parameters that netdsl counts. The gradients are those of a process that
sees the whole batch.
"""

import os
import subprocess
import sys
from copy import deepcopy
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import allreduce_hook
from torch.futures import Future
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel

import netdsl

PROCESSES, BATCH, SIDE = 2, 4, 32
"""A batch is divided among the processes; images are no larger than that, whatever the net was made for."""
TIMEOUT = timedelta(seconds=60)
"""How long a process waits for another one. One that ends is noticed at once, by torchrun and by its peers."""


def start(script: str) -> int:
    """Run a script in two processes, and return the exit status: not 0 as soon as one of them fails."""
    command = ["torch.distributed.run", "--standalone", "--nproc-per-node", str(PROCESSES), script]
    return subprocess.call([sys.executable, "-m", *command, *sys.argv[1:]])


def load(spec: str) -> netdsl.Network:
    """Return the net for small images."""
    (shape,) = netdsl.load(spec).inputs.values()
    return netdsl.load(spec, inputs={"": (shape.c, min(shape.h, SIDE), min(shape.w, SIDE))})


def made(net: netdsl.Network) -> tuple[nn.Module, Tensor, Tensor]:
    """Return the same model, images and labels in every process.

    The model is in evaluation, where it can be compared: in training each process drops other numbers, and its
    batch norms see its own half of a batch.
    """
    torch.manual_seed(0)
    (shape,) = net.inputs.values()
    model: nn.Module = net.build("torch").eval()
    return model, torch.randn(BATCH, *shape), torch.randint(net.outputs["out"].c, (BATCH,))


def own_part(x: Tensor) -> Tensor:
    """Return the part of a batch that this process sees."""
    return x.chunk(PROCESSES)[dist.get_rank()]


def apart(found: dict[str, Tensor], model: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Return how far gradients are from those of one process, in parts of the largest of a parameter's."""
    F.cross_entropy(model(images), labels).backward()
    right = {name: parameter.grad for name, parameter in model.named_parameters()}
    return max(
        float((found[name] - g).abs().max() / g.abs().max()) for name, g in right.items() if g is not None
    )


def main(spec: str = "vgg16") -> None:
    """Take a step, and print what it sends, and how far its gradients are from those of one process."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", timeout=TIMEOUT)
    net = load(spec)
    model, images, labels = made(net)
    alone = deepcopy(model)

    sent: list[int] = []

    def counted(state: object, bucket: dist.GradBucket) -> Future[Tensor]:
        sent.append(bucket.buffer().nbytes)
        return allreduce_hook(None, bucket)  # type: ignore[arg-type]

    parallel = DistributedDataParallel(model)
    parallel.register_comm_hook(None, counted)
    print(f"process {os.getpid()} begins", flush=True)
    F.cross_entropy(parallel(own_part(images)), own_part(labels)).backward()

    if dist.get_rank() == 0:
        found = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
        computed = 4 * net.cost().params
        print(f"{net.name}: gradients of a step: computed {computed:,} bytes, measured {sum(sent):,}")
        each = 2 * (PROCESSES - 1) * computed // PROCESSES
        print(f"in a ring each of {PROCESSES} processes sends {each:,} bytes")
        print(f"gradients are {apart(found, alone, images, labels):.1e} from those of one process")
    dist.destroy_process_group()


if __name__ == "__main__":
    if "RANK" not in os.environ:
        sys.exit(start(__file__))
    main(*sys.argv[1:])

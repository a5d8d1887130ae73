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
"""A batch is divided among the processes; images are no larger than that where the net takes such."""
TIMEOUT = timedelta(seconds=60)
"""How long a process waits for another one. One that ends is noticed at once, by torchrun and by its peers."""


def start(script: str) -> int:
    """Run a script in two processes, and return the exit status: not 0 as soon as one of them fails."""
    command = ["torch.distributed.run", "--standalone", "--nproc-per-node", str(PROCESSES), script]
    return subprocess.call([sys.executable, "-m", *command, *sys.argv[1:]])


def load(spec: str, side: int = SIDE) -> netdsl.Network:
    """Return the net for small images, or as it was made where it takes no smaller ones."""
    net = netdsl.load(spec)
    small = {
        name: (shape.c, min(shape.h, side), min(shape.w, side)) if shape.axes == "chw" else tuple(shape)
        for name, shape in net.inputs.items()
    }
    try:
        return netdsl.load(spec, inputs=small)
    except netdsl.NetError:
        return net


def made(net: netdsl.Network) -> tuple[nn.Module, list[Tensor], Tensor]:
    """Return the same model, images of each input, and labels of each place, in every process.

    The model is in evaluation, where it can be compared: in training each process drops other numbers, and its
    batch norms see its own part of a batch. What only training makes has no gradients then, and is left out.
    """
    torch.manual_seed(0)
    model: nn.Module = net.build("torch").eval()
    images = [torch.randn(BATCH, *shape) for shape in net.inputs.values()]
    shape = next(iter(net.outputs.values()))
    places = [size for axis, size in zip(shape.axes, shape, strict=True) if axis != "c"]
    return model, images, torch.randint(max(shape.c, 2), (BATCH, *places))


def loss_of(output: Tensor | tuple[Tensor, ...], labels: Tensor) -> Tensor:
    """Return the mean loss of a net's own result, the first of several."""
    scores = output if isinstance(output, Tensor) else output[0]
    if scores.shape[1] == 1:  # how sure it is of yes
        return F.binary_cross_entropy_with_logits(scores[:, 0], labels.to(scores.dtype))
    return F.cross_entropy(scores, labels)


def own_part(x: Tensor) -> Tensor:
    """Return the part of a batch that this process sees."""
    return x.chunk(PROCESSES)[dist.get_rank()]


def apart(found: dict[str, Tensor], model: nn.Module, images: list[Tensor], labels: Tensor) -> float:
    """Return how far gradients are from those of one process, in parts of the largest of a parameter's."""
    loss_of(model(*images), labels).backward()
    right = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    return max(float((found[name] - g).abs().max() / (g.abs().max() or 1)) for name, g in right.items())


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

    idle = any(node.train for node in net.graph)  # what only training makes gets no gradients here
    parallel = DistributedDataParallel(model, find_unused_parameters=idle)
    parallel.register_comm_hook(None, counted)
    print(f"process {os.getpid()} begins", flush=True)
    loss_of(parallel(*map(own_part, images)), own_part(labels)).backward()

    if dist.get_rank() == 0:
        found = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
        computed = 4 * net.cost().params
        print(f"{net.name}: gradients of a step: computed {computed:,} bytes, measured {sum(sent):,}")
        each = 2 * (PROCESSES - 1) * computed // PROCESSES
        print(f"in a ring each of {PROCESSES} processes sends {each:,} bytes")
        print(f"gradients are {apart(found, alone, images, labels):.1e} from those of one process")
    dist.barrier()  # or one ends while the other still speaks to it
    dist.destroy_process_group()


if __name__ == "__main__":
    if "RANK" not in os.environ:
        sys.exit(start(__file__))
    main(*sys.argv[1:])
    sys.stdout.flush()
    # DistributedDataParallel keeps threads of gloo, and one that is not done as Python ends aborts it
    os._exit(0)

"""The program that runs the parts of a net as a pipeline, on torch.distributed.pipelining."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat

from netdsl import __version__
from netdsl.backend import PipelineRun
from netdsl.net import Net

SCHEDULES = {"1f1b": "Schedule1F1B", "gpipe": "ScheduleGPipe"}

_TEXT = '''"""{name} in {count} parts as a pipeline, compiled by netdsl {version}: one process for each.

    torchrun --nproc-per-node {count} {name}_pipeline.py

trains on random numbers, to see that it runs: put your own into `batches` and `loss_of`. Batch normalisation
takes the statistics of a micro-batch, and moves its running statistics with each.
"""

import os
from collections.abc import Iterator, Mapping

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.pipelining import PipelineStage, {schedule}
from torch.nn import functional as F

{imports}

PARTS = (
{factories}
)
MICRO_BATCHES = {micro_batches}
MICRO_BATCH = {micro_batch}
"""How many samples one has."""
DTYPE = torch.{dtype}

Value = tuple[str, tuple[int, ...], bool]
"""A tensor between parts: its name, its sizes for one sample, and whether it has a gradient."""
INPUTS: list[list[Value]] = [
{inputs}
]
"""What each part is given: the first the inputs of the net, others what the one before returns, in order."""
OUTPUTS: list[Value] = [
{outputs}
]
"""What the last part returns in training."""


def examples(values: list[Value], micro_batch: int, dtype: torch.dtype) -> tuple[Tensor, ...]:
    """Return what tensors are like, without numbers."""
    return tuple(
        torch.empty(micro_batch, *sizes, dtype=dtype, device="meta", requires_grad=learned)
        for _, sizes, learned in values
    )


Tensors = Tensor | tuple[Tensor, ...]
"""What a part returns."""


def as_sent(part: nn.Module, args: tuple[Tensor, ...], output: Tensors) -> Tensors:
    """Return what a part returns as what can be sent: tensors that lie in order, and no tuple with names."""
    if isinstance(output, Tensor):
        return output.contiguous()
    return tuple([value.contiguous() for value in output])


def stage_of(
    part: nn.Module,
    rank: int,
    device: torch.device,
    micro_batch: int = MICRO_BATCH,
    dtype: torch.dtype = DTYPE,
) -> PipelineStage:
    """Return a part as a stage, which is told all sizes: finding them out would move running statistics."""
    part.register_forward_hook(as_sent)
    given = examples(INPUTS[rank], micro_batch, dtype)
    made = examples(OUTPUTS if rank == len(PARTS) - 1 else INPUTS[rank + 1], micro_batch, dtype)
    return PipelineStage(part, rank, len(PARTS), device, input_args=given, output_args=made)


def load_part(part: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Take a part's own tensors from the state of the whole net."""
    part.load_state_dict({{key: state[key] for key in part.state_dict()}})


def whole_state(states: list[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Return the state of the whole net from those of all parts: each key is in one of them."""
    return {{key: value for state in states for key, value in state.items()}}


def batches(steps: int) -> Iterator[tuple[tuple[Tensor, ...], Tensor]]:
    """Yield the inputs of some steps, and the classes that are right."""
    size = MICRO_BATCHES * MICRO_BATCH
    for step in range(steps):
        torch.manual_seed(step)
        inputs = tuple(torch.randn(size, *sizes, dtype=DTYPE) for _, sizes, _ in INPUTS[0])
        classes, *places = OUTPUTS[0][1]
        yield inputs, torch.randint(classes, (size, *places))


def loss_of(output: Tensors, target: Tensor) -> Tensor:
    """Return the mean loss of a micro-batch: of the net's result, the first that it returns."""
    return F.cross_entropy(output if isinstance(output, Tensor) else output[0], target)


def main(steps: int = 3) -> None:
    """Train for some steps."""
    if os.environ.get("WORLD_SIZE") != str(len(PARTS)):
        raise SystemExit(f"torchrun --nproc-per-node {{len(PARTS)}}: a process for each part")
    cuda = torch.cuda.is_available()
    device = torch.device("cuda", int(os.environ["LOCAL_RANK"])) if cuda else torch.device("cpu")
    dist.init_process_group()
    rank = dist.get_rank()
    torch.manual_seed(rank)
    part = PARTS[rank]().to(device, DTYPE)
    parameters = list(part.parameters())
    optimizer = torch.optim.SGD(parameters, 0.01) if parameters else None
    schedule = {schedule}(stage_of(part, rank, device), MICRO_BATCHES, loss_of)
    for step, (inputs, target) in enumerate(batches(steps)):
        part.zero_grad()
        losses: list[Tensor] = []
        given = [value.to(device) for value in inputs] if rank == 0 else []
        if rank == len(PARTS) - 1:
            schedule.step(*given, target=target.to(device), losses=losses)
            print(f"step {{step}}: loss {{torch.stack(losses).mean():.4f}}")
        else:
            schedule.step(*given)
        if optimizer is not None:
            optimizer.step()
    torch.save(part.state_dict(), f"{name}_part{{rank}}.pt")
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
'''


def program(name: str, parts: Sequence[Net], learned: Sequence[Sequence[bool]], run: PipelineRun) -> str:
    """Return the source of the program."""
    inputs = [
        "\n".join(["    [", *map(_value, part.inputs.items(), flags, repeat(2)), "    ],"])
        for part, flags in zip(parts, learned, strict=True)
    ]
    return _TEXT.format(
        name=name,
        count=len(parts),
        version=__version__,
        imports="\n".join(f"from {part.name} import {part.name}" for part in parts),
        factories="\n".join(f"    {part.name}," for part in parts),
        micro_batch=run.micro_batch,
        micro_batches=run.micro_batches,
        schedule=SCHEDULES[run.schedule],
        dtype=run.dtype,
        inputs="\n".join(inputs),
        outputs="\n".join(_value(item, True) for item in parts[-1].outputs.items()),
    )


def _value(item: tuple[str, Sequence[int]], learned: bool, depth: int = 1) -> str:
    """Return a line for a tensor between parts."""
    name, shape = item
    return f'{"    " * depth}("{name}", {tuple(shape)!r}, {learned}),'

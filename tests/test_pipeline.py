"""The parts of a net on two processes: what they make, learn, move and keep is what the one process does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from netdsl_torch.run import returned, without_dropout
from pipeline_rank import loss_of
from test_emitted import IGNORED, RULES, tool
from torch import Tensor, nn
from torch_oracles import execute, load

from netdsl import NetError
from netdsl.split import Split
from netdsl.split.pipeline import files

MICRO_BATCHES, MICRO_BATCH, STEPS = 3, 2, 1
SECONDS = 240
NETS = {
    "vgg16": (32, "gpipe"),
    "resnet50": (64, "1f1b"),
    "googlenet": (64, "gpipe"),
    "densenet121": (64, "1f1b"),
    "nasnet_a_mobile": (96, "1f1b"),
}
"""Nets, with the sides of their images and the schedule."""
CLASSES = {"Schedule1F1B": "1f1b", "ScheduleGPipe": "gpipe"}


class Ran(NamedTuple):
    """What both processes found, and the net in one."""

    split: Split
    whole: nn.Module
    outputs: tuple[Tensor, ...]
    """Of all micro-batches of the last step."""
    parts: list[dict[str, Any]]


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ran]:
    """Run all nets on one pair of processes, and each on this one."""
    folder = tmp_path_factory.mktemp("pipelines")
    made: dict[str, tuple[Split, nn.Module, Tensor]] = {}
    for name, (side, schedule) in NETS.items():
        net = load(name, side, classes=10)
        size = MICRO_BATCHES * MICRO_BATCH
        split = net.split(2, batch=size, micro_batches=MICRO_BATCHES, schedule=schedule, train=True)
        place = folder / name
        place.mkdir()
        for file, text in files(split).items():
            (place / file).write_text(text)
        torch.manual_seed(1)
        whole = without_dropout(execute(net.emit())[name](classes=10))
        x = torch.randn(size, *net.inputs[next(iter(net.inputs))])
        kind = next(key for key, value in CLASSES.items() if value == schedule)
        given = {"name": name, "state": whole.state_dict(), "x": x, "schedule": kind, "steps": STEPS}
        torch.save(given, place / "run.pt")
        made[name] = split, whole, x
    with pair(folder):
        alone = {name: trained(whole, x) for name, (_, whole, x) in made.items()}
    found = {}
    for name, (split, whole, _) in made.items():
        parts = [torch.load(folder / name / f"found{rank}.pt") for rank in range(2)]
        found[name] = Ran(split, whole, alone[name], parts)
    return found


class pair:
    """Two processes that run while this one does something else, and are gone afterwards."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __enter__(self) -> None:
        script = Path(__file__).with_name("pipeline_rank.py")
        paths = [str(script.parent), *sys.path]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}
        self.processes = [
            subprocess.Popen(
                [sys.executable, script, self.folder, str(rank)],
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            for rank in range(2)
        ]

    def __exit__(self, *_: object) -> None:
        try:
            for process in self.processes:
                said, _ = process.communicate(timeout=SECONDS)
                assert process.returncode == 0, said
        finally:
            for process in self.processes:
                process.kill()
                process.wait()


def trained(whole: nn.Module, x: Tensor) -> tuple[Tensor, ...]:
    """Let the same micro-batches run through a net in one process; return its outputs of the last step."""
    outputs: list[tuple[Tensor, ...]] = []
    for _ in range(STEPS):
        whole.zero_grad()
        outputs = []
        for part in x.split(MICRO_BATCH):
            out = returned(whole(part))
            loss_of(out, torch.zeros(MICRO_BATCH)).backward()
            outputs.append(tuple(value.detach() for value in out))
        for parameter in whole.parameters():
            if parameter.grad is not None:
                parameter.grad.div_(MICRO_BATCHES)
    return tuple(torch.cat(values) for values in zip(*outputs, strict=True))


@pytest.mark.parametrize("name", NETS)
def test_parts_together_have_the_state_of_the_net(ran: dict[str, Ran], name: str) -> None:
    keys = [key for part in ran[name].parts for key in part["state"]]
    assert sorted(keys) == sorted(ran[name].whole.state_dict())


@pytest.mark.parametrize("name", NETS)
def test_outputs_are_those_of_one_process(ran: dict[str, Ran], name: str) -> None:
    outputs = ran[name].parts[-1]["outputs"]
    assert len(outputs) == len(ran[name].outputs)
    for ours, theirs in zip(outputs, ran[name].outputs, strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("name", NETS)
def test_gradients_are_those_of_one_process(ran: dict[str, Ran], name: str) -> None:
    theirs = {key: parameter.grad for key, parameter in ran[name].whole.named_parameters()}
    ours = {key: grad for part in ran[name].parts for key, grad in part["gradients"].items()}
    assert ours.keys() == theirs.keys()
    for key, grad in theirs.items():
        assert grad is not None
        assert grad.abs().max() > 0
        if not torch.equal(ours[key], grad):  # of a value with three readers a sum has another order
            error = float((ours[key] - grad).abs().max() / grad.abs().max())
            print(key, error)
            assert error < 1e-5


@pytest.mark.parametrize("name", NETS)
def test_running_statistics_are_those_of_one_process(ran: dict[str, Ran], name: str) -> None:
    state = {key: value for part in ran[name].parts for key, value in part["state"].items()}
    moved = 0
    for key, value in ran[name].whole.state_dict().items():
        assert torch.equal(state[key], value), key
        moved += key.endswith("num_batches_tracked") and int(value) == STEPS * MICRO_BATCHES
    assert moved or name == "vgg16"


@pytest.mark.parametrize("name", NETS)
def test_what_a_process_keeps_is_what_the_plan_says(ran: dict[str, Ran], name: str) -> None:
    for part, found in zip(ran[name].split.parts, ran[name].parts, strict=True):
        assert found["saved"] == part.flights * part.saved > 0


@pytest.mark.parametrize("name", ["lenet", "googlenet"])
def test_the_program_is_written_as_by_hand(name: str, tmp_path: Path) -> None:
    for file, text in files(load(name).split(4, batch=8, train=True)).items():
        (tmp_path / file).write_text(text)
    program = tmp_path / f"{name}_pipeline.py"
    style = ["--isolated", "--no-cache", "--config", f"src = ['{tmp_path}']", "--line-length"]
    assert (
        tool("ruff", "check", *style, "110", "--select", RULES, "--ignore", IGNORED["torch"], program) == ""
    )
    assert tool("ruff", "format", *style, "100", "--diff", program) == ""


def test_the_program_says_how_many_processes_it_takes(tmp_path: Path) -> None:
    for file, text in files(load("lenet").split(2, train=True, batch=4)).items():
        (tmp_path / file).write_text(text)
    command = [sys.executable, "lenet_pipeline.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 1
    assert done.stderr == "torchrun --nproc-per-node 2: a process for each part\n"


def test_a_backend_without_pipelines_says_so() -> None:
    with pytest.raises(NetError, match="the flax backend writes no pipelines"):
        files(load("lenet").split(2), "flax")

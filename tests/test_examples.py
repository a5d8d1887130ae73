"""The examples keep what their texts promise: equal curves, equal answers, weights that fit."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest
import torch
from proved import proving
from torch_oracles import ENVIRONMENT, reference

import netdsl
from netdsl.weights import convert, layout

EXAMPLES = Path(__file__).parents[1] / "examples"
ONE_THREAD = {"OMP_NUM_THREADS": "1", "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false"}
"""The tests share the cores, and threads that wait for each other take them from all."""


def run(script: str, *arguments: str, status: int = 0) -> str:
    """Run an example as its users do and return what it prints."""
    command = [sys.executable, "-W", "error", str(EXAMPLES / script), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT | ONE_THREAD)
    assert (done.returncode, done.stderr) == (status, "")
    return done.stdout


def check_digits(printed: str, epochs: int) -> list[int]:
    """Check that curves are equal and answers are the same; return how many of 360 each training got right."""
    rows = re.findall(r"^ +\d+ +(\d\.\d+) +(\d\.\d+) +(\S+)$", printed, flags=re.M)
    assert len(rows) == 2 * epochs
    assert all(ours == theirs and float(apart) < 1e-11 for ours, theirs, apart in rows)
    moved = re.findall(r"of \w+: (\d+) of 360 right in torch, (\d+) in flax, (\d+) answers the same", printed)
    assert len(moved) == 4
    assert all(ours == theirs and same == "360" for ours, theirs, same in moved)
    return [int(right) for right, _, _ in moved]


def test_torch_and_flax_learn_alike() -> None:
    check_digits(run("digits.py", "--epochs", "1", status=1), 1)  # 1: nobody knows the digits by then


@pytest.mark.slow
@pytest.mark.proof
def test_torch_and_flax_learn_the_digits() -> None:
    """Again when anything has changed."""
    nets = netdsl.load("lenet"), netdsl.load(str(EXAMPLES / "digits.net"))
    texts = [net.emit(form) for net in nets for form in ("torch", "flax")]
    texts.append((EXAMPLES / "digits.py").read_text(encoding="utf-8"))
    libraries = "torch jax jaxlib flax numpy optax scikit-learn"
    with proving("digits", libraries, [convert, layout, sys.modules[__name__]], *texts) as known:
        if not known:
            assert min(check_digits(run("digits.py", "--epochs", "12"), 12)) > 0.97 * 360


def test_few_images_do_for_a_net_that_knows_some_digits() -> None:
    printed = run("finetune.py")
    assert printed.startswith(
        "loaded: 60 of 62 tensors\n"
        "new: fc.weight [10, 32], [8, 32] in the file\n"
        "new: fc.bias [10], [8] in the file\n"
        "fine-tuned on 200 images:"
    )
    tuned, scratch = map(float, re.findall(r"images: (\d+\.\d)% right", printed))
    assert tuned > 85
    assert tuned > scratch + 10


@pytest.fixture(scope="module")
def finetune() -> ModuleType:
    spec = spec_from_file_location("finetune", EXAMPLES / "finetune.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_all_but_the_head_of_a_published_net_is_loaded(
    finetune: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    theirs = reference("resnet18").state_dict()
    torch.save(theirs, tmp_path / "resnet18.pth")
    ours = finetune.build(finetune.load("resnet18", classes=10), tmp_path / "resnet18.pth").state_dict()
    assert capsys.readouterr().out == (
        "loaded: 120 of 122 tensors\n"
        "new: fc.weight [10, 512], [1000, 512] in the file\n"
        "new: fc.bias [10], [1000] in the file\n"
    )
    assert [
        key for key in ours if not key.startswith("fc.") and not torch.equal(ours[key], theirs[key])
    ] == []


def test_a_file_of_another_net_is_refused(finetune: ModuleType, tmp_path: Path) -> None:
    torch.save({"features.0.weight": torch.zeros(6, 1, 5, 5)}, tmp_path / "other.pth")
    with pytest.raises(SystemExit, match=r"other\.pth holds nothing that fits lenet"):
        finetune.build(finetune.load("lenet", classes=10), tmp_path / "other.pth")

"""The zoo in Flax: static facts are real ones, and both frameworks' modules are the same net."""

from __future__ import annotations

import subprocess
import sys

import pytest
from torch_oracles import ENVIRONMENT, load, spec_of

from netdsl.backend import ExactBackend, find
from netdsl.verification import check_facts

NETS = (
    *("alexnet", "densenet121", "googlenet", "mobilenet_v2", "mobilenet_v3_small", "resnet18", "se_resnet50"),
    *("shufflenet_v2_x1_0", "squeezenet1_1", "unet", "vit_b_16"),
)
"""Nets that together have every way to join, and most ops."""


@pytest.mark.parametrize(
    ("name", "form"),
    [*((name, "flax") for name in NETS), ("resnet18", "flax:scan"), ("vit_b_16", "flax:scan")],
)
def test_static_facts_are_real(name: str, form: str) -> None:
    """Keys, shapes and dtypes of the state, params, MACs as XLA counts them, the shape of every layer."""
    net, backend = load(name), find(form)
    assert isinstance(backend, ExactBackend)
    cells = check_facts(net, backend, backend.emit(net))
    assert {check: cell.differences for check, cell in cells.items() if not cell.ok} == {}
    assert len(cells) == 4


@pytest.mark.slow
@pytest.mark.parametrize("name", ["lenet", "resnet18", "mobilenet_v3_small", "squeezenet1_1"])
def test_both_frameworks_are_the_same_net(name: str) -> None:
    """Outputs, statistics and gradients, in both dtypes."""
    command = [sys.executable, "-m", "netdsl", "verify", spec_of(name)]
    done = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "gradients in training, float64" in done.stdout

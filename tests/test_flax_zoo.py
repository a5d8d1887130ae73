"""The zoo in Flax: static facts are real ones, and both frameworks' modules are the same net."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import version
from math import prod
from pathlib import Path

import netdsl_flax.run
import netdsl_torch.run
import pytest
from torch_oracles import ENVIRONMENT, FAMILIES, ZOO, load, spec_of

from netdsl import verification
from netdsl.backend import ExactBackend, find
from netdsl.diagnostics import NetError
from netdsl.network import Network
from netdsl.verification import BOUNDS, Experiment, check_facts
from netdsl.weights import convert, layout

PASSED = Path(__file__).parent / "golden" / "evaluated"
"""What was evaluated, by net, and found equal."""

HUGE = 500_000_000
"""As many parameters do not fit into memory twice in float64."""

DEEP = ("efficientnet_b7", "se_resnet152", "senet154")
"""Nets that amplify the last bit of a number beyond the bound with weights that keep activations near 1."""

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


def smallest(name: str) -> Network:
    """Return a net of the zoo for the smallest of some sides that it takes."""
    for side in (28, 32, 64, 75, 96, 188, 224, 299):
        try:
            return load(name, side)
        except NetError:
            continue
    raise AssertionError(f"{name} takes none of these")


def digest(net: Network, chosen: Mapping[str, ExactBackend]) -> str:
    """Return what an evaluation follows from: the emitted text, what the state holds, and who computes."""
    parts = [
        f"{name} {version(name).partition('+')[0]}" for name in ("torch", "jax", "jaxlib", "flax", "numpy")
    ]
    for backend in chosen.values():
        parts += [backend.emit(net), *map(repr, backend.tensors(net))]
    for source in (convert, layout, verification, netdsl_torch.run, netdsl_flax.run):
        parts.append(Path(source.__file__).read_text(encoding="utf-8"))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


@pytest.mark.slow
@pytest.mark.parametrize("name", ZOO)
def test_every_net_has_the_state_and_macs_that_were_said_and_evaluates_as_torchs(name: str) -> None:
    """In float64, at the smallest input: a net of each family each time, others when anything has changed.

    `NETDSL_UPDATE=1` writes down what has passed.
    """
    net = smallest(name)
    chosen: dict[str, ExactBackend] = {}
    for form in ("torch", "flax"):
        backend = find(form)
        assert isinstance(backend, ExactBackend)
        chosen[form] = backend
    known, passed = digest(net, chosen), PASSED / f"{name}.sha256"
    if name not in FAMILIES and passed.exists() and passed.read_text(encoding="utf-8") == known:
        return
    experiment = Experiment(net, 2, chosen, seed=0)
    if name in DEEP:
        variances = {k: 16 * v for k, v in experiment.weights.items() if k.endswith("running_var")}
        experiment.weights.update(variances)
    dtype = "float64" if net.cost().params < HUGE else "float32"
    found = {}
    for form in chosen:
        runner = experiment.runner(form, dtype)
        found[form] = runner.evaluate({key: x.astype(dtype) for key, x in experiment.inputs.items()})
    tensors = chosen["flax"].tensors(net)
    assert {key: shape for key, (shape, _) in runner.state().items()} == {t.key: t.shape for t in tensors}
    assert sum(prod(t.shape) for t in tensors if t.parameter in net.parameters) == net.cost().params
    assert runner.macs(experiment.inputs) == chosen["flax"].counted(net, 2)
    assert list(found["torch"]) == list(found["flax"])
    for ours, theirs in zip(found["flax"].values(), found["torch"].values(), strict=True):
        assert abs(theirs).max() > 0
        assert abs(ours - theirs).max() <= BOUNDS["float32" if name in DEEP else dtype] * abs(theirs).max()
    if os.environ.get("NETDSL_UPDATE"):
        passed.write_text(known, encoding="utf-8")


EACH_TIME = ("lenet", "resnet18", "mobilenet_v3_small", "squeezenet1_1")
TRAINED = (*EACH_TIME, "googlenet_2014", "resnet50_v1", "xception", "zfnet")
"""Nets of as many families."""


@pytest.mark.slow
@pytest.mark.parametrize("name", TRAINED)
def test_both_frameworks_train_every_net_alike(name: str) -> None:
    """Outputs, statistics and gradients, in both dtypes: some nets each time, others when anything has changed."""
    chosen = {form: backend for form in ("torch", "flax") if isinstance(backend := find(form), ExactBackend)}
    known, passed = digest(load(name), chosen), PASSED / f"{name}.trained.sha256"
    if name not in EACH_TIME and passed.exists() and passed.read_text(encoding="utf-8") == known:
        return
    command = [sys.executable, "-m", "netdsl", "verify", spec_of(name)]
    # without the optimisations that take most of the time
    environment = (
        {**ENVIRONMENT, "XLA_FLAGS": os.environ["XLA_FLAGS"]} if name not in EACH_TIME else ENVIRONMENT
    )
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "gradients in training, float64" in done.stdout
    if os.environ.get("NETDSL_UPDATE"):
        passed.write_text(known, encoding="utf-8")

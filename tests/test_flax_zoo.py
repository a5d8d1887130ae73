"""The zoo in Flax: static facts are real ones, and both frameworks' modules are the same net."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager
from math import prod
from types import ModuleType

import jax
import netdsl_flax.run
import netdsl_torch.run
import pytest
from flax import nnx
from flax_oracles import execute
from jax import export
from proved import EVERY, proving
from torch_oracles import ENVIRONMENT, FAMILIES, SEVERAL, WINDOWED, ZOO, load, spec_of

from netdsl import api, verification
from netdsl.backend import ExactBackend, find
from netdsl.diagnostics import NetError
from netdsl.network import Network
from netdsl.verification import BOUNDS, QUANTITIES, Experiment, check_facts
from netdsl.weights import convert, layout

BACKENDS = {form: found for form in ("torch", "flax") if isinstance(found := find(form), ExactBackend)}

HUGE = 500_000_000
"""As many parameters do not fit into memory twice in float64."""

DEEP = ("efficientnet_b7", "efficientnet_v2_s", "se_resnet152", "senet154")
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


def proof(name: str, *nets: Network, checks: Sequence[ModuleType] = ()) -> AbstractContextManager[bool]:
    """Give whether a proof was made before.

    It follows from the texts, what the state holds, who computes, and `checks`, where these are modules of their own.
    """
    texts = [
        part for net in nets for b in BACKENDS.values() for part in (b.emit(net), *map(repr, b.tensors(net)))
    ]
    sources = [convert, layout, verification, netdsl_torch.run, netdsl_flax.run, *checks]
    return proving(name, "torch jax jaxlib flax numpy", sources, *texts)


@pytest.mark.slow
@pytest.mark.proof
@pytest.mark.parametrize("name", ZOO if EVERY else [*dict.fromkeys((*NETS, *FAMILIES, *SEVERAL, *WINDOWED))])
def test_every_net_has_the_state_and_macs_that_were_said_and_evaluates_as_torchs(name: str) -> None:
    """In float64, at the smallest input: some nets each time, others when anything has changed."""
    net = smallest(name)
    with proof(f"{name}.evaluated", net) as known:
        if name in NETS or not known:
            check_evaluation(net)


def check_evaluation(net: Network) -> None:
    """Compare state, params, MACs and outputs."""
    experiment = Experiment(net, 2, BACKENDS, seed=0)
    if net.name in DEEP:
        variances = {k: 16 * v for k, v in experiment.weights.items() if k.endswith("running_var")}
        experiment.weights.update(variances)
    dtype = "float64" if net.cost().params < HUGE else "float32"
    found = {}
    for form in BACKENDS:
        runner = experiment.runner(form, dtype)
        found[form] = runner.evaluate({key: x.astype(dtype) for key, x in experiment.inputs.items()})
    tensors = BACKENDS["flax"].tensors(net)
    assert {key: shape for key, (shape, _) in runner.state().items()} == {t.key: t.shape for t in tensors}
    assert sum(prod(t.shape) for t in tensors if t.parameter in net.parameters) == net.cost().params
    assert runner.macs(experiment.inputs) == BACKENDS["flax"].counted(net, 2)
    assert found["torch"].keys() == found["flax"].keys()
    for name, theirs in found["torch"].items():
        ours = found["flax"][name]
        assert abs(theirs).max() > 0
        assert abs(ours - theirs).max() <= BOUNDS[dtype] * abs(theirs).max()


@pytest.mark.slow
@pytest.mark.proof
@pytest.mark.parametrize("name", [*FAMILIES, *SEVERAL, *WINDOWED, "inception_v4"])
def test_every_net_exports_for_any_batch(name: str) -> None:
    """`jax.export` with a batch whose size is a symbol; nothing is computed, so weights and images are shapes."""
    net, backend = load(name), find("flax")
    with proving(f"{name}.flax.exported", "jax jaxlib flax", [], backend.emit(net)) as known:
        if known and name not in EACH_TIME:
            return

        def made() -> nnx.Module:
            model: nnx.Module = execute(backend.emit(net))[net.name](rngs=nnx.Rngs(0))
            model.eval()
            return model

        graph, state = nnx.split(nnx.eval_shape(made))
        (batch,) = export.symbolic_shape("batch")
        (shape,), (result, *_) = net.inputs.values(), net.outputs.values()
        x = jax.ShapeDtypeStruct((batch, *shape[1:], shape[0]), "float32")
        found = export.export(jax.jit(lambda state, x: nnx.merge(graph, state)(x)))(state, x)
        out, *_ = found.out_avals
        assert out.shape == (batch, *result[1:], result[0])


EACH_TIME = ("lenet", "resnet18", "squeezenet1_1")
TRAINED = (
    *EACH_TIME,
    *("alexnet", "densenet121", "efficientnet_b0", "googlenet_2014", "mobilenet_v1_1_0", "mobilenet_v2"),
    *("mobilenet_v3_small", "resnet50_v1", "shufflenet_v1_g3", "shufflenet_v2_x1_0", "xception", "zfnet"),
)
"""Nets of fourteen families."""
SEEDS = {"shufflenet_v1_g3": "1"}
"""With the usual seed a rectifier's input is so near to 0 that its gradient is another one without optimisations."""


@pytest.mark.slow
@pytest.mark.proof
@pytest.mark.usefixtures("tracers_without_origin")
@pytest.mark.parametrize("name", TRAINED)
def test_both_frameworks_train_every_net_alike(name: str) -> None:
    """Outputs, statistics and gradients, in both dtypes: some nets each time, others when anything has changed."""
    with proof(f"{name}.trained", load(name)) as known:
        if known and name not in EACH_TIME:
            return
        command = [sys.executable, "-m", "netdsl", "verify", spec_of(name), "--seed", SEEDS.get(name, "0")]
        # without the optimisations that take most of the time
        environment = ENVIRONMENT | ({} if name in EACH_TIME else {"XLA_FLAGS": os.environ["XLA_FLAGS"]})
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "gradients in training, float64" in done.stdout


def test_ops_run_one_by_one_where_their_dense_weights_would_fill_the_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The same numbers, outputs and gradients, and only where float64 makes XLA write dense weights."""
    net = api.loads("net N:\n    input 8, 8x8\n    c1: dwconv 3x3 -> bn -> relu -> conv 3x3, 16, groups=2\n")
    experiment = Experiment(net, 2, BACKENDS, seed=0)
    whole = experiment.measure("flax", "float64")
    assert netdsl_flax.run.dense(net) == 3 * 3 * 8 * 8 + 3 * 3 * 8 * 16
    monkeypatch.setattr(netdsl_flax.run, "DENSE", 8 * netdsl_flax.run.dense(net) - 1)
    for dtype, alone in (("float64", True), ("float32", False)):
        runner = experiment.runner("flax", dtype)
        assert isinstance(runner, netdsl_flax.run.Runner)
        with runner.computing():
            assert jax.config.jax_disable_jit == alone
    apart = experiment.measure("flax", "float64")
    assert {quantity: max(errors.values()) < 1e-14 for quantity, errors in apart.errors(whole).items()} == {
        quantity: True for quantity in QUANTITIES
    }


def test_a_convolution_that_sees_nothing_but_padding_counts_nothing() -> None:
    net, backend = (
        api.loads("net N:\n    input 2, 7x1\n    conv 4x4, 2, /3, dilation=2, pad=3\n"),
        find("flax"),
    )
    assert isinstance(backend, ExactBackend)
    cells = check_facts(net, backend, backend.emit(net))
    assert {check: cell.differences for check, cell in cells.items() if not cell.ok} == {}
    assert backend.counted(net, 2) == 0

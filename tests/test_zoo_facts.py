"""Static facts of every net of the zoo are what torch measures of its emitted module, as integers."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

import pytest
import storages
import torch
import torch_oracles
from netdsl_torch import Backend
from proved import closure, proving
from storages import kept
from test_backward_macs import BATCHED, expected
from test_training_memory import device_of, saved
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode
from torch_oracles import ZOO, build, emitted, execute, inputs, load, real_macs, tensors

from netdsl import Network

EACH_TIME = (
    "alexnet_2012 convmixer_768_32 convnext_tiny deeplabv3_mobilenet_v3_large googlenet lenet mobilenet_v2 "
    "poolformer_s12 resnet18 resnext50_32x4d se_resnet50 shufflenet_v1_g3 swin_t swin_v2_t unet vit_b_16"
).split()
"""Groups, auxiliary outputs, gates, transposed convolutions, attention, what all samples share."""
FILLING = [name for name in vars(nn.init) if name.endswith("_") and not name.startswith("_")]
"""What gives new weights their numbers, which are of no account here."""


class Measured(NamedTuple):
    """What is said of a net, or found in its module."""

    parameters: int
    buffers: int
    macs: int
    """Of a sample in evaluation."""
    step: tuple[int, int]
    """MACs of a step of training, forwards and backwards."""
    kept: int
    """Bytes that autograd keeps in it."""
    outputs: tuple[list[tuple[int, ...]], list[tuple[int, ...]]]
    """Their shapes without the batch, in training and in evaluation."""


def small(net: Network, name: str) -> Network:
    """Return the net whose kept bytes are measured: it runs on the CPU if it has fused attention."""
    return load(name, 28 if "14" in name else 64) if device_of(net) == "cpu" else net


def said(net: Network, name: str) -> Measured:
    """Return the static facts."""
    cost, outputs = net.cost(), net.graph.outputs
    shapes = [
        [tuple(net.outputs[o.name]) for o in outputs if train or not o.train] for train in (True, False)
    ]
    held = saved(small(net, name), BATCHED)
    return Measured(
        cost.params, cost.buffers, cost.macs, expected(net, BATCHED), held, (shapes[0], shapes[1])
    )


def measured(net: Network, name: str) -> Measured:
    """Return the same of the emitted module; torch counts 2 for a multiply-accumulate."""
    model = build(name, "meta").train()
    with sdpa_kernel(SDPBackend.MATH):
        with FlopCounterMode(display=False) as forward:
            held, out = kept(model, *inputs(net, BATCHED, "meta"))
        with FlopCounterMode(display=False) as backward:
            loss = [t.sum() for t in tensors(out)]
            torch.autograd.grad(loss, list(model.parameters()), allow_unused=True)
    if device_of(net) == "cpu":
        held = kept_on_the_cpu(small(net, name))
    flops = [counter.get_total_flops() for counter in (forward, backward)]
    assert not any(number % 2 for number in flops)
    counted, evaluated = real_macs(model.eval(), inputs(net, 1, "meta"))
    return Measured(
        sum(p.numel() for p in model.parameters()),
        sum(b.numel() for b in model.buffers()),
        counted[""],
        (flops[0] // 2, flops[1] // 2),
        held,
        (shapes(tensors(out)), shapes(evaluated)),
    )


def kept_on_the_cpu(net: Network) -> int:
    """Return what the emitted module of a net keeps where its numbers are."""
    with patch.multiple(nn.init, **{name: lambda tensor, *args, **kwargs: tensor for name in FILLING}):
        model = execute(Backend().emit(net))[net.name]().train()
    return kept(model, *inputs(net, BATCHED))[0]


def shapes(outputs: tuple[Tensor, ...]) -> list[tuple[int, ...]]:
    """Return the shapes of outputs without the batch."""
    return [tuple(t.shape[1:]) for t in outputs]


@pytest.mark.proof
@pytest.mark.parametrize("name", ZOO)
def test_facts_of_a_net_are_what_torch_measures(name: str) -> None:
    """At the size of its own input; bytes kept for fused attention at a small one."""
    net = load(name)
    facts = said(net, name)
    oracles = closure(Path(torch_oracles.__file__).read_text("utf-8"), "build", "inputs", "real_macs")
    texts = oracles, emitted(name), Backend().emit(small(net, name)), repr(facts)
    with proving(f"{name}.facts", "torch", [storages, sys.modules[__name__]], *texts) as known:
        if not known or name in EACH_TIME:
            assert measured(net, name) == facts

"""Backward MACs equal what torch's counter counts in the backward pass of the emitted module, as integers."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import pytest
import torch
from netdsl_torch import Backend
from op_examples import BATCH, LAYERS, every
from strangers import NAMES, stranger
from test_ops import MULTIPLIES, as_tuple, forms, inputs_of
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode
from torch_oracles import build, execute, inputs, spec_of, tensors

import netdsl
from netdsl import NetError, Network, api
from netdsl.backend import batchless
from netdsl.ops import Example, Op
from netdsl.ops.conv import Conv, DwConv, UpConv

BATCHED = 2


def counted(model: nn.Module, x: list[Tensor]) -> tuple[int, int]:
    """Return the MACs of a step of training that torch counts forwards and backwards; it counts 2 for one."""
    with sdpa_kernel(SDPBackend.MATH):
        with FlopCounterMode(display=False) as forward:
            outputs = [t.sum() for t in tensors(model.train()(*x))]
        with FlopCounterMode(display=False) as backward:
            torch.autograd.grad(outputs, list(model.parameters()), allow_unused=True)
    found = [counter.get_total_flops() for counter in (forward, backward)]
    assert not any(flops % 2 for flops in found)
    return found[0] // 2, found[1] // 2


def overcounted(op: Op, x: tuple[netdsl.Shape, ...]) -> int:
    """Return what torch's counter counts too much: a grouped convolution's weights as if every group saw all."""
    if not isinstance(op, Conv | DwConv | UpConv):
        return 0
    return (op.groups_of(x[0].c) - 1) * op.macs(*x)


def expected(net: Network, batch: int) -> tuple[int, int]:
    """Return what torch should count, by the facts: what samples share, it computes once."""
    backward = dict(net.layer_backward_macs)
    for node in net.graph:
        backward[node.name] += overcounted(node.op, net.inputs_of(node.name))
    shared = batchless(net)
    forward = {name: cost.macs for name, cost in net.layer_costs.items()}

    def total(macs: Mapping[str, int]) -> int:
        return batch * sum(macs.values()) - (batch - 1) * sum(macs[node.name] for node in shared)

    return total(forward), total(backward)


@pytest.mark.parametrize("name", NAMES)
def test_nets_that_no_rule_was_made_for(name: str) -> None:
    net = stranger(name)
    with torch.device("meta"):
        model = execute(Backend().emit(net))[net.name]()
    if net.parameters:
        assert counted(model, inputs(net, BATCHED, "meta")) == expected(net, BATCHED)


@pytest.mark.parametrize("size", [(3, 65, 97), (3, 128, 66)])
def test_maps_that_are_not_square(size: tuple[int, ...]) -> None:
    net = netdsl.load(spec_of("resnext50_32x4d"), inputs={"": size})
    model = build("resnext50_32x4d", "meta")
    assert counted(model, inputs(net, 3, "meta")) == expected(net, 3)


WANTED = [e for e in LAYERS if isinstance(e.op, MULTIPLIES)]


@every(WANTED)
def test_an_op_on_its_own(example: Example) -> None:
    """Whichever inputs need a gradient, and at least something does."""
    learns = bool(example.op.weights(*example.inputs))
    for wanted in itertools.product((False, True), repeat=len(example.inputs)):
        if not (learns or any(wanted)):
            continue
        for form in forms(example):
            x = [t.requires_grad_(need) for t, need in zip(inputs_of(example), wanted, strict=True)]
            leaves = [t for t in (*x, *form.parameters()) if t.requires_grad]
            with sdpa_kernel(SDPBackend.MATH):
                outputs = [t.sum() for t in as_tuple(form.train()(*x))]
            with FlopCounterMode(display=False) as counter:
                torch.autograd.grad(outputs, leaves, allow_unused=True)
            macs = example.op.backward_macs(wanted, *example.inputs)
            if learns:  # a filter that is not learned has no gradient to count too much of
                macs += overcounted(example.op, example.inputs)
            assert counter.get_total_flops() == 2 * BATCH * macs


def test_the_image_needs_no_gradient() -> None:
    """By hand: the first convolution's backward pass is its forward pass, any other's is twice that."""
    net = netdsl.load("vgg.net:vgg11", inputs={"": (3, 45, 33)})
    forward = {name: cost.macs for name, cost in net.layer_costs.items()}
    first = next(name for name, macs in forward.items() if macs)
    assert net.layer_backward_macs == {
        name: (1 if name == first else 2) * macs for name, macs in forward.items()
    }
    assert net.backward_macs() == 2 * net.cost().macs - forward[first]
    assert net.backward_macs(5) == 5 * net.backward_macs()


def test_what_has_no_weights_before_it() -> None:
    """A product of the image with itself needs no gradient; the layer behind takes that of its weights alone."""
    text = "net N:\n    input 6, 9x7\n    avgpool 3x3\n    flatten\n    fc 5\n    fc 4\n"
    net = Network(api.recipe(api.read_text(text), "n", {}, {}))
    assert list(net.layer_backward_macs.values())[-2:] == [6 * 3 * 2 * 5, 2 * 5 * 4]


def test_a_batch_must_be_one() -> None:
    with pytest.raises(NetError, match="batch must be an int from 1"):
        netdsl.load("lenet").backward_macs(0)

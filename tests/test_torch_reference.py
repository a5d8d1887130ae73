"""Emitted modules equal torchvision's and timm's: keys, their order, shapes, params, MACs, outputs and gradients."""

from __future__ import annotations

import sys
from inspect import getsource

import pytest
import torch
from proved import proving
from references import REFERENCES, Reference, make, randomised, scaled
from torch import nn
from torch_oracles import (
    FAMILIES,
    assert_same,
    build,
    emitted,
    execute,
    inputs,
    load,
    perturb,
    real_macs,
    run,
    tensors,
)

from netdsl import Network

NETS = {**REFERENCES, "vgg.net:vgg16": REFERENCES["vgg16"]}
"""The same, with both specs of vgg16."""
MEASURING = (make, randomised, scaled, assert_same, run, tensors)
"""What a proof follows from, of modules that hold lists of nets too: one net more makes no other's proof anew."""


def module(net: Network) -> nn.Module:
    """Return the emitted module, without numbers."""
    with torch.device("meta"):
        model: nn.Module = execute(net.emit())[net.name]()
    return model


def twin(name: str, reference: Reference, theirs: nn.Module) -> nn.Module:
    """Return the emitted module for inputs of the reference's side, with a copy of its weights."""
    ours = module(load(name, reference.side))
    values = [value.clone() for value in theirs.state_dict().values()]
    keys = list(theirs.state_dict() if reference.same_keys else ours.state_dict())
    ours.load_state_dict(dict(zip(keys, values, strict=True)), strict=True, assign=True)
    return ours


@pytest.mark.parametrize(("name", "reference"), NETS.items(), ids=list(NETS))
def test_state_params_and_macs_are_the_references(name: str, reference: Reference) -> None:
    theirs = make(reference, "meta")
    # arguments may make the model for another input
    net = load(name, reference.side if reference.arguments or not reference.same_keys else None)
    mine, other = ([(k, v.shape, v.dtype) for k, v in m.state_dict().items()] for m in (module(net), theirs))
    if reference.same_keys:
        assert mine == other
    else:
        assert reference.reason
        assert [found[1:] for found in mine] == [found[1:] for found in other]
    assert net.cost().params == sum(p.numel() for p in theirs.parameters())
    assert net.cost().macs == real_macs(theirs.eval(), inputs(net, batch=1, device="meta"))[0][""]


@pytest.mark.proof
@pytest.mark.parametrize(("name", "reference"), NETS.items(), ids=list(NETS))
def test_outputs_and_gradients_are_the_references(name: str, reference: Reference) -> None:
    """A net of each family each time, others when anything has changed."""
    parts = load(name, reference.side).emit(), repr(reference), *map(getsource, MEASURING)
    sources = [sys.modules[__name__]]
    with proving(f"{name.replace(':', '_')}.reference", "torch torchvision timm", sources, *parts) as known:
        if name in FAMILIES or not known:
            check_numbers(name, reference)


def check_numbers(name: str, reference: Reference) -> None:
    """Compare outputs in evaluation, outputs and gradients in training, and buffers."""
    theirs = make(reference)
    ours = twin(name, reference, theirs)
    x = torch.randn(2, 3, reference.side, reference.side, generator=torch.Generator().manual_seed(7))
    with torch.inference_mode():
        for mine, other in zip(tensors(ours.eval()(x)), tensors(theirs.eval()(x)), strict=True):
            assert torch.equal(mine, other)
            assert mine.std() > 0
    assert_same(ours.train(), theirs.train(), [x], reference.same_keys)


@pytest.mark.parametrize("name", ["alexnet", "vgg16", "resnet50", "resnext50_32x4d"])
def test_outputs_are_the_references_at_full_size(name: str) -> None:
    theirs = make(REFERENCES[name]).eval()
    ours = build(name, "meta")
    ours.load_state_dict(theirs.state_dict(), strict=True, assign=True)
    x = torch.randn(1, 3, 224, 224)
    with torch.inference_mode():
        out = ours.eval()(x)
        assert torch.equal(out, theirs(x))
    assert out.std() > 0


def test_a_batch_of_one_in_evaluation_is_a_row_of_a_batch() -> None:
    torch.manual_seed(0)
    model = perturb(build("resnet18")).double().eval()
    x = torch.randn(3, 3, 64, 64, dtype=torch.float64)
    torch.testing.assert_close(model(x)[1:2], model(x[1:2]))


def test_an_emitted_file_is_for_any_side_that_fits() -> None:
    """Where no weight depends on the side, the file for a small input is the file."""
    one, other = (text.split('"""', 2)[2] for text in (load("resnet18", 64).emit(), emitted("resnet18")))
    assert one == other

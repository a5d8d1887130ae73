"""Emitted modules equal torchvision's and timm's: keys, their order, shapes, outputs and gradients."""

from __future__ import annotations

import pytest
import torch
from conftest import import_torchvision
from torch_oracles import SPECS, assert_same, build, perturb, reference, twin


@pytest.mark.parametrize("name", SPECS)
def test_state_dict_has_torchvisions_keys_in_order_with_its_shapes(name: str) -> None:
    ours, theirs = (model.state_dict() for model in (build(name, "meta"), reference(name, "meta")))
    assert [(k, v.shape, v.dtype) for k, v in ours.items()] == [
        (k, v.shape, v.dtype) for k, v in theirs.items()
    ]


@pytest.mark.parametrize("name", SPECS)
def test_outputs_and_gradients_equal_torchvisions(name: str) -> None:
    torch.manual_seed(0)
    theirs = perturb(reference(name))
    ours = twin(theirs, name)
    side = 64 if name == "alexnet" else 32
    x = [torch.randn(2, 3, side, side)]
    with torch.inference_mode():
        assert torch.equal(ours.eval()(x[0]), theirs.eval()(x[0]))
    assert_same(ours.train(), theirs.train(), x)


@pytest.mark.parametrize("name", ["alexnet", "vgg16", "resnet50", "resnext50_32x4d"])
def test_outputs_equal_torchvisions_at_full_size(name: str) -> None:
    theirs = perturb(reference(name)).eval()
    x = torch.randn(1, 3, 224, 224)
    with torch.inference_mode():
        out = twin(theirs, name).eval()(x)
        assert torch.equal(out, theirs(x))
    assert out.std() > 0


def test_se_resnet50_equals_timms() -> None:
    import_torchvision()  # timm imports it
    import timm

    torch.manual_seed(0)
    theirs = perturb(timm.create_model("seresnet50"))
    ours = twin(theirs, "se_resnet50")
    assert list(ours.state_dict()) == list(theirs.state_dict())
    x = [torch.randn(2, 3, 64, 64)]
    with torch.inference_mode():
        assert torch.equal(ours.eval()(x[0]), theirs.eval()(x[0]))
    assert_same(ours.train(), theirs.train(), x)


def test_a_batch_of_one_in_evaluation_is_a_row_of_a_batch() -> None:
    torch.manual_seed(0)
    model = perturb(build("resnet18")).double().eval()
    x = torch.randn(3, 3, 64, 64, dtype=torch.float64)
    torch.testing.assert_close(model(x)[1:2], model(x[1:2]))

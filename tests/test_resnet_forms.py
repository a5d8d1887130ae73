"""ResNets that libraries have in another form: the paper's strides, and pre-activation in timm's order."""

from __future__ import annotations

import pytest
import torch
from references import Reference, make, randomised
from torch import nn
from torch_oracles import assert_same, execute, load

DEPTHS = [50, 101, 152]


def assert_equal(name: str, theirs: nn.Module) -> None:
    """Assert equal outputs, gradients and buffers in both modes, with the same numbers in the same order."""
    randomised(theirs)
    with torch.device("meta"):
        ours: nn.Module = execute(load(name, 64).emit())[name]()
    values = [value.clone() for value in theirs.state_dict().values()]
    ours.load_state_dict(dict(zip(ours.state_dict(), values, strict=True)), strict=True, assign=True)
    x = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(7))
    for training in (False, True):
        assert_same(ours.train(training), theirs.train(training), [x], same_keys=False)


@pytest.mark.parametrize("depth", DEPTHS)
def test_v1_is_torchvisions_with_the_stride_in_the_first_convolution(depth: int) -> None:
    theirs = make(Reference("torchvision", f"resnet{depth}"), "meta")
    for block in theirs.modules():
        if type(block).__name__ == "Bottleneck":
            block.conv1.stride, block.conv2.stride = block.conv2.stride, block.conv1.stride
    assert_equal(f"resnet{depth}_v1", theirs)


@pytest.mark.parametrize("depth", DEPTHS)
def test_preactivation_is_timms(depth: int) -> None:
    """It registers the projection first in a block, and has a convolution for the classes."""
    theirs = make(Reference("timm", f"resnetv2_{depth}"), "meta")
    theirs.head.fc = nn.Sequential(nn.Flatten(), nn.Linear(2048, 1000, device="meta"))
    for block in theirs.modules():
        if type(block).__name__ == "PreActBottleneck":
            projection = block.downsample
            del block.downsample
            block.downsample = projection
    assert_equal(f"preact_resnet{depth}", theirs)

"""ShuffleNet v1 equals the paper's network, written again here: no library has it.

Zhang et al., arXiv 1707.01083. The authors' code (https://github.com/megvii-model/ShuffleNet-Series) shuffles after
the depthwise convolution instead, which is another function, and has the relu of a unit with stride 2 before the
concatenation, which is the same one: an average of what relus gave is not negative.
"""

from __future__ import annotations

import pytest
import torch
from references import randomised
from torch import Tensor, nn
from torch.nn import functional as F
from torch_oracles import assert_same, execute, load, real_macs

WIDTHS = {1: 144, 2: 200, 3: 240, 4: 272, 8: 384}
X = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(7))
STEMS = {(0.5, 3): 12, (0.5, 8): 16, (1.0, 3): 24, (1.0, 8): 24, (2.0, 3): 48, (2.0, 8): 48}


class Unit(nn.Module):
    """Figure 2, (b) with stride 1 and (c) with stride 2."""

    def __init__(self, before: int, after: int, groups: int, stride: int, dense: bool, early: bool) -> None:
        super().__init__()
        mid, self.groups, self.stride, self.early = after // 4, groups, stride, early
        grown = after - before if stride == 2 else after
        self.reduce = nn.Conv2d(before, mid, 1, groups=1 if dense else groups, bias=False)
        self.bn1 = nn.BatchNorm2d(mid)
        self.depthwise = nn.Conv2d(mid, mid, 3, stride, 1, groups=mid, bias=False)
        self.bn2 = nn.BatchNorm2d(mid)
        self.expand = nn.Conv2d(mid, grown, 1, groups=groups, bias=False)
        self.bn3 = nn.BatchNorm2d(grown)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.reduce(x)))
        n, c, h, w = y.shape
        y = y.view(n, self.groups, c // self.groups, h, w).transpose(1, 2).reshape(n, c, h, w)
        y = self.bn3(self.expand(self.bn2(self.depthwise(y))))
        if self.stride == 1:
            return F.relu(x + y)
        pooled = F.avg_pool2d(x, 3, 2, 1)
        return torch.cat([pooled, F.relu(y)], 1) if self.early else F.relu(torch.cat([pooled, y], 1))


class ShuffleNet(nn.Module):
    """Table 1."""

    def __init__(self, groups: int, scale: float, early: bool) -> None:
        super().__init__()
        width, after = STEMS.get((scale, groups), 24), int(WIDTHS[groups] * scale)
        self.stem = nn.Sequential(nn.Conv2d(3, width, 3, 2, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU())
        units = []
        for stage, repeats in enumerate((4, 8, 4)):
            for unit in range(repeats):
                units.append(Unit(width, after << stage, groups, 1 if unit else 2, not units, early))
                width = after << stage
        self.units = nn.Sequential(*units)
        self.fc = nn.Linear(width, 1000)

    def forward(self, x: Tensor) -> Tensor:
        y = self.units(F.max_pool2d(self.stem(x), 3, 2, 1))
        result: Tensor = self.fc(y.mean([2, 3]))
        return result


NETS = {f"shufflenet_v1_g{groups}": (groups, 1.0) for groups in WIDTHS} | {
    f"shufflenet_v1_x{scale}_g{groups}".replace(".", "_"): (groups, scale)
    for scale in (0.5, 1.5, 2.0)
    for groups in (3, 8)
}


def pair(name: str, early: bool) -> tuple[nn.Module, nn.Module]:
    """Return the emitted module and the one of this file, with the same numbers in the same order."""
    with torch.device("meta"):
        ours: nn.Module = execute(load(name, 64).emit())[name]()
        theirs: nn.Module = ShuffleNet(*NETS[name], early)
    state = [value.clone() for value in randomised(theirs).state_dict().values()]
    ours.load_state_dict(dict(zip(ours.state_dict(), state, strict=True)), strict=True, assign=True)
    return ours, theirs


@pytest.mark.parametrize("name", NETS)
def test_costs_outputs_and_gradients_are_the_papers(name: str) -> None:
    ours, theirs = pair(name, early=False)
    assert load(name, 64).cost().macs == real_macs(theirs.eval(), [X[:1]])[0][""]
    for training in (False, True):
        assert_same(ours.train(training), theirs.train(training), [X], same_keys=False)


@pytest.mark.parametrize("name", ["shufflenet_v1_g3", "shufflenet_v1_g8"])
def test_outputs_are_the_same_with_the_relu_of_the_authors_code(name: str) -> None:
    ours, theirs = pair(name, early=True)
    with torch.no_grad():
        for training in (False, True):
            assert torch.equal(ours.train(training)(X), theirs.train(training)(X))

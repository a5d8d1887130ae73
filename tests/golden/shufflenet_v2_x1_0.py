"""shufflenet_v2_x1_0: ShuffleNetV2 of shufflenet_v2.net, compiled by netdsl 0.1.0.

Input 3x224x224, output 1000; 2,278,604 parameters, 144,907,992 MACs a sample.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def channel_shuffle(x: Tensor, groups: int) -> Tensor:
    """Interleave the channels of the groups, so that the next groups see all of them."""
    n, c, h, w = x.shape
    return x.view(n, groups, c // groups, h, w).transpose(1, 2).reshape(n, c, h, w)


class InvertedResidual(nn.Module):
    """Block InvertedResidual of shufflenet_v2.net."""

    def __init__(self, in_channels: int, half: int) -> None:
        super().__init__()
        self.branch1 = nn.Sequential(
            nn.Conv2d(
                in_channels,
                in_channels,
                3,
                stride=2,
                padding=1,
                groups=in_channels,
                bias=False,
            ),
            nn.BatchNorm2d(in_channels),
            nn.Conv2d(in_channels, half, 1, bias=False),
            nn.BatchNorm2d(half),
            nn.ReLU(inplace=True),
        )
        self.branch2 = nn.Sequential(
            nn.Conv2d(in_channels, half, 1, bias=False),
            nn.BatchNorm2d(half),
            nn.ReLU(inplace=True),
            nn.Conv2d(half, half, 3, stride=2, padding=1, groups=half, bias=False),
            nn.BatchNorm2d(half),
            nn.Conv2d(half, half, 1, bias=False),
            nn.BatchNorm2d(half),
            nn.ReLU(inplace=True),
        )

    def forward(self, x: Tensor) -> Tensor:
        left = self.branch1(x)
        x = self.branch2(x)
        left = torch.cat((left, x), 1)
        del x
        return channel_shuffle(left, 2)


class InvertedResidual2(nn.Module):
    """Block InvertedResidual of shufflenet_v2.net."""

    def __init__(self, half: int) -> None:
        super().__init__()
        self.branch2 = nn.Sequential(
            nn.Conv2d(half, half, 1, bias=False),
            nn.BatchNorm2d(half),
            nn.ReLU(inplace=True),
            nn.Conv2d(half, half, 3, padding=1, groups=half, bias=False),
            nn.BatchNorm2d(half),
            nn.Conv2d(half, half, 1, bias=False),
            nn.BatchNorm2d(half),
            nn.ReLU(inplace=True),
        )

    def forward(self, x: Tensor) -> Tensor:
        left, right = x.chunk(2, 1)
        right = self.branch2(right)
        left = torch.cat((left, right), 1)
        del right
        return channel_shuffle(left, 2)


class ShuffleNetV2(nn.Module):
    """Net ShuffleNetV2 of shufflenet_v2.net."""

    def __init__(self, last: int = 1024, classes: int = 1000) -> None:
        super().__init__()
        self.conv1 = nn.Sequential(
            nn.Conv2d(3, 24, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(24),
            nn.ReLU(inplace=True),
        )
        self.stage2 = nn.Sequential(
            InvertedResidual(24, 58),
            *(InvertedResidual2(58) for _ in range(3)),
        )
        self.stage3 = nn.Sequential(
            InvertedResidual(116, 116),
            *(InvertedResidual2(116) for _ in range(7)),
        )
        self.stage4 = nn.Sequential(
            InvertedResidual(232, 232),
            *(InvertedResidual2(232) for _ in range(3)),
        )
        self.conv5 = nn.Sequential(
            nn.Conv2d(464, last, 1, bias=False),
            nn.BatchNorm2d(last),
            nn.ReLU(inplace=True),
        )
        self.fc = nn.Linear(last, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv1(x)
        x = F.max_pool2d(x, 3, stride=2, padding=1)
        x = self.stage2(x)
        x = self.stage3(x)
        x = self.stage4(x)
        x = self.conv5(x)
        x = x.mean((2, 3))
        x = self.fc(x)
        return x


def shufflenet_v2_x1_0(last: int = 1024, classes: int = 1000) -> ShuffleNetV2:
    """Return a new shufflenet_v2_x1_0, with random weights."""
    return ShuffleNetV2(last, classes)

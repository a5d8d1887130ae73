"""shufflenet_v2_x1_0: ShuffleNetV2 of shufflenet_v2.net, compiled by netdsl 0.2.0.

ShuffleNet V2: Practical Guidelines for Efficient CNN Architecture Design; arXiv 1807.11164, 2018.

Input 3x224x224, output 1000; 2,278,604 parameters, 144,907,992 MACs a sample.

    netdsl compile shufflenet_v2.net:shufflenet_v2_x1_0 --backend torch
"""

import torch
from torch import Tensor, nn


def channel_shuffle(x: Tensor, groups: int) -> Tensor:
    """Interleave the channels of the groups, so that the next groups see all of them."""
    n, c, h, w = x.shape
    return x.view(n, groups, c // groups, h, w).transpose(1, 2).reshape(n, c, h, w)


class InvertedResidual(nn.Module):
    """Block InvertedResidual of shufflenet_v2.net.

    Shapes: (N, in_channels, H, W) -> (N, C', (H - 1) // stride + 1, (W - 1) // stride + 1).
    """

    def __init__(self, in_channels: int, c: int, stride: int = 1) -> None:
        super().__init__()
        if stride < 1 or c < 2:
            raise ValueError("stride must be at least 1, c at least 2")
        half = c // 2
        if stride == 1 and in_channels % 2 != 0:
            raise ValueError(f"{in_channels} channels cannot be divided into 2 parts")
        self.branch1: nn.Module | None = None
        if stride != 1:
            self.branch1 = nn.Sequential(
                nn.Conv2d(
                    in_channels,
                    in_channels,
                    3,
                    stride=stride,
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
            nn.Conv2d(in_channels // 2 if stride == 1 else in_channels, half, 1, bias=False),
            nn.BatchNorm2d(half),
            nn.ReLU(inplace=True),
            nn.Conv2d(half, half, 3, stride=stride, padding=1, groups=half, bias=False),
            nn.BatchNorm2d(half),
            nn.Conv2d(half, half, 1, bias=False),
            nn.BatchNorm2d(half),
            nn.ReLU(inplace=True),
        )

    def forward(self, x: Tensor) -> Tensor:
        if self.branch1 is None:
            left, right = x.chunk(2, 1)
        else:
            left = self.branch1(x)
            right = x
        x = torch.cat((left, self.branch2(right)), 1)
        return channel_shuffle(x, 2)


class ShuffleNetV2(nn.Module):
    """Net ShuffleNetV2 of shufflenet_v2.net.

    ShuffleNet V2: Practical Guidelines for Efficient CNN Architecture Design; arXiv 1807.11164,
    2018.

    Shapes: (N, 3, H, W) -> (N, classes).
    """

    def __init__(self, c: int, last: int = 1024, classes: int = 1000) -> None:
        super().__init__()
        if min(last, classes) < 1:
            raise ValueError("last and classes must be at least 1")
        self.conv1 = nn.Sequential(
            nn.Conv2d(3, 24, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(24),
            nn.ReLU(inplace=True),
        )
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.stage2 = nn.Sequential(
            InvertedResidual(24, c, stride=2),
            *(InvertedResidual(2 * (c // 2), c) for _ in range(3)),
        )
        self.stage3 = nn.Sequential(
            InvertedResidual(2 * (c // 2), 2 * c, stride=2),
            *(InvertedResidual(2 * c, 2 * c) for _ in range(7)),
        )
        self.stage4 = nn.Sequential(
            InvertedResidual(2 * c, 4 * c, stride=2),
            *(InvertedResidual(4 * c, 4 * c) for _ in range(3)),
        )
        self.conv5 = nn.Sequential(
            nn.Conv2d(4 * c, last, 1, bias=False),
            nn.BatchNorm2d(last),
            nn.ReLU(inplace=True),
        )
        self.fc = nn.Linear(last, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv1(x)
        x = self.maxpool(x)
        x = self.stage2(x)
        x = self.stage3(x)
        x = self.stage4(x)
        x = self.conv5(x)
        x = x.mean((2, 3))
        x = self.fc(x)
        return x


def shufflenet_v2_x1_0(classes: int = 1000) -> ShuffleNetV2:
    """Return a new shufflenet_v2_x1_0, with random weights."""
    return ShuffleNetV2(116, classes=classes)

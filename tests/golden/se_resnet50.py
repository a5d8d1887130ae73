"""se_resnet50: SENet of senet.net, compiled by netdsl 0.1.0.

Input 3x224x224, output 1000; 28,088,024 parameters, 3,860,488,192 MACs a sample.
"""

from collections import OrderedDict

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class SE(nn.Module):
    """Block SE of senet.net."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(in_channels, in_channels // 16, 1)
        self.fc2 = nn.Conv2d(in_channels // 16, in_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = F.adaptive_avg_pool2d(x, 1)
        y = F.relu(self.fc1(y), inplace=True)
        y = self.fc2(y)
        y = torch.sigmoid(y)
        x = x * y
        return x


class Bottleneck(nn.Module):
    """Block Bottleneck of senet.net."""

    def __init__(self, in_channels: int, planes: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, planes, 1, stride=stride, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.conv3 = nn.Conv2d(planes, 4 * planes, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * planes)
        self.se_module = SE(4 * planes)
        self.downsample: nn.Module | None = None
        if stride != 1 or in_channels != 4 * planes:
            self.downsample = nn.Sequential(
                nn.Conv2d(in_channels, 4 * planes, 1, stride=stride, bias=False),
                nn.BatchNorm2d(4 * planes),
            )

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        y = self.conv2(y)
        y = F.relu(self.bn2(y), inplace=True)
        y = self.conv3(y)
        y = self.bn3(y)
        y = self.se_module(y)
        if self.downsample is not None:
            x = self.downsample(x)
        y += x
        return F.relu(y, inplace=True)


class SENet(nn.Module):
    """Net SENet of senet.net."""

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        self.layer0 = nn.Sequential(
            OrderedDict(
                [
                    ("conv1", nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)),
                    ("bn1", nn.BatchNorm2d(64)),
                    ("2", nn.ReLU(inplace=True)),
                ],
            ),
        )
        self.layer1 = nn.Sequential(Bottleneck(64, 64), *(Bottleneck(256, 64) for _ in range(2)))
        self.layer2 = nn.Sequential(
            Bottleneck(256, 128, stride=2),
            *(Bottleneck(512, 128) for _ in range(3)),
        )
        self.layer3 = nn.Sequential(
            Bottleneck(512, 256, stride=2),
            *(Bottleneck(1024, 256) for _ in range(5)),
        )
        self.layer4 = nn.Sequential(
            Bottleneck(1024, 512, stride=2),
            *(Bottleneck(2048, 512) for _ in range(2)),
        )
        self.last_linear = nn.Linear(2048, classes)
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        x = self.layer0(x)
        x = F.max_pool2d(x, 3, stride=2, ceil_mode=True)
        x = self.layer1(x)
        x = self.layer2(x)
        x = self.layer3(x)
        x = self.layer4(x)
        x = x.mean((2, 3))
        x = self.last_linear(x)
        return x


def se_resnet50(classes: int = 1000) -> SENet:
    """Return a new se_resnet50, with random weights."""
    return SENet(classes)

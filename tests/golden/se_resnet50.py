"""se_resnet50: SENet of senet.net, compiled by netdsl 0.2.0.

Squeeze-and-Excitation Networks; arXiv 1709.01507, 2017.

Input 3x224x224, output 1000; 28,088,024 parameters, 3,860,488,192 MACs a sample.

    netdsl compile senet.net:se_resnet50 --backend torch
"""

from collections import OrderedDict
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class SE(nn.Module):
    """Block SE of senet.net.

    Shapes: (N, in_channels, H, W) -> (N, in_channels, H, W).
    """

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        if in_channels // 16 < 1:
            raise ValueError(f"conv needs at least 1 channel, not {in_channels // 16}")
        self.fc1 = nn.Conv2d(in_channels, in_channels // 16, 1)
        self.fc2 = nn.Conv2d(in_channels // 16, in_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = F.adaptive_avg_pool2d(x, 1)
        y = F.relu(self.fc1(y), inplace=True)
        y = self.fc2(y)
        return x * torch.sigmoid(y)


class Bottleneck(nn.Module):
    """Block Bottleneck of senet.net.

    `a` and `b` times as wide as planes; SE-ResNet has its stride in the first 1x1, the others in
    the 3x3.

    Shapes: (N, in_channels, H, W) -> (N, 4 * planes, (H - 1) // stride + 1, (W - 1) // stride + 1).
    """

    def __init__(self, in_channels: int, planes: int, stride: int = 1, v1: bool = False) -> None:
        super().__init__()
        if min(planes, stride) < 1:
            raise ValueError("planes and stride must be at least 1")
        early = stride if v1 else 1
        self.conv1 = nn.Conv2d(in_channels, planes, 1, stride=early, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, stride=stride // early, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.conv3 = nn.Conv2d(planes, 4 * planes, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * planes)
        self.se_module = SE(4 * planes)
        self.downsample: nn.Module | None = None
        if stride > 1 or in_channels != 4 * planes:
            self.downsample = nn.Sequential(
                nn.Conv2d(in_channels, 4 * planes, 1, stride=stride, bias=False),
                nn.BatchNorm2d(4 * planes),
            )
        self.out_channels = 4 * planes

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv1(x)
        y = F.relu(self.bn1(y), inplace=True)
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
    """Net SENet of senet.net.

    Squeeze-and-Excitation Networks; arXiv 1709.01507, 2017.

    Shapes: (N, 3, H, W) -> (N, classes).
    """

    def __init__(
        self,
        unit: Callable[..., Bottleneck],
        n: list[int],
        deep: bool = False,
        drop: float = 0.0,
        classes: int = 1000,
    ) -> None:
        super().__init__()
        if len(n) != 4 or min(n) < 0 or classes < 1:
            raise ValueError("len(n) must be 4, n at least 0, classes at least 1")
        n1, n2, n3, n4 = n
        named: OrderedDict[str, nn.Module] = OrderedDict()
        if deep:
            named["conv1"] = nn.Conv2d(3, 64, 3, stride=2, padding=1, bias=False)
            named["bn1"] = nn.BatchNorm2d(64)
            named["2"] = nn.ReLU(inplace=True)
            named["conv2"] = nn.Conv2d(64, 64, 3, padding=1, bias=False)
            named["bn2"] = nn.BatchNorm2d(64)
            named["5"] = nn.ReLU(inplace=True)
            named["conv3"] = nn.Conv2d(64, 128, 3, padding=1, bias=False)
            named["bn3"] = nn.BatchNorm2d(128)
            named["8"] = nn.ReLU(inplace=True)
        else:
            named["conv1"] = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
            named["bn1"] = nn.BatchNorm2d(64)
            named["2"] = nn.ReLU(inplace=True)
        self.layer0 = nn.Sequential(named)
        layers: list[nn.Module] = []
        channels = 128 if deep else 64
        for _ in range(n1):
            block = unit(channels, 64)
            layers.append(block)
            channels = block.out_channels
        self.layer1 = nn.Sequential(*layers)
        layers = []
        for i in range(n2):
            block = unit(channels, 128, stride=2 if i == 0 else 1)
            layers.append(block)
            channels = block.out_channels
        self.layer2 = nn.Sequential(*layers)
        layers = []
        for i in range(n3):
            block = unit(channels, 256, stride=2 if i == 0 else 1)
            layers.append(block)
            channels = block.out_channels
        self.layer3 = nn.Sequential(*layers)
        layers = []
        for i in range(n4):
            block = unit(channels, 512, stride=2 if i == 0 else 1)
            layers.append(block)
            channels = block.out_channels
        self.layer4 = nn.Sequential(*layers)
        self.dropout = nn.Dropout(drop) if drop > 0 else None
        self.last_linear = nn.Linear(channels, classes)
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
        if self.dropout is not None:
            x = self.dropout(x)
        x = self.last_linear(x)
        return x


def se_resnet50(classes: int = 1000) -> SENet:
    """Return a new se_resnet50, with random weights."""
    return SENet(partial(Bottleneck, v1=True), [3, 4, 6, 3], classes=classes)

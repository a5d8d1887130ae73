"""densenet121: DenseNet of densenet.net, compiled by netdsl 0.2.0.

Densely Connected Convolutional Networks; arXiv 1608.06993, 2016.

Input 3x224x224, output 1000; 7,978,856 parameters, 2,834,161,664 MACs a sample.

    netdsl compile densenet.net:densenet121 --backend torch
"""

from collections import OrderedDict

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class DenseLayer(nn.Module):
    """Block DenseLayer of densenet.net.

    Shapes: (N, in_channels, H, W) -> (N, in_channels + growth, H, W).
    """

    def __init__(self, in_channels: int, growth: int, drop: float = 0.0) -> None:
        super().__init__()
        if growth < 1:
            raise ValueError("growth must be at least 1")
        self.norm1 = nn.BatchNorm2d(in_channels)
        self.relu1 = nn.ReLU(inplace=True)
        self.conv1 = nn.Conv2d(in_channels, 4 * growth, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(4 * growth)
        self.relu2 = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False)
        self.dropout = nn.Dropout(drop) if drop > 0 else None

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu1(self.norm1(x))
        y = self.conv1(y)
        y = self.relu2(self.norm2(y))
        y = self.conv2(y)
        if self.dropout is not None:
            y = self.dropout(y)
        return torch.cat((x, y), 1)


class Transition(nn.Module):
    """Block Transition of densenet.net.

    Shapes: (N, in_channels, H, W) -> (N, in_channels // 2, H // 2, W // 2).
    """

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        if in_channels // 2 < 1:
            raise ValueError(f"conv needs at least 1 channel, not {in_channels // 2}")
        self.norm = nn.BatchNorm2d(in_channels)
        self.relu = nn.ReLU(inplace=True)
        self.conv = nn.Conv2d(in_channels, in_channels // 2, 1, bias=False)
        self.pool = nn.AvgPool2d(2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.norm(x))
        x = self.conv(x)
        x = self.pool(x)
        return x


class DenseNet(nn.Module):
    """Net DenseNet of densenet.net.

    Densely Connected Convolutional Networks; arXiv 1608.06993, 2016.

    Shapes: (N, 3, H, W) -> (N, classes).
    """

    def __init__(
        self, growth: int, stem: int, layers: list[int], drop: float = 0.0, classes: int = 1000
    ) -> None:
        super().__init__()
        if min(stem, classes) < 1:
            raise ValueError("stem and classes must be at least 1")
        named: OrderedDict[str, nn.Module] = OrderedDict()
        named["conv0"] = nn.Conv2d(3, stem, 7, stride=2, padding=3, bias=False)
        named["norm0"] = nn.BatchNorm2d(stem)
        named["relu0"] = nn.ReLU(inplace=True)
        named["pool0"] = nn.MaxPool2d(3, stride=2, padding=1)
        channels = stem
        for b, n in enumerate(layers, 1):
            members: OrderedDict[str, nn.Module] = OrderedDict()
            for i in range(n):
                members[f"denselayer{i + 1}"] = DenseLayer(channels, growth, drop=drop)
                channels += growth
            named[f"denseblock{b}"] = nn.Sequential(members)
            if b < len(layers):
                named[f"transition{b}"] = Transition(channels)
                channels //= 2
        named["norm5"] = nn.BatchNorm2d(channels)
        self.features = nn.Sequential(named)
        self.classifier = nn.Linear(channels, classes)
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight, nonlinearity="relu")
            elif isinstance(m, nn.Linear):
                nn.init.zeros_(m.bias)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.features(x), inplace=True)
        x = F.adaptive_avg_pool2d(x, 1)
        x = self.classifier(x.flatten(1))
        return x


def densenet121(drop: float = 0.0, classes: int = 1000) -> DenseNet:
    """Return a new densenet121, with random weights."""
    return DenseNet(32, 64, [6, 12, 24, 16], drop=drop, classes=classes)

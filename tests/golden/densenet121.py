"""densenet121: DenseNet of densenet.net, compiled by netdsl 0.1.0.

Input 3x224x224, output 1000; 7,978,856 parameters, 2,834,161,664 MACs a sample.
"""

from collections import OrderedDict

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class DenseLayer(nn.Module):
    """Block DenseLayer of densenet.net."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(in_channels)
        self.conv1 = nn.Conv2d(in_channels, 128, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(128)
        self.conv2 = nn.Conv2d(128, 32, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.norm1(x), inplace=True)
        y = self.conv1(y)
        y = F.relu(self.norm2(y), inplace=True)
        y = self.conv2(y)
        return torch.cat((x, y), 1)


class Transition(nn.Module):
    """Block Transition of densenet.net."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(in_channels)
        self.conv = nn.Conv2d(in_channels, in_channels // 2, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.norm(x), inplace=True)
        x = self.conv(x)
        x = F.avg_pool2d(x, 2)
        return x


class DenseNet(nn.Module):
    """Net DenseNet of densenet.net."""

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        self.features = nn.Sequential(
            OrderedDict(
                [
                    ("conv0", nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)),
                    ("norm0", nn.BatchNorm2d(64)),
                    ("relu0", nn.ReLU(inplace=True)),
                    ("pool0", nn.MaxPool2d(3, stride=2, padding=1)),
                    (
                        "denseblock1",
                        nn.Sequential(
                            OrderedDict(
                                (f"denselayer{i + 1}", DenseLayer(64 + 32 * i)) for i in range(6)
                            ),
                        ),
                    ),
                    ("transition1", Transition(256)),
                    (
                        "denseblock2",
                        nn.Sequential(
                            OrderedDict(
                                (f"denselayer{i + 1}", DenseLayer(128 + 32 * i)) for i in range(12)
                            ),
                        ),
                    ),
                    ("transition2", Transition(512)),
                    (
                        "denseblock3",
                        nn.Sequential(
                            OrderedDict(
                                (f"denselayer{i + 1}", DenseLayer(256 + 32 * i)) for i in range(24)
                            ),
                        ),
                    ),
                    ("transition3", Transition(1024)),
                    (
                        "denseblock4",
                        nn.Sequential(
                            OrderedDict(
                                (f"denselayer{i + 1}", DenseLayer(512 + 32 * i)) for i in range(16)
                            ),
                        ),
                    ),
                    ("norm5", nn.BatchNorm2d(1024)),
                ],
            ),
        )
        self.classifier = nn.Linear(1024, classes)
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight, nonlinearity="relu")
            elif isinstance(m, nn.Linear):
                nn.init.zeros_(m.bias)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.features(x), inplace=True)
        x = x.mean((2, 3))
        x = self.classifier(x)
        return x


def densenet121(classes: int = 1000) -> DenseNet:
    """Return a new densenet121, with random weights."""
    return DenseNet(classes)

"""googlenet: GoogLeNet of googlenet.net, compiled by netdsl 0.1.0.

Input 3x224x224, output 1000, aux1 1000, aux2 1000; 13,004,888 parameters, 1,498,376,192 MACs a
sample.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class GoogLeNetOutputs(NamedTuple):
    """What GoogLeNet returns."""

    out: Tensor
    aux1: Tensor
    aux2: Tensor


class BasicConv2d(nn.Module):
    """Block BasicConv2d of googlenet.net."""

    def __init__(self, in_channels: int, c: int, k: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, c, k, stride=stride, padding=k // 2, bias=False)
        self.bn = nn.BatchNorm2d(c, eps=0.001)
        nn.init.trunc_normal_(self.conv.weight, std=0.01)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)), inplace=True)


class Inception(nn.Module):
    """Block Inception of googlenet.net."""

    def __init__(
        self,
        in_channels: int,
        c1: int,
        c3r: int,
        c3: int,
        c5r: int,
        c5: int,
        cp: int,
    ) -> None:
        super().__init__()
        self.branch1 = BasicConv2d(in_channels, c1, 1)
        self.branch2 = nn.Sequential(BasicConv2d(in_channels, c3r, 1), BasicConv2d(c3r, c3, 3))
        self.branch3 = nn.Sequential(BasicConv2d(in_channels, c5r, 1), BasicConv2d(c5r, c5, 3))
        self.branch4 = nn.Sequential(
            nn.MaxPool2d(3, stride=1, padding=1, ceil_mode=True),
            BasicConv2d(in_channels, cp, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        branch1 = self.branch1(x)
        branch2 = self.branch2(x)
        branch3 = self.branch3(x)
        x = self.branch4(x)
        return torch.cat((branch1, branch2, branch3, x), 1)


class InceptionAux(nn.Module):
    """Block InceptionAux of googlenet.net."""

    def __init__(self, in_channels: int, classes: int) -> None:
        super().__init__()
        self.conv = BasicConv2d(in_channels, 128, 1)
        self.fc1 = nn.Linear(2048, 1024)
        self.dropout = nn.Dropout(0.7)
        self.fc2 = nn.Linear(1024, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = F.adaptive_avg_pool2d(x, 4)
        x = self.conv(x)
        x = F.relu(self.fc1(x.flatten(1)), inplace=True)
        x = self.dropout(x)
        x = self.fc2(x)
        return x


class GoogLeNet(nn.Module):
    """Net GoogLeNet of googlenet.net."""

    def __init__(self, drop: float = 0.2, classes: int = 1000) -> None:
        super().__init__()
        self.conv1 = BasicConv2d(3, 64, 7, stride=2)
        self.conv2 = BasicConv2d(64, 64, 1)
        self.conv3 = BasicConv2d(64, 192, 3)
        self.inception3a = Inception(192, 64, 96, 128, 16, 32, 32)
        self.inception3b = Inception(256, 128, 128, 192, 32, 96, 64)
        self.inception4a = Inception(480, 192, 96, 208, 16, 48, 64)
        self.inception4b = Inception(512, 160, 112, 224, 24, 64, 64)
        self.inception4c = Inception(512, 128, 128, 256, 24, 64, 64)
        self.inception4d = Inception(512, 112, 144, 288, 32, 64, 64)
        self.inception4e = Inception(528, 256, 160, 320, 32, 128, 128)
        self.inception5a = Inception(832, 256, 160, 320, 32, 128, 128)
        self.inception5b = Inception(832, 384, 192, 384, 48, 128, 128)
        self.aux1 = InceptionAux(512, classes)
        self.aux2 = InceptionAux(528, classes)
        self.dropout = nn.Dropout(drop)
        self.fc = nn.Linear(1024, classes)
        for m in self.modules():
            if isinstance(m, nn.Linear):
                nn.init.trunc_normal_(m.weight, std=0.01)

    def forward(self, x: Tensor) -> Tensor | GoogLeNetOutputs:
        x = self.conv1(x)
        x = F.max_pool2d(x, 3, stride=2, ceil_mode=True)
        x = self.conv2(x)
        x = self.conv3(x)
        x = F.max_pool2d(x, 3, stride=2, ceil_mode=True)
        x = self.inception3a(x)
        x = self.inception3b(x)
        x = F.max_pool2d(x, 3, stride=2, ceil_mode=True)
        x = self.inception4a(x)
        if self.training:
            aux1 = self.aux1(x)
        x = self.inception4b(x)
        x = self.inception4c(x)
        x = self.inception4d(x)
        if self.training:
            aux2 = self.aux2(x)
        x = self.inception4e(x)
        x = F.max_pool2d(x, 2, ceil_mode=True)
        x = self.inception5a(x)
        x = self.inception5b(x)
        x = x.mean((2, 3))
        x = self.dropout(x)
        x = self.fc(x)
        if self.training:
            return GoogLeNetOutputs(x, aux1, aux2)
        return x


def googlenet(drop: float = 0.2, classes: int = 1000) -> GoogLeNet:
    """Return a new googlenet, with random weights."""
    return GoogLeNet(drop, classes)

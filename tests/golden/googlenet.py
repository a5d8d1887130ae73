"""googlenet: GoogLeNet of googlenet.net, compiled by netdsl 0.2.0.

Going Deeper with Convolutions; arXiv 1409.4842, 2014.

Input 3x224x224, output logits 1000, aux_logits2 1000, aux_logits1 1000; 13,004,888 parameters,
1,498,376,192 MACs a sample.

    netdsl compile googlenet.net:googlenet --backend torch
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.jit import is_scripting  # type: ignore[attr-defined]
from torch.nn import functional as F


class GoogLeNetOutputs(NamedTuple):
    """What GoogLeNet returns in training; in evaluation it is the first alone."""

    logits: Tensor
    aux_logits2: Tensor | None
    aux_logits1: Tensor | None


class BasicConv2d(nn.Module):
    """Block BasicConv2d of googlenet.net.

    Shapes: (N, in_channels, H, W) -> (N, c, (H - 1) // stride + 1, (W - 1) // stride + 1).
    """

    def __init__(self, in_channels: int, k: tuple[int, int], c: int, stride: int = 1) -> None:
        super().__init__()
        if min(c, stride, *k) < 1:
            raise ValueError("c, stride and k must be at least 1")
        if k[0] % 2 != 1 or k[1] % 2 != 1:
            raise ValueError(f"pad=same needs odd kernels, not {k}")
        self.conv = nn.Conv2d(
            in_channels, c, k, stride=stride, padding=(k[0] // 2, k[1] // 2), bias=False
        )
        nn.init.trunc_normal_(self.conv.weight, std=0.01)
        self.bn = nn.BatchNorm2d(c, eps=0.001)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        return F.relu(self.bn(x), inplace=True)


class Inception(nn.Module):
    """Block Inception of googlenet.net.

    Shapes: (N, in_channels, H, W) -> (N, c1 + c3 + c5 + cp, H, W).
    """

    def __init__(
        self, in_channels: int, c1: int, c3r: int, c3: int, c5r: int, c5: int, cp: int
    ) -> None:
        super().__init__()
        self.branch1 = BasicConv2d(in_channels, (1, 1), c1)
        self.branch2 = nn.Sequential(
            BasicConv2d(in_channels, (1, 1), c3r),
            BasicConv2d(c3r, (3, 3), c3),
        )
        self.branch3 = nn.Sequential(
            BasicConv2d(in_channels, (1, 1), c5r),
            BasicConv2d(c5r, (3, 3), c5),
        )
        self.branch4 = nn.Sequential(
            nn.MaxPool2d(3, stride=1, padding=1, ceil_mode=True),
            BasicConv2d(in_channels, (1, 1), cp),
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat((self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)), 1)


class InceptionAux(nn.Module):
    """Block InceptionAux of googlenet.net.

    Shapes: (N, in_channels, H, W) -> (N, classes).
    """

    def __init__(self, in_channels: int, classes: int) -> None:
        super().__init__()
        if classes < 1:
            raise ValueError("classes must be at least 1")
        self.conv = BasicConv2d(in_channels, (1, 1), 128)
        self.fc1 = nn.Linear(2048, 1024)
        self.dropout = nn.Dropout(0.7)
        self.fc2 = nn.Linear(1024, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = F.adaptive_avg_pool2d(x, 4)
        x = self.conv(x)
        x = F.relu(self.fc1(x.flatten(1)), inplace=True)
        x = self.fc2(self.dropout(x))
        return x


class GoogLeNet(nn.Module):
    """Net GoogLeNet of googlenet.net.

    torchvision's: it has batch norm, and 3x3 where the paper has 5x5 (googlenet_2014.net). Its
    published weights take images that are normalised with mean 0.5 and deviation 0.5 in every
    channel, which there transform_input=True does; arXiv 1409.4842, 2014.

    Shapes: (N, 3, H, W) -> (N, classes).
    """

    def __init__(self, aux: bool = True, drop: float = 0.2, classes: int = 1000) -> None:
        super().__init__()
        if classes < 1:
            raise ValueError("classes must be at least 1")
        self.conv1 = BasicConv2d(3, (7, 7), 64, stride=2)
        self.maxpool1 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.conv2 = BasicConv2d(64, (1, 1), 64)
        self.conv3 = BasicConv2d(64, (3, 3), 192)
        self.maxpool2 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.inception3a = Inception(192, 64, 96, 128, 16, 32, 32)
        self.inception3b = Inception(256, 128, 128, 192, 32, 96, 64)
        self.maxpool3 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.inception4a = Inception(480, 192, 96, 208, 16, 48, 64)
        self.inception4b = Inception(512, 160, 112, 224, 24, 64, 64)
        self.inception4c = Inception(512, 128, 128, 256, 24, 64, 64)
        self.inception4d = Inception(512, 112, 144, 288, 32, 64, 64)
        self.inception4e = Inception(528, 256, 160, 320, 32, 128, 128)
        self.maxpool4 = nn.MaxPool2d(2, ceil_mode=True)
        self.inception5a = Inception(832, 256, 160, 320, 32, 128, 128)
        self.inception5b = Inception(832, 384, 192, 384, 48, 128, 128)
        self.aux1 = InceptionAux(512, classes) if aux else None
        self.aux2 = InceptionAux(528, classes) if aux else None
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(drop)
        self.fc = nn.Linear(1024, classes)
        for m in self.modules():
            if isinstance(m, nn.Linear):
                nn.init.trunc_normal_(m.weight, std=0.01)

    def forward(self, x: Tensor) -> Tensor | GoogLeNetOutputs:
        aux_logits1: Tensor | None = None
        aux_logits2: Tensor | None = None
        x = self.conv1(x)
        x = self.maxpool1(x)
        x = self.conv2(x)
        x = self.conv3(x)
        x = self.maxpool2(x)
        x = self.inception3a(x)
        x = self.inception3b(x)
        x = self.maxpool3(x)
        x = self.inception4a(x)
        if self.aux1 is not None and self.training:
            aux_logits1 = self.aux1(x)
        x = self.inception4b(x)
        x = self.inception4c(x)
        x = self.inception4d(x)
        if self.aux2 is not None and self.training:
            aux_logits2 = self.aux2(x)
        x = self.inception4e(x)
        x = self.maxpool4(x)
        x = self.inception5a(x)
        x = self.inception5b(x)
        x = self.avgpool(x)
        x = self.fc(self.dropout(x.flatten(1)))
        if is_scripting() or aux_logits1 is not None or aux_logits2 is not None:
            return GoogLeNetOutputs(x, aux_logits2, aux_logits1)
        return x


def googlenet(aux: bool = True, drop: float = 0.2, classes: int = 1000) -> GoogLeNet:
    """Return a new googlenet, with random weights."""
    return GoogLeNet(aux=aux, drop=drop, classes=classes)

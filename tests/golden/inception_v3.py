"""inception_v3: InceptionV3 of inception_v3.net, compiled by netdsl 0.1.0.

Input 3x299x299, output 1000, AuxLogits 1000; 27,161,264 parameters, 5,713,216,096 MACs a sample.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class InceptionV3Outputs(NamedTuple):
    """What InceptionV3 returns."""

    out: Tensor
    AuxLogits: Tensor


class BasicConv2d(nn.Module):
    """Block BasicConv2d of inception_v3.net."""

    def __init__(
        self,
        in_channels: int,
        c: int,
        k: int | tuple[int, int],
        stride: int = 1,
        padding: int | tuple[int, int] = 0,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, c, k, stride=stride, padding=padding, bias=False)
        self.bn = nn.BatchNorm2d(c, eps=0.001)
        nn.init.trunc_normal_(self.conv.weight, std=0.1)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)), inplace=True)


class InceptionA(nn.Module):
    """Block InceptionA of inception_v3.net."""

    def __init__(self, in_channels: int, pool: int) -> None:
        super().__init__()
        self.branch1x1 = BasicConv2d(in_channels, 64, 1)
        self.branch5x5_1 = BasicConv2d(in_channels, 48, 1)
        self.branch5x5_2 = BasicConv2d(48, 64, 5, padding=2)
        self.branch3x3dbl_1 = BasicConv2d(in_channels, 64, 1)
        self.branch3x3dbl_2 = BasicConv2d(64, 96, 3, padding=1)
        self.branch3x3dbl_3 = BasicConv2d(96, 96, 3, padding=1)
        self.branch_pool = BasicConv2d(in_channels, pool, 1)

    def forward(self, x: Tensor) -> Tensor:
        branch1x1 = self.branch1x1(x)
        branch5x5_1 = self.branch5x5_1(x)
        branch5x5_1 = self.branch5x5_2(branch5x5_1)
        branch3x3dbl_1 = self.branch3x3dbl_1(x)
        branch3x3dbl_1 = self.branch3x3dbl_2(branch3x3dbl_1)
        branch3x3dbl_1 = self.branch3x3dbl_3(branch3x3dbl_1)
        x = F.avg_pool2d(x, 3, stride=1, padding=1)
        x = self.branch_pool(x)
        return torch.cat((branch1x1, branch5x5_1, branch3x3dbl_1, x), 1)


class InceptionB(nn.Module):
    """Block InceptionB of inception_v3.net."""

    def __init__(self) -> None:
        super().__init__()
        self.branch3x3 = BasicConv2d(288, 384, 3, stride=2)
        self.branch3x3dbl_1 = BasicConv2d(288, 64, 1)
        self.branch3x3dbl_2 = BasicConv2d(64, 96, 3, padding=1)
        self.branch3x3dbl_3 = BasicConv2d(96, 96, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        branch3x3 = self.branch3x3(x)
        branch3x3dbl_1 = self.branch3x3dbl_1(x)
        branch3x3dbl_1 = self.branch3x3dbl_2(branch3x3dbl_1)
        branch3x3dbl_1 = self.branch3x3dbl_3(branch3x3dbl_1)
        x = F.max_pool2d(x, 3, stride=2)
        return torch.cat((branch3x3, branch3x3dbl_1, x), 1)


class InceptionC(nn.Module):
    """Block InceptionC of inception_v3.net."""

    def __init__(self, c: int) -> None:
        super().__init__()
        self.branch1x1 = BasicConv2d(768, 192, 1)
        self.branch7x7_1 = BasicConv2d(768, c, 1)
        self.branch7x7_2 = BasicConv2d(c, c, (1, 7), padding=(0, 3))
        self.branch7x7_3 = BasicConv2d(c, 192, (7, 1), padding=(3, 0))
        self.branch7x7dbl_1 = BasicConv2d(768, c, 1)
        self.branch7x7dbl_2 = BasicConv2d(c, c, (7, 1), padding=(3, 0))
        self.branch7x7dbl_3 = BasicConv2d(c, c, (1, 7), padding=(0, 3))
        self.branch7x7dbl_4 = BasicConv2d(c, c, (7, 1), padding=(3, 0))
        self.branch7x7dbl_5 = BasicConv2d(c, 192, (1, 7), padding=(0, 3))
        self.branch_pool = BasicConv2d(768, 192, 1)

    def forward(self, x: Tensor) -> Tensor:
        branch1x1 = self.branch1x1(x)
        branch7x7_1 = self.branch7x7_1(x)
        branch7x7_1 = self.branch7x7_2(branch7x7_1)
        branch7x7_1 = self.branch7x7_3(branch7x7_1)
        branch7x7dbl_1 = self.branch7x7dbl_1(x)
        branch7x7dbl_1 = self.branch7x7dbl_2(branch7x7dbl_1)
        branch7x7dbl_1 = self.branch7x7dbl_3(branch7x7dbl_1)
        branch7x7dbl_1 = self.branch7x7dbl_4(branch7x7dbl_1)
        branch7x7dbl_1 = self.branch7x7dbl_5(branch7x7dbl_1)
        x = F.avg_pool2d(x, 3, stride=1, padding=1)
        x = self.branch_pool(x)
        return torch.cat((branch1x1, branch7x7_1, branch7x7dbl_1, x), 1)


class InceptionAux(nn.Module):
    """Block InceptionAux of inception_v3.net."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.conv0 = BasicConv2d(768, 128, 1)
        self.conv1 = BasicConv2d(128, 768, 5)
        self.fc = nn.Linear(768, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = F.avg_pool2d(x, 5, stride=3)
        x = self.conv0(x)
        x = self.conv1(x)
        x = x.mean((2, 3))
        x = self.fc(x)
        return x


class InceptionD(nn.Module):
    """Block InceptionD of inception_v3.net."""

    def __init__(self) -> None:
        super().__init__()
        self.branch3x3_1 = BasicConv2d(768, 192, 1)
        self.branch3x3_2 = BasicConv2d(192, 320, 3, stride=2)
        self.branch7x7x3_1 = BasicConv2d(768, 192, 1)
        self.branch7x7x3_2 = BasicConv2d(192, 192, (1, 7), padding=(0, 3))
        self.branch7x7x3_3 = BasicConv2d(192, 192, (7, 1), padding=(3, 0))
        self.branch7x7x3_4 = BasicConv2d(192, 192, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        branch3x3_1 = self.branch3x3_1(x)
        branch3x3_1 = self.branch3x3_2(branch3x3_1)
        branch7x7x3_1 = self.branch7x7x3_1(x)
        branch7x7x3_1 = self.branch7x7x3_2(branch7x7x3_1)
        branch7x7x3_1 = self.branch7x7x3_3(branch7x7x3_1)
        branch7x7x3_1 = self.branch7x7x3_4(branch7x7x3_1)
        x = F.max_pool2d(x, 3, stride=2)
        return torch.cat((branch3x3_1, branch7x7x3_1, x), 1)


class InceptionE(nn.Module):
    """Block InceptionE of inception_v3.net."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.branch1x1 = BasicConv2d(in_channels, 320, 1)
        self.branch3x3_1 = BasicConv2d(in_channels, 384, 1)
        self.branch3x3_2a = BasicConv2d(384, 384, (1, 3), padding=(0, 1))
        self.branch3x3_2b = BasicConv2d(384, 384, (3, 1), padding=(1, 0))
        self.branch3x3dbl_1 = BasicConv2d(in_channels, 448, 1)
        self.branch3x3dbl_2 = BasicConv2d(448, 384, 3, padding=1)
        self.branch3x3dbl_3a = BasicConv2d(384, 384, (1, 3), padding=(0, 1))
        self.branch3x3dbl_3b = BasicConv2d(384, 384, (3, 1), padding=(1, 0))
        self.branch_pool = BasicConv2d(in_channels, 192, 1)

    def forward(self, x: Tensor) -> Tensor:
        branch1x1 = self.branch1x1(x)
        branch3x3_1 = self.branch3x3_1(x)
        branch3x3_2a = self.branch3x3_2a(branch3x3_1)
        branch3x3_1 = self.branch3x3_2b(branch3x3_1)
        branch3x3_2a = torch.cat((branch3x3_2a, branch3x3_1), 1)
        del branch3x3_1
        branch3x3dbl_1 = self.branch3x3dbl_1(x)
        branch3x3dbl_1 = self.branch3x3dbl_2(branch3x3dbl_1)
        branch3x3dbl_3a = self.branch3x3dbl_3a(branch3x3dbl_1)
        branch3x3dbl_1 = self.branch3x3dbl_3b(branch3x3dbl_1)
        branch3x3dbl_3a = torch.cat((branch3x3dbl_3a, branch3x3dbl_1), 1)
        del branch3x3dbl_1
        x = F.avg_pool2d(x, 3, stride=1, padding=1)
        x = self.branch_pool(x)
        return torch.cat((branch1x1, branch3x3_2a, branch3x3dbl_3a, x), 1)


class InceptionV3(nn.Module):
    """Net InceptionV3 of inception_v3.net."""

    def __init__(self, drop: float = 0.5, classes: int = 1000) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = BasicConv2d(3, 32, 3, stride=2)
        self.Conv2d_2a_3x3 = BasicConv2d(32, 32, 3)
        self.Conv2d_2b_3x3 = BasicConv2d(32, 64, 3, padding=1)
        self.Conv2d_3b_1x1 = BasicConv2d(64, 80, 1)
        self.Conv2d_4a_3x3 = BasicConv2d(80, 192, 3)
        self.Mixed_5b = InceptionA(192, 32)
        self.Mixed_5c = InceptionA(256, 64)
        self.Mixed_5d = InceptionA(288, 64)
        self.Mixed_6a = InceptionB()
        self.Mixed_6b = InceptionC(128)
        self.Mixed_6c = InceptionC(160)
        self.Mixed_6d = InceptionC(160)
        self.Mixed_6e = InceptionC(192)
        self.AuxLogits = InceptionAux(classes)
        self.Mixed_7a = InceptionD()
        self.Mixed_7b = InceptionE(1280)
        self.Mixed_7c = InceptionE(2048)
        self.dropout = nn.Dropout(drop)
        self.fc = nn.Linear(2048, classes)
        for m in self.modules():
            if isinstance(m, nn.Linear):
                nn.init.trunc_normal_(m.weight, std=0.1)
        nn.init.trunc_normal_(self.get_parameter("AuxLogits.fc.weight"), std=0.001)

    def forward(self, x: Tensor) -> Tensor | InceptionV3Outputs:
        x = self.Conv2d_1a_3x3(x)
        x = self.Conv2d_2a_3x3(x)
        x = self.Conv2d_2b_3x3(x)
        x = F.max_pool2d(x, 3, stride=2)
        x = self.Conv2d_3b_1x1(x)
        x = self.Conv2d_4a_3x3(x)
        x = F.max_pool2d(x, 3, stride=2)
        x = self.Mixed_5b(x)
        x = self.Mixed_5c(x)
        x = self.Mixed_5d(x)
        x = self.Mixed_6a(x)
        x = self.Mixed_6b(x)
        x = self.Mixed_6c(x)
        x = self.Mixed_6d(x)
        x = self.Mixed_6e(x)
        if self.training:
            AuxLogits = self.AuxLogits(x)
        x = self.Mixed_7a(x)
        x = self.Mixed_7b(x)
        x = self.Mixed_7c(x)
        x = x.mean((2, 3))
        x = self.dropout(x)
        x = self.fc(x)
        if self.training:
            return InceptionV3Outputs(x, AuxLogits)
        return x


def inception_v3(drop: float = 0.5, classes: int = 1000) -> InceptionV3:
    """Return a new inception_v3, with random weights."""
    return InceptionV3(drop, classes)

"""inception_v3: InceptionV3 of inception_v3.net, compiled by netdsl 0.2.0.

Rethinking the Inception Architecture for Computer Vision; arXiv 1512.00567, 2015.

Input 3x299x299, output logits 1000, aux_logits 1000; 27,161,264 parameters, 5,713,216,096 MACs a
sample.

    netdsl compile inception_v3.net:inception_v3 --backend torch
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.jit import is_scripting  # type: ignore[attr-defined]
from torch.nn import functional as F


class InceptionV3Outputs(NamedTuple):
    """What InceptionV3 returns in training; in evaluation it is the first alone."""

    logits: Tensor
    aux_logits: Tensor | None


class BasicConv2d(nn.Module):
    """Block BasicConv2d of inception_v3.net.

    Shapes: (N, in_channels, H, W) -> (N, c, H', W').
    """

    def __init__(
        self,
        in_channels: int,
        k: tuple[int, int],
        c: int,
        stride: int = 1,
        pad: tuple[int, int] | None = None,
    ) -> None:
        super().__init__()
        if min(c, stride, *k) < 1:
            raise ValueError("c, stride and k must be at least 1")
        if pad is None and (k[0] % 2 != 1 or k[1] % 2 != 1):
            raise ValueError(f"pad=same needs odd kernels, not {k}")
        if pad is not None and min(pad) < 0:
            raise ValueError("pad must be at least 0")
        self.conv = nn.Conv2d(
            in_channels,
            c,
            k,
            stride=stride,
            padding=(k[0] // 2, k[1] // 2) if pad is None else pad,
            bias=False,
        )
        nn.init.trunc_normal_(self.conv.weight, std=0.1)
        self.bn = nn.BatchNorm2d(c, eps=0.001)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        return F.relu(self.bn(x), inplace=True)


class InceptionA(nn.Module):
    """Block InceptionA of inception_v3.net.

    Shapes: (N, in_channels, H, W) -> (N, 224 + pool, H, W).
    """

    def __init__(self, in_channels: int, pool: int) -> None:
        super().__init__()
        self.branch1x1 = BasicConv2d(in_channels, (1, 1), 64)
        self.branch5x5_1 = BasicConv2d(in_channels, (1, 1), 48)
        self.branch5x5_2 = BasicConv2d(48, (5, 5), 64)
        self.branch3x3dbl_1 = BasicConv2d(in_channels, (1, 1), 64)
        self.branch3x3dbl_2 = BasicConv2d(64, (3, 3), 96)
        self.branch3x3dbl_3 = BasicConv2d(96, (3, 3), 96)
        self.branch_pool = BasicConv2d(in_channels, (1, 1), pool)

    def forward(self, x: Tensor) -> Tensor:
        branch1x1 = self.branch1x1(x)
        y = self.branch5x5_1(x)
        branch5x5_2 = self.branch5x5_2(y)
        y = self.branch3x3dbl_1(x)
        y = self.branch3x3dbl_2(y)
        branch3x3dbl_3 = self.branch3x3dbl_3(y)
        x = F.avg_pool2d(x, 3, stride=1, padding=1)
        return torch.cat((branch1x1, branch5x5_2, branch3x3dbl_3, self.branch_pool(x)), 1)


class InceptionB(nn.Module):
    """Block InceptionB of inception_v3.net.

    35x35 -> 17x17.

    Shapes: (N, in_channels, H, W) -> (N, 480 + in_channels, (H - 3) // 2 + 1, (W - 3) // 2 + 1).
    """

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.branch3x3 = BasicConv2d(in_channels, (3, 3), 384, stride=2, pad=(0, 0))
        self.branch3x3dbl_1 = BasicConv2d(in_channels, (1, 1), 64)
        self.branch3x3dbl_2 = BasicConv2d(64, (3, 3), 96)
        self.branch3x3dbl_3 = BasicConv2d(96, (3, 3), 96, stride=2, pad=(0, 0))

    def forward(self, x: Tensor) -> Tensor:
        branch3x3 = self.branch3x3(x)
        y = self.branch3x3dbl_1(x)
        y = self.branch3x3dbl_2(y)
        return torch.cat((branch3x3, self.branch3x3dbl_3(y), F.max_pool2d(x, 3, stride=2)), 1)


class InceptionC(nn.Module):
    """Block InceptionC of inception_v3.net.

    nxn as 1xn, nx1.

    Shapes: (N, in_channels, H, W) -> (N, 768, H, W).
    """

    def __init__(self, in_channels: int, c: int) -> None:
        super().__init__()
        self.branch1x1 = BasicConv2d(in_channels, (1, 1), 192)
        self.branch7x7_1 = BasicConv2d(in_channels, (1, 1), c)
        self.branch7x7_2 = BasicConv2d(c, (1, 7), c)
        self.branch7x7_3 = BasicConv2d(c, (7, 1), 192)
        self.branch7x7dbl_1 = BasicConv2d(in_channels, (1, 1), c)
        self.branch7x7dbl_2 = BasicConv2d(c, (7, 1), c)
        self.branch7x7dbl_3 = BasicConv2d(c, (1, 7), c)
        self.branch7x7dbl_4 = BasicConv2d(c, (7, 1), c)
        self.branch7x7dbl_5 = BasicConv2d(c, (1, 7), 192)
        self.branch_pool = BasicConv2d(in_channels, (1, 1), 192)

    def forward(self, x: Tensor) -> Tensor:
        branch1x1 = self.branch1x1(x)
        y = self.branch7x7_1(x)
        y = self.branch7x7_2(y)
        branch7x7_3 = self.branch7x7_3(y)
        y = self.branch7x7dbl_1(x)
        y = self.branch7x7dbl_2(y)
        y = self.branch7x7dbl_3(y)
        y = self.branch7x7dbl_4(y)
        branch7x7dbl_5 = self.branch7x7dbl_5(y)
        x = F.avg_pool2d(x, 3, stride=1, padding=1)
        return torch.cat((branch1x1, branch7x7_3, branch7x7dbl_5, self.branch_pool(x)), 1)


class InceptionAux(nn.Module):
    """Block InceptionAux of inception_v3.net.

    Shapes: (N, in_channels, H, W) -> (N, classes).
    """

    def __init__(self, in_channels: int, classes: int) -> None:
        super().__init__()
        if classes < 1:
            raise ValueError("classes must be at least 1")
        self.conv0 = BasicConv2d(in_channels, (1, 1), 128)
        self.conv1 = BasicConv2d(128, (5, 5), 768, pad=(0, 0))
        self.fc = nn.Linear(768, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = F.avg_pool2d(x, 5, stride=3)
        x = self.conv0(x)
        x = self.conv1(x)
        x = x.mean((2, 3))
        x = self.fc(x)
        return x


class InceptionD(nn.Module):
    """Block InceptionD of inception_v3.net.

    17x17 -> 8x8.

    Shapes: (N, in_channels, H, W) -> (N, 512 + in_channels, (H - 3) // 2 + 1, (W - 3) // 2 + 1).
    """

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.branch3x3_1 = BasicConv2d(in_channels, (1, 1), 192)
        self.branch3x3_2 = BasicConv2d(192, (3, 3), 320, stride=2, pad=(0, 0))
        self.branch7x7x3_1 = BasicConv2d(in_channels, (1, 1), 192)
        self.branch7x7x3_2 = BasicConv2d(192, (1, 7), 192)
        self.branch7x7x3_3 = BasicConv2d(192, (7, 1), 192)
        self.branch7x7x3_4 = BasicConv2d(192, (3, 3), 192, stride=2, pad=(0, 0))

    def forward(self, x: Tensor) -> Tensor:
        y = self.branch3x3_1(x)
        branch3x3_2 = self.branch3x3_2(y)
        y = self.branch7x7x3_1(x)
        y = self.branch7x7x3_2(y)
        y = self.branch7x7x3_3(y)
        return torch.cat((branch3x3_2, self.branch7x7x3_4(y), F.max_pool2d(x, 3, stride=2)), 1)


class InceptionE(nn.Module):
    """Block InceptionE of inception_v3.net.

    The widest: its branches fork again.

    Shapes: (N, in_channels, H, W) -> (N, 2048, H, W).
    """

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.branch1x1 = BasicConv2d(in_channels, (1, 1), 320)
        self.branch3x3_1 = BasicConv2d(in_channels, (1, 1), 384)
        self.branch3x3_2a = BasicConv2d(384, (1, 3), 384)
        self.branch3x3_2b = BasicConv2d(384, (3, 1), 384)
        self.branch3x3dbl_1 = BasicConv2d(in_channels, (1, 1), 448)
        self.branch3x3dbl_2 = BasicConv2d(448, (3, 3), 384)
        self.branch3x3dbl_3a = BasicConv2d(384, (1, 3), 384)
        self.branch3x3dbl_3b = BasicConv2d(384, (3, 1), 384)
        self.branch_pool = BasicConv2d(in_channels, (1, 1), 192)

    def forward(self, x: Tensor) -> Tensor:
        branch1x1 = self.branch1x1(x)
        y = self.branch3x3_1(x)
        y = torch.cat((self.branch3x3_2a(y), self.branch3x3_2b(y)), 1)
        out = self.branch3x3dbl_1(x)
        out = self.branch3x3dbl_2(out)
        out = torch.cat((self.branch3x3dbl_3a(out), self.branch3x3dbl_3b(out)), 1)
        x = F.avg_pool2d(x, 3, stride=1, padding=1)
        return torch.cat((branch1x1, y, out, self.branch_pool(x)), 1)


class InceptionV3(nn.Module):
    """Net InceptionV3 of inception_v3.net.

    torchvision's published weights take images that are normalised with mean 0.5 and deviation 0.5
    in every channel, which there transform_input=True does; arXiv 1512.00567, 2015.

    Shapes: (N, 3, H, W) -> (N, classes).
    """

    def __init__(self, aux: bool = True, drop: float = 0.5, classes: int = 1000) -> None:
        super().__init__()
        if classes < 1:
            raise ValueError("classes must be at least 1")
        self.Conv2d_1a_3x3 = BasicConv2d(3, (3, 3), 32, stride=2, pad=(0, 0))
        self.Conv2d_2a_3x3 = BasicConv2d(32, (3, 3), 32, pad=(0, 0))
        self.Conv2d_2b_3x3 = BasicConv2d(32, (3, 3), 64)
        self.maxpool1 = nn.MaxPool2d(3, stride=2)
        self.Conv2d_3b_1x1 = BasicConv2d(64, (1, 1), 80)
        self.Conv2d_4a_3x3 = BasicConv2d(80, (3, 3), 192, pad=(0, 0))
        self.maxpool2 = nn.MaxPool2d(3, stride=2)
        self.Mixed_5b = InceptionA(192, 32)
        self.Mixed_5c = InceptionA(256, 64)
        self.Mixed_5d = InceptionA(288, 64)
        self.Mixed_6a = InceptionB(288)
        self.Mixed_6b = InceptionC(768, 128)
        self.Mixed_6c = InceptionC(768, 160)
        self.Mixed_6d = InceptionC(768, 160)
        self.Mixed_6e = InceptionC(768, 192)
        self.AuxLogits = InceptionAux(768, classes) if aux else None
        self.Mixed_7a = InceptionD(768)
        self.Mixed_7b = InceptionE(1280)
        self.Mixed_7c = InceptionE(2048)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(drop)
        self.fc = nn.Linear(2048, classes)
        for m in self.modules():
            if isinstance(m, nn.Linear):
                nn.init.trunc_normal_(m.weight, std=0.1)
        for m in self.modules():
            if isinstance(m, InceptionAux):
                nn.init.trunc_normal_(m.fc.weight, std=0.001)

    def forward(self, x: Tensor) -> Tensor | InceptionV3Outputs:
        aux_logits: Tensor | None = None
        x = self.Conv2d_1a_3x3(x)
        x = self.Conv2d_2a_3x3(x)
        x = self.Conv2d_2b_3x3(x)
        x = self.maxpool1(x)
        x = self.Conv2d_3b_1x1(x)
        x = self.Conv2d_4a_3x3(x)
        x = self.maxpool2(x)
        x = self.Mixed_5b(x)
        x = self.Mixed_5c(x)
        x = self.Mixed_5d(x)
        x = self.Mixed_6a(x)
        x = self.Mixed_6b(x)
        x = self.Mixed_6c(x)
        x = self.Mixed_6d(x)
        x = self.Mixed_6e(x)
        if self.AuxLogits is not None and self.training:
            aux_logits = self.AuxLogits(x)
        x = self.Mixed_7a(x)
        x = self.Mixed_7b(x)
        x = self.Mixed_7c(x)
        x = self.avgpool(x)
        x = self.dropout(x)
        x = self.fc(x.flatten(1))
        if is_scripting() or aux_logits is not None:
            return InceptionV3Outputs(x, aux_logits)
        return x


def inception_v3(aux: bool = True, drop: float = 0.5, classes: int = 1000) -> InceptionV3:
    """Return a new inception_v3, with random weights."""
    return InceptionV3(aux=aux, drop=drop, classes=classes)

"""efficientnet_b0: EfficientNet of efficientnet.net, compiled by netdsl 0.1.0.

Input 3x224x224, output 1000; 5,288,548 parameters, 385,814,752 MACs a sample.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class DropPath(nn.Module):
    """Stochastic depth: in training, a sample is zero with probability p, else divided by 1 - p."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return x
        keep = 1 - self.p
        mask = x.new_empty([x.shape[0]] + [1] * (x.ndim - 1)).bernoulli_(keep)
        if keep > 0:
            mask.div_(keep)
        return x * mask


class SqueezeExcitation(nn.Module):
    """Block SqueezeExcitation of efficientnet.net."""

    def __init__(self, in_channels: int, squeeze: int) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(in_channels, squeeze, 1)
        self.fc2 = nn.Conv2d(squeeze, in_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = F.adaptive_avg_pool2d(x, 1)
        y = F.silu(self.fc1(y), inplace=True)
        y = self.fc2(y)
        y = torch.sigmoid(y)
        x = x * y
        return x


class MBConv(nn.Module):
    """Block MBConv of efficientnet.net."""

    def __init__(
        self,
        in_channels: int,
        hidden: int,
        k: int,
        squeeze: int,
        c: int,
        stride: int = 1,
        drop: float = 0.0,
    ) -> None:
        super().__init__()
        self.residual = stride == 1 and in_channels == c
        layers: list[nn.Module] = []
        if in_channels != hidden:
            layers.append(
                nn.Sequential(
                    nn.Conv2d(in_channels, hidden, 1, bias=False),
                    nn.BatchNorm2d(hidden),
                    nn.SiLU(inplace=True),
                ),
            )
        layers += [
            nn.Sequential(
                nn.Conv2d(
                    hidden,
                    hidden,
                    k,
                    stride=stride,
                    padding=k // 2,
                    groups=hidden,
                    bias=False,
                ),
                nn.BatchNorm2d(hidden),
                nn.SiLU(inplace=True),
            ),
            SqueezeExcitation(hidden, squeeze),
            nn.Sequential(nn.Conv2d(hidden, c, 1, bias=False), nn.BatchNorm2d(c)),
        ]
        self.block = nn.Sequential(*layers)
        if self.residual:
            self.droppath = DropPath(drop)

    def forward(self, x: Tensor) -> Tensor:
        block: Tensor = self.block(x)
        if self.residual:
            block = self.droppath(block)
            block = x + block
        return block


class EfficientNet(nn.Module):
    """Net EfficientNet of efficientnet.net."""

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Sequential(
                nn.Conv2d(3, 32, 3, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(32),
                nn.SiLU(inplace=True),
            ),
            nn.Sequential(MBConv(32, 32, 3, 8, 16)),
            nn.Sequential(
                MBConv(16, 96, 3, 4, 24, stride=2),
                MBConv(24, 144, 3, 6, 24, drop=0.2 * 2 / 16),
            ),
            nn.Sequential(
                MBConv(24, 144, 5, 6, 40, stride=2),
                MBConv(40, 240, 5, 10, 40, drop=0.2 * 4 / 16),
            ),
            nn.Sequential(
                MBConv(40, 240, 3, 10, 80, stride=2),
                MBConv(80, 480, 3, 20, 80, drop=0.2 * 6 / 16),
                MBConv(80, 480, 3, 20, 80, drop=0.2 * 7 / 16),
            ),
            nn.Sequential(
                MBConv(80, 480, 5, 20, 112),
                MBConv(112, 672, 5, 28, 112, drop=0.2 * 9 / 16),
                MBConv(112, 672, 5, 28, 112, drop=0.2 * 10 / 16),
            ),
            nn.Sequential(
                MBConv(112, 672, 5, 28, 192, stride=2),
                *(MBConv(192, 1152, 5, 48, 192, drop=0.2 * i / 16) for i in range(12, 15)),
            ),
            nn.Sequential(MBConv(192, 1152, 3, 48, 320)),
            nn.Sequential(
                nn.Conv2d(320, 1280, 1, bias=False),
                nn.BatchNorm2d(1280),
                nn.SiLU(inplace=True),
            ),
        )
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(1280, classes))
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")
                if m.bias is not None:
                    nn.init.zeros_(m.bias)
            elif isinstance(m, nn.Linear):
                nn.init.kaiming_uniform_(m.weight, a=5**0.5, mode="fan_out")
                nn.init.zeros_(m.bias)

    def forward(self, x: Tensor) -> Tensor:
        x = self.features(x)
        x = x.mean((2, 3))
        x = self.classifier(x)
        return x


def efficientnet_b0(classes: int = 1000) -> EfficientNet:
    """Return a new efficientnet_b0, with random weights."""
    return EfficientNet(classes)

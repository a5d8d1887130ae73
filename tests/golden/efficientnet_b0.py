"""efficientnet_b0: EfficientNet of efficientnet.net, compiled by netdsl 0.2.0.

EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks; arXiv 1905.11946, 2019.

Input 3x224x224, output 1000; 5,288,548 parameters, 385,814,752 MACs a sample.

    netdsl compile efficientnet.net:efficientnet_b0 --backend torch
"""

import math
from collections.abc import Callable

from torch import Tensor, nn


def make_divisible(value: float, divisor: int) -> int:
    """Return the nearest multiple of a divisor, never more than 10 % below the value."""
    rounded = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * value else rounded


class DropPath(nn.Dropout):
    """Stochastic depth: in training, a sample is zero with probability p, else divided by 1 - p."""

    def forward(self, input: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return input
        keep = 1 - self.p
        mask = input.new_empty([input.shape[0]] + [1] * (input.ndim - 1)).bernoulli_(keep)
        return input * (mask / keep if keep > 0 else mask)


STAGES = [
    (1, (3, 3), 1, 16, 1),
    (6, (3, 3), 2, 24, 2),
    (6, (5, 5), 2, 40, 2),
    (6, (3, 3), 2, 80, 3),
    (6, (5, 5), 1, 112, 3),
    (6, (5, 5), 2, 192, 4),
    (6, (3, 3), 1, 320, 1),
]


class SqueezeExcitation(nn.Module):
    """Block SqueezeExcitation of mobilenet_v3.net.

    Shapes: (N, in_channels, H, W) -> (N, in_channels, H, W).
    """

    def __init__(
        self, in_channels: int, squeeze: int, act: Callable[..., nn.Module] = nn.ReLU
    ) -> None:
        super().__init__()
        if squeeze < 1:
            raise ValueError("squeeze must be at least 1")
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc1 = nn.Conv2d(in_channels, squeeze, 1)
        self.activation = act()
        self.fc2 = nn.Conv2d(squeeze, in_channels, 1)
        self.scale_activation = nn.Sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.avgpool(x)
        y = self.fc1(y)
        y = self.activation(y)
        y = self.fc2(y)
        y = x * self.scale_activation(y)
        return y


class MBConv(nn.Module):
    """Block MBConv of efficientnet.net.

    Shapes: (N, in_channels, H, W) -> (N, c, (H - 1) // stride + 1, (W - 1) // stride + 1).
    """

    def __init__(
        self,
        in_channels: int,
        k: tuple[int, int],
        c: int,
        stride: int = 1,
        expand: int = 6,
        drop: float = 0.0,
        norm: Callable[..., nn.Module] = nn.BatchNorm2d,
    ) -> None:
        super().__init__()
        if min(c, stride, *k) < 1:
            raise ValueError("c, stride and k must be at least 1")
        hidden = make_divisible(expand * in_channels, 8)
        if k[0] % 2 != 1 or k[1] % 2 != 1:
            raise ValueError(f"pad=same needs odd kernels, not {k}")
        layers: list[nn.Module] = []
        if hidden != in_channels:
            layers.append(
                nn.Sequential(
                    nn.Conv2d(in_channels, hidden, 1, bias=False),
                    norm(hidden),
                    nn.SiLU(inplace=True),
                )
            )
        layers.append(
            nn.Sequential(
                nn.Conv2d(
                    hidden,
                    hidden,
                    k,
                    stride=stride,
                    padding=(k[0] // 2, k[1] // 2),
                    groups=hidden,
                    bias=False,
                ),
                norm(hidden),
                nn.SiLU(inplace=True),
            )
        )
        layers.append(SqueezeExcitation(hidden, max(1, in_channels // 4), act=nn.SiLU))
        layers.append(nn.Sequential(nn.Conv2d(hidden, c, 1, bias=False), norm(c)))
        self.block = nn.Sequential(*layers)
        self.stochastic_depth = DropPath(drop) if stride == 1 and in_channels == c else None

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.block(x)
        if self.stochastic_depth is not None:
            y = x + self.stochastic_depth(y)
        return y


class EfficientNet(nn.Module):
    """Net EfficientNet of efficientnet.net.

    EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks; arXiv 1905.11946,
    2019.

    Shapes: (N, 3, H, W) -> (N, classes).
    """

    def __init__(
        self,
        width: float,
        depth: float,
        drop: float,
        norm: Callable[..., nn.Module] = nn.BatchNorm2d,
        classes: int = 1000,
    ) -> None:
        super().__init__()
        if classes < 1:
            raise ValueError("classes must be at least 1")
        steps = sum(math.ceil(n * depth) for _, _, _, _, n in STAGES)
        step = 0
        stem = make_divisible(32 * width, 8)
        last = 4 * make_divisible(320 * width, 8)
        layers: list[nn.Module] = [
            nn.Sequential(
                nn.Conv2d(3, stem, 3, stride=2, padding=1, bias=False),
                norm(stem),
                nn.SiLU(inplace=True),
            ),
        ]
        channels = stem
        for t, k, s, c, n in STAGES:
            blocks = math.ceil(n * depth)
            if blocks < 0:
                raise ValueError(f"a repetition needs a whole number from 0, not {blocks}")
            block: list[nn.Module] = []
            for i in range(blocks):
                block.append(
                    MBConv(
                        channels,
                        k,
                        make_divisible(c * width, 8),
                        stride=s if i == 0 else 1,
                        expand=t,
                        drop=0.2 * step / steps,
                        norm=norm,
                    )
                )
                step += 1
                channels = make_divisible(c * width, 8)
            layers.append(nn.Sequential(*block))
        layers.append(
            nn.Sequential(
                nn.Conv2d(channels, last, 1, bias=False),
                norm(last),
                nn.SiLU(inplace=True),
            )
        )
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(nn.Dropout(drop), nn.Linear(last, classes))
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
        x = self.avgpool(x)
        x = self.classifier(x.flatten(1))
        return x


def efficientnet_b0(classes: int = 1000) -> EfficientNet:
    """Return a new efficientnet_b0, with random weights."""
    return EfficientNet(1.0, 1.0, 0.2, classes=classes)

"""mobilenet_v3_large: MobileNetV3 of mobilenet_v3.net, compiled by netdsl 0.2.0.

Searching for MobileNetV3; arXiv 1905.02244, 2019.

Input 3x224x224, output 1000; 5,483,032 parameters, 216,589,760 MACs a sample.

    netdsl compile mobilenet_v3.net:mobilenet_v3_large --backend torch
"""

from collections.abc import Callable

from torch import Tensor, nn


def make_divisible(value: float, divisor: int) -> int:
    """Return the nearest multiple of a divisor, never more than 10 % below the value."""
    rounded = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * value else rounded


LARGE: list[tuple[tuple[int, int], int, int, bool, Callable[..., nn.Module], int]] = [
    ((3, 3), 16, 16, False, nn.ReLU, 1),
    ((3, 3), 64, 24, False, nn.ReLU, 2),
    ((3, 3), 72, 24, False, nn.ReLU, 1),
    ((5, 5), 72, 40, True, nn.ReLU, 2),
    ((5, 5), 120, 40, True, nn.ReLU, 1),
    ((5, 5), 120, 40, True, nn.ReLU, 1),
    ((3, 3), 240, 80, False, nn.Hardswish, 2),
    ((3, 3), 200, 80, False, nn.Hardswish, 1),
    ((3, 3), 184, 80, False, nn.Hardswish, 1),
    ((3, 3), 184, 80, False, nn.Hardswish, 1),
    ((3, 3), 480, 112, True, nn.Hardswish, 1),
    ((3, 3), 672, 112, True, nn.Hardswish, 1),
    ((5, 5), 672, 160, True, nn.Hardswish, 2),
    ((5, 5), 960, 160, True, nn.Hardswish, 1),
    ((5, 5), 960, 160, True, nn.Hardswish, 1),
]


class SqueezeExcitation(nn.Module):
    """Block SqueezeExcitation of mobilenet_v3.net.

    Shapes: (N, in_channels, H, W) -> (N, in_channels, H, W).
    """

    def __init__(
        self, in_channels: int, squeeze: int, gate: Callable[..., nn.Module] = nn.Sigmoid
    ) -> None:
        super().__init__()
        if squeeze < 1:
            raise ValueError("squeeze must be at least 1")
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc1 = nn.Conv2d(in_channels, squeeze, 1)
        self.activation = nn.ReLU(inplace=True)
        self.fc2 = nn.Conv2d(squeeze, in_channels, 1)
        self.scale_activation = gate()

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.avgpool(x)
        y = self.activation(self.fc1(y))
        y = self.fc2(y)
        y = x * self.scale_activation(y)
        return y


class InvertedResidual(nn.Module):
    """Block InvertedResidual of mobilenet_v3.net.

    Shapes: (N, in_channels, H, W) -> (N, c, (H - 1) // stride + 1, (W - 1) // stride + 1).
    """

    def __init__(
        self,
        in_channels: int,
        k: tuple[int, int],
        hidden: int,
        c: int,
        se: bool,
        act: Callable[..., nn.Module],
        stride: int = 1,
    ) -> None:
        super().__init__()
        if min(hidden, c, stride, *k) < 1:
            raise ValueError("hidden, c, stride and k must be at least 1")
        if k[0] % 2 != 1 or k[1] % 2 != 1:
            raise ValueError(f"pad=same needs odd kernels, not {k}")
        layers: list[nn.Module] = []
        if hidden != in_channels:
            layers.append(
                nn.Sequential(
                    nn.Conv2d(in_channels, hidden, 1, bias=False),
                    nn.BatchNorm2d(hidden, eps=0.001, momentum=0.01),
                    act(),
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
                nn.BatchNorm2d(hidden, eps=0.001, momentum=0.01),
                act(),
            )
        )
        if se:
            layers.append(
                SqueezeExcitation(hidden, make_divisible(hidden // 4, 8), gate=nn.Hardsigmoid)
            )
        layers.append(
            nn.Sequential(
                nn.Conv2d(hidden, c, 1, bias=False),
                nn.BatchNorm2d(c, eps=0.001, momentum=0.01),
            )
        )
        self.block = nn.Sequential(*layers)
        self.residual = stride == 1 and in_channels == c

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.block(x)
        if self.residual:
            y += x
        return y


class MobileNetV3(nn.Module):
    """Net MobileNetV3 of mobilenet_v3.net.

    Searching for MobileNetV3; arXiv 1905.02244, 2019.

    Shapes: (N, 3, H, W) -> (N, classes).
    """

    def __init__(
        self,
        rows: list[tuple[tuple[int, int], int, int, bool, Callable[..., nn.Module], int]],
        head: int,
        width: float = 1.0,
        drop: float = 0.2,
        classes: int = 1000,
    ) -> None:
        super().__init__()
        if len(rows) < 1 or classes < 1:
            raise ValueError("len(rows) must be at least 1, classes at least 1")
        layers: list[nn.Module] = [
            nn.Sequential(
                nn.Conv2d(3, make_divisible(16 * width, 8), 3, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(make_divisible(16 * width, 8), eps=0.001, momentum=0.01),
                nn.Hardswish(inplace=True),
            ),
        ]
        channels = make_divisible(16 * width, 8)
        for k, e, c, se, act, s in rows:
            layers.append(
                InvertedResidual(
                    channels,
                    k,
                    make_divisible(e * width, 8),
                    make_divisible(c * width, 8),
                    se,
                    act,
                    stride=s,
                )
            )
            channels = make_divisible(c * width, 8)
        last = 6 * make_divisible(rows[-1][2] * width, 8)
        layers.append(
            nn.Sequential(
                nn.Conv2d(channels, last, 1, bias=False),
                nn.BatchNorm2d(last, eps=0.001, momentum=0.01),
                nn.Hardswish(inplace=True),
            )
        )
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(
            nn.Linear(last, make_divisible(head * width, 8)),
            nn.Hardswish(inplace=True),
            nn.Dropout(drop),
            nn.Linear(make_divisible(head * width, 8), classes),
        )
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")
                if m.bias is not None:
                    nn.init.zeros_(m.bias)
            elif isinstance(m, nn.Linear):
                nn.init.normal_(m.weight, std=0.01)
                nn.init.zeros_(m.bias)

    def forward(self, x: Tensor) -> Tensor:
        x = self.features(x)
        x = self.avgpool(x)
        x = self.classifier(x.flatten(1))
        return x


def mobilenet_v3_large(drop: float = 0.2, classes: int = 1000) -> MobileNetV3:
    """Return a new mobilenet_v3_large, with random weights."""
    return MobileNetV3(LARGE, 1280, drop=drop, classes=classes)

"""mobilenet_v3_large: MobileNetV3 of mobilenet_v3.net, compiled by netdsl 0.1.0.

Input 3x224x224, output 1000; 5,483,032 parameters, 216,589,760 MACs a sample.
"""

from torch import Tensor, nn
from torch.nn import functional as F


class SqueezeExcitation(nn.Module):
    """Block SqueezeExcitation of mobilenet_v3.net."""

    def __init__(self, in_channels: int, squeeze: int) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(in_channels, squeeze, 1)
        self.fc2 = nn.Conv2d(squeeze, in_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = F.adaptive_avg_pool2d(x, 1)
        y = F.relu(self.fc1(y), inplace=True)
        y = F.hardsigmoid(self.fc2(y), inplace=True)
        x = x * y
        return x


class InvertedResidual(nn.Module):
    """Block InvertedResidual of mobilenet_v3.net."""

    def __init__(
        self,
        in_channels: int,
        hidden: int,
        k: int,
        activation: type[nn.Module],
        c: int,
        stride: int = 1,
        squeeze: int = 0,
        se: bool = True,
    ) -> None:
        super().__init__()
        self.residual = stride == 1 and in_channels == c
        layers: list[nn.Module] = []
        if in_channels != hidden:
            layers.append(
                nn.Sequential(
                    nn.Conv2d(in_channels, hidden, 1, bias=False),
                    nn.BatchNorm2d(hidden, eps=0.001, momentum=0.01),
                    activation(inplace=True),
                ),
            )
        layers.append(
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
                nn.BatchNorm2d(hidden, eps=0.001, momentum=0.01),
                activation(inplace=True),
            ),
        )
        if se:
            layers.append(SqueezeExcitation(hidden, squeeze))
        layers.append(
            nn.Sequential(
                nn.Conv2d(hidden, c, 1, bias=False),
                nn.BatchNorm2d(c, eps=0.001, momentum=0.01),
            ),
        )
        self.block = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        block: Tensor = self.block(x)
        if self.residual:
            block += x
        return block


class MobileNetV3(nn.Module):
    """Net MobileNetV3 of mobilenet_v3.net."""

    def __init__(self, drop: float = 0.2, classes: int = 1000) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Sequential(
                nn.Conv2d(3, 16, 3, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(16, eps=0.001, momentum=0.01),
                nn.Hardswish(inplace=True),
            ),
            InvertedResidual(16, 16, 3, nn.ReLU, 16, se=False),
            InvertedResidual(16, 64, 3, nn.ReLU, 24, stride=2, se=False),
            InvertedResidual(24, 72, 3, nn.ReLU, 24, se=False),
            InvertedResidual(24, 72, 5, nn.ReLU, 40, stride=2, squeeze=24),
            *(InvertedResidual(40, 120, 5, nn.ReLU, 40, squeeze=32) for _ in range(2)),
            InvertedResidual(40, 240, 3, nn.Hardswish, 80, stride=2, se=False),
            InvertedResidual(80, 200, 3, nn.Hardswish, 80, se=False),
            *(InvertedResidual(80, 184, 3, nn.Hardswish, 80, se=False) for _ in range(2)),
            InvertedResidual(80, 480, 3, nn.Hardswish, 112, squeeze=120),
            InvertedResidual(112, 672, 3, nn.Hardswish, 112, squeeze=168),
            InvertedResidual(112, 672, 5, nn.Hardswish, 160, stride=2, squeeze=168),
            *(InvertedResidual(160, 960, 5, nn.Hardswish, 160, squeeze=240) for _ in range(2)),
            nn.Sequential(
                nn.Conv2d(160, 960, 1, bias=False),
                nn.BatchNorm2d(960, eps=0.001, momentum=0.01),
                nn.Hardswish(inplace=True),
            ),
        )
        self.classifier = nn.Sequential(
            nn.Linear(960, 1280),
            nn.Hardswish(inplace=True),
            nn.Dropout(drop),
            nn.Linear(1280, classes),
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
        x = x.mean((2, 3))
        x = self.classifier(x)
        return x


def mobilenet_v3_large(drop: float = 0.2, classes: int = 1000) -> MobileNetV3:
    """Return a new mobilenet_v3_large, with random weights."""
    return MobileNetV3(drop, classes)

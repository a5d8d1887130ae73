"""resnext50_32x4d: ResNet of resnet.net, compiled by netdsl 0.2.0.

Deep Residual Learning (1512.03385), ResNeXt (1611.05431), Wide ResNet (1605.07146) and
pre-activation (1603.05027) in one file; arXiv 1611.05431, 2016.

Input 3x224x224, output 1000; 25,028,904 parameters, 4,230,479,872 MACs a sample.

    netdsl compile resnet.net:resnext50_32x4d --backend torch
"""

from collections.abc import Callable
from functools import partial

from torch import Tensor, nn


class Bottleneck(nn.Module):
    """Block Bottleneck of resnet.net.

    The stride is in the 3x3, as in torchvision; in the paper (v1) it is in the first 1x1.

    Shapes: (N, in_channels, H, W) -> (N, 4 * planes, (H - 1) // stride + 1, (W - 1) // stride + 1).
    """

    def __init__(
        self, in_channels: int, planes: int, stride: int = 1, groups: int = 1, base: int = 64
    ) -> None:
        super().__init__()
        if min(planes, stride, groups) < 1:
            raise ValueError("planes, stride and groups must be at least 1")
        width = planes * base // 64 * groups
        if width < 1:
            raise ValueError(f"conv needs at least 1 channel, not {width}")
        self.conv1 = nn.Conv2d(in_channels, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(width, width, 3, stride=stride, padding=1, groups=groups, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, 4 * planes, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * planes)
        self.downsample: nn.Module | None = None
        if stride != 1 or in_channels != 4 * planes:
            self.downsample = nn.Sequential(
                nn.Conv2d(in_channels, 4 * planes, 1, stride=stride, bias=False),
                nn.BatchNorm2d(4 * planes),
            )
        self.out_channels = 4 * planes

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv1(x)
        y = self.relu(self.bn1(y))
        y = self.conv2(y)
        y = self.relu(self.bn2(y))
        y = self.conv3(y)
        y = self.bn3(y)
        if self.downsample is not None:
            x = self.downsample(x)
        y += x
        y = self.relu(y)
        return y


class ResNet(nn.Module):
    """Net ResNet of resnet.net.

    Deep Residual Learning (1512.03385), ResNeXt (1611.05431), Wide ResNet (1605.07146) and
    pre-activation (1603.05027) in one file; arXiv 1611.05431, 2016.

    Shapes: (N, 3, H, W) -> (N, classes).
    """

    def __init__(self, unit: Callable[..., Bottleneck], n: list[int], classes: int = 1000) -> None:
        super().__init__()
        if len(n) != 4 or min(n) < 0 or classes < 1:
            raise ValueError("len(n) must be 4, n at least 0, classes at least 1")
        n1, n2, n3, n4 = n
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        layers: list[nn.Module] = []
        channels = 64
        for _ in range(n1):
            block = unit(channels, 64)
            layers.append(block)
            channels = block.out_channels
        self.layer1 = nn.Sequential(*layers)
        layers = []
        for i in range(n2):
            block = unit(channels, 128, stride=2 if i == 0 else 1)
            layers.append(block)
            channels = block.out_channels
        self.layer2 = nn.Sequential(*layers)
        layers = []
        for i in range(n3):
            block = unit(channels, 256, stride=2 if i == 0 else 1)
            layers.append(block)
            channels = block.out_channels
        self.layer3 = nn.Sequential(*layers)
        layers = []
        for i in range(n4):
            block = unit(channels, 512, stride=2 if i == 0 else 1)
            layers.append(block)
            channels = block.out_channels
        self.layer4 = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(channels, classes)
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv1(x)
        x = self.relu(self.bn1(x))
        x = self.maxpool(x)
        x = self.layer1(x)
        x = self.layer2(x)
        x = self.layer3(x)
        x = self.layer4(x)
        x = self.avgpool(x)
        x = self.fc(x.flatten(1))
        return x


def resnext50_32x4d(classes: int = 1000) -> ResNet:
    """Return a new resnext50_32x4d, with random weights."""
    return ResNet(partial(Bottleneck, groups=32, base=4), [3, 4, 6, 3], classes=classes)

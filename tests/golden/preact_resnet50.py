"""preact_resnet50: PreActResNet of resnet.net, compiled by netdsl 0.2.0.

Deep Residual Learning (1512.03385), ResNeXt (1611.05431), Wide ResNet (1605.07146) and
pre-activation (1603.05027) in one file; arXiv 1603.05027, 2016.

Input 3x224x224, output 1000; 25,549,352 parameters, 4,089,184,256 MACs a sample.

    netdsl compile resnet.net:preact_resnet50 --backend torch
"""

from torch import Tensor, nn
from torch.nn import functional as F


class PreActBottleneck(nn.Module):
    """Block PreActBottleneck of resnet.net.

    Shapes: (N, in_channels, H, W) -> (N, 4 * planes, (H - 1) // stride + 1, (W - 1) // stride + 1).
    """

    def __init__(self, in_channels: int, planes: int, stride: int = 1) -> None:
        super().__init__()
        if min(planes, stride) < 1:
            raise ValueError("planes and stride must be at least 1")
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.conv1 = nn.Conv2d(in_channels, planes, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, stride=stride, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(planes)
        self.conv3 = nn.Conv2d(planes, 4 * planes, 1, bias=False)
        self.downsample: nn.Module | None = None
        if stride != 1 or in_channels != 4 * planes:
            self.downsample = nn.Conv2d(in_channels, 4 * planes, 1, stride=stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        preact = F.relu(self.bn1(x), inplace=True)
        y: Tensor = self.conv1(preact)
        y = F.relu(self.bn2(y), inplace=True)
        y = self.conv2(y)
        y = F.relu(self.bn3(y), inplace=True)
        y = self.conv3(y)
        if self.downsample is not None:
            x = self.downsample(preact)
        y += x
        return y


class PreActResNet(nn.Module):
    """Net PreActResNet of resnet.net.

    The stem has no activation, and the last block's is behind all of them; arXiv 1603.05027, 2016.

    Shapes: (N, 3, H, W) -> (N, classes).
    """

    def __init__(self, n: list[int], classes: int = 1000) -> None:
        super().__init__()
        if len(n) != 4 or min(n) < 0 or classes < 1:
            raise ValueError("len(n) must be 4, n at least 0, classes at least 1")
        n1, n2, n3, n4 = n
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        layers: list[nn.Module] = []
        channels = 64
        for _ in range(n1):
            layers.append(PreActBottleneck(channels, 64))
            channels = 256
        self.layer1 = nn.Sequential(*layers)
        layers = []
        for i in range(n2):
            layers.append(PreActBottleneck(channels, 128, stride=2 if i == 0 else 1))
            channels = 512
        self.layer2 = nn.Sequential(*layers)
        layers = []
        for i in range(n3):
            layers.append(PreActBottleneck(channels, 256, stride=2 if i == 0 else 1))
            channels = 1024
        self.layer3 = nn.Sequential(*layers)
        layers = []
        for i in range(n4):
            layers.append(PreActBottleneck(channels, 512, stride=2 if i == 0 else 1))
            channels = 2048
        self.layer4 = nn.Sequential(*layers)
        self.norm = nn.BatchNorm2d(channels)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(channels, classes)
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv1(x)
        x = self.maxpool(x)
        x = self.layer1(x)
        x = self.layer2(x)
        x = self.layer3(x)
        x = self.layer4(x)
        x = F.relu(self.norm(x), inplace=True)
        x = self.avgpool(x)
        x = self.fc(x.flatten(1))
        return x


def preact_resnet50(classes: int = 1000) -> PreActResNet:
    """Return a new preact_resnet50, with random weights."""
    return PreActResNet([3, 4, 6, 3], classes=classes)

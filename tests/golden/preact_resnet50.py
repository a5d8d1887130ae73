"""preact_resnet50: ResNet of resnet.net, compiled by netdsl 0.1.0.

Input 3x224x224, output 1000; 25,549,352 parameters, 4,089,184,256 MACs a sample.
"""

from torch import Tensor, nn
from torch.nn import functional as F


class PreActBottleneck(nn.Module):
    """Block PreActBottleneck of resnet.net."""

    def __init__(self, in_channels: int, planes: int, stride: int = 1) -> None:
        super().__init__()
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
        y = F.relu(self.bn1(x), inplace=True)
        z: Tensor = F.relu(self.bn2(self.conv1(y)), inplace=True)
        z = self.conv2(z)
        z = F.relu(self.bn3(z), inplace=True)
        z = self.conv3(z)
        if self.downsample is not None:
            x = self.downsample(y)
        z += x
        return z


class ResNet(nn.Module):
    """Net ResNet of resnet.net."""

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.layer1 = nn.Sequential(
            PreActBottleneck(64, 64),
            *(PreActBottleneck(256, 64) for _ in range(2)),
        )
        self.layer2 = nn.Sequential(
            PreActBottleneck(256, 128, stride=2),
            *(PreActBottleneck(512, 128) for _ in range(3)),
        )
        self.layer3 = nn.Sequential(
            PreActBottleneck(512, 256, stride=2),
            *(PreActBottleneck(1024, 256) for _ in range(5)),
        )
        self.layer4 = nn.Sequential(
            PreActBottleneck(1024, 512, stride=2),
            *(PreActBottleneck(2048, 512) for _ in range(2)),
        )
        self.norm = nn.BatchNorm2d(2048)
        self.fc = nn.Linear(2048, classes)
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv1(x)
        x = F.max_pool2d(x, 3, stride=2, padding=1)
        x = self.layer1(x)
        x = self.layer2(x)
        x = self.layer3(x)
        x = self.layer4(x)
        x = F.relu(self.norm(x), inplace=True)
        x = x.mean((2, 3))
        x = self.fc(x)
        return x


def preact_resnet50(classes: int = 1000) -> ResNet:
    """Return a new preact_resnet50, with random weights."""
    return ResNet(classes)

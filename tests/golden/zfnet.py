"""zfnet: ZFNet of zfnet.net, compiled by netdsl 0.2.0.

Visualizing and Understanding Convolutional Networks; arXiv 1311.2901, 2013.

Input 3x224x224, output 1000; 62,357,608 parameters, 1,168,032,896 MACs a sample.

    netdsl compile zfnet.net:zfnet --backend torch
"""

import torch
from torch import Tensor, nn


def check_size(size: int, takes: int, name: str, what: str) -> None:
    """Raise an error where a size does not fit, in a form that tracers take."""
    message = f"{name} takes {takes} {what}: resize the input"
    torch._assert(size == takes, message)  # type: ignore[no-untyped-call]


class Classifier(nn.Sequential):
    """Block Classifier of alexnet.net.

    Shapes: (N, in_channels) -> (N, classes).
    """

    def __init__(self, in_channels: int, drop: float, classes: int) -> None:
        if classes < 1:
            raise ValueError("classes must be at least 1")
        super().__init__(
            nn.Dropout(drop),
            nn.Linear(in_channels, 4096),
            nn.ReLU(inplace=True),
            nn.Dropout(drop),
            nn.Linear(4096, 4096),
            nn.ReLU(inplace=True),
            nn.Linear(4096, classes),
        )


class ZFNet(nn.Module):
    """Net ZFNet of zfnet.net.

    Visualizing and Understanding Convolutional Networks; arXiv 1311.2901, 2013.

    Shapes: (N, 3, 224, 224) -> (N, classes).
    """

    def __init__(
        self, c3: int = 384, c4: int = 384, c5: int = 256, drop: float = 0.5, classes: int = 1000
    ) -> None:
        super().__init__()
        if min(c3, c4, c5) < 1:
            raise ValueError("c3, c4 and c5 must be at least 1")
        self.features = nn.Sequential(
            # stage 1
            nn.Conv2d(3, 96, 7, stride=2, padding=1),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, stride=2, padding=1),
            nn.LocalResponseNorm(5),
            # stage 2
            nn.Conv2d(96, 256, 5, stride=2),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, stride=2, padding=1),
            nn.LocalResponseNorm(5),
            # stage 3
            nn.Conv2d(256, c3, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(c3, c4, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(c4, c5, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, stride=2),
        )
        self.classifier = Classifier(36 * c5, drop, classes)
        self.c5 = c5

    def forward(self, x: Tensor) -> Tensor:
        x = self.features(x)
        x = x.flatten(1)
        check_size(x.shape[1], 36 * self.c5, "classifier[1]", "features")
        x = self.classifier(x)
        return x


def zfnet(drop: float = 0.5, classes: int = 1000) -> ZFNet:
    """Return a new zfnet, with random weights."""
    return ZFNet(drop=drop, classes=classes)

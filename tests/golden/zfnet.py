"""zfnet: ZFNet of zfnet.net, compiled by netdsl 0.1.0.

Input 3x224x224, output 1000; 62,357,608 parameters, 1,168,032,896 MACs a sample.
"""

from torch import Tensor, nn


class Classifier(nn.Sequential):
    """Block Classifier of zfnet.net."""

    def __init__(self, drop: float, classes: int) -> None:
        super().__init__(
            nn.Dropout(drop),
            nn.Linear(9216, 4096),
            nn.ReLU(inplace=True),
            nn.Dropout(drop),
            nn.Linear(4096, 4096),
            nn.ReLU(inplace=True),
            nn.Linear(4096, classes),
        )


class ZFNet(nn.Module):
    """Net ZFNet of zfnet.net."""

    def __init__(
        self,
        c3: int = 384,
        c4: int = 384,
        drop: float = 0.5,
        classes: int = 1000,
    ) -> None:
        super().__init__()
        self.features = nn.Sequential(
            # stage 1: 96x55x55
            nn.Conv2d(3, 96, 7, stride=2, padding=1),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, stride=2, padding=1),
            nn.LocalResponseNorm(5),
            # stage 2: 256x13x13
            nn.Conv2d(96, 256, 5, stride=2),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, stride=2, padding=1),
            nn.LocalResponseNorm(5),
            # stage 3: 256x6x6
            nn.Conv2d(256, c3, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(c3, c4, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(c4, 256, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, stride=2),
        )
        self.classifier = Classifier(drop, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.features(x)
        x = self.classifier(x.flatten(1))
        return x


def zfnet(c3: int = 384, c4: int = 384, drop: float = 0.5, classes: int = 1000) -> ZFNet:
    """Return a new zfnet, with random weights."""
    return ZFNet(c3, c4, drop, classes)

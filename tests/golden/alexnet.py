"""alexnet: AlexNet of alexnet.net, compiled by netdsl 0.2.0.

ImageNet Classification with Deep Convolutional Neural Networks; arXiv 1404.5997, 2014.

Input 3x224x224, output 1000; 61,100,840 parameters, 714,188,480 MACs a sample.

    netdsl compile alexnet.net:alexnet --backend torch
"""

from torch import Tensor, nn


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


class AlexNet(nn.Module):
    """Net AlexNet of alexnet.net.

    'One weird trick' (1404.5997): the single-GPU AlexNet of torchvision; arXiv 1404.5997, 2014.

    Shapes: (N, 3, H, W) -> (N, classes).
    """

    def __init__(self, drop: float = 0.5, classes: int = 1000) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 64, 11, stride=4, padding=2),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, stride=2),
            nn.Conv2d(64, 192, 5, padding=2),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, stride=2),
            nn.Conv2d(192, 384, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(384, 256, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(256, 256, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, stride=2),
        )
        self.avgpool = nn.AdaptiveAvgPool2d(6)
        self.classifier = Classifier(9216, drop, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.features(x)
        x = self.avgpool(x)
        x = self.classifier(x.flatten(1))
        return x


def alexnet(drop: float = 0.5, classes: int = 1000) -> AlexNet:
    """Return a new alexnet, with random weights."""
    return AlexNet(drop=drop, classes=classes)

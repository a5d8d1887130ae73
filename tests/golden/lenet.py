"""lenet: LeNet of lenet.net, compiled by netdsl 0.2.0.

Gradient-Based Learning Applied to Document Recognition (LeNet-5); 1998.

Input 1x32x32, output 10; 61,706 parameters, 416,520 MACs a sample.

    netdsl compile lenet.net:lenet --backend torch
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def check_size(size: int, takes: int, name: str, what: str) -> None:
    """Raise an error where a size does not fit, in a form that tracers take."""
    message = f"{name} takes {takes} {what}: resize the input"
    torch._assert(size == takes, message)  # type: ignore[no-untyped-call]


class LeNet(nn.Module):
    """Net LeNet of lenet.net.

    Gradient-Based Learning Applied to Document Recognition (LeNet-5); 1998.

    Shapes: (N, 1, 32, 32) -> (N, classes).
    """

    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        if classes < 1:
            raise ValueError("classes must be at least 1")
        self.conv1 = nn.Conv2d(1, 6, 5)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(400, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv1(x)
        x = torch.tanh(x)
        x = F.avg_pool2d(x, 2)
        x = self.conv2(x)
        x = torch.tanh(x)
        x = F.avg_pool2d(x, 2)
        x = x.flatten(1)
        check_size(x.shape[1], self.fc1.in_features, "fc1", "features")
        x = self.fc1(x)
        x = torch.tanh(x)
        x = self.fc2(x)
        x = torch.tanh(x)
        x = self.fc3(x)
        return x


def lenet(classes: int = 10) -> LeNet:
    """Return a new lenet, with random weights."""
    return LeNet(classes=classes)

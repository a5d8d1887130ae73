"""convnext_tiny: ConvNeXt of convnext.net, compiled by netdsl 0.2.0.

A ConvNet for the 2020s; arXiv 2201.03545, 2022.

Input 3x224x224, output 1000; 28,589,128 parameters, 4,455,531,264 MACs a sample.

    netdsl compile convnext.net:convnext_tiny --backend torch
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class DropPath(nn.Dropout):
    """Stochastic depth: in training, a sample is zero with probability p, else divided by 1 - p."""

    def forward(self, input: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return input
        keep = 1 - self.p
        mask = input.new_empty([input.shape[0]] + [1] * (input.ndim - 1)).bernoulli_(keep)
        return input * (mask / keep if keep > 0 else mask)


class LayerNorm2d(nn.LayerNorm):
    """Layer normalization over the channels of a map, at every place by itself."""

    def forward(self, input: Tensor) -> Tensor:
        x = input.permute(0, 2, 3, 1)
        x = F.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)
        return x.permute(0, 3, 1, 2)


class Permute(nn.Module):
    """The axes in another order."""

    def __init__(self, *dims: int) -> None:
        super().__init__()
        self.dims = dims

    def forward(self, x: Tensor) -> Tensor:
        return x.permute(self.dims)


class CNBlock(nn.Module):
    """Block CNBlock of convnext.net.

    Shapes: (N, in_channels, H, W) -> (N, in_channels, H, W).
    """

    def __init__(self, in_channels: int, drop: float) -> None:
        super().__init__()
        self.layer_scale = nn.Parameter(torch.full((in_channels, 1, 1), 1e-06))
        self.block = nn.Sequential(
            nn.Conv2d(in_channels, in_channels, 7, padding=3, groups=in_channels),
            Permute(0, 2, 3, 1),
            nn.LayerNorm(in_channels, eps=1e-06),
            nn.Linear(in_channels, 4 * in_channels),
            nn.GELU(),
            nn.Linear(4 * in_channels, in_channels),
            Permute(0, 3, 1, 2),
        )
        self.stochastic_depth = DropPath(drop)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layer_scale * self.block(x)
        y = x + self.stochastic_depth(y)
        return y


class ConvNeXt(nn.Module):
    """Net ConvNeXt of convnext.net.

    A ConvNet for the 2020s; arXiv 2201.03545, 2022.

    Shapes: (N, 3, H, W) -> (N, classes).
    """

    def __init__(self, c: list[int], n: list[int], drop: float, classes: int = 1000) -> None:
        super().__init__()
        if len(c) < 1 or min([0, *n]) < 0 or min(c[0], classes) < 1:
            raise ValueError("len(c) must be at least 1, n at least 0, c[0] and classes at least 1")
        if len(n) != len(c):
            raise ValueError(f"n has {len(n)} values and c {len(c)}")
        steps = max(sum(depth for _, depth in zip(c, n, strict=True)) - 1, 1)
        step = 0
        layers: list[nn.Module] = [
            nn.Sequential(nn.Conv2d(3, c[0], 4, stride=4), LayerNorm2d(c[0], eps=1e-06)),
        ]
        channels = c[0]
        for i, (w, depth) in enumerate(zip(c, n, strict=True)):
            if i > 0:
                if w < 1:
                    raise ValueError(f"conv needs at least 1 channel, not {w}")
                layers.append(
                    nn.Sequential(
                        LayerNorm2d(channels, eps=1e-06),
                        nn.Conv2d(channels, w, 2, stride=2),
                    )
                )
                channels = w
            block: list[nn.Module] = []
            for _ in range(depth):
                block.append(CNBlock(channels, drop * step / steps))
                step += 1
            layers.append(nn.Sequential(*block))
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(
            LayerNorm2d(channels, eps=1e-06),
            nn.Flatten(),
            nn.Linear(channels, classes),
        )
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.trunc_normal_(m.weight, std=0.02)
                if m.bias is not None:
                    nn.init.zeros_(m.bias)
            elif isinstance(m, nn.Linear):
                nn.init.trunc_normal_(m.weight, std=0.02)
                nn.init.zeros_(m.bias)

    def forward(self, x: Tensor) -> Tensor:
        x = self.features(x)
        x = self.avgpool(x)
        x = self.classifier(x)
        return x


def convnext_tiny(classes: int = 1000) -> ConvNeXt:
    """Return a new convnext_tiny, with random weights."""
    return ConvNeXt([96, 192, 384, 768], [3, 3, 9, 3], 0.1, classes=classes)

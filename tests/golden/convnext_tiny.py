"""convnext_tiny: ConvNeXt of convnext.net, compiled by netdsl 0.1.0.

Input 3x224x224, output 1000; 28,589,128 parameters, 4,455,531,264 MACs a sample.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class DropPath(nn.Module):
    """Stochastic depth: in training, a sample is zero with probability p, else divided by 1 - p."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return x
        keep = 1 - self.p
        mask = x.new_empty([x.shape[0]] + [1] * (x.ndim - 1)).bernoulli_(keep)
        if keep > 0:
            mask.div_(keep)
        return x * mask


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
    """Block CNBlock of convnext.net."""

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
        self.droppath = DropPath(drop)

    def forward(self, x: Tensor) -> Tensor:
        block = self.block(x)
        block = self.layer_scale * block
        block = self.droppath(block)
        x = x + block
        return x


class ConvNeXt(nn.Module):
    """Net ConvNeXt of convnext.net."""

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Sequential(nn.Conv2d(3, 96, 4, stride=4), LayerNorm2d(96, eps=1e-06)),
            nn.Sequential(*(CNBlock(96, 0.1 * i / 17) for i in range(3))),
            nn.Sequential(LayerNorm2d(96, eps=1e-06), nn.Conv2d(96, 192, 2, stride=2)),
            nn.Sequential(*(CNBlock(192, 0.1 * i / 17) for i in range(3, 6))),
            nn.Sequential(LayerNorm2d(192, eps=1e-06), nn.Conv2d(192, 384, 2, stride=2)),
            nn.Sequential(*(CNBlock(384, 0.1 * i / 17) for i in range(6, 15))),
            nn.Sequential(LayerNorm2d(384, eps=1e-06), nn.Conv2d(384, 768, 2, stride=2)),
            nn.Sequential(*(CNBlock(768, 0.1 * i / 17) for i in range(15, 18))),
        )
        self.classifier = nn.Sequential(
            LayerNorm2d(768, eps=1e-06),
            nn.Flatten(),
            nn.Linear(768, classes),
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
        x = F.adaptive_avg_pool2d(x, 1)
        x = self.classifier(x)
        return x


def convnext_tiny(classes: int = 1000) -> ConvNeXt:
    """Return a new convnext_tiny, with random weights."""
    return ConvNeXt(classes)

"""vit_b_16: ViT of vit.net, compiled by netdsl 0.2.0.

An Image is Worth 16x16 Words; arXiv 2010.11929, 2020.

Input 3x224x224, output 1000; 86,567,656 parameters, 17,563,828,224 MACs a sample.

    netdsl compile vit.net:vit_b_16 --backend torch
"""

from collections import OrderedDict

import torch
from torch import Tensor, nn


def check_size(size: int, takes: int, name: str, what: str) -> None:
    """Raise an error where a size does not fit, in a form that tracers take."""
    message = f"{name} takes {takes} {what}: resize the input"
    torch._assert(size == takes, message)  # type: ignore[no-untyped-call]


class MLPBlock(nn.Sequential):
    """Block MLPBlock of vit.net.

    Shapes: (N, T, in_channels) -> (N, T, in_channels).
    """

    def __init__(self, in_channels: int, hidden: int, drop: float) -> None:
        if hidden < 1:
            raise ValueError("hidden must be at least 1")
        super().__init__(
            nn.Linear(in_channels, hidden),
            nn.GELU(),
            nn.Dropout(drop),
            nn.Linear(hidden, in_channels),
            nn.Dropout(drop),
        )
        for m in self.modules():
            if isinstance(m, nn.Linear):
                nn.init.xavier_uniform_(m.weight)
                nn.init.normal_(m.bias, std=1e-06)


class EncoderBlock(nn.Module):
    """Block EncoderBlock of vit.net.

    Shapes: (N, T, in_channels) -> (N, T, in_channels).
    """

    def __init__(self, in_channels: int, heads: int, hidden: int, drop: float) -> None:
        super().__init__()
        if heads < 1 or in_channels % heads != 0:
            raise ValueError(f"{in_channels} channels cannot be divided into {heads} heads")
        self.ln_1 = nn.LayerNorm(in_channels, eps=1e-06)
        self.self_attention = nn.MultiheadAttention(in_channels, heads, batch_first=True)
        self.dropout = nn.Dropout(drop)
        self.ln_2 = nn.LayerNorm(in_channels, eps=1e-06)
        self.mlp = MLPBlock(in_channels, hidden, drop)

    def forward(self, x: Tensor) -> Tensor:
        y = self.ln_1(x)
        y = self.self_attention(y, y, y, need_weights=False)[0]
        attended = x + self.dropout(y)
        x = self.ln_2(attended)
        x = attended + self.mlp(x)
        return x


class Head(nn.Module):
    """Block Head of vit.net.

    Shapes: (N, in_channels) -> (N, classes).
    """

    def __init__(self, in_channels: int, classes: int) -> None:
        super().__init__()
        if classes < 1:
            raise ValueError("classes must be at least 1")
        self.head = nn.Linear(in_channels, classes)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, x: Tensor) -> Tensor:
        x = self.head(x)
        return x


class Encoder(nn.Module):
    """Container encoder of vit.net."""

    def __init__(
        self,
        size: tuple[int, int],
        patch: tuple[int, int],
        dim: int,
        drop: float,
        depth: int,
        heads: int,
        hidden: int,
    ) -> None:
        super().__init__()
        self.pos_embedding = nn.Parameter(
            torch.empty(1, size[0] // patch[0] * (size[1] // patch[1]) + 1, dim)
        )
        nn.init.normal_(self.pos_embedding, std=0.02)
        self.dropout = nn.Dropout(drop)
        self.layers = nn.Sequential(
            OrderedDict(
                (f"encoder_layer_{i}", EncoderBlock(dim, heads, hidden, drop)) for i in range(depth)
            )
        )
        self.ln = nn.LayerNorm(dim, eps=1e-06)

    def forward(self, x: Tensor) -> Tensor:
        check_size(x.shape[1], self.pos_embedding.shape[1], "pos_embedding", "tokens")
        x = x + self.pos_embedding
        x = self.dropout(x)
        x = self.layers(x)
        x = self.ln(x)
        return x


class ViT(nn.Module):
    """Net ViT of vit.net.

    An Image is Worth 16x16 Words; arXiv 2010.11929, 2020.

    Shapes: (N, 3, size[0], size[1]) -> (N, classes).
    """

    def __init__(
        self,
        patch: tuple[int, int],
        depth: int,
        heads: int,
        dim: int,
        hidden: int,
        size: tuple[int, int] = (224, 224),
        drop: float = 0.0,
        classes: int = 1000,
    ) -> None:
        super().__init__()
        if min(dim, *patch, *size) < 1:
            raise ValueError("dim, patch and size must be at least 1")
        self.class_token = nn.Parameter(torch.zeros(1, 1, dim))
        self.conv_proj = nn.Conv2d(3, dim, patch, stride=patch)
        self.encoder = Encoder(size, patch, dim, drop, depth, heads, hidden)
        self.heads = Head(dim, classes)
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.trunc_normal_(m.weight, std=1 / (3 * patch[0] * patch[1]) ** 0.5)
                if m.bias is not None:
                    nn.init.zeros_(m.bias)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv_proj(x)
        patches = x.flatten(2).transpose(1, 2)
        x = torch.cat((self.class_token.expand(patches.size(0), -1, -1), patches), 1)
        x = self.encoder(x)
        x = self.heads(x[:, 0])
        return x


def vit_b_16(drop: float = 0.0, classes: int = 1000) -> ViT:
    """Return a new vit_b_16, with random weights."""
    return ViT((16, 16), 12, 12, 768, 3072, drop=drop, classes=classes)

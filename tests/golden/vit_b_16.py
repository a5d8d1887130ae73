"""vit_b_16: ViT of vit.net, compiled by netdsl 0.1.0.

Input 3x224x224, output 1000; 86,567,656 parameters, 17,563,828,224 MACs a sample.
"""

from collections import OrderedDict

import torch
from torch import Tensor, nn


class MLPBlock(nn.Sequential):
    """Block MLPBlock of vit.net."""

    def __init__(self, drop: float) -> None:
        super().__init__(
            nn.Linear(768, 3072),
            nn.GELU(),
            nn.Dropout(drop),
            nn.Linear(3072, 768),
            nn.Dropout(drop),
        )
        nn.init.xavier_uniform_(self.get_parameter("0.weight"))
        nn.init.normal_(self.get_parameter("0.bias"), std=1e-06)
        nn.init.xavier_uniform_(self.get_parameter("3.weight"))
        nn.init.normal_(self.get_parameter("3.bias"), std=1e-06)


class EncoderBlock(nn.Module):
    """Block EncoderBlock of vit.net."""

    def __init__(self, drop: float) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(768, eps=1e-06)
        self.self_attention = nn.MultiheadAttention(768, 12, batch_first=True)
        self.dropout = nn.Dropout(drop)
        self.ln_2 = nn.LayerNorm(768, eps=1e-06)
        self.mlp = MLPBlock(drop)

    def forward(self, x: Tensor) -> Tensor:
        y = self.ln_1(x)
        y = self.self_attention(y, y, y, need_weights=False)[0]
        y = self.dropout(y)
        x = x + y
        del y
        y = self.ln_2(x)
        y = self.mlp(y)
        x = x + y
        return x


class Encoder(nn.Module):
    """Container encoder of vit.net."""

    def __init__(self, drop: float) -> None:
        super().__init__()
        self.pos_embedding = nn.Parameter(torch.empty(1, 197, 768))
        self.dropout = nn.Dropout(drop)
        self.layers = nn.Sequential(
            OrderedDict((f"encoder_layer_{i}", EncoderBlock(drop)) for i in range(12)),
        )
        self.ln = nn.LayerNorm(768, eps=1e-06)
        nn.init.normal_(self.pos_embedding, std=0.02)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.pos_embedding
        x = self.dropout(x)
        x = self.layers(x)
        x = self.ln(x)
        return x


class Head(nn.Module):
    """Block Head of vit.net."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.head = nn.Linear(768, classes)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, x: Tensor) -> Tensor:
        x = self.head(x)
        return x


class ViT(nn.Module):
    """Net ViT of vit.net."""

    def __init__(self, drop: float = 0.0, classes: int = 1000) -> None:
        super().__init__()
        self.class_token = nn.Parameter(torch.zeros(1, 1, 768))
        self.conv_proj = nn.Conv2d(3, 768, 16, stride=16)
        self.encoder = Encoder(drop)
        self.heads = Head(classes)
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.trunc_normal_(m.weight, std=0.036084391824351615)
                if m.bias is not None:
                    nn.init.zeros_(m.bias)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv_proj(x)
        x = x.flatten(2).transpose(1, 2)
        x = torch.cat((self.class_token.expand(x.size(0), -1, -1), x), 1)
        x = self.encoder(x)
        x = self.heads(x[:, 0])
        return x


def vit_b_16(drop: float = 0.0, classes: int = 1000) -> ViT:
    """Return a new vit_b_16, with random weights."""
    return ViT(drop, classes)

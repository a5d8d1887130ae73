"""Models of torch's become specs, proved to be them; what no op says is refused, all of it at once."""

from __future__ import annotations

import re
import runpy
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from conftest import import_torchvision
from netdsl_from_torch import proof
from netdsl_from_torch.layout import Atom, Layout, Unknown, whole
from netdsl_from_torch.once import PRODUCTS, Once
from netdsl_from_torch.proof import prove
from netdsl_from_torch.shapes import KEEPING, WRITING, Macs, Shapes
from netdsl_from_torch.tape import abstract, emptied
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

import netdsl
from netdsl import Network, api, lift
from netdsl.cli import main
from netdsl.diagnostics import Diagnostic, NetError
from netdsl.frontend import Check, Lifted
from netdsl.ir.graph import Value
from netdsl.ir.types import Pad, Shape
from netdsl.source import Span

MAP = (6, 12, 8)
"""The input of the small models: not square, and of even sides."""


class Do(nn.Module):
    """A function of what a conv makes, then a conv or layer, so that nothing is the net's own input or result."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.begin = nn.Conv2d(6, 8, 3, padding=1)
        self.function = function
        self.end = nn.LazyConv2d(5, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.end(self.function(self.begin(x)))


class DoVector(Do):
    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__(function)
        self.end = nn.LazyLinear(5)


def ready(model: nn.Module, *shapes: tuple[int, ...]) -> nn.Module:
    """Return a model whose lazy layers are made."""
    with torch.no_grad():
        model.eval()(*(torch.zeros(2, *shape) for shape in shapes or (MAP,)))
    return model


def lifted(model: nn.Module, shape: Any = MAP) -> Lifted:
    """Return what a model becomes; the proof is part of it."""
    found = lift(model, shape)
    assert all(check.ok for check in found.checks)
    assert [check.what for check in found.checks][:3] == [
        "keys of the state",
        "outputs in evaluation",
        "outputs in training, from one seed",
    ]
    return found


def ops(found: Lifted) -> list[str]:
    """Return the ops of a net in order, without its input."""
    return [node.op.name for node in found.net.graph][1:]


class Further(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(6, 6, 1), nn.Conv2d(6, 6, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.b(self.a(x).relu())


class Later(nn.Module):
    """A module whose second call runs what the first does not."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(6, 6, 1), nn.ReLU())
        self.more = Further()
        self.calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return self.first(x) if self.calls % 2 else self.more(self.first(x))


class OfLater(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = Later()

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(self.inner(x))


def test_what_only_a_later_call_runs_is_refused() -> None:
    with pytest.raises(NetError, match="it runs in a later call of the module that it is in"):
        lift(OfLater(), MAP)


def shuffled(x: Tensor) -> Tensor:
    n, c, h, w = x.shape
    return x.view(n, 2, c // 2, h, w).transpose(1, 2).contiguous().view(n, -1, h, w)


def unshuffled(x: Tensor) -> Tensor:
    n, c, h, w = x.shape
    return x.view(n, c, h // 2, 2, w // 2, 2).permute(0, 1, 3, 5, 2, 4).reshape(n, c * 4, h // 2, w // 2)


def squares(x: Tensor) -> Tensor:
    n, c, h, w = x.shape
    return x.view(n, c, h // 2, 2, w // 2, 2).permute(0, 3, 5, 1, 2, 4).reshape(n, c * 4, h // 2, w // 2)


def in_place(x: Tensor) -> Tensor:
    y = x * torch.sigmoid(x)
    y += x
    y.mul_(x)
    return F.relu_(y)


def among(x: Tensor, parts: int) -> Tensor:
    """Shares of equal parts of the channels, by radix attention."""
    return x.view(len(x), parts, -1, 1, 1).softmax(1)


MAPS: dict[str, tuple[Callable[[Tensor], Tensor], list[str]]] = {
    "relu": (F.relu, ["relu"]),
    "relu6": (F.relu6, ["relu6"]),
    "ReLU6": (nn.ReLU6(), ["relu6"]),
    "clamp": (lambda x: x.clamp(-0.5, 2), ["hardtanh"]),
    "clamp to 6": (lambda x: x.clamp(0, 6), ["relu6"]),
    "leaky_relu": (lambda x: F.leaky_relu(x, 0.2), ["leaky_relu"]),
    "elu": (lambda x: F.elu(x, 0.7), ["elu"]),
    "gelu": (lambda x: F.gelu(x, approximate="tanh"), ["gelu"]),
    "softplus": (lambda x: F.softplus(x, beta=2), ["softplus"]),
    "hardswish": (F.hardswish, ["hswish"]),
    "silu by hand": (lambda x: x * torch.sigmoid(x), ["sigmoid", "mul"]),
    "in place": (in_place, ["sigmoid", "mul", "add", "mul", "relu"]),
    "glu": (lambda x: F.glu(x, 1), ["glu"]),
    "softmax": (lambda x: x.softmax(1), ["softmax"]),
    "dropout": (lambda x: F.dropout(x, 0.3), ["dropout"]),
    "maxpool": (lambda x: F.max_pool2d(x, 3, 2, 1), ["maxpool"]),
    "maxpool ceil": (lambda x: F.max_pool2d(x, (3, 2), (2, 3), ceil_mode=True, dilation=(1, 2)), ["maxpool"]),
    "avgpool": (lambda x: F.avg_pool2d(x, 3, 2, 1, count_include_pad=False), ["avgpool"]),
    "avgpool ceil": (lambda x: F.avg_pool2d(x, 3, 2, ceil_mode=True, count_include_pad=False), ["avgpool"]),
    "adaptive": (lambda x: F.adaptive_avg_pool2d(x, (3, 5)), ["avgpool"]),
    "adaptive max": (lambda x: F.adaptive_max_pool2d(x, 2), ["maxpool"]),
    "mean": (lambda x: x.mean((2, 3), keepdim=True) * x, ["mean", "mul"]),
    "gate of places": (
        lambda x: torch.sigmoid(x.mean(1, keepdim=True)) * x,
        ["mean", "sigmoid", "expand", "mul"],
    ),
    "gate of a vector": (lambda x: x * x.mean((2, 3))[:, :, None, None], ["gap", "mul"]),
    "amax": (lambda x: x.amax(dim=(2, 3), keepdim=True), ["amax"]),
    "upsample": (lambda x: F.interpolate(x, scale_factor=2), ["upsample"]),
    "upsample bilinear": (
        lambda x: F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True),
        ["upsample"],
    ),
    "resize": (lambda x: F.interpolate(x, (7, 9), mode="bicubic", align_corners=False), ["resize"]),
    "pad": (lambda x: F.pad(x, (1, 2, 0, 3)), ["pad"]),
    "pad channels": (lambda x: F.pad(x, (0, 0, 0, 0, 1, 2)), ["pad"]),
    "shift": (lambda x: F.pad(x, (-1, 1, -2, 2)), ["shift"]),
    "no shift": (lambda x: F.pad(x, (0, 0, 0, 0)), []),
    "reflect": (lambda x: F.pad(x, (1, 1, 2, 2), mode="reflect"), ["pad"]),
    "shuffle": (shuffled, ["shuffle"]),
    "channel_shuffle": (lambda x: F.channel_shuffle(x, 4), ["shuffle"]),
    "blocks of channels": (
        lambda x: x.unflatten(1, (2, 2, -1)).transpose(1, 2).flatten(1, 3),
        ["split", "concat"],
    ),
    "sum of parts": (lambda x: x.unflatten(1, (4, -1)).sum(1), ["split", "add"]),
    "sum of a stack": (
        lambda x: torch.stack([x.relu(), x.tanh(), x], 1).sum(1, keepdim=True)[:, 0],
        ["relu", "tanh", "add"],
    ),
    "shares of parts": (
        lambda x: (x.view(len(x), 4, -1, *x.shape[2:]) * among(x.mean((2, 3), keepdim=True), 4)).sum(1),
        ["mean", "flatten", "unflatten", "softmax", "flatten", "mul", "split", "add"],
    ),
    "shares of parts in two groups": (
        lambda x: (
            x * x.mean((2, 3)).view(len(x), 2, 2, -1).transpose(1, 2).softmax(1).reshape(len(x), -1, 1, 1)
        ),
        ["gap", "split", "concat", "unflatten", "softmax", "flatten", "mul"],
    ),
    "pixel_shuffle": (lambda x: F.pixel_shuffle(x, 2), ["pixel_shuffle"]),
    "pixel_unshuffle": (unshuffled, ["pixel_unshuffle"]),
    "squares": (squares, [*["slice"] * 4, "concat"]),
    "roll": (lambda x: x.roll((-1, -2), (2, 3)), ["roll"]),
    "chunk": (lambda x: torch.cat(x.chunk(2, 1)[::-1], 1), ["split", "concat"]),
    "split": (lambda x: torch.cat([x.split([3, 5], 1)[1], x], dim=1), ["split", "concat"]),
    "slice": (lambda x: x[:, 2:5], ["slice"]),
    "slice of a map": (lambda x: x[:, :, 1::2, ::2], ["slice"]),
    "slice of rows": (lambda x: x[:, :, 3:], ["slice"]),
    "joined rows": (lambda x: torch.cat([x, x], 2), ["concat"]),
    "scale": (lambda x: x * 0.1, ["scale"]),
    "half": (lambda x: x / 2, ["scale"]),
    "sub": (lambda x: x - F.relu(x), ["relu", "sub"]),
    "third": (lambda x: x / 3, ["scale"]),
    "hard swish by hand": (lambda x: x * F.relu6(x + 3) / 6, ["hswish"]),
    "hard sigmoid by hand": (lambda x: x * ((3 + x).clamp(0, 6) / 6), ["hsigmoid", "mul"]),
    "another hard swish": (lambda x: x * F.relu6(x + 2) / 6, ["offset", "relu6", "mul", "scale"]),
    "stronger": (lambda x: x * (1 + x.sigmoid()), ["sigmoid", "offset", "mul"]),
    "one minus": (lambda x: x * (1 - x.sigmoid()), ["sigmoid", "scale", "offset", "mul"]),
    "less": (lambda x: -(x - 0.5), ["offset", "scale"]),
    "gates of places": (
        lambda x: (
            x * torch.cat([x.mean(1, True), torch.max(x, 1, keepdim=True)[0]], 1).amax(1, True).sigmoid()
        ),
        ["mean", "amax", "concat", "amax", "sigmoid", "expand", "mul"],
    ),
    "there and back": (
        lambda x: F.relu(x.flatten(2).transpose(1, 2)).transpose(1, 2).reshape(x.shape),
        ["tokens", "relu", "map"],
    ),
    "contiguous": (lambda x: x.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2), []),
    "lrn": (lambda x: F.local_response_norm(x, 3, k=2.0), ["lrn"]),
    "dropped nothing": (lambda x: F.dropout(x, 0.3, training=False), []),
}


class Dropped(Do):
    def forward(self, x: Tensor) -> Tensor:
        return self.end(F.dropout(self.begin(x), 0.3, self.training))


@pytest.mark.parametrize("name", MAPS)
def test_functions_of_a_map(name: str) -> None:
    function, wanted = MAPS[name]
    model = ready(Dropped(function) if name == "dropout" else Do(function))
    found = lifted(model)
    assert ops(found)[1:-1] == wanted
    assert found.net.inputs == {"x": MAP}


VECTORS: dict[str, tuple[Callable[[Tensor], Tensor], list[str]]] = {
    "flatten": (lambda x: x.flatten(1), ["flatten"]),
    "reshape": (lambda x: x.reshape(x.shape[0], -1), ["flatten"]),
    "mean": (lambda x: x.mean((2, 3)), ["gap"]),
    "mean twice": (lambda x: x.mean(3).mean(2), ["mean", "mean"]),
    "pool and flatten": (lambda x: torch.flatten(F.adaptive_avg_pool2d(x, 1), 1), ["gap"]),
    "pool and squeeze": (lambda x: F.adaptive_avg_pool2d(x, 1).squeeze(-1).squeeze(-1), ["gap"]),
    "first token": (lambda x: x.flatten(2).transpose(1, 2)[:, 0], ["tokens", "token"]),
    "mean of tokens": (lambda x: x.flatten(2).mean(2), ["tokens", "permute", "mean"]),
}


@pytest.mark.parametrize("name", VECTORS)
def test_functions_of_a_map_that_make_a_vector(name: str) -> None:
    function, wanted = VECTORS[name]
    if name == "mean twice":  # rows of a map are no value of a spec
        with pytest.raises(NetError, match="no op says `mean`"):
            lifted(ready(DoVector(function)))
        return
    assert ops(lifted(ready(DoVector(function))))[1:-1] == wanted


class Residual(nn.Module):
    """ResNet's block, with an activation that is used twice, and a shortcut that is registered last."""

    def __init__(self, inplanes: int, planes: int, stride: int = 1, *, drop: float = 0.2) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inplanes, planes, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes, eps=1e-3, momentum=0.3)
        self.relu = nn.ReLU(inplace=True)
        self.drop = nn.Dropout(drop)
        self.conv2 = nn.Conv2d(planes, planes, 3, padding=1, groups=2)
        self.bn2 = nn.BatchNorm2d(planes)
        self.downsample: nn.Module | None = None
        if stride != 1 or inplanes != planes:
            self.downsample = nn.Sequential(
                nn.Conv2d(inplanes, planes, 1, stride, bias=False), nn.BatchNorm2d(planes)
            )

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(self.drop(y)))
        y += x if self.downsample is None else self.downsample(x)
        return self.relu(y)


class Small(nn.Module):
    """Stages of blocks, whose arguments are known where a function makes it."""

    def __init__(self, width: int = 8, classes: int = 10) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(6, width, 3, padding=1), nn.Identity(), nn.SiLU(), nn.MaxPool2d(2)
        )
        self.layer1 = nn.Sequential(Residual(width, width), Residual(width, width))
        self.layer2 = nn.Sequential(Residual(width, 2 * width, stride=2, drop=0.5))
        self.fc = nn.Linear(2 * width, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.layer2(self.layer1(self.stem(x))).mean((2, 3)))


def test_blocks_and_their_arguments() -> None:
    found = lift(Small, MAP, classes=7)
    tree = {scope.path: scope for scope in found.net.graph.tree.scopes()}
    assert [(scope.kind, scope.path, scope.block) for scope in tree.values()] == [
        ("net", "", "Small"),
        ("container", "stem", ""),
        ("container", "layer1", ""),
        ("block", "layer1.0", "Residual"),
        ("block", "layer1.1", "Residual"),
        ("container", "layer2", ""),
        ("block", "layer2.0", "Residual"),
        ("container", "layer2.0.downsample", ""),
    ]
    assert found.net.graph["fc"].op.channels == 7
    names = [node.name for node in found.net.graph if node.name.startswith("stem")]
    assert names == ["stem.0", "stem.1", "stem.2"]  # what has no state is called by its place
    assert [node.op.p for node in found.net.graph if node.op.name == "dropout"] == [0.2, 0.2, 0.5]
    assert api.loads(found.text).cost().macs == found.net.cost().macs


def test_the_read_graph_knows_what_constructors_were_given() -> None:
    from netdsl_from_torch.read import Model

    read = Model(Small, {"": MAP}, {"width": 4})
    args = {scope.path: scope.args for scope in read.graph.tree.scopes()}
    assert args[""] == {"width": 4, "classes": 10}
    assert args["layer2.0"] == {"inplanes": 4, "planes": 8, "stride": 2, "drop": 0.5}
    assert args["layer1.1"] == {"inplanes": 4, "planes": 4, "stride": 1, "drop": 0.2}
    assert Model(Small(), {"": MAP}, {}).graph.tree.args == {}


@pytest.mark.parametrize(
    "name",
    """
    resnet18 mobilenet_v2 mobilenet_v3_small mnasnet0_5 efficientnet_b0 regnet_y_400mf shufflenet_v2_x0_5 resnet50
    squeezenet1_1 convnext_tiny vgg11_bn swin_t
    """.split(),
)
def test_texts_are_clean(name: str) -> None:
    """White space as `fmt` has it, no finding of hygiene, no label that only says what the op is called."""
    from netdsl_from_torch.read import Model

    import_torchvision()
    read = Model(f"torchvision:{name}", {"": (3, 64, 64)}, {})
    net = Network.from_graph(read.graph, read.name, labels=False)
    text = net.recipe.net.file.source.text
    assert netdsl.format(text) == text
    assert [finding.code for finding in net.lint(select="L6")] == []
    assert not re.search(r"\b(relu|gelu|silu|sigmoid|gap|flatten|permute|maxpool)( [^>]*)? as \1", text)
    assert "hardtanh" not in text
    assert (
        re.search(r"^block (?!AnyStage|ShiftedWindow)\w+2\b", text, re.MULTILINE) is None or "shuffle" in name
    )


class Setting:
    """What a layer is to be, as torchvision's `MBConvConfig` says it."""

    def __init__(self, planes: int, stride: int) -> None:
        self.planes, self.stride, self._hidden = planes, stride, 3
        self.norm = nn.BatchNorm2d


class Configured(nn.Module):
    def __init__(self, setting: Setting, inplanes: int, **more: int) -> None:
        super().__init__()
        assert more["kernel_size"] == 3
        self.conv = nn.Conv2d(inplanes, setting.planes, 3, setting.stride, 1)
        setting.stride = 1  # of the next one

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.conv(x))


def test_a_constructor_that_is_given_a_record() -> None:
    from netdsl_from_torch.read import Model

    def net() -> nn.Module:
        one, two = Setting(8, 2), Setting(12, 1)
        sizes = ((one, 6), (one, 8), (two, 8))
        return nn.Sequential(*(Configured(*size, kernel_size=3) for size in sizes))

    found = lift(net, MAP)
    assert Model(net, {"": MAP}, {}).graph.tree.written[1].args["kernel_size"] == 3
    assert found.text.startswith(
        "block Configured(planes, stride = 1):\n    conv 3x3, planes, /stride as conv"
    )


class Scaled(nn.Module):
    """Parameters that are no layer's: one number a channel, a token, positions."""

    def __init__(self) -> None:
        super().__init__()
        self.token = nn.Parameter(torch.zeros(1, 1, 8))
        self.places = nn.Parameter(torch.zeros(1, 25, 8))
        self.gamma = nn.Parameter(torch.ones(8) * 1e-6)
        self.map = nn.Parameter(torch.ones(8, 1, 1))
        self.stem = nn.Conv2d(6, 8, (3, 2), (2, 2), (1, 0))
        self.norm = nn.LayerNorm(8, eps=1e-6)
        self.attention = nn.MultiheadAttention(8, 2, dropout=0.1, batch_first=True)
        self.head = nn.Linear(8, 3, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x) * self.map
        x = x.permute(0, 2, 3, 1) * self.gamma
        x = x.flatten(1, 2)
        x = torch.cat((self.token.expand(x.shape[0], -1, -1), x), dim=1) + self.places
        y = self.norm(x)
        x = x + self.attention(y, y, y, need_weights=False)[0]
        return self.head(x[:, 0])


def test_parameters_of_their_own() -> None:
    found = lifted(Scaled())
    learned = [node.name for node in found.net.graph if node.op.name == "weight"]
    assert sorted(learned) == ["gamma", "map", "places", "token"]
    assert {"attention", "concat", "token", "tokens"} <= {*ops(found)}


class Attention(nn.Module):
    """Attention as timm writes it, from one layer for q, k and v, or from three; by torch's function or by hand."""

    def __init__(self, fused: bool, apart: bool) -> None:
        super().__init__()
        self.fused = fused
        self.qkv = nn.ModuleList(nn.Linear(8, 8) for _ in range(3)) if apart else nn.Linear(8, 24)
        self.apart = apart
        self.proj = nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        b, n, c = x.shape
        if self.apart:
            q, k, v = (one(x).view(b, n, 2, c // 2).transpose(1, 2) for one in self.qkv)
        else:
            q, k, v = self.qkv(x).reshape(b, n, 3, 2, c // 2).permute(2, 0, 3, 1, 4).unbind(0)
        if self.fused:
            y = F.scaled_dot_product_attention(q, k, v, scale=0.3)
        elif self.apart:
            y = ((q @ k.transpose(-2, -1)) * 0.3).softmax(-1) @ v
        else:
            q = q * 0.3
            y = F.dropout(F.softmax(q @ k.transpose(-2, -1), dim=-1), 0.0, self.training) @ v
        return self.proj(y.transpose(1, 2).reshape(b, n, c))


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("apart", [True, False])
def test_attention(fused: bool, apart: bool) -> None:
    found = lifted(nn.Sequential(nn.LayerNorm(8), Attention(fused, apart)), (5, 8))
    assert ops(found) == ["ln", *(["fc"] * 3 if apart else ["fc", "split"]), "attend", "fc"]
    (attend,) = (node.op for node in found.net.graph if node.op.name == "attend")
    assert (attend.heads, attend.scale) == (2, 0.3)


def small_swin(again: bool = False) -> nn.Module:
    swin = import_module("torchvision.models.swin_transformer")
    parts = {"block": swin.SwinTransformerBlockV2, "downsample_layer": swin.PatchMergingV2} if again else {}
    sizes = {"embed_dim": 8, "depths": [2, 1], "num_heads": [2, 4], "window_size": [3, 2], "num_classes": 5}
    model: nn.Module = swin.SwinTransformer(patch_size=[4, 4], dropout=0.1, **sizes, **parts)
    return model


@pytest.mark.parametrize("again", [False, True])
def test_windows(again: bool) -> None:
    import_torchvision()
    found = lift(small_swin, (3, 32, 48), again=again)
    assert [check.said for check in found.checks[1:3]] == ["equal bit for bit"] * 2
    assert ops(found).count("attend") == 3
    assert ops(found).count("window_mask") == 1


class NormAct(nn.BatchNorm2d):
    """A norm that is followed by what it holds, as timm's are."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.drop = nn.Identity()
        self.act = nn.SiLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.drop(super().forward(x)))


class LayerNorm2d(nn.LayerNorm):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Listed(nn.Module):
    """Lists of layers, registered in another order than they run; a layer with a bias of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.norms = nn.ModuleList([NormAct(8), LayerNorm2d(8)])
        self.last = nn.ConvTranspose2d(8, 4, 3, 2, 1, output_padding=1)
        self.convs = nn.ModuleList([nn.Conv2d(6, 8, 1), nn.Conv2d(8, 8, 3, padding=1, groups=8)])
        self.acts = nn.ModuleDict({"a": nn.PReLU(8), "b": nn.PReLU()})

    def forward(self, x: Tensor) -> Tensor:
        for conv, norm, act in zip(self.convs, self.norms, self.acts.values(), strict=True):
            x = act(norm(conv(x)))
        return self.last(x)


def test_lists_and_orders() -> None:
    model = Listed()
    found = lifted(model)
    assert ops(found) == ["conv", "bn", "silu", "prelu", "dwconv", "ln", "prelu", "upconv"]
    assert found.net.graph["norms.0"].op.name == "bn"
    assert list(found.net.build().state_dict()) == list(model.state_dict())


class Heads(nn.Module):
    """Two inputs, outputs with names, one of which only training has."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Conv2d(6, 8, 1)
        self.aux = nn.Sequential(nn.Conv2d(8, 2, 1), nn.Dropout(0.5))
        self.b = nn.Conv2d(3, 8, 1)

    def forward(self, image: Tensor, mask: Tensor) -> dict[str, Tensor]:
        x = self.a(image)
        found = {"logits": x + self.b(mask)}
        if self.training:
            found["aux"] = self.aux(x)
        return found


def test_inputs_and_outputs() -> None:
    found = lifted(Heads(), {"image": MAP, "mask": (3, 12, 8)})
    assert list(found.net.inputs) == ["image", "mask"]
    assert [(o.name, o.train) for o in found.net.graph.outputs] == [("logits", False), ("aux", True)]
    with pytest.raises(NetError, match="has no input `mast`") as caught:
        lift(Heads(), {"image": MAP, "mast": (3, 12, 8)})
    assert caught.value.diagnostics[0].help == "did you mean `mask`?"


class Pyramid(nn.Module):
    """Maps drawn as large as others: as what a module is given, as the image, and at a size of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.low = nn.Conv2d(6, 4, 3, 2, 1)
        self.high = nn.Conv2d(4, 4, 3, 2, 1)
        self.join = Join()

    def forward(self, image: Tensor) -> Tensor:
        low = self.low(image)
        y = self.join({"low": low, "high": self.high(low)})
        y = F.interpolate(y, size=(5, 7), mode="bilinear")
        return F.interpolate(y, size=image.shape[-2:], mode="bilinear")


class Join(nn.Module):
    def forward(self, maps: dict[str, Tensor]) -> Tensor:
        return maps["low"] + F.interpolate(maps["high"], size=maps["low"].shape[-2:])


def test_sizes_of_other_maps() -> None:
    model = Pyramid()
    found = lifted(model)
    assert [node.op.to for node in found.net.graph if node.op.name == "resize"] == [None, (5, 7), None]
    other = found.net.build().eval()
    other.load_state_dict(model.state_dict())
    x = torch.randn(1, 6, 20, 28)
    assert torch.equal(other(x), model.eval()(x))


class DropPath(nn.Module):
    """Stochastic depth as many copy it."""

    def __init__(self, rate: float, scaled: bool) -> None:
        super().__init__()
        self.rate = rate
        self.scaled = scaled

    def forward(self, x: Tensor) -> Tensor:
        if self.rate == 0 or not self.training:
            return x
        keep = 1 - self.rate
        mask = x.new_empty((x.shape[0],) + (1,) * (x.ndim - 1)).bernoulli_(keep)
        return x * (mask.div_(keep) if self.scaled else mask)


class Deep(nn.Module):
    def __init__(self, scaled: bool = True) -> None:
        super().__init__()
        rates = [0.1 * at / 3 for at in range(4)]
        self.blocks = nn.ModuleList(nn.Conv2d(6, 6, 1) for _ in rates)
        self.drops = nn.ModuleList(DropPath(rate, scaled) for rate in rates)

    def forward(self, x: Tensor) -> Tensor:
        for block, drop in zip(self.blocks, self.drops, strict=True):
            x = x + drop(block(x))
        return x


def test_stochastic_depth_of_ones_own() -> None:
    found = lifted(Deep())
    assert ops(found).count("droppath") == 4
    assert "ramp(0, 0.1)" in found.text
    with pytest.raises(NetError, match=r"no op says `mul` .* is not divided by its probability"):
        lift(Deep(scaled=False), MAP)
    with pytest.raises(NetError, match="no op says `erf`"):
        lift(nn.Sequential(nn.Conv2d(6, 8, 1), Erf(), DropPath(0.0, True), DropPath(0.5, True)), MAP)
    with pytest.raises(NetError, match="not divided by its probability"):
        lift(ready(Do(lambda x: x * x.new_empty((len(x), 1, 1, 1)))), MAP)


class Erf(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.erf(x)


class Twice(nn.Module):
    """A block that runs twice with the same weights."""

    def __init__(self) -> None:
        super().__init__()
        self.block = nn.Sequential(nn.Conv2d(6, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU())
        self.conv = nn.Conv2d(6, 6, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(self.block(self.conv(self.block(x))))


def test_weights_that_are_used_twice() -> None:
    found = lifted(Twice())
    assert found.text.count("same ") == 2
    assert found.net.cost().params == sum(p.numel() for p in Twice().parameters())


# ---------------------------------------------------------------- what is refused


class Odd(nn.Module):
    """Calls without an op, some of them in a block that is there three times."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(6, 6, 1)
        self.norm = nn.BatchNorm2d(6, track_running_stats=False)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.erf(x)
        x = self.norm(self.conv(x)) ** 1.5
        return torch.cumsum(x, 1)


def test_a_refusal_names_every_call() -> None:
    with pytest.raises(NetError) as caught:
        lift(nn.Sequential(Odd(), Odd(), nn.ReLU(), Odd()), MAP)
    said = [diagnostic.message for diagnostic in caught.value.diagnostics]
    assert {diagnostic.code for diagnostic in caught.value.diagnostics} == {"E581"}
    assert [re.sub(r" \(.*/", " (", line) for line in said] == [
        f"no op says `erf` in `0` and 2 more (test_lift_torch.py:{line(Odd, 'erf')})",
        f"no op says `batch_norm` in `0.norm` and 2 more: it keeps no running statistics "
        f"(test_lift_torch.py:{line(Odd, 'self.norm(')})",
        f"no op says `pow` in `0` and 2 more (test_lift_torch.py:{line(Odd, '1.5')})",
        f"no op says `cumsum` in `0` and 2 more (test_lift_torch.py:{line(Odd, 'cumsum')})",
    ]


class Far(nn.Module):
    """Two calls without an op, and others that take what these make, in whatever axes that is."""

    def __init__(self) -> None:
        super().__init__()
        self.squeeze, self.spread = nn.Conv2d(6, 3, 1), nn.Conv2d(3, 6, 1)

    def forward(self, x: Tensor) -> Tensor:
        context = torch.logcumsumexp(x.flatten(2), 2)[:, :, -1:].unsqueeze(3).permute(0, 1, 3, 2)
        return x + self.spread(torch.erfinv(self.squeeze(context).tanh()))


def test_a_module_that_no_label_can_be_called_after_is_refused() -> None:
    class Warp(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.flow = nn.Conv2d(3, 2, 3)

        def forward(self, image: Tensor) -> Tensor:
            return self.flow(image).relu()

    with pytest.raises(NetError, match=r"error\[E581\]: no spec makes warp: `flow` is the value that flows"):
        netdsl.lift(Warp(), (3, 9, 9))


def test_a_refusal_names_no_call_that_follows_from_another() -> None:
    with pytest.raises(NetError) as caught:
        lift(Far(), MAP)
    said = [diagnostic.message.partition(" (")[0] for diagnostic in caught.value.diagnostics]
    assert said == [f"no op says `{name}` in the model itself" for name in ("logcumsumexp", "erfinv")]


def line(of: type, text: str) -> int:
    """Return the number of the line of a class that holds a text."""
    import inspect

    lines, begin = inspect.getsourcelines(of)
    return begin + next(at for at, one in enumerate(lines) if text in one)


REFUSED: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "padding of an even kernel": (
        lambda: nn.Conv2d(6, 4, 2, padding="same"),
        "padding='same' of an even kernel",
    ),
    "indices": (lambda: nn.MaxPool2d(2, return_indices=True), "it returns where the largest are"),
    "divisor": (lambda: nn.AvgPool2d(2, divisor_override=3), "it divides by another number"),
    "half": (lambda: Do(lambda x: F.interpolate(x, scale_factor=0.5)), "scale_factor=0.5 is no whole number"),
    "antialias": (
        lambda: Do(lambda x: F.interpolate(x, (6, 4), mode="bilinear", antialias=True)),
        "antialias=True",
    ),
    "pad with a number": (lambda: nn.ConstantPad2d(1, 2.0), "it pads with 2.0"),
    "divided": (lambda: Do(lambda x: x / 0), "it divides by 0"),
    "places": (lambda: Do(lambda x: x + x.max(1, keepdim=True)[1]), "it takes places of the largest numbers"),
    "alpha": (lambda: Do(lambda x: torch.add(x, x, alpha=2)), "alpha=2"),
    "channels of features": (lambda: nn.Dropout2d(), "no op says `feature_dropout`|no op says `dropout2d`"),
    "never used": (lambda: Unused(), "`other.weight` of its state is in no op that an output needs"),
    "computed weight": (lambda: Computed(), "its weight is no parameter of the model, but computed"),
    "samples": (lambda: Do(lambda x: x - x.mean(0, keepdim=True)), "it reduces over the samples too"),
    "dropped in evaluation": (lambda: Do(lambda x: F.dropout(x, 0.5)), "outputs in evaluation: differ"),
}


class Scalar(nn.Module):
    """A learned number for all of a map: times one, plus another."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(6, 8, 3)
        self.scale = nn.Parameter(torch.ones(1))
        self.bias = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        return self.scale * self.conv(x) + self.bias.view(1, 1, 1, 1)


def test_a_learned_scalar() -> None:
    found = lifted(Scalar())
    assert sorted(ops(found)) == ["add", "conv", "expand", "expand", "mul", "weight", "weight"]


class OfItself(nn.Linear):
    """A layer of what is learned."""

    def __init__(self) -> None:
        super().__init__(6, 8)
        self.table = nn.Parameter(torch.randn(8, 6))

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(2) + super().forward(self.table)[0, 0]


class OfTable(nn.Module):
    """Adds what a layer makes of a table, for each sample anew."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("table", torch.ones(1, 16, 8))
        self.conv = nn.Conv2d(3, 8, 3, 2, 1)
        self.proj = nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x).flatten(2).transpose(1, 2)
        return y + self.proj(self.table.expand(len(x), -1, -1))


def test_a_layer_of_a_table_for_each_sample_is_refused() -> None:
    with pytest.raises(
        NetError, match="no op says `linear` in `proj`: it makes 2x16x8, where the op makes 1x16x8"
    ):
        netdsl.lift(OfTable(), (3, 8, 8))


def test_a_layer_of_what_is_learned_is_refused_or_read() -> None:
    with pytest.raises(NetError, match="no op says"):
        lift(OfItself(), MAP)


WINDOWS = """
import torch
from torch import Tensor, nn


def to_windows(x: Tensor, {args}) -> Tensor:
    return {result}


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(6, 8, 1)

    def forward(self, x: Tensor) -> Tensor:
        return to_windows(self.conv(x), (2, 2))
"""
MEANT = "size, shift=(0, 0), spread=False, apart=False"
CUT = "x.reshape(x.shape[0], 8, 6, 2, 4, 2).permute(0, 2, 4, 3, 5, 1).reshape(x.shape[0], 24, 4, 8)"


@pytest.mark.parametrize(
    ("args", "result", "why"),
    [
        (MEANT, CUT, ""),
        (MEANT, CUT.replace("4, 3, 5, 1", "4, 5, 3, 1"), "outputs in evaluation: differ"),
        (MEANT.replace("apart", "far"), CUT, "no op makes|no op says"),
    ],
)
def test_functions_that_netdsl_writes(args: str, result: str, why: str, tmp_path: Path) -> None:
    """They are known by their names and arguments; that they are them is proved."""
    file = tmp_path / "mine.py"
    file.write_text(WINDOWS.format(args=args, result=result))
    if why:
        with pytest.raises(NetError, match=why):
            lift(f"{file}:Net", MAP)
    else:
        assert ops(lift(f"{file}:Net", MAP)) == ["conv", "windows"]


def test_functions_are_left_as_they_are(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(WINDOWS.format(args=MEANT, result=CUT))
    names = runpy.run_path(str(file))
    function = names["to_windows"]
    lift(names["Net"](), MAP)
    assert names["Net"].forward.__globals__["to_windows"] is function


class Unused(nn.Conv2d):
    def __init__(self) -> None:
        super().__init__(6, 6, 1)
        self.other = nn.Linear(3, 4)


class Computed(nn.Conv2d):
    def __init__(self) -> None:
        super().__init__(6, 6, 1)

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight * 2, self.bias)


@pytest.mark.parametrize("name", REFUSED)
def test_what_an_op_cannot_say(name: str) -> None:
    make, why = REFUSED[name]
    model = make()
    if isinstance(model, Do):
        ready(model)
    with pytest.raises(NetError, match=why):
        lift(model, MAP)


# ---------------------------------------------------------------- the proof sees


FAULTS = {
    "a rate of dropout": ("float = 0.2", "float = 0.25", "outputs in training, from one seed"),
    "eps": ("eps=0.001", "eps=0.002", "outputs in evaluation"),
    "momentum": ("momentum=0.3", "momentum=0.2", "running statistics after it"),
    "an activation": ("silu", "relu", "outputs in evaluation"),
    "a name": ("as conv2", "as conv3", "keys of the state"),
}


LARGE = (6, 136, 75)
"""An input that training can be compared at a smaller size of, 72x75."""


@pytest.mark.parametrize("shape", [MAP, LARGE])
@pytest.mark.parametrize("fault", FAULTS)
def test_the_proof_sees(fault: str, shape: tuple[int, ...]) -> None:
    before, after, where = FAULTS[fault]
    torch.manual_seed(3)
    model = Small()
    text = lifted(model, shape).text
    assert before in text
    other = api.loads(text.replace(before, after))
    checks = prove(other, model, [shape])
    assert where in [check.what for check in checks if not check.ok]
    assert all(check.ok for check in prove(api.loads(text), model, [shape]))


class Pools(nn.Module):
    """A net whose sizes are odd, and even, on the way."""

    def __init__(self, one_size: bool, head: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(6, 4, 3, 2, bias=False)
        self.bn = nn.BatchNorm2d(4, momentum=0.3)
        self.pool = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.drop = nn.Dropout(0.3)
        self.fc = nn.Linear(4 * 33 * 18 if one_size else 4, 5)
        self.one_size, self.head = one_size, nn.Linear(4, 3) if head else None

    def forward(self, x: Tensor) -> Any:
        x = self.pool(self.bn(self.conv(x)))
        pooled = x.mean((2, 3))
        y = self.fc(self.drop(x.flatten(1) if self.one_size else pooled))
        return (y, self.head(pooled)) if self.head is not None and self.training else y


@pytest.mark.parametrize(
    ("one_size", "head", "at"), [(False, False, ", at 6x72x75"), (True, False, ""), (False, True, "")]
)
def test_training_is_compared_at_a_smaller_size(one_size: bool, head: bool, at: str) -> None:
    """Where the model takes one, and has no head then."""
    model = Pools(one_size, head)
    if head:
        model.eval()
    momentum = model.bn.momentum
    checks = {check.what: check.said for check in lifted(model, LARGE).checks}
    assert checks["outputs in evaluation"] == "equal bit for bit"
    assert checks["outputs in training, from one seed"] == f"equal bit for bit{at}"
    assert checks["running statistics after it"] == f"equal bit for bit{at}"
    assert model.bn.momentum == momentum


def test_a_net_of_one_size_is_compared_there() -> None:
    """The model takes any size, and what is held against it does not."""
    model = Pools(False, False)
    text = lifted(model, LARGE).text
    assert "-> gap\n" in text
    checks = prove(api.loads(text.replace("-> gap\n", "-> avgpool 33x18 -> flatten\n")), model, [LARGE])
    assert [check.ok for check in checks] == [True] * 5
    assert not any(", at " in check.said for check in checks)


def test_evaluation_of_a_large_net_is_compared_at_a_smaller_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proof, "LARGE", 0)
    for one_size, at in ((False, ", at 6x72x75"), (True, "")):
        checks = {check.what: check.said for check in lifted(Pools(one_size, False), LARGE).checks}
        assert checks["outputs in evaluation"] == f"equal bit for bit{at}"


def test_a_proof_leaves_the_model_as_it_is() -> None:
    """It runs in the model's own memory; what is constant is drawn beside it."""
    model = Pools(False, False)
    before = {key: one.clone() for key, one in model.state_dict().items()}
    model.fc.weight.requires_grad_(False)
    lifted(model, LARGE)
    assert model.training
    assert not model.fc.weight.requires_grad
    assert all(torch.equal(one, before[key]) for key, one in model.state_dict().items())


def test_products_of_equal_numbers_are_computed_once() -> None:
    x, w = torch.randn(2, 4, 9, 9), torch.randn(6, 4, 3, 3)
    ran: list[object] = []

    class Counted(TorchDispatchMode):
        def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            ran.extend([function] if function in PRODUCTS else [])
            return function(*args, **kwargs or {})

    with torch.no_grad(), Counted(), Once():
        first = F.conv2d(x, w)
        kept = first.clone()
        first.relu_()  # what is written into is not what was made
        again = F.conv2d(x.clone(), w)
        assert torch.equal(again, kept)
        assert len(ran) == 1
        for other in (
            lambda: F.conv2d(x, w, stride=2),
            lambda: F.conv2d(x + 1e-6, w),
            lambda: F.conv2d(x, -w),
        ):
            made = other()
            assert torch.equal(made, other())
        assert len(ran) == 4
        F.conv2d(x, w, padding=1)
        x.mul_(2)
        assert not torch.equal(F.conv2d(x, w, padding=1), F.conv2d(x / 2, w, padding=1))
        assert len(ran) == 7


def empty(*sizes: int, **kwargs: Any) -> Tensor:
    return torch.empty(sizes, device="meta", **kwargs)


def convolved(*sizes: int, **kwargs: Any) -> Callable[[Tensor], Tensor]:
    return lambda x: F.conv2d(x, empty(*sizes), empty(sizes[0]), **kwargs)


SHAPED: dict[str, Callable[[Tensor], Any]] = {
    "activations": lambda x: (F.silu(x), F.gelu(x), x.sigmoid(), x.tanh(), x.clamp_min(1), x.exp()),
    "softmax": lambda x: (x.softmax(1), x.softmax(-1), x.softmax(-1, dtype=torch.float64)),
    "scaled": lambda x: (x * 2, x + 1, x / 3, x - 0.5),
    "rolled": lambda x: x.roll((1, 2), (1, 2)),
    "joined": lambda x: (x + x, x * x.mean(1, True), x - empty(8), empty(1, 1, 8) / x, empty(2, 1, 1, 1) * x),
    "spread both ways": lambda x: x[:, :1] + x[:, :, :1],
    "other types": lambda x: (x + x.double(), x * x.int(), x / torch.tensor(2.0)),
    "axes": lambda x: (
        x.mean(1),
        x.mean((-1, -2), keepdim=True),
        x.mean((0, 2)),
        x.mean(1, dtype=torch.float64),
    ),
    "lengths": lambda x: (x.norm(dim=1), F.normalize(x, dim=-1), F.normalize(x, p=1, dim=1), x.norm()),
    "layer norm": lambda x: (F.layer_norm(x, (8,)), F.layer_norm(x, (8, 8), empty(8, 8), empty(8, 8))),
    "batch norm": lambda x: F.batch_norm(x, None, None, training=True),
    "fc": lambda x: (F.linear(x.flatten(0, 2), empty(3, 8), empty(3)), F.linear(x, empty(3, 8), empty(3))),
    "conv": convolved(8, 6, 3, 3, stride=2, padding=1),
    "conv, places": convolved(8, 6, 1, 1),
    "conv, groups": convolved(12, 1, 3, 5, groups=6, dilation=(1, 2), padding=(0, 4)),
    "conv, turned": lambda x: F.conv_transpose2d(x, empty(6, 4, 3, 3), stride=2),
    "conv, one sample": lambda x: F.conv2d(x[0], empty(8, 6, 3, 3)),
}
LAID = {
    "plain": lambda: empty(2, 6, 8, 8),
    "turned": lambda: empty(2, 6, 8, 8).transpose(2, 3),
    "last": lambda: empty(2, 6, 8, 8).to(memory_format=torch.channels_last),
    "cut": lambda: empty(2, 9, 8, 8)[:, 3:],
    "double": lambda: empty(2, 6, 8, 8, dtype=torch.float64),
}


@pytest.mark.parametrize("laid", LAID)
@pytest.mark.parametrize("name", SHAPED)
def test_shapes_are_those_of_torch(name: str, laid: str) -> None:
    function, x = SHAPED[name], LAID[laid]()

    def said(mode: AbstractContextManager[Any]) -> Any:
        with torch.no_grad(), mode:
            try:
                made = function(x)
            except RuntimeError:  # other types
                return None
        return [(y.shape, y.stride(), y.dtype) for y in (made if isinstance(made, tuple) else (made,))]

    assert said(Shapes()) == said(nullcontext())


WRONG: dict[str, Callable[[Tensor], Any]] = {
    "joined": lambda x: x + empty(2, 6, 8, 7),
    "fc": lambda x: F.linear(x, empty(3, 7), empty(3)),
    "conv": convolved(8, 5, 3, 3),
    "conv, too large": convolved(8, 6, 9, 9),
}


@pytest.mark.parametrize("name", WRONG)
def test_shapes_that_do_not_fit_are_refused(name: str) -> None:
    with torch.no_grad(), Shapes(), pytest.raises(RuntimeError):
        WRONG[name](empty(2, 6, 8, 8))


@pytest.mark.parametrize("drawn", [0.0, 0.5])
def test_what_trains_as_it_evaluates_is_multiplied_once_in_both(
    monkeypatch: pytest.MonkeyPatch, drawn: float
) -> None:
    ran: list[Any] = []

    class Counting(Once):
        def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            begun = self._room
            made = super().__torch_dispatch__(function, types, args, kwargs)
            ran.extend([function] if function in PRODUCTS and self._room < begun else [])
            return made

    monkeypatch.setattr(proof, "Once", Counting)
    layers = [nn.Conv2d(6, 4, 3), nn.ReLU(), nn.Dropout(drawn), nn.Conv2d(4, 3, 3)]
    found = lift(nn.Sequential(*layers), MAP)
    assert all(check.ok and "float64" not in check.said for check in found.checks)
    assert len(ran) == (2 if drawn == 0 else 4)


def test_the_size_of_several_is_one_that_the_model_runs_on() -> None:
    """Some of its weights are for a model that is made for larger images."""
    from netdsl_from_torch.read import Model

    with torch.device("meta"):
        model = import_torchvision().models.vit_h_14()
    one = Model.__new__(Model)
    one.model, one.source = model, "torchvision:vit_h_14"
    assert one._usual() == (3, 224, 224)


MULTIPLYING = {
    "conv": (lambda: nn.Conv2d(6, 9, 3, 2, groups=3), MAP),
    "upconv": (lambda: nn.ConvTranspose2d(6, 4, 3, 2), MAP),
    "fc": (lambda: nn.Linear(8, 3), (5, 8)),
    "attention": (lambda: nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), (5, 8)),
    "sdpa": (lambda: Do(lambda x: F.scaled_dot_product_attention(x, x, x)), MAP),
    "products": (lambda: Do(lambda x: x @ x.transpose(-1, -2) @ x), MAP),
}


@pytest.mark.parametrize("name", MULTIPLYING)
def test_macs_are_those_of_torchs_counter(name: str) -> None:
    make, shape = MULTIPLYING[name]
    model = make()
    if isinstance(model, Do):
        ready(model)
    x = torch.zeros(1, *shape, device="meta")
    with FlopCounterMode(display=False) as theirs, torch.no_grad():
        abstract(model).eval()(x)
    with Macs() as ours, torch.no_grad():
        emptied(model).eval()(x)
    assert ours.flops == theirs.get_total_flops() > 0


def test_a_text_without_proof_is_written_plainly(monkeypatch: pytest.MonkeyPatch) -> None:
    from netdsl_from_torch import read

    texts: list[str] = []

    def doubtful(net: Any, *_: Any) -> Any:
        texts.append(net.recipe.net.file.source.text)
        return (Check("keys of the state", "another order", len(texts) != 1),)

    monkeypatch.setattr(read, "prove", doubtful)
    assert lift(Small(), MAP).text == texts[1]
    assert ["2 * Residual" in text for text in texts] == [True, False]
    texts.clear()
    monkeypatch.setattr(read, "prove", lambda *_: (Check("keys of the state", "another order", False),))
    with pytest.raises(
        NetError, match=r"E582.*what was lifted is not small: keys of the state: another order"
    ):
        lift(Small(), MAP)


def test_a_text_that_cannot_be_built_is_written_plainly(monkeypatch: pytest.MonkeyPatch) -> None:
    from netdsl_from_torch import read

    texts: list[str] = []

    def unbuilt(net: Any, *_: Any) -> Any:
        texts.append(net.recipe.net.file.source.text)
        if len(texts) != 2:
            net.build("no such backend")
        return (Check("keys of the state", "in order", True),)

    monkeypatch.setattr(read, "prove", unbuilt)
    assert lift(Small(), MAP).text == texts[1] != texts[0]
    monkeypatch.setattr(read, "prove", lambda net, *_: net.build("no such backend"))
    with pytest.raises(NetError, match="no such backend"):
        lift(Small(), MAP)


def test_blocks_that_cannot_be_emitted_are_written_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of emission is of a class; the others keep their parameters."""
    from netdsl_from_torch import read

    texts: list[str] = []

    def doubtful(net: Any, *_: Any) -> Any:
        text = net.recipe.net.file.source.text
        texts.append(text)
        if len(texts) == 1:
            begin = text.index("block Residual(")
            span = Span(net.recipe.net.file.source, begin + 6, begin + 14)
            raise NetError([Diagnostic("E508", "this has no class", span)])
        return (Check("keys of the state", "as they are", True),)

    monkeypatch.setattr(read, "prove", doubtful)
    assert lift(Small(), MAP).text == texts[1]
    assert "block Residual(" not in texts[1]
    assert texts[0].partition("block Residual")[0] == texts[1].partition("block Residual")[0]


def test_the_model_stays_as_it_is() -> None:
    torch.manual_seed(3)
    model = Small().eval()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    draw = torch.get_rng_state()
    lifted(model)
    assert not model.training
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert torch.equal(draw, torch.get_rng_state())
    assert nn.Module.__call__ is nn.Module._wrapped_call_impl


# ---------------------------------------------------------------- models that nobody here wrote


TORCHVISION = {
    "resnet18": (3, 64, 32),
    "googlenet": (3, 96, 64),
    "mobilenet_v3_small": (3, 64, 32),
    "shufflenet_v2_x0_5": (3, 64, 32),
    "squeezenet1_1": (3, 64, 48),
    "efficientnet_b0": (3, 64, 32),
    "densenet121": (3, 64, 32),
    "convnext_tiny": (3, 64, 32),
}
TIMM = {
    "resnet18d": (3, 64, 32),
    "tf_mobilenetv3_small_minimal_100": (3, 64, 48),
    "resnetv2_50": (3, 64, 32),
    "hrnet_w18_small": (3, 64, 32),
    "repvgg_a0": (3, 64, 32),
}


@pytest.mark.parametrize("name", TORCHVISION)
def test_torchvision(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    import_torchvision()
    args = {"init_weights": False} if name == "googlenet" else {}
    found = lift(f"torchvision:{name}", TORCHVISION[name], **args)
    assert found.net.inputs == {"x": TORCHVISION[name]}
    assert [check for check in found.checks if "bit for bit" in check.said] == list(found.checks[1:-1])


@pytest.mark.parametrize("name", TIMM)
def test_timm(name: str) -> None:
    import_torchvision()
    found = lift(f"timm:{name}", TIMM[name])
    assert all(check.ok for check in found.checks)


# ---------------------------------------------------------------- the command


FILE = """
from torch import nn

class Net(nn.Sequential):
    def __init__(self, width=4, kernels=(3, 3), act="relu"):
        layers = [nn.Conv2d(3, width, kernels[0]), {"relu": nn.ReLU, "silu": nn.SiLU}[act]()]
        super().__init__(*layers, nn.Conv2d(width, 2, kernels[1]))

def other():
    return "no model"

def broken(width):
    raise ValueError("too wide")
"""


NET = """\
net Net:
    meta source="mine.py:Net"
    input 3, 9x7
    conv 3x3, 4, pad=0 -> relu -> conv 3x3, 2, pad=0  # 2x5x3

variant mine = Net()
"""


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.py").write_text(FILE)
    model = f"{tmp_path}/mine.py:Net"
    spec, weights = tmp_path / "out.net", tmp_path / "out.safetensors"
    args = ["--args", 'width=5, kernels=(1, 3), act="silu"', "--input", "3x9x7"]
    assert main(["lift", model, *args, "-o", str(spec), "--weights", str(weights)]) == 0
    printed = capsys.readouterr()
    assert not printed.out
    assert printed.err.splitlines() == [
        "keys of the state: 4 of 4, in order",
        "outputs in evaluation: equal bit for bit",
        "outputs in training, from one seed: equal bit for bit",
        f"MACs of a sample: {3 * 5 * 63 + 5 * 2 * 9 * 35:,}",
    ]
    net = api.load(f"{spec}:mine")
    assert net.inputs == {"x": (3, 9, 7)}
    assert net.meta == {"source": "mine.py:Net", "args": "width=5, kernels=(1, 3), act='silu'"}
    module = net.build()
    module.load_state_dict(load_file(weights))
    assert main(["-q", "lift", model, "--input", "3x9x7"]) == 0
    printed = capsys.readouterr()
    assert printed.out == NET
    assert not printed.err


class Upwards(nn.Module):
    """A list that is used from its end, and a chain of which each module is called alone."""

    def __init__(self) -> None:
        super().__init__()
        self.ups = nn.ModuleList(nn.Conv2d(8, 8, 1) for _ in range(3))
        self.chain = nn.Sequential()
        self.chain.add_module("late", nn.Conv2d(8, 8, 1))
        self.chain.add_module("soon", nn.Conv2d(6, 8, 3))

    def forward(self, x: Tensor) -> Tensor:
        x = self.chain.get_submodule("soon")(x)
        skips = [x, x.relu(), x.tanh()]
        for up, skip in zip(reversed(self.ups), skips, strict=True):
            x = up(x) + skip
        return self.chain.get_submodule("late")(x)


def test_lists_that_are_used_in_another_order() -> None:
    model = Upwards()
    found = lifted(model)
    assert "order ups.0, ups.1, ups.2, chain.late, chain.soon\n" in found.text
    assert list(found.net.build().state_dict()) == list(model.state_dict())


class Excited(nn.Module):
    """Squeeze-and-excitation, whose factors are made as large as the map in some way."""

    def __init__(self, grown: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.stem = nn.Conv2d(6, 8, 3)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Sequential(nn.Linear(8, 2), nn.ReLU(), nn.Linear(2, 8), nn.Sigmoid())
        self.bias = nn.Parameter(torch.randn(8))
        self.grown = grown

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        y = self.fc(self.pool(x).view(x.size(0), -1))
        return x * self.grown(y, x) + self.bias[:, None, None].expand_as(x)


@pytest.mark.parametrize(
    "grown",
    [
        lambda y, x: y.view(x.size(0), 8, 1, 1).expand_as(x),
        lambda y, x: y.unsqueeze(2).unsqueeze(3).expand(-1, -1, *x.shape[2:]),
        lambda y, x: y[:, :, None, None].repeat(1, 1, x.shape[2], x.shape[3]),
        lambda y, x: torch.tile(y[..., None, None], (1, 1, x.shape[2], x.shape[3])),
        lambda y, x: y[:, :, None, None],
    ],
)
def test_factors_that_are_made_as_large_as_a_map(grown: Callable[[Tensor, Tensor], Tensor]) -> None:
    found = lifted(Excited(grown))
    assert [node.op.name for node in found.net.graph][-5:] == ["fc", "sigmoid", "mul", "weight", "add"]


class Flat(nn.Sequential):
    """A model of one size, which only its `fc` tells."""

    def __init__(self, channels: int, side: int) -> None:
        conv = nn.Conv2d(channels, 2, 3, padding=1)
        super().__init__(conv, nn.ReLU(), nn.Flatten(), nn.Linear(2 * side * side, 3))


@pytest.mark.parametrize(
    ("model", "shape"),
    [
        (nn.Sequential(nn.Conv2d(2, 3, 3), nn.AdaptiveAvgPool2d(1)), (2, 224, 224)),
        (Flat(1, 28), (1, 28, 28)),
        (Flat(5, 96), (5, 96, 96)),
        (nn.Sequential(nn.Linear(7, 3), nn.ReLU()), (7,)),
    ],
)
def test_an_input_that_is_not_given_is_one_that_runs(model: nn.Module, shape: tuple[int, ...]) -> None:
    found = lift(model)
    assert found.net.inputs == {"x": shape}
    assert str(found.checks[0]) == f"input: taken to be {'x'.join(map(str, shape))}, since none is given"


def test_an_input_that_no_usual_size_is_has_to_be_given() -> None:
    with pytest.raises(NetError, match="does not say what it takes"):
        lift(Flat(3, 37))


@pytest.mark.parametrize("model", ["resnet:resnet18", "squeezenet:squeezenet1_1"])
def test_torchvision_says_what_its_models_take(model: str) -> None:
    import_torchvision()
    found = lift(f"torchvision.models.{model}", num_classes=3)
    assert found.net.inputs == {"x": (3, 224, 224)}
    assert found.checks[0].what != "input"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["{}/mine.py:other"], "E580", "makes a str, and no model"),
        (["{}/mine.py:broken", "--args", "width=3"], "E580", "makes no model: ValueError: too wide"),
        (["{}/mine.py:Nets"], "E580", "defines no function Nets"),
        (["{}/mine.py:Net", "--input", "4x9x9"], "E580", "does not run on 4x9x9"),
        (["{}/mine.py:Net", "--args", "width=open('x')"], "E504", "--args takes NAME=VALUE"),
        (["{}/mine.py:Net", "--args", "4"], "E504", "--args takes NAME=VALUE"),
        (
            ["{}/mine.py:Net", "--args", "depth=3", "--input", "3x9x9"],
            "E580",
            "unexpected keyword argument 'depth'",
        ),
        (["{}/mine.py:Net", "--input", "3x9x9", "--weights", "x.pt"], "E517", "x.pt is no .safetensors file"),
        (["model.pt"], "E580", "would have to be unpickled"),
        (["resnet18"], "E580", "resnet18 names no model"),
        (["no_such_module:net"], "E580", "no_such_module cannot be imported"),
        (["math:net"], "E580", "math has no function net"),
        (["torchvision:resnet19"], "E580", "torchvision has no model resnet19"),
    ],
)
def test_misuse(
    words: list[str], code: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import_torchvision()
    (tmp_path / "mine.py").write_text(FILE)
    assert main(["lift", *(word.format(tmp_path) for word in words)]) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith(f"error[{code}]: ")
    assert said in printed.err
    assert not printed.out


# ---------------------------------------------------------------- views


def like(made: Tensor) -> tuple[Any, ...]:
    """Return all that is known of a tensor without numbers."""
    return made.shape, made.stride(), made.dtype, made.device


@pytest.mark.parametrize("of", ["in order", "channels last", "turned", "expanded", "half"])
def test_shapes_without_numbers_are_those_of_torch(of: str) -> None:
    x = torch.zeros(2, 6, 4, 8, device="meta")
    views = {
        "channels last": x.to(memory_format=torch.channels_last),
        "turned": x.permute(0, 3, 1, 2),
        "expanded": x[:, :, :1].expand_as(x),
        "half": x.half(),
    }
    x = views.get(of, x)
    for function in KEEPING | (WRITING if of != "expanded" else set()):
        bounds = [0.0] if "clamp" in str(function) else []
        expected = function(x, *bounds)
        with Shapes():
            found = function(x, *bounds)
        assert like(found) == like(expected), function
        assert (found is x) == (expected is x) == (function in WRITING), function
    for train in (False, True):
        norm = nn.BatchNorm2d(x.shape[1], device="meta", dtype=x.dtype).train(train)
        normed = torch.ops.aten.native_batch_norm
        given = (norm.weight, norm.bias, norm.running_mean, norm.running_var, train, 0.1, 1e-5)
        with torch.no_grad():
            expected = [*normed(x, *given), norm(x)]
            with Shapes():
                found = [*normed(x, *given), norm(x)]
        assert list(map(like, found)) == list(map(like, expected))
        with Shapes(), pytest.raises(RuntimeError, match="running_mean should contain"):
            nn.BatchNorm2d(3, device="meta", dtype=x.dtype)(x)


def test_views_as_algebra() -> None:
    x = whole(Value("x"), Shape(12, 4, 6), 2)
    assert x.reshaped((2, 3, 4, 24)).permuted((0, 2, 1, 3)).reshaped((2, 12, 24)).dims[1] == (
        Atom("c", 1, 4),
        Atom("c", 4, 3),
    )
    back = x.permuted((0, 2, 3, 1)).reshaped((2, 24, 12)).permuted((0, 2, 1)).reshaped((2, 12, 4, 6))
    assert back == x
    with pytest.raises(Unknown, match="a view of"):
        x.reshaped((2, 8, 36))
    assert isinstance(x, Layout)


def test_a_model_of_timm_is_ported_to_flax(
    torchvision: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = spec_from_file_location("port", Path(__file__).parents[1] / "examples" / "port.py")
    assert found is not None
    assert found.loader is not None
    module = module_from_spec(found)
    found.loader.exec_module(module)
    monkeypatch.setattr(sys, "argv", ["port.py", "mobilenetv3_small_050", "3x65x97"])
    module.main()
    printed = capsys.readouterr()
    assert printed.out.count("$ netdsl ") == 3
    apart = re.search(r"outputs up to (\S+) differ by (\S+)$", printed.out, flags=re.M)
    assert apart is not None
    assert float(apart[2]) < 1e-4 * float(apart[1])


def test_an_average_of_timms_counts_what_it_pads() -> None:
    """Whatever it says of its own padding, which it has not."""
    from timm.layers import create_pool2d

    pool = create_pool2d("avg", 3, stride=2, padding="same", count_include_pad=False)
    (op,) = (
        node.op
        for node in lifted(nn.Sequential(nn.Conv2d(6, 4, 1), pool)).net.graph
        if "pool" in node.op.name
    )
    assert (op.pad, op.count_include_pad) == (Pad("tf"), True)


def test_names_that_the_model_does_not_have() -> None:
    """A comment lists them; what constructors are given has their names."""

    class Layer(nn.Module):
        def __init__(self, width: int) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, width, 3 if width < 8 else 5)

        def forward(self, x: Tensor) -> Tensor:
            return self.conv(x)

    def two() -> nn.Module:
        class Two(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.a, self.b, self.c = Layer(4), Layer(8), Layer(16)

            def forward(self, x: Tensor) -> Tensor:
                return torch.cat([self.a(x).mean((2, 3)), self.b(x).mean((2, 3)), self.c(x).mean((2, 3))], 1)

        return Two()

    found = lift(two, (3, 16, 16))
    assert found.named == (("Layer", "k"),)
    assert found.text.startswith(
        "# Names that the model does not have: k of Layer\n\nblock Layer(k: dims, width):"
    )
    assert netdsl.format(found.text) == found.text
    assert {name for _, name in lift(two(), (3, 16, 16)).named} == {"k", "c"}

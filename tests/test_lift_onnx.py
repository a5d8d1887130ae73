"""Files of ONNX become specs, proved to be them; what no op says and what is no whole file is refused."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy
import onnx
import pytest
import torch
import torch.nn.functional as F
from conftest import import_torchvision
from netdsl_from_onnx.ops import OPERATORS
from onnx import TensorProto, helper, numpy_helper
from safetensors.torch import load_file
from torch import Tensor, nn

from netdsl import api
from netdsl.cli import main
from netdsl.diagnostics import NetError
from netdsl.frontend import Lifted, lift

MAP = (6, 13, 9)
"""The input of the small models: of odd sides, not square."""


@pytest.fixture(autouse=True)
def _onnxs_own_evaluator(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide onnxruntime, with which test_export_onnx.py lifts a file."""
    monkeypatch.setitem(sys.modules, "onnxruntime", None)


class Residual(nn.Module):
    """ResNet's block, whose shortcut is registered last."""

    def __init__(self, inplanes: int, planes: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inplanes, planes, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes, eps=1e-3, momentum=0.3)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(planes, planes, 3, padding=1, groups=2)
        self.bn2 = nn.BatchNorm2d(planes)
        self.downsample: nn.Module | None = None
        if stride != 1 or inplanes != planes:
            self.downsample = nn.Sequential(
                nn.Conv2d(inplanes, planes, 1, stride, bias=False), nn.BatchNorm2d(planes)
            )

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        y += x if self.downsample is None else self.downsample(x)
        return self.relu(y)


class Norm(nn.Sequential):
    """A convolution with its norm, as torchvision has it."""

    def __init__(
        self, c: int, out: int, kernel: int, stride: int, groups: int, act: Callable[[], nn.Module]
    ) -> None:
        super().__init__(
            nn.Conv2d(c, out, kernel, stride, kernel // 2, groups=groups, bias=False),
            nn.BatchNorm2d(out),
            act(),
        )


class Inverted(nn.Module):
    """A mobilenet's block, with squeeze and excitation."""

    def __init__(self, c: int, expand: int, out: int) -> None:
        super().__init__()
        self.expand = Norm(c, expand, 1, 1, 1, nn.Hardswish)
        self.depthwise = Norm(expand, expand, 5, 2, expand, nn.SiLU)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.down = nn.Conv2d(expand, 4, 1)
        self.up = nn.Conv2d(4, expand, 1)
        self.gate = nn.Hardsigmoid()
        self.project = nn.Sequential(nn.Conv2d(expand, out, 1, bias=False), nn.BatchNorm2d(out))

    def forward(self, x: Tensor) -> Tensor:
        x = self.depthwise(self.expand(x))
        y = self.gate(self.up(F.relu(self.down(self.pool(x)))))
        return self.project(y * x)


class Small(nn.Module):
    """Stages of blocks."""

    def __init__(self, width: int = 8, classes: int = 5) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(6, width, 3, padding=1), nn.Hardtanh(-0.5, 2), nn.MaxPool2d(3, 2, 1)
        )
        self.layer1 = nn.Sequential(Residual(width, width), Residual(width, width))
        self.layer2 = nn.Sequential(Residual(width, 2 * width, stride=2))
        self.inverted = Inverted(2 * width, 12, 7)
        self.norm = nn.GroupNorm(7, 7)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(7, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.inverted(self.layer2(self.layer1(self.stem(x)))))
        return self.fc(torch.flatten(self.pool(x), 1))


def live(model: nn.Module) -> nn.Module:
    """Return a model whose norms have numbers of their own, in evaluation."""
    torch.manual_seed(0)
    with torch.no_grad():
        for tensor in model.state_dict().values():
            if tensor.is_floating_point() and tensor.ndim == 1:
                tensor.uniform_(0.5, 1.5)
    return model.eval()


def exported(
    model: nn.Module, file: Path, *shapes: tuple[int, ...], batch: int = 2, form: str = "whole"
) -> str:
    """Write a model's file; return its name."""
    inputs = tuple(torch.randn(batch, *shape) for shape in shapes or (MAP,))
    if form == "older":
        torch.onnx.export(model, inputs, str(file), dynamo=False, verbose=False)
    else:
        program = torch.onnx.export(model, inputs, dynamo=True, optimize=form != "whole", verbose=False)
        assert program is not None
        program.save(str(file))
    return str(file)


def said(found: Lifted) -> list[str]:
    """Return what was proved, and what is lost."""
    assert all(check.ok for check in found.checks)
    assert [check.what for check in found.checks][:2] == ["keys of the state", "outputs in evaluation"]
    return [check.said for check in found.checks if check.what == "not in the file"]


@pytest.mark.parametrize("batch", [1, 2, 3])
def test_a_whole_file_gives_the_spec_of_its_module(batch: int, tmp_path: Path) -> None:
    model = live(Small())
    found = lift(exported(model, tmp_path / "small.onnx", batch=batch))
    lost = said(found)
    assert found.text == lift(model, MAP).text
    assert list(found.weights) == list(model.state_dict())
    for key, tensor in model.state_dict().items():
        assert torch.equal(found.weights[key], tensor)
    assert not any("norms" in one or "keys" in one for one in lost)
    assert api.loads(found.text).cost().macs == found.net.cost().macs


def test_an_optimised_file_keeps_blocks_and_has_no_norms(tmp_path: Path) -> None:
    model = live(Small())
    found = lift(exported(model, tmp_path / "small.onnx", form="optimised"))
    assert any("norms that were folded into convolutions, at `layer1.0.bn1`" in one for one in said(found))
    assert "block Residual" in found.text
    assert "block Inverted" in found.text
    assert "layer1.0.conv1.bias" in found.weights
    assert "bn" not in [node.op.name for node in found.net.graph]
    assert [scope.path for scope in found.net.graph.tree.scopes()] == [
        scope.path for scope in lift(model, MAP).net.graph.tree.scopes()
    ]


@pytest.mark.filterwarnings("ignore")
def test_an_older_file_has_paths_and_no_classes(tmp_path: Path) -> None:
    model = live(Small())
    found = lift(exported(model, tmp_path / "older.onnx", form="older"))
    lost = said(found)
    assert any("folded" in one for one in lost)
    assert any("classes of modules" in one for one in lost)
    assert "block Layer" in found.text
    paths = {scope.path for scope in found.net.graph.tree.scopes()}
    assert {"layer1", "layer1.0", "layer1.1", "layer2.0.downsample", "inverted"} <= paths
    assert torch.equal(found.weights["fc.weight"], model.state_dict()["fc.weight"])


def test_what_training_drops_is_said_to_be_lost(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Conv2d(6, 4, 1), nn.Dropout(0.3), nn.Conv2d(4, 2, 1)).eval()
    lost = said(lift(exported(model, tmp_path / "dropped.onnx")))
    assert any("what is dropped in training" in one for one in lost)


class Do(nn.Module):
    """A function of what a conv makes, then a conv."""

    def __init__(self, function: Callable[[Tensor], Tensor], channels: int) -> None:
        super().__init__()
        self.begin = nn.Conv2d(6, 8, 3, padding=1)
        self.function = function
        self.end = nn.Conv2d(channels, 5, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.end(self.function(self.begin(x)))


FUNCTIONS: dict[str, tuple[Callable[[Tensor], Tensor], list[str]]] = {
    "silu": (F.silu, ["silu"]),
    "silu by hand": (lambda x: x * torch.sigmoid(x), ["sigmoid", "mul"]),
    "gelu": (F.gelu, ["gelu"]),
    "gelu tanh": (lambda x: F.gelu(x, approximate="tanh"), ["gelu"]),
    "clamp": (lambda x: x.clamp(-0.5, 2.0), ["hardtanh"]),
    "relu6": (F.relu6, ["relu6"]),
    "hardswish": (F.hardswish, ["hswish"]),
    "leaky": (lambda x: F.leaky_relu(x, 0.2), ["leaky_relu"]),
    "elu": (lambda x: F.elu(x, 0.7), ["elu"]),
    "softmax": (lambda x: x.softmax(1), ["softmax"]),
    "maxpool": (lambda x: F.max_pool2d(x, 3, 2, 1), ["maxpool"]),
    "maxpool ceil": (lambda x: F.max_pool2d(x, 2, 2, ceil_mode=True), ["maxpool"]),
    "maxpool ceil of 1": (lambda x: F.max_pool2d(x, 3, 1, 1, ceil_mode=True), ["maxpool"]),
    "avgpool": (lambda x: F.avg_pool2d(x, 3, 2, 1, count_include_pad=False), ["avgpool"]),
    "avgpool counts": (lambda x: F.avg_pool2d(x, 3, 2, 1), ["avgpool"]),
    "mean": (lambda x: x.mean((2, 3), keepdim=True) * x, ["mean", "mul"]),
    "nearest": (lambda x: F.interpolate(x, scale_factor=2), ["upsample"]),
    "bilinear": (lambda x: F.interpolate(x, scale_factor=2, mode="bilinear"), ["upsample"]),
    "pad": (lambda x: F.pad(x, (1, 2, 0, 3)), ["pad"]),
    "reflect": (lambda x: F.pad(x, (1, 1, 2, 2), mode="reflect"), ["pad"]),
    "chunk": (lambda x: torch.cat(x.chunk(2, 1)[::-1], 1), ["split", "concat"]),
    "slice": (lambda x: torch.cat([x[:, 1:3], x[:, 2:8]], 1), ["slice", "slice", "concat"]),
    "slice of rows": (lambda x: x[:, :, 3:], ["slice"]),
    "scale": (lambda x: x * 0.25, ["scale"]),
    "third": (lambda x: x / 3, ["scale"]),
    "offset": (lambda x: x * (1 + x.sigmoid()), ["sigmoid", "offset", "mul"]),
    "one minus": (lambda x: x * (1 - x.sigmoid()), ["sigmoid", "scale", "offset", "mul"]),
    "hard swish by hand": (lambda x: x * F.relu6(x + 3) / 6, ["hswish"]),
    "shares of parts": (
        lambda x: x * x.mean((2, 3)).unflatten(1, (2, -1)).softmax(1).flatten(1)[:, :, None, None],
        ["gap", "unflatten", "softmax", "flatten", "mul"],
    ),
    "sub": (lambda x: x - F.relu(x), ["relu", "sub"]),
    "shuffle": (
        lambda x: x.view(x.shape[0], 2, 4, *x.shape[2:]).transpose(1, 2).reshape(x.shape),
        ["shuffle"],
    ),
    "dilated": (nn.Conv2d(8, 8, 3, padding=2, dilation=2, groups=4), ["conv"]),
    "upconv": (nn.ConvTranspose2d(8, 8, 3, 2, 1, 1), ["upconv"]),
    "norm of groups": (nn.GroupNorm(2, 8), ["gn"]),
    "norm of instances": (nn.InstanceNorm2d(8, affine=True), ["instance_norm"]),
    "norm without numbers": (nn.BatchNorm2d(8, affine=False), ["bn"]),
    "prelu": (nn.PReLU(8), ["prelu"]),
}


class Tokens(nn.Module):
    """A transformer's layer of tokens, of which one is a parameter; attention is torch's module, or its function."""

    def __init__(self, whole: bool, width: int = 12, heads: int = 3) -> None:
        super().__init__()
        self.heads = heads
        self.first = nn.Parameter(torch.randn(1, 1, width))
        self.patches = nn.Conv2d(6, width, 4, 4)
        self.norm = nn.LayerNorm(width)
        self.qkv: nn.Module = nn.Identity() if whole else nn.Linear(width, 3 * width)
        self.attention: nn.Module = (
            nn.MultiheadAttention(width, heads, batch_first=True) if whole else nn.Identity()
        )
        self.mlp = nn.Sequential(nn.Linear(width, 8), nn.GELU(), nn.Dropout(0.0), nn.Linear(8, width))
        self.head = nn.Linear(width, 5)

    def attended(self, x: Tensor) -> Tensor:
        if isinstance(self.attention, nn.MultiheadAttention):
            y: Tensor = self.attention(x, x, x, need_weights=False)[0]
            return y
        samples, n, c = x.shape
        parts = self.qkv(x).reshape(samples, n, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(parts[0], parts[1], parts[2])
        return y.transpose(1, 2).reshape(samples, n, c)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.first.expand(x.shape[0], -1, -1), x], 1)
        x = x + self.attended(self.norm(x))
        return self.head((x + self.mlp(x))[:, 0])


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("batch", [1, 2, 3])
def test_attention_is_that_of_the_module(batch: int, whole: bool, tmp_path: Path) -> None:
    model = live(Tokens(whole))
    found = lift(exported(model, tmp_path / "tokens.onnx", batch=batch))
    assert said(found)
    assert found.text == lift(model, MAP).text
    assert list(found.weights) == list(model.state_dict())
    assert "attention 3" in found.text if whole else "attend 3" in found.text


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("form", ["optimised", "older"])
def test_attention_without_a_name_is_found(form: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    found = lift(exported(Tokens(True).eval(), tmp_path / "tokens.onnx", form=form))
    assert said(found)
    assert "attention 3" in found.text
    assert (
        list(found.weights)[1:] == list(Tokens(True).state_dict())[1:]
    )  # an optimiser repeats the parameter


class Steps(nn.Module):
    """Attention of torch's that returns its scores, too, or attention step by step."""

    def __init__(self, whole: bool, batch_first: bool = True) -> None:
        super().__init__()
        self.whole = whole
        self.first = batch_first
        self.patches = nn.Conv2d(6, 12, 4, 4)
        self.qkv: nn.Module = nn.Identity() if whole else nn.Linear(12, 36)
        self.attention: nn.Module = (
            nn.MultiheadAttention(12, 3, batch_first=batch_first) if whole else nn.Identity()
        )
        self.head = nn.Linear(12, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).permute((0, 2, 1) if self.first else (2, 0, 1))
        if self.whole:
            y: Tensor = self.head(self.attention(x, x, x)[0])
            return y if self.first else y.transpose(0, 1)
        samples, n, c = x.shape
        q, k, v = self.qkv(x).reshape(samples, n, 3, 3, c // 3).permute(2, 0, 3, 1, 4).unbind(0)
        shares = (q @ k.transpose(-2, -1) * 0.5).softmax(-1)
        return self.head((shares @ v).transpose(1, 2).reshape(samples, n, c))


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("batch", [1, 2, 4])
def test_attention_that_returns_scores_is_found(batch: int, first: bool, tmp_path: Path) -> None:
    found = lift(exported(live(Steps(True, first)), tmp_path / "steps.onnx", batch=batch))
    assert said(found)
    assert ops(found) == ["conv", "tokens", "attention", "fc"]


@pytest.mark.parametrize("batch", [1, 3])
def test_attention_by_steps_is_that_of_the_module(batch: int, tmp_path: Path) -> None:
    model = live(Steps(False))
    found = lift(exported(model, tmp_path / "steps.onnx", batch=batch))
    assert said(found)
    assert found.text == lift(model, MAP).text


class Twins(nn.Module):
    """Layers of which all begin with the same numbers, which exporters keep once."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = (
            nn.Sequential(nn.Conv2d(6, 6, 1), nn.GroupNorm(2, 6), nn.ReLU()) for _ in "ab"
        )
        for one in (self.first, self.second):
            nn.init.zeros_(one[0].bias)
        self.scale, self.other = (nn.Parameter(torch.full((6, 1, 1), 1e-3)) for _ in "ab")

    def forward(self, x: Tensor) -> Tensor:
        return self.other * self.second(self.scale * self.first(x))


def test_equal_tensors_are_of_their_own_layers(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = Twins().eval()
    found = lift(exported(model, tmp_path / "twins.onnx", form="optimised"))
    assert said(found)
    ours, theirs = found.weights, model.state_dict()
    norms = [key for key in theirs if key.split(".")[1:2] == ["1"]]
    assert [key for key in ours if key in norms] == norms
    assert all(torch.equal(ours[key], theirs[key]) for key in norms)


@pytest.mark.parametrize("version", ["", "V2"])
def test_attention_in_windows_is_that_of_the_module(version: str, tmp_path: Path) -> None:
    torchvision = import_torchvision()
    kind = getattr(torchvision.models.swin_transformer, f"ShiftedWindowAttention{version}")
    layer = kind(12, [2, 3], [1, 1], 3)
    model = nn.Sequential(nn.Conv2d(6, 12, 3), torchvision.ops.Permute([0, 2, 3, 1]), layer, nn.LayerNorm(12))
    found = lift(exported(live(model), tmp_path / "sequential.onnx"))
    assert said(found)
    assert found.text == lift(model, MAP).text


@pytest.mark.parametrize(("size", "shape"), [((3, 2), (6, 13, 9)), ((4, 4), (6, 2, 2)), ((2, 3), (6, 8, 9))])
def test_a_pool_to_a_size_is_one(size: tuple[int, int], shape: tuple[int, ...], tmp_path: Path) -> None:
    model = nn.Sequential(nn.Conv2d(6, 4, 1), nn.AdaptiveAvgPool2d(size), nn.Conv2d(4, 2, 1))
    found = lift(exported(live(model), tmp_path / "sequential.onnx", shape))
    assert said(found)
    assert ops(found) == ["conv", "avgpool", "conv"]
    assert found.text == lift(model, shape).text


def test_keys_may_have_hyphens(tmp_path: Path) -> None:
    model = nn.Sequential()
    model.add_module("stage-1", nn.Sequential(nn.Conv2d(6, 4, 1), nn.BatchNorm2d(4)))
    found = lift(exported(model.eval(), tmp_path / "sequential.onnx"))
    assert list(found.weights) == list(model.state_dict())
    assert found.text == lift(model, MAP).text


def ops(found: Lifted) -> list[str]:
    return [node.op.name for node in found.net.graph][1:]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_operators_of_a_map(name: str, tmp_path: Path) -> None:
    function, wanted = FUNCTIONS[name]
    model = Do(function, 8).eval()
    found = lift(exported(model, tmp_path / "do.onnx"))
    said(found)
    assert ops(found)[1:-1] == wanted
    assert found.text == lift(model, MAP).text


def made(
    nodes: Sequence[onnx.NodeProto],
    stored: dict[str, Any],
    shape: Sequence[Any] = (1, 3, 9, 7),
    opset: int = 18,
) -> onnx.ModelProto:
    """Return a model of nodes that nobody exported; `y` is its output."""
    tensors = [numpy_helper.from_array(numpy.asarray(array), name) for name, array in stored.items()]
    graph = helper.make_graph(
        list(nodes),
        "made",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, list(shape))],
        [helper.make_empty_tensor_value_info("y")],
        tensors,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])


def weights(*shape: int) -> Any:
    return numpy.random.default_rng(0).standard_normal(shape).astype("float32")


def saved(model: onnx.ModelProto, file: Path) -> str:
    file.write_bytes(model.SerializeToString())
    return str(file)


def whole(*numbers: int) -> Any:
    return numpy.array(numbers, "int64")


def reals(*numbers: float) -> Any:
    return numpy.array(numbers, "float32")


def one(number: float) -> Any:
    return numpy.array(number, "float32")


Nodes = list[tuple[str, str, str, dict[str, Any]]]
Case = tuple[Nodes, dict[str, Any], Sequence[Any], int, list[str]]
"""Nodes (operator, what it reads, what it makes, attributes), tensors, the input's shape, opset, ops."""
MAPS = (2, 4, 6, 8)
NORM = {"s": weights(4), "b": weights(4), "m": weights(4), "v": abs(weights(4)) + 1}
NEAREST = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
OPERATIONS: dict[str, Case] = {
    **{
        f"{name} alone": ([(name, "x", "y", {})], {}, MAPS, opset, [op])
        for name, op, opset in (
            ("Relu", "relu", 18),
            ("Sigmoid", "sigmoid", 18),
            ("Tanh", "tanh", 18),
            ("Selu", "selu", 18),
            ("HardSwish", "hswish", 18),
            ("Mish", "mish", 18),
            ("Softplus", "softplus", 18),
            ("Softsign", "softsign", 18),
            ("Exp", "exp", 18),
            ("LeakyRelu", "leaky_relu", 11),
            ("Elu", "elu", 18),
            ("Celu", "celu", 18),
            ("Gelu", "gelu", 20),
            ("Neg", "scale", 18),
            ("GlobalMaxPool", "maxpool", 18),
            ("Softmax", "softmax", 13),
            ("LogSoftmax", "log_softmax", 13),
        )
    },
    "hardsigmoid": ([("HardSigmoid", "x", "y", {"alpha": 1 / 6})], {}, MAPS, 18, ["hsigmoid"]),
    "threshold": ([("ThresholdedRelu", "x", "y", {"alpha": 0.3})], {}, MAPS, 18, ["threshold"]),
    "softmax of old": ([("Softmax", "x", "y", {})], {}, (1, 5), 11, ["softmax"]),
    "lrn": ([("LRN", "x", "y", {"size": 3, "alpha": 0.1})], {}, MAPS, 18, ["lrn"]),
    "prelu": ([("PRelu", "x w", "y", {})], {"w": weights(4, 1, 1)}, MAPS, 18, ["prelu"]),
    "relu6 of inputs": ([("Clip", "x lo hi", "y", {})], {"lo": one(0), "hi": one(6)}, MAPS, 18, ["relu6"]),
    "relu6 of attributes": ([("Clip", "x", "y", {"min": 0.0, "max": 6.0})], {}, MAPS, 10, ["relu6"]),
    "conv then add": (
        [("Conv", "x w", "a", {}), ("Add", "b a", "y", {})],
        {"w": weights(4, 4, 3, 3), "b": weights(1, 4, 1, 1)},
        MAPS,
        18,
        ["conv"],
    ),
    "upconv": (
        [("ConvTranspose", "x w b", "y", {"strides": [2, 2], "group": 2})],
        {"w": weights(4, 3, 3, 3), "b": weights(6)},
        MAPS,
        18,
        ["upconv"],
    ),
    "pools": (
        [
            ("MaxPool", "x", "a", {"kernel_shape": [2, 2]}),
            ("AveragePool", "a", "y", {"kernel_shape": [2, 2]}),
        ],
        {},
        MAPS,
        18,
        ["maxpool", "avgpool"],
    ),
    "bn in training": (
        [("BatchNormalization", "x s b m v", "y p q", {"training_mode": 1, "momentum": 0.8})],
        NORM,
        MAPS,
        18,
        ["bn"],
    ),
    "ln": (
        [("LayerNormalization", "x s b", "y", {})],
        {"s": weights(5), "b": weights(5)},
        ("N", 3, 5),
        17,
        ["ln"],
    ),
    "ln written out": (
        [
            ("ReduceMean", "x", "m", {"axes": [-1]}),
            ("Sub", "x m", "d", {}),
            ("Pow", "d two", "p", {}),
            ("ReduceMean", "p", "v", {"axes": [-1]}),
            ("Add", "v eps", "ve", {}),
            ("Sqrt", "ve", "sd", {}),
            ("Div", "d sd", "n", {}),
            ("Mul", "n w", "nw", {}),
            ("Add", "nw b", "y", {}),
        ],
        {"two": one(2), "eps": one(1e-3), "w": weights(6), "b": weights(6)},
        ("N", 5, 6),
        13,
        ["ln"],
    ),
    "gn": (
        [("GroupNormalization", "x s b", "y", {"num_groups": 2})],
        {"s": weights(4), "b": weights(4)},
        MAPS,
        21,
        ["gn"],
    ),
    "instance norm": (
        [("InstanceNormalization", "x s b", "y", {})],
        {"s": weights(4), "b": weights(4)},
        MAPS,
        18,
        ["instance_norm"],
    ),
    "dropout": ([("Dropout", "x r", "y", {})], {"r": one(0.25)}, MAPS, 18, ["dropout"]),
    "hardswish by clip": (
        [
            ("Add", "x t", "a", {}),
            ("Clip", "a z s", "b", {}),
            ("Mul", "x b", "c", {}),
            ("Div", "c s", "y", {}),
        ],
        {"t": one(3), "z": one(0), "s": one(6)},
        MAPS,
        18,
        ["hswish"],
    ),
    "hardsigmoid by clip": (
        [("Add", "t x", "a", {}), ("Clip", "a", "b", {"min": 0.0, "max": 6.0}), ("Div", "b s", "y", {})],
        {"t": one(3), "s": one(6)},
        MAPS,
        9,
        ["hsigmoid"],
    ),
    "gemm": (
        [("GlobalAveragePool", "x", "a", {}), ("Squeeze", "a", "f", {}), ("Gemm", "f w b", "y", {})],
        {"w": weights(4, 5), "b": weights(1)},
        MAPS,
        18,
        ["gap", "fc"],
    ),
    "matmul": ([("MatMul", "x w", "y", {})], {"w": weights(6, 4)}, ("N", 5, 6), 18, ["fc"]),
    "mean of axes": ([("ReduceMean", "x a", "y", {"keepdims": 0})], {"a": whole(-1, -2)}, MAPS, 18, ["gap"]),
    "max of axes": ([("ReduceMax", "x", "y", {"axes": [2, 3], "keepdims": 0})], {}, MAPS, 13, ["amax"]),
    "sum of three": (
        [("Relu", "x", "a", {}), ("Neg", "x", "b", {}), ("Sum", "a b x", "y", {})],
        {},
        MAPS,
        18,
        ["relu", "scale", "add"],
    ),
    "sub, mul, div": (
        [("Relu", "x", "a", {}), ("Sub", "a x", "b", {}), ("Mul", "b a", "c", {}), ("Div", "c n", "y", {})],
        {"n": one(4)},
        MAPS,
        18,
        ["relu", "sub", "mul", "scale"],
    ),
    "resize of half pixels": (
        [("Resize", "x  s", "y", {"mode": "nearest"})],
        {"s": reals(1, 1, 3, 3)},
        MAPS,
        18,
        ["upsample"],
    ),
    "resize of axes": (
        [("Resize", "x  s", "y", {**NEAREST, "axes": [2, 3]})],
        {"s": reals(2, 2)},
        MAPS,
        18,
        ["upsample"],
    ),
    "resize to a size": (
        [("Resize", "x   z", "y", {"mode": "linear"})],
        {"z": whole(2, 4, 9, 13)},
        MAPS,
        18,
        ["resize"],
    ),
    "upsample of old": (
        [("Upsample", "x s", "y", {"mode": "nearest"})],
        {"s": reals(1, 1, 2, 2)},
        MAPS,
        9,
        ["upsample"],
    ),
    "pad of axes": (
        [("Pad", "x p  a", "y", {})],
        {"p": whole(1, 0, 0, 2), "a": whole(-1, 2)},
        MAPS,
        18,
        ["pad"],
    ),
    "split and join": (
        [("Split", "x", "a b", {"axis": 1, "num_outputs": 2}), ("Concat", "b a", "y", {"axis": 1})],
        {},
        MAPS,
        18,
        ["split", "concat"],
    ),
    "sequence": (
        [
            ("SplitToSequence", "x n", "q", {"axis": 1}),
            ("SequenceAt", "q i", "a", {}),
            ("SequenceAt", "q j", "b", {}),
            ("Concat", "a b", "y", {"axis": 1}),
        ],
        {"n": numpy.array(2), "i": numpy.array(1), "j": numpy.array(0)},
        MAPS,
        18,
        ["split", "concat"],
    ),
    "slice": (
        [("Slice", "x s e a", "y", {})],
        {"s": whole(-3), "e": whole(99), "a": whole(3)},
        MAPS,
        18,
        ["slice"],
    ),
    "a place": ([("Gather", "x i", "y", {"axis": 1})], {"i": whole(2)}, MAPS, 18, ["slice"]),
    "tokens": (
        [
            ("Flatten", "x", "f", {}),
            ("Reshape", "f z", "r", {}),
            ("Unsqueeze", "r a", "u", {}),
            ("Squeeze", "u a", "q", {}),
            ("Transpose", "q", "y", {"perm": [0, 2, 1]}),
        ],
        {"z": whole(0, 4, 48), "a": whole(1)},
        MAPS,
        18,
        ["tokens"],
    ),
    "nothing": (
        [
            ("Identity", "x", "a", {}),
            ("Cast", "a", "b", {"to": 11}),
            ("CastLike", "b x", "c", {}),
            ("Expand", "c z", "d", {}),
            ("Relu", "d", "y", {}),
        ],
        {"z": whole(1, 4, 1, 1)},
        MAPS,
        18,
        ["relu"],
    ),
    "pixel shuffle": (
        [("DepthToSpace", "x", "y", {"blocksize": 2, "mode": "CRD"})],
        {},
        MAPS,
        13,
        ["pixel_shuffle"],
    ),
    "channels last": (
        [
            ("Transpose", "x", "t", {"perm": [0, 3, 1, 2]}),
            ("Conv", "t w", "c", {}),
            ("Transpose", "c", "y", {"perm": [0, 2, 3, 1]}),
        ],
        {"w": weights(4, 3, 3, 3)},
        ("N", 9, 8, 3),
        18,
        ["conv", "permute"],
    ),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_operators_one_by_one(name: str, tmp_path: Path) -> None:
    nodes, stored, shape, opset, wanted = OPERATIONS[name]
    written = [helper.make_node(op, x.split(" "), y.split(" "), **given) for op, x, y, given in nodes]
    found = lift(saved(made(written, stored, shape, opset), tmp_path / "m.onnx"))
    assert said(found)
    assert ops(found) == wanted


def test_every_operator_has_an_example() -> None:
    assert {op for nodes, *_ in OPERATIONS.values() for op, *_ in nodes} >= {*OPERATORS}


@pytest.mark.parametrize(
    ("attributes", "wanted"),
    [
        ({"pads": [0, 1, 1, 2]}, ["pad", "conv"]),
        ({"auto_pad": "SAME_UPPER", "strides": [2, 2]}, ["conv"]),
        ({"auto_pad": "SAME_LOWER", "strides": [2, 2]}, ["conv"]),
        ({"auto_pad": "VALID", "dilations": [2, 1]}, ["conv"]),
        ({"pads": [1, 0, 1, 0], "strides": [1, 3]}, ["conv"]),
    ],
)
def test_padding_of_a_convolution(attributes: dict[str, Any], wanted: list[str], tmp_path: Path) -> None:
    node = helper.make_node("Conv", ["x", "w", "b"], ["y"], name="first conv", **attributes)
    found = lift(saved(made([node], {"w": weights(4, 3, 3, 3), "b": weights(4)}), tmp_path / "m.onnx"))
    said(found)
    assert ops(found) == wanted
    assert list(found.weights) == ["first_conv.weight", "first_conv.bias"]


def test_pools_of_tensorflows_padding(tmp_path: Path) -> None:
    pool = {"kernel_shape": [3, 2], "strides": [2, 2], "auto_pad": "SAME_UPPER"}
    nodes = [
        helper.make_node("MaxPool", ["x"], ["a"], **pool),
        helper.make_node("AveragePool", ["a"], ["y"], **pool),
    ]
    found = lift(saved(made(nodes, {}, (1, 3, 10, 8)), tmp_path / "m.onnx"))
    said(found)
    assert ops(found) == ["maxpool", "avgpool"]
    assert {str(node.op.pad) for node in [*found.net.graph][1:]} == {"tf"}


def test_a_matrix_that_is_multiplied_is_a_linear_layers_turned(tmp_path: Path) -> None:
    w, b = weights(4, 4), weights(4)
    nodes = [helper.make_node("MatMul", ["x", "w"], ["a"]), helper.make_node("Add", ["b", "a"], ["y"])]
    found = lift(saved(made(nodes, {"w": w, "b": b}, ("N", 4)), tmp_path / "m.onnx"))
    said(found)
    assert ops(found) == ["fc"]
    assert numpy.array_equal(found.weights["fc.weight"], w.T)


def test_all_nodes_without_an_op_are_listed(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Det", ["x"], ["a"], name="first"),
        helper.make_node("Relu", ["x"], ["b"], name="/block/act/Relu"),
        helper.make_node("CumSum", ["b", "axis"], ["c"], name="/block/sum/CumSum"),
        helper.make_node("Softplus", ["c"], ["d"], name="fine"),
        helper.make_node("Einsum", ["d"], ["y"], name="last", equation="nchw->nchw"),
    ]
    with pytest.raises(NetError) as caught:
        lift(saved(made(nodes, {"axis": numpy.array(1)}), tmp_path / "m.onnx"))
    messages = [one.message for one in caught.value.diagnostics]
    assert len(messages) == 3
    for wanted, message in zip(("`Det`", "`CumSum`", "`Einsum`"), messages, strict=True):
        assert wanted in message
    assert "node `/block/sum/CumSum` in `block.sum`" in messages[1]


def refused(file: str, *args: Any) -> str:
    """Return the only error of a file that is refused."""
    with pytest.raises(NetError) as caught:
        lift(file, *args)
    (one,) = caught.value.diagnostics
    assert one.code == "E580"
    assert one.help
    return one.message


RELU = helper.make_node("Relu", ["x"], ["y"], name="act")
CONV = helper.make_node("Conv", ["x", "w"], ["y"])


def _circle() -> onnx.ModelProto:
    return made(
        [helper.make_node("Add", ["x", "b"], ["a"]), helper.make_node("Relu", ["a"], ["b"]), RELU], {}
    )


def _huge() -> onnx.ModelProto:
    model = made([CONV], {})
    model.graph.initializer.append(TensorProto(name="w", data_type=1, dims=[1 << 40, 1 << 40]))
    return model


def _short() -> onnx.ModelProto:
    model = made([CONV], {"w": weights(4, 3, 3, 3)})
    model.graph.initializer[0].raw_data = b"1234"
    return model


def _negative() -> onnx.ModelProto:
    model = made([CONV], {})
    model.graph.initializer.append(TensorProto(name="w", data_type=1, dims=[-4, 3]))
    return model


def _opset(version: int) -> onnx.ModelProto:
    model = made([RELU], {})
    model.opset_import[0].version = version
    return model


def _external(place: str) -> onnx.ModelProto:
    model = made([CONV], {})
    tensor = TensorProto(name="w", data_type=1, dims=[4, 3, 3, 3], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value=place)
    model.graph.initializer.append(tensor)
    return model


HOSTILE: dict[str, tuple[Callable[[], onnx.ModelProto], str]] = {
    "a circle": (_circle, "they are in no order"),
    "huge": (_huge, "tensors of more than"),
    "short": (_short, "cannot be read"),
    "negative": (_negative, "has sizes"),
    "missing": (lambda: made([CONV], {}), "reads `w`, which nothing makes"),
    "twice": (lambda: made([RELU, RELU], {}), "makes `y`, which there is already"),
    "no output": (lambda: made([helper.make_node("Relu", ["x"], ["z"])], {}), "nothing makes its output `y`"),
    "an old opset": (lambda: _opset(3), "operators of version 3"),
    "an opset of tomorrow": (lambda: _opset(9999), "operators of version 9999"),
    "outside": (lambda: _external("../secret"), "outside its folder"),
    "absolute": (lambda: _external("/etc/passwd"), "outside its folder"),
    "not there": (lambda: _external("weights.bin"), "which has it not"),
    "a wide input": (lambda: made([RELU], {}, (1, 3, 1 << 40, 8)), "has sizes"),
    "five axes": (lambda: made([RELU], {}, (1, 3, 4, 4, 4)), "has sizes"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_files_that_are_not_whole_are_refused(name: str, tmp_path: Path) -> None:
    model, wanted = HOSTILE[name]
    assert wanted in refused(saved(model(), tmp_path / "m.onnx"))


def test_truncated_files_and_others_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "m.onnx"
    data = made([CONV], {"w": weights(4, 3, 3, 3)}).SerializeToString()
    for cut in (0, 1, 7, len(data) // 2, len(data) - 5):
        file.write_bytes(data[:cut])
        assert refused(str(file))
    file.write_text("not a model")
    assert "no file of ONNX" in refused(str(file))
    assert "there is no file" in refused(str(tmp_path / "none.onnx"))


def test_numbers_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"], name="wrong"),
        helper.make_node("Expand", ["one", "much"], ["b"], name="much"),
        helper.make_node("Add", ["a", "b"], ["y"]),
    ]
    stored = {"w": weights(4, 5, 3, 3), "one": weights(1), "much": numpy.array([1 << 20, 1 << 20, 1 << 20])}
    with pytest.raises(NetError) as caught:
        lift(saved(made(nodes, stored), tmp_path / "m.onnx"))
    assert {one.code for one in caught.value.diagnostics} == {"E581"}
    first, second = (one.message for one in caught.value.diagnostics)
    assert "`wrong`" in first
    assert "too many numbers (node `much`)" in second


BOMBS: dict[str, tuple[str, dict[str, Any]]] = {
    "Expand": ("one huge", {"one": one(1), "huge": whole(1 << 40)}),
    "Add": ("column row", {"column": weights(1 << 17, 1), "row": weights(1, 1 << 17)}),
    "Gather": ("row places", {"row": weights(1, 1 << 14), "places": numpy.zeros(1 << 14, "int64")}),
    "Range": ("a b c", {"a": one(0), "b": one(1e12), "c": one(1)}),
}


@pytest.mark.parametrize("op", BOMBS)
def test_numbers_that_would_be_too_many_are_not_made(op: str, tmp_path: Path) -> None:
    reads, stored = BOMBS[op]
    nodes = [helper.make_node(op, reads.split(), ["a_"]), helper.make_node("Add", ["x", "a_"], ["y"])]
    with pytest.raises(NetError, match="too many numbers"):
        lift(saved(made(nodes, stored), tmp_path / "m.onnx"))


STRANGE: dict[str, tuple[str, dict[str, Any], str]] = {
    "stride 0": ("Conv", {"strides": [0, 1]}, "by zero"),
    "group 0": ("Conv", {"group": 0}, "Invalid channel"),
    "text": ("Conv", {"strides": "ab"}, "invalid literal"),
    "four samples": ("Add", {}, "broadcast"),
}


@pytest.mark.parametrize("name", STRANGE)
def test_attributes_that_make_no_sense_are_refused(name: str, tmp_path: Path) -> None:
    op, given, wanted = STRANGE[name]
    node = helper.make_node(op, ["x", "w"], ["y"], **given)
    with pytest.raises(NetError, match=wanted):
        lift(saved(made([node], {"w": weights(4, 3, 3, 3)}), tmp_path / "m.onnx"))


def test_what_ends_onnxs_own_inference_does_not_end_this(tmp_path: Path) -> None:
    node = helper.make_node("Split", ["x"], ["y", "b", "c"], axis=1, num_outputs=2)
    with pytest.raises(NetError, match="no op says `Split`: num_outputs=2"):
        lift(saved(made([node], {}), tmp_path / "m.onnx"))


def test_what_lacks_inputs_is_refused(tmp_path: Path) -> None:
    nodes = [helper.make_node(op, [], [f"{op}_"]) for op in ("Clip", "Erf", "MatMul", "Sqrt", "Mul")]
    with pytest.raises(NetError, match="no op says `Erf`"):
        lift(saved(made([*nodes, RELU], {}), tmp_path / "m.onnx"))


def test_a_result_that_follows_from_what_has_no_op_is_not_another_reason(tmp_path: Path) -> None:
    nodes = [helper.make_node("Det", ["x"], ["a"]), helper.make_node("Identity", ["a"], ["y"])]
    with pytest.raises(NetError) as caught:
        lift(saved(made(nodes, {}), tmp_path / "m.onnx"))
    assert len(caught.value.diagnostics) == 1


def test_a_result_that_no_op_makes_is_refused(tmp_path: Path) -> None:
    node = helper.make_node("Transpose", ["x"], ["y"], perm=[1, 0, 2, 3])
    with pytest.raises(NetError, match=r"no op says `output`: .* mixes samples"):
        lift(saved(made([node], {}), tmp_path / "m.onnx"))


def test_tensors_beside_the_file_are_read(tmp_path: Path) -> None:
    w = weights(4, 3, 3, 3)
    model = made([helper.make_node("Conv", ["x", "w"], ["y"], name="conv")], {"w": w})
    onnx.save(model, str(tmp_path / "m.onnx"), save_as_external_data=True, location="m.bin", size_threshold=0)
    found = lift(str(tmp_path / "m.onnx"))
    assert numpy.array_equal(found.weights["conv.weight"], w)


def test_inputs_of_any_size_take_one(tmp_path: Path) -> None:
    file = saved(made([RELU], {}, ("N", 3, "H", "W")), tmp_path / "m.onnx")
    with pytest.raises(NetError, match="of any size"):
        lift(file)
    assert lift(file, (3, 8, 12)).net.inputs == {"x": (3, 8, 12)}
    with pytest.raises(NetError, match=r"is 3x\?x\?, got 4x8x8"):
        lift(file, (4, 8, 8))
    with pytest.raises(NetError, match="has no input `z`"):
        lift(file, {"z": (3, 8, 8)})


def test_the_command_writes_the_spec_and_weights(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = live(Small(width=4))
    file, spec, kept = exported(model, tmp_path / "a.onnx"), tmp_path / "a.net", tmp_path / "a.safetensors"
    assert main(["lift", file, "-o", str(spec), "--weights", str(kept)]) == 0
    assert "outputs in evaluation" in capsys.readouterr().err
    built = api.load(spec).build("torch").eval()
    built.load_state_dict(load_file(kept))
    x = torch.randn(2, *MAP)
    with torch.no_grad():
        torch.testing.assert_close(built(x), model(x))
    assert main(["lift", file, "--args", "width=3"]) != 0
    assert "takes no width" in capsys.readouterr().err

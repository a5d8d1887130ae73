"""What the torch tests share: the zoo, references that nobody here wrote, and random weights for both."""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import Mock, patch

import netdsl_torch
import torch
from conftest import import_torchvision
from netdsl_torch import Backend
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from zoo import SPACE_FILES

import netdsl
from netdsl import Network
from netdsl.api import zoo_names

if "PYTEST_XDIST_WORKER" in os.environ:
    torch.set_num_threads(1)  # the processes share the cores

TORCHVISION = (
    "alexnet",
    *(f"vgg{depth}{bn}" for depth in (11, 13, 16, 19) for bn in ("", "_bn")),
    *(f"resnet{depth}" for depth in (18, 34, 50, 101, 152)),
    "resnext50_32x4d",
    "resnext101_32x8d",
    "resnext101_64x4d",
    "wide_resnet50_2",
    "wide_resnet101_2",
)
"""Nets that torchvision has under the same names, and that are promised to be equal to it in every number."""

ZOO = [name for name, file in zoo_names().items() if file not in SPACE_FILES]
"""Every net of the zoo that is no search space."""

FAMILIES = {
    "alexnet": 64,
    "alexnet_2012": 67,
    "convmixer_768_32": 56,
    "convnext_tiny": 64,
    "darknet53": 64,
    "densenet121": 64,
    "dla34": 64,
    "dpn68": 64,
    "efficientnet_b0": 64,
    "efficientnet_v2_s": 64,
    "ghostnet_100": 64,
    "ese_vovnet19b_dw": 64,
    "googlenet": 64,
    "hrnet_w18": 64,
    "inception_resnet_v2": 128,
    "inception_v3": 299,
    "lenet": 32,
    "lraspp_mobilenet_v3_large": 64,
    "mnasnet0_5": 64,
    "mobilenet_v1_1_0": 64,
    "mobilenet_v2": 64,
    "mobilenet_v3_small": 64,
    "nasnet_a_mobile": 96,
    "poolformer_s12": 64,
    "preact_resnet50": 64,
    "regnet_y_400mf": 64,
    "repvgg_a0": 64,
    "res2net50_26w_4s": 64,
    "resnet18": 64,
    "resnet26d": 64,
    "resnet50": 64,
    "resnext50_32x4d": 64,
    "se_resnet50": 64,
    "shufflenet_v1_g3": 64,
    "shufflenet_v2_x1_0": 64,
    "squeezenet1_1": 64,
    "unet": 188,
    "unet_same": 64,
    "vgg11_bn": 64,
    "vgg16": 64,
    "vit_b_16": 32,
    "xception": 64,
    "zfnet": 64,
}
"""One net of each family, and a small side of its input."""
WINDOWED = {"maxvit_t": 64, "mobilevit_s": 64, "swin_t": 64, "swin_v2_t": 64}
"""The same of families with windows, whose tables of whole numbers cannot be drawn: see test_windows.py."""
SEVERAL = {"deeplabv3_mobilenet_v3_large": 64, "fcn_resnet50": 64}
"""The same of families whose nets return several values."""

ROOTS = [str(Path(module.__file__ or "").parents[1]) for module in (netdsl, netdsl_torch)]
ENVIRONMENT = {
    **{k: v for k, v in os.environ.items() if not k.startswith("PYTEST") and k != "XLA_FLAGS"},
    "PYTHONPATH": os.pathsep.join(ROOTS),
}
"""The environment of a process that runs the netdsl under test, and XLA with all its optimisations."""


def spec_of(name: str) -> str:
    """Return a net of the zoo as a SPEC that means nothing else."""
    return name if ":" in name else f"{zoo_names()[name]}:{name}"


def load(name: str, side: int | None = None, **params: Any) -> Network:
    """Return a net of the zoo, for a square input of that side."""
    net = netdsl.load(spec_of(name), **params)
    if side is None:
        return net
    return netdsl.load(spec_of(name), inputs={k: (s.c, side, side) for k, s in net.inputs.items()}, **params)


@cache
def emitted(name: str, inplace: bool = True) -> str:
    """Return the source of a net of the zoo."""
    return Backend().emit(netdsl.load(spec_of(name)), inplace=inplace)


def execute(text: str) -> dict[str, Any]:
    """Run an emitted module and return its names."""
    names: dict[str, Any] = {"__name__": "emitted"}
    exec(compile(text, "<emitted>", "exec", dont_inherit=True), names)
    return names


def build(name: str, device: str = "cpu", **arguments: Any) -> nn.Module:
    """Return the module of a net of the zoo."""
    with torch.device(device):
        model: nn.Module = factory(name)(**arguments)
    return model


def factory(name: str) -> Any:
    """Return the function that an emitted file is for."""
    return execute(emitted(name))[name.rpartition(":")[2]]


def inputs(net: Network, batch: int = 2, device: str = "cpu", seed: int = 7) -> list[Tensor]:
    """Return random inputs of a net."""
    torch.manual_seed(seed)
    return [torch.randn(batch, *shape, device=device) for shape in net.inputs.values()]


def tensors(output: Any) -> tuple[Tensor, ...]:
    """Return a net's outputs, however many."""
    return (output,) if isinstance(output, Tensor) else tuple(t for t in output if t is not None)


def reference(name: str, device: str = "cpu", **arguments: Any) -> nn.Module:
    """Return torchvision's model of that name, with random weights."""
    models = import_torchvision().models
    segments = name in models.list_models(models.segmentation)
    if segments:
        arguments = {"weights_backbone": None, **arguments}
    params = models.regnet.BlockParams

    def on_cpu(**settings: Any) -> Any:
        """Return the depths and widths of a RegNet, which reads them from tensors."""
        with torch.device("cpu"):
            return params.from_init_params(**settings)

    with (
        patch.object(models.regnet, "BlockParams", Mock(from_init_params=on_cpu)),
        warnings.catch_warnings(),
        torch.device(device),
    ):
        warnings.simplefilter("ignore", FutureWarning)  # googlenet's, on its slow initialisation
        model: nn.Module = models.get_model(name.rpartition(":")[2], weights=None, **arguments)
    if segments:
        model.register_forward_hook(lambda module, given, results: tuple(results.values()))
    return model


def perturb(model: nn.Module, seed: int = 3) -> nn.Module:
    """Give a model's norms and zeroed weights random numbers, so that nothing is the identity or always zero."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1 and not parameter.any():
                parameter.normal_(0, 0.1, generator=generator)
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                assert module.running_mean is not None
                assert module.running_var is not None
                module.running_mean.normal_(0, 0.2, generator=generator)
                module.running_var.uniform_(0.5, 1.5, generator=generator)
                module.weight.uniform_(0.5, 1.5, generator=generator)
                module.bias.normal_(0, 0.2, generator=generator)
    return model


def run(model: nn.Module, x: list[Tensor], seed: int = 11) -> tuple[tuple[Tensor, ...], dict[str, Tensor]]:
    """Return outputs, and gradients of the parameters and inputs, of a random weighted sum of the outputs."""
    model.zero_grad()
    leaves = [t.clone().requires_grad_() for t in x]
    torch.manual_seed(seed)
    outputs = tensors(model(*leaves))
    generator = torch.Generator().manual_seed(seed)
    loss = torch.stack([(t * torch.randn(t.shape, generator=generator)).sum() for t in outputs]).sum()
    loss.backward()  # type: ignore[no-untyped-call]
    gradients = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    gradients |= {f"input {i}": leaf.grad for i, leaf in enumerate(leaves) if leaf.grad is not None}
    return tuple(t.detach() for t in outputs), gradients


def assert_same(a: nn.Module, b: nn.Module, x: list[Tensor], same_keys: bool = True) -> None:
    """Assert that two modules have the same outputs, gradients and buffers, bit for bit and in the same order."""
    (outputs, gradients), (others, their_gradients) = run(a, x), run(b, x)
    assert len(outputs) == len(others)
    for mine, theirs in zip(outputs, others, strict=True):
        assert torch.equal(mine, theirs)
        assert mine.isfinite().all()
    mine, theirs = {**gradients, **dict(a.named_buffers())}, {**their_gradients, **dict(b.named_buffers())}
    assert len(mine) == len(theirs)
    assert list(mine) == list(theirs) or not same_keys
    assert [
        k for (k, v), other in zip(mine.items(), theirs.values(), strict=True) if not torch.equal(v, other)
    ] == []


def real_macs(model: nn.Module, x: list[Tensor]) -> tuple[dict[str, int], tuple[Tensor, ...]]:
    """Return what torch counts, by path, and the outputs. It counts 2 for a multiply-accumulate; "" is the whole."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        outputs = tensors(model(*x))
    root = type(model).__name__
    found = {}
    for path, counts in counter.get_flop_counts().items():
        flops = sum(counts.values())
        assert flops % 2 == 0
        found[path.removeprefix(root).removeprefix(".") if path != "Global" else ""] = flops // 2
    return found, outputs


@contextmanager
def outputs_by_path(model: nn.Module) -> Iterator[dict[str, tuple[tuple[int, ...], ...]]]:
    """Give the shapes that every module returned, without the batch, by its path: `path_1` when called again."""
    shapes: dict[str, tuple[tuple[int, ...], ...]] = {}
    calls: Counter[str] = Counter()

    def note(path: str) -> Any:
        def hook(module: nn.Module, args: Any, output: Any) -> None:
            found = tensors(output) if isinstance(output, (Tensor, tuple, list)) else ()
            found = tuple({id(t): t for t in found}.values())  # a value may be returned twice
            step = f"{path}_{calls[path]}" if calls[path] else path
            calls[path] += 1
            shapes[step] = tuple(tuple(t.shape[1:]) for t in found)

        return hook

    handles = [module.register_forward_hook(note(path)) for path, module in model.named_modules() if path]
    yield shapes
    for handle in handles:
        handle.remove()

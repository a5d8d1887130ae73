"""What the benchmarks share: the nets that torchvision has too, emitted and original."""

from __future__ import annotations

import sys
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any

import netdsl

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import nn

NETS = (
    "alexnet",
    *(f"vgg{depth}{bn}" for depth in (11, 13, 16, 19) for bn in ("", "_bn")),
    *(f"resnet{depth}" for depth in (18, 34, 50, 101, 152)),
    "resnext50_32x4d",
    "resnext101_32x8d",
    "resnext101_64x4d",
    "wide_resnet50_2",
    "wide_resnet101_2",
)


def emit(name: str) -> str:
    """Return the source of a net of the zoo."""
    return netdsl.load(name).emit("torch")


def emitted_model(name: str) -> nn.Module:
    """Return the emitted module, with random weights."""
    names: dict[str, Any] = {}
    exec(compile(emit(name), f"{name}.py", "exec"), names)
    model: nn.Module = names[name]()
    return model


def torchvision_factory(name: str) -> Callable[..., nn.Module]:
    """Return torchvision's function that makes a model."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    from conftest import import_torchvision

    factory: Callable[..., nn.Module] = getattr(import_torchvision().models, name)
    return factory


def torchvision_model(name: str) -> nn.Module:
    """Return torchvision's model, with random weights."""
    return torchvision_factory(name)(weights=None)


def interleaved(
    functions: Sequence[Callable[[], object]], rounds: int, clock: Callable[[], float] = perf_counter
) -> list[float]:
    """Return the median seconds of each function; they take turns, so that a slow minute hits all alike."""
    times: list[list[float]] = [[] for _ in functions]
    for function in functions:
        function()
    for _ in range(rounds):
        for function, taken in zip(functions, times, strict=True):
            start = clock()
            function()
            taken.append(clock() - start)
    return [median(taken) for taken in times]

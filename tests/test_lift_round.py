"""What a lifted spec compiles to is lifted again: it is the same text."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest
from conftest import import_torchvision

import netdsl
from netdsl import Network
from netdsl.api import zoo_names
from netdsl.frontend import find

MODELS = {
    "torchvision:convnext_tiny": 32,
    "torchvision:inception_v3": 96,
    "torchvision:mnasnet0_5": 32,
    "torchvision:regnet_x_400mf": 32,
    "torchvision:resnet18": 32,
    "torchvision:shufflenet_v2_x0_5": 32,
    "torchvision:squeezenet1_1": 32,
    "torchvision:swin_t": 64,
    "torchvision:swin_v2_t": 64,
    "zoo:darknet53": 64,
    "zoo:dla34": 64,
    "zoo:efficientnet_b0": 64,
    "zoo:googlenet": 64,
    "zoo:hrnet_w18": 64,
    "zoo:lraspp_mobilenet_v3_large": 64,
    "zoo:nasnet_a_mobile": 224,
    "zoo:selecsls42b": 64,
    "zoo:shufflenet_v1_g3": 64,
}
"""By model the side of its input."""


def read(source: object, side: int) -> Network:
    """Return the net that a model is, without the proof."""
    args = {"init_weights": False, "aux_logits": False} if source == "torchvision:inception_v3" else {}
    model = find(source).read(source, {"": (3, side, side)}, args)
    return Network.from_graph(model.graph, model.name)


def written(net: Network, folder: Path) -> Path:
    """Return the file that a net compiles to."""
    file = folder / f"{net.name}.py"
    file.write_text(net.emit("torch"), encoding="utf-8")
    return file


@pytest.mark.parametrize("live", [False, True], ids=["factory", "live"])
@pytest.mark.parametrize("name", MODELS)
def test_there_and_back(name: str, live: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import_torchvision()
    library, _, one = name.partition(":")
    source: object = name
    if library == "zoo":
        source = f"{written(netdsl.load(f'{zoo_names()[one]}:{one}'), tmp_path)}:{one}"
    net = read(source, MODELS[name])
    file = written(net, tmp_path)
    again: object = f"{file}:{net.name}"
    if live:  # what constructors were given is not known then, so the first text is a live model's, too
        net = read(made(again), MODELS[name])
        again = f"{written(net, tmp_path)}:{net.name}"
        again = made(again)
    other = read(again, MODELS[name])
    assert text(other) == text(net)


def made(reference: object) -> object:
    """Return what the function of a file makes."""
    file, _, name = str(reference).rpartition(":")
    return runpy.run_path(file)[name]()


def text(net: Network) -> str:
    return net.recipe.net.file.source.text

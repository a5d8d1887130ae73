"""Static facts equal real ones, layer by layer and in other settings: MACs and shapes, as integers."""

from __future__ import annotations

import pytest
import torch
from torch_oracles import (
    FAMILIES,
    SEVERAL,
    TORCHVISION,
    WINDOWED,
    build,
    inputs,
    load,
    outputs_by_path,
    perturb,
    real_macs,
    reference,
)


@pytest.mark.parametrize("name", ["vgg16", "resnet50", "se_resnet50", "densenet121", "googlenet", "vit_b_16"])
def test_macs_equal_torchs_layer_by_layer(name: str) -> None:
    net, model = load(name), build(name, "meta").eval()
    real, _ = real_macs(model, inputs(net, batch=1, device="meta"))
    static = {
        path: cost.macs for path, cost in net.layer_costs.items() if cost.macs and not net.graph[path].train
    }
    assert static == {path: real.get(path, 0) for path in static}
    assert sum(static.values()) == real[""]


@pytest.mark.parametrize("name", FAMILIES | SEVERAL | WINDOWED)
def test_every_module_returns_the_static_shapes(name: str) -> None:
    net, model = load(name), build(name, "meta").eval()
    with outputs_by_path(model) as real:
        model(*inputs(net, batch=1, device="meta"))
    static = {node.name: tuple(map(tuple, net.outputs_of(node.name))) for node in net.graph}
    for scope in net.graph.tree.scopes():
        static[scope.path] = tuple(tuple(net.outputs_of(v.node)[v.port]) for v in scope.outputs)
    assert {path: shapes for path, shapes in real.items() if path in static and shapes != static[path]} == {}
    layers = [
        node.name for node in net.graph if node.op.weights(*net.inputs_of(node.name)) and not node.train
    ]
    assert layers
    assert [path for path in layers if path not in real and path not in dict(model.named_parameters())] == []


@pytest.mark.parametrize("name", TORCHVISION)
def test_torchvisions_layers_return_the_static_shapes(name: str) -> None:
    net, model = load(name), reference(name, "meta").eval()
    with outputs_by_path(model) as real:
        model(*inputs(net, batch=1, device="meta"))
    layers = [node.name for node in net.graph if node.op.weights(*net.inputs_of(node.name))]
    assert {path: real[path] for path in layers} == {path: (tuple(net.shapes[path]),) for path in layers}


@pytest.mark.parametrize("name", ["resnet18", "googlenet"])
def test_macs_of_a_batch_and_of_training_equal_torchs(name: str) -> None:
    net, model = load(name), build(name, "meta").train()
    assert net.cost(batch=3, train=True).macs == real_macs(model, inputs(net, batch=3, device="meta"))[0][""]
    assert net.cost(batch=3).macs == real_macs(model.eval(), inputs(net, batch=3, device="meta"))[0][""]


def test_facts_follow_another_number_of_classes_and_another_input() -> None:
    net = load("vgg16", side=96, classes=10)
    model = build("vgg16", "meta", classes=10).eval()
    assert net.cost().params == sum(p.numel() for p in model.parameters())
    assert net.cost().macs == real_macs(model, inputs(net, batch=1, device="meta"))[0][""]


def test_a_perturbed_model_is_no_identity() -> None:
    """The oracles' own check: random statistics change a model's output."""
    torch.manual_seed(0)
    model = reference("resnet18").eval()
    x = torch.randn(1, 3, 32, 32)
    before = model(x)
    assert not torch.allclose(perturb(model)(x), before)

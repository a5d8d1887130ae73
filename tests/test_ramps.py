"""Depth schedules in emitted modules: rates of torchvision's and timm's models, and what training does with them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from conftest import import_torchvision
from flax import nnx
from metamorphic import report, subjects_of
from torch import nn
from torch_oracles import execute

from netdsl import Network, api
from netdsl.backend import emit_family

SHARED = """\
block Path(c, p: float):
    add:
        identity
        main: conv 3x3, c -> droppath p
    add:
        identity
        more: conv 1x1, c -> droppath p

block Own(c):
    r = ramp(0.1, 0.4)
    add:
        identity
        a: conv 3x3, c -> droppath r
    add:
        identity
        b: conv 1x1, c -> droppath r

net N(drop: float = 0.3, n = 2, deep = true):
    input 8, 8x8
    r = ramp(0, drop)
    default Path p=r
    a: n * Path 8
    for i in range(3):
        if deep:
            b{i}: Path 8
    c: conv 3x3, 8 -> droppath r -> dropout r
    unit = Path(p=r)
    d: 2 * unit 8
    e: n * Own 8
    f: conv 1x1, 8 -> droppath ramp(0, 0.5, endpoint=false)

variant one = N()
variant two = N(0.5, 3, false)
variant three = N(0.7, 1)
"""

STAGES = """\
block Layer(c, drop: float):
    add:
        identity
        conv: conv 3x3, c -> droppath drop
    relu

net N(n1 = 2, n2 = 3, drop: float = 0.5):
    input 4, 8x8
    r = ramp(0, drop)
    layer1: n1 * Layer 4, r
    layer2: n2 * Layer 4, r
"""


def nets(text: str) -> list[Network]:
    """Return the nets of a text."""
    return list(map(Network, api.recipes(api.read_text(text), "", {}, {})))


def facts(net: Network) -> list[float]:
    """Return the rates of a net's graph, those of droppath."""
    return [float(node.op.arguments()["p"]) for node in net.graph if node.op.name == "droppath"]


def built(net: Network, backend: str, text: str) -> list[float]:
    """Return the rates that a module was made with."""
    if backend == "torch":
        model = execute(text)[net.name]()
        return [m.p for m in model.modules() if type(m).__name__ == "DropPath"]
    space: dict[str, Any] = {}
    exec(compile(text, "emitted", "exec"), space)
    model = space[net.name](rngs=nnx.Rngs(0))
    return [m.rate for _, m in nnx.iter_modules(model) if isinstance(m, nnx.Dropout) and m.broadcast_dims]


@pytest.mark.parametrize("backend", ["torch", "flax"])
def test_modules_have_the_rates_of_the_spec(backend: str) -> None:
    found = nets(SHARED)
    (family,) = emit_family(found, backend).values()
    for net in found:
        for text in (family, net.emit(backend)):
            rates = built(net, backend, text)
            assert sorted(rates) == pytest.approx(sorted(facts(net))), net.name
    assert facts(found[2]) == pytest.approx(
        [rate * 0.7 / 7 for rate in (0, 0, 1, 1, 2, 2, 3, 3, 4, 6, 6, 7, 7)] + [0.1, 0.4, 0.0]
    )


@pytest.mark.parametrize("backend", ["torch", "flax"])
def test_classes_take_other_arguments(backend: str) -> None:
    found = nets(SHARED)
    (text,) = emit_family(found, backend).values()
    for name, subject in subjects_of(found[0], backend, text).items():
        if name != "Own":  # whose rates only the net knows
            result = report(subject, backend, 6 if backend == "torch" else 2)
            assert result.legal
            assert not result.wrong


def test_two_stages_count_as_torchvisions_do() -> None:
    net = api.loads(STAGES.replace("n1 = 2, n2 = 3", "n1 = 6, n2 = 12"))
    import_torchvision()
    from torchvision.models.swin_transformer import SwinTransformer

    swin = SwinTransformer([2, 2], 12, [2, 2, 6, 2], [1, 1, 2, 2], [2, 2], stochastic_depth_prob=0.5)
    assert facts(api.loads(STAGES)) == [0.0, 0.125, 0.25, 0.375, 0.5]
    own = api.loads(STAGES.replace("n1 = 2, n2 = 3", "n1 = 4, n2 = 8"))
    theirs = [m.p for m in swin.modules() if type(m).__name__ == "StochasticDepth"]
    assert facts(own) == pytest.approx(theirs)  # attention and its MLP have one
    timm = pytest.importorskip("timm.layers.drop")
    assert facts(net) == pytest.approx(timm.calculate_drop_path_rates(0.5, 18))


def test_training_drops_what_torchvision_drops() -> None:
    import_torchvision()
    from torchvision.ops import StochasticDepth

    ours = execute(api.loads(STAGES).emit("torch"))["n"]()
    layers = [nn.Conv2d(4, 4, 3, padding=1) for _ in range(5)]
    drops = [StochasticDepth(0.125 * k, "row") for k in range(5)]
    state = {
        f"layer{1 if k < 2 else 2}.{k if k < 2 else k - 2}.conv.0.{key}": value
        for k, layer in enumerate(layers)
        for key, value in layer.state_dict().items()
    }
    ours.load_state_dict(state)
    x = torch.randn(64, 4, 8, 8)
    torch.manual_seed(5)
    got = ours.train()(x.clone())
    torch.manual_seed(5)
    y = x
    for layer, drop in zip(layers, drops, strict=True):
        y = torch.relu(y + drop(layer(y)))
    assert torch.equal(got, y)
    assert not torch.equal(got, ours.eval()(x.clone()))

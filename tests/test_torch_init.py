"""Initial weights are distributed as the spec says, and as torchvision's."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from test_emitted import mypy, tool
from torch import Tensor, nn
from torch_oracles import build, execute, load, reference

from netdsl.api import loads, read_text, recipes
from netdsl.backend import emit_family
from netdsl.diagnostics import NetError
from netdsl.ir.types import Init
from netdsl.network import Network

SEED = 5
SAMPLES = 5000
"""A tensor with fewer elements has no moments to speak of."""


def fans(tensor: Tensor) -> tuple[int, int]:
    """Return a weight's fan in and fan out."""
    field = tensor[0][0].numel() if tensor.dim() > 2 else 1
    return tensor.shape[1] * field, tensor.shape[0] * field


def assert_moments(tensor: Tensor, std: float, name: str) -> None:
    """Assert a mean of 0 and a deviation, within five standard errors."""
    n = tensor.numel()
    assert abs(tensor.mean().item()) < 5 * std / math.sqrt(n), name
    assert abs(tensor.std().item() / std - 1) < 5 / math.sqrt(n), name


def said(net: Network) -> dict[str, Init]:
    """Return what the spec says of each parameter."""
    return {key: parameter.init for key, parameter in net.parameters.items()}


@pytest.mark.parametrize(("name", "classes"), [("resnet18", 1000), ("vgg11", 10)])
def test_convolutions_are_kaiming_normal_and_the_rest_as_said(name: str, classes: int) -> None:
    torch.manual_seed(SEED)
    net, model = load(name), build(name, classes=classes)
    checked = set()
    for key, tensor in model.named_parameters():
        init = said(net)[key]
        checked.add(init.kind)
        if init.kind == "kaiming_normal" and tensor.numel() > SAMPLES:
            assert_moments(tensor, math.sqrt(2 / fans(tensor)[1]), key)
        elif init.kind == "normal" and tensor.numel() > SAMPLES:
            assert_moments(tensor, 0.01, key)
        elif init.kind == "zeros":
            assert not tensor.any(), key
    assert checked >= ({"kaiming_normal", "normal", "zeros"} if name == "vgg11" else {"kaiming_normal"})


def test_what_no_init_mentions_starts_as_in_torch() -> None:
    torch.manual_seed(SEED)
    model = build("resnet18")
    bound = 1 / math.sqrt(512)
    assert 0.99 * bound < model.fc.weight.abs().max().item() <= bound
    assert torch.equal(model.bn1.weight, torch.ones(64))
    assert not model.bn1.bias.any()


MOMENTS = (
    "resnet18",
    "vgg11_bn",
    "googlenet",
    "inception_v3",
    "densenet121",
    "squeezenet1_1",
    "mnasnet0_5",
    "mobilenet_v2",
    "mobilenet_v3_small",
    "shufflenet_v2_x0_5",
    "efficientnet_b0",
    "efficientnet_v2_s",
    "convnext_tiny",
    "regnet_y_400mf",
    "fcn_resnet50",
    "lraspp_mobilenet_v3_large",
    "vit_b_16",
)
"""One of torchvision's nets of each family that the zoo has."""


@pytest.mark.slow
@pytest.mark.parametrize("name", MOMENTS)
def test_every_tensor_has_the_moments_of_torchvisions(name: str) -> None:
    torch.manual_seed(SEED)
    ours = build(name).state_dict()
    torch.manual_seed(SEED + 1)
    for key, other in reference(name).state_dict().items():
        tensor, other = ours[key].double(), other.double()
        if (other == other.flatten()[0]).all():
            assert torch.equal(tensor, other), key
            continue
        std, error = other.std().item(), 8 / math.sqrt(tensor.numel())
        assert abs(tensor.std().item() / std - 1) < error, key
        assert abs((tensor.mean() - other.mean()).item()) < error * std, key
        if tensor.numel() < SAMPLES:
            continue
        for quantile in (0.25, 0.75):
            sample = min(tensor.numel(), 100_000)
            a, b = (t.flatten()[:sample].quantile(quantile) for t in (tensor, other))
            assert abs(float(a - b)) < 0.1 * std, key


def test_truncated_normals_are_truncated() -> None:
    torch.manual_seed(SEED)
    weight = build("googlenet").inception4a.branch2[1].conv.weight
    assert weight.abs().max().item() <= 2.0
    assert_moments(weight, 0.01, "conv")


def test_a_seed_gives_the_same_weights_again() -> None:
    states = []
    for seed in (SEED, SEED, SEED + 1):
        torch.manual_seed(seed)
        states.append(build("resnet18").state_dict())
    assert all(torch.equal(a, b) for a, b in zip(states[0].values(), states[1].values(), strict=True))
    assert not torch.equal(states[0]["conv1.weight"], states[2]["conv1.weight"])


SCATTERED = """\
block B(n, c = true):
    [fc 8 when c]
    n * fc 8, init=constant(2)
    fc 8
    fc 3, init=ones

net T(n = 2, c = true):
    input 2, 4x4
    init fc weight=constant(3)
    init conv weight=constant(4)
    for i in range(n):
        s{i}: conv 3x3, 2, init=constant(5) -> relu
    gap
    flatten
    b: B n, c=c
    body:
        n * relu -> fc 4, init=constant(6)
        [fc 5 when c]
        fc 6, init=zeros
    head: fc 7, init=constant(7) when c
    last: fc 3
"""
"""Layers that start in a way of their own where only the arguments say which position they have."""


@pytest.mark.parametrize("given", [{"n": n, "c": c} for n in (0, 1, 3) for c in (False, True)])
def test_a_layers_own_line_holds_wherever_arguments_put_it(given: dict[str, int | bool]) -> None:
    model = execute(loads(SCATTERED).emit("torch"))["T"](**given)
    expected = said(loads(SCATTERED, **given))
    assert set(expected) == set(dict(model.named_parameters()))
    for key, init in expected.items():
        if key.endswith("weight"):
            value = init.args[0] if init.args else float(init.kind == "ones")
            assert (model.get_parameter(key) == value).all(), key


ASKED = """\
block Unit(c):
    conv: conv 3x3, c
    bn: bn

net N(std = 0.01, c = 32):
    init conv weight=normal(0, std)
    input 32, 8x8
    a: Unit c
    gap

variant one = N()
variant two = N(0.5)
"""


def test_an_argument_may_say_nothing_but_how_weights_start() -> None:
    nets = tuple(map(Network, recipes(read_text(ASKED), "", {}, {})))
    (text,) = emit_family(nets, "torch").values()
    made = execute(text)
    for model, std in ((made["one"](), 0.01), (made["two"](), 0.5), (made["N"](0.125), 0.125)):
        assert float(model.a.conv.weight.detach().std()) == pytest.approx(std, rel=0.05)


LEAKING = """\
block Unit(c, slope: float):
    init conv weight=kaiming_normal(fan_out, gain=leaky_relu(slope))
    conv: conv 3x3, c
    leaky_relu slope

net N(slope = 0.5):
    init conv weight=kaiming_normal(gain=leaky_relu)
    init fc weight=xavier_normal(gain=leaky_relu(slope))
    input 32, 8x8
    first: conv 3x3, 48
    a: Unit 40, slope
    b: Unit 64, 2.0
    gap
    fc: fc 200
"""


def test_the_gain_of_a_leaky_relu_follows_its_slope() -> None:
    """What a block says of its own argument holds against the net's line, too, which says something else."""
    (net,) = map(Network, recipes(read_text(LEAKING), "", {}, {}))
    make = execute(net.emit("torch"))["N"]
    for model, slope in ((make(), 0.5), (make(1.5), 1.5)):
        for layer, own, fan in (
            (model.first, 0.01, 9 * 32),
            (model.a.conv, slope, 9 * 40),
            (model.b.conv, 2.0, 9 * 64),
            (model.fc, slope, (64 + 200) / 2),
        ):
            gain = nn.init.calculate_gain("leaky_relu", own)
            assert_moments(layer.weight.detach(), gain / math.sqrt(fan), f"{layer} {own}")


DECIDED = """\
block Unit(c, bias: bool = true, std = 0.1):
    init conv weight=normal(0, std), bias=zeros
    conv: conv 3x3, c, bias=bias
    f: conv 1x1, c -> relu -> conv 1x1, c, bias=bias

block Lin(c, bias: bool = true):
    init fc bias=zeros
    fc: fc c, bias=bias

net N(c = 4, bias: bool = true, up: bool = true):
    input 3, 8x8
    init conv weight=kaiming_normal(fan_out)
    a: Unit c, bias
    b: Unit c, false
    e: conv 3x3, c, init=ones
    d: upconv 2x2, c, /2, bias=bias
    g: upconv 2x2, c, /2
    gap
    l: Lin 4, bias
    fc: fc 4

block Plain(c, bias: bool = false):
    init conv weight=normal(0, 0.1), bias=constant(3)
    conv: conv 3x3, c, bias=bias

net M(c = 4, bias: bool = false):
    input 3, 8x8
    a: Plain c, bias
    b: Plain c, false
    f: conv 3x3, c -> relu -> conv 3x3, c, init=ones
    gap
    fc: fc 3, bias=bias

block Seq(c, bias: bool = true):
    init conv weight=normal(0, 0.1), bias=constant(3)
    conv 3x3, c, bias=bias -> relu -> conv 1x1, c

net P(c = 4, bias: bool = false):
    input 3, 8x8
    init conv weight=kaiming_normal(fan_out), bias=zeros
    a: Seq c, bias
    b: Seq c, false
    d: upconv 2x2, c, /2, bias=bias
    gap
    init fc bias=zeros
    fc: fc 3, bias=bias
"""
"""Biases that an argument leaves out, and how they start."""


@pytest.mark.parametrize("name", ["n", "m", "p"])
def test_a_bias_that_an_argument_leaves_out_starts_as_said_where_it_is(name: str, tmp_path: Path) -> None:
    net = loads(DECIDED, "n.net", name)
    make = execute(net.emit())[name]
    for bias in (False, True):
        ours = dict(make(bias=bias).named_parameters())
        theirs = loads(DECIDED, "n.net", name, bias=bias).parameters
        assert list(ours) == list(theirs)
        for key, parameter in theirs.items():
            if parameter.init.kind in ("zeros", "ones", "constant"):
                value = {"zeros": 0, "ones": 1}.get(parameter.init.kind, 3)
                assert (ours[key] == value).all(), key
    (tmp_path / "n.py").write_text(net.emit())
    assert mypy(tmp_path) == ""
    assert tool("ruff", "check", "--isolated", "--no-cache", "--select", "SIM", tmp_path) == ""


AFFINE = """\
block Unit(c, affine: bool = false, norm: op = bn):
    conv: conv 1x1, c, norm=norm
    n1: bn affine=affine
    n2: rms_norm affine=affine
    n3: ln affine=affine

net N(affine: bool = false, norm: op = bn):
    input 3, 8x8
    init bn weight=constant(2), bias=constant(3)
    init gn weight=constant(4)
    init rms_norm weight=constant(5)
    a: Unit 4, affine, norm
    b: Unit 4, false

variant n = N()
variant given = N(norm=gn(2))
variant bare = N(true, bn(affine=false))
"""
"""Norms that an argument is, or leaves without weights, and how they start."""


def test_norms_that_an_argument_is_or_leaves_without_weights_start_as_said() -> None:
    nets = [Network(recipe) for recipe in recipes(read_text(AFFINE), "", {}, {})]
    together = execute(next(iter(emit_family(nets, "torch").values())))
    for net in nets:
        for made in (together, execute(net.emit())):
            ours = dict(made[net.name]().named_parameters())
            assert list(ours) == list(net.parameters)
            for key, parameter in net.parameters.items():
                if parameter.init.kind == "constant":
                    assert (ours[key] == parameter.init.args[0]).all(), key
    decided = together["N"](affine=True)
    assert (decided.a.n1.weight == 2).all()
    assert (decided.a.n2.weight == 5).all()
    assert decided.b.n1.weight is None


HELD = """\
init conv weight=zeros, bias=zeros

block C(classes):
    dropout 0.5
    conv 1x1, classes, init=constant(1) as p
    conv 1x1, classes, init=constant(2) as q

block S(classes):
    conv 1x1, classes, init=constant(3)
    conv 1x1, classes

net N(classes = 4, flag = true):
    input 3, 8x8
    body:
        conv 3x3, 4 as a
        conv 3x3, 4, init=constant(4), bias=flag as b
        inner:
            relu
            conv 3x3, 4, init=constant(5), bias=flag
    both:
        inner:
            relu
            conv 3x3, 4, init=constant(6)
        add:
            conv 1x1, 4, init=constant(7) as p
            relu
    c: C classes
    s: S classes
"""
"""Layers that start in a way of their own within chains, of whose elements a type checker knows nothing."""


def test_a_layer_within_a_chain_starts_in_its_own_way(tmp_path: Path) -> None:
    net = loads(HELD, "n.net")
    model = execute(net.emit())["N"]()
    for key, init in said(net).items():
        value = init.args[0] if init.args else 0
        assert (model.get_parameter(key) == value).all(), key
    (tmp_path / "n.py").write_text(net.emit())
    assert mypy(tmp_path) == ""
    assert "self.body.b.weight" in net.emit()


OWN_WAY = """\
block Body(c):
    conv 3x3, c -> conv 3x3, c

block Head(c, deep = true):
    init conv weight=fan_uniform(fan_in)
    init fc weight=fan_uniform(fan_in)
    conv 3x3, c when deep
    conv 1x1, c
    gap -> fc c

net N(deep = true):
    input 40, 8x8
    init conv weight=kaiming_normal(fan_out)
    Body 90
    Head 80, deep
"""


def test_what_starts_in_torchs_own_way_is_not_started_again() -> None:
    text = loads(OWN_WAY).emit("torch")
    assert "kaiming_uniform_" not in text
    torch.manual_seed(SEED)
    (body, head) = execute(text)["N"]()
    for conv in body:
        assert_moments(conv.weight, math.sqrt(2 / fans(conv.weight)[1]), "body")
    for layer in (head[0], head[1], head[3]):
        bound = fans(layer.weight)[0] ** -0.5
        assert 0.99 * bound < layer.weight.abs().max().item() <= bound


def test_what_no_constructor_knows_is_refused() -> None:
    """The number of the net stands in a loop over all modules: not where places of layers depend on arguments."""
    text = """\
block Apart(n):
    for i in range(n):
        conv 3x3, 8, init=constant(2) as c{i}

block Plain(c):
    conv 3x3, c -> relu

net N(width: float = 0.5, n = 2):
    input 3, 8x8
    init conv weight=constant(width)
    apart: Apart n
    plain: Plain 8
    gap
"""
    with pytest.raises(
        NetError, match="conv is to start as an argument of the net says, which Plain is not given"
    ):
        loads(text).emit("torch")
    net = loads(text.replace("    plain: Plain 8\n", ""))
    model = execute(net.emit("torch"))[net.name]()
    assert model.apart.c1.weight.unique().tolist() == [2]

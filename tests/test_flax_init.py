"""Initial weights of flax modules are distributed as torch's."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from flax import nnx
from flax_oracles import FORMS, factory, spec, state_of
from torch_oracles import execute, load

import netdsl
from netdsl.api import loads, read_text, recipes
from netdsl.backend import emit_family, own_state
from netdsl.ir.types import Init
from netdsl.network import Network
from netdsl.ops.norm import Norm

SEED = 5
SAMPLES = 5000
"""A tensor with fewer elements has no moments to speak of."""
ALIKE = 8
"""How many standard errors two means, deviations or quantiles may differ by: there are hundreds of them."""

INITS = [
    "zeros",
    "ones",
    "constant(0.5)",
    "normal(0, 0.01)",
    "normal(0.3, 0.2)",
    "uniform(-0.5, 1.5)",
    "trunc_normal(0.02)",
    "trunc_normal(1.5)",
    "kaiming_normal",
    "kaiming_normal(fan_out)",
    "kaiming_uniform",
    "kaiming_uniform(fan_out)",
    "fan_uniform",
    "fan_uniform(fan_out)",
    "kaiming_normal(gain=tanh)",
    "kaiming_normal(fan_out, selu)",
    "kaiming_uniform(fan_out, gain=sigmoid)",
    "kaiming_uniform(gain=identity)",
    "kaiming_normal(fan_out, gain=leaky_relu)",
    "kaiming_normal(gain=leaky_relu(0.5))",
    "kaiming_uniform(fan_out, gain=leaky_relu(slope=1.5))",
    "xavier_normal",
    "xavier_uniform",
    "xavier_uniform(0.5)",
    "xavier_normal(gain=5/3)",
    "xavier_normal(gain=tanh)",
    "xavier_uniform(gain=leaky_relu(2))",
]


def kinds() -> str:
    """Return a spec in which every init is given to weights, and torch's own stays where none is."""
    given = "\n".join(f"    conv{i}: conv 3x3, 48, init={init}" for i, init in enumerate(INITS))
    return f"""
net Kinds:
    input 24, 8x8
    conv: conv 3x3, 48
{given}
    grouped: conv 3x3, 96, groups=2
    down: conv 5x3, 48
    up: upconv 3x3, 32, /2, pad=1
    up2: upconv 3x3, 64, /2, pad=1, groups=2
    norm: bn
    last: conv 3x3, 96
    tokens
    weight embedding [841, 96], init=normal(0, 0.02)
    (identity | from embedding) -> add
    layer: ln
    token 0
    fc1: fc 200
    fc2: fc 96, init=xavier_uniform
    fc: fc 10
"""


BLOCKS = """
block Mixer(heads):
    add:
        ln as norm -> attention heads as attention
        identity
    add:
        ln as norm2 -> fc 2*x.c as fc1 -> gelu -> fc x.c as fc2
        identity

block Wide(planes):
    conv1: conv 3x3, planes, init=kaiming_normal(fan_out)
    bn1: bn init=zeros
    relu
    conv2: conv 3x3, planes, groups=4
    up: upconv 3x3, planes, groups=4, pad=1

net Rows:
    input 64, 4x4
    wide: 3 * Wide 64
    tokens
    mixers: 3 * Mixer 4
    token 0
    fc: fc 100
"""


def pairs(net: netdsl.Network, form: str) -> dict[str, tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]]:
    """Return every tensor of a new module, in torch's layout, and torch's own."""
    ours = netdsl.convert_weights(net, state_of(factory(net, form)(rngs=nnx.Rngs(SEED))), form, "torch")
    torch.manual_seed(SEED)
    theirs = execute(net.emit("torch"))[net.name]().state_dict()
    assert ours.keys() == theirs.keys()
    return {
        key: (ours[key], theirs[key].numpy()) for key in theirs if not key.endswith("num_batches_tracked")
    }


def assert_alike(key: str, a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> None:
    """Assert that two samples have the same moments, quartiles and bounds, or are the same constant."""
    assert (a.shape, a.dtype) == (b.shape, b.dtype), key
    if b.min() == b.max():
        np.testing.assert_array_equal(a, b, err_msg=key)
        return
    a, b = a.astype("float64").ravel(), b.astype("float64").ravel()
    n, std = b.size, math.sqrt(max(b.var(), 1e-30))
    assert abs(a.mean() - b.mean()) < ALIKE * std / math.sqrt(n), key
    if n < SAMPLES:
        assert a.min() < a.max(), key
        assert abs(a).max() < 3 * abs(b).max(), key
        return
    assert abs(a.std() / std - 1) < ALIKE / math.sqrt(n), key
    for quantile in (0.1, 0.25, 0.5, 0.75, 0.9):
        difference = abs(np.quantile(a, quantile) - np.quantile(b, quantile))
        assert difference < ALIKE * 2 * std / math.sqrt(n), (key, quantile)
    uniform = b.max() - b.mean() < 1.8 * std  # its bounds are 1.73 deviations from its mean
    for bound in (np.max, np.min):
        assert abs(bound(a) - bound(b)) < (0.01 if uniform else 2.5) * std, key


@pytest.mark.parametrize("name", ["Kinds", "Rows"])
@pytest.mark.parametrize("form", FORMS)
def test_every_tensor_is_distributed_as_torchs(name: str, form: str) -> None:
    net = spec({"Kinds": kinds(), "Rows": BLOCKS}[name])
    checked = pairs(net, form)
    for key, (a, b) in checked.items():
        assert_alike(key, a, b)
    if name == "Kinds":
        found = {parameter.init.kind for parameter in net.parameters.values()}
        assert found == {*Init.KINDS, "default"} - Init.FIXED


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnet18", "googlenet"])
def test_nets_of_the_zoo_start_as_torchs(name: str) -> None:
    """Of googlenet's aux1.fc1, jax's truncated normal sets one of two million numbers to 200 deviations here."""
    for key, (a, b) in pairs(load(name), "flax").items():
        assert_alike(key, a, b)


@pytest.mark.parametrize("form", FORMS)
def test_equal_blocks_start_apart(form: str) -> None:
    """Every tensor of every one is drawn by itself, and within the bounds of torch's own."""
    net = spec(BLOCKS)
    ours = {key: a for key, (a, b) in pairs(net, form).items() if b.min() < b.max()}
    drawn = [value.tobytes() for value in ours.values()]
    assert len(set(drawn)) == len(drawn)


SHARED = """
block Unit(c):
    conv 3x3, c -> relu

net Own(std: float, k: dims = 3x3):
    input 32, 8x8
    init conv weight=normal(0, std)
    one: conv k, 32
    two: conv 3x3, 32, init=normal(0, 0.25)

net Deep(std: float):
    input 32, 8x8
    init conv weight=normal(0, std)
    unit: Unit 32

net Other:
    input 32, 8x8
    init conv weight=normal(0, 0.125)
    init fc weight=normal(0, 2)
    unit: Unit 32

variant own1 = Own(0.5)
variant own2 = Own(0.001)
variant deep1 = Deep(0.5)
variant deep2 = Deep(0.001)
"""
"""Nets of a file that share blocks, and start them otherwise."""


def test_every_net_of_a_file_starts_its_layers_as_its_own_lines_say(tmp_path: Path) -> None:
    (tmp_path / "shared.net").write_text(SHARED, encoding="utf-8")
    nets = netdsl.load_family(str(tmp_path / "shared.net"))
    (text,) = emit_family(nets, "flax").values()
    made = execute(text)
    deviations = {
        f"{net.name}.{key}": float(array.std())
        for net in nets
        for key, array in state_of(made[net.name](rngs=nnx.Rngs(SEED))).items()
        if key.endswith("kernel")
    }
    wanted = {
        "own1.one": 0.5,
        "own1.two": 0.25,
        "own2.one": 0.001,
        "own2.two": 0.25,
        "deep1.unit.0": 0.5,
        "deep2.unit.0": 0.001,
        "other.unit.0": 0.125,
    }
    found = {key.removesuffix(".kernel").replace("layers.", ""): value for key, value in deviations.items()}
    assert found == {key: pytest.approx(value, rel=0.05) for key, value in wanted.items()}
    own = made["Own"](0.125, rngs=nnx.Rngs(SEED))
    assert float(own.one.kernel.std()) == pytest.approx(0.125, rel=0.05)
    deep = made["Deep"](0.125, rngs=nnx.Rngs(SEED))
    assert float(deep.unit.layers[0].kernel.std()) == pytest.approx(0.125, rel=0.05)
    assert text.count("class Deep") == 1


HANDED = """
block Unit(c):
    conv: conv 3x3, c

block Other(c):
    conv: conv 1x1, c

block Stage(c, unit: op):
    u: unit c

net N(unit: op = Unit, gain = 1.0):
    init conv weight=normal(0, gain / 4)
    input 32, 8x8
    s: Stage 32, unit

net K:
    init conv weight=normal(0, 0.125)
    input 32, 8x8
    s: Stage 32, Unit
    t: Stage 32, Other

variant n1 = N()
variant n2 = N(Other, 2.0)
"""


def test_a_block_that_is_given_starts_as_the_net_says_that_gives_it() -> None:
    (text,) = emit_family([Network(r) for r in recipes(read_text(HANDED), "", {}, {})], "flax").values()
    made = execute(text)
    for name, std in (("n1", 0.25), ("n2", 0.5), ("K", 0.125)):
        model = made[name](rngs=nnx.Rngs(SEED))
        assert float(model.s.u.conv.kernel.std()) == pytest.approx(std, rel=0.05)
    model = made["N"](made["Unit"], 0.5, rngs=nnx.Rngs(SEED))
    assert float(model.s.u.conv.kernel.std()) == pytest.approx(0.125, rel=0.05)


def test_a_norm_whose_weights_an_argument_decides_on_starts_as_said() -> None:
    text = """
block Unit(c, affine: bool = false):
    n1: bn affine=affine
    n2: rms_norm affine=affine
    n3: ln affine=affine

net N(affine: bool = false):
    input 3, 8x8
    init bn weight=constant(2), bias=constant(3)
    init rms_norm weight=constant(5)
    a: Unit 4, affine
    b: Unit 4, false
"""
    net = loads(text, "n.net")
    model = execute(net.emit("flax"))["N"](affine=True, rngs=nnx.Rngs(SEED))
    for norm, scale, bias in ((model.a.n1, 2, 3), (model.a.n2, 5, None), (model.a.n3, 1, 0)):
        assert (norm.scale[...] == scale).all()
        assert bias is None or (norm.bias[...] == bias).all()
    assert model.b.n1.scale is None


def test_biases_are_within_torchs_bound() -> None:
    """A bias is uniform within 1 / sqrt(fan_in), whatever the weight's own init is; one of many elements shows it."""
    net = spec(
        """
net Biases:
    input 18, 4x4
    conv: conv 3x3, 6000, groups=6
    narrow: conv 1x1, 6
    up: upconv 3x3, 6000, pad=1
    small: conv 1x1, 6
    up2: upconv 3x3, 6000, pad=1, groups=6
    gap
    fc: fc 6000
"""
    )
    fans = {"conv": 9 * 3, "up": 9 * 6000, "up2": 9 * 1000, "fc": 6000}
    for key, (a, b) in pairs(net, "flax").items():
        layer, _, kind = key.rpartition(".")
        if kind == "bias" and layer in fans:
            bound = 1 / math.sqrt(fans[layer])
            for value in (a, b):
                assert 0.99 * bound < value.max() <= bound, key
                assert 0.99 * bound < -value.min() <= bound, key
                assert abs(value.std() - bound / math.sqrt(3)) < 0.03 * bound, key


GIVEN = """
block Unit(c, norm: op = bn):
    conv: conv 3x3, c
    norm1: norm
    relu

block Late(c, norm: op = bn):
    init bn bias=constant(0.75)
    conv: conv 3x3, c
    norm1: norm
    unit: Unit c, norm

net Said(norm: op = bn, start: float = 0.5):
    input 3, 8x8
    init bn weight=constant(start), bias=constant(0.25)
    a: Unit 8, norm
    b: Unit 8
    c: Unit 8, bn(init=constant(2))
    d: Late 8, norm
    norm2: norm

net Silent(norm: op = bn):
    input 3, 8x8
    a: Unit 8, norm
    d: Late 8, norm

variant one = Said()
variant two = Said(ln)
variant three = Said(bn(eps=0.01), start=3.0)
variant four = Silent()
variant five = Silent(ln)
"""
"""Norms that are arguments, and what `init` lines of nets and blocks and the norms themselves say of them."""


NUMBERS = """
block Unit(c, start: float):
    half = start / 2
    init conv weight=constant(half)
    conv 3x3, c -> relu
    conv 1x1, c

block Plain(c):
    fc c -> relu

net Numbers(width: float = 1.0, depth = 2, deep = true):
    input 3, 8x8
    start = 0.1 * width / depth
    twice = 2 * depth
    init conv weight=constant(start), bias=constant(twice)
    start = 0.5 * width
    init fc weight=constant(start)
    if deep:
        start = 2.0 * start
    init fc bias=constant(start)
    a: conv 3x3, 8
    body: depth * Unit 8, start
    if deep:
        b: Unit 8, 4.0
    gap
    plain: Plain 8
    fc: fc 10

variant one = Numbers()
variant two = Numbers(2.0, 3, false)
"""
"""Numbers of `init` lines that have names of their own, which are given to others later."""


SCOPES = """
default conv 1x1

block Unit(c, unit: op = conv):
    conv1: conv 3x3, c -> bn
    unit: unit c

block Own(c):
    conv1: conv 3x3, c
    init bn weight=constant(5)
    conv2: conv 3x3, c
    norm: bn

block Caller(c, start: float = 0.25):
    first: Unit c
    init conv weight=constant(start)
    init dwconv bias=constant(3)
    unit: Unit c
    dw: dwconv 3x3
    own:
        init conv bias=constant(6)
        body: Own c
        dw: dwconv 3x3
    last: conv c

block Tree(n: int in [0, 1, 2, 3], c):
    init conv weight=constant(7)
    conv1: conv c
    if n > 0:
        more: Tree n - 1, c
        init bn weight=constant(8)
        unit: Unit c

inline block Within(c):
    init conv weight=constant(9)
    inner: Unit c

net Scopes(deep = 2, start: float = 0.5, many = 2):
    input 3, 8x8
    init conv weight=constant(1), bias=constant(0)
    stem: Unit 8
    neck:
        init conv weight=constant(2)
        init bn bias=constant(start)
        a: Unit 8
        b: Own 8
        units: many * Unit 8
        d: conv 9
        deeper:
            init dwconv weight=constant(4)
            a: dwconv 3x3
            b: conv 3x3, 8
    c: Own 8
    d: Caller 8
    again: Caller 8, start
    same again
    tree: Tree deep, 8
    slot: Unit 8, Own
    Within 8
    end: conv 3

variant one = Scopes()
variant two = Scopes(1, 0.125, 1)
variant three = Scopes(0, 0.75, 3)
"""


def test_an_init_line_reaches_what_is_built_in_its_scope() -> None:
    one, *_ = map(Network, recipes(read_text(SCOPES), "", {}, {}))
    for name, weight, value in (
        ("stem.conv1.0", "weight", 1),
        ("neck.a.conv1.0", "weight", 2),
        ("neck.a.conv1.1", "bias", 0.5),
        ("neck.b.norm", "weight", 5),
        ("neck.d", "bias", 0),
        ("neck.deeper.a", "weight", 4),
        ("neck.deeper.b", "weight", 2),
        ("c.conv1", "weight", 1),
        ("d.first.unit", "weight", 1),
        ("d.unit.unit", "weight", 0.25),
        ("d.dw", "bias", 3),
        ("d.own.body.conv1", "bias", 6),
        ("d.own.dw", "bias", 6),
        ("d.own.dw", "weight", 0.25),
        ("again.last", "weight", 0.5),
        ("tree.conv1", "weight", 7),
        ("tree.more.unit.conv1.0", "weight", 7),
        ("tree.more.unit.conv1.1", "weight", 8),
        ("inner.unit", "weight", 9),
        ("end", "weight", 1),
    ):
        assert one.graph[name].op.inits[weight].args == (value,), name
    assert not one.graph["stem.conv1.1"].op.inits


@pytest.mark.parametrize("spec", [GIVEN, NUMBERS, SCOPES])
@pytest.mark.parametrize("form", ["torch", "flax"])
def test_constants_are_those_of_the_spec(spec: str, form: str) -> None:
    nets = list(map(Network, recipes(read_text(spec), "", {}, {})))
    (text,) = emit_family(nets, form).values()
    made = execute(text)
    for net in nets:
        if form == "flax":
            state = netdsl.convert_weights(net, state_of(made[net.name](rngs=nnx.Rngs(SEED))), form, "torch")
        else:
            state = {key: value.numpy() for key, value in made[net.name]().state_dict().items()}
        checked = 0
        for node in net.graph:
            for key in own_state(net, node):
                weight = key.rpartition(".")[2]
                init = node.op.inits.get(weight)
                if init is None and isinstance(node.op, Norm) and weight in ("weight", "bias"):
                    init = Init("constant", (int(weight == "weight"),))
                if init is not None:
                    assert (state[key] == np.float32(init.args[0])).all(), (net.name, key)
                    checked += 1
        assert checked > 3


def test_a_number_with_a_name_follows_from_the_arguments_of_one_class() -> None:
    for form in ("torch", "flax"):
        (text,) = emit_family(list(map(Network, recipes(read_text(NUMBERS), "", {}, {}))), form).values()
        assert text.count("class Numbers(") == 1
        assert "class Numbers2(" not in text


def test_the_spec_says_how_norms_that_are_arguments_start() -> None:
    one, two, three, *_ = map(Network, recipes(read_text(GIVEN), "", {}, {}))
    for net, name, weight, value in (
        (one, "a.norm1", "weight", 0.5),
        (one, "c.norm1", "weight", 2),
        (one, "d.norm1", "bias", 0.75),
        (one, "d.unit.norm1", "bias", 0.75),
        (three, "norm2", "weight", 3.0),
    ):
        assert net.graph[name].op.inits[weight].args == (value,)
    assert not two.graph["norm2"].op.inits

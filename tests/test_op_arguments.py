"""Ops and blocks as arguments: a module computes what the net does, whichever of them it is given."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from interpreter import draw_state, interpret, state_shapes
from metamorphic import differing_state
from netdsl_torch.run import by_name
from torch_oracles import execute

from netdsl.api import read_text, recipes
from netdsl.backend import emit_family
from netdsl.network import Network


def family(text: str) -> tuple[Network, ...]:
    """Return the nets of a text."""
    return tuple(map(Network, recipes(read_text(text), "", {}, {})))


def torch_text(text: str) -> str:
    """Return the torch module of all nets of a text, once it is seen that its numbers are those of the nets."""
    nets = family(text)
    for group in (nets, *((net,) for net in nets)):
        (emitted,) = emit_family(group, "torch").values()
        made = execute(emitted)
        for net in group:
            compare(made[net.name](), net)
    return next(iter(emit_family(nets, "torch").values()))


def compare(module: torch.nn.Module, net: Network) -> None:
    """Demand the state and the outputs of the interpreter."""
    shapes = state_shapes(net)
    own = {key: tuple(tensor.shape) for key, tensor in module.state_dict().items()}
    assert not differing_state(own, shapes), net.name
    numbers = draw_state(shapes, 1)
    module.double().load_state_dict(numbers)
    inputs = [torch.randn(3, *shape, dtype=torch.float64) for shape in net.inputs.values()]
    for training in (False, True):
        with torch.no_grad():
            outputs = by_name(module.train(training)(*inputs))
            wanted = interpret(net, numbers, inputs, training)
        for name, tensor in wanted.items():
            torch.testing.assert_close(outputs[name], tensor, rtol=1e-9, atol=1e-9)


def flax_runs(text: str) -> None:
    """Demand that the Flax modules of a text have the states of its nets."""
    pytest.importorskip("flax")
    from flax import nnx

    nets = family(text)
    for group in (nets, *((net,) for net in nets)):
        (emitted,) = emit_family(group, "flax").values()
        made = execute(emitted)
        for net in group:
            state = nnx.state(made[net.name](rngs=nnx.Rngs(0)), nnx.Param)
            assert sum(leaf.size for leaf in nnx.to_flat_state(state).leaves) == net.cost().params


SPECS = {
    "norms without weights": """\
block B(c, norm: op = bn):
    conv: conv 1x1, c, norm=norm
    norm as last

net N(norm: op = bn):
    input 3, 8x6
    init bn weight=constant(0.5)
    init rms_norm weight=constant(0.4)
    a: B 4, norm
    b: B 6, instance_norm(affine=true)
    c: B 6, rms_norm(eps=0.1)

variant one = N(instance_norm)
variant two = N(bn(affine=false))
variant three = N(ln(bias=false))
variant four = N(rms_norm)
""",
    "standardised weights and blurs": """\
default conv 3x3, bias=false

block Pre(c, stride = 1, norm: op = gn(2), act: op = relu):
    y = from x -> norm as norm1 -> act
    add:
        from y -> stdconv c, /stride as conv1 -> norm as norm2 -> act -> stdconv c as conv2
        downsample: stdconv 1x1, c, /stride when stride > 1 or x.c != c

net N(act: op = relu, n = 2):
    input 3, 33x31
    init conv weight=normal(0, 0.5)
    init stdconv weight=kaiming_normal(fan_out)
    stem: stdconv 7x7, 8, /2, pad=tf
    pool: blurpool
    l1: n * Pre 8, act=act
    l2: n * Pre 12, /2 first, act=act
    plain: conv 12 -> blurpool 5, /1
    gap
    fc: fc 10

variant deep = N(elu(0.5), 3)
""",
    "activations with weights, numbers and axes": """\
block B(c, act: op = relu):
    conv: conv 1x1, c, norm=bn, act=act
    body: conv 3x3, 2*c -> glu -> act

net N(act: op = relu):
    input 3, 8x6
    a: B 4, act
    b: B 6, mish

variant one = N(prelu)
variant two = N(elu(0.5))
variant three = N(hardtanh(0, 6))
variant four = N(log_softmax(axis="h"))
variant five = N(prelu(shared=false))
""",
    "a norm with an argument": """\
block B(c, norm: op = bn):
    conv: conv 1x1, c, norm=norm

net N(norm: op = bn):
    input 3, 8x8
    a: B 4, norm
    gap

variant one = N()
variant two = N(gn(groups=2))
variant three = N(ln(eps=0.5))
""",
    "a norm that is only given": """\
block B(norm: op = bn):
    conv: conv 1x1, x.c, norm=norm

net N(norm: op = bn):
    input 3, 8x8
    a: B norm
    gap

variant one = N(norm=ln)
""",
    "norms in tables": """\
table t1(c, n):
    4, bn
    4, bn

table t2(c, n):
    8, ln

block B(c, n: op):
    conv: conv 1x1, c
    n as norm

net N(rows: table = t1):
    input 4, 8x8
    for i, r in enumerate(rows):
        b{i}: B r.c, r.n
    gap

variant one = N(t2)
variant two = N()
""",
    "a norm whose default line is its own": """\
default bn eps=0.5

block B(norm: op = bn):
    conv: conv 1x1, x.c, norm=norm

net N:
    input 4, 8x8
    a: B
    b: B ln
    c: B gn(groups=2)
    d: B bn(eps=0.25)
    gap
""",
    "a norm of a vector": """\
block B(v: op = none):
    fc: fc 4, norm=v

net N:
    input 4
    a: B bn
    b: B
""",
    "a norm of maps and of tokens": """\
block B(v: op = none, act: op = relu):
    v as norm
    act

net N(norm: op = bn, act: op = relu):
    input 4, 3x3
    a: B norm, act
    flat: tokens
    b: B ln, act
    c: B ln(eps=0.5), softmax
    token 0

variant one = N()
variant two = N(ln, act=gelu)
""",
    "identity": """\
block Res(act: op = relu):
    conv: conv 3x3, x.c
    act

net N:
    input 3, 8x8
    a: Res
    b: Res act=identity
    gap
""",
    "a loop over ops": """\
block B(act: op = relu):
    conv: conv 1x1, x.c
    act

net N:
    input 3, 8x8
    for i, a in enumerate([relu, tanh, leaky_relu(0.3)]):
        b{i}: B a
    for i, row in enumerate([[4, relu], [5, tanh]]):
        c{i}: conv 1x1, row[0] -> B row[1]
    gap
""",
    "pools": """\
block B(pool: op):
    pool 3x3, /2, pad=1

net N(pool: op = avgpool):
    input 4, 16x16
    a: B maxpool
    b: B avgpool
    c: B pool
    gap

variant one = N()
variant two = N(maxpool)
""",
    "a pool that nothing reads": """\
block B(pool: op):
    pool 3x3, /2, pad=1

net N(pool: op = avgpool):
    input 4, 16x16
    a: B maxpool
    if x.c > 4:
        b: B pool
    gap

variant one = N()
variant two = N(maxpool)
""",
    "a block that may be none": """\
block SE:
    c: conv 1x1, x.c

net N(att: op = none):
    input 3, 8x8
    att: att when att
    gap

variant one = N()
variant two = N(att=SE)
""",
    "a default line of one of two blocks": """\
block A(c, k = 1):
    conv: conv 1x1, c*k

block B(c, k = 1):
    conv: conv 3x3, c*k

net N(unit: op, k = 1):
    input 3, 8x8
    default A k=k
    a: unit 4
    gap

variant one = N(A, k=3)
variant two = N(B(k=2), k=3)
""",
    "arguments of one of two blocks": """\
block A(c, k = 1):
    conv: conv 1x1, c*k

block B(c, k = 1):
    conv: conv 3x3, c*k

net N(unit: op, k = 1):
    input 3, 8x8
    a: unit 4, k=k
    b: unit 5
    gap

variant one = N(A)
variant two = N(B(k=2))
variant three = N(B, k=3)
""",
    "blocks that need not be there": """\
block SE:
    c: conv 1x1, x.c

block Wide(k = 2):
    c: conv 1x1, k*x.c

block B(att: op = none, other: op = SE, n = 1):
    a: conv 3x3, 8
    if att and n > 1:
        att as att
        for i in range(n):
            c{i}: conv 1x1, x.c
    else:
        other as other
    b: conv 3x3, 8 -> att when att

block C(att: op = none):
    a: conv 3x3, 8
    att: att when att
    b: conv 3x3, 8

block D(att: op = none):
    a: conv 3x3, 8
    att as att

net N(att: op = none):
    input 4, 8x8
    a: B
    b: B SE, n=2
    c: B SE, Wide
    d: B Wide(k=3), n=3
    e: C Wide
    f: C
    g: C att
    h: D SE
    gap
    fc: fc 3

variant one = N()
variant two = N(SE)
variant three = N(Wide(k=4))
""",
    "blocks that read some of what comes in": """\
block Drop(c) from prev, cur:
    from cur -> conv 3x3, c as only

block Cut(c) from prev, cur:
    from prev -> maxpool 3x3, /1, pad=1

block Both(c) from prev, cur:
    add:
        from prev -> conv 1x1, c as l
        from cur -> conv 1x1, c as r

block Outer(c, unit: op) from a, b:
    from a, b -> unit c as u
    v: conv 1x1, c

net N(unit: op = Both):
    input 3, 8x8
    a: conv 3x3, 4
    b: from a, a -> Outer 5, Both
    c: from a, b -> Outer 6, Drop
    d: from b, c -> Outer 7, Cut
    e: from c, d -> unit 4
    gap

variant one = N()
variant two = N(Drop)
variant three = N(Cut)
""",
    "blocks that are told sizes": """\
block Flat(c):
    flatten
    p: fc c

block Gap(c):
    gap
    p: fc c

block Tall(c):
    p: conv 3x3, c
    q: conv 3x3, c when x.h > 4

block Plain(c):
    p: conv 3x3, c

block Outer(c, unit: op):
    u: unit c

net N(head: op = Flat, unit: op = Plain):
    input 3, 8x8
    a: Outer 3, Tall
    b: Outer 4, Plain
    c: unit 5
    train output one: from a -> Outer 5, Flat
    train output two: from b -> Outer 6, Gap
    d: head 7

variant one = N()
variant two = N(Gap, Tall)
""",
    "a default of no net": """\
block Inner(c):
    p: conv 3x3, c

block Other(c):
    q: conv 3x3, 2*c

net N(unit: op = Inner):
    input 3, 8x8
    unit 4 as u
    gap

variant one = N(Other)
""",
    "strings and truths": """\
block A(modes: list, flags: list):
    for i, m in enumerate(modes):
        c{i}: conv 1x1, 4 if m == "a" else 8
    for i, m in enumerate(flags):
        d{i}: conv 1x1, 4 if m else 8

net N(modes: list = ["a"]):
    input 3, 8x8
    a: A ["a", "b"], [true, false]
    b: A ["b", "a"], [false]
    c: A modes, [true]
    gap

variant one = N()
variant two = N(["b", "a"])
""",
}


@pytest.mark.parametrize("name", SPECS)
def test_the_numbers_are_those_of_the_net(name: str) -> None:
    torch_text(SPECS[name])


@pytest.mark.parametrize("name", SPECS)
def test_flax_has_the_weights_of_the_net(name: str) -> None:
    flax_runs(SPECS[name])


def test_a_norm_keeps_its_arguments() -> None:
    text = torch_text(SPECS["a norm with an argument"])
    assert "self.conv_norm = norm(c)" in text
    assert "norm=partial(nn.GroupNorm, 2)" in text


def test_a_block_that_need_not_be_there_is_asked_for_its_channels_only_there() -> None:
    text = torch_text(SPECS["blocks that need not be there"])
    lines = [line.strip() for line in text.splitlines()]
    at = lines.index("channels = 8")
    assert lines[at - 1] == "else:"
    assert lines[at + 1] == "self.b = nn.Conv2d(channels, 8, 3, padding=1)"
    assert "if att is None:" in lines
    assert 'raise ValueError("D needs att")' in lines
    assert not [line for line in lines if line.split(" = ")[0] == line.split(" = ")[-1] and " = " in line]


GATES = """\
block Gate(ratio = 2):
    mul:
        identity
        gate: conv 1x1, x.c // ratio -> conv 1x1, x.c -> sigmoid

block Spatial(k: dims = 3x3):
    mul:
        identity
        gate: conv k, 2 -> conv k, x.c -> sigmoid

block Both(spatial = true):
    Gate as channel
    Spatial as spatial when spatial

block Plain(c):
    conv: conv 1x1, c

net N(att: op = Both):
    input 4, 8x8
    conv: conv 3x3, 8
    att as att
    plain: Plain 8
    gap

variant one = N()
variant two = N(Both(spatial=false))
"""


def test_every_block_that_can_be_called_like_an_argument_is_one() -> None:
    made = execute(torch_text(GATES))
    for name in ("Gate", "Spatial", "Both"):
        module = made["N"](att=made[name])
        assert module(torch.randn(2, 4, 8, 8)).shape == (2, 8)
    assert not hasattr(made["Plain"](4, 8), "out_channels")


@pytest.mark.parametrize("backend", ["torch", "flax"])
def test_nothing_is_bound_that_nobody_reads(backend: str, tmp_path: Path) -> None:
    for number, text in enumerate((*SPECS.values(), GATES)):
        (emitted,) = emit_family(family(text), backend).values()
        (tmp_path / f"m{number}.py").write_text(emitted)
    command = (sys.executable, "-m", "ruff", "check", "--isolated", "--no-cache", "--select", "F,I", tmp_path)
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    (emitted,) = emit_family(family(SPECS["strings and truths"]), backend).values()
    assert "MODES" not in emitted

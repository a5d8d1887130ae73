"""Blocks, groups and ops without weights and without labels, of which every turn makes another one.

No key of a state tells such modules apart, so only numbers do: those of a net with other arguments than the one that
was compiled, in evaluation and training, and the rates of its dropouts as they are called.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from unittest.mock import patch

import pytest
import torch
from interpreter import draw_state, interpret, state_shapes
from netdsl_torch.emit import layers
from netdsl_torch.run import by_name, without_dropout
from torch import nn
from torch_oracles import execute

import netdsl
from netdsl import Network, api
from netdsl.backend import find
from netdsl.ir.types import Dims

BACKENDS = ["torch", "flax"]

BLOCKS = """\
block Padded(k):
    scale k -> pad k

block Scaled(k: float):
    scale k -> tanh

block Branches(k: float):
    add:
        scale k
        tanh

block Pool(k: dims):
    maxpool k, /1, pad=same
    relu

block Same(k):
    maxpool dims(k, k), /1, pad=same
    tanh

block P(stride = 1, k: float = 1.0):
    maxpool 3x3, /stride, pad=1
    dropout k

block Half(k) from a, b:
    from a, b -> mul -> scale k -> gelu

block Cross(k) from a, b:
    u = from a -> scale k
    v = from b -> pad k -> slice 0x0, 8x8
    from v, u

block Twice(k, deep = false):
    Scaled k
    if deep:
        Scaled 2*k

block Nested(k):
    add:
        for j in range(k):
            Scaled j + 1
        identity

block Down(d, k):
    scale k
    if d > 0:
        Down d - 1, k + 1
    tanh

block Squash(act: op, k):
    scale k
    act
"""
"""What the nets below have before them."""

NETS: dict[str, tuple[str, list[dict[str, Any]]]] = {
    "a block of a turn": (
        """\
net N(n = 3):
    input 2, 8x8
    stem: conv 1x1, 2
    for i in range(n):
        Padded i + 1
    gap
""",
        [{"n": 1}, {"n": 4}, {"n": 0}],
    ),
    "a joint over a list": (
        """\
net N(ks: list = [3x3, 5x5, 7x7]):
    input 8, 16x16
    s: conv 3x3, 8
    concat:
        identity
        for k in ks:
            Pool k
    gap
""",
        [{"ks": [Dims((1, 3))]}, {"ks": [Dims((5, 5)), Dims((3, 3)), Dims((3, 1)), Dims((7, 7))]}],
    ),
    "a repetition whose first turn differs": (
        """\
net N(n = 3):
    input 8, 32x32
    s: conv 3x3, 8
    r = ramp(0, 0.5)
    n * P r, /2 first
    gap
""",
        [{"n": 1}, {"n": 2}, {"n": 5}],
    ),
    "a known repetition whose first turn differs": (
        """\
net N(s = 2):
    input 8, 32x32
    s: conv 3x3, 8
    r = ramp(0, 0.5)
    3 * P r, /s first
    4 * P 0.1, /2 first
    gap
""",
        [{"s": 1}, {"s": 4}],
    ),
    "a group of a turn": (
        """\
net N(n = 3):
    input 8, 8x8
    s: conv 3x3, 8
    for i in range(n):
        t{i} = from flow -> (scale i + 1 -> pad i) -> slice 0x0, 8x8
    concat:
        for i in range(n):
            from t{i}
    gap
""",
        [{"n": 1}, {"n": 5}],
    ),
    "either side of a condition of a turn": (
        """\
net N(n = 3, k: float = 0.5):
    input 8, 8x8
    s: conv 3x3, 8
    for i in range(n):
        if i % 2 == 0:
            Scaled k*i
        else:
            Scaled 3.0
        if i == 1:
            Scaled k
    gap
""",
        [{"n": 5}, {"n": 1, "k": 2.0}],
    ),
    "joints of loops of groups": (
        """\
net N(n = 3):
    input 2, 8x8
    s: conv 1x1, 2
    add:
        for i in range(n):
            scale i + 1 -> Padded 1 -> gelu
        for i in range(n):
            (scale i + 1 -> Padded 1 -> relu)
    gap
""",
        [{"n": 1}, {"n": 4}],
    ),
    "both operands of a block": (
        """\
net N(n = 3):
    input 12, 8x8
    conv: conv 3x3, 12
    xs = from conv -> split n
    ys = from x -> split n
    concat:
        for i in range(n):
            from xs[i], ys[i] -> Half i + 1
    for i in range(n):
        Scaled i + 1
    gap
""",
        [{"n": 2}, {"n": 4}],
    ),
    "a block of several values": (
        """\
net N(n = 3):
    input 4, 8x8
    a = from flow -> conv 3x3, 4 as ca
    b = from a -> conv 1x1, 4 as cb
    for i in range(n):
        a, b = from a, b -> Cross i + 1
    from a, b -> sub
    gap
""",
        [{"n": 1}, {"n": 4}],
    ),
    "a loop in a loop": (
        """\
net N(n = 2, m = 3):
    input 2, 8x8
    s: conv 1x1, 2
    for i in range(n):
        for j in range(m):
            Scaled i + 2*j
        Scaled 0.5*i
        for j in range(i + 1):
            Scaled j
    gap
""",
        [{"n": 3, "m": 1}, {"n": 1, "m": 4}],
    ),
    "a loop over a list in a loop": (
        """\
net N(n = 2, ks: list = [0.5, 2.0, 3.0]):
    input 2, 8x8
    s: conv 1x1, 2
    for i in range(n):
        for k in ks:
            Scaled i + k
            (scale k -> gelu)
    for k in ks:
        for l in ks:
            Scaled k - l
    gap
""",
        [{"n": 3, "ks": [1.0]}, {"n": 1, "ks": [0.1, 0.2, 0.3, 0.4]}],
    ),
    "a joint in a loop": (
        """\
net N(n = 2, m = 3):
    input 2, 8x8
    s: conv 1x1, 2
    for i in range(n):
        add:
            for j in range(m):
                Scaled i + j + 1
            identity
    gap
""",
        [{"n": 3, "m": 1}, {"n": 1, "m": 4}],
    ),
    "rows of a table": (
        """\
table rows(k, w):
    1, 0.5
    3, 2.0
    5, 3.0

net N(n = 2):
    input 2, 8x8
    s: conv 1x1, 2
    for r in rows:
        Same r.k
        Scaled r.w
    for k, w in rows[1:]:
        Padded k
        Scaled w
    gap
""",
        [],
    ),
    "a table that is an argument": (
        """\
table rows(k, w):
    1, 0.5
    3, 2.0
    5, 3.0

table others(k, w):
    3, 1.0
    1, 7.0

block Rows(t: table):
    for k, w in t:
        Same k
        Scaled w

net N(t: table = rows):
    input 2, 8x8
    s: conv 1x1, 2
    a: Rows t
    b: Rows others
    gap
""",
        [],
    ),
    "lists at once": (
        """\
net N(ks: list = [1, 3], ws: list = [0.5, 2.0]):
    input 2, 8x8
    s: conv 1x1, 2
    for k, w in zip(ks, ws):
        Same k
        Scaled w
    for i, k in enumerate(ks):
        Padded i + k
    for i, k in enumerate(ks, 1):
        Padded i
    gap
""",
        [{"ks": [1], "ws": [4.0]}, {"ks": [5, 1, 3], "ws": [1.0, 2.0, 3.0]}],
    ),
    "dropouts": (
        """\
block Drop(k: float, act: op = relu):
    dropout k -> act

net N(n = 3, p: float = 0.3):
    input 2, 8x8
    s: conv 1x1, 2
    for i in range(n):
        Drop p*i/n
        dropout p -> gelu
        dropout 0.1*i
        Drop p
        (dropout 0.2*i -> tanh)
    add:
        for i in range(n):
            Drop 0.05*i, tanh
    gap
""",
        [{"n": 1}, {"n": 5, "p": 0.1}],
    ),
    "names that end with numbers": (
        """\
net N(n = 3, scaled1 = 2):
    input 2, 8x8
    s: conv 1x1, 2
    for i in range(n):
        Scaled i + 1
        Scaled 7
        Scaled 2*i
        Scaled 9
    Scaled scaled1
    scaled3: conv 1x1, 2
    scaled5_0: conv 1x1, 2
    scale scaled1
    gap
""",
        [{"n": 4, "scaled1": 3}],
    ),
    "blocks of blocks": (
        """\
net N(n = 2, deep = true):
    input 2, 8x8
    s: conv 1x1, 2
    for i in range(n):
        Twice i + 1, deep
        Nested i + 1
        Twice 3, i % 2 == 0
    gap
""",
        [{"n": 3, "deep": False}, {"n": 1}],
    ),
    "a block that contains itself": (
        """\
net N(n = 2):
    input 2, 8x8
    s: conv 1x1, 2
    for i in range(n):
        Down i, i + 1
    gap
""",
        [{"n": 3}, {"n": 1}],
    ),
    "ops of a list": (
        """\
net N(n = 2, last: op = relu):
    input 2, 8x8
    s: conv 1x1, 2
    for act in [relu, tanh, gelu]:
        Squash act, 3
        act
    for i in range(n):
        Squash last, i + 1
    gap
""",
        [{"n": 3}],
    ),
    "blocks of a list": (
        """\
net N(n = 2):
    input 2, 8x8
    s: conv 1x1, 2
    for unit in [Scaled, Branches]:
        for i in range(n):
            unit i + 0.5
    gap
""",
        [{"n": 3}],
    ),
    "channels that grow": (
        """\
block Twin(k):
    concat:
        scale k
        identity
    shuffle 2

net N(n = 2, c = 4):
    input 2, 8x8
    s: conv 1x1, c
    for i in range(n):
        Twin i + 1
        instance_norm affine=false
        Scaled i
    gap
""",
        [{"n": 3, "c": 2}, {"n": 1}],
    ),
    "what a turn counts itself": (
        """\
net N(n = 3, step = 2):
    input 2, 8x8
    s: conv 1x1, 2
    k = 1
    for i in range(n):
        m = k * 3
        Scaled m
        Padded 2
        k = k + step
    Scaled k
    gap
""",
        [{"n": 1, "step": 5}, {"n": 4}],
    ),
    "a module that runs again": (
        """\
net N(n = 3):
    input 2, 8x8
    s: conv 1x1, 2
    head: Twice 2
    for i in range(n):
        Scaled i + 1
        same head
        p{i}: Padded i
        Scaled i
        same head
    gap
""",
        [{"n": 1}, {"n": 4}],
    ),
    "containers with labels": (
        """\
net N(n = 3):
    input 2, 8x8
    s: conv 1x1, 2
    for i in range(n):
        b{i}:
            Padded i
            (scale i + 1 -> tanh)
            for j in range(i + 1):
                Scaled j
            add:
                for j in range(i + 1):
                    Scaled i + j
                conv 1x1, 2 as c
    gap
""",
        [{"n": 1}, {"n": 4}],
    ),
    "a loop that counts down": (
        """\
net N(n = 3):
    input 2, 8x8
    s: conv 1x1, 2
    for i in range(n, 0, -1):
        Scaled i
    for i in range(2, 2*n, 2):
        Padded i
    for i in range(-1, n):
        Scaled i
    gap
""",
        [{"n": 2}, {"n": 4}],
    ),
    "sizes of a turn": (
        """\
block Flat(k):
    flatten -> scale k -> tanh

block Smaller:
    maxpool 2x2, /2
    tanh

net N(n = 2, k = 3):
    input 2, 16x16
    s: conv 1x1, 2
    for i in range(n):
        Smaller
        resize dims(x.h + i, x.w) -> Scaled i
        Scaled x.h
    gap
""",
        [{"n": 3}, {"n": 1}],
    ),
    "a group in a group": (
        """\
net N(n = 3, ks: list = [1, 3]):
    input 2, 8x8
    s: conv 1x1, 2
    for i in range(n):
        a = from s -> (scale i + 1 -> (tanh -> scale i) -> gelu)
        from flow, a -> add
    for k in ks:
        b = from s -> (maxpool dims(k, k), /1, pad=same -> relu)
        from flow, b -> add
    gap
""",
        [{"n": 1, "ks": [5]}, {"n": 4, "ks": [1, 3, 5, 7]}],
    ),
    "a loop of a block": (
        """\
block Spp(ks: list, n = 2):
    concat:
        identity
        for k in ks:
            Same k
    for i in range(n):
        Scaled i + 1
        for k in ks:
            Scaled k

net N(n = 2):
    input 2, 8x8
    s: conv 1x1, 2
    a: Spp [1, 3]
    b: Spp [5, 3, 1], n
    Spp [7], 1
    gap
""",
        [{"n": 3}, {"n": 1}],
    ),
    "turns under conditions": (
        """\
net N(n = 3, wide = true, skip = 1):
    input 2, 8x8
    s: conv 1x1, 2
    for i in range(n):
        if wide:
            Scaled i + 1
        if i != skip:
            Padded i
        else:
            (scale i -> gelu)
        Scaled 5*i when i > 0
    if wide:
        for i in range(n):
            Scaled 2*i + 1
    else:
        for i in range(n):
            Scaled 3*i + 1
    gap
""",
        [{"n": 4, "wide": False}, {"n": 2, "skip": 0}, {"n": 1}],
    ),
    "lists that blocks are given": (
        """\
block Turned(n):
    xs = from x -> split n
    ys = fork:
        for i in range(n):
            from xs[i] -> Scaled i + 1
    zs = fork:
        for i in range(n):
            from ys[i] -> (scale 2*i + 1 -> tanh)
    from zs -> concat

net N(n = 2, c = 4):
    input 4, 8x8
    s: conv 1x1, n*c
    t: Turned n
    Turned n
    gap
""",
        [{"n": 3}, {"n": 1, "c": 3}],
    ),
    "outputs of turns": (
        """\
net N(n = 3):
    input 2, 8x8
    s: conv 1x1, 2
    for i in range(n):
        Scaled i + 1
        output side{i}: Scaled 2*i + 1 -> gap
    gap
""",
        [],
    ),
    "turns that read others": (
        """\
net N(n = 3):
    input 2, 8x8
    p0: conv 1x1, 2
    for i in range(1, n):
        p{i} = from p{i-1} -> Scaled i
    for i in range(n - 1, 0, -1):
        q{i} = from p{i}, p{i-1} -> Half i
    for i in range(1, n):
        from q{i}
        Scaled i
    gap
""",
        [{"n": 2}, {"n": 5}],
    ),
    "what blocks count": (
        """\
block Wider(k):
    concat:
        for j in range(k):
            Scaled j + 1
        identity

net N(n = 3):
    input 2, 8x8
    s: conv 1x1, 2
    for i in range(n):
        Wider i
        w = x.c
        Scaled w
    gap
""",
        [{"n": 1}, {"n": 4}],
    ),
    "several loops beside each other": (
        """\
net N(n = 2, ks: list = [0.5, 2.0]):
    input 2, 8x8
    s: conv 1x1, 2
    for k in ks:
        Scaled k
        for j in range(n):
            Scaled k + j
    for i in range(n):
        for k in ks:
            Scaled k - i
            for l, m in zip(ks, ks):
                Scaled l * m + k
    for k in [1, 3]:
        for l in range(k):
            Padded l
    gap
""",
        [{"n": 1, "ks": [0.7, 0.1, 3.0]}, {"n": 3, "ks": [0.2]}],
    ),
    "repetitions in turns": (
        """\
net N(n = 2, m = 2):
    input 2, 16x16
    s: conv 1x1, 2
    r = ramp(0.1, 0.4)
    for i in range(n):
        m * P r, /(2 if i == 0 else 1) first
        m * Scaled i + 1
        2 * (scale i + 1 -> tanh)
    gap
""",
        [{"n": 1, "m": 3}, {"n": 3, "m": 1}],
    ),
    "values that are called as turns are": (
        """\
net N(ks: list = [0.5, 2.0], k = 1):
    input 2, 8x8
    i: conv 1x1, 2
    j = from i -> tanh
    for w in ks:
        Scaled w + k
        m = from flow, j -> add
        from m
    gap
""",
        [{"ks": [0.2]}, {"ks": [0.7, 0.1, 3.0], "k": 2}],
    ),
}
"""Nets, and other arguments of their classes than those that are compiled."""


def net_of(name: str, **arguments: Any) -> Network:
    return api.loads(f"{BLOCKS}\n{NETS[name][0]}", "n.net", "n", set=arguments)


def plain(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return arguments as a class is given them: no list holds dimensions, but tuples."""
    return {
        name: [tuple(one) if isinstance(one, Dims) else one for one in value]
        if isinstance(value, list)
        else value
        for name, value in arguments.items()
    }


def rates_of(net: Network) -> list[float]:
    """Return the rates of a net's dropouts in the order of its graph, but for those that drop nothing."""
    rates = [float(node.op.p) for node in net.graph if hasattr(node.op, "p") and node.op.name == "dropout"]
    return [rate for rate in rates if rate]


def in_torch(net: Network, module: nn.Module) -> None:
    """Assert that a module gives the numbers of the graph, and drops at its rates."""
    found: list[float] = []
    for one in module.modules():
        if isinstance(one, nn.Dropout):
            one.register_forward_hook(lambda own, *_: found.append(own.p))  # type: ignore[arg-type]
    shapes = state_shapes(net)
    numbers = draw_state(shapes, seed=2)
    module = module.double()
    module.load_state_dict(numbers)
    x = [torch.randn(3, *shape, dtype=torch.float64) for shape in net.inputs.values()]
    with torch.no_grad():
        module.train()(*x)
    assert [rate for rate in found if rate] == pytest.approx(rates_of(net))
    module = without_dropout(module)
    for training in (False, True):
        with torch.no_grad():
            mine, theirs = by_name(module.train(training)(*x)), interpret(net, numbers, x, training)
        assert list(mine) == list(theirs)
        for name, value in theirs.items():
            torch.testing.assert_close(mine[name], value, rtol=1e-10, atol=1e-10)


def in_flax(net: Network, make: Any, arguments: Mapping[str, Any]) -> None:
    jax = pytest.importorskip("jax")
    from flax import nnx
    from netdsl_flax.run import channels_last, load

    with jax.enable_x64(True):
        module = make(**plain(arguments), rngs=nnx.Rngs(0), param_dtype=jax.numpy.float64)
        numbers = draw_state(state_shapes(net), seed=2)
        load(module, netdsl.convert_weights(net, {k: v.numpy() for k, v in numbers.items()}, "torch", "flax"))
        x = [torch.randn(3, *shape, dtype=torch.float64) for shape in net.inputs.values()]
        arrays = [t.numpy().transpose(channels_last(s)) for t, s in zip(x, net.inputs.values(), strict=True)]
        found: list[float] = []

        def noted(own: Any, value: Any, *args: Any, **options: Any) -> Any:
            found.append(own.rate)
            return value

        with patch.object(nnx.Dropout, "__call__", noted):
            module.train()
            for training in (True, False):
                if not training:
                    module.eval()
                mine = module(*arrays)
                theirs = list(interpret(net, numbers, x, training).values())
                for one, value in zip(mine if isinstance(mine, tuple) else (mine,), theirs, strict=True):
                    torch.testing.assert_close(
                        torch.tensor(one.tolist()).double(), value, rtol=1e-6, atol=1e-6
                    )
                if training:
                    assert [rate for rate in found if rate] == pytest.approx(rates_of(net))


def test_no_attribute_is_called_as_a_module_of_a_turn_may_be() -> None:
    text = """\
net N(n = 3, p1: float = 2.0):
    input 2, 8x8
    s: conv 1x1, 2
    for i in range(n):
        p{i}: conv 1x1, 2
        scale p1
"""
    net = api.loads(text, "n.net", "n")
    in_torch(net, execute(net.emit("torch"))["N"]())


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", NETS)
def test_every_turn_has_its_own_modules_though_none_has_a_weight_or_a_label(name: str, backend: str) -> None:
    make = execute(net_of(name).emit(backend))["N"]
    for arguments in ({}, *NETS[name][1]):
        net = net_of(name, **arguments)
        if backend == "torch":
            in_torch(net, make(**plain(arguments)))
        else:
            in_flax(net, make, arguments)


def test_modules_are_told_from_functions_while_turns_get_their_numbers() -> None:
    text = """\
block Drops(ks: list):
    add:
        identity
        for k in ks:
            dropout k -> relu

net N(ks: list = [0.1, 0.2]):
    input 2, 8x8
    a: Drops ks
    b: Drops [0.3, 0.1, 0.2]
"""
    net = api.loads(text, "n.net", "n")
    found = layers(net, find("torch"))
    assert [found[node.name] for node in net.graph if node.op.name == "dropout"] == [True] * 5
    assert [found[node.name] for node in net.graph if node.op.name == "relu"] == [False] * 5
    in_torch(net, execute(net.emit("torch"))["N"]())

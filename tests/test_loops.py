"""Loops of a spec in emitted modules: every turn has its own layers, outputs and numbers."""

from __future__ import annotations

import ast
import re
from typing import Any

import pytest
import torch
from interpreter import draw_state, interpret, state_shapes
from metamorphic import report, subjects_of
from netdsl_torch.run import by_name, without_dropout
from torch_oracles import execute

import netdsl
from netdsl import Network, api

BACKENDS = ["torch", "flax"]

LOOPS = {
    "a table with a column of ops that nobody calls": """\
table small(unit, k, c):
    conv, 3x3, 16
    dwconv, 5x5, 16

net N(rows: table):
    input 3, 8x8
    for i, row in enumerate(rows):
        conv{i}: conv row.k, row.c
    stem: conv small[0].k, rows[0].c
    gap

variant n = N(small)
""",
    "what flows after turns of a kind that what came in has not": """\
block Down(c, last):
    n = len(x)
    for i in range(n):
        t{i}: from x[i] -> conv 3x3, c
    for i in range(last):
        from t{i}

block Within(c):
    n = len(x)
    for i in range(n):
        t{i}: from x[i] -> conv 3x3, c
    part:
        for i in range(n):
            from t{i}
    more:
        for i in range(n - 1):
            from t{i} -> relu -> conv 1x1, c as p{i}
    for i in range(n):
        from t{i} -> conv 1x1, c as q{i}

net N:
    input 3, 8x8
    one: conv 3x3, 4
    two: conv 3x3, 4
    a: from one, two -> Down 4, 1
    b: from one, two, a -> Down 4, 2
    c: from one, b -> Within 4
    gap
""",
    "containers that are made without the channels that turns change": """\
block Twice(n):
    for i in range(n):
        s{i}: concat:
            identity
            m: relu -> relu
        t{i}: concat:
            identity
            m: relu -> maxpool 3x3, stride=1, pad=1
            u: conv 1x1, x.c

net N(n = 2):
    input 2, 8x8
    for i in range(n):
        s{i}: concat:
            identity
            m: relu -> relu
    one: conv 1x1, 2
    for i in range(n):
        t{i}: concat:
            identity
            m:
                for j in range(n):
                    concat:
                        relu
                        hswish
    two: conv 1x1, 2
    a: Twice n
    three: conv 1x1, 2
    b: Twice 1
    gap
""",
    "a block that ends with values of another kind if there is a turn": """\
block B(n):
    t = from x -> tokens
    for i in range(n):
        from t -> fc 4 as f{i}

block C(n):
    t = from x -> tokens
    c:
        for i in range(n):
            from t -> fc 4 as f{i}

net N(n = 2):
    input 3, 4x5
    stem: conv 1x1, 16
    a: B n
    b: from stem -> C n
    from a, b -> add
""",
    "a side to which only other turns of both loops come": """\
net N(depth = 3):
    input 3, 16x16
    for j in range(depth):
        for i in range(depth - j):
            if j == 0 and i == 0:
                from flow
            elif j == 0:
                from x{i-1}_0 -> maxpool 2x2, /2
            else:
                up = from x{i+1}_{j-1} -> upsample 2
                concat:
                    for k in range(j):
                        from x{i}_{k}
                    from up
            x{i}_{j}: conv 3x3, 4*2**i
    gap
""",
    "a variable that is a sum in some turns": """\
net N(n = 4):
    input 3, 8x8
    all = from flow
    for i in range(n):
        y = from all -> conv 3x3, 4 as conv{i}
        if i % 2 == 1:
            all = from all, y -> concat
    from all -> gap
""",
    "outputs": """\
net N(n = 2):
    input 3, 8x8
    for i in range(n):
        c{i}: conv 3x3, 4
        output side{i}: gap
    gap
""",
    "outputs in training": """\
net N(n = 2):
    input 3, 8x8
    for i in range(n):
        c{i}: conv 3x3, 4
        train output side{i}: gap
    gap
""",
    "an output of one turn": """\
net N(n = 3, deep = true):
    input 3, 8x8
    for i in range(n):
        c{i}: conv 3x3, 4
        if deep and i == 1:
            train output side: conv 1x1, 2 -> gap
    gap
""",
    "ops that the turn says": """\
net N(acts: list = [relu, tanh]):
    input 3, 8x8
    for i, a in enumerate(acts):
        c{i}: conv 3x3, 4
        a
        dropout 0.1 * i
        for b in acts:
            b
    for a in [sigmoid, relu]:
        a
    gap
""",
    "channels that a branch's loop ends with": """\
block SE:
    c: conv 1x1, x.c

block Wide:
    c: conv 1x1, 2*x.c

block Res(c: list, k: list):
    add:
        identity
        both: concat:
            b0: conv 1x1, c[0]
            b1:
                conv 1x1, c[0]
                for i in range(len(k)):
                    conv k[i], c[i + 1]

block B(att: op = none, n = 2):
    a: conv 3x3, 4
    both: concat:
        p: conv 1x1, 3
        q:
            att: att when att
            for i in range(n):
                g{i}: conv 1x1, i + 2
    last: conv 1x1, 3
    more:
        for i in range(n):
            u{i}: concat:
                identity
                v: att when att
                w: conv 1x1, i + 1
    z: conv 1x1, 5

net N(n = 2):
    input 4, 8x8
    a: Res [2, 2], [3x3]
    a2: Res [2, 3, 2], [3x3, 1x1]
    b1: B
    b2: B SE
    b3: B Wide, n=3
    for i in range(n):
        s{i}: concat:
            identity
            m:
                for j in range(i + 1):
                    conv 1x1, j + 2
    gap
""",
    "blocks that a variable names as emitted code would a module": """\
block Plain(c, stride = 1):
    conv: conv 3x3, c, /stride

block Wide(c, stride = 1):
    conv: conv 3x3, 2*c, /stride

table rows(unit, c, n):
    Plain, 4, 2
    Wide,  3, 1
    Plain, 2, 2

net N(rows: table = rows):
    input 3, 8x8
    features:
        for unit, c, n in rows:
            (n * unit c, /2 first)
    gap
""",
    "learned tensors": """\
net N(n = 2):
    input 4, 8x8
    tokens
    for i in range(n):
        weight q{i} [1, 4], batch=true, init=normal(std=0.02)
        from q{i}, flow -> concat axis="n"
    token 0
""",
    "parts, of which there may be one": """\
block Mix(n):
    parts = from x -> split n
    concat:
        for i in range(n):
            mix{i}: from parts[i] -> dwconv 3x3

block Kernels(kernels: list):
    parts = from x -> split len(kernels)
    concat:
        for i, k in enumerate(kernels):
            conv{i}: from parts[i] -> dwconv k

net N:
    input 4, 8x8
    a: Mix 1
    b: Mix 2
    c: Kernels [3x3]
    d: Kernels [3x3, 5x5]
    gap
""",
    "lists of arguments": """\
block Block(c):
    widths = [c, 2*c]
    for i, w in enumerate(widths):
        conv{i}: conv 1x1, w
    for i, w in enumerate([c, x.c]):
        last{i}: conv 1x1, w
    for i, row in enumerate([[c, 1], [2*c, 3]]):
        row{i}: conv 1x1, row[0] + row[1]

net N(c = 4):
    input 4, 8x8
    a: Block c
    b: Block 6
    widths = [c, 2*c]
    for i, w in enumerate(widths):
        conv{i}: conv 1x1, w
    gap
""",
    "a joint of all that a loop makes": """\
block Joined(n, c):
    for l in range(n):
        c{l}: conv 1x1, c + l
    fork:
        for O in range(n):
            e{O}: conv 1x1, 4
    add

net N(n = 2):
    input 4, 8x8
    a: Joined n, 4
    b: Joined 3, 5
    fork:
        for i in range(n):
            last{i}: conv 1x1, 4
    concat
    gap
""",
    "channels that every side ends with": """\
block Block(c, deep = true):
    if deep:
        for i, w in enumerate([c, 2*c]):
            conv{i}: conv 1x1, w
    else:
        for i, w in enumerate([c]):
            conv{i}: conv 1x1, w
    add:
        identity
        more: conv 1x1, 2*c if deep else c

net N(c = 4):
    input 4, 8x8
    a: Block c, false
    b: Block 6
    gap
""",
    "parts, as many as the turn": """\
net N:
    input 4, 8x8
    for i in range(1, 3):
        c{i}: conv 1x1, 4*i
        split i -> concat
    gap
""",
}


def net_of(text: str) -> Network:
    """Return the net N of a text."""
    return api.loads(text, "n.net", "n")


def assert_same(net: Network, backend: str) -> None:
    """Assert that the emitted module is the graph: its state, and what it gives."""
    made = execute(net.emit(backend))[net.name]
    (in_torch if backend == "torch" else in_flax)(net, made)


def in_torch(net: Network, made: Any) -> None:
    shapes = state_shapes(net)
    module = without_dropout(made().double())
    assert {key: tuple(tensor.shape) for key, tensor in module.state_dict().items()} == shapes
    numbers = draw_state(shapes, seed=2)
    module.load_state_dict(numbers)
    x = [torch.randn(3, *shape, dtype=torch.float64) for shape in net.inputs.values()]
    for training in (False, True):
        with torch.no_grad():
            mine, theirs = by_name(module.train(training)(*x)), interpret(net, numbers, x, training)
        assert list(mine) == list(theirs)
        for name, value in theirs.items():
            torch.testing.assert_close(mine[name], value, rtol=1e-10, atol=1e-10)


def in_flax(net: Network, made: Any) -> None:
    jax = pytest.importorskip("jax")
    from flax import nnx
    from netdsl_flax.run import channels_last, load, variables

    with jax.enable_x64(True):
        module = made(rngs=nnx.Rngs(0), param_dtype=jax.numpy.float64)
        numbers = draw_state(state_shapes(net), seed=2)
        state = netdsl.convert_weights(net, {k: v.numpy() for k, v in numbers.items()}, "torch", "flax")
        assert {key: variable.get_value().shape for key, variable in variables(module).items()} == {
            key: value.shape for key, value in state.items()
        }
        load(module, state)
        module.eval()
        x = [torch.randn(3, *shape, dtype=torch.float64) for shape in net.inputs.values()]
        mine = module(
            *(t.numpy().transpose(channels_last(s)) for t, s in zip(x, net.inputs.values(), strict=True))
        )
        theirs = list(interpret(net, numbers, x, False).values())
        for one, value in zip(mine if isinstance(mine, tuple) else (mine,), theirs, strict=False):
            torch.testing.assert_close(torch.tensor(one.tolist()).double(), value, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", LOOPS)
def test_a_loop_is_all_its_turns(name: str, backend: str) -> None:
    assert_same(net_of(LOOPS[name]), backend)


def test_a_learned_tensor_of_a_turn_is_registered_as_one() -> None:
    text = net_of(LOOPS["learned tensors"]).emit("torch")
    assert 'self.register_parameter(f"q{i}", nn.Parameter(torch.empty(1, 1, 4)))' in text
    assert 'nn.init.normal_(getattr(self, f"q{i}"), std=0.02)' in text


def test_a_layer_without_a_label_is_called_after_the_turn_that_makes_it_another_one() -> None:
    text = net_of(LOOPS["ops that the turn says"]).emit("torch")
    assert 'self.add_module(f"a{i}", a())' in text
    assert 'self.add_module(f"dropout{i}", nn.Dropout(0.1 * i))' in text
    assert "for i, _ in enumerate(ACTS):" in text.partition("def forward")[2]
    assert " as F\n\nACTS = [" in text


@pytest.mark.parametrize("backend", BACKENDS)
def test_no_variable_of_a_loop_is_hard_to_tell_from_a_number(backend: str) -> None:
    net = net_of(LOOPS["a joint of all that a loop makes"])
    assert not re.findall(r"\bfor [lOI] in ", net.emit(backend))


def test_no_variable_is_hard_to_tell_from_a_number() -> None:
    net = net_of(
        """\
block D(c) from low, high:
    l = from low -> conv 1x1, c as lp
    I = from high -> conv 1x1, c as hp
    O: from l, I -> add
    both: add:
        from O -> conv 1x1, c as u
        from l
    from l, I, l, both, O -> concat

block E from m, I2:
    l: from m -> conv 1x1, 4
    from l, I2 -> concat

net N:
    input 4, 8x8
    a: conv 3x3, 4
    l: from a, flow -> D 4 as d
    e: from a, l -> E
    from e, l -> concat
    gap
"""
    )
    for backend in BACKENDS:
        assert not re.findall(r"^ +(?:[lOI] = |[lOI]: |.*, [lOI] = )", net.emit(backend), re.MULTILINE)
        assert_same(net, backend)
    numbers = """\
net N(c = 4, n = 1):
    input 3, 8x8
    l, O = [n, 2*c]
    a: l * conv 3x3, O
    I = [4, 5, 6]
    for j in range(3):
        b{j}: conv 1x1, I[j]
    gap
"""
    for backend in BACKENDS:
        text = net_of(numbers).emit(backend)
        assert not re.findall(r"^ +[lOI] = ", text, re.MULTILINE)
        assert_same(net_of(numbers), backend)


LISTS = """\
block SE:
    c: conv 1x1, x.c

table rows(c, se, act):
    4, none, relu
    8, SE, relu6

table t1(c, n):
    4, bn
    6, ln

block B(c, se: op = none, act: op = relu, k: list = [3, 1]):
    a: conv 3x3, c, act=act
    se: se when se
    for i, m in enumerate(k):
        m{i}: conv 1x1, m

block L(c, n: op):
    conv: conv 1x1, c
    n as norm

block Lists(cs: list, more: list = [2]):
    n = len(cs) + len(more)
    for i, c in enumerate(cs):
        c{i}: conv 1x1, c
    e: conv 1x1, sum(more) + more[len(more) - 1] + n
    same: conv 1x1, 3 when more == [2]
    has: conv 1x1, 3 when more[0] == 2

net N(rows: table = rows, depths: list = [1, 2], last: table = t1, words: list = [[1, 2], [3]]):
    input 4, 8x8
    for i, r in enumerate(rows):
        b{i}: B r.c, r.se, r.act
    for i, r in enumerate(last):
        l{i}: L r.c, r.n
    a: Lists depths
    b: Lists depths, [1, 2]
    c: Lists [1, 3], depths
    for i, d in enumerate(words[0]):
        d{i}: conv 1x1, d
    gap

net M(depths: list):
    input 4, 8x8
    a: Lists depths, [1, 2]
    b: Lists [1]
    gap

variant one = N(depths=[3])
variant two = N(words=[[2], [4]])
variant three = M([2])
"""
"""Lists as defaults, and norms and blocks in lists."""


@pytest.mark.parametrize("backend", BACKENDS)
def test_no_default_is_a_list_or_a_call(backend: str) -> None:
    for name in ("n", "one", "two", "three"):
        net = api.loads(LISTS, "n.net", name)
        text = net.emit(backend)
        arguments = [a for n in ast.walk(ast.parse(text)) if isinstance(n, ast.arguments) for a in n.defaults]
        assert not [a for a in arguments if isinstance(a, ast.List)]
        assert not [a for one in arguments for a in ast.walk(one) if isinstance(a, ast.Call)]
        assert_same(net, backend)


ASKED = """\
block Plain(c, stride = 1):
    conv: conv 3x3, c, /stride

block Wide(c, stride = 1):
    conv: conv 3x3, 2*c, /stride

block Pair(c, n = 1):
    a: n * conv 3x3, c
    b: from x -> n * conv 1x1, 2*c
    return a, b

net N(unit: op = Plain, n = 2):
    input 4, 16x16
    first_: 2 * unit 3
    second: 2 * unit 4, /2 first
    for i in range(n):
        p{i}, q{i} = from flow -> Pair 3 + i, n as pair{i}
        from q{i}
    for i in range(n):
        last{i}: from p{i} -> conv 1x1, 2
    add:
        for i in range(n):
            from last{i}
    gap

variant plain = N()
variant wide = N(Wide)
"""
"""Classes that are asked for the channels of what they return, in turns."""


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_a_class_says_of_its_channels_goes_into_the_variable_that_turns_change(backend: str) -> None:
    for name in ("plain", "wide"):
        net = api.loads(ASKED, "n.net", name)
        made = net.emit(backend).partition("class N(")[2]
        assert re.findall(r"\bfor (.*):", made)[:2] == ["_ in range(2)", "i in range(2)"]
        assert made.count(".out_channels") == 3
        assert not re.findall(r"^ +channels\d* = channels\d*$", made, re.MULTILINE)
        assert_same(net, backend)


SUMS = """\
block Named(ks: list, c):
    total = 0
    for k in ks:
        total = total + k
        a{total}: conv 1x1, c

block Chosen(ks: list):
    total = 0
    for i, k in enumerate(ks):
        total = total + k
        relu when total > 3
        a{i}: conv 1x1, 4

block Chain(ks: list):
    total = 0
    body:
        for k in ks:
            total = total + k
            conv 3x3, 4 as a{total}
            relu when total > 3

block Widths(n, c):
    relu
    for i in range(n):
        a{i}: conv 3x3, c + i
        b{i}: conv 1x1, c when flow.c != c
        d{i}: relu when flow.c > 4

net N:
    input 4, 9x9
    a: Named [1, 2], 4
    b: Named [2, 3, 1], 5
    c: Chosen [1, 2, 3]
    d: Chosen [1, 3]
    e: Chain [1, 2]
    f: Chain [2, 2]
    g: Widths 2, 4
    h: Widths 3, 5
    total = 0
    for k in [1, 2]:
        total = total + k
        a{total}: conv 1x1, 4
        relu when total > 2
    gap
"""


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_turns_sum_up_names_and_decides_what_each_turn_has(backend: str) -> None:
    found = subjects_of(api.loads(SUMS, "sums.net"), backend)
    assert {"Named", "Chosen", "Chain", "Widths", "N"} <= found.keys()
    assert [fault for subject in found.values() for fault in report(subject, backend, 4).faults] == []


THEN = """
block Then(n):
    k = n + 1
    {before}: conv 1x1, 4
    for i in range(n):
        k = k + 1
        a{{i}}: conv 1x1, 4 + k
    {after}: conv 1x1, 4

net N:
    input 4, 9x9
    a: Then 2
    b: Then 3
    gap
"""


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_only_the_end_of_a_loop_knows_is_read_after_it_alone(backend: str) -> None:
    text = THEN.format(before="w", after="y{k}")
    subject = subjects_of(api.loads(text, "then.net"), backend)["Then"]
    assert report(subject, backend, 4).faults == []
    with pytest.raises(netdsl.NetError, match="`k` changes from turn to turn of a loop, and `forward` knows"):
        api.loads(THEN.format(before="y{k}", after="z")).emit(backend)

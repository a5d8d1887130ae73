"""Values that one side of a condition alone makes, in emitted modules: None where they are not there."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
import torch
from interpreter import draw_state, interpret, state_shapes
from metamorphic import report, subjects_of
from netdsl_torch.run import by_name
from test_emitted import mypy
from torch_oracles import execute

from netdsl import Network
from netdsl.api import read_text, recipes
from netdsl.backend import emit_family

SPECS = {
    "lines under a condition that begin elsewhere": """\
block Left(c, deep = true, wide = true):
    a: conv 3x3, c -> bn
    b: conv 1x1, c -> bn
    if deep:
        d: from a -> conv 3x3, c
    relu
    if wide:
        from a, flow -> concat -> conv 1x1, 2*c as e
    add:
        identity
        if wide != deep and not wide:
            f: from b -> conv 1x1, b.c
        else:
            identity
    if deep and wide:
        from b -> relu -> conv 3x3, c as g

net N(c = 8, deep = true, wide = true):
    input 3, 32x32
    one: Left c, deep, wide
    two: Left c, not deep, not wide
    gap
    fc: fc 10
variant n1 = N()
variant n2 = N(4, false, false)
variant n3 = N(4, true, false)
""",
    "branches of a fork of different kinds": """\
block B(c, squeeze = true):
    conv: conv 3x3, c
    fork:
        identity
        if squeeze:
            gap
        else:
            tanh
    mul

net N(c = 8, squeeze = true):
    input 3, 32x32
    a: B c, squeeze
    b: B c, not squeeze
    gap
    fc: fc 10
variant n1 = N()
variant n2 = N(4, false)
""",
    "the same condition": """\
block PSPHead(c, pool = true, deep = false):
    reduce: conv 1x1, c
    if pool:
        pooled: from reduce -> avgpool to=1x1 -> conv 1x1, c
    from reduce -> conv 3x3, c as mid -> bn as bn1 -> relu
    if pool:
        mul:
            identity
            from pooled
    conv 1x1, c as last

net N(c = 8, pool = true):
    input 3, 32x32
    a: PSPHead c, pool
    b: PSPHead 2*c, false
    gap
    fc: fc 10
variant n1 = N()
variant n2 = N(16, false)
""",
    "ops chosen in place": """\
block A(c, stride = 1):
    conv: conv 3x3, c, /stride -> bn -> relu

block B(c, stride = 1):
    conv: conv 1x1, c, /stride
    bn: bn

block C(c, stride = 1):
    conv: dwconv 3x3, /stride -> conv 1x1, c

net N(cs = [4, 8, 6], n = 2, deep = true):
    input 3, 16x16
    layer1: n * (A if deep else B) 8, /2 first
    layer2:
        n * (B if deep else A) 12
        (n - 1) * (C if n > 1 else B) 6
        2 * ((A if n > 1 else C) 6 -> (relu if deep else tanh))
    for i, c in enumerate(cs):
        level{i}: (A if i > 0 else B) c, stride=2 if i == 0 else 1
    (a: (A if deep else B) 4 | b: (C if n > 1 else A) 4) -> concat
    add:
        identity
        m: (A if deep and n > 1 else B) flow.c
    gap
    fc: fc 10
variant n1 = N()
variant n2 = N([5, 3], 1, false)
""",
    "conditions that follow from another": """\
net N(c = 8, k = 2):
    input 3, 32x32
    a: conv 3x3, c
    if k > 1:
        p: from a -> conv 1x1, c
        q: from a -> conv 3x3, c
    from a -> relu -> conv 3x3, c as mid
    if k > 1:
        add:
            identity
            from p
    relu -> conv 3x3, c as mid2
    if k > 2:
        add:
            identity
            from q
    if k == 2:
        mul:
            identity
            from q
    gap
    fc: fc 10
variant n1 = N()
variant n2 = N(8, 1)
variant n3 = N(8, 3)
""",
    "a condition within one": """\
block Nest(c, a = true, b = true):
    conv: conv 3x3, c
    if a:
        p: from conv -> conv 1x1, c
        if b:
            q: from p -> conv 1x1, c
    from conv -> relu -> conv 3x3, c as mid
    if a and b:
        add:
            identity
            from q
    if a:
        add:
            identity
            from p
        if b:
            mul:
                identity
                from q
net N(c = 8):
    input 3, 32x32
    a: Nest c
    b: Nest c, false
    c: Nest c, true, false
    gap
    fc: fc 10
variant n1 = N()
""",
    "several cases": """\
block Att(c, kind: str = "se"):
    conv: conv 3x3, c
    if kind == "se":
        w: from conv -> avgpool to=1x1 -> conv 1x1, c -> sigmoid
    elif kind == "spatial":
        m: from conv -> conv 1x1, c -> sigmoid
    from conv -> conv 3x3, c as conv2
    if kind == "se":
        mul:
            identity
            from w
    elif kind == "spatial":
        mul:
            identity
            from m
    relu
net N(c = 8):
    input 3, 32x32
    a: Att c
    b: Att c, "spatial"
    d: Att c, "none"
    gap
    fc: fc 10
variant n1 = N()
""",
    "values of both sides": """\
block B(c, radix = 2):
    conv: conv 3x3, c
    if radix > 1:
        a, b = from conv -> split 2
        w: from a -> conv 1x1, c
    else:
        w2: from conv -> conv 1x1, 2*c
    from conv -> conv 3x3, c as conv2
    if radix == 2:
        add:
            identity
            from w
    elif radix > 3:
        mul:
            identity
            from w
    if radix > 1:
        concat:
            identity
            from a
    else:
        concat:
            identity
            from w2
net N(c = 8):
    input 3, 32x32
    a: B c
    b: B c, 1
    d: B c, 3
    e: B c, 4
    gap
    fc: fc 10
variant n1 = N()
""",
    "one of several layers, or none": """\
block U(c, a = true, b = false):
    conv: conv 3x3, c
    if a:
        if b:
            t = from conv -> relu
        else:
            t = from conv -> silu
    else:
        if b:
            t = from conv -> sigmoid
    from conv -> conv 3x3, c as two
    if a:
        add:
            identity
            from t
    elif b:
        mul:
            identity
            from t
    if b:
        add:
            identity
            from t
    if a or b:
        mul:
            identity
            from t
net N(c = 8):
    input 3, 32x32
    p: U c
    q: U c, true, true
    r: U c, false, true
    s: U c, false, false
    gap
    fc: fc 10
variant n1 = N()
""",
    "bound anew under another condition": """\
block B(c, n = 1, k = 2):
    conv: conv 3x3, c
    if n > 0:
        g = from conv -> relu
    if k > 1:
        g = from conv -> silu
    from conv -> conv 3x3, c as conv2
    if n > 0 or k > 1:
        add:
            identity
            from g
    if n > 0 and k > 1:
        mul:
            identity
            from g
    if n > 3:
        add:
            identity
            from g
net N(c = 8):
    input 3, 32x32
    a: B c
    b: B c, 0
    d: B c, 0, 1
    e: B c, 1, 1
    gap
    fc: fc 10
variant n1 = N()
""",
    "read in a container": """\
net N(c = 8, pool = true, deep = true):
    input 3, 32x32
    a: conv 3x3, c
    if pool:
        p: from a -> avgpool to=1x1 -> conv 1x1, c
    from a -> relu
    neck:
        conv1: conv 1x1, c
        if pool:
            add:
                identity
                from p
        conv2: conv 3x3, c
    if pool:
        add:
            identity
            branch:
                conv3: conv 3x3, c
                mul:
                    identity
                    from p
    gap
    fc: fc 10
variant n1 = N()
variant n2 = N(8, false)
""",
    "read in containers in containers": """\
net N(c = 8, a = true, b = true):
    input 3, 32x32
    stem: conv 3x3, c
    if a:
        p: from stem -> conv 1x1, c
    body:
        one: conv 3x3, c
        inner:
            two: conv 3x3, c
            if a and b:
                add:
                    identity
                    from p
            three: conv 1x1, c
        if a:
            mul:
                identity
                from p
        four: conv 1x1, c
    if not a:
        q: from flow -> conv 1x1, c
    else:
        tail: conv 1x1, c
    last: conv 1x1, c
    if not a:
        add:
            identity
            from q
    elif b:
        add:
            identity
            from p
    gap
    fc: fc 10
variant n1 = N()
variant n2 = N(8, false)
variant n3 = N(8, true, false)
""",
    "read in loops": """\
net N(c = 8, cond = true, depth = 2):
    input 3, 32x32
    stem: conv 3x3, c
    if cond:
        scale: from stem -> avgpool to=1x1 -> conv 1x1, c
    from stem -> conv 3x3, c as body
    if cond:
        for i in range(depth):
            r{i}: conv 3x3, c -> relu
            mul:
                identity
                from scale
        tail: conv 1x1, c
    if cond and depth > 0:
        w: from flow -> conv 1x1, c
    last: conv 1x1, c
    if cond:
        for i in range(depth):
            add:
                identity
                from w
            q{i}: conv 1x1, c
        end: conv 1x1, c
    gap
    fc: fc 10
variant n1 = N()
variant n2 = N(8, false, 3)
variant n3 = N(8, true, 0)
""",
    "there since a loop has turns": """\
block B(c, n = 1, k = 1):
    conv: conv 3x3, c
    for i in range(n):
        if i == 0:
            z = from flow -> relu
        c{i}: conv 3x3, c
    from z -> conv 1x1, c as zz
    if n > 0:
        p: from conv -> conv 1x1, c
    body: conv 3x3, c
    add:
        identity
        from p
    if n >= 1:
        r: from conv -> conv 1x1, c
    from r -> relu
block D(c, k = 1):
    conv: conv 3x3, c
    if k > 0:
        p: from conv -> conv 1x1, c
    if k > 1:
        from p
    else:
        from conv
    for i in range(k):
        d{i}: conv 1x1, c
    for i in range(k):
        add:
            identity
            from p
        e{i}: conv 1x1, c
net N(c = 8):
    input 3, 32x32
    a: B c
    b: B c, 2, 2
    d: D c
    e: D c, 3
    f: D c, 0
    gap
    fc: fc 10
variant n1 = N()
""",
    "bound and read in a turn": """\
block Cell(c, n, skip = true, last = false):
    stem: conv 3x3, c
    for i in range(n):
        if skip and i > 0:
            g = from flow -> relu
        b{i}: conv 3x3, c
        if skip and i > 0:
            add:
                identity
                from g
        if i == n - 1 and last:
            e = from flow -> sigmoid
        t{i}: conv 1x1, c
        if i == n - 1 and last:
            mul:
                identity
                from e
net N(c = 8, n = 3):
    input 3, 32x32
    a: Cell c, n
    b: Cell c, n, false, true
    gap
    fc: fc 10
variant n1 = N()
""",
    "tuples": """\
net N(c = 8, n = 3, deep = true):
    input 3, 32x32
    stem: conv 3x3, c
    if deep:
        p, q = from stem -> (a1: conv 3x3, c | a2: conv 3x3, c)
        r = from p -> relu
    from stem -> conv 3x3, c as mid
    if deep:
        concat:
            from p
            from q
            identity
    body: conv 3x3, c
    for i in range(n):
        if deep:
            k{i}: from flow -> conv 1x1, c
            t = from flow -> relu
        b{i}: conv 3x3, c
        if deep:
            add:
                identity
                from t
    if deep:
        add:
            identity
            from r
    gap
    fc: fc 10
variant n1 = N()
variant n2 = N(4, 2, false)
""",
    "values of two kinds": """\
block Head(c, dense = false, flat = true):
    conv: conv 3x3, c
    if dense:
        h: from conv -> conv 1x1, c
    else:
        h = from conv -> gap
    from conv -> relu -> conv 3x3, c as mid
    if dense:
        add:
            identity
            from h
        gap
    else:
        gap
        add:
            identity
            from h
    out: fc c
net N(c = 8):
    input 3, 32x32
    conv0: conv 3x3, c
    a: from conv0 -> Head c
    b: from conv0 -> Head c, true
    concat:
        from a
        from b
    fc: fc 10
variant n1 = N()
""",
    "branches of a joint": """\
block Inc(c, pool = true):
    if pool:
        p: from x -> avgpool 3x3, /1, pad=1
    concat:
        from x -> conv 1x1, c as b1
        from x -> conv 3x3, c as b2
        if pool:
            from p -> conv 1x1, c as b3
net N(c = 8):
    input 3, 32x32
    a: Inc c
    b: Inc c, false
    gap
    fc: fc 10
variant n1 = N()
""",
    "an output, and maps": """\
net N(c = 8, depth = true, fuse = true):
    input rgb: 3, 32x32
    input aux: 1, 32x32
    r: from rgb -> conv 3x3, c
    if depth:
        d: from aux -> conv 3x3, c
    from r -> conv 3x3, c as r2 -> relu
    if depth and fuse:
        add:
            identity
            from d
    elif depth:
        concat:
            identity
            from d
    else:
        silu
    out: conv 1x1, 4
    if depth:
        output dep: from d -> conv 1x1, 1
variant n1 = N()
variant n2 = N(8, false)
variant n3 = N(8, true, false)
""",
    "a number that conditions change differently": """\
block Inner(c, deep = true, k = 2):
    if deep:
        v = c + 1
        w = v * k
        u = w + 1 if k > 2 else w + v
        v = u - 1
    else:
        if x.c > 4:
            v = 2*c
        w = v + k
        u = w
    a: conv 3x3, v
    b: conv 3x3, u
    if k == 1:
        v = v + 1
    elif k == 2:
        v = v + 2
    else:
        v = v + 3
    d: conv 1x1, v

net N(n = 2, deep = true):
    input 3, 16x16
    a: Inner 4
    b: Inner 5, false
    c: Inner 6, deep, n
    d: Inner 3, not deep, 1
    gap
variant n1 = N()
variant n2 = N(1, false)
variant n3 = N(3, false)
""",
    "a number that no other side has": """\
block Inner(c, deep = true, k = 2):
    if deep:
        v = c + 1
    else:
        if x.c > 4:
            v = 2*c
    if k == 1:
        v = v + 1
    elif k == 2:
        v = v + 2
    else:
        v = v + 3
    d: conv 1x1, v

net N(n = 2, deep = true):
    input 3, 16x16
    a: Inner 4
    b: Inner 5, false
    c: Inner 6, deep, n
    gap
variant n1 = N()
variant n2 = N(1, false)
""",
    "a child beside two conditions under which one is made": """\
block Joined(c, stride = 1):
    add:
        if stride > 1:
            proj: conv 1x1, c, /stride
        elif x.c != c:
            proj: conv 1x1, c, /stride
        else:
            part:
                identity
        conv: conv 3x3, c, /stride

block Cases(c, k = 1):
    if k == 1:
        same: conv 1x1, c
    elif k == 2:
        same: conv 1x1, c
    elif k == 3:
        same: conv 1x1, c
    else:
        own: conv 3x3, c
    if k == 1:
        more: bn
    elif k == 3:
        more: bn
    elif k == 2:
        rest: relu -> bn

net N(c = 8, k = 1):
    input 8, 16x16
    a: Joined c
    b: Joined 9, 2
    d: Joined 9
    e: Cases c, k
    f: Cases 5, k + 1
    gap
variant n1 = N()
variant n2 = N(5, 2)
variant n3 = N(7, 3)
""",
    "ints and floats in one list": """\
block VGG(cfg: list):
    for c in cfg:
        if c == 0:
            maxpool 2x2, /2
        else:
            conv 3x3, c

block Late(w: list, late = 1):
    for i in range(len(w)):
        c{i}: conv 3x3, w[i] when i >= late
        e{i}: bn when late > 1

block Sum(widths: list, deep = true):
    add:
        if deep:
            skip: conv 1x1, x.c
        for w in widths:
            if w > 4:
                b{w}: conv 1x1, w -> conv 1x1, x.c

net N(front: list = [0.0, 0, 2, 2, 0], late = 1, deep = true):
    input 4, 32x32
    f: VGG front
    a: Late [0.0, 5, 6], late
    b: Late [4, 5], late
    c: Sum [0.0, 6], deep
    d: Sum [5, 6], not deep
    gap
variant n1 = N()
variant n2 = N(late=2, deep=false)
""",
    "an int and a float by their places in a list": """\
rest = [4, 0.1]

block Read(p: list):
    conv: conv 3x3, p[0]
    leaky_relu p[1]

block Twice(p: list):
    first: conv 1x1, x.c
    a: Read p
    b: Read p

block Apart(p: list):
    c, slope = p
    conv 1x1, c
    leaky_relu slope

net N(q: list = [8, 0.0], r: list = [6, 4, 0.5]):
    input 3, 16x16
    a: Read rest
    b: Read q
    c: Twice q
    d: Twice [5, 0.5]
    e: Twice r[1:]
    f: Apart q
    conv: conv 1x1, r[0]
    gap
variant n1 = N()
variant n2 = N([7, 0.25])
""",
}


def nets_of(name: str) -> tuple[Network, ...]:
    """Return the nets of a text."""
    return tuple(map(Network, recipes(read_text(SPECS[name]), "", {}, {})))


def module(name: str, backend: str) -> str:
    """Return the module of all nets of a text."""
    (text,) = emit_family(nets_of(name), backend).values()
    return text


@pytest.mark.parametrize("name", SPECS)
def test_all_nets_are_what_the_spec_says(name: str) -> None:
    made = execute(module(name, "torch"))
    for net in nets_of(name):
        model, shapes = made[net.name]().double(), state_shapes(net)
        numbers = draw_state(shapes, seed=3)
        model.load_state_dict(numbers)
        x = [torch.randn(2, *shape, dtype=torch.float64) for shape in net.inputs.values()]
        for training in (False, True):
            with torch.no_grad():
                mine, theirs = by_name(model.train(training)(*x)), interpret(net, numbers, x, training)
            for key, value in theirs.items():
                torch.testing.assert_close(mine[key], value, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("backend", ["torch", pytest.param("flax", marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", SPECS)
def test_classes_are_right_for_other_arguments(name: str, backend: str) -> None:
    net, *_ = nets_of(name)
    for subject in subjects_of(net, backend, module(name, backend)).values():
        found = report(subject, backend, 6 if backend == "torch" else 2)
        assert found.legal
        assert not found.wrong


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        (
            "the same condition",
            ["pooled = self.pooled(reduce) if self.pooled is not None else None", "if pooled is not None:"],
        ),
        ("conditions that follow from another", ["if self.residual and q is not None:"]),
        ("a condition within one", ["if q is not None:", "if p is not None:"]),
        ("several cases", ["if w is not None:", "elif m is not None:"]),
        ("values of both sides", ["if a is not None:", "assert w2 is not None"]),
        ("read in a container", ["def forward(self, x0: Tensor, p: Tensor | None) -> Tensor:"]),
        ("read in loops", ["if self.tail is not None and scale is not None:"]),
        ("one of several layers, or none", ["t: Tensor | None = None"]),
    ],
)
def test_forward_asks_for_the_value(name: str, lines: list[str]) -> None:
    text = module(name, "torch")
    assert [line for line in lines if line not in text] == []


def test_items_of_lists_have_types_by_their_places() -> None:
    text = module("an int and a float by their places in a list", "torch")
    assert "q: tuple[int, float] = (8, 0.0), r: tuple[int, int, float] = (6, 4, 0.5)" in text
    assert text.count("p: tuple[int, float]") == 3
    whole = "block B(p: list):\n    for r in p:\n        dropout r\n    conv 1x1, p[0]\n"
    (net,) = recipes(read_text(f"{whole}net N:\n    input 3, 8x8\n    b: B [1, 0.5]\n"), "", {}, {})
    (text,) = emit_family((Network(net),), "torch").values()
    assert "p: list[float]" in text


def test_a_message_reads_what_is_bound_before_it() -> None:
    block = "block B(p: list):\n    a, b = p\n    conv 1x1, a\n    dropout b\n"
    (net,) = recipes(read_text(f"{block}net N:\n    input 3, 8x8\n    b: B [4, 0.5]\n"), "", {}, {})
    (text,) = emit_family((Network(net),), "flax").values()
    test, rest = text.index("if p[1] < 0"), text.index("a, b = p")
    assert test < rest
    assert "{p[1]}" in text[test:rest]


def test_modules_can_be_scripted() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        for name in ("the same condition", "read in a container", "values of both sides"):
            for net in nets_of(name):
                model, x = net.build("torch").eval(), torch.randn(2, *next(iter(net.inputs.values())))
                assert torch.equal(torch.jit.script(model)(x), model(x))


def test_maps_that_are_not_there_are_left_out() -> None:
    made = execute(module("an output, and maps", "torch:features"))
    for name in ("n1", "n2"):
        model, shapes = made[name](), [(3, 32, 32), (1, 32, 32)]
        maps = model.forward_features(*(torch.randn(2, *shape) for shape in shapes))
        assert [one.shape[1] for one in maps] == model.FEATURE_CHANNELS


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["torch", "torch:features", "torch:low_memory", "flax"])
def test_a_type_checker_finds_nothing(backend: str, tmp_path: Path) -> None:
    for number, name in enumerate(SPECS):
        (tmp_path / f"net{number}.py").write_text(module(name, backend))
    assert mypy(tmp_path) == ""

"""Expressions over arguments: parts of lists, filters, logarithms, membership, counts; returns under conditions."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from interpreter import draw_state, interpret, state_shapes
from metamorphic import report, subjects_of
from netdsl_torch.run import by_name, without_dropout
from test_emitted import IGNORED, RULES, mypy, tool
from torch_oracles import execute

from netdsl import Network, api
from netdsl.backend import emit_family
from netdsl.diagnostics import NetError

SPECS = {
    "a number in a list": """
net N(cs: list = [4, 6, 8], k = 2, c = 4):
    input 3, 10x7
    conv: conv 3x3, c -> relu
    e: conv 1x1, c when c in cs and k not in [3, 4]
    gap

variant one = N()
variant two = N([3, 5], 1, 3)
""",
    "a part in a loop": """
net N(cs: list = [4, 6, 8], k = 2, c = 4):
    input 3, 10x7
    for i, w in enumerate(cs[1:]):
        a{i}: conv 3x3, w
    gap

variant one = N()
variant two = N([3, 5], 1, 3)
""",
    "parts whose ends are arguments": """
net N(cs: list = [4, 6, 8], k = 2, c = 4):
    input 3, 10x7
    for w in cs[1:3]:
        b{w}: conv 3x3, w when w > 3
    for w in cs[k-1:]:
        d{w}: conv 3x3, w
    for w in cs[:-1]:
        e{w}: conv 3x3, w
    z: conv 3x3, cs[-2:][0]
    gap

variant one = N()
variant two = N([3, 5], 1, 3)
""",
    "the sum of a part": """
net N(cs: list = [4, 6, 8], k = 2, c = 4):
    input 3, 10x7
    h = cs[:len(cs)-1]
    a: conv 3x3, 1 + sum(h)
    gap

variant one = N()
variant two = N([3, 5], 1, 3)
""",
    "an item of a part": """
net N(cs: list = [4, 6, 8], k = 2, c = 4):
    input 3, 10x7
    b: conv 3x3, cs[1:][0]
    d: conv 3x3, max(cs[1:])
    gap

variant one = N()
variant two = N([3, 5], 1, 3)
""",
    "a list backwards": """
net N(cs: list = [4, 6, 8], k = 2, c = 4):
    input 3, 10x7
    for i, w in enumerate(reversed(cs)):
        a{i}: conv 3x3, w
    for i, (w, v) in enumerate(zip(reversed(cs), cs)):
        b{i}: conv 3x3, w -> conv 1x1, v
    gap

variant one = N()
variant two = N([3, 5], 1, 3)
""",
    "a repetition by an item": """
net N(cs: list = [4, 6, 8], k = 2, c = 4):
    input 3, 10x7
    for i, w in enumerate(cs):
        a{i}: cs[i] * conv 3x3, w
    b: cs[0] * conv 1x1, 3 -> relu
    gap

variant one = N()
variant two = N([3, 5], 1, 3)
""",
    "a repetition by an expression": """
net N(cs: list = [4, 6, 8], k = 2, c = 4):
    input 3, 10x7
    a: (k - 1) * conv 3x3, c -> (len(cs) if k > 1 else k) * conv 1x1, cs[0]
    (len(cs) - 1) * relu
    b: (k * (c - 3) - 1) * (conv 3x3, 5 -> relu)
    gap

variant one = N()
variant two = N([3, 5], 1, 4)
""",
    "logarithms": """
net N(cs: list = [4, 6, 8], k = 2, c = 4):
    input 3, 10x7
    a: conv 1x1, int(abs(log2(c) - 7)) -> conv 1x1, 1 + int(log(k + 1)) + abs(k - c)
    gap

variant one = N()
variant two = N([3, 5], 1, 3)
""",
    "items under a condition": """
net N(cs: list = [4, 6, 8], k = 2, c = 4):
    input 3, 10x7
    b = [w for w in cs if w > c]
    for i, w in enumerate(b):
        b{i}: conv 1x1, w
    e = [w for w in [3, 4, 5] if w != 4]
    f: conv 1x1, e[1]*c
    gap

variant one = N()
variant two = N([3, 5], 1, 3)
""",
    "a choice in a comprehension": """
net N(cs: list = [4, 6, 8], k = 2, c = 4):
    input 3, 10x7
    b = [w if w in [4, 5] else 2*w for w in cs]
    a: conv 1x1, sum(b)
    gap

variant one = N()
variant two = N([3, 5], 1, 3)
""",
    "parts of rows, ops and texts": """
table rows(k, c, n):
    3x3, 8, 1
    5x5, 12, 2
    3x3, 16, 2

block B(kernels: list, c, acts: list, tags: list):
    for i, k in enumerate(kernels[1:]):
        a{i}: conv k, c
    for i, a in enumerate(reversed(acts)):
        b{i}: conv 1x1, c, act=a
    if "x" in tags:
        t: conv 1x1, c
    for i, (w, k) in enumerate(zip(tags, kernels)):
        u{i}: conv k, c when w == "y"

net N(stages: list = [[1, 4], [2, 6], [1, 8]], c = 4):
    input 3, 10x7
    for i, (n, w) in enumerate(stages[1:]):
        s{i}: n * conv 3x3, w
    for (n, w), r in zip(stages, rows):
        t{w}: r.n * conv r.k, w
    for i, row in enumerate(rows[:2]):
        r{i}: rows[i].n * conv row.k, row.c
    b: B [3x3, 5x5], c, [relu, tanh], ["x", "y"]
    d: B [3x3, 1x1], 2*c, [relu, silu], ["z", "y"]
    gap
variant one = N()
variant two = N([[1, 3], [1, 2], [3, 5]], 6)
""",
    "returns under conditions": """
block B(c, deep = true, wide = false):
    a: conv 3x3, c
    if not deep:
        return a
    b: conv 3x3, c
    if wide:
        d: conv 1x1, 2*c
        return d
    e: conv 1x1, c
    return e

net N(deep = true, wide = false):
    input 3, 10x9
    a: B 4, deep=deep, wide=wide
    b: B 8, wide=wide
    gap
variant one = N()
variant two = N(false, true)
""",
    "returns of several values": """
block C(c, mode: int = 0):
    a: conv 3x3, c
    if mode == 1:
        return x
    elif mode == 2:
        relu
        return a
    b: conv 3x3, 2*c
    if mode == 3:
        return a
    d: conv 1x1, c

block Two(c, both = true):
    a: conv 3x3, c
    if both:
        return a, x
    b: conv 1x1, x.c
    return a, b

net M(mode = 0, both = true):
    input 3, 10x9
    a: C 4, mode
    b: C 5, 2
    d: C 5, mode
    two: Two 6, both
    p, q = from two
    from q -> conv 1x1, 6 as e
    from p, e -> add
    gap
variant r0 = M()
variant r1 = M(1, false)
variant r2 = M(2)
variant r3 = M(3)
""",
    "ops and dimensions in place, containers without labels": """
block A(c, stride = 1):
    conv 3x3, c, /stride

block B(c, stride = 1):
    conv 5x5, c, /stride -> relu

block Stack(c, n = 2, deep = true, k = 3):
    for i in range(n):
        level{i}: (A if deep else B) c*(i + 1), /2
    conv: conv dims(k, 1), c -> (relu if deep else tanh) -> conv dims(k, k + 2), x.c
    (gelu if k > 3 else relu if deep else silu)
    body:
        ():
            conv 1x1, c
            relu
        ():
            conv 3x3, c
            (bn if deep else relu)

net N(deep = true, k = 3, size: dims = 3x3):
    input 3, 32x24
    stem: conv size, 8
    a: Stack 4, deep=deep, k=k
    b: Stack 6, 1, k=5
    gap
    fc: fc 10

variant one = N()
variant two = N(false, 5)
""",
    "arguments that are chosen in place": """
block A(c):
    conv 3x3, c -> relu

block W(c, act: op = relu, norm: op = bn, deep = true):
    (p: (A if deep else conv(1x1)) c | (act if deep else tanh)) -> concat
    norm: (norm if deep else relu)
    rest: 2 * ((A if deep else conv(1x1)) c -> (act if c > 4 else silu))

net N(deep = true, act: op = relu, c = 4):
    input 3, 12x9
    a: W c, act=act, deep=deep
    b: W 6, deep=deep
    gap

variant one = N()
variant two = N(false, gelu, 3)
""",
    "loops in containers of a joint": """
net N(n = 2, deep = true):
    input 3, 16x16
    fork:
        a: conv 3x3, 8
        body:
            for i in range(n):
                c{i}: conv 3x3, 8
        rest:
            conv 3x3, 8
            if deep:
                relu
    concat
    add:
        p: conv 1x1, 8
        q:
            for i in range(n):
                conv 3x3, 8
                relu
    xs = fork:
        a1: conv 3x3, 8
        b1:
            for i in range(n):
                conv 3x3, 8
    from xs[1] -> gap
variant one = N()
variant two = N(3, false)
""",
    "the sum of a part on a side": """
block A(c):
    conv 3x3, c

block B(c, n: list = [1, 2], deep = true):
    a: conv 3x3, c
    c1: conv 1x1, sum(n[:1]) + 1
    if x.c > 3:
        return a
    else:
        gelu
    q = n[3:5]
    (n if n[0] > 1 else A)

net N(n: list = [1, 2], deep = true):
    input 3, 16x16
    stem: conv 3x3, 8
    z: B 8, n, deep
    a: conv 3x3, 8

variant v1 = N()
variant v2 = N([2, 3, 1], false)
""",
}
KEPT = {
    "a number in a list": "self, cs: Sequence[int] = (4, 6, 8), k: int = 2, c: int = 4",
    "parts whose ends are arguments": "self, cs: Sequence[int] = (4, 6, 8), k: int = 2",
    "a list backwards": "for i, (w, v) in enumerate(zip(cs[::-1], cs, strict=True)):",
    "a repetition by an item": "for _ in range(cs[i]):",
    "the sum of a part": "sum(cs[: len(cs) - 1])",
}
"""What is said for all arguments, and not once for each."""


def nets(text: str) -> list[Network]:
    """Return the nets of a text."""
    return list(map(Network, api.recipes(api.read_text(text), "", {}, {})))


@pytest.mark.parametrize("backend", ["torch", "flax"])
@pytest.mark.parametrize("text", SPECS.values(), ids=SPECS)
def test_classes_take_other_arguments(text: str, backend: str) -> None:
    found = nets(text)
    (family,) = emit_family(found, backend).values()
    for subject in subjects_of(found[0], backend, family).values():
        result = report(subject, backend, 6 if backend == "torch" else 1)
        assert result.legal
        assert not result.wrong
        assert not result.lax


@pytest.mark.parametrize("text", SPECS.values(), ids=SPECS)
def test_numbers(text: str) -> None:
    for net in nets(text):
        model = without_dropout(execute(net.emit("torch"))[net.name]().double())
        state = draw_state(state_shapes(net), seed=1)
        model.load_state_dict(state)
        (shape,) = net.inputs.values()
        x = torch.randn(2, *shape, generator=torch.Generator().manual_seed(7), dtype=torch.float64)
        for training in (False, True):
            ours = by_name(model.train(training)(x.clone()), next(iter(net.outputs)))
            for key, theirs in interpret(net, state, [x], training).items():
                torch.testing.assert_close(ours[key], theirs, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", KEPT)
def test_one_class_says_it(name: str) -> None:
    (text,) = emit_family(nets(SPECS[name]), "torch").values()
    assert KEPT[name] in text
    assert text.count("\nclass ") == 1


def test_dimensions_from_outside_are_tuples() -> None:
    text = "net N(k: dims = 3x3, size = 8x8, p: pad = 1):\n    input 3, size\n    conv k, 4, pad=p\n"
    net = api.loads(text, k=(5, 3), size=[16, 9], p=(2, 1))
    assert str(net.shapes["0"]) == "4x16x9"
    with pytest.raises(NetError, match="k must be dimensions"):
        api.loads(text, k=(5.0, 3))


@pytest.mark.parametrize("backend", ["torch", "flax"])
def test_style(backend: str, tmp_path: Path) -> None:
    for number, text in enumerate(SPECS.values()):
        (module,) = emit_family(nets(text), backend).values()
        (tmp_path / f"net{number}.py").write_text(module)
    assert mypy(tmp_path) == ""
    options = ("--isolated", "--no-cache", "--line-length", "100")
    rules = ("--target-version", "py311", "--select", RULES, "--ignore", IGNORED[backend])
    assert tool("ruff", "check", *options, *rules, tmp_path) == ""
    assert tool("ruff", "format", *options, "--diff", tmp_path) == ""

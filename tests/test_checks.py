"""What the spec refuses and frameworks do not, the constructor of an emitted class refuses, and says what it is."""

from __future__ import annotations

import inspect
import re
from typing import Any

import pytest
import torch
from metamorphic import subjects_of
from netdsl_flax.run import still
from spoiled import judged, misjudged
from torch_oracles import execute

import netdsl
from netdsl.api import loads
from netdsl.diagnostics import NetError
from netdsl.emission.labels import Labelled, Labels

SPEC = """\
block Turns(n, m = 2, c = 4):
    n * conv 3x3, 4
    more = m - 1
    more * conv 1x1, c

block Deep(n, c, deep = false):
    a: (n * conv 3x3, 4) when deep
    gap
    f: fc c when deep
    g: fc 3

block Depth(depth):
    n = (depth - 2) // 6
    n * conv 3x3, 4

block Up(steps, c = 4):
    conv 1x1, c -> upsample 2**steps

net N(k = 3, hidden = 5, classes = 3):
    input 4, 8x8
    a: Turns 2
    b: Turns 3, m=1
    c: Up 1
    d: Depth 8
    train output one: from b -> Deep 1, 3
    train output two: from c -> Deep 2, 4, true
    k * relu
    gap
    f: fc hidden -> relu
    g: fc classes
"""
WRONG = [
    ("Turns", {"n": -1}, "n must be at least 0"),
    ("Turns", {"n": 2, "m": 0}, "a repetition needs a whole number from 0, not -1"),
    ("Depth", {"depth": 1}, "a repetition needs a whole number from 0, not -1"),
    ("Deep", {"n": -1, "c": 3, "deep": True}, "a repetition needs a whole number from 0, not -1"),
    ("Deep", {"n": 1, "c": 0, "deep": True}, "fc needs at least 1 channel, not 0"),
    ("Up", {"steps": -1}, "scale must be at least 1, not 0.5"),
    ("N", {"k": -1}, "k must be at least 0, hidden and classes at least 1"),
    ("N", {"hidden": 0}, "k must be at least 0, hidden and classes at least 1"),
]


def make(names: dict[str, Any], name: str, given: dict[str, Any]) -> object:
    """Return a module of a class."""
    takes = inspect.signature(names[name].__init__).parameters
    return names[name](
        **({"in_channels": 4} if "in_channels" in takes else {}),
        **given,
        **({"rngs": still()} if "rngs" in takes else {}),
    )


@pytest.mark.parametrize("backend", ["torch", "flax"])
def test_what_the_spec_refuses_is_a_value_error(backend: str) -> None:
    names = execute(loads(SPEC).emit(backend))
    for name, given, said in WRONG:
        with pytest.raises(ValueError, match=f"^{said}$"):
            make(names, name, given)
    make(names, "Turns", {"n": 0, "m": 1})
    make(names, "Deep", {"n": -1, "c": 0})
    make(names, "N", {"k": 0, "hidden": 1})


def test_the_checks_of_a_chain_stand_before_it() -> None:
    text = """\
        if classes < 1:
            raise ValueError("classes must be at least 1")
        super().__init__(
"""
    assert text in netdsl.load("alexnet").emit()


LISTS = """\
net N(n: list, m: list, k: list, late = 1):
    input 4, 8x8
    n1, n2 = n
    a: n1 * conv 3x3, 4
    b: n2 * conv 3x3, 5
    for i in range(len(m)):
        times = m[i]
        c{i}: times * conv 1x1, 6
    for b, times in enumerate(k):
        d{b}: times * conv 1x1, 7
    gap

variant one = N([1, 2], [1], [0, 1])
variant two = N([0, 0], [], [])
"""


@pytest.mark.parametrize("backend", ["torch", "flax"])
def test_counts_in_lists_are_checked(backend: str) -> None:
    names = execute(loads(LISTS, net="one").emit(backend))
    for wrong in ({"n": [1, -1]}, {"n": [-1, 1]}, {"m": [0, -1]}, {"k": [-1]}):
        with pytest.raises(ValueError, match=r"^len\(n\) must be 2, m, k and n at least 0$"):
            make(names, "N", {"n": [1, 1], "m": [1], "k": [1]} | wrong)
    with pytest.raises(ValueError, match=r"^len\(n\) must be 2, m, k and n at least 0$"):
        make(names, "N", {"n": [1, 1, 1], "m": [1], "k": [1]})
    make(names, "N", {"n": [0, 0], "m": [], "k": []})


def test_a_message_names_what_the_constructor_has() -> None:
    text = """
block Grow(k):
    concat:
        identity
        f: conv 3x3, k

net N(k = 4, reduction = 0.5):
    input 3, 8x8
    conv1: conv 3x3, 2*k
    for b in range(2):
        block{b}:
            for i in range(2):
                layer{i}: Grow k
        if b < 1:
            trans{b}: conv 1x1, int(flow.c * reduction)
    gap
"""
    names = execute(loads(text).emit())
    with pytest.raises(ValueError, match=r"^conv needs at least 1 channel, not 0$"):
        names["N"](reduction=0.01)


@pytest.mark.parametrize("backend", ["torch", "flax"])
def test_a_count_from_0_may_have_to_be_more_on_a_side(backend: str) -> None:
    names = execute(
        loads(
            "block B(c, n = 2, deep = false):\n    if deep:\n        a: conv 3x3, n\n    body: n * conv 3x3, c\n"
            "net N(n = 2, deep = false):\n    input 3, 8x8\n    b: B 4, n, deep\n    gap\n"
        ).emit(backend)
    )
    given = {"c": 4, "n": 0}
    make(names, "B", given)
    with pytest.raises(ValueError, match=r"^conv needs at least 1 channel, not 0$"):
        make(names, "B", given | {"deep": True})


JUDGED = {
    "windows": """\
block Conv(k: dims, c, pad: pad = 1, apart = 1, stride = 1):
    conv k, c, /stride, pad=pad, dilation=apart
    conv 3x3, c, dilation=apart

block Other(m = 1, g = 2, t: dims = 2x2):
    a: dwconv 3x3, multiplier=m
    b: conv 1x1, 8
    c: gn groups=g
    shuffle g
    lrn g
    avgpool to=t
    d: upconv t, 8, /m

net N(k: dims = 3x3, apart = 1, stride: dims = 1x1):
    input 4, 32x32
    a: Conv 3x3, 4, pad=1, apart=2
    b: Conv 1x1, 5, pad=0, stride=2
    c: conv k, 4, /stride, pad=0, dilation=apart
    d: Other 1, 2
    e: Other 2, 4, 3x3
    gap
""",
    "divisors": """\
block Plain(c, g, m = 2):
    w = c // g
    conv 1x1, w * m
    conv 3x3, c when c % m == 0

block Guarded(c, g = 0):
    w = c // g if g != 0 else c
    conv 1x1, w
    v = c // g if g > 0 else 3
    conv 1x1, v

block Both(c, g):
    if g != 0 and c % g == 0:
        conv 1x1, c
    else:
        conv 3x3, c

block Either(c, g):
    early = g if c > 4 else 1
    conv 1x1, c, /early
    late = g // early
    conv 1x1, c, /late

block Turns(c, n):
    for i in range(n):
        w = c // (i + 1)
        a{i}: conv 1x1, c + w

net N(c = 8, q = 2):
    input 4, 9x9
    a: Plain c, 2, 2
    b: Plain 9, 3, 4
    c: Guarded c, 0
    d: Guarded 5, 2
    e: Both 4, 2
    f: Both 5, 2
    g: Either 5, 2
    h: Either 4, 1
    i: Turns 4, 2
    j: Turns 4, 3
    w = make_divisible(c * 0.5, q)
    k: conv 1x1, w
    gap
""",
    "lists": """\
net N(n: list, c: list = [4, 4, 4], v: list = [3, 4], d: list = [3, 4, 5, 6], ws: list = [3, 4], planes = 8):
    input 4, 9x9
    n1, n2, n3 = n
    a: n1 * conv 1x1, 4
    b: n2 * conv 1x1, 5
    b2: n3 * conv 1x1, planes
    for i in range(3):
        d{i}: conv 1x1, c[i]
    e: conv 1x1, v[1]
    f: conv 1x1, v[-1]
    for i, w in enumerate(v):
        g{i}: conv 1x1, d[i + 1]
    for i in range(len(d) - 1):
        h{i}: conv 1x1, d[i] + d[i + 1]
    widths = [4, 5, 6]
    for i in range(len(n)):
        j{i}: conv 1x1, widths[i]
    for i, w, many in enumerate(zip([4, 6, planes], n)):
        k{i}: many * conv 1x1, w
    for i, w in enumerate([planes, 2 * planes, planes // 2]):
        l{i}: conv 1x1, w
    for i in range(len(ws)):
        many = n[i]
        m{i}: many * conv 1x1, ws[i]
    gap

variant one = N([1, 2, 1], c=[4, 4, 4], v=[3, 4], d=[3, 4, 5, 6], ws=[3, 4])
variant two = N([1, 0, 1], c=[4, 5, 6], v=[3, 4], d=[3, 4, 5, 7], ws=[3, 4], planes=9)
""",
    "lists through which a loop runs at once": """\
block Pairs(c: list, k: list, deep = true):
    if deep:
        for i, w, d in enumerate(zip(c, k)):
            a{i}: conv 1x1, w + d
    conv: conv 1x1, 4

block Products(c: list, r: list, n):
    ws = [a * b for a, b in zip(c, r)]
    for i, w in enumerate(ws):
        a{i}: conv 1x1, w
    for i in range(n):
        for j, a, b in enumerate(zip(r, c)):
            b{i}_{j}: conv 1x1, a + b

block Turns(c: list, r: list, n):
    for i in range(n):
        for j, a, b in enumerate(zip(r, c)):
            b{i}_{j}: conv 1x1, a + b

block Rows(rows: list, k: list):
    for i, row in enumerate(rows):
        for j, a, b in enumerate(zip(row, k)):
            a{i}_{j}: conv 1x1, a + b

net N(c: list, k: list):
    input 4, 9x9
    a: Pairs c, k
    b: Pairs c, k, false
    c: Products c, [2, 3], 2
    d: Products [2], [3], 0
    e: Turns c, [2, 3], 2
    f: Turns c, [2, 3], 0
    g: Rows [[1, 2]], [2, 3]
    h: Rows [[1], [2]], [2]
    for i, w, d in enumerate(zip(c, k)):
        l{i}: conv 1x1, w + d
    gap

variant one = N([4, 5], [1, 3])
""",
    "lists that only turns read": """\
block Fixed(c: list, ratio: list, n):
    for i in range(n):
        a{i}: conv 1x1, c[i] * ratio[1]
    for i, w in enumerate(c):
        b{i}: conv 1x1, w * ratio[1]

block Plain(ratio: list, n):
    for i in range(n):
        a{i}: conv 1x1, ratio[1]
    n * relu

block Last(ratio: list, n, m):
    for i in range(n):
        for j in range(m):
            a{i}_{j}: conv 1x1, ratio[-2]
    d: m * conv 1x1, ratio[0]

block Always(ratio: list):
    for i in range(2):
        a{i}: conv 1x1, ratio[1]

net N(ratio: list, n):
    input 4, 9x9
    a: Fixed [4, 5], ratio, 2
    b: Fixed [], [], 0
    c: Plain ratio, 2
    d: Plain [], 0
    e: Last ratio, 1, 2
    f: Last [3], 0, 1
    g: Always ratio
    for i in range(n):
        h{i}: conv 1x1, ratio[1]
    gap

variant one = N([1, 2, 3], 2)
""",
    "computed lists": """\
block Widths(widths: list, c = 8):
    ws = [2 * w for w in widths]
    concat:
        for i, w in enumerate(ws):
            b{i}: conv 3x3, w
    last: conv 1x1, sum(ws) + ws[len(widths) - 1]
    parts = [c // w for w in widths]
    more: conv 1x1, parts[0] + 1

net N:
    input 4, 8x8
    a: Widths [3, 4]
    b: Widths [3, 4, 5], 9
    gap
""",
    "joints": """\
block Sum(n, c):
    add:
        for i in range(n):
            a{i}: conv 3x3, c

block All(n, c):
    concat:
        for i in range(n):
            a{i}: conv 3x3, c
            b{i}: conv 3x3, c

block Later(n, c):
    add:
        for i in range(1, n):
            a{i}: conv 3x3, c
            b{i}: conv 3x3, c

block Some(n, c, s = false):
    add:
        identity when s
        for i in range(n):
            a{i}: conv 3x3, c
            b{i}: conv 1x1, c

net N:
    input 4, 9x9
    a: Sum 1, 4
    b: Sum 2, 4
    c: All 1, 4
    d: All 3, 4
    e: Later 2, 4
    f: Later 3, 4
    g: Some 2, 4
    h: Some 3, 4, true
    gap
""",
    "repetitions": """\
block Six(depth, c = 4):
    n = depth // 6
    n * conv 3x3, c
    m = depth % 6
    m * conv 1x1, 5

block Turned(depth):
    n = depth // 6
    for i in range(3):
        a{i}: n * conv 3x3, 4
    m = depth - n
    m * relu

block Rounded(r: float, n):
    k = ceil(r * n)
    k * conv 1x1, 4
    deep = n // -3 + 9
    deep * conv 1x1, 5

net N(depth = 14, k = 2):
    input 4, 9x9
    a: Six 12, 5
    b: Six 19
    c: Turned 12
    d: Turned 18
    e: Rounded 0.5, 3
    f: Rounded 0.7, 4
    n = depth // 6
    g: n * conv 1x1, 4
    for i in range(2):
        o = depth // 5 - i
        h{i}: o * conv 1x1, 4
    gap
""",
    "labels": """\
block Row(widths: list):
    for w in widths:
        a{w}: conv 3x3, w

block Wide(widths: list):
    concat:
        for w in widths:
            b{w}: conv 3x3, w -> relu
            c{w}: conv 3x3, w when w > 4

block Values(widths: list):
    for w in widths:
        td{w}: conv 3x3, w
    concat:
        for w in widths:
            from td{w}

block Chain(widths: list, c):
    body:
        for w in widths:
            conv 3x3, c as a{w} -> relu as r{w}

block Two(k, m, c = 4):
    a{k}: conv 3x3, c
    a{m}: conv 1x1, c
    a7: conv 1x1, c when k != 5
    relu{m}: relu
    relu{k}: relu

block Pairs(n, m):
    for i in range(n):
        a{2*i}: conv 3x3, 4
        a{2*i + 1}: conv 3x3, 4
        b{i}{m}: conv 1x1, 4
    for i in range(n, m):
        c{i}: conv 3x3, 4
    for i in range(2, m):
        c{n - i + 4}: conv 1x1, 4
    a1_0: conv 3x3, 4

block Nested(n, m):
    for i in range(n):
        for j in range(m):
            a{i}{j}: conv 1x1, 4
            b{i + j}: relu
            c{i}_{j}: conv 1x1, 4
            d{m*i + j}: conv 1x1, 4
            e{i + j}: conv 1x1, 4

net N:
    input 4, 9x9
    a: Row [3, 4]
    b: Row [3, 4, 5]
    c: Wide [3, 4]
    d: Wide [3, 5, 6]
    e: Values [3, 4]
    f: Values [3, 4, 5]
    g: Chain [3, 4], 4
    h: Chain [3, 4, 5], 5
    i: Two 1, 2
    j: Two 5, 3, 5
    k: conv 1x1, 4
    l: Pairs 1, 2
    m: Pairs 1, 3
    n: Nested 1, 2
    o: Nested 2, 1
    gap
""",
    "branches of loops": """\
block Sum(n, c):
    add:
        identity
        for i in range(n):
            a{i}: conv 3x3, c

block Cat(n, c):
    concat:
        from x
        for i in range(n):
            a{i}: conv 3x3, c

block Cat2(n, c):
    concat:
        from x
        for i in range(1, n):
            a{i}: conv 3x3, c * i
        for i in range(n - 2):
            b{i}: conv 3x3, c

block Fork(n, c):
    fork:
        from x
        for i in range(n):
            a{i}: conv 3x3, c
    concat

block Grow(n, c):
    for i in range(n):
        concat:
            from flow
            a{i}: conv 3x3, c

net N:
    input 4, 9x9
    a: Sum 1, 4
    b: Sum 2, 4
    c: Cat 2, 3
    d: Cat 3, 2
    e: Cat2 3, 2
    f: Cat2 4, 2
    g: Fork 2, 4
    h: Fork 3, 5
    i: Grow 2, 4
    j: Grow 3, 4
    gap
""",
    "values of a list": """\
block Take(k):
    c: from x[k] -> conv 1x1, x[k].c

block Plain(k):
    from x[k]
    relu

block Last(k):
    for i in range(k):
        a{i}: from x[i] -> conv 1x1, 4
    from x[k - 1]

block Streams:
    fork:
        for i in range(len(x)):
            s{i}: from x[i] -> conv 1x1, x[i].c

net N(k = 1, m = 0, n = 2):
    input 4, 8x8
    a: conv 1x1, 4
    b: conv 1x1, 5
    from a, b -> Take 1 as t
    from a, b -> Take 0 as u
    from a, b -> Take k as v
    from a, b -> Plain 0 as w
    from a, b -> Plain 1 as w2
    from a, b -> Last 1 as y
    from a, b -> Last 2 as y2
    s: from a, b -> Streams
    from flow[m]
    e: conv 1x1, 4
    xs = from a, b -> Streams as s2
    from s[n - 1]
    gap
""",
    "probabilities": """\
block Drops(p = 0.1, q = 0.2, deep = false):
    a: dropout p
    b: dropout q when deep
    c: dropout q/2

block Some(p = 0.0):
    conv 3x3, 4 -> [dropout p when p > 0]

block Not(p = 0.0):
    conv 3x3, 4 -> [droppath p when p != 0.5]

block Turned(p: float, n):
    for i in range(n):
        a{i}: dropout p * i
    n * droppath p

block Path(c, p: float):
    add:
        from x
        main: conv 3x3, c -> droppath p

block Seen(p: float, heads = 2):
    a: attention heads, dropout=p

net N(p = 0.1, top = 0.2):
    input 4, 9x9
    a: Drops 0.2
    b: Drops 0.3, 0.4, true
    c: Some
    d: Some 0.1
    e: Not
    f: Not 0.3
    g: Turned 0.1, 2
    h: Turned 0.2, 3
    i: 2 * Path 4, ramp(0, top)
    j: Path 4, 0.1
    for i in range(2):
        k{i}: conv 1x1, 4 -> droppath ramp(0, p)
        l{i}: droppath ramp(0.1, 0.3)
    tokens
    s: Seen 0.1
    t: Seen 0.2, 4
    dropout p
""",
}
"""Blocks that divide, count, name and take lists apart, in ways in which an argument may not fit."""


@pytest.mark.parametrize("backend", ["torch", "flax"])
@pytest.mark.parametrize("name", JUDGED)
def test_a_constructor_refuses_what_the_spec_refuses_and_nothing_else(name: str, backend: str) -> None:
    variant = "one" if "variant one" in JUDGED[name] else None
    net = loads(JUDGED[name], f"{name}.net", net=variant)
    found = subjects_of(net, backend)
    assert [
        fault for subject in found.values() for fault in misjudged(subject, backend, judged(subject, 3))
    ] == []


TWICE = [
    ("Row", {"widths": [3, 4, 3]}, "a3"),
    ("Wide", {"widths": [3, 3]}, "b3"),
    ("Values", {"widths": [3, 4, 4]}, "td4"),
    ("Chain", {"widths": [3, 3], "c": 4}, "a3"),
    ("Two", {"k": 2, "m": 2}, "a2"),
    ("Two", {"k": 7, "m": 2}, "a7"),
    ("Two", {"k": 2, "m": 7}, "a7"),
    ("Pairs", {"n": 1, "m": 4}, "c3"),
    ("Nested", {"n": 2, "m": 2}, "e1"),
    ("Nested", {"n": 12, "m": 1}, ""),
    ("Pairs", {"n": 4, "m": 4}, ""),
    ("Two", {"k": 5, "m": 4}, ""),
]
"""Arguments of blocks, and the label that two modules have then."""


@pytest.mark.parametrize("backend", ["torch", "flax"])
@pytest.mark.parametrize(("name", "given", "label"), TWICE)
def test_two_modules_of_one_label_are_refused_where_the_spec_does(
    name: str, given: dict[str, Any], label: str, backend: str
) -> None:
    blocks = JUDGED["labels"].partition("net N:")[0]
    said = ", ".join(f"{key}={value}" for key, value in given.items())
    text = f"{blocks}\nnet M:\n    input 4, 9x9\n    b: {name} {said}\n"
    names = execute(loads(JUDGED["labels"]).emit(backend))
    if label:
        with pytest.raises(NetError, match=f"two modules of .* are called `{label}`"):
            loads(text)
        with pytest.raises(ValueError, match=f"^two modules are called {label}$"):
            make(names, name, given)
    else:
        loads(text)
        make(names, name, given)


SIDES = """\
block After(widths: list, deep = true):
    for w in widths:
        a{w}: conv 1x1, w
    if deep:
        a7: conv 1x1, 4

block Before(widths: list, deep = true):
    if deep:
        a7: conv 1x1, 4
    for w in widths:
        a{w}: conv 1x1, w
"""


@pytest.mark.parametrize("backend", ["torch", "flax"])
@pytest.mark.parametrize("name", ["After", "Before"])
def test_a_label_is_free_where_its_condition_is_false(name: str, backend: str) -> None:
    text = f"{SIDES}\nnet N:\n    input 4, 9x9\n    a: {name} [4, 5]\n    b: {name} [4], false\n    gap\n"
    names = execute(loads(text).emit(backend))
    with pytest.raises(ValueError, match=r"^two modules are called a7$"):
        make(names, name, {"widths": [4, 7]})
    made: Any = make(names, name, {"widths": [7, 5], "deep": False})
    assert made.a7 is not None
    if isinstance(made, torch.nn.Module):
        x = torch.randn(1, 4, 9, 9)
        torch.testing.assert_close(made(x), made.a5(made.a7(x)))


def test_labels_of_known_rows_are_not_checked() -> None:
    text = """
table rows(c, n):
    4, 1
    6, 1

net N(q = 3):
    input 4, 9x9
    for c, n in rows:
        c{c}: conv 1x1, c + q
    for i, c, n in enumerate(rows):
        e{c}: conv 1x1, c + q
    for i, row in enumerate(rows):
        r{i}: conv 1x1, row.c + q
    for c in [4, 5]:
        f{c}: conv 1x1, q
    gap
"""
    assert "two modules" not in loads(text).emit()


def test_labels_that_no_argument_makes_one_are_not_checked() -> None:
    checked = re.findall(r"two modules are called (.+)\"", loads(JUDGED["labels"]).emit())
    assert checked == [
        "a{w}",
        "b{w}",
        "c{w}",
        "td{w}",
        "a{w}",
        "a{m}",
        "a7",
        "c{n + 4 - i}",
        "a{i}{j}",
        "e{i + j}",
    ]


@pytest.mark.parametrize("backend", ["torch", "flax"])
def test_a_number_that_no_value_of_a_list_has_is_refused(backend: str) -> None:
    names = execute(loads(JUDGED["values of a list"]).emit(backend))
    for name in ("Take", "Plain"):
        takes = inspect.signature(names[name].__init__).parameters
        for wrong in (2, -3):
            with pytest.raises(ValueError, match=f"^channels has no value of number {wrong}$"):
                names[name](channels=[4, 5], k=wrong, **({"rngs": still()} if "rngs" in takes else {}))
    for given in ({"m": 2}, {"m": -3}, {"n": 3}, {"n": -2}):
        with pytest.raises(ValueError, match=r"^the list has no value of number -?\d$"):
            make(names, "N", given)
        with pytest.raises(NetError, match="E208"):
            loads(JUDGED["values of a list"], **given)


SAID = """\
net N(n: list, m: list, c: list):
    input 4, 9x9
    n1, n2 = n
    a: n1 * conv 1x1, 4
    b: n2 * conv 1x1, 5
    for i, w in zip(m, c):
        d{i}: conv 1x1, w
    for i in range(3):
        e{i}: conv 1x1, c[i]
    for i in range(len(n)):
        f{i}: conv 1x1, m[i]
    widths = [3, 4, 5]
    for i in range(len(c)):
        g{i}: conv 1x1, widths[i]
    gap

variant one = N([1, 1], [1, 2, 3], [4, 5, 6])
variant two = N([1, 0], [1, 2, 4], [4, 5, 7])
"""


@pytest.mark.parametrize("backend", ["torch", "flax"])
def test_a_list_of_another_length_is_named(backend: str) -> None:
    names = execute(loads(SAID, net="one").emit(backend))
    for given, said in (
        ({"n": [1, 1, 1]}, "n needs 2 values, not 3"),
        ({"n": []}, "n needs 2 values, not 0"),
        ({"c": [4, 5]}, "c needs at least 3 values, not 2"),
        ({"c": [4, 5, 6, 7]}, "c has at most 3 values, not 4"),
        ({"m": [1]}, "m needs at least 2 values, not 1"),
        ({"m": [1, 2]}, "c has 3 values and m 2"),
    ):
        with pytest.raises(ValueError, match=f"^{said}$"):
            make(names, "N", {"n": [1, 1], "m": [1, 2, 3], "c": [4, 5, 6]} | given)


@pytest.mark.parametrize("condition", ["x.h > 8 and deep", "deep and x.h > 8", "x.h > 8 and not shallow"])
def test_a_size_that_decides_nothing_is_not_refused(condition: str) -> None:
    text = f"""\
block Unit(c, deep = false, shallow = true):
    a: conv 3x3, c
    b: conv 3x3, c when {condition}

net N:
    input 3, 32x32
    a: Unit 4, true, false
    b: Unit 5, false, true
    gap
"""
    names = execute(loads(text).emit())
    small, large = torch.zeros(1, 3, 4, 4), torch.zeros(1, 3, 9, 9)
    for made_large in (False, True):
        plain = names["Unit"](3, large=made_large, c=4)
        assert plain(small).shape[2:] == (4, 4)
        assert plain(large).shape[2:] == (9, 9)
        deep = names["Unit"](
            3, large=made_large, c=4, **({"deep": True} if "deep" in condition else {"shallow": False})
        )
        assert deep(large if made_large else small).shape[1] == 4
        with pytest.raises((ValueError, AssertionError), match="large"):
            deep(small if made_large else large)


def test_one_of_two_sizes_is_always_held() -> None:
    text = """\
block Unit(c):
    a: conv 3x3, c
    b: conv 3x3, c when x.h > 8 and x.w > 8

net N:
    input 3, 32x32
    a: Unit 4
    maxpool 8x8, /8
    b: Unit 4
    gap
"""
    made = execute(loads(text).emit())["Unit"](3, large=False, large2=False, c=4)
    made(torch.zeros(1, 3, 4, 4))
    made(torch.zeros(1, 3, 4, 9))
    with pytest.raises((ValueError, AssertionError), match="large"):
        made(torch.zeros(1, 3, 9, 9))


COMPARED = """
block Unit(c, t):
    if x.h > t:
        down: conv 3x3, c, /2
    else:
        conv: conv 3x3, c

net N(least = 8, c = 4, deep = true):
    input 3, 32x32
    conv0: conv 3x3, c, /2
    if x.h > least:
        p: maxpool 2x2, /2
    if deep and 2*least <= x.h:
        q: conv 3x3, c
    u: Unit c, least
    if x.h == least:
        last: conv 3x3, 2*c
    flatten
    fc: fc 3
"""


@pytest.mark.parametrize("least", [4, 8, 16, 32, 64])
def test_a_size_is_compared_with_a_nets_argument(least: int) -> None:
    names = execute(loads(COMPARED).emit())
    for deep in (True, False):
        made = names["N"](least=least, deep=deep)
        alone = loads(COMPARED, least=least, deep=deep).build()
        x = torch.randn(2, 3, 32, 32)
        alone.load_state_dict(made.state_dict())
        torch.testing.assert_close(made(x), alone(x))
    larger = names["N"](least=40)
    with pytest.raises(AssertionError, match=r"^N: x.shape\[2\] > least is False here: resize the input$"):
        larger(torch.randn(2, 3, 64, 64))


@pytest.mark.parametrize("backend", ["torch", "flax"])
def test_channels_that_cannot_be_divided_into_groups_are_refused(backend: str) -> None:
    text = """\
block Grouped(c, groups):
    a: conv 1x1, c, groups=groups
    shuffle groups

block Halves(c):
    a, b = from x -> split 2
    c1: from b -> conv 1x1, c

block Heads(heads):
    a: attention heads

net N:
    input 12, 8x8
    a: Grouped 12, 3
    b: Grouped 24, 4
    c: Halves 12
    d: Halves 12
    tokens
    e: Heads 3
    f: Heads 4
"""
    names = execute(loads(text).emit(backend))
    rngs = {"rngs": still()} if backend == "flax" else {}
    ours = "10 channels cannot be divided into 4 groups"
    theirs = ours if backend == "flax" else "in_channels must be divisible by groups"
    for name, in_channels, given, said in (
        ("Grouped", 12, {"c": 10, "groups": 4}, ours),
        ("Grouped", 10, {"c": 12, "groups": 4}, theirs),
        ("Halves", 5, {"c": 4}, "5 channels cannot be divided into 2 parts"),
        ("Heads", 12, {"heads": 5}, "12 channels cannot be divided into 5 heads"),
    ):
        with pytest.raises(ValueError, match=f"^{said}$"):
            names[name](in_channels, **given, **rngs)
    names["Grouped"](12, c=8, groups=4, **rngs)


@pytest.mark.parametrize("backend", ["torch", "flax"])
def test_a_pool_is_padded_by_half_of_its_kernel_at_most(backend: str) -> None:
    text = """\
block Unit(k: dims, pad: pad = same):
    maxpool k, /1, pad=pad
    avgpool k, /1, pad=pad

net N:
    input 4, 32x32
    a: Unit 5x5, 2
    b: Unit 3x3
    gap
"""
    names = execute(loads(text).emit(backend))
    make(names, "Unit", {"k": (3, 3)})
    make(names, "Unit", {"k": (3, 5), "pad": (1, 2)})
    with pytest.raises(ValueError, match=r"^pad must be at most half of the kernel, not 2 of 3$"):
        make(names, "Unit", {"k": (3, 5), "pad": (2, 2)})


def test_checks_stand_before_what_has_nothing_to_do_with_them() -> None:
    text = """\
block B(c, width = 4, n = 1):
    add:
        proj: conv 1x1, c when x.c != c
        conv 3x3, c as other
    steps: n * conv 3x3, c, pad=1
    last: conv 3x3, c, groups=c//width

net N:
    input 8, 8x8
    a: B 8, n=2
    b: B 8, width=2
"""
    text = loads(text).emit()
    checks = [text.index(line) for line in ("if width == 0", "if c // width < 1")]
    assert checks == sorted(checks)
    assert checks[-1] < min(text.index("self.proj"), text.index("for _ in range(n)"))
    names = execute(text)
    names["B"](8, 16, width=2)
    for width, said in ((0, "width must not be 0"), (9, "groups must be at least 1, not 0")):
        with pytest.raises(ValueError, match=f"^{said}$"):
            names["B"](8, 8, width=width)


def test_a_loop_in_steps_asks_for_what_its_turns_read() -> None:
    text = """\
net N(n = 2, c = 8, w: list = [4, 5, 6]):
    input 8, 16x16
    for i in range(n-1, -1, -1):
        a{i}: conv 3x3, 8, groups=c
    b: conv 1x1, 4
    for j in range(0, n, 2):
        d{j}: conv 3x3, c
    for k in range(len(w)-2, -1, -1):
        e{k}: conv 3x3, w[k+1]
    for l in range(1, len(w), 2):
        f{l}: conv 3x3, w[l-1]
    head: conv 1x1, 3
"""
    emitted = loads(text).emit()
    assert "has no value" not in emitted
    assert "whole number from 0" not in emitted
    make = execute(emitted)["N"]
    for given in ({"n": 0, "c": 0}, {"n": 0, "c": -1, "w": []}, {"w": [3]}, {"n": 3, "w": [1, 2, 3, 4]}):
        model = make(**given)
        theirs = loads(text, **given)
        assert [(k, tuple(v.shape)) for k, v in model.state_dict().items()] == [
            (key, parameter.shape) for key, parameter in theirs.parameters.items()
        ]
    for given in ({"n": 1, "c": 0}, {"n": 2, "c": -1}, {"w": [0, 2]}, {"w": [2, 0, 2]}):
        with pytest.raises(ValueError, match=r"must be at least 1|needs at least 1 channel"):
            make(**given)
        with pytest.raises(NetError):
            loads(text, **given)


def test_what_must_be_there_is_no_condition_of_other_checks() -> None:
    text = """\
net N(widths: list = [8, 16], n = 1):
    input 3, 8x8
    stem: conv 3x3, widths[0]
    for i, w in enumerate(widths):
        c{i}: n * conv 3x3, w
    head: conv 1x1, widths[0]
"""
    emitted = loads(text).emit()
    assert "len(widths) > 0" not in emitted
    make = execute(emitted)["N"]
    for given in ({"widths": []}, {"n": -1}, {"widths": [4, 0]}):
        with pytest.raises(ValueError, match="at least"):
            make(**given)
    make(n=0)


@pytest.mark.parametrize("backend", ["torch", "flax"])
def test_values_by_numbers_and_branches_of_turns_are_there(backend: str) -> None:
    """What is read by a number that is known is one of some turn, and a joint has a branch."""
    text = """\
block Scale(scale, c):
    parts = from x -> split scale
    concat:
        for i in range(scale - 1):
            from parts[i] -> conv 3x3, c as conv{i}
        if scale > 1:
            from parts[scale-1]
    last: conv 1x1, c

block Maps(ns: list, m = 2, deep = true):
    for i, n in enumerate(ns):
        a{i}: conv 3x3, n
    for j in range(1, m + 2):
        b{j}: conv 1x1, 4
    y = from b2
    if deep:
        y = from a2 -> conv 1x1, 4 as side
    from y, b1 -> add

net N:
    input 8, 8x8
    a: Scale 2, 4
    b: Scale 4, 4
    c: Maps [3, 5, 7]
    d: Maps [3, 5], 3, false
    gap
"""
    names = execute(loads(text).emit(backend))
    for name, given, said in (
        ("Scale", {"scale": 1, "c": 4}, "concat needs at least 1 branch"),
        ("Maps", {"ns": [3, 5]}, "ns needs at least 3 values, not 2"),
        ("Maps", {"ns": [3, 5, 7], "m": 0}, "m must be at least 1, ns at least 1"),
    ):
        with pytest.raises(ValueError, match=f"^{said}$"):
            make(names, name, given)
    make(names, "Scale", {"scale": 2, "c": 4})
    make(names, "Maps", {"ns": [], "m": 1, "deep": False})


@pytest.mark.parametrize("backend", ["torch", "flax"])
def test_a_joint_has_a_branch_of_a_turn_or_of_a_condition(backend: str) -> None:
    """Of branches that stand in loops or under conditions one has to be there."""
    text = """\
block One(n, c, wide = true):
    add:
        for i in range(n):
            a{i}: conv 3x3, c
        if wide:
            b: conv 5x5, c
        if x.c == c:
            identity

block Two(n, m, some = true):
    mul:
        if some:
            for i in range(n):
                a{i}: conv 3x3, 4
        else:
            for i in range(m):
                if i % 2 == 0:
                    b{i}: conv 1x1, 4
        if n > 1:
            c: conv 1x1, 4

net N(n = 2, c = 4, wide = true, m = 1, some = true):
    input 4, 8x8
    a: One n, c, wide
    b: Two n, m, some
    gap
"""
    names = execute(loads(text).emit(backend))
    for name, given, said in (
        ("One", {"n": 0, "c": 8, "wide": False}, "add needs at least 1 branch"),
        ("Two", {"n": 0, "m": 1}, "mul needs at least 1 branch"),
        ("Two", {"n": 1, "m": 0, "some": False}, "mul needs at least 1 branch"),
    ):
        with pytest.raises(ValueError, match=f"^{said}$"):
            make(names, name, given)
    for n, c, wide in ((0, 8, True), (0, 4, False), (1, 8, False)):
        make(names, "One", {"n": n, "c": c, "wide": wide})
    for n, m, some in ((1, 0, True), (2, 0, False), (0, 1, False)):
        make(names, "Two", {"n": n, "m": m, "some": some})


@pytest.mark.parametrize("backend", ["torch", "flax"])
def test_turns_make_all_values_that_are_read_by_number(backend: str) -> None:
    """A turn of another loop, and what follows the loops, read what some turn has made."""
    text = """\
block Pyramid(c):
    n = len(x)
    for i in range(n):
        a{i} = from x[i] -> conv 1x1, c as lateral{i}
    td{n-1} = from a{n-1}
    for i in range(n - 2, -1, -1):
        add:
            from a{i}
            from td{i+1} -> upsample 2
        td{i} = from flow -> conv 3x3, c as out{i}
    fork:
        for i in range(n):
            from td{i}

block Counted(m, n, k, c = 4):
    for i in range(m):
        p{i}: conv 3x3, c
    for i in range(n):
        add:
            identity
            from p{i}
    if k > 0:
        from p{k}
    last: conv 1x1, c

block Down(n):
    for i in range(n, 0, -1):
        p{i}: conv 3x3, 4
    for i in range(1, n):
        from p{i} -> conv 3x3, 4 as q{i}
    from p1 -> conv 1x1, 4 as last

block Some(m, n):
    for i in range(m):
        p{i}: conv 3x3, 4
    for i in range(n):
        if i < 2:
            from p{i} -> conv 1x1, 4 as q{i}
    last: conv 1x1, 4

block Next(m, n):
    for i in range(m):
        p{i}: conv 3x3, 4
    for i in range(n):
        from p{i+1} -> conv 1x1, 4 as q{i}
    last: conv 1x1, 4

net N:
    input 4, 8x8
    one: conv 3x3, 4
    two: conv 3x3, 4, /2
    from one, two -> Pyramid 4 as pyramid
    from flow[0]
    a: Counted 3, 2, 1
    b: Down 3
    c: Some 2, 3
    d: Next 3, 2
    gap
"""
    names = execute(loads(text).emit(backend))
    make(names, "Pyramid", {"channels": [4], "c": 4})
    for name, given, said in (
        ("Pyramid", {"channels": [], "c": 4}, "channels needs at least 1 value, not 0"),
        ("Counted", {"m": 2, "n": 3, "k": 0}, r"n must be at most max\(m, 0\), not 3"),
        ("Counted", {"m": 2, "n": 2, "k": 2}, "no turn makes p2"),
        ("Down", {"n": 0}, "n must be at least 1, not 0"),
        ("Some", {"m": 1, "n": 2}, "no turn makes p1"),
        ("Next", {"m": 2, "n": 2}, "no turn makes p2"),
    ):
        with pytest.raises(ValueError, match=f"^{said}$"):
            make(names, name, given)
    for m, n, k in ((0, 0, 0), (-1, 0, 0), (2, -1, 1), (3, 3, 2)):
        make(names, "Counted", {"m": m, "n": n, "k": k})
    make(names, "Down", {"n": 1})
    for m, n in ((0, 0), (1, 1), (2, 5)):
        make(names, "Some", {"m": m, "n": n})
    for m, n in ((0, 0), (0, -1), (3, 2)):
        make(names, "Next", {"m": m, "n": n})


@pytest.mark.parametrize("backend", ["torch", "flax"])
def test_lists_need_what_turns_read(backend: str) -> None:
    """A turn without copies, or under a condition, reads no item, so that a list may be shorter."""
    text = """\
block Counted(n: list, w: list):
    for i, k in enumerate(n):
        stage{i}: k * conv 3x3, w[i]
    last: conv 1x1, 4

block Chain(m, w: list):
    for i in range(m):
        if i < 2:
            a{i}: conv 3x3, w[i]
    last: conv 1x1, 4

block Later(m, w: list, deep = true):
    for i in range(m):
        if i > 0:
            a{i}: conv 3x3, w[i]
        if deep:
            b{i}: conv 3x3, w[i]
    last: conv 1x1, 4

net N(m = 3, deep = true):
    input 4, 8x8
    a: Counted [2, 1], [4, 8]
    b: Counted [1, 0, 2], [4, 8, 8]
    c: Chain m, [4, 8, 8]
    d: Later m, [4, 8, 8], deep
    gap
"""
    names = execute(loads(text).emit(backend))
    for name, given, said in (
        ("Counted", {"n": [0, 1], "w": [4]}, "w has no value of number 1"),
        ("Chain", {"m": 2, "w": [4]}, "w has no value of number 1"),
        ("Later", {"m": 3, "w": [4, 8], "deep": False}, "w needs at least 3 values, not 2"),
        ("Later", {"m": 1, "w": []}, "w needs at least 1 values, not 0"),
    ):
        with pytest.raises(ValueError, match=f"^{said}$"):
            make(names, name, given)
    for n, w in (([1, 0], [4]), ([0], []), ([0, 2, 0], [4, 8])):
        make(names, "Counted", {"n": n, "w": w})
    for m, w in ((5, [4, 8]), (1, [4]), (0, [])):
        make(names, "Chain", {"m": m, "w": w})
    for m, w, deep in ((1, [], False), (0, [], True), (2, [4, 8], True)):
        make(names, "Later", {"m": m, "w": w, "deep": deep})


WHOLE = """
block Unit(cs: list):
    conv: conv 3x3, cs[0]
    for i, c in enumerate(cs):
        b{i}: conv 1x1, c

net N(cs: list = [8, 16, 4], c = 8):
    input 3, 16x16
    stem: Unit [c, c]
    for i in range(len(cs) - 1):
        b{i}: conv 3x3, cs[i]
    last: conv 3x3, cs[-1]
    gap

variant n1 = N()
variant n2 = N([4, 8])
"""


def test_all_values_of_a_list_are_said_at_once() -> None:
    text = loads(WHOLE, net="n1").emit()
    assert text.count("if len(cs) < 1 or min(cs) < 1:") == 2
    made = execute(text)
    for wrong in ([0, 8], [8, 0], [0], []):
        with pytest.raises(ValueError, match="cs"):
            made["N"](wrong)


@pytest.mark.parametrize(
    "line",
    [
        "    add:\n        identity\n        a#: conv 3x3, 4\n",
        "    for i in range(k):\n        a#_{i}: conv 3x3, k\n",
    ],
)
def test_labels_that_begin_differently_are_not_compared(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Time would grow with the square of a net's lines; what has no label has none to compare."""
    compared: list[object] = []
    coincide = Labels.coincide

    def counted(self: Labels, *pair: Labelled) -> bool:
        compared.append(pair)
        return coincide(self, *pair)

    monkeypatch.setattr(Labels, "coincide", counted)
    lines = "".join(line.replace("#", str(number)) for number in range(40))
    loads(f"net N(k = 2):\n    input 4, 9x9\n{lines}", net="n").emit()
    assert len(compared) < 40


def test_two_sizes_are_compared_once_whichever_comes_first() -> None:
    text = """\
block Parts(scales):
    w = ceil(x.c / scales)
    n = max(1, scales - 1)
    parts = from x -> split [w if i < scales - 1 else x.c - w*(scales - 1) for i in range(scales)]
    concat:
        for i in range(n):
            from parts[i] -> tanh
        from parts[n]
    y = from flow
    from y, x -> add
    from x, y -> add

net N(c = 6):
    input 4, 8x8
    s: conv 1x1, c
    a: Parts 2
    b: Parts 3
"""
    emitted = loads(text, "n.net", "n").emit("torch")
    assert emitted.count("branches with other channels cannot be joined") == 1

"""Small nets of forms that the zoo has not: every emitted module, alone and in a family, is the spec's net."""

from __future__ import annotations

import ast
import re
from functools import partial
from pathlib import Path

import interpreter
import jax
import metamorphic
import metamorphic_flax
import netdsl_flax
import numpy as np
import pytest
import torch
from flax import nnx
from flax_oracles import unfilled
from interpreter import draw_state, interpret, state_shapes
from jax import numpy as jnp
from metamorphic import ACTIVATIONS, Subject, drawn, report, subjects_of
from netdsl_flax.run import channels_last
from netdsl_flax.run import load as load_flax
from netdsl_torch.run import by_name, without_dropout
from proved import proving
from test_drop_in import scripted
from test_emitted import IGNORED, RULES, mypy, tool
from torch_oracles import execute

import netdsl
from netdsl.api import read_text, recipes
from netdsl.backend import emit_family
from netdsl.diagnostics import NetError
from netdsl.elaborate.values import NetDecl
from netdsl.network import Network

NETS = {
    "what is no sample's in joints of containers": """
block Shift(c):
    weight bias [c, 1, 4], init=normal(std=0.5)
    s: (from x, bias -> add) -> relu
    r = from bias -> relu
    from flow, r -> add

net N(c = 3):
    input 3, 1x4
    weight bias [c, 1, 4], init=normal(std=0.5)
    2 * (from x, bias -> add)
    z = from bias -> tanh
    out: (from flow, z -> add)
    a: Shift 3
    m: conv 1x1, 3
""",
    "a sum that is larger than its first branch in another call": """
block B(c, stride = 1):
    short = from x
    if stride > 1:
        short = from x -> avgpool 2x2, /2 -> conv 1x1, c as proj
    add:
        from x -> conv 3x3, c, /stride as conv
        from short

net N:
    input 8, 8x8
    a: B 8
    b: B 8, 8
    gap
""",
    "turns that make another kind of value": """
block Flat(n):
    for i in range(n):
        flatten
        fc 3 as f{i}

net N(n = 2):
    input 4, 3x2
    3 * (flatten)
    f: fc 3

net M(n = 2):
    input 4, 3x2
    a: Flat n

variant one = N()
variant two = M()
variant three = M(3)
""",
    "an argument that is made for the channels of what comes in": """
block Narrow(c = 4):
    a: conv 3x3, c
    b: conv 3x3, 8, /2
    if x.c > 4:
        from b, a

block Plain(c = 4):
    a: conv 3x3, c
    b: conv 3x3, 8, /2

net N(f: op):
    input 4, 10x11
    back: f
    gap

variant one = N(Narrow)
variant two = N(Plain)
""",
    "a chain of a stage that makes nothing": """
net N:
    input 6, 9x8
    fork:
        z:
            stage body:
                identity
        m:
            stage body:
                conv 3x3, 6 as conv
                identity
    add
    gap
""",
    "sizes that loops change beside a loop whose variable is called so": """
table rows(k, c):
    3x3, 4
    1x1, 6

net Trial(width = 5):
    input 3, 21x18
    block:
        for j, width in enumerate([2, 7], 1):
            c{j}: conv 3x3, width
        relu
    for j, row in enumerate(rows):
        row{j}: conv row.k, row.c, pad=0
    flatten
    layers:
        fc 4 as one -> tanh
        fc width as two

variant one = Trial()
variant two = Trial(7)
""",
    "a chain that a size decides, in a loop": """
block Down(c):
    conv 3x3, c, /2 -> relu
    maxpool 2x2, /2 when x.h > 8

net Deep(n = 2, size: dims = 32x32, classes = 5):
    input 3, size
    for i in range(n):
        d{i}: Down 8*2**i
    flatten
    fc: fc classes

variant deep2 = Deep(2, 33x40)
variant deep3 = Deep(3, 64x64)
""",
    "a container whose result has a name": """
block Unit(c):
    bn as layers
    d:
        y:
            d = from flow -> (conv 5x5, c -> relu) as stride
            inputs: from d -> 2 * relu -> conv 3x3, c
            norm = from flow
        channels = from flow
        for j in range(2):
            norm{j+1}: conv 1x3, c -> droppath ramp(0, 0.2)

net Trial:
    input 6, 23x11
    u: Unit 6
    gap
""",
    "a part that an argument leaves out": """
net N(head = 0):
    input 3, 8x8
    gap
    pre: fc head when head > 0
    fc: fc 4

variant one = N()
variant two = N(8)
""",
    "a part that a rate of zero leaves out": """
block X(c, se = 0.0):
    a: conv 1x1, c
    b: conv 3x3, int(se * c) when se > 0

net N:
    input 3, 8x8
    a: X 8, 0.0
    b: X 8, 0.5
    gap
""",
    "numbers that mean something else in a list": """
block VGG(cfg: list):
    for c in cfg:
        if c == 0:
            maxpool 2x2, /2
        else:
            conv 3x3, c

net N(front: list = [0, 0, 2, 2, 0]):
    input 4, 32x32
    f: VGG front
    gap
""",
    "a default of one of two ops": """
block X(c, large = true):
    pool = maxpool if large else avgpool
    default pool 2x2, /2
    conv 1x1, c
    pool

net N(large = true):
    input 4, 8x8
    a: X 8, large
    gap

variant one = N()
variant two = N(false)
""",
    "the largest of a list of one": """
net N(reductions: list = [1]):
    input 3, 8x8
    for i in range(3):
        c{i}: conv 1x1, 4 if max([1 if i == j else 0 for j in reductions]) == 1 else 8
    gap
""",
    "a condition in the first branch of a joint": """
block X(c, stride = 1):
    add:
        if stride != 1 or x.c != c:
            proj: conv 1x1, c, /stride
        else:
            identity
        f: conv 3x3, c, /stride

net N:
    input 3, 8x8
    a: X 8
    b: X 8, /2
    c: X 8
    gap
""",
    "ops in the columns of tables that are arguments": """
table rows(k, c, act):
    3x3, 2, relu
    1x1, 3, none

table more(k, c, act):
    3x3, 2, relu
    1x1, 3, gelu

block Rows(t: table):
    for j, row in enumerate(t):
        row{j}: conv row.k, row.c, act=row.act

block Pick(t: table, i):
    one: conv t[i].k, t[i].c, act=t[i].act

net N():
    input 3, 9x8
    a: Rows more
    b: Rows rows
    c: Pick more, 0
    d: Pick rows, 1
""",
    "sizes that are compared with turns, and with arguments": """
block Turns(n, c, limit = 8):
    for i in range(n):
        if x.h > limit * i:
            a{i}: conv 3x3, c
        else:
            b{i}: conv 1x1, 2*c

block Rows(ks: list, c):
    relu
    for i, k in enumerate(ks):
        if flow.h >= k:
            a{i}: conv 3x3, c
            maxpool 2x2, /2

net Blocks(n = 3, c = 4, limit = 8):
    input 3, 20x24
    a: Turns n, c, limit
    b: Turns 2, c, 20
    e: Rows [12, 6], c
    gap

net Loop(n = 3, c = 4, limit = 8):
    input 3, 20x24
    for i in range(n):
        if flow.h > limit * i:
            a{i}: conv 3x3, c
        else:
            b{i}: conv 1x1, 2*c
    gap

net Limit(c = 4, limit = 8):
    input 3, 20x24
    d: conv 3x3, c, /2
    if flow.h > limit:
        pool: maxpool 2x2, /2
        e: conv 3x3, c
    f: conv 1x1, c when flow.w > 2 * limit
    gap

variant blocks = Blocks()
variant loop = Loop()
variant limit = Limit()
variant limit2 = Limit(limit=2)
""",
    "a schedule in one loop": """
net N:
    input 3, 8x8
    for j in range(3):
        main{j+1}: conv 3x3, 5 -> droppath ramp(0, 0.2)
    gap
""",
    "a schedule in a container of a loop, in a branch": """
block Unit(c) from prev, cur:
    path: from cur -> conv 3x1, c
    add:
        d:
            for j in range(2):
                part{j+1}: conv 3x1, c -> droppath ramp(0, 0.2)
        identity
    post: conv 1x1, c -> relu
    from flow, path -> concat

net N:
    input 4, 14x12
    u: from flow, flow -> Unit 4
    gap
""",
    "an output beside a flow whose type is not known": """
net N:
    input 4, 6x8
    out, y = from flow -> split 2
    from out, y -> concat
    output path: conv 1x1, 3 -> relu
""",
    "a stage that is one repetition": """
net N(act: op = relu):
    input 4, 6x13
    body:
        stage 1: 2 * (conv 1x1, 4 -> act)
""",
    "a count of turns that a container computes": """
block B(c, scale = 4):
    width = c // scale
    body:
        nums = 1 if scale == 1 else scale - 1
        for i in range(nums):
            conv{i}: conv 3x3, width

net N(scale = 4):
    input 3, 8x8
    b: B 8, scale
    gap

variant one = N(1)
variant four = N()
""",
    "two sides that make the same": """
block B(c, stride = 1):
    short = from x
    if stride > 1:
        short = from x -> avgpool 2x2, /2 -> conv 1x1, c as proj
    else:
        if x.c != c:
            short = from x -> conv 1x1, c as proj
    add:
        from x -> conv 3x3, c, /stride as conv
        from short

block D(c, stride = 1):
    add:
        if stride > 1:
            proj: conv 1x1, c, /stride
        elif x.c != c:
            proj: conv 1x1, c, /stride
        else:
            identity
        conv: conv 3x3, c, /stride

net N:
    input 3, 8x8
    a: B 8
    b: B 8, 2
    c: B 8
    d: D 8
    e: D 9
    f: D 9, 2
    gap
""",
    "a container that hands through what it reads, under a condition": """
net N(depth = 3):
    input 5, 9x14
    out: ln eps=0.001
    mul:
        y: gn 5
        from x
        if depth > 4:
            side:
                name = from flow -> bn as z
        sigmoid

variant small = N()
variant large = N(5)
""",
    "a module that nobody reads": """
net N:
    input 3, 8x8
    a: conv 3x3, 4
    e = from flow -> conv 1x1, 3 as b -> relu
    from a -> gap
""",
    "an initialiser in a chain of statements": """
net N:
    input 4, 6x9
    conv:
        ln
        2 * dropout 0.0 -> 2 * bn -> dwconv 3x3, pad=tf, init=xavier_normal -> conv 1x1, 2
    gap
""",
    "a container that an argument leaves empty, and nobody reads": """
net N(depth = 2):
    input 4, 5x5
    fork:
        c1: conv 1x1, 4
        value: [relu when depth > 4]
    q: from flow[0] -> conv 1x1, 5
""",
    "a layer on a vector under a condition": """
net N(hidden = 0):
    input 3, 8x8
    flatten
    if hidden > 0:
        w = 2*hidden + 1
        fc1: fc w
        fc2: fc hidden
        relu
    fc: fc 10

variant a = N()
variant b = N(4)
""",
    "outputs under conditions of their own": """
net Out(n: list, aux = true, feat = false):
    input 3, 16x16
    for i, k in enumerate(n):
        s{i}: k * conv 3x3, 4*(i + 1) -> relu
    train output aux_: from s0 -> gap -> fc 2 as auxfc when aux
    output mid: from flow when feat
    gap
    fc: fc 3

variant one = Out([1, 2])
variant two = Out([1], false, true)
variant three = Out([2, 2], true, true)
variant four = Out([1], false)
""",
    "what was there before a condition is read after it": """
net N(w: list, late = 1):
    input 3, 8x8
    for i in range(len(w)):
        y = from flow
        c{i}: conv 3x3, w[i] when i >= late
        h = from flow
        add:
            identity
            from y -> conv 1x1, h.c as d{i}
        e{i}: bn when late > 1
    gap

variant one = N([4, 5, 6])
variant two = N([4, 5], 0)
variant three = N([4, 5, 6, 7], 2)
""",
    "lists that are unpacked and looked up, layers that are or are not there": """
block B(n1, n2, c, deep = false):
    hidden = c * 2
    [conv 1x1, hidden as pre when hidden != x.c]
    conv 3x3, hidden as mid -> bn as bn -> relu
    [conv 1x1, c as post when deep]
    conv 1x1, c as last
net N(depths: list, norm: op = none, deep = false):
    input 3, 8x8
    widths = [4, 6, 8]
    n1, n2, n3 = depths
    stem: n1 * conv 3x3, widths[0], norm=norm
    for i in range(3):
        n = depths[i]
        s{i}: n * conv 3x3, widths[i], norm=norm -> B 1, 2, widths[i], deep=deep -> [conv 1x1, widths[0] when deep]
    k = widths[1]
    last: n3 * conv 1x1, k -> n2 * bn
    gap
variant one = N([1, 2, 1])
variant two = N([0, 1, 2], bn, true)
variant three = N([3, 0, 0], gn(groups=2))
""",
    "numbers that both sides of a condition compute": """
block Inner(c, deep = true, k = 2):
    if deep:
        v = c + 1
        w = v * k
        if k > 2:
            u = w + 1
        else:
            u = w + v
        v = u - 1
    else:
        v = 2*c
        w = v + k
        u = w
    a: conv 3x3, v
    b: conv 3x3, w
    c: conv 3x3, u
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
    if deep:
        v = n + 1
        d: Inner v
    else:
        v = n + 3
        d: Inner v, k=3
    e: conv 3x3, v
    gap

variant one = N()
variant two = N(1, false)
""",
    "what a block with a loop returns is as large as a learned tensor": """
block Tokenizer(cs: list, pool = true):
    for i, c in enumerate(cs):
        conv{i}: conv 3x3, c
        maxpool 3x3, /2, pad=1 when pool

block Mlp(ratio: float):
    add:
        identity
        fc int(x.c * ratio) as fc1 -> gelu -> fc x.c as fc2

net N(cs: list, depth = 1, first_ = true, pos = true):
    input 3, 16x16
    tokenizer: Tokenizer cs
    t = from flow -> tokens
    from t
    if first_:
        weight token_ [1, flow.c], batch=true, init=normal(0, 1)
        from token_, t -> concat axis="n"
    if pos:
        weight pos [flow.n, flow.c], batch=true, init=normal(0, 1)
        (identity | from pos) -> add
    blocks: depth * Mlp 2.0
    if first_:
        token 0
    else:
        fc 1 as pool
        flatten
    fc: fc 5

variant one = N([4, 6])
variant two = N([4], 2, false)
variant three = N([4, 8, 6], 0, pos=false)
""",
    "levels that a decoder adds, whose sizes are those after loops in a loop": """
block B(c, stride = 1):
    conv: conv 3x3, c, /stride

block OSA(c, n = 2):
    y0 = from x
    for i in range(n):
        y{i+1}: from y{i} -> conv 3x3, c as conv{i}
    concat:
        for i in range(n + 1):
            from y{i}
    last: conv 1x1, c
    add:
        identity
        if x.c == c:
            from x

net N(n: list = [1, 1, 2], w = 4):
    input 3, 32x32
    for i, k in enumerate(n):
        layer{i}: k * B w, /2 first when k > 0
    for i in range(len(n) - 1, 0, -1):
        d{i}: upconv 2x2, w, /2
        add:
            identity
            from layer{i-1}
        osa{i}: OSA w, i
    gap

variant one = N()
variant two = N([1, 1], 5)
""",
    "a loop that ends with half of what a loop in it made": """
block Dense:
    concat:
        identity
        conv: conv 3x3, 3

block Half:
    conv: conv 1x1, x.c//2

net N:
    input 8, 12x12
    for j, n in enumerate([1, 2, 3], 1):
        dense{j}: n * Dense
        half{j}: Half
    last: 2 * Dense
    gap

variant one = N()
""",
    "a table of many columns, and blocks in a list": """
block Sep(c, k: dims = 3x3, stride = 1, e = 1, act: op = relu):
    dw: dwconv k, /stride -> act
    pw: conv 1x1, c

block IR(c, k: dims = 3x3, stride = 1, e = 6, act: op = relu):
    f: conv 1x1, x.c*e -> act -> dwconv k, /stride -> act -> conv 1x1, c

block Skip(c, k: dims = 3x3, stride = 1, e = 1, act: op = relu):
    pool: avgpool 2x2, /stride when stride > 1
    proj: conv 1x1, c when x.c != c

block Local(ratio = 2.0):
    expand: conv 1x1, int(x.c * ratio)

block Gate(ratio = 2.0):
    parts = from x -> conv 1x1, 2*int(x.c * ratio) as fc1 -> split 2
    from parts -> mul

table a1(unit, k, e, c, n, s, act):
    Sep, 3x3, 1, 8, 1, 1, relu
    IR, 5x5, 3, 6, 2, 2, hswish
    Skip, 3x3, 1, 10, 1, 1, none

table b1(unit, k, e, c, n, s, act):
    IR, 3x5, 2, 8, 1, 2, silu
    Skip, 3x3, 1, 6, 2, 2, none

net N(t: table, kinds: list, width = 1.0):
    input 3, 16x16
    for i, row in enumerate(t):
        unit, n = [row.unit, row.n]
        s{i}: n * unit int(row.c * width), row.k, /row.s first, row.e
    for i, unit in enumerate(kinds):
        last{i}: unit 1.0
    gap

variant one = N(a1, [Local, Gate])
variant two = N(b1, [Gate, Gate], 1.5)
""",
    "several lists at once": """
table rows(n, c):
    1, 4
    2, 6

block Seq(ns: list, cs: list, scale = 2):
    total = sum([a * b for a, b in zip(ns, cs)])
    for i, n, c in enumerate(zip(ns, cs)):
        s{i}: n * conv 3x3, c * scale
    last: conv 1x1, total

net N(ns: list, cs: list, drop = 0.1, t: table = rows):
    input 3, 16x16
    a: Seq ns, cs
    ws = [2*c for c in cs]
    for i, nw in enumerate(zip(ns, ws)):
        n, w = nw
        for j in range(n):
            b{i}_{j}: conv 3x3, w
            droppath ramp(0, drop)
    features:
        for n, c in zip(ns, cs):
            (n * conv 3x3, c)
    for k, n, c in enumerate(t):
        for j in range(n):
            d{k}_{j}: conv 3x3, c
    gap

variant one = N([1, 2], [3, 4])
variant two = N([2, 0, 1], [3, 5, 6], 0.2)
""",
    "a ladder of conditions": """
block Down(c, kind = 0, r = 2):
    if kind == 0:
        conv: conv 3x3, c, /r
    elif kind == 1:
        avgpool 2x2, /r
        conv: conv 1x1, c
    elif kind == 2 and r == 2:
        concat:
            maxpool 2x2, /2
            conv: conv 2x2, max(c - x.c, 1), /2, pad=0
    else:
        conv: dwconv 3x3, /r
        proj: conv 1x1, c
    bn: bn

net N(c = 8, kinds: list = [0, 1, 2], r = 2):
    input 3, 32x32
    for i, kind in enumerate(kinds):
        w = c * (i + 1) if kind != 1 else c + i
        d{i}: Down w, kind, r
    gap

variant one = N()
variant two = N(4, [3, 0])
variant three = N(6, [1], 2)
""",
    "a side of a ladder that cannot be built here": """
block U(kind = 0, c = 4):
    if kind == 0:
        a: conv 3x3, c
    elif kind == 1:
        b: conv 9x9, c, pad=0
    else:
        d: conv 5x5, c
        e: conv 3x3, c

block V(kind = 0, c = 4):
    f:
        if kind == 0:
            conv 3x3, c
        elif kind == 1:
            conv 9x9, c, pad=0
        else:
            conv 5x5, c
            conv 3x3, c

net N(k = 0):
    input 3, 8x8
    u: U k
    v: U 2
    w: V k
    v2: V 2
    gap

variant one = N()
variant two = N(2)
""",
    "names that emitted code likes": """
block Conv(in_channels, out_channels, N = 1):
    conv: conv 3x3, out_channels when in_channels > 3
    last: conv 1x1, in_channels + N

block Size(in_height, c):
    weight s [x.c, x.h, x.w], init=normal(0, 1)
    add:
        identity
        from s
    a: conv 3x3, in_height + c

net N(N = 2, widths: list = [4, 6]):
    input 3, 8x8
    features:
        for channels in widths:
            (conv 3x3, channels -> relu)
    in_width = 2*N
    for layers in range(N):
        a{layers}: conv 3x3, in_width
    channels2 = N + 3
    for i in range(N):
        channels2 = channels2 + 1
        b{i}: conv 3x3, channels2
    s: Size 2, 3
    d: Conv 4, 5
    e: Conv 3, 5, N
    gap

variant one = N()
variant two = N(3, [2, 4, 3])
""",
    "lists that are computed, and unpacked": """
net N(c = 4, ratios: list = [0.5, 2.0], n: list = [1, 2]):
    input 3, 8x8
    t, u = [int(c * r) for r in ratios]
    a: conv 3x3, t
    b: conv 1x1, u
    ws = [2*w + c for w in n]
    v, w = ws
    c1: conv 3x3, v
    c2: conv 3x3, w
    gap

variant one = N()
variant two = N(6)
variant three = N(8, [1.0, 0.5], [3, 1])
""",
    "blocks in the columns of tables": """
block A(c, k: dims):
    conv: conv k, c

block B(c, k: dims):
    conv: conv k, c -> bn

table rows(unit, k, c, n):
    A, 1x1, 6, 1
    B, 3x3, 8, 2

table f(unit, k, c):
    B, 1x1, 4
    A, 1x1, 5

net N(t: table):
    input 3, 9x8
    features:
        for r in t:
            unit, n = [r.unit, r.n]
            (n * unit r.c, r.k)
    silu
    for i, row in enumerate(f):
        last = row.unit
        last{i}: last row.c, row.k
    gap

variant one = N(rows)
""",
    "a size that a block in a block in a loop needs": """
block P:
    weight s [x.c, x.h, x.w], init=normal(0, 1)
    mul:
        from x
        from s

block Q(c):
    conv: conv 1x1, c
    p: P

net N(depths: list):
    input 3, 16x12
    for i, n in enumerate(depths):
        q{i}: n * Q 4
        d{i}: conv 3x3, 4, /2
    gap

variant one = N([1, 2])
""",
    "a part of a container that a rate of zero leaves out": """
block SE(c):
    mul:
        identity
        f: avgpool to=1x1 -> conv 1x1, c -> relu -> conv 1x1, x.c -> sigmoid

table rows(c, n):
    8, 1
    6, 2

block X(c, se = 0.25):
    f:
        (conv 3x3, c)
        [SE int(se * c) when se > 0]

net N(t: table, se = 0.25):
    input 3, 8x8
    for i, row in enumerate(t):
        for j in range(row.n):
            a{i}_{j}: X row.c, se
    gap

variant one = N(rows, 0.0)
variant two = N(rows)
""",
    "a list that may be empty, and a layer of another kind where a condition is false": """
block Stem(c, deep = true):
    if deep:
        conv: conv 3x3, c, /2 -> relu -> conv 3x3, c
    elif c > 6:
        conv: conv 5x5, c, /2
    else:
        conv: dwconv 3x3, /2 -> relu
    bn: bn

net N(n: list, deep = true):
    input 3, 8x8
    stem: Stem 4, deep
    for i, k in enumerate(n):
        layer{i}: k * conv 3x3, 4
    gap

variant one = N([1, 2])
variant two = N([0], false)
variant three = N([])
""",
    "values with numbers that a fork reads first, and turns that only name what they read": """
block Down(c):
    n = len(x)
    for r in range(2):
        for i in range(n):
            p{r}_{i} = from x[i]
    for i in range(n - 1, -1, -1):
        add:
            from x[i]
            if i < n - 1:
                from t{i+1} -> upsample 2
        t{i}: conv 3x3, c
    fork:
        for i in range(n):
            from t{i}

net N(widths: list, c = 4):
    input 3, 32x16
    for i, w in enumerate(widths):
        c{i}: conv 3x3, w, /2
    fork:
        for i in range(len(widths)):
            from c{i} -> conv 1x1, c as lat{i}
    down: Down c
    from flow[0] -> gap

variant one = N([4, 6, 8])
variant two = N([5])
""",
    "counts of a list that is one of two": """
net N(v = 0, wide = false):
    input 3, 9x8
    if v == 0:
        depths = [1, 2, 0]
    else:
        depths = [2, 1, 1]
    a, b, c = depths
    l: a * conv 3x3, 4
    m: b * conv 3x3, depths[1] + 1
    for i in range(3):
        n = depths[i]
        s{i}: n * conv 3x3, 4
    k = 2 if wide else 1
    last: k * conv 3x3, 4
    gap

variant one = N()
variant two = N(1)
variant three = N(1, true)
""",
    "turns that cannot be built where there are none": """
net N(widths: list):
    input 3, 16x16
    for i, w in enumerate(widths):
        [maxpool 2x2, /2 when i > 0]
        enc{i}: conv 3x3, w
    for i in range(len(widths) - 2, -1, -1):
        upsample 2
        y = from flow
        from enc{i}, y -> concat
        dec{i}: conv 3x3, widths[i]
    for i in range(1, len(widths)):
        last{i}: conv 1x1, widths[i]
    gap

variant one = N([4])
variant two = N([4, 6, 8])
""",
    "a size after a block whose turns say it": """
block Layer(c, n, stride = 1):
    for i in range(n):
        (conv 3x3, c, /(stride if i == 0 else 1))

net N(n = 2):
    input 3, 16x16
    a: Layer 4, n
    b: Layer 6, n, /2
    upsample 2
    y = from flow
    from a, y -> concat
    gap
""",
    "channels that grow, in the message of a check": """
block Grow(k):
    concat:
        identity
        f: conv 3x3, k

net N(k = 4, reduction = 0.5, n = 2):
    input 3, 8x8
    conv1: conv 3x3, 2*k
    for b in range(3):
        block{b}:
            for i in range(n):
                layer{i}: Grow k
        if b < 2:
            trans{b}: conv 1x1, int(flow.c * reduction)
    gap

variant one = N()
variant two = N(3, 0.4, 1)
""",
    "turns beside a side that cannot be built": """
block Deep(c, n = 2, large = false):
    if large:
        (conv 9x9, c, pad=0)
    else:
        for i in range(n):
            (conv 3x3, c)

net N(n = 2):
    input 3, 4x4
    a: Deep 4, n
    b: Deep 5, 3, false
    gap
""",
    "an output in training of a value with a number": """
net N(n = 3, aux = true):
    input 3, 16x16
    for i in range(n):
        s{i}: conv 3x3, 4*i + 4
    train output side: from s1 -> gap -> fc 2 as sidefc when aux
    gap
    fc: fc 3

variant one = N()
variant two = N(2, false)
""",
    "a name after the loop that bound it": """
block C(c, k = 2, n = 2):
    for k in range(n):
        (conv 1x1, k + 1 + c)
        w = 2*k + 1
    (conv 1x1, k + 1)
    (conv 1x1, w)

net N(n = 2, c = 4):
    input 3, 8x8
    a: C 4, 1, n
    b: C 5, 2, 3
    gap
""",
    "a limit of sizes that nothing is made with": """
block Small(c, limit = 8):
    [maxpool 2x2, /2 when x.h > limit]
    conv: conv 3x3, c

net N(limit = 4):
    input 3, 16x16
    a: Small 4
    b: Small 5, limit
    gap
""",
    "a size after turns that halve it": """
net N(n: list, c = 8):
    input 3, 32x32
    for i, k in enumerate(n):
        enc{i}: k * conv 3x3, c, /2 first
    a = from flow
    k = n[0]
    down: k * conv 3x3, c, /2
    upsample 2**k
    y = from flow
    from a, y -> add
    for i in range(len(n) - 1, 0, -1):
        up{i}: upconv 2x2, c, /2
        d = from flow
        from d, enc{i-1} -> add
    gap

variant one = N([2, 1, 1])
variant two = N([1, 2])
""",
    "arguments and variables that change": """
block Grow(c, k = 2, n = 2):
    for i in range(n):
        a{i}: conv 3x3, c
        c = c + k
    last: conv 1x1, c

block Follow(c, k = 2):
    w = 2*c
    u = w + 1
    for i in range(3):
        a{i}: conv 3x3, w
        u = w
        w = w + k
    last: conv 1x1, w
    other: conv 1x1, u

net N(n = 2, w = 4, deep = false):
    input 3, 8x8
    for i in range(n):
        a{i}: conv 3x3, w
        relu
    if deep:
        n = n + 1
        w = w - 1
    b: n * conv 1x1, w
    for i in range(2):
        w = w + 2
        c{i}: conv 1x1, w
    d: Grow 4
    e: Grow 5, 1, n
    f: Follow 3
    gap

variant one = N()
variant two = N(3, 5, true)
""",
    "a number that one condition decides twice": """
block B(c, twin = true):
    width = 2*c if twin else c
    conv: conv 3x3, width, bias=false
    if twin:
        y, z = from flow -> split 2
        from y, z -> add
    last: bn

net N(twin = true):
    input 8, 12x12
    a: B 8, twin
    b: B 8, false
    gap

variant one = N()
variant two = N(false)
""",
    "what the first turn binds and all turns read": """
block T(c, n = 3):
    for i in range(n):
        if i == 0:
            w = 2*c
            y = from flow -> conv 1x1, 2*c as one
        conv{i}: conv 3x3, w
        from flow, y -> add
    conv 1x1, w as last

net N(n = 2):
    input 8, 8x8
    a: T 8, n
    b: T 6
    gap

variant one = N()
variant two = N(3)
""",
    "a text that a layer is made with, and one of odd characters": """
block Up(c, mode = "nearest", note = "it's"):
    upsample 2, mode=mode
    conv: conv 3x3, c
    if mode == "bilinear":
        bn: bn
    if note == "it's":
        relu

net N(mode = "nearest", odd = "a{b}"):
    input 4, 8x8
    a: Up 4, mode
    b: Up 4, "bilinear", odd
    gap

variant one = N()
variant two = N("bilinear", "it's")
""",
    "comparisons of sizes that another comparison decides": """
block Cell(c) from prev, cur:
    for i in range(2):
        left{i}: from prev -> conv 3x3, c, stride=(2 if prev.h != cur.h else 1)
    x2 = from flow
    for i in range(2):
        prev = from x2 -> conv 1x1, c, stride=(2 if prev.h != x2.h else 1) as a{i}
    add:
        from x2
        from cur -> conv 1x1, c as s

net N(c = 4):
    input 3, 32x32
    stem: conv 3x3, c
    c1 = from stem, stem -> Cell c as cell1
    b: from stem -> conv 3x3, c, /2
    c2 = from stem, b -> Cell 2*c as cell2
    from c2 -> gap
""",
    "outputs with others, or with what they need, under a condition": """
block Head(c):
    conv: conv 3x3, c
    gap

net Deep(w = 4, seg: bool = false, mode = 0, aux: bool = true):
    input 3, 32x32
    c2: conv 3x3, w
    if seg:
        m: conv 1x1, 2
        output mask: from m -> upsample 4
        output low: from m
        from c2
    if mode == 0:
        output first_: Head 2
    elif mode == 1:
        h: Head 3
        output second: from h
        output third: from h -> relu
        from c2
    else:
        if aux:
            output fourth: from c2
            output fifth: from c2 -> relu
    if aux and mode > 0:
        t = from flow -> conv 1x1, 3 as tt
        train output sixth: from t -> gap
        train output seventh: from t
    head: conv 1x1, 3

variant a = Deep()
variant b = Deep(seg=true)
variant c = Deep(mode=1)
variant d = Deep(mode=2, seg=true)
variant e = Deep(mode=2, aux=false)
""",
    "branches of turns, each of whose channels only its class knows": """
block Tower(c, n):
    for i in range(n):
        a{i}: conv 3x3, c * (i + 1)

block Fork(c, widths: list = [1, 2]):
    towers = fork:
        for i, n in enumerate(widths):
            t{i}: Tower c, n
    from towers -> concat
    p: conv 1x1, c

block Joined(c, widths: list = [1, 2]):
    concat:
        for i, n in enumerate(widths):
            t{i}: Tower c, n
    p: conv 1x1, c

net N(c = 4):
    input 3, 9x7
    a: Fork c, [1, 3]
    b: Fork c + 1
    d: Joined c, [2, 1, 2]
    e: Joined c
""",
    "sides where only another net of the file comes": """
block Gate(squeeze):
    mul:
        identity
        avgpool to=1x1 -> conv 1x1, squeeze as fc1 -> relu -> conv 1x1, x.c as fc2 -> sigmoid

block Unit(c, stride = 1, se = 0.0, drop = 0.0):
    squeeze = round(se * x.c)
    main: conv 3x3, c, /stride -> bn -> relu -> [Gate squeeze when se > 0]
    last: Gate round(se * c) - 20 when se > 0
    dropout drop

net N(c = 8, se = 0.0, classes = 10):
    input 3, 16x16
    stem: conv 3x3, c
    a: Unit c, se=se, drop=ramp(0, 0.2)
    b: Unit 2*c, 2, se=se, drop=ramp(0, 0.2)
    gap
    fc: fc classes

variant plain = N()
variant gated = N(100, se=0.25)
""",
    "a table of lists, as a default": """
table stages(c, kernels, stride, expand, ratio):
    8,  [3x3],           1, 1, 0
    12, [3x3, 5x5],      2, 3, 0.5
    16, [3x3, 5x5, 7x7], 2, 3, 0.25

block Mixed(kernels: list, stride = 1):
    parts = from x -> split len(kernels)
    concat:
        for i, k in enumerate(kernels):
            dw{i}: from parts[i] -> dwconv k, /stride

block Unit(c, kernels: list, stride = 1, expand = 2, ratio = 0.0):
    pw: conv 1x1, x.c * expand
    mixed: Mixed kernels, stride
    gate: dropout ratio when ratio > 0
    pwl: conv 1x1, c

net MixNet(stages: table = stages, classes = 10):
    input 3, 16x16
    stem: conv 3x3, 12
    for i, r in enumerate(stages):
        b{i}: Unit r.c, r.kernels, r.stride, expand=r.expand, ratio=r.ratio
    gap
    fc: fc classes
""",
    "a joint's loop that has no turn here, and reads what only a turn has": """
block Inception(branches: list):
    concat:
        b0: conv 1x1, branches[0]
        for i in range(1, len(branches)):
            b{i}: conv 1x1, branches[i] -> i * conv 3x3, branches[i]

block Sum(widths: list, c):
    add:
        identity
        for i in range(1, len(widths)):
            if widths[i] > 4:
                a{i}: conv 3x3, c
            b{i}: conv 1x1, c

net N:
    input 3, 8x8
    a: Inception [4]
    b: Sum [2], 4
""",
    "lists of several kinds, and channels that take a long line to say": """
leaky = leaky_relu(0.1)

block Unit(c, act: op = relu):
    conv: conv 3x3, c -> act

block Pyramid(c, k = 4):
    n = c // k
    reduce: conv 1x1, n
    d1: from reduce -> conv 3x3, c - (k - 1) * n
    for i in range(1, k):
        d{2**i}: from reduce -> conv 3x3, n, dilation=2**i
        if i == 1:
            s{i} = from d{2**i}
        else:
            s{i} = from s{i-1}, d{2**i} -> add
    concat:
        from d1
        for i in range(1, k):
            from s{i}

net N(w: list = [1.0, 2.0], acts: list = [leaky, tanh]):
    input 3, 8x8
    for i, r in enumerate(w):
        a{i}: conv 3x3, int(4 * r)
    for i, act in enumerate(acts):
        u{i}: Unit 8, act
    p: Pyramid 8
    gap

net Grown(c = 4, n = 3, grow = 1.5):
    input 3, 8x8
    w = 1.0 * c
    for i in range(n):
        a{i}: conv 3x3, int(w)
        w = w * grow
    gap

variant one = N([2, 1])
variant two = N([0.5, 1])
variant three = Grown()
""",
    "ops in the rows of a table that are called with a kernel": """
table rows(c, pool):
    4, maxpool
    6, avgpool

block Mixed(c, pool: op):
    concat:
        a: conv 1x1, c
        b: pool 3x3, /1, pad=1 -> conv 1x1, c

net N(wide: list = [1, 2]):
    input 3, 8x8
    for i, w in enumerate(wide):
        for j, r in enumerate(rows):
            m{i}_{j}: Mixed r.c * w, r.pool
    gap

variant one = N()
variant two = N([2])
""",
    "sizes that some turns change, which blocks compare or need": """
block Cell(c, stride) from prev, cur:
    s0: from prev -> conv 1x1, c, stride=(2 if prev.h > cur.h else 1)
    s1: from cur -> conv 1x1, c
    y = from s0, s1 -> add -> conv 3x3, c, /stride as e
    return cur, y

block Table:
    weight s [x.c, x.h, x.w], init=normal(0, 1)
    mul:
        from x
        from s

net Cells(c = 4, n = 2):
    input 3, 16x16
    stem: conv 3x3, c
    prev = from stem
    cur = from stem
    for i in range(n):
        prev, cur = from prev, cur -> Cell c * 2**i, (2 if i == 1 else 1) as cell{i}
    from cur -> gap

net Tables(n = 2, k = 1):
    input 3, 16x12
    for i in range(n):
        t{i}: Table
        d{i}: conv 3x3, 4, stride=(2 if i == k else 1)
    gap

variant cells2 = Cells()
variant cells4 = Cells(n=4)
variant tables2 = Tables()
variant tables4 = Tables(4)
variant tables5 = Tables(5, 2)
""",
    "names that the first turn binds and what follows the loop reads": """
block After(c, n = 2, deep = true):
    conv: conv 3x3, c
    for i in range(n):
        if i == 0:
            w = x.c + c
            half = w // 2
            wide = w > 16
        a{i}: conv 1x1, c
    if deep:
        k = 2
        if wide:
            m = half + k
        else:
            m = half
    b: conv 1x1, half
    if deep:
        d: conv 1x1, m
    e: conv 1x1, w

block Inner(c, n = 2, m = 2, deep = true):
    conv: conv 3x3, c
    for i in range(n):
        for j in range(m):
            if j == 0:
                w = c + i
            a{i}_{j}: conv 1x1, w
        if deep:
            for j in range(m):
                if j == 0 and deep:
                    v = c + 2*i
                b{i}_{j}: conv 1x1, v
    last: conv 1x1, c

block Else(c, n = 3):
    stem: conv 3x3, c
    for i in range(n):
        if i > 0:
            w = i * c
            gone = false
        else:
            v = c + 1
            gone = true
        a{i}: conv 3x3, c
        if not gone:
            b{i}: conv 1x1, w
        else:
            d: conv 1x1, v
        e{i}: conv 1x1, c
    last: conv 1x1, c

net N(c = 8, n = 3, deep = true):
    input 3, 16x16
    a: After c, n, deep
    b: After 2*c, 1, false
    d: Inner c, n, 2, deep
    e: Inner 3, 1, 1, false
    f: Else c, n
    g: Else 4, 1
    gap

variant n1 = N()
variant n2 = N(16, 2, false)
""",
    "an argument that is a block of two values, of three, or an op": """
block B(c = 4):
    a: conv 3x3, c
    b: conv 3x3, 8, /2
    from b, a

block D(c = 4):
    a: conv 3x3, c
    b: conv 3x3, 8, /2
    c: conv 3x3, 8, /2
    from b, a, c

net N(f: op, classes = 7):
    input image: 4, 20x21
    f as back
    from back[0] -> conv 1x1, classes as head

variant n1 = N(B)
variant n2 = N(D)
variant n3 = N(split(2))
""",
}

CLASSES = {
    "what is made of learned tensors alone, beside maps": """
block Tok(c):
    weight cls [c, 1, 1], init=normal(0, 1)
    pool: avgpool to=1x1
    concat:
        from cls -> sigmoid
        from pool -> conv 1x1, c as conv


block Tail(c):
    weight a [c, 1, 1], init=ones
    weight b [c, 1, 1], init=constant(0.5)
    g = from a, b -> add -> scale 0.5 -> tanh
    h = from g -> sigmoid
    pool: avgpool to=1x1
    concat:
        from g
        from pool
        from h
    mul:
        identity
        from flow -> conv 1x1, x.c + 2*c as gate

block Soft(c):
    weight mix [c, 4, 4], init=normal(0, 1)
    conv 1x1, c as conv
    resize 4x4
    mul:
        identity
        from mix -> softmax axis="h"

net N(c = 4):
    input 3, 16x16
    r: conv 3x3, 8
    a: Tok c
    t: Tail c
    s: Soft c
    gap
""",
    "the last value but one of lists that may have one": """
block Second(c):
    n = len(x)
    from x[n - 2] -> conv 3x3, c as conv

block Ends(c):
    from x[len(x)-2], x[0] -> concat
    conv: conv 3x3, c

block Before(w: list):
    conv: conv 3x3, w[len(w)-2]

block Last(c, w: list, i = 1):
    conv: conv 3x3, w[i-2]

block Around(c, w: list):
    for i in range(len(w)):
        conv{i}: conv 3x3, w[i-1]
net N(c = 4):
    input 3, 16x16
    fork:
        conv 1x1, 4 as p0
        conv 1x1, 5 as p1
    a = from flow
    from a -> Second c as u
    b = from a -> Ends 4 as v
    from b -> Before [3, 4] as w
    Last 3, [4, 5] as w2
    Around 3, [4, 5] as w3
    Before [3, 4, 6] as w4
    gap
""",
    "conditions on what a turn computes": """
block Flow(n = 2):
    for i in range(n):
        k = i % 3
        if k == 2:
            b{i}: conv 3x3, x.c

block Cat(n = 2):
    concat:
        identity
        for i in range(n):
            k = i % 3
            if k == 2:
                b{i}: conv 3x3, x.c

block Way(n = 2):
    for i in range(n):
        k = i % 3
        if k == 2:
            add:
                identity
                b{i}: conv 3x3, x.c
        else:
            relu

block Bool(n = 2):
    for i in range(n):
        deep = i % 2 == 1
        if deep:
            relu
        b{i}: conv 3x3, x.c

block Carried(c, n = 2):
    for i in range(n):
        w = c * i + 1
        if w > 5:
            relu
        elif w == 1:
            tanh
        b{i}: conv 3x3, w
        silu when w > 4

block Two(n = 2, widths: list = [4, 8]):
    for i, w in enumerate(widths):
        for j in range(n):
            k = i * j + w
            if k > 5:
                relu
            b{i}_{j}: conv 3x3, w
        gate = w > 4
        add:
            identity
            s{i}: conv 1x1, w when gate

net N(n = 3):
    input 3, 16x16
    a: Flow 3
    a2: Flow n
    c: Cat n
    c2: Cat 4
    w: Way n
    e: Bool 3
    e2: Bool n
    f: Carried 4, 3
    f2: Carried 2, n
    g: Two n
    g2: Two 2, [3, 6, 2]
    gap

variant one = N()
variant two = N(4)
""",
    "sums whose branches each turn decides on": """
block Sum(widths: list):
    add:
        for i, w in enumerate(widths):
            if w > 0:
                b{i}: conv 3x3, w -> conv 1x1, x.c

block Nested(n = 2, m = 2):
    mul:
        for i in range(n):
            for j in range(m):
                if i < j:
                    b{i}_{j}: conv 3x3, x.c

block Local(n = 2):
    add:
        for i in range(n):
            k = i % 3
            if k == 2:
                b{i}: conv 3x3, x.c

block Table(widths: list, deep = true):
    add:
        if deep:
            skip: conv 1x1, x.c
        for w in widths:
            if w > 4:
                b{w}: conv 1x1, w -> conv 1x1, x.c
            if w == 3 and deep:
                a{w}: conv 1x1, w -> conv 1x1, x.c

block Either(c, deep = true, n = 2):
    concat:
        if deep:
            a: conv 1x1, c
        for i in range(n):
            if i > 0 and deep:
                b{i}: conv 3x3, c
            elif i % 2 == 1:
                b{i}: conv 1x1, c

net N(n = 3):
    input 3, 16x16
    a: Sum [2, 0, 3]
    a2: Sum [2, 0]
    b: Nested n, 3
    b2: Nested 2, 2
    c: Local n
    c2: Local 4
    d: Table [5, 6]
    e: Table [3, 6], false
    f: Either 4, n=n
    f2: Either 4, false, n
    gap

variant one = N()
variant two = N(4)
""",
    "branches in turns, and others under conditions": """
default conv bias=false

block One(c, k: dims = 3x3, stride = 1, branches = 2):
    add:
        for i in range(branches):
            conv{i}: conv k, c, /stride -> bn
        if k != 1x1:
            scale: conv 1x1, c, /stride -> bn
        if stride == 1 and x.c == c:
            skip: bn
    relu

net MobileOne(widths: list, branches = 2):
    input 3, 32x32
    stage0: One min(8, widths[0]), /2, branches=branches
    for i, w in enumerate(widths):
        stage{i+1}: 2 * One w, /2 first, branches=branches
        point{i+1}: One w, 1x1

variant s0 = MobileOne([8, 12, 16], 3)
variant s1 = MobileOne([8, 12], 1)
""",
    "a concatenation of branches in turns": """
default conv 3x3, norm=bn, act=relu

block Inception(c, n = 3, pool = true):
    concat:
        b0: conv 1x1, c
        for i in range(n):
            b{i+1}: i * conv 1x1, c -> conv c
        if pool:
            proj: maxpool 3x3, /1, pad=1 -> conv 1x1, 2*c

block Widths(widths: list):
    ws = [2*w for w in widths]
    concat:
        for i, w in enumerate(ws):
            b{i}: conv w, norm=none
    last: conv 1x1, sum(ws) + ws[len(widths) - 1]

net N(n = 2):
    input 3, 16x16
    a: Inception 4, n
    b: Inception 5, 4, pool=false
    c: Widths [3, 4]
    d: Widths [4, 2, 3]
    gap
""",
    "a pyramid, from its top down and up again": """
default conv bias=false

block Sep(c):
    silu
    dw: dwconv 3x3
    pw: conv 1x1, c -> bn

block BiFPN(c):
    n = len(x)
    for i in range(n - 1, -1, -1):
        add:
            from x[i]
            if i < n - 1:
                from td{i+1} -> upsample 2
        td{i}: Sep c
    for i in range(n):
        add:
            from x[i]
            from td{i}
            if i > 0:
                from out{i-1} -> maxpool 3x3, /2, pad=1
        out{i}: Sep c
    fork:
        for i in range(n):
            from out{i}

block PAN(c):
    n = len(x)
    p{n-1} = from x[n-1] -> conv 1x1, c as lateral{n-1}
    for i in range(n - 2, -1, -1):
        add:
            lateral{i}: from x[i] -> conv 1x1, c
            from p{i+1} -> upsample 2
        p{i} = from flow
    q0 = from p0
    for i in range(1, n):
        add:
            from p{i}
            from q{i-1} -> conv 3x3, c, /2 as down{i}
        q{i} = from flow
    fork:
        for i in range(n):
            from q{i} -> conv 3x3, c as out{i}

block Down(c):
    n = len(x)
    top = from x[n - 1]
    for i in range(n - 2, -1, -1):
        add:
            from x[i]
            from top -> upsample 2
        top = from flow -> conv 3x3, c as td{i}
    fork:
        from top
        for i in range(1, n):
            from x[i] -> conv 3x3, c as up{i}

net Pyramids(c = 4, w = 6):
    input 3, 64x64
    c0: conv 3x3, w, /2
    c1: conv 3x3, 2*w, /2
    c2: conv 3x3, 3*w, /2
    from c0, c1, c2
    pan: PAN c
    bifpn: BiFPN c
    down: Down c
    from flow[0], flow[1]
    pan2: PAN w
    bifpn2: BiFPN w
    down2: Down 2*w
    from flow[1] -> gap
""",
    "layers that read earlier layers by their numbers": """
default conv 3x3, bias=false, norm=bn, act=relu

block Harmonic(growth, n = 4):
    y0 = from x
    for i in range(1, n + 1):
        concat:
            for k in range(5):
                if i % 2**k == 0 and i >= 2**k:
                    from y{i - 2**k}
        y{i}: conv growth
    concat:
        for i in range(1, n + 1):
            if i % 2 == 1 or i == n:
                from y{i}

block Selective(c, m = 2):
    u = add:
        for i in range(m):
            branch{i}: from x -> conv c, dilation=1 + i, pad=1 + i
    z = from u -> avgpool to=1x1 -> conv 1x1, c // 2 as reduce
    add:
        for i in range(m):
            mul:
                from branch{i}
                from z -> conv 1x1, c, norm=none, act=sigmoid as select{i}

net N(n = 4, m = 2):
    input 3, 16x16
    a: Harmonic 4, n
    b: Harmonic 5, 8
    c: Selective 8, m
    d: Selective 6, 3
    gap
""",
    "values with numbers in a container, on either side of a condition": """
block Parts(scale = 4, plain = false):
    width = x.c // scale
    add:
        identity
        main:
            parts = from flow -> split scale
            concat:
                for i in range(scale - 1):
                    if i > 0 and not plain:
                        y{i} = from y{i-1}, parts[i] -> add -> conv 3x3, width as convs{i}
                    else:
                        y{i} = from parts[i] -> conv 3x3, width as convs{i}
                    from y{i}
                from parts[scale - 1]

net N(scale = 4):
    input 12, 16x16
    a: Parts scale, true
    b: Parts 3
    gap
""",
    "branches of turns that hand a value on": """
block Grow(c, n = 2):
    y = from x
    concat:
        from x
        for i in range(n):
            y = from y -> conv 3x3, c as conv{i}
            from y

block Pyramid(widths: list):
    y = from x
    fork:
        for i, w in enumerate(widths):
            y = from y -> conv 3x3, w, /2 as conv{i} -> relu
            from y

block Tile(n = 2):
    y = from x -> conv 1x1, 1 as one
    concat:
        for i in range(n):
            from y

block Late(n = 2):
    y = from x
    other = from x -> conv 1x1, x.c as other
    for i in range(n):
        relu
        y = from other
    from flow, y -> add

net N(n = 2):
    input 3, 16x16
    a: Grow 4, n
    b: Grow 5, 3
    c: Tile n
    d: Tile 3
    e: Late n
    f: Pyramid [4, 6]
    from flow[1] -> gap
""",
    "variables that are called as those of loops": """
block Turns(c, n = 2):
    i = 2*c
    k = c + 1
    body: n * conv 3x3, i, /2 first
    last: conv 1x1, i + k

block Late(c, n: list):
    for i, k in enumerate(n):
        enc{i}: k * conv 3x3, c
    k = len(n) + 1
    upsample 2**k
    last: conv 1x1, c*k

block Between(c, mode = 1):
    if 0 < mode and mode < 3:
        conv: conv 1x1, c*mode
    elif 4 == mode:
        conv: conv 3x3, c

block Shadow(c, k = 2, n = 2):
    for k in range(n):
        a{k}: conv 1x1, k + c
    last: conv 1x1, c

net N(n = 2):
    input 3, 8x8
    a: Turns 4, n
    b: Turns 3, 3
    c: Late 4, [1, 2]
    d: Late 3, [0]
    g: Shadow 4, 1, n
    h: Shadow 5
    i: Between 4, n
    j: Between 5, 4
    gap
""",
    "values with numbers whose channels only the turns know": """
block Decode(n: list, c = 4):
    for i, k in enumerate(n):
        enc{i}: k * conv 3x3, c*i + c, /2 first
    for i in range(len(n) - 1, 0, -1):
        up{i}: conv 3x3, 2*c
        skip = from enc{i-1} -> conv 1x1, 2*c as skip{i}
        y = from up{i} -> crop like=up{i}
        dec{i}: from y -> conv 3x3, c*i
    last: from enc0 -> conv 1x1, c

block Merge(c):
    add:
        for i in range(len(x)):
            lateral{i}: from x[i] -> conv 1x1, c

block Laterals(n: list, c = 4):
    for i, k in enumerate(n):
        enc{i}: k * conv 3x3, c*i + c
    fork:
        for i in range(len(n)):
            from enc{i}
    merge: Merge c

block Links(growth, ratio = 1.5, n = 4):
    y0 = from x
    for i in range(1, n + 1):
        w = 1.0
        for k in range(1, 3):
            if i % 2**k == 0:
                w = w * ratio
        concat:
            for k in range(3):
                if i % 2**k == 0 and i >= 2**k:
                    from y{i - 2**k}
        y{i}: conv 3x3, int(growth * w)

net N(c = 4):
    input 3, 16x16
    a: Decode [1, 2], c
    b: Decode [0, 1, 1], 5
    d: Laterals [1, 0, 2], c
    e: Laterals [2], 6
    f: Links 4
    g: Links 6, 2.0, c
    gap
""",
    "names that one loop after the other binds": """
block Turns(c, n = 2):
    for i in range(n):
        w = c*(i + 1)
        a{i}: conv 3x3, w
    for i in range(n):
        w = 2*c + i
        b{i}: conv 3x3, w
    for j in range(n):
        i = j + 1
        c{j}: conv 3x3, c*i

net N(n = 2):
    input 3, 8x8
    a: Turns 4, n
    b: Turns 3, 3
    for k in range(n):
        w = 3*k + 1
        c{k}: conv 1x1, w
    gap
""",
    "branches under conditions alone": """
block Mixed(a, b, c, pool = true):
    concat:
        if a > 0:
            one: conv 1x1, a
        if b > 0:
            three: conv 3x3, b
        if pool:
            maxpool 3x3, /1, pad=1
        elif c > 4:
            proj: conv 1x1, c

block Sum(c, left = true, right = false):
    add:
        if left:
            one: conv 1x1, c
        if right:
            three: conv 3x3, c

net N(a = 4, pool = true):
    input 3, 16x16
    m: Mixed a, 2, 3, pool
    n: Mixed 0, 3, 8, false
    s: Sum 5
    t: Sum 6, false, true
    gap
""",
    "parts whose number is an argument": """
block Mix(ks: list):
    parts = from x -> split len(ks)
    concat:
        for i, k in enumerate(ks):
            mix{i}: from parts[i] -> dwconv k

block Scales(scale = 4):
    parts = from x -> split scale
    y = from parts[0]
    outs = from y
    for i in range(1, scale):
        y = from y, parts[i] -> add -> conv 3x3, x.c//scale as convs{i}
        outs = from outs, y -> concat
    from outs

block SplitAttention(c, radix = 2):
    conv: conv 3x3, c*radix, groups=radix
    relu
    if radix > 1:
        parts = from flow -> split radix
        att = from parts -> add -> gap -> fc c*radix as fc -> sigmoid -> split radix
        add:
            for r in range(radix):
                mul:
                    from parts[r]
                    from att[r]
    else:
        mul:
            identity
            gap -> fc c as fc -> sigmoid

net N(scale = 3):
    input 6, 16x16
    a: Mix [3x3, 5x5]
    b: Mix [3x3, 5x5, 7x7]
    c: Scales scale
    conv: conv 1x1, 12
    d: Scales 4
    e: SplitAttention 6
    f: SplitAttention 6, 1
    gap
""",
    "loops in loops, and lists that a call returns": """
default conv 3x3, bias=false, norm=bn, act=relu

table heads(c, k, act):
    4, 3x3, relu
    6, 1x1, none

block Head(t: table, m = 2):
    concat:
        for i, row in enumerate(t):
            for j in range(m):
                h{i}_{j}: conv row.k, row.c, act=row.act

block Levels(c, n = 2):
    t0 = from x
    for i in range(1, n + 1):
        t{i}: from t{i-1} -> conv c*i, /2
    fork:
        for i in range(n + 1):
            from t{i} -> conv 1x1, c as lateral{i}

block Merge(c):
    from x -> add
    c1: conv c

net N(m = 2):
    input 3, 16x16
    head: Head heads, m
    levels: Levels 4, m
    a = from flow[0]
    b = from flow[0] -> conv 4 as beside
    from a, b -> Merge 5 as merge
    levels2: Levels 3, 3
    from flow[1] -> gap
""",
    "rows of the file's tables by number, and lists that are computed": """
table rows(k, c, act):
    1x1, 4, relu
    3x3, 6, none
    3x1, 8, silu

block Row(i = 0, c = 4):
    k = rows[i].k
    a: conv k, c
    b: conv 3x3, rows[i].c, act=rows[i].act

block Other(i = 0, deep = true, c = 4):
    r = rows[i]
    act = rows[len(rows) - 1 - i].act
    if deep:
        w = 2*c
    else:
        w = c + 1
    v = ([1, 2, 3] if deep else [4, 5, 6])[i]
    a: conv r.k, w
    act when act
    b: conv 3x3, r.c + v

block Two(c, ratios: list = [0.5, 2.0]):
    hidden, out = [int(c * r) for r in ratios]
    a: conv 3x3, hidden
    b: conv 1x1, out

net N(n = 2):
    input 3, 16x16
    for i in range(n):
        row{i}: Row i
    a: Row 2, 5
    b: Other
    c: Other 1, false, 6
    d: Two 4
    e: Two 6, [1.0, 0.5]
    for i in range(n):
        last{i}: conv rows[i].k, rows[i].c
    gap
""",
    "branches of several lists at once, and rows whose cells are counted": """
table rows(k, c):
    3x3, 2
    1x1, 3

block Mixed(ks: list, cs: list):
    concat:
        for i, k, c in enumerate(zip(ks, cs)):
            m{i}: conv k, c
    add:
        for i, k, c in enumerate(zip(ks, cs)):
            b{i}: conv k, 8

block Rows(t: table):
    for i, k, c in enumerate(t):
        a{i}: conv k, c

net N(t: table = rows):
    input 3, 16x16
    a: Mixed [3x3, 5x5], [2, 3]
    b: Mixed [3x3, 1x1, 5x5], [2, 3, 4]
    c: Rows rows
    for i, k, c in enumerate(t):
        d{i}: conv k, c
    gap
""",
    "a call of several values whose channels only its class knows": """
block Dense(n, growth):
    stem: conv 3x3, growth
    all = from stem
    for i in range(n):
        y = from all -> conv 3x3, growth as layer{i}
        all = from all, y -> concat
    from all

block Down(n, growth):
    skip: Dense n, growth
    p: from skip -> conv 1x1, x.c + n + growth -> maxpool 2x2, /2
    return skip, p

block Two(c, n = 2) from a, b:
    left: from a -> conv 1x1, c
    right: from b -> n * conv 3x3, 2*c
    return left, right

net N(growth = 2, k = 2, classes = 5):
    input 3, 16x16
    for i in range(k):
        s{i}, d{i} = from flow -> Down 2, growth as down{i}
        from d{i}
    a, b = from flow -> Down 3, growth as last
    u = from b -> upsample 2
    from a, u -> Two 4 as two
    for i in range(k):
        t{i}: Two 4 + i, k
    concat
    head: conv 1x1, classes
""",
    "a number that a long expression computes": """
block Capped(c, ratio: float = 1.0):
    inner = int(c * ratio * 4 / 4) + 4
    inner = x.c // 2 if inner > x.c // 2 else inner
    squeeze: conv 1x1, inner
    expand: conv 1x1, c

net N(c = 8):
    input 16, 8x8
    a: Capped c
    b: Capped c, 0.5
""",
    "what flows from turn to turn, and nobody reads": """
block C2f(c, n = 1):
    cv1: conv 1x1, 2*c
    a, b = from cv1 -> split 2
    y = from b
    cat = from a, b -> concat
    for i in range(n):
        m{i}: from y -> conv 3x3, c
        y = from m{i}
        cat = from cat, y -> concat
    from cat -> conv 1x1, c as cv2

block OSA(mid, c, n = 5):
    y = from x
    for i in range(n):
        layer{i}: from y -> conv 3x3, mid
        y = from layer{i}
    outs = concat:
        from x
        for i in range(n):
            from layer{i}
    from outs -> conv 1x1, c as cat

net N(c = 8, n = 3):
    input 3, 16x16
    a: C2f c, n
    b: OSA c, c, n
    gap
""",
    "a condition whose other side is the first in a condition": """
block Unit(c, stride = 1, residual: bool = true):
    conv: conv 3x3, c, /stride
    if residual:
        if stride == 1 and x.c == c:
            from flow, x -> add
        elif stride == 1:
            y = from flow
            proj: from x -> conv 1x1, c
            from y, proj -> add
    relu

net N(c = 4):
    input 3, 8x8
    a: Unit c
    b: Unit c
    c: Unit c, 2
    d: Unit c, residual=false
""",
    "an encoder and decoder of any depth": """
block Double(c):
    2 * conv 3x3, c, act=relu, pad=same

net UNet(c = 4, depth = 3, classes = 2):
    input 1, 32x32
    for i in range(depth):
        if i > 0:
            maxpool 2x2, /2
        enc{i}: Double c*2**i
    maxpool 2x2, /2
    mid: Double c*2**depth
    for i in range(depth - 1, -1, -1):
        up{i}: upconv 2x2, c*2**i, /2
        skip = from enc{i} -> crop like=up{i}
        from skip, up{i} -> concat
        dec{i}: Double c*2**i
    head: conv 1x1, classes

variant three = UNet()
variant two = UNet(depth=2)
""",
    "weights that meet what loops make smaller": """
block Down(c):
    conv 3x3, c, /2 -> relu

block Head(n, classes):
    for i in range(n):
        c{i}: conv 3x3, 8, /2 -> relu
    flatten
    fc: fc classes

net Deep(n = 2, classes = 5):
    input 3, 33x40
    for i in range(n):
        d{i}: Down 8*2**i
    flatten
    fc: fc classes

net Headed(n = 2, classes = 5):
    input 3, 31x40
    stem: conv 3x3, 6
    head: Head n, classes

net Stages(n: list, classes = 5):
    input 3, 32x32
    for i, d in enumerate(n):
        stage{i+1}: d * conv 3x3, 8*2**i -> maxpool 2x2, /2
    flatten
    fc: fc classes

variant deep3 = Deep(3)
variant headed3 = Headed(3)
variant stages2 = Stages([1, 2])
variant stages3 = Stages([1, 2, 2])
""",
    "values that a side of a condition has, read under conditions after it": """
block SplitAttention(c, stride = 1, groups = 1, radix = 2):
    conv 3x3, c*radix, /stride, groups=groups*radix, bias=false as conv -> bn as bn0 -> relu
    if radix > 1:
        splits = from flow -> split radix
        pooled = from splits -> add -> avgpool to=1x1
    else:
        pooled = from flow -> avgpool to=1x1
    z = from pooled -> conv 1x1, max(c // 2, 4), groups=groups as fc1 -> bn as bn1 -> relu
    att = from z -> conv 1x1, c*radix, groups=groups as fc2 -> sigmoid
    if radix > 1:
        gates = from att -> split radix
        add:
            for r in range(radix):
                mul:
                    from splits[r]
                    from gates[r]
    else:
        mul:
            from flow
            from att

block Radices(c, stride = 1, groups = 1, radix = 2):
    conv 3x3, c*radix, /stride, groups=groups*radix, bias=false as conv -> bn as bn0 -> relu
    u = from flow
    if radix > 1:
        splits = from flow -> split radix
        from splits -> add
    z = from flow -> avgpool to=1x1 -> conv 1x1, max(c // 2, 4), groups=groups as fc1 -> bn as bn1 -> relu
    att = from z -> conv 1x1, c*radix, groups=groups as fc2 -> sigmoid
    if radix == 1:
        mul:
            from u
            from att
    elif radix == 2:
        a, b = from att -> split 2
        left = mul:
            from splits[0]
            from a
        right = mul:
            from splits[1]
            from b
        from left, right -> add
    else:
        gates = from att -> split radix
        add:
            for r in range(radix):
                mul:
                    from splits[r]
                    from gates[r]

block Gated(c, deep = true, k = 2):
    if deep:
        mid = c // k
        skip = from x -> conv 1x1, c as skip
    conv1: conv 3x3, c
    add:
        identity
        if deep:
            from skip
    if deep:
        squeeze: conv 1x1, mid -> relu
        expand: conv 1x1, c
    relu
    body:
        conv 3x3, c as a
        if deep:
            z = from flow -> relu
            w = 2*c
        conv 3x3, c as b
        if deep:
            conv 1x1, w as d
            from z, flow -> concat
            conv 1x1, c as e
    if not deep:
        last: conv 1x1, c

block Turns(c, n = 2, wide = true):
    if wide:
        y = from x -> conv 1x1, c as proj
    for i in range(n):
        if i > 0:
            z = from flow -> relu
        conv{i}: conv 3x3, c
        if i > 0:
            add:
                identity
                from z
        if wide:
            from flow, y -> add
    if wide:
        from y, flow -> concat

block Kinds(c, split_it = true, n = 2):
    conv: conv 3x3, c
    if split_it:
        y = from flow -> split 2
    else:
        y = from flow -> relu
    stem: conv 3x3, c
    if split_it:
        a = from y[0]
        b = from y[1]
        from a, b, flow -> concat
    else:
        from y, flow -> add
    if split_it:
        p = from flow -> gap
    else:
        p = from flow -> avgpool to=1x1
    if not split_it:
        q = from p -> flatten
        from q
    else:
        from p
    fc: fc c

block Ladder(c, mode = 0):
    if mode == 0:
        y = from x -> conv 1x1, c as p
    elif mode == 1:
        y = from x -> conv 3x3, c as p
    conv: conv 3x3, c
    if mode == 0 or mode == 1:
        from y, flow -> add
    if mode < 2:
        from y, flow -> add
    if mode == 1:
        y = from flow -> relu
    else:
        z = from flow
    if mode != 1:
        from z -> conv 1x1, c as tail
    else:
        from y -> conv 3x3, c as tail

block Rebound(c, deep = true):
    y = from x
    conv: conv 3x3, c
    if deep:
        y = from flow -> split 2
    r: relu
    if deep:
        from y[0], y[1], flow -> concat
    else:
        from y, flow -> concat
    last: conv 1x1, c

block Kept(c, keep = true):
    conv: conv 3x3, c
    bn: bn
    if keep:
        y = from flow
    relu
    conv2: conv 3x3, c
    bn2: bn
    if keep:
        z = from flow -> relu
        z2 = from flow
    relu
    conv3: conv 3x3, c
    if keep:
        from y, z, z2, flow -> add

net N(radix = 2, deep = true, mode = 0):
    input 8, 12x12
    a: SplitAttention 8, radix=radix
    b: SplitAttention 8, /2, radix=1
    c: SplitAttention 8, groups=2, radix=4
    d: Radices 8, radix=radix
    e: Radices 8, radix=1
    f: Radices 8, groups=2, radix=4
    g: Gated 8, deep
    h: Gated 8, false, k=3
    i: Turns 8, 3, deep
    j: Turns 8, wide=false
    k: Ladder 8, mode
    l: Ladder 8, 1
    m: Ladder 8, 2
    n: Rebound 8, deep
    o: Rebound 8, false
    p: Kept 8, deep
    q: Kept 8, false
    fork:
        r: Kinds 8, deep
        s: Kinds 8, false
    add
""",
    "conditions that compare truths, texts, and what may be none": """
block Modes(c, mode = "relu", pre = true, post = false, act: op = relu, k = 2):
    if pre != post:
        a: conv 1x1, c
    if not pre and k > 1:
        b: conv 1x1, c
    both = pre == post
    mid = 2*c if mode == "wide" else c
    conv: conv 3x3, mid
    if mode == "relu":
        relu
    elif mode == "gelu":
        gelu
    if both:
        last: conv 1x1, c
    if pre == (k > 2):
        tail: conv 1x1, c
    if post == false:
        more: conv 1x1, c
    if act != none:
        act

block Twin(c, twin = true):
    width = 2*c if twin else c
    conv: conv 3x3, width, bias=false
    if twin:
        y, z = from flow -> split 2
        from y, z -> add
    last: bn

net N(mode = "relu", pre = true):
    input 8, 8x8
    a: Modes 8, mode, pre
    b: Modes 8, "gelu", pre=false, post=true
    c: Modes 6, "wide", pre, post=not pre, act=none
    d: Modes 6, "none", k=3, act=silu
    e: Twin 8, pre
    f: Twin 8, false
    if mode != "relu":
        last: conv 1x1, 8
    gap
""",
    "a product of branches in turns, and of a list": """
block Gates(c, n = 2, plain = false):
    mul:
        identity
        for i in range(n):
            gate{i}: avgpool to=1x1 -> conv 1x1, x.c -> sigmoid
        if not plain:
            extra: conv 1x1, x.c -> sigmoid
    last: conv 1x1, c

block Product(c, n = 2):
    mul:
        for i in range(n):
            factor{i}: conv 3x3, c -> bn
    relu

block Halves(c, parts = 2):
    conv: conv 1x1, c*parts
    from flow -> split parts -> mul
    relu

block Some(c, plain = true, deep = true):
    mul:
        if plain:
            a: conv 1x1, c
        if deep:
            b: conv 1x1, c -> sigmoid
            d: conv 3x3, c
    last: bn

net N(n = 2):
    input 4, 8x8
    a: Gates 4, n
    b: Gates 6, 3, plain=true
    c: Product 4, n
    d: Product 6, 1
    e: Halves 6, n
    f: Halves 6, 3
    g: Some 4
    h: Some 4, false
    i: Some 4, deep=false
    gap
""",
    "values with numbers that containers with numbers read": """
block Pyramid(c):
    n = len(x)
    for i in range(n - 1, -1, -1):
        level{i}:
            from x[i] -> conv 1x1, c as lateral
            if i < n - 1:
                add:
                    identity
                    from p{i+1} -> upsample 2
        p{i} = from flow
    for i in range(n):
        out{i}:
            from p{i} -> conv 3x3, c as conv
            if i > 0:
                add:
                    identity
                    from o{i-1} -> maxpool 2x2
        o{i} = from flow
    fork:
        for i in range(n):
            from o{i}

net N(c = 4, w = 6):
    input 3, 64x64
    c0: conv 3x3, w, /2
    c1: conv 3x3, 2*w, /2
    c2: conv 3x3, 3*w, /2
    from c0, c1, c2
    fpn: Pyramid c
    from flow[0], flow[1]
    fpn2: Pyramid w
    from flow[1] -> gap
""",
    "a stride for sizes that are not the same": """
block Fit(c) from prev, cur:
    conv: from prev -> conv 1x1, c, stride=(2 if prev.h != cur.h else 1)
    add:
        identity
        from cur -> conv 1x1, c as two

block Cell(c, stride = 1) from prev, cur:
    left = from prev -> conv 1x1, c, stride=(2 if prev.h != cur.h else 1) as fit
    right = from cur -> conv 1x1, c as squeeze
    add:
        from left -> dwconv 3x3, /stride as dw1
        from right -> dwconv 5x5, /stride as dw2
    out = from flow
    return out

net N(n = 2, c = 4):
    input 3, 32x32
    wide: conv 3x3, c
    deep: conv 3x3, 6, /2
    from wide, deep -> Fit c as fit1
    from deep, flow -> Fit c as fit2
    stem: conv 3x3, c
    prev = from flow
    cur = from flow
    for i in range(n):
        next = from prev, cur -> Cell c as cell{i}
        prev = from cur
        cur = from next
    next = from prev, cur -> Cell 2*c, /2 as reduction
    prev = from cur
    cur = from next
    for i in range(n):
        next = from prev, cur -> Cell 2*c as cell{n + i}
        prev = from cur
        cur = from next
    from cur -> gap
""",
    "channels of another turn's value, by its number": """
block Level(c, k, stride = 1):
    conv: conv 3x3, c, /stride -> bn
    2 * relu
    more: k * conv 3x3, c

net Link(n: list = [1, 1, 1], c = 8):
    input 3, 32x32
    e0 = from flow -> conv 3x3, c as stem
    for i, k in enumerate(n):
        from e{i}
        level{i}: Level c + k, k, /2
        e{i+1} = from flow
    from e{len(n)}
    for i in range(len(n), 0, -1):
        dec{i}: conv 1x1, e{i-1}.c
        upsample 2
        from flow, e{i-1} -> add
        out{i}: conv 3x3, 2*e{i-1}.c -> relu
        back{i}: conv 1x1, e{i-1}.c
    last: conv 1x1, e{len(n)-1}.c

variant one = Link()
variant two = Link([1, 2], 4)
""",
    "values around a condition in which turns read them": """
block SplitAttention(c, stride = 1, radix = 2, groups = 1):
    conv 3x3, c * radix, /stride, groups=groups * radix as conv -> bn as bn0 -> relu
    splits = from flow -> split radix
    if radix > 1:
        gap = add:
            for i in range(radix):
                from splits[i]
    else:
        gap = from flow
    from gap -> avgpool to=1x1 -> conv 1x1, c as fc1 -> bn as bn1 -> relu
        -> conv 1x1, c * radix, groups=groups as fc2
    att = from flow -> sigmoid -> split radix
    add:
        for i in range(radix):
            from splits[i], att[i] -> mul

block Late(c, n, deep = true):
    conv: conv 3x3, c
    early = from flow -> relu
    if deep:
        for i in range(n):
            more{i}: conv 3x3, c
    add:
        from early
        from conv

net N(radix = 2, n = 2):
    input 4, 16x16
    a: SplitAttention 8, radix=radix
    b: SplitAttention 8, /2, 1, 2
    c: Late 4, n
    d: Late 6, n, false
    gap

variant one = N()
variant two = N(1, 3)
""",
    "as many branches as a table that is an argument has rows": """
block sep(c, k: dims, stride = 1):
    relu -> dwconv k, /stride, bias=false -> conv 1x1, c, bias=false -> bn

block skip(c, k: dims, stride = 1):
    if stride > 1 or x.c != c:
        relu -> conv 1x1, c, /stride, bias=false -> bn
    else:
        identity

table normal(kind, k, src):
    sep,  3x3, 0
    skip, 1x1, 0
    sep,  5x5, 1

table reduction(kind, k, src):
    sep,  3x3, 1
    skip, 1x1, 0

block Cell(c, genes: table, stride = 1) from prev, cur:
    p0 = from prev -> relu -> conv 1x1, c as preprocess0
    p1 = from cur -> relu -> conv 1x1, c as preprocess1
    for i, gene in enumerate(genes):
        op = gene.kind
        if gene.src == 0:
            n{i} = from p0 -> op c, gene.k, stride as op{i}
        else:
            n{i} = from p1 -> op c, gene.k, stride as op{i}
    concat:
        for i in range(len(genes)):
            from n{i}

net N(c = 4, layers = 3):
    input 3, 16x16
    stem: conv 3x3, c
    prev = from flow
    cur = from flow
    for i in range(layers):
        new = from prev, cur -> Cell c, normal as cell{i}
        prev = from cur
        cur = from new
    from prev, cur -> Cell 2*c, reduction, 2 as last
    gap
    fc: fc 3

variant one = N()
variant two = N(6, 1)
""",
    "children of one name under conditions of which one holds": """
block Act(c, pre = true, norm: op = none, n = 1):
    if pre:
        norm as norm when norm
        act: relu
    conv: conv 3x3, c
    if not pre:
        gn groups=2 as kind
        norm as norm when norm
        act: silu
    else:
        bn as kind
    if n > 1:
        tail: conv 1x1, c
    if n <= 1:
        tail:
            conv 3x3, c -> relu
            conv 1x1, c
    if n == 1 and pre:
        last: conv 1x1, 2*c
    if not pre:
        last: conv 1x1, c

block Either(c, wide = false):
    if wide:
        norm: gn groups=2
    conv: conv 3x3, c
    if not wide:
        norm: bn

net N(pre = true, n = 1, norm: op = none, c = 4):
    input 4, 8x8
    a: Act c, pre, norm, n
    b: Act c, false, bn, 2
    d: Act 2*c, true, none
    e: Either 4
    f: Either 4, n > 1
    gap

variant one = N()
variant two = N(false, 2, bn)
""",
    "children of one name under conditions of which one is given": """
block Way(c, near = false, far = false):
    if near:
        conv: conv 1x1, c
    if not near and not far:
        conv: conv 3x3, c
        relu
    if far:
        conv:
            conv 5x5, c -> bn

net N(far = false, c = 4):
    input 4, 8x8
    a: Way c, near=true
    b: Way 2*c
    d: Way c, far=true
    e: Way c, far=far
    gap

variant one = N()
variant two = N(true, 3)
""",
    "the last of a list that is a cell of a table": """
block Tail(c: list, k = 0):
    for i, w in enumerate(c):
        conv{i}: conv 3x3, w
    from flow -> conv 1x1, c[-1] + k as last

block Join(c: list, d: list):
    concat:
        one: conv 1x1, c[0]
        two: conv 1x1, c[-1]
        three: conv 1x1, d[-2] + d[-1]

block Both(c: list):
    t: Tail c, 1
    j: Join c, [3, 4, c[-1]]

net N(cfg: table, extra: list = [2, 3]):
    input 3, 8x8
    for i, r in enumerate(cfg):
        a{i}: Tail r.w
        b{i}: Join r.w, r.d
        m{i}: conv 3x3, r.w[-1] + r.d[-2]
        d{i}: Both r.w
    e: Both extra
    f: Tail extra
    gap
    fc: fc 2

table one(w, d):
    [2, 4],    [1, 2, 3]
    [3, 5, 7], [2, 6]

table two(w, d):
    [5], [2, 1]

variant n1 = N(one)
variant n2 = N(two, [4, 2, 6])
""",
    "a block of a list, whose channels only its class knows": """
block Levels(c: list):
    fork:
        for i in range(len(c)):
            conv{i}: conv 3x3, c[i], /2**i -> relu

block Decoder(c: list, skip = true):
    n = len(c)
    y = from x[n - 1]
    for i in range(n - 2, -1, -1):
        up = from y -> upsample 2 -> conv 3x3, c[i] as up{i}
        if skip:
            y = from up, x[i] -> concat
        else:
            y = from up
        y = from y -> conv 3x3, c[i] as dec{i} -> relu
    from y

net N(c: list = [4, 6, 8], skip = true):
    input 3, 16x16
    levels: Levels c
    decoder: Decoder c, skip
    head: conv 1x1, 2

net Pair(skip = false):
    input 3, 16x16
    a: conv 3x3, 4
    b: conv 3x3, 6, /2
    from a, b
    decoder: Decoder [4, 5], skip
    head: conv 1x1, flow.c

variant one = N()
variant two = N([4, 6], false)
variant pair = Pair()
""",
    "values with two numbers": """
default conv 3x3, bias=false, norm=bn, act=relu

block Double(c):
    conv1: conv c
    conv2: conv c

block UNetPP(c, depth = 3, classes = 2):
    for i in range(depth):
        if i == 0:
            from x
        else:
            from x{i-1}_0 -> maxpool 2x2
        x{i}_0 = from flow -> Double c*2**i as node{i}_0
    for j in range(1, depth):
        for i in range(depth - j):
            concat:
                for k in range(j):
                    from x{i}_{k}
                from x{i+1}_{j-1} -> upsample 2
            x{i}_{j} = from flow -> Double c*2**i as node{i}_{j}
    from x0_{depth-1}
    head: conv 1x1, classes, norm=none, act=none

block Grid(widths: list, m = 2):
    y0_0 = from x -> conv widths[0] as start
    for i, w in enumerate(widths):
        for j in range(m):
            add:
                from y{i}_{j} -> conv 1x1, w as a{i}_{j}
                from y0_0 -> conv 1x1, w as b{i}_{j}
            y{i}_{j+1} = from flow
        y{i+1}_0 = from flow
    from y{len(widths)}_0

block Nested(c, depth = 3):
    x0_0 = from x -> conv c as conv0_0
    for i in range(1, depth):
        x{i}_0 = from x{i-1}_0 -> maxpool 2x2 -> conv c as conv{i}_0
    for j in range(1, depth):
        for i in range(depth - j):
            from x{i+1}_{j-1} -> upsample 2
            from x{i}_{j-1}, flow -> concat
            x{i}_{j} = from flow -> conv c as conv{i}_{j}
    from x0_{depth-1}

block Grids(c, n = 2, m = 2):
    for i in range(n):
        for j in range(m):
            branch{i}_{j}: conv 3x3, c -> bn -> relu
    last: conv 1x1, c

net N(depth = 3, c = 4):
    input 3, 32x32
    a: UNetPP c, depth
    b: UNetPP 5, 2
    d: Nested 4, depth
    e: Nested 4, 2
    f: Grids 4, 3
    g: Grids 4, 2, 3
    h: Grid [3, 4]
    i: Grid [3, 4, 5], 3
    gap

variant one = N()
variant two = N(4)
""",
    "names that a container has from around it, and binds under a condition": """
block B(c, deep = true):
    w = c
    v = c + 1
    y = from x
    body:
        conv 3x3, c as a
        if deep:
            w = 2*c
            y = from flow -> relu
        conv 3x3, w as b
        from y, flow -> concat
        conv 1x1, c as d
    e: conv 1x1, w
    tail:
        if deep:
            v = 2*c
        else:
            v = 3*c
        conv 1x1, v as f
        conv 1x1, c as g
    from flow, y -> concat
    h: conv 1x1, v

net N(deep = true):
    input 4, 8x8
    a: B 4, deep
    b: B 6, false
    c: B 5
    gap
""",
    "a child under one condition and another, and a value that an output reads": """
block B(c, mode: str in ["plain", "wide"] = "plain", deep = true, n = 2):
    conv: conv 3x3, c
    if deep:
        y = from flow -> relu
    fork:
        identity
        side: conv 1x1, c
    add
    if deep:
        from y -> conv 1x1, c as extra
    z = from flow
    for i in range(n):
        if mode == "wide":
            u = from flow -> conv 1x1, 2*c as wide{i}
        else:
            u = from flow -> conv 1x1, c as wide{i}
        if mode == "wide":
            from u -> conv 1x1, c as narrow{i}
        else:
            from u
        if deep and mode == "wide":
            from flow, y -> add
    pick = mode if deep else "plain"
    if pick == "wide":
        tail: conv 1x1, c

net N(mode: str in ["plain", "wide"] = "plain", deep = true):
    input 4, 8x8
    a: B 4, mode, deep
    b: B 4, "wide", false
    c: B 4, n=3
    if deep:
        w = from flow -> relu
    d: conv 3x3, 4
    output early: from w when deep
    e: conv 1x1, 4
    if deep:
        from w, flow -> add
    gap

variant one = N()
variant two = N("wide", false)
""",
    "texts that layers are made with": """
block Up(c, mode = "nearest", approximate = "none"):
    up: upsample 2, mode=mode
    conv: conv 3x3, c
    gelu approximate=approximate
    upsample 2, mode=mode

block Maybe(c, mode = "none"):
    conv: conv 3x3, c
    if mode != "none":
        upsample 2, mode=mode
    add:
        identity
        conv 1x1, c as skip
    conv2: conv 1x1, c

block Seq(mode = "nearest"):
    upsample 2, mode=mode
    gelu approximate="tanh"

net N(mode: str in ["nearest", "bilinear"] = "nearest"):
    input 3, 8x8
    a: Up 4, mode
    b: Up 4, "bilinear", "tanh"
    c: Maybe 4
    d: Maybe 4, mode
    e: Seq mode
    f: Seq "bilinear"
    upsample 2, mode=mode
    gap
variant one = N()
variant two = N("bilinear")
""",
    "blocks and ops that arguments are compared with": """
block Basic(c, stride = 1):
    add:
        main:
            conv 3x3, c, /stride
            bn
        short: conv 1x1, c, /stride when stride != 1 or x.c != c
    relu

block Bottleneck(c, stride = 1):
    add:
        main:
            conv 1x1, c
            conv 3x3, c, /stride
            conv 1x1, 4*c
        short: conv 1x1, 4*c, /stride when stride != 1 or x.c != 4*c
    relu

block Stage(unit: op, c, n = 2):
    blocks: n * unit c
    if unit == Bottleneck:
        tail: conv 1x1, c

net N(unit: op = Basic, act: op = relu):
    input 3, 16x16
    stem: conv 3x3, 8
    s1: Stage unit, 4
    s2: Stage unit, 8
    mid: conv 1x1, 8
    act
    if act == relu:
        extra: conv 1x1, 4
    if unit != Basic:
        more: conv 1x1, 6
    gap
    fc: fc 5

variant one = N()
variant two = N(Bottleneck)
variant three = N(Bottleneck, act=silu)
""",
    "blocks and ops that arguments are compared with, again": """
default conv 3x3, bias=false

block Basic(c, stride = 1):
    add:
        conv: conv 3x3, c, /stride
        short: conv 1x1, c, /stride when stride != 1 or x.c != c
    relu

block Wide(c, k = 3):
    conv: conv 3x3, k*c
    relu

table stages(unit, c, n):
    Basic, 4, 1
    Wide(k=2), 6, 2
    Wide, 6, 1

block Stage(c, unit: op, n = 2, norm: op = none, act: op = relu):
    out = 2*c if unit == Wide(k=2) else c
    stem: conv out
    if norm == gn(groups=2):
        bn as first_norm
    elif norm:
        norm as norm
    if unit == Basic:
        down: unit c, /2
        blocks: n * unit c
    elif unit != Wide:
        one: unit c
        norm2: norm when norm != none
    else:
        two: Wide c, k=1
    if act == leaky_relu(0.2) or act == gelu:
        extra: conv 1x1, out
    act
    last: conv 1x1, out if act != relu else c

block Tower(rows: table = stages):
    for i, r in enumerate(rows):
        unit = r.unit
        u{i}: unit r.c
        if unit == Basic:
            p{i}: conv 1x1, r.c
        d{i}: conv 1x1, r.c

block Acts(act: op = relu, deep = false):
    conv: conv 1x1, x.c
    plain = act == relu
    for i in range(2):
        c{i}: conv 1x1, x.c
        if act != relu and (i > 0 or deep):
            act
    act
    fc: conv 1x1, 3 when plain

net N(unit: op = Basic, act: op = relu, norm: op = none, n = 2):
    input 3, 16x16
    a: Stage 4, unit, norm=norm
    b: Stage 4, Wide, act=leaky_relu(0.2), norm=gn(groups=2)
    c: Stage 4, Wide(k=2), act=gelu, norm=bn, n=1
    d: Stage 4, Basic, n=1, act=leaky_relu
    e: Stage 4, unit, act=act, norm=gn(groups=2)
    f: Tower
    g: Acts
    h: Acts act, true
    i: Acts silu
    if unit == Basic:
        j: unit 5
    gap
    fc: fc 5 when act != relu

variant one = N()
variant two = N(Wide, n=1, norm=bn)
variant three = N(Wide(k=2), act=gelu)
""",
    "arguments that are blocks or ops": """
block SE(r = 4):
    mul:
        identity
        gate:
            avgpool to=1x1
            conv 1x1, x.c // r as down
            relu
            conv 1x1, x.c as up
            sigmoid

block Unit(c, unit: op = relu):
    conv: conv 3x3, c
    bn: bn
    unit as act

net N(last: op = relu):
    input 3, 16x16
    a: Unit 8
    b: Unit 8, SE
    c: Unit 8, unit=SE(r=2)
    d: Unit 8, identity
    e: Unit 8, last
    gap
    fc: fc 5

variant one = N()
variant two = N(SE)
""",
    "arguments that are blocks or ops, again": """
block SE(r = 2):
    mul:
        identity
        gate: avgpool to=1x1 -> conv 1x1, x.c // r as down -> relu -> conv 1x1, x.c as up -> sigmoid

block Wide(k = 2):
    conv: conv 1x1, k*x.c

table rows(c, att):
    4, none
    6, SE
    6, relu
    8, avgpool(3x3, stride=1, pad=1)
    8, Wide(k=3)

block Unit(c, att: op = none, act: op = relu):
    conv: conv 3x3, c
    act as act
    att as att when att
    relu
    last: conv 1x1, c

block Seq(c, act: op = relu, n = 2):
    body:
        conv 1x1, c
        act
        conv 3x3, c
        bn
        n * act
    conv: conv 1x1, c

block Norms(c, norm: op = bn):
    a: conv 1x1, c
    norm as first_norm
    b: conv 1x1, c, norm=norm
    relu

block Gate(c, act: op = sigmoid):
    mul:
        identity
        act as act
    if act == sigmoid:
        conv: conv 1x1, c
    elif act == SE:
        conv2: conv 3x3, c

block Outer(c, act: op = relu, att: op = SE):
    u: Unit c, att, act
    s: Seq c, act
    g: Gate c, att
    t: tanh

block Rows(t: table = rows):
    for i, r in enumerate(t):
        att = r.att
        u{i}: Unit r.c, att, silu

net N(act: op = relu, att: op = none, norm: op = bn):
    input 3, 16x16
    a: Unit 4, SE
    b: Unit 4, maxpool(3x3, stride=2, pad=1), silu
    c: Unit 4, att, act
    d: Unit 4, dropout(0.0)
    e: Seq 4, act
    f: Seq 6, SE, 1
    g: Norms 4, ln
    h: Norms 4, norm
    i: Norms 4, SE
    j: Norms 6, relu
    k: Gate 6
    l: Gate 4, SE
    m: Gate 6, SE(r=3)
    o: Outer 4
    p: Outer 6, tanh, relu
    q: Rows
    gap
    fc: fc 5

variant one = N()
variant two = N(SE(r=1), att=relu)
variant three = N(leaky_relu(0.2), SE, gn(groups=2))
""",
    "names that one turn binds and others read": """
block Cell(c, n = 3):
    for i in range(n):
        if i == 0:
            width = c
            begin = from flow
        conv{i}: conv 3x3, width -> bn -> relu
        if i > 0:
            add:
                identity
                from begin -> conv 1x1, width as skip{i}
    last: conv 1x1, 2*width

net N(n = 3):
    input 3, 8x8
    a: Cell 4, n
    b: Cell 8, 1
    gap
""",
    "names that one turn binds and others read, again": """
block Cell(c, n = 3):
    for i in range(n):
        conv{i}: conv 3x3, c
        if i > 0:
            add:
                identity
                from prev -> conv 1x1, c as skip{i}
        prev = from flow
    last: conv 1x1, c

net N(n = 3):
    input 3, 8x8
    a: Cell 4, n
    b: Cell 8, 1
    gap
""",
    "names that one turn binds, in loops of many kinds": """
block Plain(c):
    conv: conv 1x1, c

block Shared(c, n = 3, wide = false):
    for i in range(n):
        if i == 0:
            width = 2*c if wide else c
            act = relu
            start = from flow -> conv 1x1, width as stem
        conv{i}: conv 3x3, width -> bn -> act
        add:
            identity
            from start -> conv 3x3, width as skip{i}
    from start, flow -> concat
    last: conv 1x1, width

block Grow(c, n = 2):
    for i in range(n):
        if i > 0:
            fork:
                identity
                from prev
            concat
        conv{i}: conv 3x3, c*(i + 1) -> relu
        prev = from flow -> maxpool 3x3, /1, pad=1
    from flow, prev -> concat
    last: conv 1x1, c

block Dense(cfg: list):
    for i, c in enumerate(cfg):
        if i == 0:
            stem: conv 3x3, c -> relu
            base = c
            y = from flow
        else:
            c{i}: conv 3x3, c + base -> relu
            add:
                identity
                from y -> conv 1x1, c + base as s{i}
    last: conv 1x1, base

block Down(c, n = 3):
    for i in range(n):
        if i == 0:
            high = from flow -> conv 1x1, c as entry
        down{i}: conv 3x3, c*2**i, /2
        if i < 2:
            Plain c*2**i as p{i}
    up: avgpool to=1x1
    mul:
        from high
        conv 1x1, c as gate

block Renew(c, n = 3):
    for i in range(n):
        if i == 0:
            k = 1
            z = from flow
        from z -> conv 3x3, c*k as a{i}
        add:
            identity
            from z -> conv 1x1, c*k as b{i}
        z = from flow
        k = 2*k
    last: conv 1x1, c

net N(n = 3, wide = true):
    input 3, 16x16
    a: Shared 4, n, wide
    b: Shared 4, 1
    c: Grow 4, n
    d: Grow 6, 1
    e: Dense [4, 5, 6]
    f: Dense [4]
    g: Down 4, n
    h: Down 4, 1
    i: Renew 4, 2
    j: Renew 4, n
    for i in range(n):
        if i == 0:
            last = from flow
        u{i}: conv 3x3, 4
    add:
        identity
        from last -> conv 1x1, 4 as side
    gap

variant one = N()
variant two = N(2, false)
""",
    "pools with arguments of their own": """
block Unit(c, down: op = maxpool(2x2)):
    conv: conv 3x3, c
    down as down
    last: conv 1x1, c

block Act(c, acts: op = none):
    conv: conv 3x3, c, act=acts
    second: conv 3x3, c, norm=bn, act=acts
    if acts == none:
        relu

net N(down: op = maxpool(2x2), act: op = relu):
    input 3, 32x32
    a: Unit 4
    b: Unit 4, down
    c: Unit 6, avgpool(2x2)
    d: Act 4
    e: Act 4, act
    f: Act 4, silu
    gap
variant one = N()
variant two = N(avgpool(3x3, stride=2, pad=1), none)
""",
    "ops, texts and lists as arguments": """
block Rebind(c, k = 3):
    act = relu if k > 3 else silu
    for i in range(2):
        if i == 0:
            kept = act
        conv{i}: conv 3x3, c -> act
    last: conv 1x1, c

block ASPP(c, rates: list = [1, 2], mode = "bilinear", act: op = relu):
    concat:
        for i, r in enumerate(rates):
            branch{i}: conv 3x3, c, dilation=r -> bn -> act
        conv 1x1, c as one
    project: conv 1x1, c -> bn -> act
    up: upsample 2, mode=mode

block CSP(c, n = 1, short: bool = true, unit: op = identity):
    conv1: conv 1x1, c
    y = from flow
    for i in range(n):
        u{i} = from flow -> unit as m{i}
        if short:
            add:
                from u{i}
                from y
    last: conv 1x1, c

block Ghost(c, ratio = 2):
    primary: conv 1x1, c // ratio
    concat:
        identity
        dwconv 3x3 as cheap

net N(act: op = relu, mode = "bilinear", n = 1):
    input 3, 16x16
    a: Rebind 4
    b: Rebind 4, 5
    c: ASPP 4, [1, 2, 3], mode, act
    d: ASPP 6, act=silu
    e: CSP 6, n
    f: CSP 6, 2, false, relu
    g: CSP 6, 2, unit=Ghost(6)
    gap
variant one = N()
variant two = N(gelu, "nearest", 2)
""",
    "lists of texts that layers are made with": """
block Up(c, modes: list = ["nearest"]):
    for i, m in enumerate(modes):
        conv{i}: conv 3x3, c
        upsample 2, mode=m

table ups(c, mode):
    4, "nearest"
    6, "bilinear"

block Tab(t: table = ups):
    for i, r in enumerate(t):
        conv{i}: conv 3x3, r.c
        m = r.mode
        if m == "bilinear":
            extra{i}: conv 1x1, r.c
        upsample 2, mode=m

net N(modes: list = ["nearest"]):
    input 3, 8x8
    a: Up 4, ["nearest", "bilinear"]
    b: Up 4, modes
    c: Tab
    gap
variant one = N()
variant two = N(["bilinear"])
""",
    "a joint of all values so far of a level, and one whose channels a variable keeps": """
block Double(c):
    conv 3x3, c
    conv 3x3, c

block UNetPP(widths: list, classes = 2):
    d = len(widths)
    for i, w in enumerate(widths):
        x{i}_0: Double w
        if i < d - 1:
            maxpool 2x2, /2
    for j in range(1, d):
        for i in range(d - j):
            up{i}_{j}: from x{i+1}_{j-1} -> upsample 2
            concat:
                for k in range(j):
                    from x{i}_{k}
                from up{i}_{j}
            x{i}_{j}: Double widths[i]
    head: conv 1x1, classes

block Down(widths: list, c):
    for i, w in enumerate(widths):
        c{i}: conv 3x3, w, /(1 if i == 0 else 2)
    for i in range(len(widths)-1, -1, -1):
        concat:
            from c{i} -> conv 1x1, c as l{i}
            upsample 2 when i < len(widths)-1
            for k in range(i):
                from c{k} -> maxpool 1x1, /2**(i-k)
        p{i}: conv 3x3, c

net N(c = 3):
    input 3, 32x32
    a: UNetPP [4, 5, 6], c
    b: UNetPP [3, 2]
    c: Down [4, 6, 5], c
    d: Down [4, 3], 5
    gap
""",
    "sums and products that begin with branches under conditions": """
block A(c, stride = 1):
    add:
        if stride == 1 and x.c == c:
            identity
        conv 3x3, c, /stride as body
block B(c, stride = 1):
    add:
        if x.c == c:
            conv 1x1, c as a
        conv 3x3, c as body
        conv 3x3, c as body2
block C(c, stride = 1):
    add:
        conv 3x3, c, /stride as body
        if stride == 1 and x.c == c:
            identity
block D(c, k = 1):
    mul:
        if k == 1:
            conv 1x1, c as a
        elif k == 2:
            conv 1x1, c as b
            conv 1x1, c as bb
        conv 3x3, c as body
block E(c, k = 1):
    add:
        if k == 1:
            conv 1x1, c as a
        if k == 2:
            conv 1x1, x.c as b
        conv 3x3, c as body
block G(c, stride = 1, p = true):
    add:
        if stride == 1 and x.c == c:
            identity
        if p:
            conv 1x1, c, /stride as s
        conv 3x3, c, /stride as body
net N(c = 8):
    input 3, 64x64
    a: A c, 2
    b: B 16
    c: C 8, 2
    d: D 8, 2
    dd: D 8, 3
    e: E 4, 1
    f: E 4, 2
    g: G 8, 2
    h: G 16
    i: G 16, p=false
    gap
""",
    "parts of a value that one block takes": """
block Dual(c) from r, d:
    y = from r, d -> concat
    last: from y -> conv 1x1, c

block Two(c):
    a, b = from x -> split 2
    dual: from a, b -> Dual c

net N(c = 8):
    input 3, 16x16
    stem: conv 3x3, 2*c
    a, b = from stem -> split 2
    one: from a, b -> Dual c
    two: Two c
    both = from flow -> split 2
    from both[0], both[1] -> Dual 3 as three
    gap
""",
    "a branch of a joint, under a condition on its channels": """
block Rep(c, stride = 1):
    add:
        if x.c == c and stride == 1:
            same: bn
        dense: conv 3x3, c, /stride -> bn
        point: conv 1x1, c, /stride -> bn
    relu

block Over(c, k: dims, branches = 2, wide = false):
    add:
        if x.c == c:
            same: bn
        for i in range(branches):
            conv{i}: conv k, c
        if k[0] > 1:
            point: conv 1x1, c
        if wide:
            wide: conv 5x5, c

net N(n = 2):
    input 3, 8x8
    for i in range(n):
        a{i}: Rep 4*(i + 1)
    b: Rep 5, 2
    c: Rep 5
    d: Over 6, 3x3
    e: Over 6, 1x1, 0, true
    gap
variant one = N()
variant two = N(3)
""",
    "numbers and truths that turns change": """
block Grow(c, step = 1.5, n = 3):
    w = 1.0 * c
    odd = false
    for i in range(n):
        w = w + step
        a{i}: conv 3x3, int(w) + (1 if odd else 0)
        odd = not odd
    b: conv 1x1, int(w)
    [relu when odd]
    last: conv 1x1, c + (1 if odd else 0)

net N(n = 2, scale = 1.5):
    input 3, 8x8
    w = 4.0
    for i in range(2):
        for j in range(n):
            w = w * scale
            c{i}_{j}: conv 1x1, int(w)
    a: Grow 4, n=n
    b: Grow 5, 0.5, 4
    gap
variant one = N()
variant two = N(3, 1.25)
""",
    "heads on one value, behind which no map flows": """
net N(heads: list = [3, 5], hidden = 4):
    input 3, 8x8
    stem: conv 3x3, 4, /2
    g = from flow -> gap
    for i, h in enumerate(heads):
        head{i}: from g -> fc hidden -> relu -> fc h
    output second: from head1
    from head0
variant one = N()
variant two = N([2, 4, 6], 5)
""",
    "a list that is empty here, and not in the other net": """
net N(w: list = [4, 8, 6], n: list = [1, 2, 1], head: list = []):
    input 3, 8x8
    stem: conv 3x3, w[0]
    for i in range(1, len(w)):
        m = n[i]
        down{i}: m * conv 3x3, w[i]
        conv{i}: conv 3x3, w[i], /2
    for i in range(len(w) - 1, 0, -1):
        up{i}: upsample 2 -> conv 1x1, w[i-1]
    for i in range(len(w) - 2, -1, -1):
        side{i}: conv 3x3, w[i]
    gap
    for i, h in enumerate(head):
        fc{i}: fc h -> relu
    out: fc w[-1] + len(head)
variant one = N()
variant two = N([4, 6], [0, 1], [5, 7])
variant three = N([4], [1])
""",
    "learned tensors under a condition, which other lines read under it": """
block Scaled(c, on = true):
    if on:
        weight gamma [c, 1, 1], init=normal(1, 0.1)
        weight beta [c, 1, 1], init=normal(0, 1)
    if not on:
        weight delta [c, 1, 1], init=normal(0, 1)
    y: conv 3x3, c
    if on:
        z = from flow
        from z, gamma -> mul
    w: conv 1x1, c
    if on:
        z = from flow
        from z, beta -> add
    else:
        z = from flow
        from z, delta -> add

net N(on = true):
    input 3, 8x8
    a: Scaled 4, on
    b: Scaled 5, false
    gap
variant one = N()
variant two = N(false)
""",
    "sides of a ladder that begin alike": """
block Head(c, times = 8):
    skip = from x -> conv 1x1, c as skip
    maxpool 2x2, /2
    if times == 4:
        up: upconv 4x4, c, /4
    elif times == 2:
        twice: upconv 2x2, c, /2
        from flow, skip -> add
        relu
        last: conv 3x3, c
    else:
        twice: upconv 2x2, c, /2
        from flow, skip -> add
        relu
        more: upconv 2x2, c, /2

net N(times = 8):
    input 3, 8x8
    a: Head 4, 4
    b: Head 5, 2
    c: Head 6, times
    gap
variant one = N()
variant two = N(2)
""",
    "values that change places in turns and under conditions": """
block Sw(c, n = 2, flip = true):
    a: conv 3x3, c
    b: from x -> conv 1x1, c
    u = from a
    v = from b
    w = from x -> conv 3x3, c as w0
    for i in range(n):
        t = from u
        u = from v
        v = from w
        w = from t -> conv 3x3, c as s{i}
    if flip:
        t = from u
        u = from v
        v = from t
    from u, v, w, a -> concat
block Sides(c, p = true):
    a: conv 3x3, c
    b: from x -> conv 1x1, c
    d: from x -> conv 3x3, c
    from d
    if p:
        u = from a
        v = from b
        w = from flow
    else:
        u = from b
        v = from flow
        w = from a
    from u, v -> mul
    from flow, w -> concat
    from flow, a -> concat
net N(c = 4, n = 2):
    input 3, 8x8
    m: Sw c, n
    k: Sw 3, 1, false
    o: Sides 5
    q: Sides 4, false
    gap
""",
    "several values go into turns, of which some are read after them": """
block Swap(c) from a, b, d:
    p: from a -> conv 3x3, c
    q: from b -> conv 3x3, c
    r: from d -> conv 3x3, c
    return p, q, r
block Mix(c, n = 2):
    a: conv 3x3, c
    b: conv 3x3, c
    d: conv 3x3, c
    from a, b, d
    for i in range(n):
        s{i}: Swap c
    concat
    from a, b, flow -> concat
net N(c = 4, n = 2):
    input 3, 8x8
    m: Mix c, n
    k: Mix 3, 1
    gap
""",
    "modules under a condition, of which nobody reads what they make": """
block B(c, p = true):
    a: conv 3x3, c
    y = from a -> [conv 3x3, 2*c as conv when p] -> relu
    z: from a -> bn
    if p:
        w = from a -> conv 1x1, 3 as d -> bn as e
    from a
net N(c = 4, p = true):
    input 3, 8x8
    b: B c, p
    d: B 5, false
    q = from flow -> [conv 1x1, 2 as u when p] -> identity
    gap
""",
    "numbers that one side of a condition binds": """
block Given(c, deep = true, k = 2):
    if deep:
        w = c // 2
        mid = c // k
        wide = c > 8
    conv: conv 3x3, c
    body:
        conv 3x3, c as a
        if deep:
            z = from flow -> relu
            conv 1x1, w as d
            from z, flow -> concat
            conv 1x1, c as e
    if deep:
        squeeze: conv 1x1, mid
        if wide:
            relu
        tail: conv 1x1, mid + w
    last: conv 1x1, c

block Parts(c, deep = true):
    conv: conv 3x3, c
    if deep:
        w = c // 2
        a, b = from flow -> split [w, c - w]
        from b, a -> concat
    last: conv 1x1, c
    if deep:
        p, q = from flow -> split [c - w, w]
        from q, p -> concat

block Nest(c, a = true, b = false, se = 0.25):
    if a:
        big = c > 4
        if b:
            k = 2*c
            rate = se / 2
        else:
            k = c
            rate = se
    conv: conv 3x3, c
    if a:
        one: conv 1x1, max(int(rate * k), 1)
        if big:
            relu
        else:
            sigmoid
        if b:
            two: conv 1x1, k
    three: conv 1x1, c

block Late(c, n = 2, deep = true):
    for i in range(n):
        conv{i}: conv 3x3, c
        if deep:
            w = (i + 1)*c
        relu
        if deep:
            up{i}: conv 1x1, w
            if w > 8:
                down{i}: conv 1x1, w // 2
    last: conv 1x1, c

block Twice(c, mode = 0):
    if mode == 0:
        w = c
    elif mode == 1:
        w = 2*c
    conv: conv 3x3, c
    if mode == 0 or mode == 1:
        side: conv 1x1, w
    if mode == 1:
        more: conv 1x1, w
    last: conv 1x1, c

net N(c = 8, deep = true, b = true, mode = 0):
    input 3, 16x16
    a: Given c, deep
    b: Given 2*c, false, 0
    d: Parts c, deep
    e: Parts 2*c, false
    f: Nest c, deep, b
    g: Nest c, false, b, 0.5
    h: Late c, 3, deep
    i: Late 3, 2, false
    j: Twice c, mode
    k: Twice c, 1
    l: Twice c, 2
    gap
variant n1 = N()
variant n2 = N(16, false, false, 1)
""",
    "numbers that one turn binds, or each anew": """
table rows(k, c):
    3, 8
    1, 4

block Firsts(c, cfg: list, n = 3):
    conv: conv 3x3, c
    for i, k in enumerate(cfg):
        if i == 0:
            base = 2*k
        a{i}: conv 1x1, base
        k{i}: conv 1x1, k
    b: conv 1x1, c
    for i in range(n):
        if i == 0:
            start = x.c
            part = c // 4
            y = from flow -> conv 1x1, 4 as side
        c{i}: conv 1x1, c + i
        if i > 0:
            d{i}: conv 1x1, start + c
        else:
            e: conv 1x1, c
        f{i}: conv 1x1, c
        p, q = from flow -> split [part, c - part]
        from q, p -> concat
    last: conv 1x1, c

block Pairs(c):
    for i, (k, m) in enumerate(zip([3, 1, 1], [4, 2, 1])):
        if i == 0:
            w = k + m
        conv{i}: conv 1x1, w
        q{i}: conv 1x1, m
    for i, row in enumerate(rows):
        if i == 0:
            v = row.c
        r{i}: conv 1x1, v
    last: conv 1x1, c

block Carry(c, n = 2):
    stem: conv 3x3, c
    for i in range(n):
        grow{i}: conv 1x1, x.c + 2
        if i == 0:
            base = x.c
        g{i}: conv 1x1, base
    w = 1
    for i in range(n):
        m{i}: conv 3x3, w
        if i < 2:
            w = w + 1
        o{i}: conv 1x1, c + w
    last: conv 1x1, w

block Turns(c, n = 3, wide = true):
    conv: conv 3x3, c
    for i in range(n):
        if i == 0:
            w = 2
        else:
            w = 3
        a{i}: conv 1x1, c
        p, q = from flow -> split [w, c - w]
        from q, p -> concat
        v = i + 1
        if i == 2:
            v = v + c
        if v > 2:
            relu
        else:
            sigmoid
        u = 2
        if wide:
            u = 3
        b{i}: conv 1x1, c
        p, q = from flow -> split [u, c - u]
        from q, p -> concat
    last: conv 1x1, c

net N(c = 8, n = 3, wide = true):
    input 3, 16x16
    a: Firsts c, [4, 2, 1], n
    b: Firsts 2*c, [3], 1
    d: Pairs c
    e: Carry c, n
    f: Carry 4, 1
    g: Turns c, n, wide
    h: Turns 6, 1, false
    gap
variant n1 = N()
variant n2 = N(16, 2, false)
""",
    "lists and floats that one side of a condition binds": """
block Lists(c, kind = 0):
    if kind == 0:
        ks = [1, 3]
        act = relu
    else:
        ks = [3, 5, 1]
        act = sigmoid
    stem: conv 3x3, c
    for i, k in enumerate(ks):
        a{i}: conv 1x1, c + k
        act
    last: conv 1x1, c

block Floats(c, drop = true, rate = 0.2, n = 2):
    if drop:
        p = rate / 2
        q = rate * c / 8
    stem: conv 3x3, c
    for i in range(n):
        if i > 0:
            r = rate / i
        a{i}: conv 3x3, c
        if i > 0:
            b{i}: conv 1x1, max(int(r * c), 1)
    if drop:
        d: conv 1x1, max(int(p * c), 1) + max(int(q), 1)
    last: conv 1x1, c

net N(c = 8, deep = true):
    input 3, 16x16
    a: Lists c
    b: Lists c, 1
    d: Floats c, deep
    e: Floats c, false, 0.5, 1
    gap

variant n1 = N()
variant n2 = N(16, false)
""",
    "arguments that are blocks of several values": """
block A(n: list):
    n1, n2 = n
    a: n1 * conv 3x3, 8
    b: n2 * conv 3x3, 16, /2
    from b, a

block B(c = 4):
    a: conv 3x3, c
    b: conv 3x3, 8, /2
    from b, a

block C(c, k = 3):
    fork:
        one: conv 1x1, c
        two: conv 3x3, c + k

net N(f: op, g: op = C(5), classes = 21):
    input image: 3, 20x21
    p, q = from image -> f as back
    from p -> conv 1x1, classes as head -> resize like=q
    r, s = from flow -> g as side
    (identity | from r -> resize like=q | from s -> resize like=q) -> concat

block P(c) from a, b:
    one: from a -> conv 3x3, c
    two: from b -> conv 1x1, c + 1
    from two, one

block Q(c, k: dims = 3x3) from a, b:
    one: from a -> conv k, 2*c
    two: from b -> conv 1x1, c
    from two, one

block R(unit: op, n) from a, b:
    p, q = from a, b
    for i in range(n):
        p, q = from p, q -> unit 4 as u{i}
    from p, q

net M(unit: op, n = 2):
    input image: 4, 9x8
    a: conv 1x1, 5
    b: conv 3x3, 5
    p, q = from a, b -> R unit, n as r
    from p -> conv 3x3, q.c as last
    (identity | from q) -> add

variant n1 = N(A([1, 2]))
variant n2 = N(B)
variant n3 = N(B(3), C(2, k=4), classes=3)
variant n4 = N(C(6), A([0, 1]))
variant m1 = M(P)
variant m2 = M(Q)
variant m3 = M(Q(k=1x3), n=1)
""",
}
"""Texts whose every block and net is one class."""


def nets(text: str) -> list[Network]:
    """Return the nets of a text."""
    return list(map(Network, recipes(read_text(text), "", {}, {})))


def texts(text: str, backend: str) -> list[tuple[Network, str]]:
    """Return every net with its module, alone and, where there are several, in a family."""
    found = nets(text)
    alone = [(net, net.emit(backend)) for net in found]
    if len(found) == 1:
        return alone
    (family,) = emit_family(found, backend).values()
    return [*alone, *((net, family) for net in found)]


@pytest.mark.parametrize("backend", ["torch", "flax"])
def test_style_and_types(backend: str, tmp_path: Path) -> None:
    """The modules are as clean as the zoo's."""
    for number, text in enumerate([*NETS.values(), *CLASSES.values()]):
        (module,) = emit_family(nets(text), backend).values()
        (tmp_path / f"net{number}.py").write_text(module)
    assert mypy(tmp_path) == ""
    options = ("--isolated", "--no-cache", "--line-length", "100")
    rules = ("--target-version", "py311", "--select", RULES, "--ignore", IGNORED[backend])
    assert tool("ruff", "check", *options, *rules, tmp_path) == ""
    assert tool("ruff", "format", *options, "--diff", tmp_path) == ""


@pytest.mark.parametrize("case", NETS)
def test_torch(case: str) -> None:
    for net, text in texts(NETS[case], "torch"):
        model, shapes = execute(text)[net.name](), state_shapes(net)
        assert {key: tuple(t.shape) for key, t in model.state_dict().items()} == shapes
        assert list(model.state_dict()) == list(shapes)
        numbers = draw_state(shapes, 1)
        model = without_dropout(model.double())
        model.load_state_dict(numbers)
        torch.manual_seed(0)
        x = [torch.randn(3, *shape, dtype=torch.float64) for shape in net.inputs.values()]
        for train in (False, True):
            with torch.no_grad():
                ours, theirs = by_name(model.train(train)(*x)), interpret(net, numbers, x, train)
            assert list(ours) == list(theirs)
            for name, expected in theirs.items():
                assert float(expected.abs().max()) > 0
                torch.testing.assert_close(ours[name], expected, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("case", [*NETS, *CLASSES])
def test_modules_can_be_traced(case: str) -> None:
    for net in nets({**NETS, **CLASSES}[case]):
        model = net.build().eval()
        x = [torch.randn(2, *shape) for shape in net.inputs.values()]
        traced = torch.fx.symbolic_trace(model)
        with torch.no_grad():
            ours, theirs = by_name(traced(*x)), by_name(model(*x))
        assert list(ours) == list(theirs)
        assert all(map(torch.equal, ours.values(), theirs.values()))


@pytest.mark.parametrize("case", NETS)
def test_flax(case: str) -> None:
    for net, text in texts(NETS[case], "flax"):
        numbers = draw_state(state_shapes(net), 1)
        numbers = {key: value.float().double() for key, value in numbers.items()}  # statistics stay float32
        with jax.enable_x64(True):
            model = unfilled(execute(text)[net.name], param_dtype=jnp.float64)
            arrays = {key: value.numpy() for key, value in numbers.items()}
            state = netdsl.convert_weights(net, arrays, "torch", "flax")
            assert set(state) == {tensor.key for tensor in netdsl_flax.Backend().tensors(net)}
            load_flax(model, state)
            model.eval()
            torch.manual_seed(0)
            x = [torch.randn(3, *shape, dtype=torch.float64) for shape in net.inputs.values()]
            laid = [
                jnp.asarray(value.numpy().transpose(channels_last(shape)))
                for value, shape in zip(x, net.inputs.values(), strict=True)
            ]
            out = nnx.jit(lambda model, *x: model(*x))(model, *laid)
            found = [one for one in (out if isinstance(out, tuple) else (out,)) if one is not None]
            for ours, expected in zip(found, interpret(net, numbers, x, False).values(), strict=True):
                theirs = expected.numpy()
                theirs = theirs.transpose(0, 2, 3, 1) if theirs.ndim == 4 else theirs
                assert np.abs(np.asarray(ours) - theirs).max() <= 1e-9 * np.abs(theirs).max()


SIDED = """
block Gate(c, deep = true):
    if deep:
        skip = from x -> relu
    body:
        conv 3x3, c as a
        if deep:
            z = from flow -> relu
        conv 3x3, c as b
        if deep:
            from z, flow -> add
    if deep:
        y = from flow -> split 2
    else:
        y = from flow -> tanh
    norm: bn
    if deep:
        from y[1], y[0], skip, flow -> concat
    else:
        from y, flow -> add
    last: conv 1x1, c

net N:
    input 8, 8x8
    a: Gate 8
    b: Gate 8, false
    gap
"""


def test_values_that_are_not_always_there_can_be_scripted() -> None:
    model, x = nets(SIDED)[0].build().eval(), torch.randn(2, 8, 6, 6)
    assert torch.equal(scripted(model)(x), model(x))


def test_a_ladder_of_conditions_stays_one() -> None:
    (text,) = emit_family(nets(NETS["a ladder of conditions"]), "torch").values()
    forward = text.partition("class Down(")[2].partition("def forward")[2].partition("class ")[0]
    assert (forward.count("elif "), forward.count("else:")) == (2, 1)
    assert " in_channels + max(c - in_channels, 1) if kind == 2 and r == 2 else c\n" in text


def test_the_last_of_a_list_is_so_for_every_length() -> None:
    """What a call returns is said of the list that it was given, and not of its length in the first turn."""
    found = nets(CLASSES["the last of a list that is a cell of a table"])
    (text,) = emit_family(found, "torch").values()
    assert "Join(r[0][-1], r[0], r[1])" in text
    assert 'raise ValueError(f"r[1] needs at least 2 values, not {len(r[1])}")' in text
    made = execute(text)
    for net in found:
        shapes = {key: tuple(value.shape) for key, value in made[net.name]().state_dict().items()}
        assert shapes == state_shapes(net)


def test_what_a_size_is_compared_with_is_an_argument_of_a_net_but_in_turns() -> None:
    (text,) = emit_family(
        nets(NETS["sizes that are compared with turns, and with arguments"]), "torch"
    ).values()
    found = {node.name: node for node in ast.parse(text).body if isinstance(node, ast.ClassDef)}
    assert {"Blocks", "Loop", "Limit"} <= set(found)
    assert "Limit2" not in found
    for name, takes in (("Loop", ["self", "c"]), ("Limit", ["self", "c", "limit"])):
        (made,) = (m for m in found[name].body if isinstance(m, ast.FunctionDef) and m.name == "__init__")
        assert [arg.arg for arg in made.args.args] == takes


def test_what_counts_down_needs_no_check() -> None:
    (text,) = emit_family(
        nets(CLASSES["a list that is empty here, and not in the other net"]), "torch"
    ).values()
    assert "for i in range(len(w) - 1, 0, -1):" in text
    assert "value of number" not in text


def test_channels_are_those_of_the_side_that_reads_them() -> None:
    text = nets(CLASSES["a child under one condition and another, and a value that an output reads"])[0].emit(
        "torch"
    )
    assert 'self.add_module(f"narrow{i}", nn.Conv2d(2 * c, c, 1))' in text
    assert "if self.deep and self.tail is not None:" in text


def test_what_may_not_be_bound_is_bound_before_the_condition_or_loop() -> None:
    (text,) = emit_family(nets(CLASSES["numbers that one side of a condition binds"]), "torch").values()
    given = text.partition("class Given(")[2]
    assert "        w = c // 2\n" in given
    assert "        mid = 0\n" in given  # c // k may fail
    assert "            mid = c // k\n" in given
    assert "        k = 2 * c if b else c\n" in text.partition("class Nest(")[2]
    (text,) = emit_family(nets(CLASSES["numbers that one turn binds, or each anew"]), "torch").values()
    firsts = text.partition("class Firsts(")[2].partition("class Pairs(")[0]
    assert "        part = c // 4\n        for i in range(n):" in firsts
    assert "        base = 0\n" in firsts  # the list may be empty


REBOUND = {
    "before a condition": """
block B(c, wide = true):
    stem: conv 1x1, c
    w = c // 4
    split [w, c - w] -> concat
    if wide:
        w = w + 1
    split [w, c - w] -> concat
    conv: conv 3x3, c
""",
    "in a turn": """
block B(c, wide = true, n = 3):
    stem: conv 1x1, c
    for i in range(n):
        w = c // 4
        split [w, c - w] -> concat
        if wide:
            w = w + i
        a{i}: conv 1x1, c
""",
    "by turns of a loop within": """
block B(c, wide = true, n = 3):
    for i in range(n):
        w = c // 4
        for j in range(2):
            a{i}_{j}: conv 1x1, c
            w = w + 1
        split [w, c - w] -> concat
""",
    "by what turns hand on": """
block B(c, wide = true, n = 3):
    w = 1
    for i in range(n):
        a{i}: conv 1x1, c
        if i < 2:
            w = w + 1
        split [w, c - w] -> concat
""",
    "as a flag": """
block B(c, wide = true):
    big = c > 8
    a: conv 1x1, c
    if big:
        relu
    if wide:
        big = c > 4
    b: conv 1x1, c
    if big:
        relu
""",
}


@pytest.mark.parametrize("case", REBOUND)
def test_a_number_that_forward_reads_and_is_bound_anew_is_refused(case: str) -> None:
    """An attribute holds what it is in the end."""
    net = "net N(wide = true):\n    input 8, 8x8\n    a: B 8, wide\n    b: B 12, false\n    gap\n"
    (found,) = nets(f"{REBOUND[case]}\n{net}")
    with pytest.raises(NetError, match="and `forward` knows only what it is in the end"):
        found.emit("torch")


def test_a_list_beside_another_argument_may_be_empty() -> None:
    (text,) = emit_family(nets(CLASSES["ops, texts and lists as arguments"]), "torch").values()
    aspp = execute(text)["ASPP"]
    assert aspp(3, 4, rates=[])(torch.randn(2, 3, 8, 8)).shape == (2, 4, 16, 16)
    with pytest.raises(ValueError, match="c and rates must be at least 1"):
        aspp(3, 4, rates=[2, 0])
    assert "odd kernels" not in text  # 2 * r + 1 is odd


LISTS_OF_THE_FILE = """
widths = [4, 8, 16]

block Named(counts: list):
    for i, n in enumerate(counts):
        if n > 0:
            d{i}: n * conv 3x3, widths[i]

block Chain(counts: list):
    for i, n in enumerate(counts):
        n * conv 3x3, widths[i] -> relu

block Both(counts: list):
    for n, width in zip(counts, widths):
        n * conv 3x3, width -> relu

net N(counts: list = [1, 1, 2]):
    input 3, 16x16
    named: Named counts
    chain: Chain counts
    both: Both counts
    gap

variant one = N()
variant two = N([2, 0, 1])
"""


@pytest.mark.parametrize("backend", ["torch", "flax"])
def test_a_list_of_the_file_is_as_long_as_what_turns_read_of_it(backend: str) -> None:
    (text,) = emit_family(nets(LISTS_OF_THE_FILE), backend).values()
    more = {"rngs": nnx.Rngs(0)} if backend == "flax" else {}
    made = execute(text)
    for block in (made["Named"], made["Chain"]):
        assert block(3, [1, 2, 0, 0, 0], **more).out_channels == 8
        with pytest.raises(ValueError, match="has no value of number 3"):
            block(3, [1, 1, 1, 1], **more)
    with pytest.raises(ValueError, match=r"counts\)? (must be|needs) 3"):
        made["Both"](3, [1, 1, 1, 1], **more)
    assert "if n > 0 and" not in text.partition("class Chain")[0]  # which is known there
    assert "at least 1 channel" not in text  # those of the file's list have some


def test_the_last_value_but_one_of_one_is_that_value() -> None:
    """An index below 0 counts from the end, as in Python; `w[-2]` needs two values, and `w[len(w) - 2]` one."""
    (text,) = emit_family(
        nets(CLASSES["the last value but one of lists that may have one"]), "torch"
    ).values()
    made = execute(text)
    assert made["Before"](3, [5]).conv.out_channels == 5
    assert made["Second"]([3], 4)([torch.randn(2, 3, 8, 8)]).shape == (2, 4, 8, 8)
    with pytest.raises(ValueError, match="w needs at least 1 value, not 0"):
        made["Before"](3, [])


NUMBERS_OF_OPS = """
block Norms(c, eps = 0.1, momentum = 0.1, k = 1.0):
    conv 3x3, c -> bn eps=eps, momentum=momentum -> lrn 3, k=k

block Acts(slope = 0.1, alpha = 1.0, beta = 1.0, low = 0.0, high = 6.0):
    leaky_relu slope -> celu alpha -> softplus beta -> hardtanh low, high

block Extra(n):
    weight token [n, 1, 1], init=ones
    pool: avgpool to=1x1
    concat:
        identity
        from token

net N:
    input 4, 8x8
    a: Norms 4
    b: Norms 3, 0.2, 0.3, 2.0
    c: Acts
    d: Acts 0.2, 2.0, 0.5, 1.0, 7.0
    shift 1x0
    e: Extra 2
    gap
"""


@pytest.mark.parametrize("backend", ["torch", "flax"])
def test_numbers_that_an_op_does_not_take_are_refused(backend: str) -> None:
    (text,) = emit_family(nets(NUMBERS_OF_OPS), backend).values()
    more = {"rngs": nnx.Rngs(0)} if backend == "flax" else {}
    made = execute(text)
    norms, acts = partial(made["Norms"], 4, 4, **more), partial(made["Acts"], 4, **more)
    norms(eps=1e-9, momentum=0.0)
    acts(slope=0.0, beta=1e-3, low=-2.0, high=-1.0)
    for make, given, message in (
        (norms, {"eps": 0.0}, "eps must be more than 0, not 0.0"),
        (norms, {"momentum": -0.5}, "momentum must be at least 0, not -0.5"),
        (norms, {"momentum": 1.5}, "momentum must be at most 1, not 1.5"),
        (norms, {"k": 0.0}, "k must be more than 0, not 0.0"),
        (acts, {"slope": -1.0}, "slope must be at least 0, not -1.0"),
        (acts, {"alpha": 0.0}, "alpha must be more than 0, not 0.0"),
        (acts, {"beta": -1.0}, "beta must be more than 0, not -1.0"),
        (acts, {"low": 1.0, "high": 1.0}, "max must be more than 1.0, not 1.0"),
        (partial(made["Extra"], 4, **more), {"n": 0}, "n must be at least 1"),
    ):
        with pytest.raises(ValueError, match=message):
            make(**given)


@pytest.mark.parametrize("backend", ["torch", "flax"])
def test_what_is_of_no_sample_is_no_result(backend: str) -> None:
    text = """
block Gate(c):
    weight a [c, 1, 1], init=ones
    from a -> sigmoid

net N:
    input 3, 8x8
    mul:
        identity
        gate: Gate 3
    gap
"""
    with pytest.raises(NetError, match="Gate returns what is made of learned tensors alone, for no sample"):
        nets(text)[0].emit(backend)


@pytest.mark.parametrize("backend", ["torch", "flax"])
def test_a_sum_without_a_branch_is_refused(backend: str) -> None:
    (text,) = emit_family(nets(CLASSES["sums whose branches each turn decides on"]), backend).values()
    more = {"rngs": nnx.Rngs(0)} if backend == "flax" else {}
    made = execute(text)
    for name, given in (("Sum", ([0, 0],)), ("Nested", (2, 1)), ("Local", (2,)), ("Table", ([3], False))):
        with pytest.raises(ValueError, match="needs at least 1 branch"):
            made[name](3, *given, **more)
    assert "if not any(w > 0 for w in widths):" in text


@pytest.mark.parametrize("backend", ["torch", "flax"])
def test_channels_that_happen_to_be_1_are_not_repeated(backend: str) -> None:
    text = """
block Same(c = 1):
    add:
        identity
        proj: conv 1x1, c

net N:
    input 1, 9x8
    a: Same
    mid: conv 1x1, 4
    b: Same 4
"""
    more = {"rngs": nnx.Rngs(0)} if backend == "flax" else {}
    made = execute(nets(text)[0].emit(backend))
    made["Same"](4, c=4, **more)
    for given in ({}, {"c": 2}):
        with pytest.raises(ValueError, match="channels cannot be joined"):
            made["Same"](4, **given, **more)


PRESENT = """
block A(c):
    conv: conv 3x3, c
block B(c):
    conv: conv 1x1, c
block Unused(c):
    conv: conv 1x1, c

block Stage(unit: op, c):
    u: unit c
    if unit == B:
        b: conv 1x1, c
    if unit == Unused:
        d: conv 1x1, c

block Wide(c):
    conv: conv 3x3, 2*c

net N(unit: op = A):
    input 3, 8x8
    s: Stage unit, 4
    late: B 3
    gap

variant one = N()
variant two = N(Wide)
"""


def test_an_argument_may_be_a_block_that_has_a_class() -> None:
    """One that has none is no argument, and nothing is written for it."""
    (text,) = emit_family(nets(PRESENT), "torch").values()
    assert "if unit is B:" in text
    assert "Unused" not in text
    made = execute(text)
    assert made["Stage"](3, made["B"], 4).b is not None
    assert made["Stage"](3, made["A"], 4).b is None


@pytest.mark.parametrize("backend", ["torch", "flax"])
def test_a_text_that_no_layer_is_made_with_is_refused(backend: str) -> None:
    (text,) = emit_family(nets(CLASSES["texts that layers are made with"]), backend).values()
    more = {"rngs": nnx.Rngs(0)} if backend == "flax" else {}
    made = execute(text)
    with pytest.raises(ValueError, match="mode must be 'nearest' or 'bilinear' or 'bicubic', not cubic"):
        made["Up"](3, 4, mode="cubic", **more)
    with pytest.raises(ValueError, match="mode must be 'nearest' or 'bilinear' or 'bicubic', not area"):
        made["Maybe"](3, 4, mode="area", **more)
    made["Maybe"](3, 4, mode="none", **more)
    assert text.partition("class N(")[2].count("mode must be") == 1  # the net's line says which there are


def test_a_container_with_a_number_is_called_without_it() -> None:
    text = nets(CLASSES["values with numbers that containers with numbers read"])[0].emit("torch")
    assert "class Level(nn.Module)" in text
    assert "def forward(self, xs: list[Tensor], p: dict[int, Tensor]) -> Tensor:" in text


def one_class(case: str, backend: str) -> tuple[str, list[Subject]]:
    """Return the module of a text, of whose every block it has one class, and those that are called here."""
    found = nets(CLASSES[case])
    (text,) = emit_family(found, backend).values()
    lines = [line.replace("(", " ").split() for line in CLASSES[case].splitlines()]
    declared = [words[1] for words in lines if words and words[0] in ("block", "net")]
    classes = [node.name for node in ast.parse(text).body if isinstance(node, ast.ClassDef)]
    assert sorted(name for name in classes if name.rstrip("0123456789") in declared) == sorted(declared)
    subjects = subjects_of(found[0], backend, text).values()
    return text, [s for s in subjects if not (isinstance(s.decl, NetDecl) and listed(s))]


def listed(subject: Subject) -> bool:
    """Tell whether a class takes lists, of which few fit each other."""
    return any("list" in param.types for param in subject.params.values())


@pytest.mark.parametrize("case", CLASSES)
def test_one_class(case: str) -> None:
    """Every block is one class, which is the block for other arguments and sizes too."""
    for subject in one_class(case, "torch")[1]:
        result = report(subject, "torch", 4)
        assert result.legal
        assert not result.wrong


@pytest.mark.proof
@pytest.mark.parametrize("case", CLASSES)
def test_one_class_of_flax(case: str) -> None:
    text, subjects = one_class(case, "flax")
    graphs = [
        (subject.name, draw, net.graph) for subject in subjects for draw, net in drawn(subject, 1).legal
    ]
    wanted = [f"{name} {draw} {[(n.name, n.op, n.inputs) for n in graph]}" for name, draw, graph in graphs]
    runs = interpreter.running({*ACTIVATIONS, *(node.op.name for *_, graph in graphs for node in graph)})
    name = re.sub(r"\W+", "_", case)
    sources = [metamorphic, metamorphic_flax]
    with proving(f"{name}.called.flax", "torch jax jaxlib flax numpy", sources, text, runs, *wanted) as known:
        assert known or [fault for subject in subjects for fault in report(subject, "flax", 1).wrong] == []


STEPS = """
block Three(c):
    for j in range(3):
        droppath ramp(0, 0.3)

block Cell(c, top = 0.2) from prev, cur:
    a: from cur -> conv 1x1, c
    for j in range(2):
        w{j}: conv 3x3, c -> droppath ramp(0.1, top)

net N(c = 4, n = 2):
    input 2, 16x16
    one: Three 4
    cell: from x, flow -> Cell c
    two: n * Three 5
    again: from x, flow -> Cell 3
    gap
"""


@pytest.mark.parametrize("n", [0, 1, 3])
def test_steps_of_a_schedule_in_one_block_go_on(n: int) -> None:
    model = execute(nets(STEPS)[0].emit("torch"))["N"](n=n)
    ours = [module.p for module in model.modules() if type(module).__name__ == "DropPath"]
    graph = netdsl.api.loads(STEPS, n=n).graph
    assert ours == pytest.approx([node.op.p for node in graph if node.op.name == "droppath"])


def test_modules_under_a_condition_run_though_nobody_reads_what_they_make() -> None:
    """As all others do: their statistics move, and they count."""
    (net,) = nets(CLASSES["modules under a condition, of which nobody reads what they make"])
    model = execute(net.emit("torch"))["n"]()
    model(torch.randn(2, 3, 8, 8))
    assert int(model.b.e.num_batches_tracked) == int(model.b.z.num_batches_tracked) == 1

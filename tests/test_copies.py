"""A block that is given the same is run once and copied: nothing of the net is another than if each had been run."""

import random
from typing import Any

import pytest

from netdsl import api, data
from netdsl.diagnostics import NetError
from netdsl.elaborate.build import Builder, Elaborator, Recipe
from netdsl.elaborate.files import Files
from netdsl.elaborate.values import show
from netdsl.elaborate.walk import Walker
from netdsl.ide.analysis import Analysis, Look
from netdsl.ir.graph import Scope
from netdsl.source import Source


def recipes(text: str, name: str = "case.net") -> list[Recipe]:
    file, errors = Files(api._importer(None, ())).declarations(Source(name, text))
    assert not errors
    return [Recipe(net, variant, {}, {}) for net, variant in api.instances(file).values()]


def facts(scope: Scope) -> list[Any]:
    """Return all that a scope knows, and those in it."""
    own = {name: value for name, value in vars(scope).items() if name != "written"}
    return [own, [item if isinstance(item, str) else facts(item) for item in scope.written]]


def told(recipe: Recipe, copying: bool) -> tuple[Any, int]:
    """Return all that is known of a net, or what is wrong with it; and how many blocks were copied."""
    elaborator = Elaborator(recipe)
    walker = elaborator.walker
    assert isinstance(walker, Builder)
    copies = walker.copies
    assert copies is not None
    if not copying:
        walker.copies = None
    evaluator = walker.evaluator
    try:
        done = elaborator.run()
    except NetError as error:
        return (error.diagnostics, walker.repeated), copies.made
    graph = done.graph
    nodes = [vars(node) for node in graph]
    known = {name: value for name, value in vars(done).items() if name not in ("graph", "budgets")}
    claims = [
        (one.scope, one.stage, one.span, {name: show(value) for name, value in one.env.names.items()})
        for one in done.budgets
    ]
    ends = graph.inputs, graph.outputs
    texts = [repr(node.op) for node in graph]  # 0 is not 0.0
    return (nodes, texts, graph._heads, ends, facts(graph.tree), known, claims, evaluator.steps), copies.made


@pytest.mark.parametrize("name", data.names("specs", ".net"))
def test_the_zoo_is_the_same(name: str) -> None:
    for recipe in recipes(data.read("specs", name), name):
        assert told(recipe, True)[0] == told(recipe, False)[0]


def test_most_of_a_deep_net_is_copied() -> None:
    deep = next(
        one
        for one in recipes(data.read("specs", "resnet.net"))
        if one.variant and one.variant.name == "resnet152"
    )
    assert told(deep, True)[1] == 42  # of 50 blocks: two of each stage differ, its first and its second


def edits(text: str, draw: random.Random) -> str:
    """Return a text with a number, a name or a line changed, as somebody who types does."""
    at = draw.randrange(len(text))
    kind = draw.randrange(4)
    if kind == 0:
        digits = [i for i, char in enumerate(text) if char.isdigit()]
        at = draw.choice(digits)
        return text[:at] + draw.choice(["0", "2", "1"]) + text[at:]
    if kind == 1:
        return text[:at] + draw.choice([" ", "x", ",", "\n", "(", "#"]) + text[at:]
    if kind == 2:
        return text[:at] + text[at + 1 :]
    lines = text.split("\n")
    line = draw.randrange(len(lines))
    return "\n".join([*lines[:line], *lines[line + 1 :]])


def shown(analysis: Analysis) -> Any:
    """Return what an analysis says, whatever objects it is made of."""
    told = [
        (one.code, one.message, one.note, one.help, one.details, str(one.span), one.span and one.span.end)
        for one in analysis.diagnostics
    ]
    places = [[str(label) for label in one.labels] for one in analysis.diagnostics]
    calls = [[(frame.what, str(frame.span)) for frame in one.calls] for one in analysis.diagnostics]
    lines = [vars(line) for line in analysis.lines]
    return told, places, calls, lines, analysis.nets, analysis.net, analysis.params, analysis.macs


@pytest.mark.parametrize("name", data.names("specs", ".net"))
def test_a_text_says_the_same_whatever_was_typed_before(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is kept of earlier texts changes nothing, and copies neither, in right texts and in wrong ones."""
    draw = random.Random(name)
    text = data.read("specs", name)
    before: Look | None = None
    for _ in range(4):
        source = Source(name, edits(text, draw))
        typed, fresh, apart = Look(source, before=before), Look(source), Look(source)
        net = draw.choice(typed.nets) if typed.nets else ""
        found = shown(typed.analysis(net))
        assert found == shown(fresh.analysis(net))
        with monkeypatch.context() as each:
            each.setattr(Builder, "inside", Walker.inside)
            assert found == shown(apart.analysis(net))
        before = typed


HEAD = """
block Unit(c, act: op = relu):
    conv1: conv 3x3, c
    [act when act]
    add:
        identity
        conv 1x1, c as more

"""

NETS = {
    "positions and labels": """
        first:
            2 * Unit 8
            Unit 8
        body:
            Unit 8
            Unit 8
        last: Unit 8
    """,
    "lists of children": """
        units.0: Unit 8
        units.1: Unit 8
        units.2: Unit 8
    """,
    "types of numbers": """
        a: Typed [0]
        b: Typed [0.0]
        c: Typed [0]
    """,
    "ops as arguments": """
        a: Unit 8, act=leaky_relu(0.1)
        b: Unit 8, act=leaky_relu(0.1)
        c: Unit 8, act=leaky_relu(0.2)
        d: Unit 8, act=none
        e: Unit 8, act=none
    """,
    "defaults": """
        a: Unit 8
        default Unit act=tanh
        b: Unit 8
        c: Unit 8
    """,
    "initialisers": """
        a:
            init conv weight=zeros
            u: Unit 8
            v: Unit 8
        b: Unit 8
        c:
            init conv weight=ones
            u: Unit 8
        init conv weight=normal(0, 0.02)
    """,
    "stages": """
        stage 1:
            a: Unit 8
            b: Unit 8
        stage 2:
            c: Unit 8
            d: Unit 8
        e: Unit 8
    """,
    "decisions": """
        a: Chosen 8
        b: Chosen 8
        3 * Chosen 8
    """,
    "schedules": """
        r = ramp(0, 0.2)
        for i in range(3):
            s{i}: Scheduled 8, r
        t: Own 8
        u: Own 8
        v: Own 8
    """,
    "claims": """
        a: Claims 8
        b: Claims 8
        c: Claims 16
    """,
    "what a net says of itself": """
        a: Says 1
        b: Says 2
        c: Says 1
        d: Says 1
    """,
    "modules that run again": """
        a: Twice 8
        b: Twice 8
        u: Unit 8
        same u
        same a
        v: Unit 8
    """,
    "names of values outside": """
        y = from flow -> relu
        a: Names 8
        from y -> Names 8 as b
        cur = from y -> tanh
        from cur, y -> Pair as p
        from y, cur -> Pair as q
        from p, q -> Pair as r
        from p, p -> Pair as s
        from q, q -> Pair as t
        from cur, y -> Pair as w
        from p -> relu
    """,
    "names of values within": """
        from flow -> Inner as a
        mid = from a -> relu
        from mid -> Inner as b
        from mid -> relu
        from a -> Inner as c
        from flow -> Inner as d
    """,
    "training": """
        a: Unit 8
        train output aux: from a -> Unit 8 -> Unit 8
        b: Unit 8
    """,
    "two values that are one": """
        y = from flow -> relu
        from flow, flow -> Tuple as a
        from flow, y -> Tuple as b
        from y, y -> Tuple as c
        from y, a -> Tuple as d
    """,
    "too deep in itself": """
        a: Deep 9, 8
        b: Deep 9, 8
        c: Deep 18, 8
    """,
    "blocks in blocks": """
        a: Nested 3, 8
        b: Nested 3, 8
        c: Nested 2, 8
        d: Nested 9, 8
    """,
    "without an end": """
        a: Unit 8
        b: Endless 8
        c: Unit 8
        d: Endless 8
    """,
    "an error in each": """
        a: Unit 8
        b: Wrong 8
        c: Wrong 8
        d: Unit 8
    """,
    "an error that is not handed on": """
        a: Mended 8
        b: Mended 8
        c: Mended 8
    """,
    "learned tensors": """
        weight v [8, 16, 16]
        from flow -> Learned as a
        from v -> Learned as b
        from v -> Learned as c
        from x -> Learned as d
        from a, b, c, d -> add
    """,
    "inline": """
        a: Holds 8
        b: Holds 8
        c:
            Flat 8
            Flat 8
    """,
    "conditions, loops and containers": """
        a: Turns 3
        b: Turns 3
        c: Turns 2
    """,
    "a chain without labels": """
        Chain
        Chain
        Chain
    """,
    "other shapes": """
        a: Unit 8
        b: Unit 16
        c: Unit 16
        maxpool 2x2, /2
        d: Unit 16
        e: Unit 16
    """,
}  # fmt: skip

WRONG = {
    "decisions": "E217",
    "without an end": "E211",
    "an error in each": "E301",
    "an error that is not handed on": "E301",
    "too deep in itself": "E213",
}
NEVER = ("schedules", "claims", "what a net says of itself")
"""What each block has to do itself."""

BLOCKS = """
block Typed(n: list):
    conv 1x1, 8
    dropout n[0]

block Chosen(c):
    k = choose(3x3, 5x5)
    conv k, c

block Scheduled(c, p: float):
    conv 1x1, c
    droppath p

block Own(c):
    conv 1x1, c
    droppath ramp(0, 0.1)

block Claims(c):
    require params <= 100
    require c >= 8
    conv 1x1, c

block Says(n):
    meta said=n
    conv 1x1, 8

block Twice(c):
    m: Unit c
    same m
    r: relu
    same r

block Names(c):
    y = from x -> identity
    from y -> conv 1x1, c as conv
    add:
        from y
        from conv

block Pair from cur, y:
    cur2 = from cur
    from cur, y -> add
    from flow, cur2 -> mul

block Inner:
    mid: conv 1x1, 8
    from mid -> relu as end
    from mid, end -> add

block Nested(n, c):
    conv: conv 1x1, c
    if n > 1:
        inner: Nested n - 1, c
        again: Nested n - 1, c

block Deep(n, c):
    conv: conv 1x1, c
    if n > 1:
        inner: Deep n - 1, c

block Tuple:
    add

block Mended(c):
    conv 3x3, c, groups=3
    from x -> relu

block Endless(c):
    u: Unit c
    v: Endless c

block Wrong(c):
    conv 3x3, c, groups=3

block Learned:
    weight w [8, 1, 1]
    from x, w -> add
    from flow -> relu

inline block Flat(c):
    conv 1x1, c
    relu

block Holds(c):
    Flat c
    Flat c

block Turns(n):
    for i in range(n):
        part{i}:
            w = i + 1
            @allow(narrow, "here")
            conv 1x1, 8 * w as conv
            [relu when i > 0]
    stage 1:
        end: conv 1x1, 8

block Chain:
    conv 1x1, 8 -> bn -> relu

"""


@pytest.mark.parametrize("title", NETS)
def test_what_differs_from_call_to_call(title: str) -> None:
    text = f"{HEAD}{BLOCKS}net N:\n        input 8, 16x16\n{NETS[title]}"
    (recipe,) = recipes(text)
    (has, copied), (wanted, _) = told(recipe, True), told(recipe, False)
    assert has == wanted
    if title in WRONG:
        assert [one.code for one in has[0]] == [WRONG[title]]
    else:
        assert bool(copied) == (title not in NEVER)


@pytest.mark.parametrize("most", [5, 9, 10, 11, 12, 13, 14, 15, 16, 20, 100])
def test_limits_are_met_where_they_would_be(most: int) -> None:
    text = f"{HEAD}net N:\n    input 8, 16x16\n    4 * Unit 8\n"
    (recipe,) = recipes(text)
    limited = recipe.replace(max_nodes=most)
    assert told(limited, True)[0] == told(limited, False)[0]

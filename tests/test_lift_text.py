"""The text of a graph is what a person would have written: blocks with arguments, counts, loops, conditions."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from zoo import FILES, NAMES
from zoo import net as zoo_net

import netdsl
from netdsl import Network, api
from netdsl.ir.graph import Graph, Scope
from netdsl.lifting import difference, lifted
from netdsl.lifting.items import Item
from netdsl.lifting.layout import Layout
from netdsl.lifting.words import FREE

GOLDEN = Path(__file__).parent / "golden" / "lift"
GOLDENS = ("resnet50", "densenet121", "googlenet", "mobilenet_v2", "efficientnet_b0", "swin_t", "hrnet_w18")
ONE_OF_EACH_FILE = list({FILES[name]: name for name in reversed(NAMES)}.values())


def bare(graph: Graph) -> Graph:
    """Return a graph whose blocks do not know what they were given."""

    def copied(scope: Scope) -> Scope:
        made = Scope(scope.kind, scope.path, scope.span, scope.block)
        for field in (
            "name",
            "module",
            "order",
            "first",
            "stages",
            "inputs",
            "input_names",
            "outputs",
            "modules",
        ):
            setattr(made, field, getattr(scope, field))
        made.written = [copied(item) if isinstance(item, Scope) else item for item in scope.written]
        return made

    made = graph.with_ops({})
    made.tree = copied(graph.tree)
    return made


def text(spec: str, known: bool = False) -> str:
    """Return the lifted text of a spec's net."""
    net = api.loads(spec)
    graph = net.graph if known else bare(net.graph)
    made = Network.from_graph(graph, net.name)
    assert difference(graph, made.graph) == ""
    found = made.recipe.net.file.source.text
    assert netdsl.format(found) == found
    return found


def unlabelled(spec: str) -> list[str]:
    """Return the lines of a spec whose layers have labels only where something needs them."""
    net = api.loads(spec)
    made = Network.from_graph(net.graph, net.name, labels=False)
    assert difference(net.graph, made.graph) == ""
    found = made.recipe.net.file.source.text
    assert netdsl.format(found) == found
    return [line.strip() for line in found.splitlines() if line]


def block(spec: str, known: bool = False) -> list[str]:
    """Return the lines of the first block of a lifted text, without white space around."""
    found = text(spec, known)
    return [line.strip() for line in found[found.index("block ") :].partition("\n\n")[0].splitlines()]


@pytest.mark.parametrize("name", GOLDENS)
def test_golden(name: str) -> None:
    """Read what changes here before you commit it."""
    file = GOLDEN / f"{name}.net"
    recipe, _ = lifted(zoo_net(name).graph, zoo_net(name).elaborated.shapes, name)
    found = recipe.net.file.source.text
    if os.environ.get("NETDSL_UPDATE"):
        file.write_text(found, encoding="utf-8")
    assert found == file.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ONE_OF_EACH_FILE)
def test_blocks_that_do_not_know_what_they_were_given(name: str) -> None:
    graph = bare(zoo_net(name).graph)
    _, made = lifted(graph, zoo_net(name).elaborated.shapes, name)
    assert difference(graph, made.graph) == ""
    assert tuple(made.graph.nodes) == tuple(graph.nodes)


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2", "googlenet"])
def test_without_structure(name: str) -> None:
    """What all else falls back to: a block for each instance that is unlike the others."""
    graph = zoo_net(name).graph
    recipe, made = lifted(graph, zoo_net(name).elaborated.shapes, name, structured=False)
    assert difference(graph, made.graph) == ""
    assert "when" not in recipe.net.file.source.text


CALLS = """
net N:
    input 24, 8x8
    {calls}
"""


def calls(body: str, *calls: str) -> str:
    """Return a spec with a block, and a net that calls it."""
    labelled = "\n    ".join(f"{'abcdefghjkmnpqrs'[at]}: {call}" for at, call in enumerate(calls))
    return body + CALLS.format(calls=labelled)


WIDE = "block B(c):\n    one: conv 1x1, c\n    two: conv 1x1, {wide}\n"


@pytest.mark.parametrize(
    ("wide", "found"),
    [
        ("c", "conv 1x1, c as one -> conv 1x1, c as two"),
        ("3*c", "conv 1x1, c as one -> conv 1x1, 3*c as two"),
        ("c//2", "conv 1x1, 2*c as one -> conv 1x1, c as two"),  # it is shorter
        ("3*c//2", "conv 1x1, c as one -> conv 1x1, 3*c//2 as two"),
        ("x.c", "conv 1x1, c as one -> conv 1x1, x.c as two"),
        ("2*x.c", "conv 1x1, c as one -> conv 1x1, 2*x.c as two"),
        ("x.c//4", "conv 1x1, c as one -> conv 1x1, x.c//4 as two"),
        (
            "make_divisible(x.c//4, 8)",
            "conv 1x1, c as one -> conv 1x1, make_divisible(x.c//4, 8) as two",
        ),
        ("max(1, x.c//32)", "conv 1x1, c as one -> conv 1x1, max(1, x.c//32) as two"),
        ("7", "conv 1x1, c as one -> conv 1x1, 7 as two"),
    ],
)
def test_expressions(wide: str, found: str) -> None:
    body = WIDE.replace("{wide}", wide)
    spec = calls(body, "B 16", "conv 1x1, 68", "B 40", "conv 1x1, 44", "B 72", "conv 1x1, 20", "B 8")
    spec += "    t: conv 1x1, 128\n    u: B 18\n    v: conv 1x1, 96\n    w: B 98\n"
    assert block(spec) == ["block B(c):", found]


def test_numbers_of_their_own_are_parameters() -> None:
    body = "block B(c, more):\n    one: conv 1x1, c\n    two: conv 3x3, more\n"
    lines = block(calls(body, "B 16, 5", "B 40, 9", "B 72, 4"))
    assert lines == ["block B(c1, c2):", "conv 1x1, c1 as one -> conv 3x3, c2 as two"]


def test_the_constructor_gives_names() -> None:
    body = "block B(planes, base):\n    one: conv 1x1, planes\n    two: conv 3x3, planes*base\n"
    spec = calls(body, "B 16, 2", "B 40, 3", "B 72, 2", "B 8, 3")
    assert block(spec, known=True) == [
        "block B(planes, base):",
        "conv 1x1, planes as one -> conv 3x3, planes*base as two",
    ]
    assert block(spec)[0] == "block B(c1, c2):"


def test_what_a_python_constructor_is_given() -> None:
    """Numbers for sizes, lists, classes, and what is no number at all."""
    body = "block B(k: dims, c, s):\n    one: conv k, c, /s\n"
    net = api.loads(calls(body, "B 3x3, 16, 1", "B 1x1, 40, 2", "B 5x5, 72, 1", "B 3x3, 8, 1"))
    for scope in net.graph.tree.scopes():
        if scope.kind == "block":
            k, c, s = (scope.args[name] for name in "kcs")
            scope.args = {
                "in_planes": 3,
                "planes": c,
                "kernel_size": k[0],
                "stride": [s, s],
                "norm_layer": type,
            }
            scope.args |= {"extra": [object()], "some": {"a": 1}, "none": None, "class": 3 * c}
    found = Network.from_graph(net.graph, net.name).recipe.net.file.source.text
    assert (
        "block B(kernel_size: dims, planes, stride = 1):\n    one: conv kernel_size, planes, /stride\n"
        in found
    )
    assert "B 1x1, 40, /2 as b" in found


def given(spec: str, *args: dict[str, object]) -> list[str]:
    """Return the lines of the first block of a net whose instances were given other arguments."""
    net = api.loads(spec)
    scopes = [scope for scope in net.graph.tree.scopes() if scope.kind == "block"]
    for scope, own in zip(scopes, args, strict=True):
        scope.args = dict(own)
    found = Network.from_graph(net.graph, net.name).recipe.net.file.source.text
    return [line.strip() for line in found[found.index("block ") :].partition("\n\n")[0].splitlines()]


def test_a_ratio_that_is_no_whole_number() -> None:
    body = "block B(c):\n    one: conv 1x1, c\n"
    spec = calls(body, "B 64", "B 184", "B 480", "B 40").replace("24, 8x8", "80, 8x8")
    ratios = [{"ratio": ratio} for ratio in (0.8, 2.9, 2.61, 0.083)]
    assert given(spec, *ratios)[1] == "one: conv 1x1, make_divisible(ratio*x.c, 8)"
    spec = calls(body, "B 40", "B 100", "B 30", "B 75").replace("24, 8x8", "80, 8x8")
    ratios = [{"ratio": ratio} for ratio in (0.5, 2.5, 0.3, 2.5)]
    assert given(spec, *ratios)[1] == "one: conv 1x1, int(ratio*x.c)"


GATED = "block B(c, k: dims, se: bool):\n    one: conv k, c\n    gate: bn when se\n    two: relu\n"


def test_conditions_do_not_follow_from_accidents() -> None:
    """That a width has one value wherever something is there says nothing; a bool of the constructor does."""
    spec = calls(GATED, "B 16, 3x3, false", "B 40, 5x5, true", "B 40, 3x3, true", "B 72, 5x5, true")
    gates = [{"planes": 16, "se": None}, *({"planes": c, "se": "Gate"} for c in (40, 40, 72))]
    assert "[bn as gate when se]" in given(spec, *gates)[1]
    gates = [{"planes": c, "deep": deep} for c, deep in ((16, False), (40, True), (40, True), (72, True))]
    assert "[bn as gate when deep]" in given(spec, *gates)[1]


def test_a_condition_is_about_what_it_is_for() -> None:
    body = "block B(c, s, t):\n    one: conv 1x1, t*x.c when t != 1\n    two: conv 3x3, c, /s\n"
    spec = calls(body, "B 16, 1, 1", "B 40, 2, 6", "B 72, 2, 6", "B 8, 2, 4", "B 56, 2, 4")
    for first, second in (("stride", "ratio"), ("ratio", "stride")):
        numbers = {"stride": (1, 2, 2, 2, 2), "ratio": (1, 6, 6, 4, 4)}
        args = [{name: numbers[name][at] for name in (first, second)} for at in range(5)]
        assert "[conv 1x1, ratio*x.c as one when ratio != 1]" in given(spec, *args)[1]


def test_widths_have_no_defaults() -> None:
    body = "block B(c, k: dims):\n    one: conv k, c\n"
    lines = block(calls(body, "B 16, 3x3", "B 16, 3x3", "B 16, 5x5", "B 40, 3x3"))
    assert lines[0] == "block B(k: dims, c):"
    args = [{"width": c, "ratio": t} for c, t in ((16, 2), (16, 2), (16, 2), (40, 1))]
    body = "block B(c, t):\n    one: conv 1x1, t*x.c\n    two: conv 1x1, c\n    three: conv 1x1, 8\n"
    spec = calls(body, "B 16, 2", "B 16, 2", "B 16, 2", "B 40, 1").replace("24, 8x8", "8, 8x8")
    assert given(spec, *args)[0] == "block B(width, ratio = 2):"


def test_a_kernel_of_a_layer_that_only_some_have() -> None:
    body = "block B(c, k: dims, s):\n    one: conv 1x1, c\n    two: dwconv k, /s when s != 1\n    three: bn\n"
    spec = calls(body, "B 16, 3x3, 2", "B 20, 3x3, 1", "B 24, 5x5, 2", "B 28, 3x3, 1")
    args = [{"size": k, "stride": s} for k, s in ((3, 2), (5, 1), (5, 2), (3, 1))]
    lines = given(spec, *args)
    assert "size: dims" in lines[0]
    assert "[dwconv size, /stride as two when stride != 1]" in lines[1]


def test_a_name_of_the_constructor_is_worth_a_factor() -> None:
    body = "block B(c):\n    one: conv 1x1, c\n    two: conv 1x1, 2*c\n"
    spec = calls(body, "B 128", "B 256", "B 512", "B 512")
    lines = given(spec, *({"planes": c} for c in (64, 128, 256, 256)))
    assert lines[0] == "block B(planes):"
    assert lines[1] == "conv 1x1, 2*planes as one -> conv 1x1, 4*planes as two"


def test_products_of_parameters_and_of_what_comes_in() -> None:
    body = "block B(c, t):\n    one: conv 1x1, t*x.c\n    two: conv 3x3, c\n"
    lines = block(calls(body, "B 16, 2", "B 40, 2", "B 72, 3", "B 8, 3", "B 56, 3"))
    assert lines == ["block B(c, expand = 3):", "conv 1x1, expand*x.c as one -> conv 3x3, c as two"]


def test_kernels_strides_and_defaults() -> None:
    body = "block B(k: dims, c, s = 1, g = 1):\n    one: conv k, c, /s, groups=g\n    two: bn\n"
    spec = calls(body, "B 3x3, 16", "B 1x1, 40, 2", "B 3x3, 72, 1, 8", "B 3x3, 8")
    assert block(spec)[:2] == [
        "block B(k: dims, c, stride = 1, groups = 1):",
        "conv k, c, /stride, groups=groups as one -> bn as two",
    ]
    assert "B 3x3, 72, groups=8 as c" in text(spec)
    assert "B 1x1, 40, /2 as b" in text(spec)


SHORTCUT = """
block B(c, s = 1):
    add:
        conv1: conv 3x3, {wide}, /s
        down: conv 1x1, {wide}, /s when {when}
"""


@pytest.mark.parametrize(
    ("wide", "when", "found"),
    [
        ("c", "s != 1 or x.c != c", "stride != 1 or x.c != c"),
        ("x.c", "s != 1", "stride != 1"),
    ],
)
def test_conditions_of_a_shortcut(wide: str, when: str, found: str) -> None:
    spec = calls(
        SHORTCUT.replace("{wide}", wide).replace("{when}", when), "B 24", "B 32, 2", "B 32", "B 48, 2", "B 48"
    )
    lines = block(spec)
    assert lines[-1].endswith(f" when {found}")
    assert lines[0] == ("block B(c, stride = 1):" if wide == "c" else "block B(stride = 1):")


def test_a_joint_without_a_branch_is_the_other() -> None:
    body = """
block B(c, s = 1):
    add:
        if s == 1 and x.c == c:
            from x
        conv1: conv 3x3, c, /s
"""
    assert block(calls(body, "B 24", "B 32, 2", "B 32", "B 48, 2", "B 48")) == [
        "block B(c, stride = 1):",
        "add:",
        "if stride == 1 and x.c == c:",
        "from x",
        "conv1: conv 3x3, c, /stride",
    ]


def test_a_condition_of_the_expansion() -> None:
    body = """
block B(c, t):
    one: conv 1x1, t*x.c when t != 1
    two: conv 3x3, c
"""
    assert block(calls(body, "B 16, 1", "B 40, 2", "B 72, 2", "B 8, 2", "B 56, 1")) == [
        "block B(c, expand = 2):",
        "[conv 1x1, expand*x.c as one when expand != 1] -> conv 3x3, c as two",
    ]


def test_a_condition_that_follows_from_nothing() -> None:
    body = "block B(p: bool):\n    one: conv 3x3, 8\n    extra: bn when p\n    two: relu\n"
    lines = block(calls(body, "B true", "B false", "B true", "B true"))
    assert lines[0] == "block B(extra = true):"
    assert "[bn as extra when extra]" in lines[1]
    known = block(calls(body.replace("p", "deep"), "B true", "B false", "B true", "B true"), known=True)
    assert known[0] == "block B(deep = true):"


def test_two_of_one_label_are_there_in_opposite_cases() -> None:
    body = "block A:\n    one: conv 1x1, x.c\n\nblock C:\n    two: conv 3x3, x.c\n\n"
    line = "    bn as norm -> [A as go when k == 1x1] -> [C as go when k != 1x1] -> conv k, 24 as end"
    body += f"block B(k: dims):\n{line}\n"
    spec = calls(body, "B 1x1", "B 3x3", "B 1x1", "B 5x5")
    found = [line for line in text(spec).splitlines() if " as go" in line]
    assert found == ["    bn as norm -> (A if k == 1x1 else C) as go -> conv k, 24 as end"]
    assert api.loads(spec).emit("torch")


def test_what_begins_elsewhere_under_a_condition_has_lines_of_its_own() -> None:
    items = [Item("call", "bn"), Item("call", "relu", source=("a",)), Item("call", "tanh", source=("a", "b"))]
    for item, when in zip(items, ("deep", "n != 1", "n == 1"), strict=True):
        item.when = when
    found = Layout(lambda item: item.name).lines([*items, items[0]])
    assert found == [
        "[bn when deep]",
        "if n != 1:",
        "    from a -> relu",
        "else:",
        "    from a, b -> tanh",
        "[bn when deep]",
    ]
    items = [Item("bind", binds=(name,), source=("x",)) for name in "abcdef"]
    for item, when in zip(items, ("e", "e", "not e", "not e", "e", "e"), strict=True):
        item.when = when
    assert Layout(lambda item: item.name).lines(items) == [
        "if e:",
        "    a = from x",
        "    b = from x",
        "else:",
        "    c = from x",
        "    d = from x",
        "if e:",
        "    e = from x",
        "    f = from x",
    ]
    body = "block B(e: bool):\n    a: conv 1x1, 8\n    b: conv 3x3, 8\n    if e:\n        e: from a -> (bn -> relu)\n"
    lines = block(calls(body + "    c: conv 1x1, 8\n", "B true", "B false", "B true"))
    assert lines[2:4] == ["if e:", "e: from a -> bn -> relu"]


def test_loops_over_joints() -> None:
    net = """
net N:
    input 8, 8x8
    for i in range({n}):
        add:
            from flow
            a.{{i}}: (bn -> conv 1x1, 8)
    for i in range(4):
        b{{i}}: conv 3x3, 8
        mul:
            from b{{i}}
            from flow -> relu
    c: conv 1x1, 8
"""
    for n in (2, 3):
        found = [line.strip() for line in text(net.format(n=n)).splitlines()]
        at = found.index(f"for i in range({n}):")
        assert found[at + 1 : at + 4] == ["add:", "from flow", "a.{i}: bn -> conv 1x1, 8"]
        at = found.index("for i in range(4):")
        assert "b{i}" in found[at + 1]


def test_a_loop_that_only_some_have_keeps_none_apart() -> None:
    body = "block B(c, stride = 1):\n"
    body += "    relu -> conv 3x3, c, /stride as conv_1 -> bn as bn_1\n"
    body += "    relu -> conv 3x3, c as conv_2 -> bn as bn_2\n"
    spec = calls(body, "B 16", "B 32, /2", "B 32", "B 8", "B 48, /2", "B 8, /2")
    found = text(spec)
    assert found.count("block B") == 1
    assert "for " not in found


def test_a_joint_of_what_a_chain_passes() -> None:
    spec = "net N:\n    input 8, 8x8\n    a: conv 3x3, 8\n    b: conv 3x3, 8\n"
    spec += "    c: conv 3x3, 8\n    from {} -> concat\n    d: conv 1x1, 8\n"
    assert "concat:\n        from flow\n        c: conv 3x3, 8\n" in text(spec.format("b, c"))
    assert "from a, b, c -> concat" in text(spec.format("a, b, c"))  # rather a list


STREAMS = """
block Fuse(i):
    add:
        for j in range(len(x)):
            if j < i:
                "{{j}}": from x[j] -> (i - j - 1) * (conv x[j].c, 3x3, /2 -> relu) -> (conv 3x3, x[i].c, /2)
            elif j == i:
                from x[j]
            else:
                "{{j}}": from x[j] -> conv 1x1, x[i].c -> upsample 2**(j - i)
    relu
inline block Sum(i):
    add:
        for j in range(len(x)):
            if i == j:
                from x[j]
            else:
                sums.{{i}}.{{j}}: from x[j] -> [conv 1x1, x[i].c -> upsample 2**(j - i) when j > i]
                    -> [(i - j - 1) * (conv 3x3, x[j].c, /2 -> relu) -> (conv 3x3, x[i].c, /2) when j < i]
    relu
block Module:
    fork:
        for i in range(len(x)):
            branches.{{i}}: from x[i] -> 2 * (conv 3x3, x[i].c)
    fork:
        for i in range(len(x)):
            {fused}
block Grow:
    fork:
        for i in range(len(x)):
            from x[i]
        "{{len(x)}}": from x[len(x) - 1] -> (conv 3x3, 2*x[len(x) - 1].c, /2)
net N:
    input 3, 32x32
    one: conv 3x3, 8
    two: conv 3x3, 16, /2
    from one, two -> Module as a -> Grow as b -> Module as c -> Grow as d -> Module as e
    from flow[0]
"""


def test_loops_over_lists_of_maps() -> None:
    """Turns of all instances lie over each other; what they are about is a place in the list."""
    found = text(STREAMS.format(fused="Fuse i as fused.{i}").replace("x[j].c, 3x3", "3x3, x[j].c"))
    assert [line for line in found.splitlines() if line.startswith("block")] == [
        "block Fuse(index):",
        "block Module:",
        "block Grow:",
    ]
    assert "(index - i - 1) * (conv 3x3, x[i].c, /2 -> relu)" in found
    assert "upsample 2**(i - index) when i > index" in found
    assert "        for i in range(len(x)):\n            branches.{i}: from x[i] -> 2 * (" in found
    assert "        for i in range(len(x)):\n            fused.{i}: Fuse i\n" in found
    assert (
        'block Grow:\n    "{len(x)}": from x[-1] -> (conv 3x3, 2*x[-1].c, /2)\n    return x, flow\n' in found
    )


def test_what_a_turn_does_in_several_statements_is_an_inline_block() -> None:
    found = text(STREAMS.format(fused="Sum i"))
    assert found.startswith("inline block Sums(i):\n    add:\n        for j in range(len(x)):\n")
    assert "sums.{i}.{j}: from flow[j]" in found
    assert "    fork:\n        for i in range(len(x)):\n            Sums i\n" in found


def test_turns_of_different_forms_have_no_loop() -> None:
    """What some turns read of another one is no loop, and lists are as long as what comes in."""
    spec = """
block Module:
    a: from x[0] -> conv 3x3, 8
    from a, x[1] -> concat -> conv 3x3, 8 as b
    return a, b
net N:
    input 3, 32x32
    one: conv 3x3, 8
    two: conv 3x3, 16
    from one, two -> Module as c -> Module as d
    from flow[0]
"""
    assert "for" not in text(spec)


def test_a_number_is_that_of_both_axes() -> None:
    """A parameter takes numbers and sizes of two axes, as a dilation does."""
    spec = """
block B(wide: bool, k: dims):
    conv k, x.c, dilation=(1x2 if wide else 1) as conv
"""
    found = block(calls(spec, "B false, 3x1", "B true, 1x3", "B false, 3x3"))
    assert found[1] == "conv: conv k, 24, dilation=dilation"
    assert found[0] == "block B(k: dims, dilation = 1x1):"


def test_a_branch_has_no_loop() -> None:
    """Whose turns would be branches."""
    chain = " -> ".join(f"conv 3x3, 8 as a.{at}" for at in range(4))
    found = text(
        f"net N:\n    input 8, 8x8\n    add:\n        {chain}\n        identity\n    c: conv 1x1, 8\n"
    )
    assert f"        {chain}\n" in found


def test_activations_are_parameters() -> None:
    body = "block B(a: op):\n    one: conv 3x3, 8\n    act: a\n"
    lines = block(calls(body, "B relu", "B relu", "B hswish", "B relu"))
    assert lines == ["block B(act: op = relu):" if ": op" in lines[0] else "block B(act = relu):", lines[1]]
    assert lines[1] == "conv 3x3, 8 as one -> act as act"


def test_an_activation_is_handed_on() -> None:
    """A block whose calls give another one each has a parameter for it, too."""
    spec = """
block C(c, a: op):
    conv: conv 3x3, c
    act: a

block B(c, a: op):
    one: C c, a
    two: C c, a
    end: conv 1x1, c
"""
    found = text(spec + calls("", "B 8, relu", "B 4, hswish", "B 9, leaky_relu", "C 7, silu", "C 5, relu"))
    assert (
        "block B(c, act: op):\n    C c, act=act as one -> C c, act=act as two -> conv 1x1, c as end\n"
        in found
    )


def test_a_joint_that_some_instances_lack() -> None:
    spec = """
block B(c, on = true):
    conv: conv 3x3, c
    bn: bn
    if on:
        sigmoid: sigmoid
        from bn, sigmoid -> mul
    two: conv 1x1, c
"""
    found = text(spec + calls("", "B 8, on=true", "B 4, on=false", "B 9, on=true"))
    assert re.search(r"bn as bn\n    if .+:\n        mul:\n.*    two: conv 1x1, c\n", found, re.DOTALL)


def test_a_value_with_other_makers_in_other_instances() -> None:
    """It has a name, whether it comes in, is a projection, or is halved; sizes of maps say which."""
    spec = """
block Cell(c, raw = false) from prev, cur:
    left = from prev -> [conv 1x1, c as fit when prev.h == cur.h and not raw]
    right = from cur -> conv 1x1, c as reduce
    if prev.h != cur.h:
        from prev -> relu
        concat:
            conv 1x1, c//2, /2 as one
            conv 1x1, c//2, /2 as two
        left = from flow -> bn as halved
    y = add:
        from left -> conv 3x3, c as a
        from right -> conv 3x3, c as b
    z = add:
        from left -> conv 5x5, c as d
        from y
    return cur, z
net N:
    input 8, 16x16
    from flow, flow
    first: Cell 8, true
    second: Cell 12
    prev, cur = from flow
    from cur -> conv 3x3, 12, /2 as down
    third: from cur, flow -> Cell 16
    fourth: Cell 24
    from flow[1]
"""
    found = text(spec)
    assert found.count("block Cell") == 1
    assert found.startswith(
        "block Cell(c) from prev, cur:\n    if prev.h == cur.h:\n"
        "        v1 = from prev -> [conv 1x1, c as fit when prev.c != c]\n"
    )
    assert "    if prev.h != cur.h:\n        v1 = from prev -> relu -> (one:" in found
    assert "d: from v1 -> conv 5x5, c\n" in found


def test_a_convolution_that_is_depthwise_in_some_instances() -> None:
    """It is one in groups, and its activation passes through the block around it."""
    found = text(
        """
block Unit(k: dims, c, s, d: bool, a: bool, act: op):
    [conv k, c, /s when not d] -> [dwconv k, /s, multiplier=c//x.c when d] -> bn -> [act when a]
block Mobile(hidden, c, s, act: op):
    Unit 1x1, hidden, 1, false, true, act as expand -> Unit 3x3, hidden, s, true, true, act as depth
    out: Unit 1x1, c, 1, false, false, act
net N:
    input 8, 16x16
    a: Mobile 16, 8, 1, relu
    b: Mobile 32, 12, 2, relu
    c: Mobile 24, 12, 1, hswish
    d: Mobile 48, 20, 2, hswish
    e: Unit 5x5, 40, 2, true, true, hswish
"""
    ).splitlines()
    assert found[:6] == [
        "block Unit(k: dims, c, act: op, stride = 1, groups = 1):",
        "    conv k, c, /stride, groups=groups, norm=bn, act=act",
        "",
        "block Mobile(c1, c2, act: op, stride = 1):",
        "    Unit 1x1, c1, act=act as expand -> Unit 3x3, c1, act=act, /stride, groups=c1 as depth",
        "    out: Unit 1x1, c2, act=none",
    ]
    assert (
        found[-1] == "    Mobile 48, 20, act=hswish, /2 as d -> Unit 5x5, 40, act=hswish, /2, groups=20 as e"
    )


EITHER = """
block P:
    conv: conv 3x3, 8
block Q:
    norm: bn
    relu -> sigmoid
block B(s: bool):
    one: conv 3x3, 8
    relu
    two: (P if s else Q)
    three: conv 1x1, 8
"""


def test_a_module_that_is_one_of_two_blocks() -> None:
    found = text(calls(EITHER, "B true", "B false", "B false", "B true"))
    assert "conv 3x3, 8 as one -> relu -> (P if two else Q) as two -> conv 1x1, 8 as three" in found
    assert "class B(nn.Module)" in api.loads(found).emit()


def test_a_joint_that_is_there_where_another_is_not() -> None:
    body = """
block B(deep: bool):
    one: conv 3x3, 8
    two: conv 3x3, 12
    three: conv 1x1, 8
    four: bn
    if deep:
        add:
            from flow
            down: from x -> conv 1x1, 8 as "1" -> bn as "2"
    else:
        add:
            from flow
            down: from x -> maxpool 3x3, /1, pad=1 -> conv 1x1, 8 -> bn
    last: conv 5x5, 8
"""
    spec = calls(body, "B true", "B false", "B true").replace("24, 8x8", "8, 8x8")
    lines = block(spec)
    assert lines[:4] == ["block B(down = true):", "add:", lines[2], "if down:"]
    assert lines[5:7] == ["else:", "down: maxpool 3x3, /1, pad=1 -> conv 1x1, 8 -> bn"]


def test_a_depthwise_convolution_is_no_other_one() -> None:
    """One with as many weights in other groups is another op."""
    graph = api.loads("net N:\n    input 8, 8x8\n    dwconv 3x3, multiplier=2 as a -> relu\n").graph
    for groups in (8, 4):
        made = api.loads(f"net N:\n    input 8, 8x8\n    conv 3x3, 16, groups={groups} as a -> relu\n").graph
        assert difference(graph, made) == ("" if groups == 8 else "a is another conv")


@pytest.mark.parametrize("word", sorted(FREE))
def test_words_that_may_be_labels(word: str) -> None:
    lines = f"    {word}: conv 3x3, 3\n    relu\n    conv 3x3, 3 as l.{word} -> relu\n"
    spec = f"net N:\n    input 3, 8x8\n{lines}    add:\n        from flow\n        from {word}\n"
    assert '"' not in text(spec)


def test_counts() -> None:
    spec = (
        """
block B(c, s = 1):
    conv: conv 3x3, c, /s
net N:
    input 8, 64x64
    one: 3 * B 16
    two: 2 * B 32, /2 first
    three: B 32, 2 -> B 48 -> 2 * B 32
""".replace("s = 1", "stride = 1")
        .replace(", /s", ", /stride")
        .replace("B 32, 2", "B 32, /2")
    )
    found = text(spec)
    assert "one: 3 * B 16\n" in found
    assert "two: 2 * B 32, /2 first\n" in found
    assert "three: B 32, /2 -> B 48 -> 2 * B 32\n" in found


def test_a_count_is_a_parameter() -> None:
    spec = """
block U(c):
    conv: conv 3x3, c
block S(c, n):
    down: conv 2x2, c, /2, pad=0
    units: n * U c
net N:
    input 8, 64x64
    a: S 16, 3
    b: S 24, 2
    c: S 32, 1
"""
    found = text(spec)
    assert "block S(c, n):" in found
    assert "units: n * U" in found


def test_loops() -> None:
    spec = """
block B(c):
    conv: conv 3x3, c
net N:
    input 8, 64x64
    for i in range(2, 6):
        b{i}: B 16
        a{i}: relu
    c0: B 4
    for i in range(3):
        "{i}": B 5
"""
    found = text(spec)
    assert "    for i in range(2, 6):\n        B 16 as b{i} -> relu as a{i}\n" in found
    assert 'for i in range(3):\n        "{i}": B 5' in found
    assert "c0: B" in found


def test_labels_of_what_holds_no_state() -> None:
    spec = """
net N:
    order drop, b
    input 3, 8x8
    conv 3x3, 3 as a -> relu as act
    pool: maxpool 2x2
    b: from act -> conv 3x3, 3, /2
    from pool, b -> concat -> relu as act2
    drop: dropout
    tail:
        conv 3x3, 3 as conv -> relu as first -> sigmoid as second
    names:
        "0": relu
        "2": conv 3x3, 3
    output side: from act2
"""
    assert unlabelled(spec)[1:] == [
        "order drop, b",
        "input 3, 8x8",
        "conv 3x3, 3 as a -> relu",
        "concat:",
        "maxpool 2x2",
        "b: conv 3x3, 3, /2",
        "relu as act2 -> dropout as drop",
        "tail: conv 3x3, 3 as conv -> relu -> sigmoid",
        'names: relu as "0" -> conv 3x3, 3 as "2"',
        "output side: from act2",
    ]


def test_a_layer_without_a_label_in_each_turn_of_a_loop() -> None:
    turns = "".join(f"    conv 3x3, 8 as conv{i} -> relu as relu{i}\n" for i in range(1, 4))
    assert unlabelled(f"net N:\n    input 8, 8x8\n{turns}")[2:] == [
        "for i in range(1, 4):",
        "conv 3x3, 8 as conv{i} -> relu",
    ]
    branch = turns.replace("    conv", " -> conv").replace("\n", "").removeprefix(" -> ")
    joint = unlabelled(f"net N:\n    input 8, 8x8\n    add:\n        from x\n        {branch}\n")
    assert not any("for" in line.split() for line in joint)


def test_what_a_net_says_of_itself() -> None:
    net = api.loads("net N:\n    order b, a\n    input 3, 9x7\n    conv 1x1, 3 as a -> conv 1x1, 3 as b\n")
    made = Network.from_graph(net.graph, net.name, meta={"source": "torch:n", "args": "x=[1, 2]"})
    lines = [line.strip() for line in made.recipe.net.file.source.text.splitlines()]
    assert lines[1:3] == ["order b, a", 'meta source="torch:n", args="x=[1, 2]"']
    assert made.meta == {"source": "torch:n", "args": "x=[1, 2]"}


def test_schedules() -> None:
    spec = """
block B(d: float):
    add:
        from x
        conv1: conv 3x3, 8 -> droppath d
net N:
    input 8, 8x8
    path = ramp(0, 0.3)
    a: 2 * B path
    b: 2 * B path
"""
    found = text(spec)
    assert "path = ramp(0, 0.3)\n" in found
    assert "a: 2 * B drop=path\n" in found
    uneven = spec.replace("b: 2 * B path", "b: B 0.11 -> B 0.25")
    assert "ramp(0, 0.1" not in text(uneven)


def test_numbers_that_were_computed() -> None:
    spec = """
block B(p: float):
    bn momentum=p as one -> relu -> dropout 1/12 as two
net N:
    input 3, 8x8
    a: B 1 - 0.9997
    b: B 2/3
    c: B 0.12345678901
"""
    found = text(spec)
    assert "dropout 1/12 as two" in found
    assert "B 1 - 0.9997 as a -> B 2/3 as b -> B 0.12345678901 as c" in found


def test_no_condition_compares_a_number_of_a_schedule() -> None:
    """The first block alone drops nothing, and does not expand: only one of the two can be a condition."""
    body = """\
block B(drop: float, wide: bool = true):
    add:
        from x
        [conv 1x1, 24 as wide when wide] -> bn as norm -> droppath drop
"""
    net = "net N:\n    input 24, 8x8\n    path = ramp(0, 0.2)\n    B path, wide=false as a\n"
    net += "".join(f"    B path as {name}\n" for name in "bcd")
    found = text(body + net)
    assert found.count("block B") == 1
    assert "path = ramp(0, 0.2)" in found


def test_defaults() -> None:
    convs = "\n".join(f"    c{i}: conv 3x3, {4 + i}, bias={str(i == 2).lower()}" for i in range(6))
    found = text(f"net N:\n    input 3, 8x8\n{convs}\n")
    assert found.startswith("default conv bias=false\n")
    assert found.count("bias=true") == 1
    assert "default" not in text(
        "net N:\n    input 3, 8x8\n    a: conv 3x3, 4, bias=false\n    b: conv 3x3, 5\n"
    )


def test_defaults_of_what_a_layer_has() -> None:
    """Depthwise convolutions go by the defaults of others, but have no groups."""
    lines = "".join(f"    conv 3x3, 8, groups=4, bias=false as c{name}\n" for name in "abcde")
    found = text(f"net N:\n    input 8, 8x8\n{lines}    dwconv 3x3 as d\n    conv 1x1, 4 as e\n")
    assert found.startswith("default conv bias=false, groups=4\n")
    assert "dwconv 3x3, bias=true as d" in found


def test_what_stands_behind_a_convolution() -> None:
    spec = """
net N:
    input 3, 8x8
    f:
        conv 3x3, 8, norm=bn, act=relu
        conv 3x3, 8, norm=bn, act=relu
        conv 3x3, 9, norm=bn, act=relu
        conv 3x3, 9
"""
    assert "2 * conv 3x3, 8, norm=bn, act=relu -> conv 3x3, 9 -> bn -> relu -> conv 3x3, 9\n" in text(spec)
    found = text(spec + "".join(f"        conv 3x3, {n}, norm=bn, act=relu\n" for n in (7, 6, 5)))
    assert found.startswith("default conv norm=bn, act=relu\n")
    assert "f: 2 * conv 3x3, 8 -> conv 3x3, 9 -> conv 3x3, 9, norm=none, act=none -> conv 3x3, 7" in found


def test_joints_in_joints() -> None:
    spec = """
net N:
    input 4, 8x8
    a: conv 3x3, 4
    concat:
        b: conv 1x1, 4
        add:
            identity
            c: conv 3x3, 4
        from a
    mul:
        d: conv 1x1, 12 -> sigmoid
        from flow
"""
    lines = text(spec)
    assert "    concat:\n        b: conv 1x1, 4\n        add:\n            identity\n" in lines
    assert "    mul:\n        d: conv 1x1, 12 -> sigmoid\n" in lines


def test_a_class_that_does_not_fit_is_two() -> None:
    spec = """
block A:
    conv: conv 3x3, 8
    norm: bn
block B:
    fc: gap -> fc 3
    sig: sigmoid
net N:
    input 8, 8x8
    a: A
    b: B
"""
    graph = api.loads(spec).graph
    for scope in graph.tree.scopes():
        scope.block = "Same" if scope.kind == "block" else scope.block
    found = Network.from_graph(graph, "n").recipe.net.file.source.text
    assert "block Same:" in found
    assert "block Same2:" in found


def test_a_class_whose_text_is_wrong_is_written_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """The proof finds it, and only that class loses its parameters."""
    from netdsl.lifting.solve import Class

    right = Class.said

    def wrong(self: Class, column: object, key: str) -> str:
        found = right(self, column, key)  # type: ignore[arg-type]
        return found.replace("planes", "planes + 1") if key == "channels" else found

    monkeypatch.setattr(Class, "said", wrong)
    graph = zoo_net("resnet18").graph
    recipe, made = lifted(graph, zoo_net("resnet18").elaborated.shapes, "resnet18")
    assert difference(graph, made.graph) == ""
    assert "block BasicBlock2:" in recipe.net.file.source.text
    assert "planes" not in recipe.net.file.source.text


@pytest.mark.parametrize("name", GOLDENS)
def test_no_finding_of_hygiene(name: str) -> None:
    """Nothing is said that is a default already, or that nobody uses."""
    net = Network.from_graph(zoo_net(name).graph, "again")
    assert [finding.code for finding in net.lint(select="L6")] == []


def test_what_is_read_again_has_its_name_where_it_is_made() -> None:
    spec = """
block Cell(c) from prev, cur:
    from prev, cur -> concat -> conv 1x1, c as conv
    y = from flow
    return cur, y

net N:
    input 4, 8x8
    stem: conv 1x1, 4
    y = add:
        conv 3x3, 4 as a -> conv 3x3, 4 as b -> conv 3x3, 4 as c -> relu
        conv 3x3, 4 as d -> conv 3x3, 4 as e -> conv 3x3, 4 as f -> relu
    z = from y -> relu -> conv 3x3, 4 as g -> relu
    p, q = from z, y -> Cell 4 as c0
    from p, q
    for i in range(1, 6):
        c{i}: Cell 6
    r, s = from flow -> Cell 6 as last
    from q, r, s -> concat
"""
    lines = unlabelled(spec)
    assert lines[lines.index("stem: conv 1x1, 4") :] == [
        "stem: conv 1x1, 4",
        "v1 = add:",
        "conv 3x3, 4 as a -> conv 3x3, 4 as b -> conv 3x3, 4 as c -> relu",
        "conv 3x3, 4 as d -> conv 3x3, 4 as e -> conv 3x3, 4 as f -> relu",
        "v2 = from v1 -> relu -> conv 3x3, 4 as g -> relu",
        "v1, v3 = from v2, v1 -> Cell 4 as c0",
        "v3, v4 = from v1, v3 -> Cell 6 as c1",
        "from v3, v4",
        "for i in range(2, 5):",
        "c{i}: Cell 6",
        "v5, v6 = from flow -> Cell 6 as c5",
        "v6, v7 = from v5, v6 -> Cell 6 as last",
        "from v3, v6, v7 -> concat",
    ]


def noted(spec: str) -> list[str]:
    """Return the lines of a spec with stages and comments, below that of its input."""
    net = api.loads(spec)
    made = Network.from_graph(net.graph, net.name, labels=False, notes=True)
    assert difference(net.graph, made.graph) == ""
    found = made.recipe.net.file.source.text
    assert netdsl.format(found) == found
    again = Network.from_graph(made.graph, made.name, labels=False, notes=True)
    assert again.recipe.net.file.source.text == found
    lines = [line.strip() for line in found.splitlines() if line]
    return lines[next(at for at, line in enumerate(lines) if line.startswith("input")) + 1 :]


ROW = """
block B(c, s = 1): conv 3x3, c, /s as one -> relu
net N:
    input 3, 33x17
    features:
        {}
    gap
"""


def test_stages_where_maps_get_smaller() -> None:
    """Pools end one, and what has weights begins one."""
    row = "conv 3x3, 8 -> maxpool 2x2 -> 2 * B 8 -> B 16, 2 -> B 16 -> relu -> avgpool 2x2 -> B 24 -> B 32, 2"
    assert noted(ROW.format(row)) == [
        "features:",
        "stage 1: conv 3x3, 8 -> maxpool 2x2  # 8x16x8",
        "stage 2: 2 * B 8",
        "stage 3: B 16, s=2 -> B 16 -> relu -> avgpool 2x2  # 16x4x2",
        "stage 4: B 24",
        "stage 5: B 32, s=2  # 32x2x1",
        "gap",
    ]
    net = api.loads(ROW.format(row))
    made = Network.from_graph(net.graph, "n", labels=False, notes=True)
    stages = [node.stage for node in made.graph if node.op.name == "conv"]
    assert stages == ["1", "2", "2", "3", "3", "4", "5"]


@pytest.mark.parametrize(
    "row",
    [
        "conv 3x3, 8 -> maxpool 2x2 -> conv 3x3, 8",  # there are two stages only
        "first: conv 3x3, 8, /2\n        second: conv 3x3, 8, /2\n        third: conv 3x3, 8, /2",
        "(conv 3x3, 8, /2) -> (conv 3x3, 8, /2) -> (conv 3x3, 8, /2)",
        "conv 3x3, 8 -> B 8 -> B 16 -> upsample 2",
        "B 8, 2 -> B 16, 2 -> B 24, 2 -> B 32, 2",
    ],
)
def test_rows_without_stages(row: str) -> None:
    assert not any(line.startswith("stage") for line in noted(ROW.format(row)))


def test_comments_where_maps_get_smaller() -> None:
    """In lines of the net that stand for one value; not in blocks, and not where turns of a loop make other sizes."""
    spec = """
block Down(c): conv 3x3, c, /2 as conv -> relu
net N:
    input 3, 512x256
    stem: conv 3x3, 8, /2 -> relu
    layer1: 2 * Down 16
    layer2: 2 * conv 3x3, 16
    for i in range(3):
        conv 3x3, 16, /2 as conv{i} -> bn as bn{i}
        down{i}: Down 16
    add:
        conv 3x3, 8, /2 as a -> relu
        conv 3x3, 8, /2 as b
    upsample 2 -> maxpool 2x2 -> tokens -> ln as norm
"""
    assert noted(spec) == [
        "stem: conv 3x3, 8, /2 -> relu  # 8x256x128",
        "layer1: 2 * Down  # 16x64x32",
        "layer2: 2 * conv 3x3, 16",
        "for i in range(3):",
        "conv 3x3, 16, /2 as conv{i} -> bn as bn{i} -> Down as down{i}",
        "add:",
        "conv 3x3, 8, /2 as a -> relu",
        "b: conv 3x3, 8, /2",
        "upsample 2 -> maxpool 2x2 -> tokens -> ln as norm",
    ]


def test_a_label_that_is_a_number_is_no_value_in_an_argument() -> None:
    """There `"2"` is a text: the value gets a name of its own."""
    lines = block("""
block Rows:
    p = from x -> pad_to 2
    r = from p -> maxpool 2x2, /2 as "2"
    from r -> conv 3x3, 4 as conv -> resize like=r, mode="bilinear" as "4"

net N:
    input 4, 9x9
    rows: Rows
    gap
    fc: fc 3
""")
    assert lines[1:] == [
        'v1 = from flow -> pad_to 2 -> maxpool 2x2, /2 as "2"',
        'from v1 -> conv 3x3, 4 as conv -> resize mode="bilinear", like=v1 as "4"',
    ]

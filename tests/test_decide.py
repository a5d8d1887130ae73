"""Variants that decide: what they cost, what is emitted for them, and how they are written."""

import json
import random
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from interpreter import draw_state, interpret, state_shapes
from torch_oracles import execute

import netdsl
from netdsl import api, cli, data
from netdsl.backend import emit_family
from netdsl.diagnostics import NetError
from netdsl.network import Network
from netdsl.space.write import appended, decided, imported
from netdsl.syntax.answers import written

SEARCH = data.read("specs", "search.net")

BLOCKS = """\
block Inner(c, k: dims = choose(3x3, 5x5)):
    mix: choose:
        identity
        conv 1x1, c
    conv: conv k, c

inline block Head(c):
    gap
    fc: fc choose(c, 2*c)

block B(c, stride = 1):
    depth = choose(1, 2)
    body: depth * Inner c
    tail: Inner c, 1x1
    if stride > 1:
        pool = choose(maxpool, avgpool)
        pool 2x2, /2

net Space(n, width = choose(8, 16), classes = 10):
    input 3, 16x16
    stem: conv 3x3, width
    for i in range(n):
        s{i}: B width, 2 if i > 0 else 1
    parts:
        for i in range(2):
            p{i}:
                add:
                    identity
                    main: choose:
                        conv 3x3, width
                        deep: conv 3x3, width -> relu
    if width > 8:
        wide: Inner 8
    Head classes
"""
ARGUMENTS = """\
block A(c):
    k = choose(3x3, 5x5)
    conv: conv k, c

block C(c):
    conv: conv 1x1, c -> relu

block Stack(c, unit: op):
    a: unit c
    b: unit 2*c

net Space(n, unit: op = choose(A, C), deep = true):
    input 3, 16x16
    s1: Stack 8*n, A
    s2: Stack 8, C
    s3: Stack 8, unit
    if deep:
        extra: A choose(8, 16)
    else:
        other: conv choose(5x5, 7x7), 8
    r: 2 * A 8
    gap
"""
RECURSIVE = """\
block Tree(depth, c):
    if depth > 1:
        left: Tree depth - 1, c
        k = choose(3x3, 5x5)
        right: conv k, c
    else:
        conv: conv choose(1x1, 3x3), c -> relu

net Space(n):
    input 3, 16x16
    t: Tree n, 8
    gap
"""
COUNTED = """\
block Cell(c):
    conv: conv choose(1x1, 3x3), c

block Stage(n, c):
    for i in range(n):
        cell{i}: Cell c
    more: 2 * Cell c

net Space(n):
    input 3, 16x16
    a: Stage n, 8
    b: Stage 1, 8
    for i in range(2):
        cells.{i}: Cell 8
    gap
"""
SPACES = {"blocks": BLOCKS, "arguments": ARGUMENTS, "recursive": RECURSIVE, "counted": COUNTED}


def drawn(text: str, some: random.Random, given: Mapping[str, str]) -> tuple[dict[str, str], Network]:
    """Return random options for all decisions of a space, which is asked again for those below others; the net."""
    chosen: dict[str, str] = {}
    while True:
        try:
            return chosen, netdsl.loads(text, set={**given, **chosen})
        except NetError as error:
            (open_,) = error.diagnostics
            assert open_.code == "E217"
            name, _, options = open_.details[0].partition(": ")
            chosen[name] = some.choice(options.split(", "))


def computes_what_the_graph_does(net: Network, module: str) -> None:
    """Demand of a module that it has the net's weights, and makes of them what the net's graph makes."""
    state = draw_state(state_shapes(net), 0)
    model = execute(module)[net.name]().double().eval()
    assert [*model.state_dict()] == [*state]
    model.load_state_dict(state)
    x = torch.randn(2, *net.inputs["x"], dtype=torch.float64)
    with torch.inference_mode():
        (expected,) = interpret(net, state, [x], False).values()
        torch.testing.assert_close(model(x), expected)


def drawn_at_once(text: str, some: random.Random, given: Mapping[str, str]) -> tuple[dict[str, str], Network]:
    """Return random options for all decisions of a space in which they are the same whatever is decided; the net."""
    with pytest.raises(NetError) as caught:
        netdsl.loads(text, set=given)
    lines = [line.partition(": ") for line in caught.value.diagnostics[0].details]
    chosen = {name: some.choice(options.split(", ")) for name, _, options in lines}
    return chosen, netdsl.loads(text, set={**given, **chosen})


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("space", SPACES)
def test_what_is_decided_is_emitted(space: str, seed: int) -> None:
    """Each call of a block has decisions of its own, and so has each turn of a loop, whoever makes them."""
    text, some = SPACES[space], random.Random(seed)
    variants = []
    for number in range(3):
        given = {"n": str(some.choice([1, 2, 3]))}
        if space == "arguments":
            given["deep"] = some.choice(["true", "false"])
        chosen, net = drawn(text, some, given)
        computes_what_the_graph_does(net, net.emit())
        variants.append((net, decided("Space", f"v{number}", chosen, given)))
    file = api.read_text("\n".join([text, *(variant for _, variant in variants)]))
    nets = [Network(api.recipe(file, name, {}, {})) for name in file.variants]
    (together,) = emit_family(nets).values()
    for (net, _), variant in zip(variants, nets, strict=True):
        assert [(node.name, node.op) for node in variant.graph] == [(n.name, n.op) for n in net.graph]
        computes_what_the_graph_does(variant, variant.emit())
        computes_what_the_graph_does(variant, together)


def test_variants_that_decide_a_parameter_share_a_class() -> None:
    text = (
        "net N(c, width = choose(8, 16)):\n    input 3, 8x8\n    conv 3x3, width -> conv 3x3, c\n"
        "variant a = N(4):\n    decide width=8\nvariant b = N(4):\n    decide width=16\n"
        "variant d = N(4):\n    decide width=16\n    meta year=2026\n"
    )
    file = api.read_text(text)
    module = next(iter(emit_family([Network(one) for one in api.recipes(file, "", {}, {})]).values()))
    assert module.count("class ") == 1
    for name, width in {"a": 8, "b": 16, "d": 16}.items():
        assert execute(module)[name]().get_submodule("0").out_channels == width


@pytest.mark.parametrize("default", ["foo*2", "choose(8, foo)"])
def test_a_wrong_default_that_no_net_takes_is_said_where_a_class_would_have_it(default: str) -> None:
    net = netdsl.loads(
        f"net N(width: int = {default}):\n    input 3, 8x8\n    conv 3x3, width\nvariant n8 = N(8)\n",
        net="n8",
    )
    with pytest.raises(NetError, match="unknown name `foo`"):
        net.emit()


def test_blocks_without_decisions_stay_one_class() -> None:
    assignment, net = drawn_at_once(SEARCH, random.Random(0), {})
    assert len({assignment[f"stage{i}.kernel"] for i in range(1, 6)}) > 1
    assert net.emit().count("class ") == 2


# ---------------------------------------------------------------- written back


def test_a_written_variant_costs_what_the_assignment_costs() -> None:
    some = random.Random(15)
    for _ in range(30):
        chosen, net = drawn_at_once(SEARCH, some, {"classes": "10"})
        variant = decided("Supernet", "found", chosen, {"classes": "10"})
        assert netdsl.format(variant) == variant
        for text in (appended(SEARCH, variant), imported("search.net", "Supernet", variant)):
            written_back = netdsl.loads(text, net="found")
            assert written_back.cost() == net.cost()
            assert [d.replace(span=None) for d in written_back.decisions] == [
                d.replace(span=None) for d in net.decisions
            ]
        assert netdsl.format(text) == text


def test_many_decisions_fill_lines() -> None:
    chosen = {f"stage{i}.{name}": "3" for i in range(20) for name in ("depth", "kernel")}
    text = decided("N", "found", chosen)
    lines = text.splitlines()
    assert len(lines) < 12
    assert all(80 < len(line) <= 110 for line in lines[1:-1])
    assert text.count("=3") == 40


@pytest.mark.parametrize(
    ("name", "option", "text"),
    [
        ("stage1.depth", "3", "stage1.depth=3"),
        ("blocks.0.1.kernel", "5x5", "blocks.0.1.kernel=5x5"),
        ("0.kernel", "5x5", "0.kernel=5x5"),
        ("a-b.unit", "conv(kernel=3x3)", '"a-b.unit"=conv(kernel=3x3)'),
        ("1x1.unit", "a ramp", '"1x1.unit"="a ramp"'),
        ("choose.unit", "concat", '"choose.unit"=concat'),
        ("unit", "when", 'unit="when"'),
        ("unit", "a # b", 'unit="a # b"'),
        ("unit", "none", "unit=none"),
        ("unit", "-0.5", "unit=-0.5"),
        ("unit", '["a", [1, 2]]', 'unit=["a", [1, 2]]'),
        ("unit", "x, y=2", 'unit="x, y=2"'),
    ],
)
def test_a_decision_is_written_as_it_is_read(name: str, option: str, text: str) -> None:
    assert written(name, option) == text


@pytest.mark.parametrize(("name", "option"), [("a", '["x", ...]'), ("a\nb", "1"), ("a", "1\n    decide b=2")])
def test_what_cannot_be_written_is_refused(name: str, option: str) -> None:
    with pytest.raises(ValueError, match="no way to write"):
        decided("N", "found", {name: option})


def test_names_that_are_none_are_refused() -> None:
    with pytest.raises(NetError):
        decided("N", "a b", {})
    with pytest.raises(ValueError, match="no way to write"):
        imported('a"b.net', "N", "")


def test_line_ends_stay() -> None:
    assert appended("net N:\r\n    gap\r\n", "variant v = N()\n") == (
        "net N:\r\n    gap\r\n\r\nvariant v = N()\r\n"
    )


# ---------------------------------------------------------------- names and commands


def test_a_variant_that_decides_is_not_its_net() -> None:
    text = "net N(width = choose(8, 16)):\n    input 3, 8x8\n    conv 3x3, width\n"
    file = api.read_text(text + "variant n16 = N():\n    decide width=16\n")
    assert api.distinct(file) == ["n16", "n"]
    plain = api.read_text(text + "variant n16 = N():\n    meta year=2026\n")
    assert api.distinct(plain) == ["n16"]


def test_the_module_says_how_it_is_made(capsys: pytest.CaptureFixture[str], tmp_path: object) -> None:
    path = f"{tmp_path}/found.net"
    chosen, _ = drawn_at_once(SEARCH, random.Random(3), {})
    with open(path, "w", encoding="utf-8") as file:
        file.write(imported("search.net", "Supernet", decided("Supernet", "found", chosen)))
    assert cli.main(["check", path]) == 0
    capsys.readouterr()
    assert cli.main(["compile", path, "--backend", "torch"]) == 0
    module = capsys.readouterr().out
    assert "netdsl compile found.net:found --backend torch" in module
    with torch.device("meta"):
        assert execute(module)["found"]().fc.out_features == 1000


# ---------------------------------------------------------------- a space beside its variants

BESIDE = """\
net Space(width = choose(4, 8)):
    input 3, 8x8
    require params <= 300
    a: conv choose(3x3, 5x5), width
    b: conv 1x1, 4

variant small = Space():
    decide width=4, a.kernel=3x3
"""


def test_check_looks_at_a_space_and_at_its_variants(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "s.net"
    file.write_text(BESIDE)
    space = "a search space of 2 open decisions, 4 nets, 2 within its budgets"
    assert cli.main(["check", str(file)]) == 0
    small, said = capsys.readouterr().out.splitlines()
    assert small.startswith("small: 3 ops, 132 params")
    assert said == f"space: {space}"
    assert cli.main(["check", f"{file}:space", str(file)]) == 0
    assert f"{file}:space: {space}\n" in capsys.readouterr().out
    assert cli.main(["check", str(file), "--format", "json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)["spaces"]
    within = {"least": 2, "most": 2, "exact": True}
    told = {"name": "space", "spec": "s.net", "file": str(file), "decisions": 2, "nets": 4, "within": within}
    assert found == told
    # a mistake in what only some answers run, and a kernel that is too large, which is none
    file.write_text(BESIDE.replace("choose(3x3, 5x5), width", "choose(3x3, 9x9), width, pad=0"))
    assert cli.main(["check", f"{file}:space"]) == 0
    assert "4 nets" not in capsys.readouterr().out
    file.write_text(
        BESIDE.replace("    b: conv 1x1, 4\n", "    if width == 8:\n        b: conv 1x1, widht\n")
    )
    assert cli.main(["check", f"{file}:space"]) == 1
    assert "unknown name `widht`" in capsys.readouterr().err
    file.write_text(BESIDE.replace("300", "30"))
    assert cli.main(["check", f"{file}:space"]) == 1
    assert "error[E401]: no net of Space keeps its budgets: params <= 30" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["cost", "compile --backend torch", "compare", "diff {file}"])
def test_a_space_is_left_out_where_a_file_has_other_nets(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "s.net"
    file.write_text(f"{BESIDE}\nvariant large = Space():\n    decide width=8, a.kernel=5x5\n")
    name, *options = command.format(file=file).split()
    assert cli.main([name, str(file), *options]) == 0
    printed = capsys.readouterr()
    assert "small" in printed.out
    assert f"note: space is a search space, and left out: netdsl space {file}:space\n" in printed.err
    file.write_text(BESIDE.partition("variant")[0])
    assert cli.main([name, str(file), *options]) == 1
    assert "error[E217]: Space is a search space with 2 open decisions" in capsys.readouterr().err

"""What editors show of a spec, held against the net that it is, and against the text without its mistakes."""

import random

import pytest

from netdsl import api, data
from netdsl.ide.analysis import Line, Look, Stopped, analyse
from netdsl.network import Network
from netdsl.source import Source


def look(text: str, name: str = "case.net") -> Look:
    return Look(Source(name, text))


def written(seen: Look, line: Line) -> str:
    return seen.source.text[line.start : line.end]


@pytest.mark.parametrize("name", data.names("specs", ".net"))
def test_lines_are_the_nets(name: str) -> None:
    """Totals, and of each op's own text the number of ops, their shapes and their costs."""
    seen = look(data.read("specs", name), name)
    analysis = seen.analysis()
    network = analysis.network
    assert analysis.diagnostics == ()  # of blocks neither, whatever they are given
    if network is None:
        assert not analysis.whole
        assert api.explore(name.removesuffix(".net")) is not None
        return
    cost = network.cost()
    assert (analysis.params, analysis.macs) == (cost.params, cost.macs)
    # a joint's text is what its branches stand in, too
    own = {node.span for node in network.graph if node.span.source is seen.source and not node.op.wiring}
    lines = {(line.start, line.end): line for line in analysis.lines}
    for span in own:
        line = lines[span.start, span.end]
        nodes = [node for node in network.graph if node.span == span]
        costs = [network.layer_costs[node.name] for node in nodes]
        assert line.params == sum(one.params for one in costs), written(seen, line)
        run = [cost for cost, node in zip(costs, nodes, strict=True) if not node.train]
        assert line.macs == sum(one.macs for one in run), written(seen, line)
        assert {network.shapes[node.name] for node in nodes} >= set(line.shapes), written(seen, line)
        assert line.net == analysis.net


def test_a_call_has_the_costs_of_what_it_makes() -> None:
    text = """
block Unit(c) from a:
    conv1: conv 3x3, c
    bn1: bn
    if c > 8:
        relu

net N(n=2):
    input 3, 32x32
    stem:
        conv 3x3, 8
        bn
    units: n * Unit 8 -> Unit 16
    add:
        identity
        conv 1x1, 16 as proj
    gap -> fc: fc 10
"""
    text = text.replace("    gap -> fc: fc 10\n", "    gap -> fc 10 as fc\n")
    seen = look(text)
    lines = {written(seen, line): line for line in seen.analysis().lines}
    assert (lines["Unit 8"].copies, lines["Unit 8"].params) == (2, 2 * (8 * 8 * 9 + 8 + 16))
    assert lines["n * Unit 8"].params == lines["Unit 8"].params
    assert [str(shape) for shape in lines["n * Unit 8"].shapes] == ["8x32x32"]
    assert (lines["conv 3x3, c"].copies, lines["conv 3x3, c"].params) == (3, 2 * 584 + 16 * 8 * 9 + 16)
    assert [str(shape) for shape in lines["conv 3x3, c"].shapes] == ["8x32x32", "16x32x32"]
    assert lines["relu"].copies == 1
    assert lines["stem"].params == 3 * 8 * 9 + 8 + 16
    assert lines["add"].macs == 16 * 16 * 32 * 32


def test_a_wrong_line_takes_away_what_follows_and_no_more() -> None:
    text = """
net N:
    input 3, 32x32
    a: conv 3x3, 8
    b: conv 3x3, 16,,
    c: conv 3x3, 32
    from a -> conv 3x3, 64 as d
    nosuch
    from b -> tanh
"""
    seen = look(text)
    analysis = seen.analysis()
    assert [d.code for d in analysis.diagnostics] == ["E100", "E201"]
    assert [written(seen, line) for line in analysis.lines] == [
        "input 3, 32x32",
        "conv 3x3, 8",
        "conv 3x3, 64 as d",
    ]
    assert (analysis.whole, analysis.params, analysis.network) == (False, None, None)


@pytest.mark.parametrize("seed", range(40))
def test_no_line_contradicts_the_mended_text(seed: int) -> None:
    draw = random.Random(seed)
    name = draw.choice(data.names("specs", ".net"))
    text = data.read("specs", name)
    lines = text.split("\n")
    at = draw.choice([i for i, line in enumerate(lines) if line.strip() and line.strip()[0] != "#"])
    broken = [
        *lines[:at],
        lines[at] + draw.choice([" )", " (", " $", ' "abc', " ->", " , ,"]),
        *lines[at + 1 :],
    ]
    right, wrong = look(text, name), look("\n".join(broken), name)
    net = right.chosen()
    known = {
        (right.source.position(one.start), written(right, one)): one for one in right.analysis(net).lines
    }
    found = wrong.analysis(net)
    assert any(d.code.startswith("E1") for d in found.diagnostics)
    if found.net != net:
        return
    for line in found.lines:
        same = known[wrong.source.position(line.start), written(wrong, line)]
        assert set(line.shapes) <= set(same.shapes), written(wrong, line)
        assert line.copies <= same.copies
        assert line.params <= same.params


def test_a_net_is_chosen() -> None:
    text = "net A:\n    input 3, 8x8\n    relu\n\nnet B:\n    input 3, 8x8\n    tanh\n"
    assert look(text).analysis().net == "a"
    assert look(text, "b.net").analysis().net == "b"
    assert look(text).analysis("b").net == "b"
    assert look(text).analysis("gone").net == "a"
    assert look("").analysis().nets == ()
    seen = look(text)
    both = seen.analysis("b", others=("a",))
    assert [(written(seen, line), line.net) for line in both.lines if line.start > 20] == [
        ("relu", "a"),
        ("input 3, 8x8", "b"),
        ("tanh", "b"),
    ]


def test_a_search_space_shows_its_first_options() -> None:
    seen = look("net N:\n    input 3, 8x8\n    c = choose(8, 16)\n    conv 3x3, c\n")
    analysis = seen.analysis()
    assert (analysis.diagnostics, analysis.network) == ((), None)
    assert [str(line.shapes[0]) for line in analysis.lines] == ["3x8x8", "8x8x8"]


def test_a_budget_that_does_not_hold_is_said_of_a_whole_net() -> None:
    analysis = look("net N:\n    input 3, 8x8\n    conv 3x3, 64\n    require params <= 100\n").analysis()
    assert [d.code for d in analysis.diagnostics] == ["E401"]
    assert isinstance(analysis.network, Network)


def test_it_stops_when_nobody_waits() -> None:
    asked = iter(range(50))
    with pytest.raises(Stopped):
        analyse(
            Source("case.net", "net N:\n    input 3, 8x8\n    10000 * conv 3x3, 3\n"),
            stop=lambda: next(asked) == 40,
        )


def test_a_block_that_nobody_calls_is_looked_into() -> None:
    text = "block Unit(c, k=3) from a, b:\n    conv 3x3, c, strides=2\n    from a -> nosuch\n    from q -> relu\n"
    found = look(text).analysis().diagnostics
    assert [d.code for d in found] == ["E202", "E201", "E200"]
    assert not any(d.calls for d in found)

"""Spaces: each net of one costs what elaboration says, and is one exactly where elaboration has it."""

import json
import random
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import netdsl
from netdsl import api, cli
from netdsl.cost.budget import check
from netdsl.diagnostics import NetError
from netdsl.elaborate.build import Recipe
from netdsl.net import Net
from netdsl.quantities import Options
from netdsl.source import Source
from netdsl.space.budgets import Total, weights_of
from netdsl.space.counts import size
from netdsl.space.overview import Explored, counted, overview
from netdsl.space.samples import samples
from netdsl.space.space import Question, Space
from netdsl.syntax import tree
from netdsl.syntax.parse import parse

SPACES = Path(__file__).parent / "spaces"
SPECS = Path(netdsl.__file__).parent.parent / "specs"
FILES = [*sorted(SPACES.glob("*.net")), SPECS / "search.net", SPECS / "digits_search.net"]
DRAWS = 60
"""So many nets of a space are elaborated at most."""


def recipe_of(path: Path | str) -> Recipe:
    """Return what makes the only net of a file."""
    file, name = api.locate(path)
    return api.recipe(file, name, {}, {})


def explored(path: Path | str) -> Space:
    """Return a space that is known as a whole."""
    space = Space(recipe_of(path))
    space.explore()
    return space


def covering(space: Space, most: int) -> Iterator[dict[str, int]]:
    """Yield answers of nets, and of ways into errors, until all ways are passed, or so many."""
    choose = random.Random(0)
    left = {(at, answers) for at, vertex in enumerate(space.vertices) for answers in vertex.ways}
    while left and most:
        begin, first = choose.choice(sorted(left))
        found = {**space.before(begin), **dict(first)}
        at = 0
        while at >= 0 and not space.ended(at):
            way: Any = space.vertices[at].first
            while type(way) is Question:
                index = found.setdefault(way.name, choose.choice(list(way.after)))
                way = way.after[index]
            left.discard((at, way.answers))
            at = way.end
        yield found
        most -= 1


def elaborated(recipe: Recipe, settings: Mapping[str, str]) -> Net:
    """Return a net; what is left open behind an error takes its first option, as elaboration goes on there."""
    given = dict(settings)
    while True:
        try:
            return Net(recipe.replace(settings=given))
        except NetError as error:
            first = error.diagnostics[0]
            if first.code != "E217" or not first.details:
                raise
            given |= {
                name: rest.split(", ")[0] for name, _, rest in (d.partition(": ") for d in first.details)
            }


def counters(net: Net) -> tuple[int, ...]:
    """Return what is counted of a net's layers: of those that always are there, then of those of training."""
    sums = [0] * 10
    for node in net.graph:
        for place, amount in enumerate(net.layer_costs[node.name].__dict__.values()):
            sums[place + 5 * node.train] += amount
    return tuple(sums)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_each_net_costs_what_elaboration_says(path: Path) -> None:
    recipe, space = recipe_of(path), explored(path)
    nets = 0
    for answers in covering(space, DRAWS):
        texts = space.partly(answers)
        try:
            costs = space.costs(answers)
        except NetError as error:
            with pytest.raises(NetError) as other:
                elaborated(recipe, texts)
            ours, theirs = error.diagnostics[0], other.value.diagnostics[0]
            if ours.code != "E221":  # elaboration says it last
                assert (ours.code, ours.message, str(ours.span)) == (
                    theirs.code,
                    theirs.message,
                    str(theirs.span),
                )
        else:
            nets += 1
            assert costs == counters(elaborated(recipe, texts)), texts
    assert nets


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_ways_are_found_when_they_are_asked_for(path: Path) -> None:
    whole, space = explored(path), Space(recipe_of(path))
    for answers in covering(whole, 10):
        try:
            costs = whole.costs(answers)
        except NetError:
            with pytest.raises(NetError):
                space.costs(answers)
        else:
            assert space.costs(answers) == costs
    assert len(space.vertices) <= len(whole.vertices)


def numbers(text: str) -> Iterator[tuple[int, int, list[str]]]:
    """Yield where layers of a spec have numbers, dimensions, true or false, with what else might stand there."""
    for item in parse(Source("zoo.net", text)).items:
        inner = item.statement if isinstance(item, tree.Annotated) else item
        for node in tree.pieces(inner) if isinstance(inner, tree.Net | tree.Block) else ():
            values = node.args if isinstance(node, tree.Layer) else ()
            for arg in values:
                value = arg.value if isinstance(arg, tree.Keyword | tree.Stride) else arg
                if isinstance(value, tree.Number) and type(value.value) is int:
                    yield value.start, value.end, [str(2 * value.value), str(value.value + 1)]
                elif isinstance(value, tree.DimsLiteral):
                    yield value.start, value.end, ["3x3", "1x1", "5x5"]
                elif isinstance(value, tree.Constant) and type(value.value) is bool:
                    yield value.start, value.end, ["true", "false"]


@pytest.mark.parametrize("seed", range(16))
def test_spaces_are_made_of_nets_of_the_zoo(seed: int, tmp_path: Path) -> None:
    """Numbers of a packaged spec become decisions: what its blocks do with them nobody wrote for this test."""
    choose = random.Random(seed)
    texts = [path.read_text() for path in sorted(SPECS.glob("*.net"))]
    text = choose.choice([text for text in texts if "choose" not in text])
    places = list(numbers(text))
    changed = choose.sample(places, min(len(places), choose.randint(1, 4)))
    for start, end, others in sorted(changed, reverse=True):
        options = list(dict.fromkeys([text[start:end], *others]))[: choose.choice([2, 3])]
        text = f"{text[:start]}choose({', '.join(options)}){text[end:]}"
    file = api.read(space_of(tmp_path, text), ())
    recipe = api.recipe(file, choose.choice(sorted(api.instances(file))), {}, {})
    space = Space(recipe)
    space.explore()
    for answers in covering(space, 4):
        try:
            costs = space.costs(answers)
        except NetError:
            with pytest.raises(NetError):
                elaborated(recipe, space.partly(answers))
        else:
            assert costs == counters(elaborated(recipe, space.partly(answers)))


def every(space: Space) -> Iterator[tuple[int, ...]]:
    """Yield what each valid net costs, one after another."""
    todo: list[tuple[int, tuple[int, ...]]] = [(0, (0,) * 10)]
    while todo:
        at, sums = todo.pop()
        if space.ended(at):
            yield sums
            continue
        for way in space.vertices[at].ways.values():
            if way.end >= 0:
                todo.append((way.end, tuple(a + b for a, b in zip(sums, way.costs, strict=True))))


@pytest.mark.parametrize("name", ["stages", "cells", "defaults", "again", "nested", "memory"])
def test_numbers_of_nets_and_ranges_are_those_of_all_nets(name: str) -> None:
    found = Explored(explored(SPACES / f"{name}.net"))
    seen, nets = overview(found), list(every(found.space))
    assert seen.nets == len(nets) == size(found.lattice)
    (bounds, *_) = found.space.budgets()[0].values()  # of the net, so each end has them
    kept = [sums for sums in nets if all(one.total.of(sums) <= one.most for one in bounds)]
    assert seen.within.exact
    assert seen.within.least == len(kept)
    for quantity, one in counted().items():
        weights = weights_of(one, Options())
        for some, where in ((nets, seen.ranges), (kept, seen.kept or seen.ranges)):
            amounts = [sum(w * n for w, n in zip(weights, sums, strict=True)) for sums in some]
            ends = where[quantity]
            assert (ends.least.least, ends.most.most) == (min(amounts), max(amounts))


def test_the_packaged_space_has_the_nets_that_its_text_says() -> None:
    found = Explored(Space(recipe_of("search")))
    seen = overview(found)
    # widths, five stages of depth, kernel and expansion, and necks
    assert seen.nets == 3 * (3 * 3 * 2) ** 5 * 3 == 17_006_112
    assert seen.within.exact
    assert seen.within.least == 16_760_991
    assert len(found.space.vertices) < 100


def test_a_space_of_cells_is_small_however_many_nets_it_has() -> None:
    space = explored(SPACES / "darts.net")
    assert size(space.lattice({"params": Total((1, 0, 0, 0, 0) * 2)})) == 4**48
    assert len(space.vertices) < 500


def space_of(tmp_path: Path, text: str) -> Path:
    """Return a file with a text."""
    (tmp_path / "s.net").write_text(text)
    return tmp_path / "s.net"


def test_what_no_net_takes_is_named_with_its_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = """net S:
    input 3, 8x8
    require params <= 500
    a: conv choose(3x3, 9x9), 4, pad=0
    b: conv 1x1, choose(8, 400)
"""
    assert cli.main(["space", str(space_of(tmp_path, text))]) == 0
    out = capsys.readouterr().out
    assert "S (s.net): 2 open decisions, 2 nets" in out
    assert "within params <= 500: 1 (50 %)" in out
    assert "a.kernel=9x9 is in no valid net (" in out
    assert "s.net:4)" in out
    assert "b.channels=400 is in no net within the budgets (" in out
    assert "not a net: E301 conv: the kernel covers 9, more than the height 8" in out


def test_budgets_are_bounds_where_they_are_sums(tmp_path: Path) -> None:
    text = """net S(width = choose(8, 16)):
    input 3, 8x8
    require params + 2*macs / 1000 < 10K and not params > 9000
    require activations(batch=2, dtype=float16) >= 1KB
    require memory <= 1MB, a.params <= 5K
    a: conv 3x3, width
"""
    found = Explored(explored(space_of(tmp_path, text)))
    assert [one.said for one in found.bounds] == [
        "params + 2*macs / 1000 < 10K and not params > 9000",
        "activations(batch=2, dtype=float16) >= 1KB",
    ]
    assert [one.said for one in found.others] == ["memory <= 1MB", "a.params <= 5K"]
    (bounds, *_) = found.space.budgets()[0].values()
    assert bounds[0].total.weights[:5] == (500, 0, 1, 0, 0)
    assert bounds[0].most == 4_999_999
    assert bounds[2].total.weights == (0, 0, 0, 0, -4, 0, 0, 0, 0, 0)
    assert bounds[2].most == -1000
    assert overview(found).within.least == 2


UNDER_A_CONDITION = """net S(width = choose(4, 8, 12)):
    input 3, 8x8
    require params <= 4K
    kind = choose("a", "b")
    if kind == "a":
        require macs <= 30K
        a: conv 3x3, width
    else:
        limit = choose(50K, 60K)
        require macs <= limit, macs >= 20K
        b: conv choose(3x3, 5x5), width
    fc: conv 1x1, choose(4, 16)
"""
IN_PARTS = """block Wide(c):
    k: conv choose(3x3, 5x5), c, norm=bn
    relu
    require params <= 500
    pw: conv 1x1, choose(4, 6)

block Inner(c):
    conv 1x1, c
    require macs <= 4K

block Deep(c):
    require params <= 900
    n = choose(1, 2)
    n * Inner c
    Wide c
    stage two:
        require macs >= 14K
        conv 3x3, choose(4, 6)

net S(width = choose(4, 8)):
    input 3, 8x8
    require macs <= 150K
    stem: conv 3x3, width
    d = choose(0, 1, 2)
    for i in range(d):
        in{i}: Inner width
    stage one:
        require params >= 180
        wide: Wide 4
    box:
        deep: Deep 4
        require params <= 660, macs >= 18K
"""
"""Scopes are called by their positions, and some blocks are entered, others run at once."""


@pytest.mark.parametrize(("text", "least"), [(UNDER_A_CONDITION, 10), (IN_PARTS, 10)])
def test_budgets_hold_where_the_spec_has_them(tmp_path: Path, text: str, least: int) -> None:
    found = Explored(explored(space_of(tmp_path, text)))
    assert any(one.some for one in found.bounds)
    assert not found.others
    nets = [*whole(found.space.recipe, {})]
    kept = [given for given, net in nets if not check(net)]
    assert found.overview.nets == len(nets)
    assert len(nets) - least > found.overview.within.least == found.overview.within.most == len(kept) > least
    drawn = {frozenset(net.items()) for net in islice(found.draw(), 40 * len(kept))}
    assert drawn == {frozenset(given.items()) for given in kept}
    costs = [net.cost() for _, net in nets if not check(net)]
    for quantity, amounts in (("params", [c.params for c in costs]), ("macs", [c.macs for c in costs])):
        ends = found.overview.kept[quantity]
        assert (ends.least.most, ends.most.least) == (min(amounts), max(amounts))
    taken = {(name, option) for given in kept for name, option in given.items()}
    for one in found.overview.choices:
        assert {option for name, option in taken if name == one.name} == {*one.options} - {
            *one.unused,
            *one.beyond,
        }
    best = {(cost.macs, cost.params) for cost in costs}
    best = {pair for pair in best if not any(o != pair and o[0] <= pair[0] and o[1] <= pair[1] for o in best)}
    assert {sums for sums, _ in found.front([("macs", False), ("params", False)])} == best


def whole(recipe: Recipe, given: Mapping[str, str]) -> Iterator[tuple[dict[str, str], Net]]:
    """Yield all nets of a recipe, found by what elaboration says is open."""
    try:
        yield {**given}, Net(recipe.given(given))
    except NetError as error:
        first = error.diagnostics[0]
        if first.code == "E217" and first.details:
            name, _, options = first.details[0].partition(": ")
            for option in options.split(", "):
                yield from whole(recipe, {**given, name: option})


def test_a_chain_may_have_more_answers_than_one_statement(tmp_path: Path) -> None:
    steps = [f"conv choose(1x1, 3x3, 5x5), choose(4, 6, 8) as {label}" for label in "abcde"]
    text = f"net S:\n    input 3, 8x8\n    {' -> '.join(steps)}\n    gap\n    fc: fc 10\n"
    assert size(Explored(explored(space_of(tmp_path, text))).lattice) == 9**5


def test_budgets_of_some_nets_are_said_to_be_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = space_of(tmp_path, UNDER_A_CONDITION.replace("macs >= 20K", "memory <= 1MB"))
    assert cli.main(["space", str(path)]) == 0
    out = capsys.readouterr().out
    assert "within params <= 4K, macs <= 30K where required, macs <= limit where required: " in out
    assert "memory <= 1MB where required: kept by " in out
    assert cli.main(["space", str(path), "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["budgets_of_some"] == [
        "macs <= 30K",
        "macs <= limit",
        "memory <= 1MB",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("net S:\n    input 3, 8x8\n    conv 3x3, 4\n", "leaves nothing open"),
        ("net S:\n    input 3, 8x8\n    conv 9x9, choose(4, 8), pad=0\n", "the kernel covers 9"),
        (
            "net S:\n    input 3, 8x8\n    init bn weight=kaiming_normal(fan_in)\n"
            "    conv 3x3, choose(4, 8), norm=bn\n",
            "needs a tensor",
        ),
        (
            "net S:\n    input 3, 8x8\n    init bn weight=kaiming_normal(fan_in)\n"
            '    kind = choose("a", "b")\n    if kind == "b":\n        bn\n    conv 3x3, 4\n',
            "needs a tensor",
        ),
        ("net S:\n    input 3, 8x8\n    require parms <= 4\n    conv 3x3, choose(4, 8)\n", "params"),
        (
            "net S:\n    input 3, 8x8\n    require params <= 4\n    conv 3x3, choose(4, 8)\n",
            "within params <= 4: 0 (0 %)",
        ),
    ],
)
def test_what_is_wrong_with_a_space_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, said: str
) -> None:
    cli.main(["space", str(space_of(tmp_path, text))])
    captured = capsys.readouterr()
    assert said in captured.out + captured.err


def test_no_net_within_the_budgets_is_an_error_where_nets_are_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = space_of(
        tmp_path, "net S:\n    input 3, 8x8\n    require params <= 4\n    conv 3x3, choose(4, 8)\n"
    )
    for asked in (["--draw", "1"], ["--front", "macs"]):
        assert cli.main(["space", str(file), *asked]) == 1
        assert "no net of S keeps its budgets: params <= 4" in capsys.readouterr().err


def test_drawn_nets_compile_alone_and_keep_their_budgets(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = space_of(tmp_path, (SPACES / "memory.net").read_text().replace("1200KB", "600KB"))
    out = tmp_path / "drawn.net"
    assert cli.main(["space", str(spec), "--draw", "4", "--seed", "7", "-o", str(out)]) == 0
    assert cli.main(["check", str(out)]) == 0
    first = out.read_text()
    assert first.count("variant ") == 4
    assert cli.main(["space", str(spec), "--draw", "4", "--seed", "7"]) == 0
    assert capsys.readouterr().out.endswith(first)


def test_a_front_has_all_that_no_other_net_beats(capsys: pytest.CaptureFixture[str]) -> None:
    path = SPACES / "memory.net"
    assert cli.main(["space", str(path), "--front", "macs,max:params", "--format", "csv"]) == 0
    lines = capsys.readouterr().out.splitlines()
    found = {tuple(map(int, line.split(",")[:2])) for line in lines[1:]}
    space = explored(path)
    ((bound,), *_) = space.budgets()[0].values()
    pairs = {(sums[2], sums[0]) for sums in every(space) if sums[0] <= bound.most}
    best = {
        (macs, params)
        for macs, params in pairs
        if not any(m <= macs and p >= params and (m, p) != (macs, params) for m, p in pairs)
    }
    assert found == best


def test_json_is_what_its_schema_says(capsys: pytest.CaptureFixture[str]) -> None:
    schema = json.loads((Path(__file__).parent.parent / "docs" / "schema" / "space.json").read_text())
    for spec in ("search", str(SPACES / "memory.net"), str(SPACES / "stages.net")):
        assert cli.main(["space", spec, "--front", "params,macs", "--format", "json"]) == 0
        made = json.loads(capsys.readouterr().out)
        jsonschema.validate(made, schema)
        assert made["nets"] >= made["within"]["most"] > 0


def test_a_space_can_be_explored_from_python() -> None:
    space = netdsl.explore(SPACES / "memory.net")
    assert space.decisions["s0.channels"] == ("16", "32", "48")
    net = next(space.draw(seed=1))
    made = netdsl.load(SPACES / "memory.net", set=net)
    assert space.cost(net) == made.cost().replace(activations=made.cost().activations // 4)
    assert space.keeps(net)
    assert not made.check()
    ((costs, least), *_) = space.front([("params", False)])
    assert space.cost(least).params == costs[0] == space.overview.kept["params"].least.least
    for wrong, code in (({**net, "s9": "1"}, "E504"), ({**net, "s0.n": "9"}, "E504"), ({}, "E217")):
        with pytest.raises(NetError) as error:
            space.cost(wrong)
        assert error.value.diagnostics[0].code == code
    with pytest.raises(NetError, match="leaves nothing open"):
        netdsl.explore("lenet")


def test_what_python_shows_is_short(tmp_path: Path) -> None:
    text = "net S:\n    input 3, 8x8\n    require params <= 120\n    conv 1x1, choose(4, 5, 999)\n    relu\n"
    space = netdsl.explore(space_of(tmp_path, text.replace("conv", "a: conv")))
    head, budgets, _, *table, _, never = str(space).splitlines()
    assert head == "S (s.net): 1 open decision, 3 nets"
    assert budgets == "within params <= 120: 2 (66.7 %)"
    assert table[2].split() == ["params", "16", "4K", "16", "20"]
    assert never.startswith("a.channels=999 is in no net within the budgets (")
    assert space._repr_html_().count("<") == 2
    assert "params &lt;= 120" in space._repr_html_()
    assert len(str(netdsl.explore(SPACES / "large.net")).splitlines()) < 12


def test_markdown_has_the_same_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["space", "search", "--format", "markdown"]) == 0
    out = capsys.readouterr().out
    assert "**Supernet (search.net): 17 open decisions, 17,006,112 nets**\n\n- within params <= 5M" in out
    assert "| neck | identity, conv, MBConv |" in out
    assert cli.main(["space", str(SPACES / "memory.net"), "--front", "params", "--format", "markdown"]) == 0
    assert "| params | decisions |\n| ---: | :--- |\n" in capsys.readouterr().out


def test_samples_of_a_large_space_are_uniform_and_of_a_small_one_all() -> None:
    small, large = netdsl.explore(SPACES / "cells.net"), netdsl.explore("search")
    nets = [(sums[2], sums[0] + sums[5]) for sums in every(small.space)]  # params of heads of training count
    found = samples(small, ("macs", "params"), len(nets))
    assert sorted(one.costs for one in found) == sorted(nets)
    assert len(samples(small, ("macs",), len(nets) - 1)) == len(nets) - 1
    drawn = samples(large, ("params",), 2000, seed=5)
    assert drawn == samples(large, ("params",), 2000, seed=5) != samples(large, ("params",), 2000, seed=6)
    kept = sum(one.kept for one in drawn) / len(drawn)
    assert kept == pytest.approx(16_760_991 / 17_006_112, abs=0.01)  # 4 standard deviations are 0.0107


def test_a_partly_decided_variant_is_a_smaller_space(tmp_path: Path) -> None:
    text = """import Supernet from "search.net"

variant small = Supernet(width=0.75):
    decide stage1.depth=2, stage1.kernel=5x5, neck=identity
"""
    (tmp_path / "v.net").write_text(text)
    (tmp_path / "search.net").write_text((SPECS / "search.net").read_text())
    file, _ = api.locate(tmp_path / "v.net")
    space = Space(api.recipe(file, "small", {}, {}))
    assert overview(Explored(space)).nets == 17_006_112 // (3 * 3 * 3 * 3)
    assert "stage1.depth" not in space.decisions


def test_a_decision_is_not_fitted() -> None:
    net = netdsl.load("search", set=next(netdsl.explore("search").draw()))
    with pytest.raises(NetError, match="width is a decision of a search space"):
        net.fit("width", "macs=300M")

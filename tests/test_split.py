"""Where a net is cut for a pipeline: against all plans there are, and what its parts are as nets."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from itertools import combinations, pairwise
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import jsonschema
import pytest
import referencing
from hypothesis import HealthCheck, given, settings
from strategies import Spec, specs
from torch_oracles import load

import netdsl
from netdsl import NetError, Network, cli
from netdsl.api import loads
from netdsl.split import Options, Split, split
from netdsl.split.parts import _Splitter
from netdsl.split.places import find_places
from netdsl.split.plan import Row, TooLittle, choose, memory_of
from netdsl.split.schedule import simulate, waiting

ROOT = Path(netdsl.__file__).parents[1]


class Random_(NamedTuple):
    """What random steps save: each some things, several of them the same."""

    keeps: Sequence[Sequence[int]]
    sizes: Sequence[int]

    def __call__(self, begin: int, end: int) -> int:
        """Return the sizes of what a part saves, each thing once."""
        return sum(self.sizes[one] for one in {one for kept in self.keeps[begin:end] for one in kept})


def random_row(rng: Random, steps: int) -> Row:
    """Return a row of random numbers, with ties."""

    def sums(numbers: Sequence[int]) -> list[int]:
        found = [0]
        for number in numbers:
            found.append(found[-1] + number)
        return found

    work = sums([rng.choice([0, 0, 1, 2, 3, rng.randrange(20)]) for _ in range(steps)])
    held = sums([rng.choice([0, rng.randrange(10)]) for _ in range(steps)])
    across = [rng.randrange(1, 5) for _ in range(steps + 1)]
    keeps = [[rng.randrange(steps) for _ in range(rng.randrange(3))] for _ in range(steps)]
    return Row(work, across, held, Random_(keeps, [rng.randrange(8) for _ in range(steps)]))


def plans(steps: int, parts: int) -> Iterator[tuple[int, ...]]:
    """Yield all plans."""
    for cuts in combinations(range(1, steps), parts - 1):
        yield (0, *cuts, steps)


def value(row: Row, plan: Sequence[int]) -> tuple[int, int, int]:
    """Return what is made least, in this order."""
    works = [row.work[end] - row.work[begin] for begin, end in pairwise(plan)]
    return max(works), sum(row.across[cut] for cut in plan[1:-1]), sum(work * work for work in works)


def largest(row: Row, plan: Sequence[int], flights: Sequence[int]) -> int:
    """Return the bytes of the largest part."""
    return max(memory_of(row, *part, flight) for part, flight in zip(pairwise(plan), flights, strict=True))


@pytest.mark.parametrize("seed", range(150))
def test_a_plan_is_the_best_of_all(seed: int) -> None:
    rng = Random(seed)
    steps = rng.randrange(4, 12)
    parts = rng.randrange(2, min(5, steps) + 1)
    row = random_row(rng, steps)
    flights = sorted((rng.randrange(4) for _ in range(parts)), reverse=True)
    every = list(plans(steps, parts))
    assert value(row, choose(row, flights)) == min(value(row, plan) for plan in every)
    needs = sorted(largest(row, plan, flights) for plan in every)
    for limit in (needs[0], needs[len(needs) // 3], needs[-1]):
        found = choose(row, flights, limit)
        fits = [plan for plan in every if largest(row, plan, flights) <= limit]
        assert found in fits
        assert value(row, found) == min(value(row, plan) for plan in fits)
    with pytest.raises(TooLittle) as caught:
        choose(row, flights, needs[0] - 1)
    assert caught.value.least == needs[0]


OPTIONS = Options(batch=8, micro_batches=4, train=True, optimizer="adam")


def splitter(net: Network, parts: int, options: Options = OPTIONS) -> _Splitter:
    """Return what is known of a net, with what is saved."""
    return _Splitter(net, find_places(net), parts, options.replace(memory=options.memory or 10**18), None)


def measured(one: _Splitter, plan: Sequence[int]) -> Split:
    """Return the parts of any plan, measured as graphs of their own."""
    made = Split(one.net, tuple(one.parts(plan)), one.options)
    return made.replace(
        parts=tuple(one.measured(part, graph) for part, graph in zip(made.parts, made.graphs, strict=True))
    )


def check_all_plans(net: Network, parts: int, most: int = 400) -> None:
    """Hold the plan against all plans, whose parts are measured one by one, without and with a limit."""
    if len(net.graph) == len(net.inputs):
        return
    one = splitter(net, parts)
    every = list(plans(len(one.places.at) - 1, parts))
    if not every or len(every) > most:
        return
    found = {plan: measured(one, plan) for plan in every}

    def worth(made: Split) -> tuple[float, int]:
        return max(made.work), sum(part.carried for part in made.parts)

    assert worth(split(net, parts, OPTIONS)) == min(map(worth, found.values()))
    needs = sorted(max(part.memory for part in made.parts) for made in found.values())
    if needs[0] < 2:
        return
    for limit in (needs[0], needs[len(needs) // 2]):
        made = split(net, parts, OPTIONS.replace(memory=limit))
        assert max(part.memory for part in made.parts) <= limit
        fits = [other for other in found.values() if max(part.memory for part in other.parts) <= limit]
        assert worth(made) == min(map(worth, fits))
    with pytest.raises(NetError, match=f"take {needs[0]:,} in the largest part"):
        split(net, parts, OPTIONS.replace(memory=needs[0] - 1))


SKIPS = """
net Skips(classes = 10):
    input 4, 12x12
    a: conv 3x3, 8
    b: bn -> relu
    left, right = from flow -> split 2
    c: from right -> conv 3x3, 8 -> relu
    d: concat:
        from left
        from c
        from a
    e: conv 1x1, 16
    f: add:
        from e
        from d -> conv 1x1, 16 as proj
    train output aux: from a -> gap -> fc classes as auxfc
    relu
    drop: dropout 0.5
    gap
    fc: fc classes
"""
SMALL = {
    "skips": SKIPS,
    "same": """
net Same():
    input 4, 8x8
    a: conv 3x3, 4
    relu
    b: conv 3x3, 4
    same a
    tanh
    gap
    fc: fc 3
""",
    "rows": """
net Rows():
    input 6, 8x8
    a: conv 3x3, 8
    permute 1, 2, 0
    l: fc 16
    add:
        from l -> fc 8 as q
        from l -> fc 8 as r
    permute 2, 0, 1
    c: conv 1x1, 4
    gap
    y: fc 3
""",
    "patches": """
net Patches():
    input 3, 8x8
    weight cls [1, 8], batch=true
    conv: conv 4x4, 8, stride=4, pad=0
    rows = from conv -> tokens
    from cls, rows -> concat axis="n"
    weight position [5, 8], batch=true
    add:
        from flow
        from position
    norm: ln
    fc: fc 8
    permute 1, 0
    mix: fc 5
    permute 1, 0
    token 0
    head: fc 3
""",
}


@pytest.mark.parametrize("parts", [2, 3])
@pytest.mark.parametrize("name", SMALL)
def test_the_plan_of_a_small_net_is_the_best_of_all(name: str, parts: int) -> None:
    check_all_plans(loads(SMALL[name], f"{name}.net", name), parts)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(specs())
def test_the_plan_of_a_random_net_is_the_best_of_all(spec: Spec) -> None:
    check_all_plans(loads(spec.text, "random.net", "trial"), 2, 60)


def test_every_step_between_two_layers_is_a_place() -> None:
    """Inputs come with the first layer, learned tensors with who reads them, runs of one module together."""
    net = loads(SMALL["skips"], "skips.net", "skips")
    places = find_places(net)
    assert places.at == (0, *range(2, len(net.graph) + 1))
    net = loads(SMALL["same"], "same.net", "same")
    first, last = (list(net.graph.nodes).index(name) for name in ("a", "a_1"))
    places = find_places(net)
    assert not any(first < at <= last for at in places.at)
    assert len(places.at) > 3
    net = loads(SMALL["patches"], "patches.net", "patches")
    places = find_places(net)
    for names in places.across:
        assert not {value.node for value in names} & {"cls", "position"}


def test_what_two_runs_of_a_module_share_is_in_one_part() -> None:
    net = loads(SMALL["same"], "same.net", "same")
    for plan in plans(len(find_places(net).at) - 1, 2):
        made = measured(splitter(net, 2), plan)
        homes = [{net.graph[name].home for name in part.layers} for part in made.parts]
        assert homes[0].isdisjoint(homes[1])


ZOO = (
    "vgg16",
    "resnet50",
    "googlenet",
    "densenet121",
    "nasnet_a_mobile",
    "vit_b_16",
    "swin_t",
    "shufflenet_v2_x1_0",
)


@pytest.mark.parametrize("name", ZOO)
def test_parts_have_all_keys_once_and_all_that_is_counted(name: str) -> None:
    net = load(name)
    for parts in (2, 5):
        made = split(net, parts, OPTIONS)
        keys = [key for part in made.nets for key in part.parameters]
        assert sorted(keys) == sorted(net.parameters)
        assert sum(part.params for part in made.parts) == net.cost().params
        macs = net.cost(batch=8, train=True).macs + net.backward_macs(8)
        assert sum(part.macs for part in made.parts) == macs
        for before, after in pairwise(made.parts):
            assert before.sent == after.received
            inputs = made.nets[after.rank].inputs
            assert inputs == {one.name: one.shape for one in after.received}
            assert [*made.nets[before.rank].outputs.values()] == [one.shape for one in before.sent]


@pytest.mark.parametrize("name", ZOO)
def test_what_is_saved_of_a_part_is_known_before_it_is_one(name: str) -> None:
    one, rng = splitter(load(name), 3), Random(0)
    row, steps = one.row(), len(one.places.at) - 1
    for _ in range(6):
        plan = (0, *sorted(rng.sample(range(1, steps), 2)), steps)
        for part, (begin, end) in zip(measured(one, plan).parts, pairwise(plan), strict=True):
            assert part.saved == row.saved(begin, end)
            held = part.weights + part.buffers + part.gradients + part.optimizer
            assert held == row.held[end] - row.held[begin]


def test_a_whole_net_as_one_part_is_the_net() -> None:
    net = load("resnet50")
    one = splitter(net, 1)
    (part,) = measured(one, (0, len(one.places.at) - 1)).parts
    memory = net.memory(2, train=True, optimizer="adam")
    assert (part.weights, part.buffers, part.gradients) == (memory.weights, memory.buffers, memory.gradients)
    assert (part.optimizer, part.saved) == (memory.optimizer, memory.saved)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["split", "googlenet", "--parts", "3", "--train", "--batch", "8", "--micro-batches", "4"]
    assert cli.main([*command, "--format", "json", "-o", str(tmp_path / "made"), "-q"]) == 0
    value = json.loads(capsys.readouterr().out)
    schemas = {path.name: json.loads(path.read_text(encoding="utf-8")) for path in ROOT.glob("docs/schema/*")}
    resources = [(key, referencing.Resource.from_contents(contents)) for key, contents in schemas.items()]
    registry: referencing.Registry[Any] = referencing.Registry().with_resources(resources)
    jsonschema.Draft202012Validator.check_schema(schemas["split.json"])
    jsonschema.Draft202012Validator(schemas["split.json"], registry=registry).validate(value)
    assert [part["share"] for part in value["parts"]] == pytest.approx([1 / 3] * 3, abs=0.1)
    names = [f"googlenet_part{rank}.{end}" for rank in range(3) for end in ("net", "py")]
    made = sorted(path.name for path in (tmp_path / "made").iterdir())
    assert made == sorted([*names, "googlenet_pipeline.py", "googlenet_pipeline.svg"])
    again = loads((tmp_path / "made" / "googlenet_part1.net").read_text(), "part.net", "googlenet_part1")
    assert [list(shape) for shape in again.outputs.values()] == [
        sent["shape"] for sent in value["parts"][1]["sends"]
    ]
    assert cli.main([*command, "--device", "h100"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "at least" in said
    assert re.search(r"googlenet\.net:\d+:\d+: warning\[L322 micro_batch_norm\] \S+ takes statistics", said)
    assert "2 of 8 samples, 32 values a channel (2 x 4x4), and moves its running ones 4 times a step" in said
    (found,) = value["findings"]
    assert (found["code"], found["nets"][0]["name"], found["count"]) == ("L322", "googlenet", 59)
    assert (
        cli.main(["split", "vgg16", "--parts", "2", "--train", "--batch", "4", "--micro-batches", "2"]) == 0
    )
    assert "L322" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"parts": 1}, "parts must be an int from 2"),
        ({"batch": 8, "micro_batches": 3}, "3 micro-batches of one size do not make a batch of 8"),
        ({"batch": 0}, "batch must be an int from 1"),
        ({"schedule": "zigzag"}, "unknown schedule `zigzag`"),
        ({"optimizer": "adam"}, "means nothing without train"),
        ({"train": True, "dtype": "int8"}, "int8 has no gradients"),
        ({"parts": 40}, "lenet can be cut into 12 parts, not 40"),
    ],
)
def test_options_that_mean_nothing(options: dict[str, Any], said: str) -> None:
    with pytest.raises(NetError, match=said):
        load("lenet").split(**{"parts": 2, **options})


@pytest.mark.parametrize("schedule", ["gpipe", "1f1b"])
def test_equal_parts_wait_as_long_as_the_formula_says(schedule: str) -> None:
    for parts, number in ((2, 1), (3, 4), (4, 16)):
        slots = simulate(schedule, [1.0] * parts, [2.0] * parts, number)
        assert len(slots) == 2 * parts * number
        assert waiting(slots, parts) == pytest.approx((parts - 1) / (number + parts - 1))

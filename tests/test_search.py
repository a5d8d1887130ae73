"""`netdsl search`: samplers, budgets, resuming, workers that are lost, what is refused."""

import json
import math
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import optuna
import pytest
import torch
from optuna._hypervolume import compute_hypervolume
from scipy.stats import spearmanr
from searches import RECORD, SMALL

import netdsl
from netdsl import api, cli
from netdsl.picture.scores import Point, draw
from netdsl.search import proxies, samplers, storage
from netdsl.search import study as studies
from netdsl.search.meaning import meaning
from netdsl.search.nets import Nets
from netdsl.search.objective import Objective

Captured = pytest.CaptureFixture[str]

MIDDLE = """\
net Middle(width = choose(4, 8, 16)):
    input 1, 8x8
    require params <= 8K, macs <= 300K
    for i in [1, 2, 3]:
        stage{i}:
            depth = choose(0, 1, 2)
            if depth > 0:
                depth * conv choose(3x3, 5x5), width, act=choose(relu, silu)
    gap
    fc: fc 10
"""
OBJECTIVES = """
import torch

def score(net):
    costs = net.cost()
    return costs.macs / 1e5 + len(net.graph.nodes) / 10

def params(model: torch.nn.Module):
    return sum(p.numel() for p in model.parameters())

def raises(net):
    raise ValueError("no luck")

def odd(net):
    if net.cost().macs % 2 == 0 and len(net.graph.nodes) == 4:
        raise ValueError("no luck")
    return 1

def text(net):
    return "good"

def nan(net):
    return float("nan")

def logged(net):
    record(net)
    return net.cost().macs

def slow(net):
    logged(net)
    time.sleep(0.3)
    return net.cost().macs

def hangs_once(net):
    logged(net)
    if not os.path.exists("hung"):
        with open("hung", "w") as stream:
            stream.write(str(os.getpid()))
        time.sleep(600)
    return net.cost().macs
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give a folder with a space and objectives, in which all tests run."""
    (tmp_path / "small.net").write_text(SMALL)
    (tmp_path / "middle.net").write_text(MIDDLE)
    (tmp_path / "objectives.py").write_text(RECORD + OBJECTIVES)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    sys.modules.pop("objectives", None)
    yield tmp_path
    sys.modules.pop("objectives", None)


def nets(text: str = SMALL) -> Nets:
    """Return the space of a text."""
    return Nets(api.recipe(api.read_text(text), "", {}, {}))


def search(*options: str, trials: int = 12, objective: str = "score", spec: str = "small.net") -> int:
    """Run the command."""
    return cli.main(
        ["search", spec, "--objective", f"objectives:{objective}", "--trials", str(trials), *options]
    )


def found(capsys: Captured, *options: str, **given: Any) -> Any:
    """Run the command, and return its JSON."""
    assert search("--format", "json", *options, **given) == 0
    return json.loads(capsys.readouterr().out)


def every(text: str = SMALL) -> dict[frozenset[tuple[str, str]], netdsl.Network]:
    """Return every net of the small space that keeps its budgets, by what it decides; found by trying all."""
    kept = {}
    for width, depth, kernel, act in product((4, 8, 16), (0, 1, 2), ("3x3", "5x5"), ("relu", "silu")):
        chosen: dict[str, Any] = {"width": width, "stage1.depth": depth}
        if depth:
            chosen |= {"stage1.kernel": kernel, "stage1.act": act}
        net = netdsl.loads(text, set=chosen)
        if net.cost().params <= 4000 and net.cost().macs <= 100_000:
            kept[frozenset((name, str(value)) for name, value in chosen.items())] = net
    return kept


# ---------------------------------------------------------------- nets of a space


def test_draws_are_uniform_over_the_nets_that_keep_the_budgets() -> None:
    space, kept = nets(), every()
    number = 300 * len(kept)
    chance = random.Random(0)
    drawn = Counter(frozenset(space.texts(space.draw(chance)).items()) for _ in range(number))
    assert set(drawn) == set(kept)
    chi = sum((times - 300) ** 2 / 300 for times in drawn.values())
    assert chi < len(kept) + 4 * (2 * len(kept)) ** 0.5


def test_front_equals_brute_force() -> None:
    space = nets()
    weight = random.Random(1)
    parts = {
        (name, index): float(weight.randrange(100))
        for name, many in space.options.items()
        for index in range(many)
    }
    every_net = []
    for chosen, net in every().items():
        answers = {name: space.space.decisions[name].options.index(text) for name, text in chosen}
        cost = net.cost()
        assert space.costs(answers) == (cost.macs, cost.params)
        every_net.append((cost.macs, cost.params, -sum(parts[one] for one in answers.items())))
    best = {
        a
        for a in every_net
        if not any(b != a and all(x <= y for x, y in zip(b, a, strict=True)) for b in every_net)
    }
    front = space.front(parts)
    assert {(macs, params, -score) for macs, params, score in front.sums} == best
    assert len(front) == len(best)
    for i, sums in enumerate(front.sums):
        assert space.costs(front.answers(i)) == sums[:2]


def test_the_nearest_net_is_the_wish_itself_or_keeps_its_first_decisions() -> None:
    space = nets()
    chance = random.Random(0)
    for _ in range(30):
        wish = space.draw(chance)
        assert space.nearest(wish, lambda answers: True, chance) == wish
    wide = {"width": 2, "stage1.depth": 2, "stage1.kernel": 1, "stage1.act": 0}
    near = space.nearest(wide, lambda answers: True, chance)
    assert near is not None
    assert near["width"] == 2
    assert space.keeps(near)
    assert not space.keeps(wide)


def test_budgets_that_are_no_sums_are_kept() -> None:
    text = SMALL.replace("macs <= 100K", "macs <= 100K, memory <= 6KB")
    space = nets(text)
    assert space.others
    chance = random.Random(0)
    for _ in range(30):
        net = space.network(space.draw(chance))
        assert not net.check()
    assert not search("--sampler", "surrogate", trials=25)


def test_regression_finds_what_adds_up() -> None:
    chance = random.Random(0)
    space = nets()
    drawn = [space.draw(chance) for _ in range(60)]
    scores = [3.0 * one["width"] - (one["stage1.depth"] == 1) for one in drawn]
    weights = samplers.regression(drawn, scores)
    assert weights["width", 2] - weights["width", 0] == pytest.approx(6, abs=0.3)
    assert weights["width", 1] - weights["width", 0] == pytest.approx(3, abs=0.3)


# ---------------------------------------------------------------- samplers


@pytest.mark.parametrize("kind", samplers.KINDS)
def test_each_sampler_tries_every_net_once_and_no_other(kind: str, capsys: Captured) -> None:
    value = found(capsys, "--sampler", kind, objective="logged", trials=100)
    tried = [frozenset(one["decisions"].items()) for one in value["history"]]
    assert len(tried) == len(set(tried)) == value["trials"]["scored"]
    assert set(tried) == set(every())
    assert len(Path("log").read_text().splitlines()) == len(tried)


def worth(net: netdsl.Network) -> float:
    """Return a score that grows with costs, ever slower, and likes some options better."""
    options = {one.name: one.options[one.chosen or 0] for one in net.decisions}
    good = sum(3 - 2 * (option == "3x3") for name, option in options.items() if name.endswith("kernel"))
    good += sum(option == "silu" for option in options.values())
    return float(good - 2 * (len(options) - 7) ** 2 + net.cost().macs ** 0.5 / 100)


def run(space: Nets, kind: str, seed: int, *goals: int, score: Callable[[Any], float] = worth) -> list[Any]:
    """Return what a worker scores, or one after the other that go on."""
    where = optuna.storages.InMemoryStorage()
    for goal in goals:
        study = studies.opened(space, "worth", where, "s")
        studies.Worker(study, where, space, Objective("worth", score), kind, seed, print).work(goal)
    return [one._replace(seconds=0) for one in studies.scored(space, study)]


@pytest.fixture(scope="module")
def middle() -> Nets:
    """Give a space of some thousand nets."""
    return nets(MIDDLE)


@pytest.mark.parametrize("kind", samplers.KINDS)
def test_each_sampler_goes_on_as_it_would_have(kind: str, middle: Nets) -> None:
    whole = run(middle, kind, 0, 30)
    assert whole == run(middle, kind, 0, 23, 30)
    assert len({frozenset(one.answers.items()) for one in whole}) == 30
    assert all(middle.keeps(one.answers) for one in whole)
    assert [one.answers for one in run(middle, kind, 1, 3)] != [one.answers for one in whole[:3]]


def test_surrogate_finds_better_fronts_than_chance(middle: Nets) -> None:
    def volume(kind: str) -> float:
        scored = [run(middle, kind, seed, 60) for seed in range(3)]
        points = [np.array([(*one.costs, -one.score) for one in net]) / (3e5, 8e3, 20) for net in scored]
        return sum([float(compute_hypervolume(one, np.ones(3))) for one in points])

    assert volume("surrogate") > 1.01 * volume("uniform")


# ---------------------------------------------------------------- results


def test_front_and_costs_are_those_of_the_nets(capsys: Captured) -> None:
    value = found(capsys, trials=15)
    for one in value["history"]:
        net = netdsl.load("small.net", set=one["decisions"])
        assert one["costs"] == {"macs": net.cost().macs, "params": net.cost().params}
        assert one["score"] == net.cost().macs / 1e5 + len(net.graph.nodes) / 10
    front = [one["trial"] for one in value["front"]]
    for one in value["history"]:
        beaten = any(
            other["score"] >= one["score"]
            and all(other["costs"][name] <= one["costs"][name] for name in one["costs"])
            and (other["score"], other["costs"]) != (one["score"], one["costs"])
            for other in value["history"]
        )
        assert (
            beaten
            or one["trial"] in front
            or any(
                other["trial"] in front and (other["score"], other["costs"]) == (one["score"], one["costs"])
                for other in value["history"]
            )
        )
    assert value["best"] == max(value["history"], key=lambda one: one["score"])


def test_json_is_as_its_schema_says(capsys: Captured) -> None:
    schema = json.loads((Path(netdsl.__file__).parents[1] / "docs" / "schema" / "search.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(found(capsys, trials=3), schema)


def test_proxies_stand_beside_costs(capsys: Captured) -> None:
    value = found(capsys, "--proxy", "grad_norm,synflow", trials=8)
    schema = json.loads((Path(netdsl.__file__).parents[1] / "docs" / "schema" / "search.json").read_text())
    jsonschema.validate(value, schema)
    assert value["ranks"].keys() == {"nets", "macs", "params", "grad_norm", "synflow"}
    scores = [one["score"] for one in value["history"]]
    for name in ("macs", "params"):
        costs = [one["costs"][name] for one in value["history"]]
        assert value["ranks"][name] == pytest.approx(spearmanr(costs, scores).statistic)
    for name in ("grad_norm", "synflow"):
        numbers = [one["proxies"][name] for one in value["history"]]
        assert len(set(numbers)) == len(numbers)
        assert value["ranks"][name] == pytest.approx(spearmanr(numbers, scores).statistic)
    assert search("--proxy", "synflow", trials=2) == 0
    assert "rank correlation with the score over 2 nets: macs " in capsys.readouterr().out
    assert search("--proxy", "sinflow", trials=2) == 2
    assert "did you mean `synflow`?" in capsys.readouterr().err


def test_synflow_of_a_net_that_is_worked_out_by_hand() -> None:
    # two linear layers: the sum over the weights of each is the output, without biases
    net = netdsl.loads("net N:\n    input 3\n    a: fc 4, bias=false\n    b: fc 2, bias=false\n")
    torch.manual_seed(0)
    model = net.build("torch")
    product = float((model.b.weight.abs().double() @ model.a.weight.abs().double()).sum())
    assert proxies.synflow(net) == pytest.approx(math.log10(2 * product))


def test_best_net_is_written_as_a_spec_that_compiles_alone(capsys: Captured, folder: Path) -> None:
    value = found(capsys, "-o", "best.net", "--emit", "torch", "--plot", "front.svg", trials=8)
    best = value["best"]
    net = netdsl.load("best.net:best")
    assert {one.name: one.options[one.chosen or 0] for one in net.decisions} == best["decisions"]
    assert net.cost().params == best["costs"]["params"]
    assert 'import Small from "small.net"' in Path("best.net").read_text()
    assert cli.main(["check", "best.net"]) == 0
    capsys.readouterr()
    made = dict[str, Any]()
    exec(Path("best.py").read_text(), made)
    assert sum(p.numel() for p in made["best"]().parameters()) == net.cost().params
    svg = Path("front.svg").read_text()
    assert f"trial {best['trial']}: {best['score']:.4g}" in svg
    assert svg.count("<circle") == 2 * 8
    # in another folder the space's text comes first
    (folder / "out").mkdir()
    again = found(capsys, "-o", "out/best.net", trials=8)
    assert again["best"]["decisions"] == best["decisions"]
    assert netdsl.load("out/best.net:best").cost() == net.cost()


def test_a_variants_arguments_are_kept(capsys: Captured) -> None:
    Path("small.net").write_text(
        SMALL.replace("16)):", "16), classes = 10):").replace("fc 10", "fc classes")
        + "\nvariant three = Small(classes=3)\n"
    )
    value = found(capsys, "-o", "best.net", spec="small.net:three", trials=4)
    assert netdsl.load("best.net:best").cost().params == value["best"]["costs"]["params"]
    assert [*map(str, netdsl.load("best.net:best").outputs.values())] == ["3"]


@pytest.mark.parametrize(
    ("options", "what"),
    [
        (["-o", "best.txt"], "give a name in .net"),
        (["-o", "no/such/best.net"], "there is no such folder"),
        (["-o", "small.net"], "is read for it"),
        (["--emit", "torch"], "say where: -o best.net"),
        (["-o", "best.net", "--emit", "torchh"], "there is no backend `torchh`"),
        (["-o", "best.net", "--input", "1x16x16"], "write the input into the spec"),
        (["--plot", "front.jpeg"], "front.jpeg ends in none of"),
        (["--grace", "1"], "at least 4 seconds"),
    ],
)
def test_what_cannot_be_written(options: list[str], what: str, capsys: Captured) -> None:
    assert search(*options, trials=2, objective="logged") == 2
    assert what in capsys.readouterr().err
    assert not Path("log").exists() or "small.net" in options
    assert Path("small.net").read_text() == SMALL


def test_front_of_other_quantities(capsys: Captured) -> None:
    value = found(capsys, "--front", "activations,score", trials=5)
    for one in value["history"]:
        net = netdsl.load("small.net", set=one["decisions"])
        assert one["costs"] == {"activations": sum(c.activations for c in net.layer_costs.values()) * 4}
    assert search("--front", "memory,score") == 2
    assert "`memory` is no quantity that adds up" in capsys.readouterr().err


def test_objective_is_given_a_module_if_it_says_so(capsys: Captured) -> None:
    value = found(capsys, objective="params", trials=3)
    for one in value["history"]:
        assert one["score"] == one["costs"]["params"]


def test_digits_are_learned(capsys: Captured) -> None:
    arguments = ["search", "digits_search", "--objective", "digits", "--trials", "1", "--format", "json"]
    assert cli.main(arguments) == 0
    value = json.loads(capsys.readouterr().out)
    assert value["best"]["score"] > 0.5
    assert cli.main(arguments) == 0
    assert json.loads(capsys.readouterr().out)["best"]["score"] == value["best"]["score"]


# ---------------------------------------------------------------- what fails


def test_failing_trials_say_so_and_others_go_on(capsys: Captured) -> None:
    assert search("--format", "json", objective="odd", trials=15) == 0
    printed = capsys.readouterr()
    value = json.loads(printed.out)
    assert value["trials"]["failed"] > 0
    assert value["trials"]["failed"] + value["trials"]["scored"] == 15
    assert "failed, ValueError: no luck: width=" in printed.err
    assert "Traceback" not in printed.err


@pytest.mark.parametrize(
    ("objective", "what"),
    [
        ("raises", "ValueError: no luck"),
        ("text", "the objective returned str, and no number"),
        ("nan", "the objective returned nan"),
    ],
)
def test_a_search_in_which_all_fail(objective: str, what: str, capsys: Captured) -> None:
    assert search(objective=objective, trials=3) == 1
    err = capsys.readouterr().err
    assert err.count(what) == 3
    assert "none of 3 nets was scored" in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("options", "what"),
    [
        (["small.net", "--objective", "accuracy"], "there is no objective accuracy"),
        (["small.net", "--objective", "nowhere:score"], "there is no module nowhere"),
        (["small.net", "--objective", "objectives:scores"], "did you mean `score`?"),
        (["small.net", "--objective", "objectives.py:score"], "objectives:score"),
        (["lenet", "--objective", "objectives:score"], "LeNet leaves nothing open"),
        (["small.net", "--objective", "objectives:score", "--storage", "x.db"], "`x.db` is no storage"),
        (
            ["small.net", "--objective", "objectives:score", "--storage", "mysql://u:secret@h/d"],
            "`h/d` is no storage",
        ),
        (
            ["small.net", "--objective", "objectives:score", "--storage", "sqlite:///no/such/x.db"],
            "cannot use",
        ),
        (["small.net", "--objective", "objectives:score", "--storage", "journal:///no/such/x"], "cannot use"),
        (["small.net", "--objective", "objectives:score", "--storage", "sqlite:///small.net"], "cannot use"),
        (["small.net", "--objective", "objectives:score", "--storage", "journal:///small.net"], "cannot use"),
        (["small.net", "--objective", "objectives:score", "--workers", "2"], "several workers share a study"),
        (
            ["small.net", "--objective", "objectives:score", "--set", "width=5"],
            "width must be one of 4, 8, 16",
        ),
    ],
)
def test_misuse(options: list[str], what: str, capsys: Captured) -> None:
    assert cli.main(["search", *options, "--trials", "1"]) in (1, 2)
    err = capsys.readouterr().err
    assert what in err
    assert "Traceback" not in err
    assert "secret" not in err


@pytest.mark.parametrize("range_", [0.0, 1e-6, 0.017, 0.1, 0.3, 0.65, 0.9, 1.0, 42.0, 8e9])
def test_scores_of_any_range_are_drawn_with_marks(range_: float) -> None:
    points = [Point(f"trial {i}", 1000 + i, 100, 0.3 + range_ * i / 9, False, i == 9) for i in range(10)]
    text = str(draw(points, "x", "MACs", "params"))
    assert text.count("<circle") == 20  # in the picture, and in the history below it
    assert 3 <= text.count("<path") <= 30


def test_no_net_keeps_the_budgets(capsys: Captured) -> None:
    Path("small.net").write_text(SMALL.replace("params <= 4K", "params <= 4"))
    assert search() == 1
    assert "no net of Small keeps its budgets: params <= 4, macs <= 100K" in capsys.readouterr().err


def test_missing_extra(monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    assert search() == 1
    assert 'pip install "netdsl[search]"' in capsys.readouterr().err
    monkeypatch.undo()


# ---------------------------------------------------------------- going on


def test_a_study_goes_on_and_nothing_is_scored_twice(capsys: Captured) -> None:
    first = found(capsys, "--storage", "sqlite:///x.db", objective="logged", trials=5)
    again = found(capsys, "--storage", "sqlite:///x.db", objective="logged", trials=5)
    assert first == again
    more = found(capsys, "--storage", "sqlite:///x.db", objective="logged", trials=9)
    assert more["history"][:5] == first["history"]
    lines = Path("log").read_text().splitlines()
    assert len(lines) == len(set(lines)) == 9


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("choose(4, 8, 16)", "choose(4, 8)", "the decision width took 4, 8, 16, and takes 4, 8"),
        ("params <= 4K", "params <= 3K", "the budgets were"),
        ("conv1: conv 3x3", "conv1: conv 5x5", "other layers, with the same decisions"),
        ("    gap\n", "    tanh\n    gap\n", "other layers, with the same decisions"),
    ],
)
def test_a_study_of_another_space_is_refused(old: str, new: str, what: str, capsys: Captured) -> None:
    assert search("--storage", "sqlite:///x.db", trials=2) == 0
    Path("small.net").write_text("# said otherwise\n" + SMALL)
    assert search("--storage", "sqlite:///x.db", trials=3) == 0
    Path("small.net").write_text(SMALL.replace(old, new))
    capsys.readouterr()
    assert search("--storage", "sqlite:///x.db", trials=4) == 2
    err = capsys.readouterr().err
    assert what in err
    assert "--study NAME" in err
    assert search("--storage", "sqlite:///x.db", "--study", "other", trials=2) == 0


def test_a_study_of_another_objective_is_refused(capsys: Captured) -> None:
    assert search("--storage", "sqlite:///x.db", trials=2) == 0
    assert search("--storage", "sqlite:///x.db", objective="params", trials=3) == 2
    assert "the objective was objectives:score, and is objectives:params" in capsys.readouterr().err


def test_a_study_that_somebody_else_made_is_refused(capsys: Captured) -> None:
    study = optuna.create_study(storage="sqlite:///x.db", study_name="Small", directions=["minimize"] * 3)
    study.optimize(lambda trial: (trial.suggest_float("x", 0, 1),) * 3, n_trials=1)
    assert search("--storage", "sqlite:///x.db") == 2
    assert "was not made by `netdsl search`" in capsys.readouterr().err


def test_a_study_without_a_meaning_is_taken_if_it_is_empty_and_has_the_goals(
    monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.setattr(studies, "MOMENT", 0.2)
    optuna.create_study(storage="sqlite:///x.db", study_name="Small", direction="minimize")
    assert search("--storage", "sqlite:///x.db") == 2
    assert "was not made by `netdsl search`" in capsys.readouterr().err
    optuna.create_study(
        storage="sqlite:///y.db", study_name="Small", directions=["minimize", "minimize", "maximize"]
    )
    assert search("--storage", "sqlite:///y.db", trials=2) == 0


def test_a_study_whose_maker_has_not_said_its_meaning_yet(capsys: Captured) -> None:
    space = nets()
    where = storage.opened("sqlite:///x.db", print)
    study = optuna.create_study(
        storage=where, study_name="Small", directions=["minimize", "minimize", "maximize"]
    )
    said = {**meaning(space, "objectives:score"), "objective": "another"}
    timer = threading.Timer(0.5, lambda: study.set_user_attr("netdsl", said))
    timer.start()
    assert search("--storage", "sqlite:///x.db") == 2
    assert "the objective was another" in capsys.readouterr().err
    timer.join()


@pytest.mark.parametrize("text", ["a note", '{"op', '{"op_code":1}\nfor later'])
def test_a_file_that_is_no_journal_is_left_as_it_is(text: str) -> None:
    Path("note").write_text(text)
    storage.mended("note")
    kept = "" if text == '{"op' else text
    assert Path("note").read_text() == kept


# ---------------------------------------------------------------- several workers


def started(*options: str, trials: int, objective: str) -> subprocess.Popen[str]:
    """Start the command as a process of its own."""
    command = [
        sys.executable,
        "-m",
        "netdsl",
        "search",
        "small.net",
        "--objective",
        f"objectives:{objective}",
    ]
    command += ["--trials", str(trials), *options, "--format", "json"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(what: Callable[[], Any], seconds: float = 120) -> Any:
    """Return what something is, as soon as it is anything."""
    begin = time.monotonic()
    while not (value := what()):
        assert time.monotonic() - begin < seconds, "it never came"
        time.sleep(0.05)
    return value


@pytest.mark.parametrize("url", ["sqlite:///x.db", "journal:///x.journal"])
def test_two_workers_share_a_study(url: str, capsys: Captured) -> None:
    value = found(capsys, "--storage", url, "--workers", "2", objective="slow", trials=11)
    lines = Path("log").read_text().splitlines()
    assert len(lines) == len(set(lines)) == 11
    assert value["trials"] == {"scored": 11, "failed": 0}
    where = storage.opened(url, print)
    trials = optuna.load_study(storage=where, study_name="Small").get_trials()
    assert len({one.user_attrs["worker"] for one in trials if one.state.name == "COMPLETE"}) == 2


def test_a_worker_that_is_killed_beside_others() -> None:
    lost = started(
        "--storage", "sqlite:///x.db", "--workers", "2", "--grace", "4", trials=5, objective="hangs_once"
    )
    process = int(wait_for(lambda: Path("hung").exists() and Path("hung").read_text()))
    assert process != lost.pid
    os.kill(process, signal.SIGKILL)
    out, err = lost.communicate(timeout=120)
    assert lost.returncode == 0, err
    assert json.loads(out)["trials"] == {"scored": 5, "failed": 0}
    assert f"worker {process} was ended by signal 9" in err


@pytest.mark.parametrize("url", ["sqlite:///x.db", "journal:///x.journal"])
def test_a_killed_workers_trial_is_run_again(url: str, capsys: Captured) -> None:
    grace = ("--grace", "4")
    lost = started("--storage", url, *grace, trials=6, objective="hangs_once")
    process = int(wait_for(lambda: Path("hung").exists() and Path("hung").read_text()))
    assert process == lost.pid
    other = started("--storage", url, *grace, trials=6, objective="hangs_once")
    wait_for(lambda: len(Path("log").read_text().splitlines()) == 6)
    lost.send_signal(signal.SIGKILL)
    lost.communicate()
    begin = time.monotonic()
    out, err = other.communicate(timeout=120)
    assert time.monotonic() - begin < 60
    assert other.returncode == 0, err
    value = json.loads(out)
    assert value["trials"] == {"scored": 6, "failed": 0}
    lines = Counter(Path("log").read_text().splitlines())
    assert sorted(lines.values()) == [1, 1, 1, 1, 1, 2]
    assert lines[Path("log").read_text().splitlines()[0]] == 2
    front = [frozenset(one["decisions"].items()) for one in value["front"]]
    assert len(front) == len(set(front))
    assert "waiting for 1 trial" in err


def test_two_that_propose_a_net_at_the_same_time_do_not_both_score_it() -> None:
    space = nets()
    study = studies.opened(space, "o", optuna.storages.InMemoryStorage(), "s")
    worker = studies.Worker(study, study._storage, space, Objective("o", lambda net: 1.0), "uniform", 0, str)
    early = study.ask()
    wish = early.relative_params
    late = study.ask()
    for name, index in wish.items():
        options = optuna.distributions.CategoricalDistribution(range(space.options[name]))
        study._storage.set_trial_param(late._trial_id, name, index, options)
    with pytest.raises(studies.Passed, match="the same net"):
        worker.scored(early, 10)


def test_a_net_that_kills_its_workers_is_given_up() -> None:
    space = nets()
    where = optuna.storages.InMemoryStorage()
    study = studies.opened(space, "o", where, "s")
    trial = study.ask()
    for name, index in space.draw(random.Random(0)).items():
        trial.set_user_attr("worker", "w")
        trial.suggest_categorical(name, [index])
    for turn in range(storage.RETRIES + 1):
        assert studies.tally(study.get_trials()).running == 1
        worker = studies.Worker(study, where, space, Objective("o", lambda net: 1.0), "uniform", 0, print)
        worker.end(study.get_trials()[-1])
        now = studies.tally(study.get_trials())
        assert now.all == 1
        assert (now.waiting, now.failed) == ((1, 0) if turn < storage.RETRIES else (0, 1))
        study.ask()


def test_a_journal_says_what_it_waits_for(folder: Path) -> None:
    os.symlink("x.journal", "x.journal.lock")
    Path("x.journal").touch()
    said: list[str] = []
    where = storage.opened("journal:///x.journal", said.append, 6)
    begin = time.monotonic()
    optuna.create_study(storage=where)
    assert time.monotonic() - begin > 3
    assert said[0].startswith("waiting for x.journal.lock, the lock of the journal")
    assert not os.path.lexists("x.journal.lock")

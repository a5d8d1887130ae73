"""What `netdsl fit` finds, against formulas, published widths, and every value of a range."""

from __future__ import annotations

import csv
import io
import json
from functools import cache
from math import log
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strangers import stranger

import netdsl
from netdsl import NetError, Network, api, cli
from netdsl.fit import Fit, report
from netdsl.fit.line import make_line
from netdsl.fit.vary import read_vary
from netdsl.fit.vary import settings as settings_of

SCHEMA = Path(netdsl.__file__).parent.parent / "docs" / "schema" / "fit.json"

ONE = """import Bottleneck from "resnet.net"
default conv bias=false

net One(unit: op = Bottleneck):
    input 256, 7x5
    unit 64
"""
SMALL = """net Small(width = 1.0, channels = 16, depth = 2, kernel: dims = 3x5, n: list = [1, 2], act: op = relu):
    input 3, 15x11
    def ch(c) = make_divisible(c * width, 8)
    stem: (conv kernel, ch(channels), norm=bn, act=act)
    body: (depth * conv kernel, ch(2*channels), norm=bn, act=act)
    tail: (n[1] * conv 1x1, ch(2*channels), act=act)
    gap
    fc: fc 10
"""


def small(text: str = SMALL, **params: Any) -> Network:
    """Return a small net."""
    return api.loads(text, "small.net", **params)


def codes(error: pytest.ExceptionInfo[NetError]) -> list[str]:
    """Return the codes of an error."""
    return [d.code for d in error.value.diagnostics]


def beside(found: Fit[Any]) -> list[Any]:
    """Return the values of the only parameter at each step."""
    return [value for step in found.steps for value in step.values.values()]


@pytest.mark.parametrize(("groups", "width"), [(1, 64), (2, 40), (4, 24), (8, 14), (32, 4)])
def test_widths_of_resnext(groups: int, width: int) -> None:
    # table 2 of 1611.05431, where 9Gc^2 + 8GCc = 17C^2 at C=64
    plain = small(ONE).cost().macs
    assert plain == 17 * 64**2 * 7 * 5
    found = small(ONE, unit=f"Bottleneck(groups={groups})").fit("unit.base", f"macs={plain}")
    assert found.values == {"unit.base": width}
    assert found.monotone
    roots = [c for c in range(1, 200) if 9 * groups * c * c + 8 * 64 * groups * c <= 17 * 64**2]
    assert beside(found)[:1] == [roots[-1]]
    assert found.net.cost().macs == found.step.amounts[0]


def test_the_whole_of_resnet50() -> None:
    plain = netdsl.load("resnet50")
    grouped = netdsl.load("resnet50", unit="Bottleneck(groups=8)")
    found = grouped.fit("unit.base", f"macs={plain.cost().macs}")
    assert found.values == {"unit.base": 13}
    assert found.made < 20
    again = netdsl.load("resnet50", set=found.settings)
    assert again.cost() == found.net.cost()
    (low, high) = found.steps
    assert low.amounts[0] <= plain.cost().macs < high.amounts[0]


def test_mobilenet_at_150_million() -> None:
    found = netdsl.load("mobilenet_v1_1_0").fit("width", "macs=150M")
    low, high = found.steps
    assert low.values == {"width": 0.5}
    assert low.amounts == (149_497_088,)
    assert low.first["width"] <= 0.5 <= low.last["width"] < high.first["width"]
    assert found.net.cost().macs == high.amounts[0]


def test_compound_scaling() -> None:
    net = small()
    found = net.fit("width=1..1.21,channels=16..32", "macs<=12M")
    assert found.step.amounts[0] <= 12e6
    # in equal ratios: both have gone the same part of their way
    values = found.step.last
    assert values["channels"] == pytest.approx(16 * values["width"] ** (log(2) / log(1.21)), abs=0.6)
    by_factor = net.fit("width,channels,kernel", "macs<=60M").values
    assert by_factor["channels"] == round(16 * by_factor["width"]) > 16
    assert by_factor["kernel"][0] == round(3 * by_factor["width"])


@cache
def counts(vary: str) -> tuple[list[Any], dict[str, list[int]]]:
    """Return every value of a range, and what the net counts there by quantity."""
    net = small()
    line = make_line(read_vary(net, vary))
    assert line.count is not None
    counted: dict[str, list[int]] = {name: [] for name in CLAIMS}
    for index in range(line.count):
        other = net
        for name, value in settings_of(net, line.varied, line.at(index)).items():
            other = other.vary(name, value)
        for name in CLAIMS:
            peak = name == "peak"
            counted[name].append(other.liveness().peak if peak else getattr(other.cost(), name))
    return [line.at(index)[0] for index in range(line.count)], counted


CLAIMS = ("macs", "params", "ops", "activations", "peak")


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from(["width=0.2..2/0.05", "channels=1..40", "channels=8..64/8", "depth=1..20", "n.1=1..12"]),
    st.sampled_from(CLAIMS),
    st.sampled_from(["=", "<=", ">=", "<", ">"]),
    st.floats(-0.2, 1.2),
)
def test_against_every_value(vary: str, quantity: str, relation: str, share: float) -> None:
    net = small()
    values, by_quantity = counts(vary)
    counted = by_quantity[quantity]
    limit = int(min(counted) + share * (max(counted) - min(counted)))
    fine = {
        "=": [True for _ in counted],
        "<=": [count <= limit for count in counted],
        "<": [count < limit for count in counted],
        ">=": [count >= limit for count in counted],
        ">": [count > limit for count in counted],
    }[relation]
    within = [count for count, holds in zip(counted, fine, strict=True) if holds]
    reachable = bool(within) and (relation != "=" or min(counted) <= limit <= max(counted))
    if not reachable:
        with pytest.raises(NetError) as error:
            net.fit(vary, f"{quantity}{relation}{limit}")
        assert codes(error) == ["E562"]
        return
    found = net.fit(vary, f"{quantity}{relation}{limit}")
    (amount,) = found.step.amounts
    if relation == "=":
        assert abs(amount - limit) == min(abs(count - limit) for count in counted)
    else:
        assert amount == (max(within) if relation[0] == "<" else min(within))
    (name,) = found.values
    for step in found.steps:  # how far it extends
        same = [at for at, count in enumerate(counted) if count == step.amounts[0]]
        assert (values[same[0]], values[same[-1]]) == (step.first[name], step.last[name])
        assert step.first[name] <= step.values[name] <= step.last[name]


def test_open_ranges_go_both_ways() -> None:
    net = small(channels=1000)
    assert net.fit("channels", "params<=3K").values["channels"] < 20
    assert net.fit("channels", "params>=100M").values["channels"] > 1000
    assert net.fit("width", "params<=200K").values["width"] < 0.2


def test_cost_that_falls() -> None:
    text = "net S(step = 2):\n    input 3, 33x31\n    conv 3x3, 8, /step\n"
    found = small(text).fit("step=1..16", "activations<=1K")
    counts = {s: small(text, step=s).cost().activations for s in range(1, 17)}
    best = max(count for count in counts.values() if count <= 1000)
    assert found.step.amounts == (best,)
    assert found.step.first["step"] == min(s for s, count in counts.items() if count == best)


def test_cost_that_goes_up_and_down() -> None:
    text = "net S(c = 2):\n    input 3, 9x7\n    conv 3x3, abs(20 - c) + 1\n"
    found = small(text).fit("c=1..60", "params=280")
    assert not found.monotone
    assert found.complete
    assert found.step.amounts == (280,)
    assert "every value of the range was tried" in report.render_text(found)
    long = small(text).fit("c=1..4000", "params=280")
    assert not long.monotone
    assert not long.complete
    assert long.step.amounts == (280,)
    assert "another value may come nearer" in report.render_text(long)


def test_values_of_which_no_net_can_be_made() -> None:
    text = "net S(c = 6):\n    input 12, 9x7\n    conv 3x3, c, groups=6\n"
    found = small(text).fit("c", "params=1000")
    # 12/6*9*c + c = 19c
    assert beside(found) == [48, 54]
    assert found.values == {"c": 54}
    assert small(text).fit("c=2..100/2", "params=1000").values == {"c": 54}
    with pytest.raises(NetError) as error:
        small(text).fit("c=1..5", "params=1000")
    assert codes(error) != ["E562"]  # what is wrong with these nets


def test_arguments_and_lists() -> None:
    net = small()
    assert net.fit("n.1", "params=30K").settings["n"][0] == 1
    taller = net.fit("kernel", "params=100K").values["kernel"]
    assert abs(taller[1] / taller[0] - 5 / 3) < 0.35
    leaky = small(act="leaky_relu(0.2)")
    with pytest.raises(NetError) as error:
        leaky.fit("act.slope", "params=1")
    assert codes(error) == ["E562"]
    assert "whatever act.slope is" in str(error.value)


def test_several_targets() -> None:
    net = small()
    both = net.fit("channels=1..100", "macs<=2M, params<=20K")
    macs, params = both.step.amounts
    assert macs <= 2e6
    assert params <= 20e3
    above = both.steps[both.best + 1]
    assert above.amounts[0] > 2e6 or above.amounts[1] > 20e3
    bounded = net.fit("channels=1..100", "macs=9M, params<=5K")
    assert bounded.step.amounts[1] <= 5000
    with pytest.raises(NetError) as error:
        net.fit("channels=1..100", "macs>=9M, params<=5K")
    assert codes(error) == ["E562"]


def test_options_and_modules_of_a_claim() -> None:
    net = small()
    once = net.fit("channels", "macs=1M").step.amounts[0]
    assert net.fit("channels", "macs(batch=3)=3M").step.amounts[0] == 3 * once
    assert net.fit("channels", "fc.params <= 500").net.parameters["fc.weight"].shape[1] <= 49


@pytest.mark.parametrize(
    ("vary", "target", "code", "says"),
    [
        ("widht", "macs=1M", "E561", "did you mean `width`"),
        ("n", "macs=1M", "E561", "there are n.0, n.1"),
        ("n.2", "macs=1M", "E561", "n has no `2`"),
        ("act", "macs=1M", "E561", "act is no number"),
        ("act.slop", "macs=1M", "E561", "act has no `slop`"),
        ("width.x", "macs=1M", "E561", "width has no `x`"),
        ("width=1", "macs=1M", "E560", "with or without a range"),
        ("width=2..1", "macs=1M", "E560", "a range goes up"),
        ("width=1..2/0", "macs=1M", "E560", "above 0"),
        ("width=1..nan", "macs=1M", "E560", "has numbers"),
        ("width=1..1e400", "macs=1M", "E560", "has numbers"),
        ("depth=1..2.5", "macs=1M", "E560", "is whole"),
        ("width,depth=1..2", "macs=1M", "E560", "one factor"),
        ("width=1..2,depth", "macs=1M", "E560", "or none"),
        ("width=1..2,input", "macs=1M", "E560", "or none"),
        ("input.n", "macs=1M", "E561", "there are input, input.c, input.h, input.w"),
        ("input.hw", "macs=1M", "E561", "has no `input.hw`"),
        ("input.x.y.h", "macs=1M", "E561", "has no `input.x.y.h`"),
        ("inpt", "macs=1M", "E561", "did you mean `input`"),
        ("input,input.h", "macs=1M", "E560", "input and input.h would be varied twice"),
        ("width,width", "macs=1M", "E560", "width would be varied twice"),
        ("width", "macs=1e400", "E560", "`1e400` is too large"),
        ("input=1.5..8", "macs=1M", "E560", "is whole"),
        ("input=1..64", "macs=1T", "E562", "macs = 1T is out of reach"),
        ("input", "memory(train, batch=8, optimizer=adm)=1GB", "E560", "adm"),
        ("input", "memory(train, batch=8)=1KB", "E562", "out of reach"),
        ("width=0..2,depth=1..2", "macs=1M", "E560", "above 0"),
        ("width", "mac=1M", "E560", "did you mean `macs`"),
        ("width", "1M", "E560", "a quantity and its number"),
        ("width", "macs=1M:\n    conv 3", "E560", "a quantity and its number"),
        ("width", "macs!=1M", "E560", "a quantity and its number"),
        ("width", 'macs="a"', "E560", "compares numbers"),
        ("width=1..2", "macs=1T", "E562", "macs = 1T is out of reach"),
        ("width", "receptive_field=500", "E562", "whatever width is"),
    ],
)
def test_what_cannot_be_asked(vary: str, target: str, code: str, says: str) -> None:
    with pytest.raises(NetError) as error:
        small().fit(vary, target)
    assert codes(error) == [code]
    assert says in str(error.value)


def test_the_command(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "small.net"
    file.write_text(SMALL)
    asked = ["fit", str(file), "--vary", "width=0.5..2", "--target", "params=20K"]
    assert cli.main(asked) == 0
    text = capsys.readouterr().out
    assert text.startswith("small (small.net): width for params = 20K\n")
    assert "nearest" in text
    assert "the same for" in text
    given = text.splitlines()[-1].removeprefix("--set ")
    assert cli.main([*asked, "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    jsonschema.validate(found, json.loads(SCHEMA.read_text()))
    best = found["steps"][found["best"]]
    assert given == f"width={best['values']['width']}"
    assert cli.main(["cost", str(file), "--set", given, "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["total"]["params"] == best["amounts"]["params"]


def test_an_op_value_reads_back(capsys: pytest.CaptureFixture[str]) -> None:
    found = netdsl.load("resnet50").fit("unit.groups,unit.base", "params=40M")
    text = report.render_text(found).splitlines()[-1]
    assert text.startswith("--set 'unit=Bottleneck(groups=")
    again = netdsl.load("resnet50", unit=text.split("'")[1].removeprefix("unit="))
    assert again.cost() == found.net.cost()


def test_sizes_of_an_input() -> None:
    net = small()
    found = net.fit("input", "macs=1M")
    (side,) = found.values.values()
    assert abs(side[1] / side[0] - 11 / 15) < 0.05
    assert found.inputs == {"": (3, *side)}
    assert found.settings == {}
    assert netdsl.load("lenet").fit("input.h", "macs<=1M").inputs == {"": (1, 63, 32)}
    low, high = found.steps
    assert low.amounts[0] <= 1_000_000 < high.amounts[0]
    assert api.loads(SMALL.replace("15x11", f"{side[0]}x{side[1]}")).cost() == found.net.cost()
    channels = net.fit("input.c=1..64", "params=30K")
    assert channels.net.inputs["x"].c == channels.values["input.c"]


def test_inputs_that_go_together() -> None:
    both = stranger("siamese:siamese")
    found = both.fit("input", "macs<=50M")
    assert found.inputs["a"] == found.inputs["b"] == (1, *found.values["input"])
    one = both.fit("input.b", "macs<=50M")
    assert set(one.inputs) == {"b"}
    assert one.net.inputs["a"] == both.inputs["a"]
    told = report.render_text(one).splitlines()[-1]
    assert told == f"--input b={one.inputs['b']}"


def test_width_depth_and_resolution() -> None:
    """The compound scaling of EfficientNet: B0's own ratios, in steps that its authors would take."""
    net = netdsl.load("efficientnet_b0")
    vary = "width=1..2/0.05,depth=1..3.1/0.05,input=224..600/8"
    found = net.fit(vary, "macs<=1.8G")
    width, depth, side = found.values.values()
    assert found.step.amounts[0] == found.net.cost().macs <= 1.8e9
    assert side[0] == side[1] == found.net.inputs["x"].h
    assert side[0] % 8 == 0
    assert [round(100 * n) % 5 for n in (width, depth)] == [0, 0]
    # all have gone the same part of their way
    part = log(side[0] / 224) / log(600 / 224)
    assert log(width) / log(2) == pytest.approx(part, abs=0.06)
    assert log(depth) / log(3.1) == pytest.approx(part, abs=0.06)
    memory = "memory(train, batch=32, optimizer=adamw)"
    bounded = net.fit(vary, f"{memory} <= 6GB")
    assert bounded.net.memory(32, train=True, optimizer="adamw").peak == bounded.step.amounts[0] <= 6e9
    above = bounded.steps[bounded.best + 1]
    assert above.amounts[0] > 6e9


def test_a_parameter_that_is_called_input_is_meant_first() -> None:
    text = "net S(input = 2):\n    input 3, 33x31\n    conv 3x3, input\n"
    assert small(text).fit("input", "params=280").values == {"input": 10}


def test_what_a_signal_is_seen_of() -> None:
    """Of one row the receptive field is that along the columns: 2 blocks of n dilated layers see 2 (2^n - 1) + 1."""
    found = stranger("wavenet:wavenet").fit("layers=1..8", "receptive_field>=100")
    assert found.values == {"layers": 6}
    assert found.step.amounts == (127,)


def test_what_is_found_is_a_net_as_the_one_before() -> None:
    """It can be emitted, linted and printed."""
    found = netdsl.load("mobilenet_v2").fit("width", "macs=150M").net
    assert isinstance(found, netdsl.Network)
    assert "class MobileNetV2" in found.emit()
    assert repr(found).startswith("mobilenet_v2: ")


def test_the_forms_of_the_command(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Every form has the steps of the JSON; what people read fits onto a terminal, however long a quantity is."""
    file = tmp_path / "small.net"
    file.write_text(SMALL)
    target = "memory(train, batch=32, optimizer=adamw)=5MB"
    asked = ["fit", str(file), "--vary", "width=0.5..2,n.1=2..5", "--target", target]
    printed = {}
    for form in ("json", "csv", "text", "markdown"):
        assert cli.main([*asked, "--format", form]) == 0
        printed[form] = capsys.readouterr().out
    found = json.loads(printed["json"])
    steps = found["steps"]
    rows = list(csv.DictReader(io.StringIO(printed["csv"])))
    assert len(rows) == len(steps) > 1
    for row, step in zip(rows, steps, strict=True):
        assert [row["width"], row["width_first"], row["width_last"], row["n.1"]] == [
            *(str(step[which]["width"]) for which in ("values", "first", "last")),
            str(step["values"]["n.1"]),
        ]
        assert {name: int(row[name]) for name in step["amounts"]} == step["amounts"]
    assert [row["best"] for row in rows].index("1") == found["best"]
    table = [line for line in printed["markdown"].splitlines() if line.startswith("|")]
    assert len({line.count(" | ") for line in table}) == 1
    for at, step in enumerate(steps):
        (amount,) = step["amounts"].values()
        assert f"| {amount:,} |" in table[2 + at]
        assert (" nearest |" in table[2 + at]) == (at == found["best"])
    body = printed["text"].splitlines()[1:]
    assert max(map(len, body)) <= 80


def test_quantities_that_are_called_alike_are_told_apart(capsys: pytest.CaptureFixture[str]) -> None:
    claims = "memory(train, batch=8)<=900MB, memory(batch=1)<=900MB, macs(batch=2)<=9G"
    assert cli.main(["fit", "resnet18", "--vary", "input", "--target", claims]) == 0
    header = next(line for line in capsys.readouterr().out.splitlines() if line.lstrip().startswith("input "))
    assert "memory(train, batch=8)" in header
    assert "memory(batch=1)" in header
    assert "macs" in header.split()

"""Calibration: the fit against scipy's, times that are known, and the file that it writes."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import nnls

import netdsl
from netdsl import NetError, api, cli
from netdsl.hardware import Device, calibrate, estimate, find
from netdsl.hardware.calibrate import Row, Times, compared, fit, least_squares, measure, written
from netdsl.hardware.device import Calibration, read
from netdsl.hardware.report import render_text

DEVICE = Device("this", "this machine", {"float32": 1e10}, 1e10)


@pytest.mark.parametrize("seed", range(4))
def test_least_squares_are_scipys(seed: int) -> None:
    """Of numbers from 0, with targets that some negative ones would fit better."""
    draw = random.Random(seed)
    names = [(kind, at) for kind in "ab" for at in range(3)]
    rows: list[Row] = [
        (
            {name: draw.random() for name in names if draw.random() < 0.7},
            draw.uniform(-1, 3),
            draw.uniform(0.1, 2),
        )
        for _ in range(25)
    ]
    a = np.array([[features.get(name, 0.0) for name in names] for features, _, _ in rows])
    b, root = np.array([target for _, target, _ in rows]), np.sqrt([weight for _, _, weight in rows])
    expected, _ = nnls(a * root[:, None], b * root)
    found = least_squares(rows)
    assert [found[name] for name in names] == pytest.approx(expected.tolist(), abs=1e-6)


def made(name: str, kernels: dict[str, tuple[float, float, float]]) -> Times:
    """Return what would be measured of a net if kernels took exactly so long."""
    net = netdsl.load(name)
    steps = estimate(net, DEVICE).steps
    layers = {}
    for step in steps:
        launch, operation, byte = kernels[step.kernel]
        layers[step.name] = launch + operation * step.operations + byte * step.bytes
    modules = {name: layers[name] for name in layers if net.layer_costs[name].params}
    return Times(net, sum(layers.values()), modules)


def test_times_that_follow_the_model_are_found_again() -> None:
    kinds = {
        step.kernel
        for name in ("resnet18", "resnet34", "resnet50", "vgg11_bn")
        for step in estimate(netdsl.load(name), DEVICE).steps
    }
    draw = random.Random(5)
    kernels = {
        kind: (draw.uniform(0, 5e-5), draw.uniform(1e-11, 1e-10), draw.uniform(1e-11, 1e-10))
        for kind in sorted(kinds)
    }
    fitted = [made(name, kernels) for name in ("resnet18", "resnet50", "vgg11_bn")]
    device = DEVICE.replace(calibration=Calibration("float32", 1, 0.0, 1.0, 1.0, fit(fitted, DEVICE)))
    ((_, predicted, error),) = compared([made("resnet34", kernels)], device)
    assert error < 0.02
    assert predicted == estimate(netdsl.load("resnet34"), device).forecast


def test_what_is_measured() -> None:
    """A net's modules are timed by their names, and take less than the whole net, but for the clock's own time."""
    times = measure(netdsl.load("lenet"))
    learned = {name for name, cost in times.net.layer_costs.items() if cost.params}
    assert learned <= set(times.layers)
    assert all(seconds > 0 for seconds in times.layers.values())
    assert 0 < max(times.layers.values()) < times.whole * 2


def test_round_trip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fitted = [made(name, dict.fromkeys(KINDS, (1e-6, 1e-11, 0.0))) for name in ("lenet",)]
    monkeypatch.setattr(calibrate, "peaks", lambda: (1e11, 1e10))
    device = calibrate.calibrate("mine", fitted, fitted)
    assert read(written(device), "mine", "") == device
    (tmp_path / "mine.toml").write_text(written(device))
    assert find(str(tmp_path / "mine.toml")) == device
    found = device.calibration
    assert found is not None
    assert (found.nets, found.within_10) == (1, 1.0)
    net = netdsl.load("lenet")
    assert estimate(net, device).forecast == pytest.approx(fitted[0].whole, rel=0.05)
    assert "expected by calibration: half of 1 other nets" in render_text(estimate(net, device))
    # it says nothing of what it was not fitted to
    assert estimate(net, device, batch=2).forecast is None
    assert estimate(net, device, fused=True).forecast is None
    assert "it is of batch 1, float32" in render_text(estimate(net, device, batch=2))
    other = estimate(netdsl.load("squeezenet1_1"), device)
    assert other.forecast is None
    assert "calibration expects nothing: concat, conv, conv 1x1, " in render_text(other)
    assert estimate(net, find("h100")).forecast is None


KINDS = {step.kernel for step in estimate(netdsl.load("lenet"), DEVICE).steps}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("nets = 1", "`nets` is missing"),
        ('dtype = "float32"', "`dtype` is missing"),
        ("nets = 1 -> nets = 1.5", "nets: must be a whole number"),
        ('"float32" -> "float33"', "dtype: must be one of"),
        ('"float32" -> []', "dtype: must be a text"),
        ("[1.0, 0.0, 2.0] -> [1.0, 2.0]", "must be seconds of a step"),
        ("[1.0, 0.0, 2.0] -> [1.0, 0.0, -2.0]", "must be a number from 0"),
        ("error = 0.1 -> eror = 0.1", "unknown key `eror`"),
    ],
)
def test_tables_that_are_no_calibration(change: str, message: str) -> None:
    text = '[peak]\nfloat32 = 1\n[calibration]\ndtype = "float32"\nnets = 1\nerror = 0.1\n'
    text += "within_10 = 0\nwithin_20 = 1\n[calibration.kernels]\nconv = [1.0, 0.0, 2.0]\n"
    assert read(text, "mine", "").calibration is not None
    before, _, after = change.partition(" -> ")
    head, separator, tail = text.rpartition(before)
    assert separator
    with pytest.raises(NetError, match=r"(?s)E541.*" + message):
        read(head + after + tail, "mine", "mine.toml")


def test_command_misused(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "zoo", list)
    for options in ("-o x.txt", "-o x.toml"):
        assert cli.main(["calibrate", *options.split()]) == 2
        assert "error[E544]" in capsys.readouterr().err


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """It fits one net of a family and tries another; measured times are made up, which takes no minutes."""
    net = netdsl.load("squeezenet1_1")
    kernels = {step.kernel: (1e-6, 1e-11, 1e-11) for step in estimate(net, DEVICE).steps}
    names = ("squeezenet1_0", "squeezenet1_1")
    entries = [api.Entry(name, "squeezenet.net", "", 1, 1, {}, {}) for name in names]
    monkeypatch.setattr(api, "zoo", lambda: entries)
    monkeypatch.setattr(calibrate, "measure", lambda net: made(net.name, kernels))
    monkeypatch.setattr(calibrate, "peaks", lambda: (1e11, 1e10))
    assert cli.main(["calibrate", "-o", str(tmp_path / "mine.toml")]) == 0
    assert "1 nets: median error " in capsys.readouterr().out
    (tmp_path / "folder.toml").mkdir()
    for place in ("folder.toml", "none/mine.toml"):
        assert cli.main(["calibrate", "-o", str(tmp_path / place)]) == 2
        assert "error[E510]: cannot write" in capsys.readouterr().err
    assert cli.main(["cost", "squeezenet1_0", "--device", str(tmp_path / "mine.toml")]) == 0
    assert "expected by calibration" in capsys.readouterr().out


def test_without_torch(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    assert cli.main(["calibrate", "-o", "x.toml"]) == 1
    assert "error[E509]: measuring needs torch" in capsys.readouterr().err

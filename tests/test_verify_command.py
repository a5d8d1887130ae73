"""`netdsl verify`: what is equal passes, and every kind of difference is found.

The second backend is torch's own with one thing changed, so that only that can differ.
"""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import jsonschema
import netdsl_torch
import numpy as np
import pytest
import torch_oracles  # noqa: F401  # settles torch's threads
from netdsl_torch.run import Runner

import netdsl
from netdsl import api, backend, cli, verification
from netdsl.backend import Tensor
from netdsl.cli import verify as command
from netdsl.network import Network

SCHEMA = Path(netdsl.__file__).parents[1] / "docs" / "schema" / "verify.json"
SPEC = """
net N:
    input 3, 16x16
    weight scale [8, 1, 1], init=ones
    conv1: conv 3x3, 8 -> bn -> relu
    conv2: conv 3x3, 8, /2
    (identity | from scale) -> mul
    conv3: conv 3x3, 8, pad=0
    train output aux: gap -> dropout -> fc 8 as aux_fc
    gap
    fc1: fc 8
    dropout
    fc2: fc 8
"""
ERRORS = (
    "outputs in evaluation",
    "outputs in training",
    "running statistics after a step",
    "gradients in training",
)

Captured = pytest.CaptureFixture[str]
Twins = Callable[..., None]


class Twin(netdsl_torch.Backend):
    """The torch backend under another name, to be changed by one thing."""

    name = "twin"
    change: ClassVar[Callable[[str], str]] = staticmethod(lambda text: text)
    measuring: ClassVar[type[Runner]] = Runner

    def emit(self, net: Network, inplace: bool = True) -> str:
        return type(self).change(super().emit(net, inplace))

    def runner(self, text: str, net: Network, dtype: str) -> Runner:
        return self.measuring(text, net, dtype)


class Point:
    """An entry point."""

    def __init__(self, made: type) -> None:
        self.made = made

    def load(self) -> type:
        return self.made


@pytest.fixture(autouse=True)
def twin(monkeypatch: pytest.MonkeyPatch) -> type[Twin]:
    """Install the twin, and give it, to be changed."""

    class Fresh(Twin):
        pass

    points = {"torch": Point(netdsl_torch.Backend), "twin": Point(Fresh)}
    monkeypatch.setattr(backend, "points", lambda group: points)
    return Fresh


def both(text: str = SPEC, seed: int = 0) -> verification.Verification:
    """Verify a spec with torch and its twin."""
    return netdsl.verify(api.loads(text), ("torch", "twin"), seed)


def wrong(found: verification.Verification) -> list[str]:
    """Return the checks that fail."""
    assert all(row.cells["torch"].ok for row in found.rows if "torch" in row.cells)
    return [row.check for row in found.rows if not row.ok]


def changed(twin: type[Twin], old: str, new: str) -> None:
    """Let the twin emit another text."""

    def change(text: str) -> str:
        assert old in text
        return text.replace(old, new)

    twin.change = staticmethod(change)


# ---------------------------------------------------------------- what is equal


def test_twins_are_equal() -> None:
    found = both()
    assert wrong(found) == []
    checks = [row.check for row in found.rows]
    assert [f"{title}, {dtype}" for dtype in ("float64", "float32") for title in ERRORS] == checks[5:]
    assert [row.cells["twin"].value for row in found.rows[5:9]] == [0, 0, 0, 0]
    own = found.rows[-1].cells["torch"]
    assert own.value is not None
    assert 0 < own.value < own.expected < 1e-4


@pytest.mark.parametrize("name", ["lenet", "squeezenet1_1", "mobilenet_v3_small", "googlenet"])
@pytest.mark.slow
def test_torch_alone_holds_the_facts(name: str) -> None:
    found = netdsl.verify(netdsl.load(name), ("torch",))
    assert wrong(found) == []
    assert [row.check for row in found.rows] == [
        "keys, shapes and dtypes of the state",
        "params",
        "MACs of a sample",
        "shapes of layers and containers",
        "names and shapes of outputs",
        "outputs in evaluation, float32",
    ]


def test_a_layout_of_its_own(twin: type[Twin]) -> None:
    """Weights are moved: the twin holds every tensor transposed, under another name."""

    class Transposed(Runner):
        def state(self) -> Mapping[str, tuple[tuple[int, ...], str]]:
            return {f"w.{key}": (shape[::-1], dtype) for key, (shape, dtype) in super().state().items()}

        def load(self, state: Mapping[str, Any]) -> None:
            super().load({key[2:]: np.ascontiguousarray(value.T) for key, value in state.items()})

        def read(self) -> Mapping[str, Any]:
            return {f"w.{key}": value.T for key, value in super().read().items()}

        def train(self, inputs: Any, weights: Any) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
            outputs, found = super().train(inputs, weights)
            return outputs, {
                k if k.startswith("input ") else f"w.{k}": v if k.startswith("input ") else v.T
                for k, v in found.items()
            }

    def tensors(self: Twin, net: Network) -> tuple[Tensor, ...]:
        own = netdsl_torch.Backend().tensors(net)
        return tuple(
            Tensor(f"w.{t.key}", t.shape[::-1], t.key, axes=tuple(range(len(t.shape)))[::-1]) for t in own
        )

    twin.measuring = Transposed
    twin.tensors = tensors  # type: ignore[method-assign]
    found = both()
    assert wrong(found) == []
    assert found.rows[8].cells["twin"].value == 0


def test_seeds_are_reproducible() -> None:
    one, same, other = (verification.render_json(both(seed=seed)) for seed in (1, 1, 2))
    assert one == same
    assert one["rows"][-1] != other["rows"][-1]


@pytest.mark.parametrize(
    ("name", "side", "batch"),
    [
        ("resnet18", 128, 4),
        ("vgg16", 64, 2),
        ("vit_b_16", 224, 2),
        ("lenet", 32, 2),
        ("unet", 188, 2),
        ("xception", 107, 4),
    ],
)
def test_the_input_of_the_numbers(name: str, side: int, batch: int) -> None:
    net = netdsl.load(name)
    chosen = {"torch": netdsl_torch.Backend()}
    sample, samples = verification._sample(net, chosen, {"torch": net.emit()})
    assert [shape[1:] for shape in sample.inputs.values()] == [(side, side)]
    assert samples == batch


def test_a_small_input_grows_for_bn() -> None:
    net = netdsl.load("resnet18", inputs={"": (3, 32, 32)})
    sample, samples = verification._sample(net, {"torch": netdsl_torch.Backend()}, {"torch": net.emit()})
    assert sample.inputs["x"] == (3, 128, 128)
    assert samples == 4


def test_bn_of_vectors_sees_more_samples() -> None:
    net = api.loads("net N:\n    input 8\n    a: fc 8\n    b: bn\n")
    assert verification._sample(net, {}, {})[1] == 16


# ---------------------------------------------------------------- what differs


def test_another_eps(twin: type[Twin]) -> None:
    changed(twin, "nn.BatchNorm2d(8)", "nn.BatchNorm2d(8, eps=1e-4)")
    assert wrong(both()) == [
        "outputs in evaluation, float64",
        "outputs in training, float64",
        "gradients in training, float64",
        "outputs in training, float32",
        "gradients in training, float32",
    ]


def test_another_momentum(twin: type[Twin]) -> None:
    changed(twin, "nn.BatchNorm2d(8)", "nn.BatchNorm2d(8, momentum=0.9)")
    found = both()
    assert wrong(found) == [f"running statistics after a step, {dtype}" for dtype in ("float64", "float32")]
    assert "conv1.1.running_var: " in verification.render_text(found)


def test_a_narrow_terminal(twin: type[Twin]) -> None:
    """Where the columns have no room, nothing is wider, and nothing is left out."""
    changed(twin, "nn.BatchNorm2d(8)", "nn.BatchNorm2d(8, momentum=0.9)")
    found = both()
    table = verification.render_text(found).split("\n\n")[1]
    assert verification.render_text(found, 200).split("\n\n")[1] == table
    lines = verification.render_text(found, 60).split("\n\n")[1].splitlines()
    assert max(map(len, lines)) <= 60 < max(map(len, table.splitlines()))
    assert "running statistics after a step, float64: DIFFERENT" in lines
    cells = [cell for line in table.splitlines()[2:] for cell in line.split("  ")[1:]]
    assert {cell.strip() for cell in cells} - {"", "ok", "DIFFERENT", "reference"} <= {
        part.strip().partition(" ")[2] for line in lines for part in line.split(";")
    }


def test_another_key(twin: type[Twin]) -> None:
    changed(twin, "self.fc1", "self.fd1")
    found = both()
    assert wrong(found) == ["keys, shapes and dtypes of the state", "shapes of layers and containers"]
    assert found.rows[0].cells["twin"].differences == (
        "fd1.weight: unknown",
        "fd1.bias: unknown",
        "fc1.weight: missing",
        "fc1.bias: missing",
    )
    assert found.notes == ("numbers are not compared, since weights cannot be moved",)
    assert "numbers at" not in str(found)


def test_another_shape_and_number_of_params(twin: type[Twin]) -> None:
    changed(twin, "self.fc2 = nn.Linear(8, 8)", "self.fc2 = nn.Linear(8, 9)")
    found = both()
    assert wrong(found) == [
        "keys, shapes and dtypes of the state",
        "params",
        "MACs of a sample",
        "shapes of layers and containers",
    ]
    assert "fc2.weight: [9, 8] instead of [8, 8]" in found.rows[0].cells["twin"].differences
    assert found.rows[3].cells["twin"].differences == ("fc2: 9 instead of 8",)


def test_another_dtype(twin: type[Twin]) -> None:
    class Half(Runner):
        def state(self) -> Mapping[str, tuple[tuple[int, ...], str]]:
            return {key: (shape, "float16") for key, (shape, _) in super().state().items()}

    twin.measuring = Half
    found = both()
    assert wrong(found) == ["keys, shapes and dtypes of the state"]
    assert found.rows[0].cells["twin"].differences[0] == "scale: float16 instead of float32"
    assert any(
        "int64" in text or "float16 instead of int" in text
        for text in found.rows[0].cells["twin"].differences
    )


def test_another_stride(twin: type[Twin]) -> None:
    changed(twin, "stride=2", "stride=1")
    found = both()
    assert {"MACs of a sample", "shapes of layers and containers", "outputs in evaluation, float64"} <= set(
        wrong(found)
    )
    assert "conv2: 8x16x16 instead of 8x8x8" in found.rows[3].cells["twin"].differences


def test_one_transposed_weight(twin: type[Twin]) -> None:
    class Transposing(Runner):
        def load(self, state: Mapping[str, Any]) -> None:
            super().load({**state, "fc1.weight": state["fc1.weight"].T.copy()})

    twin.measuring = Transposing
    found = both()
    assert "outputs in evaluation, float32" in wrong(found)
    assert "outputs in training, float32" in wrong(found)
    assert "running statistics after a step, float64" not in wrong(found)  # they are before it


def test_one_output(twin: type[Twin]) -> None:
    class Off(Runner):
        def train(self, inputs: Any, weights: Any) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
            found, gradients = super().train(inputs, weights)
            return {**found, "aux": found["aux"] * (1 + 1e-7)}, gradients

    twin.measuring = Off
    found = both()
    assert wrong(found) == ["outputs in training, float64"]
    assert [text[:5] for text in found.rows[6].cells["twin"].differences] == ["aux: "]


def test_a_missing_head(twin: type[Twin]) -> None:
    class Headless(Runner):
        def train(self, inputs: Any, weights: Any) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
            found, gradients = super().train(inputs, weights)
            return {"out": found["out"]}, gradients

    twin.measuring = Headless
    found = both()
    assert wrong(found)[0] == "names and shapes of outputs"
    assert found.rows[4].cells["twin"].differences == ("aux, training: nothing instead of 4x8",)
    assert found.rows[6].cells["twin"].value is None


def test_one_gradient(twin: type[Twin]) -> None:
    class Off(Runner):
        def train(self, inputs: Any, weights: Any) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
            outputs, found = super().train(inputs, weights)
            return outputs, {**found, "conv2.weight": found["conv2.weight"] * 2}

    twin.measuring = Off
    found = both()
    assert wrong(found) == [f"gradients in training, {dtype}" for dtype in ("float64", "float32")]
    assert found.rows[8].cells["twin"].differences[0].startswith("conv2.weight: ")


def test_numbers_that_are_none(twin: type[Twin]) -> None:
    class Nan(Runner):
        def evaluate(self, inputs: Any) -> Mapping[str, Any]:
            return {name: value * np.nan for name, value in super().evaluate(inputs).items()}

    twin.measuring = Nan
    found = both()
    assert {f"outputs in evaluation, {dtype}" for dtype in ("float64", "float32")} <= set(wrong(found))
    assert found.rows[5].cells["twin"].value is None
    json.dumps(verification.render_json(found), allow_nan=False)


def test_a_module_that_does_not_build(twin: type[Twin]) -> None:
    changed(twin, "nn.BatchNorm2d(8)", "nn.BatchNorm2d(8, color=1)")
    found = both()
    assert wrong(found) == ["keys, shapes and dtypes of the state"]
    assert found.rows[0].cells["twin"].differences[0].startswith("TypeError: ")


def test_a_module_that_does_not_run(twin: type[Twin]) -> None:
    changed(twin, "x.mean((2, 3))", "x.mean(2)")
    found = both()
    assert "MACs of a sample" in wrong(found)
    assert found.rows[5].cells["twin"].value is None
    assert str(found).count("twin: MACs of a sample: ") == 1


def test_a_reference_that_does_not_run(twin: type[Twin]) -> None:
    changed(twin, "x.mean((2, 3))", "x.mean(2)")
    found = netdsl.verify(api.loads(SPEC), ("twin", "torch"))
    assert not found.ok
    assert [row.check for row in found.rows][-1] == "the module runs"


def test_dropout_does_nothing_in_training() -> None:
    net = api.loads(SPEC)
    runner = netdsl_torch.Backend().runner(net.emit(), net, "float32")
    x, one = {"x": np.ones((2, 3, 16, 16), "float32")}, dict.fromkeys(("out", "aux"), np.ones(1, "float32"))
    once, again = (runner.train(x, one)[0] for _ in range(2))
    assert np.array_equal(once["aux"], again["aux"])


def test_attention_and_droppath_draw_nothing() -> None:
    text = (
        "net N:\n    input 4, 8\n    add:\n        identity\n"
        "        (attention 2, dropout=0.5 as mixed -> droppath 0.5) as branch\n"
    )
    found = netdsl.verify(api.loads(text), ("torch", "twin"))
    assert wrong(found) == []


# ---------------------------------------------------------------- the command


def spec(folder: Path) -> str:
    """Write the spec to a file and return its path."""
    file = folder / "n.net"
    file.write_text(SPEC)
    return str(file)


def test_command(tmp_path: Path, capsys: Captured) -> None:
    assert cli.main(["verify", spec(tmp_path), "--backend", "torch,twin"]) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith("n (n.net), input 3x16x16\n\ncheck ")
    (line,) = [line for line in printed.out.splitlines() if line.startswith("outputs in evaluation, float64")]
    assert line.split()[4:] == ["<=", "1.0e-09", "reference", "0.0e+00", "ok"]
    assert "counts and shapes at 3x16x16; numbers at 3x16x16, batch 4, seed 0\n" in printed.out


def test_command_that_finds_a_difference(tmp_path: Path, capsys: Captured, twin: type[Twin]) -> None:
    changed(twin, "nn.BatchNorm2d(8)", "nn.BatchNorm2d(8, eps=1e-4)")
    assert cli.main(["verify", spec(tmp_path), "--backend", "torch,twin"]) == 1
    printed = capsys.readouterr()
    assert printed.err.startswith("error[E519]: n: 5 of 13 checks fail\n")
    assert printed.out.count("DIFFERENT\n") == 5
    assert "twin: outputs in training, float64: " in printed.out
    assert "; and " in printed.out  # of the gradients only the worst are named


@pytest.mark.parametrize("broken", [False, True])
def test_json(broken: bool, tmp_path: Path, capsys: Captured, twin: type[Twin]) -> None:
    if broken:
        changed(twin, "stride=2", "stride=1")
    status = cli.main(["verify", spec(tmp_path), "--backend", "torch,twin", "--format", "json"])
    value = json.loads(capsys.readouterr().out)
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(value, schema)
    assert status == int(broken)
    assert value["ok"] is not broken
    assert value["backends"] == ["torch", "twin"]
    assert (value["spec"], value["file"]) == ("n.net", spec(tmp_path))


@pytest.mark.parametrize("backends", ["torch,torch", "torch,twinn", "", "torch,"])
def test_misuse(backends: str, capsys: Captured) -> None:
    assert cli.main(["verify", "lenet", "--backend", backends]) == 2
    assert capsys.readouterr().err.startswith("error[E5")


@pytest.mark.parametrize("seed", ["-1", "x", "1.5", "9" * 30])
def test_no_seed(seed: str, capsys: Captured) -> None:
    assert cli.main(["verify", "lenet", "--seed", seed]) == 2
    assert "must be a whole number from 0" in capsys.readouterr().err


def test_a_backend_that_cannot_be_verified(monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    class Listing:
        name = "listing"

        def lowers(self, op: object) -> bool:
            return True

        def emit(self, net: Network) -> str:
            return ""

        def build(self, text: str, net: Network) -> None:
            return None

    monkeypatch.setattr(backend, "points", lambda group: {"listing": Point(Listing)})
    assert cli.main(["verify", "lenet", "--backend", "listing"]) == 2
    assert capsys.readouterr().err.startswith("error[E518]: the listing backend cannot be verified\n")
    with pytest.raises(netdsl.NetError, match="there is no backend to verify"):
        netdsl.verify(netdsl.load("lenet"), ())


def test_a_framework_that_is_missing(monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    assert cli.main(["verify", "lenet", "--backend", "torch"]) == 1
    assert 'help: pip install "netdsl[torch]"' in capsys.readouterr().err


def test_numpy_that_is_missing(monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    monkeypatch.setitem(sys.modules, "numpy", None)
    assert cli.main(["verify", "lenet", "--backend", "torch"]) == 1
    assert "error[E509]" in capsys.readouterr().err


class Terminal(io.StringIO):
    """A text that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_progress_on_a_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = Terminal()
    monkeypatch.setattr(sys, "stderr", shown)
    assert cli.main(["verify", spec(tmp_path), "--backend", "torch,twin"]) == 0
    lines = shown.getvalue().split("\r\x1b[2K")
    assert lines[0] == lines[-1] == ""
    assert lines[1] == f"[{'.' * command.WIDTH}] torch: counts and shapes"
    assert lines[-2].endswith("] twin: float32")
    assert len(lines) == 9  # two of facts, one of statistics, four of numbers


def test_progress_where_there_is_no_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert command.FIRST < 2  # or nothing is said within two seconds
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(command, "FIRST", 0.001)
    monkeypatch.setattr(command, "PERIOD", 0.001)
    take = command.Lines.progress

    def waiting(self: command.Lines, done: int, total: int, what: str) -> None:
        take(self, done, total, what)
        while f"{what}\n" not in stream.getvalue():
            assert self.is_alive()

    monkeypatch.setattr(command.Lines, "progress", waiting)
    assert cli.main(["verify", spec(tmp_path), "--backend", "torch,twin"]) == 0
    lines = stream.getvalue().splitlines()
    again = [line for line in lines if line.endswith(" s so far")]
    assert all(line.partition(": 0 s")[0] in lines for line in again)
    said = [line for line in lines if line not in again]
    assert len(said) == len(set(said))
    assert said[-7] == "verify: 1 of 7, torch: counts and shapes"
    assert said[-1] == "verify: 7 of 7, twin: float32"
    assert {*said[:-7]} <= {"verify: writing modules"}


@pytest.mark.parametrize("words", [[], ["--quiet"]])
def test_no_progress_of_what_is_quick(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.setattr(command, "FIRST", 0.001 if words else 1e6)
    assert cli.main(["verify", spec(tmp_path), "--backend", "torch,twin", *words]) == 0
    assert capsys.readouterr().err == ""


def test_an_input_that_is_asked_for_is_that_of_the_numbers(tmp_path: Path, capsys: Captured) -> None:
    large = netdsl.load(spec(tmp_path), inputs={"x": (3, 80, 80)})
    assert netdsl.verify(large, ["torch"]).sample["x"].h < 80
    assert cli.main(["verify", spec(tmp_path), "--backend", "torch", "--input", "3x80x80"]) == 0
    assert "counts and shapes at 3x80x80; numbers at 3x80x80, batch 4, seed 0\n" in capsys.readouterr().out

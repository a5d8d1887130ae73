"""`netdsl verify --against`: what other libraries made passes, and each kind of difference is found and named."""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path

import jsonschema
import pytest
import safetensors.torch
import torch
from torch_oracles import reference

import netdsl
from netdsl import against, api, cli

SCHEMA = Path(netdsl.__file__).parents[1] / "docs" / "schema" / "verify.json"
SPEC = """
block Unit:
    add:
        identity
        conv 3x3, x.c, bias=false as conv1 -> bn as bn1
    relu as act

net Mine:
    input 3, 16x16
    stem: conv 7x7, 16, /2
    relu
    units: 2 * Unit
    gap
    head: fc 10
"""
MODEL = """
import torch
from torch import nn
from torch.nn import functional as F


class Unit(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.act = nn.ReLU()

    def forward(self, x):
        return self.act(x + self.bn1(self.conv1(x)))


class Theirs(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 7, stride=2, padding=3)
        self.units = nn.Sequential(Unit(16), Unit(16))
        self.head = nn.Linear(16, 10)

    def forward(self, x):
        x = self.units(F.relu(self.stem(x)))
        return self.head(x.mean((2, 3)))


def number():
    return 3
"""

Captured = pytest.CaptureFixture[str]


def run(
    folder: Path, capsys: Captured, *words: str, spec: str = SPEC, model: str = MODEL
) -> tuple[int, str, str]:
    """Verify the spec against the file, or what the words say; return status, table and errors."""
    (folder / "n.net").write_text(spec)
    (folder / "model.py").write_text(model)
    words = words or ("--against", "model.py:Theirs")
    with contextlib.chdir(folder):
        status = cli.main(["verify", "n.net", *words])
    printed = capsys.readouterr()
    assert "Traceback" not in printed.err
    return status, printed.out, printed.err


@pytest.mark.usefixtures("torchvision")
@pytest.mark.parametrize(
    ("name", "side", "other"),
    [("resnet18", 32, "torchvision:resnet18"), ("resnet26d", 32, "timm:resnet26d")],
)
def test_models_of_libraries(name: str, side: int, other: str, capsys: Captured) -> None:
    assert cli.main(["verify", name, "--input", f"3x{side}x{side}", "--against", other]) == 0
    printed = capsys.readouterr()
    rows = [line.split() for line in printed.out.splitlines() if line.endswith("  ok")]
    assert len(rows) == 4
    assert rows[-1][-2] == "0.0e+00"
    assert int(rows[0][-2]) > 100


@pytest.mark.usefixtures("torchvision")
def test_a_model_of_another_net(capsys: Captured) -> None:
    assert cli.main(["verify", "resnet18", "--input", "3x32x32", "--against", "torchvision:resnet34"]) == 1
    printed = capsys.readouterr()
    assert "error[E532]: resnet18 is not torchvision:resnet34: 1 of 2 checks fail\n" in printed.err
    assert (
        "keys of the state: only there: `layer1.2.conv1.weight`, 31 of 218; then layer1.2.bn1." in printed.out
    )
    keys = next(line.split() for line in printed.out.splitlines() if line.startswith("keys of the state "))
    assert keys[-3:] == ["122", "218", "DIFFERENT"]  # all are there, and 96 more
    assert "outputs are not compared" in printed.out


def test_own_file(tmp_path: Path, capsys: Captured) -> None:
    status, table, errors = run(tmp_path, capsys)
    assert (status, errors) == (0, "")
    assert "DIFFERENT" not in table
    assert str(tmp_path) not in sys.path
    assert "model" not in sys.modules
    assert torch.get_default_dtype() == torch.float32


def test_a_wrong_key(tmp_path: Path, capsys: Captured) -> None:
    status, table, errors = run(tmp_path, capsys, spec=SPEC.replace("as conv1", "as conv_1"))
    assert status == 1
    assert "error[E532]: mine is not model.py:Theirs: 1 of 4 checks fail\n" in errors
    assert (
        "keys of the state: only here: `units.0.conv_1.weight`, 3 of 16 (n.net:5:9); then units.1.conv_1.weight; "
        "only there: `units.0.conv1.weight`, 3 of 16; then units.1.conv1.weight"
    ) in table
    assert table.count("DIFFERENT") == 1  # the shapes are in the same order: numbers are compared
    assert "0.0e+00" in table


def test_a_wrong_shape(tmp_path: Path, capsys: Captured) -> None:
    status, table, _ = run(tmp_path, capsys, spec=SPEC.replace("fc 10", "fc 11"))
    assert status == 1
    assert (
        "head.weight (n.net:14:11): 11x16 here, 10x16 there; head.bias (n.net:14:11): 11 here, 10 there"
        in table
    )
    assert "outputs are not compared" in table


@pytest.mark.parametrize(
    ("before", "after", "place"),
    [
        ("relu as act", "relu6 as act", "first in `units.0.act` (n.net:6:5)"),
        (
            "    relu\n    units",
            "    relu6\n    units",
            "first before `units` (n.net:12:5), behind `stem` (n.net:10:11)",
        ),
        ("-> bn as", "-> bn eps=0.001 as", "first in `units.0.bn1` (n.net:5:"),
        (
            "    gap\n",
            "    gap\n    scale 2\n",
            "first before `head` (n.net:15:11), behind `units`",
        ),
    ],
)
def test_a_wrong_op(before: str, after: str, place: str, tmp_path: Path, capsys: Captured) -> None:
    assert SPEC.count(before) == 1
    status, table, _ = run(tmp_path, capsys, spec=SPEC.replace(before, after))
    assert status == 1
    assert place in table
    assert table.count("DIFFERENT") == 1


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("return self.head(x.mean((2, 3)))", "return self.head(x.mean((2, 3))), x", "1 here, 2 there"),
        (
            "return self.head(x.mean((2, 3)))",
            "return {'a': self.head(x.mean((2, 3)))[None]}",
            "2x10 here, 1x2x10",
        ),
        (
            "return self.head(x.mean((2, 3)))",
            "raise ValueError('no such thing')",
            "ValueError: no such thing",
        ),
        ("return self.head(x.mean((2, 3)))", "return self.head(x.mean((2, 3))) * float('nan')", "failed"),
    ],
)
def test_outputs_of_another_form(
    before: str, after: str, said: str, tmp_path: Path, capsys: Captured
) -> None:
    status, table, _ = run(tmp_path, capsys, model=MODEL.replace(before, after))
    assert status == 1
    assert said in table


def test_json(tmp_path: Path, capsys: Captured) -> None:
    words = ("--against", "model.py:Theirs", "--format", "json")
    status, text, _ = run(tmp_path, capsys, *words, spec=SPEC.replace("relu as act", "relu6 as act"))
    value = json.loads(text)
    jsonschema.validate(value, json.loads(SCHEMA.read_text(encoding="utf-8")))
    assert status == 1
    assert [row["ok"] for row in value["rows"]] == [True, True, True, False]
    assert "outputs differ by " in value["notes"][0]


# ---------------------------------------------------------------- files of weights


def weights(folder: Path, suffix: str, **renamed: str) -> Path:
    """Save the weights of torchvision's resnet18, some under other names."""
    state = {
        renamed.get(key.replace(".", "_"), key): value
        for key, value in reference("resnet18").state_dict().items()
    }
    file = folder / f"w{suffix}"
    if suffix == ".safetensors":
        safetensors.torch.save_file(state, file)
    else:
        torch.save(state, file)
    return file


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_files_of_weights(suffix: str, tmp_path: Path, capsys: Captured) -> None:
    file = weights(tmp_path, suffix)
    assert cli.main(["verify", "resnet18", "--against", str(file)]) == 0
    assert "order" not in capsys.readouterr().out
    assert cli.main(["verify", "resnet18", "--set", "classes=10", "--against", str(file)]) == 1
    table = capsys.readouterr().out
    assert "10x512 here, 1000x512 there" in table
    assert "it fits with classes=1000" in table


def test_a_file_with_a_wrong_key(tmp_path: Path, capsys: Captured) -> None:
    file = weights(tmp_path, ".safetensors", layer1_0_conv1_weight="layer1.0.conv_1.weight")
    assert cli.main(["verify", "resnet18", "--against", str(file)]) == 1
    table = capsys.readouterr().out
    assert "only here: `layer1.0.conv1.weight`, 7 of 122 (resnet.net:" in table
    assert "only there: `layer1.0.conv_1.weight`, " in table


def test_what_a_file_imports_is_not_what_it_defines(tmp_path: Path, capsys: Captured) -> None:
    model = f"from collections import Counter, OrderedDict\n{MODEL}"
    status, _, errors = run(tmp_path, capsys, "--against", "model.py:zz", model=model)
    assert status == 2
    assert "it defines " in errors
    assert "Theirs" in errors
    assert "Counter" not in errors


def test_a_library_that_another_one_needs_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    """Releases of timm import torchvision, which may be one for another torch."""
    (tmp_path / "torchvision").mkdir()
    (tmp_path / "torchvision" / "__init__.py").write_text("raise RuntimeError('no nms')\n", encoding="utf-8")
    (tmp_path / "timm").mkdir()
    (tmp_path / "timm" / "__init__.py").write_text("import torchvision\n", encoding="utf-8")
    for name in [one for one in sys.modules if one.partition(".")[0] in ("timm", "torchvision")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(tmp_path)
    assert cli.main(["verify", "resnet18", "--against", "timm:resnet18"]) == 2
    said = capsys.readouterr().err
    assert "torchvision cannot be imported: RuntimeError: no nms" in said
    assert "install releases of torch and torchvision that belong together" in said


def test_old_files_lack_counters(tmp_path: Path) -> None:
    state = reference("resnet18").state_dict()
    file = tmp_path / "w.pth"
    torch.save({key: value for key, value in state.items() if "num_batches" not in key}, file)
    assert against.compare(netdsl.load("resnet18"), str(file)).ok


def test_files_of_another_backend(tmp_path: Path) -> None:
    net = api.loads(SPEC)
    state = netdsl.convert_weights(net, net.build().state_dict(), "torch", "flax")
    file = tmp_path / "w.safetensors"
    safetensors.torch.save_file({key: torch.from_numpy(value) for key, value in state.items()}, file)
    assert against.compare(net, str(file), "flax").ok
    found = against.compare(net, str(file))
    assert not found.ok
    assert "these are names and shapes of the flax backend" in found.notes


def test_weights_that_do_not_load(tmp_path: Path, capsys: Captured) -> None:
    for suffix in (".safetensors", ".pt"):
        file = tmp_path / f"w{suffix}"
        file.write_bytes(b"no weights at all")
        assert cli.main(["verify", "resnet18", "--against", str(file)]) == 2
        assert capsys.readouterr().err.startswith("error[E515]: ")


# ---------------------------------------------------------------- what is no reference


@pytest.mark.parametrize(
    ("model", "name", "said"),
    [
        (MODEL, "Their", "did you mean `Theirs`?"),
        (MODEL, "", "defines no function without a name"),
        (MODEL, "number", "makes a int, and no model"),
        (MODEL, "Unit", "makes no model: TypeError: "),
        ("def f(:", "f", "does not run: SyntaxError: "),
        ("import nothing_of_that_name", "f", "does not run: ModuleNotFoundError: "),
        ("exit(3)", "f", "does not run: SystemExit: 3"),
        ("def f(): raise SystemExit", "f", "makes no model: SystemExit: "),
    ],
)
def test_files_that_make_no_model(model: str, name: str, said: str, tmp_path: Path, capsys: Captured) -> None:
    status, table, errors = run(tmp_path, capsys, "--against", f"model.py:{name}", model=model)
    assert (status, table) == (2, "")
    assert errors.startswith("error[E531]: ")
    assert said in errors


@pytest.mark.usefixtures("torchvision")
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["resnet18"], "a reference is torchvision:NAME"),
        (["model.py"], "model.py:FACTORY"),
        (["no/such/file.py:f"], "cannot read no/such/file.py"),
        (["torchvision:resnet19"], "did you mean `resnet18`?"),
        (["timm:resnet26e"], "did you mean `resnet26"),
        (["timm:hf-hub:someone/something"], "timm has no model hf-hub:"),
        (["timm:resnet26d", "--backend", "flax"], "cannot be compared with flax"),
    ],
)
def test_no_reference(words: list[str], said: str, capsys: Captured) -> None:
    assert cli.main(["verify", "lenet", "--against", *words]) == 2
    printed = capsys.readouterr().err
    assert printed.startswith("error[E531]: ")
    assert said in printed


@pytest.mark.parametrize("library", against.LIBRARIES)
def test_a_library_that_is_missing(library: str, monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == library]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, library, None)
    assert cli.main(["verify", "lenet", "--against", f"{library}:resnet18"]) == 1
    printed = capsys.readouterr().err
    assert f"error[E509]: comparing with {library}:resnet18 needs {library}\n" in printed
    assert f"help: pip install {library}" in printed


def test_the_help_says_that_a_file_is_run(capsys: Captured) -> None:
    assert cli.main(["verify", "--help"]) == 0
    assert "runs that file" in " ".join(capsys.readouterr().out.split())

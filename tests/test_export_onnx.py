"""Nets as files of ONNX: what ONNX Runtime makes of them, what they are called, and what is refused."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from unittest.mock import patch

import numpy as np
import onnx
import onnxruntime
import pytest
import safetensors.torch
import torch
from torch import Tensor, nn
from torch_oracles import perturb

import netdsl
from netdsl import Network, export
from netdsl.cli import main
from netdsl.weights.convert import Held
from netdsl.weights.files import opened

TWO = """
block Twice(c):
    conv 3x3, c, bias=false -> bn -> relu

net Two:
    meta year=2026, note="two images"
    input left: 3, 16x16
    input right: 3, 16x12
    a = from left -> Twice 8 as first
    b = from right -> same first
    output maps: from a -> dropout 0.5
    train output aux: from a -> gap -> fc 4 as aux
    small = from a -> gap
    other = from b -> gap
    from small, other -> concat -> fc 10 as logits
    return logits, maps, aux
"""
NETS = {
    "two": TWO,
    "both": """
net Both:
    input x: 3, 8x8
    output image: from x
    from x -> relu as r
    return r, image
""",
    "vector": "net Vector:\n    input 12\n    fc 5 -> softmax\n",
    "words": """
net Words:
    input 3, 8x8
    conv 4x4, 8, /4, pad=0 as stem -> tokens -> ln as norm -> attention 2 as attn -> token 0 -> fc 3 as head
""",
}


def trained(net: Network) -> dict[str, Tensor]:
    """Return the state of a module whose norms have seen something."""
    torch.manual_seed(1)
    model: nn.Module = perturb(net.build("torch"))
    return model.state_dict()


def outputs(file: bytes, x: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return what ONNX Runtime gives, by name."""
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    names = [one.name for one in session.get_outputs()]
    found = session.run(names, {name: value.numpy() for name, value in x.items()})
    return {name: torch.from_numpy(value) for name, value in zip(names, found, strict=True)}


@pytest.mark.parametrize("backend", ["torch", "torch:deploy", "torch:low_memory"])
@pytest.mark.parametrize("name", NETS)
def test_onnx_runtime_gives_the_modules_outputs(name: str, backend: str) -> None:
    net = netdsl.loads(NETS[name])
    state = trained(net)
    file = net.onnx(backend, state)
    onnx.checker.check_model(onnx.load_from_string(file), full_check=True)
    model = net.build("torch")
    model.load_state_dict(state)
    for batch in (1, 5):
        x = {name: torch.randn(batch, *shape) for name, shape in net.inputs.items()}
        with torch.no_grad():
            wanted = model.eval()(*x.values())
        values = wanted if isinstance(wanted, tuple) else (wanted,)
        kept = [output.name for output in net.graph.outputs if not output.train]
        expected = dict(zip(kept, (value for value in values if value is not None), strict=True))
        found = outputs(file, x)
        assert list(found) == kept
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_small", "shufflenet_v2_x0_5"])
def test_nets_of_the_zoo(name: str) -> None:
    net = netdsl.load(name, inputs={"": (3, 64, 64)})
    exported = export.export(
        net, "torch:deploy", {key: Held(key, value) for key, value in trained(net).items()}
    )
    assert export.check(exported).difference < 1e-5


def test_what_a_file_says_of_itself(tmp_path: Path) -> None:
    (tmp_path / "two.net").write_text(TWO)
    net = netdsl.load(tmp_path / "two.net")
    file = net.onnx()
    model = onnx.load_from_string(file)
    assert model.graph.name == "two"
    assert {one.key: one.value for one in model.metadata_props} == {
        "netdsl": netdsl.__version__,
        "net": "two",
        "spec": "two.net",
        "module": "netdsl compile two.net:two --backend torch",
        "meta.year": "2026",
        "meta.note": "two images",
    }
    shapes = {
        one.name: [size.dim_param or size.dim_value for size in one.type.tensor_type.shape.dim]
        for one in (*model.graph.input, *model.graph.output)
    }
    assert shapes == {
        "left": ["batch", 3, 16, 16],
        "right": ["batch", 3, 16, 12],
        "logits": ["batch", 10],
        "maps": ["batch", 8, 16, 16],
    }
    assert str(tmp_path).encode() not in file
    assert str(Path(torch.__file__).parents[1]).encode() not in file


def test_nodes_have_the_paths_of_their_modules() -> None:
    net = netdsl.load("resnet18", inputs={"": (3, 64, 64)})
    names = [node.name for node in onnx.load_from_string(net.onnx("torch:deploy")).graph.node]
    assert len(set(names)) == len(names)
    convolutions = [name.removesuffix("/Conv") for name in names if name.endswith("/Conv")]
    assert sorted(convolutions) == sorted(node.name for node in net.graph if node.op.name == "conv")


def test_the_same_net_is_the_same_file() -> None:
    net = netdsl.loads(TWO)
    state = trained(net)
    assert net.onnx("torch", state) == net.onnx("torch", state)


def test_weights_of_either_form_are_taken(tmp_path: Path) -> None:
    net = netdsl.loads(TWO)
    state = trained(net)
    deployed = netdsl.convert_weights(net, state, "torch", "torch:deploy")
    assert deployed.keys() != state.keys()
    assert net.onnx("torch:deploy", state) == net.onnx("torch:deploy", deployed)


def test_the_command_writes_the_weights_of_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec, weights, file = tmp_path / "two.net", tmp_path / "two.pth", tmp_path / "two.onnx"
    spec.write_text(TWO)
    net = netdsl.load(spec)
    torch.save(trained(net), weights)
    command = ["export", str(spec), "--weights", str(weights), "-o", str(file), "--check"]
    assert main(command) == 0
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2
    assert said[0] == f"wrote {file}: two for ONNX, {file.stat().st_size:,} bytes"
    assert said[1].startswith("ONNX Runtime gives the module's outputs: they differ by ")
    assert file.read_bytes() == net.onnx("torch", torch.load(weights))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
def test_weights_of_every_type_become_those_of_the_module(dtype: torch.dtype, tmp_path: Path) -> None:
    net = netdsl.loads(NETS["vector"])
    state = {key: value.to(dtype) for key, value in trained(net).items()}
    torch.save(state, tmp_path / "vector.pth")
    with opened(tmp_path / "vector.pth") as held:
        exported = export.export(net, "torch", held.tensors)
    model = net.build("torch")
    model.load_state_dict(state)
    x = torch.randn(2, 12)
    with torch.no_grad():
        torch.testing.assert_close(outputs(exported.file, {"x": x})["out"], model(x))


def test_weights_of_several_types_are_folded_in_the_modules() -> None:
    net = netdsl.loads(TWO)
    state = {key: value.half() if value.ndim == 4 else value for key, value in trained(net).items()}
    state = {key: value.double() if "running_var" in key else value for key, value in state.items()}
    assert {value.dtype for value in state.values()} > {torch.float16, torch.float32, torch.float64}
    model = net.build("torch")
    model.load_state_dict(state)
    x = {name: torch.randn(2, *shape) for name, shape in net.inputs.items()}
    with torch.no_grad():
        wanted = model.eval()(*x.values())
    found = outputs(net.onnx("torch:deploy", state), x)
    torch.testing.assert_close(found["logits"], wanted.logits, rtol=1e-4, atol=1e-5)


def test_weights_that_are_random_are_said_to_be(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "lenet", "-o", str(tmp_path / "lenet.onnx")]) == 0
    assert "note: the weights are random: --weights gives others\n" in capsys.readouterr().err


@pytest.mark.parametrize("backend", ["torch", "torch:deploy"])
@pytest.mark.parametrize("name", ["two", "vector"])
def test_weights_that_a_file_cannot_hold_lie_beside_it(
    name: str, backend: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec, weights, whole = tmp_path / "a.net", tmp_path / "a.safetensors", tmp_path / "whole.onnx"
    spec.write_text(NETS[name].replace("conv 3x3, c,", "conv 3x3, 20 * c,").replace("fc 5", "fc 200"))
    net = netdsl.load(spec)
    safetensors.torch.save_file(trained(net), weights)
    command = ["export", str(spec), "--weights", str(weights), "--backend", backend, "--check", "-o"]
    assert main([*command, str(whole)]) == 0
    (tmp_path / "moved").mkdir()
    file = tmp_path / "moved" / "a.onnx"
    with patch("netdsl.export.LARGEST", 10):
        assert main([*command, str(file)]) == 0
    data = file.with_name("a.onnx.data")
    said = capsys.readouterr().err.splitlines()[-2]
    sizes = f"{file.stat().st_size:,} bytes, and {data}: its weights, {data.stat().st_size:,} bytes"
    assert said == f"wrote {file}: {net.name} for ONNX, {sizes}"
    onnx.checker.check_model(file, full_check=True)
    held, beside = (onnx.load(one, load_external_data=False).graph.initializer for one in (whole, file))
    large = {one.name: one.external_data for one in beside if one.data_location == onnx.TensorProto.EXTERNAL}
    assert large.keys() == {one.name for one in held if len(one.raw_data) >= 1024}
    assert all(entry.value == data.name for one in large.values() for entry in one if entry.key == "location")
    shutil.move(tmp_path / "moved", tmp_path / "elsewhere")
    session = onnxruntime.InferenceSession(tmp_path / "elsewhere" / "a.onnx")
    x = {name: torch.randn(3, *shape) for name, shape in net.inputs.items()}
    names = [one.name for one in session.get_outputs()]
    found = session.run(names, {name: value.numpy() for name, value in x.items()})
    wanted = outputs(whole.read_bytes(), x)
    assert all(np.array_equal(wanted[one].numpy(), value) for one, value in zip(names, found, strict=True))


@pytest.mark.parametrize("where", ["the exporter", "the check", "the disk"])
def test_both_files_are_written_or_neither(
    where: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "lenet.onnx"
    data = file.with_name("lenet.onnx.data")
    file.write_bytes(b"old")
    data.write_bytes(b"older")
    broken = {
        "the exporter": patch("torch.export.export", side_effect=RuntimeError("no")),
        "the check": patch("netdsl.export.BOUND", -1.0),
        "the disk": patch("netdsl_torch.onnx._put", side_effect=OSError(28, "no space left")),
    }
    with patch("netdsl.export.LARGEST", 10), broken[where]:
        assert main(["export", "lenet", "--check", "-o", str(file)]) == (2 if where == "the disk" else 1)
    assert "error[E5" in capsys.readouterr().err
    assert (file.read_bytes(), data.read_bytes()) == (b"old", b"older")
    assert {*tmp_path.iterdir()} == {file, data}


def test_what_one_file_cannot_hold_is_said() -> None:
    net = netdsl.load("vit_h_14")
    with pytest.raises(netdsl.NetError, match=r"has 2,5.* bytes of weights, and a file of ONNX holds"):
        net.onnx()
    assert export.too_large(net)
    assert not export.too_large(netdsl.load("vit_b_16"))


def test_what_lies_beside_a_file_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "lenet.onnx"
    with patch("netdsl.export.LARGEST", 10):
        assert main(["export", "lenet", "-o", str(file)]) == 0
    assert [node.op.name for node in netdsl.loads(netdsl.lift(str(file)).text).graph] == [
        node.op.name for node in netdsl.load("lenet").graph
    ]


def test_outputs_that_say_nothing_are_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Such as those of a head that begins at 0."""
    (tmp_path / "z.net").write_text("net Z:\n    input 4\n    init fc weight=zeros, bias=zeros\n    fc 5\n")
    assert main(["export", str(tmp_path / "z.net"), "--check", "-o", str(tmp_path / "z.onnx")]) == 0
    said = capsys.readouterr().err
    assert said.endswith("note: out is 0 everywhere with these weights, which says little\n")


REFUSED = [
    ("export lenet -o {0}/lenet.py", "E510", "is no name of a file of ONNX"),
    ("export lenet -o {0}/no/lenet.onnx", "E510", "cannot write"),
    ("export lenet --backend flax -o {0}/a.onnx", "E506", "the flax backend writes no ONNX"),
    ("export lenet --backend flax:deploy -o {0}/a.onnx", "E506", "the flax backend writes no ONNX"),
    ("export lenet --weights {0}/none.pth -o {0}/a.onnx", "E515", "cannot read"),
    ("export lenet", "E500", "-o/--output"),
]


@pytest.mark.parametrize(("command", "code", "text"), REFUSED)
def test_what_is_refused_writes_nothing(
    command: str, code: str, text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command.format(tmp_path).split()) == (1 if code == "E592" else 2)
    said = capsys.readouterr().err
    assert f"error[{code}]: " in said
    assert text in said
    assert not list(tmp_path.iterdir())


def test_weights_that_do_not_fit_leave_the_old_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, weights = tmp_path / "lenet.onnx", tmp_path / "other.pth"
    file.write_bytes(b"old")
    torch.save(netdsl.load("lenet", classes=7).build("torch").state_dict(), weights)
    assert main(["export", "lenet", "--weights", str(weights), "-o", str(file)]) == 1
    assert "error[E514]: " in capsys.readouterr().err
    assert file.read_bytes() == b"old"


def test_numbers_that_differ_are_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    net = netdsl.loads(NETS["vector"])
    exported = export.export(net)
    other = {key: np.flip(value).copy() for key, value in exported.state.items()}
    with pytest.raises(netdsl.NetError, match="ONNX Runtime differs from the module of vector by"):
        export.check(exported.replace(state=other))
    with pytest.raises(netdsl.NetError, match="ONNX Runtime cannot run vector"):
        export.check(exported.replace(file=exported.file[:99]))
    with patch("netdsl.export.BOUND", -1.0):
        command = ["export", "lenet", "-o", str(tmp_path / "lenet.onnx"), "--check"]
        assert main(command) == 1
    assert "error[E592]: ONNX Runtime differs from the module of lenet" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_what_torchs_exporter_refuses_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with patch("torch.export.export", side_effect=RuntimeError("no such operator\nand more")):
        assert main(["export", "lenet", "-o", str(tmp_path / "lenet.onnx")]) == 1
    assert "error[E592]: torch's exporter refuses lenet: " in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("missing", "what"),
    [
        ("torch", "building a module needs torch"),
        ("onnxscript", "writing ONNX needs onnxscript"),
        ("onnxruntime", "checking ONNX needs onnxruntime"),
    ],
)
def test_what_is_not_installed_is_said(
    missing: str,
    what: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    assert main(["export", "lenet", "-o", str(tmp_path / "lenet.onnx"), "--check"]) == 1
    assert f"error[E509]: {what}" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_what_was_written_is_read_again(tmp_path: Path) -> None:
    net = netdsl.loads(NETS["vector"])
    (tmp_path / "vector.onnx").write_bytes(net.onnx())
    found = netdsl.lift(str(tmp_path / "vector.onnx"))
    assert [node.op.name for node in netdsl.loads(found.text).graph] == [node.op.name for node in net.graph]

"""Emitted modules under torch's compilers and exporters, and with weights from files."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import onnx
import pytest
import torch
from onnx.reference import ReferenceEvaluator
from torch import nn
from torch_oracles import ENVIRONMENT, build, emitted, load, perturb, reference

NETS = ["vgg16", "resnet50"]
EXAMPLES = Path(__file__).parents[1] / "examples"


def small(name: str) -> tuple[nn.Module, torch.Tensor]:
    """Return a net with perturbed norms, and a small input."""
    torch.manual_seed(0)
    return perturb(build(name, classes=10)).eval(), torch.randn(2, 3, 64, 64)


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_compiles_as_one_graph(name: str, backend: str) -> None:
    model, x = small(name)
    torch._dynamo.reset()
    compiled = torch.compile(model, fullgraph=True, backend=backend)
    with torch.no_grad():
        torch.testing.assert_close(compiled(x), model(x))


@pytest.mark.parametrize("name", ["resnet50", "googlenet"])
def test_compiles_as_one_graph_in_training(name: str) -> None:
    torch.manual_seed(0)
    model, x = build(name, "meta").train(), torch.randn(2, 3, 64, 64, device="meta")
    torch._dynamo.reset()
    out = torch.compile(model, fullgraph=True, backend="eager")(x)
    assert type(out) is type(model(x))


@pytest.mark.parametrize("name", NETS)
def test_exports(name: str) -> None:
    model, x = small(name)
    batch = torch.export.Dim("batch", min=1, max=64)
    program = torch.export.export(model, (x,), dynamic_shapes=({0: batch},))
    with torch.no_grad():
        assert torch.equal(program.module()(x), model(x))
        other = torch.randn(3, 3, 64, 64)
        torch.testing.assert_close(program.module()(other), model(other))


@pytest.mark.parametrize("name", ["mobilenet_v3_small", "resnet18", "squeezenet1_1", "unet_same"])
def test_exports_for_any_batch_and_size(name: str) -> None:
    torch.manual_seed(0)
    model, (channels, *_) = build(name).eval(), next(iter(load(name).inputs.values()))
    x, other = torch.randn(2, channels, 64, 64), torch.randn(3, channels, 96, 160)
    any_size = {
        0: torch.export.Dim("batch", min=1, max=64),
        2: torch.export.Dim.DYNAMIC,
        3: torch.export.Dim.DYNAMIC,
    }
    program = torch.export.export(model, (x,), dynamic_shapes=(any_size,))
    with torch.no_grad():
        torch.testing.assert_close(program.module()(other), model(other))


@pytest.mark.parametrize("name", ["lenet", "mobilenet_v3_small"])
def test_exports_to_onnx_for_any_batch(name: str, tmp_path: Path) -> None:
    shape = next(iter(load(name).inputs.values()))
    x = torch.randn(2, shape.c, 32, 32)
    batch = {0: torch.export.Dim("batch", min=1, max=64)}
    file = str(tmp_path / "model.onnx")
    torch.onnx.export(build(name).eval(), (x,), file, dynamo=True, verbose=False, dynamic_shapes=(batch,))
    (output,) = onnx.load(file).graph.output
    assert output.type.tensor_type.shape.dim[0].dim_param == "batch"


@pytest.mark.parametrize("name", NETS)
def test_exports_to_onnx(name: str, tmp_path: Path) -> None:
    model, x = small(name)
    file = tmp_path / "model.onnx"
    torch.onnx.export(model, (x,), str(file), dynamo=True, verbose=False)
    onnx.checker.check_model(str(file), full_check=True)
    exported = onnx.load(str(file))
    (output,) = exported.graph.output
    assert [d.dim_value for d in output.type.tensor_type.shape.dim] == [2, 10]
    if name == "resnet50":  # the reference evaluator needs minutes for the other's 4096 x 25088 layer
        (out,) = ReferenceEvaluator(exported).run(None, {exported.graph.input[0].name: x.numpy()})
        with torch.no_grad():
            torch.testing.assert_close(torch.from_numpy(out), model(x), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("name", NETS)
def test_the_example_loads_a_file_of_torchvisions_weights(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    theirs = perturb(reference(name)).eval()
    torch.save(theirs.state_dict(), tmp_path / "weights.pth")
    (tmp_path / f"{name}.py").write_text(emitted(name))
    command = [
        sys.executable,
        EXAMPLES / "load_weights.py",
        tmp_path / f"{name}.py",
        tmp_path / "weights.pth",
    ]
    done = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, check=True)
    torch.manual_seed(0)
    with torch.inference_mode():
        best = theirs(torch.rand(1, 3, 224, 224)).softmax(1).max(1)
    assert done.stdout == f"class {int(best.indices)} with probability {float(best.values):.6f}\n"


def test_a_file_with_other_keys_is_refused(tmp_path: Path) -> None:
    state = load("resnet18").build().state_dict()
    del state["fc.bias"]
    torch.save(state, tmp_path / "weights.pth")
    with pytest.raises(RuntimeError, match=r"fc\.bias"):
        build("resnet18").load_state_dict(torch.load(tmp_path / "weights.pth", weights_only=True))

"""Emitted modules under torch's compilers and exporters, and with weights from files."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import onnx
import pytest
import torch
from onnx.reference import ReferenceEvaluator
from proved import proving
from torch import nn
from torch_oracles import ENVIRONMENT, FAMILIES, build, emitted, load, perturb, reference

NETS = ["vgg16", "resnet50"]
OWN_SIZE = ("alexnet_2012", "lenet", "nasnet_a_mobile", "vit_b_16", "zfnet")
"""Nets that have as many weights in a layer as the map has pixels, or layers that follow from its size."""
WIDE = {"alexnet": 224, "inception_v3": 160, "inception_v4": 160}
"""Sides that leave a map of more than a pixel, or as many as are pooled."""
ANY_SIZE = {name: side for name, side in (FAMILIES | WIDE).items() if name not in OWN_SIZE}
"""One net of each other family, and a small side."""
EACH_TIME = ("lenet", "mobilenet_v3_small", "resnet18", "squeezenet1_1", "unet_same")
"""Those that are exported each time, the others when anything has changed."""
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


@contextmanager
def remembered(name: str, form: str) -> Iterator[bool]:
    """Give whether there is nothing to prove of an exported net again."""
    libraries = "torch onnx onnxscript"
    with proving(f"{name}.{form}", libraries, [sys.modules[__name__]], emitted(name)) as known:
        yield known and name not in EACH_TIME


@pytest.mark.slow
@pytest.mark.proof
@pytest.mark.parametrize(("name", "side"), ANY_SIZE.items())
def test_exports_for_any_batch_and_size(name: str, side: int) -> None:
    with remembered(name, "exported") as known:
        if known:
            return
        torch.manual_seed(0)
        model, (channels, *_) = build(name).eval(), next(iter(load(name).inputs.values()))
        x, other = torch.randn(2, channels, side, side), torch.randn(3, channels, side + 32, side + 96)
        any_size = {
            0: torch.export.Dim("batch", min=1, max=64),
            2: torch.export.Dim.DYNAMIC,
            3: torch.export.Dim.DYNAMIC,
        }
        program = torch.export.export(model, (x,), dynamic_shapes=(any_size,))
        with torch.no_grad():
            torch.testing.assert_close(program.module()(other), model(other))


@pytest.mark.slow
@pytest.mark.proof
@pytest.mark.parametrize("name", [*ANY_SIZE, *OWN_SIZE])
def test_exports_to_onnx_for_any_batch(name: str, tmp_path: Path) -> None:
    with remembered(name, "onnx") as known:
        if known:
            return
        channels, *sides = next(iter(load(name).inputs.values()))
        side = ANY_SIZE.get(name)
        x = torch.randn(2, channels, *((side, side) if side else sides))
        batch = {0: torch.export.Dim("batch", min=1, max=64)}
        file = str(tmp_path / "model.onnx")
        torch.onnx.export(build(name).eval(), (x,), file, dynamo=True, verbose=False, dynamic_shapes=(batch,))
        (output,) = onnx.load(file, load_external_data=False).graph.output
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

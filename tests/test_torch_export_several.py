"""Nets that return several values under torch's exporters: a record again, in its order, for any batch and size."""

from __future__ import annotations

import sys
from pathlib import Path

import onnx
import pytest
import torch
from proved import proving
from torch import Tensor
from torch_oracles import SEVERAL, build, emitted, perturb

BATCH = torch.export.Dim("batch", min=1, max=64)


def images(side: int) -> tuple[Tensor, Tensor]:
    """Return a batch of small images, and another batch of others, which are no squares."""
    generator = torch.Generator().manual_seed(3)
    shapes = (2, 3, side, side), (3, 3, side + 33, side + 94)
    one, other = (torch.randn(shape, generator=generator) for shape in shapes)
    return one, other


@pytest.mark.slow
@pytest.mark.proof
@pytest.mark.parametrize(("name", "side"), SEVERAL.items())
def test_exports_for_any_batch_and_size(name: str, side: int) -> None:
    with proving(f"{name}.exported", "torch", [sys.modules[__name__]], emitted(name)) as known:
        if known:
            return
        torch.manual_seed(0)
        model = perturb(build(name)).eval()
        x, other = images(side)
        any_size = {0: BATCH, 2: torch.export.Dim.DYNAMIC, 3: torch.export.Dim.DYNAMIC}
        program = torch.export.export(model, (x,), dynamic_shapes=(any_size,))
        with torch.no_grad():
            found, expected = program.module()(other), model(other)
        assert type(found) is type(expected)
        assert len(found) > 1
        torch.testing.assert_close(tuple(found), tuple(expected))


@pytest.mark.slow
@pytest.mark.proof
@pytest.mark.parametrize(("name", "side"), SEVERAL.items())
def test_exports_to_onnx_for_any_batch(name: str, side: int, tmp_path: Path) -> None:
    with proving(f"{name}.onnx", "torch onnx onnxscript", [sys.modules[__name__]], emitted(name)) as known:
        if known:
            return
        model, (x, _), file = build(name).eval(), images(side), str(tmp_path / "model.onnx")
        torch.onnx.export(model, (x,), file, dynamo=True, verbose=False, dynamic_shapes=({0: BATCH},))
        outputs = onnx.load(file, load_external_data=False).graph.output
        shapes = [one.type.tensor_type.shape.dim for one in outputs]
        assert [shape[0].dim_param for shape in shapes] == ["batch"] * len(model(x))
        assert [[d.dim_value for d in shape][1:] for shape in shapes] == [[*t.shape[1:]] for t in model(x)]

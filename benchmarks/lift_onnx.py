"""How many models of torchvision are the same spec lifted from themselves and from a file that they were exported to.

    python benchmarks/lift_onnx.py [--form whole|optimised|older] [NAME ...]

One small model of each family that classifies images, with random weights. Files have no rates of dropout, and no
heads of training: the models are made without. `whole` files are those of torch's exporter that are not optimised.
"""

from __future__ import annotations

import argparse
import difflib
import io
import logging
import sys
import tempfile
import time
import warnings
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT / "tests")]

from conftest import import_torchvision  # noqa: E402

from netdsl.diagnostics import NetError  # noqa: E402
from netdsl.frontend import lift  # noqa: E402

NAMES = (
    "alexnet convnext_tiny densenet121 efficientnet_b0 efficientnet_v2_s googlenet inception_v3 mnasnet0_5 "
    "mobilenet_v2 mobilenet_v3_small regnet_x_400mf regnet_y_400mf resnet18 resnext50_32x4d shufflenet_v2_x0_5 "
    "squeezenet1_1 swin_t swin_v2_t vgg11_bn vit_b_32 wide_resnet50_2"
).split()
SIDES = {"inception_v3": 299, "swin_t": 256, "swin_v2_t": 320}
"""Of inputs that are not 64 x 64: at these windows shift in each stage."""
ARGS: dict[str, dict[str, Any]] = {
    "googlenet": {"aux_logits": False, "init_weights": False},
    "inception_v3": {"aux_logits": False, "init_weights": False},
    "vit_b_32": {"image_size": 64},
}


def made(name: str) -> torch.nn.Module:
    """Return a model in evaluation that drops nothing."""
    torch.manual_seed(0)
    model: torch.nn.Module = getattr(import_torchvision().models, name)(**ARGS.get(name, {}))
    for module in model.modules():
        if type(module).__name__ in ("Dropout", "StochasticDepth"):
            module.p = 0.0  # type: ignore[assignment]
    return model.eval()


def export(model: torch.nn.Module, file: Path, shape: tuple[int, ...], form: str) -> None:
    """Write a model's file."""
    x = (torch.randn(2, *shape),)
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        if form == "older":
            torch.onnx.export(model, x, str(file), dynamo=False, verbose=False)
        else:
            program = torch.onnx.export(model, x, dynamo=True, optimize=form != "whole", verbose=False)
            assert program is not None
            program.save(str(file))


def lines(text: str) -> list[str]:
    """Return a spec's lines, without what the file's name makes of it."""
    return [line for line in text.splitlines() if line.strip() and not line.startswith("variant ")]


def main() -> None:
    """Print a line for each model, and what is counted."""
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    parser = argparse.ArgumentParser()
    parser.add_argument("--form", choices=("whole", "optimised", "older"), default="whole")
    parser.add_argument("names", nargs="*", metavar="NAME")
    args = parser.parse_args()
    lifted = equal = 0
    names = args.names or NAMES
    print(f"{'model':20} {'s':>5} {'lines':>5} {'other':>5}  proof")
    for name in names:
        model, side = made(name), SIDES.get(name, 64)
        shape = (3, side, side)
        other, said, taken = 0, "", 0.0
        ours = lines(lift(model, shape).text)
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / f"{name}.onnx"
            try:
                export(model, file, shape, args.form)
                start = time.perf_counter()
                found = lift(str(file))
                taken = time.perf_counter() - start
                theirs = lines(found.text)
                other = sum(
                    line[0] in "+-" and line[:3] not in ("+++", "---") for line in _diff(ours, theirs)
                )
                lifted += 1
                equal += not other
                said = found.checks[1].said
            except NetError as error:
                said = "; ".join(diagnostic.message for diagnostic in error.diagnostics)[:200]
            except Exception as error:
                said = f"FAULT {type(error).__name__}: {error}".partition("\n")[0][:200]
        print(f"{name:20} {taken:5.1f} {len(ours):5} {other:5}  {said}", flush=True)
    print(f"\n{lifted} of {len(names)} lift, {equal} to the same spec")


def _diff(ours: list[str], theirs: list[str]) -> list[str]:
    return list(difflib.unified_diff(ours, theirs, lineterm="", n=0))


if __name__ == "__main__":
    main()

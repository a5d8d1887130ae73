"""Port a model of timm to Flax in three commands, and compare what the two make of the same images.

    python examples/port.py resnet10t 3x96x96

Its weights are new: `timm.create_model(name, pretrained=True)` in a function of a file of yours has trained ones,
and `netdsl lift FILE.py:FUNCTION` takes that.
"""

from __future__ import annotations

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import timm
import torch
from flax import nnx
from safetensors.numpy import load_file

from netdsl import cli

SAMPLES = 4


def commands(name: str, size: str, folder: Path) -> None:
    """Write the spec, the module in Flax and its weights."""
    for command in (
        f"lift timm:{name} --input {size} -o net.net --weights net.safetensors",
        "compile net.net --backend flax -o net.py",
        "weights net.net --from torch net.safetensors --to flax net_flax.safetensors",
    ):
        print(f"$ netdsl {command}", flush=True)
        words = [str(folder / word) if word.startswith("net") else word for word in command.split()]
        if status := cli.main(words):
            sys.exit(status)


def ported(name: str, folder: Path) -> nnx.Module:
    """Return the module in Flax, with the weights; nothing of it needs netdsl."""
    spec = spec_from_file_location("net", folder / "net.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    model: nnx.Module = getattr(module, name)(rngs=nnx.Rngs(0))
    weights = load_file(folder / "net_flax.safetensors")
    state = nnx.state(model, nnx.Any(nnx.Param, nnx.BatchStat))
    for path, variable in nnx.to_flat_state(state):
        variable.set_value(weights.pop(".".join(map(str, path))))
    nnx.update(model, state)
    model.eval()
    return model


def main() -> None:
    """Print the commands, and how far the outputs are from each other."""
    name, size = sys.argv[1:] if len(sys.argv) == 3 else ("resnet10t", "3x96x96")
    with TemporaryDirectory() as folder:
        commands(name, size, Path(folder))
        theirs = timm.create_model(name).eval()
        theirs.load_state_dict(
            {k: torch.from_numpy(v) for k, v in load_file(f"{folder}/net.safetensors").items()}
        )
        ours = ported(name, Path(folder))
    images = np.random.default_rng(0).standard_normal((SAMPLES, *map(int, size.split("x")))).astype("float32")
    with torch.inference_mode():
        a = theirs(torch.from_numpy(images)).numpy()
    b = np.asarray(ours(images.transpose(0, 2, 3, 1)))  # arrays are channels last
    print(f"outputs up to {abs(a).max():.2g} differ by {abs(a - b).max():.1e}")


if __name__ == "__main__":
    main()

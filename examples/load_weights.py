"""Load a published weights file into an emitted module, and classify an image of noise.

The file is what `torch.save(model.state_dict(), file)` writes, which is the form of torchvision's downloads:

    netdsl compile resnet50 --backend torch -o resnet50.py
    python examples/load_weights.py resnet50.py resnet50-11ad3fa6.pth
"""

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import torch
from torch import nn


def load(source: Path, weights: Path) -> nn.Module:
    """Return the net of an emitted file, whose factory is named as the file, with the weights of another."""
    spec = spec_from_file_location(source.stem, source)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    with torch.device("meta"):  # no time for initial weights that nobody will see
        model: nn.Module = getattr(module, source.stem)()
    model.load_state_dict(torch.load(weights, weights_only=True), assign=True)
    return model


def main() -> None:
    """Print the most likely class."""
    model = load(Path(sys.argv[1]), Path(sys.argv[2])).eval()
    torch.manual_seed(0)
    with torch.inference_mode():
        probability, index = model(torch.rand(1, 3, 224, 224)).softmax(1).max(1)
    print(f"class {int(index)} with probability {float(probability):.6f}")


if __name__ == "__main__":
    main()

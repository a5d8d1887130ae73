"""What other counters print for the nets of the zoo, as data for a test: tests/data/peers.json.

    python benchmarks/peers.py [NET...]

needs torch, torchvision, fvcore, thop, ptflops, torchinfo and keras. Each counter runs on the module that netdsl
emits, at the net's own input, and on torchvision's model of the same name; Keras counts the parameters of its own
applications. Nets of more MACs than `LARGEST` are left out, unless they are named.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import sys
import warnings
from collections.abc import Iterator
from functools import partial
from importlib.metadata import version
from inspect import signature
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests"))
os.environ.setdefault("KERAS_BACKEND", "torch")

import torch  # noqa: E402
from references import REFERENCES  # noqa: E402
from strangers import NAMES as STRANGERS  # noqa: E402
from strangers import stranger  # noqa: E402
from torch import Tensor, nn  # noqa: E402
from torch_oracles import import_torchvision, reference  # noqa: E402
from zoo import NAMES, net  # noqa: E402

import netdsl  # noqa: E402
from netdsl import NetError, Network  # noqa: E402
from netdsl.ops import catalogue  # noqa: E402
from netdsl.testing import networks  # noqa: E402

import_torchvision()  # ptflops imports it

from fvcore.nn import FlopCountAnalysis  # noqa: E402
from ptflops import get_model_complexity_info  # noqa: E402
from thop import profile  # noqa: E402
from torchinfo import summary  # noqa: E402

PARTS = ("emitted", "torchvision", "sizes", "ops", "strangers", "keras")
LARGEST = 12_000_000_000
FILE = ROOT / "tests" / "data" / "peers.json"
KERAS = {
    "vgg16": "VGG16",
    "vgg19": "VGG19",
    "resnet50": "ResNet50",
    "resnet101": "ResNet101",
    "resnet152": "ResNet152",
    "densenet121": "DenseNet121",
    "densenet169": "DenseNet169",
    "densenet201": "DenseNet201",
    "mobilenet_v1_1_0": "MobileNet",
    "mobilenet_v2": "MobileNetV2",
    "mobilenet_v3_large": "MobileNetV3Large",
    "mobilenet_v3_small": "MobileNetV3Small",
    "efficientnet_b0": "EfficientNetB0",
    "efficientnet_b1": "EfficientNetB1",
    "inception_v3": "InceptionV3",
    "inception_resnet_v2": "InceptionResNetV2",
    "xception": "Xception",
    "convnext_tiny": "ConvNeXtTiny",
}
"""Keras' application by net."""
SIZES = (
    ("resnet18", 3, 97, 130),
    ("mobilenet_v2", 3, 75, 61),
    ("googlenet", 3, 131, 90),
    ("swin_t", 3, 100, 75),
    ("unet_same", 3, 64, 96),
    ("efficientnet_b0", 3, 91, 53),
    ("deeplabv3_mobilenet_v3_large", 3, 100, 75),
    ("mobilevit_s", 3, 96, 64),
)
"""Nets at other sizes than their own."""


def count(model: nn.Module, inputs: list[Tensor]) -> dict[str, list[int]]:
    """Return by counter the MACs that it finds (it may call them FLOPs), and the parameters if it counts them."""
    model.eval()
    found: dict[str, list[int]] = {}
    found["fvcore"] = [int(FlopCountAnalysis(model, tuple(inputs)).unsupported_ops_warnings(False).total())]
    info = summary(model, input_data=inputs, verbose=0)
    found["torchinfo"] = [int(info.total_mult_adds), int(info.total_params)]
    found["thop"] = [int(number) for number in profile(model, tuple(inputs), verbose=False)]
    names = list(signature(model.forward).parameters)

    def construct(_: Any) -> dict[str, Tensor]:
        return dict(zip(names, inputs, strict=False))

    macs, params = get_model_complexity_info(
        model, (1,), as_strings=False, print_per_layer_stat=False, input_constructor=construct
    )
    found["ptflops"] = [int(macs), int(params)]
    return found


def rows(names: list[str]) -> Iterator[tuple[str, str, dict[str, list[int]]]]:
    """Yield by net what counters find in the emitted module, and in torchvision's."""
    for name in sorted(names, key=lambda name: net(name).cost().macs):
        known = net(name)
        models = {"emitted": partial(known.build, "torch")}
        other = REFERENCES.get(name)
        if other is not None and other.library == "torchvision":
            given = {k: v for k, v in other.arguments.items() if k != "image_size"}
            models["torchvision"] = partial(reference, other.name, **given)
        for part, make in models.items():
            try:
                yield part, name, count(make(), zeros(known))
            except Exception as error:  # a counter that cannot: the others are not asked for this net
                print(part, name, repr(error)[:200], file=sys.stderr, flush=True)


def examples() -> dict[str, dict[str, list[int]]]:
    """Return what counters find in the examples of each op, by its name and the number of the example."""
    found = {}
    for name, op in catalogue().items():
        for number, example in enumerate(op.examples()):
            with contextlib.suppress(NetError):  # no net of one op: its further inputs are others
                known = next(networks(example)) if example.inputs else None
                if known is not None:
                    found[f"{name} {number}"] = count(known.build("torch"), zeros(known))
    return found


def at_sizes() -> dict[str, dict[str, list[int]]]:
    """Return what counters find in nets at other sizes."""
    found = {}
    for name, *shape in SIZES:
        known = netdsl.load(name, inputs={"": shape})
        found[f"{name} {'x'.join(map(str, shape))}"] = count(known.build("torch"), zeros(known))
    return found


def of_strangers() -> dict[str, dict[str, list[int]]]:
    """Return what counters find in nets that the zoo has not."""
    return {name: count(stranger(name).build("torch"), zeros(stranger(name))) for name in STRANGERS}


def zeros(known: Network) -> list[Tensor]:
    """Return an input of a net for one sample."""
    return [torch.zeros(1, *shape) for shape in known.inputs.values()]


def keras_params() -> dict[str, int]:
    """Return what Keras counts of its applications."""
    import keras

    return {
        name: getattr(keras.applications, theirs)(weights=None).count_params()
        for name, theirs in KERAS.items()
    }


def write(data: dict[str, Any]) -> None:
    """Write a line for each net."""
    lines = [f'{{\n "versions": {json.dumps(data["versions"])}']
    for part in PARTS:
        inner = ",\n".join(
            f"  {json.dumps(name)}: {json.dumps(row)}" for name, row in sorted(data[part].items())
        )
        lines.append(f' "{part}": {{\n{inner}\n }}')
    FILE.write_text(",\n".join(lines) + "\n}\n")


def main(names: list[str]) -> None:
    """Count, and write what was found beside what is known."""
    logging.getLogger("fvcore").setLevel(logging.ERROR)
    warnings.simplefilter("ignore")
    data: dict[str, Any] = json.loads(FILE.read_text()) if FILE.exists() else {}
    data = {part: {} for part in PARTS} | data
    tools = ("torch", "torchvision", "fvcore", "thop", "ptflops", "torchinfo", "keras")
    data["versions"] = {tool: version(tool) for tool in tools}
    small = [name for name in NAMES if net(name).cost().macs <= LARGEST]
    with contextlib.redirect_stdout(io.StringIO()):
        for part, name, found in rows(names or small):
            data[part][name] = found
            write(data)
            print(part, name, found, file=sys.stderr, flush=True)
        if not names:
            data |= {
                "keras": keras_params(),
                "ops": examples(),
                "sizes": at_sizes(),
                "strangers": of_strangers(),
            }
            write(data)


if __name__ == "__main__":
    main(sys.argv[1:])

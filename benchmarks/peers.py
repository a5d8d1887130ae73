"""What other counters print for the nets of the zoo, as data for a test: tests/data/peers.json.

    python benchmarks/peers.py [NET...]

needs torch, torchvision, fvcore, thop, ptflops, torchinfo, calflops and keras. Each counter runs on the module that
netdsl emits, at the net's own input, and on torchvision's model of the same name; Keras counts the parameters of its
own applications.
"""

from __future__ import annotations

import io
import json
import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import nullcontext, redirect_stdout, suppress
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

from calflops import calculate_flops  # noqa: E402
from fvcore.nn import FlopCountAnalysis  # noqa: E402
from ptflops import get_model_complexity_info  # noqa: E402
from thop import profile  # noqa: E402
from torch.utils._python_dispatch import TorchDispatchMode  # noqa: E402
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402
from torchinfo import summary  # noqa: E402

PARTS = ("emitted", "torchvision", "sizes", "ops", "strangers", "keras")
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
    "efficientnet_b2": "EfficientNetB2",
    "efficientnet_b3": "EfficientNetB3",
    "efficientnet_b4": "EfficientNetB4",
    "efficientnet_b5": "EfficientNetB5",
    "efficientnet_b6": "EfficientNetB6",
    "efficientnet_b7": "EfficientNetB7",
    "efficientnet_v2_s": "EfficientNetV2S",
    "efficientnet_v2_m": "EfficientNetV2M",
    "efficientnet_v2_l": "EfficientNetV2L",
    "nasnet_a_large": "NASNetLarge",
    "convnext_small": "ConvNeXtSmall",
    "convnext_base": "ConvNeXtBase",
    "convnext_large": "ConvNeXtLarge",
}
"""Keras' application by net."""
ALPHAS = {
    **{f"mobilenet_v1_{a}": ("MobileNet", a) for a in ("0_75", "0_5", "0_25")},
    **{f"mobilenet_v2_{a}": ("MobileNetV2", a) for a in ("0_35", "0_5", "0_75", "1_4")},
}
"""Keras' application by net, and its width."""
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


Found = dict[str, list[int]]
"""By counter what it prints of a module: the MACs (it may call them FLOPs), and the parameters if it counts them."""


def fvcore(model: nn.Module, inputs: list[Tensor]) -> list[int]:
    """Return its FLOPs."""
    return [int(FlopCountAnalysis(model, tuple(inputs)).unsupported_ops_warnings(False).total())]


def torchinfo(model: nn.Module, inputs: list[Tensor]) -> list[int]:
    """Return its mult-adds and parameters."""
    info = summary(model, input_data=inputs, verbose=0)
    return [int(info.total_mult_adds), int(info.total_params)]


def thop(model: nn.Module, inputs: list[Tensor]) -> list[int]:
    """Return its MACs and parameters."""
    return [int(number) for number in profile(model, tuple(inputs), verbose=False)]


def ptflops(model: nn.Module, inputs: list[Tensor], backend: str = "pytorch") -> list[int]:
    """Return the MACs and parameters that one of its backends counts."""
    names = list(signature(model.forward).parameters)

    def construct(_: Any) -> dict[str, Tensor]:
        return dict(zip(names, inputs, strict=False))

    macs, params = get_model_complexity_info(
        model,
        (1,),
        as_strings=False,
        print_per_layer_stat=False,
        input_constructor=construct,
        backend=backend,
    )
    return [int(macs), int(params)]


def flopcounter(model: nn.Module, inputs: list[Tensor]) -> list[int]:
    """Return its FLOPs."""
    with FlopCounterMode(display=False) as mode:
        model(*inputs)
    return [mode.get_total_flops()]


def calflops(model: nn.Module, inputs: list[Tensor]) -> list[int]:
    """Return its FLOPs, MACs and parameters; it finds the device by a parameter, so that there has to be one."""
    if not any(True for _ in model.parameters()):
        model.register_parameter("none", nn.Parameter(torch.zeros(0)))
    numbers = calculate_flops(model, args=list(inputs), print_results=False, output_as_string=False)
    return [int(number) for number in numbers]


COUNTERS = {
    "fvcore": fvcore,
    "torchinfo": torchinfo,
    "thop": thop,
    "ptflops": ptflops,
    "flopcounter": flopcounter,
    "calflops": calflops,
    "ptflops-aten": partial(ptflops, backend="aten"),  # the last, as it leaves its hooks
}


class Empty(TorchDispatchMode):
    """Products are not computed, and what they make is left empty: counters look at sizes alone.

    Their sizes are worked out here: kernels for the meta device are Python that counters would count, too.
    """

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run an op, or make the tensor that it would."""
        if func not in SIZES_OF:
            return func(*args, **kwargs or {})
        return torch.empty([int(size) for size in SIZES_OF[func](*args)])  # in a trace sizes are tensors


def convolved(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: list[int],
    padding: list[int],
    dilation: list[int],
    transposed: bool,
    output_padding: list[int],
    groups: int,
) -> list[int]:
    """Return the sizes of what a convolution makes."""
    sizes = [x.shape[0], weight.shape[1] * groups if transposed else weight.shape[0]]
    for n, k, s, p, d, o in zip(
        x.shape[2:], weight.shape[2:], stride, padding, dilation, output_padding, strict=True
    ):
        covered = d * (k - 1) + 1
        sizes.append((n - 1) * s - 2 * p + covered + o if transposed else (n + 2 * p - covered) // s + 1)
    return sizes


SIZES_OF = {
    torch.ops.aten.convolution.default: convolved,
    torch.ops.aten.addmm.default: lambda bias, a, b: (a.shape[0], b.shape[1]),
    torch.ops.aten.mm.default: lambda a, b: (a.shape[0], b.shape[1]),
    torch.ops.aten.bmm.default: lambda a, b: (*a.shape[:2], b.shape[2]),
}
"""By the op that makes products the sizes of what it makes."""


def count(model: nn.Module, inputs: list[Tensor]) -> Found:
    """Return what all counters print that can count the module."""
    model.eval()
    found: Found = {}
    for name, run in COUNTERS.items():
        try:
            with nullcontext() if name == "fvcore" else Empty():  # its trace has to have every step in it
                found[name] = run(model, inputs)
        except Exception as error:
            print(name, repr(error)[:200], file=sys.stderr, flush=True)
    return found


def rows(names: list[str]) -> Iterator[tuple[str, str, Found]]:
    """Yield by net what counters find in the emitted module, and in torchvision's."""
    for name in sorted(names, key=lambda name: net(name).cost().macs):
        known = net(name)
        models = {"emitted": partial(known.build, "torch")}
        other = REFERENCES.get(name)
        if other is not None and other.library == "torchvision":
            given = {k: v for k, v in other.arguments.items() if k != "image_size"}
            models["torchvision"] = partial(reference, other.name, **given)
        for part, make in models.items():
            yield part, name, count(make(), zeros(known))


def examples() -> dict[str, Found]:
    """Return what counters find in the examples of each op, by its name and the number of the example."""
    found = {}
    for name, op in catalogue().items():
        for number, example in enumerate(op.examples()):
            with suppress(NetError):  # no net of one op: its further inputs are others
                known = next(networks(example)) if example.inputs else None
                if known is not None:
                    found[f"{name} {number}"] = count(known.build("torch"), zeros(known))
    return found


def at_sizes() -> dict[str, Found]:
    """Return what counters find in nets at other sizes."""
    found = {}
    for name, *shape in SIZES:
        known = netdsl.load(name, inputs={"": shape})
        found[f"{name} {'x'.join(map(str, shape))}"] = count(known.build("torch"), zeros(known))
    return found


def of_strangers() -> dict[str, Found]:
    """Return what counters find in nets that the zoo has not."""
    return {name: count(stranger(name).build("torch"), zeros(stranger(name))) for name in STRANGERS}


def zeros(known: Network) -> list[Tensor]:
    """Return an input of a net for one sample."""
    return [torch.zeros(1, *shape) for shape in known.inputs.values()]


def keras_params() -> dict[str, int]:
    """Return what Keras counts of its applications."""
    import keras

    made = {name: getattr(keras.applications, theirs) for name, theirs in KERAS.items()}
    for name, (theirs, width) in ALPHAS.items():
        made[name] = partial(getattr(keras.applications, theirs), alpha=float(width.replace("_", ".")))
    return {name: make(weights=None).count_params() for name, make in made.items()}


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
    tools = ("torch", "torchvision", "fvcore", "thop", "ptflops", "torchinfo", "calflops", "keras")
    inside = {"ptflops-aten": "ptflops", "flopcounter": "torch"}
    data["versions"] = {tool: version(inside.get(tool, tool)) for tool in (*tools, *inside)}
    with redirect_stdout(io.StringIO()):
        for part, name, found in rows(names or list(NAMES)):
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

"""What papers, and their authors, print of nets of the zoo, and how it is counted here."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from netdsl import Network

ROWS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent / "reference/papers.json").read_text(encoding="utf-8")
)["rows"]


class Net(NamedTuple):
    """A net of the zoo, and what a row's number of it leaves out."""

    name: str
    params: Mapping[str, Any] = {}
    less: Callable[[Network, str], float] | None = None


def affine(net: Network, quantity: str) -> int:
    """Return the params of batch norms, which some papers do not count."""
    return net.cost_table("op")["bn"].params


def projections(net: Network, quantity: str) -> int:
    """Return what is in the shortcuts' 1x1, where the paper pads with zeros (option A)."""
    return sum(getattr(cost, quantity) for name, cost in net.layer_costs.items() if ".downsample." in name)


MEGVII = "megvii-model/ShuffleNet-Series README"

NETS: dict[str | tuple[str, str], Net] = {
    "ResNet-18": Net("resnet18", less=projections),
    "ResNet-34": Net("resnet34", less=projections),
    **{f"ResNet-{depth}": Net(f"resnet{depth}_v1") for depth in (50, 101, 152)},
    **{f"VGG-{column}": Net(f"vgg{depth}") for column, depth in zip("ABDE", (11, 13, 16, 19), strict=True)},
    "VGG-C": Net("vgg16_c"),
    "VGG-19": Net("vgg19"),
    "AlexNet (2 GPU towers = groups 2)": Net("alexnet_2012"),
    "AlexNet (2 towers)": Net("alexnet_2012"),
    "AlexNet (one tower)": Net("alexnet_one_tower"),
    "ZFNet (paper widths)": Net("zfnet"),
    "ZFNet-b (512-1024-512: the lecture notes)": Net("zfnet_big"),
    "ZFNet-b": Net("zfnet_big"),
    "GoogLeNet": Net("googlenet_2014"),
    "ResNeXt-50 32x4d": Net("resnext50_32x4d"),
    "ResNeXt-101 32x4d": Net("resnext101_32x4d"),
    "ResNeXt-101 64x4d": Net("resnext101_64x4d"),
    **{f"SE-ResNet-{depth}": Net(f"se_resnet{depth}") for depth in (50, 101, 152)},
    "SE-ResNeXt-50": Net("se_resnext50_32x4d"),
    "SENet-154": Net("senet154"),
    **{f"DenseNet-{depth}": Net(f"densenet{depth}") for depth in (121, 161, 169, 201, 264)},
    **{
        f"MobileNetV1 {width} {side}": Net(
            f"mobilenet_v1_{width.replace('.', '_')}", {"size": f"{side}x{side}"}
        )
        for width in ("1.0", "0.75", "0.5", "0.25")
        for side in (224, 192, 160, 128)
    },
    **{
        f"MobileNetV1 Table 2 {kind}": Net("mobilenet_v1_1_0")
        for kind in ("Conv 1x1", "Conv DW 3x3", "Conv 3x3", "Fully connected")
    },
    "MobileNetV2 1.0 224": Net("mobilenet_v2"),
    "MobileNetV2 1.0": Net("mobilenet_v2", less=affine),
    "MobileNetV2 1.4 224": Net("mobilenet_v2_1_4"),
    "MobileNetV3 large": Net("mobilenet_v3_large"),
    "MobileNetV3 small": Net("mobilenet_v3_small"),
    **{f"ShuffleNetV1 1x g={groups}": Net(f"shufflenet_v1_g{groups}") for groups in (1, 2, 3, 4, 8)},
    **{
        (f"ShuffleNetV1 {width} g={groups}", MEGVII): Net(f"shufflenet_v1_{ours}g{groups}", {"bias": False})
        for width, ours in (("0.5x", "x0_5_"), ("1x", ""), ("1.5x", "x1_5_"), ("2x", "x2_0_"))
        for groups in (3, 8)
    },
    **{
        f"ShuffleNetV2 x{width}": Net(f"shufflenet_v2_x{width.replace('.', '_')}")
        for width in ("0.5", "1.0", "1.5", "2.0")
    },
    "Inception V3": Net("inception_v3"),
    "Inception-v4": Net("inception_v4"),
    "Xception": Net("xception"),
    "NASNet-A mobile": Net("nasnet_a_mobile"),
    "NASNet-A mobile 4@1056": Net("nasnet_a_mobile"),
    "NASNet-A large": Net("nasnet_a_large"),
    "NASNet-A large 6@4032": Net("nasnet_a_large"),
    **{f"EfficientNet-B{size}": Net(f"efficientnet_b{size}") for size in range(8)},
    "EfficientNet-B2": Net("efficientnet_b2", {"size": "260x260"}),  # torchvision's weights are for 288x288
}
"""By a row's model; by its model and source, where authors count another net than the others."""

ELSEWHERE = {
    f"GoogLeNet {stage}": "googlenet_2014"
    for stage in (
        "conv7x7/2",
        "conv3x3(+reduce)",
        *(f"inception {name}" for name in ("3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b")),
        "linear",
    )
}
"""Parts of nets, by model; test_googlenet_2014.py holds them to the rows."""

NOT_COVERED = {
    "ResNeXt 1x complexity": "widths of one block that cost the same, not a net",
    "SENet (NASNet Table 2, 320x320)": "another SENet, which the paper does not describe",
    "Inception V2 (BN-Inception)": "not in the zoo",
    "Inception V3 (Keras-era, Chollet)": "Keras's, which no description gives",
    "Inception-ResNet-v2": "not in the zoo",
    "NASNet-A 5@1538": "its configuration was never published",
    "NASNet-A 7@1920": "its configuration was never published",
}
"""Models that no net of the zoo is, and why."""


def key(row: dict[str, Any]) -> str | tuple[str, str]:
    """Return the key of a row's net."""
    own = row["model"], row["source"]
    return own if own in NETS else row["model"]


COVERED = [row for row in ROWS if key(row) in NETS]

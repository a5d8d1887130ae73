"""Models that nobody here wrote, under the names of the nets that are promised to equal them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from conftest import import_torchvision
from torch import Tensor, nn
from torch_oracles import reference as torchvision_model


class Reference(NamedTuple):
    """A model of another library, and how near a net comes to it."""

    library: str
    """torchvision or timm."""
    name: str
    side: int = 64
    """The side of a small input that it takes, for outputs and gradients."""
    arguments: Mapping[str, Any] = {}
    """What the model is made with to take an input of that side, and in the form that the spec has."""
    same_keys: bool = True
    """Whether the keys of the state are equal; else their order and shapes are."""
    reason: str = ""
    """Why its keys have other names."""


def _torchvision(*names: str, side: int = 64, **rest: Any) -> dict[str, Reference]:
    return {name: Reference("torchvision", name, side, **rest) for name in names}


REGNETS = ("400mf", "800mf", "1_6gf", "3_2gf", "8gf", "16gf", "32gf")

REFERENCES: dict[str, Reference] = {
    **_torchvision("alexnet"),
    **_torchvision(*(f"vgg{depth}{bn}" for depth in (11, 13, 16, 19) for bn in ("", "_bn")), side=32),
    **_torchvision(*(f"resnet{depth}" for depth in (18, 34, 50, 101, 152)), side=32),
    **_torchvision("resnext50_32x4d", "resnext101_32x8d", "resnext101_64x4d", side=32),
    **_torchvision("wide_resnet50_2", "wide_resnet101_2", side=32),
    **_torchvision("googlenet", arguments={"init_weights": False}),
    **_torchvision("inception_v3", side=299, arguments={"init_weights": False}),
    "inception_v4": Reference("timm", "inception_v4", 75, {"drop_rate": 0.2}),
    "xception": Reference("timm", "legacy_xception"),
    "darknet53": Reference("timm", "darknet53"),
    **{f"repvgg_{size}": Reference("timm", f"repvgg_{size}") for size in ("a0", "a1", "a2", "b0")},
    "mobilevit_s": Reference("timm", "mobilevit_s"),
    **{
        name: Reference("timm", name, 56)
        for name in ("convmixer_1536_20", "convmixer_1024_20_ks9_p14", "convmixer_768_32")
    },
    **{
        f"poolformer_{size}": Reference("timm", f"poolformer_{size}")
        for size in ("s12", "s24", "s36", "m36", "m48")
    },
    **{
        f"mixer_{size}{patch}_224": Reference(
            "timm", f"mixer_{size}{patch}_224", 2 * patch, arguments={"img_size": 2 * patch}
        )
        for size in "sb"
        for patch in (32, 16)
    },
    "ghostnet_100": Reference("timm", "ghostnet_100"),
    **{name: Reference("timm", name) for name in ("dla34", "dla60", "dla102")},
    **{name: Reference("timm", name) for name in ("selecsls42b", "selecsls60", "selecsls60b")},
    **{name: Reference("timm", name) for name in ("dpn68", "dpn68b", "dpn92", "dpn98", "dpn131")},
    "inception_resnet_v2": Reference("timm", "inception_resnet_v2", 96, {"drop_rate": 0.2}),
    **{
        name: Reference("timm", name)
        for name in ("res2net50_26w_4s", "res2net50_48w_2s", "res2net50_14w_8s", "res2next50")
    },
    **{name: Reference("timm", name) for name in ("vovnet39a", "ese_vovnet19b_dw", "ese_vovnet39b")},
    **{f"resnet{depth}d": Reference("timm", f"resnet{depth}d") for depth in (26, 50)},
    "nasnet_a_large": Reference("timm", "nasnetalarge", 32, {"drop_rate": 0.5}),
    "resnext101_32x4d": Reference("timm", "resnext101_32x4d", 32),
    **{
        zoo: Reference("timm", f"legacy_{theirs}", 32, arguments={"drop_rate": 0.2 if "154" in zoo else 0.0})
        for zoo, theirs in (
            ("se_resnet50", "seresnet50"),
            ("se_resnet101", "seresnet101"),
            ("se_resnet152", "seresnet152"),
            ("se_resnext50_32x4d", "seresnext50_32x4d"),
            ("se_resnext101_32x4d", "seresnext101_32x4d"),
            ("senet154", "senet154"),
        )
    },
    **_torchvision(*(f"densenet{depth}" for depth in (121, 161, 169, 201)), side=32),
    "mobilenet_v1_1_0": Reference(
        "timm",
        "mobilenetv1_100",
        32,
        arguments={"act_layer": "relu"},
        same_keys=False,
        reason="timm has the names of its EfficientNet",
    ),
    **_torchvision("mnasnet0_5", "mnasnet0_75", "mnasnet1_0", "mnasnet1_3", side=32),
    **_torchvision("mobilenet_v2", "mobilenet_v3_large", "mobilenet_v3_small", side=32),
    **{
        f"mobilenet_v2_{str(width).replace('.', '_')}": Reference(
            "torchvision", "mobilenet_v2", 32, arguments={"width_mult": width}
        )
        for width in (1.4, 0.75, 0.5, 0.35)
    },
    **{
        f"mobilenet_v3_{size}_0_75": Reference(
            "torchvision", f"mobilenet_v3_{size}", 32, arguments={"width_mult": 0.75}
        )
        for size in ("large", "small")
    },
    **_torchvision(*(f"shufflenet_v2_x{width}" for width in ("0_5", "1_0", "1_5", "2_0")), side=32),
    **_torchvision("squeezenet1_0", "squeezenet1_1", side=32),
    **_torchvision(*(f"regnet_x_{size}" for size in REGNETS), side=32),
    **_torchvision(*(f"regnet_y_{size}" for size in (*REGNETS, "128gf")), side=32),
    **_torchvision(*(f"efficientnet_b{size}" for size in range(8)), side=32),
    **_torchvision(*(f"efficientnet_v2_{size}" for size in "sml"), side=32),
    **_torchvision(*(f"convnext_{size}" for size in ("tiny", "small", "base", "large")), side=32),
    **_torchvision(*(f"swin{version}_{size}" for version in ("", "_v2") for size in "tsb")),
    **_torchvision("maxvit_t", side=224),
    **_torchvision("fcn_resnet50", "fcn_resnet101", arguments={"aux_loss": True}),
    **_torchvision("deeplabv3_resnet50", "deeplabv3_resnet101", arguments={"aux_loss": True}),
    **_torchvision("deeplabv3_mobilenet_v3_large", arguments={"aux_loss": True}),
    **_torchvision("lraspp_mobilenet_v3_large"),
    **{
        name: Reference("torchvision", name, 2 * patch, arguments={"image_size": 2 * patch})
        for name, patch in (
            ("vit_b_16", 16),
            ("vit_b_32", 32),
            ("vit_l_16", 16),
            ("vit_l_32", 32),
            ("vit_h_14", 14),
        )
    },
    **{name: Reference("timm", name, 32) for name in ("hrnet_w18", "hrnet_w32", "hrnet_w48")},
}
"""By net."""


def make(reference: Reference, device: str = "cpu", **arguments: Any) -> nn.Module:
    """Return a reference's model; on the CPU with random numbers in every tensor of its state."""
    arguments = {**reference.arguments, **arguments}
    if reference.library == "torchvision":
        model = torchvision_model(reference.name, "meta", **arguments)
    else:
        import_torchvision()  # timm imports it
        import timm

        timm.layers.set_fused_attn(False)  # a kernel of its own, whose numbers differ in the last bits
        with torch.device("meta"):
            model = timm.create_model(reference.name, **arguments)
    return model if device == "meta" else randomised(model)


def randomised(model: nn.Module, seed: int = 0) -> nn.Module:
    """Put numbers into a model without any, so that no norm is the identity and no output vanishes or overflows.

    A library's own initialisation may take minutes, and leaves statistics at 0 and 1.
    """
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(1 << 20, generator=generator)
    model.to_empty(device="cpu")
    with torch.no_grad():
        for number, (name, tensor) in enumerate(model.state_dict().items()):
            if not tensor.is_floating_point():
                tensor.zero_()
                continue
            repeats = -(-tensor.numel() // noise.numel())
            own = noise.roll(number * 7919).repeat(repeats)[: tensor.numel()].view(tensor.shape)
            tensor.copy_(scaled(name, own))
    return model


def scaled(name: str, noise: Tensor) -> Tensor:
    """Return numbers of the size that a tensor of that name and shape usually has."""
    if name.endswith("running_var"):
        return 1 + 0.4 * noise.tanh()
    if noise.dim() < 2:
        return 1 + 0.4 * noise.tanh() if name.endswith("weight") else 0.2 * noise
    fan_in = noise[0].numel()
    return noise / fan_in**0.5

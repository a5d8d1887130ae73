"""A net on several devices, each with its share of the channels: what two processes make is what one makes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import numpy as np
import processes
import pytest
import torch
from op_examples import expected
from reference_ops import Array
from torch import Tensor, nn

import netdsl
from netdsl import NetError, Network, cli
from netdsl.backend import TowersBackend, find
from netdsl.ir.types import Shape
from netdsl.ops import Example, Op, catalogue
from netdsl.report.towers import render_text
from netdsl.transforms.towers import Towers

SCRIPT = Path(__file__).with_name("one_tower.py")
EVERY = """
block Gate(c):
    gap -> fc 6 -> relu -> fc c -> sigmoid

net Every:
    input a: 3, 17x15
    input b: 3, 17x15
    from a, b -> add
    stem: conv 3x3, 12 -> gn 6 -> silu
    down: dwconv 3x3, /2, multiplier=2, bias=false -> bn -> prelu shared=false
    grouped: conv 3x3, 24, groups=6, bias=false -> lrn 3, groups=3
    wide = from flow
    mul:
        from wide
        gate: Gate 24
    add:
        identity
        mix: conv 1x1, 24, bias=false -> instance_norm affine=true
    output low: avgpool to=2x3 -> flatten -> fc 6
    up: upconv 2x2, 12, /2
    upsample 2
    conv 3x3, 6 as last
    softmax axis="c"
"""


def write(plan: Towers, folder: Path) -> None:
    """Write the modules of a plan."""
    for name, text in cast(TowersBackend, find("torch")).towers(plan).items():
        (folder / name).write_text(text)


def whole(model: nn.Module, inputs: list[Tensor], weights: list[Tensor]) -> list[Tensor]:
    """Take a step on one device, and return the outputs."""
    for layer in model.modules():
        if isinstance(layer, nn.Dropout):
            layer.p = 0.0
    made: Any = model(*inputs)
    outputs = [made] if isinstance(made, Tensor) else list(made)
    torch.stack([(y * w).sum() for y, w in zip(outputs, weights, strict=True)]).sum().backward()
    return outputs


def side_by_side(shares: list[Tensor], like: Tensor) -> Tensor:
    """Return the tensor of which some devices have a share each, or all the same."""
    axes = [axis for axis in range(like.dim()) if shares[0].shape[axis] != like.shape[axis]]
    if axes:
        return torch.cat(shares, axes[0])
    assert all(torch.equal(share, shares[0]) for share in shares)
    return shares[0]


def apart(found: Tensor, wanted: Tensor) -> float:
    """Return how far two tensors are apart, by the largest number of the one that is right."""
    with torch.no_grad():
        return float((found - wanted).abs().max() / wanted.abs().max().clamp_min(1e-300))


@pytest.fixture(scope="module")
def step(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return what takes a step of a net on so many devices, and on one: how far apart, what was counted, the plan."""

    def taken(
        net: Network, devices: int, batch: int
    ) -> tuple[dict[str, float], list[dict[str, int]], Towers]:
        folder = tmp_path_factory.mktemp(net.name)
        plan = net.towers(devices)
        write(plan, folder)
        torch.manual_seed(0)
        model = net.build("torch").train()
        for norm in model.modules():
            if isinstance(norm, nn.BatchNorm2d):
                norm.running_mean.uniform_(-1, 1)
        state = {key: tensor.clone() for key, tensor in model.state_dict().items()}
        model.double()
        inputs = [torch.randn(batch, *shape, dtype=torch.float64) for shape in net.inputs.values()]
        weights = [torch.randn(batch, *shape, dtype=torch.float64) for shape in net.outputs.values()]
        given = {"inputs": inputs, "weights": weights, "state": state}
        torch.save({**given, "class": f"{net.class_name}Towers"}, folder / "given.pt")
        printed = processes.run(devices, SCRIPT, str(folder), net.name)
        found = [torch.load(folder / f"found{rank}.pt") for rank in range(devices)]
        outputs = whole(model, inputs, weights)

        far = {}
        for rank in range(devices):
            for name, one, wanted in zip(net.outputs, found[rank]["outputs"], outputs, strict=True):
                far[f"output {name} of {rank}"] = apart(one, wanted)
        gradients = {key: parameter.grad for key, parameter in model.named_parameters()}
        for kind, wanted_by_key in (("gradients", gradients), ("state", model.state_dict())):
            assert {*found[0][kind]} == {*wanted_by_key}
            for key, wanted in wanted_by_key.items():
                one = side_by_side([each[kind][key] for each in found], wanted)
                far[f"{kind} {key}"] = apart(one.double(), wanted.double())
        return far, [json.loads(text) for text in printed], plan

    return taken


@pytest.mark.parametrize(
    ("spec", "devices", "batch"),
    [
        ("alexnet_2012", 2, 2),
        ("resnet18", 2, 3),
        (EVERY, 2, 2),
        (EVERY, 3, 2),
    ],
    ids=["alexnet_2012", "resnet18", "every", "every-3"],
)
def test_outputs_gradients_and_statistics_are_those_of_one_device(
    step: Any, spec: str, devices: int, batch: int
) -> None:
    inputs = {"": (3, 64, 48)} if spec == "resnet18" else {}
    net = netdsl.loads(spec) if "\n" in spec else netdsl.load(spec, inputs=inputs)
    far, counted, plan = step(net, devices, batch)
    assert {what: far for what, far in far.items() if far > 1e-12} == {}
    assert [one["received"] for one in counted] == [plan.exchanged(batch, "float64")] * devices
    if spec == "alexnet_2012":
        assert [one["kept"] for one in counted] == [plan.memory(batch, "float64").saved] * devices


def test_each_half_of_alexnet_is_trained_in_its_3_gb() -> None:
    plan = netdsl.load("alexnet_2012").towers(2)
    own, whole = (
        plan.memory(128, optimizer="momentum"),
        plan.net.memory(128, train=True, optimizer="momentum"),
    )
    assert own.peak < 3 * 10**9
    assert 2 * own.weights == whole.weights
    assert whole.peak / 2 < own.peak < whole.peak
    printed = render_text(plan, 128, "float32", "momentum", 3 * 10**9)
    assert "1.31GB on each device (121.93MB weights, 121.93MB gradients, 121.93MB momentum" in printed
    assert "it fits 3GB a device" in printed
    # where the paper's two GPUs talk: before conv3, the three fully connected layers, and for the loss
    assert [held.value.node for held in plan.exchanges] == [
        "features.7",
        "classifier.0",
        "classifier.3",
        "classifier.5",
        "classifier.6",
    ]


@pytest.mark.parametrize(
    ("body", "devices", "what", "at"),
    [
        ("conv 3x3, 9", 2, "conv1 (conv) makes 9 channels, which 2 devices cannot share", "conv 3x3, 9"),
        ("conv 3x3, 8 -> ln", 2, "ln1 (ln) cannot be shared", "ln"),
        ("conv 3x3, 8 -> shuffle 2 -> conv 3x3, 8, groups=4", 2, "conv2 (conv) cannot be shared", "groups=4"),
        ("conv 3x3, 12 -> conv 3x3, 12, groups=3", 2, "conv2 (conv) cannot be shared", "groups=3"),
        ("conv 3x3, 12 -> gn 3", 2, "gn1 (gn) cannot be shared", "gn 3"),
        ("conv 3x3, 8 -> prelu", 2, "prelu1 (prelu) cannot be shared", "prelu"),
        ("bn -> conv 3x3, 8", 2, "bn1 (bn) cannot be shared", "bn"),
        ("dropout -> conv 3x3, 8", 2, "each device would draw other numbers", "dropout"),
        ("conv 3x3, 8 -> droppath 0.5 -> conv 3x3, 8", 2, "each device would draw other numbers", "droppath"),
        ("conv 3x3, 8\n    train output aux: conv 3x3, 8", 2, "is there in training only", "conv 3x3, 8"),
        ("relu", 2, "has no layer whose channels could be shared", ""),
        ("conv 3x3, 8", 1, "towers must be an int from 2 to 64, got 1", ""),
    ],
)
def test_what_cannot_be_shared_is_said_where_it_stands(body: str, devices: int, what: str, at: str) -> None:
    chain = body.replace(" -> ", "\n    ")
    counts: dict[str, int] = {}
    lines = []
    for line in chain.split("\n    "):
        op = line.split()[0]
        counts[op] = counts.get(op, 0) + 1
        lines.append(line if op == "train" else f"{op}{counts[op]}: {line}")
    net = netdsl.loads("net N:\n    input 4, 8x8\n    " + "\n    ".join(lines) + "\n")
    with pytest.raises(NetError) as caught:
        net.towers(devices)
    (found,) = caught.value.diagnostics
    assert what in found.message
    assert (found.span is not None and at in found.span.text) if at else found.span is None


def share_is_right(op: Op, inputs: tuple[Shape, ...], devices: int, own: bool) -> bool:
    """Tell whether an op can be shared; what devices make has to be what is made of all channels, by numpy."""
    parts = [x.with_size("c", x.c // devices) if own else x for x in inputs]
    share = op.share(devices, [own] * len(inputs), *inputs)
    outputs = op.outputs(*inputs)
    if share is None or any(y.c % devices for y in outputs):
        return False
    random = np.random.default_rng(0)
    values = [random.standard_normal((2, *x)) for x in inputs]
    held = {**op.weights(*inputs), **op.buffers(*inputs)}
    mine = {**share.weights(*parts), **share.buffers(*parts)}
    state = {key: random.uniform(0.5, 1.5, sizes) for key, sizes in held.items()}
    state |= {key: np.asarray(op.spare(*inputs)[key], float).reshape(held[key]) for key in op.spare(*inputs)}
    wanted = expected(Example(op, inputs), values, state)
    found = []
    for rank in range(devices):
        axes = [x.axes.index("c") + 1 for x in inputs]
        given = [rows(x, devices, rank, axis) if own else x for x, axis in zip(values, axes, strict=True)]
        own_state = {}
        for key, whole in state.items():
            axis = [at for at, size in enumerate(mine[key]) if size != whole.shape[at]]
            own_state[key] = rows(whole, devices, rank, axis[0]) if axis else whole
            assert own_state[key].shape == tuple(mine[key])
        found.append(expected(Example(share, tuple(parts)), given, own_state))
    for port, y in enumerate(outputs):
        together = np.concatenate([each[port] for each in found], y.axes.index("c") + 1)
        np.testing.assert_allclose(together, wanted[port], rtol=1e-12, atol=1e-12, err_msg=op.name)
    return True


def rows(x: Array, devices: int, rank: int, axis: int) -> Array:
    """Return a device's share of an array."""
    return np.split(x, devices, axis)[rank]


def test_shares_of_ops_make_what_ops_make_of_all_channels() -> None:
    shared = set()
    for name, op in catalogue().items():
        for example in op.examples():
            for devices, own in ((2, True), (2, False), (3, True), (3, False), (7, True)):
                divided = not own or all("c" in x.axes and x.c % devices == 0 for x in example.inputs)
                if divided and example.inputs and share_is_right(example.op, example.inputs, devices, own):
                    shared.add(name)
    assert {
        "conv",
        "dwconv",
        "upconv",
        "stdconv",
        "fc",
        "bn",
        "gn",
        "instance_norm",
        "lrn",
        "add",
        "mul",
    } <= shared
    assert {
        "relu",
        "maxpool",
        "avgpool",
        "gap",
        "flatten",
        "dropout",
        "upsample",
        "prelu",
        "blurpool",
    } <= shared
    assert not {"ln", "rms_norm", "shuffle", "concat", "glu", "softmax", "attention", "weight"} & shared


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    size = "--batch 128 --optimizer momentum --memory 3GB".split()
    command = ["split", "alexnet_2012", "--towers", "2", *size]
    assert cli.main([*command, "-o", str(tmp_path / "towers")]) == 0
    printed = capsys.readouterr()
    assert "it fits 3GB a device" in printed.out
    names = sorted(file.name for file in (tmp_path / "towers").iterdir())
    stages = [f"alexnet_2012_stage{n}.{end}" for n in range(1, 6) for end in ("net", "py")]
    assert names == [*stages, "alexnet_2012_towers.py"]
    written = (tmp_path / "towers" / "alexnet_2012_stage2.py").read_text()
    assert "netdsl compile alexnet_2012_stage2.net:alexnet_2012_stage2 --backend torch" in written
    spec = netdsl.load(f"{tmp_path}/towers/alexnet_2012_stage2.net")
    assert spec.emit("torch") == written
    for wrong in ("--micro-batches 2", "--schedule gpipe", "--device a100", "--format json"):
        assert cli.main([*command, *wrong.split()]) == 2
        assert "is of the parts of a pipeline, not of towers" in capsys.readouterr().err
    assert cli.main([*command, "--parts", "2"]) == 2
    assert cli.main(["split", "vit_b_16", "--towers", "2"]) == 1
    assert "error[E574]" in capsys.readouterr().err

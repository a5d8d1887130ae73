"""A net on several devices, each with its share of the channels: what two processes make is what one makes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import jsonschema
import numpy as np
import processes
import pytest
import torch
from op_examples import expected
from reference_ops import Array
from torch import Tensor, nn

import netdsl
import netdsl.api
from netdsl import NetError, Network, cli
from netdsl.backend import TowersBackend, find
from netdsl.ir.types import Shape
from netdsl.ops import Example, Op, catalogue
from netdsl.report.towers import render_text
from netdsl.transforms.towers import Towers

ROOT = Path(netdsl.__file__).parents[1]
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


MIXED = """
block Tail(c):
    conv 3x3, c, bias=false -> bn -> relu

net Mixed:
    input 3, 19x14
    stem: Tail 12
    concat:
        identity
        grow: Tail 6
    norm: bn -> dropout 0.3
    deep: dwconv 3x3, /2
    droppath 0.2
    prelu as slope
    rows = from flow
    left, right = from rows -> split [12, 6]
    concat:
        from right -> relu
        from left
    shuffle 3
    mixed: dwconv 3x3, bias=false -> gn 6
    add:
        identity
        from rows
    train output aux: from rows -> gap -> fc 5
    odd: conv 3x3, 7, bias=false -> bn -> dropout
    wide: conv 1x1, 12 -> permute 1, 2, 0 -> ln -> fc 18 -> gelu
        -> fc 12 -> permute 2, 0, 1
    weight gamma [12, 1, 1], init=constant(0.5)
    from gamma, wide -> mul
    tokens
    permute 1, 0
    tokenwise: fc 35
    gelu
    permute 1, 0
    ln as last -> attention 3, dropout=0.1 as heads
    mean "n"
    output low: fc 6
    softmax axis="c"
"""
"""Everything that a share can meet: joined, parted and shuffled channels, what draws, what cannot be divided."""

DROPS = """
net Drops:
    input 4, 9x7
    conv: conv 1x1, 6
    drop: droppath 0.5
    output paths: from drop -> identity
    output channels: from conv -> dropout
    odd: from conv -> conv 3x3, 5
    dropout
"""
"""What draws for whole samples, of a share, and of what all devices have."""
LEARNED_TWICE = """
net N:
    input 4, 8x8
    weight gamma [8, 1, 1]
    one: conv 3x3, 8
    from gamma, one -> mul
    two: conv 3x3, 8
    from gamma, two -> mul
"""


def write(plan: Towers, folder: Path) -> None:
    """Write the modules of a plan."""
    for name, text in cast(TowersBackend, find("torch")).towers(plan).items():
        (folder / name).write_text(text)


def undropped(model: nn.Module) -> nn.Module:
    """Let a model draw nothing."""
    for layer in model.modules():
        if isinstance(layer, nn.Dropout):
            layer.p = 0.0
        if isinstance(layer, nn.MultiheadAttention):
            layer.dropout = 0.0
    return model


def outputs_of(made: Any) -> list[Tensor]:
    """Return what a model made, one or several, but for what is there in training only."""
    return [made] if isinstance(made, Tensor) else [y for y in made if y is not None]


def whole(model: nn.Module, inputs: list[Tensor], weights: list[Tensor]) -> list[Tensor]:
    """Take a step on one device, and return the outputs."""
    outputs = outputs_of(undropped(model)(*inputs))
    torch.stack([(y * w).sum() for y, w in zip(outputs, weights, strict=True)]).sum().backward()
    return outputs


def share_of(whole: Tensor, like: Tensor, runs: tuple[int, ...], rank: int) -> Tensor:
    """Return the part that a device has to have of a tensor."""
    axes = [axis for axis in range(like.dim()) if like.shape[axis] != whole.shape[axis]]
    if not axes:
        return whole
    (axis,) = axes
    devices = whole.shape[axis] // like.shape[axis]
    places = torch.arange(whole.shape[axis]).split(runs or whole.shape[axis])
    own = [run.reshape(devices, -1)[rank] for run in places]
    return whole.index_select(axis, torch.cat(own))


def apart(found: Tensor, wanted: Tensor, least: float = 1e-300) -> float:
    """Return how far two tensors are apart, by the largest number of the one that is right, but by no less."""
    with torch.no_grad():
        return float((found - wanted).abs().max() / wanted.abs().max().clamp_min(least))


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
        for name, tensor in model.state_dict().items():
            if name.endswith("running_mean"):
                tensor.uniform_(-1, 1)
            elif tensor.dim() == 1 and tensor.is_floating_point():  # no bias is 0, no scale is 1
                tensor.add_(0.1 * torch.rand_like(tensor))
        state = {key: tensor.clone() for key, tensor in model.state_dict().items()}
        model.double()
        inputs = [torch.randn(batch, *shape, dtype=torch.float64) for shape in net.inputs.values()]
        names = [result.name for result in plan.results]
        weights = [torch.randn(batch, *net.outputs[name], dtype=torch.float64) for name in names]
        given = {"inputs": inputs, "weights": weights, "state": state}
        torch.save({**given, "class": f"{net.class_name}Towers"}, folder / "given.pt")
        printed = processes.run(devices, SCRIPT, str(folder), net.name)
        found = [torch.load(folder / f"found{rank}.pt") for rank in range(devices)]
        with torch.no_grad():
            evaluated = outputs_of(model.eval()(*inputs))
        order = sorted(net.graph.outputs, key=lambda output: output.train)
        assert [output.name for output in order] == names
        outputs = whole(model.train(), inputs, [weights[names.index(name)] for name in net.outputs])
        outputs = [outputs[[*net.outputs].index(name)] for name in names]

        far = {}
        for rank, each in enumerate(found):
            for kind, wanted_ones in (("outputs", outputs), ("evaluated", evaluated)):
                for at, (one, wanted) in enumerate(zip(each[kind], wanted_ones, strict=True)):
                    far[f"{kind} {names[at]} of {rank}"] = apart(one, wanted)
            assert {*each["whole"]} == {*model.state_dict()}
            for key, wanted in model.state_dict().items():
                far[f"whole {key} of {rank}"] = apart(each["whole"][key].double(), wanted.double())
            gradients = {key: parameter.grad for key, parameter in model.named_parameters()}
            largest = max(float(gradient.abs().max()) for gradient in gradients.values())
            for kind, wanted_by_key in (("gradients", gradients), ("state", model.state_dict())):
                assert {*each[kind]} == {*wanted_by_key}
                for key, wanted in wanted_by_key.items():
                    one = each[kind][key]
                    own = share_of(wanted, one, plan.rows.get(key.rpartition(".")[0], ()), rank)
                    assert one.shape == own.shape
                    least = 1e-3 * largest if kind == "gradients" else 1e-300  # one before a norm is 0
                    far[f"{kind} {key} of {rank}"] = apart(one.double(), own.double(), least)
        return far, [json.loads(text) for text in printed], plan

    return taken


@pytest.mark.parametrize(
    ("spec", "devices", "batch"),
    [
        ("alexnet_2012", 2, 2),
        ("resnet18", 2, 3),
        ("googlenet", 2, 3),
        ("shufflenet_v2_x0_5", 2, 3),
        (EVERY, 2, 2),
        (EVERY, 3, 1),
        (MIXED, 2, 3),
        (MIXED, 3, 2),
    ],
    ids=["alexnet_2012", "resnet18", "googlenet", "shufflenet", "every", "every-3", "mixed", "mixed-3"],
)
def test_outputs_gradients_and_statistics_are_those_of_one_device(
    step: Any, spec: str, devices: int, batch: int
) -> None:
    inputs = {} if spec == "alexnet_2012" else {"": (3, 75, 50)}
    net = netdsl.loads(spec) if "\n" in spec else netdsl.load(spec, inputs=inputs)
    far, counted, plan = step(net, devices, batch)
    assert {what: far for what, far in far.items() if far > 1e-12} == {}
    assert [one["received"] for one in counted] == [plan.exchanged(batch, "float64")] * devices
    memory = plan.memory(batch, "float64")
    assert [one["kept"] for one in counted] == [memory.saved] * devices
    assert (
        min(one["peak"] for one in counted) == memory.peak
    )  # gloo lets go of what was sent when it comes to it


def test_devices_drop_whole_samples_alike_and_channels_each_by_itself(tmp_path: Path) -> None:
    net = netdsl.loads(DROPS)
    write(net.towers(2), tmp_path)
    state, x = net.build("torch").state_dict(), torch.ones(8, 4, 9, 7, dtype=torch.float64)
    given = {"inputs": [x], "weights": [], "state": state, "class": "DropsTowers"}
    torch.save(given, tmp_path / "given.pt")
    processes.run(2, SCRIPT, str(tmp_path), net.name, "draws")
    found = [torch.load(tmp_path / f"drawn{rank}.pt") for rank in range(2)]
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))  # each device returns the same
    wholes, paths, channels = ((y != 0).flatten(2) for y in found[0])
    alive = paths.any(2).any(1)
    assert 0 < alive.sum() < 8
    assert paths.any(2)[alive].all()  # a sample has all of its channels, those of both devices, or none
    kept = channels.double().mean(2)
    assert 0.3 < kept.mean() < 0.7
    halves = channels.chunk(2, 1)
    assert not torch.equal(*halves)  # the devices drop of what they have each by itself
    assert 0.3 < wholes.double().mean() < 0.7


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


FIRST = {file: name for name, file in reversed(netdsl.api.zoo_names().items())}
"""By file of the zoo its first net."""


@pytest.mark.parametrize("name", FIRST.values(), ids=FIRST)
def test_every_family_of_the_zoo_can_be_in_two_towers(name: str) -> None:
    try:
        net = netdsl.load(name)
    except NetError as error:
        pytest.skip(error.diagnostics[0].message)  # a search space is no net yet
    plan = net.towers(2)
    found = [node for stage in plan.stages for node in stage.graph if node.name in net.graph]
    assert {node.name for node in found} >= {*net.graph.nodes} - {*net.graph.inputs.values()}
    learned = [node for node in net.graph if not node.module and node.op.weights(*net.inputs_of(node.name))]
    assert len(plan.whole) < len(learned)


@pytest.mark.parametrize(
    ("body", "devices", "whole"),
    [
        ("conv 3x3, 8 -> conv 3x3, 9", 2, "conv2"),
        ("conv 3x3, 8 -> ln", 2, "ln1"),
        ("conv 3x3, 12 -> conv 3x3, 12, groups=3", 2, "conv2"),
        ("conv 3x3, 12 -> gn 3", 2, "gn1"),
        ("conv 3x3, 8 -> prelu", 2, "prelu1"),
        ("conv 3x3, 8 -> shuffle 2 -> conv 3x3, 8, groups=4", 2, ""),
        ("bn -> conv 3x3, 8", 2, ""),
        ("conv 3x3, 12 -> gn 6", 3, ""),
    ],
)
def test_what_cannot_be_divided_each_device_has(body: str, devices: int, whole: str) -> None:
    assert netdsl.loads(chain(body)).towers(devices).whole == ((whole,) if whole else ())


def chain(body: str) -> str:
    """Return a net of layers one after the other, each called after its op."""
    counts: dict[str, int] = {}
    lines = []
    for line in body.split(" -> "):
        op = line.split()[0]
        counts[op] = counts.get(op, 0) + 1
        lines.append(f"{op}{counts[op]}: {line}")
    return "net N:\n    input 4, 8x8\n    " + "\n    ".join(lines) + "\n"


@pytest.mark.parametrize(
    ("text", "devices", "what", "at"),
    [
        (chain("relu"), 2, "has no layer whose channels could be shared", ""),
        (chain("conv 3x3, 9"), 2, "has no layer whose channels could be shared", ""),
        (chain("conv 3x3, 8"), 1, "towers must be an int from 2 to 64, got 1", ""),
        (
            "net N:\n    input 8, 8x8\n    head: conv 3x3, 8\n    same head\n",
            2,
            "is head again, but not with the same channels in one stage",
            "conv 3x3, 8",
        ),
        (
            LEARNED_TWICE,
            2,
            "gamma (weight) has no samples, and is read in two stages",
            "mul",
        ),
    ],
)
def test_what_cannot_be_shared_is_said_where_it_stands(text: str, devices: int, what: str, at: str) -> None:
    with pytest.raises(NetError) as caught:
        netdsl.loads(text).towers(devices)
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
    assert cli.main([*command, "--format", "json", "-q"]) == 0
    value = json.loads(capsys.readouterr().out)
    schema = json.loads((ROOT / "docs" / "schema" / "towers.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(value, schema)
    assert value["memory"]["peak"] < value["limit"] < 2 * value["memory"]["peak"] + 10**9
    forward = [received["bytes"] for stage in value["stages"] for received in stage["receives"]]
    assert value["sent"] == 2 * sum(forward) + sum(result["bytes"] for result in value["results"])
    for wrong in ("--micro-batches 2", "--schedule gpipe", "--device a100"):
        assert cli.main([*command, *wrong.split()]) == 2
        assert "is of the parts of a pipeline, not of towers" in capsys.readouterr().err
    assert cli.main([*command, "--parts", "2"]) == 2
    small = tmp_path / "small.net"
    small.write_text("net Small:\n    input 3, 8x8\n    conv 3x3, 9\n")
    assert cli.main(["split", str(small), "--towers", "2"]) == 1
    assert "error[E574]" in capsys.readouterr().err

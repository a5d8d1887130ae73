"""The roofline model: by hand, against published intensities, and against the tensors that torch's layers read."""

from __future__ import annotations

import csv
import io
import json
import shlex
from math import prod
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import torch
from strangers import NAMES as STRANGERS
from strangers import stranger
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten
from torch_oracles import build, inputs, spec_of, tensors

import netdsl
from netdsl import NetError, Network, api, cli
from netdsl.backend import batchless
from netdsl.cost.table import GROUPINGS
from netdsl.hardware import Device, estimate, find, names
from netdsl.hardware.device import NUMBERS, VARIABLE, read
from netdsl.hardware.report import duration, quantity, render_text
from netdsl.hardware.training import count_gradient_bytes
from netdsl.ir.types import DTYPES
from netdsl.passes import find_fused

SCHEMA = Path(netdsl.__file__).parent.parent / "docs" / "schema"
Captured = pytest.CaptureFixture[str]
UNIT = Device("unit", "one operation and one byte a second", {"float32": 1.0, "float16": 1.0}, 1.0)


def net_of(*lines: str) -> Network:
    """Return a net of some lines."""
    return Network(api.recipe(api.read_text("\n    ".join(["net N:", *lines, ""])), "n", {}, {}))


def seconds(net: Network, device: Device = UNIT, **options: object) -> dict[str, float]:
    """Return the least time of each step."""
    return {step.name: step.seconds for step in estimate(net, device, **options).steps}  # type: ignore[arg-type]


# ---------------------------------------------------------------- devices


@pytest.mark.parametrize("name", names())
def test_packaged_devices_say_where_their_numbers_are_from(name: str) -> None:
    device = find(name)
    given = {key for key in NUMBERS if getattr(device, key) is not None}
    assert device.name == name
    assert set(device.source) == {"peak", *given}
    assert all(device.source.values())
    assert set(device.peak) <= set(DTYPES)
    rates = [device.peak[dtype] for dtype in DTYPES if dtype in device.peak]
    assert rates == sorted(rates)  # a narrower number is never slower


def test_there_is_one_of_each_kind() -> None:
    assert {
        "gtx580",
        "jetson-tx1",
        "v100",
        "a100",
        "h100",
        "h200",
        "x86-2core",
        "cortex-m7",
        "edge-tpu",
    } <= set(names())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("peak = ", "cannot read Mine.toml: it is not TOML: invalid value"),
        pytest.param(f"a = {'[' * 9000}{']' * 9000}", "is not TOML: its brackets are too deep", id="deep"),
        pytest.param(f"[peak]\nfloat32 = {'9' * 5000}", "is not TOML: exceeds the limit", id="digits"),
        ("", r"\[peak\] is missing"),
        ("[peak]\n", r"\[peak\] is missing"),
        ("peak = 3", "peak: must be a table, got 3"),
        ("[peak]\nfloat33 = 1", "peak: unknown key `float33`.*did you mean `float32`"),
        ("[peak]\nfloat32 = true", "peak.float32: must be a number above 0, got True"),
        ("[peak]\nfloat32 = 0", "must be a number above 0, got 0"),
        ("[peak]\nfloat32 = -1.5", "must be a number above 0"),
        ("[peak]\nfloat32 = inf", "must be a number above 0, got inf"),
        ("[peak]\nfloat32 = nan", "must be a number above 0, got nan"),
        ("[peak]\nfloat32 = '1'", "must be a number above 0, got '1'"),
        ("bandwith = 1\n[peak]\nfloat32 = 1", "unknown key `bandwith`"),
        ("memory = []\n[peak]\nfloat32 = 1", "memory: must be a number"),
        ("title = 1\n[peak]\nfloat32 = 1", "title: must be a text"),
        ("[peak]\nfloat32 = 1\n[source]\npower = 2", "source.power: must be a text"),
        ("[peak]\nfloat32 = 1\n[source]\ncolour = ''", "source: unknown key `colour`"),
    ],
)
def test_files_that_describe_no_device(text: str, message: str) -> None:
    with pytest.raises(NetError, match=r"(?s)E541.*" + message):
        read(text, "mine", "Mine.toml")


def test_devices_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.toml").write_text("[peak]\nfloat32 = 2\n")
    (tmp_path / "h100.toml").write_text("title = 'another'\n[peak]\nfloat32 = 3\n")
    (tmp_path / "notes.txt").write_text("")
    assert find(str(tmp_path / "mine.toml")) == Device("mine", "mine", {"float32": 2.0})
    assert "mine" not in names()
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    assert {"mine", "h100", "a100"} <= set(names())
    assert len(names()) == len(set(names()))
    assert find("mine").rate("float32") == 2
    assert find("h100").title == "another"
    assert find("a100").title != "another"
    monkeypatch.setenv(VARIABLE, str(tmp_path / "none"))
    with pytest.raises(NetError, match=r"E541.*NETDSL_DEVICES.*no such file"):
        names()


def test_devices_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(NetError, match=r"(?s)E540.*there is no device `h1000`.*did you mean `h100`"):
        find("h1000")
    with pytest.raises(NetError, match=r"E541.*no such file"):
        find(str(tmp_path / "none.toml"))
    (tmp_path / "latin.toml").write_bytes(b"title = '\xe9'")
    with pytest.raises(NetError, match=r"E541.*is not UTF-8"):
        find(str(tmp_path / "latin.toml"))
    with pytest.raises(NetError, match=r"E541.*is a directory"):
        find(f"{tmp_path}/")
    with pytest.raises(NetError, match=r"(?s)E542.*edge-tpu has no peak rate for float32.*it has int8"):
        estimate(netdsl.load("lenet"), find("edge-tpu"))


# ---------------------------------------------------------------- the model


def test_published_intensities() -> None:
    """NVIDIA, Deep Learning Performance: GPU Background: 138.9 of V100, and its table of layers in float16."""
    v100 = find("v100")
    assert estimate(netdsl.load("lenet"), v100, dtype="float16").ridge == pytest.approx(138.9, abs=0.05)

    def intensity(batch: int, *lines: str) -> tuple[float, str]:
        (step,) = estimate(net_of(*lines), v100, batch, "float16").steps
        return round(step.intensity, 2 if step.intensity < 10 else 0), step.bound

    assert intensity(512, "input 1024", "fc 4096, bias=false") == (315, "compute")
    assert intensity(1, "input 1024", "fc 4096, bias=false") == (1, "memory")
    assert intensity(7, "input 5, 9x8", "maxpool 3x3, /1, pad=same") == (2.25, "memory")
    assert intensity(3, "input 5, 9x8", "relu") == (0.25, "memory")


def test_steps_by_hand() -> None:
    lines = [
        "input 3, 7x5",
        "conv 4, 3x3, pad=1, bias=true, norm=bn, act=relu",
        "maxpool 2x2, /2, pad=0",
        "flatten",
        "fc 6",
    ]
    net = net_of(*lines)
    macs, out = 4 * 7 * 5 * 27, 4 * 7 * 5
    conv = 4 * (3 * 35 + 27 * 4 + 4 + out)
    apart = estimate(net, UNIT)
    assert [step.op for step in apart.steps] == ["conv", "bn", "relu", "maxpool", "fc"]
    assert [step.operations for step in apart.steps] == [2 * macs + out, out, out, 4 * 24, 2 * 24 * 6 + 6]
    assert [step.bytes for step in apart.steps] == [
        conv,
        4 * (2 * out + 4 * 4),
        4 * 2 * out,
        4 * (out + 24),
        4 * (24 + 24 * 6 + 6 + 6),
    ]
    assert [step.bound for step in apart.steps] == ["compute", "memory", "memory", "memory", "memory"]
    assert apart.latency == sum(max(step.operations, step.bytes) for step in apart.steps)
    joined = estimate(net, UNIT, fused=True)
    assert [step.op for step in joined.steps] == ["conv+bn+relu", "maxpool", "fc"]
    assert joined.steps[0].bytes == conv  # the normalisation is in the weights
    assert joined.steps[0].operations == 2 * macs + 3 * out
    batch = estimate(net, UNIT, 5, "float16")
    assert batch.steps[0].bytes == 2 * (27 * 4 + 4 + 5 * (3 * 35 + out))
    assert batch.steps[0].operations == 5 * apart.steps[0].operations
    assert batch.throughput == 5 / batch.latency


def test_what_is_fused() -> None:
    text = """
        input 4, 6x6
        a: conv 4, 3x3, act=relu
        b: conv 4, 3x3
        from a, b -> concat -> bn as n -> relu
        c: conv 4, 3x3
        from b, c -> add -> relu
    """
    net = net_of(*[line.strip() for line in text.strip().splitlines()])
    # behind the concat the normalisation is a step, and the activation is part of it; b is read twice
    steps = [step.op for step in estimate(net, UNIT, fused=True).steps]
    assert steps == ["conv+relu", "conv", "concat", "bn+relu", "conv", "add+relu"]
    assert len(estimate(net, UNIT).steps) == 9


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2", "shufflenet_v2_x1_0"])
def test_bytes_are_those_of_torchs_layers(name: str) -> None:
    """Each layer's inputs, outputs, parameters and statistics, at an odd size, in a batch."""
    net = netdsl.load(spec_of(name), inputs={"": (3, 75, 97)})
    model = build(name, "meta").eval()
    real: dict[str, int] = {}

    def note(path: str) -> object:
        def hook(module: nn.Module, given: tuple[Tensor, ...], made: Tensor) -> None:
            held = [t for t in (*module.parameters(), *module.buffers()) if t.is_floating_point()]
            real[path] = sum(t.numel() * t.itemsize for t in (*given, made, *held))

        return hook

    for path, module in model.named_modules():
        if isinstance(module, nn.Conv2d | nn.BatchNorm2d | nn.Linear):
            module.register_forward_hook(note(path))  # type: ignore[arg-type]
    model(*inputs(net, 3, "meta"))
    assert len(real) > 40
    found = {step.name: step.bytes for step in estimate(net, UNIT, 3).steps}
    assert {path: found[path] for path in real} == real


def test_what_samples_share_is_moved_once() -> None:
    """Bytes and operations are a constant and a multiple of the batch, for every step."""
    net = netdsl.load("swin_v2_t")
    one, two, five = (estimate(net, UNIT, batch).steps for batch in (1, 2, 5))
    alone = [a.name for a, b in zip(one, two, strict=True) if a.bytes == b.bytes]
    assert alone  # the position bias of each window
    for a, b, c in zip(one, two, five, strict=True):
        assert c.bytes - a.bytes == 4 * (b.bytes - a.bytes)
        assert c.operations - a.operations == 4 * (b.operations - a.operations)


@pytest.mark.parametrize("name", ["googlenet", "vit_b_16", "densenet121", "unet", "se_resnet50"])
def test_fusing_never_takes_longer(name: str) -> None:
    net, device = netdsl.load(spec_of(name)), find("jetson-tx1")
    apart, joined = (estimate(net, device, 2, "float16", fused) for fused in (False, True))
    assert joined.latency < apart.latency
    assert sum(s.operations for s in joined.steps) == sum(s.operations for s in apart.steps)
    assert sum(s.macs for s in apart.steps) == 2 * net.cost().macs
    assert sum(s.ops for s in apart.steps) == 2 * net.cost().ops
    faster = device.replace(bandwidth=2 * device.bandwidth) if device.bandwidth else device
    assert apart.latency / 2 <= estimate(net, faster, 2, "float16").latency < apart.latency


def test_largest_batch() -> None:
    net = netdsl.load("alexnet")
    cost, peak = net.cost(), net.liveness().peak
    weights = 4 * (cost.params + cost.buffers)
    for memory, largest in [
        (weights + 3 * peak, 3),
        (weights + 3 * peak - 1, 2),
        (weights + peak - 1, 0),
        (1, 0),
    ]:
        found = estimate(net, UNIT.replace(memory=float(memory)))
        assert found.largest_batch == largest
        assert net.liveness(max(largest, 1)).peak == peak * max(largest, 1)
    assert estimate(net, UNIT).largest_batch is None
    beside = UNIT.replace(memory=float(2 * peak), flash=float(weights))
    assert estimate(net, beside).largest_batch == 2
    assert estimate(net, beside.replace(flash=float(weights - 1))).largest_batch == 0


def test_what_is_not_known() -> None:
    found = estimate(netdsl.load("lenet"), UNIT.replace(bandwidth=None))
    assert {step.bound for step in found.steps} == {""}
    assert found.latency == sum(step.operations for step in found.steps)
    assert found.ridge is found.energy is None
    assert (
        estimate(netdsl.load("lenet"), UNIT.replace(power=3.0)).energy
        == 3 * estimate(netdsl.load("lenet"), UNIT).latency
    )


def test_training_only_layers_do_not_run() -> None:
    net = netdsl.load("googlenet")
    assert any(node.train for node in net.graph)
    steps = seconds(net)
    assert not [node.name for node in net.graph if node.train and node.name in steps]


# ---------------------------------------------------------------- the command


def run(command: str) -> int:
    return cli.main(shlex.split(command))


def test_command(capsys: Captured) -> None:
    assert run("cost alexnet --device jetson-tx1 --fused --dtype float16 --batch 2") == 0
    text = capsys.readouterr().out
    assert "features.0    conv+relu" in text
    assert "a floor, no forecast" in text
    assert "at least" in text
    assert run("cost alexnet --device jetson-tx1 --fused --dtype float16 --batch 2 --format json") == 0
    found = json.loads(capsys.readouterr().out)
    whole = estimate(netdsl.load("alexnet"), find("jetson-tx1"), 2, "float16", fused=True)
    assert found["total"]["seconds"] == whole.latency == sum(step["seconds"] for step in found["steps"])
    assert [step["bound"] for step in found["steps"]] == [step.bound for step in whole.steps]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("--fused", "--fused means nothing without --device"),
        ("--device h100 --memory 3GB", "so it takes no --memory"),
        ("--device h100 --train --memory 3GB --checkpoint", "so it takes no --memory"),
        ("--device h100 --optimizer adam", "--optimizer means nothing without --train"),
        ("--device h100 --as thop", "--as counts one sample in evaluation, so it takes no --device"),
    ],
)
def test_options_that_do_not_go_together(options: str, says: str, capsys: Captured) -> None:
    assert run(f"cost lenet {options}") == 2
    err = capsys.readouterr().err
    assert "error[E543]" in err
    assert says in err


@pytest.mark.parametrize("by", GROUPINGS)
@pytest.mark.parametrize("train", [False, True])
def test_rows_add_up_in_every_form(by: str, train: bool, capsys: Captured) -> None:
    options = f"--device a100 --by {by} --batch 3 {'--train --optimizer adam' if train else ''}"
    net = netdsl.load("googlenet")
    whole = estimate(net, find("a100"), 3, train=train, optimizer="adam" if train else "sgd")
    assert run(f"cost googlenet {options} --format json") == 0
    found = json.loads(capsys.readouterr().out)
    jsonschema.validate(found, json.loads((SCHEMA / "device.json").read_text()))
    rows = found["steps"]
    assert sum(row["seconds"] for row in rows) == pytest.approx(whole.latency)
    for count in ("macs", "ops", "bytes"):
        assert sum(row[count] for row in rows) == sum(getattr(step, count) for step in whole.steps)
    assert all(row["seconds"] == pytest.approx(sum(row["parts"].values())) for row in rows)
    names = [row.name for row in net.cost_table(by, train=train)]
    assert {row["name"] for row in rows} - {"update"} <= set(names)
    assert run(f"cost googlenet {options} --format csv") == 0
    lines = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [line[by] for line in lines] == [row["name"] for row in rows]
    assert [float(line["seconds"]) for line in lines] == pytest.approx([row["seconds"] for row in rows])
    assert [int(line["bytes"]) for line in lines] == [row["bytes"] for row in rows]
    for form in ("table", "markdown"):
        assert run(f"cost googlenet {options} --format {form}") == 0
        text = capsys.readouterr().out
        assert ("a step of training with adam" in text) == train
        assert ("the backward pass" in text) == train


def test_rows_by_what_is_none() -> None:
    with pytest.raises(NetError, match=r"(?s)E503.*unknown by `blok`.*did you mean `block`"):
        render_text(estimate(netdsl.load("lenet"), UNIT), "blok")


# ---------------------------------------------------------------- training


def test_a_step_of_training_by_hand() -> None:
    net = net_of("input 3, 7x5", "conv 4, 3x3, pad=1, norm=bn, act=relu", "flatten", "fc 6, bias=false")
    macs, out, batch = 4 * 7 * 5 * 27, 4 * 7 * 5, 5
    found = estimate(net, UNIT, batch, train=True, optimizer="momentum")
    steps = {(step.op, step.phase): step for step in found.steps}
    assert [step.op for step in found.steps] == [
        "conv",
        "bn",
        "relu",
        "fc",
        "fc",
        "relu",
        "bn",
        "conv",
        "momentum",
    ]
    # the image needs no gradient; with a bias, that of the weights and of the bias
    conv = steps["conv", "backward"]
    assert conv.macs == batch * macs
    assert conv.bytes == 4 * (batch * (out + 3 * 35) + 4 * 27 + 4)
    relu = steps["relu", "backward"]
    assert relu.bytes == 4 * 3 * batch * out
    bn = steps["bn", "backward"]
    assert bn.bytes == 4 * (3 * batch * out + 2 * 4 + 4 + 2 * 4)  # statistics, weight, and two gradients
    fc = steps["fc", "backward"]
    assert fc.macs == 2 * batch * out * 6
    assert fc.bytes == 4 * (batch * 6 + 2 * batch * out + 2 * 6 * out)
    params = net.cost().params
    assert steps["momentum", "update"].bytes == 5 * 4 * params
    assert sum(step.macs for step in found.steps) == net.cost(batch).macs + net.backward_macs(batch)
    memory = UNIT.replace(memory=1e6)
    fits = estimate(net, memory, train=True, optimizer="momentum").largest_batch
    assert fits == net.largest_batch(1_000_000, train=True, optimizer="momentum")
    assert found.forecast is None


def test_a_fused_step_of_training_by_hand() -> None:
    net = net_of(
        "input 3, 7x5",
        "conv 4, 3x3, pad=1, norm=bn, act=relu",
        "conv 4, 1x1, act=gelu",
        "flatten",
        "fc 6, bias=false",
    )
    out, batch = 4 * 7 * 5, 5
    apart, joined = (estimate(net, UNIT, batch, fused=fused, train=True) for fused in (False, True))
    steps = {(step.op, step.phase): step for step in joined.steps}
    assert [step.op for step in joined.steps] == [
        *("conv", "bn+relu", "conv+gelu", "fc"),  # bn waits for the whole batch
        *("fc", "conv+gelu", "bn+relu", "conv"),
        "sgd",
    ]
    assert steps["bn+relu", "forward"].bytes == 4 * (2 * batch * out + 4 * 4)
    # what gelu keeps, its input, is written, too; relu keeps its output
    assert steps["conv+gelu", "forward"].bytes == 4 * (3 * batch * out + 4 * 4 + 4)
    # the gradient and what was kept, of gelu and of the convolution; the gradients of input, weight and bias
    assert steps["conv+gelu", "backward"].bytes == 4 * (4 * batch * out + 2 * 4 * 4 + 4)
    # a gradient, what relu and bn kept, the gradient of the input; statistics, weight, and two gradients
    assert steps["bn+relu", "backward"].bytes == 4 * (4 * batch * out + 2 * 4 + 4 + 2 * 4)
    for phase in ("forward", "backward"):
        assert steps["fc", phase] == next(
            step for step in apart.steps if (step.op, step.phase) == ("fc", phase)
        )
    for count in ("macs", "ops"):
        assert sum(getattr(step, count) for step in joined.steps) == sum(
            getattr(step, count) for step in apart.steps
        )


@pytest.mark.parametrize(
    "name", ["resnet18", "densenet121", "mobilenet_v3_small", "convnext_tiny", "vit_b_32"]
)
def test_fusing_saves_what_lies_between(name: str) -> None:
    """Each value between fused ops is neither written nor read forward, unless it is kept; nor is its gradient."""
    net, size = netdsl.load(spec_of(name)), 4 * 3
    apart, joined = (estimate(net, UNIT, 3, fused=fused, train=True) for fused in (False, True))
    least = most = 0
    fused = find_fused(net.graph, train=True)
    for node in net.graph:
        if node.name in fused:
            between = size * net.inputs_of(node.name)[0].elements
            least, most = least + 3 * between, most + 4 * between
    saved = sum(step.bytes for step in apart.steps) - sum(step.bytes for step in joined.steps)
    assert least <= saved <= most


class Moved(TorchDispatchMode):
    """How many bytes each kernel reads and writes."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes: dict[str, int] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        used = {id(t): t for t in tree_flatten((args, kwargs, out))[0] if isinstance(t, Tensor)}
        name = func.overloadpacket.__name__
        self.bytes[name] = self.bytes.get(name, 0) + sum(t.nbytes for t in used.values())
        return out


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2", "vgg11"])
def test_bytes_of_the_backward_pass_are_those_of_torchs_kernels(name: str) -> None:
    """But for what kernels are given and do not read: running statistics, and weights if no input has a gradient."""
    net = netdsl.load(spec_of(name))
    outputs = tensors(build(name, "meta").train()(*inputs(net, 3, "meta")))
    with Moved() as moved:
        torch.autograd.backward(list(outputs), [torch.zeros_like(y) for y in outputs])
    found: dict[str, int] = {}
    for layer, bytes in count_gradient_bytes(net, 3, "float32").items():
        op = net.graph[layer].op.name
        found[op] = found.get(op, 0) + bytes
    first = next(node for node in net.graph if node.op.name == "conv")
    unread = 4 * prod(first.op.weights(*net.inputs_of(first.name))["weight"])
    sums = moved.bytes.get("add", 0)  # of two gradients, which the layer that gives the second one adds
    assert found["conv"] + found.get("dwconv", 0) + unread == moved.bytes["convolution_backward"] + sums
    activation = moved.bytes.get("threshold_backward", 0) + moved.bytes.get("hardtanh_backward", 0)
    assert found.get("relu", 0) + found.get("relu6", 0) == activation
    if "bn" in found:
        statistics = 2 * 4 * sum(net.shapes[node.name].c for node in net.graph if node.op.name == "bn")
        assert found["bn"] + statistics == moved.bytes["native_batch_norm_backward"]
    if "maxpool" in found:
        assert found["maxpool"] == moved.bytes["max_pool2d_with_indices_backward"]


@pytest.mark.parametrize("name", STRANGERS)
def test_training_of_nets_that_no_rule_was_made_for(name: str) -> None:
    net = stranger(name)
    found = estimate(net, UNIT, 4, train=True, optimizer="momentum")
    shared = sum(
        net.layer_backward_macs[node.name] + node.op.macs(*net.inputs_of(node.name))
        for node in batchless(net)
    )
    macs = sum(step.macs for step in found.steps)
    assert macs == net.cost(4, train=True).macs + net.backward_macs(4) - 3 * shared
    back = {step.name for step in found.steps if step.phase == "backward"}
    assert {name for name, macs in net.layer_backward_macs.items() if macs} <= back


@pytest.mark.parametrize("name", names())
def test_every_device_in_words(name: str, capsys: Captured) -> None:
    device = find(name)
    for fused in ("", "--fused"):
        assert run(f"cost squeezenet1_1 --device {name} --dtype {next(iter(device.peak))} {fused}") == 0
    assert run(f"devices {name}") == 0
    assert "no source given" not in capsys.readouterr().out


def test_list(capsys: Captured) -> None:
    assert run("devices") == 0
    header, _, *lines = capsys.readouterr().out.partition("\n\n")[0].splitlines()
    assert header.startswith("device ")
    assert [line.split()[0] for line in lines] == names()
    assert run("devices --format json") == 0
    assert [device["name"] for device in json.loads(capsys.readouterr().out)["devices"]] == names()


def test_a_net_that_computes_nothing(capsys: Captured, tmp_path: Path) -> None:
    (tmp_path / "n.net").write_text("net N:\n    input 3, 4x4\n    flatten\n")
    assert run(f"cost {tmp_path}/n.net --device h100") == 0
    assert "at least 0" in capsys.readouterr().out


def test_units() -> None:
    assert duration(2.4e305) == "2.4e+305 s"
    assert [duration(t) for t in (0.0, 4.99e-9, 1.5e-6, 0.0123, 0.999, 2.0, 1234.0)] == [
        "0.00 ns", "4.99 ns", "1.50 us", "12.3 ms", "999 ms", "2.00 s", "1234 s",
    ]  # fmt: skip
    assert [quantity(v, "B") for v in (None, 3e9, 999.0, 0.0052)] == ["-", "3 GB", "999 B", "5.2 mB"]

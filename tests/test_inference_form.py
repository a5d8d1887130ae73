"""The form for inference: what a trained net gives in evaluation, in fewer ops, with weights worked out for it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from unittest.mock import patch

import netdsl_torch
import numpy as np
import pytest
import safetensors.numpy
import torch
from conftest import import_torchvision
from hypothesis import given, settings
from strategies import Spec, specs
from torch import Tensor, nn
from zoo import FILES, NAMES

import netdsl
from netdsl import NetError, Network, cli
from netdsl.api import loads
from netdsl.transforms.inference import deployed
from netdsl.verification import DEPLOYED, draw, verify

Captured = pytest.CaptureFixture[str]

PAIR = """
net Pair:
    input 3, 12x10
    {line}
    {head}fc 5 as fc
"""


def pair(line: str) -> Network:
    return loads(PAIR.format(line=line, head="" if line.startswith("gap") else "gap -> "))


FOLDED = {
    "conv": "a: conv 3x3, 8 -> bn",
    "no bias": "a: conv 3x3, 8, bias=false -> bn",
    "strided": "a: conv 3x3, 8, /2, pad=tf -> bn",
    "groups": "a: (conv 3x3, 6 -> bn) -> (conv 3x3, 8, groups=2, dilation=2 -> bn)",
    "depthwise": "a: (conv 1x1, 8 -> bn eps=1e-3) -> (dwconv 5x5 -> bn)",
    "without weights": "a: conv 3x3, 8 -> bn affine=false",
    "upwards": "a: (conv 1x1, 8) -> (upconv 2x2, 6, /2 -> bn)",
    "upwards in groups": "a: (conv 1x1, 8) -> (upconv 3x3, 6, /2, groups=2, pad=1 -> bn)",
    "of a vector": "gap\n    a: fc 9 -> bn -> relu",
    "twice": "a: conv 3x3, 8 -> bn -> bn",
    "dropped between": "a: conv 3x3, 8 -> dropout 0.3 -> bn",
    "identities": "a: conv 3x3, 8 -> avgpool 1x1, /1 -> bn -> droppath 0.1",
    "of a sum that is one": "add:\n        a: conv 1x1, 3\n        from x\n    bn: bn",
    "before": "a: bn -> conv 3x3, 8, pad=0",
    "before, without bias": "a: relu -> bn affine=false -> conv 2x2, 8, /2, pad=0, bias=false -> relu",
    "before groups": "a: conv 1x1, 6 -> gelu -> bn -> conv 1x1, 8, groups=2, pad=0 -> bn",
    "before depthwise": "a: conv 1x1, 6 -> gelu -> bn -> dwconv 3x3, pad=0, multiplier=2 -> gelu",
    "before a vector": "gap\n    a: relu -> bn -> fc 9",
    "around": "a: relu -> bn -> conv 1x1, 8, bias=false -> bn",
}
KEPT = {
    "of a sum": "add:\n        a: conv 1x1, 3 -> relu\n        from x\n    bn: bn",
    "before padding": "a: bn -> conv 3x3, 8, pad=1",
    "before padding by size": "a: bn -> conv 3x3, 8, /2, pad=tf",
    "before upwards": "a: bn -> upconv 2x2, 8, /2",
    "before two": "b: bn\n    add:\n        a: conv 1x1, 3 -> relu\n        c: from b -> conv 3x3, 3",
    "an activation between": "a: conv 3x3, 8 -> relu -> bn",
    "read beside": "a: conv 3x3, 8\n    add:\n        b: bn\n        from a",
    "standardised": "a: stdconv 3x3, 8 -> bn",
    "an output": "a: conv 3x3, 8\n    output early: from a -> gap\n    b: bn",
    "other norms": "a: conv 3x3, 8 -> gn 2",
}
SUMMED = {
    "3x3 and 1x1": ("{x} -> conv 3x3, 8, /2 as a -> bn as n; {x} -> conv 1x1, 8, /2 as b -> bn as m", 1),
    "the map itself": ("{x} -> conv 3x3, 3 as a -> bn as n; {x}", 1),
    "its norm": ("{x} -> bn as b; {x} -> conv 5x3, 3 as a -> bn as n; {x} -> conv 1x3, 3 as c", 1),
    "in groups": ("{y} -> conv 3x3, 8, groups=4 as a; {y} -> bn as d; {y} -> conv 1x1, 8, groups=4 as b", 2),
    "depthwise": ("{y} -> dwconv 3x3 as a -> bn as n; {y} -> bn as d; {y}", 2),
    "with another": ("{y} -> conv 3x3, 8 as a; {y} -> conv 3x3, 8 as b; {x} -> conv 1x1, 8 as e", 3),
    "other strides": ("{y} -> conv 3x3, 8, /2 as a; {y} -> maxpool 2x2 -> conv 1x1, 8 as e", 3),
    "not in the middle": ("{x} -> conv 3x3, 8 as a; {x} -> pad 1 -> conv 3x3, 8, pad=0 as b", 2),
    "dilated": ("{x} -> conv 3x3, 8, dilation=2 as a; {x} -> conv 1x1, 8 as b", 2),
    "read beside": ("{x} -> conv 3x3, 8 as a -> relu; {x} -> conv 1x1, 8 as b", 2),
}
"""By what is added, and how many convolutions are left."""


def both(net: Network, weights: dict[str, Any] | None = None) -> tuple[nn.Module, nn.Module]:
    """Return the module of a net, live, and that of its form for inference, in float64."""
    state = weights or {k: v.astype("float64") if v.dtype.kind == "f" else v for k, v in drawn(net).items()}
    whole = net.build("torch").double().eval()
    whole.load_state_dict({k: torch.from_numpy(v) for k, v in state.items()}, strict=False)
    form = net.build("torch:deploy").double().eval()
    moved = netdsl.convert_weights(net, whole.state_dict(), "torch", "torch:deploy")
    form.load_state_dict({k: torch.from_numpy(v) for k, v in moved.items()})
    return whole, form


def drawn(net: Network) -> dict[str, Any]:
    return draw(net, np.random.default_rng(1))


def outputs(found: Any) -> list[Tensor]:
    if isinstance(found, Tensor):
        return [found]
    values = found.values() if isinstance(found, dict) else found
    return [one for value in values if value is not None for one in outputs(value)]  # None: of training only


def distance(net: Network, sizes: dict[str, tuple[int, ...]] | None = None) -> float:
    """Return the largest error of the form, at the net's inputs or at others."""
    torch.manual_seed(0)
    x = [
        torch.randn(2, *(sizes or {}).get(name, shape), dtype=torch.float64)
        for name, shape in net.inputs.items()
    ]
    with torch.no_grad():
        ours, theirs = (outputs(module(*x)) for module in reversed(both(net)))
    kept = [output for output in net.graph.outputs if not output.train]
    assert len(ours) == len(theirs) == len(kept)
    assert all(float(b.std()) > 0 for b in theirs), "nothing is alive"
    return max(float((a - b).abs().max() / b.abs().max()) for a, b in zip(ours, theirs, strict=True))


def kinds(net: Network) -> list[str]:
    return [node.op.name for node in net.graph]


@pytest.mark.parametrize("what", FOLDED)
def test_norms_are_folded(what: str) -> None:
    net = pair(FOLDED[what])
    assert "bn" not in kinds(deployed(net).net)
    assert distance(net) < DEPLOYED["float64"]


@pytest.mark.parametrize("what", KEPT)
def test_norms_stay_where_something_else_reads_or_feeds_them(what: str) -> None:
    net = pair(KEPT[what])
    assert {"bn", "gn"} & {*kinds(deployed(net).net)}
    assert distance(net) < DEPLOYED["float64"]


@pytest.mark.parametrize("what", SUMMED)
def test_sums_of_convolutions_are_one(what: str) -> None:
    line, left = SUMMED[what]
    before = "y: conv 1x1, 8\n    " if "{y}" in line else ""
    terms = "".join(f"\n        {term}" for term in line.format(x="from x", y="from y").split("; "))
    net = pair(f"{before}add:{terms}")
    assert sum("conv" in kind for kind in kinds(deployed(net).net)) == left
    assert distance(net) < DEPLOYED["float64"]


@pytest.mark.parametrize(
    ("norms", "folded"), [("-> bn", True), ("", False)], ids=["a norm for all calls", "a norm for one"]
)
def test_a_layer_that_runs_again_is_folded_in_all_calls_or_none(norms: str, folded: bool) -> None:
    text = f"""
block Head(c):
    conv: conv 3x3, c
    {"bn: bn" if folded else "relu"}

net Twice:
    input 4, 9x9
    head: Head 4
    a = from head -> relu
    {"same head" if folded else "same head -> bn as norm"}
    gap -> fc 5 as fc
"""
    net = loads(text)
    assert ("bn" not in kinds(deployed(net).net)) == folded
    assert distance(net) < DEPLOYED["float64"]


def test_what_only_training_has_is_gone() -> None:
    net = netdsl.load("googlenet", inputs={"x": (3, 64, 64)})
    form = deployed(net).net
    assert not {"dropout", "bn"} & {*kinds(form)}
    assert [output.name for output in form.graph.outputs] == ["logits"]
    assert not any("aux" in key for key in form.parameters)


def test_a_block_of_repvgg_is_timms() -> None:
    """The weights are those of timm's `reparameterize`, up to the order in which they are added."""
    import_torchvision()
    import timm
    from timm.utils.model import reparameterize_model

    theirs = timm.create_model("repvgg_a0", pretrained=False).double()
    torch.manual_seed(3)
    with torch.no_grad():
        for one in theirs.modules():
            if isinstance(one, nn.BatchNorm2d):
                for tensor, least in (
                    (one.weight, 0.5),
                    (one.running_var, 0.5),
                    (one.bias, -1),
                    (one.running_mean, -1),
                ):
                    tensor.uniform_(least, least + 1)
    net = netdsl.load("repvgg_a0")
    moved = netdsl.convert_weights(net, theirs.state_dict(), "torch", "torch:deploy")
    merged = reparameterize_model(theirs.eval()).state_dict()
    for key, value in merged.items():
        ours = moved[key.replace("reparam_conv", "conv_kxk.conv")]
        assert np.abs(ours - value.numpy()).max() <= 1e-12 * np.abs(value.numpy()).max(), key
    assert len(moved) == len(merged)


MERGED = {
    "branches": ("{a} -> conv 1x1, 4 as a; {a} -> conv 1x1, 6 as b -> conv 3x3, 5 as c", 2),
    "with activations": ("{a} -> conv 1x1, 4 as a -> relu; {a} -> conv 1x1, 6 as b -> relu -> conv 3x3, 5 as c", 2),
    "other activations": ("{a} -> conv 1x1, 4 as a -> relu; {a} -> conv 1x1, 6 as b -> silu", 2),
    "kinds": ("{a} -> conv 1x1, 4 as a; {a} -> conv 3x3, 6 as b; {a} -> conv 1x1, 2 as c; {a} -> dwconv 3x3 as d", 3),
    "other strides": ("{a} -> conv 1x1, 4, /2 as a; {a} -> conv 1x1, 6 as b -> maxpool 2x2", 2),
    "without bias": ("{a} -> conv 1x1, 4, bias=false as a; {a} -> conv 1x1, 6, bias=false as b", 1),
}  # fmt: skip
"""By what is concatenated, and how many convolutions are left."""


@pytest.mark.parametrize("what", MERGED)
def test_convolutions_over_one_map_are_one_where_it_pays(what: str) -> None:
    line, left = MERGED[what]
    terms = "".join(f"\n        {term}" for term in line.format(a="from x").split("; "))
    net = pair(f"concat:{terms}")
    form = deployed(net, merged=True).net
    assert sum("conv" in kind for kind in kinds(form)) == left
    assert sum("conv" in kind for kind in kinds(deployed(net).net)) == line.count("conv")
    with patch.object(netdsl_torch.Backend, "merges", lambda self, net: True):
        assert distance(net) < DEPLOYED["float64"]


def test_googlenets_branches_are_one_and_called_after_the_first() -> None:
    net = netdsl.load("googlenet", inputs={"x": (3, 64, 64)})
    form = deployed(net, merged=True).net
    assert form.graph["inception3a.branch1.conv"].op.arguments()["channels"] == 64 + 96 + 16
    assert not [key for key in form.parameters if key.startswith("inception3a.branch2.0")]
    with patch.object(netdsl_torch.Backend, "merges", lambda self, net: True):
        assert distance(net) < DEPLOYED["float64"]


SOME = [
    "resnet18", "mobilenet_v3_small", "densenet121", "shufflenet_v2_x0_5", "efficientnet_b0", "regnet_y_400mf",
    "mnasnet0_5", "squeezenet1_1", "nasnet_a_mobile", "dpn68", "selecsls42b", "hrnet_w18", "inception_v3",
]  # fmt: skip


@pytest.mark.parametrize("name", [name for name in SOME if name in FILES])
def test_nets_of_the_zoo(name: str) -> None:
    """At an input that is not the one they were written at."""
    net = netdsl.load(f"{FILES[name]}:{name}")
    sizes = {key: (shape.c, 139 if "inception" in name else 96, 160) for key, shape in net.inputs.items()}
    assert distance(net, sizes) < DEPLOYED["float64"]
    assert len(deployed(net).net.graph) < len(net.graph)


@pytest.mark.parametrize("name", NAMES)
def test_all_of_the_zoo_have_such_a_form(name: str) -> None:
    """Keys are among those of the net, and no more is multiplied."""
    net = netdsl.load(f"{FILES[name]}:{name}")
    form = deployed(net).net
    assert form.cost().macs <= net.cost().macs
    layers = {key.rpartition(".")[0] for key in net.parameters}
    assert {key.rpartition(".")[0] for key in form.parameters} <= layers
    assert not any(node.op.draws or node.train for node in form.graph)


@settings(max_examples=25, deadline=None)
@given(spec=specs())
def test_random_nets(spec: Spec) -> None:
    net = loads(spec.text, net="trial")
    if any(not output.train for output in net.graph.outputs):
        state = {k: v.astype("float64") if v.dtype.kind == "f" else v for k, v in drawn(net).items()}
        x = [torch.randn(2, *shape, dtype=torch.float64) for shape in net.inputs.values()]
        with torch.no_grad():
            ours, theirs = (outputs(module(*x)) for module in reversed(both(net, state)))
        for a, b in zip(ours, theirs, strict=True):
            torch.testing.assert_close(
                a, b, rtol=1e-9, atol=1e-9 * max(1.0, float(b.abs().max())), equal_nan=True
            )


def test_both_forms_are_verified() -> None:
    found = verify(
        netdsl.load("resnet18", inputs={"x": (3, 64, 64)}), ("torch", "torch:deploy", "flax:deploy")
    )
    assert found.ok, str(found)
    rows = {row.check: row.cells for row in found.rows}
    bound = rows["outputs in evaluation, float64"]["torch:deploy"].expected
    assert bound == DEPLOYED["float64"]
    assert "gradients in training, float64" not in rows


def test_rounding_that_the_net_makes_larger_is_no_fault_of_the_form() -> None:
    net = netdsl.load("convmixer_768_32", inputs={"x": (3, 64, 64)})
    (cells,) = [
        row.cells
        for row in verify(net, ("torch", "torch:deploy")).rows
        if row.check == "outputs in evaluation, float32"
    ]
    (own, form) = (cells[name].value for name in ("torch", "torch:deploy"))
    assert own is not None
    assert own > DEPLOYED["float32"]  # a net of 64 layers
    assert form is not None
    assert form <= cells["torch:deploy"].expected == pytest.approx(10 * own)


STAGED = """
block Unit(c):
    add:
        identity
        main: conv 3x3, c, groups=2 as conv1 -> bn as bn1 -> relu -> conv 1x1, c as conv2 -> bn as bn2 -> droppath 0.1
    relu

net Staged(n = 2):
    input 3, 12x10
    stage 1:
        stem: conv 3x3, 8, /2 -> bn -> relu
        blocks: n * Unit 8
    stage 2:
        down: conv 3x3, 6 -> bn
    train output aux: gap -> fc 3 as aux_fc
    norm: bn
    gap -> dropout 0.2 -> fc 5 as fc
"""


OPTIONS = [
    "torch:deploy,features",
    "torch:deploy,features,remat,test,low_memory",
    "flax:deploy,scan",
    "flax:deploy,scan,idiomatic,remat,sharding",
]


@pytest.mark.parametrize("options", OPTIONS)
def test_other_options_go_with_it(options: str) -> None:
    found = verify(loads(STAGED), ("torch", options))
    assert found.ok, str(found)


SIBLINGS = """
net Siblings:
    input 3, 12x12
    stage 1:
        c: conv 3x3, 8 -> bn
    map = from flow
    stage 2:
        d: conv 1x1, 4
    stage 3:
        concat:
            from d
            from map -> conv 1x1, 5 as e
            from map -> conv 1x1, 6 as f
    gap
"""


@pytest.mark.parametrize(("text", "stages"), [(STAGED, 2), (SIBLINGS, 3)])
def test_maps_of_stages_are_those_of_the_net(text: str, stages: int) -> None:
    net = loads(text)
    state = {k: torch.from_numpy(v) for k, v in drawn(net).items()}
    with patch.object(netdsl_torch.Backend, "merges", lambda self, net: True):
        whole, form = net.build("torch:features").eval(), net.build("torch:deploy,features").eval()
        whole.load_state_dict(state, strict=False)
        moved = netdsl.convert_weights(net, whole.state_dict(), "torch", "torch:deploy,features")
    form.load_state_dict({k: torch.from_numpy(v) for k, v in moved.items()})
    x = torch.randn(2, 3, 17, 14)
    with torch.no_grad():
        ours, theirs = (module.forward_features(x) for module in (form, whole))
    assert len(ours) == len(theirs) == stages
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


def test_a_stage_that_does_nothing_in_evaluation_has_no_map() -> None:
    net = loads(STAGED.replace("    train output", "    stage 3: dropout 0.1\n    train output"))
    assert net.emit("torch:deploy")
    with pytest.raises(NetError, match=r"E508.*a stage of staged does nothing in evaluation"):
        net.emit("torch:deploy,features")


def test_what_is_cut_over_devices_is_of_the_form() -> None:
    from flax import nnx

    names: dict[str, Any] = {}
    exec(compile(loads(STAGED).emit("flax:deploy,sharding"), "staged", "exec"), names)
    model = nnx.eval_shape(lambda: names["staged"](rngs=nnx.Rngs(0)))
    keys = [".".join(map(str, path)) for path, _ in nnx.to_flat_state(nnx.state(model))]
    assert all(any(re.fullmatch(pattern, key) for key in keys) for pattern, _ in names["SHARDING"])
    assert any(re.fullmatch(pattern, "stem.layers.0.kernel") for pattern, _ in names["SHARDING"])


def test_the_form_is_no_reference() -> None:
    with pytest.raises(NetError, match="torch,torch:deploy"):
        verify(netdsl.load("resnet18"), ("torch:deploy",))


def test_weights_are_moved_to_the_form_and_not_back(tmp_path: Path, capsys: Captured) -> None:
    net = netdsl.load("mobilenet_v2", inputs={"x": (3, 32, 32)})
    state = net.build("torch").state_dict()
    assert all(torch.isfinite(value).all() for value in state.values())
    file, form, back = (str(tmp_path / f"{name}.safetensors") for name in ("a", "b", "c"))
    safetensors.numpy.save_file({k: v.numpy() for k, v in state.items()}, file)
    assert cli.main(["weights", "mobilenet_v2", "--from", "torch", file, "--to", "flax:deploy", form]) == 0
    assert "worked out from several" in capsys.readouterr().err
    held = safetensors.numpy.load_file(form)
    assert held
    assert all(value.dtype == np.float32 for value in held.values())
    assert cli.main(["weights", "mobilenet_v2", "--from", "flax:deploy", form, "--to", "torch", back]) == 1
    assert "not back" in capsys.readouterr().err
    assert not Path(back).exists()
    assert (
        cli.main(["weights", "mobilenet_v2", "--from", "flax:deploy", form, "--to", "torch:deploy", back])
        == 0
    )
    theirs = netdsl.convert_weights(net, state, "torch", "torch:deploy")
    ours = safetensors.numpy.load_file(back)
    assert ours.keys() == theirs.keys()
    assert all((ours[key] == theirs[key]).all() for key in ours)


def test_weights_of_two_dtypes_are_not_folded_into_one() -> None:
    net = pair(FOLDED["conv"])
    state = {k: v.half() if "running" in k else v for k, v in net.build("torch").state_dict().items()}
    with pytest.raises(NetError, match="float16"):
        netdsl.convert_weights(net, state, "torch", "torch:deploy")
    halves = {
        k: v.bfloat16() if v.is_floating_point() else v for k, v in net.build("torch").state_dict().items()
    }
    moved = netdsl.convert_weights(net, halves, "torch", "torch:deploy")
    assert {str(value.dtype) for value in moved.values()} == {"bfloat16"}


@pytest.mark.parametrize("name", ["Same", "ADD", "Stage", "FALSE"])
def test_a_net_may_be_called_by_a_word_of_the_language(name: str) -> None:
    net = loads(PAIR.format(line=FOLDED["conv"], head="gap -> ").replace("Pair", name))
    assert net.name == name.lower()
    assert f"\nclass {name}(nn.Module):" in net.emit("torch:deploy")
    assert distance(net) < DEPLOYED["float64"]
    plain = pair(FOLDED["conv"]).graph
    assert Network.from_graph(plain, name.lower()).name == name.lower()


def moved(net: str, state: dict[str, Tensor], source: str, target: str, folder: Path) -> int:
    (folder / "n.net").write_text(net)
    torch.save(state, folder / "a.pt")
    command = ["weights", str(folder / "n.net"), "--from", source, str(folder / "a.pt"), "--to", target]
    statuses = {cli.main([*command, str(folder / f"b{suffix}")]) for suffix in (".pt", ".safetensors")}
    assert not [path for path in folder.iterdir() if path.stem == "b"] or statuses == {0}
    (status,) = statuses
    return status


def test_numbers_that_a_type_cannot_hold_are_an_error(tmp_path: Path, capsys: Captured) -> None:
    text = PAIR.format(line=FOLDED["conv"], head="gap -> ")
    state = {
        k: v.half() if v.is_floating_point() else v
        for k, v in loads(text).build("torch").state_dict().items()
    }
    assert moved(text, state, "torch", "torch:deploy", tmp_path) == 0
    state["a.1.weight"] = torch.full_like(state["a.1.weight"], 6e4)
    state["a.1.running_var"] = torch.full_like(state["a.1.running_var"], 1e-4)
    for path in tmp_path.iterdir():
        path.unlink()
    assert moved(text, state, "torch", "torch:deploy", tmp_path) == 1
    said = "error[E516]: `a.0.weight` of torch:deploy would have numbers that are too large for float16\n"
    assert said in capsys.readouterr().err
    exported = ["export", str(tmp_path / "n.net"), "--backend", "torch:deploy", "--check"]
    assert cli.main([*exported, "--weights", str(tmp_path / "a.pt"), "-o", str(tmp_path / "n.onnx")]) == 0
    state["a.1.running_var"] = -torch.ones_like(state["a.1.running_var"])
    assert moved(text, state, "torch", "torch:deploy", tmp_path) == 1
    assert "error[E516]: `a.1.running_var` has numbers that are no variances\n" in capsys.readouterr().err


def test_forms_that_fold_other_layers_are_not_one(tmp_path: Path, capsys: Captured) -> None:
    text = """
net Branches:
    input 16, 4x4
    concat:
        a: conv 1x1, 512
        b: conv 1x1, 512
    conv: conv 3x3, 512
    gap -> fc 5 as fc
"""
    state = loads(text).build("torch:deploy").state_dict()
    assert state["a.weight"].shape[0] == 1024
    assert moved(text, state, "torch:deploy", "torch:deploy", tmp_path) == 0
    for path in tmp_path.iterdir():
        path.unlink()
    capsys.readouterr()
    (tmp_path / "n.net").write_text(text)
    torch.save(state, tmp_path / "a.pt")
    command = ["weights", str(tmp_path / "n.net"), "--from", "torch:deploy", str(tmp_path / "a.pt"), "--to"]
    assert cli.main([*command, "flax:deploy", str(tmp_path / "b.safetensors")]) == 1
    assert "error[E516]: torch:deploy and flax:deploy are two forms of branches" in capsys.readouterr().err


def test_a_file_of_nets_has_a_module_each(tmp_path: Path) -> None:
    assert cli.main(["compile", "resnet", "--backend", "torch:deploy", "-o", f"{tmp_path}/"]) == 0
    texts = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert {"resnet18.py", "resnet50.py"} <= texts.keys()
    assert "BatchNorm" not in texts["resnet50.py"]
    assert "class Bottleneck" in texts["resnet50.py"]
    assert "    netdsl compile resnet.net:resnet50 --backend torch:deploy\n" in texts["resnet50.py"]


def test_what_is_written_says_how(tmp_path: Path) -> None:
    text = netdsl.load("resnet18", classes=10).emit("torch:deploy")
    assert "netdsl compile resnet.net:resnet18 --set classes=10 --backend torch:deploy" in text
    assert cli.main(["compile", "lenet", "--backend", "torch:deploy,test", "-o", f"{tmp_path}/"]) == 0
    assert {path.name for path in tmp_path.iterdir()} == {"lenet.py", "test_lenet.py"}


def test_the_layout_of_memory_follows_a_rule() -> None:
    """A pool of large maps saves more than few weights cost; many weights for one place cost more than they save."""
    pooled = "net N:\n    input 3, 64x64\n    conv 3x3, 16 -> maxpool 3x3, /2, pad=1 -> gap -> fc 5\n"
    dense = "net N:\n    input 16, 4x4\n    conv 3x3, 512 -> conv 3x3, 512 -> gap -> fc 5\n"
    line = "        self.to(memory_format=torch.channels_last)\n"
    assert line in loads(pooled).emit("torch:deploy")
    assert line not in loads(dense).emit("torch:deploy")
    assert line not in loads(pooled).emit("torch")
    assert loads(pooled).build("torch:deploy")[0].weight.is_contiguous(memory_format=torch.channels_last)

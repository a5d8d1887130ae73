"""The options of backends: how they are asked for, and what those of torch do."""

from __future__ import annotations

import re
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import netdsl_flax
import netdsl_torch
import pytest
import torch
from conftest import import_torchvision
from references import REFERENCES, make
from test_emitted import mypy, tool
from test_family import family, module
from torch import Tensor
from torch_oracles import ENVIRONMENT, execute, perturb, spec_of

import netdsl
from netdsl import cli
from netdsl.api import loads
from netdsl.backend import emit_family, find, names, spelled

Captured = pytest.CaptureFixture[str]


@pytest.mark.parametrize("name", ["torch:features,test", "torch:features:test", "torch:test,features"])
def test_options_stand_behind_a_colon(name: str) -> None:
    assert find(name) == netdsl_torch.Backend(features=True, test=True)
    assert spelled(find(name)) == "torch:features,test"
    assert spelled(find("flax")) == "flax"
    assert find("flax:scan") == netdsl_flax.Backend(scan=True)


def test_an_unknown_option_is_an_error_with_what_was_meant() -> None:
    with pytest.raises(netdsl.NetError) as caught:
        find("torch:features,tests")
    (found,) = caught.value.diagnostics
    assert (found.code, found.help) == ("E506", "did you mean `test`?")
    with pytest.raises(netdsl.NetError) as caught:
        find("torch:")
    assert caught.value.diagnostics[0].help == "there are features, remat, test, low_memory, deploy"


def test_the_help_lists_them(capsys: Captured) -> None:
    assert cli.main(["compile", "--help"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    for name in ("torch", "flax"):
        backend: Any = find(name)
        for option, what in backend.OPTIONS.items():
            assert f"{name}:{option}" in names()
            assert f"{name}:{option} {what}" in shown


def test_several_files_need_a_folder(tmp_path: Path, capsys: Captured) -> None:
    assert cli.main(["compile", "lenet", "--backend", "torch:test"]) == 2
    assert "lenet.py and test_lenet.py need a folder" in capsys.readouterr().err
    folder = tmp_path / "out"
    command = ["compile", "lenet", "--backend", "torch:test", "-o", str(folder)]
    assert cli.main(command) == 0
    assert sorted(path.name for path in folder.iterdir()) == ["lenet.py", "test_lenet.py"]
    assert cli.main([*command, "--check"]) == 0
    (folder / "test_lenet.py").write_text("")
    assert cli.main([*command, "--check"]) == 1
    assert cli.main(["compile", "lenet", "--backend", "torch:test", "-o", str(folder / "lenet.py")]) == 2


def test_a_name_that_ends_with_a_slash_is_a_folder(tmp_path: Path) -> None:
    assert cli.main(["compile", "lenet", "-o", f"{tmp_path}/new/"]) == 0
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["lenet.py"]
    assert cli.main(["compile", "lenet", "-o", f"{tmp_path}/new/", "--check"]) == 0
    assert cli.main(["compile", "lenet", "-o", f"{tmp_path}/new/lenet.py/"]) == 2


def test_no_file_is_written_if_one_cannot_be(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    (folder / "test_lenet.py").mkdir(parents=True)
    assert cli.main(["compile", "lenet", "--backend", "torch:test", "-o", str(folder)]) == 2
    assert [path.name for path in folder.iterdir()] == ["test_lenet.py"]


# ---------------------------------------------------------------- test


@pytest.mark.parametrize("spec", ["alexnet.net", "googlenet"])
def test_the_tests_pass_in_an_empty_folder(spec: str, tmp_path: Path) -> None:
    for name, text in emit_family(netdsl.load_family(spec), "torch:test").items():
        (tmp_path / name).write_text(text)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "."]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    lint = ("ruff", "check", "--isolated", "--no-cache", "--line-length", "100", "--select", "E,F,W,I,UP,B")
    style = ("ruff", "format", "--isolated", "--no-cache", "--line-length", "100", "--check")
    for command in (lint, style):
        done = subprocess.run(
            [sys.executable, "-m", *command, "."], cwd=tmp_path, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout


def test_the_tests_are_at_sizes_that_the_module_takes(tmp_path: Path) -> None:
    text = """
block B(c, limit = 8):
    [maxpool 2x2, /2 when x.h > limit]
    conv: conv 3x3, c

net N(n = 2):
    input 3, 32x32
    for i in range(n):
        b{i}: B 8, 16
    gap

net M(n = 2):
    input 3, 32x32
    n * (conv 3x3, 8 -> maxpool 2x2, /2)
    gap
"""
    files = emit_family(family(text), "torch:test")
    for name, one in files.items():
        (tmp_path / name).write_text(one)
    assert any("(3, 40, 40)" in one for one in files.values())
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "."]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=ENVIRONMENT)
    assert done.returncode == 0, done.stdout


def test_the_tests_find_what_is_wrong(tmp_path: Path) -> None:
    texts = emit_family(netdsl.load_family("lenet"), "torch:test")
    (tmp_path / "lenet.py").write_text(
        texts["lenet.py"].replace("nn.Linear(84, classes)", "nn.Linear(84, 9)")
    )
    (tmp_path / "test_lenet.py").write_text(texts["test_lenet.py"])
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "."]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=ENVIRONMENT)
    assert "3 failed, 1 passed" in done.stdout


# ---------------------------------------------------------------- features


@pytest.mark.parametrize(
    ("name", "channels", "strides"),
    [
        ("resnet18", [64, 64, 128, 256, 512], [2, 4, 8, 16, 32]),
        ("resnet50", [64, 256, 512, 1024, 2048], [2, 4, 8, 16, 32]),
        ("mobilenet_v2", [16, 24, 32, 96, 1280], [2, 4, 8, 16, 32]),
        ("convnext_tiny", [96, 192, 384, 768], [4, 8, 16, 32]),
        ("squeezenet1_0", [96, 256, 512, 512], [2, 4, 8, 16]),
        ("googlenet", [64, 192, 480, 832, 1024], [2, 4, 8, 16, 32]),
        ("lenet", [6, 6, 16, 16], [1, 2, 2, 4]),
        ("vgg16", [64, 128, 256, 512, 512], [2, 4, 8, 16, 32]),
        ("zfnet", [96, 256, 256], [4, 16, 32]),
        ("nasnet_a_mobile", [32, 44, 264, 528, 1056], [2, 4, 8, 16, 32]),
        ("hrnet_w18", [128, 256, 512, 1024], [4, 8, 16, 32]),
    ],
)
def test_features_are_the_last_map_of_each_size(name: str, channels: list[int], strides: list[int]) -> None:
    net = netdsl.load(name)
    plain = execute(net.emit())[net.name]
    with torch.device("meta"):
        model = execute(net.emit("torch:features"))[net.name]()
        assert list(model.state_dict()) == list(plain().state_dict())
        maps = model.forward_features(torch.empty(2, net.inputs["x"].c, 96, 96))
    assert (model.FEATURE_CHANNELS, model.FEATURE_STRIDES) == (channels, strides)
    assert [y.shape[1] for y in maps] == channels
    heights = [y.shape[2] for y in maps]
    assert heights == sorted(set(heights), reverse=True)


@pytest.mark.parametrize(
    ("name", "steps"),
    [
        ("resnet50", "relu layer1 layer2 layer3 layer4"),
        ("vgg11_bn", "features.3 features.7 features.14 features.21 features.28"),
        ("googlenet", "conv1 conv3 inception3b inception4e inception5b"),
        ("mobilenet_v2", "features.1 features.3 features.6 features.13 features.18"),
        ("efficientnet_b0", "features.1 features.2 features.3 features.5 features.8"),
        ("convnext_tiny", "features.1 features.3 features.5 features.7"),
        ("shufflenet_v2_x0_5", "conv1 maxpool stage2 stage3 conv5"),
        ("densenet121", "features.relu0 features.denseblock1 features.denseblock2 features.denseblock3 relu"),
    ],
)
def test_features_are_those_that_torchvision_extracts(name: str, steps: str) -> None:
    import_torchvision()
    from torchvision.models.feature_extraction import create_feature_extractor

    torch.manual_seed(0)
    ours = perturb(execute(netdsl.load(spec_of(name)).emit("torch:features"))[name]()).eval()
    theirs = make(REFERENCES[name], "meta")
    theirs.load_state_dict(ours.state_dict(), assign=True)
    image = torch.randn(2, 3, 75, 101)
    with torch.no_grad():
        expected = create_feature_extractor(theirs.eval(), steps.split(), suppress_diff_warning=True)(image)
        found = ours.forward_features(image)
        for one, other in zip(found, expected.values(), strict=True):
            assert torch.equal(one, other)
    assert ours.FEATURE_CHANNELS == [one.shape[1] for one in expected.values()]


STAGES = """\
block B(c, stride = 1):
    add:
        conv 3x3, c, /stride as conv1 -> bn as bn1
        downsample: conv 1x1, c, /stride
    relu

net N(deep = true, n = 2):
    input 3, 32x32
    stage stem: conv 3x3, 8, /2 as conv1 -> bn as bn1
    relu
    stage 2:
        layer2: n * B 16, /2 first
        [bn as extra when deep]
    relu
    stage 3:
        if deep:
            layer3: B 32
        else:
            layer4: B 24
    tail: conv 3x3, 12
    stage head: gap -> fc 10 as fc

net S(norm = true):
    input 3, 32x32
    stage 1: conv 3x3, 8, /2 -> [bn when norm]
    stage 2: relu -> conv 3x3, 8, /2 -> bn
    relu
    gap
    fc 10

net C(norm = true, n = 2):
    input 3, 32x32
    features:
        stage 1: conv 3x3, 8, /2 -> [bn when norm]
        stage 2: relu -> n * conv 3x3, 8 -> bn
        for i in range(n):
            stage 3: relu -> conv 3x3, 8, /2 -> bn
    relu
    gap
    fc: fc 10

variant n1 = N()
variant n2 = N(deep=false, n=1)
variant s1 = S()
variant s2 = S(norm=false)
variant c1 = C()
variant c2 = C(norm=false, n=1)
"""


@pytest.mark.parametrize(
    ("name", "channels", "strides"),
    [
        ("n1", [8, 16, 32], [2, 4, 4]),
        ("n2", [8, 16, 24], [2, 4, 4]),
        ("s1", [8, 8], [2, 4]),
        ("s2", [8, 8], [2, 4]),
        ("c1", [8, 8, 8, 8], [2, 2, 4, 8]),
        ("c2", [8, 8, 8], [2, 2, 4]),
    ],
)
def test_features_are_what_stages_end_with(name: str, channels: list[int], strides: list[int]) -> None:
    """Whatever the arguments are, and before what follows could write over it."""
    text = module(family(STAGES), "torch:features")
    plain = text.replace("inplace=True", "inplace=False")
    models, x = [execute(one)[name]().eval() for one in (text, plain)], torch.randn(2, 3, 33, 47)
    assert (models[0].FEATURE_CHANNELS, models[0].FEATURE_STRIDES) == (channels, strides)
    models[1].load_state_dict(models[0].state_dict())
    with torch.no_grad():
        found, expected = (model.forward_features(x) for model in models)
        assert torch.equal(models[0](x), models[1](x))
    assert all(map(torch.equal, found, expected))
    assert [y.shape[1] for y in found] == channels
    assert any((y < 0).any() for y in found), "what a norm gives is not what relu makes of it"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("f:\n        stage 1: conv 3x3, 4\n        stage 2: gap", "are maps, and stage 2 ends without one"),
        ("f:\n        g:\n            stage 1: conv 3x3, 4\n        relu", "and stages stand deeper"),
        ("stage 1: (relu | tanh)\n    l: L\n    from flow[0]", "hands on lists of streams"),
    ],
)
def test_stages_that_are_no_features(body: str, message: str) -> None:
    block = (
        "block L:\n    fork:\n        for i in range(len(x)):\n            r{i}: from x[i] -> conv 3x3, 4\n\n"
    )
    with pytest.raises(netdsl.NetError, match=message):
        loads(f"{block}net N:\n    input 3, 8x8\n    {body}\n").emit("torch:features")


def test_features_of_streams_are_the_last_list() -> None:
    model = execute(netdsl.load("hrnet_w18").emit("torch:features"))["hrnet_w18"]().eval()
    seen: list[list[Tensor]] = []
    model.incre_modules.register_forward_hook(lambda module, inputs, output: seen.append(output))
    with torch.no_grad():
        maps = model.forward_features(torch.randn(2, 3, 64, 96))
    assert [y.shape[1:] for y in maps] == [(128, 16, 24), (256, 8, 12), (512, 4, 6), (1024, 2, 3)]
    assert all(map(torch.equal, maps, *seen))


@pytest.mark.parametrize(
    ("name", "channels"),
    [("nasnet_a_large", [96, 168, 1008, 2016, 4032]), ("nasnet_a_mobile", [32, 44, 264, 528, 1056])],
)
def test_features_compute_nothing_else(name: str, channels: list[int]) -> None:
    """No output of training, and no value again that a condition only chooses."""
    names = execute(module(netdsl.load_family("nasnet.net"), "torch:features"))
    with torch.device("meta"):
        model = names[name]().train()
        called: list[object] = []
        for key, child in model.named_children():
            if key == "aux_head":
                child.register_forward_hook(lambda *given: called.append(given))
        model.forward_features(torch.empty(2, 3, 96, 96))
    assert (model.FEATURE_CHANNELS, called) == (channels, [])


ANY_ARGUMENT = """\
block B(c, stride = 1):
    add:
        conv 3x3, c, /stride as conv -> bn as bn
        downsample: conv 1x1, c, /stride when stride != 1 or x.c != c
    relu

net Residual(n: list = [1, 2, 1], c = 4, pool = true):
    input 3, 32x32
    stem: conv 3x3, c
    if pool:
        maxpool 2x2, /2
    for i, m in enumerate(n):
        layer{i}: m * B c * 2 ** i, /(2 if i > 0 else 1) first
    gap
    fc: fc 10

net Loops(n = 2, c = 4):
    input 3, 16x16
    stem: conv 3x3, c
    weight bias [c, 1, 1], init=zeros
    add:
        identity
        from bias
    gate: gap -> fc c -> sigmoid
    mul:
        from stem
        from gate
    for i in range(n):
        down{i}: conv 3x3, c * 2 ** (i + 1), /2
        up{i}: from flow -> upsample 2 -> conv 3x3, c
        from down{i}
    relu
    gap

net Chain(n = 2, c = 4):
    input 3, 32x32
    conv 3x3, c
    n * (maxpool 2x2, /2 -> conv 3x3, 2*c -> relu)
    avgpool to=3x3
    conv 3x3, 5
    flatten
    fc 10

net Head(c = 4, n = 2):
    input 3, 32x32
    stem: conv 3x3, c
    gate: conv 3x3, 4, /2 -> conv 3x3, c, /2 -> gap -> sigmoid
    mul:
        from stem
        from gate
    body:
        (conv 3x3, c, /2 -> relu)
        n * (conv 3x3, 2*c, /2 -> relu)
        avgpool to=2x2 -> conv 3x3, 3
        flatten
        fc 10

net Sized(c = 4, size: dims = 32x32, colors = 3):
    input colors, size
    stem: conv 3x3, c, /2
    weight place [c, size[0] // 2, size[1] // 2], init=normal(0, 0.02)
    from stem, place -> add
    more: conv 3x3, 2*c, /2
    flatten
    fc: fc 10

net Up(c = 4, n = 1):
    input 3, 32x32
    stem: conv 3x3, c
    for i in range(n):
        up{i}: upsample 2 -> conv 3x3, c
    gap

net Two(c = 4):
    input left: 3, 16x16
    input right: 3, 16x16
    from left -> conv 3x3, c as one
    from right -> conv 3x3, c, /2 as two
    add:
        from one -> relu -> maxpool 2x2, /2
        from two
    gap
    fc: fc 3
"""


@pytest.mark.parametrize(
    ("name", "arguments", "channels", "strides"),
    [
        ("Residual", {}, [4, 4, 8, 16], [1, 2, 4, 8]),
        ("Residual", {"pool": False}, [4, 8, 16], [1, 2, 4]),
        ("Residual", {"n": [2]}, [4, 4], [1, 2]),
        ("Residual", {"n": [0, 1, 2, 1]}, [4, 4, 8, 16, 32], [1, 2, 4, 8, 16]),
        ("Loops", {}, [4, 8, 4, 16, 4, 16], [1, 2, 1, 4, 2, 4]),
        ("Loops", {"n": 0}, [4], [1]),
        ("Chain", {}, [4, 8, 8], [1, 2, 4]),
        ("Chain", {"n": 0}, [4], [1]),
        ("Two", {}, [4, 4, 4, 4], [1, 2, 1, 2]),
        ("Head", {}, [4, 4, 8, 8], [1, 2, 4, 8]),
        ("Head", {"n": 0}, [4, 4], [1, 2]),
        ("Sized", {}, [4, 8], [2, 4]),
        ("Sized", {"size": (16, 24), "colors": 1}, [4, 8], [2, 4]),
        ("Up", {"n": 2}, [4, 4, 4], [1, 0.5, 0.25]),
    ],
)
def test_features_are_right_for_every_argument(
    name: str, arguments: dict[str, Any], channels: list[int], strides: list[float]
) -> None:
    """Those of sizes that other arguments have, too; and nothing writes over them."""
    nets = family(ANY_ARGUMENT)
    text = module(nets, "torch:features")
    model = execute(text)[name](**arguments).eval()
    assert (model.FEATURE_CHANNELS, model.FEATURE_STRIDES) == (channels, strides)
    settings = {k: "x".join(map(str, v)) if k == "size" else v for k, v in arguments.items()}
    net = loads(ANY_ARGUMENT, net=name.lower(), **settings)
    plain = execute(netdsl_torch.Backend(features=True).emit(net, inplace=False))[net.name]().eval()
    plain.load_state_dict(model.state_dict())
    x = [torch.randn(2, c, *(sides if name == "Sized" else (44, 38))) for c, *sides in net.inputs.values()]
    with torch.no_grad():
        found, expected = model.forward_features(*x), plain.forward_features(*x)
    assert all(map(torch.equal, found, expected))
    assert [y.shape[1] for y in found] == channels


@pytest.mark.parametrize("name", ["features", "layer", "image"])
@pytest.mark.parametrize(
    "body",
    [
        "conv 3x3, 4, /2\n    conv 3x3, 8, /2\n    gap\n    fc 3",
        "body:\n        (conv 3x3, 4, /2)\n        (conv 3x3, 4, /2)\n    more: from NAME -> conv 3x3, 4, /4\n"
        "    from body, more -> add\n    last: conv 3x3, 8, /2\n    gap",
    ],
)
def test_an_input_has_any_name(name: str, body: str) -> None:
    net = loads(f"net N:\n    input {name}: 3, 32x32\n    {body.replace('NAME', name)}\n")
    model = execute(net.emit("torch:features"))["n"]().eval()
    maps = model.forward_features(torch.randn(2, 3, 32, 32))
    assert [y.shape[1] for y in maps] == model.FEATURE_CHANNELS
    assert model.FEATURE_CHANNELS[-1] == 8


def test_a_net_with_features_can_be_scripted() -> None:
    model = loads(ANY_ARGUMENT, net="chain").build("torch:features").eval()
    x = torch.randn(2, 3, 32, 32)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore", DeprecationWarning)
        assert torch.equal(torch.jit.script(model)(x), model(x))


def test_a_net_without_maps_has_no_features() -> None:
    with pytest.raises(netdsl.NetError, match="`features` are maps, and M has none"):
        loads("net M():\n    input 3, 8x8\n    gap\n    a: fc 3\n    relu\n    b: fc 3\n").emit(
            "torch:features"
        )


def test_features_lead_to_the_output() -> None:
    model = execute(netdsl.load("resnet18").emit("torch:features"))["resnet18"]().eval()
    x = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(model.fc(model.forward_features(x)[-1].mean((2, 3))), model(x))


def test_channels_and_strides_are_those_of_any_dtype_and_stride() -> None:
    net = loads(
        "net P(s = 3):\n    input 3, 96x96\n    a: conv 3x3, 4, /s\n    b: conv 8x8, 6, /8, pad=0\n    gap\n"
    )
    names = execute(net.emit("torch:features"))
    for stride in (3, 7, 13):
        for model in (names["P"](stride), names["P"](stride).half(), names["P"](stride).double()):
            assert (model.FEATURE_CHANNELS, model.FEATURE_STRIDES) == ([4, 6], [stride, 8 * stride])


def test_features_follow_the_arguments() -> None:
    names = execute(emit_family(netdsl.load_family("resnet.net"), "torch:features")["resnet.py"])
    with torch.device("meta"):
        assert names["resnet18"]().FEATURE_CHANNELS == [64, 64, 128, 256, 512]
        assert names["preact_resnet50"]().FEATURE_CHANNELS == [64, 256, 512, 1024, 2048]


def test_maps_are_made_without_the_outputs_that_they_do_not_need() -> None:
    text = """
net N(stacks = 2, seg = true):
    input 3, 16x16
    for s in range(stacks):
        a{s}: conv 3x3, 4, /2
        output heat{s}: gap -> fc 2
    if seg:
        m: conv 1x1, 2
        output mask: from m -> upsample 4
        from a1
    output gate: conv 1x1, 4 -> sigmoid
    gated = from flow, gate -> mul
    output exit: from gated -> gap -> fc 2
    from gated -> conv 3x3, 8, /2 as last
    gap
    head: fc 3
"""
    emitted = loads(text).emit("torch:features")
    model = execute(emitted)["n"]().eval()
    assert model.FEATURE_CHANNELS == [4, 4, 8]
    assert model.FEATURE_STRIDES == [2, 4, 8]
    maps = emitted.partition("def forward_features")[2].partition("return features")[0]
    assert "self.gate(" in maps
    assert not re.findall(r"self\.(m|mask|exit|heat.*)\(", maps)


# ---------------------------------------------------------------- remat


def step(text: str, net: netdsl.Network) -> tuple[int, list[Tensor]]:
    """Return the bytes kept for gradients outside blocks, and what a step of training computes and moves."""
    torch.manual_seed(0)
    model = execute(text)[net.name]().train()
    x = torch.randn(2, *net.inputs["x"], requires_grad=True)
    kept = []

    def pack(tensor: Tensor) -> Tensor:
        kept.append(tensor.nbytes)
        return tensor

    torch.manual_seed(1)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        out = model(x)
    outputs = [out] if isinstance(out, Tensor) else list(out)
    loss = torch.stack([output.square().sum() for output in outputs]).sum()
    loss.backward()  # type: ignore[no-untyped-call]
    gradients = [p.grad for p in (x, *model.parameters()) if p.grad is not None]
    return sum(kept), [*outputs, *gradients, *model.buffers()]


SMALL = """\
block B(c):
    add:
        conv 3x3, c as a -> bn as b -> relu -> conv 3x3, c as d -> bn as e
        identity
    relu
    dropout 0.3

net N():
    input 3, 8x8
    stem: conv 3x3, 4
    one: B 4
    relu
    rest: 2 * B 4 -> conv 3x3, 4 -> B 4
    train output aux: from one -> B 4 -> gap
    gap
"""


@pytest.mark.parametrize(
    "net", [loads(SMALL), netdsl.load("resnet18", inputs={"": (3, 32, 32)})], ids=["n", "resnet18"]
)
def test_remat_changes_no_number(net: netdsl.Network) -> None:
    kept, plain = step(net.emit(), net)
    less, again = step(net.emit("torch:remat"), net)
    assert len(plain) == len(again)
    assert all(map(torch.equal, plain, again))
    assert less < 0.75 * kept


def test_remat_can_be_compiled() -> None:
    """Compilers decide themselves what is computed again, and move statistics once."""
    net = loads(SMALL.replace("    dropout 0.3\n", ""))
    found = []
    for form in ("torch", "torch:remat"):
        torch.manual_seed(0)
        model = execute(net.emit(form))["n"]().train()
        x = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(1))
        torch._dynamo.reset()
        compiled = torch.compile(model, fullgraph=True, backend="aot_eager") if form != "torch" else model
        sum(y.square().sum() for y in compiled(x)).backward()
        found.append([p.grad for p in model.parameters()] + list(model.buffers()))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_options_go_together() -> None:
    chain = "    body:\n        2 * B 4 -> conv 3x3, 6, /2 -> B 6\n    gap\n"
    net = loads(SMALL[: SMALL.index("    one:")] + chain)
    text = net.emit("torch:features,remat")
    assert "self.body = Recomputed(" in text
    assert "recomputed(layer, x)" in text
    model = execute(text)["n"]().train()
    maps = model.forward_features(torch.randn(2, 3, 8, 8))
    assert model.FEATURE_CHANNELS == [y.shape[1] for y in maps] == [4, 6]
    sum(y.sum() for y in maps).backward()
    assert model.stem.weight.grad is not None


# ---------------------------------------------------------------- Flax


MIXED = """\
block B(c, wide = false):
    add:
        conv 3x3, c, bias=false as a -> bn as b -> relu
        identity
    d: [conv 1x1, c -> ln when wide]

net N():
    input 3, 9x8
    stem: conv 3x3, 4
    one: B 4, true
    rest: 2 * B 4
    avgpool 3x3, /2, pad=1, count_include_pad=false
    gap
    fc: fc 5
"""


def flax_step(form: str, **options: Any) -> list[Any]:
    """Return loss, gradients and statistics of a step of training."""
    import jax
    from flax import nnx
    from jax import numpy as jnp

    net = loads(MIXED, "n.net", "n")
    model = execute(net.emit(form))["n"](rngs=nnx.Rngs(0), **options)
    x = jax.random.normal(jax.random.key(1), (2, 9, 8, 3))
    loss, gradients = nnx.value_and_grad(lambda model: jnp.square(model(x)).sum())(model)
    return jax.tree.leaves((loss, gradients, nnx.state(model, nnx.BatchStat)))


@pytest.mark.slow
def test_flax_remat_changes_no_number() -> None:
    """But by rounding: XLA may fuse other ops."""
    import numpy as np

    assert "@nnx.remat" in loads(MIXED, "n.net", "n").emit("flax:remat")
    plain, again = flax_step("flax"), flax_step("flax:remat", precision="highest")
    for one, other in zip(plain, again, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_idiomatic_flax_has_the_same_net() -> None:
    """The state and, with the same weights, the same outputs in evaluation; no helper that only equals torch."""
    import jax
    import numpy as np
    from flax import nnx
    from netdsl_flax.run import load as load_flax

    net = loads(MIXED, "n.net", "n")
    text = net.emit("flax:idiomatic")
    for helper in ("UnbiasedBatchNorm", "uniform_between", "use_fast_variance"):
        assert helper in net.emit("flax")
        assert helper not in text
    x, found = jax.random.normal(jax.random.key(1), (2, 9, 8, 3)), []
    torch.manual_seed(0)
    state = {k: v.numpy() for k, v in execute(net.emit())["n"]().state_dict().items()}
    for form in ("flax", "flax:idiomatic"):
        model = execute(net.emit(form))["n"](rngs=nnx.Rngs(0))
        load_flax(model, netdsl.convert_weights(net, state, "torch", form))
        model.eval()
        found.append(np.asarray(model(x)))
    np.testing.assert_allclose(*found, rtol=1e-4, atol=1e-5)


def test_low_memory_keeps_outputs_that_may_not_be_there() -> None:
    text = """
net N(seg = true):
    input 3, 16x16
    a: conv 3x3, 4, /2
    if seg:
        m: conv 1x1, 2
        output mask: from m -> upsample 4
        output low: from m
        from a
    conv: conv 3x3, 8, /2 -> bn -> relu
    gap
    head: fc 3
"""
    net = loads(text)
    assert len(execute(net.emit("torch:low_memory"))["n"]()(torch.randn(2, 3, 16, 16))) == 3


def test_blocks_of_lists_can_be_computed_again(tmp_path: Path) -> None:
    text = """
block Heads(c):
    fork:
        for i in range(len(x)):
            conv{i}: from x[i] -> conv 3x3, c

net N:
    input 3, 8x8
    a: conv 3x3, 4
    b: conv 3x3, 5
    from a, b -> Heads 2 as heads
    from heads[0], heads[1] -> add
"""
    (tmp_path / "n.py").write_text(loads(text, "n.net").emit("torch:remat"))
    assert mypy(tmp_path) == ""
    ruff = ("ruff", "check", "--isolated", "--no-cache", "--line-length", "100", "--select", "E,F,ANN")
    assert tool(*ruff, tmp_path) == ""

"""An emitted module stands in for torchvision's: the same children, for what walks, cuts, traces or scripts it."""

from __future__ import annotations

import re
import warnings

import pytest
import torch
from conftest import import_torchvision
from references import REFERENCES, make
from torch import nn
from torch_oracles import FAMILIES, SEVERAL, WINDOWED, build, load, perturb

from netdsl.api import loads

NETS = [name for name, reference in REFERENCES.items() if reference.library == "torchvision"]
SMALL = {
    "alexnet": 64,
    "convnext_tiny": 32,
    "densenet121": 32,
    "efficientnet_b0": 32,
    "efficientnet_v2_s": 32,
    "googlenet": 64,
    "mnasnet1_0": 32,
    "mobilenet_v2": 32,
    "mobilenet_v3_small": 32,
    "regnet_y_400mf": 32,
    "resnet18": 32,
    "resnet50": 32,
    "shufflenet_v2_x0_5": 32,
    "squeezenet1_1": 64,
    "vgg11_bn": 32,
}
"""One net of each family that takes small inputs, and their side."""
NO_STEPS = re.compile(r"\.(stochastic_depth|size|contiguous|view_1)$|denseblock\d+\.cat$")
"""Steps of torchvision's that are none here: droppath in evaluation, parts of a shuffle, a last concatenation."""
TWICE = """\
net N:
    input 3, 8x8
    conv1: conv 3x3, 3
    add:
        identity
        relu: relu
    relu: relu
"""


def pair(name: str) -> tuple[nn.Module, nn.Module]:
    """Return our module and torchvision's, with the same random weights, in evaluation."""
    torch.manual_seed(0)
    ours, theirs = perturb(build(name)), make(REFERENCES[name], "meta")
    theirs.load_state_dict(ours.state_dict(), assign=True)
    return ours.eval(), theirs.eval()


def image(side: int) -> torch.Tensor:
    """Return a batch of two random images."""
    return torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(5))


def scripted(model: nn.Module) -> nn.Module:
    """Return a module in TorchScript, which torch keeps but recommends no more."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        script: nn.Module = torch.jit.script(model)
    return script


MOVES = {"Identity", "SwapAxes", "WindowDepartition", "WindowPartition"}
"""Modules of MaxViT that are functions here."""


@pytest.mark.parametrize("name", [*NETS, "vgg.net:vgg16"])
def test_modules_are_torchvisions(name: str) -> None:
    ours, theirs = build(name, "meta"), make(REFERENCES[name.rpartition(":")[2]], "meta")
    assert [key for key, _ in ours.named_children()] == [key for key, _ in theirs.named_children()]
    mine, other = dict(ours.named_modules()), dict(theirs.named_modules())
    assert mine.keys() <= other.keys()
    for key in other.keys() - mine.keys():  # what forward never calls, or is nothing
        kind = type(other[key]).__name__
        assert key.endswith("stochastic_depth") or str(other[key]) == "Sequential()" or kind in MOVES, key


@pytest.mark.parametrize("name", ["resnet50", "shufflenet_v2_x0_5", "mobilenet_v3_small"])
def test_intermediate_layer_getter_gives_torchvisions_maps(name: str) -> None:
    from torchvision.models._utils import IntermediateLayerGetter

    ours, theirs = pair(name)
    stages = [key for key, _ in theirs.named_children()][:-1]
    for model in (ours, theirs):
        model.maps = IntermediateLayerGetter(model, {key: key for key in stages})
    with torch.no_grad():
        mine, other = ours.maps(image(64)), theirs.maps(image(64))
    assert list(mine) == list(other)
    for key in other:
        assert torch.equal(mine[key], other[key]), key


@pytest.mark.parametrize(
    "name", ["resnet50", "mobilenet_v3_small", "efficientnet_b0", "convnext_tiny", "vgg11_bn"]
)
def test_all_but_the_last_child_is_a_backbone(name: str) -> None:
    ours, theirs = (nn.Sequential(*list(model.children())[:-1]) for model in pair(name))
    with torch.no_grad():
        assert torch.equal(ours(image(SMALL[name])), theirs(image(SMALL[name])))


@pytest.mark.parametrize("name", ["convnext_tiny", "efficientnet_b0", "googlenet", "resnet18"])
def test_scripted_and_traced_modules_return_what_the_module_does(name: str) -> None:
    torch.manual_seed(0)
    model = load(name).build("torch")
    script = scripted(model)
    for training in (False, True):
        copies = [script.train(training), torch.fx.symbolic_trace(model.train(training))]
        with torch.no_grad(), torch.jit.optimized_execution(False):
            torch.manual_seed(1)
            expected = model(image(64))
            for copy in copies:
                torch.manual_seed(1)
                found = copy(image(64))
                if (
                    copy is script and name == "googlenet" and not training
                ):  # its record always, as torchvision's
                    assert [found.aux_logits1, found.aux_logits2] == [None, None]
                    found = found.logits
                assert type(found).__name__ == type(expected).__name__
                torch.testing.assert_close(tuple(found), tuple(expected))


NUMBERED = {
    "deeplabv3_mobilenet_v3_large",
    "dla34",
    "ese_vovnet19b_dw",
    "hrnet_w18",
    "lraspp_mobilenet_v3_large",
    "nasnet_a_mobile",
    "xception",
}


@pytest.mark.parametrize("name", [name for name in FAMILIES | SEVERAL | WINDOWED if name not in NUMBERED])
def test_modules_can_be_scripted(name: str) -> None:
    """Those that call blocks by computed names or other numbers cannot: TorchScript knows no `getattr`, nor an index.

    Nor does it take a list of any length into another one, as dla34's second trees do.
    """
    with torch.device("meta"):
        model = load(name).build("torch").eval()
    scripted(model)


@pytest.mark.parametrize("name", FAMILIES | SEVERAL | WINDOWED)
def test_modules_can_be_traced(name: str) -> None:
    model = build(name, "meta")
    for training in (False, True):
        torch.fx.symbolic_trace(model.train(training))


@pytest.mark.parametrize(("name", "side"), [("googlenet", 64), ("inception_v3", 299)])
def test_records_have_torchvisions_fields(name: str, side: int) -> None:
    """In its order, and with its values; the two draw the same numbers for dropout."""
    ours, theirs = pair(name)
    found = []
    for model in (ours, theirs):
        torch.manual_seed(0)
        with torch.no_grad():
            found.append(model.train()(image(side)))
    mine, other = found
    assert mine._fields == type(other)._fields
    assert all(map(torch.equal, mine, other))


@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
def test_a_net_without_its_training_outputs_can_be_scripted(name: str) -> None:
    with torch.device("meta"):
        scripted(load(name, aux=False).build("torch"))


def node_names(model: nn.Module) -> list[str]:
    """Return the names that torchvision's feature extraction gives the steps of a module."""
    from torchvision.models.feature_extraction import get_graph_node_names

    names: list[str] = get_graph_node_names(model, suppress_diff_warning=True)[1]
    return names


@pytest.mark.parametrize(("name", "side"), [*SMALL.items(), ("inception_v3", 96)])
def test_feature_extraction_gives_torchvisions_values_under_its_names(name: str, side: int) -> None:
    """Of every step of the net and within its blocks; what is a step by itself there may be several here."""
    import_torchvision()
    from torchvision.models.feature_extraction import create_feature_extractor

    ours, theirs = pair(name)
    mine, steps = node_names(ours), node_names(theirs)
    there = [step for step in steps if step in mine or any(one.startswith(f"{step}.") for one in mine)]
    assert [step for step in steps if step not in there and not NO_STEPS.search(step)] == []
    same = [step for step in there if not step.endswith(".cat") or name != "densenet121"]
    found, expected = (
        create_feature_extractor(model, same, suppress_diff_warning=True) for model in (ours, theirs)
    )
    with torch.no_grad():
        one, other = found(image(side)), expected(image(side))
    for step, value in other.items():
        assert not isinstance(value, torch.Tensor) or torch.equal(one[step], value), step


def test_a_module_that_is_called_twice_is_there_once() -> None:
    model = build("resnet50", "meta")
    block = model.get_submodule("layer1.0")
    assert [key for key, child in block.named_children() if isinstance(child, nn.ReLU)] == ["relu"]
    assert block.get_submodule("relu").inplace
    shared = loads(TWICE).build("torch")
    assert not shared.relu.inplace  # the sum reads what the first call would write over


@pytest.mark.parametrize(("name", "side"), [("googlenet", 64), ("inception_v3", 96)])
def test_what_transform_input_does_is_another_normalisation(name: str, side: int) -> None:
    """As the spec says of the published weights, whose pictures torchvision's module takes as ImageNet's others."""
    torch.manual_seed(0)
    ours = perturb(build(name)).eval()
    theirs = make(REFERENCES[name], "meta", transform_input=True).eval()
    theirs.load_state_dict(ours.state_dict(), assign=True)
    picture = torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(5))
    mean, deviation = (torch.tensor(n)[:, None, None] for n in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    with torch.no_grad():
        expected = theirs((picture - mean) / deviation)
        found = ours((picture - 0.5) / 0.5)
    assert (found - expected).abs().max() <= 1e-4 * expected.abs().max()

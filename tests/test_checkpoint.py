"""Checkpoint plans: their peaks and MACs against torch, and the best choice against all choices."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import combinations, product
from typing import Any

import pytest
import torch
from netdsl_torch import Backend
from storages import step_peaks
from test_training_memory import SIDES, device_of
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from torch.utils.flop_counter import FlopCounterMode
from torch_oracles import execute, load, tensors

from netdsl import Network
from netdsl.api import loads
from netdsl.diagnostics import NetError
from netdsl.passes.checkpoint import Plan, render_text

MANY = 10**15


class Chain:
    """Functions as one that calls one after the other."""

    def __init__(self, functions: Sequence[Callable[[Tensor], Tensor]]) -> None:
        self.functions = functions

    def __call__(self, x: Tensor) -> Tensor:
        """Call them."""
        for function in self.functions:
            x = function(x)
        return x


def handed_on(x: Tensor) -> Tensor:
    """Return a value as it is."""
    return x


def build(
    net: Network, name: str, places: Iterable[Sequence[str]], batch: int, device: str
) -> tuple[nn.Module, list[Tensor]]:
    """Return the emitted module, with some of its modules under torch's checkpoint, and a batch."""
    with torch.device(device):
        model = execute(Backend().emit(net))[name]().train()
    for place in places:
        modules = [model.get_submodule(path) for path in place]
        modules[0].forward = partial(checkpoint, Chain([one.forward for one in modules]), use_reentrant=False)
        for module in modules[1:]:
            module.forward = handed_on
    return model, [torch.zeros(batch, *shape, device=device) for shape in net.inputs.values()]


def real_peak(
    net: Network,
    name: str,
    places: Iterable[Sequence[str]],
    batch: int,
    optimizer: str = "sgd",
    device: str = "meta",
) -> int:
    """Return the peak of the second step of training."""
    model, x = build(net, name, places, batch, device)
    return step_peaks(model, x, optimizer)[0][-1]


def real_macs(
    net: Network, name: str, places: Iterable[Sequence[str]], batch: int, device: str = "meta"
) -> int:
    """Return the MACs of a step, forward and backward, as torch's counter has them."""
    model, x = build(net, name, places, batch, device)
    with FlopCounterMode(display=False) as counter:
        sum(y.sum() for y in tensors(model(*x))).backward()
    return counter.get_total_flops() // 2


def least(net: Network, batch: int, optimizer: str = "sgd") -> int:
    """Return the least memory that plans reach, as the error says it."""
    with pytest.raises(NetError, match="the least is") as error:
        net.checkpoint_plan(1, batch, optimizer=optimizer)
    found = re.search(r"the least is ([\d,]+)", str(error.value))
    assert found is not None
    return int(found[1].replace(",", ""))


EXACT = ["resnet18", "mobilenet_v2", "googlenet", "unet_same", "shufflenet_v2_x1_0"]
SLOW = ["resnet50", "densenet121", "efficientnet_b0", "darknet53", "regnet_y_400mf"]


@pytest.mark.parametrize("name", [*EXACT, *[pytest.param(name, marks=pytest.mark.slow) for name in SLOW]])
def test_peak_and_macs_are_what_torch_has(name: str) -> None:
    """To the byte and the product, from the least memory up; batches make activations weigh more than weights."""
    net = load(name, SIDES[name])
    without = net.memory(17, train=True, optimizer="momentum").peak
    low = least(net, 17, "momentum")
    plain = real_macs(net, name, (), 17)
    for share in (0.0, 0.6):
        limit = low + int(share * (without - low))
        plan = net.checkpoint_plan(limit, 17, optimizer="momentum")
        assert plan.places
        assert real_peak(net, name, plan.places, 17, "momentum") == plan.peak <= limit
        assert real_macs(net, name, plan.places, 17) - plain == plan.macs
        assert plan.peak_without == without


@pytest.mark.parametrize("name", ["convnext_tiny", "swin_t"])
def test_peak_of_transformers_is_what_torch_has(name: str) -> None:
    """Though their layers are many kernels, and the engine sums gradients of biases."""
    net = load(name, SIDES[name])
    device = device_of(net)
    without = net.memory(5, train=True).peak
    low = least(net, 5)
    for share in (0.0, 0.5):
        plan = net.checkpoint_plan(low + int(share * (without - low)), 5)
        real = real_peak(net, name, plan.places, 5, device=device)
        assert plan.peak == real
        assert real_macs(net, name, plan.places, 5, device) - real_macs(net, name, (), 5, device) == plan.macs


SMALL = {
    "chain": """
block Body(c, stride):
    conv1: conv 3x3, c, /stride, norm=bn, act=relu
    conv2: conv 3x3, c, norm=bn

block Unit(c, stride=1):
    body: Body c, stride
    relu

net N:
    input 3, {size}
    stem: conv 3x3, 8
    one: Unit 8
    two: Unit 16, stride=2
    three: Unit 4
    gap
    fc: fc 7
""",
    "sequential": """
net N:
    input 3, {size}
    body:
        conv 3x3, 9 -> gelu -> conv 1x1, 16 -> tanh
    gap
    fc: fc 4
""",
    "bypass": """
block Two(c):
    conv1: conv 3x3, c, bias=false
    bn: bn
    relu
    conv2: conv 1x1, c

net N:
    input 2, {size}
    low: Two 6
    skip = from flow
    maxpool 3x3, /2
    mid: Two 12
    deep: Two 5
    pool = from flow
    from pool, pool -> mul
    upsample 3
    crop like=skip
    from skip, flow -> concat
    high: Two 3
    sigmoid
""",
}


RUNS = {
    "chain": [("one", "two"), ("two", "three"), ("one", "two", "three")],
    "bypass": [("mid", "deep")],
    "sequential": [
        *[("body.0", "body.1"), ("body.1", "body.2"), ("body.2", "body.3"), ("body.0", "body.1", "body.2")],
        ("body.1", "body.2", "body.3"),
    ],
}
"""Neighbours of which each reads what the one before makes, and nobody else does; all of a module is that module."""


@pytest.mark.parametrize(("name", "size"), [("chain", "17x12"), ("bypass", "9x14"), ("sequential", "11x8")])
def test_no_choice_is_better(name: str, size: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of all choices of modules and runs that are apart, each run by torch, at every limit that matters."""
    net = loads(SMALL[name].replace("{size}", size))
    units = [*[(scope.path,) for scope in net.graph.tree.scopes() if scope.path], *RUNS[name]]
    found: dict[tuple[tuple[str, ...], ...], tuple[int, int]] = {}
    plain = real_macs(net, "n", (), 3)
    for count in range(len(units) + 1):
        for places in combinations(units, count):
            paths = [path for place in places for path in place]
            within = any(a != b and a.startswith(f"{b}.") for a in paths for b in paths)
            if not within and len(set(paths)) == len(paths):
                macs = real_macs(net, "n", places, 3) - plain
                found[tuple(sorted(places))] = real_peak(net, "n", places, 3), macs
    assert least(net, 3) == min(peak for peak, _ in found.values())
    # a bound is one in however many steps
    for limit, steps in product(sorted({peak for peak, _ in found.values()}), (1, 2, 1000)):
        monkeypatch.setattr("netdsl.passes.checkpoint._FRONT", steps)
        plan = net.checkpoint_plan(limit, 3)
        assert plan.macs == min(macs for peak, macs in found.values() if peak <= limit)
        assert (plan.peak, plan.macs) == found[tuple(sorted(plan.places))]


def test_running_statistics_move_twice() -> None:
    """In the layers that the plan names, and in no others."""
    net = load("resnet18", 32)
    plan = net.checkpoint_plan(least(net, 33), 33)
    model, _ = build(net, "resnet18", plan.places, 33, "cpu")
    sum(y.sum() for y in tensors(model(torch.randn(33, 3, 32, 32)))).backward()
    seen = {
        name[: -len(".num_batches_tracked")]: int(b) for name, b in model.named_buffers() if "num_" in name
    }
    assert plan.twice
    assert plan.twice == tuple(name for name, count in seen.items() if count == 2)


def test_gradients_stay_what_they_are() -> None:
    """With checkpoints and without, numbers that are drawn too."""
    net = loads(SMALL["chain"].replace("{size}", "9x9").replace("    gap", "    dropout 0.4\n    gap"))
    plan = net.checkpoint_plan(least(net, 4), 4)
    grads = []
    for places in ((), plan.places):
        torch.manual_seed(1)
        model, _ = build(net, "n", places, 4, "cpu")
        model(torch.randn(4, 3, 9, 9)).square().sum().backward()
        grads.append([p.grad for p in model.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*grads, strict=True))


def test_enough_memory_needs_no_checkpoints() -> None:
    """Nothing is recomputed then, at exactly the peak too; a byte less needs some."""
    net = load("resnet18", 64)
    peak = net.memory(16, train=True, optimizer="adam").peak
    plan = net.checkpoint_plan(peak, 16, optimizer="adam")
    assert plan == Plan((), peak, peak, peak, 0, net.cost(16).macs, ())
    assert "nothing has to be recomputed" in render_text(plan)
    less = net.checkpoint_plan(peak - 1, 16, optimizer="adam")
    assert less.places
    assert less.peak < peak == less.peak_without


def test_the_update_alone_may_be_too_much() -> None:
    """Then no checkpoint helps, and the error says so."""
    net = load("alexnet_2012", 227)
    with pytest.raises(NetError, match="updating the parameters"):
        net.checkpoint_plan(10**8, 1, optimizer="adam")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"memory": 0}, "memory must be an int of bytes from 1"),
        ({"memory": 2.0}, "memory must be an int of bytes from 1"),
        ({"memory": MANY, "batch": 0}, "batch must be an int from 1"),
        ({"memory": MANY, "optimizer": "lion"}, "unknown optimizer `lion`"),
        ({"memory": MANY, "dtype": "int8"}, "int8 has no gradients"),
    ],
)
def test_options_without_a_meaning(options: dict[str, Any], message: str) -> None:
    """They are said."""
    with pytest.raises(NetError, match=re.escape(message)):
        load("lenet").checkpoint_plan(**options)


def test_text_of_a_plan() -> None:
    """It says the places, what they save and take, and how to run them."""
    net = load("resnet18", 64)
    plan = net.checkpoint_plan(least(net, 16), 16)
    text = render_text(plan)
    said = [", ".join(paths) if len(paths) < 3 else f"{paths[0]} to {paths[-1]}" for paths in plan.places]
    assert all(f"\n  {place}" in text for place in said)
    assert f"peak {plan.peak:,} bytes instead of {plan.peak_without:,}; {plan.macs:,} MACs" in text
    assert "use_reentrant=False" in text
    assert "move twice" in text

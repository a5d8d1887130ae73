"""What the benchmarks measure without a clock is held here too."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from netdsl_torch import Backend
from storages import Tracker, held_by
from torch_oracles import TORCHVISION, assert_same, execute, inputs, load, perturb

from netdsl import Network
from netdsl.api import loads

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))


@pytest.mark.parametrize("name", TORCHVISION)
def test_needs_no_more_memory_than_torchvision(name: str) -> None:
    from memory import measure

    for ours, theirs in measure(name):
        assert 0 < ours <= theirs


def alive(text: str, name: str, net: Network) -> tuple[int, dict[str, int]]:
    """Return the peak in evaluation, and the bytes alive after each module."""
    with torch.device("meta"):
        model = execute(text)[name]().eval()
        x = inputs(net, 1, "meta")
    tracker, found = Tracker(own=held_by(model)), {}
    for path, module in model.named_modules():
        module.register_forward_hook(lambda *_, path=path: found.update({path: sum(tracker.sizes.values())}))
    with torch.no_grad(), tracker:
        model(*x)
    return tracker.peak, found


LOW = {"nasnet_a_mobile": 96, "hrnet_w18": 64, "unet_same": 64}
"""Nets, and sides of their inputs, that hold less if values are dropped as soon as nobody reads them."""


@pytest.mark.parametrize(("name", "side"), LOW.items())
def test_low_memory_holds_less_and_changes_no_number(name: str, side: int) -> None:
    net = load(name, side)
    texts = [Backend(low_memory=low_memory).emit(net) for low_memory in (False, True)]
    (peak, held), (lower, lower_held) = (alive(text, name, net) for text in texts)
    assert lower <= peak
    assert all(lower_held[path] <= size for path, size in held.items())
    assert sum(lower_held.values()) < sum(held.values())
    if name == "unet_same":  # of the others, all that is alive at the peak is read again, or a caller's
        assert lower < peak
    models = []
    for text in texts:
        torch.manual_seed(0)
        models.append(perturb(execute(text)[name]()))
    for mode in (True, False):
        assert_same(*(model.train(mode) for model in models), inputs(net))


def test_low_memory_drops_nothing_where_nothing_follows() -> None:
    net = loads(
        "net N():\n    input 4, 8x8\n    add:\n        a: conv 3x3, 4\n        b: conv 3x3, 4\n", "n.net", "n"
    )
    assert "del " not in Backend(low_memory=True).emit(net)


def test_what_turns_made_is_dropped_in_a_form_that_compilers_take() -> None:
    """Compilers cannot drop a name that a comprehension reads."""
    net = loads(
        """
block Scales(c, n = 3):
    a: conv 3x3, c * n
    parts = from a -> split n
    concat:
        for i in range(n - 1):
            conv{i}: from parts[i] -> conv 3x3, c
        from parts[n - 1]
    last: conv 1x1, c

net N(n = 3):
    input 4, 8x8
    one: Scales 4, n
    two: Scales 8
    gap
""",
        "n.net",
        "n",
    )
    texts = [Backend(low_memory=low_memory).emit(net) for low_memory in (False, True)]
    assert "del parts" in texts[1]
    (peak, _), (lower, _) = (alive(text, "n", net) for text in texts)
    assert lower <= peak
    models = []
    for text in texts:
        torch.manual_seed(0)
        models.append(execute(text)["n"]())
    assert_same(*models, inputs(net))
    torch._dynamo.reset()
    compiled = torch.compile(models[1].eval(), fullgraph=True, backend="eager")
    with torch.no_grad():
        assert torch.equal(compiled(*inputs(net)), models[0].eval()(*inputs(net)))

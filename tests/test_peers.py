"""What other counters print, against what they printed: tests/data/peers.json, made by benchmarks/peers.py."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from strangers import stranger
from zoo import net

import netdsl
from netdsl import cli
from netdsl.cost.model import COUNTERS
from netdsl.ops import Op, catalogue
from netdsl.ops.activation import Gelu
from netdsl.report.peers import PEERS, Peers, peers_of
from netdsl.testing import networks

DATA: dict[str, Any] = json.loads((Path(__file__).parent / "data" / "peers.json").read_text())
OTHERWISE: dict[str, tuple[str, ...]] = {
    # attention is a function of weights that are not its layers'; ptflops and calflops count `.matmul`, not our `@`
    **dict.fromkeys(
        ("swin_t", "swin_s", "swin_b", "swin_v2_t", "swin_v2_s", "swin_v2_b"),
        ("thop", "ptflops", "torchinfo", "calflops"),
    ),
    # einsum, and bilinear tables
    "maxvit_t": ("fvcore", "ptflops", "calflops"),
}
"""Where torchvision's module is written otherwise than ours, so that a counter prints another number for it."""


def _channels(name: str, *ops: str) -> int:
    """Return the channels of all outputs of some ops, those that run in evaluation."""
    known = net(name)
    return sum(known.shapes[n.name].c for n in known.graph if n.op.name in ops and not n.train)


def _auxiliary(name: str) -> int:
    """Return what is counted of what runs in training only."""
    known, peers = net(name), Peers(net(name))
    return sum(peers.printed(node, PEERS["keras"]).params or 0 for node in known.graph if node.train)


KERAS: dict[str, Callable[[str], int]] = {
    # its convolutions have a bias
    **dict.fromkeys(("resnet50", "resnet101", "resnet152"), lambda name: _channels(name, "conv")),
    # it has a layer that normalises the image: mean and variance of three channels, and a count
    **dict.fromkeys([f"efficientnet_b{number}" for number in range(8)], lambda name: 3 + 3 + 1),
    # its batch normalisation has no weight, and there is no auxiliary head
    **dict.fromkeys(
        ("inception_v3", "inception_resnet_v2"), lambda name: -_channels(name, "bn") - _auxiliary(name)
    ),
}
"""How many parameters Keras' own net has more, where it is another one."""


def found(peers: Peers, counter: str, measured: list[int]) -> list[int]:
    """Return what we say that a counter prints, of as many numbers as it was asked for."""
    return list(peers.total(PEERS[counter]).numbers[: len(measured)])


@pytest.mark.parametrize("name", sorted(DATA["emitted"]))
def test_what_counters_print_for_our_modules(name: str) -> None:
    for counter, numbers in DATA["emitted"][name].items():
        assert found(peers_of(net(name)), counter, numbers) == numbers, counter


@pytest.mark.parametrize("name", sorted(DATA["torchvision"]))
def test_what_counters_print_for_torchvisions_modules(name: str) -> None:
    numbers = DATA["torchvision"][name]
    peers = peers_of(net(name))
    otherwise = {counter for counter, row in numbers.items() if found(peers, counter, row) != row}
    assert otherwise == set(OTHERWISE.get(name, ()))


@pytest.mark.parametrize("key", sorted(DATA["sizes"]))
def test_what_counters_print_at_other_sizes(key: str) -> None:
    name, _, shape = key.partition(" ")
    peers = Peers(netdsl.load(name, inputs={"": tuple(map(int, shape.split("x")))}))
    for counter, numbers in DATA["sizes"][key].items():
        assert found(peers, counter, numbers) == numbers, counter


@pytest.mark.parametrize("key", sorted(DATA["strangers"]))
def test_what_counters_print_for_nets_that_no_rule_was_made_for(key: str) -> None:
    peers = Peers(stranger(key))
    for counter, numbers in DATA["strangers"][key].items():
        assert found(peers, counter, numbers) == numbers, counter


@pytest.mark.parametrize("key", sorted(DATA["ops"]))
def test_what_counters_print_for_an_op(key: str) -> None:
    name, _, number = key.partition(" ")
    peers = Peers(next(networks(list(catalogue()[name].examples())[int(number)])))
    for counter, numbers in DATA["ops"][key].items():
        assert found(peers, counter, numbers) == numbers, counter


@pytest.mark.parametrize("name", sorted(DATA["keras"]))
def test_what_keras_counts(name: str) -> None:
    more = KERAS[name](name) if name in KERAS else 0
    assert peers_of(net(name)).total(PEERS["keras"]).numbers == (DATA["keras"][name] - more,)


def test_enough_was_measured() -> None:
    assert tuple(PEERS) == COUNTERS
    assert len(DATA["emitted"]) >= 177
    assert len(DATA["torchvision"]) >= 80
    for part in ("emitted", "torchvision", "sizes", "strangers", "ops"):
        for name, row in DATA[part].items():
            untraced = {"fvcore"} if name.startswith("nasnet_a_") else set()  # its tracer fails
            assert set(row) == set(COUNTERS) - {"keras"} - untraced, name
    assert {key.partition(" ")[0] for key in DATA["ops"]} == set(catalogue()) - {"input", "weight"}
    for counter in COUNTERS:
        assert DATA["versions"][counter].startswith(PEERS[counter].version)


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    for name, row in (
        ("mobilenet_v2", DATA["emitted"]["mobilenet_v2"]),
        ("googlenet", DATA["emitted"]["googlenet"]),
    ):
        for counter, numbers in row.items():
            assert cli.main(["cost", name, "--as", counter]) == 0
            out = capsys.readouterr().out
            assert all(f"{number:,}" in out for number in numbers)
    assert cli.main(["cost", "mobilenet_v2", "--as", "keras"]) == 0
    assert "bn  +34,112 params" in capsys.readouterr().out
    assert cli.main(["cost", "lenet", "--as", "thop", "--batch", "2"]) == 2
    assert "--batch" in capsys.readouterr().err
    assert cli.main(["cost", "lenet", "--as", "top"]) == 2


def test_a_counter_that_looks_at_what_an_op_does_not_say(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Gelu, "saved", Op.saved)
    assert cli.main(["cost", "mixer_s32_224", "--as", "ptflops-aten"]) == 1
    assert "error[E507]: gelu does not say" in capsys.readouterr().err
    assert cli.main(["explain", "mixer_s32_224", "blocks.0.mlp_tokens.fc1", "macs"]) == 0
    out = capsys.readouterr().out
    assert re.search(r"ptflops-aten +-  gelu does not say", out)
    assert re.search(r"flopcounter +12,845,056  2 for each MAC", out)


def test_differences_add_up() -> None:
    for name in ("mobilenet_v3_small", "inception_v3", "vit_b_32", "deeplabv3_resnet50", "zfnet", "unet"):
        known = net(name)
        peers, own = peers_of(known), known.cost()
        for peer in PEERS.values():
            whole, more = peers.total(peer), Counter[str]()
            for row in peers.differences(peer, known.graph):
                more[row.what] += row.more
            for tally, count in zip(peer.tallies, whole.counts, strict=True):
                assert count == tally.per_mac * own.macs + more[tally.calls]
            assert whole.params is None or whole.params == own.params + more["params"]

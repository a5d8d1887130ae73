"""What other counters print, against what they printed: tests/data/peers.json, made by benchmarks/peers.py."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from strangers import stranger
from zoo import net

import netdsl
from netdsl import cli
from netdsl.cost.model import COUNTERS
from netdsl.ops import catalogue
from netdsl.report.peers import PEERS, Peers, peers_of
from netdsl.testing import networks

DATA: dict[str, Any] = json.loads((Path(__file__).parent / "data" / "peers.json").read_text())
OTHERWISE: dict[str, tuple[str, ...]] = {
    # attention is a function of weights that are not its layers'; ptflops counts `.matmul`, but not our `@`
    "swin_t": ("thop", "ptflops", "torchinfo"),
    "swin_v2_t": ("thop", "ptflops", "torchinfo"),
    # einsum, and bilinear tables
    "maxvit_t": ("fvcore", "ptflops"),
}
"""Where torchvision's module is written otherwise than ours, so that a counter prints another number for it."""


def _channels(name: str, *ops: str) -> int:
    """Return the channels of all outputs of some ops, those that run in evaluation."""
    known = net(name)
    return sum(known.shapes[n.name].c for n in known.graph if n.op.name in ops and not n.train)


def _auxiliary(name: str) -> int:
    """Return what is counted of what runs in training only."""
    known, peers = net(name), Peers(net(name))
    return sum(peers.printed(node, PEERS["keras"]).params for node in known.graph if node.train)


KERAS: dict[str, Callable[[str], int]] = {
    # its convolutions have a bias
    **dict.fromkeys(("resnet50", "resnet101", "resnet152"), lambda name: _channels(name, "conv")),
    # it has a layer that normalises the image: mean and variance of three channels, and a count
    **dict.fromkeys(("efficientnet_b0", "efficientnet_b1"), lambda name: 3 + 3 + 1),
    # its batch normalisation has no weight, and there is no auxiliary head
    **dict.fromkeys(
        ("inception_v3", "inception_resnet_v2"), lambda name: -_channels(name, "bn") - _auxiliary(name)
    ),
}
"""How many parameters Keras' own net has more, where it is another one."""


def found(name: str, counter: str) -> list[int | None]:
    """Return MACs and params as we say that a counter prints them."""
    printed = peers_of(net(name)).total(PEERS[counter])
    return [printed.macs, printed.params]


@pytest.mark.parametrize("name", sorted(DATA["emitted"]))
def test_what_counters_print_for_our_modules(name: str) -> None:
    for counter, numbers in DATA["emitted"][name].items():
        assert found(name, counter)[: len(numbers)] == numbers, counter


@pytest.mark.parametrize("name", sorted(DATA["torchvision"]))
def test_what_counters_print_for_torchvisions_modules(name: str) -> None:
    numbers = DATA["torchvision"][name]
    otherwise = tuple(counter for counter, row in numbers.items() if found(name, counter)[: len(row)] != row)
    assert set(otherwise) == set(OTHERWISE.get(name, ()))


@pytest.mark.parametrize("key", sorted(DATA["sizes"]))
def test_what_counters_print_at_other_sizes(key: str) -> None:
    name, _, shape = key.partition(" ")
    peers = Peers(netdsl.load(name, inputs={"": tuple(map(int, shape.split("x")))}))
    for counter, numbers in DATA["sizes"][key].items():
        printed = peers.total(PEERS[counter])
        assert [printed.macs, printed.params][: len(numbers)] == numbers, counter


@pytest.mark.parametrize("key", sorted(DATA["strangers"]))
def test_what_counters_print_for_nets_that_no_rule_was_made_for(key: str) -> None:
    peers = Peers(stranger(key))
    for counter, numbers in DATA["strangers"][key].items():
        printed = peers.total(PEERS[counter])
        assert [printed.macs, printed.params][: len(numbers)] == numbers, counter


@pytest.mark.parametrize("key", sorted(DATA["ops"]))
def test_what_counters_print_for_an_op(key: str) -> None:
    name, _, number = key.partition(" ")
    peers = Peers(next(networks(list(catalogue()[name].examples())[int(number)])))
    for counter, numbers in DATA["ops"][key].items():
        printed = peers.total(PEERS[counter])
        assert [printed.macs, printed.params][: len(numbers)] == numbers, counter


@pytest.mark.parametrize("name", sorted(DATA["keras"]))
def test_what_keras_counts(name: str) -> None:
    more = KERAS[name](name) if name in KERAS else 0
    assert [None, DATA["keras"][name] - more] == found(name, "keras")


def test_enough_was_measured() -> None:
    assert tuple(PEERS) == COUNTERS
    assert len(DATA["emitted"]) >= 90
    assert len(DATA["torchvision"]) >= 45
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


def test_differences_add_up() -> None:
    for name in ("mobilenet_v3_small", "inception_v3", "vit_b_32", "deeplabv3_resnet50", "zfnet", "unet"):
        known = net(name)
        peers, own = peers_of(known), known.cost()
        for peer in PEERS.values():
            rows, whole = peers.differences(peer, known.graph), peers.total(peer)
            assert whole.macs is None or whole.macs == own.macs + sum(macs for _, _, macs, _ in rows)
            assert whole.params == own.params + sum(params for *_, params in rows)

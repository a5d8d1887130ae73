"""Models as people write them who know nothing of specs: lists, dicts, shared modules, maps that are added up."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from netdsl import lift
from netdsl.diagnostics import NetError
from netdsl.frontend import Lifted

IMAGE = (3, 16, 24)


def lifted(model: Any, inputs: Any = IMAGE, **args: Any) -> Lifted:
    """Return what a model becomes, whose outputs are equal bit for bit."""
    found = lift(model, inputs, **args)
    assert [check.said for check in found.checks if "outputs" in check.what] == ["equal bit for bit"] * 2
    return found


def lines(found: Lifted, head: str) -> list[str]:
    """Return the lines of one block or net without white space around."""
    text = found.text
    return [line.strip() for line in text[text.index(head) :].partition("\n\n")[0].splitlines()]


class Heads(nn.Module):
    """A tower and heads of a dict that all levels share; outputs of a dict."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, 2, 1)
        self.tower = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.GroupNorm(4, 8), nn.ReLU())
        self.heads = nn.ModuleDict({"kind": nn.Conv2d(8, 5, 1), "box": nn.Conv2d(8, 4, 1)})
        self.pool = nn.MaxPool2d(2)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        fine = self.stem(x)
        found = {}
        for name, level in (("fine", fine), ("coarse", self.pool(fine))):
            y = self.tower(level)
            found |= {f"{name}_{key}": head(y) for key, head in self.heads.items()}
        return found


def test_a_tower_and_heads_of_all_levels() -> None:
    found = lifted(Heads())
    outputs = [output.name for output in found.net.graph.outputs]
    assert outputs == ["fine_kind", "fine_box", "coarse_kind", "coarse_box"]
    assert found.text.count("same ") == 3


class Encoder(nn.Module):
    """Lists of layers; every second one adds to what it is given."""

    def __init__(self, c: int, n: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, c, 3, 2, 1)
        self.convs = nn.ModuleList([nn.Conv2d(c, c, 3, padding=1) for _ in range(n)])
        self.norms = nn.ModuleList([nn.BatchNorm2d(c) for _ in range(n)])

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for at, (conv, norm) in enumerate(zip(self.convs, self.norms, strict=True)):
            y = F.leaky_relu(norm(conv(x)), 0.1)
            x = x + y if at % 2 == 0 else y
        return x.mean((2, 3))


class Twins(nn.Module):
    def __init__(self, c: int = 8, n: int = 3) -> None:
        super().__init__()
        self.encoder = Encoder(c, n)
        self.fc = nn.Linear(2 * c, 2)

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        return self.fc(torch.cat([self.encoder(left), self.encoder(right)], 1))


def test_an_encoder_of_two_images() -> None:
    found = lifted(Twins, {"left": IMAGE, "right": IMAGE}, n=4)
    assert list(found.net.inputs) == ["left", "right"]
    assert lines(found, "net Twins")[3:6] == [
        "concat:",
        "encoder: from left -> Encoder",
        "from right -> same encoder",
    ]


class Pyramid(nn.Module):
    """Lists that are registered from fine to coarse and used from coarse to fine; outputs of a list."""

    def __init__(self, n: int = 3, blocks: bool = False) -> None:
        super().__init__()
        self.downs = nn.ModuleList([nn.Conv2d(3 if at == 0 else 8, 8, 3, 2, 1) for at in range(n)])
        layers = [nn.Conv2d(8, 4, 1) for _ in range(n)]
        self.lateral = nn.ModuleList([nn.Sequential(one, nn.ReLU()) for one in layers] if blocks else layers)
        self.out = nn.ModuleList([nn.Conv2d(4, 4, 3, padding=1) for _ in range(n)])

    def forward(self, x: Tensor) -> list[Tensor]:
        maps = []
        for down in self.downs:
            x = down(x)
            maps.append(x)
        y = self.lateral[-1](maps[-1])
        found = [self.out[-1](y)]
        for at in range(len(maps) - 2, -1, -1):
            y = self.lateral[at](maps[at]) + F.interpolate(y, scale_factor=2)
            found.insert(0, self.out[at](y))
        return found


@pytest.mark.parametrize("blocks", [False, True])
def test_lists_that_are_used_backwards(blocks: bool) -> None:
    found = lifted(Pyramid(blocks=blocks), (3, 16, 24))
    named = [key for key in found.net.build().state_dict() if key.startswith("lateral")]
    assert named == [key for key in Pyramid(blocks=blocks).state_dict() if key.startswith("lateral")]


class Backwards(nn.Module):
    """Each layer of a list needs what the one after it makes."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Conv2d(3, 3, 3) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        for layer in reversed(self.layers):
            x = layer(x)
        return x


def test_a_list_that_runs_from_its_end() -> None:
    assert "order layers.0, layers.1, layers.2\n" in lifted(Backwards(), IMAGE).text


class Growing(nn.Module):
    """A list of maps that gets longer, all of which every layer reads."""

    def __init__(self, c: int, growth: int, n: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Sequential(
                nn.BatchNorm2d(c + at * growth), nn.ReLU(), nn.Conv2d(c + at * growth, growth, 3, 1, 1)
            )
            for at in range(n)
        )

    def forward(self, x: Tensor) -> Tensor:
        maps = [x]
        for layer in self.layers:
            maps.append(layer(torch.cat(maps, 1)))
        return torch.cat(maps, 1)


class Joined(nn.Module):
    """The same, where each layer joins what it is given."""

    def __init__(self, c: int, growth: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(c)
        self.conv = nn.Conv2d(c, growth, 1)

    def forward(self, maps: list[Tensor]) -> Tensor:
        return self.conv(F.relu(self.norm(torch.cat(maps, 1))))


class Dense(nn.Module):
    def __init__(self, counts: tuple[int, ...] = (3, 4)) -> None:
        super().__init__()
        self.one = Growing(3, 4, counts[0])
        self.two = Growing(3 + 4 * counts[0], 4, counts[1])
        c = 3 + 4 * sum(counts)
        self.inner = nn.ModuleList(Joined(c + 2 * at, 2) for at in range(3))
        self.end = nn.Conv2d(c + 6, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        maps = [self.two(self.one(x))]
        for layer in self.inner:
            maps.append(layer(maps))
        return self.end(torch.cat(maps, 1))


def test_lists_of_maps_that_get_longer() -> None:
    found = lifted(Dense())
    assert lines(found, "block Growing") == [
        "block Growing(n):",
        "for i in range(n):",
        "concat:",
        "from flow",
        "layers.{i}: bn -> relu -> conv 3x3, 4",
    ]
    assert lines(found, "net Dense")[2:] == [
        "Growing 3 as one -> Growing 4 as two",
        "for i in range(3):",
        "concat:",
        "from flow",
        "inner.{i}: Joined",
        "end: conv 1x1, 2",
    ]


class Residuals(nn.Module):
    """Sums in a loop over lists, and a sum of three."""

    def __init__(self, n: int = 3) -> None:
        super().__init__()
        self.a = nn.ModuleList(nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 3, 1)) for _ in range(n))
        self.b = nn.ModuleList(nn.Conv2d(3, 3, 3, padding=1) for _ in range(n))
        self.c = nn.Conv2d(3, 3, 5, padding=2)

    def forward(self, x: Tensor) -> Tensor:
        for a, b in zip(self.a, self.b, strict=True):
            x = x + a(x)
            x = x + b(x)
        return x + self.c(x) + x.tanh()


def test_a_loop_over_sums() -> None:
    found = lifted(Residuals())
    assert lines(found, "net Residuals")[2:9] == [
        "for i in range(3):",
        "add:",
        "from flow",
        "a.{i}: bn -> conv 1x1, 3",
        "add:",
        "from flow",
        "b.{i}: conv 3x3, 3",
    ]
    assert [len(node.inputs) for node in found.net.graph if node.op.name == "add"] == [*[2] * 6, 3]


class Normalised(nn.Module):
    """A buffer that nothing reads, in a block that is there twice, and one of a module of torch's."""

    class Inner(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("mean", torch.zeros(3, 1, 1))
            self.register_buffer("std", torch.ones(3, 1, 1))
            self.unused = nn.Linear(2, 2, bias=False)

        def forward(self, x: Tensor) -> Tensor:
            return x - self.mean

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(self.Inner(), nn.Conv2d(3, 4, 1), nn.Conv2d(4, 3, 1), self.Inner())

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


def test_state_that_nothing_reads_has_a_place() -> None:
    with pytest.raises(NetError) as caught:
        lift(Normalised(), IMAGE)
    said = [re.sub(r" \(.*/", " (", diagnostic.message) for diagnostic in caught.value.diagnostics]
    place = f"test_lift_strangers.py:{Normalised.Inner.__init__.__code__.co_firstlineno - 1}"
    assert said == [
        f"no op says `state` in `layers.0` and 1 more: `layers.0.std` of its state is in no op that an output "
        f"needs ({place})",
        f"no op says `state` in `layers.0.unused` and 1 more: `layers.0.unused.weight` of its state is in no op "
        f"that an output needs ({place})",
    ]

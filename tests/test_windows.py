"""Attention in parts, and within windows, against torchvision's and torch's own functions, with other arguments."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch_oracles import execute

import netdsl
from netdsl import api
from netdsl.backend import emit_family
from netdsl.diagnostics import NetError
from netdsl.network import Network

SWIN = """
import WindowAttention, CosineAttention from "swin.net"
net Windows(unit: op, heads, window: dims, shift: dims, c = 12):
    input c, 8x8
    permute 1, 2, 0
    attn: unit heads, window, shift
    norm: ln
variant one = Windows(WindowAttention, 2, 4x4, 2x2)
variant two = Windows(CosineAttention, 2, 4x4, 2x2)
"""
MAXVIT = """
import PartitionAttention from "maxvit.net"
net Partitions(head, window: dims, grid: bool, c = 12, drop = 0.0):
    input c, 8x8
    part: PartitionAttention head, window, grid, drop
variant whole = Partitions(4, 4x4, false)
variant grid = Partitions(4, 4x4, true)
"""


def nets(text: str) -> list[Network]:
    """Return the nets of a file."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "windows.net"
        file.write_text(text, encoding="utf-8")
        return [*netdsl.load_family(str(file))]


def modules(text: str) -> dict[str, Any]:
    """Return what the module of a file of nets defines."""
    return execute("".join(emit_family(nets(text), "torch").values()))


def numbers(model: nn.Module, seed: int) -> nn.Module:
    """Give all that is learned random numbers."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for tensor in model.parameters():
            tensor.copy_(torch.randn(tensor.shape, generator=generator) * 0.3)
    return model


def same(ours: nn.Module, theirs: nn.Module, x: Tensor) -> None:
    """Assert equal outputs and gradients, bit by bit."""
    found = []
    for model in (ours, theirs):
        leaf = x.clone().requires_grad_()
        out = model(leaf)
        gradients = torch.autograd.grad(
            (out * torch.linspace(-1, 1, out.numel()).view_as(out)).sum(), [leaf, *model.parameters()]
        )
        found.append([out, *gradients])
    for mine, other in zip(*found, strict=True):
        assert torch.equal(mine, other)


class Theirs(nn.Module):
    """torchvision's attention between what surrounds ours."""

    def __init__(self, attn: nn.Module, c: int) -> None:
        super().__init__()
        self.attn = attn
        self.norm = nn.LayerNorm(c)

    def forward(self, x: Tensor) -> Tensor:
        """Apply it to a map with its channels last."""
        y: Tensor = self.norm(self.attn(x.permute(0, 2, 3, 1)))
        return y


CASES = [
    ((heads, (rows, columns), shift), size)
    for heads, (rows, columns), shift, size in (
        (1, (2, 2), (1, 1), (4, 4)),
        (2, (4, 4), (2, 2), (8, 8)),
        (3, (3, 5), (1, 2), (7, 11)),
        (4, (7, 7), (3, 3), (7, 7)),
        (2, (7, 7), (3, 3), (9, 6)),
        (2, (4, 3), (0, 1), (5, 10)),
        (6, (5, 2), (2, 0), (3, 1)),
        (2, (4, 4), (0, 0), (6, 9)),
    )
]


@pytest.mark.parametrize("cosine", [False, True])
@pytest.mark.parametrize(("arguments", "size"), CASES)
def test_window_attention_is_torchvisions(
    arguments: tuple[Any, ...], size: tuple[int, int], cosine: bool, torchvision: Any
) -> None:
    """The class that was compiled for others, with other heads, windows, shifts and sizes."""
    swin = torchvision.models.swin_transformer
    heads, window, shift = arguments
    made = modules(SWIN)
    unit = made["CosineAttention" if cosine else "WindowAttention"]
    ours = made["Windows"](unit, *arguments)
    kind = swin.ShiftedWindowAttentionV2 if cosine else swin.ShiftedWindowAttention
    theirs = Theirs(kind(12, list(window), list(shift), heads), 12)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    numbers(ours, 3)
    theirs.load_state_dict(ours.state_dict())
    assert torch.equal(ours.attn.relative_position_index, theirs.attn.relative_position_index)
    for training in (False, True):
        x = torch.randn(2, 12, *size, generator=torch.Generator().manual_seed(5))
        same(ours.train(training), theirs.train(training), x)


@pytest.mark.parametrize("grid", [False, True])
@pytest.mark.parametrize(("head", "window", "size"), [(4, 4, (8, 8)), (3, 2, (6, 4)), (12, 3, (3, 9))])
def test_partitions_are_maxvits(
    grid: bool, head: int, window: int, size: tuple[int, int], torchvision: Any
) -> None:
    kinds = torchvision.models.maxvit
    ours = modules(MAXVIT)["Partitions"](head, (window, window), grid)
    number = size[0] // window
    if size[0] != size[1]:  # theirs takes the number of partitions from one side
        return check_grid(window, size, grid)
    theirs = kinds.PartitionAttentionLayer(
        12, head, window, "grid" if grid else "window", size, 4, nn.GELU, nn.LayerNorm, 0.0, 0.0, 0.0
    )
    assert number == theirs.n_partitions
    numbers(ours, 3)
    theirs.load_state_dict({k.removeprefix("part."): v for k, v in ours.state_dict().items()})
    x = torch.randn(2, 12, *size, generator=torch.Generator().manual_seed(5))
    same(ours, theirs, x)
    return None


def check_grid(window: int, size: tuple[int, int], grid: bool) -> None:
    """Hold which places are together where the sides differ."""
    net = api.loads(
        f"net N:\n    input 1, {size[0]}x{size[1]}\n    windows {window}x{window}, spread={str(grid).lower()}\n"
    )
    x = torch.arange(size[0] * size[1]).view(1, 1, *size).float()
    held = net.build().eval()(x)[0, :, :, 0]
    down, across = size[0] // window, size[1] // window
    for b, n in product(range(down * across), range(window * window)):
        i, j, a, c = b // across, b % across, n // window, n % window
        row, column = (a * down + i, c * across + j) if grid else (i * window + a, j * window + c)
        assert held[b, n] == row * size[1] + column


def test_both_backends_and_the_facts_agree() -> None:
    """At other sizes, of which windows are no whole part, with other windows."""
    for text, size in ((SWIN, "7x9"), (MAXVIT, "6x5")):
        for net in nets(text.replace("8x8", size)):
            report = netdsl.verify(net)
            assert report.ok, str(report)


ATTENTION = """
block Attention(heads):
    q: fc x.c
    k: from x -> fc x.c as k
    v: from x -> fc x.c as v
    from q, k, v -> attend heads -> fc x.c as proj
net Attends(heads = 2, n = 6, c = 8):
    input n, c
    attn: Attention heads
"""


@pytest.mark.parametrize(("heads", "n"), [(1, 6), (4, 9)])
def test_attend_is_torchs(heads: int, n: int) -> None:
    """With projections of one's own, against scaled_dot_product_attention."""
    model = numbers(modules(ATTENTION)["Attends"](heads=heads), 1).double()
    attn: Any = model.attn
    x = torch.randn(2, n, 8).double()
    q, k, v = (layer(x).unflatten(-1, (heads, -1)).transpose(1, 2) for layer in (attn.q, attn.k, attn.v))
    wanted = attn.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
    torch.testing.assert_close(model(x), wanted)


TOGETHER = {
    "biases of attention in a list of layers": """
block Attn(heads, n):
    weight bias [heads, n, n], init=normal(0, 0.5)
    q, k, v = from x -> qkv as qkv -> split 3
    from q, k, v -> attend heads, bias=bias -> fc x.c as proj

block Layer(heads, n, hidden):
    a = add:
        from x
        from x -> ln as norm1 -> Attn heads, n as attn
    add:
        from a
        from a -> ln as norm2 -> (fc hidden -> gelu -> fc x.c) as mlp

net A(heads: list, c = 12):
    input 3, 16x12
    embed: conv 4x4, c, /4, pad=0
    tokens
    for h in heads:
        layers.{h}: Layer h, 12, 2*c
    mean "n"
    head: fc 5
variant one = A([1, 2, 3])
""",
    "a non-local block, windows, a second moment": """
block Spatial(c):
    theta: conv 1x1, c
    phi: from x -> conv 1x1, c
    g: from x -> conv 1x1, c
    q = from theta -> tokens
    k = from phi -> maxpool 2x2, /2 -> tokens
    v = from g -> maxpool 2x2, /2 -> tokens
    y = from q, k, v -> attend 1, scale=1.0 -> map like=x
    add:
        from x
        from y -> conv 1x1, x.c as out
net NLocal(c = 6):
    input 8, 9x14
    nl: Spatial c
    windows 3x5 -> ln as l -> fc 16 as f1 -> gelu -> fc 8 as f2
    unwindows 3x5, like=nl
    xca = from flow -> tokens
    from xca -> permute 1, 0
    from flow, xca -> matmul -> softmax -> mean "n"
    fc: fc 3
""",
    "windows of a module that runs again": """
block Enc(c):
    w: windows 4, shift=2 -> fc c as a -> relu -> fc x.c as b
    unwindows 4, shift=2, like=x
net Siam(c = 6, n = 2):
    input left: 4, 9x7
    input right: 4, 9x7
    l = from left -> Enc c as enc
    r = from right -> same enc
    from l, r -> concat
    mix: conv 1x1, 4
    Enc 2*c as again -> n * same again
    gap
    fc: fc 3
""",
    "what reductions make of learned tensors": """
net D(c = 6):
    input 3, 9x7
    conv: conv 3x3, c
    weight scale [c, 4, 5], init=normal(0, 0.5)
    weight rows [4, c], batch=true, init=normal(0, 0.5)
    gate = from scale -> softmax axis="h" -> mean "hw"
    more = from rows -> softmax -> amax "n"
    kept = from scale -> mean "hw", keep=true
    from conv, gate, more, kept -> mul
    gap
    fc: fc 3
""",
}


@pytest.mark.parametrize("text", TOGETHER.values(), ids=TOGETHER)
def test_parts_go_together(text: str) -> None:
    (net,) = nets(text)
    report = netdsl.verify(net)
    assert report.ok, str(report)


def test_matmul_is_a_second_moment() -> None:
    net = api.loads("net N:\n    input 5, 4\n    (permute 1, 0 | identity) -> matmul\n")
    x = torch.randn(2, 5, 4)
    torch.testing.assert_close(net.build()(x), x.transpose(1, 2) @ x)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("windows 4x4, shift=5x5", "must be at most 4"),
        ("windows 0", "at least 1"),
        ("tokens -> windows 4x4", "windows needs a map, got tokens"),
        ("(identity | identity | identity) -> attend 2", "attend needs tokens"),
        ("tokens -> (identity | identity | fc 4) -> attend 3", "cannot be divided into 3 heads"),
        ("tokens -> (identity | identity) -> matmul", "do not fit"),
        ("window_mask 4x4, shift=1x1, spread=true", "spread"),
    ],
)
def test_what_does_not_fit_is_said(line: str, message: str) -> None:
    with pytest.raises(NetError) as caught:
        api.loads(f"net N:\n    input 12, 8x8\n    {line}\n    gap\n")
    assert message in str(caught.value)


@pytest.mark.parametrize("name", ["one", "two", "whole", "grid"])
def test_exports_for_any_batch(name: str) -> None:
    """At one size: torch's solver does not see that windows are cut and joined evenly at all."""
    net = next(net for net in nets(SWIN if name in ("one", "two") else MAXVIT) if net.name == name)
    model, batch = net.build().eval(), torch.export.Dim("batch", max=64)
    program = torch.export.export(model, (torch.randn(2, 12, 9, 14),), dynamic_shapes=({0: batch},))
    x = torch.randn(3, 12, 9, 14)
    torch.testing.assert_close(program.module()(x), model(x))


def test_relative_starts_are_of_buffers() -> None:
    for line, message in (
        ("weight t [16], init=relative_positions(2, 2)", "not learned"),
        ("weight t [15], learned=false, init=relative_positions(2, 2)", "must be 16"),
        ("weight t [3, 3, 3], learned=false, init=relative_coords", "rows x columns x 2"),
        ('weight t [3, 3, 2], axes="nc"', "axes must be"),
        ("a: conv 3x3, 4, init=relative_coords", "no way to start"),
    ):
        with pytest.raises(NetError) as caught:
            api.loads(f"net N:\n    input 12, 8x8\n    {line}\n    gap\n")
        assert message in str(caught.value), line


def test_a_schedule_goes_on_in_the_containers_of_a_loop() -> None:
    """It began anew in each: MaxViT's layers are in containers."""
    text = """
block B(drop: float):
    add:
        identity
        conv: conv 3x3, x.c -> droppath drop
net N(n: list, drop = 0.2):
    input 3, 8x8
    for i, depth in enumerate(n):
        blocks.{i}:
            for j in range(depth):
                layers.{j}: B ramp(0, drop)
variant v = N([2, 3])
"""
    for given in ([2, 3], [1, 2, 4], [3]):
        model = modules(text)["N"](given)
        rates = [m.p for m in model.modules() if type(m).__name__ == "DropPath"]
        steps = max(sum(given) - 1, 1)
        assert rates == pytest.approx([0.2 * i / steps for i in range(sum(given))])

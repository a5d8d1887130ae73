"""Children in lists (`convs.0`), and children that are registered in another order than that of their use."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import import_torchvision
from interpreter import draw_state, interpret, state_shapes
from metamorphic import report, subjects_of
from netdsl_torch.run import by_name, without_dropout
from netdsl_torch.weights import tensors
from test_emitted import IGNORED, RULES, mypy, tool
from torch import nn
from torch_oracles import execute

import netdsl
from netdsl import Network, api
from netdsl.backend import emit_family, own_state
from netdsl.diagnostics import NetError
from netdsl.ir.graph import Scope

BOTTLE2NECK = """\
default conv bias=false

block Bottle2neck(planes, stride = 1, scale = 4, base = 26, first = false):
    width = planes * base // 64
    conv 1x1, scale*width as conv1 -> bn as bn1 -> relu as relu
    parts = from flow -> split scale
    from parts[0]
    for i in range(scale - 1):
        if i == 0 or first:
            from parts[i]
        else:
            from flow, parts[i] -> add
        conv 3x3, width, /stride as convs.{i} -> bn as bns.{i} -> relu as relu
        y{i} = from flow
    concat:
        for i in range(scale - 1):
            from y{i}
        from parts[scale - 1] -> [avgpool 3x3, /stride, pad=1 as pool when first]
    out = from flow -> conv 1x1, 4*planes as conv3 -> bn as bn3
    from x
    add:
        from out
        downsample: conv 1x1, 4*planes, /stride -> bn when first
    relu: relu

net N(planes = 16, stride = 1, scale = 4, first = false):
    input 64, 19x16
    unit: Bottle2neck planes, stride, scale, first=first
"""

OSA = """\
default conv bias=false

block ConvNormAct(c, kernel: dims = 1x1):
    conv: conv kernel, c
    bn: bn
    relu

block OsaBlock(mid, c, layers):
    for i in range(layers):
        ConvNormAct mid, 3x3 as conv_mid.{i}
        y{i} = from flow
    concat:
        from x
        for i in range(layers):
            from y{i}
    ConvNormAct c as conv_concat

net N(layers = 5):
    input 12, 9x11
    unit: OsaBlock 8, 20, layers
"""

ASPP = """\
default conv bias=false

block ASPP(rates: list, c = 256):
    concat:
        convs.0: conv 1x1, c -> bn -> relu
        for i, rate in enumerate(rates, 1):
            convs.{i}: conv 3x3, c, dilation=rate -> bn -> relu
        (avgpool to=1x1 -> conv 1x1, c -> bn -> relu) as convs.{len(rates)+1} -> resize like=x, mode="bilinear"
    project: conv 1x1, c -> bn -> relu -> dropout 0.5

net N(c = 16, rates = [2, 3, 5]):
    input 24, 13x18
    unit: ASPP rates, c
"""

FPN = """\
block FPN(c) from c0, c1, c2:
    inner_blocks.0: from c0 -> (conv 1x1, c)
    inner_blocks.1: from c1 -> (conv 1x1, c)
    inner_blocks.2: from c2 -> (conv 1x1, c)
    t1 = from inner_blocks.2 -> resize like=c1
    t1 = from inner_blocks.1, t1 -> add
    t0 = from t1 -> resize like=c0
    t0 = from inner_blocks.0, t0 -> add
    layer_blocks.0: from t0 -> (conv 3x3, c)
    layer_blocks.1: from t1 -> (conv 3x3, c)
    layer_blocks.2: from inner_blocks.2 -> (conv 3x3, c)
    return layer_blocks.0, layer_blocks.1, layer_blocks.2

net N(c = 16):
    input f0: 8, 21x24
    input f1: 12, 11x12
    input f2: 16, 5x6
    p0, p1, p2 = from f0, f1, f2 -> FPN c as unit
    output p1: from p1
    output p2: from p2
    from p0
"""

PYRAMID = """\
block FPN(c):
    fork:
        for i in range(len(x)):
            inner_blocks.{i}: from x[i] -> (conv 1x1, c)
    inner = from flow
    top = from inner[len(x) - 1]
    level{len(x)-1} = from top
    for k in range(len(x) - 1):
        i = len(x) - 2 - k
        top = from top -> resize like=inner[i]
        top = from inner[i], top -> add
        level{i} = from top
    fork:
        for i in range(len(x)):
            layer_blocks.{i}: from level{i} -> (conv 3x3, c)

net N(c = 16):
    input f0: 8, 21x24
    input f1: 12, 11x12
    input f2: 16, 5x6
    p0, p1, p2 = from f0, f1, f2 -> FPN c as unit
    output p1: from p1
    output p2: from p2
    from p0
"""

MERGING = """\
block PatchMerging():
    order reduction
    pad right=x.w % 2, bottom=x.h % 2
    (slice 0x0, /2 | slice 1x0, /2 | slice 0x1, /2 | slice 1x1, /2) -> concat
        -> tokens -> ln as norm -> fc 2*x.c, bias=false as reduction

net N():
    input 6, 14x10
    unit: PatchMerging
"""

PREACT = """\
default conv bias=false

block DownsampleConv(c, stride = 1):
    conv: conv 1x1, c, /stride
    norm: identity

block PreActBottleneck(c, stride = 1):
    order downsample
    mid = make_divisible(c/4, 8)
    preact = from x -> bn as norm1 -> relu
    add:
        from preact -> conv 1x1, mid as conv1 -> bn as norm2 -> relu -> conv 3x3, mid, /stride as conv2
            -> bn as norm3 -> relu -> conv 1x1, c as conv3
        if stride != 1 or x.c != c:
            from preact -> DownsampleConv c, stride as downsample
        else:
            identity

net N(c = 32, stride = 2):
    input 16, 13x10
    unit: PreActBottleneck c, stride
"""

LISTS = """\
block Res2(c, scale = 4, stride = 1, first = false):
    order downsample
    conv1: conv 1x1, c*scale -> bn
    parts = from flow -> split scale
    for i in range(max(1, scale - 1)):
        one = from parts[i]
        if i == 0 or first:
            y = from one
        else:
            y = from y, one -> add
        y = from y -> conv 3x3, c, /stride as convs.{i} -> bn as bns.{i} -> relu
        y{i} = from y
    from y -> conv 1x1, c as conv3
    downsample: conv 1x1, c when first

block Cond(c, n = 2, deep = true, k = 3):
    conv 3x3, c as convs.0
    if deep:
        conv 1x1, c as convs.1
        bn as bns.1
    else:
        conv 3x3, c as convs.1
    for i in range(n):
        if i > 0:
            conv 3x3, c as odd.{i}
        conv 3x3, c as more.{2*i}
        bn as more.{2*i+1}
        for j in range(k):
            conv 1x1, c as deepest.{i*k+j}
            conv 1x1, c as grid.{i}.{j}
    conv 3x3, c as more.{2*n} when deep
    from convs.0, flow -> add
    words.a: conv 3x3, c
    words."b-c": conv 3x3, c when deep
    acts.0: relu
    conv 1x1, c as last{n}.0
    conv 1x1, c as last{n}.7
    from convs.1 -> relu as acts.0

block Early(c, n = 2, deep = true):
    if deep:
        other: conv 1x1, c
        conv 3x3, c as convs.0
    bn as bn
    for i in range(n):
        a{i}: conv 1x1, c
        conv 3x3, c as convs.{i+1}
    for i in range(n):
        conv 1x1, c as tail.{i}
    mid: conv 1x1, c
    conv 1x1, c as tail.{n}

net N(c = 8, n = 2, deep = true, scale = 4):
    input 3, 12x9
    conv 3x3, c as convs.0
    for i in range(n):
        convs.{i+1}: conv 3x3, c -> bn -> relu
    res: Res2 c, scale
    res2: Res2 c, scale, first=deep
    blocks.x: Cond c, n, deep
    blocks.y: Cond c, n+1, not deep, 1
    body:
        for i in range(n):
            conv 1x1, c as convs.{i}
        "0-x".{n}: conv 1x1, c
    e: Early c, n, deep
    gap
    heads.0: fc 10

variant one = N()
variant two = N(c=6, n=0, deep=false, scale=2)
variant three = N(c=4, n=3, scale=1)
"""

ORDER = """\
block Merge(c):
    order reduction, norm
    (slice 0x0, /2 | slice 1x0, /2) -> concat -> bn as norm -> conv 1x1, c as reduction

block Pre(c, stride = 1, deep = true):
    order downsample
    bn as norm1 -> relu as act1
    add:
        downsample: conv 1x1, c, /stride when stride != 1 or x.c != c
        main:
            order b
            conv 3x3, c, /stride as a -> bn as b
            tail: conv 1x1, c when deep

net N(c = 8, n = 2):
    order head, convs
    input 3, 12x10
    stem: conv 3x3, c
    for i in range(n):
        conv 3x3, c as convs.{i}
    if c > 4:
        extra: conv 1x1, c
    m: Merge 2*c
    p: Pre c, 2
    fuse.0.1: conv 1x1, c
    fuse.{n}.0: conv 1x1, c
    gap
    head: fc 10

variant one = N()
variant two = N(c=3, n=0)
variant three = N(c=5, n=3)
"""

INSIDE = """\
block Unit(c, n):
    init conv weight=normal(0, 0.1)
    for i in range(n):
        conv 3x3, c, init=constant(0.5) as convs.{i}
        unit.{i}.a: conv 3x3, c -> bn
    for i in range(n):
        Inner c as blocks.{i}

block Inner(c):
    conv 3x3, x.c + c as conv

net N(n = 2):
    input 3, 9x8
    init conv bias=zeros
    Unit 4, n as units.0
    conv 3x3, 4, init=zeros as units.1
    Unit 4, n + 1 as units.2
"""


COUNTED = """\
table rows(c, k):
    4, 3x3
    6, 1x1
    5, 3x3
    8, 1x1

block Fuse(i):
    add:
        for j in range(len(x)):
            if j < i:
                "{j}": from x[j] -> conv 3x3, x[i].c
            elif j == i:
                from x[j]
            else:
                "{j}": from x[j] -> conv 1x1, x[i].c -> bn
    relu

block Streams(n):
    for k in range(n):
        "{k}": Exchange

block Exchange():
    fork:
        for i in range(len(x)):
            fuse.{i}: from x[i] -> conv 3x3, x[i].c
    fork:
        for i in range(len(x)):
            Fuse i as fused.{i}

block Rows(deep = true):
    "0": (conv 3x3, 4 -> bn)
    for i, (c, k) in enumerate(rows[:3], 1):
        "{i}": conv k, c
    low = from flow
    for i, (c, k) in enumerate(rows[3:], 4):
        "{i}": conv k, c
    add:
        identity
        "5": conv 3x3, 8 when deep
    from flow, low

block Twice(c, n = 2):
    for i in range(n - 1):
        "{i}": conv 3x3, c
    add:
        identity
        "{n-1}": conv 1x1, c
    "{n}": relu
    relu

block Names(c, n = 2):
    for i in range(n):
        "{i+1}": conv 3x3, c
    add:
        identity
        "0": conv 3x3, c -> dropout 0.1

block Few(c, n = 1):
    for i in range(n):
        "{i}": conv 3x3, c
        y{i} = from flow
    from y0, flow -> add -> dropout 0.1

net N(n = 2, deep = true, c = 8):
    input 3, 9x8
    high, low = from flow -> Rows deep as rows
    ys = from high, low, high -> Streams n as streams
    from ys[0], ys[2] -> add
    Twice 8, n + 1 as twice
    Names 8, n as names
    Few 8, n + 1 as few
    body:
        order "1"
        "0": conv 3x3, c
        "1": bn
    tail: add:
        identity
        "0": conv 3x3, c
    gap
    head: fc 10

variant one = N()
variant two = N(n=1, deep=false)
variant three = N(n=3, c=4)
"""


def nets(text: str) -> list[Network]:
    """Return the nets of a text."""
    return list(map(Network, api.recipes(api.read_text(text), "", {}, {})))


def built(text: str, **settings: Any) -> nn.Module:
    """Return the module of a spec's only net, with weights drawn from seed 0."""
    net = api.loads(text, **settings)
    torch.manual_seed(0)
    model: nn.Module = execute(net.emit("torch"))[net.name]()
    return model


def bottle2neck(**arguments: Any) -> nn.Module:
    """Return timm's."""
    first = arguments.pop("first", False)
    down = (
        nn.Sequential(nn.Conv2d(64, 64, 1, arguments["stride"], bias=False), nn.BatchNorm2d(64))
        if first
        else None
    )
    block: nn.Module = import_module("timm.models.res2net").Bottle2neck(
        64, 16, downsample=down, norm_layer=nn.BatchNorm2d, **arguments
    )
    return block


class Maps(nn.Module):
    """Torchvision's pyramid with maps as arguments."""

    def __init__(self) -> None:
        super().__init__()
        self.unit = import_torchvision().ops.FeaturePyramidNetwork([8, 12, 16], 16)

    def forward(self, *maps: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return the maps."""
        return tuple(self.unit(dict(enumerate(maps))).values())


class Last(nn.Module):
    """Torchvision's merging of patches, of maps with channels first."""

    def __init__(self) -> None:
        super().__init__()
        self.unit = import_module("torchvision.models.swin_transformer").PatchMerging(6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return tokens."""
        y: torch.Tensor = self.unit(x.permute(0, 2, 3, 1))
        return y.flatten(1, 2)


def preact(stride: int, c: int) -> nn.Module:
    """Return timm's."""
    resnetv2, layers = import_module("timm.models.resnetv2"), import_module("timm.layers")
    down = resnetv2.DownsampleConv if stride != 1 or c != 16 else None
    block: nn.Module = resnetv2.PreActBottleneck(
        16,
        c,
        stride=stride,
        conv_layer=layers.create_conv2d,
        norm_layer=layers.BatchNormAct2d,
        proj_layer=down,
    )
    return block


class _Net(nn.Module):
    def __init__(self, unit: nn.Module) -> None:
        super().__init__()
        self.unit = unit

    def forward(self, *x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.unit(*x)
        return y


def aspp(*rates: int) -> nn.Module:
    """Return torchvision's."""
    import_torchvision()
    block: nn.Module = import_module("torchvision.models.segmentation.deeplabv3").ASPP(24, rates, 16)
    return block


def osa(layers: int) -> nn.Module:
    """Return timm's."""
    block: nn.Module = import_module("timm.models.vovnet").OsaBlock(12, 8, 20, layers)
    return block


REFERENCES: list[tuple[str, dict[str, Any], Callable[[], nn.Module], list[tuple[int, ...]], bool]] = [
    (BOTTLE2NECK, {"scale": 4}, lambda: _Net(bottle2neck(scale=4)), [(64, 19, 16)], True),
    (
        BOTTLE2NECK,
        {"scale": 3, "stride": 2, "first": True},
        lambda: _Net(bottle2neck(scale=3, stride=2, first=True)),
        [(64, 19, 16)],
        False,  # where the shortcut is made before the block
    ),
    (OSA, {"layers": 5}, lambda: _Net(osa(5)), [(12, 9, 11)], True),
    (OSA, {"layers": 1}, lambda: _Net(osa(1)), [(12, 9, 11)], True),
    (ASPP, {}, lambda: _Net(aspp(2, 3, 5)), [(24, 13, 18)], True),
    (ASPP, {"rates": [4]}, lambda: _Net(aspp(4)), [(24, 13, 18)], True),
    (FPN, {}, Maps, [(8, 21, 24), (12, 11, 12), (16, 5, 6)], False),
    (PYRAMID, {}, Maps, [(8, 21, 24), (12, 11, 12), (16, 5, 6)], False),
    (MERGING, {}, Last, [(6, 14, 10)], True),
    (MERGING.replace("14x10", "13x9"), {}, Last, [(6, 13, 9)], True),
    (PREACT, {}, lambda: _Net(preact(2, 32)), [(16, 13, 10)], True),
    (PREACT, {"stride": 1, "c": 16}, lambda: _Net(preact(1, 16)), [(16, 13, 10)], True),
]


@pytest.mark.parametrize("case", range(len(REFERENCES)))
def test_blocks_are_their_references(case: int) -> None:
    spec, settings, reference, shapes, drawn = REFERENCES[case]
    import_torchvision()
    torch.manual_seed(0)
    theirs = reference()
    ours = built(spec, **settings)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert [name for name, _ in ours.named_parameters()] == [name for name, _ in theirs.named_parameters()]
    if drawn:
        assert all(torch.equal(value, theirs.state_dict()[key]) for key, value in ours.state_dict().items())
    ours.load_state_dict(theirs.state_dict())
    x = [torch.randn(2, *shape) for shape in shapes]
    with torch.no_grad():
        for one, other in zip(results(ours.eval(), x), results(theirs.eval(), x), strict=True):
            assert torch.equal(one, other)
    for model in (ours.train(), theirs.train()):
        torch.manual_seed(1)
        sum(one.square().sum() for one in results(model, x)).backward()  # type: ignore[union-attr]
    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert one.grad is not None
        assert other.grad is not None
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-5, atol=1e-6)


def test_numbers_that_a_list_always_has_are_not_checked() -> None:
    text = api.loads(PYRAMID).emit("torch")
    assert "for k in range(len(xs) - 1):" in text
    assert "has no value of number" not in text


def results(model: nn.Module, x: list[torch.Tensor]) -> list[torch.Tensor]:
    """Return what a module makes, as a list."""
    made = model(*x)
    return [made] if isinstance(made, torch.Tensor) else list(made)


def keys_in_order(net: Network) -> list[str]:
    """Return the keys of a state: what `order` names, lists where they are first named, the others as they stand."""

    def keys(scope: Scope) -> list[str]:
        names = [
            (item.path if isinstance(item, Scope) else item)[len(scope.path) :].lstrip(".")
            for item in scope.written
        ]
        tree: dict[str, Any] = dict.fromkeys(scope.first)  # insertion order is that of the first mention
        for name, item in zip(names, scope.written, strict=True):
            *lists, last = name.split(".")
            inner = tree
            for part in lists:
                inner[part] = inner.get(part) or {}
                inner = inner[part]
            inner[last] = item
        return [
            key for item in leaves(tree) for key in (keys(item) if isinstance(item, Scope) else own(item))
        ]

    def own(name: str) -> list[str]:
        return list(own_state(net, net.graph[name]))

    return keys(net.graph.tree)


def leaves(tree: dict[str, Any]) -> Iterator[Any]:
    """Yield what a tree of mappings holds."""
    for value in tree.values():
        if isinstance(value, dict):
            yield from leaves(value)
        elif value is not None:
            yield value


SPECS = {"lists": LISTS, "order": ORDER, "inside": INSIDE, "counted": COUNTED}


@pytest.mark.parametrize("spec", SPECS)
def test_numbers_and_order(spec: str) -> None:
    for net in nets(SPECS[spec]):
        model = without_dropout(execute(net.emit("torch"))[net.name]().double())
        shapes = state_shapes(net)
        assert list(model.state_dict()) == keys_in_order(net)
        state = draw_state(shapes, seed=1)
        model.load_state_dict(state)
        shape = next(iter(net.inputs.values()))
        x = torch.randn(2, *shape, generator=torch.Generator().manual_seed(7), dtype=torch.float64)
        for training in (False, True):
            ours = by_name(model.train(training)(x.clone()), next(iter(net.outputs)))
            for key, theirs in interpret(net, state, [x], training).items():
                torch.testing.assert_close(ours[key], theirs, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("n", [0, 1, 2, 5])
def test_a_class_registers_in_order_for_all_arguments(spec: str, n: int) -> None:
    text = SPECS[spec].partition("\nvariant")[0]
    (module,) = emit_family(nets(text), "torch").values()
    net = api.loads(text, n=n)
    model = execute(module)["N"](n=n)
    assert list(model.state_dict()) == keys_in_order(net)
    assert list(model.state_dict()) == [tensor.key for tensor in tensors(net)]


@pytest.mark.parametrize("backend", ["torch", "flax"])
@pytest.mark.parametrize("spec", SPECS)
def test_classes_take_other_arguments(spec: str, backend: str) -> None:
    found = nets(SPECS[spec])
    (text,) = emit_family(found, backend).values()
    for subject in subjects_of(found[0], backend, text).values():
        result = report(subject, backend, 6 if backend == "torch" else 2)
        assert result.legal
        assert not result.wrong


@pytest.mark.parametrize("spec", SPECS)
def test_frameworks_have_one_state(spec: str) -> None:
    for net in nets(SPECS[spec]):
        rows = netdsl.verify(net).rows
        assert all(row.ok for row in rows if "float32" not in row.check), rows


def test_a_list_and_a_module_of_one_name_are_refused() -> None:
    """Where the spec's own arguments do not tell: one side of a condition has the module, the other the list."""
    text = """\
net N(deep = true):
    input 3, 8x8
    if deep:
        a: conv 3x3, 8
    else:
        a.0: conv 3x3, 8
"""
    for deep in (True, False):
        with pytest.raises(
            NetError, match="`a` is a module for some arguments, and a list of modules for others"
        ):
            api.loads(text, deep=deep).emit("torch")


def test_a_module_may_not_be_called_as_a_list_is() -> None:
    text = """\
net N(n = 2):
    input 3, 8x8
    a3.0: conv 3x3, 8
    for i in range(n):
        a{i}: conv 3x3, 8
"""
    for backend in ("torch", "flax"):
        (module,) = emit_family(nets(text), backend).values()
        (subject,) = subjects_of(nets(text)[0], backend, module).values()
        assert not report(subject, backend, 4).wrong
    made = execute(api.loads(text).emit("torch"))["N"]
    made(n=3)
    with pytest.raises(ValueError, match="two modules are called a3"):
        made(n=4)


def test_an_order_that_cannot_be_is_refused() -> None:
    for body in (
        "a: n * conv 3x3, 8\n    b: conv 3x3, 8",
        "for i in range(n):\n        c{i}: conv 3x3, 8\n    b: U",
    ):
        text = f"block U():\n    conv: conv 3x3, x.c\n\nnet N(n = 0):\n    order b\n    input 3, 8x8\n    {body}\n"
        with pytest.raises(NetError, match="`order` puts b before what says how many channels it has"):
            api.loads(text).emit("torch")
    text = """\
net N(n = 2):
    order b
    input 3, 8x8
    for i in range(n):
        c{i}: conv 3x3, 8
        relu as b
"""
    with pytest.raises(NetError, match="`order` names b, which is made in turn with others"):
        api.loads(text).emit("torch")


def test_maps_of_stages_in_lists() -> None:
    text = """\
net N(n = 2):
    order head
    input 3, 32x32
    stage 1: conv 3x3, 8, /2 as convs.0
    stage 2:
        for i in range(n):
            conv 3x3, 4*(i + 1), /2 as convs.{i+1}
    last.0:
        stage 3: conv 3x3, 8, /2 -> relu
    gap
    head: fc 10
"""
    with torch.no_grad():
        net = execute(api.loads(text).emit("torch:features"))["n"]()
        found = [one.shape[1:] for one in net.forward_features(torch.zeros(1, 3, 32, 32))]
    assert found == [(8, 16, 16), (8, 4, 4), (8, 2, 2)]


def test_blocks_in_a_list_are_not_stacked() -> None:
    text = """\
block B(c):
    conv 3x3, c as convs.0 -> bn as convs.1
    convs.2:
        4 * (conv 3x3, c -> bn)

net N(n = 3):
    input 4, 8x8
    for i in range(n):
        B 4 as blocks.{i}
    body: n * B 4
"""
    rows = netdsl.verify(api.loads(text), backends=["torch", "flax:scan"]).rows
    assert all(row.ok for row in rows if "float32" not in row.check), rows


def test_it_can_be_exported() -> None:
    for net in nets(LISTS):
        model = execute(net.emit("torch"))[net.name]().eval()
        x = torch.randn(2, 3, 12, 9, generator=torch.Generator().manual_seed(3))
        assert torch.equal(torch.export.export(model, (x,)).module()(x), model(x))


@pytest.mark.parametrize("backend", ["torch", "flax"])
def test_style(backend: str, tmp_path: Path) -> None:
    specs = (BOTTLE2NECK, OSA, ASPP, FPN, PYRAMID, MERGING, PREACT, *SPECS.values())
    for number, text in enumerate(specs):
        (module,) = emit_family(nets(text), backend).values()
        (tmp_path / f"net{number}.py").write_text(module)
    assert mypy(tmp_path) == ""
    options = ("--isolated", "--no-cache", "--line-length", "100")
    rules = ("--target-version", "py311", "--select", RULES, "--ignore", IGNORED[backend])
    assert tool("ruff", "check", *options, *rules, tmp_path) == ""
    assert tool("ruff", "format", *options, "--diff", tmp_path) == ""

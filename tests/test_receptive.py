"""Receptive fields: published values, each op against numpy, whole nets against torch's gradients."""

from __future__ import annotations

from fractions import Fraction
from math import ceil, floor
from time import perf_counter
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from netdsl_torch import Backend
from op_examples import EXAMPLES, expected, label
from torch import Tensor, nn
from torch_oracles import execute, spec_of, tensors
from zoo import NAMES, net

import netdsl
from netdsl import Network, api
from netdsl.ir.types import Shape
from netdsl.ops import Example
from netdsl.ops.attention import Attend, RelativeBias
from netdsl.ops.axis import AlongAxis
from netdsl.ops.base import Reach
from netdsl.ops.partition import Partition
from netdsl.passes import Extent, Receptive


def show(receptive: Receptive) -> tuple[Any, Any]:
    """Return receptive field and jump along rows."""
    return receptive.rows.largest, receptive.rows.jump


# ---------------------------------------------------------------- known values


@pytest.mark.parametrize(
    ("name", "node", "largest", "jump"),
    [
        ("alexnet", "features.12", 195, 32),
        ("zfnet", "features.14", 171, 32),
        ("vgg16", "features.30", 212, 32),
        ("resnet18", "layer4.1.relu_1", 435, 32),
        ("resnet34", "layer4.2.relu_1", 899, 32),
        ("resnet50", "layer4.2.relu_2", 427, 32),
        ("resnet101", "layer4.2.relu_2", 971, 32),
        ("resnet152", "layer4.2.relu_2", 1451, 32),
    ],
)
def test_published(name: str, node: str, largest: int, jump: int) -> None:
    """Araujo et al., Distill 2019; resnets with the stride in the 3x3 convolution, as torchvision has them."""
    found = net(name).receptive[node]
    assert (found.rows, found.columns) == (found.rows, found.rows)
    assert show(found) == (largest, jump)
    assert found.rows.clipped == min(largest, 224)


def chain(body: str, height: int = 64, width: int = 48) -> Network:
    """Return a net of one line after its input."""
    lines = "".join(f"    {line}\n" for line in body.split("\n"))
    return api.loads(f"net N:\n    input 3, {height}x{width}\n{lines}", "n.net", "n")


def last(net: Network) -> Receptive:
    """Return the receptive field of a net's output."""
    return net.receptive[net.graph.outputs[0].value.node]


@pytest.mark.parametrize(
    ("body", "largest", "smallest", "jump", "first"),
    [
        ("conv 3x3, 4 -> conv 3x3, 4", 5, 5, 1, -2),
        ("conv 7x7, 4, /2 -> maxpool 3x3, /2, pad=1 -> conv 3x3, 4", 19, 19, 4, -9),
        ("conv 3x3, 4, dilation=4", 9, 9, 1, -4),
        ("conv 3x3, 4, /2, pad=tf", 3, 3, 2, 0),
        ("add:\n    a: conv 3x3, 3\n    identity", 3, 1, 1, -1),
        ("concat:\n    a: conv 3x3, 3\n    shift 1x1", 3, 1, 1, -1),
        ("concat:\n    a: conv 3x3, 3\n    shift 4x4", 3, 1, 1, -1),
        ("conv 2x2, 4, /2, pad=0 -> upsample 2", 2, 2, 1, -1),
        ("conv 2x2, 4, /2, pad=0 -> upconv 2x2, 4, /2", 2, 2, 1, -1),
        ("upsample 2", 1, 1, Fraction(1, 2), Fraction(-1, 2)),
        ("upsample 2 -> conv 3x3, 4", 2, 2, Fraction(1, 2), -1),
        ("upconv 4x4, 4, /2, pad=1", 2, 2, Fraction(1, 2), -1),
        ('upsample 2, mode="bilinear"', 2, 2, Fraction(1, 2), -1),
    ],
)
def test_by_hand(body: str, largest: Any, smallest: Any, jump: Any, first: Any) -> None:
    rows = last(chain(body)).rows
    assert (rows.largest, rows.smallest, rows.jump, rows.first, rows.fixed) == (
        largest,
        smallest,
        jump,
        first,
        False,
    )


def test_union_is_wider_than_any_path() -> None:
    rows = last(chain("concat:\n    a: conv 3x3, 3\n    shift 4x4")).rows
    assert (rows.largest, rows.first, rows.last) == (3, -1, 4)


@pytest.mark.parametrize(
    ("body", "first", "last_", "smallest"),
    [
        ("gap", 0, 63, 64),
        ("flatten", 0, 63, 64),
        ("avgpool to=1x1", 0, 63, 64),
        ("gn 3", 0, 63, 64),
        ("conv 8x8, 4, /8, pad=0 as c -> tokens -> attention 2 as a", 0, 63, 64),
        ("conv 7x7, 4, /8, pad=0 -> gap", 0, 62, 63),  # the last row of the input is in no window
        ("mul:\n    identity\n    gap -> fc 3 as f -> sigmoid", 0, 63, 1),
        ("mul:\n    identity\n    avgpool to=1x1 -> conv 1x1, 3 as f -> sigmoid\na: conv 3x3, 3", 0, 63, 3),
    ],
)
def test_what_sees_everything(body: str, first: int, last_: int, smallest: int) -> None:
    rows = last(chain(body)).rows
    assert rows.fixed
    assert (rows.first, rows.last, rows.largest, rows.smallest) == (
        first,
        last_,
        last_ - first + 1,
        smallest,
    )


def test_learned_tensors_see_nothing() -> None:
    vit = net("vit_b_16")
    weights = [node.name for node in vit.graph if node.op.name == "weight"]
    assert weights
    assert not set(weights) & set(vit.receptive)
    assert len(vit.receptive) == len(vit.graph) - len(weights)
    assert show(vit.receptive["conv_proj"]) == (16, 16)


def test_what_only_gives_its_size_is_not_seen() -> None:
    text = "weight w [3, 70, 70]\na = from w\nfrom a -> crop like=x -> conv 3x3, 3 as c"
    cropped = chain(text)
    assert [name for name in cropped.graph.nodes if name not in cropped.receptive] == ["w", "crop", "c"]
    assert last(chain("a: conv 3x3, 3, pad=4\nb: crop like=x")).rows.first == -1


def test_rows_and_columns_differ() -> None:
    found = last(chain("conv 1x7, 4 -> conv 3x1, 4, stride=2x1"))
    assert str(found) == "3x7"
    assert (found.rows.jump, found.columns.jump) == (2, 1)
    assert str(last(chain("upsample 2 -> conv 2x2, 4, pad=0"))) == "1.5"
    assert str(last(chain("conv 3x3, 4"))) == "3"


def test_tokens_as_input() -> None:
    text = "net N:\n    input 5, 6\n    {}\n"
    assert last(api.loads(text.format("fc 4"))).rows == Extent(1, 1, 1, 0, 0, False, 5)
    assert last(api.loads(text.format("a: attention 2"))).rows == Extent(5, 5, 1, 0, 4, True, 5)
    assert last(api.loads(text.format("a: attention 2"))).columns.largest == 1


@pytest.mark.parametrize("name", NAMES)
def test_the_zoo(name: str) -> None:
    for found in net(name).receptive.values():
        for extent in (found.rows, found.columns):
            assert 1 <= extent.smallest <= extent.largest <= extent.last - extent.first + 1
            assert extent.clipped <= extent.size


def test_takes_no_time() -> None:
    deep = api.loads("net Deep:\n    input 8, 8x8\n    10_000 * conv 3x3, 8, act=relu\n", "deep.net", "deep")
    _ = deep.graph
    start = perf_counter()
    assert last(deep).rows.largest == 20_001
    assert perf_counter() - start < 5  # it takes 0.3 s


# ---------------------------------------------------------------- each op


def place_axis(shape: Shape, axis: int) -> int | None:
    """Return which axis of an array with a batch holds the rows (0) or columns (1); None: there is one place."""
    if len(shape) == 2 and axis == 0:
        return 1 + shape.axis("n")
    return 1 + shape.axis("hw"[axis]) if len(shape) == 3 else None


def numbers_tokens_anew(example: Example) -> bool:
    """Tell whether an op makes tokens of places, or joins or cuts them: they are followed as the places they were."""
    op = example.op
    tables = isinstance(op, RelativeBias) or (isinstance(op, Attend) and len(example.inputs) > 3)
    windows = any("b" in shape.axes for shape in (*example.inputs, *op.outputs(*example.inputs)))
    anew = op.name in ("tokens", "map") or isinstance(op, Partition) or tables or windows
    return anew or (isinstance(op, AlongAxis) and op.wiring and op.axis == "n")


def seen(reach: Reach, place: int, count: int) -> set[int]:
    """Return the places of an input that a Reach says are seen, of those that there are."""
    if not reach.kernel:
        return set(range(count))
    start = reach.stride * place - reach.pad
    positions = [start + reach.dilation * tap for tap in range(reach.kernel)]
    return {p // reach.up for p in positions if p % reach.up == 0 and p // reach.up in range(count)}


@pytest.mark.parametrize("axis", [0, 1], ids=["rows", "columns"])
@pytest.mark.parametrize(
    "example", [e for e in EXAMPLES if e.op.arity != (0, 0) and not numbers_tokens_anew(e)], ids=label
)
def test_op(example: Example, axis: int) -> None:
    """Change one row or column of an input: what changes in the output sees it."""
    op, shapes = example.op, example.inputs
    random = np.random.default_rng(0)
    tensors = {**op.weights(*shapes), **op.buffers(*shapes)}
    state = {k: random.uniform(0.5, 1.5, shape) for k, shape in tensors.items()}
    inputs = [torch.from_numpy(random.uniform(0.5, 1.5, (1, *shape))) for shape in shapes]
    if op.name == "hardtanh":  # which would not show a change of what it has cut off
        inputs = [x / 2 for x in inputs]
    before = expected(example, inputs, state)[0]
    far = 100
    if op.name == "attention":  # softmax must not round what is small to nothing
        state, far = {k: tensor / 10 for k, tensor in state.items()}, 1
    fields = op.reach(*shapes)
    assert len(fields) == len(shapes)
    out = place_axis(op.outputs(*shapes)[0], axis)
    places = before.shape[out] if out is not None else 1
    for index, (shape, field) in enumerate(zip(shapes, fields, strict=True)):
        at = place_axis(shape, axis)
        count = shape[at - 1] if at is not None else 1
        found: list[set[int]] = [set() for _ in range(places)]
        for place in range(count):
            changed = inputs[index].clone()
            part = [slice(None)] * changed.ndim
            if at is not None:
                part[at] = slice(place, place + 1)
            changed[tuple(part)] += torch.from_numpy(random.uniform(far / 2, far, changed[tuple(part)].shape))
            after = expected(example, [*inputs[:index], changed, *inputs[index + 1 :]], state)[0]
            differs = ~np.isclose(before, after, rtol=1e-12, atol=0)
            for other in range(places):
                if (differs.take(other, out) if out is not None else differs).any():
                    found[other].add(place)
        said = [set() if field is None else seen(field[axis], place, count) for place in range(places)]
        if op.name == "token" or getattr(op, "mode", "") == "bicubic":
            # which token it is is not followed, nor where the weight of a pixel nearby is 0
            assert all(a <= b for a, b in zip(found, said, strict=True))
            continue
        if op.name == "roll" or getattr(op, "mode", "") in ("reflect", "replicate", "circular"):
            # nor what comes in from beyond an edge
            assert all(a >= b for a, b in zip(found, said, strict=True))
            continue
        if op.name == "blurpool":  # at an edge it sees what is reflected, which may lie behind its window
            window = [len(s) == op.arguments()["size"] for s in said]
            assert all(a >= b for a, b in zip(found, said, strict=True))
            found = [a if whole else b for a, b, whole in zip(found, said, window, strict=True)]
        assert found == said
        if field is not None and field[axis].kernel:
            spans = [max(s) - min(s) for s in found if s]
            assert max(spans, default=0) <= field[axis].span


@pytest.mark.parametrize("up", [1, 2, 3, 4, 6])
@pytest.mark.parametrize("dilation", [1, 2, 3])
def test_span(up: int, dilation: int) -> None:
    for stride in (1, 2, 4, 6, 9):
        for kernel in range(1, 14):
            for pad in range(7):
                reach = Reach(kernel, stride, pad, dilation, up)
                if up > 1 and dilation > 1 and stride > 1:
                    continue  # no op is so
                sets = [seen(reach, place, 10**6) for place in range(100, 100 + up)]
                assert reach.span == max((max(s) - min(s) for s in sets if s), default=0)


# ---------------------------------------------------------------- whole nets


def smooth(text: str, name: str) -> nn.Module:
    """Return an emitted module in which every input that reaches an output has a gradient that is not zero.

    Weights are positive, so that nothing cancels; maximums are means, and what saturates does not.
    """

    def pad(x: Tensor, size: list[int], value: float = 0.0) -> Tensor:
        return F.pad(x, size)

    def pool(x: Tensor, *args: Any, dilation: Any = 1, **options: Any) -> Tensor:
        assert dilation in (1, (1, 1))
        return F.avg_pool2d(x, *args, **options)

    names = execute(text)
    names["F"] = SimpleNamespace(**vars(F))
    names["F"].__dict__.update(max_pool2d=pool, pad=pad, relu=F.softplus, relu6=F.softplus, silu=F.softplus)
    names["F"].__dict__.update(hardsigmoid=torch.sigmoid, hardswish=F.softplus, gelu=F.softplus)
    names["nn"] = SimpleNamespace(**vars(nn))
    names["nn"].__dict__.update(MaxPool2d=nn.AvgPool2d, Hardsigmoid=nn.Sigmoid)
    names["nn"].__dict__.update(
        dict.fromkeys(["ReLU", "ReLU6", "Hardswish", "SiLU", "GELU"], lambda *a, **k: nn.Softplus())
    )
    model: nn.Module = names[name]().double().eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for key, p in model.named_parameters():
            norm = p.dim() == 1 and not key.endswith("bias")
            p.uniform_(0.5, 1.5, generator=generator)
            p.mul_(1.0 if norm else 0.0 if p.dim() == 1 else 1 / max(p[0].numel(), 1))
    return model


def gradients(model: nn.Module, x: Tensor, path: str) -> Any:
    """Return the function from a place of a module's output to the rows and columns that it depends on."""
    caught: list[Tensor] = []
    handle = model.get_submodule(path).register_forward_hook(
        lambda module, args, out: caught.extend(tensors(out))
    )
    model(x)
    handle.remove()

    def depends(row: int, column: int) -> tuple[tuple[int, int], tuple[int, int]]:
        place = caught[0][0, :, row, column] if caught[0].dim() == 4 else caught[0][0]
        (gradient,) = torch.autograd.grad(place.sum(), x, retain_graph=True)
        places = gradient[0].abs().sum(0).nonzero()
        (top, left), (bottom, right) = places.amin(0).tolist(), places.amax(0).tolist()
        return (top, bottom), (left, right)

    return depends


def predicted(extent: Extent, place: int) -> tuple[int, int]:
    """Return the first and last row or column that a place sees of those that there are."""
    move = 0 if extent.fixed else extent.jump * place
    return max(ceil(extent.first + move), 0), min(floor(extent.last + move), extent.size - 1)


CASES = [
    ("alexnet", "features", 320, 64),
    ("vgg16", "features", 288, 32),
    ("googlenet", "inception4a", 320, 32),
    ("inception_v3", "Mixed_5b", 107, 139),
    ("resnet18", "layer4", 512, 32),
    ("resnet50", "layer2", 160, 32),
    ("densenet121", "features.denseblock1", 128, 32),
    ("mobilenet_v1_1_0", "features.7", 128, 32),
    ("mobilenet_v2", "features.6", 128, 32),
    ("nasnet_a_mobile", "cell_0", 225, 33),
    ("se_resnet50", "layer1", 64, 32),
    ("shufflenet_v2_x1_0", "stage2", 128, 32),
    ("squeezenet1_1", "features", 257, 33),
    ("xception", "block2", 65, 33),
    ("convnext_tiny", "features.1", 128, 32),
    ("efficientnet_b0", "features.2", 64, 32),
    ("vit_b_16", "", 224, 224),
]
"""A net, a module of it that makes a map, and an input that is higher than what the module sees.

Where no padding evens it out, the sizes are such that windows end at the edge.
"""


@pytest.mark.parametrize(("name", "path", "height", "width"), CASES)
def test_gradients(name: str, path: str, height: int, width: int) -> None:
    """Rows are seen as far as they go, columns only as far as the narrow input does."""
    options = {"aux": False} if name in ("inception_v3", "nasnet_a_mobile") else {}
    here = netdsl.load(spec_of(name), inputs={"x": (3, height, width)}, **options)
    (scope,) = [scope for scope in here.graph.tree.scopes() if scope.path == path]
    node = scope.outputs[0].node if path else here.graph.outputs[0].value.node
    found, shape = here.receptive[node], here.shapes[node]
    torch.manual_seed(0)
    x = torch.rand(1, 3, height, width, dtype=torch.float64, requires_grad=True)
    depends = gradients(smooth(Backend().emit(here, inplace=False), here.name), x, path)
    if len(shape) == 1:
        assert depends(0, 0) == (predicted(found.rows, 0), predicted(found.columns, 0))
        return
    middle = shape.h // 2
    for row, column in ((0, 0), (middle, shape.w // 2), (shape.h - 1, shape.w - 1)):
        assert depends(row, column) == (predicted(found.rows, row), predicted(found.columns, column))
    if found.rows.fixed:
        assert predicted(found.rows, middle) == (0, height - 1)
    else:
        top, bottom = predicted(found.rows, middle)
        assert 0 < top < bottom < height - 1  # so that the whole of it has been seen
        assert bottom - top + 1 == found.rows.last - found.rows.first + 1


@pytest.mark.parametrize(("name", "side"), [("unet", 188), ("unet_same", 224), ("hrnet_w18", 64)])
def test_upsampling_is_within_its_bounds(name: str, side: int) -> None:
    here = netdsl.load(
        spec_of(name), inputs={k: (s.c, side, side) for k, s in netdsl.load(name).inputs.items()}
    )
    path = "stage2" if name == "hrnet_w18" else "dec1"
    (scope,) = [scope for scope in here.graph.tree.scopes() if scope.path == path]
    node = scope.outputs[0].node
    found, shape = here.receptive[node], here.shapes[node]
    channels = next(iter(here.inputs.values())).c
    x = torch.rand(1, channels, side, side, dtype=torch.float64, requires_grad=True)
    depends = gradients(smooth(Backend().emit(here, inplace=False), here.name), x, path)
    for row in (0, shape.h // 2, shape.h // 2 + 1, shape.h - 1):
        (top, bottom), _ = depends(row, row)
        low, high = predicted(found.rows, row)
        assert low <= top < bottom <= high
        assert top - low < 16
        assert high - bottom < 16

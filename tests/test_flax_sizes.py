"""Modules that are emitted for one size, run at others: nothing of a lowering follows from a map's size."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx
from flax_oracles import factory, load_state, state_of
from jax import export
from netdsl_flax.lowering import LOWERINGS
from op_examples import EXAMPLES, LAYERS, arrays_of, close, context, every, expected
from reference_ops import Array
from test_flax_ops import Form, forms, laid, logical, torchs
from torch_oracles import reference

import netdsl
from netdsl import Network
from netdsl.api import loads
from netdsl.ir.types import Dims, Pad, Shape
from netdsl.ops import Example, OpError
from netdsl.ops.conv import Conv, DwConv, UpConv
from netdsl.ops.layout import Flatten, PixelShuffle, Tokens
from netdsl.ops.linear import Linear
from netdsl.ops.move import Padding, Roll, Shift
from netdsl.ops.part import Crop, Slice
from netdsl.ops.pool import AvgPool, BlurPool, GlobalAvgPool, MaxPool
from netdsl.ops.resize import Resize, Upsample
from netdsl.ops.window import both

SIZED = (
    MaxPool,
    AvgPool,
    BlurPool,
    GlobalAvgPool,
    Crop,
    Conv,
    DwConv,
    UpConv,
    Upsample,
    Resize,
    Slice,
    PixelShuffle,
    Roll,
    Padding,
    Shift,
    Tokens,
    Flatten,
)
"""Ops whose outputs follow from the size of a map."""
SIZES = [(7, 8), (8, 7), (9, 9), (10, 6), (5, 12), (4, 3), (2, 5), (1, 1)]
CROPPED = [(0, 0), (1, 2), (2, 1), (3, 0)]
"""By how much a crop's second map is smaller."""
MORE = [
    *(
        Example(MaxPool(kernel=Dims((3, 2)), stride=s, dilation=d, pad=pad, ceil=ceil), (Shape(2, 9, 9),))
        for s in (1, 2, 3)
        for d in (Dims((1, 2)), Dims((1, 3)))
        for pad in (Pad("explicit", (1, 1)), Pad("tf"))
        for ceil in (False, True)
    ),
    *(
        Example(
            AvgPool(kernel=Dims((3, 3)), stride=s, pad=pad, ceil=True, count_include_pad=counted),
            (Shape(2, 9, 9),),
        )
        for s in (2, 3, 4)
        for pad in (Pad("explicit", (0, 1)), Pad("explicit", (1, 1)), Pad("tf"))
        for counted in (False, True)
    ),
    Example(Conv(channels=3, kernel=Dims((1, 1)), stride=2, pad=Pad("tf")), (Shape(2, 9, 9),)),
    Example(Conv(channels=3, kernel=Dims((2, 4)), stride=3, pad=Pad("tf")), (Shape(2, 9, 9),)),
    Example(Conv(channels=3, kernel=Dims((3, 2)), dilation=2, pad=Pad("tf")), (Shape(2, 9, 9),)),
    Example(DwConv(kernel=Dims((5, 5)), stride=2, pad=Pad("tf")), (Shape(2, 9, 9),)),
]
"""What the ops' own examples leave out."""


@pytest.fixture(autouse=True)
def wide() -> Iterator[None]:
    """Compute in float64."""
    with jax.enable_x64(True):
        yield


def resized(example: Example, by: tuple[int, int]) -> Example:
    """Return an example with the maps and tokens larger; what is used at every place stays as it is."""
    sizes = {"h": by[0], "w": by[1], "n": by[0]}
    inputs = []
    for x in example.inputs:
        for axis in x.axes:
            if axis in sizes and x.size(axis) > 1:
                x = x.with_size(axis, x.size(axis) + sizes[axis])
        inputs.append(x)
    return example.replace(inputs=tuple(inputs))


def elsewhere(example: Example) -> Iterator[Example]:
    """Yield an op's example at other sizes, those that it takes."""
    x = example.inputs[0]
    for h, w in SIZES:
        inputs = [(Shape(h, x.c) if x.axes == "nc" else Shape(x.c, h, w),)]
        if isinstance(example.op, Crop):
            like = example.inputs[1]
            inputs = [
                (inputs[0][0], Shape(like.c, h - a, w - b)) for a, b in CROPPED if min(h - a, w - b) > 0
            ]
        elif len(example.inputs) > 1:  # another map's size, whatever it is
            inputs = [(inputs[0][0], example.inputs[1])]
        for shapes in inputs:
            if isinstance(example.op, MaxPool) and min(h, w) < max(both(example.op.dilation)):
                continue  # a window may miss the map altogether
            try:
                example.op.outputs(*shapes)
            except OpError:
                continue
            yield Example(example.op, shapes)


# Ops


@every([e for e in EXAMPLES if e.inputs and not isinstance(e.op, Linear)])
def test_lowering_sees_no_size(example: Example) -> None:
    """An op is the same in Flax whatever the size of its maps is."""
    lower = LOWERINGS[type(example.op)]
    for by in ((1, 1), (2, 5), (8, 3)):
        try:
            other = context(resized(example, by))
        except OpError:  # a size that the op's own numbers settle
            continue
        assert lower(example.op, other) == lower(example.op, context(example))


@every([e for e in LAYERS if isinstance(e.op, SIZED) and e.inputs[0].axes != "c"] + MORE)
def test_op_at_other_sizes(example: Example) -> None:
    """Every form of an op that is written for the example's size is numpy's at others."""
    made = [form.mode(train=False) for form in forms(example.op, context(example))]
    others = list(elsewhere(example))
    arrays = [arrays_of(other) for other in others]
    given = [[*map(laid, x, other.inputs)] for x, other in zip(arrays, others, strict=True)]
    compiled = jax.jit(lambda given: [[form.function(form.layer, *x) for x in given] for form in made])
    for form, found in zip(made, compiled(given), strict=True):  # all in one: to compile takes the time
        state = torchs(example.op, form.state())
        for other, x, out in zip(others, arrays, found, strict=True):
            outputs = other.op.outputs(*other.inputs)
            several = out if isinstance(out, list | tuple) else [out]
            out = [logical(np.asarray(y), shape) for y, shape in zip(several, outputs, strict=True)]
            assert [y.shape[1:] for y in out] == [tuple(shape) for shape in outputs], other
            close(out, expected(other, x, state))
    assert len(made) * len(others) > 2


# Nets


def scaled(model: nnx.Module, seed: int = 3) -> nnx.Module:
    """Give a model random weights with which values neither vanish nor grow, and statistics that do something."""
    generator = np.random.default_rng(seed)
    state = {}
    for key, value in state_of(model).items():
        kind = key.rpartition(".")[2]
        if kind in ("var", "scale"):
            state[key] = generator.uniform(0.5, 1.5, value.shape)
        else:
            deviation = (2 / np.prod(value.shape[:-1])) ** 0.5 if value.ndim > 1 else 0.2
            state[key] = generator.normal(0, deviation, value.shape)
    load_state(model, state)
    return model


def flax_model(net: Network) -> Any:
    """Return a net's module in float64 and evaluation."""
    model = factory(net)(rngs=nnx.Rngs(0), param_dtype=jnp.float64)
    model.eval()
    return scaled(model)


def torch_model(net: Network, state: dict[str, Array]) -> Any:
    """Return a net's torch module with the weights of a Flax one, in float64 and evaluation."""
    held = netdsl.convert_weights(net, state, "flax", "torch")
    model = net.build("torch").double().eval()
    model.load_state_dict({key: torch.from_numpy(value) for key, value in held.items()})
    return model


def compare(model: Any, other: Any, channels: int, size: tuple[int, int]) -> None:
    """Compare a Flax module with a torch one at a size, and see that the numbers depend on the input."""
    x = np.random.default_rng(5).standard_normal((2, channels, *size))
    with torch.no_grad():
        wanted = other(torch.from_numpy(x)).numpy()
    out = nnx.jit(lambda model, x: model(x))(model, jnp.asarray(x.transpose(0, 2, 3, 1)))
    out = np.asarray(out)
    out = out.transpose(0, 3, 1, 2) if out.ndim == 4 else out
    scale = np.abs(wanted).max()
    assert np.abs(wanted[0] - wanted[1]).max() > 1e-3 * scale > 0
    assert out.shape == wanted.shape
    np.testing.assert_allclose(out / scale, wanted / scale, rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", ["squeezenet1_1", "googlenet"])
def test_torchvisions_net_at_other_sizes(name: str) -> None:
    """A net of the zoo, emitted for 224 x 224, is torchvision's own at others."""
    net = netdsl.load(name, classes=10)
    model = flax_model(net)
    other = reference(name, num_classes=10).double().eval()
    other.load_state_dict(torch_model(net, state_of(model)).state_dict())
    for size in ((65, 65), (48, 79)):
        compare(model, other, 3, size)


CELL = """
default conv 3x3, bias=false, pad=tf
default maxpool 3x3, /2, pad=tf
default avgpool 3x3, /2, pad=tf, count_include_pad=false

net Cell(c = 6, classes = 5):
    input 3, 16x16
    stem: conv c, /2 as conv -> bn as bn -> relu
    concat:
        maxpool
        avgpool
        avgpool count_include_pad=true
        dwconv: dwconv 5x5, /2
        shift 1x1 -> avgpool 1x1, /2, pad=0
    conv: conv 1x1, c -> relu
    add:
        avgpool /1
        maxpool /1
        dilated: conv c, dilation=2
    gap
    fc: fc classes
"""
CEIL = """
net Ceil:
    input 3, 16x16
    down: conv 3x3, 4
    maxpool 2x2, /2, ceil=true
    up: upconv 2x2, 4, /2
    skip = from down -> crop like=up
    add:
        from skip
        from up
"""
UNET = """
net UNet(c = 4, pad: pad = 0, size: dims = 44x44, classes = 2):
    input 1, size
    default conv 3x3, act=relu, pad=pad
    default upconv 2x2, /2

    enc1: 2 * conv c
    maxpool 2x2, /2
    enc2: 2 * conv 2*c
    maxpool 2x2, /2
    mid: 2 * conv 4*c

    for i in [2, 1]:
        w = c * 2**(i - 1)
        up{i}: upconv w
        skip = from enc{i} -> crop like=up{i}
        from skip, up{i} -> concat
        dec{i}: 2 * conv w
    head: conv 1x1, classes, act=none
"""


def at(text: str, before: str, size: tuple[int, int]) -> Network:
    """Return the net of a text for another size."""
    assert before in text
    return loads(text.replace(before, f"{size[0]}x{size[1]}"), "small.net")


@pytest.mark.parametrize("size", [(16, 16), (15, 17), (9, 22), (7, 7)])
def test_tensorflows_padding_at_other_sizes(size: tuple[int, int]) -> None:
    """A cell whose windows TensorFlow pads is at every size what torch's is that is emitted for it."""
    model = flax_model(loads(CELL, "small.net"))
    compare(model, torch_model(at(CELL, "16x16", size), state_of(model)), 3, size)


@pytest.mark.parametrize("size", [(44, 44), (60, 44), (47, 53), (46, 49)])
def test_unet_at_other_sizes(size: tuple[int, int]) -> None:
    """Crops find the middle of what comes in."""
    model = flax_model(loads(UNET, "small.net"))
    compare(model, torch_model(at(UNET, "44x44", size), state_of(model)), 1, size)


def test_a_map_is_not_cropped_to_what_is_larger() -> None:
    model = flax_model(loads(CEIL, "small.net"))
    with pytest.raises(ValueError, match="a map of 16x15 cannot be cropped to 16x16"):
        model(jnp.zeros((2, 16, 15, 3)))


@pytest.mark.parametrize("size", [(32, 48), (33, 38)])
def test_padded_unet_at_other_sizes(size: tuple[int, int]) -> None:
    """Where nothing is cut at the size of the spec, something may be at another."""
    text = UNET.replace("pad: pad = 0", "pad: pad = same")
    model = flax_model(loads(text, "small.net"))
    compare(model, torch_model(at(text, "44x44", size), state_of(model)), 1, size)


# Batches


VIT = """
block Layer(heads, drop: float):
    add:
        ln as ln_1 -> attention heads as attention
        identity
    add:
        ln as ln_2 -> fc 16, act=gelu as fc1 -> fc 8 as fc2
        identity

net Vit(classes = 3):
    input 3, 8x8
    embed: conv 4x4, 8, /4, pad=0
    patches = from flow -> tokens
    weight class_token [1, 8], batch=true, init=normal(0, 1)
    from class_token, patches -> concat axis="n"
    layers: 2 * Layer 2, 0.1
    norm: ln
    token 0
    head: fc classes
"""


@pytest.mark.parametrize("text", [CELL, UNET, VIT], ids=["cell", "unet", "vit"])
def test_net_exports_with_any_batch(text: str) -> None:
    """No helper asks for the size of the batch as a number."""
    net = loads(text, "small.net")
    graph, state = nnx.split(flax_model(net))
    (shape,) = net.inputs.values()
    (b,) = export.symbolic_shape("b")
    spec = jax.ShapeDtypeStruct((b, *shape[1:], shape[0]), jnp.float64)
    forward = jax.jit(lambda x: nnx.merge(graph, state)(x))
    exported = export.export(forward)(spec)
    for batch in (1, 3):
        x = jnp.asarray(np.random.default_rng(1).standard_normal((batch, *shape[1:], shape[0])))
        np.testing.assert_allclose(exported.call(x), forward(x), rtol=1e-9, atol=1e-11)


@every([e for e in LAYERS if all(x.axes for x in e.inputs)])
def test_op_exports_with_any_batch(example: Example) -> None:
    """Every form of every op takes a batch whose size is not known."""
    (b,) = export.symbolic_shape("b")
    specs = [
        jax.ShapeDtypeStruct((b, *np.array(x)[np.argsort([a == "c" for a in x.axes], kind="stable")]), float)
        for x in example.inputs
    ]
    for form in forms(example.op, context(example)):
        graph, state = nnx.split(form.mode(train=False).layer if form.held else None)

        def forward(*x: jax.Array, form: Form = form, graph: Any = graph, state: Any = state) -> Any:
            return form.function(nnx.merge(graph, state) if form.held else form.layer, *x)

        export.export(jax.jit(forward))(*specs)

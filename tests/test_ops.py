"""Every op on its examples: its torch form against numpy, and what it says of itself against torch.

Flax's forms are in test_flax_ops.py.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from random import Random
from typing import Any

import numpy as np
import op_examples
import pytest
import torch
import torch.nn.functional as F
from netdsl_torch.lowering import HELPERS, LOWERINGS, init_call
from op_examples import BATCH, EXAMPLES, LAYERS, arrays_of, context, every, expected, text
from reference_ops import Array, bn_training
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from netdsl.emission.code import Context, Expr, Lowered, Name, Self
from netdsl.ir.types import Dims, Init, Pad, Shape
from netdsl.ops import Example, Op, OpError, catalogue
from netdsl.ops.activation import Glu, HardTanh, LeakyRelu, PRelu, Relu, RRelu, Softmax, Softplus, Threshold
from netdsl.ops.attention import Attend, Attention, MatMul, Qkv
from netdsl.ops.conv import Conv, DwConv, StdConv, UpConv
from netdsl.ops.dropout import Dropout, DropPath
from netdsl.ops.joint import Add, Concat, Mul
from netdsl.ops.layout import Permute
from netdsl.ops.linear import Linear
from netdsl.ops.move import Shift, Shuffle
from netdsl.ops.norm import BatchNorm, InstanceNorm, LayerNorm, RmsNorm
from netdsl.ops.part import Crop, Split
from netdsl.ops.pool import AvgPool, BlurPool, MaxPool, adaptive_elements
from netdsl.ops.resize import Upsample
from netdsl.ops.source import Weight

# A tiny evaluator of lowered ops

SCOPE: dict[str, Any] = {"math": math, "nn": nn, "F": F, "torch": torch, "Tensor": Tensor}
for source in HELPERS.values():
    exec(source, SCOPE)


class Form(nn.Module):
    """One way to write an op: its module alone, or its function, which may use the module."""

    def __init__(self, layer: Any, function: Expr | None) -> None:
        super().__init__()
        self.layer = layer
        self.function = function

    def forward(self, *x: Tensor) -> Any:
        """Apply it."""
        if self.function is None:
            return self.layer(*x)
        values = {f"x{i}": value for i, value in enumerate(x)} | {"layer": self.layer}
        return eval(text(self.function), SCOPE, values)


def mentions_self(expr: Expr | None) -> bool:
    """Say whether the module is applied in the function."""
    return expr is not None and "layer" in text(expr)


def lower(example: Example, inplace: bool = False) -> Lowered:
    """Lower an example."""
    return LOWERINGS[type(example.op)](example.op, context(example, inplace))


def forms(example: Example, inplace: bool = False) -> list[Form]:
    """Return every way to write an op, in float64, with random weights and statistics."""
    lowered = lower(example, inplace)
    made = []
    if lowered.module is not None and not mentions_self(lowered.function):
        made.append(Form(eval(text(lowered.module), SCOPE), None))
    if lowered.function is not None:
        uses = lowered.module is not None and mentions_self(lowered.function)
        made.append(Form(eval(text(lowered.module), SCOPE) if uses else None, lowered.function))
    generator = torch.Generator().manual_seed(1)
    for form in made:
        form.double()
        with torch.no_grad():
            for name, tensor in form.state_dict().items():
                if not tensor.is_floating_point():  # counters, and tables that never change
                    continue
                tensor.copy_(torch.rand(tensor.shape, generator=generator, dtype=torch.float64) + 0.5)
                if not name.endswith("running_var"):
                    tensor.sub_(0.9)
    return made


def inputs_of(example: Example) -> list[Tensor]:
    """Return random inputs, with a batch."""
    return [torch.from_numpy(x) for x in arrays_of(example)]


def as_tuple(out: Any) -> tuple[Tensor, ...]:
    """Return the outputs as a tuple."""
    return (out,) if isinstance(out, Tensor) else tuple(out)


def state_of(form: Form) -> dict[str, Array]:
    """Return parameters and buffers in numpy, by their names in the layer."""
    return {own_name(name): tensor.numpy().copy() for name, tensor in form.state_dict().items()}


def own_name(name: str) -> str:
    """Return the name of a tensor in the layer, "" for what stands for itself."""
    return name.removeprefix("layer").removeprefix(".")


def close(actual: tuple[Tensor, ...], wanted: list[Array]) -> None:
    """Compare outputs to numpy's, in float64."""
    op_examples.close([a.detach().numpy() for a in actual], wanted)


def test_every_op_has_a_lowering_and_examples() -> None:
    """The catalogue and the table of lowerings hold the same ops."""
    # those of other modules are of distributions that other tests have installed
    own = {op for op in LOWERINGS if op.__module__.startswith("netdsl.")}
    assert own == set(catalogue().values()) == {type(e.op) for e in EXAMPLES}


@every(EXAMPLES)
def test_positional_and_inputs_are_well_formed(example: Example) -> None:
    """Positional arguments are fields; an example has as many inputs as its op takes."""
    op = example.op
    assert set(op.positional) <= set(op.arguments())
    least, largest = op.arity
    assert least <= len(example.inputs) <= (len(example.inputs) if largest is None else largest)


@every(LAYERS)
def test_output_and_numbers(example: Example) -> None:
    """Shapes are as inferred and numbers numpy's, in every form; inputs are not overwritten."""
    for form in forms(example):
        form.eval()
        inputs = inputs_of(example)
        wanted = expected(example, inputs, state_of(form))
        out = as_tuple(form(*inputs))
        assert [tuple(y.shape[1:]) for y in out] == [tuple(s) for s in example.op.outputs(*example.inputs)]
        close(out, wanted)
        assert all(torch.equal(x, again) for x, again in zip(inputs, inputs_of(example), strict=True))


@every(LAYERS)
def test_state(example: Example) -> None:
    """Names, order and shapes of parameters and buffers are torch's."""
    for form in forms(example):
        parameters = [(own_name(n), tuple(p.shape)) for n, p in form.named_parameters()]
        kept = form.state_dict()
        buffers = [(own_name(n), tuple(b.shape)) for n, b in form.named_buffers() if n in kept]
        assert parameters == list(example.op.weights(*example.inputs).items())
        assert buffers == list(example.op.buffers(*example.inputs).items())
        assert [*state_of(form)] == [name for name, _ in parameters + buffers]
        cost = example.op.cost(*example.inputs)
        assert cost.params == sum(p.numel() for p in form.parameters())
        assert cost.buffers == sum(b.numel() for n, b in form.named_buffers() if n in kept)


@every([e for e in LAYERS if e.op.inplace])
def test_in_place(example: Example) -> None:
    """In place, an op writes the same numbers into its first input, if that has the output's shape."""
    fits = example.inputs[0] == example.op.outputs(*example.inputs)[0]
    for form in forms(example, inplace=True):
        inputs = inputs_of(example)
        wanted = expected(example, inputs, {})
        first = inputs[0]
        (out,) = as_tuple(form(*inputs))
        assert (out.data_ptr() == first.data_ptr()) == fits
        close((out,), wanted)


@every(LAYERS)
def test_aliases(example: Example) -> None:
    """An output shares storage with the first input only if the op says so; views do."""
    for form, training in itertools.product(forms(example), (True, False)):
        inputs = inputs_of(example)
        out = as_tuple(form.train(training)(*inputs))
        shared = any(y.untyped_storage().data_ptr() == inputs[0].untyped_storage().data_ptr() for y in out)
        alone = isinstance(example.op, Add | Mul) and len(inputs) == 1
        assert not shared or example.op.aliases or alone
        if not example.op.computes and not training:
            assert shared


def saves_its_output(form: Form, inputs: list[Tensor]) -> bool:
    """Say whether autograd keeps the storage of an output that is not the input's."""
    inputs = [x.requires_grad_().clone() for x in inputs]
    saved: list[Tensor] = []

    def pack(tensor: Tensor) -> Tensor:
        saved.append(tensor.detach())
        return tensor

    with saved_tensors_hooks(pack, lambda tensor: tensor):
        out = as_tuple(form.train()(*inputs))
    kept = {tensor.untyped_storage().data_ptr() for tensor in saved}
    return any(y.untyped_storage().data_ptr() in kept for y in out)


@pytest.mark.parametrize("name", sorted({e.op.name for e in LAYERS}))
def test_saves_output(name: str) -> None:
    """An op says `saves_output` iff autograd keeps its output in one of its forms, in place too."""
    found = False
    for example in catalogue()[name].examples():
        for inplace in (False, True) if example.op.inplace else (False,):
            for form in forms(example, inplace):
                found = saves_its_output(form, inputs_of(example)) or found
    assert catalogue()[name].saves_output == found


@pytest.mark.parametrize("name", sorted({e.op.name for e in LAYERS}))
def test_draws(name: str) -> None:
    """An op says `draws` iff training makes other numbers each time."""
    found = said = False
    for example in catalogue()[name].examples():
        said = said or example.op.draws
        for form in forms(example):
            inputs = inputs_of(example)
            runs = [as_tuple(form.train()(*[x.clone() for x in inputs])) for _ in range(2)]
            found = found or not all(map(torch.equal, *runs))
    assert said == found


MULTIPLIES = Conv | DwConv | UpConv | BlurPool | Linear | Attention | Attend | MatMul | Qkv


@every([e for e in LAYERS if isinstance(e.op, MULTIPLIES)])
def test_macs(example: Example) -> None:
    """MACs are half of what torch counts. Attention by its plain kernel: the CPU's is not counted."""
    for form in forms(example):
        with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
            form.train()(*inputs_of(example))
        assert counter.get_total_flops() == 2 * BATCH * example.op.macs(*example.inputs)


@every([e for e in EXAMPLES if not isinstance(e.op, MULTIPLIES)])
def test_no_macs(example: Example) -> None:
    """Everything else counts none."""
    assert example.op.macs(*example.inputs) == 0


def test_ops_counts() -> None:
    """`ops` by hand, on small cases."""
    x = Shape(2, 7, 8)
    assert Conv(channels=3, kernel=Dims((1, 1))).ops(x) == 3 * 7 * 8
    assert Conv(channels=3, kernel=Dims((1, 1)), bias=False).ops(x) == 0
    assert MaxPool(kernel=Dims((2, 3)), pad=Pad("explicit", (1, 1)), stride=2).ops(x) == 2 * 4 * 4 * 6
    assert AvgPool(to=1).ops(x) == catalogue()["gap"]().ops(x) == 2 * 7 * 8
    assert AvgPool(to=Dims((3, 4))).ops(x) == 2 * (3 + 3 + 3) * 8
    assert Add().ops(x, x) == x.elements
    assert Add().ops(x, x, x) == 2 * x.elements
    assert catalogue()["lrn"](size=4).ops(x) == 4 * x.elements
    assert Attention(heads=3).ops(Shape(5, 6)) == 3 * 25 + 4 * 30
    assert Concat().ops(x, x) == Split(parts=2).ops(x) == Dropout().ops(x) == Upsample(scale=2).ops(x) == 0


def test_adaptive_windows() -> None:
    """The closed form is the sum of torch's windows."""
    for n, m in itertools.product(range(1, 15), range(1, 20)):
        assert adaptive_elements(n, m) == sum(-(-(i + 1) * n // m) - i * n // m for i in range(m))


# Training


@every([e for e in LAYERS if isinstance(e.op, BatchNorm)])
def test_bn_in_training(example: Example) -> None:
    """Output and running statistics after two steps."""
    (form,) = forms(example)
    form.train()
    for step in range(2):
        x = inputs_of(example)[0] + step
        wanted, buffers = bn_training(example.op, x.numpy(), state_of(form))
        close(as_tuple(form(x)), [wanted])
        after = state_of(form)
        for name, value in buffers.items():
            np.testing.assert_allclose(after[name], value, rtol=1e-9)


DROPS = [0.0, 0.2, 0.5, 1.0]


def drop(op: Op, x: Tensor) -> Tensor:
    """Apply dropout or droppath to a float32 tensor in training, from one seed."""
    shape = Shape(*x.shape[1:])
    (form,) = forms(Example(op, (shape,)))
    torch.manual_seed(0)
    out = form.train()(x)
    assert isinstance(out, Tensor)
    return out


@pytest.mark.parametrize("p", DROPS)
def test_dropout_is_torchs(p: float) -> None:
    """Bit-equal to nn.Dropout from one seed; kept elements are divided by 1 - p."""
    x = torch.rand(64, 5, 7, 3) + 1
    out = drop(Dropout(p=p), x)
    torch.manual_seed(0)
    assert torch.equal(out, nn.Dropout(p)(x))
    kept = out != 0
    torch.testing.assert_close(out[kept], (x / (1 - p))[kept])
    assert abs(kept.float().mean().item() - (1 - p)) < 0.03


@pytest.mark.parametrize("shape", [(400, 3, 2, 2), (400, 3, 2), (400, 3)])
@pytest.mark.parametrize("p", DROPS)
def test_droppath_is_torchvisions(p: float, shape: tuple[int, ...], torchvision: Any) -> None:
    """Bit-equal to StochasticDepth by row from one seed; a sample is kept whole or not at all."""
    x = torch.rand(shape) + 1
    out = drop(DropPath(p=p), x)
    torch.manual_seed(0)
    assert torch.equal(out, torchvision.ops.StochasticDepth(p, mode="row")(x))
    kept = (out != 0).flatten(1)
    assert torch.equal(kept.any(1), kept.all(1))
    assert abs(kept.float().mean().item() - (1 - p)) < 0.1


def test_helpers_are_torchvisions(torchvision: Any) -> None:
    """LayerNorm2d, RMSNorm2d and channel_shuffle, bit by bit."""
    from timm.layers import RmsNorm2d
    from torchvision.models.convnext import LayerNorm2d
    from torchvision.models.shufflenetv2 import channel_shuffle

    x = torch.rand(2, 6, 3, 5)
    ours, theirs = SCOPE["LayerNorm2d"](6, eps=1e-3), LayerNorm2d(6, eps=1e-3)
    assert torch.equal(ours(x), theirs(x))
    assert [*ours.state_dict()] == [*theirs.state_dict()]
    rms = SCOPE["RMSNorm2d"](6, eps=1e-3)
    assert torch.allclose(rms(x), RmsNorm2d(6, eps=1e-3)(x), rtol=1e-6)
    assert [*rms.state_dict()] == [*RmsNorm2d(6).state_dict()]
    for groups in (1, 2, 3, 6):
        assert torch.equal(SCOPE["channel_shuffle"](x, groups), channel_shuffle(x, groups))
        assert torch.equal(SCOPE["channel_shuffle"](x, groups), F.channel_shuffle(x, groups))


SIZES = (1, 3, (3, 5))


@pytest.mark.parametrize(("stride", "groups", "dilation"), [*itertools.product((1, 2), repeat=3)])
def test_standardized_convolutions_are_timms(
    stride: int, groups: int, dilation: int, torchvision: Any
) -> None:
    """Bit by bit, with padding of both kinds."""
    from timm.layers import StdConv2d, StdConv2dSame

    x = torch.randn(2, 4, 13, 10, generator=torch.Generator().manual_seed(1))
    options = {"stride": stride, "groups": groups, "dilation": dilation, "eps": 1e-3}
    for kernel in SIZES:
        pad = tuple(dilation * (k // 2) for k in ((kernel, kernel) if isinstance(kernel, int) else kernel))
        ours = SCOPE["StdConv2d"](4, 6, kernel, padding=pad, **options)
        theirs = StdConv2d(4, 6, kernel, padding=pad, bias=True, **options)
        theirs.load_state_dict(ours.state_dict())
        assert torch.equal(ours(x), theirs(x))
    for kernel in (1, 2, 3):
        ours = SCOPE["StdConv2dSame"](4, 6, kernel, bias=False, **options)
        theirs = StdConv2dSame(4, 6, kernel, **options)
        theirs.load_state_dict(ours.state_dict())
        assert torch.equal(ours(x), theirs(x))


@pytest.mark.parametrize("size", range(2, 8))
def test_blur_pools_are_timms(size: int, torchvision: Any) -> None:
    """Bit by bit, and nothing of them is in a state."""
    from timm.layers import BlurPool2d

    x = torch.randn(2, 4, 13, 10, generator=torch.Generator().manual_seed(1))
    for stride, channels in itertools.product((1, 2, 3), (None, 4)):
        ours, theirs = SCOPE["BlurPool2d"](size, stride), BlurPool2d(channels, size, stride)
        assert torch.equal(ours(x), theirs(x))
        assert ours.state_dict() == theirs.state_dict() == {}


# Text


def written(op: Op, *x: Shape, inplace: bool = False, batched: tuple[bool, ...] = (True,)) -> tuple[str, str]:
    """Return the text of module and function."""
    lowered = LOWERINGS[type(op)](op, Context(x, op.outputs(*x), inplace, batched))
    return tuple("" if e is None else text(e) for e in (lowered.module, lowered.function))  # type: ignore[return-value]


K2, K3 = Dims((2, 2)), Dims((3, 3))
MAP, TF = Shape(4, 8, 8), Pad("tf")
TEXTS = [
    (Conv(channels=8, kernel=K3, bias=False), "nn.Conv2d(4, 8, 3, padding=1, bias=False)", ""),
    (Conv(channels=8, kernel=K3, stride=2, pad=TF), "Conv2dSame(4, 8, 3, stride=2)", ""),
    (StdConv(channels=8, kernel=K3, eps=1e-8), "StdConv2d(4, 8, 3, padding=1, eps=1e-08)", ""),
    (StdConv(channels=8, kernel=K3, stride=2, pad=TF), "StdConv2dSame(4, 8, 3, stride=2)", ""),
    (BlurPool(), "BlurPool2d()", ""),
    (BlurPool(size=5, stride=1), "BlurPool2d(5, stride=1)", ""),
    (DwConv(kernel=Dims((1, 5))), "nn.Conv2d(4, 4, (1, 5), padding=(0, 2), groups=4)", ""),
    (UpConv(channels=2, kernel=K2, stride=Dims((2, 2))), "nn.ConvTranspose2d(4, 2, 2, stride=2)", ""),
    (MaxPool(kernel=K2), "nn.MaxPool2d(2)", "F.max_pool2d(x0, 2)"),
    (MaxPool(kernel=K2, stride=2), "nn.MaxPool2d(2)", "F.max_pool2d(x0, 2)"),
    (
        MaxPool(kernel=K3, stride=2, pad=TF),
        "MaxPool2dSame(3, stride=2)",
        "max_pool2d_same(x0, 3, stride=2)",
    ),
    (
        MaxPool(kernel=K2, stride=1, pad=TF),
        "MaxPool2dSame(2, stride=1)",
        "max_pool2d_same(x0, 2, stride=1)",
    ),
    (
        AvgPool(kernel=K3, stride=2, pad=TF, count_include_pad=False),
        "AvgPool2dSame(3, stride=2, count_include_pad=False)",
        "avg_pool2d_same(x0, 3, stride=2, count_include_pad=False)",
    ),
    (
        AvgPool(kernel=K3, stride=1, pad=TF, count_include_pad=False),
        "nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False)",
        "F.avg_pool2d(x0, 3, stride=1, padding=1, count_include_pad=False)",
    ),
    (AvgPool(to=Dims((7, 7))), "nn.AdaptiveAvgPool2d(7)", "F.adaptive_avg_pool2d(x0, 7)"),
    (catalogue()["gap"](), "GlobalAvgPool2d()", "x0.mean((2, 3))"),
    (BatchNorm(eps=1e-3), "nn.BatchNorm2d(4, eps=0.001)", ""),
    (LayerNorm(eps=1e-6), "LayerNorm2d(4, eps=1e-06)", ""),
    (LayerNorm(bias=False), "LayerNorm2d(4, bias=False)", ""),
    (RmsNorm(), "RMSNorm2d(4, eps=1e-06)", ""),
    (InstanceNorm(affine=True), "nn.InstanceNorm2d(4, affine=True)", ""),
    (BatchNorm(affine=False), "nn.BatchNorm2d(4, affine=False)", ""),
    (HardTanh(min=0.0), "nn.Hardtanh(min_val=0.0)", "F.hardtanh(x0, min_val=0.0)"),
    (Softplus(threshold=9.0), "nn.Softplus(threshold=9.0)", "F.softplus(x0, threshold=9.0)"),
    (Threshold(threshold=0.1, value=0.0), "nn.Threshold(0.1, 0.0)", "F.threshold(x0, 0.1, 0.0)"),
    (PRelu(), "nn.PReLU()", ""),
    (PRelu(shared=False), "nn.PReLU(4)", ""),
    (Glu(), "nn.GLU(dim=1)", "F.glu(x0, dim=1)"),
    (Softmax(axis="w"), "nn.Softmax(dim=3)", "F.softmax(x0, dim=3)"),
    (RRelu(), "nn.RReLU()", ""),
    (RRelu(lower=0.1, upper=0.2), "nn.RReLU(lower=0.1, upper=0.2)", ""),
    (LeakyRelu(slope=0.1), "nn.LeakyReLU(0.1)", "F.leaky_relu(x0, 0.1)"),
    (Dropout(), "nn.Dropout(0.5)", ""),
    (DropPath(p=0.1), "DropPath(0.1)", ""),
    (Split(parts=2), "", "x0.chunk(2, 1)"),
    (Split(parts=(1, 3)), "", "torch.split(x0, [1, 3, ], 1)"),
    (Shuffle(groups=2), "", "channel_shuffle(x0, 2)"),
    (Shift(by=Dims((1, 1))), "", "F.pad(x0, (-1, 1, -1, 1))"),
    (Permute(axes=(1, 2, 0)), "Permute(0, 2, 3, 1)", "x0.permute(0, 2, 3, 1)"),
    (catalogue()["flatten"](), "nn.Flatten()", "x0.flatten(1)"),
    (catalogue()["tokens"](), "Tokens()", "x0.flatten(2).transpose(1, 2)"),
    (Upsample(scale=2), "nn.Upsample(scale_factor=2)", "upsample2d(x0, 2)"),
]


@pytest.mark.parametrize(("op", "module", "function"), TEXTS, ids=lambda value: str(value)[:40])
def test_text(op: Op, module: str, function: str) -> None:
    """What torch's users would write."""
    assert written(op, MAP) == (module, function)


def test_text_of_joints() -> None:
    """In place, broadcasts, views."""
    one, c = Shape(4, 1, 1), Shape(4)
    assert written(Relu(), MAP, inplace=True) == ("nn.ReLU(inplace=True)", "F.relu(x0, inplace=True)")
    assert written(Add(), MAP, MAP, MAP)[1] == "((x0 + x1) + x2)"
    assert written(Add(), MAP, MAP, MAP, inplace=True)[1] == "x0.add_(x1).add_(x2)"
    assert written(Add(), one, MAP, inplace=True)[1] == "(x0 + x1)"
    assert written(Mul(), MAP, c)[1] == "(x0 * x1[:, :, None, None])"
    assert written(Mul(), MAP, c, batched=(True, False))[1] == "(x0 * x1[..., None, None])"
    assert {written(Crop(), MAP, x)[1] for x in (MAP, Shape(2, 4, 8))} == {"center_crop(x0, x1)"}
    assert written(catalogue()["token"](index=2), Shape(4, 6))[1] == "x0[:, 2]"
    patches, token = Shape(4, 6), Shape(1, 6)
    joined = written(Concat(axis="n"), token, patches, batched=(False, True))[1]
    assert joined == "torch.cat((x0.expand(x1.size(0), -1, -1), x1, ), 1)"


# Learned tensors

INITS = [
    (Init("zeros"), "nn.init.zeros_(t)"),
    (Init("ones"), "nn.init.ones_(t)"),
    (Init("constant", (0.5,)), "nn.init.constant_(t, 0.5)"),
    (Init("normal"), "nn.init.normal_(t)"),
    (Init("normal", (0.0, 0.01)), "nn.init.normal_(t, std=0.01)"),
    (Init("uniform", (-1.0, 1.0)), "nn.init.uniform_(t, a=-1.0)"),
    (Init("trunc_normal", (0.02,)), "nn.init.trunc_normal_(t, std=0.02)"),
    (Init("kaiming_normal", ("fan_in", "relu")), "nn.init.kaiming_normal_(t, nonlinearity='relu')"),
    (
        Init("kaiming_normal", ("fan_out", "relu")),
        "nn.init.kaiming_normal_(t, mode='fan_out', nonlinearity='relu')",
    ),
    (Init("kaiming_uniform", ("fan_in", "relu")), "nn.init.kaiming_uniform_(t, nonlinearity='relu')"),
    (Init("fan_uniform", ("fan_out",)), "nn.init.kaiming_uniform_(t, a=5**0.5, mode='fan_out')"),
    (
        Init("kaiming_uniform", ("fan_out", "identity")),
        "nn.init.kaiming_uniform_(t, mode='fan_out', nonlinearity='linear')",
    ),
    (
        Init("kaiming_normal", ("fan_out", "leaky_relu", 0.1)),
        "nn.init.kaiming_normal_(t, a=0.1, mode='fan_out', nonlinearity='leaky_relu')",
    ),
    (Init("xavier_normal", (1.0,)), "nn.init.xavier_normal_(t)"),
    (Init("xavier_normal", (0.5,)), "nn.init.xavier_normal_(t, gain=0.5)"),
    (Init("xavier_uniform"), "nn.init.xavier_uniform_(t)"),
]


@pytest.mark.parametrize(("init", "call"), INITS, ids=lambda value: str(value))
def test_init_call(init: Init, call: str) -> None:
    """The text is right, and torch takes it."""
    assert text(init_call(init, Name("t"))) == call
    eval(call, SCOPE, {"t": torch.empty(3, 4)})


def test_every_init_has_a_call() -> None:
    """No kind of ir.types is missing."""
    assert {init.kind for init, _ in INITS} == set(Init.KINDS) - Init.FIXED


@every([e for e in EXAMPLES if isinstance(e.op, Weight)])
def test_weight(example: Example) -> None:
    """A parameter or buffer of the stored shape, which stands for itself and starts as said."""
    lowered = lower(example)
    assert lowered.module is not None
    parameter = eval(text(lowered.module), SCOPE)
    assert isinstance(example.op, Weight)
    assert isinstance(parameter, nn.Parameter if example.op.learned else nn.Buffer)
    ((name, shape),) = {**example.op.weights(), **example.op.buffers()}.items()
    assert (name, tuple(parameter.shape)) == ("", shape)
    assert parameter.dtype == (torch.int64 if example.op.spare() else torch.float32)
    assert lowered.function == Self()
    wanted = {"zeros": 0.0, "ones": 1.0, "constant": 1e-6}.get(example.op.start.kind)
    if wanted is not None:
        assert torch.equal(parameter, torch.full_like(parameter, wanted))


@pytest.mark.parametrize("stored", [False, True], ids=["bare", "batch"])
@pytest.mark.parametrize(
    ("op", "x", "weight"),
    [
        (Mul(), (4, 3, 5), (4, 1, 1)),
        (Mul(), (4, 3, 5), (4,)),
        (Add(), (4, 3, 5), (4, 3, 5)),
        (Add(), (5, 6), (5, 6)),
        (Add(), (5, 6), (6,)),
        (Add(), (6,), (6,)),
        (Concat(axis="n"), (5, 6), (1, 6)),
        (Concat(), (5, 6), (5, 2)),
        (Concat(), (4, 3, 5), (2, 3, 5)),
    ],
    ids=lambda value: str(value),
)
def test_learned_tensor_meets_a_batch(
    op: Op, x: tuple[int, ...], weight: tuple[int, ...], stored: bool
) -> None:
    """A tensor without a batch, stored with a leading one or not, is used for every sample."""
    generator = torch.Generator().manual_seed(3)
    sample = torch.randn(BATCH, *x, generator=generator, dtype=torch.float64)
    bare = torch.randn(weight, generator=generator, dtype=torch.float64)
    repeated = torch.stack([bare] * BATCH)
    for flip in (False, True):
        shapes, tensors, whole = (
            [Shape(*x), Shape(*weight)],
            [sample, bare[None] if stored else bare],
            [sample, repeated],
        )
        batched = (True, False)
        if flip:
            shapes, tensors, whole, batched = shapes[::-1], tensors[::-1], whole[::-1], (False, True)
        example = Example(op, tuple(shapes))
        lowered = LOWERINGS[type(op)](op, Context(tuple(shapes), op.outputs(*shapes), True, batched))
        close(
            as_tuple(Form(None, lowered.function)(*(t.clone() for t in tensors))),
            expected(example, whole, {}),
        )


@pytest.mark.parametrize("size", range(1, 9))
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("kernel", [(1, 1), (2, 3), (3, 3), (4, 5)])
@pytest.mark.parametrize("counted", [True, False])
def test_pools_with_tensorflows_padding(
    size: int, stride: int, kernel: tuple[int, int], counted: bool
) -> None:
    """Every case of pad=tf, of which plain padding takes some."""
    x = Shape(1, size, size + 1)
    arguments: dict[str, Any] = {"kernel": Dims(kernel), "stride": stride, "pad": TF}
    for op in (MaxPool(**arguments), AvgPool(**arguments, count_include_pad=counted)):
        example = Example(op, (x,))
        for form in forms(example):
            inputs = inputs_of(example)
            close(as_tuple(form(*inputs)), expected(example, inputs, {}))


@pytest.mark.parametrize("ceil", [True, False])
@pytest.mark.parametrize("pad", [0, 1])
def test_pools_of_every_size(ceil: bool, pad: int) -> None:
    """Ceil mode and padding over a grid: inferred and real shapes, and numbers."""
    grid = itertools.product(range(2, 9), (2, 3), (1, 2, 3, 4), (True, False))
    for size, kernel, stride, counted in grid:
        arguments: dict[str, Any] = {
            "kernel": Dims((kernel, kernel)),
            "stride": stride,
            "pad": Pad("explicit", (pad, pad)),
            "ceil": ceil,
        }
        for op in (MaxPool(**arguments), AvgPool(**arguments, count_include_pad=counted)):
            try:
                example = Example(op, (Shape(1, size, size),))
                (out,) = op.outputs(*example.inputs)
            except OpError:
                continue
            for form in forms(example):
                inputs = inputs_of(example)
                (y,) = as_tuple(form(*inputs))
                assert y.shape[1:] == out
                close((y,), expected(example, inputs, {}))


# Bad arguments

HUGE = 2**70
INTS = [-HUGE, -1, 0, 1, 2, 3, HUGE]
DIMS = [Dims(d) for d in [(1, 1), (2, 3), (0, 1), (3, -1), (1,), (1, 2, 3), (HUGE, 1), ()]]
FLOATS = [-HUGE, -1.0, 0, 0.0, 0.5, 1, 2.0, HUGE, float("inf"), float("-inf"), float("nan")]
PADS = [Pad("same"), TF, *(Pad("explicit", p) for p in [(0, 0), (1, 2), (-1, 0), (HUGE, HUGE)])]
TUPLES = [(), (0,), (1, 0), (0, 1, 2), (2, 0, 1), (1, 1, 1), (-1, 0, 1), (1, 2, 3, 4), (HUGE, 1, 1)]
VALUES: dict[str, list[Any]] = {
    "int": INTS,
    "int | None": [*INTS, None],
    "float": FLOATS,
    "bool": [True, False],
    "float | None": [*FLOATS, None],
    "str | None": ["", "c", "hwc", "cn", None],
    "str": ["", "none", "tanh", "nearest", "bilinear", "bicubic"],
    "Dims": DIMS,
    "Dims | None": [*DIMS, None],
    "Dims | int": [*DIMS, *INTS],
    "Dims | int | None": [*DIMS, *INTS, None],
    "Pad": PADS,
    "tuple[int, ...]": TUPLES,
    "int | tuple[int, ...]": [*INTS, *TUPLES, (2, 4), (3, 1, 2)],
}
SHAPES = [
    Shape(1),
    Shape(6),
    Shape(HUGE),
    Shape(4, 6),
    Shape(6, 4, axes="cn"),
    Shape(6, 1, 1),
    Shape(6, 5, 7),
    Shape(5, 7, 6, axes="hwc"),
    Shape(5, 6, 7, axes="hcw"),
    Shape(4, 6, 6, axes="bnc"),
    Shape(2**39, 1, 1),
    Shape(1, 2**30, 2**30),
]


def types_of(op: type[Op]) -> dict[str, str]:
    """Return the fields' types as written."""
    found: dict[str, str] = {}
    for cls in op.__mro__[::-1]:
        found |= {k: t for k, t in vars(cls).get("__annotations__", {}).items() if k in op._fields}
    return {k: t for k, t in found.items() if k != "inits"}


def bad(op: type[Op]) -> Iterator[Op]:
    """Yield the examples with one or two arguments replaced by every value of their type."""
    types = types_of(op)
    assert set(types.values()) <= set(VALUES), "a field type that ops do not use"
    base = [example.op for example in op.examples()]
    for start in {repr(b): b for b in [base[0], base[-1]]}.values():
        yield start
        for field, kind in types.items():
            for value in VALUES[kind]:
                yield start.replace(**{field: value})
        for (f, k), (g, m) in itertools.combinations(types.items(), 2):
            for v, w in itertools.product(VALUES[k], VALUES[m]):
                yield start.replace(**{f: v, g: w})


@pytest.mark.parametrize("name", sorted(catalogue()))
def test_bad_arguments_are_op_errors(name: str) -> None:
    """`infer` raises OpError or answers, and what it accepts has a cost; nothing else is ever raised."""
    cls = catalogue()[name]
    least, largest = cls.arity
    counts = {least, 2 if largest is None else largest}
    some = Random(1)
    inputs = [x for n in sorted(counts) if n < 3 for x in itertools.product(SHAPES, repeat=n)]
    inputs += [tuple(some.choices(SHAPES, k=n)) for n in counts if n > 2 for _ in range(300)]
    inputs += [example.inputs for example in cls.examples() if len(example.inputs) > 2]
    errors: list[OpError] = []
    for op in bad(cls):
        for x in inputs:
            try:
                out = op.outputs(*x)
            except OpError as error:
                errors.append(error)
                continue
            assert all(isinstance(s, Shape) and min(s) >= 1 for s in out)
            if sum(s.elements for s in out) < 2**41:
                op.cost(*x)
    assert {error.field for error in errors} <= {"", *types_of(cls)}
    assert all(error.message and error.message[-1] != "." for error in errors)
    assert errors or not types_of(cls)


@pytest.mark.parametrize("x", SHAPES, ids=lambda x: f"{x.axes}-{x[0] % 1000}")
def test_fc_refuses_maps(x: Shape) -> None:
    """A map is refused with what to write instead; it is never flattened behind one's back."""
    if x.axes == "chw":
        with pytest.raises(OpError) as caught:
            Linear(channels=3).infer(x)
        assert caught.value.help.startswith("flatten -> fc ")
    elif x.axes[-1] == "c":
        assert Linear(channels=3).infer(x)[-1] == 3


def test_messages_of_joints() -> None:
    """The shapes of all branches are in the message."""
    a, b = Shape(256, 28, 28), Shape(128, 28, 28)
    for op, x, message in [
        (Add(), (a, b), "add: the branches differ: 256x28x28 and 128x28x28"),
        (Mul(), (a, b, a), "mul: the branches differ: 256x28x28, 128x28x28 and 256x28x28"),
        (Concat(), (a, Shape(128, 14, 14)), "concat: the branches differ: 256x28x28 and 128x14x14"),
        (
            Add(),
            (Shape(8, 8, 8), Shape(8, 8, 8, axes="hwc")),
            "add: the branches differ: 8x8x8 and 8x8x8 (hwc)",
        ),
    ]:
        with pytest.raises(OpError) as caught:
            op.infer(*x)
        assert (caught.value.field, caught.value.message) == ("", message)


def test_padding_that_torch_refuses() -> None:
    """A pool's padding is at most half of its window, in torch and here."""
    with pytest.raises(OpError, match="pad must be at most half"):
        MaxPool(kernel=K2, pad=Pad("explicit", (2, 2))).infer(MAP)

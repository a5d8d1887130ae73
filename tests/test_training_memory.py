"""What training holds: what autograd keeps, against torch's own hooks, and the peak of a step."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import storages
import torch
from netdsl_torch import Backend
from op_examples import EXAMPLES, every
from proved import closure, proving
from storages import OPTIMIZERS, kept, step_peaks
from test_ops import as_tuple, forms, inputs_of
from torch import Tensor
from torch_oracles import FAMILIES, SEVERAL, WINDOWED, execute, load

from netdsl import Network
from netdsl.api import loads
from netdsl.diagnostics import NetError
from netdsl.ir.tape import Storage, Tape
from netdsl.ir.tape import Tensor as Plain
from netdsl.ir.types import Shape
from netdsl.ops import Example
from netdsl.ops.attention import Attention
from netdsl.passes import Facts
from netdsl.passes.training import record, saved_bytes


def plain(x: Tensor, shape: Shape) -> Plain:
    """Return a tensor without its numbers."""
    storage = Storage(x.untyped_storage().nbytes() // x.element_size(), x.element_size())
    value = Plain(tuple(x.shape), x.stride(), storage, x.requires_grad)
    value.sample = shape
    return value


def layouts(x: Tensor) -> Iterator[Tensor]:
    """Yield a tensor as it is, one sample, its axes lying in the other order, a part of a larger one, no gradient."""
    floating = x.is_floating_point()
    x = x.clone().requires_grad_(floating)
    order = (0, *range(x.ndim - 1, 0, -1))
    yield x.clone()
    yield x[:1].clone()
    yield x.permute(order).contiguous().permute(order)
    yield x.clone(memory_format=torch.channels_last) if x.ndim == 4 else x.clone()
    yield torch.cat((x, x), 1).narrow(1, 0, x.shape[1])
    yield x.detach()


@every(EXAMPLES)
@pytest.mark.parametrize("inplace", [False, True])
def test_op_keeps_what_it_says(example: Example, inplace: bool) -> None:
    """What is kept, and the sizes and strides of what comes out, for inputs that lie in any order."""
    op = example.op
    if inplace and not op.inplace:
        return
    for form in forms(example, inplace):
        if op.name == "weight":
            continue
        for x in zip(*map(layouts, inputs_of(example)), strict=True):
            if inplace and (not x[0].is_contiguous() or x[0]._is_view()):
                continue
            if example.op.name == "bn" and x[0].numel() == x[0].shape[1]:
                continue  # torch takes no mean of one number
            tape = Tape(len(x[0]), 8)
            tape.parameters = tuple(map(tape.learned, op.weights(*example.inputs).values()))
            tape.writes = inplace and op.overwrites(*example.inputs)
            values = [plain(t, shape) for t, shape in zip(x, example.inputs, strict=True)]
            made = op.saved(tape, *values)
            expected, out = kept(form.train(), *x)
            assert sum(storage.nbytes for storage in tape.kept) == expected, (x[0].shape, x[0].stride())
            outputs = made if isinstance(made, tuple) else (made,)
            assert [y.sizes for y in outputs] == [tuple(y.shape) for y in as_tuple(out)]
            assert [y.contiguous for y in outputs] == [y.is_contiguous() for y in as_tuple(out)]
            assert [y.grad for y in outputs] == [y.requires_grad for y in as_tuple(out)]
            shared = [y.storage is values[0].storage for y in outputs]
            assert shared == [
                y.untyped_storage()._cdata == x[0].untyped_storage()._cdata for y in as_tuple(out)
            ]


def saved(net: Network, batch: int, dtype: str = "float32") -> int:
    """Return what is said to be kept."""
    return sum(saved_bytes(record(Facts(net.graph, net.elaborated.shapes), batch, dtype)[0]).values())


def really_saved(net: Network, name: str, batch: int, device: str = "meta") -> int:
    """Return what the emitted module keeps."""
    with torch.device(device):
        model = execute(Backend().emit(net))[name]().train()
    return kept(model, *[torch.zeros(batch, *s, device=device) for s in net.inputs.values()])[0]


def device_of(net: Network) -> str:
    """Return where its kernels are the CPU's: fused attention is another without numbers."""
    return "cpu" if any(isinstance(node.op, Attention) for node in net.graph) else "meta"


NETS = (
    "alexnet_2012 convnext_tiny densenet121 efficientnet_b0 googlenet mixer_s32_224 mobilenet_v3_small "
    "nasnet_a_mobile resnet18 shufflenet_v2_x1_0 swin_t swin_v2_t unet_same vit_b_32 deeplabv3_mobilenet_v3_large"
).split()
SIDES = {**FAMILIES, **WINDOWED, **SEVERAL, "vit_b_32": 64, "mixer_s32_224": 224}


@pytest.mark.parametrize("name", NETS)
def test_net_keeps_what_it_says(name: str) -> None:
    """To the byte, at a batch that is no power of two."""
    net = load(name, SIDES[name])
    assert saved(net, 3) == really_saved(net, name, 3, device_of(net))


SPECS = {
    "inplace": """
conv1: conv 3x3, 8
bn1: bn
relu6
conv2: conv 3x3, 8
hswish
conv3: conv 3x3, 8
bn3: bn affine=false
leaky_relu
conv4: conv 3x3, 8
relu
dropout 0.0
dropout 0.3
droppath 0.2
droppath 0.0
scale 0.5
""",
    "joints": """
conv1: conv 3x3, 8
bn1: bn
a = from flow
conv2: conv 3x3, 8
b = from flow
from a, b -> mul
c = from flow
from a, b, c -> mul
d = from flow
from c, d, a -> add
e = from flow
gap
fc1: fc 8
sigmoid
gate = from flow
from e, gate -> mul
from flow, a -> sub
from a, flow -> concat
""",
    "image": """
pad 1
maxpool 2x2
relu
p, q, r = from flow -> split 3
from p, q -> mul
from flow, r -> concat
lrn
bn1: bn
conv1: conv 1x1, 4
silu
avgpool to=1
flatten
softmax
""",
    "frozen": """
image = from flow
weight g [3, 1, 1], learned=false
from image, g -> mul
conv1: conv 3x3, 4
maxpool 3x3, /2, pad=tf
avgpool 3x3, /2, pad=tf, count_include_pad=false
dw: dwconv 3x3, /2, pad=tf
flatten
fc1: fc 3
""",
    "loop": """
for i in range(3):
    convs.{i}: conv 3x3, 6
    elu
    maxpool 2x2, /1
tokens
ln1: ln
permute 1, 0
fc1: fc 9
gelu
permute 1, 0
attention1: attention 3, dropout=0.1
mean "n"
""",
}
"""Nets whose values lie and live in ways that may change what is kept."""


@pytest.mark.parametrize("size", ["17x12", "9x14"])
@pytest.mark.parametrize("name", SPECS)
def test_small_net_keeps_what_it_says(name: str, size: str) -> None:
    """At odd sizes, and one sample too."""
    body = "\n    ".join(SPECS[name].strip().split("\n"))
    net = loads(f"net N:\n    input 3, {size}\n    {body}\n")
    for batch in (1, 2):
        assert saved(net, batch) == really_saved(net, "n", batch, "cpu")


@pytest.mark.parametrize("dtype", ["float64", "bfloat16", "float16"])
def test_other_dtypes_take_their_own_bytes(dtype: str) -> None:
    """Statistics are in float32 at least, as on devices that train in less."""
    net = load("swin_v2_t", 64)
    with torch.device("meta"):
        model = execute(Backend().emit(net))["swin_v2_t"]().to(getattr(torch, dtype)).train()
    x = torch.zeros(2, 3, 64, 64, device="meta", dtype=getattr(torch, dtype))
    assert saved(net, 2, dtype) == kept(model, x)[0]


@every(EXAMPLES)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_op_keeps_what_it_says_in_half(example: Example, dtype: torch.dtype) -> None:
    """What torch keeps without numbers, as on GPUs; fused attention is another kernel without them."""
    op = example.op
    if op.name == "weight" or (isinstance(op, Attention) and not op.dropout):
        return
    for form in forms(example):
        x = [t.to(dtype) if t.is_floating_point() else t for t in inputs_of(example)]
        if op.name == "bn" and x[0].numel() == x[0].shape[1]:
            continue  # torch takes no mean of one number
        x = [t.to("meta").requires_grad_(t.is_floating_point()).clone() for t in x]
        tape = Tape(len(x[0]), 2)
        tape.enter("layer")
        tape.parameters = tuple(map(tape.learned, op.weights(*example.inputs).values()))
        op.saved(tape, *[plain(t, shape) for t, shape in zip(x, example.inputs, strict=True)])
        said = sum(storage.nbytes for storage in tape.kept)
        assert said == kept(form.to("meta", dtype).train(), *x)[0]


def test_statistics_of_half_take_less_on_the_cpu() -> None:
    """There they are in the dtype itself: two bytes less for each mean and deviation."""
    net = load("resnet18", 64)
    x = torch.zeros(2, 3, 64, 64, dtype=torch.bfloat16)
    found, _ = kept(execute(Backend().emit(net))["resnet18"]().bfloat16().train(), x)
    channels = sum(net.inputs_of(node.name)[0].c for node in net.graph if node.op.name == "bn")
    assert saved(net, 2, "bfloat16") - found == 2 * 2 * channels


# The peak of a step


def real_peaks(net: Network, name: str, batch: int, optimizer: str, device: str) -> tuple[list[int], int]:
    """Return the peaks of two steps of training, and what the optimizer holds after them."""
    with torch.device(device):
        model = execute(Backend().emit(net))[name]().train()
    x = [torch.zeros(batch, *shape, device=device) for shape in net.inputs.values()]
    return step_peaks(model, x, optimizer)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("name", ["resnet18", "convnext_tiny", "mobilenet_v3_small"])
def test_peak_of_a_step_in_half(name: str, dtype: str) -> None:
    """Parameters, values, gradients and the optimizer's state are all in it."""
    net = load(name, SIDES[name])
    for optimizer in ("momentum", "adamw"):
        with torch.device("meta"):
            model = execute(Backend().emit(net))[name]().train().to(getattr(torch, dtype))
            x = torch.zeros(2, 3, SIDES[name], SIDES[name], dtype=getattr(torch, dtype))
        memory = net.memory(2, dtype, train=True, optimizer=optimizer)
        assert [memory.first_peak, memory.peak] == step_peaks(model, [x], optimizer)[0]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("name", ["lenet", "resnet18", "convnext_tiny", "zfnet", "unet_same"])
def test_peak_of_a_step(name: str, optimizer: str) -> None:
    """Of the first step and the second, to the byte."""
    net = load(name, SIDES[name])
    memory = net.memory(3, train=True, optimizer=optimizer)
    peaks, state = real_peaks(net, name, 3, optimizer, "meta")
    assert [memory.first_peak, memory.peak] == peaks
    assert memory.optimizer == state


@pytest.mark.parametrize("part", ["part:\n            from x", "part: from a", "hswish"])
@pytest.mark.parametrize("joint", ["mul", "add"])
@pytest.mark.parametrize("last", ["hswish", "last:\n            from a", "last:\n            from x"])
@pytest.mark.parametrize("first", ["y: gn 5", "sigmoid", "first:\n            from x"])
def test_peak_where_nothing_runs_in_a_scope(joint: str, part: str, last: str, first: str) -> None:
    """The sum so far begins after the part before, whether anything runs in the next or not.

    A container that hands on what it is given is a call whose value nobody takes; it is one within the sum where no
    other reads that.
    """
    net = loads(
        f"""net N:
    input 5, 9x14
    out: conv 3x3, 5
    a = from flow
    {joint}:
        {first}
        {part}
        {last}
    conv1: conv 3x3, 5
"""
    )
    memory = net.memory(2, train=True, optimizer="momentum")
    assert [memory.first_peak, memory.peak] == real_peaks(net, "n", 2, "momentum", "meta")[0]


@pytest.mark.proof
@pytest.mark.parametrize("name", [*FAMILIES, *WINDOWED, *SEVERAL])
def test_peak_of_a_step_of_every_family(name: str) -> None:
    """To the byte."""
    net = load(name, SIDES[name])
    said = {}
    for optimizer in ("sgd", "momentum", "adamw"):
        memory = net.memory(2, train=True, optimizer=optimizer)
        said[optimizer] = [memory.first_peak, memory.peak]
    texts = (
        Backend().emit(net),
        closure(Path(__file__).read_text("utf-8"), "real_peaks", "device_of"),
        repr(said),
    )
    with proving(f"{name}.peaks", "torch", [storages], *texts) as known:
        found = said if known else {o: real_peaks(net, name, 2, o, device_of(net))[0] for o in said}
        assert found == said


@pytest.mark.parametrize("name", ["lenet", "resnet18", "convnext_tiny", "unet_same"])
def test_peak_on_the_cpu_is_that_without_numbers(name: str) -> None:
    """The kernels of the CPU make the same tensors."""
    net = load(name, SIDES[name])
    memory = net.memory(1, train=True, optimizer="momentum")
    assert [memory.first_peak, memory.peak] == real_peaks(net, name, 1, "momentum", "cpu")[0]


@pytest.mark.parametrize("batch", [16, 128])
def test_alexnet_of_2012_in_training(batch: int) -> None:
    """Its authors had GPUs of 3 GB, and two of them."""
    net = load("alexnet_2012")
    memory = net.memory(batch, train=True, optimizer="momentum")
    peaks, _ = real_peaks(net, "alexnet_2012", batch, "momentum", "meta")
    assert [memory.first_peak, memory.peak] == peaks
    assert memory.peak < 3 * 2**30


def test_record_of_memory() -> None:
    """Weights, gradients and the rest are what torch has of them; without training there are none."""
    net = load("resnet18", 64)
    with torch.device("meta"):
        model = execute(Backend().emit(net))["resnet18"]()
    memory = net.memory(batch=4, dtype="float32", train=True, optimizer="adamw")
    assert memory.weights == memory.gradients == sum(p.nbytes for p in model.parameters())
    assert memory.buffers == sum(b.nbytes for b in model.buffers())
    assert memory.optimizer == 2 * memory.weights + 4 * len(list(model.parameters()))
    assert memory.input == 4 * 3 * 64 * 64 * 4
    assert memory.saved == saved(net, 4)
    plain = net.memory(batch=4)
    assert plain.gradients == plain.optimizer == plain.saved == 0
    assert plain.peak == memory.weights + memory.buffers + net.liveness(4).peak
    half = net.memory(4, "bfloat16", train=True)
    assert (2 * half.weights, half.optimizer) == (memory.weights, 0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"optimizer": "adamm"}, "unknown optimizer `adamm`"),
        ({"optimizer": "adam"}, "optimizer `adam` means nothing without train"),
        ({"dtype": "int8", "train": True}, "int8 has no gradients"),
        ({"dtype": "int4"}, "unknown dtype `int4`"),
        ({"batch": 0}, "batch must be an int from 1"),
    ],
)
def test_options_without_a_meaning(options: dict[str, Any], message: str) -> None:
    """They are said, and what there is."""
    net = load("lenet")
    for asked in (net.memory, net.cost_table, net.cost_row):
        with pytest.raises(NetError, match=re.escape(message)):
            asked(**options)

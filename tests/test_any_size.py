"""An emitted module is the net at every size of its input, or says at once what does not fit.

A module that was emitted for the size of the spec runs at four others: an odd one, an even one, one that is not
square, a small one. What it has to give there follows from the spec for that size, run op by op (`interpreter`); the
largest nets are held against the module emitted for that size, kernel by kernel and without numbers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import AbstractContextManager
from functools import cache
from types import ModuleType

import interpreter
import pytest
import torch
from interpreter import draw_state, interpret, state_shapes
from netdsl_torch.run import by_name, without_dropout
from proved import EVERY, content, proving
from test_torch_factor import traced
from torch import nn
from torch_oracles import FAMILIES, SEVERAL, WINDOWED, ZOO, emitted, execute, inputs, spec_of

import netdsl
from netdsl.api import loads
from netdsl.diagnostics import NetError
from netdsl.ir.types import Shape
from netdsl.network import Network, Recipe

BATCH = 2
SIZES = {
    "odd": [(s, s) for s in (65, 75, 97, 111, 189, 203, 301)],
    "even": [(s, s) for s in (64, 80, 96, 112, 188, 204, 302)],
    "not square": [(47, 66), (64, 97), (75, 96), (97, 76), (111, 130), (64, 160), (188, 204), (299, 310)],
    "small": [(s, s) for s in (28, 32, 33, 40, 48, 56, 64, 72, 90, 172, 220, 300)],
}
"""The first of a kind that a net takes, and that is not its own, is the one that it is run at."""
NUMBERS = 45_000_000
"""Of nets with more parameters kernels are compared, and no numbers."""
KERNELS = ("convmixer_768_32", "efficientnet_v2_s")
"""Nets of whose Flax modules kernels are compared, too: one has depthwise convolutions so wide that the dense weights
that XLA makes of them in float64 fill the memory, one makes of the last bit of an input more than the bound."""
CLOSE = 1e-9
"""Rounding of another order, where the deepest nets amplify it."""
REFUSALS = (AssertionError, ValueError, RuntimeError, TypeError)
"""What emitted code raises in torch and in Flax, what torch does, what jax does."""
EACH_TIME = ("densenet121", "googlenet", "lenet", "mobilenet_v2", "resnet18", "squeezenet1_1", "unet_same")
FIRST = [*dict.fromkeys((*FAMILIES, *SEVERAL, *WINDOWED, *(ZOO if EVERY else ())))]
"""Of Flax, which takes long to compile; the other nets of a family have its classes."""


@cache
def own(name: str) -> Network:
    """Return a net of the zoo at its own size."""
    return netdsl.load(spec_of(name))


def resized(name: str, size: tuple[int, int]) -> Network | None:
    """Return a net of the zoo for another size of its input; None if it takes none such."""
    net = own(name)
    if any(tuple(shape[1:]) == size for shape in net.inputs.values()):
        return None
    try:
        return netdsl.load(spec_of(name), inputs={key: (s.c, *size) for key, s in net.inputs.items()})
    except NetError:
        return None


def others(name: str) -> dict[str, Network]:
    """Return a net of the zoo at four other sizes, by what is special about each."""
    found = {}
    for kind, sizes in SIZES.items():
        nets = (resized(name, size) for size in sizes)
        found[kind] = next((net for net in nets if net is not None), None)
    return {kind: net for kind, net in found.items() if net is not None}


def fits(net: Network, base: Network) -> bool:
    """Tell whether a net has the weights of another."""
    return {k: p.shape for k, p in net.parameters.items()} == {k: p.shape for k, p in base.parameters.items()}


def said(net: Network, base: Network) -> set[str]:
    """Return the numbers of which an error has to name one: sizes of a tensor that differs, or of the input."""
    numbers = {str(n) for other in (net, base) for shape in other.inputs.values() for n in shape[1:]}
    for key, parameter in base.parameters.items():
        shape = net.parameters[key].shape if key in net.parameters else ()
        if shape != parameter.shape:
            numbers |= {str(n) for n in (*shape, *parameter.shape) if n > 3}
    return numbers


def check_refused(error: Exception, net: Network, base: Network) -> None:
    """Check that an error says what does not fit."""
    assert set(re.findall(r"\d+", str(error))) & said(net, base), error


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """The processes of the tests share the cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.proof
@pytest.mark.parametrize("name", ZOO)
def test_torch_modules_are_the_net_at_every_size(name: str) -> None:
    with proof(name, "torch") as known:
        if name in EACH_TIME or not known:
            for kind, net in others(name).items():
                check_torch(kind, net, name)


def proof(name: str, backend: str, sources: tuple[ModuleType, ...] = ()) -> AbstractContextManager[bool]:
    """Give whether a proof was made before."""
    net = own(name)
    runs = interpreter.running({node.op.name for node in net.graph})
    basis = net.emit(backend), content(net.recipe.net.file.source.text), runs
    return proving(f"{name}.sizes.{backend}", "torch jax jaxlib flax numpy", [*sources], *basis)


def check_torch(kind: str, net: Network, name: str) -> None:
    """Check the module of the spec's own size at another."""
    base = own(name)
    where = f"{name} at {'x'.join(map(str, next(iter(net.inputs.values()))))} ({kind})"
    made = execute(emitted(name))[base.name]
    if not fits(net, base):
        with torch.device("meta"):
            module = made()
        with pytest.raises(REFUSALS) as caught:
            module.train()(*inputs(net, BATCH, "meta"))
        check_refused(caught.value, net, base)
    elif net.cost().params > NUMBERS:
        check_kernels(made, net, where)
    else:
        check_numbers(made(), net, where)


def check_numbers(module: nn.Module, net: Network, where: str) -> None:
    """Compare outputs with those of the spec, in evaluation and in training."""
    numbers = draw_state(state_shapes(net), seed=1)
    module = without_dropout(module.double())
    module.load_state_dict(numbers)
    x = [t.double() for t in inputs(net, BATCH)]
    with torch.no_grad():
        for mode in (False, True):
            ours = by_name(module.train(mode)(*[t.clone() for t in x]), next(iter(net.outputs)))
            theirs = interpret(net, numbers, x, mode)
            assert list(ours) == list(theirs), where
            for key, other in theirs.items():
                assert ours[key].shape == other.shape, f"{where}: {key}"
                assert other.isfinite().all(), where
                assert other.std() > 1e-6, f"{where}: nothing reaches {key}"
                error = float((ours[key] - other).abs().max() / other.abs().max())
                assert error <= CLOSE, f"{where}: {key} differs by {error:.1e}, training is {mode}"


def check_kernels(made: object, net: Network, where: str) -> None:
    """Compare the kernels that the module calls with those of the module for that size."""
    assert callable(made)
    with torch.device("meta"):
        first, second = made(), execute(net.emit())[net.name]()
    x = inputs(net, BATCH, "meta")
    for mode in (False, True):
        one, two = (traced(m.train(mode), m, x) for m in (first, second))
        assert one == two, where


@pytest.mark.parametrize(
    ("name", "size", "said"),
    [
        ("lenet", (64, 64), "fc1 takes 400 features: resize the input"),
        ("lenet", (36, 33), "fc1 takes 400 features: resize the input"),
        ("zfnet_big", (200, 224), "classifier[1] takes 18432 features: resize the input"),
        ("vit_b_32", (224, 256), "pos_embedding takes 50 tokens: resize the input"),
        ("nasnet_a_large", (7, 9), "NormalCell: same_size is False here: resize the input"),
    ],
)
def test_torch_modules_name_the_weights_that_another_size_does_not_fit(
    name: str, size: tuple[int, int], said: str
) -> None:
    with torch.device("meta"):
        module = execute(emitted(name))[name]().eval()
        image = torch.randn(1, next(iter(own(name).inputs.values())).c, *size)
    with pytest.raises(AssertionError, match=re.escape(said)):
        module(image)
    with pytest.raises(AssertionError, match=re.escape(said.partition(" ")[0])):
        torch.fx.symbolic_trace(module)(image)


@pytest.mark.parametrize(
    ("name", "size", "said"),
    [
        ("lenet", (64, 64), "fc1 takes 400 features: resize the input"),
        ("zfnet_big", (200, 224), "classifier[1] takes 18432 features: resize the input"),
        ("vit_b_32", (224, 256), "pos_embedding takes 50 tokens: resize the input"),
        ("nasnet_a_large", (7, 9), "NormalCell: same_size is False here: resize the input"),
    ],
)
def test_flax_modules_name_what_another_size_does_not_fit(
    name: str, size: tuple[int, int], said: str
) -> None:
    import any_size_flax

    net = own(name)
    image = Shape(next(iter(net.inputs.values())).c, *size)
    with pytest.raises(ValueError, match=re.escape(said)):
        any_size_flax.call(Network(Recipe(net.recipe.net, net.recipe.variant, {}, {"x": image})), net)


def test_a_size_that_gives_the_same_features_is_taken() -> None:
    module = execute(emitted("lenet"))["lenet"]()
    assert module(torch.randn(2, 1, 33, 35)).shape == (2, 10)


@pytest.mark.slow
@pytest.mark.proof
@pytest.mark.usefixtures("tracers_without_origin")
@pytest.mark.parametrize("name", FIRST)
def test_flax_modules_are_the_net_at_every_size(name: str) -> None:
    import any_size_flax

    with proof(name, "flax", (any_size_flax,)) as known:
        if name == "lenet" or not known:
            for kind, net in others(name).items():
                if not fits(net, own(name)):
                    with pytest.raises(REFUSALS) as caught:
                        any_size_flax.call(net, own(name), train=True)
                    check_refused(caught.value, net, own(name))
                elif name in FAMILIES | SEVERAL and name not in KERNELS and net.cost().params <= NUMBERS:
                    any_size_flax.check_numbers(net, own(name), f"{name} ({kind})")
                else:
                    any_size_flax.check_traces(net, own(name), f"{name} ({kind})")


# ---------------------------------------------------------------- sizes that decide what there is

DECIDING = {
    "a layer": """
net N(deep = true):
    input 3, 32x32
    a: conv 3x3, 4
    if deep:
        b: conv 3x3, 4, /2 when flow.h > 16
    gap
""",
    "a layer of a chain": """
net N:
    input 3, 32x32
    conv 3x3, 4
    conv 3x3, 4, /2 when flow.h > 16
    gap
""",
    "a layer of a block": """
block B(c, deep = false):
    a: conv 3x3, c
    b: conv 3x3, c when x.h > 8 and deep
    d: conv 3x3, x.c when x.w > 2*c

net N:
    input 3, 32x32
    b1: B 4, true
    maxpool 2x2, /2
    b2: B 4
    maxpool 2x2, /2
    b3: B 4, true
    gap
""",
    "a kernel": """
block B(c):
    k = 3x3 if x.h > 8 else 1x1
    a: conv k, c

net N:
    input 3, 32x32
    b: B 4
    maxpool 4x4, /4
    c: B 4
    gap
""",
    "layers of turns": """
block B(n):
    for i in range(n):
        conv{i}: conv 3x3, 4, /2
        more{i}: conv 3x3, 4 when flow.h > 4

net N:
    input 3, 32x32
    b: B 3
    gap
""",
    "channels": """
block B(c):
    a: conv 3x3, x.h + c

net N:
    input 3, 32x32
    b: B 4
    maxpool 2x2, /2
    c: B 4
    d: conv 1x1, flow.w
    gap
""",
    "how many": """
net N:
    input 3, 32x32
    for i in range(flow.h // 8):
        c{i}: conv 3x3, 4
    gap
""",
    "channels after a stride": """
block Half(c):
    j: conv 3x3, c, /2
    k: conv 1x1, flow.h
    l: conv 1x1, flow.h // 2 + c

block Both(c) from a, b:
    k = a.w // 2 + b.h // 3
    from a -> conv 1x1, k as p
    from b -> conv 1x1, c * (b.w // 2) as q

net N(c = 4):
    input 3, 32x32
    a: conv 3x3, 4, /2
    k = flow.h
    b: conv 3x3, k
    d: conv 3x3, c + k // 2
    e: Half 4
    f: Half 5
    g: from e, d -> Both 3
    for i in range(flow.w // 4):
        h{i}: conv 3x3, 4
    gap
""",
    "a padding": """
net N:
    input 3, 32x32
    a: conv 3x3, 4, pad=(flow.h // 16)
    gap
""",
}
"""Specs whose net is another one at other sizes of the input."""


@pytest.mark.parametrize("backend", ["torch", "flax"])
@pytest.mark.parametrize("what", DECIDING)
def test_a_size_that_makes_another_net_is_refused(what: str, backend: str) -> None:
    base, runs = loads(DECIDING[what]), 0
    for size in ((32, 32), (32, 33), (32, 40), (16, 16), (33, 8), (8, 32), (9, 70), (64, 64)):
        net = Network(Recipe(base.recipe.net, None, {}, {"x": Shape(3, *size)}))
        ours, theirs = ([(n.name, n.op) for n in one.graph][1:] for one in (base, net))
        try:
            called(base, net, backend)
            runs += 1
            assert ours == theirs, size
        except (AssertionError, ValueError) as error:
            if "resize the input" not in str(error) or ours == theirs:
                raise
    assert 1 <= runs < 8


def called(base: Network, net: Network, backend: str) -> None:
    """Call a net's module with inputs of another one's sizes; nothing is computed."""
    if backend == "flax":
        import any_size_flax

        any_size_flax.call(net, base)
        return
    with torch.device("meta"):
        execute(base.emit())[base.name]()(*inputs(net, BATCH, "meta"))

"""Joints of maps whose sizes follow from the input's in two ways: what the spec refuses no module joins in silence.

Frameworks repeat a row or column to the size of another map. So modules compare sizes where one may be a pixel and
the other more, and only there; at which sizes a net is legal says its spec.
"""

from __future__ import annotations

import itertools
import re
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import flax_oracles
import jax
import jax.numpy as jnp
import pytest
import torch
from flax import nnx
from torch import nn
from torch_oracles import tensors

from netdsl.api import loads
from netdsl.diagnostics import NetError
from netdsl.network import Network

SIZES = [
    *itertools.product((1, 2, 3, 4, 5), repeat=2),
    *((h, w) for h in (1, 2, 3, 4) for w in (6, 7, 8, 12)),
    *((w, h) for h in (1, 2, 3) for w in (8, 9, 16)),
    (8, 8),
]
REFUSALS = (AssertionError, RuntimeError, ValueError, TypeError, torch.jit.Error)
"""What emitted code raises in torch and in Flax, what torch does, what jax does, what TorchScript makes of it."""
COMPARED = {
    "a pyramid": """\
net N(c = 4):
    input 3, 16x16
    c1: conv 3x3, c, /2 -> bn
    c2: conv 3x3, 2*c, /2 -> bn
    c3: conv 3x3, 4*c, /2
    p3: conv 1x1, c
    p2 = add:
        from c2 -> conv 1x1, c as lat2
        from p3 -> upsample 2
    p1 = add:
        from c1 -> conv 1x1, c as lat1
        from p2 -> upsample 2
    from p1 -> conv 3x3, c as out
""",
    "a pyramid of any height": """\
net N(c = 4, levels = 3):
    input 3, 16x16
    c0: conv 3x3, c
    for i in range(1, levels):
        c{i}: conv 3x3, c, /2
    p{levels-1} = from c{levels-1}
    for i in range(levels - 2, -1, -1):
        p{i} = add:
            from c{i} -> conv 1x1, c as lat{i}
            from p{i+1} -> upsample 2
    from p0 -> conv 3x3, c as out
""",
    "ways up and down": """\
block Down(c) from fine, coarse:
    mul:
        from coarse -> conv 1x1, c as lateral
        from fine -> maxpool 2x2, /2 -> conv 3x3, c as way
    relu

block Up(c) from fine, coarse:
    up = from coarse -> conv 1x1, c as lateral -> upsample 2
    from fine, up -> sub
    out: conv 1x1, c

net N(c = 4):
    input 3, 16x16
    fine: conv 3x3, c
    coarse: conv 3x3, c, /2
    down: from fine, coarse -> Down c
    up: from fine, down -> Up c
""",
    "U-Net with sums": """\
net N(c = 4):
    input 3, 16x16
    d1: conv 3x3, c
    d2: conv 3x3, 2*c, /2
    d3: conv 3x3, 4*c, /2
    up2: upconv 2x2, 2*c, /2
    add:
        from d2
        from up2
    up1: upconv 2x2, c, /2
    add:
        from d1
        from up1
    out: conv 1x1, 2
""",
    "streams": """\
block Fuse(c):
    add:
        for i in range(len(x)):
            from{i}: from x[i] -> conv 1x1, c -> upsample 2**i

net N(c = 4):
    input 3, 16x16
    fine: conv 3x3, c
    coarse: conv 3x3, c, /2
    coarsest: conv 3x3, c, /2
    from fine, coarse, coarsest
    fuse: Fuse c
""",
    "a pool without padding": """\
block Unit(c, k: dims, stride = 2):
    add:
        conv: conv 3x3, c, /stride
        maxpool k, /stride

net N(c = 3):
    input 3, 16x16
    unit: Unit c, 2x2
""",
    "any unit": """\
block Wide(c):
    conv 3x3, c, pad=1x2 as wide -> conv 1x3, c, pad=0 as fit

block Plain(c):
    conv: conv 3x3, c

block Residual(unit: op, c):
    add:
        identity
        unit: unit c

net N(c = 3):
    input 3, 16x16
    plain: Residual Plain, c
    wide: Residual Wide, c
    halved: conv 3x3, c, /2
    small: maxpool 2x2, /2
    add:
        from halved -> maxpool 3x3, /2, pad=1
        from small
""",
    "tokens": """\
net N(c = 3):
    input 3, 16x16
    a: maxpool 2x2, /2 -> tokens
    b: from x -> conv 3x3, c, /2 as conv -> tokens
    from a, b -> add
""",
    "a learned map": """\
net N(c = 3):
    input 3, 1x4
    weight bias [c, 1, 4]
    from x, bias -> add
""",
}
NUMBERED = ("a pyramid of any height", "streams")
"""Whose layers have numbers, which TorchScript does not take."""
EQUAL = {
    "a stride is an argument": """\
block Unit(c, stride = 1, v1 = false):
    early = stride if v1 else 1
    add:
        conv 1x1, c, /early as conv1 -> conv 3x3, c, /(1 if v1 else stride) as conv2
        downsample: conv 1x1, c, /stride when stride != 1

net N(c = 3):
    input 3, 16x16
    unit1: Unit c, 2
    unit2: Unit c, v1=true
    unit3: Unit c
""",
    "an average that rounds up": """\
block Unit(c, stride = 1):
    add:
        conv: conv 3x3, c, /stride
        downsample: ([avgpool 2x2, /stride, ceil=true when stride != 1]) -> conv 1x1, c

net N(c = 3):
    input 3, 16x16
    unit1: Unit c, 2
    unit2: Unit c
""",
    "no side is one pixel": """\
net N(c = 4):
    input 3, 16x16
    d1: conv 3x3, c
    maxpool 2x2, /2
    d2: conv 3x3, 2*c
    up1: upconv 2x2, c, /2
    add:
        from d1
        from up1
""",
    "drawn as large as another": """\
net N(c = 4):
    input 3, 16x16
    fine: conv 3x3, c
    coarse: conv 3x3, c, /2
    sum = add:
        from fine
        from coarse -> resize like=fine
    mul:
        from sum
        from coarse -> avgpool to=1x1 -> conv 1x1, c as gate
""",
    "branches in turns": """\
net N(c = 4, n = 3):
    input 3, 16x16
    add:
        for i in range(n):
            conv 3x3, c, /2 as branch{i}
    add:
        identity
        for i in range(n):
            conv 3x3, c as more{i}
""",
}


def sized(text: str, size: tuple[int, int]) -> Network | None:
    """Return a net at another size of its input; None if it takes none such."""
    try:
        return loads(re.sub(r"\d+x\d+$", "{}x{}".format(*size), text, count=1, flags=re.MULTILINE), "n.net")
    except NetError:
        return None


def made(text: str) -> nn.Module:
    """Return the torch module of a text, which TorchScript can read."""
    torch.manual_seed(0)
    return loads(text, "n.net").build("torch")


Shapes = Callable[[Sequence[int]], list[tuple[int, ...]]]
"""What gives the shapes of a sample's outputs by that of its input, channels first."""


def torch_shapes(model: Callable[[torch.Tensor], Any]) -> Shapes:
    """Run a torch module."""
    return lambda shape: [tuple(y.shape[1:]) for y in tensors(model(torch.randn(2, *shape)))]


def flax_shapes(model: Any) -> Shapes:
    """Trace a Flax module."""
    graph, state = nnx.split(model)

    def forward(state: Any, x: jax.Array) -> Any:
        return nnx.merge(graph, state)(x)

    def shapes(shape: Sequence[int]) -> list[tuple[int, ...]]:
        y = jax.eval_shape(forward, state, jax.ShapeDtypeStruct((2, *shape[1:], shape[0]), jnp.float32))
        return [
            (one.shape[-1], *one.shape[1:-1]) if one.ndim == 4 else one.shape[1:]
            for one in jax.tree.leaves(y)
        ]

    return shapes


@pytest.mark.parametrize("kind", COMPARED)
def test_torch_modules_join_what_the_spec_does(kind: str) -> None:
    assert "check_s" in loads(COMPARED[kind], "n.net").emit("torch")
    model = made(COMPARED[kind])
    for train in (False, True):
        check(COMPARED[kind], torch_shapes(model.train(train)))


@pytest.mark.parametrize("kind", COMPARED)
def test_flax_modules_join_what_the_spec_does(kind: str) -> None:
    net = loads(COMPARED[kind], "n.net")
    assert "check_s" in net.emit("flax")
    model = flax_oracles.factory(net)(rngs=nnx.Rngs(0))
    for switch in (model.eval, model.train):
        switch()
        check(COMPARED[kind], flax_shapes(model))


@pytest.mark.parametrize("kind", [kind for kind in COMPARED if kind not in NUMBERED])
def test_scripted_modules_compare_sizes(kind: str) -> None:
    model = made(COMPARED[kind]).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        check(COMPARED[kind], torch_shapes(torch.jit.script(model)))


@pytest.mark.parametrize("kind", COMPARED)
def test_traced_and_exported_modules_compare_sizes(kind: str) -> None:
    model, net = made(COMPARED[kind]).eval(), loads(COMPARED[kind], "n.net")
    x = torch.randn(2, *net.inputs["x"])
    check(COMPARED[kind], torch_shapes(torch.fx.symbolic_trace(model)), named=False)
    size = (2, 3) if kind != "a learned map" else ()
    dynamic = {axis: torch.export.Dim.DYNAMIC for axis in (0, *size)}
    program = torch.export.export(model, (x,), dynamic_shapes=(dynamic,)).module()
    assert torch.equal(program(x), model(x))
    compiled = torch.compile(model, fullgraph=True, backend="eager", dynamic=True)
    assert torch.equal(compiled(x), model(x))


@pytest.mark.parametrize("kind", EQUAL)
def test_sizes_that_are_always_the_same_are_not_compared(kind: str) -> None:
    net = loads(EQUAL[kind], "n.net")
    for backend in ("torch", "flax"):
        assert "check_s" not in net.emit(backend)
    check(EQUAL[kind], torch_shapes(made(EQUAL[kind])), named=False)


def check(text: str, shapes_at: Shapes, named: bool = True) -> None:
    """Check that a module takes the sizes that its spec takes and no others, which it calls by their numbers."""
    (channels, *_), said = loads(text, "n.net").inputs["x"], list[str]()
    for size in SIZES:
        net, found = sized(text, size), outcome(shapes_at, (channels, *size))
        if isinstance(found, Exception):
            assert net is None or repeated(net), (size, found)
            said += re.findall(r"\d+x\d+ and \d+x\d+ cannot be joined|takes \d+ tokens", str(found))
        else:
            assert net is not None, (size, found)
            assert found == [tuple(net.shapes[o.value.node]) for o in net.graph.outputs], size
    assert said or not named


def outcome(shapes_at: Shapes, shape: Sequence[int]) -> list[tuple[int, ...]] | Exception:
    """Return the shapes of a module's outputs, or what it raises."""
    try:
        return shapes_at(shape)
    except REFUSALS as error:
        return error


def repeated(net: Network) -> bool:
    """Tell whether a map of a pixel is the first of a joint that has more: what works in place refuses it."""
    joints = (node for node in net.graph if node.op.name in ("add", "mul", "sub"))
    return any(net.inputs_of(node.name)[0] != net.outputs_of(node.name)[0] for node in joints)

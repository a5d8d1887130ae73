"""The file of tests beside a module: it needs pytest and torch, and holds the module against the static facts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from netdsl import __version__
from netdsl.backend import own_state
from netdsl.diagnostics import NetError
from netdsl.emission.code import Const, Expr, Listed
from netdsl.emission.writer import INDENT, constant, layout
from netdsl.ir.types import Shape
from netdsl.net import Net
from netdsl_torch import Backend
from netdsl_torch.emit import emit
from netdsl_torch.weights import tensors

TESTS = '''

NAMES = list(NETS)


def made(name: str) -> Any:
    """Return a net in evaluation, without memory for its weights."""
    with torch.device("meta"):
        return getattr(MODULE, name)().eval()


def inputs(shapes: list[tuple[int, ...]], batch: int) -> list[Tensor]:
    """Return inputs without values."""
    return [torch.empty(batch, *shape, device="meta") for shape in shapes]


@pytest.mark.parametrize("name", NAMES)
def test_state(name: str) -> None:
    keys = list(made(name).state_dict())
    assert (len(keys), keys[:1], keys[-1:]) == NETS[name]["state"]


@pytest.mark.parametrize("name", NAMES)
def test_parameters(name: str) -> None:
    assert sum(p.numel() for p in made(name).parameters()) == NETS[name]["params"]


@pytest.mark.parametrize("name", NAMES)
def test_macs(name: str) -> None:
    shapes, _ = NETS[name]["shapes"][0]
    model = made(name)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(*inputs(shapes, 1))
    assert counter.get_total_flops() == 2 * NETS[name]["macs"]


@pytest.mark.parametrize("name", NAMES)
def test_shapes(name: str) -> None:
    model = made(name)
    for shapes, expected in NETS[name]["shapes"]:
        with torch.no_grad():
            out = model(*inputs(shapes, 2))
        outputs = [out] if isinstance(out, Tensor) else [y for y in out if y is not None]
        assert [tuple(y.shape[1:]) for y in outputs] == expected
'''


def tests(nets: Sequence[Net], module: str) -> str:
    """Return the tests of a module's nets."""
    return "\n".join([*_head(module), *(line for net in nets for line in _facts(net)), f"}}{TESTS}"])


def _head(module: str) -> Iterator[str]:
    yield f'"""Tests of {module}.py, compiled by netdsl {__version__}."""'
    yield ""
    yield "from importlib import import_module"
    yield "from typing import Any"
    yield ""
    yield "import pytest"
    yield "import torch"
    yield "from torch import Tensor"
    yield "from torch.utils.flop_counter import FlopCounterMode"
    yield ""
    yield f"MODULE = import_module({constant(module)})"
    yield "NETS: dict[str, dict[str, Any]] = {"


def _facts(net: Net) -> Iterator[str]:
    """Yield what is known of a net: keys of its state, counts, shapes of inputs and outputs at some sizes."""
    keys = [tensor.key for tensor in tensors(net)]
    cost = net.cost()
    inner = 2 * INDENT
    yield f"{INDENT}{constant(net.name)}: {{"
    ends = (Listed(tuple(map(Const, part)), "[]") for part in (keys[:1], keys[-1:]))
    yield from layout('"state": ', _tuple(Const(len(keys)), *ends), ",", inner)
    yield f'{inner}"params": {cost.params},'
    yield f'{inner}"macs": {cost.macs},'
    yield f'{inner}"shapes": ['
    for one in sizes(net):
        row = _tuple(_shapes(one.inputs), _shapes(_evaluated(one)))
        yield from layout("", row, ",", 3 * INDENT)
    yield f"{inner}],"
    yield f"{INDENT}}},"


def _tuple(*parts: Expr) -> Expr:
    return Listed(parts, "()")


def _shapes(shapes: Mapping[str, Shape]) -> Expr:
    return Listed(tuple(Const(tuple(shape)) for shape in shapes.values()), "[]")


def _evaluated(net: Net) -> Mapping[str, Shape]:
    """Return the outputs that are there in evaluation."""
    train = {output.name for output in net.graph.outputs if output.train}
    return {name: shape for name, shape in net.outputs.items() if name not in train}


def sizes(net: Net) -> list[Net]:
    """Return a net at its own size and at two others, if its module is for any size."""
    found = [net]
    own = _state(net), _code(net)
    for factor in ((5, 4), (3, 2), (2, 1), (3, 4)):
        if len(found) == 3:
            break
        shapes = {name: _scaled(shape, *factor) for name, shape in net.inputs.items()}
        try:
            other = Net(net.recipe.replace(inputs=shapes))
        except NetError:
            continue
        if (_state(other), _code(other)) == own:
            found.append(other)
    return found


def _scaled(shape: Shape, above: int, below: int) -> Shape:
    """Return a shape with other sides, which are as divisible as may be."""
    sides = [n if axis == "c" else n * above // below for axis, n in zip(shape.axes, shape, strict=True)]
    return Shape(*sides, axes=shape.axes)


def _code(net: Net) -> str:
    """Return a net's module without its docstring, which tells the size."""
    return emit([net], Backend()).partition('\n"""\n')[2]


def _state(net: Net) -> dict[str, tuple[int, ...]]:
    return {key: shape for node in net.graph for key, shape in own_state(net, node).items()}

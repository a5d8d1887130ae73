"""Where the net's weights lie in an emitted Flax module. Imports no jax."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from netdsl.backend import Tensor
from netdsl.emission.code import Context
from netdsl.emission.replay import Replay
from netdsl.ir.graph import Node, Scope
from netdsl.ir.types import Shape
from netdsl.net import Net
from netdsl.ops.activation import PRelu
from netdsl.ops.attention import Attention, Qkv
from netdsl.ops.base import Op
from netdsl.ops.conv import Convolution
from netdsl.ops.linear import Linear
from netdsl.ops.norm import Norm
from netdsl.ops.source import Weight
from netdsl_flax.emit import FlaxText, family
from netdsl_flax.lowering import LOWERINGS, laid_out


def tensors(net: Net, scan: bool) -> tuple[Tensor, ...]:
    """Return what the state of the net's module holds, layer by layer."""
    return tuple(
        tensor.replace(place=(index, len(nodes)) if stacked else None)
        for path, nodes in places(net, scan).items()
        for index, (node, stacked) in enumerate(nodes)
        if not isinstance(node, Scope)
        for tensor in held(path, node, net)
    )


def places(net: Net, scan: bool) -> dict[str, list[tuple[Node | Scope, bool]]]:
    """Return every layer and container of the net by its path in the module, and whether it is one of a stack."""
    text = FlaxText(family([net]), scan)
    scopes = {scope.path: scope for scope in net.graph.tree.scopes()}
    found: dict[str, list[tuple[Node | Scope, bool]]] = {}
    for place in Replay(text, "layers").run(text.family.variants[0]):
        if place.name not in net.graph and place.name not in scopes:
            continue  # what an argument gives hands on its input, and has no place in the net
        node = net.graph[place.name] if place.name in net.graph else scopes[place.name]
        found.setdefault(place.path, []).append((node, place.stacked))
    return found


def held(path: str, node: Node, net: Net) -> Iterator[Tensor]:
    """Yield the tensors of one layer, in its own order."""
    x = net.inputs_of(node.name)
    own = {**node.op.weights(*x), **node.op.buffers(*x)}
    layouts = [layout for kind, layout in _LAYOUTS.items() if isinstance(node.op, kind)]
    for layout in layouts or [_of_lowering] if own else []:
        for name, parameter, rows, axes, shape in layout(node.op, own, *x):
            yield Tensor(_joined(path, name), shape, _joined(node.name, parameter), rows, axes)


def _joined(path: str, name: str) -> str:
    return f"{path}.{name}" if name else path


Part = tuple[str, str, tuple[int, int] | None, tuple[int, ...] | None, tuple[int, ...]]
"""Name in Flax, name in the net, rows, axes and shape, as in `Tensor`."""
Shapes = dict[str, tuple[int, ...]]


def _convolution(op: Convolution, own: Shapes, *x: Shape) -> Iterator[Part]:
    """Yield kernel h x w x in x out (of a transposed one h x w x out x in), and bias."""
    axes = (2, 3, 1, 0)
    yield "kernel", "weight", None, axes, tuple(own["weight"][axis] for axis in axes)
    if op.bias:
        yield "bias", "bias", None, None, own["bias"]


def _linear(op: Linear | Qkv, own: Shapes, *x: Shape) -> Iterator[Part]:
    yield "kernel", "weight", None, (1, 0), own["weight"][::-1]
    if op.bias:
        yield "bias", "bias", None, None, own["bias"]


def _norm(op: Op, own: Shapes, *x: Shape) -> Iterator[Part]:
    names = {"scale": "weight", "bias": "bias", "mean": "running_mean", "var": "running_var"}
    for name, parameter in names.items():
        if parameter in own:
            yield name, parameter, None, None, own[parameter]


def _slope(op: PRelu, own: Shapes, *x: Shape) -> Iterator[Part]:
    yield "negative_slope", "weight", None, None, own["weight"]


def _attention(op: Attention, own: Shapes, *x: Shape) -> Iterator[Part]:
    """Yield q, k and v, each c x heads x c/heads, which torch holds as rows of one matrix, then the output's."""
    c, heads = x[0].c, (op.heads, x[0].c // op.heads)
    for index, name in enumerate(("query", "key", "value")):
        rows = index * c, (index + 1) * c
        yield f"{name}.kernel", "in_proj_weight", rows, (1, 0), (c, *heads)
        yield f"{name}.bias", "in_proj_bias", rows, None, heads
    yield "out.kernel", "out_proj.weight", None, (1, 0), (*heads, c)
    yield "out.bias", "out_proj.bias", None, None, (c,)


def _tensor(op: Weight, own: Shapes, *x: Shape) -> Iterator[Part]:
    shape, axes = own[""], op.infer().axes
    first = len(shape) - len(axes)  # of the batch, if it is stored
    order = (*range(first), *(first + axes.index(axis) for axis in laid_out(axes)))
    yield "", "", None, order, tuple(shape[axis] for axis in order)


def _of_lowering(op: Op, own: Shapes, *x: Shape) -> Iterator[Part]:
    """Yield what the lowering of an op says of its weights, which else have their own names and axes."""
    layout = LOWERINGS[type(op)](op, Context(x, op.outputs(*x))).layout
    for parameter, shape in own.items():
        name, axes = layout.get(parameter, (parameter, None))
        yield name, parameter, None, axes, shape if axes is None else tuple(shape[axis] for axis in axes)


_LAYOUTS: dict[type, Callable[..., Iterator[Part]]] = {
    Convolution: _convolution,
    Linear: _linear,
    Qkv: _linear,
    Norm: _norm,
    PRelu: _slope,
    Attention: _attention,
    Weight: _tensor,
}

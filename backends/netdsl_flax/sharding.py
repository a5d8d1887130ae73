"""Which axis of each array of a Flax module is cut over the devices of a mesh: that of a layer's output channels."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from math import prod

from netdsl.backend import Tensor
from netdsl.diagnostics import Diagnostic, NetError
from netdsl.emission.code import Arg, Call, Listed, Name
from netdsl.emission.writer import INDENT, layout
from netdsl.ir.graph import Node, Scope
from netdsl.net import Net
from netdsl.ops.conv import Convolution, UpConv
from netdsl_flax.weights import held, places

HEAD = '''

def cut(*axes: str | None) -> PartitionSpec:
    """Return over which axis of a mesh each axis of an array is cut, as far as one is."""
    spec: PartitionSpec = PartitionSpec(*axes)  # type: ignore[no-untyped-call]
    return spec


'''
TAIL = '''
"""By a pattern of its path how an array is cut: along its output channels. The first that fits holds."""


def shard(model: nnx.Module, mesh: Mesh) -> None:
    """Lay a model's arrays over the devices of a mesh as SHARDING says.

    An array is whole on every device where no pattern fits, or the mesh does not divide it.
    """
    state = nnx.state(model)
    for path, variable in nnx.to_flat_state(state):
        name, value = ".".join(map(str, path)), variable.get_value()
        spec = next((spec for pattern, spec in SHARDING if re.fullmatch(pattern, name)), cut())
        sizes = zip(value.shape, spec, strict=False)
        if any(axis is not None and size % mesh.shape.get(axis, size + 1) for size, axis in sizes):
            spec = cut()
        variable.set_value(jax.device_put(value, NamedSharding(mesh, spec)))
    nnx.update(model, state)
'''
WHOLE = '''

def whole(convolve: Callable[..., Array], mesh: Mesh) -> Callable[..., Array]:
    """Return a convolution that each device along "model" makes whole.

    Dividing one of several groups, XLA gives other outputs and gradients, or fails.
    """

    def convolved(x: Array, kernel: Array, *args: Any, **options: Any) -> Array:
        def local(x: Array, kernel: Array) -> Array:
            return convolve(x, kernel, *args, **options)

        parts = {"in_specs": (cut(), cut()), "out_specs": cut(), "axis_names": {"model"}}
        made: Array = jax.shard_map(local, mesh=mesh, **parts, check_vma=False)(x, kernel)
        return made

    return convolved
'''
GROUPS = """    divided = mesh.shape.get("model", 1) > 1
    for _, layer in nnx.iter_modules(model) if divided else ():
        groups = layer.feature_group_count if isinstance(layer, nnx.Conv) else 1
        if groups > 1 and not groups == layer.in_features == layer.out_features:
            layer.conv_general_dilated = whole(layer.conv_general_dilated, mesh)
"""


def table(net: Net, scan: bool) -> Iterator[str]:
    """Yield the table of a net, and the functions that make and apply it, as lines."""
    yield from HEAD.split("\n")[:-1]
    yield "SHARDING: tuple[tuple[str, PartitionSpec], ...] = ("
    for pattern, axis in rules(net, scan):
        names = [] if axis is None else ["None"] * axis + ['"model"']
        spec = Call("cut", tuple([Arg("", Name(name), keyword=False) for name in names]))
        yield from layout("", Listed((Name(f'r"{pattern}"'), spec), "()"), ",", INDENT)
    yield ")"
    grouped = any(_divides_wrongly(node, net) for node in net.graph)
    if grouped:
        before, shard = TAIL.rsplit("\n\n\n", 1)
        yield from f"{before}\n{WHOLE}\n\n{shard}{GROUPS}".strip("\n").split("\n")
    else:
        yield from TAIL.strip("\n").split("\n")


def _divides_wrongly(node: Node, net: Net) -> bool:
    """Tell whether XLA divides a layer wrongly over the channels: a convolution in groups of several channels.

    Seen with jax 0.10: kernels 1x1, and gradients of those that give a channel several.

    Raises:
        NetError: It is transposed, and nothing keeps it whole.
    """
    op = node.op
    if not isinstance(op, Convolution):
        return False
    (x,) = net.inputs_of(node.name)
    (y,) = net.outputs_of(node.name)
    groups = op.groups_of(x.c)
    if groups == 1:
        return False
    if isinstance(op, UpConv):
        what = f"flax:sharding has no {op.name} in groups: XLA divides it wrongly over devices"
        raise NetError([Diagnostic("E506", what, node.span)])
    return not groups == x.c == y.c


def rules(net: Net, scan: bool) -> Iterator[tuple[str, int | None]]:
    """Yield patterns of paths, and which axis of the arrays is cut, if any.

    Arrays of one name are cut as most of them are; before that stand those which are not.
    """
    called: dict[str, dict[str, int | None]] = {}
    for key, axis in _axes(net, scan):
        called.setdefault(key.rpartition(".")[2], {})[key] = axis
    for name, keys in called.items():
        ((most, _),) = Counter(keys.values()).most_common(1)
        for key, axis in keys.items():
            if axis != most:
                yield re.escape(key), axis
        if most is not None:
            yield rf"(.*\.)?{re.escape(name)}", most


def _axes(net: Net, scan: bool) -> Iterator[tuple[str, int | None]]:
    """Yield by key the axis of an array along which the output channels lie, None if there is none."""
    for path, nodes in places(net, scan).items():
        ((node, stacked), *_) = nodes  # of equal layers
        if isinstance(node, Scope):
            continue
        sizes = node.op.weights(*net.inputs_of(node.name))
        for tensor in held(path, node, net):
            name = tensor.parameter.removeprefix(f"{node.name}.")
            axes = node.op.weight_axes.get(name, ())
            found = [at for at, axis in enumerate(axes) if axis.startswith("c_out")]
            found = found or [0] * (axes[:1] in (("c",), ("3c",)))
            yield tensor.key, _place(tensor, sizes[name], found[0]) + stacked if found else None


def _place(tensor: Tensor, sizes: Sequence[int], axis: int) -> int:
    """Return where an axis of the net's own tensor begins in an array, some of whose axes may be parts of one."""
    order = tensor.axes or tuple(range(len(sizes)))
    if len(tensor.shape) == len(order):
        return order.index(axis)
    before = prod(sizes[at] for at in order[: order.index(axis)])
    return next(at for at in range(len(tensor.shape)) if prod(tensor.shape[:at]) == before)

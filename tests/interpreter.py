"""A net run op by op in torch, from its graph: no class, no emitted text, nothing shared with the emitters."""

from __future__ import annotations

import ast
from collections.abc import Callable, Container, Mapping
from pathlib import Path
from typing import Any

import torch
from conftest import import_torchvision
from proved import closure
from torch import Tensor
from torch.nn import functional as F

from netdsl.backend import own_state
from netdsl.ir.graph import Scope, Value
from netdsl.ir.types import Shape
from netdsl.network import Network
from netdsl.ops import Op
from netdsl.ops.source import Weight
from netdsl.ops.window import both

State = Mapping[str, Tensor]
Run = Callable[[Any, list[Tensor], "Call"], Any]


class Call:
    """What an op needs besides its inputs: its tensors by their short names, shapes, the mode."""

    def __init__(
        self, state: dict[str, Tensor], shapes: tuple[Shape, ...], out: Shape, train: bool, batch: int
    ) -> None:
        self.state = state
        self.shapes = shapes
        self.out = out
        self.train = train
        self.batch = batch


def state_shapes(net: Network) -> dict[str, tuple[int, ...]]:
    """Return the keys of a module's state in torch's order: learned tensors first, then children as written."""

    def keys(scope: Scope) -> dict[str, tuple[int, ...]]:
        first: dict[str, tuple[int, ...]] = {}
        rest: dict[str, tuple[int, ...]] = {}
        for item in scope.items:
            if isinstance(item, Scope):
                rest |= keys(item)
            elif isinstance(net.graph[item].op, Weight):
                first |= own_state(net, net.graph[item])
            else:
                rest |= own_state(net, net.graph[item])
        return first | rest

    return keys(net.graph.tree)


def draw_state(shapes: Mapping[str, tuple[int, ...]], seed: int) -> dict[str, Tensor]:
    """Return random numbers in float64, of a size that keeps activations near 1."""
    generator = torch.Generator().manual_seed(seed)
    state = {}
    for key, shape in shapes.items():
        last = key.rpartition(".")[2]
        if not shape:
            state[key] = torch.tensor(0)
            continue
        noise = torch.randn(shape, generator=generator, dtype=torch.float64)
        if last == "running_var":
            state[key] = 1 + 0.4 * noise.tanh()
        elif len(shape) < 2:
            state[key] = 1 + 0.4 * noise.tanh() if last == "weight" else 0.2 * noise
        else:
            state[key] = noise * (1.5 / noise[0].numel()) ** 0.5
    return state


def interpret(net: Network, state: State, x: list[Tensor], train: bool) -> dict[str, Tensor]:
    """Return the outputs by name; in training running statistics of `state` move in place. Dropout does nothing."""
    values: dict[Value, Tensor] = dict(zip(map(Value, net.graph.inputs.values()), x, strict=True))
    kept = [o for o in net.graph.outputs if train or not o.train]
    for node in net.graph:
        if node.op.name == "input" or (node.train and not train):
            continue
        prefix = f"{node.name}."
        own = {
            key.removeprefix(prefix) if key != node.name else "": state[key] for key in own_state(net, node)
        }
        shapes = net.inputs_of(node.name)
        call = Call(own, shapes, net.outputs_of(node.name)[0], train, len(x[0]))
        out = RUN[node.op.name](node.op, [values[v] for v in node.inputs], call)
        for port, tensor in enumerate((out,) if isinstance(out, Tensor) else out):
            values[Value(node.name, port)] = tensor
    return {o.name: values[o.value] for o in kept}


def _symmetric(pads: tuple[tuple[int, int], tuple[int, int]]) -> bool:
    return all(low == high for low, high in pads)


def _pad(x: Tensor, pads: tuple[tuple[int, int], tuple[int, int]], value: float = 0.0) -> Tensor:
    (top, bottom), (left, right) = pads
    return F.pad(x, (left, right, top, bottom), value=value)


def _size(size: Any) -> Any:
    return size if isinstance(size, int) else tuple(size)


def _conv(op: Any, x: list[Tensor], call: Call) -> Tensor:
    pads = op.padding(call.shapes[0])
    weight, bias = call.state["weight"], call.state.get("bias")
    given, padding = (x[0], (pads[0][0], pads[1][0])) if _symmetric(pads) else (_pad(x[0], pads), (0, 0))
    groups = op.groups_of(call.shapes[0].c)
    return F.conv2d(given, weight, bias, _size(op.stride), padding, _size(op.dilation), groups)


def _stdconv(op: Any, x: list[Tensor], call: Call) -> Tensor:
    rows = call.state["weight"].flatten(1)
    variance, mean = torch.var_mean(rows, 1, correction=0, keepdim=True)
    weight = ((rows - mean) / (variance + op.eps).sqrt()).view_as(call.state["weight"])
    call.state = {**call.state, "weight": weight}
    return _conv(op, x, call)


def _blurpool(op: Any, x: list[Tensor], call: Call) -> Tensor:
    if op.size == 1:  # which timm has not
        return F.pad(x[0], [op.border] * 4, mode="reflect")[:, :, :: op.stride, :: op.stride]
    import_torchvision()  # timm imports it
    from timm.layers import BlurPool2d

    return BlurPool2d(filt_size=op.size, stride=op.stride).to(x[0])(x[0])


def _upconv(op: Any, x: list[Tensor], call: Call) -> Tensor:
    pads = op.padding(call.shapes[0])
    weight, bias = call.state["weight"], call.state.get("bias")
    padding = pads[0][0], pads[1][0]
    more = _size(op.output_pad)
    return F.conv_transpose2d(
        x[0], weight, bias, _size(op.stride), padding, more, op.groups, _size(op.dilation)
    )


def _bn(op: Any, x: list[Tensor], call: Call) -> Tensor:
    own = call.state
    if call.train:
        own["num_batches_tracked"] += 1
    numbers = own["running_mean"], own["running_var"], own.get("weight"), own.get("bias")
    return F.batch_norm(x[0], *numbers, call.train, op.momentum, op.eps)


def _ln(op: Any, x: list[Tensor], call: Call) -> Tensor:
    last = call.shapes[0].axes[-1] == "c"
    given = x[0] if last else x[0].permute(0, 2, 3, 1)
    if op.name == "rms_norm":
        out = F.rms_norm(given, given.shape[-1:], call.state.get("weight"), op.eps)
    else:
        out = F.layer_norm(given, given.shape[-1:], call.state.get("weight"), call.state.get("bias"), op.eps)
    return out if last else out.permute(0, 3, 1, 2)


def _pool(op: Any, x: list[Tensor], call: Call) -> Tensor:
    most = op.name == "maxpool"
    if op.to is not None:
        return (F.adaptive_max_pool2d if most else F.adaptive_avg_pool2d)(x[0], _size(op.to))
    pads = op.padding(call.shapes[0])
    kernel, stride = map(_size, op.window)
    if _symmetric(pads):
        padding = pads[0][0], pads[1][0]
        if most:
            return F.max_pool2d(x[0], kernel, stride, padding, _size(op.dilation), op.ceil)
        return F.avg_pool2d(x[0], kernel, stride, padding, op.ceil, op.count_include_pad)
    if most:
        return F.max_pool2d(_pad(x[0], pads, -torch.inf), kernel, stride, 0, _size(op.dilation))
    total = F.avg_pool2d(_pad(x[0], pads), kernel, stride)
    return (
        total
        if op.count_include_pad
        else total / F.avg_pool2d(_pad(torch.ones_like(x[0]), pads), kernel, stride)
    )


def _attention(op: Any, x: list[Tensor], call: Call) -> Tensor:
    batch, n, c = x[0].shape
    together = F.linear(x[0], call.state["in_proj_weight"], call.state["in_proj_bias"])
    q, k, v = (t.view(batch, n, op.heads, c // op.heads).transpose(1, 2) for t in together.chunk(3, -1))
    scores = (q @ k.transpose(-1, -2) / (c // op.heads) ** 0.5).softmax(-1)
    out = (scores @ v).transpose(1, 2).reshape(batch, n, c)
    return F.linear(out, call.state["out_proj.weight"], call.state["out_proj.bias"])


def _aligned(x: list[Tensor], call: Call) -> list[Tensor]:
    found = []
    for tensor, shape in zip(x, call.shapes, strict=True):
        if len(shape) == len(call.out):
            found.append(tensor)
            continue
        axis = call.out.axis("c")
        sizes = [len(tensor), *(shape.c if i == axis else 1 for i in range(len(call.out)))]
        found.append(tensor.reshape(sizes))
    return found


def _add(op: Any, x: list[Tensor], call: Call) -> Tensor:
    first, *others = _aligned(x, call)
    for other in others:
        first = first + other
    return first


def _sub(op: Any, x: list[Tensor], call: Call) -> Tensor:
    first, second = _aligned(x, call)
    return first - second


def _mul(op: Any, x: list[Tensor], call: Call) -> Tensor:
    first, *others = _aligned(x, call)
    for other in others:
        first = first * other
    return first


def _shuffle(op: Any, x: list[Tensor], call: Call) -> Tensor:
    batch, c, h, w = x[0].shape
    return x[0].view(batch, op.groups, c // op.groups, h, w).transpose(1, 2).reshape(batch, c, h, w)


def _shift(op: Any, x: list[Tensor], call: Call) -> Tensor:
    rows, columns = op.by
    return F.pad(x[0][:, :, rows:, columns:], (0, columns, 0, rows))


def _crop(op: Any, x: list[Tensor], call: Call) -> Tensor:
    (_, _, h, w), (_, _, rows, columns) = x[0].shape, x[1].shape
    top, left = (h - rows) // 2, (w - columns) // 2
    return x[0][:, :, top : top + rows, left : left + columns]


def _resized(op: Any, x: list[Tensor], call: Call) -> Tensor:
    return F.interpolate(x[0], tuple(call.out[1:]), mode=op.mode, align_corners=op.align_corners or None)


def _slice(op: Any, x: list[Tensor], call: Call) -> Tensor:
    axes = "hw" if op.of_map else op.axis
    parts = [slice(None)] * x[0].ndim
    for at, axis in enumerate(axes):
        begin, end, step = (n[at] if isinstance(n, tuple) else n for n in (op.begin, op.end, op.stride))
        parts[call.shapes[0].axis(axis) + 1] = slice(begin, end, step)
    return x[0][tuple(parts)]


def _reduced(op: Any, x: list[Tensor], call: Call) -> Tensor:
    dims = tuple(call.shapes[0].axis(axis) + 1 for axis in op.axes)
    return (x[0].mean if op.name == "mean" else x[0].amax)(dims, keepdim=op.keep)


def _map(op: Any, x: list[Tensor], call: Call) -> Tensor:
    return x[0].permute(0, 2, 1).unflatten(2, tuple(call.out[1:]))


def _roll(op: Any, x: list[Tensor], call: Call) -> Tensor:
    sign = 1 if op.back else -1
    return torch.roll(x[0], tuple(sign * n for n in op.by), (2, 3))


def _padded(op: Any, x: list[Tensor], call: Call) -> Tensor:
    sides = {"c": (op.before, op.after), "h": op.rows, "w": op.columns, "n": (0, 0)}
    pads = [n for axis in reversed(call.shapes[0].axes) for n in sides[axis]]
    if op.mode == "zeros":
        return F.pad(x[0], pads)
    return F.pad(x[0], pads[:4], mode=op.mode)


def _weight(op: Any, x: list[Tensor], call: Call) -> Tensor:
    own = call.state[""]
    return (own if op.batch else own[None]).expand(call.batch, *op.shape)


def _windows(op: Any, x: list[Tensor], call: Call) -> Tensor:
    given = x[0].movedim(-1, 1) if call.shapes[0].axes == "hwc" else x[0]
    return _in_windows(op, given)


def _in_windows(op: Any, x: Tensor) -> Tensor:
    (rows, columns), (h, w) = both(op.size), x.shape[2:]
    x = F.pad(x, (0, -w % columns, 0, -h % rows))
    x = x.roll([-by for by in _moved(op, h, w)], (2, 3))
    found = F.unfold(x, _extent(op, h, w), **_spacing(op, h, w))
    return found.unflatten(1, (x.shape[1], -1)).permute(0, 3, 2, 1)


def _moved(op: Any, h: int, w: int) -> list[int]:
    sides = zip((h, w), both(op.size), both(op.shift), strict=True)
    return [shift if n > size else 0 for n, size, shift in sides]


def _extent(op: Any, h: int, w: int) -> tuple[int, int]:
    rows, columns = both(op.size)
    return (-(-h // rows), -(-w // columns)) if getattr(op, "apart", False) else (rows, columns)


def _spacing(op: Any, h: int, w: int) -> dict[str, Any]:
    rows, columns = both(op.size)
    if getattr(op, "apart", False):
        return {"dilation": (rows, columns)}
    if getattr(op, "spread", False):
        return {"dilation": (-(-h // rows), -(-w // columns))}
    return {"stride": (rows, columns)}


def _unwindows(op: Any, x: list[Tensor], call: Call) -> Tensor:
    (rows, columns), like = both(op.size), call.shapes[1]
    whole = -(-like.h // rows) * rows, -(-like.w // columns) * columns
    found = F.fold(
        x[0].permute(0, 3, 2, 1).flatten(1, 2),
        whole,
        _extent(op, like.h, like.w),
        **_spacing(op, like.h, like.w),
    )
    found = found.roll(_moved(op, like.h, like.w), (2, 3))[:, :, : like.h, : like.w]
    return found.movedim(1, -1) if like.axes == "hwc" else found


def _window_mask(op: Any, x: list[Tensor], call: Call) -> Tensor:
    like = call.shapes[0]
    rows, columns = (-(-n // size) * size for n, size in zip((like.h, like.w), both(op.size), strict=True))
    down, across = _moved(op, like.h, like.w)
    side = torch.zeros(call.batch, 1, rows, columns).to(x[0])
    side[:, :, :down] += 1
    side[:, :, :, :across] += 2
    held = _in_windows(op, side)[..., 0]
    return torch.where(held[..., None] == held[..., None, :], 0.0, -100.0).to(x[0])


def _qkv(op: Any, x: list[Tensor], call: Call) -> Tensor:
    weights, bias = call.state["weight"].chunk(3), call.state.get("bias")
    biases = [None] * 3 if bias is None else [*bias.chunk(3)]
    if not op.key_bias:
        biases[1] = None
    return torch.cat([F.linear(x[0], w, b) for w, b in zip(weights, biases, strict=True)], -1)


def _attend(op: Any, x: list[Tensor], call: Call) -> Tensor:
    q, k, v = (y.unflatten(-1, (op.heads, -1)).transpose(-2, -3) for y in x[:3])
    further = {name: x[at] for name, at in op.further(*call.shapes).items()}
    each = slice(None), *([None] * (q.ndim - 4))
    scale = op.scale
    if op.cosine:
        q, k, scale = F.normalize(q, dim=-1) * further["by"][each], F.normalize(k, dim=-1), 1.0
    added = torch.zeros(1).to(q)
    if "bias" in further:
        added = added + further["bias"][each]
    if "mask" in further:
        added = added + further["mask"][:, :, None]
    scores = q @ k.transpose(-1, -2) * (q.shape[-1] ** -0.5 if scale is None else scale)
    return ((scores + added).softmax(-1) @ v).transpose(-2, -3).flatten(-2)


def _relative_bias(op: Any, x: list[Tensor], call: Call) -> Tensor:
    rows = x[1].flatten(1).long()[..., None]
    found = torch.take_along_dim(x[0].flatten(1, -2), rows, 1)
    return found.unflatten(1, (op.places, op.places)).movedim(-1, 1)


def _each(function: Callable[[Tensor], Tensor]) -> Run:
    return lambda op, x, call: function(x[0])


RUN: dict[str, Run] = {
    "conv": _conv,
    "dwconv": _conv,
    "upconv": _upconv,
    "stdconv": _stdconv,
    "blurpool": _blurpool,
    "fc": lambda op, x, call: F.linear(x[0], call.state["weight"], call.state.get("bias")),
    "bn": _bn,
    "ln": _ln,
    "rms_norm": _ln,
    "gn": lambda op, x, call: F.group_norm(
        x[0], op.groups, call.state.get("weight"), call.state.get("bias"), op.eps
    ),
    "instance_norm": lambda op, x, call: F.instance_norm(
        x[0], weight=call.state.get("weight"), bias=call.state.get("bias"), eps=op.eps
    ),
    "lrn": lambda op, x, call: torch.cat(
        [F.local_response_norm(part, op.size, op.alpha, op.beta, op.k) for part in x[0].chunk(op.groups, 1)],
        1,
    ),
    "maxpool": _pool,
    "avgpool": _pool,
    "gap": _each(lambda x: x.mean((2, 3))),
    "attention": _attention,
    "dropout": _each(lambda x: x),
    "droppath": _each(lambda x: x),
    "identity": _each(lambda x: x),
    "relu": _each(F.relu),
    "relu6": _each(F.relu6),
    "leaky_relu": lambda op, x, call: F.leaky_relu(x[0], op.slope),
    "hswish": _each(F.hardswish),
    "hsigmoid": _each(F.hardsigmoid),
    "sigmoid": _each(torch.sigmoid),
    "silu": _each(F.silu),
    "gelu": lambda op, x, call: F.gelu(x[0], approximate=op.approximate),
    "tanh": _each(torch.tanh),
    "elu": lambda op, x, call: F.elu(x[0], op.alpha),
    "celu": lambda op, x, call: F.celu(x[0], op.alpha),
    "rrelu": lambda op, x, call: F.leaky_relu(x[0], (op.lower + op.upper) / 2),
    "selu": _each(F.selu),
    "prelu": lambda op, x, call: F.prelu(x[0], call.state["weight"]),
    "hardtanh": lambda op, x, call: F.hardtanh(x[0], op.min, op.max),
    "exp": _each(torch.exp),
    "attend": _attend,
    "matmul": lambda op, x, call: torch.einsum("...nk,...km->...nm", x[0], x[1]),
    "qkv": _qkv,
    "relative_bias": _relative_bias,
    "windows": _windows,
    "unwindows": _unwindows,
    "window_mask": _window_mask,
    "pad_to": lambda op, x, call: F.pad(
        x[0], (0, -call.shapes[0].w % both(op.size)[1], 0, -call.shapes[0].h % both(op.size)[0])
    ),
    "threshold": lambda op, x, call: F.threshold(x[0], op.threshold, op.value),
    "mish": _each(F.mish),
    "softplus": lambda op, x, call: F.softplus(x[0], op.beta, op.threshold),
    "softsign": _each(F.softsign),
    "logsigmoid": _each(F.logsigmoid),
    "tanhshrink": _each(F.tanhshrink),
    "hardshrink": lambda op, x, call: F.hardshrink(x[0], op.threshold),
    "softshrink": lambda op, x, call: F.softshrink(x[0], op.threshold),
    "softmax": lambda op, x, call: x[0].softmax(op.axis_of(call.shapes[0]) + 1),
    "log_softmax": lambda op, x, call: x[0].log_softmax(op.axis_of(call.shapes[0]) + 1),
    "glu": lambda op, x, call: F.glu(x[0], call.shapes[0].axis("c") + 1),
    "add": _add,
    "sub": _sub,
    "scale": lambda op, x, call: x[0] * op.factor,
    "offset": lambda op, x, call: x[0] + op.term,
    "mul": _mul,
    "concat": lambda op, x, call: torch.cat(x, op.axis_of(call.shapes[0]) + 1),
    "split": lambda op, x, call: x[0].split(
        [s.c for s in op.outputs(*call.shapes)], call.shapes[0].axis("c") + 1
    ),
    "slice": _slice,
    "shuffle": _shuffle,
    "shift": _shift,
    "roll": _roll,
    "expand": lambda op, x, call: x[0].repeat_interleave(op.channels, call.shapes[0].axis("c") + 1),
    "map": _map,
    "mean": _reduced,
    "amax": _reduced,
    "pad": _padded,
    "crop": _crop,
    "upsample": _resized,
    "resize": _resized,
    "permute": lambda op, x, call: x[0].permute(0, *(axis + 1 for axis in op.axes)),
    "flatten": _each(lambda x: x.flatten(1)),
    "unflatten": lambda op, x, call: x[0].unflatten(1, (op.parts, -1)),
    "pixel_shuffle": lambda op, x, call: F.pixel_shuffle(x[0], op.factor),
    "pixel_unshuffle": lambda op, x, call: F.pixel_unshuffle(x[0], op.factor),
    "tokens": _each(lambda x: x.flatten(2).transpose(1, 2)),
    "token": lambda op, x, call: x[0][:, op.index],
    "weight": _weight,
}
"""Every op by its name; `tests/test_metamorphic.py` holds that none is missing."""


def known(op: type[Op]) -> bool:
    """Tell whether an op can be run here."""
    return op.name == "input" or op.name in RUN


def running(ops: Container[str]) -> str:
    """Return the text of what runs these ops here: a proof follows from that alone, not from other ops."""
    module = ast.parse(Path(__file__).read_text(encoding="utf-8"))
    for node in module.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.value, ast.Dict):
            table = node.value
            entries = zip(table.keys, table.values, strict=True)
            kept = [(k, v) for k, v in entries if isinstance(k, ast.Constant) and k.value in ops]
            table.keys, table.values = [k for k, _ in kept], [v for _, v in kept]
    return closure(ast.unparse(module), "interpret", "draw_state", "state_shapes")

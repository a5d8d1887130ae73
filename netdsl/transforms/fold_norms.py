"""Batch norms folded into the layer before them: y = s (w x + b) + t is (s w) x + (s b + t).

Or into the one behind them: y = w (s x + t) + b is (w s) x + (w t + b), where no window reaches beyond the map.
"""

from __future__ import annotations

from operator import add, mul
from typing import TYPE_CHECKING

from netdsl.diagnostics import Diagnostic, NetError
from netdsl.ir.graph import Node
from netdsl.ops import Op
from netdsl.ops.conv import Conv, DwConv
from netdsl.ops.linear import Linear
from netdsl.ops.norm import BatchNorm
from netdsl.transforms.change import Change, Formula, Read

if TYPE_CHECKING:
    from netdsl.ops.base import Array


def fold_norms(change: Change) -> None:
    """Fold each batch norm into the convolution or `fc` before it, where all calls of the two are in pairs.

    What is left is folded into the layer behind it, if that alone reads it, and pads nothing.
    """
    for home in [node.name for node in change.ordered() if not node.module]:
        while home in change.nodes and _fold_next(change, home):
            pass
    for node in reversed(change.ordered()):
        if isinstance(node.op, BatchNorm):
            _fold_into_next(change, node)


def _fold_next(change: Change, home: str) -> bool:
    """Fold the norm behind a layer, and tell whether there was one."""
    calls = change.calls(home)
    norms = [change.reader(node.name) for node in calls]
    if not takes_bias(change, home) or not all(norm and isinstance(norm.op, BatchNorm) for norm in norms):
        return False
    names = {norm.name for norm in norms if norm}
    (norm, *others) = {norm.home for norm in norms if norm}
    if others or names != {node.name for node in change.calls(norm)}:
        return False
    fold(change, home, norm)
    for node in calls:
        change.replace(node.name, change.nodes[node.name].op.replace(bias=True))
    for name in names:
        change.remove(name)
    return True


def _fold_into_next(change: Change, norm: Node) -> None:
    """Fold a norm into the layer behind it, if that can be."""
    layer = change.reader(norm.name)
    if layer is None or len(change.calls(norm.home)) > 1 or len(change.calls(layer.home)) > 1:
        return
    op, groups = layer.op, 1
    if isinstance(op, Conv | DwConv):
        if op.pads_by_size or any(op.constant_padding):
            return
        groups = op.groups_of(change.shape(layer.name).c)
    elif not isinstance(op, Linear):
        return
    if not takes_bias(change, layer.name):
        return
    scale, shift = of_norm(change, norm.name)
    weight = change.tensor(f"{layer.name}.weight")

    def by_input(numbers: Array, factors: Array) -> Array:
        parts = numbers.reshape(groups, -1, *numbers.shape[1:])
        return (parts * factors.reshape(groups, 1, -1, *[1] * (numbers.ndim - 2))).reshape(numbers.shape)

    def added(numbers: Array, factors: Array) -> Array:
        sums: Array = by_input(numbers, factors).reshape(len(numbers), -1).sum(1)
        return sums

    bias = Formula.of(added, weight, shift)
    if op.arguments()["bias"]:
        bias = Formula.of(add, bias, change.tensor(f"{layer.name}.bias"))
    change.state[f"{layer.name}.weight"] = Formula.of(by_input, weight, scale)
    change.state[f"{layer.name}.bias"] = bias
    change.replace(layer.name, op.replace(bias=True))
    change.remove(norm.name)


def takes_bias(change: Change, name: str) -> bool:
    """Tell whether a layer multiplies by its weight as it is, and may have a bias."""
    op: Op = change.nodes[name].op
    return "bias" in op._fields and op.plain(*change.net.inputs_of(name)) is op


def fold(change: Change, layer: str, norm: str) -> None:
    """Say what becomes of a layer's weight and bias."""
    op = change.nodes[layer].op
    scale, shift = of_norm(change, norm)
    change.state[f"{layer}.weight"] = Formula.of(op.scaled, change.tensor(f"{layer}.weight"), scale)
    if op.arguments()["bias"]:
        bias = Formula.of(mul, change.tensor(f"{layer}.bias"), scale)
        shift = Formula.of(add, bias, shift)
    change.state[f"{layer}.bias"] = shift


def of_norm(change: Change, name: str) -> tuple[Formula, Formula]:
    """Return by what a batch norm multiplies each channel in evaluation, and what it adds."""
    op = change.nodes[name].op
    assert isinstance(op, BatchNorm)
    norm = op
    names = ("running_mean", "running_var", *(("weight", "bias") if op.affine else ()))
    keys = tuple(f"{name}.{one}" for one in names)

    def both(read: Read) -> tuple[Array, Array]:
        if (read(f"{name}.running_var") <= -norm.eps).any():
            message = f"`{name}.running_var` has numbers that are no variances"
            raise NetError([Diagnostic("E516", message)])
        return norm.in_evaluation(lambda one: read(f"{name}.{one}"))

    return Formula(keys, lambda read: both(read)[0]), Formula(keys, lambda read: both(read)[1])

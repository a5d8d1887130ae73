"""Batch norms folded into the layer before them: y = s (w x + b) + t is (s w) x + (s b + t)."""

from __future__ import annotations

from operator import add, mul
from typing import TYPE_CHECKING

from netdsl.diagnostics import Diagnostic, NetError
from netdsl.ops import Op
from netdsl.ops.norm import BatchNorm
from netdsl.transforms.change import Change, Formula, Read

if TYPE_CHECKING:
    from netdsl.ops.base import Array


def fold_norms(change: Change) -> None:
    """Fold each batch norm into the convolution or `fc` before it, where all calls of the two are in pairs.

    Norms behind something else, such as those before their convolution, stay.
    """
    for home in [node.name for node in change.ordered() if not node.module]:
        while home in change.nodes and _fold_next(change, home):
            pass


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

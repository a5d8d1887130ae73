"""Whether maps of a net in inference should have their channels last: a rule that was fitted once, kept as data."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from netdsl.ir.graph import Node
from netdsl.net import Net
from netdsl.ops.conv import Convolution
from netdsl.ops.window import both


def channels_last(net: Net) -> bool:
    """Tell whether a sample of the net's own size takes less time so, on one core of a processor."""
    return saved(net) > 0


def saved(net: Net) -> float:
    """Return the nanoseconds that it saves of a sample of the net's own size; below 0 if it costs some."""
    return sum(_saved(net, node) for node in net.graph)


def kernel(node: Node, net: Net) -> str:
    """Return what kernel runs a layer, as the rule calls it."""
    kind, op = node.op.runs_as(*net.inputs_of(node.name)), node.op
    strided = isinstance(op, Convolution) and max(both(op.stride)) > 1
    return f"{kind} strided" if kind == "conv 1x1" and strided else kind


def _saved(net: Net, node: Node) -> float:
    """Return the nanoseconds that it saves of a layer."""
    rule = _rules().get(kernel(node, net)) if net.inputs_of(node.name) else None
    return 0.0 if rule is None else rule["saves"] * getattr(net.layer_costs[node.name], rule["of"])


@cache
def _rules() -> dict[str, dict[str, Any]]:
    import tomllib  # not read when a module for training is written

    with (Path(__file__).parent / "channels_last.toml").open("rb") as file:
        return tomllib.load(file)

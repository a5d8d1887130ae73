"""The state_dict of an emitted module: its keys in order, and how it is filled."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from netdsl.backend import Tensor, own_state
from netdsl.ir.graph import Scope
from netdsl.net import Net

if TYPE_CHECKING:
    from netdsl.backend import Array

States = Mapping[str, Mapping[str, tuple[int, ...]]]
"""By layer, the shapes of its state by key."""


def tensors(net: Net) -> tuple[Tensor, ...]:
    """Return what the state_dict holds, in its order: the net's own state."""
    states = {node.name: own_state(net, node) for node in net.graph}
    order = _layers(net.graph.tree, states, net.parameters)
    return tuple(Tensor(key, shape, key) for name in order for key, shape in states[name].items())


def _layers(scope: Scope, states: States, learned: Container[str]) -> Iterator[str]:
    """Yield the layers in the order of the state_dict: a module's own parameters and buffers, then its children."""
    nodes = [item for item in scope.items if not isinstance(item, Scope)]
    bare = [name for name in nodes if name in states[name]]
    yield from sorted(bare, key=lambda name: name not in learned)
    for item in scope.items:
        if isinstance(item, Scope):
            yield from _layers(item, states, learned)
        elif item not in states[item]:
            yield item


def load(model: Any, state: Mapping[str, Array]) -> None:
    """Copy a whole state into a module, by `load_state_dict`."""
    model.load_state_dict({key: _tensor(array) for key, array in state.items()})


def _tensor(array: Array) -> Any:
    """Return a tensor over an array's memory, bfloat16 and float8 of ml_dtypes too."""
    import torch

    if array.dtype.isbuiltin == 1:
        return torch.from_numpy(array)
    whole = {1: "uint8", 2: "int16"}[array.dtype.itemsize]
    return torch.from_numpy(array.view(whole)).view(getattr(torch, array.dtype.name))

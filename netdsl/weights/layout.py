"""Where a backend keeps the weights of a net, and what it takes to read them from there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from types import ModuleType
from typing import NoReturn

from netdsl.backend import Deploy, Tensor, WeightsBackend, find, own_state, spare_state
from netdsl.diagnostics import Diagnostic, NetError
from netdsl.net import Net
from netdsl.record import Record
from netdsl.transforms.change import Formula


class Layout(Record):
    """Where one backend keeps the weights of one net."""

    name: str
    """The backend, as `find` takes it."""
    own: dict[str, tuple[int, ...]]
    """The net's own state: shape by key."""
    tensors: dict[str, tuple[Tensor, ...]]
    """By key of the backend's state, in its order; several where equal layers are stacked, by place."""
    parts: dict[str, tuple[Tensor, ...]]
    """By key of the net's own state, in the order of its rows."""
    shapes: dict[str, tuple[int, ...]]
    """Shape by key of the backend's state."""
    spare: Mapping[str, Sequence[int]]
    """By key of the net's own state, what it holds where a state lacks it."""
    optional: frozenset[str]
    """Keys that hold nothing else, and may lack."""
    made: Mapping[str, Formula] | None = None
    """Of the form for inference: by key of its own state what it follows from, as far as it changed."""


def layout(net: Net, name: str) -> Layout:
    """Return where a backend keeps the weights; NetError if it does not tell, or not of all."""
    backend, made = movable(name), None
    if isinstance(backend, Deploy):
        backend, (net, made) = backend.backend, backend.deployed(net)
    own = {key: shape for node in net.graph for key, shape in own_state(net, node).items()}
    spare = spare_state(net)
    tensors: dict[str, list[Tensor]] = {}
    parts: dict[str, list[Tensor]] = {}
    for tensor in backend.tensors(net):
        tensors.setdefault(tensor.key, []).append(tensor)
        parts.setdefault(tensor.parameter, []).append(tensor)
    for key, stacked in tensors.items():
        stacked.sort(key=lambda t: t.place or (0, 1))
        places = [t.place for t in stacked]
        if places != [None] and places != [(i, len(stacked)) for i in range(len(stacked))]:
            _refuse(f"the {name} backend does not tell what each place of `{key}` holds")
    for parameter, shape in own.items():
        pieces = sorted(parts.get(parameter, ()), key=lambda t: rows(t, shape))
        ends = [0, *(rows(t, shape)[1] for t in pieces)]
        whole = [rows(t, shape)[0] for t in pieces] == ends[:-1] and ends[-1] == rows_of(shape)
        if not whole and (pieces or parameter not in spare):
            _refuse(f"the {name} backend does not tell where all of `{parameter}` is")
        if pieces:
            parts[parameter] = pieces
    return Layout(
        name,
        own,
        {key: tuple(stacked) for key, stacked in tensors.items()},
        {parameter: tuple(pieces) for parameter, pieces in parts.items()},
        {key: (len(s), *s[0].shape) if s[0].place else s[0].shape for key, s in tensors.items()},
        spare,
        frozenset(key for key, s in tensors.items() if all(t.parameter in spare for t in s)),
        made,
    )


def movable(name: str) -> WeightsBackend:
    """Return the backend of that name; NetError if it does not tell where its weights are."""
    backend = find(name)
    if not isinstance(backend, WeightsBackend):
        _refuse(f"the {name} backend does not tell where its weights are")
    return backend


def rows_of(shape: tuple[int, ...]) -> int:
    """Return how many rows a tensor has; a single number counts as one."""
    return shape[0] if shape else 1


def rows(tensor: Tensor, shape: tuple[int, ...]) -> tuple[int, int]:
    """Return which rows of a parameter of that shape a tensor holds, from and up to."""
    return tensor.rows or (0, rows_of(shape))


def need(module: str, what: str) -> ModuleType:
    """Return a module that is no dependency of netdsl's; NetError if it is not installed."""
    try:
        return import_module(module)
    except ModuleNotFoundError:
        raise NetError([Diagnostic("E509", f"{what} needs {module}", help=f"pip install {module}")]) from None


def _refuse(message: str) -> NoReturn:
    help = "backends/README.md says what `tensors` and `load` return"
    raise NetError([Diagnostic("E513", message, help=help)])

"""What a backend is, and where it is found."""

from __future__ import annotations

from functools import cache
from typing import Any, Protocol

from netdsl.diagnostics import Diagnostic, NetError, did_you_mean
from netdsl.network import Network
from netdsl.ops import Op

GROUP = "netdsl.backends"
"""The entry point under which distributions register backends: a name, and a class without arguments."""


class Backend(Protocol):
    """A framework that netdsl emits code for."""

    name: str

    def lowers(self, op: type[Op]) -> bool:
        """Tell whether it has the op."""

    def emit(self, net: Network) -> str:
        """Return the source of a module: pure text, the framework need not be installed. Raises NetError."""

    def build(self, text: str, net: Network) -> Any:
        """Return the module that the source defines; imports the framework here, and only here."""


def find(name: str) -> Backend:
    """Return the backend of that name, from any installed distribution; NetError if there is none."""
    found = _entry_points()
    if name not in found:
        help = did_you_mean(name, list(found)) or f"installed are {', '.join(found)}"
        raise NetError([Diagnostic("E506", f"there is no backend `{name}`", help=help)])
    backend: Backend = found[name].load()()
    return backend


@cache
def _entry_points() -> dict[str, Any]:
    from importlib.metadata import entry_points  # slow to import, and only emitting needs it

    return {point.name: point for point in sorted(entry_points(group=GROUP), key=lambda p: p.name)}


def missing(net: Network, backend: Backend) -> None:
    """Raise NetError at the layers whose ops a backend lacks."""
    lacking = {}
    for node in net.graph:
        if type(node.op) not in lacking and not backend.lowers(type(node.op)):
            message = f"the {backend.name} backend has no `{node.op.name}`"
            lacking[type(node.op)] = Diagnostic("E507", message, node.span, calls=node.calls)
    if lacking:
        raise NetError(list(lacking.values()))

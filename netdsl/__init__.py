"""A declarative language for neural-network architectures, and its compiler.

`load` reads a spec and returns a `Network`: its graph, its facts, and the source text of a module for it. The
public names are imported when they are first used, so that `import netdsl` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from netdsl.api import load, load_family
    from netdsl.backend import Backend, emit_family
    from netdsl.diagnostics import Diagnostic, NetError
    from netdsl.ir.types import Shape
    from netdsl.network import Network
    from netdsl.syntax.format import format
    from netdsl.verification import Verification, verify
    from netdsl.weights.convert import convert_weights

__all__ = [
    "Backend",
    "Diagnostic",
    "NetError",
    "Network",
    "Shape",
    "Verification",
    "convert_weights",
    "emit_family",
    "format",
    "load",
    "load_family",
    "verify",
]

__version__ = "0.1.0"

_HOME = {
    "Backend": "backend",
    "Diagnostic": "diagnostics",
    "NetError": "diagnostics",
    "Network": "network",
    "Shape": "ir.types",
    "Verification": "verification",
    "convert_weights": "weights.convert",
    "emit_family": "backend",
    "format": "syntax.format",
    "load": "api",
    "load_family": "api",
    "verify": "verification",
}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])

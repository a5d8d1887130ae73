"""Running emitted source. torch is imported here, and only here."""

from __future__ import annotations

import linecache
from types import ModuleType
from typing import TYPE_CHECKING, Any

from netdsl.diagnostics import Diagnostic, NetError
from netdsl.network import Network

if TYPE_CHECKING:
    from torch import nn


def build(text: str, net: Network) -> nn.Module:
    """Return the module that the source's factory makes. Tracebacks show the emitted lines."""
    try:
        import torch  # noqa: F401
    except ModuleNotFoundError:
        help = 'pip install "netdsl[torch]"'
        raise NetError([Diagnostic("E509", "building a module needs torch", help=help)]) from None
    name = f"<netdsl {net.name}>"
    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    module = ModuleType(net.name)
    exec(compile(text, name, "exec"), module.__dict__)
    factory: Any = module.__dict__[net.name]
    built: nn.Module = factory()
    return built

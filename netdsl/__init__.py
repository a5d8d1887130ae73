"""A declarative language for neural-network architectures, and its compiler.

    net = netdsl.load("resnet50", classes=10)   a net of the zoo; of a file "my.net:small" or a Path
    net = netdsl.loads(text)                    one of a text; netdsl.zoo() lists what there is
    net.shapes["layer1.0.conv1"]                Shape(64, 56, 56), without the batch
    net.cost(batch=8)                           params, MACs, ops and bytes of the whole net, as a `Cost`
    print(net.cost_table(by="block"))           the same by layer, block, stage or op, as a `Table`
    net.layer_costs["conv1"]                    the same of one layer, a `Cost`
    for finding in net.lint(): print(finding)   what `netdsl lint` prints
    source = net.emit("torch")                  the text of a module, without a framework
    module = net.build("torch")                 the module
    space = netdsl.explore("search")            the nets of a search space, counted and drawn
    netdsl.lift(module, (3, 224, 224)).text     the spec of a module that somebody wrote

Errors are `NetError`; `print(error)` shows them with the lines that they are about. The public names are imported
when they are first used, so that `import netdsl` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from netdsl.api import explore, load, load_family, loads, zoo
    from netdsl.backend import Backend, emit_family
    from netdsl.diagnostics import Diagnostic, NetError
    from netdsl.frontend import lift
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
    "explore",
    "format",
    "lift",
    "load",
    "load_family",
    "loads",
    "verify",
    "zoo",
]

__version__ = "0.2.0"

_HOME = {
    "Backend": "backend",
    "Diagnostic": "diagnostics",
    "NetError": "diagnostics",
    "Network": "network",
    "Shape": "ir.types",
    "Verification": "verification",
    "convert_weights": "weights.convert",
    "emit_family": "backend",
    "explore": "api",
    "format": "syntax.format",
    "lift": "frontend",
    "load": "api",
    "load_family": "api",
    "loads": "api",
    "verify": "verification",
    "zoo": "api",
}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]

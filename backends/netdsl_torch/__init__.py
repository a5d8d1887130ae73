"""The PyTorch backend: what each op is in lowering.py, the text in emit.py, torch itself in run.py."""

from __future__ import annotations

from typing import Any

from netdsl.network import Network
from netdsl.ops import Op
from netdsl_torch.lowering import LOWERINGS

__all__ = ["Backend"]


class Backend:
    """Emits `torch.nn` modules with torchvision's conventions."""

    name = "torch"

    def lowers(self, op: type[Op]) -> bool:
        """Tell whether torch has the op."""
        return op in LOWERINGS

    def emit(self, net: Network, inplace: bool = True) -> str:
        """Return the source of a module; `inplace=False` writes nothing over anything, for comparison."""
        from netdsl_torch.emit import emit  # only when something is emitted

        return emit(net, self, inplace)

    def build(self, text: str, net: Network) -> Any:
        """Return the nn.Module that the source's factory makes; NetError where torch is missing."""
        from netdsl_torch.run import build

        return build(text, net)

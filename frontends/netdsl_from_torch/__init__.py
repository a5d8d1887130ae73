"""The front end for PyTorch: a model is run once, and what happened is a graph.

`tape.py` runs it and writes down every call, `translate.py` makes ops of calls by the tables of `ops.py`, of
`whole.py` for modules and `emitted.py` for functions that netdsl writes, `layout.py` follows views, `tree.py` gives
everything its name, `proof.py` compares. `common.py` is what the front end for ONNX needs, too. Imports no torch
itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from netdsl_from_torch.read import Model

__all__ = ["FrontEnd"]


class FrontEnd:
    """Reads `nn.Module`s and functions that make them."""

    name = "torch"

    def takes(self, source: object) -> bool:
        """Tell whether it is a module, a function, or a text that names a function."""
        if isinstance(source, str):
            return not source.endswith(".onnx")
        return callable(source)

    def read(self, source: Any, inputs: Mapping[str, tuple[int, ...]], args: Mapping[str, Any]) -> Model:
        """Return a model as a graph; see `netdsl.frontend.FrontEnd`."""
        from netdsl.weights.layout import need

        need("torch", "lifting a model of torch's")
        from netdsl_from_torch.read import Model

        return Model(source, inputs, args)

"""The front end for ONNX: a file is read as calls of torch's functions, and what they make is a graph.

`file.py` opens it, and trusts nothing in it; `scopes.py` finds the modules that its nodes were in; `ops.py` says what
each operator is in torch's words and `whole.py` which modules are one call; `run.py` writes those on a tape, which
`netdsl_from_torch` makes a graph of; `proof.py` compares. Imports neither onnx nor torch itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from netdsl_from_onnx.read import Model

__all__ = ["FrontEnd"]


class FrontEnd:
    """Reads files of ONNX."""

    name = "onnx"

    def takes(self, source: object) -> bool:
        """Tell whether it is the name of such a file."""
        return isinstance(source, str) and source.endswith(".onnx")

    def read(self, source: Any, inputs: Mapping[str, tuple[int, ...]], args: Mapping[str, Any]) -> Model:
        """Return a file's model as a graph; see `netdsl.frontend.FrontEnd`."""
        from netdsl.weights.layout import need

        for module in ("onnx", "torch"):
            need(module, "lifting a file of ONNX")
        from netdsl_from_onnx.read import Model

        return Model(source, inputs, args)

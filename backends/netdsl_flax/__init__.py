"""The Flax backend: what each op is in lowering.py, the text in emit.py, jax itself in run.py."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, cast

from netdsl.backend import batchless, module_name
from netdsl.net import Net
from netdsl.ops import Op
from netdsl.record import Record
from netdsl_flax.lowering import LOWERINGS

if TYPE_CHECKING:
    from netdsl.backend import Array, Runner, Tensor
    from netdsl.network import Network

__all__ = ["Backend"]


class Backend(Record):
    """Emits `flax.nnx` modules that compute what the torch backend's compute."""

    scan: bool = False
    idiomatic: bool = False
    remat: bool = False
    deploy: bool = False
    sharding: bool = False

    name = "flax"
    OPTIONS: ClassVar[Mapping[str, str]] = {
        "scan": "stacks the weights of equal blocks in a row, which XLA compiles once",
        "idiomatic": "starts and keeps statistics as Flax does, and leaves out what only equals torch",
        "remat": "keeps no activations within blocks in training, and computes them again for gradients",
        "sharding": "says over which axis of a mesh each weight is cut, and lays a model over its devices",
        "deploy": "writes the form for inference: norms folded away, nothing that only training has",
    }

    def lowers(self, op: type[Op]) -> bool:
        """Tell whether Flax has the op."""
        return LOWERINGS.has(op)

    def emit(self, net: Net) -> str:
        """Return the source of a module."""
        from netdsl_flax.emit import emit  # only when something is emitted

        return emit([net], self)

    def files(self, nets: Sequence[Net]) -> Mapping[str, str]:
        """Return the module of some nets of a file by its name."""
        from netdsl_flax.emit import emit

        return {f"{module_name(nets)}.py": emit(nets, self)}

    def build(self, text: str, net: Net) -> Any:
        """Return the nnx.Module that the source's factory makes; NetError where jax or flax is missing."""
        from netdsl_flax.run import build

        return build(text, cast("Network", net))

    def tensors(self, net: Net) -> tuple[Tensor, ...]:
        """Return what the module's state holds, layer by layer."""
        from netdsl_flax.weights import tensors

        return tensors(net, self.scan)

    def load(self, model: Any, state: Mapping[str, Array], net: Net) -> None:
        """Replace all weights and statistics of a built module, whose dtypes stay."""
        from netdsl_flax.run import load

        load(model, state)

    def counted(self, net: Net, batch: int) -> int:
        """Return the MACs that XLA counts: those with values of a map, not with its padding."""
        active = (node for node in net.graph if not node.train)
        once = {node.name for node in batchless(net)}
        return sum(
            node.op.macs_inside(*net.inputs_of(node.name)) * (1 if node.name in once else batch)
            for node in active
        )

    def notes(self, net: Net) -> list[str]:
        """Return why XLA counts other MACs than the net has."""
        padding = net.cost().macs - self.counted(net, 1)
        return (
            [f"XLA's MACs leave out the {padding:,} a sample that meet nothing but padding"]
            if padding
            else []
        )

    def runner(self, text: str, net: Net, dtype: str) -> Runner:
        """Return the module that the source defines, to measure it; NetError where jax or flax is missing."""
        from netdsl_flax.again import FirstCalls
        from netdsl_flax.run import Runner

        kind = FirstCalls if any(node.module for node in net.graph) else Runner
        return kind(text, cast("Network", net), dtype, self.scan)

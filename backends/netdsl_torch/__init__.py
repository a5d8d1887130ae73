"""The PyTorch backend: what each op is in lowering.py, the text in emit.py, torch itself in run.py."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, cast

from netdsl.backend import batchless, module_name
from netdsl.net import Net
from netdsl.ops import Op
from netdsl.ops.activation import Celu, HSigmoid
from netdsl.record import Record
from netdsl_torch.lowering import LOWERINGS

if TYPE_CHECKING:
    from netdsl.backend import Array, Beside, PipelineRun, Runner, Tensor
    from netdsl.network import Network
    from netdsl.transforms.towers import Towers

__all__ = ["Backend"]


class Backend(Record):
    """Emits `torch.nn` modules with torchvision's conventions."""

    features: bool = False
    remat: bool = False
    test: bool = False
    low_memory: bool = False
    deploy: bool = False

    name = "torch"
    OPTIONS: ClassVar[Mapping[str, str]] = {
        "features": "gives nets `forward_features`, the maps of every stage, for a net on top",
        "remat": "keeps no activations within blocks in training, and computes them again for gradients",
        "test": "writes a file of tests beside the module",
        "low_memory": "frees and writes over what it can, and is less readable",
        "deploy": "writes the form for inference: norms folded away, nothing that only training has",
    }

    def lowers(self, op: type[Op]) -> bool:
        """Tell whether torch has the op."""
        return LOWERINGS.has(op)

    def emit(self, net: Net, inplace: bool = True) -> str:
        """Return the source of a module; `inplace=False` writes nothing over anything, for comparison."""
        from netdsl_torch.emit import emit  # only when something is emitted

        return emit([net], self, inplace)

    def merges(self, net: Net) -> bool:
        """Tell whether convolutions over one map are faster as one: where the parts of its output are no copies."""
        from netdsl_torch.channels_last import channels_last

        return not channels_last(net)

    def files(self, nets: Sequence[Net]) -> Mapping[str, str]:
        """Return the module of some nets of a file, and its tests if they are asked for, by names of files."""
        from netdsl_torch.emit import emit

        name = module_name(nets)
        found = {f"{name}.py": emit(nets, self)}
        if self.test:
            from netdsl_torch.checks import tests

            found[f"test_{name}.py"] = tests(nets, name)
        return found

    def towers(self, plan: Towers) -> Mapping[str, str]:
        """Return what runs a net on several devices, and what each of them does stage by stage."""
        from netdsl_torch.towers import files

        return files(plan, self)

    def pipeline(
        self, name: str, parts: Sequence[Net], learned: Sequence[Sequence[bool]], run: PipelineRun
    ) -> str:
        """Return the program that runs parts of a net, on torch.distributed.pipelining."""
        from netdsl_torch.pipeline import program

        return program(name, parts, learned, run)

    def layers(self, net: Net) -> Mapping[str, bool]:
        """Return by node whether it is an nn.Module, or `forward` calls a function."""
        from netdsl_torch.emit import layers

        return layers(net, self)

    def build(self, text: str, net: Net) -> Any:
        """Return the nn.Module that the source's factory makes; NetError where torch is missing."""
        from netdsl_torch.run import build

        return build(text, cast("Network", net))

    def tensors(self, net: Net) -> tuple[Tensor, ...]:
        """Return what the state_dict holds, in its order."""
        from netdsl_torch.weights import tensors

        return tensors(net)

    def load(self, model: Any, state: Mapping[str, Array], net: Net) -> None:
        """Replace all weights and buffers of a built module, whose dtypes stay."""
        from netdsl_torch.weights import load

        load(model, state)

    def counted(self, net: Net, batch: int) -> int:
        """Return the MACs that torch's counter counts: all of the net's, what samples share once."""
        shared = sum(node.op.macs(*net.inputs_of(node.name)) for node in batchless(net) if not node.train)
        return net.cost(batch).macs - (batch - 1) * shared

    def notes(self, net: Net) -> list[str]:
        """Return which activations are measured in another form."""
        formulas = {
            HSigmoid: "relu6(x + 3) / 6: its own of hardsigmoid has a sixth in float32",
            Celu: "celu's formula: its own have 1 / alpha in float32",
        }
        kinds = {type(node.op) for node in net.graph}
        return [f"float64 gradients are those of {text}" for op, text in formulas.items() if op in kinds]

    def runner(self, text: str, net: Net, dtype: str) -> Runner:
        """Return the module that the source defines, to measure it; NetError where torch is missing."""
        from netdsl_torch.run import Runner

        return Runner(text, cast("Network", net), dtype)

    def onnx(self, model: Any, net: Net, about: Mapping[str, str], beside: Beside | None = None) -> bytes:
        """Return a built module as ONNX, by torch's exporter; NetError where that is missing, or refuses it."""
        from netdsl_torch.onnx import export

        return export(model, net, about, beside)

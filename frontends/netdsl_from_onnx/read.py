"""A file of ONNX as a graph: opened, run on a tape, translated as torch's are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from netdsl_from_torch.common import label_of, net_name
from netdsl_from_torch.tape import Call
from netdsl_from_torch.translate import Cause, Translation
from netdsl_from_torch.tree import Tree
from torch import Tensor

from netdsl.diagnostics import Diagnostic, NetError, did_you_mean
from netdsl.frontend import Check
from netdsl.ir.graph import Graph
from netdsl.network import Network
from netdsl_from_onnx.file import File, refuse
from netdsl_from_onnx.ops import OWN
from netdsl_from_onnx.run import Missing, Run
from netdsl_from_onnx.scopes import function, told
from netdsl_from_onnx.whole import in_windows

DROPS = ("Dropout", "Dropout2d", "AlphaDropout", "FeatureAlphaDropout", "DropPath", "StochasticDepth")
"""Classes of torch's, and of libraries, that drop in training."""


CALLS = {**OWN, "windows": in_windows}
"""Calls that no function of torch is, as ops."""


class State:
    """The weights of a file, by the keys of the net."""

    def __init__(self, held: Mapping[str, Tensor]) -> None:
        """Take them in their order."""
        self.held = held

    def state_dict(self) -> Mapping[str, Tensor]:
        """Return them."""
        return self.held


class Model:
    """A file's model that was read; see `netdsl.frontend.Read`."""

    def __init__(self, source: str, inputs: Mapping[str, tuple[int, ...]], args: Mapping[str, Any]) -> None:
        """Read the file."""
        self.source = source
        if args:
            refuse(f"{source} is a file, and takes no {next(iter(args))}", "leave out --args")
        stem = Path(source).stem
        self.name = net_name(stem) or "model"
        self.file = File(source)
        self.shapes = self._shapes(inputs)
        self.run = Run(self.file, self.shapes, "".join(part.title() for part in self.name.split("_")))
        self.graph = self._graph()
        self.model = State(tensors(self.run))
        self.notes = notes(self.file, self.run)

    def prove(self, net: Network) -> tuple[Check, ...]:
        """Hold a net against the file."""
        from netdsl_from_onnx.proof import prove

        return (*prove(net, self), *(Check("not in the file", note, True) for note in self.notes))

    def _shapes(self, given: Mapping[str, tuple[int, ...]]) -> list[tuple[int, ...]]:
        """Return the shapes of the inputs, without the batch: the file's, or where that has any, what is given."""
        known = [one.name for one in self.file.inputs]
        shapes = []
        for name in given:
            if name and name not in known:
                what = f"{self.source} has no input `{name}`"
                help = did_you_mean(name, known) or f"it has {', '.join(known)}"
                raise NetError([Diagnostic("E505", what, help=help)])
        for one in self.file.inputs:
            own, shape = one.sizes[1:], given.get(one.name) or given.get("")
            sizes = "x".join(str(size) if size else "?" for size in own)
            if shape is None:
                if not all(own):
                    what = f"input `{one.name}` of {self.source} is {sizes}, of any size"
                    some = "x".join(str(size or 64) for size in own)
                    raise NetError([Diagnostic("E505", what, help=f"for example --input {one.name}={some}")])
                shape = own
            if len(shape) != len(own) or any(b not in (0, a) for a, b in zip(shape, own, strict=True)):
                what = f"input `{one.name}` of {self.source} is {sizes}, got {'x'.join(map(str, shape))}"
                raise NetError([Diagnostic("E505", what, help="leave out --input, or export the file anew")])
            shapes.append(tuple(shape))
        return shapes

    def _graph(self) -> Graph:
        """Return the graph; NetError with every node that has no op."""
        run, names = self.run, [label_of(one.name) for one in self.file.inputs]
        translation = Reading(run.tape, self.shapes, True, run.batch)
        causes = list(translation.causes)
        if not causes:
            inputs = ["x"] if len(names) == 1 else names
            tree = Tree(translation, run.keys, self._outputs(), inputs, {})
            causes = tree.causes
        if causes:
            raise NetError(self._reported(causes))
        return tree.graph

    def _outputs(self) -> list[tuple[str, bool]]:
        """Return what each output is called: as in the file, if that is no name of a function of torch's."""
        makers = {name: node for node in self.file.graph.node for name in node.output}
        found: list[str] = []
        several = len(self.file.graph.output) > 1
        for index, output in enumerate(self.file.graph.output):
            node = makers.get(output.name)
            scopes = told(node)[0] if node is not None else []
            own = output.name[:1].isalpha() and (not scopes or output.name != scopes[-1]) and several
            label = label_of(output.name) if own else "out"
            found.append(label if label not in found else f"{label}{index}")
        return [(name, False) for name in found]

    def _reported(self, causes: Sequence[Cause]) -> list[Diagnostic]:
        """Return an error for each node that no op says, those of one kind in one module's class as one."""
        found: dict[tuple[str, str], list[Cause]] = {}
        for cause in causes:
            node = self.run.nodes.get(cause.place)
            what = node.op_type if node is not None else cause.what
            found.setdefault((what, cause.why), []).append(cause)
        diagnostics = []
        for (what, why), each in found.items():
            places = []
            for cause in each:
                node = self.run.nodes.get(cause.place)
                other = "its result" if cause.what == "output" else "its state"
                called = f"node `{node.name or '#' + cause.place}`" if node is not None else other
                places.append(f"{called} in `{cause.path}`" if cause.path else called)
            said = f": {why}" if why else ""
            diagnostics.append(Diagnostic("E581", f"no op says `{what}`{said} ({', '.join(places)})"))
        return diagnostics


class Reading(Translation):
    """The ops that a file's tape is."""

    near = 1e-6  # numbers of files are of float32

    def call(self, call: Call) -> None:
        """Translate a call, or note why it has no op."""
        if isinstance(call, Missing):
            self.causes.append(Cause(call.name, call.why, call.frame.path, call.place))
            self.stand_in(call)
        else:
            super().call(call)

    def translated(self, call: Call) -> Any:
        """Return the layouts of a call's results."""
        if call.name in CALLS:
            return CALLS[call.name](self, *call.args)
        return super().translated(call)


def tensors(run: Run) -> dict[str, Tensor]:
    """Return the state of a file's model, in order."""
    return {key: torch.from_numpy(run.state[key].copy()) for key in run.keys}


def notes(file: File, run: Run) -> list[str]:
    """Return what a module has that its file lacks."""
    found = []
    dropped: dict[str, None] = {}
    folded: dict[str, None] = {}
    drops = any(node.op_type == "Dropout" for node in file.graph.node)
    for node, stack in zip(file.graph.node, run.scopes.stacks, strict=True):
        path, name = stack[-1] if stack else ("", "")
        if name in DROPS and node.op_type != "Dropout":
            dropped[path] = None
        if node.op_type == "Conv" and (name.startswith("BatchNorm") or "batch_norm" in function(node)):
            folded[path] = None
    if dropped:
        found.append(f"what is dropped in training, at {_listed(list(dropped))}")
    elif not drops:
        found.append("what is dropped in training, if anything is")
    made_up = [
        name
        for node in file.graph.node
        if node.op_type == "Conv"
        for name in node.input[1:2]
        if name not in run.named
    ]
    if folded:
        found.append(f"norms that were folded into convolutions, at {_listed(list(folded))}")
    elif made_up and not any(node.op_type == "BatchNormalization" for node in file.graph.node):
        found.append(f"norms, which were folded into {len(made_up)} convolutions, if there were any")
    if run.renamed:
        found.append(f"the keys of {_listed(run.renamed)}, which are called after their modules here")
    if file.turned:
        found.append(
            f"channels that come first: they are the last axis of input {_listed(file.turned)} there"
        )
    if not run.scopes.told:
        found.append("classes of modules, which are called after their paths")
    found.append("outputs that only training has, if there are any")
    return found


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(f"`{name}`" for name in names[:3]) + more

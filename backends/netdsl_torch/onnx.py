"""Modules as ONNX, by torch's own exporter."""

from __future__ import annotations

import ast
import logging
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from netdsl.diagnostics import Diagnostic, NetError
from netdsl.diagnostics.render import printable
from netdsl.net import Net
from netdsl.weights.layout import need

if TYPE_CHECKING:
    from torch import nn

    from netdsl.backend import Beside

SCOPES = "pkg.torch.onnx.name_scopes"
"""Under which the exporter tells the paths of the modules that a node is in, the outermost first, and the node."""
PLACES = ("pkg.torch.onnx.stack_trace", "pkg.torch.onnx.fx_node")
"""What it tells of the machine that it ran on."""
LEAST = 1024
"""From how many bytes on a tensor may lie beside the file, as for onnx's own tools; shapes are never there."""
PAGE = 4096
"""Where such a tensor begins is a multiple of that, so that it can be mapped into memory as ONNX asks for."""


def export(model: nn.Module, net: Net, about: Mapping[str, str], beside: Beside | None = None) -> bytes:
    """Return a module in evaluation as a file of ONNX, for any batch; see netdsl.backend.OnnxBackend."""
    for package in ("onnx", "onnxscript"):
        need(package, "writing ONNX")
    import torch

    inputs = tuple(torch.zeros(2, *shape) for shape in net.inputs.values())
    try:
        with _quiet():
            program = torch.onnx.export(
                model.eval(),
                inputs,
                dynamo=True,
                verbose=False,
                input_names=list(net.inputs),
                output_names=[output.name for output in net.graph.outputs if not output.train],
                dynamic_shapes=tuple({0: torch.export.Dim("batch")} for _ in inputs),
            )
    except torch.onnx.OnnxExporterError as error:
        said = printable(str(error.__cause__ or error).strip().split("\n")[0])
        message = f"torch's exporter refuses {net.name}: {said}"
        raise NetError([Diagnostic("E592", message)]) from None
    assert program is not None
    written = program.model
    _name(written)
    written.graph.name = net.name
    written.metadata_props.update(about)
    if beside is not None:
        _put(written, beside)
    return bytes(program.model_proto.SerializeToString(deterministic=True))


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter from telling that outputs of training are None, and torch from warning of itself."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        logger.setLevel(level)


def _name(model: Any) -> None:
    """Call each node by the path of its module and its operator; leave out what is of this machine."""
    taken: Counter[str] = Counter()
    for node in model.graph.all_nodes():
        scopes = ast.literal_eval(node.metadata_props.get(SCOPES, "['']"))
        path = scopes[-2] if len(scopes) > 1 else ""
        name = f"{path}/{node.op_type}" if path else node.op_type
        node.name = f"{name}_{taken[name]}" if taken[name] else name
        taken[name] += 1
        for key in PLACES:
            node.metadata_props.pop(key, None)


def _put(model: Any, beside: Beside) -> None:
    """Write the large tensors of a model beside it, one after the other, and say where each is."""
    from onnx_ir import ExternalTensor

    for value in model.graph.initializers.values():
        tensor = value.const_value
        if tensor.nbytes < LEAST:
            continue
        begin = -(-beside.stream.tell() // PAGE) * PAGE
        beside.stream.write(bytes(begin - beside.stream.tell()))
        tensor.tofile(beside.stream)
        value.const_value = ExternalTensor(
            beside.name, begin, tensor.nbytes, tensor.dtype, shape=tensor.shape, name=tensor.name
        )

"""What a file makes, by onnxruntime where that is installed or else by onnx's own evaluator; and its shapes."""

from __future__ import annotations

import subprocess
import sys
from math import prod
from typing import Any

import numpy
import onnx
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun
from onnx.reference.ops.op_conv_transpose import ConvTranspose as Ungrouped

from netdsl_from_onnx.file import Array

_SMALL = 1024
"""How many numbers a tensor may have that is given to the inference of shapes."""
_INFER = """
import sys, onnx
model = onnx.load_model_from_string(sys.stdin.buffer.read())
sys.stdout.buffer.write(onnx.shape_inference.infer_shapes(model, data_prop=True).SerializeToString())
"""


class LRN(OpRun):
    """Normalisation by neighbouring channels; onnx's own takes as many channels as there are samples."""

    def _run(self, x: Array, alpha: float, beta: float, bias: float, size: int) -> tuple[Array]:
        below, above = (size - 1) // 2, size // 2 + 1
        channels = range(x.shape[1])
        sums = [numpy.sum(x[:, max(0, c - below) : c + above] ** 2, axis=1) for c in channels]
        return ((x / (bias + alpha / size * numpy.stack(sums, 1)) ** beta).astype(x.dtype),)


class ConvTranspose(OpRun):
    """Transposed convolution group by group; onnx's own fails with several."""

    def _run(self, x: Array, w: Array, b: Array | None = None, group: int = 1, **kwargs: Any) -> tuple[Array]:
        of_one: Any = Ungrouped._run
        biases = [None] * group if b is None else numpy.split(b, group)
        parts = zip(numpy.split(x, group, 1), numpy.split(w, group), biases, strict=True)
        return (numpy.concatenate([of_one(self, *each, group=1, **kwargs)[0] for each in parts], 1),)


def with_shapes(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a model with the shapes that the rules of its operators give, as far as they give any.

    A process of its own finds them: onnx ends the one in which an attribute makes no sense to it.
    """
    large = [one for one in model.graph.initializer if prod(one.dims) > _SMALL]
    for one in large:
        known = onnx.helper.make_tensor_value_info(one.name, one.data_type, list(one.dims))
        model.graph.input.append(known)
        model.graph.initializer.remove(one)
    command = [sys.executable, "-c", _INFER]
    try:
        done = subprocess.run(command, input=model.SerializeToString(), capture_output=True, timeout=60)
        return onnx.load_model_from_string(done.stdout)
    except Exception:  # protobuf's own errors, and those of processes: then nothing is known
        return onnx.ModelProto()


def evaluated(model: onnx.ModelProto, inputs: dict[str, Array]) -> list[Array]:
    """Return the outputs of a file's model."""
    try:
        from onnxruntime import InferenceSession  # type: ignore[import-not-found,import-untyped,unused-ignore]
    except ImportError:
        found: Any = ReferenceEvaluator(model, new_ops=[LRN, ConvTranspose]).run(None, inputs)
        return list(found)
    return list(InferenceSession(model.SerializeToString()).run(None, inputs))

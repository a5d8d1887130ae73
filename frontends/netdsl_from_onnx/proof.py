"""A lifted net against its file, with live numbers: keys, and outputs in evaluation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy
import onnx
import torch
from netdsl_from_torch.common import same_keys
from netdsl_from_torch.proof import SCALE
from onnx import numpy_helper

from netdsl.against import flat
from netdsl.frontend import Check
from netdsl.network import Network
from netdsl_from_onnx.evaluate import evaluated

if TYPE_CHECKING:
    from netdsl_from_onnx.file import Array
    from netdsl_from_onnx.read import Model

SEED = 0
BOUND = {"float32": 1e-4, "float64": 1e-4, "float16": 2e-2}
"""The largest error, relative to the largest number, by what the file computes in; the net computes in float32."""


def prove(net: Network, model: Model) -> tuple[Check, ...]:
    """Return what was compared."""
    ours = net.build("torch")
    keys = same_keys(ours.state_dict(), dict(model.model.state_dict()))
    return (keys, _outputs(ours, model)) if keys.ok else (keys,)


def _outputs(ours: torch.nn.Module, model: Model) -> Check:
    """Compare outputs in evaluation with those of onnx's own evaluator, or of onnxruntime where that is installed."""
    from netdsl_from_onnx.read import tensors

    what = "outputs in evaluation"
    random = numpy.random.default_rng(SEED)
    alive = enlivened(model, random)
    file = model.file.of(alive)
    run = type(model.run)(file, model.shapes, model.run.scopes.root)
    ours.load_state_dict(tensors(run))
    inputs: dict[str, Array] = {}
    for one, shape in zip(file.inputs, model.shapes, strict=True):
        kind = next(each.type.tensor_type.elem_type for each in file.graph.input if each.name == one.name)
        x = random.standard_normal((run.batch, *shape))
        x[1:] *= SCALE
        inputs[one.name] = x.astype(onnx.helper.tensor_dtype_to_np_dtype(kind))
    dtype = str(next(iter(inputs.values())).dtype)
    try:
        with numpy.errstate(all="ignore"):
            theirs = evaluated(alive, inputs)
    except Exception as error:  # it raises what it likes
        return Check(what, f"the file does not run: {str(error).partition(chr(10))[0][:200]}", False)
    with torch.no_grad():
        mine = [*flat(ours.eval()(*(torch.from_numpy(x.astype("float32")) for x in inputs.values())))]
    if len(mine) != len(theirs):
        return Check(what, f"{len(mine)} here, {len(theirs)} there", False)
    worst = 0.0
    for a, b in zip(mine, theirs, strict=True):
        if tuple(a.shape) != b.shape:
            return Check(what, f"{list(a.shape)} here, {list(b.shape)} there", False)
        if not numpy.isfinite(b).all():
            return Check(what, "the file makes numbers that are not finite", False)
        difference = numpy.abs(a.numpy().astype("float64") - b.astype("float64"))
        worst = max(worst, float(difference.max() / max(numpy.abs(b).max(), 1e-30)))
    said = f"differ by {worst:.1e} of the largest number at most, in {dtype}"
    return Check(what, "equal bit for bit" if worst == 0 else said, worst <= BOUND.get(dtype, 0))


def enlivened(model: Model, random: numpy.random.Generator) -> onnx.ModelProto:
    """Return a file's model with numbers of which all show, as it evaluates: tensors of one number are drawn.

    A layer that starts as zeros would hide what is before it.
    """
    alive = onnx.ModelProto()
    alive.CopyFrom(model.file.model)
    used = {source: model.run.state[key].shape for key, source in model.run.sources.items()}
    for tensor in alive.graph.initializer:
        if tensor.name not in used:
            continue
        array = numpy_helper.to_array(tensor)
        if array.dtype.kind == "f" and array.size > 1 and (array == array.reshape(-1)[0]).all():
            one = (
                used[tensor.name][:1] == (1,) and len(used[tensor.name]) == array.ndim
            )  # all samples share it
            drawn = random.uniform(0.5, 2, (1, *array.shape[1:]) if one else array.shape)
            full = numpy.broadcast_to(drawn.astype(array.dtype), array.shape)
            tensor.CopyFrom(numpy_helper.from_array(numpy.ascontiguousarray(full), tensor.name))
    for node in alive.graph.node:
        if node.op_type == "Dropout":
            del node.input[1:]
        given = {attribute.name: attribute for attribute in node.attribute}
        if node.op_type == "BatchNormalization":
            del node.output[1:]
            if "training_mode" in given:
                given["training_mode"].i = 0
        if node.op_type == "MaxPool" and "ceil_mode" in given:
            steps = given["strides"].ints if "strides" in given else [1]
            if {*steps} == {1}:  # nothing is rounded then, which onnx's evaluator gets wrong
                given["ceil_mode"].i = 0
    return alive

"""A file of ONNX, opened without trust: its sizes are bounded, its graph is in order, nothing is read beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import prod
from pathlib import Path
from typing import Any, NoReturn

import numpy
import onnx
from onnx import helper, numpy_helper

from netdsl.diagnostics import Diagnostic, NetError

Array = numpy.ndarray[Any, Any]
LARGEST = 2 << 30
"""How many bytes a file and its tensors may have each."""
MOST = 200_000
"""How many nodes a graph may have."""
OPSETS = range(7, onnx.defs.onnx_opset_version() + 1)
"""The versions of operators that are read."""
RANK = 8
"""How many axes a tensor may have."""
_ANOTHER = "export it anew: torch.onnx.export(model, args, file, dynamo=True, optimize=False)"


class Input:
    """An input of a graph: its name, and its sizes, 0 where any will do."""

    def __init__(self, name: str, sizes: tuple[int, ...]) -> None:
        """The first size is that of the batch."""
        self.name = name
        self.sizes = sizes


class File:
    """A model that was read from a file."""

    def __init__(self, path: str) -> None:
        """Read it; NetError if it is none, or is not whole."""
        self._begin(path, _parsed(path))

    def of(self, model: onnx.ModelProto) -> File:
        """Return the file that another model would be."""
        other = File.__new__(File)
        other._begin(self.path, model)
        return other

    def _begin(self, path: str, model: onnx.ModelProto) -> None:
        self.path = path
        self.model = model
        self.graph = self.model.graph
        self.opset = self._opset()
        self.stored: dict[str, onnx.TensorProto] = {}
        self._check_graph()
        self._check_tensors()
        self.turned = self._turn()
        """Inputs whose channels are last in the file, and first here."""
        self.inputs = [Input(one.name, self._sizes(one)) for one in self.graph.input if self._given(one)]
        if not self.inputs:
            refuse(f"{path} has no input")
        batches = {one.sizes[0] for one in self.inputs if one.sizes[0]}
        if len(batches) > 1:
            refuse(f"the inputs of {path} have other batches: {', '.join(map(str, sorted(batches)))}")
        self.batch = max(batches, default=0)
        """How many samples it takes, 0 where any will do."""

    def array(self, name: str) -> Array:
        """Return an initializer's numbers."""
        return as_array(self.stored[name], self.path)

    # ---------------------------------------------------------------- what has to hold

    def _opset(self) -> int:
        versions = [one.version for one in self.model.opset_import if one.domain in ("", "ai.onnx")]
        if len(versions) != 1 or versions[0] not in OPSETS:
            said = ", ".join(map(str, versions)) or "none"
            what = f"{self.path} says operators of version {said}"
            refuse(what, f"versions {OPSETS[0]} to {OPSETS[-1]} are read")
        return int(versions[0])

    def _check_graph(self) -> None:
        """Refuse a graph whose nodes are out of order, such as in a circle, or read what nothing makes."""
        graph = self.graph
        if not graph.node or not graph.output:
            refuse(f"{self.path} has no {'nodes' if graph.output else 'output'}")
        if len(graph.node) > MOST:
            refuse(f"{self.path} has {len(graph.node):,} nodes; at most {MOST:,} are read")
        if graph.sparse_initializer:
            refuse(f"{self.path} has sparse tensors, which are not read")
        for one in graph.initializer:
            if one.name in self.stored:
                refuse(f"{self.path} has two tensors `{one.name}`")
            self.stored[one.name] = one
        known = {"", *self.stored, *(one.name for one in graph.input)}
        made = {name for node in graph.node for name in node.output}
        for node in graph.node:
            for name in node.input:
                if name not in known:
                    why = "before it is made: they are in no order" if name in made else "which nothing makes"
                    refuse(f"{self.path} is not whole: {said(node)} reads `{name}`, {why}")
            for name in node.output:
                if name and name in known:
                    refuse(f"{self.path} is not whole: {said(node)} makes `{name}`, which there is already")
                known.add(name)
        for output in graph.output:
            if output.name not in known:
                refuse(f"{self.path} is not whole: nothing makes its output `{output.name}`")

    def _check_tensors(self) -> None:
        """Refuse tensors whose bytes are not there, and too many of them; read those that lie beside the file."""
        total = 0
        for tensor in self._tensors():
            if tensor.data_type not in helper.get_all_tensor_dtypes() or tensor.data_type == 0:
                refuse(f"{self.path} is not whole: tensor `{tensor.name}` is of no known type")
            if len(tensor.dims) > RANK or any(size < 0 for size in tensor.dims):
                refuse(f"{self.path} is not whole: tensor `{tensor.name}` has sizes {list(tensor.dims)}")
            count = prod(tensor.dims) if tensor.data_type != onnx.TensorProto.STRING else 0
            total += count * helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
            if total > LARGEST:
                refuse(f"{self.path} has tensors of more than {LARGEST:,} bytes, at `{tensor.name}`")
            if tensor.data_location == onnx.TensorProto.EXTERNAL:
                self._fetch(tensor)

    def _tensors(self) -> Iterator[onnx.TensorProto]:
        yield from self.graph.initializer
        for node in self.graph.node:
            for attribute in node.attribute:
                if attribute.HasField("t"):
                    yield attribute.t
                yield from attribute.tensors

    def _fetch(self, tensor: onnx.TensorProto) -> None:
        """Read a tensor's bytes, which lie in a file in the same folder."""
        told = {entry.key: entry.value for entry in tensor.external_data}
        place = told.get("location", "")
        folder = Path(self.path).resolve().parent
        file = folder / place
        if not place or Path(place).is_absolute() or not file.resolve().is_relative_to(folder):
            refuse(f"{self.path} keeps tensor `{tensor.name}` in {place or 'no file'}, outside its folder")
        need = prod(tensor.dims) * helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
        try:
            begin, length = int(told.get("offset", 0)), int(told.get("length", need))
            if begin < 0 or length != need or not file.is_file():
                raise ValueError
            with file.open("rb") as stream:
                stream.seek(begin)
                tensor.raw_data = stream.read(length)
            if len(tensor.raw_data) != length:
                raise ValueError
        except (OSError, ValueError, OverflowError):
            help = "the file is to lie beside the .onnx file, with the name that it was written with"
            refuse(f"{self.path} keeps tensor `{tensor.name}` in {place}, which has it not", help)
        tensor.data_location = onnx.TensorProto.DEFAULT
        del tensor.external_data[:]

    # ---------------------------------------------------------------- inputs

    def _turn(self) -> list[str]:
        """Let inputs come with their channels first that are only read with these moved there; return their names."""
        turned = []
        for one in self.graph.input:
            readers = [node for node in self.graph.node if one.name in node.input]
            dims = one.type.tensor_type.shape.dim
            moved = [
                node.op_type == "Transpose" and attributes(node).get("perm") == [0, 3, 1, 2]
                for node in readers
            ]
            if (
                not readers
                or not all(moved)
                or len(dims) != 4
                or any(one.name == o.name for o in self.graph.output)
            ):
                continue
            for node in readers:
                node.op_type = "Identity"
                del node.attribute[:]
            sizes = [onnx.TensorShapeProto.Dimension.FromString(dim.SerializeToString()) for dim in dims]
            del dims[:]
            dims.extend(sizes[axis] for axis in (0, 3, 1, 2))
            turned.append(one.name)
        return turned

    def _given(self, one: onnx.ValueInfoProto) -> bool:
        return one.name not in self.stored

    def _sizes(self, one: onnx.ValueInfoProto) -> tuple[int, ...]:
        kind = one.type.tensor_type
        if not one.type.HasField("tensor_type") or not kind.HasField("shape"):
            refuse(f"input `{one.name}` of {self.path} has no shape")
        if kind.elem_type not in (onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE, onnx.TensorProto.FLOAT16):
            refuse(f"input `{one.name}` of {self.path} has no numbers of floating point")
        sizes = tuple(dim.dim_value if dim.HasField("dim_value") else 0 for dim in kind.shape.dim)
        if not 2 <= len(sizes) <= 4 or any(size < 0 or size >= 1 << 20 for size in sizes):
            refuse(
                f"input `{one.name}` of {self.path} has sizes {list(sizes)}: a batch and one to three are read"
            )
        return sizes


def refuse(message: str, help: str = "") -> NoReturn:
    """Raise an error of the file."""
    raise NetError([Diagnostic("E580", message, help=help or _ANOTHER)])


def said(node: onnx.NodeProto) -> str:
    """Return what a node is called in a message."""
    return f"`{node.name}`, a {node.op_type}," if node.name else f"a {node.op_type}"


def as_array(tensor: onnx.TensorProto, path: str) -> Array:
    """Return a tensor's numbers; NetError where its bytes are not there."""
    try:
        return numpy_helper.to_array(tensor)
    except Exception as error:  # onnx raises what it likes
        reason = str(error).partition("\n")[0][:200]
        refuse(f"{path} is not whole: tensor `{tensor.name}` cannot be read: {reason}")


def attributes(node: onnx.NodeProto) -> Mapping[str, Any]:
    """Return a node's attributes, texts as texts, numbers of float32 in as few digits as they need."""
    found: dict[str, Any] = {}
    for one in node.attribute:
        if one.type == onnx.AttributeProto.FLOAT:
            found[one.name] = plain(one.f)
        elif one.type == onnx.AttributeProto.STRING:
            found[one.name] = one.s.decode("utf8", "replace")
        elif one.type == onnx.AttributeProto.FLOATS:
            found[one.name] = [plain(number) for number in one.floats]
        else:
            found[one.name] = helper.get_attribute_value(one)
    return found


def plain(number: float) -> float:
    """Return the number of fewest digits that is this one in float32: 1e-5 for 9.999999747378752e-06."""
    return float(str(numpy.float32(number)))


def _parsed(path: str) -> onnx.ModelProto:
    file = Path(path)
    if not file.is_file():
        refuse(f"there is no file {path}", "for example netdsl lift model.onnx")
    if file.stat().st_size > LARGEST:
        refuse(f"{path} has more than {LARGEST:,} bytes", "keep its tensors in a file beside it")
    try:
        return onnx.load_model_from_string(file.read_bytes())
    except OSError as error:
        refuse(f"cannot read {path}: {error.strerror}", "for example netdsl lift model.onnx")
    except Exception:  # protobuf's own errors, which are several
        refuse(f"{path} is no file of ONNX, or is not whole")

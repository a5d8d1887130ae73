"""Nodes that are one function together: what exporters write for silu, gelu, linear layers and norms of groups."""

from __future__ import annotations

from collections.abc import Sequence

import numpy
import onnx
from onnx import numpy_helper

from netdsl_from_onnx.scopes import Stack, function


class Patterns:
    """The patterns in a graph, by index of the node that does their work."""

    def __init__(self, graph: onnx.GraphProto, stacks: Sequence[Stack]) -> None:
        """Find them."""
        self.nodes = graph.node
        self.stacks = stacks
        self.stored = {one.name: one for one in graph.initializer}
        self.outputs = {one.name for one in graph.output}
        self.makers: dict[str, int] = {}
        self.readers: dict[str, list[int]] = {}
        self.constant: set[int] = set()
        """Nodes that follow from no input."""
        self.skipped: set[int] = set()
        """Nodes that are part of others."""
        self.functions: dict[int, tuple[str, str]] = {}
        """By last node the function that it ends, and what that reads."""
        self.layers: dict[int, tuple[int, tuple[str, ...]]] = {}
        """By last node that which says the layer, and what the layer reads beside that."""
        known = set(self.stored)
        for index, node in enumerate(self.nodes):
            names = [name for name in node.input if name]
            self.makers.update(dict.fromkeys(node.output, index))
            numbers = names[:1] if node.op_type == "CastLike" else names
            if node.op_type in ("Shape", "Size") or all(name in known for name in numbers):
                known.update(node.output)
                self.constant.add(index)
            else:
                for name in names:
                    self.readers.setdefault(name, []).append(index)
        self.known = known
        for index, node in enumerate(self.nodes):
            if node.domain or index in self.constant:
                continue
            try:
                self._find(index, node)
            except (IndexError, ValueError):
                continue  # one of them lacks inputs or results, of which is said where it is run

    def _find(self, index: int, node: onnx.NodeProto) -> None:
        """Find the pattern of which a node does the work."""
        if node.op_type == "Mul":
            self._gated(index, "Sigmoid", "silu") or self._gated(index, "HardSigmoid", "hardswish")
        elif node.op_type == "Erf":
            self._gelu(index)
        elif node.op_type == "MatMul" or (node.op_type == "Conv" and len(node.input) == 2):
            self._linear(index)
        elif node.op_type == "Clip":
            self._hard(index)
        elif node.op_type == "Sqrt":
            self._layer_norm(index)
        elif node.op_type == "InstanceNormalization":
            self._group_norm(index)

    # ---------------------------------------------------------------- what is around a node

    def _maker(self, name: str, *ops: str) -> int | None:
        """Return the node that makes a value, if it is one of these operators and not of numbers alone."""
        at = self.makers.get(name)
        return at if at is not None and self.nodes[at].op_type in ops and at not in self.constant else None

    def _reader(self, index: int, *ops: str) -> int | None:
        """Return the only node that reads a node's result, if it is one of these operators."""
        (name, *others) = self.nodes[index].output
        readers = self.readers.get(name, [])
        if others or len(readers) != 1 or name in self.outputs:
            return None
        return readers[0] if self.nodes[readers[0]].op_type in ops else None

    def _other(self, index: int, name: str) -> str:
        """Return what a node of two inputs reads beside a value."""
        a, b = self.nodes[index].input
        return str(b if a == name else a)

    def _number(self, name: str) -> float | None:
        """Return the only number of a value of the file, None for others."""
        at = self.makers.get(name)
        while at is not None and self.nodes[at].op_type in ("CastLike", "Cast", "Identity"):
            name = self.nodes[at].input[0]
            at = self.makers.get(name)
        tensor = self.stored.get(name)
        if at is not None and self.nodes[at].op_type == "Constant":
            for attribute in self.nodes[at].attribute:
                if attribute.name == "value_float":
                    return float(attribute.f)
                if attribute.name == "value":
                    tensor = attribute.t
        if tensor is None or numpy.prod(tensor.dims, dtype=object) != 1:
            return None
        try:
            return float(numpy_helper.to_array(tensor).reshape(-1)[0])
        except Exception:  # onnx raises what it likes; who reads it says so
            return None

    def _is(self, name: str, number: float) -> bool:
        found = self._number(name)
        return found is not None and abs(found - number) < 1e-5

    # ---------------------------------------------------------------- patterns

    def _gated(self, index: int, gates: str, name: str) -> bool:
        """Find x * sigmoid(x), or of another gate, which torch's newer exporter says to be one function or not."""
        a, b = self.nodes[index].input
        for x, gate in ((a, b), (b, a)):
            at = self._maker(gate, gates)
            if at is None or self.nodes[at].input[0] != x or self._reader(at, "Mul") is None:
                continue
            said = function(self.nodes[index])
            if name in said or not said:
                self.functions[index] = (name, x)
                self.skipped.add(at)
                return True
        return False

    def _gelu(self, index: int) -> None:
        """Find x * (1 + erf(x / sqrt(2))) / 2, in whatever order it is multiplied."""
        inner = self._maker(self.nodes[index].input[0], "Div", "Mul")
        plus = self._reader(index, "Add")
        if inner is None or plus is None or self._reader(inner, "Erf") is None:
            return
        x, root = self.nodes[inner].input
        if self.nodes[inner].op_type == "Mul" and self._number(x) is not None:
            x, root = root, x
        if not self._is(root, 2**0.5 if self.nodes[inner].op_type == "Div" else 0.5**0.5):
            return
        if not self._is(self._other(plus, self.nodes[index].output[0]), 1):
            return
        part = [inner, index, plus]
        half = read = False
        at: int | None = plus
        while at is not None and not (half and read):
            last = self.nodes[at].output[0]
            at = self._reader(at, "Mul")
            if at is None:
                return
            other = self._other(at, last)
            scaled = self._maker(other, "Mul")
            if other == x and not read:
                read = True
            elif self._is(other, 0.5) and not half:
                half = True
            elif scaled is not None and not (half or read) and x in self.nodes[scaled].input:
                if not self._is(self._other(scaled, x), 0.5) or self._reader(scaled, "Mul") is None:
                    return
                half = read = True
                part.append(scaled)
            else:
                return
            part.append(at)
        assert at is not None
        self.skipped.update(one for one in part if one != at)
        self.functions[at] = ("gelu", x)

    def _linear(self, index: int) -> None:
        """Find the bias that is added to a product with a matrix of the file, or to a convolution."""
        if self.nodes[index].input[1] not in self.known:
            return
        at = self._reader(index, "Add")
        if at is None or self.stacks[at] != self.stacks[index]:
            return
        bias = self._other(at, self.nodes[index].output[0])
        said = function(self.nodes[at])
        if self.nodes[index].op_type == "Conv" and (said or not self._by_channel(bias)):
            return
        if bias in self.known and self._number(bias) is None and (not said or "linear" in said):
            self.layers[at] = index, (bias,)
            self.skipped.add(index)

    def _by_channel(self, name: str) -> bool:
        """Tell whether a tensor of the file has numbers for the channels of a map alone."""
        sizes = list(self.stored[name].dims) if name in self.stored else []
        return len(sizes) in (3, 4) and sizes[-2:] == [1, 1] and sizes[:-3] in ([], [1])

    def _hard(self, index: int) -> None:
        """Find clip(x + 3, 0, 6) / 6, and its product with x before or after that."""
        node = self.nodes[index]
        given = {one.name: one.f for one in node.attribute}
        bounds = [self._number(name) if name else None for name in node.input[1:3]]
        bounds = bounds or [given.get("min"), given.get("max")]
        plus = self._maker(node.input[0], "Add")
        if bounds != [0, 6] or plus is None or self._reader(plus, "Clip") is None:
            return
        a, b = self.nodes[plus].input
        x = a if self._is(b, 3) else b if self._is(a, 3) else ""
        part, last, name, divided = [plus, index], index, "", False
        while (at := self._reader(last, "Mul", "Div")) is not None and x:
            other = self._other(at, self.nodes[last].output[0])
            first = self.nodes[at].input[0] == self.nodes[last].output[0]
            if not divided and (
                first and self._is(other, 6) if self.nodes[at].op_type == "Div" else self._is(other, 1 / 6)
            ):
                divided = True
            elif other == x and not name and self.nodes[at].op_type == "Mul":
                name = "hardswish"
            else:
                break
            last = at
            part.append(at)
        if divided:
            self.skipped.update(one for one in part if one != last)
            self.functions[last] = (name or "hardsigmoid", x)

    def _layer_norm(self, index: int) -> None:
        """Find (x - mean) / sqrt(var + eps) of the last axis, with what it is multiplied by and what is added."""
        plus = self._maker(self.nodes[index].input[0], "Add")
        divide = self._reader(index, "Div")
        if plus is None or divide is None or self._reader(plus, "Sqrt") is None:
            return
        a, b = self.nodes[plus].input
        var, eps = (a, b) if self._number(b) is not None else (b, a)
        mean = self._maker(var, "ReduceMean")
        square = self._maker(self.nodes[mean].input[0], "Pow", "Mul") if mean is not None else None
        if self._number(eps) is None or mean is None or square is None or not self._last_axis(mean):
            return
        d, power = self.nodes[square].input
        minus = self._maker(d, "Sub")
        is_square = power == d if self.nodes[square].op_type == "Mul" else self._is(power, 2)
        if not is_square or minus is None or self.nodes[divide].input[0] != d:
            return
        x, centre = self.nodes[minus].input
        first = self._maker(centre, "ReduceMean")
        if first is None or self.nodes[first].input[0] != x or not self._last_axis(first):
            return
        part, last, further = [first, minus, square, mean, plus, index, divide], divide, [x, eps]
        if {*self.readers.get(d, ())} != {square, divide} or d in self.outputs:
            return
        for op in ("Mul", "Add"):
            at = self._reader(last, op)
            other = self._other(at, self.nodes[last].output[0]) if at is not None else ""
            if at is None or other not in self.known or self._number(other) is not None:
                break
            if self.stacks[at] != self.stacks[index]:
                break
            part.append(at)
            further.append(other)
            last = at
        self.layers[last] = first, tuple(further)
        self.skipped.update(one for one in part if one != last)

    def _last_axis(self, index: int) -> bool:
        """Tell whether a node reduces the last axis, and keeps it with one place."""
        node = self.nodes[index]
        given = {one.name: one for one in node.attribute}
        if "keepdims" in given and not given["keepdims"].i:
            return False
        if len(node.input) > 1:
            return self._is(node.input[1], -1)
        return "axes" in given and list(given["axes"].ints) == [-1]

    def _group_norm(self, index: int) -> None:
        """Find a norm of groups: they are made channels, whose norm has no numbers of its own."""
        before = self._maker(self.nodes[index].input[0], "Reshape")
        after = self._reader(index, "Reshape")
        times = self._reader(after, "Mul") if after is not None else None
        plus = self._reader(times, "Add") if times is not None else None
        if before is None or after is None or times is None or plus is None:
            return
        weight = self._other(times, self.nodes[after].output[0])
        bias = self._other(plus, self.nodes[times].output[0])
        if weight in self.known and bias in self.known and self.stacks[plus] == self.stacks[index]:
            self.layers[plus] = index, (self.nodes[before].input[0], weight, bias)
            self.skipped.update((index, after, times))

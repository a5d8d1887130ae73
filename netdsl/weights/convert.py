"""Weights from one backend's names, layouts and order to another's.

These are permutations only, so nothing is rounded; but for the form for inference, whose weights are worked out.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

from netdsl.backend import Tensor
from netdsl.diagnostics import Diagnostic, NetError
from netdsl.net import Net
from netdsl.weights.fit import check
from netdsl.weights.layout import layout, movable, need, rows, rows_of

if TYPE_CHECKING:
    from netdsl.backend import Array
    from netdsl.transforms.change import Formula


class Stored(Protocol):
    """A tensor of a state, wherever it is."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Its shape."""

    @property
    def dtype(self) -> str:
        """Its element type, as numpy and torch call it."""

    def read(self, place: int | None = None) -> Array:
        """Return its numbers, or those at one place of its first axis; the caller does not write into them."""


def convert_weights(net: Net, state: Mapping[str, Any], source: str, target: str) -> dict[str, Array]:
    """Return the weights of a net in another backend's names and layouts, bit for bit the same numbers.

    For the form for inference, `torch:deploy`, they are worked out in float64, and rounded once.

    The arrays are new, and numpy's, in the target's order; dtypes stay as they are (bfloat16 and float8 are those of
    ml_dtypes). bn's `num_batches_tracked` is zero where the source has none, and left out where the target has none;
    so are tables that never change.

    Args:
        net: The net that the weights are of.
        state: Arrays of numpy, torch or jax by the source's names, flat.
        source: The backend that the state is of: "torch", "flax".
        target: The backend that it is for.

    Raises:
        NetError: A name is missing or unknown, or a shape is another.
    """
    need("numpy", "moving weights")
    held = {key: Held(key, value) for key, value in state.items()}
    move = Move(net, held, source, target, "the state")
    return {key: move.whole(key) for key in move.target.shapes}


def build_with(net: Net, backend: str, state: Mapping[str, Any]) -> Any:
    """Return a built module with these weights, which are in the backend's own names."""
    chosen = movable(backend)
    checked = convert_weights(net, state, backend, backend)
    model = chosen.build(chosen.emit(net), net)
    chosen.load(model, checked, net)
    return model


class Move:
    """The way of a net's weights from one backend to another."""

    def __init__(self, net: Net, state: Mapping[str, Stored], source: str, target: str, subject: str) -> None:
        """Check that the state fits; NetError calls it `subject`."""
        self.state = state
        self.source = layout(net, source)
        self.target = layout(net, target)
        self.made: Mapping[str, Formula] = {}
        """What is worked out: the rest is moved."""
        if self.target.made is not None and self.source.made is None:
            self.made = self.target.made
        elif self.source.made is not None and self.target.made is None:
            message = f"{subject} is of the form for inference, in which weights are folded into each other"
            refuse(message, "move the weights of training: they are made into that form, and not back")
        check(net, self.source, {key: stored.shape for key, stored in state.items()}, subject)
        self.dtypes = {key: self._dtype(key) for key in self.target.shapes}

    def whole(self, key: str) -> Array:
        """Return a tensor of the target, as an array of its own."""
        import numpy

        tensors = self.target.tensors[key]
        if tensors[0].place is None:
            return numpy.array(self.piece(tensors[0]), order="C")
        first = self.piece(tensors[0])
        stacked = numpy.empty(self.target.shapes[key], first.dtype)
        for place, tensor in enumerate(tensors):
            stacked[place] = self.piece(tensor)
        return stacked

    def numbers(self, key: str) -> Array:
        """Return a tensor of the target as numbers, also where the source is a file, which is read as bits."""
        return self.whole(key).view(_kind(self.dtypes[key]))

    def pieces(self, key: str) -> Iterator[Array]:
        """Yield a tensor of the target, one of the equal layers at a time where they are stacked."""
        return map(self.piece, self.target.tensors[key])

    def piece(self, tensor: Tensor) -> Array:
        """Return what a tensor of the target holds, maybe as a view of what the source holds."""
        array = self._own(tensor.parameter, *rows(tensor, self.target.own[tensor.parameter]))
        permuted = array if tensor.axes is None else array.transpose(tensor.axes)
        return permuted.reshape(tensor.shape)

    def _own(self, parameter: str, start: int, stop: int) -> Array:
        """Return rows of a parameter in the net's own layout."""
        if parameter in self.made:
            return self._worked_out(parameter)[start:stop]
        return self._given(parameter, start, stop)

    def _given(self, parameter: str, start: int, stop: int) -> Array:
        """Return rows of a parameter that the source holds."""
        import numpy

        shape = self.source.own[parameter]
        parts = self._parts(parameter, start, stop)
        if parts:
            first, array = rows(parts[0], shape)[0], self._read(parts[0])
        else:  # it may lack, as `check` has seen
            first, array = 0, numpy.array(self.source.spare[parameter], "int64").reshape(shape)
        if len(parts) > 1:
            joined = numpy.empty((rows(parts[-1], shape)[1] - first, *shape[1:]), array.dtype)
            joined[: len(array)] = array
            for part in parts[1:]:
                begin, end = rows(part, shape)
                joined[begin - first : end - first] = self._read(part)
            array = joined
        return array[start - first : stop - first] if stop - start < rows_of(array.shape) else array

    def _worked_out(self, parameter: str) -> Array:
        """Return a parameter that follows from others, in their element type, worked out in float64."""
        made = self.made[parameter]
        keys = {key: self._given(key, 0, rows_of(self.source.own[key])) for key in made.keys}
        held = keys[made.keys[0]].dtype  # files are read as whole numbers of the same size
        kind = _kind(self.state[self.source.parts[made.keys[0]][0].key].dtype)
        value = made.value(lambda key: keys[key].view(kind).astype("float64"))
        return value.astype(kind).view(held)

    def _parts(self, parameter: str, start: int, stop: int) -> list[Tensor]:
        """Return the source's tensors that hold rows of a parameter."""
        shape = self.source.own[parameter]
        found = []
        for part in self.source.parts.get(parameter, ()):
            first, last = rows(part, shape)
            if part.key in self.state and first < stop and start < last:
                found.append(part)
        return found

    def _read(self, part: Tensor) -> Array:
        """Return what a tensor of the source holds, in the net's own layout."""
        array = self.state[part.key].read(None if part.place is None else part.place[0])
        own = self.source.own[part.parameter]
        if not own:
            return array.reshape(())
        first, last = rows(part, own)
        shape = (last - first, *own[1:])
        axes = part.axes or tuple(range(len(shape)))
        permuted = array.reshape([shape[axis] for axis in axes])
        return permuted.transpose(sorted(range(len(axes)), key=axes.__getitem__))

    def _dtype(self, key: str) -> str:
        """Return the element type of a tensor of the target; NetError if it would have several."""
        found: dict[str, str] = {}
        for tensor in self.target.tensors[key]:
            if tensor.parameter in self.made:
                keys = self.made[tensor.parameter].keys
                parts = [part for one in keys for part in self._parts(one, 0, rows_of(self.source.own[one]))]
            else:
                parts = self._parts(tensor.parameter, *rows(tensor, self.target.own[tensor.parameter]))
            for part in parts:
                found.setdefault(self.state[part.key].dtype, part.key)
            if not parts:
                found.setdefault("int64", tensor.parameter)  # which the source lacks
        if len(found) > 1:
            (one, first), (other, second), *_ = found.items()
            message = f"`{key}` of {self.target.name} would hold `{first}`, {one}, and `{second}`, {other}"
            refuse(message, "convert the weights to one dtype first")
        return next(iter(found))


class Held:
    """A tensor in memory: an array of numpy, of torch, or what numpy makes one of."""

    def __init__(self, key: str, value: Any) -> None:
        """Take a value of a state; NetError if it is no tensor with numbers."""
        import numpy

        torch = sys.modules.get("torch")
        if torch is not None and isinstance(value, torch.Tensor):
            self.value: Any = dense(key, value)
        elif isinstance(value, Mapping):
            refuse(
                f"`{key}` is a {type(value).__name__}, no array", "a state is flat: `layer.weight` is a key"
            )
        else:
            array = numpy.asarray(value)
            if array.dtype.kind not in "biufc" and array.dtype.isbuiltin != 2:  # 2: ml_dtypes' types
                refuse(f"`{key}` is a {type(value).__name__}, no array of numbers")
            self.value = array.astype(array.dtype.newbyteorder("="), copy=False)
        self.shape = tuple(map(int, self.value.shape))
        self.dtype = str(self.value.dtype).removeprefix("torch.")

    def read(self, place: int | None = None) -> Array:
        """Return it, or one place of it, as numpy's."""
        import numpy

        value = self.value if place is None else self.value[place]
        if isinstance(value, (numpy.ndarray, numpy.generic)):
            return numpy.asarray(value)
        try:
            array: Array = value.numpy()
        except TypeError:  # a dtype that numpy itself lacks
            array = bits(value).view(_extended(self.dtype))
        return array


def dense(key: str, tensor: Any) -> Any:
    """Return a tensor of torch's in this machine's memory; NetError if its numbers do not lie there one by one."""
    import torch

    if tensor.is_meta or tensor.is_quantized or tensor.layout != torch.strided:
        kind = "on the meta device" if tensor.is_meta else "quantized" if tensor.is_quantized else "sparse"
        refuse(f"`{key}` is {kind}: its numbers cannot be moved")
    return tensor.detach().cpu().resolve_conj().resolve_neg()


def bits(tensor: Any) -> Array:
    """Return a tensor of torch's as whole numbers of the same size, for a dtype that numpy lacks."""
    import torch

    whole = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}[tensor.element_size()]
    array: Array = tensor.contiguous().view(whole).numpy()
    return array


def _kind(dtype: str) -> Any:
    """Return numpy's type for an element type."""
    import numpy

    return numpy.dtype(dtype) if hasattr(numpy, dtype) else numpy.dtype(_extended(dtype))


def _extended(dtype: str) -> Any:
    """Return numpy's type for one that only ml_dtypes has."""
    known = need("ml_dtypes", f"{dtype} in numpy")
    if dtype not in dir(known):
        refuse(f"numpy has no {dtype}")
    return getattr(known, dtype)


def refuse(message: str, help: str = "") -> NoReturn:
    """Raise the error of what cannot be moved."""
    raise NetError([Diagnostic("E516", message, help=help)])

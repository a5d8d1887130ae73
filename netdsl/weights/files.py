"""Files of weights: safetensors, and torch's own. What a file holds is read when it is needed, a tensor at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from netdsl import reading
from netdsl.diagnostics import Diagnostic, NetError
from netdsl.record import Record
from netdsl.weights.convert import Move, Stored, bits, dense, refuse
from netdsl.weights.layout import need
from netdsl.weights.safetensors import CODES, read, short, unreadable, write

if TYPE_CHECKING:
    from netdsl.backend import Array, Tensor

TORCH = (".pt", ".pth")
"""Suffixes of what `torch.save` writes."""
CHECKPOINTS = ("state_dict", "model_state_dict", "model")
"""What checkpoints of training call the state_dict that they hold."""
SUFFIXES = (".safetensors", *TORCH)


class Weights(Record):
    """What a file holds."""

    tensors: Mapping[str, Stored]
    metadata: Mapping[str, str]
    """Texts that a safetensors file has beside the tensors."""


def suffix(file: Path) -> str:
    """Return the suffix that says what a file's form is; NetError if it says nothing."""
    found = file.suffix.lower()
    if found not in SUFFIXES:
        names = f"{', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}"
        raise NetError([Diagnostic("E517", f"{file} has no form of weights: its name has to end in {names}")])
    return found


@contextmanager
def opened(file: Path) -> Iterator[Weights]:
    """Give what a file holds; NetError if it cannot be read."""
    if suffix(file) in TORCH:
        yield Weights(_load(file), {})
        return
    try:
        stream = reading.open_input(file)
    except reading.Unreadable as error:
        unreadable(str(file), str(error))
    with stream:
        try:
            header = read(stream, str(file))
        except OSError as error:
            unreadable(str(file), reading.reason(error))
        yield Weights(header.tensors, header.metadata)


def save(stream: BinaryIO, form: str, move: Move, metadata: Mapping[str, str]) -> None:
    """Write what a net's weights become, in the form of a suffix."""
    if form in TORCH:
        _save(stream, move)
        return
    tensors = {key: (move.dtypes[key], shape) for key, shape in move.target.shapes.items()}

    def pieces(key: str) -> Iterator[Array]:
        return (_piece(move, key, tensor) for tensor in move.target.tensors[key])

    name = move.target.name.partition(":")[0]
    # what loaders ask for: "pt" is torch
    write(stream, tensors, pieces, {**metadata, "format": "pt" if name == "torch" else name})


class Loaded:
    """A tensor of torch's, which may lie in a file still."""

    def __init__(self, key: str, tensor: Any) -> None:
        """Take a tensor of a state_dict; NetError if its numbers cannot be moved."""
        self.tensor = dense(key, tensor)
        self.shape = tuple(tensor.shape)
        self.dtype = str(tensor.dtype).removeprefix("torch.")
        if self.dtype not in CODES:
            refuse(f"`{key}` is {self.dtype}, which cannot be moved")

    def read(self, place: int | None = None) -> Array:
        """Return its bits, or those of one place of its first axis."""
        return bits(self.tensor if place is None else self.tensor[place])


def _load(file: Path) -> dict[str, Stored]:
    """Return the state_dict that a file of torch's holds; nothing of it is run."""
    from netdsl.weights import archive

    try:
        with reading.open_input(file) as stream:
            zipped = archive.check(stream, str(file))
        torch = need("torch", f"reading {file}")  # seconds, and hundreds of megabytes
        held = torch.load(file, map_location="cpu", weights_only=True, mmap=zipped)
    except reading.Unreadable as error:
        unreadable(str(file), str(error))
    except OSError as error:
        unreadable(str(file), reading.reason(error))
    except (NetError, MemoryError):
        raise
    except Exception:  # whatever torch's readers make of bytes that are something else
        unreadable(str(file), archive.NO_TENSORS)
    if isinstance(held, Mapping):
        inner = (held.get(name) for name in CHECKPOINTS)
        held = next((one for one in inner if isinstance(one, Mapping)), held)
    if not isinstance(held, Mapping):
        unreadable(str(file), f"it holds a {type(held).__name__}, no state_dict")
    for key, value in held.items():
        if not isinstance(key, str):
            unreadable(str(file), f"it is no state_dict: it has a {type(key).__name__} for a name")
        if not isinstance(value, torch.Tensor):
            unreadable(
                str(file), f"it is no state_dict: `{short(key)}` is a {type(value).__name__}, no tensor"
            )
    return {key: Loaded(key, value) for key, value in held.items()}


def _save(stream: BinaryIO, move: Move) -> None:
    """Write a state_dict. All of it is in memory at once, since `torch.save` takes it so."""
    torch = need("torch", "writing a state_dict")
    state = {}
    for key in move.target.shapes:
        with _held(move, key):
            state[key] = torch.from_numpy(move.whole(key))
    torch.save({key: bare.view(getattr(torch, move.dtypes[key])) for key, bare in state.items()}, stream)


def _piece(move: Move, key: str, tensor: Tensor) -> Array:
    """Return what one of the equal layers holds of a tensor."""
    with _held(move, key):
        return move.piece(tensor)


@contextmanager
def _held(move: Move, key: str) -> Iterator[None]:
    """Refuse what is worked out for a tensor if its element type cannot hold it."""
    import numpy

    try:
        with numpy.errstate(over="raise"):
            yield
    except FloatingPointError:
        message = (
            f"`{key}` of {move.target.name} would have numbers that are too large for {move.dtypes[key]}"
        )
        refuse(message, "convert the weights to float32 first")

"""The safetensors format: 8 bytes of length, a JSON header with names, dtypes, shapes and places, then the numbers.

Numbers are read and written a tensor at a time, and as bits, so that any dtype of whole bytes can be moved.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from math import prod
from typing import TYPE_CHECKING, Any, BinaryIO, NoReturn

from netdsl.diagnostics import Diagnostic, NetError
from netdsl.record import Record
from netdsl.weights.convert import refuse

if TYPE_CHECKING:
    from netdsl.backend import Array

MAX_HEADER = 16_000_000
"""Bytes of the longest header that is read: some 100,000 tensors. As objects it takes twenty times the memory."""
MAX_TENSORS = 100_000
MAX_RANK = 64
"""The most sizes of a shape: numpy's limit, and torch's."""
CHUNK = 1 << 22
"""Bytes that are brought into the target's order at a time."""

DTYPES = {
    "BOOL": ("bool", 1),
    "U8": ("uint8", 1),
    "I8": ("int8", 1),
    "F8_E5M2": ("float8_e5m2", 1),
    "F8_E4M3": ("float8_e4m3fn", 1),
    "F8_E8M0": ("float8_e8m0fnu", 1),
    "F8_E4M3FNUZ": ("float8_e4m3fnuz", 1),
    "F8_E5M2FNUZ": ("float8_e5m2fnuz", 1),
    "U16": ("uint16", 2),
    "I16": ("int16", 2),
    "F16": ("float16", 2),
    "BF16": ("bfloat16", 2),
    "U32": ("uint32", 4),
    "I32": ("int32", 4),
    "F32": ("float32", 4),
    "U64": ("uint64", 8),
    "I64": ("int64", 8),
    "F64": ("float64", 8),
    "C64": ("complex64", 8),
}
"""The format's name of a dtype to numpy's and torch's, and the bytes of an element."""
CODES = {dtype: code for code, (dtype, _) in DTYPES.items()}


class Slice:
    """A tensor in an open file."""

    def __init__(self, stream: BinaryIO, name: str, start: int, shape: tuple[int, ...], code: str) -> None:
        """`start` is its first byte in the file."""
        self.stream = stream
        self.name = name
        self.start = start
        self.shape = shape
        self.dtype, self.size = DTYPES[code]

    def read(self, place: int | None = None) -> Array:
        """Return its bits as unsigned numbers, or those of one place of its first axis."""
        import numpy

        shape = self.shape if place is None else self.shape[1:]
        length = prod(shape) * self.size
        buffer = numpy.empty(length, "uint8")
        try:
            self.stream.seek(self.start + (place or 0) * length)
            read = self.stream.readinto(buffer.data)  # type: ignore[attr-defined]
        except OSError as error:
            unreadable(self.name, (error.strerror or str(error)).lower())
        if read != length:
            unreadable(self.name, "it ends sooner than when it was opened")
        return buffer.view(f"<u{self.size}").reshape(shape)


class Header(Record):
    """What a file says about itself."""

    tensors: dict[str, Slice]
    metadata: dict[str, str]


def read(stream: BinaryIO, name: str) -> Header:
    """Return what a file holds, of which only the header is read; NetError says what is wrong with it."""
    size = os.fstat(stream.fileno()).st_size
    length = int.from_bytes(stream.read(8), "little")
    if size < 8 or length > size - 8:
        unreadable(name, f"it is cut short: {size:,} bytes")
    if length > MAX_HEADER:
        unreadable(name, f"its header would be {length:,} bytes, and {MAX_HEADER:,} are the most")
    entries = _json(stream.read(length), name)
    if len(entries) > MAX_TENSORS:
        unreadable(name, f"it has {len(entries):,} tensors, and {MAX_TENSORS:,} are the most")
    metadata = entries.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(map(_is_text, metadata.values())):
        unreadable(name, "its metadata are no texts by name")
    found: dict[str, Slice] = {}
    places: list[tuple[int, int, str]] = []
    for key, entry in entries.items():
        code, shape, (start, stop) = _entry(key, entry, name)
        found[key] = Slice(stream, name, 8 + length + start, shape, code)
        places.append((start, stop, key))
    end = 0
    for start, stop, key in sorted(places):
        if start != end:
            what = "overlaps the tensor before it" if start < end else "leaves a gap before it"
            unreadable(name, f"`{short(key)}` {what}")
        end = stop
    if end != size - 8 - length:
        unreadable(name, f"its header speaks of {end:,} bytes of numbers, it has {size - 8 - length:,}")
    return Header(found, metadata)


def _json(text: bytes, name: str) -> dict[str, Any]:
    """Return the header as an object."""
    import json

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            unreadable(name, "its header has a name twice")
        return found

    try:
        header = json.loads(text.decode("utf-8"), object_pairs_hook=once)
    except UnicodeDecodeError:
        unreadable(name, "its header is no UTF-8 text")
    except json.JSONDecodeError:
        unreadable(name, "its header is no JSON")
    except (ValueError, RecursionError):  # a number of thousands of digits, a thousand brackets
        unreadable(name, "its header has a number too long, or brackets too deep")
    if not isinstance(header, dict) or not all(map(_is_text, header)):
        unreadable(name, "its header is no object with names")
    return header


def _entry(key: str, entry: object, name: str) -> tuple[str, tuple[int, ...], tuple[int, int]]:
    """Return the dtype, shape and place of a tensor."""
    where = f"the entry of `{short(key)}`"
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        unreadable(name, f"{where} is not dtype, shape and data_offsets")
    code, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not _are_sizes(shape) or not _are_sizes(offsets) or len(offsets) != 2:
        unreadable(name, f"{where} has a shape or data_offsets that are no lists of sizes")
    if len(shape) > MAX_RANK:
        unreadable(name, f"{where} has a shape of {len(shape):,} sizes, and {MAX_RANK} are the most")
    if not isinstance(code, str) or code not in DTYPES:
        unreadable(name, f"`{short(key)}` has the dtype {short(str(code)[:200])}, which cannot be moved")
    start, stop = offsets
    if stop - start != prod(shape) * DTYPES[code][1]:
        unreadable(
            name, f"{where} gives {stop - start:,} bytes to {'x'.join(map(str, shape)) or 1} of {code}"
        )
    return code, tuple(shape), (start, stop)


def _are_sizes(value: object) -> bool:
    return isinstance(value, list) and all(type(size) is int and 0 <= size < 2**63 for size in value)


def _is_text(value: object) -> bool:
    """Tell whether a value is a text that can be written again: half of a surrogate pair cannot."""
    return isinstance(value, str) and not any("\ud800" <= c <= "\udfff" for c in value)


def short(name: str) -> str:
    """Return a name as messages show it."""
    return name if len(name) <= 100 else f"{name[:100]}..."


def write(
    stream: BinaryIO,
    tensors: Mapping[str, tuple[str, tuple[int, ...]]],
    pieces: Callable[[str], Iterable[Array]],
    metadata: Mapping[str, str],
) -> None:
    """Write a file: the header first, then one tensor after the other.

    Args:
        stream: What is written to, from here on.
        tensors: Dtype, as numpy calls it, and shape by name.
        pieces: Gives the bits of a tensor, in pieces one behind the other.
        metadata: Texts by name.
    """
    import json

    codes = {name: code_of(name, dtype) for name, (dtype, _) in tensors.items()}
    header: dict[str, object] = {"__metadata__": dict(metadata)}
    # the widest first, so that all are aligned
    order = sorted(tensors, key=lambda name: -DTYPES[codes[name]][1])
    end = 0
    for name in order:
        shape, start = tensors[name][1], end
        end += prod(shape) * DTYPES[codes[name]][1]
        header[name] = {"dtype": codes[name], "shape": shape, "data_offsets": (start, end)}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    if len(text) > MAX_HEADER or len(tensors) > MAX_TENSORS:
        refuse(f"{len(tensors):,} tensors are more than a file is to hold that can be read again")
    stream.write(len(text).to_bytes(8, "little") + text)
    for name in order:
        for piece in pieces(name):
            _put(stream, piece)
            del piece  # before the next one is read


def code_of(name: str, dtype: str) -> str:
    """Return the format's name of a dtype; NetError if it has none."""
    if dtype not in CODES:
        refuse(f"`{name}` is {dtype}, which a safetensors file cannot hold")
    return CODES[dtype]


def _put(stream: BinaryIO, array: Array) -> None:
    for rows in _rows(array):
        stream.write(rows.data)


def _rows(array: Array) -> Iterator[Array]:
    """Yield an array in pieces that lie in its own order in memory, none of them a large copy."""
    import numpy

    if array.flags.c_contiguous or array.nbytes <= CHUNK:
        yield numpy.ascontiguousarray(array)
        return
    row = array.nbytes // len(array)
    if row > CHUNK:
        for part in array:
            yield from _rows(part)
        return
    count = CHUNK // row
    for start in range(0, len(array), count):
        yield numpy.ascontiguousarray(array[start : start + count])


def unreadable(name: str, why: str) -> NoReturn:
    """Raise the error of a file whose weights cannot be read."""
    raise NetError([Diagnostic("E515", f"cannot read {name}: {why}")])

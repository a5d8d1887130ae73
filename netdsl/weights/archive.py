"""Files of torch's before torch reads them: whether they are whole, and of a size that their bytes account for.

`torch.load` runs no code with `weights_only=True`, but it believes the sizes that a file speaks of, checks no
checksum, and hashes whatever keys there are.
"""

from __future__ import annotations

import os
from io import BufferedReader, BytesIO
from pickletools import genops, markobject, stackslice
from typing import Any, BinaryIO
from zipfile import ZIP_STORED, BadZipFile, ZipFile, is_zipfile

from netdsl.weights.safetensors import unreadable

MAX_ENTRIES = 100_000
"""Tensors, or other records, of a file."""
MAX_DIRECTORY = 16 * 1024 * 1024
"""Bytes of an archive's table of contents, and of a pickle."""
MAX_STEPS = 1_000_000
"""Opcodes of a pickle: some thirty for a tensor."""
MAX_LEAVES = 1000
"""What a tuple may hold, if what it holds twice is counted twice."""
NO_TENSORS = "torch finds no tensors in it, or more than tensors, which it would have to run"
_PICKLES = 5
"""Of a file in the form before archives: a number, a version, the machine, the state_dict, the storages' names."""


class _Sparing(BufferedReader):
    """A file of which nobody reads more than a table of contents at once, however much it speaks of."""

    def read(self, size: int | None = -1, /) -> bytes:
        rest = size is None or size < 0
        data = super().read(MAX_DIRECTORY + 1 if rest else min(size or 0, MAX_DIRECTORY + 1))
        if len(data) > MAX_DIRECTORY:
            raise ValueError(f"it has a piece of more than {MAX_DIRECTORY:,} bytes")
        return data

    def readline(self, size: int | None = -1, /) -> bytes:
        return super().readline(MAX_DIRECTORY)


def check(stream: BinaryIO, name: str) -> bool:
    """Tell whether a file is an archive, rather than pickles; NetError if torch should not read it."""
    with _Sparing(open(os.dup(stream.fileno()), "rb", buffering=0)) as spared:
        zipped = is_zipfile(spared)
        spared.seek(0)
        if zipped:
            _archive(spared, name)
        elif not all(_pickle(spared, name) for _ in range(_PICKLES)):
            unreadable(name, NO_TENSORS)
    return zipped


def _archive(stream: BinaryIO, name: str) -> None:
    """Check that nothing in an archive is compressed or counted twice, that it is whole, and its pickles."""
    size = os.fstat(stream.fileno()).st_size
    try:
        archive = ZipFile(stream)
        entries = archive.infolist()
        if len(entries) > MAX_ENTRIES:
            unreadable(name, f"it has {len(entries):,} records, and {MAX_ENTRIES:,} are the most")
        if any(entry.compress_type != ZIP_STORED or entry.flag_bits & 1 for entry in entries):
            unreadable(name, "it has compressed records, and torch writes none")
        if sum(max(entry.file_size, entry.compress_size) for entry in entries) > size:
            unreadable(name, f"its records would be larger than its {size:,} bytes")
        damaged = archive.testzip()
        if damaged is not None:
            unreadable(name, f"it is damaged: `{damaged[:100]}` in it has another checksum")
        for entry in entries:
            if entry.filename.lower().endswith(".pkl") and not _pickle(BytesIO(archive.read(entry)), name):
                unreadable(name, NO_TENSORS)
    except (BadZipFile, NotImplementedError, EOFError, OverflowError, ValueError) as error:
        unreadable(name, f"it is no whole archive: {str(error)[:100]}")


def _pickle(stream: Any, name: str) -> bool:
    """Follow a pickle's opcodes without making anything: a value is how many leaves it has. Tell if it is one.

    A tuple that holds one tuple twice, and so on thirty times, takes a hundred bytes, and for ever to hash or show.
    """
    stack: list[Any] = []
    memo: dict[Any, Any] = {}
    try:
        for steps, (opcode, argument, _) in enumerate(genops(stream)):
            if steps > MAX_STEPS:
                unreadable(name, f"its pickle takes more than {MAX_STEPS:,} steps")
            if opcode.name.endswith("PUT"):
                memo[argument] = stack[-1]
            elif opcode.name == "MEMOIZE":
                memo[len(memo)] = stack[-1]
            elif opcode.name.endswith("GET"):
                stack.append(memo[argument])
            elif opcode.name == "DUP":
                stack.append(stack[-1])
            else:
                _step(opcode, stack, name)
    except (ValueError, LookupError, OverflowError):
        return False
    return True


def _step(opcode: Any, stack: list[Any], name: str) -> None:
    """Take what an opcode takes from the stack, and put down what it makes; a mark is None."""
    taken = 0
    for kind in reversed(opcode.stack_before):
        if kind is markobject:
            continue
        value = stack.pop()
        while kind is stackslice and value is not None:
            taken += value
            value = stack.pop()
        taken += value or 0
    hashed = opcode.name.startswith(("TUPLE", "FROZENSET"))  # whatever else holds something has no hash
    if hashed and taken > MAX_LEAVES:
        unreadable(name, f"it holds a tuple of more than {MAX_LEAVES:,} leaves")
    for kind in opcode.stack_after:
        stack.append(None if kind is markobject else max(1, taken) if hashed else 1)

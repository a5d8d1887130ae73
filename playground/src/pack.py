"""What the page needs of Python: run by Pyodide while the playground is built, so that its bytecode is right."""

from __future__ import annotations

import dis
import marshal
import sys
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Set
from importlib import _bootstrap_external as imports
from types import CodeType

NEVER = ("netdsl_from_", "netdsl/cli/", "netdsl/search/")
"""Front ends need frameworks, and there is no command line."""
UNREAD = (".md", ".lark", ".tmLanguage.json", "RECORD")
"""Files that no module reads."""
USELESS = frozenset(
    "_pyrepl argparse bdb cmd code ctypes doctest ftplib http multiprocessing netrc pdb pydoc socketserver "
    "tarfile unittest webbrowser xmlrpc".split()
)
"""Modules of the library that work on no page, or are asked for only where somebody debugs."""
STDLIB = next(path for path in sys.path if path.endswith(".zip"))
STAMP = (1980, 1, 1, 0, 0, 0)
"""The same bytes each time."""
HEADER = 16
"""Bytes of a .pyc before its code."""


def write(path: str, files: Mapping[str, bytes]) -> None:
    """Write a zip file without compression: whoever sends it compresses the whole, which takes fewer bytes."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as out:
        for name, data in files.items():
            out.writestr(zipfile.ZipInfo(name, STAMP), data)


def read(path: str) -> dict[str, bytes]:
    """Return the files of a zip file."""
    with zipfile.ZipFile(path) as file:
        return {name: file.read(name) for name in file.namelist() if not name.endswith("/")}


def compiled(path: str) -> dict[str, bytes]:
    """Return the files of a zip file, modules as bytecode."""
    files = {}
    for name, data in read(path).items():
        if name.startswith(NEVER) or name.endswith(UNREAD):
            continue
        if name.endswith(".py"):
            code = compile(data, name, "exec", dont_inherit=True)
            name, data = f"{name}c", bytes(imports._code_to_timestamp_pyc(code, 0, 0))
        files[name] = data
    return files


def module(name: str) -> str:
    """Return the name of the module that a .pyc holds."""
    return name.removesuffix(".pyc").removesuffix("/__init__").replace("/", ".")


def imported(code: CodeType) -> Iterator[str]:
    """Yield what a module and all functions in it import."""
    last = None
    for step in dis.get_instructions(code):
        if step.opname == "IMPORT_NAME":
            last = step.argval
            yield last
        elif step.opname == "IMPORT_FROM" and last:
            yield f"{last}.{step.argval}"
    for const in code.co_consts:
        if hasattr(const, "co_code"):
            yield from imported(const)


def rest(files: Mapping[str, bytes], loaded: Set[str]) -> dict[str, bytes]:
    """Return the files without the modules that are in memory already."""
    return {
        name: data for name, data in files.items() if not (name.endswith(".pyc") and module(name) in loaded)
    }


CODECS = ("ascii", "idna", "latin_1", "punycode", "unicode_escape", "utf_8_sig")
"""Those that are looked up by name, and so are in no import."""


def reachable(roots: Iterable[bytes], library: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the modules of a library that some others import, and what those import in turn."""
    named = {module(name): name for name in library if name.endswith(".pyc")}
    found = {"encodings", *(f"encodings.{codec}" for codec in CODECS)}
    waiting = [("", data) for data in roots]
    while waiting:
        package, data = waiting.pop()
        for name in imported(marshal.loads(data[HEADER:])):
            for full in (name, f"{package}.{name}"):  # as it is written, and within the package
                parts = full.split(".")
                if parts[0] in USELESS:
                    continue
                for end in range(1, len(parts) + 1):
                    one = ".".join(parts[:end])
                    if one in named and one not in found:
                        found.add(one)
                        inside = one if named[one].endswith("/__init__.pyc") else one.rpartition(".")[0]
                        waiting.append((inside, library[named[one]]))
    return {named[one]: library[named[one]] for one in sorted(found)}

"""Slow proofs, which are not made again before anything has changed that they follow from.

`make update` makes those that are missing and writes them down, as hashes of all that they followed from.
"""

from __future__ import annotations

import ast
import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

EVERY = os.environ.get("NETDSL_UPDATE") == "every"
"""Whether all nets of the zoo are proved, and not only one of each family, whose classes the others have too."""
FOLDER = Path(__file__).parent / "golden" / "proved"


@contextmanager
def proving(name: str, libraries: str, sources: list[ModuleType], *texts: str) -> Iterator[bool]:
    """Give whether the proof of that name was made before with these libraries, sources and texts.

    What Python code does not do, its comments, docstrings and layout, proves nothing.
    """
    parts = [f"{library} {version(library).partition('+')[0]}" for library in libraries.split()]
    parts += [Path(source.__file__ or "").read_text(encoding="utf-8") for source in sources]
    digest = hashlib.sha256("\n".join(map(meaning, [*parts, *texts])).encode()).hexdigest()
    file = FOLDER / f"{name}.sha256"
    known = file.exists() and file.read_text(encoding="utf-8") == digest
    yield known
    if os.environ.get("NETDSL_UPDATE"):
        file.write_text(digest, encoding="utf-8")


def meaning(text: str) -> str:
    """Return Python code without comments, docstrings and layout, any other text as it is."""
    try:
        module = ast.parse(text)
    except SyntaxError:
        return text
    for node in ast.walk(module):
        if (
            isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
            and ast.get_docstring(node) is not None
        ):
            node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(module)


def content(spec: str) -> str:
    """Return a spec without lines of `meta` and comments, and the colon of a body that may have no other."""
    return re.sub(r":$|^ *(meta .*|#.*)?\n", "", spec, flags=re.MULTILINE)


def closure(text: str, *names: str) -> str:
    """Return the text of functions and classes of a module, behind all that they use."""
    parts: dict[str, str] = {}
    uses: dict[str, set[str]] = {}
    for node in ast.parse(text).body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", node)]
        for defined in filter(None, (getattr(t, "name", getattr(t, "id", "")) for t in targets)):
            parts[defined] = ast.get_source_segment(text, node) or ""
            uses[defined] = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
    needed, queue = {*names}, [*names]
    for one in queue:
        more = (uses[one] & parts.keys()) - needed
        needed |= more
        queue += sorted(more)
    return "\n".join(part for defined, part in parts.items() if defined in needed)

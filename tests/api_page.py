"""docs/api.md: what users call in Python, from its docstrings. `make docs` writes it; no framework is needed."""

from __future__ import annotations

import ast
import inspect
import re
import sys
from collections.abc import Iterator
from functools import cache, cached_property
from importlib import import_module
from textwrap import dedent, fill
from typing import Any

import netdsl
from netdsl.record import Record

HEAD = """\
# The Python API

What `import netdsl` gives, and what that returns. Everything is imported when it is first used; no framework is
needed but to build or verify a module. Sizes are channels first and without the batch; every mistake in a spec, or in
how it was asked for, is a `netdsl.NetError`.

```python
import netdsl

net = netdsl.load("resnet18", classes=10)
print(net.shapes["layer4.1.conv2"], f"{net.cost().params:,} params")
```

```text
512x7x7 11,181,642 params
```

`make docs` writes this page from the docstrings.
"""


@cache
def imported(module: str) -> dict[str, str]:
    """Return where the names come from that a module imports, for type checkers too."""
    source = inspect.getsource(import_module(module))
    nodes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ImportFrom)]
    return {alias.asname or alias.name: node.module or "" for node in nodes for alias in node.names}


def find(name: str, module: str) -> Any:
    """Return what a name of an annotation in a module means, if it is netdsl's."""
    home = imported(module).get(name, module)
    return getattr(import_module(home), name, None) if home.startswith("netdsl") else None


def returned(function: Any) -> Iterator[type]:
    """Yield the classes of netdsl that a function returns."""
    annotation = str(inspect.signature(function).return_annotation)
    for name in re.findall(r"[A-Z]\w+", annotation):
        value = find(name, function.__module__)
        if inspect.isclass(value):
            yield value


def function_of(member: Any) -> Any:
    """Return the function that a method or property is."""
    if isinstance(member, property):
        return member.fget
    return getattr(member, "func", getattr(member, "__func__", member))


def members(cls: type) -> dict[str, Any]:
    """Return the public methods and properties of a class that netdsl wrote, by name."""
    found: dict[str, Any] = {}
    for one in cls.__mro__:
        if one.__module__.startswith("netdsl") and one is not Record:
            for name, member in vars(one).items():
                if not name.startswith("_") and isinstance(
                    member, property | cached_property | classmethod | staticmethod | type(returned)
                ):
                    found.setdefault(name, member)
    return dict(sorted(found.items()))


def fields(cls: type) -> dict[str, tuple[str, str]]:
    """Return type and text of the fields of a record, by name."""
    found: dict[str, tuple[str, str]] = {}
    for one in reversed(cls.__mro__):
        if not issubclass(one, Record) or one is Record:
            continue
        body = ast.parse(inspect.getsource(one)).body[0]
        assert isinstance(body, ast.ClassDef)
        for node, after in zip(body.body, [*body.body[1:], None], strict=True):
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                kind = ast.unparse(node.annotation)
                if not kind.startswith("ClassVar"):
                    text = after.value.value if is_text(after) else ""  # type: ignore[union-attr]
                    found[node.target.id] = (kind, inspect.cleandoc(text))
    return found


def is_text(node: ast.stmt | None) -> bool:
    """Tell whether a statement is a docstring."""
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def prose(value: Any) -> str:
    """Return a docstring as Markdown: its sections of arguments, results and errors become lists."""
    lines = []
    section = False
    for line in inspect.cleandoc(value.__doc__ or "").splitlines():
        if re.fullmatch(r"(Args|Returns|Raises|Yields):", line):
            section = True
            lines += [f"**{line}**", ""]
        elif section and re.match(r" {4}\*{0,2}\w+: ", line):
            name, _, text = line.strip().partition(": ")
            lines.append(f"- `{name}`: {text}")
        elif section and line:
            lines.append(f"  {line.strip()}")
        else:
            lines.append(line)
    return "\n".join(lines)


def call(name: str, function: Any) -> str:
    """Return how a function is called, as its source says it."""
    node = ast.parse(dedent(inspect.getsource(function))).body[0]
    assert isinstance(node, ast.FunctionDef)
    node.args.args = [arg for arg in node.args.args if arg.arg not in ("self", "cls")]
    result = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    return fill(f"{name}({ast.unparse(node.args)}){result}", 100, subsequent_indent=" " * 8)


def section(cls: type) -> list[str]:
    """Return the section of a class."""
    parts = [f"\n## {cls.__name__}\n\n{prose(cls)}\n"]
    listed = [
        f"- `{name}: {kind}` {text}".replace("\n", " ").rstrip() for name, (kind, text) in fields(cls).items()
    ]
    if listed:
        parts.append("\n" + "\n".join(listed) + "\n")
    for name, member in members(cls).items():
        function = function_of(member)
        if isinstance(member, property | cached_property):
            kind = inspect.signature(function).return_annotation
            parts.append(f"\n### {cls.__name__}.{name}\n\n`{name}: {kind}`\n\n{prose(function)}\n")
        else:
            parts.append(
                f"\n### {cls.__name__}.{name}\n\n```py\n{call(name, function)}\n```\n\n{prose(function)}\n"
            )
    return parts


def classes() -> list[type]:
    """Return the public classes, then those of netdsl that their methods and the functions return."""
    values = [getattr(netdsl, name) for name in netdsl.__all__]
    found = [value for value in values if inspect.isclass(value)]
    first = found.index(netdsl.Network)
    found.insert(0, found.pop(first))
    queue = [value for value in values if not inspect.isclass(value)]
    queue += [function_of(member) for cls in found for member in members(cls).values()]
    for function in queue:
        for cls in returned(function):
            if cls not in found and cls.__module__.startswith("netdsl"):
                found.append(cls)
    return found


def render() -> str:
    """Return docs/api.md."""
    parts = [HEAD, "\n## Functions\n"]
    for name in netdsl.__all__:
        value = getattr(netdsl, name)
        if not inspect.isclass(value):
            parts.append(
                f"\n### netdsl.{name}\n\n```py\n{call(f'netdsl.{name}', value)}\n```\n\n{prose(value)}\n"
            )
    for cls in classes():
        parts += section(cls)
    return "".join(parts)


if __name__ == "__main__":
    sys.stdout.write(render())

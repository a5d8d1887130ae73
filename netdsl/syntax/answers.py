"""How `decide` writes a decision and its option."""

from __future__ import annotations

from netdsl.diagnostics import NetError
from netdsl.source import Source
from netdsl.syntax import tree
from netdsl.syntax.parse import parse_lines


def written(name: str, option: str) -> str:
    """Return `name=option` as `decide` has it, with quotes where the language needs them.

    Args:
        name: Of a decision, such as `stage1.depth`.
        option: One of its options, as its error lists them.

    Raises:
        ValueError: The text can be written neither as it is nor as a string.
    """
    for shown in (name, f'"{name}"'):
        for value in (option, f'"{option}"'):
            if reads(shown, value) == (name, option):
                return f"{shown}={value}"
    raise ValueError(f"the language has no way to write {name}={option}")


def reads(name: str, value: str) -> tuple[str, str] | None:
    """Return the name and the option that `decide name=value` is about; None if it is no such line."""
    text = f"variant v = N():\n    decide {name}={value}\n"
    if "\n" in name + value:
        return None
    try:
        (item,) = parse_lines(Source("", text))[0].items
    except (NetError, ValueError):
        return None
    line = item.body[0] if isinstance(item, tree.Variant) and len(item.body) == 1 else None
    if not isinstance(line, tree.Decide) or len(line.decisions) != 1:
        return None
    (decision,) = line.decisions
    option = decision.value
    written = option.text if isinstance(option, tree.String) else text[option.start : option.end]
    return decision.name.text, written

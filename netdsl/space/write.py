"""A net of a search space as text: a variant that decides, and the file that it stands in."""

from __future__ import annotations

from collections.abc import Mapping

from netdsl.syntax.answers import written
from netdsl.syntax.format import format
from netdsl.syntax.layout import INDENT, LIMIT


def decided(net: str, name: str, decisions: Mapping[str, str], arguments: Mapping[str, str] = {}) -> str:
    """Return a variant that makes decisions of a net, as `netdsl fmt` writes it.

    Args:
        net: The net's name where the variant is to stand.
        name: The variant's.
        decisions: Options by decision, as `Decision.options` has them.
        arguments: Expressions of the language by parameter, such as `{"classes": "10"}`.

    Raises:
        ValueError: The language has no way to write a decision's name or option.
        NetError: A name or an expression is none.
    """
    given = ", ".join(f"{key}={value}" for key, value in arguments.items())
    lines = [f"variant {name} = {net}({given}){':' if decisions else ''}", *lines_of(decisions)]
    return format("".join(f"{line}\n" for line in lines))


def lines_of(decisions: Mapping[str, str]) -> list[str]:
    """Return the lines of a variant's body that make decisions, with as many in each as fit."""
    lines: list[str] = []
    for item in (written(name, option) for name, option in decisions.items()):
        if lines and len(f"{lines[-1]}, {item}") <= LIMIT:
            lines[-1] += f", {item}"
        else:
            lines.append(f"{' ' * INDENT}decide {item}")
    return lines


def appended(text: str, variant: str) -> str:
    """Return a spec's text, which stays as it is, with a variant at its end."""
    newline = "\r\n" if text.partition("\n")[0].endswith("\r") else "\n"
    return text.rstrip() + newline * 2 + variant.replace("\n", newline)


def imported(file: str, net: str, variant: str) -> str:
    """Return the text of a file that has a variant, and its net from another file.

    Raises:
        ValueError: The language has no way to write the file's name.
    """
    if '"' in file or "\n" in file:
        raise ValueError(f"the language has no way to write the name {file!r}")
    return f'import {net} from "{file}"\n\n{variant}'

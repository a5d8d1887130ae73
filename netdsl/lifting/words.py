"""Ops, labels and values as a spec writes them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from math import isfinite
from typing import Any

from netdsl.elaborate.arguments import Param, op_parameters, position
from netdsl.elaborate.values import MISSING, show
from netdsl.ir.types import Dims, Init
from netdsl.ops import Op
from netdsl.symbolic import Atom, text
from netdsl.syntax.tokens import keywords

FREE = frozenset(
    (
        "block net table stage output input weight default init meta require order decide first inline variant same"
    ).split()
)
"""Words of the language that may be labels as they are."""
OPPOSITES = {" == ": " != ", " != ": " == ", " > ": " <= ", " < ": " >= ", " <= ": " > ", " >= ": " < "}
"""Of comparisons."""
LONG = 10
"""The characters of a number that nobody would write as it is."""
LARGEST = 1000
"""Of a fraction, below the line."""


def word(text: str) -> Atom:
    """Return what is written as it is, as part of an expression."""
    return Atom("name", (text,))


def expression(whole: Atom, called: Mapping[str, str] = {}) -> str:
    """Return an expression as a spec has it: printed as emission does, with the spaces of the language."""
    return re.sub(r" (\*\*|\*|//) ", r"\1", text(whole, called))


def written(value: Any) -> str:
    """Return a value of a field as an expression, whole."""
    if isinstance(value, str) and type(value) is not str:
        return str(value)
    if isinstance(value, Init):
        return initialiser(value)
    if isinstance(value, tuple) and not isinstance(value, Dims):
        return f"[{', '.join(map(written, value))}]"
    return _number(value) if type(value) is float else show(value)


def _number(value: float) -> str:
    """Return a number, or what it was computed from: `1/12`, and `1 - 0.9997` of another library's momentum."""
    shown = show(value)
    if len(shown) <= LONG or not isfinite(value):
        return shown
    rest, part = round(1 - value, 6), Fraction(value).limit_denominator(LARGEST)
    found = [f"1 - {show(rest)}"] if 0 < rest < 1 and 1 - rest == value else []
    found += [f"{part.numerator}/{part.denominator}"] if part.numerator / part.denominator == value else []
    return min((*found, shown), key=len)


def initialiser(init: Init) -> str:
    """Return `trunc_normal(0.02)`, with the arguments that are not its defaults."""
    defaults = [default for _, default in Init.KINDS[init.kind]]
    args = list(init.args)
    while args and defaults[len(args) - 1] == args[-1]:
        args.pop()
    given = ", ".join(arg if isinstance(arg, str) else show(arg) for arg in args)
    return f"{init.kind}({given})" if given else init.kind


def op_values(op: Op) -> dict[str, Any]:
    """Return the arguments of an op that are not its defaults."""
    return {key: value for key, value in op.arguments().items() if value != op._defaults.get(key, MISSING)}


def op_words(op: Op) -> list[str]:
    """Return the arguments of an op as a spec has them, without those that are its defaults."""
    return call_words(type(op), op_values(op))


def call_words(
    op: type[Op], values: Mapping[str, Any], said: Callable[[str, Any], str] | None = None
) -> list[str]:
    """Return arguments of an op as a spec has them; `said` returns what one of these is written as, "" for itself."""
    params = op_parameters(op)
    given = dict(values)
    words: list[str] = []
    alone: dict[str, Any] = {}

    def word(key: str, value: Any) -> str:
        return (said(key, value) if said is not None else "") or written(value)

    for key in op.positional:
        if key in given and params[key].types == ("ints",):  # takes all that is positional
            text = said(key, given[key]) if said is not None else ""
            words += [text[1:-1]] if text else map(written, given[key])
            del given[key]
        elif key in given and position(params, {*given} - {key}, alone, given[key]) == key:
            alone[key] = given.pop(key)
            words.append(word(key, alone[key]))
    for key, value in given.items():
        words.append(f"/{word(key, value)}" if key == "stride" else f"{key}={word(key, value)}")
    return words


def block_words(
    params: Mapping[str, Param], values: Mapping[str, Any], said: Callable[[str, Any], str]
) -> list[str]:
    """Return the arguments of a block as a call has them; `said` returns an expression, "" for the value itself."""
    words: list[str] = []
    alone: dict[str, Any] = {}
    named = {key for key in values if key == "stride" or params[key].types == ("op",)}
    named |= {key for key in values if params[key].default is not MISSING}
    for key, value in values.items():
        text = said(key, value) or written(value)
        if key not in named and position(params, named, alone, value) == key:
            alone[key] = value
            words.append(text)
        else:
            named.add(key)
            words.append(f"/{text}" if key == "stride" else f"{key}={text}")
    return sorted(words, key=lambda word: word.startswith("/") or "=" in word.split("(")[0])


def negated(condition: str) -> str:
    """Return the opposite of a condition."""
    for word, other in ((" or ", " and "), (" and ", " or ")):
        if word in condition and other not in condition:
            return other.join(map(negated, condition.split(word)))
    for sign, opposite in OPPOSITES.items():
        if sign in condition and not re.search(" (and|or) ", condition):
            return condition.replace(sign, opposite)
    plain = condition.removeprefix("not ")
    if plain.isidentifier():
        return plain if plain != condition else f"not {plain}"
    return f"not ({condition})"


def shape_words(shape: Sequence[int]) -> str:
    """Return the shape of an input: `3, 224x224`."""
    return ", ".join(map(str, shape[:1])) + (f", {'x'.join(map(str, shape[1:]))}" if len(shape) > 1 else "")


def label(key: str) -> str:
    """Return a key of a state_dict as a label: `conv1`, `convs.0`, `"0"`."""
    first, *others = key.split(".")
    plain = [first if first.isidentifier() and first not in keywords() - FREE else f'"{first}"']
    for part in others:
        number = part.isdigit() and str(int(part)) == part
        plain.append(
            part if number or (part.isidentifier() and part not in keywords() - FREE) else f'"{part}"'
        )
    return ".".join(plain)


def numbered(label: str, place: int, number: int, variable: str = "i") -> str:
    """Return a label with `{i}` for one of its numbers, "" if that is another."""
    parts = re.split(r"(\d+)", label)
    if len(parts) <= 2 * place + 1 or parts[2 * place + 1] != str(number):
        return ""
    parts[2 * place + 1] = f"{{{variable}}}"
    made = "".join(parts)
    return made if made.startswith('"') or not made.startswith("{") else f'"{made}"'

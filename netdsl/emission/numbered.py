"""Values under numbers: what one turn of a loop calls `p{i}`, and another turn, or another loop, reads."""

from __future__ import annotations

import re
from collections.abc import Iterable

from netdsl.elaborate.values import Wire
from netdsl.emission.concolic import SymStr
from netdsl.record import Record
from netdsl.symbolic import (
    Atom,
    Poly,
    SymBool,
    SymInt,
    Term,
    compare,
    constant,
    names,
    select,
    single,
    substituted,
    term,
)

Pattern = tuple[str, str]
"""What stands before and after the number of a label."""


class Again(Exception):
    """The body is to be walked again, now that it is known which values are read by their numbers."""


class Writer(Record):
    """A label with a number, and the channels of what it names; None where they are not known."""

    index: Poly
    channels: Poly | None
    axes: str
    turning: tuple[str, ...]
    """The variables of the loops around it."""

    @property
    def moved(self) -> list[str]:
        """The variables of loops by which its number changes."""
        return [name for name in self.turning if name in names(self.index)]


def mapping(number: int) -> Wire:
    """Return the wire of a mapping of values by their numbers, which no item of the flow makes."""
    return Wire(-1_000_000 - number, 0)


def is_mapping(wire: Wire) -> bool:
    """Tell whether a wire is that of such a mapping."""
    return wire.draft <= mapping(0).draft


def parted(name: str, patterns: Iterable[Pattern] = ()) -> tuple[Pattern, Term] | None:
    """Return the pattern of a label and its number; of one without expressions, a pattern among these."""
    if not isinstance(name, SymStr):
        for before, after in patterns:
            found = re.fullmatch(f"{re.escape(before)}(\\d+){re.escape(after)}", name)
            if found is not None:
                return (before, after), constant(int(found[1]))
        return None
    parts = name.whole.args
    numbers = [at for at, part in enumerate(parts) if not isinstance(part, str)]
    if len(numbers) != 1:
        return None
    at = numbers[0]
    return ("".join(parts[:at]), "".join(parts[at + 1 :])), parts[at]


def channels_at(writers: Iterable[Writer], index: Poly, turning: Iterable[str]) -> Poly | None:
    """Return the channels of what is under a number; None where they are not known."""
    found: Poly | None = None
    ordered = sorted(writers, key=lambda writer: not writer.moved)  # one of a loop is known for all numbers
    for writer in ordered:
        own = at_index(writer, index, turning)
        if own is None:
            return None
        if found is None or found == own:
            found = own
            continue
        test = compare("==", SymInt(0, index), SymInt(0, writer.index))
        if writer.moved:
            return None
        if not isinstance(test, SymBool):
            found = own if test else found
            continue
        chosen = term(select(test, SymInt(0, own), SymInt(0, found)))
        found = chosen if isinstance(chosen, Poly) else single(chosen)
    return found


def at_index(writer: Writer, index: Poly, turning: Iterable[str]) -> Poly | None:
    """Return the channels that a label's values have under a number."""
    if writer.channels is None:
        return None
    read = [name for name in writer.turning if name in names(writer.channels)]
    moved = writer.moved
    if not set(read) - set(moved) <= set(turning):
        return None  # the last turn of a loop that is over
    if not set(read) & set(moved):
        return writer.channels
    if len(moved) != 1:
        return None
    (variable,) = moved
    rest = writer.index
    for sign in (1, -1):
        rest = writer.index.plus(single(Atom("name", (variable,))), -sign)
        if variable not in names(rest):
            turn = index.plus(rest, -1)
            found: Poly = substituted(writer.channels, variable, turn.times(constant(sign)))
            return found
    return None

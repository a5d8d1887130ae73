"""Values under numbers: what one turn of a loop calls `p{i}`, and another turn, or another loop, reads."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial, reduce
from typing import Any

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
    in_terms_of,
    joined,
    names,
    select,
    single,
    term,
)

Pattern = tuple[str, ...]
"""What stands before and after the number of a label, and between its numbers."""


class Again(Exception):
    """The body is to be walked again, now that it is known which values are read by their numbers."""


class Writer(Record):
    """A label with a number, and the channels of what it names; None where they are not known."""

    index: tuple[Poly, ...]
    channels: Poly | None
    axes: str
    turning: tuple[str, ...]
    """The variables of the loops around it."""
    spans: Mapping[str, tuple[Poly, Poly]]
    """Where these begin, and before which number they end, as far as that is known."""
    loops: tuple[int, ...]
    """The loops around it, by where their variables stand in the text."""

    @property
    def moved(self) -> list[str]:
        """The variables of loops by which its number changes."""
        return [name for name in self.turning if any(name in names(one) for one in self.index)]


def mapping(number: int) -> Wire:
    """Return the wire of a mapping of values by their numbers, which no item of the flow makes."""
    return Wire(-1_000_000 - number, 0)


def is_mapping(wire: Wire) -> bool:
    """Tell whether a wire is that of such a mapping."""
    return wire.draft <= mapping(0).draft


def parted(name: str, patterns: Iterable[Pattern] = ()) -> tuple[Pattern, Term] | None:
    """Return the pattern of a label and its number, or numbers; that of one among these with as many as may be."""
    parts = name.whole.args if isinstance(name, SymStr) else (name,)
    terms = [part for part in parts if not isinstance(part, str)]
    marks = iter(range(_MARK, _MARK + len(terms)))
    whole = "".join(part if isinstance(part, str) else chr(next(marks)) for part in parts)
    for pattern in sorted(patterns, key=len, reverse=True):
        found = re.fullmatch(_NUMBER.join(map(re.escape, pattern)), whole)
        if found is not None:
            return pattern, together(
                [constant(int(n)) if n.isdigit() else terms[ord(n) - _MARK] for n in found.groups()]
            )
    own = tuple(re.split(f"[{chr(_MARK)}-\uf8ff]", whole))
    return (own, together(terms)) if terms and all(own[1:-1]) else None


_MARK = 0xE000
"""The first of the characters that stand for numbers; no label has any of them."""

_NUMBER = "(0|[1-9][0-9]*|[\ue000-\uf8ff])"


def together(numbers: Sequence[Term]) -> Term:
    """Return one number, or several, as an index."""
    return numbers[0] if len(numbers) == 1 else Atom("tuple", tuple(numbers))


def apart(index: Any) -> tuple[Poly, ...]:
    """Return the numbers of an index."""
    several = isinstance(index, Atom) and index.op == "tuple"
    return tuple(
        one if isinstance(one, Poly) else single(one) for one in (index.args if several else (index,))
    )


def channels_at(writers: Iterable[Writer], index: tuple[Poly, ...], turning: Iterable[str]) -> Poly | None:
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
        pairs = zip(index, writer.index, strict=True)
        tests = (partial(compare, "==", SymInt(0, one), SymInt(0, two)) for one, two in pairs)
        test = reduce(lambda test, more: joined("and", test, more), tests, next(tests)())
        if writer.moved:
            return None
        if not isinstance(test, SymBool):
            found = own if test else found
            continue
        chosen = term(select(test, SymInt(0, own), SymInt(0, found)))
        found = chosen if isinstance(chosen, Poly) else single(chosen)
    return found


def at_index(writer: Writer, index: tuple[Poly, ...], turning: Iterable[str]) -> Poly | None:
    """Return the channels that a label's values have under a number."""
    if writer.channels is None:
        return None
    read = [name for name in writer.turning if name in names(writer.channels)]
    if not set(read) - set(writer.moved) <= set(turning):
        return None  # the last turn of a loop that is over
    turns: dict[str, Poly] = {}
    for name in set(read) & set(writer.moved):
        turn = turn_of(name, writer, index)
        if turn is None:
            return None
        turns[name] = turn
    found: Poly = in_terms_of(writer.channels, turns) if turns else writer.channels
    return found


def turns_to(writers: Sequence[Writer], index: tuple[Poly, ...]) -> Iterator[tuple[Poly, Poly, Poly]]:
    """Yield where loops begin and end, and by their variable the turn that gives a value its number.

    Of several labels that may do so, or of one that is in no loop, nothing is known.
    """
    if len(writers) != 1:
        return
    (writer,) = writers
    turns = {variable: turn_of(variable, writer, index) for variable in writer.moved}
    known = {variable: turn for variable, turn in turns.items() if turn is not None}
    for variable, turn in known.items() if known.keys() == turns.keys() else ():
        if variable in writer.spans:
            begin, end = (in_terms_of(bound, known) for bound in writer.spans[variable])
            if names(end.plus(begin, -1)).keys().isdisjoint(set(writer.turning) - known.keys()):
                yield begin, end, turn


def turn_of(variable: str, writer: Writer, index: tuple[Poly, ...]) -> Poly | None:
    """Return the turn of a loop, by its variable, in which a label had a number; None where that is not known."""
    for own, number in zip(writer.index, index, strict=True):
        for sign in (1, -1):
            rest = own.plus(single(Atom("name", (variable,))), -sign)
            if not any(name in names(rest) for name in writer.turning):
                return number.plus(rest, -1).times(constant(sign))
    return None

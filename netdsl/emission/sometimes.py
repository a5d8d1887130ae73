"""Values that are there for some arguments only, since one side of a condition alone makes them.

`forward` has None in their place, and asks for them where a condition says that they are there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from netdsl.elaborate.values import Wire
from netdsl.emission.items import Container, If, Item, Loop, Side, ordered
from netdsl.symbolic import Atom, conjuncts, negated

Absent = Mapping[Wire, tuple[Atom, ...]]
"""Values that may not be there, each with what holds where it is, as far as that is known."""


def one_sided(item: Item) -> Iterator[Wire]:
    """Yield the values that are read after a condition and may not be there then."""
    if isinstance(item, If):
        yield from (phi.wire for phi in item.phis if phi.sometimes)


def needed(items: list[Item], absent: Absent, given: tuple[Atom, ...] = ()) -> list[Wire]:
    """Return the values that items read whatever further conditions say.

    A loop may have no turn, so what its turns read is needed only if what is `given` says that it is there.
    """
    found: list[Wire] = []
    for item in items:
        if isinstance(item, If) and item.only is None:
            then, otherwise = needed_on_sides(item, absent)
            found += [wire for wire in then if wire in otherwise]
        elif isinstance(item, If):
            found += needed(item.only or [], absent, given)
        elif isinstance(item, Loop):
            turn = needed(item.body, absent, given)
            found += [wire for wire in turn if absent[wire] and set(given).issuperset(absent[wire])]
        elif isinstance(item, (Container, Side)):
            found += needed(item.inner()[0], absent, given)
            found += [item.wire] if isinstance(item, Side) and item.wire in absent else []
        else:
            found += [wire for wire in item.reads() if wire in absent]
    return list(dict.fromkeys(found))


def needed_on_sides(item: If, absent: Absent) -> tuple[list[Wire], list[Wire]]:
    """Return which values each side of a condition needs."""
    ends = [phi for phi in item.phis if not phi.sometimes]
    then = needed(item.then, absent, conjuncts(item.test))
    then += [phi.then for phi in ends if phi.then in absent]
    otherwise = needed(item.otherwise, absent, conjuncts(negated(item.test)))
    otherwise += [phi.otherwise for phi in ends if phi.otherwise in absent]
    return list(dict.fromkeys(then)), list(dict.fromkeys(otherwise))


def tests_of(item: If, wire: Wire) -> tuple[Atom, ...]:
    """Return what holds where a value is there that one side of a condition makes; () for one of either side."""
    for test, side in ((item.test, item.then), (negated(item.test), item.otherwise)):
        for inner in side:
            if wire in inner.makes():
                more = tests_of(inner, wire) if isinstance(inner, If) and wire in one_sided(inner) else ()
                return (*conjuncts(test), *more)
    return ()


def lacking(
    items: list[Item], absent: frozenset[Wire] = frozenset()
) -> Iterator[tuple[Container, frozenset[Wire]]]:
    """Yield all containers, each with the values that may not be there where it is called, though it reads them."""
    for item in ordered(items):
        if isinstance(item, Container):
            own = absent.intersection(item.reads())
            yield item, own.difference(needed(item.items, dict.fromkeys(own, ())))
        for inner in item.inner():
            yield from lacking(inner, absent)
        absent = absent.union(one_sided(item))

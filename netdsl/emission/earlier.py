"""Names that one turn of a loop binds and later ones read: they go from turn to turn like any value.

What is bound in the first turn alone (`if i == 0:`), or read in all turns but that (`if i > 0:`), has no value before
the loop. Where a turn, or what follows the loop, reads such a name, the body is walked again, and the loop begins
with a value for it that nobody reads: as what the first turn makes it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from netdsl.elaborate.draft import Place
from netdsl.elaborate.values import MISSING, Data
from netdsl.emission.concolic import Fixed, Late, LateData, Past, SymStr, concrete, free
from netdsl.emission.layers import Layers
from netdsl.emission.numbered import Again
from netdsl.emission.state import Turns
from netdsl.ir.types import Shape
from netdsl.source import Span
from netdsl.symbolic import (
    Atom,
    Poly,
    SymBool,
    SymInt,
    SymList,
    assuming,
    conjuncts,
    constant,
    in_terms_of,
    named,
    names,
    negated,
    single,
    term,
)
from netdsl.syntax import tree
from netdsl.syntax.tree import pieces

UNSEEN = object()
"""What a value is that later turns read, until a turn was walked that makes it."""


class Held(NamedTuple):
    """A number, op or text that the first turn binds to a name, and what it stands for over the arguments."""

    value: Any
    meaning: Any


class Earlier(Layers):
    """Hands what one turn binds on to later ones."""

    def equalities(self, test: Atom) -> Iterator[tuple[Poly, Poly]]:
        """Yield the ints that are equal where a test holds: in the first turn, what goes from turn to turn."""
        yield from super().equalities(test)
        for part in conjuncts(test):
            turns = self.first_turn(part)
            if turns is not None and turns in self.rounds:
                for name, value in turns.entry.items():
                    if isinstance(value, Poly):
                        yield single(Atom("name", (name,))), value

    # ---------------------------------------------------------------- which turn

    def first_turn(self, test: Atom) -> Turns | None:
        """Return the loop whose first turn a condition asks for."""
        return self.turns_of(test, {"==": 0, "<=": 0, "<": 1})

    def later_turns(self) -> list[Turns]:
        """Return the loops around that are in a later turn here, as the conditions say."""
        tests = [part for test in self.supposed_path for part in conjuncts(test)]
        found = [self.turns_of(test, {">": 0, "!=": 0, ">=": 1}) for test in tests]
        return [turns for turns in found if turns is not None and turns in self.rounds]

    def turns_of(self, test: Atom, forms: dict[str, int]) -> Turns | None:
        """Return the loop whose variable a condition compares so with a number, this far from its first value."""
        if test.op not in forms or not all(isinstance(side, Poly) for side in test.args):
            return None
        variable, number = test.args[0].atom, test.args[1].constant
        turns = self.begun.get(variable.args[0]) if variable is not None and variable.op == "name" else None
        if turns is None or turns.first is None or number != turns.first + forms[test.op]:
            return None
        return turns

    # ---------------------------------------------------------------- what is read

    def unsettled(self, name: str, value: Any) -> None:
        """Walk the body again where a name is read that only the first turn of a loop binds."""
        if value is MISSING:
            self.wanted |= {(turns.start, name) for turns in self.later_turns()}
        late = value.value if isinstance(value, Past) else value
        late = late.late if isinstance(late, LateData) else late
        if not isinstance(late, Late):
            return
        for test, own, other in (
            (late.test.test, late.then, late.otherwise),
            (negated(late.test.test), late.otherwise, late.then),
        ):
            turns = self.first_turn(test)
            if turns is not None and other is MISSING:
                self.remember(turns, name, own)

    def no_value(self, name: str, span: Span, place: Place) -> Exception:
        """Return the error for a value that is not there; what an earlier turn makes will be there."""
        if name in self.dropped:
            self.unsettled(name, self.dropped[name])
        for turns in self.later_turns() if name != "flow" and not isinstance(name, SymStr) else ():
            self.remember(turns, name, UNSEEN)
        return super().no_value(name, span, place)

    def remember(self, turns: Turns, name: str, value: Any) -> None:
        """Walk the body again, with a value at the beginning of a loop as its first turn makes it."""
        known = self.emitter.earlier.setdefault(self.staged.decl, {})
        key = turns.start, name
        if known.get(key, UNSEEN) is not UNSEEN or (key in known and value is UNSEEN):
            return
        found = value if value is UNSEEN else self.at_first(turns, name, value)
        if found is not None:
            known[key] = found
            raise Again

    def at_first(self, turns: Turns, name: str, value: Any) -> Any:
        """Return what is known before a loop of what its first turn makes; None where that is too little."""
        if not isinstance(value, Data):
            if not isinstance(value, (int, float, SymBool)):
                return None if free(value) else Held(value, None)
            meaning = self.before(turns, self.expanded(term(value)))
            if meaning is None:
                return None
            same = self.before(turns, term(value)) == term(value)
            return Held(
                value if same or names(value).keys() == {name} else named(concrete(value), name), meaning
            )
        if type(value) is not Data:
            return None
        shapes: list[Shape] = []
        for shape in value.shapes:
            sizes: list[int] = []
            for axis, size in zip(shape.axes, shape, strict=True):
                whole = self.before(turns, self.expanded(term(size)))
                if whole is None and axis == "c":
                    return None
                sizes.append(SymInt(int(size), single(Atom("name", ("?",))) if whole is None else whole))
            shapes.append(Shape(*sizes, axes=shape.axes))
        return tuple(shapes)

    @staticmethod
    def before(turns: Turns, value: Any) -> Any:
        """Return an expression in the first turn as one of what is known before the loop; None where it is not."""
        first = constant(turns.first) if turns.first is not None else None
        if first is not None:
            turn = single(Atom("name", (turns.loop.targets[0],)))
            value = assuming(value, Atom("==", (turn, first)), True)
        found = in_terms_of(value, {**turns.entry, turns.loop.targets[0]: first})
        return found if turns.known.issuperset(names(found)) else None

    # ---------------------------------------------------------------- loops

    def begin_with(self, start: int, place: Place, varying: dict[str, Any]) -> dict[str, Any]:
        """Bind the names that a loop begins with since later turns read them; return what they are then."""
        found: dict[str, Any] = {}
        for (own, name), held in self.emitter.earlier.get(self.staged.decl, {}).items():
            if own != start or place.env.find(name) is not MISSING:
                continue
            if isinstance(held, Held):
                place.env.names[name] = found[name] = held.value
                if names(held.value).keys() == {name}:  # a local variable
                    self.hinted(held.value, name)
                    self.meaning[name] = held.meaning
                continue
            alike = [place.flow, *place.env.tensors.values()]
            axes = None if held is UNSEEN else [shape.axes for shape in held]
            data = next(
                (d for d in alike if type(d) is Data and axes in (None, [s.axes for s in d.shapes])), None
            )
            if data is None:
                raise Fixed(f"{name} is a value of another turn")
            if held is not UNSEEN:
                data = data.replace(shapes=tuple(map(self.as_known, held)))
            place.env.tensors[name] = found[name] = data
            varying.setdefault(f":{name}", {})
        return found

    def as_known(self, shape: Shape) -> Shape:
        """Return a shape with new names for the sizes that nothing is known of."""
        sizes = (self.unknown_size(int(n)) if "?" in names(n) else n for n in shape)
        return Shape(*sizes, axes=shape.axes)

    def seen(self, turns: Turns, begun: dict[str, Any], place: Place) -> None:
        """Take note of what the turn made of the values that later ones read, once it is walked."""
        for name in [name for start, name in self.wanted if start == turns.start]:
            value = place.env.names.get(name, MISSING)
            if value is not MISSING:
                self.remember(turns, name, value)
        known = self.emitter.earlier.get(self.staged.decl, {})
        for name, begin in begun.items():
            if known[turns.start, name] is UNSEEN:
                data = place.env.tensors.get(name)
                if data is None or data.wires == begin.wires:
                    raise Fixed(f"{name} is a value of another turn")
                self.remember(turns, name, data)

    def as_begun(self, begun: Iterable[str], turns: Turns) -> None:
        """Let local variables stand again for what they do before a loop, which no turn changes."""
        known = self.emitter.earlier.get(self.staged.decl, {})
        for name in begun:
            held = known[turns.start, name]
            if isinstance(held, Held) and name in self.meaning:
                self.meaning[name] = held.meaning

    def some_turn_makes(self, begun: Iterable[str], turns: Turns) -> None:
        """Demand a turn of a loop if what only its turns bind is read after it."""
        parts = list(pieces(self.staged.decl.node))
        loop = next(p for p in parts if isinstance(p, tree.For) and p.names[0].start == turns.start)
        end = max(piece.end for piece in pieces(loop))
        after = {piece.text for piece in parts if isinstance(piece, tree.Name) and piece.start >= end}
        read = [name for name in begun if name in after]
        items = [one.atom for one in turns.entry.values() if isinstance(one, Poly)]
        lists = [atom.args[0] for atom in items if atom is not None and atom.op == "item"]
        if read and lists:
            self.indexed(SymList((), lists[0]), 0)
        elif read and turns.loop.some is not None:
            self.check(turns.loop.some, f"a turn has to make {' and '.join(read)}")

"""Lists of values whose number is an argument, and values with numbers that another turn reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

from netdsl.elaborate.draft import Place
from netdsl.elaborate.names import readable
from netdsl.elaborate.values import Data, Wire
from netdsl.elaborate.walk import Walker
from netdsl.emission.concolic import Fixed, SymStr
from netdsl.emission.items import Child, Collect, Layer, Let, Pick, Store
from netdsl.emission.numbered import Again, Pattern, Writer, apart, channels_at, mapping, parted, turns_to
from netdsl.emission.rehearsal import Rehearsal
from netdsl.emission.streams import LIST, Elements, Parts, Streams, listed
from netdsl.emission.terms import replaced, with_hint
from netdsl.ir.types import Shape
from netdsl.source import Span
from netdsl.symbolic import (
    Atom,
    Poly,
    SymInt,
    SymList,
    constant,
    evaluate,
    length,
    names,
    position,
    single,
    term,
    text,
)
from netdsl.symbolic import item as item_of
from netdsl.syntax import tree
from netdsl.syntax.tree import pieces


class Lists(Rehearsal):
    """Makes lists, takes values from them, and finds values by their number."""

    # ---------------------------------------------------------------- lists

    def of_length(self, count: Any, hint: int) -> Shape:
        """Return the shape of a list."""
        return Shape(SymInt(hint, count), axes=LIST)

    def list_wire(self, count: Any, hint: int, place: Place, span: Span) -> Data:
        """Return a new list."""
        result = self.wire((self.of_length(count, hint),), place, span)
        self.staged.lists[result.wires[0]] = count
        return result

    def like(self, data: Data, *others: Data) -> Data:
        """Return values as a list where they are one like others."""
        if any(isinstance(one, Parts) for one in (data, *others)):
            self.opaque += 1  # how many values there are is not known
            self.staged.lists[data.wires[0]] = single(Atom("name", (f"?{self.opaque}",)))
            return Parts(data.wires, data.shapes)
        if not any(isinstance(other, Streams) for other in others):
            return data
        first = others[0]
        if not isinstance(first, Streams):
            raise Fixed("a list in the place of a value")
        whole: Atom = first.elements.channels.whole  # type: ignore[attr-defined]
        for other in others[1:]:
            if not isinstance(other, Streams) or term(other.elements.channels) != whole:
                raise Fixed("lists of other channels")
        self.staged.lists[data.wires[0]] = length(whole)
        return Streams(data.wires, data.shapes, False, first.elements)

    def opaque_sizes(self, shape: Shape) -> Shape:
        """Return a shape whose channels alone are known."""
        sizes = [
            n if axis == "c" else self.unknown_size(int(n)) for axis, n in zip(shape.axes, shape, strict=True)
        ]
        return Shape(*sizes, axes=shape.axes)

    def as_list(self, data: Data, place: Place, span: Span) -> tuple[Wire, ...]:
        """Return values as one list: that of which they are all."""
        if isinstance(data, Streams):
            return data.wires
        try:
            return (self.whole_of(data, 0)[0],)
        except Fixed:
            result = self.list_wire(constant(len(data.wires)), len(data.wires), place, span)
            self.items.append(Collect(data.wires, result.wires[0]))
            return result.wires

    def picked(self, value: Data, index: int) -> Data:
        """Return one value of a list, which is an item when something reads it, and not its channels alone."""
        at = term(index)
        if isinstance(value, Streams):
            whole, elements = value.wires[0], value.elements
            self.indexed(elements.channels, index)
            at = position(elements.channels.whole, at)  # type: ignore[attr-defined, arg-type]
            channels = item_of(elements.channels.whole, at)  # type: ignore[attr-defined]
        else:
            whole, (general, env) = self.whole_of(value, index)
            self.indexed(value.wires, index)
            elements = Elements(value.shapes, ())
            own = {**env, "?index": index}
            channels = term(evaluate(item_of(general, single(Atom("name", ("?index",)))), own))
        if not -len(elements) <= int(index) < len(elements):
            raise Fixed("a list that is shorter", index)
        shape = elements[int(index)]
        c = SymInt(int(shape.c), channels if isinstance(channels, Poly) else single(channels))
        known = iter(self.one_size.get(whole) or map(self.unknown_size, shape.extent))
        sizes = [
            c if axis == "c" else with_hint(next(known), n) for axis, n in zip(shape.axes, shape, strict=True)
        ]
        shape = Shape(*sizes, axes=shape.axes)
        place = self._deciding[1]
        data = self.wire((shape,), place, place.scope.span)
        self.picks[data.wires[0]] = self.unread[data.wires[0]] = Pick(whole, at, data.wires[0])
        return data

    def whole_of(self, value: Data, index: int) -> tuple[Wire, Any]:
        """Return the list that a tuple is all of, and its channels."""
        picks = [self.picks.get(wire) for wire in value.wires]
        whole = picks[0].whole if picks[0] is not None else None
        every = [
            pick is not None and pick.whole == whole and pick.index == constant(n)
            for n, pick in enumerate(picks)
        ]
        if whole is None or whole not in self.results or not all(every):
            raise Fixed("which value it is is not known", index)
        if self.staged.lists[whole] != constant(len(picks)):
            raise Fixed("which value it is is not known", index)
        return whole, self.results[whole]

    def reading(self, data: Data) -> None:
        """Put down the values of lists that something is about to read."""
        for wire in data.wires:
            if wire in self.unread:
                self.items.append(self.unread.pop(wire))

    @staticmethod
    def single(data: Data | None, span: Span) -> Data:
        """Return a branch's one value."""
        if isinstance(data, Streams):
            raise Fixed("a branch that is a list")
        return Walker.single(data, span)

    def refs(self, refs: tuple[tree.Ref, ...], place: Place) -> Data:
        """Return the values that `from` names."""
        data = super().refs(refs, place)
        if len(refs) == 1 or not any(map(listed, data.shapes)):
            return data
        parts = [self.ref(ref, place) for ref in refs]
        shapes: list[Shape] = []
        for part in parts:
            shapes += part.elements if isinstance(part, Streams) else part.shapes
        if any("c" not in shape.axes for shape in shapes) or len({shape.axes for shape in shapes}) > 1:
            raise Fixed("a list among values of other kinds")
        elements = Elements(shapes, tuple(int(shape.c) for shape in shapes))
        return self.collected(parts, elements, place, Span(place.source, refs[0].start, refs[-1].end))

    def collected(self, parts: list[Data], elements: Elements, place: Place, span: Span) -> Streams:
        """Return the list of values and of all values of lists."""
        if len(parts) == 1 and isinstance(parts[0], Streams):
            whole = parts[0].elements.channels.whole  # type: ignore[attr-defined]
            return parts[0].replace(elements=Elements(elements, SymList(elements.channels, whole)))
        terms: list[Any] = []
        for part in parts:
            if isinstance(part, Streams):
                terms.append(Atom("star", (part.elements.channels.whole,)))  # type: ignore[attr-defined]
            else:
                terms.append(self.expanded(term(self.single(part, span).shapes[0].size("c"))))
        whole = Atom("list", tuple(terms))
        result = self.list_wire(length(whole), len(elements), place, span)
        self.items.append(Collect(tuple(part.wires[0] for part in parts), result.wires[0]))
        return Streams(
            result.wires, result.shapes, False, Elements(elements, SymList(elements.channels, whole))
        )

    # ---------------------------------------------------------------- values with numbers

    def define(self, label: tree.Label, value: Data, place: Place) -> None:
        """Bind a label to the value that it names."""
        super().define(label, value, place)
        name = self.evaluator.text(label, place.env, place.source)
        self.stored(label, value, place)
        if isinstance(name, SymStr):
            self.templates[str(name)] = name.whole
            found = parted(name, self.numbered)
            if found is not None and (self.unknown_turns or symbolic_number(found[1], self.turning)):
                self.templated.append(found[0])
        else:
            self.templates.pop(name, None)

    def ref(self, ref: tree.Ref, place: Place) -> Data:
        """Return one value by its name, which must be of this turn if it has an unknown number."""
        name = self.evaluator.text(ref.name, place.env, place.source)
        found = self.elsewhere(name, place)
        if found is not None and ref.index is None:
            self.reading(found)
            return found
        self.evaluator.same_turn(name)
        data = super().ref(ref, place)
        self.reading(data)
        return data

    def stored(self, label: tree.Label, value: Data, place: Place) -> None:
        """Give a value its number, if it is one of those that are read by it."""
        name = self.evaluator.text(label, place.env, place.source)
        found = parted(name, self.numbered)
        if found is None or found[0] not in self.numbered:
            return
        pattern, index = found
        if len(value.wires) != 1 or isinstance(value, Streams) or "c" not in value.shapes[0].axes:
            raise Fixed(f"{name} is one of several values", index)
        self.at_home(pattern, name, stores=True)
        self.reading(value)
        held = [data for data in place.env.tensors.values() if not any(map(listed, data.shapes))]
        whole = mapping(self.numbered.index(pattern))
        if any(
            self.picks[w].whole == whole
            for data in held
            for w in data.wires
            if w in self.picks and w != value.wires[0]
        ):
            raise Fixed(f"{name} may be given again what is still read", index)
        channels = replaced(self.expanded(term(value.shapes[0].c)), {})
        known = {p.name for p in self.staged.params} | set(self.turning)
        known |= {own for incoming in self.staged.inputs for own in incoming.sizes.values()}
        sure = set(names(channels)) <= known
        at = tuple(replaced(self.expanded(one), {}) for one in apart(index))
        spans = {variable: self.spans[variable] for variable in self.turning if variable in self.spans}
        loops = tuple(turns.start for turns in self.rounds)
        writer = Writer(
            *(at, channels if sure else None, value.shapes[0].axes), tuple(self.turning), spans, loops
        )
        self.writers[pattern] = (*self.writers.get(pattern, ()), writer)
        self.items.append(Store(whole, index, value.wires[0], self.kept.get(pattern, ""), value.shapes[0].c))

    def elsewhere(self, name: str, place: Place | None = None) -> Data | None:
        """Return the value of another turn, or loop, that a label with a number names; None for one of this turn."""
        place = place or self._deciding[1]
        there = name == "flow" or place.env.find_tensor(name) is not None
        if there and (name.whole if isinstance(name, SymStr) else None) == self.templates.get(name):
            return None
        return self.by_number(name, place)

    def by_number(self, name: str, place: Place) -> Data | None:
        """Return the value of another turn, or of another loop, that a label with a number names."""
        found = parted(name, (*self.numbered, *self.templated))
        if found is None or not (self.unknown_turns or found[0] in self.templated):
            return None
        pattern, index = found
        if pattern not in self.numbered:
            self.numbered.append(pattern)
            raise Again
        seen = self.numbers.get(pattern, {})
        if not seen:
            return None
        self.at_home(pattern, name)
        at = tuple(replaced(self.expanded(one), {}) for one in apart(index))
        if not self.guessing:
            self.numbered_before(pattern, at)
        hint = tuple(int(self.here(one)) for one in at)
        shape = seen.get(hint) or next(iter(seen.values()))
        if pattern in self.kept:
            own = Atom("item", (Atom("name", (self.kept[pattern],)), index))
            variable = self.looked(own)
            if not variable:
                variable = self.local("width")
                self.put(Let(variable, SymInt(int(shape.c), replaced(own, {}))))
                self.widths[variable] = own
            self.hints[self.kept[pattern]] = Widths(
                {number[0] if len(number) == 1 else number: int(s.c) for number, s in seen.items()}
            )
            return self.numbered_value(pattern, index, shape, self.hinted(int(shape.c), variable), place)
        self.looked_up.add(pattern)
        writers = (*self.writers.get(pattern, ()), *self.foreseen.get(pattern, ()))
        if self.guessing:
            writers = tuple(writer for writer in writers if writer.channels is not None)
        channels = channels_at(writers, at, self.turning)
        if self.guessing:
            channels = channels or single(Atom("name", ("?",)))
        elif channels is None or (hint in seen and self.here(channels) != shape.c):
            self.keep_channels(pattern)
        return self.numbered_value(
            pattern, index, shape, SymInt(int(shape.c), self.contracted(channels)), place
        )

    def numbered_before(self, pattern: Pattern, at: tuple[Poly, ...]) -> None:
        """Demand that loops that are over have the turn that gives a value its number."""
        writers = (*self.writers.get(pattern, ()), *self.foreseen.get(pattern, ()))
        if any(turns.start in writer.loops for turns in self.rounds for writer in writers):
            return
        for begin, end, turn in turns_to(writers, at):
            number, behind, size = turn.plus(begin, -1), end.plus(turn, -1), end.plus(begin, -1)
            more, low = self.lowest(self.in_first_turns(behind)), self.lowest(self.in_first_turns(number))
            enough = self.assured(behind, 1) or (more is not None and more >= 1)
            begun = self.assured(number, 0) or (low is not None and low >= 0)
            if (enough and begun) or not (names(size) or names(number)):
                continue
            need = self.last_of(number)
            if number.constant is not None:
                own = constant(size.number)
                self.long_enough(size.plus(own, -1), number.plus(own, -1).plus(constant(1)))
            elif (behind.constant or 0) > 0:  # from the last one
                self.long_enough(size, behind)
            elif need is not None:
                low = self.lowest(size)
                count = size if low is not None and low >= 0 else Atom("call", ("max", size, constant(0)))
                self.long_enough(replaced(count, {}), need)
            else:
                shown = "".join(f"{{{text(one)}}}{rest}" for one, rest in zip(at, pattern[1:], strict=True))
                test = Atom("<", (turn, end))
                test = test if begun else Atom("and", (Atom(">=", (turn, begin)), test))
                self.checked(test, f"no turn makes {pattern[0]}{shown}")

    def in_first_turns(self, value: Poly) -> Poly:
        """Return the least that a number is: in the first turns of the loops around whose variables are added."""
        for variable in reversed(self.turning):
            turn = Atom("name", (variable,))
            own = [number for number, atoms in value.parts.values() if atoms == (turn,)]
            if own and variable in self.spans:
                begin, end = self.spans[variable]
                least = begin if own[0] > 0 else end.plus(constant(-1))
                value = value.plus(least.plus(single(turn), -1).scaled(own[0]))
        return value

    def last_of(self, turn: Poly) -> Poly | None:
        """Return how many values the turns of a loop around read, which each read the one of their number."""
        for variable in self.turning:
            begin, end = self.spans.get(variable, (None, None))
            if begin is None or end is None or turn != single(Atom("name", (variable,))).plus(begin, -1):
                continue
            read = any(variable in names(test) for test in self.supposed_path)
            need = end.plus(begin, -1)
            return need if not read and self.known_at_once(need) else None
        return None

    def looked(self, own: Atom) -> str:
        """Return the variable that has these channels of a value with a number, if nothing has come between."""
        for item in reversed(self.items):
            if isinstance(item, Let) and not item.again and self.widths.get(item.name) == own:
                return item.name
            if not isinstance(item, (Layer, Child, Pick)) and not (isinstance(item, Let) and not item.again):
                break
        return ""

    def numbered_value(self, pattern: Pattern, index: Any, shape: Shape, channels: int, place: Place) -> Data:
        """Return a value that is looked up by its number."""
        sizes = [
            channels if axis == "c" else self.unknown_size(int(n))
            for axis, n in zip(shape.axes, shape, strict=True)
        ]
        data = self.wire((Shape(*sizes, axes=shape.axes),), place, place.scope.span)
        whole = mapping(self.numbered.index(pattern))
        self.picks[data.wires[0]] = self.unread[data.wires[0]] = Pick(whole, index, data.wires[0])
        return data

    def keep_channels(self, pattern: Pattern) -> NoReturn:
        """Walk the body again with a variable, of a name that the text has not, for the channels of such values."""
        own = readable(pattern[0].strip("_"))
        name = f"{own}_channels" if own else "widths"
        taken = {*self.kept.values(), *(getattr(part, "text", "") for part in pieces(self.staged.decl.node))}
        while name in taken or name in self.emitter.reserved:
            name += "_"
        self.kept[pattern] = name
        raise Again

    def at_home(self, pattern: Pattern, name: str, stores: bool = False) -> None:
        """Demand that values with numbers are of one container, whose function keeps them, or read in one in it."""
        here = tuple(item.span.start for item, _ in self.opened_scopes)
        homes, readers = self.homes.setdefault(pattern, (set(), set()))
        (homes if stores else readers).add(here)
        home = min(homes, default=())
        if len(homes) > 1 or any(reader[: len(home)] != home for reader in readers):
            raise Fixed(f"{name} is of two containers")

    @property
    def guessing(self) -> bool:
        """Whether the loop is walked for the first time, and values are read that it may give their numbers later."""
        known = {
            pattern
            for pattern, writers in self.foreseen.items()
            if all(w.channels is not None for w in writers)
        }
        return bool(self.loops and self.looked_up - known)


class Widths(dict[Any, int]):
    """The channels of values by their numbers in this instance; under any other number they are one's of these."""

    def __missing__(self, number: object) -> int:
        return next(iter(self.values()))


def symbolic_number(number: Any, turning: Sequence[str]) -> bool:
    """Tell whether the number of a label depends on more than the turns of loops."""
    return not set(names(number)) <= set(turning)

"""Numbers with their expressions: what they are here and for all arguments, and what is demanded of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import product
from math import prod
from typing import Any

from netdsl.elaborate.draft import Place
from netdsl.elaborate.evaluate import is_number
from netdsl.elaborate.names import readable
from netdsl.elaborate.values import MISSING, Data
from netdsl.emission.concolic import Constants, Fixed, SymOp, concrete
from netdsl.emission.items import Check, Child, Incoming, Let, Parameter, walk
from netdsl.emission.state import Schedule, State
from netdsl.ir.types import Dims, Shape
from netdsl.symbolic import (
    COMPARISONS,
    Atom,
    Poly,
    SymBool,
    SymFloat,
    SymInt,
    SymList,
    Term,
    arithmetic,
    assuming,
    compare,
    conjuncts,
    constant,
    equalities,
    evaluate,
    in_terms_of,
    known_right,
    length,
    list_of,
    named,
    names,
    negated,
    opposite,
    single,
    symbolic,
    term,
    text,
)
from netdsl.syntax import tree

SIZES = {"c": "channels", "h": "height", "w": "width", "n": "tokens", "b": "windows"}
"""What the sizes of what comes in are called, after its name."""

_ARITHMETIC = ("//", "%", "**", "group", "if", "and", "or", "not")
_TRIES, _SMALL, _LARGE = 10_000, 10, 2000
"""How often sizes are tried, and below which: several that know nothing of each other, or one."""


class Terms(State):
    """What numbers are, for all arguments and here, and which of them are local variables."""

    # ---------------------------------------------------------------- meaning

    def hinted(self, value: Any, name: str) -> Any:
        """Return a number under a name, and remember what it is here."""
        self.hints[name] = concrete(value)
        return named(self.hints[name], name)

    def unknown_size(self, hint: int) -> SymInt:
        """Return a size that nothing is known of."""
        self.opaque += 1
        size: SymInt = self.hinted(hint, f"?{self.opaque}")
        return size

    def at_size(self, shape: Shape) -> Shape:
        """Return a shape whose channels, which a class has to know, are known if the net's own sizes decide them."""
        if "c" not in shape.axes or self.own_sizes.keys().isdisjoint(names(term(shape.c))):
            return shape
        known = in_terms_of(term(shape.c), self.own_sizes)
        return shape.with_size("c", SymInt(int(shape.c), known))

    def here(self, value: Term) -> Any:
        """Return what an expression is in this instance."""
        return evaluate(value, {**self.emitter.constants, **self.hints})

    def expanded(self, value: Any) -> Any:
        """Return an expression over the class's arguments alone."""
        if not any(name in self.meaning for name in names(value)):
            return value
        return in_terms_of(value, self.meaning)

    def contracted(self, value: Poly) -> Poly:
        """Return the local variable that an expression over the class's arguments is, if there is one."""
        known = (name for name, meaning in self.meaning.items() if meaning == value)
        name = next(known, None)
        return value if name is None else single(Atom("name", (name,)))

    def equal(self, a: Any, b: Any, more: tuple[Atom, ...] = ()) -> bool:
        """Tell whether two ints are the same under the conditions that hold here, and more."""
        x, y = self.expanded(term(a)), self.expanded(term(b))
        tests = [self.expanded(test) for test in (*self.path, *more)] if x != y else []
        for test in (part for one in tests for part in conjuncts(one)):
            x, y = assuming(x, test, True), assuming(y, test, True)
        if x == y:
            return True
        for test in tests:
            for left, right in self.equalities(test):
                for name, other in ((left.atom, right), (right.atom, left)):
                    if name is None or name.op != "name":
                        continue
                    known = {name.args[0]: other}
                    if in_terms_of(x, known) == in_terms_of(y, known):
                        return True
        return False

    def equalities(self, test: Atom) -> Iterator[tuple[Poly, Poly]]:
        """Yield the ints that are equal where a test holds: an argument that is at least 1 and less than 2 is 1."""
        yield from equalities(test)
        for part in conjuncts(test):
            if part.op in ("<", "<=") and all(isinstance(side, Poly) for side in part.args):
                number, limit = part.args[0].atom, part.args[1].constant
                if number is None or limit is None or number.op != "name":
                    continue
                limit -= part.op == "<"
                if self.least.get(number) == limit:
                    yield part.args[0], constant(limit)

    def is_full(self, count: Poly) -> bool:
        """Tell whether a list that comes in has as many values, which is not empty."""
        return any(self.staged.lists[i.wire] == self.expanded(count) for i in self.staged.inputs if i.many)

    def sources(self, value: Any) -> set[tuple[Any, str]]:
        """Return the parameters, and constants of the file, that an op or a list of some comes from."""
        found: set[tuple[Any, str]] = set()
        queue = list(names(self.expanded(value.whole))) if hasattr(value, "whole") else []
        while queue:
            name = queue.pop()
            queue += self.drawn.get(name, ())
            found.add((None if name in self.emitter.constants else self.staged.decl, name))
        return found

    def is_maker(self, value: Any) -> bool:
        """Tell whether an argument that is an op is what makes it for so many channels."""
        return not self.emitter.makers.isdisjoint(self.sources(value))

    # ---------------------------------------------------------------- demands

    def at_least(self, value: Any, least: int, what: str) -> None:
        """Demand that an int is at least 0 or 1: of arguments at once, if it is one, or a product of some.

        `what` is said before the number that it is instead.
        """
        own = self.expanded(value)
        low = self.lowest(own)
        if own.constant is not None or self.assured(own, least) or (low is not None and low >= least):
            return
        if own.atom is not None and own.atom.op == "if":
            for side in self.either_number(own):
                self.at_least(side, least, what)
            return
        parts = list(own.parts.values())
        factors = [single(atom) for atom in dict.fromkeys(parts[0][1])] if len(parts) == 1 else []
        if not factors or parts[0][0] < 0 or not all([self.asked_of(one, least) for one in factors]):
            self.checked(Atom(">=", (value, constant(least))), f"{what}, not {{{text(value)}}}")

    def either_number(self, value: Poly) -> Iterator[Poly]:
        """Yield what a number is on either side of the conditions that decide it, each while that is supposed."""
        if value.atom is None or value.atom.op != "if":
            yield value
            return
        test, *sides = value.atom.args
        for condition, side in zip((test, negated(test)), sides, strict=True):
            self.evaluator.supposed.append(condition)
            yield from self.either_number(side)
            self.evaluator.supposed.pop()

    def asked_of(self, factor: Poly, least: int) -> bool:
        """Demand that a factor is at least 0 or 1, if that is to say it of arguments alone; tell whether it is."""
        atom = factor.atom
        assert atom is not None
        divisor = atom.args[1].constant or 0 if atom.op == "//" else 0
        if divisor > 0:
            inner, most = list(atom.args[0].parts.values()), least * divisor
            return len(inner) == 1 == inner[0][0] == len(inner[0][1]) and self.asked_of(atom.args[0], most)
        own = self.argument(atom)
        if own is None:
            each = self.each_in.get(atom.args[0], ()) if atom.op == "name" else ()
            return bool(each) and all([self.asked_of_item(item, least) for item in each])
        if self.least.get(own, least - 1) >= least:
            return True
        turn = atom if atom.op == "name" else getattr(atom.args[1], "atom", None)
        some = self.some_turn.get(turn.args[0]) if turn is not None and turn.op == "name" else None
        same = Atom(">=", (factor, constant(least)))
        for test in self.supposed_path:
            elsewhere = Atom("or", (test, same)) in self.path
            if test not in self.demanded and test != some and not elsewhere and not self.below(test, factor):
                return False
        self.least[own] = max(least, self.least.get(own, least))
        return True

    def asked_of_item(self, item: Term, least: int) -> bool:
        """Demand that an item of a list that is written out is at least 0 or 1, as `asked_of` does."""
        whole = self.expanded(item)
        if not isinstance(whole, Poly):
            return False
        if whole.constant is not None:
            return whole.constant >= least
        parts = list(whole.parts.values())
        return (
            len(parts) == 1
            and parts[0][0] > 0
            and all([self.asked_of(single(atom), least) for atom in parts[0][1]])
        )

    def argument(self, atom: Atom) -> Atom | None:
        """Return which argument, or which item of one, an atom is; None: it is none.

        It is `n[0]` of a list, all of it where it is each in turn, or the first ones of it.
        """
        kinds = {parameter.name: parameter.kind for parameter in self.staged.params}
        if atom.op == "name":
            name = atom.args[0]
            items = self.each_of.get(name)
            own = items is not None and kinds.get(items.args[0].args[0]) == "list"
            return atom if kinds.get(name) == "int" else items if own else None
        whole = atom.args[0] if atom.op == "item" else None
        if whole is None or whole.op != "name" or kinds.get(whole.args[0]) not in ("list", "dims", "pad"):
            return None
        index = atom.args[1]
        if index.constant is not None:
            return atom
        turn = index.atom.args[0] if index.atom is not None and index.atom.op == "name" else ""
        stop = self.stops.get(turn)
        if stop is None or not self.known_at_once(stop):
            return None
        low, behind = self.lowest(stop), length(whole).plus(stop, -1).constant
        if (low is None or low < 0) and behind not in (0, 1):  # less than 0 counts from the end
            return None
        return Atom("star", (whole if stop == length(whole) else Atom("slice", (whole, stop)),))

    @property
    def supposed_path(self) -> list[Atom]:
        """The conditions that hold here, those within an expression among them."""
        return [*self.path, *self.evaluator.supposed]

    def below(self, test: Any, argument: Poly) -> bool:
        """Tell whether a condition holds wherever an argument is less than 1."""
        test = self.expanded(test)
        if test.op in ("or", "and"):
            sides = [self.below(side, argument) for side in test.args if isinstance(side, Atom)]
            return any(sides) if test.op == "or" else len(sides) == len(test.args) and all(sides)
        if test.op != "!=" or argument not in test.args:
            return False
        other = next((side for side in test.args if side != argument), argument)
        if not isinstance(other, Poly):
            return False
        channels = {incoming.sizes.get("c") for incoming in self.staged.inputs if not incoming.many}
        return (other.constant or 0) >= 1 or (other.atom is not None and other.atom.args[0] in channels)

    def known_at_once(self, value: Term) -> bool:
        """Tell whether a number is known when the constructor begins."""
        known = {parameter.name for parameter in self.staged.params} | set(self.emitter.constants)
        known |= {own for incoming in self.staged.inputs for own in incoming.sizes.values()}
        return known.issuperset(names(value)) and self.emitter.sizes.isdisjoint(names(value))

    def assured(self, value: Poly, least: int) -> bool:
        """Tell whether a condition that holds here says that an int is at least so much."""
        for test in map(self.expanded, self.path):
            if test.op in ("<", ">", "<=", ">=") and all(isinstance(side, Poly) for side in test.args):
                large, small = test.args if test.op in (">", ">=") else test.args[::-1]
                more = value.plus(large.plus(small, -1), -1).constant
                if more is not None and more + (test.op in ("<", ">")) >= least:
                    return True
        return False

    def not_handed_on(self, value: Atom) -> None:
        """Refuse what `forward` asks of turns where it reads variables that they hand on, which it does not know."""
        handed = {name for turns in self.rounds for name in turns.carried}
        read = [name for name in names(value) if name in handed]
        if read and not self.opened_scopes:  # a chain is the constructor's alone
            raise Fixed(f"{read[0]} changes from turn to turn", *(Atom("name", (name,)) for name in read))

    def checked(self, test: Atom, message: str) -> None:
        """Demand something once, where what is supposed within an expression holds."""
        for condition in self.evaluator.supposed:
            test = Atom("or", (negated(condition), test))
        if test not in self.path:
            self.check(test, message)

    def check(self, test: Atom, message: str) -> None:
        """Demand something of the arguments: before the loops whose turns all demand the same, if there are any."""
        whole = self.expanded(test)
        if _holds(whole):
            return
        read = names(whole)
        if any(name.startswith("?") or name in self.emitter.sizes for name in read):
            return
        if not self.comprehending.isdisjoint(read):
            return
        if test.op == "==" and Atom("==", test.args[::-1]) in self.path:
            return
        self.path.append(test)
        self.demanded.add(test)
        items, at = self.items, len(self.items)
        for turns in reversed(self.rounds):
            if turns.sided != self.sided:
                break
            if not (turns.carried | turns.loop.changing()).isdisjoint({*read, *names(test)}):
                break
            items, at = turns.outer, len(turns.outer)
            if turns.loop.some is not None and turns.loop.some not in turns.path:
                test = Atom("or", (negated(turns.loop.some), test))
        for container, outer in reversed(self.opened_scopes):
            counted = {inner.name for inner in walk(container.items) if isinstance(inner, Let)}
            free = counted.isdisjoint({*read, *names(test)})
            if items is container.items and free:  # a chain is built of modules alone
                items, at = outer, outer.index(container)
        items.insert(at, Check(test, message))

    def implied(self, test: Atom) -> bool:
        """Tell whether a test holds for all arguments that are as large as they have to be."""
        if test.op == "or":
            return any(map(self.implied, test.args))
        bound = test.args[1].constant if test.op in (">=", "!=") and isinstance(test.args[1], Poly) else None
        low = self.lowest(self.expanded(test.args[0])) if bound is not None else None
        return low is not None and bound is not None and (low > bound or (test.op == ">=" and low == bound))

    def lowest(self, value: Any) -> float | None:
        """Return what a number is at least, if arguments are as large as they have to be; None: that is not known."""
        if isinstance(value, Poly):
            value = self.in_last_turns(value)
            sums = [self.product(number, atoms) for number, atoms in value.parts.values()]
            return None if None in sums else sum(low for low in sums if low is not None)
        own = self.argument(value)
        known = self.least.get(own) if own is not None else None
        if known is not None:
            return known
        if value.op == "const":
            return value.args[0] if isinstance(value.args[0], (int, float)) else None
        if value.op == "name":
            return self.lowest_of_name(value.args[0])
        if value.op == "item":
            items = written(self.expanded(value.args[0]))
            if items is not None:
                return least_of(self.lowest(one) for one in items)
            held = names(value.args[0])
            return 1 if held and all(self.lowest_of_name(name) == 1 for name in held) else None
        if value.op in ("group", "if"):
            return least_of(self.lowest(one) for one in value.args[value.op == "if" :])
        if value.op == "call" and value.args[0] == "max":
            return max((low for low in map(self.lowest, value.args[1:]) if low is not None), default=None)
        if value.op == "call" and value.args[0] == "min":
            return least_of(map(self.lowest, value.args[1:]))
        if value.op == "call" and value.args[0] == "make_divisible":
            return self.lowest(value.args[2])
        if value.args[:1] == ("len",):
            return max((need.constant or 0 for size, need in self.needs if size.atom == value), default=0)
        if value.op not in ("+", "*", "/", "//", "%", "**"):
            return 0 if value.op == "sum" else None
        one, two = map(self.lowest, value.args)
        if one is None or two is None or min(one, two) < 0:
            return None
        if value.op in ("+", "*"):
            return one + two if value.op == "+" else one * two
        if value.op == "**":
            return 1 if one >= 1 else 0
        exact = value.args[1].constant if value.op == "//" and isinstance(value.args[1], Poly) else None
        return None if two == 0 else one // exact if exact else 0

    def in_last_turns(self, value: Poly) -> Poly:
        """Return the least that a number is: in the last turns of loops whose variables are taken away."""
        for _ in self.limits:
            least = constant(0)
            for key, (number, atoms) in value.parts.items():
                last = self.limits.get(atoms[0].args[0]) if [one.op for one in atoms] == ["name"] else None
                own = Poly({key: (number, atoms)})
                least = least.plus(
                    own if last is None or number > 0 else last.plus(constant(-1)).scaled(number)
                )
            if least == value:
                break
            value = least
        return value

    def product(self, number: int, factors: tuple[Atom, ...]) -> float | None:
        """Return what a product is at least, as `lowest` does."""
        lows = [self.lowest(factor) for factor in factors]
        if lows and (number < 0 or any(low is None or low < 0 for low in lows)):
            return None
        return number * prod(low for low in lows if low is not None)

    def lowest_of_name(self, name: str) -> int | None:
        """Return what a variable is at least: one that the text has not holds the channels of a value, or a turn."""
        if name in self.begins:
            return self.begins[name]
        if name in self.emitter.variables(self.staged.decl) or name in self.turning:
            return None
        return None if any(parameter.name == name for parameter in self.staged.params) else 1

    # ---------------------------------------------------------------- lists

    def indexed(self, items: Any, index: Any) -> None:
        """Demand that a list has an item of a number."""
        whole = term(items) if symbolic(items) else getattr(items, "name", None)
        size = length(whole) if isinstance(whole, Atom) and symbolic(items) else constant(items_of(items))
        number, size = term(index), replaced(self.expanded(size), {})
        own = replaced(self.expanded(number), {})
        if isinstance(whole, Atom) and whole.op == "name" and self.each_in.get(whole.args[0]):
            rows = [written(row) for row in self.each_in[whole.args[0]]]
            if None not in rows:
                size = constant(min(len(row) for row in rows if row is not None))
        if self.counted_in(own, size):
            return
        need, behind = self.needed(own), size.plus(own, -1).constant
        if (
            own.constant is None and behind is not None and behind > 0
        ):  # from the end, or before the beginning
            made = isinstance(whole, Atom) and whole.op in ("each", "list")
            need = constant(behind if made else (behind + 1) // 2)
        more = size.plus(need, -1).constant if need is not None else None
        if more is not None and more >= 0:
            return
        if need is not None and need.constant == 1 and list_in(size) is None:  # so many parts
            self.at_least(size, 1, f"{text(size)} must be at least 1")
            return
        if need is not None and Atom(">", (size, need.plus(constant(1), -1))) in self.supposed_path:
            return
        if need is not None and own.constant is not None and not self.known_at_once(size):
            self.checked(*long_enough(size, need))
            return
        known = need is not None and self.known_at_once(need) and self.known_at_once(size)
        if need is None or not known or self.reads_on(own) or not self.in_last_turn_too(own):
            shown = text(whole) if whole is not None else "the list"
            low, message = self.lowest(own), f"{shown} has no value of number {{{text(number)}}}"
            from_start, before_end = low is not None and low >= 0, self.lowest(size.plus(own, -1))
            tests = [] if from_start else [Atom(">=", (number, size.scaled(-1)))]
            if before_end is None or before_end < 1:
                tests.append(Atom("<", (number, size)))
            if tests:
                self.checked(tests[0] if len(tests) == 1 else Atom("and", tuple(tests)), message)
            return
        self.long_enough(size, need)

    def long_enough(self, size: Poly, need: Poly) -> None:
        """Demand that a list has as many values, or a loop as many turns, as are read."""
        if not (self.known_at_once(need) and self.known_at_once(size)):
            self.checked(*long_enough(size, need))
            return
        if (size, need) in self.needs:
            return
        some = set(self.demanded)
        if need.constant is None:  # which is nothing without a turn
            some |= {turns.loop.some for turns in self.rounds if turns.loop.some is not None}
        if all(test in some or self.in_last_turn(test, need) for test in self.supposed_path):
            self.needs[size, need] = None
        else:
            self.checked(*long_enough(size, need))

    def in_last_turn(self, test: Atom, stop: Poly) -> bool:
        """Tell whether a condition holds in the last turn of a loop that always has as many turns as here."""
        read = list(names(test))
        if len(read) != 1 or stop.constant is None or self.stops.get(read[0]) != stop:
            return False
        return evaluate(test, {read[0]: stop.constant - 1}) is True

    def in_last_turn_too(self, index: Poly) -> bool:
        """Tell whether the loop that an index counts comes here in its last turn, if it does in any."""
        variable = next((name for name in names(index) if name in self.stops), "")
        turns = self.begun.get(variable)
        if turns is None or turns not in self.rounds:
            return True
        changing = {*turns.carried, *turns.loop.changing()}
        for test in self.supposed_path:
            if test in self.demanded or test == turns.loop.some or changing.isdisjoint(names(test)):
                continue
            grows = test.op in (">", ">=") and test.args[0] == single(Atom("name", (variable,)))
            if not (grows and changing.isdisjoint(names(test.args[1]))) and not self.in_last_turn(
                test, self.stops[variable]
            ):
                return False
        return True

    def forget_turns(self) -> None:
        """Forget what is known of a loop's variable that is another one's, too: what is said of it may be either."""
        for variable in self.reused:
            for known in (self.each_of, self.each_in, self.stops, self.limits):
                known.pop(variable, None)

    def needed(self, index: Poly) -> Poly | None:
        """Return how many values a list has to have for an item to be there; None where only each turn tells."""
        if index.constant is not None:
            return constant(index.constant + 1 if index.constant >= 0 else -index.constant)
        turn = next((name for name in names(index) if name in self.stops), "")
        rest = index.plus(single(Atom("name", (turn,))), -1).constant
        if rest is None or (self.begins.get(turn) or 0) + rest < 0:
            return None
        return self.stops[turn].plus(constant(rest))

    def counted_in(self, index: Poly, size: Poly) -> bool:
        """Tell whether a loop only asks for values that a list of so many has."""
        turn = next((name for name in names(index) if name in self.limits), "")
        least, rest = self.begins.get(turn), index.plus(single(Atom("name", (turn,))), -1).constant
        if least is None or rest is None or least + rest < 0:
            return False
        more = self.lowest(size.plus(self.limits[turn], -1))
        return more is not None and more >= rest

    def reads_on(self, index: Poly) -> bool:
        """Tell whether an item is one of later turns, if there are any: without a turn the list may be shorter."""
        return index.constant is None and any(
            (index.plus(single(Atom("name", (turn,))), -1).constant or 0) > 0 for turn in names(index)
        )

    def may_be_empty(self, whole: Atom) -> bool:
        """Tell whether a list, or its first values, may be none."""
        if whole.op == "slice":
            low = self.lowest(whole.args[1])
            return low is None or low < 1
        sizes = {size for size, need in self.needs if (need.constant or 0) > 0}
        return (
            whole not in self.taken_apart
            and length(whole) not in sizes
            and not isinstance(self.hints.get(text(whole)), Dims)
        )

    def unpacked(self, values: tuple[Any, ...]) -> None:
        """Demand that a list has as many values as names are bound to its values."""
        whole, *others = {list_of(value) for value in values}
        if whole is not None and not others and len(values) > 1:
            self.as_long(whole, len(values))

    def as_long(self, whole: Atom, count: int) -> None:
        """Demand that a list that is an argument has so many values."""
        if any(parameter.name == text(whole) for parameter in self.staged.params):
            if self.conditions:
                self.checked(*exactly(whole, count))
            else:
                self.taken_apart[whole] = count

    def as_long_as(self, size: Poly, other: Poly) -> None:
        """Demand that a list has as many values as another."""
        if self.expanded(size) == self.expanded(other) or (size, other) in self.as_many:
            return
        if self.conditions or not (self.known_at_once(size) and self.known_at_once(other)):
            self.checked(*of_one_length(size, other))
        else:
            self.as_many[size, other] = None

    @property
    def conditions(self) -> list[Atom]:
        """The conditions that hold here, but for what is checked."""
        return [test for test in self.path if test not in self.demanded]

    def not_zero(self, divisor: Any, least: int | None = None) -> None:
        """Demand that what is divided by is not 0, or at least so much."""
        whole = self.expanded(term(divisor))
        if isinstance(whole, Poly) and whole.constant is not None:
            return
        if least is not None:
            self.at_least(term(divisor), least, f"a divisor must be at least {least}")
            return
        held = self.each_of.get(text(divisor)) if text(divisor) in self.comprehending else None
        if held is not None:
            self.checked(Atom("not in", (constant(0), held.args[0])), f"{text(held.args[0])} must not hold 0")
            return
        zero = Atom("==", (whole, constant(0)))
        if any(self.denies(self.expanded(test), zero) for test in self.supposed_path):
            return
        self.checked(Atom("!=", (term(divisor), constant(0))), f"{text(divisor)} must not be 0")

    @staticmethod
    def denies(test: Atom, zero: Atom) -> bool:
        """Tell whether a condition holds only where a number is not 0."""
        if test.op == "and":
            return any(Terms.denies(one, zero) for one in test.args)
        value = zero.args[0]
        if test.op not in ("!=", ">", ">=", "<", "<=") or test.args[0] != value:
            return False
        bound = test.args[1].constant if isinstance(test.args[1], Poly) else None
        return bound is not None and not evaluate(Atom(test.op, (constant(0), constant(bound))), {})

    def is_parameter(self, name: str) -> bool:
        """Tell whether a name is a parameter's, which keeps its value to the end."""
        return name in self.emitter.words(self.staged.decl)

    # ---------------------------------------------------------------- local variables

    def assign(self, node: tree.Assign, place: Place) -> None:
        """`w = 4*c`: a local variable, if it is not the same for all."""
        super().assign(node, place)
        made: list[Let] = []
        self.unpacked(
            tuple(place.env.names[self.evaluator.text(t, place.env, place.source)] for t in node.targets)
        )
        for target in node.targets:
            name = self.evaluator.text(target, place.env, place.source)
            value = place.env.names[name]
            own = readable(name)
            if type(value) is tuple and len(value) > 1 and all(map(is_number, value)):
                variable = self.local(own, own=True)
                self.put(Let(variable, value))
                self.hints[variable], self.meaning[variable] = value, term(value)
                place.env.names[name] = Constants(value, Atom("name", (variable,)))
                continue
            if self.unrolling or self.is_parameter(own):  # one of each turn, or read as what was given
                continue
            if own in self.assigned:
                continue
            if own in self.emitter.turning(self.staged.decl):  # which `forward` binds, too
                continue
            if isinstance(value, SymList) and value.whole.op == "each":
                self.put(Let(own, value))
                self.hints[own], self.meaning[own] = tuple(value), self.expanded(value.whole)
                place.env.names[name] = SymList(value, Atom("name", (own,)))
                continue
            if isinstance(value, SymOp):
                place.env.names[name] = self.by_name(value, own, own=True)
                continue
            if not isinstance(value, (int, float, SymBool)) or not symbolic(value) or not self.worth(value):
                continue
            variable = own if own.isidentifier() else self.local("value")
            made.append(Let(variable, value))
            made[-1].told = True
            self.put(made[-1])
            self.meaning[variable] = self.expanded(term(value))
            place.env.names[name] = self.hinted(value, variable)
        lists = {list_of(let.value) for let in made}
        if len(made) == len(node.targets) > 1 and len(lists) == 1 and None not in lists:
            for let in made:
                let.unpacked = tuple(made) if let is made[0] else ()

    def by_name(self, op: SymOp, wanted: str, own: bool = False) -> SymOp:
        """Return an op under a name, if it may be none and is taken by number: it is asked for, and called."""
        atom, numbered = op.whole, False
        while atom.op == "item":
            numbered = numbered or atom.args[1].constant is None
            atom = atom.args[0]
        if not (op.optional and numbered):
            return op
        variable = self.local(wanted, own=own)
        self.put(Let(variable, op))
        self.hints[variable], self.meaning[variable] = concrete(op), self.expanded(op.whole)
        return op.replace(whole=Atom("name", (variable,)))

    def worth(self, value: Any) -> bool:
        """Tell whether a value gets a local variable: it can be computed here, and is no name already."""
        read = names(self.expanded(term(value)))
        if any(n.startswith("?") or n in self.emitter.sizes for n in read):
            return False
        whole = term(value)
        atom = whole.atom if isinstance(whole, Poly) else whole
        if atom is not None and atom.op == "not":
            atom = atom.args[0]
        return atom is None or atom.op != "name"

    def local(self, wanted: str, more: str = "", own: bool = False, also: Iterable[str] = ()) -> str:
        """Return a name for a local variable that nothing here has, nor what is `also` being named.

        The text's `own` is free where it comes.
        """
        taken = {parameter.name for parameter in self.staged.params} | self.emitter.reserved | {*also}
        taken |= {own for incoming in self.staged.inputs for own in incoming.sizes.values()}
        taken |= self.taken_locals
        taken |= set() if own else self.emitter.variables(self.staged.decl)
        candidates = [wanted, *more] if more else [wanted]
        number = 2
        for name in candidates:
            if name not in taken:
                break
        else:
            while f"{wanted}{number}" in taken:
                number += 1
            name = f"{wanted}{number}"
        return name

    @property
    def taken_locals(self) -> set[str]:
        """The names that are bound here."""
        return {*self.meaning, *self.assigned, *self.kept.values(), *self.emitter.words(self.staged.decl)}

    @property
    def assigned(self) -> set[str]:
        """The names of local variables so far."""
        found: set[str] = set()
        stack = [self.staged.items, *self.around, self.items]
        while stack:
            for item in stack.pop():
                if isinstance(item, Let):
                    found.add(item.name)
                elif isinstance(item, Child):
                    found.update(item.asked)
                stack += item.inner()
        return found

    # ---------------------------------------------------------------- sizes

    def input(self, node: tree.Input, place: Place) -> None:
        """`input 3, 224x224`: sizes that no argument gives are those of the net that was compiled."""
        super().input(node, place)
        name = next(reversed(self.inputs))
        data = place.env.tensors[name]
        prefix = "in" if name == "x" else name
        sizes: list[int] = []
        for axis, size in zip(data.shapes[0].axes, data.shapes[0], strict=True):
            own = self.emitter.size_name(self.staged.decl, prefix, axis)
            if axis == "c" or isinstance(size, SymInt):
                sizes.append(size)
                continue
            self.emitter.sizes.add(own)
            self.staged.bound[own] = int(size)
            sizes.append(self.hinted(size, own))
        shape = Shape(*sizes, axes=data.shapes[0].axes)
        self.drafts[self.inputs[name]].shapes = (shape,)
        known = Data(data.wires, (shape,))
        place.env.tensors[name] = known
        flow = place.flow
        assert flow is not None
        place.flow = Data(flow.wires, (*flow.shapes[:-1], shape))
        self.staged.inputs.append(Incoming(name, data.wires[0], shape, {}))

    def measured(self, value: Any) -> Any:
        """Return a comparison of the text; one of sizes is noted, since other sizes may make another net."""
        if (
            isinstance(value, SymBool) and value.test.op == "!="
        ):  # sizes are the same or not: one argument for both
            return opposite(self.measured(opposite(value)))
        result = self.sized(value)
        if isinstance(value, SymBool) and result is not value:
            turning = {*self.turning, *self.templates}
            path = [self.expanded(test) for test in self.supposed_path if test not in self.demanded]
            path = [test for test in path if turning.isdisjoint(names(test))]
            test = self.expanded(value.test)
            if test in self.staged.measured and self.staged.measured[test][1] != tuple(path):
                path = []  # it is asked in two places
            self.staged.measured[test] = result, tuple(path)
        return result

    def sized(self, value: Any) -> Any:
        """Return a comparison; one of sizes is an argument of its own, which the caller knows."""
        if not isinstance(value, SymBool):
            return value
        test = self.expanded(value.test)
        read = names(test)
        if any(name.startswith("?") for name in read):
            raise Fixed("it depends on a size that is not known", value)
        if not any(name in self.emitter.sizes for name in read):
            return value
        if not set(read).isdisjoint(self.turning):
            raise Fixed("a size is compared with what is another number in another turn", value)
        if (
            self.emitter.sizes.issuperset(read) and self.staged.kind == "net"
        ):  # by the sizes, which are numbers here
            return value.value
        if self.staged.kind == "net":
            here = {name: constant(size) for name, size in self.staged.bound.items()}
            return SymBool(value.value, known_right(in_terms_of(test, here)))
        known = next((name for name, other in self.staged.asks.items() if other == test), "")
        if not known:
            known = self.local(
                "same_size" if test.op == "==" else "large" if test.op in (">", ">=") else "small"
            )
            self.staged.params.insert(len(self.staged.asks), Parameter(known, "bool", value.value, MISSING))
            self.staged.asks[known] = test
            self.hints[known] = value.value
        return SymBool(value.value, Atom("name", (known,)))

    def may_stretch(self, a: int, b: int) -> bool:
        """Tell whether one of two sizes may be 1 where the other is not, so that frameworks repeat what is there.

        Where they are not known to be equal it is tried: with small arguments, and sizes until both are larger, since
        no op makes less of more.
        """
        if self.equal(a, b):
            return False
        found: dict[Atom, str] = {}
        x, y = (variables(self.expanded(term(size)), found) for size in (a, b))
        tests = [variables(self.expanded(test), dict(found)) for test in self.path]
        tests = [test for test in tests if set(found.values()).issuperset(names(test))]
        sizes = [name for atom, name in found.items() if self.is_size(atom)]
        near = {side + more for test in (x, y, *tests) for side in compared_with(test) for more in (-1, 0, 1)}
        pools = {name: self.tried(atom, near) for atom, name in found.items() if name not in sizes}
        tries = 0
        for values in product(*pools.values()):
            env = dict(zip(pools, values, strict=True))
            for step in product(range(1, _LARGE if len(sizes) == 1 else _SMALL), repeat=len(sizes)):
                env.update(zip(sizes, step, strict=True))
                tries += 1
                if tries > _TRIES:
                    return True
                try:
                    one, other = evaluate(x, env), evaluate(y, env)
                    if not all(evaluate(test, env) for test in tests):
                        continue
                except (ArithmeticError, ValueError):
                    continue
                except (LookupError, TypeError):
                    return True
                if min(one, other) == 1 < max(one, other):
                    return True
                if min(one, other) > 1 == len(sizes):
                    break
        return False

    def is_size(self, atom: Atom) -> bool:
        """Tell whether an expression is the name of a size of what comes in, or of what a turn or a call makes."""
        if atom.op != "name":
            return False
        name = atom.args[0]
        own = {own for one in self.staged.inputs for axis, own in one.sizes.items() if axis != "c"}
        return name.startswith("?") or name in {*own, *self.emitter.sizes, *self.staged.sized}

    def tried(self, atom: Atom, near: Iterable[int]) -> Sequence[Any]:
        """Return values that an expression may have."""
        hint = self.hints.get(atom.args[0]) if atom.op == "name" else None
        if atom.op in ("is", "is none", "in", "==") or isinstance(hint, bool):
            return False, True
        if isinstance(hint, float):
            return 0.5, 1.0, 2.0
        low = int(max(self.lowest(atom) or 0, 0))
        return sorted({*range(low, low + 5), *(number for number in near if number > low)})

    # ---------------------------------------------------------------- depth schedules

    def ramped(self, node: tree.CallExpr, values: Mapping[str, Any]) -> Any:
        """Return a depth schedule's number here: what it rises to, times the turn, through the turns."""
        if self.staged.kind != "net":
            return self.asked_ramp(node, values)
        known = next((s for s in self.schedules if s.node is node), None)
        if known is None:
            number = "" if not self.schedules else str(len(self.schedules) + 1)
            known = Schedule(node, f"step{number}", f"steps{number}", bool(values["endpoint"]))
            self.schedules.append(known)
        made = named(0, known.variable) + self.counted.count(known)
        self.counted.append(known)
        start, stop = values["start"], values["stop"]
        height = arithmetic("-", stop, start) if symbolic(start) or start else stop
        rise = arithmetic("*", float(height) if not symbolic(height) else height, made)
        value = arithmetic("/", rise, named(1, known.total))
        if symbolic(start) or start:
            value = arithmetic("+", start, value)
        return SymFloat(float(start), value.atom)

    def asked_ramp(self, node: tree.CallExpr, values: Mapping[str, Any]) -> Any:
        """Return a depth schedule's number in a block: an argument, which the net's class counts for."""
        if self.loops or self.sided:
            raise Fixed("a ramp under a condition or in a loop of a block")
        name = self.local("rate")
        self.staged.params.append(Parameter(name, "float", float(values["start"]), MISSING))
        self.staged.ramps[name] = (node, {key: self.expanded_value(value) for key, value in values.items()})
        return self.hinted(float(values["start"]), name)

    def expanded_value(self, value: Any) -> Any:
        """Return a number over the class's arguments alone."""
        if isinstance(value, SymFloat):
            return SymFloat(float(value), self.expanded(value.atom))
        if not isinstance(value, SymInt):
            return value
        own = self.expanded(value.poly)
        return SymInt(int(value), own if isinstance(own, Poly) else single(own))


def variables(value: Any, found: dict[Atom, str]) -> Any:
    """Return an expression with a name for all that is no arithmetic; which, is put into `found`."""
    if isinstance(value, Poly):
        return value.mapped(lambda atom: variables(atom, found))
    if not isinstance(value, Atom) or value.op == "const":
        return value
    if value.op in ("!=", "is not", "is not none", "not in"):
        return Atom("not", (variables(negated(value), found),))
    if value.op in COMPARISONS and not all(isinstance(side, Poly) for side in value.args):
        return Atom("name", (found.setdefault(value, f"{len(found)}"),))
    if value.op in (*COMPARISONS, *_ARITHMETIC) or value.args[:1] in (("min",), ("max",)):
        return Atom(value.op, tuple(variables(part, found) for part in value.args))
    return Atom("name", (found.setdefault(value, f"{len(found)}"),))


def compared_with(value: Any) -> Iterator[int]:
    """Yield the numbers with which an expression compares others."""
    if isinstance(value, Poly):
        for _, atoms in value.parts.values():
            for atom in atoms:
                yield from compared_with(atom)
    elif isinstance(value, Atom):
        for part in value.args:
            number = part.constant if isinstance(part, Poly) and value.op in COMPARISONS else None
            yield from compared_with(part) if number is None else (number,)


def least_of(lows: Iterable[float | None]) -> float | None:
    """Return the least of some numbers; None where one is not known."""
    found = list(lows)
    return None if None in found else min((low for low in found if low is not None), default=None)


def written(whole: Any) -> tuple[Term, ...] | None:
    """Return the items of a list that is written out."""
    if whole.op == "tuple":
        items: tuple[Term, ...] = whole.args
        return items
    is_list = whole.op == "const" and isinstance(whole.args[0], tuple)
    return tuple(map(term, whole.args[0])) if is_list else None


def items_of(value: Any) -> int:
    """Return how many items a list, or table, has here."""
    return len(getattr(value, "rows", value))


def list_in(size: Poly) -> Atom | None:
    """Return the list whose length a number is."""
    atom = size.atom
    return atom.args[1] if atom is not None and atom.args[0] == "len" else None


def several(count: int) -> str:
    """Return how many values there are, as a text."""
    return f"{count} value{'s' if count != 1 else ''}"


def long_enough(size: Poly, need: Poly) -> tuple[Atom, str]:
    """Return the test that a list is as long as it has to be, and what is said where it is not."""
    own, other = list_in(size), list_in(need)
    if own is not None:
        wanted = f"{{{text(need)}}} values" if need.constant is None else several(need.constant)
        said = f"{text(own)} needs at least {wanted}, not {{{text(size)}}}"
        return Atom(">=", (size, need)), said
    if need.constant is not None:
        return Atom(">=", (size, need)), f"{text(size)} must be at least {text(need)}, not {{{text(size)}}}"
    said = f"{text(other)} has" if other is not None else f"{text(need)} must be"
    more = " values" if other is not None else ""
    return Atom("<=", (need, size)), f"{said} at most {text(size)}{more}, not {{{text(need)}}}"


def untold(size: int) -> SymInt:
    """Return a size that only the class knows."""
    return SymInt(int(size), single(Atom("name", ("?",))))


def exactly(whole: Atom, count: int) -> tuple[Atom, str]:
    """Return the test that a list has so many values, and what is said where it has not."""
    size = length(whole)
    return Atom("==", (size, constant(count))), f"{text(whole)} needs {several(count)}, not {{{text(size)}}}"


def of_one_length(size: Poly, other: Poly) -> tuple[Atom, str]:
    """Return the test that a list has as many values as another, and what is said where it has not."""
    first, second = list_in(size), list_in(other)
    said = f"{text(other)} must be {text(size)}, not {{{text(other)}}}"
    if first is not None and second is not None:
        said = f"{text(second)} has {{{text(other)}}} values and {text(first)} {{{text(size)}}}"
    return Atom("==", (other, size)), said


def unbounded(count: Poly) -> Poly:
    """Return the number of turns that a count `max(turns, 0)` is of, which is at least 1 where the count is."""
    atom = count.atom
    turns: Poly = atom.args[1] if atom is not None and atom.args[0] == "max" else count
    return turns


def with_hint(size: Any, hint: int) -> int:
    """Return a size with another concrete value."""
    return SymInt(int(hint), size.poly) if isinstance(size, SymInt) else size


def replaced(value: Any, known: Mapping[str, Any]) -> Poly:
    """Return the expression of an int with some names replaced."""
    found = in_terms_of(value, known)
    return found if isinstance(found, Poly) else single(found)


def _holds(test: Any) -> bool:
    """Tell whether a comparison holds whatever its names are."""
    if test.op not in COMPARISONS or not all(isinstance(side, Poly) for side in test.args):
        return False
    difference = test.args[0].plus(test.args[1], -1).constant
    return difference is not None and compare(test.op, difference, 0) is True

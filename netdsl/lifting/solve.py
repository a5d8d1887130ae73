"""The numbers of a class: which are parameters, and what the others follow from.

Every column of numbers that are not all equal, and every condition, needs an expression. Which numbers are parameters
is what makes the sum of all lengths least: those of the expressions, of the parameters, and of what calls give them.
"""

from __future__ import annotations

import operator
import re
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from functools import cached_property, partial
from itertools import combinations, pairwise, permutations, product
from typing import Any, NamedTuple

from netdsl.elaborate.arguments import type_name
from netdsl.elaborate.names import LIKE_NUMBERS, reserved_name
from netdsl.elaborate.values import MISSING
from netdsl.ir.types import Dims
from netdsl.lifting.items import Column, Item, OpWord, Word, everything, op_word
from netdsl.lifting.overlay import OP
from netdsl.lifting.rows import Rows, Unsolvable
from netdsl.lifting.words import expression, word, written
from netdsl.ops import catalogue
from netdsl.symbolic import Atom, make_divisible, negated
from netdsl.syntax.tokens import keywords

ROLES = {"channels": "c", "kernel": "k", "first": "stride", "p": "drop", OP: "act", "count": "n"}
PLAIN = ("c", "k", "n", "heads")
"""Roles of parameters that have no default: a call says them."""
GENERAL = ("channels", "stride")
"""What rather follows from a parameter than is a number, in a layer that only some instances have."""
USUALLY = 2.0
"""The length of `stride != 1 or x.c != c`, where a shortcut changes what it passes on, and of its opposite."""
SIZES = {("split", "parts", 0): "c", ("split", "parts", 1): "more"}
DIVISORS = (8, 4, 16)
MANY = 8
"""Beyond so many changes of a number from call to call it is no dearer."""
NEW_CONDITION = 3.0
"""How much longer a condition is that a call has to give by a name of ours, than one that follows from numbers."""
SWAPPED = 24
"""Up to how many candidates are also tried in each other's place."""
SHORT = 2.5
"""The length below which an expression may be what somebody wrote."""
OWN = 0.3
"""How much shorter a condition is that is about numbers of what it is for."""
SMALL = 8
"""Beyond it a number is a width: that one agrees with a condition is an accident."""
FEW = 6
"""How many values of a number a condition may tell apart."""
MULTIPLES = 4
"""How many ratios to what comes in are still few."""

ROUNDINGS: list[tuple[tuple[Any, ...], Callable[[float], int]]] = [
    (("int",), int),
    (("round",), round),
    *[(("make_divisible", by), partial(make_divisible, divisor=by)) for by in DIVISORS],
]
"""How widths are made of numbers that are no whole ones."""
COMPARED: dict[str, Callable[[int, int], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
}
"""How places in a list are told apart."""
Typed = tuple[str, Column]


class Parameter:
    """A candidate: its numbers, and what it is called if it is one."""

    role = ""
    """What the number is for, where that is known."""

    def __init__(self, name: str, column: Column, order: Sequence[int], known: bool, wanted: bool) -> None:
        """`order` is that of the calls; `wanted`: the class has arguments that are known, which are better names."""
        self.name = name
        self.column = column
        self.known = known
        """Whether the constructor calls it so."""
        self.kind = _kind(column)
        given = [column[at] for at in order if column[at] is not MISSING]
        changes = sum(a != b for a, b in pairwise(given))
        self.cost = (1.5 if known else 5.0 if wanted else 2.0) + 0.5 * min(changes, MANY)
        self.cost += (-1.0 if known else NEW_CONDITION) * (self.kind == "bool")

    def default(self) -> Any:
        """Return the value that most calls give, MISSING if it is one that every call should say."""
        if self.role in PLAIN:
            return MISSING
        if self.name.startswith("stride") and 1 in self._counts:
            return 1
        most, times = self._counts.most_common(1)[0]
        wide = type(most) is int and most > SMALL
        return most if 2 * times > self._counts.total() and not wide else MISSING

    @cached_property
    def _counts(self) -> Counter[Any]:
        """How many calls give each value."""
        return Counter([value for value in self.column if value is not MISSING])


class Rule(NamedTuple):
    """An expression."""

    whole: Atom
    """In which parameters have their numbers, in braces, for names."""
    bases: frozenset[int]
    """The parameters in it."""
    cost: float
    """Its length."""

    @property
    def text(self) -> str:
        """What it is written as, but for the names of parameters."""
        return expression(self.whole)


class Class:
    """A body of a class with its parameters, solved."""

    def __init__(
        self,
        items: Sequence[Item],
        features: Mapping[str, Column],
        args: Sequence[Mapping[str, Any]],
        order: Sequence[int],
        makes: Column = (),
        sizes: Mapping[str, Column] = {},
        rows: Rows | None = None,
        lists: Sequence[Sequence[int]] = (),
    ) -> None:
        """`features` are what is known of what comes in, `args` what each constructor was given, by instance.

        `order` is that in which the net calls the instances, `makes` the channels of what each makes, and `sizes`
        are those of maps which may be as large as each other, or not. `rows` are those of all columns of `items`
        where there are loops over `lists` of maps, of which these are the channels.
        """
        self.rows = rows = Rows(tuple(range(len(args))), {}) if rows is None else rows
        self.lists = lists
        self.makes = rows.column(makes)
        self.sizes = {name: rows.column(column) for name, column in sizes.items()}
        self.usual: dict[Atom, int] = {}
        """The conditions that a shortcut usually has: 0 for that of the stride, 1 for that of the channels."""
        self.first = rows.first
        self.order = [self.first[at] for at in order]
        self.items = items
        self.count = len(rows.instances)
        self.features = {
            name: rows.column(column)
            for name, column in features.items()
            if all(type(value) is int for value in column)
        }
        for name, turns in rows.turns.items():
            pairs = zip(rows.instances, turns, strict=True)
            self.features[f"x[{name}].c"] = tuple([lists[one][at] for one, at in pairs])
        self.args = rows.column(tuple(args))
        self.ops = {one.name for one in everything(items) if one.kind == "call"}
        for one in everything(items):
            self.ops |= {
                value.op for column in one.values.values() for value in column if isinstance(value, OpWord)
            }
        self.candidates: list[Parameter] = []
        self.indices: set[int] = set()
        """The candidates that are places in a list."""
        self.chosen: list[Parameter] = []
        self.rules: dict[Typed, Rule] = {}
        self.called: Mapping[str, str] = {}
        """What parameters are called in expressions, by what stands for them."""
        self.ratios: set[Fraction] = {Fraction(1)}
        self._solve()

    # ---------------------------------------------------------------- what there is to say

    def _columns(self) -> Iterator[tuple[str, Item, Column]]:
        for item in everything(self.items):
            for key, column in item.values.items():
                if not any(isinstance(value, Word) for value in column):
                    for number, one in enumerate(elements(column)):
                        some = MISSING in one and any(value is not MISSING for value in one)
                        if not _constant(one) or (some and key in GENERAL):
                            yield SIZES.get((item.name, key, number), key), item, one

    def _conditions(self, items: Sequence[Item], around: Column) -> Iterator[tuple[Item, Column]]:
        for item in items:
            if item.present != around:
                yield item, tuple([p if a else MISSING for p, a in zip(item.present, around, strict=True)])
            yield from self._conditions(item.kids, item.present)

    def _solve(self) -> None:
        found = list(self._columns())
        targets: dict[Typed, str] = {}
        for key, item, column in found:
            if _kind(column) == "":
                raise Unsolvable(key)
            role = ROLES.get(key, key)
            if role == "init":
                role = f"{item.label or item.name}_init"
            targets.setdefault((_kind(column), column), role)
        self.targets = targets
        every = (True,) * self.count
        conditions: dict[Typed, str] = {}
        within: dict[Typed, list[Item]] = {}
        for item, column in self._conditions(self.items, every):
            conditions.setdefault(("when", column), _name_of(item))
            within.setdefault(("when", column), []).extend(item.all())
        self.conditions = conditions
        if not targets and not conditions:
            return
        self._find_candidates()
        options: dict[Typed, list[Rule]] = {}
        whole = {typed: self._whole(typed) for typed in targets}
        for typed, role in targets.items():
            if whole[typed] != typed:
                continue
            options[typed] = list(self._expressions(typed[1], role))
            for rule in options[typed]:
                match = re.match(r"(\d+)\*\{", rule.text)
                if match:
                    self.ratios.add(Fraction(int(match[1])))
        atoms = list(self._atoms())
        for typed in conditions:
            own = frozenset(at for rule in self._short(within[typed], options) for at in rule.bases)
            options[typed] = [
                rule._replace(cost=rule.cost - OWN * bool(rule.bases and rule.bases <= own))
                for rule in self._tests(typed[1], atoms)
            ]
        chosen = self._choose(options)
        names = self._names(chosen)
        self.called = {f"{{{at}}}": name for at, name in names.items()}
        for typed, rules in options.items():
            fit = [rule for rule in rules if rule.bases <= chosen.keys()]
            if not fit:
                raise Unsolvable(typed[0])
            rule = min(fit, key=lambda one: one.cost)
            self.rules[typed] = rule
        self.rules |= {typed: self.rules[one] for typed, one in whole.items()}
        self._oppose()
        for at in sorted(chosen):
            self.candidates[at].name = names[at]
        self.chosen = sorted((self.candidates[at] for at in chosen), key=self._order)

    def _oppose(self) -> None:
        """Let what is there where another is not have the opposite condition: the shorter one's.

        Raises:
            Unsolvable: Two items of one label are not so, and both might be there.
        """
        every = (True,) * self.count
        for (kind, column), rule in self.rules.items() if self.conditions else ():
            other = kind, _each(column, lambda v: not v)
            if kind == "when" and other in self.rules and rule.cost <= self.rules[other].cost:
                if not _around(rule.text, self.rules[other].text):
                    self.rules[other] = rule._replace(whole=negated(rule.whole))
        labels: dict[str, list[Column]] = {}
        for item, column in self._conditions(self.items, every):
            if item.label and item.kind in ("call", "box"):
                labels.setdefault(item.label, []).append(column)
        for columns in labels.values():
            first, *others = columns
            if len(others) > 1 or any(_each(one, lambda v: not v) != first for one in others):
                raise Unsolvable("when")

    def _short(self, items: Sequence[Item], options: Mapping[Typed, Sequence[Rule]]) -> Iterator[Rule]:
        """Yield the short expressions of the numbers of items."""
        for column in (column for item in items for column in item.values.values()):
            for one in elements(column):
                typed = _kind(one), one
                rules = options.get(self._whole(typed) if typed in self.targets else typed, ())
                yield from (rule for rule in rules if rule.cost < SHORT)

    def _whole(self, typed: Typed) -> Typed:
        """Return numbers that every instance has and that are those of some instances, such as a shortcut's width."""
        kind, column = typed
        if MISSING not in column:
            return typed
        full = (one for one in self.targets if one[0] == kind and MISSING not in one[1])
        return next((one for one in full if _agrees(one[1], column)), typed)

    def _order(self, parameter: Parameter) -> tuple[bool, int]:
        at = self.candidates.index(parameter)
        if parameter.default() is not MISSING:
            return True, at
        return False, {"dims": -1, "int": at}.get(parameter.kind, len(self.candidates))

    def _find_candidates(self) -> None:
        known: dict[Column, str] = {}
        names = dict.fromkeys(name for args in self.args for name in args)
        sizes = {column for kind, column in self.targets if kind == "dims"}
        for name in names:
            values = [_plain(args.get(name, MISSING)) for args in self.args]
            column = tuple([square(value) for value in values])
            if MISSING in column or not any(
                _agrees(column, size) for size in sizes
            ):  # a kernel may be one number
                column = tuple(values)
            if MISSING in column or _constant(column) or not _usable(name, self.ops):
                continue
            if _kind(column) in ("int", "float", "bool", "dims"):
                known.setdefault(column, name)
        for name in names:  # what is none in some instances
            column = tuple([name in args and args[name] is not None for args in self.args])
            if any(args.get(name, MISSING) is None for args in self.args) and _usable(name, self.ops):
                known.setdefault(column, name)
        for column, name in known.items():
            self.candidates.append(Parameter(name, column, self.order, True, True))
        for own, role in self.rows.indices([column for _, column in self.conditions]):
            self.candidates.append(Parameter(role, own, self.order, False, bool(known)))
            self.indices.add(len(self.candidates) - 1)
        for (_, column), role in (*self.targets.items(), *self.conditions.items()):
            whole = self.rows.whole(column)
            if whole is not None and whole not in known and not _constant(whole):
                self.candidates.append(Parameter(role, whole, self.order, False, bool(known)))
        drops = [column for (_, column), role in self.targets.items() if role == ROLES["p"]]
        for one in self.candidates:
            role = self.targets.get((one.kind, one.column), "")
            one.role = (
                ROLES["p"] if any(_agrees(one.column, drop) for drop in drops) else ROLES.get(role, role)
            )
        seen = {one.column for one in self.candidates}
        for (kind, column), role in self.targets.items():
            if kind == "int" and ROLES.get(role, role) == "c":
                for feature in self.features.values():
                    ratio = _ratio(column, feature)
                    if ratio is not None and ratio not in seen and self.rows.whole(ratio) == ratio:
                        seen.add(ratio)
                        self.candidates.append(Parameter("expand", ratio, self.order, False, bool(known)))

    # ---------------------------------------------------------------- expressions

    def _bases(self) -> Iterator[tuple[Atom, Column, frozenset[int], float]]:
        """Yield what an expression may name: that, its numbers, the parameters in it, and a length."""
        for at, one in enumerate(self.candidates):
            yield _parameter(at), one.column, frozenset((at,)), 1.0
        for at in self.indices:
            pairs = zip(self.rows.instances, self.candidates[at].column, strict=True)
            channels = tuple([self.lists[one][place] for one, place in pairs])
            yield (
                Atom("attr", (Atom("item", (word("x"), _parameter(at))), "c")),
                channels,
                frozenset((at,)),
                1.2,
            )
        for name, column in (*self.features.items(), *self.rows.turns.items()):
            if not _constant(column):
                yield word(name), column, frozenset(), 1.0

    def _expressions(self, target: Column, role: str) -> Iterator[Rule]:
        cares = [at for at, value in enumerate(target) if value is not MISSING]
        if _constant(target):  # of what few instances have
            value = target[cares[0]]
            wide = type(value) is int and value > SMALL
            yield Rule(word(written(value)), frozenset(), 3.0 if wide else 1.5)
        bases = list(self._bases())
        kind = _kind(target)
        few = len({target[at] for at in cares}) <= 2
        for whole, column, used, cost in bases:
            if used and _kind(column) != kind and not (kind == "float" and _kind(column) == "int"):
                continue
            if all(column[at] == target[at] and column[at] is not MISSING for at in cares) and (
                used or not role.startswith(("stride", "n", "dilation"))
            ):
                yield Rule(whole, used, cost)
        if kind == "int":
            yield from self._of_turns(target, cares)
        if kind != "int" or role.startswith(("stride", "dilation", "first")) or role == "n":
            return
        numbers = [
            base
            for base in bases
            if all(type(base[1][at]) is int and base[1][at] > 0 for at in cares)
            and base[1] != target
            and not any(self.candidates[at].name.startswith(("stride", "dilation")) for at in base[2])
        ]
        wanted = [target[at] for at in cares]
        if min(wanted) < 1:
            return
        for whole, column, used, _ in numbers:
            own = [column[at] for at in cares]
            penalty = (0.5 if used else 0.0) + (1.0 if few and not used else 0.0)
            yield from _scaled(whole, own, wanted, used, penalty)
        for (a, one, used, _), (b, two, more, _) in combinations(numbers, 2):
            if not used and not more:
                continue
            own = [one[at] * two[at] for at in cares]
            if own == wanted:
                yield Rule(Atom("*", (a, b)), used | more, 3.2 if used and more else 2.1)
            else:
                yield from _scaled(Atom("*", (a, b)), own, wanted, used | more, 2.5, rounding=False)
            for x, y, (left, right) in ((a, b, (one, two)), (b, a, (two, one))):
                if all(left[at] // right[at] == target[at] for at in cares):
                    yield Rule(Atom("//", (x, y)), used | more, 3.2)
            if all(one[at] + two[at] == target[at] for at in cares):
                yield Rule(Atom("+", (a, b)), used | more, 3.6)
        ratios = [base for base in bases if base[2] and _kind(base[1]) == "float"]
        for (a, ratio, used, _), (b, column, more, _) in product(ratios, numbers):
            if any(ratio[at] is MISSING for at in cares):
                continue
            own = [ratio[at] * column[at] for at in cares]
            for (name, *further), function in ROUNDINGS:
                if [function(value) for value in own] == wanted and not few:
                    cost = 4.4 if own == wanted else 4.6 if function in (int, round) else 4.5
                    yield Rule(_call(name, Atom("*", (a, b)), *further), used | more, cost)

    def _places(self) -> Iterator[tuple[Atom, Column, frozenset[int]]]:
        """Yield the numbers that are places in a list: those of turns, and some parameters."""
        for name, column in self.rows.turns.items():
            yield word(name), column, frozenset()
        for at in self.indices:
            yield _parameter(at), self.candidates[at].column, frozenset((at,))

    def _of_turns(self, target: Column, cares: Sequence[int]) -> Iterator[Rule]:
        """Yield expressions of the numbers of turns: how far they are from others, and powers of two."""
        wanted = [target[at] for at in cares]
        for place, column, used in self._places():
            factors = {Fraction(value, 2 ** column[at]) for value, at in zip(wanted, cares, strict=True)}
            (factor,) = factors if len(factors) == 1 else (Fraction(1, 2),)
            if not _constant([column[at] for at in cares]) and factor.denominator == 1:
                yield Rule(_times(int(factor), Atom("**", (2, place))), used, 3.0)
        for (a, one, used), (b, two, more) in permutations(self._places(), 2):
            apart = [one[at] - two[at] for at in cares]
            if apart == wanted:
                yield Rule(Atom("-", (a, b)), used | more, 2.6)
            elif [number - 1 for number in apart] == wanted:
                yield Rule(Atom("-", (Atom("-", (a, b)), 1)), used | more, 3.0)
            elif min(apart) >= 0 and [2**number for number in apart] == wanted:
                yield Rule(Atom("**", (2, Atom("-", (a, b)))), used | more, 3.2)

    # ---------------------------------------------------------------- conditions

    def _atoms(self) -> Iterator[tuple[Atom, Column, frozenset[int], float]]:
        """Yield simple conditions, and whether they hold in each instance."""
        channels = [(word(name), column) for name, column in self.features.items()]
        for at, one in enumerate(self.candidates):
            whole, used, column = _parameter(at), frozenset((at,)), one.column
            if one.kind == "bool":
                yield whole, column, used, 1.2
                yield Atom("not", (whole,)), _each(column, lambda v: not v), used, 1.6
                continue
            if one.name == "stride":
                self.usual |= {Atom(sign, (whole, word("1"))): 0 for sign in ("==", "!=")}
            if (
                one.kind in ("int", "float", "dims", "pad") and one.role != ROLES["p"]
            ):  # that may be a schedule
                values = list(dict.fromkeys(v for v in column if v is not MISSING))
                if len(values) <= FEW:
                    for value in values:
                        dear = (
                            0.0
                            if value in (0, 1, (1, 1))
                            else 1.0
                            if one.kind != "int" or value <= SMALL
                            else 4.0
                        )
                        yield (
                            Atom("==", (whole, word(written(value)))),
                            _each(column, lambda v, w=value: v == w),
                            used,
                            2.5 + dear,
                        )
                        yield (
                            Atom("!=", (whole, word(written(value)))),
                            _each(column, lambda v, w=value: v != w),
                            used,
                            2.4 + dear,
                        )
                if one.kind != "dims" and one.kind != "pad" and 0 in values:
                    yield Atom(">", (whole, 0)), _each(column, lambda v: v > 0), used, 2.3
            if one.kind == "int":
                for name, feature in channels:
                    for ratio in sorted(self.ratios):
                        scaled = _each(column, lambda v, r=ratio: v * r)
                        side = _times(int(ratio), whole)
                        pairs = list(zip(feature, scaled, strict=True))
                        equal = tuple([MISSING if b is MISSING else a == b for a, b in pairs])
                        cost = 3.0 + 0.5 * (ratio != 1)
                        if self.makes and scaled == self.makes:
                            self.usual |= {Atom(sign, (name, side)): 1 for sign in ("==", "!=")}
                        yield Atom("==", (name, side)), equal, used, cost
                        yield Atom("!=", (name, side)), _each(equal, lambda v: not v), used, cost
        ints = [(at, one) for at, one in enumerate(self.candidates) if one.kind == "int"]
        for (at, one), (also, two) in combinations(ints, 2):
            pairs = list(zip(one.column, two.column, strict=True))
            equal = tuple([MISSING if MISSING in pair else pair[0] == pair[1] for pair in pairs])
            both = _parameter(at), _parameter(also)
            yield Atom("==", both), equal, frozenset((at, also)), 3.0
            yield Atom("!=", both), _each(equal, lambda v: not v), frozenset((at, also)), 3.0
        for (one_, a, some), (two_, b, others) in combinations(self._places(), 2):
            for sign, holds in COMPARED.items():
                column = tuple([holds(x, y) for x, y in zip(a, b, strict=True)])
                yield Atom(sign, (one_, two_)), column, some | others, 2.5
        for (first, a), (second, b) in combinations(self.sizes.items(), 2):
            alike = tuple([x == y for x, y in zip(a, b, strict=True)])
            yield Atom("==", (word(first), word(second))), alike, frozenset(), 3.0
            yield Atom("!=", (word(first), word(second))), _each(alike, lambda v: not v), frozenset(), 3.0
        for name, feature in channels:
            values = list(dict.fromkeys(feature))
            for value in values if len(values) <= 3 else ():
                yield Atom("==", (name, value)), _each(feature, lambda v, w=value: v == w), frozenset(), 7.0
                yield Atom("!=", (name, value)), _each(feature, lambda v, w=value: v != w), frozenset(), 7.0

    def _tests(
        self, target: Column, atoms: Sequence[tuple[Atom, Column, frozenset[int], float]]
    ) -> Iterator[Rule]:
        cares = [at for at, value in enumerate(target) if value is not MISSING]
        wanted = tuple([target[at] for at in cares])
        for at, one in enumerate(self.candidates):
            if one.column == target:
                yield Rule(_parameter(at), frozenset((at,)), 1.0)
        parts = []
        for whole, column, used, cost in atoms:
            own = tuple([column[at] for at in cares])
            if MISSING in own:
                continue
            usual = self.usual.get(whole)
            if own == wanted:
                yield Rule(whole, used, cost)
            if not _constant(own) and (own != wanted or usual is not None) and used:
                parts.append((whole, own, used, cost, usual))
        for junction, need in (("or", True), ("and", False)):
            # each part of an `or` holds only where the whole does; of an `and` wherever it does
            fit = [
                part
                for part in parts
                if all((w or not o) if need else (o or not w) for o, w in zip(part[1], wanted, strict=True))
            ]
            for left, right in combinations(fit[:60], 2):
                both = [(a or b) if need else (a and b) for a, b in zip(left[1], right[1], strict=True)]
                if tuple(both) == wanted:
                    first, second = sorted((left, right), key=lambda part: part[3])
                    signs = {left[0].op, right[0].op}
                    both_usual = {left[4], right[4]} == {0, 1} and signs == {"!=" if need else "=="}
                    cost = USUALLY if both_usual else left[3] + right[3] + 0.5
                    yield Rule(Atom(junction, (first[0], second[0])), left[2] | right[2], cost)

    # ---------------------------------------------------------------- the choice

    def _choose(self, options: Mapping[Typed, Sequence[Rule]]) -> dict[int, Parameter]:
        """Return the parameters with which all is shortest: from all of them, one after another is left out."""
        best_of: list[dict[frozenset[int], float]] = []
        for rules in options.values():
            least: dict[frozenset[int], float] = {}
            for rule in rules:
                least[rule.bases] = min(rule.cost, least.get(rule.bases, rule.cost))
            best_of.append(least)

        def length(these: set[int]) -> float:
            total = float(sum(self.candidates[at].cost for at in these))
            for least in best_of:
                total += min((cost for bases, cost in least.items() if bases <= these), default=1e6)
            return total

        every = range(len(self.candidates))
        chosen = set(every)
        best = length(chosen)
        while True:
            trials: list[tuple[float, tuple[int, ...]]] = [(length(chosen ^ {at}), (at,)) for at in every]
            if len(every) <= SWAPPED:
                outside = [at for at in every if at not in chosen]
                trials += [(length(chosen ^ {a, b}), (a, b)) for a in chosen for b in outside]
            shortest = min(trials, default=(best, ()), key=lambda one: (one[0], [-at for at in one[1]]))
            if shortest[0] >= best:
                break
            best, changed = shortest
            chosen ^= set(changed)
        return {at: self.candidates[at] for at in chosen}

    def _names(self, chosen: Mapping[int, Parameter]) -> dict[int, str]:
        """Return what the parameters are called, each otherwise."""
        wanted = {
            at: one.name if _usable(one.name, self.ops) else _other(one.name, self.ops)
            for at, one in chosen.items()
        }
        names: dict[int, str] = {}
        for at in sorted(chosen):
            name = wanted[at]
            if list(wanted.values()).count(name) > 1 or name in names.values():
                number = 1
                while f"{name}{number}" in (*names.values(), *wanted.values()):
                    number += 1
                name = f"{name}{number}"
            names[at] = name
        return names

    # ---------------------------------------------------------------- what it comes to

    def head(self) -> list[str]:
        """Return the parameters as a block declares them."""
        found = []
        for one in self.chosen:
            default = one.default()
            plain = {"int": "", "op": ": op"}.get(one.kind, f": {one.kind}")
            if default is MISSING:
                found.append(f"{one.name}{plain}")
            else:
                kind = plain if one.kind in ("float", "pad", "list") or default is None else ""
                shown = default if one.kind == "op" and default is not None else written(default)
                found.append(f"{one.name}{kind} = {shown}")
        return found

    def values(self, at: int) -> dict[str, Column]:
        """Return what the call of an instance gives the parameters, MISSING for what does not matter."""
        found: dict[str, Column] = {}
        for one in self.chosen:
            value = one.column[self.first[at]]
            if one.kind == "op" and type(value) is str:
                value = op_word(value)
            found[one.name] = (value,)
        return found

    def said(self, column: Column, key: str) -> str:
        """Return the expression of an argument's column, "" of one that is the same everywhere."""
        if _constant(column) and key not in GENERAL:
            return ""
        parts = elements(column)
        if parts[0] is not column:
            if all(map(_constant, parts)):
                return ""
            return f"[{', '.join(self.said(one, key) or written(_first(one)) for one in parts)}]"
        rule = self.rules.get((_kind(column), column))
        return expression(rule.whole, self.called) if rule is not None else ""

    def when(self, item: Item, around: Column) -> str:
        """Return the condition of an item in what has one of its own, "" for none."""
        if item.present == around:
            return ""
        column = tuple([p if a else MISSING for p, a in zip(item.present, around, strict=True)])
        return expression(self.rules["when", column].whole, self.called)


def _parameter(at: int) -> Atom:
    """Return what stands for a parameter in expressions, until it has a name."""
    return word(f"{{{at}}}")


def _call(function: str, *args: Any) -> Atom:
    return Atom("call", (function, *args))


def _times(factor: int, whole: Atom) -> Atom:
    """Return a product that begins with a number."""
    if factor == 1:
        return whole
    if whole.op == "*":
        return Atom("*", (_times(factor, whole.args[0]), whole.args[1]))
    return Atom("*", (factor, whole))


def _scaled(
    whole: Atom,
    own: Sequence[int],
    wanted: Sequence[int],
    used: frozenset[int],
    extra: float,
    rounding: bool = True,
) -> Iterator[Rule]:
    """Yield expressions of numbers that are a fixed part of others."""
    ratio = Fraction(wanted[0], own[0])
    if all(a * ratio == b for a, b in zip(own, wanted, strict=True)):
        if ratio.denominator == 1 and ratio != 1:
            yield Rule(_times(ratio.numerator, whole), used, 2.2 + extra)
        elif ratio.numerator == 1 and ratio != 1:
            yield Rule(Atom("//", (whole, ratio.denominator)), used, 2.3 + extra)
        elif ratio != 1:
            yield Rule(Atom("//", (_times(ratio.numerator, whole), ratio.denominator)), used, 3.4 + extra)
        return
    if not rounding or len(set(wanted)) < 2:
        return
    for part in (2, 4, 8, 16, 32):
        if all(max(1, a // part) == b for a, b in zip(own, wanted, strict=True)):
            yield Rule(_call("max", 1, Atom("//", (whole, part))), used, 3.4 + extra)
        if all(a // part == b for a, b in zip(own, wanted, strict=True)):
            yield Rule(Atom("//", (whole, part)), used, 2.3 + extra)
        for divisor in DIVISORS:
            if all(make_divisible(a // part, divisor) == b for a, b in zip(own, wanted, strict=True)):
                yield Rule(_call("make_divisible", Atom("//", (whole, part)), divisor), used, 4.2 + extra)
    for factor in (2, 3, 4, 6):
        for divisor in DIVISORS:
            if all(make_divisible(factor * a, divisor) == b for a, b in zip(own, wanted, strict=True)):
                yield Rule(_call("make_divisible", _times(factor, whole), divisor), used, 4.2 + extra)


def _ratio(column: Column, feature: Column) -> Column | None:
    """Return how many times as wide as what comes in something is, if that is a few whole numbers."""
    pairs = list(zip(column, feature, strict=True))
    if any(a is not MISSING and (a < b or a % b) for a, b in pairs):
        return None
    # what is not there is as wide as what comes in, so that its condition can say so
    found = tuple([1 if a is MISSING else a // b for a, b in pairs])
    return found if 1 < len(set(found)) <= MULTIPLES and 2 * len(set(found)) <= len(found) else None


def elements(column: Column) -> list[Column]:
    """Return the columns of the elements of lists that are equally long, or the column itself."""
    lists = [value for value in column if value is not MISSING]
    if not all(type(value) is tuple for value in lists) or len(set(map(len, lists))) != 1:
        return [column]
    return [
        tuple([value if value is MISSING else value[at] for value in column]) for at in range(len(lists[0]))
    ]


def _first(column: Column) -> Any:
    return next(value for value in column if value is not MISSING)


def _plain(value: Any) -> Any:
    """Return an argument of a constructor that a parameter may have, MISSING for any other."""
    if isinstance(value, (tuple, list)) and len(value) == 2 and all(type(one) is int for one in value):
        return Dims(value)
    return value if type(value) in (int, float, bool) else MISSING


def square(value: Any) -> Any:
    """Return the size that a number is for both axes; a size is one already."""
    return Dims((value, value)) if type(value) is int else value if isinstance(value, Dims) else MISSING


def _each(column: Column, function: Any) -> Column:
    return tuple([MISSING if value is MISSING else function(value) for value in column])


def _agrees(column: Column, other: Column) -> bool:
    """Tell whether a column has the numbers of another one wherever that has any."""
    return all(b is MISSING or a == b for a, b in zip(column, other, strict=True))


def _constant(column: Iterable[Any]) -> bool:
    values = [value for value in column if value is not MISSING]
    return all(value == values[0] and type(value) is type(values[0]) for value in values)


def _kind(column: Column) -> str:
    """Return the type of a parameter that takes the numbers of a column, "" if none does."""
    values = [value for value in column if value is not MISSING]
    if all(value is None or isinstance(value, OpWord) for value in values) or all(
        isinstance(value, str) and value in catalogue() for value in values
    ):
        return "op"
    kinds = {type_name(value) for value in values}
    if kinds == {"int", "float"} or kinds == {"float"}:
        return "float"
    if "pad" in kinds and kinds <= {"pad", "int", "dims"}:
        return "pad"
    return kinds.pop() if len(kinds) == 1 and kinds & {"int", "bool", "dims", "str", "init", "pad"} else ""


def _usable(name: str, ops: Container[str]) -> bool:
    """Tell whether a parameter can have a name in a body with these ops."""
    return (
        not (
            reserved_name(name)
            or name in keywords()
            or name in ops
            or name in (*LIKE_NUMBERS, "x", "flow", "i")
        )
        and name.isidentifier()
    )


def _other(name: str, ops: Container[str]) -> str:
    stem = re.sub("[^A-Za-z0-9_]", "_", name).strip("_") or "p"
    stem = stem if stem[:1].isalpha() else f"p{stem}"
    return stem if _usable(stem, ops) else f"{stem}_"


def _name_of(item: Item) -> str:
    """Return what the condition of an item is called as a parameter."""
    label = next((one.label for one in item.all() if one.label), "")
    name = label or next((one.name for one in item.all() if one.name), item.kind)
    name = re.sub("(?<=[a-z0-9])(?=[A-Z])", "_", re.sub("[^A-Za-z0-9_]", "_", name)).strip("_").lower()
    return name if label and name[:1].isalpha() and name not in catalogue() else f"with_{name}"


def _around(one: str, two: str) -> bool:
    """Tell whether conditions are that something is before a place, and behind it."""
    return one != two and one.replace(" < ", " > ") == two.replace(" < ", " > ")

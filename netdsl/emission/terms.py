"""Numbers with their expressions: what they are here and for all arguments, and what is demanded of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from netdsl.elaborate.draft import Place
from netdsl.elaborate.evaluate import is_number
from netdsl.elaborate.names import readable
from netdsl.elaborate.values import MISSING, Data
from netdsl.emission.concolic import Constants, Fixed, SymOp, concrete
from netdsl.emission.items import Check, Child, Incoming, Let, Parameter, walk
from netdsl.emission.state import Schedule, State
from netdsl.ir.types import Shape
from netdsl.symbolic import (
    Atom,
    Poly,
    SymBool,
    SymFloat,
    SymInt,
    SymList,
    Term,
    arithmetic,
    assuming,
    conjuncts,
    constant,
    equalities,
    evaluate,
    in_terms_of,
    list_of,
    named,
    names,
    opposite,
    single,
    symbolic,
    term,
    text,
)
from netdsl.syntax import tree

SIZES = {"c": "channels", "h": "height", "w": "width", "n": "tokens"}
"""What the sizes of what comes in are called, after its name."""


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
                if self.least.get(number.args[0]) == limit:
                    yield part.args[0], constant(limit)

    def is_full(self, count: Poly) -> bool:
        """Tell whether a list that comes in has as many values, which is not empty."""
        return any(self.staged.lists[i.wire] == self.expanded(count) for i in self.staged.inputs if i.many)

    # ---------------------------------------------------------------- demands

    def positive(self, value: Any, message: str) -> None:
        """Demand that an int is at least 1, where no condition says so."""
        own = term(value)
        if any(t.op == ">" and t.args[0] == own and (t.args[1].constant or 0) >= 0 for t in self.path):
            return
        self.checked(Atom(">=", (term(value), constant(1))), message)

    def from_one(self, value: SymInt) -> None:
        """Demand that arguments are at least 1 whose product, and nothing else, is an int."""
        parts = list(self.expanded(value.poly).parts.values())
        if len(parts) == 1 and parts[0][0] > 0:
            for factor in map(single, dict.fromkeys(parts[0][1])):
                self.at_least(factor, 1, f"{text(factor)} must be at least 1")

    def at_least(self, value: Any, least: int, message: str) -> None:
        """Demand that an int is at least 0 or 1; an argument at once, if no condition matters."""
        whole = self.expanded(value)
        name = whole.atom.args[0] if whole.atom is not None and whole.atom.op == "name" else ""
        kinds = {parameter.name: parameter.kind for parameter in self.staged.params}
        given = kinds.get(name) == "int"
        item = self.item_of_list(whole)
        if item and kinds.get(item.partition("[")[0].removeprefix("*")) == "list":
            given, name = True, item
        if given and self.least.get(name, least - 1) >= least:
            return
        if given and self.demanded.issuperset(t for t in self.path if not self.below(t, whole)):
            self.least[name] = max(least, self.least.get(name, least))
        elif (given or negative(whole)) and not self.assured(whole, least):
            self.checked(Atom(">=", (value, constant(least))), message)

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

    def item_of_list(self, value: Poly) -> str:
        """Return which item of a named list a number is: `n[0]`, or `*n` where it is each in turn."""
        atom = value.atom
        if atom is None:
            return ""
        if atom.op == "name":
            return self.each_of.get(atom.args[0], "")
        whole = list_of(value)
        if whole is None or whole.op != "name":
            return ""
        index = atom.args[1].constant
        return f"*{whole.args[0]}" if index is None else f"{whole.args[0]}[{index}]"

    def assured(self, value: Poly, least: int) -> bool:
        """Tell whether a condition that holds here says that an int is at least so much."""
        for test in map(self.expanded, self.path):
            if test.op in ("<", ">", "<=", ">=") and all(isinstance(side, Poly) for side in test.args):
                large, small = test.args if test.op in (">", ">=") else test.args[::-1]
                more = value.plus(large.plus(small, -1), -1).constant
                if more is not None and more + (test.op in ("<", ">")) >= least:
                    return True
        return False

    def checked(self, test: Atom, message: str) -> None:
        """Demand something once."""
        if test not in self.path:
            self.check(test, message)

    def check(self, test: Atom, message: str) -> None:
        """Demand something of the arguments."""
        read = names(self.expanded(test))
        if any(name.startswith("?") or name in self.emitter.sizes for name in read):
            return
        items = self.items
        for container, outer in reversed(self.opened_scopes):
            counted = {inner.name for inner in walk(container.items) if isinstance(inner, Let)}
            if items is container.items and counted.isdisjoint(read):  # a chain is built of modules alone
                items = outer
        item = Check(test, message)
        items.insert(len(items) - (items is not self.items), item)
        self.path.append(test)
        self.demanded.add(test)

    def is_parameter(self, name: str) -> bool:
        """Tell whether a name is a parameter's, which keeps its value to the end."""
        return name in self.emitter.words(self.staged.decl)

    # ---------------------------------------------------------------- local variables

    def assign(self, node: tree.Assign, place: Place) -> None:
        """`w = 4*c`: a local variable, if it is not the same for all."""
        super().assign(node, place)
        made: list[Let] = []
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
            if own in self.assigned or self.is_parameter(own):  # of another turn, or read as what was given
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

    def local(self, wanted: str, more: str = "", own: bool = False) -> str:
        """Return a name for a local variable that nothing here has; the text's `own` is free where it comes."""
        taken = {parameter.name for parameter in self.staged.params} | self.emitter.reserved
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
        stack = [self.staged.items, self.items]
        while stack:
            for item in stack.pop():
                if isinstance(item, Let):
                    found.add(item.name)
                elif isinstance(item, Child) and item.result:
                    found.add(item.result)
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
            path = [self.expanded(test) for test in self.path if test not in self.demanded]
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
        if self.staged.kind == "net":
            return value.value
        known = next((name for name, other in self.staged.asks.items() if other == test), "")
        if not known:
            known = self.local(
                "same_size" if test.op == "==" else "large" if test.op in (">", ">=") else "small"
            )
            self.staged.params.insert(len(self.staged.asks), Parameter(known, "bool", value.value, MISSING))
            self.staged.asks[known] = test
            self.hints[known] = value.value
        return SymBool(value.value, Atom("name", (known,)))

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
        self.counted.append(known)
        start, stop = values["start"], values["stop"]
        height = arithmetic("-", stop, start) if symbolic(start) or start else stop
        rise = arithmetic("*", float(height) if not symbolic(height) else height, named(0, known.variable))
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
        return SymFloat(float(value), self.expanded(value.atom)) if isinstance(value, SymFloat) else value


def negative(value: Any) -> bool:
    """Tell whether a number may be negative where its names are not: it has a difference somewhere."""
    if isinstance(value, Poly):
        return any(number < 0 or any(map(negative, atoms)) for number, atoms in value.parts.values())
    if not isinstance(value, Atom) or value.op in ("%", "item"):
        return False
    return any(map(negative, value.args[value.op == "if" :]))


def with_hint(size: Any, hint: int) -> int:
    """Return a size with another concrete value."""
    return SymInt(int(hint), size.poly) if isinstance(size, SymInt) else size


def replaced(value: Any, known: Mapping[str, Any]) -> Poly:
    """Return the expression of an int with some names replaced."""
    found = in_terms_of(value, known)
    return found if isinstance(found, Poly) else single(found)

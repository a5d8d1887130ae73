"""The forward function of a class: its statements, with the names, conditions and loops of the spec.

A name is bound anew only where its value is dead, so that what a block no longer needs is freed as early as a
careful author would free it. A statement allocates once: what works in place, or only looks, stands with what it
works on.
"""

from __future__ import annotations

import builtins
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial, reduce
from typing import Any, NamedTuple

from netdsl.elaborate.names import LIKE_NUMBERS, readable, reserved_attribute
from netdsl.elaborate.values import Wire
from netdsl.emission.code import (
    Arg,
    Binary,
    Call,
    Const,
    Context,
    Expr,
    Input,
    Listed,
    Name,
    Self,
    children,
    mentions_self,
    reads,
    transform,
)
from netdsl.emission.demands import SIZES, Demands, checking
from netdsl.emission.dialect import Dialect
from netdsl.emission.features import KEPT, Features, entering, is_side
from netdsl.emission.function import Function, reading
from netdsl.emission.items import (
    LISTS,
    Check,
    Child,
    Collect,
    Container,
    Gathered,
    If,
    Item,
    Joined,
    Layer,
    Let,
    Loop,
    Module,
    Numbered,
    Phi,
    Pick,
    Side,
    Store,
    ordered,
    outside,
    walk,
)
from netdsl.emission.members import Members, is_learned
from netdsl.emission.numbered import apart, is_mapping
from netdsl.emission.sometimes import needed, needed_on_sides, tests_of
from netdsl.emission.writer import INDENT, WIDTH, Each, Either, flat, layout
from netdsl.ir.types import Shape
from netdsl.ops.joint import Concat
from netdsl.passes.bindings import GENERIC, candidates, choose
from netdsl.symbolic import Atom, Poly, Term, conjuncts, constant, names, negated, single, term, text

_ONE_LISTED = (Listed((Input(),), "()"), Listed((Input(),), "[]"))
Line = tuple[int, str, Expr | None, str]
"""Depth, what stands before an expression, the expression, and what stands behind it."""


class Arm(NamedTuple):
    """One side of a condition as text."""

    item: If
    holds: bool
    """Whether it is the side where the condition holds."""
    needs: list[Wire]
    """What has to be there, and is asked for with the condition."""
    lines: list[Line]


class Flow:
    """Writes one forward function."""

    def __init__(
        self, function: Function, members: Members, dialect: Dialect, low_memory: bool = False
    ) -> None:
        """Take in the values that come in; `low_memory` drops what is not read again."""
        self.function = function
        self.members = members
        self.dialect = dialect
        self.low_memory = low_memory
        self.held: set[str] = set()
        """Names that are bound here, and hold memory that no caller holds."""
        self.dropped: set[str] = set()
        """Names that were dropped where they are held."""
        self.later = False
        """Whether names are to be dropped, since memory is allocated after what is being written."""
        self.lines: list[Line] = []
        self.depth = 2
        self.names: dict[Wire, str] = dict(function.inputs)
        self.fixed: dict[Wire, Expr] = {}
        self.pending: dict[Wire, Expr] = {}
        self.dying: list[str] = []
        """Names whose values are read for the last time by what is pending."""
        self.aliases: dict[Wire, Wire] = {}
        """Which values are others."""
        self.want: dict[Wire, str] = {}
        self.counts: Counter[Wire] = reading(function)
        self.over = {
            item.inputs[0]: item.outputs[0]
            for item in walk(function.items)
            if isinstance(item, Layer) and members.overwrites(item)
        }
        """By value, what is written over it."""
        self.optional = {side.name for side in self.train_sides()}
        """Outputs that may not be there: their names are theirs alone."""
        self.mappings = {name for wire, name in function.inputs.items() if is_mapping(wire)}
        """What mappings of values by their numbers are called, which are nothing else's names."""
        self.turned: set[str] = set()
        """What the modules of a list are called, turn by turn, which are nothing else's names."""
        self.concatenated = {
            wire
            for item in walk(function.items)
            if isinstance(item, Layer) and isinstance(item.op, Concat)
            for wire in item.inputs
        }
        self.absent: dict[Wire, tuple[Atom, ...]] = dict.fromkeys(function.absent, ())
        """Values that may be None here, and what holds where they are not, as far as that is known."""
        self.declared: dict[str, str] = {}
        """What values are called that may be None, and their types."""
        self.following: set[Wire] = set()
        """What the next statement reads."""
        self.lists = function.staged.lists
        self.wholes = {item.wire: item.whole for item in walk(function.items) if isinstance(item, Pick)}
        """The lists that values are looked up in where they are read."""
        self.begun: set[str] = set()
        """The lists that begin empty, and have their type."""
        self.changing = {i.name for i in walk(function.items) if isinstance(i, Let) and i.again}
        """The variables of the constructor that are bound more than once."""
        self.demands = Demands(members)
        self.sources: dict[Wire, Wire] = {}
        """By operand of a joint without a name, a value of its size that has one."""
        self.compared: set[frozenset[tuple[Term, ...]]] = set()
        """Sizes that were compared with each other before what is being written, whatever the conditions."""
        self.compares: set[int] = set()
        """The joints before which it is written that their operands have one size."""
        self.fitted: dict[Wire, Wire] = {}
        """By operand of a joint without a name, the operand with which it is compared where it stands."""

    # ---------------------------------------------------------------- the whole

    def text(self) -> list[str]:
        """Return the lines."""
        items = ordered(self.function.items)
        if self.function.kind != "container":
            for call in self.demands.entry(self.function.inputs):
                self.line("", call)
        for side in self.train_sides():
            self.line(f"{side.name}: {self.dialect.array} | None = None")
        sides = [s for s in self.function.staged.sides if self.is_net and s.name not in self.optional]
        live = {*self.function.outputs, *(side.wire for side in sides)}
        self.run(items, live)
        self.results()
        return list(self.shown())

    features: Features | None = None
    """Where the maps are, if this is the function that returns them."""

    def maps(self) -> list[str]:
        """Return the lines of the function that returns the maps for a net on top."""
        self.features = self.members.maps
        assert self.features
        self.kept = KEPT
        self.names = {wire: entering(name) for wire, name in self.names.items()}
        streams = self.features.streams
        if streams is not None:
            self.run(self.features.items, {streams})
            value = self.operand(streams)
            if isinstance(value, Name):
                value = Name(self.annotate(value.text, f"list[{self.dialect.array}]"))
            self.line("return ", value)
            return list(self.shown())
        self.line(f"features: list[{self.dialect.array}] = []")
        self.run(self.features.items, set())
        self.line("return features")
        return list(self.shown())

    def note(self, name: str) -> None:
        """Write that a map is one of those that are returned, if it ends a stage or is the last of its size."""
        assert self.features
        self.line("features.append(" if self.features.stages else "note_map(features, ", Name(name), ")")

    def note_there(self, wire: Wire) -> None:
        """Write that a value is such a map, if it is there."""
        name = self.names[wire]
        if wire in self.absent:
            self.line(f"if {name} is not None:")
            self.depth += 1
        self.note(name)
        self.depth -= wire in self.absent

    def through(self, item: Module, live: set[Wire]) -> None:
        """Write a chain module by module, with the maps between them."""
        (wire,), (source,) = self.members.results(item), self.members.arguments(item)
        value = self.operand(source)
        dying = [self.names[source]] if source not in live and source in self.names else []
        name = self.fresh(wire, item, dying, live, [], alone=True)
        if value != Name(name):
            self.line(f"{name} = ", value)
        self.names[wire] = name
        this = self.members.called(item)
        chain = this if isinstance(this, str) else flat(this)
        assert isinstance(item, Container)
        assert self.features
        step = self.members.text.step(self.function, item.items, name)
        if not self.features.stages:
            before, after = (
                self.members.text.head(item.items) if id(item) in self.features.headed else ("", "")
            )
            self.line(f"for layer in {chain}:")
            self.depth += 1
            self.leave(before)
            self.line(f"{name} = ", step)
            self.leave(after.format(x=name))
            self.note(name)
            self.depth -= 1
            return
        self.line(f"for length, layer in enumerate({chain}, 1):")
        self.depth += 1
        self.line(f"{name} = ", step)
        kept = self.members.ends(item)
        place = f"self.{kept}" if isinstance(kept, str) else f"getattr(self, {text(self.members.read(kept))})"
        self.line(f"if length in {place}:")
        self.depth += 1
        self.note(name)
        self.depth -= 2

    def leave(self, test: str) -> None:
        """Write that a loop ends where a test holds, if there is one."""
        if test:
            self.line(f"if {test}:")
            self.depth += 1
            self.line("break")
            self.depth -= 1

    @property
    def is_net(self) -> bool:
        """Whether this is the net's own function."""
        return self.function.kind == "net"

    def train_sides(self) -> list[Side]:
        """Return the outputs that are there in training, or under a condition, only."""
        return list(self.sides_of(self.function.items)) if self.is_net else []

    def sides_of(self, items: list[Item], somewhere: bool = False) -> Iterator[Side]:
        """Yield such outputs among items, which are under a condition if they are there `somewhere` only."""
        for item in items:
            if isinstance(item, Side) and (item.train or somewhere):
                yield item
            elif isinstance(item, If):
                yield from self.sides_of([*item.then, *item.otherwise], somewhere=True)
            elif isinstance(item, Loop):
                yield from self.sides_of(item.body, somewhere)

    def line(self, head: str, expr: Expr | None = None, tail: str = "") -> None:
        """Add a line."""
        self.lines.append((self.depth, head, expr, tail))

    def shown(self) -> Iterable[str]:
        """Yield the lines as text, the first that binds what is returned with its type."""
        for depth, head, expr, tail in self.lines:
            indent = INDENT * depth
            if expr is None:
                yield f"{indent}{head}"
            else:
                yield from layout(head, expr, tail, indent)

    # ---------------------------------------------------------------- items

    def run(self, items: list[Item], live_out: set[Wire]) -> None:
        """Write items; `live_out` is what is read after them."""
        items = [item for item in items if not isinstance(item, (Let, Check))]
        after: list[set[Wire]] = [set()] * len(items)
        live, unread = self.with_lists(live_out), set[int]()
        marks = self.features.marks if self.features else {}
        for index in range(len(items) - 1, -1, -1):
            live.update([marks[id(items[index])]] if id(items[index]) in marks else [])
            after[index] = set(live)
            if not self.needed(items[index], live):
                unread.add(index)
                continue
            live -= set(items[index].makes())
            live |= self.with_lists(items[index].reads())
        unsettled, self.members.unsettled = self.members.unsettled, {}  # this looks ahead
        nested = self.nested(items, unread)
        self.members.unsettled = unsettled
        nested -= {index for index, item in enumerate(items) if id(item) in marks}
        following, reads = [set[Wire]()] * len(items), set[Wire]()
        for index in range(len(items) - 1, -1, -1):
            following[index] = reads
            reads = {*items[index].reads(), *(reads if index in nested else ())}
        later = self.later
        for index, item in enumerate(items):
            self.stage(item)
            if index in unread:
                self.members.settle([item])
                continue
            self.later = later or (self.low_memory and any(map(self.allocates, items[index + 1 :])))
            self.are_there(needed([item], self.absent))
            if isinstance(item, If):
                self.members.begin(item)
                self.condition(item, after[index])
                self.members.settle([item])
            elif isinstance(item, Loop):
                self.loop(item, after[index], items[index + 1 :])
                self.members.settle([item])
            elif isinstance(item, Side):
                self.side(item, after[index])
            elif self.features and id(item) in self.features.entered and isinstance(item, Module):
                self.through(item, after[index])
            elif isinstance(item, Module):
                self.following = following[index]
                self.module(item, after[index], index in nested)
            elif isinstance(item, Pick):
                at = self.index(item)
                self.fixed[item.wire] = Name(f"{flat(self.operand(item.whole))}[{at}]")
            elif isinstance(item, Numbered):
                here = after[index]
                name = next(
                    one
                    for one in item.called
                    if one not in GENERIC and self.usable(one) and self.is_free(one, here)
                )
                self.names[item.wire] = name
                self.mappings.add(name)
                self.line(f"{name}: {item.type_of(self.dialect.array)} = ", Name("{}"))
            elif isinstance(item, Store):
                at = self.index(item)
                self.line(f"{self.names[item.whole]}[{at}] = ", self.operand(item.value))
            elif isinstance(item, Collect) and item.grows:
                self.grow(item)
            elif isinstance(item, Collect):
                self.listed(item.wire, self.collected(item), items[index + 1 :], after[index], item.reads())
            elif isinstance(item, Joined):
                if item.compared:
                    self.line("", Call("check_same_size", (argument(self.operand(item.whole)),)))
                expr = self.joined(item)
                name = self.names[item.wire] = self.fresh(item.wire, None, [], after[index], [], alone=True)
                self.bind([name], expr)
            if id(item) in marks:
                self.note_there(marks[id(item)])
            if self.later:
                self.drop(after[index])
        self.later = later

    def are_there(self, wires: Iterable[Wire]) -> None:
        """Write that values are there which might be None, where no condition says so."""
        for wire in wires:
            self.line(f"assert {self.names[wire]} is not None")
            del self.absent[wire]

    def needed(self, item: Item, live: set[Wire]) -> bool:
        """Tell whether an item runs: one without a module does only for what is read of it."""
        if not live.isdisjoint(item.makes()):
            return True
        if self.features and is_side(item):
            return False
        if not isinstance(item, (If, Layer, Pick)):
            return True
        inner = walk([item]) if isinstance(item, If) else [item]
        if any(isinstance(one, Module) and self.members.is_module(one) for one in inner):
            return True
        return isinstance(item, If) and (self.flows(item) or item.only is not None)

    def with_lists(self, wires: Iterable[Wire]) -> set[Wire]:
        """Return values with the lists that they are looked up in."""
        found = set(wires)
        return found | {self.wholes[wire] for wire in found if wire in self.wholes}

    def collected(self, item: Collect) -> Expr:
        """Return a list of values."""
        parts = [(wire in self.lists, self.operand(wire)) for wire in item.parts]
        return Listed(tuple(Name(f"*{flat(value)}") if many else value for many, value in parts))

    def index(self, item: Pick | Store) -> str:
        """Return what stands in the brackets behind a list or mapping."""
        return ", ".join(text(self.members.read(number)) for number in apart(item.index))

    def grow(self, item: Collect) -> None:
        """Write what puts values into a list that nothing else reads."""
        whole, *parts = item.parts
        name = self.names[item.wire] = self.names[whole]
        for wire in parts:
            add = "extend" if wire in self.lists else "append"
            self.line("", Call(f"{name}.{add}", (argument(self.operand(wire)),)))

    def joined(self, item: Joined) -> Expr:
        """Return what a joint makes of a list."""
        whole = self.operand(item.whole)
        if item.op.product:
            return Call("functools.reduce", (argument(Name(self.dialect.multiply)), argument(whole)))
        one = self.members.text.lowered_op(item.op, Context((item.shape,), (item.shape,)))
        if isinstance(one.function, Input):  # of one branch, it is that branch
            terms = tuple(argument(Name(f"{flat(whole)}[{part}]")) for part in ("1:", "0"))
            return Call("sum", terms)
        assert one.function is not None
        return transform(one.function, lambda e: whole if e in _ONE_LISTED else None)

    def listed(
        self, wire: Wire, expr: Expr, later: list[Item], live: set[Wire], reads: Iterable[Wire]
    ) -> None:
        """Write a list, within what follows if that alone reads it."""
        reader = next(iter(later), None)
        alone = isinstance(reader, (Module, Collect, Joined)) and wire in reader.reads()
        if isinstance(reader, Joined):
            alone = alone and isinstance(reader.op, Concat)
        elif isinstance(reader, Collect):
            fits = len(flat(expr)) <= WIDTH - len(INDENT) * (self.depth + 3)  # it is not broken in there
            alone = alone and fits and not (reader.grows and wire == reader.parts[0])
        if self.counts[wire] == 1 and (alone or (reader is None and wire in self.function.outputs)):
            self.pending[wire] = expr
            return
        dying = [self.names[w] for w in reads if w in self.names and w not in live]
        name = self.names[wire] = self.fresh(wire, None, dying, live, [], alone=True)
        if expr == Listed(()) and name not in self.begun:
            self.begun.add(name)
            self.line(f"{name}: list[{self.dialect.array}] = ", expr)
            return
        self.bind([name], expr)

    def stage(self, item: Item) -> None:
        """Write the comment of a stage that begins."""
        if item.stage:
            self.line(f"# stage {item.stage}")

    def drop(self, live: set[Wire]) -> None:
        """Write a `del` of names whose values nobody reads again."""
        names = {*self.kept, *(self.names[wire] for wire in live if wire in self.names)}
        dead = [] if self.dying or self.pending else sorted(self.held - names - self.optional)
        if dead:
            self.line(f"del {', '.join(dead)}")
            self.held.difference_update(dead)
            self.dropped.update(dead)

    def allocates(self, item: Item) -> bool:
        """Tell whether an item makes new memory in evaluation."""
        if isinstance(item, Layer):
            return item.op.computes and not item.train and not self.members.overwrites(item)
        return isinstance(item, Child) or any(self.allocates(one) for inner in item.inner() for one in inner)

    @contextmanager
    def apart(self, again: bool = False) -> Iterator[None]:
        """Write what may not run, or run again: only names that are bound in it are dropped in it."""
        held, dropped, later, compared = self.held, self.dropped, self.later, set(self.compared)
        self.held, self.dropped, self.later = set(), set(), later or again
        yield
        self.compared = compared
        self.held, self.dropped, self.later = held - self.dropped, dropped | self.dropped, later

    def nested(self, items: list[Item], unread: set[int]) -> set[int]:
        """Return the items that are written as operands of a later one that is written itself."""
        found: set[int] = set()
        compared = set(self.compared)
        for index, item in enumerate(items):
            if index and isinstance(item, (Collect, Store)) and self.alone(items[index - 1], item):
                found.add(index - 1)
            if not isinstance(item, Module) or index in unread or any(self.demands.of(item)):
                continue
            if not isinstance(item, Layer):
                if index and self.views(items[index - 1], item):
                    found.add(index - 1)
                continue
            if len(item.inputs) == 1:
                if index and self.nests(items[index - 1], item):
                    found.add(index - 1)
                continue
            sizes = frozenset(item.compared.values())
            if sizes and not any(sizes <= known for known in compared):
                compared.add(sizes)
                self.compares.add(id(item))
            first = 1 if item.op.folds else 0
            at = index - 1
            for wire in reversed(item.inputs[first:]):
                maker = items[at] if at >= 0 else None
                if not isinstance(maker, Module) or (
                    maker.outputs != (wire,) and not self.gives(maker, wire)
                ):
                    break
                if self.counts[wire] != 1 or at in found or maker.stage or maker.train != item.train:
                    break
                if isinstance(maker, Layer) and (len(maker.inputs) != 1 or self.members.is_nothing(maker)):
                    break
                if times(self.members.lowered(item).function, item.inputs.index(wire)) > 1:
                    break  # it would be computed as often
                if id(item) in self.compares and item.inputs.index(wire) in item.compared:
                    source = self.source(items, at, found)
                    if source is not None:
                        self.sources[wire] = source
                    elif (
                        first
                        and item.before[0].axes == "chw"
                        and [*item.compared] == [0, item.inputs.index(wire)]
                    ):
                        self.fitted[wire] = item.inputs[0]
                    else:
                        break  # it is compared with others
                found.add(at)
                at -= 1
        return found

    @staticmethod
    def source(items: list[Item], at: int, nested: set[int]) -> Wire | None:
        """Return a value with a name that has the size of what an item makes; None: there may be none."""
        while True:
            item = items[at]
            if not isinstance(item, (Layer, Child)) or not keeps_size(item):
                return None
            (wire,) = item.inputs
            at -= 1
            if at not in nested or wire not in items[at].makes():
                return wire

    def alone(self, item: Item, reader: Collect | Store) -> bool:
        """Tell whether a step makes the one value that is put into a list, and is an expression."""
        if isinstance(reader, Collect) and not reader.grows:
            return False
        wire = reader.parts[-1] if isinstance(reader, Collect) else reader.value
        if not isinstance(item, Module) or not self.gives(item, wire) or self.counts[wire] != 1 or item.train:
            return False
        return not isinstance(item, Layer) or not (
            self.members.overwrites(item) or self.members.is_nothing(item) or any(self.demands.of(item))
        )

    def gives(self, item: Module, wire: Wire) -> bool:
        """Tell whether an item makes this value and no other that is read."""
        if isinstance(item, Container):
            return item.exit == (wire,) and self.members.results(item) == (wire,)
        return item.outputs == (wire,)

    def views(self, item: Item, follower: Module) -> bool:
        """Tell whether a step only looks at what it reads, for a child that reads nothing else."""
        if not isinstance(item, Layer) or item.op.computes or len(item.inputs) > 1 or follower.stage:
            return False
        wires = self.members.arguments(follower)
        if len(wires) > 1 or wires != item.outputs or self.counts[wires[0]] > 1:
            return False
        return (
            item.train == follower.train
            and not self.members.is_nothing(item)
            and not self.members.is_module(item)
        )

    def nests(self, item: Item, follower: Layer) -> bool:
        """Tell whether a step stands within the one that follows it: where one of the two allocates nothing."""
        if not isinstance(item, Module) or follower.stage or item.train != follower.train:
            return False
        if not self.gives(item, follower.inputs[0]) or self.counts[follower.inputs[0]] != 1:
            return False
        if isinstance(item, Layer) and (len(item.inputs) > 1 or self.members.is_nothing(item)):
            return False
        if reads(self.members.lowered(follower).function) > 1 or self.members.is_nothing(follower):
            return False
        works = follower.op.computes and id(follower) not in self.members.writing
        if follower.op.follows and not works:
            return True
        is_view = isinstance(item, Layer) and not item.op.computes
        return is_view and self.members.is_module(follower)

    def operand(self, wire: Wire) -> Expr:
        """Return a value as an operand."""
        if wire in self.pending:
            return self.pending.pop(wire)
        return self.fixed.get(wire) or Name(self.names[wire])

    def module(self, item: Module, live: set[Wire], nested: bool) -> None:
        """Write a layer, a child or a container."""
        if self.members.is_nothing(item):
            self.alias(item.outputs[0], item.inputs[0])
            return
        outputs = self.members.results(item)
        inputs = self.members.arguments(item)
        if is_learned(item):
            self.fixed[item.outputs[0]] = self.apply(item, [])
            return
        if not any(wire in live for wire in outputs) and not self.members.is_module(item):
            for wire in inputs:  # a module is called though nobody reads what is made of it
                if wire in self.pending:
                    self.line("", self.pending.pop(wire))
            return
        self.demand(item)
        dying = [self.names[w] for w in inputs if w in self.names and w not in live and w not in self.pending]
        expr = self.apply(item, [self.operand(wire) for wire in inputs])
        if nested:
            self.pending[outputs[0]] = expr
            self.dying = [*dying, *self.dying]
            return
        dying, self.dying = [*self.dying, *dying], []
        targets: list[str] = []
        for wire in outputs:
            handed = wire in inputs and wire in self.names  # through a container: it has a name
            if handed or wire not in live:
                targets.append("_" if len(outputs) > 1 else "")
                continue
            name = self.fresh(wire, item, dying, live, targets, alone=len(outputs) == 1)
            targets.append(name)
            self.names[wire] = name
        self.bind(targets, expr)

    def demand(self, item: Item) -> None:
        """Write what must hold of the sizes of what an item reads."""
        for demand in self.demands.of(item):
            self.members.demanding = True
            have = Name(f"{self.names[demand.wire]}.shape[{demand.axis}]")
            place = Const(demand.place.removeprefix("self."))
            self.line("", checking("check_size", have, demand.size, place, Const(demand.what)))
        if isinstance(item, Layer) and id(item) in self.compares:
            self.compare(item)

    def compare(self, item: Layer) -> None:
        """Write that what a joint reads has one size."""
        self.compared.add(frozenset(item.compared.values()))
        fitted = [wire for wire in item.inputs if wire in self.fitted and wire in self.pending]
        for wire in fitted:
            pair = self.pending[wire], self.measured(self.fitted[wire])
            self.pending[wire] = Call("of_same_size", tuple(map(argument, pair)))
        if fitted:
            return
        values = [self.measured(item.inputs[at], item.batched[at]) for at in item.compared]
        axes = item.before[next(iter(item.compared))].axes
        if axes == "chw":
            self.line("", Call("check_same_size", (argument(Listed(tuple(values))),)))
            return
        first, *others = map(flat, values)
        for axis in axes.replace("c", ""):
            at, name = self.dialect.axis(axes, axis), Const(self.function.staged.name)
            for other in others:
                have, takes = (Name(f"{value}.shape[{at}]") for value in (other, first))
                self.line("", checking("check_size", have, takes, name, Const(SIZES[axis])))

    def measured(self, wire: Wire, batched: bool = True) -> Expr:
        """Return an operand of a joint, or what has its size, with an axis for the batch; `batched`: it has one."""
        if wire in self.pending and wire in self.sources:
            wire, batched = self.sources[wire], True
        value = self.fixed.get(wire) or Name(self.names[wire])
        learned = self.demands.learned.get(wire)
        batched = batched if learned is None else getattr(learned.op, "batch", False)
        return value if batched else Name(f"{flat(value)}[None]")

    def alias(self, wire: Wire, other: Wire) -> None:
        """Let a value be another one."""
        if other in self.pending:
            self.pending[wire] = self.pending.pop(other)
        elif other in self.fixed:
            self.fixed[wire] = self.fixed[other]
        else:
            self.names[wire] = self.names[other]
        self.aliases[wire] = self.aliases.get(other, other)

    def bind(self, targets: list[str], expr: Expr) -> None:
        """Write an assignment, `+=` where it adds in place."""
        self.held.update(filter(None, targets))
        if isinstance(expr, Call) and expr.func in ("add_", "mul_") and targets:
            if expr.receiver == Name(targets[0]):
                operator = "+=" if expr.func == "add_" else "*="
                self.line(f"{targets[0]} {operator} ", expr.args[0].value)
                return
        head = f"{', '.join(targets)} = " if any(targets) else ""
        self.line(head, expr)

    def apply(self, item: Module, operands: list[Expr]) -> Expr:
        """Return the application of an item to its operands."""
        this = self.members.called(item)
        if isinstance(item, Child):
            callee = this if isinstance(this, str) else flat(this)
            return self.members.text.applied(self.function, callee, tuple(map(argument, operands)))
        if not isinstance(item, Layer):
            return (
                Call(this, tuple(argument(o) for o in operands))
                if isinstance(this, str)
                else _called(this, operands)
            )
        lowered = self.members.lowered(item)
        function = lowered.function
        if function is None or (self.members.is_module(item) and not mentions_self(function)):
            return (
                Call(this, tuple(map(argument, operands)))
                if isinstance(this, str)
                else _called(this, operands)
            )
        name = this if isinstance(this, str) else flat(this)

        def change(expr: Expr) -> Expr | None:
            if isinstance(expr, Input):
                return operands[expr.index]
            if isinstance(expr, Self):
                return Name(name)
            if isinstance(expr, Call) and isinstance(expr.func, Self):
                args = tuple(a.replace(value=transform(a.value, change)) for a in expr.args)
                return expr.replace(func=name, args=args)
            return None

        return transform(self.members.in_forward(function), change)

    # ---------------------------------------------------------------- names

    def is_free(self, name: str, live: set[Wire], taken: Iterable[str] = ()) -> bool:
        """Tell whether nothing alive has a name."""
        if name in taken or any(self.names.get(wire) == name for wire in live):
            return False
        return all(name != held for held in self.kept)

    kept: tuple[str, ...] = ()
    """Names that are read after what is being written, by another turn."""

    def fresh(
        self, wire: Wire, item: Item | None, dying: list[str], live: set[Wire], taken: list[str], alone: bool
    ) -> str:
        """Return a name for a value."""
        others = live - {wire}
        wanted = self.want.get(wire)
        if wanted is not None and self.is_free(wanted, others, taken):
            return wanted
        named = isinstance(item, Module) and item.labelled and item.name is None and alone
        key = item.key if named and isinstance(item, Module) else ""
        waits = wire in self.concatenated and wire not in self.following
        return choose(
            candidates(self.label(wire, item, dying), key, dying, self.generic(wire), waits),
            lambda name: self.usable(name) and self.is_free(name, others, taken),
        )

    def label(self, wire: Wire, item: Item | None, dying: list[str]) -> str:
        """Return what the spec calls a value, or what is written over it, or else what it is written over."""
        labels, after = self.function.staged.labels, wire
        while after not in labels and after in self.over:
            after = self.over[after]
        if after not in labels and isinstance(item, Layer) and self.members.overwrites(item):
            name = self.names.get(item.inputs[0], "")
            return name if name in dying else ""
        return readable(labels.get(after, ""))

    def generic(self, wire: Wire) -> tuple[str, ...]:
        """Return names that say nothing; that of a list that comes in is for lists as long as that one."""
        if wire not in self.lists:
            return GENERIC
        taken = {name for w, name in self.function.inputs.items() if self.lists.get(w) != self.lists[wire]}
        return tuple(name for name in LISTS if name not in taken)

    def usable(self, name: str) -> bool:
        """Tell whether a name may be bound."""
        if name in self.optional or name in self.declared or name in LIKE_NUMBERS or name in self.mappings:
            return False
        if name in self.turned:
            return False
        if name in (*GENERIC, *LISTS):
            return True
        bad = reserved_attribute(name) or hasattr(builtins, name) or name in self.dialect.names
        return not bad and name not in self.members.globals

    # ---------------------------------------------------------------- conditions

    def condition(self, item: If, live: set[Wire]) -> None:
        """Write an `if`."""
        if len(item.then) == 1 and isinstance(item.then[0], Side) and not item.otherwise:
            absent = dict(self.absent)
            self.side(item.then[0], live, item)
            self.absent = absent
            return
        if item.only is not None:
            self.run(ordered(item.only), live)
            return
        learned = {
            w for side in (item.then, item.otherwise) for i in side if is_learned(i) for w in i.makes()
        }
        phis = [phi for phi in item.phis if phi.wire in live and phi.wire not in learned]
        targets: dict[int, str] = {}
        for phi in phis:
            targets[id(phi)] = self.meeting(phi, item, live, phis, list(targets.values()))
        begun = self.may_bind(phis, targets)
        asked = needed_on_sides(item, self.absent)
        first = bool(asked[0]) or not asked[1]  # what is needed can be asked for before `else`
        outer, arms = self.absent, list[Arm]()
        for holds in (first, not first):
            side, needs = (item.then, asked[0]) if holds else (item.otherwise, asked[1])
            needs = [] if arms and arms[0].lines else needs
            self.absent = {wire: known for wire, known in outer.items() if wire not in needs}
            ends = [(phi, phi.then if holds else phi.otherwise) for phi in phis]
            own = [
                (end, targets[id(phi)])
                for phi, end in ends
                if end != phi.wire or any(end in one.makes() for one in side)
            ]
            arms.append(Arm(item, holds, needs, self.arm(side, own, live)))
        self.absent = outer
        for phi in phis:
            self.names[phi.wire] = targets[id(phi)]
        self.held.update(targets.values())
        if any(arm.lines for arm in arms):
            self.write_condition(arms[0], arms[1], begun)
        for phi in phis:
            if phi.sometimes:
                known = tests_of(item, phi.wire)
                self.absent[phi.wire] = tuple(t for t in known if self.changing.isdisjoint(names(t)))

    def may_bind(self, phis: list[Phi], targets: dict[int, str]) -> dict[str, str]:
        """Return the names that a condition may bind, which are None before it, and their types."""
        found: dict[str, str] = {}
        for phi in phis:
            known = self.want.get(phi.wire), self.names.get(phi.then), self.names.get(phi.otherwise)
            if phi.sometimes and targets[id(phi)] not in known:
                found[targets[id(phi)]] = self.type_of(phi.wire)
        return found

    def asked(self, arm: Arm) -> Expr:
        """Return what is asked where one side of a condition runs."""
        if not arm.needs:
            return self.members.guard(arm.item, negated=not arm.holds)
        test = arm.item.test if arm.holds else negated(arm.item.test)
        known = {one for wire in arm.needs for one in self.absent[wire]}
        said = known.issuperset(conjuncts(test)) and not self.members.asks_child(arm.item)
        guard = [] if said else [self.members.guard(arm.item, negated=not arm.holds)]
        there = [Name(f"{self.names[wire]} is not None") for wire in arm.needs]
        return reduce(partial(Binary, "and"), [*guard, *there])

    def write_condition(self, first: Arm, second: Arm, begun: dict[str, str]) -> None:
        """Write both sides, or an expression of both where they are short."""
        then, otherwise = first.lines, second.lines
        if then == otherwise:  # only the children differ
            self.lines += [(depth - 1, head, expr, tail) for depth, head, expr, tail in then]
            return
        if len(then) == len(otherwise) == 1:
            (_, head, one, tail), (_, other_head, two, _) = then[0], otherwise[0]
            if one is not None and two is not None and head == other_head and flat(one) == flat(two):
                self.line(head, one, tail)
                return
        if not then or not otherwise:
            arm = first if then else second
            if not self.or_none(arm, begun):
                self.begin_with_none(begun)
                self.one_side(self.asked(arm), arm.lines)
            return
        self.begin_with_none(begun)
        test = self.asked(first)
        if len(then) == len(otherwise) == 1:
            (_, head, one, tail), (_, other_head, two, _) = then[0], otherwise[0]
            if (
                one is not None
                and two is not None
                and head == other_head
                and head.endswith(" = ")
                and not tail
            ):
                if ", " in head:
                    one, two = (
                        Name(f"({flat(value)})") if _is_tuple(value) else value for value in (one, two)
                    )
                whole = Either(Name(flat(test)), one, two)
                if len(flat(whole)) + len(head) + self.depth * 4 <= WIDTH:
                    self.line(head, whole)
                    return
        if _is_choice(otherwise):
            (_, _, expr, tail), *rest = otherwise
            rest = [(depth - 1, head, one, tail) for depth, head, one, tail in rest]
            if rest == then and expr is not None:  # two conditions under which the same is done
                self.line("if ", Binary("or", test, expr), tail)
                self.lines += then
                return
            self.line("if ", test, ":")
            self.lines += then
            self.line("elif ", expr, tail)
            self.lines += rest
            return
        self.line("if ", test, ":")
        self.lines += then
        self.line("else:")
        self.lines += otherwise

    def or_none(self, arm: Arm, begun: dict[str, str]) -> bool:
        """Write the only side there is as an expression that is None otherwise, if it is one that is short."""
        (_, head, expr, tail), *more = arm.lines
        if more or list(begun) != [head.removesuffix(" = ")] or expr is None or tail:
            return False
        whole = Either(Name(flat(self.asked(arm))), expr, Name("None"))
        if len(flat(whole)) + len(head) + self.depth * 4 > WIDTH:
            return False
        self.line(head, whole)
        self.declared |= begun
        return True

    def begin_with_none(self, begun: dict[str, str]) -> None:
        """Write that names are None, which a condition may bind."""
        for name, kind in begun.items():
            self.line(f"{name} = None" if name in self.declared else f"{name}: {kind} | None = None")
        self.declared |= begun

    def one_side(self, test: Expr, lines: list[Line]) -> None:
        """Write lines under a condition; under both where they are no more than another one."""
        (depth, head, more, _), *rest = lines
        if head == "if " and more is not None and all(line[0] > depth for line in rest):
            test = Binary("and", test, more)
            lines = [(at - 1, begin, expr, end) for at, begin, expr, end in rest]
        self.line("if ", test, ":")
        self.lines += lines

    def flows(self, item: If) -> bool:
        """Tell whether a condition computes something that is not only a value for later."""
        kinds = Store if self.features else (Side, Store)
        return any(isinstance(inner, kinds) for inner in walk([item]))

    def meeting(self, phi: Phi, item: If, live: set[Wire], phis: list[Phi], taken: list[str]) -> str:
        """Return the name that both sides give a value."""
        if phi.sometimes and phi.wire not in self.want:
            return self.name_or_none(phi, live, taken)
        own = [self.label(w, None, []) for w in (phi.then, phi.otherwise) if w not in self.function.inputs]
        if own and all(own) and len(set(own)) == 1 and phi.wire not in self.want:
            if self.usable(own[0]) and self.is_free(own[0], live | set(item.reads()), taken):
                return own[0]
        made = {wire for inner in (*item.then, *item.otherwise) for wire in inner.makes()}
        outer = [wire for wire in (phi.then, phi.otherwise) if wire not in made and wire in self.names]
        others = {w for p in phis if p is not phi for w in (p.then, p.otherwise)}
        wanted = self.want.get(phi.wire)
        if wanted is not None and self.is_free(wanted, live - {phi.wire, *outer}, taken):
            return wanted
        for wire in sorted(outer, key=lambda w: self.names[w] not in GENERIC):  # a label is of one value
            name = self.names[wire]
            if (
                wire not in live
                and wire not in others
                and name not in self.declared
                and self.is_free(name, (live | others) - {wire}, taken)
            ):
                return name
        dying = [self.names[w] for w in item.reads() if w in self.names and w not in live]
        return self.fresh(
            phi.wire, None, dying, live | set(item.reads()) if outer else live, taken, alone=True
        )

    def name_or_none(self, phi: Phi, live: set[Wire], taken: list[str]) -> str:
        """Return the name of a value that may be None, which no other value has had."""
        kind, bound = self.type_of(phi.wire), {*self.names.values(), *self.want.values()}
        label = next(filter(None, (self.label(wire, None, []) for wire in (phi.then, phi.otherwise))), "")
        return choose(
            (label, f"{label}_") if label else (),
            lambda name: (
                self.is_free(name, live, taken)
                and (self.declared.get(name) == kind or (self.usable(name) and name not in bound))
            ),
        )

    def type_of(self, wire: Wire) -> str:
        """Return the type of a value."""
        return f"list[{self.dialect.array}]" if wire in self.lists else self.dialect.array

    def arm(
        self, items: list[Item], ends: list[tuple[Wire, str]], live: set[Wire], again: bool = False
    ) -> list[Line]:
        """Return the lines of one side, or of a turn, which ends with values under given names."""
        lines, self.lines = self.lines, []
        self.depth += 1
        want, absent = dict(self.want), dict(self.absent)
        for wire, name in ends:
            self.want[wire] = name
        targets = {name for _, name in ends}
        here = {w for w in live if self.names.get(w) not in targets}
        with self.apart(again):
            self.run(ordered(items), here | {wire for wire, _ in ends})
        moves = [
            (name, wire)
            for wire, name in ends
            if self.pending.get(wire) is not None or self.shown_as(wire) != name
        ]
        if moves:
            self.are_there([wire for _, wire in moves if wire in self.absent])
            self.line(f"{', '.join(n for n, _ in moves)} = ", _tuple([self.operand(w) for _, w in moves]))
        self.want, self.absent = want, absent
        self.depth -= 1
        found, self.lines = self.lines, lines
        return found

    def shown_as(self, wire: Wire) -> str:
        """Return a value's name, "" for an expression."""
        return "" if wire in self.fixed else self.names.get(wire, "")

    def side(self, item: Side, live: set[Wire], test: If | None = None) -> None:
        """Write what a further output needs."""
        tests: list[str] = []
        if test is not None:
            arm = Arm(test, True, needed([item], self.absent), [])
            tests.append(flat(self.asked(arm)))
            self.absent = {wire: known for wire, known in self.absent.items() if wire not in arm.needs}
        if item.train:
            tests.append(self.dialect.training)
        optional = item.name in self.optional
        if optional:
            self.want[item.wire] = item.name
        if not tests:
            self.run(item.items, live | {item.wire})
            if optional and self.shown_as(item.wire) != item.name:
                self.line(f"{item.name} = ", self.operand(item.wire))
            return
        if item.wire not in set(item.makes()):
            self.line(f"if {' and '.join(tests)}:")
            self.depth += 1
            self.line(f"{item.name} = ", self.operand(item.wire))
            self.depth -= 1
            return
        self.line(f"if {' and '.join(tests)}:")
        self.depth += 1
        with self.apart():
            self.run(item.items, live | {item.wire} | set(item.reads()))
        if self.shown_as(item.wire) != item.name:
            self.line(f"{item.name} = ", self.operand(item.wire))
        self.depth -= 1

    # ---------------------------------------------------------------- loops

    def gather(self, item: Loop, one: Gathered, live: set[Wire], later: list[Item]) -> None:
        """Write a list of what a loop's turns make: an expression, or statements that append to it."""
        lines, self.lines = self.lines, []
        self.depth += 1
        turns = self.over_children(item)
        held, absent, compared = set(self.held), self.absent, set(self.compared)
        self.absent = self.in_turn(item)
        self.run(ordered(item.body), live | {one.end})
        self.absent, self.compared = absent, compared
        # What a comprehension binds is not bound after it.
        self.held &= held
        self.depth -= 1
        body, self.lines = self.lines, lines
        value: Expr | None = None
        if len(body) == 1 and body[0][1] == f"{self.names.get(one.end)} = " and body[0][2] is not None:
            value = body[0][2]
        elif not body:
            value = self.operand(one.end)
        targets, over, bound = self.turns(item, turns, body, value)
        kept = self.low_memory or bound  # compilers do not drop what a comprehension reads
        if value is not None and not kept:
            each = Each(value, targets, over, star=False)
            self.listed(one.after, Listed((each,)), later, live - {one.end}, item.reads())
            return
        name = self.names[one.after] = self.fresh(one.after, None, [], live | set(self.names), [], alone=True)
        self.line(f"{name}: list[{self.dialect.array}] = []")
        self.line("for ", Name(f"{targets} in {flat(over)}"), ":")
        self.lines += [*bound, *(body if value is None else [])]
        self.depth += 1
        self.line("", Call(f"{name}.append", (argument(value or self.operand(one.end)),)))
        self.depth -= 1
        self.held.add(name)

    def in_turn(self, item: Loop) -> dict[Wire, tuple[Atom, ...]]:
        """Return the values that may be None in a loop's turn: what held before it may not hold there."""
        changing = item.changing()
        return {
            wire: tuple(test for test in known if changing.isdisjoint(names(test)))
            for wire, known in self.absent.items()
        }

    @staticmethod
    def targets(item: Loop, body: list[Line], value: Expr | None = None) -> str:
        """Return a loop's variables, those that nothing reads as underscores."""
        read = words(body, value)
        return item.shown([name if name in read else "_" for name in item.targets])

    def over_children(self, item: Loop) -> dict[str, str]:
        """Let a loop run over the lists that hold a child for each of its turns; return these by their variables.

        It does where the list holds the children of this loop alone, and what else a turn reads is its number, or
        can be looked up by that.
        """
        if self.looked_up(item) is None:
            return {}
        found: dict[str, str] = {}
        for name, made in self.members.one_each(item).items():
            variable = self.variable(name.rpartition(".")[2], made, found)
            found[variable] = name
            self.members.in_turn.update((id(child), variable) for child in made)
        self.turned.update(found)
        return found

    def variable(self, name: str, children: list[Module], others: Iterable[str]) -> str:
        """Return what one child of a list is called, beside `others`: `block` of `blocks`."""
        kind = "layer" if all(isinstance(child, Layer) for child in children) else "block"
        taken = {*words(self.lines), *self.names.values(), *self.held} - self.turned
        taken |= {*others, *self.function.inputs.values(), *self.members.turning, *self.want.values()}
        taken |= {*map(readable, self.function.staged.labels.values()), *self.kept}
        taken |= {"layer", "length"} if self.features else set()

        def is_free(one: str) -> bool:
            return one.isidentifier() and one not in taken and (one in self.turned or self.usable(one))

        wanted = (_PLURAL.sub("", name), kind, *(f"{kind}{number}" for number in range(2, 1000)))
        return next(filter(is_free, wanted if name != "self" else wanted[1:]))

    def looked_up(self, item: Loop) -> tuple[Poly, dict[str, Any]] | None:
        """Return what the first turn of a loop has for a number, and the lists of what its other variables are."""
        over = item.over
        if not isinstance(over, Atom) or over.op != "call":
            return None
        function, *args = over.args
        if function == "range":
            return (args[0] if len(args) > 1 else constant(0), {}) if len(args) < 3 else None
        if function != "enumerate":
            return None
        begin = args[1] if len(args) > 1 else constant(0)
        whole, others = args[0], item.targets[1:]
        if isinstance(whole, Atom) and whole.op == "name":
            return begin, {", ".join(others): whole}
        if isinstance(whole, Atom) and whole.op == "call" and whole.args[0] == "zip":
            lists = whole.args[1:]
            if len(lists) == len(others) and all(isinstance(o, Atom) and o.op == "name" for o in lists):
                return begin, dict(zip(others, lists, strict=True))
        return None

    def turns(
        self, item: Loop, children: dict[str, str], body: list[Line], value: Expr | None = None
    ) -> tuple[str, Expr, list[Line]]:
        """Return a loop's variables, what it runs over, and lines at the begin of a turn that bind the others.

        `children` are the lists of modules that it runs over, by the variable of each.
        """
        if not children:
            return self.targets(item, body, value), self.members.iterated(item), []
        self.members.in_turn.clear()
        found = self.looked_up(item)
        assert found is not None
        begin, others = found
        counter = item.targets[0]
        read = words(body, value)
        bound: list[Line] = []
        for called, whole in others.items():
            own = called.split(", ")
            if not read.isdisjoint(own):
                place = single(Atom("name", (counter,))).plus(begin, -1)
                listed, number = text(self.members.read(whole)), text(self.members.read(place))
                shown = ", ".join(name if name in read else "_" for name in own)
                bound.append((self.depth + 1, f"{shown} = ", Name(f"{listed}[{number}]"), ""))
        targets, over = ", ".join(children), ", ".join(children.values())
        if len(children) > 1:
            over = f"zip({over}, strict=True)"
        if bound or counter in read:
            start = "" if begin == constant(0) else f", {text(self.members.read(begin))}"
            targets = f"{counter}, ({targets})" if len(children) > 1 else f"{counter}, {targets}"
            over = f"enumerate({over}{start})"
        return targets, Name(over), bound

    def loop(self, item: Loop, live: set[Wire], later: list[Item]) -> None:
        """Write a `for`."""
        inside = self.with_lists(outside(item.body)) - {c.wire for c in item.carried}
        if item.gathered and not item.carried:
            self.gather(item, item.gathered[0], live | inside, later)
            return
        body = list(item.body)
        for one in item.gathered:
            name = self.names[one.after] = self.fresh(one.after, None, [], live | inside, [], alone=True)
            self.line(f"{name}: list[{self.dialect.array}] = ", Listed(()))
            body.append(Collect((one.after, one.end), one.after, grows=True))
            live = live | {one.after}
        ends: list[tuple[Wire, str]] = []
        for at, carried in enumerate(item.carried):
            name = self.shown_as(carried.begin)
            if (
                not name
                or name in self.declared
                or carried.begin in live
                or carried.begin in inside
                or any(name == n for _, n in ends)
            ):
                value = self.operand(carried.begin)
                begins = {one.begin for one in item.carried[at:]}
                name = self.fresh(
                    carried.after, None, [], live | inside | begins, [n for _, n in ends], alone=True
                )
                self.line(f"{name} = ", value)
            self.names[carried.wire] = self.names[carried.after] = name
            ends.append((carried.end, name))
        kept = self.kept
        self.kept = (*kept, *(self.names[w] for w in inside if w in self.names))
        absent, self.absent = self.absent, self.in_turn(item)
        turns = self.over_children(item)
        lines = self.arm(body, ends, live | inside, self.low_memory)
        self.absent = absent
        targets, over, bound = self.turns(item, turns, lines)
        lines = [*bound, *lines]
        if lines and not self.appended(lines, targets, over):  # a loop may only name what it reads
            self.line("for ", Name(f"{targets} in {flat(over)}"), ":")
            self.lines += lines
        self.held.update(name for _, name in ends)
        self.kept = kept

    def appended(self, body: list[Line], targets: str, over: Expr) -> bool:
        """Write a loop that puts one value into a list in turns as an expression, if it does no more."""
        if self.low_memory:  # compilers do not drop what a comprehension reads
            return False
        test = None
        if len(body) == 2 and body[0][1] == "if ":
            (_, _, test, _), *body = body
        _, head, call, _ = body[0] if len(body) == 1 else (0, "", None, "")
        if head or not isinstance(call, Call) or not isinstance(call.func, str):
            return False
        name = call.func.removesuffix(".append")
        if name == call.func:
            return False
        each = Each(call.args[0].value, targets, over, False, test)
        heads = (f"{name}: list[{self.dialect.array}] = ", f"{name} = ")
        if self.lines and self.lines[-1][1] in heads and self.lines[-1][2] == Listed(()):
            self.lines[-1] = (self.depth, f"{name} = ", Listed((each,)), "")
        else:
            self.line("", Call(f"{name}.extend", (argument(each),)))
        return True

    # ---------------------------------------------------------------- results

    def results(self) -> None:
        """Write what is returned."""
        outputs = self.function.outputs
        self.are_there([wire for wire in outputs if wire in self.absent])
        sides = self.function.staged.sides if self.is_net else []
        if not sides:
            values = [self.operand(wire) for wire in outputs]
            self.returned(values)
            return
        flow = self.operand(outputs[0])
        if isinstance(flow, Name) and flow.text not in self.function.inputs.values():
            flow = Name(self.annotate(flow.text, self.dialect.array))
        train = self.train_sides()
        record = f"{self.function.name}Outputs"
        every = [flow, *(Name(s.name) if s in train else self.operand(s.wire) for s in sides)]
        if not train:
            self.line("return ", Call(record, tuple(map(argument, every))))
            return
        if len(train) < len(sides):
            self.line("return ", Call(record, tuple(map(argument, every))))
            return
        tests: list[Expr] = [Name(self.dialect.compiled)] if self.dialect.compiled else []
        tests += [Name(f"{side.name} is not None") for side in train]
        self.line("if ", reduce(partial(Binary, "or"), tests), ":")
        self.depth += 1
        self.line("return ", Call(record, tuple(map(argument, every))))
        self.depth -= 1
        self.line("return ", flow)

    def returned(self, values: list[Expr]) -> None:
        """Write the return of values; a type checker is told what it cannot know."""
        if len(values) > 1:
            self.line("return ", _tuple(values))
            return
        value = values[0]
        many = self.function.outputs[0] in self.lists
        if isinstance(value, Listed):
            self.line("return ", value)
            return
        if isinstance(value, Name):
            depth, head, last, tail = self.lines[-1] if self.lines else (0, "", None, "")
            if (depth, head, tail) == (self.depth, f"{value.text} = ", "") and last and self.typed(last):
                self.lines[-1] = depth, "return ", last, ""
                return
            if value.text not in (*self.function.inputs.values(), *self.declared):
                value = Name(
                    self.annotate(value.text, f"list[{self.dialect.array}]" if many else self.dialect.array)
                )
            self.line("return ", value)
            return
        if self.typed(value):
            self.line("return ", value)
            return
        name = "x" if "x" in self.function.inputs.values() else ""
        if name:
            self.line("x = ", value)
        else:
            name = "y"
            self.line(f"y: {self.dialect.array} = ", value)
        self.line("return ", Name(name))

    def annotate(self, name: str, kind: str) -> str:
        """Give the first binding of a name its type; return that name, or another one where it has none."""
        for index, (depth, head, expr, tail) in enumerate(self.lines):
            if head == f"{name} = " and expr is not None:
                self.lines[index] = (depth, f"{name}: {kind} = ", expr, tail)
                return name
            if name in head.removesuffix(" = ").split(", "):
                break
        else:
            return name
        sides = self.function.staged.sides if self.is_net else []
        others = {*(side.name for side in sides), *(self.names.get(side.wire) for side in sides)}
        plain = "x" in self.function.inputs.values() and "x" not in others
        bound = {one for _, head, _, _ in self.lines for one in re.findall(r"\w+", head)}
        own = "x" if plain else f"{choose(('out', *GENERIC), lambda one: one not in bound)}: {kind}"
        depth, head, expr, tail = self.lines[-1]
        if (depth, head) == (self.depth, f"{name} = ") and expr is not None:
            self.lines[-1] = depth, f"{own} = ", expr, tail
        else:
            self.line(f"{own} = ", Name(name))
        return own.partition(":")[0]

    def typed(self, expr: Expr) -> bool:
        """Tell whether a type checker knows an expression to be a tensor."""
        if isinstance(expr, Name):
            return expr.text in self.function.inputs.values()
        if isinstance(expr, Call) and isinstance(expr.func, str):
            if expr.receiver is not None:
                return self.typed(expr.receiver)
            return expr.func in self.dialect.typed
        if isinstance(expr, Binary) and self.dialect.arithmetic:
            return self.typed(expr.left) and self.typed(expr.right)
        return False


def keeps_size(item: Layer | Child) -> bool:
    """Tell whether what an item makes has the size of the only value that it reads."""
    shapes = item.before if isinstance(item, Layer) else item.shapes
    if len(shapes) != 1 or len(item.after) != 1 or not isinstance(shapes[0], Shape):
        return False
    before, after = shapes[0], item.after[0]
    return before.axes == after.axes and [*map(term, before.extent)] == [*map(term, after.extent)]


def times(expr: Expr | None, index: int) -> int:
    """Return how often an expression reads one of its op's inputs."""
    if isinstance(expr, Input):
        return int(expr.index == index)
    return sum(times(part, index) for part in children(expr)) if expr is not None else 1


def argument(value: Expr) -> Arg:
    """Return a tensor as an argument."""
    return Arg("input", value, keyword=False)


def _called(this: Expr, operands: list[Expr]) -> Call:
    return Call(Name(flat(this)), tuple(map(argument, operands)))


def _tuple(values: list[Expr]) -> Expr:
    if len(values) == 1:
        return values[0]
    return Name(", ".join(map(flat, values)))


def _is_tuple(value: Expr) -> bool:
    """Tell whether an expression is several values without brackets, where several are assigned."""
    return isinstance(value, Name) and ", " in value.text


def _is_choice(lines: list[Line]) -> bool:
    """Tell whether lines are one condition with its other sides."""
    (depth, first, _, _), *rest = lines
    return first == "if " and all(head in ("elif ", "else:") for at, head, _, _ in rest if at == depth)


def words(lines: list[Line], value: Expr | None = None) -> set[str]:
    """Return the names in lines, and in an expression."""
    parts = [value, *(part for _, *parts in lines for part in parts)]
    return {word for part in parts if part for word in _WORD.findall(_shown(part))}


_PLURAL = re.compile(r"((?<=ch)|(?<=sh)|(?<=ss)|(?<=x))es$|(?<=[^s])s$")
_WORD = re.compile(r"(?<![\w.])[^\W\d]\w*")
_QUOTED = re.compile(r'(f?)"([^"]*)"')


def _shown(part: str | Expr) -> str:
    """Return a part of a line as text, of an f-string what it reads."""
    whole = part if isinstance(part, str) else flat(part)
    return _QUOTED.sub(lambda found: " ".join(re.findall(r"{([^}]*)}", found[2])) if found[1] else "", whole)

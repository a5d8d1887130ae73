"""Joints with branches under conditions or in loops: where these cannot be counted, they become a list."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from netdsl.diagnostics import NetError
from netdsl.elaborate.draft import Place
from netdsl.elaborate.values import Data, Poisoned, SpecError, Wire
from netdsl.elaborate.walk import has_loop
from netdsl.emission.concolic import Demanded, Fixed, Undecided, mentioned
from netdsl.emission.conditions import of_one_kind
from netdsl.emission.items import Child, Collect, Gathered, If, Item, Layer, Let, Loop, Pick, folds, walk
from netdsl.emission.loops import Loops, counted_by
from netdsl.emission.state import Snapshot
from netdsl.emission.streams import Elements, Parts, Streams
from netdsl.emission.terms import replaced, unbounded
from netdsl.ir.types import Shape
from netdsl.ops.source import Weight
from netdsl.source import Span
from netdsl.symbolic import (
    Atom,
    Poly,
    SymBool,
    SymInt,
    SymList,
    compare,
    constant,
    each,
    either,
    in_terms_of,
    joined,
    named,
    names,
    opposite,
    single,
    term,
)
from netdsl.syntax import tree


class Joining:
    """A joint of branches whose number is not known."""

    def __init__(self, node: tree.Merge, key: str) -> None:
        """`key` is what the list of its branches is called among the values."""
        self.node, self.kind, self.key = node, node.joint.text, key
        self.parts: list[Data] = []
        """Its branches, until there is a condition or loop of some."""
        self.empty = False
        """Whether that list may be empty."""
        self.begun = False
        """Whether they are in that list."""
        self.probing = False
        """Whether only the shapes of its branches are looked for."""
        self.probes: list[tuple[Shape, bool]] = []
        """These, and whether they have the channels of another one."""
        self.like: Shape | None = None
        """That other one."""
        self.sizes: list[tuple[int, ...] | None] = []
        """Those of its branches; None of one that may have another one in another turn."""
        self.opaque = self.rounds = 0
        """How many sizes nothing was known of before it, and how many loops it is in."""


class Uncounted(Fixed):
    """How many branches a joint has depends on a condition."""


class Joints(Loops):
    """Runs the lines of joints."""

    # ---------------------------------------------------------------- branches

    def merged(self, node: tree.Merge, place: Place) -> Data:
        """Return what a joint makes of its branches."""
        outer = self.joint, self.gathering, self.waiting
        self.joint, self.gathering, self.waiting = (node, place.flow), False, None
        try:
            if node.joint.text != "fork" and self.uncounted(node.body, place):
                return self.joined_list(node, place)
            if any(self.of_list(statement, place) for statement in node.body):
                return self.merged_list(node, place)
            before = Snapshot(self, place) if any(map(_conditional, node.body)) else None
            try:
                result = super().merged(node, place)
            except Uncounted:
                if before is None or node.joint.text == "fork":
                    raise
                before.restore(self, place)
                return self.joined_list(node, place)
            item = self.items[-1] if self.items else None
            if isinstance(item, Layer) and item.outputs == result.wires and self.drafts[-1].counted:
                item.counted = True
            return result
        finally:
            self.joint, self.gathering, self.waiting = outer

    joint: tuple[tree.Merge, Data | None] | None = None

    waiting: tuple[tree.If, Data] | None = None
    """The first branch of a sum or product, if that is under a condition, as long as there is no other."""

    gathering = False
    """Whether the lines are those of a loop whose turns are a branch each."""

    def branch(
        self, node: tree.Statement, place: Place, flow: Data | None, branches: list[tuple[str, Data]]
    ) -> bool:
        """Run one line of a joint; a branch under a condition joins those before it."""
        if isinstance(node, tree.Annotated):
            self.allow(node, place)
            node = node.statement
        if not isinstance(node, tree.If):
            return super().branch(node, place, flow, branches) and self.led(place, flow, branches)
        if self.gathering:
            return self.either_branch(node, place, flow, branches)
        holds = self.evaluator.truth(node.cases[0].condition, place.env, place.source)
        if not isinstance(holds, SymBool):
            return super().branch(node, place, flow, branches)
        assert self.joint is not None
        joint = self.joint[0].joint
        if self.leads(node):
            self.cases(node, lambda body: self.one_branch(body, place, flow) if body else None, place)
            self.waiting = node, self.known(place.flow)
            place.flow = flow
            return True
        if not folds(joint.text) or not branches:
            if not all(len(body) == 1 for body in (*[case.body for case in node.cases], node.otherwise)):
                raise Uncounted("a branch under a condition", holds)
            return self.either_branch(node, place, flow, branches)
        begin = len(self.drafts)
        sofar = self.join(joint, [b for _, b in branches], [n for n, _ in branches], place, begin)
        place.flow = flow

        def some(body: tree.Body) -> None:
            mine: list[tuple[str, Data]] = [("", sofar)]
            if not self.fork(body, place, flow, mine):
                raise Poisoned
            place.flow = self.join(joint, [b for _, b in mine], [n for n, _ in mine], place, begin)

        self.cases(node, some, place)
        branches[:] = [("", self.known(place.flow))]
        place.flow = flow
        return True

    def leads(self, node: tree.If) -> bool:
        """Tell whether a condition has the first branch of a sum or product, and the second is there in any case."""
        assert self.joint is not None
        joint = self.joint[0]
        first, *others = filter(None, map(_branch_line, joint.body))
        return (
            folds(joint.joint.text)
            and node is first
            and not node.otherwise
            and all(one_branch(case.body) for case in node.cases)
            and bool(others)
            and not isinstance(others[0], (tree.If, tree.For))
        )

    def led(self, place: Place, flow: Data | None, branches: list[tuple[str, Data]]) -> bool:
        """Join the second branch with the first one, where that is."""
        if self.waiting is None or not branches:
            return True
        assert self.joint is not None
        joint, begin, (node, first) = self.joint[0].joint, len(self.drafts), self.waiting
        self.waiting, mine = None, [data for _, data in branches]

        def some(body: tree.Body) -> None:
            every = [first, *mine] if body else mine
            place.flow = self.join(joint, every, [""] * len(every), place, begin) if every[1:] else every[0]

        self.cases(node, some, place)
        branches[:] = [("", self.known(place.flow))]
        place.flow = flow
        return True

    def either_branch(
        self, node: tree.If, place: Place, flow: Data | None, branches: list[tuple[str, Data]]
    ) -> bool:
        """Run a condition of which every side makes one branch."""
        self.cases(node, lambda body: self.one_branch(body, place, flow), place)
        of_one_kind(place.flow)
        branches.append(("", self.known(place.flow)))
        place.flow = flow
        return True

    def one_branch(self, body: tree.Body, place: Place, flow: Data | None) -> None:
        """Run lines that make one branch of a joint, which then flows."""
        mine: list[tuple[str, Data]] = []
        if not self.fork(body, place, flow, mine):
            raise Poisoned
        if len(mine) != 1:
            raise Fixed(f"{len(mine)} branches in a turn")
        place.flow = mine[0][1]

    # ---------------------------------------------------------------- lists of branches

    def of_list(self, node: tree.Tree, place: Place) -> bool:
        """Tell whether a line of a joint is a loop whose number of turns is an argument."""
        if not isinstance(node, tree.For):
            return False
        over = self.iterable(node, place)
        return over is not None and not over.known and bool(mentioned(over.atom))

    def uncounted(self, body: tree.Body, place: Place) -> bool:
        """Tell whether lines of a joint have a loop whose turns are not known, or are others in every turn around."""
        for node in body:
            if isinstance(node, tree.Annotated):
                node = node.statement
            if isinstance(node, tree.If) and has_loop((node,)):
                return self.staged.decl not in self.emitter.unrolled
            if isinstance(node, tree.For):
                over = self.iterable(node, place)
                if over is not None and (mentioned(over.atom) or (self.loops and not one_branch(node.body))):
                    return True
        return False

    def merged_list(self, node: tree.Merge, place: Place) -> Data:
        """Return the list that a fork with such a loop makes of its branches."""
        kind, flow = node.joint.text, place.flow
        if kind != "fork":
            raise Fixed(f"a loop of branches of {kind}")
        real: tuple[Shape, ...] | None = None
        with suppress(SpecError, Poisoned):  # values with numbers are found below
            real = self.rehearsed(lambda walker, there: walker.merged(node, there), place)
        parts: list[Data] = []
        for statement in node.body:
            place.flow = flow
            if self.of_list(statement, place):
                assert isinstance(statement, tree.For)
                parts.append(self.gathered(statement, place, flow, node))
                continue
            branches: list[tuple[str, Data]] = []
            if not self.branch(statement, place, flow, branches):
                raise Poisoned
            parts += [data for _, data in branches]
        place.flow = flow
        if real is None:
            raise Poisoned
        self.some(parts, f"{kind} needs at least 1 branch")
        return self.collected(parts, Elements(real, tuple(s.c for s in real)), place, place.span(node))

    def lengths(self, parts: Sequence[Data]) -> list[Poly]:
        """Return how long the lists are that are all that a joint has; nothing if it has a branch, whatever holds."""
        own = (self.expanded(term(part.shapes[0][0])) for part in parts if isinstance(part, Streams))
        counts = [unbounded(count) for count in own]
        sure = len(counts) < len(parts) or any(self.is_full(n) or (n.constant or 0) > 0 for n in counts)
        return [] if sure else counts

    def some(self, parts: Sequence[Data], message: str) -> None:
        """Demand that a joint has a branch: one that is no list, or a list that is not empty."""
        counts = self.lengths(parts)
        if not counts:
            return
        if len(counts) == 1:
            self.at_least(counts[0], 1, message)
        else:
            self.checked(either(Atom(">=", (count, constant(1))) for count in counts), message)

    def gathered(self, node: tree.For, place: Place, flow: Data | None, joint: tree.Merge) -> Streams:
        """Return the list of what a loop's turns make; its only element is that of the one turn walked."""
        over = self.iterable(node, place)
        assert over is not None
        variables = self.variables(node)
        variable, count, known = counted_by(over, variables)
        ends: list[tuple[Data, Any]] = []

        def run() -> None:
            self.gathering = True
            self.one_branch(node.body, place, flow)
            self.gathering = False
            data = self.known(place.flow)
            c = term(data.shapes[0].size("c"))
            c = replaced(c if self.joining else self.expanded(c), self.widths)
            ends[:] = [(data, replaced(c, known))]
            place.flow = flow

        before = self.opaque
        outer, self.ranges = self.ranges, {**self.ranges, variable: range(len(over.items))}
        try:
            self.loop(over, node.names, variables, run, place, place.span(node))
        finally:
            self.ranges = outer
        loop = self.items[-1]
        assert isinstance(loop, Loop)
        ((data, channels),) = ends
        count = count if self.joining else self.expanded(count)
        if not self.is_full(count):  # the channels of all are so many times those of one
            if joint.body == (node,):
                self.at_least(count, 1, f"{joint.joint.text} needs at least 1 branch")
            low = self.lowest(count)
            if (low is None or low < 0) and not self.assured(count, 0):
                count = single(Atom("call", ("max", count, constant(0))))
        unknown = any(name.startswith("?") or name in self.emitter.sizes for name in names(channels))
        if unknown and not self.guessing:
            raise Fixed("channels that are not known", channels)
        own = {item.name for item in walk(loop.body) if isinstance(item, Let)}
        own |= {name for item in walk(loop.body) if isinstance(item, Child) for name in item.asked}
        if not own.union(variables).difference({variable}).isdisjoint(names(channels)):
            raise Fixed("channels that are known in a turn alone", channels)
        whole = each(channels, variable, count)
        elements = Elements(data.shapes, SymList((int(data.shapes[0].c),), whole))
        only = loop.body[0] if len(loop.body) == 1 else None
        if isinstance(only, Pick) and only.wire == data.wires[0] and only.index == term(named(0, variable)):
            begins = over.atom.op != "call" or len(over.atom.args) == 2
            if begins and self.staged.lists.get(only.whole) == count:  # a list's own values
                self.items.pop()
                return Streams((only.whole,), (self.of_length(count, len(over.items)),), False, elements)
        result = self.list_wire(count, len(over.items), place, place.span(node))
        loop.gathered.append(Gathered(data.wires[0], result.wires[0]))
        size = self.size_of_all(data, before, loop.changing())
        if size is not None:
            self.one_size[result.wires[0]] = size
        return Streams(result.wires, result.shapes, False, elements)

    def filled(self, kind: str, filled: Data) -> None:
        """Demand that a list that only loops and conditions fill gets a branch of a joint."""
        message = f"{kind} needs at least 1 branch"
        if kind == "concat":  # of which each has channels
            self.begins.update(dict.fromkeys(names(term(filled.shapes[0].c)), 0))
            self.checked(Atom(">=", (term(filled.shapes[0].c), constant(1))), message)
            return
        some = self.holds_branch(filled.wires[0], self.items)
        if isinstance(some, SymBool):
            self.checked(some.test, message)

    def holds_branch(self, wire: Wire, items: Sequence[Item]) -> bool | SymBool:
        """Return where one of some items puts a branch into the list that a wire is."""
        at = next((at for at in reversed(range(len(items))) if wire in items[at].makes()), None)
        if at is None:
            return False  # what earlier turns have put there
        item, before = items[at], items[:at]
        if isinstance(item, If):
            test, phi = self.asked_here(item.test), next(phi for phi in item.phis if phi.wire == wire)
            then = self.holds_branch(phi.then, [*before, *item.then])
            other = self.holds_branch(phi.otherwise, [*before, *item.otherwise])
            if then is True:
                return joined("or", other, lambda: test)
            if other is True:
                return joined("or", then, lambda: opposite(test))
            both = joined("and", test, lambda: then), joined("and", opposite(test), lambda: other)
            return joined("or", both[0], lambda: both[1])
        if isinstance(item, Loop):
            carried = next((one for one in item.carried if one.after == wire), None)
            if carried is not None:
                sofar = self.holds_branch(carried.begin, before)
                return joined("or", sofar, partial(self.turn_has, item, carried.end))
        if isinstance(item, Collect):
            found = item.grows and self.holds_branch(item.parts[0], before)
            for part in item.parts[item.grows :]:
                found = joined("or", found, partial(self.is_branch, part))
            return found
        return self.is_branch(wire)

    def turn_has(self, loop: Loop, end: Wire) -> bool | SymBool:
        """Return where a turn of a loop puts a branch into a list, which it ends with.

        A condition that reads what turns hand on is taken to hold.
        """
        found = self.holds_branch(end, loop.body)
        if isinstance(found, SymBool):
            known: dict[str, Any] = {}
            for let in loop.body:
                if isinstance(let, Let) and not let.again:
                    known[let.name] = in_terms_of(term(let.value), known)
            test = in_terms_of(found.test, known)
            changes = loop.changing().intersection(names(test))
            if changes and changes.issubset(loop.targets):
                return SymBool(True, Atom("any", (test, *loop.comprehended(names(test)))))
            found = True if changes else found
        some = self.asked_here(loop.some) if loop.some is not None else True
        return joined("and", some, lambda: found)

    def is_branch(self, wire: Wire) -> bool | SymBool:
        """Return where a branch is there: it is a value, or a list of some."""
        count = unbounded(self.expanded(self.staged.lists.get(wire, constant(1))))
        return self.is_full(count) or compare(">=", SymInt(self.here(count), count), 1)

    def asked_here(self, test: Atom) -> SymBool:
        """Return a condition with what it is in this instance."""
        return SymBool(bool(self.here(test)), test)

    # ---------------------------------------------------------------- lists that lines fill

    joining: Joining | None = None

    def joined_list(self, node: tree.Merge, place: Place) -> Data:
        """Return what a joint makes of branches whose number is not known: of a list, which its lines fill."""
        kind, span, begin = node.joint.text, place.span(node), len(self.drafts)
        if place.defaults.get(kind) or kind in place.broken:
            raise Fixed(f"a loop of branches of {kind}")
        self.observe_numbers(lambda walker, there: walker.merged(node, there), place)
        outer, flow = self.joining, place.flow
        joining = self.joining = Joining(node, f"{outer.key if outer else ''}+")
        joining.opaque, joining.rounds = self.opaque, len(self.rounds)
        try:
            self.join_lines(node.body, place, flow)
        finally:
            self.joining = outer
        place.flow = flow
        filled = place.env.tensors.pop(joining.key, None)
        if joining.begun and not isinstance(filled, Parts):
            raise Fixed("a joint of branches in loops of loops")
        if filled is None and not any(isinstance(part, Streams) for part in joining.parts):
            return self.join(node.joint, joining.parts, [""] * len(joining.parts), place, begin)
        if filled is None:
            self.some(joining.parts, f"{kind} needs at least 1 branch")
        elif joining.empty:
            self.filled(kind, filled)
        shape = filled.shapes[0] if filled is not None else self.of_joint(kind, joining.parts)
        whole = filled or self.collect(joining.parts, shape, place, span)
        result = self.wire((shape,), place, span, whole.wires)
        first, *others = joining.sizes
        if first is not None and all(one is not None and all(map(self.equal, one, first)) for one in others):
            self.one_size[whole.wires[0]] = first
        self.put_joined(kind, shape, whole.wires[0], result.wires[0])
        return result

    def join_lines(self, body: tree.Body, place: Place, flow: Data | None) -> None:
        """Run lines of a joint, whose branches go into a list."""
        assert self.joining is not None

        def run(body: tree.Body) -> None:
            self.join_lines(body, place, flow)

        for node in body:
            place.flow = flow
            if isinstance(node, tree.Annotated):
                self.allow(node, place)
                node = node.statement
            if isinstance(node, tree.If):
                self.join_either(node, run, place)
            elif isinstance(node, tree.For):
                self.join_turns(node, run, place, flow)
            else:
                branches: list[tuple[str, Data]] = []
                if not super().branch(node, place, flow, branches):
                    raise Poisoned
                for _, data in branches:
                    self.join_one(data, place, place.span(node))
        place.flow = flow

    def join_either(self, node: tree.If, run: Callable[[tree.Body], None], place: Place) -> None:
        """Run a condition of a joint."""
        for at, case in enumerate(node.cases):
            holds = self.evaluator.truth(case.condition, place.env, place.source)
            if isinstance(holds, SymBool):
                self.fill(partial(self.cases, node, run, place, at), place, place.span(node))
                return
            if holds:
                run(case.body)
                return
        run(node.otherwise)

    def join_turns(
        self, node: tree.For, run: Callable[[tree.Body], None], place: Place, flow: Data | None
    ) -> None:
        """Run a loop of a joint."""
        joining, over = self.joining, self.iterable(node, place)
        assert joining is not None
        if over is None or not (mentioned(over.atom) or self.loops):
            for _ in self.turns(node, place):
                run(node.body)
            return
        before = Snapshot(self, place)
        if one_branch(node.body) and not joining.probing:
            try:
                self.join_one(self.gathered(node, place, flow, joining.node), place, place.span(node))
                return
            except Demanded:
                raise
            except Fixed:
                self.gathering = False
                before.restore(self, place)
        variables = self.variables(node)
        span = place.span(node)
        turn = partial(self.loop, over, node.names, variables, lambda: run(node.body), place, span)
        self.fill(turn, place, span)

    def fill(self, run: Callable[[], None], place: Place, span: Span) -> None:
        """Run what puts branches into a joint's list under conditions, or in turns."""
        joining = self.joining
        assert joining is not None
        if joining.key not in place.env.tensors and not joining.probing:
            if joining.parts:
                shape = self.of_joint(joining.kind, joining.parts)
                joining.empty = bool(self.lengths(joining.parts))
            else:
                shape, joining.empty = self.probed(run, place), True
            place.env.tensors[joining.key] = self.collect(joining.parts, shape, place, span)
            joining.begun = True
        run()

    def probed(self, run: Callable[[], None], place: Place) -> Shape:
        """Return the shape of a joint that has no branches yet, of which nothing else is made here.

        It has the channels of the branch to which most others are equal where they are there.
        """
        joining, flow = self.joining, place.flow
        assert joining is not None

        def every() -> None:
            self.join_lines(joining.node.body, place, flow)

        found = self.probe(every, place, None) or self.probe(run, place, None)
        if not found:
            raise Fixed(f"{joining.kind} has no branches")
        shape = found[0][0]
        candidates = {term(one.c): one for one, _ in found} if joining.kind != "concat" else {}
        if len(candidates) > 1:

            def alike(one: Shape) -> int:
                return sum(same for _, same in self.probe(every, place, one))

            shape = max(candidates.values(), key=alike)
        sizes = [
            n if axis == "c" else self.unknown_size(int(n)) for axis, n in zip(shape.axes, shape, strict=True)
        ]
        shape = Shape(*sizes, axes=shape.axes)
        if joining.kind == "concat":
            return shape.with_size("c", 0)
        if not set(mentioned(shape.c)) <= {*self.hints} and not self.guessing:
            raise Fixed("channels that are known in a turn alone", shape.c)
        return shape

    def probe(self, run: Callable[[], None], place: Place, like: Shape | None) -> list[tuple[Shape, bool]]:
        """Return the shapes of the branches that lines make, and whether their channels are those of another."""
        joining, before = self.joining, Snapshot(self, place)
        assert joining is not None
        joining.probes, joining.like = [], like
        joining.probing = True
        try:
            with suppress(Fixed, Undecided, SpecError, Poisoned, NetError):
                run()
        finally:
            joining.probing = False
        before.restore(self, place)
        return joining.probes

    def join_one(self, data: Data, place: Place, span: Span) -> None:
        """Put a branch, or all of a list, into a joint's list."""
        joining = self.joining
        assert joining is not None
        if not isinstance(data, Streams):
            data = self.single(data, span)
        if "c" not in data.shapes[0].axes and not isinstance(data, Streams):
            raise Fixed("a joint of what has no channels")
        if joining.probing:
            shape = self.of_joint(joining.kind, [data])
            alike = joining.like is None or self.equal(shape.c, joining.like.c)
            joining.probes.append((shape, alike))
            return
        if isinstance(self.drafts[data.wires[0].draft].op, Weight):
            raise Fixed("a learned tensor among branches that are not known")
        self.reading(data)
        changing = {name for turns in self.rounds[joining.rounds :] for name in turns.loop.targets}
        changing = changing.union(*(turns.carried for turns in self.rounds[joining.rounds :]))
        joining.sizes.append(self.size_of_all(data, joining.opaque, changing))
        filled = place.env.find_tensor(joining.key)
        if joining.begun and not isinstance(filled, Parts):
            raise Fixed("a joint of branches in loops of loops")
        if filled is None:
            joining.parts.append(data)
            return
        shape = self.of_joint(joining.kind, [filled, data])
        place.env.tensors[joining.key] = self.collect([filled, data], shape, place, span, grows=True)

    def collect(
        self, parts: Sequence[Data], shape: Shape, place: Place, span: Span, grows: bool = False
    ) -> Data:
        """Return the list of a joint's branches: that of a loop that made it, or a new one."""
        made = [one.after for loop in self.items if isinstance(loop, Loop) for one in loop.gathered]
        if len(parts) == 1 and parts[0].wires[0] in made:
            return Parts(parts[0].wires, (shape,))
        result = self.wire((shape,), place, span)
        self.items.append(Collect(tuple(part.wires[0] for part in parts), result.wires[0], grows))
        return self.like(Parts(result.wires, result.shapes))

    def size_of_all(self, part: Data, known: int, changing: Collection[str]) -> tuple[int, ...] | None:
        """Return the size of a branch, or that of all of a list, in every turn; None where they may differ.

        In a turn there are names that are `changing`, and sizes that nothing is known of beside those `known` before.
        """
        of_list = part.wires[0] in self.staged.lists
        size = self.one_size.get(part.wires[0]) if of_list else part.shapes[0].extent
        read = [name for one in size or () for name in names(self.expanded(term(one)))]
        new = any(name.startswith("?") and int(name[1:] or 0) > known for name in read)
        return None if new or not set(read).isdisjoint(changing) else size


def _branch_line(node: tree.Statement) -> tree.Statement | None:
    """Return a line of a joint, if it makes branches."""
    node = node.statement if isinstance(node, tree.Annotated) else node
    return node if isinstance(node, (tree.Line, tree.Container, tree.Merge, tree.If, tree.For)) else None


def _conditional(node: tree.Statement) -> bool:
    return isinstance(node.statement if isinstance(node, tree.Annotated) else node, tree.If)


def one_branch(body: tree.Body) -> bool:
    """Tell whether lines of a joint make one branch, whatever holds."""
    found = 0
    for node in body:
        if isinstance(node, tree.Annotated):
            node = node.statement
        if isinstance(node, tree.If):
            if not all(map(one_branch, (*[case.body for case in node.cases], node.otherwise))):
                return False
        elif isinstance(node, tree.For):
            return False
        found += isinstance(node, (tree.If, tree.Line, tree.Container, tree.Merge))
    return found == 1

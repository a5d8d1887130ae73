"""Liveness: which tensors are alive at each step of inference, in the order in which emitted code runs.

Emitted code drops nothing on purpose: a value lives until its name is bound anew, or the function that it is in
returns (`bindings.py` says which name is bound when). What a block or container is given lives until that returns,
since its caller holds it; what is written as an operand, until what it is an operand of is there. Views share the
storage of what they look at, and so does what is written in place.

This is exact to the byte for the tensors of emitted PyTorch code, with three exceptions. An instance of a block that
lacks an optional part holds what that part would have read for as long as the others do. A sum of three or more
holds what it has so far while its next part is computed, but the moments of adding are not looked at. And code with
loops and lists stands for other arguments too, which its names follow and one instance does not tell: a list of
streams or branches lives as a whole, values by their numbers (`p{i}`) live until the function returns, and the names
that go from turn to turn may hold a map longer, or let it go sooner, than is said here. In HRNet and NASNet the
peak is exact all the same. So with what emitted code names for other reasons: a value that only a scope within calls
by name, or branches of different inputs, whose sizes it compares.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from types import MappingProxyType
from typing import Any

from netdsl.collector import no_collection
from netdsl.ir.graph import Node, Scope, Value
from netdsl.ir.types import DTYPES
from netdsl.ops import Op
from netdsl.ops.source import Input, Weight
from netdsl.passes.bindings import Frame, Step, handed_on, is_sequential
from netdsl.passes.facts import Facts, Holds, Lifetime, Lifetimes, Liveness
from netdsl.passes.inplace import overwriting


def find_lifetimes(facts: Facts) -> Facts:
    """Add how long the storage lives that each node allocates in inference; the shapes must be known."""
    with no_collection():
        run = _Run(facts, overwriting(facts.graph))
        lifetimes = {
            name: Lifetime(
                run.first.get(name, run.step[name]),
                until,
                sum([shape.elements for shape in facts.shapes[name]]),
            )
            for name, until in run.last.items()
        }
    return facts.replace(lifetimes=lifetimes)


def find_holds(facts: Facts) -> Facts:
    """Add how long each value is held in training, where no two share a storage but by what ops say; see `Holds`."""
    with no_collection():
        run = _Run(facts, overwriting(facts.graph), training=True)
    return facts.replace(holds=Holds(until=run.last, added=run.added))


def _owners(nodes: Mapping[str, Node], facts: Facts, writing: frozenset[str]) -> dict[str, str]:
    """Return, by node, the node that allocated the storage of its output."""
    owners: dict[str, str] = {}
    for name, node in nodes.items():
        op = node.op
        shares = (op.aliases or op.wiring or name in writing) and _shares(node, facts, writing)
        owners[name] = owners[node.inputs[0].node] if shares else name
    return owners


def _shares(node: Node, facts: Facts, writing: frozenset[str]) -> bool:
    """Tell whether the output of a node is in the storage of its first input."""
    op = node.op
    if not node.inputs:
        return False
    if op.aliases and not op.computes:
        return True
    if op.folds and len(node.inputs) == 1:
        return True  # the joint of one branch is that branch
    return node.name in writing and op.overwrites(*[facts.shapes[v.node][v.port] for v in node.inputs])


class _Plan:
    """What a function holds when: the same for all scopes of one form."""

    __slots__ = ("held", "sums")

    def __init__(self, held: list[list[int]], sums: dict[int, int]) -> None:
        """`held` are by step the values that nothing holds after it; `sums` the sums of three or more by their parts.

        Values are numbers, as `_Run.form` counts them, and steps are indices.
        """
        self.held, self.sums = held, sums


class _Run:
    """Inference, function by function: each scope is a module, and calls what is in it."""

    def __init__(self, facts: Facts, writing: frozenset[str], training: bool = False) -> None:
        """Run the net's own function; in training everything runs, and values are looked at one by one."""
        self.shapes = facts.shapes
        self.nodes = facts.graph.nodes
        self.trains = set() if training else {name for name, node in self.nodes.items() if node.train}
        self.outputs = tuple(output.value for output in facts.graph.outputs)
        owners = _owners(self.nodes, facts, writing)
        self.writing = frozenset([n for n in writing if owners[n] == owners[self.nodes[n].inputs[0].node]])
        if training:
            owners = {name: name for name in self.nodes}
        self.owners = owners
        self.order = list(facts.graph.tree.nodes())
        self.step = {name: step for step, name in enumerate(self.order)}
        self.first: dict[str, int] = {}
        """The step from which a sum of three or more holds what it has so far."""
        self.last = {
            name: len(self.step) - 1 if isinstance(node.op, Input) else self.step[name]
            for name, node in self.nodes.items()
            if owners[name] == name and not isinstance(node.op, Weight) and name not in self.trains
        }
        """The step up to which each storage lives that is allocated."""
        self.added: dict[int, list[tuple[str, int]]] = {}
        """By step, the sums of three or more that have so many of their parts added before it."""
        self.plans: dict[tuple[Any, ...], _Plan] = {}
        self.call(facts.graph.tree)

    def call(self, scope: Scope, end: int = 0) -> int:
        """Run a function after a step; return its last step, which is that one where nothing runs in it."""
        items = scope.steps
        numbers, form = self.form(scope)
        plan = self.plans.get(form)
        if plan is None:
            plan = self.plans[form] = self.plan(scope, numbers)
        names, owners, last = list(numbers), self.owners, self.last
        for at, (item, held) in enumerate(zip(items, plan.held, strict=True)):
            if at in plan.sums:
                joint = self.nodes[str(items[plan.sums[at]])]
                self.first.setdefault(joint.name, end + 1)
                part = item.outputs[0] if isinstance(item, Scope) else Value(item)
                self.added.setdefault(end + 1, []).append((joint.name, joint.inputs.index(part)))
            end = self.call(item, end) if isinstance(item, Scope) else self.step[item]
            for number in held:
                owner = owners[names[number]]
                if last.get(owner, end) < end:
                    last[owner] = end
        return end

    def form(self, scope: Scope) -> tuple[dict[str, int], tuple[Any, ...]]:
        """Return the numbers of the nodes whose values a function has, and all that decides what it holds when.

        It begins a part with a type or a text, and has values as their numbers, with a port as one below 0.
        """
        numbers: dict[str, int] = {}
        parts: list[Any] = [scope.kind, scope.input_names]
        inside = len(scope.path) + 1 if scope.path else 0
        nodes, shapes, writing, trains = self.nodes, self.shapes, self.writing, self.trains

        def note(values: Iterable[Value]) -> None:
            for node, port in values:
                parts.append(numbers.setdefault(node, len(numbers)))
                if port:
                    parts.append(-port)

        note(scope.inputs)
        for item in scope.steps:
            if isinstance(item, Scope):
                parts += (
                    Scope,
                    item.path[inside:],
                    item.module[inside:],
                    bool(trains) and next(item.nodes(), "") in trains,
                )
                note(item.inputs)
                parts.append("")
                note(item.outputs)
                parts += (item.kind, *handed_on(item, nodes).values())
            else:
                node = nodes[item]
                parts += (type(node.op), item[inside:], len(shapes[item]), item in writing, node.train)
                for source, port in node.inputs:
                    parts.append(numbers[source])
                    if port:
                        parts.append(-port)
                numbers[item] = len(numbers)
        parts.append("")
        note(scope.outputs or self.outputs)
        for value, name in scope.names.items():
            if value.node in numbers:
                parts.append(name)
                note((value,))
        for item, module in scope.modules.items():
            parts += (item[inside:], module[inside:])
        parts += (scope.order, tuple(scope.stages), frozenset(scope.cuts))
        return numbers, tuple(parts)

    def plan(self, scope: Scope, numbers: Mapping[str, int]) -> _Plan:
        """Find what a function holds when, by the names that its values have in emitted code."""
        steps = self.steps(scope)
        latest: dict[str, int] = {}
        sums: dict[int, int] = {}
        outputs = scope.outputs or self.outputs
        if is_sequential(scope, steps, outputs):  # what a step reads is gone after it
            for at, step in enumerate(steps):
                latest.update([(value.node, at) for value in (*step.reads, *step.makes)])
        else:
            frame = Frame(scope, steps, outputs, self.writing)
            for at, step in enumerate(frame.steps):
                if frame.is_summed(at):
                    sums[at] = frame.parts[at]
                gone = frame.added(step)
                values = [value for value in (*step.reads, *step.makes) if value not in gone]
                values += () if step.train else frame.run(at)
                latest.update([(value.node, at) for value in values])
            latest.update([(value.node, len(steps) - 1) for value in frame.values()])
        held: list[list[int]] = [[] for _ in steps]
        for node, at in latest.items() if steps else ():  # else it hands on what its caller holds
            held[at].append(numbers[node])
        return _Plan(held, sums)

    def steps(self, scope: Scope) -> list[Step]:
        """Return what a function does."""
        steps: list[Step] = []
        for at in scope.order or range(len(scope.written)):
            item = scope.written[at]
            if isinstance(item, Scope):
                train = bool(self.trains) and next(item.nodes(), "") in self.trains
                step = Step(scope, item, None, 0, train, item.module)
                step.handed = handed_on(item, self.nodes)
            else:
                module = scope.modules.get(item, "")
                step = Step(
                    scope, item, self.nodes[item], len(self.shapes[item]), item in self.trains, module
                )
            step.begins, step.cut = at in scope.stages, at in scope.cuts
            steps.append(step)
        return steps


def measure_liveness(
    facts: Facts, batch: int, dtype: str, fused: Mapping[str, str] = MappingProxyType({})
) -> Liveness:
    """Return how many bytes are alive at each step; the lifetimes must be known.

    `fused` are the nodes that run within the step of another, as `find_fused` gives them: they are no steps.
    """
    size = DTYPES[dtype]
    nodes = facts.graph.nodes
    order = list(facts.graph.tree.nodes())
    lifetimes = _folded(facts.lifetimes, order, fused)
    change = [0] * (len(order) + 1)
    for life in lifetimes.values():
        change[life.first] += life.elements * size
        change[life.last + 1] -= life.elements * size
    alive = {}
    for name, held in zip(order, accumulate(change), strict=False):
        node = nodes[name]
        if node.train or name in fused:
            continue
        op, scratch = node.op, 0
        if type(op).scratch is not Op.scratch:
            scratch = op.scratch(size, *[facts.shapes[value.node][value.port] for value in node.inputs])
        if len(node.inputs) > 2 and op.folds and name in lifetimes:
            scratch += size * lifetimes[name].elements  # the sum so far
        alive[name] = batch * (held + scratch)
    peak = max(alive.values())
    at = next(name for name, held in alive.items() if held == peak)
    step = order.index(at)
    holding = tuple([name for name, life in lifetimes.items() if life.first <= step <= life.last])
    return Liveness(alive, peak, at, holding)


def _folded(lifetimes: Lifetimes, order: Sequence[str], fused: Mapping[str, str]) -> Lifetimes:
    """Return the lifetimes where what is fused is computed in registers: a step allocates what its last op makes."""
    if not fused:
        return lifetimes
    at = {name: step for step, name in enumerate(order)}
    members: dict[str, list[str]] = {}
    for name in lifetimes:
        members.setdefault(fused.get(name, name), []).append(name)
    last = {step: max(names, key=at.__getitem__) for step, names in members.items()}
    return {
        name: lifetimes[name].replace(first=min(at[step], lifetimes[name].first))
        for step, name in last.items()
    }

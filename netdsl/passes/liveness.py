"""Liveness: which tensors are alive at each step of inference, in the order in which emitted code runs.

Emitted code drops nothing on purpose: a value lives until its name is bound anew, or the function that it is in
returns (`bindings.py` says which name is bound when). What a block or container is given lives until that returns,
since its caller holds it; what is written as an operand, until what it is an operand of is there. Views share the
storage of what they look at, and so does what is written in place.

This is exact to the byte for the tensors of emitted PyTorch code, with three exceptions: an instance of a block that
lacks an optional part holds what that part would have read for as long as the others do; a sum of three or more
holds what it has so far while its next part is computed, but the moments of adding are not looked at; and a list of
streams, and what a loop hands from turn to turn, have names of their own in the code, so that a map may be held by
the name that it had before. In HRNet and NASNet the peak is exact all the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import accumulate

from netdsl.collector import no_collection
from netdsl.ir.graph import Node, Scope, Value
from netdsl.ir.types import DTYPES
from netdsl.passes.bindings import Frame, Step, is_sequential
from netdsl.passes.facts import Facts, Lifetime, Liveness
from netdsl.passes.inplace import overwriting


def find_lifetimes(facts: Facts) -> Facts:
    """Add how long the storage lives that each node allocates in inference; the shapes must be known."""
    with no_collection():
        writing = overwriting(facts.graph)
        run = _Run(facts, writing, _owners(facts, writing))
        lifetimes = {
            name: Lifetime(
                run.first.get(name, run.step[name]),
                until,
                sum(shape.elements for shape in facts.shapes[name]),
            )
            for name, until in run.last.items()
        }
    return facts.replace(lifetimes=lifetimes)


def _owners(facts: Facts, writing: frozenset[str]) -> Mapping[str, str]:
    """Return, by node, the node that allocated the storage of its output."""
    owners: dict[str, str] = {}
    for node in facts.graph:
        owners[node.name] = owners[node.inputs[0].node] if _shares(node, facts, writing) else node.name
    return owners


def _shares(node: Node, facts: Facts, writing: frozenset[str]) -> bool:
    """Tell whether the output of a node is in the storage of its first input."""
    op = node.op
    if not node.inputs:
        return False
    if op.aliases and not op.computes:
        return True
    if len(node.inputs) == 1 and op.wiring and op.arity == (1, None) and op.name != "concat":
        return True  # the joint of one branch is that branch
    return node.name in writing and op.overwrites(*[facts.shapes[v.node][v.port] for v in node.inputs])


class _Run:
    """Inference, function by function: each scope is a module, and calls what is in it."""

    def __init__(self, facts: Facts, writing: frozenset[str], owners: Mapping[str, str]) -> None:
        """Run the net's own function."""
        self.shapes = facts.shapes
        self.nodes = {node.name: node for node in facts.graph}
        self.trains = {name for name, node in self.nodes.items() if node.train}
        self.outputs = tuple(output.value for output in facts.graph.outputs)
        self.owners = owners
        self.writing = frozenset(n for n in writing if owners[n] == owners[self.nodes[n].inputs[0].node])
        self.step = {name: step for step, name in enumerate(facts.graph.tree.nodes())}
        self.first: dict[str, int] = {}
        """The step from which a sum of three or more holds what it has so far."""
        self.last = {
            name: len(self.step) - 1 if node.op.name == "input" else self.step[name]
            for name, node in self.nodes.items()
            if owners[name] == name and node.op.name != "weight" and not node.train
        }
        """The step up to which each storage lives that is allocated."""
        self.call(facts.graph.tree)

    def hold(self, value: Value, until: int) -> None:
        """Let the storage of a value live up to a step."""
        owner = self.owners[value.node]
        if self.last.get(owner, until) < until:
            self.last[owner] = until

    def call(self, scope: Scope) -> int:
        """Run a function; return its last step."""
        steps = self.steps(scope)
        end = 0
        if is_sequential(scope, steps):  # what a step reads is gone after it
            for step in steps:
                end = self.call(step.item) if isinstance(step.item, Scope) else self.step[step.item]
                for value in (*step.reads, *step.makes):
                    self.hold(value, end)
            return end
        frame = Frame(scope, steps, scope.outputs or self.outputs, self.writing)
        for at, step in enumerate(frame.steps):
            if (joint := frame.summed(at)) is not None:
                self.first.setdefault(str(joint.item), end + 1)
            end = self.call(step.item) if isinstance(step.item, Scope) else self.step[step.item]
            gone = frame.added(step)
            for value in (*step.reads, *step.makes):
                if value not in gone:
                    self.hold(value, end)
            if not step.train:
                for value in frame.run(at):
                    self.hold(value, end)
        for value in frame.values():
            self.hold(value, end)
        return end

    def steps(self, scope: Scope) -> list[Step]:
        """Return what a function does."""
        steps: list[Step] = []
        for at in scope.order or range(len(scope.items)):
            item = scope.items[at]
            if isinstance(item, Scope):
                step = Step(item, None, 0, bool(self.trains) and next(item.nodes(), "") in self.trains)
            else:
                module = scope.modules.get(item, "")
                step = Step(item, self.nodes[item], len(self.shapes[item]), item in self.trains, module)
            step.begins, step.cut = at in scope.stages, at in scope.cuts
            steps.append(step)
        return steps


def measure_liveness(facts: Facts, batch: int, dtype: str) -> Liveness:
    """Return how many bytes are alive at each step; the lifetimes must be known."""
    size = DTYPES[dtype]
    order = list(facts.graph.tree.nodes())
    change = [0] * (len(order) + 1)
    for life in facts.lifetimes.values():
        change[life.first] += life.elements * size
        change[life.last + 1] -= life.elements * size
    alive = {}
    for name, held in zip(order, accumulate(change), strict=False):
        node = facts.graph[name]
        if not node.train:
            scratch = node.op.scratch(size, *[facts.shapes[value.node][value.port] for value in node.inputs])
            if name in facts.lifetimes and len(node.inputs) > 2 and node.op.name in ("add", "mul"):
                scratch += size * facts.lifetimes[name].elements  # the sum so far
            alive[name] = batch * (held + scratch)
    at = max(alive, key=lambda name: alive[name])
    step = order.index(at)
    holding = tuple(name for name, life in facts.lifetimes.items() if life.first <= step <= life.last)
    return Liveness(alive, alive[at], at, holding)

"""Liveness: which tensors are alive at each step of inference, in the order in which emitted code runs.

A value lives until its last reader has returned, and what a block or container is given until that returns: the
caller holds its arguments. Views share the storage of what they look at, and so does what is written in place.

This is exact to the byte for the tensors of emitted PyTorch code, with one exception: an instance of a block that
lacks an optional part holds what that part would have read for as long as the others do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate

from netdsl.collector import no_collection
from netdsl.ir.graph import Graph, Node, Scope, Value
from netdsl.ir.types import DTYPES
from netdsl.passes.facts import Facts, Lifetime, Liveness
from netdsl.passes.inplace import overwriting


def find_lifetimes(facts: Facts) -> Facts:
    """Add how long the storage lives that each node allocates in inference; the shapes must be known."""
    with no_collection():
        frames = _Frames(facts.graph)
        owners = _owners(facts, overwriting(facts.graph))
        last = _last_uses(facts, frames, owners)
        lifetimes = {
            name: Lifetime(
                frames.step[name],
                until,
                sum(shape.elements for shape in facts.shapes[name]),
            )
            for name, until in last.items()
        }
    return facts.replace(lifetimes=lifetimes)


class _Frames:
    """The calls of emitted code: each scope is a module, and calls what is in it from its first to its last step."""

    def __init__(self, graph: Graph) -> None:
        """Number the nodes in the order in which they run."""
        self.step: dict[str, int] = {}
        self.parent: dict[Scope, Scope] = {}
        self.owner: dict[str, Scope] = {}
        self.depth: dict[Scope, int] = {graph.tree: 0}
        self.end: dict[Scope, int] = {}
        self._enter(graph.tree)

    def _enter(self, scope: Scope) -> None:
        for item in scope.steps:
            if isinstance(item, Scope):
                self.parent[item] = scope
                self.depth[item] = self.depth[scope] + 1
                self._enter(item)
            else:
                self.owner[item] = scope
                self.step[item] = len(self.step)
        self.end[scope] = len(self.step) - 1

    def common(self, maker: str, reader: str) -> tuple[Scope, int]:
        """Return the scope in which a value is read that was made there or within, and when the reading ends."""
        a, b = self.owner[maker], self.owner[reader]
        end = self.step[reader]
        while self.depth[b] > self.depth[a]:
            b, end = self.parent[b], self.end[b]
        while a is not b:
            if self.depth[b] == self.depth[a]:
                b, end = self.parent[b], self.end[b]
            a = self.parent[a]
        return a, end


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


def _last_uses(facts: Facts, frames: _Frames, owners: Mapping[str, str]) -> dict[str, int]:
    """Return the step up to which each storage lives that inference allocates."""
    graph = facts.graph
    whole = frames.end[graph.tree]
    last = {
        node.name: whole if node.op.name == "input" else frames.step[node.name]
        for node in graph
        if owners[node.name] == node.name and node.op.name != "weight" and not node.train
    }
    latest: dict[Value, tuple[int, int]] = {}  # the step of the last reader, and when its reading ends
    for node in graph:
        for value in node.inputs:
            scope, end = frames.common(value.node, node.name)
            # what only training reads last is not dropped: in evaluation the statement does not run
            until = frames.end[scope] if node.train else end
            latest[value] = max(latest.get(value, (0, 0)), (frames.step[node.name], until))
    for output in graph.outputs:
        latest[output.value] = whole, whole
    for values, end, until in _bound_together(facts, frames):
        unread = [value for value in values if latest.get(value, (0, 0))[0] <= end]
        if len(unread) < len(values):  # one that nobody reads keeps its name
            latest.update(dict.fromkeys(unread, (end, until)))
    for (name, _), (_, until) in latest.items():
        owner = owners[name]
        if owner in last:
            last[owner] = max(last[owner], until)
    return last


def _bound_together(facts: Facts, frames: _Frames) -> Iterator[tuple[Sequence[Value], int, int]]:
    """Yield what one call returns where that is several values, when it returns, and when its caller does."""
    for node in facts.graph:
        count = len(facts.shapes[node.name])
        if count > 1:
            values = [Value(node.name, port) for port in range(count)]
            yield values, frames.step[node.name], frames.end[frames.owner[node.name]]
    for scope, caller in frames.parent.items():
        if len(scope.outputs) > 1:
            yield scope.outputs, frames.end[scope], frames.end[caller]


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
            alive[name] = batch * (held + scratch)
    at = max(alive, key=lambda name: alive[name])
    step = order.index(at)
    holding = tuple(name for name, life in facts.lifetimes.items() if life.first <= step <= life.last)
    return Liveness(alive, alive[at], at, holding)

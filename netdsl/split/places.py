"""Where a net can be cut, and what the part between two places takes.

Each step between two layers is a place, with these exceptions. Inputs of the net are the first part's. Learned
tensors that stand for themselves are in the part that reads them, as they have no axis for samples to be divided
along; so is what is made of them alone. What runs a module with a state twice is one part. What no output needs is in
the part that reads it, since what is sent gets a gradient. And windows are no input of any net.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate

from netdsl.backend import batchless
from netdsl.elaborate.layers import has_state
from netdsl.ir.graph import Graph, Value
from netdsl.ir.tape import Step as TapeStep
from netdsl.ir.tape import Storage, Tensor
from netdsl.ir.types import DTYPES
from netdsl.net import Net
from netdsl.passes import Facts
from netdsl.passes.training import OPTIMIZERS, module_bytes, needed_by_outputs, record
from netdsl.record import Record
from netdsl.transforms.tree import input_axes


class Places(Record):
    """The places of a net."""

    order: tuple[str, ...]
    """Its nodes, in an order in which they can be computed."""
    at: tuple[int, ...]
    """The places: indices into that, from 0 to its length."""
    across: tuple[tuple[Value, ...], ...]
    """By place, the values that a cut there carries, what is made last first: what flows, and then what it skips."""


def find_places(net: Net) -> Places:
    """Return where a net can be cut."""
    graph = net.graph
    shared = {node.name for node in batchless(net)}
    order = _order(graph, shared)
    at = {name: index for index, name in enumerate(order)}
    last, needed = _last_reads(graph, at), needed_by_outputs(graph)
    whole = [0] * (len(order) + 1)
    """By place, how many spans hold it that are not to be cut."""

    def keep(first: int, end: int) -> None:
        """Do not cut between two nodes."""
        if first < end:
            whole[first + 1] += 1
            whole[end + 1] -= 1

    keep(0, len(graph.inputs))
    for value, end in last.items():
        inseparable = value.node in shared or value.node not in needed
        if inseparable or not input_axes(net.outputs_of(value.node)[value.port]):
            keep(at[value.node], min(end, len(order) - 1))
    for names in _same(graph):
        found = [at[name] for name in names]
        keep(min(found), max(found))
    free = [depth == 0 for depth in accumulate(whole)]
    across: list[list[Value]] = [[] for _ in range(len(order) + 1)]
    for value, end in last.items():
        for place in range(at[value.node] + 1, end + 1):
            if place < len(order) and free[place]:
                across[place].append(value)
    found = [
        place
        for place in range(len(order) + 1)
        if place in (0, len(order)) or (free[place] and across[place])
    ]
    return Places(tuple(order), tuple(found), tuple(tuple(reversed(across[place])) for place in found))


def _order(graph: Graph, shared: set[str]) -> list[str]:
    """Return the nodes in the graph's order, but inputs first, and what all samples share before what reads it."""
    order = dict.fromkeys(graph.inputs.values())

    def put(name: str) -> None:
        if name not in order:
            for value in graph[name].inputs:
                if value.node in shared:
                    put(value.node)
            order[name] = None

    for node in graph:
        if node.name not in shared:
            put(node.name)
    for name in shared:  # what nobody reads
        put(name)
    return list(order)


def _last_reads(graph: Graph, at: Mapping[str, int]) -> dict[Value, int]:
    """Return by value the index of the last node that reads it, or that of the end if it is an output."""
    last: dict[Value, int] = {}
    for name in at:
        for value in graph[name].inputs:
            last[value] = at[name]
    for output in graph.outputs:
        last[output.value] = len(at)
    return dict(sorted(last.items(), key=lambda item: (at[item[0].node], item[0].port)))


def _same(graph: Graph) -> Iterator[Sequence[str]]:
    """Yield the nodes of each module with a state that is there more than once, all of its runs together."""
    runs: dict[str, list[str]] = {}
    for node in graph:
        if has_state(node.op):
            runs.setdefault(node.home, []).append(node.name)
    yield from (names for names in runs.values() if len(names) > 1)


class Holdings:
    """What parts of a net save in training, as the tape of the whole net tells.

    A value that is sent comes in order. Of one that did not lie so, who gets it may save other things: such parts
    are known only when they are measured by themselves.
    """

    def __init__(self, net: Net, places: Places, micro_batch: int, dtype: str) -> None:
        """Let a micro-batch run through the net."""
        graph = net.graph
        self.net, self.places, self.dtype, self.micro_batch = net, places, dtype, micro_batch
        self.at = {name: index for index, name in enumerate(places.order)}
        _, self.values = record(Facts(graph, net.elaborated.shapes), micro_batch, dtype)
        self.made: dict[Storage, int] = {}
        """Where a storage is made, by index in the order."""
        for name in sorted(self.values, key=self.at.__getitem__):
            for value in self.values[name]:
                self.made.setdefault(value.storage, self.at[name])
        self.keeps: list[list[Storage]] = [[] for _ in places.order]
        outputs = [self.values[output.value.node][output.value.port] for output in graph.outputs]
        for step in _steps(outputs):
            self.keeps[self.at[step.layer]] += step.keeps
        for index, storages in enumerate(self.keeps):
            for storage in storages:
                self.made.setdefault(storage, index)
        self.rows: dict[int, tuple[list[int], Iterator[int]]] = {}

    def saved(self, begin: int, end: int) -> int:
        """Return the bytes that the part between two places saves for a micro-batch."""
        if begin not in self.rows:
            self.rows[begin] = [0], self.row(begin)
        known, more = self.rows[begin]
        while len(known) <= end - begin:
            known.append(next(more))
        return known[end - begin]

    def row(self, begin: int) -> Iterator[int]:
        """Yield what a part saves that begins at a place and ends at the next one, and the next."""
        at, order, made = self.places.at, self.places.order, self.made
        first, total = at[begin], 0
        seen: set[Storage | Value] = set()
        for start, stop in zip(at[begin:], at[begin + 1 :], strict=False):
            for index in range(start, stop):
                for storage in self.keeps[index]:
                    if made[storage] >= first:
                        if storage not in seen:
                            seen.add(storage)
                            total += storage.nbytes
                        continue
                    for value in self.received(order[index], storage, first):
                        if value not in seen:
                            seen.add(value)
                            total += self.bytes_of(value)
            yield total

    def received(self, name: str, storage: Storage, first: int) -> Iterator[Value]:
        """Yield the values in a storage that a node reads of an earlier part, itself or by views of them."""
        for value in self.net.graph[name].inputs:
            if self.values[value.node][value.port].storage is storage:
                if self.at[value.node] < first:
                    yield value
                else:
                    yield from self.received(value.node, storage, first)

    def bytes_of(self, value: Value) -> int:
        """Return the bytes of a value as it is carried."""
        return self.micro_batch * DTYPES[self.dtype] * self.net.outputs_of(value.node)[value.port].elements


def _steps(outputs: Iterable[Tensor]) -> Iterator[TapeStep]:
    """Yield the steps behind some tensors, each once."""
    todo = [y.maker for y in outputs if y.maker is not None]
    seen = set(todo)
    while todo:
        step = todo.pop()
        yield step
        for x in step.reads:
            if x.maker is not None and x.maker not in seen:
                seen.add(x.maker)
                todo.append(x.maker)


def held_bytes(net: Net, places: Places, dtype: str, optimizer: str) -> list[int]:
    """Return by place the bytes that are held for what is before it; without an optimizer, of inference."""
    facts, needed = Facts(net.graph, net.elaborated.shapes), needed_by_outputs(net.graph)
    size, sums = DTYPES[dtype], [0]
    for name in places.order:
        weights, buffers = module_bytes(facts, net.graph[name], size)
        copies, counts = 1, 0
        if optimizer and name in needed:
            copies += 1 + OPTIMIZERS[optimizer].copies
            counts = 4 * len(weights) * OPTIMIZERS[optimizer].counts
        sums.append(sums[-1] + buffers + copies * size * sum(weights) + counts)
    return [sums[place] for place in places.at]

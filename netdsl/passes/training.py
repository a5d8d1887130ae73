"""Training: what autograd keeps for the backward pass."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from heapq import heappop, heappush

from netdsl.ir.tape import Step, Storage, Tape, Tensor, elementwise_strides, is_contiguous
from netdsl.ir.types import DTYPES
from netdsl.passes.facts import Facts
from netdsl.passes.inplace import overwriting


def record(facts: Facts, batch: int, dtype: str) -> tuple[Tape, dict[str, tuple[Tensor, ...]]]:
    """Return the tape of a batch that ran through a net in training, and its values; the shapes must be known."""
    tape = Tape(batch, DTYPES[dtype])
    writing = overwriting(facts.graph)
    learned: dict[str, tuple[Tensor, ...]] = {}
    values: dict[str, tuple[Tensor, ...]] = {}
    for node in facts.graph:
        x = [values[value.node][value.port] for value in node.inputs]
        shapes = [tensor.sample for tensor in x]
        tape.layer = node.name
        if node.home not in learned:
            learned[node.home] = tuple([tape.learned(sizes) for sizes in node.op.weights(*shapes).values()])
        tape.parameters = learned[node.home]
        tape.writes = node.name in writing and node.op.overwrites(*shapes)
        made = node.op.saved(tape, *x)
        outputs = (made,) if isinstance(made, Tensor) else made
        named = []
        for tensor, shape in zip(outputs, facts.shapes[node.name], strict=True):
            named.append(tensor.named(shape))
        values[node.name] = tuple(named)
    return tape, values


def saved_bytes(tape: Tape) -> Mapping[str, int]:
    """Return how many bytes each layer keeps that none before it did."""
    found: dict[str, int] = {}
    for storage, layer in tape.kept.items():
        found[layer] = found.get(layer, 0) + storage.nbytes
    return found


class Memory:
    """The storages that are alive, by how often they are held, and the most bytes that ever were."""

    def __init__(self) -> None:
        """Hold nothing."""
        self.held: dict[Storage, int] = {}
        self.alive = 0
        self.peak = 0

    def hold(self, storage: Storage) -> None:
        """Hold a storage, once more."""
        if storage.learned:
            return
        before = self.held.get(storage, 0)
        self.held[storage] = before + 1
        if not before:
            self.alive += storage.nbytes
            self.peak = max(self.peak, self.alive)

    def drop(self, storage: Storage) -> None:
        """Hold a storage once less."""
        if storage.learned:
            return
        self.held[storage] -= 1
        if not self.held[storage]:
            del self.held[storage]
            self.alive -= storage.nbytes


def run_backward(tape: Tape, outputs: Iterable[Tensor], memory: Memory) -> None:
    """Go back from the sum of the outputs, as autograd's engine does: what was made last goes first.

    A step's gradients are all made before what it kept is dropped, and the gradient that it was given. What gets
    several gradients gets their sum, which is a new tensor. Gradients of parameters stay.
    """
    waits: dict[Step, int] = {}
    found = [y.maker for y in outputs if y.maker is not None]
    todo = list(dict.fromkeys(found))
    seen = set(todo)
    while todo:
        step = todo.pop()
        for storage in step.keeps:
            memory.hold(storage)
        for x in step.reads:
            if x.maker is not None:
                waits[x.maker] = waits.get(x.maker, 0) + 1
                if x.maker not in seen:
                    seen.add(x.maker)
                    todo.append(x.maker)
    one = tape.new(())
    memory.hold(tape.new(()).storage)  # the loss
    memory.hold(one.storage)
    given: dict[Step, dict[int, Tensor]] = {}
    learned: dict[Storage, Storage] = {}
    ready: list[tuple[int, Step]] = []

    def give(x: Tensor, grad: Tensor) -> None:
        """Add a gradient to that of what was read, or of a parameter."""
        if x.maker is None:
            before = learned.get(x.storage)
            if before is not None:
                learned[x.storage] = tape.new(x.sizes).storage
                memory.hold(learned[x.storage])
                memory.drop(before)
                memory.drop(grad.storage)
            elif is_contiguous(x.sizes, grad.strides) and memory.held[grad.storage] == 1:
                learned[x.storage] = grad.storage
            else:  # a gradient lies as its parameter does, and is its own
                learned[x.storage] = tape.new(x.sizes).storage
                memory.hold(learned[x.storage])
                memory.drop(grad.storage)
            return
        ports = given.setdefault(x.maker, {})
        if x.port in ports:
            total = tape.new(x.sizes, strides=elementwise_strides((ports[x.port], grad), x.sizes))
            memory.hold(total.storage)
            memory.drop(ports[x.port].storage)
            memory.drop(grad.storage)
            grad = total
        ports[x.port] = grad

    for y in outputs:
        if y.maker is not None:
            memory.hold(one.storage)
            give(y, tape.lone(one, y.sizes))
    for step in dict.fromkeys(found):
        if not waits.get(step):
            heappush(ready, (-step.number, step))
    while ready:
        _, step = heappop(ready)
        grads = given.pop(step, {})
        made: list[tuple[Tensor, Tensor]] = []
        if grads:
            grad = grads[min(grads)]
            for x in step.reads:
                own = step.back(grad, x)
                memory.hold(own.storage)
                made.append((x, own))
            for at, (x, own) in enumerate(made):
                if own.elements != x.elements:
                    total = tape.new(x.sizes)
                    memory.hold(total.storage)
                    memory.drop(own.storage)
                    made[at] = x, total
            if step.scratch:
                scratch = Storage(step.scratch)
                memory.hold(scratch)
                memory.drop(scratch)
        for own in grads.values():
            memory.drop(own.storage)
        for storage in step.keeps:
            memory.drop(storage)
        for x, own in made:
            give(x, own)
        for x in step.reads:
            if x.maker is not None:
                waits[x.maker] -= 1
                if not waits[x.maker]:
                    heappush(ready, (-x.maker.number, x.maker))
    memory.drop(one.storage)

"""The memory of training: what autograd keeps for the backward pass, and the peak of a step.

What is kept is exact to the byte for emitted PyTorch code. So is the peak, on the CPU and as far as tensors go, for
all but a few nets (of mobilevit it is 0.1 % too much). What forward drops within a layer does not count, nor what a
kernel takes within itself. The loss is the sum of all that the net returns, the caller holds the input, gradients
are dropped before each step, and the optimizers are torch's with their defaults, which on the CPU work on one
parameter after the other. Backward adds two gradients of one value out of place, as it does wherever something
watches it, such as the tracker that the peak was measured with; unwatched it may write one over the other.
Statistics of norms are in float32 at least, as on GPUs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from heapq import heappop, heappush
from itertools import groupby
from math import prod

from netdsl.ir.graph import Scope
from netdsl.ir.tape import Step, Storage, Tape, Tensor, elementwise_strides, is_contiguous
from netdsl.ir.types import DTYPES
from netdsl.passes.facts import Facts
from netdsl.passes.inplace import overwriting
from netdsl.passes.liveness import measure_liveness
from netdsl.record import Record


def record(facts: Facts, batch: int, dtype: str) -> tuple[Tape, dict[str, tuple[Tensor, ...]]]:
    """Return the tape of a batch that ran through a net in training, and its values; the shapes must be known."""
    tape = Tape(batch, DTYPES[dtype])
    writing = overwriting(facts.graph)
    given = facts.graph.inputs.values()
    learned: dict[str, tuple[Tensor, ...]] = {}
    values: dict[str, tuple[Tensor, ...]] = {}
    for node in facts.graph:
        x = [values[value.node][value.port] for value in node.inputs]
        shapes = tuple(tensor.sample for tensor in x)
        tape.layer = node.name
        if node.home not in learned:
            learned[node.home] = tuple([tape.learned(sizes) for sizes in node.op.weights(*shapes).values()])
        tape.parameters = learned[node.home]
        tape.writes = node.name in writing and node.op.overwrites(*shapes)
        made = node.op.saved(tape, *x)
        outputs = (made,) if isinstance(made, Tensor) else made
        shapes = facts.shapes[node.name]
        values[node.name] = tuple(y.named(shape) for y, shape in zip(outputs, shapes, strict=True))
        tape.note(*x, *outputs, *[values[name][0] for name in given if name in values])
    return tape, values


class Memory(Record):
    """The memory of a net, in bytes. Without training there is nothing but weights, buffers, input and peak."""

    weights: int
    """The parameters."""
    buffers: int
    """What the module holds beside them, such as running statistics."""
    gradients: int
    """Those of the parameters."""
    optimizer: int
    """The state of the optimizer, after its first step."""
    saved: int
    """The distinct storages that autograd keeps for backward and that are neither parameters nor buffers.

    The input is one of them if its layer keeps it.
    """
    input: int
    """The batch itself, which the caller holds."""
    peak: int
    """The most that is alive at once of all of these and what comes and goes: of a step after the first."""
    first_peak: int
    """The same of the first step, during which the state of the optimizer begins."""


class Optimizer(Record):
    """What an optimizer holds for the parameters."""

    copies: int
    """How many numbers for each."""
    counts: bool = False
    """Whether it counts its steps, in a float32 for each tensor."""
    divides: bool = False
    """Whether it divides by a root: two tensors as large as the parameter, and one of the parameter before it."""


OPTIMIZERS = {
    "sgd": Optimizer(0),
    "momentum": Optimizer(1),
    "adam": Optimizer(2, counts=True, divides=True),
    "adamw": Optimizer(2, counts=True, divides=True),
}
"""By name; torch's, where nothing but the momentum is set."""


def measure_training(facts: Facts, batch: int, dtype: str, optimizer: str) -> Memory:
    """Return the memory of training; the shapes must be known."""
    tape, alive, inputs = step_of(facts, batch, dtype)
    held = measure_update(facts, dtype, optimizer, sum(storage.nbytes for storage in inputs))
    module, running = held.weights + held.buffers, max(tape.peak, alive.peak)
    return held.replace(
        saved=sum(storage.nbytes for storage in tape.kept),
        peak=max(module + held.optimizer + running, held.peak),
        first_peak=max(module + running, held.first_peak),
    )


def measure_update(facts: Facts, dtype: str, optimizer: str, given: int) -> Memory:
    """Return what a step of training holds while it updates the parameters, with so many bytes of input."""
    size, kind = DTYPES[dtype], OPTIMIZERS[optimizer]
    held = measure_module(facts, size)
    parameters = [size * elements for elements in parameter_sizes(facts)]
    state = kind.copies * held.weights + (4 * len(parameters) if kind.counts else 0)
    at_once = 0
    if kind.divides:
        at_once = max(2 * own + before for before, own in zip([0, *parameters], parameters, strict=False))
    loss = size
    step = held.weights + held.buffers + given + held.weights + state + loss + at_once
    return held.replace(gradients=held.weights, optimizer=state, input=given, peak=step, first_peak=step)


def step_of(facts: Facts, batch: int, dtype: str) -> tuple[Tape, Alive, list[Storage]]:
    """Return the tape of a batch, what was alive while it went back, and the inputs."""
    tape, values = record(facts, batch, dtype)
    inputs = [values[name][0].storage for name in facts.graph.inputs.values()]
    outputs = [values[output.value.node][output.value.port] for output in facts.graph.outputs]
    alive = Alive()
    for storage in inputs:
        alive.hold(storage)
    run_backward(tape, outputs, alive)
    return tape, alive, inputs


def trace_training(
    facts: Facts, batch: int, dtype: str
) -> tuple[list[tuple[str, int]], list[tuple[str, int]]]:
    """Return what is alive beside the module and the optimizer's state: layer by layer forward, and going back."""
    tape, alive, _ = step_of(facts, batch, dtype)
    back = [
        (layer, max(held for _, held in steps))
        for layer, steps in groupby(alive.trace, key=lambda one: one[0])
    ]
    return tape.alive, back


def measure_inference(facts: Facts, batch: int, dtype: str) -> Memory:
    """Return the memory of inference; the lifetimes must be known."""
    held = measure_module(facts, DTYPES[dtype])
    given = (
        sum(facts.shapes[name][0].elements for name in facts.graph.inputs.values()) * batch * DTYPES[dtype]
    )
    peak = held.weights + held.buffers + measure_liveness(facts, batch, dtype).peak
    return held.replace(input=given, peak=peak, first_peak=peak)


def measure_module(facts: Facts, size: int) -> Memory:
    """Return what a module holds with elements of so many bytes; counters and tables of whole numbers take 8."""
    weights = buffers = 0
    for node in facts.graph:
        if node.module:
            continue
        x = [facts.shapes[value.node][value.port] for value in node.inputs]
        weights += size * sum(map(prod, node.op.weights(*x).values()))
        whole = node.op.spare(*x)
        buffers += sum(
            prod(sizes) * (8 if name in whole else size) for name, sizes in node.op.buffers(*x).items()
        )
    return Memory(weights, buffers, 0, 0, 0, 0, 0, 0)


def parameter_sizes(facts: Facts) -> list[int]:
    """Return the elements of each parameter, in the order in which modules have them: their own ones first."""
    found: list[int] = []

    def visit(scope: Scope) -> None:
        items = scope.items
        bare = [item for item in items if isinstance(item, str) and facts.graph[item].op.arity == (0, 0)]
        for item in (*bare, *[item for item in items if item not in bare]):
            if isinstance(item, Scope):
                visit(item)
            elif not facts.graph[item].module:
                node = facts.graph[item]
                x = [facts.shapes[value.node][value.port] for value in node.inputs]
                found.extend(map(prod, node.op.weights(*x).values()))

    visit(facts.graph.tree)
    return found


def saved_bytes(tape: Tape) -> Mapping[str, int]:
    """Return how many bytes each layer keeps that none before it did."""
    found: dict[str, int] = {}
    for storage, layer in tape.kept.items():
        found[layer] = found.get(layer, 0) + storage.nbytes
    return found


class Alive:
    """The storages that are alive, by how often they are held, and the most bytes that ever were."""

    def __init__(self) -> None:
        """Hold nothing."""
        self.held: dict[Storage, int] = {}
        self.bytes = 0
        self.peak = 0
        self.lately = 0
        """The most since this was set."""
        self.trace: list[tuple[str, int]] = []
        """The most that was alive during each step back, and the layer that it was of."""

    def retain(self, step: Step) -> None:
        """Hold what a step keeps."""
        for storage in step.keeps:
            self.hold(storage)

    def enter(self, step: Step) -> None:
        """Begin to make a step's gradients."""

    def reduce(self, step: Step) -> None:
        """Begin to sum gradients to the sizes of what was read, which the engine does once the step has returned."""

    def release(self, step: Step) -> None:
        """Hold what a step keeps no more: its gradients are made."""
        for storage in step.keeps:
            self.drop(storage)

    def hold(self, storage: Storage) -> None:
        """Hold a storage, once more."""
        if storage.learned:
            return
        before = self.held.get(storage, 0)
        self.held[storage] = before + 1
        if not before:
            self.bytes += storage.nbytes
            self.peak, self.lately = max(self.peak, self.bytes), max(self.lately, self.bytes)

    def drop(self, storage: Storage) -> None:
        """Hold a storage once less."""
        if storage.learned:
            return
        self.held[storage] -= 1
        if not self.held[storage]:
            del self.held[storage]
            self.bytes -= storage.nbytes


def run_backward(tape: Tape, outputs: Iterable[Tensor], alive: Alive) -> None:
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
        alive.retain(step)
        for x in step.reads:
            if x.maker is not None:
                waits[x.maker] = waits.get(x.maker, 0) + 1
                if x.maker not in seen:
                    seen.add(x.maker)
                    todo.append(x.maker)
    one = tape.new(())
    alive.hold(tape.new(()).storage)  # the loss
    alive.hold(one.storage)
    given: dict[Step, dict[int, Tensor]] = {}
    learned: dict[Storage, Storage] = {}
    ready: list[tuple[int, Step]] = []

    def give(x: Tensor, grad: Tensor) -> None:
        """Add a gradient to that of what was read, or of a parameter."""
        if x.maker is None:
            before = learned.get(x.storage)
            if before is not None:
                learned[x.storage] = tape.new(x.sizes).storage
                alive.hold(learned[x.storage])
                alive.drop(before)
                alive.drop(grad.storage)
            elif is_contiguous(x.sizes, grad.strides) and alive.held[grad.storage] == 1:
                learned[x.storage] = grad.storage
            else:  # a gradient lies as its parameter does, and is its own
                learned[x.storage] = tape.new(x.sizes).storage
                alive.hold(learned[x.storage])
                alive.drop(grad.storage)
            return
        ports = given.setdefault(x.maker, {})
        if x.port in ports:
            total = tape.new(x.sizes, strides=elementwise_strides((ports[x.port], grad), x.sizes))
            alive.hold(total.storage)
            alive.drop(ports[x.port].storage)
            alive.drop(grad.storage)
            grad = total
        ports[x.port] = grad

    for y in outputs:
        if y.maker is not None:
            alive.hold(one.storage)
            give(y, tape.lone(one, y.sizes))
    for step in dict.fromkeys(found):
        if not waits.get(step):
            heappush(ready, (-step.number, step))
    while ready:
        _, step = heappop(ready)
        alive.lately = alive.bytes
        alive.enter(step)
        grads = given.pop(step, {})
        made: list[tuple[Tensor, Tensor]] = []
        if grads:
            grad = grads[min(grads)]
            for x in step.reads:
                own = step.back(grad, x)
                alive.hold(own.storage)
                made.append((x, own))
            if not step.scratch:  # which the step takes before it returns
                alive.reduce(step)
            for at, (x, own) in enumerate(made):
                if own.elements != x.elements:
                    total = tape.new(x.sizes)
                    alive.hold(total.storage)
                    alive.drop(own.storage)
                    made[at] = x, total
            if step.scratch:
                scratch = Storage(step.scratch)
                alive.hold(scratch)
                alive.drop(scratch)
        for own in grads.values():
            alive.drop(own.storage)
        alive.release(step)
        for x, own in made:
            give(x, own)
        alive.trace.append((step.layer, alive.lately))
        for x in step.reads:
            if x.maker is not None:
                waits[x.maker] -= 1
                if not waits[x.maker]:
                    heappush(ready, (-x.maker.number, x.maker))
    alive.drop(one.storage)

"""The memory of training: what autograd keeps for the backward pass, and the peak of a step.

What is kept is exact to the byte for emitted PyTorch code. So is the peak, on the CPU and as far as tensors go. A
forward pass holds what is kept, what a kernel reads and makes, and what names hold, as `liveness.py` finds it; so
its exceptions are those of names. What kernels take within themselves does not count. What no output needs is taken
to have no gradient, though a module that runs for nothing keeps something while it runs. The loss is the sum of all
that the net returns, the caller holds the input, gradients are dropped before each step, and the optimizers are
torch's with their defaults, which on the CPU work on one parameter after the other. Two gradients of one value are
added out of place, and a bias to a product of what does not lie in order, as torch does it wherever something
watches, such as the tracker that the peak was measured with; unwatched it may write one over the other.

In half precision the means and deviations of `bn` and `ln` are in float32, as on GPUs; on the CPU they are in the
dtype itself, two bytes less for each. Those of `gn` are in it everywhere. `rms_norm` and attention by steps work in
float32, forward and back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from heapq import heapify, heappop, heappush
from itertools import groupby, pairwise
from math import prod
from typing import NamedTuple

from netdsl.collector import no_collection
from netdsl.ir.graph import Graph, Node, Scope
from netdsl.ir.tape import Step, Storage, Tape, Tensor, elementwise_strides, is_contiguous
from netdsl.ir.types import DTYPES, Shape
from netdsl.ops import Op
from netdsl.passes.facts import Facts
from netdsl.passes.inplace import overwriting
from netdsl.passes.liveness import measure_liveness
from netdsl.record import Record


def record(
    facts: Facts,
    batch: int,
    dtype: str,
    carried: Set[str] = frozenset(),
    tape: Tape | None = None,
    given: Mapping[str, Tensor] = {},
) -> tuple[Tape, dict[str, tuple[Tensor, ...]]]:
    """Return the tape of a batch that ran through a net in training, and its values.

    Shapes must be known; holds too, but where only what is kept matters. What no output needs has no gradient.
    `carried` are inputs that need one, as what another net has made. With `tape` that has run before, and `given` by
    node are the inputs.
    """
    graph, holds = facts.graph, facts.holds
    tape = tape or Tape(batch, DTYPES[dtype])
    writing, needed = overwriting(graph), needed_by_outputs(graph)
    learned = tape.layers
    values: dict[str, tuple[Tensor, ...]] = {}
    sums: dict[str, tuple[tuple[Tensor, ...], int]] = {}
    """Of joints whose first parts are added before the last ones are there, the sum so far, and of how many."""
    ends: dict[int, list[str]] = {}

    def reads(node: Node, until: int | None = None) -> list[Tensor]:
        done, count = sums.get(node.name, ((), 0))
        return [*done, *[values[value.node][value.port] for value in node.inputs[count:until]]]

    def writes(node: Node) -> bool:
        return node.name in writing and node.op.overwrites(
            *[facts.shapes[value.node][value.port] for value in node.inputs]
        )

    def run(op: Op, x: Sequence[Tensor], shapes: Sequence[Shape]) -> tuple[Tensor, ...]:
        made = op.saved(tape, *x)
        outputs = (made,) if isinstance(made, Tensor) else made
        tape.note(*x, *outputs)
        tape.hold(outputs)
        return tuple([y.named(shape) for y, shape in zip(outputs, shapes, strict=True)])

    for at, name in enumerate(graph.tree.nodes()):
        for joint, count in holds.added.get(at, ()):
            op, x = graph[joint].op, reads(graph[joint], count)
            tape.enter(joint)
            tape.writes = writes(graph[joint])
            so_far = run(op, x, op.outputs(*[tensor.sample for tensor in x]))
            tape.drop(sums[joint][0] if joint in sums else ())
            sums[joint] = so_far, count
        node = graph[name]
        x = reads(node)
        shapes = tuple(tensor.sample for tensor in x)
        tape.enter(name)
        if node.home not in learned:
            learned[node.home] = tuple([tape.learned(sizes) for sizes in node.op.weights(*shapes).values()])
        tape.parameters = learned[node.home]
        tape.writes = writes(node)
        if name not in needed:
            x, tape.parameters = [y.alone() for y in x], tuple([y.alone() for y in tape.parameters])
        if name in given:
            values[name] = (given[name],)
            tape.hold(values[name])
        else:
            values[name] = run(node.op, x, facts.shapes[name])
        for y in values[name]:
            y.grad |= name in carried
        tape.drop(sums[name][0] if name in sums else ())
        ends.setdefault(holds.until.get(name, at), []).append(name)
        for gone in ends.pop(at, ()):
            tape.drop(values[gone])
    tape.hold(y for name in graph.inputs.values() for y in values[name])  # the caller does
    outputs = [values[output.value.node][output.value.port] for output in graph.outputs]
    tape.enter("")
    tape.note(
        *outputs, *[tape.new(()) for _ in range(min(3, 1 + len(outputs)))]
    )  # and adds up what comes out
    return tape, values


def needed_by_outputs(graph: Graph) -> Set[str]:
    """Return the nodes that an output depends on."""
    found = {output.value.node for output in graph.outputs}
    todo = list(found)
    while todo:
        new = {value.node for value in graph[todo.pop()].inputs} - found
        found |= new
        todo += new
    return found


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


@no_collection()
def measure_training(facts: Facts, batch: int, dtype: str, optimizer: str) -> Memory:
    """Return the memory of training; the shapes must be known, and holds."""
    return measure_step(facts, dtype, optimizer, step_of(facts, batch, dtype))


def measure_step(facts: Facts, dtype: str, optimizer: str, step: TrainingStep) -> Memory:
    """Return the memory of training with a step of it."""
    tape, alive = step.tape, step.alive
    held = measure_update(facts, dtype, optimizer, step)
    module, running = held.weights + held.buffers, max(tape.peak, alive.peak)
    return held.replace(
        saved=sum([storage.nbytes for storage in tape.kept]),
        peak=max(module + held.optimizer + running, held.peak),
        first_peak=max(module + running, held.first_peak),
    )


def measure_update(facts: Facts, dtype: str, optimizer: str, step: TrainingStep) -> Memory:
    """Return what a step of training holds while it updates the parameters."""
    size, kind = DTYPES[dtype], OPTIMIZERS[optimizer]
    held = measure_module(facts, size)
    parameters = [size * elements for elements in parameter_sizes(facts, step.alive.learning(step.tape))]
    of_parameters = {grad for own, grad in step.alive.gradients.items() if own.learned}
    gradients = sum([storage.nbytes for storage in of_parameters])
    state = kind.copies * sum(parameters) + (4 * len(parameters) if kind.counts else 0)
    at_once = 0
    if kind.divides:
        at_once = max([2 * own + before for before, own in pairwise([0, *parameters])], default=0)
    loss = size
    peak = held.weights + held.buffers + step.given + gradients + state + loss + at_once
    return held.replace(gradients=gradients, optimizer=state, input=step.given, peak=peak, first_peak=peak)


class TrainingStep(NamedTuple):
    """A batch that ran through a net and back."""

    tape: Tape
    alive: Alive
    """What was alive while it went back."""
    given: int
    """The bytes of the input."""


def step_of(facts: Facts, batch: int, dtype: str, carried: Set[str] = frozenset()) -> TrainingStep:
    """Let a batch run through a net and back; the shapes must be known, and holds. `carried` as in `record`."""
    tape, values = record(facts, batch, dtype, carried)
    inputs = [values[name][0].storage for name in facts.graph.inputs.values()]
    outputs = [values[output.value.node][output.value.port] for output in facts.graph.outputs]
    alive = Alive()
    for storage in inputs:
        alive.hold(storage)
    run_backward(tape, outputs, alive)
    return TrainingStep(tape, alive, sum([storage.nbytes for storage in inputs]))


def trace_training(
    facts: Facts, batch: int, dtype: str, optimizer: str
) -> tuple[list[tuple[str, int]], list[tuple[str, int]]]:
    """Return what is alive, with the module and the optimizer's state: layer by layer forward, and going back."""
    step = step_of(facts, batch, dtype)
    memory = measure_step(facts, dtype, optimizer, step)
    fixed = memory.weights + memory.buffers + memory.optimizer
    forward: list[tuple[str, int]] = []
    turns = step.tape.turns
    last = {layer: at for at, layer in enumerate(turns)}
    for at, moments in groupby(step.tape.moments, key=lambda one: one.at):
        layer, alive = turns[at], fixed + max([moment.bytes for moment in moments])
        if forward and not (layer and at == last[layer]):  # a part of a sum, or the loss: of the layer before
            layer, before = forward.pop()
            alive = max(alive, before)
        forward.append((layer, alive))
    back = [
        (layer, fixed + max([held for _, held in steps]))
        for layer, steps in groupby(step.alive.trace, key=lambda one: one[0])
    ]
    return forward, back


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
        own, beside = module_bytes(facts, node, size)
        weights += size * sum(own)
        buffers += beside
    return Memory(weights, buffers, 0, 0, 0, 0, 0, 0)


def module_bytes(facts: Facts, node: Node, size: int) -> tuple[list[int], int]:
    """Return the elements of a node's own weights, and the bytes of its buffers."""
    if node.module:
        return [], 0
    x = [facts.shapes[value.node][value.port] for value in node.inputs]
    whole = node.op.spare(*x)
    tables = {**node.op.buffers(*x), **node.op.constants(*x)}
    buffers = sum([prod(sizes) * (8 if name in whole else size) for name, sizes in tables.items()])
    return [prod(sizes) for sizes in node.op.weights(*x).values()], buffers


def parameter_sizes(facts: Facts, learning: Set[str]) -> list[int]:
    """Return the elements of each parameter of some layers, in the order of modules: their own ones first."""
    found: list[int] = []

    def visit(scope: Scope) -> None:
        items = scope.items
        bare = [item for item in items if isinstance(item, str) and facts.graph[item].op.arity == (0, 0)]
        for item in (*bare, *[item for item in items if item not in bare]):
            if isinstance(item, Scope):
                visit(item)
            elif item in learning and not facts.graph[item].module:
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
        self.gradients: dict[Storage, Storage] = {}
        """Those of parameters, which stay."""

    def learning(self, tape: Tape) -> Set[str]:
        """Return the layers whose parameters have gradients."""
        return {
            name
            for name, parameters in tape.layers.items()
            if any(x.storage in self.gradients for x in parameters)
        }

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
    _Engine(tape, alive).run([y for y in outputs if y.maker is not None])


class _Engine:
    """The gradients on their way back."""

    def __init__(self, tape: Tape, alive: Alive) -> None:
        """Begin with none."""
        self.tape = tape
        self.alive = alive
        self.waits: dict[Step, int] = {}
        """How many gradients come to a step."""
        self.uses: dict[Storage, int] = {}
        """And to a parameter."""
        self.given: dict[Step, dict[int, Tensor]] = {}
        """Those that came, by port."""
        self.sums: dict[Storage, Tensor] = {}
        self.users: dict[Tensor, int] = {}
        """How often a gradient waits."""

    def run(self, outputs: Sequence[Tensor]) -> None:
        """Go back from some outputs."""
        tape, alive = self.tape, self.alive
        found = list(dict.fromkeys([y.maker for y in outputs if y.maker is not None]))
        self.count(found)
        one = tape.new(())
        alive.hold(tape.new(()).storage)  # the loss
        alive.hold(one.storage)
        for y in outputs:
            alive.hold(one.storage)
            self.give(y, tape.lone(one, y.sizes))
        ready = [(-step.number, step) for step in found if not self.waits.get(step)]
        heapify(ready)
        while ready:
            _, step = heappop(ready)
            alive.lately = alive.bytes
            alive.enter(step)
            grads = self.given.pop(step, {})
            made = self.made(step, grads) if grads else []
            for own in grads.values():
                self.users[own] -= 1
                alive.drop(own.storage)
            alive.release(step)
            for _, own in made:
                self.users[own] = self.users.get(own, 0) + 1
            for x, own in made:
                self.users[own] -= 1
                self.give(x, own)
            alive.trace.append((step.layer, alive.lately))
            for x in step.reads:
                if x.maker is not None:
                    self.waits[x.maker] -= 1
                    if not self.waits[x.maker]:
                        heappush(ready, (-x.maker.number, x.maker))
        alive.drop(one.storage)

    def count(self, found: Iterable[Step]) -> None:
        """Count what comes to each step and parameter, and hold what steps keep."""
        todo = list(found)
        seen = set(todo)
        while todo:
            step = todo.pop()
            self.alive.retain(step)
            for x in step.reads:
                if x.maker is None:
                    self.uses[x.storage] = self.uses.get(x.storage, 0) + 1
                    continue
                self.waits[x.maker] = self.waits.get(x.maker, 0) + 1
                if x.maker not in seen:
                    seen.add(x.maker)
                    todo.append(x.maker)

    def made(self, step: Step, grads: Mapping[int, Tensor]) -> list[tuple[Tensor, Tensor]]:
        """Return the gradients that a step makes, as large as what it read."""
        tape, alive = self.tape, self.alive
        grad = grads[min(grads)]
        made: list[tuple[Tensor, Tensor]] = []
        with tape.sized_as(grad.storage.itemsize):
            for x in step.reads:
                own = step.back(grad, x)
                alive.hold(own.storage)
                made.append((x, own))
        scratch = step.scratch
        scratch += sum([tape.itemsize * part.elements for part in step.parts if part.port not in grads])
        if step.ordered is not None and grad.strides != tape.strides_of(step.ordered, grad.sizes):
            scratch += grad.storage.itemsize * grad.elements
        if scratch:  # which the step takes before it returns
            beside = Storage(scratch)
            alive.hold(beside)
            alive.drop(beside)
        alive.reduce(step)
        for at, (x, own) in enumerate(made):
            if own.sizes != x.sizes:
                own = self.instead(own, tape.new(x.sizes, itemsize=own.storage.itemsize))
            if own.storage.itemsize != x.storage.itemsize:
                own = self.instead(own, tape.cast_back(own, x))
            made[at] = x, own
        return made

    def instead(self, before: Tensor, own: Tensor) -> Tensor:
        """Hold a gradient instead of the one that it is made of; return it."""
        self.alive.hold(own.storage)
        self.alive.drop(before.storage)
        return own

    def give(self, x: Tensor, grad: Tensor) -> None:
        """Add a gradient to that of what was read, or of a parameter."""
        if x.maker is not None:
            ports = self.given.setdefault(x.maker, {})
            ports[x.port] = total = self.summed(x, ports.get(x.port), grad)
            self.users[total] = self.users.get(total, 0) + 1
            return
        grad = self.summed(x, self.sums.pop(x.storage, None), grad)
        self.uses[x.storage] -= 1
        if self.uses[x.storage]:
            self.sums[x.storage] = grad
            self.users[grad] = self.users.get(grad, 0) + 1
        elif is_contiguous(x.sizes, grad.strides) and not self.users.get(grad):
            self.alive.gradients[x.storage] = grad.storage
        else:  # a gradient lies as its parameter does, and is its own
            self.alive.gradients[x.storage] = own = self.tape.new(x.sizes).storage
            self.alive.hold(own)
            self.alive.drop(grad.storage)

    def summed(self, x: Tensor, before: Tensor | None, grad: Tensor) -> Tensor:
        """Return the sum of two gradients of a tensor, if there are two."""
        if before is None:
            return grad
        strides = elementwise_strides((before, grad), x.sizes)
        total = self.tape.new(x.sizes, itemsize=grad.storage.itemsize, strides=strides)
        self.alive.hold(total.storage)
        self.alive.drop(before.storage)
        self.alive.drop(grad.storage)
        self.users[before] -= 1
        return total

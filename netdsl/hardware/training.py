"""What a step of training moves beside its forward pass: a model of bytes, read off autograd's tape.

Each step back reads the gradients that it is given and what was kept for it, once, and its weights if its input needs
a gradient; it writes a gradient for each value that needs one. What hands on its gradient as it is moves nothing. Two
gradients of one value are read, and their sum is written. The update reads parameters, gradients and the optimizer's
state, and writes all but the gradients.

Ops that are fused in the forward pass are fused going back, too: no gradient between them is written or read. What
autograd keeps of the values between them is written all the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from heapq import heappop, heappush
from typing import TYPE_CHECKING

from netdsl.passes import Facts
from netdsl.passes.training import OPTIMIZERS, Memory, record

if TYPE_CHECKING:
    from netdsl.ir.tape import Step, Storage, Tensor
    from netdsl.net import Net

UPDATES = {"sgd": 2, "momentum": 4, "adam": 12, "adamw": 14}
"""Operations that an optimizer takes for each parameter, as torch writes it."""


def count_kept_bytes(net: Net, batch: int, dtype: str, fused: Mapping[str, str]) -> Mapping[str, int]:
    """Return by step the bytes that it writes beside its output, as autograd keeps them: values between fused ops."""
    tape, values = record(Facts(net.graph, net.elaborated.shapes), batch, dtype)
    made: dict[str, list[set[Storage]]] = {}
    for node in net.graph:
        storages = {y.storage for y in values[node.name]}
        made.setdefault(fused.get(node.name, node.name), []).append(storages)
    kept: dict[str, int] = {}
    for name, (*between, last) in made.items():
        written = (
            set().union(*between).intersection(tape.kept) - last
        )  # what is written over has the same storage
        kept[name] = sum([storage.nbytes for storage in written])
    return kept


def count_gradient_bytes(
    net: Net, batch: int, dtype: str, fused: Mapping[str, str] | None = None
) -> Mapping[str, int]:
    """Return the bytes that the backward pass reads and writes, by step, in the order in which it comes to them.

    `fused` tells by op which step it is part of; one that it has not is a step by itself.
    """
    tape, values = record(Facts(net.graph, net.elaborated.shapes), batch, dtype)
    size = tape.itemsize
    moved: dict[str, int] = {}
    inside: dict[str, set[Storage]] = {}
    """By step the gradients between its ops, and what it has read of what was kept."""
    given: dict[Step, dict[int, Tensor]] = {}
    summed: set[Storage] = set()
    ready: list[tuple[int, Step]] = []

    def step_of(layer: str) -> str:
        return layer if fused is None else fused.get(layer, layer)

    def give(layer: str, x: Tensor, grad: Tensor) -> None:
        """Add a gradient to that of a value, or of a parameter, which a step has made."""
        if x.maker is None:
            if x.storage in summed:
                moved[layer] = moved.get(layer, 0) + 3 * x.elements * size
            summed.add(x.storage)
            return
        if x.maker not in given:
            heappush(ready, (-x.maker.number, x.maker))
        ports = given.setdefault(x.maker, {})
        if x.port in ports:
            moved[layer] = moved.get(layer, 0) + 3 * x.elements * size
            grad = tape.new(x.sizes)
        ports[x.port] = grad

    for output in net.graph.outputs:
        y = values[output.value.node][output.value.port]
        if y.maker is not None:
            give(step_of(output.value.node), y, tape.new(y.sizes))  # the loss's
    while ready:  # what was made last goes first, so that all gradients of a value are there
        _, step = heappop(ready)
        ports = given.pop(step)
        coming = {grad.storage for grad in ports.values()}
        grads = [(x, step.back(ports[min(ports)], x)) for x in step.reads]
        name = step_of(step.layer)
        made = [(x, own) for x, own in grads if own.storage not in coming or own.elements != x.elements]
        if made:
            known = inside.setdefault(name, set())
            read = {*coming, *step.keeps, *_weights(net, step)} - known
            bytes = sum(storage.nbytes for storage in read)
            for x, own in made:
                if name != step.layer and x.maker is not None and step_of(x.maker.layer) == name:
                    known.add(own.storage)
                else:
                    bytes += x.elements * size
            if name != step.layer:
                known.update(step.keeps)
            moved[name] = moved.get(name, 0) + bytes
        for x, own in grads:
            give(name, x, own)
    return moved


def _weights(net: Net, step: Step) -> Iterator[Storage]:
    """Yield the parameters that a gradient of an input is computed with, if there is one: no biases."""
    held = [x for x in step.reads if x.storage.learned]
    if len(held) == len(step.reads):
        return
    weights = net.graph[step.layer].op.weights(*net.inputs_of(step.layer))
    biases = [tuple(sizes) for name, sizes in weights.items() if name.endswith("bias")]
    for x in reversed(held):  # a bias stands behind the weight, which may be as large
        if x.sizes in biases:
            biases.remove(x.sizes)
        else:
            yield x.storage


def count_update_bytes(held: Memory, optimizer: str) -> int:
    """Return the bytes that an update of all parameters reads and writes."""
    return (3 + 2 * OPTIMIZERS[optimizer].copies) * held.weights

"""The roofline model: no step takes less than its operations at the peak rate, or its bytes at full bandwidth.

Williams, Waterman and Patterson, Roofline, CACM 52 (2009). It is a floor. Each step reads its inputs and weights
whole from memory, once, and writes its output there. Launches and kernels below their peak come on top; a
cache that still holds what a step reads, and algorithms with fewer multiplications (Winograd's), can go below it.

Of a step of training the multiply-accumulates are exact in both directions. The other operations of the backward pass
are taken to be as many as those of the forward pass, and its bytes are a model (`netdsl.hardware.training`). What
is fused runs as one step in both directions; batch normalisation waits for the whole batch, so that it begins a step.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import inf, prod

from netdsl.backend import batchless
from netdsl.hardware.device import Device
from netdsl.hardware.training import (
    UPDATES,
    count_gradient_bytes,
    count_kept_bytes,
    count_update_bytes,
)
from netdsl.ir.graph import Node, Value
from netdsl.ir.types import DTYPES
from netdsl.net import Net
from netdsl.passes import find_fused
from netdsl.passes.training import Memory
from netdsl.record import Record

FORWARD, BACKWARD, UPDATE = "forward", "backward", "update"
"""The parts of a step of training; in evaluation there is the first alone."""


class Step(Record):
    """What a device runs at once for a whole batch: an op, and what is fused with it."""

    name: str
    op: str
    """Its ops, joined by `+`."""
    macs: int
    ops: int
    bytes: int
    """Read and written."""
    compute: float
    """Seconds that its operations take at the peak rate."""
    traffic: float | None
    """Seconds that its bytes take at full bandwidth; None if that is not known."""
    kernel: str
    """The kind of kernel of its first op, see `Op.runs_as`."""
    phase: str = FORWARD

    @property
    def operations(self) -> int:
        """Two for each multiply-accumulate, and what else is computed."""
        return 2 * self.macs + self.ops

    @property
    def intensity(self) -> float:
        """Arithmetic intensity: operations per byte."""
        return self.operations / self.bytes

    @property
    def seconds(self) -> float:
        """The least time that it takes."""
        return max(self.compute, self.traffic or 0.0)

    @property
    def bound(self) -> str:
        """What it waits for: `compute` or `memory`; "" if the bandwidth is not known."""
        if self.traffic is None:
            return ""
        return "memory" if self.traffic > self.compute else "compute"


class Estimate(Record):
    """A net on a device: its steps in order, and what they add up to."""

    net: Net
    device: Device
    batch: int
    dtype: str
    fused: bool
    steps: tuple[Step, ...]
    weights: int
    """Bytes of all parameters and buffers, in training of gradients and the optimizer's state, too."""
    sample: int
    """The most bytes alive at once beside them, for one sample; in training a share of what the batch has."""
    largest_batch: int | None
    """The largest batch that fits its memory, 0 for none; None if the memory is not known."""
    train: bool = False
    optimizer: str = "sgd"

    @property
    def latency(self) -> float:
        """The least seconds for the batch: its steps run one after the other."""
        return sum(step.seconds for step in self.steps)

    @property
    def throughput(self) -> float:
        """The most samples a second."""
        return self.batch / self.latency if self.latency else inf

    @property
    def energy(self) -> float | None:
        """Joules for the batch, at the rated power for the least time; None if that power is not known."""
        return None if self.device.power is None else self.device.power * self.latency

    @property
    def ridge(self) -> float | None:
        """The operations per byte from which a step is bound by compute; None if the bandwidth is not known."""
        bandwidth = self.device.bandwidth
        return None if bandwidth is None else self.device.rate(self.dtype) / bandwidth

    @property
    def forecast(self) -> float | None:
        """The seconds that a calibrated device is expected to take; None where its measurements say nothing.

        They are of nets as PyTorch runs them, one sample in one dtype, nothing fused.
        """
        fitted = self.device.calibration
        if fitted is None or self.train or self.fused or self.batch != 1 or self.dtype != fitted.dtype:
            return None
        times = [fitted.predict(step.kernel, step.operations, step.bytes) for step in self.steps]
        known = [time for time in times if time is not None]
        return sum(known) if len(known) == len(times) else None


def estimate(
    net: Net,
    device: Device,
    batch: int = 1,
    dtype: str = "float32",
    fused: bool = False,
    train: bool = False,
    optimizer: str = "sgd",
) -> Estimate:
    """Return what a net can do at best on a device: in evaluation, or a step of training if `train`.

    With `fused`, activations, and batch normalisations in evaluation, run as part of the step before them
    (`find_fused`).

    Raises:
        NetError: An option has no meaning, or the device has no rate for the dtype.
    """
    held = net.memory(batch, dtype, train, optimizer)
    roof = _Roof(net, device, batch, dtype, find_fused(net.graph, train) if fused else {})
    steps = list(roof.forward(train))
    if train:
        steps += roof.backward()
        steps += roof.update(held, optimizer)
    weights = held.weights + held.buffers + held.gradients + held.optimizer
    sample = -((weights - held.peak) // batch) if train else net.liveness(1, dtype).peak
    largest = _largest_batch(net, device, dtype, optimizer if train else "", weights, sample)
    return Estimate(
        net, device, batch, dtype, fused, tuple(steps), weights, sample, largest, train, optimizer
    )


def _largest_batch(
    net: Net, device: Device, dtype: str, optimizer: str, weights: int, sample: int
) -> int | None:
    """Return the largest batch that fits: of training with an optimizer, or of inference."""
    memory, flash = device.memory, device.flash
    if memory is None:
        return None
    if optimizer:
        return net.largest_batch(int(memory), dtype, True, optimizer)
    if flash is None:
        memory -= weights
    elif flash < weights:
        return 0
    return max(int(memory // sample), 0)


class _Roof:
    """The steps of a net under the roof of a device."""

    def __init__(self, net: Net, device: Device, batch: int, dtype: str, fused: Mapping[str, str]) -> None:
        """Find out what samples share; NetError if the device has no rate for the dtype."""
        self.net, self.device, self.batch, self.dtype, self.fused = net, device, batch, dtype, fused
        self.rate, self.size = device.rate(dtype), DTYPES[dtype]
        self.shared = {node.name for node in batchless(net)}

    def step(self, name: str, op: str, macs: int, ops: int, bytes: int, kernel: str, phase: str) -> Step:
        """Return a step, with the least times that it takes."""
        traffic = None if self.device.bandwidth is None else bytes / self.device.bandwidth
        return Step(name, op, macs, ops, bytes, (2 * macs + ops) / self.rate, traffic, kernel, phase)

    def times(self, name: str) -> int:
        """Return how often a node runs for a batch, as if it ran for each sample by itself."""
        return 1 if name in self.shared else self.batch

    def groups(self, train: bool) -> Mapping[str, list[Node]]:
        """Return by step the nodes that it runs."""
        groups: dict[str, list[Node]] = {}
        for node in self.net.graph:
            if node.op.computes and (train or not node.train):
                groups.setdefault(self.fused.get(node.name, node.name), []).append(node)
        return groups

    def forward(self, train: bool) -> Iterator[Step]:
        """Yield the steps of the forward pass."""
        net = self.net
        kept = count_kept_bytes(net, self.batch, self.dtype, self.fused) if train and self.fused else {}
        for name, nodes in self.groups(train).items():
            macs = sum(net.layer_costs[node.name].macs * self.times(node.name) for node in nodes)
            ops = sum(net.layer_costs[node.name].ops * self.times(node.name) for node in nodes)
            moved = self.size * _elements(net, nodes, self.shared, self.batch) + kept.get(name, 0)
            kernel = nodes[0].op.runs_as(*net.inputs_of(name))
            yield self.step(name, "+".join(node.op.name for node in nodes), macs, ops, moved, kernel, FORWARD)

    def backward(self) -> Iterator[Step]:
        """Yield the steps of the backward pass, the last layer first."""
        net, groups = self.net, self.groups(train=True)
        for name, moved in count_gradient_bytes(net, self.batch, self.dtype, self.fused).items():
            nodes = groups.get(name, [net.graph[name]])  # a view that sums up gradients computes nothing else
            macs = sum(net.layer_backward_macs[node.name] * self.times(node.name) for node in nodes)
            ops = sum(net.layer_costs[node.name].ops * self.times(node.name) for node in nodes)
            kernel = nodes[0].op.runs_as(*net.inputs_of(name))
            op = "+".join(node.op.name for node in nodes)
            yield self.step(name, op, macs, ops, moved, kernel, BACKWARD)

    def update(self, held: Memory, optimizer: str) -> Iterator[Step]:
        """Yield the update of all parameters as one step, if there are any."""
        if held.weights:
            ops, moved = UPDATES[optimizer] * (held.weights // self.size), count_update_bytes(held, optimizer)
            yield self.step(UPDATE, optimizer, 0, ops, moved, "", UPDATE)


def _elements(net: Net, nodes: list[Node], shared: set[str], batch: int) -> int:
    """Return how many elements a step reads and writes: weights, what it is given, what the last of its ops makes."""
    inside = {node.name for node in nodes}
    read: set[Value] = set()
    elements = 0
    for at, node in enumerate(nodes):
        x = net.inputs_of(node.name)
        for value, field in zip(node.inputs, node.op.reach(*x), strict=True):
            if field is not None and value.node not in inside:  # not what only its size is taken of
                read.add(value)
        if at == 0 or not node.op.linear:  # a batch normalisation is folded into the weights before it
            held = (*node.op.weights(*x).values(), *node.op.buffers(*x).values())
            elements += sum(prod(shape) for shape in held if shape)  # a counter of batches is not read
    made = [Value(nodes[-1].name, port) for port in range(len(net.outputs_of(nodes[-1].name)))]
    for value in (*read, *made):
        times = 1 if value.node in shared else batch
        elements += net.outputs_of(value.node)[value.port].elements * times
    return elements

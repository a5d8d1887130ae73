"""The roofline model: no step takes less than its operations at the peak rate, or its bytes at full bandwidth.

Williams, Waterman and Patterson, Roofline, CACM 52 (2009). It is a floor. Each step reads its inputs and weights
whole from memory, once, and writes its output there. Launches and kernels below their peak come on top; a
cache that still holds what a step reads, and algorithms with fewer multiplications (Winograd's), can go below it.
"""

from __future__ import annotations

from math import inf, prod

from netdsl.backend import batchless
from netdsl.hardware.device import Device
from netdsl.ir.graph import Node, Value
from netdsl.ir.types import DTYPES
from netdsl.net import Net
from netdsl.passes import find_fused
from netdsl.record import Record


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
    """A net on a device, in evaluation: its steps in order, and what they add up to."""

    net: Net
    device: Device
    batch: int
    dtype: str
    fused: bool
    steps: tuple[Step, ...]
    weights: int
    """Bytes of all parameters and buffers."""
    sample: int
    """The most bytes alive at once beside them, for one sample."""

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
        if fitted is None or self.fused or self.batch != 1 or self.dtype != fitted.dtype:
            return None
        times = [fitted.predict(step.kernel, step.operations, step.bytes) for step in self.steps]
        known = [time for time in times if time is not None]
        return sum(known) if len(known) == len(times) else None

    @property
    def largest_batch(self) -> int | None:
        """The largest batch whose tensors fit beside the weights, 0 for none; None if the memory is not known."""
        memory, flash = self.device.memory, self.device.flash
        if memory is None:
            return None
        if flash is None:
            memory -= self.weights
        elif flash < self.weights:
            return 0
        return max(int(memory // self.sample), 0)


def estimate(
    net: Net, device: Device, batch: int = 1, dtype: str = "float32", fused: bool = False
) -> Estimate:
    """Return what a net can do at best on a device, in evaluation.

    With `fused`, batch normalisations and activations run as part of the step before them (`find_fused`).

    Raises:
        NetError: The batch is less than 1, or the device has no rate for the dtype.
    """
    cost, live = net.cost(batch, dtype), net.liveness(1, dtype)
    rate, size = device.rate(dtype), DTYPES[dtype]
    shared = {node.name for node in batchless(net)}
    of_step = find_fused(net.graph) if fused else {}
    groups: dict[str, list[Node]] = {}
    for node in net.graph:
        if node.op.computes and not node.train:
            groups.setdefault(of_step.get(node.name, node.name), []).append(node)
    steps = []
    for name, nodes in groups.items():
        times = {node.name: 1 if node.name in shared else batch for node in nodes}
        macs = sum(net.layer_costs[node.name].macs * times[node.name] for node in nodes)
        ops = sum(net.layer_costs[node.name].ops * times[node.name] for node in nodes)
        moved = size * _elements(net, nodes, shared, batch)
        traffic = None if device.bandwidth is None else moved / device.bandwidth
        kernel = nodes[0].op.runs_as(*net.inputs_of(name))
        joined = "+".join(node.op.name for node in nodes)
        steps.append(Step(name, joined, macs, ops, moved, (2 * macs + ops) / rate, traffic, kernel))
    weights = size * (cost.params + cost.buffers)
    return Estimate(net, device, batch, dtype, fused, tuple(steps), weights, live.peak)


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

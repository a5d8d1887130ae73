"""The parts of a net that is split for a pipeline, and what each of them takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import pairwise
from math import prod
from typing import TYPE_CHECKING

from netdsl.diagnostics import Diagnostic, NetError, did_you_mean
from netdsl.ir.graph import Graph, Value
from netdsl.ir.types import DTYPES, Shape
from netdsl.lint import Finding, lint
from netdsl.lint.rules.micro_batch_norm import MicroBatchNorm
from netdsl.lint.step import checked
from netdsl.net import Net
from netdsl.passes import Facts, infer_shapes, verify_graph
from netdsl.passes.training import OPTIMIZERS, measure_module, measure_update, step_of
from netdsl.record import Record
from netdsl.split.graph import carried_names, part_graph
from netdsl.split.places import Holdings, Places, find_places, held_bytes
from netdsl.split.plan import Row, TooLittle, choose
from netdsl.split.schedule import Slot, simulate, waiting

if TYPE_CHECKING:
    from netdsl.hardware.device import Device

SCHEDULES = {"1f1b": "1F1B", "gpipe": "GPipe"}
"""How micro-batches go through a pipeline, with what it is called.

GPipe, Huang et al., arXiv 1811.06965: all forward, then all back. 1F1B, Narayanan et al., arXiv 1806.03377 and
2006.09503: each part goes back as soon as it can, and so holds fewer micro-batches at once.
"""
MOST_PARTS = 64
PICOSECONDS = 10**12
"""Times are whole numbers for the plan, so that sums of them are exact."""


class Carried(Record):
    """A value that a cut carries."""

    name: str
    """What it is called as an input of a part."""
    value: Value
    shape: Shape
    """Of one sample, as it is carried."""
    learned: bool
    """Whether something learned is behind it, so that it has a gradient."""


class Part(Record):
    """A part of a net. Counts are of the whole batch, bytes of all that it holds."""

    rank: int
    layers: tuple[str, ...]
    """Its layers, in the order in which they are computed; first come the inputs of the net."""
    inputs: int
    """How many of these it has: the first part has all of them."""
    received: tuple[Carried, ...]
    """What it is sent by the part before."""
    sent: tuple[Carried, ...]
    """What it sends to the next one."""
    params: int
    macs: int
    """Multiply-accumulates, in training of both directions."""
    seconds: float | None
    """The least time on a device for the batch; None without one."""
    forward: float
    """What of its work, seconds or MACs, is of the way forward."""
    flights: int
    """How many micro-batches it holds at once."""
    carried: int
    """The bytes of what it sends on, for one micro-batch."""
    weights: int = 0
    buffers: int = 0
    gradients: int = 0
    optimizer: int = 0
    saved: int = 0
    """The bytes that autograd keeps for one micro-batch."""

    @property
    def memory(self) -> int:
        """All that it holds: in training with what is saved of the micro-batches in flight."""
        return self.weights + self.buffers + self.gradients + self.optimizer + self.flights * self.saved


class Options(Record):
    """How a pipeline runs."""

    batch: int = 1
    micro_batches: int = 1
    schedule: str = "1f1b"
    dtype: str = "float32"
    train: bool = False
    optimizer: str = "sgd"
    memory: int | None = None
    """The most bytes that a part may take."""
    device: str = ""

    @property
    def micro_batch(self) -> int:
        """How many samples go through at once."""
        return self.batch // self.micro_batches

    def flights(self, parts: int) -> list[int]:
        """Return how many micro-batches each part holds at once."""
        if not self.train:
            return [0] * parts
        if self.schedule == "gpipe":
            return [self.micro_batches] * parts
        return [min(self.micro_batches, parts - rank) for rank in range(parts)]


class Split(Record):
    """A net in parts."""

    net: Net
    parts: tuple[Part, ...]
    options: Options

    @property
    def work(self) -> list[float]:
        """What each part does: seconds, if a device is given, else MACs."""
        return [part.macs if part.seconds is None else part.seconds for part in self.parts]

    @property
    def balance(self) -> float:
        """The mean work of a part in parts of the most: 1 if all do the same."""
        most = max(self.work)
        return sum(self.work) / len(self.parts) / most if most else 1.0

    @property
    def bubble(self) -> float:
        """Which share of the time parts wait for the first and last micro-batches, if all do the same."""
        parts, number = len(self.parts), self.options.micro_batches
        return (parts - 1) / (number + parts - 1)

    @cached_property
    def slots(self) -> list[Slot]:
        """What each part does when, if nothing takes time but the work."""
        number = self.options.micro_batches
        forward = [part.forward / number for part in self.parts]
        back = [(work - part.forward) / number for part, work in zip(self.parts, self.work, strict=True)]
        return simulate(self.options.schedule, forward, back if self.options.train else [], number)

    @property
    def waiting(self) -> float:
        """Which share of the time parts wait for each other, as uneven as they are."""
        return waiting(self.slots, len(self.parts))

    @cached_property
    def findings(self) -> list[Finding]:
        """What the linter says of norms whose statistics in training are those of a micro-batch."""
        options = self.options
        if not options.train or options.micro_batches == 1:
            return []
        return lint(self.net, MicroBatchNorm.name(), (), options.batch, options.micro_batches)

    @cached_property
    def graphs(self) -> tuple[Graph, ...]:
        """The graph of each part."""
        values = dict.fromkeys(one.value for part in self.parts for one in part.sent)
        names = carried_names(self.net, values)
        return tuple(
            part_graph(
                self.net,
                frozenset(part.layers),
                [one.value for one in part.received],
                [one.value for one in part.sent],
                names,
                part.rank,
            )
            for part in self.parts
        )

    @cached_property
    def nets(self) -> tuple[Net, ...]:
        """Each part as a net of its own, as a spec that has been read again.

        Raises:
            NetError: No spec makes a part.
        """
        return self.nets_that(None)

    def nets_that(self, accept: Callable[[Net], object] | None) -> tuple[Net, ...]:
        """Return the same; `accept` raises a NetError for blocks that are of no use, see `Net.from_graph`."""
        return tuple(
            type(self.net).from_graph(graph, f"{self.net.name}_part{part.rank}", accept=accept)
            for graph, part in zip(self.graphs, self.parts, strict=True)
        )


def split(net: Net, parts: int, options: Options, device: Device | None = None) -> Split:
    """Return a net in so many parts, of which the slowest is as fast as can be.

    Of all plans that fit into the memory a part may take, it is one whose slowest part does least, of these one that
    carries the fewest bytes. What a part does are MACs, in training of both directions, or least times on a device.

    Args:
        net: The net.
        parts: How many.
        options: How the pipeline runs.
        device: Where it runs, if times are to be balanced, and not MACs.

    Raises:
        NetError: An option has no meaning, the net has fewer places, or no plan fits; that says what would do.
    """
    check_options(parts, options)
    places = find_places(net)
    steps = len(places.at) - 1
    if steps < parts:
        what = f"{net.name} can be cut into {_count(steps, 'part')}, not {parts}"
        raise NetError([Diagnostic("E572", what, help=f"--parts {steps}" if steps > 1 else "")])
    return _Splitter(net, places, parts, options, device).split()


def check_options(parts: int, options: Options) -> None:
    """Raise NetError for options that have no meaning."""

    def refuse(message: str, help: str = "") -> None:
        raise NetError([Diagnostic("E503", message, help=help)])

    if type(parts) is not int or not 2 <= parts <= MOST_PARTS:
        refuse(f"parts must be an int from 2 to {MOST_PARTS}, got {parts!r}")
    checked(options.batch, options.micro_batches)
    for name, text, known in (
        ("dtype", options.dtype, tuple(DTYPES)),
        ("schedule", options.schedule, tuple(SCHEDULES)),
        ("optimizer", options.optimizer, tuple(OPTIMIZERS)),
    ):
        if text not in known:
            refuse(f"unknown {name} `{text}`", did_you_mean(text, known) or f"there are {', '.join(known)}")
    if options.train and options.dtype == "int8":
        refuse("int8 has no gradients", "train in another dtype")
    if not options.train and options.optimizer != "sgd":
        refuse(
            f"optimizer `{options.optimizer}` means nothing without train",
            f"--train --optimizer {options.optimizer}",
        )
    if options.memory is not None and (type(options.memory) is not int or options.memory < 1):
        refuse(f"memory must be an int of bytes from 1, got {options.memory!r}")


def micro_batches_of(batch: int, parts: int) -> int:
    """Return into how many micro-batches a batch is divided if nobody says it: at most four times the parts.

    So many keep the bubble small, says GPipe's paper.
    """
    if not (type(batch) is int is type(parts) and min(batch, parts) >= 1):
        return 1  # which is refused as it is
    return next(number for number in range(min(batch, 4 * parts), 0, -1) if batch % number == 0)


class _Splitter:
    """What is known about a net while it is split."""

    def __init__(self, net: Net, places: Places, parts: int, options: Options, device: Device | None) -> None:
        self.net, self.places, self.options = net, places, options
        self.flights = options.flights(parts)
        self.macs = {
            node.name: net.layer_costs[node.name].macs if options.train or not node.train else 0
            for node in net.graph
        }
        self.back: Mapping[str, int] = net.layer_backward_macs if options.train else {}
        self.seconds = ({}, {}) if device is None else self.times(device)
        self.timed = device is not None
        self.known: dict[tuple[int, int], int] = {}
        """What parts save, by their places, that have been measured by themselves."""

    def times(self, device: Device) -> tuple[Mapping[str, float], Mapping[str, float]]:
        """Return the least time of each layer for a micro-batch, forward and back."""
        from netdsl.hardware.model import BACKWARD, FORWARD, estimate

        options = self.options
        steps = estimate(
            self.net, device, options.micro_batch, options.dtype, False, options.train, options.optimizer
        ).steps
        there, back = (
            {step.name: step.seconds for step in steps if step.phase == phase}
            for phase in (FORWARD, BACKWARD)
        )
        return there, back

    def work(self, name: str) -> tuple[float, float]:
        """Return what a layer does for a micro-batch, forward and back: seconds, or MACs."""
        if self.timed:
            there, back = self.seconds
            return there.get(name, 0.0), back.get(name, 0.0)
        size = self.options.micro_batch
        return size * self.macs[name], size * self.back.get(name, 0)

    def split(self) -> Split:
        """Plan, and plan again where a part is found to save other than what was known of it."""
        row, limit = self.row(), self.options.memory
        while True:
            least = 0
            try:
                places = choose(row, self.flights, limit)
            except TooLittle as error:
                places, least = error.places, error.least
            made = Split(self.net, tuple(self.parts(places)), self.options)
            made = made.replace(
                parts=tuple(
                    self.measured(part, graph) for part, graph in zip(made.parts, made.graphs, strict=True)
                )
            )
            found = {part: one.saved for part, one in zip(pairwise(places), made.parts, strict=True)}
            right = limit is None or all(row.saved(*part) == saved for part, saved in found.items())
            if least and right:
                self.refuse(least)
            if not least and (limit is None or max(part.memory for part in made.parts) <= limit):
                return made
            assert not right, "what a part holds is known but for what it saves"
            self.known.update(found)

    def refuse(self, least: int) -> None:
        """Say that nothing fits, and what would do."""
        held = "weights, gradients, optimizer and what is saved" if self.options.train else "weights"
        what = (
            f"no {len(self.flights)} parts of {self.net.name} fit {self.options.memory:,} bytes each: {held} take "
            f"{least:,} in the largest part of the plan that needs least"
        )
        raise NetError(
            [Diagnostic("E573", what, help=f"--memory {least}, more parts, or more micro-batches")]
        )

    def row(self) -> Row:
        """Return what is to be cut, as numbers."""
        places, options = self.places, self.options
        size = options.micro_batch * DTYPES[options.dtype]
        work = [0]
        for name in places.order:
            there, back = self.work(name)
            work.append(work[-1] + round((there + back) * (PICOSECONDS if self.timed else 1)))
        across = [
            size * sum(self.net.outputs_of(value.node)[value.port].elements for value in values)
            for values in places.across
        ]
        optimizer = options.optimizer if options.train else ""
        held = held_bytes(self.net, places, options.dtype, optimizer)
        if options.train and options.memory is not None:
            holdings = Holdings(self.net, places, options.micro_batch, options.dtype)

            def saved(begin: int, end: int) -> int:
                known = self.known.get((begin, end))
                return holdings.saved(begin, end) if known is None else known
        else:
            saved = _nothing
        return Row(work=[work[at] for at in places.at], across=across, held=held, saved=saved)

    def parts(self, places: Sequence[int]) -> Iterator[Part]:
        """Yield the parts between some places, of which nobody has measured yet what they hold."""
        options, order = self.options, self.places.order
        values = dict.fromkeys(value for place in places[1:-1] for value in self.places.across[place])
        names = carried_names(self.net, values)
        size = options.micro_batch * DTYPES[options.dtype]

        def carried(place: int) -> tuple[Carried, ...]:
            found = self.places.across[place] if place in places[1:-1] else ()
            return tuple(
                [
                    Carried(names[value], value, carried_shape(self.net, value), value in self.learned)
                    for value in found
                ]
            )

        for rank, (begin, end) in enumerate(pairwise(places)):
            layers = order[self.places.at[begin] : self.places.at[end]]
            sent = carried(end)
            number = options.micro_batches
            there = number * sum(self.work(name)[0] for name in layers)
            back = number * sum(self.work(name)[1] for name in layers)
            macs = options.batch * sum(self.macs[name] + self.back.get(name, 0) for name in layers)
            yield Part(
                rank=rank,
                layers=layers,
                inputs=0 if rank else len(self.net.inputs),
                received=carried(begin),
                sent=sent,
                params=sum(self.net.layer_costs[name].params for name in layers),
                macs=macs,
                seconds=there + back if self.timed else None,
                forward=there,
                flights=self.flights[rank],
                carried=size * sum(prod(one.shape) for one in sent),
            )

    def measured(self, part: Part, graph: Graph) -> Part:
        """Return a part with what it holds, as its own graph says."""
        options = self.options
        facts = infer_shapes(verify_graph(Facts(graph)))
        if not options.train:
            held = measure_module(facts, DTYPES[options.dtype])
            return part.replace(weights=held.weights, buffers=held.buffers)
        carried = frozenset(one.name for one in part.received if one.learned)
        step = step_of(facts, options.micro_batch, options.dtype, carried)
        held = measure_update(facts, options.dtype, options.optimizer, step)
        return part.replace(
            weights=held.weights,
            buffers=held.buffers,
            gradients=held.gradients,
            optimizer=held.optimizer,
            saved=sum([storage.nbytes for storage in step.tape.kept]),
        )

    @cached_property
    def learned(self) -> frozenset[Value]:
        """The values that something learned is behind: that get a gradient."""
        found: set[str] = set()
        for node in self.net.graph:
            x = self.net.inputs_of(node.name)
            reads = [
                value.node
                for value, field in zip(node.inputs, node.op.reach(*x), strict=True)
                if field is not None
            ]
            if node.op.weights(*x) or not found.isdisjoint(reads):
                found.add(node.name)
        return frozenset(
            Value(name, port) for name in found for port in range(len(self.net.outputs_of(name)))
        )


def carried_shape(net: Net, value: Value) -> Shape:
    """Return the shape of a value as it is carried: with the axes of an input."""
    shape = net.outputs_of(value.node)[value.port]
    sizes = {axis: size for axis, size in zip(shape.axes, shape, strict=True)}
    return Shape(*[sizes[axis] for axis in ("c", "nc", "chw")[len(shape) - 1]])


def _nothing(begin: int, end: int) -> int:
    return 0


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"

"""A net on several devices, each of which makes its share of the channels of every layer: Krizhevsky et al. 2012.

Each device has the same layers, with fewer channels: its weights are rows of the net's, under the same keys. A value
of which it has some channels only is a *share*, one of which it has all is *whole*. What an op does with shares it
says itself (`Op.share`). Where it needs all channels, the devices exchange what they have, and there the net is cut
into stages, each of which is a net of its own. What has no weights and no share is worked out by every device.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import NoReturn

from netdsl.diagnostics import Diagnostic, NetError
from netdsl.elaborate.names import reserved_name
from netdsl.ir.graph import Graph, Node, Output, Value
from netdsl.ir.types import DTYPES, Shape
from netdsl.net import Net
from netdsl.ops import Op
from netdsl.ops.source import Input
from netdsl.passes.training import Memory
from netdsl.record import Record
from netdsl.syntax.tokens import keywords
from netdsl.transforms.tree import with_tree

MOST = 64
"""The most devices."""


class Held(Record):
    """A value as a device has it between stages."""

    name: str
    """What it is called there."""
    value: Value
    shape: Shape
    """What the device has of it."""
    exchanged: bool = False
    """Whether it is made of the shares of all devices."""

    @property
    def axis(self) -> int:
        """Where its channels are, counted with the batch."""
        return self.shape.axes.index("c") + 1


class Stage(Record):
    """What a device does between two exchanges."""

    number: int
    graph: Graph
    takes: tuple[Held, ...]
    makes: tuple[Held, ...]


class Result(Record):
    """An output of the net."""

    name: str
    held: Held
    share: bool
    """Whether a device makes some channels of it only."""


class Towers(Record):
    """A net on several devices."""

    net: Net
    devices: int
    stages: tuple[Stage, ...]
    results: tuple[Result, ...]

    @cached_property
    def nets(self) -> tuple[Net, ...]:
        """What one device does, stage by stage, each as a net of its own.

        Raises:
            NetError: No spec makes a stage.
        """
        make = type(self.net).from_graph
        return tuple([make(stage.graph, f"{self.net.name}_stage{stage.number}") for stage in self.stages])

    @cached_property
    def made(self) -> Mapping[Value, Held]:
        """What is given, and what stages make, as a device has it."""
        every = (held for stage in self.stages for held in (*stage.takes, *stage.makes))
        return {held.value: held for held in every if not held.exchanged}

    @property
    def exchanges(self) -> tuple[Held, ...]:
        """What is made of the shares of all devices, in the order in which it is."""
        between = dict.fromkeys(held for stage in self.stages for held in stage.takes if held.exchanged)
        return (*between, *[result.held for result in self.results if result.share])

    def exchanged(self, batch: int = 1, dtype: str = "float32", train: bool = True) -> int:
        """Return the bytes that a device is sent in a step: shares of the others, and in training their gradients.

        What leaves the net needs no exchange on its way back.
        """
        results = {result.held for result in self.results}
        elements = sum(
            self.received(held) * (1 if held in results or not train else 2) for held in self.exchanges
        )
        return batch * DTYPES[dtype] * elements

    def received(self, held: Held) -> int:
        """Return how many elements of a value the other devices send, for one sample."""
        elements = self.net.outputs_of(held.value.node)[held.value.port].elements
        return elements - elements // self.devices

    def memory(self, batch: int = 1, dtype: str = "float32", optimizer: str = "sgd") -> Memory:
        """Return what training takes on one device, without what the exchange itself takes.

        While a stage goes back, the earlier ones hold what they keep, and the later ones have their gradients.
        """
        each = [net.memory(batch, dtype, True, optimizer) for net in self.nets]
        fixed = [one.weights + one.buffers + one.optimizer for one in each]
        return Memory(
            weights=sum(one.weights for one in each),
            buffers=sum(one.buffers for one in each),
            gradients=sum(one.gradients for one in each),
            optimizer=sum(one.optimizer for one in each),
            saved=sum(one.saved for one in each),
            input=each[0].input,
            peak=sum(fixed)
            + max(
                one.peak
                - fixed[at]
                + sum(before.saved for before in each[:at])
                + sum(after.gradients for after in each[at + 1 :])
                for at, one in enumerate(each)
            ),
            first_peak=sum(fixed)
            - sum(one.optimizer for one in each)
            + max(
                one.first_peak
                - one.weights
                - one.buffers
                + sum(before.saved for before in each[:at])
                + sum(after.gradients for after in each[at + 1 :])
                for at, one in enumerate(each)
            ),
        )


def towers(net: Net, devices: int = 2) -> Towers:
    """Return a net on some devices, each of which makes as many neighbouring channels of every layer.

    Raises:
        NetError: There are no such devices, or a layer cannot be shared; that says which, and why.
    """
    if type(devices) is not int or not 2 <= devices <= MOST:
        raise NetError([Diagnostic("E503", f"towers must be an int from 2 to {MOST}, got {devices!r}")])
    return _Plan(net, devices).towers()


class _Plan:
    """What is known about a net while it is shared out."""

    def __init__(self, net: Net, devices: int) -> None:
        self.net, self.devices = net, devices
        self.shares: set[Value] = set()
        """The values of which a device has its own channels only."""
        self.stage: dict[str, int] = {}
        """By node the stage that it is in; 0 is before the first."""
        self.ops: dict[str, Op] = {}
        """By node what a device does."""
        self.own: dict[str, tuple[bool, ...]] = {}
        """By node for each of its inputs whether it reads a share."""

    def towers(self) -> Towers:
        for output in self.net.graph.outputs:
            if output.train:
                self.refuse(
                    self.net.graph[output.value.node],
                    f"the output {output.name} is there in training only",
                    "leave it out: towers have the same outputs always",
                )
        for node in self.net.graph:
            self.place(node)
        if not self.shares:
            what = f"{self.net.name} has no layer whose channels could be shared"
            raise NetError([Diagnostic("E574", what)])
        stages = tuple([self.cut(number) for number in range(1, max(self.stage.values()) + 1)])
        made = Towers(self.net, self.devices, stages, ()).made
        results = [
            Result(output.name, made[output.value], output.value in self.shares)
            for output in self.net.graph.outputs
        ]
        return Towers(self.net, self.devices, stages, tuple(results))

    # ---------------------------------------------------------------- what a device does

    def place(self, node: Node) -> None:
        """Say what a device does at a node, and in which stage."""
        held = tuple([value in self.shares for value in node.inputs])
        op, own = self.share(node, held)
        self.ops[node.name], self.own[node.name] = op, own
        later = [
            self.stage[value.node] + (here and not kept)
            for value, here, kept in zip(node.inputs, held, own, strict=True)
        ]
        self.stage[node.name] = 0 if isinstance(op, Input) else max([1, *later])
        if node.module and any(
            table[node.name] != table[node.module] for table in (self.ops, self.own, self.stage)
        ):
            self.refuse(
                node, f"{node.name} is {node.module} again, but not with the same channels in one stage"
            )

    def share(self, node: Node, held: tuple[bool, ...]) -> tuple[Op, tuple[bool, ...]]:
        """Return what a device does at a node, and of which inputs it needs its own channels only."""
        whole = (False,) * len(held)
        x, stateless = self.net.inputs_of(node.name), not self.state(node)
        for own in dict.fromkeys((held, whole)):
            if not any(own) and stateless:
                if node.op.draws:
                    self.refuse(
                        node, f"each device would draw other numbers for {_called(node)}, which all have"
                    )
                return node.op, own
            op = node.op.share(self.devices, own, *x)
            if op is not None and self.fits(node, op, own):
                self.shares |= {Value(node.name, port) for port in range(len(self.net.outputs_of(node.name)))}
                return op, own
        made = self.net.outputs_of(node.name)[0]
        if made.c % self.devices:
            self.refuse(
                node, f"{_called(node)} makes {made.c} channels, which {self.devices} devices cannot share"
            )
        self.refuse(
            node,
            f"{_called(node)} cannot be shared by {self.devices} devices: its weights cannot be divided "
            "by the channels that each makes",
            "towers divide convolutions, fc, and what treats channels, or their groups, by themselves",
        )

    def fits(self, node: Node, op: Op, own: Sequence[bool]) -> bool:
        """Tell whether an op makes a share of what a node makes, with a share of its weights."""
        x = self.net.inputs_of(node.name)
        if any(mine and shape.c % self.devices for shape, mine in zip(x, own, strict=True)):
            return False
        parts = [self.part(shape) if mine else shape for shape, mine in zip(x, own, strict=True)]
        outputs = self.net.outputs_of(node.name)
        if any(shape.c % self.devices for shape in outputs):
            return False
        if op.outputs(*parts) != tuple([self.part(shape) for shape in outputs]):
            return False
        learned, mine = node.op.weights(*x), op.weights(*parts)
        return all(self.divides(sizes, mine[name]) for name, sizes in learned.items())

    def divides(self, sizes: Sequence[int], mine: Sequence[int]) -> bool:
        """Tell whether one axis is divided among the devices, and no other."""
        other = [(one, part) for one, part in zip(sizes, mine, strict=True) if one != part]
        return len(other) == 1 and other[0][0] == other[0][1] * self.devices

    def state(self, node: Node) -> bool:
        x = self.net.inputs_of(node.name)
        return bool(node.op.weights(*x) or node.op.buffers(*x))

    def part(self, shape: Shape) -> Shape:
        return shape.with_size("c", shape.c // self.devices)

    # ---------------------------------------------------------------- stages

    def cut(self, number: int) -> Stage:
        """Return a stage as a graph."""
        net, tree = self.net.graph, self.net.graph.tree
        inside = [node for node in net if self.stage[node.name] == number]
        takes: dict[tuple[Value, bool], Held] = {}
        for node in inside:
            for value, own in zip(node.inputs, self.own[node.name], strict=True):
                exchanged = value in self.shares and not own
                if self.stage[value.node] < number:
                    takes.setdefault((value, exchanged), self.held(node, value, exchanged))
        ends = {output.value for output in net.outputs}
        made = dict.fromkeys(
            value
            for node in inside
            for value in (Value(node.name, port) for port in range(len(self.net.outputs_of(node.name))))
            if value in ends or self.read_later(value, number)
        )
        makes = tuple([self.held(net[value.node], value, False) for value in made])

        first, *others = net.inputs.values()
        places = {first: 0} | dict.fromkeys(others, 2)  # what is sent stands behind the net's first input
        taken = sorted(takes.values(), key=lambda held: places.get(held.value.node, 1))
        graph = Graph()
        for held in taken:
            name = held.value.node if held.value.node in net.inputs.values() else held.name
            graph.add(Node(name, Input(shape=tuple(held.shape)), (), net[held.value.node].span))
            graph.inputs[held.name] = name
        for node in inside:
            reads = [
                Value(graph.inputs[takes[key].name])
                if (key := (value, value in self.shares and not own)) in takes
                else value
                for value, own in zip(node.inputs, self.own[node.name], strict=True)
            ]
            graph.add(node.replace(op=self.ops[node.name], inputs=tuple(reads)))
        graph.outputs = tuple([Output(held.name, held.value) for held in makes])
        with_tree(graph, tree, {}, {name: first for name in graph.inputs.values() if name not in net})
        graph.tree.block = f"{tree.block}Stage{number}"
        return Stage(number, graph, tuple(taken), makes)

    def read_later(self, value: Value, number: int) -> bool:
        """Tell whether a later stage reads a value."""
        return any(
            value in node.inputs and self.stage[node.name] > number
            for node in self.net.graph.users(value.node)
        )

    def held(self, node: Node, value: Value, exchanged: bool) -> Held:
        """Return a value as a stage takes it, or makes it."""
        shape = self.net.outputs_of(value.node)[value.port]
        if shape.axes not in ("c", "nc", "chw"):
            self.refuse(
                node, f"{value.node} has its axes in the order {', '.join(shape.axes)}, in which none is sent"
            )
        own = value in self.shares and not exchanged
        return Held(self.names[value, exchanged], value, self.part(shape) if own else shape, exchanged)

    @cached_property
    def names(self) -> Mapping[tuple[Value, bool], str]:
        """What values are called between stages: as the net's inputs, or after their layers."""
        graph = self.net.graph
        taken = {part for scope in graph.tree.scopes() for part in (scope.path, scope.name)} | set(keywords())
        taken |= {part for name in graph.nodes for part in (name, name.partition(".")[0])}
        found: dict[tuple[Value, bool], str] = {}
        for name, node in graph.inputs.items():
            found[Value(node), False] = name
            taken.add(name)
        for value, exchanged in self.candidates():
            if (value, exchanged) in found:
                continue
            several = len(self.net.outputs_of(value.node)) > 1
            name = re.sub(r"\W", "_", value.node) + (f"_{value.port}" if several else "")
            name = f"{'own' if value in self.shares and not exchanged else 'all'}_{name}"
            while name in taken or reserved_name(name):
                name += "_"
            taken.add(name)
            found[value, exchanged] = name
        return found

    def candidates(self) -> Iterator[tuple[Value, bool]]:
        """Yield what may have to be called something: all values, and those that are exchanged."""
        for node in self.net.graph:
            for port in range(len(self.net.outputs_of(node.name))):
                yield Value(node.name, port), False
                yield Value(node.name, port), True

    def refuse(self, node: Node, message: str, help: str = "") -> NoReturn:
        """Say at a layer why the net cannot be shared."""
        raise NetError([Diagnostic("E574", message, node.span, help=help, calls=node.calls)])


def _called(node: Node) -> str:
    """Return what a layer is called in a message: by its op, if a number is all that it is called."""
    return node.op.name if node.name.rpartition(".")[2].isdigit() else f"{node.name} ({node.op.name})"

"""A net on several devices, each of which makes its share of the channels of every layer: Krizhevsky et al. 2012.

Each device has the same layers, with fewer channels: its weights are rows of the net's, under the same keys. A value
of which it has some channels only is a *share*, one of which it has all is *whole*. What it does at a layer says
`shares.py`. Where a layer needs all channels, the devices exchange what they have, and where it needs a share of what
all have, each takes its own; there the net is cut into stages, each of which is a net of its own. What cannot be
divided is worked out by every device, with all of its weights, whose gradients are summed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from math import prod
from typing import NoReturn

from netdsl.diagnostics import Diagnostic, NetError
from netdsl.elaborate.names import reserved_name
from netdsl.ir.graph import Graph, Node, Output, Value
from netdsl.ir.tape import Tape, Tensor
from netdsl.ir.types import DTYPES, Shape
from netdsl.net import Net, check_training, of_ops
from netdsl.ops.layout import Permute
from netdsl.ops.source import Input, Weight
from netdsl.passes import Facts, find_holds
from netdsl.passes.training import (
    Alive,
    Memory,
    TrainingStep,
    measure_update,
    record,
    run_backward,
)
from netdsl.record import Record
from netdsl.syntax.tokens import keywords
from netdsl.transforms.shares import Doing, Place, Runs, part
from netdsl.transforms.tree import input_axes, with_part

MOST = 64
"""The most devices."""


class Held(Record):
    """A value as a device has it between stages."""

    name: str
    """What it is called there."""
    value: Value
    shape: Shape
    """What the device has of it, with the axes of an input."""
    runs: Runs
    """How its channels lie, if it is a share."""

    @property
    def axis(self) -> int:
        """Where its channels are, counted with the batch."""
        return self.shape.axes.index("c") + 1


class Move(Record):
    """What is done to have a value otherwise: shares are exchanged, or each device takes its own of what all have."""

    held: Held
    of: Held

    @property
    def exchange(self) -> bool:
        """Whether devices send each other what they have."""
        return bool(self.of.runs)


class Stage(Record):
    """What a device does between two moves."""

    number: int
    graph: Graph
    moves: tuple[Move, ...]
    """What is done before it."""
    takes: tuple[Held, ...]
    makes: tuple[Held, ...]
    whole: tuple[str, ...]
    """The layers of which a device has all weights."""
    same: bool
    """Whether it has to draw the same numbers on all devices."""
    train: bool
    """Whether it is there in training only."""


class Result(Record):
    """An output of the net."""

    name: str
    held: Held
    train: bool
    """Whether it is there in training only."""


class Towers(Record):
    """A net on several devices."""

    net: Net
    devices: int
    stages: tuple[Stage, ...]
    results: tuple[Result, ...]
    """Those of training only at last."""
    rows: Mapping[str, Runs]
    """By layer how a device's rows lie among those of the net, where they are several runs."""
    axes: Mapping[str, int]
    """By key of the state along which axis that is divided, where it is not the first."""

    @cached_property
    def nets(self) -> tuple[Net, ...]:
        """What one device does, stage by stage, each as a net of its own.

        Raises:
            NetError: No spec makes a stage.
        """
        make = type(self.net).from_graph
        return tuple([make(stage.graph, f"{self.net.name}_stage{stage.number}") for stage in self.stages])

    @property
    def whole(self) -> tuple[str, ...]:
        """The layers of which each device has all weights."""
        return tuple([name for stage in self.stages for name in stage.whole])

    @property
    def exchanges(self) -> tuple[Held, ...]:
        """The shares that are sent to all devices, in the order in which they are, results at last."""
        between = [move.of for stage in self.stages for move in stage.moves if move.exchange]
        return (*between, *[result.held for result in self.results if result.held.runs])

    def exchanged(self, batch: int = 1, dtype: str = "float32", train: bool = True) -> int:
        """Return the bytes that a device is sent in a step: shares of the others, and in training their gradients.

        What leaves the net needs no exchange on its way back, nor does what nothing learned is behind. Gradients of
        weights that each device has are summed around a ring.
        """
        sent = [self.received(held) for held in self.exchanges if train or held not in self._trained]
        if train:
            _, have = self._forward(1, dtype)
            between = [move.of for stage in self.stages for move in stage.moves if move.exchange]
            sent += [self.received(held) for held in between if have[held].grad]
        summed = [2 * (size - size // self.devices) for size in self.whole_sizes] if train else []
        return DTYPES[dtype] * (batch * sum(sent) + sum(summed))

    @cached_property
    def _trained(self) -> frozenset[Held]:
        """What is exchanged in training only."""
        stages = [stage for stage in self.stages if stage.train]
        results = [result.held for result in self.results if result.train]
        return frozenset([*[move.of for stage in stages for move in stage.moves], *results])

    @property
    def whole_sizes(self) -> tuple[int, ...]:
        """The elements of each tensor of weights that each device has."""
        layers = [self.net.graph[name] for name in self.whole]
        sizes = [node.op.weights(*self.net.inputs_of(node.name)).values() for node in layers]
        return tuple([prod(one) for each in sizes for one in each])

    def received(self, held: Held) -> int:
        """Return how many elements of a value the other devices send, for one sample."""
        return held.shape.elements * (self.devices - 1)

    def memory(self, batch: int = 1, dtype: str = "float32", optimizer: str = "sgd") -> Memory:
        """Return what training takes on one device.

        It counts tensors, as `Net.memory` does, and is as exact: those that an exchange makes are among them, and all
        that goes from stage to stage is there until the last has run. What is sent may be held by the network longer.

        Raises:
            NetError: As `Net.memory` does.
        """
        check_training(batch, dtype, optimizer)
        tape, have = self._forward(batch, dtype)
        alive = Alive()
        given = [have[held].storage for held in self._given]
        for storage in given:
            alive.hold(storage)
        with of_ops():
            run_backward(
                tape, [self._returned(tape, have[result.held], result) for result in self.results], alive
            )
        step = TrainingStep(tape, alive, sum([storage.nbytes for storage in given]))
        each = [measure_update(facts, dtype, optimizer, step) for facts in self._facts]
        first = each[0]
        weights, buffers, state = (
            sum([getattr(one, field) for one in each]) for field in ("weights", "buffers", "optimizer")
        )
        at_once = max([one.peak - one.weights - one.buffers - one.optimizer for one in each])
        running = max(tape.peak, alive.peak)
        return Memory(
            weights=weights,
            buffers=buffers,
            gradients=first.gradients,
            optimizer=state,
            saved=sum([storage.nbytes for storage in tape.kept]),
            input=first.input,
            peak=weights + buffers + state + max(running, at_once),
            first_peak=weights + buffers + max(running, state + at_once),
        )

    @cached_property
    def _facts(self) -> tuple[Facts, ...]:
        return tuple([find_holds(Facts(net.graph, net.elaborated.shapes)) for net in self.nets])

    @property
    def _given(self) -> tuple[Held, ...]:
        """The inputs of the net."""
        names = self.net.graph.inputs.values()
        return tuple(
            dict.fromkeys(
                held
                for stage in self.stages
                for held in (*stage.takes, *[move.of for move in stage.moves])
                if held.value.node in names and not held.runs
            )
        )

    def _forward(self, batch: int, dtype: str) -> tuple[Tape, dict[Held, Tensor]]:
        """Return the tape of a batch that ran through all stages, and what a device has between them."""
        tape = Tape(batch, DTYPES[dtype])
        have = {held: tape.new(tape.sized(held.shape)).named(held.shape) for held in self._given}
        tape.hold(have.values())
        for stage, facts in zip(self.stages, self._facts, strict=True):
            for move in stage.moves:
                tape.enter("")
                have[move.held] = self._moved(tape, have[move.of], move.held, move.exchange)
            for name in stage.whole:
                tape.layers[name] = self._summed(tape, self.net.graph[name])
            names = [facts.graph.inputs[held.name] for held in stage.takes]
            given = dict(zip(names, [have[held] for held in stage.takes], strict=True))
            with of_ops():
                _, values = record(facts, batch, dtype, tape=tape, given=given)
            outputs = {output.name: output.value for output in facts.graph.outputs}
            for held in stage.makes:
                value = outputs[held.name]
                have[held] = values[value.node][value.port]
            tape.hold([have[held] for held in stage.makes])
        return tape, have

    def _summed(self, tape: Tape, node: Node) -> tuple[Tensor, ...]:
        """Return the weights of a layer that each device has, whose gradients are summed in a copy."""
        weights = map(tape.learned, node.op.weights(*self.net.inputs_of(node.name)).values())
        return tuple(
            [tape.looking(Tensor(x.sizes, x.strides, x.storage, True), x, tape.filled) for x in weights]
        )

    def _moved(self, tape: Tape, x: Tensor, held: Held, exchange: bool) -> Tensor:
        """Return a value that is exchanged, or of which a share is taken, with what that takes besides."""
        y = tape.made(tape.sized(held.shape), x, back=tape.filled).named(held.shape)
        if exchange:
            tape.note(x, y, *[tape.new(x.sizes) for _ in range(self.devices)])
            tape.scratched(y, 1)
        tape.hold([y])
        return y

    def _returned(self, tape: Tape, x: Tensor, result: Result) -> Tensor:
        """Return what leaves the net."""
        tape.enter("")
        if not result.held.runs:
            return tape.looking(Tensor(x.sizes, x.strides, x.storage, x.grad), x, tape.filled)
        whole = x.sample.with_size("c", x.sample.c * self.devices)
        return self._moved(tape, x, result.held.replace(shape=whole), True)


def towers(net: Net, devices: int = 2) -> Towers:
    """Return a net on some devices, each of which makes as many channels of every layer that can be divided.

    Raises:
        NetError: There are no such devices, or the net cannot be shared; that says where, and why.
    """
    if type(devices) is not int or not 2 <= devices <= MOST:
        raise NetError([Diagnostic("E503", f"towers must be an int from 2 to {MOST}, got {devices!r}")])
    return _Plan(net, devices).towers()


class _Plan:
    """What is known about a net while it is shared out."""

    def __init__(self, net: Net, devices: int) -> None:
        self.net, self.devices = net, devices
        self.runs: dict[Value, Runs] = {}
        """What a device has of each value."""
        self.does: dict[str, Doing] = {}
        """By node what a device does."""
        self.stage: dict[str, int] = {}
        """By node the stage that it is in; 0 is before the first."""
        self.same: dict[int, bool] = {}
        """By stage in which anything draws numbers, whether they have to be the same on all devices."""
        self.unsent: dict[str, int] = {}
        """The nodes that make what has no samples, of learned tensors or of sizes: they are where it is read.

        With the stage before which that cannot be.
        """
        self.have: dict[tuple[Value, Runs], Held] = {}
        """What a device has between stages, as it was made or moved."""

    def towers(self) -> Towers:
        nodes = [*self.net.graph]
        for train in (False, True):
            self.first = max([0, *self.stage.values()]) + 1
            for node in nodes:
                if node.train is train:
                    self.place(node)
        self.last = max(
            [0, *[self.stage[node.name] for node in nodes if not node.train and node.name in self.stage]]
        )
        for node in nodes:
            if node.name not in self.stage:  # learned, and nobody reads it
                self.settle(node, 1)
            self.check_again(node)
        if not any(self.runs.values()):
            what = f"{self.net.name} has no layer whose channels could be shared"
            raise NetError([Diagnostic("E574", what)])
        for node in self.net.graph.inputs.values():
            self.have[Value(node), ()] = self.held(self.net.graph[node], Value(node), ())
        stages = tuple([self.cut(number) for number in range(1, max(self.stage.values()) + 1)])
        outputs = self.net.graph.outputs
        results = [
            Result(output.name, self.have[output.value, self.runs[output.value]], output.train)
            for output in sorted(outputs, key=lambda output: output.train)
        ]
        return Towers(self.net, self.devices, stages, tuple(results), self.rows, self.axes)

    @property
    def divided(self) -> Iterator[tuple[Node, Doing]]:
        """The layers whose weights are divided."""
        for node in self.net.graph:
            doing = self.does[node.name]
            if not doing.whole and not node.module and self.state(node):
                yield node, doing

    @property
    def rows(self) -> dict[str, Runs]:
        """By layer how its rows lie, where they are several runs."""
        return {node.name: doing.makes[0] for node, doing in self.divided if len(doing.makes[0]) > 1}

    @property
    def axes(self) -> dict[str, int]:
        """By key along which axis a tensor is divided, where it is not the first."""
        return {
            f"{node.name}.{name}".removesuffix("."): axis
            for node, doing in self.divided
            for name, axis in self.at(node).axes(doing).items()
            if axis
        }

    # ---------------------------------------------------------------- what a device does

    def place(self, node: Node) -> None:
        """Say what a device does at a node, and in which stage."""
        here = self.at(node)
        learned = node.op.batchless and all(value.node in self.unsent for value in node.inputs)
        if learned or (node.inputs and not any(here.reach)):
            stages = [self.unsent.get(value.node, self.stage.get(value.node, 0)) for value in node.inputs]
            self.unsent[node.name] = max(stages, default=0)
            self.put(node, here.by_all())
            return  # in the stage that reads it
        doing = next((way for way in here.ways() if not self.obstacle(node, way)), None)
        if doing is None:
            self.refuse(node, self.obstacle(node, here.by_all()))
        self.put(node, doing)
        later = [
            self.unsent[value.node]
            if value.node in self.unsent
            else self.stage[value.node] + (self.runs[value] != runs)
            for value, runs in zip(node.inputs, doing.reads, strict=True)
        ]
        stage = 0 if isinstance(node.op, Input) else max([self.first, *later])
        if here.draws:
            while self.same.setdefault(stage, doing.same) != doing.same:
                stage += 1
        self.stage[node.name] = stage
        for value, runs in zip(node.inputs, doing.reads, strict=True):
            if value.node in self.unsent and value.node not in self.stage:
                self.settle(self.net.graph[value.node], self.stage[node.name], runs)
            elif value.node in self.unsent and self.stage[value.node] != self.stage[node.name]:
                self.refuse(
                    node, f"{_called(self.net.graph[value.node])} has no samples, and is read in two stages"
                )

    def at(self, node: Node) -> Place:
        """Return a layer with what devices have of what it reads."""
        held = tuple([self.runs[value] for value in node.inputs])
        return Place(node.op, self.net.inputs_of(node.name), held, self.devices)

    def put(self, node: Node, doing: Doing) -> None:
        """Note what a device does at a node."""
        self.does[node.name] = doing
        for port, runs in enumerate(doing.makes):
            self.runs[Value(node.name, port)] = runs

    def settle(self, node: Node, stage: int, runs: Runs = ()) -> None:
        """Put what is made of learned tensors into a stage, as a share if that is what is read there."""
        self.stage[node.name] = stage
        if runs:
            shape = self.net.outputs_of(node.name)[0]
            self.put(node, Doing(node.op.replace(shape=tuple(part(shape, self.devices))), (), (runs,)))
        for value in node.inputs:
            if value.node not in self.stage:
                self.settle(self.net.graph[value.node], stage)

    def obstacle(self, node: Node, doing: Doing) -> str:
        """Return why a device cannot do so at a node: what it reads, or makes, cannot be brought to others."""
        for value, runs, shape in zip(node.inputs, doing.reads, self.net.inputs_of(node.name), strict=True):
            if runs == self.runs[value]:
                continue
            source = self.net.graph[value.node]
            if value.node in self.unsent:
                free = isinstance(source.op, Weight) and source.op.learned and value.node not in self.stage
                if free and runs and self.net.outputs_of(value.node)[0].c == sum(runs):
                    continue
                return f"{_called(source)} has no samples, so that nothing can be sent"
            if not input_axes(shape):
                return f"{_called(source)} makes {shape.kind} {shape}, which cannot be sent"
        if any(doing.makes) and not all(map(input_axes, self.net.outputs_of(node.name))):
            return f"{_called(node)} makes what cannot be sent"
        return ""

    def state(self, node: Node) -> bool:
        """Tell whether a layer holds anything."""
        return bool(Place.state(node.op, self.net.inputs_of(node.name)))

    def check_again(self, node: Node) -> None:
        """Refuse what runs a module again otherwise than before."""
        tables: tuple[Mapping[str, object], ...] = (self.does, self.stage)
        if (
            node.module
            and self.state(node)
            and any(table[node.name] != table[node.module] for table in tables)
        ):
            self.refuse(
                node, f"{node.name} is {node.module} again, but not with the same channels in one stage"
            )

    # ---------------------------------------------------------------- stages

    def cut(self, number: int) -> Stage:
        """Return a stage as a graph."""
        net, tree = self.net.graph, self.net.graph.tree
        inside = [node for node in net if self.stage[node.name] == number]
        takes: dict[tuple[Value, Runs], Held] = {}
        moves: list[Move] = []
        for node in inside:
            for value, runs in zip(node.inputs, self.does[node.name].reads, strict=True):
                if self.stage[value.node] < number:
                    takes[value, runs] = self.have.get((value, runs)) or self.move(node, value, runs, moves)
        ends = {output.value for output in net.outputs}
        made = dict.fromkeys(
            value
            for node in inside
            for value in (Value(node.name, port) for port in range(len(self.net.outputs_of(node.name))))
            if value in ends or self.read_later(value, number)
        )
        makes = [self.held(net[value.node], value, self.runs[value]) for value in made]
        self.have |= {(held.value, held.runs): held for held in makes}

        first, *others = net.inputs.values()
        order = {first: 0} | dict.fromkeys(others, 2)  # what is sent stands behind the net's first input
        taken = sorted(takes.values(), key=lambda held: order.get(held.value.node, 1))
        graph, places = Graph(), {}
        read: dict[tuple[Value, Runs], Value] = {}
        for held in taken:
            name = held.value.node if held.value.node in order and not held.runs else held.name
            graph.add(Node(name, Input(shape=tuple(held.shape)), (), net[held.value.node].span))
            graph.inputs[held.name] = name
            places[name] = first
            read[held.value, held.runs] = Value(name)
        for held in taken:
            axes = self.net.outputs_of(held.value.node)[held.value.port].axes
            if axes != held.shape.axes:
                before, name = read[held.value, held.runs], self.free(f"{held.name}_read")
                turn = Permute(axes=tuple([held.shape.axes.index(axis) for axis in axes]))
                graph.add(Node(name, turn, (before,), net[held.value.node].span))
                places[name] = first
                read[held.value, held.runs] = Value(name)
        for node in inside:
            doing = self.does[node.name]
            reads = [read.get(key, key[0]) for key in zip(node.inputs, doing.reads, strict=True)]
            graph.add(node.replace(op=doing.op, inputs=tuple(reads), train=False))
        end = tree.steps[-1]
        outputs = []
        for held in makes:
            axes, result = self.net.outputs_of(held.value.node)[held.value.port].axes, held.value
            if axes != held.shape.axes:
                result = Value(self.free(f"{held.name}_sent"))
                turn = Permute(axes=tuple([axes.index(axis) for axis in held.shape.axes]))
                graph.add(Node(result.node, turn, (held.value,), net[held.value.node].span))
                places[result.node] = end if isinstance(end, str) else end.path
            outputs.append(Output(held.name, result))
        graph.outputs = tuple(outputs)
        with_part(graph, tree, {}, {name: place for name, place in places.items() if name not in net})
        graph.tree.block = f"{tree.block}Stage{number}"
        return Stage(
            number,
            graph,
            tuple(moves),
            tuple(taken),
            tuple(makes),
            tuple([node.name for node in inside if self.does[node.name].whole and not node.module]),
            self.same.get(number, False),
            number > self.last,
        )

    def move(self, node: Node, value: Value, runs: Runs, moves: list[Move]) -> Held:
        """Return a value as a node reads it, which it is not yet; add what is to be done."""
        own = self.have[value, self.runs[value]]
        if own.runs and runs:  # another share: of the whole
            own = self.have.get((value, ())) or self.move(node, value, (), moves)
        self.have[value, runs] = held = self.held(node, value, runs)
        moves.append(Move(held, own))
        return held

    def read_later(self, value: Value, number: int) -> bool:
        """Tell whether a later stage reads a value."""
        return any(
            value in node.inputs and self.stage[node.name] > number
            for node in self.net.graph.users(value.node)
        )

    def held(self, node: Node, value: Value, runs: Runs) -> Held:
        """Return a value as a stage takes it, or makes it."""
        shape = self.net.outputs_of(value.node)[value.port]
        axes = input_axes(shape)
        if value.node in self.unsent or not axes:
            self.refuse(node, f"{value.node} is made in another stage, and cannot be sent")
        sent = Shape(*[shape.size(axis) for axis in axes])
        return Held(self.name(value, runs), value, part(sent, self.devices) if runs else sent, runs)

    def name(self, value: Value, runs: Runs) -> str:
        """Return what a value is called between stages: as the net's input, or after its layer."""
        for name, node in self.net.graph.inputs.items():
            if Value(node) == value and not runs:
                return name
        several = len(self.net.outputs_of(value.node)) > 1
        name = re.sub(r"\W", "_", value.node) + (f"_{value.port}" if several else "")
        return self.free(f"{'own' if runs else 'all'}_{name}")

    def free(self, name: str) -> str:
        """Return a name that nothing else has."""
        while name in self.taken or reserved_name(name):
            name += "_"
        self.taken.add(name)
        return name

    @cached_property
    def taken(self) -> set[str]:
        """The names that are taken."""
        graph = self.net.graph
        taken = {part for scope in graph.tree.scopes() for part in (scope.path, scope.name)} | set(keywords())
        return taken.union(graph.inputs, *[(name, name.partition(".")[0]) for name in graph.nodes])

    def refuse(self, node: Node, message: str, help: str = "") -> NoReturn:
        """Say at a layer why the net cannot be shared."""
        raise NetError([Diagnostic("E574", message, node.span, help=help, calls=node.calls)])


def _called(node: Node) -> str:
    """Return what a layer is called in a message: by its op, if a number is all that it is called."""
    return node.op.name if node.name.rpartition(".")[2].isdigit() else f"{node.name} ({node.op.name})"

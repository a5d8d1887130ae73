"""What rules ask of a net and of its file: tables that are made once, when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from math import gcd
from typing import NamedTuple

from netdsl.cost.model import Cost
from netdsl.elaborate.result import Allow, Budget
from netdsl.ir.graph import Graph, Node, Scope, Value
from netdsl.ir.types import Shape
from netdsl.lint.edits import Text
from netdsl.lint.step import Step
from netdsl.net import Net
from netdsl.ops.activation import Activation
from netdsl.ops.base import Kind, Op, OpError
from netdsl.ops.conv import Convolution
from netdsl.ops.dropout import Drop
from netdsl.ops.joint import Identity
from netdsl.ops.linear import Linear
from netdsl.ops.pool import AvgPool, GlobalAvgPool, Pool
from netdsl.ops.window import both
from netdsl.passes import find_fused
from netdsl.quantities import Amounts, amounts
from netdsl.record import Record
from netdsl.source import Source, Span


class Limit(Record):
    """A budget that the project's configuration sets for a net: `params <= 5M`, and where it is from."""

    budget: Budget
    origin: str


class Window(Record):
    """A window that slides over a map: of a convolution or a pool, with a size for each axis."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    padding: Callable[[Shape], tuple[tuple[int, int], tuple[int, int]]]


def _window(op: Op) -> Window | None:
    """Return the window of a convolution or of a pool that slides, and of nothing else."""
    if isinstance(op, Convolution):
        return Window(both(op.kernel), both(op.stride), both(op.dilation), op.padding)
    if isinstance(op, Pool) and op.to is None:
        kernel, stride = op.window
        return Window(both(kernel), both(stride), both(op.spread), op.padding)
    return None


def passes(op: Op) -> bool:
    """Tell whether an op hands every number on as it is, in evaluation; the shape may be another."""
    return op.passes_values


def same(op: Op) -> bool:
    """Tell whether an op hands on its input in evaluation."""
    return isinstance(op, Identity | Drop)


def averages(op: Op) -> bool:
    """Tell whether an op averages over places."""
    return isinstance(op, AvgPool | GlobalAvgPool)


def clips(op: Op) -> bool:
    """Tell whether an op is an activation that cuts off what lies outside its bounds, as relu is."""
    return isinstance(op, Activation) and op.clips


def rectifies(op: Op) -> bool:
    """Tell whether an op is an activation that cuts off what is below 0, as relu is."""
    return clips(op) and op.bounds[0] == 0


def sums(op: Op) -> bool:
    """Tell whether an op adds up any number of values."""
    return op.folds and op.linear


class Phases(NamedTuple):
    """How many taps of a kernel fall on positions modulo the stride, along one axis."""

    least: int
    most: int
    share: float
    """On which part of the positions any falls."""


def phases(kernel: int, stride: int, dilation: int) -> Phases:
    """Return how taps fall: one after the other on the positions that their distance's divisor leaves, and again."""
    period = stride // gcd(stride, dilation)
    covered = min(kernel, period)
    return Phases(kernel // period if covered == stride else 0, -(-kernel // period), covered / stride)


def read_share(slides: Window, x: Shape, out: Shape) -> float:
    """Return the part of a map's places on which a tap of a window falls, where it makes `out` of `x`."""
    share = 1.0
    for axis, (size, places) in enumerate(((x.h, out.h), (x.w, out.w))):
        first = slides.padding(x)[axis][0]
        read = bytearray(size)
        step, span = slides.dilation[axis], slides.dilation[axis] * slides.kernel[axis]
        for start in range(-first, places * slides.stride[axis] - first, slides.stride[axis]):
            taps = range(max(start, start % step), min(start + span, size), step)
            if taps:
                read[taps.start : taps.stop : step] = b"\1" * len(taps)
        share *= sum(read) / size
    return share


def chained(ops: Sequence[Op], shape: Shape) -> tuple[Cost, Shape] | None:
    """Return what ops in a row cost and make of a shape; None if one of them refuses what it reads."""
    whole = Cost()
    for op in ops:
        try:
            cost, shape = op.cost(shape), op.outputs(shape)[0]
        except OpError:
            return None
        whole += cost
    return whole, shape


def groups(node: Node, facts: Facts) -> int:
    """Return the groups of a convolution; 1 of what is none."""
    return facts.groups.get(node.name, 1)


def depthwise(node: Node, facts: Facts) -> bool:
    """Tell whether a node is a convolution that filters each of several channels by itself."""
    parts = facts.groups.get(node.name, 1)
    return parts > 1 and parts == facts.input(node).c


def pointwise(node: Node, facts: Facts) -> bool:
    """Tell whether a node is a convolution that is the same linear map of the channels of every pixel."""
    op = node.op
    if not isinstance(op, Convolution) or op.enlarges or not op.linear:
        return False
    plain = tuple(op.kernel) == (1, 1) and both(op.stride) == (1, 1)
    return plain and facts.output(node)[1:] == facts.input(node)[1:]


def dense(node: Node, facts: Facts) -> bool:
    """Tell whether a node may mix channels by learned numbers: a fully connected layer, or a convolution.

    Those are no dense convolutions that filter each channel by itself, or make maps larger.
    """
    op = node.op
    return isinstance(op, Linear) or (
        isinstance(op, Convolution) and not op.enlarges and not depthwise(node, facts)
    )


class Facts:
    """A net as rules see it. Every table is linear in the net; costs are for one sample, activations in bytes."""

    def __init__(self, net: Net, text: Text, limits: Sequence[Limit] = (), step: Step | None = None) -> None:
        """`text` is of the net's own file, `limits` are budgets from outside it, a `step` is how it is trained."""
        self.net = net
        self.text = text
        self.limits = tuple(limits)
        self.step = step

    @property
    def name(self) -> str:
        """The net's name."""
        return self.net.name

    @property
    def graph(self) -> Graph:
        """The graph."""
        return self.net.graph

    @property
    def span(self) -> Span:
        """The name of the variant, or of the net, where it is declared."""
        decl = self.net.recipe.variant or self.net.recipe.net
        return Span(decl.file.source, decl.node.name.start, decl.node.name.end)

    @cached_property
    def nodes(self) -> tuple[Node, ...]:
        """The nodes in order: a node comes after what it reads."""
        return tuple(self.graph)

    @cached_property
    def _by_type(self) -> Mapping[type[Op], tuple[Node, ...]]:
        by_type: dict[type[Op], list[Node]] = {}
        for node in self.nodes:
            by_type.setdefault(type(node.op), []).append(node)
        return {kind: tuple(nodes) for kind, nodes in by_type.items()}

    @cached_property
    def _by_home(self) -> Mapping[str, tuple[Node, ...]]:
        by_home: dict[str, list[Node]] = {}
        for node in self.nodes:
            by_home.setdefault(node.home, []).append(node)
        return {name: tuple(nodes) for name, nodes in by_home.items()}

    def calls(self, node: Node) -> tuple[Node, ...]:
        """Return all nodes with the weights of one, itself too."""
        return self._by_home[node.home]

    def where(self, question: Callable[[Op], bool]) -> Iterator[Node]:
        """Yield the nodes whose op is of some kind, op by op."""
        for op, nodes in self._by_arguments:
            if question(op):
                yield from nodes

    @cached_property
    def _by_arguments(self) -> tuple[tuple[Op, list[Node]], ...]:
        """The nodes of each op; equal layers have one."""
        found: dict[int, tuple[Op, list[Node]]] = {}
        for node in self.nodes:
            found.setdefault(id(node.op), (node.op, []))[1].append(node)
        return tuple(found.values())

    def window(self, node: Node) -> Window | None:
        """Return the window of a convolution or of a pool that slides, and of nothing else."""
        return self._windows[id(node.op)]

    @cached_property
    def _windows(self) -> Mapping[int, Window | None]:
        """By the id of the op."""
        return {id(op): _window(op) for op, _ in self._by_arguments}

    @cached_property
    def convolutions(self) -> tuple[Node, ...]:
        """The convolutions, but for those that make maps larger."""
        return tuple([node for node in self.of(Convolution) if not node.op.enlarges])

    @cached_property
    def drowned(self) -> Mapping[str, Node]:
        """The convolutions that look around in a map of at most 2x2, by name, if there are three or more."""
        found = {}
        for node in self.convolutions:
            op, x = node.op, self.input(node)
            assert isinstance(op, Convolution)
            if max(x.h, x.w) <= 2 and min(op.kernel) > 2 and min(min(pair) for pair in op.padding(x)) > 0:
                found[node.name] = node
        return found if len(found) > 2 else {}

    @cached_property
    def groups(self) -> Mapping[str, int]:
        """The groups of each convolution."""
        return {
            node.name: node.op.groups_of(self.input(node).c)
            for node in self.nodes
            if isinstance(node.op, Convolution)
        }

    @cached_property
    def pools(self) -> tuple[Node, ...]:
        """The pools whose windows slide or divide the map."""
        return self.of(Pool)

    @cached_property
    def dense(self) -> tuple[Node, ...]:
        """The layers that may mix channels by learned numbers; see `dense`."""
        return tuple([node for node in (*self.of(Convolution), *self.of(Linear)) if dense(node, self)])

    def of(self, kind: Kind) -> tuple[Node, ...]:
        """Return the nodes whose op is of a kind, or derived from it, in order: what a rule begins with."""
        found = [nodes for type_, nodes in self._by_type.items() if issubclass(type_, kind)]
        if len(found) < 2:
            return found[0] if found else ()
        return tuple([node for node in self.nodes if isinstance(node.op, kind)])

    @staticmethod
    def called(node: Node) -> str:
        """Return what a message calls a node: its path, with the op where that is a number only."""
        return f"{node.name} ({node.op.name})" if node.name.rpartition(".")[2].isdigit() else node.name

    def node(self, name: str) -> Node:
        """Return the node of a name."""
        return self.graph[name]

    # ---------------------------------------------------------------- shapes and costs

    def inputs(self, node: Node) -> tuple[Shape, ...]:
        """Return the shapes that a node reads."""
        return self.net.inputs_of(node.name)

    def input(self, node: Node) -> Shape:
        """Return the first shape that a node reads."""
        return self.net.inputs_of(node.name)[0]

    def outputs(self, node: Node) -> tuple[Shape, ...]:
        """Return the shapes that a node makes."""
        return self.net.outputs_of(node.name)

    def output(self, node: Node) -> Shape:
        """Return the shape that a node makes, the first where there are several."""
        return self.net.shapes[node.name]

    def cost(self, node: Node) -> Cost:
        """Return what a node costs for one sample in float32, activations in bytes."""
        return self._costs[node.name]

    @cached_property
    def _costs(self) -> Mapping[str, Cost]:
        distinct = {id(cost): cost for cost in self.net.layer_costs.values()}  # equal layers share theirs
        scaled = {key: cost.scaled(1, 4) for key, cost in distinct.items()}
        return {name: scaled[id(cost)] for name, cost in self.net.layer_costs.items()}

    def learns(self, node: Node) -> bool:
        """Tell whether a node multiplies by learned numbers: a convolution, fc, attention."""
        return node.name in self._learning

    @cached_property
    def _learning(self) -> frozenset[str]:
        costs = self.net.layer_costs.items()
        return frozenset([name for name, cost in costs if cost.macs > 0 and cost.params > 0])

    @cached_property
    def total(self) -> Cost:
        """What the net costs for one sample in float32, without what exists in training only."""
        return self.net.cost()

    @cached_property
    def amounts(self) -> Amounts:
        """What the net has of the quantities by which a change is weighed."""
        return amounts(self.net, self.nodes)

    @cached_property
    def fused(self) -> Mapping[str, str]:
        """By node that inference engines run within another step, as a norm behind a convolution, that step."""
        return find_fused(self.graph)

    @cached_property
    def traffic(self) -> Mapping[str, int]:
        """How many bytes each node reads and writes in evaluation, weights too, for one sample in float32.

        Views move nothing, and what is fused into the step before it is not listed.
        """
        moved: dict[str, int] = {}
        fused = self.fused
        for node in self.nodes:
            if node.train or not node.inputs or not node.op.computes or node.name in fused:
                continue
            elements = sum([shape.elements for shape in (*self.inputs(node), *self.outputs(node))])
            moved[node.name] = 4 * (elements + self.cost(node).params)
        return moved

    # ---------------------------------------------------------------- who reads what

    @cached_property
    def _readers(self) -> Mapping[tuple[str, int], tuple[Node, ...]]:
        """By the name and port of a value."""
        readers: dict[tuple[str, int], list[Node]] = {}
        for node in self.nodes:
            for value in node.inputs:
                readers.setdefault(value, []).append(node)
        return {value: tuple(nodes) for value, nodes in readers.items()}

    @cached_property
    def results(self) -> frozenset[Value]:
        """The values that are outputs of the net."""
        return frozenset(output.value for output in self.graph.outputs)

    def readers(self, node: Node, port: int = 0) -> tuple[Node, ...]:
        """Return the nodes that read a node's output, once for each time that they read it."""
        return self._readers.get((node.name, port), ())

    def reader(self, node: Node) -> Node | None:
        """Return the one node that reads a node's only output, if nobody else does and the net does not."""
        return self._only_readers.get(node.name)

    @cached_property
    def _only_readers(self) -> Mapping[str, Node]:
        return {
            name: readers[0]
            for (name, port), readers in self._readers.items()
            if len(readers) == 1 and (name, port) not in self.results and len(self.net.outputs_of(name)) == 1
        }

    def shape(self, value: Value) -> Shape:
        """Return the shape of a value."""
        return self.net.outputs_of(value.node)[value.port]

    def source(self, node: Node, position: int = 0) -> Node:
        """Return the node whose output a node reads."""
        return self.graph[node.inputs[position].node]

    def origin(self, node: Node, through: Callable[[Op], bool] = passes) -> Node:
        """Return where a node's first input is computed, looking through ops that change no number."""
        before = self.source(node)
        while through(before.op):
            before = self.source(before)
        return before

    @cached_property
    def live(self) -> frozenset[str]:
        """The nodes that some output depends on, training-only outputs too."""
        live = {output.value.node for output in self.graph.outputs}
        for node in reversed(self.nodes):
            if node.name in live:
                live.update(value.node for value in node.inputs)
        return frozenset(live)

    def ancestors(self, node: Node) -> set[str]:
        """Return all that a node depends on; linear in the net, so not for every node."""
        found: set[str] = set()
        left = [node]
        while left:
            before = [self.graph[value.node] for value in left.pop().inputs if value.node not in found]
            found.update([one.name for one in before])
            left += before
        return found

    def along(self, step: Callable[[Node, list[int]], int]) -> dict[str, int]:
        """Return a number for each node, from the node and the numbers of what it reads: one linear sweep.

        Depth is `facts.along(lambda node, before: max(before, default=0) + 1)`.
        """
        known: dict[str, int] = {}
        for node, reads in self._sources:
            known[node.name] = step(node, [known[name] for name in reads])
        return known

    @cached_property
    def _sources(self) -> tuple[tuple[Node, list[str]], ...]:
        """The nodes in order, with the names of what each reads."""
        return tuple([(node, [value.node for value in node.inputs]) for node in self.nodes])

    # ---------------------------------------------------------------- the module tree

    @cached_property
    def _scopes(self) -> Mapping[str, Scope]:
        return {
            item: scope
            for scope in self.graph.tree.scopes()
            for item in scope.written
            if isinstance(item, str)
        }

    def scope(self, node: Node) -> Scope:
        """Return the innermost module that a node is in: a block, a container, or the net."""
        return self._scopes[node.name]

    @cached_property
    def _blocks(self) -> Mapping[str, Scope]:
        """The block or net that each module belongs to, by the module's path."""
        blocks = {self.graph.tree.path: self.graph.tree}
        for scope in self.graph.tree.scopes():
            for item in scope.written:
                if isinstance(item, Scope):
                    blocks[item.path] = blocks[scope.path] if item.kind == "container" else item
        return blocks

    def copies(self, span: Span) -> Iterator[list[Scope]]:
        """Yield the blocks that a piece of text makes in each module, or in what is repeated there, in order."""
        yield from self._copies.get((span.source, span.start, span.end), {}).values()

    @cached_property
    def _copies(self) -> Mapping[tuple[Source, int, int], Mapping[str, list[Scope]]]:
        copies: dict[tuple[Source, int, int], dict[str, list[Scope]]] = {}
        for scope in self.graph.tree.scopes():
            around = scope.path.rpartition(".")[0] if scope.name.isdigit() else scope.path
            for item in scope.written:
                if isinstance(item, Scope) and item.kind == "block" and item.inputs and item.outputs:
                    place = item.span.source, item.span.start, item.span.end
                    copies.setdefault(place, {}).setdefault(around, []).append(item)
        return copies

    def block(self, node: Node) -> Scope:
        """Return the innermost block that a node is in, or the net."""
        return self._blocks[self.scope(node).path]

    def local(self, name: str) -> str:
        """Return a node's path from its block, as in `Bottleneck.conv3`: what its copies have in common."""
        if name not in self._scopes:
            return name
        block = self._blocks[self._scopes[name].path]
        return f"{block.block}.{name[len(block.path) :].lstrip('.')}"

    @cached_property
    def _written(self) -> Mapping[tuple[Source, int, int], tuple[Node, ...]]:
        written: dict[tuple[Source, int, int], list[Node]] = {}
        for node in self.nodes:
            spans = [node.span, *[frame.span for frame in node.calls]]
            for place in {(span.source, span.start, span.end) for span in spans}:
                written.setdefault(place, []).append(node)
        return {place: tuple(nodes) for place, nodes in written.items()}

    def written_at(self, span: Span, kind: str) -> tuple[Node, ...]:
        """Return the nodes with an op of that name that a piece of text makes by itself."""
        nodes = self._written.get((span.source, span.start, span.end), ())
        return tuple([node for node in nodes if node.op.name == kind and node.span == span])

    def written_in(self, span: Span) -> Iterator[Node]:
        """Yield the nodes that a part of the text makes, by itself or through blocks."""
        for (source, start, end), nodes in self._written.items():
            if source is span.source and span.start <= start and end <= span.end:
                yield from nodes

    # ---------------------------------------------------------------- what surrounds a place

    @property
    def declarations(self) -> Iterator[Span]:
        """The texts of the net and of its variant."""
        recipe = self.net.recipe
        for decl in (recipe.variant, recipe.net):
            if decl is not None:
                yield Span(decl.file.source, decl.node.start, decl.node.end)


class FileFacts:
    """A file as rules see it: its text, its tree, and what is known once all of its nets have been looked at."""

    def __init__(self, text: Text) -> None:
        """Take the text; the rest is filled in by the engine."""
        self.text = text
        self.allows: tuple[tuple[Allow, bool], ...] = ()
        """The `@allow`s of this file, and whether each of them has silenced something."""
        self.complete = True
        """Whether all of its nets were looked at, with every rule; only then an `@allow` is known to be idle."""

    @property
    def source(self) -> Source:
        """The file's text."""
        return self.text.source

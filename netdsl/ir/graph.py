"""The graph of one net: ops as nodes, what each reads as edges, and the module tree they were written in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from netdsl.cost.model import Cost
from netdsl.diagnostics import Frame
from netdsl.ir.types import Shape
from netdsl.ops.base import Op
from netdsl.record import Record
from netdsl.source import Span

if TYPE_CHECKING:
    from networkx import MultiDiGraph


class Value(NamedTuple):
    """One output of a node: most nodes have one, `split` has several."""

    node: str
    port: int = 0


class Node(Record):
    """One op at its place. `name` is its path in the module tree; a layer with state has it in the state_dict."""

    name: str
    op: Op
    inputs: tuple[Value, ...]
    span: Span
    calls: tuple[Frame, ...] = ()
    """The blocks it is in, innermost first: what was built, and the text that asked for it."""
    stage: str = ""
    train: bool = False
    """Whether it feeds nothing but a training-only output."""
    given: bool = False
    """Whether a parameter that calls give says which op it is."""
    counted: bool = False
    """Whether it joins what a loop makes, which may be one value in another instance of its class."""
    module: str = ""
    """The node that it is again, whose weights it has, if `same` runs that a second time."""
    sources: tuple[tuple[str, Span], ...] = ()
    """Arguments that its own text does not give, and what does, such as a `default` line.

    `norm` and `act` are those of the layer that it follows, by which it is there at all.
    """

    @property
    def home(self) -> str:
        """The node whose name its weights have."""
        return self.module or self.name

    def cost(self, *x: Shape) -> Cost:
        """Return its cost for one sample."""
        return call_cost(self.op, bool(self.module), *x)


def call_cost(op: Op, again: bool, *x: Shape) -> Cost:
    """Return the cost of a call for one sample; params and buffers count where a module is not called `again`."""
    cost = op.cost(*x)
    return cost.replace(params=0, buffers=0) if again else cost


class Scope:
    """A node of the module tree: the net, a block, a container. Its items are in the order of registration.

    `args` are the block's arguments and scalars by name, from which emitted code takes the names of its own;
    `inputs` and `outputs` are the values that come in and leave, in order.
    """

    def __init__(
        self, kind: Literal["net", "block", "container"], path: str, span: Span, block: str = ""
    ) -> None:
        """Start an empty scope; `path` is "" for the net."""
        self.kind = kind
        self.path = path
        self.name = path.rpartition(".")[2]
        """What the scope around it calls it: with dots, if it is in a list there."""
        self.module = ""
        """The path of the block that it is again, if `same` runs that a second time."""
        self.span = span
        self.block = block
        """The name of the block or net; "" for a container."""
        self.args: dict[str, Any] = {}
        self.written: list[str | Scope] = []
        """Node names and inner scopes, in the order of the text."""
        self.order: tuple[int, ...] = ()
        """What is written by index in the order in which it is computed, where that is another."""
        self.first: tuple[str, ...] = ()
        """The children, and lists of them, that are registered before all others, in their order."""
        self.stages: dict[int, str] = {}
        """Index of what is written to the stage that begins there."""
        self.cuts: set[int] = set()
        """Indices of what a condition or turn of a loop begins with or ends before: statements begin there."""
        self.turns: list[range] = []
        """What each turn of a loop writes, by index, inner ones first."""
        self.inputs: tuple[Value, ...] = ()
        self.input_names: tuple[str, ...] = ()
        self.outputs: tuple[Value, ...] = ()
        self.modules: dict[str, str] = {}
        """By node in it that is an earlier module again, the path of that."""
        self.names: dict[Value, str] = {}
        """What the spec calls values here; emitted code takes its local names from it."""

    def local(self, item: str | Scope) -> str:
        """Return what an item of it is called here: `convs.0` of a list."""
        if isinstance(item, Scope):
            return item.name
        return item.removeprefix(f"{self.path}.") if self.path else item

    @property
    def items(self) -> list[str | Scope]:
        """The items in the order in which they are registered: a list of children where it is first named."""
        keys = [self.local(item).split(".") for item in self.written]
        if not self.first and all(len(key) == 1 for key in keys):
            return self.written
        listed = [name.partition(".")[0] for name in self.first]
        begun: dict[tuple[str, ...], int] = {}
        ranks: list[tuple[int, ...]] = []
        for at, key in enumerate(keys):
            name, whole = key[0], ".".join(key)
            early = listed.index(name) if name in listed else len(listed)
            if name in listed and name not in self.first:  # some of a list
                ranks.append((early, self.first.index(whole) if whole in self.first else len(listed), at))
                continue
            own = (begun.setdefault(tuple(key[:end]), at) for end in range(1, len(key)))
            ranks.append((early, *own, at))
        return [self.written[at] for at in sorted(range(len(keys)), key=ranks.__getitem__)]

    @property
    def steps(self) -> list[str | Scope]:
        """The items in the order in which they are computed."""
        return [self.written[index] for index in self.order] if self.order else self.written

    def nodes(self) -> Iterator[str]:
        """Yield the names of all nodes in it, in the order in which they are computed."""
        left = self.steps[::-1]
        while left:
            item = left.pop()
            if isinstance(item, Scope):
                left += item.steps[::-1]
            else:
                yield item

    def scopes(self) -> Iterator[Scope]:
        """Yield this scope and all within, outermost first."""
        yield self
        for item in self.written:
            if isinstance(item, Scope):
                yield from item.scopes()


class Output(Record):
    """A named output of the net; `train` if it exists in training only."""

    name: str
    value: Value
    train: bool = False


class Graph:
    """The DAG of a net; the order of insertion is topological.

    Inputs of the net are nodes with the op `input`. The edges are what the nodes read. `nx` is the same as a graph of
    networkx, for any algorithm.
    """

    def __init__(self) -> None:
        """Start an empty graph."""
        self.nodes: dict[str, Node] = {}
        """By name, in the order in which they are computed."""
        self._heads: dict[str, dict[str, None]] = {}
        """By node those that read it, in order."""
        self.inputs: dict[str, str] = {}
        """Name of an input to its node."""
        self.outputs: tuple[Output, ...] = ()
        self.tree: Scope

    def add(self, node: Node) -> None:
        """Add a node; what it reads must be there."""
        self.nodes[node.name] = node
        for value in node.inputs:
            self._heads.setdefault(value.node, {})[node.name] = None
        self.__dict__.pop("nx", None)

    @cached_property
    def nx(self) -> MultiDiGraph[str]:
        """The networkx graph, made when it is first asked for, and read-only.

        Node data: `node` (a Node). Edge data: `port` (which output of the tail); the edge's key is the position among
        the head's inputs.
        """
        import networkx  # takes longer to import than most nets to make

        made: MultiDiGraph[str] = networkx.MultiDiGraph()
        made.add_nodes_from((name, {"node": node}) for name, node in self.nodes.items())
        for node in self:
            for position, value in enumerate(node.inputs):
                made.add_edge(value.node, node.name, key=position, port=value.port)
        networkx.freeze(made)
        return made

    def __getitem__(self, name: str) -> Node:
        """Return the node of that name."""
        return self.nodes[name]

    def __contains__(self, name: object) -> bool:
        return name in self.nodes

    def __len__(self) -> int:
        return len(self.nodes)

    def __iter__(self) -> Iterator[Node]:
        """Yield the nodes in the order in which they are computed."""
        return iter(self.nodes.values())

    def users(self, name: str) -> list[Node]:
        """Return the nodes that read a node's outputs, in order."""
        return [self.nodes[head] for head in self._heads.get(name, ())]

    def with_ops(self, ops: Mapping[str, Op]) -> Graph:
        """Return the same graph with other ops at some nodes."""
        graph = Graph()
        for node in self:
            graph.add(node.replace(op=ops[node.name]) if node.name in ops else node)
        graph.inputs, graph.outputs, graph.tree = dict(self.inputs), self.outputs, self.tree
        return graph

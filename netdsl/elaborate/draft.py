"""A net while it is being elaborated: nodes before they have names, scopes being filled, places in bodies."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any, Literal, NamedTuple

from netdsl.diagnostics import Frame
from netdsl.elaborate.inits import Inits, deeper
from netdsl.elaborate.values import Arguments, BlockDecl, Data, Declared, Env, Given, OpValue, Ramp, Wire
from netdsl.ir.graph import Scope
from netdsl.ir.types import Shape
from netdsl.ops import Op
from netdsl.source import Source, Span
from netdsl.syntax import tree


class Draft:
    """A node before it has a name."""

    __slots__ = (
        *("argument", "calls", "counted", "inits", "inputs", "key", "labelled", "module", "op", "ramps"),
        *("original", "results", "scope", "shapes", "shared", "sources", "span", "stage", "train"),
    )

    def __init__(
        self,
        index: int,
        op: Op,
        inputs: tuple[Wire, ...],
        shapes: tuple[Shape, ...],
        span: Span,
        place: Place,
        key: str,
        labelled: bool,
        ramps: Mapping[str, Ramp],
    ) -> None:
        """`index` is its own, by which wires name it.

        `key` is its name in the scope; "" for wiring, which gets one when all others are known.
        """
        self.op = op
        self.inputs = inputs
        self.shapes = shapes
        self.results = tuple([Wire(index, port) for port in range(len(shapes))])
        self.span = span
        self.calls = place.calls
        self.stage = place.stage
        self.train = place.train
        self.scope = place.scope
        self.inits = place.inits
        self.key = key
        self.shared = False
        """Whether it makes of learned tensors alone what all samples share."""
        self.module = ""
        """The label of an earlier one in the scope, if it is that module again."""
        self.original: int | None = None
        """What it is again, if `same` runs that a second time."""
        self.labelled = labelled
        self.ramps = ramps
        self.argument: tuple[Declared, str] | None = None
        self.sources: tuple[tuple[str, Span], ...] = ()
        """Arguments that its own text does not give, and what does; see `Node`."""
        self.counted = False
        """Whether it joins what a loop makes, which may be one value in another instance."""

    def copied(
        self, index: int, inputs: tuple[Wire, ...], scope: DraftScope, calls: tuple[Frame, ...], by: int
    ) -> Draft:
        """Return it in a copy of the block that it is in, whose drafts stand `by` further back."""
        new = object.__new__(Draft)
        new.op, new.shapes, new.span, new.key = self.op, self.shapes, self.span, self.key
        new.stage, new.train, new.inits, new.shared = self.stage, self.train, self.inits, self.shared
        new.module, new.labelled, new.ramps = self.module, self.labelled, self.ramps
        new.argument, new.sources, new.counted = self.argument, self.sources, self.counted
        new.inputs, new.scope, new.calls = inputs, scope, calls
        new.results = tuple([Wire(index, port) for port in range(len(self.shapes))])
        new.original = None if self.original is None else self.original + by
        return new


class Naming(Enum):
    """How a value gets a name."""

    LABEL = 0
    READ = 1
    BOUND = 2


class Call(NamedTuple):
    """A block that is called."""

    decl: BlockDecl
    given: Mapping[str, Given]
    data: Data
    """What comes in."""
    place: Place
    """Where it is called."""
    scope: DraftScope
    """What its layers are put into; for an inline block that of its caller."""
    span: Span

    @property
    def inputs(self) -> list[str]:
        """The names of what comes in; none if it is `x`."""
        return [name.text for name in self.decl.node.inputs]


class Made:
    """A layer or block with a label, and what it takes to run it again: what it was given, and what held there."""

    def __init__(self, value: OpValue, node: tree.Layer, label: tree.Name, place: Place) -> None:
        """Take note, before it is made; `label` is a plain name."""
        self.value = value
        self.node = node
        self.label = label
        self.source = place.source
        self.scope = place.scope
        self.defaults, self.inits, self.broken = place.defaults, place.inits, place.broken
        self.train = place.train
        self.given: Mapping[str, Given] | None = None
        """Its own arguments, as they were evaluated."""
        self.values = 0
        """How many values it takes."""
        self.parts: Any = None
        """What was put down for it; None where that is not known."""
        self.under: Any = ()
        """What it stands under, where not everything is known."""

    @property
    def span(self) -> Span:
        """Its text."""
        return Span(self.source, self.node.start, self.node.end)


class DraftScope(Scope):
    """A scope that is being filled."""

    def __init__(
        self,
        kind: Literal["net", "block", "container"],
        path: str,
        span: Span,
        block: str = "",
        labels: str = "",
        labelled: bool = True,
    ) -> None:
        """`labels` is its path without positions; `labelled` tells whether its own name is a label."""
        super().__init__(kind, path, span, block)
        self.labels = labels
        self.labelled = labelled
        self.taken: dict[str, Span] = {}
        self.entering: set[str] = set()
        """What of that are inputs."""
        self.numbers: dict[str, tuple[str, int]] = {}
        """By label what the last number of what runs again stands behind, and that number: none is free before it."""
        self.lists: set[str] = set()
        """What of that are lists of children: the parts of labels before their dots."""
        self.shared: dict[str, Any] = {}
        """Layers without state by their labels, which may be given again: what `identity_of` says of each."""
        self.made: dict[str, Made] = {}
        """Layers and blocks by their labels, which `same` may run again."""
        self.outer: DraftScope | None = None
        self.body: tree.Body = ()
        """Its text."""
        self.named: dict[Wire, str] = {}
        self.position = 0
        self.begin = 0
        self.end = 0
        self.entry: tuple[Wire, ...] = ()
        self.exit: tuple[Wire, ...] = ()
        self.drafts: list[int | DraftScope] = []
        self.calls: tuple[Frame, ...] = ()

    def put(self, outer: DraftScope, name: str, label: str) -> None:
        """Say what it is in another scope: its name, and its label, which is another where it is made again."""
        self.name, self.outer = name, outer
        self.module = outer.join(label) if label != name else ""

    @property
    def label(self) -> str:
        """Its label, or its position if it has none."""
        if not self.module or self.outer is None:
            return self.name
        return self.module.removeprefix(f"{self.outer.path}.") if self.outer.path else self.module

    def labels_of(self, label: str, labelled: bool) -> str:
        """Return the path without positions of a child."""
        return self.labels if not labelled else f"{self.labels}.{label}" if self.labels else label

    def take(self, other: DraftScope) -> None:
        """Take what another scope of the same text has that is the same wherever it is."""
        self.args, self.taken, self.lists = dict(other.args), dict(other.taken), set(other.lists)
        self.body, self.first, self.position = other.body, other.first, other.position
        self.stages, self.cuts, self.turns = dict(other.stages), set(other.cuts), list(other.turns)

    def join(self, name: str) -> str:
        """Return the path of a child."""
        return f"{self.path}.{name}" if self.path else name

    def forget(self) -> None:
        """Let go of what elaboration alone asks for, once the scope is part of a graph.

        That is as much again as the graph, and has circles, which live until the collector looks for them.
        """
        del self.taken, self.entering, self.numbers, self.lists, self.shared, self.made, self.outer
        del self.body, self.named, self.entry, self.exit, self.drafts


class Place:
    """Where a statement runs."""

    __slots__ = (
        *("broken", "calls", "container", "copy", "defaults", "env", "flow", "inits", "in_net", "returned"),
        *("scope", "source", "stage", "train", "turns"),
    )

    def __init__(
        self,
        env: Env,
        flow: Data | None,
        scope: DraftScope,
        source: Source,
        defaults: Mapping[str, Arguments],
        in_net: bool,
    ) -> None:
        """Start at the beginning of a block's or net's body."""
        self.env = env
        self.flow = flow
        self.scope = scope
        self.source = source
        self.defaults = defaults
        self.in_net = in_net
        """Whether this is a net's body, or a container in it."""
        self.container = False
        self.broken: frozenset[str] = frozenset()
        """Ops with a `default` line that failed: what they do here is unknown."""
        self.inits: tuple[Inits, ...] = ({},)
        """What `init` lines say of the scopes around this one and, last, of itself; of a net only its containers'."""
        self.calls: tuple[Frame, ...] = ()
        self.stage = ""
        self.train = False
        self.copy: int | None = None
        """The turn of the innermost repetition, for `first`."""
        self.turns: tuple[int, ...] = ()
        """The turn of each loop that this is in."""
        self.returned = False

    def inner(self, scope: DraftScope, flow: Data | None) -> Place:
        """Return the place in a container: names of its own, the same defaults."""
        place = Place(Env(self.env), flow, scope, self.source, self.defaults, self.in_net)
        place.container = True
        place.broken, place.inits, place.calls = self.broken, deeper(self.inits), self.calls
        place.stage, place.train, place.copy, place.turns = self.stage, self.train, self.copy, self.turns
        return place

    def span(self, node: tree.Tree) -> Span:
        """Return a node's place in the text."""
        return Span(self.source, node.start, node.end)

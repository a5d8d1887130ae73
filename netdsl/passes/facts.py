"""What is known about a graph. A fact is a table beside the graph; nothing is written into a node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from netdsl.cost.model import Cost
from netdsl.ir.graph import Graph
from netdsl.ir.types import Shape
from netdsl.record import Record

if TYPE_CHECKING:
    from fractions import Fraction

    Number = int | Fraction
    """A length in pixels of the input: behind an op that makes maps larger it need not be whole."""

Shapes = Mapping[str, tuple[Shape, ...]]
"""The shapes of a node's outputs for one sample, by the node's name."""
Costs = Mapping[str, Cost]
"""The cost of a node for one sample, activations in elements, by the node's name."""


class Extent(Record):
    """What a node sees of the inputs along one axis, in pixels."""

    largest: Number
    """The receptive field on the longest path, as papers give it: padding counts as if it were input."""
    smallest: Number
    """On the shortest path."""
    jump: Number
    """How far apart the receptive fields of neighbouring places are."""
    first: Number
    """Place 0 sees the inputs from `first` to `last`, on all paths together; below 0 it is padding.

    Place i sees them `jump` x i further on, unless it is `fixed`. Behind an op that makes maps larger these are
    bounds: what is seen lies between, and depends on i.
    """
    last: Number
    fixed: bool
    """Whether every place sees the same, as behind a global pool or attention; then `largest` is what there is."""
    size: int
    """Of the input."""

    def __init__(
        self,
        largest: Number,
        smallest: Number,
        jump: Number,
        first: Number,
        last: Number,
        fixed: bool,
        size: int,
    ) -> None:
        """Take the fields, faster than any record does: each op has two."""
        fields = self.__dict__
        fields["largest"], fields["smallest"], fields["jump"] = largest, smallest, jump
        fields["first"], fields["last"], fields["fixed"], fields["size"] = first, last, fixed, size

    @property
    def clipped(self) -> Number:
        """The most that one place can see of the input itself."""
        return min(self.largest, self.size)


class Receptive(Record):
    """The receptive field of a node."""

    rows: Extent
    columns: Extent

    def __str__(self) -> str:
        """Return "212", or "9x5" if rows and columns differ."""
        rows, columns = (f"{float(extent.largest):.10g}" for extent in (self.rows, self.columns))
        return rows if rows == columns else f"{rows}x{columns}"


Receptives = Mapping[str, Receptive]
"""The receptive field of a node, by its name; those that see no input have none."""


class Lifetime(Record):
    """How long a storage lives in inference, counted in steps: the nodes of the module tree in order."""

    first: int
    """The step that allocates it."""
    last: int
    """The step during which it is needed for the last time."""
    elements: int
    """Its size for one sample."""

    def __init__(self, first: int, last: int, elements: int) -> None:
        """Take the three, faster than any record does: each op has one."""
        fields = self.__dict__
        fields["first"], fields["last"], fields["elements"] = first, last, elements


Lifetimes = Mapping[str, Lifetime]
"""By the node that allocates it; views, and what is written in place, allocate nothing."""


class Liveness(Record):
    """The memory of inference without the weights: the tensors that are alive at each step, in bytes.

    Temporary tensors within an op count as far as `Op.scratch` knows them.
    """

    alive: Mapping[str, int]
    """While a node runs: its inputs, its output, and all that is read later or held by a caller."""
    peak: int
    at: str
    """The first node at which the peak is reached."""
    holding: tuple[str, ...]
    """The nodes whose outputs are alive then."""


class Holds(Record):
    """How long names, callers and operands hold values in training, counted as lifetimes are."""

    until: Mapping[str, int]
    """By node, the last step during which its value is held; learned tensors always are."""
    added: Mapping[int, Sequence[tuple[str, int]]]
    """By step, the sums of three or more that have so many of their parts added before it."""


_NOTHING: Mapping[str, Any] = MappingProxyType({})


class Facts(Record):
    """A graph and the tables that passes have added so far."""

    graph: Graph
    shapes: Shapes = _NOTHING
    costs: Costs = _NOTHING
    receptive: Receptives = _NOTHING
    lifetimes: Lifetimes = _NOTHING
    holds: Holds = Holds({}, {})

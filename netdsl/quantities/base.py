"""The interface of a quantity."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

from netdsl.cost.model import Cost
from netdsl.ir.graph import Graph, Node
from netdsl.ir.types import Shape
from netdsl.passes import Liveness, Receptives
from netdsl.record import Record

if TYPE_CHECKING:
    from netdsl.passes.facts import Number
    from netdsl.passes.training import Memory


class Options(Record):
    """For which batch and dtype, and whether a step of training is meant, with which optimizer."""

    batch: int = 1
    dtype: str = "float32"
    train: bool = False
    optimizer: str = "sgd"


class Amounts(Mapping[str, int]):
    """Numbers by quantity, such as what a change saves: `amounts["macs"]`, or `amounts.macs`."""

    def __init__(self, numbers: Mapping[str, int]) -> None:
        """Take the numbers, in the order in which they are said."""
        self._numbers = numbers

    def __getitem__(self, name: str) -> int:
        return self._numbers[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._numbers)

    def __len__(self) -> int:
        return len(self._numbers)

    def __repr__(self) -> str:
        return f"Amounts({self._numbers})"

    def __getattr__(self, name: str) -> int:
        """Return a number."""
        if name in self.__dict__.get("_numbers", ()):
            return self._numbers[name]
        raise AttributeError(name)

    def __sub__(self, other: Amounts) -> Amounts:
        """Return the differences; both have the same quantities."""
        return Amounts({name: number - other[name] for name, number in self.items()})


class Measured(Protocol):
    """What quantities are read off; a `Net` is one."""

    @property
    def graph(self) -> Graph:
        """The net's graph."""

    @property
    def layer_costs(self) -> Mapping[str, Cost]:
        """The cost of each node for one sample, activations in elements."""

    def inputs_of(self, name: str) -> tuple[Shape, ...]:
        """Return the shapes of a node's inputs."""

    @property
    def receptive(self) -> Receptives:
        """The receptive field of each node that sees an input."""

    def liveness(self, batch: int = 1, dtype: str = "float32") -> Liveness:
        """Return how many bytes are alive at each step of inference."""

    @property
    def layer_backward_macs(self) -> Mapping[str, int]:
        """Multiply-accumulates of each node in the backward pass, for one sample."""

    def saved(self, batch: int = 1, dtype: str = "float32") -> Mapping[str, int]:
        """Return how many bytes each node keeps for the backward pass that none before it does."""

    def memory(
        self, batch: int = 1, dtype: str = "float32", train: bool = False, optimizer: str = "sgd"
    ) -> Memory:
        """Return how many bytes running the net takes, and training it if `train`."""


class Quantity(ABC):
    """A number of a net, or of some of its layers."""

    name: str
    """In `require`, CSV and JSON."""
    title: str
    """Over its column."""
    unit = ""
    """What it counts, where its title does not say it: "bytes", "pixels"."""
    rank: int
    """Where its column stands."""
    additive = False
    """Whether the number of a net is the sum of those of its layers."""
    costed = False
    """Whether its number of a layer follows from the layer's cost alone, and whether it is there in training only."""
    options: tuple[str, ...] = ()
    """Which of batch, dtype, train and optimizer it may be asked for."""
    training = False
    """Whether it is of training, and no column where evaluation is meant."""
    whole = False
    """Whether it is of a whole net only."""
    series = False
    """Whether it is of layers that follow each other only, and not of all with one op."""
    shown = False
    """Whether the table for people has a column for it."""
    share = False
    """Whether its column is followed by one of shares."""
    spare = 5.0
    """When its column is left out where there is no room: the lower, the sooner."""
    brief = False
    """Whether the rows of `netdsl diff` show it, and of a change it counts most."""
    drawn = 0
    """Where it stands among the bars of a layer, on the page of a report and in a notebook; 0: it is not drawn.

    What is drawn is additive.
    """
    compared = 0
    """Where its column stands in `netdsl compare`; 0: it has none."""
    saving = ""
    """What findings of the linter call so much of it that a change saves: "bytes of activations"; "": they do not.

    One with such words is additive, and its number of a layer follows from the layer, its cost and the shapes that it
    reads: of a changed net nothing else is worked out.
    """

    among: Mapping[str, int] = MappingProxyType({})
    """Of which quantities a saving is said to be a part, and how many of theirs each is; {}: of its own.

    A MAC is two operations: ops by themselves may be a large part of the ops, and next to nothing of the work.
    """

    @abstractmethod
    def of(self, net: Measured, nodes: Sequence[Node], options: Options) -> Any:
        """Return what it is of some layers, in their order; None if they have none."""

    def part(self, amount: int, total: Mapping[str, int]) -> float:
        """Return the part that an amount is of all that a net has, by quantity; 0 of nothing."""
        among = self.among or {self.name: 1}
        whole = sum(each * total[name] for name, each in among.items())
        return amount * among[self.name] / whole if whole else 0.0

    def number(self, value: Any) -> Number:
        """Return the number to compare by."""
        found: Number = 0 if value is None else value
        return found

    def text(self, value: Any) -> str:
        """Return the text of a cell."""
        return "" if value is None else f"{value:,}"

    def plain(self, value: Any) -> Any:
        """Return what JSON has."""
        return value


class Summed(Quantity):
    """A quantity whose number of several layers is the sum of theirs."""

    additive = True
    options = ("batch", "dtype", "train")

    @abstractmethod
    def layer(self, net: Measured, node: Node, options: Options) -> int:
        """Return what it is of one layer."""

    def of(self, net: Measured, nodes: Sequence[Node], options: Options) -> int:
        """Return the sum."""
        return sum([self.layer(net, node, options) for node in nodes])

"""Dropout: of elements, of whole branches. In evaluation both return their input."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, ClassVar

from netdsl.ir.types import Shape
from netdsl.ops.base import Elsewhere, Example, Op, OpError

if TYPE_CHECKING:
    from netdsl.ir.tape import Tape, Tensor


class Drop(Op):
    """What the two share: a probability, any shape unchanged, no cost in evaluation."""

    positional: ClassVar[tuple[str, ...]] = ("p",)
    module: ClassVar[bool] = True
    computes: ClassVar[bool] = False
    aliases: ClassVar[bool] = True
    draws: ClassVar[bool] = True
    passes_values: ClassVar[bool] = True
    channelwise: ClassVar[bool] = True
    tokenwise: ClassVar[bool] = True
    linear: ClassVar[bool] = True
    keeps_zero: ClassVar[bool] = True

    p: float

    def infer(self, *x: Shape) -> Shape:
        """Check the probability; return the input's shape."""
        if not 0 <= self.p <= 1:
            raise OpError("p", f"a probability is from 0 to 1, got {self.p}")
        return x[0]

    def idle(self, *x: Shape) -> str:
        """Tell whether nothing is dropped."""
        return "its probability is 0" if self.p == 0 else ""

    @classmethod
    def examples(cls) -> Iterator[Example]:
        """Any shape, and both ends."""
        yield Example(cls(p=0.5), (Shape(4, 3, 5),))
        yield Example(cls(p=0.2), (Shape(3, 5),))
        yield Example(cls(p=0.0), (Shape(5),))
        yield Example(cls(p=1.0), (Shape(5),))


class Dropout(Drop):
    """Dropout: in training each element is 0 with probability p, else divided by 1 - p.

    Srivastava et al. 2014, JMLR 15.
    """

    name: ClassVar[str] = "dropout"
    elsewhere: ClassVar[Elsewhere] = Elsewhere(
        torch="nn.Dropout, F.dropout",
        keras="layers.Dropout",
        jax="nnx.Dropout",
        calls={"Dropout": "p, _"},
    )

    p: float = 0.5

    def saved(self, tape: Tape, *x: Tensor) -> Tensor:
        """Keep what each element is multiplied with: one number where all are dropped."""
        if self.p == 0:
            return x[0]
        return tape.multiplied(x[0], tape.new(() if self.p == 1 else x[0].sizes))


class DropPath(Drop):
    """Stochastic depth: in training a sample is all 0 with probability p, else divided by 1 - p.

    It stands at the end of a residual branch. Huang et al., arXiv 1603.09382.
    """

    name: ClassVar[str] = "droppath"
    elsewhere: ClassVar[Elsewhere] = Elsewhere(
        torch="torchvision.ops.StochasticDepth, timm.layers.DropPath",
        keras="layers.Dropout with noise_shape",
        jax="nnx.Dropout with broadcast_dims",
        calls={"DropPath": "p"},
    )

    def share(self, devices: int, own: Sequence[bool], *x: Shape) -> Op | None:
        """Return it where nothing is dropped: each device would draw other samples."""
        return self if self.p == 0 and own[0] else None

    def saved(self, tape: Tape, *x: Tensor) -> Tensor:
        """Keep what each sample is multiplied with."""
        if self.p == 0:
            return x[0]
        mask = tape.new((tape.batch, *[1] * len(x[0].sample)))
        with tape.holding(mask):
            return tape.multiplied(x[0], mask if self.p == 1 else tape.pointwise(mask))

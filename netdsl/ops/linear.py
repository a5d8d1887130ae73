"""The fully connected layer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from netdsl.cost.model import Term
from netdsl.ir.types import Shape
from netdsl.ops.base import EVERYWHERE, HERE, Elsewhere, Example, Field, Op, OpError, sizes

if TYPE_CHECKING:
    from netdsl.ir.tape import Tape, Tensor


class Linear(Op):
    """A fully connected layer: y = x W^T + b along the last axis, which must be the channels.

    Vector c to vector channels; tokens n x c to n x channels; a map h x w x c, permuted so, likewise.
    Of permuted tokens, c x n, it makes other tokens: `permute 1, 0 -> fc 196 -> permute 1, 0`, arXiv 2105.01601.
    MACs: c x channels, times the other axes. Weight [channels, c], bias [channels].
    """

    name: ClassVar[str] = "fc"
    elsewhere: ClassVar[Elsewhere] = Elsewhere(
        torch="nn.Linear, F.linear",
        keras="layers.Dense",
        jax="nnx.Linear",
        calls={
            "Linear": "_, channels, bias",
            "Dense": "channels, act, bias",
        },
    )
    batchless: ClassVar[bool] = True
    tokenwise: ClassVar[bool] = True
    positional: ClassVar[tuple[str, ...]] = ("channels",)
    fuses: ClassVar[bool] = True
    linear: ClassVar[bool] = True
    counted: ClassVar[str] = "Linear"
    weight_axes: ClassVar[Mapping[str, tuple[str, ...]]] = {"weight": ("c_out", "c_in"), "bias": ("c_out",)}

    channels: int
    bias: bool = True

    def infer(self, *x: Shape) -> Shape:
        """Return the input's shape with `channels` channels."""
        if x[0].axes[-1] != "c" and x[0].axes != "cn":
            last = ", ".join(str(i) for i, axis in enumerate(x[0].axes) if axis != "c")
            help = f"permute {last}, {x[0].axes.index('c')} -> fc {self.channels}" if "c" in x[0].axes else ""
            if x[0].axes == "chw":
                help = f"flatten -> fc {self.channels}, or gap -> fc {self.channels}"
            message = f"fc works on the last axis, which must be the channels, got {x[0].kind} {x[0]}"
            raise OpError("", message, help)
        if self.channels < 1:
            raise OpError("channels", f"channels must be at least 1, got {self.channels}")
        return x[0].with_size(x[0].axes[-1], self.channels)

    def weights(self, *x: Shape) -> Mapping[str, tuple[int, ...]]:
        """Return weight [out, in], bias [out]."""
        weight = (self.channels, x[0][-1])
        return {"weight": weight, "bias": (self.channels,)} if self.bias else {"weight": weight}

    def mac_terms(self, *x: Shape) -> tuple[Term, ...]:
        """Return in x out, times the other axes."""
        return (Term((*sizes(x[0], "_in"), (f"{x[0].axes[-1]}_out", self.channels))),)

    def op_terms(self, *x: Shape) -> tuple[Term, ...]:
        """Return one addition per output element if there is a bias."""
        return (Term(sizes(self.infer(*x), "_out"), "bias"),) if self.bias else ()

    def share(self, devices: int, own: Sequence[bool], *x: Shape) -> Op | None:
        """Return its share of the rows; where it mixes tokens, it has all of them for each channel."""
        if x[0].axes[-1] != "c":
            return self if own[0] else None
        if own[0] or self.channels % devices:
            return None
        return self.replace(channels=self.channels // devices)

    def plain(self, *x: Shape) -> Op | None:
        """Return itself."""
        return self if type(self) is Linear else None

    def reach(self, *x: Shape) -> tuple[Field | None, ...]:
        """Return the same place, or every token where they are mixed."""
        return (EVERYWHERE if x[0].axes == "cn" else HERE,)

    def saved(self, tape: Tape, *x: Tensor) -> Tensor:
        """Keep the input, as rows."""
        return tape.linear(x[0], self.channels, tape.parameters)

    @classmethod
    def examples(cls) -> Iterator[Example]:
        """Yield a vector, tokens, a map with its channels last, no bias, tokens that are mixed."""
        yield Example(cls(channels=5), (Shape(7),))
        yield Example(cls(channels=5, bias=False), (Shape(7),))
        yield Example(cls(channels=5), (Shape(3, 7),))
        yield Example(cls(channels=5), (Shape(3, 2, 7, axes="hwc"),))
        yield Example(cls(channels=5), (Shape(4, 3, axes="cn"),))

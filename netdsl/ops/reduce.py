"""What makes one number of many along some axes. They have no weights and cost no MACs."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from netdsl.cost.model import Term
from netdsl.ir.types import Shape
from netdsl.ops.base import EVERYWHERE, HERE, Elsewhere, Example, Field, Op, OpError, sizes

if TYPE_CHECKING:
    from netdsl.ir.tape import Tape, Tensor


class Reduction(Op):
    """What the reductions share: `axes` are letters of c, h, w and n, in any order; ops: 1 per input element.

    With `keep` the axes stay, of one place each. Else they go, and what is left is a vector or tokens:
    map c x h x w to vector c, tokens n x c to vector c.
    """

    batchless: ClassVar[bool] = True
    positional: ClassVar[tuple[str, ...]] = ("axes",)
    settled: ClassVar[tuple[str, ...]] = ("axes", "keep")
    keeps_zero: ClassVar[bool] = True

    axes: str
    keep: bool = False

    def infer(self, *x: Shape) -> Shape:
        """Return the shape with the axes at one place, or without them."""
        own = x[0].axes
        if not self.axes or len(set(self.axes)) < len(self.axes) or not set(self.axes) <= set(own):
            some = " or ".join(f'"{axis}"' for axis in own)
            raise OpError("axes", f"axes must be some of {some} for {x[0].kind} {x[0]}, got {self.axes!r}")
        out = x[0]
        if self.keep:
            for axis in self.axes:
                out = out.with_size(axis, 1)
            return out
        left = "".join(axis for axis in own if axis not in self.axes)
        if left not in ("c", "nc"):
            what = f"without {self.axes} {x[0].kind} {x[0]} is neither a vector nor tokens"
            raise OpError("axes", what, f'{self.name} "{self.axes}", keep=true')
        return Shape(*map(out.size, left))

    def along(self, order: str) -> tuple[int, ...]:
        """Return where the axes are, counted with the batch, if those of a sample lie in that order."""
        return tuple(sorted(order.index(axis) + 1 for axis in self.axes))

    def op_terms(self, *x: Shape) -> tuple[Term, ...]:
        """Return one per element."""
        return (Term(sizes(x[0])),)

    def reach(self, *x: Shape) -> tuple[Field | None, ...]:
        """Return every place along the axes."""
        if not self.keep or "n" in self.axes:
            return (EVERYWHERE,) if not set(self.axes).isdisjoint("hwn") else (HERE,)
        rows, columns = (EVERYWHERE[at] if axis in self.axes else HERE[at] for at, axis in enumerate("hw"))
        return ((rows, columns),)

    def saved(self, tape: Tape, *x: Tensor) -> Tensor:
        """Keep nothing."""
        axes = [x[0].dim(axis) % len(x[0].sizes) for axis in self.axes]
        kept = tuple(1 if at in axes else size for at, size in enumerate(x[0].sizes))
        return tape.made(
            kept if self.keep else [kept[at] for at in range(len(kept)) if at not in axes],
            *x,
            back=partial(tape.repeated, axes, self.keep, self.selects),
        )

    @classmethod
    def examples(cls) -> Iterator[Example]:
        """Yield maps, tokens, axes that stay."""
        x, tokens = Shape(4, 3, 5), Shape(3, 4)
        yield Example(cls(axes="hw"), (x,))
        yield Example(cls(axes="n"), (tokens,))
        yield Example(cls(axes="wh"), (Shape(3, 5, 4, axes="hwc"),))
        for axes in ("c", "h", "w", "hw", "cw", "chw"):
            yield Example(cls(axes=axes, keep=True), (x,))
        yield Example(cls(axes="n", keep=True), (tokens,))
        yield Example(cls(axes="c", keep=True), (tokens,))
        yield Example(cls(axes="c", keep=True), (Shape(5),))


class Mean(Reduction):
    """The mean along `axes`: `mean "n"` of tokens, `mean "c", keep=true` of a map; `gap` is `mean "hw"`."""

    name: ClassVar[str] = "mean"
    elsewhere: ClassVar[Elsewhere] = Elsewhere(torch="torch.mean", keras="ops.mean", jax="jnp.mean")
    linear: ClassVar[bool] = True


class Amax(Reduction):
    """The largest along `axes`: `amax "hw"`, `amax "c", keep=true`. Woo et al., arXiv 1807.06521, have both."""

    name: ClassVar[str] = "amax"
    elsewhere: ClassVar[Elsewhere] = Elsewhere(
        torch="torch.amax, nn.AdaptiveMaxPool2d",
        keras="layers.GlobalMaxPooling2D, ops.amax",
        jax="jnp.max",
    )
    selects: ClassVar[bool] = True
    saves_output: ClassVar[bool] = True

    def saved(self, tape: Tape, *x: Tensor) -> Tensor:
        """Keep the input and the output."""
        y = super().saved(tape, *x)
        if y.maker is not None:  # going back: where the largest are, how many, and their gradient's share
            y.maker.scratch = x[0].elements + (8 + tape.itemsize) * y.elements
        return tape.keep(y, x[0], y)

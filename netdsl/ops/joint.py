"""What joins values, and products with a number. They have no weights and cost no MACs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial, reduce
from itertools import accumulate
from math import isfinite
from typing import TYPE_CHECKING, ClassVar

from netdsl.cost.model import Term
from netdsl.ir.types import Shape
from netdsl.ops.axis import AlongAxis
from netdsl.ops.base import HERE, Elsewhere, Example, Field, Op, OpError, Reach, sizes

if TYPE_CHECKING:
    from netdsl.ir.tape import Tape, Tensor


def differ(name: str, x: tuple[Shape, ...]) -> str:
    """Return the message for branches that do not fit: "add: the branches differ: 2x3x3 and 4x3x3"."""
    shapes = [f"{s} ({s.axes})" if s.kind == "a permuted map" else str(s) for s in x]
    return f"{name}: the branches differ: {', '.join(shapes[:-1])} and {shapes[-1]}"


class Identity(Op):
    """Its input, any shape."""

    name: ClassVar[str] = "identity"
    elsewhere: ClassVar[Elsewhere] = Elsewhere(
        torch="nn.Identity", keras="layers.Identity", jax="jax.nn.identity"
    )
    batchless: ClassVar[bool] = True
    passes_values: ClassVar[bool] = True
    channelwise: ClassVar[bool] = True
    tokenwise: ClassVar[bool] = True
    linear: ClassVar[bool] = True
    keeps_zero: ClassVar[bool] = True
    wiring: ClassVar[bool] = True
    computes: ClassVar[bool] = False
    aliases: ClassVar[bool] = True

    def infer(self, *x: Shape) -> Shape:
        """Return the input's shape."""
        return x[0]

    def saved(self, tape: Tape, *x: Tensor) -> Tensor:
        """Keep nothing: it is its input."""
        return x[0]

    @classmethod
    def examples(cls) -> Iterator[Example]:
        """Yield a map, a vector."""
        yield Example(cls(), (Shape(3, 4, 5),))
        yield Example(cls(), (Shape(5),))


class Elementwise(Op):
    """What `add`, `sub` and `mul` share: equal shapes, or c x 1 x 1 or a vector c that is used at every place.

    The output has the largest shape. ops: 1 per output element and joint, that is branches - 1.
    """

    batchless: ClassVar[bool] = True
    wiring: ClassVar[bool] = True
    arity: ClassVar[tuple[int, int | None]] = (1, None)

    def infer(self, *x: Shape) -> Shape:
        """Return the largest of the shapes."""
        if all([s == x[0] and s.axes == x[0].axes for s in x]):
            return x[0]
        out = max(x, key=lambda s: (len(s), s.elements))
        for s in x:
            same = s.axes == out.axes
            every_place = s.c == out.c and (s.axes == "c" or (same and "h" in s.axes and s.h == s.w == 1))
            if not every_place and not (same and s == out):
                raise OpError("", differ(self.name, x))
        return out

    def share(self, devices: int, own: Sequence[bool], *x: Shape) -> Op | None:
        """Return itself, of its own channels of all branches."""
        return self if all(own) else None

    def op_terms(self, *x: Shape) -> tuple[Term, ...]:
        """Return (branches - 1) per output element."""
        return (Term((*sizes(self.infer(*x)), ("branches - 1", len(x) - 1))),)

    def reach(self, *x: Shape) -> tuple[Field | None, ...]:
        """Return the same place, or the only one of a branch that is used at every place."""
        out = self.infer(*x)
        only = Reach(stride=0), Reach(stride=0)
        return tuple(HERE if s == out else only for s in x)

    def saved(self, tape: Tape, *x: Tensor) -> Tensor:
        """Keep nothing but for products; what is used at every place is looked at so."""
        out = self.infer(*[value.sample for value in x])
        return reduce(partial(self.joined, tape), [self.aligned(tape, value, out) for value in x])

    def joined(self, tape: Tape, a: Tensor, b: Tensor) -> Tensor:
        """Return what it makes of two tensors."""
        return tape.overwritten(a, b) if tape.writes else tape.summed(a, b)

    @staticmethod
    def aligned(tape: Tape, x: Tensor, out: Shape) -> Tensor:
        """Give a vector axes of one, so that its channels meet those of the output."""
        if len(x.sample) == len(out):
            return x
        before, after = out.axis("c"), len(out) - out.axis("c") - 1
        lead = x.sizes[:-1]
        before = before if lead else 0
        sizes = (*lead, *[1] * before, x.sizes[-1], *[1] * after)
        return tape.view(x, sizes, (*x.strides[:-1], *[1] * before, x.strides[-1], *[1] * after))

    @classmethod
    def examples(cls) -> Iterator[Example]:
        """Yield two and more branches, broadcasts in any position."""
        chw, one, c, nc = Shape(4, 3, 5), Shape(4, 1, 1), Shape(4), Shape(3, 4)
        hwc = Shape(3, 5, 4, axes="hwc")
        for x in ((chw, chw), (chw, chw, chw), (chw,), (nc, nc), (c, c), (chw, one), (one, chw), (chw, c)):
            yield Example(cls(), x)
        for x in ((c, chw), (c, one, chw), (nc, c), (c, nc), (hwc, c), (c, one)):
            yield Example(cls(), x)


class Add(Elementwise):
    """The sum of the branches. He et al., arXiv 1512.03385.

    In place it needs a first branch of the output's shape; a backend adds out of place otherwise.
    """

    name: ClassVar[str] = "add"
    elsewhere: ClassVar[Elsewhere] = Elsewhere(torch="torch.add, +", keras="layers.Add, +", jax="jnp.add, +")
    folds: ClassVar[bool] = True
    tokenwise: ClassVar[bool] = True
    linear: ClassVar[bool] = True
    keeps_zero: ClassVar[bool] = True
    inplace: ClassVar[bool] = True

    def overwrites(self, *x: Shape) -> bool:
        """Tell whether the first branch is as large as the output; one of c x 1 x 1 may be so at this size only."""
        return x[0] == self.infer(*x) and not ("h" in x[0].axes and x[0].h == x[0].w == 1)


class Mul(Elementwise):
    """The product of the branches, such as a map and its channels' gates. Hu et al., arXiv 1709.01507."""

    name: ClassVar[str] = "mul"
    elsewhere: ClassVar[Elsewhere] = Elsewhere(
        torch="torch.mul, *", keras="layers.Multiply, *", jax="jnp.multiply, *"
    )
    product: ClassVar[bool] = True
    keeps_zero: ClassVar[bool] = True
    folds: ClassVar[bool] = True
    tokenwise: ClassVar[bool] = True

    def joined(self, tape: Tape, a: Tensor, b: Tensor) -> Tensor:
        """Return the product: for the gradient of each the other is kept."""
        return tape.multiplied(a, b)


class Sub(Elementwise):
    """The first value less the second: `from a, b -> sub`. Shapes as those of `add`."""

    name: ClassVar[str] = "sub"
    elsewhere: ClassVar[Elsewhere] = Elsewhere(
        torch="torch.sub, -", keras="layers.Subtract, -", jax="jnp.subtract, -"
    )
    tokenwise: ClassVar[bool] = True
    linear: ClassVar[bool] = True
    keeps_zero: ClassVar[bool] = True
    arity: ClassVar[tuple[int, int | None]] = (2, 2)

    def joined(self, tape: Tape, a: Tensor, b: Tensor) -> Tensor:
        """Return the difference."""
        return tape.subtracted(a, b)

    @classmethod
    def examples(cls) -> Iterator[Example]:
        """Yield what has one value less another."""
        for example in super().examples():
            if len(example.inputs) == 2:
                yield example


class ByNumber(Op):
    """What `scale` and `offset` share: the same number for every element. ops: 1 per element."""

    batchless: ClassVar[bool] = True
    channelwise: ClassVar[bool] = True
    tokenwise: ClassVar[bool] = True
    wiring: ClassVar[bool] = True

    def infer(self, *x: Shape) -> Shape:
        """Return the input's shape."""
        for field in self.positional:
            if not isfinite(getattr(self, field)):
                raise OpError(field, f"{field} must be a finite number, got {getattr(self, field)}")
        return x[0]

    def op_terms(self, *x: Shape) -> tuple[Term, ...]:
        """Return one per element."""
        return (Term(sizes(x[0])),)

    def saved(self, tape: Tape, *x: Tensor) -> Tensor:
        """Keep nothing."""
        return tape.pointwise(x[0])


class Scale(ByNumber):
    """Its input times a number, any shape; `scale 0.1`, `scale x.c**-0.5`. ops: 1 per element.

    Residual branches of Inception-ResNet, Szegedy et al., arXiv 1602.07261.
    """

    name: ClassVar[str] = "scale"
    elsewhere: ClassVar[Elsewhere] = Elsewhere(
        torch="torch.mul, *", keras="layers.Rescaling, *", jax="jnp.multiply, *"
    )
    linear: ClassVar[bool] = True
    keeps_zero: ClassVar[bool] = True
    positional: ClassVar[tuple[str, ...]] = ("factor",)

    factor: float

    def idle(self, *x: Shape) -> str:
        """Tell whether the number is 1."""
        return "its factor is 1" if self.factor == 1 else ""

    @classmethod
    def examples(cls) -> Iterator[Example]:
        """Yield a map, tokens, a vector."""
        yield Example(cls(factor=0.17), (Shape(3, 4, 5),))
        yield Example(cls(factor=-2.0), (Shape(4, 5),))
        yield Example(cls(factor=0.5), (Shape(5),))


class Offset(ByNumber):
    """Its input plus a number, any shape; `offset 1`, `offset -0.5`. ops: 1 per element.

    `from x -> offset 1` of gates that strengthen only: x * (1 + a), Wang et al., arXiv 1704.06904.
    """

    name: ClassVar[str] = "offset"
    elsewhere: ClassVar[Elsewhere] = Elsewhere(
        torch="torch.add, +", keras="layers.Rescaling, +", jax="jnp.add, +"
    )
    linear: ClassVar[bool] = True
    positional: ClassVar[tuple[str, ...]] = ("term",)

    term: float

    def idle(self, *x: Shape) -> str:
        """Tell whether the number is 0."""
        return "its term is 0" if self.term == 0 else ""

    def saved(self, tape: Tape, *x: Tensor) -> Tensor:
        """Keep nothing."""
        return tape.offset(x[0])

    @classmethod
    def examples(cls) -> Iterator[Example]:
        """Yield a map, tokens, a vector."""
        yield Example(cls(term=3.0), (Shape(3, 4, 5),))
        yield Example(cls(term=-0.5), (Shape(4, 5),))
        yield Example(cls(term=1.0), (Shape(5),))


class Concat(AlongAxis):
    """The branches one after the other along `axis`, the channels unless given: `concat axis="n"` of tokens.

    Shapes are equal but for that axis. ops: 0; its output is new values.
    """

    batchless: ClassVar[bool] = True
    name: ClassVar[str] = "concat"
    elsewhere: ClassVar[Elsewhere] = Elsewhere(
        torch="torch.cat", keras="layers.Concatenate, ops.concatenate", jax="jnp.concatenate"
    )
    linear: ClassVar[bool] = True
    keeps_zero: ClassVar[bool] = True
    wiring: ClassVar[bool] = True
    arity: ClassVar[tuple[int, int | None]] = (1, None)

    def infer(self, *x: Shape) -> Shape:
        """Return the shape with the sizes along the axis added."""
        first, axis = x[0], self.axis
        self.check_axis(first)
        if any(s.axes != first.axes or s.with_size(axis, 1) != first.with_size(axis, 1) for s in x):
            raise OpError("", differ(self.name, x), f"they must be equal but for axis {axis}")
        return first.with_size(axis, sum(s.size(axis) for s in x))

    def reach(self, *x: Shape) -> tuple[Field | None, ...]:
        """Return the same place, behind the branches before it if they are joined along rows or columns."""
        here, _ = HERE
        behind = [Reach(pad=pad) for pad in accumulate((s.size(self.axis) for s in x[:-1]), initial=0)]
        if self.axis == "h":
            return tuple((reach, here) for reach in behind)
        if self.axis == "w":
            return tuple((here, reach) for reach in behind)
        return (HERE,) * len(x)

    def saved(self, tape: Tape, *x: Tensor) -> Tensor:
        """Keep nothing: gradients are parts of that of the whole. Channels lie last if those of all branches do."""
        part = tape.looked_at
        if all(len(value.sizes) == len(value.sample) for value in x):  # learned tensors alone
            return tape.made(self.infer(*[value.sample for value in x]), *x, back=part)
        every = [
            tape.expanded(value, (tape.batch, *value.sizes[len(value.sizes) - len(value.sample) :]))
            if value.sizes[: -len(value.sample)] != (tape.batch,)
            else value
            for value in x
        ]
        like = next((value for value in every if not value.channels_last), every[0])
        sizes = tape.sized(self.infer(*[value.sample for value in x]))
        return tape.made(sizes, *every, strides=tape.strides_of(like, sizes), back=part)

    @classmethod
    def examples(cls) -> Iterator[Example]:
        """Yield channels, another axis, other ranks."""
        yield Example(cls(), (Shape(2, 3, 5), Shape(4, 3, 5)))
        yield Example(cls(), (Shape(2, 3, 5), Shape(1, 3, 5), Shape(4, 3, 5)))
        yield Example(cls(), (Shape(2, 3, 5),))
        yield Example(cls(axis="w"), (Shape(2, 3, 5), Shape(2, 3, 4)))
        yield Example(cls(axis="n"), (Shape(1, 6), Shape(4, 6)))
        yield Example(cls(), (Shape(4, 2), Shape(4, 6)))
        yield Example(cls(), (Shape(2), Shape(6)))
        yield Example(cls(), (Shape(3, 5, 2, axes="hwc"), Shape(3, 5, 4, axes="hwc")))

"""The same numbers under other axes, or in other places of them. They have no weights and cost nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, ClassVar

from netdsl.ir.types import Dims, Shape
from netdsl.ops.base import EVERYWHERE, HERE, Elsewhere, Example, Field, Need, Op, OpError, Reach
from netdsl.ops.window import groups_of, need_map, size_of

if TYPE_CHECKING:
    from netdsl.ir.tape import Tape, Tensor


class Permute(Op):
    """The axes of the sample in another order, as a view: output axis i is input axis axes[i]."""

    name: ClassVar[str] = "permute"
    elsewhere: ClassVar[Elsewhere] = Elsewhere(
        torch="torch.permute", keras="layers.Permute, ops.transpose", jax="jnp.transpose"
    )
    passes_values: ClassVar[bool] = True
    linear: ClassVar[bool] = True
    keeps_zero: ClassVar[bool] = True
    positional: ClassVar[tuple[str, ...]] = ("axes",)
    computes: ClassVar[bool] = False
    aliases: ClassVar[bool] = True

    axes: tuple[int, ...]

    def infer(self, *x: Shape) -> Shape:
        """Return the sizes and their letters in the new order."""
        if sorted(self.axes) != list(range(len(x[0]))):
            every, got = ", ".join(map(str, range(len(x[0])))), ", ".join(map(str, self.axes))
            raise OpError("axes", f"axes must be {every} in some order for {x[0]}, got {got}")
        return Shape(*(x[0][i] for i in self.axes), axes="".join(x[0].axes[i] for i in self.axes))

    def idle(self, *x: Shape) -> str:
        """Tell whether the axes stay where they are."""
        return "the axes stay in order" if tuple(self.axes) == tuple(range(len(x[0]))) else ""

    def saved(self, tape: Tape, *x: Tensor) -> Tensor:
        """Keep nothing."""
        return tape.permuted(x[0], 0, *[axis + 1 for axis in self.axes])

    @classmethod
    def examples(cls) -> Iterator[Example]:
        """Yield channels last and back, tokens."""
        yield Example(cls(axes=(1, 2, 0)), (Shape(2, 3, 4),))
        yield Example(cls(axes=(2, 0, 1)), (Shape(3, 4, 2, axes="hwc"),))
        yield Example(cls(axes=(1, 0)), (Shape(3, 4),))


class Flatten(Op):
    """All numbers of a sample as one vector, in the order c, h, w (or n, c); a view."""

    name: ClassVar[str] = "flatten"
    elsewhere: ClassVar[Elsewhere] = Elsewhere(
        torch="nn.Flatten, torch.flatten", keras="layers.Flatten", jax="jnp.reshape"
    )
    passes_values: ClassVar[bool] = True
    linear: ClassVar[bool] = True
    keeps_zero: ClassVar[bool] = True
    computes: ClassVar[bool] = False
    aliases: ClassVar[bool] = True

    def infer(self, *x: Shape) -> Shape:
        """Return a vector of all elements."""
        if x[0].axes not in ("chw", "nc", "c"):
            help = "permute the axes back first"
            raise OpError("", f"flatten needs the order c, h, w, got axes {x[0].axes}", help)
        return Shape(x[0].elements)

    def reach(self, *x: Shape) -> tuple[Field | None, ...]:
        """Return every place: a vector has one."""
        return (EVERYWHERE,)

    def idle(self, *x: Shape) -> str:
        """Tell whether it is a vector already."""
        return f"its input {x[0]} is a vector" if x[0].axes == "c" else ""

    def share(self, devices: int, own: Sequence[bool], *x: Shape) -> Op | None:
        """Return itself, where the channels come first: those of a device are neighbours then."""
        return self if own[0] and x[0].axes[0] == "c" else None

    def saved(self, tape: Tape, *x: Tensor) -> Tensor:
        """Keep nothing."""
        return tape.flattened(x[0], 1)

    @classmethod
    def examples(cls) -> Iterator[Example]:
        """Yield a map, tokens, a vector."""
        yield Example(cls(), (Shape(3, 4, 5),))
        yield Example(cls(), (Shape(4, 5),))
        yield Example(cls(), (Shape(5),))


class Unflatten(Op):
    """A vector as tokens, one part of it after the other, as a view; the inverse of `flatten`: `unflatten 2`.

    c to `parts` x c/parts. `unflatten 2 -> softmax axis="n" -> flatten` compares two branches' gates channel by
    channel, as Li et al. do, arXiv 1903.06586.
    """

    name: ClassVar[str] = "unflatten"
    elsewhere: ClassVar[Elsewhere] = Elsewhere(
        torch="nn.Unflatten, torch.unflatten", keras="layers.Reshape", jax="jnp.reshape"
    )
    passes_values: ClassVar[bool] = True
    linear: ClassVar[bool] = True
    keeps_zero: ClassVar[bool] = True
    positional: ClassVar[tuple[str, ...]] = ("parts",)
    computes: ClassVar[bool] = False
    aliases: ClassVar[bool] = True

    parts: int

    def infer(self, *x: Shape) -> Shape:
        """Check that the parts are equal; return tokens."""
        if x[0].axes != "c":
            raise OpError("", f"unflatten needs a vector, got {x[0].kind} {x[0]}", "flatten it first")
        return Shape(self.parts, groups_of("parts", self.parts, x[0].c))

    def reach(self, *x: Shape) -> tuple[Field | None, ...]:
        """Return the only place."""
        return (EVERYWHERE,)

    def saved(self, tape: Tape, *x: Tensor) -> Tensor:
        """Keep nothing."""
        return tape.reshaped(x[0], *tape.sized(self.infer(x[0].sample)))

    @classmethod
    def examples(cls) -> Iterator[Example]:
        """Yield several parts, one, parts of one channel."""
        for parts in (2, 1, 6):
            yield Example(cls(parts=parts), (Shape(6),))


class Tokens(Op):
    """The places of a map as tokens, row by row, as a view: c x h x w to (h w) x c. arXiv 2010.11929."""

    name: ClassVar[str] = "tokens"
    elsewhere: ClassVar[Elsewhere] = Elsewhere(
        torch="x.flatten(2).transpose(1, 2)", keras="layers.Reshape", jax="jnp.reshape"
    )
    passes_values: ClassVar[bool] = True
    linear: ClassVar[bool] = True
    keeps_zero: ClassVar[bool] = True
    computes: ClassVar[bool] = False
    aliases: ClassVar[bool] = True

    def infer(self, *x: Shape) -> Shape:
        """Return (h w) x c."""
        c, h, w = need_map(self.name, x[0])
        return Shape(h * w, c)

    def saved(self, tape: Tape, *x: Tensor) -> Tensor:
        """Keep nothing."""
        return tape.transposed(tape.flattened(x[0], 2), 1, 2)

    @classmethod
    def examples(cls) -> Iterator[Example]:
        """Yield a map."""
        yield Example(cls(), (Shape(3, 4, 5),))


class Map(Op):
    """Tokens as the places of a map, row by row, as a view; the inverse of `tokens`: `map 14x14`, `map like=x`.

    (h w) x c to c x h x w, of the size `to` or of that of another map.
    """

    name: ClassVar[str] = "map"
    elsewhere: ClassVar[Elsewhere] = Elsewhere(
        torch="nn.Unflatten", keras="layers.Reshape", jax="jnp.reshape"
    )
    passes_values: ClassVar[bool] = True
    linear: ClassVar[bool] = True
    keeps_zero: ClassVar[bool] = True
    positional: ClassVar[tuple[str, ...]] = ("to",)
    arity: ClassVar[tuple[int, int | None]] = (1, 2)
    references: ClassVar[tuple[str, ...]] = ("like",)
    computes: ClassVar[bool] = False
    aliases: ClassVar[bool] = True

    to: Dims | int | None = None

    def infer(self, *x: Shape) -> Shape:
        """Return c x h x w, which has as many places as there are tokens."""
        if x[0].axes != "nc":
            raise OpError("", f"map needs tokens n x c, got {x[0].kind} {x[0]}")
        h, w = size_of(self.name, self.to, *x[1:])
        if h * w != x[0].n:
            raise OpError("to" if self.to is not None else "", f"{x[0].n} tokens are no map of {h}x{w}")
        return Shape(x[0].c, h, w)

    def reach(self, *x: Shape) -> tuple[Field | None, ...]:
        """Return the same place; what only gives the size is not seen."""
        return HERE, *[None] * (len(x) - 1)

    def saved(self, tape: Tape, *x: Tensor) -> Tensor:
        """Keep nothing."""
        return tape.reshaped(
            tape.transposed(x[0], 1, 2), *tape.sized(self.infer(*[value.sample for value in x]))
        )

    @classmethod
    def examples(cls) -> Iterator[Example]:
        """Yield a size, another map's."""
        yield Example(cls(to=Dims((2, 3))), (Shape(6, 4),))
        yield Example(cls(to=2), (Shape(4, 3),))
        yield Example(cls(), (Shape(12, 2), Shape(5, 3, 4)))


class Expand(Op):
    """One channel as many that are all the same, as a view: the gate of places of Woo et al., arXiv 1807.06521.

    1 x h x w to `channels` x h x w, tokens and vectors likewise: `expand x.c`. Of a `weight alpha [1]` it makes one
    number for all channels, as Bachlechner et al. have it, arXiv 2003.04887. ops: 0.
    """

    name: ClassVar[str] = "expand"
    batchless: ClassVar[bool] = True
    elsewhere: ClassVar[Elsewhere] = Elsewhere(
        torch="torch.Tensor.expand", keras="ops.broadcast_to", jax="jnp.broadcast_to"
    )
    passes_values: ClassVar[bool] = True
    linear: ClassVar[bool] = True
    keeps_zero: ClassVar[bool] = True
    positional: ClassVar[tuple[str, ...]] = ("channels",)
    wiring: ClassVar[bool] = True
    computes: ClassVar[bool] = False
    aliases: ClassVar[bool] = True

    channels: int

    def infer(self, *x: Shape) -> Shape:
        """Return the shape with that many channels."""
        self.check_needs(*x)
        return x[0].with_size("c", self.channels)

    def needs(self, *x: Shape) -> Iterator[Need]:
        """Yield that there is one channel, and will be some."""
        yield Need("", "the number of channels to expand", x[0].c, "==", 1)
        yield Need("channels", "channels", self.channels, ">=", 1)

    def saved(self, tape: Tape, *x: Tensor) -> Tensor:
        """Keep nothing. A learned tensor gets an axis for the batch, of one."""
        sizes = list(x[0].sizes)
        sizes[x[0].dim("c")] = self.channels
        return tape.expanded(x[0], (*[1] * (len(sizes) == len(x[0].sample)), *sizes))

    @classmethod
    def examples(cls) -> Iterator[Example]:
        """Yield a map, tokens, a vector."""
        yield Example(cls(channels=3), (Shape(1, 4, 5),))
        yield Example(cls(channels=2), (Shape(4, 1),))
        yield Example(cls(channels=4), (Shape(1),))
        yield Example(cls(channels=3), (Shape(4, 5, 1, axes="hwc"),))


class PixelShuffle(Op):
    """Channels as pixels: channel c r^2 + i r + j of a pixel is channel c of row i, column j of an r x r square.

    Map c x h x w to c / r^2 x h r x w r, r is `factor`; ops: 0. Shi et al., arXiv 1609.05158.
    """

    name: ClassVar[str] = "pixel_shuffle"
    elsewhere: ClassVar[Elsewhere] = Elsewhere(
        torch="nn.PixelShuffle, F.pixel_shuffle",
        calls={"PixelShuffle": "factor"},
    )
    passes_values: ClassVar[bool] = True
    linear: ClassVar[bool] = True
    keeps_zero: ClassVar[bool] = True
    positional: ClassVar[tuple[str, ...]] = ("factor",)
    aliases: ClassVar[bool] = True  # of one pixel for each, nothing is to be copied

    factor: int

    def infer(self, *x: Shape) -> Shape:
        """Return c / r^2 x h r x w r."""
        c, h, w = need_map(self.name, x[0])
        self.check_needs(*x)
        return Shape(c // (self.factor * self.factor), h * self.factor, w * self.factor)

    def needs(self, *x: Shape) -> Iterator[Need]:
        """Yield that the channels are those of whole squares."""
        yield Need("factor", "factor", self.factor, ">=", 1)
        yield Need("factor", "channels % factor**2", x[0].c % (self.factor * self.factor), "==", 0)

    def reach(self, *x: Shape) -> tuple[Field | None, ...]:
        """Return the pixel whose channel it was."""
        reach = Reach(self.factor, pad=self.factor - 1, up=self.factor)
        return ((reach, reach),)

    def idle(self, *x: Shape) -> str:
        """Tell whether a square is a pixel."""
        return "its factor is 1" if self.factor == 1 else ""

    def saved(self, tape: Tape, *x: Tensor) -> Tensor:
        """Keep nothing."""
        return self.fresh(tape, *x, back=tape.laid_as_given)

    @classmethod
    def examples(cls) -> Iterator[Example]:
        """Yield factors."""
        yield Example(cls(factor=1), (Shape(3, 4, 5),))
        yield Example(cls(factor=2), (Shape(8, 3, 4),))
        yield Example(cls(factor=3), (Shape(9, 2, 1),))


class PixelUnshuffle(Op):
    """Pixels as channels, the inverse of `pixel_shuffle`: each r x r square is one pixel with all of its numbers.

    Map c x h x w to c r^2 x h / r x w / r, r is `factor`; ops: 0. Shi et al., arXiv 1609.05158.
    """

    name: ClassVar[str] = "pixel_unshuffle"
    elsewhere: ClassVar[Elsewhere] = Elsewhere(
        torch="nn.PixelUnshuffle, F.pixel_unshuffle",
        calls={"PixelUnshuffle": "factor"},
    )
    passes_values: ClassVar[bool] = True
    linear: ClassVar[bool] = True
    keeps_zero: ClassVar[bool] = True
    positional: ClassVar[tuple[str, ...]] = ("factor",)
    aliases: ClassVar[bool] = True

    factor: int

    def infer(self, *x: Shape) -> Shape:
        """Return c r^2 x h / r x w / r."""
        c, h, w = need_map(self.name, x[0])
        self.check_needs(*x)
        if h % self.factor or w % self.factor:
            raise OpError("factor", f"a map {h}x{w} has no whole squares of {self.factor}x{self.factor}")
        return Shape(c * self.factor * self.factor, h // self.factor, w // self.factor)

    def needs(self, *x: Shape) -> Iterator[Need]:
        """Yield that a square has a pixel."""
        yield Need("factor", "factor", self.factor, ">=", 1)

    def reach(self, *x: Shape) -> tuple[Field | None, ...]:
        """Return the square."""
        return ((Reach(self.factor, self.factor),) * 2,)

    def idle(self, *x: Shape) -> str:
        """Tell whether a square is a pixel."""
        return "its factor is 1" if self.factor == 1 else ""

    def saved(self, tape: Tape, *x: Tensor) -> Tensor:
        """Keep nothing."""
        return self.fresh(tape, *x, back=tape.laid_as_given)

    @classmethod
    def examples(cls) -> Iterator[Example]:
        """Yield factors."""
        yield Example(cls(factor=1), (Shape(3, 4, 5),))
        yield Example(cls(factor=2), (Shape(3, 4, 6),))
        yield Example(cls(factor=3), (Shape(2, 3, 9),))

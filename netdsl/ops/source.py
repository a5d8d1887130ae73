"""Where values come from: the net's inputs and learned tensors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import prod
from typing import TYPE_CHECKING, ClassVar

from netdsl.cost.model import Term
from netdsl.ir.types import Init, Parameter, Shape
from netdsl.ops.base import Elsewhere, Example, Need, Op, OpError, sizes

if TYPE_CHECKING:
    from netdsl.ir.tape import Tape, Tensor


class Source(Op):
    """What the two share: no inputs, a shape as written, nothing computed."""

    positional: ClassVar[tuple[str, ...]] = ("shape",)
    arity: ClassVar[tuple[int, int | None]] = (0, 0)
    computes: ClassVar[bool] = False

    shape: tuple[int, ...]

    def infer(self, *x: Shape) -> Shape:
        """Return the shape: one size is a vector, two are tokens, three a map."""
        text = "x".join(map(str, self.shape))
        if not 1 <= len(self.shape) <= 3:
            raise OpError("shape", f"a shape has one to three sizes, got {len(self.shape)}")
        if min(self.shape) < 1:
            raise OpError("shape", f"sizes must be at least 1, got {text}")
        return Shape(*self.shape)


class Input(Source):
    """An input of the net: the shape of one sample, c x h x w, n x c or c."""

    name: ClassVar[str] = "input"
    elsewhere: ClassVar[Elsewhere] = Elsewhere(
        torch="an argument of forward", keras="keras.Input", jax="an argument of __call__"
    )
    wiring: ClassVar[bool] = True

    def saved(self, tape: Tape, *x: Tensor) -> Tensor:
        """Keep nothing, and need no gradient."""
        return tape.new(tape.sized(self.infer()))

    @classmethod
    def examples(cls) -> Iterator[Example]:
        """Yield a map, tokens, a vector."""
        yield Example(cls(shape=(3, 8, 6)), ())
        yield Example(cls(shape=(4, 6)), ())
        yield Example(cls(shape=(6,)), ())


MAX_PAIRS = 2**22
"""The most pairs of places whose steps are numbered: those of a window of 45 x 45."""


class Weight(Source):
    """A tensor that stands for itself: a class token, a position embedding, a layer scale.

    Its key in the state_dict is its own path. `batch` stores a leading axis of one, as ViT's tokens have
    (Dosovitskiy et al., arXiv 2010.11929). It starts as zeros unless `init` says otherwise. `axes` is its order of
    axes, where that is another than c h w and n c: `[13, 13, 2], axes="hwc"`. With `learned=false` it is a buffer.
    """

    name: ClassVar[str] = "weight"
    elsewhere: ClassVar[Elsewhere] = Elsewhere(
        torch="nn.Parameter", keras="layers.Layer.add_weight", jax="nnx.Param"
    )
    batchless: ClassVar[bool] = True

    batch: bool = False
    axes: str | None = None
    learned: bool = True

    @property
    def start(self) -> Init:
        """How it starts; torch has no default for a bare tensor."""
        return self.inits.get("", Init("zeros"))

    @property
    def stored(self) -> tuple[int, ...]:
        """The tensor's shape."""
        return (1, *self.shape) if self.batch else tuple(self.shape)

    def infer(self, *x: Shape) -> Shape:
        """Return the shape, with its order of axes."""
        shape = super().infer()
        if self.axes is not None and sorted(self.axes) != sorted(shape.axes):
            raise OpError("axes", f"axes must be {', '.join(shape.axes)} in some order, got {self.axes!r}")
        kind = self.start.kind
        if kind in Init.FIXED and self.learned:
            raise OpError("", f"{kind} is how a tensor starts that is not learned", "learned=false")
        if kind == "relative_coords" and (len(shape) < 3 or shape[-1] != 2):
            raise OpError("shape", f"{kind} is of rows x columns x 2, got {shape}")
        self.check_needs()
        if kind == "relative_positions" and prod(shape) > MAX_PAIRS:
            raise OpError("init", f"{kind} is of at most {MAX_PAIRS:,} pairs of places, got {prod(shape):,}")
        return Shape(*shape, axes=self.axes or "")

    def needs(self, *x: Shape) -> Iterator[Need]:
        """Yield that it has a number."""
        yield from (Need("shape", "a size of a weight", size, ">=", 1) for size in self.shape)
        if self.start.kind == "relative_positions":
            rows, columns = (size for size in self.start.args if not isinstance(size, str))
            pairs = rows * columns * rows * columns
            yield Need("shape", "the numbers of relative_positions", prod(self.shape), "==", pairs)

    def weights(self, *x: Shape) -> Mapping[str, tuple[int, ...]]:
        """Return the tensor itself, called ""."""
        return {"": self.stored} if self.learned else {}

    def buffers(self, *x: Shape) -> Mapping[str, tuple[int, ...]]:
        """Return it as a buffer if it is not learned."""
        return {} if self.learned else {"": self.stored}

    def param_terms(self, *x: Shape) -> tuple[Term, ...]:
        """Return the elements along its axes, and the one of the batch."""
        batch = (("batch", 1),) if self.batch else ()
        return (Term((*batch, *sizes(self.infer()))),) if self.learned else ()

    def spare(self, *x: Shape) -> Mapping[str, Sequence[int]]:
        """Return the row of each pair of places: that of the step from the second to the first."""
        if self.start.kind != "relative_positions":
            return {}
        rows, columns = map(int, self.start.args)
        places = [(i, j) for i in range(rows) for j in range(columns)]
        steps = ((a - c + rows - 1, b - d + columns - 1) for a, b in places for c, d in places)
        return {"": [down * (2 * columns - 1) + across for down, across in steps]}

    def params(self, *x: Shape) -> Mapping[str, Parameter]:
        """Return the tensor with its initialiser."""
        return {k: Parameter(s, self.start) for k, s in self.weights(*x).items()}

    def saved(self, tape: Tape, *x: Tensor) -> Tensor:
        """Keep nothing: it is the module's."""
        return tape.parameters[0] if self.learned else tape.learned(self.stored, grad=False)

    @classmethod
    def examples(cls) -> Iterator[Example]:
        """Yield the ways to store it, and to start."""
        yield Example(cls(shape=(4, 1, 1), inits={"": Init("constant", (1e-6,))}), ())
        yield Example(cls(shape=(1, 6), batch=True), ())
        yield Example(cls(shape=(6,), inits={"": Init("ones")}), ())
        yield Example(cls(shape=(5, 6), batch=True, inits={"": Init("normal", (0.0, 0.02))}), ())
        yield Example(cls(shape=(5, 6), learned=False), ())
        positions = {"": Init("relative_positions", (2, 3))}
        yield Example(cls(shape=(36,), learned=False, inits=positions), ())
        coords = {"": Init("relative_coords")}
        yield Example(cls(shape=(5, 3, 2), axes="hwc", batch=True, learned=False, inits=coords), ())

"""Where values come from: the net's inputs and learned tensors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar

from netdsl.ir.types import Init, Parameter, Shape
from netdsl.ops.base import Example, Need, Op, OpError


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
    wiring: ClassVar[bool] = True

    @classmethod
    def examples(cls) -> Iterator[Example]:
        """Yield a map, tokens, a vector."""
        yield Example(cls(shape=(3, 8, 6)), ())
        yield Example(cls(shape=(4, 6)), ())
        yield Example(cls(shape=(6,)), ())


class Weight(Source):
    """A learned tensor that stands for itself: a class token, a position embedding, a layer scale.

    Its key in the state_dict is its own path. `batch` stores a leading axis of one, as ViT's tokens have
    (Dosovitskiy et al., arXiv 2010.11929). It starts as zeros unless `init` says otherwise.
    """

    name: ClassVar[str] = "weight"

    batch: bool = False

    def needs(self, *x: Shape) -> Iterator[Need]:
        """Yield that it has a number."""
        yield from (Need("shape", "a size of a weight", size, ">=", 1) for size in self.shape)

    def weights(self, *x: Shape) -> Mapping[str, tuple[int, ...]]:
        """Return the tensor itself, called ""."""
        return {"": (1, *self.shape) if self.batch else tuple(self.shape)}

    def params(self, *x: Shape) -> Mapping[str, Parameter]:
        """Return the tensor with its initialiser; torch has no default for a bare tensor."""
        return {k: Parameter(s, self.inits.get(k, Init("zeros"))) for k, s in self.weights(*x).items()}

    @classmethod
    def examples(cls) -> Iterator[Example]:
        """Yield both ways to store it, and each way to start."""
        yield Example(cls(shape=(4, 1, 1), inits={"": Init("constant", (1e-6,))}), ())
        yield Example(cls(shape=(1, 6), batch=True), ())
        yield Example(cls(shape=(6,), inits={"": Init("ones")}), ())
        yield Example(cls(shape=(5, 6), batch=True, inits={"": Init("normal", (0.0, 0.02))}), ())

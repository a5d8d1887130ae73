"""The activation snake, as an op of netdsl: what it is, what it costs, and what it is in PyTorch and in Flax."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar

from netdsl.emission.code import Arg, Call, Const, Context, Lowered
from netdsl.ir.tape import Tape, Tensor
from netdsl.ir.types import Init, Shape
from netdsl.ops import Example, OpError
from netdsl.ops.activation import Activation


class Snake(Activation):
    """Snake, for what repeats: x + sin(a x)^2 / a, with a learned a for each channel, 1 at the start.

    A map or a vector; shape unchanged. Weight alpha [c]. ops: 1 per element. Ziyin et al., arXiv 2006.08195.
    """

    name: ClassVar[str] = "snake"
    keeps_zero: ClassVar[bool] = True
    monotonic: ClassVar[bool] = True

    def infer(self, *x: Shape) -> Shape:
        """Return the input's shape."""
        if x[0].axes not in ("chw", "c"):
            raise OpError("", f"snake needs a map c x h x w or a vector, got {x[0].kind} {x[0]}")
        return x[0]

    def weights(self, *x: Shape) -> Mapping[str, tuple[int, ...]]:
        """Return alpha [c]."""
        return {"alpha": (x[0].c,)}

    def saved(self, tape: Tape, *x: Tensor) -> Tensor:
        """Keep what each step of the formula reads for its gradient: x, a x, its sine, and the square of that."""
        scaled = tape.pointwise(x[0], keep=x, learns=tape.parameters)
        sine = tape.pointwise(scaled, keep=(scaled,))
        square = tape.pointwise(sine, keep=(sine,))
        part = tape.pointwise(square, keep=(square,), learns=tape.parameters)
        return tape.pointwise(x[0], part)

    @classmethod
    def examples(cls) -> Iterator[Example]:
        """Yield a map and a vector."""
        yield Example(cls(), (Shape(4, 3, 5),))
        yield Example(cls(), (Shape(6),))


IN_TORCH = '''\
class Snake(nn.Module):
    """Snake: x + sin(a x)^2 / a, with a learned a for each channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        alpha = self.alpha.view(-1, *[1] * (x.dim() - 2))
        return x + torch.sin(alpha * x) ** 2 / alpha
'''

IN_FLAX = '''\
class Snake(nnx.Module):
    """Snake: x + sin(a x)^2 / a, with a learned a for each channel."""

    def __init__(
        self,
        channels: int,
        *,
        alpha_init: nnx.Initializer = nnx.initializers.ones,
        rngs: nnx.Rngs,
        **options: Unpack[LayerOptions],
    ) -> None:
        dtype = options.get("param_dtype", jnp.float32)
        self.alpha = nnx.Param(alpha_init(rngs.params(), (channels,), dtype))

    def __call__(self, x: Array) -> Array:
        alpha = self.alpha.astype(x.dtype)
        return x + jnp.sin(alpha * x) ** 2 / alpha
'''


def in_torch(op: Snake, context: Context) -> Lowered:
    """Return the module, and the class that it needs at the top of a file."""
    return Lowered(Call("Snake", (_channels(context),)), helpers={"Snake": IN_TORCH})


def in_flax(op: Snake, context: Context) -> Lowered:
    """Return the module, which takes random numbers and dtypes as all do; its weight lies there as in PyTorch."""
    from netdsl_flax.lowering import OPTIONS, initializer

    ones = Init("ones")
    start = Arg("alpha_init", initializer(op.inits.get("alpha", ones)), initializer(ones))
    return Lowered(Call("Snake", (_channels(context), start, *OPTIONS)), helpers={"Snake": IN_FLAX})


def _channels(context: Context) -> Arg:
    return Arg("channels", Const(context.inputs[0].c), keyword=False)

"""Activations: functions of one element, softmax, gates. Costs: 1 op per element. Any shape, unchanged but by glu."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from math import exp, inf, tanh
from typing import TYPE_CHECKING, ClassVar

from netdsl.cost.model import Term
from netdsl.ir.types import Shape
from netdsl.ops.axis import AlongAxis
from netdsl.ops.base import (
    EVERYWHERE,
    HERE,
    Elsewhere,
    Example,
    Field,
    Need,
    Op,
    OpError,
    check_finite,
    not_negative,
    positive,
    sizes,
)
from netdsl.symbolic import SymBool, select

if TYPE_CHECKING:
    from netdsl.ir.tape import Tape, Tensor

HUGE = 700.0
"""What exp is taken of at most: that of a larger number is no float."""


class Activation(Op):
    """What the activations share.

    `saves_output` holds if torch keeps the output for the backward pass in *either* form: leaky_relu keeps
    its input, but in place that is gone, and it keeps its output.
    """

    batchless: ClassVar[bool] = True
    follows: ClassVar[bool] = True
    channelwise: ClassVar[bool] = True
    fuses_into: ClassVar[bool] = True
    clips: ClassVar[bool] = False
    """Whether it hands on what lies within its bounds and cuts off the rest, where its slope is 0."""
    lies_as_input: ClassVar[bool] = False
    """Whether its gradient lies in memory as its input does; else it does as that of its output."""

    @property
    def tokenwise(self) -> bool:
        """A function of one element."""
        return True

    @property
    def monotonic(self) -> bool:
        """Whether it never falls, so that the largest input gives the largest output."""
        return False

    def infer(self, *x: Shape) -> Shape:
        """Check what its numbers must be; return the input's shape."""
        self.check_needs(*x)
        return x[0]

    def op_terms(self, *x: Shape) -> tuple[Term, ...]:
        """Return one per element."""
        return (Term(sizes(x[0])),)

    def saved(self, tape: Tape, *x: Tensor) -> Tensor:
        """Keep the input; in place it is gone, and the output is kept, or a copy of the input."""
        back = tape.spread_as_read if self.lies_as_input else tape.spread
        if not tape.writes:
            return tape.pointwise(x[0], keep=x, back=back)
        y = tape.overwritten(x[0], back=back)
        return tape.keep(y) if self.saves_output else tape.keep(y, tape.new(x[0].sizes))

    @classmethod
    def examples(cls) -> Iterator[Example]:
        """Yield a map, tokens, a vector."""
        yield Example(cls(), (Shape(3, 4, 5),))
        yield Example(cls(), (Shape(4, 5),))
        yield Example(cls(), (Shape(9),))


class Saturating(Activation):
    """One whose slope goes to 0 on both sides, as it comes near its bounds."""

    monotonic: ClassVar[bool] = True
    steepest: ClassVar[float] = 1.0
    """Its largest slope, or more."""

    @abstractmethod
    def value(self, x: float) -> float:
        """Return what it makes of one number."""


class Relu(Activation):
    """Rectified linear unit: max(x, 0). Nair and Hinton 2010."""

    name: ClassVar[str] = "relu"
    elsewhere: ClassVar[Elsewhere] = Elsewhere(
        torch="nn.ReLU, F.relu", keras="layers.ReLU, ops.relu", jax="nnx.relu"
    )
    counted: ClassVar[str] = "ReLU"
    monotonic: ClassVar[bool] = True
    clips: ClassVar[bool] = True
    keeps_zero: ClassVar[bool] = True
    bounds: ClassVar[tuple[float, float]] = (0, inf)
    saves_output: ClassVar[bool] = True
    inplace: ClassVar[bool] = True

    def saved(self, tape: Tape, *x: Tensor) -> Tensor:
        """Keep the output."""
        back = tape.spread_as_read
        return tape.keep(
            tape.overwritten(x[0], back=back) if tape.writes else tape.pointwise(x[0], back=back)
        )


class Relu6(Activation):
    """A relu that saturates: min(max(x, 0), 6). Howard et al., arXiv 1704.04861."""

    name: ClassVar[str] = "relu6"
    elsewhere: ClassVar[Elsewhere] = Elsewhere(torch="nn.ReLU6, F.relu6", keras="ops.relu6", jax="nnx.relu6")
    counted: ClassVar[str] = "ReLU6"
    monotonic: ClassVar[bool] = True
    clips: ClassVar[bool] = True
    keeps_zero: ClassVar[bool] = True
    bounds: ClassVar[tuple[float, float]] = (0, 6)
    inplace: ClassVar[bool] = True


class LeakyRelu(Activation):
    """A relu that leaks: max(x, 0) + slope * min(x, 0). Maas et al. 2013."""

    name: ClassVar[str] = "leaky_relu"
    elsewhere: ClassVar[Elsewhere] = Elsewhere(
        torch="nn.LeakyReLU, F.leaky_relu",
        keras="layers.LeakyReLU, ops.leaky_relu",
        jax="nnx.leaky_relu",
        calls={"LeakyReLU": "slope, _"},
    )
    counted: ClassVar[str] = "LeakyReLU"
    monotonic: ClassVar[bool] = True
    keeps_zero: ClassVar[bool] = True
    positional: ClassVar[tuple[str, ...]] = ("slope",)
    saves_output: ClassVar[bool] = True
    lies_as_input: ClassVar[bool] = True
    inplace: ClassVar[bool] = True

    slope: float = 0.01

    def needs(self, *x: Shape) -> Iterator[Need]:
        """Yield what its numbers must be."""
        return not_negative(self, "slope")

    @classmethod
    def examples(cls) -> Iterator[Example]:
        """Yield torch's slope and another."""
        yield from super().examples()
        yield Example(cls(slope=0.2), (Shape(3, 4, 5),))


class RRelu(Activation):
    """A relu that leaks at random: max(x, 0) + slope * min(x, 0), Xu et al., arXiv 1505.00853.

    In training each element draws its slope between `lower` and `upper`, so that the largest input may not give the
    largest output; in evaluation it is their mean.
    """

    name: ClassVar[str] = "rrelu"
    elsewhere: ClassVar[Elsewhere] = Elsewhere(torch="nn.RReLU, F.rrelu")
    draws: ClassVar[bool] = True
    module: ClassVar[bool] = True
    keeps_zero: ClassVar[bool] = True
    positional: ClassVar[tuple[str, ...]] = ("lower", "upper")

    lower: float = 1 / 8
    upper: float = 1 / 3

    def needs(self, *x: Shape) -> Iterator[Need]:
        """Yield what its numbers must be."""
        yield from not_negative(self, "lower")
        yield Need("upper", "upper", self.upper, ">=", self.lower)

    def saved(self, tape: Tape, *x: Tensor) -> Tensor:
        """Keep the input and each element's slope."""
        return tape.made(x[0].sizes, *x, keep=(x[0], tape.new(x[0].sizes)), back=tape.filled)

    @classmethod
    def examples(cls) -> Iterator[Example]:
        """Yield torch's bounds, others, and one slope for all."""
        yield from super().examples()
        yield Example(cls(lower=0.2, upper=0.5), (Shape(3, 4, 5),))
        yield Example(cls(lower=0.0, upper=0.0), (Shape(9),))


class Elu(Activation):
    """Exponential linear unit: x above 0, else alpha (exp(x) - 1). Clevert et al., arXiv 1511.07289."""

    name: ClassVar[str] = "elu"
    elsewhere: ClassVar[Elsewhere] = Elsewhere(
        torch="nn.ELU, F.elu",
        keras="layers.ELU, ops.elu",
        jax="nnx.elu",
        calls={"ELU": "alpha, _"},
    )
    counted: ClassVar[str] = "ELU"
    monotonic: ClassVar[bool] = True
    keeps_zero: ClassVar[bool] = True
    positional: ClassVar[tuple[str, ...]] = ("alpha",)
    saves_output: ClassVar[bool] = True
    inplace: ClassVar[bool] = True

    alpha: float = 1.0

    @property
    def bounds(self) -> tuple[float, float]:
        """From -alpha."""
        return -self.alpha, inf

    def needs(self, *x: Shape) -> Iterator[Need]:
        """Yield what its numbers must be."""
        return not_negative(self, "alpha")

    @classmethod
    def examples(cls) -> Iterator[Example]:
        """Yield torch's alpha and another."""
        yield from super().examples()
        yield Example(cls(alpha=0.3), (Shape(3, 4, 5),))


class Celu(Activation):
    """A smooth elu: x above 0, else alpha (exp(x / alpha) - 1). Barron, arXiv 1704.07483."""

    name: ClassVar[str] = "celu"
    elsewhere: ClassVar[Elsewhere] = Elsewhere(
        torch="nn.CELU, F.celu",
        keras="ops.celu",
        jax="nnx.celu",
        calls={"CELU": "alpha, _"},
    )
    monotonic: ClassVar[bool] = True
    keeps_zero: ClassVar[bool] = True
    positional: ClassVar[tuple[str, ...]] = ("alpha",)
    saves_output: ClassVar[bool] = True
    inplace: ClassVar[bool] = True

    alpha: float = 1.0

    @property
    def bounds(self) -> tuple[float, float]:
        """From -alpha."""
        return -self.alpha, inf

    def needs(self, *x: Shape) -> Iterator[Need]:
        """Yield what its numbers must be."""
        return positive(self, "alpha")

    @classmethod
    def examples(cls) -> Iterator[Example]:
        """Yield torch's alpha and another."""
        yield from super().examples()
        yield Example(cls(alpha=0.3), (Shape(3, 4, 5),))


class Selu(Activation):
    """An elu that keeps mean 0 and variance 1: s x above 0, else s a (exp(x) - 1).

    s = 1.0507009873554805, a = 1.6732632423543772. Klambauer et al., arXiv 1706.02515.
    """

    name: ClassVar[str] = "selu"
    elsewhere: ClassVar[Elsewhere] = Elsewhere(torch="nn.SELU, F.selu", keras="ops.selu", jax="nnx.selu")
    monotonic: ClassVar[bool] = True
    keeps_zero: ClassVar[bool] = True
    bounds: ClassVar[tuple[float, float]] = (-1.0507009873554805 * 1.6732632423543772, inf)
    saves_output: ClassVar[bool] = True
    inplace: ClassVar[bool] = True


class PRelu(Activation):
    """A relu that leaks by a learned slope: max(x, 0) + weight * min(x, 0). He et al., arXiv 1502.01852.

    Weight [1], or with shared=false [c], one a channel of a map or vector; it starts as 0.25.
    """

    batchless: ClassVar[bool] = False
    name: ClassVar[str] = "prelu"
    elsewhere: ClassVar[Elsewhere] = Elsewhere(
        torch="nn.PReLU, F.prelu", keras="layers.PReLU", jax="nnx.PReLU"
    )
    counted: ClassVar[str] = "PReLU"
    weight_axes: ClassVar[Mapping[str, tuple[str, ...]]] = {"weight": ("c",)}
    keeps_zero: ClassVar[bool] = True

    shared: bool = True

    def infer(self, *x: Shape) -> Shape:
        """Demand the channels first where each has a weight; return the input's shape."""
        if not self.shared and x[0].axes[0] != "c":
            message = f"prelu needs the channels first for shared=false, got {x[0].kind} {x[0]}"
            raise OpError("shared", message, "share the weight: prelu")
        return x[0]

    def weights(self, *x: Shape) -> Mapping[str, tuple[int, ...]]:
        """Return weight [1] or [c]."""
        shared: bool | SymBool = self.shared
        if isinstance(shared, SymBool):
            return {"weight": (select(shared, 1, x[0].c),)}
        return {"weight": (1 if shared else x[0].c,)}

    def saved(self, tape: Tape, *x: Tensor) -> Tensor:
        """Keep the input."""
        return tape.pointwise(x[0], keep=x, learns=tape.parameters, back=tape.spread_as_read)

    @classmethod
    def examples(cls) -> Iterator[Example]:
        """Yield one weight, and one a channel."""
        yield from super().examples()
        yield Example(cls(shared=False), (Shape(3, 4, 5),))
        yield Example(cls(shared=False), (Shape(9),))


class HardTanh(Activation):
    """What lies between two numbers: min(max(x, min), max). Torch's numbers are -1 and 1; relu6 is 0 and 6.

    Collobert 2004.
    """

    name: ClassVar[str] = "hardtanh"
    elsewhere: ClassVar[Elsewhere] = Elsewhere(
        torch="nn.Hardtanh, F.hardtanh", keras="ops.hard_tanh", jax="nnx.hard_tanh"
    )
    monotonic: ClassVar[bool] = True
    clips: ClassVar[bool] = True
    positional: ClassVar[tuple[str, ...]] = ("min", "max")
    inplace: ClassVar[bool] = True

    min: float = -1.0
    max: float = 1.0

    @property
    def keeps_zero(self) -> bool:
        """Where 0 lies between them."""
        return self.min <= 0 <= self.max

    @property
    def bounds(self) -> tuple[float, float]:
        """The two."""
        return self.min, self.max

    def infer(self, *x: Shape) -> Shape:
        """Check the numbers; return the input's shape."""
        check_finite(self, "min")
        self.check_needs(*x)
        return x[0]

    def needs(self, *x: Shape) -> Iterator[Need]:
        """Yield what its numbers must be."""
        yield Need("max", "max", self.max, ">", self.min)

    @classmethod
    def examples(cls) -> Iterator[Example]:
        """Yield torch's numbers and others."""
        yield from super().examples()
        yield Example(cls(min=0.5, max=2.0), (Shape(3, 4, 5),))
        yield Example(cls(min=-3.0), (Shape(3, 4, 5),))


class Threshold(Activation):
    """Another number for what is not above a threshold: x where x > threshold, else value.

    threshold 0, 0 is relu; with another threshold and 0 it is Konda et al., arXiv 1402.3337.
    """

    name: ClassVar[str] = "threshold"
    elsewhere: ClassVar[Elsewhere] = Elsewhere(
        torch="nn.Threshold, F.threshold", keras="ops.threshold", jax="jnp.where"
    )
    positional: ClassVar[tuple[str, ...]] = ("threshold", "value")
    lies_as_input: ClassVar[bool] = True
    inplace: ClassVar[bool] = True

    threshold: float
    value: float

    @property
    def monotonic(self) -> bool:
        """Unless the number is above the threshold, and those right behind it are less."""
        return self.value <= self.threshold

    @property
    def keeps_zero(self) -> bool:
        """Where 0 is above the threshold, or the number."""
        return self.threshold < 0 or self.value == 0

    @property
    def bounds(self) -> tuple[float, float]:
        """From the lower of the two."""
        return min(self.threshold, self.value), inf

    def infer(self, *x: Shape) -> Shape:
        """Check the numbers; return the input's shape."""
        check_finite(self, "threshold", "value")
        return x[0]

    @classmethod
    def examples(cls) -> Iterator[Example]:
        """Yield numbers above, below and at the threshold."""
        yield Example(cls(threshold=0.1, value=2.0), (Shape(3, 4, 5),))
        yield Example(cls(threshold=0.1, value=-2.0), (Shape(4, 5),))
        yield Example(cls(threshold=1.0, value=0.0), (Shape(9),))


class HSwish(Activation):
    """Hard swish: x relu6(x + 3) / 6. Howard et al., arXiv 1905.02244."""

    name: ClassVar[str] = "hswish"
    elsewhere: ClassVar[Elsewhere] = Elsewhere(
        torch="nn.Hardswish, F.hardswish",
        keras="ops.hard_silu, ops.hard_swish",
        jax="nnx.hard_silu, nnx.hard_swish",
    )
    keeps_zero: ClassVar[bool] = True
    inplace: ClassVar[bool] = True


class HSigmoid(Saturating):
    """Hard sigmoid: relu6(x + 3) / 6. Howard et al., arXiv 1905.02244."""

    name: ClassVar[str] = "hsigmoid"
    elsewhere: ClassVar[Elsewhere] = Elsewhere(
        torch="nn.Hardsigmoid, F.hardsigmoid", keras="ops.hard_sigmoid", jax="nnx.hard_sigmoid"
    )
    steepest: ClassVar[float] = 1 / 6
    bounds: ClassVar[tuple[float, float]] = (0, 1)
    inplace: ClassVar[bool] = True

    def value(self, x: float) -> float:
        """Return the formula's value."""
        return min(max(x + 3, 0), 6) / 6


class Sigmoid(Saturating):
    """Logistic function: 1 / (1 + exp(-x))."""

    name: ClassVar[str] = "sigmoid"
    elsewhere: ClassVar[Elsewhere] = Elsewhere(
        torch="nn.Sigmoid, torch.sigmoid", keras="ops.sigmoid", jax="nnx.sigmoid"
    )
    steepest: ClassVar[float] = 1 / 4
    bounds: ClassVar[tuple[float, float]] = (0, 1)
    saves_output: ClassVar[bool] = True

    def value(self, x: float) -> float:
        """Return the formula's value."""
        return 1 / (1 + exp(min(-x, HUGE)))

    def saved(self, tape: Tape, *x: Tensor) -> Tensor:
        """Keep the output."""
        return tape.keep(tape.pointwise(x[0]))


class Silu(Activation):
    """Sigmoid linear unit or swish: x sigmoid(x). Ramachandran et al., arXiv 1710.05941."""

    name: ClassVar[str] = "silu"
    elsewhere: ClassVar[Elsewhere] = Elsewhere(
        torch="nn.SiLU, F.silu", keras="ops.silu, ops.swish", jax="nnx.silu, nnx.swish"
    )
    counted: ClassVar[str] = "SiLU"
    keeps_zero: ClassVar[bool] = True
    inplace: ClassVar[bool] = True


class Gelu(Activation):
    """Gaussian error linear unit: x Phi(x), or with approximate="tanh" the paper's approximation.

    Phi(x) = (1 + erf(x/sqrt 2))/2 or (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))/2.
    Hendrycks and Gimpel, arXiv 1606.08415.
    """

    name: ClassVar[str] = "gelu"
    elsewhere: ClassVar[Elsewhere] = Elsewhere(torch="nn.GELU, F.gelu", keras="ops.gelu", jax="nnx.gelu")
    counted: ClassVar[str] = "GELU"
    keeps_zero: ClassVar[bool] = True
    texts: ClassVar[Mapping[str, tuple[str, ...]]] = {"approximate": ("none", "tanh")}

    approximate: str = "none"

    def infer(self, *x: Shape) -> Shape:
        """Check the approximation; return the input's shape."""
        self.check_texts()
        return x[0]

    @classmethod
    def examples(cls) -> Iterator[Example]:
        """Yield both approximations."""
        yield from super().examples()
        yield Example(cls(approximate="tanh"), (Shape(3, 4, 5),))


class Tanh(Saturating):
    """Hyperbolic tangent."""

    name: ClassVar[str] = "tanh"
    elsewhere: ClassVar[Elsewhere] = Elsewhere(
        torch="nn.Tanh, torch.tanh", keras="ops.tanh", jax="nnx.tanh, jnp.tanh"
    )
    keeps_zero: ClassVar[bool] = True
    bounds: ClassVar[tuple[float, float]] = (-1, 1)
    saves_output: ClassVar[bool] = True

    def value(self, x: float) -> float:
        """Return the formula's value."""
        return tanh(x)

    def saved(self, tape: Tape, *x: Tensor) -> Tensor:
        """Keep the output."""
        return tape.keep(tape.pointwise(x[0]))


class Exp(Activation):
    """The exponential function."""

    name: ClassVar[str] = "exp"
    elsewhere: ClassVar[Elsewhere] = Elsewhere(torch="torch.exp", keras="ops.exp", jax="jnp.exp")
    monotonic: ClassVar[bool] = True
    bounds: ClassVar[tuple[float, float]] = (0, inf)
    saves_output: ClassVar[bool] = True

    def saved(self, tape: Tape, *x: Tensor) -> Tensor:
        """Keep the output."""
        return tape.keep(tape.pointwise(x[0]))


class Mish(Activation):
    """A smooth gate: x tanh(log(1 + exp(x))). Misra, arXiv 1908.08681."""

    name: ClassVar[str] = "mish"
    elsewhere: ClassVar[Elsewhere] = Elsewhere(
        torch="nn.Mish, F.mish", keras="keras.activations.mish", jax="jax.nn.mish"
    )
    keeps_zero: ClassVar[bool] = True
    inplace: ClassVar[bool] = True


class Softplus(Activation):
    """A smooth relu: log(1 + exp(beta x)) / beta, and x itself where beta x is above `threshold`.

    Glorot et al. 2011; the threshold, which spares exp its overflow, is torch's.
    """

    name: ClassVar[str] = "softplus"
    elsewhere: ClassVar[Elsewhere] = Elsewhere(
        torch="nn.Softplus, F.softplus", keras="ops.softplus", jax="nnx.softplus"
    )
    positional: ClassVar[tuple[str, ...]] = ("beta",)

    beta: float = 1.0
    threshold: float = 20.0

    @property
    def monotonic(self) -> bool:
        """Where the step down to x is none in float32."""
        return self.threshold >= 20

    @property
    def keeps_zero(self) -> bool:
        """Where 0 is above the threshold."""
        return self.threshold < 0

    @property
    def bounds(self) -> tuple[float, float]:
        """From 0, or from where x itself begins."""
        return min(self.threshold / self.beta, 0.0), inf

    def infer(self, *x: Shape) -> Shape:
        """Check the numbers; return the input's shape."""
        self.check_needs(*x)
        check_finite(self, "threshold")
        return x[0]

    def needs(self, *x: Shape) -> Iterator[Need]:
        """Yield what its numbers must be."""
        return positive(self, "beta")

    @classmethod
    def examples(cls) -> Iterator[Example]:
        """Yield torch's numbers and others."""
        yield from super().examples()
        yield Example(cls(beta=2.0), (Shape(3, 4, 5),))
        yield Example(cls(beta=0.5, threshold=1.0), (Shape(3, 4, 5),))
        yield Example(cls(threshold=-1.0), (Shape(3, 4, 5),))


class Softsign(Saturating):
    """A slow tanh: x / (1 + |x|). Bergstra et al. 2009; Glorot and Bengio 2010."""

    name: ClassVar[str] = "softsign"
    elsewhere: ClassVar[Elsewhere] = Elsewhere(
        torch="nn.Softsign, F.softsign", keras="ops.softsign", jax="nnx.soft_sign"
    )
    keeps_zero: ClassVar[bool] = True
    bounds: ClassVar[tuple[float, float]] = (-1, 1)

    def value(self, x: float) -> float:
        """Return the formula's value."""
        return x / (1 + abs(x))

    def scratch(self, itemsize: int, *x: Shape) -> int:
        """Return the divisor."""
        return itemsize * x[0].elements

    def saved(self, tape: Tape, *x: Tensor) -> Tensor:
        """Keep the input and the divisor."""
        divisor = tape.pointwise(tape.pointwise(x[0], keep=x))  # 1 + |x|
        return tape.divided(x[0], divisor)


class LogSigmoid(Activation):
    """The logarithm of the logistic function: -log(1 + exp(-x))."""

    name: ClassVar[str] = "logsigmoid"
    elsewhere: ClassVar[Elsewhere] = Elsewhere(
        torch="nn.LogSigmoid, F.logsigmoid", keras="ops.log_sigmoid", jax="nnx.log_sigmoid"
    )
    monotonic: ClassVar[bool] = True
    bounds: ClassVar[tuple[float, float]] = (-inf, 0)

    def scratch(self, itemsize: int, *x: Shape) -> int:
        """Return the exp, which the CPU's kernel makes beside it."""
        return itemsize * x[0].elements

    def saved(self, tape: Tape, *x: Tensor) -> Tensor:
        """Keep the input, and the exp that the CPU's kernel makes."""
        return tape.made(x[0].sizes, *x, keep=(x[0], tape.new(x[0].sizes)), back=tape.spread)


class TanhShrink(Activation):
    """What tanh takes away: x - tanh(x)."""

    name: ClassVar[str] = "tanhshrink"
    elsewhere: ClassVar[Elsewhere] = Elsewhere(torch="nn.Tanhshrink, F.tanhshrink", keras="ops.tanh_shrink")
    monotonic: ClassVar[bool] = True
    keeps_zero: ClassVar[bool] = True

    def scratch(self, itemsize: int, *x: Shape) -> int:
        """Return the tanh."""
        return itemsize * x[0].elements

    def saved(self, tape: Tape, *x: Tensor) -> Tensor:
        """Keep the tanh."""
        return tape.subtracted(x[0], tape.keep(tape.pointwise(x[0])))


class HardShrink(Activation):
    """Hard thresholding: x where |x| > threshold, else 0. Donoho and Johnstone 1994."""

    name: ClassVar[str] = "hardshrink"
    elsewhere: ClassVar[Elsewhere] = Elsewhere(torch="nn.Hardshrink, F.hardshrink", keras="ops.hard_shrink")
    monotonic: ClassVar[bool] = True
    keeps_zero: ClassVar[bool] = True
    positional: ClassVar[tuple[str, ...]] = ("threshold",)

    threshold: float = 0.5

    def needs(self, *x: Shape) -> Iterator[Need]:
        """Yield what its numbers must be."""
        return not_negative(self, "threshold")

    @classmethod
    def examples(cls) -> Iterator[Example]:
        """Yield torch's threshold and another."""
        yield from super().examples()
        yield Example(cls(threshold=1.5), (Shape(3, 4, 5),))


class SoftShrink(Activation):
    """Soft thresholding: x nearer to 0 by the threshold, and 0 within it. Donoho 1995.

    x - threshold above it, x + threshold below -threshold, else 0.
    """

    name: ClassVar[str] = "softshrink"
    elsewhere: ClassVar[Elsewhere] = Elsewhere(torch="nn.Softshrink, F.softshrink", keras="ops.soft_shrink")
    monotonic: ClassVar[bool] = True
    keeps_zero: ClassVar[bool] = True
    positional: ClassVar[tuple[str, ...]] = ("threshold",)

    threshold: float = 0.5

    def needs(self, *x: Shape) -> Iterator[Need]:
        """Yield what its numbers must be."""
        return not_negative(self, "threshold")

    @classmethod
    def examples(cls) -> Iterator[Example]:
        """Yield torch's threshold and another."""
        yield from super().examples()
        yield Example(cls(threshold=1.5), (Shape(3, 4, 5),))


class OverAxis(AlongAxis, Activation):
    """What compares the elements along `axis`, the channels unless given."""

    channelwise: ClassVar[bool] = False
    fuses_into: ClassVar[bool] = False
    saves_output: ClassVar[bool] = True

    @property
    def tokenwise(self) -> bool:
        """Over the channels."""
        return self.axis == "c"

    def infer(self, *x: Shape) -> Shape:
        """Check the axis; return the input's shape."""
        self.check_axis(x[0])
        return x[0]

    def reach(self, *x: Shape) -> tuple[Field | None, ...]:
        """Return the place itself, and along the axis every other."""
        rows, columns = HERE
        if self.axis == "n":
            return (EVERYWHERE,)
        return (
            (EVERYWHERE[0] if self.axis == "h" else rows, EVERYWHERE[1] if self.axis == "w" else columns),
        )

    def saved(self, tape: Tape, *x: Tensor) -> Tensor:
        """Keep the output."""
        return tape.keep(tape.made(x[0].sizes, x[0], back=tape.filled))

    @classmethod
    def examples(cls) -> Iterator[Example]:
        """Yield the channels first, last, and alone; rows, columns, tokens."""
        yield from super().examples()
        yield Example(cls(), (Shape(4, 5, 3, axes="hwc"),))
        yield Example(cls(axis="h"), (Shape(3, 4, 5),))
        yield Example(cls(axis="w"), (Shape(3, 4, 5),))
        yield Example(cls(axis="n"), (Shape(4, 5),))


class Softmax(OverAxis):
    """Softmax over the channels: exp(x_c) / sum of exp(x) over c, at every place.

    `axis` is another axis: `softmax axis="h"` is over the rows of each column, `softmax axis="n"` over tokens.
    """

    name: ClassVar[str] = "softmax"
    elsewhere: ClassVar[Elsewhere] = Elsewhere(
        torch="nn.Softmax, F.softmax", keras="layers.Softmax, ops.softmax", jax="nnx.softmax"
    )
    counted: ClassVar[str] = "Softmax"
    bounds: ClassVar[tuple[float, float]] = (0, 1)


class LogSoftmax(OverAxis):
    """The logarithm of softmax: x_c - log of the sum of exp(x) over c, at every place; `axis` as softmax's."""

    name: ClassVar[str] = "log_softmax"
    elsewhere: ClassVar[Elsewhere] = Elsewhere(
        torch="nn.LogSoftmax, F.log_softmax", keras="ops.log_softmax", jax="nnx.log_softmax"
    )
    bounds: ClassVar[tuple[float, float]] = (-inf, 0)


class Glu(Op):
    """Gated linear unit: the first half of the channels times the sigmoid of the second. c to c/2, any shape.

    ops: 1 per element of the input. Dauphin et al., arXiv 1612.08083.
    """

    name: ClassVar[str] = "glu"
    elsewhere: ClassVar[Elsewhere] = Elsewhere(torch="nn.GLU, F.glu", keras="ops.glu", jax="nnx.glu")
    follows: ClassVar[bool] = True
    tokenwise: ClassVar[bool] = True
    keeps_zero: ClassVar[bool] = True

    def infer(self, *x: Shape) -> Shape:
        """Check that there are two halves; return the shape with half of the channels."""
        if x[0].c % 2:
            raise OpError("", f"glu needs an even number of channels, got {x[0].kind} {x[0]}")
        return x[0].with_size("c", x[0].c // 2)

    def op_terms(self, *x: Shape) -> tuple[Term, ...]:
        """Return one per element of the input."""
        return (Term(sizes(x[0])),)

    def saved(self, tape: Tape, *x: Tensor) -> Tensor:
        """Keep the input."""
        return tape.halved(x[0], x[0].dim("c") % len(x[0].sizes))

    @classmethod
    def examples(cls) -> Iterator[Example]:
        """Yield a map, tokens, a vector, the channels last."""
        yield Example(cls(), (Shape(4, 3, 5),))
        yield Example(cls(), (Shape(4, 6),))
        yield Example(cls(), (Shape(6),))
        yield Example(cls(), (Shape(3, 5, 6, axes="hwc"),))

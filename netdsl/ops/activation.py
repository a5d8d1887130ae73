"""Activations: functions of one element, and softmax. Costs: 1 op per element. Any shape, unchanged."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from math import exp, inf, tanh
from typing import ClassVar

from netdsl.ir.types import Shape
from netdsl.ops.base import Example, Op, OpError


class Activation(Op):
    """What the activations share.

    `saves_output` holds if torch keeps the output for the backward pass in *either* form: leaky_relu keeps
    its input, but in place that is gone, and it keeps its output.
    """

    follows: ClassVar[bool] = True
    channelwise: ClassVar[bool] = True
    tokenwise: ClassVar[bool] = True
    fuses_into: ClassVar[bool] = True
    monotonic: ClassVar[bool] = False
    """Whether it never falls, so that the largest input gives the largest output."""
    clips: ClassVar[bool] = False
    """Whether it hands on what lies within its bounds and cuts off the rest, where its slope is 0."""

    def infer(self, *x: Shape) -> Shape:
        """Return the input's shape."""
        return x[0]

    def ops(self, *x: Shape) -> int:
        """Return one per element."""
        return x[0].elements

    @classmethod
    def examples(cls) -> Iterator[Example]:
        """Yield a map, tokens, a vector."""
        yield Example(cls(), (Shape(3, 4, 5),))
        yield Example(cls(), (Shape(4, 5),))
        yield Example(cls(), (Shape(9),))


class Saturating(Activation):
    """One whose slope goes to 0 on both sides, as it comes near its bounds."""

    monotonic: ClassVar[bool] = True

    @abstractmethod
    def value(self, x: float) -> float:
        """Return what it makes of one number."""


class Relu(Activation):
    """Rectified linear unit: max(x, 0). Nair and Hinton 2010."""

    name: ClassVar[str] = "relu"
    monotonic: ClassVar[bool] = True
    clips: ClassVar[bool] = True
    keeps_zero: ClassVar[bool] = True
    bounds: ClassVar[tuple[float, float]] = (0, inf)
    saves_output: ClassVar[bool] = True
    inplace: ClassVar[bool] = True


class Relu6(Activation):
    """A relu that saturates: min(max(x, 0), 6). Howard et al., arXiv 1704.04861."""

    name: ClassVar[str] = "relu6"
    monotonic: ClassVar[bool] = True
    clips: ClassVar[bool] = True
    keeps_zero: ClassVar[bool] = True
    bounds: ClassVar[tuple[float, float]] = (0, 6)
    inplace: ClassVar[bool] = True


class LeakyRelu(Activation):
    """A relu that leaks: max(x, 0) + slope * min(x, 0). Maas et al. 2013."""

    name: ClassVar[str] = "leaky_relu"
    monotonic: ClassVar[bool] = True
    keeps_zero: ClassVar[bool] = True
    positional: ClassVar[tuple[str, ...]] = ("slope",)
    saves_output: ClassVar[bool] = True
    inplace: ClassVar[bool] = True

    slope: float = 0.01

    def infer(self, *x: Shape) -> Shape:
        """Check the slope; return the input's shape."""
        if not 0 <= self.slope < float("inf"):
            raise OpError("slope", f"slope must not be negative, got {self.slope}")
        return x[0]

    @classmethod
    def examples(cls) -> Iterator[Example]:
        """Yield torch's slope and another."""
        yield from super().examples()
        yield Example(cls(slope=0.2), (Shape(3, 4, 5),))


class HSwish(Activation):
    """Hard swish: x relu6(x + 3) / 6. Howard et al., arXiv 1905.02244."""

    name: ClassVar[str] = "hswish"
    keeps_zero: ClassVar[bool] = True
    inplace: ClassVar[bool] = True


class HSigmoid(Saturating):
    """Hard sigmoid: relu6(x + 3) / 6. Howard et al., arXiv 1905.02244."""

    name: ClassVar[str] = "hsigmoid"
    bounds: ClassVar[tuple[float, float]] = (0, 1)
    inplace: ClassVar[bool] = True

    def value(self, x: float) -> float:
        """Return the formula's value."""
        return min(max(x + 3, 0), 6) / 6


class Sigmoid(Saturating):
    """Logistic function: 1 / (1 + exp(-x))."""

    name: ClassVar[str] = "sigmoid"
    bounds: ClassVar[tuple[float, float]] = (0, 1)
    saves_output: ClassVar[bool] = True

    def value(self, x: float) -> float:
        """Return the formula's value."""
        return 1 / (1 + exp(-x))


class Silu(Activation):
    """Sigmoid linear unit or swish: x sigmoid(x). Ramachandran et al., arXiv 1710.05941."""

    name: ClassVar[str] = "silu"
    keeps_zero: ClassVar[bool] = True
    inplace: ClassVar[bool] = True


class Gelu(Activation):
    """Gaussian error linear unit: x Phi(x), or with approximate="tanh" the paper's approximation.

    Phi(x) = (1 + erf(x/sqrt 2))/2 or (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))/2.
    Hendrycks and Gimpel, arXiv 1606.08415.
    """

    name: ClassVar[str] = "gelu"
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
    keeps_zero: ClassVar[bool] = True
    bounds: ClassVar[tuple[float, float]] = (-1, 1)
    saves_output: ClassVar[bool] = True

    def value(self, x: float) -> float:
        """Return the formula's value."""
        return tanh(x)


class Softmax(Activation):
    """Softmax over the channels: exp(x_c) / sum of exp(x) over c, at every place."""

    name: ClassVar[str] = "softmax"
    channelwise: ClassVar[bool] = False
    fuses_into: ClassVar[bool] = False
    bounds: ClassVar[tuple[float, float]] = (0, 1)
    saves_output: ClassVar[bool] = True

    @classmethod
    def examples(cls) -> Iterator[Example]:
        """Yield the channels first, last, and alone."""
        yield from super().examples()
        yield Example(cls(), (Shape(4, 5, 3, axes="hwc"),))

"""The values that ops and facts are made of: shapes, padding, initialisers, parameters."""

from __future__ import annotations

from collections.abc import Iterable
from math import prod
from typing import ClassVar, Literal, Self

from netdsl.record import Record

DTYPES = {"float64": 8, "float32": 4, "bfloat16": 2, "float16": 2, "int8": 1}
"""Bytes of one element."""

MAX_ELEMENTS = 2**40
"""The largest tensor that a spec may describe; four tebibytes in float32."""

MAX_NODES = 50_000
"""The most ops of a net, unless an option says otherwise: what a slow machine takes seconds for."""

_AXES = {1: "c", 2: "nc", 3: "chw"}


class Truth:
    """What stands for true or false and remembers how it was found: nothing can be a bool's subclass."""

    __slots__ = ()


class Shape(tuple[int, ...]):
    """The shape of one sample, without the batch: a map c x h x w, tokens n x c, a vector c, or windows b x n x c.

    `axes` names the axes in order, one letter each. Only `permute` makes an order other than these four.
    """

    axes: str

    def __new__(cls, *sizes: int, axes: str = "") -> Shape:
        """Make a shape from its sizes; the axes follow from their number."""
        shape = super().__new__(cls, sizes)
        shape.axes = axes or _AXES[len(sizes)]
        return shape

    def __str__(self) -> str:
        return "x".join(map(str, self))

    def __repr__(self) -> str:
        order = "" if self.axes == _AXES.get(len(self)) else f", axes={self.axes!r}"
        return f"Shape({', '.join(map(str, self))}{order})"

    def axis(self, name: str) -> int:
        """Return the position of the axis called `name`; a ValueError if there is none."""
        return self.axes.index(name)

    def size(self, name: str) -> int:
        """Return the size along the axis called `name`."""
        return self[self.axis(name)]

    def with_size(self, name: str, size: int) -> Shape:
        """Return the shape with another size along one axis."""
        at = self.axis(name)
        return Shape(*self[:at], size, *self[at + 1 :], axes=self.axes)

    @property
    def c(self) -> int:
        """Channels."""
        return self[self.axes.index("c")]

    @property
    def h(self) -> int:
        """Height of a map."""
        return self[self.axes.index("h")]

    @property
    def w(self) -> int:
        """Width of a map."""
        return self[self.axes.index("w")]

    @property
    def n(self) -> int:
        """Number of tokens."""
        return self[self.axes.index("n")]

    @property
    def extent(self) -> tuple[int, ...]:
        """All sizes but the channels."""
        return tuple([size for axis, size in zip(self.axes, self, strict=True) if axis != "c"])

    @property
    def elements(self) -> int:
        """How many numbers one sample holds."""
        return prod(self)

    @property
    def kind(self) -> str:
        """What to call it in a message."""
        return {"c": "a vector", "nc": "tokens", "chw": "a map", "bnc": "windows"}.get(
            self.axes, "a permuted map"
        )


class Dims(tuple[int, ...]):
    """A literal such as `3x3` or `224x224`."""

    def __new__(cls, sizes: Iterable[int]) -> Self:
        """Make it from its sizes, in the order of the text."""
        return super().__new__(cls, sizes)

    def __str__(self) -> str:
        return "x".join(map(str, self))


class Pad(Record):
    """Padding: `same` (half of what the kernel covers), `tf` (TensorFlow's), or explicit rows and columns."""

    mode: Literal["same", "tf", "explicit"]
    size: Dims | tuple[int, int] = (0, 0)

    def __str__(self) -> str:
        if self.mode != "explicit":
            return self.mode
        return str(self.size[0]) if self.size[0] == self.size[1] else f"{self.size[0]}x{self.size[1]}"


class Scheduled(float):
    """A number of a depth schedule: start + (stop - start) * index / steps."""

    start: float
    stop: float
    index: int
    steps: int

    def __new__(cls, start: float, stop: float, index: int, steps: int) -> Scheduled:
        """`steps` is not 0."""
        number = super().__new__(cls, start + (stop - start) * index / steps)
        number.start, number.stop, number.index, number.steps = start, stop, index, steps
        return number


class Init(Record):
    """An initialiser and its numbers; `default` is PyTorch's own for that layer."""

    kind: str
    args: tuple[float | str, ...] = ()

    KINDS: ClassVar[dict[str, tuple[tuple[str, float | str | None], ...]]] = {
        "zeros": (),
        "ones": (),
        "constant": (("value", None),),
        "normal": (("mean", 0.0), ("std", 1.0)),
        "uniform": (("low", 0.0), ("high", 1.0)),
        "trunc_normal": (("std", 1.0),),
        "kaiming_normal": (("mode", "fan_in"), ("gain", "relu")),
        "kaiming_uniform": (("mode", "fan_in"), ("gain", "relu")),
        "xavier_normal": (("gain", 1.0),),
        "xavier_uniform": (("gain", 1.0),),
        "fan_uniform": (("mode", "fan_in"),),
        "relative_coords": (),
        "relative_positions": (("rows", None), ("columns", None)),
    }
    """Name to (argument, default) in order.

    kaiming_* take the gain of an activation, trunc_normal cuts at two units, fan_uniform is within 1 / sqrt(fan).
    relative_coords is of rows x columns x 2: how far a place lies below and to the right of the middle one, from -8
    to 8 and on a logarithmic scale, sign(d) log2(|d| + 1) / 3. Liu et al., arXiv 2111.09883. relative_positions is
    of a number for each pair of places of a window: the row of the step from the second to the first.
    """
    FIXED: ClassVar[frozenset[str]] = frozenset({"relative_coords", "relative_positions"})
    """Those of tensors that are not learned: their numbers follow from the shape and the arguments."""
    GAINS: ClassVar[dict[str, tuple[int, int]]] = {
        "relu": (2, 1),
        "identity": (1, 1),
        "sigmoid": (1, 1),
        "tanh": (25, 9),
        "selu": (9, 16),
        "leaky_relu": (2, 1),
    }
    """By activation, the square of the gain, as numerator and denominator: those of torch's `calculate_gain`.

    That of leaky_relu is of slope 0: the square of its slope is added to the denominator.
    """

    @classmethod
    def gain(cls, activation: str, slope: float = 0) -> tuple[float, float]:
        """Return the square of an activation's gain, as numerator and denominator."""
        above, below = cls.GAINS[activation]
        return above, below + slope * slope

    @property
    def roles(self) -> tuple[str, ...]:
        """What its numbers are called: as in `KINDS`, and behind the gain of leaky_relu its slope."""
        return (*(name for name, _ in self.KINDS[self.kind]), "slope")[: len(self.args)]

    def __str__(self) -> str:
        return f"{self.kind}({', '.join(map(str, self.args))})" if self.args else self.kind


DEFAULT_INIT = Init("default")


class Parameter(Record):
    """A learned tensor: its shape, which is torch's, and how it starts."""

    shape: tuple[int, ...]
    init: Init = DEFAULT_INIT
    dtype: str = "float32"

    @property
    def elements(self) -> int:
        """How many numbers it holds."""
        return prod(self.shape)

"""What an op is. Knowledge lives on the op: its arguments, shapes, parameters, costs and examples."""

from __future__ import annotations

from abc import ABCMeta, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from math import gcd, inf, isfinite
from typing import TYPE_CHECKING, Any, ClassVar, dataclass_transform

from netdsl.cost.model import Cost, Term
from netdsl.ir.types import DEFAULT_INIT, Init, Parameter, Shape
from netdsl.record import Record
from netdsl.symbolic import compare

if TYPE_CHECKING:
    from numpy import ndarray

    from netdsl.ir.tape import Back, Tape, Tensor

    Array = ndarray[Any, Any]


class OpError(Exception):
    """An op cannot be applied. `field` is the argument to blame, or "" for the inputs.

    The caller adds the span.
    """

    def __init__(self, field: str, message: str, help: str = "") -> None:
        """`message` names the numbers; `help` says what to write instead."""
        super().__init__(message)
        self.field = field
        self.message = message
        self.help = help


class Need(Record):
    """What must hold of two numbers, arguments and channels of them: `left operator right`."""

    field: str
    what: str
    """What the left one is."""
    left: float
    operator: str
    right: float
    help: str = ""

    WORDS: ClassVar[Mapping[str, str]] = {
        "==": "",
        ">=": "at least ",
        "<=": "at most ",
        "<": "less than ",
        ">": "more than ",
    }
    """How a message says the operator."""

    @property
    def rule(self) -> str:
        """What a message says of the left number before the right one."""
        return f"{self.what} must be {self.WORDS[self.operator]}"


class Example(Record):
    """A use of an op for conformance tests and the catalogue: the op and the shapes of its inputs."""

    op: Op
    inputs: tuple[Shape, ...]


class Elsewhere(Record):
    """What other frameworks call an op, as one writes it there, separated by commas; "" where they have no name.

    `nn.` and `F.` are torch.nn and its functions, `layers.` and `ops.` Keras 3's, `nnx.` Flax's, `jnp.` jax.numpy.
    """

    torch: str = ""
    keras: str = ""
    jax: str = ""
    calls: Mapping[str, str] = {}
    """By name there what it takes without names, as fields here: `_` for what follows here, or has no meaning.

    What is left out there is as here, or what stands behind `=`.
    """

    def names(self) -> list[str]:
        """Return the last parts of all of them that are names: Conv2d and conv2d, Conv2D, Conv."""
        texts = f"{self.torch}, {self.keras}, {self.jax}".split(", ")
        return [text.rpartition(".")[2] for text in texts if text.replace(".", "_").isidentifier()]


class Reach(Record):
    """What one place of an output sees of an input along one axis.

    The input's places lie `up` apart; from `stride` x place - `pad` on, `kernel` positions `dilation` apart are
    looked at, and the input's places among them are seen. `up` is 1 but for what makes maps larger: a transposed
    convolution is a window over an input with gaps. A stride of 0 sees the same from every place, a kernel of 0
    every place there is.
    """

    kernel: int = 1
    stride: int = 1
    pad: int = 0
    dilation: int = 1
    up: int = 1

    @property
    def span(self) -> int:
        """How far the last place that is seen lies behind the first, at most: d (k - 1) where `up` is 1."""
        if self.up == 1:
            return self.dilation * (self.kernel - 1)
        common = gcd(self.dilation, self.up)
        late = self.pad % gcd(self.stride, self.up)  # the first position that can be a place of the input
        return max(self.kernel - 1 - late, 0) // (self.up // common) * (self.dilation // common)


Field = tuple[Reach, Reach]
"""The same along rows and columns."""
HERE: Field = (Reach(), Reach())
"""The same place."""
EVERYWHERE: Field = (Reach(kernel=0, stride=0),) * 2
"""Every place there is."""


class Kind(ABCMeta):
    """The type of ops: abstract classes, but an op is of those that it is derived from, and of no others.

    `isinstance` is asked of every op many times, and is twice as fast without a registry to look into.
    """

    __instancecheck__ = type.__instancecheck__
    __subclasscheck__ = type.__subclasscheck__


@dataclass_transform(frozen_default=True, kw_only_default=True)
class Op(Record, metaclass=Kind):
    """A primitive operation. Its fields are the arguments of the spec, with their types as annotations.

    Field types: int, float, bool, str, Dims, Pad, `Dims | int` (a size that may be given once for both axes),
    `tuple[int, ...]` (all remaining positional ints; beside other types, a list of them) and `... | None`.
    Stateless unless `weights` says otherwise.
    """

    name: ClassVar[str] = ""
    elsewhere: ClassVar[Elsewhere] = Elsewhere()
    """What other frameworks call it."""
    positional: ClassVar[tuple[str, ...]] = ()
    """Fields that arguments without a name fill: each the first free one, in this order, that takes it."""
    arity: ClassVar[tuple[int, int | None]] = (1, 1)
    """Least and largest number of inputs."""
    references: ClassVar[tuple[str, ...]] = ()
    """Further inputs, given by name as arguments: `crop like=up1`."""
    inherits: ClassVar[str] = ""
    """Another op whose `default` and `init` lines hold for this one too."""
    fuses: ClassVar[bool] = False
    """Whether it takes `norm=` and `act=`, which become ops of their own after it."""
    wiring: ClassVar[bool] = False
    """Whether it only moves values about: it is no module, and takes no position in its scope."""
    module: ClassVar[bool] = False
    """Whether emitted code always makes it a module, though it has no state (dropout draws numbers)."""
    sequential: ClassVar[bool] = True
    """Whether its module is called with what flows alone, in all frameworks, so that it may be in a Sequential."""
    computes: ClassVar[bool] = True
    """Whether its output is new values; views, flatten, split and identity are not."""
    follows: ClassVar[bool] = False
    """Whether it is read as part of the layer before it, as norms and activations are."""
    saves_output: ClassVar[bool] = False
    """Whether autograd keeps its output for the backward pass, so that nobody may overwrite it."""
    settled: ClassVar[tuple[str, ...]] = ()
    """Fields that decide what is emitted, so that a class is made for each of their values."""
    texts: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    """By field that is a text, what it may be."""
    tracks: ClassVar[bool] = False
    """Whether each run in training moves what it holds beside its weights: running statistics."""
    inplace: ClassVar[bool] = False
    """Whether it can write its output over its first input."""
    aliases: ClassVar[bool] = False
    """Whether its output may share the storage of its first input, in training or in evaluation."""

    batchless: ClassVar[bool] = False
    """Whether it is a learned tensor, which has no axis for samples, or makes of such alone what has none."""
    several: ClassVar[bool] = False
    """Whether it makes as many values as its arguments say, and not one."""
    passes_values: ClassVar[bool] = False
    """Whether it hands every number on as it is, in evaluation; the shape may be another."""
    channelwise: ClassVar[bool] = False
    """Whether it has one input, and a channel of its output reads one of its channels, averages of norms aside."""
    linear: ClassVar[bool] = False
    """Whether what it makes is linear in its inputs but for a constant, in evaluation."""
    enlarges: ClassVar[bool] = False
    """Whether it is there to make maps larger."""
    product: ClassVar[bool] = False
    """Whether it is a product of its inputs: zeros where one of them is, whose gradient is of the others."""
    folds: ClassVar[bool] = False
    """Whether it joins any number of values one after the other: a backend may write an operator between them."""
    fuses_into: ClassVar[bool] = False
    """Whether inference engines run it as part of the step before it."""

    counted: ClassVar[str] = ""
    """The layer of torch.nn that it is for other counters, with `F.` before it if it is a function; "" for none."""
    weight_axes: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    """By learned tensor what its axes are, as formulas call them; those of others are numbered."""

    inits: Mapping[str, Init] = {}
    """How its parameters start, by their name; what is not named starts as in PyTorch."""

    @property
    def tokenwise(self) -> bool:
        """Whether it makes each token of the same token."""
        return False

    @property
    def keeps_zero(self) -> bool:
        """Whether it makes zeros of zeros."""
        return False

    @property
    def bounds(self) -> tuple[float, float]:
        """Between which numbers all lies that it makes, whatever it reads."""
        return -inf, inf

    @property
    def draws(self) -> bool:
        """Whether it draws random numbers in training."""
        return False

    @property
    def selects(self) -> bool:
        """Whether each number that it makes is one of its first input's, in evaluation."""
        return self.passes_values

    def idle(self, *x: Shape) -> str:
        """Return why it hands on its first input as it is, training included: "its scale is 1"; "" if it may not."""
        return ""

    def plain(self, *x: Shape) -> Op | None:
        """Return what does the same with other numbers as its weights, which it multiplies by as they are.

        That is itself for the language's convolutions and `fc`, a `conv` for one that works its weights out first,
        and None where there is no such op, or a class derived from one of these does not say.
        """
        return None

    def scaled(self, weight: Array, scale: Array) -> Array:
        """Return the weight with which it makes each channel `scale` times as large, but for its bias."""
        return weight * scale.reshape(-1, *[1] * (weight.ndim - 1))

    def share(self, devices: int, own: Sequence[bool], *x: Shape) -> Op | None:
        """Return what it is on one of some devices, each of which makes its share of the channels of the output.

        Shares are blocks of as many neighbouring channels. `own` tells for each input whether the device has its
        share of that, or all channels. None if that does not do. A norm over several channels has to say so.
        """
        return self if self.channelwise and all(own) else None

    @abstractmethod
    def infer(self, *x: Shape) -> Shape | tuple[Shape, ...]:
        """Return the shape of the output (a tuple of shapes if there are several); raise OpError."""

    def needs(self, *x: Shape) -> Iterator[Need]:
        """Yield what must hold of arguments and channels that frameworks do not ask; of sizes says `infer` alone."""
        yield from ()

    def check_needs(self, *x: Shape) -> None:
        """Raise OpError where one of its needs does not hold."""
        for need in self.needs(*x):
            if not (isfinite(need.left) and compare(need.operator, need.left, need.right)):
                raise OpError(need.field, f"{need.rule}{need.right}, got {need.left}", need.help)

    def further(self, *x: Shape) -> dict[str, int]:
        """Return at which input each of its references is that is given."""
        most = self.arity[1]
        plain = len(x) if most is None else min(len(x), most - len(self.references))
        return dict(zip(self.references, range(plain, len(x)), strict=False))

    def weights(self, *x: Shape) -> Mapping[str, tuple[int, ...]]:
        """Return the shapes of the learned tensors, in torch's order and layout."""
        return {}

    def buffers(self, *x: Shape) -> Mapping[str, tuple[int, ...]]:
        """Return the shapes of the tensors that are kept but not learned, as torch keeps them."""
        return {}

    def constants(self, *x: Shape) -> Mapping[str, tuple[int, ...]]:
        """Return the shapes of the tensors that a module holds beside these, and that its state lacks."""
        return {}

    def spare(self, *x: Shape) -> Mapping[str, Sequence[int]]:
        """Return, in order, the numbers of buffers that a state may lack: counters at first, fixed tables."""
        return {}

    def mac_terms(self, *x: Shape) -> tuple[Term, ...]:
        """Return the products whose sum the multiply-accumulates are."""
        return ()

    def macs(self, *x: Shape) -> int:
        """Return multiply-accumulates for one sample."""
        return sum([term.value for term in self.mac_terms(*x)])

    def macs_inside(self, *x: Shape) -> int:
        """Return the multiply-accumulates with values of the map, not with its padding: what XLA counts."""
        return self.macs(*x)

    def backward_macs(self, wanted: Sequence[bool], *x: Shape) -> int:
        """Return the multiply-accumulates of the backward pass for one sample.

        `wanted` tells for each input whether its gradient is needed; that of the op's own weights always is. The
        gradient of either factor of a product is a product of the same size.
        """
        return self.macs(*x) * (sum(wanted) + bool(self.weights(*x)))

    def runs_as(self, *x: Shape) -> str:
        """Return the kind of kernel that runs it: among those of a kind, time follows operations and bytes."""
        return self.name

    def op_terms(self, *x: Shape) -> tuple[Term, ...]:
        """Return the products whose sum `ops` is."""
        return ()

    def ops(self, *x: Shape) -> int:
        """Return what else is computed for one sample; see netdsl.cost.model."""
        return sum([term.value for term in self.op_terms(*x)])

    def param_terms(self, *x: Shape) -> tuple[Term, ...]:
        """Return a product for each learned tensor: the elements along its axes."""
        terms = []
        for key, sizes in self.weights(*x).items():
            axes = self.weight_axes.get(key) or tuple(f"d{at}" for at in range(len(sizes)))
            terms.append(Term(tuple(zip(axes, sizes, strict=True)), key))
        return tuple(terms)

    def activation_terms(self, *x: Shape) -> tuple[Term, ...]:
        """Return a product for each output that is new values: its elements."""
        return tuple([Term(sizes(s)) for s in self.outputs(*x)]) if self.computes else ()

    def overwrites(self, *x: Shape) -> bool:
        """Tell whether its first input has the output's shape, so that it can be written over, at any size."""
        return self.inplace

    def scratch(self, itemsize: int, *x: Shape) -> int:
        """Return the bytes of the tensors that PyTorch makes beside the output and drops at once, for one sample.

        `itemsize` is that of an element. What a kernel takes within itself is not known: attention's products, a
        convolution's workspace, a copy of what does not lie in order.
        """
        return 0

    def saved(self, tape: Tape, *x: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Run as emitted PyTorch does in training, and tell the tape what autograd keeps for backward.

        Returns:
            The outputs, as views of what they look at.

        Raises:
            OpError: The op does not say.
        """
        raise OpError("", f"{self.name} does not say what it keeps for backward", "give the op `saved`")

    def fresh(
        self,
        tape: Tape,
        *x: Tensor,
        keep: Sequence[Tensor] = (),
        extra: Sequence[int] = (),
        learns: Sequence[Tensor] = (),
        of: Sequence[Tensor] = (),
        back: Back | None = None,
    ) -> Tensor:
        """Return its output as a new tensor; see `Tape.made`. `of` are its inputs, where `x` is made of them."""
        (shape,) = self.outputs(*[value.sample for value in of or x])
        sizes = tape.sized(shape)
        strides = tape.strides_of(x[0], sizes)
        return tape.made(sizes, *x, keep=keep, extra=extra, learns=learns, strides=strides, back=back)

    def reach(self, *x: Shape) -> tuple[Field | None, ...]:
        """Return what a place sees of each input; None: none of its values.

        Channels are not followed. The places of tokens are those of the map that they come from; a vector is one.
        """
        return (HERE,) * len(x)

    @classmethod
    @abstractmethod
    def examples(cls) -> Iterator[Example]:
        """Yield small uses that cover the op's arguments."""

    def params(self, *x: Shape) -> Mapping[str, Parameter]:
        """Return the learned tensors with their initialisers."""
        return {k: Parameter(s, self.inits.get(k, DEFAULT_INIT)) for k, s in self.weights(*x).items()}

    def outputs(self, *x: Shape) -> tuple[Shape, ...]:
        """Return the shapes of the outputs, always as a tuple."""
        shape = self.infer(*x)
        return (shape,) if isinstance(shape, Shape) else shape

    def size_steps(self, *x: Shape) -> tuple[str, ...]:
        """Return how a window makes height and width of the output, with the numbers; nothing if there is none."""
        return ()

    def counted_as(self, *x: Shape) -> str:
        """Return what it is for other counters; see `counted`, and netdsl.report.peers."""
        return self.counted

    def formula(self, count: str, *x: Shape) -> tuple[Term, ...]:
        """Return the products whose sum a count of `cost` is: params, macs, ops or activations."""
        return {
            "params": self.param_terms,
            "macs": self.mac_terms,
            "ops": self.op_terms,
            "activations": self.activation_terms,
        }[count](*x)

    def cost(self, *x: Shape) -> Cost:
        """Return the cost for one sample, with activations in elements."""
        return Cost(
            params=sum(p.elements for p in self.params(*x).values()),
            buffers=sum(Parameter(s).elements for s in self.buffers(*x).values()),
            macs=self.macs(*x),
            ops=self.ops(*x),
            activations=sum(s.elements for s in self.outputs(*x)) if self.computes else 0,
        )

    def check_texts(self) -> None:
        """Raise OpError where a text is none of those that its field may be."""
        for field, known in self.texts.items():
            if getattr(self, field) not in known:
                either = " or ".join(f'"{text}"' for text in known)
                raise OpError(field, f"{field} must be {either}, got {getattr(self, field)!r}")

    def arguments(self) -> dict[str, Any]:
        """Return the spec's arguments by name, `inits` left out."""
        return {k: v for k, v in self.__dict__.items() if k != "inits"}


def sizes(x: Shape, behind: str = "") -> tuple[tuple[str, int], ...]:
    """Return the sizes of a shape by their axes, as factors: c, h, w, or c_out, h_out, w_out."""
    return tuple(zip([f"{axis}{behind}" for axis in x.axes], x, strict=True))


def check_finite(op: Op, *fields: str) -> None:
    """Reject numbers that are none."""
    for field in fields:
        if not isfinite(getattr(op, field)):
            raise OpError(field, f"{field} must be finite, got {getattr(op, field)}")


def positive(op: Op, *fields: str) -> Iterator[Need]:
    """Yield that numbers must be more than 0."""
    yield from (Need(field, field, getattr(op, field), ">", 0) for field in fields)


def not_negative(op: Op, *fields: str) -> Iterator[Need]:
    """Yield that numbers must be from 0."""
    yield from (Need(field, field, getattr(op, field), ">=", 0) for field in fields)

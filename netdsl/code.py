"""Pieces of emitted code, before they are text: what a backend lowers ops to, and emitters factor and print.

Nothing from a spec is in it but checked identifiers, numbers and strings that are printed with `repr`.
"""

from __future__ import annotations

from netdsl.ir.types import Shape
from netdsl.record import Record

Scalar = int | float | bool | str | None
Constant = Scalar | tuple[int, ...]


class Expr(Record):
    """An expression of emitted code."""


class Const(Expr):
    """A constant. `source` names the argument of the net that it follows, if any."""

    value: Constant
    source: str = ""


class Input(Expr):
    """The op's i-th input."""

    index: int = 0


class Self(Expr):
    """The module or parameter that the op's constructor made."""


class Param(Expr):
    """A learned tensor of the module by its path, such as `weight`, or `1.weight` in a Sequential."""

    path: str


class Comment(Expr):
    """A comment line among arguments."""

    text: str


class Name(Expr):
    """A name as it stands, such as `torch.float32` or a constructor's argument."""

    text: str


class Arg(Record):
    """An argument of a call. It is left out where it equals `default`; None: never."""

    role: str
    """The parameter's name in the called function; also what a constructor's argument is called after it."""
    value: Expr
    default: Expr | None = None
    keyword: bool = True
    """Whether it is written `role=value`."""


class Call(Expr):
    """`func(args)`, or `receiver.func(args)`. `func` is a dotted name, or the module itself."""

    func: str | Self
    args: tuple[Arg, ...] = ()
    receiver: Expr | None = None


class Binary(Expr):
    """`left operator right`, for + and *."""

    operator: str
    left: Expr
    right: Expr


class Item(Expr):
    """`value[index]`, where the index is text such as `0` or `:, 0`."""

    value: Expr
    index: str


class Sequence(Expr):
    """`[a, b]` or `(a, b)`."""

    items: tuple[Expr, ...]
    brackets: str = "[]"


class Lowered(Record):
    """What an op is in a framework.

    `module` constructs the module or parameter; it is None for an op that is only a function. `function` is the
    expression over `Input` and `Self` that applies it; None means that the module is called with the inputs.
    An op with both, whose function does not mention `Self`, may be written either way. In place, `add` and `mul`
    are methods of their first input, `add_` and `mul_`, which are printed `+=` and `*=` where they are a statement.
    """

    module: Expr | None = None
    function: Expr | None = None


class Context(Record):
    """What a lowering may know besides the op."""

    inputs: tuple[Shape, ...]
    outputs: tuple[Shape, ...]
    inplace: bool = False
    """Whether the op may overwrite its first input."""
    batched: tuple[bool, ...] = (True,)
    """Whether each input has a batch axis; a learned tensor that stands for itself has none."""

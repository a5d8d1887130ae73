"""Pieces of emitted code, before they are text: what a backend lowers ops to, and emitters factor and print.

Nothing from a spec is in it but checked identifiers, numbers and strings that are printed with `repr`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from netdsl.ir.types import Shape
from netdsl.record import Record
from netdsl.symbolic import SymBool


class Word(str):
    """A class or function that stands among the constants, so that it may become an argument."""

    annotation: str

    def __new__(cls, text: str, annotation: str) -> Word:
        """`annotation` is the type of such an argument."""
        word = super().__new__(cls, text)
        word.annotation = annotation
        return word


Scalar = int | float | bool | str | SymBool | None
Constant = Scalar | tuple[int, ...] | tuple[tuple[int, int], ...]


class Expr(Record):
    """An expression of emitted code."""


class Const(Expr):
    """A constant."""

    value: Constant


class Input(Expr):
    """The op's i-th input."""

    index: int = 0


class Self(Expr):
    """The module or parameter that the op's constructor made."""


class Param(Expr):
    """A learned tensor of the module by its path, such as `weight`, or `1.weight` in a Sequential."""

    path: str


class Name(Expr):
    """A name as it stands, such as `torch.float32` or a constructor's argument."""

    text: str


class Comment(Expr):
    """A comment line among arguments."""

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
    """`func(args)`, or `receiver.func(args)`. `func` is a dotted name, the module itself, or a `Word`."""

    func: str | Self | Const | Name
    args: tuple[Arg, ...] = ()
    receiver: Expr | None = None


class Binary(Expr):
    """`left operator right`: arithmetic, a comparison, `and`, `or`."""

    operator: str
    left: Expr
    right: Expr


class Item(Expr):
    """`value[index]`, where the index is text such as `0` or `..., None`, or expressions with commas between."""

    value: Expr
    index: str | tuple[Expr, ...]


class Listed(Expr):
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
    helpers: Mapping[str, str] = MappingProxyType({})
    """By name, the sources of classes and functions that it needs at the top of the file, and the backend has not."""
    layout: Mapping[str, tuple[str, tuple[int, ...] | None]] = MappingProxyType({})
    """By name of a weight or buffer of the op, its name in the framework, and the order of its axes, if another."""


class Context(Record):
    """What a lowering may know besides the op."""

    inputs: tuple[Shape, ...]
    outputs: tuple[Shape, ...]
    inplace: bool = False
    """Whether the op may overwrite its first input."""
    batched: tuple[bool, ...] = (True,)
    """Whether each input has a batch axis; a learned tensor that stands for itself has none."""


def children(expr: Expr) -> tuple[Expr, ...]:
    """Return the expressions directly in an expression, in order."""
    if isinstance(expr, Call):
        own = (expr.receiver,) if expr.receiver is not None else ()
        called = (expr.func,) if isinstance(expr.func, Const) else ()
        return (*called, *own, *(arg.value for arg in expr.args))
    if isinstance(expr, Binary):
        return expr.left, expr.right
    if isinstance(expr, Item):
        return (expr.value, *(() if isinstance(expr.index, str) else expr.index))
    if isinstance(expr, Listed):
        return expr.items
    return ()


def rebuild(expr: Expr, parts: Sequence[Expr]) -> Expr:
    """Return the expression with other children."""
    if isinstance(expr, Call):
        rest = list(parts)
        if isinstance(expr.func, Const):
            called = rest.pop(0)
            assert isinstance(called, (Const, Name))
            expr = expr.replace(func=called)
        receiver = rest.pop(0) if expr.receiver is not None else None
        args = tuple(arg.replace(value=value) for arg, value in zip(expr.args, rest, strict=True))
        return expr.replace(receiver=receiver, args=args)
    if isinstance(expr, Binary):
        return expr.replace(left=parts[0], right=parts[1])
    if isinstance(expr, Item):
        return expr.replace(value=parts[0], index=tuple(parts[1:]) or expr.index)
    if isinstance(expr, Listed):
        return expr.replace(items=tuple(parts))
    return expr


def transform(expr: Expr, change: Callable[[Expr], Expr | None]) -> Expr:
    """Return the expression with sub-expressions replaced, outermost first, wherever `change` returns one."""
    changed = change(expr)
    if changed is not None:
        return changed
    parts = children(expr)
    return rebuild(expr, [transform(part, change) for part in parts]) if parts else expr


def reads(expr: Expr | None) -> int:
    """Return how often an expression reads its op's inputs; a module reads each once."""
    if expr is None or isinstance(expr, Input):
        return 1
    return sum(reads(part) for part in children(expr))


def mentions_self(expr: Expr | None) -> bool:
    """Tell whether an expression speaks of its own module."""
    if expr is None:
        return False
    if isinstance(expr, Self) or (isinstance(expr, Call) and isinstance(expr.func, Self)):
        return True
    return any(mentions_self(part) for part in children(expr))

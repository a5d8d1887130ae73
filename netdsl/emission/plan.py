"""What factoring works on, and what it results in: steps, bodies, classes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from netdsl.emission.code import (
    Const,
    Constant,
    Expr,
    Word,
    skeleton,
)
from netdsl.ir.graph import Scope
from netdsl.record import Record


class Ref(NamedTuple):
    """A value in a body: output `port` of step `step`, or input `port` of the class where `step` is -1."""

    step: int
    port: int = 0


class Step(Record):
    """One call in a body: a layer, a function, or a child module."""

    key: tuple[str, str]
    """("m", attribute) of a module, ("f", op) of a function: what alignment goes by."""
    attribute: str
    """The child's name in the class, or "" for a function."""
    module: Expr | None
    """What constructs the child."""
    function: Expr | None
    """What applies it, over `Input` and `Self`; None: the module is called."""
    inputs: tuple[Ref, ...]
    outputs: int
    inits: tuple[Expr, ...] = ()
    """Statements that initialise its parameters, over `Self`."""
    train: bool = False
    allocates: bool = True
    """Whether it makes new memory: views and what works in place do not."""
    follows: bool = False
    """Whether it is written on the line of the layer before it."""
    labels: tuple[str, ...] = ()
    """What the spec calls its values; "" where it does not."""
    optional: bool = False
    """Whether some instances lack it."""
    condition: Expr | None = None
    """For what some instances lack, where it is no argument: when it is there."""
    flag: str = ""
    """The attribute that says whether it is there; "": it is a module that may be None."""
    otherwise: Ref | None = None
    """What is read in its place by the instances that lack it."""
    argument: bool = False
    """Whether its module is an argument of the class."""
    chain: bool = False
    """Whether its module is a Sequential of which some instances lack elements."""
    stage: str = ""
    """The comment of the stage that begins here."""
    place: int = 0
    """Where its module is registered, if that is another order than that of the steps."""

    @property
    def may_lack(self) -> bool:
        """Whether instances may lack it: a module of one value, an element of a Sequential, or a joint of two."""
        if self.key[0] == "s":
            return True
        if self.key[0] == "m":
            return len(self.inputs) == 1 and self.outputs == 1 and self.function is None
        return self.key[1] in ("add", "mul") and len(self.inputs) == 2


class Chain(Expr):
    """A Sequential of which some elements are there under a condition only."""

    items: tuple[Expr, ...]
    conditions: tuple[Expr | None, ...]


class Argument(Record):
    """A constructor argument of a class."""

    name: str
    values: tuple[Const, ...]
    """Its value in each instance; empty for a module argument."""
    default: Const | None = None
    optional: bool = False
    """For a module argument: whether it may be None."""

    @property
    def type(self) -> str:
        """The annotation of a constant."""
        kinds = {_type(c.value) for c in self.values}
        if kinds == {"int", "float"}:
            return "float"
        return " | ".join(sorted(kinds, key=lambda kind: (len(kind), kind)))


def _type(value: Constant) -> str:
    if isinstance(value, tuple):
        return f"tuple[{', '.join(map(_type, value))}]"
    if isinstance(value, Word):
        return value.annotation
    if isinstance(value, float):  # of a schedule too
        return "float"
    return type(value).__name__


class Body(Record):
    """One instance of a class before factoring."""

    scope: Scope
    steps: tuple[Step, ...]
    outputs: tuple[Ref, ...]

    @property
    def signature(self) -> object:
        """What two instances share that differ in constants only."""

        def of(step: Step) -> object:
            exprs = tuple(map(skeleton, (step.module, step.function, *step.inits)))
            return step.key, step.inputs, step.outputs, step.train, exprs

        return tuple(map(of, self.steps)), self.outputs, len(self.scope.inputs)


class ClassPlan(Record):
    """A class to emit."""

    name: str
    scope: Scope
    """The first instance."""
    arguments: tuple[Argument, ...]
    steps: tuple[Step, ...]
    inputs: tuple[str, ...]
    outputs: tuple[Ref, ...]
    sequential: bool
    """Whether it is one chain of unlabelled modules."""
    stored: Mapping[str, str] = {}
    """Arguments that `forward` needs, and the attributes that hold them."""
    flags: tuple[tuple[str, Expr], ...] = ()
    """Attributes that say whether an instance has what only some have, and their values."""
    instances: int = 1


class Plan(Record):
    """All classes of a net, inner ones first; the last is the net's."""

    classes: tuple[ClassPlan, ...]
    calls: Mapping[str, Expr]
    """By path: what constructs the module there, as its parent calls it."""

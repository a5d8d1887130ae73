"""The words of a framework, where a module's text has one form in all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from netdsl.emission.code import Arg, Call, Expr
from netdsl.record import Record


class Dialect(Record):
    """What a framework calls what every emitted module has."""

    array: str
    """The type of a value: `Tensor`."""
    layer: str
    """The type of a module that is given as an argument: `nn.Module`."""
    learned: str
    """The type of a tensor that is learned: `nn.Parameter`."""
    module: str
    """The base class of modules: `nn.Module`."""
    call: str
    """The function that applies a module: `forward`."""
    training: str
    """What is true in training: `self.training`."""
    sequential: str
    """The class of a chain of modules: `nn.Sequential`."""
    named: tuple[str, ...]
    """The calls around the (name, module) pairs of a chain with labels, outermost first."""
    identity: Expr
    """A module that returns its input."""
    nothing: str
    """A child that is not there, where it may be assigned later."""
    typed: frozenset[str]
    """Functions whose result a type checker knows to be an array."""
    register: Callable[[Expr, Expr], Expr]
    """The statement that gives a child, a module or a learned tensor, a name that is not known."""
    lists: Mapping[str, str]
    """By how a list holds its children, the class that does, or the function that looks one up by its path."""
    multiply: str = ""
    """The function that multiplies two arrays: `torch.mul`."""
    compiled: str = ""
    """What is true where a net with outputs in training returns its record always."""
    final: str = ""
    """The type of an attribute that says for good whether a child is there, if a compiler asks for one."""
    last: bool = False
    """Whether channels are the last axis."""
    remat: str = ""
    """The decorator of what is computed again for gradients, if that is one."""
    names: frozenset[str] = frozenset()
    """Functions at the top of the file, which no local variable may hide."""
    stacked: str = ""
    """The class of equal blocks with stacked weights, if they are to be stacked."""
    initialised: bool = True
    """Whether the base class needs its own `__init__` called."""
    parameters: tuple[str, ...] = ()
    """The last parameters of every constructor."""
    arithmetic: bool = False
    """Whether a type checker knows what an operator makes of an array."""
    conditional: bool = False
    """Whether a child that may not be there is one conditional expression, on however many lines."""
    several: str = ""
    """The type of a child that takes or returns several values, by what it returns, if it is not a layer's."""
    chain_of: Callable[[Expr], Expr] = lambda layers: Call(
        "nn.Sequential", (Arg("layers", layers, keyword=False),)
    )
    """A chain of the layers in a mapping."""
    labels: bool = True
    """Whether a label of its own makes any op a module."""
    mapping: str = "OrderedDict[str, nn.Module]"
    """The type of a list of named layers."""
    empty: str = "OrderedDict()"
    """One that is still empty."""
    table: str = ""
    """The class of a mapping of modules, if there is one."""
    of_any: str = ""
    """What says of such a class that its children are of any kind."""
    options: tuple[Arg, ...] = ()
    """The last arguments of every constructor's call: those parameters, passed on."""

    def axis(self, axes: str, axis: str) -> int:
        """Return where an axis of a batch is."""
        return 1 + (axes.replace("c", "") + "c" if self.last else axes).index(axis)

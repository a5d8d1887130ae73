"""A model that exists as a spec: read by a front end, written, and proved to be the model.

Front ends are distributions of their own (entry point `netdsl.frontends`); no framework is imported here.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from netdsl.collector import no_collection
from netdsl.diagnostics import Diagnostic, NetError
from netdsl.ir.graph import Graph
from netdsl.ir.verify import GraphError
from netdsl.network import Network
from netdsl.ops import points
from netdsl.record import Record
from netdsl.syntax.layout import LIMIT

GROUP = "netdsl.frontends"
Inputs = Mapping[str, Sequence[int]] | Sequence[int] | None


class Check(Record):
    """Something in which a lifted net was held against its model, and what was found."""

    what: str
    said: str
    ok: bool

    def __str__(self) -> str:
        return f"{self.what}: {self.said}"


class Lifted(Record):
    """A net that was lifted, and the proof that it is the model."""

    net: Network
    model: Any
    checks: tuple[Check, ...]
    given: Graph
    """The graph of the model, whose scopes hold what constructors were given."""

    @property
    def text(self) -> str:
        """The spec, with a comment on the names in it that the model does not have."""
        text = self.net.recipe.net.file.source.text
        names = ", ".join(f"{name} of {block}" for block, name in self.named)
        lines = textwrap.wrap(f"Names that the model does not have: {names}", LIMIT - 2) if names else []
        return "".join(f"# {line}\n" for line in lines) + "\n" * bool(lines) + text

    @property
    def named(self) -> tuple[tuple[str, str], ...]:
        """The arguments that have no name in the model: those of blocks whose constructors were given no such one."""
        known = {scope.path: scope.args for scope in self.given.tree.scopes()}
        found: dict[tuple[str, str], None] = {}
        for scope in self.net.graph.tree.scopes():
            if scope.kind == "block":
                own = known.get(scope.path, {})
                found.update({(scope.block, name): None for name in scope.args if name not in own})
        return tuple(found)

    @property
    def weights(self) -> Mapping[str, Any]:
        """The model's weights, by the net's keys."""
        held: Mapping[str, Any] = self.model.state_dict()
        return held


class Read(Protocol):
    """A model that a front end has read."""

    name: str
    """What a net of it can be called."""
    graph: Graph
    model: Any
    """The framework's own object."""

    def prove(self, net: Network) -> tuple[Check, ...]:
        """Hold a net against the model: keys in order, outputs in evaluation and in training, MACs."""


class FrontEnd(Protocol):
    """What reads models of one framework."""

    def takes(self, source: object) -> bool:
        """Tell whether a source is one of its models, or names one; imports no framework."""

    def read(self, source: Any, inputs: Mapping[str, tuple[int, ...]], args: Mapping[str, Any]) -> Read:
        """Return a model as a graph.

        Args:
            source: A model, a function that makes one, or a text that names one.
            inputs: Shapes of a sample by the name of an argument, "" for the only one; empty for a usual one.
            args: What the function is given by name.

        Raises:
            NetError: There is no such model, or it has calls that no op says: all of them.
        """


def find(source: object) -> FrontEnd:
    """Return the front end for a model or for what names one; NetError where none takes it."""
    for name in points(GROUP):
        front: FrontEnd = points(GROUP)[name].load()()
        if front.takes(source):
            return front
    what = source if isinstance(source, str) else type(source).__name__
    installed = ", ".join(points(GROUP)) or "none"
    help = f"front ends are installed for {installed}"
    raise NetError([Diagnostic("E580", f"nothing lifts {what}", help=help)])


@no_collection()
def lift(source: Any, inputs: Inputs = None, **args: Any) -> Lifted:
    """Return a spec of a model that exists, proved to be that model.

    A text such as `torchvision:resnet50` or `my_models:Net` names a function, which runs, with all of its code. The
    net is built, given the model's weights, and compared: keys in their order, outputs in evaluation and in training
    from one seed, running statistics, and MACs.

    Args:
        source: A model, a function that makes one, or a text that names one.
        inputs: Shapes of a sample, channels first and without the batch: of the only input, or by the name that
            `forward` gives it. Without them, what the library says, or a usual one on which the model runs.
        **args: What the function is given.

    Raises:
        NetError: There is no such model; it has calls that no op says, all of which are listed; or what was lifted
            is not the model.
    """
    named = inputs if isinstance(inputs, Mapping) else {} if inputs is None else {"": inputs}
    shapes = {name: tuple(shape) for name, shape in named.items()}
    read = find(source).read(source, shapes, args)
    proofs: dict[str, tuple[Check, ...]] = {}

    def prove(net: Network) -> tuple[Check, ...]:
        text = net.recipe.net.file.source.text
        if text not in proofs:
            proofs[text] = read.prove(net)
        return proofs[text]

    checks: tuple[Check, ...] = ()
    meta = _origin(source, args)
    for structured in (True, False):  # where a text with parameters is another net, each number is as it is
        try:
            net = Network.from_graph(read.graph, read.name, structured, False, meta, prove, True)
            checks = prove(net)
        except GraphError as error:
            raise NetError([Diagnostic("E581", f"no spec makes {read.name}: {error}")]) from None
        except NetError as error:  # of a text that nobody has, as where a module is called `flow`
            if not all(one.code[:2] in ("E1", "E2", "E3") for one in error.diagnostics):
                raise
            why = [f"no spec makes {read.name}: {one.message}" for one in error.diagnostics]
            raise NetError([Diagnostic("E581", one) for one in dict.fromkeys(why)]) from None
        if all(check.ok for check in checks):
            return Lifted(net, read.model, checks, read.graph)
    wrong = [check for check in checks if not check.ok]
    raise NetError([Diagnostic("E582", f"what was lifted is not {read.name}: {check}") for check in wrong])


def _origin(source: object, args: Mapping[str, object]) -> dict[str, str]:
    """Return what a spec says of the function that makes its model, if one was named: a file without its folder."""
    place, colon, function = source.rpartition(":") if isinstance(source, str) else ("", "", "")
    given = ", ".join(f"{name}={value!r}" for name, value in args.items())
    said = {"source": f"{Path(place).name}:{function}" if colon else "", "args": given if colon else ""}
    return {key: text for key, text in said.items() if text and text.isprintable() and '"' not in text}

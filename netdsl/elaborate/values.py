"""What expressions of a spec evaluate to, and where names are looked up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from netdsl.diagnostics import Diagnostic, Frame, Label, did_you_mean
from netdsl.ir.types import Dims, Init, Pad, Shape
from netdsl.ops import Op
from netdsl.record import Record
from netdsl.source import Source, Span
from netdsl.syntax import tree


class SpecError(Exception):
    """One error of a statement; whoever runs the body records it and goes on."""

    def __init__(self, diagnostic: Diagnostic) -> None:
        """Carry the diagnostic."""
        super().__init__(diagnostic.message)
        self.diagnostic = diagnostic


class Poisoned(Exception):
    """A statement reads a value that an error above left unknown; nothing new is to be said."""


class Wire(NamedTuple):
    """One output of a draft node, before nodes have names."""

    draft: int
    port: int = 0


class Data(Record):
    """A value that flows: one tensor, or a tuple of several. `poisoned` after an error."""

    wires: tuple[Wire, ...]
    shapes: tuple[Shape, ...]
    poisoned: bool = False


POISON = Data((), (), True)


class OpValue(Record):
    """An op or block as a value, with the arguments that it was given so far."""

    target: type[Op] | BlockDecl
    args: Mapping[str, Given]

    @property
    def name(self) -> str:
        """What the spec calls it."""
        return self.target.name

    def __str__(self) -> str:
        inner = ", ".join(f"{k}={show(g.value)}" for k, g in self.args.items())
        return f"{self.name}({inner})" if inner else self.name


class Given(NamedTuple):
    """A value given for an argument, and the text that gave it."""

    value: Any
    span: Span | None
    node: tree.Tree | None = None


class TableValue(Record):
    """The paper's table."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]


class RowValue(Record):
    """One row of a table, with its columns as attributes."""

    columns: tuple[str, ...]
    cells: tuple[Any, ...]


class Ramp(Record):
    """The k-th evaluation of a depth schedule; a number only when the whole net is known."""

    key: int
    index: int
    start: float
    stop: float
    endpoint: bool


class Choice(Record):
    """A decision that is still to be named by the variable or argument it is for."""

    node: tree.Choice
    options: tuple[Any, ...]
    span: Span


class Function(Record):
    """A `def`, or a function of the language."""

    name: str
    params: tuple[str, ...]
    value: tree.Expr | None = None
    env: Env | None = None
    source: Source | None = None


class InitFunction(Record):
    """The name of an initialiser: `kaiming_normal(fan_out)`."""

    kind: str


class Env:
    """Names of one scope, inside another."""

    __slots__ = ("names", "parent")

    def __init__(self, parent: Env | None = None) -> None:
        """Start empty."""
        self.parent = parent
        self.names: dict[str, Any] = {}

    def find(self, name: str) -> Any:
        """Return a name's value from here outwards, or MISSING."""
        env: Env | None = self
        while env is not None:
            if name in env.names:
                return env.names[name]
            env = env.parent
        return MISSING

    def known(self) -> list[str]:
        """Return every name that can be seen from here."""
        env: Env | None = self
        names: dict[str, None] = {}
        while env is not None:
            names.update(dict.fromkeys(env.names))
            env = env.parent
        return list(names)


MISSING = object()

Arguments = Mapping[str, Given]


class Lexical(NamedTuple):
    """What `default` and `init` lines say at a place, by op."""

    defaults: Mapping[str, Arguments]
    inits: Mapping[str, Mapping[str, Init]]


class BlockDecl:
    """A block, with what was in force where it is written."""

    def __init__(self, node: tree.Block, file: FileScope, lexical: Lexical) -> None:
        """Close over the file."""
        self.node = node
        self.name = node.name.text
        self.file = file
        self.lexical = lexical


class NetDecl:
    """A net, with what was in force where it is written."""

    def __init__(self, node: tree.Net, file: FileScope, lexical: Lexical) -> None:
        """Close over the file."""
        self.node = node
        self.name = node.name.text
        self.file = file
        self.lexical = lexical


class VariantDecl:
    """A named instance of a net."""

    def __init__(self, node: tree.Variant, net: NetDecl, file: FileScope, lexical: Lexical) -> None:
        """Close over the file."""
        self.node = node
        self.name = node.name.text
        self.net = net
        self.file = file
        self.lexical = lexical


class FileScope:
    """A file whose declarations have been read."""

    def __init__(self, source: Source) -> None:
        """Start empty."""
        self.source = source
        self.env = Env()
        self.inits: dict[str, dict[str, Init]] = {}
        self.nets: dict[str, NetDecl] = {}
        self.variants: dict[str, VariantDecl] = {}
        self.allows: list[tree.Annotated] = []


def show(value: Any) -> str:
    """Return a value as a spec writes it."""
    if value is None or isinstance(value, bool):
        return {None: "none", True: "true", False: "false"}[value]
    if isinstance(value, tuple) and not isinstance(value, Dims):
        return f"[{', '.join(map(show, value))}]"
    if isinstance(value, Data):
        return " and ".join(map(str, value.shapes)) or "?"
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, TableValue):
        return f"a table of {len(value.rows)} rows"
    if isinstance(value, RowValue):
        return f"a row ({', '.join(map(show, value.cells))})"
    if isinstance(value, Ramp):
        return "a ramp"
    if isinstance(value, Function):
        return f"the function {value.name}"
    if isinstance(value, InitFunction):
        return f"the initialiser {value.kind}"
    return str(value)


def kind_of(value: Any) -> str:
    """Return what to call a value's type in a message."""
    for cls, name in (
        (bool, "true or false"),
        (int, "an int"),
        (float, "a float"),
        (str, "a string"),
        (Dims, "dimensions"),
        (Pad, "a padding"),
        (Init, "an initialiser"),
        (InitFunction, "an initialiser"),
        (OpValue, "an op"),
        (TableValue, "a table"),
        (RowValue, "a row"),
        (tuple, "a list"),
        (Data, "a tensor"),
        (Ramp, "a ramp"),
        (Function, "a function"),
    ):
        if isinstance(value, cls):
            return name
    return "none"


def fail(
    code: str,
    message: str,
    span: Span | None,
    help: str = "",
    note: str = "",
    labels: tuple[Label, ...] = (),
    calls: tuple[Frame, ...] = (),
) -> SpecError:
    """Return an error to raise."""
    return SpecError(Diagnostic(code, message, span, note, labels=labels, calls=calls, help=help))


def unknown(code: str, what: str, word: str, known: list[str], span: Span, help: str = "") -> SpecError:
    """Return the error for a name that nobody knows, with what may have been meant."""
    return fail(code, f"unknown {what} `{word}`", span, did_you_mean(word, known) or help)

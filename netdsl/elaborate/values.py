"""What expressions of a spec evaluate to, and where names are looked up."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from typing import Any, NamedTuple

from netdsl.diagnostics import Diagnostic, Frame, Label, did_you_mean
from netdsl.elaborate.shared import Shared
from netdsl.ir.types import Dims, Init, Pad, Shape
from netdsl.ops import Op, OpError, catalogue, find
from netdsl.record import Record
from netdsl.source import Source, Span
from netdsl.syntax import tree
from netdsl.syntax.tokens import MAX_DEPTH


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

    def __init__(self, wires: tuple[Wire, ...], shapes: tuple[Shape, ...], poisoned: bool = False) -> None:
        """Take the fields, faster than any record does: each op makes one."""
        fields = self.__dict__
        fields["wires"], fields["shapes"], fields["poisoned"] = wires, shapes, poisoned


POISON = Data((), (), True)


class OpValue(Record):
    """An op or block as a value, with the arguments that it was given so far."""

    target: type[Op] | BlockDecl
    args: Mapping[str, Given]

    @property
    def name(self) -> str:
        """What the spec calls it."""
        return self.target.name

    @property
    def complete(self) -> bool:
        """Whether it is an op that takes one value, and no further arguments."""
        target = self.target
        if isinstance(target, BlockDecl) or target.arity[0] != 1 or target.references:
            return False
        return all(name in self.args or name in target._defaults for name in target._fields)

    def __str__(self) -> str:
        return show(self)

    def __hash__(self) -> int:
        return hash((self.target, *self.args))


class ArgumentOp(OpValue):
    """An op that a parameter of a block or net stands for, equal to the op itself."""

    parameter: tuple[Declared, str]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, OpValue) and (self.target, self.args) == (other.target, other.args)

    __hash__ = OpValue.__hash__


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
    """A depth schedule, or the k-th number of one, which is known only when the whole net is."""

    key: int
    index: int | None
    """Which number it is, that of the k-th layer or block that is given the schedule; None: the schedule."""
    start: float
    stop: float
    endpoint: bool


class Choice(Record):
    """A decision that is still to be named by the variable or argument it is for."""

    node: tree.Choice
    options: tuple[Any, ...]
    span: Span


class Answer(Record):
    """What the text of a variant decides: an option of a decision, as it is written."""

    node: tree.Decision
    file: FileScope

    @property
    def span(self) -> Span:
        """The decision with its option."""
        return Span(self.file.source, self.node.start, self.node.end)

    @property
    def name(self) -> Span:
        """The decision's name."""
        return Span(self.file.source, self.node.name.start, self.node.name.end)

    @property
    def option(self) -> Span:
        """The option."""
        return Span(self.file.source, self.node.value.start, self.node.value.end)

    @property
    def text(self) -> str:
        """The option's text, without quotes."""
        value = self.node.value
        return value.text if isinstance(value, tree.String) else self.option.text


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
    """Names of one scope, inside another. Values that flow have their own namespace: a label hides no op."""

    __slots__ = ("names", "parent", "partial", "tensors", "unlabelled")

    def __init__(self, parent: Env | None = None) -> None:
        """Start empty."""
        self.parent = parent
        self.names: dict[str, Any] = {}
        self.tensors: dict[str, Data] = {}
        self.partial: bool = parent is not None and parent.partial
        """Whether an error left unknown which names there are."""
        self.unlabelled: bool = parent is not None and parent.unlabelled
        """Whether an error left unknown which values that flow have labels."""

    def find_name(self, name: str) -> Any:
        """Return what a name stands for, from here outwards, or MISSING; no value that flows."""
        env: Env | None = self
        while env is not None:
            if name in env.names:
                return env.names[name]
            env = env.parent
        return MISSING

    def find_tensor(self, name: str) -> Data | None:
        """Return the value that flows of a name, from here outwards."""
        env: Env | None = self
        while env is not None:
            if name in env.tensors:
                return env.tensors[name]
            env = env.parent
        return None

    def find(self, name: str) -> Any:
        """Return what a name stands for, or the value that flows of that name, or MISSING."""
        value = self.find_name(name)
        return value if value is not MISSING else self.find_tensor(name) or MISSING

    def lose(self, lines: tree.Broken, kept: Container[str] = ()) -> None:
        """Make unknown what lines that cannot be read may define: no error follows from that.

        Names that they only mention stay what they are, if they are anything; so do those that are `kept`.
        """
        self.partial |= lines.computed
        self.unlabelled |= lines.computed
        for name in lines.names:
            if name in kept or name in catalogue():
                continue
            if name in lines.defined or self.find_name(name) is MISSING:
                self.names[name] = POISON
            if name not in ("x", "flow") and (name in lines.defined or self.find_tensor(name) is None):
                self.tensors[name] = POISON
        if lines.defaults:
            self.names[lines.defaults] = POISON

    def known(self) -> list[str]:
        """Return every name that can be seen from here."""
        return list(dict.fromkeys(name for env in self.outwards() for name in (*env.names, *env.tensors)))

    def outwards(self) -> Iterator[Env]:
        """Yield the scopes from this one outwards."""
        env: Env | None = self
        while env is not None:
            yield env
            env = env.parent


MISSING = object()

Arguments = Mapping[str, Given]


class Declared:
    """What a file declares, with the defaults in force where it is written."""

    def __init__(self, name: tree.Name, file: FileScope, defaults: Mapping[str, Arguments]) -> None:
        """Close over the file."""
        self.name = name.text
        self.file = file
        self.defaults = defaults


class BlockDecl(Declared):
    """A block."""

    def __init__(self, node: tree.Block, file: FileScope, defaults: Mapping[str, Arguments]) -> None:
        """Close over the file."""
        super().__init__(node.name, file, defaults)
        self.node = node


class NetDecl(Declared):
    """A net."""

    def __init__(self, node: tree.Net, file: FileScope, defaults: Mapping[str, Arguments]) -> None:
        """Close over the file."""
        super().__init__(node.name, file, defaults)
        self.node = node


class VariantDecl(Declared):
    """A named instance of a net."""

    def __init__(
        self, node: tree.Variant, net: NetDecl, file: FileScope, defaults: Mapping[str, Arguments]
    ) -> None:
        """Close over the file."""
        super().__init__(node.name, file, defaults)
        self.node = node
        self.net = net
        self.decided: dict[str, Answer] = {}
        """What its `decide` lines say, by decision."""

    @property
    def is_plain(self) -> bool:
        """Whether it is the net as it is declared."""
        return not self.node.args and not self.decided


class FileScope:
    """A file whose declarations have been read."""

    def __init__(self, source: Source) -> None:
        """Start empty."""
        self.source = source
        self.tree: tree.File
        """What is written, once it has been parsed."""
        self.env = Env()
        self.inits: dict[str, dict[str, Init]] = {}
        self.nets: dict[str, NetDecl] = {}
        self.variants: dict[str, VariantDecl] = {}
        self.allows: list[tree.Annotated] = []
        self.shared = Shared()
        self.imports: list[FileScope] = []

    def sources(self) -> Iterator[Source]:
        """Yield its source and those of all that it imports, each once."""
        seen: dict[int, FileScope] = {}
        stack = [self]
        while stack:
            file = stack.pop()
            if id(file) not in seen:
                seen[id(file)] = file
                stack += file.imports
                yield file.source


def is_whole(value: object) -> bool:
    """Tell whether a value is an int; true and false are not."""
    return isinstance(value, int) and not isinstance(value, bool)


def show(value: Any, depth: int = 0) -> str:
    """Return a value as a spec writes it; a long list is cut."""
    if value is None or isinstance(value, bool):
        return {None: "none", True: "true", False: "false"}[value]
    if isinstance(value, tuple) and not isinstance(value, Dims):
        if depth > 1:
            return "[...]"
        shown = [show(item, depth + 1) for item in value[:_SHOWN]] + ["..."] * (len(value) > _SHOWN)
        return f"[{', '.join(shown)}]"
    if isinstance(value, Data):
        return " and ".join(map(str, value.shapes)) or "?"
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, TableValue):
        return f"a table of {len(value.rows)} rows"
    if isinstance(value, RowValue):
        return f"a row ({show(value.cells, depth)[1:-1]})"
    if isinstance(value, Ramp):
        return "a ramp"
    if isinstance(value, Choice):
        return "a decision"
    if isinstance(value, Function):
        return f"the function {value.name}"
    if isinstance(value, InitFunction):
        return f"the initialiser {value.kind}"
    if isinstance(value, NetDecl):
        return f"the net {value.name}"
    if isinstance(value, OpValue) and value.args:
        given = ", ".join(f"{k}={show(g.value, depth + 1)}" for k, g in value.args.items())
        return f"{value.name}({given if depth < 2 else '...'})"
    if isinstance(value, OpValue):
        return value.name
    return str(value)


_SHOWN = 12


def op_elsewhere(name: str, span: Span) -> OpValue | None:
    """Return the op of another distribution, for a name that stands for nothing else; None if there is none."""
    try:
        op = find(name)
    except OpError as error:
        raise fail("E201", error.message, span) from None
    return None if op is None else OpValue(op, {})


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
        (Choice, "a decision"),
        (NetDecl, "a net"),
        (Function, "a function"),
    ):
        if isinstance(value, cls):
            return name
    return "none"


def size(value: Any, limit: int, depth: int = MAX_DEPTH) -> int:
    """Return how many values a value holds; something above `limit` if it holds more or nests too deep."""
    items: Any = ()
    if type(value) is tuple:
        items = value
    elif isinstance(value, RowValue):
        items = value.cells
    elif isinstance(value, OpValue):
        items = [given.value for given in value.args.values()]
    count = 1 + len(items)
    for item in items:
        if count > limit:
            break
        if isinstance(item, (tuple, RowValue, OpValue)):
            count += size(item, limit - count, depth - 1) if depth else limit
    return count


def holds_ramp(value: Any) -> bool:
    """Tell whether a value is a depth schedule, or has one in it."""
    if isinstance(value, Ramp):
        return value.index is None
    if isinstance(value, OpValue):
        return any(holds_ramp(given.value) for given in value.args.values())
    inner = value.cells if isinstance(value, RowValue) else value if type(value) is tuple else ()
    return any(map(holds_ramp, inner))


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

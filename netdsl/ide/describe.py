"""What to say of a thing: how it is called, with which arguments, and its text."""

from __future__ import annotations

from inspect import cleandoc
from typing import NamedTuple

from netdsl.elaborate.arguments import TYPES, Param, op_parameters
from netdsl.elaborate.functions import FUNCTIONS
from netdsl.elaborate.values import MISSING, show
from netdsl.ide.index import Symbol
from netdsl.ir.types import Init
from netdsl.ops import Op, OpError, find
from netdsl.syntax import tree
from netdsl.syntax.words import WORDS


class Argument(NamedTuple):
    """What something takes: its name, its types in words, what it is if it is not given, "" for what must be."""

    name: str
    types: tuple[str, ...]
    about: str
    default: str
    texts: tuple[str, ...] = ()

    @property
    def shown(self) -> str:
        """It as a signature has it."""
        kind = f": {'|'.join(self.types)}" if self.types else ""
        return f"{self.name}{kind}{f' = {self.default}' if self.default else ''}"


class Signature(NamedTuple):
    """How something is called."""

    name: str
    arguments: tuple[Argument, ...]
    inputs: str = ""

    @property
    def shown(self) -> str:
        """It as one line."""
        given = ", ".join(argument.shown for argument in self.arguments)
        return (
            f"{self.name}({given}){self.inputs}" if given or not self.inputs else f"{self.name}{self.inputs}"
        )

    def argument(self, name: str) -> Argument | None:
        """Return what it takes under a name."""
        return next((one for one in self.arguments if one.name == name), None)


def op_of(name: str) -> type[Op] | None:
    """Return the op of a name, of another distribution too; None if there is none that can be loaded."""
    try:
        return find(name)
    except OpError:
        return None


def signature(symbol: Symbol) -> Signature | None:
    """Return how an op, block, net or function is called; None for what is not."""
    if symbol.kind == "op":
        op = op_of(symbol.name)
        return op_signature(op) if op is not None else None
    if symbol.source is None and symbol.name in FUNCTIONS:
        function = FUNCTIONS[symbol.name]
        arguments = [
            Argument(
                "..." if name == "*" else name,
                (),
                "",
                show(function.optional[name]) if name in function.optional else "",
            )
            for name in function.params
        ]
        return Signature(symbol.name, tuple(arguments))
    if symbol.source is None and symbol.name in Init.KINDS:
        kinds = Init.KINDS[symbol.name]
        given = [Argument(name, (), "", "" if value is None else str(value)) for name, value in kinds]
        return Signature(symbol.name, tuple(given))
    node = symbol.node
    if isinstance(node, (tree.Block, tree.Net)) and symbol.source is not None:
        text = symbol.source.text
        inputs = node.inputs if isinstance(node, tree.Block) else ()
        behind = f" from {', '.join(one.text for one in inputs)}" if inputs else ""
        return Signature(node.name.text, tuple(_declared(param, text) for param in node.params), behind)
    if isinstance(node, tree.Def):
        return Signature(node.name.text, tuple(Argument(name.text, (), "", "") for name in node.params))
    return None


def op_signature(op: type[Op]) -> Signature:
    """Return how an op is called."""
    return Signature(op.name, tuple(_of_op(op, param) for param in op_parameters(op).values()))


def _of_op(op: type[Op], param: Param) -> Argument:
    needed = param.default is MISSING
    types = tuple("tensor" if one == "value" else one for one in param.types)
    return Argument(
        param.name, types, param.describe() or "ints", "" if needed else show(param.default), param.texts
    )


def _declared(param: tree.Param, text: str) -> Argument:
    """Return a parameter of a block or net; a type that is not written is that of its default."""
    kind = param.type.text if param.type is not None else kind_of(param.default)
    default = "" if param.default is None else text[param.default.start : param.default.end]
    about = TYPES.get(kind, "")
    if param.allowed is not None:
        about = f"{about}, one of {text[param.allowed.start : param.allowed.end]}"
    return Argument(param.name.text, (kind,) if kind else (), about, default)


def kind_of(node: tree.Expr | None) -> str:
    """Return the type that a default says, "" where that takes the value of a name."""
    kinds: dict[type, str] = {
        tree.DimsLiteral: "dims",
        tree.String: "str",
        tree.ListExpr: "list",
        tree.Name: "",
        tree.CallExpr: "",
    }
    if isinstance(node, tree.Number):
        return "int" if isinstance(node.value, int) else "float"
    if isinstance(node, tree.Constant):
        return "bool" if isinstance(node.value, bool) else "op"
    if isinstance(node, tree.Choice):
        return kind_of(node.options[0])
    return kinds.get(type(node), "int")


def summary(symbol: Symbol) -> str:
    """Return the first sentences of what there is to say about a thing."""
    return about(symbol).partition("\n\n")[0].replace("\n", " ")


def about(symbol: Symbol) -> str:
    """Return what there is to say about a thing, as paragraphs; of what a text declares, the comments above it."""
    if symbol.kind == "op":
        op = op_of(symbol.name)
        return cleandoc(op.__doc__ or "") if op is not None else ""
    if symbol.source is None and symbol.name in FUNCTIONS:
        return FUNCTIONS[symbol.name].about
    if symbol.source is None:
        return word(symbol.name)
    if symbol.node is None or not symbol.sites:
        return ""
    return comment(symbol)


def word(name: str) -> str:
    """Return what a word or sign of the language does; "" for another."""
    known = WORDS.get(name)
    return f"{known.is_}\n\n{known.text}" if known is not None else ""


def comment(symbol: Symbol) -> str:
    """Return the comments above the line that names a thing, and behind it."""
    source = symbol.source
    if source is None:
        return ""
    number, _ = source.position(symbol.sites[0][0])
    found: list[str] = []
    behind = _behind(source.line(number))
    while number > 1:
        number -= 1
        line = source.line(number).strip()
        if line.startswith("#"):
            found.insert(0, line.lstrip("#").strip())
        elif not line.startswith("@"):
            break
    above = " ".join(found)
    return "\n\n".join(part for part in (above, behind) if part)


def _behind(line: str) -> str:
    quoted = False
    for at, char in enumerate(line):
        quoted ^= char == '"'
        if char == "#" and not quoted:
            return line[at:].lstrip("#").strip()
    return ""


def value_of(symbol: Symbol) -> str:
    """Return the text that makes a value, label or variable, up to the end of its line."""
    node, source = symbol.node, symbol.source
    if source is None or node is None or not symbol.sites:
        return ""
    return source.text[node.start : node.end].partition("\n")[0].rstrip()

"""The syntax tree of a `.net` file: what was written, with offsets, and nothing worked out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from netdsl.record import Record


class Tree(Record):
    """A node: `start` and `end` are offsets into the source; `depth` is an expression's or step's height."""

    depth: ClassVar[int] = 0

    start: int
    end: int


# ---------------------------------------------------------------- expressions


class Expr(Tree):
    """An expression."""

    in_parentheses: ClassVar[bool] = False


class Number(Expr):
    """`64`, `1e-6`, `5M`: the value, an int wherever it is whole and written without an exponent or point."""

    value: int | float


class DimsLiteral(Expr):
    """`3x3`."""

    sizes: tuple[int, ...]


class String(Expr):
    """`"..."`, without the quotes."""

    text: str


class Constant(Expr):
    """`true`, `false`, `none`."""

    value: bool | None


class Name(Expr):
    """A name."""

    text: str


class Template(Expr):
    """`denseblock{b}`: texts and the expressions between them."""

    parts: tuple[str | Expr, ...]


class Unary(Expr):
    """`-a`, `+a`, `not a`."""

    operator: str
    operand: Expr


class Binary(Expr):
    """`a + b`, `a <= b`, `a and b`."""

    operator: str
    left: Expr
    right: Expr


class Ternary(Expr):
    """`then if condition else otherwise`."""

    then: Expr
    condition: Expr
    otherwise: Expr


class Attribute(Expr):
    """`value.name`."""

    value: Expr
    name: str


class Index(Expr):
    """`value[index]`."""

    value: Expr
    index: Expr


class Keyword(Tree):
    """`name=value` among arguments."""

    name: str
    value: Expr


class Stride(Tree):
    """`/value` among arguments; `first` if only the first copy of a repetition has it."""

    value: Expr
    first: bool


Argument = Expr | Keyword | Stride


class CallExpr(Expr):
    """`function(arguments)`."""

    function: Expr
    args: tuple[Argument, ...]


class ListExpr(Expr):
    """`[a, b]`."""

    items: tuple[Expr, ...]


class Comprehension(Expr):
    """`[value for names in iterable if condition]`."""

    value: Expr
    names: tuple[Name, ...]
    groups: tuple[int, ...]
    iterable: Expr
    condition: Expr | None


class Slice(Expr):
    """`value[start:stop]`: either may be left out."""

    value: Expr
    begin: Expr | None
    stop: Expr | None


class Choice(Expr):
    """`choose(a, b)`: a decision of a search space."""

    options: tuple[Expr, ...]


# ---------------------------------------------------------------- chains

Label = Name | Template


class Ref(Tree):
    """A value by name, `flow[0]` with an index."""

    name: Label
    index: Expr | None


class Chosen(Name):
    """`(Wide if deep else Narrow)` in the place of an op; its text is no name."""

    value: Ternary


class Layer(Tree):
    """`op arguments as label`."""

    op: Name
    args: tuple[Argument, ...]
    label: Label | None


class Same(Tree):
    """`same label`: an earlier module, run again."""

    name: Label


class Repeat(Tree):
    """`count * step`."""

    count: Expr
    step: Step


class Optional(Tree):
    """`[steps when condition]`."""

    steps: tuple[Step, ...]
    condition: Expr


class Branch(Tree):
    """One branch of a `( a | b )`."""

    label: Label | None
    chain: Chain
    condition: Expr | None


class Group(Tree):
    """`( a )`, a nested Sequential, or `( a | b )`, a fork."""

    branches: tuple[Branch, ...]
    label: Label | None


Step = Layer | Same | Repeat | Optional | Group


class Chain(Tree):
    """`from refs -> step -> step`; without `source` it starts at the flow."""

    source: tuple[Ref, ...]
    steps: tuple[Step, ...]


# ---------------------------------------------------------------- statements


class Statement(Tree):
    """A line of a body."""


Body = tuple[Statement, ...]


class Line(Statement):
    """`label: chain when condition`."""

    label: Label | None
    chain: Chain
    condition: Expr | None


class Container(Statement):
    """`label:`, or `():` for a container without one, and an indented body."""

    label: Label | None
    body: Body


class Merge(Statement):
    """`add:` and one branch a line; with a label it is a container."""

    label: Label | None
    joint: Name
    body: Body


class Stage(Statement):
    """`stage 4: ...`, `stage {i + 1}: ...`: a transparent group."""

    name: Label
    body: Body


class Output(Statement):
    """`train output aux: chain`."""

    train: bool
    label: Label
    chain: Chain
    condition: Expr | None


class Result(Tree):
    """`fc as logits`: one value of `return`."""

    ref: Ref
    name: Name | None


class Return(Statement):
    """`return a, b`."""

    results: tuple[Result, ...]


class Bind(Statement):
    """`a, b = from x -> split 2`, or `y = add:` with branches."""

    targets: tuple[Label, ...]
    value: Chain | Merge
    condition: Expr | None


class Weight(Statement):
    """`weight label [shape], init=...`."""

    label: Label
    args: tuple[Argument, ...]


class Case(Tree):
    """One `if` or `elif` with its body."""

    condition: Expr
    body: Body


class If(Statement):
    """`if`, its `elif`s, and what follows `else:`."""

    cases: tuple[Case, ...]
    otherwise: Body


class For(Statement):
    """`for names in iterable:`."""

    names: tuple[Name, ...]
    groups: tuple[int, ...]
    """Of `i, (c, k)` 0 and 2: how many of the names stand in each of its brackets, 0 for one without; else none."""
    iterable: Expr
    body: Body


class Assign(Statement):
    """`w = 4*c`."""

    targets: tuple[Label, ...]
    value: Expr


class Def(Statement):
    """`def ch(c) = ...`."""

    name: Name
    params: tuple[Name, ...]
    value: Expr


class Default(Statement):
    """`default conv 3x3, norm=bn`."""

    op: Name
    args: tuple[Argument, ...]


class InitLine(Statement):
    """`init conv weight=..., bias=...`."""

    op: Name
    args: tuple[Argument, ...]


class Input(Statement):
    """`input depth: 1, 64x64`."""

    name: Name | None
    args: tuple[Argument, ...]


class Meta(Statement):
    """`meta year=2014`."""

    args: tuple[Argument, ...]


class Require(Statement):
    """`require params <= 5M`."""

    claims: tuple[Expr, ...]


class Order(Statement):
    """`order downsample, norm1`."""

    labels: tuple[Label, ...]


class Decision(Tree):
    """`stage1.depth=3`: what a decision takes; its name has dots."""

    name: Name
    value: Expr


class Decide(Statement):
    """`decide stage1.depth=3, neck=identity`."""

    decisions: tuple[Decision, ...]


class Broken(Statement):
    """Lines that cannot be read, in the place of a statement, declaration or row."""

    defaults: str
    """The op that they set defaults of, as it seems; "" if none."""
    defined: tuple[str, ...]
    """The names in front of a `=` or `:` that they begin with."""
    names: tuple[str, ...]
    """All names in them."""
    computed: bool
    """Whether some names in them are computed, as `block{i}`, so that nobody knows them."""


class Annotation(Tree):
    """`@allow(rule, "reason")`."""

    name: Name
    args: tuple[Argument, ...]


class Annotated(Statement):
    """A statement or declaration with the annotations above it."""

    annotations: tuple[Annotation, ...]
    statement: Statement


# ---------------------------------------------------------------- declarations


class Param(Tree):
    """`c`, `stride = 1`, `act: op = relu`, `depth: int in [11, 13]`."""

    name: Name
    type: Name | None
    allowed: Expr | None
    default: Expr | None


class Import(Statement):
    """`import A, B from "file.net"`."""

    names: tuple[Name, ...]
    file: String


class Block(Statement):
    """`block B(params) from inputs: body`."""

    inline: bool
    name: Name
    params: tuple[Param, ...]
    inputs: tuple[Name, ...]
    body: Body


class Net(Statement):
    """`net N(params): body`."""

    name: Name
    params: tuple[Param, ...]
    body: Body


class Variant(Statement):
    """`variant v = N(args): body`."""

    name: Name
    net: Name
    args: tuple[Argument, ...]
    body: Body


class Row(Tree):
    """One row of a table."""

    cells: tuple[Expr, ...]


class Table(Statement):
    """`table t(columns):` and rows."""

    name: Name
    columns: tuple[Name, ...]
    rows: tuple[Row | Broken, ...]


class File(Tree):
    """A whole file."""

    items: tuple[Statement, ...]


def pieces(node: Tree) -> Iterator[Tree]:
    """Yield a node and all within."""
    yield node
    for value in node.__dict__.values():
        for one in value if isinstance(value, tuple) else (value,):
            if isinstance(one, Tree):
                yield from pieces(one)

"""What the names of a text mean: each place where a thing is named or read, by one rule of looking up.

Elaboration looks names up while it runs; this does so once for a text, whatever its nets are given, and for a text
with errors too. Names and values that flow have their own namespaces, as there: a label hides no op.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator
from functools import cache, cached_property
from typing import NamedTuple

from netdsl.elaborate.files import Importer
from netdsl.elaborate.functions import FUNCTIONS
from netdsl.ide.outline import reach
from netdsl.ir.types import Init
from netdsl.ops import catalogue, installed
from netdsl.quantities import catalogue as quantities
from netdsl.source import Source, Span
from netdsl.syntax import tree
from netdsl.syntax.parse import Unreadable, parse
from netdsl.syntax.tokens import lex

MAX_PATH = 8
"""How many blocks within each other a decision's name is followed into."""
_HOLE = "\0"
_JOINTS = frozenset({"add", "mul", "concat", "fork", "choose"})
_ORDERED = frozenset({"file", "function", "comprehension"})
"""Scopes whose names are there wherever in them they are written."""


class Symbol:
    """A thing that has a name: what it is, and where the text names it."""

    __slots__ = ("kind", "members", "name", "node", "scope", "sites", "source")

    def __init__(
        self, kind: str, name: str, source: Source | None, node: tree.Tree | None, scope: Scope | None
    ) -> None:
        """`source` is None for what the language has; `scope` is the one that it is in."""
        self.kind = kind
        """block, net, variant, table, column, function, parameter, variable, label, value, input; op, word."""
        self.name = name
        self.source = source
        self.node = node
        self.scope = scope
        self.sites: list[tuple[int, int]] = []
        """Where it is named: a label of a layer without weights may be given again."""
        self.members: dict[str, Symbol] = {}
        """The columns of a table, the parameters of a block, net or function."""

    @property
    def key(self) -> tuple[str, str, str, int]:
        """What is the same for the symbol in each index of its text."""
        return (
            self.source.key if self.source else "",
            self.kind,
            self.name,
            self.sites[0][0] if self.sites else -1,
        )

    @property
    def spans(self) -> list[Span]:
        """Where it is named."""
        return [Span(self.source, *site) for site in self.sites] if self.source else []

    def __repr__(self) -> str:
        return f"Symbol({self.kind} {self.name})"


class Use(NamedTuple):
    """A place of the text that says a name: what it may mean, which is one thing but for what calls decide."""

    start: int
    end: int
    symbols: tuple[Symbol, ...]
    named: bool = False
    """Whether it names the thing there, and does not read it."""
    stride: bool = False
    """Whether it is the `/` of an argument, which says `stride` without the word."""


class Scope:
    """A piece of the text in which names hold."""

    def __init__(self, kind: str, parent: Scope | None, node: tree.Tree) -> None:
        """Start empty."""
        self.kind = kind
        """file, net, block, variant, container, function or comprehension."""
        self.parent = parent
        self.node = node
        self.start = node.start
        self.end = node.end
        self.names: dict[str, Symbol] = {}
        self.tensors: dict[str, Symbol] = {}
        self.inner: dict[str, Scope] = {}
        """The containers in it by their labels."""
        self.nameless: list[Scope] = []
        """The containers in it that have none."""
        self.made: dict[str, tree.Name] = {}
        """By label the op or block of the one layer that has it."""
        self.calls: list[tree.Layer] = []
        if parent is not None and kind == "container":
            parent.nameless.append(self)

    def outwards(self) -> Iterator[Scope]:
        """Yield the scopes from this one on."""
        scope: Scope | None = self
        while scope is not None:
            yield scope
            scope = scope.parent

    @property
    def outer(self) -> Scope:
        """The net, block or file that it is in."""
        return next(one for one in self.outwards() if one.kind in ("net", "block", "file"))

    def find(self, name: str, at: int) -> Symbol | None:
        """Return what a name stands for, from here outwards; no value that flows."""
        return self._first([(scope, scope.names.get(name)) for scope in self.outwards()], at)

    def find_tensor(self, label: tree.Label | str, at: int) -> tuple[Symbol, ...]:
        """Return the values that flow which a label may name, from here outwards."""
        late: tuple[Symbol, ...] = ()
        for scope in self.outwards():
            found = scope.labelled(label)
            if any(_precedes(one, at) for one in found):
                return found
            late = late or found
        return late

    def labelled(self, label: tree.Label | str) -> tuple[Symbol, ...]:
        """Return what a label may name here alone: `p3` is one of `p{i}`."""
        shape = label if isinstance(label, str) else shape_of(label)
        found = self.tensors.get(shape)
        if found is not None:
            return (found,)
        if _HOLE not in shape:
            return tuple(one for key, one in self.tensors.items() if _HOLE in key and meet(key, shape))
        return tuple(one for key, one in self.tensors.items() if meet(key, shape))

    @staticmethod
    def _first(found: list[tuple[Scope, Symbol | None]], at: int) -> Symbol | None:
        known = [(scope, one) for scope, one in found if one is not None]
        for scope, one in known:
            if scope.kind in _ORDERED or _precedes(one, at):
                return one
        return known[0][1] if known else None

    def visible(self, at: int) -> Iterator[Symbol]:
        """Yield what can be read at an offset, the innermost of a name first; what flows after names."""
        for names in (True, False):
            seen: set[str] = set()
            for scope in self.outwards():
                for name, one in (scope.names if names else scope.tensors).items():
                    if name not in seen and (scope.kind in _ORDERED or _precedes(one, at)):
                        seen.add(name)
                        yield one


def _precedes(symbol: Symbol, at: int) -> bool:
    return not symbol.sites or symbol.sites[0][0] < at


def shape_of(label: tree.Label) -> str:
    """Return a label's text, with one sign for whatever stands in braces."""
    if isinstance(label, tree.Name):
        return label.text
    return "".join(part if isinstance(part, str) else _HOLE for part in label.parts)


@cache
def meet(a: str, b: str) -> bool:
    """Tell whether two labels may be the same, braces holding any whole number."""
    if not a or not b:
        return a == b
    if a[0] != _HOLE and b[0] != _HOLE:
        return a[0] == b[0] and meet(a[1:], b[1:])
    if a[0] != _HOLE:
        a, b = b, a
    taken = next((n for n, char in enumerate(b) if not (char.isdigit() or char == _HOLE)), len(b))
    return any(meet(a[1:], b[n:]) for n in range(1, taken + 1))


@cache
def builtin(name: str) -> Symbol | None:
    """Return what the language itself calls so: an op, a function, an initialiser; None for nothing."""
    kind = (
        "op"
        if name in catalogue() or name in installed()
        else "function"
        if name in FUNCTIONS
        else "word"
        if name in Init.KINDS or name in ("same", "tf", "fan_in", "fan_out", "x", "flow")
        else ""
    )
    return Symbol(kind, name, None, None, None) if kind else None


def readable(source: Source) -> tree.File:
    """Return the tree of what can be read of a text."""
    try:
        return parse(source)
    except Unreadable as error:
        return error.rest or tree.File(0, len(source.text), ())


class Library:
    """The indices of texts, each made once: those of imports are asked for by name."""

    MOST = 64
    """How many are kept."""

    def __init__(self, importer: Importer | None = None) -> None:
        """`importer` finds imports."""
        self.importer = importer
        self._made: dict[tuple[str, str], Index] = {}
        self._active: set[str] = set()

    def index(self, source: Source) -> Index:
        """Return the index of a text."""
        key = (source.key, source.text)
        found = self._made.get(key)
        if found is not None and found.current():
            return found
        self._active.add(source.key)
        try:
            found = Index(source, readable(source), self.imported)
        finally:
            self._active.discard(source.key)
        while len(self._made) >= self.MOST:
            del self._made[next(iter(self._made))]
        self._made[key] = found
        return found

    def imported(self, name: str, source: Source) -> Index | None:
        """Return the index of an import; None if there is no such file, or it is in a circle."""
        if self.importer is None:
            return None
        try:
            found = self.importer(name, source)
        except ValueError:
            return None
        return None if found.key in self._active else self.index(found)


class Index:
    """The names of one text."""

    def __init__(
        self, source: Source, file: tree.File, imported: Callable[[str, Source], Index | None]
    ) -> None:
        """Go through the tree once, and look up what it reads."""
        self.source = source
        self.file = file
        self.imports: dict[str, Index | None] = {}
        """By the name in the text."""
        self._imported = imported
        made = _Walk(self, imported)
        self.top = made.top
        self.scopes = made.scopes
        self.variants = made.variants
        self.unknown = made.unknown
        """Names that stand for nothing here."""
        self.uses = tuple(sorted(made.uses, key=lambda use: (use.start, use.end)))
        self._starts = [use.start for use in self.uses]

    def imported(self, name: str) -> Index | None:
        """Return the index of what a line imports from; None if there is no such file."""
        return self._imported(name, self.source)

    def current(self) -> bool:
        """Tell whether the imports are still what they were."""
        return all(self.imported(name) is found for name, found in self.imports.items())

    def at(self, offset: int) -> Use | None:
        """Return the name at an offset, or that ends there; the shortest where one is within another."""
        around = [
            use
            for use in self.uses[
                max(0, bisect_right(self._starts, offset) - 16) : bisect_right(self._starts, offset)
            ]
            if use.start <= offset <= use.end
        ]
        within = [use for use in around if offset < use.end] or around
        return min(within, key=lambda use: use.end - use.start, default=None)

    def uses_of(self, symbol: Symbol) -> list[Use]:
        """Return where the text says a thing's name."""
        return self._by_key.get(symbol.key, [])

    @cached_property
    def _by_key(self) -> dict[tuple[str, str, str, int], list[Use]]:
        found: dict[tuple[str, str, str, int], list[Use]] = {}
        for use in self.uses:
            for symbol in use.symbols:
                found.setdefault(symbol.key, []).append(use)
        return found

    @cached_property
    def headers(self) -> dict[int, Scope]:
        """The scopes by where the line begins that opens them."""
        return {scope.start: scope for scope in reversed(self.scopes) if scope.kind != "comprehension"}

    def scope_at(self, offset: int) -> Scope:
        """Return the innermost scope around an offset, as far as the text goes that is right."""
        around = [scope for scope in self.scopes if scope.start <= offset <= scope.end]
        return min(around, key=lambda scope: scope.end - scope.start, default=self.top)


def definitions(index: Index, offset: int) -> tuple[Use | None, list[Span]]:
    """Return the name at an offset, and where what it means is named; of an import's text, where that is."""
    use = index.at(offset)
    if use is None:
        return None, []
    spans = []
    for symbol in use.symbols:
        before = [span for span in symbol.spans if span.source is not index.source or span.start <= use.start]
        spans += before or symbol.spans
    return use, list(dict.fromkeys(spans))


class _Read(NamedTuple):
    """A name that is read: how, where, and in which scope."""

    how: str
    scope: Scope
    node: tree.Tree
    about: tree.Tree | None = None


class _Walk:
    """One pass over a tree, which makes scopes and symbols, and one over what it reads."""

    def __init__(self, index: Index, imported: Callable[[str, Source], Index | None]) -> None:
        self.index, self.imported = index, imported
        self.source = index.source
        self.text = index.source.text
        self.top = Scope("file", None, index.file)
        self.top.end = len(self.text)
        self.scopes = [self.top]
        self.variants: dict[str, Symbol] = {}
        self.uses: list[Use] = []
        self.unknown: list[Use] = []
        self.reads: list[_Read] = []
        self.bodies: dict[int, Scope] = {}
        """The scope of a block's or net's body by its node's id."""
        self.rows: dict[int, tuple[tree.Expr, Scope, int, int]] = {}
        """What a loop's variable goes through, by the variable's id: its place among how many names."""
        self.gives: list[tuple[Scope, tree.Tree, tuple[tree.Argument, ...], tree.Name | None]] = []
        """The calls, by which ops come into parameters."""
        for item in index.file.items:
            self.declare(item)
        for item in index.file.items:
            self.item(item)
        self._given = self._handed()
        for read in self.reads:
            getattr(self, f"_{read.how}")(read)

    # ---------------------------------------------------------------- naming

    def place(self, node: tree.Tree, name: str) -> tuple[int, int]:
        """Return where a name is written: brackets around it are part of an expression's place."""
        if self.text.startswith(name, node.start):
            return node.start, node.start + len(name)
        for token in lex(self.text, [], node.start, node.end):
            if token.text == name:
                return token.start, token.end
        return node.start, node.end

    def name(
        self,
        kind: str,
        node: tree.Label,
        into: dict[str, Symbol],
        scope: Scope,
        of: tree.Tree | None = None,
    ) -> Symbol:
        """Note that a name is given to something; the same name in a scope is the same thing."""
        shape = shape_of(node)
        symbol = into.get(shape)
        if symbol is None or symbol.source is not self.source:
            shown = shape if _HOLE not in shape else self.text[node.start : node.end].strip('"')
            symbol = into[shape] = Symbol(kind, shown, self.source, of or node, scope)
        symbol.sites.append((node.start, node.end))
        self.uses.append(Use(node.start, node.end, (symbol,), named=True))
        if isinstance(node, tree.Template):
            self.braces(node, scope)
        return symbol

    def label(self, node: tree.Label | None, scope: Scope, of: tree.Tree, kind: str = "label") -> None:
        """Note a label."""
        if node is not None:
            self.name(kind, node, scope.tensors, scope, of)

    def braces(self, node: tree.Label, scope: Scope) -> None:
        """Look at what stands in a label's braces."""
        for part in node.parts if isinstance(node, tree.Template) else ():
            if isinstance(part, tree.Expr):
                self.expr(part, scope)

    def open(self, kind: str, parent: Scope, node: tree.Tree, label: tree.Label | None = None) -> Scope:
        """Begin a scope."""
        scope = Scope(kind, parent, node)
        self.scopes.append(scope)
        if label is not None:
            parent.nameless.remove(scope)
            parent.inner.setdefault(shape_of(label), scope)
        return scope

    # ---------------------------------------------------------------- declarations

    def declare(self, item: tree.Statement) -> None:
        """Note what a declaration names."""
        if isinstance(item, tree.Annotated):
            item = item.statement
        names = self.top.names
        if isinstance(item, tree.Import):
            self.take(item)
        elif isinstance(item, (tree.Block, tree.Net)):
            kind = "block" if isinstance(item, tree.Block) else "net"
            self.name(kind, item.name, names, self.top, item)
        elif isinstance(item, tree.Table):
            table = self.name("table", item.name, names, self.top, item)
            for column in item.columns:
                self.name("column", column, table.members, self.top, item)
        elif isinstance(item, tree.Def):
            self.name("function", item.name, names, self.top, item)
        elif isinstance(item, tree.Assign):
            for target in item.targets:
                self.name("variable", target, names, self.top, item)
        elif isinstance(item, tree.Variant):
            self.name("variant", item.name, self.variants, self.top, item)
        elif isinstance(item, tree.Broken):
            self.broken(item, self.top)

    def broken(self, item: tree.Broken, scope: Scope) -> None:
        """Note what lines seem to name that cannot be read."""
        kinds = {"block": "block", "inline": "block", "net": "net", "table": "table", "def": "function"}
        kind = kinds.get(self.text[item.start : item.end].partition(" ")[0], "")
        for token in lex(self.text, [], item.start, item.end) if item.defined else ():
            if token.text in item.defined:
                name = tree.Name(token.start, token.end, token.text)
                names = bool(kind) or scope is self.top
                into = scope.names if names else scope.tensors
                if token.text not in into:
                    self.name(kind or ("variable" if names else "value"), name, into, scope, item)

    def take(self, item: tree.Import) -> None:
        """`import A, B from "file.net"`."""
        found = self.index.imports[item.file.text] = self.imported(item.file.text, self.source)
        for name in item.names:
            symbol = found.top.names.get(name.text) if found is not None else None
            use = Use(name.start, name.end, (symbol,) if symbol is not None else ())
            self.uses.append(use)
            if symbol is None:
                self.unknown.append(use)
                symbol = Symbol(
                    "block", name.text, None, item, self.top
                )  # whatever it is, it is no error here
            self.top.names[name.text] = symbol

    def item(self, item: tree.Statement) -> None:
        """Go through a declaration."""
        top = self.top
        if isinstance(item, tree.Annotated):
            item = item.statement
        if isinstance(item, (tree.Block, tree.Net)):
            scope = self.open("block" if isinstance(item, tree.Block) else "net", top, item)
            self.bodies[id(item)] = scope
            symbol = top.names[item.name.text]
            for param in item.params:
                own = self.name("parameter", param.name, scope.names, scope, param)
                if symbol.node is item:
                    symbol.members[param.name.text] = own
                for part in (param.default, param.allowed):
                    if part is not None:
                        self.expr(part, scope)
            for input in item.inputs if isinstance(item, tree.Block) else ():
                self.label(input, scope, item, "input")
            self.body(item.body, scope)
        elif isinstance(item, tree.Table):
            for row in item.rows:
                for cell in row.cells if isinstance(row, tree.Row) else ():
                    self.expr(cell, top)
        elif isinstance(item, tree.Def):
            self.define(item, top, top.names[item.name.text])
        elif isinstance(item, tree.Assign):
            self.expr(item.value, top)
        elif isinstance(item, tree.Variant):
            scope = self.open("variant", top, item)
            self.reads.append(_Read("value", top, item.net))
            self.arguments(item.args, top, item.net, item)
            for line in item.body:
                self.statement(line, scope, item.net)
            scope.end = max([item.end, *[line.end for line in item.body]])
        elif isinstance(item, (tree.Default, tree.InitLine)):
            self.statement(item, top)

    def define(self, item: tree.Def, scope: Scope, symbol: Symbol) -> None:
        """`def ch(c) = ...`."""
        inner = self.open("function", scope, item)
        for name in item.params:
            own = self.name("parameter", name, inner.names, inner, item)
            if symbol.node is item:
                symbol.members[name.text] = own
        self.expr(item.value, inner)

    # ---------------------------------------------------------------- statements

    def body(self, body: tree.Body, scope: Scope) -> None:
        """Go through the statements of a scope, which reaches to the end of the last."""
        for statement in body:
            self.statement(statement, scope)
            scope.end = max(scope.end, reach(statement))

    def statement(self, node: tree.Statement, scope: Scope, net: tree.Name | None = None) -> None:
        """Go through one statement; `net` is what a variant is of."""
        if isinstance(node, tree.Annotated):
            self.statement(node.statement, scope, net)
        elif isinstance(node, tree.Line):
            self.labelled(node, node.label, node.chain, scope)
            self.condition(node.condition, scope)
        elif isinstance(node, tree.Container):
            self.label(node.label, scope, node)
            self.body(node.body, self.open("container", scope, node, node.label))
        elif isinstance(node, tree.Merge):
            self.label(node.label, scope, node)
            self.body(
                node.body, scope if node.label is None else self.open("container", scope, node, node.label)
            )
        elif isinstance(node, tree.Stage):
            self.braces(node.name, scope)
            self.body(node.body, scope)
        elif isinstance(node, tree.Output):
            if any(isinstance(one, (tree.Layer, tree.Group)) and one.label for one in _steps(node.chain)):
                self.label(node.label, scope, node)
                self.chain(node.chain, scope)
            else:
                self.labelled(node, node.label, node.chain, scope)
            self.condition(node.condition, scope)
        elif isinstance(node, tree.Return):
            for result in node.results:
                self.ref(result.ref, scope)
        elif isinstance(node, tree.Bind):
            if isinstance(node.value, tree.Merge):
                self.body(node.value.body, scope)
            else:
                self.chain(node.value, scope)
            self.condition(node.condition, scope)
            for target in node.targets:
                self.name("value", target, scope.tensors, scope, node)
        elif isinstance(node, tree.Weight):
            self.arguments(node.args, scope, None, node)
            self.label(node.label, scope, node)
        elif isinstance(node, tree.If):
            for case in node.cases:
                self.expr(case.condition, scope)
                self.body(case.body, scope)
            self.body(node.otherwise, scope)
        elif isinstance(node, tree.For):
            self.expr(node.iterable, scope)
            for at, name in enumerate(node.names):
                own = self.name("variable", name, scope.names, scope, node)
                self.rows.setdefault(id(own), (node.iterable, scope, at, len(node.names)))
            self.body(node.body, scope)
        elif isinstance(node, tree.Assign):
            self.expr(node.value, scope)
            for target in node.targets:
                self.name("variable", target, scope.names, scope, node)
        elif isinstance(node, tree.Def):
            self.define(node, scope, self.name("function", node.name, scope.names, scope, node))
        elif isinstance(node, (tree.Default, tree.InitLine)):
            self.op(node.op, scope)
            self.arguments(node.args, scope, node.op if isinstance(node, tree.Default) else None, node)
        elif isinstance(node, tree.Input):
            for arg in node.args:
                self.argument(arg, scope)
            self.label(node.name, scope, node, "input")
        elif isinstance(node, tree.Meta):
            for arg in node.args:
                self.argument(arg, scope)
        elif isinstance(node, tree.Require):
            for claim in node.claims:
                self.claim(claim, scope)
        elif isinstance(node, tree.Order):
            for label in node.labels:
                self.reads.append(_Read("module", scope, label))
        elif isinstance(node, tree.Decide):
            for one in node.decisions:
                self.reads.append(_Read("decision", scope, one.name, net))
                self.reads.append(_Read("option", scope, one.value, net))
        elif isinstance(node, tree.Broken):
            self.broken(node, scope)

    def condition(self, node: tree.Expr | None, scope: Scope) -> None:
        if node is not None:
            self.expr(node, scope)

    def labelled(self, node: tree.Tree, label: tree.Label | None, chain: tree.Chain, scope: Scope) -> None:
        """A chain under a label: a layer has it if it is the chain, else a container of its own."""
        steps = chain.steps
        first = steps[0] if len(steps) == 1 else None
        self.label(label, scope, node)
        inner = scope
        if label is not None and isinstance(first, tree.Layer) and first.label is None:
            scope.made.setdefault(shape_of(label), first.op)
        elif label is not None and steps and not isinstance(first, tree.Same):
            inner = self.open("container", scope, node, label)
            for ref in chain.source:
                self.ref(ref, scope)
            if isinstance(first, tree.Group) and first.label is None:
                self.branches(first, inner)
            else:
                for step in steps:
                    self.step(step, inner)
            return
        self.chain(chain, inner)

    def chain(self, chain: tree.Chain, scope: Scope) -> None:
        """`from refs -> step -> step`."""
        for ref in chain.source:
            self.ref(ref, scope)
        for step in chain.steps:
            self.step(step, scope)

    def ref(self, ref: tree.Ref, scope: Scope) -> None:
        """A value by name."""
        self.reads.append(_Read("tensor", scope, ref.name))
        self.braces(ref.name, scope)
        self.condition(ref.index, scope)

    def step(self, step: tree.Step, scope: Scope) -> None:
        """One step of a chain."""
        if isinstance(step, tree.Layer):
            self.op(step.op, scope)
            self.arguments(step.args, scope, step.op, step)
            scope.calls.append(step)
            if step.label is not None:
                self.label(step.label, scope, step)
                scope.made.setdefault(shape_of(step.label), step.op)
        elif isinstance(step, tree.Same):
            self.reads.append(_Read("module", scope, step.name))
            self.braces(step.name, scope)
        elif isinstance(step, tree.Repeat):
            self.expr(step.count, scope)
            self.step(step.step, scope)
        elif isinstance(step, tree.Optional):
            for one in step.steps:
                self.step(one, scope)
            self.expr(step.condition, scope)
        elif len(step.branches) > 1 and step.label is None:
            self.branches(step, scope)
        else:
            self.label(step.label, scope, step)
            self.branches(step, self.open("container", scope, step, step.label))

    def branches(self, group: tree.Group, scope: Scope) -> None:
        """What stands in a group's brackets."""
        for branch in group.branches:
            self.labelled(branch, branch.label, branch.chain, scope)
            self.condition(branch.condition, scope)

    def op(self, node: tree.Name, scope: Scope) -> None:
        """An op, or a choice of two."""
        if isinstance(node, tree.Chosen):
            self.expr(node.value, scope)
        elif node.text not in _JOINTS:
            self.reads.append(_Read("op", scope, node))

    # ---------------------------------------------------------------- expressions

    def arguments(
        self, args: tuple[tree.Argument, ...], scope: Scope, op: tree.Name | None, node: tree.Tree
    ) -> None:
        """The arguments of a call, whose names are those of its parameters."""
        for arg in args:
            self.argument(arg, scope, op)
        if args and op is not None and not isinstance(op, tree.Chosen):
            self.gives.append((scope, node, args, op))

    def argument(self, arg: tree.Argument, scope: Scope, op: tree.Name | None = None) -> None:
        """One argument."""
        named = op is not None and not isinstance(op, tree.Chosen)
        if isinstance(arg, (tree.Keyword, tree.Stride)):
            if named:
                self.reads.append(_Read("keyword", scope, arg, op))
            if named and isinstance(arg, tree.Keyword) and isinstance(arg.value, tree.Name):
                self.reads.append(_Read("value_of", scope, arg, op))
            else:
                self.expr(arg.value, scope)
        else:
            self.expr(arg, scope)

    def expr(self, node: tree.Expr, scope: Scope) -> None:
        """An expression."""
        if isinstance(node, tree.Name):
            self.reads.append(_Read("value", scope, node))
        elif isinstance(node, tree.Template):
            self.reads.append(_Read("value", scope, node))
            self.braces(node, scope)
        elif isinstance(node, tree.Attribute):
            self.reads.append(_Read("member", scope, node))
            if isinstance(node.value, tree.Name):
                self.reads.append(_Read("flowing", scope, node.value))
            else:
                self.expr(node.value, scope)
        elif isinstance(node, tree.CallExpr):
            self.expr(node.function, scope)
            self.arguments(
                node.args, scope, node.function if isinstance(node.function, tree.Name) else None, node
            )
        elif isinstance(node, tree.Comprehension):
            self.expr(node.iterable, scope)
            inner = self.open("comprehension", scope, node)
            for at, name in enumerate(node.names):
                own = self.name("variable", name, inner.names, inner, node)
                self.rows.setdefault(id(own), (node.iterable, scope, at, len(node.names)))
            self.expr(node.value, inner)
            self.condition(node.condition, inner)
        else:
            for part in _parts(node):
                self.expr(part, scope)

    def claim(self, node: tree.Expr, scope: Scope) -> None:
        """A part of `require`, where quantities have names, and modules quantities."""
        target = node.function if isinstance(node, tree.CallExpr) else node
        known = quantities()
        if isinstance(target, tree.Attribute) and target.name in known:
            self.reads.append(_Read("module_path", scope, target.value))
        elif isinstance(target, tree.Name) and target.text in known:
            pass  # of the net; its options are words
        elif isinstance(node, (tree.Unary, tree.Binary)):
            for part in _parts(node):
                self.claim(part, scope)
        else:
            self.expr(node, scope)

    # ---------------------------------------------------------------- looking up

    def use(self, node: tree.Tree, name: str, symbols: tuple[Symbol, ...], lenient: bool = False) -> None:
        """Note what a name means."""
        place = (node.start, node.end) if isinstance(node, tree.Template) else self.place(node, name)
        use = Use(*place, symbols)
        if symbols:
            self.uses.append(use)
        elif not lenient:
            self.unknown.append(use)

    def find(self, node: tree.Tree, scope: Scope, first: str = "name") -> tuple[Symbol, ...]:
        """Return what an expression's name stands for."""
        if isinstance(node, tree.Template):
            return scope.find_tensor(node, node.start)
        assert isinstance(node, tree.Name)
        name = scope.find(node.text, node.start)
        if name is None:
            own = builtin(node.text)
            if own is not None and (first == "name" or own.kind == "word"):
                tensor = scope.find_tensor(node, node.start) if own.kind == "word" else ()
                return tensor or (own,)
        flows = first == "flow" and (name is None or name.kind in ("block", "function", "parameter"))
        if flows and (tensor := scope.find_tensor(node, node.start)):
            return tensor
        if name is not None:
            return (name,)
        tensor = scope.find_tensor(node, node.start)
        own = builtin(node.text)
        return tensor or ((own,) if own is not None else ())

    def _value(self, read: _Read) -> None:
        name = read.node.text if isinstance(read.node, tree.Name) else ""
        self.use(read.node, name, self.find(read.node, read.scope))

    def _flowing(self, read: _Read) -> None:
        assert isinstance(read.node, tree.Name)
        self.use(read.node, read.node.text, self.find(read.node, read.scope, "flow"))

    def _handed(self) -> dict[int, dict[tuple[str, str, str, int], Symbol]]:
        """Return which blocks and tables a parameter may stand for, by its id: those that calls of its block name."""
        found: dict[int, dict[tuple[str, str, str, int], Symbol]] = {}
        handed: dict[int, set[int]] = {}
        for scope, _, args, op in self.gives:
            assert op is not None
            (target, *_) = (*self.find(op, scope), None)
            params = [p for p in target.members.values() if _may_be_handed(p)] if target is not None else []
            named = [one for arg in args for one in self._ops_in(arg, scope)] if params else []
            for param in params:
                for one in named:
                    if one.kind != "parameter":
                        found.setdefault(id(param), {})[one.key] = one
                    else:
                        handed.setdefault(id(param), set()).add(id(one))
        for scope in self.scopes:
            for param in scope.names.values():
                node = param.node
                if isinstance(node, tree.Param) and node.default is not None and _may_be_handed(param):
                    for one in self._ops_in(node.default, scope):
                        if one.kind != "parameter":
                            found.setdefault(id(param), {})[one.key] = one
        for _ in range(len(handed)):
            for param_id, others in handed.items():
                for other in others:
                    found.setdefault(param_id, {}).update(found.get(other, {}))
        return found

    def _ops_in(self, arg: tree.Tree, scope: Scope) -> Iterator[Symbol]:
        """Yield the blocks, tables and parameters that an argument names, which it may hand over."""
        for node in tree.pieces(arg):
            if isinstance(node, tree.Name):
                yield from (
                    one for one in self.find(node, scope) if one.kind in ("block", "table", "parameter")
                )

    def _op(self, read: _Read) -> None:
        assert isinstance(read.node, tree.Name)
        found = read.scope.find(read.node.text, read.node.start) or builtin(read.node.text)
        self.use(read.node, read.node.text, (found,) if found is not None else ())

    def _tensor(self, read: _Read) -> None:
        name = read.node.text if isinstance(read.node, tree.Name) else ""
        assert isinstance(read.node, tree.Label)
        found = read.scope.find_tensor(read.node, read.node.start)
        own = builtin(name) if name in ("x", "flow") else None
        if not found and own is not None:
            found = (own,)
        self._quoted(read.node, found)

    def _quoted(self, node: tree.Label, found: tuple[Symbol, ...]) -> None:
        use = Use(node.start, node.end, found)
        (self.uses if found else self.unknown).append(use)

    def _module(self, read: _Read) -> None:
        assert isinstance(read.node, tree.Label)
        found = read.scope.labelled(read.node) or self._inlined(read.scope, read.node)
        if not found and isinstance(read.node, tree.Name):  # a list of them
            prefix = f"{read.node.text}."
            if any(key.startswith(prefix) for key in read.scope.tensors):
                return
        self._quoted(read.node, found or read.scope.find_tensor(read.node, read.node.start))

    def _inlined(self, scope: Scope, label: tree.Label) -> tuple[Symbol, ...]:
        """Return the labels of inline blocks that are called here, which are the caller's."""
        for layer in scope.calls:
            called = None if isinstance(layer.op, tree.Chosen) else scope.find(layer.op.text, layer.start)
            if called is not None and isinstance(called.node, tree.Block) and called.node.inline:
                body = self.bodies.get(id(called.node))
                if body is not None and body is not scope and (found := body.labelled(label)):
                    return found
        return ()

    def targets(self, op: tree.Name, scope: Scope) -> list[Symbol]:
        """Return the blocks, nets and functions that a call may be of."""
        found = self.find(op, scope)
        targets: list[Symbol] = []
        for one in found:
            if one.kind == "parameter":
                targets += [block for block in self._given.get(id(one), {}).values() if block.kind == "block"]
            elif id(one) in self.rows:
                targets += self._listed(one)
            elif one.kind == "variable" and isinstance(one.node, tree.Assign):
                value = one.node.value
                inner = value.function if isinstance(value, tree.CallExpr) else value
                if isinstance(inner, tree.Name) and one.scope is not None and inner.text != op.text:
                    targets += self.targets(inner, one.scope)
            else:
                targets.append(one)
        return targets

    def _listed(self, variable: Symbol) -> list[Symbol]:
        """Return the blocks that a loop goes through: those that its list or table names."""
        iterable, scope, _, _ = self.rows[id(variable)]
        tables = [one for one in self._tables(iterable, scope) if one.source is self.source]
        if tables:
            rows = [row for one in tables if isinstance(one.node, tree.Table) for row in one.node.rows]
            named = [one for row in rows for one in self._ops_in(row, self.top)]
        else:
            named = list(self._ops_in(iterable, scope))
        return [one for one in dict.fromkeys(named) if one.kind == "block"]

    def _keyword(self, read: _Read) -> None:
        assert isinstance(read.about, tree.Name)
        arg = read.node
        name = arg.name if isinstance(arg, tree.Keyword) else "stride"
        found = tuple(
            one.members[name] for one in self.targets(read.about, read.scope) if name in one.members
        )
        if found:
            end = arg.start + len(name) if isinstance(arg, tree.Keyword) else arg.start + 1
            self.uses.append(Use(arg.start, end, found, stride=isinstance(arg, tree.Stride)))

    def _value_of(self, read: _Read) -> None:
        """A name that is given for an argument: `like=relu` of an op is a value, whatever else is called so."""
        assert isinstance(read.node, tree.Keyword)
        assert isinstance(read.node.value, tree.Name)
        assert isinstance(read.about, tree.Name)
        op = catalogue().get(read.about.text)
        flows = op is not None and read.node.name in op.references
        node = read.node.value
        self.use(node, node.text, self.find(node, read.scope, "flow" if flows else "name"))

    def _member(self, read: _Read) -> None:
        assert isinstance(read.node, tree.Attribute)
        tables = self._tables(read.node.value, read.scope)
        columns = tuple(one.members[read.node.name] for one in tables if read.node.name in one.members)
        if columns:
            start = self.text.find(read.node.name, read.node.value.end)
            self.uses.append(Use(start, start + len(read.node.name), columns))

    def _tables(self, node: tree.Expr, scope: Scope, depth: int = 0) -> list[Symbol]:
        """Return the tables that an expression may be of, or be a row of."""
        if depth > MAX_PATH:
            return []
        if isinstance(node, (tree.Index, tree.Slice)):
            return self._tables(node.value, scope, depth + 1)
        if isinstance(node, tree.CallExpr) and isinstance(node.function, tree.Name) and node.args:
            first = node.args[0]
            listed = node.function.text in ("enumerate", "reversed") and isinstance(first, tree.Expr)
            return self._tables(first, scope, depth + 1) if listed else []  # type: ignore[arg-type]
        found = scope.find(node.text, node.start) if isinstance(node, tree.Name) else None
        if found is None:
            return []
        if found.kind == "table":
            return [found]
        if found.kind == "parameter":
            return [one for one in self._given.get(id(found), {}).values() if one.kind == "table"]
        if id(found) in self.rows:
            iterable, outer, at, count = self.rows[id(found)]
            counted = isinstance(iterable, tree.CallExpr) and self.text.startswith(
                "enumerate", iterable.start
            )
            return self._tables(iterable, outer, depth + 1) if at == int(counted) == count - 1 else []
        if isinstance(found.node, tree.Assign) and len(found.node.targets) == 1 and found.scope is not None:
            return self._tables(found.node.value, found.scope, depth + 1)
        return []

    def _module_path(self, read: _Read) -> None:
        """`features.stem` of `features.stem.macs`, from where the claim stands."""
        parts: list[tree.Tree] = []
        node = read.node
        while isinstance(node, (tree.Attribute, tree.Index)):
            if isinstance(node, tree.Attribute):
                parts.insert(0, node)
            node = node.value
        scope: Scope | None = read.scope
        if scope is not None and scope.kind == "variant":
            scope = self._of_variant(scope.node)
        dotted = ""
        for part in (node, *parts):
            if scope is None or not isinstance(part, (tree.Name, tree.Template, tree.Attribute)):
                return
            name = part.name if isinstance(part, tree.Attribute) else shape_of(part)
            dotted = f"{dotted}.{name}" if dotted else name
            found = scope.labelled(dotted)
            if found:
                if isinstance(part, tree.Attribute):
                    start = self.text.find(part.name, part.value.end)
                    self.uses.append(Use(start, start + len(part.name), found))
                else:
                    self.use(part, name, found)
                scope, dotted = self._into(scope, dotted), ""

    def _of_variant(self, node: tree.Tree, name: tree.Name | None = None) -> Scope | None:
        """Return the body of the net that a variant is of, if it is of this file."""
        name = name or (node.net if isinstance(node, tree.Variant) else None)
        net = self.top.names.get(name.text) if name is not None else None
        return self.bodies.get(id(net.node)) if net is not None and net.node is not None else None

    def _into(self, scope: Scope, label: str) -> Scope | None:
        """Return what is under a label: a container, or the body of the block that it is."""
        shapes = [one for one in (*scope.inner, *scope.made) if one == label or meet(one, label)]
        for shape in shapes:
            if shape in scope.inner:
                return scope.inner[shape]
            for block in self.targets(scope.made[shape], scope):
                if block.node is not None and id(block.node) in self.bodies:
                    return self.bodies[id(block.node)]
        return None

    def _decision(self, read: _Read) -> None:
        """`stage1.depth` of a `decide` line: labels, and what is called so where they lead."""
        assert isinstance(read.node, tree.Name)
        scope = self._of_variant(read.node, read.about if isinstance(read.about, tree.Name) else None)
        parts = [token for token in lex(self.text, [], read.node.start, read.node.end) if token.type != "DOT"]
        words = [(token.text.strip('"'), token.start, token.end) for token in parts]
        if scope is not None:
            self.uses += self._path(scope, words, 0) or []

    def _path(self, scope: Scope, words: list[tuple[str, int, int]], depth: int) -> list[Use] | None:
        """Return what the parts of a decision's name mean; None if they lead nowhere."""
        if depth > MAX_PATH or not words:
            return None
        for count in range(len(words), 0, -1):
            found = scope.labelled(".".join(word for word, _, _ in words[:count]))
            if not found:
                continue
            use = Use(words[0][1], words[count - 1][2], found)
            rest = words[count:]
            inner = self._into(scope, found[0].name if _HOLE not in found[0].name else "") or self._into(
                scope, ".".join(word for word, _, _ in words[:count])
            )
            if not rest:
                return [use]
            below = self._path(inner, rest, depth + 1) if inner is not None else None
            return [use, *(below or self._argument_of(scope, words[:count], rest) or [])]
        if len(words) == 1:
            word, start, end = words[0]
            own = scope.names.get(word)
            if own is not None:
                return [Use(start, end, (own,))]
            for layer in scope.calls:
                if any(isinstance(piece, tree.Choice) for arg in layer.args for piece in tree.pieces(arg)):
                    found = self._parameter(layer.op, scope, word)
                    if found:
                        return [Use(start, end, found)]
        for inner in (*scope.nameless, *self._bodies_called(scope)):
            below = self._path(inner, words, depth + 1)
            if below:
                return below
        return None

    def _bodies_called(self, scope: Scope) -> Iterator[Scope]:
        """Yield the bodies of blocks that are called without a label, whose decisions are called as here."""
        for layer in scope.calls:
            if layer.label is None and not isinstance(layer.op, tree.Chosen):
                for block in self.targets(layer.op, scope):
                    if block.node is not None and id(block.node) in self.bodies:
                        yield self.bodies[id(block.node)]

    def _argument_of(
        self, scope: Scope, label: list[tuple[str, int, int]], rest: list[tuple[str, int, int]]
    ) -> list[Use] | None:
        """Return the parameter that a decision is for in the call under a label."""
        name = ".".join(word for word, _, _ in label)
        op = next((op for shape, op in scope.made.items() if meet(shape, name)), None)
        found = self._parameter(op, scope, rest[0][0]) if op is not None and len(rest) == 1 else ()
        return [Use(rest[0][1], rest[0][2], found)] if found else None

    def _parameter(self, op: tree.Name, scope: Scope, name: str) -> tuple[Symbol, ...]:
        if isinstance(op, tree.Chosen):
            return ()
        return tuple(one.members[name] for one in self.targets(op, scope) if name in one.members)

    def _option(self, read: _Read) -> None:
        """What a decision takes: a block by its name, or the label of a line."""
        for node in tree.pieces(read.node):
            if isinstance(node, tree.Name):
                found = self.find(node, self.top)
                self.use(node, node.text, found, lenient=True)


def _steps(chain: tree.Chain) -> Iterator[tree.Step]:
    """Yield the steps of a chain, and those within them that are in no container."""
    left = list(chain.steps)
    while left:
        step = left.pop()
        yield step
        if isinstance(step, tree.Optional):
            left += step.steps
        elif isinstance(step, tree.Repeat):
            left.append(step.step)


def _parts(node: tree.Tree) -> Iterator[tree.Expr]:
    """Yield the expressions directly in another."""
    for value in node.__dict__.values():
        for one in value if isinstance(value, tuple) else (value,):
            if isinstance(one, tree.Expr):
                yield one


def _may_be_handed(symbol: Symbol) -> bool:
    """Tell whether a parameter may stand for an op or a table: it is said to, or its default is none or a name."""
    node = symbol.node
    if not isinstance(node, tree.Param):
        return False
    if node.type is not None:
        return node.type.text in ("op", "table", "list")
    return isinstance(node.default, (tree.Constant, tree.Name, tree.CallExpr))

"""A file's declarations: imports, blocks, nets, variants, tables, and what is in force where each is written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from netdsl.diagnostics import Diagnostic, Label, NetError, did_you_mean
from netdsl.elaborate.build import allowances, default_line, init_line
from netdsl.elaborate.evaluate import Evaluator, builtins
from netdsl.elaborate.names import reserved_name
from netdsl.elaborate.values import (
    MISSING,
    BlockDecl,
    Choice,
    Data,
    Env,
    FileScope,
    Function,
    Lexical,
    NetDecl,
    OpValue,
    Poisoned,
    SpecError,
    TableValue,
    VariantDecl,
    fail,
)
from netdsl.ops import catalogue
from netdsl.source import Source, Span
from netdsl.syntax import tree
from netdsl.syntax.parse import parse

MAX_STEPS = 5_000_000

Importer = Callable[[str, Source], Source]
"""Finds the text of an import by its name and the file that asks; raises ValueError with the reason."""


class Files:
    """The files of one load: each is read once, and may not import itself by any way."""

    def __init__(self, importer: Importer) -> None:
        """Start with no file."""
        self.importer = importer
        self.read: dict[str, FileScope | None] = {}
        self.evaluator = Evaluator(MAX_STEPS)
        self.evaluator.decide = _no_decision

    def load(self, source: Source) -> FileScope:
        """Return a file's declarations, or raise NetError."""
        self.read[source.name] = None
        scope = FileScope(source)
        scope.env.parent = builtins()
        errors: list[Diagnostic] = []
        lexical = Lexical({}, {})
        for item in parse(source).items:
            try:
                lexical = self.item(item, scope, lexical)
            except SpecError as error:
                errors.append(error.diagnostic)
            except Poisoned:
                pass
            except NetError as error:
                errors += error.diagnostics
        if errors:
            raise NetError(errors)
        self.read[source.name] = scope
        return scope

    def item(self, item: tree.Statement, scope: FileScope, lexical: Lexical) -> Lexical:
        """Take in one declaration; return what is in force after it."""
        source, env = scope.source, scope.env
        if isinstance(item, tree.Annotated):
            allowances(item, source)
            scope.allows.append(item)
            return self.item(item.statement, scope, lexical)
        if isinstance(item, tree.Import):
            self.imports(item, scope)
        elif isinstance(item, tree.Default):
            added = default_line(self.evaluator, item, env, source, lexical.defaults)
            return lexical._replace(defaults={**lexical.defaults, **added})
        elif isinstance(item, tree.InitLine):
            name, inits = init_line(self.evaluator, item, env, source)
            scope.inits.setdefault(name, {}).update(inits)
        elif isinstance(item, tree.Def):
            define(item, env, source)
        elif isinstance(item, tree.Table):
            self.table(item, scope)
        elif isinstance(item, tree.Assign):
            self.assign(item, scope)
        elif isinstance(item, tree.Block):
            check_declared(item.name, env, source)
            check_params(item.params, source)
            for name in item.inputs:
                _check_name(name, source)
            env.names[item.name.text] = OpValue(BlockDecl(item, scope, lexical), {})
        elif isinstance(item, tree.Net):
            check_declared(item.name, env, source)
            check_params(item.params, source)
            scope.nets[item.name.text] = NetDecl(item, scope, lexical)
            env.names[item.name.text] = scope.nets[item.name.text]
        elif isinstance(item, tree.Variant):
            self.variant(item, scope, lexical)
        return lexical

    def imports(self, item: tree.Import, scope: FileScope) -> None:
        """`import A, B from "file.net"`."""
        source = scope.source
        at = Span(source, item.file.start, item.file.end)
        try:
            found = self.importer(item.file.text, source)
        except ValueError as error:
            raise fail("E218", f"cannot import {item.file.text!r}: {error}", at) from None
        if found.name in self.read:
            loaded = self.read[found.name]
            if loaded is None:
                raise fail("E218", f"{item.file.text} imports this file, which imports it", at)
        else:
            loaded = self.load(found)
        for name in item.names:
            value = loaded.env.names.get(name.text, MISSING)
            if value is MISSING:
                known = list(loaded.env.names)
                help = did_you_mean(name.text, known) or f"it has {', '.join(known)}"
                raise fail("E218", f"{item.file.text} has no `{name.text}`", Span(source, name.start, name.end), help)
            check_declared(name, scope.env, source)
            scope.env.names[name.text] = value

    def table(self, item: tree.Table, scope: FileScope) -> None:
        """`table t(columns):` and rows."""
        source = scope.source
        check_declared(item.name, scope.env, source)
        columns = tuple(name.text for name in item.columns)
        rows = []
        for row in item.rows:
            if len(row.cells) != len(columns):
                span = Span(source, row.start, row.end)
                raise fail("E209", f"a row of {len(row.cells)} cells in a table of {len(columns)} columns", span)
            rows.append(tuple(self.evaluator.eval(cell, scope.env, source) for cell in row.cells))
        scope.env.names[item.name.text] = TableValue(columns, tuple(rows))

    def assign(self, item: tree.Assign, scope: FileScope) -> None:
        """`slow = bn(eps=0.001)`."""
        source = scope.source
        value = self.evaluator.eval(item.value, scope.env, source)
        if isinstance(value, Choice):
            raise fail("E217", "a decision belongs to a net", Span(source, item.start, item.end))
        names = [t for t in item.targets if isinstance(t, tree.Name)]
        if len(names) < len(item.targets):
            raise fail("E214", "a name outside a net has no braces", Span(source, item.start, item.end))
        for name in names:
            check_declared(name, scope.env, source)
        self.evaluator.unpack(tuple(names), value, scope.env, source)

    def variant(self, item: tree.Variant, scope: FileScope, lexical: Lexical) -> None:
        """`variant resnet50 = ResNet(...)`."""
        source = scope.source
        _check_name(item.name, source)
        if item.name.text in scope.variants:
            first = scope.variants[item.name.text].node.name
            labels = (Label(Span(source, first.start, first.end), "the first is here"),)
            span = Span(source, item.name.start, item.name.end)
            raise fail("E214", f"two variants are called `{item.name.text}`", span, labels=labels)
        net = scope.env.find(item.net.text)
        if not isinstance(net, NetDecl):
            span = Span(source, item.net.start, item.net.end)
            known = [name for name, value in scope.env.names.items() if isinstance(value, NetDecl)]
            raise fail("E200", f"unknown net `{item.net.text}`", span, did_you_mean(item.net.text, known))
        scope.variants[item.name.text] = VariantDecl(item, net, scope, lexical)


def define(item: tree.Def, env: Env, source: Source) -> None:
    """`def ch(c) = make_divisible(c*width, 8)`."""
    check_declared(item.name, env, source)
    params = tuple(name.text for name in item.params)
    env.names[item.name.text] = Function(item.name.text, params, item.value, env, source)


def check_declared(name: tree.Name, env: Env, source: Source) -> None:
    """Raise an error for a name that is taken, or that emitted code needs."""
    _check_name(name, source)
    span = Span(source, name.start, name.end)
    if name.text in catalogue():
        raise fail("E214", f"`{name.text}` is an op of the language", span)
    if name.text in env.names and not isinstance(env.names[name.text], Data):
        raise fail("E214", f"`{name.text}` is declared twice", span)


def _check_name(name: tree.Name, source: Source) -> None:
    why = reserved_name(name.text)
    if why:
        raise fail("E219", f"`{name.text}` {why}", Span(source, name.start, name.end), "choose another name")


def check_params(params: tuple[tree.Param, ...], source: Source) -> None:
    """Raise an error for parameters that repeat a name or have an unknown type."""
    from netdsl.elaborate.arguments import TYPES

    seen: set[str] = set()
    for param in params:
        _check_name(param.name, source)
        span = Span(source, param.start, param.end)
        if param.name.text in seen:
            raise fail("E214", f"two parameters are called `{param.name.text}`", span)
        seen.add(param.name.text)
        if param.type is not None and (param.type.text not in TYPES or param.type.text == "value"):
            known = [name for name in TYPES if name != "value"]
            at = Span(source, param.type.start, param.type.end)
            help = did_you_mean(param.type.text, known) or f"types are {', '.join(known)}"
            raise fail("E203", f"unknown type `{param.type.text}`", at, help)


def _no_decision(choice: Choice, name: str) -> Any:
    raise fail("E217", "a decision belongs to a net", choice.span)

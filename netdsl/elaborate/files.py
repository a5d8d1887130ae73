"""A file's declarations: imports, blocks, nets, variants, tables, and the defaults where each is written."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from netdsl.diagnostics import Diagnostic, Label, NetError, did_you_mean
from netdsl.elaborate.evaluate import Evaluator, builtins, deep_recursion
from netdsl.elaborate.lines import (
    allowances,
    check_declared,
    check_name,
    check_params,
    decides_nothing,
    default_line,
    define,
    init_line,
)
from netdsl.elaborate.names import reserved_name
from netdsl.elaborate.values import (
    MISSING,
    POISON,
    Answer,
    Arguments,
    BlockDecl,
    Choice,
    Data,
    FileScope,
    NetDecl,
    OpValue,
    Poisoned,
    SpecError,
    TableValue,
    VariantDecl,
    fail,
)
from netdsl.source import Source, Span
from netdsl.syntax import tree
from netdsl.syntax.parse import Unreadable, parse
from netdsl.syntax.tokens import MAX_ERRORS

MAX_STEPS = 1_500_000
MAX_DEPTH = 64
"""How many files may import one another in a row."""

Importer = Callable[[str, Source], Source]
"""Finds the text of an import by its name and the file that asks; raises ValueError with the reason."""


class Files:
    """The files of one load: each is read once, and may not import itself by any way."""

    def __init__(self, importer: Importer) -> None:
        """Start with no file."""
        self.importer = importer
        self.read: dict[str, FileScope | None] = {}
        """By `Source.key`; None for a file with errors, which have been reported."""
        self.active: list[Source] = []
        self.evaluator = Evaluator(MAX_STEPS)

    def load(self, source: Source) -> FileScope:
        """Return a file's declarations; NetError if one is wrong, and with it what is in its nets."""
        with deep_recursion():
            scope, errors = self._load(source)
            if not errors:
                return scope
            raise NetError([*errors, *self.wrong_nets(scope, MAX_ERRORS - len(errors))])

    def declarations(self, source: Source) -> tuple[FileScope, list[Diagnostic]]:
        """Return what of a file's declarations is right, and what is wrong with others; no net is looked into."""
        with deep_recursion():
            try:
                return self._load(source)
            except NetError as error:  # nobody knows what it declares
                return FileScope(source), list(error.diagnostics)

    def _load(self, source: Source) -> tuple[FileScope, list[Diagnostic]]:
        scope = FileScope(source)
        scope.env.parent = builtins()
        errors: list[Diagnostic] = []
        defaults: Mapping[str, Arguments] = {}
        self.read[source.key] = None
        self.active.append(source)
        try:
            scope.tree = self.parsed(source, scope, errors)
            items = scope.tree.items
            for item in items:
                if len(errors) >= MAX_ERRORS:
                    break
                try:
                    defaults = self.item(item, scope, defaults)
                except SpecError as error:
                    errors.append(self.further_down(error.diagnostic, items))
                    self.poison(item, scope)
                except NetError as error:
                    errors += error.diagnostics
                    self.poison(item, scope)
                except Poisoned:
                    self.poison(item, scope)
        finally:
            self.active.pop()
        if not errors:
            self.read[source.key] = scope
        return scope, errors[:MAX_ERRORS]

    @staticmethod
    def wrong_nets(scope: FileScope, most: int) -> list[Diagnostic]:
        """Return what is wrong in the nets of a file with errors: what those leave unknown is no error."""
        from netdsl.elaborate.build import Elaborator, Recipe  # only errors need it

        given = [(variant.net, variant) for variant in scope.variants.values()]
        bare = [net for net in scope.nets.values() if all(param.default for param in net.node.params)]
        found: dict[tuple[str, str, Span | None], Diagnostic] = {}
        for net, variant in [*given, *((net, None) for net in bare)]:
            try:
                Elaborator(Recipe(net, variant, {}, {})).run()
            except NetError as error:
                for one in error.diagnostics:
                    if one.code != "E217":  # a search space is not decided here
                        found.setdefault((one.code, one.message, one.span), one)
            if len(found) >= most:
                break
        return list(found.values())[:most]

    @staticmethod
    def further_down(diagnostic: Diagnostic, items: tuple[tree.Statement, ...]) -> Diagnostic:
        """Return an error that says so where an unknown name is declared below."""
        span = diagnostic.span
        if diagnostic.code not in ("E200", "E201") or span is None:
            return diagnostic
        for item in items:
            node = item.statement if isinstance(item, tree.Annotated) else item
            names = node.targets if isinstance(node, tree.Assign) else (getattr(node, "name", None),)
            for name in names:
                if isinstance(name, tree.Name) and name.text == span.text and name.start > span.end:
                    help = f"`{name.text}` is declared further down: move it above this line"
                    labels = (Label(Span(span.source, name.start, name.end), "it is declared here"),)
                    return diagnostic.replace(help=help, labels=labels)
        return diagnostic

    @staticmethod
    def parsed(source: Source, scope: FileScope, errors: list[Diagnostic]) -> tree.File:
        """Return the tree of a source, of what is right in it; errors say of other frameworks' text what is here."""
        try:
            return parse(source)
        except Unreadable as error:
            from netdsl.elaborate.elsewhere import translated  # only errors need it

            errors += map(translated, error.diagnostics)
            if error.rest is None:
                raise NetError(errors) from None
            known = {name for item in error.rest.items for name in declared(item)}
            for item in error.rest.items:
                if isinstance(item, tree.Broken):
                    scope.env.lose(item, known)
            return error.rest

    @staticmethod
    def poison(item: tree.Statement, scope: FileScope) -> None:
        """Make unknown what a failed declaration would have made."""
        names = (item.op.text,) if isinstance(item, tree.Default) else declared(item)
        for name in names:
            scope.env.names.setdefault(name, POISON)

    def item(
        self, item: tree.Statement, scope: FileScope, defaults: Mapping[str, Arguments]
    ) -> Mapping[str, Arguments]:
        """Take in one declaration; return the defaults after it."""
        source, env = scope.source, scope.env
        if isinstance(item, tree.Annotated):
            allowances(item, source)
            scope.allows.append(item)
            item = item.statement
        if isinstance(item, tree.Default):
            return default_line(self.evaluator, item, env, source, defaults)
        if isinstance(item, tree.Broken):
            return {op: given for op, given in defaults.items() if op != item.defaults}
        if isinstance(item, tree.Import):
            self.imports(item, scope)
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
            for input in item.inputs:
                check_name(input, source)
            env.names[item.name.text] = OpValue(BlockDecl(item, scope, defaults), {})
        elif isinstance(item, tree.Net):
            self.net(item, scope, defaults)
        elif isinstance(item, tree.Variant):
            self.variant(item, scope, defaults)
        elif isinstance(item, tree.Decide):
            raise decides_nothing(item, source, next(iter(scope.nets), "N"))
        return defaults

    def imports(self, item: tree.Import, scope: FileScope) -> None:
        """`import A, B from "file.net"`."""
        source = scope.source
        at = Span(source, item.file.start, item.file.end)
        try:
            found = self.importer(item.file.text, source)
        except ValueError as error:
            help = "" if item.file.text.endswith(".net") else f'"{item.file.text}.net"'
            raise fail("E218", f"cannot import {item.file.text!r}: {error}", at, help) from None
        open_ = [one.key for one in self.active]
        if found.key in open_:
            chain = " imports ".join(one.name for one in (*self.active[open_.index(found.key) :], found))
            raise fail("E218", f"a file cannot import itself: {chain}", at)
        if len(self.active) >= MAX_DEPTH:
            raise fail("E218", f"imports nest deeper than {MAX_DEPTH}", at)
        if found.key not in self.read:
            _, errors = self._load(found)
            if errors:
                raise NetError(errors)
        loaded = self.read[found.key]
        if loaded is None:
            raise Poisoned
        scope.imports.append(loaded)
        for name in item.names:
            value = loaded.env.names.get(name.text, MISSING)
            if value is MISSING:
                known = list(loaded.env.names)
                help = did_you_mean(name.text, known) or (f"it has {', '.join(known)}" if known else "")
                span = Span(source, name.start, name.end)
                raise fail("E218", f"{item.file.text} has no `{name.text}`", span, help)
            check_declared(name, scope.env, source)
            scope.env.names[name.text] = value

    def table(self, item: tree.Table, scope: FileScope) -> None:
        """`table t(columns):` and rows."""
        source = scope.source
        check_declared(item.name, scope.env, source)
        columns = tuple(name.text for name in item.columns)
        if len(set(columns)) < len(columns):
            span = Span(source, item.columns[0].start, item.columns[-1].end)
            raise fail("E214", f"table {item.name.text}: two columns have one name", span)
        rows = []
        for row in item.rows:
            if isinstance(row, tree.Broken):
                raise Poisoned
            if len(row.cells) != len(columns):
                span = Span(source, row.start, row.end)
                what = f"a row of {len(row.cells)} cells in a table of {len(columns)} columns"
                listed = len(row.cells) == 1 and isinstance(row.cells[0], tree.ListExpr)
                help = f"a row has no brackets: {span.text[1:-1].strip()}" if listed else ""
                raise fail("E209", what, span, help or f"it has {', '.join(columns)}")
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

    def net(self, item: tree.Net, scope: FileScope, defaults: Mapping[str, Arguments]) -> None:
        """`net N(params):`."""
        source, name = scope.source, item.name.text
        check_declared(item.name, scope.env, source)
        check_params(item.params, source)
        if name == name.lower():
            span = Span(source, item.name.start, item.name.end)
            what = f"`{name}` would be both the class and the function that makes it"
            raise fail("E219", what, span, f"begin it with a capital: {name.capitalize()}")
        why = reserved_name(name.lower())
        if why:
            span = Span(source, item.name.start, item.name.end)
            what = f"the function that makes it would be `{name.lower()}`, which {why}"
            raise fail("E219", what, span, "choose another name")
        scope.env.names[name] = scope.nets[name] = NetDecl(item, scope, defaults)

    def variant(self, item: tree.Variant, scope: FileScope, defaults: Mapping[str, Arguments]) -> None:
        """`variant resnet50 = ResNet(...)`."""
        source, name = scope.source, item.name.text
        check_name(item.name, source)
        span = Span(source, item.name.start, item.name.end)
        if name in scope.variants:
            first = scope.variants[name].node.name
            labels = (Label(Span(source, first.start, first.end), "the first is here"),)
            raise fail("E214", f"two variants are called `{name}`", span, labels=labels)
        if name in scope.env.names:
            help = f"call the variant {name.lower()}" if name != name.lower() else ""
            raise fail("E214", f"`{name}` is declared twice", span, help)
        net = scope.env.find(item.net.text)
        if isinstance(net, Data):
            raise Poisoned
        if not isinstance(net, NetDecl):
            known = [name for name, value in scope.env.names.items() if isinstance(value, NetDecl)]
            at = Span(source, item.net.start, item.net.end)
            raise fail("E200", f"unknown net `{item.net.text}`", at, did_you_mean(item.net.text, known))
        scope.variants[name] = variant = VariantDecl(item, net, scope, defaults)
        for one in (one for line in item.body if isinstance(line, tree.Decide) for one in line.decisions):
            answer = Answer(one, scope)
            before = variant.decided.setdefault(one.name.text, answer)
            if before is not answer:
                labels = (Label(before.span, "the first is here"),)
                raise fail("E228", f"`{one.name.text}` is decided twice", answer.span, labels=labels)


def declared(item: tree.Statement) -> tuple[str, ...]:
    """Return the names that a declaration makes."""
    names: tuple[tree.Label, ...] = ()
    if isinstance(item, tree.Annotated):
        item = item.statement
    if isinstance(item, tree.Import):
        names = item.names
    elif isinstance(item, (tree.Def, tree.Table, tree.Block, tree.Net)):
        names = (item.name,)
    elif isinstance(item, tree.Assign):
        names = item.targets
    return tuple([name.text for name in names if isinstance(name, tree.Name)])

"""Definite assignment over Python text: which local names a function may read before anything binds them.

A second opinion beside mypy's `possibly-undefined`: the rules of Java's language specification, chapter 16, on what
emitted modules are made of. A name is a function's own if anything in it binds it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from netdsl.elaborate.evaluate import deep_recursion

Function = ast.FunctionDef | ast.AsyncFunctionDef


def unassigned(text: str) -> list[str]:
    """Return "function:line: name" for each read of a local name that some path to it does not bind."""
    module = ast.parse(text)
    functions = [node for node in ast.walk(module) if isinstance(node, Function)]
    with deep_recursion():  # an expression of many values is as deep
        return [one for function in functions for one in Reads(function).found]


class Reads:
    """The reads of one function, looked at in the order in which they run."""

    def __init__(self, function: Function) -> None:
        """Go through the function."""
        self.name = function.name
        self.found: list[str] = []
        arguments = function.args
        every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
        given = {one.arg for one in (*every, arguments.vararg, arguments.kwarg) if one is not None}
        self.own = {name for node in function.body for name in bound(node)}
        self.leaving: list[list[set[str]]] = []
        """For each loop around, what is bound where `break` leaves it."""
        self.body(function.body, given)

    def body(self, statements: Sequence[ast.stmt], known: set[str]) -> set[str] | None:
        """Return what is bound after statements; None if they do not end."""
        now: set[str] | None = known
        for statement in statements:
            if now is None:
                break
            now = self.statement(statement, now)
        return now

    def statement(self, node: ast.stmt, known: set[str]) -> set[str] | None:
        """Return what is bound after a statement; None if nothing follows it."""
        if isinstance(node, ast.If):
            self.read(node.test, known)
            return either(self.body(node.body, known), self.body(node.orelse, known))
        if isinstance(node, (ast.For, ast.While)):
            self.read(node.iter if isinstance(node, ast.For) else node.test, known)
            within = known | (set(stored(node.target)) if isinstance(node, ast.For) else set())
            self.leaving.append([])
            self.body(node.body, within)
            after = self.body(node.orelse, known)
            for left in self.leaving.pop():
                after = either(after, left)
            return after
        if isinstance(node, ast.With):
            for item in node.items:
                self.read(item.context_expr, known)
                known = known | (set(stored(item.optional_vars)) if item.optional_vars else set())
            return self.body(node.body, known)
        if isinstance(node, ast.Try):
            after = self.body(node.body, known)
            after = self.body(node.orelse, after) if after is not None else None
            for handler in node.handlers:
                after = either(after, self.body(handler.body, known | {handler.name or ""}))
            self.body(node.finalbody, known)
            return after
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            return known | {node.name}
        self.read(node, known)
        if isinstance(node, ast.Break):
            self.leaving[-1].append(known)
        if isinstance(node, (ast.Return, ast.Raise, ast.Break, ast.Continue)):
            return None
        if isinstance(node, ast.Delete):
            return known - {name for target in node.targets for name in names_of(target)}
        if isinstance(node, ast.AnnAssign) and node.value is None:
            return known
        return known | set(bound(node))

    def read(self, node: ast.AST, known: set[str]) -> None:
        """Note the names that an expression or simple statement reads, and nothing has bound."""
        if isinstance(node, (ast.ListComp, ast.SetComp, ast.GeneratorExp, ast.DictComp)):
            for one in node.generators:
                self.read(one.iter, known)
                known = known | set(stored(one.target))
                for test in one.ifs:
                    self.read(test, known)
            values = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
            for value in values:
                self.read(value, known)
            return
        if isinstance(node, ast.Lambda):
            self.read(node.body, known | {one.arg for one in node.args.args})
            return
        reads = isinstance(node, ast.Name) and isinstance(node.ctx, (ast.Load, ast.Del))
        augmented = isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name)
        if reads or augmented:
            name = node.target if isinstance(node, ast.AugAssign) else node
            assert isinstance(name, ast.Name)
            if name.id in self.own and name.id not in known:
                self.found.append(f"{self.name}:{name.lineno}: {name.id}")
        for part in ast.iter_child_nodes(node):
            if isinstance(node, (ast.AnnAssign, ast.arg)) and part is node.annotation:
                continue
            self.read(part, known)


def either(one: set[str] | None, other: set[str] | None) -> set[str] | None:
    """Return what is bound whichever of two ways was taken."""
    if one is None or other is None:
        return other if one is None else one
    return one & other


def bound(node: ast.AST) -> Iterator[str]:
    """Yield the names that a statement binds, anywhere in it but in what has names of its own."""
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        yield node.name
        return
    if isinstance(node, (ast.ListComp, ast.SetComp, ast.GeneratorExp, ast.DictComp, ast.Lambda)):
        return
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        yield node.id
    for part in ast.iter_child_nodes(node):
        yield from bound(part)


def stored(target: ast.AST) -> Iterator[str]:
    """Yield the names that a target binds."""
    return (
        node.id for node in ast.walk(target) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    )


def names_of(target: ast.AST) -> Iterator[str]:
    """Yield the names in a target."""
    return (node.id for node in ast.walk(target) if isinstance(node, ast.Name))

"""Which scopes of a graph are blocks of one class, and what that is called."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping

from netdsl.elaborate.names import class_name
from netdsl.ir.graph import Scope


def class_names(tree: Scope) -> dict[str, str]:
    """Return, by path, what the class of a scope is called; of one that has none, after its label.

    `Fuse2` is `Fuse` where there is that, too, and both are given lists of maps: a module that was compiled has such
    classes for the lengths of lists.
    """
    scopes = [*tree.scopes()]
    lists = {scope.block for scope in scopes if scope.block}
    lists -= {scope.block for scope in scopes if len(scope.inputs) < 2}
    found: dict[str, str] = {}
    for scope in scopes:
        stem = re.sub(r"\d+$", "", scope.block)
        own = stem if {stem, scope.block} <= lists else scope.block
        found[scope.path] = own or class_name(scope.name)
    return found


def grouped(tree: Scope, names: Mapping[str, str]) -> Iterator[tuple[str, list[Scope]]]:
    """Yield the scopes of each class of blocks, with its name; those that a class holds come before it."""
    groups: dict[tuple[str, int], list[Scope]] = {}
    inner: dict[tuple[str, int], set[tuple[str, int]]] = {}

    def walk(scope: Scope, key: tuple[str, int] | None) -> Counter[str]:
        """Return how often a class is within itself, at most, in a scope."""
        depths: Counter[str] = Counter()
        within: list[tuple[str, int]] = []
        for item in scope.written:
            if isinstance(item, Scope) and not item.module:
                depths |= walk(item, None)
                within += found.get(item.path, [])
        if scope.path and (scope.kind == "block" or len(scope.outputs) > 1):
            name = names[scope.path]
            own = (name, depths[name])
            depths[name] += 1
            groups.setdefault(own, []).append(scope)
            inner.setdefault(own, set()).update(within)
            found[scope.path] = [own]
        else:
            found[scope.path] = within
        return depths

    found: dict[str, list[tuple[str, int]]] = {}
    walk(tree, None)
    done: dict[tuple[str, int], bool] = {}
    order: list[tuple[str, int]] = []

    def visit(key: tuple[str, int]) -> bool:
        """Put a class behind those within; tell whether that can be done."""
        if key in done:
            return done[key]
        done[key] = False
        good = all([visit(other) for other in sorted(inner[key], key=list(groups).index)])
        done[key] = True
        order.append(key)
        return good

    if all([visit(key) for key in groups]):
        for key in order:
            yield key[0], groups[key]
    else:  # classes within each other: each scope by itself, inner ones first
        for scope in _inner_first(tree):
            yield names[scope.path], [scope]


def _inner_first(tree: Scope) -> Iterator[Scope]:
    """Yield the scopes that are blocks, those within before those around them."""
    for item in tree.written:
        if isinstance(item, Scope) and not item.module:
            yield from _inner_first(item)
            if item.kind == "block" or len(item.outputs) > 1:
                yield item

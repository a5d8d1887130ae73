"""What a text consists of: its outline, and where it can be folded."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from netdsl.syntax import tree


class Item(NamedTuple):
    """A line of the outline: what it is called, and what is in it."""

    name: str
    kind: str
    detail: str
    start: int
    end: int
    name_start: int
    name_end: int
    items: tuple[Item, ...]


def outline(file: tree.File, text: str) -> tuple[Item, ...]:
    """Return the declarations of a text, with the labels of their bodies."""
    return tuple(_items(file.items, text))


def _items(body: tuple[tree.Statement, ...], text: str) -> Iterator[Item]:
    for outer in body:
        node = outer.statement if isinstance(outer, tree.Annotated) else outer
        end = reach(node)
        inner: tuple[Item, ...] = ()
        if isinstance(node, (tree.Block, tree.Net)):
            inner = tuple(_items(node.body, text))
            kind = "block" if isinstance(node, tree.Block) else "net"
            params = ", ".join(param.name.text for param in node.params)
            yield _item(node.name, text, kind, f"({params})" if params else "", node.start, end, inner)
        elif isinstance(node, tree.Variant):
            detail = f"= {text[node.net.start : node.end]}"
            yield _item(node.name, text, "variant", detail, node.start, end, ())
        elif isinstance(node, tree.Table):
            columns = ", ".join(column.text for column in node.columns)
            yield _item(node.name, text, "table", f"({columns})", node.start, end, ())
        elif isinstance(node, tree.Def):
            yield _item(node.name, text, "function", "", node.start, end, ())
        elif isinstance(node, tree.Assign):
            for target in node.targets:
                yield _item(target, text, "variable", "", node.start, end, ())
        elif isinstance(node, tree.Bind):
            for target in node.targets:
                yield _item(target, text, "value", "", node.start, end, ())
        elif isinstance(node, tree.Stage):
            inner = tuple(_items(node.body, text))
            name = text[node.name.start : node.name.end]
            yield Item(f"stage {name}", "stage", "", node.start, end, node.name.start, node.name.end, inner)
        elif isinstance(node, (tree.If, tree.For)):
            bodies = (
                [*(c.body for c in node.cases), node.otherwise] if isinstance(node, tree.If) else [node.body]
            )
            for one in bodies:
                yield from _items(one, text)
        elif isinstance(node, tree.Input):
            if node.name is not None:
                yield _item(node.name, text, "input", "", node.start, end, ())
        elif isinstance(node, (tree.Line, tree.Output, tree.Weight)) and node.label is not None:
            yield _item(node.label, text, "label", _first_line(text, node, node.label), node.start, end, ())
        elif isinstance(node, (tree.Container, tree.Merge)) and node.label is not None:
            inner = tuple(_items(node.body, text))
            yield _item(node.label, text, "container", "", node.start, end, inner)
        elif isinstance(node, (tree.Container, tree.Merge)):
            yield from _items(node.body, text)


def _first_line(text: str, node: tree.Tree, label: tree.Label) -> str:
    """Return what stands behind a label on its line."""
    rest = text[label.end : node.end].partition("\n")[0].strip(" :\r")
    return rest if len(rest) < 80 else f"{rest[:76]} ..."


def _item(
    name: tree.Label, text: str, kind: str, detail: str, start: int, end: int, inner: tuple[Item, ...]
) -> Item:
    return Item(text[name.start : name.end], kind, detail, start, end, name.start, name.end, inner)


def reach(node: tree.Tree) -> int:
    """Return where a statement or declaration ends, with its body."""
    if isinstance(node, tree.Annotated):
        return reach(node.statement)
    bodies: list[tuple[tree.Tree, ...]] = []
    if isinstance(node, tree.If):
        bodies = [*(case.body for case in node.cases), node.otherwise]
    elif isinstance(
        node,
        (tree.For, tree.Stage, tree.Container, tree.Merge, tree.Block, tree.Net, tree.Variant),
    ):
        bodies = [node.body]
    elif isinstance(node, tree.Table):
        bodies = [node.rows]
    elif isinstance(node, tree.Bind) and isinstance(node.value, tree.Merge):
        bodies = [node.value.body]
    return max([node.end, *(reach(body[-1]) for body in bodies if body)])


def folds(file: tree.File, text: str) -> Iterator[tuple[int, int]]:
    """Yield where bodies begin and end: the offset of a header, and that of the last character of its body."""
    for node in tree.pieces(file):
        if isinstance(node, tree.Statement):
            end = reach(node)
            if "\n" in text[node.start : end] and not isinstance(node, tree.Annotated):
                yield node.start, end
        elif isinstance(node, tree.Case) and node.body:
            yield node.start, reach(node.body[-1])

"""The order in which a scope registers its children, where that is not the order of its text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from netdsl.diagnostics import Label, did_you_mean
from netdsl.elaborate.draft import Place
from netdsl.elaborate.values import fail
from netdsl.syntax import tree

UNREAD = r".*"
"""The label of whatever lines make that could not be read, and whose labels have numbers."""


def ordered(node: tree.Order, body: tree.Body, place: Place) -> tuple[str, ...]:
    """Return the names of an `order` line, which are those of children, or lists of them, in a scope's text."""
    labels: dict[str, tree.Label] = {}
    whole = list(child_labels(body))
    known = [label.partition(r"\.")[0] for label in whole]
    for label in node.labels:
        span = place.span(label)
        if isinstance(label, tree.Template):
            raise fail("E225", f"`order` takes labels without braces, not {span.text}", span)
        name = label.text
        parent = name.partition(".")[0]
        if parent != name and parent in labels:
            raise fail("E220", f"`order` names all of `{parent}` before `{name}`", span)
        if parent != name and re.escape(name) not in whole and any(re.fullmatch(one, name) for one in whole):
            help = f"order {parent}"
            raise fail("E225", f"`{name}` is made in a loop, whose order is that of its turns", span, help)
        if name in labels:
            first = (Label(place.span(labels[name]), "the first is here"),)
            raise fail("E220", f"`order` names `{name}` twice", span, labels=first)
        if not any(re.fullmatch(pattern, name) for pattern in (*known, *whole)):
            names = sorted({one for one in known if re.fullmatch(r"[\w-]+", one)})
            help = did_you_mean(name, names) or (f"there are {', '.join(names)}" if names else "")
            raise fail("E200", f"no module here is called `{name}`", span, help)
        labels[name] = label
    return tuple(labels)


def child_labels(body: Iterable[tree.Tree]) -> Iterator[str]:
    """Yield the labels of the children that a scope's text makes, as regular expressions."""
    for node in body:
        if isinstance(node, tree.Annotated):
            yield from child_labels((node.statement,))
        elif isinstance(node, tree.If):
            for part in (*[case.body for case in node.cases], node.otherwise):
                yield from child_labels(part)
        elif isinstance(node, (tree.For, tree.Stage)):
            yield from child_labels(node.body)
        elif isinstance(node, tree.Repeat):
            yield from child_labels((node.step,))
        elif isinstance(node, tree.Bind):
            yield from child_labels((node.value,))
        elif isinstance(node, (tree.Chain, tree.Optional)):
            yield from child_labels(node.steps)
        elif isinstance(node, tree.Output):
            yield _pattern(node.label)
            yield from child_labels((node.chain,))
        elif (label := getattr(node, "label", None)) is not None:
            yield _pattern(label)
        elif isinstance(node, (tree.Line, tree.Branch)):
            yield from child_labels((node.chain,))
        elif isinstance(node, tree.Merge):
            yield from child_labels(node.body)
        elif isinstance(node, tree.Group) and len(node.branches) > 1:
            yield from child_labels(node.branches)
        elif isinstance(node, tree.Broken):
            yield from (re.escape(name) for name in node.names)
            yield from (UNREAD,) if node.computed else ()


def _pattern(label: tree.Label) -> str:
    parts = label.parts if isinstance(label, tree.Template) else (label.text,)
    return "".join(re.escape(part) if isinstance(part, str) else "[0-9]+" for part in parts)

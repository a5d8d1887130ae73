"""Convolutions over one map as one: those of GoogLeNet's branches that begin with a 1x1, whose output is then split.

It saves reading the map several times, and makes parts of a larger map that are to be read: where the channels lie
last, each part is copied before the next convolution. So a backend says whether it pays (`merges`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from netdsl.ir.graph import Node, Scope, Value
from netdsl.ops import Op
from netdsl.ops.activation import Activation
from netdsl.ops.conv import Conv
from netdsl.ops.part import Split
from netdsl.transforms.change import Change, Formula

if TYPE_CHECKING:
    from netdsl.ops.base import Array


class Sibling(NamedTuple):
    """A convolution with what follows it alone, activation by activation."""

    nodes: tuple[Node, ...]

    @property
    def first(self) -> str:
        """The convolution."""
        return self.nodes[0].name

    @property
    def last(self) -> str:
        """What others read."""
        return self.nodes[-1].name

    @property
    def kind(self) -> str:
        """What siblings have in common: all but their channels."""
        conv, *others = (node.op for node in self.nodes)
        return repr((conv.replace(channels=1), others))


def merge_siblings(change: Change) -> None:
    """Make one convolution, called after the first, of those that read one map and are alike but for their channels.

    The first must be all that its containers still do, up to the scope that holds all of them, so that its output
    leaves them whole, and is split there.
    """
    around = dict(_around(change.net.graph.tree, ()))
    groups: dict[Value, dict[str, list[Sibling]]] = {}
    for node in change.ordered():
        if type(node.op) is Conv and node.op.groups == 1 and len(change.calls(node.home)) == 1:
            one = _sibling(change, node)
            if any(change.now(value).node == one.last for value in change.kept):
                continue  # it is not to be found in another place
            groups.setdefault(node.inputs[0], {}).setdefault(one.kind, []).append(one)
    for siblings in (alike for kinds in groups.values() for alike in kinds.values() if len(alike) > 1):
        shared = _shared([around[one.first] for one in siblings])
        ends = around[siblings[0].first][len(shared) :]
        if all(_ends(change, scope, siblings[0].last) for scope in ends):
            _merge(change, siblings, ends[0].path if ends else siblings[0].last)


def _sibling(change: Change, node: Node) -> Sibling:
    nodes = [node]
    while (after := change.reader(nodes[-1].name)) is not None and not after.module:
        plain = isinstance(after.op, Activation) and after.op.channelwise
        if not plain or type(after.op).weights is not Op.weights or len(after.inputs) > 1:
            break
        nodes.append(after)
    return Sibling(tuple(nodes))


def _merge(change: Change, siblings: list[Sibling], behind: str) -> None:
    """Put the first in the place of all, and a split behind it."""
    first, *others = siblings
    conv = change.nodes[first.first].op
    assert isinstance(conv, Conv)
    parts = tuple(change.nodes[one.first].op.arguments()["channels"] for one in siblings)
    for key in ("weight", *(["bias"] if conv.bias else [])):
        rows = [change.tensor(f"{one.first}.{key}") for one in siblings]
        change.state[f"{first.first}.{key}"] = Formula.of(_joined, *rows)
    change.replace(first.first, conv.replace(channels=sum(parts)))
    name = f"{behind}~split"
    change.insert(Value(first.last), Split(parts=parts), name)
    change.places[name] = behind
    for port, one in enumerate(others, 1):
        change.redirect(Value(one.last), Value(name, port))
        change.delete(*(node.name for node in one.nodes))


def _joined(*rows: Array) -> Array:
    from numpy import concatenate

    return concatenate(rows)


def _around(scope: Scope, outer: tuple[Scope, ...]) -> Iterator[tuple[str, tuple[Scope, ...]]]:
    """Yield each node of a scope with the scopes that it is in, outermost first."""
    inner = (*outer, scope)
    for item in scope.written:
        if isinstance(item, Scope):
            yield from _around(item, inner)
        else:
            yield item, inner


def _shared(paths: list[tuple[Scope, ...]]) -> list[Scope]:
    """Return the scopes that all are in."""
    found = []
    for scopes in zip(*paths, strict=False):
        if any(scope is not scopes[0] for scope in scopes):
            break
        found.append(scopes[0])
    return found


def _ends(change: Change, scope: Scope, name: str) -> bool:
    """Tell whether all that leaves a scope is what a node makes."""
    left = {change.now(value) for value in scope.outputs}
    return scope.module == "" and left == {Value(name)}

"""Which layer of one net is which of another.

Layers are matched by the module tree: a name that both nets have is one layer. Names that are numbered, `0`, `1` or
`stage1`, `stage2`, say little where one was put in between: they are matched by what they hold, as sequences, if
more weights keep their shapes so. What is left, as names lack a partner, is matched by what it holds, too.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from difflib import SequenceMatcher

from netdsl.elaborate.values import show
from netdsl.ir.graph import Graph, Node, Scope
from netdsl.net import Net
from netdsl.ops.conv import Conv, DwConv

_ALIGNED = 2_000
"""The most items that are aligned as sequences, which takes the square of their number; beyond it they are paired."""
_ALIKE = 0.75
"""The least part of the layers that two blocks have in common of which one is the other under a new name."""

Item = str | Scope
Pair = tuple[Item, Item]
_Held = tuple[str, str, tuple[tuple[str, tuple[int, ...]], ...]]
"""What a layer is called in a block, its op, and the shapes of its weights."""


class Matching:
    """The layers of two nets, and the blocks that they are in, as pairs."""

    def __init__(self, before: Net, after: Net) -> None:
        """Match all."""
        self.nets = before, after
        self.partner: dict[str, str] = {}
        """By layer or input of the net before, which it is in the net after."""
        self.renamed: dict[str, str] = {}
        """By block of the net before, what it is called after, if one of another name holds nearly the same."""
        self._held: dict[tuple[int, str], Counter[_Held]] = {}
        self._names: tuple[dict[str, str], dict[str, str]] = {}, {}
        self._inputs(before.graph.inputs, after.graph.inputs)
        self._match(before.graph.tree, after.graph.tree)
        self.matched = set(self.partner.values())
        """The layers and inputs of the net after that were in the one before."""

    def _inputs(self, old: dict[str, str], new: dict[str, str]) -> None:
        """Match inputs by name, and those that are left by place."""
        both = [name for name in old if name in new]
        left = [[name for name in names if name not in both] for names in (old, new)]
        for one, other in [*zip(both, both, strict=True), *zip(*left, strict=False)]:
            self.partner[old[one]] = new[other]

    def _match(self, old: Scope, new: Scope) -> None:
        """Match what two scopes hold."""
        families: dict[str, tuple[list[Item], list[Item]]] = {}
        for side, scope in enumerate((old, new)):
            inputs = set(self.nets[side].graph.inputs.values())
            for item in scope.written:
                if _path(item) not in inputs:
                    name = self._names[side][_path(item)] = scope.local(item)
                    families.setdefault(_family(name), ([], []))[side].append(item)
        for ones, others in families.values():
            for one, other in self._chosen(ones, others):
                self._same(one, other)
        self._match_stateless(old, new)

    def _match_stateless(self, old: Scope, new: Scope) -> None:
        """Match the layers without weights that are left by their places, since what they are called is no key."""
        found = {new: old for old, new in self.partner.items()}
        items: tuple[list[str], list[str]] = [], []
        for side, scope in enumerate((old, new)):
            known = found if side else self.partner
            for item in scope.written:
                if isinstance(item, str) and (
                    item in known or not self._weights(side, self.nets[side].graph[item])
                ):
                    items[side].append(item)
        for describe in (layer, _op, _sort):
            texts = (
                [self.partner.get(item) or describe(self.nets[0].graph[item]) for item in items[0]],
                [item if item in found else describe(self.nets[1].graph[item]) for item in items[1]],
            )
            for (i, j), (k, m), equal in _blocks(*texts):
                for one, other in zip(items[0][i:j], items[1][k:m], strict=True) if equal else ():
                    found[other] = self.partner.setdefault(one, other)

    def _same(self, old: Item, new: Item) -> None:
        if isinstance(old, Scope) and isinstance(new, Scope):
            if old.block != new.block and self._alike(old, new):
                self.renamed.setdefault(old.block, new.block)
            self._match(old, new)
        elif isinstance(old, str) and isinstance(new, str):
            self.partner[old] = new

    # ------------------------------------------------------------ names or contents

    def _chosen(self, old: Sequence[Item], new: Sequence[Item]) -> Iterator[Pair]:
        """Yield the pairs of a family: by name, unless they fit better by what they hold."""
        names, others = self._names
        named = {others[_path(item)]: item for item in new}
        pairs = []
        for item in old:
            other = named.get(names[_path(item)])
            if other is not None and self._may_be(item, other):
                pairs.append((item, other))
        aligned = list(self._aligned(old, new)) if len(old) + len(new) > 2 else []
        if self._score(aligned) > self._score(pairs):
            pairs = aligned
        else:
            taken = [{_path(pair[side]) for pair in pairs} for side in (0, 1)]
            left = [
                [item for item in items if _path(item) not in known]
                for items, known in zip((old, new), taken, strict=True)
            ]
            pairs += self._aligned(*left)
        yield from pairs

    def _may_be(self, old: Item, new: Item) -> bool:
        """Tell whether an item may be that of its name: a label is a name, a position among others less of one."""
        if isinstance(old, Scope) or isinstance(new, Scope):
            if not (isinstance(old, Scope) and isinstance(new, Scope)):
                return False
            known = not old.name.isdigit() or old.block == new.block
            return known or self._alike(old, new) or self._same_weights(old, new)
        if not self._names[0][old].isdigit():
            return True
        a, b = self.nets[0].graph[old], self.nets[1].graph[new]
        return _op(a) == _op(b) or [*self._weights(0, a)] == [*self._weights(1, b)]

    def _score(self, pairs: Iterable[Pair]) -> tuple[int, int, int]:
        """Return what is in favour of pairs: weights that keep their shapes, keys that stay, layers that fit."""
        kept = moved = fits = 0
        for old, new in pairs:
            a, b = self._holds(0, old), self._holds(1, new)
            common = a & b
            weights = sum(count for (_, _, weights), count in common.items() if weights)
            kept, fits = kept + weights, fits + common.total()
            moved += weights if self._names[0][_path(old)] != self._names[1][_path(new)] else 0
        return kept, -moved, fits

    def _holds(self, side: int, item: Item) -> Counter[_Held]:
        """Return the layers of an item: what they are called in it, the op, the shapes of their weights."""
        path = _path(item)
        if (side, path) not in self._held:
            graph = self.nets[side].graph
            nodes = [graph[name] for name in (item.nodes() if isinstance(item, Scope) else [item])]
            self._held[side, path] = Counter(
                (node.name[len(path) :], _op(node), tuple(self._weights(side, node).items()))
                for node in nodes
            )
        return self._held[side, path]

    def _weights(self, side: int, node: Node) -> dict[str, tuple[int, ...]]:
        return {} if node.module else dict(node.op.weights(*self.nets[side].inputs_of(node.name)))

    def _alike(self, old: Scope, new: Scope) -> bool:
        """Tell whether most layers of two blocks are called the same, and have weights of the same shapes."""
        a, b = self._holds(0, old), self._holds(1, new)
        return (a & b).total() >= _ALIKE * max(a.total(), b.total(), 1)

    def _same_weights(self, old: Scope, new: Scope) -> bool:
        """Tell whether two scopes have the same weights under the same names, whatever is between them."""
        a, b = (
            {held: count for held, count in self._holds(side, scope).items() if held[2]}
            for side, scope in enumerate((old, new))
        )
        return bool(a) and a == b

    # ------------------------------------------------------------ contents

    def _aligned(self, old: Sequence[Item], new: Sequence[Item]) -> Iterator[Pair]:
        """Yield the pairs of two sequences: first what is equal, then, in between, what is of one kind."""
        graphs = [net.graph for net in self.nets]
        texts = [
            [_signature(item, graph) for item in items]
            for items, graph in zip((old, new), graphs, strict=True)
        ]
        for (i, j), (k, m), equal in _blocks(*texts):
            if equal:
                yield from zip(old[i:j], new[k:m], strict=True)
                continue
            kinds = [_kind(x, graphs[0]) for x in old[i:j]], [_kind(x, graphs[1]) for x in new[k:m]]
            for (p, q), (r, t), alike in _blocks(*kinds):
                if alike:
                    yield from zip(old[i + p : i + q], new[k + r : k + t], strict=True)


def _blocks(a: Sequence[str], b: Sequence[str]) -> Iterator[tuple[tuple[int, int], tuple[int, int], bool]]:
    """Yield the parts of two sequences that belong together, and whether they are equal."""
    least = min(len(a), len(b))
    head = next((i for i in range(least) if a[i] != b[i]), least)
    tail = next((i for i in range(least - head) if a[-1 - i] != b[-1 - i]), least - head)
    i, j, k, m = head, len(a) - tail, head, len(b) - tail
    yield (0, i), (0, k), True
    if max(j - i, m - k) <= _ALIGNED:
        matcher = SequenceMatcher(None, a[i:j], b[k:m], autojunk=False)
        for tag, p, q, r, t in matcher.get_opcodes():
            yield (i + p, i + q), (k + r, k + t), tag == "equal"
    else:
        for n in range(min(j - i, m - k)):
            yield (i + n, i + n + 1), (k + n, k + n + 1), a[i + n] == b[k + n]
    yield (j, len(a)), (m, len(b)), True


def _family(name: str) -> str:
    """Return what names have in common that are numbered: `stage#` of `stage1`."""
    return re.sub(r"[0-9]+", "#", name)


def _path(item: Item) -> str:
    return item.path if isinstance(item, Scope) else item


def _signature(item: Item, graph: Graph) -> str:
    """Return what two items have in common that are equal, whatever they are called."""
    if isinstance(item, Scope):
        inner = (f"{_label(item.local(x))}: {_signature(x, graph)}" for x in item.written)
        return f"{item.block}({', '.join(inner)})"
    return layer(graph[item])


def _label(name: str) -> str:
    """Return the label of an item by what its scope calls it, "" if it goes by its position."""
    return "" if name.isdigit() else name


def _kind(item: Item, graph: Graph) -> str:
    """Return what two items have in common of which one may have become the other."""
    return f"block {item.block}" if isinstance(item, Scope) else _op(graph[item])


def _op(node: Node) -> str:
    """Return what an op is called; a depthwise convolution is one with as many groups as channels."""
    return Conv.name if type(node.op) is DwConv else node.op.name


def _sort(node: Node) -> str:
    """Return of which family an op is, such as activations."""
    return type(node.op).__module__


def layer(node: Node) -> str:
    """Return an op with its arguments, as a spec has them."""
    op = node.op
    given = {k: show(v) for k, v in op.arguments().items() if k not in op._defaults or v != op._defaults[k]}
    words = [given.pop(k) for k in op.positional if k in given] + [f"{k}={v}" for k, v in given.items()]
    return f"{op.name} {', '.join(words)}".rstrip()

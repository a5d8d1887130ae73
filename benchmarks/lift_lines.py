"""Lines of lifted specs over those that people wrote for the same nets, and the time that lifting takes.

Each net of the zoo is lifted from its graph, once with what its blocks were given and once without. Counted is what
one net needs: its net, the blocks, tables and functions that it reaches by name, its own variant, and the file's
`default` lines; without comments, blank lines, `meta`, `require`, `init` and `import` lines and annotations.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from statistics import median
from time import process_time

import netdsl
from netdsl import Network
from netdsl.api import zoo_names
from netdsl.data import folder
from netdsl.lifting import difference, lifted
from netdsl.source import Source
from netdsl.syntax import tree
from netdsl.syntax.parse import parse

LEFT_OUT = (tree.Meta, tree.Require, tree.InitLine, tree.Import)


def main(names: list[str]) -> None:
    """Print a table of the names given, else of all nets."""
    print(f"{'net':32} {'lifted':>6} {'bare':>6} {'hand':>6} {'ratio':>6} {'s':>6}")
    ratios: dict[str, float] = {}
    for name, file in zoo_names().items():
        if (names and name not in names) or name in ("supernet", "digitssearch"):
            continue
        net = netdsl.load(f"{file}:{name}")
        begin = process_time()
        known = _lines_of(net)
        seconds = process_time() - begin
        for scope in net.graph.tree.scopes():
            scope.args = {}
        bare = _lines_of(net)
        source = net.recipe.net.file.source
        hand = count(_items(source), net.name)
        ratios[net.name] = known / hand
        print(f"{name:32} {known:6} {bare:6} {hand:6} {known / hand:6.2f} {seconds:6.2f}")
    values = sorted(ratios.values())
    above = [f"{name} {ratio:.2f}" for name, ratio in ratios.items() if ratio > 1.3]
    print(f"median {median(values):.2f}, most {values[-1]:.2f}; above 1.3: {', '.join(above) or 'none'}")


def _lines_of(net: Network) -> int:
    """Return the lines of a lifted net, which is the net."""
    recipe, made = lifted(net.graph, net.elaborated.shapes, net.name)
    assert difference(net.graph, made.graph) == ""
    return count(_items(recipe.net.file.source), net.name)


def _items(source: Source) -> list[tuple[Source, tree.Statement]]:
    """Return the declarations of a file, and those that it imports."""
    found: list[tuple[Source, tree.Statement]] = []
    for item in parse(source).items:
        if isinstance(item, tree.Import):
            path = folder("specs") / item.file.text
            found += _items(Source(path.name, path.read_text(encoding="utf-8")))
        else:
            found.append((source, item))
    return found


def count(items: list[tuple[Source, tree.Statement]], name: str) -> int:
    """Return how many lines of a file the net or variant of a name needs."""
    named: dict[str, tuple[Source, tree.Statement]] = {}
    always = []
    for source, item in items:
        plain = item.statement if isinstance(item, tree.Annotated) else item
        if isinstance(plain, tree.Default):
            always.append((source, item))
        elif isinstance(plain, tree.Assign):
            named.update(
                {target.text: (source, item) for target in plain.targets if isinstance(target, tree.Name)}
            )
        elif isinstance(plain, (tree.Block, tree.Net, tree.Variant, tree.Table, tree.Def)):
            named.setdefault(plain.name.text, (source, item))
    begin = name if name in named else next(one for one in named if one.lower() == name)
    used: dict[str, None] = {begin: None}
    todo = [begin]
    while todo:
        for word in _words(named[todo.pop()][1]):
            if word in named and word not in used:
                used[word] = None
                todo.append(word)
    return sum(_lines(*one) for one in (*always, *(named[one] for one in used)))


def _words(node: tree.Tree) -> Iterator[str]:
    yield from (one.text for one in tree.pieces(node) if isinstance(one, tree.Name))


def _lines(source: Source, item: tree.Statement) -> int:
    """Return how many lines a declaration has."""
    text = source.text
    first = text.count("\n", 0, item.start)
    end = max(one.end for one in tree.pieces(item))
    lines = text[item.start : end].rstrip().split("\n")
    kept = {first + at for at, line in enumerate(lines) if line.split("#")[0].strip()}
    for one in tree.pieces(item):
        if isinstance(one, LEFT_OUT):
            kept -= set(range(text.count("\n", 0, one.start), text.count("\n", 0, one.end - 1) + 1))
        if isinstance(one, tree.Annotated):
            kept -= set(range(text.count("\n", 0, one.start), text.count("\n", 0, one.statement.start)))
    return len(kept)


if __name__ == "__main__":
    main(sys.argv[1:])

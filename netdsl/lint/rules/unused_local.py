"""Rule unused_local."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from netdsl.lint.edits import names_read, walk
from netdsl.lint.facts import FileFacts
from netdsl.lint.rule import Hit, Rule
from netdsl.syntax import tree


class UnusedLocal(Rule):
    """A local name that nothing reads.

    ## What it does
    Finds `name = value` in a block or net whose name is not read there, and `name = from flow` of which nobody
    takes it.

    ## Why is this bad
    It computes nothing that anybody sees; mostly another name is read where this one was meant, such as a width
    that stays what it was.

    ## Bad
        net N:
            input 3, 32x32
            wide = 64
            features: conv 3x3, 16 -> relu
            gap
            fc: fc 10

    ## Good
        net N:
            input 3, 32x32
            wide = 64
            features: conv 3x3, wide -> relu
            gap
            fc: fc 10

    ## Fix safety
    There is no automatic fix: which name was meant is not known here.

    ## References
    F841 of Pyflakes
    """

    code: ClassVar[str] = "L606"

    def check_file(self, file: FileFacts) -> Iterator[Hit]:
        """Look for each name in the rest of its block or net."""
        for item in file.text.nodes:
            if not isinstance(item, tree.Block | tree.Net | tree.Variant):
                continue
            inside = [node for statement in item.body for node in walk(statement)]
            bound = [node for node in inside if isinstance(node, tree.Assign) or _copies(node)]
            reads = set(names_read(item)) if bound else set()
            for node in bound:
                assert isinstance(node, tree.Assign | tree.Bind)
                names = [target.text for target in node.targets if isinstance(target, tree.Name)]
                if len(names) == len(node.targets) and not reads.intersection(names):
                    yield Hit(
                        f"`{', '.join(names)}` is not read in {item.name.text}",
                        file.text.span(node.targets[0]),
                        help="read it, or take the line away",
                    )


def _copies(node: tree.Tree) -> bool:
    """Tell whether a statement gives the flow, or another value, a name."""
    return isinstance(node, tree.Bind) and isinstance(node.value, tree.Chain) and not node.value.steps

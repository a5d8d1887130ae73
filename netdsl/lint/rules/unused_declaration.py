"""Rule unused_declaration."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from netdsl.lint.edits import names_read
from netdsl.lint.facts import FileFacts
from netdsl.lint.rule import Hit, Rule
from netdsl.syntax import tree


class UnusedDeclaration(Rule):
    """A block, table or function that the file does not use.

    ## What it does
    Finds a `block`, `table` or `def` that nothing else in the file mentions, in a file with a net.

    ## Why is this bad
    Who reads the spec looks for what it is for; and it mostly was to be used: a block that replaces another is
    written, and the old one still called.

    ## Bad
        block Old(c):
            conv: conv 3x3, c -> relu

        block New(c):
            conv: conv 5x5, c -> relu

        net N:
            input 3, 32x32
            features: New 16
            gap
            fc: fc 10

    ## Good
        block New(c):
            conv: conv 5x5, c -> relu

        net N:
            input 3, 32x32
            features: New 16
            gap
            fc: fc 10

    ## Fix safety
    There is no automatic fix: another file may import it.

    ## References
    F841 of Pyflakes, for names of a module
    """

    code: ClassVar[str] = "L605"

    def check_file(self, file: FileFacts) -> Iterator[Hit]:
        """Look for the name of every declaration in all others."""
        items = [
            item.statement if isinstance(item, tree.Annotated) else item for item in file.text.file.items
        ]
        if not any(isinstance(item, tree.Net) for item in items):
            return
        reads = [set(names_read(item)) for item in items]
        for index, item in enumerate(items):
            if not isinstance(item, tree.Block | tree.Table | tree.Def):
                continue
            name = item.name.text
            if not any(name in names for at, names in enumerate(reads) if at != index):
                kind = type(item).__name__.lower().replace("def", "function")
                yield Hit(
                    f"{kind} `{name}` is not used in this file",
                    file.text.span(item.name),
                    help="use it or take it away; with @allow, if another file imports it",
                )

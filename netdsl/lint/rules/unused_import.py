"""Rule unused_import."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from netdsl.lint.facts import FileFacts
from netdsl.lint.rule import Fix, Hit, Rule
from netdsl.syntax import tree


class UnusedImport(Rule):
    """An import that the file does not use.

    ## What it does
    Finds a name that is imported and never mentioned again.

    ## Why is this bad
    The other file is read, and has to be there, for nothing; and who reads the spec looks for what it is for.

    ## Bad
        import Bottleneck from "resnet.net"

        net N:
            input 3, 32x32
            features:
                conv 3x3, 64 -> relu
            gap
            fc: fc 10

    ## Good
        net N:
            input 3, 32x32
            features:
                conv 3x3, 64 -> relu
            gap
            fc: fc 10

    ## Fix safety
    Safe, unless a third file imports the name from this one.

    ## References
    F401 of Pyflakes
    """

    code: ClassVar[str] = "L603"

    def check_file(self, file: FileFacts) -> Iterator[Hit]:
        """Look for every imported name in the rest of the file."""
        imports = [item for item in file.text.nodes if isinstance(item, tree.Import)]
        if not imports:
            return
        own = {id(name) for item in imports for name in item.names}
        used = {node.text for node in file.text.nodes if isinstance(node, tree.Name) and id(node) not in own}
        for item in imports:
            unused = [name for name in item.names if name.text not in used]
            for name in unused:
                whole = len(unused) == len(item.names)
                edits = (
                    file.text.remove_statement(file.text.span(item))
                    if whole
                    else file.text.remove_item(name, item.names)
                )
                message = f"`{name.text}` is imported from {item.file.text} and not used"
                yield Hit(
                    message, file.text.span(name), help="take it away", fix=Fix(edits) if edits else None
                )

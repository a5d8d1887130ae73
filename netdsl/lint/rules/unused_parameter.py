"""Rule unused_parameter."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from netdsl.lint.edits import names_read
from netdsl.lint.facts import FileFacts
from netdsl.lint.rule import Hit, Rule
from netdsl.syntax import tree


class UnusedParameter(Rule):
    """A parameter that changes nothing.

    ## What it does
    Finds a parameter of a net, a block or a `def` that its body never reads.

    ## Why is this bad
    Callers set it and believe that it does something: `--set drop=0.5` is accepted, and the net is the same.

    ## Bad
        net N(drop = 0.2):
            input 3, 32x32
            features:
                conv 3x3, 64 -> relu
            gap
            fc: fc 10

    ## Good
        net N(drop = 0.2):
            input 3, 32x32
            features:
                conv 3x3, 64 -> relu
            gap
            dropout drop
            fc: fc 10

    ## Fix safety
    There is no automatic fix: whoever gives the argument has to change too.

    ## References
    ARG001 of flake8-unused-arguments
    """

    code: ClassVar[str] = "L604"

    def check_file(self, file: FileFacts) -> Iterator[Hit]:
        """Look for every parameter in what it could be meant for: the body, and the defaults after it."""
        for item in file.text.nodes:
            inside: list[tree.Tree] = []
            if isinstance(item, tree.Def):
                params, inside, what = item.params, [item.value], f"def {item.name.text}"
            elif isinstance(item, (tree.Block, tree.Net)):
                params, what = tuple(param.name for param in item.params), item.name.text
                defaults = [part for param in item.params for part in (param.allowed, param.default) if part]
                inside = [*item.body, *defaults]
            else:
                continue
            used = {name for part in inside for name in names_read(part)}
            for name in params:
                if name.text not in used:
                    message = f"the parameter `{name.text}` of {what} is never read"
                    yield Hit(message, file.text.span(name), help="read it, or take it away")

"""Rule unused_allow."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from netdsl.diagnostics import did_you_mean
from netdsl.lint.facts import FileFacts
from netdsl.lint.rule import Fix, Hit, Rule
from netdsl.lint.rules import catalogue


class UnusedAllow(Rule):
    """An `@allow` that silences nothing.

    ## What it does
    Finds an `@allow` of a rule that finds nothing there, or of a rule that does not exist.

    ## Why is this bad
    It says that something is wrong where nothing is, and hides what may go wrong later. A misspelt name silences
    nothing.

    ## Bad
        net N:
            input 3, 32x32
            features:
                conv 3x3, 64 -> relu
            gap
            @allow(huge_fc, "as in the paper")
            fc: fc 10

    ## Good
        net N:
            input 3, 32x32
            features:
                conv 3x3, 64 -> relu
            gap
            fc: fc 10

    ## Fix safety
    Safe: annotations are no part of the net.

    ## References
    `unused-noqa` of ruff; `unused_expectations` of rustc's lints
    """

    code: ClassVar[str] = "L602"
    last: ClassVar[bool] = True

    def check_file(self, file: FileFacts) -> Iterator[Hit]:
        """Look at each annotation of the file."""
        names = {rule.name(): code for code, rule in catalogue().items()}
        codes = {code: name for name, code in names.items()}
        for allow, used in file.allows:
            name = allow.rule
            if name not in names:
                help = f"write {codes[name]}" if name in codes else did_you_mean(name, list(names))
                yield Hit(f"@allow({name}): there is no rule of that name", allow.span, help=help)
            elif not used:
                edits = file.text.remove_annotation(allow.span)
                message = f"@allow({name}) silences nothing: {names[name]} finds nothing here"
                yield Hit(message, allow.span, help="take it away", fix=Fix(edits) if edits else None)

"""Rule budget."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from netdsl.cost.budget import Claim
from netdsl.diagnostics import Severity
from netdsl.lint.facts import Facts
from netdsl.lint.rule import Hit, Rule


class OverBudget(Rule):
    """A net that costs more than it may.

    ## What it does
    Holds every net against its `require` lines, and against the budgets of the project's configuration; says who
    spends most.

    ## Why is this bad
    A net for a phone that no longer fits it is found out late, when it has been trained. The number is known from
    the spec alone.

    ## Bad
        net N:
            input 3, 32x32
            require params <= 1K
            features:
                conv 3x3, 64 -> relu
            gap
            fc: fc 10

    ## Good
        net N:
            input 3, 32x32
            require params <= 5K
            features:
                conv 3x3, 64 -> relu
            gap
            fc: fc 10

    ## Fix safety
    There is no automatic fix. The lines below the finding say which layers to begin with.

    ## References
    Budgets of a project: `[tool.netdsl.lint.budgets]`, such as `"mobile*" = { params = "5M", macs = "600M" }`
    """

    code: ClassVar[str] = "L601"
    severity: ClassVar[Severity] = "error"

    def check(self, facts: Facts) -> Iterator[Hit]:
        """Judge every claim about the net."""
        for found in facts.net.check():
            span = found.span or facts.span
            help = found.help or "make the largest of these layers smaller, or raise the budget"
            yield Hit(found.message, span, calls=found.calls, help=help, details=found.details)
        for limit in facts.limits:
            claim = Claim(facts.net, limit.budget)
            holds, what = claim.judge(limit.budget.claim)
            if not holds:
                failure = claim.failure(what)
                help = f"the budget is from {limit.origin}"
                yield Hit(failure.message, facts.span, help=help, details=failure.details)

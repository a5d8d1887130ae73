"""Rule lrn_used."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import ClassVar

from netdsl.cost.table import human
from netdsl.diagnostics import Severity
from netdsl.lint.facts import Facts
from netdsl.lint.rule import Hit, Rule
from netdsl.ops.norm import LocalResponseNorm
from netdsl.transforms.rewrite import Rewrite


class LrnUsed(Rule):
    """A local response normalisation.

    ## What it does
    Finds every `lrn`.

    ## Why is this bad
    It does not help: VGG's authors found no gain on ImageNet, only more memory and more time, and left it out of
    all their nets but one. In PyTorch it is made of six steps, and keeps 4.06 times a map of 64 channels for the
    backward pass (benchmarks/evidence.py); a batch normalisation keeps one.

    ## Bad
        net N:
            input 3, 32x32
            features:
                conv 3x3, 64 -> relu -> lrn
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
    There is no automatic fix: it is another function. Leave it out, or write `bn` before the activation.

    ## References
    Simonyan and Zisserman, arXiv 1409.1556, sections 2.1 and 4.1; Krizhevsky et al. 2012, section 3.3
    """

    code: ClassVar[str] = "L411"
    severity: ClassVar[Severity] = "info"

    def check(self, facts: Facts) -> Iterator[Hit]:
        """Yield each of them."""
        for node in facts.of(LocalResponseNorm):
            kept = facts.cost(node).activations * 17 // 4
            yield self.hit(
                node,
                f"{facts.called(node)} does {human(facts.cost(node).ops)} ops, and keeps {human(kept)}B a sample for "
                "the backward pass",
                help="leave it out, or bn before the activation",
                change=partial(Rewrite.remove, name=node.name),
            )

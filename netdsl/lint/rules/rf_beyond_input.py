"""Rule rf_beyond_input."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from netdsl.cost.table import human
from netdsl.diagnostics import Severity
from netdsl.ir.graph import Node
from netdsl.lint.facts import Facts
from netdsl.lint.rule import Hit, Rule, Threshold


class RfBeyondInput(Rule):
    """Layers that look around where each place has seen the whole input already.

    ## What it does
    Counts the convolutions with kernels larger than 1x1 that read a map whose places see the whole input on every
    path from it, shortcuts too, and says what they cost. Layers behind a global average are not meant.

    ## Why is this bad
    They cannot bring anything new together, and much of what they see is padding. Richter et al. find that layers
    behind the place at which the receptive field passes the input's size add next to nothing to the quality of the
    prediction, and can be left out.

    ## Bad
        net N:
            input 3, 48x48
            features:
                3 * (conv 3x3, 16, /2 -> relu)
                5 * (conv 3x3, 16 -> relu)
            gap
            fc: fc 10

    ## Good
        net N:
            input 3, 48x48
            features:
                3 * (conv 3x3, 16, /2 -> relu)
                conv 3x3, 16 -> relu
            gap
            fc: fc 10

    ## Fix safety
    There is no automatic fix: leave layers out, stride later, or take larger inputs.

    ## References
    Richter et al., Should you go deeper?, arXiv 2106.12307
    """

    code: ClassVar[str] = "L503"
    severity: ClassVar[Severity] = "info"
    thresholds: ClassVar = {"layers": Threshold(1, "such layers that a net may have")}

    def check(self, facts: Facts) -> Iterator[Hit]:
        """Look at what each convolution reads."""
        beyond = [node for node in facts.convolutions if _beyond(node, facts)]
        if len(beyond) <= self.limit("layers") or facts.drowned:  # of those speaks stride_beyond_input
            return
        params = sum(facts.cost(node).params for node in beyond)
        macs = sum(facts.cost(node).macs for node in beyond)
        first = facts.net.receptive[facts.source(beyond[0]).name]
        yield Hit(
            f"{facts.name}: {len(beyond)} convolutions from {facts.called(beyond[0])} on read places that see "
            f"the whole input, {float(first.rows.smallest):g} pixels or more where there are {first.rows.size}: "
            f"{human(params)} params, {100 * macs / max(1, facts.total.macs):.1f}% of the MACs",
            facts.span,
            help="stride later, leave some of them out, or take larger inputs",
        )


def _beyond(node: Node, facts: Facts) -> bool:
    """Tell whether a layer has a kernel, and reads places that see everything along both axes."""
    slides = facts.window(node)
    seen = facts.net.receptive.get(facts.source(node).name)
    if slides is None or slides.kernel == (1, 1) or seen is None:
        return False
    return all(not one.fixed and one.smallest >= one.size for one in (seen.rows, seen.columns))

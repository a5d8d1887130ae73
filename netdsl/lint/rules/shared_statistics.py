"""Rule shared_statistics."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from netdsl.lint.facts import Facts
from netdsl.lint.rule import Hit, Rule
from netdsl.ops.norm import Norm


class SharedStatistics(Rule):
    """A batch normalisation that is run again on maps of another size.

    ## What it does
    Finds a `bn` that `same` runs again, where what it reads there has another height or width.

    ## Why is this bad
    Its running statistics become a mixture of those of all levels, and fit none of them in evaluation, though each
    batch is normalised by its own in training. Detectors with one head for all levels of a pyramid therefore keep a
    norm for each level, or normalise groups.

    ## Bad
        net N:
            input 3, 32x32
            stem: conv 3x3, 16 -> relu
            a: conv 3x3, 16, bias=false
            n: bn
            relu
            conv 3x3, 16, /2 as down -> relu
            same a
            same n
            gap
            fc: fc 10

    ## Good
        net N:
            input 3, 32x32
            stem: conv 3x3, 16 -> relu
            a: conv 3x3, 16
            n: gn 4
            relu
            conv 3x3, 16, /2 as down -> relu
            same a
            same n
            gap
            fc: fc 10

    ## Fix safety
    There is no automatic fix: it is another function. A norm for each level, or `gn`.

    ## References
    Tan et al., EfficientDet, arXiv 1911.09070, whose heads share convolutions and not norms
    """

    code: ClassVar[str] = "L315"

    def check(self, facts: Facts) -> Iterator[Hit]:
        """Compare what each norm reads whenever it is run."""
        for node in facts.of(Norm):
            if not node.op.tracks or node.module:
                continue
            sizes = dict.fromkeys(str(facts.input(one)) for one in facts.calls(node))
            if len(sizes) > 1:
                yield self.hit(
                    node,
                    f"{facts.called(node)} has one set of running statistics for {', '.join(sizes)}",
                    help="a norm for each of them, or gn",
                )

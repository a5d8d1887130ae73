"""Rule norm_of_one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from netdsl.diagnostics import Severity
from netdsl.lint.facts import Facts
from netdsl.lint.rule import Hit, Rule
from netdsl.ops.norm import Norm


class NormOfOne(Rule):
    """A normalisation of one number, which makes it 0.

    ## What it does
    Finds a group, instance or layer normalisation whose mean is of a single number in each sample.

    ## Why is this bad
    x minus the mean of x is 0: the layer makes its bias, whatever it reads, and all before it gets no gradient. A
    `gn` with as many groups as channels is an instance normalisation, and of a 1x1 map nothing is left.

    ## Bad
        net N:
            input 3, 32x32
            features: conv 3x3, 16 -> relu
            avgpool to=1x1
            body: conv 1x1, 16, bias=false -> gn 16 -> tanh
            flatten
            fc: fc 10

    ## Good
        net N:
            input 3, 32x32
            features: conv 3x3, 16 -> relu
            avgpool to=1x1
            body: conv 1x1, 16, bias=false -> gn 1 -> tanh
            flatten
            fc: fc 10

    ## Fix safety
    There is no automatic fix: it is another function. Fewer groups, or a layer norm.

    ## References
    (x - mean(x)) / sqrt(var(x) + eps) of one number; Wu and He, arXiv 1803.08494
    """

    code: ClassVar[str] = "L120"
    severity: ClassVar[Severity] = "error"

    def check(self, facts: Facts) -> Iterator[Hit]:
        """Count the numbers of each mean."""
        for node in facts.of(Norm):
            assert isinstance(node.op, Norm)
            if not node.op.tracks and node.op.spread(facts.input(node)) == 1:
                yield self.hit(
                    node,
                    f"{facts.called(node)} takes the mean of 1 number of {facts.input(node)} from it: it makes "
                    "its bias, whatever it reads",
                    help="fewer groups, such as gn 1, or ln",
                )

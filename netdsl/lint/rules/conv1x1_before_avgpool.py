"""Rule conv1x1_before_avgpool."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import ClassVar

from netdsl.diagnostics import Severity
from netdsl.ir.graph import Node
from netdsl.lint.facts import Facts, pointwise
from netdsl.lint.rule import Hit, Rule
from netdsl.ops.conv import Convolution
from netdsl.ops.pool import AvgPool
from netdsl.transforms.rewrite import Rewrite


class Conv1x1BeforeAvgpool(Rule):
    """A 1x1 convolution of pixels that are averaged next.

    ## What it does
    Finds a 1x1 convolution with stride 1 whose output is read by an `avgpool` alone.

    ## Why is this bad
    Both are linear, and one works within a pixel, the other within a channel, so their order does not matter:
    averaging first gives the same numbers, and the convolution then works on a fraction of the pixels, a quarter
    for `avgpool 2x2`. In the transitions of DenseNet-121 this is 8.2% of all MACs.

    ## Bad
        net N:
            input 3, 32x32
            features:
                conv 3x3, 64 -> relu
                conv 1x1, 32
                avgpool 2x2, /2
                relu
            gap
            fc: fc 10

    ## Good
        net N:
            input 3, 32x32
            features:
                conv 3x3, 64 -> relu
                avgpool 2x2, /2
                conv 1x1, 32
                relu
            gap
            fc: fc 10

    ## Fix safety
    Safe: the same function but for rounding, with the same weights. Unsafe where layers are named by their position,
    as in the example: the keys of the state_dict move. A bias and padding that is counted as zeros do not commute, so
    nothing is said about them.

    ## References
    Huang et al., arXiv 1608.06993, for the transitions; He et al., arXiv 1812.01187, average before they project
    """

    code: ClassVar[str] = "L203"
    severity: ClassVar[Severity] = "info"

    def check(self, facts: Facts) -> Iterator[Hit]:
        """Look at the reader of each pointwise convolution."""
        for node in facts.convolutions:
            pool = facts.reader(node) if pointwise(node, facts) else None
            if pool is None or not isinstance(pool.op, AvgPool) or not _commutes(node, pool, facts):
                continue
            before, after = facts.input(pool), facts.output(pool)
            if after.h * after.w >= before.h * before.w:
                continue
            yield self.hit(
                node,
                f"{facts.called(node)} works on {before.h}x{before.w} pixels, and "
                f"{facts.called(pool)} leaves {after.h}x{after.w}: averaging first gives the same",
                help="let the two change places",
                change=partial(Rewrite.swap, first=node.name, second=pool.name),
                edits=facts.text.swap_steps(node.span, pool.span),
            )


def _commutes(node: Node, pool: Node, facts: Facts) -> bool:
    """Tell whether the average of a constant is that constant, or there is no constant to average."""
    assert isinstance(node.op, Convolution)
    assert isinstance(pool.op, AvgPool)
    if not node.op.bias or pool.op.to is not None or not pool.op.count_include_pad:
        return True
    return pool.op.padding(facts.input(pool)) == ((0, 0), (0, 0))

"""Rule shuffle_missing."""

from __future__ import annotations

from collections.abc import Iterator
from math import gcd
from typing import ClassVar

from netdsl.ir.graph import Node
from netdsl.lint.facts import Facts, groups
from netdsl.lint.rule import Hit, Rule
from netdsl.ops.base import Op
from netdsl.ops.conv import Convolution


class ShuffleMissing(Rule):
    """Two grouped convolutions in a row, with the same groups.

    ## What it does
    Finds a grouped convolution that reads another one through layers that keep channels apart, where the groups of
    both have a common divisor: there are then blocks of channels between which nothing passes.

    ## Why is this bad
    What a group computes never meets the other groups, as if several narrow nets stood side by side. A channel
    shuffle between them costs no MACs, and ShuffleNet's authors found it better in every pair that they compared, the
    more so the more groups there were.

    ## Bad
        net N:
            input 3, 32x32
            features:
                conv 3x3, 64 -> relu
                conv 3x3, 64, groups=4 -> relu
                conv 3x3, 64, groups=4 -> relu
            gap
            fc: fc 10

    ## Good
        net N:
            input 3, 32x32
            stem: conv 3x3, 64
            relu
            a: conv 3x3, 64, groups=4
            relu
            shuffle 4
            b: conv 3x3, 64, groups=4
            relu
            gap
            fc: fc 10

    ## Fix safety
    There is no automatic fix: a shuffle makes it another function. AlexNet did without on purpose, since each group
    had a GPU of its own: `@allow(shuffle_missing, "...")`.

    ## References
    Zhang et al., ShuffleNet, arXiv 1707.01083, section 3.1 and table 3; Krizhevsky et al. 2012
    """

    code: ClassVar[str] = "L105"

    def check(self, facts: Facts) -> Iterator[Hit]:
        """Look back from each grouped convolution to the one before."""
        for node in facts.of(Convolution):
            before = facts.origin(node, _channelwise) if _grouped(node, facts) else node
            common = gcd(groups(node, facts), groups(before, facts))
            if before is not node and _grouped(before, facts) and common > 1:
                mixing = f"conv 1x1, {facts.text.argument(before.span, 'channels') or facts.output(before).c}"
                labelled = not (_numbered(before) or _numbered(node))
                yield self.hit(
                    node,
                    f"{facts.called(before)} and {facts.called(node)} have {common} groups in common and no shuffle "
                    f"between: through both of them, an output sees 1/{common} of the channels",
                    help=f"{mixing} between them, or shuffle {groups(before, facts)}"
                    if labelled
                    else f"{mixing} between them, or no groups in one of the two; "
                    "a shuffle goes between layers that have labels",
                )


def _numbered(node: Node) -> bool:
    """Tell whether a layer has no label."""
    return node.name.rpartition(".")[2].isdigit()


def _channelwise(op: Op) -> bool:
    return op.channelwise


def _grouped(node: Node, facts: Facts) -> bool:
    """Tell whether a node is a convolution with groups of several channels."""
    return isinstance(node.op, Convolution) and 1 < groups(node, facts) < facts.input(node).c

"""Rule norm_in_one_branch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from netdsl.diagnostics import Label
from netdsl.ir.graph import Node
from netdsl.lint.facts import Facts, same, sums
from netdsl.lint.rule import Hit, Rule
from netdsl.ops.activation import Activation
from netdsl.ops.conv import Convolution
from netdsl.ops.norm import Norm


class NormInOneBranch(Rule):
    """A sum of what is normalised and what is not.

    ## What it does
    Finds an `add` of which one branch ends in a batch normalisation, with or without an activation, and another in a
    convolution without one.

    ## Why is this bad
    One branch has a deviation of 1 in each channel, the other whatever its weights give, so that one of the two
    drowns, and which one changes while they train. Every ResNet has a normalisation behind the convolution of the
    shortcut too; mostly it was forgotten there.

    ## Bad
        net N:
            input 3, 32x32
            stem: conv 3x3, 64
            relu
            add:
                conv 3x3, 64, bias=false as conv1 -> bn as bn1 -> relu
                -> conv 3x3, 64, bias=false as conv2 -> bn as bn2
                conv 1x1, 64 as shortcut
            relu
            gap
            fc: fc 10

    ## Good
        net N:
            input 3, 32x32
            stem: conv 3x3, 64
            relu
            add:
                conv 3x3, 64, bias=false as conv1 -> bn as bn1 -> relu
                -> conv 3x3, 64, bias=false as conv2 -> bn as bn2
                conv 1x1, 64, norm=bn, bias=false as shortcut
            relu
            gap
            fc: fc 10

    ## Fix safety
    There is no automatic fix: it is another function.

    ## References
    He et al., arXiv 1512.03385, section 3.4: batch normalisation right after each convolution; Goyal et al.,
    arXiv 1706.02677, section 5.1
    """

    code: ClassVar[str] = "L318"

    def check(self, facts: Facts) -> Iterator[Hit]:
        """Compare where the branches of each sum end."""
        for joint in facts.where(sums):
            ends = [_end(facts.source(joint, position), facts) for position in range(len(joint.inputs))]
            normed = next((end for end in ends if end and isinstance(end.op, Norm) and end.op.tracks), None)
            if normed is None:
                continue
            for end in ends:
                if end is None or not isinstance(end.op, Convolution):
                    continue
                text = facts.text.layer_with(end.span, norm=normed.op.name, bias="false")
                yield self.hit(
                    end,
                    f"{facts.called(end)} is added to {facts.called(normed)} without a norm of its own",
                    labels=(Label(normed.span, "this branch has one"),),
                    help=text or f"{normed.op.name} behind it",
                )


def _end(node: Node, facts: Facts) -> Node | None:
    """Return what ends a branch, but for activations and what drops; None where others read it too."""
    while facts.reader(node) is not None:
        if not (same(node.op) or isinstance(node.op, Activation)):
            return node
        node = facts.source(node)
    return None

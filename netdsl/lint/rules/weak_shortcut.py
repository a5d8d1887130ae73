"""Rule weak_shortcut."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import ClassVar

from netdsl.ir.graph import Node
from netdsl.lint.facts import Facts, dense, pointwise, sums
from netdsl.lint.rule import Hit, Rule
from netdsl.ops.activation import Activation
from netdsl.ops.base import Op
from netdsl.ops.dropout import Drop
from netdsl.ops.joint import Identity, Scale
from netdsl.ops.norm import Norm


class WeakShortcut(Rule):
    """A shortcut that could be an identity, and is scaled, dropped or projected.

    ## What it does
    Finds the branch of an `add` on which what comes into the block arrives with nothing but a `scale` below 1 or a
    dropout on its way, and a 1x1 convolution there that has as many channels as it reads, between two sums of
    one text: a block that is repeated.

    ## Why is this bad
    What one shortcut does, n of them do n times: 0.5 per block leaves a thousandth of the signal and its gradient
    after ten, and the net is as hard to train as one without. Of ResNet-110 on CIFAR-10 the error was 6.61% with
    identities, 12.35% with both branches halved, 12.22% with 1x1 convolutions on all shortcuts, and with dropout
    there it did not learn. Mostly the `scale` or `droppath` was meant for the other branch, or the `when` of the
    projection was forgotten.

    ## Bad
        net N:
            input 3, 32x32
            stem: conv 3x3, 16 -> relu
            add:
                identity -> droppath 0.2
                branch: conv 3x3, 16 -> relu -> conv 3x3, 16
            relu
            gap
            fc: fc 10

    ## Good
        net N:
            input 3, 32x32
            stem: conv 3x3, 16 -> relu
            add:
                identity
                branch: conv 3x3, 16 -> relu -> conv 3x3, 16 -> droppath 0.2
            relu
            gap
            fc: fc 10

    ## Fix safety
    There is no automatic fix: it is another function.

    ## References
    He et al., Identity mappings in deep residual networks, arXiv 1603.05027, section 3 and table 1
    """

    code: ClassVar[str] = "L321"

    def check(self, facts: Facts) -> Iterator[Hit]:
        """Walk back from each sum along its branches, to where they fork."""
        for joint in facts.where(sums):
            ends = [_end(facts.source(joint, position), facts) for position in range(len(joint.inputs))]
            for end, weak in ends:
                others = [one for one, _ in ends if one is not end]
                if weak is not None and others and len(facts.readers(end)) > 1:
                    what = "scales" if isinstance(weak.op, Scale) else "drops"
                    yield self.hit(
                        weak,
                        f"{facts.called(weak)} {what} the shortcut of {facts.called(end)} {facts.output(end)}, "
                        "of which every such block leaves less",
                        help="put it on the other branch",
                    )
                elif _projects(end, joint, others, facts):
                    yield self.hit(
                        end,
                        f"{facts.called(end)} projects the shortcut {facts.input(end)} to the same shape, which "
                        "an identity would hand on",
                        help="leave it out where the shapes agree: when x.c != c",
                    )


def _end(node: Node, facts: Facts) -> tuple[Node, Node | None]:
    """Return where a branch ends, before its norm and what weakens it, and the first that weakens it, if any."""
    weak = None
    while isinstance(node.op, Identity | Drop | Scale | Norm):
        lessens = isinstance(node.op, Drop) and node.op.p > 0
        if lessens or (isinstance(node.op, Scale) and abs(node.op.factor) < 1):
            weak = node
        node = facts.source(node)
    return node, weak


def _projects(end: Node, joint: Node, others: Iterable[Node], facts: Facts) -> bool:
    """Tell whether a branch is a 1x1 convolution of what the block before made, around at least two layers."""
    if not others or not pointwise(end, facts) or facts.input(end) != facts.output(end):
        return False
    before = facts.source(end)
    made = facts.origin(end, _follows)
    if not sums(made.op) or made.span != joint.span or len(facts.readers(before)) < 2:
        return False
    inner = [facts.origin(one, _follows) for one in others if one.inputs and dense(one, facts)]
    return bool(inner) and all(one is not before for one in others) and all(one is not made for one in inner)


def _follows(op: Op) -> bool:
    """Tell whether an op stands behind a layer, as a norm and an activation do."""
    return isinstance(op, Activation | Norm | Identity | Drop)

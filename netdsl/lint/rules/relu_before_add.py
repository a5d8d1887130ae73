"""Rule relu_before_add."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from netdsl.ir.graph import Node
from netdsl.lint.facts import Facts, rectifies, same, sums
from netdsl.lint.rule import Hit, Rule

LONGEST = 16
"""How many layers a residual branch may have; longer ways round are no residual."""


class ReluBeforeAdd(Rule):
    """A residual branch that ends with a relu.

    ## What it does
    Finds an `add` of a value and of a chain of layers that begins with that value, has weights, and ends with `relu`
    or `relu6`.

    ## Why is this bad
    Such a branch can only add, never take away, so the numbers grow from block to block. In the comparison of the
    authors of ResNet, with 110 layers on CIFAR-10, a ReLU before the addition has 7.84% error, the block with the
    ReLU behind it 6.61%, and one with norm and ReLU before the convolutions 6.37%.

    ## Bad
        net N:
            input 3, 32x32
            stem: conv 3x3, 64 -> relu
            add:
                identity
                body: conv 3x3, 64 -> relu -> conv 3x3, 64 -> relu
            gap
            fc: fc 10

    ## Good
        net N:
            input 3, 32x32
            stem: conv 3x3, 64 -> relu
            add:
                identity
                body: conv 3x3, 64 -> relu -> conv 3x3, 64
            relu
            gap
            fc: fc 10

    ## Fix safety
    There is no automatic fix: move the activation behind the `add`, or the norm and the activation before the
    convolution.

    ## References
    He et al., Identity mappings in deep residual networks, arXiv 1603.05027, table 2 and figure 4(c)
    """

    code: ClassVar[str] = "L305"

    def check(self, facts: Facts) -> Iterator[Hit]:
        """Walk back from each branch of each sum."""
        for joint in facts.where(sums):
            branches = [_start(facts.node(value.node), facts) for value in joint.inputs]
            for relu in branches:
                others = [other for other in branches if other is not relu]
                if rectifies(relu.op) and _residual(relu, others, facts):
                    yield self.hit(
                        relu,
                        f"{facts.called(relu)} ends a residual branch, so that it can only add to "
                        f"{facts.called(others[0])} {facts.output(relu)}, never subtract",
                        help="put it behind the add",
                    )


def _start(node: Node, facts: Facts) -> Node:
    """Return what makes the numbers of a branch."""
    return facts.origin(node, same) if same(node.op) else node


def _residual(relu: Node, others: list[Node], facts: Facts) -> bool:
    """Tell whether a chain of layers with weights leads from one of the nodes to this one."""
    chain = [relu]
    while len(chain) <= LONGEST and chain[-1].inputs:
        if chain[-1] in others:
            return any(facts.learns(node) for node in chain[:-1])
        chain.append(facts.source(chain[-1]))
    return False

"""Rule duplicate_branch."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import ClassVar

from netdsl.ir.graph import Value
from netdsl.lint.facts import Facts
from netdsl.lint.rule import Hit, Rule
from netdsl.transforms.rewrite import Rewrite


class DuplicateBranch(Rule):
    """The same numbers are computed twice.

    ## What it does
    Finds steps without weights that draw no numbers, such as pools and activations, that read the same values as an
    earlier step of the same kind with the same arguments, directly or through other such steps.

    ## Why is this bad
    Both give the same numbers, each costs a pass over the map, and in training each keeps its own copy. PyTorch does
    not notice; XLA does. In NASNet-A each separable convolution begins with a relu of its own, so the same map
    goes through up to four of them, and one cell adds an average pool to itself.

    ## Bad
        net N:
            input 3, 32x32
            features:
                stem: conv 3x3, 16 -> relu
                add:
                    maxpool 3x3, /1, pad=1
                    maxpool 3x3, /1, pad=1
            gap
            fc: fc 10

    ## Good
        net N:
            input 3, 32x32
            features:
                stem: conv 3x3, 16 -> relu
                add:
                    identity
                    maxpool 3x3, /1, pad=1
            gap
            fc: fc 10

    ## Fix safety
    There is no automatic fix: the text has to give the value a name that both can read. The function stays the same,
    bit for bit.

    ## References
    Zoph et al., arXiv 1707.07012, figure 4; common subexpression elimination in any textbook on compilers
    """

    code: ClassVar[str] = "L214"

    def check(self, facts: Facts) -> Iterator[Hit]:
        """Number the values: the same op on the same numbers has the same number."""
        first: dict[tuple[str, object, tuple[Value, ...]], str] = {}
        same: dict[str, str] = {}
        for node in facts.nodes:
            if node.train or not node.op.computes or node.op.draws or node.op.weights(*facts.inputs(node)):
                continue
            reads = tuple(Value(same.get(value.node, value.node), value.port) for value in node.inputs)
            into = first.setdefault((node.op.name, tuple(node.op.arguments().items()), reads), node.name)
            if into == node.name:
                continue
            same[node.name] = into
            yield self.hit(
                node,
                f"{facts.called(node)} computes what {into} has computed: {node.op.name} of {reads[0].node}, "
                f"{facts.output(node)}",
                help=f"give it a name, y = from ... -> {node.op.name}, and read that twice",
                change=partial(Rewrite.merge, name=node.name, into=into),
            )

"""Rule head_hidden_fc."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import ClassVar

from netdsl.diagnostics import Severity
from netdsl.ir.graph import Node
from netdsl.lint.facts import Facts, averages
from netdsl.lint.rule import Hit, Rule
from netdsl.ops.base import Op
from netdsl.ops.conv import Convolution
from netdsl.ops.layout import Flatten
from netdsl.ops.linear import Linear
from netdsl.ops.norm import ChannelNorm
from netdsl.transforms.rewrite import Rewrite


class HeadHiddenFc(Rule):
    """A hidden fully connected layer behind the global average.

    ## What it does
    Finds an `fc` between the average over the whole map and the last `fc`, and says what the head costs without it.

    ## Why is this bad
    The average has one number for each feature, and one `fc` makes the classes of them: GoogLeNet, ResNet and
    DenseNet have nothing else. A hidden layer adds params to where the net overfits first. MobileNetV3 moves its
    last convolution there on purpose, since behind the average it works on one place only.

    ## Bad
        net N:
            input 3, 32x32
            features:
                conv 3x3, 64 -> relu
            gap
            classifier: fc 32 -> relu -> fc 10

    ## Good
        net N:
            input 3, 32x32
            features:
                conv 3x3, 64 -> relu
            gap
            classifier: fc 10

    ## Fix safety
    There is no automatic fix: another function.

    ## References
    Szegedy et al., arXiv 1409.4842, section 5; Lin et al., arXiv 1312.4400; Howard et al., arXiv 1905.02244, section
    5.1
    """

    code: ClassVar[str] = "L220"
    severity: ClassVar[Severity] = "info"

    def check(self, facts: Facts) -> Iterator[Hit]:
        """Follow what reads each average that is one vector."""
        for pool in facts.where(averages):
            alone = facts.reader(facts.source(pool)) is pool  # the average of a gate is not
            before, after = facts.input(pool), facts.output(pool)
            if not alone or after.elements > after.c or before.elements == before.c:
                continue
            chain = _chain(pool, facts)
            if len(chain) < 2:
                continue
            hidden, last = chain[0], chain[-1]
            names = _names(hidden, last, facts)
            params = sum(facts.cost(facts.node(name)).params for name in names if name != last.name)
            yield self.hit(
                hidden,
                f"{facts.called(hidden)} is a hidden layer behind {facts.called(pool)}, "
                f"{params:,} params: one fc makes {facts.output(last).c} numbers of {facts.input(hidden).c}",
                help=f"leave it out: {facts.called(last)} can read {facts.input(hidden).c} numbers",
                change=partial(Rewrite.chain, names=names, ops=[last.op]),
            )


def _chain(pool: Node, facts: Facts) -> list[Node]:
    """Return the fully connected layers behind an average, one after the other, up to an output of the net."""
    found: list[Node] = []
    after = facts.reader(pool)
    at = pool
    while after is not None and _behind(after.op):
        found += [after] if isinstance(after.op, Linear) else []
        at, after = after, facts.reader(after)
    return found if after is None and not facts.readers(at) else []


def _behind(op: Op) -> bool:
    """Tell whether an op may stand in a head of fully connected layers."""
    per_channel = op.channelwise and not isinstance(op, Convolution | ChannelNorm)
    return per_channel or isinstance(op, Flatten | Linear)


def _names(first: Node, last: Node, facts: Facts) -> list[str]:
    names = [first.name]
    at: Node | None = first
    while at is not None and at is not last:
        at = facts.reader(at)
        names += [at.name] if at is not None else []
    return names

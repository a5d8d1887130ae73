"""Rule missing_bottleneck."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import ClassVar

from netdsl.cost.table import human
from netdsl.diagnostics import Severity
from netdsl.ir.graph import Node
from netdsl.ir.types import Dims
from netdsl.lint.facts import Facts, same
from netdsl.lint.rule import Hit, Rule, Threshold
from netdsl.lint.rules.stack_of_3x3 import between, followers
from netdsl.ops import Op
from netdsl.ops.conv import Conv, Convolution
from netdsl.ops.window import SAME
from netdsl.transforms.rewrite import Rewrite


class MissingBottleneck(Rule):
    """A wide convolution that works on all channels at once.

    ## What it does
    Finds a dense 3x3 or larger convolution from 512 channels or more to as many, before which no 1x1 makes the map
    narrower, and which does a good part of the net's MACs.

    ## Why is this bad
    Its weights are kernel x kernel x channels x channels. With a quarter of the channels between two 1x1, as in
    ResNet-50, they are 17/144 of that: 1x1 down, 3x3, and 1x1 up for 0.28M weights instead of 2.36M at 512 channels.
    For the MACs of a ResNet of two 3x3 a block, the bottleneck carries four times as many channels.

    ## Bad
        net N:
            input 3, 32x32
            features:
                conv 3x3, 512, /2 -> relu
                conv 3x3, 512 -> relu
            gap
            fc: fc 10

    ## Good
        net N:
            input 3, 32x32
            features:
                conv 3x3, 512, /2 -> relu
                conv 1x1, 128 -> relu
                conv 3x3, 128 -> relu
                conv 1x1, 512 -> relu
            gap
            fc: fc 10

    ## Fix safety
    There is no automatic fix: it is another function, with less capacity a layer. Put what is saved into more layers.

    ## References
    He et al., arXiv 1512.03385, figure 5; Szegedy et al., arXiv 1409.4842, section 4
    """

    code: ClassVar[str] = "L209"
    severity: ClassVar[Severity] = "info"
    audit: ClassVar[bool] = True
    thresholds: ClassVar = {
        "channels": Threshold(512, "channels from which a convolution is wide"),
        "share": Threshold(0.05, "part of the net's MACs that such a convolution may have"),
    }

    def check(self, facts: Facts) -> Iterator[Hit]:
        """Look at each wide kernel, and at what is before it."""
        least = self.limit("share") * facts.total.macs
        for node in facts.of(Conv):
            if not self._wide(facts, node) or facts.cost(node).macs <= least:
                continue
            op = node.op
            assert isinstance(op, Conv)
            channels, cost = facts.input(node).c, facts.cost(node)
            middle = min(channels, op.channels) // 4
            one = op.replace(kernel=Dims((1, 1)), channels=middle, stride=1, dilation=1, pad=SAME)
            layers: list[Op] = [one, op.replace(channels=middle), one.replace(channels=op.channels)]
            behind = followers(facts, node)
            then = "".join(f" -> {one.name}" for one in behind)
            yield self.hit(
                node,
                f"{facts.called(node)} does {human(cost.macs)} MACs, {100 * cost.macs / facts.total.macs:.0f}% of "
                f"{facts.name}: {op.kernel} from {channels} to {op.channels} channels at once",
                help=f"{op.name} 1x1, {middle}{then} -> {op.name} {op.kernel}, {middle}{then} -> "
                f"{op.name} 1x1, {op.channels}",
                change=partial(Rewrite.chain, names=[node.name], ops=between(layers, behind)),
            )

    def _wide(self, facts: Facts, node: Node) -> bool:
        """Tell whether a convolution mixes many channels over a window, and nothing made them fewer before."""
        op = node.op
        assert isinstance(op, Conv)
        channels = min(facts.input(node).c, op.channels)
        if node.train or op.groups > 1 or min(op.kernel) < 3 or channels < self.limit("channels"):
            return False
        before = facts.origin(node, lambda op: op.fuses_into or same(op))
        return not (isinstance(before.op, Convolution) and tuple(before.op.kernel) == (1, 1))

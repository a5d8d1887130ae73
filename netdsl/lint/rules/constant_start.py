"""Rule constant_start."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from netdsl.lint.facts import Facts, depthwise
from netdsl.lint.rule import Hit, Rule
from netdsl.ops import Op


class ConstantStart(Rule):
    """Weights that all begin as the same number.

    ## What it does
    Finds a convolution or fully connected layer whose weights begin as ones, or another constant that is not 0.

    ## Why is this bad
    All its outputs are the same at the start, and as long as nothing behind tells them apart they learn the same:
    the layer is as one channel, however wide it is. Random numbers break the symmetry. A filter of each channel by
    itself may begin so, as an average.

    ## Bad
        net N:
            input 3, 32x32
            features:
                init conv weight=constant(0.01)
                conv 3x3, 16 -> relu
            gap
            fc: fc 10

    ## Good
        net N:
            input 3, 32x32
            features:
                init conv weight=kaiming_normal(fan_out)
                conv 3x3, 16 -> relu
            gap
            fc: fc 10

    ## Fix safety
    There is no automatic fix: it is another function. Leave the `init` line out, or take kaiming_normal.

    ## References
    Goodfellow, Bengio and Courville, Deep Learning, section 8.4
    """

    code: ClassVar[str] = "L314"

    def check(self, facts: Facts) -> Iterator[Hit]:
        """Look at how the weights of each layer begin."""
        for node in facts.where(lambda op: op.fuses and _alike(op)):
            if facts.output(node).c > 1 and not depthwise(node, facts) and not node.module:
                yield self.hit(
                    node,
                    f"the weights of {facts.called(node)} all begin as one number: its "
                    f"{facts.output(node).c} outputs are the same one",
                    help="weight=kaiming_normal, or leave it out",
                )


def _alike(op: Op) -> bool:
    """Tell whether the weights of an op begin as one number, and not as zeros."""
    start = op.inits.get("weight")
    return start is not None and (start.kind == "ones" or (start.kind == "constant" and start.args != (0,)))

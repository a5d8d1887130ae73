"""Rule asymmetric_kernel."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import ClassVar

from netdsl.cost.table import human
from netdsl.diagnostics import Severity
from netdsl.ir.types import Dims, Pad
from netdsl.lint.facts import Facts
from netdsl.lint.rule import Hit, Rule, Threshold
from netdsl.lint.rules.stack_of_3x3 import between, cheaper, followers, large_kernel, medium
from netdsl.ops import Op
from netdsl.ops.conv import Convolution
from netdsl.transforms.rewrite import Rewrite


class AsymmetricKernel(Rule):
    """A large dense kernel on a map of medium size, which 1xn and nx1 could do.

    ## What it does
    Finds a convolution of 5x5, 7x7 or larger with stride 1 and one group on a map of 12 to 20 pixels, for which 1xn
    and nx1 in a row, as wide as its output, need fewer MACs and params.

    ## Why is this bad
    Its weights grow with the square of its size, those of 1xn and nx1 with twice the size: 49 against 14 for 7x7.
    Inception v3 has 1x7 and 7x1 on its maps of 17x17. Its authors found this very good on maps of 12 to 20 pixels,
    and not on larger ones in early layers, so these are left to `stack_of_3x3`.

    ## Bad
        net N:
            input 3, 32x32
            features:
                conv 3x3, 64, /2 -> relu
                conv 7x7, 64 -> relu
            gap
            fc: fc 10

    ## Good
        net N:
            input 3, 32x32
            features:
                conv 3x3, 64, /2 -> relu
                conv 1x7, 64 -> relu
                conv 7x1, 64 -> relu
            gap
            fc: fc 10

    ## Fix safety
    There is no automatic fix: it is another function, to be trained anew.

    ## References
    Szegedy et al., arXiv 1512.00567, section 3.2
    """

    code: ClassVar[str] = "L207"
    severity: ClassVar[Severity] = "info"
    thresholds: ClassVar = {"channels": Threshold(16, "input channels below which a kernel may be large")}

    def check(self, facts: Facts) -> Iterator[Hit]:
        """Count the two for each large kernel."""
        for node in facts.convolutions:
            size = large_kernel(facts, node)
            if size < 5 or facts.input(node).c < self.limit("channels") or not medium(facts, node):
                continue
            op = node.op
            assert isinstance(op, Convolution)
            flat = op.replace(kernel=Dims((1, size)), pad=_along(op.pad, 1))
            tall = op.replace(kernel=Dims((size, 1)), pad=_along(op.pad, 0))
            pair: list[Op] = [flat, tall]
            cost = cheaper(facts, node, pair)
            if cost is None:
                continue
            before, made = facts.cost(node), facts.output(node).c
            yield self.hit(
                node,
                f"{facts.called(node)} needs {human(before.macs)} MACs for {size}x{size}; 1x{size} and {size}x1 see "
                f"as much for {human(cost.macs)}, {100 * cost.macs / before.macs:.0f}%",
                help=f"{op.name} 1x{size}, {made} -> relu -> {op.name} {size}x1, {made}",
                change=partial(Rewrite.chain, names=[node.name], ops=between(pair, followers(facts, node))),
            )


def _along(pad: Pad, axis: int) -> Pad:
    """Return the padding of one axis only."""
    if pad.mode != "explicit":
        return pad
    rows, columns = pad.size
    return Pad("explicit", (rows, 0) if axis == 0 else (0, columns))

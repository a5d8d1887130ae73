"""Rule avgpool_counts_padding."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import ClassVar

from netdsl.diagnostics import Severity
from netdsl.ir.graph import Node
from netdsl.lint.facts import Facts
from netdsl.lint.rule import Hit, Rule, cause
from netdsl.ops.pool import AvgPool
from netdsl.ops.window import both
from netdsl.transforms.rewrite import Rewrite


class AvgpoolCountsPadding(Rule):
    """An average that takes padding for pixels.

    ## What it does
    Finds an `avgpool` with padding that counts the zeros, which is PyTorch's default.

    ## Why is this bad
    At the border the average is too small: with 3x3 and padding 1 a corner is divided by 9 though only 4 pixels are
    there, so it has 44% of its value. TensorFlow's average pools leave padding out, so weights that come from there,
    such as Inception's, were trained for another function. `conv1x1_before_avgpool` cannot be used with a bias
    either.

    ## Bad
        net N:
            input 3, 32x32
            features:
                conv 3x3, 64 -> relu
                avgpool 3x3, /2, pad=1
            gap
            fc: fc 10

    ## Good
        net N:
            input 3, 32x32
            features:
                conv 3x3, 64 -> relu
                avgpool 3x3, /2, pad=1, count_include_pad=false
            gap
            fc: fc 10

    ## Fix safety
    Unsafe: the border's values become larger.

    ## References
    torch.nn.AvgPool2d, count_include_pad; tf.nn.avg_pool2d with padding="SAME"
    """

    code: ClassVar[str] = "L113"
    severity: ClassVar[Severity] = "info"

    def check(self, facts: Facts) -> Iterator[Hit]:
        """Look at the padding of each average, and where it falls."""
        for node in facts.of(AvgPool):
            op = node.op
            assert isinstance(op, AvgPool)
            if (
                op.to is not None
                or not op.count_include_pad
                or op.padding(facts.input(node)) == ((0, 0), (0, 0))
            ):
                continue
            share, corner = _border(node, op, facts)
            if share:
                at = cause(node, "pad", "count_include_pad")
                yield self.hit(
                    node,
                    f"{facts.called(node)} counts padding as pixels in {100 * share:.0f}% of its windows: "
                    f"of the first one {100 * corner:.0f}% is there",
                    help="count_include_pad=false",
                    change=partial(Rewrite.replace, name=node.name, op=op.replace(count_include_pad=False)),
                    edits=facts.text.set_argument(at or node.span, "count_include_pad", "false"),
                    safe=False,
                    at=at,
                )


def _border(node: Node, op: AvgPool, facts: Facts) -> tuple[float, float]:
    """Return the share of windows that hold padding, and how much of the first window is no padding."""
    x, out = facts.input(node), facts.output(node)
    kernel, stride = op.window
    whole, corner = 1.0, 1.0
    for axis, ((low, _), size, places) in enumerate(
        zip(op.padding(x), (x.h, x.w), (out.h, out.w), strict=True)
    ):
        step, k = both(stride)[axis], kernel[axis]
        first, last = -(-low // step), min((size + low - k) // step, places - 1)
        full = max(last - first + 1, 0)
        whole *= full / places
        corner *= (min(k - low, size)) / k
    return 1 - whole, corner

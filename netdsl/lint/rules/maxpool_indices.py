"""Rule maxpool_indices."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from netdsl.cost.table import human
from netdsl.diagnostics import Severity
from netdsl.lint.facts import Facts
from netdsl.lint.rule import Hit, Rule, Threshold
from netdsl.ops.pool import MaxPool


class MaxpoolIndices(Rule):
    """Max pools that remember where each maximum was.

    ## What it does
    Adds up the indices that the max pools of a net keep in training, and finds nets in which they are large and a
    good part of the activations.

    ## Why is this bad
    PyTorch keeps the place of each maximum as an int64, 8 bytes beside the 4 of the number itself, and 8 beside 2 in
    half precision, where nothing else in the net is that wide. Where the stride is 1, as in Inception's branches,
    there are as many of them as the map has numbers.

    ## Bad
        net N:
            input 3, 224x224
            features:
                conv 3x3, 64, /2
                maxpool 3x3, /2, pad=1
                relu
            head: conv 1x1, 10

    ## Good
        net N:
            input 3, 224x224
            features:
                conv 3x3, 64, /2 -> relu
                conv 3x3, 64, /2 -> relu
            head: conv 1x1, 10

    ## Fix safety
    There is no automatic fix: a convolution with a stride, or an average, is another function. Nothing is gained in
    inference.

    ## References
    PyTorch, tools/autograd/derivatives.yaml (max_pool2d_with_indices); Springenberg et al., arXiv 1412.6806
    """

    code: ClassVar[str] = "L407"
    severity: ClassVar[Severity] = "info"
    thresholds: ClassVar = {
        "bytes": Threshold(1_000_000, "bytes a sample below which indices do not matter"),
        "share": Threshold(0.1, "indices may be as much as this part of the net's activations"),
    }

    def check(self, facts: Facts) -> Iterator[Hit]:
        """Add up the outputs of all max pools."""
        pools = [node for node in facts.of(MaxPool) if not node.train]
        size = sum(8 * facts.output(node).elements for node in pools)
        if size <= self.limit("bytes") or size <= self.limit("share") * facts.total.activations:
            return
        largest = max(pools, key=lambda node: facts.output(node).elements)
        yield self.hit(
            largest,
            f"{facts.name} keeps {human(size)}B of max pool indices a sample in training, as much as "
            f"{100 * size / facts.total.activations:.0f}% of all activations; {facts.called(largest)} the most, "
            f"{human(8 * facts.output(largest).elements)}B",
            help="a stride in a convolution, or avgpool, keeps none",
        )

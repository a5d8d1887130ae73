"""Rule elementwise_heavy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from netdsl.cost.table import human
from netdsl.diagnostics import Severity
from netdsl.lint.facts import Facts
from netdsl.lint.rule import Hit, Rule, Threshold
from netdsl.ops.pool import GlobalAvgPool, Pool


class ElementwiseHeavy(Rule):
    """Most of the memory traffic is not of layers that compute much.

    ## What it does
    Adds up the bytes that each step reads and writes, and finds nets in which sums, products, concatenations,
    shuffles, and norms and activations by themselves move more than all other steps. A batch normalisation or an
    activation right behind a convolution, a sum or a product is run with it, and counts nothing.

    ## Why is this bad
    Such steps do next to no work for each byte, so they take as long as memory takes, and no count of MACs shows
    them. A normalisation *before* the convolution, as in DenseNet, cannot be folded into weights: 57% of what a
    DenseNet-121 moves is of this kind, and 11% for a ResNet-18.

    ## Bad
        block Layer:
            add:
                identity
                bn as norm -> relu -> conv 3x3, 64 as conv

        net N:
            input 3, 224x224
            features:
                conv 3x3, 64, /2
                2 * Layer
                bn -> relu
            head: conv 1x1, 10

    ## Good
        net N:
            input 3, 224x224
            features:
                conv 3x3, 64, /2, bias=false -> bn -> relu
                2 * (conv 3x3, 64, bias=false -> bn -> relu)
            head: conv 1x1, 10

    ## Fix safety
    There is no automatic fix: it is another function. Compilers that fuse such steps with one another
    (torch.compile, XLA) win back a part.

    ## References
    Ma et al., ShuffleNet V2, arXiv 1807.11164, guideline G4 and table 4
    """

    code: ClassVar[str] = "L405"
    severity: ClassVar[Severity] = "info"
    audit: ClassVar[bool] = True
    thresholds: ClassVar = {
        "share": Threshold(0.5, "part of the bytes that such steps may move"),
        "macs": Threshold(100_000_000, "MACs below which a net is small"),
    }

    def check(self, facts: Facts) -> Iterator[Hit]:
        """Add up the bytes by op."""
        if facts.total.macs <= self.limit("macs"):
            return
        whole = sum(facts.traffic.values())
        light: dict[str, int] = {}
        for name, size in facts.traffic.items():
            node = facts.node(name)
            if not facts.cost(node).macs and not isinstance(node.op, Pool | GlobalAvgPool):
                light[node.op.name] = light.get(node.op.name, 0) + size
        if sum(light.values()) <= self.limit("share") * whole:
            return
        most = sorted(light, key=lambda kind: -light[kind])[:3]
        message = (
            f"{facts.name}: {100 * sum(light.values()) / whole:.0f}% of the {human(whole)}B that a sample moves are "
            f"of steps that compute next to nothing: {', '.join(f'{k} {100 * light[k] / whole:.0f}%' for k in most)}"
        )
        yield Hit(
            message, facts.span, help="put norms and activations behind convolutions, and have fewer joints"
        )

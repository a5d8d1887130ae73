"""Rule huge_fc."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import ClassVar

from netdsl.lint.facts import Facts, same
from netdsl.lint.rule import Hit, Rule, Threshold
from netdsl.ops.layout import Flatten
from netdsl.ops.linear import Linear
from netdsl.ops.pool import GlobalAvgPool
from netdsl.transforms.rewrite import Rewrite


class HugeFc(Rule):
    """A fully connected layer on a flattened map holds most of the net.

    ## What it does
    Finds an `fc` that reads a flattened map and has more than half of the net's params.

    ## Why is this bad
    Its weights are channels x height x width x outputs, so the size of the map multiplies them: the first
    classifier layer of VGG-16 has 102.8M of 138.4M params (74%), for 0.7% of the MACs. Averaging the map first
    (`gap`) divides them by height x width, and no resolution is built in any more;
    GoogLeNet's authors gained 0.6% top-1 by it.

    ## Bad
        net N:
            input 3, 32x32
            features:
                conv 3x3, 64, /2 -> relu
            flatten
            fc: fc 1000

    ## Good
        net N:
            input 3, 32x32
            features:
                conv 3x3, 64, /2 -> relu
            gap
            fc: fc 1000

    ## Fix safety
    There is no automatic fix: it is another function, to be trained anew. Where a layer has to know places, as when
    it predicts coordinates, the map is needed: `@allow(huge_fc, "...")`.

    ## References
    Lin et al., Network in Network, arXiv 1312.4400; Szegedy et al., arXiv 1409.4842; Simonyan and Zisserman, arXiv
    1409.1556
    """

    code: ClassVar[str] = "L201"
    thresholds: ClassVar = {
        "share": Threshold(0.5, "part of the net's params that the layer may hold"),
        "params": Threshold(1_000_000, "params below which a layer is never huge"),
    }

    def check(self, facts: Facts) -> Iterator[Hit]:
        """Look at the params of each fc behind a flatten."""
        for node in facts.of(Linear):
            params = facts.cost(node).params
            if params <= self.limit("params") or params <= self.limit("share") * facts.total.params:
                continue
            before = facts.source(node)
            while same(before.op):
                before = facts.source(before)
            if not isinstance(before.op, Flatten) or facts.input(before).axes != "chw":
                continue
            shape = facts.input(before)
            if shape.h * shape.w == 1:
                continue
            share = 100 * params / facts.total.params
            yield self.hit(
                node,
                f"{facts.called(node)} holds {params:,} params, {share:.0f}% of {facts.name}: "
                f"it reads a whole map {shape}",
                help="average the map first: gap instead of flatten",
                change=partial(Rewrite.replace, name=before.name, op=GlobalAvgPool()),
            )

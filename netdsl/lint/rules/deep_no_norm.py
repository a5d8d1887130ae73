"""Rule deep_no_norm."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import ClassVar

from netdsl.diagnostics import Label
from netdsl.ir.graph import Node
from netdsl.lint.facts import Facts
from netdsl.lint.rule import Hit, Rule, Threshold
from netdsl.ops.linear import Linear
from netdsl.ops.norm import Norm


class DeepNoNorm(Rule):
    """Many layers with weights in a row, and no normalisation between them.

    ## What it does
    Counts the convolutions and fully connected layers on every path since the last normalisation, and finds nets in
    which there are more than ten. Nets with outputs that exist in training only are left alone: these feed
    gradients into the middle.

    ## Why is this bad
    Each layer scales its signal and its gradient a little, and the factors multiply. VGG's authors began with
    11 layers, and started the deeper nets from its weights; batch normalisation made that unnecessary, and took 14
    times fewer steps to the same accuracy.

    ## Bad
        net N:
            input 3, 32x32
            features:
                conv 3x3, 16 -> relu
                10 * (conv 3x3, 16 -> relu)
            gap
            fc: fc 10

    ## Good
        net N:
            input 3, 32x32
            default conv norm=bn, bias=false
            features:
                conv 3x3, 16 -> relu
                10 * (conv 3x3, 16 -> relu)
            gap
            fc: fc 10

    ## Fix safety
    There is no automatic fix: it is another function. `default conv norm=bn, bias=false` puts a normalisation
    behind every convolution; the branches of a transformer begin with an `ln`. Initial weights that are scaled for
    the depth (Fixup) do without.

    ## References
    Simonyan and Zisserman, arXiv 1409.1556, section 3.1; Ioffe and Szegedy, arXiv 1502.03167; Zhang et al., Fixup,
    arXiv 1901.09321
    """

    code: ClassVar[str] = "L301"
    thresholds: ClassVar = {"layers": Threshold(10, "layers with weights that may follow one another")}

    def check(self, facts: Facts) -> Iterator[Hit]:
        """Count along every path, beginning anew at each normalisation."""
        if any(output.train for output in facts.graph.outputs):
            return
        depths = facts.along(partial(_depth, facts))
        deepest = max(depths, key=depths.__getitem__)
        depth = depths[deepest]
        if depth <= self.limit("layers"):
            return
        message = f"{facts.name}: {depth} layers with weights up to {deepest}, and no normalisation between"
        path = _path(facts.node(deepest), depths, facts)
        bare = {node.span: node for node in path if facts.output(node).axes == "nc" and _begins(node, facts)}
        if not bare:
            kinds = [node.op for node in path if node.op.fuses]
            kind = "fc" if all(isinstance(op, Linear) for op in kinds) else "conv"
            yield Hit(message, facts.span, help=f"default {kind} norm=bn, bias=false")
            return
        first, *others = bare.values()
        yield self.hit(
            first,
            f"{message}: {facts.called(first)} reads the sum of all before as it is",
            help=f"{_normed(first, facts)}{', and so for the others' if others else ''}",
            labels=tuple(Label(node.span, "this too") for node in others),
        )


def _path(node: Node, depths: Mapping[str, int], facts: Facts) -> list[Node]:
    """Return the layers with weights on a deepest path to a node, in order."""
    path: list[Node] = []
    while depths[node.name]:
        if facts.learns(node):
            path.append(node)
        node = max((facts.node(value.node) for value in node.inputs), key=lambda one: depths[one.name])
    return path[::-1]


def _begins(node: Node, facts: Facts) -> bool:
    """Tell whether a layer begins a residual branch: others read what it reads, or what comes before a split."""
    return len(facts.readers(facts.source(node), node.inputs[0].port)) > 1


def _normed(node: Node, facts: Facts) -> str:
    """Return a layer of tokens with a norm before it, which has a label if the layer has one."""
    layer = facts.text.layer(node.span)
    if layer is None or layer.label is None:
        return f"ln -> {node.op.name if layer is None else facts.text.written(layer)}"
    return f"ln as {facts.text.written(layer.label)}_norm -> {facts.text.written(layer)}"


def _depth(facts: Facts, node: Node, before: list[int]) -> int:
    return 0 if isinstance(node.op, Norm) else max(before, default=0) + facts.learns(node)

"""Rule no_stem_downsampling."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any, ClassVar

from netdsl.diagnostics import Severity
from netdsl.ir.graph import Node
from netdsl.lint.facts import Facts
from netdsl.lint.rule import Hit, Rule, Threshold
from netdsl.ops.conv import Convolution
from netdsl.ops.pool import Pool
from netdsl.ops.source import Input
from netdsl.ops.window import both
from netdsl.transforms.rewrite import Rewrite


class NoStemDownsampling(Rule):
    """Layers that work at the full resolution of a large image.

    ## What it does
    Finds nets that read images of 128x128 or more, give no map of that size, and hold much of their activations,
    or do much of their MACs, before anything makes the map smaller; from 48x48 on, nets that do nearly all there.

    ## Why is this bad
    Neighbouring pixels of a photograph say nearly the same, and every step of a stride is a quarter of the work.
    To come to 28x28, VGG-16 spends 9.3 GMACs and 51 MiB of activations, GoogLeNet, which begins with a stride and
    a pool, 0.48 GMACs and 7.5 MiB, and has 69.8% top-1 where VGG-16 has 71.6% (torchvision's weights, top1 of
    both in the zoo).

    ## Bad
        net N:
            input 3, 224x224
            features:
                conv 3x3, 32 -> relu
                avgpool 2x2, /2
                conv 3x3, 64, /2 -> relu
            head: conv 1x1, 10

    ## Good
        net N:
            input 3, 224x224
            features:
                conv 3x3, 32, /2 -> relu
                conv 3x3, 64, /2 -> relu
            head: conv 1x1, 10

    ## Fix safety
    There is no automatic fix: it is another function. Where each pixel gets an answer, as in segmentation, full
    resolution is needed, and nothing is said about such nets.

    ## References
    Szegedy et al., arXiv 1409.4842, section 5; Simonyan and Zisserman, arXiv 1409.1556
    """

    code: ClassVar[str] = "L208"
    severity: ClassVar[Severity] = "info"
    thresholds: ClassVar = {
        "size": Threshold(128, "height and width from which an image is large"),
        "share": Threshold(0.25, "part of the MACs or activations that may be at full resolution"),
        "small": Threshold(48, "height and width from which an image is looked at"),
        "most": Threshold(0.75, "part of the MACs and activations of such an image that may be"),
    }

    def check(self, facts: Facts) -> Iterator[Hit]:
        """Add up what happens at the resolution of the image."""
        if any(node.op.enlarges for node in facts.nodes):
            return
        for image in facts.of(Input):
            shape = facts.output(image)
            if shape.axes != "chw" or min(shape.h, shape.w) < self.limit("small"):
                continue
            full = [
                node
                for node in facts.nodes
                if facts.output(node).axes == "chw" and facts.output(node)[1:] == shape[1:] and not node.train
            ]
            if any(facts.output(facts.node(value.node))[1:] == shape[1:] for value in facts.results):
                continue
            macs = sum(facts.cost(node).macs for node in full) / max(1, facts.total.macs)
            held = sum(facts.cost(node).activations for node in full) / max(1, facts.total.activations)
            first = next((node for node in full if node.op.fuses), None)
            large = min(shape.h, shape.w) >= self.limit("size")
            much = max(macs, held) > self.limit("share") if large else min(macs, held) > self.limit("most")
            if first is None or not much:
                continue
            yield self.hit(
                first,
                f"{facts.called(first)} has no stride: {100 * macs:.0f}% of the MACs and {100 * held:.0f}% of the "
                f"activations of {facts.name} are at the full {shape.h}x{shape.w}",
                help="begin with a stride, such as conv 7x7, 64, /2, and leave the first pool out",
                change=_change(facts, first, full),
            )


def _change(facts: Facts, first: Node, full: list[Node]) -> Any:
    """Return the change that moves the stride of the first pool to the first layer, where that is one chain."""
    node: Node | None = first
    names = {one.name for one in full}
    while node is not None and node.name in names:
        node = facts.reader(node)
    if node is None or not isinstance(first.op, Convolution):
        return None
    pool = node.op
    if not isinstance(pool, Pool) or pool.to is not None:
        return None
    kernel, stride = pool.window
    if both(stride) != (2, 2) or both(kernel) != (2, 2):
        return None
    return partial(_move, first=first, pool=node)


def _move(net: Rewrite, first: Node, pool: Node) -> None:
    net.replace(first.name, first.op.replace(stride=2))
    net.remove(pool.name)

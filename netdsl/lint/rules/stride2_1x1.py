"""Rule stride2_1x1."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from netdsl.ir.graph import Node
from netdsl.ir.types import Dims
from netdsl.lint.facts import Facts, Window, chained, phases, read_share
from netdsl.lint.rule import Hit, Rule, cause
from netdsl.ops.conv import Convolution
from netdsl.ops.pool import AvgPool
from netdsl.ops.window import both


class Stride2OneByOne(Rule):
    """A convolution that steps over pixels.

    ## What it does
    Finds a convolution whose stride is larger than its kernel, such as `conv 1x1, /2`, or has a divisor in common
    with its dilation. Where others read the same map, as beside a residual branch, it is only worth a note.

    ## Why is this bad
    Pixels between the windows are never read: with 1x1 and stride 2 three of four, which were computed for nothing
    if nobody else reads them. ResNet's first version does so: reading everything in the main path (ResNet-B) gave
    about 0.5% top-1 on ImageNet, and averaging first in the shortcuts (ResNet-D) another 0.3%, at almost no cost.

    ## Bad
        net N:
            input 3, 32x32
            features:
                conv 3x3, 64 -> relu
                conv 1x1, 128, /2 -> relu
            gap
            fc: fc 10

    ## Good
        net N:
            input 3, 32x32
            features:
                conv 3x3, 64 -> relu
                conv 3x3, 128, /2 -> relu
            gap
            fc: fc 10

    ## Fix safety
    There is no automatic fix: every remedy is another function. `avgpool 2x2, /2 -> conv 1x1, c` reads every pixel
    for the same MACs; or give the stride to a 3x3 convolution near by.

    ## References
    He et al., Bag of Tricks, arXiv 1812.01187, section 4.1 (ResNet-B and ResNet-D); He et al., arXiv 1512.03385
    """

    code: ClassVar[str] = "L501"

    def check(self, facts: Facts) -> Iterator[Hit]:
        """Compare the kernel and stride of each convolution."""
        found = [(node, read) for node in facts.convolutions if (read := _read(node, facts)) < 1]
        odd = {node.span for node, _ in found if not _averaged(node, facts, ceil=False)}
        for node, read in found:
            assert isinstance(node.op, Convolution)
            alone = len(facts.readers(facts.source(node), node.inputs[0].port)) == 1
            others = "" if alone else "; others read that map too"
            dilation = max(both(node.op.dilation))
            apart = f", dilation {dilation}" if dilation > 1 else ""
            yield self.hit(
                node,
                f"{facts.called(node)} reads {100 * read:.0f}% of its input {facts.input(node)}: "
                f"kernel {node.op.kernel}, stride {both(node.op.stride)[0]}{apart}{others}",
                help=_help(node, node.span in odd, facts),
                severity="warning" if alone else "info",
                at=cause(node, "stride", "kernel"),
            )


def _read(node: Node, facts: Facts) -> float:
    """Return which part of the map a convolution reads whose windows leave pixels out between them; 1 otherwise."""
    slides = facts.window(node)
    assert slides is not None
    return read_share(slides, facts.input(node), facts.output(node)) if _gaps(slides, node, facts) else 1


def _gaps(slides: Window, node: Node, facts: Facts) -> bool:
    """Tell whether a window leaves pixels out between the places where it stands, or around its only one."""
    if slides.stride == (1, 1):  # as of most
        return False
    taps = zip(slides.kernel, slides.stride, slides.dilation, strict=True)
    x, out = facts.input(node), facts.output(node)
    return any(
        phases(*one).share < 1 and (places > 1 or size > one[0])
        for one, size, places in zip(taps, (x.h, x.w), (out.h, out.w), strict=True)
    )


def _help(node: Node, odd: bool, facts: Facts) -> str:
    """Return what reads every pixel; `odd` where some map of that line is no multiple of the stride."""
    op = node.op
    assert isinstance(op, Convolution)
    slides = facts.window(node)
    if slides is not None and not _gaps(slides.replace(dilation=(1, 1)), node, facts):
        return "a dilation without a divisor in common with the stride, such as dilation=1"
    stride = both(op.stride)
    larger = "give the stride to a larger kernel"
    if tuple(op.kernel) != (1, 1):
        return f"a smaller stride, or a kernel of at least {stride[0]}x{stride[1]}"
    if not _averaged(node, facts, ceil=odd):
        return larger
    given = facts.text.argument(node.span, "stride")
    size = f"avgpool {stride[0]}x{stride[1]}, /{given or op.stride}"
    pool = size + (", ceil=true" if odd else "")
    if given is not None and not facts.text.constant(node.span, "stride"):
        pool = f"[{size}, ceil=true when {given} != 1]"  # the line is of other strides and maps too
    by_default = given is None and "stride" in dict(node.sources)
    conv = facts.text.layer_with(node.span, stride="1" if by_default else None)
    return f"average first: {pool} -> {conv or f'{op.name} 1x1, {facts.output(node).c}'}; or {larger}"


def _averaged(node: Node, facts: Facts, ceil: bool) -> bool:
    """Tell whether a pool with the stride as its kernel makes a map of the same size."""
    assert isinstance(node.op, Convolution)
    pool = AvgPool(kernel=Dims(both(node.op.stride)), stride=node.op.stride, ceil=ceil)
    made = chained([pool], facts.input(node))
    return made is not None and made[1][1:] == facts.output(node)[1:]

"""Rule pad_heavy."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import ClassVar

from netdsl.ir.types import Dims, Pad, Shape
from netdsl.lint.facts import Facts
from netdsl.lint.rule import Hit, Rule, Threshold, at_input
from netdsl.ops.base import Op
from netdsl.ops.conv import Convolution
from netdsl.ops.window import both
from netdsl.transforms.rewrite import Rewrite


class PadHeavy(Rule):
    """A convolution that multiplies zeros of the padding more than pixels.

    ## What it does
    Counts, for each convolution, the multiplications with padding. Half of them and more is a warning, 30% a note
    where they are more than 1% of the net's.
    Where some of the kernel's weights never meet a pixel at all, it says what the smaller kernel costs that computes
    the same.

    ## Why is this bad
    Counts of MACs, here as everywhere, hold all of them. On a 1x1 map one of the nine weights of a 3x3 convolution is
    used, and the other eight are stored and never get a gradient. Mostly the input is smaller than the one that the
    net was made for, or it has one stage too many.

    ## Bad
        net N:
            input 3, 32x32
            features:
                conv 3x3, 16, /2
                maxpool 8x8, /8
                conv 3x3, 16 -> relu
            gap
            fc: fc 10

    ## Good
        net N:
            input 3, 32x32
            features:
                conv 3x3, 16, /2
                maxpool 2x2, /2
                conv 3x3, 16 -> relu
            gap
            fc: fc 10

    ## Fix safety
    There is no automatic fix. A smaller kernel made of the middle of the larger one is the same function where
    weights are unused (of standardised ones a `conv` with them); otherwise larger inputs, or one stage less.

    ## References
    XLA's HloCostAnalysis counts without padding; Richter et al., arXiv 2106.12307
    """

    code: ClassVar[str] = "L504"
    thresholds: ClassVar = {
        "note": Threshold(0.3, "part of the MACs on padding from which there is a note"),
        "warn": Threshold(0.5, "part of the MACs on padding from which there is a warning"),
        "net": Threshold(0.01, "part of the net's MACs from which there is a note"),
    }

    def check(self, facts: Facts) -> Iterator[Hit]:
        """Look at each layer: a dilation is its own, small maps are of small inputs."""
        if facts.drowned:  # of which stride_beyond_input speaks
            return
        yield from at_input(self._layers(facts, dilated=False), facts)
        yield from self._layers(facts, dilated=True)

    def _layers(self, facts: Facts, dilated: bool) -> Iterator[Hit]:
        """Compare all MACs with those within the map."""
        shares: dict[tuple[int, Shape], float] = {}  # equal layers have one op
        for node in facts.convolutions:
            op, x = node.op, facts.input(node)
            assert isinstance(op, Convolution)
            if (max(both(op.dilation)) > 1) != dilated:
                continue
            if tuple(op.kernel) == (1, 1) or op.padding(x) == ((0, 0), (0, 0)):
                continue
            share = shares.get((id(op), x))
            if share is None:
                share = shares[id(op), x] = 1 - op.macs_inside(x) / max(1, facts.cost(node).macs)
            wasted = share * facts.cost(node).macs / max(1, facts.total.macs)
            if share < self.limit("note") or (share < self.limit("warn") and wasted < self.limit("net")):
                continue
            kernel = _used(op, x.h, x.w)
            unused = f"; only {kernel} of its weights ever meet a pixel" if kernel != op.kernel else ""
            plain = op.plain(x) if unused else None
            smaller = f"take {kernel}, which is the same function"
            if plain is not op:  # the weights that meet none have a say in those that do
                smaller = (
                    f"take {plain.name} {kernel}, which can be the same function" if plain is not None else ""
                )
            yield self.hit(
                node,
                f"{100 * share:.0f}% of the MACs of {facts.called(node)} are on padding: "
                f"{op.kernel} on {x.h}x{x.w}{unused}",
                help=smaller if unused and smaller else _help(op, x, self.limit("note")),
                severity="warning" if share >= self.limit("warn") else "info",
                change=partial(_trim, name=node.name, op=plain, kernel=kernel) if plain is not None else None,
            )


def _help(op: Convolution, x: Shape, most: float) -> str:
    """Return what has less than some part of its MACs on padding."""
    dilation = max(both(op.dilation))
    if dilation > 1 and op.pad.mode == "same" and isinstance(op.dilation, int):
        closer = [op.replace(dilation=d) for d in range(dilation - 1, 0, -1)]
        fit = next((one.dilation for one in closer if 1 - one.macs_inside(x) / one.macs(x) < most), 1)
        return f"less dilation, such as dilation={fit}, or larger inputs"
    return "less dilation, or larger inputs" if dilation > 1 else "a smaller kernel, or larger inputs"


def _used(op: Convolution, h: int, w: int) -> Dims:
    """Return the part of the kernel, around its middle, that can meet a pixel; all of it where that is not simple."""
    pads = op.pad.size if op.pad.mode == "explicit" else tuple(k // 2 for k in op.kernel)
    centred = op.pad.mode != "tf" and all(k == 2 * pad + 1 for k, pad in zip(op.kernel, pads, strict=True))
    if not centred or both(op.dilation) != (1, 1):
        return op.kernel
    return Dims(min(k, 2 * size - 1) for k, size in zip(op.kernel, (h, w), strict=True))


def _trim(net: Rewrite, name: str, op: Op, kernel: Dims) -> None:
    assert isinstance(op, Convolution)
    pad = op.pad if op.pad.mode == "same" else Pad("explicit", (kernel[0] // 2, kernel[1] // 2))
    net.replace(name, op.replace(kernel=kernel, pad=pad))

"""Rule upconv_checkerboard."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from netdsl.ir.graph import Node
from netdsl.ir.types import Dims, Pad, Shape
from netdsl.lint.facts import Facts, chained, phases
from netdsl.lint.rule import Hit, Rule, cause
from netdsl.ops.conv import Convolution
from netdsl.ops.window import both


class UpconvCheckerboard(Rule):
    """A transposed convolution whose windows overlap unevenly.

    ## What it does
    Finds a transposed convolution whose kernel is no multiple of its stride: some of its outputs are sums of more
    weights than their neighbours. A kernel that is smaller than the stride leaves outputs that no input reaches.

    ## Why is this bad
    The pattern shows in what comes out, as a checkerboard: with 3x3 and stride 2 the outputs add up 1, 2, 2 or 4 of
    the kernel's 9 weights. Training has to work against it, and what it learns to hide it comes back in gradients.

    ## Bad
        net N:
            input 3, 32x32
            down: conv 3x3, 64, /2 -> relu
            up: upconv 3x3, 32, /2
            relu
            gap
            fc: fc 10

    ## Good
        net N:
            input 3, 32x32
            down: conv 3x3, 64, /2 -> relu
            up: upconv 4x4, 32, /2, pad=1
            relu
            gap
            fc: fc 10

    ## Fix safety
    There is no automatic fix: another kernel has other weights. `upsample 2 -> conv 3x3, c` has no such pattern.

    ## References
    Odena et al., Deconvolution and checkerboard artifacts, Distill 2016, doi 10.23915/distill.00003
    """

    code: ClassVar[str] = "L112"

    def check(self, facts: Facts) -> Iterator[Hit]:
        """Count the taps that fall on each output of a period."""
        for node in facts.of(Convolution):
            op = node.op
            if not isinstance(op, Convolution) or not op.enlarges:
                continue
            stride = both(op.stride)
            rows, columns = (
                phases(op.kernel[axis], stride[axis], both(op.dilation)[axis]) for axis in (0, 1)
            )
            least, most = rows.least * columns.least, rows.most * columns.most
            if least == most:
                continue
            empty = 1 - rows.share * columns.share
            yield self.hit(
                node,
                f"{facts.called(node)}, kernel {op.kernel} and stride {stride[0]}: its outputs are sums of "
                f"{least} to {most} of {op.kernel[0] * op.kernel[1]} weights, in turn"
                + (f", and {100 * empty:.0f}% see no input" if empty else ""),
                help=_help(node, facts),
                at=cause(node, "kernel", "stride"),
            )


def _help(node: Node, facts: Facts) -> str:
    """Return an even layer that makes a map of the same size, and what does without one."""
    op, x, out = node.op, facts.input(node), facts.output(node)
    assert isinstance(op, Convolution)
    stride = both(op.stride)
    channels = facts.text.argument(node.span, "channels") or str(out.c)
    sizes = x.h * stride[0], x.w * stride[1]
    larger = f"upsample {stride[0]}" if stride[0] == stride[1] else f"resize {sizes[0]}x{sizes[1]}"
    other = f"{larger} -> conv 3x3, {channels}"
    if sizes != (out.h, out.w):
        other += f", which makes {sizes[0]}x{sizes[1]}"
    even = _even(op, x, out)
    if even is None:
        return other
    values: dict[str, str | None] = {}
    for name in ("pad", "output_pad", "dilation"):
        value, usual = getattr(even, name), getattr(type(op), name)
        by_default = name in dict(node.sources) and not facts.text.gives(node.span, name)
        values[name] = str(value) if value != usual or by_default else None
    text = facts.text.layer_with(node.span, kernel=str(even.kernel), **values)
    if text is None:
        rest = [f"{name}={value}" for name, value in values.items() if value is not None]
        text = ", ".join([f"{op.name} {even.kernel}, {channels}, /{op.stride}", *rest])
    return f"{text}, or {other}"


def _even(op: Convolution, x: Shape, out: Shape) -> Convolution | None:
    """Return the layer with the next larger kernel that the stride divides, padded so that it makes the same size."""
    stride = both(op.stride)
    kernel = Dims(-(-k // s) * s for k, s in zip(op.kernel, stride, strict=True))
    sizes = zip((x.h, x.w), (out.h, out.w), kernel, stride, strict=True)
    over = [(size - 1) * s + k - made for size, made, k, s in sizes]
    pad = Pad("explicit", Dims(max(-(-n // 2), 0) for n in over))
    extra = [2 * p - n for p, n in zip(pad.size, over, strict=True)]
    output_pad = extra[0] if extra[0] == extra[1] else Dims(extra)
    even = op.replace(kernel=kernel, pad=pad, output_pad=output_pad, dilation=1)
    made = chained([even], x)
    return even if made is not None and made[1] == out else None

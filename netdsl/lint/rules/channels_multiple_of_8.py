"""Rule channels_multiple_of_8."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from netdsl.diagnostics import Severity
from netdsl.lint.facts import Facts, groups
from netdsl.lint.rule import Hit, Rule, Threshold

_SHOWN = 8
"""How many widths are named: those with which most is lost."""


class ChannelsMultipleOf8(Rule):
    """Channels that do not fill the matrix units.

    ## What it does
    Rounds up the input and output channels of each dense convolution to multiples of 8, and finds nets in which that
    is a good part more work. What reads fewer channels, as those of an image, and what the net gives are left alone.

    ## Why is this bad
    In float16 and bfloat16, matrix units take channels in eights (sixteens in int8, 32 on some phones). What is
    missing is padded with zeros: 36 channels in and out are paid for as 40 x 40, 23% more than they do, at best; at
    worst a slower kernel is chosen. The next multiple of 8 costs no time and gives capacity.

    ## Bad
        net N:
            input 3, 96x96
            features:
                conv 3x3, 36 -> relu
                conv 3x3, 36 -> relu
            head: conv 1x1, 10

    ## Good
        net N:
            input 3, 96x96
            features:
                conv 3x3, 40 -> relu
                conv 3x3, 40 -> relu
            head: conv 1x1, 10

    ## Fix safety
    There is no automatic fix: it is another function, with other weights. Nothing is gained on a CPU in float32.

    ## References
    NVIDIA, Deep Learning Performance: Convolutional Layers User's Guide, channels in and out; Sandler et al.,
    arXiv 1801.04381, whose make_divisible rounds all widths to 8
    """

    code: ClassVar[str] = "L401"
    severity: ClassVar[Severity] = "info"
    thresholds: ClassVar = {
        "multiple": Threshold(8, "what channels should be a multiple of: 16 for int8"),
        "waste": Threshold(0.1, "part that rounding up may add to the net's MACs"),
        "macs": Threshold(100_000_000, "MACs below which a net is small"),
    }

    def check(self, facts: Facts) -> Iterator[Hit]:
        """Round up the channels of each convolution."""
        multiple = max(1, int(self.limit("multiple")))
        added: dict[tuple[int, int], int] = {}
        for node in facts.convolutions:
            read, made = facts.input(node).c, facts.output(node).c
            if groups(node, facts) == 1 and read >= multiple and not node.train and facts.readers(node):
                macs = facts.cost(node).macs
                more = macs * _up(read, multiple) * _up(made, multiple) // (read * made) - macs
                added[read, made] = added.get((read, made), 0) + more
        waste = sum(added.values())
        if facts.total.macs <= self.limit("macs") or waste <= self.limit("waste") * facts.total.macs:
            return
        read, made = max(added, key=lambda pair: added[pair])
        message = (
            f"{facts.name}: in multiples of {multiple} its channels are {100 * waste / facts.total.macs:.0f}% more "
            f"MACs; most is lost from {read} to {made}, paid for as {_up(read, multiple)} to {_up(made, multiple)}"
        )
        worst = sorted(added, key=lambda pair: -added[pair])
        widths = [*dict.fromkeys(width for pair in worst for width in pair if width % multiple)]
        rest = f" and {len(widths) - _SHOWN} more" if len(widths) > _SHOWN else ""
        yield Hit(
            message,
            facts.span,
            help=f"round up {', '.join(map(str, sorted(widths[:_SHOWN])))}{rest}",
        )


def _up(channels: int, multiple: int) -> int:
    """Return the next multiple."""
    return -(-channels // multiple) * multiple

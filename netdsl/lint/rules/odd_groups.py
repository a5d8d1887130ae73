"""Rule odd_groups."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import ClassVar

from netdsl.ir.graph import Node
from netdsl.lint.facts import Facts, depthwise, groups
from netdsl.lint.rule import Hit, Rule, written
from netdsl.source import Span

_WIDTHS = 3
"""How many widths a line has to be used at."""


class OddGroups(Rule):
    """A grouped convolution that is divided otherwise than those of the same line.

    ## What it does
    Looks at the grouped convolutions that one line of a block makes at three widths or more. If all but those of one
    width have the same number of groups, or groups of the same width, that one is found. Depthwise convolutions, and
    those without groups, are other layers and not counted.

    ## Why is this bad
    Families of nets hold one of the two: ResNeXt the number of groups, RegNet their width. A stage that does neither
    costs as much more or less as its groups are fewer or more, and mostly has the number of another net.

    ## Bad
        block Unit(c, groups = 32):
            conv1: conv 1x1, c, bias=false -> bn -> relu
            conv2: conv 3x3, c, groups=groups, bias=false -> bn -> relu

        net N:
            input 3, 32x32
            stem: conv 3x3, 64, /2 -> relu
            layer1: 2 * Unit 128
            layer2: 2 * Unit 256
            layer3: 2 * Unit 512, 16
            gap
            fc: fc 10

    ## Good
        block Unit(c, groups = 32):
            conv1: conv 1x1, c, bias=false -> bn -> relu
            conv2: conv 3x3, c, groups=groups, bias=false -> bn -> relu

        net N:
            input 3, 32x32
            stem: conv 3x3, 64, /2 -> relu
            layer1: 2 * Unit 128
            layer2: 2 * Unit 256
            layer3: 2 * Unit 512
            gap
            fc: fc 10

    ## Fix safety
    There is no automatic fix: weights have other shapes.

    ## References
    Xie et al., arXiv 1611.05431, table 1: 32 groups at all widths; Radosavovic et al., arXiv 2003.13678, section 3.3:
    one width of groups in all stages
    """

    code: ClassVar[str] = "L129"

    def check(self, facts: Facts) -> Iterator[Hit]:
        """Compare what each line makes, width by width."""
        lines: dict[tuple[Span, ...], list[Node]] = {}
        for node in facts.convolutions:
            if groups(node, facts) > 1 and not depthwise(node, facts):
                calls = [frame.span for frame in node.calls[:-1]]  # in one block, which the net calls
                lines.setdefault((node.span, *calls), []).append(node)
        for line in lines.values():
            stages = [[*nodes] for _, nodes in groupby(line, lambda node: _divided(node, facts))]
            divided = [_divided(nodes[0], facts) for nodes in stages]
            odd = [at for at in map(_odd, zip(*divided, strict=True)) if at is not None]
            if len({count * size for count, size in divided}) < _WIDTHS or len(odd) != 1:
                continue
            (at,) = odd
            count, size = divided[at]
            usual = divided[at - 1]
            same = (
                f"{usual[0]} groups" if usual[0] == divided[at - 2][0] else f"groups of {usual[1]} channels"
            )
            for node in stages[at]:
                yield self.hit(
                    node,
                    f"{facts.called(node)} has {count} groups of {size} channels, at all other widths of this line "
                    f"there are {same}",
                    help=f"{same}, if that was meant",
                    at=written(node, count),
                )


def _divided(node: Node, facts: Facts) -> tuple[int, int]:
    """Return the groups of a convolution, and the channels that one of them reads."""
    count = groups(node, facts)
    return count, facts.input(node).c // count


def _odd(values: Sequence[int]) -> int | None:
    """Return the place of the one number that is not as all others; None if there is no such."""
    ((usual, _),) = Counter(values).most_common(1)
    odd = [at for at, value in enumerate(values) if value != usual]
    return odd[0] if len(odd) == 1 and len(values) > 2 else None

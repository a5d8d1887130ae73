"""Rule avgpool_before_gap."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import ClassVar

from netdsl.diagnostics import Severity
from netdsl.ir.graph import Node
from netdsl.ir.types import Shape
from netdsl.lint.facts import Facts
from netdsl.lint.rule import Hit, Rule
from netdsl.ops.pool import AvgPool, GlobalAvgPool, Pool
from netdsl.ops.window import both
from netdsl.transforms.rewrite import Rewrite


class AvgpoolBeforeGap(Rule):
    """An average of averages.

    ## What it does
    Finds an `avgpool` whose windows have the same size, do not overlap and cover the map, and whose output is read
    by `gap` or `avgpool to=1x1` alone.

    ## Why is this bad
    The mean of the means of equal parts is the mean: the pool changes nothing, and reads and writes a map.

    ## Bad
        net N:
            input 3, 32x32
            features:
                conv 3x3, 64 -> relu
                avgpool 2x2
            gap
            fc: fc 10

    ## Good
        net N:
            input 3, 32x32
            features:
                conv 3x3, 64 -> relu
            gap
            fc: fc 10

    ## Fix safety
    Safe: the same function but for rounding. Unsafe where layers are named by their position: those behind it move up
    by one, and their keys in the state_dict with them.

    ## References
    (a + b)/2 + (c + d)/2 = (a + b + c + d)/2
    """

    code: ClassVar[str] = "L216"
    severity: ClassVar[Severity] = "info"

    def check(self, facts: Facts) -> Iterator[Hit]:
        """Look at the reader of each average pool."""
        for node in facts.of(AvgPool):
            mean = facts.reader(node)
            if mean is None or not _whole(mean) or not _tiles(node, facts.input(node)):
                continue
            small, large = facts.output(node), facts.input(node)
            yield self.hit(
                node,
                f"{facts.called(node)} averages {large.h}x{large.w} to {small.h}x{small.w} in equal parts, and "
                f"{facts.called(mean)} averages these again",
                help="leave it out",
                change=partial(Rewrite.remove, name=node.name),
                edits=facts.text.remove_step(node.span),
            )


def _whole(node: Node) -> bool:
    """Tell whether a node averages the whole map."""
    pool = node.op
    if isinstance(pool, AvgPool):
        return pool.to is not None and both(pool.to) == (1, 1)
    return isinstance(pool, GlobalAvgPool)


def _tiles(node: Node, shape: Shape) -> bool:
    """Tell whether the windows of a pool are equal parts of the map, smaller than it and larger than a pixel."""
    op = node.op
    assert isinstance(op, Pool)
    if op.to is not None:
        parts = both(op.to)
        return all(n % m == 0 for n, m in zip(shape[1:], parts, strict=True)) and tuple(shape[1:]) != parts
    kernel, stride = op.window
    if both(stride) != tuple(kernel) or op.padding(shape) != ((0, 0), (0, 0)) or max(kernel) == 1:
        return False
    return all(n % k == 0 for n, k in zip(shape[1:], kernel, strict=True))

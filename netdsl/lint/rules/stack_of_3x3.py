"""Rule stack_of_3x3."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import ClassVar

from netdsl.cost.model import Cost
from netdsl.cost.table import human
from netdsl.diagnostics import Severity
from netdsl.ir.graph import Node
from netdsl.ir.types import Dims, Pad
from netdsl.lint.facts import Facts, chained, groups
from netdsl.lint.rule import Hit, Rule, Threshold
from netdsl.ops import Op
from netdsl.ops.activation import Relu
from netdsl.ops.conv import Convolution
from netdsl.ops.norm import Norm
from netdsl.ops.window import both
from netdsl.transforms.rewrite import Rewrite


class StackOf3x3(Rule):
    """A large dense kernel that a stack of 3x3 makes up for with less.

    ## What it does
    Finds a convolution of 5x5, 7x7 or larger with stride 1 and one group, behind the first layer, for which 3x3
    convolutions with the same receptive field, one after the other and as wide as its output, need fewer MACs and
    params. Maps of 12 to 20 pixels belong to `asymmetric_kernel`.

    ## Why is this bad
    Two 3x3 see 5x5 and have 18 weights where one 5x5 has 25; three have 27 where a 7x7 has 49. There are more
    activations between them too, which is what VGG's authors found to help. It only holds where the input is not
    much narrower than the output, so the saving is worked out for the widths at hand. The price is the maps between:
    each has to be written, and kept in training.

    ## Bad
        net N:
            input 3, 32x32
            features:
                conv 3x3, 64 -> relu
                conv 5x5, 64 -> relu
            gap
            fc: fc 10

    ## Good
        net N:
            input 3, 32x32
            features:
                conv 3x3, 64 -> relu
                conv 3x3, 64 -> relu
                conv 3x3, 64 -> relu
            gap
            fc: fc 10

    ## Fix safety
    There is no automatic fix: it is another function, to be trained anew.

    ## References
    Simonyan and Zisserman, arXiv 1409.1556, section 2.3; Szegedy et al., arXiv 1512.00567, section 3.1
    """

    code: ClassVar[str] = "L206"
    severity: ClassVar[Severity] = "info"
    thresholds: ClassVar = {"channels": Threshold(16, "input channels below which a kernel may be large")}

    def check(self, facts: Facts) -> Iterator[Hit]:
        """Count a stack for each large kernel."""
        for node in facts.convolutions:
            size = large_kernel(facts, node)
            if size < 5 or facts.input(node).c < self.limit("channels") or medium(facts, node):
                continue
            stack = _stack(node, size)
            cost = cheaper(facts, node, stack)
            if cost is None:
                continue
            before = facts.cost(node)
            follows = followers(facts, node)
            count = len(stack)
            yield self.hit(
                node,
                f"{facts.called(node)} needs {human(before.macs)} MACs for {size}x{size}; {count} stacked 3x3 see as "
                f"much for {human(cost.macs)}, {100 * cost.macs / before.macs:.0f}%",
                help=f"{count} * ({node.op.name} 3x3, {facts.output(node).c} -> {follows[-1].name})",
                change=partial(Rewrite.chain, names=[node.name], ops=between(stack, follows)),
            )


def cheaper(facts: Facts, node: Node, ops: Sequence[Op]) -> Cost | None:
    """Return what ops in the place of a layer cost if they make the same shape for fewer MACs and params."""
    made = chained(ops, facts.input(node))
    if not ops or made is None or made[1] != facts.output(node):
        return None
    cost, before = made[0], facts.cost(node)
    return cost if cost.macs < before.macs and cost.params < before.params else None


def large_kernel(facts: Facts, node: Node) -> int:
    """Return the size of a dense square kernel that slides by one; 0 for any other convolution."""
    op = node.op
    assert isinstance(op, Convolution)
    plain = groups(node, facts) == 1 and both(op.stride) == both(op.dilation) == (1, 1)
    return op.kernel[0] if plain and op.kernel[0] == op.kernel[1] and op.kernel[0] % 2 else 0


def medium(facts: Facts, node: Node) -> bool:
    """Tell whether a map is of the size for which kernels of n x 1 and 1 x n did well."""
    return all(12 <= size <= 20 for size in facts.input(node)[1:])


def followers(facts: Facts, node: Node) -> list[Op]:
    """Return the norm and the activation right behind a layer, a relu if it has no activation."""
    ops: list[Op] = []
    after = facts.reader(node)
    while after is not None and after.op.fuses_into and len(ops) < 2:
        ops.append(after.op)
        after = facts.reader(after)
    if not ops or isinstance(ops[-1], Norm):
        ops.append(Relu())
    return ops


def between(layers: list[Op], follows: list[Op]) -> list[Op]:
    """Return layers in a row, with the same norm and activation behind each but the last."""
    *first, last = layers
    return [op for layer in first for op in (layer, *follows)] + [last]


def _stack(node: Node, size: int) -> list[Op]:
    """Return the 3x3 convolutions that see as much; none if the padding cannot be shared out."""
    op = node.op
    assert isinstance(op, Convolution)
    count = size // 2
    if op.pad.mode == "explicit" and any(pad % count for pad in op.pad.size):
        return []
    pad = Pad("explicit", (op.pad.size[0] // count, op.pad.size[1] // count))
    small = op.replace(kernel=Dims((3, 3)), pad=pad if op.pad.mode == "explicit" else op.pad)
    return [small] * count

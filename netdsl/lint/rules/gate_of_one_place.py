"""Rule gate_of_one_place."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from netdsl.ir.graph import Node
from netdsl.lint.facts import Facts, averages, passes
from netdsl.lint.rule import Hit, Rule
from netdsl.ops.joint import Elementwise, Identity


class GateOfOnePlace(Rule):
    """A gate behind the global average.

    ## What it does
    Finds a squeeze and excitation gate whose average reads a map of one place, the result of a pool over the whole
    map, which is also what the gate multiplies.

    ## Why is this bad
    There is nothing to squeeze: the gate reads the very numbers that it scales, and no place of the map was weighed
    by it. What is meant stands before the pool, where each channel is scaled by what all places say.

    ## Bad
        net N:
            input 3, 32x32
            stem: conv 3x3, 64
            relu
            avgpool to=1x1
            mul:
                identity
                gate: avgpool to=1x1 -> conv 1x1, 16 -> relu -> conv 1x1, 64 -> sigmoid
            flatten
            fc: fc 10

    ## Good
        net N:
            input 3, 32x32
            stem: conv 3x3, 64
            relu
            mul:
                identity
                gate: avgpool to=1x1 -> conv 1x1, 16 -> relu -> conv 1x1, 64 -> sigmoid
            gap
            fc: fc 10

    ## Fix safety
    There is no automatic fix: it is another function.

    ## References
    Hu et al., Squeeze-and-Excitation Networks, arXiv 1709.01507, section 3.1
    """

    code: ClassVar[str] = "L126"

    def check(self, facts: Facts) -> Iterator[Hit]:
        """Look at what each average of one place reads."""
        for node in facts.where(averages):
            x, value = facts.input(node), node.inputs[0]
            if x.axes != "chw" or x.h * x.w > 1 or not _pooled(node, facts):
                continue
            readers = _joints(facts.source(node), value.port, facts)
            joint = next((one for one in readers if isinstance(one.op, Elementwise) and one.op.product), None)
            if joint is not None:
                yield self.hit(
                    node,
                    f"{facts.called(node)} averages {x}, one place: {facts.called(joint)} multiplies it by a gate "
                    "of itself",
                    help="put the gate before the pool",
                )


def _joints(node: Node, port: int, facts: Facts) -> Iterator[Node]:
    """Yield what reads a value, as it is or through identities."""
    for reader in facts.readers(node, port):
        if isinstance(reader.op, Identity):
            yield from _joints(reader, 0, facts)
        else:
            yield reader


def _pooled(node: Node, facts: Facts) -> bool:
    """Tell whether a place is what is left of a whole map."""
    before = facts.source(node)
    while passes(before.op):
        before = facts.source(before)
    return averages(before.op) and facts.input(before).elements > facts.output(before).elements

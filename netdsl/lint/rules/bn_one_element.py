"""Rule bn_one_element."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from netdsl.ir.graph import Node
from netdsl.lint.facts import Facts
from netdsl.lint.rule import Hit, Rule
from netdsl.ops.norm import Norm
from netdsl.ops.resize import Resampling


class BnOneElement(Rule):
    """A batch normalisation of one number for each channel and sample.

    ## What it does
    Finds a `bn` of a 1x1 map. Where it is common it is only worth a note: of a vector, and of a pooled branch that is
    made larger again and joined with a map, as in the heads of segmentation nets.

    ## Why is this bad
    The variance of a channel is then taken over the batch alone. With a batch of 1 it does not exist: PyTorch raises
    "Expected more than 1 value per channel when training", mostly late, at the last batch of an epoch. Small batches
    give statistics of a few numbers, while a map of 7x7 gives 49 times as many.

    ## Bad
        net N:
            input 3, 32x32
            stem: conv 3x3, 16 -> relu
            mul:
                identity
                gate: avgpool to=1x1 -> conv 1x1, 16, bias=false -> bn -> sigmoid
            gap
            fc: fc 10

    ## Good
        net N:
            input 3, 32x32
            stem: conv 3x3, 16 -> relu
            mul:
                identity
                gate: avgpool to=1x1 -> conv 1x1, 16 -> sigmoid
            gap
            fc: fc 10

    ## Fix safety
    There is no automatic fix: `ln` needs no batch, or drop an incomplete last batch.

    ## References
    torch.nn.functional.batch_norm; Chen et al., arXiv 1706.05587 (the image pooling of DeepLab v3, where it bites)
    """

    code: ClassVar[str] = "L104"

    def check(self, facts: Facts) -> Iterator[Hit]:
        """Compare the numbers with the channels of what each one reads."""
        for node in facts.of(Norm):
            shape = facts.input(node)
            left = shape.axes == "chw" and facts.drowned  # of which stride_beyond_input speaks
            if node.op.tracks and shape.elements == shape.c and not left:
                yield self.hit(
                    node,
                    f"{facts.called(node)} normalises {shape.kind} {shape}, 1 number a channel in each sample: "
                    "torch cannot train it with a batch of 1, such as the last one of an epoch",
                    help="use ln, leave the norm out, or drop the last batch",
                    severity="info" if shape.axes == "c" or _spread(node, facts) else "warning",
                )


def _spread(node: Node, facts: Facts) -> bool:
    """Tell whether what becomes of a pixel in one chain is a map again."""
    after = facts.reader(node)
    while after is not None and facts.output(after).axes == "chw" and facts.output(after)[1:] == (1, 1):
        after = facts.reader(after)
    return after is not None and (after.op.enlarges or isinstance(after.op, Resampling))

"""Rule softmax_at_output."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import ClassVar

from netdsl.lint.facts import Facts, passes
from netdsl.lint.rule import Hit, Rule
from netdsl.ops.activation import Softmax
from netdsl.transforms.rewrite import Rewrite


class SoftmaxAtOutput(Rule):
    """A softmax at the end, which the loss applies again.

    ## What it does
    Finds an output of the net that is made by a `softmax`.

    ## Why is this bad
    The cross-entropy losses of PyTorch and of Optax take logits and apply a log-softmax themselves. On
    probabilities they still run, but the loss can no longer become small: with 1000 classes it lies between 5.91
    and 6.91, and perfect answers still cost 5.91
    (benchmarks/evidence.py), so the gradients are tiny and training stalls. The
    class with the largest logit has the largest probability too, so nothing is lost without it.

    ## Bad
        net N:
            input 3, 32x32
            features:
                conv 3x3, 64 -> relu
            gap
            fc: fc 10
            softmax

    ## Good
        net N:
            input 3, 32x32
            features:
                conv 3x3, 64 -> relu
            gap
            fc: fc 10

    ## Fix safety
    Unsafe: the outputs become logits. Right wherever the loss applies the softmax, and wherever only the largest
    output counts; wrong where the net's users read probabilities.

    ## References
    torch.nn.CrossEntropyLoss: "the input is expected to contain the unnormalized logits"
    """

    code: ClassVar[str] = "L102"

    def check(self, facts: Facts) -> Iterator[Hit]:
        """Look at what makes each output."""
        for value in dict.fromkeys(output.value for output in facts.graph.outputs):
            node = facts.node(value.node)
            while passes(node.op):
                node = facts.source(node)
            if isinstance(node.op, Softmax) and node.op.axis == "c" and facts.output(node).c > 1:
                shape = facts.output(node)
                each = "" if shape.elements == shape.c else " at each place"
                yield self.hit(
                    node,
                    f"{facts.called(node)} makes {shape.c} probabilities{each} at the end; "
                    "cross-entropy takes logits",
                    help="end with the fc, and apply the softmax where probabilities are shown",
                    change=partial(Rewrite.remove, name=node.name),
                    edits=facts.text.remove_step(node.span),
                    safe=False,
                )

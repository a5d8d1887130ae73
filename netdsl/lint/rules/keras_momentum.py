"""Rule keras_momentum."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from netdsl.lint.facts import Facts
from netdsl.lint.rule import Hit, Rule, Threshold, cause
from netdsl.ops.norm import BatchNorm


class KerasMomentum(Rule):
    """Running statistics that forget all but the last batch.

    ## What it does
    Finds a batch normalisation with a `momentum` of 0.5 or more.

    ## Why is this bad
    Here, as in PyTorch, momentum is the part of the *new* batch: 0.1 by itself. Keras and TensorFlow call the part
    of the old statistics so, 0.99 by themselves. With 0.99 here the statistics for evaluation are those of the last
    batch: training goes well, and evaluation jumps from step to step.

    ## Bad
        net N:
            input 3, 32x32
            features: conv 3x3, 16, bias=false -> bn momentum=0.99 -> relu
            gap
            fc: fc 10

    ## Good
        net N:
            input 3, 32x32
            features: conv 3x3, 16, bias=false -> bn momentum=0.01 -> relu
            gap
            fc: fc 10

    ## Fix safety
    There is no automatic fix: it is another function. One minus that is the same in the other convention.

    ## References
    torch.nn.BatchNorm2d, note on momentum; keras.layers.BatchNormalization
    """

    code: ClassVar[str] = "L313"
    thresholds: ClassVar = {"momentum": Threshold(0.5, "momentum from which a batch counts too much")}

    def check(self, facts: Facts) -> Iterator[Hit]:
        """Look at the momentum of each norm that tracks statistics."""
        for node in facts.of(BatchNorm):
            assert isinstance(node.op, BatchNorm)
            momentum = node.op.momentum
            if momentum >= self.limit("momentum"):
                yield self.hit(
                    node,
                    f"{facts.called(node)} takes {100 * momentum:g}% of its running statistics from the last batch",
                    help=f"momentum={1 - momentum:g}" if momentum < 1 else "momentum=0.1",
                    at=cause(node, "momentum"),
                )

"""Rule dropout_before_bn."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from netdsl.ir.graph import Node
from netdsl.lint.facts import Facts, passes
from netdsl.lint.rule import Hit, Rule
from netdsl.ops.dropout import Dropout
from netdsl.ops.norm import Norm


class DropoutBeforeBn(Rule):
    """Dropout somewhere before a batch normalisation.

    ## What it does
    Finds a `dropout` from which a norm with running statistics, `bn`, is reached before another normalisation,
    through whatever layers but a joint: DenseNet and Wide ResNet drop in branches, and are good nets.

    ## Why is this bad
    In training dropout with probability p multiplies the variance of numbers around 0 by 1/(1-p); in evaluation
    it does not, while the running variance of the normalisation is the one of training. With p=0.5 what comes out
    has a deviation of 0.64 instead of 1 (behind a relu: benchmarks/evidence.py), and all layers behind see
    numbers that they have not learned. A convolution between makes it less, not nothing.

    ## Bad
        net N:
            input 3, 32x32
            features:
                conv 3x3, 64 -> relu
                dropout 0.5
                conv 3x3, 64, bias=false -> bn -> relu
            gap
            fc: fc 10

    ## Good
        net N:
            input 3, 32x32
            features:
                conv 3x3, 64 -> relu
                conv 3x3, 64, bias=false -> bn -> relu
            gap
            dropout 0.5
            fc: fc 10

    ## Fix safety
    There is no automatic fix: put dropout behind the last normalisation.

    ## References
    Li et al., Understanding the disharmony between dropout and batch normalization, arXiv 1801.05134; Huang et al.,
    arXiv 1608.06993, section 4.2, and Zagoruyko and Komodakis, arXiv 1605.07146, section 2.4, on dropout in branches
    """

    code: ClassVar[str] = "L303"

    def check(self, facts: Facts) -> Iterator[Hit]:
        """Carry the latest dropout along until a normalisation takes it in."""
        drops = {
            i: node for i, node in enumerate(facts.nodes, 1) if isinstance(node.op, Dropout) and _p(node)
        }
        if not drops:
            return
        numbers = {node.name: i for i, node in drops.items()}
        found: dict[int, Node] = {}

        def step(node: Node, before: list[int]) -> int:
            latest = max(before, default=0) if len(before) == 1 else 0
            if isinstance(node.op, Norm) and node.op.tracks and latest:
                found.setdefault(latest, node)
            return 0 if isinstance(node.op, Norm) else numbers.get(node.name, latest)

        facts.along(step)
        for number, norm in found.items():
            drop = drops[number]
            direct = facts.origin(norm, lambda op: passes(op) and not isinstance(op, Dropout)) is drop
            factor = f"{1 / (1 - _p(drop)):.3g} times" if direct and _p(drop) < 1 else "larger than"
            yield self.hit(
                drop,
                f"{facts.called(drop)} drops {100 * _p(drop):g}% before {facts.called(norm)}: the variance that it "
                f"keeps for evaluation is {factor} what it then gets",
                help=f"put dropout behind the last {norm.op.name}",
            )


def _p(node: Node) -> float:
    op: Any = node.op
    return float(op.p)

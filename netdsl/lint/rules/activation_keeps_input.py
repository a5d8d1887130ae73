"""Rule activation_keeps_input."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from netdsl.cost.table import human
from netdsl.diagnostics import Severity
from netdsl.lint.facts import Facts
from netdsl.lint.rule import Hit, Rule, Threshold
from netdsl.ops.activation import Activation
from netdsl.ops.base import Op


class ActivationKeepsInput(Rule):
    """Activations that keep a map more in training than a relu does.

    ## What it does
    Adds up the inputs of `relu6`, `silu`, `hswish`, `hsigmoid` and `gelu` that nothing else needs, and finds nets
    in which they are a large part of the activations.

    ## Why is this bad
    A relu keeps its output for the backward pass, which the next layer keeps anyway, so it costs nothing. These
    keep their input besides: one map more each (3 maps for conv -> bn -> relu6 -> conv where relu has 2:
    benchmarks/evidence.py), written in place or not. That is why a MobileNet of few params needs so much memory
    to train.

    ## Bad
        net N:
            input 3, 32x32
            features:
                conv 3x3, 128 -> silu
                conv 3x3, 128 -> silu
            gap
            fc: fc 10

    ## Good
        net N:
            input 3, 32x32
            features:
                conv 3x3, 128 -> relu
                conv 3x3, 128 -> relu
            gap
            fc: fc 10

    ## Fix safety
    There is no automatic fix: it is another function, and may be worth less. Working the activation out again in
    the backward pass gives the memory back for little time. Nothing is gained in inference.

    ## References
    PyTorch, tools/autograd/derivatives.yaml (hardtanh, silu, hardswish, hardsigmoid, gelu); Rota Bulo et al.,
    In-Place Activated BatchNorm, arXiv 1712.02616
    """

    code: ClassVar[str] = "L406"
    severity: ClassVar[Severity] = "info"
    audit: ClassVar[bool] = True
    thresholds: ClassVar = {
        "share": Threshold(0.25, "part of the net's activations that may be kept so"),
        "bytes": Threshold(1_000_000, "bytes a sample below which it does not matter"),
    }

    def check(self, facts: Facts) -> Iterator[Hit]:
        """Add up what each of them keeps."""
        kept = [
            node
            for node in facts.where(_keeps)
            if not node.train and facts.reader(facts.source(node)) is node
        ]
        size = sum(facts.cost(node).activations for node in kept)
        if size <= max(self.limit("bytes"), self.limit("share") * facts.total.activations):
            return
        kinds = " and ".join(dict.fromkeys(node.op.name for node in kept))
        message = (
            f"{facts.name}: {kinds} keep inputs for the backward pass, {human(size)}B a sample in {len(kept)} "
            f"places, as much as {100 * size / facts.total.activations:.0f}% of all activations; relu would not"
        )
        yield Hit(
            message, facts.span, help="relu where it does as well, or recompute them in the backward pass"
        )


def _keeps(op: Op) -> bool:
    """Tell whether PyTorch works an op's gradient out from the input: written in place, it keeps a copy of it."""
    return isinstance(op, Activation) and not op.saves_output

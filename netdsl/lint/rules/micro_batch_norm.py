"""Rule micro_batch_norm."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil
from typing import ClassVar

from netdsl.ir.types import Shape
from netdsl.lint.facts import Facts
from netdsl.lint.rule import Hit, Rule, Threshold
from netdsl.lint.step import Step
from netdsl.ops.norm import BatchNorm


class MicroBatchNorm(Rule):
    """A batch normalisation whose statistics in training are those of a micro-batch, or of a few samples.

    ## What it does
    With `--batch 32 --micro-batches 16`, or `batch = 32` and `micro-batches = 16` in the configuration, says of how
    many samples and values a channel a `bn` takes statistics in training, how often its running ones move in a step,
    and what that makes of the momentum. It warns where they are of few samples or values. One value is an error:
    PyTorch raises "Expected more than 1 value per channel when training". Without these options the rule is off, and
    it says nothing of a batch that is one micro-batch and large enough.

    ## Why is this bad
    What becomes of a batch does not depend on the micro-batches in which it goes through, in a pipeline or to save
    memory, but for batch norms: each micro-batch is normalised by its own mean and variance. Running statistics move
    with each, and after n of them a part of 1 - (1 - momentum)^n is new. Pixels of one image are much alike, so a
    large map is no substitute for samples: Wu and He report errors of ResNet-50 on ImageNet of 23.6% with 32 images a
    norm, 24.8% with 8, 27.3% with 4 and 34.7% with 2, and between 24.0% and 24.2% with `gn` for all of them.

    ## Bad
        net N:
            input 3, 32x32
            features: conv 3x3, 16, bias=false -> bn -> relu
            gap
            fc: fc 10

    ## Good
        net N:
            input 3, 32x32
            features: conv 3x3, 16 -> gn 4 -> relu
            gap
            fc: fc 10

    ## Fix safety
    There is no automatic fix: `gn` is another function. Fewer and larger micro-batches change nothing in the net, and
    statistics that a net was trained with may stay as they are where it is only fine-tuned (the norms in evaluation).

    ## References
    Wu and He, Group Normalization, arXiv 1803.08494; Huang et al., GPipe, arXiv 1811.06965; torch.nn.BatchNorm2d
    """

    code: ClassVar[str] = "L322"
    steps: ClassVar[bool] = True
    thresholds: ClassVar = {
        "samples": Threshold(8, "samples below which statistics are of few"),
        "values": Threshold(32, "values a channel below which statistics are of few"),
    }

    def check(self, facts: Facts) -> Iterator[Hit]:
        """Count what each norm that tracks statistics takes them of, those of the fewest values first."""
        step = facts.step
        assert step is not None, "the rule is off without"
        shapes = [(facts.input(node), node) for node in facts.of(BatchNorm)]
        places = [(shape.elements // shape.c, node) for shape, node in shapes]
        for each, node in sorted(places, key=lambda item: item[0]):
            assert isinstance(node.op, BatchNorm)
            values, momentum = step.micro_batch * each, node.op.momentum
            needed = ceil(max(self.limit("samples"), self.limit("values") / each))
            few = step.micro_batch < needed
            if not few and step.micro_batches == 1:
                continue
            moves = step.micro_batches * len(facts.calls(node))
            said = f"{facts.called(node)} takes statistics in training of {_samples(step)}, "
            said += (
                f"{values:,} value{'s' if values > 1 else ''} a channel{_product(step, facts.input(node))}"
            )
            if values == 1:
                said += ": torch raises an error"
            elif moves > 1:
                said += f", and moves its running ones {moves} times a step: momentum {momentum:g} "
                said += f"makes {100 * (1 - (1 - momentum) ** moves):.3g}% of them new"
            yield self.hit(
                node,
                said,
                help=_remedy(step, needed) if few else _slower(momentum, moves),
                severity="error" if values == 1 else "warning" if few else "info",
            )


def _samples(step: Step) -> str:
    whole = f" of {step.batch}" if step.micro_batches > 1 else ""
    return f"{step.micro_batch}{whole} sample{'s' if step.batch > 1 else ''}"


def _product(step: Step, shape: Shape) -> str:
    """Return what makes the number of values, if there is more than one a sample."""
    sizes = "x".join(str(size) for axis, size in zip(shape.axes, shape, strict=True) if axis != "c")
    return f" ({step.micro_batch} x {sizes})" if sizes else ""


def _remedy(step: Step, samples: int) -> str:
    """Return what to do where statistics are of few samples."""
    most = step.most(samples)
    larger = (
        f"{most} micro-batch{'es' if most > 1 else ''} of {step.batch // most}"
        if most
        else f"a batch of {samples}"
    )
    return (
        f"{larger}; or gn, which needs no batch; or statistics that stay as they are, if the net is trained"
    )


def _slower(momentum: float, moves: int) -> str:
    """Return what is no other from step to step, or moves as much in one as a whole batch does."""
    return (
        f"gn needs no batch; with momentum={1 - (1 - momentum) ** (1 / moves):.3g} a step makes "
        f"{100 * momentum:g}% new, as a whole batch does"
    )

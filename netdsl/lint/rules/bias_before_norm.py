"""Rule bias_before_norm."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any, ClassVar

from netdsl.diagnostics import Severity
from netdsl.ir.graph import Node
from netdsl.lint.edits import Edit
from netdsl.lint.facts import Facts
from netdsl.lint.rule import Hit, Rule
from netdsl.ops.norm import Norm
from netdsl.source import Span
from netdsl.transforms.rewrite import Rewrite


class BiasBeforeNorm(Rule):
    """A bias that the next normalisation subtracts again.

    ## What it does
    Finds a convolution or `fc` with a bias whose output is read by a batch or instance normalisation
    alone, or by a group normalisation with one channel in each group.

    ## Why is this bad
    The normalisation subtracts the mean of each channel, and the bias with it; its own bias does the work. The bias
    is stored, moved by the optimizer and added for nothing: its gradient is zero but for rounding (4e-14 in
    float64: benchmarks/evidence.py).

    ## Bad
        net N:
            input 3, 32x32
            features:
                conv 3x3, 64 -> bn -> relu
            gap
            fc: fc 10

    ## Good
        net N:
            input 3, 32x32
            features:
                conv 3x3, 64, bias=false -> bn -> relu
            gap
            fc: fc 10

    ## Fix safety
    Unsafe, since checkpoints have the bias: the function stays the same, and in training nothing changes. For trained
    weights subtract the bias from the running_mean of a batch normalisation (`running_mean - bias`), and leave the
    bias out.

    ## References
    Ioffe and Szegedy, arXiv 1502.03167, section 3.2: "the bias b can be ignored"
    """

    code: ClassVar[str] = "L202"
    severity: ClassVar[Severity] = "info"

    def check(self, facts: Facts) -> Iterator[Hit]:
        """Look at the reader of each layer with a bias."""
        found: list[tuple[Node, Node]] = []
        for node in facts.where(lambda op: op.fuses):
            op: Any = node.op
            norm = facts.reader(node) if getattr(op, "bias", False) else None
            if norm is not None and all(_is_centred(one, facts) for one in facts.calls(node)):
                found.append((node, norm))
        idle = {node.name for node, _ in found}
        fixes: dict[Span, tuple[Edit, ...] | None] = {}
        for node, norm in found:
            at = _cause(node, norm, facts)
            place = at or node.span
            if place not in fixes:
                fixes[place] = _edits(place, idle, facts)
            yield self.hit(
                node,
                f"the bias of {facts.called(node)}, {facts.output(node).c:,} params, is subtracted again by "
                f"{facts.called(norm)}",
                help="write bias=false",
                change=partial(_without_bias, node=node),
                edits=fixes[place],
                at=at,
            )


def _cause(node: Node, norm: Node, facts: Facts) -> Span | None:
    """Return the argument of a `default` line by which a layer has a bias, or the norm behind it."""
    if facts.text.gives(node.span, "bias"):
        return None
    return dict(node.sources).get("bias") or dict(norm.sources).get("norm")


def _edits(place: Span, idle: set[str], facts: Facts) -> tuple[Edit, ...] | None:
    """Return what takes the bias away; where a `default` line does so, other layers say that they have one."""
    edits = facts.text.set_argument(place, "bias", "false")
    if edits is None or facts.text.layer(place) is not None:
        return edits
    for node in facts.where(lambda op: op.fuses and bool(getattr(op, "bias", False))):
        keeps = node.name not in idle and facts.text.covers(place, node)
        if keeps and not facts.text.gives(node.span, "bias"):
            more = facts.text.set_argument(node.span, "bias", "true")
            if more is None:
                return None
            edits = (*edits, *[edit for edit in more if edit not in edits])
    return edits


def _is_centred(node: Node, facts: Facts) -> bool:
    """Tell whether a norm alone reads a layer, and takes the mean away."""
    norm = facts.reader(node)
    return norm is not None and isinstance(norm.op, Norm) and norm.op.centres(facts.input(norm))


def _without_bias(net: Rewrite, node: Node) -> None:
    inits = {key: init for key, init in node.op.inits.items() if key != "bias"}
    net.replace(node.name, node.op.replace(bias=False, inits=inits))

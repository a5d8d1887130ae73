"""Rule dead_branch."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import ClassVar

from netdsl.diagnostics import Severity
from netdsl.ir.graph import Node, Value
from netdsl.lint.edits import Edit
from netdsl.lint.facts import Facts
from netdsl.lint.rule import Hit, Rule
from netdsl.ops.source import Input
from netdsl.source import Span
from netdsl.transforms.rewrite import Rewrite


class DeadBranch(Rule):
    """Layers whose result nobody reads.

    ## What it does
    Finds layers from which no output of the net can be reached.

    ## Why is this bad
    They are built, stored and, as written, computed, but nothing that comes out depends on them: their weights get
    no gradient. Mostly a `from` was forgotten, or a line that moves the flow was followed by one that takes another
    value.

    ## Bad
        net N:
            input 3, 32x32
            stem: conv 3x3, 64
            side = from stem -> relu
            from stem -> gap
            fc: fc 10

    ## Good
        net N:
            input 3, 32x32
            stem: conv 3x3, 64
            side = from stem -> relu
            add:
                from stem
                from side
            gap
            fc: fc 10

    ## Fix safety
    Safe: no output depends on what is taken away. Unsafe where it has weights: their keys leave the state_dict.

    ## References
    A compiler's dead code elimination, which a framework that stores modules cannot do
    """

    code: ClassVar[str] = "L101"
    severity: ClassVar[Severity] = "error"

    def check(self, facts: Facts) -> Iterator[Hit]:
        """Look for layers that nobody reads; what only they read is dead with them."""
        for node in facts.nodes:
            if node.name in facts.live or isinstance(node.op, Input) or _readers(node, facts):
                continue
            branch = _branch(node, facts)
            if not any(facts.node(name).op.computes for name in branch):
                continue  # an identity or a view is no work
            gone = [node for node in map(facts.node, branch) if _is_gone(node, branch, facts)]
            params = sum(facts.cost(node).params for node in gone)
            others = f", with {_layers(len(branch) - 1)} before it" if len(branch) > 1 else ""
            place = _place(node, facts)
            yield self.hit(
                node,
                f"nobody reads {facts.called(node)}{others}: {params:,} params for nothing",
                help="take it away, or join it with the flow: concat, add, or an output of its own",
                change=partial(_delete, names=branch),
                edits=_edits(place, branch, facts) if len(gone) == len(branch) else None,
                at=place if place != node.span else None,
            )


def _branch(end: Node, facts: Facts) -> tuple[str, ...]:
    """Return a layer that nobody reads with those that only it depends on, last first."""
    branch = {end.name: None}
    stack = [end]
    while stack:
        for value in stack.pop().inputs:
            before = facts.node(value.node)
            if before.name in facts.live or isinstance(before.op, Input) or before.name in branch:
                continue
            if all(reader in branch for reader in _readers(before, facts)):
                branch[before.name] = None
                stack.append(before)
    return tuple(branch)


def _is_gone(node: Node, branch: tuple[str, ...], facts: Facts) -> bool:
    """Tell whether nothing else has the weights of a layer of a branch, or they are another's."""
    return bool(node.module) or all(one.name in branch for one in facts.calls(node))


def _layers(count: int) -> str:
    return f"{count} layer{'s' if count > 1 else ''}"


def _readers(node: Node, facts: Facts) -> list[str]:
    return [reader.name for port in range(len(facts.outputs(node))) for reader in facts.readers(node, port)]


def _place(node: Node, facts: Facts) -> Span:
    """Return the text that makes a layer, or calls the block of which it is all that comes out."""
    called = [
        scope
        for scope in facts.graph.tree.scopes()
        if scope.kind == "block"
        and Value(node.name) in scope.outputs
        and not any(value.node in facts.live for value in scope.outputs)
    ]
    return min(called, key=lambda scope: len(scope.path)).span if called else node.span


def _edits(place: Span, branch: tuple[str, ...], facts: Facts) -> tuple[Edit, ...] | None:
    """Return the edits that take the statement away, if it makes nothing but this branch."""
    statement = facts.text.statement(place)
    if statement is None:
        return None
    made = {made.name for made in facts.written_in(facts.text.span(statement))}
    return facts.text.remove_statement(place) if made <= set(branch) else None


def _delete(net: Rewrite, names: tuple[str, ...]) -> None:
    net.delete(*names)

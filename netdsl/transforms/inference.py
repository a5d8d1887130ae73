"""The net that is shipped: what a trained net computes in evaluation, in fewer ops."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple
from weakref import WeakKeyDictionary

from netdsl.diagnostics import Diagnostic, NetError
from netdsl.ir.graph import Graph, Value
from netdsl.net import Net
from netdsl.transforms.change import Change, Formula
from netdsl.transforms.fold_norms import fold_norms
from netdsl.transforms.in_evaluation import as_they_are, in_evaluation
from netdsl.transforms.merge_siblings import merge_siblings
from netdsl.transforms.sum_branches import sum_branches

INFERENCE: tuple[Callable[[Change], None], ...] = (
    in_evaluation,
    fold_norms,
    sum_branches,
    fold_norms,  # of sums that are one convolution now
    as_they_are,
)
"""The steps that always pay, in their order."""


class Deployed(NamedTuple):
    """A net as it is shipped."""

    net: Net
    state: Mapping[str, Formula]
    """By key of its own state what it is made of; others are as they were."""


def deployed(net: Net, merged: bool = False, staged: bool = False) -> Deployed:
    """Return the net that gives what a net gives in evaluation, at every size of input, written as a spec of its own.

    Args:
        net: The net.
        merged: Whether convolutions over one map are one, where a backend says that it pays.
        staged: Whether what each stage ends with stays what it is, for a backend that returns it.

    Raises:
        NetError: No spec makes such a graph, or a stage does nothing in evaluation whose end is asked for.
    """
    known = _KNOWN.setdefault(net, {})
    if (merged, staged) not in known:
        change = Change(net)
        if staged:
            change.kept = tuple(dict.fromkeys(_leaving(net.graph)))
        for step in (*INFERENCE, merge_siblings) if merged else INFERENCE:
            step(change)
        made = type(net).from_graph(change.graph(), net.name, labels=False, meta=net.meta, file=net.file)
        if staged and _stages(made.graph) < _stages(net.graph):
            message = f"a stage of {net.name} does nothing in evaluation: there is no map that it ends with"
            raise NetError([Diagnostic("E508", message)])
        made.asked = net.asked
        known[merged, staged] = Deployed(made, change.state)
    return known[merged, staged]


def _leaving(graph: Graph) -> Iterator[Value]:
    """Yield what is read from outside the stage that makes it, among that what the stage ends with."""
    for node in graph:
        for value in node.inputs:
            if graph[value.node].stage not in ("", node.stage):
                yield value


def _stages(graph: Graph) -> int:
    """Return how many stages a net has."""
    return sum(len(scope.stages) for scope in graph.tree.scopes())


_KNOWN: WeakKeyDictionary[Net, dict[tuple[bool, bool], Deployed]] = WeakKeyDictionary()

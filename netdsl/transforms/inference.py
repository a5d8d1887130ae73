"""The net that is shipped: what a trained net computes in evaluation, in fewer ops."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple
from weakref import WeakKeyDictionary

from netdsl.net import Net
from netdsl.transforms.change import Change, Formula
from netdsl.transforms.fold_norms import fold_norms
from netdsl.transforms.in_evaluation import as_they_are, in_evaluation
from netdsl.transforms.merge_siblings import merge_siblings
from netdsl.transforms.sum_branches import sum_branches

INFERENCE: tuple[Callable[[Change], None], ...] = (in_evaluation, fold_norms, sum_branches, as_they_are)
"""The steps that always pay, in their order."""


class Deployed(NamedTuple):
    """A net as it is shipped."""

    net: Net
    state: Mapping[str, Formula]
    """By key of its own state what it is made of; others are as they were."""


def deployed(net: Net, merged: bool = False) -> Deployed:
    """Return the net that gives what a net gives in evaluation, at every size of input, written as a spec of its own.

    Args:
        net: The net.
        merged: Whether convolutions over one map are one, where a backend says that it pays.

    Raises:
        NetError: No spec makes such a graph.
    """
    known = _KNOWN.setdefault(net, {})
    if merged not in known:
        change = Change(net)
        for step in (*INFERENCE, merge_siblings) if merged else INFERENCE:
            step(change)
        made = type(net).from_graph(change.graph(), net.name, labels=False, meta=net.meta, file=net.file)
        made.asked = net.asked
        known[merged] = Deployed(made, change.state)
    return known[merged]


_KNOWN: WeakKeyDictionary[Net, dict[bool, Deployed]] = WeakKeyDictionary()

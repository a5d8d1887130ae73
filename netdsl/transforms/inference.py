"""The net that is shipped: what a trained net computes in evaluation, in fewer ops."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple
from weakref import WeakKeyDictionary

from netdsl.net import Net
from netdsl.transforms.change import Change, Formula
from netdsl.transforms.fold_norms import fold_norms
from netdsl.transforms.in_evaluation import as_they_are, in_evaluation
from netdsl.transforms.sum_branches import sum_branches

INFERENCE: tuple[Callable[[Change], None], ...] = (in_evaluation, fold_norms, sum_branches, as_they_are)
"""The steps, in their order."""


class Deployed(NamedTuple):
    """A net as it is shipped."""

    net: Net
    state: Mapping[str, Formula]
    """By key of its own state what it is made of; others are as they were."""


def deployed(net: Net) -> Deployed:
    """Return the net that gives what a net gives in evaluation, at every size of input, written as a spec of its own.

    Raises:
        NetError: No spec makes such a graph.
    """
    if net not in _KNOWN:
        change = Change(net)
        for step in INFERENCE:
            step(change)
        meta = {key: str(value) for key, value in net.meta.items()}
        made = type(net).from_graph(change.graph(), net.name, labels=False, meta=meta)
        _KNOWN[net] = Deployed(made, change.state)
    return _KNOWN[net]


_KNOWN: WeakKeyDictionary[Net, Deployed] = WeakKeyDictionary()

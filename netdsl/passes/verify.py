"""The check that a graph is one, before anything is said about it."""

from __future__ import annotations

from netdsl.ir.verify import verify
from netdsl.passes.facts import Facts


def verify_graph(facts: Facts) -> Facts:
    """Return the facts unchanged; raise GraphError if the graph is broken."""
    verify(facts.graph, facts.shapes or None)
    return facts

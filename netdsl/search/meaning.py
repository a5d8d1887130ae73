"""What a space means, so that a study goes on with the space that it began with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from hashlib import sha256
from random import Random
from typing import Any

from netdsl.search.nets import Answers, Nets

NETS = 50
"""The most nets that are looked into."""


def meaning(nets: Nets, objective: str) -> dict[str, Any]:
    """Return what scores of a study depend on, for JSON: the decisions, the budgets, the nets, the objective."""
    return {
        "decisions": {name: [*one.options] for name, one in nets.space.decisions.items()},
        "budgets": nets.claims,
        "nets": digest(nets),
        "front": [*nets.columns, "score"],
        "objective": objective,
    }


def digest(nets: Nets) -> str:
    """Return a hash of what all nets cost, and of the layers of some in which each option is taken."""
    found = sha256(repr(nets.lattice).encode())
    for answers in covering(nets):
        net = nets.network(answers)
        for node in net.graph:
            found.update(repr((node.name, node.op, node.inputs, node.module)).encode())
    return found.hexdigest()[:16]


def covering(nets: Nets) -> Iterator[Answers]:
    """Yield nets in which each option is taken that a draw finds, the same ones each time."""
    random = Random(0)
    seen: set[tuple[str, int]] = set()
    options = sum(nets.options.values())
    for _ in range(20 * NETS):
        answers = nets.draw(random)
        if not seen.issuperset(answers.items()):
            seen.update(answers.items())
            yield answers
        if len(seen) == options:
            return


def changed(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Return what is another than it was, as a sentence; "" if nothing is."""
    for name in ("objective", "front"):
        if before.get(name) != now[name]:
            return f"the {name} was {said(before.get(name))}, and is {said(now[name])}"
    old, new = before.get("decisions", {}), now["decisions"]
    for name in (*old, *new):
        if old.get(name) != new.get(name):
            was = f"took {', '.join(old[name])}" if name in old else "was not there"
            takes = f"takes {', '.join(new[name])}" if name in new else "is not there now"
            return f"the decision {name} {was}, and {takes}"
    if before.get("budgets") != now["budgets"]:
        return f"the budgets were {said(before.get('budgets'))}, and are {said(now['budgets'])}"
    return "" if before.get("nets") == now["nets"] else "other layers, with the same decisions"


def said(value: Any) -> str:
    """Return a text, or several."""
    return str(value) if isinstance(value, str) else ", ".join(value or ()) or "none"

"""What a search found: the front as a table and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from shlex import quote
from typing import Any

from netdsl.cost.table import human
from netdsl.diagnostics.render import printable
from netdsl.picture.scores import Point, draw
from netdsl.picture.svg import Svg
from netdsl.search.nets import Nets
from netdsl.search.proxies import rank_correlation
from netdsl.search.study import Scored, Tally, best, front
from netdsl.sheet import Look, Sheet

VERSION = 1
"""Of the JSON form, docs/schema/search.json."""


def render_text(nets: Nets, found: Sequence[Scored], counted: Tally, look: Look | None = None) -> str:
    """Return the front as a table, the best net first, and no newline at the end."""
    chosen = front(found)
    rows = [[str(net.number), f"{net.score:.4f}", *map(human, net.costs)] for net in chosen]
    many = f"{counted.complete} nets scored" + (f", {counted.failed} failed" if counted.failed else "")
    are = "is" if len(chosen) == 1 else "are"
    shown = f"{len(chosen)} {are} on the front of {', '.join((*nets.titles, 'score'))}"
    caption = f"{printable(nets.recipe.net.name)}: {many}, of which {shown}"
    first = best(found)
    options = " ".join(f"--set {quote(f'{k}={v}')}" for k, v in nets.texts(first.answers).items())
    notes = [f"best: trial {first.number}"]
    ranked, of = ranks(nets, found)
    if ranked:
        said = ", ".join(f"{name} {rank:+.2f}" for name, rank in ranked.items())
        notes.append(f"rank correlation with the score over {of} nets: {said}")
    sheet = Sheet(["trial", "score", *nets.titles], rows, caption=caption, notes=notes)
    return f"{sheet.text(look)}\n{options}"


def ranks(nets: Nets, found: Sequence[Scored]) -> tuple[dict[str, float], int]:
    """Return Spearman's rank correlations with the score, costs first, and of how many nets; none without proxies."""
    measured = [net for net in found if net.proxies]
    if not measured:
        return {}, 0
    scores = [net.score for net in measured]
    numbers = {name: [float(net.costs[i]) for net in measured] for i, name in enumerate(nets.columns)}
    for name in measured[0].proxies:
        numbers[name] = [net.proxies.get(name, 0.0) for net in measured]
    return {name: rank_correlation(values, scores) for name, values in numbers.items()}, len(measured)


def picture(nets: Nets, found: Sequence[Scored]) -> Svg:
    """Return what was found as a picture: scores against the first cost, and the second as areas."""
    chosen, shown = best(found), {net.number for net in front(found)}
    points = [
        Point(
            f"trial {net.number}",
            net.costs[0] if net.costs else 1,
            net.costs[1] if len(net.costs) > 1 else 0,
            net.score,
            net.number in shown,
            net.number == chosen.number,
        )
        for net in found
    ]
    return draw(points, f"{nets.space.name}: {len(found)} nets", *(nets.titles or ("no cost",))[:2])


def as_object(
    nets: Nets, found: Sequence[Scored], counted: Tally, study: str, objective: str
) -> dict[str, Any]:
    """Return the same for JSON, with every trial that was scored, in their order."""

    def said(net: Scored) -> dict[str, Any]:
        return {
            "trial": net.number,
            "score": net.score,
            "costs": dict(zip(nets.columns, net.costs, strict=True)),
            "seconds": net.seconds,
            "decisions": nets.texts(net.answers),
            **({"proxies": dict(net.proxies)} if net.proxies else {}),
        }

    ranked, of = ranks(nets, found)
    return {
        "version": VERSION,
        "net": nets.recipe.net.name,
        "study": study,
        "objective": objective,
        "trials": {"scored": counted.complete, "failed": counted.failed},
        "best": said(best(found)),
        "front": [said(net) for net in front(found)],
        "history": [said(net) for net in found],
        **({"ranks": {"nets": of, **ranked}} if ranked else {}),
    }

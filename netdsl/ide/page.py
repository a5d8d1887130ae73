"""What a page in a browser asks of the compiler: a text goes in, and what there is to show comes out as JSON.

Offsets are those of JavaScript, which counts UTF-16 units. Lines are from 1.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from functools import cache, lru_cache
from itertools import count
from typing import Any

from netdsl import api, diff, sheet
from netdsl.backend import emit, options_of
from netdsl.cost import view
from netdsl.cost.budget import Claim
from netdsl.cost.table import human
from netdsl.diagnostics import Diagnostic, NetError, internal
from netdsl.diagnostics.render import printable
from netdsl.elaborate.values import Poisoned, SpecError
from netdsl.ide import complete, findings, hints, hover
from netdsl.ide.analysis import Analysis, Look
from netdsl.ide.index import Library, definitions
from netdsl.network import Network
from netdsl.source import Source, Span

NAME = "spec.net"
"""What the text is called, where a file has a name."""
_WIDTH = 100
"""Columns of what is shown as text."""

Json = dict[str, Any]


def answer(request: str) -> str:
    """Return what is asked for: `{"what": "table", ...}` with the arguments of that function, all as JSON.

    The answer has `value`, or `errors`, diagnostics as `analysis` has them. It is none of the caller's mistakes if a
    text is wrong, so nothing is raised for it.
    """
    asked: Json = json.loads(request)
    text = asked.get("text", "")
    try:
        said: Json = {"value": _ANSWERS[asked.pop("what")](**asked)}
    except NetError as error:
        said = {"errors": [_diagnostic(one, text) for one in error.diagnostics]}
    except Exception as error:
        said = {"errors": [_diagnostic(internal(error), text)]}
    return json.dumps(said, ensure_ascii=False, separators=(",", ":"))


# ---------------------------------------------------------------- places


class _Units:
    """Offsets of Python as those of JavaScript: a character beyond the basic plane is two of its units."""

    def __init__(self, text: str) -> None:
        self.long = [at for at, char in enumerate(text) if char > "\uffff"] if not text.isascii() else []

    def __call__(self, offset: int) -> int:
        return offset + bisect_left(self.long, offset)

    def back(self, units: int) -> int:
        """Return the offset of Python for one of JavaScript."""
        return units - bisect_left([at + many for many, at in enumerate(self.long)], units)


@lru_cache(2)
def _units(text: str) -> _Units:
    return _Units(text)


def _place(span: Span, text: str) -> Json:
    """Return where a span is: in the text that is shown, or in another file, of which the line is given."""
    if span.source.name == NAME and span.source.text == text:
        units = _units(text)
        return {"from": units(span.start), "to": units(span.end), "line": span.line}
    return {
        "file": printable(span.source.name),
        "line": span.line,
        "text": span.source.line(span.line).strip(),
    }


def _diagnostic(one: Diagnostic, text: str) -> Json:
    labels = [{"message": label.message, **_place(label.span, text)} for label in one.labels]
    calls = [{"message": f"in {frame.what}", **_place(frame.span, text)} for frame in one.calls]
    return {
        "code": one.code,
        "severity": one.severity,
        "message": one.message,
        "note": one.note,
        "help": one.help,
        "details": list(one.details),
        "places": [*labels, *calls],
        **(_place(one.span, text) if one.span is not None else {}),
    }


# ---------------------------------------------------------------- the net of a text


_MOST = 4
"""Texts that are kept with all that is known of them: every tab asks for the same."""
_AFRESH = 100
"""After so many texts layers are asked anew, so that not all is kept that ever was typed."""
_looks: dict[str, Look] = {}
_counted = count()


def _looked(text: str) -> Look:
    found = _looks.pop(text, None)
    if found is None:
        before = next(reversed(_looks.values()), None) if next(_counted) % _AFRESH else None
        found = Look(Source(NAME, text), before=before)
    _looks[text] = found
    if len(_looks) > _MOST:
        del _looks[next(iter(_looks))]
    return found


def forget() -> None:
    """Drop what is kept of earlier texts."""
    _looks.clear()
    for kept in (_units, _library):
        kept.cache_clear()


def _net(text: str, net: str) -> Network:
    """Return a net of a text; NetError if it is wrong, or leaves something to decide."""
    look = _looked(text)
    if look.errors:
        raise NetError(look.errors)
    name = look.chosen(net)
    network = look.seen(name).network if name else None
    return network or Network(api.recipe(look.file, name, {}, {}))


def analysis(text: str, net: str = "", others: Sequence[str] = ()) -> Json:
    """Return what is shown while somebody types: what is wrong, what each line makes and costs, and all of it.

    Lines that the net does not reach are as `others` have them; `further` are nets that may reach what these do not.
    """
    look = _looked(text)
    known = [name for name in others if name in look.nets]
    found = look.analysis(net, known)
    return {
        "net": found.net,
        "nets": list(found.nets),
        "further": look.further(found.net, known),
        "diagnostics": [_diagnostic(one, text) for one in found.diagnostics],
        "lines": _margin(found),
        "totals": _totals(found),
        "budgets": [] if found.network is None else _budgets(found.network),
    }


def _totals(found: Analysis) -> Json | None:
    if found.params is None or found.macs is None:
        return None
    return {
        "said": f"{human(found.params)} params \u00b7 {human(found.macs)} MACs",
        "exact": f"{found.params:,} params, {found.macs:,} MACs of one sample",
    }


def _margin(found: Analysis) -> list[Json]:
    """Return what stands beside each line: the costs of what begins there, and what flows behind it.

    The sums of bodies are said too, but have no part of the whole: the lines in them have. Nor have lines that only
    another net reaches, whose name is said.
    """
    source, text = found.source, found.source.text
    shown = []
    for row in hints.rows(found.lines, text):
        last = row[-1]
        body = text[last.end : last.end + 1] == ":"
        params, macs = hints.costs(row)
        other = last.net if last.net != found.net else ""
        alone = body or other
        shown.append(
            {
                "line": source.position(row[0].start)[0],
                "net": other,
                "params": _amount(params, 0 if alone else found.params or 0),
                "macs": _amount(macs, 0 if alone else found.macs or 0),
                "shapes": hints.shapes(last),
                "copies": last.copies,
                "about": hints.tooltip(row, found.net),
            }
        )
    return shown


def _amount(number: int, whole: int) -> Json | None:
    """Return a number as it is said, exactly, and as a share of the whole; None for 0."""
    if not number:
        return None
    return {"said": human(number), "exact": f"{number:,}", "share": number / whole if whole else 0}


def _budgets(net: Network) -> list[Json]:
    """Return what `require` lines claim, and how it stands with them."""
    found = []
    for budget in net.budgets:
        claim = Claim(net, budget)
        try:
            holds, facts = claim.judge(budget.claim)
        except (SpecError, Poisoned):
            continue  # it is among the diagnostics
        said = Span(budget.source, budget.claim.start, budget.claim.end).text
        found.append({"said": said, "holds": holds, "facts": [fact.text for fact in facts]})
    return found


# ---------------------------------------------------------------- the tabs


def table(text: str, net: str, by: str = "", batch: int = 1, train: bool = False) -> Json:
    """Return the costs as `netdsl cost` has them: equal rows as one, with shares of the whole.

    Args:
        text: The spec.
        net: Which of its nets.
        by: What a row is, as of the command; "" for what reads best.
        batch: The number of samples.
        train: Whether training is meant.
    """
    made = _net(text, net)
    if by:
        found = made.cost_table(by, batch, train=train)
    else:
        found = view.readable(lambda by, depth: made.cost_table(by, batch, train=train, depth=depth))
    quantities = [one for one in found.quantities if one.shown and (found.by != "op" or not one.series)]
    rows = view.arranged(found, view.View())
    quantities = [one for one in quantities if one.brief or any(row.values[one.name] for row in rows)]
    sums = found.sums
    shown = view.sheet(found, view.View(look=sheet.Look()))

    def cell(quantity: Any, value: Any) -> Json:
        said = {"said": view.amount(quantity, value), "exact": quantity.text(value)}
        if quantity.share and value is not None and sums.get(quantity.name):
            said["share"] = value / sums[quantity.name]
        return said

    return {
        "by": found.by,
        "caption": shown.caption,
        "columns": [{"title": one.title, "share": one.share} for one in quantities],
        "rows": [
            {
                "name": printable(row.name),
                "what": printable(row.what),
                "output": "" if row.output is None else str(row.output),
                "count": row.count,
                "cells": [cell(one, row.values[one.name]) for one in quantities],
            }
            for row in rows
        ],
        "total": [cell(one, sums[one.name]) if one.name in sums else None for one in quantities],
        "notes": list(shown.notes),
    }


def emitted(text: str, net: str, backend: str) -> Json:
    """Return the module that a backend writes, and which options the backend has."""
    made = _net(text, net)
    name = backend.partition(":")[0]
    return {"name": f"{made.name}.py", "text": emit(made, backend), "options": dict(options_of(name))}


def lint(text: str) -> list[Json]:
    """Return what the linter finds, each with its fix if all nets of the file are as promised with it."""
    units, source = _units(text), _looked(text).source

    def at(start: int, end: int) -> Json:
        return {"from": units(start), "to": units(end), "line": source.position(start)[0]}

    return [
        {
            "code": f"{one.code} {one.rule}",
            "severity": one.severity,
            "message": one.message,
            "note": "",
            "help": one.help,
            "details": list(one.details),
            "places": [{"message": place.message, **at(place.start, place.end)} for place in one.places],
            **at(one.start, one.end),
            "fix": {
                "safe": one.safe and not one.moved,
                "edits": [
                    {"from": units(edit.start), "to": units(edit.end), "insert": edit.text}
                    for edit in one.fix
                ],
            }
            if one.fix
            else None,
        }
        for one in findings.findings(source, api._importer(None, ()))
    ]


def graph(text: str, net: str) -> Json:
    """Return the picture of the graph."""
    from netdsl.picture import graph

    return {"svg": str(graph.draw(_net(text, net)))}


def report(text: str, net: str) -> Json:
    """Return the page of `netdsl report`, of a search space its own."""
    from netdsl.picture import page

    try:
        made = _net(text, net)
    except NetError as error:
        if any(one.code != "E217" for one in error.diagnostics):
            raise
        from netdsl.picture import space_page
        from netdsl.space.overview import Explored
        from netdsl.space.space import Space

        return {"html": space_page.render(Explored(Space(api.recipe(_looked(text).file, net, {}, {}))))}
    return {"html": page.render(made)}


def difference(before: str, text: str, net: str, was: str = "") -> Json:
    """Return what changed from a net of one text to one of another.

    Args:
        before: The spec before.
        text: The spec after.
        net: Which net of that.
        was: Which net of the one before; "" for the one of the same name, else the first.
    """
    try:
        old = _net(before, was or net)
    except NetError as error:
        return {"errors": [_diagnostic(one, before) for one in error.diagnostics]}
    found = diff.compare(old, _net(text, net))
    return {
        "nets": list(_looked(before).nets),
        "was": old.name,
        "same": found.same,
        "text": diff.render_text(found, sheet.Look(_WIDTH)),
    }


def formatted(text: str) -> str:
    """Return the text in its canonical form."""
    from netdsl.syntax.format import format

    return format(text)


# ---------------------------------------------------------------- at the cursor


@cache
def _library() -> Library:
    return Library(api._importer(None, ()))


def completions(text: str, at: int) -> Json:
    """Return what can be written at an offset."""
    units = _units(text)
    found = complete.complete(_library().index(_looked(text).source), units.back(at))
    return {
        "from": units(found.start),
        "to": units(found.end),
        "items": [
            {
                "label": one.label,
                "kind": one.kind,
                "detail": one.detail,
                "text": one.text,
                "rank": one.rank,
                "snippet": one.snippet,
            }
            for one in found.items
        ],
    }


def told(text: str, net: str, at: int) -> Json | None:
    """Return what is known of what stands at an offset, in Markdown, and where it is named; None if nothing is."""
    units, look = _units(text), _looked(text)
    index, offset = _library().index(look.source), units.back(at)
    found = hover.hover(index, offset, look.analysis(net))
    if found is None:
        return None
    _, places = definitions(index, offset)
    return {
        "from": units(found.start),
        "to": units(found.end),
        "text": found.text,
        "places": [_place(span, text) for span in places],
    }


_ANSWERS: Mapping[str, Callable[..., Any]] = {
    one.__name__: one
    for one in (
        analysis,
        table,
        emitted,
        lint,
        graph,
        report,
        difference,
        formatted,
        completions,
        told,
    )
}

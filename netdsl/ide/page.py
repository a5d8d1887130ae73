"""What a page in a browser asks of the compiler: a text goes in, and what there is to show comes out as JSON.

Offsets are those of JavaScript, which counts UTF-16 units. Lines are from 1.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from netdsl import api, diff
from netdsl.backend import emit, options_of
from netdsl.cost import view
from netdsl.cost.budget import Claim
from netdsl.cost.table import human
from netdsl.diagnostics import Diagnostic, NetError, internal
from netdsl.diagnostics.render import printable
from netdsl.elaborate.values import FileScope, Poisoned, SpecError
from netdsl.network import Network
from netdsl.sheet import Look
from netdsl.source import Span

NAME = "spec.net"
"""What the text is called, where a file has a name."""
_WIDTH = 100
"""Columns of what is shown as text."""

Json = dict[str, Any]


def answer(request: str) -> str:
    """Return what is asked for, as JSON: `{"what": "table", ...}` with the arguments of the function of that name.

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


@lru_cache(4)
def _file(text: str) -> FileScope:
    return api.read_text(text, NAME)


@lru_cache(4)
def _net(text: str, net: str) -> Network:
    """Return a net of a text; the last ones are kept, since each tab asks for the same."""
    return Network(api.recipe(_file(text), net, {}, {}))


def _chosen(file: FileScope, net: str) -> str:
    """Return the net that is shown: the one asked for, if there is one of that name, else the first."""
    names = api.distinct(file)
    return net if net in names else next(iter(names), "")


def analysis(text: str, net: str = "") -> Json:
    """Return what is shown while somebody types: what is wrong, what each line costs, and what all of it does."""
    try:
        file = _file(text)
        names = api.distinct(file)
        chosen = _chosen(file, net)
        made = _net(text, chosen)
    except NetError as error:
        wrong = [_diagnostic(one, text) for one in error.diagnostics]
        return {"net": net, "nets": [], "diagnostics": wrong, "lines": [], "totals": None, "budgets": []}
    cost = made.cost()
    return {
        "net": chosen,
        "nets": names,
        "diagnostics": [_diagnostic(one, text) for one in made.check()],
        "lines": _lines(made),
        "totals": {
            "params": human(cost.params),
            "macs": human(cost.macs),
            "exact": f"{cost.params:,} params, {cost.macs:,} MACs of one sample",
        },
        "budgets": _budgets(made),
    }


def _lines(net: Network) -> list[Json]:
    source = net.recipe.net.file.source
    lines: dict[int, dict[str, None]] = {}
    own: dict[int, list[str]] = {}
    for node in net.graph:
        spans = [node.span, *(frame.span for frame in node.calls)]
        for line in {span.line for span in spans if span.source is source}:
            lines.setdefault(line, {})[node.name] = None
        if node.span.source is source:
            own.setdefault(node.span.line, []).append(node.name)
    cost = net.layer_costs
    total = net.cost()
    found = []
    for line, names in sorted(lines.items()):
        params = sum(cost[name].params for name in names)
        macs = sum(cost[name].macs for name in names)
        found.append(
            {
                "line": line,
                "params": _amount(params, total.params),
                "macs": _amount(macs, total.macs),
                "shapes": "",
                "copies": len(own.get(line, ())),
            }
        )
    return found


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


def forget() -> None:
    """Drop the texts and nets that are kept."""
    for kept in (_units, _file, _net):
        kept.cache_clear()


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
    sheet = view.sheet(found, view.View(look=Look(0)))

    def cell(quantity: Any, value: Any) -> Json:
        said = {"said": view.amount(quantity, value), "exact": quantity.text(value)}
        if quantity.share and value is not None and sums.get(quantity.name):
            said["share"] = value / sums[quantity.name]
        return said

    return {
        "by": found.by,
        "caption": sheet.caption,
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
        "notes": list(sheet.notes),
    }


def emitted(text: str, net: str, backend: str) -> Json:
    """Return the module that a backend writes, and which options the backend has."""
    made = _net(text, net)
    name = backend.partition(":")[0]
    return {"name": f"{made.name}.py", "text": emit(made, backend), "options": dict(options_of(name))}


def findings(text: str, net: str) -> Json:
    """Return what the linter finds in a net, each with its fix if all nets of the file are as promised with it."""
    from netdsl.lint.config import Settings
    from netdsl.lint.engine import Loaded, Run
    from netdsl.lint.finding import together
    from netdsl.lint.fix import proven

    def load(text: str) -> Loaded:
        file = api.read_text(text, NAME)
        return Loaded(file, [Network(recipe) for recipe in api.recipes(file, "", {}, {})], complete=True)

    loaded = load(text)
    run = Run(loaded, Settings())
    found = run.findings()
    if run.wrong:
        raise NetError(run.wrong)
    if any(one.fixable for one in found):
        found = proven(found, loaded, load)
    shown = [one for one in found if not one.nets or any(each.name == net for each in one.nets)]
    return {
        "findings": [{**_diagnostic(one.diagnostic(), text), "fix": _fix(one, text)} for one in shown],
        "others": len(found) - len(shown),
        "together": together(shown),
    }


def _fix(finding: Any, text: str) -> Json | None:
    fix = finding.hit.fix if finding.fixable else None
    if fix is None:
        return None
    units = _units(text)
    edits = [
        {"from": units(edit.span.start), "to": units(edit.span.end), "insert": edit.text}
        for edit in fix.edits
    ]
    return {"safe": fix.safe and not fix.moved, "edits": edits}


def graph(text: str, net: str) -> Json:
    """Return the picture of the graph."""
    from netdsl.picture import graph

    return {"svg": str(graph.draw(_net(text, net)))}


def report(text: str, net: str) -> Json:
    """Return the page of `netdsl report`."""
    from netdsl.picture import page

    return {"html": page.render(_net(text, net))}


def difference(before: str, text: str, net: str, was: str = "") -> Json:
    """Return what changed from a net of one text to one of another.

    Args:
        before: The spec before.
        text: The spec after.
        net: Which net of that.
        was: Which net of the one before; "" for the one of the same name, else the first.
    """
    try:
        file = _file(before)
        old = _net(before, _chosen(file, was or net))
    except NetError as error:
        return {"errors": [_diagnostic(one, before) for one in error.diagnostics]}
    found = diff.compare(old, _net(text, net))
    return {
        "nets": api.distinct(file),
        "was": old.name,
        "same": found.same,
        "text": diff.render_text(found, Look(_WIDTH)),
    }


def formatted(text: str) -> str:
    """Return the text in its canonical form."""
    from netdsl.syntax.format import format

    return format(text)


_ANSWERS: Mapping[str, Callable[..., Any]] = {
    one.__name__: one for one in (analysis, table, emitted, findings, graph, report, difference, formatted)
}

"""What is known of a space, as text, and as an object for JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from netdsl.cost.table import human
from netdsl.diagnostics.render import printable
from netdsl.sheet import Look, Sheet, csv
from netdsl.space.counts import Bracket
from netdsl.space.overview import Choice, Overview, counted
from netdsl.space.ranges import Range

VERSION = 1
"""Of the JSON form, docs/schema/space.json."""
MANY = 10**15
"""From so many on numbers of nets are rounded for people."""


def number(nets: int) -> str:
    """Return a number of nets: `16,760,991`, `6.50e+19`."""
    return f"{nets:,}" if nets < MANY else f"{nets:.3e}"


def bracket(found: Bracket, show: Callable[[int], str]) -> str:
    """Return a number, or between which two it is."""
    if found.exact:
        return show(found.least)
    return f"{show(found.least)} to {show(found.most)}"


def share(found: Bracket, nets: int) -> str:
    """Return which part of all nets some are, in percent."""
    ends = dict.fromkeys(_percent(part / nets) for part in (found.least, found.most))
    return " to ".join(ends)


def _percent(part: float) -> str:
    return f"{100 * part:.3g} %"


def headline(found: Overview) -> str:
    """Return what the space is."""
    decisions = len(found.choices)
    what = f"{decisions} open decision{'s' * (decisions != 1)}, {number(found.nets)} nets"
    return f"{printable(found.name)} ({printable(found.spec)}): {what}"


def summary(found: Overview) -> str:
    """Return what the space is in a few words."""
    decisions = len(found.choices)
    what = f"a search space of {decisions} open decision{'s' * (decisions != 1)}, {number(found.nets)} nets"
    return f"{what}, {bracket(found.within, number)} within its budgets" if found.bounds else what


def budget_lines(found: Overview, sampled: tuple[int, int] | None) -> list[str]:
    """Return how many nets keep the budgets; `sampled` is how many of some uniform draws keep the others, too."""
    return [": ".join(pair) for pair in budget_facts(found, sampled)]


def budget_facts(found: Overview, sampled: tuple[int, int] | None) -> list[tuple[str, str]]:
    """Return the budgets, and for each kind how many nets keep them."""
    facts = []
    if found.bounds:
        within = f"{bracket(found.within, number)} ({share(found.within, found.nets)})"
        facts.append((f"within {', '.join(one.said for one in found.bounds)}", within))
    if found.others:
        asked = ", ".join(one.said for one in found.others)
        much = "no sum over layers, so no count"
        if sampled is not None:
            kept, drawn = sampled
            much = f"kept by {kept} of {drawn} nets drawn uniformly from those"
        facts.append((asked, much))
    return facts


def cost_sheet(found: Overview, exact: bool) -> Sheet:
    """Return what nets cost at least and at most, over all of them and within the budgets."""
    show: Callable[[int], str] = (lambda n: f"{n:,}") if exact else human
    rows = []
    for name, quantity in counted().items():
        row = [quantity.title, *_ends(found.ranges[name], show)]
        row += _ends(found.kept[name], show) if found.kept else []
        rows.append([*row, quantity.unit])
    header = ["", "least", "most", *(["within: least", "most"] if found.kept else []), ""]
    return Sheet(header, rows, left=[0, len(header) - 1])


def _ends(found: Range, show: Callable[[int], str]) -> list[str]:
    return [bracket(found.least, show), bracket(found.most, show)]


def choice_sheet(choices: Sequence[Choice]) -> Sheet:
    """Return the decisions with their options."""
    rows = [[one.name, ", ".join(map(printable, one.options))] for one in choices]
    return Sheet(["decision", "options"], rows, left=[0, 1], prose=[1])


def never_lines(found: Overview) -> list[str]:
    """Return which options no net takes, at their lines."""
    lines = []
    for one in found.choices:
        line, _ = one.span.source.position(one.span.start)
        for texts, what in ((one.unused, "no valid net"), (one.beyond, "no net within the budgets")):
            if texts:
                which = f"{printable(one.name)}={' and '.join(map(printable, texts))}"
                lines.append(f"{which} is in {what} ({printable(one.span.source.name)}:{line})")
    return lines


def wrong_lines(found: Overview) -> list[str]:
    """Return what sets of answers run into."""
    lines = []
    for one in found.wrong:
        at = ""
        if one.span is not None:
            line, _ = one.span.source.position(one.span.start)
            at = f" ({printable(one.span.source.name)}:{line})"
        lines.append(f"not a net: {one.code} {printable(one.message)}{at}")
    return lines


def render_text(
    found: Overview, look: Look | None = None, exact: bool = False, sampled: tuple[int, int] | None = None
) -> str:
    """Return what is known of a space, and no newline at the end."""
    head = "\n".join([headline(found), *budget_lines(found, sampled)])
    notes = "\n".join([*never_lines(found), *wrong_lines(found)])
    tables = [cost_sheet(found, exact).text(look), choice_sheet(found.choices).text(look)]
    return "\n\n".join(filter(None, [head, *tables, notes]))


def render_short(found: Overview) -> str:
    """Return the same without the decisions, as Python shows it."""
    parts = [
        [headline(found), *budget_lines(found, None)],
        [cost_sheet(found, False).text()],
        never_lines(found),
    ]
    return "\n\n".join("\n".join(lines) for lines in parts if lines)


def render_markdown(found: Overview, exact: bool = False, sampled: tuple[int, int] | None = None) -> str:
    """Return what is known of a space as Markdown, and no newline at the end."""
    about = [
        f"- {line}" for line in (*budget_lines(found, sampled), *never_lines(found), *wrong_lines(found))
    ]
    tables = [cost_sheet(found, exact).markdown(), choice_sheet(found.choices).markdown()]
    return "\n\n".join(filter(None, [f"**{headline(found)}**", "\n".join(about), *tables]))


Front = Sequence[tuple[Sequence[int], Mapping[str, str]]]
"""Nets by what they cost and what is decided."""


def front_sheet(found: Front, names: Sequence[str], exact: bool, top: int) -> Sheet:
    """Return the nets of a front, by what they cost."""
    show: Callable[[int], str] = (lambda n: f"{n:,}") if exact else human
    titles = [counted()[name].title for name in names]
    rows = [
        [*map(show, sums), ", ".join(f"{name}={text}" for name, text in net.items())]
        for sums, net in found[:top]
    ]
    left = len(found) - len(rows)
    notes = [f"{left:,} more: --top {len(found)} shows all"] if left else []
    caption = f"{len(found):,} nets are on the front: no other is as good in {' and '.join(titles)}"
    return Sheet(
        [*titles, "decisions"], rows, left=[len(names)], prose=[len(names)], notes=notes, caption=caption
    )


def front_csv(found: Front, names: Sequence[str]) -> str:
    """Return the nets of a front as CSV, with a column for each decision; one that a net does not ask is empty."""
    decisions = list(dict.fromkeys(name for _, net in found for name in net))
    rows = [[*map(str, sums), *[net.get(name, "") for name in decisions]] for sums, net in found]
    return csv([[*names, *decisions], *rows])


def render_json(
    found: Overview,
    sampled: tuple[int, int] | None = None,
    front: tuple[Front, Sequence[str]] | None = None,
) -> dict[str, Any]:
    """Return what is known as an object for `json.dumps`; its fields are those of docs/schema/space.json."""
    made: dict[str, Any] = {
        "version": VERSION,
        "net": found.name,
        "spec": found.spec,
        "file": found.file,
        "nets": found.nets,
        "within": bracket_object(found.within),
        "budgets": [one.text for one in found.bounds],
        "other_budgets": [one.text for one in found.others],
        "budgets_of_some": [one.text for one in (*found.bounds, *found.others) if one.some],
        "sampled": None if sampled is None else {"kept": sampled[0], "drawn": sampled[1]},
        "costs": {name: _range(one) for name, one in found.ranges.items()},
        "costs_within": {name: _range(one) for name, one in found.kept.items()},
        "decisions": [
            {
                "name": one.name,
                "options": list(one.options),
                "line": one.span.source.position(one.span.start)[0],
                "in_no_net": list(one.unused),
                "in_no_net_within": list(one.beyond),
            }
            for one in found.choices
        ],
        "errors": [{"code": one.code, "message": one.message} for one in found.wrong],
    }
    if front is not None:
        nets, names = front
        made["front"] = [
            {"costs": dict(zip(names, sums, strict=True)), "decisions": dict(net)} for sums, net in nets
        ]
    return made


def bracket_object(found: Bracket) -> dict[str, Any]:
    """Return a number of nets for `json.dumps`."""
    return {"least": found.least, "most": found.most, "exact": found.exact}


def _range(found: Range) -> dict[str, Any]:
    return {"least": bracket_object(found.least), "most": bracket_object(found.most)}

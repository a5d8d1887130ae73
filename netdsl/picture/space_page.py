"""What there is to know of a search space on one page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from netdsl.cost.table import human
from netdsl.picture import frame, scatter
from netdsl.picture.frame import text
from netdsl.space import report
from netdsl.space.overview import counted

if TYPE_CHECKING:
    from netdsl.space.overview import Choice, Explored, Overview
    from netdsl.space.ranges import Range

DRAWS = 50
"""So many nets are drawn to see how many keep budgets that are no sums."""
_NAMES = 3
"""So many decisions of a line are named."""
_STYLE = """
.text.said { white-space: normal; overflow-wrap: anywhere; min-width: 8rem; }
.source .made { text-align: left; white-space: normal; min-width: 14rem; }
.choices td, .source th, .costs :is(td, th):first-child { text-align: left; } .choices td { vertical-align: top; }
.choices tr { scroll-margin-top: 4rem; } .choices tr:target td { background: var(--bar); }
del { color: var(--faint); }
.range { display: inline-block; width: 12rem; height: .8rem; border-radius: 3px; background:
  linear-gradient(to right, transparent var(--from), var(--link) var(--from) var(--to), transparent 0),
  linear-gradient(to right, transparent var(--least), var(--bar) var(--least) var(--most), transparent 0),
  var(--soft); }
@media (max-width: 44rem) {
  .source .made { order: 1; flex: 1 1 calc(100% - 2.5rem); min-width: 0; } .range { width: 6rem; }
  .choices, .costs { font-size: 12px; } :is(.choices, .costs) :is(td, th) { padding: .1rem .3rem; }
  .costs th { white-space: normal; }
}
"""


def render(explored: Explored) -> str:
    """Return the page: the source with its decisions, their options, what nets cost, a picture, and what is no net.

    It needs no script. Costs are of one sample in float32; the same space gives the same page.
    """
    found = explored.overview
    sections = [
        ("source", "Source", _source(explored, found)),
        ("decisions", "Decisions", _decisions(explored, found)),
        ("costs", "Costs", _costs(found)),
        ("nets", "Nets", f'<div class="wide" tabindex="0">{scatter.draw(explored).inline()}</div>'),
        ("errors", "Not nets", _errors(explored, found)),
    ]
    return frame.render(
        f"{found.name} ({found.spec}): a search space", _facts(explored, found), sections, _STYLE
    )


def _facts(explored: Explored, found: Overview) -> str:
    """Return how many nets there are, and how many keep the budgets."""
    sampled = (explored.sample(DRAWS), DRAWS) if found.others and found.within.most else None
    facts = [("open decisions", str(len(found.choices))), ("nets", report.number(found.nets))]
    return frame.facts([*facts, *report.budget_facts(found, sampled)])


# ---------------------------------------------------------------- source and decisions


def _source(explored: Explored, found: Overview) -> str:
    """Return the text of the net's file, with the decisions that each line makes."""
    source = explored.space.recipe.net.file.source
    lines: dict[int, list[Choice]] = {}
    for one in found.choices:
        if one.span.source is source:
            lines.setdefault(one.span.line, []).append(one)

    def margin(at: int) -> str:
        made = lines.get(at, [])
        return f'<td class="made">{_made(made)}</td>' if made else "<td></td>"

    said = "In the margin: which decisions a line leaves open, and how many options each has."
    return frame.listing(source, said, ["decisions"], margin)


def _made(choices: Sequence[Choice]) -> str:
    """Return some decisions, with links to the table, and their numbers of options."""
    links = [f'<a href="#{_key(one)}">{text(one.name)}</a>' for one in choices]
    if len(links) > _NAMES:
        links = [*links[: _NAMES - 1], f"{len(links) - _NAMES} more", links[-1]]
    numbers = sorted({len(one.options) for one in choices})
    ends = " to ".join(map(str, dict.fromkeys((numbers[0], numbers[-1]))))
    each = " each" * (len(choices) > 1)
    return f"{', '.join(links)}: {ends} option{'s' * (numbers[-1] != 1)}{each}"


def _key(choice: Choice) -> str:
    return f"decision-{text(choice.name)}"


def _decisions(explored: Explored, found: Overview) -> str:
    """Return the decisions with their options; those that are of no use are struck, and say why.

    Where no net keeps the budgets, that is said once, above.
    """
    source = explored.space.recipe.net.file.source
    rows = []
    for one in found.choices:
        beyond = one.beyond if found.within.most else ()
        options = ", ".join(_option(option, one.unused, beyond) for option in one.options)
        place = frame.place(one.span, source, f"line {one.span.line}")
        rows.append(
            f'<tr id="{_key(one)}"><td>{text(one.name)}</td><td class="text said">{options}</td><td>{place}</td></tr>'
        )
    heads = "".join(f'<th class="text">{title}</th>' for title in ("decision", "options", "where"))
    head = f"<thead><tr>{heads}</tr></thead>"
    return f'<div class="wide" tabindex="0"><table class="choices">{head}<tbody>{"".join(rows)}</tbody></table></div>'


def _option(option: str, unused: Sequence[str], beyond: Sequence[str]) -> str:
    """Return an option, struck if no net takes it, or none within the budgets."""
    for never, where in ((unused, "in no valid net"), (beyond, "in no net within the budgets")):
        if option in never:
            return f'<del>{text(option)}</del> <em class="faint">({where})</em>'
    return text(option)


# ---------------------------------------------------------------- costs and errors


def _costs(found: Overview) -> str:
    """Return what nets cost at least and at most, over all of them and within the budgets, with bars."""
    rows = []
    for name, quantity in counted().items():
        whole, kept = found.ranges[name], found.kept.get(name)
        ends = [*_ends(whole), *(_ends(kept) if kept else [])]
        unit = f", {quantity.unit}" if quantity.unit else ""
        cells = "".join(f"<td>{end}</td>" for end in ends)
        rows.append(
            f"<tr><td>{text(quantity.title + unit)}</td><td>{_bar(whole, kept or whole)}</td>{cells}</tr>"
        )
    heads = [
        "",
        "from 0 to the most",
        "least",
        "most",
        *(["least within", "most within"] if found.kept else []),
    ]
    head = "<thead><tr>" + "".join(f"<th>{title}</th>" for title in heads) + "</tr></thead>"
    within = ", strong those within the budgets" if found.kept else ""
    said = f"Of one sample, in float32. The bars reach from the least to the most of all nets{within}."
    return (
        f'<p class="faint">{said}</p><div class="wide" tabindex="0"><table class="costs">{head}'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _ends(found: Range) -> list[str]:
    return [report.bracket(found.least, human), report.bracket(found.most, human)]


def _bar(whole: Range, kept: Range) -> str:
    """Return a bar from the least to the most of all nets, and one within it."""
    full = whole.most.most or 1
    ends = {"least": whole.least, "most": whole.most, "from": kept.least, "to": kept.most}
    style = ";".join(f"--{name}:{100 * end.least / full:.1f}%" for name, end in ends.items())
    return f'<span class="range" style="{style}"></span>'


def _errors(explored: Explored, found: Overview) -> str:
    """Return some errors that sets of answers run into."""
    shown = frame.items(found.wrong, explored.space.recipe.net.file.source)
    if not shown:
        return "<p>no set of answers runs into an error</p>"
    said = f"Answers run into errors in {found.errors:,} place{'s' * (found.errors != 1)} of the space:"
    return f'<p class="faint">{said}</p>{shown}'

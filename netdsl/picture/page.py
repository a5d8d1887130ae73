"""All that is known about a net on one page: HTML that holds all it shows, and asks no network for anything."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from html import escape
from typing import TYPE_CHECKING

from netdsl import diff
from netdsl.cost.model import CONVENTION, Cost
from netdsl.cost.table import Row, human
from netdsl.diagnostics.render import printable
from netdsl.lint import lint
from netdsl.picture import bars, graph, timeline
from netdsl.picture.fold import fold
from netdsl.picture.svg import styles
from netdsl.quantities import Quantity

if TYPE_CHECKING:
    from netdsl.net import Net

_STYLE = """
:root { color-scheme: light dark; --page: #fff; --ink: #1f2328; --faint: #57606a; --line: #d9dde3;
  --soft: #f1f3f6; --bar: #cfe0f5; --link: #1f5a9e; --error: #b3261e; --warning: #8a5300; --hot: #f7b88f; }
@media (prefers-color-scheme: dark) { :root { --page: #16181d; --ink: #e6e8eb; --faint: #a3adb8; --line: #343a44;
  --soft: #232831; --bar: #24406288; --link: #8dbdf0; --error: #ff8a80; --warning: #f0b45a; --hot: #74310f; } }
body { margin: 0 auto; max-width: 76rem; padding: 1rem; background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; margin: 0; } h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; }
p { margin: .25rem 0; overflow-wrap: anywhere; } .faint { color: var(--faint); } a { color: var(--link); }
nav a { margin-right: 1rem; }
dl { display: flex; flex-wrap: wrap; gap: .5rem; margin: 1rem 0; }
dl div { background: var(--soft); border-radius: 6px; padding: .4rem .8rem; max-width: 100%; }
dt { color: var(--faint); font-size: .8rem; } dd { margin: 0; font-weight: 600; overflow-wrap: anywhere; }
.wide { overflow-x: auto; } svg { display: block; }
.parts, .blocks { display: flex; flex-wrap: wrap; gap: .3rem 1.5rem; align-items: flex-start; }
.blocks { flex: 1 1 20rem; min-width: 0; } .parts > *, .blocks > * { max-width: 100%; }
pre { font: 13px/1.5 ui-monospace, monospace; max-height: 30rem; overflow: auto; }
details { margin: .4rem 0; } summary { cursor: pointer; padding: .2rem 0; }
:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; }
table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums; }
th, td { padding: .1rem .6rem; text-align: right; white-space: pre; border-bottom: 1px solid var(--line); }
.text, code { text-align: left; } .source td { border: 0; padding: 0 .6rem; }
.source code { font: 13px/1.5 ui-monospace, monospace; }
.source tr:target td { background: var(--bar); }
.source td.cost { background: linear-gradient(to left, var(--bar) var(--part), transparent 0); }
th button { all: unset; cursor: pointer; font-weight: 600; } th button:focus-visible { outline: 2px solid; }
th[aria-sort=ascending] button::after { content: " \\2191"; }
th[aria-sort=descending] button::after { content: " \\2193"; }
.source th { white-space: normal; }
@media (max-width: 44rem) {
  .source td, .source th { padding: 0 .2rem; font-size: 10px; }
  .source code { font-size: 11px; } .source td { vertical-align: top; }
  .source td.text { white-space: pre-wrap; overflow-wrap: anywhere; }
}
.error { color: var(--error); } .warning { color: var(--warning); } li { margin: .6rem 0; overflow-wrap: anywhere; }
"""

_SCRIPT = """
for (const button of document.querySelectorAll("th button")) button.onclick = () => {
  const head = button.parentElement, table = head.closest("table"), body = table.tBodies[0];
  const down = head.getAttribute("aria-sort") !== "descending";
  const key = row => row.cells[head.cellIndex].dataset.v ?? row.cells[head.cellIndex].textContent;
  const order = (a, b) => head.classList.contains("text") ? key(b).localeCompare(key(a)) : key(b) - key(a);
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", down ? "descending" : "ascending");
  body.append(...[...body.rows].sort((a, b) => down ? order(a, b) : order(b, a)));
};
document.getElementById("colour").onchange = event => {
  for (const box of document.querySelectorAll("#graph rect[data-macs]")) {
    const share = box.dataset[event.target.value];
    box.style.fill = share === undefined ? "" : `color-mix(in oklab, var(--hot) ${share}%, var(--page))`;
  }
};
const unfold = () => {
  const target = location.hash && document.getElementById(location.hash.slice(1));
  if (target && target.tagName === "DETAILS") { target.open = true; target.scrollIntoView(); }
};
addEventListener("hashchange", unfold); unfold();
for (const link of document.querySelectorAll("svg a")) link.addEventListener("click", () => setTimeout(unfold));
for (const button of document.querySelectorAll("[data-open]")) button.onclick = () => {
  for (const part of document.querySelectorAll("#graph details")) part.open = button.dataset.open === "1";
};
"""


def render(net: Net, before: Net | None = None) -> str:
    """Return the page: the source with costs, the graph, tables, bars, memory, and what the linter finds.

    With a net `before` it says what changed from that, too. Costs are of one sample in float32. All but sorting,
    colours and folding at once works without scripts, and everything by keyboard.
    """
    sections = [
        ("source", "Source", _source(net)),
        ("graph", "Graph", _graph(net)),
        ("costs", "Costs", _costs(net)),
        ("bars", "Bars", f'<div class="wide">{bars.draw(net).markup(False)}</div>'),
        ("memory", "Memory", f'<div class="wide">{timeline.draw(net).markup(False)}</div>'),
        ("lint", "Findings", _findings(net)),
    ]
    if before is not None:
        said = "\n".join(map(_text, diff.render_text(diff.compare(before, net)).split("\n")))
        change = f'<pre class="wide" tabindex="0">{said}</pre>'
        sections.insert(0, ("difference", f"What changed from {_text(before.name)}", change))
    title = _text(graph.titled(net))
    policy = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
    return "\n".join(
        [
            '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
            f"<title>{title}</title>\n<style>{_STYLE}{styles()}</style>\n</head>\n<body>",
            f"<header><h1>{title}</h1>",
            _facts(net),
            "<nav>"
            + "\n".join(f'<a href="#{key}">{name}</a>' for key, name, _ in sections)
            + "</nav></header>",
            "<main>",
            *(f'<section id="{key}"><h2>{name}</h2>\n{body}</section>' for key, name, body in sections),
            f"</main>\n<script>{_SCRIPT}</script>\n</body>\n</html>\n",
        ]
    )


def _text(text: object) -> str:
    return escape(printable(str(text)))


def _facts(net: Net) -> str:
    """Return what the whole net costs, and what is known about it."""
    cost, live = net.cost(), net.liveness()
    facts = [
        *((f"input {name}", str(shape)) for name, shape in net.inputs.items()),
        *((f"output {name}", str(shape)) for name, shape in net.outputs.items()),
        ("params", f"{cost.params:,}"),
        ("MACs", f"{cost.macs:,}"),
        ("activations", f"{human(cost.activations)}B"),
        ("most alive in inference", f"{human(live.peak)}B at {live.at}"),
        *((key, str(value)) for key, value in net.meta.items()),
    ]
    return "<dl>" + "".join(f"<div><dt>{_text(k)}</dt><dd>{_text(v)}</dd></div>" for k, v in facts) + "</dl>"


# ---------------------------------------------------------------- source


def _source(net: Net) -> str:
    """Return the text of the net's file, with what each line costs, in itself or by what it calls."""
    source = net.recipe.net.file.source
    lines: dict[int, Cost] = {}
    for node in net.graph:
        spans = [node.span, *(frame.span for frame in node.calls)]
        cost = net.layer_costs[node.name]
        cost = cost.replace(macs=0, ops=0, activations=0) if node.train else cost
        for line in {span.line for span in spans if span.source is source}:
            lines[line] = lines.get(line, Cost()) + cost
    total = net.cost()
    rows = []
    for at, text in enumerate(source.text.rstrip("\n").split("\n"), 1):
        cost = lines.get(at, Cost()).scaled(1, 4)
        cells = "".join(
            _margin(quantity, getattr(cost, quantity.name), getattr(total, quantity.name))
            for quantity in bars.drawn()
        )
        code = f'<td class="text"><code>{_text(text.rstrip().expandtabs(4))}</code></td>'
        rows.append(f'<tr id="line-{at}">{cells}<td class="faint">{at}</td>{code}</tr>')
    heads = "".join(f"<th>{bars.heading(quantity)}</th>" for quantity in bars.drawn())
    return (
        '<p class="faint">In the margin: what a line costs in this net, with all that it calls.</p>'
        f'<div class="wide" tabindex="0"><table class="source"><thead><tr>{heads}<th></th><th></th></tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _margin(quantity: Quantity, value: int, whole: int) -> str:
    if not value:
        return "<td></td>"
    return f'<td class="cost" style="--part:{100 * value / whole:.1f}%">{bars.amount(quantity, value)}</td>'


# ---------------------------------------------------------------- graph


def _graph(net: Net) -> str:
    """Return the net, and its distinct blocks, each of which unfolds."""
    top, *blocks = fold(net)
    options = "".join(f'<option value="{one.name}">{one.title}</option>' for one in bars.drawn())
    colour = f'<label>colour <select id="colour"><option value="">kind</option>{options}</select></label>'
    fold_all = '<button data-open="1">unfold all</button> <button data-open="0">fold all</button>'
    said = '<span class="faint">a block in the picture leads to what is in it</span>'
    shown = [f"<p>{colour} {f'{fold_all} {said}' if blocks else ''}</p>"]
    shown.append('<div class="parts">')
    shown.append(
        f'<div class="wide" tabindex="0">{graph.draw_part(top).markup(False)}</div><div class="blocks">'
    )
    for at, part in enumerate(blocks, 1):
        times = "once" if part.count == 1 else f"{part.count} times"
        summary = f"<summary>{_text(part.title)} <span class='faint'>{times}</span></summary>"
        picture = f'<div class="wide" tabindex="0">{graph.draw_part(part).markup(False)}</div>'
        shown.append(f'<details id="part-{at}">{summary}{picture}</details>')
    return "\n".join([*shown, "</div></div>"])


# ---------------------------------------------------------------- tables


def _costs(net: Net) -> str:
    """Return the costs by block, and by layer behind a fold, as tables that can be sorted."""
    blocks, layers = net.costs("block").rows, net.costs("layer").rows
    parts = [f'<p class="faint">{_text(CONVENTION)}.</p>', _table(blocks)]
    if len(layers) > len(blocks):
        parts.append(f"<details><summary>all {len(layers)} layers</summary>{_table(layers)}</details>")
    return "\n".join(parts)


def _table(rows: Sequence[Row]) -> str:
    titles = [("name", True), ("op", True), ("output", True)]
    titles += [(bars.heading(quantity), False) for quantity in bars.drawn()]
    head = "".join(
        f"<th{' class=text' if text else ''}><button>{name}</button></th>" for name, text in titles
    )
    body = "\n".join(f"<tr>{''.join(_cells(row))}</tr>" for row in rows)
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f'<div class="wide" tabindex="0">{table}</div>'


def _cells(row: Row) -> Iterator[str]:
    for text in (row.name, row.what, row.output or ""):
        yield f"<td class=text>{_text(text)}</td>"
    for quantity in bars.drawn():
        value = int(getattr(row, quantity.name))
        yield f"<td data-v={value}>{bars.amount(quantity, value) if value else ''}</td>"


# ---------------------------------------------------------------- findings


def _findings(net: Net) -> str:
    """Return what the linter finds, with links to the lines."""
    source = net.recipe.net.file.source
    shown = []
    for finding in lint(net):
        said = finding.diagnostic()
        place = _text(str(finding.hit.span))
        if finding.hit.span.source is source:
            place = f'<a href="#line-{finding.hit.span.line}">{place}</a>'
        more = _lines([*said.details, *([f"help: {said.help}"] if said.help else [])])
        head = f'<strong class="{said.severity}">{said.severity}</strong> {_text(said.code)}, {place}'
        shown.append(f"<li>{head}<br>{_text(said.message)}{more}</li>")
    return f"<ul>{''.join(shown)}</ul>" if shown else "<p>nothing found</p>"


def _lines(texts: Iterable[str]) -> str:
    return "".join(f'<br><span class="faint">{_text(text)}</span>' for text in texts)

"""All that is known about a net on one page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from netdsl import diff
from netdsl.cost.model import CONVENTION
from netdsl.cost.table import Row, human
from netdsl.cost.view import amount
from netdsl.lint import lint
from netdsl.picture import bars, frame, graph, timeline
from netdsl.picture.fold import fold
from netdsl.picture.frame import text
from netdsl.quantities import Options, Quantity, drawn

if TYPE_CHECKING:
    from netdsl.ir.graph import Node
    from netdsl.net import Net

_STYLE = """
#table td:nth-child(-n+3) { text-align: left; }
.parts, .blocks { display: flex; flex-wrap: wrap; gap: .3rem 1.5rem; align-items: flex-start; }
.blocks { flex: 1 1 20rem; min-width: 0; } .parts > *, .blocks > * { max-width: 100%; }
#table :is(td, th):first-child { position: sticky; left: 0; background: var(--page); }
#table td button::before { content: "\\25B8"; display: inline-block; width: 1.2em; }
#table td button[aria-expanded=true]::before { content: "\\25BE"; }
#table:not(.flat) tr + tr td:first-child { padding-left: 2rem; }
table button { all: unset; cursor: pointer; font-weight: 600; }
table button:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; }
th[aria-sort=ascending] button::after { content: " \\2191"; }
th[aria-sort=descending] button::after { content: " \\2193"; }
.coloured .netdsl .faint { fill: var(--ink); }
ins { color: var(--new); text-decoration: none; } del { color: var(--error); text-decoration: none; }
@media (max-width: 44rem) {
  #table { font-size: 12px; } #table td, #table th { padding: .1rem .35rem; } #table th { white-space: normal; }
}
"""

SCRIPT = """
const all = (what, inside = document) => [...inside.querySelectorAll(what)];
const by = id => document.getElementById(id);

const table = by("table"), only = document.createElement("tbody");
const groups = [...table.tBodies].map(body => {
  const [head, ...layers] = body.rows, block = head.querySelector("button");
  for (const row of layers) {
    row.local = row.cells[0].textContent;
    row.path = `${block.textContent}.${row.local}`;
  }
  return {body, head, layers, block, open: false};
});
const unfold = ({layers, block}, open) => {
  block?.setAttribute("aria-expanded", open);
  for (const row of layers) row.hidden = !open;
};
const sorted = (items, row = item => item) => {
  const head = table.querySelector("[aria-sort]");
  if (!head) return items;
  const said = item => row(item).cells[head.cellIndex];
  const value = item => +(said(item).dataset.v ?? (parseFloat(said(item).textContent) || 0));
  const order = head.className === "text"
    ? (a, b) => said(a).textContent.localeCompare(said(b).textContent, "en", {numeric: true})
    : (a, b) => value(a) - value(b);
  const sign = head.getAttribute("aria-sort") === "ascending" ? 1 : -1;
  return [...items].sort((a, b) => sign * order(a, b));
};
const show = () => {
  const flat = by("flat")?.checked ?? false;
  table.classList.toggle("flat", flat);
  for (const group of groups) {
    for (const row of group.layers) row.cells[0].textContent = flat ? row.path : row.local;
    unfold(group, flat || group.open);
  }
  for (const body of [...table.tBodies]) body.remove();
  if (flat) {
    only.append(...sorted(groups.flatMap(({head, layers}) => layers.length ? layers : [head])));
    table.append(only);
  } else for (const {body, head, layers} of sorted(groups, group => group.head)) {
    body.append(head, ...sorted(layers));
    table.append(body);
  }
};
for (const group of groups) if (group.block) group.block.onclick = () => {
  group.open = !group.open;
  unfold(group, group.open);
};
for (const button of all("th button")) button.onclick = () => {
  const head = button.parentElement, first = head.className === "text" ? "ascending" : "descending";
  const next = head.getAttribute("aria-sort") !== first ? first : first === "ascending" ? "descending" : "ascending";
  for (const other of all("[aria-sort]")) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", next);
  show();
};
if (by("flat")) by("flat").onchange = show;
show();

by("colour").onchange = event => {
  by("graph").classList.toggle("coloured", event.target.value !== "");
  for (const box of all("#graph rect[data-macs]")) {
    const share = box.dataset[event.target.value];
    box.style.fill = share === undefined ? "" : `color-mix(in oklab, var(--hot) ${share}%, var(--page))`;
  }
};
for (const button of all("[data-of]")) button.onclick = () => {
  const open = "open" in button.dataset;
  if (button.dataset.of === "graph") for (const part of all("#graph details")) part.open = open;
  else for (const group of groups) unfold(group, group.open = open);
};
const follow = () => {
  const target = location.hash && by(location.hash.slice(1));
  if (target && target.tagName === "DETAILS") {
    target.open = true;
    target.scrollIntoView();
  }
};
addEventListener("hashchange", follow);
follow();
for (const link of all("svg a")) link.addEventListener("click", () => setTimeout(follow));
"""

_FOLD_ALL = '<button data-of="{0}" data-open>unfold all</button> <button data-of="{0}">fold all</button>'


def render(net: Net, before: Net | None = None) -> str:
    """Return the page: the source with costs, the graph, tables, bars, memory, and what the linter finds.

    With a net `before` it says what changed from that, too. Costs are of one sample in float32. All but sorting,
    colours and folding at once works without scripts, and everything by keyboard.
    """
    sections = [
        ("source", "Source", _source(net)),
        ("graph", "Graph", _graph(net)),
        ("costs", "Costs", _costs(net)),
        ("bars", "Bars", f'<div class="wide">{bars.draw(net).inline()}</div>'),
        ("memory", "Memory", f'<div class="wide">{timeline.draw(net).inline()}</div>'),
        ("lint", "Findings", _findings(net)),
    ]
    if before is not None:
        said = "\n".join(map(_changed, diff.render_text(diff.compare(before, net)).split("\n")))
        change = f'<pre class="wide" tabindex="0">{said}</pre>'
        sections.insert(0, ("difference", f"What changed from {text(before.name)}", change))
    return frame.render(graph.titled(net), _facts(net), sections, _STYLE, SCRIPT)


def _changed(line: str) -> str:
    """Return a line of a difference; what came or went has a colour."""
    tag = {"+ ": "ins", "- ": "del"}.get(line[:2])
    return f"<{tag}>{text(line)}</{tag}>" if tag else text(line)


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
    return frame.facts(facts)


# ---------------------------------------------------------------- source


def _source(net: Net) -> str:
    """Return the text of the net's file, with what each line costs, in itself or by what it calls."""
    source = net.recipe.net.file.source
    lines: dict[int, list[Node]] = {}
    for node in net.graph:
        spans = [node.span, *(frame.span for frame in node.calls)]
        for line in {span.line for span in spans if span.source is source}:
            lines.setdefault(line, []).append(node)
    totals = {one: one.of(net, list(net.graph), Options()) for one in drawn()}

    def margin(at: int) -> str:
        nodes = lines.get(at, [])
        return "".join([_margin(one, one.of(net, nodes, Options()), total) for one, total in totals.items()])

    said = "In the margin: what a line costs in this net, with all that it calls."
    return frame.listing(source, said, [bars.heading(quantity) for quantity in drawn()], margin)


def _margin(quantity: Quantity, value: int, whole: int) -> str:
    if not value:
        return "<td></td>"
    part, said = f"{100 * value / whole:.1f}%", amount(quantity, value)
    return f'<td class="cost" style="--part:{part}" data-of="{quantity.title}">{said}</td>'


# ---------------------------------------------------------------- graph


def _graph(net: Net) -> str:
    """Return the net, and its distinct blocks, each of which unfolds."""
    top, *blocks = fold(net)
    options = "".join(f'<option value="{one.name}">{one.title}</option>' for one in drawn())
    colour = f'<label>colour <select id="colour"><option value="">kind</option>{options}</select></label>'
    said = '<span class="faint">a block in the picture leads to what is in it</span>'
    parts = f"{_FOLD_ALL.format('graph')} {said}" if blocks else ""
    shown = [f"<p>{colour} {parts}</p>"]
    shown.append('<div class="parts">')
    shown.append(f'<div class="wide" tabindex="0">{graph.draw_part(top).inline()}</div><div class="blocks">')
    for at, part in enumerate(blocks, 1):
        times = "once" if part.count == 1 else f"{part.count} times"
        summary = f"<summary>{text(part.title)} <span class='faint'>{times}</span></summary>"
        picture = f'<div class="wide" tabindex="0">{graph.draw_part(part).inline()}</div>'
        shown.append(f'<details id="part-{at}">{summary}{picture}</details>')
    return "\n".join([*shown, "</div></div>"])


# ---------------------------------------------------------------- tables


def _costs(net: Net) -> str:
    """Return the costs by block as a table that can be sorted, in which each block unfolds to its layers."""
    layers: dict[str, list[Row]] = {}
    rows = {row.name: row for row in net.cost_table("block")}
    for row in (every := net.cost_table("layer")):
        block = next(name for name in _prefixes(row.name) if name in rows)
        layers.setdefault(block, []).append(row)
    titles = [("name", True), ("op", True), ("output", True)]
    titles += [(bars.heading(quantity), False) for quantity in drawn()]
    head = "".join(
        f"<th{' class=text' if text else ''}><button>{name}</button></th>" for name, text in titles
    )
    body = "\n".join(f"<tbody>{_group(row, layers[row.name])}</tbody>" for row in rows.values())
    table = f'<table id="table"><thead><tr>{head}</tr></thead>\n{body}</table>'
    said = f'<p class="faint">{text(CONVENTION)}.</p>'
    flat = '<label><input type="checkbox" id="flat">layers alone</label>'
    shown = f"<p>{_FOLD_ALL.format('table')} {flat}</p>" if len(rows) < len(every) else ""
    return f'{said}{shown}<div class="wide" tabindex="0">{table}</div>'


def _prefixes(path: str) -> Iterator[str]:
    """Yield a path, and those of all that it is in, the innermost first."""
    while path:
        yield path
        path = path.rpartition(".")[0]


def _group(row: Row, layers: Sequence[Row]) -> str:
    """Return a row, and those of the layers in it, whose names go on where its own ends."""
    if [layer.name for layer in layers] == [row.name]:
        return _row(text(row.name), row)
    inner = (_row(text(layer.name.removeprefix(f"{row.name}.")), layer) for layer in layers)
    return "".join([_row(f"<button aria-expanded=true>{text(row.name)}</button>", row), *inner])


def _row(name: str, row: Row) -> str:
    """Return a row as short as HTML has it: the end of a cell or row is where the next begins, and 0 is not said."""
    cells = [f"<tr><td>{name}<td>{text(row.what)}<td>{text(row.output or '')}"]
    for quantity in drawn():
        value = int(getattr(row, quantity.name))
        exact = f" data-v={value}" if value >= 1000 else ""
        cells.append(f"<td{exact}>{amount(quantity, value) if value else ''}")
    return "".join(cells)


# ---------------------------------------------------------------- findings


def _findings(net: Net) -> str:
    """Return what the linter finds, with links to the lines."""
    source = net.recipe.net.file.source
    return frame.items((one.diagnostic() for one in lint(net)), source) or "<p>nothing found</p>"

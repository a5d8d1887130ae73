"""A net in a few lines: as text, and as HTML for notebooks."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from netdsl.cost.table import human
from netdsl.cost.view import amount, folded
from netdsl.diagnostics.render import printable
from netdsl.ops.source import Input
from netdsl.picture import graph
from netdsl.quantities import drawn

if TYPE_CHECKING:
    from netdsl.net import Net


def lines(net: Net) -> list[str]:
    """Return five lines: what it is, what goes in and out, weights, work and memory, and what is known about it."""
    cost, live = net.cost(), net.liveness()
    layers = sum(1 for node in net.graph if not isinstance(node.op, Input))
    blocks = [scope for scope in net.graph.tree.scopes() if scope.kind == "block"]
    kinds = len({scope.block for scope in blocks})
    made = f"{layers} layer{'s' if layers != 1 else ''}"
    if blocks:
        made += (
            f", {len(blocks)} block{'s' if len(blocks) > 1 else ''} of {kinds} kind{'s' if kinds > 1 else ''}"
        )
    result = net.graph.outputs[0].value.node
    seen = net.receptive.get(result)
    about = [f"{key} {value}" for key, value in net.meta.items()]
    return [
        printable(line)
        for line in (
            f"{graph.titled(net)}, {made}",
            f"shapes       {_shapes(net.inputs)} -> {_shapes(net.outputs)}",
            f"weights      {cost.params:,} params ({human(4 * cost.params)}B in float32)",
            f"a sample     {human(cost.macs)} MACs, {human(cost.activations)}B of activations, "
            f"at most {human(live.peak)}B alive, at {live.at}",
            f"about        {', '.join([*([f'receptive field {seen}'] if seen else []), *about])}",
        )
    ]


def _shapes(shapes: Any) -> str:
    many = len(shapes) > 1
    return ", ".join(f"{name} {shape}" if many else str(shape) for name, shape in shapes.items())


def html(net: Net) -> str:
    """Return a net as HTML: the lines, a table by block, and the graph, both of which fold."""
    table = net.cost_table("block")
    head = "".join(f'<th style="text-align:left">{title}</th>' for title in ("block", "", "output"))
    head += "".join(f"<th>{one.title}</th>" for one in drawn())
    rows = []
    for row in folded(table.rows, table.quantities):
        times = f" x{row.count}" if row.count > 1 else ""
        texts = (f"{row.name}{times}", row.what, "" if row.output is None else str(row.output))
        counts = (amount(one, getattr(row, one.name)) for one in drawn())
        cells = [f'<td style="text-align:left">{escape(printable(text))}</td>' for text in texts]
        rows.append("".join([*cells, *(f"<td>{count}</td>" for count in counts)]))
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    said = escape("\n".join(lines(net)))
    return (
        f"<pre>{said}</pre>"
        f'<details open=""><summary>costs by block</summary><div style="max-height:22em;overflow:auto">'
        f'<table cellpadding="4" style="text-align:right"><tr>{head}</tr>{body}</table></div></details>'
        f'<details open=""><summary>graph</summary><div style="overflow:auto">{graph.draw(net)}</div></details>'
    )

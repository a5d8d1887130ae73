"""The graph of a net with its blocks folded, as SVG, and as text for Graphviz and Mermaid."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from netdsl.cost.table import human
from netdsl.diagnostics.render import printable
from netdsl.picture.fold import Box, Line, Part, Plate, fold
from netdsl.picture.layout import Layout, Size, arrange
from netdsl.picture.svg import Svg, fitted, number, width
from netdsl.record import Record

if TYPE_CHECKING:
    from netdsl.net import Net

_ROW = 15.0
_PAD = 10.0
_EDGE = 20.0
_WIDEST = 260.0
"""The most room for a line in a box."""
_SMALL = 10.0
_FRAME = 10.0
"""Between a plate's edge and what is on it."""
_PICTURE = 1200.0
"""How wide a picture of several parts is, unless one of them is wider."""


class _Plated(Record):
    """What is on a plate: places from its corner on, the edges there, and the size of the plate."""

    plate: Plate
    layout: Layout
    edges: tuple[tuple[int, int], ...]
    frame: Size


class _Places(Record):
    """Where the boxes of a part are (middle, top), through which places edges go, and where plates are."""

    wide: float
    high: float
    boxes: tuple[tuple[float, float], ...]
    routes: tuple[tuple[tuple[float, float], ...], ...]
    plates: tuple[tuple[float, float, _Plated], ...]


class _Drawn(Record):
    """A part with its places; the first row is its heading."""

    part: Part
    layout: _Places
    sizes: tuple[Size, ...]
    heading: tuple[str, ...]
    wide: float
    high: float


def titled(net: Net) -> str:
    """Return a net's name, and which net of which file it is if it comes from a spec."""
    return f"{net.name}: {net.class_name} of {net.spec}" if net.spec else net.name


def draw(net: Net) -> Svg:
    """Return the graph of a net: itself at the left, then every distinct block once."""
    parts = [_place(part) for part in fold(net)]
    title = titled(net)
    cost = net.cost()
    said = f"{human(cost.params)} params, {human(cost.macs)} MACs; shapes are of one sample"
    places = _packed([(one.wide + _EDGE, one.high + _EDGE) for one in parts])
    right = max(x + one.wide for (x, _), one in zip(places, parts, strict=True))
    bottom = max(y + one.high for (_, y), one in zip(places, parts, strict=True))
    wide, top = max(right, width(said)) + 2 * _EDGE, 66.0
    svg = Svg(wide, top + bottom + _EDGE, f"{title}; {said}")
    svg.text(_EDGE, 28, fitted(title, wide - 2 * _EDGE, 17), "strong", size=17)
    svg.text(_EDGE, 48, said, "faint")
    for (x, y), one in zip(places, parts, strict=True):
        _draw_part(svg, one, _EDGE + x, top + y)
    return svg


def draw_part(part: Part) -> Svg:
    """Return one part alone, whose blocks are links to `part-` and their index among the parts."""
    drawn = _place(part)
    svg = Svg(drawn.wide + 2, drawn.high + 2, part.title)
    _draw_part(svg, drawn, 1, 1, "part-")
    return svg


def _packed(sizes: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the left and top of rectangles, each as high as there is room for it below those before, then left.

    The whole is as wide as `_PICTURE`, or as the area asks for, or as the widest.
    """
    room = max(
        min(_PICTURE, 1.1 * sum(wide * high for wide, high in sizes) ** 0.5), *(wide for wide, _ in sizes)
    )
    line = [(0.0, 0.0), (room, 0.0)]  # from each x on, the bottom of what is placed
    places = []
    for wide, high in sizes:
        spots = []
        for x, _ in line:
            over = [bottom for (at, bottom), (end, _) in pairwise(line) if at < x + wide and end > x]
            if x + wide <= room:
                spots.append((max(over), x))
        y, x = min(spots)
        places.append((x, y))
        behind = [bottom for at, bottom in line if at <= x + wide][-1]
        line = [(at, bottom) for at, bottom in line if not x <= at <= x + wide or at == room]
        line = sorted([*line, (x, y + high), *([(x + wide, behind)] if x + wide < room else [])])
    return places


def _place(part: Part) -> _Drawn:
    """Return a part with places for all that is in it."""
    sizes = tuple(map(_size, part.boxes))
    layout = _arranged(part, sizes)
    leans = [0] * len(sizes)
    for (tail, _), route in zip(part.edges, layout.routes, strict=True):
        leans[tail] += (route[1][0] > route[0][0] + 1) - (route[1][0] < route[0][0] - 1)
    if any(lean > 0 for lean in leans):  # what is written below stands where fewer edges are
        sizes = tuple(size.replace(mirrored=lean > 0) for size, lean in zip(sizes, leans, strict=True))
        layout = _arranged(part, sizes)
    heading: list[str] = []
    if part.place:
        times = "once" if part.count == 1 else f"{part.count} times"
        heading = [f"{times}, {'here' if part.count == 1 else 'first'} {part.place}"]
        if part.varies:
            heading.append("italic: differs elsewhere")
    room = max(layout.wide, 150.0)
    shown = tuple(fitted(text, room, _SMALL) for text in heading)
    title = fitted(part.title, room, 13)
    wide = max([layout.wide, width(title, 13), *(width(text, _SMALL) for text in shown)])
    return _Drawn(
        part, layout, sizes, (title, *shown), wide + 2 * _PAD, layout.high + _head(shown) + 2 * _PAD
    )


def _arranged(part: Part, sizes: Sequence[Size]) -> _Places:
    """Return places for the boxes of a part; a plate has a place as one box, and what is on it is arranged there."""
    owner = list(range(len(sizes)))  # for each box the first that has a place together with it
    for plate in part.plates:
        owner[plate.start : plate.stop] = [plate.start] * (plate.stop - plate.start)
    firsts = sorted(set(owner))
    at = {box: index for index, box in enumerate(firsts)}
    inner = {plate.start: _inside(part, plate, sizes) for plate in part.plates}
    edges = dict.fromkeys((at[owner[a]], at[owner[b]]) for a, b in part.edges if owner[a] != owner[b])
    layout = arrange([inner[box].frame if box in inner else sizes[box] for box in firsts], list(edges))
    between = dict(zip(edges, layout.routes, strict=True))
    places = [layout.places[at[first]] for first in owner]
    within: dict[tuple[int, int], list[tuple[float, float]]] = {}
    plates = []
    for first, plated in inner.items():
        x, y = places[first]
        plates.append((x, y, plated))
        x, y = x - plated.layout.places[0][0], y + _FRAME
        for box, (px, py) in enumerate(plated.layout.places, first):
            places[box] = x + px, y + py
        for edge, route in zip(plated.edges, plated.layout.routes, strict=True):
            within[edge] = [(x + px, y + py) for px, py in route]
    routes = []
    for a, b in part.edges:
        if (a, b) in within:
            routes.append(within[a, b])
            continue
        leaves = [(places[a][0], places[a][1] + sizes[a].high)] if owner[a] in inner else []
        enters = [places[b]] if owner[b] in inner else []
        routes.append([*leaves, *between[at[owner[a]], at[owner[b]]], *enters])
    return _Places(layout.wide, layout.high, tuple(places), tuple(map(tuple, routes)), tuple(plates))


def _inside(part: Part, plate: Plate, sizes: Sequence[Size]) -> _Plated:
    """Return the layout of what is on a plate, and the size of the plate, whose middle is that of its first box."""
    edges = [(a, b) for a, b in part.edges if a in plate and b in plate]
    own = sizes[plate.start : plate.stop]
    layout = arrange(own, [(a - plate.start, b - plate.start) for a, b in edges])
    middle = layout.places[0][0]
    half = max(middle, layout.wide - middle, width(_badge(plate), 11) + 8) + _FRAME
    bottom = max(y + size.high + size.below for (_, y), size in zip(layout.places, own, strict=True))
    return _Plated(plate, layout, tuple(edges), Size(2 * half, bottom + 2 * _FRAME))


def _head(shown: Sequence[str]) -> float:
    return 24.0 + 13.0 * len(shown)


def _size(box: Box) -> Size:
    """Return what a box takes."""
    texts = [width(text, size) for text, size, _ in _texts(box)]
    wide = max(texts, default=0.0) + 2 * _PAD
    if box.repeats > 1:
        wide += width(_badge(box), 11) + 14
    high = 8.0 + _ROW * len(texts) if box.kind != "end" else 22.0
    beside = max((width(line.text, _SMALL) for line in box.shapes), default=-6.0) + 6
    return Size(max(wide, 46.0), high, 13.0 * len(box.shapes) + 4, beside)


def _badge(repeated: Box | Plate) -> str:
    return f"x{repeated.repeats}"


def _draw_badge(svg: Svg, repeated: Box | Plate, right: float, top: float) -> float:
    """Draw how often something is repeated, and return how wide that is."""
    room = width(_badge(repeated), 11) + 10
    svg.rect(right - room, top, room, 16, "badge", round=8)
    svg.text(right - room / 2, top + 12, _badge(repeated), "badged", "middle", 11)
    return room


def _texts(box: Box) -> Iterator[tuple[str, float, str]]:
    """Yield the lines of a box: text, size and kind."""
    if box.kind == "end":
        yield fitted(box.title, _WIDEST, 11), 11, "ink"
        return
    if box.title:
        yield fitted(box.title, _WIDEST, 12), 12, "strong"
    for line in box.lines:
        yield fitted(line.text, _WIDEST, 12), 12, "varies" if line.varies else "ink"
    if box.place:
        yield fitted(box.place, _WIDEST, _SMALL), _SMALL, "faint"


def _draw_part(svg: Svg, drawn: _Drawn, left: float, top: float, link: str = "") -> None:
    """Draw a part; its blocks are links if `link` says how their targets begin."""
    part, layout = drawn.part, drawn.layout
    svg.rect(left, top, drawn.wide, drawn.high, "panel", round=8)
    svg.text(left + _PAD, top + 20, drawn.heading[0], "strong", size=13)
    for at, text in enumerate(drawn.heading[1:]):
        svg.text(left + _PAD, top + 34 + 13 * at, text, "faint", size=_SMALL)
    x = left + (drawn.wide - layout.wide) / 2
    y = top + _head(drawn.heading[1:]) + _PAD
    for px, py, plated in layout.plates:
        half = plated.frame.wide / 2
        svg.rect(x + px - half, y + py, 2 * half, plated.frame.high, "plate", round=8)
        _draw_badge(svg, plated.plate, x + px + half - 6, y + py - 8)
    _draw_edges(svg, [[(x + px, y + py) for px, py in route] for route in layout.routes])
    for box, size, (px, py) in zip(part.boxes, drawn.sizes, layout.boxes, strict=True):
        with svg.link(f"{link}{box.part}" if link and box.part else ""):
            _draw_box(svg, box, size, x + px, y + py, _shares(box, part) if link else {})
        _draw_shapes(svg, box, x + px, y + py + size.high, size.mirrored)


def _draw_edges(svg: Svg, routes: Sequence[Sequence[tuple[float, float]]]) -> None:
    """Draw edges as curves that leave and enter upright, with tips."""
    if not routes:
        return
    svg.path("".join(step for route in routes for step in _curve(route)), "edge")
    svg.path("".join(f"M{number(x)} {number(y)}l-3.5-6h7z" for *_, (x, y) in routes), "tip")


def _curve(points: Sequence[tuple[float, float]]) -> Iterator[str]:
    (x, y), *others = points
    yield f"M{number(x)} {number(y)}"
    for at, (to_x, to_y) in enumerate(others, 1):
        if abs(to_x - x) >= 0.05:
            middle = number((y + to_y) / 2)
            yield f"C{number(x)} {middle} {number(to_x)} {middle} {number(to_x)} {number(to_y)}"
        elif at == len(others) or abs(points[at + 1][0] - to_x) >= 0.05:  # else it goes on
            yield f"V{number(to_y)}"
        x, y = to_x, to_y


def _shares(box: Box, part: Part) -> dict[str, int]:
    """Return the costs of a box, for scripts, in percent of the largest in its part."""
    if box.kind == "end":
        return {}
    most = {name: max([other.amounts.get(name, 0) for other in part.boxes]) for name in box.amounts}
    return {name: 100 * amount // (most[name] or 1) for name, amount in box.amounts.items()}


def _draw_box(svg: Svg, box: Box, size: Size, x: float, y: float, data: Mapping[str, int]) -> None:
    """Draw a box whose top has its middle at a place."""
    left = x - size.wide / 2
    round = 11 if box.kind == "end" else 4
    svg.rect(left, y, size.wide, size.high, box.kind, _about(box), round, data)
    base = y + (15 if box.kind == "end" else 16)
    middle = x
    if box.repeats > 1:
        middle = x - (_draw_badge(svg, box, left + size.wide - 5, y + 5) + 4) / 2
    for text, height, kind in _texts(box):
        svg.text(middle, base, text, kind, "middle", height)
        base += _ROW


def _draw_shapes(svg: Svg, box: Box, x: float, y: float, left: bool) -> None:
    """Write what leaves a box below it, at the side of the middle where fewer edges are."""
    for at, line in enumerate(box.shapes):
        wide, bottom = width(line.text, _SMALL) + 2, y + 13 * (at + 1)
        svg.rect(x - 4 - wide if left else x + 4, bottom - 9, wide, 12, "panel-ground")
        kind = "varies" if line.varies else "faint"
        svg.text(x - 5 if left else x + 5, bottom, line.text, kind, "end" if left else "start", _SMALL)


def _about(box: Box) -> str:
    """Return what is shown of a box when a pointer rests on it."""
    if not box.layers or box.kind == "end":
        return ""
    first, cost = box.layers[0], box.cost
    layers = first if len(box.layers) == 1 else f"{len(box.layers)} layers, {first} … {box.layers[-1]}"
    return (
        f"{layers}: {cost.params:,} params, {cost.macs:,} MACs, {4 * cost.activations:,} bytes of activations"
    )


# ---------------------------------------------------------------- texts


class _Named(NamedTuple):
    """A box with a name, the plate that begins with it, and whether one ends with it."""

    key: str
    box: Box
    starts: Plate | None
    stops: bool


def _named(parts: Sequence[Part]) -> Iterator[tuple[int, Part, list[_Named]]]:
    for at, part in enumerate(parts):
        starts = {plate.start: plate for plate in part.plates}
        stops = {plate.stop - 1 for plate in part.plates}
        yield (
            at,
            part,
            [
                _Named(f"p{at}_{index}", box, starts.get(index), index in stops)
                for index, box in enumerate(part.boxes)
            ],
        )


def _lines(box: Box) -> list[str]:
    badge = f" {_badge(box)}" if box.repeats > 1 else ""
    lines = [box.title] if box.title else []
    lines += [line.text for line in box.lines]
    lines[0] += badge
    return [printable(line) for line in [*lines, *([box.place] if box.place else [])]]


def _heading(part: Part) -> str:
    if not part.place:
        return printable(part.title)
    times = "once" if part.count == 1 else f"{part.count} times"
    return printable(f"{part.title}: {times}, shown as {part.place}")


def _joined(shapes: Sequence[Line]) -> str:
    return ", ".join(line.text for line in shapes)


def dot(net: Net) -> str:
    """Return the graph in the language of Graphviz: a cluster for the net and for each distinct block."""
    shapes = {"end": "oval", "works": "box", "joins": "diamond", "block": "box3d", "plain": "box"}

    def quoted(text: str) -> str:
        return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'

    lines = [f"digraph {quoted(printable(net.name))} {{", '  node [fontname="sans-serif", fontsize=11];']
    lines.append('  edge [fontname="sans-serif", fontsize=9];')
    for at, part, boxes in _named(fold(net)):
        lines += [f"  subgraph cluster_{at} {{", f"    label={quoted(_heading(part))};"]
        for key, box, starts, stops in boxes:
            if starts:
                lines += [f"    subgraph cluster_{key} {{", f"      label={quoted(_badge(starts))};"]
            said = "\\n".join(quoted(line)[1:-1] for line in _lines(box))
            lines.append(f'    {key} [shape={shapes[box.kind]}, label="{said}"];')
            lines += ["    }"] if stops else []
        for tail, head in part.edges:
            said = quoted(_joined(part.boxes[tail].shapes))
            lines.append(f"    {boxes[tail][0]} -> {boxes[head][0]} [label={said}];")
        lines.append("  }")
    return "\n".join([*lines, "}", ""])


def mermaid(net: Net) -> str:
    """Return the graph in the language of Mermaid: a subgraph for the net and for each distinct block."""
    around = {
        "end": ("([", "])"),
        "works": ("[", "]"),
        "joins": ("{{", "}}"),
        "block": ("[[", "]]"),
        "plain": ("(", ")"),
    }

    def quoted(text: str) -> str:
        # all that Mermaid or the page around it could read, by its number
        return "".join(c if c.isalnum() or c in " .,:_+-/()…=" else f"#{ord(c)};" for c in text)

    lines = ["flowchart TB"]
    for at, part, boxes in _named(fold(net)):
        lines += [f'  subgraph p{at}["{quoted(_heading(part))}"]', "    direction TB"]
        for key, box, starts, stops in boxes:
            if starts:
                lines += [f'    subgraph {key}_plate["{quoted(_badge(starts))}"]', "      direction TB"]
            start, end = around[box.kind]
            said = "<br>".join(map(quoted, _lines(box)))
            lines.append(f'    {key}{start}"{said}"{end}')
            lines += ["    end"] if stops else []
        for tail, head in part.edges:
            said = quoted(_joined(part.boxes[tail].shapes))
            arrow = f'-->|"{said}"|' if said else "-->"
            lines.append(f"    {boxes[tail][0]} {arrow} {boxes[head][0]}")
        lines.append("  end")
    return "\n".join([*lines, ""])

"""Pictures: well-formed, inside their canvas, labels apart, every layer there once, and safe to show."""

import csv
import html
import io
import json
import re
import sys
import xml.etree.ElementTree as ET
from collections import Counter
from html.parser import HTMLParser
from itertools import combinations, count, pairwise, product
from math import hypot
from pathlib import Path
from typing import ClassVar

import jsonschema
import networkx as nx
import pytest
from zoo import net as zoo_net

import netdsl
from netdsl import api, cli, diff, quantities
from netdsl.cost import table
from netdsl.cost.table import human
from netdsl.ir.graph import Node
from netdsl.picture import bars, bubbles, graph, page, scatter, space_page, summary, timeline
from netdsl.picture import fold as folding
from netdsl.picture.fold import fold
from netdsl.picture.layout import Size, arrange
from netdsl.picture.svg import Svg, fitted, ticks, width
from netdsl.quantities import Measured, Options, Summed
from netdsl.space.overview import Explored

ROOT = Path(netdsl.__file__).parent.parent
SVG = "{http://www.w3.org/2000/svg}"
NETS = ("lenet", "unet", "resnet50", "googlenet", "nasnet_a_mobile", "hrnet_w18", "densenet121", "vit_b_16")
HOSTILE = "\"><script>alert('&amp;')</script>\x1b[31m\u202e]]>--"


class Text(tuple[float, float, float, float]):
    """Where a text is: left, top, right, bottom."""

    text: str


def texts(svg: str) -> list[Text]:
    """Return the places of a picture's texts, by a guess of their widths that is not netdsl's."""
    found = []
    for element in ET.fromstring(svg).iter(f"{SVG}text"):
        size = float(element.get("font-size", "nan"))
        said = element.text or ""
        wide = size * sum(0.3 if c in "iljtf.,:' " else 0.58 for c in said)
        x, y = float(element.get("x", "nan")), float(element.get("y", "nan"))
        left = x - {"start": 0, "middle": wide / 2, "end": wide}[element.get("text-anchor", "start")]
        place = Text((left, y - 0.75 * size, left + wide, y + 0.1 * size))
        place.text = said
        found.append(place)
    return found


def check(svg: str) -> None:
    """Hold a picture to what all of them keep."""
    root = ET.fromstring(svg)
    wide, high = float(root.get("width", "nan")), float(root.get("height", "nan"))
    assert root.get("viewBox") == f"0 0 {root.get('width')} {root.get('height')}"
    assert {element.tag.removeprefix(SVG) for element in root.iter()} <= {
        *("svg", "title", "style", "rect", "circle", "path", "text")
    }
    style = root.findtext(f"{SVG}style") or ""
    light, dark = style.split("@media (prefers-color-scheme: dark)")
    for element in root.iter():
        if element.tag not in (f"{SVG}svg", f"{SVG}title", f"{SVG}style"):
            assert f".{element.get('class')}{{" in light
            assert f".{element.get('class')}{{" in dark
    found = texts(svg)
    for place in found:
        assert min(place) >= 0, place.text
        assert place[2] <= wide, place.text
        assert place[3] <= high, place.text
    for one, other in combinations(sorted(found), 2):
        apart = one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]
        assert apart, f"{one.text} on {other.text}"


def loads(text: str) -> netdsl.Network:
    return api.loads(f"net N:\n    input 3, 17x9\n{text}")


@pytest.mark.parametrize("name", NETS)
def test_pictures_are_readable(name: str) -> None:
    net = zoo_net(name)
    for picture in (bars.draw(net), timeline.draw(net, batch=3, dtype="float16"), graph.draw(net)):
        check(str(picture))


@pytest.mark.parametrize(
    "text",
    [
        "    input a: 3, 17x9\n    input b: 3, 17x9\n    add:\n        from a\n        from b\n",
        "    input 3, 17x9\n    relu\n",
        "    input 3, 17x9\n",
        "    input 7\n    fc 3\n    fc 2\n",
        "    input 3, 5x1\n    a: conv 1x1, 3\n    same a\n    same a\n",
    ],
)
def test_small_and_odd_nets(text: str) -> None:
    net = api.loads(f"net N:\n{text}")
    for picture in (bars.draw(net), timeline.draw(net), graph.draw(net)):
        check(str(picture))
    assert not Reader(page.render(net)).open
    assert len(repr(net).splitlines()) == 5
    boxes = fold(net)[0].boxes
    assert sorted(layer for box in boxes for layer in box.layers) == sorted(node.name for node in net.graph)


def test_numbers_of_bars_are_those_of_the_cost_table() -> None:
    net = zoo_net("resnet50")
    for by in ("layer", "block", "stage", "op", ""):
        _, groups = bars.grouped(net, by, 5, "float16")
        cost = net.cost(5, "float16")
        assert sum(group.amounts["activations"] for group in groups) == cost.activations
        assert sum(group.amounts["params"] for group in groups) == cost.params
        assert sum(group.amounts["macs"] for group in groups) == cost.macs
        assert not by or len(groups) == len(net.cost_table(by))
    tips = [title.text for title in ET.fromstring(str(bars.draw(net, "layer"))).iter(f"{SVG}title")]
    assert f"fc (fc): {2048 * 1000 + 1000:,} params" in tips


class Readers(Summed):
    """How often what a layer makes is read."""

    name, title, rank = "readers", "readers of it", 99
    drawn, compared = 4, 6

    def layer(self, net: Measured, node: Node, options: Options) -> int:
        """Return that of one layer."""
        return len(net.graph.users(node.name))


def test_a_quantity_is_one_class(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """It has bars, a margin, a column of the page, of notebooks and of `compare`, and colours the graph."""
    known = {**quantities.catalogue(), "readers": Readers()}
    one = (*quantities.drawn(), known["readers"])
    for module in (bars, page, summary, folding):
        monkeypatch.setattr(module, "drawn", lambda: one)
    monkeypatch.setattr(table, "catalogue", lambda: known)
    monkeypatch.setattr(quantities, "compared", lambda: (known["readers"],))
    net = netdsl.load("lenet")
    assert "readers of it" in str(bars.draw(net))
    assert page.render(net).count("readers of it") > 3
    assert "<th>readers of it</th>" in net._repr_html_()
    assert all("readers" in box.amounts for box in fold(net)[0].boxes if box.kind != "end")
    assert cli.main(["compare", "lenet", "--format", "csv"]) == 0
    assert capsys.readouterr().out.splitlines()[0] == "net,input,readers,top1"


@pytest.mark.parametrize(("layers", "most"), [(5, 6), (500, bars.ROWS)])
def test_bars_group_by_what_is_readable(layers: int, most: int) -> None:
    net = loads("    conv 3x3, 4\n" * layers)
    what, groups = bars.grouped(net, "", 1, "float32")
    assert len(groups) <= most
    assert bars.grouped(zoo_net("densenet121"), "", 1, "float32")[0] == "2 blocks"
    assert what == ("layer" if layers == 5 else "9 layers")
    assert sum(group.amounts["params"] for group in groups) == net.cost().params
    check(str(bars.draw(net)))
    check(str(bars.draw(net, "layer")))


@pytest.mark.parametrize("name", ["lenet", "googlenet", "resnet18"])
def test_timeline_of_training_goes_up_to_the_peak(name: str) -> None:
    net = netdsl.load(name)
    forward, back = net.training_trace(3, optimizer="momentum")
    assert (
        max(alive for _, alive in (*forward, *back)) == net.memory(3, train=True, optimizer="momentum").peak
    )
    assert [layer for layer, _ in forward] == [node.name for node in net.graph]
    assert {layer for layer, _ in back} <= {node.name for node in net.graph}
    svg = str(timeline.draw(net, 3, optimizer="momentum"))
    assert f"{net.memory(3, train=True, optimizer='momentum').peak:,} bytes at " in svg
    assert "a step of training with momentum" in svg


def test_timeline_marks_the_peak() -> None:
    net = zoo_net("resnet50")
    svg = str(timeline.draw(net, batch=2))
    live = net.liveness(2)
    assert f"{live.peak:,} bytes at {live.at}" in svg
    assert f"each of {len(live.alive)} steps" in svg


@pytest.mark.parametrize(
    ("name", "optimizer", "parts"),
    [
        (
            "resnet152",
            "",
            {"layer1", "layer2", "layer3", "layer4"},
        ),  # layer3 is most of it, its 36 blocks too short
        ("resnet152", "adam", {"layer2", "layer3"}),
        ("densenet121", "", {"features.denseblock2", "features.denseblock3", "features.denseblock4"}),
    ],
)
def test_timeline_names_what_most_steps_are_in(name: str, optimizer: str, parts: set[str]) -> None:
    svg = str(timeline.draw(zoo_net(name), optimizer=optimizer))
    check(svg)
    assert parts <= {place.text for place in texts(svg)}


@pytest.mark.parametrize("name", NETS)
def test_every_layer_is_in_the_graph_once(name: str) -> None:
    net = zoo_net(name)
    top, *blocks = fold(net)
    assert sorted(layer for box in top.boxes for layer in box.layers) == sorted(n.name for n in net.graph)
    paths = {scope.path: scope for scope in net.graph.tree.scopes()}
    for part in blocks:
        inner = [layer for box in part.boxes if box.kind != "end" for layer in box.layers]
        assert sorted(inner) == sorted(paths[part.place].nodes())
    for part in (top, *blocks):
        assert all(tail < head for tail, head in part.edges)
        assert all(
            0 <= box.part <= len(blocks) and (box.kind == "block") == bool(box.part) for box in part.boxes
        )
        joined = {box for edge in part.edges for box in edge}
        assert joined == set(range(len(part.boxes)))


def test_edges_are_those_of_the_graph() -> None:
    """What is folded into boxes is connected as networkx's quotient of the graph says."""
    for name in ("resnet50", "nasnet_a_mobile", "unet", "googlenet"):
        net = zoo_net(name)
        top = fold(net)[0]
        groups = [set(box.layers) for box in top.boxes if box.layers]
        index = {frozenset(group): at for at, group in enumerate(groups)}
        quotient = nx.quotient_graph(nx.DiGraph(net.graph.nx), groups)
        expected = {(index[tail], index[head]) for tail, head in quotient.edges}
        assert {edge for edge in top.edges if edge[1] < len(groups)} == expected


def test_equal_blocks_are_folded() -> None:
    parts = fold(zoo_net("resnet152"))
    assert [box.repeats for box in parts[0].boxes if box.kind == "block"] == [1, 2, 1, 7, 1, 35, 1, 2]
    assert [(part.title, part.count) for part in parts[1:]] == [("Bottleneck (1)", 4), ("Bottleneck (2)", 46)]
    assert len(parts[0].boxes) == 14
    assert ">x35<" in str(graph.draw(zoo_net("resnet152")))
    vgg = [(box.lines[0].text, box.repeats) for box in fold(zoo_net("vgg16"))[0].boxes if box.lines]
    assert vgg[:3] == [("conv 3x3 64", 2), ("maxpool 2x2 /2", 1), ("conv 3x3 128", 2)]


def test_what_a_schedule_or_a_loop_repeats_is_folded() -> None:
    net = fold(zoo_net("convmixer_768_32"))[0]
    assert [(box.title, box.repeats) for box in net.boxes if box.part] == [("blocks.*", 32)]
    net = fold(zoo_net("convnext_base"))[0]
    assert [box.repeats for box in net.boxes if box.title == "CNBlock"] == [3, 3, 27, 3]
    net = fold(zoo_net("dpn68b"))[0]
    assert [box.repeats for box in net.boxes if box.title == "DualPathBlock (2)"] == [2, 3, 11, 2]
    net = fold(zoo_net("densenet121"))[0]
    assert [box.repeats for box in net.boxes if box.title == "DenseLayer"] == [6, 12, 24, 16]


def named(text: str) -> netdsl.Network:
    """Return a net whose convolutions have labels."""
    number = count()
    return loads(re.sub("^    conv", lambda _: f"    c{next(number)}: conv", text, flags=re.M))


def plates(text: str) -> list[tuple[int, int, int]]:
    """Return the plates of a net, as the indices of its boxes; each layer is there, and each box under its plate."""
    net = named(text)
    check(str(graph.draw(net)))
    (part,) = fold(net)
    assert sorted(layer for box in part.boxes for layer in box.layers) == sorted(n.name for n in net.graph)
    return [(plate.start, plate.stop, plate.repeats) for plate in part.plates]


def test_sequences_of_blocks_are_folded() -> None:
    for name, turns in (("swin_t", 3), ("swin_v2_s", 9)):
        top = fold(zoo_net(name))[0]
        assert [(plate.stop - plate.start, plate.repeats) for plate in top.plates] == [(2, turns)]
        (plate,) = top.plates
        boxes = top.boxes[plate.start : plate.stop]
        assert [box.repeats for box in boxes] == [1, 1]
        assert boxes[0].place == f"features.5.0 … {2 * turns - 2}"
        assert boxes[1].layers[-1].startswith(f"features.5.{2 * turns - 1}.")
        svg = str(graph.draw(zoo_net(name)))
        assert svg.count('class="plate"') == 1
        assert svg.count(f">x{turns}<") == 1
    two, three = "    conv 3x3, 8\n    conv 1x1, 4\n", "    conv 3x3, 8\n    conv 3x3, 8\n    conv 1x1, 4\n"
    assert plates(4 * two) == [(1, 3, 4)]
    assert plates("    conv 5x5, 4\n" + 4 * two + "    conv 3x3, 8\n") == [(2, 4, 4)]
    assert plates(2 * two + "    conv 5x5, 4\n" + 3 * two) == [(1, 3, 2), (4, 6, 3)]
    assert [box.repeats for box in fold(named(5 * three))[0].boxes] == [1, 2, 1, 1]
    assert plates(5 * three) == [(1, 3, 5)]
    both = "    conv 3x3, 8\n    conv 1x1, 3\n    conv 5x5, 4\n"
    assert plates(3 * both) == [(1, 4, 3)]
    skip = (
        "    i = from flow\n    conv 3x3, 8\n    conv 1x1, 3\n    add:\n        from flow\n        from i\n"
    )
    assert plates(3 * skip) == [(1, 4, 3)]
    assert plates(20 * "".join(f"    conv 3x3, {at}\n" for at in range(1, 13))) == []  # too long to be seen
    dot, mermaid = graph.dot(named(4 * two)), graph.mermaid(named(4 * two))
    assert re.search(r'subgraph \w+ \{\s+label="x4";\s+p0_1 .*\s+p0_2 .*\s+\}', dot)
    assert re.search(r'subgraph \w+\["x4"\]\s+direction TB\s+p0_1.*\s+p0_2.*\s+end', mermaid)


def test_blocks_that_look_equal_say_what_differs() -> None:
    def said(name: str, place: str = "") -> dict[str, tuple[str, bool]]:
        part = next(part for part in fold(zoo_net(name)) if part.place == place)
        return {
            box.place: (box.lines[0].text, box.lines[0].varies)
            for box in part.boxes
            if box.part and box.lines
        }

    plain, shifted = ("windows 7x7 shift=0x0", False), ("windows 7x7 shift=3x3", False)
    assert said("swin_t")["features.5.0 … 4"] == said("swin_t")["features.7.0"] == plain
    assert said("swin_t")["features.5.1 … 5"] == said("swin_t")["features.7.1"] == shifted
    # the kernels of the paper's normal cell, which all are blocks of one name and one output
    kernels = {place: text for place, (text, _) in said("nasnet_a_mobile", "cell_1").items()}
    sides = {"comb_iter_0_left": 5, "comb_iter_0_right": 3, "comb_iter_1_left": 5, "comb_iter_1_right": 3}
    assert kernels == {place: f"dwconv {k}x{k}" for place, k in (sides | {"comb_iter_4_left": 3}).items()}
    # of blocks with several copies elsewhere, what differs there is marked
    assert set(said("nasnet_a_mobile", "cell_stem_0.comb_iter_0_left").values()) == {
        ("dwconv 5x5 /2", True),
        ("dwconv 5x5", True),
    }
    # what is equal but for a schedule, or has another output, is told apart by its place alone
    assert said("resnet50") == said("convnext_tiny") == {}
    assert "windows 7x7 shift=3x3" in graph.dot(zoo_net("swin_t"))


def test_a_sequence_whose_middle_is_read_below_is_not_folded() -> None:
    two = "    conv 3x3, 8\n    conv 1x1, 4\n"
    end = "    add:\n        from flow\n        from {}\n"
    # the second turn's result goes on to the end, too
    middle = two + "    a: conv 3x3, 8\n    b: conv 1x1, 4\n" + 2 * two
    assert plates(middle + end.format("b")) == [(1, 3, 2), (3, 5, 2)]
    assert plates(middle + "    conv 1x1, 8\n" + end.format("a"))[:1] != [(1, 3, 4)]
    # so with one box: where a copy but the last is read, a row ends
    chain = "    a: conv 3x3, 8\n    conv 3x3, 8\n    conv 3x3, 8\n"
    (net,) = fold(named(chain + end.format("a")))
    assert [box.repeats for box in net.boxes] == [1, 1, 2, 1, 1]
    assert (1, 3) in net.edges
    # all of an OSA block's layers go into its concat
    blocks = fold(zoo_net("vovnet39a"))[1:]
    assert max(Counter(head for _, head in part.edges).most_common(1)[0][1] for part in blocks) == 6


def test_graphs_are_no_wider_than_a_page() -> None:
    for name in ("hrnet_w18", "nasnet_a_large", "dla102", "inception_v4", "deeplabv3_resnet50", "swin_v2_t"):
        root = ET.fromstring(str(graph.draw(zoo_net(name))))
        assert float(root.get("width", "nan")) <= 1280


def test_what_differs_is_not_folded() -> None:
    chain = "    conv 3x3, 8, act=relu\n" * 3
    (net,) = fold(loads(chain))
    assert [box.repeats for box in net.boxes] == [1, 3, 1]
    # a layer that is read twice has nothing standing on it
    skip = "    a: conv 3x3, 8\n    b: relu\n    c: conv 5x5, 8\n    add:\n        from c\n        from a\n"
    (net,) = fold(loads(skip))
    assert [box.lines[0].text for box in net.boxes[1:-1]] == ["conv 3x3 8", "relu", "conv 5x5 8", "add"]
    # branches that are equal, side by side, are no row
    (net,) = fold(loads("    add:\n        a: conv 3x3, 8\n        b: conv 3x3, 8\n"))
    assert [box.repeats for box in net.boxes] == [1, 1, 1, 1, 1]
    # each of two equal blocks reads another skip
    skips = "    i = from flow\n    a: conv 3x3, 3\n    i2 = from flow\n    b: conv 5x5, 3\n"
    joints = "    add:\n        from flow\n        from i\n    add:\n        from flow\n        from i2\n"
    (net,) = fold(loads(skips + joints))
    assert max(box.repeats for box in net.boxes) == 1


def test_texts_of_graphs() -> None:
    net = zoo_net("nasnet_a_mobile")
    parts = fold(net)
    dot, mermaid = graph.dot(net), graph.mermaid(net)
    assert dot.count("subgraph") == mermaid.count("subgraph") == len(parts)
    edges = sum(len(part.edges) for part in parts)
    assert dot.count(" -> ") == mermaid.count("-->") == edges
    assert '[label="3x224x224"]' in dot
    assert '-->|"3x224x224"|' in mermaid


def test_hostile_names_are_escaped() -> None:
    text = 'net N:\n    input 3, 8x8\n    "a": conv 3x3, 4\n'
    net = api.loads(text, name=f"{HOSTILE}.net")
    for svg in (str(bars.draw(net)), str(timeline.draw(net)), str(graph.draw(net))):
        check(svg)
        assert "<script" not in svg
        assert "\x1b" not in svg
        assert "\u202e" not in svg
    assert "<script" not in net._repr_html_()
    assert "\x1b" not in repr(net)
    assert len(repr(net).splitlines()) == 5
    bubble = bubbles.Bubble(HOSTILE, 70.0, 10**9, 10**6)
    svg = str(bubbles.draw([bubble]))
    check(svg)
    assert "<script" not in svg
    canvas = Svg(100, 100, HOSTILE)
    canvas.text(0, 20, HOSTILE)
    canvas.rect(0, 0, 5, 5, "macs", HOSTILE)
    assert "<script" not in str(canvas)
    assert ET.fromstring(str(canvas)).findtext(f"{SVG}text").startswith('"><script>')  # type: ignore[union-attr]


def test_the_same_net_gives_the_same_picture() -> None:
    one, other = netdsl.load("googlenet"), netdsl.load("googlenet")
    assert str(graph.draw(one)) == str(graph.draw(other))
    assert graph.dot(one) == graph.dot(other)
    assert one._repr_html_() == other._repr_html_()


def test_layout_keeps_boxes_apart_and_edges_downward() -> None:
    sizes = [Size(40.0 + 7 * (at % 5), 20.0 + at % 3, 13.0, 30.0) for at in range(24)]
    edges = [(a, b) for a in range(24) for b in range(a + 1, 24) if (a * 7 + b * 3) % 5 == 0]
    layout = arrange(sizes, edges)
    rects = [
        (x - size.wide / 2, y, x + size.wide / 2, y + size.high)
        for (x, y), size in zip(layout.places, sizes, strict=True)
    ]
    for one, other in combinations(rects, 2):
        assert one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]
    assert all(0 <= r[0] and r[2] <= layout.wide + 1e-6 and r[3] <= layout.high for r in rects)
    for (tail, head), route in zip(edges, layout.routes, strict=True):
        assert route[0][0] == pytest.approx(layout.places[tail][0])
        assert route[-1] == pytest.approx(layout.places[head])
        assert all(one[1] <= other[1] for one, other in pairwise(route))
    assert arrange([], []).places == ()


@pytest.mark.parametrize("many", [60, 140])
def test_bubbles_of_a_crowd(many: int) -> None:
    crowd = [
        bubbles.Bubble(f"net_number_{at}", 70 + (at % 7) / 2, 10**9 + at * 10**7, 10**6 * (at + 1))
        for at in range(many)
    ]
    svg = str(bubbles.draw(crowd))
    check(svg)
    said = {place.text for place in texts(svg)}
    assert {net.name for net in crowd} <= said
    assert svg.count("<circle") == len(crowd) + 3
    assert float(svg.split('viewBox="0 0 ')[1].split()[0]) <= 1600
    for nets in (crowd[:1], crowd[:2], [crowd[0].replace(params=0)]):
        check(str(bubbles.draw(nets)))


@pytest.mark.parametrize(("many", "rows", "step"), [(15, 3, 8), (20, 4, 10), (30, 5, 4), (40, 5, 4)])
def test_lines_to_names_go_through_no_other_name(many: int, rows: int, step: int) -> None:
    nets = [
        bubbles.Bubble(f"net_number_{at}", 70 + (at % rows) / step, 10**9 + at * 10**7, 10**6 * (at + 1))
        for at in range(many)
    ]
    svg = str(bubbles.draw(nets))
    lines = [tuple(map(float, line)) for line in re.findall(r'"leader" d="M(\S+) (\S+)L(\S+) (\S+)"', svg)]
    names = [place for place in texts(svg) if place.text.startswith("net_number")]
    assert len(names) == many
    assert len(lines) > many // 4
    for left, top, right, bottom in names:
        for x, y, to_x, to_y in lines:
            places = [(x + (to_x - x) * at / 200, y + (to_y - y) * at / 200) for at in range(201)]
            assert not any(left < a < right and top + 1 < b < bottom - 1 for a, b in places)


@pytest.mark.parametrize("name", ["resnet50", "vgg16"])
def test_no_line_of_the_grid_goes_through_a_number(name: str) -> None:
    svg = str(bars.draw(zoo_net(name)))
    shown = list(ET.fromstring(svg))
    lines = [float(path.get("d", "")[1:].split()[0]) for path in shown if path.get("class") == "grid"]
    crossed = 0
    for below, text in pairwise(shown):
        x = float(text.get("x", "nan"))
        wide = 10 * 0.58 * len(text.text or "")
        if text.tag == f"{SVG}text" and text.get("font-size") == "10" and text.get("text-anchor") is None:
            cut = [line for line in lines if x < line < x + wide]
            crossed += len(cut)
            left, ground = float(below.get("x", "nan")), below.get("class") == "page"
            assert all(ground and left < line < left + float(below.get("width", "nan")) for line in cut)
    assert crossed > 5


@pytest.mark.parametrize("share", [1.1, 1.2, 1.5, 1.8])
@pytest.mark.parametrize("gap", [0.0, 0.1, 0.2])
def test_names_of_large_bubbles_stand_beside_them(gap: float, share: float) -> None:
    """Or within them: no outline goes through a letter, be it another bubble's."""
    macs = {"small": 10**8, "large": 10**10, "larger": int(10**10 * share)}
    top1 = {"small": 72.0, "large": 72.0 + gap, "larger": 72.0}
    nets = [bubbles.Bubble(name, top1[name], count, count // 10) for name, count in macs.items()]
    svg = str(bubbles.draw(nets))
    circles = [
        [float(one.get(key, "nan")) for key in ("cx", "cy", "r")]
        for one in ET.fromstring(svg).iter(f"{SVG}circle")
    ]
    names = [place for place in texts(svg) if place.text in macs]
    assert len(names) == len(macs)
    for left, top, right, bottom in names:
        for x, y, radius in circles:
            nearest = hypot(max(left - x, 0, x - right), max(top - y, 0, y - bottom))
            farthest = hypot(max(x - left, right - x), max(y - top, bottom - y))
            assert nearest > radius - 1 or farthest < radius


def test_small_things() -> None:
    assert ticks(10) == [0, 2.5, 5, 7.5, 10]
    assert ticks(0) == [0]
    for largest in (1, 3, 7, 12.5, 99, 12345, 3 * 10**11):
        marks = ticks(largest)
        assert 2 <= len(marks) <= 5
        assert marks[-1] <= largest * 1.0001
        assert marks[-1] >= largest / 2
    assert fitted("short", 100) == "short"
    assert width(fitted("a" * 500, 60)) <= 60
    assert fitted("\u202eabc", 1000) == "\\u202eabc"


# ---------------------------------------------------------------- spaces

SPACES = Path(__file__).parent / "spaces"
SMALL = """net S(width = choose(4, 8)):
    input 3, 9x9
    require params <= 900, macs >= 20K
    a: conv choose(3x3, 5x5), width
    b: 1 * conv 3x3, choose(4, 6, 300)
"""


def space(tmp_path: Path, text: str) -> Explored:
    (tmp_path / "s.net").write_text(text, encoding="utf-8")
    return netdsl.explore(tmp_path / "s.net")


def circles(svg: str) -> list[tuple[str, float, float, str]]:
    """Return the kind of each point, its place and what it says."""
    return [
        (one.get("class", ""), float(one.get("cx", "nan")), float(one.get("cy", "nan")), one[0].text or "")
        for one in ET.fromstring(svg).iter(f"{SVG}circle")
    ]


def lines_of(svg: str, kind: str) -> list[str]:
    return [one.get("d", "") for one in ET.fromstring(svg).iter(f"{SVG}path") if one.get("class") == kind]


def test_points_of_a_small_space_are_its_nets(tmp_path: Path) -> None:
    """All of them, with what each costs that is made alone, in three colours' worth of budgets."""
    drawn = str(scatter.draw(space(tmp_path, SMALL)))
    check(drawn)
    said = {}
    for wide, kernel, channels in product((4, 8), ("3x3", "5x5"), (4, 6, 300)):
        given = {"width": wide, "a.kernel": kernel, "b.channels": channels}
        cost = netdsl.load(tmp_path / "s.net", set=given).cost()
        kept = cost.params <= 900 and cost.macs >= 20_000
        said[f"{cost.macs:,} MACs, {cost.params:,} params"] = "bubble" if kept else "leader"
    assert {tip: kind for kind, _, _, tip in circles(drawn)} == said
    assert set(said.values()) == {"bubble", "leader"}
    assert {"params <= 900", "MACs >= 20K", "params (log)", "MACs (log)"} <= {
        one.text for one in texts(drawn)
    }
    assert "all 12 nets; faint: beyond a budget" in {one.text for one in texts(drawn)}


@pytest.mark.parametrize("name", ["memory", "stages", "cells", "digits_search"])
def test_pictures_of_spaces(name: str) -> None:
    """Budgets part the points, and none is above the front."""
    found = netdsl.explore(SPACES / f"{name}.net" if (SPACES / f"{name}.net").exists() else name)
    drawn = str(scatter.draw(found))
    check(drawn)
    points = circles(drawn)
    assert min(len(points), 100) == min(found.overview.nets, 100)
    (front,) = lines_of(drawn, "edge")
    x, y = map(float, re.findall(r"^M(\S+) ([\d.]+)", front)[0])
    steps = [(x, y)]
    for to_x, to_y in re.findall(r"H([\d.]+)V([\d.]+)", front):
        steps.append((float(to_x), float(to_y)))
    assert [a for a, _ in steps] == sorted(a for a, _ in steps)
    assert [b for _, b in steps] == sorted((b for _, b in steps), reverse=True)
    for kind, x, y, _ in points:
        # a step of less than a pixel is not drawn
        assert y >= min([b for a, b in steps if a <= x + 1.1], default=float("inf")) - 1.1
        assert kind in ("bubble", "leader")
    upright, level = [], []
    for line in lines_of(drawn, "plate"):
        from_x, from_y, to_x, to_y = map(float, re.findall(r"[\d.]+", line))
        assert from_x == to_x or from_y == to_y
        (upright if from_x == to_x else level).append(from_x if from_x == to_x else from_y)
    for kind, x, y, _ in points:
        within = all(x <= at for at in upright) and all(y >= at for at in level)
        assert within == (kind == "bubble")
    if name == "memory":
        assert "; not looked at: memory <= 1200KB" in drawn.replace("&lt;", "<")
    if name == "digits_search":
        assert len(upright) == len(level) == 1
        assert {kind for kind, *_ in points} == {"bubble", "leader"}


@pytest.mark.parametrize(
    "text",
    [
        "net S:\n    input 3, 8x8\n    there = choose(true, false)\n    relu when there\n",
        "net S:\n    input 3, 8x8\n    conv 3x3, 4, act=choose(relu, none)\n",
        "net S:\n    input 3, 8x8\n    require params <= 4\n    conv 3x3, choose(4, 8)\n",
        "net S:\n    input 3, 8x8\n    require params <= 1M\n    conv 3x3, choose(4, 400000)\n",
        "net S:\n    input 3, 8x8\n    require 110 < params, params <= 113, macs <= 6912, macs >= 6900\n"
        "    conv 3x3, choose(4, 8)\n",
        "net S:\n    input 3, 1x1\n    n = choose(0, 1, 2)\n    n * conv 1x1, 3\n",
    ],
)
def test_small_and_odd_spaces(tmp_path: Path, text: str) -> None:
    found = space(tmp_path, text)
    check(str(scatter.draw(found)))
    said = space_page.render(found)
    assert not Reader(said).open
    kept = "<dd>0 (0 %)</dd>" not in said
    assert kept == ("params <= 4\n" not in text)
    assert ("<del>" in said) == (kept and any(one.beyond for one in found.overview.choices))


def test_axes() -> None:
    for values in (
        [0],
        [5],
        [7, 7],
        [0, 1],
        [0, 10**9],
        [1, 10**15],
        [999, 1001],
        [10**6, 9 * 10**6],
        [3, 40],
    ):
        made = scatter.axis("n", values)
        assert made.logarithmic == (min(values) > 0 and max(values) > 10 * min(values))
        assert all(0 <= made.share(value) <= 1 for value in (*values, *made.marks))
        assert 1 <= len(made.marks) <= 16
        shares = [made.share(mark) for mark in made.marks]
        assert shares == sorted(set(shares))


def test_page_of_a_space() -> None:
    for name in ("search", SPACES / "memory.net", SPACES / "darts.net", SPACES / "large.net"):
        text = space_page.render(netdsl.explore(name))
        reader = Reader(text)
        assert not reader.open
        assert len(set(reader.ids)) == len(reader.ids)
        assert {link.removeprefix("#") for link in reader.links} <= set(reader.ids)
        assert not re.findall(r"https?:|<script", text)
        assert len(text.encode()) <= 300_000
    assert text == space_page.render(netdsl.explore(name))


def test_page_of_a_space_says_what_is_decided_where(tmp_path: Path) -> None:
    """Decisions by line, options that are of no use and why, costs and errors; and no text is a part of the page."""
    text = """# </style><script>alert(1)</script>
net S:
    input 3, 8x8
    require params <= 500
    a: conv choose(3x3, 9x9), 4, pad=0
    for i in range(5):
        b{i}: conv choose(1x1, 3x3), choose(4, 400)
"""
    said = space_page.render(space(tmp_path, text))
    reader = Reader(said)
    rows = reader.rows
    assert "<script" not in said
    assert rows["line-5"][0] == "a.kernel: 2 options"
    assert rows["line-7"][0] == "b0.kernel, b0.channels, 7 more, b4.channels: 2 options each"
    assert rows["decision-a.kernel"] == ["a.kernel", "3x3, 9x9 (in no valid net)", "line 5"]
    assert rows["decision-b0.channels"][1] == "4, 400 (in no net within the budgets)"
    assert said.count("<del>") == 6
    assert "<dt>open decisions</dt><dd>11</dd>" in said
    assert "<dt>nets</dt><dd>1,024</dd>" in said
    assert "<dt>within params &lt;= 500</dt><dd>16 (1.56 %)</dd>" in said
    assert "conv: the kernel covers 9, more than the height 8" in said
    costs = said[said.index('<table class="costs">') :]
    assert re.search(r"<td>params</td>.*?<td>212</td><td>\S+M</td><td>212</td><td>468</td></tr>", costs)


# ---------------------------------------------------------------- pages


class Reader(HTMLParser):
    """Reads a page: what is nested how, what is referred to, and the cells of the source's margin by line."""

    VOID = ("meta", "br", "input")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.rows: dict[str, list[str]] = {}
        self.row = ""
        self.feed(text)
        self.close()

    ENDED: ClassVar = {"td": ("td",), "tr": ("td", "tr"), "tbody": ("td", "tr")}
    """By what begins or ends: what HTML ends with it without saying so."""

    def end(self, tag: str) -> None:
        while self.open and self.open[-1] in self.ENDED.get(tag, ()):
            self.open.pop()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.end(tag)
        if tag not in self.VOID:
            self.open.append(tag)
        for name, value in attrs:
            assert name not in ("src", "onclick", "onload"), name
            if name == "id":
                self.ids.append(str(value))
            if name == "href":
                self.links.append(str(value))
        if tag == "tr":
            self.row = dict(attrs).get("id") or ""
        if tag == "td":
            self.rows.setdefault(self.row, []).append("")

    def handle_endtag(self, tag: str) -> None:
        if tag not in ("path", "rect", "circle"):  # those that end themselves
            while self.open and self.open[-1] in ("path", "rect", "circle"):
                self.open.pop()
            if tag == "tbody":
                self.end(tag)
            assert self.open.pop() == tag, (tag, self.getpos())

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.open.pop()

    def handle_data(self, data: str) -> None:
        if "td" in self.open:
            self.rows[self.row][-1] += data


def test_page_is_whole_and_alone() -> None:
    for name in ("lenet", "resnet152", "unet"):
        text = page.render(zoo_net(name))
        reader = Reader(text)
        assert not reader.open
        assert len(set(reader.ids)) == len(reader.ids)
        assert {link.removeprefix("#") for link in reader.links} <= set(reader.ids)
        assert not re.findall(r"https?:", text)
        assert len(text.encode()) <= 200_000


@pytest.mark.parametrize("name", ["nasnet_a_large", "hrnet_w48", "efficientnet_v2_l", "densenet264"])
def test_pages_of_large_nets_are_small(name: str) -> None:
    assert len(page.render(zoo_net(name)).encode()) <= 300_000


def test_rows_of_a_block_are_what_it_costs() -> None:
    """The table of a page has each layer once, below the block that it is in, and the same sums."""
    for name in ("densenet121", "efficientnet_v2_s", "hrnet_w18", "googlenet"):
        net = zoo_net(name)
        text = page.render(net)
        table = text[text.index('<table id="table">') :]
        bodies = [body.split("<tr>")[1:] for body in table[: table.index("</table>")].split("<tbody>")[1:]]
        cells = [[re.split("<td[^>]*>", row)[1:] for row in body] for body in bodies]
        layers = []
        for (head, *_), *inner in cells:
            block = re.sub("<.*?>", "", head)
            layers += [f"{block}.{row[0].removesuffix('</tbody>')}" for row in inner] or [block]
        assert sorted(layers) == sorted(row.name for row in net.cost_table("layer"))
        for body in bodies:
            exact = [[int(number) for number in re.findall(r"data-v=(\d+)", row)] for row in body]
            assert len(body) == 1 or max(map(sum, exact[1:])) <= sum(exact[0])


def test_page_says_what_lines_cost() -> None:
    net = zoo_net("resnet50")
    rows = Reader(page.render(net)).rows
    by_code: dict[str, list[str]] = {}
    for row, cells in rows.items():
        if row.startswith("line-"):
            by_code.setdefault(cells[-1].strip(), cells[:3])
    assert by_code["fc: fc classes"] == ["4KB", "2.05M", "2.05M"]
    layer3 = [row for row in net.cost_table("layer") if row.name.startswith("layer3.")]
    assert by_code["layer3: n3 * unit 256, /2 first"][1] == human(sum(row.params for row in layer3))
    assert by_code["block BasicBlock(planes, stride = 1, last: init = ones):"] == ["", "", ""]
    # a line of a block has what all its instances cost together
    downsample = sum(row.macs for row in net.cost_table("layer") if ".downsample." in row.name)
    assert by_code["downsample: conv 1x1, 4*planes, /stride -> bn when stride != 1 or x.c != 4*planes"][
        2
    ] == human(downsample)


def test_page_says_what_changed() -> None:
    text = page.render(zoo_net("resnet34"), zoo_net("resnet18"))
    assert "What changed from resnet18" in text
    assert "difference" in Reader(text).ids
    assert "\n<ins>+ layer1.2 " in text
    plain = re.sub("</?(ins|del)>", "", text)
    assert html.escape(diff.render_text(diff.compare(zoo_net("resnet18"), zoo_net("resnet34")))) in plain


def test_page_of_a_hostile_spec() -> None:
    lines = ["# </style><script>alert(1)</script>", "net N:", '    meta note="<img src=x onerror=alert(1)>"']
    text = "\n".join([*lines, "    input 3, 8x8", "    conv 3x3, 4", ""])
    said = page.render(api.loads(text, name=f"{HOSTILE}.net"))
    assert not Reader(said).open
    assert said.count("<script") == 1
    assert "<img" not in said


# ---------------------------------------------------------------- commands


@pytest.mark.parametrize(
    "arguments",
    [
        ["plot", "lenet", "-o", "a.svg"],
        ["plot", "resnet18", "--by", "stage", "--batch", "8", "-o", "a.svg"],
        ["plot", "lenet", "--timeline", "-o", "a.svg"],
        ["graph", "resnet18", "-o", "a.svg"],
        ["compare", "resnet18", "alexnet", "--plot", "a.svg"],
        ["graph", "lenet", "--input", "1x45x33", "-o", "A.SVG"],
    ],
)
def test_commands_write_pictures(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(arguments) == 0
    assert capsys.readouterr() == ("", "")
    (file,) = tmp_path.iterdir()
    assert file.name == arguments[-1]
    check(file.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("end", "begins"), [("dot", "digraph"), ("mmd", "flowchart"), ("mermaid", "flowchart")]
)
def test_graph_writes_text(end: str, begins: str, tmp_path: Path) -> None:
    file = tmp_path / f"a.{end}"
    assert cli.main(["graph", "lenet", "-o", str(file)]) == 0
    assert re.search(rf"^{begins}\b", file.read_text(encoding="utf-8"), re.MULTILINE)


def test_report_writes_a_page(tmp_path: Path) -> None:
    file = tmp_path / "a.html"
    assert cli.main(["report", "resnet34", "resnet18", "--set", "classes=7", "-o", str(file)]) == 0
    text = file.read_text(encoding="utf-8")
    assert not Reader(text).open
    assert "<dt>output out</dt><dd>7</dd>" in text
    assert "<title>resnet18: " in text
    assert "What changed from resnet34" in text


def test_commands_show_spaces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("s.net").write_text(SMALL + "\nvariant wide = S():\n    decide width=8\n", encoding="utf-8")
    for spec, nets in (("s.net:S", 12), ("s.net:wide", 6)):
        assert cli.main(["plot", spec, "-o", "a.svg"]) == 0
        assert len(circles(Path("a.svg").read_text(encoding="utf-8"))) == nets
        assert cli.main(["report", spec, "-o", "a.html"]) == 0
        assert f"<dt>nets</dt><dd>{nets}</dd>" in Path("a.html").read_text(encoding="utf-8")
    assert (
        cli.main(["report", "s.net:wide", "--set", "a.kernel=3x3", "--set", "b.channels=4", "-o", "a.html"])
        == 0
    )
    assert "<dt>params</dt>" in Path("a.html").read_text(encoding="utf-8")
    for path in (Path("a.svg"), Path("a.html")):
        path.unlink()
    Path("s.html").hardlink_to("s.net")
    capsys.readouterr()
    for code, *arguments in (
        ("E530", "report", "lenet", "search", "-o", "a.html"),
        ("E530", "report", "search", "lenet", "-o", "a.html"),
        ("E530", "report", "search", "search", "search", "-o", "a.html"),
        ("E550", "plot", "search", "--by", "block", "-o", "a.svg"),
        ("E550", "plot", "search", "--timeline", "-o", "a.svg"),
        ("E550", "plot", "search", "--batch", "8", "-o", "a.svg"),
        ("E510", "report", "s.net:S", "-o", "s.html"),
    ):
        status = cli.main(arguments)
        assert status == 2
        assert capsys.readouterr().err.startswith(f"error[{code}]"), arguments
        assert not Path("a.html").exists()
        assert not Path("a.svg").exists()
    # what no answer mends is said as it is
    Path("w.net").write_text(
        "net W:\n    input 3, 8x8\n    conv 9x9, choose(4, 8), pad=0\n", encoding="utf-8"
    )
    assert cli.main(["report", "w.net", "-o", "a.html"]) == 1
    assert "the kernel covers 9" in capsys.readouterr().err


def test_misuse_leaves_files_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    spec = "net N:\n    input 3, 8x8\n    conv 3x3, 4\n"
    Path("n.net").write_text(spec)
    Path("n.svg").write_text(spec)

    def fails(code: str, *arguments: str) -> None:
        assert cli.main(list(arguments)) == 2
        assert capsys.readouterr().err.startswith(f"error[{code}]")
        assert sorted(path.name for path in tmp_path.iterdir()) == ["n.net", "n.svg"]
        assert Path("n.net").read_text() == Path("n.svg").read_text() == spec

    fails("E550", "graph", "n.net", "-o", "n.net")
    fails("E510", "graph", "./n.svg", "-o", "n.svg")
    fails("E510", "graph", "./n.svg:n", "-o", "../" + tmp_path.name + "/n.svg")
    fails("E550", "plot", "n.net", "-o", "n.pdf")
    fails("E550", "plot", "n.net", "--timeline", "--by", "op", "-o", "x.svg")
    fails("E550", "compare", "resnet18", "--format", "json", "--plot", "x.svg")
    fails("E510", "plot", "n.net", "-o", "none/x.svg")
    fails("E530", "report", "n.net", "n.net", "n.net", "-o", "x.html")
    fails("E550", "report", "n.net", "n.svg", "-o", "n.svg")
    fails("E552", "compare", "n.net", "--plot", "x.svg")
    monkeypatch.setitem(sys.modules, "cairosvg", None)
    fails("E551", "plot", "n.net", "-o", "x.png")


def test_png_is_drawn_from_the_svg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Cairo:
        @staticmethod
        def svg2png(bytestring: bytes, scale: int) -> bytes:
            check(bytestring.decode())
            return b"\x89PNG"

    monkeypatch.setitem(sys.modules, "cairosvg", Cairo)
    assert cli.main(["plot", "lenet", "-o", str(tmp_path / "a.png")]) == 0
    assert (tmp_path / "a.png").read_bytes() == b"\x89PNG"


def test_compare_prints_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["compare", "resnet18", "unet"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert re.split(r"  +", lines[0]) == [
        *("net", "input", "params", "MACs", "activations", "peak", "receptive field", "top-1")
    ]
    net = zoo_net("resnet18")
    assert re.split(r"  +", lines[2])[:4] == ["resnet18", "3x224x224", "11.69M", "1.81G"]
    assert lines[2].endswith("69.758")
    assert cli.main(["compare", "resnet18", "--format", "json"]) == 0
    value = json.loads(capsys.readouterr().out)
    contents = json.loads((ROOT / "docs" / "schema" / "compare.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(contents)
    jsonschema.Draft202012Validator(contents).validate(value)
    (row,) = value["nets"]
    assert row["peak"] == net.liveness().peak
    assert row["params"] == net.cost().params
    assert cli.main(["compare", "resnet18", "--format", "markdown", "--input", "3x64x96"]) == 0
    assert "| resnet18 | 3x64x96 |" in capsys.readouterr().out
    assert cli.main(["compare", "resnet18", "unet", "--format", "csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [int(rows[0][name]) for name in ("params", "macs", "peak")] == [
        *(net.cost().params, net.cost().macs, net.liveness().peak)
    ]
    assert [rows[0]["top1"], *[rows[1][name] for name in ("net", "input", "top1")]] == [
        *("69.758", "unet", "1x572x572", "")
    ]


def test_compare_says_which_nets_are_not_drawn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A few of them by name, whether top1 or MACs are missing."""
    file = tmp_path / "n.net"
    file.write_text("net N:\n    meta top1=50\n    input 3, 8x8\n    relu\n")
    output = ["--plot", str(tmp_path / "a.svg")]
    assert cli.main(["compare", "resnet18", str(file), *output]) == 0
    assert capsys.readouterr().err == (
        "note: 1 of 2 nets say no top1, or have no MACs, so they are not drawn: n\n"
    )
    variants = "".join(f"variant n{at} = N(w={at})\n" for at in range(1, 12))
    file.write_text(f"net N(w):\n    input 3, 8x8\n    conv 3x3, w\n{variants}")
    assert cli.main(["compare", "resnet18", str(file), *output]) == 0
    said = capsys.readouterr().err
    assert said.startswith("note: 11 of 12 nets say no top1")
    assert said.endswith(": n1, n2, n3, n4, n5, n6, n7, n8, ...\n")


def test_a_net_of_a_graph_is_drawn() -> None:
    net = netdsl.Network.from_graph(zoo_net("unet").graph, "copy")
    check(str(graph.draw(net)))
    assert repr(net).startswith("copy: UNet of copy.net, 53 layers")
    reader = Reader(page.render(net))
    assert {"source", "graph", "costs", "lint"} <= set(reader.ids)


def test_a_net_says_what_it_is() -> None:
    net = zoo_net("resnet50")
    lines = repr(net).splitlines()
    assert str(net) == repr(net)
    assert len(lines) == 5
    assert "25,557,032 params" in lines[2]
    assert "4.09G MACs" in lines[3]
    shown = net._repr_html_()
    assert shown.count("<svg") == 1
    assert "layer4.2" in shown
    assert (
        '<table cellpadding="4" style="text-align:right"><tr><th style="text-align:left">block</th>' in shown
    )
    ET.fromstring(f"<div>{shown}</div>")


def test_compare_says_what_the_first_output_sees(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever is computed last."""
    spec = "net N:\n    input 3, 32x32\n    a: conv 3x3, 4\n    output wide: conv 7x7, 4 -> conv 7x7, 4\n"
    (tmp_path / "n.net").write_text(spec, encoding="utf-8")
    assert cli.main(["compare", str(tmp_path / "n.net"), "--format", "json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["nets"]
    assert row["receptive_field"] == "3"

"""Pages and pictures as a browser shows them: they open alone, fit, can be read, and everything works by keyboard."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, sync_playwright
from zoo import net as zoo_net

import netdsl
from netdsl import api
from netdsl.picture import bars, bubbles, graph, page, scatter, space_page, timeline
from netdsl.space.overview import Explored

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "google-chrome", "chromium-browser"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: apt-get install chromium")

WIDTHS = (400, 1600)
SCHEMES = ("light", "dark")
NETS = ("lenet", "resnet50", "googlenet", "unet", "nasnet_a_mobile")
PAGES = ("resnet152", "unet", "googlenet", "hrnet_w18", "one layer", "resnet18 resnet34", "alexnet vit_b_16")
CONTRAST = 4.5
"""The least that WCAG 2.2 has for text, AA."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        # software that finds no screen and no graphics card draws the same everywhere
        yield playwright.chromium.launch(executable_path=CHROMIUM, args=["--disable-gpu"])


class Shown:
    """A page in a tab of its own, and all that it says or asks for."""

    def __init__(self, browser: Browser, **options: Any) -> None:
        self.tab: Page = browser.new_context(offline=True, **options).new_page()
        self.said: list[str] = []
        self.asked: list[str] = []
        self.tab.on("console", lambda message: self.said.append(message.text))
        self.tab.on("pageerror", lambda error: self.said.append(str(error)))
        self.tab.on("request", lambda request: self.asked.append(request.url))

    def press_until(self, reached: str, key: str = "Tab", most: int = 400) -> Locator:
        """Press a key until what has the focus fits a selector, and return that."""
        for _ in range(most):
            self.tab.keyboard.press(key)
            if self.tab.evaluate("s => document.activeElement.matches(s)", reached):
                return self.tab.locator(":focus")
        raise AssertionError(f"{key} does not reach {reached}")

    def close(self) -> None:
        self.tab.context.close()


@pytest.fixture
def shown(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Shown]:
    """Give an empty tab; what is opened in it says nothing and asks for nothing."""
    page = Shown(browser, viewport={"width": 1600, "height": 1000})
    yield page
    assert page.said == []
    assert all(url.startswith(("file:", "about:")) for url in page.asked), page.asked
    page.close()


@cache
def html(name: str) -> str:
    """Return the page of a net, or of a second one and how it differs from the first."""
    if name == "one layer":
        return page.render(api.loads("net N:\n    input 3, 17x9\n    relu\n"))
    before, _, after = name.partition(" ")
    return page.render(zoo_net(after), zoo_net(before)) if after else page.render(zoo_net(before))


@cache
def space(name: str) -> Explored:
    """Return a space of the zoo or of the tests."""
    path = Path(__file__).parent / "spaces" / f"{name}.net"
    return netdsl.explore(path if path.exists() else name)


def opened(shown: Shown, folder: Path, name: str, text: str = "") -> Page:
    """Open the page of a net, or a text."""
    file = folder / "page.html"
    file.write_text(text or html(name), encoding="utf-8")
    shown.tab.goto(file.as_uri())
    assert shown.asked == [file.as_uri()]
    return shown.tab


# ---------------------------------------------------------------- how it looks

WIDER = """() => {
  const inside = element => element.closest(".wide") !== null && !element.matches(".wide");
  const shown = element => element.checkVisibility() && element.getBoundingClientRect().right > innerWidth + 0.5;
  return [document.documentElement.scrollWidth > innerWidth ? "the page" : null,
    ...[...document.body.querySelectorAll("*")].filter(one => !inside(one) && shown(one)).map(one => one.outerHTML),
  ].filter(Boolean).map(text => text.slice(0, 120));
}"""

# Each text that is shown, with the least contrast to what is painted below it. What is below is asked of the browser,
# so that it holds for shapes of pictures, too; a gradient is as bad as the worst of its colours.
FAINT = """least => {
  const over = ([r, g, b, a], below) => [r, g, b].map((part, at) => part * a + below[at] * (1 - a));
  const light = colour => {
    const [r, g, b] = colour.map(part => (part /= 255) <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (one, other) => {
    const [dark, bright] = [light(one), light(other)].sort((a, b) => a - b);
    return (bright + 0.05) / (dark + 0.05);
  };
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", {willReadFrequently: true});
  const plain = text => {  // any colour as rgb, also one of color-mix
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = text;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const painted = element => {
    const style = getComputedStyle(element);
    if (element instanceof SVGTextContentElement) return [];
    if (element instanceof SVGElement) {
      if (!element.matches("rect,circle,path") || style.fill === "none") return [];
      const [r, g, b, a] = plain(style.fill);
      return [[r, g, b, a * style.fillOpacity]];
    }
    const stops = style.backgroundImage.match(/(rgba?|color|oklab)\\([^)]*\\)/g)?.map(plain) ?? [];
    const ground = plain(style.backgroundColor);
    return [...stops.filter(stop => stop[3]), ground].filter(colour => colour[3]);
  };
  const dark = matchMedia("(prefers-color-scheme: dark)").matches, page = dark ? [18, 18, 18] : [255, 255, 255];
  const found = [], walker = document.createTreeWalker(document.body ?? document.rootElement, NodeFilter.SHOW_TEXT);
  let count = 0;
  for (let text; text = walker.nextNode();) {
    const element = text.parentElement, style = getComputedStyle(element);
    if (!text.data.trim() || element.closest("script, style, title, option") || !element.checkVisibility()) continue;
    const range = document.createRange();
    range.selectNodeContents(text);
    const box = range.getClientRects()[0];
    if (!box || box.right > innerWidth || box.bottom > innerHeight) continue;
    const stack = document.elementsFromPoint(box.left + box.width / 2, box.top + box.height / 2);
    const at = stack.indexOf(element);
    if (at < 0) continue;  // scrolled out of sight
    const above = stack.slice(0, at).filter(one => !element.contains(one));
    if (above.some(one => painted(one).length)) found.push(`${text.data.slice(0, 40)} is covered`);
    let grounds = [page];
    for (const one of stack.slice(at).reverse()) {
      const colours = painted(one);
      if (colours.length) grounds = colours.flatMap(colour => grounds.map(below => over(colour, below)));
    }
    const ink = plain(element instanceof SVGElement ? style.fill : style.color);
    const worst = Math.min(...grounds.map(ground => contrast(over(ink, ground), ground)));
    count += 1;
    const said = `${text.data.slice(0, 40)} in ${element.outerHTML.slice(0, 80)}`;
    if (worst < least) found.push(`${worst.toFixed(2)}: ${said}`);
  }
  return [count, found];
}"""


@pytest.mark.parametrize("name", PAGES)
def test_pages_open_fit_and_can_be_read(name: str, shown: Shown, tmp_path: Path) -> None:
    tab = opened(shown, tmp_path, name)
    for width in WIDTHS:
        tab.set_viewport_size({"width": width, "height": 1000})
        assert tab.evaluate(WIDER) == [], width
    high = tab.evaluate("document.documentElement.scrollHeight")
    tab.set_viewport_size({"width": 1600, "height": high + 100})
    for scheme in SCHEMES:
        tab.emulate_media(color_scheme=scheme)
        for colour in ("", "macs") if name == "googlenet" else ("",):
            tab.locator("#colour").select_option(colour)
            count, faint = tab.evaluate(FAINT, CONTRAST)
            assert faint == [], (scheme, colour)
            assert count > 25


@pytest.mark.parametrize("name", ["search", "memory", "stages", "darts", "nested"])
def test_pages_of_spaces_open_fit_and_can_be_read(name: str, shown: Shown, tmp_path: Path) -> None:
    tab = opened(shown, tmp_path, name, space_page.render(space(name)))
    for width in (*WIDTHS, 700, 1000):
        tab.set_viewport_size({"width": width, "height": 1000})
        assert tab.evaluate(WIDER) == [], width
    high = tab.evaluate("document.documentElement.scrollHeight")
    for width in WIDTHS:
        tab.set_viewport_size({"width": width, "height": high + 1000})
        for scheme in SCHEMES:
            tab.emulate_media(color_scheme=scheme)
            count, faint = tab.evaluate(FAINT, CONTRAST)
            assert faint == [], scheme
            assert count > 50


def test_bars_of_costs_say_what_the_numbers_say(shown: Shown, tmp_path: Path) -> None:
    """Where the strong part of a bar and the whole one begin and end, as the browser has it."""
    found = space("memory").overview
    tab = opened(shown, tmp_path, "memory", space_page.render(space("memory")))
    names = ["params", "buffers", "MACs", "ops", "activations, bytes"]
    assert tab.locator(".costs tbody td:first-child").all_text_contents() == names
    parts = """bar => {
      const [strong, weak] = getComputedStyle(bar).backgroundImage.split("linear-gradient").slice(1).map(one =>
        [...one.matchAll(/([\\d.]+)%/g)].map(match => +match[1]));
      return [strong[0], strong[2], weak[0], weak[2]];
    }"""
    for at, (name, whole) in enumerate(found.ranges.items()):
        kept = found.kept[name]
        ends = (kept.least.least, kept.most.most, whole.least.least, whole.most.most)
        shares = tab.locator(".range").nth(at).evaluate(parts)
        assert shares == pytest.approx([100 * end / whole.most.most for end in ends], abs=0.06), name


def test_decisions_and_lines_lead_to_each_other(shown: Shown, tmp_path: Path) -> None:
    """By keyboard, all that can be reached is marked, and nothing needs a script."""
    tab = opened(shown, tmp_path, "search", space_page.render(space("search")))
    assert tab.locator("script").count() == 0
    for reached, ground in (
        (
            ".source a[href='#decision-stage2\\.kernel'], .source a[href='#decision-stage1.kernel']",
            "tr:target td",
        ),
        (".choices a[href='#line-18']", ".source tr:target td.text"),
    ):
        link = shown.press_until(reached)
        assert link.evaluate("one => getComputedStyle(one).outlineStyle") != "none"
        target = link.evaluate("one => one.getAttribute('href')")
        tab.keyboard.press("Enter")
        tab.wait_for_function("hash => location.hash === hash", arg=target)
        box = tab.locator(ground).first.bounding_box()
        assert box is not None
        assert 0 <= box["y"] < 1000
        clear = "one => getComputedStyle(one).backgroundColor"
        assert tab.locator(ground).first.evaluate(clear) != "rgba(0, 0, 0, 0)"
    shown.press_until("#nets .wide")
    for _ in range(100):
        tab.keyboard.press("Tab")
        if tab.evaluate("document.activeElement.tagName") == "BODY":
            break
    else:
        raise AssertionError("Tab comes to no end")


@pytest.mark.parametrize("name", ["search", "memory", "darts", "stages"])
def test_texts_of_pictures_of_spaces_are_apart(name: str, shown: Shown, tmp_path: Path) -> None:
    check(shown, tmp_path, iter([("nets", str(scatter.draw(space(name))))]))


# Texts by the boxes that the browser says; half a pixel may be the rounding of a coordinate.
MISPLACED = """() => {
  const svg = document.querySelector("svg"), {width, height} = svg.viewBox.baseVal;
  const texts = [...svg.querySelectorAll("text")].map(text => [text.textContent, text.getBBox()]);
  const found = [];
  for (const [text, {x, y, width: wide, height: high}] of texts)
    if (x < 0 || y < 0 || x + wide > width || y + high > height) found.push(`${text} leaves the picture`);
  texts.sort(([, a], [, b]) => a.y - b.y);
  for (const [at, [text, a]] of texts.entries())
    for (const [other, b] of texts.slice(at + 1)) {
      if (b.y >= a.y + a.height) break;
      const across = Math.min(a.x + a.width, b.x + b.width) - Math.max(a.x, b.x);
      if (across > 0.5 && a.y + a.height - b.y > LINES) found.push(`${text} on ${other}`);
    }
  const boxes = [...svg.querySelectorAll("rect.plain,rect.works,rect.joins,rect.block,rect.end,rect.badge")];
  for (const box of boxes.map(box => box.getBBox()))
    for (const [text, {x, y, width: wide, height: high}] of texts) {
      const middle = y + high / 2, inside = x + wide / 2 > box.x && x + wide / 2 < box.x + box.width;
      const leaves = x < box.x - 0.5 || x + wide > box.x + box.width + 0.5;
      if (inside && middle > box.y && middle < box.y + box.height && leaves) found.push(`${text} leaves its box`);
    }
  return [texts.length, found];
}""".replace(
    "LINES", "2.5"
)  # letters of a line that reach into the next are drawn for no script that we write


def drawn(name: str) -> Iterator[tuple[str, str]]:
    net = zoo_net(name)
    yield "bars", str(bars.draw(net))
    yield "bars by layer", str(bars.draw(net, "layer", batch=8, dtype="float16"))
    yield "graph", str(graph.draw(net))
    yield "timeline", str(timeline.draw(net))
    yield "training", str(timeline.draw(net, 32, optimizer="adam"))


def check(shown: Shown, folder: Path, pictures: Iterator[tuple[str, str]]) -> None:
    """Open pictures as files: each text is in its place and in no other's, and can be read in both schemes."""
    for kind, svg in pictures:
        (folder / "a.svg").write_text(svg, encoding="utf-8")
        shown.tab.goto((folder / "a.svg").as_uri())
        count, misplaced = shown.tab.evaluate(MISPLACED)
        assert misplaced == [], kind
        root = shown.tab.evaluate(
            "[document.rootElement.width.baseVal.value, document.rootElement.height.baseVal.value]"
        )
        shown.tab.set_viewport_size({"width": int(root[0]) + 1, "height": int(root[1]) + 1})
        for scheme in SCHEMES if count < 600 else ():  # asking what is below each text takes its time
            shown.tab.emulate_media(color_scheme=scheme)
            seen, faint = shown.tab.evaluate(FAINT, CONTRAST)
            assert faint == [], (kind, scheme)
            assert seen == count


@pytest.mark.parametrize("name", NETS)
def test_texts_of_pictures_are_apart(name: str, shown: Shown, tmp_path: Path) -> None:
    check(shown, tmp_path, drawn(name))


def test_names_of_a_crowd_of_bubbles_are_apart(shown: Shown, tmp_path: Path) -> None:
    crowd = [
        bubbles.Bubble(f"net_number_{at}", 70 + (at % 7) / 2, 10**9 + at * 10**7, 10**6 * (at + 1))
        for at in range(60)
    ]
    check(shown, tmp_path, iter([("crowd", str(bubbles.draw(crowd))), ("one", str(bubbles.draw(crowd[:1])))]))


def test_notebooks_show_nets(shown: Shown) -> None:
    """Two nets on one page, as notebooks show them: each keeps to the page's width, and its table and graph fold."""
    names = ("resnet18", "swin_t")
    shown.tab.set_viewport_size({"width": 800, "height": 1000})
    shown.tab.set_content("<body>" + "<hr>".join(zoo_net(name)._repr_html_() for name in names))
    assert shown.tab.evaluate("document.documentElement.scrollWidth") <= 800
    folds = shown.tab.locator("details")
    assert folds.count() == 4
    blocks = len(zoo_net("resnet18").cost_table("block"))
    assert folds.nth(0).locator("tr").count() == 1 + blocks - 1  # a header, and one row for the two of layer1
    assert folds.nth(0).locator("tr").last.locator("td").first.text_content() == "fc"
    for at in range(4):
        assert folds.nth(at).locator("table, svg").is_visible()
        folds.nth(at).locator("summary").focus()
        shown.tab.keyboard.press("Enter")
        assert not folds.nth(at).locator("table, svg").is_visible()


# ---------------------------------------------------------------- what it does, by keyboard

ROWS = """() => [...document.querySelectorAll("#table tbody tr")].filter(row => row.checkVisibility()).map(row =>
  [...row.cells].map(cell => cell.dataset.v ?? cell.textContent))"""


def rows(tab: Page) -> list[list[str]]:
    """Return the cells of the rows of the costs that are shown; exact numbers, and "" for 0."""
    found: list[list[str]] = tab.evaluate(ROWS)
    return found


def numbers(shown: list[list[str]], column: int) -> list[int]:
    return [int(row[column].removesuffix("B") or 0) for row in shown]


def expected(name: str, by: str) -> dict[str, list[int]]:
    """Return what the table has to say, by name."""
    fields = ("activations", "params", "macs")
    return {row.name: [getattr(row, field) for field in fields] for row in zoo_net(name).cost_table(by)}


@pytest.mark.parametrize("name", ["resnet18", "resnet18 resnet34"])
def test_all_that_can_be_reached_shows_that_it_is(name: str, shown: Shown, tmp_path: Path) -> None:
    """From the top to the end by Tab: each place has a mark around it, and none holds the focus fast."""
    tab = opened(shown, tmp_path, name)
    tab.keyboard.press("Tab")
    reached: dict[str, int] = {}
    for _ in range(300):
        tag, marked = tab.evaluate(
            """() => {
              const element = document.activeElement, style = getComputedStyle(element);
              return [element.tagName, style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 1];
            }"""
        )
        if tag == "BODY":
            break
        assert marked, tag
        reached[tag] = reached.get(tag, 0) + 1
        tab.keyboard.press("Tab")
    else:
        raise AssertionError("Tab comes to no end")
    assert set(reached) == {
        *("A", "DIV", "SELECT", "BUTTON", "a", "SUMMARY", "INPUT"),
        *(["PRE"] if " " in name else []),
    }
    buttons = tab.locator("button").count()
    assert reached["BUTTON"] == buttons
    assert reached["SUMMARY"] == tab.locator("summary").count()


def test_marks_of_focus_are_seen(shown: Shown, tmp_path: Path) -> None:
    """What a style says of outlines is drawn, also around boxes of a picture and in the dark."""
    tab = opened(shown, tmp_path, "resnet18")
    for scheme in SCHEMES:
        tab.emulate_media(color_scheme=scheme)
        for what in ("nav a", "#colour", "svg a", "summary", "th button", "#table td button", "#flat"):
            one = tab.locator(what).first
            one.scroll_into_view_if_needed()
            box = one.bounding_box()
            assert box is not None
            clip = {
                "x": box["x"] - 6,
                "y": box["y"] - 6,
                "width": box["width"] + 12,
                "height": box["height"] + 12,
            }
            before = tab.screenshot(clip=clip)
            one.focus()
            tab.keyboard.press("Shift")  # from now on it is the keyboard that is used
            assert tab.screenshot(clip=clip) != before, (what, scheme)
            one.blur()


def test_the_table_unfolds(shown: Shown, tmp_path: Path) -> None:
    tab = opened(shown, tmp_path, "resnet18")
    blocks, layers = expected("resnet18", "block"), expected("resnet18", "layer")
    folded = rows(tab)
    assert [row[0] for row in folded] == list(blocks)
    assert [numbers(folded, column) for column in (3, 4, 5)] == [
        list(each) for each in zip(*blocks.values(), strict=True)
    ]
    button = shown.press_until("#table td button")
    assert button.text_content() == "layer1.0"
    assert button.get_attribute("aria-expanded") == "false"
    inner = [name.removeprefix("layer1.0.") for name in layers if name.startswith("layer1.0.")]
    for key in ("Enter", "Space"):
        tab.keyboard.press(key)
        assert button.get_attribute("aria-expanded") == "true"
        names = [row[0] for row in rows(tab)]
        at = names.index("layer1.0")
        assert names[at + 1 : at + 1 + len(inner)] == inner
        assert len(names) == len(blocks) + len(inner)
        tab.keyboard.press(key)
        assert button.get_attribute("aria-expanded") == "false"
        assert rows(tab) == folded
    shown.press_until("[data-of=table][data-open]", "Shift+Tab")
    tab.keyboard.press("Enter")
    assert len(rows(tab)) == len(layers) + tab.locator("#table td button").count()
    assert set(tab.locator("#table td button").evaluate_all("all => all.map(one => one.ariaExpanded)")) == {
        "true"
    }
    shown.press_until("[data-of=table]:not([data-open])")
    tab.keyboard.press("Space")
    assert rows(tab) == folded


@pytest.mark.parametrize("flat", [False, True])
def test_the_table_sorts(flat: bool, shown: Shown, tmp_path: Path) -> None:
    tab = opened(shown, tmp_path, "resnet18")
    exact = expected("resnet18", "layer" if flat else "block")
    if flat:
        shown.press_until("#flat")
        tab.keyboard.press("Space")
        assert [row[0] for row in rows(tab)] == list(exact)
    states = ("none", "descending", "ascending", "descending")
    for column, title in enumerate(("activations, bytes", "params", "MACs")):
        button = shown.press_until("th button", "Shift+Tab" if column == 0 else "Tab")
        while button.text_content() != title:
            button = shown.press_until("th button", "Shift+Tab" if column == 0 else "Tab")
        for key, state in zip(("", "Enter", "Space", "Enter"), states, strict=True):
            if key:
                tab.keyboard.press(key)
                sorts = tab.locator("[aria-sort]").evaluate_all(
                    "all => all.map(one => [one.textContent, one.ariaSort])"
                )
                assert sorts == [[title, state]]
                values = numbers(rows(tab), 3 + column)
                assert values == sorted(
                    (each[column] for each in exact.values()), reverse=state == "descending"
                )
            assert tab.evaluate("document.activeElement.textContent") == title
    name = shown.press_until("th.text button", "Shift+Tab")
    assert name.text_content() == "output"
    shown.press_until("th.text button", "Shift+Tab")
    shown.press_until("th.text button", "Shift+Tab")
    tab.keyboard.press("Enter")
    assert tab.locator("[aria-sort=ascending]").text_content() == "name"
    names = [row[0] for row in rows(tab)]
    assert sorted(names) == sorted(exact)
    assert names == sorted(exact)  # no number of this net has two digits
    if not flat:  # layers are sorted within their block, and stay there
        shown.press_until("#table td button")
        tab.keyboard.press("Enter")
        names = [row[0] for row in rows(tab)]
        assert names[names.index("layer1.0") + 1 :][:6] == ["add", "bn1", "bn2", "conv1", "conv2", "relu"]


def test_blocks_of_the_graph_unfold(shown: Shown, tmp_path: Path) -> None:
    tab = opened(shown, tmp_path, "resnet18")
    parts = tab.locator("#graph details")
    count = parts.count()
    assert count == 2
    is_open = "all => all.map(one => one.open)"
    shown.press_until("#graph summary")
    tab.keyboard.press("Enter")
    assert parts.evaluate_all(is_open) == [True, False]
    assert parts.first.locator("svg").is_visible()
    tab.keyboard.press("Space")
    assert parts.evaluate_all(is_open) == [False, False]
    # a box of the picture leads to what is in it, again when that has been folded meanwhile
    for _ in range(2):
        link = shown.press_until("#graph svg a", "Shift+Tab")
        target = link.evaluate("one => one.getAttribute('href').slice(1)")
        tab.keyboard.press("Enter")
        tab.wait_for_function("id => document.getElementById(id).open", arg=target)
        assert parts.evaluate_all("all => all.filter(one => one.open).map(one => one.id)") == [target]
        top = tab.locator(f"#{target}").bounding_box()
        assert top is not None
        assert -1 < top["y"] < 1000  # in parts of a pixel
        shown.press_until("[data-of=graph]:not([data-open])", "Shift+Tab")
        tab.keyboard.press("Enter")
        assert parts.evaluate_all(is_open) == [False, False]
        shown.press_until("#graph svg a")
    shown.press_until("[data-of=graph][data-open]", "Shift+Tab")
    tab.keyboard.press("Enter")
    assert parts.evaluate_all(is_open) == [True, True]
    tab.set_viewport_size({"width": 400, "height": 1000})
    assert tab.evaluate(WIDER) == []


def test_boxes_are_coloured_by_what_they_cost(shown: Shown, tmp_path: Path) -> None:
    tab = opened(shown, tmp_path, "resnet18")
    fills = """() => [...document.querySelectorAll("#graph .parts > .wide rect[data-macs]")].map(box =>
      [+box.dataset.macs, +box.dataset.params, getComputedStyle(box).fill])"""
    plain = [fill for _, _, fill in tab.evaluate(fills)]
    shown.press_until("#colour")
    seen = {}
    for chosen in ("activations", "params", "macs"):
        tab.keyboard.press("ArrowDown")
        assert tab.locator("#colour").input_value() == chosen
        coloured = tab.evaluate(fills)
        assert [fill for _, _, fill in coloured] != plain
        seen[chosen] = [fill for _, _, fill in coloured]
        for at, name in ((0, "macs"), (1, "params")):
            if chosen == name:  # the same share has the same colour, and other ones another
                shares = {box[at] for box in coloured}
                assert (
                    len({box[2] for box in coloured})
                    == len({(box[at], box[2]) for box in coloured})
                    == len(shares)
                )
    assert len(set(map(tuple, seen.values()))) == 3
    for _ in seen:
        tab.keyboard.press("ArrowUp")
    assert [fill for _, _, fill in tab.evaluate(fills)] == plain


def test_findings_lead_to_lines(shown: Shown, tmp_path: Path) -> None:
    tab = opened(shown, tmp_path, "resnet18")
    link = shown.press_until("#lint a")
    line = link.evaluate("one => one.getAttribute('href')")
    ground = f"getComputedStyle(document.querySelector('{line} td.text')).backgroundColor"
    before = tab.evaluate(ground)
    tab.keyboard.press("Enter")
    tab.wait_for_function("hash => location.hash === hash", arg=line)
    assert tab.evaluate(ground) != before
    box = tab.locator(f"{line} td.text").bounding_box()
    assert box is not None
    assert 0 <= box["y"] < 1000


def test_without_scripts_all_is_there(browser: Browser, tmp_path: Path) -> None:
    shown = Shown(browser, viewport={"width": 400, "height": 1000}, java_script_enabled=False)
    tab = opened(shown, tmp_path, "resnet18")
    layers, blocks = expected("resnet18", "layer"), expected("resnet18", "block")
    lines = tab.locator("#table tbody tr")
    inner = sum(name not in blocks for name in layers)
    assert lines.count() == len(blocks) + inner
    assert lines.last.is_visible()
    tab.locator("summary").first.focus()
    tab.keyboard.press("Enter")
    assert tab.locator("#part-1 svg").is_visible()
    shown.close()

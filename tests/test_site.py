"""The documentation site: it is built without a warning, no link is dead, and what there is to find is found."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
import zlib
from functools import partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import unquote, urldefrag

import pytest
from node import needs_node
from test_browser import CHROMIUM
from test_playground import WAIT, dist

from netdsl import api
from netdsl.codes import CODES
from netdsl.cost.table import human
from netdsl.lint.rules import catalogue as rules
from netdsl.ops import catalogue as ops
from netdsl.syntax.words import WORDS

pytestmark = pytest.mark.skipif(find_spec("sphinx") is None, reason='no Sphinx: pip install ".[site]"')

__all__ = ["dist"]  # the playground, built once for all tests

ROOT = Path(__file__).parents[1]
OPENED = "playground/index.html"


class Page(HTMLParser):
    """The places of a page, where it leads to and what it loads, and the text of its headings."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.places: list[str] = []
        self.targets: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.places += [given[name] for name in ("id",) if name in given]
        if tag in ("a", "link", "script", "img"):
            self.targets += [given[name] for name in ("href", "src") if name in given]


def sphinx(pages: Path, site: Path, *options: str) -> str:
    """Build a site; return what is said."""
    run = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-c", str(ROOT / "docs"), *options]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [*run, str(pages), str(site)], capture_output=True, text=True, env=environment, cwd=site.parent
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def dead(site: Path, pages: dict[str, Page]) -> list[str]:
    """Return the links that lead nowhere, each with its page."""
    found = []
    for name, page in pages.items():
        for target in page.targets:
            address, place = urldefrag(target)
            if re.match(r"(https?|mailto|data):", address):
                continue
            address = unquote(address.partition("?")[0])
            path = (site / name).parent / address if address else site / name
            there = os.path.relpath(path, site)
            known = pages.get(there)
            if known is None and not path.is_file():
                found.append(f"{name}: {target}")
            elif known is not None and place and there != OPENED and unquote(place) not in known.places:
                found.append(f"{name}: {target}")
    return found


def opened(site: Path, pages: dict[str, Page], name: str) -> list[str]:
    """Return the specs that a page gives to the playground, unpacked as that unpacks them."""
    found = []
    for target in pages[name].targets:
        address, place = urldefrag(target)
        if place.startswith("spec="):
            assert os.path.relpath((site / name).parent / address, site) == OPENED
            packed = place.removeprefix("spec=")
            raw = base64.urlsafe_b64decode(packed + "=" * (-len(packed) % 4))
            found.append(zlib.decompress(raw, -zlib.MAX_WBITS).decode())
    return found


class Quiet(SimpleHTTPRequestHandler):
    """A server that says nothing."""

    def log_message(self, format: str, *args: Any) -> None: ...


THEMES = """() => ["light", "dark"].map(theme => {
  document.body.dataset.theme = theme;
  return getComputedStyle(document.querySelector(".picture .ink, .picture .strong")).fill;
})"""


def look(site: Path) -> None:
    """Look at pages as a browser shows them, narrow and wide; search as readers do."""
    from playwright.sync_api import sync_playwright

    pages = ("index", "tutorial", "ops", "rules", "errors", "api", "zoo", "zoo/hrnet", "zoo/search")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(site)))
    with sync_playwright() as playwright, server:
        Thread(target=server.serve_forever, daemon=True).start()
        home = f"http://127.0.0.1:{server.server_port}"
        tab = playwright.chromium.launch(executable_path=CHROMIUM, args=["--disable-gpu"]).new_page()
        said: list[str] = []
        tab.on("console", lambda message: said.append(f"{tab.url}: {message.text}"))
        tab.on("pageerror", lambda error: said.append(f"{tab.url}: {error}"))
        for page in pages:
            tab.goto(f"{home}/{page}.html")
            for width in (400, 1000, 1600):
                tab.set_viewport_size({"width": width, "height": 900})
                assert tab.evaluate("document.documentElement.scrollWidth") <= width, page
        assert tab.evaluate(THEMES) == ["rgb(31, 35, 40)", "rgb(230, 232, 235)"]
        for asked, place in (
            ("E204", "errors.html#E204"),
            ("L201", "rules.html#L201"),
            ("huge_fc", "rules.html#L201"),
            ("rms_norm", "ops/norm.html#rms_norm"),
            ("swin", "zoo/swin.html"),
        ):
            tab.goto(f"{home}/search.html?q={asked}")
            tab.locator(f'#search-results li:nth-child(-n+2) a[href="{place}"]').first.wait_for()
        frames(tab, home)
        server.shutdown()
    assert said == []


def frames(tab: Any, home: str) -> None:
    """Open specs in the playground within a page, one at a time, and close it."""
    tab.set_viewport_size({"width": 400, "height": 900})
    tab.goto(f"{home}/errors.html")
    links = tab.locator(".open-in-playground a")
    assert links.count() > 10
    frame = tab.locator("iframe[title='the spec in the playground']")
    for at in (0, 7):
        wanted = links.nth(at).get_attribute("href")
        links.nth(at).click()
        assert frame.count() == 1
        assert frame.get_attribute("src") == f"{home}/{wanted}&tab=spec"
        assert tab.frame_locator("iframe").locator("p").text_content() == "a playground"
        assert not links.nth(at).is_visible()
        assert tab.evaluate("document.documentElement.scrollWidth") <= 400
    assert links.nth(0).is_visible()
    tab.keyboard.press("Enter")  # on `close`, which has the focus
    assert frame.count() == 0
    assert links.nth(7).evaluate("link => link === document.activeElement")
    with tab.context.expect_page() as other:
        links.nth(7).click(modifiers=["Control"])
    other.value.close()
    assert frame.count() == 0


def test_the_site(tmp_path: Path) -> None:
    """All in one, since it is built once."""
    import site_pages

    playground = tmp_path / "dist"
    playground.mkdir()
    (playground / "index.html").write_text("<!doctype html><title>a playground</title><p>a playground</p>")
    site_pages.write(tmp_path / "pages")
    site = tmp_path / "site"
    assert sphinx(tmp_path / "pages", site, "-D", f"netdsl_playground={playground}") == ""

    files = {os.path.relpath(path, site): path for path in sorted(site.rglob("*.html"))}
    pages = {name: Page(path.read_text(encoding="utf-8")) for name, path in files.items()}
    assert dead(site, pages) == []

    # every op, rule, code, word and file of the zoo has its place, under its own name
    anchored = {place for name, page in pages.items() if name.startswith("ops/") for place in page.places}
    assert anchored >= {*ops()}
    assert {*pages["rules.html"].places} >= {*rules()}
    assert {*pages["errors.html"].places} >= {*CODES}
    assert {*pages["words.html"].places} >= {*WORDS}
    families = {Path(file).stem for file in api.zoo_names().values()}
    assert {*pages} >= {f"zoo/{family}.html" for family in families}
    for family in families:
        text = files[f"zoo/{family}.html"].read_text(encoding="utf-8")
        assert "<svg" in text
        assert ("class LeNet" in re.sub("<.*?>", "", text)) == (family == "lenet")
        assert opened(site, pages, f"zoo/{family}.html") == [
            (ROOT / "specs" / f"{family}.net").read_text(encoding="utf-8")
        ]

    # and is found by its name
    index = (site / "searchindex.js").read_text(encoding="utf-8")
    found = json.loads(re.fullmatch(r"Search\.setIndex\((.*)\)", index, flags=re.DOTALL)[1])  # type: ignore[index]
    named = {
        name: {found["docnames"][page] for page, _, main in places if main}
        for name, places in found["indexentries"].items()
    }
    families_of_ops = {op.name: f"ops/{op.__module__.rpartition('.')[2]}" for op in ops().values()}
    for names, page in ((rules(), "rules"), (CODES, "errors"), (WORDS, "words")):
        assert [name for name in names if page not in named.get(name.lower(), ())] == []
    assert [name for name, page in families_of_ops.items() if page not in named.get(name, ())] == []
    titles = {title.lower() for title in found["alltitles"]}
    assert titles >= families | {f"{code} {rule.name()}".lower() for code, rule in rules().items()}
    saying = [found["docnames"][at] for at in found["terms"]["nnx"]]  # a word of every module for Flax
    assert not [name for name in saying if name.startswith("zoo/")]

    # the examples of codes are opened as they are, if they are specs
    specs = [
        text
        for code in CODES.values()
        for text in (code.bad, code.good)
        if text.startswith(("net ", "block "))
    ]
    assert {*opened(site, pages, "errors.html")} >= {f"{text.rstrip()}\n" for text in specs}
    assert opened(site, pages, "index.html") == opened(site, pages, "zoo/lenet.html")

    if CHROMIUM:
        look(site)


def test_a_link_that_is_dead_is_found(tmp_path: Path) -> None:
    texts = {
        "index.html": '<a href="#here">1</a><a id=here href="a/b.html#there">2</a><a href="a/b.html#where">3</a>',
        "a/b.html": '<p id="there"><a href="../index.html#here">4</a><a href="index.html">5</a><img src="x.png">',
    }
    (tmp_path / "a").mkdir()
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    found = dead(tmp_path, {name: Page(text) for name, text in texts.items()})
    assert found == ["index.html: a/b.html#where", "a/b.html: index.html", "a/b.html: x.png"]


def test_the_playground_is_linked_as_soon_as_it_is_there(tmp_path: Path) -> None:
    pages, site, playground = tmp_path / "pages", tmp_path / "site", tmp_path / "dist"
    pages.mkdir()
    (pages / "index.md").write_text("# A page\n\n```net\nnet N:\n    input 3, 8x8\n    relu\n```\n")
    assert sphinx(pages, site, "-D", f"netdsl_playground={playground}").startswith("there is no playground")
    assert not any("playground/" in target for target in Page((site / "index.html").read_text()).targets)
    playground.mkdir()
    (playground / "index.html").write_text("<!doctype html>")
    assert sphinx(pages, site, "-D", f"netdsl_playground={playground}") == ""
    found = {"index.html": Page((site / "index.html").read_text())}
    assert opened(site, found, "index.html") == ["net N:\n    input 3, 8x8\n    relu\n"]
    assert "playground/index.html" in found["index.html"].targets
    assert (site / "playground" / "index.html").read_text() == "<!doctype html>"


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: apt-get install chromium")
@needs_node
def test_a_spec_opens_in_its_page(dist: Path, tmp_path: Path) -> None:
    """The playground itself, in a frame: it shows the spec that the link has."""
    from playwright.sync_api import expect, sync_playwright

    pages, site = tmp_path / "pages", tmp_path / "site"
    pages.mkdir()
    text = "net Small:\n    input 3, 8x8\n    conv 3x3, 16\n    gap\n    fc 10\n"
    (pages / "index.md").write_text(f"# A page\n\n```net\n{text}```\n\nMore.\n")
    assert sphinx(pages, site, "-D", f"netdsl_playground={dist}") == ""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(site)))
    with sync_playwright() as playwright, server:
        Thread(target=server.serve_forever, daemon=True).start()
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--disable-gpu"])
        said: list[str] = []
        for width, scheme in ((400, "light"), (1600, "dark")):
            view = {"width": width, "height": 900}
            tab = browser.new_context(viewport=view, color_scheme=scheme).new_page()  # type: ignore[arg-type]
            tab.on("console", lambda message: said.append(message.text))
            tab.goto(f"http://127.0.0.1:{server.server_port}/index.html")
            tab.get_by_text("open in the playground").click()
            inner = tab.frame_locator("iframe")
            inner.locator("body[data-first]").wait_for(timeout=WAIT)
            expect(inner.locator("#totals")).to_contain_text(human(api.loads(text).cost().params))
            expect(inner.locator("#editor .hint.shape").filter(has_text="16x8x8")).to_be_visible()
            assert tab.evaluate("document.documentElement.scrollWidth") <= width
            if folder := os.environ.get("NETDSL_SCREENSHOTS"):
                tab.screenshot(path=str(Path(folder) / f"site-{width}-{scheme}.png"))
            assert said == []
        server.shutdown()


def test_where_the_repository_is_on_a_host_files_lead_there() -> None:
    import site_pages

    repository = site_pages.Repository("https://example.org/tree/")
    text = repository.read("README.md")
    assert "(https://example.org/tree/examples/port.py)" in text
    assert "(/tutorial.md)" in text
    assert "(/coming-from-pytorch.md#letting-netdsl-write-the-spec)" in text
    assert "(/zoo/lenet.md)" in text
    assert not repository.shown


def test_a_new_page_of_docs_is_one_of_the_site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import site_pages

    texts = {
        "README.md": "# netdsl\n\n[it](docs/new.md)\n\n## Set-up\n\n## More\n\n[a](tool/README.md#how)\n",
        "docs/new.md": "# New\n",
        "tool/README.md": "# A tool\n\n[x](x.py), [y](../docs/new.md), [z](README.md), `[no](link)`\n\n## How\n",
        "tool/x.py": "x = 1\n",
    }
    for name, text in texts.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(site_pages, "ROOT", tmp_path)
    assert site_pages.files()["new"] == "docs/new.md"
    repository = site_pages.Repository("")
    front = dict(site_pages.readme(repository))["index.md"]
    assert "[it](/new.md)" in front
    assert "[a](/tool/README.md#how)" in front
    assert "\nemission\nnew\n" in front
    assert {*repository.shown} == {"tool/README.md", "source/tool/x.py.md"}
    linked = "[x](/source/tool/x.py.md), [y](/new.md), [z](/tool/README.md), `[no](link)`"
    assert linked in repository.shown["tool/README.md"]
    assert "```python\nx = 1\n```" in repository.shown["source/tool/x.py.md"]


def test_what_is_no_page_any_more_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import site_pages

    (tmp_path / "mine.md").write_text("mine")
    monkeypatch.setattr(site_pages, "pages", lambda tree: [("a.md", "1"), ("zoo/b.md", "2")])
    site_pages.write(tmp_path)
    monkeypatch.setattr(site_pages, "pages", lambda tree: [("a.md", "3")])
    site_pages.write(tmp_path)
    left = {path.name: path.read_text() for path in tmp_path.rglob("*.md")}
    assert left == {"mine.md": "mine", "a.md": "3"}


@pytest.fixture
def extension(monkeypatch: pytest.MonkeyPatch) -> object:
    """Give the extension of Sphinx."""
    monkeypatch.syspath_prepend(ROOT / "docs" / "_ext")
    return pytest.importorskip("netdsl_site")


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("net N:\n    input 3\n", True),
        ("# why\nblock B:\n    relu\n\nnet N:\n    input 3\n    B\n", True),
        ("net N:\n    conv(3x3, 64;\n", True),
        ('import Bottleneck from "resnet.net"\n\nnet N:\n    input 3\n', True),
        ('import Unit from "unit.net"\n\nnet N:\n    input 3\n', False),
        ("block B:\n    relu\n", False),
        ("    net N\n", False),
        ("conv 3x3, 64", False),
        ("", False),
    ],
)
def test_what_the_playground_can_open(extension: object, text: str, whole: bool) -> None:
    assert extension.is_whole(text) == whole  # type: ignore[attr-defined]


def test_the_kinds_are_the_compilers(extension: object) -> None:
    from netdsl.ide.highlight import KINDS

    assert {*extension.KINDS} == {*KINDS}  # type: ignore[attr-defined]


@pytest.mark.parametrize("file", sorted((ROOT / "specs").glob("*.net")), ids=lambda path: path.stem)
def test_a_spec_in_colour_is_the_spec(extension: object, file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    for shown in (text, text.replace(",", ";"), text[: len(text) // 2]):
        parts = [*extension.NetLexer().get_tokens_unprocessed(shown)]  # type: ignore[attr-defined]
        assert "".join(part for _, _, part in parts) == shown
        assert all(shown.startswith(part, at) for at, _, part in parts)

"""The playground in a browser: what it shows is what netdsl says, offline, at every width, by keyboard, safely."""

from __future__ import annotations

import base64
import fcntl
import os
import re
import shutil
import subprocess
import sys
import threading
import urllib.error
import urllib.request
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from node import installed, needs_node
from playwright.sync_api import Browser, Page, expect, sync_playwright

import netdsl
from netdsl import data
from netdsl.cost.table import human
from netdsl.ide.serve import Server

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "playground"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "google-chrome", "chromium-browser"))), None)
ARGS = (
    "--disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update "
    "--disable-sync"
).split()
WAIT = 60_000
"""Milliseconds; other tests run at the same time."""

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: apt-get install chromium"),
    needs_node,
]

SMALL = """\
net Small(c = 8):
    input 3, 16x16
    conv1: conv 3x3, c
    relu
    gap
    fc: fc 2
"""


def sources() -> Iterator[Path]:
    """Yield what the playground is made from."""
    for folder in ("netdsl", "backends", "grammar", "specs", "playground/src"):
        yield from (path for path in (ROOT / folder).rglob("*.*") if path.suffix != ".pyc")
    yield from (FOLDER / name for name in ("build.mjs", "package-lock.json"))
    yield ROOT / "pyproject.toml"


@pytest.fixture(scope="session")
def dist() -> Path:
    """Return the folder of the playground; one that is older than its sources is built anew, once for all tests."""
    made = FOLDER / "dist"
    with open(FOLDER / "build.mjs", "rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        page = made / "index.html"
        if not page.exists() or page.stat().st_mtime < max(path.stat().st_mtime for path in sources()):
            build = ["node", "build.mjs", "--fast", "--python", sys.executable]
            done = subprocess.run(build, cwd=installed(FOLDER), capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stdout + done.stderr[-4000:]
    return made


@pytest.fixture
def server(dist: Path) -> Iterator[Server]:
    with Server(dist, "127.0.0.1", 0) as made:
        thread = threading.Thread(target=made.serve_forever)
        thread.start()
        yield made
        made.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=CHROMIUM, args=ARGS)


class Shown:
    """The page in a browser that has seen nothing yet, and all that it says or asks for."""

    def __init__(self, browser: Browser, server: Server, **options: Any) -> None:
        options = {"viewport": {"width": 1600, "height": 900}, **options}
        self.context = browser.new_context(permissions=["clipboard-read", "clipboard-write"], **options)
        self.server = server
        self.tab: Page = self.context.new_page()
        self.said: list[str] = []
        self.asked: list[str] = []
        self.tab.on("console", lambda message: self.said.append(message.text))
        self.tab.on("pageerror", lambda error: self.said.append(str(error)))
        self.context.on("request", lambda request: self.asked.append(request.url))

    def open(self, rest: str = "", ready: bool = True) -> Page:
        self.tab.goto(self.server.address + rest)
        if ready:
            self.tab.locator("body[data-first]").wait_for(timeout=WAIT)
        return self.tab

    def drawn(self, name: str) -> None:
        """Open a tab, and wait until it shows what belongs to the spec."""
        self.tab.locator(f"#tab-{name}").click()
        self.tab.locator(f"body[data-drawn={name}]").wait_for(timeout=WAIT)

    def state(self, state: str) -> None:
        self.tab.locator(f"body[data-state={state}]").wait_for(timeout=WAIT)

    def text(self, where: str = "#editor") -> str:
        """Return the text of an editor, of which the browser has only the lines that are seen."""
        content = f"document.querySelector({where!r} + ' .cm-content')"
        text: str = self.tab.evaluate(f"{content}.cmTile.view.state.doc.toString()")
        return text


@pytest.fixture
def shown(browser: Browser, server: Server) -> Iterator[Shown]:
    """Give the page; it says nothing in the console, and asks nobody else for anything."""
    page = Shown(browser, server)
    yield page
    assert page.said == []
    others = [url for url in page.asked if not url.startswith((server.address, "blob:", "about:", "data:"))]
    assert others == []
    page.context.close()


def link(text: str, **more: str) -> str:
    """Return the end of an address as documentation has it."""
    packed = zlib.compressobj(wbits=-15)
    code = base64.urlsafe_b64encode(packed.compress(text.encode()) + packed.flush()).decode().rstrip("=")
    return "#" + "&".join([f"spec={code}", *(f"{key}={value}" for key, value in more.items())])


def keep(page: Page, name: str) -> None:
    """Keep a picture, where somebody wants to look at it."""
    if folder := os.environ.get("NETDSL_SCREENSHOTS"):
        page.screenshot(path=str(Path(folder) / f"{name}.png"))


# ---------------------------------------------------------------- what it shows


def test_the_first_page(shown: Shown) -> None:
    """A net of the zoo with its totals, costs beside its lines, and its table, started from the kept memory."""
    tab = shown.open()
    net = netdsl.load("resnet50")
    cost = net.cost()
    expect(tab.locator("#totals")).to_contain_text(f"{human(cost.params)} params")
    expect(tab.locator("#totals")).to_contain_text(f"{human(cost.macs)} MACs")
    expect(tab.locator("#budgets .held")).to_have_count(len(net.budgets))
    assert tab.locator("body").get_attribute("data-engine") == "snapshot", tab.locator(
        "#engine"
    ).text_content()
    assert shown.text() == data.read("specs", "resnet.net")
    shown.drawn("table")
    rows = tab.locator("table.costs tbody tr")
    assert rows.count() == 15
    assert rows.nth(5).locator("th").text_content() == "layer1.1-2 \u00d72"
    margin = tab.locator("#editor .cm-params .cost")
    assert margin.count() > 8
    code = tab.locator("#editor .cm-line").first.bounding_box()
    left = margin.first.bounding_box()
    assert code is not None
    assert left is not None
    assert left["x"] + left["width"] <= code["x"]  # costs stand left of the code
    keep(tab, "first")


def test_every_tab(shown: Shown) -> None:
    tab = shown.open(link(SMALL))
    net = netdsl.loads(SMALL, "spec.net")
    for name, backend in (("torch", "torch"), ("flax", "flax")):
        shown.drawn(name)
        text = shown.text(f"#view-{name}")
        assert text == net.emit(backend)
    shown.drawn("lint")
    found = tab.locator("#view-lint li").all_text_contents()
    assert len(found) >= len(net.lint())
    assert all(any(one.message in text for text in found) for one in net.lint())
    shown.drawn("graph")
    assert tab.locator("#view-graph svg rect").count() > 4
    shown.drawn("report")
    expect(tab.frame_locator("#view-report iframe").locator("h1")).to_contain_text("small")
    # the report's own script runs, and in an origin of its own
    expect(tab.frame_locator("#view-report iframe").locator("#table tbody")).not_to_have_count(0)
    shown.drawn("table")
    assert tab.locator("#view-table tbody tr").count() == 4
    tab.locator("#tab-diff").click()
    tab.get_by_text("take the spec as it is now").click()
    shown.drawn("diff")
    expect(tab.locator(".difference")).to_contain_text("no layer differs")
    tab.locator("#view-diff select").first.select_option("lenet.net:lenet")
    expect(tab.locator(".difference .added")).not_to_have_count(0, timeout=WAIT)


def test_reports_sort_in_their_frame(shown: Shown) -> None:
    """The policy of the page lets the report's script run, and no other."""
    tab = shown.open(link(SMALL, tab="report"))
    frame = tab.frame_locator("#view-report iframe")
    button = frame.locator("#table th button").last
    button.click(timeout=WAIT)
    expect(frame.locator("#table [aria-sort]")).to_have_count(1)


def test_errors_are_shown_where_they_are(shown: Shown) -> None:
    text = SMALL.replace("fc: fc 2", "fc: fcc 2").replace("conv1: conv 3x3, c", "conv1: conv 3x3 c")
    tab = shown.open(link(text))
    shown.state("wrong")
    problems = tab.locator("#problems li")
    assert problems.count() == 2
    with pytest.raises(netdsl.NetError) as caught:
        netdsl.loads(text)
    for one in caught.value.diagnostics:
        expect(tab.locator("#problems")).to_contain_text(one.message)
        expect(tab.locator("#problems")).to_contain_text(one.help)
    # nothing is said of lines behind the one that cannot be read
    hints = tab.locator("#editor .hint.shape").all_text_contents()
    assert hints == ["3x16x16"]
    problems.first.get_by_role("button").click()
    assert tab.evaluate("document.activeElement.closest('#editor') !== null")
    assert tab.locator("#editor .cm-lintRange-error").count() == 2
    keep(tab, "errors")


def test_lines_of_other_nets_follow_when_nobody_types(shown: Shown) -> None:
    text = SMALL + "\nnet Other:\n    input 1, 8x8\n    tanh\n\nnet Third:\n    input 2, 4x4\n    relu\n"
    tab = shown.open(link(text, net="small"))
    tab.locator("body[data-reached='2']").wait_for(timeout=WAIT)
    hints = tab.locator("#editor .hint.shape")
    expect(hints.filter(has_text="1x8x8 in other")).to_have_count(2)
    expect(hints.filter(has_text="2x4x4 in third")).to_have_count(2)
    expect(hints.filter(has_text="8x16x16")).to_have_count(2)
    expect(tab.locator("#totals")).to_contain_text(human(netdsl.loads(text, net="small").cost().params))


def test_a_fix_mends_the_spec(shown: Shown) -> None:
    text = SMALL.replace("    relu\n", "    relu\n    relu\n")
    tab = shown.open(link(text, tab="lint"))
    tab.locator("body[data-drawn=lint]").wait_for(timeout=WAIT)
    tab.locator("#view-lint").get_by_role("button", name="fix", exact=True).first.click()
    assert shown.text() == SMALL
    expect(tab.locator("#view-lint").get_by_role("button", name="fix", exact=True)).to_have_count(
        0, timeout=WAIT
    )


# ---------------------------------------------------------------- links and what is kept


@pytest.mark.parametrize("text", [SMALL, "# \u00e9\u2026\U0001f600\n" + SMALL], ids=["ascii", "emoji"])
def test_links_go_around(text: str, browser: Browser, server: Server, shown: Shown) -> None:
    tab = shown.open(link(text, net="small", tab="graph"))
    assert shown.text() == text
    assert tab.locator("#tab-graph").get_attribute("aria-selected") == "true"
    tab.locator("#share").click()
    expect(tab.locator("#said.shown")).to_contain_text("copied")
    copied = tab.evaluate("navigator.clipboard.readText()")
    assert copied == tab.url
    other = Shown(browser, server)
    other.open(copied.removeprefix(server.address))
    assert other.text() == text
    assert other.tab.locator("#tab-graph").get_attribute("aria-selected") == "true"
    assert other.said == []
    other.context.close()


@pytest.mark.parametrize(
    ("hash", "said"),
    [
        ("#spec=!!!", "no base64url"),
        ("#spec=abcd", "cannot be unpacked"),
        (f"#spec={'A' * 500_000}", "too long"),
        (link("# " + "x" * 3_000_000), "more than 2,000,000 bytes"),
    ],
    ids=["alphabet", "deflate", "long", "bomb"],
)
def test_bad_links_are_refused_and_lose_nothing(hash: str, said: str, shown: Shown) -> None:
    tab = shown.open(link(SMALL))
    tab.locator("#editor .cm-content").click()
    tab.keyboard.press("Control+End")
    tab.keyboard.type("# mine")
    shown.tab.wait_for_timeout(500)
    tab.evaluate("hash => { location.hash = hash }", hash)
    expect(tab.locator("#said.shown")).to_contain_text(said)
    assert shown.text() == SMALL + "# mine"
    tab.reload()
    tab.locator("body[data-first]").wait_for(timeout=WAIT)
    assert shown.text() == SMALL + "# mine"


def test_what_was_written_is_kept_when_something_else_is_opened(shown: Shown) -> None:
    tab = shown.open(link(SMALL))
    tab.locator("#editor .cm-content").click()
    tab.keyboard.press("Control+End")
    tab.keyboard.type("# mine")
    tab.locator("#zoo").select_option("lenet.net:lenet")
    expect(tab.locator("#totals")).to_contain_text(human(netdsl.load("lenet").cost().params), timeout=WAIT)
    tab.locator("#zoo").select_option("draft:0")
    expect(tab.locator("#totals")).to_contain_text(human(netdsl.loads(SMALL).cost().params), timeout=WAIT)
    assert shown.text() == SMALL + "# mine"


def test_it_opens_without_its_server(browser: Browser, dist: Path) -> None:
    with Server(dist, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        page = Shown(browser, server)
        tab = page.open()
        tab.locator("body[data-kept]").wait_for(timeout=WAIT)
        server.shutdown()
        thread.join()
    tab.reload()
    tab.locator("body[data-first]").wait_for(timeout=WAIT)
    assert tab.locator("body").get_attribute("data-engine") == "snapshot"
    for name in ("torch", "report"):
        page.drawn(name)
    tab.locator("#zoo").select_option("lenet.net:lenet")
    expect(tab.locator("#totals")).to_contain_text(human(netdsl.load("lenet").cost().params), timeout=WAIT)
    page.context.close()


def test_it_starts_without_the_kept_memory(shown: Shown) -> None:
    tab = shown.open("?plain" + link(SMALL))
    assert tab.locator("body").get_attribute("data-engine") == "plain"
    expect(tab.locator("#engine")).to_contain_text("without the kept memory")
    expect(tab.locator("#totals")).to_contain_text(human(netdsl.loads(SMALL).cost().params))


# ---------------------------------------------------------------- what it does with bad input

IMAGE = "img:not(.cm-widgetBuffer)"
"""One that is not the editor's own."""
MARKUP = '<img src=x onerror="document.title=`broken`">'


def test_text_of_a_spec_is_never_markup(shown: Shown) -> None:
    text = f"# {MARKUP}\n" + SMALL.replace(
        "    relu\n", f"    # {MARKUP} </script><script>document.title='broken'</script>\n    relu\n"
    )
    text = text.replace("fc: fc 2", f'meta note="{MARKUP.replace(chr(34), chr(39))}"\n    fc: fc 2')
    tab = shown.open(link(text))
    for name in ("torch", "lint", "graph", "report"):
        shown.drawn(name)
        assert tab.locator(IMAGE).count() == 0
    frame = tab.frame_locator("#view-report iframe")
    expect(frame.locator("h1")).to_be_visible()
    assert frame.locator("img").count() == 0
    assert "broken" not in tab.title()
    tab.locator("#editor .cm-content").click()
    tab.keyboard.press("Control+End")
    tab.keyboard.type(f"    {MARKUP}\n")
    shown.state("wrong")
    assert tab.locator(IMAGE).count() == 0


def test_what_takes_too_long_is_ended(shown: Shown) -> None:
    """The text stays, and what is typed next is looked at again."""
    slow = (
        "net A:\n    input 3, 8x8\n"
        + "".join(f"{'    ' * (at + 1)}for i{at} in range(10):\n" for at in range(6))
        + "    " * 7
        + "relu\n"
    )
    tab = shown.open(link(SMALL))
    shown.open("?seconds=0.2" + link(slow), ready=False)
    expect(tab.locator("#problems")).to_contain_text("was ended", timeout=WAIT)
    assert shown.text() == slow
    tab.locator("#editor .cm-content").click()
    tab.keyboard.press("Control+a")
    tab.keyboard.type("net B:\ninput 3, 8x8")
    shown.state("fine")


# ---------------------------------------------------------------- how it looks, and works by keyboard


@pytest.mark.parametrize("width", [400, 700, 1000, 1600])
def test_it_fits(width: int, browser: Browser, server: Server) -> None:
    for scheme in ("light", "dark"):
        page = Shown(browser, server, viewport={"width": width, "height": 900}, color_scheme=scheme)
        tab = page.open(link(data.read("specs", "lenet.net")) if scheme == "dark" else "")
        for name in ("spec", "table", "torch", "flax", "lint", "graph", "report", "diff"):
            if name == "spec" and width > 900:
                continue
            tab.locator(f"#tab-{name}").click()
            if name not in ("spec", "diff"):
                tab.locator(f"body[data-drawn={name}]").wait_for(timeout=WAIT)
            assert tab.evaluate("document.documentElement.scrollWidth") <= width, name
            assert tab.evaluate("document.documentElement.scrollHeight") <= 900, name
            keep(tab, f"{width}-{scheme}-{name}")
        assert page.said == []
        page.context.close()


def test_colours_can_be_chosen(shown: Shown) -> None:
    tab = shown.open(link(SMALL, tab="graph"))
    ground = "getComputedStyle(document.body).backgroundColor"
    light = tab.evaluate(ground)
    for scheme in ("light", "dark"):
        tab.locator("#scheme").click()
        assert (tab.evaluate(ground) == light) == (scheme == "light")
    tab.locator("body[data-drawn=graph]").wait_for(timeout=WAIT)
    fill = "getComputedStyle(document.querySelector('#view-graph svg .page')).fill"
    assert tab.evaluate(fill) == "rgb(22, 24, 29)"
    tab.reload()
    tab.locator("body[data-first]").wait_for(timeout=WAIT)
    assert tab.evaluate(ground) != light  # it is kept


def test_all_is_done_by_keyboard(shown: Shown) -> None:
    tab = shown.open(link(SMALL))
    where = "document.activeElement.id || document.activeElement.className"
    tab.keyboard.press("Tab")
    reached = []
    for _ in range(30):
        reached.append(tab.evaluate(where))
        assert tab.evaluate("document.activeElement.matches(':focus-visible')"), reached
        tab.keyboard.press("Tab")
        if tab.evaluate("document.activeElement === document.body"):
            break
    order = [
        name
        for name in reached
        if name in ("zoo", "format", "share", "scheme", "keys", "tab-table", "divider")
    ]
    assert order == ["zoo", "format", "share", "scheme", "keys", "tab-table", "divider"]
    assert any("cm-content" in name for name in reached)  # Tab goes into the editor, and out again
    tab.locator("#tab-table").focus()
    for name in ("torch", "flax", "lint"):
        tab.keyboard.press("ArrowRight")
        assert tab.evaluate("document.activeElement.id") == f"tab-{name}"
        assert tab.locator(f"#tab-{name}").get_attribute("aria-selected") == "true"
        assert tab.locator(f"#view-{name}").is_visible()
    tab.keyboard.press("Alt+1")
    assert "cm-content" in tab.evaluate("document.activeElement.className")
    tab.keyboard.press("Control+End")
    tab.keyboard.type("    cnov 3x3, 8\n")
    shown.state("wrong")
    tab.keyboard.press("Control+Home")
    tab.keyboard.press("F8")
    assert tab.evaluate("getSelection().toString()") == "cnov"
    for _ in range(30):  # what is typed slowly is undone in parts
        if shown.text() == SMALL:
            break
        tab.keyboard.press("Control+z")
    shown.state("fine")
    divider = tab.locator("#divider")
    divider.focus()
    before = divider.get_attribute("aria-valuenow")
    tab.keyboard.press("ArrowRight")
    assert divider.get_attribute("aria-valuenow") != before
    tab.locator("#keys").focus()
    tab.keyboard.press("Enter")
    expect(tab.locator("dialog")).to_be_visible()
    tab.keyboard.press("Escape")
    expect(tab.locator("dialog")).not_to_be_visible()


def test_completions_and_names(shown: Shown) -> None:
    tab = shown.open(link(SMALL))
    tab.locator("#editor .cm-content").click()
    tab.keyboard.press("Control+End")
    tab.keyboard.type("    maxp")
    expect(tab.locator(".cm-tooltip-autocomplete")).to_contain_text("maxpool", timeout=WAIT)
    tab.keyboard.press("Escape")
    tab.locator("#editor .cm-line", has_text="conv1").get_by_text("conv", exact=True).hover()
    expect(tab.locator(".cm-tooltip-hover")).to_contain_text("channels: int", timeout=WAIT)


# ---------------------------------------------------------------- the server


def fetch(server: Server, path: str, accept: str = "") -> tuple[int, dict[str, str], int]:
    request = urllib.request.Request(
        server.address + path, headers={"Accept-Encoding": accept} if accept else {}
    )
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, dict(answer.headers), len(answer.read())
    except urllib.error.HTTPError as error:
        error.close()
        return error.code, {}, 0


def test_files_are_sent_as_the_browser_takes_them(server: Server, dist: Path) -> None:
    wasm = next(path.relative_to(dist).as_posix() for path in dist.rglob("*.wasm"))
    whole = (dist / wasm).stat().st_size
    for accept, encoding, suffix in (
        ("gzip, deflate, br", "br", ".br"),
        ("gzip", "gzip", ".gz"),
        ("gzip;q=1.0, br;q=0", "gzip", ".gz"),
        ("", None, ""),
    ):
        status, headers, size = fetch(server, wasm, accept)
        assert (status, headers.get("Content-Encoding"), headers["Content-Type"]) == (
            200,
            encoding,
            "application/wasm",
        )
        assert size == (dist / (wasm + suffix)).stat().st_size == int(headers["Content-Length"])
        assert headers["Vary"] == "Accept-Encoding"
        assert "immutable" in headers["Cache-Control"]
    assert size == whole
    assert "no-cache" in fetch(server, "")[1]["Cache-Control"]
    assert "no-cache" in fetch(server, "service.js")[1]["Cache-Control"]


@pytest.mark.parametrize(
    "path", ["../pyproject.toml", "..%2fpyproject.toml", "%2e%2e/build.mjs", "specs/", "no.js"]
)
def test_only_files_of_the_folder_are_served(path: str, server: Server) -> None:
    assert fetch(server, path)[0] == 404


def test_it_is_served_to_this_machine_only(server: Server) -> None:
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", server.address)
